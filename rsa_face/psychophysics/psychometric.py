"""Psychometric curves: how often each observer answers happy along the morph, and where the answers turn."""

import warnings
from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import model_validator

from rsa_face.provenance import rng_from
from rsa_face.psychophysics.choices import Counts, check_choices, count_choices
from rsa_face.psychophysics.climb import fit_best, starting_points
from rsa_face.psychophysics.curves import MOST_ASYMPTOTE, SIGMOIDS, Problem
from rsa_face.psychophysics.fits import Fits
from rsa_face.psychophysics.intervals import deviance_chance, draw_curves, integrate_posterior
from rsa_face.psychophysics.pooling import Pooled, pool_curves
from rsa_face.psychophysics.scales import MIDDLES
from rsa_face.psychophysics.status import DETERMINED, NOT_CONVERGED, UNDETERMINED, UNFITTED, first_status
from rsa_face.schema import must_be_known
from rsa_face.settings import Bounds, Settings

INTERVALS = ("auto", "posterior", "bootstrap", "none")
# psignifit's prior on guesses and lapses, Beta(1, 10): (1 - x) to this power
_ASYMPTOTE_PRIOR = 9.0


class Curve(Settings):
    """Which curve is fitted, and within which bounds.

    Parameters
    ----------
    sigmoid : {"gaussian", "logistic"}
        The cumulative distribution it follows.
    guess, lapse : float or tuple of float
        How far the curve stays above 0 at the sad end, and below 1 at the happy end: fixed, or free between two
        bounds. Leaving lapses out, or bounding them below those of an observer, biases the slope (Wichmann & Hill
        2001, 10.3758/BF03194544) and makes intervals too narrow. Where trials are counted and fitted by likelihood,
        both have the prior Beta(1, 10) within their bounds, which weighs as 9 trials at either end would. The fit
        itself stays below .49, since an observer who guesses half the time has no PSE.
    width : float or tuple of float, optional
        Distance between 5 % and 95 % of the sigmoid, in units of level: fixed, or its bounds. From half the
        smallest step between levels to five times their range unless given.
    method : {"likelihood", "least squares"}
        Binomial likelihood, or least squares on the proportions, each level weighing the same.
    pooling : {"none", "participants"}
        Whether the participants' PSEs and widths are drawn towards the group's, one group for each occlusion.
    """

    sigmoid: Literal["gaussian", "logistic"] = "gaussian"
    guess: Bounds = (0.0, 0.5)
    lapse: Bounds = (0.0, 0.5)
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

    The PSE is the level at which happy is chosen half the time: where the whole curve is at one half. The midpoint
    is the middle of the sigmoid itself, guesses and lapses set aside. Observers whose PSE the choices do not
    determine have the status ``undetermined``, and no PSE, midpoint or slope, so that no mean takes them in: their
    curve is at one half only beyond the levels shown, or the choices leave an end of its 95 % interval open, or
    this is wider than the range of levels.

    Parameters
    ----------
    choices : DataFrame, one row a trial
        See `rsa_face.psychophysics.choices.check_choices`: `participant` or `network`, `level`, and `response` or
        `p_happy`. Not changed.
    curve : Curve or mapping, optional
        What to fit.
    interval : {"auto", "posterior", "bootstrap", "none"}
        How intervals are made. ``posterior`` are equal-tailed credible intervals, with the PSE uniform between its
        bounds, half the range of levels beyond them, and the width nearly so. ``auto`` is ``posterior`` for counted
        trials fitted by likelihood, else ``none``: a network's probabilities have no binomial spread, its spread is
        that over seeds.
    draws : int
        Bootstrap draws; the test of the deviance takes as many at most.
    confidence : float
        Of the intervals, in (0, 1).
    seed : int
        Of the draws.

    Returns
    -------
    Dataset, dims (participant or network, occlusion), and level, parameter, bound, curve_level, draw
        `pse`, `midpoint` and `width` in units of level, `slope` (rise of P(happy) per unit of level at the PSE),
        `guess`, `lapse`, each with `*_interval` and `*_open` (the choices do not limit the interval on this side, and
        it ends at the bound of the fit); `pse_fit`, the PSE of the fitted curve whatever its status; `deviance` and
        `deviance_p`, its test by simulation; `status` (``fitted``, ``separated``, ``undetermined``, ``falling``,
        ``constant``, ``few levels``, ``not shown`` or ``not converged``); `separated`, `at_bound`, `extrapolated`
        (PSE beyond the levels shown); `n_trials` and `proportion` by level; `curve` on `curve_level`. With the
        bootstrap, `pse_draws`, `slope_draws` and `curve_interval`. A network's label is split into `family` and
        `seed`.

    Raises
    ------
    ValueError
        If the table is at fault, an option is unknown, or not one curve can be fitted.

    References
    ----------
    Wichmann & Hill 2001, 10.3758/BF03194544 and 10.3758/BF03194545. Schütt, Harmeling, Macke & Wichmann 2016,
    10.1016/j.visres.2016.02.002.

    Examples
    --------
    >>> rows = {"participant": "a", "level": [0, 0.2, 0.4, 0.6, 0.8, 1], "p_happy": [0, 0.1, 0.3, 0.7, 0.9, 1]}
    >>> fit = fit_psychometric(pd.DataFrame(rows), {"guess": 0.0, "lapse": 0.0})
    >>> round(fit["pse"].item(), 3)
    0.5
    """
    curve = Curve.of(curve)
    if interval == "profile":
        message = "interval='profile' is now 'posterior', which holds the truth as often as it says with few trials."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        interval = "posterior"
    must_be_known(interval, INTERVALS, "interval")
    checked = check_choices(choices)
    counts = count_choices(checked)
    interval = _interval_kind(interval, curve, counts)
    status = first_status(counts)
    rows = np.flatnonzero(~np.isin(status, UNFITTED))
    if not rows.size:
        message = (
            f"No curve could be fitted: the choices of all observers are {sorted(set(status))}. Check the answers."
        )
        raise ValueError(message)
    problem = _problem_of(counts, curve, rows)
    theta, converged = fit_best(problem, starting_points(problem))
    pooled = None
    if curve.pooling == "participants":
        pooled = pool_curves(problem, theta, _groups(rows % len(counts.occlusions)))
        theta, problem = pooled.theta, pooled.problem
    result = Fits(counts, rows, theta, problem)
    counted = counts.answered and curve.method == "likelihood"
    # the posterior says whether an observer has a PSE, whatever the intervals are made by
    posterior = integrate_posterior(problem, theta, confidence=confidence) if counted else None
    undetermined = result.extrapolated()
    if posterior is not None:
        undetermined |= posterior.undetermined
    status[rows[undetermined & np.isin(status[rows], DETERMINED)]] = UNDETERMINED
    status[rows[~converged]] = NOT_CONVERGED
    bootstrap = chance = None
    if counted:
        chance = deviance_chance(problem, theta, draws=draws, rng=rng_from(seed, "deviance"))
    if interval == "bootstrap":
        bootstrap = draw_curves(problem, theta, draws=draws, rng=rng_from(seed, "psychometric"))
    dataset = xr.merge(
        [
            result.points(status),
            result.flags(status),
            result.deviance(chance),
            result.intervals(posterior if interval == "posterior" else None, bootstrap, confidence),
            result.population(pooled),
        ]
    )
    dataset.attrs = _attrs(curve, counts, pooled) | {
        "interval_kind": interval,
        "confidence": confidence,
        "draws": draws if interval == "bootstrap" else 0,
        "seed": seed,
        "deviance_test": "simulated",
        "untrained": checked.attrs.get("untrained", []),
    }
    return dataset


def _interval_kind(interval: str, curve: Curve, counts: Counts) -> str:
    counted = counts.answered and curve.method == "likelihood"
    if interval == "auto":
        return "posterior" if counted else "none"
    if interval != "none" and not counted:
        message = (
            f"No {interval} intervals for a fit by {curve.method} on {'trials' if counts.answered else 'chances'}: "
            "they rest on counted trials fitted by likelihood. Pass interval='none'."
        )
        raise ValueError(message)
    if interval == "bootstrap" and curve.pooling != "none":
        message = "No bootstrap for a pooled fit: interval is 'bootstrap'. Pass 'posterior'."
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
    asymptotes = [np.minimum(_as_bounds(value), MOST_ASYMPTOTE) for value in (curve.guess, curve.lapse)]
    bounds = np.array([(low - reach, high + reach), widths, *asymptotes])
    lower, upper = np.tile(bounds[:, 0], (len(rows), 1)), np.tile(bounds[:, 1], (len(rows), 1))
    counted = counts.answered and curve.method == "likelihood"
    return Problem(
        counts.levels,
        trials,
        happy,
        lower,
        upper,
        SIGMOIDS[curve.sigmoid],
        "likelihood" if curve.method == "likelihood" else "least squares",
        # chances are no trials for a prior to be weighed against
        _ASYMPTOTE_PRIOR if counted else 0.0,
    )


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
