"""Ratings of each stimulus on several scales: two stimuli are apart as their profiles are."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from rsa_face.human.judgements import Floats, Judgements, must_fit, share
from rsa_face.human.layout import Source
from rsa_face.human.reading import other_columns
from rsa_face.human.trials import GROUP, Column, Trials


class FeatureOptions(BaseModel):
    """How profiles of ratings become dissimilarities.

    Parameters
    ----------
    scales : tuple of str
        The columns that are rated; if not given, all but the participant's, the stimulus' and those that select rows.
    distance : str
        ``euclidean``; ``mahalanobis``, by the participant's own covariance of the scales over stimuli (its
        pseudo-inverse, where scales never vary); or ``correlation``, 1 - r over scales.
    scale : tuple of float, optional
        The lowest and highest rating there can be; a rating beyond is a fault.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    scales: tuple[str, ...] = ()
    distance: Literal["euclidean", "mahalanobis", "correlation"] = "euclidean"
    scale: tuple[float, float] | None = None


def feature_columns(options: FeatureOptions, source: Source) -> tuple[Column, ...]:
    """Return what a file of feature ratings must hold.

    Parameters
    ----------
    options : FeatureOptions
        Its scales.
    source : Source
        Its header names the scales, where the options do not.

    Returns
    -------
    tuple of Column
        The columns; a rating may be missing.
    """
    scales = (Column(name, number=True, empty=True) for name in options.scales or other_columns(source))
    return (Column("participant"), Column("stimulus", stimulus=True), *scales)


def judge_features(trials: Trials, options: FeatureOptions) -> Judgements:
    """Return how far apart each participant's profiles of ratings are.

    A profile with a missing rating is comparable with no other: its pairs are NaN, and missing ratings counted.

    Parameters
    ----------
    trials : Trials
        Columns participant, stimulus, and the scales.
    options : FeatureOptions
        The scales and the distance.

    Returns
    -------
    Judgements
        The bias is the mean over all ratings.

    Raises
    ------
    ValueError
        If a rating is off the scale, or a participant rates a stimulus twice.
    """
    people, ids = trials.values("participant") or [GROUP], trials.stimuli("stimulus")
    who, what = trials.codes("participant", people), trials.codes("stimulus", ids)
    scales = [name for name in trials.columns if name not in ("participant", "stimulus")]
    if not scales:
        message = f"Stimuli must be rated on scales, but {trials.source.name} has no column but ids. Add the ratings."
        raise ValueError(message)
    if options.scale:
        for name in scales:
            _no_rating_off(trials, name, *options.scale)
    again = trials.frame.duplicated(["participant", "stimulus"]).to_numpy()
    named = trials.frame["stimulus"]
    trials.fault(again, "stimulus", lambda row: f"{named.iloc[row]!r} is rated again by the same participant")
    trials.settle()
    must_fit(len(people), len(ids), trials.source.name, features=len(scales))
    rated = np.full((len(people), len(ids), len(scales)), np.nan)
    rated[who, what] = trials.frame[list(scales)].to_numpy(float)
    distances = np.array([_distances(profile, options.distance) for profile in rated])
    given = ~np.isnan(rated)
    missing = int(np.isnan(trials.frame[list(scales)].to_numpy(float)).sum())
    attrs = {
        "distance": options.distance,
        "scales": list(scales),
        "missing_ratings": missing,
        "response_bias": "mean over all ratings",
    }
    return Judgements(
        people,
        ids,
        distances,
        (~np.isnan(distances)).astype(np.int32),
        np.bincount(who, minlength=len(people)),
        share(np.nansum(rated, axis=(1, 2)), given.sum(axis=(1, 2))),
        attrs,
        simulated=trials.simulated,
    )


def _no_rating_off(trials: Trials, name: str, low: float, high: float) -> None:
    rated = trials.frame[name].to_numpy(float)
    off = (rated < low) | (rated > high)
    trials.fault(off, name, lambda row: f"{rated[row]:g} is off the scale {low:g} to {high:g}")


def _distances(profile: Floats, how: str) -> Floats:
    """Return the upper triangle of distances between the rows of one participant's ratings."""
    i, j = np.triu_indices(len(profile), 1)
    if how == "correlation":
        centred = profile - profile.mean(axis=1, keepdims=True)
        norm = np.linalg.norm(centred, axis=1)
        return np.asarray(1 - share((centred[i] * centred[j]).sum(axis=1), norm[i] * norm[j]))
    differences = profile[i] - profile[j]
    if how == "mahalanobis":
        whole = profile[~np.isnan(profile).any(axis=1)]
        precision = np.linalg.pinv(np.atleast_2d(np.cov(whole, rowvar=False)))
        squared = np.einsum("pa,ab,pb->p", differences, precision, differences)
        return np.asarray(np.sqrt(np.maximum(squared, 0.0)))
    return np.asarray(np.sqrt((differences**2).sum(axis=1)))
