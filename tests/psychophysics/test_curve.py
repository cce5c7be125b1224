"""The climb to the maximum likelihood ends where general optimisers end, and its derivatives are right."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime, minimize
from scipy.stats import logistic, norm, qmc

from rsa_face.psychophysics.curve import (
    SIGMOIDS,
    Problem,
    deviance_of,
    evaluate_curve,
    fit_best,
    information_of,
    integrate_posterior,
    midpoint_of,
    slope_at_pse,
    starting_points,
    value_of,
)
from rsa_face.psychophysics.psychometric import fit_psychometric
from tests.benchmarks.psychometric_coverage import coverage

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


def one_curve(happy, trials=20.0):
    bounds = np.array([[-0.5, np.log(0.05), 0.0, 0.0]]), np.array([[1.5, np.log(5), 0.49, 0.49]])
    shown = np.full((1, len(LEVELS)), trials)
    return Problem(LEVELS, shown, np.array([happy], dtype=float), *bounds, SIGMOIDS["gaussian"], asymptote_prior=9.0)


@pytest.mark.parametrize(
    ("happy", "trials"), [([1, 0, 2, 6, 10, 15, 17, 20, 19], 20.0), ([0, 0, 1, 0, 1, 2, 1, 2, 2], 2.0)]
)
def test_credible_intervals_are_those_of_weighted_points_all_over_the_parameters(happy, trials):
    problem = one_curve(happy, trials)
    theta, _ = fit_best(problem, starting_points(problem))
    posterior = integrate_posterior(problem, theta)
    low, high = problem.lower[0].copy(), problem.upper[0].copy()
    low[1], high[1] = np.exp(0.5 * low[1]), np.exp(0.5 * high[1])  # the root of the width is uniform
    points = low + (high - low) * qmc.Sobol(4, seed=0).random(2**18)
    points[:, 1] = 2 * np.log(points[:, 1])
    # one observer at many points: the kernel takes a row of choices for each
    value = np.concatenate([value_of(part, problem.at(np.zeros(len(part), int))) for part in np.split(points, 32)])
    weights = np.exp(value - value.max())
    numbers = {"pse": points[:, 0], "midpoint": midpoint_of(points, problem.sigmoid),
               "slope": slope_at_pse(points, problem.sigmoid), "lapse": points[:, 3]}  # fmt: skip
    for name, values in numbers.items():
        order = np.argsort(values)
        expected = np.interp([0.025, 0.975], np.cumsum(weights[order]) / weights.sum(), values[order])
        closed = ~posterior.open_ended[name][:, 0]
        # by a twentieth of the interval: what cells of half a standard deviation leave open
        np.testing.assert_allclose(
            posterior.ends[name][closed, 0], expected[closed], atol=0.05 * np.ptp(expected), err_msg=name
        )
    assert posterior.open_ended["lapse"][0, 0]
    assert posterior.ends["lapse"][0, 0] == 0


def test_many_trials_give_the_interval_of_the_normal_approximation():
    problem = one_curve(
        4000 * evaluate_curve(LEVELS, np.array([[0.47, -1.0, 0.03, 0.05]]), SIGMOIDS["gaussian"])[0], 4000.0
    )
    theta, _ = fit_best(problem, starting_points(problem))
    ends = integrate_posterior(problem, theta).ends["pse"][:, 0]
    error = np.sqrt(np.linalg.inv(information_of(theta, problem)[1])[0, 0, 0])
    np.testing.assert_allclose(ends, theta[0, 0] + np.array([-1.96, 1.96]) * error, atol=0.05 * error)


def test_a_wider_interval_holds_a_narrower_one():
    problem = one_curve([1, 0, 2, 6, 10, 15, 17, 20, 19])
    theta, _ = fit_best(problem, starting_points(problem))
    for number in ("pse", "midpoint", "slope", "width", "guess", "lapse"):
        narrow, wide = (integrate_posterior(problem, theta, confidence=share).ends[number] for share in (0.5, 0.95))
        assert wide[0, 0] <= narrow[0, 0] <= narrow[1, 0] <= wide[1, 0]


def test_an_observers_interval_does_not_depend_on_the_others(simulate):
    table = simulate([0.3, 0.5, 0.7], [0.05, 0.1, 0.3], trials=4)
    together = fit_psychometric(table, draws=20)
    alone = fit_psychometric(table[table["participant"] == "p001"], draws=20)
    np.testing.assert_allclose(together["pse_interval"][1, 0], alone["pse_interval"][0, 0], rtol=1e-9)


def test_deviance_by_hand():
    problem = one_curve([0, 0, 0, 5, 10, 15, 20, 20, 20])
    flat = np.array([[0.5, np.log(5.0), 0.0, 0.0]])
    share = problem.happy / 20
    chance = evaluate_curve(LEVELS, flat, SIGMOIDS["gaussian"])
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(share > 0, share * np.log(share / chance), 0)
        terms = terms + np.where(share < 1, (1 - share) * np.log((1 - share) / (1 - chance)), 0)
    assert deviance_of(flat, problem)[0] == pytest.approx(2 * 20 * terms.sum())


def test_bootstrap_and_credible_intervals_are_about_as_wide(simulate):
    table = simulate([0.45, 0.55], 0.15, trials=60)
    by = {kind: fit_psychometric(table, interval=kind, draws=400) for kind in ("posterior", "bootstrap")}
    widths = {kind: np.ptp(fit["pse_interval"].values, axis=-1) for kind, fit in by.items()}
    np.testing.assert_allclose(widths["bootstrap"], widths["posterior"], rtol=0.25)
    np.testing.assert_allclose(by["bootstrap"]["pse_interval"], by["posterior"]["pse_interval"], atol=0.02)


@pytest.mark.parametrize("design", ["21 levels x 2 trials", "9 levels x 10 trials"])
@pytest.mark.parametrize(("guess", "lapse"), [(0.02, 0.02), (0.02, 0.2)])
def test_intervals_of_the_pse_hold_it_with_few_trials_and_many_lapses(design, guess, lapse):
    row = coverage(design, guess, lapse, observers=120, sds=(0.12,))
    # 95 % of 120 observers, within two and a half standard errors
    assert 0.90 <= row["coverage"] <= 1.0
    assert row["misfit"] <= 0.12
    assert abs(row["bias"]) < 0.04


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


@pytest.mark.slow
@pytest.mark.parametrize("design", ["21 levels x 2 trials", "9 levels x 10 trials"])
def test_coverage_of_the_pse_over_900_observers_with_the_published_spread(design):
    assert 0.93 <= coverage(design, 0.02, 0.02, observers=300)["coverage"] <= 0.97
