"""With two features, as in a two-class output layer, a correlation distance is exactly 0 or 2."""

import numpy as np
import pytest

from rsa_face.rdms.moments import dissimilarities, sum_moments


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_two_features_give_zero_or_two(seed):
    values = np.random.default_rng(seed).normal(size=(20, 2)).astype(np.float32)
    rdm = dissimilarities(sum_moments([values], "correlation"), "correlation", [str(i) for i in range(20)])
    assert set(np.unique(rdm)) == {0.0, 2.0}
