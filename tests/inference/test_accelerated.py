"""Draws computed many at a time with torch equal those computed one by one."""

import numpy as np
import pytest
import torch

from rsa_face.inference.compare import compare_layers
from rsa_face.inference.draws import evaluate_draws, evaluate_on
from rsa_face.inference.resampling import draw_resamples
from rsa_face.schema import COMPARISONS
from tests.inference.conftest import make_vectors, to_array

PLAIN = [name for name, row in COMPARISONS.items() if row.is_plain]
GPU = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"))


@pytest.mark.parametrize("comparison", PLAIN)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("resample", ["dual", "stimulus", "participant"])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_all_draws_at_once_equal_one_by_one(comparison, ties, resample, device):
    x, y = make_vectors(8, 3, 3, seed=1, ties=ties)
    human = to_array(y, "participant")
    draws = draw_resamples(human, resample=resample, draws=40, rng=np.random.default_rng(0))
    expected = evaluate_draws(x, y, draws, comparison=comparison)
    similarity, ceiling = evaluate_on(device, x, y, draws, comparison=comparison, memory=3e5)
    np.testing.assert_allclose(similarity, expected.similarity, rtol=0, atol=1e-9)
    np.testing.assert_allclose(ceiling, expected.ceiling, rtol=0, atol=1e-9)


def test_what_does_not_run_on_a_graphics_processor_is_refused(small):
    with pytest.raises(ValueError, match="the comparison is 'tau-a'"):
        compare_layers(*small, comparison="tau-a", resample="both", draws=5, device="cuda")


def test_too_little_memory_for_one_draw_is_refused():
    x, y = make_vectors(8, 3, 3, seed=1)
    draws = draw_resamples(to_array(y, "participant"), resample="both", draws=4, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="1e-06 GB"):
        evaluate_on("cpu", x, y, draws, comparison="corr", memory=1e3)


@pytest.mark.parametrize("comparison", PLAIN)
def test_the_size_of_a_chunk_changes_nothing(comparison):
    x, y = make_vectors(8, 3, 3, seed=1)
    draws = draw_resamples(to_array(y, "participant"), resample="dual", draws=40, rng=np.random.default_rng(0))
    small, large = (evaluate_on("cpu", x, y, draws, comparison=comparison, memory=m) for m in (3e4, 1e8))
    for one, other in zip(small, large, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)
