"""At which layer a network is most like people, reaches the noise ceiling, leaves its baseline, is half-way there."""

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from rsa_face.inference.ceiling import percentile_interval
from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.contrasts import band
from rsa_face.inference.picking import (
    CEILING,
    PEAK,
    Question,
    bar_of,
    pick,
    places_in_set,
    questions,
)
from rsa_face.inference.resampling import Draws
from rsa_face.inference.results import LOWER_CEILING, layers_of, resampled_of
from rsa_face.inference.simultaneous import Resampled, Spread, single_bar
from rsa_face.schema import BOUND, BOUNDS, DEPTH, LAYER, ORDER, OTHER_MEASURES

TARGET = "target"
FEWEST_LEFT_OUT = 3
NONE = "none"
_FEW_DRAWS = 50

Columns = dict[str, object]


def localize(
    result: xr.Dataset,
    *,
    network: str = "fe_alexnet",
    baseline: str | None = "alexnet",
    match: str = "auto",
    margin: float = 0.0,
    ceiling_margin: float = 0.1,
    confidence: float | None = None,
) -> xr.Dataset:
    """Say at which layer a network is most like people, reaches the noise ceiling, and leaves its baseline.

    Each answer is decided from one band that holds for all layers at once; the same decision, taken in every draw,
    says how stable it is. A layer picked as the best of many is picked partly by chance, so its own similarity
    flatters it (`held_out_similarity` evaluates it on what did not pick it). How early a layer can be shown to reach
    the ceiling, or to leave the baseline, depends on how much data there is; the half-way depth does not.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison with draws, as `compare_layers` returns it. Not changed.
    network : str
        The network in question.
    baseline : str, optional
        The network it is held against; None leaves the questions about it out.
    match : str
        How layers of the two are matched: see `matched_layers`.
    margin : float
        By how much a layer must be above its baseline's, or differ from it, to count, in units of similarity. With
        0, the smallest difference counts, and no data can rule out that it begins earlier than it can be seen: the
        set of layers then bounds the place from above alone.
    ceiling_margin : float
        Which share of the lower noise ceiling a layer may lack and still count as having reached it.
    confidence : float, optional
        Of the sets, bands and intervals; the result's if not given.

    Returns
    -------
    Dataset, dims (target, layer)
        The last layer is "none". Along `target`: ``picked`` and ``picked_depth``, the answer; ``probability``, the
        share of draws in which each layer is picked; ``in_set``, the layers that the data do not rule out, and
        ``depth_interval (target, bound)``, the depths that they span; ``value`` and ``value_band``, what the answer
        is read from. Along `layer`: ``similarity`` and ``similarity_band``; where there is a noise ceiling,
        ``share_of_ceiling`` with its ``share_of_ceiling_interval`` (each layer by itself) and
        ``share_of_ceiling_band`` (all at once), ``share_of_extrapolated_ceiling``, and ``below_ceiling``, whether
        the layer is significantly below the lower ceiling. Of the whole curve: ``half_way_depth``, its
        ``half_way_interval (bound)`` and ``half_way_layer``, the first at or beyond it.

        Targets:

        - ``peak``: the layer with the largest similarity; "none" where no layer's band is above 0.
        - ``reaches_ceiling``: the first layer whose similarity is shown to be more than ``1 - ceiling_margin`` of
          the lower noise ceiling, by the band of that very difference. A layer that is merely not below the ceiling
          (``below_ceiling`` is False) *cannot be told from it*, which is easier the fewer data there are.
        - ``above_baseline``: the first layer whose difference from its counterpart in the baseline has a band above
          0 (or the margin), and ``differs_from_baseline``: the first whose band excludes 0 on either side. The band
          is that of `contrast_layers`.

    Raises
    ------
    ValueError
        If a network is unknown, the result holds no draws, or the confidence or a margin is out of range.

    Notes
    -----
    *Reaching* the ceiling is a non-inferiority test (Lakens 2017, 10.1177/1948550617697177; Nili et al. 2014,
    10.1371/journal.pcbi.1003553, for the ceiling). Its share has Fieller's interval: the shares that similarity minus
    share x ceiling does not reject (Fieller 1954, 10.1111/j.2517-6161.1954.tb00159.x). The half-way depth is where
    similarity, interpolated between layers, first crosses half of its rise from the first layer to the peak; its
    interval is that of the draws, scaled to the standard errors.

    The set holds each place whose hypothesis is not rejected. For the peak, no other layer is above this one: Hsu
    1981, 10.1214/aos/1176345582; Mogstad, Romano, Shaikh & Wilhelm 2024, 10.1093/restud/rdad006; Romano, Shaikh &
    Wolf 2014, 10.3982/ECTA9011. For a first layer, no band before it is beyond the margin, and its own is not short
    of it. Only one place is true, and the band misses with 1 - confidence over all layers, so the set holds the true
    place at least that often.

    Examples
    --------
    >>> import numpy as np, xarray as xr, rsa_face as rf
    >>> rng = np.random.default_rng(0)
    >>> def rdms(dim, features):
    ...     square = ((features[:, :, None] - features[:, None]) ** 2).sum(axis=-1)
    ...     return xr.DataArray(square, dims=(dim, "stimulus_i", "stimulus_j"))
    >>> seen, ids = rng.normal(size=(24, 6)), [f"face{n}" for n in range(24)]
    >>> layers = [seen * share + rng.normal(size=(24, 6)) for share in (0, 2, 5)]
    >>> people = [seen + 0.7 * rng.normal(size=(24, 6)) for _ in range(12)]
    >>> network = rdms("rdm", np.stack(layers)).assign_coords(
    ...     rdm=["mine/conv1", "mine/conv2", "mine/fc"], stimulus_i=ids, stimulus_j=ids,
    ...     network=("rdm", ["mine"] * 3), layer=("rdm", ["conv1", "conv2", "fc"]),
    ...     depth=("rdm", [1 / 3, 2 / 3, 1.0]))
    >>> human = rdms("participant", np.stack(people)).assign_coords(
    ...     participant=[f"p{n}" for n in range(12)], stimulus_i=ids, stimulus_j=ids)
    >>> where = rf.localize(rf.compare_layers(network, human, draws=200), network="mine", baseline=None)
    >>> where["picked"].to_series().to_dict()
    {'peak': 'fc', 'reaches_ceiling': 'fc'}
    >>> str(where["half_way_layer"].item())
    'conv2'
    """
    confidence = float(result.attrs.get("confidence", 0.95)) if confidence is None else confidence
    _must_be_possible(confidence, margin, ceiling_margin)
    layers, resampled = layers_of(result, network), resampled_of(result)
    asked, alone = questions(
        result, network=network, baseline=baseline, match=match, margin=margin, ceiling_margin=ceiling_margin
    )
    whole = result.coords.to_dataset().isel(rdm=layers)
    similarity = asked[PEAK].spread(resampled)
    columns: Columns = {
        "similarity": (LAYER, np.append(similarity.estimate, np.nan)),
        "similarity_band": ((LAYER, BOUND), np.vstack([band(similarity, confidence=confidence), [np.nan] * 2])),
        **_answers(asked, resampled, whole, confidence),
        **_half_way(similarity, whole, confidence),
    }
    if CEILING in asked:
        columns |= _shares(result, resampled, layers, confidence, asked[CEILING])
    attrs = {
        **{
            name: result.attrs.get(name)
            for name in ("comparison", "groups", "resample", "draws", "seed", "simulated")
        },
        "untrained": list(result.attrs.get("untrained", [])),
        OTHER_MEASURES: list(result.attrs.get(OTHER_MEASURES, [])),
        "network": network,
        "baseline": baseline,
        "match": match,
        "unmatched": list(alone),
        "margin": margin,
        "ceiling_margin": ceiling_margin,
        "confidence": confidence,
        "interval_kind": "band: largest t over layers; share of the ceiling: Fieller; half-way depth: percentile",
    }
    coords = {**_coords(result, layers), TARGET: list(asked), BOUND: list(BOUNDS)}
    return xr.Dataset(columns, coords=coords, attrs=attrs)


def half_way_depth(
    similarity: Float[np.ndarray, "draw layer"], depth: Float[np.ndarray, " layer"]
) -> Float[np.ndarray, " draw"]:
    """Return the depth at which similarity first crosses half of its rise from the first layer to the peak.

    Where nothing rises, the first layer is the peak and the depth is its own.

    Examples
    --------
    >>> half_way_depth(np.array([[0.0, 0.1, 0.5, 0.4], [0.3, 0.2, 0.1, 0.0]]), np.array([0.25, 0.5, 0.75, 1.0]))
    array([0.59375, 0.25   ])
    """
    half = (similarity[:, 0] + similarity.max(axis=1)) / 2
    at = np.argmax(similarity >= half[:, None], axis=1)
    draws, before = np.arange(len(at)), np.maximum(at - 1, 0)
    low, high = similarity[draws, before], similarity[draws, at]
    share = np.divide(half - low, high - low, out=np.zeros_like(half), where=high > low)
    return np.asarray(depth[before] + share * (depth[at] - depth[before]))


def _half_way(similarity: Spread, network: xr.Dataset, confidence: float) -> Columns:
    depth = np.asarray(network[DEPTH].values, dtype=float)
    at = float(half_way_depth(similarity.estimate[None], depth)[0])
    drawn = half_way_depth(similarity.estimate + similarity.deviations, depth)
    limits = np.clip(percentile_interval(drawn[:, None], confidence)[0], depth[0], depth[-1])
    first = int(np.argmax(depth >= at - 1e-9))
    return {
        "half_way_depth": at,
        "half_way_interval": (BOUND, limits),
        "half_way_layer": str(network[LAYER].values[first]),
    }


def _answers(asked: Mapping[str, Question], resampled: Resampled, network: xr.Dataset, confidence: float) -> Columns:
    """Return, for each question, the layer picked, how often draws pick which, and what is not ruled out."""
    names, depth = _places_of(network), np.append(np.asarray(network[DEPTH].values, dtype=float), np.nan)
    shape = (len(asked), depth.size)
    probability, inside = np.zeros(shape), np.zeros(shape, dtype=bool)
    value, value_band = np.full(shape, np.nan), np.full((*shape, 2), np.nan)
    picked = []
    for row, question in enumerate(asked.values()):
        spread, at = question.spread(resampled), np.append(question.layers, depth.size - 1)
        bar = bar_of(spread, confidence=confidence)
        drawn = pick(spread.estimate + spread.deviations, spread, question, bar=bar)
        probability[row, at] = np.bincount(drawn, minlength=at.size) / drawn.size
        inside[row, at] = places_in_set(question, resampled, spread, bar=bar, confidence=confidence)
        value[row, question.layers] = spread.estimate
        value_band[row, question.layers] = band(spread, confidence=confidence)
        picked.append(int(at[pick(spread.estimate[None], spread, question, bar=bar)[0]]))
    spans = [_span(depth[row]) for row in inside]
    return {
        "probability": ((TARGET, LAYER), probability),
        "in_set": ((TARGET, LAYER), inside),
        "picked": (TARGET, np.array([names[place] for place in picked])),
        "picked_depth": (TARGET, depth[picked]),
        "depth_interval": ((TARGET, BOUND), np.array(spans)),
        "value": ((TARGET, LAYER), value),
        "value_band": ((TARGET, LAYER, BOUND), value_band),
    }


def _shares(
    result: xr.Dataset,
    resampled: Resampled,
    layers: Int[np.ndarray, " layer"],
    confidence: float,
    reaching: Question,
) -> Columns:
    """Return which share of the noise ceiling each layer reaches, and whether it is significantly below it."""
    some = resampled.only(np.append(layers, resampled.estimate.size + LOWER_CEILING))
    identity, ceiling = np.eye(layers.size + 1)[:, :-1], np.eye(layers.size + 1)[:, [-1]]

    # jackknifed errors need no draws, of which a few keep the many steps to each limit quick
    few = some if some.rows is None else replace(some, draws=some.draws[:, _complete(some)[:_FEW_DRAWS]])

    def excess(share: Float[np.ndarray, " layer"]) -> Spread:
        return few.spread(identity - ceiling * share)

    share = some.estimate[:-1] / some.estimate[-1]
    below = some.spread(identity - ceiling)
    bar = bar_of(reaching.spread(resampled), confidence=confidence)
    single = single_bar(confidence=confidence)
    extrapolated = float(result["noise_ceiling_extrapolated"]) if "noise_ceiling_extrapolated" in result else np.nan
    return {
        "share_of_ceiling": (LAYER, np.append(share, np.nan)),
        "share_of_ceiling_interval": ((LAYER, BOUND), np.vstack([_fieller(excess, share, single), [np.nan] * 2])),
        "share_of_ceiling_band": ((LAYER, BOUND), np.vstack([_fieller(excess, share, bar), [np.nan] * 2])),
        "share_of_extrapolated_ceiling": (LAYER, np.append(some.estimate[:-1] / extrapolated, np.nan)),
        "below_ceiling": (LAYER, np.append(below.z < -bar_of(below, confidence=confidence), False)),
        "noise_ceiling": (BOUND, result["noise_ceiling"].values),
        "noise_ceiling_extrapolated": extrapolated,
    }


def _complete(resampled: Resampled) -> Int[np.ndarray, " draw"]:
    return np.flatnonzero(~np.isnan(resampled.draws).any(axis=(0, 2)))


def _fieller(
    excess: Callable[[Float[np.ndarray, " layer"]], Spread],
    share: Float[np.ndarray, " layer"],
    bar: float,
) -> Float[np.ndarray, "layer 2"]:
    """Return the shares of the ceiling that similarity minus share x ceiling does not reject, by bisection."""
    limits = []
    for side in (-1.0, 1.0):
        near, far = share.copy(), share + side
        for _ in range(10):  # the limit lies beyond; with an uncertain ceiling nowhere
            inside = np.abs(excess(far).z) <= bar
            near, far = np.where(inside, far, near), np.where(inside, share + 2 * (far - share), far)
        unbounded = np.abs(excess(far).z) <= bar
        for _ in range(30):
            middle = (near + far) / 2
            inside = np.abs(excess(middle).z) <= bar
            near, far = np.where(inside, middle, near), np.where(inside, far, middle)
        limits.append(np.where(unbounded, side * np.inf, near))
    return np.stack(limits, axis=1)


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


def _must_be_possible(confidence: float, margin: float, ceiling_margin: float) -> None:
    if not 0.5 < confidence < 1:
        message = f"`confidence` is {confidence}: give a number between 0.5 and 1, such as 0.95."
        raise ValueError(message)
    if not (np.isfinite(margin) and margin >= 0):
        message = f"`margin` is {margin}: give 0 or more, in units of similarity."
        raise ValueError(message)
    if not 0 < ceiling_margin < 1:
        message = f"`ceiling_margin` is {ceiling_margin}: give a share of the ceiling between 0 and 1, such as 0.1."
        raise ValueError(message)


def picks_within_draws(where: xr.Dataset, result: xr.Dataset) -> Int[np.ndarray, "draw target"]:
    """Return the layer that each draw picks from its own values alone.

    Parameters
    ----------
    where : Dataset, dims (target, layer)
        What `localize` returned. Not changed.
    result : Dataset, dims (rdm, ...)
        The comparison. Not changed.

    Returns
    -------
    array, shape (draw, target)
        Places in the network, in order of depth; -1 where no layer is picked or the draw was skipped.
    """
    named = {name: where.attrs[name] for name in ("network", "baseline", "match", "margin", "ceiling_margin")}
    resampled = resampled_of(result)
    asked, _ = questions(result, **named)
    columns = []
    for target in where[TARGET].values:
        question = replace(asked[str(target)], tested=False)  # the best layer, whether or not it is above 0
        spread = question.spread(resampled)
        values = resampled.draws[0] @ question.weights
        skipped = np.isnan(values).any(axis=1)
        bar = bar_of(spread, confidence=float(where.attrs["confidence"]))
        picked = np.append(question.layers, -1)[pick(np.nan_to_num(values), spread, question, bar=bar)]
        columns.append(np.where(skipped, -1, picked))
    return np.stack(columns, axis=1)


def left_out(
    layers: Float[np.ndarray, "layer pair"],
    people: Float[np.ndarray, "participant pair"],
    picks: Int[np.ndarray, "draw target"],
    drawn: Draws,
    *,
    comparison: str,
) -> Float[np.ndarray, "draw target"]:
    """Return the mean similarity of picked layers over what each draw left out.

    What was not resampled is not left out: a bootstrap over participants evaluates on all stimuli.

    Parameters
    ----------
    layers : array, shape (layer, pair)
        Layer RDMs.
    people : array, shape (participant, pair)
        Human RDMs; NaN means never judged.
    picks : array, shape (draw, target)
        Places among the layers; -1 for none.
    drawn : Draws
        The draws.
    comparison : str
        How two RDMs are compared.

    Returns
    -------
    array, shape (draw, target)
        NaN where there is no pick, or too little was left out.
    """
    values = np.full(picks.shape, np.nan)
    for draw, row in enumerate(picks):
        stimuli, persons = _rest(drawn.stimuli[draw]), np.flatnonzero(_rest(drawn.participants[draw]))
        chosen = np.unique(row[row >= 0])
        if np.count_nonzero(stimuli) < FEWEST_LEFT_OUT or persons.size == 0 or chosen.size == 0:
            continue
        each = compare_vectors(comparison, layers[chosen], people[persons], stimuli)
        there = ~np.isnan(each)
        sums, counts = np.where(there, each, 0.0).sum(axis=1), there.sum(axis=1)
        means = np.divide(sums, counts, out=np.full(chosen.size, np.nan), where=counts > 0)
        values[draw, row >= 0] = means[np.searchsorted(chosen, row[row >= 0])]
    return values


def _rest(counts: Int[np.ndarray, " unit"]) -> Int[np.ndarray, " unit"]:
    everything = bool(np.all(counts == 1))
    return np.asarray(np.ones_like(counts) if everything else counts == 0, dtype=int)
