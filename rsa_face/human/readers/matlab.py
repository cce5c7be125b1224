"""Matlab files of versions 4 to 7, read as arrays after a look at how much they would unpack to."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any, Literal

import numpy as np
import scipy.io
from numpy.typing import NDArray

from rsa_face.untrusted import MOST_BYTES, MOST_TIMES, must_not_swell

_HEADER = 128
_INT8, _INT32, _UINT32, _MATRIX, _COMPRESSED, _UTF8 = 1, 5, 6, 14, 15, 16  # kinds of parts
_NUMBERS = {1, 2, 3, 4, 5, 6, 7, 9, 12, 13, 16, 17, 18}
_CELL, _STRUCT, _OBJECT, _CHAR, _SPARSE, _FUNCTION, _OPAQUE = 1, 2, 3, 4, 5, 16, 17  # kinds of variables
_COMPLEX = 1 << 11
_CLASSES = {_CELL, _STRUCT, _OBJECT, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, _FUNCTION}
_DEEPEST = 32


def read_matlab(path: Path) -> dict[str, NDArray[Any]]:
    """Read all arrays of a Matlab file, and none if one of them is damaged.

    scipy leaves a damaged variable out with a warning; RDMs of participants must not go missing like that. What a
    library raises over a damaged file passes: the caller names the file.

    Parameters
    ----------
    path : Path
        A file of version 4, 6 or 7.

    Returns
    -------
    dict of str to array
        By variable; sparse matrices and function handles are left out.

    Raises
    ------
    ValueError
        If a variable is damaged, or the file would swell beyond measure.
    """
    must_not_swell(unpacked_size(path), path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = scipy.io.loadmat(path, squeeze_me=False, chars_as_strings=True)
    damaged = [name for name, value in found.items() if isinstance(value, str) and value.startswith("Read error")]
    if damaged:
        message = f"the variable {damaged[0]!r} is damaged"
        raise ValueError(message)
    return {
        name: value
        for name, value in found.items()
        if isinstance(value, np.ndarray) and not name.startswith("__") and value.dtype.kind in "fiubcUSOV"
    }


def unpacked_size(path: Path) -> int:
    """Return how many bytes the arrays of a Matlab file say they have, without making them.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    int
        Eight bytes for each entry of each array, the nested ones too; 0 for a file of version 4, which is not packed.
    """
    content = path.read_bytes()
    if len(content) < _HEADER or 0 in content[:4]:
        return 0
    order = "<" if content[126:128] == b"IM" else ">"
    most = max(MOST_BYTES, MOST_TIMES * len(content))
    total, at = 0, _HEADER
    while at + 8 <= len(content) and total <= most:
        kind, size = struct.unpack(f"{order}II", content[at : at + 8])
        inside = memoryview(content)[at + 8 : at + 8 + size]
        if kind == _COMPRESSED:
            unpacked = memoryview(zlib.decompressobj().decompress(inside, most + 1))
            total += len(unpacked)
            if total > most or len(unpacked) < 8:
                break
            kind, size_inside = struct.unpack(f"{order}II", unpacked[:8])
            inside = unpacked[8 : 8 + size_inside]
        if kind == _MATRIX:
            total += _entries(inside, order, _DEEPEST)
        at += 8 + size
    return total


def _entries(matrix: memoryview, order: str, deepest: int) -> int:
    """Return eight bytes for each entry of a matrix and of those nested in it, and hold all of them to the format.

    scipy looks kinds of numbers up by their code without asking whether there is such a code, and ends the process
    where there is none; where a part is missing, it takes what follows for one. So every code, size and number of
    parts is checked here first.
    """
    elements = list(_elements(matrix, order))
    if not elements:  # an empty matrix, as an empty cell holds
        return 0
    kinds = [kind for kind, _ in elements[:3]]
    flags = bytes(elements[0][1])
    shape_of = elements[1][1] if len(elements) > 2 else memoryview(b"")
    if kinds[0] != _UINT32 or len(flags) != 8:
        message = "a variable does not begin with its kind"
        raise ValueError(message)
    said = struct.unpack(f"{order}I", flags[:4])[0]
    kind = said & 0xFF
    if kind == _OPAQUE:
        return 0
    if (
        kind not in _CLASSES
        or kinds[1:] not in ([_INT32, _INT8], [_INT32, _UTF8])
        or len(shape_of) % 4
        or not shape_of
    ):
        message = f"a variable of kind {kind} has no whole shape and name"
        raise ValueError(message)
    shape = struct.unpack(f"{order}{len(shape_of) // 4}i", shape_of)
    if len(shape) < 2 or min(shape) < 0 or not deepest:
        message = f"a variable has the shape {shape}"
        raise ValueError(message)
    rest = elements[3:]
    _check_parts(kind, [part for part, _ in rest], is_complex=bool(said & _COMPLEX))
    _check_nested(kind, prod(shape), rest, "little" if order == "<" else "big")
    return int(8 * prod(shape)) + sum(_entries(part, order, deepest - 1) for of, part in rest if of == _MATRIX)


def _check_parts(kind: int, parts: list[int], *, is_complex: bool) -> None:
    allowed: set[int] = _NUMBERS
    fewest = 0
    if kind == _STRUCT:
        allowed, parts = {_MATRIX}, parts[2:] if parts[:2] == [_INT32, _INT8] else [-1]
    elif kind == _CELL:
        allowed = {_MATRIX}
    elif kind == _FUNCTION:
        allowed, fewest = {_MATRIX}, 1
    elif kind == _OBJECT:
        allowed, parts = {_MATRIX}, parts[3:] if parts[:3] == [_INT8, _INT32, _INT8] else [-1]
    else:
        fewest = 3 if kind == _SPARSE else 1
        fewest += is_complex and kind != _CHAR  # the imaginary part is one of its own
    strange = sorted(set(parts) - allowed)
    if strange or len(parts) < fewest:
        found = f"parts of kind {strange}" if strange else f"{len(parts)} parts with values, of {fewest}"
        message = f"a variable of kind {kind} has {found}"
        raise ValueError(message)


def _check_nested(
    kind: int, entries: int, rest: list[tuple[int, memoryview]], order: Literal["little", "big"]
) -> None:
    fields, nested = 1, rest
    if kind == _STRUCT:
        width, names, nested = int.from_bytes(rest[0][1], order), rest[1][1], rest[2:]
        if not width or len(names) % width:
            message = f"names of fields are {width} letters long"
            raise ValueError(message)
        fields = len(names) // width
    if kind in (_CELL, _STRUCT) and len(nested) != entries * fields:
        message = f"a variable of kind {kind} holds {len(nested)} others in place of {entries * fields}"
        raise ValueError(message)


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at + 8 <= len(content):
        kind, size = struct.unpack(f"{order}II", content[at : at + 8])
        if kind >> 16:  # a small element: its size, kind and content in eight bytes
            start, size, step = at + 4, kind >> 16, 8
            short = size > 4
        else:
            start, step = at + 8, 8 + -(-size // 8) * 8
            short = start + size > len(content)
        if short:
            message = f"a part of {size:,} bytes is cut short"
            raise ValueError(message)
        yield kind & 0xFFFF, content[start : start + size]
        at += step
    if at < len(content):
        message = "a part is cut short"
        raise ValueError(message)
