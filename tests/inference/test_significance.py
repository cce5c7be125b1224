"""P values are never 0, corrections equal the textbook's, and runs of layers are counted by hand."""

import numpy as np
import pytest
from scipy import stats

from rsa_face.inference.statistics import (
    cluster_masses,
    cluster_p,
    correct,
    false_discovery,
    holm,
    maximum_p,
    permutation_p,
    sign_flips,
)


def test_a_p_value_counts_the_observed_in() -> None:
    null = np.array([[0.1, 0.5], [0.2, 0.6], [0.3, 0.7], [0.4, 0.8]])
    np.testing.assert_allclose(permutation_p(np.array([0.25, 0.9]), null), [3 / 5, 1 / 5])


def test_a_shuffle_that_only_rounds_differently_counts_as_equal() -> None:
    null = np.array([[0.3 - 1e-16], [0.1 + 0.2]])
    assert permutation_p(np.array([0.1 + 0.2]), null)[0] == 1.0


def test_the_largest_of_all_layers_sets_the_bar() -> None:
    null = np.array([[-1.0, 1.0], [1.0, -1.0], [0.0, 0.0], [0.5, -0.5]])
    p = maximum_p(np.array([0.9, -0.9]), null)
    single = permutation_p(np.array([0.9, -0.9]), null)
    assert p[0] == pytest.approx(3 / 5)
    assert np.all(p >= single - 1e-12)


def test_one_layer_alone_needs_no_correction() -> None:
    rng = np.random.default_rng(0)
    null, observed = rng.normal(size=(99, 1)), np.array([1.3])
    np.testing.assert_allclose(maximum_p(observed, null), permutation_p(observed, null))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_bar_of_a_layer_does_not_depend_on_its_units(seed: int) -> None:
    rng = np.random.default_rng(seed)
    null, observed = rng.normal(size=(200, 4)), rng.normal(size=4) + 1
    scale = np.array([1.0, 100.0, 0.01, 3.0])
    np.testing.assert_allclose(maximum_p(observed * scale, null * scale), maximum_p(observed, null))


def test_holm_by_hand() -> None:
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])


def test_benjamini_hochberg_by_hand_and_as_scipy_has_it() -> None:
    np.testing.assert_allclose(false_discovery(np.array([0.005, 0.009, 0.05, 0.5])), [0.018, 0.018, 0.2 / 3, 0.5])
    p = np.random.default_rng(3).uniform(0.001, 1, 30)
    np.testing.assert_allclose(false_discovery(p), stats.false_discovery_control(p))


@pytest.mark.parametrize("method", ["holm", "fdr", "none"])
def test_a_layer_that_was_not_tested_is_not_in_the_family(method: str) -> None:
    p = np.array([0.01, np.nan, 0.03])
    corrected = correct(p, method=method)
    assert np.isnan(corrected[1])
    np.testing.assert_allclose(corrected[[0, 2]], correct(p[[0, 2]], method=method))


@pytest.mark.parametrize("method", ["holm", "fdr"])
def test_a_correction_keeps_the_order_and_never_lowers_a_p_value(method: str) -> None:
    p = np.random.default_rng(1).uniform(0.0001, 1, 40) ** 2
    corrected = correct(p, method=method)
    assert np.all(corrected >= p)
    assert np.all(np.diff(corrected[np.argsort(p)]) >= 0)


def test_an_unknown_correction_and_a_p_value_of_0_are_refused() -> None:
    with pytest.raises(ValueError, match="'bonferroni'"):
        correct(np.array([0.1]), method="bonferroni")
    with pytest.raises(ValueError, match=r"\[0.0, 1.5\]"):
        correct(np.array([0.1, 0.0, 1.5]), method="holm")


def test_few_participants_give_every_sign_flip_once() -> None:
    flips = sign_flips(5, shuffles=1000, rng=np.random.default_rng(0))
    assert flips.shape == (31, 5)
    assert len(np.unique(flips, axis=0)) == 31
    assert not np.any(np.all(flips == 1, axis=1))


def test_many_participants_give_as_many_flips_as_asked() -> None:
    flips = sign_flips(20, shuffles=50, rng=np.random.default_rng(0))
    assert flips.shape == (50, 20)
    assert set(np.unique(flips)) == {-1.0, 1.0}


def test_four_participants_cannot_be_turned_around() -> None:
    with pytest.raises(ValueError, match=r"4 of the 5 needed\. No p value could be below 0\.0625"):
        sign_flips(4, shuffles=100, rng=np.random.default_rng(0))


def test_runs_of_layers_by_hand() -> None:
    t = np.array([[1.0, 3.0, 4.0, 0.0, 2.5, -3.0, -2.5]])
    mass, number = cluster_masses(t, threshold=2.0)
    np.testing.assert_array_equal(number, [[0, 1, 1, 0, 2, 3, 3]])
    np.testing.assert_allclose(mass, [[0, 7, 7, 0, 2.5, 5.5, 5.5]])


def test_the_heaviest_run_by_chance_judges_each_run() -> None:
    t = np.array([3.0, 3.0, 0.0, 2.5])
    null = np.array([[0.0, 2.6, 0, 0], [0, 0, 0, 0], [2.1, 2.1, 2.1, 0], [1, 1, 1, 1]])
    p, number = cluster_p(t, null, threshold=2.0)
    np.testing.assert_allclose(p, [2 / 5, 2 / 5, 1, 3 / 5])
    np.testing.assert_array_equal(number, [1, 1, 0, 2])
