"""What networks answer: two outputs among any, and choices drawn from them."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from rsa_face.networks.answers import answer_places
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network
from rsa_face.psychophysics.choices import check_choices
from rsa_face.psychophysics.decisions import network_choices
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.preprocessing import Preprocessing


class Brightness(nn.Module):
    """The mean of the first colour, weighed for each output."""

    def __init__(self, *weights):
        super().__init__()
        self.readout = nn.Linear(1, len(weights), bias=False)
        with torch.no_grad():
            self.readout.weight.copy_(torch.tensor(weights)[:, None])

    def forward(self, inputs):
        return self.readout(inputs[:, 0].mean(dim=(1, 2))[:, None])


def network_of(*weights, outputs=(), name="bright", untrained=()):
    module = Brightness(*weights).eval()
    plain = Preprocessing(resize=4, crop=4, mean=(0, 0, 0), sd=(1, 1, 1))
    return Network(name, module, name_modules(module), plain, outputs=outputs, untrained=untrained)


@pytest.fixture
def stimuli(tmp_path):
    for place, gray in enumerate((0, 51, 255)):
        Image.new("RGB", (4, 4), (gray, gray, gray)).save(tmp_path / f"{place}.png")
    files = [str(tmp_path / f"{place}.png") for place in range(3)]
    return StimulusSet(pd.DataFrame({"stimulus": ["a", "b", "c"], "file": files, "level": [-1.0, 0.0, 1.0]}))


def test_two_outputs_are_sad_and_happy_and_others_do_not_count(stimuli):
    two = network_choices(network_of(-1.0, 2.0), stimuli)
    np.testing.assert_allclose(two["p_happy"], 1 / (1 + np.exp(-3 * np.array([0, 0.2, 1]))), atol=1e-6)
    three = network_choices(network_of(2.0, 9.0, -1.0, outputs=("happy", "neutral", "sad")), stimuli)
    np.testing.assert_allclose(three["p_happy"], two["p_happy"], atol=1e-6)
    assert two["occlusion"].tolist() == ["none"] * 3
    assert len(check_choices(two)) == 3


def test_choices_drawn_are_counted_and_the_same_for_a_seed(stimuli):
    first, again, other = (
        network_choices(network_of(-1.0, 2.0), stimuli, trials=40, seed=seed) for seed in (0, 0, 1)
    )
    assert first["p_happy"].tolist() == again["p_happy"].tolist() != other["p_happy"].tolist()
    assert set(first["trials"]) == {40}
    np.testing.assert_allclose(first["p_happy"] * 40, np.round(first["p_happy"] * 40), atol=1e-9)


def test_an_untrained_readout_is_named(stimuli):
    networks = [network_of(-1.0, 2.0), network_of(-1.0, 2.0, name="raw", untrained=("readout.weight",))]
    table = network_choices(networks, stimuli)
    assert table.attrs["untrained"] == ["raw"]
    assert table["network"].unique().tolist() == ["bright", "raw"]


def test_outputs_without_happy_and_sad_are_refused(stimuli):
    with pytest.raises(ValueError, match="bright has 3 outputs without names"):
        answer_places(network_of(1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match=r"\['cat', 'dog'\]"):
        answer_places(network_of(1.0, 2.0, outputs=("cat", "dog")))
    with pytest.raises(ValueError, match="must have the factor level"):
        network_choices(network_of(1.0, 2.0), StimulusSet(stimuli.table.drop(columns="level")))
