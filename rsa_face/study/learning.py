"""The training of a study's networks to tell happy from sad faces, and their scores on faces held out."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from tqdm import tqdm

from rsa_face.files import write_beside
from rsa_face.provenance import save
from rsa_face.schema import split_seed
from rsa_face.study.config import networks_of
from rsa_face.study.graph import Run
from rsa_face.study.networks import build, build_start, note_weights
from rsa_face.study.sections import NetworkSection
from rsa_face.training.data import TrainingTable
from rsa_face.training.evaluation import judge_valence, score_judgements
from rsa_face.training.loop import combine_seeds, tabulate_seeds, train_valence


def train_network(run: Run, section: NetworkSection) -> None:
    """Train a network; a training that was stopped goes on from its last kept epoch."""
    training = run.study.training
    assert training is not None
    network = build_start(section, classes=len(training.classes))
    note_weights(network, run)
    folder = (run.folder / section.trained_file).parents[len(section.called.split("/")) - 1]
    with _bar(shown=run.progress) as step:
        train_valence(
            network, run.training_faces, settings=training.settings(section.seed), folder=folder, progress=step
        )


@contextmanager
def _bar(*, shown: bool) -> Iterator[Any]:
    with tqdm(total=0, unit="batch", disable=None if shown else True, leave=False) as line:

        def show(step: Any) -> None:
            done = step.batches * (step.epoch - 1) + step.batch
            if not line.total:  # what an earlier run did is no work of this one
                line.initial = line.n = line.last_print_n = done - 1
            line.total = step.batches * step.epochs
            line.set_description(f"epoch {step.epoch}/{step.epochs}, loss {step.loss:.3f}", refresh=False)
            line.update(done - line.n)

        yield show


def score_networks(run: Run) -> list[Path]:
    """Score the trained networks on the held-out faces, with intervals over seeds where only these differ.

    The study's own stimuli were judged already, and their scores are made from these answers; other faces are judged.
    """
    training, held_out = run.study.training, run.held_out_faces
    assert training is not None
    answers = run.answers if training.held_out == "stimuli" else None
    each = []
    for section in networks_of(run.study):
        if answers is None:
            judgements = judge_valence(build(run, section), held_out)
        else:
            judgements = judgements_of(answers[answers["network"] == section.called], held_out)
        scores = score_judgements(judgements, name=section.called)
        # Text of fixed width is cut to the first array's when arrays are joined; objects keep their length.
        each.append(scores.assign_coords(network=scores["network"].values.astype(object)))
    joined = xr.concat(each, "network", join="outer", combine_attrs="drop_conflicts")
    save(joined, run.folder / "training.nc")
    tables = {"training.csv": joined.to_dataframe().reset_index()}
    starts = [split_seed(section.called)[0] for section in networks_of(run.study)]
    if len(set(starts)) < len(starts):
        tables["training_seeds.csv"] = tabulate_seeds(combine_seeds(each))
    for name, table in tables.items():
        with write_beside(run.folder / name) as beside:
            table.to_csv(beside, index=False, float_format="%.4f")
    return [run.folder / name for name in tables]


def judgements_of(answers: pd.DataFrame, held_out: TrainingTable) -> pd.DataFrame:
    """Return one network's answers to the held-out faces, as `judge_valence` does."""
    chance = answers.set_index("stimulus")["p_happy"]
    faces = held_out.table["stimulus"].astype(str)
    missing = sorted(set(faces) - set(chance.index))
    if missing:
        message = f"Held-out faces were not judged: {missing[:20]}. Run the study again."
        raise ValueError(message)
    return held_out.table.assign(happy=chance.loc[faces].to_numpy())
