"""Networks are torchvision's own, in evaluation mode, told apart by the hash of their weights."""

import hashlib
import json

import pytest
import torch
from torch import nn
from torchvision import models

from rsa_face.cli import main
from rsa_face.networks.zoo import build_network


@pytest.fixture(scope="module")
def alexnet():
    return build_network("alexnet", seed=0)


def test_the_module_is_torchvisions_with_its_in_place_relus(alexnet):
    assert type(alexnet.module) is models.AlexNet
    assert all(child.inplace for child in alexnet.module.modules() if isinstance(child, nn.ReLU))
    assert not alexnet.module.training


def test_equal_weights_have_equal_hashes_and_one_changed_value_another(alexnet):
    twin = build_network("alexnet", seed=0)
    assert twin.content_hash() == alexnet.content_hash()
    with torch.no_grad():
        twin.module.features[0].weight[0, 0, 0, 0] += 1
    assert twin.content_hash() != alexnet.content_hash()


def test_a_random_network_says_that_all_of_it_is_untrained(alexnet):
    assert set(alexnet.untrained) == set(alexnet.module.state_dict())


def test_classes_set_the_width_of_the_last_layer():
    assert build_network("alexnet", classes=5).module.classifier[6].out_features == 5


def test_imagenet_weights_with_other_classes_leave_the_last_layer_untrained(monkeypatch, tmp_path):
    state = build_network("alexnet", classes=1000, seed=9).module.state_dict()
    (tmp_path / "alexnet.pth").write_bytes(b"downloaded")
    monkeypatch.setattr("rsa_face.networks.zoo.imagenet_state", lambda _name: dict(state))
    monkeypatch.setattr("rsa_face.networks.zoo.imagenet_file", lambda name: tmp_path / f"{name}.pth")
    network = build_network("alexnet", weights="imagenet", classes=2)
    assert network.weights_sha256 == hashlib.sha256(b"downloaded").hexdigest()
    assert network.untrained == ("classifier.6.bias", "classifier.6.weight")
    assert torch.equal(network.module.features[0].weight, state["features.0.weight"])
    assert build_network("alexnet", weights="imagenet", classes=1000).untrained == ()


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"name": "resnet50"}, "'resnet50'. Choose one of alexnet, fe_alexnet, vgg11, vgg13, vgg16"),
        ({"name": "alexnet", "classes": 1}, "classes is 1"),
        ({"name": "vgg16", "attention": {"position": "pool5"}}, "'vgg16' takes no attention"),
        ({"name": "fe_alexnet", "attention": {"place": "pool5"}}, "place is not a key"),
        ({"name": "alexnet", "weights": "w.xyz"}, r"'w\.xyz'"),
    ],
)
def test_an_impossible_network_is_refused(arguments, fault):
    with pytest.raises(ValueError, match=fault):
        build_network(**arguments)


def test_the_command_lists_parameters_by_part(capsys):
    with pytest.raises(SystemExit) as left:
        main(["networks", "--json"])
    rows = {row["network"]: row for row in json.loads(capsys.readouterr().out)}
    assert left.value.code == 0
    assert rows["fe_alexnet"]["attention"] == 2 * 256 * 16
    assert rows["fe_alexnet"]["parameters"] == rows["alexnet"]["parameters"] + 2 * 256 * 16
    assert rows["vgg16"]["features"] + rows["vgg16"]["classifier"] == rows["vgg16"]["parameters"]
    assert rows["alexnet"]["main"] == ["relu1", "relu2", "relu3", "relu4", "relu5", "relu6", "relu7", "fc8"]
