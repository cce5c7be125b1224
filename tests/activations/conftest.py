"""What the tests of activations share: a few noise images and a network small enough to run in a blink."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rsa_face.networks.zoo import build_network
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.preprocessing import Preprocessing

SMALL = Preprocessing(resize=64, crop=64)


@pytest.fixture(scope="session")
def stimuli(tmp_path_factory):
    """Ten images of noise, 72 pixels a side, with one factor."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    ids = [f"s{place:02d}" for place in range(10)]
    for stimulus in ids:
        Image.fromarray(rng.integers(0, 255, (72, 72, 3), dtype=np.uint8)).save(folder / f"{stimulus}.png")
    files = [str(folder / f"{stimulus}.png") for stimulus in ids]
    return StimulusSet(pd.DataFrame({"stimulus": ids, "file": files, "level": np.linspace(-1, 1, 10)}))


@pytest.fixture(scope="session")
def alexnet():
    """An AlexNet that sees 64 x 64 pixels."""
    return build_network("alexnet", seed=0, preprocessing=SMALL)


@pytest.fixture(scope="session")
def fe_alexnet():
    """An FE-AlexNet that sees 64 x 64 pixels."""
    return build_network("fe_alexnet", seed=0, preprocessing=SMALL)
