"""Delimited text as laboratories have it: marks, separators and encodings are found out, every fault has its line."""

import codecs
import csv
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rsa_face.human.faults import MOST, Fault, listed, raise_faults
from rsa_face.human.layout import Layout

MISSING = ("", "NA", "N/A", "#N/A", "NaN", "nan", "null", "NULL", "None")
_ROWS_AT_ONCE = 250_000
_BYTES_AT_ONCE = 1 << 24
_MARKS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))


@dataclass(frozen=True, eq=False)
class Table:
    """The columns of one file, as codes into the values that occur: ten million rows in tens of megabytes.

    Parameters
    ----------
    path : Path
        The file.
    header : tuple of str
        The names of all its columns.
    codes : dict of str to array, shape (row,)
        Column -> for each row, the place of its value in `values`.
    values : dict of str to list of str
        Column -> the values that occur, without the blanks around them.
    remarks : tuple of str
        The comment lines (``# ...``) above the header, without the mark.
    first_line : int
        The line of the first row.
    rows : array, shape (row,)
        For each row kept, its place among all the file's rows: blank ones are left out.
    encoding, separator : str
        As found out or given.
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


def read_table(path: Path, layout: Layout, wanted: Sequence[str] | None = None) -> Table:
    """Read some columns of a delimited text file.

    Lines that begin with ``#`` above the header are remarks; blank lines are left out; quoted cells may hold
    separators and line ends. Values stay text, exactly as written but for blanks around them.

    Parameters
    ----------
    path : Path
        The file.
    layout : Layout
        Its separator, encoding and column names, where they are given.
    wanted : sequence of str, optional
        The columns to keep; all if not given. Those the file lacks are passed over.

    Returns
    -------
    Table
        The columns there are among those wanted.

    Raises
    ------
    ValueError
        If the file is not text, is empty, is not in one encoding, repeats the name of a wanted column, has
        lines with more cells than the header, or holds a NUL, which arrays of texts lose.
    """
    encoding = layout.encoding or _encoding_of(path)
    with path.open(encoding=encoding, newline="") as file:
        remarks, first = _remarks_of(file)
        if not first.strip():
            message = f"A table must have a header and rows, but {path.name} is empty. Write it anew."
            raise ValueError(message)
        separator = layout.separator or _separator_of(first)
        cells = [cell.strip() for cell in next(csv.reader([first], delimiter=separator))]
        header = layout.names or tuple(cells)
        kept = [name for name in dict.fromkeys(header) if name and (wanted is None or name in wanted)]
        twice = [name for name in kept if header.count(name) > 1]
        if twice:
            message = f"Each column must have a name of its own, but {path.name} has {twice} more than once."
            raise ValueError(message)
        if layout.names:
            file.seek(0)
            _remarks_of(file, keep_first=True)
        first_line = len(remarks) + (1 if layout.names else 2)
        table = _encode(file, header, kept, separator) if _fits(cells, header) else None
    if table is None:
        _raise_long_lines(path, encoding, separator, len(remarks), len(header))
        message = f"A table's lines must be whole, but {path.name} ends inside a quoted cell. Close the quotes."
        raise ValueError(message)
    codes, values, rows = table
    broken = [name for name in kept if any("\0" in text for text in (name, *values[name]))]
    if broken:
        message = f"A table must be text, but {path.name} has a NUL (\\0) in {listed(broken)}. Save it anew."
        raise ValueError(message)
    return Table(path, header, codes, values, remarks, first_line, rows, encoding, separator)


def as_numbers(values: Sequence[str]) -> tuple[NDArray[np.float64], list[int]]:
    """Return text as numbers, and the places of the text that is none.

    A decimal comma is read as a point, unless the same column also has points: then one of the two is wrong.

    Parameters
    ----------
    values : sequence of str
        What stands in the cells.

    Returns
    -------
    numbers : array, shape (value,)
        NaN where a cell is empty or says that a value is missing.
    wrong : list of int
        The places of what is not a finite number.

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
    """Return the lines of the file on which some rows begin.

    Parameters
    ----------
    table : Table
        The table.
    rows : sequence of int
        Places among the table's rows.

    Returns
    -------
    list of int
        Lines, from 1.
    """
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
            message = (
                f"Trials must be delimited text, but {path.name} is binary. Save the sheet as CSV (UTF-8), or choose "
                "another kind."
            )
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
                f"All of {path.name} must be in one encoding, but it begins as UTF-16 and does not go on so: "
                f"{error.reason}. Save the file as UTF-8."
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
    raise_faults(faults, f"All of {path.name} must be in one encoding", then=then)


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
    file: TextIO, header: tuple[str, ...], kept: list[str], separator: str
) -> tuple[dict[str, NDArray[np.int32]], dict[str, list[str]], NDArray[np.int32]] | None:
    """Return codes, values and rows; None where a line has more cells than the header, or a quote stays open."""
    known: dict[str, dict[str, int]] = {name: {} for name in kept}
    codes: dict[str, list[NDArray[np.int32]]] = {name: [] for name in kept}
    rows: list[NDArray[np.int32]] = []
    at = 0
    for chunk in _chunks(file, len(header), separator):
        if chunk is None:
            return None
        own, first = pd.factorize(chunk[0].to_numpy())
        blank = np.array([not str(value).strip() for value in first], dtype=bool)[own]
        if blank.any():
            blank[blank] = (chunk[blank].map(str.strip) == "").all(axis=1)
        rows.append((at + np.flatnonzero(~blank)).astype(np.int32))
        at += len(chunk)
        for name in kept:
            column = chunk[header.index(name)].to_numpy()[~blank]
            codes[name].append(_coded(column, known[name]))
    joined = {name: np.concatenate(parts) if parts else np.empty(0, np.int32) for name, parts in codes.items()}
    values = {name: list(places) for name, places in known.items()}
    return joined, values, np.concatenate(rows) if rows else np.empty(0, np.int32)


def _coded(column: NDArray[np.object_], known: dict[str, int]) -> NDArray[np.int32]:
    own, values = pd.factorize(column)
    places = [known.setdefault(str(value).strip(), len(known)) for value in values]
    return np.array(places, dtype=np.int32)[own] if places else np.empty(0, np.int32)


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
    raise_faults(faults, f"Each line of {path.name} must have as many cells as the header", then=then)
