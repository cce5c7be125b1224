"""Training images in batches: read once or as they come, varied if asked for, and never in another order."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from rsa_face.provenance import rng_from
from rsa_face.stimuli.images import preprocess, read_image
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.training.settings import Augmentation
from rsa_face.training.tables import TrainingTable

MOST_BYTES = 1_500_000_000


@dataclass(frozen=True, eq=False)
class Pictures:
    """The images of a training table, ready to be handed to a network in any order.

    Made by `open_pictures`.

    Parameters
    ----------
    table : TrainingTable
        Which images; those that could not be read are no longer in it, if leaving them out was asked for.
    preprocessing : Preprocessing
        How they become a network's input.
    inputs : Tensor of float32, shape (image, 3, row, column), or None
        All of them, if they fit into memory; else they are read as they come.
    skipped : tuple of str
        Files that could not be read and were left out.
    """

    table: TrainingTable
    preprocessing: Preprocessing
    inputs: Tensor | None
    skipped: tuple[str, ...] = ()

    def batches(self, order: Sequence[int] | np.ndarray, batch: int) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Hand out the images in an order, the next batch being read while one is used.

        Parameters
        ----------
        order : sequence of int
            Places in the table.
        batch : int
            Images at a time; the last batch may be smaller.

        Yields
        ------
        tuple of ndarray and Tensor
            Places in the table, and the inputs, shape (image, 3, row, column).
        """
        parts = [np.asarray(order[start : start + batch]) for start in range(0, len(order), batch)]
        if self.inputs is not None:
            for rows in parts:
                yield rows, self.inputs[torch.from_numpy(rows)]
            return
        with ThreadPoolExecutor(max_workers=2, thread_name_prefix="pictures") as pool:
            waiting = [pool.submit(self._read, row) for row in parts[0]]
            for number, rows in enumerate(parts):
                following = (
                    [pool.submit(self._read, row) for row in parts[number + 1]] if number + 1 < len(parts) else []
                )
                yield rows, torch.stack([image.result() for image in waiting])
                waiting = following

    def _read(self, row: int) -> Tensor:
        return read_input(self.table, int(row), self.preprocessing)


def open_pictures(table: TrainingTable, preprocessing: Preprocessing, *, skip_unreadable: bool = False) -> Pictures:
    """Look at every image of a table once, and keep all of them in memory if they fit.

    Looking first means that a broken image is named before an hour of training, not in its midst.

    Parameters
    ----------
    table : TrainingTable
        The images.
    preprocessing : Preprocessing
        How they become a network's input.
    skip_unreadable : bool
        Whether to leave out images that cannot be read; they are counted in `skipped`.

    Returns
    -------
    Pictures
        Ready to be handed out.

    Raises
    ------
    ValueError
        If images cannot be read; all of them are named.
    """
    fits = len(table) * 3 * preprocessing.crop**2 * 4 <= MOST_BYTES

    def look(row: int) -> Tensor | str | None:
        try:
            image = read_input(table, row, preprocessing)
        except (ValueError, FileNotFoundError) as error:
            return f"{table.table['stimulus'].iloc[row]}: {str(error).rstrip('.')}"
        return image if fits else None

    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="pictures") as pool:
        seen = list(pool.map(look, range(len(table))))
    faults = [fault for fault in seen if isinstance(fault, str)]
    if faults and not skip_unreadable:
        more = f" and {len(faults) - 20} more" if len(faults) > 20 else ""
        message = (
            f"Every training image must be readable, but {len(faults)} of {len(table)} are not: "
            f"{'; '.join(faults[:20])}{more}. To leave them out, set skip_unreadable."
        )
        raise ValueError(message)
    good = [row for row, image in enumerate(seen) if not isinstance(image, str)]
    bad = tuple(str(table.table["file"].iloc[row]) for row in range(len(table)) if isinstance(seen[row], str))
    inputs = [image for image in seen if isinstance(image, Tensor)]
    kept = table.take(good) if bad else table
    return Pictures(kept, preprocessing, torch.stack(inputs) if inputs else None, bad)


def read_input(table: TrainingTable, row: int, preprocessing: Preprocessing) -> Tensor:
    """Read one image of a table as a network's input: its face alone, where the table gives a box.

    Parameters
    ----------
    table : TrainingTable
        The images.
    row : int
        Which one, counted from 0.
    preprocessing : Preprocessing
        Resize, crop, mean and sd.

    Returns
    -------
    Tensor of float32, shape (3, row, column)
        The input.

    Raises
    ------
    ValueError
        If the file cannot be read, or the box does not lie in the image.
    """
    line = table.table.iloc[row]
    image = read_image(Path(str(line["file"])))
    if "face" in table.table.columns:
        left, top, right, bottom = (round(float(value)) for value in str(line["face"]).split())
        if not (0 <= left < right <= image.shape[1] and 0 <= top < bottom <= image.shape[0]):
            message = (
                f"A face must lie in its image, but {line['file']!r} is {image.shape[1]} x {image.shape[0]} pixels "
                f"and its face {left} {top} {right} {bottom}. Mend the table."
            )
            raise ValueError(message)
        image = image[top:bottom, left:right]
    return preprocess(image, preprocessing)


def vary(inputs: Tensor, augmentation: Augmentation, draws: np.ndarray) -> Tensor:
    """Vary a batch of inputs: mirrored, moved, turned, brighter or darker, as drawn.

    Parameters
    ----------
    inputs : Tensor, shape (image, 3, row, column)
        Normalised. Not changed.
    augmentation : Augmentation
        How far.
    draws : ndarray of float, shape (image, 7)
        Uniform between 0 and 1; one row an image, as `draw_variations` makes them.

    Returns
    -------
    Tensor, of the same shape
        What lies beyond the edge repeats the edge.
    """
    u = torch.from_numpy(draws).to(inputs)
    either = 2 * u - 1
    angle = torch.deg2rad(either[:, 1] * augmentation.rotate)
    scale = 1 + either[:, 2] * augmentation.scale
    mirror = 1 - 2 * (u[:, 0] < augmentation.flip).to(inputs)
    cosine, sine = torch.cos(angle) / scale, torch.sin(angle) / scale
    across = torch.stack([cosine * mirror, -sine, 2 * either[:, 3] * augmentation.shift], dim=1)
    down = torch.stack([sine * mirror, cosine, 2 * either[:, 4] * augmentation.shift], dim=1)
    grid = functional.affine_grid(torch.stack([across, down], dim=1), list(inputs.shape), align_corners=False)
    moved = functional.grid_sample(inputs, grid, padding_mode="border", align_corners=False)
    contrast = (1 + either[:, 5] * augmentation.contrast)[:, None, None, None]
    return moved * contrast + (either[:, 6] * augmentation.brightness)[:, None, None, None]


def draw_variations(count: int, *, seed: int, epoch: int) -> np.ndarray:
    """Draw how each image of an epoch is varied, whatever batches it will come in.

    Parameters
    ----------
    count : int
        Images in the table.
    seed : int
        The training's seed.
    epoch : int
        Counted from 1.

    Returns
    -------
    ndarray of float, shape (count, 7)
        Uniform between 0 and 1, one row an image, in the table's order.
    """
    return rng_from(seed, "augmentation", epoch).random((count, 7), dtype=np.float32)
