"""Bayesian psychometric curves, by psignifit, where it is installed."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.psychophysics.choices import Counts, check_choices, count_choices
from rsa_face.psychophysics.scales import MIDDLES
from rsa_face.psychophysics.status import UNFITTED, first_status
from rsa_face.schema import BOUND, BOUNDS, must_be_known

SIGMOID_NAMES = {"gaussian": "norm", "logistic": "logistic"}
_PARAMETER_NAMES = {"pse": "threshold", "width": "width", "guess": "gamma", "lapse": "lambda"}


def fit_bayesian(
    choices: pd.DataFrame, *, sigmoid: str = "gaussian", estimate: str = "MAP", confidence: float = 0.95
) -> xr.Dataset:
    """Fit each observer's psychometric curve with psignifit's priors and posterior intervals.

    Where few trials leave the width open, maximum likelihood ends at its bound and a prior says so honestly. The
    package psignifit is under the GPL-3 and not installed with this one: ``pip install "rsa-face[psignifit]"``.

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
        `pse` and `width` in units of level, `guess`, `lapse`, each with `*_interval` (percentiles of the marginal
        posterior); `slope` at the PSE per unit of level; `status`. NaN where there are no choices to fit.

    Raises
    ------
    ModuleNotFoundError
        If psignifit is not installed.
    ValueError
        If the table gives chances that were not counted from trials, or an option is unknown.

    References
    ----------
    Schuett, Harmeling, Macke & Wichmann 2016, 10.1016/j.visres.2016.02.002.
    """
    must_be_known(sigmoid, SIGMOID_NAMES, "sigmoid")
    must_be_known(estimate, ("MAP", "mean"), "estimate")
    counts = count_choices(check_choices(choices))
    if not counts.answered:
        message = "A Bayesian fit must rest on counted trials, but the table gives chances alone. Add trials."
        raise ValueError(message)
    peer = _psignifit()
    shape = (len(counts.observers), len(counts.occlusions))
    status = first_status(counts).reshape(shape)
    names = (*_PARAMETER_NAMES, "slope")
    values = {name: np.full(shape, np.nan) for name in names}
    ends = {name: np.full((*shape, 2), np.nan) for name in _PARAMETER_NAMES}
    for place in np.argwhere(~np.isin(status, UNFITTED)):
        cell = (int(place[0]), int(place[1]))
        found = _fit(peer, counts, cell, SIGMOID_NAMES[sigmoid], confidence)
        parameters = found.get_parameter_estimate(estimate)
        for name, theirs in _PARAMETER_NAMES.items():
            values[name][cell] = parameters[theirs]
            ends[name][cell] = found.confidence_intervals[theirs][str(confidence)]
        values["slope"][cell] = found.slope(parameters["threshold"], estimate_type=estimate)
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
        message = (
            "psignifit must be installed for Bayesian fits, but is not. Run pip install 'rsa-face[psignifit]'; it is "
            "under the GPL-3."
        )
        raise ModuleNotFoundError(message) from error
    return psignifit
