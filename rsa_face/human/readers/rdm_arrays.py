"""RDMs from numpy and Matlab files, as they lie there."""

import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import h5py
import numpy as np
from numpy.typing import NDArray

from rsa_face.hdf5 import must_be_plain_hdf5
from rsa_face.human.faults import listed
from rsa_face.human.judgements import Floats, squares
from rsa_face.human.layout import Source
from rsa_face.human.readers.matlab import read_matlab
from rsa_face.human.sessions import SESSION_NAMES, split_session
from rsa_face.schema import PARTICIPANT
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
    numbered : bool
        The participants' names are numbers that were made up, as the file has none.
    selected_by : tuple of str
        Columns by which rows were kept or dropped while the file was read.
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
    numbered: bool = False
    selected_by: tuple[str, ...] = ()


class ArrayOptions(Protocol):
    """What may be chosen of arrays: the variable, and what lies along its axes."""

    @property
    def variable(self) -> str | None:
        """The variable to read, of several."""

    @property
    def axes(self) -> tuple[str, ...] | None:
        """What lies along each axis."""


def read_npz(path: Path, source: Source, options: ArrayOptions) -> Stack:  # noqa: ARG001 - the readers share one form
    """Read RDMs from a numpy file: an array of squares or of upper triangles, and names where there are any.

    Parameters
    ----------
    path : Path
        Ends in .npz or .npy.
    source : Source
        Not used.
    options : RdmOptions
        The array to read, of several, and its axes.

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
    return _stack_of(path, arrays, options)


def read_mat(path: Path, source: Source, options: ArrayOptions) -> Stack:  # noqa: ARG001 - the readers share one form
    """Read RDMs from a Matlab file: an array, or a struct array with the field RDM (and name).

    Parameters
    ----------
    path : Path
        Ends in .mat; of any version.
    source : Source
        Not used.
    options : RdmOptions
        The variable to read, of several, and its axes.

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
    if (options.variable is None and len(structs) == 1) or options.variable in structs:
        return _stack_of_structs(path, arrays[options.variable or structs[0]], options.axes)
    return _stack_of(path, arrays, options)


def _arrays_of(path: Path) -> dict[str, NDArray[Any]]:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            must_not_swell(sum(part.file_size for part in archive.infolist()), path)
    with path.open("rb") as file:  # numpy leaves a damaged archive open
        opened = np.load(file, allow_pickle=False)
        arrays = {"rdms": opened} if isinstance(opened, np.ndarray) else {name: opened[name] for name in opened.files}
    must_not_swell(8 * sum(array.size for array in arrays.values()), path)  # as float64
    return arrays


def _stack_of(path: Path, arrays: Mapping[str, NDArray[Any]], options: ArrayOptions) -> Stack:
    variable = options.variable
    names = (*STIMULUS_NAMES, *PARTICIPANT_NAMES, *SESSION_NAMES)
    named = {name: value for name, value in arrays.items() if name.lower() in names}
    numeric = [k for k, v in arrays.items() if v.dtype.kind in "fiub" and v.ndim and v.size > 2 and k not in named]
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
    variable = variable or numeric[0]
    values = np.asarray(arrays[variable], dtype=float)
    axes = options.axes or _axes_of(values, named, path, variable)
    if axes is not None:
        values, people, coords = _unfolded(values, axes, named, path, variable)
        matrices = squares_of(values, path, variable)
        participants: list[str] | None = people
    else:
        matrices = squares_of(values, path, variable)
        participants = _texts(named, PARTICIPANT_NAMES, len(matrices))
        coords = {name: labels for name in SESSION_NAMES if (labels := _texts(named, (name,), len(matrices)))}
        _must_name_each(named, len(matrices), path)
    stimuli = _texts(named, STIMULUS_NAMES, matrices.shape[-1])
    return Stack(path, matrices, stimuli, None if participants == stimuli else participants, coords=coords)


def _must_name_each(named: Mapping[str, NDArray[Any]], count: int, path: Path) -> None:
    """Refuse eight RDMs with the names of four participants: they are not RDMs of eight people."""
    for name, values in named.items():
        if name.lower() in (*PARTICIPANT_NAMES[:-2], *SESSION_NAMES) and np.size(values) != count:
            message = (
                f"{path.name} holds {count} RDMs and {np.size(values)} {name}. Name one for each RDM, or save an "
                "array with an axis for each: participant, session, stimulus, stimulus."
            )
            raise ValueError(message)


def _axes_of(values: Floats, named: Mapping[str, NDArray[Any]], path: Path, name: str) -> tuple[str, ...] | None:
    """Return what lies along the axes of an array with several dimensions of RDMs; None where it has one or none."""
    shape = values.shape
    square = len(shape) > 3 or (len(shape) == 3 and (shape[1] == shape[2] or shape[0] == shape[1] or 1 in shape[1:]))
    if len(shape) < 3 or (len(shape) == 3 and square):
        return None
    inner = 2 if square else 1
    leading = shape[-1] == shape[-2] or not square  # Matlab's arrays have the stimuli first
    outer = shape[:-inner] if leading else shape[inner:]
    lengths = {factor: _length_of(named, names) for factor, names in _FACTORS.items()}
    fits = {factor: [axis for axis, n in enumerate(outer) if n == length] for factor, length in lengths.items()}
    if len(outer) == 2 and all(len(axes) == 1 for axes in fits.values()) and fits["participant"] != fits["session"]:
        factors = ["session", "session"]
        factors[fits["participant"][0]] = PARTICIPANT
        axes = ("stimulus", "stimulus") if square else ("pair",)
        return (*factors, *axes) if leading else (*axes, *factors)
    message = (
        f"{name!r} of {path.name} has the shape {shape}, and nothing says which axis is people. Name its axes: "
        "option axes=participant,session,stimulus,stimulus, say (one pair in place of both for upper triangles)."
    )
    raise ValueError(message)


_FACTORS = {PARTICIPANT: PARTICIPANT_NAMES[:-2], "session": SESSION_NAMES}


def _length_of(named: Mapping[str, NDArray[Any]], names: Sequence[str]) -> int:
    return next((int(np.size(value)) for key, value in named.items() if key.lower() in names), -1)


def _unfolded(
    values: Floats, axes: Sequence[str], named: Mapping[str, NDArray[Any]], path: Path, name: str
) -> tuple[Floats, list[str], dict[str, list[str]]]:
    """Return an array with one axis for all its RDMs, whose they are, and what else each is of."""
    factors = [axis for axis in axes if axis not in ("stimulus", "pair")]
    inner = [place for place, axis in enumerate(axes) if axis in ("stimulus", "pair")]
    if len(axes) != values.ndim or len(set(factors)) < len(factors) or len(inner) not in (1, 2):
        message = (
            f"{name!r} of {path.name} has the shape {values.shape}, which the axes {', '.join(axes)} do not fit. "
            "Name each axis once, and stimulus twice (or pair once)."
        )
        raise ValueError(message)
    outer = [place for place in range(values.ndim) if place not in inner]
    counts = [values.shape[place] for place in outer]
    people, coords = _labels_of(factors, counts, named, path)
    inside = [values.shape[place] for place in inner]
    return values.transpose(*outer, *inner).reshape(-1, *inside), people, coords


def _labels_of(
    factors: Sequence[str], counts: Sequence[int], named: Mapping[str, NDArray[Any]], path: Path
) -> tuple[list[str], dict[str, list[str]]]:
    labels = {}
    for factor, count in zip(factors, counts, strict=True):
        names = (*_FACTORS.get(factor, ()), factor, f"{factor}s")
        width = max(2, len(str(count)))
        numbers = [f"participant_{k:0{width}d}" if factor == PARTICIPANT else str(k) for k in range(1, count + 1)]
        labels[factor] = _texts(named, names, count) or numbers
    places = np.indices(tuple(counts)).reshape(len(counts), -1) if counts else np.zeros((0, 1), dtype=int)
    of_each = {factor: [labels[factor][k] for k in row] for factor, row in zip(factors, places, strict=True)}
    people = of_each.pop(PARTICIPANT, [path.stem] * places.shape[1])
    return people, of_each


def _stack_of_structs(path: Path, structs: NDArray[Any], axes: Sequence[str] | None) -> Stack:
    structs = np.squeeze(structs)
    each = [squares_of(np.asarray(one["RDM"], dtype=float), path, "RDM") for one in structs.flat]
    sizes = sorted({one.shape[-1] for one in each})
    if len(sizes) > 1:
        message = f"All RDMs of a struct array must be of one size, but {path.name} has {sizes} rows. Split the file."
        raise ValueError(message)
    matrices = np.concatenate(each)
    if len(matrices) != structs.size:
        message = f"{path.name} holds {len(matrices)} RDMs in {structs.size} structs. Save one square in each."
        raise ValueError(message)
    if axes is not None:
        if len(axes) != structs.ndim:
            message = (
                f"The struct array of {path.name} has the shape {structs.shape}: {', '.join(axes)} do not fit it."
            )
            raise ValueError(message)
        people, coords = _labels_of(axes, structs.shape, {}, path)
        return Stack(path, matrices, None, people, coords=coords)
    if not structs.dtype.names or "name" not in structs.dtype.names:
        named = None
    else:
        named = _named_structs(["".join(np.asarray(one["name"]).astype(str).ravel()).strip() for one in structs.flat])
    if structs.ndim > 1 and (named is None or len({*zip(named[0], *named[1].values(), strict=True)}) < structs.size):
        message = (
            f"The struct array of {path.name} has the shape {structs.shape}, and its names do not say which axis is "
            "people. Name its axes: option axes=participant,session, say."
        )
        raise ValueError(message)
    return Stack(path, matrices, None, named and named[0], coords=named[1] if named else {})


def _named_structs(names: list[str]) -> tuple[list[str], dict[str, list[str]]] | None:
    """Return people, sessions and regions from names such as ``hIT | BE | Session: 2``; None where all are empty."""
    people, sessions, regions = [], [], []
    for name in names:
        person, session = split_session(name)
        region, _, person = person.rpartition("|")
        people.append(person.strip())
        sessions.append(session)
        regions.append(region.strip())
    coords = {"session": sessions, "region": regions}
    return (people, {name: held for name, held in coords.items() if len(set(held)) > 1}) if any(names) else None


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
