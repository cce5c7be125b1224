"""Image files opened with care: of the kinds that laboratories use, of a sane size, and named when broken."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from rsa_face.untrusted import in_short

MOST_PIXELS = 100_000_000
# pillow would also open kinds that hand the file to another program (EPS to Ghostscript)
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "PPM", "JPEG2000", "TGA", "ICO")


@contextmanager
def open_picture(file: str | Path) -> Iterator[Image.Image]:
    """Open an image file, and close it; whatever is wrong with it, then or while it is decoded, is a sentence.

    Parameters
    ----------
    file : str or Path
        A PNG, JPEG, TIFF, BMP, GIF, WebP, PPM, JPEG 2000, TGA or ICO file.

    Yields
    ------
    PIL.Image.Image
        Not decoded yet.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not an image, is of another kind, is cut short, or has more than 100 million pixels.
    """
    path = Path(file)
    if not path.is_file():
        message = f"An image must exist to be read, but there is no file {str(path)!r}. Check the stimulus table."
        raise FileNotFoundError(message)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit follows
            opened = Image.open(path, formats=FORMATS)
        with opened as image:
            columns, rows = image.size
            if columns * rows > MOST_PIXELS:
                message = f"it says {columns} x {rows}, more than {MOST_PIXELS:,} pixels"
                raise OSError(message)
            yield image
    except Exception as error:
        message = f"An image must be readable, but {str(path)!r} is not: {in_short(error)}. Replace the file."
        raise ValueError(message) from error
