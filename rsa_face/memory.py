"""Memory: how much there is, and that what one layer frees is kept for the next one."""

import ctypes
import os
import platform
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache, partial
from importlib import import_module
from pathlib import Path

# glibc's malloc.h
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -3, -4
_KEEPING = {_MMAP_MAX: 0, _TRIM_THRESHOLD: -1}
_USUAL = {_MMAP_MAX: 65536, _MMAP_THRESHOLD: 32 * 2**20, _TRIM_THRESHOLD: 64 * 2**20}  # what glibc rises to by itself
_LIMITS_OF_CONTAINERS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))
_EVIDENTLY_BYTES = 1e6  # nobody has a million GiB
_lock = threading.Lock()
_keepers: list[object] = []


def must_fit_in_memory(size: float, what: str, *, then: str) -> None:
    """Refuse what a small file can ask for that this process has no room for, before it is begun."""
    available = available_memory()
    if size > available:
        message = (
            f"{what} would take {size / 2**30:,.1f} GiB of memory, of {available / 2**30:,.1f} available. {then}"
        )
        raise ValueError(message)


def available_memory() -> float:
    """Return how many bytes of memory this process may use, whoever else uses them too."""
    limits = [float("inf")]
    if hasattr(os, "sysconf"):
        limits.append(float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")))
    for file in _LIMITS_OF_CONTAINERS:
        limit_text = file.read_text("ascii").strip() if file.is_file() else ""
        limits += [float(limit_text)] if limit_text.isdecimal() else []
    with suppress(ImportError):  # where there are no such limits
        resource = import_module("resource")
        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        limits += [float(limit)] if limit != resource.RLIM_INFINITY else []
    return min(limits)


def bytes_of(memory: float) -> float:
    """Return how many bytes a caller allows, in GiB; a number of a million or more is of an older version: bytes."""
    if memory < _EVIDENTLY_BYTES:
        return memory * 2**30
    message = f"memory={memory:g} is taken for bytes: it is in GiB now. Pass memory={memory / 2**30:.3g}."
    warnings.warn(message, DeprecationWarning, stacklevel=3)
    return memory


@contextmanager
def keeping_memory() -> Iterator[Callable[[], None]]:
    """Keep the memory that is freed meanwhile, and return it to the system in the end.

    A convolution's output is hundreds of megabytes. glibc hands these back when they are freed, and the system clears
    every page anew for the next layer, which takes up to a third of a forward pass on the CPU. Where the C library is
    another, nothing is done. Threads may overlap.
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
