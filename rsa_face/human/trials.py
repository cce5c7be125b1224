"""Trials from any laboratory's files, as one checked table with our names for its columns."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rsa_face.human.faults import Fault, raise_faults
from rsa_face.human.layout import Source
from rsa_face.human.tables import Table, lines_of

GROUP = "group"


@dataclass(frozen=True)
class Column:
    """What a kind of trial expects of one column.

    Parameters
    ----------
    name : str
        Our name for it.
    number : bool
        Its cells are numbers.
    stimulus : bool
        Its cells are stimulus ids.
    required : bool
        A file without it is refused.
    empty : bool
        Its cells may be empty.
    """

    name: str
    number: bool = False
    stimulus: bool = False
    required: bool = True
    empty: bool = False


@dataclass(frozen=True, eq=False)
class Trials:
    """Trials of one or several files, and what was found wrong with them so far.

    Parameters
    ----------
    frame : DataFrame, one row a trial (or a part of one)
        Text columns are categorical, sorted as people count; number columns are float, NaN where empty.
    source : Source
        Where they come from.
    tables : tuple of Table
        The files, for the lines of faults.
    file, row : array, shape (trial,)
        For each row of `frame`, the file and the place in its table.
    faults : list of Fault
        Grows as checks are made; `settle` raises them.
    left_out : Counter
        Why -> how many rows were left out.
    simulated : bool
        The trials say that no person made them.
    columns : dict of str to str
        Our name of a column -> its name in the file, for errors.
    """

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
        """Return whether there is such a column.

        Parameters
        ----------
        column : str
            Our name.

        Returns
        -------
        bool
            True if there is.
        """
        return column in self.frame.columns

    def fault(self, wrong: NDArray[np.bool_], column: str, problem: Callable[[int], str] | str) -> None:
        """Note a fault for the rows that are wrong: one for each thing that is wrong, with its first line.

        Parameters
        ----------
        wrong : array of bool, shape (trial,)
            The rows.
        column : str
            Our name of the column; empty where the whole row is meant.
        problem : callable or str
            Says what is wrong with a row, given its place in `frame`.
        """
        rows = np.flatnonzero(wrong)
        first: dict[tuple[int, str], list[int]] = {}
        for row in rows[:20_000]:
            said = problem if isinstance(problem, str) else problem(int(row))
            first.setdefault((int(self.file[row]), said), []).append(int(row))
        beyond = len(rows) - 20_000
        for (file, said), places in list(first.items())[:200]:
            line = lines_of(self.tables[file], [int(self.row[places[0]])])[0]
            more = f", and on {len(places) - 1:,} more lines" if len(places) > 1 else ""
            more += f", and {beyond:,} more lines are wrong" if beyond > 0 else ""
            name = self.columns.get(column, column)
            self.faults.append(Fault(self.tables[file].path.name, line, name, f"{said}{more}"))

    def no_trial_twice(self) -> None:
        """Note a fault where trials are numbered and a participant's number occurs again."""
        if not self.has("trial"):
            return
        again = self.frame.duplicated([name for name in ("participant", "trial") if self.has(name)]).to_numpy()
        number = self.frame["trial"]
        self.fault(again, "trial", lambda row: f"trial {number.iloc[row]!r} of this participant occurs again")

    def settle(self) -> None:
        """Raise the faults noted so far, if there are any.

        Raises
        ------
        ValueError
            With file, line and column of each, up to twenty.
        """
        raise_faults(self.faults, f"Each line of {self.source.name} must be a trial of kind {self.source.kind!r}")

    def select(self, kept: NDArray[np.bool_]) -> "Trials":
        """Return the trials of some rows.

        Parameters
        ----------
        kept : array of bool, shape (trial,)
            The rows to keep.

        Returns
        -------
        Trials
            Those rows, with the same faults and counts.
        """
        if kept.all():
            return self
        frame = self.frame[kept].reset_index(drop=True)
        return replace(self, frame=frame, file=self.file[kept], row=self.row[kept])

    def leave_out(self, gone: NDArray[np.bool_], why: str) -> "Trials":
        """Return the trials without some rows, which are counted.

        Parameters
        ----------
        gone : array of bool, shape (trial,)
            The rows to leave out.
        why : str
            The reason they are counted under.

        Returns
        -------
        Trials
            The others.
        """
        if gone.any():
            self.left_out[why] += int(gone.sum())
        return self.select(~gone)

    def codes(self, column: str, among: Sequence[str]) -> NDArray[np.int64]:
        """Return a text column as places among some values; -1 where it is none of them.

        Parameters
        ----------
        column : str
            Our name.
        among : sequence of str
            The values.

        Returns
        -------
        array, shape (trial,)
            Places.
        """
        values = self.frame[column].cat
        place = pd.Index(list(among)).get_indexer(values.categories)
        codes = values.codes.to_numpy()
        return np.where(codes >= 0, place[codes] if len(place) else -1, -1).astype(np.int64)

    def values(self, *columns: str) -> list[str]:
        """Return the values that occur in some text columns, sorted as people count, without the empty one.

        Parameters
        ----------
        *columns : str
            Our names.

        Returns
        -------
        list of str
            Each value once.
        """
        found: set[str] = set()
        for column in columns:
            values = self.frame[column].cat
            used = np.unique(values.codes.to_numpy())
            found.update(str(values.categories[code]) for code in used if code >= 0)
        return naturally(found - {""})

    def stimuli(self, *columns: str) -> list[str]:
        """Return the stimulus ids: those known beforehand, in their order, or else those that occur.

        Parameters
        ----------
        *columns : str
            Our names of the columns that hold ids.

        Returns
        -------
        list of str
            The ids.
        """
        return list(self.source.stimuli) if self.source.stimuli is not None else self.values(*columns)


def naturally(values: Iterable[str]) -> list[str]:
    """Return text sorted as people count: f2 comes before f10.

    Parameters
    ----------
    values : iterable of str
        Any text.

    Returns
    -------
    list of str
        Sorted.

    Examples
    --------
    >>> naturally(["f10", "f2", "e"])
    ['e', 'f2', 'f10']
    """

    def key(value: str) -> tuple[list[tuple[int, int, str]], str]:
        parts = re.split(r"(\d+)", value)
        return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part], value

    return sorted(values, key=key)
