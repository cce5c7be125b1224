"""Laboratories' tables: delimited text of any encoding and layout, read as columns of text, and faults in its places.

A `Layout` says what a file calls its columns and which rows count, a `Fault` what is wrong in which file, line and
column. `read_table` reads the text and leaves values as they are written; `trials` makes trials of them.
"""

import codecs
import csv
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TextIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import Field, field_validator

from rsa_face.schema import MISSING
from rsa_face.settings import Settings

MOST = 20
FIX_LINES = "Fix these lines and read again."
GROUP = "group"


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong in one place of one file: line 0 means the whole file, no column the whole line."""

    file: str
    line: int
    column: str
    problem: str
    unit: str = "line"

    def __str__(self) -> str:
        place = f"{self.file}, {self.unit} {self.line}" if self.line else self.file
        return f"{place}{f', column {self.column}' if self.column else ''}: {self.problem}"


def raise_faults(faults: Iterable[Fault], rule: str, *, then: str = FIX_LINES, of: int = 0) -> None:
    """Raise all faults as one error in the order of the files, up to twenty of them, with the rule they break.

    What is wrong in the same way in several files is said once for all of them; `of` is how many files there are.
    """
    each = sorted(set(faults))
    files: dict[tuple[str, str], set[str]] = {}
    for one in each:
        files.setdefault((one.column, one.problem), set()).add(one.file)
    lines, grouped = [], set()
    for one in each:
        key = one.column, one.problem
        if len(files[key]) <= 3:
            lines.append(str(one))
        elif key not in grouped:
            grouped.add(key)
            count = len(files[key])
            which = f"all {count}" if count == of else str(count)
            lines.append(str(replace(one, file=f"in {which} files, such as {one.file}")))
    if lines:
        more = f"\n  and {len(lines) - MOST} more" if len(lines) > MOST else ""
        shown = "".join(f"\n  {line}" for line in lines[:MOST])
        message = f"{len(lines)} fault{'s' * (len(lines) > 1)}:{shown}{more}\n{rule}. {then}"
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
    recode : dict of str to dict of str to str
        Column of ours -> what the file writes -> what is meant: ``{"response": {"j": "anger", "f": "fear"}}``.
    files : str, optional
        What the names of files say, where each holds one participant or session: ``{participant}_ses-{session}``, or
        a regular expression with named groups; with a slash, the folders above, too. Its parts become columns.
    wide : str, optional
        How the columns are called that hold the answers of several annotators (or to several questions) in one row:
        ``rater_{participant}``, ``Q_{stimulus}``, or ``{participant}_{column}`` where each has several columns. A row
        is read as one trial for each of them who answered.
    preamble : int, optional
        How many lines stand above the header, beside remarks that begin with ``#``.
    software : str, optional
        Which experiment software wrote the file, a key of `rsa_face.human.experiments.SOFTWARE`; taken from its
        header if not given.
    sheet : str, optional
        The sheet to read, in an Excel file that holds several.
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
        Between columns; taken from the header if not given.
    encoding : str, optional
        Of the text; UTF-8, or UTF-16 if the file begins with its mark, if not given.
    """

    columns: dict[str, str | tuple[str, ...]] = Field(default={})
    names: tuple[str, ...] | None = None
    keep: dict[str, tuple[str, ...]] = Field(default={})
    drop: dict[str, tuple[str, ...]] = Field(default={})
    recode: dict[str, dict[str, str]] = Field(default={})
    files: str | None = None
    wide: str | None = None
    preamble: Annotated[int, Field(ge=0)] | None = None
    software: str | None = None
    sheet: str | None = None
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

    def in_file(self, name: str) -> tuple[str, ...]:
        """Return the columns of the file that hold a column of ours."""
        names = self.columns.get(name, name)
        return (names,) if isinstance(names, str) else tuple(names)

    @property
    def selectors(self) -> list[str]:
        """The columns of the file by which rows are selected or split."""
        return list(dict.fromkeys([*self.keep, *self.drop, *([self.by] if self.by else [])]))


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()


@dataclass(frozen=True)
class Source:
    """The files to read, and what is known before they are opened."""

    paths: tuple[Path, ...]
    kind: str
    layout: Layout = field(default_factory=Layout)
    stimuli: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None
    numbered: bool = False  # its stimuli are numbers, counted from 0, of `ids`

    @property
    def name(self) -> str:
        """The files' names, for an error."""
        names = [path.name for path in self.paths]
        return ", ".join(names) if len(names) <= MOST else f"{', '.join(names[:3])} and {len(names) - 3} more"

    @classmethod
    def of(cls, path: str | Path | Sequence[str | Path], kind: str, layout: Layout) -> Self:
        """Return the source of one or several files, all of which must exist; a folder stands for its tables."""
        given = [Path(one) for one in ([path] if isinstance(path, str | Path) else path)]
        paths = tuple(file for one in given for file in files_in(one))
        absent = [str(one) for one in paths if not one.is_file()]
        if absent or not paths:
            message = f"No such file: {', '.join(map(repr, absent)) or 'none is given'}. Check the path."
            raise FileNotFoundError(message)
        return cls(paths, kind, layout)


_TABLES = (".csv", ".tsv", ".tab", ".txt", ".log", ".json", ".xlsx", ".xlsm")


def files_in(path: Path) -> list[Path]:
    """Return the tables in a folder and below it, or those that a name with ``*`` stands for, as people count."""
    if path.is_dir():
        files = [file for file in path.rglob("*") if file.suffix.lower() in _TABLES and file.is_file()]
    elif "*" in path.name and not path.exists():
        files = [file for file in path.parent.glob(path.name) if file.is_file()]
    else:
        return [path]
    if not files:
        message = f"No table in {str(path)!r}: it holds none of {', '.join(_TABLES)}. Check the path."
        raise FileNotFoundError(message)
    return [Path(name) for name in naturally(map(str, files))]


_ROWS_AT_ONCE = 250_000
_BYTES_AT_ONCE = 1 << 24
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SEPARATORS = "\t;,|"
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2}([.,])\d{3}(\1\d{3})*")
_SEPARATOR_LINE = re.compile(r'"?sep=(.)"?', re.IGNORECASE)  # of Excel, above the header


@dataclass(frozen=True, eq=False)
class Table:
    """The columns of one file, as codes into the values that occur: ten million rows in tens of megabytes.

    The first column without a name is called ``""``; further ones, which a trailing separator makes, are not read.
    """

    path: Path
    header: tuple[str, ...]
    codes: dict[str, NDArray[np.int32]]
    values: dict[str, list[str]]
    remarks: tuple[str, ...]
    first_line: int
    rows: NDArray[np.int32]
    encoding: str
    separator: str
    software: str = ""
    unit: str = "line"
    left_out: Counter[str] = field(default_factory=Counter)

    def select(self, rows: NDArray[np.bool_], why: str) -> "Table":
        """Return the table with some of its rows; the others are counted, unless they never were data."""
        if rows.all():
            return self
        left_out = self.left_out + Counter({why: int((~rows).sum())} if why else {})
        codes = {name: codes[rows] for name, codes in self.codes.items()}
        return replace(self, codes=codes, rows=self.rows[rows], left_out=left_out)

    def column(self, name: str) -> list[str]:
        """Return a column as text, cell by cell."""
        return [self.values[name][code] for code in self.codes[name]]

    @property
    def simulated(self) -> bool:
        """Whether a remark above the header says that no person made these (``# simulated: true``)."""
        return any(re.fullmatch(r"simulated\s*[:=]\s*(true|yes|1)", line, re.IGNORECASE) for line in self.remarks)


@dataclass(frozen=True)
class Head:
    """What stands above the rows of a delimited text, and how it is written."""

    path: Path
    encoding: str
    separator: str
    remarks: tuple[str, ...]
    header: tuple[str, ...]
    first_line: int
    body: int  # where the rows begin


def head_of(path: Path, layout: Layout) -> Head:
    """Read what stands above the rows of a delimited text file."""
    encoding = layout.encoding or encoding_of(path)
    with path.open(encoding=encoding, newline="") as file:
        remarks, first = _remarks_of(file, preamble=layout.preamble or 0)
        if not first.strip():
            message = f"{path.name} is empty. A table has a header and rows."
            raise ValueError(message)
        separator = layout.separator or _separator_of(first, remarks)
        cells = next(csv.reader([first], delimiter=separator, skipinitialspace=True))
        header = layout.names or tuple(map(_clean, cells))
        if layout.names:
            file.seek(0)
            _remarks_of(file, preamble=layout.preamble or 0, keep_first=True)
        return Head(
            path, encoding, separator, remarks, header, len(remarks) + (1 if layout.names else 2), file.tell()
        )


def read_table(head: Head, layout: Layout, wanted: Sequence[str] | None = None) -> Table:
    """Read some columns of a delimited text file.

    Lines that begin with ``#`` above the header are remarks; blank lines are left out; quoted cells may hold
    separators and line ends. Values stay text, exactly as written but for blanks around them and marks of the
    encoding, which files have inside when they were put together from several.
    """
    path, header, separator = head.path, head.header, head.separator
    names = [name for name in dict.fromkeys(header) if wanted is None or name in wanted]
    twice = [name for name in names if name and header.count(name) > 1]
    if twice:
        message = f"{path.name} has the columns {listed(twice)} more than once. Rename them."
        raise ValueError(message)
    with path.open(encoding=head.encoding, newline="") as file:
        file.seek(head.body)
        encoded = _encode(file, header, names, separator)
        if encoded is None:
            surplus = _surplus(path, head.encoding, separator, head.first_line, len(header))
            file.seek(head.body)
            encoded = _encode(file, (*header, *[""] * surplus), names, separator)
    if encoded is None:
        message = f"{path.name} ends inside a quoted cell. Close the quotes; a quote within one is written twice."
        raise ValueError(message)
    codes, values, rows = encoded
    broken = [name for name in names if any("\0" in text for text in (name, *values[name]))]
    if broken:
        message = f"{path.name} has a NUL (\\0) in {listed(broken)}. Save it again as text."
        raise ValueError(message)
    table = Table(path, header, codes, values, head.remarks, head.first_line, rows, head.encoding, separator)
    if not layout.names:
        _refuse_repeated_header(table, names)
    return table


def as_numbers(values: Sequence[str]) -> tuple[NDArray[np.float64], dict[int, str]]:
    """Return text as numbers, and the places of the text that is none with what is wrong there.

    A decimal comma is read as a point, unless the same column also has points: then one of the two is wrong. Where
    all that have a comma have it as ``1,200`` does, it may separate thousands, and nothing says which it is.

    Examples
    --------
    >>> as_numbers(["1,5", "", "x"])
    (array([1.5, nan, nan]), {2: 'is not a number'})
    >>> as_numbers(["1,200", "950"])[1]
    {0: 'is 1.2 or 1200: write it without a comma'}
    """
    text = pd.Series(list(values), dtype=object)
    absent = text.isin(MISSING).to_numpy()
    numbers = np.array(pd.to_numeric(text.where(~absent, "nan"), errors="coerce"), dtype=float)
    odd = np.flatnonzero(np.isnan(numbers) & ~absent)
    commas = [int(place) for place in odd if re.fullmatch(r"[+-]?\d*(,\d+)+([eE][+-]?\d+)?", text[place])]
    unclear = bool(commas) and all(_THOUSANDS.fullmatch(text[place]) for place in commas)
    if not unclear and not any("." in value for value in text):
        single = [place for place in commas if text[place].count(",") == 1]
        numbers[single] = [float(text[place].replace(",", ".")) for place in single]
    wrong = np.flatnonzero((np.isnan(numbers) & ~absent) | np.isinf(numbers))
    numbers[wrong] = np.nan
    return numbers, {int(place): _why_no_number(text[place], unclear=unclear) for place in wrong}


def _why_no_number(text: str, *, unclear: bool) -> str:
    if unclear and _THOUSANDS.fullmatch(text):
        point = float(text.replace(",", ".", 1)) if text.count(",") == 1 else float("nan")
        either = f"{point:g} or " if point == point else ""
        return f"is {either}{text.replace(',', '')}: write it without a comma"
    if re.fullmatch(r"[+-]?[\d.,]+\s*%", text):
        return "is a percentage, not a number: write it without the sign"
    return "is not a number"


def warn_of_thousands(values: Sequence[str], name: str, source: str) -> None:
    """Warn where every number with a point could have it between thousands: 1.200 beside 950."""
    numbers = [value for value in values if value not in MISSING]
    points = [value for value in numbers if "." in value]
    if points and len(points) < len(numbers) and all(_THOUSANDS.fullmatch(value) for value in points):
        message = (
            f"Column {name} of {source} has {listed(points, 3)}, read as {float(points[0]):g} and so on. If the "
            "points separate thousands, remove them."
        )
        warnings.warn(message, stacklevel=3)


def lines_of(table: Table, rows: Sequence[int]) -> list[int]:
    """Return the lines of the file on which some rows begin."""
    places = [int(table.rows[row]) for row in rows]
    if not places or table.unit != "line":
        return [table.first_line + place for place in places]
    starts, wanted = {}, set(places)
    for place, (line, _) in enumerate(_records(table.path, table.encoding, table.separator, table.first_line)):
        if place in wanted:
            starts[place] = line
        if place >= max(places):
            break
    return [starts.get(place, table.first_line + place) for place in places]


def _records(path: Path, encoding: str, separator: str, first_line: int) -> Iterator[tuple[int, list[str]]]:
    """Give the line on which each record below the header begins, and its cells."""
    with path.open(encoding=encoding, newline="") as file:
        for _ in range(first_line - 1):
            file.readline()
        reader = csv.reader(file, delimiter=separator, skipinitialspace=True)
        line = first_line
        for cells in reader:
            yield line, cells
            line = first_line + reader.line_num


def encoding_of(path: Path) -> str:
    """Return the encoding of a text: that of its mark, or UTF-8, in which all of it must be."""
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
    for number, line in enumerate(path.read_bytes().split(b"\n"), start=1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError as error:
            before = line[: error.start].decode("utf-8", "replace")
            cell = before.count(_separator_of(before)) + 1
            problem = f"byte 0x{line[error.start]:02x} is not UTF-8, in cell {cell}, after {before[-12:]!r}"
            faults.append(Fault(path.name, number, "", problem))
    then = "Save the file as UTF-8, or name its one encoding: layout encoding=cp1252, say."
    raise_faults(faults, f"{path.name} is not in one encoding", then=then)


def _remarks_of(file: TextIO, *, preamble: int, keep_first: bool = False) -> tuple[tuple[str, ...], str]:
    """Return the lines above the header, without their mark, and the header; the file then stands behind it."""
    remarks = [file.readline().strip().removeprefix("#").strip() for _ in range(preamble)]
    while True:
        place = file.tell()
        line = file.readline()
        text = line.strip()
        if line and (not text or text.startswith("#") or (not remarks and _SEPARATOR_LINE.fullmatch(text))):
            remarks.append(text.removeprefix("#").strip())
            continue
        if keep_first:
            file.seek(place)
        return tuple(remarks), line


def _separator_of(line: str, remarks: Sequence[str] = ()) -> str:
    named = _SEPARATOR_LINE.fullmatch(remarks[0]) if remarks else None
    if named:
        return named[1]
    bare = re.sub(r'"[^"]*"', "", line)
    best = max(_SEPARATORS, key=bare.count)
    if best in bare:
        return best
    return " " if " " in bare.strip() else ","


def _clean(cell: object) -> str:
    return str(cell).replace("\ufeff", "").strip()


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
        # a row is blank if all its cells are: only those with a blank first cell are looked at in full
        row_codes, first = pd.factorize(chunk[0].to_numpy())
        blank = np.array([not _clean(value) for value in first], dtype=bool)[row_codes]
        if blank.any():
            blank[blank] = (chunk[blank].map(_clean) == "").all(axis=1)
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
    places = [known.setdefault(_clean(value), len(known)) for value in values]
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
            skipinitialspace=True,
            chunksize=_ROWS_AT_ONCE,
        )
        for chunk in reader:
            yield chunk if isinstance(chunk.index, pd.RangeIndex) else None
    except pd.errors.EmptyDataError:
        return
    except pd.errors.ParserError:
        yield None


def _surplus(path: Path, encoding: str, separator: str, first_line: int, width: int) -> int:
    """Return how many empty cells some lines have more than the header; raise where these hold anything."""
    faults, surplus, longer, count, escaped = [], 0, 0, 0, False
    for line, cells in _records(path, encoding, separator, first_line):
        count += 1
        surplus = max(surplus, len(cells) - width)
        if len(cells) > width:
            longer += len(cells) == width + 1
            escaped |= any("\\" in cell for cell in cells)
            if any(map(_clean, cells[width:])):
                problem = f"has {len(cells)} cells where the header has {width}"
                faults.append(Fault(path.name, line, "", problem))
        if len(faults) > MOST * 50:
            break
    then = f"A {separator!r} within a number or a name makes one cell more: write a point, or quote the cell."
    if escaped:
        then = "A quote within a quoted cell is written twice, not with a backslash."
    elif longer == count:
        then = "Each line has one cell more: are these R's row names? Write the table with row.names=FALSE."
    raise_faults(faults, f"Each line of {path.name} has as many cells as the header", then=then)
    return surplus


def _refuse_repeated_header(table: Table, names: Sequence[str]) -> None:
    """Refuse a header inside the table, as files have that were put together from several."""
    if len(names) < 2 or not len(table.rows):
        return
    again = np.ones(len(table.rows), dtype=bool)
    for name in names:
        if name not in table.values[name]:
            return
        again &= table.codes[name] == table.values[name].index(name)
    rows = np.flatnonzero(again)[: MOST + 1].tolist()
    faults = [Fault(table.path.name, line, "", "is the header again") for line in lines_of(table, rows)]
    raise_faults(faults, "A table has one header", then="Remove these lines and read again.")
