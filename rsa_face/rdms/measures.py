"""Which measure makes a layer's RDM, and its arithmetic: inner products, added up in blocks without cancelling."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from rsa_face.schema import MEASURES, must_be_known

GENERAL = "default"
"""The key of a mapping of layers to measures whose measure makes all other layers' RDMs."""

_SINGLE = 4  # bytes of a float32
_MOST_FEATURES = 2**13  # added up in float32 before float64 takes over
_ROWS = 128  # of a product with itself, computed at once by one thread; only the upper half is computed
_LISTED = 12  # names in an error


def check_measures(measure: str | Mapping[str, str], layers: Iterable[tuple[str, str]] | None = None) -> None:
    """Refuse measures, and layers they are set for, that do not exist; all of them are named at once.

    Parameters
    ----------
    measure : str or mapping of str to str
        One measure for all layers, or measures by layer: see `measure_of`.
    layers : iterable of (str, str), optional
        Network and name of every layer there is; layers are not looked up where it is None.

    Raises
    ------
    ValueError
        If a measure or layer is unknown, or measures of single and of repeated presentations are mixed.
    """
    named = dict(measure) if isinstance(measure, Mapping) else {GENERAL: measure}
    for name in named.values():
        must_be_known(name, MEASURES, "measure")
    if layers is not None:
        pairs = list(layers)
        known = {GENERAL, *(layer for _, layer in pairs), *(f"{network}/{layer}" for network, layer in pairs)}
        unknown = sorted(map(str, set(named) - known))
        if unknown:
            names = list(dict.fromkeys(layer for _, layer in pairs))
            message = (
                f"Unknown layers in measure: {unknown}. Name layers that are recorded ({' '.join(names)}), alone or "
                f"as network/layer; {GENERAL!r} is for all others."
            )
            raise ValueError(message)
    kinds = {MEASURES[name].repeated for name in {*named.values(), general_measure(measure)}}
    if len(kinds) > 1:
        message = (
            f"Measures of single and of repeated presentations cannot be mixed: {sorted(set(named.values()))}. Their "
            f"RDMs have different stimuli; compute them one after the other (set {GENERAL!r} if it is left out)."
        )
        raise ValueError(message)


def measures_among(measures: Mapping[str, str], layers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return those of the measures set for layers of many networks that concern some layers (network and name)."""
    pairs = list(layers)
    known = {GENERAL, *(layer for _, layer in pairs), *(f"{network}/{layer}" for network, layer in pairs)}
    return {key: name for key, name in measures.items() if key in known}


def general_measure(measure: str | Mapping[str, str]) -> str:
    """Return the measure of all layers that none is set for: correlation if a mapping does not say."""
    return measure.get(GENERAL, "correlation") if isinstance(measure, Mapping) else measure


def layers_with_their_own(measure: str | Mapping[str, str]) -> dict[str, str]:
    """Return the measures that are set for single layers."""
    return {key: name for key, name in measure.items() if key != GENERAL} if isinstance(measure, Mapping) else {}


def measure_of(measure: str | Mapping[str, str], *, network: str, layer: str, features: int) -> str:
    """Return the measure that makes a layer's RDM.

    This is the one place where it is decided. A measure that cannot vary over a layer's few features is replaced by
    one that can: over two features a correlation is +1 or -1, so the output layer of a two-class network takes the
    absolute difference of the difference of its outputs, which is what its decision rests on.

    Parameters
    ----------
    measure : str or mapping of str to str
        One measure for all layers; or measures by layer (``fc8``, or ``alexnet/fc8``), with those of all other layers
        under ``default`` (correlation if left out).
    network, layer : str
        Which layer.
    features : int
        How many features it has.

    Returns
    -------
    str
        A key of `rsa_face.schema.MEASURES`.

    Raises
    ------
    ValueError
        If the measure set for this very layer cannot vary in it, or is not defined for so many features.

    Examples
    --------
    >>> measure_of("correlation", network="alexnet", layer="fc8", features=2)
    'difference'
    >>> measure_of({"fc8": "euclidean"}, network="alexnet", layer="fc8", features=2)
    'euclidean'
    """
    named = measure if isinstance(measure, Mapping) else {}
    key = next((key for key in (f"{network}/{layer}", layer) if key in named), None)
    name = named[key] if key is not None else general_measure(measure)
    row = MEASURES[name]
    if row.most and features > row.most:
        message = (
            f"{network}/{layer}: {name!r} is defined for {row.most} features at most, and the layer has {features}. "
            "Choose another measure, or set this one for the output layer alone: measure={'fc8': ...}."
        )
        raise ValueError(message)
    if features >= row.fewest:
        return name
    if key is not None:
        message = (
            f"{network}/{layer}: {name!r} over {features} feature(s) cannot vary between pairs of stimuli. "
            f"Choose {row.instead!r} or 'euclidean' for this layer, or leave it out of measure."
        )
        raise ValueError(message)
    return row.instead


@dataclass(frozen=True)
class Moments:
    """What all dissimilarities of a layer, or of some of its features, follow from.

    `within` (stimulus, stimulus) holds inner products of the patterns less their mean in each block of features, or
    less each feature's mean over stimuli, as the measure asks; `means` (stimulus, block) those means, 0 in the second
    case; `sizes` (block,) the features in each block; `scale` (stimulus,) the largest absolute value of each pattern,
    not finite where the pattern is not.
    """

    within: np.ndarray
    means: np.ndarray
    sizes: np.ndarray
    scale: np.ndarray


def sum_moments(blocks: Iterable[np.ndarray], measure: str) -> Moments:
    """Add up inner products over blocks of features (stimulus, feature), each block read once.

    The textbook formula (products first, means after) cancels for patterns like 100 +/- .001 and can even turn
    negative. So a pattern that lies far from 0 is centred before it is multiplied, block by block, and the block
    means are put back in float64, which is exact whatever the means (Chan, Golub & LeVeque 1983,
    10.1080/00031305.1983.10483115). A pattern that lies near 0 is left as it is: the zeros of a ReLU are exact,
    while a mean taken off them turns them into equal numbers whose rounding errors add up. Products are taken in
    the precision the values come in (float32 for a network's activations) and added up in float64; a correlation
    is off by less than 1e-6.
    """
    return merge_moments([block_moments(block, measure) for block in blocks])


@contextmanager
def product_threads() -> Iterator[Executor]:
    """Let as many threads multiply as the linear algebra library may use, each a split of its own.

    The library would cut a product according to its number of threads, and so round differently on another
    machine. Cut the same way everywhere, RDMs are equal bit for bit, whatever the number of threads or workers.
    While the pool lives, the library itself uses one thread.
    """
    with threadpool_limits(1, user_api="blas") as limits:
        threads = limits.get_original_num_threads().get("blas") or 1
        with ThreadPoolExecutor(threads, thread_name_prefix="products") as pool:
            yield pool


def block_moments(block: np.ndarray, measure: str, pool: Executor | None = None) -> Moments:
    """Return the moments of one block of features; 0 where a pattern is not finite, which `scale` tells."""
    row = MEASURES[measure]
    values = row.prepare(block if block.dtype.itemsize >= _SINGLE else block.astype(np.float32))
    scale = np.maximum(values.max(axis=1), -values.min(axis=1)).astype(np.float64)
    size = np.array([values.shape[1]])
    if not np.isfinite(scale).all():
        return Moments(np.zeros((len(values), len(values))), np.zeros((len(values), 1)), size, scale)
    if row.most or is_beyond_single(scale):  # a few outputs cost nothing in float64
        values = values.astype(np.float64)
    if row.centre == "features":
        return Moments(_self_products(values - values.mean(axis=0), pool), np.zeros((len(values), 1)), size, scale)
    mean = values.mean(axis=1, keepdims=True)
    square = np.einsum("ij,ij->i", values, values)[:, None] / values.shape[1]
    shift = np.where(is_far_from_0(mean, square), mean, 0).astype(values.dtype)
    shifted = values - shift if shift.any() else values
    rest = shifted.mean(axis=1, dtype=np.float64)
    within = _self_products(shifted, pool)
    within -= values.shape[1] * np.outer(rest, rest)
    return Moments(within, shift.astype(np.float64) + rest[:, None], size, scale)


def is_beyond_single(scale: np.ndarray) -> bool:
    """Return whether squares of some pattern's values would overflow or vanish in float32.

    Examples
    --------
    >>> is_beyond_single(np.array([0.0, 1.0])), is_beyond_single(np.array([1e-30, 1.0]))
    (False, True)
    """
    return bool(((scale > 1e15) | ((scale > 0) & (scale < 1e-15))).any())


def is_far_from_0(mean: Any, square: Any) -> Any:
    """Return which patterns are centred before they are multiplied: those whose squared mean exceeds 2 variances.

    Examples
    --------
    >>> is_far_from_0(100.0, 10_000.000_001), is_far_from_0(0.4, 0.5)
    (True, False)
    """
    return 3 * mean**2 > 2 * square


def merge_moments(parts: Iterable[Moments]) -> Moments:
    """Put the moments of several blocks of features together, in their order."""
    within: np.ndarray | None = None
    means, sizes, scales = [], [], []
    for part in parts:
        within = part.within.copy() if within is None else np.add(within, part.within, out=within)
        means.append(part.means)
        sizes.append(part.sizes)
        scales.append(part.scale)
    assert within is not None  # a layer has features
    return Moments(within, np.hstack(means), np.hstack(sizes), np.max(np.stack(scales), axis=0))


def dissimilarities(moments: Moments, measure: str, ids: Sequence[str]) -> np.ndarray:
    """Return the RDM (stimulus, stimulus) that a layer's moments make: symmetric, 0 on the diagonal.

    A pattern that is constant (correlation), all zero (cosine) or not finite is refused, the stimuli named by `ids`.
    """
    _must_be_finite(moments, ids)
    row = MEASURES[measure]
    assert row.dissimilarity is not None  # those of repeated presentations do not come this way
    products = moments.within if row.centre == "features" else _products(moments, centred=row.centre == "patterns")
    if row.fault:
        _must_have_length(products, moments, ids, row.fault)
    rdm = row.dissimilarity(products, int(moments.sizes.sum()))
    rdm = np.maximum((rdm + rdm.T) / 2, 0)
    np.fill_diagonal(rdm, 0)
    return np.asarray(rdm)


def _self_products(values: np.ndarray, pool: Executor | None) -> np.ndarray:
    products = np.zeros((len(values), len(values)))

    def fill(start: int) -> None:
        stop = start + _ROWS
        for first in range(0, values.shape[1], _MOST_FEATURES):
            part = values[:, first : first + _MOST_FEATURES]
            products[start:stop, start:] += part[start:stop] @ part[start:].T

    for _ in (map if pool is None else pool.map)(fill, range(0, len(values), _ROWS)):
        pass
    below = np.tril_indices(_ROWS, -1)
    for start in range(0, len(values), _ROWS):
        square = products[start : start + _ROWS, start : start + _ROWS]
        inside = below if len(square) == _ROWS else np.tril_indices(len(square), -1)
        square[inside] = square.T[inside]
        products[start + _ROWS :, start : start + _ROWS] = products[start : start + _ROWS, start + _ROWS :].T
    return products


def _products(moments: Moments, *, centred: bool) -> np.ndarray:
    means = moments.means
    if centred:
        means = means - (means @ moments.sizes / moments.sizes.sum())[:, None]
    return np.asarray(moments.within + (means * moments.sizes) @ means.T)


def _must_have_length(products: np.ndarray, moments: Moments, ids: Sequence[str], fault: str) -> None:
    flat = np.diagonal(products) <= moments.sizes.sum() * (1e-12 * moments.scale) ** 2
    if flat.any():
        named = [stimulus for stimulus, bad in zip(ids, flat, strict=True) if bad]
        message = (
            f"Patterns are {fault} for {len(named)} of {len(ids)} stimuli: {named[:_LISTED]}. Leave this layer out, "
            "or choose the euclidean measure."
        )
        raise ValueError(message)


def _must_be_finite(moments: Moments, ids: Sequence[str]) -> None:
    bad = ~np.isfinite(moments.scale)
    if bad.any():
        named = [stimulus for stimulus, wrong in zip(ids, bad, strict=True) if wrong]
        message = f"Activations are not finite for {named[:_LISTED]}. Check the weights."
        raise ValueError(message)
