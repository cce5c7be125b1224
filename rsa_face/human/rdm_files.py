"""Files that hold RDMs already: tables, numpy, Matlab, rsatoolbox's HDF5 and this package's netCDF.

Every reader returns a `Stack`: the squares of one file as they lie there, with the names that the file has.
`read_rdms` names what a file leaves unnamed, checks that each square is an RDM, and joins the files by stimulus id.
"""

import itertools
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np
import pandas as pd
import scipy.io
import xarray as xr
from numpy.typing import NDArray

from rsa_face.human.experiments import named_parts, open_sheet, read_sheet
from rsa_face.human.judgements import (
    SESSION_NAMES,
    Floats,
    Judgements,
    Repeats,
    must_fit,
    pairs_of,
    rows_of_pairs,
    split_session,
    squares,
)
from rsa_face.human.tables import (
    FIX_LINES,
    Fault,
    Layout,
    Source,
    Table,
    as_numbers,
    lines_of,
    listed,
    naturally,
    raise_faults,
)
from rsa_face.human.trials import Column, read_trials
from rsa_face.inference.kernels import stimuli_of
from rsa_face.provenance import load, must_be_plain_hdf5
from rsa_face.safety import MOST_BYTES, MOST_TIMES, must_not_swell, reading
from rsa_face.schema import PARTICIPANT, STIMULUS_I, STIMULUS_J, asymmetric_pairs, coords_along, repeated, symmetric
from rsa_face.settings import Settings

STIMULUS_NAMES = (
    "stimulus", "stimuli", "ids", "stimulus_ids", "labels", "label", "conds", "conditions", "name", "names",
)  # fmt: skip
PARTICIPANT_NAMES = ("participant", "participants", "subject", "subjects", "subj")
FACTOR_NAMES = {PARTICIPANT: PARTICIPANT_NAMES, "session": SESSION_NAMES}
_PEOPLE_OR_STIMULI = ("name", "names")  # of the one or the other, whichever they fit
ATTRS_REMARK = "rsa_face: "
PAIR_COLUMNS = (
    Column("participant", required=False),
    Column("stimulus_a", stimulus=True),
    Column("stimulus_b", stimulus=True),
    *(
        Column(name, number=True, required=False, empty=True)
        for name in ("dissimilarity", "similarity", "coverage", "n_trials", "response_bias")
    ),
)
_COMPRESSED = 15  # the kind of a packed part of a Matlab file
_A_NAME = 128  # bytes of a participant's name, in a list and in an array
_LISTED = 20  # pairs of one RDM that are named
_ENOUGH = 1000  # faults after which no more RDMs are checked
_AT_ONCE = 2**18  # cells of small RDMs that are checked together


class RdmOptions(Settings):
    """How to read RDMs.

    Parameters
    ----------
    values : str
        ``dissimilarity``; ``similarity``: then dissimilarity = `top` - similarity; or ``crossnobis``, for
        cross-validated distances, of which small ones are negative.
    top : float
        The similarity of a stimulus with itself, for `values` = similarity.
    variable : str, optional
        The variable to read, in a file that holds several.
    axes : tuple of str, optional
        What lies along each axis of an array (or of a Matlab struct array) of more than one dimension of RDMs:
        ``participant``, ``session`` or any other factor, ``stimulus`` twice for squares or ``pair`` once for upper
        triangles: ``("participant", "session", "stimulus", "stimulus")``.
    repeats : str, optional
        What several RDMs of one participant are. If not given, they are averaged where the file says that they are
        sessions (or runs, visits ...), and are an error otherwise. ``average`` takes their mean whatever they are,
        ``people`` takes each for a person.
    """

    values: Literal["dissimilarity", "similarity", "crossnobis"] = "dissimilarity"
    top: float = 1.0
    variable: str | None = None
    axes: tuple[str, ...] | None = None
    repeats: Repeats | None = None


@dataclass(frozen=True, eq=False)
class Stack:
    """The RDMs of one file, before any check of their values; what the file does not say is None."""

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


def read_rdms(source: Source, options: RdmOptions) -> Judgements:
    """Read the RDMs of one or several files, matched by stimulus id, as many rows as the files hold RDMs."""
    if source.layout.files is not None:
        named_parts(source.paths, source.layout.files)
    stacks = []
    for path in source.paths:
        if path.suffix.lower() not in _READERS:
            message = f"RDMs cannot be read from {path.name}. Convert it to a file ending in {', '.join(_READERS)}."
            raise ValueError(message)
        stack = _READERS[path.suffix.lower()](path, source, options)
        stack = _with_parts_of_name(_with_stimuli(stack, source), source.layout)
        stack = _with_people(stack, options, single=len(source.paths) > 1)
        stacks.append(_checked(stack, options))
    return _joined(stacks, source, options)


def _with_stimuli(stack: Stack, source: Source) -> Stack:
    """Return the stack with ids of its stimuli: the file's, those given, or made-up ones."""
    file, n, ids = stack.path.name, stack.matrices.shape[-1], stack.stimuli
    if ids is not None:
        if source.ids is not None and set(ids) != set(source.ids):
            message = (
                f"{file} names its {n} rows ({listed(ids, 3)}), and ids gives them other names. Leave out ids, or "
                "rename them with a table (layout rename)."
            )
            raise ValueError(message)
        return stack
    if source.ids is not None:
        if len(source.ids) != n:
            message = f"{len(source.ids)} ids are given for the {n} rows of {file}. Give one for each row."
            raise ValueError(message)
        return replace(
            stack, stimuli=list(source.ids), attrs={**stack.attrs, "ids": "given, in the order of the rows"}
        )
    if source.stimuli is not None:
        message = (
            f"{file} does not name its stimuli, so that they cannot be matched with others. Name its {n} rows "
            "with ids: a list, a file, or ids='stimuli' if they are in the order of the stimuli."
        )
        raise ValueError(message)
    return replace(stack, stimuli=_numbered("stimulus", n), attrs={**stack.attrs, "ids": "made up: none in file"})


def _numbered(what: str, count: int) -> list[str]:
    width = max(2, len(str(count)))
    return [f"{what}_{number:0{width}d}" for number in range(1, count + 1)]


def _with_parts_of_name(stack: Stack, layout: Layout) -> Stack:
    """Return the stack with the participant and whatever else the name of its file says."""
    parts = named_parts([stack.path], layout.files)[0] if layout.files is not None else {}
    count = len(stack.matrices)
    people = [parts.pop(PARTICIPANT)] * count if PARTICIPANT in parts else stack.participants
    return replace(stack, participants=people, coords={**{k: [v] * count for k, v in parts.items()}, **stack.coords})


def _with_people(stack: Stack, options: RdmOptions, *, single: bool) -> Stack:
    """Return the stack with participants, and with the session that the name of one of several files tells."""
    count, stem = len(stack.matrices), stack.path.stem
    sessions = next((name for name in SESSION_NAMES if name in stack.coords), None)
    if stack.participants is not None:
        session = split_session(stem)[1]
        if not (single and session) or sessions is not None:
            return stack
        return replace(stack, coords={**stack.coords, "session": [session] * count})
    if sessions is not None and count > 1 and options.repeats != "people":
        message = (
            f"{stack.path.name} holds {count} RDMs with a {sessions} each and names no participants. Name them in "
            "the file (participant, or subject), or read each RDM as a person: option repeats=people."
        )
        raise ValueError(message)
    if count > 1 or not single:
        return replace(stack, participants=_numbered(PARTICIPANT, count), numbered=True)
    return replace(stack, participants=[stem])


def _checked(stack: Stack, options: RdmOptions) -> Stack:
    """Return the stack as dissimilarities, after checking that every matrix is an RDM."""
    file = stack.path.name
    _must_fit(stack)
    faults = [Fault(file, 0, "", f"stimulus {one!r} occurs more than once") for one in repeated(stack.stimuli or [])]
    matrices = np.require(stack.matrices, float, "W")  # changed in place: a copy may not fit in memory
    if options.values == "similarity":
        np.subtract(options.top, matrices, out=matrices)
        if np.nanmin(matrices, initial=0.0) < -1e-9:
            highest = options.top - float(np.nanmin(matrices))
            faults.append(Fault(file, 0, "", f"a similarity is {highest:.6g}, above its top {options.top:.6g}"))
    _mirror(matrices)
    more, last = _faults_of(stack, matrices)
    raise_faults(
        [*faults, *more],
        "An RDM is square, symmetric and 0 on the diagonal",
        then=f"Fix these and read again: RDMs after that of {last!r} were not checked." if last else FIX_LINES,
    )
    return replace(stack, matrices=matrices)


def _must_fit(stack: Stack) -> None:
    people, stimuli = stack.matrices.shape[:2]
    wanted: dict[str, tuple[Any, int]] = {
        "stimuli": (stack.stimuli, stimuli),
        "participants": (stack.participants, people),
        "n_trials": (stack.n_trials, people),
        **{name: (values, people) for name, values in stack.coords.items()},
    }
    faults = [
        f"{np.size(given)} {name} for {count}"
        for name, (given, count) in wanted.items()
        if given is not None and np.shape(given) != (count,)
    ]
    if stack.coverage is not None and stack.coverage.shape != stack.matrices.shape:
        faults.append(f"coverage of the shape {stack.coverage.shape} for {stack.matrices.shape}")
    if faults:
        message = f"{stack.path.name} has {'; '.join(faults)}. Save it again with one for each."
        raise ValueError(message)


def _joined(stacks: list[Stack], source: Source, options: RdmOptions) -> Judgements:
    """Join the files' participants over all their stimuli, in the order asked for."""
    ids_of_each = [list(stack.stimuli or []) for stack in stacks]
    every_id = list(dict.fromkeys(one for ids in ids_of_each for one in ids))
    ids = list(source.stimuli) if source.stimuli is not None else every_id
    if any(set(one) != set(every_id) for one in ids_of_each):
        ids = ids if source.stimuli is not None else naturally(every_id)
    unknown = [
        Fault(s.path.name, 0, "", f"{one!r} is not among the stimuli")
        for s in stacks
        for one in naturally(set(s.stimuli or []) - set(ids))
    ]
    raise_faults(
        unknown,
        "Human RDMs are of known stimuli",
        then="Check the ids, or read without stimuli and use those shared.",
    )
    people = [name for stack in stacks for name in stack.participants or []]
    numbered = [stack.path.name for stack in stacks if stack.numbered]
    if len(numbered) > 1 and options.repeats != "people":
        message = (
            f"{listed(numbered)} name no participants, so nobody in one file can be told from somebody in another. "
            "Name the participants in the files, or read each RDM as a person: option repeats=people."
        )
        raise ValueError(message)
    must_fit(len(people), len(ids), source.name)
    judged = np.full((len(people), pairs_of(ids)), np.nan)
    coverage = np.zeros(judged.shape, dtype=np.int32)
    at = 0
    for stack in stacks:
        rows = slice(at, at + len(stack.matrices))
        _put_in_order(judged[rows], stack.matrices, stack, ids)
        if stack.coverage is None:
            coverage[rows] = ~np.isnan(judged[rows])
        else:
            _put_in_order(coverage[rows], stack.coverage, stack, ids)
        at = rows.stop
    attrs = {name: value for stack in stacks for name, value in stack.attrs.items()}
    if "kind" not in attrs:
        attrs = {"values": options.values, **attrs}
    if options.values == "crossnobis":
        attrs["measure"] = "crossnobis"
    if all(stack.n_trials is None for stack in stacks):
        attrs["trials_known"] = False
        n_trials = (~np.isnan(judged)).sum(axis=1)  # pairs stand for them
    else:
        each = [np.zeros(len(s.matrices)) if s.n_trials is None else np.asarray(s.n_trials) for s in stacks]
        n_trials = np.concatenate(each).astype(np.int64)
    selected_by = sorted({name for stack in stacks for name in stack.selected_by})
    if selected_by:
        attrs["selected_by"] = selected_by
    shared = [name for name in stacks[0].coords if all(name in stack.coords for stack in stacks)]
    coords = {name: [value for stack in stacks for value in stack.coords[name]] for name in shared}
    simulated = any(stack.simulated for stack in stacks)
    return Judgements(people, ids, judged, coverage, n_trials, attrs=attrs, coords=coords, simulated=simulated)


def _put_in_order(upper: NDArray[Any], matrices: NDArray[Any], stack: Stack, ids: list[str]) -> None:
    """Set those entries of upper triangles whose stimuli the stack has, from its square matrices."""
    place = {one: index for index, one in enumerate(stack.stimuli or [])}
    order = np.array([place.get(one, -1) for one in ids], dtype=np.intp)
    for row, pairs in rows_of_pairs(len(ids)):
        columns = np.flatnonzero(order[row + 1 :] >= 0)
        if order[row] >= 0:
            upper[:, pairs.start + columns] = matrices[:, order[row], order[row + 1 :][columns]]


def _mirror(matrices: Floats) -> None:
    """Fill each empty triangle from the other, and an empty diagonal with 0, in place."""
    n = matrices.shape[-1]
    diagonals = np.einsum("kii->ki", matrices)  # a view of them
    diagonals[np.isnan(diagonals)] = 0
    below = np.tri(n, k=-1, dtype=bool)
    step = max(1, _AT_ONCE // max(1, n**2))
    for start in range(0, len(matrices), step):
        some = matrices[start : start + step]
        missing = np.isnan(some)
        if not missing.any():
            continue
        lower = (missing | ~below).all(axis=(1, 2))
        upper = (missing | ~below.T).all(axis=(1, 2)) & ~lower
        for empty, triangle in ((lower, below), (upper, below.T)):
            for which in np.flatnonzero(empty):
                np.copyto(some[which], some[which].T, where=triangle)


def _faults_of(stack: Stack, matrices: Floats) -> tuple[list[Fault], str]:
    """Return what is wrong with the RDMs of a file, and the participant after whom no more were checked, if any."""
    diagonals = np.abs(np.diagonal(matrices, axis1=1, axis2=2)) <= 1e-12
    good = symmetric(matrices) & diagonals.all(axis=1)
    faults: list[Fault] = []
    for one in np.flatnonzero(~good):
        faults += _faults_of_one(matrices[one], stack, int(one))
        if len(faults) > _ENOUGH and one < len(matrices) - 1:
            return faults, (stack.participants or [])[one]
    return faults, ""


def _faults_of_one(matrix: Floats, stack: Stack, who: int) -> list[Fault]:
    ids, name, file = stack.stimuli or [], (stack.participants or [])[who], stack.path.name
    lines = stack.lines[who] if stack.lines is not None else [0] * len(ids)

    def fault(i: int, j: int, problem: str) -> Fault:
        return Fault(file, lines[i], ids[j] if lines[i] else "", f"{name!r} {problem}")

    wrong = np.flatnonzero(~(np.abs(np.diagonal(matrix)) <= 1e-12))
    faults = [fault(int(k), int(k), f"has {matrix[k, k]:.6g} on the diagonal at {ids[k]!r}") for k in wrong]
    infinite = np.argwhere(np.isinf(matrix))
    above = infinite[infinite[:, 0] < infinite[:, 1]]
    faults += [fault(int(i), int(j), f"is infinite at ({ids[i]}, {ids[j]})") for i, j in above[:_LISTED]]
    pairs = asymmetric_pairs(matrix)
    rest = len(pairs) - _LISTED
    for place, (i, j) in enumerate(pairs[:_LISTED].tolist(), start=1):
        more = f" and at {rest} more pairs" if rest > 0 and place == _LISTED else ""
        values = f"{matrix[i, j]:.6g} against {matrix[j, i]:.6g}"
        faults.append(fault(i, j, f"is asymmetric at ({ids[i]}, {ids[j]}): {values}{more}"))
    return faults


def _read_numpy(path: Path, _source: Source, options: RdmOptions) -> Stack:
    """Read RDMs from a numpy file: an array, and names beside it where there are any."""
    with reading(path, "RDMs in numpy files are plain arrays", then="Save them with np.savez."):
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                must_not_swell(sum(part.file_size for part in archive.infolist()), path)
        with path.open("rb") as file:  # numpy leaves a damaged archive open
            opened = np.load(file, allow_pickle=False)
            arrays = {"rdms": opened} if isinstance(opened, np.ndarray) else {k: opened[k] for k in opened.files}
    return _stack_of(path, arrays, options)


def _read_mat(path: Path, _source: Source, options: RdmOptions) -> Stack:
    """Read RDMs from a Matlab file of any version: an array, or a struct array with the field RDM (and name)."""
    with reading(path, "It is not a complete .mat file", then="Save it again."):
        if h5py.is_hdf5(path):
            must_be_plain_hdf5(path)
            arrays = _matlab73(path)
        else:
            arrays = read_matlab(path)
    structs = [name for name, value in arrays.items() if value.dtype.names and "RDM" in value.dtype.names]
    if (options.variable is None and len(structs) == 1) or options.variable in structs:
        return _stack_of_structs(path, arrays[options.variable or structs[0]], options.axes)
    return _stack_of(path, arrays, options)


def read_matlab(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of a Matlab file of version 4 to 7, and none if one of them is damaged.

    scipy leaves a damaged variable out with a warning; RDMs of participants would go missing like that.
    """
    must_not_swell(_unpacked_size(path), path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        held = scipy.io.loadmat(path, squeeze_me=False, chars_as_strings=True)
    damaged = [name for name, value in held.items() if isinstance(value, str) and value.startswith("Read error")]
    if damaged:
        message = f"the variable {damaged[0]!r} is damaged"
        raise ValueError(message)
    return {
        name: value
        for name, value in held.items()
        if isinstance(value, np.ndarray) and not name.startswith("__") and value.dtype.kind in "fiubcUSOV"
    }


def _unpacked_size(path: Path) -> int:
    """Return how many bytes the packed variables of a Matlab file unpack to, without keeping them.

    scipy's own list of variables gives no size of structs, in which RDMs may lie.
    """
    content = memoryview(path.read_bytes())
    if 0 in content[:4]:  # version 4, which is not packed
        return 0
    total, at, most = 0, 128, max(MOST_BYTES, MOST_TIMES * len(content))
    order = "<" if bytes(content[126:128]) == b"IM" else ">"
    while at + 8 <= len(content) and total <= most:
        kind, size = struct.unpack(f"{order}II", content[at : at + 8])
        if kind == _COMPRESSED:
            unpacker, rest = zlib.decompressobj(), bytes(content[at + 8 : at + 8 + size])
            while rest and total <= most and not unpacker.eof:
                total += len(unpacker.decompress(rest, 2**24))
                rest = unpacker.unconsumed_tail
        at += 8 + size
    return total


def _matlab73(path: Path) -> dict[str, NDArray[Any]]:
    arrays = {}
    with h5py.File(path, "r") as file:
        for name, item in file.items():
            if not isinstance(item, h5py.Dataset):
                continue
            if item.dtype == h5py.ref_dtype:
                cells = [file[ref] for ref in np.ravel(item[()])]
                must_not_swell(8 * len(cells) * max((cell.size for cell in cells), default=0), path)
                arrays[name] = np.array(["".join(chr(int(code)) for code in np.ravel(cell[()])) for cell in cells])
            else:
                arrays[name] = item[()].T
    return arrays


def _stack_of(path: Path, arrays: Mapping[str, NDArray[Any]], options: RdmOptions) -> Stack:
    """Return the RDMs of the one array of numbers in a file, or of the one chosen, with the names beside it."""
    names = (*STIMULUS_NAMES, *PARTICIPANT_NAMES, *SESSION_NAMES)
    named = {name: value for name, value in arrays.items() if name.lower() in names}
    numeric = [k for k, v in arrays.items() if v.dtype.kind in "fiub" and v.ndim and v.size > 2 and k not in named]
    variable = options.variable
    if variable is not None and variable not in arrays:
        message = f"No variable {variable!r} in {path.name}. It has {listed(sorted(arrays))}."
        raise ValueError(message)
    if variable is None and len(numeric) != 1:
        holds = f"{len(numeric)} ({listed(sorted(numeric))})" if numeric else f"(in {listed(sorted(arrays))}) no"
        message = f"{path.name} holds {holds} arrays of numbers, where one is read. Name it: option variable."
        raise ValueError(message)
    variable = variable or numeric[0]
    must_not_swell(8 * arrays[variable].size, path)  # as float64
    values = np.asarray(arrays[variable], dtype=float)
    axes = options.axes or _axes_of(values, named, path, variable)
    if axes is not None:
        values, people, coords = _unfolded(values, axes, named, path, variable)
        matrices = squares_of(values, path, variable)
        participants: list[str] | None = people
    else:
        matrices = squares_of(values, path, variable)
        participants = _texts(named, (*PARTICIPANT_NAMES, *_PEOPLE_OR_STIMULI), len(matrices))
        coords = {name: labels for name in SESSION_NAMES if (labels := _texts(named, (name,), len(matrices)))}
        _must_name_each(named, len(matrices), path)
    stimuli = _texts(named, STIMULUS_NAMES, matrices.shape[-1])
    return Stack(path, matrices, stimuli, None if participants == stimuli else participants, coords=coords)


def _must_name_each(named: Mapping[str, NDArray[Any]], count: int, path: Path) -> None:
    """Refuse eight RDMs with the names of four participants: they are not RDMs of eight people."""
    for name, values in named.items():
        if name.lower() in (*PARTICIPANT_NAMES, *SESSION_NAMES) and np.size(values) != count:
            message = (
                f"{path.name} holds {count} RDMs and {np.size(values)} {name}. Name one for each RDM, or save an "
                "array with an axis for each: participant, session, stimulus, stimulus."
            )
            raise ValueError(message)


def _axes_of(values: Floats, named: Mapping[str, NDArray[Any]], path: Path, name: str) -> tuple[str, ...] | None:
    """Return what lies along the axes of an array with several dimensions of RDMs; None where it has one or none."""
    shape = values.shape
    if len(shape) < 3:
        return None
    square = len(shape) > 3 or shape[1] == shape[2] or shape[0] == shape[1] or 1 in shape[1:]
    if len(shape) == 3 and square:
        return None
    inner = 2 if square else 1
    leading = shape[-1] == shape[-2] or not square  # Matlab's arrays have the stimuli first
    outer = shape[:-inner] if leading else shape[inner:]
    # which axis is as long as the list of names of people, and which as that of sessions
    fits = {}
    for factor, names in FACTOR_NAMES.items():
        length = next((np.size(value) for key, value in named.items() if key.lower() in names), -1)
        fits[factor] = [axis for axis, size in enumerate(outer) if size == length]
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
        names = (*FACTOR_NAMES.get(factor, ()), factor, f"{factor}s")
        numbers = _numbered(factor, count) if factor == PARTICIPANT else [str(k) for k in range(1, count + 1)]
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
        message = f"The RDMs of {path.name} differ in size: {sizes} rows. Split the file."
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
    named = None
    if "name" in (structs.dtype.names or ()):
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
    """Return a stack of squares, from one square, a stack of them (in either order), or upper triangles."""
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
            f"{name!r} of {path.name} is neither square nor upper triangles of n(n-1)/2 entries: it has the shape "
            f"{tuple(shape)}. Save one square for each participant."
        )
        raise ValueError(message)
    must_not_swell_to(len(flat), rows, path)
    return squares(flat, rows)


def must_not_swell_to(rdms: int, stimuli: int, path: Path) -> None:
    """Refuse a file that asks for far more RDMs than it could hold, as `must_not_swell` does."""
    must_not_swell(rdms * (8 * stimuli**2 + _A_NAME), path)


def _texts(named: Mapping[str, NDArray[Any]], names: tuple[str, ...], count: int) -> list[str] | None:
    for name in names:
        values = next((value for key, value in named.items() if key.lower() == name), None)
        if values is None or np.size(values) != count:
            continue
        cells = [np.asarray(cell).astype(str).ravel() for cell in np.asarray(values).ravel()]
        return [str(cell[0]).strip() if len(cell) else "" for cell in cells]
    return None


def _read_hdf5(path: Path, _source: Source, _options: RdmOptions) -> Stack:
    """Read RDMs that rsatoolbox saved as HDF5, with the names in its descriptors."""
    rule, then = "It is not a complete HDF5 file of RDMs", "Save it again."
    with reading(path, rule, then=then):
        must_be_plain_hdf5(path)
        with h5py.File(path, "r") as file:
            held = _plain_group(file)
    if "dissimilarities" not in held:
        message = f"{path.name} was not saved by rsatoolbox: it holds {listed(sorted(held))} and no dissimilarities."
        raise ValueError(message)
    with reading(path, rule, then=then):
        return _described(path, held)


def _described(path: Path, held: Mapping[str, Any]) -> Stack:
    people, patterns = held.get("rdm_descriptors", {}), held.get("pattern_descriptors", {})
    named = _named_in(patterns, STIMULUS_NAMES)
    participants = _named_in(people, (*PARTICIPANT_NAMES, *_PEOPLE_OR_STIMULI))
    descriptors = held.get("descriptors", {})
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
        attrs=json.loads(descriptors["attrs"]) if "attrs" in descriptors else {},
        coords={
            k: list(v)
            for k, v in people.items()
            if k not in ("index", "coverage", "n_trials", *PARTICIPANT_NAMES, *_PEOPLE_OR_STIMULI)
        },
        simulated=bool(descriptors.get("simulated", False)),
    )


def _plain_group(group: h5py.Group) -> dict[str, Any]:
    held: dict[str, Any] = dict(group.attrs)
    for name, item in group.items():
        if isinstance(item, h5py.Group):
            inner = _plain_group(item)
            as_list = bool(inner) and all(key.isdecimal() for key in inner)
            held[name] = [inner[key] for key in sorted(inner, key=int)] if as_list else inner
        else:
            value = None if item.shape is None else item[()]
            if isinstance(value, np.ndarray) and value.dtype.kind == "S":
                value = np.char.decode(value, "utf-8")
            held[name] = value.decode() if isinstance(value, bytes) else value
    return held


def _named_in(descriptors: Mapping[str, Any], names: tuple[str, ...]) -> list[str] | None:
    values = next((descriptors[name] for name in names if name in descriptors), None)
    return None if values is None else [str(value) for value in np.asarray(values).ravel()]


def _read_netcdf(path: Path, _source: Source, options: RdmOptions) -> Stack:
    """Read human RDMs that this package saved."""
    loaded = load(path)
    array = loaded if isinstance(loaded, xr.DataArray) else loaded.get(options.variable or "dissimilarity")
    if array is None or not {PARTICIPANT, STIMULUS_I, STIMULUS_J} <= set(array.dims):
        has = "no such array" if array is None else f"the dims {', '.join(map(str, array.dims))}"
        message = f"{path.name} holds {has}. Human RDMs have the dims participant, stimulus_i and stimulus_j."
        raise ValueError(message)
    with reading(path, "Human RDMs are numbers with the names of participants and stimuli", then="Save them again."):
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
        coords={name: v.values.tolist() for name, v in coords_along(array, PARTICIPANT).items() if name not in known},
        simulated=bool(array.attrs.get("simulated", False)),
    )


def _read_csv(path: Path, source: Source, _options: RdmOptions) -> Stack:
    """Read RDMs from delimited text, in whichever of three forms it is."""
    layout = source.layout
    table = read_sheet(path, layout)
    if {layout.in_file(name)[0] for name in ("stimulus_a", "stimulus_b")} <= set(table.header):
        return _from_pairs(path, source)
    # even the first line may hold an RDM's numbers: there are then as many lines as cells
    numbers = "" not in table.header and not as_numbers(table.header)[1]
    if not layout.names and numbers and len(table.rows) + 1 == len(table.header):
        names = tuple(map(str, range(len(table.header))))
        bare = read_sheet(path, layout.changed(names=names))
        return Stack(path, _numbers(bare, names)[None], simulated=bare.simulated)
    return _from_squares(table, layout.in_file(PARTICIPANT)[0], _factors_of(table, layout))


def _factors_of(table: Table, layout: Layout) -> list[str]:
    """Return the columns that say what each square is of: those asked for, and sessions before the ids."""
    selectors = layout.selectors
    absent = [name for name in selectors if name not in table.header]
    if absent and layout.by != "session":
        message = f"No column {absent[0]!r} in {table.path.name}. It has {listed(list(table.header), 12)}."
        raise ValueError(message)
    leading = itertools.takewhile(lambda name: name in (PARTICIPANT, *selectors, *SESSION_NAMES), table.header)
    return list(
        dict.fromkeys(name for name in (*selectors, *leading) if name in table.header and name != PARTICIPANT)
    )


def _from_squares(table: Table, participant: str, factors: list[str]) -> Stack:
    stacked, file = participant in table.header, table.path.name
    about = (participant, *factors)
    corner = next((k for k, name in enumerate(table.header) if name not in about), 0)
    name_of_ids, ids = table.header[corner], [name for name in table.header[corner + 1 :] if name not in about]
    if not ids or "" in ids:
        message = f"{file} has no ids in its first row and column: the first row is {table.header}. Add the ids."
        raise ValueError(message)
    rows = table.column(name_of_ids)
    if not rows:
        message = f"{file} has a header of ids and no rows. Add a row for each id."
        raise ValueError(message)
    people = table.column(participant) if stacked else [""] * len(rows)
    levels = [table.column(name) for name in factors]
    values, lines = _numbers(table, ids), lines_of(table, range(len(rows)))
    who, names = pd.factorize(pd.Index(list(zip(people, *levels, strict=True)), tupleize_cols=False))
    matrices, places = [], []
    faults: list[Fault] = []
    for place, name in enumerate(" ".join(filter(None, one)) for one in names):
        at = np.flatnonzero(who == place)
        row_ids = [rows[k] for k in at]
        faults += _differing(file, name, row_ids, ids, lines[int(at[0])])
        if not faults:
            order = [int(at[row_ids.index(one)]) for one in ids]
            matrices.append(values[order])
            places.append([lines[k] for k in order])
    raise_faults(faults, "An RDM is square, with the same ids on both sides")
    named = [str(name[0]) for name in names] if stacked else None
    coords = {factor: [str(name[k]) for name in names] for k, factor in enumerate(factors, start=1)}
    return Stack(table.path, np.array(matrices), ids, named, lines=places, coords=coords, simulated=table.simulated)


def _differing(file: str, name: str, row_ids: list[str], ids: list[str], line: int) -> list[Fault]:
    whose = f" of {name!r}" if name else ""
    problems = [f"row {one!r}{whose} is no column" for one in naturally(set(row_ids) - set(ids))]
    problems += [f"column {one!r} is no row{whose}" for one in naturally(set(ids) - set(row_ids))]
    again = "(several sessions? tell them apart in a column session, before the ids)"
    problems += [f"row {one!r}{whose} occurs {row_ids.count(one)} times {again}" for one in repeated(row_ids)]
    return [Fault(file, line, "", one) for one in problems]


def _numbers(table: Table, names: Sequence[str]) -> Floats:
    """Return columns as numbers, after checking every cell."""
    columns, faults = [], []
    for name in names:
        numbers, wrong = as_numbers(table.values[name])
        columns.append(numbers[table.codes[name]] if len(numbers) else np.empty(0))
        rows = np.flatnonzero(np.isin(table.codes[name], list(wrong)))[:20].tolist()
        for row, line in zip(rows, lines_of(table, rows), strict=True):
            code = int(table.codes[name][row])
            faults.append(Fault(table.path.name, line, name, f"{table.values[name][code]!r} {wrong[code]}"))
    raise_faults(faults, "A dissimilarity is a number, or empty where a pair was never judged")
    return np.stack(columns, axis=1)


def _from_pairs(path: Path, source: Source) -> Stack:
    single = Source((path,), source.kind, source.layout, source.stimuli)
    header = open_sheet(path, source.layout).header
    sessions = next((name for name in SESSION_NAMES if name in {*header, *source.layout.columns}), None)
    sessions = sessions if source.layout.by is None else source.layout.by
    trials = read_trials(single, (*PAIR_COLUMNS, *([Column(sessions)] if sessions else [])))
    if trials.has("dissimilarity") == trials.has("similarity"):
        message = f"{path.name} needs one of the columns dissimilarity and similarity, to be read as a list of pairs."
        raise ValueError(message)
    remark = _remarked(trials.tables[0])
    # what the remark names may have no pair of its own, as a participant who judged nothing
    people = remark.pop("participants", None) or (trials.people()[0] if trials.has(PARTICIPANT) else [path.stem])
    ids = remark.pop("stimuli", None) or trials.values("stimulus_a", "stimulus_b")
    must_fit(len(people), len(ids), path.name)
    who = trials.codes("participant", people) if trials.has("participant") else np.zeros(len(trials.frame), int)
    a, b = trials.codes("stimulus_a", ids), trials.codes("stimulus_b", ids)
    coords = dict(remark.get("coords", {}))
    if sessions is not None and trials.has(sessions):  # each session of a person has an RDM of its own
        levels = trials.values(sessions)
        present, rows = np.unique(who * len(levels) + trials.codes(sessions, levels), return_inverse=True)
        people = [people[k] for k in present // len(levels)]
        coords[sessions] = [levels[k] for k in present % len(levels)]
        who = rows.reshape(-1)
    key = (who * len(ids) + np.minimum(a, b)) * len(ids) + np.maximum(a, b)
    again = pd.Series(key).duplicated().to_numpy()
    trials.fault(again, "", lambda row: f"the pair ({ids[a[row]]}, {ids[b[row]]}) occurs again")
    trials.settle()
    shape = (len(people), len(ids), len(ids))

    def numbers(name: str) -> Floats:
        return trials.frame[name].to_numpy(float)

    def of_each(name: str, empty: float) -> Floats:
        values = np.full(len(people), empty)
        values[who] = numbers(name)
        return values

    if trials.has("response_bias"):
        coords["response_bias"] = of_each("response_bias", np.nan).tolist()
    coverage = _filled(shape, who, a, b, numbers("coverage"), 0) if trials.has("coverage") else None
    return Stack(
        path,
        _filled(shape, who, a, b, numbers("dissimilarity" if trials.has("dissimilarity") else "similarity"), np.nan),
        ids,
        people,
        coverage=None if coverage is None else coverage.astype(np.int32),
        n_trials=of_each("n_trials", 0).astype(np.int64) if trials.has("n_trials") else None,
        attrs={name: value for name, value in remark.items() if name not in ("simulated", "coords")},
        coords=coords,
        selected_by=(*source.layout.keep, *source.layout.drop),
        simulated=trials.simulated or bool(remark.get("simulated", False)),
    )


def _filled(shape: tuple[int, int, int], who: Any, a: Any, b: Any, value: Floats, empty: float) -> Floats:
    matrices = np.full(shape, empty, dtype=float)
    matrices[:, np.arange(shape[1]), np.arange(shape[1])] = 0
    matrices[who, a, b] = value
    matrices[who, b, a] = value
    return matrices


def _remarked(table: Table) -> dict[str, Any]:
    for line in table.remarks:
        if line.startswith(ATTRS_REMARK):
            with reading(table.path, "The note of this package above the table is damaged", then="Remove that line."):
                return dict(json.loads(line.removeprefix(ATTRS_REMARK)))
    return {}


_READERS: dict[str, Callable[[Path, Source, RdmOptions], Stack]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".txt": _read_csv,
    ".xlsx": _read_csv,
    ".npz": _read_numpy,
    ".npy": _read_numpy,
    ".mat": _read_mat,
    ".h5": _read_hdf5,
    ".hdf5": _read_hdf5,
    ".nc": _read_netcdf,
}
