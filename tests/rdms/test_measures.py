"""Inner products add up to the same, however the features are cut, and where textbook formulas cancel."""

import numpy as np
import pytest
import torch
from threadpoolctl import threadpool_limits

from rsa_face.rdms.measures import block_moments, dissimilarities, product_threads, sum_moments


def patterns(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, 2, shape)


def reference(values: np.ndarray) -> np.ndarray:
    return 1 - np.corrcoef(values.astype(np.float64))


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_moments_do_not_depend_on_how_the_features_are_cut(measure):
    flat = patterns(0, (6, 90))
    full = dissimilarities(sum_moments([flat], measure), measure, "abcdef")
    cut = dissimilarities(sum_moments([flat[:, :7], flat[:, 7:50], flat[:, 50:]], measure), measure, "abcdef")
    np.testing.assert_allclose(cut, full, atol=1e-9)


@pytest.mark.parametrize("alike", [0.0, 0.9, 0.999])
@pytest.mark.parametrize("threshold", [0.0, 1.2])
@pytest.mark.parametrize("stimuli", [5, 70])
def test_single_precision_products_of_rectified_patterns_are_good_to_a_millionth(alike, threshold, stimuli):
    # many equal values (the zeros of a ReLU), alike patterns and long sums are where float32 goes wrong first
    rng = np.random.default_rng(0)
    shared = alike**0.5 * rng.normal(size=150_000)
    values = shared + (1 - alike) ** 0.5 * rng.normal(size=(stimuli, 150_000))
    values = np.maximum(values - threshold, 0).astype(np.float32)
    ids = [str(place) for place in range(stimuli)]
    rdm = dissimilarities(sum_moments([values], "correlation"), "correlation", ids)
    np.testing.assert_allclose(rdm, reference(values), atol=1e-6)
    in_torch = dissimilarities(block_moments(torch.from_numpy(values), "correlation"), "correlation", ids)
    np.testing.assert_allclose(in_torch, reference(values), atol=1e-6)


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_torch_computes_the_same_moments(measure):
    values = (patterns(0, (80, 20_000)) + np.arange(80)[:, None]).astype(np.float32)
    ids = [str(place) for place in range(80)]
    ours = dissimilarities(sum_moments([values], measure), measure, ids)
    theirs = dissimilarities(block_moments(torch.from_numpy(values), measure), measure, ids)
    np.testing.assert_allclose(theirs, ours, atol=1e-6 * max(ours.max(), 1))


def test_blocks_with_means_far_apart_cancel_nothing():
    rng = np.random.default_rng(0)
    values = (0.001 * rng.normal(size=(6, 900)) + np.repeat([100, -100, 3], 300)).astype(np.float32)
    blocks = np.split(values, 3, axis=1)
    rdm = dissimilarities(sum_moments(blocks, "correlation"), "correlation", "abcdef")
    np.testing.assert_allclose(rdm, reference(values), atol=1e-12)


def test_products_are_the_same_to_the_bit_whatever_the_number_of_threads():
    values = patterns(0, (300, 20_000)).astype(np.float32)
    outcome = []
    for threads in (1, 2, 3):
        with threadpool_limits(threads, user_api="blas"), product_threads() as pool:
            outcome.append(block_moments(values, "correlation", pool).within)
    np.testing.assert_array_equal(outcome[1], outcome[0])
    np.testing.assert_array_equal(outcome[2], outcome[0])
    np.testing.assert_array_equal(outcome[0], outcome[0].T)


def test_input_is_not_changed():
    values = patterns(0, (4, 30)).astype(np.float32)
    before = values.copy()
    for measure in ("correlation", "euclidean", "cosine"):
        sum_moments([values], measure)
    np.testing.assert_array_equal(values, before)
