"""YAML of plain values, from whoever wrote it: no tags that make objects, no aliases without end, no key twice."""

from pathlib import Path
from typing import Any

import yaml

from rsa_face.untrusted import MOST_SAID, in_short

MOST_YAML_BYTES = 2**20
MOST_YAML_VALUES = 100_000
_YAML_HELP = {
    "\\t": "Indent with spaces, not tabs.",
    "escape": "Write paths with /, or between single quotes.",
}


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
    mark, problem = error.problem_mark, " ".join(str(error.problem).split())[:MOST_SAID]
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
