"""What a stranger's file may not do: fail in a library's words, or swell."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

MOST_BYTES = 2**30  # what any file may unpack to; beyond it, a hundred times its own size
MOST_TIMES = 100
SAVE_AS_CSV = "In a spreadsheet, save it as CSV UTF-8."
MOST_SAID = 200
MOST_YAML_BYTES = 2**20
MOST_YAML_VALUES = 100_000
_YAML_HELP = {
    "\\t": "Indent with spaces, not tabs.",
    "escape": "Write paths with /, or between single quotes.",
}


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


def read_yaml(path: Path, what: str) -> tuple[yaml.Node | None, Any]:
    """Read a YAML file of plain values; return its tree, which knows its lines, and its values.

    Refused are tags that make objects, aliases that multiply or lead to themselves, and a key given twice, of which
    YAML's readers take the last and say nothing.
    """
    size = path.stat().st_size
    if size > MOST_YAML_BYTES:
        message = f"{path.name} has {size:,} bytes. {what} has at most 1 MiB: is it the right file?"
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
        message = f"{path.name} cannot be read as YAML in UTF-8: {_yaml_fault(error)}"
        raise ValueError(message) from error
    if twice:
        message = f"{path.name} gives the key {twice} more than once. Remove one."
        raise ValueError(message)
    return tree, values


def _yaml_fault(error: BaseException) -> str:
    """Return what is wrong with a YAML file, where, and what helps against it."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f"{in_short(error)}. Is it the right file?"
    mark, problem = error.problem_mark, " ".join(str(error.problem).split())[:MOST_SAID]
    then = next((help_ for sign, help_ in _YAML_HELP.items() if sign in problem), "Fix this line or those before it.")
    context = f" {error.context}" if error.context else ""
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}{context}. {then}"


def _inside(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _values_in(node: yaml.Node, known: dict[int, int]) -> int:
    """Return how many values a node holds, aliases written out; raise where it holds itself."""
    if known.get(id(node), 0) < 0:
        message = f"the value on line {node.start_mark.line + 1} holds itself"
        raise ValueError(message)
    if id(node) not in known:
        known[id(node)] = -1
        known[id(node)] = 1 + sum(_values_in(part, known) for part in _inside(node))
    return known[id(node)]


def _first_repeated(node: yaml.Node | None, seen: set[int]) -> str:
    """Return the first key that one mapping gives twice, and on which lines; empty where none does."""
    if node is None or id(node) in seen:
        return ""
    seen.add(id(node))
    lines: dict[str, int] = {}
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        line = key.start_mark.line + 1
        if isinstance(key, yaml.ScalarNode) and key.value in lines:
            return f"{key.value!r} (lines {lines[key.value]} and {line})"
        lines[str(key.value)] = line
    return next((found for part in _inside(node) if (found := _first_repeated(part, seen))), "")
