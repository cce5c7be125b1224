"""Pool the curves of many participants: each one's PSE and width are drawn towards the group's, as far as is due."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int

from rsa_face.psychophysics.climb import fit_curves, information_of
from rsa_face.psychophysics.curves import PSE, WIDTH, Problem

Array = np.ndarray
_SMALLEST_SPREAD = 1e-3


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
    problem: Problem, theta: Float[Array, "curve 4"], group: Int[Array, " curve"], *, rounds: int = 500
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
    one's own uncertainty, the inverse of the information at its maximum (Huys et al. 2011,
    10.1371/journal.pcbi.1002028; empirical Bayes as in Morris 1983, 10.1080/01621459.1983.10477920; for
    psychometric curves of several participants see Moscatelli et al. 2012, 10.1167/12.11.26).
    """
    groups = int(group.max()) + 1
    range_of_levels = float(np.ptp(problem.levels))
    centre = _per_group(theta[:, [PSE, WIDTH]], group, groups, np.median)
    spread = np.tile([range_of_levels / 4, 0.5], (groups, 1))
    converged = False
    for _ in range(rounds):
        penalised = _with_prior(problem, centre, spread, group)
        theta, _ = fit_curves(penalised, theta)
        own = _own_variance(theta, penalised)
        new_centre = _per_group(theta[:, [PSE, WIDTH]], group, groups, np.mean)
        squares = (theta[:, [PSE, WIDTH]] - new_centre[group]) ** 2 + own
        new_spread = np.maximum(np.sqrt(_per_group(squares, group, groups, np.mean)), _SMALLEST_SPREAD)
        moved = max(np.abs(new_centre - centre).max(), np.abs(new_spread - spread).max())
        centre, spread = new_centre, new_spread
        if moved < 1e-5:
            converged = True
            break
    penalised = _with_prior(problem, centre, spread, group)
    theta, _ = fit_curves(penalised, theta)
    return Pooled(theta, penalised, centre, spread, converged)


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
