"""What is wrong with a file, by file, line and column, collected and reported all at once."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

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
