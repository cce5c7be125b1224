"""Damage to files as hypothesis draws it: bytes flipped and cut, cells and values swapped for what nobody expects."""

import json
from typing import Any

from hypothesis import strategies as st

TOKENS = (
    "", "nan", "NaN", "inf", "-inf", "1e309", "-0", "1e-320", "99999999999999999999", "-1", "0.5", "1,5", "\0", '"',
    "'", ",", ";", "\t", "\n", "\r", "\r\n", " ", "#", "# simulated: perhaps", "=1+1", "@SUM(A1)", "null", "None", "~",
    "{}", "[]", "true", "a" * 300, "../../x", "/", "/etc/passwd", "<script>alert(1)</script>", "é", "😀", "١", "½", "\u202e",
    "!!python/object/apply:os.system ['true']", "&a [*a]", "*a", "{a: b}", "2020-01-01", "1 2 3 4", "-1 -1 -1 -1", "0x10",
    "1_000", "participant", "stimulus", "a", "b", "p1", "\ufeff", "1e400", "00", "[" * 60, "? ", "- ", "!", "%YAML 9",
)  # fmt: skip
BYTES = (
    b"",
    b"\0",
    b"\xff",
    b"\xff\xfe",
    b"\xfe\xff",
    b"\x80",
    b"PK\x03\x04",
    b"\x93NUMPY",
    b"\x89HDF",
    b"\0" * 40,
    b"\xff" * 8,
)
VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1e308, 10**30, "", "x", "nan", [], {}, [[]], [None], {"a": 1}, [1, 2], "../x", 0.5, [0, "a"],
)  # fmt: skip


@st.composite
def damaged_bytes(draw: st.DrawFn, contents: list[bytes]) -> bytes:
    """Return a file's content after up to four changes of its bytes; HDF5 and Matlab files are cut short alone.

    Their libraries follow what a file says of itself, and may end the process over a changed pointer.
    """
    content = bytearray(draw(st.sampled_from(contents)))
    if content.startswith((b"\x89HDF", b"MATLAB")):
        return bytes(content[: draw(st.sampled_from((len(content), len(content) // 2, 600, 100, 8)))])
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(len(content) - 1, 0)))
        how = draw(st.sampled_from(("flip", "cut", "remove", "insert", "number", "repeat")))
        if how == "flip" and content:
            content[at] ^= draw(st.integers(1, 255))
        elif how == "cut":
            del content[at:]
        elif how == "remove":
            del content[at : at + draw(st.integers(1, 64))]
        elif how == "insert":
            content[at:at] = draw(st.sampled_from(BYTES))
        elif how == "number":
            width = draw(st.sampled_from((1, 2, 4, 8)))
            value = draw(st.sampled_from((0, 1, 2 ** (8 * width - 1), 2 ** (8 * width) - 1, 2 ** (4 * width))))
            content[at : at + width] = value.to_bytes(width, "little")
        else:
            content[at:at] = content[at : at + draw(st.integers(1, 64))]
    return bytes(content)


@st.composite
def damaged_text(draw: st.DrawFn, contents: list[bytes]) -> bytes:
    """Return a table's or a tree's content after up to four changes of its cells, lines, values or bytes."""
    content = draw(st.sampled_from(contents))
    if draw(st.integers(0, 5)) == 0:
        return draw(damaged_bytes([content]))
    if content[:4] == b"\x89HDF":
        return draw(damaged_bytes([content]))
    text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8")
    if text.lstrip()[:1] in "{[" and draw(st.booleans()):
        return json.dumps(draw(_changed_tree(json.loads(text)))).encode()
    for _ in range(draw(st.integers(0, 4))):
        text = draw(_changed_text(text))
    return text.encode("utf-8")


@st.composite
def _changed_text(draw: st.DrawFn, text: str) -> str:
    marks = [place for place, letter in enumerate(text) if letter in ",;\t\n:{}[] "]
    how = draw(st.sampled_from(("cell", "cell", "cell", "line", "lines", "insert", "cut", "swap")))
    token = draw(st.sampled_from(TOKENS))
    if how == "cell" and len(marks) > 1:
        at = draw(st.integers(0, len(marks) - 2))
        return text[: marks[at] + 1] + token + text[marks[at + 1] :]
    lines = text.split("\n")
    row = draw(st.integers(0, len(lines) - 1))
    if how == "line":
        return "\n".join([*lines[:row], *lines[row + 1 :]])
    if how == "lines":
        return "\n".join([*lines[:row], lines[row], *lines[row:]])
    if how == "swap":
        other = draw(st.integers(0, len(lines) - 1))
        lines[row], lines[other] = lines[other], lines[row]
        return "\n".join(lines)
    at = draw(st.integers(0, len(text)))
    return text[:at] if how == "cut" else text[:at] + token + text[at:]


@st.composite
def _changed_tree(draw: st.DrawFn, tree: Any) -> Any:
    """Return a tree with one of its values swapped, removed or put elsewhere."""
    if isinstance(tree, dict | list) and tree and draw(st.integers(0, 4)):
        keys: list[Any] = list(tree) if isinstance(tree, dict) else list(range(len(tree)))
        key = draw(st.sampled_from(keys))
        changed: Any = dict(tree) if isinstance(tree, dict) else list(tree)
        if draw(st.integers(0, 9)) == 0:
            del changed[key]
            return changed
        changed[key] = draw(_changed_tree(tree[key]))
        return changed
    return draw(st.sampled_from(VALUES))
