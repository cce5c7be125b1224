"""How far networks' choices lie from people's: PSE, slope, curve, and what masking a region does, on plain arrays."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Array = np.ndarray


@dataclass(frozen=True, eq=False)
class Observers:
    """What is compared of some observers.

    Parameters
    ----------
    pse, log_slope : ndarray, shape (observer, occlusion)
        NaN where no curve was fitted.
    chosen : ndarray, shape (observer, occlusion, level)
        P(happy), NaN where not shown.
    whole : int
        Which occlusion is the whole face; -1 if none is.
    """

    pse: Float[Array, "observer occlusion"]
    log_slope: Float[Array, "observer occlusion"]
    chosen: Float[Array, "observer occlusion level"]
    whole: int


def compare_observers(
    human: Observers, machine: Observers, weights: Float[Array, "draw participant"], consistency: Array | None = None
) -> dict[str, Float[Array, "draw network occlusion"]]:
    """Compare networks with weighted people, for many weightings at once.

    Parameters
    ----------
    human, machine : Observers
        The people and the networks.
    weights : ndarray, shape (draw, participant)
        How often each participant counts.
    consistency : ndarray, shape (network, participant, occlusion), optional
        Error consistency of each pair.

    Returns
    -------
    dict of str to ndarray, shape (draw, network, occlusion)
        By measure.
    """
    pse, pse_sd = _moments(human.pse, weights)
    slope, slope_sd = _moments(human.log_slope, weights)
    curve, _ = _moments(human.chosen, weights)
    away = machine.chosen[None] - curve[:, None]
    shared = np.isfinite(away)
    squares = np.where(shared, away**2, 0).sum(axis=-1)
    count = np.where(shared.any(axis=-1), shared.sum(axis=-1), np.nan)
    level_curve = np.where(shared, curve[:, None], np.nan)
    centre = np.where(shared, level_curve, 0).sum(axis=-1) / count
    spread = np.where(shared, (level_curve - centre[..., None]) ** 2, 0).sum(axis=-1)
    delta, ratio = machine.pse[None] - pse[:, None], machine.log_slope[None] - slope[:, None]
    found = {
        "delta_pse": delta,
        "slope_ratio": np.exp(ratio),
        "rmse": np.sqrt(squares / count),
        "r2": 1 - squares / np.where(spread > 0, spread, np.nan),
        "pse_z": delta / pse_sd[:, None],
        "slope_z": ratio / slope_sd[:, None],
    }
    if human.whole >= 0:
        found |= _shifts(human, machine, weights)
    if consistency is not None:
        mean, _ = _moments(np.moveaxis(consistency, 1, 0), weights)
        found["error_consistency"] = mean
    return found


def _shifts(human: Observers, machine: Observers, weights: Array) -> dict[str, Array]:
    place = [human.whole]
    by_pse = machine.pse - machine.pse[:, place], human.pse - human.pse[:, place]
    by_slope = machine.log_slope - machine.log_slope[:, place], human.log_slope - human.log_slope[:, place]
    human_pse, _ = _moments(by_pse[1], weights)
    human_slope, _ = _moments(by_slope[1], weights)
    all_draws = (len(weights), *machine.pse.shape)
    return {
        "pse_shift": np.broadcast_to(by_pse[0], all_draws),
        "slope_change": np.broadcast_to(np.exp(by_slope[0]), all_draws),
        "pse_shift_difference": by_pse[0][None] - human_pse[:, None],
        "slope_change_ratio": np.exp(by_slope[0][None] - human_slope[:, None]),
    }


def _moments(values: Array, weights: Array) -> tuple[Array, Array]:
    """Return weighted means and standard deviations over the first axis, leaving out what is missing."""
    flat = values.reshape(len(values), -1)
    there = np.isfinite(flat)
    total = weights @ there
    total = np.where(total > 0, total, np.nan)
    mean = weights @ np.nan_to_num(flat) / total
    centred = np.where(there, flat - np.nanmean(np.where(there.any(axis=0), flat, 0), axis=0), 0)
    variance = weights @ centred**2 / total - (weights @ centred / total) ** 2
    spread = np.sqrt(np.maximum(variance, 0) * total / np.maximum(total - 1, 1))
    spread = np.where(spread > 0, spread, np.nan)
    return mean.reshape(-1, *values.shape[1:]), spread.reshape(-1, *values.shape[1:])
