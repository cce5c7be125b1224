"""Hold what one layer computes for all stimuli: in memory, on the GPU, or past a budget in a file."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torch import Tensor

from rsa_face.rdms.moments import Moments, block_moments

_SLAB_VALUES = 2**25


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
            stop = min(start + step, self.features)
            if self.file is None and self.parts[0].device.type != "cpu":
                slab = torch.cat([part.flatten(1)[:, start:stop] for part in self.parts.values()])
                yield _moments_on_gpu(slab, measure)
            else:
                yield block_moments(self._slab(start, stop), measure)

    def _slab(self, start: int, stop: int) -> np.ndarray:
        slab = np.empty((self.stimuli, stop - start), np.float32)
        for index, (first, last) in self.rows.items():
            if self.file is None:
                slab[first:last] = self.parts[index].flatten(1)[:, start:stop].numpy()
                continue
            for row in range(first, last):
                _read(self.file, slab[row], 4 * (self.features * row + start))
        return slab


def _room(device: torch.device, budget: float) -> float:
    if device.type != "cuda":
        return budget
    free, _ = torch.cuda.mem_get_info(device)
    return free / 2


# Runs on a GPU alone; the arithmetic is that of rdms.moments.block_moments.
def _moments_on_gpu(slab: Tensor, measure: str) -> Moments:
    scale = slab.abs().amax(dim=1).double().cpu().numpy()
    size, none = np.array([slab.shape[1]]), np.zeros((len(slab), 1))
    if not np.isfinite(scale).all():
        return Moments(np.zeros((len(slab), len(slab))), none, size, scale)
    if measure == "euclidean":
        centred = slab - slab.mean(dim=0)
        return Moments((centred @ centred.T).double().cpu().numpy(), none, size, scale)
    rough = slab.mean(dim=1, keepdim=True)
    centred = slab - rough
    rest = centred.double().mean(dim=1)
    within = (centred @ centred.T).double() - slab.shape[1] * torch.outer(rest, rest)
    return Moments(within.cpu().numpy(), (rough[:, 0].double() + rest)[:, None].cpu().numpy(), size, scale)


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
