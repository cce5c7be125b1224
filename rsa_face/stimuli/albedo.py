"""What each point of the head reflects: skin, brows, lips and eyes, the same for every identity.

Brows and lips are painted on the average face and ride on its points, so that they move with the expression.
Nothing here depends on who is shown: skin tone must not tell identities apart.
"""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, map_coordinates

SKIN, LIPS, INNER, TEETH, LASHES = 0.74, 0.50, 0.06, 0.70, 0.02  # reflectances
_TINT_SKIN, _TINT_LIPS = np.array([1.10, 0.86, 0.74]), np.array([1.28, 0.80, 0.76])
_TINT_IRIS = np.array([1.15, 0.95, 0.78])
_PER_DM = 400  # pixels of the painting in a decimetre
_LEFT, _RIGHT, _LOW, _HIGH = -1.0, 1.0, -1.6, 1.4  # what the painting covers, dm from between the eyes
_HAIRS = 420  # strokes in a brow


def skin_albedo(
    across: np.ndarray, up: np.ndarray, *, lips: np.ndarray, inner: np.ndarray, colour: bool
) -> np.ndarray:
    """Return what the points of the skin reflect.

    Parameters
    ----------
    across, up : ndarray, shape (points,)
        Where each point lies on the average face, in dm from between the eyes.
    lips : ndarray, shape (points,)
        How much each point belongs to the lips, 0 to 1.
    inner : ndarray, shape (points,)
        How much each point lies behind the lips, 0 to 1: little light falls in there.
    colour : bool
        Whether the three channels differ.

    Returns
    -------
    ndarray, shape (points, 3)
        Reflectance of red, green and blue, 0 to 1.
    """
    mottle = 0.012 * _sampled(_mottled(), across, up)
    under_eyes = 0.05 * np.exp(-(((np.abs(across) - 0.29) / 0.20) ** 2) - ((up + 0.12) / 0.06) ** 2)
    skin = (SKIN + mottle) * (1 - under_eyes) * (1 - 0.62 * _sampled(_brows(), across, up))
    edge = _smooth_step(lips, 0.25, 0.75)[:, None]
    tints = (_TINT_SKIN, _TINT_LIPS) if colour else (np.ones(3), np.ones(3))
    outside = (1 - edge) * skin[:, None] * tints[0] + edge * (LIPS + mottle)[:, None] * tints[1]
    dark = _smooth_step(inner, 0.0, 0.5)[:, None]
    return np.asarray(np.clip((1 - dark) * outside + dark * INNER, 0, 1))


def eye_albedo(points: np.ndarray, *, colour: bool) -> np.ndarray:
    """Return what the points of an eyeball that looks straight ahead reflect: sclera, iris and pupil.

    Parameters
    ----------
    points : ndarray, shape (points, 3)
        The eyeball.
    colour : bool
        Whether the three channels differ.

    Returns
    -------
    ndarray, shape (points, 3)
        Reflectance of red, green and blue, 0 to 1.
    """
    around = points - (points.max(axis=0) + points.min(axis=0)) / 2
    radius = np.hypot(around[:, 0], around[:, 1]) / np.abs(around[:, 0]).max()
    angle = np.arctan2(around[:, 1], around[:, 0])
    front = around[:, 2] > 0
    iris = (1 - _smooth_step(radius, 0.43, 0.47)) * front
    pupil = (1 - _smooth_step(radius, 0.17, 0.20)) * front
    sclera = 0.86 - 0.10 * _smooth_step(radius, 0.45, 1.0)
    streaks = 0.30 + 0.05 * np.sin(23 * angle) + 0.10 * _smooth_step(radius, 0.2, 0.4)
    streaks -= 0.16 * _smooth_step(radius, 0.38, 0.46)
    tint = _TINT_IRIS if colour else np.ones(3)
    mixed = (1 - iris)[:, None] * sclera[:, None] + iris[:, None] * streaks[:, None] * tint
    return np.asarray(np.clip((1 - pupil)[:, None] * mixed + 0.03 * pupil[:, None], 0, 1))


def _smooth_step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    part = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(part * part * (3 - 2 * part))


def _sampled(painting: np.ndarray, across: np.ndarray, up: np.ndarray) -> np.ndarray:
    places = [(_HIGH - up) * _PER_DM, (across - _LEFT) * _PER_DM]
    return np.asarray(map_coordinates(painting, places, order=1, mode="nearest"))


@cache
def _mottled() -> np.ndarray:
    """Make uneven skin: noise at four scales, mean 0 and standard deviation 1."""
    rng = np.random.default_rng(11)
    blank = (round((_HIGH - _LOW) * _PER_DM), round((_RIGHT - _LEFT) * _PER_DM))
    scales = {3: 0.5, 8: 0.7, 20: 0.8, 60: 1.0}
    noise = sum(gaussian_filter(rng.normal(size=blank), scale) * scale * share for scale, share in scales.items())
    return np.asarray(noise / np.std(noise))


@cache
def _brows() -> np.ndarray:
    """Paint both brows, hair by hair: upright at the inner end, lying along the arch at the outer one."""
    rng = np.random.default_rng(3)
    painting = Image.new("L", (round((_RIGHT - _LEFT) * _PER_DM), round((_HIGH - _LOW) * _PER_DM)), 0)
    draw = ImageDraw.Draw(painting)
    for side in (-1, 1):
        for along in rng.uniform(0, 1, _HAIRS):
            thickness = 0.034 * (1 - 0.75 * along**2) * min(1.0, 0.55 + 2 * along)
            off = rng.normal(0, 0.42) * thickness
            arch = 0.165 + 0.05 * np.sin(np.pi * min(1.0, along / 1.25)) - 0.05 * max(0.0, along - 0.62) / 0.38
            slant = np.deg2rad(75 - 85 * min(1.0, 1.6 * along) + rng.normal(0, 9) - (12 if off > 0 else 0))
            half = 0.5 * 0.055 * (1 - 0.35 * along)
            ends = [
                (0.12 + 0.40 * along + end * half * np.cos(slant), arch + off + end * half * np.sin(slant))
                for end in (-1, 1)
            ]
            draw.line([((side * x - _LEFT) * _PER_DM, (_HIGH - y) * _PER_DM) for x, y in ends], fill=210, width=2)
    return np.asarray(np.clip(gaussian_filter(np.asarray(painting) / 255, 3) * 1.1, 0, 1))
