"""What a stranger's file may not do: fail in a library's words, or swell."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MOST_BYTES = 2**30  # what any file may unpack to; beyond it, a hundred times its own size
MOST_TIMES = 100
SAVE_AS_CSV = "In a spreadsheet, save it as CSV UTF-8."
MOST_SAID = 200


@contextmanager
def reading(path: Path, rule: str, *, then: str) -> Iterator[None]:
    """Turn whatever a library raises over a file into a sentence that names the file and the rule it breaks.

    Libraries that read damaged files raise almost anything: a parser's SyntaxError, a KeyError, a struct.error. Only
    the library's own call belongs in the block, so that our own errors pass unchanged.
    """
    try:
        yield
    except Exception as error:
        message = f"{str(path)!r} cannot be read: {in_short(error)}. {rule}. {then}"
        raise ValueError(message) from error


def in_short(error: BaseException) -> str:
    """Return a library's exception in a line; its kind, where it says nothing or only a name.

    Examples
    --------
    >>> in_short(KeyError("x"))
    "KeyError 'x'"
    """
    if isinstance(error, UnicodeDecodeError):
        return f"byte {error.start + 1} is not of a text in UTF-8"
    if type(error).__name__ == "EmptyDataError":  # pandas' "No columns to parse from file"
        return "it is empty"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = lines[0].rstrip(".")[:MOST_SAID] if lines else ""
    return said if " " in said else f"{type(error).__name__} {said}".strip()


def must_not_swell(size: float, path: Path, *, on_disk: int | None = None) -> None:
    """Refuse a file that asks for more than 1 GiB of memory and a hundred times what lies on the disk."""
    there = path.stat().st_size if on_disk is None else on_disk
    if size > max(MOST_BYTES, MOST_TIMES * there):
        message = (
            f"{str(path)!r} ({there:,} bytes) asks for {size / 2**30:,.3g} GiB of memory, more than "
            f"{MOST_BYTES / 2**30:g} GiB and {MOST_TIMES} times its size. Do not use it, or write it again."
        )
        raise ValueError(message)


def read_json(path: Path, rule: str, *, then: str) -> Any:
    """Read a JSON file that may be anything; a mark of its encoding (BOM) is passed over."""
    with reading(path, rule, then=then):
        return json.loads(path.read_text("utf-8-sig"))
