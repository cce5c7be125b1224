"""What people and networks answer, happy or sad, along the morph: choices, and psychometric curves."""

from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.files import write_beside
from rsa_face.inference.resampling import choose_groups, draw_resamples
from rsa_face.provenance import rng_from
from rsa_face.psychophysics.choices import read_choices
from rsa_face.psychophysics.stage import any_curve, write_psychophysics
from rsa_face.psychophysics.stage import ask_networks as ask
from rsa_face.schema import PARTICIPANT
from rsa_face.study.config import Study
from rsa_face.study.graph import Run
from rsa_face.study.networks import built

_BOTH = ("participant", "both", "dual")


def why_no_answers(run: Run) -> str:
    """Say why networks cannot be asked: without a level, no answer is right or wrong."""
    return "" if "level" in run.stimuli.factors else "the networks' answers, since the stimuli have no level"


def ask_networks(run: Run) -> None:
    """Let the networks say happy or sad to every stimulus; once, for all that needs it."""
    answers = ask(built(run), run.stimuli)
    with write_beside(run.folder / "answers.csv") as beside:
        answers.to_csv(beside, index=False)


def fit_curves(run: Run) -> list[Path]:
    """Fit psychometric curves to people's choices and to the networks' answers, and compare the two.

    Where the human RDMs are of the same people, these are drawn as for the comparison of RDMs, so that the two can be
    related draw by draw.
    """
    study, section = run.study, run.study.psychophysics
    assert section is not None
    people = read_choices(section.table)
    answers = read_choices(run.folder / "answers.csv") if run.has("answers.csv") else None
    if answers is not None and not any_curve(answers):
        run.say("left out: the networks' curves, since each gives one answer to every face")
        answers = None
    human = run.array("human_rdms.nc") if run.has("human_rdms.nc") else None
    return write_psychophysics(
        people,
        answers,
        run.folder,
        curve=section.curve,
        draws=study.inference.draws,
        seed=study.inference.seed,
        resamples=same_draws(study, human, people),
    )


def same_draws(study: Study, human: xr.DataArray | None, choices: pd.DataFrame) -> dict[str, np.ndarray] | None:
    """Return the draws of people that the comparison makes, for the same people's curves; None if it draws others."""
    inference = study.inference
    people = list(dict.fromkeys(choices[PARTICIPANT].astype(str)))
    compared = [] if human is None else human[PARTICIPANT].values.astype(str).tolist()
    if human is None or inference.resample not in _BOTH or sorted(people) != sorted(compared):
        return None
    drawn = draw_resamples(
        human,
        resample=str(inference.resample),
        draws=inference.draws,
        rng=rng_from(inference.seed, "bootstrap"),
        groups=choose_groups(human, inference.groups),
    )
    place = np.array([people.index(name) for name in compared])
    return {PARTICIPANT: np.stack([np.repeat(place, times) for times in drawn.participants])}
