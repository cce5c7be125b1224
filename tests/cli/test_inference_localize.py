"""``rsa-face localize`` writes what `localize` returns, and says what is wrong in a line."""

from pathlib import Path

import numpy as np
import pytest
import xarray as xr

from rsa_face.cli import main
from rsa_face.inference.localization import localize
from rsa_face.inference.rsa import compare_layers
from rsa_face.provenance import load, save
from tests.inference.simulated import simulate


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shares = {f"{network}/l{place}": 0.1 + 0.3 * place for network in ("alexnet", "fe_alexnet") for place in range(3)}
    rdms, human = simulate(shares, stimuli=40, participants=12, rng=np.random.default_rng(0))
    human = human + (1 - np.eye(40)) * abs(float(human.min()))  # no dissimilarity of people is negative
    save(rdms, tmp_path / "rdms.nc")
    save(human, tmp_path / "human.nc")
    save(compare_layers(rdms, human, comparison="corr", resample="dual", draws=40, seed=0), tmp_path / "result.nc")
    return tmp_path


def _run(*words: str) -> int:
    with pytest.raises(SystemExit) as left:
        main(list(words))
    return int(left.value.code or 0)


def test_it_writes_what_localize_returns_and_its_path(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "where.nc"
    assert _run("localize", str(folder / "result.nc"), "--out", str(out)) == 0
    printed = capsys.readouterr().out
    assert "These are simulated data." in printed
    assert "most like people" in printed
    assert "noise ceiling" in printed
    assert str(out) in printed
    expected = localize(load(folder / "result.nc"))
    xr.testing.assert_allclose(load(out), expected)


def test_picked_layers_are_evaluated_on_what_was_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = ["--rdms", str(folder / "rdms.nc"), "--human", str(folder / "human.nc"), "--out", str(folder / "w.nc")]
    assert _run("localize", str(folder / "result.nc"), *files) == 0
    assert "there for the layer that they help to pick)" in capsys.readouterr().out
    assert "held_out_similarity" in load(folder / "w.nc")


def test_a_wrong_request_says_so_in_a_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _run("localize", str(folder / "result.nc"), "--network", "vgg16") == 2
    assert "'vgg16'" in capsys.readouterr().err
    assert _run("localize", str(folder / "rdms.nc")) == 2
    assert "single array" in capsys.readouterr().err
    assert _run("localize", str(folder / "absent.nc")) == 2
    assert _run("localize", str(folder / "result.nc"), "--rdms", str(folder / "rdms.nc")) == 2
    assert "--human is None" in capsys.readouterr().err
