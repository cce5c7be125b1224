"""The two scales of levels in use: -1 sad to +1 happy, and the morph from 0 sad to 1 happy."""

import numpy as np
import pandas as pd

MIDDLES = {"signed": 0.0, "morph": 0.5}


def to_morph(choices: pd.DataFrame) -> pd.DataFrame:
    """Return choices with signed levels (-1 sad ... +1 happy) as morph positions (0 sad ... 1 happy).

    A PSE of .5 on the morph is 0 on the signed scale; the published PSEs are on the morph.

    Parameters
    ----------
    choices : DataFrame
        With a column `level`. Not changed.

    Returns
    -------
    DataFrame
        The same with ``(level + 1) / 2``; unchanged if the levels are on the morph already.

    Raises
    ------
    ValueError
        If a level lies outside -1 ... +1.
    """
    levels = choices["level"].astype(float)
    if scale_of(levels.to_numpy()) == "other":
        message = (
            f"Levels must lie between -1 and +1 to be put on the morph, but run from {levels.min():g} to "
            f"{levels.max():g}. Scale them first."
        )
        raise ValueError(message)
    signed = scale_of(levels.to_numpy()) == "signed"
    moved = choices.assign(level=(levels + 1) / 2 if signed else levels)
    moved.attrs = dict(choices.attrs)
    return moved


def scale_of(levels: np.ndarray) -> str:
    """Tell the scale of levels from their range: signed if any is below 0.

    Parameters
    ----------
    levels : ndarray
        Positions on the morph.

    Returns
    -------
    str
        ``signed``, ``morph`` or ``other``.

    Examples
    --------
    >>> scale_of(np.array([0.0, 0.5, 1.0])), scale_of(np.array([-1.0, 1.0]))
    ('morph', 'signed')
    """
    if levels.min() < -1 or levels.max() > 1:
        return "other"
    return "signed" if levels.min() < 0 else "morph"
