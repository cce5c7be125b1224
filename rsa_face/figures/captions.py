"""Captions: what a figure shows and how it is read, in the words of a journal, from the arrays it was drawn from."""

from collections.abc import Mapping, Sequence
from typing import Any

import xarray as xr

from rsa_face.figures.layout import note_of, percent
from rsa_face.figures.style import network_label
from rsa_face.schema import LAYER, NETWORK, PARTICIPANT, STIMULUS_I, UNSIGNED, comparison_label

_OVER = {
    "stimulus": "stimuli",
    "participant": "participants",
    "both": "stimuli and participants",
    "dual": "stimuli and participants",
}


def caption_of_layers(result: xr.Dataset, partial: xr.Dataset | None, controls: str, *, alpha: float) -> str:
    """Return the caption of a layer curve."""
    sentences = [f"Similarity of each layer to people{_measured(result.attrs)}."]
    if "similarity_interval" in result:
        sentences.append(f"Bands and lines: {_interval(result.attrs)}.")
    if "noise_ceiling" in result:
        sentences.append("Gray: noise ceiling.")
    if partial is not None:
        sentences.append(f"Dashed, open marks: similarity with {controls} partialled out.")
    tests = [text for name, text in (("p_above_zero", "above 0"), ("p_below_ceiling", "below the noise ceiling"))
             if name in result or f"{name}_corrected" in result]  # fmt: skip
    if tests:
        corrected = any(f"{name}_corrected" in result for name in ("p_above_zero", "p_below_ceiling"))
        how = "corrected over layers" if corrected else "uncorrected"
        sentences.append(f"Squares: layers {' and '.join(tests)} (p < {alpha:g}, {how}).")
    if {"fe", "fe_gate"} & set(map(str, result[LAYER].values)):
        sentences.append("FE: the feature-excitation block.")
    return _with_origin(sentences, result.attrs, map(str, result[NETWORK].values))


def caption_of_networks(result: xr.Dataset, layers: Sequence[str], *, held_out: bool) -> str:
    """Return the caption of networks at one layer each."""
    sentences = [f"Similarity of networks to people{_measured(result.attrs)}, each at one layer."]
    if "participant_similarity" in result and not result.attrs.get(UNSIGNED):
        sentences.append("Dots: participants.")
    if "similarity_interval" in result:
        sentences.append(f"Lines: {_interval(result.attrs)}.")
    if held_out:
        sentences.append("Diamonds: the same layer on stimuli and participants that did not pick it.")
    if "noise_ceiling" in result:
        sentences.append("Gray: noise ceiling.")
    return _with_origin(sentences, result.attrs, layers)


def caption_of_contrast(contrast: xr.Dataset) -> str:
    """Return the caption of one network minus another."""
    network, baseline = (network_label(str(contrast.attrs.get(name))) for name in ("network", "baseline"))
    level = percent(float(contrast.attrs.get("confidence", 0.95)))
    return _with_origin(
        [
            f"{network} minus {baseline}: difference of their similarity to people{_measured(contrast.attrs)} at "
            f"{contrast.sizes[LAYER]} matched layers.",
            f"Band: {level} over all layers at once; bars: each layer by itself.",
            "Above 0 the first is more like people.",
        ],
        contrast.attrs,
        [str(contrast.attrs.get(name)) for name in ("network", "baseline")],
    )


def caption_of_seeds(seeded: xr.Dataset, networks: Sequence[str], *, alpha: float) -> str:
    """Return the caption of networks minus a baseline over seeds."""
    level = percent(float(seeded.attrs.get("confidence", 0.95)))
    over = " and ".join(map(str, seeded.attrs.get("over", [])))
    return _with_origin(
        [
            f"Networks minus {network_label(str(seeded.attrs.get('baseline', 'the baseline')))}, layer by layer: "
            f"difference of their similarity to people{_measured(seeded.attrs)}, mean over seeds.",
            f"Lines: {level} intervals{f' over {over}' * bool(over)}, each for one layer of one network.",
            f"Filled: p < {alpha:g}, corrected for all that are shown (Holm).",
        ],
        seeded.attrs,
        networks,
    )


def caption_of_localization(where: xr.Dataset) -> str:
    """Return the caption of where a network becomes like people."""
    level = percent(float(where.attrs.get("confidence", 0.95)))
    network = str(where.attrs.get("network", ""))
    return _with_origin(
        [
            f"At which layer {network_label(network)} is most like people, reaches the noise ceiling and leaves its "
            "baseline.",
            "Bars: share of bootstrap draws in which each layer is the answer; triangle: the answer from all data.",
            f"Line under a bar: the layer is not ruled out at {level}.",
            f"Diamond: depth at which similarity crosses half of its rise to the peak, with its {level} interval.",
        ],
        where.attrs,
        [network],
    )


def caption_of_rdms(rdms: xr.DataArray, human: xr.DataArray | None, *, scale: str) -> str:
    """Return the caption of RDMs side by side."""
    shades = {"rank": "ranks of dissimilarities", "shared": "dissimilarities, on one scale",
              "own": "dissimilarities, each on a scale of its own"}[scale]  # fmt: skip
    sentences = [f"Representational dissimilarity matrices of {rdms.sizes[STIMULUS_I]} stimuli; colours: {shades}."]
    if human is not None:
        sentences.append(f"People: mean of {human.sizes.get(PARTICIPANT, 1)} participants.")
    attrs = dict(rdms.attrs) | ({"simulated": True} if human is not None and human.attrs.get("simulated") else {})
    return _with_origin(sentences, attrs, map(str, rdms[NETWORK].values) if NETWORK in rdms.coords else ())


def caption_of_points(points: xr.DataArray, *, colors: Sequence[str]) -> str:
    """Return the caption of stimuli as points."""
    name, stress = str(points.attrs.get("rdm", "")), points.attrs.get("stress")
    network, _, layer = name.rpartition("/")
    of = f" of {f'{network_label(network)} {layer}' if network else layer}" if layer else ""
    sentences = [f"Multidimensional scaling{of}: stimuli near one another are alike."]
    sentences += [f"Stress {float(stress):.2f}."] if stress is not None else []
    sentences += [f"Colours, {text}." for text in colors]
    return _with_origin(sentences, points.attrs, [network] if network else ())


def caption_of_saliency(how: str, attrs: Mapping[Any, Any], networks: Sequence[str]) -> str:
    """Return the caption of saliency maps and shares of regions."""
    return _with_origin(
        [f"Saliency by {how}, over faces, each map from its own least to its greatest value.",
         "Bars: share of saliency in each region of the face, means over faces with standard errors."],
        attrs, networks,
    )  # fmt: skip


def caption_of_choices(attrs: Mapping[Any, Any], networks: Sequence[str]) -> str:
    """Return the caption of psychometric curves."""
    return _with_origin(
        ["Share of happy choices along the morph; dots: choices, lines: mean of the fitted curves.",
         "Marks on the curves: point of subjective equality (PSE), the level at which happy is chosen half the time.",
         "Dotted: networks without a PSE."],
        attrs, networks,
    )  # fmt: skip


def simple_caption(sentence: str, attrs: Mapping[Any, Any], networks: Sequence[str] = ()) -> str:
    """Return a caption of one sentence and the origin of the numbers."""
    return _with_origin([sentence], attrs, networks)


def caption_of_recovery(recovery: xr.Dataset, networks: Sequence[str]) -> str:
    """Return the caption of layers that simulated studies pick."""
    return _with_origin(
        [
            f"Recovery of layers{_measured(recovery.attrs)}: people are simulated after each layer (rows), and the "
            "layer most similar to them is picked (columns).",
            f"Cells: share of simulated studies; chance is {percent(float(recovery.attrs['chance']))}.",
            "One layer is exactly right in each, which none is of real people: an upper bound.",
        ],
        {**recovery.attrs, "simulated": False},
        networks,
    )


def caption_of_stability(stability: xr.Dataset) -> str:
    """Return the caption of answers with parts of the data left out."""
    sentences = ["Share of cases in which each layer is picked, by what is left out of the data (bold: by all data)."]
    if "contrast" in stability:
        sentences.append("Dots: the contrast with the baseline in each case; line: from all data.")
    return _with_origin(sentences, stability.attrs, [str(stability.attrs["network"])])


def caption_of_plan(planned: xr.Dataset, rival: str, unit: str) -> str:
    """Return the caption of what more people and stimuli would tell."""
    power = percent(float(planned.attrs["power"]))
    return _with_origin(
        [
            f"Power to tell {planned.attrs['peak']} from {rival}, and layers that the set is expected to hold, by "
            f"the number of participants and of {unit}.",
            f"Dotted: {power}. Vertical lines: the pilot's participants. The pilot's differences are taken for true.",
        ],
        planned.attrs,
        [str(planned.attrs[NETWORK])],
    )


def caption_of_people(result: xr.Dataset, network: str) -> str:
    """Return the caption of groups of participants compared."""
    return _with_origin(
        [
            f"Similarity of each layer of {network_label(network)} to two groups of participants"
            f"{_measured(result.attrs)}, and their difference.",
            f"Bands: {percent(float(result.attrs.get('confidence', 0.95)))} intervals. Gray: noise ceiling.",
        ],
        result.attrs,
        [network],
    )


def _with_origin(sentences: Sequence[str], attrs: Mapping[Any, Any], networks: Any) -> str:
    note = note_of(attrs, networks)
    return " ".join([*sentences, *([f"{note[0].upper()}{note[1:]}."] if note else [])])


def _measured(attrs: Mapping[Any, Any]) -> str:
    named = comparison_label(str(attrs.get("comparison", "")))
    return f" ({named})" if named else ""


def _interval(attrs: Mapping[Any, Any]) -> str:
    level = percent(float(attrs.get("confidence", 0.95)))
    over = _OVER.get(str(attrs.get("resample")), "participants")
    draws = f", {attrs['draws']} draws" if attrs.get("draws") else ""
    groups = f", those of one {attrs['groups']} together" if attrs.get("groups") else ""
    return f"{level} intervals over {over}{groups}{draws}"
