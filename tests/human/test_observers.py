"""What simulated observers are like follows from what was published of people."""

import numpy as np
import pytest
from scipy.optimize import curve_fit
from scipy.stats import norm

from rsa_face.human.observers import CURVE_SD, GROUP_CURVE, PSE_MEAN, PSE_SD


def test_the_spread_of_one_persons_curve_is_what_the_groups_leaves_to_it():
    morphs, happy = np.array(list(GROUP_CURVE)), np.array(list(GROUP_CURVE.values()))
    (mean, spread), _ = curve_fit(norm.cdf, morphs, happy, [0.5, 0.1])
    assert mean == pytest.approx(PSE_MEAN, abs=0.02)
    assert spread == pytest.approx(0.117, abs=5e-4)
    assert np.sqrt(spread**2 - PSE_SD**2) == pytest.approx(CURVE_SD, abs=1e-3)
