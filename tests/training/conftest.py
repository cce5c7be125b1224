"""Faces of a few pixels that can be learnt in seconds, and a network small enough to learn them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from rsa_face.networks.layers import name_modules
from rsa_face.networks.weights import start_weights
from rsa_face.networks.zoo import Network
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.training.data import TrainingTable, read_training


class SmallNetwork(nn.Module):
    """The parts of an AlexNet, at a millionth of its size."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 4, 5, stride=2, padding=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(4, 6, 3, padding=1),
            nn.ReLU(inplace=True),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(4)
        self.classifier = nn.Sequential(
            nn.Dropout(0.5), nn.Linear(96, 16), nn.ReLU(inplace=True), nn.Dropout(0.5), nn.Linear(16, classes)
        )

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the logits."""
        return self.classifier(torch.flatten(self.avgpool(self.features(inputs)), 1))


@pytest.fixture
def small_network() -> Callable[..., Network]:
    """Return a function that builds a small network from a seed."""

    def build(*, seed: int = 0, classes: int = 2, name: str = "small") -> Network:
        module = SmallNetwork(classes).eval()
        start_weights(module, seed=seed)
        untrained = tuple(module.state_dict())
        return Network(
            name, module, name_modules(module), Preprocessing(resize=32, crop=32), "small", "random", untrained
        )

    return build


@pytest.fixture
def write_faces(tmp_path: Path) -> Callable[..., Path]:
    """Return a function that draws faces whose mouth is bright for happy and dark for sad, and writes their table."""

    def write(
        folder: str = "training",
        *,
        identities: int = 4,
        levels: tuple[float, ...] = (-1, -0.5, 0.5, 1),
        seed: int = 0,
    ) -> Path:
        rng, rows = np.random.default_rng(seed), []
        (tmp_path / folder).mkdir()
        for person in range(identities):
            skin = rng.integers(90, 150)
            for level in levels:
                pixels = np.clip(rng.normal(skin, 8, (40, 40, 3)), 0, 255)
                pixels[24:34, 8:32] += 80 * level
                file = f"{folder}-{person}-{level}.png"
                Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8)).save(tmp_path / folder / file)
                sign = "happy" if level > 0 else "sad" if level < 0 else "neutral"
                rows.append({"file": file, "identity": f"{folder}{person}", "level": level, "valence": sign})
        table = tmp_path / folder / "table.csv"
        pd.DataFrame(rows).to_csv(table, index=False)
        return table

    return write


@pytest.fixture
def faces(write_faces: Callable[..., Path]) -> TrainingTable:
    """Return sixteen faces of four people to learn from."""
    return read_training(write_faces())


@pytest.fixture
def strangers(write_faces: Callable[..., Path]) -> TrainingTable:
    """Return twelve faces of three other people to be tested on."""
    return read_training(write_faces("held-out", identities=3, seed=9))
