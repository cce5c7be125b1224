"""Inner products add up to the same, however the features are cut, and where textbook formulas cancel."""

import numpy as np
import pytest

from rsa_face.rdms.moments import dissimilarities, sum_moments


def patterns(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, 2, shape)


def reference(values: np.ndarray) -> np.ndarray:
    return 1 - np.corrcoef(values.astype(np.float64))


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_moments_do_not_depend_on_how_the_features_are_cut(measure):
    flat = patterns(0, (6, 90))
    whole = dissimilarities(sum_moments([flat], measure), measure, "abcdef")
    cut = dissimilarities(sum_moments([flat[:, :7], flat[:, 7:50], flat[:, 50:]], measure), measure, "abcdef")
    np.testing.assert_allclose(cut, whole, atol=1e-9)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("width", [1, 64, 5000])
def test_single_precision_products_are_good_to_a_millionth(seed, width):
    rng = np.random.default_rng(seed)
    values = np.maximum(rng.normal(size=(12, 20_000)), 0) * rng.lognormal(size=20_000)
    values = values.astype(np.float32)
    blocks = [values[:, start : start + max(width, 500)] for start in range(0, 20_000, max(width, 500))]
    rdm = dissimilarities(sum_moments(blocks, "correlation"), "correlation", [str(place) for place in range(12)])
    np.testing.assert_allclose(rdm, reference(values), atol=1e-6)


def test_blocks_with_means_far_apart_cancel_nothing():
    rng = np.random.default_rng(0)
    values = (0.001 * rng.normal(size=(6, 900)) + np.repeat([100, -100, 3], 300)).astype(np.float32)
    blocks = np.split(values, 3, axis=1)
    rdm = dissimilarities(sum_moments(blocks, "correlation"), "correlation", "abcdef")
    np.testing.assert_allclose(rdm, reference(values), atol=1e-12)


def test_input_is_not_changed():
    values = patterns(0, (4, 30)).astype(np.float32)
    before = values.copy()
    for measure in ("correlation", "euclidean", "cosine"):
        sum_moments([values], measure)
    np.testing.assert_array_equal(values, before)
