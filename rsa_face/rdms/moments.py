"""The arithmetic of RDMs: inner products added up block by block, exact where textbook formulas cancel."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

_SINGLE = 4  # bytes of a float32
_MOST_FEATURES = 2**13  # added up in float32 before float64 takes over
_ROWS = 128  # of a product with itself, computed at once by one thread; only the upper half is computed


@dataclass(frozen=True)
class Moments:
    """What all dissimilarities of a layer, or of some of its features, follow from.

    Parameters
    ----------
    within : ndarray of float64, shape (stimulus, stimulus)
        Inner products of the patterns less their mean in each block of features; for euclidean, less each
        feature's mean over stimuli.
    means : ndarray of float64, shape (stimulus, block)
        Those means; 0 for euclidean.
    sizes : ndarray of int, shape (block,)
        Features in each block.
    scale : ndarray of float64, shape (stimulus,)
        The largest absolute value of each pattern; not finite where the pattern is not.
    """

    within: np.ndarray
    means: np.ndarray
    sizes: np.ndarray
    scale: np.ndarray


def sum_moments(blocks: Iterable[np.ndarray], measure: str) -> Moments:
    """Add up inner products over blocks of features, each block read once.

    The textbook formula (products first, means after) cancels for patterns like 100 +/- .001 and can even turn
    negative. So a pattern that lies far from 0 is centred before it is multiplied, block by block, and the block
    means are put back in float64, which is exact whatever the means (Chan, Golub & LeVeque 1983,
    10.1080/00031305.1983.10483115). A pattern that lies near 0 is left as it is: the zeros of a ReLU are exact,
    while a mean taken off them turns them into equal numbers whose rounding errors add up. Products are taken in
    the precision the values come in (float32 for a network's activations) and added up in float64; a correlation
    is off by less than 1e-6.

    Parameters
    ----------
    blocks : iterable of ndarray, shape (stimulus, feature)
        The layer, cut along its features. Not changed.
    measure : {"correlation", "euclidean", "cosine"}
        What the moments are for.

    Returns
    -------
    Moments
        Of all blocks.
    """
    return merge_moments([block_moments(block, measure) for block in blocks])


@contextmanager
def product_threads() -> Iterator[Executor]:
    """Let as many threads multiply as the linear algebra library may use, each a part of its own.

    The library would cut a product according to its number of threads, and so round differently on another
    machine. Cut the same way everywhere, RDMs are equal bit for bit, whatever the number of threads or workers.

    Yields
    ------
    Executor
        For `block_moments`; while it lives, the library itself uses one thread.
    """
    with threadpool_limits(1, user_api="blas") as limits:
        threads = limits.get_original_num_threads().get("blas") or 1
        with ThreadPoolExecutor(threads, thread_name_prefix="products") as pool:
            yield pool


def block_moments(block: np.ndarray, measure: str, pool: Executor | None = None) -> Moments:
    """Return the moments of one block of features.

    Parameters
    ----------
    block : ndarray, shape (stimulus, feature)
        Not changed.
    measure : {"correlation", "euclidean", "cosine"}
        What the moments are for.
    pool : Executor, optional
        From `product_threads`.

    Returns
    -------
    Moments
        Of this block; 0 where a pattern is not finite, which `scale` tells.
    """
    values = block if block.dtype.itemsize >= _SINGLE else block.astype(np.float32)
    scale = np.maximum(values.max(axis=1), -values.min(axis=1)).astype(np.float64)
    size = np.array([values.shape[1]])
    if not np.isfinite(scale).all():
        return Moments(np.zeros((len(values), len(values))), np.zeros((len(values), 1)), size, scale)
    if is_beyond_single(scale):
        values = values.astype(np.float64)
    if measure == "euclidean":
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

    Parameters
    ----------
    scale : ndarray, shape (stimulus,)
        The largest magnitude in each pattern.

    Returns
    -------
    bool
        True beyond 1e15, and below 1e-15 but for 0.

    Examples
    --------
    >>> is_beyond_single(np.array([0.0, 1.0])), is_beyond_single(np.array([1e-30, 1.0]))
    (False, True)
    """
    return bool(((scale > 1e15) | ((scale > 0) & (scale < 1e-15))).any())


def is_far_from_0(mean: Any, square: Any) -> Any:
    """Return which patterns are to be centred before they are multiplied.

    Parameters
    ----------
    mean : ndarray or Tensor
        Mean of each pattern.
    square : ndarray or Tensor
        Mean square of each pattern.

    Returns
    -------
    ndarray or Tensor of bool
        True where the squared mean exceeds twice the variance.

    Examples
    --------
    >>> is_far_from_0(100.0, 10_000.000_001), is_far_from_0(0.4, 0.5)
    (True, False)
    """
    return 3 * mean**2 > 2 * square


def merge_moments(parts: Iterable[Moments]) -> Moments:
    """Put the moments of several blocks of features together, in their order.

    Parameters
    ----------
    parts : iterable of Moments
        One or more. Not changed.

    Returns
    -------
    Moments
        Of all their features.
    """
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
    """Return the RDM that a layer's moments make.

    Parameters
    ----------
    moments : Moments
        From `sum_moments`.
    measure : {"correlation", "euclidean", "cosine"}
        What makes the RDM.
    ids : sequence of str
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
    _must_be_finite(moments, ids)
    rdm = _MEASURES[measure](moments, ids)
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


def _correlation(moments: Moments, ids: Sequence[str]) -> np.ndarray:
    rdm = _one_minus_cosine(_products(moments, centred=True), moments, ids, "constant")
    # Two features correlate by +1 or -1 and nothing between: rounding errors would break ties in rank comparisons.
    return np.rint(rdm) if moments.sizes.sum() == 2 else rdm


def _cosine(moments: Moments, ids: Sequence[str]) -> np.ndarray:
    return _one_minus_cosine(_products(moments, centred=False), moments, ids, "all zero")


def _euclidean(moments: Moments, _ids: Sequence[str]) -> np.ndarray:
    square = np.diagonal(moments.within)
    return np.asarray((square[:, None] + square[None, :] - 2 * moments.within) / moments.sizes.sum())


def _one_minus_cosine(products: np.ndarray, moments: Moments, ids: Sequence[str], fault: str) -> np.ndarray:
    square = np.diagonal(products)
    flat = square <= moments.sizes.sum() * (1e-12 * moments.scale) ** 2
    if flat.any():
        named = [stimulus for stimulus, bad in zip(ids, flat, strict=True) if bad]
        message = (
            f"Every pattern must vary over features, but it is {fault} for {len(named)} of {len(ids)} stimuli: "
            f"{named[:8]}. Leave this layer out, or choose the euclidean measure."
        )
        raise ValueError(message)
    norm = np.sqrt(square)
    return np.asarray(1 - products / np.outer(norm, norm))


def _must_be_finite(moments: Moments, ids: Sequence[str]) -> None:
    bad = ~np.isfinite(moments.scale)
    if bad.any():
        named = [stimulus for stimulus, wrong in zip(ids, bad, strict=True) if wrong]
        message = f"Activations must be finite, but they are not for {named[:8]}. Check the weights."
        raise ValueError(message)


_MEASURES: dict[str, Callable[[Moments, Sequence[str]], np.ndarray]] = {
    "correlation": _correlation,
    "euclidean": _euclidean,
    "cosine": _cosine,
}
