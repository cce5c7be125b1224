"""Draws computed many at a time with torch equal those computed one by one with numpy."""

import numpy as np
import pytest
import torch

from rsa_face.inference.draws import Evaluated, evaluate_draws, in_torch, run_draws
from rsa_face.inference.resampling import deletions_of, draw_resamples
from rsa_face.inference.rsa import compare_layers
from rsa_face.schema import COMPARISONS
from tests.inference.conftest import make_vectors, to_array

PLAIN = [name for name, row in COMPARISONS.items() if row.is_plain]
GPU = (pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device"))


def in_torch_on(device, x, y, draws, *, comparison, memory) -> Evaluated:
    return run_draws(in_torch(device, x, y, draws, comparison=comparison, memory=memory), draws, len(x))


@pytest.mark.parametrize("comparison", PLAIN)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("resample", ["dual", "stimulus", "participant"])
@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=GPU)])
def test_all_draws_at_once_equal_one_by_one(comparison, ties, resample, device):
    x, y = make_vectors(8, 3, 3, seed=1, ties=ties)
    human = to_array(y, "participant")
    draws = draw_resamples(human, resample=resample, draws=40, rng=np.random.default_rng(0))
    expected = evaluate_draws(x, y, draws, comparison=comparison)
    values = in_torch_on(device, x, y, draws, comparison=comparison, memory=3e5)
    np.testing.assert_allclose(values.similarity, expected.similarity, rtol=0, atol=1e-10)
    np.testing.assert_allclose(values.ceiling, expected.ceiling, rtol=0, atol=1e-10)
    assert not np.isnan(values.ceiling[:, draws.usable]).any()


@pytest.mark.parametrize("comparison", PLAIN)
def test_a_draw_of_one_participant_and_of_deletions_is_the_same_too(comparison):
    x, y = make_vectors(8, 3, 4, seed=1, ties=True)
    human = to_array(y, "participant")
    one = {"stimulus": np.tile([0, 1, 2, 3], (2, 2)), "participant": np.array([[2, 2, 2, 2], [0, 0, 3, 3]])}
    for draws in (draw_resamples(human, resample="dual", resamples=one), deletions_of(human).draws):
        expected = evaluate_draws(x, y, draws, comparison=comparison)
        values = in_torch_on("cpu", x, y, draws, comparison=comparison, memory=1e8)
        np.testing.assert_allclose(values.similarity, expected.similarity, rtol=0, atol=1e-10)
        np.testing.assert_allclose(values.ceiling, expected.ceiling, rtol=0, atol=1e-10)


def test_what_does_not_run_on_a_graphics_processor_is_refused(small):
    with pytest.raises(ValueError, match="the comparison is 'tau-a'"):
        compare_layers(*small, comparison="tau-a", resample="both", draws=5, device="cuda")


def test_too_little_memory_for_one_draw_is_refused():
    x, y = make_vectors(8, 3, 3, seed=1)
    draws = draw_resamples(to_array(y, "participant"), resample="both", draws=4, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match=r"allows 9\.31e-07 GiB"):
        in_torch_on("cpu", x, y, draws, comparison="corr", memory=1e3)


@pytest.mark.parametrize("comparison", PLAIN)
def test_the_size_of_a_chunk_changes_nothing(comparison):
    x, y = make_vectors(8, 3, 3, seed=1)
    draws = draw_resamples(to_array(y, "participant"), resample="dual", draws=40, rng=np.random.default_rng(0))
    small, large = (in_torch_on("cpu", x, y, draws, comparison=comparison, memory=m) for m in (3e4, 1e8))
    np.testing.assert_allclose(small.similarity, large.similarity, rtol=0, atol=1e-12)
    np.testing.assert_allclose(small.ceiling, large.ceiling, rtol=0, atol=1e-12)
