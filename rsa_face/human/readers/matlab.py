"""Matlab files of versions 4 to 7, read as arrays after a look at how much they would unpack to."""

import struct
import warnings
import zlib
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import scipy.io
from numpy.typing import NDArray

from rsa_face.untrusted import MOST_BYTES, MOST_TIMES, must_not_swell

_HEADER = 128
_MATRIX, _COMPRESSED, _INT32 = 14, 15, 5
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
            kind, inside = int.from_bytes(unpacked[:4], "little" if order == "<" else "big"), unpacked[8:]
        if kind == _MATRIX:
            total += _entries(inside, order, _DEEPEST)
        at += 8 + size
    return total


def _entries(matrix: memoryview, order: str, deepest: int) -> int:
    """Return eight bytes for each entry of a matrix, and of those nested in it."""
    total = 0
    for place, (kind, content) in enumerate(_elements(matrix, order)):
        if place == 1 and kind == _INT32:
            count = len(content) // 4
            total += 8 * prod(abs(side) for side in struct.unpack(f"{order}{count}i", content[: 4 * count]))
        elif kind == _MATRIX and deepest:
            total += _entries(content, order, deepest - 1)
    return total


def _elements(content: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    at = 0
    while at + 8 <= len(content):
        kind, size = struct.unpack(f"{order}II", content[at : at + 8])
        if kind >> 16:  # a small element: its size, kind and content in eight bytes
            yield kind & 0xFFFF, content[at + 4 : at + 4 + min(kind >> 16, 4)]
            at += 8
        else:
            yield kind, content[at + 8 : at + 8 + size]
            at += 8 + -(-size // 8) * 8
