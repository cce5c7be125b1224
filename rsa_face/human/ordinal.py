"""Ordinal embedding: places of stimuli that explain which were nearer than which, in as few dimensions as can be."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int
from scipy.optimize import minimize
from scipy.spatial.distance import pdist, squareform
from scipy.special import expit

from rsa_face.human.relative import constraints_of
from rsa_face.provenance import rng_from
from rsa_face.schema import PARTICIPANT, STIMULUS, STIMULUS_I, STIMULUS_J, must_hold

DIMENSIONS, FOLD, AXIS = "dimensions", "fold", "dimension"
_RIDGE = 1e-4  # keeps places finite where no trial contradicts another
_STARTS = 3


def embed_trials(
    trials: pd.DataFrame, *, dimensions: Sequence[int] = (1, 2, 3, 4, 5), folds: int = 5, seed: int = 0
) -> xr.Dataset:
    """Find places of stimuli whose distances predict triplets, anchored choices or rankings, of all people together.

    The probability that i is nearer to j than to k is a logistic function of the difference of squared distances
    (stochastic triplet embedding: van der Maaten & Weinberger 2012, 10.1109/MLSP.2012.6349720). The number of
    dimensions is the fewest whose accuracy on trials left out is within a standard error, over folds, of the best
    (Kuenstle, von Luxburg & Wichmann 2022, 10.1167/jov.22.13.5).

    Parameters
    ----------
    trials : DataFrame
        As `read_human_trials` returns them. Not changed.
    dimensions : sequence of int
        How many dimensions to try; one alone is taken without a choice.
    folds : int
        Into how many parts trials are divided, 2 or more.
    seed : int
        Of folds and starting places.

    Returns
    -------
    Dataset, dims (stimulus, dimension), (dimensions, fold), (stimulus_i, stimulus_j)
        `place` of each stimulus, `accuracy` on trials left out for each number of dimensions and fold (chance: 0.5),
        the `dissimilarity` (distance) of every two stimuli, and `chosen`, how many dimensions.

    Raises
    ------
    ValueError
        If a number is out of range, or there are too few trials for the folds.

    Examples
    --------
    >>> rng, ids = np.random.default_rng(0), list("abcdefgh")
    >>> at = dict(zip(ids, rng.normal(size=(8, 1)), strict=True))
    >>> rows = [rng.permutation(ids)[:3].tolist() for _ in range(400)]
    >>> nearer = [b if abs(at[a] - at[b]) < abs(at[a] - at[c]) else c for a, b, c in rows]
    >>> table = pd.DataFrame(rows, columns=["anchor", "stimulus_a", "stimulus_b"]).assign(nearer=nearer)
    >>> table = table.astype(pd.CategoricalDtype(ids)).assign(participant="p1")
    >>> embedded = embed_trials(table, dimensions=(1, 2))
    >>> int(embedded["chosen"]), bool(embedded["accuracy"].sel(dimensions=1).mean() > 0.9)
    (1, True)
    """
    must_hold(trials, (PARTICIPANT,), "What `read_human_trials` returns")
    if folds < 2 or not dimensions or min(dimensions) < 1 or len(trials) < 10 * folds:
        message = (
            f"folds={folds}, dimensions={list(dimensions)}, {len(trials)} trials: 2 folds or more, 1 dimension or "
            "more, and 10 trials for each fold are needed."
        )
        raise ValueError(message)
    if not {"odd", "nearer", "ordered"} & set(trials.columns):
        message = "No trials that say what is nearer than what. Give triplets, anchored choices or rankings."
        raise ValueError(message)
    named = trials.drop(columns=PARTICIPANT).select_dtypes("category")
    ids = [str(name) for name in named.iloc[:, 0].cat.categories]
    fold = np.arange(len(trials)) % folds
    fold = rng_from(seed, "folds of trials").permutation(fold)
    accuracy = np.full((len(dimensions), folds), np.nan)
    for part in range(folds):
        fitted, left_out = (constraints_of(trials[rows]) for rows in (fold != part, fold == part))
        for row, count in enumerate(dimensions):
            place = _fit(fitted, len(ids), count, rng_from(seed, f"start {part} {count}"))
            accuracy[row, part] = float((_differences(place, left_out) > 0).mean())
    means, error = accuracy.mean(axis=1), accuracy.std(axis=1, ddof=1) / np.sqrt(folds)
    enough = means >= means.max() - error[np.argmax(means)]
    chosen = min(count for count, good in zip(dimensions, enough, strict=True) if good)
    place = _fit(constraints_of(trials), len(ids), chosen, rng_from(seed, "start"))
    place = place - place.mean(axis=0)
    # along its principal axes, so that the first dimension is the longest
    place = place @ np.linalg.svd(place, full_matrices=False)[2].T
    return xr.Dataset(
        {
            "place": ((STIMULUS, AXIS), place),
            "accuracy": ((DIMENSIONS, FOLD), accuracy),
            "dissimilarity": ((STIMULUS_I, STIMULUS_J), squareform(pdist(place))),
            "chosen": chosen,
        },
        {
            STIMULUS: ids,
            STIMULUS_I: ids,
            STIMULUS_J: ids,
            AXIS: np.arange(1, chosen + 1),
            DIMENSIONS: list(dimensions),
        },
        {"trials": len(trials), "seed": seed, "simulated": bool(trials.attrs.get("simulated", False))},
    )


def _differences(
    place: Float[np.ndarray, "stimulus dimension"], rows: Int[np.ndarray, "row 3"]
) -> Float[np.ndarray, " row"]:
    """Return by how much farther the third of each row is from the first than the second, in squared distances."""
    i, j, k = (place[rows[:, column]] for column in range(3))
    return np.asarray(((i - k) ** 2).sum(axis=1) - ((i - j) ** 2).sum(axis=1))


def _fit(
    rows: Int[np.ndarray, "row 3"], stimuli: int, dimensions: int, rng: np.random.Generator
) -> Float[np.ndarray, "stimulus dimension"]:
    """Return the places of the largest likelihood, the best of some starts."""

    def loss(flat: Float[np.ndarray, " place"]) -> tuple[float, Float[np.ndarray, " place"]]:
        place = flat.reshape(stimuli, dimensions)
        difference = _differences(place, rows)
        weight = -expit(-difference) / len(rows)
        i, j, k = (place[rows[:, column]] for column in range(3))
        # of the log-likelihood by the places of the three
        steps = 2 * weight[:, None] * np.stack([j - k, i - j, k - i])
        gradient = 2 * _RIDGE * place
        for column in range(3):
            for axis in range(dimensions):
                gradient[:, axis] += np.bincount(rows[:, column], steps[column, :, axis], minlength=stimuli)
        value = np.logaddexp(0, -difference).mean() + _RIDGE * (place**2).sum()
        return float(value), gradient.ravel()

    fits = [
        minimize(loss, rng.normal(scale=0.3, size=stimuli * dimensions), jac=True, method="L-BFGS-B")
        for _ in range(_STARTS)
    ]
    return np.asarray(min(fits, key=lambda fit: fit.fun).x.reshape(stimuli, dimensions))
