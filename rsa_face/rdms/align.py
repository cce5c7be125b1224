"""Line RDMs up by the ids of their stimuli, never by position."""

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.safety import first_of
from rsa_face.schema import STIMULUS_I, STIMULUS_J, stimulus_ids

_READ_AT_ONCE = 2**30  # bytes


def align_stimuli(
    rdms: xr.DataArray, to: xr.DataArray, *, names: tuple[str, str] = ("RDMs", "the others")
) -> xr.DataArray:
    """Return RDMs with their stimuli in the order of another array's.

    Two RDMs whose rows stand in a different order compare without an error and mean nothing; rsatoolbox's own
    functions compare by position. So everything that compares RDMs aligns them here first.
    """
    have, want = stimulus_ids(rdms), stimulus_ids(to)
    if have == want:
        return rdms
    lacks, more = sorted(set(want) - set(have)), sorted(set(have) - set(want))
    if lacks or more:
        message = (
            f"RDMs have different stimuli: {names[0]} {_differing(lacks, more)} {names[1]}. Use `shared_stimuli` "
            "to keep those in common."
        )
        raise ValueError(message)
    place = {stimulus: index for index, stimulus in enumerate(have)}
    order = np.array([place[stimulus] for stimulus in want])
    return rdms.isel({STIMULUS_I: order, STIMULUS_J: order})


def shared_stimuli(*arrays: xr.DataArray) -> tuple[xr.DataArray, ...]:
    """Return RDM arrays cut down to the stimuli that all of them hold, in the first one's order.

    Parameters
    ----------
    *arrays : DataArray, dims (..., stimulus_i, stimulus_j)
        RDMs of any kind. Not changed.

    Returns
    -------
    tuple of DataArray
        One for each array given, aligned.

    Raises
    ------
    ValueError
        If fewer than three stimuli are shared: no similarity can be computed from fewer.

    Examples
    --------
    >>> import rsa_face as rf
    >>> human = rf.example("demo").human
    >>> some = human.isel(stimulus_i=slice(4), stimulus_j=slice(4))
    >>> [array.shape for array in shared_stimuli(human, some)]
    [(20, 4, 4), (20, 4, 4)]
    """
    shared = set.intersection(*(set(stimulus_ids(array)) for array in arrays))
    common = [stimulus for stimulus in stimulus_ids(arrays[0]) if stimulus in shared]
    if len(common) < 3:
        message = (
            f"Too few stimuli in common to compare RDMs: {len(common)} of the 3 needed ({common}). Check the ids."
        )
        raise ValueError(message)
    return tuple(select_stimuli(array, common) for array in arrays)


def select_stimuli(rdms: xr.DataArray, ids: list[str]) -> xr.DataArray:
    """Return the RDMs of some stimuli, in the order asked for.

    An entry of an RDM depends on its own two stimuli alone (for all measures but the whitened ones), so a part
    of an RDM is the RDM of that part.
    """
    place = {stimulus: index for index, stimulus in enumerate(stimulus_ids(rdms))}
    unknown = sorted(set(ids) - set(place))
    if unknown:
        message = f"No such stimuli in the RDMs: {first_of(unknown)}. Check the ids."
        raise ValueError(message)
    order = np.array([place[stimulus] for stimulus in ids], dtype=int)
    picked = rdms.isel({STIMULUS_I: order, STIMULUS_J: order})
    # of RDMs larger than memory, those of fewer stimuli are read once, not for each question again
    return picked.compute(scheduler="threads") if picked.chunks and picked.nbytes < _READ_AT_ONCE else picked


def _differing(lacks: list[str], more: list[str]) -> str:
    parts = [f"lack {first_of(lacks)}"] if lacks else []
    parts += [f"have {first_of(more)} more than"] if more else ["of"]
    return " and ".join(parts) if more else f"{parts[0]} {parts[1]}"


def table_of_pairs(rdms: xr.DataArray) -> pd.DataFrame:
    """Return RDMs as a table: a row for each pair of stimuli, a column for each RDM; empty where nobody judged.

    Examples
    --------
    >>> square = xr.DataArray([[[0.0, 0.5], [0.5, 0.0]]], dims=("rdm", "stimulus_i", "stimulus_j"),
    ...                       coords={"rdm": ["alexnet/fc8"], "stimulus_i": ["a", "b"], "stimulus_j": ["a", "b"]})
    >>> table_of_pairs(square).to_dict("records")
    [{'stimulus_i': 'a', 'stimulus_j': 'b', 'alexnet/fc8': 0.5}]
    """
    ids = np.array(stimulus_ids(rdms))
    i, j = np.triu_indices(len(ids), k=1)
    along = next((str(dim) for dim in rdms.dims if dim not in (STIMULUS_I, STIMULUS_J)), None)
    rdms = rdms.expand_dims("rdm") if along is None else rdms
    along = along or "rdm"
    values = rdms.transpose(along, STIMULUS_I, STIMULUS_J).values[:, i, j]
    names = rdms[along].values.astype(str).tolist() if along in rdms.coords else map(str, range(len(values)))
    pairs = {STIMULUS_I: ids[i], STIMULUS_J: ids[j]}
    return pd.DataFrame(pairs | dict(zip(names, values, strict=True)))
