"""Recording happens in evaluation mode, whatever mode a network is in, and leaves the network as it was."""

import numpy as np
import pytest
import torch
from torch import nn

import rsa_face as rf
from rsa_face.activations.capture import audit, capture
from rsa_face.networks.layers import name_modules
from rsa_face.networks.survey import evaluating
from rsa_face.networks.zoo import Network, build_network
from rsa_face.psychophysics.choices import network_choices
from rsa_face.saliency.maps import gate_openings, layers_with_space, map_saliency
from rsa_face.schema import NETWORKS
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.training.data import label_images
from rsa_face.training.evaluation import fit_readout, judge_valence
from tests.activations.conftest import SMALL


class Counting(nn.Module):
    """Passes its input on, and counts its passes in a buffer, in evaluation mode as well."""

    def __init__(self):
        super().__init__()
        self.register_buffer("passes", torch.zeros(1))

    def forward(self, maps):
        self.passes += 1
        return maps.clone()


def normalizing() -> Network:
    """Return a chain with batch normalization and dropout, that streams as the five networks do."""
    generator = torch.Generator().manual_seed(0)
    module = nn.Sequential()
    module.features = nn.Sequential(
        nn.Conv2d(3, 8, 5, stride=3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.Dropout(0.5), Counting()
    )
    module.avgpool = nn.AdaptiveAvgPool2d(4)
    module.classifier = nn.Sequential(nn.Dropout(), nn.Linear(128, 16), nn.ReLU(), nn.Linear(16, 2))
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) / 5)

    class Chain(nn.Module):
        def __init__(self):
            super().__init__()
            self.features, self.avgpool, self.classifier = module.features, module.avgpool, module.classifier

        def forward(self, images):
            return self.classifier(self.avgpool(self.features(images)).flatten(1))

    chain = Chain()
    preprocessing = Preprocessing(resize=64, crop=64)
    return Network("normalizing", chain, name_modules(chain), preprocessing, outputs=("sad", "happy"))


def partly_training(network: Network) -> Network:
    """Put a network in training mode, but for one module, as in a training that freezes it."""
    network.module.train()
    next(network.module.children()).eval()
    next(part for part in network.module.modules() if isinstance(part, nn.Dropout)).train()
    if network.name == "normalizing":
        network.module.features[1].train()
    return network


def state_of(network: Network):
    modes = {name: part.training for name, part in network.module.named_modules()}
    return modes, {key: value.clone() for key, value in network.module.state_dict().items()}


def make(name: str) -> Network:
    return normalizing() if name == "normalizing" else build_network(name, preprocessing=SMALL)


def recorded(network, stimuli, folder):
    layers = [layer.name for layer in network.layers][-6:]
    images = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    tree = rf.extract([network], stimuli, folder, layers=layers, batch=4)
    results = {
        "extract": rf.compute_rdms(tree, measure="euclidean").values,
        "stream_rdms": rf.stream_rdms(
            [network], stimuli, measure="euclidean", layers=layers, batch=3, progress=False
        ),
        "capture": torch.cat([one.flatten() for one in capture(network, network.layers, images).values()]).numpy(),
        "saliency": map_saliency(network, stimuli, layer="last", batch=4).values,
        "choices": network_choices(network, stimuli, batch=3)["p_happy"].to_numpy(),
    }
    if any(layer.kind == "gate" for layer in network.layers):
        results["gate"] = gate_openings(network, stimuli, batch=3)["gate"].values
    if network.outputs:
        table = label_images(stimuli, label="level")
        results["judge_valence"] = judge_valence(network, table, batch=3)["happy"].to_numpy()
    results["readout"] = fit_readout(network, stimuli, strength=1.0, batch=3).module.state_dict()[
        list(network.module.state_dict())[-2]
    ]
    results["layers_with_space"] = np.array([layer.order for layer in layers_with_space(network)])
    return {name: np.asarray(value) for name, value in results.items()}


LARGE = ("vgg13", "vgg16")


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=[pytest.mark.slow] * (name in LARGE)) for name in (*NETWORKS, "normalizing")],
)
def test_captures_and_audits_in_training_mode_equal_those_in_evaluation_mode_and_change_nothing(name):
    network = make(name)
    network.module.eval()
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = capture(network, network.layers, images)
    modes, state = state_of(partly_training(network))
    assert len(set(modes.values())) == 2
    assert (audit(network, inputs=images)["captured"] == "right").all()
    for _ in range(2):
        results = capture(network, network.layers, images)
        assert all(torch.equal(results[layer], expected[layer]) for layer in expected)
    after_modes, after = state_of(network)
    assert after_modes == modes
    assert list(after) == list(state)
    assert all(torch.equal(after[key], state[key]) for key in state)


@pytest.mark.parametrize("name", ["fe_alexnet", "normalizing"])
def test_recording_in_training_mode_equals_that_in_evaluation_mode_and_changes_nothing(name, stimuli, tmp_path):
    network = make(name)
    network.module.eval()
    expected = recorded(network, stimuli, tmp_path / "eval.zarr")
    modes, state = state_of(partly_training(network))
    for run in (1, 2):
        results = recorded(network, stimuli, tmp_path / f"train{run}.zarr")
        after_modes, after = state_of(network)
        assert after_modes == modes
        assert list(after) == list(state)
        assert all(torch.equal(after[key], state[key]) for key in state)
        for what, values in expected.items():
            np.testing.assert_array_equal(results[what], values, err_msg=what)


def _fail(module, images):
    assert not any(part.training for part in module.modules())
    module.features[1].running_mean += 1
    module(images)


def test_modes_and_buffers_come_back_when_a_pass_fails():
    network = partly_training(normalizing())
    modes, state = state_of(network)
    colours = torch.zeros(1, 2, 64, 64)
    with pytest.raises(RuntimeError), evaluating(network.module):
        _fail(network.module, colours)
    after_modes, after = state_of(network)
    assert after_modes == modes
    assert all(torch.equal(after[key], state[key]) for key in state)


def test_a_store_begun_in_evaluation_mode_goes_on_in_training_mode(stimuli, tmp_path):
    network = normalizing()
    network.module.eval()
    tree = rf.extract([network], stimuli, tmp_path / "st.zarr", layers="all")
    expected = rf.compute_rdms(tree, measure="euclidean")
    again = rf.extract([partly_training(network)], stimuli, tmp_path / "st.zarr", layers="all")
    assert network.module.training  # its mode is its owner's
    np.testing.assert_array_equal(rf.compute_rdms(again, measure="euclidean"), expected)
