"""How a layer's array is cut into files and chunks, and whether it is compressed."""

from dataclasses import dataclass
from math import ceil, prod
from pathlib import Path
from typing import Any, cast

import numpy as np
import zarr
from numcodecs.blosc import Blosc
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec

_CHUNK_BYTES = 4 * 2**20
_PAYS = (
    2  # compress a layer if its first batch shrinks to half or less: below that, the time is worth more than the room
)
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
    compressed = sample.nbytes >= _PAYS * len(codec_for(sample.dtype).encode(sample))
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
    node.create_array(
        "activation",
        shape=cut.shape,
        dtype=cut.dtype,
        shards=(cut.block, *cut.shape[1:]),
        chunks=cut.chunk,
        compressors=_compressors(cut),
        fill_value=np.nan,
        dimension_names=("stimulus", *(_SPACE if len(cut.shape) == 4 else ("feature",))),
    )


def _compressors(cut: Cut) -> list[Any]:
    shuffle: Any = "shuffle" if cut.dtype == "float32" else "noshuffle"
    packed = BloscCodec(cname="lz4", clevel=1, shuffle=shuffle, typesize=np.dtype(cut.dtype).itemsize)
    return [packed, Crc32cCodec()] if cut.compressed else [Crc32cCodec()]


def is_as_created(array: "zarr.Array[Any]") -> bool:
    """Return whether an array is cut and packed as `create_array` does it.

    zarr unpacks by whatever means an array names, however much comes out.

    Parameters
    ----------
    array : zarr.Array
        Of a store.

    Returns
    -------
    bool
        Whatever its shape.
    """
    cut = read_cut(array)
    ours = ShardingCodec(chunk_shape=cut.chunk, codecs=[BytesCodec(), *_compressors(cut)])
    return [codec.to_dict() for codec in cast("Any", array).metadata.codecs] == [ours.to_dict()]


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


def codec_for(dtype: np.dtype[Any]) -> Blosc:
    """Return what compresses the chunks of a layer.

    Parameters
    ----------
    dtype : dtype
        float32 or float16.

    Returns
    -------
    Blosc
        lz4, the bytes of float32 sorted by significance before.
    """
    return Blosc("lz4", 1, Blosc.SHUFFLE if dtype.itemsize == 4 else Blosc.NOSHUFFLE)
