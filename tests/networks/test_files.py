"""Weights from files and from the Hub: read as tensors alone, with their record, or refused with a reason."""

import hashlib
import pickle
import sys
import types

import pytest
import safetensors.torch
import torch

from rsa_face.networks.weights import find_weights, read_weights
from rsa_face.networks.zoo import build_network


class Trap:
    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('sprung').touch()",))


def test_a_pickle_with_code_is_refused_and_nothing_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"features.0.weight": Trap()}}, tmp_path / "trap.pth")
    (tmp_path / "bare.pth").write_bytes(pickle.dumps(Trap(), protocol=2))
    for name in ("trap.pth", "bare.pth"):
        with pytest.raises(ValueError, match=rf"{name}.* tensors and nothing else"):
            read_weights(tmp_path / name)
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_a_truncated_file_is_refused(ending, tmp_path):
    file = tmp_path / f"cut.{ending}"
    state = {"features.0.weight": torch.randn(64, 3, 11, 11)}
    safetensors.torch.save_file(state, file) if ending == "safetensors" else torch.save(state, file)
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(ValueError, match=rf"cut.{ending}"):
        read_weights(file)


def test_the_sha256_of_the_file_is_kept(tmp_path):
    state = build_network("alexnet", seed=3).module.state_dict()
    convolutions = {key: value for key, value in state.items() if key.startswith("features")}
    safetensors.torch.save_file(convolutions, tmp_path / "convolutions.safetensors")
    network = build_network("alexnet", weights=tmp_path / "convolutions.safetensors")
    expected = hashlib.sha256((tmp_path / "convolutions.safetensors").read_bytes()).hexdigest()
    assert network.weights_sha256 == expected
    assert all(key.startswith("classifier") for key in network.untrained)


def test_the_hub_is_asked_for_the_file_and_its_revision(tmp_path, monkeypatch):
    requests = []
    hub = types.ModuleType("huggingface_hub")
    hub.hf_hub_download = lambda **request: requests.append(request) or str(tmp_path / "weights.safetensors")
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    assert find_weights("hf://lab/faces/sub/weights.safetensors") == tmp_path / "weights.safetensors"
    find_weights("hf://lab/faces@v1/weights.safetensors")
    assert requests == [
        {"repo_id": "lab/faces", "filename": "sub/weights.safetensors", "revision": None},
        {"repo_id": "lab/faces", "filename": "weights.safetensors", "revision": "v1"},
    ]
    with pytest.raises(ValueError, match="hf://lab/weights"):
        find_weights("hf://lab/weights")


def test_the_hubs_own_client_finds_what_it_has_fetched_before(tmp_path, monkeypatch):
    constants = pytest.importorskip("huggingface_hub.constants")
    cache = tmp_path / "models--lab--faces"
    (cache / "refs").mkdir(parents=True)
    (cache / "refs" / "main").write_text("0" * 40)
    file = cache / "snapshots" / ("0" * 40) / "sub" / "w.safetensors"
    file.parent.mkdir(parents=True)
    safetensors.torch.save_file({"features.0.weight": torch.zeros(64, 3, 11, 11)}, file)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    assert find_weights("hf://lab/faces/sub/w.safetensors").read_bytes() == file.read_bytes()
    with pytest.raises(RuntimeError, match=r"hf://lab/faces/other.safetensors' from the Hugging Face Hub"):
        find_weights("hf://lab/faces/other.safetensors")


def test_a_hub_that_cannot_be_reached_is_named(monkeypatch):
    def fail(**_):
        message = "no route to host"
        raise OSError(message)

    hub = types.ModuleType("huggingface_hub")
    hub.hf_hub_download = fail
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    with pytest.raises(RuntimeError, match=r"hf://lab/faces/w.pth' from the Hugging Face Hub: no route to host"):
        find_weights("hf://lab/faces/w.pth")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rsa-face\[hf\]'"):
        find_weights("hf://lab/faces/w.pth")
