"""What human RDMs hold and how reliable they are: halves, sessions, each person against the others, more people."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray
from scipy.stats import rankdata

from rsa_face.human.judgements import Floats, triangles
from rsa_face.human.tables import listed
from rsa_face.inference.comparisons import FEWEST_PAIRS
from rsa_face.inference.resampling import by_name
from rsa_face.inference.rsa import noise_ceiling
from rsa_face.provenance import rng_from
from rsa_face.schema import (
    BOUND,
    BOUNDS,
    DRAW,
    PAIR,
    PARTICIPANT,
    STIMULUS_I,
    STIMULUS_J,
    UNSIGNED,
    check_rdms,
    must_be_known,
)

_DRAWS_AT_ONCE = 50


def spearman_brown(reliability: Floats | float, times: Floats | float) -> Floats:
    """Return the reliability of a mean over more people (or trials), from that of fewer.

    Examples
    --------
    >>> spearman_brown(0.5, 2).round(3)
    np.float64(0.667)
    """
    r, k = np.asarray(reliability, dtype=float), np.asarray(times, dtype=float)
    return np.asarray(k * r / (1 + (k - 1) * np.abs(r)))[()]


def single_reliability(between: float, size: int) -> float:
    """Return the reliability of one person's RDM, from the correlation between the means of two groups.

    Examples
    --------
    >>> round(single_reliability(2 / 3, 2), 3)
    0.5
    """
    return float(spearman_brown(between, 1 / size))


def on_one_scale(vectors: Floats, comparison: str) -> Floats:
    """Return RDMs so scaled that everybody weighs the same in a mean."""
    values = vectors if comparison == "corr" else np.asarray(rankdata(vectors, axis=1, nan_policy="omit"))
    centred = values - np.nanmean(values, axis=1, keepdims=True)
    spread = np.sqrt(np.nanmean(centred**2, axis=1, keepdims=True))
    return np.asarray(centred / np.where(spread > 0, spread, 1.0))


def agreement_with_others(vectors: Floats, comparison: str) -> Floats:
    """Return how alike each participant's RDM is to the mean of the others'."""
    scaled = on_one_scale(vectors, comparison)
    present = ~np.isnan(scaled)
    total, count = np.nansum(scaled, axis=0), present.sum(axis=0)
    result = np.empty(len(vectors))
    for person, (scores, judged) in enumerate(zip(scaled, present, strict=True)):
        others = _quotient(total - np.where(judged, scores, 0.0), count - judged)
        result[person] = similarity_of_two(others, vectors[person], comparison)
    return result


def similarity_of_two(one: Floats, other: Floats, comparison: str) -> float:
    """Return how alike two RDMs are, as the comparison of that name says, one pair at a time and fast."""
    both = ~np.isnan(one) & ~np.isnan(other)
    count = int(both.sum())
    if count < FEWEST_PAIRS:
        return float("nan")
    one, other = one[both], other[both]
    if comparison != "corr":
        one, other = rankdata(one), rankdata(other)
    one, other = one - one.mean(), other - other.mean()
    if comparison == "rho-a":
        return float(12 * (one @ other) / (count**3 - count))
    size = float(np.sqrt((one @ one) * (other @ other)))
    return float(one @ other) / size if size > 0 else float("nan")


def split_halves(
    vectors: Floats, comparison: str, *, halves: int, size: int | None = None, rng: np.random.Generator
) -> Floats:
    """Return the similarity of the mean RDMs of two random groups that share nobody, many times over."""
    people = len(vectors)
    size = people // 2 if size is None else size
    order = rng.random((halves, people)).argsort(axis=1)
    scaled = on_one_scale(vectors, comparison)
    present, filled = (~np.isnan(scaled)).astype(float), np.nan_to_num(scaled)
    result = np.empty(halves)
    for start in range(0, halves, _DRAWS_AT_ONCE):
        rows = order[start : start + _DRAWS_AT_ONCE]
        first = _mean_of(rows[:, :size], filled, present)
        second = _mean_of(rows[:, size : 2 * size], filled, present)
        for place, (one, other) in enumerate(zip(first, second, strict=True)):
            result[start + place] = similarity_of_two(one, other, comparison)
    return result


def _mean_of(members: NDArray[np.int64], filled: Floats, present: Floats) -> Floats:
    chosen = np.zeros((len(members), len(filled)))
    np.put_along_axis(chosen, members, 1.0, axis=1)
    return _quotient(chosen @ filled, chosen @ present)


def _quotient(total: Floats, count: NDArray[Any]) -> Floats:
    out = np.full(total.shape, np.nan)
    np.divide(total, count, out=out, where=count > 0)
    return np.asarray(np.round(out, 10))  # so that rounding breaks no ties


def group_sizes(people: int, most: int = 12) -> list[int]:
    """Return the sizes of groups to measure, from 1 to half of all people, closer together where small.

    Examples
    --------
    >>> group_sizes(16)
    [1, 2, 3, 4, 5, 6, 7, 8]
    """
    half = max(1, people // 2)
    return sorted({round(size) for size in np.geomspace(1, half, most)} | set(range(1, min(half, 8) + 1)))


COMPARISONS_OF_PEOPLE = ("spearman", "corr", "rho-a")
TARGETS = (0.7, 0.8, 0.9, 0.95)
FAR = 2.5  # median absolute deviations; Leys et al. 2013
_DRAWS_OF_A_SIZE = 200


def assess_reliability(
    human: xr.DataArray,
    *,
    comparison: str = "spearman",
    halves: int = 1000,
    seed: int = 0,
    confidence: float = 0.95,
    retest: xr.DataArray | None = None,
) -> xr.Dataset:
    """Say how reliable human RDMs are, and whom and what that rests on. Nobody is dropped.

    Parameters
    ----------
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Human RDMs of two participants or more, as `read_human` returns them. Not changed.
    comparison : {"spearman", "corr", "rho-a"}
        How two RDMs are compared.
    halves : int
        How many random halves.
    seed : int
        Draws the halves.
    confidence : float
        Of the interval of split halves.
    retest : DataArray, dims (repeat, participant, stimulus_i, stimulus_j), optional
        The same people's RDMs from two parts of their trials: ``read_human(..., layout={"by": "repeat"})``, or by
        a column such as session. Not changed.

    Returns
    -------
    Dataset
        `noise_ceiling` (bound); `split_half_draws` (draw), their mean `split_half`, and with Spearman-Brown
        `split_half_corrected` and `split_half_interval` (bound): the reliability of the mean over all participants;
        `single`, that of one participant; `reliability_predicted` and `reliability_measured` over `group_size`, and
        `participants_needed` (target); `agreement` (participant) with the mean of the others, and `outlying`
        (participant), a flag; `pairs_judged` (participant), the share of pairs, and `people_of_pair`
        (stimulus_i, stimulus_j); where there are such, `response_bias`, `bias_outlying` and `test_retest`
        (participant).

    Raises
    ------
    ValueError
        If there is one participant only (or a group's curve), a participant judged too few pairs or all the same,
        or the comparison is unknown.

    Notes
    -----
    A participant is flagged whose agreement (Fisher's z) lies more than 2.5 median absolute deviations below the
    median (Leys, Ley, Klein, Bernard & Licata 2013, 10.1016/j.jesp.2013.03.013), or whose response bias lies that
    far from the median on either side. With few participants the flag is rough: look before leaving anyone out.

    Examples
    --------
    >>> import rsa_face as rf
    >>> human = rf.example("demo").human
    >>> reliability = assess_reliability(human, halves=50)
    >>> reliability["agreement"].dims, bool(reliability["split_half_corrected"] > reliability["single"])
    (('participant',), True)
    """
    must_be_known(comparison, COMPARISONS_OF_PEOPLE, "comparison of people")
    check_rdms(human, along=PARTICIPANT, name="Human RDMs")
    if "group" in human.attrs:
        message = "These RDMs are one curve of a group. Reliability needs RDMs of several participants."
        raise ValueError(message)
    ceiling = noise_ceiling(human, comparison=comparison, resample=None)
    vectors = triangles(human.values).astype(float)
    people = len(vectors)
    named = vectors[by_name(human[PARTICIPANT].values)]  # halves are drawn by name, wherever people stand
    draws = split_halves(named, comparison, halves=halves, rng=rng_from(seed, "halves"))
    split = float(np.nanmean(draws))
    single, times = single_reliability(split, people // 2), people / (people // 2)
    agreement = agreement_with_others(vectors, comparison)
    people_of_pair = (~np.isnan(human.values)).sum(axis=0)
    np.fill_diagonal(people_of_pair, 0)
    known, tails = draws[~np.isnan(draws)], [(1 - confidence) / 2, (1 + confidence) / 2]
    variables: dict[str, Any] = {
        "noise_ceiling": (BOUND, ceiling.values),
        "split_half_draws": (DRAW, draws),
        "split_half": split,
        "split_half_corrected": float(spearman_brown(split, times)),
        "split_half_interval": (BOUND, spearman_brown(np.quantile(known, tails), times)),
        "single": single,
        "agreement": (PARTICIPANT, agreement),
        "outlying": (PARTICIPANT, far_from_median(np.arctanh(np.clip(agreement, -0.9999, 0.9999)), below=True)),
        "pairs_judged": (PARTICIPANT, (~np.isnan(vectors)).mean(axis=1)),
        "people_of_pair": ((STIMULUS_I, STIMULUS_J), people_of_pair),
        "participants_needed": ("target", _needed(single)),
    }
    result = xr.Dataset(
        variables,
        {
            PARTICIPANT: human[PARTICIPANT].values,
            BOUND: list(BOUNDS),
            "target": list(TARGETS),
            STIMULUS_I: human[STIMULUS_I].values,
            STIMULUS_J: human[STIMULUS_J].values,
        },
        {
            "comparison": comparison,
            "halves": halves,
            "seed": seed,
            "confidence": confidence,
            "simulated": bool(human.attrs.get("simulated", False)),
            "kind": str(human.attrs.get("kind", "")),
        },
    )
    result = result.merge(_curve(named, comparison, single, rng_from(seed, "sizes")))
    if "response_bias" in human.coords:
        bias = np.asarray(human["response_bias"].values, dtype=float)
        result = result.assign(response_bias=(PARTICIPANT, bias), bias_outlying=(PARTICIPANT, far_from_median(bias)))
        result.attrs["response_bias"] = str(human.attrs.get("response_bias", ""))
    return result if retest is None else result.assign(test_retest=repeat_similarity(retest, comparison=comparison))


def repeat_similarity(retest: xr.DataArray, *, comparison: str = "spearman") -> xr.DataArray:
    """Return how alike each participant's RDMs from two parts of the trials are."""
    must_be_known(comparison, COMPARISONS_OF_PEOPLE, "comparison of people")
    factor = str(retest.dims[0])
    if retest.ndim != 4 or retest.sizes[factor] != 2:
        message = (
            f"These RDMs have the dims {dict(retest.sizes)}, and a retest has two parts. Read them with layout "
            "by=repeat, or by a column with two values."
        )
        raise ValueError(message)
    first, second = (triangles(part).astype(float) for part in retest.values)
    values = np.full(len(first), np.nan)
    for person, (one, other) in enumerate(zip(first, second, strict=True)):
        both = ~np.isnan(one) & ~np.isnan(other)
        if both.sum() > 2 and np.ptp(one[both]) > 0 and np.ptp(other[both]) > 0:
            values[person] = similarity_of_two(one, other, comparison)
    return xr.DataArray(values, {PARTICIPANT: retest[PARTICIPANT].values}, (PARTICIPANT,), "test_retest")


def far_from_median(values: Floats, *, below: bool = False) -> np.ndarray:
    """Return which values lie far from the median, by the median absolute deviation.

    Examples
    --------
    >>> far_from_median(np.array([1.0, 1.1, 0.9, 1.0, 5.0])).tolist()
    [False, False, False, False, True]
    """
    away = values - np.nanmedian(values)
    spread = 1.4826 * np.nanmedian(np.abs(away))
    distance = -away if below else np.abs(away)
    return np.asarray(np.isnan(values) | ((distance > FAR * spread) & (spread > 0)))


def reliability_table(reliability: xr.Dataset) -> pd.DataFrame:
    """Return a reliability as one table, a row for each quantity."""
    result, confidence = reliability, float(reliability.attrs["confidence"])
    low, high = (float(value) for value in result["noise_ceiling"])
    bottom, top = (float(value) for value in result["split_half_interval"])
    pairs = triangles(result["people_of_pair"].values)
    halves = f"{result.attrs['halves']} random halves, Spearman-Brown; {confidence:.0%} of halves lie between"
    rows: list[tuple[str, float, float, float, str]] = [
        ("noise ceiling", np.nan, low, high, f"{result.attrs['comparison']}, leave-one-out to all"),
        ("split-half reliability", float(result["split_half_corrected"]), bottom, top, halves),
        ("reliability of one participant", float(result["single"]), np.nan, np.nan, "from the same halves"),
        *(
            (f"participants needed for {float(target):g}", float(needed), np.nan, np.nan, "by Spearman-Brown")
            for target, needed in zip(result["target"], result["participants_needed"], strict=True)
        ),
        ("agreement with the others", *_spread(result["agreement"].values), "median; least and most"),
        (
            "participants flagged as outlying",
            int(result["outlying"].sum()),
            np.nan,
            np.nan,
            _names(result, "outlying"),
        ),
        ("pairs judged by a participant", *_spread(result["pairs_judged"].values), "share: median; least and most"),
        (
            "participants of a pair",
            *_spread(pairs.astype(float)),
            f"median; pairs judged by nobody: {int((pairs == 0).sum())}",
        ),
    ]
    if "response_bias" in result:
        about = result.attrs.get("response_bias", "median; least and most")
        note = f"{about}; {_names(result, 'bias_outlying')}"
        rows.append(("response bias", *_spread(result["response_bias"].values), note))
    if "test_retest" in result and not np.isnan(result["test_retest"].values).all():
        rows.append(("test-retest similarity", *_spread(result["test_retest"].values), "median; least and most"))
    return pd.DataFrame(rows, columns=["quantity", "value", "lower", "upper", "note"])


def _spread(values: Floats) -> tuple[float, float, float]:
    known = values[~np.isnan(values)]
    return (float(np.median(known)), float(known.min()), float(known.max())) if len(known) else (np.nan,) * 3


def _names(result: xr.Dataset, flag: str) -> str:
    names = [str(name) for name in result[PARTICIPANT].values[result[flag].values]]
    return f"flagged, not dropped: {', '.join(names)}" if names else "nobody flagged"


def _needed(single: float) -> list[float]:
    """Return how many participants' mean is as reliable as each target; NaN where no number is."""
    if not 0 < single < 1:
        return [1.0 if single >= 1 else np.nan for _ in TARGETS]
    return [float(np.ceil(target * (1 - single) / (single * (1 - target)) - 1e-9)) for target in TARGETS]


def _curve(vectors: Floats, comparison: str, single: float, rng: np.random.Generator) -> xr.Dataset:
    people = len(vectors)
    sizes = group_sizes(people)
    measured = {
        size: float(np.nanmean(split_halves(vectors, comparison, halves=_DRAWS_OF_A_SIZE, size=size, rng=rng)))
        for size in sizes
    }
    longest = max([people, *(int(needed) for needed in _needed(single)[:3] if needed <= 10 * people)])
    all_sizes = sorted({*sizes, people, *(round(size) for size in np.geomspace(1, longest, 25))})
    return xr.Dataset(
        {
            "reliability_predicted": ("group_size", spearman_brown(single, np.array(all_sizes, dtype=float))),
            "reliability_measured": ("group_size", [measured.get(size, np.nan) for size in all_sizes]),
        },
        {"group_size": all_sizes},
    )


_KNOWN = (
    "kind",
    "left_out",
    "source",
    "options",
    "stimuli_judged",
    "simulated",
    "response_bias",
    "group",
    UNSIGNED,
    "ratings",
    "split_half",
    "halves",
)


def summarise(human: xr.DataArray) -> dict[str, str]:
    """Return what human RDMs hold, in words."""
    people, ids = ([str(value) for value in human[dim].values] for dim in (PARTICIPANT, STIMULUS_I))
    values, trials = triangles(human.values), human["n_trials"].values
    judged = (~np.isnan(values)).mean(axis=1)
    left_out = human.attrs.get("left_out") or {}
    unsigned = bool(human.attrs.get(UNSIGNED))
    summary = {
        "participants": "nobody recorded whose each rating is" if unsigned else f"{len(people)}: {listed(people, 4)}",
        "stimuli": f"{len(ids)}, {human.attrs.get('stimuli_judged', len(ids))} of them judged: {listed(ids, 4)}",
        "trials": f"{int(trials.sum()):,}; {_between(trials, ',.0f')} for each participant",
        "left out": "; ".join(f"{count:,}: {why}" for why, count in left_out.items()) or "nothing",
        "pairs": f"{values.shape[1]:,}; a participant judged {_between(judged, '.0%')}",
        "nobody judged": f"{int(np.isnan(values).all(axis=0).sum()):,} pairs",
        "judgements a pair": _between(triangles(human["coverage"].values)[~np.isnan(values)], ".0f"),
        "dissimilarity": _between(values[~np.isnan(values)], ".4g"),
    }
    if "response_bias" in human.coords:
        about = human.attrs.get("response_bias", "")
        summary["response bias"] = f"{_between(human['response_bias'].values, '.3g')} ({about})"
    for name in human.coords:
        if human[name].dims == (PARTICIPANT,) and name not in (PARTICIPANT, "n_trials", "response_bias"):
            levels, counts = np.unique(human[name].values.astype(str), return_counts=True)
            summary[str(name)] = ", ".join(f"{value}: {count}" for value, count in zip(levels, counts, strict=True))
    if PAIR in human.coords:
        count = len(ids) // 2
        share_of = (~np.isnan(values)).sum(axis=1) / count
        summary["pairs"] = f"{count:,} that share no stimulus; a participant judged {_between(share_of, '.0%')}"
        del summary["nobody judged"]
    if human.attrs.get("trials_known") is False:
        summary["trials"] = "not in the file"
        summary["judgements a pair"] = "not in the file"
    if unsigned:
        few, most = human.attrs["ratings"]
        summary["trials"] = f"{int(trials.sum()):,} ratings, {few} to {most} of each stimulus, averaged"
        summary["pairs"] = f"{values.shape[1]:,}"
        halves = ", ".join(f"{name} {value:.3f}" for name, value in human.attrs["split_half"].items())
        summary["similarity of halves"] = f"{halves} (mean of {human.attrs['halves']} random halves of the ratings)"
    hidden = (*_KNOWN, "trials_known", "averaged_over", "unit")
    attrs = {str(k): v for k, v in human.attrs.items() if k not in hidden and v not in ([], {}, None, "")}
    return summary | {name.replace("_", " "): str(value) for name, value in attrs.items()}


def advise(human: xr.DataArray, reliability: xr.Dataset | None, *, matched: bool) -> list[str]:
    """Return what a person should look at or do before comparing."""
    advice = []
    if human.attrs.get("simulated"):
        advice.append("These are simulated observers, and are labelled so from here on.")
    if not matched:
        advice.append("No stimuli were given: give the stimulus table (--stimuli) to have every id held against it.")
    if human.attrs.get("averaged"):
        by = human.attrs.get("averaged_over")
        one_by_one = f" (each by itself: layout by={by})" if by else ""
        advice.append(f"A participant's RDMs were averaged: {human.attrs['averaged']}{one_by_one}.")
    if human.attrs.get(UNSIGNED):
        advice.append(
            "Nothing is known about how people differ. Compare with resample='stimulus', which draws each stimulus "
            "with its ratings. The noise ceiling is from halves of ratings."
        )
    elif "group" in human.attrs:
        advice.append("This is one curve of a group: similarities can be computed, but no noise ceiling.")
    elif human.sizes[PARTICIPANT] == 1:
        advice.append("There is one participant: similarities can be computed, but no noise ceiling.")
    never = int(np.isnan(triangles(human.values)).all(axis=0).sum())
    if PAIR in human.coords:
        count = human.sizes[STIMULUS_I] // 2
        advice.append(f"Each stimulus was judged in one pair alone: the {count} pairs are compared, and drawn.")
    elif never:
        advice.append(f"Nobody judged {never:,} pairs: they are left out of every comparison, never filled in.")
    if human.attrs.get("unlinked"):
        who = listed(human.attrs["unlinked"])
        advice.append(f"Arrangements of {who} fall into parts that share no pair: their scales cannot be related.")
    return advice + ([] if reliability is None else _advise_on(reliability))


def _advise_on(reliability: xr.Dataset) -> list[str]:
    advice = []
    for flag, what in (
        ("outlying", "far less agreement with the others than most have"),
        ("bias_outlying", "responses far from most people's"),
    ):
        if flag in reliability and reliability[flag].any():
            names = [str(name) for name in reliability[PARTICIPANT].values[reliability[flag].values]]
            advice.append(f"Look at {listed(names)}: {what}. Nobody is dropped.")
    value = float(reliability["split_half_corrected"])
    if value < 0.7:
        needed = float(reliability["participants_needed"].sel(target=0.8))
        more = f"about {needed:.0f} participants would reach .8" if np.isfinite(needed) else "people do not agree"
        advice.append(f"The mean RDM's reliability is {value:.2f}: {more}.")
    return advice


def _between(values: np.ndarray, form: str) -> str:
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    if not len(known):
        return "unknown"
    low, middle, high = (format(float(value), form) for value in (known.min(), np.median(known), known.max()))
    return low if low == high else f"{low} to {high}, median {middle}"
