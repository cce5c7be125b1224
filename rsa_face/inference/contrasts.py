"""Where one network is more like people than another: their difference at every matched layer, with honest bands."""

import warnings
from dataclasses import replace

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from scipy import stats

from rsa_face.inference.results import Matched, matched_layers, resampled_of
from rsa_face.inference.significance import cluster_p, correct, sign_flips
from rsa_face.inference.simultaneous import Resampled, Spread, critical_value, family_p, single_bar, single_p
from rsa_face.provenance import rng_from
from rsa_face.schema import BOUND, BOUNDS, DEPTH, LAYER, ORDER, OTHER_MEASURES, must_be_known

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
        wrong in most studies (README, calibration). Use ``"draws"``.
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
    """
    if cluster is not None:
        message = "contrast_layers(cluster=) is called cluster_test now: `cluster` names dask workers alone."
        warnings.warn(message, DeprecationWarning, stacklevel=2)
        cluster_test = cluster
    must_be_known(cluster_test, CLUSTER_TESTS, "cluster test")
    matched = matched_layers(result, network=network, baseline=baseline, match=match)
    spread = differences(resampled_of(result), matched)
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
            p_cluster, number = _clusters_of_draws(spread)
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
                "untrained",
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
    return xr.Dataset(columns, coords=_coords(result, matched), attrs=attrs)


def differences(resampled: Resampled, matched: Matched) -> Spread:
    """Return the differences between matched layers with their spread, paired within draws."""
    return without_shared(resampled.spread(difference_weights(resampled.estimate.size, matched)))


def difference_weights(quantities: int, matched: Matched) -> Float[np.ndarray, "quantity layer"]:
    """Return the weights that subtract each matched layer of the baseline, a column for each."""
    weights = np.zeros((quantities, matched.network.size))
    columns = np.arange(matched.network.size)
    weights[matched.network, columns] += 1
    weights[matched.baseline, columns] -= 1
    return weights


def without_shared(spread: Spread) -> Spread:
    """Return differences that are exactly 0, without any spread, where two networks share a layer up to rounding."""
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
    """Return the t value of participants' differences at each layer, after turning some of them around.

    Parameters
    ----------
    paired : array, shape (layer, participant)
        Differences.
    signs : array, shape (shuffle, participant)
        +1 or -1 for each participant; the same at all layers, which keeps what the layers share.

    Returns
    -------
    array, shape (shuffle, layer)
        Mean over standard error; 0 where no participant differs.
    """
    people = paired.shape[1]
    mean = signs @ paired.T / people
    squares = (paired**2).mean(axis=1)
    variance = (squares - mean**2) * people / (people - 1)
    error = np.sqrt(np.maximum(variance, 0.0) / people)
    return np.asarray(np.divide(mean, error, out=np.zeros_like(mean), where=error > 1e-12), dtype=float)


def _clusters_of_draws(spread: Spread) -> tuple[Float[np.ndarray, " layer"], Int[np.ndarray, " layer"]]:
    return cluster_p(spread.z, spread.chance_z, threshold=float(stats.norm.isf(0.025)))


def _clusters_of_participants(
    result: xr.Dataset, matched: Matched, seed: int
) -> tuple[Float[np.ndarray, " layer"], Int[np.ndarray, " layer"]]:
    each = np.asarray(result["participant_similarity"].transpose("rdm", "participant").values, dtype=float)
    paired = each[matched.network] - each[matched.baseline]
    paired = paired[:, ~np.isnan(paired).any(axis=0)]
    shuffles = int(result.attrs.get("draws", 1000))
    signs = sign_flips(paired.shape[1], shuffles=shuffles, rng=rng_from(seed, "turned differences"))
    observed = participant_t(paired, np.ones((1, paired.shape[1])))[0]
    threshold = float(stats.t.isf(0.025, paired.shape[1] - 1))
    return cluster_p(observed, participant_t(paired, signs), threshold=threshold)


def _coords(result: xr.Dataset, matched: Matched) -> dict[str, object]:
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
