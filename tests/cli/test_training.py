"""``rsa-face train`` and ``rsa-face weights inspect``, as typed."""

import json

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from PIL import Image

from rsa_face.cli import main
from rsa_face.networks.zoo import build_network


@pytest.fixture
def faces(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for name, people in (("train", "ab"), ("test", "cd")):
        for person in people:
            for sign in ("happy", "sad"):
                file = tmp_path / f"{person}-{sign}.png"
                Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file)
                rows.append({"file": file.name, "identity": person, "valence": sign, "set": name})
    for name, part in pd.DataFrame(rows).groupby("set"):
        part.to_csv(tmp_path / f"{name}.csv", index=False)
    return tmp_path


def run(*words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return left.value.code


def test_train_writes_weights_that_inspect_describes(faces, capsys):
    (faces / "settings.yaml").write_text("size: 64\nbatch: 4\nfreeze: features\nlr: 1e-4\ndevice: cpu\n")
    words = [
        "train", faces / "train.csv", "--network", "fe_alexnet", "--out", faces / "out", "--epochs", 1,
        "--held-out", faces / "test.csv", "--settings", faces / "settings.yaml", "--json",
    ]  # fmt: skip
    assert run(*words) == 0
    found = json.loads(capsys.readouterr().out)
    assert found[0]["network"] == "fe_alexnet/random/0"
    assert set(found[1]["held_out"]) == {"fe_alexnet/random"}
    assert run("weights", "inspect", found[0]["file"], "--json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["layout"], shown["architecture"], shown["classes"]) == ("rsa-face", "fe_alexnet", 2)
    assert (shown["outputs"], shown["missing"], shown["unknown"]) == (["sad", "happy"], [], [])
    assert shown["preprocessing"]["crop"] == 64
    network = build_network("fe_alexnet", weights=found[0]["file"])
    assert (network.outputs, network.preprocessing.crop) == (("sad", "happy"), 64)
    assert "features.0.weight" in network.untrained
    assert "classifier.1.weight" not in network.untrained


def test_inspect_says_what_would_not_load(tmp_path, capsys):
    state = {key: value for key, value in build_network("alexnet").module.state_dict().items() if "features" in key}
    safetensors.torch.save_file(state | {"momentum": torch.zeros(1)}, tmp_path / "w.safetensors")
    assert run("weights", "inspect", tmp_path / "w.safetensors") == 0
    out = capsys.readouterr().out
    assert "unknown: momentum" in out
    assert "missing: classifier.1.weight" in out


def test_wrong_requests_are_a_line_and_code_2(faces, capsys):
    (faces / "settings.yaml").write_text("learning_rate: 1\n")
    words = ["train", faces / "train.csv", "--network", "alexnet", "--out", faces / "out"]
    assert run(*words, "--settings", faces / "settings.yaml") == 2
    assert "learning_rate is not a key here" in capsys.readouterr().err
    (faces / "settings.yaml").write_text("epochs: ten\nlr: '0,001'\naugmentation: {flip: often}\n")
    assert run(*words, "--settings", faces / "settings.yaml") == 2
    said = capsys.readouterr().err
    assert "epochs is 'ten', not a whole number; lr is '0,001', not a number (with a point, not a comma)" in said
    assert "augmentation.flip is 'often', not a number" in said
    for wrong, named in (
        ("augmentation: {flop: 1}", "augmentation.flop is not a key"),
        ("1: 2\nx: 3", "1 is not a key here; x is not a key here (the settings are label"),
        ("lr: -1", "lr is -1"),
    ):
        (faces / "settings.yaml").write_text(wrong)
        assert run(*words, "--settings", faces / "settings.yaml") == 2
        assert named in capsys.readouterr().err
    assert run("weights", "inspect", faces / "none.pth") == 2
    assert "none.pth" in capsys.readouterr().err
