"""What a network sees: an image read as right RGB, then resized, cropped and normalised as its weights expect."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2 import InterpolationMode, functional

from rsa_face.stimuli.catalogue import StimulusSet, open_picture
from rsa_face.stimuli.preprocessing import Preprocessing

_SIXTEEN_BITS = ("I", "I;16", "I;16B", "I;16L", "I;16N")


def read_image(file: str | Path) -> np.ndarray:
    """Read an image file as RGB, whatever its kind.

    Grayscale is repeated in three channels; 16-bit gray keeps its range; a palette is looked up; transparent
    pixels show white, as a viewer shows them, not the colour hidden beneath; a rotation noted by the camera
    (EXIF) is carried out.
    """
    return _in_units(_read_pixels(file))


def preprocess(image: np.ndarray, preprocessing: Preprocessing, out: np.ndarray | None = None) -> Tensor:
    """Turn an RGB image into a network's input.

    An image of bytes that has its size already is cropped before it is turned into numbers, which is the same and
    less work.
    """
    pixels = image.transpose(2, 0, 1)
    if not _has_size(image, preprocessing):
        size = [preprocessing.resize] if isinstance(preprocessing.resize, int) else list(preprocessing.resize)
        mode = InterpolationMode(preprocessing.interpolation)
        rgb = torch.from_numpy(np.ascontiguousarray(_in_units(pixels)))
        pixels = functional.resize(rgb, size, interpolation=mode, antialias=preprocessing.antialias).numpy()
    crop = [preprocessing.crop, preprocessing.crop]
    cropped = functional.center_crop(torch.from_numpy(pixels), crop).numpy()
    # numpy, not torch: called in a reader's thread, torch would start threads that get in the forward pass's way
    mean, sd = (np.asarray(values, np.float32)[:, None, None] for values in (preprocessing.mean, preprocessing.sd))
    normalised = np.subtract(_in_units(cropped, out), mean, out=out)
    normalised /= sd
    return torch.from_numpy(normalised)


def read_batches(stimuli: StimulusSet, preprocessing: Preprocessing, *, batch: int = 32) -> Iterator[Tensor]:
    """Read the stimuli as network inputs, a batch at a time, the next batch being read while one is used."""
    if batch < 1:
        message = f"batch is {batch}: a batch holds 1 stimulus or more. Choose a larger one."
        raise ValueError(message)
    pairs = iter(zip(stimuli.ids, stimuli.files, strict=True))

    def read(stimulus: str, file: Path, out: np.ndarray) -> None:
        try:
            preprocess(_read_pixels(file), preprocessing, out)
        except ValueError as error:
            message = f"Stimulus {stimulus!r}: {error}"
            raise ValueError(message) from error

    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="images") as pool:

        def begin() -> tuple[np.ndarray, list[Future[None]]]:
            some = list(islice(pairs, batch))
            inputs = np.empty((len(some), 3, preprocessing.crop, preprocessing.crop), np.float32)
            return inputs, [pool.submit(read, *pair, out) for pair, out in zip(some, inputs, strict=True)]

        inputs, reading = begin()
        while reading:
            following = begin()
            for image in reading:
                image.result()
            yield torch.from_numpy(inputs)
            inputs, reading = following


def _has_size(image: np.ndarray, preprocessing: Preprocessing) -> bool:
    rows, columns = image.shape[:2]
    if isinstance(preprocessing.resize, int):
        return bool(min(rows, columns) == preprocessing.resize)
    return (rows, columns) == tuple(preprocessing.resize)


def _read_pixels(file: str | Path) -> np.ndarray:
    with open_picture(file) as image:
        ImageOps.exif_transpose(image, in_place=True)
        return _as_rgb(image)


# RGB, as bytes where the file holds bytes
def _as_rgb(image: Image.Image) -> np.ndarray:
    integers = image.mode == "I" and image.format == "TIFF"  # elsewhere "I" holds 16 bits
    if image.mode == "F" or integers:
        kind = "32-bit or signed integers" if integers else "floating-point numbers"
        message = f"its pixels are {kind} without a stated range; save it as 8 or 16 bits"
        raise OSError(message)
    if image.mode in _SIXTEEN_BITS:
        pixels = np.asarray(image)
        gray = pixels.astype(np.float32) / np.float32(65535)
        if "transparency" in image.info:  # the one gray value that is transparent
            gray[pixels == image.info["transparency"]] = 1
        return np.repeat(np.clip(gray, 0, 1)[..., None], 3, axis=2)
    if image.has_transparency_data:
        over = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", over.size, "white"), over)
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))


def _in_units(pixels: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
    if pixels.dtype != np.uint8:
        return pixels
    units: np.ndarray = np.divide(pixels, np.float32(255), out=out, dtype=np.float32)
    return units
