"""Move a head from sad over neutral to happy: two written-down combinations of expression shapes, equal in size."""

from functools import cache

import numpy as np

from rsa_face.stimuli.head import face_unit, read_head, target, visible_points

HAPPY = {"mouthSmile*": 0.80, "cheekSquint*": 0.80, "mouthUpperUp*": 0.50, "mouthLowerDown*": 0.30}
SAD = {
    "mouthFrown*": 1.60,
    "browInnerUp": 1.60,
    "mouthShrugLower": 0.60,
    "mouthStretch*": 0.35,
    "mouthRollLower": 0.20,
    "browDown*": 0.20,
    "eyeBlink*": 0.10,
}
SIZE_OF_EXPRESSION = 0.036  # root mean square shift of the visible face's points at either end, dm

_TEETH = slice(14992, 15128)
_TEETH_BACK = 0.10  # dm: so that closed lips show no white line


def expression(level: float) -> np.ndarray:
    """Return how far an expression moves each point of a neutral head.

    The happy and the sad combination of ARKit shapes (`HAPPY`, `SAD`; a star stands for both sides) are scaled
    to the same size, `SIZE_OF_EXPRESSION`, and multiplied by the level: the shape is linear in level on either
    side and neutral at 0.

    Parameters
    ----------
    level : float
        -1 (sad) to +1 (happy).

    Returns
    -------
    ndarray, shape (points, 3)
        In dm.
    """
    return np.asarray(abs(level) * _full_expression("happy" if level > 0 else "sad"))


def neutral() -> np.ndarray:
    """Return what makes the mesh at rest look neutral: it has the corners of the mouth down, and reads as sad.

    Returns
    -------
    ndarray, shape (points, 3)
        In dm, to be added to every identity.
    """
    still: np.ndarray = 0.6 * target("mouth/mouth-angles-up") + _combined({"mouthSmile*": 0.06})
    still[_TEETH, 2] -= _TEETH_BACK
    return still


@cache
def _full_expression(end: str) -> np.ndarray:
    moved = _combined(HAPPY if end == "happy" else SAD)
    size = float(np.sqrt((moved[visible_points(read_head())] ** 2).sum(axis=1).mean()))
    return np.asarray(moved * (SIZE_OF_EXPRESSION / size))


def _combined(weights: dict[str, float]) -> np.ndarray:
    return np.asarray(sum(weight * face_unit(name) for name, weight in weights.items()))
