"""Variances, intervals and t tests from bootstrap draws, as rsatoolbox makes them."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from scipy import stats

from rsa_face.inference.resampling import RESAMPLES
from rsa_face.inference.vectors import Floats
from rsa_face.schema import DRAW, RDM

_LEAST_VARIANCE = np.finfo(float).eps  # rsatoolbox's, so that no test divides by 0
_LEAST_P = np.finfo(float).tiny


def bootstrap_variance(draws: Floats, units: tuple[int, int], resample: str) -> Floats:
    """Return the variance of values estimated from their draws.

    Drawn with replacement, n units vary like n / (n - 1) fewer, which is corrected. A bootstrap over stimuli and
    participants at once counts the noise that no unit owns twice over, and so claims too large a variance; the dual
    bootstrap takes that out by comparing it with the bootstraps over each alone (Schuett, Kipnis, Diedrichsen &
    Kriegeskorte 2023, 10.7554/eLife.82566).

    Parameters
    ----------
    draws : array, shape (kind, draw, value)
        The values in each draw, in the order of `RESAMPLES`; draws with NaN are left out.
    units : tuple of int
        How many stimuli (or groups) and participants there are.
    resample : str
        What was drawn.

    Returns
    -------
    array, shape (value,)
        The variances.

    Notes
    -----
    With variances b (both), p (participants) and s (stimuli), and n stimuli and m participants, the dual estimate is
    ``p m/(m-1) + s n/(n-1) - (b - p - s) n m / ((n-1)(m-1))``, held between the larger of its first two terms and b.
    """
    stimuli, people = units
    kept = draws[:, ~np.isnan(draws).any(axis=(0, 2))]
    if kept.shape[1] < 2:
        message = (
            f"At least 2 draws must have every similarity and ceiling to estimate a variance, but {kept.shape[1]} of "
            f"{draws.shape[1]} have. Use more stimuli or participants, more draws, or another comparison."
        )
        raise ValueError(message)
    variances = kept.var(axis=1, ddof=1)
    if resample == "dual":
        both, by_people, by_stimuli = variances
        one, other = by_people * people / (people - 1), by_stimuli * stimuli / (stimuli - 1)
        shared = (both - by_people - by_stimuli) * (stimuli / (stimuli - 1)) * (people / (people - 1))
        return np.asarray(np.minimum(np.maximum(np.maximum(one + other - shared, one), other), both))
    count = {"stimulus": stimuli, "participant": people, "both": min(units)}[resample]
    return np.asarray(variances[0] * count / (count - 1))


def degrees_of_freedom(units: tuple[int, int], resample: str | None) -> int:
    """Return the degrees of freedom of a t test with bootstrap variance, as in rsatoolbox.

    Parameters
    ----------
    units : tuple of int
        How many stimuli (or groups) and participants there are.
    resample : str or None
        What was drawn; None for the spread over participants.

    Returns
    -------
    int
        One less than the number of units drawn, or than the smaller of the two.
    """
    stimuli, people = units
    return {"stimulus": stimuli, "participant": people, None: people}.get(resample, min(units)) - 1


def p_one_sided(values: Floats, variances: Floats, freedom: Floats | float) -> Floats:
    """Return the probability of values as high if the truth were 0 or less (t test).

    Parameters
    ----------
    values : array, shape (value,)
        Estimates.
    variances : array, shape (value,)
        Their variances.
    freedom : float or array, shape (value,)
        Degrees of freedom.

    Returns
    -------
    array, shape (value,)
        p values, above 0.
    """
    t = values / np.sqrt(np.maximum(variances, _LEAST_VARIANCE))
    return np.asarray(np.maximum(stats.t.sf(t, freedom), _LEAST_P))


def p_two_sided(values: Floats, variances: Floats, freedom: Floats | float) -> Floats:
    """Return the probability of values as far from 0 if the truth were 0 (t test).

    Parameters
    ----------
    values : array, shape (value,)
        Estimates.
    variances : array, shape (value,)
        Their variances.
    freedom : float or array, shape (value,)
        Degrees of freedom.

    Returns
    -------
    array, shape (value,)
        p values, above 0.
    """
    t = np.abs(values) / np.sqrt(np.maximum(variances, _LEAST_VARIANCE))
    return np.asarray(np.maximum(2 * stats.t.sf(t, freedom), _LEAST_P))


def p_from_draws(draws: Floats) -> Floats:
    """Return the share of draws at or below 0, with one added so that it is never 0 (percentile test).

    Parameters
    ----------
    draws : array, shape (draw, value)
        Values; NaN draws are left out.

    Returns
    -------
    array, shape (value,)
        One-sided p values: (1 + draws at or below 0) / (1 + draws).
    """
    known = ~np.isnan(draws)
    return np.asarray((1 + (known & (draws <= 0)).sum(axis=0)) / (1 + known.sum(axis=0)))


def t_interval(values: Floats, variances: Floats, freedom: Floats | float, confidence: float) -> Floats:
    """Return the interval of a t distribution around each value.

    Parameters
    ----------
    values : array, shape (value,)
        Estimates.
    variances : array, shape (value,)
        Their variances.
    freedom : float or array, shape (value,)
        Degrees of freedom.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    array, shape (value, 2)
        Lower and upper limit.
    """
    half = stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(np.maximum(variances, 0))
    return np.stack([values - half, values + half], axis=1)


def draws_of(result: xr.Dataset, name: str) -> Floats:
    """Return the draws that a result holds, of every bootstrap it was made of.

    Parameters
    ----------
    result : Dataset
        What `compare_layers` returned.
    name : str
        ``"similarity_draws"`` or ``"noise_ceiling_draws"``.

    Returns
    -------
    array, shape (kind, draw, rdm or bound)
        In the order of `RESAMPLES`: for the dual bootstrap both, participants, stimuli.

    Raises
    ------
    ValueError
        If the result holds no draws.
    """
    resample = result.attrs.get("resample")
    if resample is None or name not in result:
        message = (
            f"A result must hold draws for this, but its resample is {resample!r}. Compare with resample='both'."
        )
        raise ValueError(message)
    names = [name, *(f"{name}_{kind}" for kind in RESAMPLES[resample][1:])]
    return np.stack([result[each].transpose(DRAW, ...).values for each in names])


def t_differences(result: xr.Dataset, pairs: Sequence[tuple[str, str]] | None = None) -> xr.Dataset:
    """Test differences between layers by t tests with the variance of the paired draws.

    Name the pairs that were planned: all pairs of many layers are a large family, and few of them answer a question.

    Parameters
    ----------
    result : Dataset
        What `compare_layers` returned. Not changed.
    pairs : sequence of (str, str), optional
        The layers to compare, as ``"network/layer"``; all pairs if not given.

    Returns
    -------
    Dataset, dims (pair,)
        Coordinates `first` and `second`, and `difference` (first minus second), `difference_variance`,
        `p_difference` (two-sided, not corrected for the number of pairs) and, where there are draws,
        `p_difference_percentile`: twice the share of draws on the rarer side.

    Raises
    ------
    ValueError
        If a layer is not in the result.
    """
    labels = [str(value) for value in result[RDM].values]
    if pairs is None:
        pairs = [(one, other) for place, one in enumerate(labels) for other in labels[place + 1 :]]
    unknown = sorted({name for pair in pairs for name in pair} - set(labels))
    if unknown:
        message = f"Layers to compare must be in the result, but {unknown[:20]} are not. It has {labels[:20]}."
        raise ValueError(message)
    first = [labels.index(one) for one, _ in pairs]
    second = [labels.index(other) for _, other in pairs]
    units = (int(result.attrs["stimuli"]), int(result.attrs["participants"]))
    resample = result.attrs["resample"]
    if resample is None:
        each = result["participant_similarity"].values
        gaps = each[first] - each[second]
        values, variances = np.nanmean(gaps, axis=1), variance_over_people(gaps)
    else:
        draws = draws_of(result, "similarity_draws")
        gaps = draws[:, :, first] - draws[:, :, second]
        values, variances = np.nanmean(gaps, axis=(0, 1)), bootstrap_variance(gaps, units, resample)
    p = p_two_sided(values, variances, degrees_of_freedom(units, resample))
    tests = xr.Dataset(
        {"difference": ("pair", values), "difference_variance": ("pair", variances), "p_difference": ("pair", p)},
        {"first": ("pair", [one for one, _ in pairs]), "second": ("pair", [other for _, other in pairs])},
        {**result.attrs},
    )
    if resample is not None:
        rarer = np.minimum(p_from_draws(gaps[0]), p_from_draws(-gaps[0]))
        tests["p_difference_percentile"] = ("pair", np.minimum(1, 2 * rarer))
    return tests


def variance_over_people(values: Floats) -> Floats:
    """Return the variance of the mean over participants.

    Parameters
    ----------
    values : array, shape (value, participant)
        One value a participant; NaN is left out.

    Returns
    -------
    array, shape (value,)
        Squared standard errors.
    """
    counts = (~np.isnan(values)).sum(axis=1)
    return np.asarray(np.nanvar(values, axis=1, ddof=1) / counts)
