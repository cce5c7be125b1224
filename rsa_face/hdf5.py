"""What an HDF5 file from a stranger, also as netCDF or Matlab 7.3, may not do: lead elsewhere, swell, never end."""

import mmap
from collections.abc import Iterator
from functools import partial
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rsa_face.untrusted import MOST_BYTES, MOST_TIMES, must_not_swell

_AN_OBJECT = 64  # bytes of a short text, and of what leads to it
_HEAP, _HEAD_OF_HEAP = b"GCOL\1", 16  # what HDF5's global heaps begin with; the bytes of their heads and objects'
_NAMES = b"HEAP\0\0\0\0"  # the same of its local heaps, of the names in a group
_TREE, _OF_GROUPS, _OF_CHUNKS = b"TREE", 0, 1  # the same of its B-trees (version 1), and what they are of


def must_be_plain_hdf5(path: Path) -> None:
    """Refuse an HDF5 file that reaches into other files, goes round in circles, or would swell beyond measure.

    Parameters
    ----------
    path : Path
        An HDF5, netCDF or Matlab 7.3 file; what h5py raises over a damaged one passes, for the caller to name it.

    Raises
    ------
    ValueError
        If it links outside, a group is linked twice, HDF5 would never come to an end of it, or what is in it would
        take more than `must_not_swell` allows once it is read: numbers become float64, every text of an array is as
        wide as the longest, and a row may become an object.
    """
    size, seen, dims = 0, set(), set()
    with (
        h5py.File(path, "r") as file,
        path.open("rb") as bare,
        mmap.mmap(bare.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        address, length = file.id.get_create_plist().get_sizes()
        must_have_trees_that_end = partial(_must_have_trees_that_end, content, address, file.userblock_size)
        _must_have_heaps_that_end(content, length)
        _must_have_names_of_their_own(content, address, length)
        must_have_trees_that_end(_OF_GROUPS, length)
        waiting = [file["/"]]
        while waiting:
            group = waiting.pop()
            items = []
            for name in group:
                link = group.get(name, getlink=True)
                item = group[name] if isinstance(link, h5py.HardLink) else None
                if isinstance(item, h5py.Dataset) and item.chunks and item.ndim not in dims:
                    dims.add(item.ndim)
                    must_have_trees_that_end(_OF_CHUNKS, 8 * (item.ndim + 2))
                place = None if item is None else h5py.h5o.get_info(item.id).addr  # counts what is in its trees
                stray = item is None or (isinstance(item, h5py.Dataset) and (item.external or item.is_virtual))
                if stray or place in seen:
                    message = f"{name!r} leads to another place or another file"
                    raise ValueError(message)
                if isinstance(item, h5py.Group):
                    seen.add(place)
                    waiting.append(item)
                elif isinstance(item, h5py.Dataset):
                    items.append(item)
            attrs = (_sizes_of_attrs(item, path) for item in (group, *items))
            values = (_sizes_of_values(item, path) for item in items)
            for taken in chain.from_iterable((*attrs, *values)):
                size += taken
                must_not_swell(size, path)


def _must_have_heaps_that_end(content: mmap.mmap, length: int) -> None:
    """Refuse a damaged heap of texts over which HDF5 2.0 loops forever (https://github.com/HDFGroup/hdf5/issues/1707).

    A heap is a row of objects; HDF5 goes from each to the next by its size (`length` bytes), forth, back or not at
    all. Heaps lie side by side: those that overlap so often that there are more steps than bytes are refused too.
    """
    steps = 0
    for start in _places(content, _HEAP):
        end = start + int.from_bytes(content[start + 8 : start + 8 + length], "little")
        place = start + _HEAD_OF_HEAP
        while place + _HEAD_OF_HEAP <= min(end, len(content)):
            size = int.from_bytes(content[place + 8 : place + 8 + length], "little")
            free = content[place : place + 2] == b"\0\0"
            step = size if free else _HEAD_OF_HEAP + (size + 7) // 8 * 8
            steps += 1
            if not 0 < step < 2**63 or steps > len(content):
                message = f"the heap of texts at byte {start} is damaged"
                raise ValueError(message)
            place += step


def _must_have_names_of_their_own(content: mmap.mmap, address: int, length: int) -> None:
    """Refuse heaps of names that lie in one place: HDF5 2.0 gives it to the first, and crashes over the other.

    The head of a heap says how long it is and where it is free (`length` bytes each), then where the names begin.
    """
    seen = set()
    for start in _places(content, _NAMES):
        place = start + len(_NAMES) + 2 * length
        names = content[place : place + address]
        if names in seen:
            message = f"the heap of names at byte {start} is damaged"
            raise ValueError(message)
        seen.add(names)


def _must_have_trees_that_end(content: mmap.mmap, address: int, base: int, kind: int, key: int) -> None:
    """Refuse a B-tree that holds itself: HDF5 2.0 descends it until the process crashes.

    A node lists keys (`key` bytes) and children (addresses, from `base` on) in turn. Its level falls by one from a
    node to its children. Nodes that overlap so often that there are more children than bytes are refused too.
    """
    steps = 0
    for start in _places(content, _TREE):
        its_kind, level, *count = content[start + 4 : start + 8].ljust(4, b"\0")
        first = start + 8 + 2 * address + key  # behind the two siblings' addresses
        last = min(first + (key + address) * int.from_bytes(count, "little"), len(content))
        for child in range(first, last, key + address) if its_kind == kind and level else ():
            place = base + int.from_bytes(content[child : child + address], "little")
            steps += 1
            endless = content[place : place + 4] == _TREE and content[place + 5 : place + 6] >= bytes([level])
            if endless or steps > len(content):
                message = f"the B-tree at byte {start} is damaged"
                raise ValueError(message)


def _places(content: mmap.mmap, sign: bytes) -> Iterator[int]:
    place = content.find(sign)
    while place >= 0:
        yield place
        place = content.find(sign, place + 1)


def _sizes_of_values(item: h5py.Dataset, path: Path) -> Iterator[int]:
    if item.shape is None:
        return
    if not item.dtype.hasobject or h5py.check_ref_dtype(item.dtype):
        rows = item.shape[0] if item.shape else 1
        yield item.size * max(8, item.dtype.itemsize * (4 if item.dtype.kind == "S" else 1)) + rows * _AN_OBJECT
        return
    if item.dtype.kind != "O":
        message = f"{item.name!r} holds records whose parts are of no known length"
        raise ValueError(message)
    yield item.size * _AN_OBJECT
    # what an entry says lies elsewhere in the file, and may be what any number of others say too
    pieces = _cuts(item.shape, max(MOST_TIMES, MOST_BYTES // path.stat().st_size))
    yield item.size * 8 * max((_length(entry) for cut in pieces for entry in np.ravel(item[cut])), default=0)


def _sizes_of_attrs(item: h5py.Group | h5py.Dataset, path: Path) -> Iterator[int]:
    for name in item.attrs:
        held = item.attrs.get_id(name)
        if held.shape is not None and held.dtype.kind == "O":
            must_not_swell(prod(held.shape) * path.stat().st_size, path)
            yield sum(_AN_OBJECT + 8 * _length(entry) for entry in np.ravel(item.attrs[name]))


def _length(entry: Any) -> int:
    return len(entry) if hasattr(entry, "__len__") else 1


def _cuts(shape: tuple[int, ...], most: int) -> Iterator[tuple[int | slice, ...]]:
    """Cut an array into pieces of at most so many entries."""
    inside = prod(shape[1:])
    if not shape:
        yield ()
    elif inside > most:
        for place in range(shape[0]):
            yield from ((place, *cut) for cut in _cuts(shape[1:], most))
    else:
        step = most // max(1, inside)
        yield from ((slice(start, start + step),) for start in range(0, shape[0], step))
