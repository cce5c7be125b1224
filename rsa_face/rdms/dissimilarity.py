"""Compute RDMs from activations: every dissimilarity from one matrix product, in float64."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from rsa_face.schema import DEPTH, LAYER, NETWORK, ORDER, RDM, STIMULUS, STIMULUS_I, STIMULUS_J, must_be_known

DEFINITIONS = {
    "correlation": "1 - Pearson correlation over features",
    "euclidean": "squared Euclidean distance divided by the number of features",
    "cosine": "1 - cosine of the angle at the origin",
}
_SINGLE = 4  # bytes of a float32
_BLOCK_VALUES = 2**25


def compute_rdms(tree: xr.DataTree, *, measure: str = "correlation", engine: str = "gram") -> xr.DataArray:
    """Turn every layer of an activation store into an RDM.

    The definitions are rsatoolbox's (so euclidean is squared and divided by the number of features), and so are
    the values, to 1e-6; but the order of the stimuli is the table's, whatever it is called there. A constant
    pattern has no correlation: that is an error, not a row of NaN.

    Parameters
    ----------
    tree : DataTree
        From `extract` or `open_activations`; nodes ``/<network>/<layer>`` with ``activation``. Read layer by layer.
    measure : {"correlation", "euclidean", "cosine"}
        What makes the RDM.
    engine : {"gram", "rsatoolbox"}
        Matrix products of our own, or rsatoolbox's ``calc_rdm`` (correlation and euclidean alone): the same
        values, slower and with several copies of the layer in memory.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        Coords `network`, `layer`, `depth`, `order` on rdm; the stimuli's factors on stimulus_i; attrs `measure`
        and its definition.

    Raises
    ------
    ValueError
        If the measure or engine is unknown, or a layer has a constant pattern or a value that is not finite; the
        layer and the stimulus are named.
    """
    must_be_known(engine, ("gram", "rsatoolbox"), "engine")
    must_be_known(measure, DEFINITIONS, "measure")
    nodes = sorted(tree.leaves, key=lambda node: (node.attrs["place"], node.attrs[ORDER]))
    rdms = []
    for node in nodes:
        try:
            rdms.append(_rdm_of(node.to_dataset()["activation"], measure, engine))
        except ValueError as error:
            message = f"{node.attrs[NETWORK]}/{node.attrs[LAYER]}: {error}"
            raise ValueError(message) from error
    labels = [{str(key): value for key, value in node.attrs.items()} for node in nodes]
    return label_rdms(np.stack(rdms), labels, tree.root.to_dataset().coords, measure=measure)


def label_rdms(
    values: np.ndarray, labels: list[dict[str, Any]], stimuli: Any, *, measure: str, **attrs: Any
) -> xr.DataArray:
    """Name the dims of layer RDMs.

    Parameters
    ----------
    values : ndarray, shape (rdm, stimulus, stimulus)
        Dissimilarities.
    labels : list of dict
        For each RDM, its `network`, `layer`, `depth` and `order`.
    stimuli : mapping of str to array
        The stimulus ids under ``stimulus``, and the factors.
    measure : str
        What made them.
    **attrs : object
        More to keep with the array.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        The layer RDMs.
    """
    ids = np.asarray(stimuli[STIMULUS], dtype=object)
    coords: dict[str, Any] = {
        RDM: np.array([f"{label[NETWORK]}/{label[LAYER]}" for label in labels], dtype=object),
        STIMULUS_I: ids,
        STIMULUS_J: ids,
    }
    coords |= {name: (RDM, [label[name] for label in labels]) for name in (NETWORK, LAYER, DEPTH, ORDER)}
    factors = [str(name) for name in stimuli if str(name) != STIMULUS]
    coords |= {name: (STIMULUS_I, _as_plain(stimuli[name])) for name in factors}
    untrained = sorted({str(label[NETWORK]) for label in labels if label.get("untrained")})
    attrs = {"untrained": untrained, **attrs}
    described = {"measure": measure, "definition": DEFINITIONS.get(measure, measure), **attrs}
    return xr.DataArray(values, coords, (RDM, STIMULUS_I, STIMULUS_J), name="dissimilarity", attrs=described)


@dataclass(frozen=True)
class Moments:
    """What all dissimilarities of a layer follow from.

    Parameters
    ----------
    products : ndarray of float64, shape (stimulus, stimulus)
        Inner products of the patterns: for correlation less each pattern's mean, for euclidean less each
        feature's mean, for cosine as they are.
    features : int
        How many features there are.
    scale : ndarray of float64, shape (stimulus,)
        The largest absolute value of each pattern; not finite where the pattern is not.
    """

    products: np.ndarray
    features: int
    scale: np.ndarray


def sum_moments(blocks: Iterable[np.ndarray], measure: str) -> Moments:
    """Add up inner products over blocks of features, each block read once.

    Patterns are centred before they are multiplied: the textbook formula (products first, means after) cancels
    for patterns like 100 +/- .001 and can even turn negative. Within a block, patterns less their mean in that
    block are multiplied in the precision they come in (float32 for a network's activations); between blocks, the
    block means are, in float64. That is exact whatever the means (Chan, Golub & LeVeque 1983,
    10.1080/00031305.1983.10483115), and a correlation is off by less than 1e-6 of 1.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (stimulus, feature)
        The layer, cut along its features. Not changed.
    measure : str
        What the moments are for.

    Returns
    -------
    Moments
        In float64.
    """
    products, scale = np.zeros(()), np.zeros(())
    means: list[np.ndarray] = []
    sizes: list[int] = []
    for block in blocks:
        values = block if block.dtype.itemsize >= _SINGLE else block.astype(np.float32)
        scale = np.maximum(scale, np.maximum(values.max(axis=1), -values.min(axis=1)).astype(np.float64))
        if not np.isfinite(scale).all():
            continue
        part, mean = _block_moments(values, measure)
        products = products + part
        means.append(mean)
        sizes.append(values.shape[1])
    if not sizes:
        return Moments(np.zeros((len(scale), len(scale))), 1, scale)
    return Moments(products + _between_blocks(np.stack(means, axis=1), np.array(sizes), measure), sum(sizes), scale)


def _block_moments(values: np.ndarray, measure: str) -> tuple[np.ndarray, np.ndarray]:
    if measure == "euclidean":
        centred = values - values.mean(axis=0, keepdims=True)
        return _self_products(centred), np.zeros(len(values))
    rough = values.mean(axis=1, keepdims=True)
    centred = values - rough
    rest = centred.mean(axis=1, dtype=np.float64)
    part = _self_products(centred) - values.shape[1] * np.outer(rest, rest)
    return part, rough[:, 0].astype(np.float64) + rest


def _self_products(values: np.ndarray) -> np.ndarray:
    return np.asarray((values @ values.T).astype(np.float64))  # numpy takes half the work for a product with itself


def _between_blocks(means: np.ndarray, sizes: np.ndarray, measure: str) -> np.ndarray:
    if measure == "euclidean":
        return np.zeros(())
    if measure == "correlation":
        means = means - (means @ sizes / sizes.sum())[:, None]
    return np.asarray((means * sizes) @ means.T)


def dissimilarities(moments: Moments, measure: str, ids: Iterable[str]) -> np.ndarray:
    """Return the RDM that a layer's moments make.

    Parameters
    ----------
    moments : Moments
        From `sum_moments`.
    measure : {"correlation", "euclidean", "cosine"}
        What makes the RDM.
    ids : iterable of str
        The stimuli, for the error.

    Returns
    -------
    ndarray of float64, shape (stimulus, stimulus)
        Symmetric, 0 on the diagonal.

    Raises
    ------
    ValueError
        If a pattern is constant (correlation) or all zero (cosine), or a value is not finite.
    """
    ids = list(ids)
    _must_be_finite(moments, ids)
    rdm = _MEASURES[measure](moments, ids)
    rdm = np.asarray(np.maximum((rdm + rdm.T) / 2, 0))
    np.fill_diagonal(rdm, 0)
    return rdm


def feature_blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    """Cut a layer along its features, so that no float64 copy of the whole is made.

    Parameters
    ----------
    values : ndarray, shape (stimulus, ...)
        The layer.

    Yields
    ------
    ndarray, shape (stimulus, feature)
        Views.
    """
    flat = values.reshape(len(values), -1)
    step = max(_BLOCK_VALUES // max(len(flat), 1), 1)
    for start in range(0, flat.shape[1], step):
        yield flat[:, start : start + step]


def _rdm_of(activation: xr.DataArray, measure: str, engine: str) -> np.ndarray:
    ids = [str(value) for value in activation[STIMULUS].values]
    values = activation.values
    moments = sum_moments(feature_blocks(values), measure)
    if engine == "gram":
        return dissimilarities(moments, measure, ids)
    from rsa_face.rdms.toolbox import calc_rdm

    dissimilarities(moments, measure, ids)
    return calc_rdm(values, measure)


def _correlation(moments: Moments, ids: list[str]) -> np.ndarray:
    return _one_minus_cosine(moments, ids, "constant")


def _cosine(moments: Moments, ids: list[str]) -> np.ndarray:
    return _one_minus_cosine(moments, ids, "all zero")


def _euclidean(moments: Moments, _ids: list[str]) -> np.ndarray:
    square = np.diagonal(moments.products)
    distance = (square[:, None] + square[None, :] - 2 * moments.products) / moments.features
    return np.asarray(distance)


def _one_minus_cosine(moments: Moments, ids: list[str], fault: str) -> np.ndarray:
    square = np.diagonal(moments.products)
    flat = square <= moments.features * (1e-12 * moments.scale) ** 2
    if flat.any():
        named = [stimulus for stimulus, bad in zip(ids, flat, strict=True) if bad]
        message = (
            f"Every pattern must vary over features, but it is {fault} for {len(named)} of {len(ids)} stimuli: "
            f"{named[:8]}. Leave this layer out, or choose the euclidean measure."
        )
        raise ValueError(message)
    norm = np.sqrt(square)
    return np.asarray(1 - moments.products / np.outer(norm, norm))


def _as_plain(values: Any) -> np.ndarray:
    array = np.asarray(values)
    return array if array.dtype.kind in "biuf" else array.astype(object)


def _must_be_finite(moments: Moments, ids: list[str]) -> None:
    bad = ~np.isfinite(moments.scale)
    if bad.any():
        named = [stimulus for stimulus, wrong in zip(ids, bad, strict=True) if wrong]
        message = f"Activations must be finite, but they are not for {named[:8]}. Check the weights."
        raise ValueError(message)


_MEASURES: dict[str, Callable[[Moments, list[str]], np.ndarray]] = {
    "correlation": _correlation,
    "euclidean": _euclidean,
    "cosine": _cosine,
}
