"""Exchange RDMs with rsatoolbox, losing nothing either way."""

import json
from typing import Any

import numpy as np
import rsatoolbox.data
import rsatoolbox.rdm
import xarray as xr

from rsa_face.schema import RDM, STIMULUS, STIMULUS_I, STIMULUS_J, check_rdms


def to_rsatoolbox(rdms: xr.DataArray) -> rsatoolbox.rdm.RDMs:
    """Turn RDMs into rsatoolbox's class.

    Coords along the RDMs become its ``rdm_descriptors``, coords along the stimuli its ``pattern_descriptors``,
    attrs its ``descriptors``. Note that rsatoolbox's ``compare`` and ``eval_*`` go by position: align first.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j) or (participant, stimulus_i, stimulus_j)
        Layer or human RDMs. Not changed.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        With dissimilarities in float64, in rsatoolbox's order (upper triangle, row by row).
    """
    along = str(rdms.dims[0])
    check_rdms(rdms, along=along)
    rows, columns = np.triu_indices(rdms.sizes[STIMULUS_I], k=1)
    patterns = {str(name): coord.values for name, coord in rdms.coords.items() if coord.dims == (STIMULUS_I,)}
    patterns[STIMULUS] = patterns.pop(STIMULUS_I)
    kept = {"along": along, "name": str(rdms.name or ""), "attrs": json.dumps(rdms.attrs, default=_plain)}
    return rsatoolbox.rdm.RDMs(
        np.asarray(rdms.values, dtype=np.float64)[:, rows, columns],
        dissimilarity_measure=rdms.attrs.get("measure"),
        descriptors=kept,
        rdm_descriptors={str(name): coord.values for name, coord in rdms.coords.items() if coord.dims == (along,)},
        pattern_descriptors=patterns,
    )


def from_rsatoolbox(rdms: rsatoolbox.rdm.RDMs) -> xr.DataArray:
    """Turn rsatoolbox's RDMs into a labelled array.

    What `to_rsatoolbox` made comes back as it was. RDMs made elsewhere keep all descriptors; the stimulus ids are
    the descriptor ``stimulus``, ``stim``, ``conds`` or ``index``, whichever there is first.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        One or more RDMs.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j) or (participant, stimulus_i, stimulus_j)
        The RDMs.
    """
    described = dict(rdms.descriptors)
    along = str(described.pop("along", RDM))
    name = described.pop("name", "") or None
    attrs = json.loads(described.pop("attrs", "{}")) | described
    if rdms.dissimilarity_measure is not None:
        attrs.setdefault("measure", rdms.dissimilarity_measure)
    patterns = {key: np.asarray(value) for key, value in rdms.pattern_descriptors.items()}
    which = next(key for key in (STIMULUS, "stim", "conds", "index") if key in patterns)
    ids = patterns.pop(which).astype(str).astype(object)
    groups = {key: np.asarray(value) for key, value in rdms.rdm_descriptors.items()}
    labels = groups.pop(along, groups.get("index", np.arange(rdms.n_rdm))).astype(str).astype(object)
    coords: dict[str, Any] = {along: labels, STIMULUS_I: ids, STIMULUS_J: ids}
    coords |= {key: (along, value) for key, value in groups.items() if key != "index"}
    coords |= {key: (STIMULUS_I, value) for key, value in patterns.items() if key != "index"}
    array = xr.DataArray(rdms.get_matrices(), coords, (along, STIMULUS_I, STIMULUS_J), name=name, attrs=attrs)
    return check_rdms(array, along=along)


def calc_rdm(values: np.ndarray, measure: str) -> np.ndarray:
    """Compute one RDM by rsatoolbox's own ``calc_rdm``.

    Parameters
    ----------
    values : ndarray, shape (stimulus, ...)
        A layer.
    measure : {"correlation", "euclidean"}
        rsatoolbox's name.

    Returns
    -------
    ndarray of float64, shape (stimulus, stimulus)
        In the order of the rows.

    Raises
    ------
    ValueError
        If rsatoolbox has no such measure for single patterns.
    """
    if measure not in ("correlation", "euclidean"):
        message = f"rsatoolbox must know the measure, but has no {measure!r}. Choose the engine 'gram'."
        raise ValueError(message)
    dataset = rsatoolbox.data.Dataset(values.reshape(len(values), -1).astype(np.float64))
    matrix: np.ndarray = rsatoolbox.rdm.calc_rdm(dataset, method=measure).get_matrices()[0]
    return matrix


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)
