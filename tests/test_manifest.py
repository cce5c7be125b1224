"""A stage runs again exactly when what it rests on changed, or what it made is gone or damaged."""

import pytest

from rsa_face.manifest import Manifest


@pytest.fixture
def manifest(tmp_path):
    return Manifest(tmp_path, lambda _line: None)


def runs_of(manifest, **inputs):
    ran = []

    def make():
        ran.append(1)
        (manifest.folder / "made.txt").write_text("made")

    manifest.stage("making", make, inputs=inputs, outputs=["made.txt"])
    return len(ran)


def test_a_stage_runs_once_for_the_same_inputs(manifest):
    assert [runs_of(manifest, seed=0), runs_of(manifest, seed=0)] == [1, 0]


def test_a_changed_input_runs_the_stage_again(manifest):
    assert [runs_of(manifest, seed=0), runs_of(manifest, seed=1)] == [1, 1]


@pytest.mark.parametrize("damage", ["made", "gone"])
def test_a_damaged_output_is_made_again(manifest, damage):
    runs_of(manifest, seed=0)
    file = manifest.folder / "made.txt"
    file.write_text("mad") if damage == "made" else file.unlink()
    assert runs_of(manifest, seed=0) == 1
    assert file.read_text() == "made"


def test_a_stage_that_fails_is_not_recorded(manifest):
    with pytest.raises(OSError, match="disk full"):
        manifest.stage("making", lambda: (_ for _ in ()).throw(OSError("disk full")), inputs={}, outputs=[])
    assert manifest.read()["stages"] == {}


def test_a_damaged_manifest_is_named(manifest):
    (manifest.folder / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match=r"manifest\.json.*Remove it"):
        manifest.read()
