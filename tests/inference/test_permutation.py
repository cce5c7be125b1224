"""Shuffling stimuli moves rows and columns together, leaves missing pairs in place, and is exact."""

from functools import partial

import numpy as np
import pytest

from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.kernels import to_vectors
from rsa_face.inference.permutation import shuffle_layers, shuffled_pairs, shuffled_similarities, stimulus_shuffles
from tests.inference.simulated import simulate

SHARES = {"alexnet/a": 0.0, "alexnet/b": 0.9, "alexnet/c": 0.1}


def test_rows_and_columns_are_shuffled_together() -> None:
    rdm = np.array([[0, 1, 2, 3], [1, 0, 4, 5], [2, 4, 0, 6], [3, 5, 6, 0]])
    order = np.array([3, 1, 0, 2])
    shuffled = rdm[np.ix_(order, order)]
    np.testing.assert_array_equal(to_vectors(rdm[None])[0][shuffled_pairs(order)], to_vectors(shuffled[None])[0])


@pytest.mark.parametrize(
    "comparison", ["cosine", "corr", "spearman", "rho-a", "tau-a", "kendall", "corr_cov", "cosine_cov"]
)
@pytest.mark.parametrize("missing", [False, True])
def test_a_shuffle_equals_comparing_the_shuffled_rdm(comparison: str, missing: bool) -> None:
    rng = np.random.default_rng(2)
    layers, people = np.round(rng.normal(size=(3, 28)), 1), np.round(rng.normal(size=(4, 28)), 1)
    if missing:
        people[1, :5] = np.nan
    orders = stimulus_shuffles([*"abcdefgh"], shuffles=5, rng=rng)
    observed, null = shuffled_similarities(layers, people, orders, comparison=comparison)
    compare = partial(compare_vectors, comparison)
    expected = [compare(layers[:, shuffled_pairs(order)], people).mean(axis=1) for order in orders]
    np.testing.assert_allclose(observed, compare(layers, people).mean(axis=1), atol=1e-12)
    np.testing.assert_allclose(null, expected, atol=1e-12)


def test_the_related_layer_is_found_and_the_p_values_are_never_0() -> None:
    rdms, human = simulate(SHARES, stimuli=16, participants=6, rng=np.random.default_rng(0))
    outcome = shuffle_layers(rdms, human, shuffles=199, seed=3)
    assert outcome["p_permutation"].sel(rdm="alexnet/b") == pytest.approx(1 / 200)
    assert (outcome["p_permutation_corrected"] >= 1 / 200).all()
    assert outcome["p_permutation"].sel(rdm="alexnet/a") > 0.05
    again = shuffle_layers(rdms, human, shuffles=199, seed=3)
    np.testing.assert_array_equal(outcome["similarity_shuffles"], again["similarity_shuffles"])


def test_the_similarity_is_the_mean_over_participants() -> None:
    rdms, human = simulate(SHARES, stimuli=10, participants=5, rng=np.random.default_rng(0))
    outcome = shuffle_layers(rdms, human, comparison="spearman", shuffles=10)
    each = compare_vectors("spearman", to_vectors(rdms.values), to_vectors(human.values))
    np.testing.assert_allclose(outcome["similarity"], each.mean(axis=1))


def test_three_stimuli_cannot_be_shuffled() -> None:
    rdms, human = simulate(SHARES, stimuli=3, participants=5, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="3 of the 4 needed"):
        shuffle_layers(rdms, human)
    with pytest.raises(ValueError, match="`shuffles` is 0"):
        stimulus_shuffles([*"abcde"], shuffles=0, rng=np.random.default_rng(0))
