"""What an install must do that a test can see: name a missing extra, work in any folder, leave the package alone."""

import sys
from pathlib import Path

import pytest

import rsa_face
from rsa_face.cli import main

STUDY = """\
name: small
stimuli: {table: stimuli.csv}
networks:
  - {name: alexnet, preprocessing: &small {resize: 64, crop: 64}}
  - {name: fe_alexnet, preprocessing: *small}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100]}}
inference: {comparison: rho-a, resample: dual, draws: 20}
output: Ergebnisse é
"""

FACES = """\
from rsa_face.human.observers import simulate_ratings
from rsa_face.stimuli.faces import draw_faces
stimuli = draw_faces(".", identities=2, levels=3, size=64)
simulate_ratings(stimuli, participants=3)[0].to_csv("ratings.csv", index=False)
"""

WITHOUT_EXTRAS = """\
import pandas
from rsa_face.cluster import connect
from rsa_face.networks.weights import find_weights
from rsa_face.psychophysics.psychometric import _psignifit
from rsa_face.stimuli.head import must_have_faces_extra
from rsa_face.training.loop import write_tensorboard
asked = {
    "cluster": lambda: connect("local:1").__enter__(),
    "hf": lambda: find_weights("hf://a/b/c.pth"),
    "psignifit": _psignifit,
    "faces": must_have_faces_extra,
    "tensorboard": lambda: write_tensorboard(pandas.DataFrame(), "log"),
}
for extra, ask in asked.items():
    try:
        ask()
    except ModuleNotFoundError as error:
        assert f"pip install 'rsa-face[{extra}]'" in str(error), (extra, str(error))
    else:
        raise SystemExit(f"{extra} did not say what to install")
print(", ".join(asked))
"""

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
