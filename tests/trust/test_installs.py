"""What an install must do that a test can see: name a missing extra, work in any folder, leave the package alone."""

import sys
from pathlib import Path

import pytest

import rsa_face
from rsa_face.cli import main
from tests.trust.installs import FACES, STUDY, WITHOUT_EXTRAS

OF_EXTRAS = ("distributed", "huggingface_hub", "psignifit", "anny", "torch.utils.tensorboard")


def test_each_missing_extra_gives_the_command_that_installs_it(monkeypatch, capsys):
    for name in OF_EXTRAS:
        monkeypatch.setitem(sys.modules, name, None)
    exec(WITHOUT_EXTRAS, {})
    assert capsys.readouterr().out == "cluster, hf, psignifit, faces, tensorboard\n"


def written(folder):
    return {file: file.stat().st_mtime_ns for file in folder.rglob("*") if "__pycache__" not in file.parts}


def test_a_study_runs_in_a_folder_of_any_name_and_writes_nothing_into_the_package(tmp_path, monkeypatch):
    folder = tmp_path / "Gesichter für 顔, 100 % ß"
    folder.mkdir()
    monkeypatch.chdir(folder)
    before = written(Path(rsa_face.__file__).parent)
    exec(FACES, {})
    Path("study.yaml").write_text(STUDY)
    for words in (["run", "study.yaml", "-q"], ["report", "Ergebnisse é"], ["status", "Ergebnisse é"]):
        with pytest.raises(SystemExit) as stopped:
            main(words)
        assert not stopped.value.code
    assert Path("Ergebnisse é/figures/layers.png").stat().st_size > 1000
    assert written(Path(rsa_face.__file__).parent) == before
