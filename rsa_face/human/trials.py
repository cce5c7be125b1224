"""Trials: the columns of laboratories' tables under our names, filtered (counted), renamed, and checked cell by cell.

What is wrong is noted in `Trials.faults`, to which the checks of a kind of judgement add, and is raised at once.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rsa_face.human.experiments import Sheet, named_parts, open_sheet, read_sheet, stimulus_of
from rsa_face.human.tables import (
    GROUP,
    Fault,
    Layout,
    Source,
    Table,
    as_numbers,
    lines_of,
    listed,
    naturally,
    raise_faults,
    warn_of_thousands,
)
from rsa_face.safety import seen_as
from rsa_face.schema import MISSING, repeated


@dataclass(frozen=True)
class Column:
    """What a kind of trial expects of one column."""

    name: str
    number: bool = False
    stimulus: bool = False
    required: bool = True
    empty: bool = False
    answer: bool = False  # rows in which it is missing (NA, None, null ...) are left out, and counted


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials of one or several files, and what was found wrong with them so far."""

    frame: pd.DataFrame
    source: Source
    tables: tuple[Table, ...]
    file: NDArray[np.int32]
    row: NDArray[np.int32]
    faults: list[Fault] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)
    simulated: bool = False
    columns: dict[str, str] = field(default_factory=dict)

    def has(self, column: str) -> bool:
        """Return whether there is such a column."""
        return column in self.frame.columns

    def fault(self, wrong: NDArray[np.bool_], column: str, problem: Callable[[int], str] | str) -> None:
        """Note a fault for the rows that are wrong: one for each thing that is wrong, with its first line."""
        rows = np.flatnonzero(wrong)
        first: dict[tuple[int, str], list[int]] = {}
        for row in rows[:20_000]:
            text = problem if isinstance(problem, str) else problem(int(row))
            first.setdefault((int(self.file[row]), text), []).append(int(row))
        rest = len(rows) - 20_000
        for (file, text), places in list(first.items())[:200]:
            table = self.tables[file]
            line = lines_of(table, [int(self.row[places[0]])])[0]
            more = f", and on {len(places) - 1:,} more {table.unit}s" if len(places) > 1 else ""
            more += f", and {rest:,} more {table.unit}s are wrong" if rest > 0 else ""
            name = self.columns.get(column, column)
            self.faults.append(Fault(table.path.name, line, name, f"{text}{more}", table.unit))

    def no_trial_twice(self) -> None:
        """Note a fault where trials are numbered and a participant's number occurs again."""
        if self.has("trial"):
            self.once(("participant", "trial"), "trial", "trial {} of this participant occurs again")

    def once(self, columns: Sequence[str], column: str, clause: str) -> None:
        """Note a fault where the same values of some columns occur again; the clause takes the value of one."""
        again = self.frame.duplicated([name for name in (*columns, SESSION) if self.has(name)]).to_numpy()
        values = self.frame[column]
        self.fault(again, column, lambda row: clause.format(repr(values.iloc[row])))

    def within(self, column: str, low: float, high: float) -> None:
        """Note a fault for numbers that are off a scale."""
        numbers = self.frame[column].to_numpy(float)
        wrong = (numbers < low) | (numbers > high)
        self.fault(wrong, column, lambda row: f"{numbers[row]:g} is off the scale {low:g} to {high:g}")

    def settle(self) -> None:
        """Raise the faults noted so far, if there are any."""
        rule = f"{self.source.name} is read as trials of kind {self.source.kind!r}"
        raise_faults(self.faults, rule, of=len(self.tables))

    def select(self, rows: NDArray[np.bool_]) -> "Trials":
        """Return the trials of some rows."""
        if rows.all():
            return self
        frame = self.frame[rows].reset_index(drop=True)
        return replace(self, frame=frame, file=self.file[rows], row=self.row[rows])

    def leave_out(self, rows: NDArray[np.bool_], why: str) -> "Trials":
        """Return the trials without some rows, which are counted."""
        if rows.any():
            self.left_out[why] += int(rows.sum())
        return self.select(~rows)

    def codes(self, column: str, among: Sequence[str]) -> NDArray[np.int64]:
        """Return a text column as places among some values; -1 where it is none of them."""
        values = self.frame[column].cat
        place = pd.Index(list(among)).get_indexer(values.categories)
        codes = values.codes.to_numpy()
        return np.where(codes >= 0, place[codes] if len(place) else -1, -1).astype(np.int64)

    def values(self, *columns: str) -> list[str]:
        """Return the values that occur in some text columns, sorted as people count, without the empty one."""
        names: set[str] = set()
        for column in columns:
            values = self.frame[column].cat
            used = np.unique(values.codes.to_numpy())
            names.update(str(values.categories[code]) for code in used if code >= 0)
        return naturally(names - {""})

    def people(self) -> tuple[list[str], NDArray[np.int64]]:
        """Return the participants, and whose each trial is; one group where the file names nobody."""
        if not self.has("participant"):
            return [GROUP], np.zeros(len(self.frame), np.int64)
        people = self.values("participant") or [GROUP]
        return people, self.codes("participant", people)

    def stimuli(self, *columns: str) -> list[str]:
        """Return the stimulus ids: those known beforehand, in their order, or else those that occur."""
        return list(self.source.stimuli) if self.source.stimuli is not None else self.values(*columns)


_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATE = re.compile(rf"\d{{1,2}}-({_MONTHS})|({_MONTHS})-\d\d|\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}.*", re.IGNORECASE)
REPEAT, SESSION = "repeat", "session"
_PREAMBLE = 60  # lines among which a header is looked for
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no", "")


def read_trials(source: Source, columns: Sequence[Column]) -> Trials:
    """Read the files of a source as one table of trials, with our names for its columns.

    Rows are filtered first (`keep`, `drop`), so that a time-out's empty cells are no fault. Then ids are renamed
    and every cell is checked. What is wrong is noted in `faults`, for the kind's own checks to add to.
    """
    layout = source.layout
    columns = (*columns, *([] if any(one.name == SESSION for one in columns) else [Column(SESSION, required=False)]))
    answers = [column.name for column in columns if column.answer]
    if layout.files is not None:
        named_parts(source.paths, layout.files)
    sheets = [open_sheet(path, layout) for path in source.paths]
    layouts = [sheet.named([column.name for column in columns], answers, layout) for sheet in sheets]
    faults = [
        fault for sheet, own in zip(sheets, layouts, strict=True) for fault in _missing_columns(sheet, columns, own)
    ]
    raise_faults(
        faults,
        f"A file of kind {source.kind!r} has columns of its own",
        then="Say what the file calls them: --layout columns.OURS=THEIRS, or in Python and study files layout: "
        "{columns: {OURS: THEIRS}}; `human_data/README.md` lists ours.",
        of=len(sheets),
    )
    tables, frames = [], []
    for sheet, own in zip(sheets, layouts, strict=True):
        wanted = list(dict.fromkeys(name for column in columns for name in own.in_file(column.name)))
        table = sheet.read([*wanted, *layout.selectors, "simulated"])
        frames.append(_raw_frame(table, columns, own))
        table = replace(table, codes={}, values={})  # kept for the lines of its faults alone
        tables.append(table)
    frame = _stacked(frames)
    if any(column.name == "stimulus" for column in columns) and "stimulus" not in frame and source.ids is not None:
        ids, rows = list(source.ids), len(frame)
        if len(ids) != rows:
            message = f"{len(ids)} ids are given for the {rows} rows of {source.name}. Give one for each row."
            raise ValueError(message)
        frame["stimulus"] = pd.Categorical(ids, categories=pd.Index(ids, dtype=object))
    trials = Trials(
        frame,
        source,
        tuple(tables),
        np.concatenate([np.full(len(one), n, np.int32) for n, one in enumerate(frames)]),
        np.concatenate([np.arange(len(one), dtype=np.int32) for one in frames]),
        left_out=sum((table.left_out for table in tables), Counter()),
        columns={one.name: "+".join(layouts[0].in_file(one.name)) for one in columns if one.name != SESSION},
    )
    trials = _within_sessions(_filtered(_of_stimuli(trials, columns), layout))
    trials = _checked(_answered(trials, columns), columns)
    return replace(trials, simulated=_is_simulated(trials))


def other_columns(source: Source) -> list[str]:
    """Return the columns of a file that hold neither ids nor what rows are selected by: responses, or scales."""
    layout = source.layout
    taken = {*layout.in_file("participant"), *layout.in_file("stimulus"), *layout.selectors}
    taken |= {"simulated", "participant", "stimulus", "trial", SESSION, *layout.in_file(SESSION), ""}
    return [name for name in open_sheet(source.paths[0], layout).header if name not in taken]


def _missing_columns(sheet: Sheet, columns: Sequence[Column], layout: Layout) -> list[Fault]:
    lacks = []
    for column in columns:
        name = column.name
        if not (column.required or name in layout.columns) or (name == "participant" and layout.group):
            continue
        hint = (
            " (layout files={participant} takes it from the names of files, participants=none is for ratings that "
            "nobody signed, group=true for a curve of a group)"
        )
        hint = hint if name == "participant" else ""
        absent = [one for one in layout.in_file(name) if one not in sheet.header]
        lacks += [f"there is no column {one!r}{hint}" for one in absent]
    lacks += [
        f"there is no column {name!r} to select by"
        for name in layout.selectors
        if name not in sheet.header and (name != REPEAT or name in (*layout.keep, *layout.drop))
    ]
    unknown = sorted(set(layout.columns) - {column.name for column in columns})
    lacks += [f"{name!r} is no column of this kind" for name in unknown]
    if not lacks:
        return []
    has = f"it has {listed([name for name in sheet.header if name], most=12)}"
    if not as_numbers(sheet.header)[1]:
        has += ", which look like a first row: name the columns with layout names if there is no header"
    required = [one for column in columns if column.required for one in layout.in_file(column.name)]
    has += _header_further_down(sheet, required)
    return [Fault(sheet.path.name, sheet.header_line, "", f"{lack}; {has}") for lack in lacks]


def _header_further_down(sheet: Sheet, names: Sequence[str]) -> str:
    """Return where the columns' names stand if that is further down, below a preamble."""
    if sheet.path.suffix.lower() not in (".csv", ".tsv", ".tab", ".txt"):
        return ""
    with sheet.path.open(encoding="utf-8-sig", errors="replace") as file:
        lines = [line for line, _ in zip(file, range(_PREAMBLE), strict=False)]
    for above, line in enumerate(lines):
        cells = {cell.strip(' "') for cell in re.split(r"[\t,;|]", line.strip())}
        if above and len(names) > 1 and set(names) <= cells:
            return f"; they stand on line {above + 1}: layout preamble={above}"
    return ""


def _raw_frame(table: Table, columns: Sequence[Column], layout: Layout) -> pd.DataFrame:
    made = {column.name: _joined(table, layout.in_file(column.name)) for column in columns}
    for name, meant in layout.recode.items():
        if (column := made.get(name)) is not None:
            values = [meant.get(str(value), str(value)) for value in column.categories]
            made[name] = _sorted_categories(column.codes, values)
    if table.software:
        for one in columns:
            if one.stimulus and (column := made.get(one.name)) is not None:
                made[one.name] = _sorted_categories(column.codes, [stimulus_of(str(v)) for v in column.categories])
    made |= {f"file:{name}": _joined(table, (name,)) for name in [*layout.selectors, "simulated"]}
    frame = pd.DataFrame(
        {name: column for name, column in made.items() if column is not None}, index=pd.RangeIndex(len(table.rows))
    )
    if layout.group and "participant" not in frame:
        frame["participant"] = pd.Categorical([GROUP] * len(frame))
    return frame


def _joined(table: Table, names: tuple[str, ...]) -> pd.Categorical | None:
    """Return a column, or several joined into one, with its values sorted as people count; None if there is none."""
    if not all(name in table.codes for name in names):
        return None
    if len(names) == 1:
        return _sorted_categories(table.codes[names[0]], table.values[names[0]])
    places, rows = np.unique(np.stack([table.codes[name] for name in names]), axis=1, return_inverse=True)
    parts = [[table.values[name][code] for code in place] for name, place in zip(names, places, strict=True)]
    return _sorted_categories(rows.reshape(-1), ["_".join(words) for words in zip(*parts, strict=True)])


def _sorted_categories(codes: NDArray[np.integer], values: list[str]) -> pd.Categorical:
    ordered = naturally(set(values))
    place = {value: index for index, value in enumerate(ordered)}
    moved = np.array([place[value] for value in values], dtype=np.int32)
    return pd.Categorical.from_codes(moved[codes] if len(values) else codes, pd.Index(ordered, dtype=object))


def _stacked(frames: list[pd.DataFrame]) -> pd.DataFrame:
    """Return the rows of all frames, with the columns that all of them have."""
    if len(frames) == 1:
        return frames[0]
    made = {}
    for name in frames[0].columns:
        if all(name in frame for frame in frames):
            values = naturally({str(value) for frame in frames for value in frame[name].cat.categories})
            categories = pd.Index(values, dtype=object)
            made[name] = pd.concat(
                [frame[name].cat.set_categories(categories) for frame in frames], ignore_index=True
            )
    return pd.DataFrame(made)


def _filtered(trials: Trials, layout: Layout) -> Trials:
    for name, values in layout.keep.items():
        column = trials.frame[f"file:{name}"]
        levels = [str(value) for value in column.cat.categories]
        absent = [value for value in values if value not in levels]
        if absent:
            message = f"Column {name!r} has no {listed(absent)} to keep. It has {listed(levels)}."
            raise ValueError(message)
        trials = trials.leave_out(~column.isin(values).to_numpy(), f"{name} is not {' or '.join(values)}")
    for name, values in layout.drop.items():
        rows = trials.frame[f"file:{name}"].isin(values).to_numpy()
        trials = trials.leave_out(rows, f"{name} is {' or '.join(value or 'empty' for value in values)}")
    if trials.frame.empty:
        counted = f" after leaving out {dict(trials.left_out)}" if trials.left_out else ""
        message = f"{trials.source.name} holds no trials{counted}. Check keep and drop."
        raise ValueError(message)
    return trials


def _of_stimuli(trials: Trials, columns: Sequence[Column]) -> Trials:
    """Leave out the rows without any stimulus that experiment software writes for its other screens."""
    shown = [column.name for column in columns if column.stimulus and not column.answer and trials.has(column.name)]
    if not shown or not any(table.software for table in trials.tables):
        return trials
    of_software = np.array([bool(table.software) for table in trials.tables])[trials.file]
    blank = np.all([trials.frame[name].isin(MISSING) for name in shown], axis=0) & of_software
    return trials.leave_out(np.asarray(blank), "screens without a stimulus")


def _within_sessions(trials: Trials) -> Trials:
    """Return the trials with numbers that tell those of different sessions apart."""
    if not (trials.has(SESSION) and trials.has("trial")):
        return trials
    session, trial = (trials.frame[name].cat for name in (SESSION, "trial"))
    both = session.codes.to_numpy().astype(np.int64) * len(trial.categories) + trial.codes.to_numpy()
    places, unique = pd.factorize(both)
    names = [
        f"{session.categories[code // len(trial.categories)]}/{trial.categories[code % len(trial.categories)]}"
        for code in map(int, unique)
    ]
    frame = trials.frame.assign(trial=_sorted_categories(places, names))
    return replace(trials, frame=frame)


def _answered(trials: Trials, columns: Sequence[Column]) -> Trials:
    """Leave out the rows whose answer is missing by a word for it, as programs write it for a time-out."""
    programs = all(table.software for table in trials.tables)
    for column in columns:
        if column.answer and trials.has(column.name):
            values = trials.frame[column.name]
            words = [str(word) for word in values.cat.categories if word in MISSING and (word or programs)]
            named = trials.columns.get(column.name, column.name)
            for word in words:
                rows = (trials.frame[column.name] == word).to_numpy()
                trials = trials.leave_out(rows, f"{named} is missing ({word or 'empty'})")
    if trials.frame.empty:
        message = f"{trials.source.name} holds no answers: {dict(trials.left_out)}. Check the columns (layout)."
        raise ValueError(message)
    return trials


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
            hint = f" (layout drop.{column.name}= leaves such rows out, and counts them)" if column.answer else ""
            trials.fault(blank[codes], column.name, f"the cell is empty{hint}")
        if column.number:
            numbers, wrong = as_numbers(values)
            clauses = {values[place]: clause for place, clause in wrong.items()}
            _note(trials, column.name, codes, values, clauses)
            warn_of_thousands(values, trials.columns[column.name], trials.source.name)
            made[column.name] = pd.Series(numbers[codes])
        if column.stimulus:
            made[column.name] = _checked_ids(trials, column.name, codes, values, renamed)
    return replace(trials, frame=pd.DataFrame(made))


def _checked_ids(
    trials: Trials, name: str, codes: NDArray[np.integer], values: list[str], renamed: dict[str, str] | None
) -> pd.Series:
    clauses = {}
    if renamed:
        lost = [value for value in values if value and value not in renamed]
        table = trials.source.layout.rename
        clause = f"is not renamed by {table}" if table else f"is no number of the {len(renamed)} ids, from 0 on"
        _note(trials, name, codes, values, dict.fromkeys(lost, clause))
        values = [renamed.get(value, value) for value in values]
    known = trials.source.stimuli
    if known is not None:
        clauses = {
            value: f"is not among the stimuli{_hint_of_id(value, known)}" for value in set(values) - set(known) - {""}
        }
    else:
        clause = "looks like a date that Excel made of an id (if it is one, name the stimuli)"
        clauses = {value: clause for value in values if _DATE.fullmatch(value)}
        clause = "is a screen of HTML without a picture: leave such out with layout keep or drop"
        clauses |= {value: clause for value in values if value.startswith("<")}
    _note(trials, name, codes, values, clauses)
    return pd.Series(_sorted_categories(codes, values))


def _hint_of_id(value: str, known: Sequence[str]) -> str:
    """Return what may have become of an id that is unknown, as the end of a clause."""
    if _DATE.fullmatch(value):
        return ": a date that Excel made of an id?"
    alike = next((one for one in known if seen_as(one) == seen_as(value)), None)
    if alike is not None:
        return f", but {alike!a} is: it differs in case, spaces or Unicode form alone"
    integer = value.removesuffix(".0")
    return f", but {integer!r} is: a program made a number of it" if integer in known and integer != value else ""


def _note(
    trials: Trials, column: str, codes: NDArray[np.integer], values: Sequence[str], clauses: Mapping[str, str]
) -> None:
    """Note a fault for each value that a clause says is wrong, at its first line."""
    if clauses:
        wrong = np.array([value in clauses for value in values], dtype=bool)
        trials.fault(wrong[codes], column, lambda row: f"{values[codes[row]]!r} {clauses[values[codes[row]]]}")


def renaming(source: Source) -> dict[str, str] | None:
    """Return the ids a source's table of names, or its ids where it numbers them, give to the file's own."""
    if source.layout.rename is None:
        return {str(number): name for number, name in enumerate(source.ids or ())} if source.numbered else None
    table = read_sheet(source.layout.rename, Layout())
    what = f"{table.path.name} renames stimuli and"
    if len(table.header) != 2 or "" in table.header:
        message = f"{what} has the columns {list(table.header)}, not two with names. Put a line above them: old,new."
        raise ValueError(message)
    old, new = map(table.column, table.header)
    incomplete = [one or other for one, other in zip(old, new, strict=True) if not (one and other)]
    if incomplete:
        message = f"{what} has nothing beside {listed(incomplete)}. Fill in the empty cell, or remove the line."
        raise ValueError(message)
    twice = repeated(old) + repeated(new)
    if twice:
        message = f"{what} repeats {listed(twice)}. Name each once."
        raise ValueError(message)
    return dict(zip(old, new, strict=True))


def _is_simulated(trials: Trials) -> bool:
    remarked = any(table.simulated for table in trials.tables)
    if "file:simulated" not in trials.frame:
        return remarked
    used = {value.lower() for value in trials.frame["file:simulated"].astype(str).unique()}
    strange = sorted(used - {*_TRUE, *_FALSE})
    if strange:
        message = f"The column simulated of {trials.source.name} has {listed(strange)}. Write true or false."
        raise ValueError(message)
    return remarked or bool(used & set(_TRUE))


PARTS = ("first", "second")
_SHOWN = re.compile(r"stimulus(_[ab123])?|choice_\d+")
_COMPARED_WITH = ("anchor", "target")  # of another trial, even if all stimuli are the same


def repeats_of(trials: Trials) -> pd.Series:
    """Return for each trial which part of a participant's repeats it belongs to.

    The first, third, fifth ... time that a participant was shown the same stimuli, in whichever order, goes to the
    first part, the others to the second. Whole arrangements alternate, in the order of their numbers.
    """
    trials.settle()
    frame = pd.DataFrame({"person": trials.people()[1]})
    if trials.has("x") and trials.has("trial"):
        number = trials.codes("trial", trials.values("trial"))
        time = pd.Series(number).groupby(frame["person"]).rank(method="dense").to_numpy() - 1
    else:
        shown = [str(name) for name in trials.frame if _SHOWN.fullmatch(str(name))]
        first = [name for name in _COMPARED_WITH if trials.has(name)]
        ids = trials.values(*shown, *first)
        alike = np.sort(np.stack([trials.codes(name, ids) for name in shown]), axis=0)
        for place, codes in enumerate([*alike, *(trials.codes(name, ids) for name in first)]):
            frame[f"shown_{place}"] = codes
        time = frame.groupby(list(frame.columns), sort=False).cumcount().to_numpy()
    second = np.asarray(time).astype(int) % 2 == 1
    if not second.any():
        message = f"No trial repeats in {trials.source.name}, so that there is no retest. Leave out layout by=repeat."
        raise ValueError(message)
    return pd.Series(np.where(second, *reversed(PARTS)))
