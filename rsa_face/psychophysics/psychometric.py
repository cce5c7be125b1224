"""Psychometric curves of observers: fitted, with intervals, and laid out by observer and occlusion."""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
import pandas as pd
import xarray as xr
from pydantic import model_validator

from rsa_face.provenance import rng_from
from rsa_face.psychophysics.choices import MIDDLES, Counts, check_choices, count_choices
from rsa_face.psychophysics.curve import (
    MOST_ASYMPTOTE,
    NUMBERS,
    PARAMETERS,
    PSE,
    SIGMOIDS,
    Bootstrap,
    Pooled,
    Posterior,
    Problem,
    bootstrap_interval,
    deviance_chance,
    deviance_of,
    draw_curves,
    evaluate_curve,
    fit_best,
    integrate_posterior,
    pool_curves,
    starting_points,
    value_of,
)
from rsa_face.safety import must_be_a
from rsa_face.schema import BOUND, BOUNDS, DRAW, NETWORK, must_be_known, origin_of, split_seed
from rsa_face.settings import Bounds, Settings

INTERVALS = ("auto", "posterior", "bootstrap", "none")
# psignifit's prior on guesses and lapses, Beta(1, 10): (1 - x) to this power
_ASYMPTOTE_PRIOR = 9.0
LEVEL, OCCLUSION, PARAMETER, CURVE_LEVEL = "level", "occlusion", "parameter", "curve_level"
_OF_A_PSE = ("pse", "midpoint", "slope")
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
# psignifit's names
SIGMOID_NAMES = {"gaussian": "norm", "logistic": "logistic"}
_PARAMETER_NAMES = {"midpoint": "threshold", "width": "width", "guess": "gamma", "lapse": "lambda"}


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
            faults.append(f"method is {self.method!r}, and a pooled fit is by likelihood")
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

    The PSE is the level at which happy (or whichever is the high answer) is chosen half the time: where the whole
    curve is at one half. The midpoint is the middle of the sigmoid itself, guesses and lapses set aside. Observers
    whose PSE the choices do not determine have the status ``undetermined``, and no PSE, midpoint or slope, so that
    no mean takes them in: their curve is at one half only outside the levels shown, or the choices leave an end of
    its 95 % interval open, or this is wider than the range of levels.

    Parameters
    ----------
    choices : DataFrame, one row a trial
        As `read_choices` describes: `participant` or `network`, `level`, and `response` or `p_happy`. Other
        answers than happy and sad are named when they are read, or in `check_choices`. Not changed.
    curve : Curve or mapping, optional
        What to fit.
    interval : {"auto", "posterior", "bootstrap", "none"}
        How intervals are made. ``posterior`` are equal-tailed credible intervals, with the PSE uniform between its
        bounds (half the range of levels on either side) and the width nearly so. ``auto`` is ``posterior`` for trials
        that are counted and fitted by likelihood, else ``none``: a network's probabilities have no binomial spread,
        its spread is that over seeds.
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
        (PSE outside the levels shown); `n_trials` and `proportion` by level; `curve` on `curve_level`. With the
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
    must_be_a(choices, pd.DataFrame, "A table of choices (`read_choices`) is needed here")
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
        pooled = pool_curves(problem, theta, np.unique(rows % len(counts.occlusions), return_inverse=True)[1])
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
        chance = deviance_chance(problem, theta, draws=draws, rngs=result.streams(seed, "deviance"))
    if interval == "bootstrap":
        bootstrap = draw_curves(problem, theta, draws=draws, rngs=result.streams(seed, "psychometric"))
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
        **origin_of(checked.attrs),
        "left_out": checked.attrs.get("left_out", 0),
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
    attrs |= {"answers": "trials" if counts.answered else "chances", **counts.words.attrs}
    return attrs if pooled is None else attrs | {"population_converged": pooled.converged}


def _as_bounds(value: float | tuple[float, float] | list[float]) -> tuple[float, float]:
    return (float(value), float(value)) if isinstance(value, int | float) else (float(value[0]), float(value[1]))


def first_status(counts: Counts) -> np.ndarray:
    """Return what is known of each curve, observer times occlusions, before it is fitted."""
    shown = counts.trials > 0
    levels = shown.sum(axis=-1).ravel()
    total, happy = counts.trials.sum(axis=-1).ravel(), counts.happy.sum(axis=-1).ravel()
    share = counts.happy / np.maximum(counts.trials, 1e-12)
    mean_level = (counts.trials * counts.levels).sum(axis=-1) / np.maximum(counts.trials.sum(axis=-1), 1e-12)
    # the covariance of level and answer
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
    """Return which curves a step would fit perfectly, but for one level at most: their width is undetermined.

    The likelihood then rises for ever as the curve gets steeper (Albert & Anderson 1984, 10.1093/biomet/71.1.1);
    the bound on the width ends it.
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


@dataclass(frozen=True, eq=False)
class Fits:
    """The fits of some of the curves, to be laid out over observers and occlusions."""

    counts: Counts
    rows: np.ndarray  # which curves were fitted: observer times occlusions plus occlusion
    theta: np.ndarray
    problem: Problem

    def points(self, status: np.ndarray) -> xr.Dataset:
        """Return the numbers of every curve, the curve itself, and the choices it rests on.

        PSE, midpoint and slope are given where the choices determine the PSE alone, so that no mean takes in a number
        that the bounds of the fit have made.
        """
        counts = self.counts
        variables = {name: self._put(read(self.theta, self.problem)) for name, read in NUMBERS.items()}
        variables["pse_fit"] = variables["pse"]
        determined = np.isin(status, DETERMINED).reshape(len(counts.observers), -1)
        for name in _OF_A_PSE:
            dims, numbers = variables[name]
            variables[name] = dims, np.where(determined, numbers, np.nan)
        variables["crossing"] = variables["pse"]  # the name that "pse" had; goes with the next version
        shares = np.full(counts.trials.shape, np.nan)
        np.divide(counts.happy, counts.trials, out=shares, where=counts.trials > 0)
        dims = (counts.observer, OCCLUSION)
        variables["curve"] = self._put(evaluate_curve(self._fine, self.theta, self.problem.sigmoid), CURVE_LEVEL)
        variables["proportion"] = ((*dims, LEVEL), shares)
        variables["n_trials"] = ((*dims, LEVEL), counts.trials)
        coords: dict[str, Any] = {
            counts.observer: list(counts.observers),
            OCCLUSION: list(counts.occlusions),
            LEVEL: counts.levels,
            CURVE_LEVEL: self._fine,
        }
        if counts.observer == NETWORK:
            split = [split_seed(name) for name in counts.observers]
            coords["family"] = (NETWORK, [family for family, _ in split])
            coords["seed"] = (NETWORK, [seed for _, seed in split])
        return xr.Dataset(variables, coords)

    def flags(self, status: np.ndarray) -> xr.Dataset:
        """Return what became of every curve, and where bounds decided."""
        lower, upper = self.problem.lower, self.problem.upper
        ends = np.stack([self.theta <= lower + 1e-6, self.theta >= upper - 1e-6], axis=-1)
        ends &= (lower < upper)[:, :, None]
        dims, shape = (self.counts.observer, OCCLUSION), (len(self.counts.observers), -1)
        return xr.Dataset(
            {
                "status": (dims, status.reshape(shape).astype(str)),
                "separated": (dims, separated(self.counts).reshape(shape)),
                "at_bound": self._put(ends, PARAMETER, BOUND, empty=False),
                "extrapolated": self._put(self.extrapolated(), empty=False),
            },
            {PARAMETER: list(PARAMETERS), BOUND: list(BOUNDS)},
        )

    def extrapolated(self) -> np.ndarray:
        """Return which fitted curves are at one half only outside the levels that were shown."""
        low, high = self.counts.levels.min(), self.counts.levels.max()
        return np.asarray((self.theta[:, PSE] < low) | (self.theta[:, PSE] > high))

    def deviance(self, chance: np.ndarray | None) -> xr.Dataset:
        """Return how far the choices lie from the curves, and how often chance alone lies as far."""
        if chance is None:
            return xr.Dataset()
        return xr.Dataset(
            {
                "deviance": self._put(deviance_of(self.theta, self.problem)),
                "deviance_p": self._put(chance),
                "log_likelihood": self._put(value_of(self.theta, self.problem.without_priors())),
            }
        )

    def intervals(self, posterior: Posterior | None, bootstrap: Bootstrap | None, confidence: float) -> xr.Dataset:
        """Return intervals of every number: credible ones, or those of the bootstrap."""
        table: dict[str, Any] = {}
        for name in NUMBERS:
            if posterior is not None:
                table[f"{name}_interval"] = self._put(posterior.ends[name].T, BOUND)
                table[f"{name}_open"] = self._put(posterior.open_ended[name].T, BOUND, empty=False)
            if bootstrap is not None:
                ends = bootstrap_interval(self.problem, self.theta, bootstrap, name, confidence=confidence)
                table[f"{name}_interval"] = self._put(ends.T, BOUND)
        if bootstrap is not None:
            for name in ("pse", "slope"):
                drawn = self._put(NUMBERS[name](bootstrap.theta, self.problem).T, DRAW)
                table[f"{name}_draws"] = xr.Variable(*drawn).transpose(DRAW, ...)
            tails, sigmoid = [(1 - confidence) / 2, (1 + confidence) / 2], self.problem.sigmoid
            # one curve at a time: all draws of all curves may not fit in memory
            bands = [
                np.quantile(evaluate_curve(self._fine, bootstrap.theta[:, row], sigmoid), tails, axis=0).T
                for row in range(len(self.theta))
            ]
            table["curve_interval"] = self._put(np.stack(bands), CURVE_LEVEL, BOUND)
        return xr.Dataset(table)

    def population(self, pooled: Pooled | None) -> xr.Dataset:
        """Return the population that pooled curves come from."""
        if pooled is None:
            return xr.Dataset()
        dims = (OCCLUSION, "pooled_parameter")
        mean, sd = (np.full((len(self.counts.occlusions), 2), np.nan) for _ in range(2))
        fitted = np.unique(self.rows % len(self.counts.occlusions))
        mean[fitted], sd[fitted] = pooled.centre, pooled.spread
        coords = {"pooled_parameter": ["pse", "log_width"]}
        return xr.Dataset({"population_mean": (dims, mean), "population_sd": (dims, sd)}, coords)

    def streams(self, seed: int, purpose: str) -> list[np.random.Generator]:
        """Return random numbers for each curve, by the names of observer and occlusion, whoever else is there."""
        observers, occlusions = self.counts.observers, self.counts.occlusions
        places = (divmod(int(row), len(occlusions)) for row in self.rows)
        return [rng_from(seed, purpose, observers[who], occlusions[what]) for who, what in places]

    @property
    def _fine(self) -> np.ndarray:
        return np.linspace(self.counts.levels.min(), self.counts.levels.max(), 101)

    def _put(
        self, values: np.ndarray, *further: str, empty: float | bool = np.nan
    ) -> tuple[tuple[str, ...], np.ndarray]:
        """Return values of the fitted curves, by observer and occlusion, with their dims; empty for other curves."""
        shape = (len(self.counts.observers), len(self.counts.occlusions))
        cells = np.full((shape[0] * shape[1], *values.shape[1:]), empty)
        cells[self.rows] = values
        return (self.counts.observer, OCCLUSION, *further), cells.reshape(*shape, *values.shape[1:])


def fit_bayesian(
    choices: pd.DataFrame, *, sigmoid: str = "gaussian", estimate: str = "MAP", confidence: float = 0.95
) -> xr.Dataset:
    """Fit each observer's psychometric curve with psignifit's priors and posterior intervals.

    For comparison with `fit_psychometric`, whose prior on guesses and lapses is the same. The package psignifit is
    under the GPL-3 and not installed with this one: ``pip install "rsa-face[psignifit]"``.

    Schütt, Harmeling, Macke & Wichmann 2016, 10.1016/j.visres.2016.02.002.
    """
    must_be_known(sigmoid, SIGMOID_NAMES, "sigmoid")
    must_be_known(estimate, ("MAP", "mean"), "estimate")
    counts = count_choices(check_choices(choices))
    if not counts.answered:
        message = "No Bayesian fit without counted trials: the table gives chances alone. Add a column trials."
        raise ValueError(message)
    peer = _psignifit()
    shape = (len(counts.observers), len(counts.occlusions))
    status = first_status(counts).reshape(shape)
    values = {name: np.full(shape, np.nan) for name in ("pse", *_PARAMETER_NAMES, "slope")}
    ends = {name: np.full((*shape, 2), np.nan) for name in ("pse", *_PARAMETER_NAMES)}
    for place in np.argwhere(~np.isin(status, UNFITTED)):
        cell = (int(place[0]), int(place[1]))
        fit = _fit(peer, counts, cell, SIGMOID_NAMES[sigmoid], confidence)
        parameters = fit.get_parameter_estimate(estimate)
        for name, theirs in _PARAMETER_NAMES.items():
            values[name][cell] = parameters[theirs]
            ends[name][cell] = fit.confidence_intervals[theirs][str(confidence)]
        pse, bounds = fit.threshold(0.5, estimate_type=estimate)
        values["pse"][cell], ends["pse"][cell] = pse, bounds[str(confidence)]
        values["slope"][cell] = fit.slope(pse, estimate_type=estimate)
    low, high = counts.levels.min(), counts.levels.max()
    undetermined = (values["pse"] < low) | (values["pse"] > high) | (np.ptp(ends["pse"], axis=-1) > high - low)
    status[undetermined & np.isin(status, DETERMINED)] = UNDETERMINED
    for name in ("pse", "midpoint", "slope"):
        values[name][~np.isin(status, DETERMINED)] = np.nan
    dims = (counts.observer, "occlusion")
    variables: dict[str, Any] = {name: (dims, array) for name, array in values.items()}
    variables |= {f"{name}_interval": ((*dims, BOUND), array) for name, array in ends.items()}
    variables["status"] = (dims, status.astype(str))
    coords = {counts.observer: list(counts.observers), "occlusion": list(counts.occlusions), BOUND: list(BOUNDS)}
    attrs = {
        "method": f"Bayesian, {estimate}, by psignifit",
        "sigmoid": sigmoid,
        "interval_kind": "credible",
        "confidence": confidence,
        "level_scale": counts.scale,
        "middle": MIDDLES.get(counts.scale),
        "simulated": counts.simulated,
        **counts.words.attrs,
    }
    return xr.Dataset(variables, coords, attrs)


def _fit(peer: Any, counts: Counts, cell: tuple[int, int], sigmoid: str, confidence: float) -> Any:
    shown = counts.trials[cell] > 0
    table = np.column_stack([counts.levels[shown], counts.happy[cell][shown], counts.trials[cell][shown]])
    return peer.psignifit(
        table,
        experiment_type="yes/no",
        sigmoid=sigmoid,
        fixed_parameters={"eta": 0},
        confP=(confidence, 0.9, 0.68),
        stimulus_range=(float(counts.levels.min()), float(counts.levels.max())),
        verbose=False,
    )


def _psignifit() -> Any:
    try:
        import psignifit
    except ModuleNotFoundError as error:
        message = "psignifit is not installed. Run pip install 'rsa-face[psignifit]'; it is under the GPL-3."
        raise ModuleNotFoundError(message) from error
    return psignifit
