"""rsa-face compare works from arrays on disk, says what it wrote, and refuses in one line."""

import json

import pytest

import rsa_face as rf
from rsa_face.cli import main
from rsa_face.inference.rsa import correct_layers
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
    assert run("compare", rdms, human, "--draws", "50", "--out", out) == 0
    arrays = rf.load(rdms), rf.load(human)
    expected = rf.compare_layers(*arrays, resample="dual", draws=50)
    expected = correct_layers(expected, rdms=arrays[0], human=arrays[1])
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
    [
        (("--comparison", "euclid"), "'euclid'"),
        (("--out", "result.csv"), "'result.csv'"),
        (("--draws", "1"), "is 1"),
        (("--correction", "bonferroni"), "'bonferroni'"),
    ],
)
def test_a_wrong_request_is_said_in_a_line(files, capsys, words, expected):
    assert run("compare", *files[:2], *words) == 2
    assert expected in capsys.readouterr().err


def test_what_controls_leave_stands_beside_the_raw(files, tmp_path, capsys):
    rdms, human, out = files
    control = rf.save(rf.load(rdms)[:1], tmp_path / "control.nc")
    assert run("compare", rdms, human, "--draws", "50", "--controls", str(control), "--out", out, "--json") == 0
    rows = json.loads(capsys.readouterr().out)["layers"]
    assert rows[0]["partial_similarity"] == 0
    assert rows[1]["partial_similarity"] != rows[1]["similarity"]
    assert rf.load(out).attrs["controls"] == ["rdm0"]


def test_identities_are_drawn_as_wholes_unless_asked_not_to_be(tmp_path, capsys):
    x, y = make_vectors(12, 3, 4, seed=0)
    rdms = to_array(x, "rdm").assign_coords(identity=("stimulus_i", [*"aabbccddeeff"]))
    files = [str(rf.save(rdms, tmp_path / "r.nc")), str(rf.save(to_array(y, "participant"), tmp_path / "h.nc"))]
    out = str(tmp_path / "result.nc")
    assert run("compare", *files, "--draws", "50", "--out", out) == 0
    printed = capsys.readouterr().out
    assert "Stimuli are drawn by identity (6 groups); --groups none draws them one by one." in printed
    assert "p above 0: t test over other stimuli and participants." in printed
    assert rf.load(out).attrs["groups"] == "identity"
    with pytest.warns(UserWarning, match="12 stimuli of 6 identities one by one"):
        assert run("compare", *files, "--draws", "50", "--groups", "none", "--out", out) == 0
    assert "p above 0: by shuffled stimulus labels." in capsys.readouterr().out


def test_three_stimuli_are_compared_without_shuffling(files, tmp_path, capsys):
    rdms, human, out = files
    for file in (rdms, human):
        whole = rf.load(file)
        rf.save(whole[:, :3, :3], tmp_path / f"few-{file.rsplit('/', 1)[1]}")
    few = [str(tmp_path / name) for name in ("few-r.nc", "few-h.nc")]
    with pytest.warns(UserWarning, match=r"3 stimuli \(at least 5"):
        assert run("compare", *few, "--draws", "50", "--correction", "holm", "--out", out) == 0
    assert "p_above_zero_corrected" in rf.load(out)
    assert "drawn again" in capsys.readouterr().out
