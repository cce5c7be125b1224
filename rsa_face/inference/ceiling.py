"""The noise ceiling: how similar to people any layer could be, given how much people differ."""

import numpy as np
import xarray as xr

from rsa_face.inference.comparisons import FEWEST_PAIRS
from rsa_face.inference.draws import evaluate, prepare_judged
from rsa_face.inference.kernels import Floats, stimuli_of
from rsa_face.schema import COMPARISONS, PARTICIPANT, UNSIGNED


def ceiling_of(vectors: Floats, comparison: str) -> Floats:
    """Return the lower and the upper bound of the noise ceiling."""
    judged = ~np.isnan(vectors)
    shared = judged & (judged.sum(axis=0) > 1)
    if shared.sum(axis=1).max() < FEWEST_PAIRS:
        message = (
            f"No noise ceiling: none of the {len(vectors)} participants judged {FEWEST_PAIRS} pairs or more that "
            "others judged too. Use `compare_rdms` for the similarities with each participant."
        )
        raise ValueError(message)
    ready = prepare_judged(np.empty((0, vectors.shape[1])), vectors, comparison)
    everything = evaluate(ready, np.ones(stimuli_of(vectors.shape[1])))
    return np.asarray(everything.bounds(np.ones((1, len(vectors))))[0])


def ceiling_of_ratings(human: xr.DataArray, comparison: str) -> Floats:
    """Return the noise ceiling of mean ratings that nobody signed, from random halves of each stimulus' ratings.

    Halves that are similar by r make a mean of all ratings with the reliability R = 2 r / (1 + r) (Spearman 1910;
    Brown 1910). Another mean of as many ratings would be similar to this one by R, the lower bound, and the mean of
    ever more ratings by the square root of R, the upper bound. Distances are no sums of errors: where R is below
    about .6, both bounds are somewhat low.
    """
    halves = human.attrs.get("split_half") or {}
    if comparison not in halves:
        known = ", ".join(halves) or "none, since the ratings were split by a factor"
        message = (
            f"No noise ceiling of ratings by {comparison}: Spearman-Brown is for correlations. There is {known}."
        )
        raise ValueError(message)
    reliability = 2 * max(halves[comparison], 0.0) / (1 + max(halves[comparison], 0.0))
    return np.array([reliability, np.sqrt(reliability)])


def extrapolated_ceiling(lower: float, vectors: Floats, comparison: str) -> float:
    """Return the noise ceiling of ever more participants, from the lower bound of those there are.

    Each participant is compared with the mean of k others. If people are similar by r, that mean has the reliability
    k r / (1 + (k - 1) r), and the lower bound is r sqrt(k / (1 + (k - 1) r)) (Spearman 1910,
    10.1111/j.2044-8295.1910.tb00206.x; Brown 1910, 10.1111/j.2044-8295.1910.tb00207.x). So the lower bound of few
    people is too low a bar; solved for r, it tends to sqrt(r). NaN where people do not agree at all, and for
    Kendall's tau, which is no product of two vectors.
    """
    if COMPARISONS[comparison].scores not in ("products", "ranks") or not lower > 0:
        return float("nan")
    others = (~np.isnan(vectors)).sum(axis=0) - 1
    judged = np.repeat(others, others + 1)
    # an error that is shared by k others has 1/k of its variance
    k = 1 / float(np.mean(1 / judged[judged > 0]))
    single = (lower**2 * (k - 1) + np.sqrt(lower**4 * (k - 1) ** 2 + 4 * k * lower**2)) / (2 * k)
    return float(np.sqrt(single))


def refuse_one_participant(human: xr.DataArray) -> None:
    """Refuse human RDMs of a single participant: how people differ cannot be seen in one."""
    people = [str(value) for value in human[PARTICIPANT].values]
    if len(people) < 2 and not human.attrs.get(UNSIGNED):
        message = (
            f"No noise ceiling: it needs 2 participants or more, and there is only {people}. Use `compare_rdms` for "
            "the similarities with one participant."
        )
        raise ValueError(message)


def percentile_interval(draws: Floats, confidence: float) -> Floats:
    """Return the percentile interval of each column, as rsatoolbox frames it.

    The draws are framed by minus and plus infinity, so that an interval that too few draws can bound has no bound
    (Efron & Tibshirani 1993, An Introduction to the Bootstrap, chapter 13).
    """
    columns = []
    for column in draws.T:
        known = np.sort(column[~np.isnan(column)])
        framed = np.concatenate([[-np.inf], known, [np.inf]])
        columns.append([_quantile(framed, (1 - confidence) / 2), _quantile(framed, (1 + confidence) / 2)])
    return np.asarray(columns).reshape(-1, 2)


def _quantile(framed: Floats, part: float) -> float:
    at = part * (len(framed) - 1)
    low = int(np.floor(at))
    high, rest = min(low + 1, len(framed) - 1), at - low
    if rest == 0:
        return float(framed[low])
    if np.isinf(framed[low]) or np.isinf(framed[high]):
        return float("-inf") if part < 0.5 else float("inf")
    return float(framed[low] + rest * (framed[high] - framed[low]))
