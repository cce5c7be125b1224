"""RDMs as vectors: the pairs of stimuli above the diagonal, and how much each pair weighs in a draw."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Ranks = NDArray[np.int32]
Truths = NDArray[np.bool_]


def to_vectors(rdms: NDArray[Any]) -> Floats:
    """Return the dissimilarities above the diagonal, row by row, as rsatoolbox orders them.

    Parameters
    ----------
    rdms : array, shape (rdm, stimulus, stimulus)
        Symmetric RDMs.

    Returns
    -------
    array of float64, shape (rdm, pair)
        A copy.

    Examples
    --------
    >>> to_vectors(np.array([[[0, 1, 2], [1, 0, 3], [2, 3, 0]]]))
    array([[1., 2., 3.]])
    """
    rows, columns = pairs_of(rdms.shape[-1])
    return np.ascontiguousarray(rdms[:, rows, columns], dtype=np.float64)


@cache
def pairs_of(stimuli: int) -> tuple[Whole, Whole]:
    """Return the two stimuli of each pair, as positions.

    Parameters
    ----------
    stimuli : int
        How many stimuli there are.

    Returns
    -------
    tuple of array, shape (pair,)
        The first and the second stimulus of each pair; the first is the lower.
    """
    rows, columns = np.triu_indices(stimuli, 1)
    rows.flags.writeable = columns.flags.writeable = False  # kept for the next call
    return rows, columns


def stimuli_of(pairs: int) -> int:
    """Return how many stimuli make a number of pairs.

    Parameters
    ----------
    pairs : int
        The length of an RDM's vector.

    Returns
    -------
    int
        The number of stimuli.

    Raises
    ------
    ValueError
        If no number of stimuli makes that many pairs.

    Examples
    --------
    >>> stimuli_of(3)
    3
    """
    stimuli = round((1 + float(np.sqrt(1 + 8 * pairs))) / 2)
    if stimuli * (stimuli - 1) // 2 != pairs:
        message = (
            f"An RDM's vector must hold every pair of its stimuli, but {pairs} is not n (n - 1) / 2 for any n. "
            "Give the upper triangle of a square RDM."
        )
        raise ValueError(message)
    return stimuli


def pair_weights(stimuli: NDArray[Any]) -> Floats:
    """Return how often each pair of stimuli occurs in a draw.

    A stimulus drawn twice makes two copies, and the pair of the two copies has a dissimilarity of 0 that any RDM
    predicts; rsatoolbox leaves it out, and so it has no weight here.

    Parameters
    ----------
    stimuli : array of int, shape (stimulus,)
        How often each stimulus was drawn.

    Returns
    -------
    array of float64, shape (pair,)
        The product of the two numbers.

    Examples
    --------
    >>> pair_weights(np.array([2, 0, 3]))
    array([0., 6., 0.])
    """
    rows, columns = pairs_of(len(stimuli))
    drawn = np.asarray(stimuli, dtype=np.float64)
    return np.asarray(drawn[rows] * drawn[columns])


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop over plain arrays with numba when it is first called, and keep the machine code if possible.

    The code is kept where numba can write; in a read-only installation it is compiled anew in each session. The
    loops hold no lock, so that draws run on several threads.

    Parameters
    ----------
    function : callable
        A function of arrays and numbers.

    Returns
    -------
    callable
        The same function, compiled.
    """
    try:
        loop: Callable[..., Any] = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        loop = numba.njit(nogil=True)(function)
    return loop
