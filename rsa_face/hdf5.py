"""What an HDF5 file from a stranger, also as netCDF or Matlab 7.3, may not do: lead elsewhere, swell, crash, loop.

HDF5 2.0 itself crashes, never ends, or takes gigabytes over some damaged files
(https://github.com/HDFGroup/hdf5/issues/1707 is one). So each is gone through in a process of its own first, with
limits to its memory and time, and what that process does not survive is refused.
"""

from collections.abc import Iterator
from itertools import chain
from math import prod
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rsa_face.apart import Apart
from rsa_face.untrusted import MOST_BYTES, MOST_TIMES, must_not_swell

_AN_OBJECT = 64  # bytes of a short text, and of what leads to it
_LEAST_SECONDS, _BYTES_A_SECOND = 5, 2**17  # of the processor, for one file; small arrays alone take a sixth of that
_apart = Apart("rsa_face.hdf5", "unpacked_size")


def must_be_plain_hdf5(path: Path) -> None:
    """Refuse an HDF5 file that reaches into other files, goes round in circles, crashes HDF5 or would swell.

    Parameters
    ----------
    path : Path
        An HDF5, netCDF or Matlab 7.3 file.

    Raises
    ------
    ValueError
        If it is damaged, links outside, a group is linked twice, HDF5 crashes over it or does not come to an end, or
        what is in it would take more than `must_not_swell` allows once it is read: numbers become float64, every text
        of an array is as wide as the longest, and a row may become an object.
    """
    there = path.stat().st_size
    most = max(MOST_BYTES, MOST_TIMES * there)
    size = _apart(str(path.absolute()), most, memory=2 * most, seconds=_LEAST_SECONDS + there // _BYTES_A_SECOND)
    must_not_swell(size, path)


def unpacked_size(path: str, most: int) -> int:
    """Return how many bytes an HDF5 file would take once it is read, having gone through all of it but numbers.

    It is for a process of its own: HDF5 may end it.

    Parameters
    ----------
    path : str
        The file.
    most : int
        How many bytes are too many to count further.

    Returns
    -------
    int
        Bytes; more than `most` as soon as there are more.

    Raises
    ------
    ValueError
        If it links outside, or a group is linked twice.
    """
    size, seen = 0, set()
    with h5py.File(path, "r") as file:
        waiting = [file["/"]]
        while waiting:
            group = waiting.pop()
            items = []
            for name in group:
                link = group.get(name, getlink=True)
                item = group[name] if isinstance(link, h5py.HardLink) else None
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
            attrs = (_sizes_of_attrs(item, most) for item in (group, *items))
            values = (_sizes_of_values(item, most) for item in items)
            for taken in chain.from_iterable((*attrs, *values)):
                size += taken
                if size > most:
                    return size
    return size


def _sizes_of_values(item: h5py.Dataset, most: int) -> Iterator[int]:
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
    pieces = _cuts(item.shape, max(MOST_TIMES, most // item.file.id.get_filesize()))
    yield item.size * 8 * max((_length(entry) for cut in pieces for entry in np.ravel(item[cut])), default=0)


def _sizes_of_attrs(item: h5py.Group | h5py.Dataset, most: int) -> Iterator[int]:
    for name in item.attrs:
        held = item.attrs.get_id(name)
        if held.shape is not None and held.dtype.kind == "O":
            least = prod(held.shape) * item.file.id.get_filesize()
            if least > most:
                yield least
                return
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
