"""The question of a study and its answer in a few sentences, each with how sure it is."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from rsa_face.figures.palette import network_label
from rsa_face.report.narrate import contrast_sentence, listed, localization_sentences, number, percent
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
        The most similar layer, where the network in question turns human-like, how it differs from another.
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
        _most_similar(study.result),
        *(localization_sentences(where) if where is not None else [_not_below_ceiling(study.result)]),
        *([contrast_sentence(contrast)] if contrast is not None else []),
    )
    return Answer(question, sentences, _limits(study))


def _with_baseline(study: StudyFolder, where: xr.Dataset | None) -> xr.Dataset | None:
    """Return the contrast with the baseline of the question, or the first there is."""
    contrasts = [part for name, part in study.extras.items() if name.startswith("contrast")]
    asked = [
        one for one in contrasts if where is not None and one.attrs.get("baseline") == where.attrs.get("baseline")
    ]
    return next(iter([*asked, *contrasts]), None)


def _network_in_question(study: StudyFolder, where: xr.Dataset | None) -> str | None:
    if where is not None and where.attrs.get("network"):
        return str(where.attrs["network"])
    if study.result is None:
        return None
    names = [str(name) for name in study.result[NETWORK].values]
    best = names[int(np.nanargmax(study.result["similarity"].values))]
    return "fe_alexnet" if "fe_alexnet" in names else best


def _most_similar(result: xr.Dataset) -> str:
    best = result.isel({RDM: int(np.nanargmax(result["similarity"].values))})
    comparison = str(result.attrs.get("comparison", ""))
    named = comparison_label(comparison) or "similarity"
    name = f"{network_label(str(best[NETWORK].item()))} {best[LAYER].item()}"
    return (
        f"Of {result.sizes[RDM]} layers, {name} is most similar to people ({named} "
        f"{number(float(best['similarity']))}{_interval(best)}; {_sample(result)})."
    )


def _sample(result: xr.Dataset) -> str:
    people = f"{result.sizes[PARTICIPANT]} participants" if PARTICIPANT in result.sizes else "the participants"
    return f"{people} and {result.attrs['stimuli']} stimuli" if "stimuli" in result.attrs else people


def _not_below_ceiling(result: xr.Dataset) -> str:
    """Say how many layers are not significantly below the ceiling, where no network was looked at by itself."""
    if "noise_ceiling" not in result:
        return "No noise ceiling was estimated, so it cannot be said how much of people's agreement is reached."
    lower, upper = (float(value) for value in result["noise_ceiling"].values)
    band = f"the noise ceiling ({number(lower)} to {number(upper)})"
    name = next((test for test in ("p_below_ceiling_corrected", "p_below_ceiling") if test in result), None)
    if name is None:
        above = int((result["similarity"].values >= lower).sum())
        return (
            f"{above} of {result.sizes[RDM]} layers lie at or above the lower bound of {band}; this was not tested."
        )
    close = int((~((result[name].values < 0.05) & (result["similarity"].values < lower))).sum())
    how = "corrected for the number of layers" if name.endswith("corrected") else "not corrected"
    return (
        f"{close} of {result.sizes[RDM]} layers cannot be told from {band} (p ≥ .05, {how}), which does not show "
        "that they reach it."
    )


def _interval(layer: xr.Dataset) -> str:
    if "similarity_interval" not in layer:
        return ", no interval estimated"
    lower, upper = (number(float(value)) for value in layer["similarity_interval"].values)
    return f", {percent(float(layer.attrs.get('confidence', 0.95)))} interval {lower} to {upper}"


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
