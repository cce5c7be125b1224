"""A readout tells sad from happy on faces it has not seen, and leaves the network as it was."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import nn

from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network
from rsa_face.psychophysics.choices import network_choices
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.training.evaluation import fit_readout


@pytest.fixture
def network():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(48, 12), nn.ReLU(inplace=True), nn.Linear(12, 7)).eval()
    return Network(
        "seven", module, name_modules(module), Preprocessing(resize=4, crop=4), untrained=("1.weight", "3.bias")
    )


@pytest.fixture
def faces(tmp_path):
    """Return noise whose lower half is the brighter the happier, of four identities."""
    rng, rows = np.random.default_rng(0), []
    for identity in "abcd":
        for level in (-1.0, -0.5, 0.0, 0.5, 1.0):
            image = rng.integers(90, 130, (4, 4, 3))
            image[2:] += int(60 * level)
            name = f"{identity}{level}"
            Image.fromarray(image.astype(np.uint8)).save(tmp_path / f"{name}.png")
            rows.append(
                {"stimulus": name, "file": str(tmp_path / f"{name}.png"), "identity": identity, "level": level}
            )
    return StimulusSet(pd.DataFrame(rows))


def test_it_judges_faces_it_has_not_seen(network, faces):
    read = fit_readout(network, faces.select(identity=["a", "b", "c"]))
    table = network_choices(read, faces.select(identity="d"))
    assert table["p_happy"].is_monotonic_increasing
    assert table["p_happy"].iloc[0] < 0.2 < 0.8 < table["p_happy"].iloc[-1]
    assert read.outputs == ("sad", "happy")
    assert read.untrained == ("1.weight",)


def test_its_chances_are_those_of_the_regression(network, faces):
    read = fit_readout(network, faces, strength=0.1)
    inputs = next(iter(read_batches(faces, network.preprocessing)))
    with torch.no_grad():
        hidden = network.module[:3](inputs).double().numpy()
    level = faces.table["level"].to_numpy()
    middle, spread = hidden[level != 0].mean(axis=0), hidden[level != 0].std(axis=0)
    scaled = (hidden - middle) / np.where(spread > 0, spread, np.inf)
    peer = LogisticRegression(C=0.1, max_iter=5000, tol=1e-6).fit(scaled[level != 0], level[level != 0] > 0)
    np.testing.assert_allclose(network_choices(read, faces)["p_happy"], peer.predict_proba(scaled)[:, 1], atol=1e-4)


def test_the_network_is_left_as_it_was_and_its_weights_are_shared(network, faces):
    last = network.module[3]
    read = fit_readout(network, faces)
    assert network.module[3] is last
    assert not last._forward_pre_hooks
    assert read.module[1].weight.data_ptr() == network.module[1].weight.data_ptr()


def test_what_cannot_be_learnt_from_is_refused(network, faces):
    with pytest.raises(ValueError, match="8 of 8 faces are happy"):
        fit_readout(network, faces.select(level=[0.5, 1.0]))
    with pytest.raises(ValueError, match="factor level"):
        fit_readout(network, StimulusSet(faces.table.drop(columns="level")))
    odd = nn.Sequential(nn.Flatten(), nn.Linear(48, 2), nn.Softmax(dim=1))
    with pytest.raises(ValueError, match="last layer of odd, '2', is not linear"):
        fit_readout(Network("odd", odd, name_modules(odd), network.preprocessing), faces)
