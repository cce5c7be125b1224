"""The psychometric function on plain arrays: its fit to many observers at once, intervals, deviance, populations.

The PSE is the level at which the whole curve is at one half: happy is chosen half the time. The middle of the sigmoid
itself, where guesses and lapses are set aside, is the midpoint. The two are one only where guesses and lapses are
equal.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import chi2

Array = np.ndarray
PARAMETERS = ("pse", "width", "guess", "lapse")
PSE, WIDTH, GUESS, LAPSE = range(4)
# Guesses or lapses of one half would leave no level at which happy is chosen half the time.
MOST_ASYMPTOTE = 0.49
_ALPHA = 0.05
_EDGE = 1e-12
# A climb ends where another round would gain less than this: in units of log likelihood, or of squared error.
_GAIN = {"likelihood": 1e-9, "least squares": 1e-14}
_CURVES_AT_ONCE = 20_000
# Of a population, the least SD of the PSE in levels and of the log width: narrower is no spread.
_LEAST_LOG_SPREAD = np.log([1e-3, 1e-2])
_AT_REST = 2e-5
_LONGEST_LEAP = 8.0


@dataclass(frozen=True)
class Sigmoid:
    """A cumulative distribution F(z), its inverse, its first two derivatives, and its span from F = .05 to .95."""

    cumulative: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    density: Callable[[Array], Array]
    slant: Callable[[Array], Array]
    span: float


def _normal_density(z: Array) -> Array:
    return np.asarray(np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi))


def _logistic_density(z: Array) -> Array:
    return np.asarray(expit(z) * expit(-z))


SIGMOIDS = {
    "gaussian": Sigmoid(
        ndtr, ndtri, _normal_density, lambda z: -z * _normal_density(z), 2 * float(ndtri(1 - _ALPHA))
    ),
    "logistic": Sigmoid(
        expit,
        logit,
        _logistic_density,
        lambda z: _logistic_density(z) * (expit(-z) - expit(z)),
        2 * float(np.log((1 - _ALPHA) / _ALPHA)),
    ),
}


@dataclass(frozen=True)
class Problem:
    """Many curves to fit at once: the counts, what is maximised, the bounds and the priors."""

    levels: Float[Array, " level"]
    trials: Float[Array, "curve level"]  # 0 where a level was not shown
    happy: Float[Array, "curve level"]  # how many of the trials, or which share of one
    lower: Float[Array, "curve 4"]  # bounds of pse, log width, guess and lapse; equal bounds fix a parameter
    upper: Float[Array, "curve 4"]
    sigmoid: Sigmoid
    objective: Literal["likelihood", "least squares"] = "likelihood"
    asymptote_prior: float = 0.0  # guess and lapse have the density (1 - x) to this power: 9 is Beta(1, 10)
    centre: Float[Array, "curve 4"] | None = None  # a normal prior on the parameters of pooled curves
    precision: Float[Array, "curve 4"] | None = None  # 0 where there is none

    def at(self, index: Array) -> "Problem":
        """Return the problem of some of the curves; a curve may come several times."""
        parts = {name: getattr(self, name) for name in ("trials", "happy", "lower", "upper", "centre", "precision")}
        return replace(self, **{name: value[index] for name, value in parts.items() if value is not None})

    def without_priors(self) -> "Problem":
        """Return the problem in which the choices alone count."""
        return replace(self, asymptote_prior=0.0, centre=None, precision=None)


def half_height(guess: Array, lapse: Array, sigmoid: Sigmoid) -> Array:
    """Return z where the whole curve, guesses and lapses included, is at one half."""
    return np.asarray(sigmoid.inverse((0.5 - guess) / (1 - guess - lapse)))


def evaluate_curve(
    levels: Float[Array, "*curve level"], theta: Float[Array, "curve 4"], sigmoid: Sigmoid
) -> Float[Array, "curve level"]:
    """Return P(happy) at the levels: ``guess + (1 - guess - lapse) F(z)``, one half where the level is the PSE."""
    guess, lapse = theta[:, GUESS, None], theta[:, LAPSE, None]
    z = sigmoid.span * (levels - theta[:, PSE, None]) / np.exp(theta[:, WIDTH, None])
    z = z + half_height(guess, lapse, sigmoid)
    return np.asarray(guess + (1 - guess - lapse) * sigmoid.cumulative(z))


def slope_at_pse(theta: Float[Array, "*curve 4"], sigmoid: Sigmoid) -> Float[Array, "*curve"]:
    """Return how steeply P(happy) rises at the PSE, per unit of level."""
    guess, lapse = theta[..., GUESS], theta[..., LAPSE]
    density = sigmoid.density(half_height(guess, lapse, sigmoid))
    return np.asarray((1 - guess - lapse) * density * sigmoid.span / np.exp(theta[..., WIDTH]))


def midpoint_of(theta: Float[Array, "*curve 4"], sigmoid: Sigmoid) -> Float[Array, "*curve"]:
    """Return the level at which the sigmoid itself is at one half, guesses and lapses set aside."""
    away = half_height(theta[..., GUESS], theta[..., LAPSE], sigmoid) * np.exp(theta[..., WIDTH]) / sigmoid.span
    return np.asarray(theta[..., PSE] - away)


def value_of(theta: Float[Array, "curve 4"], problem: Problem) -> Float[Array, " curve"]:
    """Return what is maximised: the log likelihood (or minus half the squared error) and the log priors.

    The binomial coefficient is left out.
    """
    chance = np.clip(evaluate_curve(problem.levels, theta, problem.sigmoid), _EDGE, 1 - _EDGE)
    if problem.objective == "likelihood":
        value = problem.happy * np.log(chance) + (problem.trials - problem.happy) * np.log1p(-chance)
    else:
        value = -0.5 * problem.trials * (chance - problem.happy / np.maximum(problem.trials, _EDGE)) ** 2
    total = value.sum(axis=1)
    if problem.asymptote_prior:
        total = total + problem.asymptote_prior * np.log1p(-theta[:, GUESS:]).sum(axis=1)
    if problem.centre is not None and problem.precision is not None:
        total = total - 0.5 * (problem.precision * (theta - problem.centre) ** 2).sum(axis=1)
    return np.asarray(total)


def information_of(
    theta: Float[Array, "curve 4"], problem: Problem
) -> tuple[Float[Array, "curve 4"], Float[Array, "curve 4 4"], Float[Array, "curve 4 4"]]:
    """Return the gradient of what is maximised, minus its second derivatives, and what these are expected to be.

    The last is the Fisher information (for least squares, Gauss and Newton's product), which is never negative.
    """
    chance, slopes, bends = _derivatives(theta, problem)
    chance = np.clip(chance, _EDGE, 1 - _EDGE)
    share = problem.happy / np.maximum(problem.trials, _EDGE)
    observed_weight = expected_weight = problem.trials
    error = problem.trials * (share - chance)
    if problem.objective == "likelihood":
        spread = chance * (1 - chance)
        expected_weight = problem.trials / spread
        observed_weight = problem.happy / chance**2 + (problem.trials - problem.happy) / (1 - chance) ** 2
        error = error / spread
    gradient = np.einsum("pcl,cl->cp", slopes, error)
    by_curve = slopes.transpose(1, 2, 0)
    expected = (slopes * expected_weight).transpose(1, 0, 2) @ by_curve
    observed = (slopes * observed_weight).transpose(1, 0, 2) @ by_curve - _bent(bends, error)
    if problem.asymptote_prior:
        room = 1 - theta[:, GUESS:]
        gradient[:, GUESS:] -= problem.asymptote_prior / room
        prior = np.zeros_like(observed)
        prior[:, (GUESS, LAPSE), (GUESS, LAPSE)] = problem.asymptote_prior / room**2
        observed, expected = observed + prior, expected + prior
    if problem.centre is not None and problem.precision is not None:
        gradient = gradient - problem.precision * (theta - problem.centre)
        prior = problem.precision[:, :, None] * np.eye(4)
        observed, expected = observed + prior, expected + prior
    return gradient, observed, expected


def fit_curves(
    problem: Problem, start: Float[Array, "curve 4"], *, rounds: int = 200
) -> tuple[Float[Array, "curve 4"], Array]:
    """Climb to the maximum of every curve at once: Newton's steps, damped, held within the bounds.

    One compiled optimiser call for each curve would take hours for a bootstrap of a whole study; here each round
    is a few array operations over all curves that still move.
    """
    theta = np.clip(start, problem.lower, problem.upper)
    moving = np.arange(len(theta))
    part, damping, value = problem, np.full(len(theta), 1e-3), value_of(theta, problem)
    for _ in range(rounds):
        current = theta[moving]
        step, gain = _step(current, part, damping)
        trial = np.clip(current + step, part.lower, part.upper)
        trial_value = value_of(trial, part)
        better = trial_value >= value
        theta[moving[better]] = trial[better]
        small = np.abs(trial - current).max(axis=1) < 1e-9
        flat = (gain < _GAIN[problem.objective]) | (damping > 1e12)
        value = np.where(better, trial_value, value)
        # a step that gained is lengthened towards Newton's, one that lost is shortened towards the gradient's
        damping = np.where(better, np.maximum(damping / 10, 1e-9), damping * 10)
        unfinished = ~(flat | (small & better))
        if not unfinished.any():
            return theta, np.ones(len(theta), dtype=bool)
        if not unfinished.all():
            moving, damping, value = moving[unfinished], damping[unfinished], value[unfinished]
            part = part.at(unfinished)
    converged = np.ones(len(theta), dtype=bool)
    converged[moving] = False
    return theta, converged


def starting_points(problem: Problem, *, fine: bool = True) -> Float[Array, "start curve 4"]:
    """Return the best points of a coarse grid, one with low and one with middling asymptotes, for each curve."""
    low, high = float(problem.levels.min()), float(problem.levels.max())
    places = np.linspace(low, high, 11 if fine else 5)
    spreads = np.log((high - low) * np.geomspace(0.05, 2, 7 if fine else 3))
    best = []
    for share in (0.05, 0.5):
        asymptotes = problem.lower[:, 2:] + share * (problem.upper - problem.lower)[:, 2:]
        tops = np.full(len(asymptotes), -np.inf)
        chosen = np.zeros((len(asymptotes), 4))
        for place, spread in ((place, spread) for place in places for spread in spreads):
            middle = np.broadcast_to([place, spread], (len(asymptotes), 2))
            theta = np.clip(np.hstack([middle, asymptotes]), problem.lower, problem.upper)
            value = value_of(theta, problem)
            chosen[value > tops] = theta[value > tops]
            tops = np.maximum(tops, value)
        best.append(chosen)
    return np.stack(best)


def fit_best(problem: Problem, starts: Float[Array, "start curve 4"]) -> tuple[Float[Array, "curve 4"], Array]:
    """Climb from several starts, and keep the best end for each curve."""
    ends = [fit_curves(problem, start) for start in starts]
    values = np.stack([value_of(theta, problem) for theta, _ in ends])
    best = np.argmax(values, axis=0)
    pick = np.arange(values.shape[1])
    return np.stack([theta for theta, _ in ends])[best, pick], np.stack([done for _, done in ends])[best, pick]


def _derivatives(theta: Array, problem: Problem) -> tuple[Array, Array, dict[tuple[int, int], Array]]:
    """Return P(happy), its first derivatives, and its second derivatives."""
    sigmoid, guess, lapse = problem.sigmoid, theta[:, GUESS, None], theta[:, LAPSE, None]
    reach = 1 - guess - lapse
    # h is z at the PSE, F(h) = (.5 - guess) / reach: it moves with guess and lapse so that the curve there stays .5
    h = half_height(guess, lapse, sigmoid)
    h_density, h_slant = sigmoid.density(h), sigmoid.slant(h)
    h_guess, h_lapse = -(0.5 - lapse) / reach**2 / h_density, (0.5 - guess) / reach**2 / h_density
    h_guess2 = (-2 * (0.5 - lapse) / reach**3 - h_slant * h_guess**2) / h_density
    h_both = ((lapse - guess) / reach**3 - h_slant * h_guess * h_lapse) / h_density
    h_lapse2 = (2 * (0.5 - guess) / reach**3 - h_slant * h_lapse**2) / h_density
    scale = sigmoid.span / np.exp(theta[:, WIDTH, None])
    u = scale * (problem.levels - theta[:, PSE, None])
    share, density, slant = sigmoid.cumulative(u + h), sigmoid.density(u + h), sigmoid.slant(u + h)
    slopes = np.stack([
        -reach * density * scale,
        -reach * density * u,
        1 - share + reach * density * h_guess,
        -share + reach * density * h_lapse,
    ])  # fmt: skip
    bends = {
        (PSE, PSE): reach * slant * scale**2,
        (PSE, WIDTH): reach * scale * (slant * u + density),
        (WIDTH, WIDTH): reach * u * (slant * u + density),
        (PSE, GUESS): scale * (density - reach * slant * h_guess),
        (PSE, LAPSE): scale * (density - reach * slant * h_lapse),
        (WIDTH, GUESS): u * (density - reach * slant * h_guess),
        (WIDTH, LAPSE): u * (density - reach * slant * h_lapse),
        (GUESS, GUESS): reach * (slant * h_guess**2 + density * h_guess2) - 2 * density * h_guess,
        (GUESS, LAPSE): reach * (slant * h_guess * h_lapse + density * h_both) - density * (h_guess + h_lapse),
        (LAPSE, LAPSE): reach * (slant * h_lapse**2 + density * h_lapse2) - 2 * density * h_lapse,
    }
    return np.asarray(guess + reach * share), slopes, bends


def _bent(bends: dict[tuple[int, int], Array], error: Array) -> Array:
    total = np.zeros((len(error), 4, 4))
    for (row, column), bend in bends.items():
        total[:, row, column] = total[:, column, row] = (bend * error).sum(axis=1)
    return total


def _step(theta: Array, problem: Problem, damping: Array) -> tuple[Array, Array]:
    """Return a damped Newton step, or one of Fisher scoring where the curvature is not that of a hill."""
    gradient, observed, expected = information_of(theta, problem)
    # a parameter at a bound that the gradient pushes against stays there: its row and column become the identity's
    held = (theta <= problem.lower) & (gradient <= 0) | (theta >= problem.upper) & (gradient >= 0)
    held |= problem.lower == problem.upper
    gradient = np.where(held, 0.0, gradient)
    free = ~held
    mask, ones = free[:, :, None] & free[:, None, :], held[:, :, None] * np.eye(4)
    observed, expected = observed * mask + ones, expected * mask + ones
    hill = np.linalg.eigvalsh(observed)[:, 0] > 1e-6
    information = np.where(hill[:, None, None], observed, expected)
    # Marquardt's damping: by the diagonal, so that it does not depend on the units of the parameters
    diagonal = np.einsum("cpp->cp", information)
    added = damping[:, None] * diagonal + 1e-9 * (1 + diagonal.max(axis=1, keepdims=True))
    step = np.linalg.solve(information + added[:, :, None] * np.eye(4), gradient[:, :, None])[:, :, 0]
    return step, np.asarray((step * gradient).sum(axis=1))


# The numbers that get an interval, and how each is read off the parameters (pse, log width, guess, lapse).
NUMBERS: dict[str, Callable[[Array, Problem], Array]] = {
    "pse": lambda theta, _: theta[..., PSE],
    "midpoint": lambda theta, problem: midpoint_of(theta, problem.sigmoid),
    "slope": lambda theta, problem: slope_at_pse(theta, problem.sigmoid),
    "width": lambda theta, _: np.exp(theta[..., WIDTH]),
    "guess": lambda theta, _: theta[..., GUESS],
    "lapse": lambda theta, _: theta[..., LAPSE],
}
# The width has the density width**(power - 1): between uniform in its logarithm (power 0), whose intervals hold the
# PSE in 92 % of observers who never lapse and have two trials a level, and uniform (1), whose intervals are up to a
# third wider.
_WIDTH_POWER = 0.5
# Cells of the grid by parameter: one grid for all curves, and finer ones for curves that the choices pin down.
_SHARED_CELLS, _ZOOMED_CELLS = (80, 18, 9, 9), (24, 14, 8, 8)
# The widest cell in standard deviations of the posterior. The integral over a smooth posterior needs far less; the
# quantiles of the PSE need most.
_WIDEST_CELL = (0.5, 0.8, 1.2, 1.2)
_ZOOMS, _REACH = 6, 5.0
_GRID_POINTS_AT_ONCE = 4_000_000


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Refitted curves of resampled choices, and the deviance of each draw from its own curve."""

    theta: Float[Array, "draw curve 4"]
    deviance: Float[Array, "draw curve"]


@dataclass(frozen=True, eq=False)
class Posterior:
    """Credible intervals of each number, on which sides the choices do not limit it, and who has no PSE at all."""

    ends: dict[str, Float[Array, "2 curve"]]
    open_ended: dict[str, Bool[Array, "2 curve"]]
    undetermined: Bool[Array, " curve"]


def integrate_posterior(problem: Problem, theta: Float[Array, "curve 4"], *, confidence: float = 0.95) -> Posterior:
    """Integrate the posterior of every curve on a grid, and return equal-tailed intervals of its numbers.

    The PSE is uniform within its bounds, the width nearly so (see `_WIDTH_POWER`), and guess and lapse have the
    problem's prior. Where the density at a bound has not fallen by as much as the confidence asks, the side is open
    and the interval ends at the bound. A PSE is undetermined if a side of its 95 % interval is open, or the
    interval is wider than the range of levels.

    All curves share the levels, and so the logarithms of P(happy) over the grid: their likelihoods are one product
    of matrices. Curves for which this grid is coarse get finer ones of their own.

    Schütt, Harmeling, Macke & Wichmann 2016, 10.1016/j.visres.2016.02.002. Intervals from the profile of the
    likelihood hold the truth too rarely where an observer has few trials.
    """
    lower, upper = problem.lower[0], problem.upper[0]
    edges = _shared_edges(problem.levels, lower, upper)
    top = value_of(theta, problem)
    grid = _Grid.over(edges, problem)
    step = max(_GRID_POINTS_AT_ONCE // grid.size, 1)
    parts = []
    for first in range(0, len(theta), step):
        index = np.arange(first, min(first + step, len(theta)))
        masses = grid.masses(problem.at(index), top[index])
        for row, mass in zip(index, masses, strict=True):
            coarse = _coarse_axes(mass, edges)
            parts.append(
                _zoom(problem.at(np.array([row])), top[[row]], mass, edges, confidence)
                if coarse
                else grid.summary(mass, confidence)
            )
    return Posterior(
        {name: np.stack([ends[name] for ends, _, _ in parts], axis=1) for name in NUMBERS},
        {name: np.stack([sides[name] for _, sides, _ in parts], axis=1) for name in NUMBERS},
        np.array([undetermined for _, _, undetermined in parts]),
    )


@dataclass(frozen=True, eq=False)
class _Grid:
    """Cells over the four parameters, with the logarithms of P(happy) and P(sad) in their middles."""

    edges: tuple[Array, ...]
    bounds: tuple[Array, Array]
    theta: Array
    log_size: Array
    log_happy: Array
    log_sad: Array
    numbers: dict[str, tuple[Array, Array]]

    @classmethod
    def over(cls, edges: tuple[Array, ...], problem: Problem) -> "_Grid":
        """Lay the grid for the levels, the sigmoid and the prior of a problem."""
        middles = [0.5 * (side[1:] + side[:-1]) for side in edges]
        theta = np.stack(np.meshgrid(*middles, indexing="ij"), axis=-1).reshape(-1, 4)
        # The prior is in the sizes: uniform in the PSE, in the width as `_WIDTH_POWER` says, Beta(1, b) in guess and
        # lapse. A fixed parameter has one cell without a size.
        sizes = [np.diff(side) if side[-1] > side[0] else np.ones(1) for side in edges]
        if len(sizes[WIDTH]) > 1:
            sizes[WIDTH] = np.diff(np.exp(_WIDTH_POWER * edges[WIDTH]))
        log_size = np.sum(np.meshgrid(*[np.log(size) for size in sizes], indexing="ij"), axis=0).ravel()
        log_size = log_size + problem.asymptote_prior * np.log1p(-theta[:, GUESS:]).sum(axis=1)
        chance = np.clip(evaluate_curve(problem.levels, theta, problem.sigmoid), _EDGE, 1 - _EDGE)
        numbers = {}
        for name in ("midpoint", "slope"):
            values = NUMBERS[name](theta, problem)
            order = np.argsort(values)
            numbers[name] = order, values[order]
        bounds = problem.lower[0], problem.upper[0]
        return cls(edges, bounds, theta, log_size, np.log(chance), np.log1p(-chance), numbers)

    @property
    def size(self) -> int:
        return len(self.theta)

    def masses(self, problem: Problem, top: Array) -> Array:
        """Return the posterior of every cell, by curve and axis; `top` keeps the exponentials in range."""
        # the mass of a cell is the density in its middle (likelihood by prior) times its size
        log = problem.happy @ self.log_happy.T + (problem.trials - problem.happy) @ self.log_sad.T
        log += self.log_size - top[:, None]
        if problem.centre is not None and problem.precision is not None:
            for place in (PSE, WIDTH):
                away = self.theta[:, place] - problem.centre[:, place, None]
                log -= 0.5 * problem.precision[:, place, None] * away**2
        mass = np.exp(log - log.max(axis=1, keepdims=True))
        mass /= mass.sum(axis=1, keepdims=True)
        return np.asarray(mass.reshape(len(mass), *(len(side) - 1 for side in self.edges)))

    def summary(self, mass: Array, confidence: float) -> tuple[dict[str, Array], dict[str, Array], bool]:
        """Return the interval of every number of one curve, its open sides, and whether it has no PSE."""
        tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
        ends, sides = {}, {}
        # The four parameters by their marginals: all mass is summed over the other three.
        for place, name in enumerate(("pse", "width", "guess", "lapse")):
            ends[name], sides[name] = self._along(place, mass, confidence)
        ends["width"] = np.exp(ends["width"])
        # Numbers that depend on several parameters by the order of their values over all cells. They are open where
        # the parameter that drives them is: a steep slope is a narrow width.
        for name, like in (("midpoint", sides["pse"]), ("slope", sides["width"][::-1])):
            order, values = self.numbers[name]
            weights = mass.ravel()[order]
            ends[name], sides[name] = _quantiles(np.cumsum(weights) - 0.5 * weights, values, tails), like
        # half the bounds' range is that of levels, as the bounds lie half of that on either side
        wide, open_ended = self._along(PSE, mass, 0.95)
        range_of_levels = 0.5 * (self.bounds[1][PSE] - self.bounds[0][PSE])
        return ends, sides, bool(open_ended.any() or np.ptp(wide) > range_of_levels)

    def _along(self, place: int, mass: Array, confidence: float) -> tuple[Array, Array]:
        """Return the interval of one parameter and its open sides."""
        marginal, side = _marginal(mass, place), self.edges[place]
        if side[-1] <= side[0]:
            return np.repeat(side[0], 2), np.zeros(2, dtype=bool)
        density = marginal / np.diff(side)
        # A side is open where the grid ends at the bound of the fit and the density there is not below the height at
        # which a normal posterior would leave out the tails that the confidence asks for.
        near = np.isclose(side[[0, -1]], [bound[place] for bound in self.bounds], rtol=0, atol=1e-9)
        open_ended = near & (density[[0, -1]] > np.exp(-0.5 * chi2.ppf(confidence, 1)) * density.max())
        tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
        inner = _quantiles(np.concatenate([[0.0], np.cumsum(marginal)]), side, tails)
        return np.where(open_ended, side[[0, -1]], inner), open_ended


def _shared_edges(levels: Array, lower: Array, upper: Array) -> tuple[Array, ...]:
    """Return the edges of cells that suit every curve: fine where the levels are, and where guesses are few."""
    low, high = levels.min(), levels.max()
    count, widths, *asymptotes = _SHARED_CELLS
    outside = count // 12  # cells on either side, where the PSE of few observers lies
    pse = np.concatenate([
        np.linspace(lower[PSE], low, outside, endpoint=False), np.linspace(low, high, count + 1),
        np.linspace(high, upper[PSE], outside + 1)[1:],
    ])  # fmt: skip
    edges = [pse, _even(lower[WIDTH], upper[WIDTH], widths)]
    for place, cells in zip((GUESS, LAPSE), asymptotes, strict=True):
        # the power makes cells narrow near 0, where the prior has most of its mass
        room = upper[place] - lower[place]
        edges.append(lower[place] + room * np.linspace(0, 1, cells + 1 if room else 2) ** 1.7)
    return tuple(edges)


def _even(low: float | np.floating, high: float | np.floating, cells: int) -> Array:
    return np.linspace(low, high, cells + 1) if high > low else np.array([low, low])


def _zoom(
    problem: Problem, top: Array, mass: Array, edges: tuple[Array, ...], confidence: float
) -> tuple[dict[str, Array], dict[str, Array], bool]:
    """Lay finer grids over one curve's posterior until its cells are narrow against it."""
    for _ in range(_ZOOMS):
        inner = []
        for place, side in enumerate(edges):
            mean, spread = _mean_and_spread(_marginal(mass, place), side)
            # no narrower than half a cell: a posterior narrower than the cells looks as if it had no spread
            spread = max(spread, 0.5 * np.diff(side)[np.clip(np.searchsorted(side, mean) - 1, 0, len(side) - 2)])
            low = max(mean - _REACH * spread, problem.lower[0, place])
            high = min(mean + _REACH * spread, problem.upper[0, place])
            inner.append(_even(low, high, _ZOOMED_CELLS[place]))
        edges = tuple(inner)
        grid = _Grid.over(edges, problem)
        mass = grid.masses(problem, top)[0]
        if not _coarse_axes(mass, edges):
            break
    return grid.summary(mass, confidence)


def _coarse_axes(mass: Array, edges: Sequence[Array]) -> list[int]:
    """Return along which parameters the cells are wide against the posterior."""
    coarse = []
    for place, side in enumerate(edges):
        mean, spread = _mean_and_spread(_marginal(mass, place), side)
        cell = np.diff(side)[np.clip(np.searchsorted(side, mean) - 1, 0, len(side) - 2)]
        if cell > _WIDEST_CELL[place] * spread:
            coarse.append(place)
    return coarse


def _marginal(mass: Array, place: int) -> Array:
    return np.asarray(mass.sum(axis=tuple(other for other in range(4) if other != place)))


def _mean_and_spread(marginal: Array, side: Array) -> tuple[float, float]:
    middles = 0.5 * (side[1:] + side[:-1])
    mean = float(marginal @ middles)
    return mean, float(np.sqrt(marginal @ (middles - mean) ** 2))


def _quantiles(below: Array, values: Array, tails: Array) -> Array:
    """Return quantiles from how much lies below each value, straight lines between them on a normal axis."""
    after = np.clip(np.searchsorted(below, tails), 1, len(below) - 1)
    z = ndtri(np.clip(np.stack([below[after - 1], below[after]]), 1e-9, 1 - 1e-9))
    share = np.clip((ndtri(tails) - z[0]) / np.maximum(z[1] - z[0], _EDGE), 0, 1)
    return np.asarray(values[after - 1] + share * (values[after] - values[after - 1]))


def deviance_chance(
    problem: Problem, theta: Float[Array, "curve 4"], *, draws: int, rngs: Sequence[np.random.Generator]
) -> Float[Array, " curve"]:
    """Return how often choices drawn from a curve, and fitted again, lie as far from their fit as the observer's do.

    With few trials a level the deviance is nowhere near chi-squared (Wichmann & Hill 2001, 10.3758/BF03194544).
    A curve needs no more draws once ten of them lie as far (Besag & Clifford 1991, 10.1093/biomet/78.2.301).
    """
    observed = deviance_of(theta, problem)
    as_far, count = np.zeros(len(theta)), np.zeros(len(theta))
    rows = np.arange(len(theta))
    # in three batches, so that curves which plainly fit are drawn 40 times rather than a thousand
    for first, last in pairwise([0, *sorted({min(batch, draws) for batch in (40, 200, draws)})]):
        if not rows.size:
            break
        streams = [rngs[int(row)] for row in rows]
        simulated = draw_curves(problem.at(rows), theta[rows], draws=last - first, rngs=streams, near=True)
        as_far[rows] += (simulated.deviance >= observed[rows] - 1e-9).sum(axis=0)
        count[rows] += last - first
        rows = rows[as_far[rows] < 10]
    return np.asarray((1 + as_far) / (1 + count))


def draw_curves(
    problem: Problem,
    theta: Float[Array, "curve 4"],
    *,
    draws: int,
    rngs: Sequence[np.random.Generator],
    near: bool = False,
) -> Bootstrap:
    """Refit curves to choices drawn from the fitted ones (the parametric bootstrap), each from a stream of its own.

    With `near`, a draw is fitted from the curve it was drawn from alone: enough for its deviance.

    Wichmann & Hill 2001, 10.3758/BF03194545.
    """
    chance = np.clip(evaluate_curve(problem.levels, theta, problem.sigmoid), 0, 1)
    curves = len(theta)
    refits = np.empty((draws, curves, 4))
    deviance = np.empty((draws, curves))
    step = max(_CURVES_AT_ONCE // curves, 1)
    for first in range(0, draws, step):
        count = min(step, draws - first)
        index = np.tile(np.arange(curves), count)
        happy = np.stack(
            [
                rng.binomial(trials, p, size=(count, p.size))
                for rng, trials, p in zip(rngs, problem.trials.astype(int), chance, strict=True)
            ],
            axis=1,
        ).astype(float)
        part = replace(problem.at(index), happy=happy.reshape(count * curves, -1))
        start = theta[index]
        if not near:
            grid = starting_points(part, fine=False)[0]
            start = np.where((value_of(start, part) >= value_of(grid, part))[:, None], start, grid)
        fitted, _ = fit_curves(part, start, rounds=15 if near else 200)
        refits[first : first + count] = fitted.reshape(count, curves, 4)
        deviance[first : first + count] = deviance_of(fitted, part).reshape(count, curves)
    return Bootstrap(refits, deviance)


def bootstrap_interval(
    problem: Problem,
    theta: Float[Array, "curve 4"],
    bootstrap: Bootstrap,
    number: str,
    *,
    confidence: float = 0.95,
) -> Float[Array, "2 curve"]:
    """Return the bias-corrected and accelerated bootstrap interval of a number.

    Efron 1987, 10.1080/01621459.1987.10478410. The acceleration is the jackknife's, leaving out one trial of each
    level and answer at a time.
    """
    read = NUMBERS[number]
    fitted, drawn = read(theta, problem), read(bootstrap.theta, problem)
    # the bias: how far the fit lies from the middle of its draws, on a normal axis; draws at a bound count half
    below = (drawn < fitted).mean(axis=0) + 0.5 * (drawn == fitted).mean(axis=0)
    shift = ndtri(np.clip(below, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    bend = _acceleration(problem, theta, read)
    tails = ndtri(np.array([(1 - confidence) / 2, (1 + confidence) / 2]))[:, None]
    moved = ndtr(shift + (shift + tails) / (1 - bend * (shift + tails)))
    return np.stack([[np.quantile(drawn[:, c], moved[end, c]) for c in range(len(theta))] for end in (0, 1)])


def deviance_of(theta: Float[Array, "curve 4"], problem: Problem) -> Float[Array, " curve"]:
    """Return the deviance: twice the log likelihood lost against a curve through every point."""
    share = problem.happy / np.maximum(problem.trials, _EDGE)
    plain = replace(problem.without_priors(), objective="likelihood")
    inner = np.clip(share, _EDGE, 1 - _EDGE)
    best = problem.happy * np.log(inner) + (problem.trials - problem.happy) * np.log1p(-inner)
    return np.asarray(np.maximum(2 * (best.sum(axis=1) - value_of(theta, plain)), 0.0))


def _acceleration(problem: Problem, theta: Array, read: Callable[[Array, Problem], Array]) -> Array:
    curves, levels = problem.trials.shape
    # the jackknife: trials of one level and answer are alike, so that one of each is left out, and counted often
    cells = [(level, answer) for level in range(levels) for answer in (0, 1)]
    left_out = np.zeros((len(cells), curves))
    counts = np.zeros((len(cells), curves))
    for cell, (level, answer) in enumerate(cells):
        counts[cell] = problem.happy[:, level] if answer else problem.trials[:, level] - problem.happy[:, level]
        happy, trials = problem.happy.copy(), problem.trials.copy()
        filled = counts[cell] >= 1
        trials[filled, level] -= 1
        happy[filled, level] -= answer
        part = replace(problem, trials=trials, happy=happy).at(np.flatnonzero(filled))
        if filled.any():
            left_out[cell, filled] = read(fit_curves(part, theta[filled])[0], part)
    total = np.maximum(counts.sum(axis=0), 1)
    mean = (counts * left_out).sum(axis=0) / total
    away = np.where(counts > 0, mean - left_out, 0.0)
    squares = (counts * away**2).sum(axis=0)
    return np.asarray((counts * away**3).sum(axis=0) / np.maximum(6 * squares**1.5, 1e-300))


@dataclass(frozen=True, eq=False)
class Pooled:
    """Curves fitted together, and the population they come from: mean and SD of the PSE and of the log width."""

    theta: Float[Array, "curve 4"]
    problem: Problem  # with the population as its prior
    centre: Float[Array, "group 2"]
    spread: Float[Array, "group 2"]
    converged: bool


def pool_curves(
    problem: Problem, theta: Float[Array, "curve 4"], group: Int[Array, " curve"], *, rounds: int = 200
) -> Pooled:
    """Fit a population and its curves together, by expectation maximisation with Laplace's approximation.

    A participant with few trials, or with choices that a step would fit as well, borrows from the others; one with
    many keeps its own curve. Guesses and lapses are not pooled.

    PSE and log width are normal over participants. Each round finds every participant's most probable parameters
    given the population, then sets the population's mean and variance to those of the participants, adding each
    one's own uncertainty, the inverse of the information at its maximum. Plain rounds creep where participants hardly
    differ, so each pair of rounds is followed by a leap along its way (Varadhan & Roland 2008,
    10.1111/j.1467-9469.2007.00585.x). See Huys et al. 2011, 10.1371/journal.pcbi.1002028; for empirical Bayes
    Morris 1983, 10.1080/01621459.1983.10477920; for curves of several participants Moscatelli et al. 2012,
    10.1167/12.11.26.
    """
    groups = int(group.max()) + 1
    range_of_levels = float(np.ptp(problem.levels))
    centre = _per_group(theta[:, [PSE, WIDTH]], group, groups, np.median)
    population = np.concatenate([centre, np.log(np.tile([range_of_levels / 4, 0.5], (groups, 1)))], axis=1)
    converged = False
    for _ in range(rounds):
        once, theta = _round(problem, theta, population, group)
        twice, theta = _round(problem, theta, once, group)
        # by mean and SD, in levels: the logarithm of an SD near 0 may still run
        centre, spread = np.abs(twice - once)[:, :2], np.abs(np.exp(twice[:, 2:]) - np.exp(once[:, 2:]))
        if max(centre.max(), spread.max()) < _AT_REST:
            population, converged = twice, True
            break
        population = np.maximum(_leap(population, once, twice), [-np.inf, -np.inf, *_LEAST_LOG_SPREAD])
    centre, spread = population[:, :2], np.exp(population[:, 2:])
    penalised = _with_prior(problem, centre, spread, group)
    theta, _ = fit_curves(penalised, theta)
    return Pooled(theta, penalised, centre, spread, converged)


def _round(problem: Problem, theta: Array, population: Array, group: Array) -> tuple[Array, Array]:
    """Fit the curves given the population, then the population given the curves."""
    penalised = _with_prior(problem, population[:, :2], np.exp(population[:, 2:]), group)
    theta, _ = fit_curves(penalised, theta)
    centre = _per_group(theta[:, [PSE, WIDTH]], group, len(population), np.mean)
    squares = (theta[:, [PSE, WIDTH]] - centre[group]) ** 2 + _variance_of_each(theta, penalised)
    # people whose curves all end at the same bound differ by nothing at all
    variance = np.maximum(_per_group(squares, group, len(population), np.mean), np.exp(2 * _LEAST_LOG_SPREAD))
    return np.concatenate([centre, 0.5 * np.log(variance)], axis=1), theta


def _leap(start: Array, once: Array, twice: Array) -> Array:
    """Go on along the way of two rounds, further the less it bends: each group by itself."""
    step = once - start
    bend = (twice - once) - step
    length = np.linalg.norm(step, axis=1) / np.maximum(np.linalg.norm(bend, axis=1), 1e-12)
    length = np.clip(length, 1.0, _LONGEST_LEAP)[:, None]
    return np.asarray(start + 2 * length * step + length**2 * bend)


def _with_prior(problem: Problem, centre: Array, spread: Array, group: Array) -> Problem:
    means, precision = np.zeros((len(group), 4)), np.zeros((len(group), 4))
    means[:, [PSE, WIDTH]] = centre[group]
    precision[:, [PSE, WIDTH]] = 1 / spread[group] ** 2
    return replace(problem, centre=means, precision=precision)


def _variance_of_each(theta: Array, problem: Problem) -> Array:
    _, _, information = information_of(theta, problem)
    held = (theta <= problem.lower) | (theta >= problem.upper)
    free = ~held
    information = information * free[:, :, None] * free[:, None, :] + held[:, :, None] * np.eye(4)
    variance = np.einsum("cpp->cp", np.linalg.inv(information)) * free
    return np.asarray(variance[:, [PSE, WIDTH]])


def _per_group(values: Array, group: Array, groups: int, summary: object) -> Array:
    return np.stack([summary(values[group == number], axis=0) for number in range(groups)])  # type: ignore[operator]
