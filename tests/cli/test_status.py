"""``rsa-face status`` tells done stages from stale and missing ones, and why."""

import json
from pathlib import Path

import pytest

from rsa_face.cli.study import status
from rsa_face.provenance import code_hash, hash_file
from rsa_face.study.graph import Manifest, states_of


@pytest.fixture
def study(tmp_path) -> Path:
    folder, table = tmp_path / "mine", tmp_path / "ratings.csv"
    folder.mkdir()
    table.write_text("a rating\n")
    manifest = Manifest(folder, lambda _: None)
    code = {"human": code_hash("human")}
    inputs = {"code": code, "files": {str(table): hash_file(table)}, "settings": {"human": {"where": {}}}}
    manifest.stage("human", lambda: (folder / "human.nc").write_text("h"), inputs=inputs, outputs=["human.nc"])
    rests_on = {"code": {}, "reads": {"human.nc": manifest.outputs()["human.nc"]}, "settings": {"draws": (10, 20)}}
    manifest.stage("result", lambda: (folder / "layers.nc").write_text("r"), inputs=rests_on, outputs=["layers.nc"])
    manifest.note(name="mine")
    return folder


def states(folder: Path) -> dict[str, tuple[str, str]]:
    return {stage.name: (stage.state, stage.reason) for stage in states_of(folder)}


def test_a_study_that_is_up_to_date_is_done(study):
    assert states(study) == {"human": ("done", ""), "result": ("done", "")}


def test_a_file_that_is_gone_is_missing_and_what_rests_on_it_stale(study):
    (study / "human.nc").unlink()
    assert states(study) == {"human": ("missing", "no human.nc"), "result": ("stale", "rests on human")}


def test_a_file_that_was_written_over_is_stale(study):
    (study / "layers.nc").write_text("other")
    assert states(study)["result"] == ("stale", "layers.nc is not what the stage wrote")


def test_data_that_changed_since_make_a_stage_stale(study):
    (study.parent / "ratings.csv").write_text("another\n")
    state, reason = states(study)["human"]
    assert state == "stale"
    assert "ratings.csv has changed" in reason


def test_other_code_makes_a_stage_stale(study, monkeypatch):
    monkeypatch.setattr("rsa_face.study.graph.code_hash", lambda _: "another")
    assert states(study) == {
        "human": ("stale", "the code of human has changed"),
        "result": ("stale", "rests on human"),
    }


def test_a_stage_that_left_the_study_is_aside_and_makes_nothing_stale(study):
    later = Manifest(study, lambda _: None)
    kept = later.read()["stages"]["result"]["inputs"]
    later.stage("result", lambda: None, inputs={**kept, "settings": {"draws": (10, 20)}}, outputs=["layers.nc"])
    later.set_aside_rest()
    reason = "not in the study any more; its files lie in set_aside"
    assert states(study) == {"human": ("aside", reason), "result": ("done", "")}
    assert {stage.name: stage.size for stage in states_of(study)} == {"human": 1, "result": 1}


def test_every_study_under_a_folder_is_shown_with_its_size(study, capsys):
    status(study.parent)
    said = capsys.readouterr().out
    assert f"{study}: mine" in said
    assert "1 B  done" in said
    status(study.parent, as_json=True)
    assert [stage["name"] for stage in json.loads(capsys.readouterr().out)[str(study)]] == ["human", "result"]


def test_what_a_stopped_run_has_yet_to_do_is_missing(study, capsys):
    manifest = Manifest(study, lambda _: None)
    manifest.note(begun={"name": "yours", "stages": ["human", "result", "figures"]})
    assert states(study) == {"human": ("done", ""), "result": ("done", ""), "figures": ("missing", "not run yet")}
    status(study.parent)
    assert f"{study}: yours, unfinished" in capsys.readouterr().out
    manifest.note(begun=None)
    assert set(states(study)) == {"human", "result"}


def test_a_folder_without_studies_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        status(tmp_path)


def test_a_folder_that_does_not_exist_is_said_not_to(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such folder: '.*absent'"):
        status(tmp_path / "absent")
