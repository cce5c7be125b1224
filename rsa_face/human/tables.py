"""Laboratories' tables: delimited text of any encoding and layout, read as checked trials with our column names.

A `Layout` says what a file calls its columns and which rows count. `read_table` reads the text, `read_trials` finds
the columns, filters rows (counted), renames ids and checks every cell; every fault keeps its file, line and column.
"""

import codecs
import csv
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self, TextIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator

from rsa_face.settings import Settings

MOST = 20
FIX_LINES = "Fix these lines and read again."


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong in one place of one file: line 0 means the whole file, no column the whole line."""

    file: str
    line: int
    column: str
    problem: str

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}{f', column {self.column}' if self.column else ''}: {self.problem}"


def raise_faults(faults: Iterable[Fault], rule: str, *, then: str = FIX_LINES) -> None:
    """Raise all faults, up to twenty of them, as one error in the order of the files, with the rule they break."""
    each = sorted(set(faults))
    if not each:
        return
    more = f"\n  and {len(each) - MOST} more" if len(each) > MOST else ""
    lines = "".join(f"\n  {fault}" for fault in each[:MOST])
    message = f"{len(each)} fault{'s' * (len(each) > 1)}:{lines}{more}\n{rule}. {then}"
    raise ValueError(message)


def listed(values: Sequence[str], most: int = 8) -> str:
    """Return the first few of some values as text, and how many more there are.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    more = f" and {len(values) - most:,} more" if len(values) > most else ""
    return ", ".join(repr(str(value)) for value in values[:most]) + more


class Layout(Settings):
    """What cannot be known from a file of trials alone.

    A file with the columns this package expects needs none of it.

    Parameters
    ----------
    columns : dict of str to str or tuple of str
        Our name of a column -> its name in the file. Several names are joined by ``_`` into one id:
        ``{"stimulus": ("identity", "emotion", "level")}``.
    names : tuple of str, optional
        The columns' names, for a file without a header line.
    keep : dict of str to tuple of str
        Column of the file -> the values whose rows are read; the others are counted and left out.
    drop : dict of str to tuple of str
        Column of the file -> the values whose rows are left out (time-outs, catch trials), and counted.
    by : str, optional
        A factor's column in the file, such as occlusion: one RDM per participant and level of it. ``repeat``, where
        the file has no such column, splits the repeats of the same trial: the first, third ... and the others.
    group : bool
        The file has no participants: it is read as one pseudo-participant, ``group``.
    participants : Path or "none", optional
        A table with the column `participant` and what is known of each (`group`, ...), all of them. ``none``: nobody
        recorded whose each judgement is. Ratings of a stimulus are then averaged (kind ``features``).
    rename : Path, optional
        A table of two columns: the file's stimulus id, and the id it has elsewhere.
    separator : str, optional
        Between columns; found out from the header if not given.
    encoding : str, optional
        Of the text; UTF-8, or UTF-16 if the file begins with its mark, if not given.
    """

    columns: dict[str, str | tuple[str, ...]] = Field(default={})
    names: tuple[str, ...] | None = None
    keep: dict[str, tuple[str, ...]] = Field(default={})
    drop: dict[str, tuple[str, ...]] = Field(default={})
    by: str | None = None
    group: bool = False
    participants: Literal["none"] | Path | None = None
    rename: Path | None = None
    separator: str | None = None
    encoding: str | None = None

    @field_validator("keep", "drop", mode="before")
    @classmethod
    def _as_lists(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {str(k): tuple(map(_text, v if isinstance(v, list | tuple) else [v])) for k, v in value.items()}


@dataclass(frozen=True)
class Source:
    """The files to read, and what is known before they are opened."""

    paths: tuple[Path, ...]
    kind: str
    layout: Layout = field(default_factory=Layout)
    stimuli: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """The files' names, for an error."""
        return ", ".join(path.name for path in self.paths)

    @classmethod
    def of(cls, path: str | Path | Sequence[str | Path], kind: str, layout: Layout) -> Self:
        """Return the source of one or several files, all of which must exist."""
        paths = tuple(Path(one) for one in ([path] if isinstance(path, str | Path) else path))
        absent = [str(one) for one in paths if not one.is_file()]
        if absent or not paths:
            message = f"No such file: {', '.join(map(repr, absent)) or 'none is given'}. Check the path."
            raise FileNotFoundError(message)
        return cls(paths, kind, layout)


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL", "None")
_ROWS_AT_ONCE = 250_000
_BYTES_AT_ONCE = 1 << 24
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, eq=False)
class Table:
    """The columns of one file, as codes into the values that occur: ten million rows in tens of megabytes."""

    path: Path
    header: tuple[str, ...]
    codes: dict[str, NDArray[np.int32]]
    values: dict[str, list[str]]
    remarks: tuple[str, ...]
    first_line: int
    rows: NDArray[np.int32]
    encoding: str
    separator: str


def read_table(path: Path, layout: Layout, wanted: Sequence[str] | None = None) -> Table:
    """Read some columns of a delimited text file.

    Lines that begin with ``#`` above the header are remarks; blank lines are left out; quoted cells may hold
    separators and line ends. Values stay text, exactly as written but for blanks around them.
    """
    encoding = layout.encoding or _encoding_of(path)
    with path.open(encoding=encoding, newline="") as file:
        remarks, first = _remarks_of(file)
        if not first.strip():
            message = f"{path.name} is empty. A table has a header and rows."
            raise ValueError(message)
        separator = layout.separator or _separator_of(first)
        cells = [cell.strip() for cell in next(csv.reader([first], delimiter=separator))]
        header = layout.names or tuple(cells)
        names = [name for name in dict.fromkeys(header) if name and (wanted is None or name in wanted)]
        twice = [name for name in names if header.count(name) > 1]
        if twice:
            message = f"{path.name} has the columns {listed(twice)} more than once. Rename them."
            raise ValueError(message)
        if layout.names:
            file.seek(0)
            _remarks_of(file, keep_first=True)
        first_line = len(remarks) + (1 if layout.names else 2)
        table = _encode(file, header, names, separator) if _fits(cells, header) else None
    if table is None:
        _raise_long_lines(path, encoding, separator, len(remarks), len(header))
        message = f"{path.name} ends inside a quoted cell. Close the quotes."
        raise ValueError(message)
    codes, values, rows = table
    broken = [name for name in names if any("\0" in text for text in (name, *values[name]))]
    if broken:
        message = f"{path.name} has a NUL (\\0) in {listed(broken)}. Save it again as text."
        raise ValueError(message)
    return Table(path, header, codes, values, remarks, first_line, rows, encoding, separator)


def as_numbers(values: Sequence[str]) -> tuple[NDArray[np.float64], list[int]]:
    """Return text as numbers, and the places of the text that is none.

    A decimal comma is read as a point, unless the same column also has points: then one of the two is wrong.

    Examples
    --------
    >>> as_numbers(["1,5", "", "x"])
    (array([1.5, nan, nan]), [2])
    """
    text = pd.Series(list(values), dtype=object)
    absent = text.isin(MISSING).to_numpy()
    numbers = np.array(pd.to_numeric(text.where(~absent, "nan"), errors="coerce"), dtype=float)
    odd = np.flatnonzero(np.isnan(numbers) & ~absent)
    commas = [place for place in odd if re.fullmatch(r"[+-]?\d*,\d+([eE][+-]?\d+)?", text[place])]
    points = any("." in value for value in text)
    if commas and not points:
        numbers[commas] = [float(text[place].replace(",", ".")) for place in commas]
    wrong = np.flatnonzero((np.isnan(numbers) & ~absent) | np.isinf(numbers))
    numbers[wrong] = np.nan
    return numbers, [int(place) for place in wrong]


def lines_of(table: Table, rows: Sequence[int]) -> list[int]:
    """Return the lines of the file on which some rows begin."""
    places = [int(table.rows[row]) for row in rows]
    if not places:
        return []
    with table.path.open(encoding=table.encoding, newline="") as file:
        for _ in range(table.first_line - 1):
            file.readline()
        reader = csv.reader(file, delimiter=table.separator)
        starts, begin = {}, 0
        looked_for = set(places)
        for place, _ in zip(range(max(places) + 1), reader, strict=False):
            if place in looked_for:
                starts[place] = table.first_line + begin
            begin = reader.line_num
    return [starts.get(place, table.first_line + place) for place in places]


def _encoding_of(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(4096)
        marked = next((name for mark, name in _MARKS if head.startswith(mark)), "")
        if not marked and b"\0" in head:
            message = f"{path.name} is binary. Save the sheet as CSV (UTF-8), or choose another kind."
            raise ValueError(message)
        file.seek(0)
        decoder = codecs.getincrementaldecoder(marked or "utf-8")()
        try:
            while block := file.read(_BYTES_AT_ONCE):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            if marked != "utf-16":
                _raise_undecodable(path)
            message = (
                f"{path.name} begins as UTF-16 and does not go on in this encoding: {error.reason}. Save the file as "
                "UTF-8."
            )
            raise ValueError(message) from error
    return marked or "utf-8"


def _raise_undecodable(path: Path) -> None:
    faults = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                before = line[: error.start].decode("utf-8", "replace")
                cell = before.count(_separator_of(before)) + 1
                problem = f"byte 0x{line[error.start]:02x} is not UTF-8, in cell {cell}, after {before[-12:]!r}"
                faults.append(Fault(path.name, number, "", problem))
    then = "Save the file as UTF-8, or name its one encoding: layout encoding=cp1252, say."
    raise_faults(faults, f"{path.name} is not in one encoding", then=then)


def _remarks_of(file: TextIO, *, keep_first: bool = False) -> tuple[tuple[str, ...], str]:
    remarks = []
    while True:
        place = file.tell()
        line = file.readline()
        text = line.strip()
        if line and (not text or text.startswith("#")):
            remarks.append(text.removeprefix("#").strip())
            continue
        if keep_first:
            file.seek(place)
        return tuple(remarks), line


def _separator_of(line: str) -> str:
    bare = re.sub(r'"[^"]*"', "", line)
    counts = {separator: bare.count(separator) for separator in "\t;,"}
    best = max(counts, key=lambda separator: counts[separator])
    if counts[best]:
        return best
    return " " if " " in bare.strip() else ","


def _fits(cells: list[str], header: tuple[str, ...]) -> bool:
    return len(cells) <= len(header)


def _encode(
    file: TextIO, header: tuple[str, ...], names: list[str], separator: str
) -> tuple[dict[str, NDArray[np.int32]], dict[str, list[str]], NDArray[np.int32]] | None:
    """Return codes, values and rows; None where a line has more cells than the header, or a quote stays open."""
    known: dict[str, dict[str, int]] = {name: {} for name in names}
    codes: dict[str, list[NDArray[np.int32]]] = {name: [] for name in names}
    rows: list[NDArray[np.int32]] = []
    at = 0
    for chunk in _chunks(file, len(header), separator):
        if chunk is None:
            return None
        row_codes, first = pd.factorize(chunk[0].to_numpy())
        blank = np.array([not str(value).strip() for value in first], dtype=bool)[row_codes]
        if blank.any():
            blank[blank] = (chunk[blank].map(str.strip) == "").all(axis=1)
        rows.append((at + np.flatnonzero(~blank)).astype(np.int32))
        at += len(chunk)
        for name in names:
            column = chunk[header.index(name)].to_numpy()[~blank]
            codes[name].append(_coded(column, known[name]))
    joined = {name: np.concatenate(parts) if parts else np.empty(0, np.int32) for name, parts in codes.items()}
    values = {name: list(places) for name, places in known.items()}
    return joined, values, np.concatenate(rows) if rows else np.empty(0, np.int32)


def _coded(column: NDArray[np.object_], known: dict[str, int]) -> NDArray[np.int32]:
    codes, values = pd.factorize(column)
    places = [known.setdefault(str(value).strip(), len(known)) for value in values]
    return np.array(places, dtype=np.int32)[codes] if places else np.empty(0, np.int32)


def _chunks(file: TextIO, width: int, separator: str) -> Iterator[pd.DataFrame | None]:
    try:
        reader = pd.read_csv(
            file,
            sep=separator,
            header=None,
            names=list(range(width)),
            dtype=object,
            keep_default_na=False,
            na_filter=False,
            skip_blank_lines=False,
            chunksize=_ROWS_AT_ONCE,
        )
        for chunk in reader:
            yield chunk if isinstance(chunk.index, pd.RangeIndex) else None
    except pd.errors.EmptyDataError:
        return
    except pd.errors.ParserError:
        yield None


def _raise_long_lines(path: Path, encoding: str, separator: str, skipped: int, width: int) -> None:
    faults = []
    with path.open(encoding=encoding, newline="") as file:
        for _ in range(skipped):
            file.readline()
        reader = csv.reader(file, delimiter=separator)
        begin = 0
        for cells in itertools.islice(reader, None):
            if len(cells) > width:
                problem = f"has {len(cells)} cells where the header has {width}"
                faults.append(Fault(path.name, skipped + begin + 1, "", problem))
            begin = reader.line_num
            if len(faults) > MOST * 50:
                break
    then = f"A {separator!r} within a number or a name makes one cell more: write a point, or quote the cell."
    raise_faults(faults, f"Each line of {path.name} has as many cells as the header", then=then)


GROUP = "group"


@dataclass(frozen=True)
class Column:
    """What a kind of trial expects of one column."""

    name: str
    number: bool = False
    stimulus: bool = False
    required: bool = True
    empty: bool = False


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
        beyond = len(rows) - 20_000
        for (file, text), places in list(first.items())[:200]:
            line = lines_of(self.tables[file], [int(self.row[places[0]])])[0]
            more = f", and on {len(places) - 1:,} more lines" if len(places) > 1 else ""
            more += f", and {beyond:,} more lines are wrong" if beyond > 0 else ""
            name = self.columns.get(column, column)
            self.faults.append(Fault(self.tables[file].path.name, line, name, f"{text}{more}"))

    def no_trial_twice(self) -> None:
        """Note a fault where trials are numbered and a participant's number occurs again."""
        if not self.has("trial"):
            return
        again = self.frame.duplicated([name for name in ("participant", "trial") if self.has(name)]).to_numpy()
        number = self.frame["trial"]
        self.fault(again, "trial", lambda row: f"trial {number.iloc[row]!r} of this participant occurs again")

    def settle(self) -> None:
        """Raise the faults noted so far, if there are any."""
        raise_faults(self.faults, f"{self.source.name} is read as trials of kind {self.source.kind!r}")

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

    def stimuli(self, *columns: str) -> list[str]:
        """Return the stimulus ids: those known beforehand, in their order, or else those that occur."""
        return list(self.source.stimuli) if self.source.stimuli is not None else self.values(*columns)


def naturally(values: Iterable[str]) -> list[str]:
    """Return text sorted as people count: f2 comes before f10.

    Examples
    --------
    >>> naturally(["f10", "f2", "e"])
    ['e', 'f2', 'f10']
    """

    def key(value: str) -> tuple[list[tuple[int, int, str]], str]:
        parts = re.split(r"(\d+)", value)
        return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part], value

    return sorted(values, key=key)


_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"
_DATE = re.compile(rf"\d{{1,2}}-({_MONTHS})|({_MONTHS})-\d\d|\d{{1,4}}[-/.]\d{{1,2}}[-/.]\d{{1,4}}.*", re.IGNORECASE)
REPEAT = "repeat"
_TRUE, _FALSE = ("1", "true", "yes"), ("0", "false", "no", "")


def read_trials(source: Source, columns: Sequence[Column]) -> Trials:
    """Read the files of a source as one table of trials, with our names for its columns.

    Rows are filtered first (`keep`, `drop`), so that a time-out's empty cells are no fault. Then ids are renamed
    and every cell is checked. What is wrong is noted in `faults`, for the kind's own checks to add to.
    """
    layout = source.layout
    wanted = list(dict.fromkeys(name for column in columns for name in _names_in_file(column.name, layout)))
    extra = [*layout.keep, *layout.drop, *([layout.by] if layout.by else []), "simulated"]
    tables = tuple(read_table(path, layout, [*wanted, *extra]) for path in source.paths)
    raise_faults(
        [fault for table in tables for fault in _missing_columns(table, columns, layout)],
        f"A file of kind {source.kind!r} has columns of its own",
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
    """Return the columns of a file that hold neither ids nor what rows are selected by: responses, or scales."""
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
        hint = " (layout participants=none for ratings that nobody signed, group=true for a curve of a group)"
        hint = hint if name == "participant" else ""
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
        message = f"{len(ids)} ids are given for the {rows} rows of {trials.source.name}. Give one for each row."
        raise ValueError(message)
    named = pd.Categorical(list(ids), categories=pd.Index(list(ids), dtype=object))
    return replace(trials, frame=trials.frame.assign(stimulus=named))


def _joined(table: Table, names: tuple[str, ...]) -> pd.Categorical:
    if len(names) == 1:
        codes, values = table.codes[names[0]], table.values[names[0]]
        return _sorted_categories(codes, values)
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
        message = f"{trials.source.name} holds no trials{counted}. Check keep and drop."
        raise ValueError(message)
    return trials


def _must_occur(values: Sequence[str], column: pd.Series, name: str) -> None:
    levels = [str(value) for value in column.cat.categories]
    absent = [value for value in values if value not in levels]
    if absent:
        message = f"Column {name!r} has no {listed(absent)} to keep. It has {listed(levels)}."
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
        clause = "looks like a date that Excel made of an id (if it is one, name the stimuli)"
        _note(trials, name, codes, dates, values, clause)
    return pd.Series(_sorted_categories(codes, values))


def _note(
    trials: Trials, column: str, codes: NDArray[np.integer], bad: Sequence[str], values: Sequence[str], clause: str
) -> None:
    """Note a fault for each bad value that occurs, at its first line."""
    if not bad:
        return
    is_bad = np.isin(np.asarray(values, dtype=object), np.asarray(list(bad), dtype=object))
    trials.fault(is_bad[codes], column, lambda row: f"{values[codes[row]]!r} {clause}")


def renaming(source: Source) -> dict[str, str] | None:
    """Return the ids a source's table of names gives to the file's own."""
    if source.layout.rename is None:
        return None
    table = read_table(source.layout.rename, Layout())
    if len(table.header) != 2 or "" in table.header:
        message = (
            f"{table.path.name} renames stimuli and has the columns {list(table.header)}, not two with names. Put a "
            "line above them, such as old,new."
        )
        raise ValueError(message)
    old, new = ([table.values[name][code] for code in table.codes[name]] for name in table.header)
    incomplete = [one or other for one, other in zip(old, new, strict=True) if not (one and other)]
    if incomplete:
        message = (
            f"{table.path.name} renames stimuli and has nothing beside {listed(incomplete)}. Fill in the empty cell, "
            "or remove the line."
        )
        raise ValueError(message)
    twice = [name for names in (old, new) for name, count in sorted(Counter(names).items()) if count > 1]
    if twice:
        message = f"{table.path.name} renames stimuli and repeats {listed(twice)}. Name each once."
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
        message = f"The column simulated of {trials.source.name} has {listed(strange)}. Write true or false."
        raise ValueError(message)
    return remarked or bool(used & set(_TRUE))


def is_simulated(table: Table) -> bool:
    """Return whether a remark above the header says that no person made these (``# simulated: true``)."""
    return any(re.fullmatch(r"simulated\s*[:=]\s*(true|yes|1)", line, re.IGNORECASE) for line in table.remarks)


PARTS = ("first", "second")
_SHOWN = ("stimulus", "stimulus_a", "stimulus_b", "stimulus_1", "stimulus_2", "stimulus_3")


def repeats_of(trials: Trials) -> pd.Series:
    """Return for each trial which part of a participant's repeats it belongs to.

    The first, third, fifth ... time that a participant was shown the same stimuli, in whichever order, goes to the
    first part, the others to the second. Whole arrangements alternate, in the order of their numbers.
    """
    trials.settle()
    person = trials.codes("participant", trials.values("participant")) if trials.has("participant") else 0
    frame = pd.DataFrame({"person": np.broadcast_to(np.asarray(person), len(trials.frame))})
    if trials.has("x") and trials.has("trial"):
        number = trials.codes("trial", trials.values("trial"))
        time = pd.Series(number).groupby(frame["person"]).rank(method="dense").to_numpy() - 1
    else:
        shown = [name for name in _SHOWN if trials.has(name)]
        ids = trials.values(*shown)
        alike = np.sort(np.stack([trials.codes(name, ids) for name in shown]), axis=0)
        for place, codes in enumerate(alike):
            frame[f"shown_{place}"] = codes
        time = frame.groupby(list(frame.columns), sort=False).cumcount().to_numpy()
    second = np.asarray(time).astype(int) % 2 == 1
    if not second.any():
        message = f"No trial repeats in {trials.source.name}, so that there is no retest. Leave out layout by=repeat."
        raise ValueError(message)
    return pd.Series(np.where(second, *reversed(PARTS)))
