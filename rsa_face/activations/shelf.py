"""Hold what one layer computes for all stimuli: in memory, on the GPU, or past a budget in a file."""

import mmap
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from rsa_face.rdms.measures import Moments, is_beyond_single, is_far_from_0
from rsa_face.schema import MEASURES

_SLAB_VALUES = 2**25
_MOST_FEATURES = 2**13  # added up in float32 before float64 takes over
_FEW = 64
_ROWS = 128  # of a product with itself, taken at once; only the upper half is computed


class Shelf:
    """All stimuli's values at one place in a network, put there and taken off batch by batch.

    What one shelf holds is computed from what the one before it held, in the same block of memory: batches taken from
    one end leave room for those put at the other, so that two layers need the memory of the larger one. To that end
    every second shelf is filled backwards, from the last batch. The file is read and written, not mapped, so that it
    does not count as this process's memory.

    Parameters
    ----------
    stimuli : int
        How many there are in all.
    batch : int
        How many are put there at once; the last batch may be smaller.
    budget : float
        Bytes that may be held in memory (or on the GPU); more goes to the file.
    folder : str or Path, optional
        Where the file goes; the system's folder for temporary files unless given.
    after : Shelf, optional
        Whose batches this one's are computed from.
    """

    def __init__(
        self,
        stimuli: int,
        *,
        batch: int,
        budget: float,
        folder: str | Path | None = None,
        after: "Shelf | None" = None,
    ) -> None:
        self.stimuli = stimuli
        self.batch = batch
        self.budget = budget
        self.folder = folder
        self.backwards: bool = after is not None and not after.backwards
        self.memory: Tensor = torch.empty(0) if after is None else after.memory
        self.shape: tuple[int, ...] = ()
        self.file: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.memory = torch.empty(0)
        if self.file is not None:
            os.close(self.file)
            self.file = None

    @property
    def features(self) -> int:
        """How many values a stimulus has."""
        return int(np.prod(self.shape))

    @property
    def spilled(self) -> bool:
        """Whether the values lie in a file."""
        return self.file is not None

    def put(self, index: int, values: Tensor) -> None:
        """Put a batch on the shelf, in the order in which the shelf before it gives its batches.

        Parameters
        ----------
        index : int
            Which batch, from 0.
        values : Tensor of float32, shape (stimulus, ...)
            Copied.
        """
        if not self.shape:
            self._make_room(values)
        if self.file is not None:
            _write(self.file, values.cpu().contiguous().numpy(), 4 * self.features * self.batch * index)
            return
        if values.untyped_storage().data_ptr() == self.memory.untyped_storage().data_ptr():
            values = values.clone()  # where it lies and where it goes may overlap
        self._held()[self._rows(index)].copy_(values.flatten(1))

    def take(self, index: int) -> Tensor:
        """Take a batch off the shelf.

        Parameters
        ----------
        index : int
            Which batch, from 0.

        Returns
        -------
        Tensor of float32, shape (stimulus, ...)
            The caller's own, to change if need be, until a shelf after this one is given what became of it.
        """
        rows = self._rows(index)
        if self.file is None:
            return self._held()[rows].view(-1, *self.shape)
        values = np.empty((rows.stop - rows.start, *self.shape), np.float32)
        _read(self.file, values, 4 * self.features * rows.start)
        return torch.from_numpy(values)

    def batches(self) -> Iterator[tuple[int, Tensor]]:
        """Take all batches off the shelf, the last that was put there first.

        Yields
        ------
        int
            Which batch.
        Tensor of float32, shape (stimulus, ...)
            See `take`.
        """
        indices = range(-(-self.stimuli // self.batch))
        for index in indices if self.backwards else reversed(indices):
            yield index, self.take(index)

    def in_order(self, parts: list[Tensor]) -> list[Tensor]:
        """Return what was collected while this shelf was filled, a part a batch, in the order of the stimuli.

        Parameters
        ----------
        parts : list of Tensor
            As they came.

        Returns
        -------
        list of Tensor
            The same.
        """
        return parts[::-1] if self.backwards else parts

    def moments(self, measure: str) -> Iterator[Moments]:
        """Compute the moments of what is on the shelf, a slab of features of all stimuli at a time.

        Parameters
        ----------
        measure : str
            What they are for.

        Yields
        ------
        Moments
            Of each slab, in order.
        """
        step = max(_SLAB_VALUES // self.stimuli, 2)  # two outputs belong together
        read = np.empty((self.stimuli, min(step, self.features)), np.float32) if self.spilled else None
        for start in range(0, self.features, step):
            stop = min(start + step, self.features)
            slab = self._held()[:, start:stop] if read is None else self._read_slab(read[:, : stop - start], start)
            yield tensor_moments(slab, measure)

    def _make_room(self, values: Tensor) -> None:
        self.shape = tuple(values.shape[1:])
        size = self.features * self.stimuli
        if size <= len(self.memory) and values.device == self.memory.device:
            return
        if 4 * size <= _room(values.device, self.budget):
            self.memory = _block(size, values.device)
            return
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix="rsa_face-") as named:
            self.file = os.dup(named.fileno())

    def _rows(self, index: int) -> slice:
        return slice(index * self.batch, min((index + 1) * self.batch, self.stimuli))

    def _held(self) -> Tensor:
        size = self.features * self.stimuli
        place = slice(len(self.memory) - size, None) if self.backwards else slice(size)
        return self.memory[place].view(self.stimuli, self.features)

    def _read_slab(self, slab: np.ndarray, start: int) -> Tensor:
        assert self.file is not None
        for row in range(self.stimuli):
            _read(self.file, slab[row], 4 * (self.features * row + start))
        return torch.from_numpy(slab)


def _block(size: int, device: torch.device) -> Tensor:
    if device.type == "cuda":
        return torch.empty(size, device=device)
    return torch.from_numpy(np.frombuffer(mmap.mmap(-1, 4 * size), np.float32))  # the system's again when let go


def _room(device: torch.device, budget: float) -> float:
    if device.type != "cuda":
        return budget
    free, _ = torch.cuda.mem_get_info(device)
    return free / 2


def tensor_moments(slab: Tensor, measure: str) -> Moments:
    """Return the moments of one slab of features, computed where the tensor lies.

    The arithmetic is that of `rsa_face.rdms.measures.block_moments`; in torch, so that it shares the forward pass's
    threads, or its GPU.

    Parameters
    ----------
    slab : Tensor of float32, shape (stimulus, feature)
        Not changed.
    measure : str
        What they are for.

    Returns
    -------
    Moments
        In float64.
    """
    row = MEASURES[measure]
    slab = row.prepare(slab)
    scale = torch.maximum(slab.amax(dim=1), -slab.amin(dim=1)).double().cpu().numpy()
    size, none = np.array([slab.shape[1]]), np.zeros((len(slab), 1))
    if not np.isfinite(scale).all():
        return Moments(np.zeros((len(slab), len(slab))), none, size, scale)
    slab = slab.double() if row.most or is_beyond_single(scale) else slab
    if row.centre == "features":
        within, _ = _self_products(slab, slab.mean(dim=0))
        return Moments(within.cpu().numpy(), none, size, scale)
    mean = slab.mean(dim=1, keepdim=True)
    square = torch.linalg.vector_norm(slab, dim=1, keepdim=True) ** 2 / slab.shape[1]
    shift = torch.where(is_far_from_0(mean, square), mean, 0)
    products, sums = _self_products(slab, shift)
    rest = sums / slab.shape[1]
    within = products - slab.shape[1] * torch.outer(rest, rest)
    return Moments(within.cpu().numpy(), (shift[:, 0].double() + rest)[:, None].cpu().numpy(), size, scale)


def _self_products(values: Tensor, shift: Tensor) -> tuple[Tensor, Tensor]:
    """Return the inner products of shifted rows, shape (stimulus, stimulus), and the rows' sums, both in float64."""
    products = torch.zeros(len(values), len(values), dtype=torch.float64, device=values.device)
    sums = torch.zeros(len(values), dtype=torch.float64, device=values.device)
    # torch adds up products of very few rows in one long sum, which float32 has too few digits for
    kind = torch.float64 if len(values) < _FEW or values.dtype == torch.float64 else torch.float32
    parts = torch.split(values, _MOST_FEATURES, dim=1), torch.split(shift.expand_as(values), _MOST_FEATURES, dim=1)
    for part, off in zip(*parts, strict=True):
        shifted = (part - off).to(kind)
        sums += shifted.sum(dim=1, dtype=torch.float64)
        for start in range(0, len(values), _ROWS):
            products[start : start + _ROWS, start:] += shifted[start : start + _ROWS] @ shifted[start:].T
    return torch.triu(products) + torch.triu(products, diagonal=1).T, sums


def _write(file: int, values: np.ndarray, offset: int) -> None:
    content = memoryview(values).cast("B")
    done = 0
    while done < len(content):
        done += os.pwrite(file, content[done:], offset + done)


def _read(file: int, values: np.ndarray, offset: int) -> None:
    content = memoryview(values).cast("B")
    done = 0
    while done < len(content):
        got = os.preadv(file, [content[done:]], offset + done)
        if not got:
            message = "the temporary file of streamed activations ended early; was it cut by another program?"
            raise OSError(message)
        done += got
