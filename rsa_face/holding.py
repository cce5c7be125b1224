"""What one process writes at a time: held by a lock that ends with the process, and that says which process it is."""

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import filelock

_PATIENCE = 0.5  # seconds: whoever only looks whether a place is held, holds it for a moment
_GLANCE = 0.05  # the same, for one who only looks
_OFTEN = 0.005


@contextmanager
def hold(place: Path, lock: Path, *, rule: str) -> Iterator[None]:
    """Keep other processes from writing to a place; if this one is killed, the hold ends with it.

    Parameters
    ----------
    place : Path
        What is held, for the error.
    lock : Path
        The file by which it is held; its folder is made if need be.
    rule : str
        What holds, a sentence without a full stop.

    Yields
    ------
    None
        While it is held.

    Raises
    ------
    ValueError
        If another process holds it, which is named; or the lock's folder cannot be written to.
    """
    held = filelock.FileLock(lock, timeout=_PATIENCE)
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        held.acquire(poll_interval=_OFTEN)
    except filelock.Timeout as error:
        message = f"{_said_in(lock)} is writing to {str(place)!r}. {rule}. Wait for it, or choose another folder."
        raise ValueError(message) from error
    except OSError as error:
        message = f"Cannot write to {str(lock.parent)!r}: {error}. Make the folder writable."
        raise ValueError(message) from error
    try:
        with suppress(OSError):  # on a full disk the hold is as good, only its holder has no name
            since = datetime.now().astimezone().isoformat(" ", "seconds")
            lock.write_text(f"process {os.getpid()} on {platform.node()} (since {since})", "utf-8")
        yield
    finally:
        with suppress(OSError):
            lock.unlink()
        held.release()


def holder_of(lock: Path) -> str:
    """Say which process holds a place.

    Parameters
    ----------
    lock : Path
        The file by which it is held.

    Returns
    -------
    str
        Such as ``process 4711 on lab3 (since 2026-01-31 09:26:53+01:00)``; empty where none does.
    """
    if not lock.is_file():
        return ""
    try:
        with filelock.FileLock(lock, timeout=_GLANCE).acquire(poll_interval=_OFTEN):
            return ""
    except filelock.Timeout:
        return _said_in(lock)
    except OSError:  # of a folder that others may write to: what is held there is not for this process to know
        return ""


def lock_in(folder: Path) -> Path:
    """Return the file by which a study's output folder is held.

    Parameters
    ----------
    folder : Path
        The output folder.

    Returns
    -------
    Path
        In it.
    """
    return folder / ".lock"


def _said_in(lock: Path) -> str:
    try:
        return lock.read_text("utf-8", errors="replace").strip()[:200] or "another process"
    except OSError:
        return "another process"
