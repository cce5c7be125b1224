"""What a person wants to know of human data just read: what is there, what was left out, and what to do about it."""

import numpy as np
import xarray as xr

from rsa_face.human.faults import listed
from rsa_face.human.judgements import triangles
from rsa_face.schema import PARTICIPANT, STIMULUS_I

_KNOWN = (
    "kind",
    "left_out",
    "source",
    "options",
    "stimuli_judged",
    "simulated",
    "response_bias",
    "group",
)


def summarise(human: xr.DataArray) -> dict[str, str]:
    """Return what human RDMs hold, in words.

    Parameters
    ----------
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        As `read_human` returns it. Not changed.

    Returns
    -------
    dict of str to str
        What -> how much.
    """
    people, ids = ([str(value) for value in human[dim].values] for dim in (PARTICIPANT, STIMULUS_I))
    values, trials = triangles(human.values), human["n_trials"].values
    judged = (~np.isnan(values)).mean(axis=1)
    left_out = human.attrs.get("left_out") or {}
    summary = {
        "participants": f"{len(people)}: {listed(people, 4)}",
        "stimuli": f"{len(ids)}, {human.attrs.get('stimuli_judged', len(ids))} of them judged: {listed(ids, 4)}",
        "trials": f"{int(trials.sum()):,}; {_between(trials, ',.0f')} for each participant",
        "left out": "; ".join(f"{count:,}: {why}" for why, count in left_out.items()) or "nothing",
        "pairs": f"{values.shape[1]:,}; a participant judged {_between(judged, '.0%')}",
        "nobody judged": f"{int(np.isnan(values).all(axis=0).sum()):,} pairs",
        "judgements a pair": _between(triangles(human["coverage"].values)[~np.isnan(values)], ".0f"),
        "dissimilarity": _between(values[~np.isnan(values)], ".4g"),
    }
    if "response_bias" in human.coords:
        said = human.attrs.get("response_bias", "")
        summary["response bias"] = f"{_between(human['response_bias'].values, '.3g')} ({said})"
    for name in human.coords:
        if human[name].dims == (PARTICIPANT,) and name not in (PARTICIPANT, "n_trials", "response_bias"):
            kept, counts = np.unique(human[name].values.astype(str), return_counts=True)
            summary[str(name)] = ", ".join(f"{value}: {count}" for value, count in zip(kept, counts, strict=True))
    if human.attrs.get("trials_known") is False:
        summary["trials"] = "not in the file"
        summary["judgements a pair"] = "not in the file"
    hidden = (*_KNOWN, "trials_known", "averaged_over")
    attrs = {str(k): v for k, v in human.attrs.items() if k not in hidden and v not in ([], {}, None, "")}
    return summary | {name.replace("_", " "): str(value) for name, value in attrs.items()}


def advise(human: xr.DataArray, reliability: xr.Dataset | None, *, matched: bool) -> list[str]:
    """Return what a person should look at or do before comparing.

    Parameters
    ----------
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        As `read_human` returns it. Not changed.
    reliability : Dataset, optional
        As `assess_reliability` returns it. Not changed.
    matched : bool
        Whether the ids were held against a stimulus table.

    Returns
    -------
    list of str
        One sentence each; there may be none.
    """
    advice = []
    if human.attrs.get("simulated"):
        advice.append("These are simulated observers, and are labelled so from here on.")
    if not matched:
        advice.append("No stimuli were given: give the stimulus table (--stimuli) to have every id held against it.")
    if human.attrs.get("averaged"):
        by = human.attrs.get("averaged_over")
        one_by_one = f" (each by itself: layout by={by})" if by else ""
        advice.append(f"A participant's RDMs were averaged: {human.attrs['averaged']}{one_by_one}.")
    if "group" in human.attrs:
        advice.append("This is one curve of a group: similarities can be computed, but no noise ceiling.")
    elif human.sizes[PARTICIPANT] == 1:
        advice.append("There is one participant: similarities can be computed, but no noise ceiling.")
    never = int(np.isnan(triangles(human.values)).all(axis=0).sum())
    if never:
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
    whole = float(reliability["split_half_corrected"])
    if whole < 0.7:
        needed = float(reliability["participants_needed"].sel(target=0.8))
        more = f"about {needed:.0f} participants would reach .8" if np.isfinite(needed) else "people do not agree"
        advice.append(f"The mean RDM's reliability is {whole:.2f}: {more}.")
    return advice


def _between(values: np.ndarray, form: str) -> str:
    known = np.asarray(values, dtype=float)
    known = known[~np.isnan(known)]
    if not len(known):
        return "unknown"
    low, middle, high = (format(float(value), form) for value in (known.min(), np.median(known), known.max()))
    return low if low == high else f"{low} to {high}, median {middle}"
