"""How far a curve's numbers can be trusted: posterior and bootstrap intervals, and whether the curve fits at all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Float
from scipy.special import ndtr, ndtri
from scipy.stats import chi2

from rsa_face.psychophysics.climb import fit_curves, starting_points, value_of
from rsa_face.psychophysics.curves import (
    GUESS,
    LAPSE,
    PSE,
    WIDTH,
    Problem,
    evaluate_curve,
    midpoint_of,
    slope_at_pse,
)

Array = np.ndarray
_CURVES_AT_ONCE = 20_000
_EDGE = 1e-12

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

    All curves share the levels, hence the logarithms of P(happy) over the grid: their likelihoods are one product
    of matrices. Curves for which this grid is coarse get finer ones of their own.

    Notes
    -----
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
        # a fixed parameter has one cell without a size
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
        for place, name in enumerate(("pse", "width", "guess", "lapse")):
            ends[name], sides[name] = self._along(place, mass, confidence)
        ends["width"] = np.exp(ends["width"])
        for name, like in (("midpoint", sides["pse"]), ("slope", sides["width"][::-1])):
            order, values = self.numbers[name]
            weights = mass.ravel()[order]
            ends[name], sides[name] = _quantiles(np.cumsum(weights) - 0.5 * weights, values, tails), like
        # half of the bounds' range is the range of levels
        wide, open_ended = self._along(PSE, mass, 0.95)
        range_of_levels = 0.5 * (self.bounds[1][PSE] - self.bounds[0][PSE])
        return ends, sides, bool(open_ended.any() or np.ptp(wide) > range_of_levels)

    def _along(self, place: int, mass: Array, confidence: float) -> tuple[Array, Array]:
        """Return the interval of one parameter and its open sides."""
        marginal, side = _marginal(mass, place), self.edges[place]
        if side[-1] <= side[0]:
            return np.repeat(side[0], 2), np.zeros(2, dtype=bool)
        density = marginal / np.diff(side)
        near = np.isclose(side[[0, -1]], [bound[place] for bound in self.bounds], rtol=0, atol=1e-9)
        open_ended = near & (density[[0, -1]] > np.exp(-0.5 * chi2.ppf(confidence, 1)) * density.max())
        tails = np.array([(1 - confidence) / 2, (1 + confidence) / 2])
        inner = _quantiles(np.concatenate([[0.0], np.cumsum(marginal)]), side, tails)
        return np.where(open_ended, side[[0, -1]], inner), open_ended


def _shared_edges(levels: Array, lower: Array, upper: Array) -> tuple[Array, ...]:
    """Return the edges of cells that suit every curve: fine where the levels are, and where guesses are few."""
    low, high = levels.min(), levels.max()
    count, widths, *asymptotes = _SHARED_CELLS
    beyond = count // 12
    pse = np.concatenate([
        np.linspace(lower[PSE], low, beyond, endpoint=False), np.linspace(low, high, count + 1),
        np.linspace(high, upper[PSE], beyond + 1)[1:],
    ])  # fmt: skip
    edges = [pse, _even(lower[WIDTH], upper[WIDTH], widths)]
    for place, cells in zip((GUESS, LAPSE), asymptotes, strict=True):
        room = upper[place] - lower[place]
        edges.append(
            _even(0.0, 1.0, cells) ** 1.7 * room + lower[place] if room else _even(lower[place], upper[place], 1)
        )
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
    problem: Problem, theta: Float[Array, "curve 4"], *, draws: int, rng: np.random.Generator
) -> Float[Array, " curve"]:
    """Return how often choices drawn from a curve, and fitted again, lie as far from their fit as the observer's do.

    With few trials a level the deviance is nowhere near chi-squared (Wichmann & Hill 2001, 10.3758/BF03194544).
    A curve needs no more draws once ten of them lie as far (Besag & Clifford 1991, 10.1093/biomet/78.2.301).
    """
    own = deviance_of(theta, problem)
    beyond, count = np.zeros(len(theta)), np.zeros(len(theta))
    going = np.arange(len(theta))
    for first, last in pairwise([0, *sorted({min(batch, draws) for batch in (40, 200, draws)})]):
        if not going.size or last == first:
            break
        drawn = draw_curves(problem.at(going), theta[going], draws=last - first, rng=rng, near=True)
        beyond[going] += (drawn.deviance >= own[going] - 1e-9).sum(axis=0)
        count[going] += last - first
        going = going[beyond[going] < 10]
    return np.asarray((1 + beyond) / (1 + count))


def draw_curves(
    problem: Problem,
    theta: Float[Array, "curve 4"],
    *,
    draws: int,
    rng: np.random.Generator,
    near: bool = False,
) -> Bootstrap:
    """Refit curves to choices drawn from the fitted ones (the parametric bootstrap).

    With `near`, a draw is fitted from the curve it was drawn from alone: enough for its deviance.

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
        start = theta[index]
        if not near:
            grid = starting_points(part, fine=False)[0]
            start = np.where((value_of(start, part) >= value_of(grid, part))[:, None], start, grid)
        fitted, _ = fit_curves(part, start, rounds=15 if near else 200)
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
    """Return the deviance: twice the log likelihood lost against a curve through every point."""
    share = problem.happy / np.maximum(problem.trials, 1e-12)
    plain = replace(problem.without_priors(), objective="likelihood")
    inner = np.clip(share, _EDGE, 1 - _EDGE)
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
