"""Choices of known curves, and kernels whose array shapes are checked while the tests run."""

import jaxtyping
import numpy as np
import pandas as pd
import pytest
from scipy.special import ndtr

jaxtyping.install_import_hook(
    ["rsa_face.psychophysics.curve", "rsa_face.psychophysics.likeness"], "beartype.beartype"
)

MORPHS = np.array([0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0])
GROUP = [0.01, 0.02, 0.10, 0.06, 0.44, 0.80, 0.84, 0.93, 0.99]


@pytest.fixture
def group_curve():
    """Return the published group mean of P(happy), 50 people with two trials each."""
    return pd.DataFrame({"participant": "group", "level": MORPHS, "p_happy": GROUP, "trials": 100})


@pytest.fixture
def simulate():
    """Return a function that draws choices of people with known PSEs and SDs on the morph."""

    def draw(pses, sds, *, levels=MORPHS, trials=20, guess=0.02, lapse=0.03, seed=0, occlusion="none"):
        rng = np.random.default_rng(seed)
        pses, sds = np.broadcast_arrays(np.atleast_1d(pses), sds)
        chance = guess + (1 - guess - lapse) * ndtr((levels - pses[:, None]) / sds[:, None])
        happy = rng.binomial(trials, chance) / trials
        people = [f"p{number:03d}" for number in range(len(pses))]
        return pd.DataFrame(
            {
                "participant": np.repeat(people, len(levels)),
                "level": np.tile(levels, len(pses)),
                "p_happy": happy.ravel(),
                "trials": trials,
                "occlusion": occlusion,
            }
        )

    return draw
