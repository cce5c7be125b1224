"""The files of an activation store: appended to batch by batch, with checksums, and picked up where they ended."""

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import zarr
from numcodecs.blosc import Blosc
from zarr.codecs import BloscCodec, Crc32cCodec

_CHUNK_BYTES = 4 * 2**20
_PAYS = 1.3  # compress a layer if its first batch shrinks to 1/1.3 or less: dense float32 does not, and costs time
_ABSENT = 2**64 - 1
_SPACE = ("channel", "row", "column")


@dataclass(frozen=True)
class Cut:
    """How a layer's array is cut into files, and the files into chunks.

    A file (zarr calls it a shard) holds all features of some stimuli, a chunk some channels of one batch, so that
    one channel of all stimuli can be read without the others.

    Parameters
    ----------
    shape : tuple of int
        Of the whole array: (stimulus, channel, row, column) or (stimulus, feature).
    dtype : str
        numpy's name.
    rows : int
        Stimuli in a chunk.
    channels : int
        Channels (or features) in a chunk; divides their number.
    block : int
        Stimuli in a file; a multiple of `rows`.
    compressed : bool
        Whether chunks are compressed (lz4).
    """

    shape: tuple[int, ...]
    dtype: str
    rows: int
    channels: int
    block: int
    compressed: bool

    @property
    def slabs(self) -> int:
        """How many chunks the features of one batch make."""
        return self.shape[1] // self.channels

    @property
    def chunk(self) -> tuple[int, ...]:
        """The shape of a chunk."""
        return (self.rows, self.channels, *self.shape[2:])

    @property
    def blocks(self) -> int:
        """How many files there are."""
        return ceil(self.shape[0] / self.block)

    def batches_of(self, block: int) -> int:
        """Return how many batches a file holds.

        Parameters
        ----------
        block : int
            Which file, from 0.

        Returns
        -------
        int
            At least 1.
        """
        return ceil(min(self.block, self.shape[0] - block * self.block) / self.rows)

    def file_of(self, array: Path, block: int) -> Path:
        """Return where a file lies.

        Parameters
        ----------
        array : Path
            The folder of the zarr array.
        block : int
            Which file, from 0.

        Returns
        -------
        Path
            As zarr names it.
        """
        return array.joinpath("c", str(block), *["0"] * (len(self.shape) - 1))


def cut_layer(values: np.ndarray, *, total: int, rows: int, block: int) -> Cut:
    """Choose how a layer is cut, from its first batch.

    Parameters
    ----------
    values : ndarray, shape (stimulus, ...)
        The first batch.
    total : int
        Number of all stimuli.
    rows, block : int
        Stimuli in a chunk (a batch) and in a file.

    Returns
    -------
    Cut
        With chunks of about 4 MiB, compressed where that pays.
    """
    rows = min(rows, total)
    per_channel = rows * prod(values.shape[2:]) * values.dtype.itemsize
    most = max(_CHUNK_BYTES // per_channel, 1)
    channels = max(size for size in range(1, min(most, values.shape[1]) + 1) if values.shape[1] % size == 0)
    sample = np.ascontiguousarray(values[:4, :: max(values.shape[1] // 8, 1)])
    compressed = sample.nbytes >= _PAYS * len(_codec(sample.dtype).encode(sample))
    block = min(ceil(block / rows), ceil(total / rows)) * rows
    return Cut((total, *values.shape[1:]), values.dtype.name, rows, channels, block, compressed)


def create_array(node: zarr.Group, cut: Cut) -> None:
    """Create the array ``activation`` in a layer's node; its files are still to come.

    Parameters
    ----------
    node : zarr.Group
        The layer's.
    cut : Cut
        How it is cut.
    """
    shuffle: Any = "shuffle" if cut.dtype == "float32" else "noshuffle"
    packed = BloscCodec(cname="lz4", clevel=1, shuffle=shuffle, typesize=np.dtype(cut.dtype).itemsize)
    node.create_array(
        "activation",
        shape=cut.shape,
        dtype=cut.dtype,
        shards=(cut.block, *cut.shape[1:]),
        chunks=cut.chunk,
        compressors=[packed, Crc32cCodec()] if cut.compressed else [Crc32cCodec()],
        fill_value=np.nan,
        dimension_names=("stimulus", *(_SPACE if len(cut.shape) == 4 else ("feature",))),
    )


def read_cut(array: "zarr.Array[Any]") -> Cut:
    """Return how an array of a store is cut.

    Parameters
    ----------
    array : zarr.Array
        Made by `create_array`.

    Returns
    -------
    Cut
        As it was.
    """
    shards = array.shards or array.chunks
    return Cut(array.shape, str(array.dtype), array.chunks[0], array.chunks[1], shards[0], len(array.compressors) > 1)


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
    with _part(file).open("ab") as part:
        offset, lines = part.tell(), []
        for start in range(0, cut.shape[1], cut.channels):
            chunk = np.ascontiguousarray(values[:, start : start + cut.channels])
            content = _codec(chunk.dtype).encode(chunk) if cut.compressed else memoryview(chunk).cast("B")
            part.write(content)
            part.write(_checksum(content))
            lines.append(struct.pack("<QQ", offset, len(content) + 4))
            offset += len(content) + 4
    with _index(file).open("ab") as index:
        index.write(b"".join(lines))


def batches_in(file: Path, cut: Cut) -> int:
    """Return how many whole, sound batches an unfinished file holds, and cut off what lies beyond.

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
    sound = 0
    with _part(file).open("rb") as part:
        for offset, length in _lines_of(_index(file).read_bytes()):
            part.seek(offset)
            if not _is_sound(part.read(length), length):
                break
            sound += 1
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
    for path, size in ((_part(file), sum(kept[-1]) if kept else 0), (_index(file), 16 * len(kept))):
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
    entries = cut.block // cut.rows * cut.slabs
    with file.open("rb") as opened:
        opened.seek(max(file.stat().st_size - 16 * entries - 4, 0))
        index = opened.read()
        if len(index) != 16 * entries + 4 or index[-4:] != _checksum(index[:-4]):
            return ["has a damaged index"]
        faults = []
        for place, (offset, length) in enumerate(_lines_of(index[:-4])):
            if offset == _ABSENT:
                continue
            opened.seek(offset)
            if not _is_sound(opened.read(length), length):
                faults.append(f"has a damaged chunk (batch {place // cut.slabs}, part {place % cut.slabs})")
    return faults


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
    return _index(file).stat().st_size // 16 // cut.slabs if _index(file).is_file() else 0


def _codec(dtype: np.dtype[Any]) -> Blosc:
    return Blosc("lz4", 1, Blosc.SHUFFLE if dtype.itemsize == 4 else Blosc.NOSHUFFLE)


def _checksum(content: Any) -> bytes:
    return struct.pack("<I", google_crc32c.value(np.frombuffer(content, np.uint8)))


def _is_sound(content: bytes, length: int) -> bool:
    return len(content) == length and length > 4 and content[-4:] == _checksum(content[:-4])


def _lines_of(index: bytes) -> Iterator[tuple[int, int]]:
    whole = len(index) // 16 * 16
    return struct.iter_unpack("<QQ", index[:whole])


def _part(file: Path) -> Path:
    return file.with_name(f"{file.name}.part")


def _index(file: Path) -> Path:
    return file.with_name(f"{file.name}.index")
