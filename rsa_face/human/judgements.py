"""What people's judgements come to: a dissimilarity for each participant and pair, and how often it was judged."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rsa_face.memory import must_fit_in_memory
from rsa_face.schema import PARTICIPANT, STIMULUS_I, STIMULUS_J

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Judgements:
    """One dissimilarity for each participant and pair of stimuli.

    Parameters
    ----------
    participants : list of str
        Their names.
    stimuli : list of str
        The ids, in the order of rows and columns.
    dissimilarity : array, shape (participant, pair)
        Upper triangles, row by row; NaN where a pair was never judged.
    coverage : array of int, shape (participant, pair)
        How often each pair was judged.
    n_trials : array of int, shape (participant,)
        How many trials each participant gave.
    bias : array, shape (participant,), optional
        The response bias of each participant.
    attrs : dict
        What is known of all: what was left out and why, the rule of the distance, what the bias is.
    coords : dict of str to list
        What else is known of each participant, such as the group.
    simulated : bool
        No person made these.
    """

    participants: list[str]
    stimuli: list[str]
    dissimilarity: Floats
    coverage: NDArray[np.integer[Any]]
    n_trials: NDArray[np.integer[Any]]
    bias: Floats | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    coords: dict[str, list[Any]] = field(default_factory=dict)
    simulated: bool = False


def must_fit(participants: int, stimuli: int, name: str, *, trials: int = 0, features: int = 0) -> None:
    """Refuse judgements whose RDMs do not fit in memory: a short table can name any number of stimuli."""
    cells = stimuli**2 * (24 * participants + 16 + 24 * trials + 12 * features)  # bytes of sums and their copies
    people = f"{participants:,} participant{'s' * (participants != 1)}"
    must_fit_in_memory(
        cells + 32 * participants * stimuli * features,
        f"The RDMs of {stimuli:,} stimuli by {people} in {name}",
        then="Check which columns are stimuli and participants (layout), or read fewer of them at a time.",
    )


def pair_index(i: NDArray[np.integer[Any]], j: NDArray[np.integer[Any]], stimuli: int) -> Ints:
    """Return the place of pairs in the upper triangle, row by row, whichever of the two comes first.

    Examples
    --------
    >>> pair_index(np.array([0, 2]), np.array([1, 1]), 3)
    array([0, 2])
    """
    low, high = np.minimum(i, j).astype(np.int64), np.maximum(i, j).astype(np.int64)
    return np.asarray(low * stimuli - low * (low + 1) // 2 + high - low - 1)


def sum_by_pair(
    who: NDArray[np.integer[Any]],
    pair: NDArray[np.integer[Any]],
    shape: tuple[int, int],
    weights: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return the sum of weights (or the count) for each participant and pair."""
    place = who.astype(np.int64) * shape[1] + pair
    total = np.bincount(place, weights=weights, minlength=shape[0] * shape[1])
    return (total if weights is not None else total.astype(np.int32)).reshape(shape)


def share(part: NDArray[Any], whole: NDArray[Any]) -> Floats:
    """Return part / whole, NaN where the whole is 0."""
    out = np.full(np.broadcast(part, whole).shape, np.nan)
    np.divide(part, whole, out=out, where=whole > 0)
    return out


def to_array(judged: Judgements) -> xr.DataArray:
    """Return judgements as square RDMs, labelled."""
    coords: dict[str, Any] = {
        PARTICIPANT: np.array(judged.participants, dtype=str),
        STIMULUS_I: np.array(judged.stimuli, dtype=str),
        STIMULUS_J: np.array(judged.stimuli, dtype=str),
        "coverage": (
            (PARTICIPANT, STIMULUS_I, STIMULUS_J),
            squares(judged.coverage.astype(np.int32, copy=False), len(judged.stimuli)),
        ),
        "n_trials": (PARTICIPANT, np.asarray(judged.n_trials, dtype=np.int64)),
    }
    if judged.bias is not None:
        coords["response_bias"] = (PARTICIPANT, np.asarray(judged.bias, dtype=float))
    coords |= {name: (PARTICIPANT, np.asarray(values)) for name, values in judged.coords.items()}
    values = squares(judged.dissimilarity, len(judged.stimuli))
    attrs = {**judged.attrs, "simulated": judged.simulated}
    return xr.DataArray(values, coords, (PARTICIPANT, STIMULUS_I, STIMULUS_J), name="dissimilarity", attrs=attrs)


def squares(triangles: NDArray[Any], stimuli: int) -> NDArray[Any]:
    """Return upper triangles as square, symmetric matrices with 0 on the diagonal."""
    full = np.zeros((len(triangles), stimuli, stimuli), dtype=triangles.dtype)
    for row, pairs in rows_of_pairs(stimuli):
        full[:, row, row + 1 :] = full[:, row + 1 :, row] = triangles[:, pairs]
    return full


def triangles(matrices: NDArray[Any]) -> NDArray[Any]:
    """Return the upper triangles of square matrices, row by row."""
    stimuli = matrices.shape[-1]
    upper = np.empty((*matrices.shape[:-2], stimuli * (stimuli - 1) // 2), dtype=matrices.dtype)
    for row, pairs in rows_of_pairs(stimuli):
        upper[..., pairs] = matrices[..., row, row + 1 :]
    return upper


def rows_of_pairs(stimuli: int) -> Iterator[tuple[int, slice]]:
    """Give where the pairs of each row lie in the upper triangle: what indices of all pairs would say in more memory.

    Examples
    --------
    >>> list(rows_of_pairs(3))
    [(0, slice(0, 2, None)), (1, slice(2, 3, None))]
    """
    start = 0
    for row in range(stimuli - 1):
        end = start + stimuli - 1 - row
        yield row, slice(start, end)
        start = end
