"""Weights as laboratories have them: wrappers, endings, half precision, MatConvNet; converted, mapped and checked."""

import argparse

import numpy as np
import pytest
import scipy.io
import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torchvision import models

from rsa_face.cli import main
from rsa_face.networks.convert import convert_weights
from rsa_face.networks.weights import read_record
from rsa_face.networks.zoo import build_network
from rsa_face.stimuli.preprocessing import Preprocessing

SMALL = Preprocessing(resize=64, crop=64)


@pytest.fixture(scope="module")
def alexnet():
    return build_network("alexnet", seed=3).module.state_dict()


@pytest.fixture(scope="module")
def resnet():
    return build_network("torchvision:resnet18", seed=3, preprocessing=SMALL).module.state_dict()


def renamed(state, old, new):
    return {key.replace(old, new, 1): value for key, value in state.items()}


def same_weights(network, state):
    loaded = network.module.state_dict()
    return all(torch.equal(loaded[key], value) for key, value in state.items())


@pytest.mark.parametrize(
    ("prefix", "ending"),
    [("module.", ".pth.tar"), ("model.", ".ckpt"), ("net.", ".bin"), ("module.encoder_q.", ".pth")],
)
def test_prefixes_that_all_names_share_are_taken_off(alexnet, tmp_path, prefix, ending):
    file = tmp_path / f"net{ending}"
    torch.save({"epoch": 3, "state_dict": {prefix + key: value for key, value in alexnet.items()}}, file)
    assert same_weights(build_network("alexnet", weights=file), alexnet)


@pytest.mark.parametrize("prefix", ["module.", "model.backbone.", "encoder_q."])
def test_so_they_are_of_networks_by_reference(resnet, tmp_path, prefix):
    beside = {} if prefix == "module." else {"model.queue": torch.zeros(3)}  # of what stands around the network
    torch.save({prefix + key: value for key, value in resnet.items()} | beside, tmp_path / "net.pt")
    network = build_network("torchvision:resnet18", weights=tmp_path / "net.pt", preprocessing=SMALL)
    assert same_weights(network, resnet)
    assert (network.trained, network.untrained) == (True, ())


@pytest.mark.parametrize(
    "around",
    [
        lambda state: {"args": argparse.Namespace(lr=0.1), "best": np.float64(0.3), "state_dict": state},
        lambda state: {"optimizer": {"state": {}, "param_groups": []}, "net_state": state},
        lambda state: {"model": {"state_dict": {f"a.b.c.d.{key}": value for key, value in state.items()}}},
        lambda state: {"state_dict": {f"{which}.{key}": value for which in ("module.encoder_q", "module.encoder_k")
                                      for key, value in state.items()} | {"module.queue": torch.zeros(3)}},
        lambda state: {f"1.{key}": value for key, value in state.items()} | {"0.mean": torch.zeros(3)},
    ],
)  # fmt: skip
def test_a_checkpoint_of_many_things_holds_one_network(alexnet, tmp_path, around):
    torch.save(around(alexnet), tmp_path / "net.pt")
    assert same_weights(build_network("alexnet", weights=tmp_path / "net.pt"), alexnet)


def test_two_networks_in_one_file_are_refused(alexnet, tmp_path):
    torch.save({"one": alexnet, "two": alexnet}, tmp_path / "net.pt")
    with pytest.raises(ValueError, match="holds no state dict"):
        build_network("alexnet", weights=tmp_path / "net.pt")


def test_features_in_data_parallel_and_a_head_in_a_sequential_are_recognised(alexnet, tmp_path):
    state = renamed(renamed(alexnet, "features.", "features.module."), "classifier.6.", "classifier.6.0.")
    torch.save(state | {"mean": torch.zeros(3), "std": torch.ones(3)}, tmp_path / "net.pth")
    assert same_weights(build_network("alexnet", weights=tmp_path / "net.pth"), alexnet)


def test_tensors_that_are_left_out_are_named_in_the_log(alexnet, tmp_path, caplog):
    torch.save(
        {f"model.{key}": value for key, value in alexnet.items()} | {"queue": torch.zeros(3)}, tmp_path / "n.pt"
    )
    build_network("alexnet", weights=tmp_path / "n.pt")
    assert caplog.messages == [f"{tmp_path / 'n.pt'}: left out: queue"]


def test_a_head_of_two_layers_is_refused(alexnet, tmp_path):
    state = renamed(alexnet, "classifier.6.", "classifier.6.0.") | {"classifier.6.2.weight": torch.zeros(2, 2)}
    torch.save(state, tmp_path / "net.pth")
    with pytest.raises(ValueError, match=r"unexpected classifier\.6\.0\.weight"):
        build_network("alexnet", weights=tmp_path / "net.pth")


def test_half_precision_and_averaged_weights_are_read(alexnet, tmp_path):
    torch.save({"epoch": 1, "state_dict_ema": {k: v.half() for k, v in alexnet.items()}}, tmp_path / "net.pt")
    network = build_network("alexnet", weights=tmp_path / "net.pt")
    assert same_weights(network, {key: value.half().float() for key, value in alexnet.items()})
    assert network.module.features[0].weight.dtype == torch.float32


def test_ordinary_weights_are_taken_where_averaged_ones_lie_beside(alexnet, tmp_path):
    torch.save({"state_dict_ema": {"x": torch.ones(1)}, "state_dict": alexnet}, tmp_path / "net.pt")
    assert same_weights(build_network("alexnet", weights=tmp_path / "net.pt"), alexnet)


def test_a_transformers_encoder_is_no_prefix(tmp_path):
    torch.manual_seed(0)
    state = models.vit_b_16(weights=None).state_dict()
    torch.save(state, tmp_path / "vit.pt")
    assert same_weights(build_network("torchvision:vit_b_16", weights=tmp_path / "vit.pt"), state)


def test_weights_of_another_network_are_refused_with_what_differs(resnet, tmp_path):
    save_file(resnet, tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"lacks layer1\.2\.bn1\.bias"):
        build_network("torchvision:resnet34", weights=tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"Its last layer has 1000 classes: pass classes=1000"):
        build_network("torchvision:resnet18", weights=tmp_path / "net.safetensors", classes=5)
    network = build_network("torchvision:resnet18", weights=tmp_path / "net.safetensors", classes=5, head="new")
    assert network.untrained == ("fc.bias", "fc.weight")


def test_a_new_head_replaces_that_of_a_file_in_a_wrapper(resnet, tmp_path):
    torch.save({f"model.{key}": value for key, value in resnet.items()}, tmp_path / "net.pt")
    network = build_network("torchvision:resnet18", weights=tmp_path / "net.pt", classes=2, head="new", seed=1)
    assert network.untrained == ("fc.bias", "fc.weight")
    assert network.module.fc.weight.shape == (2, 512)
    same = build_network("torchvision:resnet18", weights=tmp_path / "net.pt", head="new", seed=1)
    assert not torch.equal(same.module.fc.weight, resnet["fc.weight"])
    assert same_weights(same, {key: value for key, value in resnet.items() if not key.startswith("fc.")})


def test_a_whole_module_is_refused_with_how_to_save_its_state(tmp_path):
    torch.save(nn.Linear(2, 2), tmp_path / "net.pt")
    with pytest.raises(ValueError, match=r"torch\.save\(net\.state_dict\(\), 'net\.pt'\)"):
        build_network("alexnet", weights=tmp_path / "net.pt")


def matconvnet(state, path):
    """Write VGG-Face as MatConvNet does: rows, columns, channels, filters; fully connected layers as convolutions."""
    layers = np.empty((1, 17), dtype=object)
    names = [
        f"conv{block}_{place}" for block, count in enumerate((2, 2, 3, 3, 3), 1) for place in range(1, count + 1)
    ]
    names += ["fc6", "fc7", "fc8"]
    keys = [key.removesuffix(".weight") for key in state if key.endswith(".weight")]
    for place, (name, key) in enumerate(zip(names, keys, strict=True)):
        weight, bias = state[f"{key}.weight"], state[f"{key}.bias"]
        if weight.ndim == 2:
            weight = weight.reshape(len(weight), -1, *((7, 7) if name == "fc6" else (1, 1)))
        both = np.empty((1, 2), dtype=object)
        both[0, 0] = weight.numpy().transpose(2, 3, 1, 0)
        both[0, 1] = bias.numpy()[None]
        layers[0, place] = {"name": name, "type": "conv", "weights": both}
    layers[0, 16] = {"name": "prob", "type": "softmax"}
    scipy.io.savemat(path, {"layers": layers, "meta": {"classes": {}}})


@pytest.mark.slow
def test_vgg_face_is_read_from_a_file_of_matconvnet(tmp_path):
    state = build_network("vgg16", seed=5, classes=4).module.state_dict()
    matconvnet(state, tmp_path / "vgg_face.mat")
    network = build_network("vgg16", weights=tmp_path / "vgg_face.mat", classes=4)
    assert same_weights(network, state)
    assert network.preprocessing.mean[0] == pytest.approx(129.1863 / 255)


def test_a_conversion_says_what_it_mapped_and_writes_what_gives_the_same_outputs(alexnet, tmp_path):
    state = {f"model.{key}": value.half() for key, value in alexnet.items()} | {"loss.weight": torch.ones(2)}
    torch.save({"state_dict": state}, tmp_path / "lightning.ckpt")
    done = convert_weights(tmp_path / "lightning.ckpt", tmp_path / "net.safetensors")
    assert (done.network, done.left_out, done.missing) == ("alexnet", ("loss.weight",), ())
    assert done.mapped == {key: f"model.{key}" for key in alexnet}
    written = load_file(tmp_path / "net.safetensors")
    assert {key: str(value.dtype) for key, value in written.items()} == dict.fromkeys(alexnet, "torch.float32")
    assert read_record(tmp_path / "net.safetensors")["converted_from"]["file"] == "lightning.ckpt"
    again = build_network("alexnet", weights=tmp_path / "net.safetensors")
    assert same_weights(again, {key: value.half().float() for key, value in alexnet.items()})


def test_convolutions_alone_are_converted_with_what_is_missing(alexnet, tmp_path):
    save_file({key: value for key, value in alexnet.items() if "features" in key}, tmp_path / "conv.safetensors")
    done = convert_weights(tmp_path / "conv.safetensors", tmp_path / "out.safetensors")
    assert done.missing == tuple(sorted(key for key in alexnet if "classifier" in key))
    assert set(load_file(tmp_path / "out.safetensors")) == set(done.mapped)


def test_the_command_line_converts_a_network_by_reference(resnet, tmp_path, capsys):
    torch.save({f"module.{key}": value for key, value in resnet.items()}, tmp_path / "net.pth.tar")
    files = [str(tmp_path / name) for name in ("net.pth.tar", "out.safetensors")]
    with pytest.raises(SystemExit) as exit_:
        main(["weights", "convert", *files, "--network", "torchvision:resnet18"])
    assert exit_.value.code == 0
    output = capsys.readouterr().out
    assert "fc.weight <- module.fc.weight" in output
    assert "missing: nothing" in output
    assert same_weights(build_network("torchvision:resnet18", weights=tmp_path / "out.safetensors"), resnet)


def test_a_conversion_maps_what_it_read_not_what_is_called_alike(resnet, tmp_path):
    state = {f"encoder_q.{key}": value for key, value in resnet.items()} | {"x.fc.weight": torch.zeros(2, 2)}
    torch.save(state, tmp_path / "net.pt")
    converted = convert_weights(tmp_path / "net.pt", tmp_path / "out.safetensors", network="torchvision:resnet18")
    assert converted.mapped == {key: f"encoder_q.{key}" for key in resnet}
    assert converted.left_out == ("x.fc.weight",)


def test_a_converted_file_that_was_changed_is_refused(resnet, tmp_path):
    file = tmp_path / "out.safetensors"
    torch.save(dict(resnet), tmp_path / "net.pt")
    convert_weights(tmp_path / "net.pt", file, network="torchvision:resnet18")
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"out\.safetensors' has changed since it was written"):
        build_network("torchvision:resnet18", weights=file)


def test_another_ending_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"'net\.pt': its ending is not \.safetensors"):
        convert_weights(tmp_path / "x.pt", tmp_path / "net.pt")
