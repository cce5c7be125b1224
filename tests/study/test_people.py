"""What people judged is held to being comparable before anything is trained, and knows the groups it is drawn by."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from rsa_face.human.observers import simulate_ratings
from rsa_face.inference.resampling import choose_groups, describe_groups
from rsa_face.provenance import save
from rsa_face.stimuli.catalogue import read_stimuli
from rsa_face.stimuli.faces import draw_faces
from rsa_face.study.comparing import compare
from rsa_face.study.config import STUDIES, InferenceSection, embedded_studies, load_study
from rsa_face.study.graph import Run, make_stages
from rsa_face.study.stages import steps_of

STUDY = """\
name: small
stimuli: {table: stimuli.csv}
networks: [{name: alexnet}]
human: {table: ratings.csv, kind: rating}
inference: INFERENCE
output: results
"""


@pytest.fixture
def judged(tmp_path):
    """Return how a run of a study with some inference reads its people, of whom some may be left out."""
    stimuli = draw_faces(tmp_path, identities=4, levels=2, size=32)
    ratings = simulate_ratings(stimuli, participants=5)[0]

    def judge(inference="{}", people=2, lines=None):
        lines = [] if lines is None else lines
        names = list(dict.fromkeys(ratings["participant"]))[:people]
        ratings[ratings["participant"].isin(names)].to_csv(tmp_path / "ratings.csv", index=False)
        (tmp_path / "study.yaml").write_text(STUDY.replace("INFERENCE", inference))
        run = Run(load_study(tmp_path / "study.yaml"), lines.append)
        make_stages(run, ("stimuli", "human RDMs"))
        return run

    return judge


def test_the_factor_that_is_drawn_by_comes_from_the_stimulus_table(judged, tmp_path):
    human = judged("{groups: identity}").array("human_rdms.nc")
    table = pd.read_csv(tmp_path / "stimuli.csv", dtype=str).set_index("stimulus")
    assert human["identity"].values.tolist() == [table["identity"][name] for name in human["stimulus_i"].values]
    assert len(set(human["identity"].values)) == 4


def test_the_identity_is_chosen_from_the_table_and_a_study_without_groups_is_warned(judged, tmp_path):
    human = judged("{draws: 20}", people=5).array("human_rdms.nc")
    values = np.random.default_rng(0).random((2, 8, 8))
    ids = human["stimulus_i"].values
    rdms = xr.DataArray(
        (values + values.transpose(0, 2, 1)) * (1 - np.eye(8)),
        {"rdm": ["alexnet/a", "alexnet/b"], "network": ("rdm", ["alexnet"] * 2), "layer": ("rdm", ["a", "b"]),
         "depth": ("rdm", [0.5, 1.0]), "order": ("rdm", [0, 1]), "stimulus_i": ids, "stimulus_j": ids},
        ("rdm", "stimulus_i", "stimulus_j"),
    )  # fmt: skip
    save(rdms, tmp_path / "results" / "rdms.nc")
    for inference, first in (
        ("{draws: 20}", "by identity, 4 groups of 2 stimuli"),
        ("{draws: 20, groups: none}", ""),
    ):
        lines = []
        run = judged(inference, people=5, lines=lines)
        run.made.add("rdms.nc")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of few groups, and of none
            compare(run)
        result = run.dataset("layers.nc")
        assert result.attrs["groups"] == ("identity" if first else None)
        assert f"stimuli are drawn {first or 'one by one'}" in lines
        warned = [line for line in lines if "groups=None draws 8 stimuli of 4 identities one by one" in line]
        assert len(warned) == (0 if first else 1)


@pytest.mark.parametrize("study", [name for name in embedded_studies() if "demo" in name or "replication" in name])
def test_embedded_studies_of_several_identities_draw_by_them(study):
    path = STUDIES / f"{study}.yaml"
    table = yaml.safe_load(path.read_text("utf-8"))["stimuli"]["table"]
    section = InferenceSection(**yaml.safe_load(path.read_text("utf-8"))["inference"])
    stimuli = read_stimuli(STUDIES / table.removeprefix("package:"))
    ids = stimuli.ids
    human = xr.DataArray(
        np.zeros((1, len(ids), len(ids))),
        {"stimulus_i": ids, "stimulus_j": ids, "identity": ("stimulus_i", stimuli.table["identity"])},
        ("participant", "stimulus_i", "stimulus_j"),
    )
    assert choose_groups(human, section.groups) == "identity"
    assert describe_groups(human, "identity") == "by identity, 6 groups of 9 stimuli"


@pytest.mark.parametrize(
    ("inference", "people", "message"),
    [
        ("{}", 1, "2 participants or more"),
        ("{groups: person}", 2, "person.*identity, level"),
        ("{groups: level}", 2, "Too few groups of 'level' to draw from: 2 of the 3 needed"),
    ],
)
def test_people_who_cannot_be_compared_are_refused_at_once(judged, inference, people, message):
    with pytest.raises(ValueError, match=message):
        judged(inference, people)


@pytest.mark.parametrize(
    ("inference", "message"),
    [
        ("{network: alexnet, baseline: alexnet}", ["'alexnet' is its own"]),
        (
            "{}",
            [
                f"{what}, since no network is called 'fe_alexnet'"
                for what in (
                    "the contrast with a baseline",
                    "where a network turns human-like",
                    "which layers the design tells apart",
                    "how stable the answer is",
                    "how many people and stimuli it takes",
                )
            ],
        ),
        ("{resample: null, network: alexnet}", ["human-like, since nothing is resampled"]),
    ],
)
def test_what_is_left_out_for_want_of_a_network_is_said(tmp_path, inference, message):
    (tmp_path / "stimuli.csv").touch()
    (tmp_path / "ratings.csv").touch()
    (tmp_path / "study.yaml").write_text(STUDY.replace("INFERENCE", inference))
    reasons = [step.hindrance for step in steps_of(load_study(tmp_path / "study.yaml")) if step.hindrance]
    assert len(reasons) == len(message)
    assert all(re.search(part, reason) for part, reason in zip(message, reasons, strict=True))
