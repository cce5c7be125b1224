"""Class activation maps are right by hand and by another way to compute them, and leave the network as it was."""

from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn
from torch.nn.functional import interpolate

import rsa_face as rf
from rsa_face.networks.attention import open_gate
from rsa_face.networks.zoo import Network, build_network
from rsa_face.saliency.maps import (
    activation_maps,
    average_gate,
    gate_openings,
    last_map_layer,
    layer_to_map,
    map_saliency,
    quiet_copy,
)
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches
from rsa_face.stimuli.preprocessing import Preprocessing


def by_hand(module, path, inputs, against=0, for_=1, method="gradcam"):
    """Run the network in two halves, the map between them a leaf, and return the formula's map."""
    children = [(f"features.{name}", child) for name, child in module.features.named_children()]
    places = [name for name, _ in children]
    maps = inputs
    with torch.no_grad():
        for _, child in children[: places.index(path) + 1]:
            maps = child(maps.clone()).clone()
    leaf = maps.clone().requires_grad_()
    after = leaf
    for _, child in children[places.index(path) + 1 :]:
        after = child(after.clone())
    flat = torch.flatten(module.avgpool(after), 1)
    for child in module.classifier:
        flat = child(flat.clone())
    (gradient,) = torch.autograd.grad((flat[:, for_] - flat[:, against]).sum(), leaf)
    if method == "gradcam":
        weighted = gradient.mean(dim=(2, 3), keepdim=True) * maps
    elif method == "layercam":
        weighted = gradient.clamp(min=0) * maps
    else:
        bottom = 2 * gradient**2 + maps.sum(dim=(2, 3), keepdim=True) * gradient**3 + 1e-6
        alpha = torch.where(gradient != 0, gradient**2 / bottom, 0)
        weighted = (alpha * gradient.clamp(min=0)).sum(dim=(2, 3), keepdim=True) * maps
    return weighted.sum(dim=1).clamp(min=0).detach()


@pytest.fixture(scope="module")
def precise(alexnet):
    """Return AlexNet in double precision: a random network's gradients nearly cancel, and the formula is in test."""
    return deepcopy(alexnet.module).double()


@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "layercam"])
@pytest.mark.parametrize("layer", ["conv1", "conv5", "pool2"])
def test_maps_of_alexnet_equal_an_independent_computation(alexnet, precise, stimuli, method, layer):
    path = next(one.path for one in alexnet.layers if one.name == layer)
    inputs = next(iter(read_batches(stimuli, alexnet.preprocessing))).double()[:2]
    twin = quiet_copy(precise)
    expected = [by_hand(precise, path, inputs, *score, method=method).numpy() for score in ((0, 1), (1, 0))]
    paths = {layer: path}
    ours = [activation_maps(twin, paths, inputs, score=score, method=method)[layer] for score in ((0, 1), (1, 0))]
    scale = max(one.max() for one in expected)
    assert scale > 0
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one / scale, other / scale, atol=1e-5)


def test_grad_cam_of_alexnet_in_the_inputs_pixels(alexnet, stimuli):
    inputs = next(iter(read_batches(stimuli, alexnet.preprocessing)))
    expected = by_hand(alexnet.module, "features.11", inputs)
    large = interpolate(expected[:, None], size=(64, 64), mode="bilinear", align_corners=False)[:, 0]
    maps = map_saliency(alexnet, stimuli, layer="relu5", method="gradcam")
    np.testing.assert_allclose(maps / float(maps.max()), large / float(maps.max()), atol=1e-5)


@pytest.mark.parametrize("layer", ["conv", "relu"])
def test_the_map_of_two_layers_by_hand(two_layers, tmp_path, layer):
    red = np.zeros((4, 4, 3), dtype=np.uint8)
    red[0, 0], red[1, 1], red[3, 3] = (255, 0, 0), (0, 255, 0), (255, 255, 0)
    Image.fromarray(red).save(tmp_path / "a.png")
    stimuli = StimulusSet(pd.DataFrame({"stimulus": ["a"], "file": [str(tmp_path / "a.png")]}))
    plain = Preprocessing(resize=4, crop=4, mean=(0.0, 0.0, 0.0), sd=(1.0, 1.0, 1.0))
    network = Network("two", two_layers.module, two_layers.layers, plain)
    maps = rf.map_saliency(network, stimuli, layer=layer)
    # each place of channel 1 bears 2/16 on happy, of channel 2 -1/16; ReLU stops gradients where the map is 0
    first, second = (red[..., place] / 255 for place in (0, 1))
    mean = (2 / 16, -1 / 16) if layer == "relu" else (2 * 2 / 16 / 16, -1 * 2 / 16 / 16)
    expected = np.maximum(mean[0] * first + mean[1] * second, 0)
    np.testing.assert_allclose(maps[0], expected, atol=1e-7)
    sad = rf.map_saliency(network, stimuli, layer=layer, answer="sad")
    np.testing.assert_allclose(sad[0], np.maximum(-mean[0] * first - mean[1] * second, 0), atol=1e-7)


def test_an_in_place_function_behind_a_layer_does_no_harm():
    class InPlace(nn.Module):
        def __init__(self, inplace):
            super().__init__()
            torch.manual_seed(0)
            self.conv, self.readout, self.inplace_ = nn.Conv2d(3, 4, 3), nn.Linear(4, 2), inplace

        def forward(self, inputs):
            maps = nn.functional.relu(self.conv(inputs), inplace=self.inplace_)
            return self.readout(maps.mean(dim=(2, 3)))

    inputs = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    one, other = (
        activation_maps(quiet_copy(InPlace(inplace)), {"conv": "conv"}, inputs, score=(0, 1), method="gradcam")
        for inplace in (True, False)
    )
    np.testing.assert_allclose(one["conv"], other["conv"], atol=1e-7)


def test_the_callers_network_is_left_as_it_was(alexnet, stimuli):
    module = alexnet.module
    before = {name: value.clone() for name, value in module.state_dict().items()}
    wanted = [value.requires_grad for value in module.parameters()]
    calls = []
    handle = module.features[0].register_forward_hook(lambda *_: calls.append(1))
    try:
        map_saliency(alexnet, stimuli)
        with pytest.raises(ValueError, match="fc7"):
            map_saliency(alexnet, stimuli, layer="fc7")
    finally:
        handle.remove()
    assert not calls
    assert not any(child._forward_hooks or child._backward_hooks for child in module.modules())
    assert all(value.grad is None for value in module.parameters())
    assert [value.requires_grad for value in module.parameters()] == wanted
    assert module.features[1].inplace
    assert not module.training
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())


def test_a_copy_shares_the_weights(alexnet):
    twin = quiet_copy(alexnet.module)
    assert twin.features[0].weight.data_ptr() == alexnet.module.features[0].weight.data_ptr()
    assert not twin.features[1].inplace


def test_maps_do_not_depend_on_the_batch(alexnet, stimuli):
    one, other = (map_saliency(alexnet, stimuli, batch=batch) for batch in (1, 6))
    np.testing.assert_allclose(one, other, atol=1e-3 * float(other.max()))


def test_maps_carry_ids_factors_and_how_they_were_made(alexnet, stimuli, tmp_path):
    maps = map_saliency(alexnet, stimuli)
    assert maps.dims == ("stimulus", "row", "column")
    assert maps["level"].values.tolist() == [-1, 0, 1] * 2
    assert maps.attrs["untrained"] == ["alexnet"]
    assert (maps.attrs["layer"], maps.attrs["method"], maps.attrs["answer"]) == ("relu5", "gradcam", "happy")
    back = rf.load(rf.save(maps, tmp_path / "maps.nc"))
    assert back.attrs == maps.attrs


def test_a_map_that_is_all_zero_is_named(two_layers, tmp_path):
    Image.fromarray(np.zeros((4, 4, 3), dtype=np.uint8)).save(tmp_path / "black.png")
    stimuli = StimulusSet(pd.DataFrame({"stimulus": ["black"], "file": [str(tmp_path / "black.png")]}))
    maps = map_saliency(two_layers, stimuli, layer="relu")
    assert maps.attrs["all_zero"] == ["black"]
    assert not maps.any()


def test_given_is_the_answer_the_network_gives(alexnet, stimuli):
    happy, sad, given = (map_saliency(alexnet, stimuli, answer=answer) for answer in ("happy", "sad", "given"))
    for place in range(len(stimuli)):
        one = given[place].values
        assert np.allclose(one, happy[place]) or np.allclose(one, sad[place])


def test_last_is_the_last_layer_with_space(alexnet, fe_alexnet):
    assert last_map_layer(alexnet).name == "relu5"
    assert last_map_layer(fe_alexnet).name == "relu5"  # of 64 pixels, one place is left behind pool5
    tiny = build_network("vgg11", seed=0, preprocessing=Preprocessing(resize=32, crop=32))
    assert last_map_layer(tiny).name == "relu5_2"


def test_the_first_of_several_names_that_a_network_has_is_taken(alexnet, stimuli):
    assert layer_to_map(alexnet, ["relu4_3", "relu2", "relu3"]).name == "relu2"
    assert map_saliency(alexnet, stimuli, layer=["relu4_3", "relu2"]).attrs["layer"] == "relu2"
    with pytest.raises(ValueError, match=r"no layers \['relu4_3'\]"):
        map_saliency(alexnet, stimuli, layer=["relu4_3", "relu4_2"])


def test_the_gated_maps_have_saliency_and_the_gate_has_none(large_fe_alexnet, stimuli):
    assert last_map_layer(large_fe_alexnet).name == "fe"
    assert map_saliency(large_fe_alexnet, stimuli, layer="fe").shape == (6, 128, 128)
    with pytest.raises(ValueError, match=r"'fe_gate': it gives \(256,\)"):
        map_saliency(large_fe_alexnet, stimuli, layer="fe_gate")


def test_a_layer_of_one_place_looks_nowhere_and_is_refused(fe_alexnet, stimuli):
    with pytest.raises(ValueError, match=r"No map of 'fe': it has one place, 1 x 1"):
        map_saliency(fe_alexnet, stimuli, layer="fe")


def test_what_has_no_map_is_refused(alexnet, stimuli):
    with pytest.raises(ValueError, match=r"No map of 'relu6': .* without rows and columns"):
        map_saliency(alexnet, stimuli, layer="relu6")
    with pytest.raises(ValueError, match="'scorecam'"):
        map_saliency(alexnet, stimuli, method="scorecam")
    with pytest.raises(ValueError, match=r"no layers \['relu9'\]"):
        map_saliency(alexnet, stimuli, layer="relu9")
    many = build_network("alexnet", seed=0, classes=3, preprocessing=alexnet.preprocessing)
    with pytest.raises(ValueError, match="3 outputs without names"):
        map_saliency(many, stimuli)


def test_openings_are_those_the_block_multiplies_by(fe_alexnet, stimuli):
    gate = gate_openings(fe_alexnet, stimuli, batch=4)
    inputs = next(iter(read_batches(stimuli, fe_alexnet.preprocessing)))
    with torch.no_grad():
        maps = inputs
        for name, child in fe_alexnet.module.features.named_children():
            if name == "fe":
                expected = child.gate(maps.mean(dim=(2, 3)))
                break
            maps = child(maps.clone())
    np.testing.assert_allclose(gate["gate"].sel(layer="fe_gate"), expected, atol=1e-6)
    assert gate["gate_mean"].sizes == {"layer": 1, "channel": 256}
    assert gate.attrs["untrained"] == ["fe_alexnet"]
    assert not any(child._forward_hooks for child in fe_alexnet.module.modules())


def test_slope_and_correlation_with_level(fe_alexnet, stimuli):
    gate = gate_openings(fe_alexnet, stimuli)
    levels, one = stimuli.table["level"].to_numpy(), gate["gate"].values[0, :, 7].astype(float)
    assert gate["level_slope"].values[0, 7] == pytest.approx(np.polyfit(levels, one, 1)[0], rel=1e-3)
    assert gate["level_correlation"].values[0, 7] == pytest.approx(np.corrcoef(levels, one)[0, 1], rel=1e-3)


def test_the_table_holds_the_mean_opening_of_each_channel_by_occlusion_and_level(fe_alexnet, stimuli):
    gate = gate_openings(fe_alexnet, stimuli)
    table = average_gate(gate)
    assert len(table) == 256 * 6  # one face for each of two occlusions and three levels
    row = table[(table["channel"] == 9) & (table["occlusion"] == "mouth") & (table["level"] == 1)].iloc[0]
    assert row["gate"] == pytest.approx(gate["gate"].values[0, 5, 9])
    assert (row["layer"], row["faces"]) == ("fe_gate", 1)
    assert row["level_slope"] == pytest.approx(gate["level_slope"].values[0, 9])
    average = average_gate(gate.drop_vars(["level", "occlusion"]))
    assert average.set_index("channel")["gate"][9] == pytest.approx(gate["gate_mean"].values[0, 9])


def test_a_gate_that_stands_open_follows_nothing(stimuli, fe_alexnet):
    network = build_network("fe_alexnet", seed=0, preprocessing=fe_alexnet.preprocessing)
    open_gate(network.module)
    gate = gate_openings(network, stimuli)
    assert (gate["gate"] == 1).all()
    assert np.isnan(gate["level_correlation"]).all()


def test_a_network_without_a_gate_is_refused(alexnet, stimuli):
    with pytest.raises(ValueError, match="gate in alexnet"):
        gate_openings(alexnet, stimuli)
