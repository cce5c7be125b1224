"""What is wrong with a file, by file, line and column, collected and said all at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

MOST = 20
MEND_LINES = "Mend these lines and read again."


@dataclass(frozen=True, order=True)
class Fault:
    """One thing wrong in one place of one file.

    Parameters
    ----------
    file : str
        The file's name.
    line : int
        Its line, from 1; 0 where the whole file is meant.
    column : str
        The column's name in the file; empty where the whole line is meant.
    problem : str
        What is wrong, with the value in question.
    """

    file: str
    line: int
    column: str
    problem: str

    def __str__(self) -> str:
        place = f"{self.file}, line {self.line}" if self.line else self.file
        return f"{place}{f', column {self.column}' if self.column else ''}: {self.problem}"


def raise_faults(faults: Iterable[Fault], must: str, *, then: str = MEND_LINES) -> None:
    """Raise all faults as one error, up to twenty of them, in the order of the files; do nothing if there are none.

    Parameters
    ----------
    faults : iterable of Fault
        What was found.
    must : str
        What must hold, a clause that ", but" can follow.
    then : str
        What to do next.

    Raises
    ------
    ValueError
        If there is a fault.

    Examples
    --------
    >>> raise_faults([], "Trials must be whole")
    """
    found = sorted(set(faults))
    if not found:
        return
    more = f"\n  and {len(found) - MOST} more" if len(found) > MOST else ""
    lines = "".join(f"\n  {fault}" for fault in found[:MOST])
    count = "1 fault" if len(found) == 1 else f"{len(found)} faults"
    message = f"{must}, but there {'is' if len(found) == 1 else 'are'} {count}:{lines}{more}\n{then}"
    raise ValueError(message)


def listed(values: Sequence[str], most: int = 8) -> str:
    """Return the first few of some values as text, and how many more there are.

    Parameters
    ----------
    values : sequence of str
        What to list.
    most : int
        How many to show.

    Returns
    -------
    str
        For an error or a summary.

    Examples
    --------
    >>> listed(["a", "b", "c"], most=2)
    "'a', 'b' and 1 more"
    """
    more = f" and {len(values) - most:,} more" if len(values) > most else ""
    return ", ".join(repr(str(value)) for value in values[:most]) + more
