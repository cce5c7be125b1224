"""Critical values equal the exact ones where these are known, and grow with what is asked."""

import numpy as np
import pytest
from scipy import stats

from rsa_face.inference.statistics import (
    Resampled,
    Spread,
    critical_value,
    family_p,
    rejects,
    single_p,
    spread_of,
    studentised,
)


def _normal(draws: int, quantities: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(draws, quantities))


def _t(spread: Spread, confidence: float, *, two_sided: bool = True) -> float:
    """Return the critical value in standard errors."""
    return float(
        spread.reach(critical_value(spread, confidence=confidence, two_sided=two_sided))[0] / spread.error[0]
    )


def test_one_quantity_has_the_critical_value_of_a_t_test() -> None:
    spread = spread_of(np.zeros(1), _normal(20000, 1), freedom=9.0)
    assert _t(spread, 0.95) == pytest.approx(stats.t.isf(0.025, 9), rel=0.03)
    assert _t(spread, 0.95, two_sided=False) == pytest.approx(stats.t.isf(0.05, 9), rel=0.03)


def test_independent_quantities_have_the_critical_value_of_sidak() -> None:
    spread = spread_of(np.zeros(20), _normal(20000, 20))
    sidak = stats.norm.isf((1 - 0.95 ** (1 / 20)) / 2)
    assert critical_value(spread, confidence=0.95) == pytest.approx(sidak, rel=0.02)


def test_few_units_make_the_largest_t_larger() -> None:
    rng = np.random.default_rng(11)
    t = rng.normal(size=(40000, 20)) / np.sqrt(rng.chisquare(9, size=(40000, 1)) / 9)
    expected = np.quantile(np.abs(t).max(axis=1), 0.95)
    spread = spread_of(np.zeros(20), _normal(20000, 20), freedom=9.0)
    assert _t(spread, 0.95) == pytest.approx(expected, rel=0.03)


def test_one_estimate_that_few_degrees_of_freedom_make_unsure_does_not_set_the_bar_for_the_others() -> None:
    freedom = np.append(np.full(9, 200.0), 2.0)
    mixed = spread_of(np.zeros(10), _normal(20000, 10), freedom=freedom)
    sure = spread_of(np.zeros(10), _normal(20000, 10), freedom=200.0)
    reach = mixed.reach(critical_value(mixed, confidence=0.95)) / mixed.error
    assert reach[0] == pytest.approx(_t(sure, 0.95), rel=0.03)
    assert reach[-1] > 4 * reach[0]
    # and the family is still held: each is t by its own degrees of freedom
    rng = np.random.default_rng(3)
    t = rng.standard_t(freedom, size=(40000, 10))
    assert np.mean((np.abs(t) > reach).any(axis=1)) == pytest.approx(0.05, abs=0.005)


def test_scores_are_exceeded_as_often_as_t_values_even_far_out() -> None:
    spread = spread_of(np.array([-40.0, 0.0, 2.0, 6.0]), _normal(500, 4), np.ones(4), freedom=7.0)
    np.testing.assert_allclose(stats.norm.sf(spread.z), stats.t.sf([-40, 0, 2, 6], 7), rtol=1e-9)
    np.testing.assert_allclose(stats.norm.cdf(spread.z[0]), stats.t.cdf(-40, 7), rtol=1e-9)
    np.testing.assert_allclose(spread.reach(spread.z[2]), 2.0)


def test_equal_quantities_cost_nothing() -> None:
    spread = spread_of(np.zeros(20), np.repeat(_normal(20000, 1), 20, axis=1))
    assert critical_value(spread, confidence=0.95) == pytest.approx(stats.norm.isf(0.025), rel=0.03)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_neither_a_bias_of_the_draws_nor_the_units_matter(seed: int) -> None:
    estimate, draws = np.array([0.1, 0.3]), _normal(500, 2, seed)
    one = spread_of(estimate, draws)
    other = spread_of(estimate * 100, draws * 100 + 7)
    np.testing.assert_allclose(one.z, other.z)
    np.testing.assert_allclose(one.chance_z, other.chance_z)


def test_deviations_are_scaled_to_a_given_standard_error() -> None:
    spread = spread_of(np.zeros(2), _normal(500, 2), np.array([0.5, 3.0]))
    np.testing.assert_allclose(spread.deviations.std(axis=0, ddof=1), [0.5, 3.0])
    assert abs(spread.deviations.mean()) < 1e-12


def test_a_difference_is_paired_within_draws() -> None:
    common = _normal(1000, 1)
    draws = np.hstack([common, common + 0.1 * _normal(1000, 1, seed=5)])
    resampled = Resampled(np.array([0.5, 0.7]), draws[None], "both", (50, 20))
    difference = resampled.spread(np.array([[-1.0], [1.0]]))
    assert difference.estimate[0] == pytest.approx(0.2)
    assert difference.error[0] == pytest.approx(0.1, rel=0.1)


def test_what_cannot_stray_is_certain() -> None:
    np.testing.assert_array_equal(studentised(np.array([0.0, 0.2, -0.2]), np.zeros(3)), [0, np.inf, -np.inf])
    draws = np.hstack([_normal(100, 1), np.full((100, 1), 0.2)])
    spread = spread_of(np.array([0.1, 0.2]), draws)
    assert spread.error[1] == 0
    assert family_p(spread, two_sided=False)[1] == pytest.approx(1 / 101)
    assert 0 < single_p(spread, two_sided=False)[1] < 1e-300


def test_a_p_value_of_the_family_is_at_least_that_of_the_single_test() -> None:
    spread = spread_of(np.array([0.1, 1.0, 2.0, 5.0]), _normal(999, 4), freedom=12.0)
    single, family = single_p(spread, two_sided=True), family_p(spread, two_sided=True)
    assert np.all(family >= single)
    np.testing.assert_allclose(single, 2 * stats.t.sf(np.abs(studentised(spread.estimate, spread.error)), 12))
    assert family.min() >= 1 / 1000


def test_an_inequality_far_off_does_not_make_the_test_cautious() -> None:
    draws = _normal(5000, 30)
    t = np.full(30, -30.0)
    t[0] = 1.9
    assert rejects(spread_of(t, draws), confidence=0.95)
    assert not rejects(spread_of(np.where(t > 0, t, 0.0), draws), confidence=0.95)


def test_an_inequality_broken_without_any_spread_is_rejected() -> None:
    still = np.zeros((100, 1))
    assert rejects(spread_of(np.array([0.1]), still), confidence=0.95)
    assert not rejects(spread_of(np.array([0.0]), still), confidence=0.95)
    assert not rejects(spread_of(np.array([-0.1]), still), confidence=0.95)


def test_too_few_whole_draws_are_refused() -> None:
    draws = _normal(30, 2)
    draws[:15, 1] = np.nan
    with pytest.raises(ValueError, match="15 of 30 are complete"):
        spread_of(np.zeros(2), draws)
