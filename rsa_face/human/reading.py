"""Files of trials: their columns found by name, rows filtered and counted, ids renamed, and every cell checked."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rsa_face.human.faults import Fault, listed, raise_faults
from rsa_face.human.layout import Layout, Source
from rsa_face.human.tables import MISSING, Table, as_numbers, read_table
from rsa_face.human.trials import GROUP, Column, Trials, naturally

_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATE = re.compile(rf"\d{{1,2}}-({_MONTHS})|({_MONTHS})-\d\d|\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}.*", re.IGNORECASE)
REPEAT = "repeat"
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no", "")


def read_trials(source: Source, columns: Sequence[Column]) -> Trials:
    """Read the files of a source as one table of trials, with our names for its columns.

    Rows are filtered first (`keep`, `drop`), so that a time-out's empty cells are no fault. Then ids are renamed
    and every cell is checked. What is wrong is noted in `faults`, for the kind's own checks to add to.

    Parameters
    ----------
    source : Source
        The files and their layout.
    columns : sequence of Column
        What the kind expects.

    Returns
    -------
    Trials
        All rows that count.

    Raises
    ------
    ValueError
        If a column is missing, no row is left, or a file is no table.
    """
    layout = source.layout
    wanted = list(dict.fromkeys(name for column in columns for name in _names_in_file(column.name, layout)))
    extra = [*layout.keep, *layout.drop, *([layout.by] if layout.by else []), "simulated"]
    tables = tuple(read_table(path, layout, [*wanted, *extra]) for path in source.paths)
    raise_faults(
        [fault for table in tables for fault in _missing_columns(table, columns, layout)],
        f"A file of kind {source.kind!r} must have its columns",
        then="Say what the file calls them: --layout columns.OURS=THEIRS, or in Python and study files layout: "
        "{columns: {OURS: THEIRS}}; `human_data/README.md` lists ours.",
    )
    frames = [_raw_frame(table, columns, layout) for table in tables]
    frame = _stacked(frames)
    file = np.concatenate([np.full(len(one), n, np.int32) for n, one in enumerate(frames)])
    row = np.concatenate([np.arange(len(one), dtype=np.int32) for one in frames])
    columns_in_file = {column.name: "+".join(_names_in_file(column.name, layout)) for column in columns}
    trials = Trials(frame, source, tables, file, row, columns=columns_in_file)
    if any(column.name == "stimulus" for column in columns):
        trials = _with_ids(trials)
    trials = _checked(_filtered(trials, layout), columns)
    return replace(trials, simulated=_says_simulated(trials))


def other_columns(source: Source) -> list[str]:
    """Return the columns of a file that hold neither ids nor what rows are selected by: responses, or scales.

    Parameters
    ----------
    source : Source
        Its first file's header is read.

    Returns
    -------
    list of str
        Names, in the order of the file.
    """
    layout = source.layout
    taken = {name for ours in ("participant", "stimulus") for name in _names_in_file(ours, layout)}
    taken |= {*layout.keep, *layout.drop, str(layout.by), "simulated", "participant", "stimulus", "trial", ""}
    return [name for name in read_table(source.paths[0], layout, []).header if name not in taken]


def _names_in_file(name: str, layout: Layout) -> tuple[str, ...]:
    names = layout.columns.get(name, name)
    return (names,) if isinstance(names, str) else tuple(names)


def _missing_columns(table: Table, columns: Sequence[Column], layout: Layout) -> list[Fault]:
    needed = [column.name for column in columns if column.required or column.name in layout.columns]
    lacks = []
    for name in needed:
        absent = [one for one in _names_in_file(name, layout) if one not in table.codes]
        if not absent or (name == "participant" and layout.group):
            continue
        hint = " (a file without participants is read as one with layout group=True)" if name == "participant" else ""
        lacks += [f"there is no column {one!r}{hint}" for one in absent]
    others = [*layout.keep, *layout.drop, *([layout.by] if layout.by not in (None, REPEAT) else [])]
    lacks += [f"there is no column {name!r} to select by" for name in others if name not in table.codes]
    unknown = sorted(set(layout.columns) - {column.name for column in columns})
    lacks += [f"{name!r} is no column of this kind" for name in unknown]
    if not lacks:
        return []
    has = f"it has {listed([name for name in table.header if name], most=12)}"
    if as_numbers(table.header)[1] == []:
        has += ", which look like a first row: name the columns with layout names if there is no header"
    return [Fault(table.path.name, table.first_line - 1, "", f"{lack}; {has}") for lack in lacks]


def _raw_frame(table: Table, columns: Sequence[Column], layout: Layout) -> pd.DataFrame:
    made: dict[str, pd.Categorical] = {}
    for column in columns:
        names = _names_in_file(column.name, layout)
        if all(name in table.codes for name in names):
            made[column.name] = _joined(table, names)
    for name in [*layout.keep, *layout.drop, *([layout.by] if layout.by else []), "simulated"]:
        if name in table.codes:
            made[f"file:{name}"] = _joined(table, (name,))
    if "participant" not in made and layout.group:
        codes = np.zeros(len(table.rows), np.int32)
        made["participant"] = pd.Categorical.from_codes(codes, pd.Index([GROUP], dtype=object))
    return pd.DataFrame(made, index=pd.RangeIndex(len(table.rows)))


def _with_ids(trials: Trials) -> Trials:
    """Name the rows of a file without stimulus ids, in their order, as was asked for."""
    ids, rows = trials.source.ids, len(trials.frame)
    if "stimulus" in trials.frame or ids is None:
        return trials
    if len(ids) != rows:
        message = (
            f"There must be an id for each row of {trials.source.name}, but {len(ids)} are given for {rows} rows."
        )
        raise ValueError(message)
    named = pd.Categorical(list(ids), categories=pd.Index(list(ids), dtype=object))
    return replace(trials, frame=trials.frame.assign(stimulus=named))


def _joined(table: Table, names: tuple[str, ...]) -> pd.Categorical:
    if len(names) == 1:
        own, values = table.codes[names[0]], table.values[names[0]]
        return _sorted_categories(own, values)
    places, rows = np.unique(np.stack([table.codes[name] for name in names]), axis=1, return_inverse=True)
    parts = [[table.values[name][code] for code in place] for name, place in zip(names, places, strict=True)]
    return _sorted_categories(rows.reshape(-1), ["_".join(words) for words in zip(*parts, strict=True)])


def _sorted_categories(codes: NDArray[np.integer], values: list[str]) -> pd.Categorical:
    ordered = naturally(set(values))
    place = {value: index for index, value in enumerate(ordered)}
    moved = np.array([place[value] for value in values], dtype=np.int32)
    return pd.Categorical.from_codes(moved[codes] if len(values) else codes, pd.Index(ordered, dtype=object))


def _stacked(frames: list[pd.DataFrame]) -> pd.DataFrame:
    if len(frames) == 1:
        return frames[0]
    names = [name for name in frames[0].columns if all(name in frame.columns for frame in frames)]
    made = {}
    for name in names:
        values = naturally({str(value) for frame in frames for value in frame[name].cat.categories})
        parts = [frame[name].cat.set_categories(pd.Index(values, dtype=object)) for frame in frames]
        made[name] = pd.Categorical.from_codes(
            np.concatenate([part.cat.codes for part in parts]), parts[0].cat.categories
        )
    return pd.DataFrame(made)


def _filtered(trials: Trials, layout: Layout) -> Trials:
    for name, values in layout.keep.items():
        column = trials.frame[f"file:{name}"]
        _must_occur(values, column, name)
        trials = trials.leave_out(~column.isin(values).to_numpy(), f"{name} is not {' or '.join(values)}")
    for name, values in layout.drop.items():
        trials = trials.leave_out(
            trials.frame[f"file:{name}"].isin(values).to_numpy(), f"{name} is {' or '.join(values)}"
        )
    if trials.frame.empty:
        counted = f" after leaving out {dict(trials.left_out)}" if trials.left_out else ""
        message = f"A file of trials must hold at least one, but {trials.source.name} holds none{counted}."
        raise ValueError(message)
    return trials


def _must_occur(values: Sequence[str], column: pd.Series, name: str) -> None:
    there = [str(value) for value in column.cat.categories]
    absent = [value for value in values if value not in there]
    if absent:
        message = f"Values to keep must occur, but column {name!r} has no {listed(absent)}. It has {listed(there)}."
        raise ValueError(message)


def _checked(trials: Trials, columns: Sequence[Column]) -> Trials:
    made = dict(trials.frame.items())
    renamed = renaming(trials.source)
    for column in columns:
        if column.name not in made:
            continue
        text = made[column.name].cat
        codes, values = text.codes.to_numpy(), [str(value) for value in text.categories]
        if not column.empty:
            blank = np.array([value in MISSING if column.number else not value for value in values], dtype=bool)
            trials.fault(blank[codes], column.name, "the cell is empty")
        if column.number:
            numbers, wrong = as_numbers(values)
            _note(trials, column.name, codes, [values[place] for place in wrong], values, "is not a number")
            made[column.name] = pd.Series(numbers[codes])
        if column.stimulus:
            made[column.name] = _checked_ids(trials, column.name, codes, values, renamed)
    return replace(trials, frame=pd.DataFrame(made))


def _checked_ids(
    trials: Trials, name: str, codes: NDArray[np.integer], values: list[str], renamed: dict[str, str] | None
) -> pd.Series:
    known = trials.source.stimuli
    if renamed is not None:
        lost = [value for value in values if value and value not in renamed]
        _note(trials, name, codes, lost, values, f"is not renamed by {trials.source.layout.rename}")
        values = [renamed.get(value, value) for value in values]
    if known is not None:
        unknown = sorted(set(values) - set(known) - {""})
        dates = [value for value in unknown if _DATE.fullmatch(value)]
        _note(trials, name, codes, [v for v in unknown if v not in dates], values, "is not among the stimuli")
        _note(trials, name, codes, dates, values, "is not among the stimuli: a date that Excel made of an id?")
    else:
        dates = [value for value in values if _DATE.fullmatch(value)]
        said = "looks like a date that Excel made of an id (if it is one, name the stimuli)"
        _note(trials, name, codes, dates, values, said)
    return pd.Series(_sorted_categories(codes, values))


def _note(
    trials: Trials, column: str, codes: NDArray[np.integer], bad: Sequence[str], values: Sequence[str], said: str
) -> None:
    """Note a fault for each bad value that occurs, at its first line."""
    if not bad:
        return
    is_bad = np.isin(np.asarray(values, dtype=object), np.asarray(list(bad), dtype=object))
    trials.fault(is_bad[codes], column, lambda row: f"{values[codes[row]]!r} {said}")


def renaming(source: Source) -> dict[str, str] | None:
    """Return the ids a source's table of names gives to the file's own.

    Parameters
    ----------
    source : Source
        Its layout names the table.

    Returns
    -------
    dict of str to str, or None
        The file's id -> the id elsewhere; None if there is no such table.

    Raises
    ------
    ValueError
        If the table has not two columns, repeats a name, or leaves one empty.
    """
    if source.layout.rename is None:
        return None
    table = read_table(source.layout.rename, Layout())
    if len(table.header) != 2 or "" in table.header:
        message = (
            f"A table that renames stimuli must have two columns, each with a name, but {table.path.name} has "
            f"{list(table.header)}. Put a line above them, such as old,new."
        )
        raise ValueError(message)
    old, new = ([table.values[name][code] for code in table.codes[name]] for name in table.header)
    alone = [one or other for one, other in zip(old, new, strict=True) if not (one and other)]
    if alone:
        message = (
            f"A table that renames stimuli must have an old and a new name on each line, but {table.path.name} has "
            f"nothing beside {listed(alone)}. Fill in the empty cell, or take the line out."
        )
        raise ValueError(message)
    twice = [name for names in (old, new) for name, count in sorted(Counter(names).items()) if count > 1]
    if twice:
        message = f"A stimulus must be renamed once and to a name of its own, but {table.path.name} repeats {twice}."
        raise ValueError(message)
    return dict(zip(old, new, strict=True))


def _says_simulated(trials: Trials) -> bool:
    remarked = any(is_simulated(table) for table in trials.tables)
    if "file:simulated" not in trials.frame:
        return remarked
    column = trials.frame["file:simulated"].cat
    used = {str(column.categories[code]).lower() for code in np.unique(column.codes.to_numpy())}
    strange = sorted(used - {*_TRUE, *_FALSE})
    if strange:
        message = f"The column simulated must be true or false, but {trials.source.name} has {strange} in it."
        raise ValueError(message)
    return remarked or bool(used & set(_TRUE))


def is_simulated(table: Table) -> bool:
    """Return whether a remark above the header says that no person made these (``# simulated: true``).

    Parameters
    ----------
    table : Table
        A file.

    Returns
    -------
    bool
        True if it does.
    """
    return any(re.fullmatch(r"simulated\s*[:=]\s*(true|yes|1)", line, re.IGNORECASE) for line in table.remarks)
