"""Ratings of how alike two stimuli are, in both orders and repeated, as they come."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.stats import rankdata

from rsa_face.human.judgements import Floats, Judgements, pair_index, share, sum_by_pair
from rsa_face.human.layout import Source
from rsa_face.human.trials import GROUP, Column, Trials


class RatingOptions(BaseModel):
    """How ratings become dissimilarities.

    Parameters
    ----------
    direction : str
        What a high rating means: ``dissimilarity`` or ``similarity``.
    scale : tuple of float, optional
        The lowest and highest rating there can be; a rating beyond is a fault. As found if not given.
    values : str
        ``raw``; ``z`` (minus the participant's mean, by their SD) or ``rank`` (among the participant's pairs).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    direction: Literal["dissimilarity", "similarity"] = "dissimilarity"
    scale: tuple[float, float] | None = None
    values: Literal["raw", "z", "rank"] = "raw"


def rating_columns(options: RatingOptions, source: Source) -> tuple[Column, ...]:  # noqa: ARG001 - one form for all kinds
    """Return what a file of ratings must hold.

    Parameters
    ----------
    options : RatingOptions
        Not used.
    source : Source
        Not used.

    Returns
    -------
    tuple of Column
        The columns.
    """
    return (
        Column("participant"),
        Column("stimulus_a", stimulus=True),
        Column("stimulus_b", stimulus=True),
        Column("rating", number=True),
        Column("trial", required=False),
    )


def judge_ratings(trials: Trials, options: RatingOptions) -> Judgements:
    """Return each participant's mean rating of each pair, as dissimilarity.

    Both orders of a pair and its repeats are averaged and counted in `coverage`. A stimulus rated against itself
    is left out, and counted. A similarity s becomes high + low - s, on the same scale.

    Parameters
    ----------
    trials : Trials
        Columns participant, stimulus_a, stimulus_b, rating.
    options : RatingOptions
        Direction, scale and values.

    Returns
    -------
    Judgements
        Pairs never rated are NaN; the bias is the mean rating.

    Raises
    ------
    ValueError
        If a rating is off the scale, or a participant's trial occurs twice.
    """
    rated = trials.frame["rating"].to_numpy(float)
    low, high = options.scale or (float(np.nanmin(rated)), float(np.nanmax(rated)))
    trials.fault(
        (rated < low) | (rated > high), "rating", lambda row: f"{rated[row]:g} is off the scale {low:g} to {high:g}"
    )
    trials.no_trial_twice()
    trials.settle()
    people, ids = trials.values("participant") or [GROUP], trials.stimuli("stimulus_a", "stimulus_b")
    a, b = trials.codes("stimulus_a", ids), trials.codes("stimulus_b", ids)
    trials = trials.leave_out(a == b, "a stimulus rated against itself")
    a, b = trials.codes("stimulus_a", ids), trials.codes("stimulus_b", ids)
    who, rated = trials.codes("participant", people), trials.frame["rating"].to_numpy(float)
    shape = (len(people), len(ids) * (len(ids) - 1) // 2)
    pair = pair_index(a, b, len(ids))
    counts = sum_by_pair(who, pair, shape)
    total = sum_by_pair(who, pair, shape, rated if options.direction == "dissimilarity" else high + low - rated)
    n_trials = np.bincount(who, minlength=len(people))
    bias = share(np.bincount(who, weights=rated, minlength=len(people)), n_trials)
    attrs = {
        "direction": f"high ratings mean {options.direction}",
        "scale": [low, high],
        "scale_known": options.scale is not None,
        "repeats": int((counts > 1).sum()),
        "response_bias": "mean rating",
    }
    return Judgements(
        people,
        ids,
        _scaled(share(total, counts), options.values),
        counts,
        n_trials,
        bias,
        attrs,
        simulated=trials.simulated,
    )


def _scaled(values: Floats, how: str) -> Floats:
    if how == "raw":
        return values
    if how == "rank":
        return np.asarray(rankdata(values, axis=1, nan_policy="omit"))
    spread = np.nanstd(values, axis=1, keepdims=True)
    return np.asarray((values - np.nanmean(values, axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0))
