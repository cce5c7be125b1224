"""What became of each curve: fitted, or why its choices do not hold one."""

import numpy as np

from rsa_face.psychophysics.choices import Counts

FITTED, SEPARATED, UNDETERMINED, FALLING, CONSTANT, FEW_LEVELS, NOT_SHOWN, NOT_CONVERGED = (
    "fitted",
    "separated",
    "undetermined",
    "falling",
    "constant",
    "few levels",
    "not shown",
    "not converged",
)
_SAME = 1e-3  # shares that differ by less do not differ along the levels: rounding, not judgement
UNFITTED = (CONSTANT, FEW_LEVELS, NOT_SHOWN)
DETERMINED = (FITTED, SEPARATED)  # the observers who have a PSE


def first_status(counts: Counts) -> np.ndarray:
    """Say of each curve, before it is fitted, whether its choices hold one.

    Parameters
    ----------
    counts : Counts
        Trials and happy answers.

    Returns
    -------
    ndarray of str, shape (observer x occlusion,)
        ``fitted`` (so far); ``separated`` (a step fits as well: the width is the fit's bound); ``falling`` (happy
        answers become fewer towards the happy end); or, not to be fitted, ``constant`` (the same answers at every
        level), ``few levels`` (fewer than three) and ``not shown``.
    """
    shown = counts.trials > 0
    levels = shown.sum(axis=-1).ravel()
    total, happy = counts.trials.sum(axis=-1).ravel(), counts.happy.sum(axis=-1).ravel()
    share = counts.happy / np.maximum(counts.trials, 1e-12)
    mean_level = (counts.trials * counts.levels).sum(axis=-1) / np.maximum(counts.trials.sum(axis=-1), 1e-12)
    rise = (counts.trials * (counts.levels - mean_level[..., None]) * share).sum(axis=-1).ravel()
    status = np.full(levels.size, FITTED, dtype=object)
    status[separated(counts)] = SEPARATED
    status[rise < 0] = FALLING
    highest = np.where(shown, share, -np.inf).max(axis=-1).ravel()
    lowest = np.where(shown, share, np.inf).min(axis=-1).ravel()
    status[(happy <= 0) | (happy >= total) | (highest - lowest < _SAME)] = CONSTANT
    status[levels < 3] = FEW_LEVELS
    status[levels == 0] = NOT_SHOWN
    return status


def separated(counts: Counts) -> np.ndarray:
    """Tell the curves that a step would fit perfectly, but for one level at most: their width is not to be had.

    The likelihood then rises for ever as the curve gets steeper (Albert & Anderson 1984, 10.1093/biomet/71.1.1);
    the bound on the width ends it.

    Parameters
    ----------
    counts : Counts
        Trials and happy answers.

    Returns
    -------
    ndarray of bool, shape (observer x occlusion,)
        True where a step would do.
    """
    shown = counts.trials > 0
    between = shown & (counts.happy > 0) & (counts.happy < counts.trials)
    sad = shown & (counts.happy <= 0)
    happy = shown & (counts.happy >= counts.trials)
    place = np.arange(len(counts.levels))
    last_sad = np.where(sad, place, -1).max(axis=-1)
    first_happy = np.where(happy, place, len(place)).min(axis=-1)
    within = np.where(between, place, -1).max(axis=-1)
    one = (between.sum(axis=-1) == 1) & (last_sad < within) & (within < first_happy)
    none = (between.sum(axis=-1) == 0) & (last_sad < first_happy)
    return np.asarray((one | none) & sad.any(axis=-1) & happy.any(axis=-1)).ravel()
