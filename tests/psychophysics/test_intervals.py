"""Intervals of PSE and slope hold the truth as often as they say, and agree with other ways to make them."""

import numpy as np
import pytest
from scipy.optimize import brentq, minimize
from scipy.stats import chi2

from rsa_face.psychophysics.climb import fit_best, starting_points, value_of
from rsa_face.psychophysics.curves import SIGMOIDS, Problem
from rsa_face.psychophysics.intervals import deviance_of, profile_interval
from rsa_face.psychophysics.psychometric import fit_psychometric

LEVELS = np.linspace(0, 1, 9)


def one_curve(happy, trials=20.0):
    bounds = np.array([[-0.5, np.log(0.05), 0.0, 0.0]]), np.array([[1.5, np.log(5), 0.1, 0.1]])
    shown = np.full((1, len(LEVELS)), trials)
    return Problem(LEVELS, shown, np.array([happy], dtype=float), *bounds, SIGMOIDS["gaussian"])


def test_the_ends_of_a_profile_interval_are_those_a_general_optimiser_finds():
    problem = one_curve([1, 0, 2, 6, 10, 15, 17, 20, 19])
    theta, _ = fit_best(problem, starting_points(problem))
    ends, reached = profile_interval(problem, theta, "pse")
    top, drop = value_of(theta, problem)[0], chi2.ppf(0.95, 1) / 2
    bounds = list(zip(problem.lower[0, 1:], problem.upper[0, 1:], strict=True))

    def lost(pse):
        return top - drop + min(
            minimize(lambda rest: -value_of(np.r_[pse, rest][None], problem)[0], start, bounds=bounds).fun
            for start in (theta[0, 1:], np.array([-0.7, 0.05, 0.05]))
        )  # fmt: skip

    lower, upper = brentq(lost, 0.2, theta[0, 0], xtol=1e-5), brentq(lost, theta[0, 0], 0.8, xtol=1e-5)
    np.testing.assert_allclose(ends[:, 0], [lower, upper], atol=1e-3)
    assert not reached.any()


def test_a_wider_interval_holds_a_narrower_one():
    problem = one_curve([1, 0, 2, 6, 10, 15, 17, 20, 19])
    theta, _ = fit_best(problem, starting_points(problem))
    for number in ("pse", "slope", "width", "guess", "lapse"):
        narrow, wide = (profile_interval(problem, theta, number, confidence=share)[0] for share in (0.5, 0.95))
        assert wide[0, 0] <= narrow[0, 0] <= narrow[1, 0] <= wide[1, 0]


def test_deviance_by_hand():
    problem = one_curve([0, 0, 0, 5, 10, 15, 20, 20, 20])
    flat = np.array([[0.5, np.log(5.0), 0.0, 0.0]])
    share = problem.happy / 20
    from rsa_face.psychophysics.curves import evaluate_curve

    chance = evaluate_curve(LEVELS, flat, SIGMOIDS["gaussian"])
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(share > 0, share * np.log(share / chance), 0)
        terms = terms + np.where(share < 1, (1 - share) * np.log((1 - share) / (1 - chance)), 0)
    assert deviance_of(flat, problem)[0] == pytest.approx(2 * 20 * terms.sum())


def test_bootstrap_and_profile_intervals_are_about_as_wide(simulate):
    table = simulate([0.45, 0.55], 0.15, trials=60)
    by = {kind: fit_psychometric(table, interval=kind, draws=400) for kind in ("profile", "bootstrap")}
    widths = {kind: np.ptp(fit["pse_interval"].values, axis=-1) for kind, fit in by.items()}
    np.testing.assert_allclose(widths["bootstrap"], widths["profile"], rtol=0.25)
    np.testing.assert_allclose(by["bootstrap"]["pse_interval"], by["profile"]["pse_interval"], atol=0.02)


@pytest.mark.slow
@pytest.mark.parametrize("sd", [0.08, 0.15])
def test_parameters_are_recovered_and_intervals_hold_the_truth_for_500_people(simulate, sd):
    rng = np.random.default_rng(1)
    pses = rng.normal(0.514, 0.05, 500)
    table = simulate(pses, sd, levels=np.linspace(0, 1, 11), trials=40, seed=2)
    fit = fit_psychometric(table)
    slope = (1 - 0.05) / (sd * np.sqrt(2 * np.pi))
    assert (fit["pse"].values[:, 0] - pses).mean() == pytest.approx(0, abs=0.005)
    assert np.median(fit["slope"].values / slope) == pytest.approx(1, abs=0.05)
    for name, truth in (("pse", pses), ("slope", np.full(500, slope))):
        ends = fit[f"{name}_interval"].values[:, 0]
        held = ((ends[:, 0] <= truth) & (truth <= ends[:, 1])).mean()
        assert 0.92 <= held <= 0.98, (name, held)
