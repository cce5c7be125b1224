"""RDMs that a program saved: rsatoolbox's HDF5, and this package's netCDF."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr

from rsa_face.hdf5 import must_be_plain_hdf5
from rsa_face.human.faults import listed
from rsa_face.human.judgements import squares
from rsa_face.human.layout import Source
from rsa_face.human.readers.rdm_arrays import (
    PARTICIPANT_NAMES,
    STIMULUS_NAMES,
    ArrayOptions,
    Stack,
    must_not_swell_to,
)
from rsa_face.inference.vectors import stimuli_of
from rsa_face.provenance import load
from rsa_face.schema import PARTICIPANT, STIMULUS_I, STIMULUS_J
from rsa_face.untrusted import reading


def read_hdf5(path: Path, source: Source, options: ArrayOptions) -> Stack:  # noqa: ARG001 - the readers share one form
    """Read RDMs that rsatoolbox saved as HDF5, with the names in its descriptors.

    Parameters
    ----------
    path : Path
        Ends in .h5 or .hdf5.
    source : Source
        Not used.
    options : RdmOptions
        Not used.

    Returns
    -------
    Stack
        Unchecked.

    Raises
    ------
    ValueError
        If the file is not such a file.
    """
    must, then = "RDMs must be in a whole HDF5 file", "Save it anew."
    with reading(path, must, then=then):
        must_be_plain_hdf5(path)
        with h5py.File(path, "r") as file:
            held = _plain_group(file)
    if "dissimilarities" not in held:
        message = f"An HDF5 file must be one that rsatoolbox saved, but {path.name} holds {listed(sorted(held))}."
        raise ValueError(message)
    with reading(path, must, then=then):
        return _described(path, held)


def _described(path: Path, held: Mapping[str, Any]) -> Stack:
    people, patterns = held.get("rdm_descriptors", {}), held.get("pattern_descriptors", {})
    named = _named_in(patterns, STIMULUS_NAMES)
    participants = _named_in(people, PARTICIPANT_NAMES)
    said = held.get("descriptors", {})
    vectors = np.atleast_2d(np.asarray(held["dissimilarities"], dtype=float))
    n = stimuli_of(vectors.shape[1])
    must_not_swell_to(len(vectors), n, path)
    coverage = people.get("coverage")
    counts = None if coverage is None else np.asarray(coverage, dtype=np.int32).reshape(vectors.shape)
    return Stack(
        path,
        squares(vectors, n),
        stimuli=named,
        participants=participants,
        coverage=None if counts is None else squares(counts, n),
        n_trials=None if "n_trials" not in people else np.asarray(people["n_trials"]),
        attrs=json.loads(said["attrs"]) if "attrs" in said else {},
        coords={
            k: list(v) for k, v in people.items() if k not in ("index", "coverage", "n_trials", *PARTICIPANT_NAMES)
        },
        simulated=bool(said.get("simulated", False)),
    )


def read_netcdf(path: Path, source: Source, options: ArrayOptions) -> Stack:  # noqa: ARG001 - one form for all
    """Read human RDMs that this package saved.

    Parameters
    ----------
    path : Path
        Ends in .nc.
    source : Source
        Not used.
    options : RdmOptions
        The array to read, in a file of several.

    Returns
    -------
    Stack
        Unchecked.

    Raises
    ------
    ValueError
        If the file holds no array of human RDMs.
    """
    loaded = load(path)
    array = loaded if isinstance(loaded, xr.DataArray) else loaded.get(options.variable or "dissimilarity")
    if array is None or not {PARTICIPANT, STIMULUS_I, STIMULUS_J} <= set(array.dims):
        has = f"has {', '.join(map(str, array.dims))}" if array is not None else "holds no such array"
        message = f"Human RDMs have the dims participant, stimulus_i and stimulus_j: {path.name} {has}."
        raise ValueError(message)
    with reading(
        path, "Human RDMs must be numbers with the names of participants and stimuli", then="Save them anew."
    ):
        must_not_swell_to(array.size // max(1, array.sizes[STIMULUS_I] ** 2), array.sizes[STIMULUS_I], path)
        return _saved(path, _one_dim_of_rdms(array).transpose(PARTICIPANT, STIMULUS_I, STIMULUS_J))


def _one_dim_of_rdms(array: xr.DataArray) -> xr.DataArray:
    """Return an array whose further dims, such as session, are coordinates of its RDMs; rows without any pair go."""
    others = [dim for dim in array.dims if dim not in (PARTICIPANT, STIMULUS_I, STIMULUS_J)]
    if not others:
        return array
    labelled = array.assign_coords({dim: array[dim] for dim in others})  # numbered where it has no coordinate
    named = labelled.rename({PARTICIPANT: "person"})  # a level of rows may not be called as the new dim is
    flat = named.stack({PARTICIPANT: ("person", *others)}).reset_index(PARTICIPANT)
    flat = flat.assign_coords({PARTICIPANT: flat["person"].values}).drop_vars("person")
    off = ~np.eye(flat.sizes[STIMULUS_I], dtype=bool)
    judged = flat.transpose(PARTICIPANT, STIMULUS_I, STIMULUS_J).notnull().values[:, off].any(axis=1)
    return flat.isel({PARTICIPANT: judged})


def _saved(path: Path, array: xr.DataArray) -> Stack:
    known = (PARTICIPANT, STIMULUS_I, STIMULUS_J, "coverage", "n_trials")
    return Stack(
        path,
        np.asarray(array.values, dtype=float),
        stimuli=[str(value) for value in array[STIMULUS_I].values],
        participants=[str(value) for value in array[PARTICIPANT].values],
        coverage=array["coverage"].values if "coverage" in array.coords else None,
        n_trials=array["n_trials"].values if "n_trials" in array.coords else None,
        attrs=dict(array.attrs),
        coords={
            str(k): v.values.tolist() for k, v in array.coords.items() if k not in known and v.dims == (PARTICIPANT,)
        },
        simulated=bool(array.attrs.get("simulated", False)),
    )


def _named_in(descriptors: Mapping[str, Any], names: tuple[str, ...]) -> list[str] | None:
    found = next((descriptors[name] for name in names if name in descriptors), None)
    return None if found is None else [str(value) for value in np.asarray(found).ravel()]


def _plain_group(group: h5py.Group) -> dict[str, Any]:
    held: dict[str, Any] = dict(group.attrs)
    for name, item in group.items():
        if isinstance(item, h5py.Group):
            inner = _plain_group(item)
            as_list = bool(inner) and all(key.isdecimal() for key in inner)
            held[name] = [inner[key] for key in sorted(inner, key=int)] if as_list else inner
        elif item.shape is None:
            held[name] = None
        else:
            value = item[()]
            value = (
                np.char.decode(value, "utf-8") if isinstance(value, np.ndarray) and value.dtype.kind == "S" else value
            )
            held[name] = value.decode() if isinstance(value, bytes) else value
    return held
