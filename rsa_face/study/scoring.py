"""How well a study's networks tell happy from sad on faces they did not learn from."""

from typing import cast

import pandas as pd
import xarray as xr

from rsa_face.files import write_beside
from rsa_face.provenance import load, save
from rsa_face.schema import split_seed
from rsa_face.study.answering import ANSWERS
from rsa_face.study.config import Study
from rsa_face.study.learning import held_out_faces
from rsa_face.study.manifest import Manifest
from rsa_face.study.networks import build, networks_of, trained_file
from rsa_face.training.evaluation import judge_valence, score_judgements
from rsa_face.training.seeds import combine_seeds, tabulate_seeds
from rsa_face.training.tables import TrainingTable

SCORES, OVER_SEEDS = "training.nc", "training_seeds.csv"


def score_networks(study: Study, answers: pd.DataFrame | None, manifest: Manifest) -> xr.Dataset | None:
    """Score the trained networks on the held-out faces.

    The study's own stimuli were judged already: their scores are made from these answers. Other faces are judged.

    Parameters
    ----------
    study : Study
        Its `training` section.
    answers : DataFrame, optional
        From `answer_stimuli`.
    manifest : Manifest
        Where the stage is recorded.

    Returns
    -------
    Dataset, dims (network, condition), or None
        Also in ``training.nc`` and ``training.csv``, and where networks differ in their seed alone, with intervals
        over seeds, in ``training_seeds.csv``; None where nothing is trained, or nothing is held out.
    """
    asked = study.training
    held_out = held_out_faces(study)
    if asked is None or held_out is None:
        return None
    answered = answers if asked.held_out == "stimuli" else None

    def make() -> None:
        each = []
        for section in networks_of(study):
            if answered is None:
                judgements = judge_valence(build(study, section), held_out)
            else:
                judgements = judgements_of(answered[answered["network"] == section.called], held_out)
            scores = score_judgements(judgements, name=section.called)
            # Text of fixed width is cut to the first array's when arrays are joined; objects keep their length.
            each.append(scores.assign_coords(network=scores["network"].values.astype(object)))
        joined = xr.concat(each, "network", join="outer", combine_attrs="drop_conflicts")
        save(joined, study.output / SCORES)
        tables = {"training.csv": joined.to_dataframe().reset_index()}
        if several:
            tables[OVER_SEEDS] = tabulate_seeds(combine_seeds(each))
        for name, table in tables.items():
            with write_beside(study.output / name) as beside:
                table.to_csv(beside, index=False, float_format="%.4f")

    starts = [split_seed(section.called)[0] for section in networks_of(study)]
    several = len(set(starts)) < len(starts)
    weights = {section.called: manifest.hash_of(trained_file(section)) for section in networks_of(study)}
    inputs = {
        "weights": weights,
        "answers": None if answered is None else manifest.hash_of(ANSWERS),
        "held_out": held_out.content_hash(),
    }
    outputs = [SCORES, "training.csv", *([OVER_SEEDS] if several else [])]
    manifest.stage("scores on held-out faces", make, inputs=inputs, outputs=outputs)
    return cast("xr.Dataset", load(study.output / SCORES))


def judgements_of(answers: pd.DataFrame, held_out: TrainingTable) -> pd.DataFrame:
    """Return one network's answers to the held-out faces, as `judge_valence` does.

    Parameters
    ----------
    answers : DataFrame, one row a stimulus
        Columns `stimulus` and `p_happy`. Not changed.
    held_out : TrainingTable
        Some of these stimuli.

    Returns
    -------
    DataFrame, one row an image
        The held-out table, and `happy`.

    Raises
    ------
    ValueError
        If a held-out face was not answered.
    """
    chance = answers.set_index("stimulus")["p_happy"]
    faces = held_out.table["stimulus"].astype(str)
    lacking = sorted(set(faces) - set(chance.index))
    if lacking:
        message = (
            f"Held-out faces must have been judged to be scored, but {lacking[:20]} were not. Run the study anew."
        )
        raise ValueError(message)
    return held_out.table.assign(happy=chance.loc[faces].to_numpy())
