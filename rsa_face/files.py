"""Files that are written whole or not at all, and errors that name what could not be written."""

import errno
import os
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
_DRAFT = re.compile(r"\.rsa_face-[0-9a-f]{16}-.+")  # no name that anything else gives: such files are removed
_HOUR = 3600.0  # longer than a file is written to without a pause; reports and figures may be at work here


def write_table(table: "pd.DataFrame", path: str | Path) -> None:
    """Write a table of results as CSV, six digits of each number, whole or not at all.

    Parameters
    ----------
    table : DataFrame
        Its index is not written.
    path : str or Path
        Where to.
    """
    with write_beside(path) as beside:
        table.to_csv(beside, index=False, float_format="%.6g")


def size_of(folder: str | Path) -> int:
    """Return how many bytes lie in a folder and all that is in it, though files come and go while they are counted.

    Parameters
    ----------
    folder : str or Path
        The folder.

    Returns
    -------
    int
        Bytes; 0 where there is no such folder.
    """
    size = 0
    for here, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                size += Path(here, name).stat().st_size
    return size


@contextmanager
def write_beside(path: str | Path) -> Iterator[Path]:
    """Give a temporary path beside a file, and move it into place when the block ends well.

    Killed at any moment, the file is the old one or the new one. If the block raises, the temporary file is
    removed and the old one stays.

    Parameters
    ----------
    path : str or Path
        The file to write. Its folder is made if need be.

    Yields
    ------
    Path
        Where to write: same folder, same ending.

    Raises
    ------
    OSError
        If there is no room for it, or its folder is not writable; it is named.
    """
    path = Path(path)
    beside = path.with_name(f".rsa_face-{secrets.token_hex(8)}-{path.stem[:40]}{path.suffix}")
    with naming_what_is_written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            with beside.open("rb") as file:
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)


def remove_drafts(folder: str | Path) -> None:
    """Remove what processes that were killed left half written, an hour after it was last written to.

    A draft of weights may take as much room as the weights, and nothing else would ever remove it.

    Parameters
    ----------
    folder : str or Path
        Looked through with all that is in it; only names that `write_beside` gives are touched.
    """
    before = time.time() - _HOUR
    for here, _, names in os.walk(folder):
        for draft in (Path(here, name) for name in names if _DRAFT.fullmatch(name)):
            with suppress(FileNotFoundError):
                if draft.stat().st_mtime < before:
                    draft.unlink()


@contextmanager
def naming_what_is_written(path: str | Path) -> Iterator[None]:
    """Say what could not be written, and what to do, where a disk is full or a folder forbidden.

    The system's own error says neither: of a full disk it has no name, of a forbidden folder that of a draft.

    Parameters
    ----------
    path : str or Path
        What is written in the block.

    Yields
    ------
    None
        While it is written.

    Raises
    ------
    OSError
        In place of the system's, of the same kind.
    """
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        if error.strerror != reason:  # said already, of a part of this
            raise
        if error.errno in FULL:
            message = f"No room to write {str(path)!r} ({reason}). Free some, and run it again."
            raise OSError(error.errno, message) from error
        if error.errno in _FORBIDDEN:
            message = f"Cannot write to {str(path)!r}: {reason}. Make its folder writable."
            raise OSError(error.errno, message) from error
        raise


def writable_folder(out_dir: str | Path) -> Path:
    """Make a folder and hold it to being writable, before any work is done for it.

    Parameters
    ----------
    out_dir : str or Path
        The folder.

    Returns
    -------
    Path
        The same.

    Raises
    ------
    ValueError
        If it cannot be made or written to.
    """
    folder = Path(out_dir)
    try:
        trial = folder / f".rsa_face-{secrets.token_hex(8)}"  # a name that nothing else has: it is removed
        with write_beside(trial) as beside:
            beside.write_text("", "utf-8")
        trial.unlink()
    except OSError as error:
        message = f"Cannot write to the output folder {str(folder)!r}: {error}. Choose another folder."
        raise ValueError(message) from error
    return folder
