"""Where the pixels of an image file come to lie in a network's input."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import torch
from torchvision.transforms.v2 import functional

from rsa_face.stimuli.catalogue import open_picture


@dataclass(frozen=True)
class Frame:
    """The resizing and cropping of one image.

    Parameters
    ----------
    size : tuple of int
        Height and width of the image file.
    resized : tuple of int
        Height and width after resizing.
    crop : int
        Side of the square cut from the middle.
    """

    size: tuple[int, int]
    resized: tuple[int, int]
    crop: int

    @classmethod
    def of(cls, file: str | Path, preprocessing: Mapping[str, object]) -> Self:
        """Return the frame of an image file.

        Parameters
        ----------
        file : str or Path
            The image.
        preprocessing : mapping
            `resize` and `crop`, as recorded with maps and activations.

        Returns
        -------
        Frame
            Of this image.
        """
        with open_picture(file) as opened:
            width, height = opened.size
            turned = opened.getexif().get(0x0112, 1) in (5, 6, 7, 8)
        height, width = (width, height) if turned else (height, width)
        resize, crop = preprocessing["resize"], int(str(preprocessing["crop"]))
        if isinstance(resize, int):
            short, long = sorted((height, width))
            other = int(resize * long / short)
            resized = (resize, other) if height <= width else (other, resize)
        else:
            resized = (int(resize[0]), int(resize[1]))  # type: ignore[index]  # a pair, as recorded
        return cls((height, width), resized, crop)

    def cover(self, box: tuple[int, int, int, int]) -> np.ndarray:
        """Return how much of each input pixel a box of the file covers.

        Parameters
        ----------
        box : tuple of int
            Left, top, right, bottom in pixels of the file; right and bottom excluded.

        Returns
        -------
        ndarray, shape (crop, crop)
            0-1; fractions along its edges.
        """
        left, top, right, bottom = box
        return np.outer(self._span(top, bottom, 0), self._span(left, right, 1))

    def bring(self, values: np.ndarray) -> np.ndarray:
        """Return values given for the pixels of the file in those of the input.

        Parameters
        ----------
        values : ndarray, shape (row, column)
            In the file's pixels; a smaller or larger map of the whole image will do.

        Returns
        -------
        ndarray, shape (crop, crop)
            Resized as the image was, and cropped.
        """
        whole = torch.from_numpy(np.ascontiguousarray(values, dtype=np.float64))[None]
        resized = functional.resize(whole, list(self.resized), antialias=True)
        return np.asarray(functional.center_crop(resized, [self.crop, self.crop])[0].numpy())

    def _span(self, start: float, stop: float, side: int) -> np.ndarray:
        scale = self.resized[side] / self.size[side]
        cut = round((self.resized[side] - self.crop) / 2.0)
        edges = np.arange(self.crop)
        low, high = start * scale - cut, stop * scale - cut
        return np.asarray(np.clip(np.minimum(edges + 1, high) - np.maximum(edges, low), 0, 1))
