"""Writing of large files past the page cache, whose pages would cost more than the writing and push others out."""

import errno
import mmap
import os
import threading
from collections.abc import Iterable
from pathlib import Path

import numpy as np

ALIGNMENT = 4096  # bytes: what goes to the disk directly begins and ends at a multiple of its sectors
_BUFFER = 2**20
_DIRECT = getattr(os, "O_DIRECT", 0)
_local = threading.local()


def padded(size: int) -> int:
    """Return the size that a number of bytes takes once it is filled up.

    Parameters
    ----------
    size : int
        Bytes.

    Returns
    -------
    int
        The next multiple of `ALIGNMENT`, or the same.

    Examples
    --------
    >>> padded(1), padded(4096)
    (4096, 4096)
    """
    return -(-size // ALIGNMENT) * ALIGNMENT


class DirectFile:
    """A file that is appended to in pieces, each followed by zeros up to a multiple of `ALIGNMENT`.

    What is written goes to the disk directly where the file system can do that, and through the page cache where
    it can't; the file is the same. Use as a context manager.

    Parameters
    ----------
    file : Path
        Made if need be.

    Attributes
    ----------
    size : int
        Bytes in the file so far, with those that still wait in the buffer.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        try:
            self._open(direct=True)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            self._open(direct=False)
        self._buffer, self._filled = _buffer(), 0
        self.size = os.fstat(self._descriptor).st_size

    def __enter__(self) -> "DirectFile":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            os.close(self._descriptor)

    def append(self, pieces: Iterable[np.ndarray]) -> int:
        """Append pieces one behind the other, then zeros up to the alignment.

        Parameters
        ----------
        pieces : iterable of ndarray of uint8
            Bytes.

        Returns
        -------
        int
            How many bytes the pieces have together.
        """
        before = self.size
        for piece in pieces:
            self._put(piece)
        length = self.size - before
        self._put(np.zeros(padded(length) - length, np.uint8))
        return length

    def _put(self, piece: np.ndarray) -> None:
        done = 0
        while done < len(piece):
            taken = min(_BUFFER - self._filled, len(piece) - done)
            self._buffer[self._filled : self._filled + taken] = piece[done : done + taken]
            self._filled += taken
            done += taken
            if self._filled == _BUFFER:
                self._flush()
        self.size += len(piece)

    def _open(self, *, direct: bool) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self._file, flags | (_DIRECT if direct else 0), 0o666)
        self._direct = direct

    def _flush(self) -> None:
        left = memoryview(self._buffer)[: self._filled]
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except OSError as error:
                if error.errno != errno.EINVAL or not self._direct:
                    raise
                # the file system can't, or the file ends off the alignment; if the disk is full, this will say so
                os.close(self._descriptor)
                self._open(direct=False)
        self._filled = 0


# Memory that begins at a page, one buffer a thread.
def _buffer() -> np.ndarray:
    if not hasattr(_local, "buffer"):
        _local.buffer = np.frombuffer(mmap.mmap(-1, _BUFFER), np.uint8)
    buffer: np.ndarray = _local.buffer
    return buffer
