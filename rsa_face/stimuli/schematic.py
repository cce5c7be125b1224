"""Schematic faces on a happy-sad continuum, drawn from lines and ellipses: for trials, not for research."""

from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from rsa_face.provenance import rng_from
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli

_OVERSAMPLED = 4
_BACKGROUND, _SKIN, _INK = 128, 200, 40


@dataclass(frozen=True)
class _Features:
    """What tells one schematic person from another, as fractions of the image."""

    width: float
    height: float
    eye_distance: float
    eye_size: float
    nose_length: float
    mouth_width: float


def draw_faces(
    out_dir: str | Path, *, identities: int = 6, levels: int = 9, size: int = 112, seed: int = 0
) -> StimulusSet:
    """Draw schematic faces and their stimulus table.

    The corners of the mouth rise linearly with level, from -1 (sad) over a straight line at 0 to +1 (happy).
    Identities differ in the shape of the face, eyes, nose and mouth, drawn from the seed.

    Parameters
    ----------
    out_dir : str or Path
        Gets ``stimuli.csv`` and ``images/``.
    identities, levels : int
        How many of each; an odd number of levels holds a neutral face.
    size : int
        Side of the images, in pixels.
    seed : int
        For the identities.

    Returns
    -------
    StimulusSet
        Columns `stimulus`, `file`, `identity`, `level`, and the regions `eyes`, `nose`, `mouth`.

    Raises
    ------
    ValueError
        If there are fewer than one identity or two levels, or the size is under 32 pixels.
    """
    if identities < 1 or levels < 2 or size < 32:
        message = (
            f"Faces must have 1 identity, 2 levels and 32 pixels at least, but there are {identities} identities, "
            f"{levels} levels and {size} pixels."
        )
        raise ValueError(message)
    folder = Path(out_dir)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(1, identities + 1):
        features = _features(rng_from(seed, "schematic", number))
        for step, level in enumerate(np.linspace(-1, 1, levels)):
            stimulus = f"id{number:02d}_level{step + 1:02d}"
            file = f"images/{stimulus}.png"
            _draw(features, float(level), size).save(folder / file, optimize=True)
            rows.append((stimulus, file, f"id{number:02d}", round(float(level), 4), *_regions(features, size)))
    columns = ["stimulus", "file", "identity", "level", "eyes", "nose", "mouth"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "stimuli.csv", index=False)
    return read_stimuli(folder / "stimuli.csv")


def _features(rng: np.random.Generator) -> _Features:
    low = np.array([0.30, 0.38, 0.11, 0.025, 0.08, 0.12])
    high = np.array([0.40, 0.46, 0.17, 0.050, 0.18, 0.20])
    return _Features(*(float(value) for value in rng.uniform(low, high)))


def _draw(features: _Features, level: float, size: int) -> Image.Image:
    side = size * _OVERSAMPLED
    image = Image.new("L", (side, side), _BACKGROUND)
    pen = ImageDraw.Draw(image)
    width, height, distance, eye, nose, mouth = (value * side for value in astuple(features))
    centre, line = side / 2, max(side // 60, 1)
    pen.ellipse(
        (centre - width, centre - height, centre + width, centre + height), fill=_SKIN, outline=_INK, width=line
    )
    for x in (centre - distance, centre + distance):
        y = centre - 0.12 * side
        pen.ellipse((x - eye, y - 0.7 * eye, x + eye, y + 0.7 * eye), fill=250, outline=_INK, width=line)
        pen.ellipse((x - 0.4 * eye, y - 0.5 * eye, x + 0.4 * eye, y + 0.5 * eye), fill=_INK)
        pen.line((x - 1.4 * eye, y - 0.07 * side, x + 1.4 * eye, y - 0.07 * side), fill=_INK, width=line)
    top = centre - 0.05 * side
    pen.line((centre, top, centre - 0.03 * side, top + nose, centre + 0.02 * side, top + nose), fill=_INK, width=line)
    across = np.linspace(-1, 1, 41)
    curve = centre + 0.22 * side - 0.08 * side * level * (across**2 - 0.5)
    pen.line([(centre + mouth * x, y) for x, y in zip(across, curve, strict=True)], fill=_INK, width=2 * line)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _regions(features: _Features, size: int) -> list[str]:
    reach = features.eye_distance + 1.5 * features.eye_size
    boxes = [
        (0.5 - reach, 0.28, 0.5 + reach, 0.43),
        (0.44, 0.44, 0.56, 0.48 + features.nose_length),
        (0.48 - features.mouth_width, 0.65, 0.52 + features.mouth_width, 0.79),
    ]
    return [" ".join(str(round(edge * size)) for edge in box) for box in boxes]
