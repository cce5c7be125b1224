"""Layers carry the field's names, in the order they run, at depths that the five networks share."""

import pytest
import torch
from torch import nn
from torchvision import models

from rsa_face.networks.attention import insert_attention
from rsa_face.networks.layers import name_layers, name_modules, select_layers
from rsa_face.networks.settings import Attention
from rsa_face.networks.zoo import make_skeleton
from rsa_face.schema import NETWORKS, POSITIONS, layer_names

ALEXNET = [
    "conv1",
    "relu1",
    "pool1",
    "conv2",
    "relu2",
    "pool2",
    "conv3",
    "relu3",
    "conv4",
    "relu4",
    "conv5",
    "relu5",
    "pool5",
    "fc6",
    "relu6",
    "fc7",
    "relu7",
    "fc8",
]
VGG16 = [
    "conv1_1",
    "relu1_1",
    "conv1_2",
    "relu1_2",
    "pool1",
    "conv2_1",
    "relu2_1",
    "conv2_2",
    "relu2_2",
    "pool2",
    "conv3_1",
    "relu3_1",
    "conv3_2",
    "relu3_2",
    "conv3_3",
    "relu3_3",
    "pool3",
    "conv4_1",
    "relu4_1",
    "conv4_2",
    "relu4_2",
    "conv4_3",
    "relu4_3",
    "pool4",
    "conv5_1",
    "relu5_1",
    "conv5_2",
    "relu5_2",
    "conv5_3",
    "relu5_3",
    "pool5",
    "fc6",
    "relu6",
    "fc7",
    "relu7",
    "fc8",
]
VGG11 = [
    "conv1_1",
    "relu1_1",
    "pool1",
    "conv2_1",
    "relu2_1",
    "pool2",
    "conv3_1",
    "relu3_1",
    "conv3_2",
    "relu3_2",
    "pool3",
    "conv4_1",
    "relu4_1",
    "conv4_2",
    "relu4_2",
    "pool4",
    "conv5_1",
    "relu5_1",
    "conv5_2",
    "relu5_2",
    "pool5",
    "fc6",
    "relu6",
    "fc7",
    "relu7",
    "fc8",
]


def skeleton(name: str, attention: Attention | None = None) -> nn.Module:
    with torch.device("meta"):
        module = getattr(models, name)()
        if attention is not None:
            insert_attention(module, attention)
    return module


def names(module: nn.Module) -> list[str]:
    return [layer.name for layer in name_layers(module)]


@pytest.mark.parametrize(("name", "expected"), [("alexnet", ALEXNET), ("vgg16", VGG16), ("vgg11", VGG11)])
def test_layers_have_the_names_of_the_field(name, expected):
    assert names(skeleton(name)) == expected


def test_vgg13_has_two_convolutions_in_every_block():
    convolutions = [name for name in names(skeleton("vgg13")) if name.startswith("conv")]
    assert convolutions == [f"conv{block}_{place}" for block in range(1, 6) for place in (1, 2)]


@pytest.mark.parametrize(
    ("position", "before"),
    [("conv1", "relu1"), ("conv3", "relu3"), ("conv5", "relu5"), ("pool5", "pool5"), ("fc6", "relu6")],
)
def test_the_gate_and_the_gated_maps_stand_behind_the_layer_they_weigh(position, before):
    order = names(skeleton("alexnet", Attention(position=position)))
    place = order.index(before)
    assert order[place + 1 : place + 3] == ["fe_gate", "fe"]
    assert [name for name in order if not name.startswith("fe")] == ALEXNET


def test_shared_layers_have_the_same_depth_with_and_without_the_block():
    plain = {layer.name: layer.depth for layer in name_layers(skeleton("alexnet"))}
    excited = {layer.name: layer.depth for layer in name_layers(skeleton("alexnet", Attention()))}
    assert {name: excited[name] for name in plain} == plain
    assert plain["pool5"] < excited["fe_gate"] < excited["fe"] < plain["fc6"]


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "vgg13", "vgg16"])
def test_depth_rises_from_above_0_to_1(name):
    depths = [layer.depth for layer in name_layers(skeleton(name))]
    assert depths == sorted(depths)
    assert 0 < depths[0] < depths[-1] == 1


def test_each_layer_says_whether_a_nonlinearity_is_still_to_come():
    pre = [layer.name for layer in name_layers(skeleton("alexnet", Attention())) if layer.nonlinearity == "pre"]
    assert pre == ["conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"]


def test_main_layers_are_every_relu_the_block_and_the_last():
    layers = name_layers(skeleton("alexnet", Attention()))
    chosen = [layer.name for layer in select_layers(layers, "main", network="fe_alexnet")]
    assert chosen == ["relu1", "relu2", "relu3", "relu4", "relu5", "fe", "relu6", "relu7", "fc8"]


def test_layers_come_in_the_order_they_run_whatever_the_order_asked_for():
    layers = name_layers(skeleton("alexnet"))
    chosen = select_layers(layers, ["fc8", "conv1", "relu3"], network="alexnet")
    assert [layer.name for layer in chosen] == ["conv1", "relu3", "fc8"]


def test_an_unknown_layer_is_named_with_those_there_are():
    layers = name_layers(skeleton("alexnet"))
    with pytest.raises(ValueError, match=r"alexnet has no layers \['relu9'\]\. .* conv1 relu1"):
        select_layers(layers, ["relu1", "relu9"], network="alexnet")


def test_layers_of_any_network_go_by_their_module_paths():
    module = nn.Sequential(nn.Linear(3, 2), nn.Sequential(nn.ReLU(), nn.Linear(2, 2)))
    layers = name_modules(module)
    assert [layer.name for layer in layers] == ["0", "1.0", "1.1"]
    assert [layer.kind for layer in layers] == ["Linear", "ReLU", "Linear"]
    assert layers[-1].depth == 1


BLOCKS = [(), *((position,) for position in POSITIONS), ("conv2", "pool5"), ("fc7", "conv1", "pool1")]


@pytest.mark.parametrize(
    ("network", "positions"),
    [*((name, ()) for name in NETWORKS if name != "fe_alexnet"), *(("fe_alexnet", places) for places in BLOCKS)],
)
def test_layers_known_without_the_network_are_those_it_has(network, positions):
    module = make_skeleton(network, 2, tuple(Attention(position=position) for position in positions), device="meta")
    assert layer_names(network, positions) == [layer.name for layer in name_layers(module)]
