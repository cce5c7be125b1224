"""Stacks of square matrices looked at in bands: a large one leaves no room for copies, many small ones no time."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_TOGETHER = 2**18  # cells


def bands(matrices: int, n: int) -> Iterator[tuple[slice, slice]]:
    """Cut so many square matrices into bands: several whole ones, or rows of a large one.

    Parameters
    ----------
    matrices, n : int
        How many there are, and how many rows each has.

    Yields
    ------
    tuple of slice
        Which matrices, and which of their rows.

    Examples
    --------
    >>> list(bands(2, 3))
    [(slice(0, 2, None), slice(0, 3, None))]
    """
    several, height = max(1, _TOGETHER // max(1, n**2)), max(1, _TOGETHER // max(1, n))
    for start in range(0, matrices, several):
        for row in range(0, n, height):
            yield slice(start, min(start + several, matrices)), slice(row, min(row + height, n))


def side(n: int, rows: slice) -> NDArray[np.int8]:
    """Return on which side of the diagonal the cells of some rows lie.

    Parameters
    ----------
    n : int
        How many rows the matrix has.
    rows : slice
        Some of them.

    Returns
    -------
    array of int, shape (row, n)
        -1 below the diagonal, 1 above, 0 on it.

    Examples
    --------
    >>> side(3, slice(1, 2))
    array([[-1,  0,  1]], dtype=int8)
    """
    return np.sign(np.arange(n) - np.arange(rows.start, rows.stop)[:, None]).astype(np.int8)


def symmetric(matrices: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which matrices are symmetric and not infinite; NaN may face NaN.

    Parameters
    ----------
    matrices : array, shape (matrix, n, n)
        Numbers; two are the same if they differ by no more than a millionth, or 1e-12.

    Returns
    -------
    array of bool, shape (matrix,)
        Whether each is.
    """
    good = np.ones(len(matrices), dtype=bool)
    for which, rows in bands(*matrices.shape[:2]):
        some, others = matrices[which, rows], matrices[which, :, rows].swapaxes(1, 2)
        same = some == others  # most are, and this is quick
        if not same.all():
            same = close(some, others)
        good[which] &= (same & ~np.isinf(some)).all(axis=(1, 2))
    return good


def close(some: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Return which dissimilarities of a pair, given twice, are the same but for rounding; NaN is the same as NaN.

    Parameters
    ----------
    some, others : array
        Of one shape.

    Returns
    -------
    array of bool
        Whether each two are.
    """
    return np.isclose(some, others, rtol=1e-6, atol=1e-12, equal_nan=True)
