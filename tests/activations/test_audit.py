"""The audit knows truth from what an uncopied hook gives, for any network."""

import pytest
import torch
from torch import nn

from rsa_face.activations import capture as module
from rsa_face.activations.capture import audit
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network
from rsa_face.stimuli.preprocessing import Preprocessing


def custom(part: nn.Module) -> Network:
    return Network("mine", part.eval(), name_modules(part), Preprocessing(resize=8, crop=8))


def test_every_convolution_before_an_in_place_relu_would_be_wrong_uncopied(fe_alexnet):
    table = audit(fe_alexnet)
    assert (table["captured"] == "right").all()
    wrong = set(table.loc[table["uncopied"] == "wrong", "layer"])
    assert wrong == {"conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7"}
    assert (table.loc[table["uncopied"] == "wrong", "uncopied_error"] > 0).all()
    assert not any(child._forward_hooks for child in fe_alexnet.module.modules())


def test_a_network_without_in_place_modules_has_nothing_to_overwrite():
    table = audit(custom(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(72, 2))))
    assert (table["uncopied"] == "right").all()


def test_a_capture_that_does_not_copy_would_be_found(alexnet, monkeypatch):
    real = module.capture
    monkeypatch.setattr(module, "capture", lambda *args: real(*args, keep=lambda output: output))
    table = audit(alexnet)
    assert table.loc[table["captured"] == "wrong", "layer"].tolist()[:2] == ["conv1", "conv2"]


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)
        self.act = nn.ReLU()
        self.unused = nn.Linear(2, 2)
        self.nothing = Nothing()
        self.memory = nn.LSTM(6, 3)

    def forward(self, images):
        maps = self.act(self.act(self.conv(images)) - 1)
        self.nothing(maps)
        return self.memory(maps[:, 0].mul_(2))[0]


class Nothing(nn.Module):
    def forward(self, _maps):
        return None


def test_layers_that_cannot_be_recorded_are_told_apart_by_why():
    table = audit(custom(Odd())).set_index("layer")
    assert table["captured"].to_dict() == {
        "conv": "right",
        "act@0": "right",
        "act@1": "right",
        "memory[0]": "right",
        "memory[1][0]": "has the shape (1, 6, 3) for 3 stimuli: its first axis is not the stimuli",
        "memory[1][1]": "has the shape (1, 6, 3) for 3 stimuli: its first axis is not the stimuli",
        "nothing": "returns NoneType",
        "unused": "does not run",
    }


@pytest.mark.parametrize("seed", [0, 1])
def test_inputs_of_the_users_own_are_taken_and_not_changed(alexnet, seed):
    inputs = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(seed))
    before = inputs.clone()
    assert (audit(alexnet, inputs=inputs)["captured"] == "right").all()
    assert torch.equal(inputs, before)
