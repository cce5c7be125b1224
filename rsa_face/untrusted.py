"""What a stranger's file may not do: fail in a library's words, swell, leave its folder, or be a formula."""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 2**30  # what any file may unpack to; beyond it, a hundred times its own size
MOST_TIMES = 100
MOST_YAML_BYTES = 2**20
MOST_YAML_VALUES = 100_000
SAVE_AS_CSV = "In a spreadsheet, save it as CSV UTF-8."
_LONGEST_NAME = 150
_FORMULA = re.compile(r"[=@\t\r]|[+-].*[(|!]", re.DOTALL)  # what a spreadsheet runs when it opens a table
_MOST_SAID = 200
_YAML_HELP = {
    "\\t": "Indent with spaces, not tabs.",
    "escape": "Write paths with /, or between single quotes.",
}


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
    said = lines[0].rstrip(".")[:_MOST_SAID] if lines else ""
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


def must_not_be_formulas(names: Iterable[object], what: str, source: str) -> None:
    """Refuse names that a spreadsheet would run as a formula when it opens one of our tables.

    Names come back in every table that is written; quoted there they would no longer be the names.

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
        If a name begins with ``=``, ``@`` or a tab, or with ``+`` or ``-`` and calls something.
    """
    found = sorted({name for name in names if isinstance(name, str) and _FORMULA.match(name)})
    if found:
        shown = ", ".join(repr(name[:60]) for name in found[:20])
        message = f"A {what} must not begin like a spreadsheet's formula (=, @), but {source} has {shown}. Rename it."
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


def read_yaml(path: Path, what: str) -> tuple[yaml.Node | None, Any]:
    """Read a YAML file of plain values: no tags that make objects, no aliases that multiply or lead to themselves.

    Parameters
    ----------
    path : Path
        The file.
    what : str
        What it is, for the error: ``"A study file"``.

    Returns
    -------
    Node or None, object
        Its tree, which knows its lines, and its values.

    Raises
    ------
    ValueError
        If it is not YAML, is larger than 1 MiB, holds more than 100,000 values with its aliases written out, or
        gives a key twice: YAML's readers take the last and say nothing.
    """
    if path.stat().st_size > MOST_YAML_BYTES:
        message = (
            f"{what} must be at most 1 MiB, but {path.name} has {path.stat().st_size:,} bytes. Is it the right one?"
        )
        raise ValueError(message)
    try:
        text = path.read_text("utf-8")
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        count = 0 if tree is None else _values_in(tree, {})
        twice = _first_repeated(tree, set())
        if count > MOST_YAML_VALUES:
            message = f"its aliases make {count:,} values, more than {MOST_YAML_VALUES:,}"
            raise ValueError(message)
        values = yaml.safe_load(text)
    except Exception as error:
        message = f"{what} must be YAML in UTF-8, but {path.name} is not: {_yaml_fault(error)}"
        raise ValueError(message) from error
    if twice:
        message = f"{what} must give each key once, but {path.name} has {twice} more than once. Remove one."
        raise ValueError(message)
    return tree, values


def _yaml_fault(error: BaseException) -> str:
    """Return what is wrong with a YAML file, where, and what helps against it."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"{in_short(error)}. Is it the right file?"
    mark, problem = error.problem_mark, " ".join(str(error.problem).split())[:_MOST_SAID]
    then = next(
        (help_ for sign, help_ in _YAML_HELP.items() if sign in problem), "Mend this line or those before it."
    )
    context = f" {error.context}" if error.context else ""
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}{context}. {then}"


def _values_in(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node holds, aliases written out; raise where it holds itself."""
    if id(node) in known:
        if known[id(node)] < 0:
            message = f"the value on line {node.start_mark.line + 1} holds itself"
            raise ValueError(message)
        return known[id(node)]
    known[id(node)] = -1
    inside: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        inside = node.value
    elif isinstance(node, yaml.MappingNode):
        inside = [part for pair in node.value for part in pair]
    known[id(node)] = 1 + sum(_values_in(part, known) for part in inside)
    return known[id(node)]


def _first_repeated(node: yaml.Node | None, seen: set[int]) -> str:
    """Return the first key that one mapping gives twice, and on which lines; empty where none does."""
    if id(node) in seen:
        return ""
    seen.add(id(node))
    lines: dict[str, int] = {}
    inside: list[yaml.Node] = []
    if isinstance(node, yaml.SequenceNode):
        inside = node.value
    elif isinstance(node, yaml.MappingNode):
        inside = [part for pair in node.value for part in pair]
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if isinstance(key, yaml.ScalarNode) and key.value in lines:
                return f"{key.value!r} (lines {lines[key.value]} and {line})"
            lines[str(key.value)] = line
    return next((found for part in inside if (found := _first_repeated(part, seen))), "")
