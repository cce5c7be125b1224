"""The climb to the maximum likelihood ends where general optimisers end, and its derivatives are right."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.stats import logistic, norm

from rsa_face.psychophysics.climb import fit_best, information_of, starting_points, value_of
from rsa_face.psychophysics.curves import SIGMOIDS, Problem, evaluate_curve, midpoint_of, slope_at_pse

LEVELS = np.linspace(0, 1, 9)
BOUNDS = np.array([(-0.5, 1.5), np.log((0.05, 5)), (0, 0.1), (0, 0.1)])


def problem_of(sigmoid="gaussian", curves=12, seed=0, trials=30.0, **options):
    rng = np.random.default_rng(seed)
    chance = 0.02 + 0.95 * norm.cdf((LEVELS - rng.uniform(0.3, 0.7, (curves, 1))) / rng.uniform(0.05, 0.2))
    happy = rng.binomial(int(trials), chance).astype(float)
    lower, upper = np.tile(BOUNDS[:, 0], (curves, 1)), np.tile(BOUNDS[:, 1], (curves, 1))
    shown = np.full((curves, len(LEVELS)), trials)
    return Problem(LEVELS, shown, happy, lower, upper, SIGMOIDS[sigmoid], **options)


@pytest.mark.parametrize(("sigmoid", "theirs"), [("gaussian", norm), ("logistic", logistic)])
def test_a_curve_has_5_and_95_percent_half_a_width_either_side(sigmoid, theirs):
    theta = np.array([[0.5, np.log(0.4), 0.0, 0.0]])
    at = evaluate_curve(np.array([0.3, 0.5, 0.7]), theta, SIGMOIDS[sigmoid])
    np.testing.assert_allclose(at, [[0.05, 0.5, 0.95]], atol=1e-12)
    scale = 0.4 / (2 * theirs.ppf(0.95))
    np.testing.assert_allclose(slope_at_pse(theta, SIGMOIDS[sigmoid]), theirs.pdf(0) / scale)


def test_the_slope_at_the_pse_is_the_derivative_there_with_guesses_and_lapses():
    theta, sigmoid = np.array([[0.45, np.log(0.3), 0.05, 0.1]]), SIGMOIDS["gaussian"]
    ends = evaluate_curve(np.array([0.45 - 1e-6, 0.45 + 1e-6]), theta, sigmoid)[0]
    assert slope_at_pse(theta, sigmoid)[0] == pytest.approx((ends[1] - ends[0]) / 2e-6, rel=1e-6)


@pytest.mark.parametrize(("sigmoid", "theirs"), [("gaussian", norm), ("logistic", logistic)])
def test_at_the_pse_happy_is_chosen_half_the_time_and_at_the_midpoint_the_sigmoid_is_at_one_half(sigmoid, theirs):
    theta = np.array([[0.45, np.log(0.3), 0.05, 0.2]])
    at_pse = evaluate_curve(np.array([0.45]), theta, SIGMOIDS[sigmoid])
    np.testing.assert_allclose(at_pse, 0.5, atol=1e-12)
    # F = .45 / .75 = .6 at the PSE, so the midpoint lies as far below it as the sigmoid takes from .5 to .6
    scale = 0.3 / (2 * theirs.ppf(0.95))
    midpoint = midpoint_of(theta, SIGMOIDS[sigmoid])
    np.testing.assert_allclose(midpoint, 0.45 - theirs.ppf(0.6) * scale, atol=1e-12)
    np.testing.assert_allclose(evaluate_curve(midpoint, theta, SIGMOIDS[sigmoid]), 0.05 + 0.75 / 2, atol=1e-12)


@pytest.mark.parametrize("sigmoid", ["gaussian", "logistic"])
@pytest.mark.parametrize("objective", ["likelihood", "least squares"])
@pytest.mark.parametrize("prior", [False, True])
def test_derivatives_agree_with_differences(sigmoid, objective, prior):
    problem = problem_of(sigmoid, curves=1, objective=objective)
    if prior:
        population = {"centre": np.full((1, 4), 0.3), "precision": np.array([[4.0, 2.0, 0.0, 0.0]])}
        problem = replace(problem, asymptote_prior=9.0, **population)
    theta = np.array([0.52, -1.0, 0.07, 0.2])
    gradient, observed, _ = information_of(theta[None], problem)
    differences = approx_fprime(theta, lambda one: value_of(one[None], problem)[0], 1e-7)
    np.testing.assert_allclose(gradient[0], differences, rtol=1e-4, atol=1e-3)
    bend = approx_fprime(theta, lambda one: information_of(one[None], problem)[0][0], 1e-6)
    np.testing.assert_allclose(observed[0], -bend, rtol=1e-3, atol=1e-1)


@pytest.mark.parametrize("sigmoid", ["gaussian", "logistic"])
@pytest.mark.parametrize("objective", ["likelihood", "least squares"])
def test_the_maximum_is_no_lower_than_a_general_optimisers(sigmoid, objective):
    problem = problem_of(sigmoid, objective=objective)
    theta, converged = fit_best(problem, starting_points(problem))
    assert converged.all()
    ours = value_of(theta, problem)
    for curve in range(len(theta)):
        one = problem.at(np.array([curve]))
        starts = [theta[curve], np.array([0.5, -1.0, 0.05, 0.05]), np.array([0.4, -2.0, 0.01, 0.09])]
        bounds = list(zip(one.lower[0], one.upper[0], strict=True))
        theirs = [
            minimize(lambda x, one=one: -value_of(x[None], one)[0], start, bounds=bounds, method="L-BFGS-B",
                     options={"ftol": 1e-14, "gtol": 1e-9, "maxiter": 5000})
            for start in starts
        ]  # fmt: skip
        assert ours[curve] >= -min(result.fun for result in theirs) - 1e-6


def test_curves_fitted_together_are_those_fitted_alone():
    problem = problem_of()
    together, _ = fit_best(problem, starting_points(problem))
    for curve in range(3):
        one = problem.at(np.array([curve]))
        alone, _ = fit_best(one, starting_points(one))
        np.testing.assert_allclose(alone[0], together[curve], atol=1e-5)


def test_fixed_parameters_stay_where_they_are():
    problem = problem_of(curves=2)
    problem.lower[:, 3] = problem.upper[:, 3] = 0.07
    theta, _ = fit_best(problem, starting_points(problem))
    assert theta[:, 3].tolist() == [0.07, 0.07]
