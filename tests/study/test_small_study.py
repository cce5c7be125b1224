"""The whole path: a study file in, a table and two figures out; nothing is run twice; ids rule, not positions."""

import json

import numpy as np
import pandas as pd
import pytest

import rsa_face as rf
from rsa_face.cli import main
from rsa_face.human.observers import simulate_ratings
from rsa_face.report.narrate import tell_study
from rsa_face.stimuli.faces import draw_faces
from rsa_face.study.config import load_study
from rsa_face.study.graph import run_study

STUDY = """\
name: small
stimuli: {table: stimuli.csv}
networks:
  - {name: alexnet, classes: 1000, preprocessing: &small {resize: 64, crop: 64}}
  - {name: fe_alexnet, classes: 1000, preprocessing: *small}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100]}}
inference: {comparison: rho-a}
output: results
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    stimuli = draw_faces(folder, identities=2, levels=3, size=64)
    simulate_ratings(stimuli, participants=3)[0].to_csv(folder / "ratings.csv", index=False)
    (folder / "study.yaml").write_text(STUDY)
    run_study(load_study(folder / "study.yaml"))
    return folder


def test_a_study_writes_tables_arrays_and_figures(folder):
    for name in ("layers.csv", "layers.nc", "rdms.nc", "human_rdms.nc", "manifest.json", "stimuli.csv"):
        assert (folder / "results" / name).stat().st_size > 0
    for name in ("layers.pdf", "layers.png", "rdms.pdf", "rdms.png"):
        assert (folder / "results" / "figures" / name).stat().st_size > 1000
    table = pd.read_csv(folder / "results" / "layers.csv")
    assert table.groupby("network", sort=False).size().to_dict() == {"alexnet": 8, "fe_alexnet": 9}
    assert (table["noise_ceiling_lower"] <= table["noise_ceiling_upper"]).all()
    assert table["simulated"].all()


def test_what_is_simulated_or_untrained_is_labelled(folder):
    result = rf.load(folder / "results" / "layers.nc")
    assert result.attrs["simulated"] is True
    assert result.attrs["untrained"] == ["alexnet", "fe_alexnet"]


def test_a_second_run_does_nothing(folder):
    lines = []
    run_study(load_study(folder / "study.yaml"), progress=False, say=lines.append)
    done = [line for line in lines if not line.startswith("left out")]
    assert done
    assert all(line.endswith("up to date") for line in done)


def test_shuffled_tables_give_the_same_similarities(folder, tmp_path):
    stimuli = pd.read_csv(folder / "results" / "stimuli.csv").sample(frac=1, random_state=1)
    stimuli.to_csv(tmp_path / "stimuli.csv", index=False)
    pd.read_csv(folder / "ratings.csv").sample(frac=1, random_state=2).to_csv(tmp_path / "ratings.csv", index=False)
    (tmp_path / "study.yaml").write_text(STUDY)
    run_study(load_study(tmp_path / "study.yaml"))
    first, second = (rf.load(where / "results" / "layers.nc") for where in (folder, tmp_path))
    np.testing.assert_allclose(second["similarity"].sel(rdm=first["rdm"]), first["similarity"], atol=1e-6)


def test_stimuli_that_were_not_judged_are_named(folder, tmp_path, capsys):
    ratings = pd.read_csv(folder / "ratings.csv")
    lone = "id01_level01"
    rest = ratings[(ratings["stimulus_a"] != lone) & (ratings["stimulus_b"] != lone)]
    rest.to_csv(tmp_path / "ratings.csv", index=False)
    pd.read_csv(folder / "results" / "stimuli.csv").to_csv(tmp_path / "stimuli.csv", index=False)
    (tmp_path / "study.yaml").write_text(STUDY)
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(tmp_path / "study.yaml"), "--quiet"])
    output = capsys.readouterr().err
    assert stopped.value.code == 2
    assert lone in output
    assert "Traceback" not in output


def test_layers_prints_shapes_and_depths(capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["layers", "fe_alexnet", "--json"])
    rows = json.loads(capsys.readouterr().out)
    assert stopped.value.code == 0
    gate = next(row for row in rows if row["layer"] == "fe_gate")
    assert (gate["shape"], gate["module"]) == ([256], "features.fe.gate")
    assert rows[-1]["depth"] == 1


@pytest.mark.parametrize(
    ("words", "named"),
    [(["run", "gone.yaml"], "gone.yaml"), (["layers", "resnet"], "resnet"), (["status", "nowhere"], "nowhere")],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(words, named, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(words)
    output = capsys.readouterr().err
    assert stopped.value.code == 2
    assert named in output
    assert "Traceback" not in output


def test_rdms_are_of_the_stimuli_that_are_asked_for(folder):
    text = STUDY.replace("table: stimuli.csv", "table: stimuli.csv, occlusion: [none, mouth]")
    text = text.replace("[0, 100]}}", "[0, 100]}, where: {occlusion: none}}").replace("results", "whole")
    text += 'caveats: ["These faces were drawn."]\n'
    (folder / "whole.yaml").write_text(text + "activations: {layers: [fc8], where: {occlusion: none}}\n")
    results = run_study(load_study(folder / "whole.yaml"))
    assert len(rf.read_stimuli(results / "stimuli.csv")) == 12
    rdms = rf.load(results / "rdms.nc")
    assert rdms.sizes["stimulus_i"] == 6
    assert set(rdms["occlusion"].values.tolist()) == {"none"}
    assert "These faces were drawn." in tell_study(results)
