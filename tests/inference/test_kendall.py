"""Kendall's tau in a draw equals scipy's over copied pairs, whichever of the RDMs are tied."""

import numpy as np
import pytest
from scipy.stats import kendalltau

from rsa_face.inference.kernels import double_ranks, kept_in_order, sort_once, tau


@pytest.mark.parametrize("tied", ["neither", "layers", "people", "both"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_tau_of_a_draw_is_that_of_copied_pairs(tied: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=(3, 300)), rng.normal(size=(2, 300))
    x[1:] = np.round(x[1:]) if tied in ("layers", "both") else x[1:]  # the first stays without ties
    y[1:] = np.round(y[1:]) if tied in ("people", "both") else y[1:]
    weights = rng.integers(0, 4, 300).astype(float)
    once = sort_once(x)
    ranks, full = double_ranks(once, weights)
    outcome = tau(
        (ranks, kept_in_order(once, weights)), double_ranks(sort_once(y), weights)[0], full, tie_corrected=True
    )
    copies = np.repeat(np.arange(300), weights.astype(int))
    expected = [[kendalltau(one[copies], other[copies]).statistic for other in y] for one in x]
    np.testing.assert_allclose(outcome, expected, rtol=0, atol=1e-12)
