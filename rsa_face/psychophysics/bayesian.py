"""Bayesian psychometric curves, by psignifit, where it is installed."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.psychophysics.choices import Counts, check_choices, count_choices
from rsa_face.psychophysics.scales import MIDDLES
from rsa_face.psychophysics.status import DETERMINED, UNDETERMINED, UNFITTED, first_status
from rsa_face.schema import BOUND, BOUNDS, must_be_known

SIGMOID_NAMES = {"gaussian": "norm", "logistic": "logistic"}
_PARAMETER_NAMES = {"midpoint": "threshold", "width": "width", "guess": "gamma", "lapse": "lambda"}


def fit_bayesian(
    choices: pd.DataFrame, *, sigmoid: str = "gaussian", estimate: str = "MAP", confidence: float = 0.95
) -> xr.Dataset:
    """Fit each observer's psychometric curve with psignifit's priors and posterior intervals.

    For comparison with `fit_psychometric`, whose prior on guesses and lapses is the same. The package psignifit is
    under the GPL-3 and not installed with this one: ``pip install "rsa-face[psignifit]"``.

    Parameters
    ----------
    choices : DataFrame, one row a trial
        As for `fit_psychometric`; counted trials only. Not changed.
    sigmoid : {"gaussian", "logistic"}
        The cumulative distribution.
    estimate : {"MAP", "mean"}
        The highest point of the posterior, or its mean.
    confidence : float
        Of the credible intervals, in (0, 1).

    Returns
    -------
    Dataset, dims (participant or network, occlusion), and bound
        `pse` (where happy is chosen half the time), `midpoint` (psignifit's threshold: the middle of the sigmoid
        itself) and `width` in units of level, `guess`, `lapse`, each with `*_interval` (percentiles of the marginal
        posterior; for the PSE psignifit's conservative bounds on a threshold); `slope` at the PSE per unit of level;
        `status`. NaN where there are no choices to fit; no PSE, midpoint or slope where it is ``undetermined``:
        beyond the levels, or with an interval wider than their range.

    Raises
    ------
    ModuleNotFoundError
        If psignifit is not installed.
    ValueError
        If the table gives chances that were not counted from trials, or an option is unknown.

    References
    ----------
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
