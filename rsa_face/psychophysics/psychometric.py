"""Psychometric curves: how often each observer answers happy along the morph, and where the answers turn."""

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import model_validator

from rsa_face.provenance import rng_from
from rsa_face.psychophysics.choices import Counts, check_choices, count_choices
from rsa_face.psychophysics.climb import fit_best, starting_points
from rsa_face.psychophysics.curves import SIGMOIDS, Problem
from rsa_face.psychophysics.fits import Fits
from rsa_face.psychophysics.intervals import draw_curves
from rsa_face.psychophysics.pooling import Pooled, pool_curves
from rsa_face.psychophysics.scales import MIDDLES
from rsa_face.psychophysics.status import NOT_CONVERGED, UNFITTED, first_status
from rsa_face.schema import must_be_known
from rsa_face.settings import Bounds, Settings

INTERVALS = ("auto", "profile", "bootstrap", "none")


class Curve(Settings):
    """Which curve is fitted, and within which bounds.

    Parameters
    ----------
    sigmoid : {"gaussian", "logistic"}
        The cumulative distribution it follows.
    guess, lapse : float or tuple of float
        How far the curve stays above 0 at the sad end, and below 1 at the happy end: fixed, or free between two
        bounds. Leaving lapses out biases the slope (Wichmann & Hill 2001, 10.3758/BF03194544).
    width : float or tuple of float, optional
        Distance between 5 % and 95 % of the sigmoid, in units of level: fixed, or its bounds. From half the
        smallest step between levels to five times their range unless given.
    method : {"likelihood", "least squares"}
        Binomial maximum likelihood, or least squares on the proportions, each level weighing the same.
    pooling : {"none", "participants"}
        Whether the participants' PSEs and widths are drawn towards the group's, one group for each occlusion.
    """

    sigmoid: Literal["gaussian", "logistic"] = "gaussian"
    guess: Bounds = (0.0, 0.1)
    lapse: Bounds = (0.0, 0.1)
    width: Bounds | None = None
    method: Literal["likelihood", "least squares"] = "likelihood"
    pooling: Literal["none", "participants"] = "none"

    @model_validator(mode="after")
    def _can_be_fitted(self) -> Self:
        faults = [
            f"{name} is {value}, above 0.5"
            for name, value in (("guess", self.guess), ("lapse", self.lapse))
            if np.max(value) > 0.5
        ]
        if self.width is not None and np.min(self.width) == 0:
            faults.append(f"width is {self.width}, not above 0")
        if self.pooling != "none" and self.method != "likelihood":
            faults.append(f"method is {self.method!r}, but a pooled fit is by likelihood")
        if faults:
            raise ValueError("; ".join(faults))
        return self


def fit_psychometric(
    choices: pd.DataFrame,
    curve: Curve | Mapping[str, object] | None = None,
    *,
    interval: str = "auto",
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> xr.Dataset:
    """Fit a psychometric curve to each observer's choices under each occlusion.

    The PSE is where the sigmoid itself is at one half: guesses and lapses are set aside, since they do not depend
    on the face. Where the whole curve crosses one half is given beside it. What cannot be fitted is NaN and says
    why in `status`; what the fit's bounds decided, not the choices, is flagged in `at_bound`.

    Parameters
    ----------
    choices : DataFrame, one row a trial
        See `rsa_face.psychophysics.choices.check_choices`: `participant` or `network`, `level`, and `response` or
        `p_happy`. Not changed.
    curve : Curve or mapping, optional
        What to fit.
    interval : {"auto", "profile", "bootstrap", "none"}
        How intervals are made. ``auto`` is ``profile`` for counted trials fitted by likelihood, else ``none``:
        a network's probabilities have no binomial spread, its spread is that over seeds.
    draws : int
        Bootstrap draws.
    confidence : float
        Of the intervals, in (0, 1).
    seed : int
        Of the bootstrap.

    Returns
    -------
    Dataset, dims (participant or network, occlusion), and level, parameter, bound, curve_level, draw
        `pse`, `crossing` and `width` in units of level, `slope` (rise of P(happy) per unit of level at the PSE),
        `guess`, `lapse`, each with `*_interval` and `*_open` (the choices do not limit the interval on this side);
        `deviance`, `deviance_p`; `status`; `separated`, `at_bound`, `extrapolated` (PSE beyond the levels shown);
        `n_trials` and `proportion` by level; `curve` on `curve_level`. With the bootstrap, `pse_draws`,
        `slope_draws` and `curve_interval`. A network's label is split into `family` and `seed`.

    Raises
    ------
    ValueError
        If the table is at fault, an option is unknown, or not one curve can be fitted.

    References
    ----------
    Wichmann & Hill 2001, 10.3758/BF03194544 and 10.3758/BF03194545.

    Examples
    --------
    >>> rows = {"participant": "a", "level": [0, 0.2, 0.4, 0.6, 0.8, 1], "p_happy": [0, 0.1, 0.3, 0.7, 0.9, 1]}
    >>> fit = fit_psychometric(pd.DataFrame(rows), {"guess": 0.0, "lapse": 0.0})
    >>> round(fit["pse"].item(), 3)
    0.5
    """
    curve = Curve.of(curve)
    must_be_known(interval, INTERVALS, "interval")
    checked = check_choices(choices)
    counts = count_choices(checked)
    interval = _interval_kind(interval, curve, counts)
    status = first_status(counts)
    rows = np.flatnonzero(~np.isin(status, UNFITTED))
    if not rows.size:
        message = f"At least one curve must be fit to be had, but all are {sorted(set(status))}. Check the answers."
        raise ValueError(message)
    problem = _problem_of(counts, curve, rows)
    theta, converged = fit_best(problem, starting_points(problem))
    pooled = None
    if curve.pooling == "participants":
        pooled = pool_curves(problem, theta, _groups(rows % len(counts.occlusions)))
        theta, problem = pooled.theta, pooled.problem
    status[rows[~converged]] = NOT_CONVERGED
    bootstrap = None
    if interval == "bootstrap":
        bootstrap = draw_curves(problem, theta, draws=draws, rng=rng_from(seed, "psychometric"))
    result = Fits(counts, rows, theta, problem)
    dataset = xr.merge(
        [
            result.points(),
            result.flags(status),
            result.deviance(bootstrap),
            result.intervals(interval, bootstrap, confidence),
            result.population(pooled),
        ]
    )
    dataset.attrs = _attrs(curve, counts, pooled) | {
        "interval_kind": interval,
        "confidence": confidence,
        "draws": draws if interval == "bootstrap" else 0,
        "seed": seed,
        "deviance_test": "simulated" if bootstrap is not None else "chi2",
        "untrained": checked.attrs.get("untrained", []),
    }
    return dataset


def _interval_kind(interval: str, curve: Curve, counts: Counts) -> str:
    counted = counts.answered and curve.method == "likelihood"
    if interval == "auto":
        return "profile" if counted else "none"
    if interval != "none" and not counted:
        message = (
            f"Intervals by {interval} must rest on counted trials fitted by likelihood, but the fit is by "
            f"{curve.method} on {'trials' if counts.answered else 'chances'}. Pass interval='none'."
        )
        raise ValueError(message)
    if interval == "bootstrap" and curve.pooling != "none":
        message = "A pooled fit must have its intervals by profile, but interval is 'bootstrap'. Pass 'profile'."
        raise ValueError(message)
    return interval


def _problem_of(counts: Counts, curve: Curve, rows: np.ndarray) -> Problem:
    trials, happy = (part.reshape(-1, len(counts.levels))[rows] for part in (counts.trials, counts.happy))
    if curve.method == "least squares":
        happy = happy / np.maximum(trials, 1e-12)
        trials = (trials > 0).astype(float)
    low, high, step = counts.levels.min(), counts.levels.max(), np.diff(counts.levels).min()
    widths = np.log(_as_bounds(curve.width or (step / 2, 5 * (high - low))))
    reach = 0.5 * (high - low)
    bounds = np.array([(low - reach, high + reach), widths, _as_bounds(curve.guess), _as_bounds(curve.lapse)])
    lower, upper = np.tile(bounds[:, 0], (len(rows), 1)), np.tile(bounds[:, 1], (len(rows), 1))
    objective = "least squares" if curve.method == "least squares" else "likelihood"
    return Problem(counts.levels, trials, happy, lower, upper, SIGMOIDS[curve.sigmoid], objective)  # type: ignore[arg-type]  # mypy widens the literal


def _attrs(curve: Curve, counts: Counts, pooled: Pooled | None) -> dict[str, object]:
    attrs: dict[str, object] = {
        name: list(value) if isinstance(value, tuple) else value for name, value in curve.record().items()
    }
    attrs |= {"level_scale": counts.scale, "middle": MIDDLES.get(counts.scale), "simulated": counts.simulated}
    attrs["answers"] = "trials" if counts.answered else "chances"
    return attrs if pooled is None else attrs | {"population_converged": pooled.converged}


def _as_bounds(value: float | tuple[float, float] | list[float]) -> tuple[float, float]:
    return (float(value), float(value)) if isinstance(value, int | float) else (float(value[0]), float(value[1]))


def _groups(occlusion: np.ndarray) -> np.ndarray:
    return np.unique(occlusion, return_inverse=True)[1]
