"""Sentences about results, in one voice and one number format: for the report and the command line."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr

from rsa_face.figures.palette import network_label
from rsa_face.inference.pretraining import ALL_LAYERS
from rsa_face.schema import BOUND, LAYER, NETWORK, PARTICIPANT, RDM, comparison_label
from rsa_face.study.folder import StudyFolder, read_results

NONE = "none"
_GENERAL = {
    "stimulus": "to other faces like these, but not to other people",
    "participant": "to other people like these, but not to other faces",
    "both": "to other faces and other people like these",
    "dual": "to other faces and other people like these",
}
_RANKED = {"pse_distance": "distance in PSE", "curve_rmse": "distance in choices"}
_BEST = "similarity_peak"
_MANY = 10


@dataclass(frozen=True)
class Answer:
    """A study's question, what it found in a few sentences, and what they do not say."""

    question: str
    sentences: tuple[str, ...]
    limits: tuple[str, ...]


def answer_of(study: StudyFolder) -> Answer:
    """Return a study's question and its answer; where a stage is missing, a sentence says so."""
    network = _network_in_question(study)
    if network is None:
        question = "At which layer does a network become like people?"
    else:
        question = f"At which layer does {network_label(network)} become like people in how it arranges these faces?"
    nothing = "Layers were not compared with people in this folder, so the question has no answer here."
    return Answer(question, tuple(findings_of(study) or [nothing]), tuple(_limits(study)))


def tell_study(folder: str | Path) -> list[str]:
    """Return what a finished study found and what that does not say; nothing where no layer met people."""
    study = read_results(folder)
    findings = findings_of(study)
    return [*findings, *_limits(study)] if findings else []


def findings_of(study: StudyFolder) -> list[str]:
    """Return what a study found: each result in a sentence or two."""
    if study.result is None:
        return []
    where, contrast = study.extras.get("localization"), _contrast_in_question(study)
    bias, agreement, scores = (study.extras.get(name) for name in ("bias", "agreement", "training"))
    return [
        most_similar_sentence(study.result),
        *(localization_sentences(where) if where is not None else [_not_below_ceiling(study.result)]),
        *([contrast_sentence(contrast)] if contrast is not None else []),
        *(_accuracy(scores) if scores is not None else []),
        *(_bias(bias) if bias is not None else []),
        *(_ranks(agreement) if agreement is not None else []),
    ]


def number(value: float, *, signed: bool = False) -> str:
    """Return a similarity or another quantity of its size as it is read: three decimals and a true minus.

    Examples
    --------
    >>> number(-0.04217), number(0.5, signed=True)
    ('−0.042', '+0.500')
    """
    if not np.isfinite(value):
        return "unknown" if np.isnan(value) else "unbounded"
    return f"{value:+.3f}".replace("-", "−") if signed else f"{value:.3f}".replace("-", "−")


def percent(share: float) -> str:
    """Return a share as it is read.

    Examples
    --------
    >>> percent(0.957)
    '96%'
    """
    return f"{share:.0%}".replace("-", "−") if np.isfinite(share) else number(share)


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return names as a list in a sentence.

    Examples
    --------
    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def most_similar_sentence(result: xr.Dataset) -> str:
    """Say which layer of all networks is most similar to people, how similar, and from how many data."""
    best = result.isel({RDM: int(np.nanargmax(result["similarity"].values))})
    measured = comparison_label(str(result.attrs.get("comparison", ""))) or "similarity"
    name = f"{network_label(str(best[NETWORK].item()))} {best[LAYER].item()}"
    interval = ", no interval estimated"
    if "similarity_interval" in best:
        lower, upper = (number(float(limit)) for limit in best["similarity_interval"].values)
        interval = f", {percent(float(best.attrs.get('confidence', 0.95)))} interval {lower} to {upper}"
    people = f"{result.sizes[PARTICIPANT]} participants" if PARTICIPANT in result.sizes else "the participants"
    sample = f"{people} and {result.attrs['stimuli']} stimuli" if "stimuli" in result.attrs else people
    return (
        f"Of {result.sizes[RDM]} layers, {name} is most similar to people ({measured} "
        f"{number(float(best['similarity']))}{interval}; {sample})."
    )


def localization_sentences(where: xr.Dataset) -> list[str]:
    """Say where a network is most like people and half-way there, reaches the ceiling, and leaves its baseline."""
    return [_peak(where), _half_way(where), _ceiling(where), *_baseline(where)]


def contrast_sentence(contrast: xr.Dataset) -> str:
    """Say at which layers a network is more or less like people than another, by the band over all of them."""
    network, baseline = (network_label(str(contrast.attrs.get(name))) for name in ("network", "baseline"))
    names, value = _names(contrast), contrast["difference"].values
    lower, upper = contrast["difference_band"].transpose(BOUND, LAYER).values
    more = [name for name, low in zip(names, lower, strict=True) if low > 0]
    less = [name for name, high in zip(names, upper, strict=True) if high < 0]
    if more and less:
        differs = f"more like people than {baseline} at {listed(more)} and less so at {listed(less)}"
    elif more or less:
        differs = f"{'more' if more else 'less'} like people than {baseline} at {listed(more or less)}"
    else:
        differs = f"not shown to differ from {baseline} at any layer"
    top = int(np.nanargmax(np.abs(value)))
    shared = list(contrast.attrs.get("shared", []))
    same = f" ({len(shared)} of them shared by both)" if shared else ""
    return (
        f"{network} is {differs}, of {len(names)} matched layers{same}; the largest difference, at {names[top]}, is "
        f"{_with_band(value[top], (lower[top], upper[top]), signed=True)}."
    )


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


def _peak(where: xr.Dataset) -> str:
    answer, network = where.sel(target="peak"), network_label(str(where.attrs["network"]))
    picked = str(answer["picked"].item())
    if picked == NONE:
        return (
            f"No layer of {network} is shown to be similar to people: the band over all of them includes 0 "
            f"({_in_draws(answer)})."
        )
    layer, held_out = where.sel({LAYER: picked}), ""
    if "held_out_similarity" in answer:
        value = number(float(answer["held_out_similarity"]))
        held_out = f", and {value} on stimuli and participants that did not pick it"
    similarity = _with_band(float(layer["similarity"]), layer["similarity_band"].values)
    peak = f"{network} is most like people at {picked}, with a similarity of {similarity}{held_out}"
    return f"{peak}. {_stability(answer)}."


def _half_way(where: xr.Dataset) -> str:
    low, high = where["half_way_interval"].values
    return (
        f"Its similarity is half-way from the first layer to the peak at a depth of "
        f"{float(where['half_way_depth']):.2f} ({percent(float(where.attrs['confidence']))} interval {low:.2f} to "
        f"{high:.2f}), first passed at {where['half_way_layer'].item()}."
    )


def _ceiling(where: xr.Dataset) -> str:
    if "noise_ceiling" not in where:
        return "Whether it reaches the noise ceiling is not known: there is no ceiling above 0."
    answer, least = where.sel(target="reaches_ceiling"), percent(1 - float(where.attrs["ceiling_margin"]))
    picked, many = str(answer["picked"].item()), float(where["noise_ceiling_extrapolated"])
    lower = number(float(where["noise_ceiling"][0]))
    bar = f"the noise ceiling, that is to be above {least} of its lower bound of {lower}"
    bar += f" (about {number(many)} with many participants)" if np.isfinite(many) else ""
    if picked == NONE:
        near = [name for name, below in zip(_names(where), where["below_ceiling"].values, strict=True) if not below]
        return f"No layer is shown to reach {bar}; {_in_draws(answer)}. {_not_to_be_told(near[:-1])}"
    layer = where.sel({LAYER: picked})
    low, high = (percent(float(limit)) for limit in layer["share_of_ceiling_band"].values)
    share = percent(float(layer["share_of_ceiling"]))
    return (
        f"{picked} is the first layer shown to reach {bar}: it is at {share} of it (band {low} to {high}). "
        f"{_stability(answer)}."
    )


def _not_to_be_told(near: Sequence[str]) -> str:
    if not near:
        return "Every layer is below it."
    they = "it reaches" if len(near) == 1 else "they reach"
    return f"{listed(near)} cannot be told from it, which does not show that {they} it."


def _baseline(where: xr.Dataset) -> Iterator[str]:
    if "above_baseline" not in where["target"].values:
        return
    network, baseline = (network_label(str(where.attrs[name])) for name in ("network", "baseline"))
    above, differs = where.sel(target="above_baseline"), where.sel(target="differs_from_baseline")
    first, other = str(above["picked"].item()), str(differs["picked"].item())
    if first == NONE and other == NONE:
        yield f"No layer of {network} is shown to differ from {baseline} ({_in_draws(differs)})."
        return
    if first == NONE:
        yield f"No layer of {network} is shown to be above {baseline} ({_in_draws(above)})."
    else:
        yield f"{first} is the first layer above {baseline}, by {_difference(above, first)}. {_stability(above)}."
    if other != first:
        how = "more" if float(differs["value"].sel({LAYER: other})) > 0 else "less"
        yield (
            f"{other} is the first layer to differ from {baseline}: {network} is {how} like people there, by "
            f"{_difference(differs, other)}. {_stability(differs)}."
        )


def _limits(study: StudyFolder) -> Iterator[str]:
    if study.simulated:
        yield "The observers were simulated: this says whether the analysis works, and nothing about people."
    if study.untrained:
        names = listed([network_label(name) for name in study.untrained])
        yield f"Untrained, random weights: {names}. Their similarity shows what architecture alone gives."
    if study.result is not None:
        yield "The layer that comes out best of many looks a little better than it is."
        beyond = "to nothing beyond these faces; the spread is that over these participants"
        yield f"The intervals generalise {_GENERAL.get(str(study.result.attrs.get('resample')), beyond)}."


def _network_in_question(study: StudyFolder) -> str | None:
    where = study.extras.get("localization")
    if where is not None:
        return str(where.attrs["network"])
    if study.result is None:
        return None
    names = [str(name) for name in study.result[NETWORK].values]
    return "fe_alexnet" if "fe_alexnet" in names else names[int(np.nanargmax(study.result["similarity"].values))]


def _contrast_in_question(study: StudyFolder) -> xr.Dataset | None:
    """Return the contrast with the baseline of the question, or the first there is."""
    where = study.extras.get("localization")
    baseline = None if where is None else where.attrs.get("baseline")
    contrasts = [part for name, part in study.extras.items() if name.startswith("contrast")]
    return next((one for one in contrasts if one.attrs.get("baseline") == baseline), next(iter(contrasts), None))


def _accuracy(scores: xr.Dataset) -> Iterator[str]:
    conditions = list(map(str, scores["condition"].values)) if "condition" in scores.dims else []
    if "none" not in conditions and "all" not in conditions:
        return
    condition, faces = ("none", "whole faces") if "none" in conditions else ("all", "faces")
    accuracy = scores["accuracy"].sel(condition=condition)
    each = [
        f"{network_label(str(name))} {percent(float(share))}"
        for name, share in zip(accuracy[NETWORK].values, accuracy.values, strict=True)
    ]
    yield f"Answered correctly, of {faces} held out from training: {listed(each, most=12)}."


def _bias(bias: xr.Dataset) -> Iterator[str]:
    if ALL_LAYERS not in bias["quantity"].values:
        return
    rows = bias.isel(bias=bias["quantity"].values == ALL_LAYERS)
    each = [
        f"{network_label(str(name))} {_between(value, limits)}"
        for name, value, limits in zip(
            rows["architecture"].values, rows["difference"].values, rows["difference_interval"].values, strict=True
        )
    ]
    confidence, over = float(bias.attrs["confidence"]), next(o for o in bias.attrs["over"] if "similarity" in o)
    yield (
        f"Trained from {bias.attrs['first']} minus trained from {bias.attrs['second']}, mean similarity over layers: "
        f"{listed(each, most=12)}; {percent(confidence)} intervals over {over.split(': ')[1]}."
    )
    if "compared" not in bias.coords:
        return
    against = bias.isel(against=bias["compared"].values == ALL_LAYERS)
    smaller = [
        f"{'smaller' if p < 1 - confidence else 'not shown to be smaller'} than in {network_label(str(name))} "
        f"(by {_between(-size, -limits[::-1])})"
        for name, p, size, limits in zip(
            against["other"].values,
            against["p_smaller"].values,
            against["size_excess"].values,
            against["size_excess_interval"].values,
            strict=True,
        )
    ]
    yield f"In {network_label(str(bias.attrs['network']))} the difference is {listed(smaller, most=12)}."


def _between(value: float, limits: np.ndarray) -> str:
    low, high = (number(float(limit), signed=True) for limit in limits)
    return f"{number(float(value), signed=True)} ({low} to {high})"


def _ranks(agreement: xr.Dataset) -> Iterator[str]:
    if _BEST not in agreement["quantity"].values:
        return
    pairs = agreement.sel(quantity_other=_BEST)
    known = np.isfinite(pairs["rank_correlation"].values) & (pairs["quantity"].values != _BEST)
    pairs = pairs.isel(quantity=known & ~np.char.startswith(pairs["quantity"].values.astype(str), "similarity"))
    if not pairs.sizes["quantity"]:
        return
    each = [
        f"{_RANKED.get(name, name.replace('saliency_', 'saliency on the '))} {number(rho)} (p = {number(p)})"
        for name, rho, p in zip(
            pairs["quantity"].values.astype(str),
            pairs["rank_correlation"].values,
            pairs["rank_correlation_p"].values,
            strict=True,
        )
    ]
    fewest = int(pairs["n_networks"].min())
    few = f"; {fewest} networks are too few to tell" if fewest < _MANY else ""
    yield (
        f"Networks’ ranks by the similarity of their best layer correlate with those by {listed(each, most=12)} "
        f"(Spearman; p by permuting networks, not corrected{few})."
    )


def _names(along_layers: xr.Dataset) -> list[str]:
    return [str(name) for name in along_layers[LAYER].values]


def _stability(answer: xr.Dataset) -> str:
    """Say in how many draws the layer is picked, and which others may be meant."""
    inside = [name for name, kept in zip(_names(answer), answer["in_set"].values, strict=True) if kept]
    share = percent(float(answer["probability"].sel({LAYER: answer["picked"].item()})))
    level = percent(float(answer.attrs["confidence"]))
    return f"It is picked in {share} of draws; the {level} set of layers not ruled out is {listed(inside)}"


def _in_draws(answer: xr.Dataset) -> str:
    return f"in {percent(float(answer['probability'].sel({LAYER: NONE})))} of draws none is"


def _difference(answer: xr.Dataset, layer: str) -> str:
    one = answer.sel({LAYER: layer})
    return _with_band(float(one["value"]), one["value_band"].values, signed=True)


def _with_band(value: float, limits: Sequence[float] | np.ndarray, *, signed: bool = False) -> str:
    low, high = (number(float(limit), signed=signed) for limit in limits)
    return f"{number(value, signed=signed)} (band {low} to {high})"
