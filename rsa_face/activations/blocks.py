"""The files of an activation store: appended to batch by batch, with checksums, and picked up where they ended."""

import os
import struct
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np

from rsa_face.activations.cuts import Cut, codec_for
from rsa_face.activations.direct import DirectFile, padded

_ABSENT = 2**64 - 1
_SAYS_SIZE = 4  # where Blosc's header says how large a chunk is once it is unpacked


def append_batch(file: Path, values: np.ndarray, cut: Cut) -> None:
    """Append one batch to a file that is being written.

    The part file is followed by one line of its index for each chunk (offset and length); a line without its
    chunk, or a chunk without its line, is cut off when the writing goes on.

    Parameters
    ----------
    file : Path
        From `Cut.file_of`; what is written is ``.part`` and ``.index`` beside it.
    values : ndarray, shape (stimulus, ...)
        The batch; filled up with NaN if it is the last and smaller.
    cut : Cut
        How the layer is cut.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    short = cut.rows - len(values)
    if short:
        values = np.concatenate([values, np.full((short, *values.shape[1:]), np.nan, values.dtype)])
    lines = []
    with DirectFile(_part(file)) as part:
        for start in range(0, cut.shape[1], cut.channels):
            offset = part.size
            length = _write_chunk(part, values[:, start : start + cut.channels], cut)
            lines.append(struct.pack("<QQ", offset, length))
    with _index(file).open("ab") as index:
        index.write(b"".join(lines))


def batches_in(file: Path, cut: Cut) -> int:
    """Return how many whole, sound batches an unfinished file holds, and cut off what lies beyond.

    Chunks lie one behind the other: a line of the index that leads elsewhere is damaged, though a sound chunk may
    lie there, of another batch.

    Parameters
    ----------
    file : Path
        From `Cut.file_of`.
    cut : Cut
        How the layer is cut.

    Returns
    -------
    int
        0 if nothing can be kept.
    """
    if not (_part(file).is_file() and _index(file).is_file()):
        return 0
    sound = end = 0
    with _part(file).open("rb") as part:
        for offset, length in _lines_of(_index(file).read_bytes()):
            if offset != end or not _is_sound(part, offset, length):
                break
            sound, end = sound + 1, padded(offset + length)
    return keep_batches(file, cut, sound // cut.slabs)


def keep_batches(file: Path, cut: Cut, batches: int) -> int:
    """Cut an unfinished file back to its first batches.

    Parameters
    ----------
    file : Path
        From `Cut.file_of`.
    cut : Cut
        How the layer is cut.
    batches : int
        How many to keep.

    Returns
    -------
    int
        The same number.
    """
    lines = list(_lines_of(_index(file).read_bytes())) if _index(file).is_file() else []
    kept = lines[: batches * cut.slabs]
    for path, size in ((_part(file), padded(sum(kept[-1])) if kept else 0), (_index(file), 16 * len(kept))):
        if path.is_file():
            os.truncate(path, size)
    return batches


def finish_block(file: Path, cut: Cut) -> None:
    """Close a file: write its index behind its chunks, see it on the disk, and give it its name.

    Parameters
    ----------
    file : Path
        From `Cut.file_of`.
    cut : Cut
        How the layer is cut.
    """
    lines = _index(file).read_bytes()
    missing = cut.block // cut.rows * cut.slabs - len(lines) // 16
    whole = lines + struct.pack("<QQ", _ABSENT, _ABSENT) * missing
    keep_batches(file, cut, cut.block // cut.rows)
    with _part(file).open("ab") as part:
        part.write(whole + _checksum(whole))
        part.flush()
        os.fsync(part.fileno())
    _part(file).replace(file)
    _index(file).unlink(missing_ok=True)


def faults_of_block(file: Path, cut: Cut) -> list[str]:
    """Check every chunk of a finished file against its checksum.

    Parameters
    ----------
    file : Path
        From `Cut.file_of`.
    cut : Cut
        How the layer is cut.

    Returns
    -------
    list of str
        What is wrong; empty if all is well.
    """
    if not file.is_file():
        return ["is missing"]
    with file.open("rb") as opened:
        index = _index_behind(opened, cut)
        if not index:
            return ["has a damaged index"]
        faults = []
        for place, (offset, length) in enumerate(_lines_of(index)):
            if offset == _ABSENT:
                continue
            if not _is_sound(opened, offset, length):
                faults.append(f"has a damaged chunk (batch {place // cut.slabs}, part {place % cut.slabs})")
    return faults


def unpacked_size(file: Path, cut: Cut) -> int:
    """Return to how many bytes the largest chunk of a finished file says that it unpacks; nothing is unpacked.

    Parameters
    ----------
    file : Path
        From `Cut.file_of`.
    cut : Cut
        How the layer is cut; compressed.

    Returns
    -------
    int
        0 if there is no chunk, or the index is damaged.
    """
    with file.open("rb") as opened:
        largest = 0
        for offset, _ in _lines_of(_index_behind(opened, cut)):
            if offset != _ABSENT:
                opened.seek(offset + _SAYS_SIZE)
                largest = max(largest, int.from_bytes(opened.read(4), "little"))
    return largest


def remove_part(file: Path) -> None:
    """Remove an unfinished file.

    Parameters
    ----------
    file : Path
        From `Cut.file_of`.
    """
    _part(file).unlink(missing_ok=True)
    _index(file).unlink(missing_ok=True)


def batches_claimed(file: Path, cut: Cut) -> int:
    """Return how many batches an unfinished file says it holds, unchecked and unchanged.

    Parameters
    ----------
    file : Path
        From `Cut.file_of`.
    cut : Cut
        How the layer is cut.

    Returns
    -------
    int
        0 if there is no such file.
    """
    try:
        return _index(file).stat().st_size // 16 // cut.slabs
    except FileNotFoundError:  # not begun, or finished
        return 0


def _write_chunk(part: DirectFile, chunk: np.ndarray, cut: Cut) -> int:
    # what is not compressed is written where it lies, stimulus by stimulus, not copied together first
    if cut.compressed:
        pieces = [np.frombuffer(codec_for(chunk.dtype).encode(np.ascontiguousarray(chunk)), np.uint8)]
    else:
        pieces = [stimulus.reshape(-1).view(np.uint8) for stimulus in chunk]
    return part.append(_with_checksum(pieces))


# Piece by piece, so that each still lies in the processor's cache when it is written.
def _with_checksum(pieces: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    checksum = 0
    for piece in pieces:
        checksum = google_crc32c.extend(checksum, piece)
        yield piece
    yield np.frombuffer(struct.pack("<I", checksum), np.uint8)


def _checksum(content: Any) -> bytes:
    return struct.pack("<I", google_crc32c.value(np.frombuffer(content, np.uint8)))


def _is_sound(file: BinaryIO, offset: int, length: int) -> bool:
    if length <= 4 or offset + length > os.fstat(file.fileno()).st_size:  # what is damaged may ask for any length
        return False
    file.seek(offset)
    content = file.read(length)
    return len(content) == length and content[-4:] == _checksum(content[:-4])


def _index_behind(file: BinaryIO, cut: Cut) -> bytes:
    """Return the index of a finished file, empty if it is damaged."""
    size = 16 * (cut.block // cut.rows * cut.slabs)
    file.seek(max(os.fstat(file.fileno()).st_size - size - 4, 0))
    index = file.read()
    return index[:-4] if len(index) == size + 4 and index[-4:] == _checksum(index[:-4]) else b""


def _lines_of(index: bytes) -> Iterator[tuple[int, int]]:
    whole = len(index) // 16 * 16
    return struct.iter_unpack("<QQ", index[:whole])


def _part(file: Path) -> Path:
    return file.with_name(f"{file.name}.part")


def _index(file: Path) -> Path:
    return file.with_name(f"{file.name}.index")
