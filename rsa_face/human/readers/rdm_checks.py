"""What an RDM must be: symmetric, 0 on the diagonal, finite; looked at in bands, as large ones leave no room."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rsa_face.bands import bands, close, side, symmetric
from rsa_face.human.faults import Fault
from rsa_face.human.judgements import Floats
from rsa_face.human.readers.rdm_arrays import Stack

_LISTED = 20  # pairs of one RDM that are named
_ENOUGH = 1000  # faults after which no more are looked for


def mirror(matrices: Floats) -> None:
    """Fill each empty triangle from the other, and an empty diagonal with 0, in place.

    Parameters
    ----------
    matrices : array, shape (participant, stimulus, stimulus)
        Squares, NaN where the file has nothing.
    """
    people, n = matrices.shape[:2]
    diagonals = np.einsum("kii->ki", matrices)  # a view of them
    diagonals[np.isnan(diagonals)] = 0
    lower, upper = np.ones(people, dtype=bool), np.ones(people, dtype=bool)  # whose are empty
    for who, rows in bands(people, n):
        missing = np.isnan(matrices[who, rows])
        lower[who] &= (missing | (side(n, rows) >= 0)).all(axis=(1, 2))
        upper[who] &= (missing | (side(n, rows) <= 0)).all(axis=(1, 2))
    upper &= ~lower
    for who, rows in bands(people, n) if (lower | upper).any() else ():
        below, above = side(n, rows) < 0, side(n, rows) > 0
        unfilled = (below & lower[who, None, None]) | (above & upper[who, None, None])
        np.copyto(matrices[who, rows], matrices[who, :, rows].swapaxes(1, 2), where=unfilled)


def faults_of(stack: Stack, matrices: Floats) -> tuple[list[Fault], str]:
    """Return what is wrong with the RDMs of a file, and up to whose.

    Parameters
    ----------
    stack : Stack
        The file, with names.
    matrices : array, shape (participant, stimulus, stimulus)
        Its RDMs.

    Returns
    -------
    tuple of list of Fault and str
        The faults, and the participant behind whom no more were looked for; empty if all were.
    """
    whole = symmetric(matrices) & (np.abs(np.diagonal(matrices, axis1=1, axis2=2)) <= 1e-12).all(axis=1)
    faults: list[Fault] = []
    for one in np.flatnonzero(~whole):
        faults += _faults_of_one(matrices[one], stack, int(one))
        if len(faults) > _ENOUGH and one < len(matrices) - 1:
            return faults, (stack.participants or [])[one]
    return faults, ""


def _faults_of_one(matrix: Floats, stack: Stack, who: int) -> list[Fault]:
    ids, name, file = stack.stimuli or [], (stack.participants or [])[who], stack.path.name
    lines = stack.lines[who] if stack.lines is not None else [0] * len(ids)
    faults = []
    for k in np.flatnonzero(~(np.abs(np.diagonal(matrix)) <= 1e-12)):
        said = f"{name!r} has {matrix[k, k]:.6g} on the diagonal at {ids[k]!r}"
        faults.append(Fault(file, lines[k], ids[k] if lines[k] else "", said))
    infinite, _ = _first_of(len(matrix), lambda rows: np.isinf(matrix[rows]))
    for i, j in infinite:
        faults.append(
            Fault(file, lines[i], ids[j] if lines[i] else "", f"{name!r} is infinite at ({ids[i]}, {ids[j]})")
        )
    off, count = _first_of(len(matrix), lambda rows: ~close(matrix[rows], matrix.T[rows]))
    for i, j in off:
        more = f" and at {count - _LISTED} more pairs" if count > _LISTED and (i, j) == off[-1] else ""
        said = f"{name!r} is asymmetric at ({ids[i]}, {ids[j]}): {matrix[i, j]:.6g} against {matrix[j, i]:.6g}{more}"
        faults.append(Fault(file, lines[i], ids[j] if lines[i] else "", said))
    return faults


def _first_of(n: int, of: Callable[[slice], NDArray[np.bool_]]) -> tuple[list[tuple[int, int]], int]:
    """Return the first pairs above the diagonal where something holds of some rows, and how many there are in all."""
    first: list[tuple[int, int]] = []
    count = 0
    for _, rows in bands(1, n):
        found = np.argwhere(of(rows) & (side(n, rows) > 0))
        first += [(int(i) + rows.start, int(j)) for i, j in found[: _LISTED - len(first)]]
        count += len(found)
    return first, count
