"""Pool the curves of many participants: each one's PSE and width are drawn towards the group's, as far as is due."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from rsa_face.psychophysics.climb import fit_curves, information_of
from rsa_face.psychophysics.curves import PSE, WIDTH, Problem

Array = np.ndarray
_LEAST_LOG_SPREAD = np.log([1e-3, 1e-2])  # of the PSE in levels, and of the log width: narrower is no spread
_AT_REST = 2e-5
_LONGEST_LEAP = 8.0


@dataclass(frozen=True, eq=False)
class Pooled:
    """Curves fitted together, and the population they were found to come from.

    Parameters
    ----------
    theta : ndarray, shape (curve, 4)
        Parameters at the penalised maximum.
    problem : Problem
        The problem with the population as its prior: profile intervals of it are of the pooled curves.
    centre, spread : ndarray, shape (group, 2)
        Mean and standard deviation over participants of the PSE and of the log width.
    converged : bool
        Whether the population came to rest.
    """

    theta: Float[Array, "curve 4"]
    problem: Problem
    centre: Float[Array, "group 2"]
    spread: Float[Array, "group 2"]
    converged: bool


def pool_curves(
    problem: Problem, theta: Float[Array, "curve 4"], group: Int[Array, " curve"], *, rounds: int = 200
) -> Pooled:
    """Fit a population and its curves together, by expectation maximisation with Laplace's approximation.

    A participant with few trials, or with choices that a step would fit as well, borrows from the others; one with
    many keeps its own curve. Guesses and lapses are not pooled.

    Parameters
    ----------
    problem : Problem
        The curves, by width, without a prior.
    theta : ndarray, shape (curve, 4)
        Their separate fits. Not changed.
    group : ndarray of int, shape (curve,)
        Which population each curve belongs to, counted from 0: one for each occlusion.
    rounds : int
        At most so many.

    Returns
    -------
    Pooled
        Curves and populations.

    Notes
    -----
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
        if _moved(once, twice) < _AT_REST:
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
    squares = (theta[:, [PSE, WIDTH]] - centre[group]) ** 2 + _own_variance(theta, penalised)
    # people whose curves all end at the same bound differ by nothing at all
    variance = np.maximum(_per_group(squares, group, len(population), np.mean), np.exp(2 * _LEAST_LOG_SPREAD))
    return np.concatenate([centre, 0.5 * np.log(variance)], axis=1), theta


def _moved(once: Array, twice: Array) -> float:
    centre, spread = (
        np.abs(twice[:, :2] - once[:, :2]).max(),
        np.abs(np.exp(twice[:, 2:]) - np.exp(once[:, 2:])).max(),
    )
    return float(max(centre, spread))


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


def _own_variance(theta: Array, problem: Problem) -> Array:
    _, _, information = information_of(theta, problem)
    held = (theta <= problem.lower) | (theta >= problem.upper)
    free = ~held
    information = information * free[:, :, None] * free[:, None, :] + held[:, :, None] * np.eye(4)
    variance = np.einsum("cpp->cp", np.linalg.inv(information)) * free
    return np.asarray(variance[:, [PSE, WIDTH]])


def _per_group(values: Array, group: Array, groups: int, summary: object) -> Array:
    return np.stack([summary(values[group == number], axis=0) for number in range(groups)])  # type: ignore[operator]
