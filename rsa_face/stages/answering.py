"""What people and networks answer, happy or sad, along the morph; and what the networks' answers rest on."""

from collections.abc import Iterator
from typing import cast

import pandas as pd
import xarray as xr

from rsa_face.config import Study
from rsa_face.manifest import Manifest
from rsa_face.networks.zoo import Network
from rsa_face.provenance import hash_file, load, write_beside
from rsa_face.psychophysics.choices import read_choices
from rsa_face.psychophysics.stage import any_curve, ask_networks, write_psychophysics
from rsa_face.saliency.stage import write_saliency
from rsa_face.stages.networks import build, networks_of, trained_file
from rsa_face.stimuli.catalogue import StimulusSet

ANSWERS, PEOPLE, NETWORKS = "answers.csv", "psychometric", "psychometric_networks"


def ask_happy_or_sad(study: Study, stimuli: StimulusSet, manifest: Manifest) -> dict[str, xr.Dataset]:
    """Fit psychometric curves to people's choices and to the trained networks' answers, and compare the two.

    Parameters
    ----------
    study : Study
        Its `choices` section; networks are asked if they were trained, and the stimuli have levels.
    stimuli : StimulusSet
        What the networks judge.
    manifest : Manifest
        Where the stages are recorded.

    Returns
    -------
    dict of str to Dataset
        ``psychometric`` and, with networks that give more than one answer, ``psychometric_networks``; empty where
        the study has no choices.
    """
    asked = study.choices
    if asked is None:
        return {}
    trained = study.training is not None and "level" in stimuli.factors
    if trained:
        _ask(study, stimuli, manifest)

    def fit() -> None:
        answers = read_choices(study.output / ANSWERS) if trained else None
        if answers is not None and not any_curve(answers):
            manifest.say("left out: the networks' curves, since each gives one answer to every face")
            answers = None
            (study.output / f"{NETWORKS}.nc").unlink(missing_ok=True)
        write_psychophysics(
            read_choices(asked.table),
            answers,
            study.output,
            curve=asked.curve,
            draws=study.inference.draws,
            seed=study.inference.seed,
        )

    inputs = {
        "choices": hash_file(asked.table),
        "curve": asked.curve,
        "answers": manifest.hash_of(ANSWERS) if trained else None,
        "draws": [study.inference.draws, study.inference.seed],
    }
    manifest.stage("psychometric curves", fit, inputs=inputs, outputs=[f"{PEOPLE}.nc", f"{PEOPLE}.csv"])
    files = {name: study.output / f"{name}.nc" for name in (PEOPLE, NETWORKS)}
    return {name: cast("xr.Dataset", load(file)) for name, file in files.items() if file.is_file()}


def look_where(study: Study, stimuli: StimulusSet, manifest: Manifest) -> xr.Dataset | None:
    """Map what the trained networks' answers rest on.

    Parameters
    ----------
    study : Study
        Its `saliency` section.
    stimuli : StimulusSet
        With regions.
    manifest : Manifest
        Where the stage is recorded.

    Returns
    -------
    Dataset or None
        Shares by region of every face, also in ``saliency.nc``; None where the study does not ask.
    """
    asked = study.saliency
    if asked is None or study.training is None:
        return None

    def make() -> None:
        write_saliency(_built(study), stimuli, study.output, layer=asked.layer, method=asked.method)

    inputs = {"stimuli": stimuli.content_hash(), "asked": asked.model_dump(mode="json"), **_weights(study, manifest)}
    manifest.stage("saliency", make, inputs=inputs, outputs=["saliency.nc", "saliency.csv"])
    return cast("xr.Dataset", load(study.output / "saliency.nc"))


def _ask(study: Study, stimuli: StimulusSet, manifest: Manifest) -> None:
    def ask() -> None:
        answers: pd.DataFrame = ask_networks(_built(study), stimuli)
        with write_beside(study.output / ANSWERS) as beside:
            answers.to_csv(beside, index=False)

    inputs = {"stimuli": stimuli.content_hash(), **_weights(study, manifest)}
    manifest.stage("answers of the networks", ask, inputs=inputs, outputs=[ANSWERS])


def _built(study: Study) -> Iterator[Network]:
    return (build(study, section) for section in networks_of(study))


def _weights(study: Study, manifest: Manifest) -> dict[str, str]:
    return {section.called: manifest.hash_of(trained_file(section)) for section in networks_of(study)}
