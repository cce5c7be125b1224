"""Cosine and correlation in a draw, plain or whitened: weighted products of RDM vectors."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from rsa_face.inference.vectors import Floats, Whole, compiled, pairs_of

_ROWS = 512  # of RDMs side by side, which stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Metric:
    """The inner product of RDM vectors in a draw.

    Parameters
    ----------
    weights : array of float64, shape (kept,)
        How often each pair occurs.
    kept : array of int64, shape (kept,)
        Which pairs occur.
    stimuli : array of float64, shape (stimulus,)
        How often each stimulus was drawn.
    centred : bool
        Whether the mean dissimilarity is taken off first: correlation rather than cosine.
    whitened : bool
        Whether the covariance of dissimilarities that share a stimulus is taken out.
    """

    weights: Floats
    kept: Whole
    stimuli: Floats
    centred: bool
    whitened: bool


def metric_of(weights: Floats, stimuli: NDArray[np.generic], *, centred: bool, whitened: bool) -> Metric:
    """Return the inner product that belongs to a draw.

    Parameters
    ----------
    weights : array, shape (pair,)
        How often each pair occurs.
    stimuli : array, shape (stimulus,)
        How often each stimulus was drawn.
    centred : bool
        Whether to take the mean off.
    whitened : bool
        Whether to whiten.

    Returns
    -------
    Metric
        The inner product.
    """
    kept = np.flatnonzero(weights)
    return Metric(weights[kept], kept, stimuli.astype(np.float64), centred, whitened)


def take(vectors: Floats, metric: Metric) -> Floats:
    """Return the pairs of a draw, with the mean off where the metric is centred.

    Parameters
    ----------
    vectors : array, shape (rdm, pair)
        Dissimilarities.
    metric : Metric
        The draw.

    Returns
    -------
    array, shape (rdm, kept)
        New vectors. An RDM with one value only becomes exactly 0 where centred.
    """
    chosen = vectors[:, metric.kept]
    if metric.centred and chosen.shape[1]:
        flat = chosen.max(axis=1) == chosen.min(axis=1)
        chosen -= (chosen @ metric.weights / metric.weights.sum())[:, None]
        chosen[flat] = 0
    return chosen


def products(x: Floats, y: Floats, metric: Metric) -> tuple[Floats, Floats, Floats]:
    """Return the inner products of two sets of vectors, and each one's with itself.

    Whitened, an RDM is turned into the matrix of second moments that has rows of mean 0, and those are multiplied
    (Diedrichsen, Berlot, Mur, Schuett, Shahbazi & Kriegeskorte 2021, 10.51628/001c.27664). Taking the rows' means off
    is a projection: it needs one number a stimulus, found by one small linear system for all vectors of a draw.

    Parameters
    ----------
    x : array, shape (rdm, kept)
        What `take` returned.
    y : array, shape (participant, kept)
        What `take` returned.
    metric : Metric
        The draw.

    Returns
    -------
    between : array, shape (rdm, participant)
        The products.
    of_x : array, shape (rdm,)
        The squared norms.
    of_y : array, shape (participant,)
        The squared norms.
    """
    heavy_x, heavy_y = x * metric.weights, y * metric.weights
    between = heavy_x @ y.T
    of_x, of_y = np.einsum("ij,ij->i", heavy_x, x), np.einsum("ij,ij->i", heavy_y, y)
    if not metric.whitened:
        return between, of_x, of_y
    sums, system = _row_sums(metric)
    sums_x, sums_y = (sums @ x.T).T, (sums @ y.T).T
    means_x, means_y = np.linalg.solve(system, sums_x.T).T, np.linalg.solve(system, sums_y.T).T
    between = 2 * between - (sums_x * metric.stimuli) @ means_y.T
    of_x = 2 * of_x - np.einsum("ij,ij->i", sums_x * metric.stimuli, means_x)
    of_y = 2 * of_y - np.einsum("ij,ij->i", sums_y * metric.stimuli, means_y)
    return between, of_x, of_y


def cosines(between: Floats, of_x: Floats, of_y: Floats) -> Floats:
    """Return cosines from products; 0 where a vector has no length, as in rsatoolbox.

    Parameters
    ----------
    between : array, shape (rdm, participant)
        The products.
    of_x : array, shape (rdm,)
        The squared norms.
    of_y : array, shape (participant,)
        The squared norms.

    Returns
    -------
    array, shape (rdm, participant)
        The cosines.
    """
    norms = np.sqrt(np.maximum(of_x, 0))[:, None] * np.sqrt(np.maximum(of_y, 0))[None, :]
    return np.asarray(np.divide(between, norms, out=np.zeros_like(between), where=norms > 0))


@compiled
def weighted_products(columns: Any, kept: Any, weights: Any, layers: Any) -> Any:
    """Return the weighted products, sums and squares of the rows that occur, a cacheful of rows at a time.

    Parameters
    ----------
    columns : array of float64, shape (pair, rdm)
        RDMs side by side: layers first, then participants.
    kept : array of int64, shape (kept,)
        The pairs that occur.
    weights : array of float64, shape (kept,)
        How often each occurs.
    layers : int
        How many of the columns are layers.

    Returns
    -------
    tuple of array
        The products of all with the participants, shape (rdm, participant), and the sums and the sums of squares of
        all, shape (rdm,).
    """
    rdms = columns.shape[1]
    gram = np.zeros((rdms, rdms - layers))
    sums, squares = np.zeros(rdms), np.zeros(rdms)
    block, heavy = np.empty((_ROWS, rdms)), np.empty((_ROWS, rdms - layers))
    for start in range(0, len(kept), _ROWS):
        size = min(_ROWS, len(kept) - start)
        for row in range(size):
            weight = weights[start + row]
            values = columns[kept[start + row]]
            for rdm in range(rdms):
                value = values[rdm]
                block[row, rdm] = value
                sums[rdm] += weight * value
                squares[rdm] += weight * value * value
            for person in range(rdms - layers):
                heavy[row, person] = weight * values[layers + person]
        gram += np.dot(block[:size].T, heavy[:size])
    return gram, sums, squares


def _row_sums(metric: Metric) -> tuple[sparse.csr_array, Floats]:
    """Return the matrix that sums a vector over each stimulus, and the system whose solution centres those sums."""
    drawn = metric.stimuli
    count = len(drawn)
    rows, columns = (side[metric.kept] for side in pairs_of(count))
    places = np.arange(len(metric.kept))
    sums = sparse.csr_array(
        (
            np.concatenate([drawn[columns], drawn[rows]]),
            (np.concatenate([rows, columns]), np.concatenate([places, places])),
        ),
        shape=(count, len(places)),
    )
    system = np.zeros((count, count))
    system[rows, columns] = drawn[columns] / 2
    system[columns, rows] = drawn[rows] / 2
    system[np.diag_indices(count)] = 1 + system.sum(axis=1)
    return sums, system
