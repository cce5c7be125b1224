"""At which layer: a network less its baseline, and where it peaks, reaches the ceiling, leaves its baseline."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy import stats

from rsa_face.inference.ceiling import percentile_interval
from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.draws import mean_over
from rsa_face.inference.resampling import Draws, by_name
from rsa_face.inference.results import LOWER_CEILING, Matched, layers_of, matched_layers, resampled_of
from rsa_face.inference.statistics import (
    Resampled,
    Spread,
    cluster_p,
    correct,
    critical_value,
    family_p,
    rejects,
    sign_flips,
    single_bar,
    single_p,
)
from rsa_face.provenance import rng_from
from rsa_face.schema import (
    BOUND,
    BOUNDS,
    COMPARISONS,
    DEPTH,
    LAYER,
    ORDER,
    OTHER_MEASURES,
    PARTICIPANT,
    RDM,
    STIMULUS,
    TRIAL_SCORES,
    UNSIGNED,
    must_be_known,
    must_hold,
    origin_of,
)

PEAK, CEILING, ABOVE, DIFFERS = "peak", "reaches_ceiling", "above_baseline", "differs_from_baseline"
TARGETS = (PEAK, CEILING, ABOVE, DIFFERS)


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked of each layer of a network."""

    target: str  # one of `TARGETS`
    # the weighted sum of a result's quantities that is looked at: a similarity, its excess over a share of the
    # ceiling, a difference
    weights: Float[np.ndarray, "quantity layer"]
    layers: Int[np.ndarray, " layer"]  # the places of these layers in the network, in order of depth
    margin: float = 0.0  # by how much the sum must be above 0 (for `DIFFERS`, away from 0) to count
    # whether no layer may be the answer; a peak that cannot be tested against 0 is the largest similarity
    tested: bool = True
    bound: float = 0.0  # for `CEILING`, the similarity that a layer is to exceed
    perfect: float = np.nan  # for `CEILING`, the similarity to people of the RDM that they have in common

    def spread(self, resampled: Resampled) -> Spread:
        """Return the sum of each layer with its spread; layers that two networks share have none."""
        spread = resampled.spread(self.weights)
        if self.target == CEILING:
            return spread_at(spread, np.full(spread.estimate.shape, self.bound), self.perfect)
        return without_shared(spread) if self.target in (ABOVE, DIFFERS) else spread


def questions(
    result: xr.Dataset, *, network: str, baseline: str | None, match: str, margin: float, ceiling_margin: float
) -> tuple[Mapping[str, Question], tuple[str, ...]]:
    """Return what is asked of a network's layers, by target, and the layers without a counterpart in the baseline."""
    layers = layers_of(result, network)
    resampled = resampled_of(result)
    identity = np.eye(resampled.estimate.size)
    everywhere = np.arange(layers.size)
    comparison = COMPARISONS.get(str(result.attrs.get("comparison")))
    tested = comparison is None or comparison.zero_is_none
    by_target = {PEAK: Question(PEAK, identity[:, layers], everywhere, tested=tested)}
    if "noise_ceiling_draws" in result and resampled.estimate[LOWER_CEILING] > 0:
        excess = identity[:, layers] - (1 - ceiling_margin) * identity[:, [LOWER_CEILING]]
        bound = (1 - ceiling_margin) * float(resampled.estimate[LOWER_CEILING])
        by_target[CEILING] = Question(CEILING, excess, everywhere, bound=bound, perfect=perfect_similarity(result))
    if baseline is None:
        return by_target, ()
    matched = matched_layers(result, network=network, baseline=baseline, match=match)
    place = {int(layer): index for index, layer in enumerate(layers)}
    at = np.array([place[int(layer)] for layer in matched.network])
    weights = difference_weights(resampled.estimate.size, matched)
    by_target |= {target: Question(target, weights, at, margin) for target in (ABOVE, DIFFERS)}
    return by_target, matched.alone


def perfect_similarity(result: xr.Dataset) -> float:
    """Return the similarity to people of the RDM that they have in common: the ceiling of ever more participants.

    Infinite where trials are predicted, whose scores are no correlations: their errors do not shrink near a maximum.
    """
    if str(result.attrs.get("comparison")) in TRIAL_SCORES:
        return np.inf
    extrapolated = float(result.get("noise_ceiling_extrapolated", np.nan))
    return extrapolated if extrapolated > 0 else float(result["noise_ceiling"].values[-1])


_FURTHEST = 1 / 4  # of the way to a perfect correlation: errors nearer to it scatter too much to be told


def spread_at(spread: Spread, bound: Float[np.ndarray, " layer"], perfect: float) -> Spread:
    """Return a similarity's excess over a bound with the standard error that it would have at the bound.

    Similarity over `perfect` is a correlation r, whose standard error falls with 1 - r^2 (Fisher 1915,
    10.2307/2331838). A layer that is above the bound by chance has too small an error, and one below it too large
    a one, so that a t test at the estimate's own error finds the ceiling reached too often.
    """
    reached = np.clip((spread.estimate + bound) / perfect, -0.99, 0.99)
    wanted = np.clip(bound / perfect, -0.99, 0.99)
    lower = np.minimum(reached, wanted)
    limit = lower + _FURTHEST * (1 - lower)
    ratio = (1 - np.minimum(wanted, limit) ** 2) / (1 - np.minimum(reached, limit) ** 2)
    return replace(spread, error=spread.error * ratio, deviations=spread.deviations * ratio)


def exceeds(
    values: Float[np.ndarray, "draw layer"], spread: Spread, question: Question, *, bar: float
) -> Bool[np.ndarray, "draw layer"]:
    """Return which values exceed the margin by more than the band reaches."""
    size = np.abs(values) if question.target == DIFFERS else values
    return np.asarray(spread.scores(size - question.margin) > bar)


def pick(
    values: Float[np.ndarray, "draw layer"], spread: Spread, question: Question, *, bar: float
) -> Int[np.ndarray, " draw"]:
    """Return the layer that answers a question in each draw, decided as it is in the whole of the data."""
    significant = exceeds(values, spread, question, bar=bar)
    if question.target == PEAK:
        any_is = significant.any(axis=1) if question.tested else np.ones(len(values), dtype=bool)
        return np.asarray(np.where(any_is, values.argmax(axis=1), values.shape[1]))
    return np.asarray(np.where(significant.any(axis=1), significant.argmax(axis=1), values.shape[1]))


def places_in_set(
    question: Question, resampled: Resampled, spread: Spread, *, bar: float, confidence: float
) -> Bool[np.ndarray, " place"]:
    """Return which layers, and last whether "none", the data do not rule out.

    For a first layer everything is read from the band: a layer is ruled out where a shallower one exceeds the
    margin already, or where it cannot exceed it itself. So the set and the layer picked never disagree.
    """
    # decided as `pick` decides, so that set and answer agree
    significant = exceeds(spread.estimate[None], spread, question, bar=bar)[0]
    none = question.tested and not significant.any()
    if question.target == PEAK:
        return np.append(_may_be_largest(question, resampled, confidence=confidence), none)
    # a first layer is ruled out by a shallower one that counts already
    earlier = np.concatenate([[False], np.logical_or.accumulate(significant)[:-1]])
    size = np.abs(spread.estimate) if question.target == DIFFERS else spread.estimate
    short = spread.scores(question.margin - size) > bar
    never = (spread.error == 0) & (size <= question.margin)
    return np.append(~earlier & ~short & ~never, none)


def _may_be_largest(question: Question, resampled: Resampled, *, confidence: float) -> Bool[np.ndarray, " layer"]:
    """Return which layers no other one is above by more than chance (multiple comparisons with the best)."""
    count = question.layers.size
    inside = np.ones(count, dtype=bool)
    for place in range(count if count > 1 else 0):
        # by how much each other layer is above this one: if any surely is, this one is not the largest
        others = np.delete(question.weights, place, axis=1) - question.weights[:, [place]]
        inside[place] = not rejects(resampled.spread(others), confidence=confidence)
    return inside


CLUSTER_TESTS = ("none", "draws", "participants")

SHARED = 1e-6
"""Differences that stay within this in every draw are rounding: the two networks share the layer."""


def contrast_layers(
    result: xr.Dataset,
    *,
    network: str,
    baseline: str,
    match: str = "auto",
    cluster_test: str = "none",
    seed: int = 0,
    cluster: str | None = None,
) -> xr.Dataset:
    """Subtract a baseline network's similarity from another's at every matched layer.

    The two are compared within each draw, so what a draw does to both drops out. The band holds for all layers at
    once: wherever it leaves 0, the networks differ there, however many layers were looked at. `localize` reads its
    answers about the baseline from this band. Standard errors are those of the result: jackknifed, or of the draws.
    Layers that the two networks share do not differ, and are no part of the family.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison with draws that holds both networks, as `compare_layers` returns it. Not changed.
    network, baseline : str
        The network, and what is subtracted from it.
    match : str
        ``"auto"``, ``"name"`` or ``"depth"``: see `matched_layers`.
    cluster_test : str
        Also test runs of neighbouring layers: ``"draws"``, against runs in the draws about no difference
        (generalises to whatever was resampled); ``"participants"``, against participants' differences turned
        around at random; or ``"none"``. Participants who look at the same stimuli share what those stimuli do by
        chance, so turning them around answers for these stimuli alone: taken as a claim about other stimuli it is
        wrong in most studies (documentation, calibration). Use ``"draws"``.
    seed : int
        The seed of the turned differences.
    cluster : str, optional
        What `cluster_test` was called before; leaves in the next version.

    Returns
    -------
    Dataset, dims (layer, bound)
        ``difference``; ``difference_error``; ``difference_interval``, of each layer by itself;
        ``difference_band``, of all layers at once; ``p_difference``, two-sided, and beside it
        ``p_difference_corrected`` (largest t of the family), ``p_difference_holm`` and ``p_difference_fdr``, all 1
        at shared layers; ``p_cluster`` and ``cluster``, its number. Coordinates name the baseline's layer;
        ``attrs["shared"]`` names the layers that the networks share and ``attrs["unmatched"]`` those left out.

    Raises
    ------
    ValueError
        If a network or option is unknown, no layer has a counterpart, or the result holds no draws.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"]).assign_coords(
    ...     network=("rdm", ["mine", "other"]), layer=("rdm", ["fc8"] * 2), depth=("rdm", [1.0, 1.0]))
    >>> result = rf.compare_layers(models, demo.human, comparison="corr", draws=60)
    >>> gap = rf.contrast_layers(result, network="mine", baseline="other")
    >>> gap["difference"].to_series().round(2).to_dict(), bool(gap["p_difference"] < 0.05)
    ({'fc8': 0.48}, True)
    """
    if cluster is not None:
        message = "contrast_layers(cluster=) is called cluster_test now: `cluster` names dask workers alone."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        cluster_test = cluster
    must_be_known(cluster_test, CLUSTER_TESTS, "cluster test")
    matched = matched_layers(result, network=network, baseline=baseline, match=match)
    resampled = resampled_of(result)
    # paired within draws: what a draw does to both networks drops out
    spread = without_shared(resampled.spread(difference_weights(resampled.estimate.size, matched)))
    confidence = float(result.attrs.get("confidence", 0.95))
    shared = spread.error == 0
    tested = np.where(shared, np.nan, single_p(spread, two_sided=True))
    columns: dict[str, object] = {
        "difference": (LAYER, spread.estimate),
        "difference_error": (LAYER, spread.error),
        "difference_interval": ((LAYER, BOUND), interval(spread, confidence=confidence)),
        "difference_band": ((LAYER, BOUND), band(spread, confidence=confidence)),
        "p_difference": (LAYER, np.nan_to_num(tested, nan=1.0)),
        "p_difference_corrected": (LAYER, family_p(spread, two_sided=True)),
        "p_difference_holm": (LAYER, np.nan_to_num(correct(tested, method="holm"), nan=1.0)),
        "p_difference_fdr": (LAYER, np.nan_to_num(correct(tested, method="fdr"), nan=1.0)),
    }
    if cluster_test != "none":
        if cluster_test == "draws":
            p_cluster, number = cluster_p(spread.z, spread.chance_z, threshold=float(stats.norm.isf(0.025)))
        else:
            p_cluster, number = _clusters_of_participants(result, matched, seed)
        columns |= {"p_cluster": (LAYER, p_cluster), "cluster": (LAYER, number)}
    attrs = {
        **{
            name: result.attrs[name]
            for name in (
                "comparison",
                "groups",
                "resample",
                "draws",
                "variance",
                "simulated",
                *origin_of(),
                OTHER_MEASURES,
            )
            if name in result.attrs
        },
        "network": network,
        "baseline": baseline,
        "matched_by": matched.by,
        "unmatched": list(matched.alone),
        "shared": np.asarray(result[LAYER].values, dtype=str)[matched.network[shared]].tolist(),
        "confidence": confidence,
        "interval_kind": "t by the standard error; band: largest t over layers",
        "cluster_test": cluster_test,
        "seed": seed,
    }
    return xr.Dataset(columns, coords=_contrast_coords(result, matched), attrs=attrs)


def difference_weights(quantities: int, matched: Matched) -> Float[np.ndarray, "quantity layer"]:
    """Return the weights that subtract each matched layer of the baseline, a column for each."""
    weights = np.zeros((quantities, matched.network.size))
    columns = np.arange(matched.network.size)
    weights[matched.network, columns] += 1
    weights[matched.baseline, columns] -= 1
    return weights


def without_shared(spread: Spread) -> Spread:
    """Return differences that are exactly 0, without any spread, where two networks share a layer up to rounding."""
    # layers that two networks share differ by rounding in every draw, and by nothing else
    strays = np.abs(spread.estimate) + np.abs(spread.deviations).max(axis=0)
    differ = np.where(strays > SHARED, 1.0, 0.0)
    return replace(
        spread,
        estimate=spread.estimate * differ,
        deviations=spread.deviations * differ,
        error=spread.error * differ,
    )


def interval(spread: Spread, *, confidence: float) -> Float[np.ndarray, "quantity 2"]:
    """Return the interval of each estimate by itself: t times the standard error on either side."""
    reach = spread.reach(single_bar(confidence=confidence))
    return np.stack([spread.estimate - reach, spread.estimate + reach], axis=1)


def band(spread: Spread, *, confidence: float) -> Float[np.ndarray, "quantity 2"]:
    """Return intervals that hold for all estimates at once, and so for whichever one picks after looking.

    Berk, Brown, Buja, Zhang & Zhao 2013, 10.1214/12-AOS1077.
    """
    reach = spread.reach(critical_value(spread, confidence=confidence))
    return np.stack([spread.estimate - reach, spread.estimate + reach], axis=1)


def participant_t(
    paired: Float[np.ndarray, "layer participant"], signs: Float[np.ndarray, "shuffle participant"]
) -> Float[np.ndarray, "shuffle layer"]:
    """Return the t value of participants' differences at each layer, after turning some of them around."""
    people = paired.shape[1]
    mean = signs @ paired.T / people
    squares = (paired**2).mean(axis=1)
    # turning signs around leaves the squares, so that one sum of squares serves all shuffles
    variance = (squares - mean**2) * people / (people - 1)
    error = np.sqrt(np.maximum(variance, 0.0) / people)
    return np.asarray(np.divide(mean, error, out=np.zeros_like(mean), where=error > 1e-12), dtype=float)


def _clusters_of_participants(
    result: xr.Dataset, matched: Matched, seed: int
) -> tuple[Float[np.ndarray, " layer"], Int[np.ndarray, " layer"]]:
    people = by_name(result[PARTICIPANT].values)  # signs go by name
    each = np.asarray(result["participant_similarity"].transpose(RDM, PARTICIPANT).values, dtype=float)[:, people]
    paired = each[matched.network] - each[matched.baseline]
    paired = paired[:, ~np.isnan(paired).any(axis=0)]
    shuffles = int(result.attrs.get("draws", 1000))
    signs = sign_flips(paired.shape[1], shuffles=shuffles, rng=rng_from(seed, "turned differences"))
    observed = participant_t(paired, np.ones((1, paired.shape[1])))[0]
    threshold = float(stats.t.isf(0.025, paired.shape[1] - 1))
    return cluster_p(observed, participant_t(paired, signs), threshold=threshold)


def _contrast_coords(result: xr.Dataset, matched: Matched) -> dict[str, object]:
    names = np.asarray(result[LAYER].values, dtype=str)
    coords: dict[str, object] = {
        LAYER: names[matched.network],
        f"baseline_{LAYER}": (LAYER, names[matched.baseline]),
        BOUND: list(BOUNDS),
    }
    for name in (DEPTH, ORDER):
        if name in result.coords:
            coords[name] = (LAYER, result[name].values[matched.network])
            coords[f"baseline_{name}"] = (LAYER, result[name].values[matched.baseline])
    return coords


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
        ``half_way_interval (bound)`` and ``half_way_layer``, the first at that depth or deeper.

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
    10.1371/journal.pcbi.1003553, for the ceiling), with the standard error that a layer at the bound would have:
    errors shrink as a correlation nears its maximum (Fisher 1915, 10.2307/2331838), so that the error of a layer
    above the bound by chance is too small. Its share has Fieller's interval: the shares that similarity minus
    share x ceiling does not reject (Fieller 1954, 10.1111/j.2517-6161.1954.tb00159.x). The half-way depth is where
    similarity, interpolated between layers, first crosses half of its rise from the first layer to the peak; its
    interval is that of the draws, scaled to the standard errors.

    The set holds each place whose hypothesis is not rejected. For the peak, no other layer is above this one: Hsu
    1981, 10.1214/aos/1176345582; Mogstad, Romano, Shaikh & Wilhelm 2024, 10.1093/restud/rdad006; Romano, Shaikh &
    Wolf 2014, 10.3982/ECTA9011. For a first layer, no band before it exceeds the margin, and its own is not short
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
    by_target, alone = questions(
        result, network=network, baseline=baseline, match=match, margin=margin, ceiling_margin=ceiling_margin
    )
    of_network = result.coords.to_dataset().isel(rdm=layers)
    similarity = by_target[PEAK].spread(resampled)
    columns: Columns = {
        "similarity": (LAYER, np.append(similarity.estimate, np.nan)),
        "similarity_band": ((LAYER, BOUND), np.vstack([band(similarity, confidence=confidence), [np.nan] * 2])),
        **_answers(by_target, resampled, of_network, confidence),
        **_half_way(similarity, of_network, confidence),
    }
    if CEILING in by_target:
        columns |= _shares(result, resampled, layers, confidence, by_target[CEILING])
    attrs = {
        **{
            name: result.attrs.get(name)
            for name in ("comparison", "groups", "resample", "draws", "seed", "simulated")
        },
        **({UNSIGNED: True} if result.attrs.get(UNSIGNED) else {}),
        **origin_of(result.attrs),
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
    coords = {**_coords(result, layers), TARGET: list(by_target), BOUND: list(BOUNDS)}
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
    # half of the rise from where the network begins, not of the peak: the first layer may be like people already
    half = (similarity[:, 0] + similarity.max(axis=1)) / 2
    at = np.argmax(similarity >= half[:, None], axis=1)
    draws, before = np.arange(len(at)), np.maximum(at - 1, 0)
    low, high = similarity[draws, before], similarity[draws, at]
    # linear between the layer before and the first at or above it
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


def _answers(
    by_target: Mapping[str, Question], resampled: Resampled, network: xr.Dataset, confidence: float
) -> Columns:
    """Return, for each question, the layer picked, how often draws pick which, and what is not ruled out."""
    names, depth = _places_of(network), np.append(np.asarray(network[DEPTH].values, dtype=float), np.nan)
    shape = (len(by_target), depth.size)
    probability, inside = np.zeros(shape), np.zeros(shape, dtype=bool)
    value, value_band = np.full(shape, np.nan), np.full((*shape, 2), np.nan)
    picked = []
    for row, question in enumerate(by_target.values()):
        spread, at = question.spread(resampled), np.append(question.layers, depth.size - 1)
        bar = critical_value(spread, confidence=confidence)
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
    bar, single = critical_value(reaching.spread(resampled), confidence=confidence), single_bar(confidence=confidence)
    share, below, (single_limits, all_limits) = _of_ceiling(resampled, layers, reaching.perfect, (single, bar))
    extrapolated = float(result["noise_ceiling_extrapolated"]) if "noise_ceiling_extrapolated" in result else np.nan
    return {
        "share_of_ceiling": (LAYER, np.append(share, np.nan)),
        "share_of_ceiling_interval": ((LAYER, BOUND), np.vstack([single_limits, [np.nan] * 2])),
        "share_of_ceiling_band": ((LAYER, BOUND), np.vstack([all_limits, [np.nan] * 2])),
        "share_of_extrapolated_ceiling": (LAYER, np.append(resampled.estimate[layers] / extrapolated, np.nan)),
        "below_ceiling": (LAYER, np.append(below.z < -critical_value(below, confidence=confidence), False)),
        "noise_ceiling": (BOUND, result["noise_ceiling"].values),
        "noise_ceiling_extrapolated": extrapolated,
    }


def _of_ceiling(
    resampled: Resampled, layers: Int[np.ndarray, " layer"], perfect: float, bars: Sequence[float]
) -> tuple[Float[np.ndarray, " layer"], Spread, list[Float[np.ndarray, "layer 2"]]]:
    """Return each layer's share of the lower ceiling, how far it is below it, and the share's limits at each bar."""
    # the layers and, last, the lower ceiling: the few quantities that shares depend on
    some = resampled.only(np.append(layers, resampled.estimate.size + LOWER_CEILING))
    identity, ceiling = np.eye(layers.size + 1)[:, :-1], np.eye(layers.size + 1)[:, [-1]]

    # jackknifed errors need no draws, of which a few keep the many steps to each limit quick
    complete = np.flatnonzero(~np.isnan(some.draws).any(axis=(0, 2)))
    few = some if some.rows is None else replace(some, draws=some.draws[:, complete[:_FEW_DRAWS]])

    def excess(share: Float[np.ndarray, " layer"]) -> Spread:
        bound = share * float(some.estimate[-1])
        return spread_at(few.spread(identity - ceiling * share), bound, perfect)

    share = some.estimate[:-1] / some.estimate[-1]
    return share, some.spread(identity - ceiling), [_fieller(excess, share, bar) for bar in bars]


def share_of_ceiling(result: xr.Dataset) -> xr.Dataset:
    """Return a comparison on the scale of its noise ceiling: 0 is no similarity, and 1 the lower bound.

    Similarities of other data, comparisons or people compare on this scale; by themselves they do not, since noise in
    people's judgements lowers them all.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        What `compare_layers` or `predict_trials` returned. Not changed.

    Returns
    -------
    Dataset, dims (rdm, bound)
        `similarity`, over the lower bound of the noise ceiling; `similarity_interval`, Fieller's interval of each
        share, which is infinite where the ceiling itself is uncertain (where nothing was resampled: of the similarity
        alone, over the ceiling); `noise_ceiling`, 1 and the upper over the lower bound; and the tests of the result.
        It has no draws, so that it is for tables and figures (`plot_layers`). The attr `share_of_ceiling` is True.

    Raises
    ------
    ValueError
        If the result has no noise ceiling above 0.

    References
    ----------
    Fieller 1954, 10.1111/j.2517-6161.1954.tb00159.x; Nili et al. 2014, 10.1371/journal.pcbi.1003553.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"])
    >>> share = rf.share_of_ceiling(rf.compare_layers(models, demo.human, comparison="corr", draws=30))
    >>> share["similarity"].to_series().round(2).to_dict()
    {'level': 0.97, 'identity': 0.28}
    """
    must_hold(result, ("similarity", "noise_ceiling"), "A result of `compare_layers`")
    lower = float(result["noise_ceiling"].values[0])
    if not lower > 0:
        message = f"The noise ceiling is {lower:.3g}: people do not agree, and no share of it can be taken."
        raise ValueError(message)
    tests = [str(name) for name in result if str(name).startswith("p_")]
    share = result[tests].assign({name: result[name] / lower for name in ("similarity", "noise_ceiling")})
    if "noise_ceiling_draws" in result:
        confidence = float(result.attrs.get("confidence", 0.95))
        places, bars = np.arange(result.sizes[RDM]), [single_bar(confidence=confidence)]
        _, _, limits = _of_ceiling(resampled_of(result), places, perfect_similarity(result), bars)
        share["similarity_interval"] = ((RDM, BOUND), limits[0])
    elif "similarity_interval" in result:
        share["similarity_interval"] = result["similarity_interval"] / lower
    share.attrs["share_of_ceiling"] = True
    return share


def _fieller(
    excess: Callable[[Float[np.ndarray, " layer"]], Spread],
    share: Float[np.ndarray, " layer"],
    bar: float,
) -> Float[np.ndarray, "layer 2"]:
    """Return the shares of the ceiling that similarity minus share x ceiling does not reject, by bisection."""
    limits = []
    for side in (-1.0, 1.0):
        # the share itself is never rejected; double the step until the far end is, then halve between the two
        near, far = share.copy(), share + side
        for _ in range(10):  # the limit lies further out; with an uncertain ceiling nowhere
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


def picks_within_draws(
    where: xr.Dataset, result: xr.Dataset
) -> tuple[Int[np.ndarray, "draw target"], Int[np.ndarray, " target"]]:
    """Return the layer that each draw picks from its own values alone, and the one that all data pick; -1: none."""
    named = {name: where.attrs[name] for name in ("network", "baseline", "match", "margin", "ceiling_margin")}
    resampled = resampled_of(result)
    every, _ = questions(result, **named)
    columns = []
    for target in where[TARGET].values:
        question = replace(every[str(target)], tested=False)  # the best layer, whether or not it is above 0
        spread = question.spread(resampled)
        # all data come first, then the draws
        values = np.vstack([spread.estimate, resampled.draws[0] @ question.weights])
        skipped = np.isnan(values).any(axis=1)
        bar = critical_value(spread, confidence=float(where.attrs["confidence"]))
        picked = np.append(question.layers, -1)[pick(np.nan_to_num(values), spread, question, bar=bar)]
        columns.append(np.where(skipped, -1, picked))
    picks = np.stack(columns, axis=1)
    return picks[1:], picks[0]


def left_out(
    layers: Float[np.ndarray, "layer pair"],
    people: Float[np.ndarray, "participant pair"],
    picks: Int[np.ndarray, "draw pick"],
    drawn: Draws,
    *,
    comparison: str,
) -> Float[np.ndarray, "draw pick"]:
    """Return the mean similarity of picked layers over what each draw left out.

    What was not resampled is not left out: a bootstrap over participants evaluates on all stimuli.
    """
    values = np.full(picks.shape, np.nan)
    # by what was resampled, not by the counts: a draw that took everybody once has left nobody out
    everything, everybody = drawn.resample == PARTICIPANT, drawn.resample == STIMULUS
    for draw, row in enumerate(picks):
        stimuli = np.asarray((drawn.stimuli[draw] == 0) | everything, dtype=int)
        persons = np.flatnonzero((drawn.participants[draw] == 0) | everybody)
        # each picked layer once: targets often pick the same
        chosen = np.unique(row[row >= 0])
        if np.count_nonzero(stimuli) < FEWEST_LEFT_OUT or persons.size == 0 or chosen.size == 0:
            continue
        means = mean_over(
            compare_vectors(comparison, layers[chosen], people[persons], stimuli), np.ones(persons.size)
        )
        values[draw, row >= 0] = means[np.searchsorted(chosen, row[row >= 0])]
    return values
