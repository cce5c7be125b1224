"""Bootstrap draws of small simulated comparisons, all draws in a few matrix products."""

import numpy as np

from rsa_face.inference.bootstrap import Evaluated
from rsa_face.inference.resampling import Draws

_CHUNK = 100


def correlate_draws(layers: np.ndarray, people: np.ndarray, draws: Draws, **_: object) -> Evaluated:
    """Do what `evaluate_draws` does for ``corr``, where all judged the same pairs; a test holds the two equal."""
    similarity = np.empty((len(draws.kinds), len(draws), len(layers)))
    ceiling = np.empty((len(draws.kinds), len(draws), 2))
    rows, columns = np.triu_indices(draws.stimuli.shape[1], 1)
    judged = ~np.isnan(people[0])
    rows, columns = rows[judged], columns[judged]
    both = np.vstack([layers[:, judged], people[:, judged]])
    both = (both - both.mean(axis=1, keepdims=True)) / both.std(axis=1, keepdims=True)
    products = (both[:, None] * both[None, len(layers) :]).reshape(-1, both.shape[1]).astype(np.float32)
    once = _moments(both, products, len(layers), np.ones((1, rows.size)))
    for start in range(0, len(draws), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        stimuli, times = draws.stimuli[chunk].astype(float), draws.participants[chunk].astype(float)
        drawn = _moments(both, products, len(layers), stimuli[:, rows] * stimuli[:, columns])
        for place, kind in enumerate(draws.kinds):
            between, among = once if kind == "participant" else drawn
            weights = np.ones_like(times) if kind == "stimulus" else times
            between = np.broadcast_to(between, (len(times), *between.shape[1:]))
            similarity[place, chunk] = np.matmul(between, weights[:, :, None])[:, :, 0]
            similarity[place, chunk] /= weights.sum(axis=1, keepdims=True)
            ceiling[place, chunk] = _ceilings(np.broadcast_to(among, (len(times), *among.shape[1:])), weights)
    return Evaluated(similarity, ceiling)


def _moments(
    both: np.ndarray, products: np.ndarray, count: int, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    weights = weights / weights.sum(axis=1, keepdims=True)
    mean = weights @ both.T
    spread = np.sqrt(weights @ (both**2).T - mean**2)
    raw = (weights.astype(np.float32) @ products.T).astype(float).reshape(len(weights), len(both), -1)
    raw -= mean[:, :, None] * mean[:, None, count:]
    raw /= spread[:, :, None] * spread[:, None, count:]
    return raw[:, :count], raw[:, count:]


def _ceilings(among: np.ndarray, weights: np.ndarray) -> np.ndarray:
    drawn = weights > 0
    own = np.matmul(among, weights[:, :, None])[:, :, 0]
    square = (own * weights).sum(axis=1)[:, None]
    upper = own / np.sqrt(square)
    lower = (own - weights) / np.sqrt(np.maximum(square - 2 * weights * own + weights**2, 1e-12))
    return np.stack([(bound * drawn).sum(axis=1) / drawn.sum(axis=1) for bound in (lower, upper)], axis=1)
