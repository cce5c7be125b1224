"""Memory that a program goes on using: what one layer lets go is there for the next, and not asked for anew."""

import ctypes
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial

# glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_KEEPING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1}
_USUAL = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 * 2**20, _TRIM_THRESHOLD: 64 * 2**20}  # what glibc rises to by itself
_lock = threading.Lock()
_keepers: list[object] = []


@contextmanager
def keeping_memory() -> Iterator[Callable[[], None]]:
    """Keep the memory that is freed meanwhile, and hand it back to the system in the end.

    A convolution's output is hundreds of megabytes. glibc hands these back when they are freed, and the system clears
    every page anew for the next layer, which takes up to a third of a forward pass on the CPU. Where the C library is
    another, nothing is done. Threads may overlap.

    Yields
    ------
    callable
        Hands back what is free when it is called. Pieces of one size leave gaps that don't fit the next, so it is for
        the moments at which sizes change.
    """
    libc = _glibc()
    if libc is None:
        yield lambda: None
        return
    keeper = object()
    with _lock:
        _keepers.append(keeper)
        _set(libc, _KEEPING)
    try:
        yield partial(_trim, libc)
    finally:
        with _lock:
            _keepers.remove(keeper)
            if not _keepers:
                _set(libc, _USUAL)
                _trim(libc)


@cache
def _glibc() -> ctypes.CDLL | None:
    return ctypes.CDLL(None) if platform.libc_ver()[0] == "glibc" else None


def _set(libc: ctypes.CDLL, options: dict[int, int]) -> None:
    for option, value in options.items():
        libc.mallopt(option, value)


def _trim(libc: ctypes.CDLL) -> None:
    libc.malloc_trim(0)
