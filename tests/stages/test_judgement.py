"""What people judged is held to being comparable before anything is trained, and knows the groups it is drawn by."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml

from rsa_face.human.observers import simulate_ratings
from rsa_face.inference.resampling import UngroupedWarning, choose_groups, describe_groups
from rsa_face.inference.rsa import compare_layers
from rsa_face.provenance import save
from rsa_face.stimuli.catalogue import read_stimuli
from rsa_face.stimuli.faces import draw_faces
from rsa_face.study.comparing import compare, contrast_networks
from rsa_face.study.config import embedded_studies, load_study
from rsa_face.study.judgement import judge_stimuli
from rsa_face.study.manifest import Manifest
from rsa_face.study.sections import InferenceSection
from rsa_face.study.values import STUDIES
from tests.inference.simulated import simulate

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
    """Return how a study with some inference reads its people, of whom some may be left out."""
    stimuli = draw_faces(tmp_path, identities=4, levels=2, size=32)
    ratings = simulate_ratings(stimuli, participants=5)[0]

    def judge(inference="{}", people=2):
        names = list(dict.fromkeys(ratings["participant"]))[:people]
        ratings[ratings["participant"].isin(names)].to_csv(tmp_path / "ratings.csv", index=False)
        (tmp_path / "study.yaml").write_text(STUDY.replace("INFERENCE", inference))
        return judge_stimuli(
            load_study(tmp_path / "study.yaml"), stimuli, Manifest(tmp_path / "results", lambda _: None)
        )

    return judge


def test_the_factor_that_is_drawn_by_comes_from_the_stimulus_table(judged, tmp_path):
    human = judged("{groups: identity}")
    table = pd.read_csv(tmp_path / "stimuli.csv", dtype=str).set_index("stimulus")
    assert human["identity"].values.tolist() == [table["identity"][name] for name in human["stimulus_i"].values]
    assert len(set(human["identity"].values)) == 4


def test_the_identity_is_chosen_from_the_table_and_a_study_without_groups_is_warned(judged, tmp_path):
    human = judged("{draws: 20}", people=5).drop_vars("identity")
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
        said = []
        human = judged(inference, people=5)
        study = load_study(tmp_path / "study.yaml")
        stimuli, manifest = read_stimuli(tmp_path / "stimuli.csv"), Manifest(tmp_path / "results", said.append)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UngroupedWarning)
            result = compare(study, stimuli, rdms, human, manifest, progress=False)
        assert result.attrs["groups"] == ("identity" if first else None)
        assert f"stimuli are drawn {first or 'one by one'}" in said
        warned = [line for line in said if "groups=None draws 8 stimuli of 4 identities one by one" in line]
        assert len(warned) == (0 if first else 1)


@pytest.mark.parametrize("study", [name for name in embedded_studies() if name != "kriegeskorte92"])  # no identities
def test_embedded_studies_of_several_identities_draw_by_them(study):
    path = STUDIES / f"{study}.yaml"
    table = yaml.safe_load(path.read_text("utf-8"))["stimuli"]["table"]
    asked = InferenceSection(**yaml.safe_load(path.read_text("utf-8"))["inference"])
    stimuli = read_stimuli(STUDIES / table.removeprefix("package:"))
    ids = stimuli.ids
    human = xr.DataArray(
        np.zeros((1, len(ids), len(ids))),
        {"stimulus_i": ids, "stimulus_j": ids, "identity": ("stimulus_i", stimuli.table["identity"])},
        ("participant", "stimulus_i", "stimulus_j"),
    )
    assert choose_groups(human, asked.groups) == "identity"
    assert describe_groups(human, "identity") == "by identity, 6 groups of 9 stimuli"


@pytest.mark.parametrize(
    ("inference", "people", "said"),
    [
        ("{}", 1, "At least 2 participants"),
        ("{groups: person}", 2, "person.*identity, level"),
        ("{groups: level}", 2, "At least 3 groups of 'level' .* but there are 2"),
    ],
)
def test_people_who_cannot_be_compared_are_refused_at_once(judged, inference, people, said):
    with pytest.raises(ValueError, match=said):
        judged(inference, people)


@pytest.mark.parametrize(
    ("inference", "said"),
    [
        ("{network: alexnet}", ["no network is called 'vgg11'"]),
        ("{network: alexnet, baseline: alexnet}", ["'alexnet' is its own"]),
        ("{}", ["no network is called 'fe_alexnet'", "no network is called 'vgg11'"]),
    ],
)
def test_what_is_left_out_for_want_of_a_network_is_said(tmp_path, inference, said):
    rdms, human = simulate(
        {"alexnet/a": 0.4, "alexnet/b": 0.5}, stimuli=8, participants=3, rng=np.random.default_rng(0)
    )
    (tmp_path / "stimuli.csv").touch()
    (tmp_path / "ratings.csv").touch()
    (tmp_path / "study.yaml").write_text(STUDY.replace("INFERENCE", inference))
    told = []
    study = load_study(tmp_path / "study.yaml")
    if "baseline" not in inference:
        study = study.model_copy(update={"inference": study.inference.model_copy(update={"baseline": "vgg11"})})
    contrast_networks(study, compare_layers(rdms, human, draws=20), Manifest(tmp_path / "results", told.append))
    left = [line for line in told if line.startswith("left out")]
    assert len(left) == len(said)
    assert all(part in line for part, line in zip(said, left, strict=True))
