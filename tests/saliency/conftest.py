"""Small networks with in-place ReLUs, and a few faces of noise with regions."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network, build_network
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.preprocessing import Preprocessing

SMALL = Preprocessing(resize=64, crop=64)


@pytest.fixture(scope="session")
def stimuli(tmp_path_factory):
    """Six images of noise, 64 pixels a side, at three levels, whole and masked, with regions."""
    folder = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    ids = [f"s{place}" for place in range(6)]
    for stimulus in ids:
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(folder / f"{stimulus}.png")
    return StimulusSet(
        pd.DataFrame(
            {
                "stimulus": ids,
                "file": [str(folder / f"{stimulus}.png") for stimulus in ids],
                "level": [-1.0, 0.0, 1.0] * 2,
                "occlusion": ["none"] * 3 + ["mouth"] * 3,
                "eyes": "8 10 56 24",
                "nose": "24 24 40 40",
                "mouth": "16 44 48 56",
            }
        )
    )


@pytest.fixture(scope="session")
def alexnet():
    """An AlexNet with two outputs that sees 64 x 64 pixels."""
    return build_network("alexnet", seed=0, preprocessing=SMALL)


@pytest.fixture(scope="session")
def fe_alexnet():
    """An FE-AlexNet with two outputs that sees 64 x 64 pixels: behind its last pooling there is one place."""
    return build_network("fe_alexnet", seed=0, preprocessing=SMALL)


@pytest.fixture(scope="session")
def large_fe_alexnet():
    """An FE-AlexNet with two outputs that sees 128 x 128 pixels."""
    return build_network("fe_alexnet", seed=0, preprocessing=Preprocessing(resize=128, crop=128))


class TwoLayers(nn.Module):
    """A convolution that passes two of three colours on, an in-place ReLU, and a readout of the mean maps."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 1, bias=False)
        self.relu = nn.ReLU(inplace=True)
        self.readout = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([[1.0, 0, 0], [0, 1, 0]])[:, :, None, None])
            self.readout.weight.copy_(torch.tensor([[0.0, 0.0], [2.0, -1.0]]))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs for sad and happy."""
        return self.readout(self.relu(self.conv(inputs)).mean(dim=(2, 3)))


@pytest.fixture
def two_layers():
    """Return a network whose maps can be worked out by hand."""
    module = TwoLayers().eval()
    return Network("two", module, name_modules(module), Preprocessing(resize=4, crop=4))
