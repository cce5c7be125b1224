"""rsa-face compare works from arrays on disk, says what it wrote, and refuses in one line."""

import json

import pytest

import rsa_face as rf
from rsa_face.cli import main
from tests.inference.conftest import make_vectors, to_array


@pytest.fixture
def files(tmp_path):
    x, y = make_vectors(9, 3, 4, seed=0)
    rdms, human = (
        rf.save(to_array(x, "rdm"), tmp_path / "r.nc"),
        rf.save(to_array(y, "participant"), tmp_path / "h.nc"),
    )
    return str(rdms), str(human), str(tmp_path / "result.nc")


def run(*words):
    with pytest.raises(SystemExit) as stopped:
        main(list(words))
    return stopped.value.code


def test_compare_writes_what_compare_layers_returns(files, capsys):
    rdms, human, out = files
    assert run("compare", rdms, human, "--resample", "dual", "--draws", "50", "--out", out) == 0
    expected = rf.compare_layers(rf.load(rdms), rf.load(human), resample="dual", draws=50)
    assert rf.load(out).identical(expected)
    printed = capsys.readouterr().out
    assert "rdm2" in printed
    assert printed.strip().splitlines()[-1].endswith("result.nc")


def test_compare_prints_json_for_programs(files, capsys):
    rdms, human, out = files
    assert run("compare", rdms, human, "--resample", "none", "--out", out, "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert [row["layer"] for row in printed["layers"]] == ["rdm0", "rdm1", "rdm2"]
    assert printed["path"] == out


@pytest.mark.parametrize(
    ("words", "expected"),
    [(("--comparison", "euclid"), "'euclid'"), (("--out", "result.csv"), "'result.csv'"), (("--draws", "1"), "is 1")],
)
def test_a_wrong_request_is_said_in_a_line(files, capsys, words, expected):
    assert run("compare", *files[:2], *words) == 2
    assert expected in capsys.readouterr().err
