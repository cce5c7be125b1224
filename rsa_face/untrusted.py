"""What a stranger's file may not do: fail in a library's words, swell, leave its folder, or be a formula."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

MOST_BYTES = 2**30  # what any file may unpack to; beyond it, a hundred times its own size
MOST_TIMES = 100
SAVE_AS_CSV = "In a spreadsheet, save it as CSV UTF-8."
_LONGEST_NAME = 150
_FORMULA = re.compile(r"[=@\t\r]|[+-].*[(|!]", re.DOTALL)  # what a spreadsheet runs when it opens a table
MOST_SAID = 200


@contextmanager
def reading(path: Path, must: str, *, then: str) -> Iterator[None]:
    """Turn whatever a library raises over a file into a sentence that names the file.

    Libraries that read damaged files raise almost anything: a parser's SyntaxError, a KeyError, a struct.error. Only
    the library's own call belongs in the block, so that our own errors pass unchanged.

    Parameters
    ----------
    path : Path
        The file.
    must : str
        What must hold, a clause that ", but" can follow.
    then : str
        What to do next.

    Yields
    ------
    None
        While the file is read.

    Raises
    ------
    ValueError
        In place of any exception in the block.
    """
    try:
        yield
    except Exception as error:
        message = f"{must}, but {str(path)!r} cannot be read: {in_short(error)}. {then}"
        raise ValueError(message) from error


def in_short(error: BaseException) -> str:
    """Return what a library's exception says, in a line.

    Parameters
    ----------
    error : BaseException
        The exception.

    Returns
    -------
    str
        Its first line without the full stop; its kind, where it says nothing or only a name.

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
    """Refuse to unpack what takes far more memory than the file could hold: a bomb, or a shape that is a lie.

    Parameters
    ----------
    size : float
        Bytes in memory that the file asks for.
    path : Path
        The file.
    on_disk : int, optional
        Bytes of what is packed, if not the whole file's.

    Raises
    ------
    ValueError
        If that is more than 1 GiB and more than a hundred times what lies on the disk.
    """
    there = path.stat().st_size if on_disk is None else on_disk
    if size > max(MOST_BYTES, MOST_TIMES * there):
        message = (
            f"A file must not unpack to more than {MOST_BYTES / 2**30:g} GiB or {MOST_TIMES} times its size, but "
            f"{str(path)!r} ({there:,} bytes) asks for {size / 2**30:,.3g} GiB. Do not use it, or write it anew."
        )
        raise ValueError(message)


def must_be_plain_names(names: Iterable[object], what: str, source: str) -> None:
    """Refuse names that would not come back from our files as they are.

    A spreadsheet runs some as formulas when it opens a table; quoted there they would no longer be the names. Arrays
    of texts lose a NUL at the end, so that two names may become one.

    Parameters
    ----------
    names : iterable of object
        Ids, labels, participants; what is no text is passed over.
    what : str
        What they are, for the error: ``"stimulus"``.
    source : str
        Where they stand.

    Raises
    ------
    ValueError
        If a name begins with ``=``, ``@`` or a tab, or with ``+`` or ``-`` and calls something, or has a NUL in it.
    """
    found = sorted({name for name in names if isinstance(name, str) and (_FORMULA.match(name) or "\0" in name)})
    if found:
        shown = ", ".join(repr(name[:60]) for name in found[:20])
        message = (
            f"A {what} must not begin like a spreadsheet's formula (=, @) or hold a NUL (\\0), but {source} has "
            f"{shown}. Rename it."
        )
        raise ValueError(message)


def must_be_file_names(names: Iterable[str], what: str, source: str) -> None:
    """Refuse names that cannot be part of a file's name, or would lead out of its folder.

    Parameters
    ----------
    names : iterable of str
        Names that files will be called by.
    what : str
        What they are, for the error.
    source : str
        Where they stand.

    Raises
    ------
    ValueError
        If a name is empty or very long, begins with a dot, or holds a slash, a backslash or a control character.
    """
    found = sorted({str(name) for name in names if not is_file_name(str(name))})
    if found:
        shown = ", ".join(repr(name[:60]) for name in found[:20])
        message = (
            f"A {what} must be fit for a file's name (no slashes, no dot in front, at most {_LONGEST_NAME} letters), "
            f"but {source} has {shown}. Rename it."
        )
        raise ValueError(message)


def is_file_name(name: str) -> bool:
    """Return whether a file can be called so without leaving its folder.

    Parameters
    ----------
    name : str
        The name.

    Returns
    -------
    bool
        False for ``..``, ``a/b`` and the like.

    Examples
    --------
    >>> is_file_name("id01_level-0.5"), is_file_name("../x")
    (True, False)
    """
    plain = not re.search(r"[/\\\x00-\x1f\x7f]", name)
    return bool(name.strip()) and plain and not name.startswith(".") and len(name.encode()) <= _LONGEST_NAME


def must_stay_inside(path: Path, folder: Path) -> None:
    """Refuse to write through a symbolic link that leads out of the folder.

    Parameters
    ----------
    path : Path
        What will be written.
    folder : Path
        The folder it belongs to; it may itself be a link.

    Raises
    ------
    ValueError
        If the path leads elsewhere.
    """
    inside = folder.resolve()
    found = path.parent.resolve()
    if not found.is_relative_to(inside):
        message = (
            f"What is written must stay in its folder, but {str(path.parent)!r} leads from {str(inside)!r} to "
            f"{str(found)!r}. Remove that link."
        )
        raise ValueError(message)


def read_json(path: Path, must: str, *, then: str) -> Any:
    """Read a JSON file that may be anything.

    Parameters
    ----------
    path : Path
        The file; a mark of its encoding (BOM) is passed over.
    must : str
        What must hold, a clause that ", but" can follow.
    then : str
        What to do next.

    Returns
    -------
    object
        Its tree.

    Raises
    ------
    ValueError
        If it is not whole JSON.
    """
    with reading(path, must, then=then):
        return json.loads(path.read_text("utf-8-sig"))
