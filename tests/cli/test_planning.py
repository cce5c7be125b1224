"""``rsa-face plan``: from a study's comparison, or before there are people."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import rsa_face as rf
from rsa_face.cli import main
from rsa_face.figures.planning import hardest_rival
from rsa_face.report.narrate import plan_sentence
from tests.inference.simulated import simulate

SHARES = {"alexnet/relu1": 0.1, "alexnet/relu5": 0.5, "alexnet/fc8": 0.9}
STUDY = """\
name: pilot
stimuli: {table: stimuli.csv}
networks: [{name: alexnet}]
inference: {network: alexnet, baseline: alexnet, comparison: corr}
output: results
"""


@pytest.fixture(scope="module")
def pilot(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pilot")
    rdms, human = simulate(SHARES, stimuli=10, participants=6, rng=np.random.default_rng(0))
    Image.new("RGB", (8, 8)).save(folder / "face.png")
    table = pd.DataFrame({"stimulus": rdms["stimulus_i"].values, "file": "face.png"})
    table.to_csv(folder / "stimuli.csv", index=False)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "results").mkdir()
    rf.save(rdms, folder / "results" / "rdms.nc")
    return folder, rf.compare_layers(rdms, human, comparison="corr", draws=60)


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["plan", *map(str, words)])
    return int(left.value.code or 0)


def test_a_plan_is_a_table_a_figure_and_a_sentence(pilot, tmp_path, capsys):
    folder, result = pilot
    rf.save(result, folder / "results" / "layers.nc")
    words = ["--participants", "6,24", "--stimuli", "10,40", "--out", tmp_path / "plan"]
    try:
        assert run(folder / "study.yaml", *words) == 0
    finally:
        (folder / "results" / "layers.nc").unlink()
    printed = capsys.readouterr().out
    planned = rf.load(tmp_path / "plan" / "plan.nc")
    assert planned["participants"].values.tolist() == [6, 24]
    assert f"To tell fc8 from {hardest_rival(planned)} at 80%: " in printed
    assert plan_sentence(planned) in printed
    assert "Simulated" in printed
    assert len(pd.read_csv(tmp_path / "plan" / "plan.csv")) == 4
    assert (tmp_path / "plan" / "power.png").stat().st_size > 1000


def test_before_there_are_people_they_are_simulated_as_they_are_assumed(pilot, tmp_path, capsys):
    folder, _ = pilot
    words = ["--agreement", "0.3", "--people", "6", "--truth", "relu5", "--draws", "40", "--json"]
    assert run(folder / "study.yaml", *words, "--layers", "relu5,relu1", "--out", tmp_path / "plan") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["attrs"]["peak"] == "relu5"
    assert told["attrs"]["simulated"] is True
    assert "To tell relu5 from relu1" in told["sentence"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "--agreement"),
        (["--agreement", "0.3", "--truth", "fe"], "'fe'"),
        (["--agreement", "0.3", "--participants", "ten"], "'ten'"),
        (["--agreement", "3"], "agreement` is 3"),
        (["--output", "elsewhere"], "elsewhere"),
    ],
)
def test_what_cannot_be_planned_is_said_without_a_traceback(pilot, words, told, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(pilot[0] / "study.yaml", "--draws", "30", *words) != 0
    error = capsys.readouterr().err
    assert told in error
    assert "Traceback" not in error
