"""Files of human behaviour, read as one RDM for each participant, summarised, and written so that they come back."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.human.experiments import read_sheet
from rsa_face.human.judgements import (
    SESSION_NAMES,
    Judgements,
    must_fit,
    rdms_of_people,
    rows_of_pairs,
    to_array,
    triangles,
)
from rsa_face.human.kinds import KINDS, HumanKind
from rsa_face.human.rdm_files import ATTRS_REMARK
from rsa_face.human.tables import (
    GROUP,
    Fault,
    Layout,
    Source,
    Table,
    listed,
    naturally,
    raise_faults,
)
from rsa_face.human.trials import Trials, read_trials, repeats_of
from rsa_face.inference.resampling import with_pairs
from rsa_face.provenance import save
from rsa_face.rdms.toolbox import to_rsatoolbox
from rsa_face.safety import must_be_plain_names, warn_alike, write_beside
from rsa_face.schema import (
    NOBODY,
    PARTICIPANT,
    STIMULUS,
    STIMULUS_I,
    check_rdms,
    coords_along,
    has_sign,
    must_be_known,
    repeated,
    warn_implausible,
)
from rsa_face.settings import Settings


class HasIds(Protocol):
    """Anything that knows the ids of its stimuli, as a stimulus set does."""

    @property
    def ids(self) -> list[str]:
        """The stimulus ids, in order."""


def read_human(
    path: str | Path | Sequence[str | Path],
    *,
    kind: str,
    options: Mapping[str, Any] | Settings | None = None,
    layout: Mapping[str, Any] | Layout | None = None,
    stimuli: HasIds | Sequence[str] | str | Path | None = None,
    ids: Sequence[str] | str | Path | None = None,
) -> xr.DataArray:
    r"""Read human judgements as one RDM for each participant.

    Every line is checked, and all faults are reported at once, by file, line and column. Nothing is imputed,
    and what is left out is counted in ``attrs["left_out"]``.

    Parameters
    ----------
    path : str, Path, or sequence of these
        A file, or several that belong together.
    kind : str
        What was judged: a key of `rsa_face.human.kinds.KINDS`, which ``rsa-face human kinds`` lists.
    options : mapping or options of the kind, optional
        How judgements become dissimilarities; see the options of the kind in `rsa_face.human.kinds`.
    layout : mapping or Layout, optional
        What the file's columns are called, and which rows count.
    stimuli : StimulusSet, sequence of str, or path, optional
        The stimuli there are: a set, their ids, or a table with the column `stimulus`. Rows and columns come in
        their order, and an id that either side lacks is an error.
    ids : sequence of str, path, or "stimuli", optional
        What the rows of a file without ids are called, in its order: the ids, a file of them (one a line, or the
        column `stimulus`), or "stimuli" where they stand in the order of `stimuli`.

    Returns
    -------
    DataArray, dims (participant, stimulus_i, stimulus_j)
        Dissimilarities, 0 on the diagonal, NaN where a pair was never judged. Coords: `coverage` (how often each
        pair was judged), `n_trials` of each participant, and `response_bias` where there is one. With
        ``layout={"by": factor}`` the factor's levels are a further dimension, before these.
        With ``layout={"participants": "none"}``, one RDM of mean ratings, which are nobody's: its only
        `participant` is called ``mean rating``, and attrs say so (`unsigned`, `ratings`, `split_half`).
        Where files hold several RDMs of a person, sessions are averaged (``attrs["averaged"]`` says which, the coord
        `n_rdms` how many), or read one by one with ``layout={"by": "session"}``.

    Warns
    -----
    ImplausibleWarning
        If RDMs that were read hold negative values, or values far above the others, as `warn_implausible` says.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If the kind, an option or a column is unknown, a line cannot be a trial, or ids differ from the stimuli's.

    Examples
    --------
    >>> import tempfile
    >>> trials = "participant,stimulus,response\np1,a,happy\np1,b,sad\np1,b,happy\np2,a,happy\np2,b,sad\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "choices.csv")
    ...     _ = file.write_text(trials)
    ...     human = read_human(file, kind="choice")
    >>> human.sel(stimulus_i="a", stimulus_j="b").values.tolist()
    [0.5, 1.0]
    """
    must_be_known(kind, KINDS, "kind of human data")
    row = KINDS[kind]
    chosen, arranged, numbered = _in_its_form(row, options, layout)
    source = _source(path, kind, arranged, stimuli, ids, numbered=numbered)
    if source.layout.participants == NOBODY and not row.unsigned:
        kinds = ", ".join(name for name, each in KINDS.items() if each.unsigned)
        message = f"Judgements of kind {kind!r} need participants. Without them (participants=none) there is {kinds}."
        raise ValueError(message)
    levels = _judged(source, row, chosen)
    arrays = [_finished(judged, source, chosen) for judged in levels.values()]
    return _by_level(arrays, list(levels), source.layout.by) if source.layout.by else arrays[0]


def read_human_trials(
    path: str | Path | Sequence[str | Path],
    *,
    kind: str,
    options: Mapping[str, Any] | Settings | None = None,
    layout: Mapping[str, Any] | Layout | None = None,
    stimuli: HasIds | Sequence[str] | str | Path | None = None,
    ids: Sequence[str] | str | Path | None = None,
) -> pd.DataFrame:
    r"""Read human judgements trial by trial, checked as `read_human` checks them.

    This is where predictions of single trials start, and what remains where RDMs make no sense: where there are
    thousands of stimuli, and few pairs of them were judged.

    Parameters
    ----------
    path : str, Path, or sequence of these
        A file, or several that belong together.
    kind : str
        What was judged: triplet, anchored, ranking, samediff or choice.
    options : mapping or options of the kind, optional
        How the file says what was chosen; see the options of the kind in `rsa_face.human.kinds`.
    layout : mapping or Layout, optional
        What the file's columns are called, and which rows count.
    stimuli : StimulusSet, sequence of str, or path, optional
        The stimuli there are, as for `read_human`; the categories of all columns of stimuli are in their order.
    ids : sequence of str, path, or "stimuli", optional
        What the stimuli of a file that numbers them are called (`form` = things or salmon), in its order.

    Returns
    -------
    DataFrame, a row for each trial
        The column `participant` and, all with the ids of the stimuli as categories, for triplets `stimulus_1` to
        `stimulus_3` and `odd`; for anchored choices `anchor`, `stimulus_a`, `stimulus_b` and `nearer`; for rankings
        `target`, `choice_1` ... from the most similar on, and `ordered`, how many of these are in order: the others
        are all less similar. For same-different `stimulus_a`, `stimulus_b` and `response` (same or different); for
        two choices `stimulus` and `response`, whose last category is the answer that is counted. The factor of
        ``layout={"by": ...}`` is a column, too. Attrs: `kind`, `left_out` (counts and why), `source`, `simulated`.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If the kind has no trials of this sort, or as `read_human` does.

    See Also
    --------
    read_human : The same as one RDM for each participant.

    Examples
    --------
    >>> import tempfile
    >>> lines = "participant,anchor,stimulus_a,stimulus_b,nearer\np1,a,b,c,b\np2,b,a,c,c\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "anchored.csv")
    ...     _ = file.write_text(lines)
    ...     trials = read_human_trials(file, kind="anchored")
    >>> trials["nearer"].tolist(), trials["nearer"].cat.categories.tolist()
    (['b', 'c'], ['a', 'b', 'c'])
    """
    row = KINDS.get(kind)
    if row is None or row.table is None:
        must_be_known(kind, [name for name, each in KINDS.items() if each.table], "kind of trials")
    assert row is not None
    assert row.table is not None
    chosen, arranged, numbered = _in_its_form(row, options, layout)
    source = _source(path, kind, arranged, stimuli, ids, numbered=numbered)
    trials = read_trials(source, row.columns(chosen, source) if callable(row.columns) else row.columns)
    table = row.table(trials, chosen)
    by = source.layout.by
    if by:
        table[by] = trials.frame[f"file:{by}"] if trials.has(f"file:{by}") else repeats_of(trials)
    table.attrs = {
        "kind": kind,
        "left_out": dict(sorted(trials.left_out.items())),
        "source": [one.name for one in source.paths],
        "simulated": trials.simulated,
    }
    return table


def _in_its_form(
    row: HumanKind, options: Mapping[str, Any] | Settings | None, layout: Mapping[str, Any] | Layout | None
) -> tuple[Any, Layout, bool]:
    """Return options and layout with what the form of a published file says wherever nothing was given."""
    chosen, arranged = row.options.of(options), Layout.of(layout)
    form = row.forms.get(getattr(chosen, "form", ""))
    if form is None:
        return chosen, arranged, False
    given = {name: getattr(arranged, name) for name in arranged.model_fields_set}
    columns = {**form.layout.get("columns", {}), **arranged.columns}
    arranged = Layout.of({**form.layout, **given, **({"columns": columns} if columns else {})})
    named = {name: getattr(chosen, name) for name in chosen.model_fields_set}
    return row.options.of({**form.options, **named}), arranged, form.numbered


def _source(
    path: str | Path | Sequence[str | Path],
    kind: str,
    layout: Layout,
    stimuli: HasIds | Sequence[str] | str | Path | None,
    ids: Sequence[str] | str | Path | None,
    *,
    numbered: bool = False,
) -> Source:
    source = replace(Source.of(path, kind, layout), numbered=numbered)
    known = None if stimuli is None else tuple(_ids_of(stimuli, "stimuli"))
    if ids == "stimuli" and known is None:
        message = "ids='stimuli' takes the order of the stimuli, and no stimuli are given. Give both."
        raise ValueError(message)
    names = known if ids == "stimuli" else None if ids is None else tuple(_ids_of(ids, "ids"))
    return replace(source, stimuli=known, ids=names)


def _ids_of(given: Any, what: str) -> list[str]:
    if isinstance(given, str | Path):
        path = Path(given)
        if not path.is_file():
            message = f"No such file of {what}: {str(path)!r}. Check the path."
            raise FileNotFoundError(message)
        table = read_sheet(path, Layout())
        if STIMULUS not in table.codes and len(table.header) == 1:  # a list of ids without a header
            table = read_sheet(path, Layout(names=(STIMULUS,)))
        _must_have(table, STIMULUS)
        ids = table.column(STIMULUS)
    else:
        ids = [str(one) for one in getattr(given, "ids", given)]
    if repeated(ids):
        message = f"The {what} name {listed(repeated(ids))} more than once. Name each once."
        raise ValueError(message)
    return ids


def _must_have(table: Table, name: str) -> None:
    if name not in table.codes:
        message = f"{table.path.name} has no column {name}. It has {listed(list(table.header))}."
        raise ValueError(message)


def _judged(source: Source, row: HumanKind, options: Any) -> dict[str, Judgements]:
    """Return the judgements of each level of the factor asked for; one, without a name, if none is."""
    by = source.layout.by
    read = row.files.get(source.paths[0].suffix.lower(), row.files.get(""))
    if read is not None and not (source.layout.software and row.judge is not None):
        judged = read(source, options)
        sessions = next((judged.coords[name] for name in SESSION_NAMES if name in judged.coords), None)
        people = judged.participants
        if sessions is not None:
            people = [f"{person}, session {session}" for person, session in zip(people, sessions, strict=True)]
        signed = has_sign(judged.attrs)
        warn_implausible(judged.dissimilarity, people, judged.stimuli, source.name, signed=signed)
        return rdms_of_people(judged, source, options.repeats)
    assert row.judge is not None
    columns = row.columns(options, source) if callable(row.columns) else row.columns
    trials = read_trials(source, columns)
    names = [one.name for one in columns if one.stimulus and trials.has(one.name)]
    must_fit(len(trials.people()[0]), len(source.stimuli or trials.values(*names)), source.name)
    if not by:
        return {"": _with_counts(row.judge(trials, options), trials)}
    column = trials.frame[f"file:{by}"] if trials.has(f"file:{by}") else repeats_of(trials)
    levels = naturally(map(str, column.unique()))
    return {
        level: _with_counts(row.judge(trials.select((column == level).to_numpy()), options), trials)
        for level in levels
    }


def _with_counts(judged: Judgements, trials: Trials) -> Judgements:
    trials.settle()
    return replace(judged, attrs={**judged.attrs, "left_out": dict(sorted(trials.left_out.items()))})


def _finished(judged: Judgements, source: Source, options: Settings) -> xr.DataArray:
    """Return judgements as the array promised, with everything known of it in attrs."""
    _refuse_never_judged(judged, source)
    for names, what in ((judged.stimuli, STIMULUS), (judged.participants, PARTICIPANT)):
        must_be_plain_names(names, what, source.name)
        warn_alike(names, what, source.name)
    array = to_array(judged)
    attrs = {
        "kind": source.kind,
        "left_out": {},
        "source": [path.name for path in source.paths],
        "options": options.model_dump(mode="json"),
        "stimuli_judged": int(array["coverage"].values.any(axis=(0, 2)).sum()),
    }
    array.attrs = {**attrs, **array.attrs}
    if judged.participants == [GROUP]:
        array.attrs["group"] = "one curve of a group, not a participant: it gives no noise ceiling"
    if isinstance(source.layout.participants, Path):
        array = _with_participants(array, source.layout.participants)
    return with_pairs(check_rdms(array, along=PARTICIPANT, name=f"Human RDMs of {source.name}"))


def _refuse_never_judged(judged: Judgements, source: Source) -> None:
    pairs = np.asarray(judged.coverage).sum(axis=0) > 0
    seen = np.zeros(len(judged.stimuli), dtype=bool)
    for row, places in rows_of_pairs(len(judged.stimuli)):
        seen[row] |= pairs[places].any()
        seen[row + 1 :] |= pairs[places]
    never = [one for one, is_judged in zip(judged.stimuli, seen, strict=True) if not is_judged]
    if not seen.any():
        message = f"{source.name} judges no pair of stimuli. Check its columns and ids."
        raise ValueError(message)
    if never and source.stimuli is not None:
        message = (
            f"{source.name} never judges {listed(never)}. Leave them out of the stimuli, or read without stimuli and "
            "keep those in common with `shared_stimuli`."
        )
        raise ValueError(message)


def _with_participants(array: xr.DataArray, path: Path) -> xr.DataArray:
    """Return the array with what the table of participants knows of each, such as the group."""
    table = read_sheet(path, Layout())
    _must_have(table, PARTICIPANT)
    known = table.column(PARTICIPANT)
    people = [str(one) for one in array[PARTICIPANT].values]
    faults = [Fault(path.name, 0, PARTICIPANT, f"{one!r} is not listed") for one in people if one not in known]
    faults += [Fault(path.name, 0, PARTICIPANT, f"{one!r} is listed more than once") for one in repeated(known)]
    raise_faults(faults, "The table of participants lists each participant once")
    order = [known.index(one) for one in people]
    columns = [name for name in table.header if name not in (PARTICIPANT, "")]
    return array.assign_coords(
        {name: (PARTICIPANT, np.array(table.column(name), dtype=str)[order]) for name in columns}
    )


def _by_level(arrays: list[xr.DataArray], levels: list[str], by: str) -> xr.DataArray:
    if by in arrays[0].dims or by in arrays[0].coords:
        message = f"RDMs cannot be split by {by!r}: the name is taken. Rename the column."
        raise ValueError(message)
    joined = xr.concat(
        arrays,
        dim=xr.DataArray(np.array(levels, dtype=str), dims=by, name=by),
        join="outer",
        combine_attrs="drop_conflicts",
        coords="all",
        compat="equals",
    )
    for name in ("coverage", "n_trials"):
        joined = joined.assign_coords({name: joined[name].fillna(0).astype(np.int64)})
    return joined


def write_human(human: xr.DataArray, path: str | Path) -> Path:
    """Write human RDMs to a file (.nc, .h5 or .csv), from which ``read_human(path, kind="rdm")`` reads them again."""
    path = Path(path)
    must_be_known(path.suffix.lower(), _WRITERS, "ending of a file of human RDMs")
    check_rdms(human, along=PARTICIPANT, name="Human RDMs")
    return _WRITERS[path.suffix.lower()](human, path)


def _write_hdf5(human: xr.DataArray, path: Path) -> Path:
    rdms = to_rsatoolbox(human)
    if "coverage" in human.coords:
        rdms.rdm_descriptors["coverage"] = triangles(human["coverage"].values)
    for described in (rdms.rdm_descriptors, rdms.pattern_descriptors):  # rsatoolbox itself writes ASCII only
        described.update({name: _as_utf8(value) for name, value in described.items()})
    rdms.descriptors["simulated"] = bool(human.attrs.get("simulated", False))
    with write_beside(path) as beside:
        rdms.save(str(beside), file_type="hdf5")
    return path


def _as_utf8(values: Any) -> Any:
    array = np.asarray(values)
    return np.char.encode(array.astype(str), "utf-8") if array.dtype.kind in "UO" else values


def _write_csv(human: xr.DataArray, path: Path) -> Path:
    ids, people = ([str(value) for value in human[dim].values] for dim in (STIMULUS_I, PARTICIPANT))
    i, j = np.triu_indices(len(ids), 1)
    names = np.array(ids, dtype=object)
    columns: dict[str, Any] = {
        PARTICIPANT: np.repeat(np.array(people, dtype=object), len(i)),
        "stimulus_a": np.tile(names[i], len(people)),
        "stimulus_b": np.tile(names[j], len(people)),
        "dissimilarity": triangles(human.values).ravel(),
    }
    if "coverage" in human.coords:
        columns["coverage"] = triangles(human["coverage"].values).ravel()
    for name in ("n_trials", "response_bias"):
        if name in human.coords:
            columns[name] = np.repeat(human[name].values, len(i))
    known = (PARTICIPANT, "n_trials", "response_bias")
    coords = {
        name: coord.values.tolist() for name, coord in coords_along(human, PARTICIPANT).items() if name not in known
    }
    remark = {**human.attrs, "stimuli": ids, "participants": people, "coords": coords}
    with write_beside(path) as beside, beside.open("w", encoding="utf-8", newline="") as file:
        file.write(f"# {ATTRS_REMARK}{json.dumps(remark, default=str)}\n")
        pd.DataFrame(columns).to_csv(file, index=False, lineterminator="\n")
    return path


_WRITERS: dict[str, Callable[[xr.DataArray, Path], Path]] = {".nc": save, ".h5": _write_hdf5, ".csv": _write_csv}
