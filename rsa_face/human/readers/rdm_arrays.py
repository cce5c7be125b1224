"""RDMs from numpy and Matlab files, as they lie there."""

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from rsa_face.hdf5 import must_be_plain_hdf5
from rsa_face.human.faults import listed
from rsa_face.human.judgements import Floats, squares
from rsa_face.human.layout import Source
from rsa_face.human.readers.matlab import read_matlab
from rsa_face.untrusted import must_not_swell, reading

STIMULUS_NAMES = (
    "stimulus",
    "stimuli",
    "ids",
    "stimulus_ids",
    "labels",
    "label",
    "conds",
    "conditions",
    "name",
    "names",
)
PARTICIPANT_NAMES = ("participant", "participants", "subject", "subjects", "subj", "name", "names")
_A_NAME = 128  # bytes of a participant's name, in a list and in an array


@dataclass(frozen=True, eq=False)
class Stack:
    """The RDMs of one file, before any check of their values.

    Parameters
    ----------
    path : Path
        The file.
    matrices : array, shape (participant, stimulus, stimulus)
        As they lie in the file.
    stimuli, participants : list of str, optional
        Their names, where the file has them.
    coverage : array, shape (participant, stimulus, stimulus), optional
        How often each pair was judged, where the file says so.
    n_trials : array, shape (participant,), optional
        How many trials, where the file says so.
    lines : list of list of int, optional
        For each participant and row the line of a text file.
    attrs : dict
        What else the file says of all.
    coords : dict of str to list
        What else the file says of each participant.
    simulated : bool
        The file says that no person made these.
    """

    path: Path
    matrices: Floats
    stimuli: list[str] | None = None
    participants: list[str] | None = None
    coverage: NDArray[np.integer[Any]] | None = None
    n_trials: NDArray[np.integer[Any]] | None = None
    lines: list[list[int]] | None = None
    attrs: dict[str, Any] = field(default_factory=dict)
    coords: dict[str, list[Any]] = field(default_factory=dict)
    simulated: bool = False


def read_npz(path: Path, source: Source, variable: str | None) -> Stack:  # noqa: ARG001 - the readers share one form
    """Read RDMs from a numpy file: an array of squares or of upper triangles, and names where there are any.

    Parameters
    ----------
    path : Path
        Ends in .npz or .npy.
    source : Source
        Not used.
    variable : str, optional
        The array to read, of several.

    Returns
    -------
    Stack
        Unchecked.

    Raises
    ------
    ValueError
        If the file is damaged, holds pickled objects, or no array of RDMs.
    """
    with reading(path, "RDMs must be plain arrays", then="Save them with np.savez."):
        arrays = _arrays_of(path)
    return _stack_of(path, arrays, variable)


def read_mat(path: Path, source: Source, variable: str | None) -> Stack:  # noqa: ARG001 - the readers share one form
    """Read RDMs from a Matlab file: an array, or a struct array with the field RDM (and name).

    Parameters
    ----------
    path : Path
        Ends in .mat; of any version.
    source : Source
        Not used.
    variable : str, optional
        The variable to read, of several.

    Returns
    -------
    Stack
        Unchecked.

    Raises
    ------
    ValueError
        If the file is damaged or holds no RDMs.
    """
    with reading(path, "RDMs must be in a whole .mat file", then="Save it anew."):
        if h5py.is_hdf5(path):
            must_be_plain_hdf5(path)
            arrays = _mat73(path)
        else:
            arrays = {name: value for name, value in read_matlab(path).items() if isinstance(value, np.ndarray)}
    structs = [name for name, value in arrays.items() if value.dtype.names and "RDM" in value.dtype.names]
    if (variable is None and len(structs) == 1) or variable in structs:
        return _stack_of_structs(path, arrays[variable or structs[0]])
    return _stack_of(path, arrays, variable)


def _arrays_of(path: Path) -> dict[str, NDArray[Any]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            must_not_swell(sum(part.file_size for part in archive.infolist()), path)
    with path.open("rb") as file:  # numpy leaves a damaged archive open
        opened = np.load(file, allow_pickle=False)
        arrays = {"rdms": opened} if isinstance(opened, np.ndarray) else {name: opened[name] for name in opened.files}
    must_not_swell(8 * sum(array.size for array in arrays.values()), path)  # as float64
    return arrays


def _stack_of(path: Path, arrays: Mapping[str, NDArray[Any]], variable: str | None) -> Stack:
    named = {name: value for name, value in arrays.items() if name.lower() in (*STIMULUS_NAMES, *PARTICIPANT_NAMES)}
    numeric = [
        k
        for k, v in arrays.items()
        if v.dtype.kind in "fiub" and v.ndim in (1, 2, 3) and v.size > 2 and k not in named
    ]
    if variable is not None and variable not in arrays:
        there = listed(sorted(arrays))
        message = f"The variable to read must be in the file, but {path.name} has no {variable!r}, only {there}."
        raise ValueError(message)
    if variable is None and len(numeric) != 1:
        holds = f"{len(numeric)} ({listed(sorted(numeric))})" if numeric else f"none among {listed(sorted(arrays))}"
        message = (
            f"A file of RDMs must hold one array of numbers, but {path.name} holds {holds}. Name it: option variable."
        )
        raise ValueError(message)
    matrices = squares_of(np.asarray(arrays[variable or numeric[0]], dtype=float), path, variable or numeric[0])
    stimuli = _texts(named, STIMULUS_NAMES, matrices.shape[-1])
    participants = _texts(named, PARTICIPANT_NAMES, len(matrices))
    return Stack(path, matrices, stimuli, None if participants == stimuli else participants)


def _stack_of_structs(path: Path, structs: NDArray[Any]) -> Stack:
    each = [squares_of(np.asarray(one["RDM"], dtype=float), path, "RDM") for one in structs.flat]
    sizes = sorted({one.shape[-1] for one in each})
    if len(sizes) > 1:
        message = f"All RDMs of a struct array must be of one size, but {path.name} has {sizes} rows. Split the file."
        raise ValueError(message)
    names = None
    if structs.dtype.names and "name" in structs.dtype.names:
        names = ["".join(np.asarray(one["name"]).astype(str).ravel()).strip() for one in structs.flat]
        names = [name.rsplit("|", 1)[-1].strip() for name in names]
    return Stack(path, np.concatenate(each), None, names if names and len(set(names)) == len(names) else None)


def squares_of(values: Floats, path: Path, name: str) -> Floats:
    """Return a stack of squares, from one square, a stack of them (in either order), or upper triangles.

    Parameters
    ----------
    values : array
        As it lies in the file.
    path : Path
        The file, for an error.
    name : str
        The variable, for an error.

    Returns
    -------
    array, shape (rdm, stimulus, stimulus)
        Not checked for symmetry.

    Raises
    ------
    ValueError
        If the shape is none of these, or the file asks for far more than it could hold.
    """
    values = np.squeeze(values) if values.ndim == 3 and 1 in values.shape[1:] else values
    shape = values.shape
    if values.ndim == 3 and shape[1] != shape[2] and shape[0] == shape[1]:
        values = np.moveaxis(values, 2, 0)
    if values.ndim == 3 and values.shape[1] == values.shape[2]:
        must_not_swell_to(len(values), values.shape[1], path)
        return values
    if values.ndim == 2 and shape[0] == shape[1]:
        return values[None]
    flat = np.atleast_2d(values) if values.ndim < 3 else values
    if flat.ndim == 2 and flat.shape[1] == 1:
        flat = flat.T
    pairs = flat.shape[-1]
    rows = round((1 + np.sqrt(1 + 8 * pairs)) / 2)
    if flat.ndim != 2 or rows * (rows - 1) // 2 != pairs:
        message = (
            f"RDMs must be square, or upper triangles of n(n-1)/2 entries, but {name!r} of {path.name} has the shape "
            f"{tuple(shape)}. Save one square for each participant."
        )
        raise ValueError(message)
    must_not_swell_to(len(flat), rows, path)
    return squares(flat, rows)


def must_not_swell_to(rdms: int, stimuli: int, path: Path) -> None:
    """Refuse a file that asks for far more RDMs than it could hold, as `must_not_swell` does.

    Parameters
    ----------
    rdms, stimuli : int
        How many there are.
    path : Path
        The file.

    Raises
    ------
    ValueError
        If their squares in float64, and a name for each, are more than 1 GiB and than a hundred times the file.
    """
    must_not_swell(rdms * (8 * stimuli**2 + _A_NAME), path)


def _texts(named: Mapping[str, NDArray[Any]], names: tuple[str, ...], count: int) -> list[str] | None:
    for name in names:
        found = next((value for key, value in named.items() if key.lower() == name), None)
        if found is None or np.size(found) != count:
            continue
        cells = [np.asarray(cell).astype(str).ravel() for cell in np.asarray(found).ravel()]
        return [str(cell[0]).strip() if len(cell) else "" for cell in cells]
    return None


def _mat73(path: Path) -> dict[str, NDArray[Any]]:
    arrays = {}
    with h5py.File(path, "r") as file:
        for name, item in file.items():
            if not isinstance(item, h5py.Dataset):
                continue
            if item.dtype == h5py.ref_dtype:
                cells = [file[ref] for ref in np.ravel(item[()])]  # any number of them in the same place
                must_not_swell(8 * len(cells) * max((cell.size for cell in cells), default=0), path)
                arrays[name] = np.array(["".join(chr(int(code)) for code in np.ravel(cell[()])) for cell in cells])
            else:
                arrays[name] = item[()].T
    return arrays
