"""How far a curve's numbers can be trusted: intervals by profile likelihood and by bootstrap."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import elementwise
from scipy.special import ndtr, ndtri
from scipy.stats import chi2

from rsa_face.psychophysics.climb import fit_curves, starting_points, value_of
from rsa_face.psychophysics.curves import GUESS, LAPSE, PSE, WIDTH, Problem, evaluate_curve, exchange, slope_at_pse

Array = np.ndarray
_CURVES_AT_ONCE = 20_000

# The numbers that get an interval, and how each is read off the parameters (pse, log width, guess, lapse).
NUMBERS: dict[str, Callable[[Array, Problem], Array]] = {
    "pse": lambda theta, _: theta[..., PSE],
    "slope": lambda theta, problem: slope_at_pse(theta, problem.sigmoid),
    "width": lambda theta, _: np.exp(theta[..., WIDTH]),
    "guess": lambda theta, _: theta[..., GUESS],
    "lapse": lambda theta, _: theta[..., LAPSE],
}
_PLACES = {"pse": PSE, "slope": WIDTH, "width": WIDTH, "guess": GUESS, "lapse": LAPSE}


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Refitted curves of resampled choices.

    Parameters
    ----------
    theta : ndarray, shape (draw, curve, 4)
        Parameters of each draw.
    deviance : ndarray, shape (draw, curve)
        Deviance of each draw from its own curve.
    """

    theta: Float[Array, "draw curve 4"]
    deviance: Float[Array, "draw curve"]


def profile_interval(
    problem: Problem, theta: Float[Array, "curve 4"], number: str, *, confidence: float = 0.95
) -> tuple[Float[Array, "2 curve"], Bool[Array, "2 curve"]]:
    """Return where the likelihood, maximised over all other parameters, falls too far below its maximum.

    Unlike an interval of plus and minus a standard error it need not be symmetric, and it stays right where a
    curve is steep or few levels are informative.

    Parameters
    ----------
    problem : Problem
        The curves, by width.
    theta : ndarray, shape (curve, 4)
        Their fits.
    number : {"pse", "slope", "width", "guess", "lapse"}
        What to bound.
    confidence : float
        In (0, 1).

    Returns
    -------
    interval : ndarray, shape (2, curve)
        Lower and upper ends.
    open_ended : ndarray of bool, shape (2, curve)
        True where the interval reaches the bound of the fit: the choices do not limit it on that side.

    Notes
    -----
    The ends solve ``2 (l(fit) - l(value)) = chi2(confidence, 1)`` (Venzon & Moolgavkar 1988, 10.2307/2347496),
    all curves at once by Chandrupatla's root finder.
    """
    place = _PLACES[number]
    at_fit = exchange(theta, problem.sigmoid) if number == "slope" else theta
    problem = _by_slope(problem) if number == "slope" else problem
    top, drop = value_of(at_fit, problem), float(chi2.ppf(confidence, 1)) / 2
    curves = len(theta)
    which = np.tile(np.arange(curves), 2)
    ends = np.concatenate([problem.lower[:, place], problem.upper[:, place]])
    middles = np.tile(at_fit[:, place], 2)
    warm = np.concatenate([at_fit, at_fit])

    def below(value: Array, row: Array) -> Array:
        curve = which[row.astype(int)]
        part = problem.at(curve)
        held = replace(part, lower=part.lower.copy(), upper=part.upper.copy())
        held.lower[:, place] = held.upper[:, place] = value
        fitted, _ = fit_curves(held, warm[row.astype(int)])
        return np.asarray(top[curve] - value_of(fitted, held) - drop)

    rows = np.arange(2 * curves)
    reached = below(ends, rows) <= 0
    values = ends.copy()
    inside = np.flatnonzero(~reached)
    if inside.size:
        bracket = np.sort(np.stack([middles[inside], ends[inside]]), axis=0)
        found = elementwise.find_root(
            below, (bracket[0], bracket[1]), args=(inside.astype(float),), tolerances={"xatol": 1e-7, "xrtol": 1e-7}
        )
        values[inside] = found.x
    interval = values.reshape(2, curves)
    return (np.exp(interval) if place == WIDTH else interval), reached.reshape(2, curves)


def draw_curves(
    problem: Problem, theta: Float[Array, "curve 4"], *, draws: int, rng: np.random.Generator
) -> Bootstrap:
    """Refit curves to choices drawn from the fitted ones (the parametric bootstrap).

    Parameters
    ----------
    problem : Problem
        The curves.
    theta : ndarray, shape (curve, 4)
        Their fits.
    draws : int
        How many times.
    rng : Generator
        The source of chance.

    Returns
    -------
    Bootstrap
        Parameters and deviance of each draw.

    Notes
    -----
    Wichmann & Hill 2001, 10.3758/BF03194545.
    """
    chance = np.clip(evaluate_curve(problem.levels, theta, problem.sigmoid), 0, 1)
    curves = len(theta)
    drawn = np.empty((draws, curves, 4))
    deviance = np.empty((draws, curves))
    step = max(_CURVES_AT_ONCE // curves, 1)
    for first in range(0, draws, step):
        count = min(step, draws - first)
        index = np.tile(np.arange(curves), count)
        happy = rng.binomial(problem.trials.astype(int), chance, size=(count, *chance.shape)).astype(float)
        part = replace(problem.at(index), happy=happy.reshape(count * curves, -1))
        grid = starting_points(part, fine=False)[0]
        nearer = value_of(theta[index], part) >= value_of(grid, part)
        fitted, _ = fit_curves(part, np.where(nearer[:, None], theta[index], grid))
        drawn[first : first + count] = fitted.reshape(count, curves, 4)
        deviance[first : first + count] = deviance_of(fitted, part).reshape(count, curves)
    return Bootstrap(drawn, deviance)


def bootstrap_interval(
    problem: Problem,
    theta: Float[Array, "curve 4"],
    bootstrap: Bootstrap,
    number: str,
    *,
    confidence: float = 0.95,
) -> Float[Array, "2 curve"]:
    """Return the bias-corrected and accelerated bootstrap interval of a number.

    Parameters
    ----------
    problem : Problem
        The curves.
    theta : ndarray, shape (curve, 4)
        Their fits.
    bootstrap : Bootstrap
        Draws from `draw_curves`.
    number : {"pse", "slope", "width", "guess", "lapse"}
        What to bound.
    confidence : float
        In (0, 1).

    Returns
    -------
    ndarray, shape (2, curve)
        Lower and upper ends.

    Notes
    -----
    Efron 1987, 10.1080/01621459.1987.10478410. The acceleration is the jackknife's, leaving out one trial of each
    level and answer at a time.
    """
    read = NUMBERS[number]
    fitted, drawn = read(theta, problem), read(bootstrap.theta, problem)
    below = (drawn < fitted).mean(axis=0) + 0.5 * (drawn == fitted).mean(axis=0)
    shift = ndtri(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    bend = _acceleration(problem, theta, read)
    tails = ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))[:, None]
    moved = ndtr(shift + (shift + tails) / (1 - bend * (shift + tails)))
    return np.stack([[np.quantile(drawn[:, c], moved[end, c]) for c in range(len(theta))] for end in (0, 1)])


def deviance_of(theta: Float[Array, "curve 4"], problem: Problem) -> Float[Array, " curve"]:
    """Return the deviance: twice the log likelihood lost against a curve through every point.

    Parameters
    ----------
    theta : ndarray, shape (curve, 4)
        Parameters, by width.
    problem : Problem
        As many curves.

    Returns
    -------
    ndarray, shape (curve,)
        0 or more; about as large as the levels less the free parameters where the curve is right.
    """
    share = problem.happy / np.maximum(problem.trials, 1e-12)
    plain = replace(problem, centre=None, precision=None, objective="likelihood")
    inner = np.clip(share, 1e-12, 1 - 1e-12)
    best = problem.happy * np.log(inner) + (problem.trials - problem.happy) * np.log1p(-inner)
    return np.asarray(np.maximum(2 * (best.sum(axis=1) - value_of(theta, plain)), 0.0))


def _acceleration(problem: Problem, theta: Array, read: Callable[[Array, Problem], Array]) -> Array:
    curves, levels = problem.trials.shape
    cells = [(level, answer) for level in range(levels) for answer in (0, 1)]
    left_out = np.zeros((len(cells), curves))
    counts = np.zeros((len(cells), curves))
    for cell, (level, answer) in enumerate(cells):
        counts[cell] = problem.happy[:, level] if answer else problem.trials[:, level] - problem.happy[:, level]
        happy, trials = problem.happy.copy(), problem.trials.copy()
        there = counts[cell] >= 1
        trials[there, level] -= 1
        happy[there, level] -= answer
        part = replace(problem, trials=trials, happy=happy).at(np.flatnonzero(there))
        if there.any():
            left_out[cell, there] = read(fit_curves(part, theta[there])[0], part)
    total = np.maximum(counts.sum(axis=0), 1)
    mean = (counts * left_out).sum(axis=0) / total
    away = np.where(counts > 0, mean - left_out, 0.0)
    squares = (counts * away**2).sum(axis=0)
    return np.asarray((counts * away**3).sum(axis=0) / np.maximum(6 * squares**1.5, 1e-300))


def _by_slope(problem: Problem) -> Problem:
    top = np.log(problem.sigmoid.peak * problem.sigmoid.span)
    lower, upper = problem.lower.copy(), problem.upper.copy()
    lower[:, WIDTH], upper[:, WIDTH] = top - problem.upper[:, WIDTH], top - problem.lower[:, WIDTH]
    return replace(problem, lower=lower, upper=upper, steepness=True)
