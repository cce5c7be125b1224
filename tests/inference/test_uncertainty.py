"""Variances and p values, worked by hand."""

import numpy as np
import pytest

from rsa_face.inference.rsa import compare_layers
from rsa_face.inference.statistics import bootstrap_variance, p_from_draws, p_one_sided, t_differences


def test_variance_is_corrected_for_drawing_with_replacement():
    draws = np.array([1.0, 2, 3])[None, :, None]
    assert bootstrap_variance(draws, (11, 3), "stimulus")[0] == pytest.approx(1.1)
    assert bootstrap_variance(draws, (11, 3), "participant")[0] == pytest.approx(1.5)
    assert bootstrap_variance(draws, (11, 3), "both")[0] == pytest.approx(1.5)


def test_dual_variance_by_hand():
    spread = np.array([-1.0, 0, 1])[None, :, None] * np.sqrt(np.array([3.2, 1, 2]))[:, None, None]
    # 10 stimuli, 5 participants: 1 * 5/4 + 2 * 10/9 - (3.2 - 1 - 2) * 5/4 * 10/9, which lies between the bounds
    assert bootstrap_variance(spread, (10, 5), "dual")[0] == pytest.approx(1.25 + 20 / 9 - 2.5 / 9)


def test_p_values_are_never_zero():
    assert p_one_sided(np.array([1e6]), np.array([0.0]), 1000.0)[0] > 0
    assert p_from_draws(np.ones((9, 1)))[0] == pytest.approx(0.1)


def test_percentile_p_counts_the_draws_on_the_other_side(small):
    result = compare_layers(*small, resample="both", draws=39)
    below = (result["similarity_draws"] <= 0).sum("draw")
    np.testing.assert_allclose(result["p_above_zero_percentile"], (1 + below) / 40)
    over = (result["similarity_draws"] >= result["noise_ceiling_draws"].sel(bound="lower")).sum("draw")
    np.testing.assert_allclose(result["p_below_ceiling_percentile"], (1 + over) / 40)
    gap = (result["similarity_draws"][:, 0] - result["similarity_draws"][:, 2]).values
    rarer = min((gap <= 0).sum(), (gap >= 0).sum())
    outcome = t_differences(result, [("rdm0", "rdm2")])["p_difference_percentile"].item()
    assert outcome == pytest.approx(min(1, 2 * (1 + rarer) / 40))
