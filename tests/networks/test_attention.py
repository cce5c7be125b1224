"""The feature-excitation block computes what Hu and colleagues define, and vanishes when its gate is open."""

import numpy as np
import pytest
import torch

from rsa_face.networks.attention import FeatureExcitation, hold_gate, open_gate
from rsa_face.networks.settings import Attention
from rsa_face.networks.zoo import build_network
from rsa_face.schema import POSITIONS


def test_the_block_is_squeeze_and_excitation_by_hand():
    block = FeatureExcitation(2, reduction=2)
    with torch.no_grad():
        block.gate[0].weight.copy_(torch.tensor([[1.0, -2.0]]))
        block.gate[2].weight.copy_(torch.tensor([[1.0], [-1.0]]))
    maps = torch.tensor([[[[4.0, 2.0]], [[1.0, 0.0]]]])
    # means 3 and .5; waist max(3 - 1, 0) = 2; gates sigmoid(2) and sigmoid(-2)
    expected = maps.numpy() * np.array([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(2))])[None, :, None, None]
    np.testing.assert_allclose(block(maps).detach().numpy(), expected, rtol=1e-6)


def test_the_block_has_no_biases_and_a_waist_narrowed_by_the_reduction():
    block = FeatureExcitation(256, reduction=16)
    assert {name: tuple(value.shape) for name, value in block.state_dict().items()} == {
        "gate.0.weight": (16, 256),
        "gate.2.weight": (256, 16),
    }


@pytest.fixture(scope="module")
def alexnet():
    return build_network("alexnet", seed=3)


@pytest.mark.parametrize("position", POSITIONS)
def test_with_an_open_gate_fe_alexnet_equals_alexnet_bit_for_bit(alexnet, position):
    inputs = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    excited = build_network("fe_alexnet", seed=3, attention={"position": position})
    with torch.inference_mode():
        gated = excited.module(inputs)
        open_gate(excited.module)
        assert torch.equal(excited.module(inputs), alexnet.module(inputs))
        assert not torch.equal(gated, alexnet.module(inputs))


def test_the_keys_around_the_block_are_torchvisions():
    alexnet, excited = (build_network(name).module.state_dict() for name in ("alexnet", "fe_alexnet"))
    assert set(excited) - set(alexnet) == {"features.fe.gate.0.weight", "features.fe.gate.2.weight"}
    assert set(alexnet) <= set(excited)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"position": "conv6"}, "'conv6'"),
        ({"reduction": 0}, "reduction is 0"),
        ({"position": "conv1", "reduction": 65}, "reduction is 65, more than the 64 channels at conv1"),
    ],
)
def test_an_impossible_block_is_refused(settings, fault):
    with pytest.raises(ValueError, match=fault):
        Attention(**settings)


def excited_and_held(how, inputs, seed=0):
    plain, held = (build_network("fe_alexnet", seed=3) for _ in range(2))
    hold_gate(held.module, how, [inputs], seed=seed)
    gates = []
    with torch.inference_mode():
        for network in (plain, held):
            network.module.features.fe.gate.register_forward_hook(lambda *given: gates.append(given[2]))
            network.module(inputs)
    return gates


def test_a_gate_held_at_its_mean_is_the_same_for_every_face():
    inputs = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    free, held = excited_and_held("mean", inputs)
    torch.testing.assert_close(held, free.mean(dim=0).expand(4, -1))
    assert free.std(dim=0).max() > 1e-4  # it does depend on the face before


def test_a_shuffled_gate_has_the_same_values_in_other_channels_in_the_same_places_for_every_face():
    inputs = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    free, held = excited_and_held("shuffled", inputs)
    torch.testing.assert_close(held.sort(dim=1).values, free.sort(dim=1).values)
    order = [int(torch.argmin((free - held[:, [channel]]).abs().sum(dim=0))) for channel in range(free.shape[1])]
    assert sorted(order) == list(range(free.shape[1]))
    assert np.mean(np.array(order) == np.arange(free.shape[1])) < 0.1
    assert not torch.equal(held, excited_and_held("shuffled", inputs, seed=1)[1])
