"""R, Octave and plain tables: the documented lines run, and CSV files hold what the arrays hold."""

import json
import re
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

import rsa_face as rf
from rsa_face.cli import app
from rsa_face.cli.docs import PAGES

LAYERS = ["alexnet/relu1", "alexnet/relu5", "fe_alexnet/fe"]


@pytest.fixture
def folder(tmp_path):
    """A study's folder, with RDMs of three layers, below the working folder of the lines."""
    results = tmp_path / "results" / "mine"
    results.mkdir(parents=True)
    rng, ids = np.random.default_rng(0), [f"face {n}" for n in range(5)]
    points = rng.normal(size=(3, 5, 2))
    values = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    rdms = xr.DataArray(
        values,
        {"rdm": LAYERS, "network": ("rdm", [name.split("/")[0] for name in LAYERS]),
         "layer": ("rdm", [name.split("/")[1] for name in LAYERS]), "stimulus_i": ids, "stimulus_j": ids},
        ("rdm", "stimulus_i", "stimulus_j"), name="dissimilarity",
    )  # fmt: skip
    rf.save(rdms, results / "rdms.nc")
    pd.DataFrame({"network": ["alexnet"], "layer": ["relu1"], "similarity": [0.5]}).to_csv(
        results / "layers.csv", index=False
    )
    return tmp_path


def lines_of(language: str) -> str:
    page = (PAGES / "r_and_matlab.md").read_text("utf-8")
    return re.search(rf"```{language}\n(.*?)```", page, re.DOTALL)[1]


def run(program: str, words: list[str], folder) -> list[float]:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([program, *words], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return [float(word) for word in done.stdout.split()]


def test_the_lines_of_r_read_what_was_written(folder):
    if (
        shutil.which("Rscript") is None
        or subprocess.run(["Rscript", "-e", "library(ncdf4)"], capture_output=True, check=False).returncode
    ):
        pytest.skip("no R with ncdf4 here (Debian: apt-get install r-base-core r-cran-ncdf4)")
    (folder / "lines.R").write_text(lines_of("r") + 'cat(dim(rdms), relu5[1, 2], layers$similarity, "\\n")\n')
    known = rf.load(folder / "results/mine/rdms.nc").sel(rdm="alexnet/relu5").values[0, 1]
    assert run("Rscript", ["lines.R"], folder) == pytest.approx([5, 5, 3, known, 0.5], abs=1e-6)


def test_the_lines_of_octave_read_what_was_exported(folder):
    assert CliRunner().invoke(app, ["export", str(folder / "results/mine/rdms.nc")]).exit_code == 0
    (folder / "lines.m").write_text(lines_of("octave") + 'printf("%.12f\\n", relu5);\n')
    values = run("octave", ["--no-gui", "--quiet", "lines.m"], folder)
    square = rf.load(folder / "results/mine/rdms.nc").sel(rdm="alexnet/relu5").values
    np.testing.assert_allclose(values, square[np.triu_indices(5, 1)])


def test_rdms_are_exported_pair_by_pair(folder):
    file = folder / "results/mine/rdms.nc"
    done = CliRunner().invoke(app, ["export", str(file), "--layer", "fe", "--out", str(folder / "fe.csv")])
    assert done.exit_code == 0
    table = pd.read_csv(folder / "fe.csv")
    assert list(table) == ["stimulus_i", "stimulus_j", "fe_alexnet/fe"]
    assert len(table) == 10
    first = rf.load(file).sel(rdm="fe_alexnet/fe", stimulus_i="face 0", stimulus_j="face 1").item()
    assert table["fe_alexnet/fe"][0] == first
    wrong = CliRunner().invoke(app, ["export", str(file), "--layer", "fee"])
    assert isinstance(wrong.exception, ValueError)
    assert "'fee'" in str(wrong.exception)


def test_a_study_file_is_checked_without_running_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["check", "demo", "--json"])
    report = json.loads(done.stdout)
    assert (report["stimuli"], report["participants"]) == (54, 20)
    assert report["stages"]["training of fe_alexnet"] == "to run"
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "study.yaml").write_text("name: x\nstimuli: {tabel: a.csv}\n")
    wrong = CliRunner().invoke(app, ["check", "study.yaml"])
    assert "line 2: stimuli.tabel: is not a key here" in str(wrong.exception)
