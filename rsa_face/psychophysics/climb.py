"""Fit psychometric functions to many observers' choices at once, on plain arrays."""

import numpy as np
from jaxtyping import Float

from rsa_face.psychophysics.curves import GUESS, LAPSE, PSE, WIDTH, Problem, evaluate_curve, half_height

Array = np.ndarray
_EDGE = 1e-12
# A climb ends where another round would gain less than this: in units of log likelihood, or of squared error.
_GAIN = {"likelihood": 1e-9, "least squares": 1e-14}


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

    Parameters
    ----------
    problem : Problem
        The curves.
    start : ndarray, shape (curve, 4)
        Where to begin. Not changed.
    rounds : int
        At most so many.

    Returns
    -------
    theta : ndarray, shape (curve, 4)
        Parameters at the maximum.
    converged : ndarray of bool, shape (curve,)
        False where the rounds did not suffice.
    """
    theta = np.clip(start, problem.lower, problem.upper)
    moving = np.arange(len(theta))
    part, damping, value = problem, np.full(len(theta), 1e-3), value_of(theta, problem)
    for _ in range(rounds):
        here = theta[moving]
        step, gain = _step(here, part, damping)
        there = np.clip(here + step, part.lower, part.upper)
        risen = value_of(there, part)
        better = risen >= value
        theta[moving[better]] = there[better]
        small = np.abs(there - here).max(axis=1) < 1e-9
        flat = (gain < _GAIN[problem.objective]) | (damping > 1e12)
        value = np.where(better, risen, value)
        damping = np.where(better, np.maximum(damping / 10, 1e-9), damping * 10)
        on = ~(flat | (small & better))
        if not on.any():
            return theta, np.ones(len(theta), dtype=bool)
        if not on.all():
            moving, damping, value = moving[on], damping[on], value[on]
            part = part.at(on)
    done = np.ones(len(theta), dtype=bool)
    done[moving] = False
    return theta, done


def starting_points(problem: Problem, *, fine: bool = True) -> Float[Array, "start curve 4"]:
    """Return the best points of a coarse grid, one with low and one with middling asymptotes, for each curve.

    Parameters
    ----------
    problem : Problem
        The curves.
    fine : bool
        Whether to lay a fine grid (for data) or a coarse one (for draws near a known fit).

    Returns
    -------
    ndarray, shape (2, curve, 4)
        Places to climb from.
    """
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
    """Climb from several starts, and keep the best end for each curve.

    Parameters
    ----------
    problem : Problem
        The curves.
    starts : ndarray, shape (start, curve, 4)
        Where to begin.

    Returns
    -------
    theta : ndarray, shape (curve, 4)
        Parameters at the highest maximum found.
    converged : ndarray of bool, shape (curve,)
        Whether that climb ended.
    """
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
    held = (theta <= problem.lower) & (gradient <= 0) | (theta >= problem.upper) & (gradient >= 0)
    held |= problem.lower == problem.upper
    gradient = np.where(held, 0.0, gradient)
    free = ~held
    mask, ones = free[:, :, None] & free[:, None, :], held[:, :, None] * np.eye(4)
    observed, expected = observed * mask + ones, expected * mask + ones
    hill = np.linalg.eigvalsh(observed)[:, 0] > 1e-6
    information = np.where(hill[:, None, None], observed, expected)
    diagonal = np.einsum("cpp->cp", information)
    added = damping[:, None] * diagonal + 1e-9 * (1 + diagonal.max(axis=1, keepdims=True))
    step = np.linalg.solve(information + added[:, :, None] * np.eye(4), gradient[:, :, None])[:, :, 0]
    return step, np.asarray((step * gradient).sum(axis=1))
