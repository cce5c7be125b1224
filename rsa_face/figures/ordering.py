"""In which order stimuli stand in a figure, and which of them form groups."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr

from rsa_face.schema import OCCLUSIONS, STIMULUS_I, STIMULUS_J, must_be_known

_USUAL = ("occlusion", "identity", "level")


@dataclass(frozen=True)
class Group:
    """Neighbouring stimuli that share a factor's value.

    Parameters
    ----------
    label : str
        The value.
    start, stop : int
        The first stimulus and the one after the last.
    """

    label: str
    start: int
    stop: int


def sort_stimuli(rdms: xr.DataArray, by: Sequence[str] | None = None) -> tuple[xr.DataArray, list[str]]:
    """Return RDMs with their stimuli sorted by factors, and the factors.

    Parameters
    ----------
    rdms : DataArray, dims (..., stimulus_i, stimulus_j)
        RDMs whose factors lie along `stimulus_i`. Not changed.
    by : sequence of str, optional
        Factors, the outermost first; those of `occlusion`, `identity` and `level` that vary if None, and an empty
        sequence keeps the order. Stimuli with equal values keep theirs.

    Returns
    -------
    DataArray, dims (..., stimulus_i, stimulus_j)
        The same RDMs.
    list of str
        The factors sorted by.

    Raises
    ------
    ValueError
        If a factor is not a coordinate along `stimulus_i`.
    """
    factors = factors_of(rdms)
    for name in by or ():
        must_be_known(name, factors, "factor of these stimuli")
    chosen = list(by) if by is not None else [name for name in _USUAL if name in factors and _varies(rdms, name)]
    if not chosen:
        return rdms, []
    keys = [_sortable(rdms[name].values) for name in chosen]
    order = np.lexsort(keys[::-1])
    return rdms.isel({STIMULUS_I: order, STIMULUS_J: order}), chosen


def factors_of(rdms: xr.DataArray) -> list[str]:
    """Return the factors that RDMs carry of their stimuli.

    Parameters
    ----------
    rdms : DataArray, dims (..., stimulus_i, stimulus_j)
        RDMs.

    Returns
    -------
    list of str
        Names of coordinates along `stimulus_i`, sorted.
    """
    return sorted(
        str(name) for name, values in rdms.coords.items() if values.dims == (STIMULUS_I,) and name != STIMULUS_I
    )


def same_stimuli(human: xr.DataArray, rdms: xr.DataArray) -> xr.DataArray:
    """Return one array of RDMs in the stimulus order of another.

    Parameters
    ----------
    human : DataArray, dims (..., stimulus_i, stimulus_j)
        RDMs to reorder. Not changed.
    rdms : DataArray, dims (..., stimulus_i, stimulus_j)
        Whose order is kept.

    Returns
    -------
    DataArray, dims (..., stimulus_i, stimulus_j)
        The first, reordered.

    Raises
    ------
    ValueError
        If a stimulus is missing from the first.
    """
    ids = [str(value) for value in rdms[STIMULUS_I].values]
    place = {str(value): index for index, value in enumerate(human[STIMULUS_I].values)}
    missing = [name for name in ids if name not in place]
    if missing:
        message = (
            f"Human RDMs must hold the stimuli of the layer RDMs to stand beside them, but lack {missing[:8]} "
            f"({len(missing)} in all). Select the shared stimuli first, with `shared_stimuli`."
        )
        raise ValueError(message)
    order = [place[name] for name in ids]
    return human.isel({STIMULUS_I: order, STIMULUS_J: order})


def judged_stimuli(human: xr.DataArray, rdms: xr.DataArray) -> list[str]:
    """Return the stimuli of layer RDMs that people judged too.

    Networks are often shown more than people: masked faces beside whole ones.

    Parameters
    ----------
    human : DataArray, dims (..., stimulus_i, stimulus_j)
        Human RDMs. Not changed.
    rdms : DataArray, dims (..., stimulus_i, stimulus_j)
        Layer RDMs, whose order is kept.

    Returns
    -------
    list of str
        Ids; empty where there are none.
    """
    judged = {str(value) for value in human[STIMULUS_I].values}
    return [name for name in map(str, rdms[STIMULUS_I].values) if name in judged]


def groups_along(values: Sequence[object]) -> list[Group]:
    """Return the runs of equal values.

    Parameters
    ----------
    values : sequence of object
        A factor's value for each stimulus, in the order shown.

    Returns
    -------
    list of Group
        One for each run.

    Examples
    --------
    >>> groups_along(["a", "a", "b"])
    [Group(label='a', start=0, stop=2), Group(label='b', start=2, stop=3)]
    """
    texts = [f"{value:g}" if isinstance(value, float | np.floating) else str(value) for value in values]
    edges = [place for place in range(len(texts)) if place == 0 or texts[place] != texts[place - 1]]
    return [Group(texts[a], a, b) for a, b in zip(edges, [*edges[1:], len(texts)], strict=True)]


def _varies(rdms: xr.DataArray, name: str) -> bool:
    return len(set(map(str, rdms[name].values))) > 1


def _sortable(values: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(values, dtype=float)
    except ValueError:
        texts = values.astype(str)
        if set(texts.tolist()) <= set(OCCLUSIONS):
            return np.array([OCCLUSIONS.index(text) for text in texts.tolist()], dtype=float)
        return texts
