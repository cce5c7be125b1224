"""Small pictures of stimuli, for the margins of figures."""

import logging
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from rsa_face.stimuli.catalogue import open_picture

_log = logging.getLogger(__name__)


def thumbnail(file: str | Path, *, pixels: int = 96) -> np.ndarray:
    """Read an image at a small size.

    A figure should not fail for one picture: where a file cannot be read, the log names it and a gray square stands
    in its place.

    Parameters
    ----------
    file : str or Path
        An image file.
    pixels : int
        Length of its longer side.

    Returns
    -------
    ndarray, shape (row, column, 3)
        Red, green and blue, 0-255.
    """
    try:
        with open_picture(file) as opened:
            opened.draft("RGB", (2 * pixels, 2 * pixels))
            image = _eight_bits(ImageOps.exif_transpose(opened))
            image.thumbnail((pixels, pixels), Image.Resampling.LANCZOS)
            return np.asarray(_on_gray(image))
    except (OSError, ValueError) as error:
        _log.warning("No thumbnail of %s: %s", file, error)
        return np.full((pixels, pixels, 3), 200, dtype=np.uint8)


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=float)
        top = 65535.0 if values.max() > 255 else 255.0
        return Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8))
    return image


def _on_gray(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        back = Image.new("RGBA", image.size, (128, 128, 128, 255))
        image = Image.alpha_composite(back, image.convert("RGBA"))
    return image.convert("RGB")
