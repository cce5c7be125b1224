"""The draws' values depend neither on the number of threads nor on the memory allowed."""

import numpy as np
import pytest

from rsa_face.inference.draws import evaluate_draws
from rsa_face.inference.resampling import draw_resamples
from tests.inference.conftest import make_vectors, to_array


@pytest.mark.parametrize("comparison", ["corr", "corr_cov", "spearman", "rho-a", "tau-a", "kendall"])
@pytest.mark.parametrize("gaps", [False, True])
def test_the_number_of_threads_changes_nothing(comparison, gaps):
    x, y = make_vectors(9, 3, 4, seed=3)
    y[1, [0, 5]] = np.nan if gaps else y[1, [0, 5]]
    draws = draw_resamples(to_array(y, "participant"), resample="dual", draws=30, rng=np.random.default_rng(0))
    alone = evaluate_draws(x, y, draws, comparison=comparison, workers=1)
    for workers, memory in ((2, 2e9), (5, 2e9), (5, 3e4)):
        outcome = evaluate_draws(x, y, draws, comparison=comparison, workers=workers, memory=memory)
        np.testing.assert_array_equal(outcome.similarity, alone.similarity)
        np.testing.assert_array_equal(outcome.ceiling, alone.ceiling)
    assert not np.isnan(alone.similarity).all()


def test_one_draw_that_does_not_fit_is_refused_with_what_it_takes():
    x, y = make_vectors(9, 3, 4, seed=3)
    draws = draw_resamples(to_array(y, "participant"), resample="dual", draws=5, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"7 RDMs of 36 pairs takes 1.74e-05 GiB, and `memory` allows 9.31e-07 GiB"):
        evaluate_draws(x, y, draws, comparison="rho-a", memory=1e3)
