"""Watch what reading a file does besides reading it: programs that it starts, files that it writes elsewhere, memory."""

import os
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_STARTS = (
    "subprocess.Popen",
    "os.system",
    "os.exec",
    "os.posix_spawn",
    "os.fork",
    "socket.connect",
    "pickle.find_class",
)
_CHANGES = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.symlink", "os.link", "os.chmod", "os.truncate")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_watches: list[tuple[Path, list[str]]] = []  # a hook stays for as long as Python runs; it looks here whom to tell
_hooked: list[bool] = []


@contextmanager
def watched(folder: Path) -> Iterator[list[str]]:
    """Give a list in which stands, afterwards, what was done that reading a folder's files has no need of."""
    if not _hooked:
        sys.addaudithook(_note)
        _hooked.append(True)
    seen: list[str] = []
    _watches.append((folder.resolve(), seen))
    try:
        yield seen
    finally:
        _watches.pop()


def most_memory() -> int:
    """Return the most memory that this process has held so far, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watches:
        return
    folder, seen = _watches[-1]
    if event in ("os.remove", "os.rmdir") and arguments[1] != -1:  # a name in a folder that is open, as rmtree has it
        arguments = (Path(f"/proc/self/fd/{arguments[1]}").resolve() / os.fsdecode(arguments[0]),)
    if event in _STARTS or (
        event in _CHANGES
        and not all(_inside(place, folder) for place in arguments if isinstance(place, str | bytes | Path))
    ):
        seen.append(f"{event} {arguments!r:.200}")
    elif event == "open" and _is_write(*arguments[1:3]) and not _inside(arguments[0], folder):
        seen.append(f"open to write {arguments!r:.200}")


def _is_write(mode: Any, flags: Any) -> bool:
    return bool(set(str(mode or "")) & set("wax+")) or bool(isinstance(flags, int) and flags & _WRITES)


def _inside(place: Any, folder: Path) -> bool:
    if isinstance(place, int) or str(place) == os.devnull:
        return True
    path = Path(os.fsdecode(place)).resolve()
    return path.is_relative_to(folder) or ".hypothesis" in path.parts  # what hypothesis keeps for itself
