"""Hold what one layer computes for all stimuli: in memory, on the GPU, or past a budget in a file."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from rsa_face.rdms.moments import Moments, is_beyond_single, is_far_from_0

_SLAB_VALUES = 2**25
_MOST_FEATURES = 2**13  # added up in float32 before float64 takes over
_FEW = 64
_ROWS = 128  # of a product with itself, taken at once; only the upper half is computed


class Shelf:
    """All stimuli's values at one place in a network, put there and taken off batch by batch.

    The file is read and written, not mapped, so that it does not count as this process's memory.

    Parameters
    ----------
    stimuli : int
        How many there are in all.
    budget : float
        Bytes that may be held in memory (or on the GPU); more goes to the file.
    folder : str or Path, optional
        Where the file goes; the system's folder for temporary files unless given.
    """

    def __init__(self, stimuli: int, *, budget: float, folder: str | Path | None = None) -> None:
        self.stimuli = stimuli
        self.budget = budget
        self.folder = folder
        self.shape: tuple[int, ...] = ()
        self.parts: dict[int, Tensor] = {}
        self.rows: dict[int, tuple[int, int]] = {}
        self.file: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.parts.clear()
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
        """Put a batch on the shelf; batches come in order.

        Parameters
        ----------
        index : int
            Which batch, from 0.
        values : Tensor of float32, shape (stimulus, ...)
            Not copied where it stays in memory.
        """
        start = self.rows[index - 1][1] if index else 0
        self.rows[index] = (start, start + len(values))
        if not self.shape:
            self.shape = tuple(values.shape[1:])
            if 4 * self.features * self.stimuli > _room(values.device, self.budget):
                with tempfile.NamedTemporaryFile(dir=self.folder, prefix="rsa_face-") as named:
                    self.file = os.dup(named.fileno())
        if self.file is None:
            self.parts[index] = values
        else:
            _write(self.file, values.cpu().contiguous().numpy(), 4 * self.features * start)

    def take(self, index: int) -> Tensor:
        """Take a batch off the shelf.

        Parameters
        ----------
        index : int
            Which batch, from 0.

        Returns
        -------
        Tensor of float32, shape (stimulus, ...)
            The caller's own: it may be changed.
        """
        if self.file is None:
            return self.parts.pop(index)
        start, stop = self.rows[index]
        values = np.empty((stop - start, *self.shape), np.float32)
        _read(self.file, values, 4 * self.features * start)
        return torch.from_numpy(values)

    def batches(self) -> Iterator[Tensor]:
        """Take all batches off the shelf, in order.

        Yields
        ------
        Tensor of float32, shape (stimulus, ...)
            See `take`.
        """
        for index in self.rows:
            yield self.take(index)

    def moments(self, measure: str) -> Iterator[Moments]:
        """Compute the moments of what is on the shelf, a slab of features of all stimuli at a time.

        Parameters
        ----------
        measure : {"correlation", "euclidean", "cosine"}
            What they are for.

        Yields
        ------
        Moments
            Of each slab, in order.
        """
        step = max(_SLAB_VALUES // self.stimuli, 1)
        for start in range(0, self.features, step):
            yield tensor_moments(self._slab(start, min(start + step, self.features)), measure)

    def _slab(self, start: int, stop: int) -> Tensor:
        if self.file is None:
            return torch.cat([part.flatten(1)[:, start:stop] for part in self.parts.values()])
        slab = np.empty((self.stimuli, stop - start), np.float32)
        for row in range(self.stimuli):
            _read(self.file, slab[row], 4 * (self.features * row + start))
        return torch.from_numpy(slab)


def _room(device: torch.device, budget: float) -> float:
    if device.type != "cuda":
        return budget
    free, _ = torch.cuda.mem_get_info(device)
    return free / 2


def tensor_moments(slab: Tensor, measure: str) -> Moments:
    """Return the moments of one slab of features, computed where the tensor lies.

    The arithmetic is that of `rsa_face.rdms.moments.block_moments`; in torch, so that it shares the forward pass's
    threads, or its GPU.

    Parameters
    ----------
    slab : Tensor of float32, shape (stimulus, feature)
        Not changed.
    measure : {"correlation", "euclidean", "cosine"}
        What they are for.

    Returns
    -------
    Moments
        In float64.
    """
    scale = torch.maximum(slab.amax(dim=1), -slab.amin(dim=1)).double().cpu().numpy()
    size, none = np.array([slab.shape[1]]), np.zeros((len(slab), 1))
    if not np.isfinite(scale).all():
        return Moments(np.zeros((len(slab), len(slab))), none, size, scale)
    slab = slab.double() if is_beyond_single(scale) else slab
    if measure == "euclidean":
        return Moments(_self_products(slab - slab.mean(dim=0)).cpu().numpy(), none, size, scale)
    mean = slab.mean(dim=1, keepdim=True)
    square = torch.linalg.vector_norm(slab, dim=1, keepdim=True) ** 2 / slab.shape[1]
    shift = torch.where(is_far_from_0(mean, square), mean, 0)
    shifted = slab - shift if shift.any() else slab
    rest = shifted.sum(dim=1, dtype=torch.float64) / slab.shape[1]
    within = _self_products(shifted) - slab.shape[1] * torch.outer(rest, rest)
    return Moments(within.cpu().numpy(), (shift[:, 0].double() + rest)[:, None].cpu().numpy(), size, scale)


def _self_products(values: Tensor) -> Tensor:
    products = torch.zeros(len(values), len(values), dtype=torch.float64, device=values.device)
    # torch adds up products of very few rows in one long sum, which float32 has too few digits for
    kind = torch.float64 if len(values) < _FEW or values.dtype == torch.float64 else torch.float32
    for first in range(0, values.shape[1], _MOST_FEATURES):
        part = values[:, first : first + _MOST_FEATURES].to(kind)
        for start in range(0, len(values), _ROWS):
            products[start : start + _ROWS, start:] += part[start : start + _ROWS] @ part[start:].T
    return torch.triu(products) + torch.triu(products, diagonal=1).T


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
