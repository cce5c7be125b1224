"""A stage runs again exactly when what it rests on changed, or what it made is gone or damaged."""

import json

import pytest

from rsa_face.study.graph import Manifest


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


def later(manifest):
    """Return the manifest of a later run, and what it says."""
    lines = []
    return Manifest(manifest.folder, lines.append), lines


def wrote(manifest, name, *files):
    def make():
        for file in files:
            (manifest.folder / file).parent.mkdir(parents=True, exist_ok=True)
            (manifest.folder / file).write_text(name)

    manifest.stage(name, make, inputs={"files": files}, outputs=files)


def test_files_of_a_stage_that_left_are_set_aside_and_come_back_with_it(manifest):
    wrote(manifest, "training", "training.csv", "weights/alexnet.txt")
    wrote(manifest, "comparison", "layers.csv")
    second, lines = later(manifest)
    wrote(second, "comparison", "layers.csv")
    second.set_aside_rest()
    files = {str(file.relative_to(manifest.folder)) for file in manifest.folder.rglob("*.*") if file.is_file()}
    aside = {"set_aside/training.csv", "set_aside/weights/alexnet.txt"}
    assert files == {"manifest.json", "layers.csv", *aside}
    assert "training: not in the study any more; training.csv, weights/alexnet.txt moved to" in lines[-1]
    third, lines = later(manifest)
    wrote(third, "training", "training.csv", "weights/alexnet.txt")
    wrote(third, "comparison", "layers.csv")
    third.set_aside_rest()
    assert lines == ["training: up to date", "comparison: up to date"]
    assert (manifest.folder / "weights" / "alexnet.txt").read_text() == "training"
    assert not (manifest.folder / "set_aside").exists()


def test_a_file_that_another_stage_writes_now_is_neither_set_aside_nor_written_over(manifest):
    wrote(manifest, "minus alexnet", "contrast.csv")
    second, _ = later(manifest)
    second.set_aside_rest()
    wrote(second, "minus vgg11", "contrast.csv")
    third, _ = later(manifest)
    wrote(third, "minus vgg11", "contrast.csv")
    wrote(third, "minus alexnet", "contrast_alexnet.csv")
    third.set_aside_rest()
    assert (manifest.folder / "contrast.csv").read_text() == "minus vgg11"
    assert (manifest.folder / "contrast_alexnet.csv").read_text() == "minus alexnet"


def test_a_kill_while_files_are_set_aside_or_come_back_loses_nothing(manifest, monkeypatch):
    wrote(manifest, "training", "a.csv", "b.csv")

    def killed(step):
        with monkeypatch.context() as patched:
            patched.setattr("pathlib.Path.replace", half)
            with pytest.raises(KeyboardInterrupt):
                step()

    moved, replace = [], type(manifest.folder).replace

    def half(self, target):
        if self.suffix == ".csv":
            moved.append(self)
            if len(moved) % 2 == 0:
                raise KeyboardInterrupt
        return replace(self, target)

    second, _ = later(manifest)
    killed(second.set_aside_rest)
    second.set_aside_rest()
    third, lines = later(manifest)
    killed(lambda: wrote(third, "training", "a.csv", "b.csv"))
    wrote(third, "training", "a.csv", "b.csv")
    assert lines == ["training: up to date"]
    assert [(manifest.folder / name).read_text() for name in ("a.csv", "b.csv")] == ["training", "training"]


def test_what_a_stage_wrote_last_time_and_no_more_is_removed(manifest):
    wrote(manifest, "figures", "layers.png", "contrast.png")
    wrote(manifest, "figures", "layers.png")
    assert not (manifest.folder / "contrast.png").exists()
    assert (manifest.folder / "layers.png").is_file()


def test_files_a_stage_says_it_wrote_are_held_to_being_whole(manifest):
    def make():
        for name in ("made.txt", "more.txt"):
            (manifest.folder / name).write_text("made")
        return [manifest.folder / "more.txt"]

    ran = []
    for _ in range(2):
        manifest.stage("making", lambda: ran.append(1) or make(), inputs={}, outputs=["made.txt"])
    (manifest.folder / "more.txt").unlink()
    manifest.stage("making", lambda: ran.append(1) or make(), inputs={}, outputs=["made.txt"])
    assert len(ran) == 2


def test_a_damaged_manifest_is_named(manifest):
    (manifest.folder / "manifest.json").write_text("{")
    with pytest.raises(ValueError, match=r"manifest\.json.*Remove it"):
        manifest.read()


def test_a_manifest_that_says_something_else_than_was_written_is_named(manifest):
    manifest.note(weights={"alexnet": "ab12"})
    file = manifest.folder / "manifest.json"
    file.write_text(file.read_text("utf-8").replace("ab12", "ab13"), "utf-8")
    with pytest.raises(ValueError, match=r"manifest\.json' was changed since it was written\. Remove it"):
        manifest.read()


@pytest.mark.parametrize("name", ["../outside.txt", "/tmp/outside.txt"])
def test_a_manifest_that_names_files_elsewhere_is_refused_and_they_stay(tmp_path, name):
    outside = tmp_path / "outside.txt"
    outside.write_text("mine", "utf-8")
    folder = tmp_path / "results"
    folder.mkdir()
    entry = {"fingerprint": "x", "inputs": {}, "outputs": {name: "0"}}
    (folder / "manifest.json").write_text(json.dumps({"stages": {"old": entry}}), "utf-8")
    with pytest.raises(ValueError, match="not a record of stages with their outputs"):
        Manifest(folder, lambda _: None).set_aside_rest()
    assert outside.read_text("utf-8") == "mine"
