"""What people and networks answer, happy or sad, along the morph: choices, and psychometric curves."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.activations.capture import resolve_device
from rsa_face.cluster import find_distributed
from rsa_face.files import write_beside
from rsa_face.inference.resampling import choose_groups, draw_resamples
from rsa_face.networks.weights import HUB, find_hub
from rsa_face.networks.zoo import Network
from rsa_face.provenance import hash_file, load, rng_from
from rsa_face.psychophysics.choices import read_choices
from rsa_face.psychophysics.stage import any_curve, ask_networks, write_psychophysics
from rsa_face.rdms.controls import check_controls
from rsa_face.schema import PARTICIPANT
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.occlusion import REGIONS, region_boxes
from rsa_face.study.config import Study
from rsa_face.study.manifest import Manifest
from rsa_face.study.networks import build, networks_of, trained_file

ANSWERS, PEOPLE, NETWORKS, LIKENESS = (
    "answers.csv",
    "psychometric",
    "psychometric_networks",
    "psychometric_likeness",
)
_BOTH = ("participant", "both", "dual")


def check_asked(study: Study, stimuli: StimulusSet) -> None:
    """Hold what is asked of people and networks to being answerable, before anything is trained for it.

    Parameters
    ----------
    study : Study
        Its `networks`, `cluster`, and `activations`, `inference`, `psychophysics` and `saliency` sections.
    stimuli : StimulusSet
        What the networks judge.

    Raises
    ------
    ValueError
        If a device is not there, a control is unknown, the choices are at fault, the saliency's faces are none or
        lack regions, or no network can answer.
    ModuleNotFoundError
        If a cluster or weights on the Hub need a package that is not installed.
    """
    resolve_device(study.activations.device)
    if study.cluster is not None:
        find_distributed(study.cluster)
    for weights in {network.weights for network in study.networks if network.weights.startswith(HUB)}:
        find_hub(weights)
    check_controls(stimuli, study.inference.controls)
    if study.psychophysics is not None and PARTICIPANT not in read_choices(study.psychophysics.table):
        message = (
            f"The choices of a study must be people's, but {study.psychophysics.table.name} has no column "
            "participant. The study asks its networks itself. Name people's choices, or remove `psychophysics`."
        )
        raise ValueError(message)
    if study.saliency is None:
        return
    if not can_answer(study):
        message = (
            "Networks must have learnt happy and sad for their saliency to be mapped, but the study has no training "
            "and networks without a file of weights. Add `training`, or remove `saliency`."
        )
        raise ValueError(message)
    region_boxes(looked_at(study, stimuli), REGIONS)


def can_answer(study: Study) -> bool:
    """Say whether a study's networks have learnt to answer: here, or before.

    Parameters
    ----------
    study : Study
        Its `training` and `networks` sections.

    Returns
    -------
    bool
        True with a training, or where every network has a file of weights.
    """
    return study.training is not None or all(Path(section.weights).is_file() for section in networks_of(study))


def looked_at(study: Study, stimuli: StimulusSet) -> StimulusSet:
    """Return the stimuli whose saliency is mapped.

    Parameters
    ----------
    study : Study
        The `where` of its `saliency` section.
    stimuli : StimulusSet
        All.

    Returns
    -------
    StimulusSet
        At least one.
    """
    return stimuli.select(**study.saliency.where) if study.saliency is not None else stimuli


def answer_stimuli(study: Study, stimuli: StimulusSet, manifest: Manifest) -> pd.DataFrame | None:
    """Let the networks that have learnt to, say happy or sad to every stimulus; once, for all that needs it.

    Parameters
    ----------
    study : Study
        Its networks.
    stimuli : StimulusSet
        What they judge.
    manifest : Manifest
        Where the stage is recorded.

    Returns
    -------
    DataFrame or None
        A row for each network and stimulus, as `network_choices` makes it; also in ``answers.csv``. None where no
        network can answer, nobody asks, or the stimuli have no level.
    """
    scored = study.training is not None and study.training.held_out == "stimuli"
    wanted = study.psychophysics is not None or scored
    if not wanted or not can_answer(study) or "level" not in stimuli.factors:
        return None

    def ask() -> None:
        answers: pd.DataFrame = ask_networks(built(study), stimuli)
        with write_beside(study.output / ANSWERS) as beside:
            answers.to_csv(beside, index=False)

    inputs = {"stimuli": stimuli.content_hash(), **weights_of(study, manifest)}
    manifest.stage("answers of the networks", ask, inputs=inputs, outputs=[ANSWERS])
    return pd.read_csv(study.output / ANSWERS, dtype={"network": str, "stimulus": str, "occlusion": str})


def fit_curves(
    study: Study, answers: pd.DataFrame | None, human: xr.DataArray | None, manifest: Manifest
) -> dict[str, xr.Dataset]:
    """Fit psychometric curves to people's choices and to the networks' answers, and compare the two.

    Parameters
    ----------
    study : Study
        Its `psychophysics` section.
    answers : DataFrame, optional
        From `answer_stimuli`.
    human : DataArray, dims (participant, stimulus_i, stimulus_j), optional
        Human RDMs. Where they are of the same people as the choices, people are drawn as for the comparison of
        RDMs, so that the two can be related draw by draw.
    manifest : Manifest
        Where the stage is recorded.

    Returns
    -------
    dict of str to Dataset
        ``psychometric`` and, with networks that give more than one answer, ``psychometric_networks`` and
        ``psychometric_likeness``; empty where the study does not ask.
    """
    asked = study.psychophysics
    if asked is None:
        return {}

    def fit() -> list[Path]:
        people = read_choices(asked.table)
        judged = read_choices(study.output / ANSWERS) if answers is not None else None
        if judged is None:
            manifest.say("left out: the networks' curves, since the networks have not learnt happy and sad")
        elif not any_curve(judged):
            manifest.say("left out: the networks' curves, since each gives one answer to every face")
            judged = None
        return write_psychophysics(
            people,
            judged,
            study.output,
            curve=asked.curve,
            draws=study.inference.draws,
            seed=study.inference.seed,
            resamples=same_draws(study, human, people),
        )

    inputs = {
        "choices": hash_file(asked.table),
        "curve": asked.curve.model_dump(mode="json"),
        "answers": manifest.hash_of(ANSWERS) if answers is not None else None,
        "human": None if human is None else manifest.hash_of("human_rdms.nc"),
        "draws": [study.inference.resample, study.inference.groups, study.inference.draws, study.inference.seed],
    }
    manifest.stage("psychometric curves", fit, inputs=inputs, outputs=[f"{PEOPLE}.nc", f"{PEOPLE}.csv"])
    files = {name: study.output / f"{name}.nc" for name in (PEOPLE, NETWORKS, LIKENESS)}
    return {name: cast("xr.Dataset", load(file)) for name, file in files.items() if file.is_file()}


def same_draws(study: Study, human: xr.DataArray | None, choices: pd.DataFrame) -> dict[str, np.ndarray] | None:
    """Return the draws of people that the comparison of RDMs makes, for the same people's curves.

    Parameters
    ----------
    study : Study
        Its `inference` section.
    human : DataArray, dims (participant, stimulus_i, stimulus_j), or None
        Human RDMs.
    choices : DataFrame
        From `read_choices`.

    Returns
    -------
    dict of str to ndarray, or None
        For `human_likeness`: positions among the people of the choices. None where the comparison draws no people,
        or others.
    """
    asked = study.inference
    people = list(dict.fromkeys(choices[PARTICIPANT].astype(str)))
    compared = [] if human is None else human[PARTICIPANT].values.astype(str).tolist()
    if human is None or asked.resample not in _BOTH or sorted(people) != sorted(compared):
        return None
    drawn = draw_resamples(
        human,
        resample=str(asked.resample),
        draws=asked.draws,
        rng=rng_from(asked.seed, "bootstrap"),
        groups=choose_groups(human, asked.groups),
    )
    place = np.array([people.index(name) for name in compared])
    return {PARTICIPANT: np.stack([np.repeat(place, times) for times in drawn.participants])}


def built(study: Study) -> Iterator[Network]:
    """Build a study's networks, each when it is its turn.

    Parameters
    ----------
    study : Study
        Its `networks` section.

    Returns
    -------
    iterator of Network
        As they were trained, where the study trains.
    """
    return (build(study, section) for section in networks_of(study))


def weights_of(study: Study, manifest: Manifest) -> dict[str, str]:
    """Return the hash of each network's weights.

    Parameters
    ----------
    study : Study
        Its networks can answer, see `can_answer`.
    manifest : Manifest
        Where trainings are recorded.

    Returns
    -------
    dict of str to str
        By network.
    """
    trained = study.training is not None
    return {
        section.called: manifest.hash_of(trained_file(section)) if trained else hash_file(section.weights)
        for section in networks_of(study)
    }
