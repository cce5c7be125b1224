"""At which layer: the peak, the first at the noise ceiling, the first above the baseline, each with its odds."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from rsa_face.inference.contrasts import band
from rsa_face.inference.picking import PEAK, Question, bar_of, pick, places_in_set, questions, scaled
from rsa_face.inference.results import layers_of, resampled_of
from rsa_face.inference.simultaneous import Resampled
from rsa_face.schema import BOUND, BOUNDS, DEPTH, LAYER, ORDER, OTHER_MEASURES

TARGET = "target"
NONE = "none"


def localize(
    result: xr.Dataset,
    *,
    network: str = "fe_alexnet",
    baseline: str | None = "alexnet",
    match: str = "auto",
    margin: float = 0.0,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Say at which layer a network is most like people, reaches the noise ceiling, and leaves its baseline.

    Each answer is a distribution over layers and "none": the rule is applied anew in every draw. A layer picked as
    the best of many is picked partly by chance, so its own similarity flatters it; the band given here holds for all
    layers at once, and so for the one picked (`held_out_similarity` evaluates it on what did not pick it).

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison with draws, as `compare_layers` returns it. Not changed.
    network : str
        The network in question.
    baseline : str, optional
        The network it is held against; None leaves that question out.
    match : str
        How layers of the two are matched: see `matched_layers`.
    margin : float
        By how much a layer must be above its baseline's to count, in units of similarity. With 0, the smallest
        difference counts, and no data can rule out that it begins earlier than it can be seen: the set of layers then
        bounds the place from above alone.
    confidence : float
        Of the set of layers and the band.

    Returns
    -------
    Dataset, dims (target, layer)
        ``probability``, the share of draws in which a layer is picked; ``in_set``, the layers that the data do not
        rule out; along `target`, ``picked`` and ``picked_depth``, the answer from all stimuli and participants, and
        ``depth_interval (target, bound)``, the depths that the set spans; ``similarity (layer)`` and
        ``similarity_band (layer, bound)``. The last layer is "none". Targets: ``peak``; ``at_ceiling`` (where the
        result holds a noise ceiling); ``above_baseline`` (where a baseline is named).

    Raises
    ------
    ValueError
        If a network is unknown, the result holds no draws, or the confidence or margin is out of range.

    Notes
    -----
    The share of draws is not a set: draws stray about estimates that stray themselves. The set holds each place whose
    hypothesis is not rejected (a hypothesis is a list of inequalities: for the peak, no layer is above this one; for
    a first layer, this one reaches the bar and none before does), each tested at the given confidence with the
    largest t of its inequalities. So it holds the true place at least that often, without any correction for the
    number of places, since only one hypothesis is true. Hsu 1981, 10.1214/aos/1176345582 (multiple comparisons with
    the best); Hansen, Lunde & Nason 2011, 10.3982/ECTA5771; Mogstad, Romano, Shaikh & Wilhelm 2024,
    10.1093/restud/rdad006; Romano, Shaikh & Wolf 2014, 10.3982/ECTA9011.
    """
    _must_be_possible(confidence, margin)
    layers, resampled = layers_of(result, network), resampled_of(result)
    asked, alone = questions(result, network=network, baseline=baseline, match=match, margin=margin)
    own = asked[PEAK].spread(resampled)
    columns: dict[str, object] = {
        "similarity": (LAYER, np.append(own.estimate, np.nan)),
        "similarity_band": ((LAYER, BOUND), np.vstack([band(own, confidence=confidence), [np.nan, np.nan]])),
        **_answers(asked, resampled, result.coords.to_dataset().isel(rdm=layers), confidence),
    }
    attrs = {
        **{name: result.attrs.get(name) for name in ("comparison", "resample", "draws", "seed", "simulated")},
        "untrained": list(result.attrs.get("untrained", [])),
        OTHER_MEASURES: list(result.attrs.get(OTHER_MEASURES, [])),
        "network": network,
        "baseline": baseline,
        "match": match,
        "unmatched": list(alone),
        "margin": margin,
        "confidence": confidence,
        "interval_kind": "band: largest t over layers; set: inequalities not rejected by their largest t",
    }
    coords = {**_coords(result, layers), TARGET: list(asked), BOUND: list(BOUNDS)}
    return xr.Dataset(columns, coords=coords, attrs=attrs)


def _answers(
    asked: Mapping[str, Question], resampled: Resampled, network: xr.Dataset, confidence: float
) -> dict[str, object]:
    names, depth = _places_of(network), np.append(np.asarray(network[DEPTH].values, dtype=float), np.nan)
    probability, inside = np.zeros((len(asked), depth.size)), np.zeros((len(asked), depth.size), dtype=bool)
    picked = []
    for row, question in enumerate(asked.values()):
        spread, at = question.spread(resampled), np.append(question.layers, depth.size - 1)
        bar = bar_of(spread, rule=question.rule, confidence=confidence)
        drawn = scaled(spread.estimate + spread.deviations, spread, rule=question.rule)
        places, counts = np.unique(at[pick(drawn, rule=question.rule, bar=bar)], return_counts=True)
        probability[row, places] = counts / drawn.shape[0]
        inside[row, at] = places_in_set(question, resampled, confidence=confidence)
        observed = scaled(spread.estimate[None], spread, rule=question.rule)
        answer = int(at[pick(observed, rule=question.rule, bar=bar)[0]])
        unsure = question.rule == "largest" and spread.t.max() <= bar
        picked.append(depth.size - 1 if unsure else answer)
    spans = [_span(depth[row]) for row in inside]
    return {
        "probability": ((TARGET, LAYER), probability),
        "in_set": ((TARGET, LAYER), inside),
        "picked": (TARGET, np.array([names[place] for place in picked])),
        "picked_depth": (TARGET, depth[picked]),
        "depth_interval": ((TARGET, BOUND), np.array(spans)),
    }


def _span(depths: Float[np.ndarray, " place"]) -> tuple[float, float]:
    known = depths[~np.isnan(depths)]
    return (float(known.min()), float(known.max())) if known.size else (np.nan, np.nan)


def _places_of(network: xr.Dataset) -> list[str]:
    return [*(str(name) for name in network[LAYER].values), NONE]


def _coords(result: xr.Dataset, layers: Int[np.ndarray, " layer"]) -> dict[str, object]:
    network = result.coords.to_dataset().isel(rdm=layers)
    coords: dict[str, object] = {LAYER: _places_of(network)}
    for name in (DEPTH, ORDER):
        if name in result.coords:
            coords[name] = (LAYER, np.append(np.asarray(network[name].values, dtype=float), np.nan))
    return coords


def _must_be_possible(confidence: float, margin: float) -> None:
    if not 0.5 < confidence < 1:
        message = f"The confidence must lie between 0.5 and 1, but is {confidence}. Give 0.95, say."
        raise ValueError(message)
    if not (np.isfinite(margin) and margin >= 0):
        message = f"The margin must be 0 or more, in units of similarity, but is {margin}. Give 0, say."
        raise ValueError(message)
