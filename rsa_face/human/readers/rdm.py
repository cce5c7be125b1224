"""RDMs that are RDMs already: square tables, condensed vectors, numpy, Matlab and rsatoolbox files."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rsa_face.human.faults import MEND_LINES, Fault, listed, raise_faults
from rsa_face.human.judgements import Judgements, must_fit, rows_of_pairs
from rsa_face.human.layout import Source
from rsa_face.human.readers.rdm_arrays import Stack, read_mat, read_npz
from rsa_face.human.readers.rdm_checks import faults_of, mirror
from rsa_face.human.readers.rdm_saved import read_hdf5, read_netcdf
from rsa_face.human.readers.rdm_tables import read_csv
from rsa_face.human.sessions import SESSION_NAMES, Repeats, split_session
from rsa_face.human.trials import naturally
from rsa_face.schema import repeated

_READERS: dict[str, Callable[[Path, Source, "RdmOptions"], Stack]] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".txt": read_csv,
    ".npz": read_npz,
    ".npy": read_npz,
    ".mat": read_mat,
    ".h5": read_hdf5,
    ".hdf5": read_hdf5,
    ".nc": read_netcdf,
}


class RdmOptions(BaseModel):
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    values: Literal["dissimilarity", "similarity", "crossnobis"] = "dissimilarity"
    top: float = 1.0
    variable: str | None = None
    axes: tuple[str, ...] | None = None
    repeats: Repeats | None = None


def read_rdms(source: Source, options: RdmOptions) -> Judgements:
    """Read RDMs of one or several participants from one or several files, and check every one of them.

    Rows are matched by id. A file that names no stimuli takes the names given as `ids`; with none given they are
    called stimulus_01, stimulus_02, ..., which match no stimulus table, so that nothing is ever matched by mere
    position. One empty triangle is filled from the other, and an empty diagonal is 0.

    Parameters
    ----------
    source : Source
        Files ending in .csv, .tsv, .txt, .npz, .npy, .mat, .h5, .hdf5 or .nc.
    options : RdmOptions
        What the numbers are.

    Returns
    -------
    Judgements
        As many rows as the files hold RDMs: a participant may have several, told apart by `coords` such as session.

    Raises
    ------
    ValueError
        If an RDM is not square, asymmetric, infinite or not 0 on the diagonal, an id is missing, repeated or
        unknown, or the file's kind is.
    """
    stacks = []
    for path in source.paths:
        if path.suffix.lower() not in _READERS:
            message = f"RDMs must be in a file ending in {', '.join(_READERS)}, but {path.name} is not. Convert it."
            raise ValueError(message)
        stack = _READERS[path.suffix.lower()](path, source, options)
        stacks.append(_whole(_named(stack, path, source, options, single=len(source.paths) > 1), path, options))
    return _joined(stacks, source, options)


def _named(stack: Stack, path: Path, source: Source, options: RdmOptions, *, single: bool) -> Stack:
    """Give names to stimuli and participants that the file leaves without."""
    n = stack.matrices.shape[-1]
    ids = stack.stimuli
    attrs = dict(stack.attrs)
    if ids is not None and source.ids is not None and set(ids) != set(source.ids):
        message = (
            f"Rows that have ids must not be given others, but {path.name} names its {n} rows ({listed(ids, 3)}). "
            "Leave out ids, or rename them with a table (layout rename)."
        )
        raise ValueError(message)
    if ids is None and source.ids is not None:
        if len(source.ids) != n:
            message = (
                f"There must be an id for each row of {path.name}, but {len(source.ids)} are given for {n} rows."
            )
            raise ValueError(message)
        ids, attrs["ids"] = list(source.ids), "given, in the order of the rows"
    if ids is None and source.stimuli is not None:
        message = (
            f"RDMs must name their stimuli to be matched with others, but {path.name} does not. Name its {n} rows "
            "with ids: a list or a file; or ids='stimuli' if they stand in the order of the stimuli."
        )
        raise ValueError(message)
    if ids is None:
        ids, attrs["ids"] = (
            [f"stimulus_{k:0{max(2, len(str(n)))}d}" for k in range(1, n + 1)],
            "made up: none in file",
        )
    return replace(_with_people(stack, path, options, single=single), stimuli=ids, attrs=attrs)


def _with_people(stack: Stack, path: Path, options: RdmOptions, *, single: bool) -> Stack:
    """Return the stack with participants, and with the session that the name of one of several files tells."""
    people, count = stack.participants, len(stack.matrices)
    if people is None:
        sessions = next((name for name in SESSION_NAMES if name in stack.coords), None)
        if sessions is not None and count > 1 and options.repeats != "people":
            message = (
                f"{path.name} holds {count} RDMs with a {sessions} each and names no participants. Name them in the "
                "file (participant, or subject), or read each RDM as a person: option repeats=people."
            )
            raise ValueError(message)
        width = max(2, len(str(count)))
        if count > 1 or not single:
            numbers = [f"participant_{k:0{width}d}" for k in range(1, count + 1)]
            return replace(stack, participants=numbers, numbered=True)
        people = [path.stem]
    elif single and not any(name in stack.coords for name in SESSION_NAMES) and split_session(path.stem)[1]:
        return replace(
            stack, participants=people, coords={**stack.coords, "session": [split_session(path.stem)[1]] * count}
        )
    return replace(stack, participants=people)


def _whole(stack: Stack, path: Path, options: RdmOptions) -> Stack:
    """Return the stack as dissimilarities, after checking that every matrix is an RDM."""
    stimuli = stack.stimuli or []
    _must_fit(stack, path)
    faults = [Fault(path.name, 0, "", f"stimulus {one!r} occurs more than once") for one in repeated(stimuli)]
    matrices = np.require(stack.matrices, float, "W")  # the file's own: filled where they are, as they may be large
    if options.values == "similarity":
        np.subtract(options.top, matrices, out=matrices)
        high = np.nanmin(matrices, initial=0.0) < -1e-9
        if high:
            found = options.top - float(np.nanmin(matrices))
            faults.append(Fault(path.name, 0, "", f"a similarity is {found:.6g}, above its top {options.top:.6g}"))
    mirror(matrices)
    more, last = faults_of(stack, matrices)
    raise_faults(
        [*faults, *more],
        f"RDMs of {path.name} must be square, symmetric and 0 on the diagonal",
        then=f"Mend these and read again: RDMs after that of {last!r} were not looked at." if last else MEND_LINES,
    )
    return replace(stack, matrices=matrices)


def _must_fit(stack: Stack, path: Path) -> None:
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
        message = (
            f"What a file of RDMs says of them must fit them, but {path.name} has {'; '.join(faults)}. Save it anew."
        )
        raise ValueError(message)


def _joined(stacks: list[Stack], source: Source, options: RdmOptions) -> Judgements:
    """Join the files' participants over all their stimuli, in the order asked for."""
    there = [list(stack.stimuli or []) for stack in stacks]
    found = list(dict.fromkeys(one for ids in there for one in ids))
    ids = list(source.stimuli) if source.stimuli is not None else found
    if any(set(one) != set(found) for one in there):
        ids = ids if source.stimuli is not None else naturally(found)
    unknown = [
        Fault(s.path.name, 0, "", f"{one!r} is not among the stimuli")
        for s in stacks
        for one in naturally(set(s.stimuli or []) - set(ids))
    ]
    raise_faults(
        unknown, "Stimuli of human RDMs must be known", then="Check the ids, or take these RDMs' shared stimuli."
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
    judged = np.full((len(people), len(ids) * (len(ids) - 1) // 2), np.nan)
    coverage = np.zeros(judged.shape, dtype=np.int32)
    at = 0
    for stack in stacks:
        whose = slice(at, at + len(stack.matrices))
        _put_in_order(judged[whose], stack.matrices, stack, ids)
        if stack.coverage is None:
            coverage[whose] = ~np.isnan(judged[whose])
        else:
            _put_in_order(coverage[whose], stack.coverage, stack, ids)
        at += len(stack.matrices)
    n_trials = [np.asarray(s.n_trials if s.n_trials is not None else np.zeros(len(s.matrices))) for s in stacks]
    trials = np.concatenate(n_trials).astype(np.int64)
    if all(stack.n_trials is None for stack in stacks):  # pairs stand for them
        trials = (~np.isnan(judged)).sum(axis=1)
    said = {k: v for stack in stacks for k, v in stack.attrs.items()}
    attrs = said if "kind" in said else {"values": options.values, **said}
    if options.values == "crossnobis":
        attrs["measure"] = "crossnobis"
    if all(stack.n_trials is None for stack in stacks):
        attrs["trials_known"] = False
    shared = [name for name in stacks[0].coords if all(name in stack.coords for stack in stacks)]
    coords = {name: [value for stack in stacks for value in stack.coords[name]] for name in shared}
    simulated = any(stack.simulated for stack in stacks)
    if any(stack.selected_by for stack in stacks):
        attrs["selected_by"] = sorted({name for stack in stacks for name in stack.selected_by})
    return Judgements(people, ids, judged, coverage, trials, attrs=attrs, coords=coords, simulated=simulated)


def _put_in_order(upper: NDArray[Any], matrices: NDArray[Any], stack: Stack, ids: list[str]) -> None:
    """Set those entries of upper triangles whose stimuli the stack has, from its square matrices."""
    place = {one: index for index, one in enumerate(stack.stimuli or [])}
    order = np.array([place.get(one, -1) for one in ids], dtype=np.intp)
    for row, pairs in rows_of_pairs(len(ids)):
        there = np.flatnonzero(order[row + 1 :] >= 0)
        if order[row] >= 0:
            upper[:, pairs.start + there] = matrices[:, order[row], order[row + 1 :][there]]
