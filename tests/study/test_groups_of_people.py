"""A study that compares two groups of participants: from a table of participants to the report."""

import numpy as np
import pandas as pd
import pytest

import rsa_face as rf
from rsa_face.human.observers import simulate_ratings
from rsa_face.report.page import write_report
from rsa_face.stimuli.faces import draw_faces
from rsa_face.study.config import load_study
from rsa_face.study.graph import run_study

STUDY = """\
name: groups
stimuli: {table: stimuli.csv}
networks: [{name: alexnet, classes: 1000, preprocessing: {resize: 64, crop: 64}}]
activations: {layers: [relu1, relu5, fc8]}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100], layout: {participants: PEOPLE}}}
inference: {draws: 30, network: alexnet, baseline: alexnet, contrast_groups: {factor: FACTOR, people: [old, young]}}
output: results
"""


def study(folder, factor):
    return STUDY.replace("FACTOR", factor).replace("PEOPLE", "people.csv")  # beside the study file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("groups")
    stimuli = draw_faces(folder, identities=5, levels=3, size=64)
    ratings, _ = simulate_ratings(stimuli, participants=8)
    ratings.to_csv(folder / "ratings.csv", index=False)
    people = sorted(ratings["participant"].unique())
    pd.DataFrame({"participant": people, "age": ["old", "young"] * 4}).to_csv(folder / "people.csv", index=False)
    return folder


def test_groups_are_compared_drawn_and_reported(folder):
    (folder / "study.yaml").write_text(study(folder, "age"))
    run_study(load_study(folder / "study.yaml"))
    result = rf.load(folder / "results" / "people.nc")
    assert result["participants"].values.tolist() == [4, 4]
    table = pd.read_csv(folder / "results" / "people.csv")
    np.testing.assert_allclose(table["similarity_old"] - table["similarity_young"], table["difference"], atol=2e-6)
    assert (folder / "results" / "figures" / "people.png").stat().st_size > 1000
    page = write_report(folder / "results").read_text("utf-8")
    assert "4 old and 4 young" in page
    assert 'data-name="people"' in page


def test_a_factor_that_participants_lack_is_refused_before_anything_is_recorded(folder, tmp_path):
    text = study(folder, "site").replace("output: results", f"output: {tmp_path}/results")
    (folder / "other.yaml").write_text(text)
    with pytest.raises(ValueError, match="Unknown factor of participants: 'site'"):
        run_study(load_study(folder / "other.yaml"))
    assert not list(tmp_path.glob("results/rdms*"))
