"""How well groups of people agree with other groups: random halves, and groups of every size."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from rsa_face.human.judgements import Floats
from rsa_face.inference.comparisons import FEWEST_PAIRS

_DRAWS_AT_ONCE = 50


def spearman_brown(reliability: Floats | float, times: Floats | float) -> Floats:
    """Return the reliability of a mean over more people (or trials), from that of fewer.

    Parameters
    ----------
    reliability : array or float
        Correlation of two measurements of the same length.
    times : array or float
        How many times as many people.

    Returns
    -------
    array
        k r / (1 + (k - 1) |r|) (Spearman 1910, 10.1111/j.2044-8295.1910.tb00206.x; Brown 1910,
        10.1111/j.2044-8295.1910.tb00207.x); with |r| below the line, a negative correlation stays above -1.

    Examples
    --------
    >>> spearman_brown(0.5, 2).round(3)
    np.float64(0.667)
    """
    r, k = np.asarray(reliability, dtype=float), np.asarray(times, dtype=float)
    return np.asarray(k * r / (1 + (k - 1) * np.abs(r)))[()]


def single_reliability(between: float, size: int) -> float:
    """Return the reliability of one person's RDM, from the correlation between the means of two groups.

    Parameters
    ----------
    between : float
        Correlation of the two means.
    size : int
        People in each group.

    Returns
    -------
    float
        Spearman-Brown, turned round.

    Examples
    --------
    >>> round(single_reliability(2 / 3, 2), 3)
    0.5
    """
    return float(spearman_brown(between, 1 / size))


def on_one_scale(vectors: Floats, comparison: str) -> Floats:
    """Return RDMs so scaled that everybody weighs the same in a mean.

    Parameters
    ----------
    vectors : array, shape (participant, pair)
        RDMs; NaN means never judged.
    comparison : str
        ``corr``: as they are, with a mean of 0 and an SD of 1. ``spearman`` and ``rho-a``: so are their ranks.

    Returns
    -------
    array, shape (participant, pair)
        NaN where never judged; 0 for a participant who judged every pair the same.
    """
    values = vectors if comparison == "corr" else np.asarray(rankdata(vectors, axis=1, nan_policy="omit"))
    centred = values - np.nanmean(values, axis=1, keepdims=True)
    spread = np.sqrt(np.nanmean(centred**2, axis=1, keepdims=True))
    return np.asarray(centred / np.where(spread > 0, spread, 1.0))


def agreement_with_others(vectors: Floats, comparison: str) -> Floats:
    """Return how alike each participant's RDM is to the mean of the others'.

    Parameters
    ----------
    vectors : array, shape (participant, pair)
        RDMs of two participants or more; NaN means never judged.
    comparison : str
        As in `on_one_scale`.

    Returns
    -------
    array, shape (participant,)
        Similarities, over the pairs the participant judged and somebody else did.
    """
    scaled = on_one_scale(vectors, comparison)
    there = ~np.isnan(scaled)
    total, count = np.nansum(scaled, axis=0), there.sum(axis=0)
    found = np.empty(len(vectors))
    for person, (own, judged) in enumerate(zip(scaled, there, strict=True)):
        others = _quotient(total - np.where(judged, own, 0.0), count - judged)
        found[person] = similarity_of_two(others, vectors[person], comparison)
    return found


def similarity_of_two(one: Floats, other: Floats, comparison: str) -> float:
    """Return how alike two RDMs are, as the comparison of that name says, one pair at a time and fast.

    Parameters
    ----------
    one, other : array, shape (pair,)
        RDMs; NaN pairs of either are left out.
    comparison : str
        ``corr``, ``spearman`` or ``rho-a``.

    Returns
    -------
    float
        NaN where fewer than three pairs are shared, or either has one value only (0 for ``rho-a``).
    """
    both = ~np.isnan(one) & ~np.isnan(other)
    count = int(both.sum())
    if count < FEWEST_PAIRS:
        return float("nan")
    one, other = one[both], other[both]
    if comparison != "corr":
        one, other = rankdata(one), rankdata(other)
    one, other = one - one.mean(), other - other.mean()
    if comparison == "rho-a":
        return float(12 * (one @ other) / (count**3 - count))
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size > 0 else float("nan")


def split_halves(
    vectors: Floats, comparison: str, *, halves: int, size: int | None = None, rng: np.random.Generator
) -> Floats:
    """Return the similarity of the mean RDMs of two random groups that share nobody, many times over.

    Parameters
    ----------
    vectors : array, shape (participant, pair)
        RDMs of two participants or more; NaN means never judged.
    comparison : str
        As in `on_one_scale`.
    halves : int
        How many times.
    size : int, optional
        People in each group; half of all if not given.
    rng : numpy.random.Generator
        Draws the groups.

    Returns
    -------
    array, shape (draw,)
        Similarities; NaN where two groups share fewer than three pairs.
    """
    people = len(vectors)
    size = people // 2 if size is None else size
    order = rng.random((halves, people)).argsort(axis=1)
    scaled = on_one_scale(vectors, comparison)
    there, filled = (~np.isnan(scaled)).astype(float), np.nan_to_num(scaled)
    found = np.empty(halves)
    for start in range(0, halves, _DRAWS_AT_ONCE):
        rows = order[start : start + _DRAWS_AT_ONCE]
        first = _mean_of(rows[:, :size], filled, there)
        second = _mean_of(rows[:, size : 2 * size], filled, there)
        for place, (one, other) in enumerate(zip(first, second, strict=True)):
            found[start + place] = similarity_of_two(one, other, comparison)
    return found


def _mean_of(members: NDArray[np.int64], filled: Floats, there: Floats) -> Floats:
    chosen = np.zeros((len(members), len(filled)))
    np.put_along_axis(chosen, members, 1.0, axis=1)
    return _quotient(chosen @ filled, chosen @ there)


def _quotient(total: Floats, count: NDArray[Any]) -> Floats:
    out = np.full(total.shape, np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return np.asarray(np.round(out, 10))  # so that rounding breaks no ties


def group_sizes(people: int, most: int = 12) -> list[int]:
    """Return the sizes of groups to measure, from 1 to half of all people, closer together where small.

    Parameters
    ----------
    people : int
        How many there are.
    most : int
        How many sizes at most.

    Returns
    -------
    list of int
        Growing.

    Examples
    --------
    >>> group_sizes(16)
    [1, 2, 3, 4, 5, 6, 7, 8]
    """
    half = max(1, people // 2)
    return sorted({round(size) for size in np.geomspace(1, half, most)} | set(range(1, min(half, 8) + 1)))
