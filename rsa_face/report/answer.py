"""The question of a study and its answer in three sentences, each with how sure it is."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from rsa_face.figures.palette import network_label
from rsa_face.schema import LAYER, NETWORK, PARTICIPANT, RDM, comparison_label
from rsa_face.study.folder import StudyFolder

_GENERAL = {
    "stimulus": "to other faces like these, but not to other people",
    "participant": "to other people like these, but not to other faces",
    "both": "to other faces and other people like these",
    "dual": "to other faces and other people like these",
}


@dataclass(frozen=True)
class Answer:
    """What was asked and found.

    Parameters
    ----------
    question : str
        One sentence.
    sentences : tuple of str
        Three sentences: the most similar layer, the noise ceiling, the comparison of networks.
    limits : tuple of str
        What the answer does not say.
    """

    question: str
    sentences: tuple[str, ...]
    limits: tuple[str, ...]


def answer_of(study: StudyFolder) -> Answer:
    """Write a study's question and answer from its results.

    Parameters
    ----------
    study : StudyFolder
        What its folder holds.

    Returns
    -------
    Answer
        Sentences in plain words; where a stage is missing, the sentence says so.
    """
    where = next((part for name, part in study.extras.items() if name.startswith("localization")), None)
    contrast = _with_baseline(study, where)
    network = _network_in_question(study, where)
    if network is None:
        question = "At which layer does a network become like people?"
    else:
        question = f"At which layer does {network_label(network)} become like people in how it arranges these faces?"
    if study.result is None:
        nothing = "Layers were not compared with people in this folder, so the question has no answer here."
        return Answer(question, (nothing,), _limits(study))
    sentences = (
        _most_similar(study.result, where),
        _at_ceiling(study.result, where),
        _between_networks(contrast, where),
    )
    return Answer(question, sentences, _limits(study))


def _with_baseline(study: StudyFolder, where: xr.Dataset | None) -> xr.Dataset | None:
    """Return the contrast with the baseline of the question, or the first there is."""
    contrasts = [part for name, part in study.extras.items() if name.startswith("contrast")]
    asked = [
        one for one in contrasts if where is not None and one.attrs.get("baseline") == where.attrs.get("baseline")
    ]
    return next(iter([*asked, *contrasts]), None)


def listed(names: list[str], most: int = 6) -> str:
    """Return names as a list in a sentence.

    Parameters
    ----------
    names : list of str
        One or more names.
    most : int
        How many are written out.

    Returns
    -------
    str
        The list.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _network_in_question(study: StudyFolder, where: xr.Dataset | None) -> str | None:
    if where is not None and where.attrs.get("network"):
        return str(where.attrs["network"])
    if study.result is None:
        return None
    names = [str(name) for name in study.result[NETWORK].values]
    best = names[int(np.nanargmax(study.result["similarity"].values))]
    return "fe_alexnet" if "fe_alexnet" in names else best


def _most_similar(result: xr.Dataset, where: xr.Dataset | None) -> str:
    best = result.isel({RDM: int(np.nanargmax(result["similarity"].values))})
    comparison = str(result.attrs.get("comparison", ""))
    named = comparison_label(comparison) or "similarity"
    name = f"{network_label(str(best[NETWORK].item()))} {best[LAYER].item()}"
    text = (
        f"Of {result.sizes[RDM]} layers, {name} came out most similar to people "
        f"({named} {float(best['similarity']):.3f}{_interval(best)}; {_sample(result)})"
    )
    peak = _target(where, "peak")
    if peak is None or where is None:
        return f"{text}."
    kept = [str(name) for name in peak[LAYER].values[peak["in_set"].values.astype(bool)]]
    share = float(peak["probability"].sel({LAYER: peak["picked"].item()}))
    picked = str(peak["picked"].item())
    said = "no layer stood out" if picked == "none" else f"it was {picked} ({share:.0%} of draws)"
    level = float(where.attrs.get("confidence", 0.95))
    set_of = f"the {level:.0%} set of layers that the data do not rule out is {listed(kept)}"
    return f"{text}; within {network_label(str(where.attrs.get('network')))} {said}, and {set_of}."


def _sample(result: xr.Dataset) -> str:
    people = f"{result.sizes[PARTICIPANT]} participants" if PARTICIPANT in result.sizes else "the participants"
    return f"{people} and {result.attrs['stimuli']} stimuli" if "stimuli" in result.attrs else people


def _at_ceiling(result: xr.Dataset, where: xr.Dataset | None) -> str:
    if "noise_ceiling" not in result:
        return "No noise ceiling was estimated, so it cannot be said how much of people's agreement is reached."
    lower, upper = (float(value) for value in result["noise_ceiling"].values)
    band = f"the noise ceiling ({lower:.3f} to {upper:.3f})"
    reach = _target(where, "at_ceiling")
    if reach is not None and where is not None:
        network, picked = network_label(str(where.attrs.get("network"))), str(reach["picked"].item())
        none = float(reach["probability"].sel({LAYER: "none"})) if "none" in reach[LAYER].values else 0.0
        if picked == "none":
            return f"No layer of {network} reached {band}, and in {none:.0%} of draws none did."
        share = float(reach["probability"].sel({LAYER: picked}))
        return (
            f"The first layer of {network} that could not be told from {band} was {picked} ({share:.0%} of draws); "
            f"in {none:.0%} of draws no layer got there."
        )
    name = next((test for test in ("p_below_ceiling_corrected", "p_below_ceiling") if test in result), None)
    if name is None:
        above = int((result["similarity"].values >= lower).sum())
        return (
            f"{above} of {result.sizes[RDM]} layers lay at or above the lower bound of {band}; this was not tested."
        )
    close = int((~((result[name].values < 0.05) & (result["similarity"].values < lower))).sum())
    how = "corrected for the number of layers" if name.endswith("corrected") else "not corrected"
    return f"{close} of {result.sizes[RDM]} layers could not be told from {band} (p ≥ .05, {how})."


def _between_networks(contrast: xr.Dataset | None, where: xr.Dataset | None) -> str:
    if contrast is not None and "difference_band" in contrast:
        return _by_band(contrast)
    first = _target(where, "above_baseline")
    if first is not None and where is not None:
        network, baseline = (network_label(str(where.attrs.get(name))) for name in ("network", "baseline"))
        picked = str(first["picked"].item())
        share = float(first["probability"].sel({LAYER: picked}))
        said = "No layer" if picked == "none" else f"{picked} was the first layer"
        return f"{said} of {network} {'was' if picked == 'none' else ''} above {baseline} ({share:.0%} of draws)."
    return "No network was compared with another."


def _by_band(contrast: xr.Dataset) -> str:
    network, baseline = (network_label(str(contrast.attrs.get(name))) for name in ("network", "baseline"))
    lower, upper = contrast["difference_band"].transpose("bound", LAYER).values
    names, value = [str(name) for name in contrast[LAYER].values], contrast["difference"].values
    more = [name for name, low in zip(names, lower, strict=True) if low > 0]
    less = [name for name, high in zip(names, upper, strict=True) if high < 0]
    if more and less:
        found = f"more like people than {baseline} at {listed(more)} and less so at {listed(less)}"
    elif more or less:
        found = f"{'more' if more else 'less'} like people than {baseline} at {listed(more or less)}"
    else:
        found = f"neither more nor less like people than {baseline} at any layer"
    top = int(np.nanargmax(np.abs(value)))
    most = f"{value[top]:+.3f} (band {lower[top]:.3f} to {upper[top]:.3f})".replace("-", "−")
    return (
        f"{network} was {found}, of {len(names)} matched layers, by the band that holds for all of them at once; the "
        f"largest difference, at {names[top]}, was {most}."
    )


def _interval(layer: xr.Dataset) -> str:
    if "similarity_interval" not in layer:
        return ", no interval estimated"
    lower, upper = (float(value) for value in layer["similarity_interval"].values)
    return f", {float(layer.attrs.get('confidence', 0.95)):.0%} interval {lower:.3f} to {upper:.3f}"


def _target(where: xr.Dataset | None, name: str) -> xr.Dataset | None:
    if where is None or "target" not in where.coords or name not in where["target"].values:
        return None
    return where.sel(target=name)


def _limits(study: StudyFolder) -> tuple[str, ...]:
    limits = []
    if study.simulated:
        limits.append("The observers were simulated: this says whether the analysis works, and nothing about people.")
    if study.untrained:
        names = listed([network_label(name) for name in study.untrained])
        limits.append(f"Untrained, random weights: {names}. Their similarity shows what architecture alone gives.")
    if study.result is not None:
        limits.append("The layer that comes out best of many looks a little better than it is.")
        resample = study.result.attrs.get("resample")
        reach = _GENERAL.get(
            str(resample), "to nothing beyond these faces; the spread is that over these participants"
        )
        limits.append(f"The intervals generalise {reach}.")
    return tuple(limits)
