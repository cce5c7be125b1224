"""Bootstrap draws and deletions of small simulated comparisons, all of them in a few matrix products."""

import numpy as np
from scipy import sparse

from rsa_face.inference.draws import Evaluated
from rsa_face.inference.resampling import Draws

_CHUNK = 100


def correlate_draws(layers: np.ndarray, people: np.ndarray, draws: Draws, **_: object) -> Evaluated:
    """Do what `evaluate_draws` does for ``corr``, where all judged the same pairs; a test holds the two equal."""
    similarity = np.empty((len(draws.kinds), len(draws), len(layers)))
    ceiling = np.empty((len(draws.kinds), len(draws), 2))
    judged = ~np.isnan(people[0])
    rows, columns = np.triu_indices(draws.stimuli.shape[1], 1)
    pairs = rows[judged], columns[judged]
    both = np.vstack([layers[:, judged], people[:, judged]])
    both = (both - both.mean(axis=1, keepdims=True)) / both.std(axis=1, keepdims=True)
    products = (both[:, None] * both[None, len(layers) :]).reshape(-1, both.shape[1])
    moments = _Deleted if draws.stimuli.max() <= 1 else _Drawn
    sums = moments(np.vstack([np.ones(both.shape[1]), both, both**2, products]), pairs, draws.stimuli.shape[1])
    once = _correlations(sums.over(np.ones((1, draws.stimuli.shape[1]))), len(both), len(layers))
    for start in range(0, len(draws), _CHUNK):
        chunk = slice(start, start + _CHUNK)
        stimuli, times = draws.stimuli[chunk].astype(float), draws.participants[chunk].astype(float)
        drawn = _correlations(sums.over(stimuli), len(both), len(layers))
        for place, kind in enumerate(draws.kinds):
            between, among = once if kind == "participant" else drawn
            weights = np.ones_like(times) if kind == "stimulus" else times
            between = np.broadcast_to(between, (len(times), *between.shape[1:]))
            similarity[place, chunk] = np.matmul(between, weights[:, :, None])[:, :, 0]
            similarity[place, chunk] /= weights.sum(axis=1, keepdims=True)
            ceiling[place, chunk] = _ceilings(np.broadcast_to(among, (len(times), *among.shape[1:])), weights)
    return Evaluated(similarity, ceiling)


class _Drawn:
    """Sums over the pairs of a draw, in single precision."""

    def __init__(self, features: np.ndarray, pairs: tuple[np.ndarray, np.ndarray], _: int) -> None:
        self.features, self.pairs = np.ascontiguousarray(features.T, dtype=np.float32), pairs

    def over(self, stimuli: np.ndarray) -> np.ndarray:
        rows, columns = self.pairs
        return ((stimuli[:, rows] * stimuli[:, columns]).astype(np.float32) @ self.features).astype(float)


class _Deleted:
    """Sums over all pairs less those of the stimuli left out, in double precision: differences of these count."""

    def __init__(self, features: np.ndarray, pairs: tuple[np.ndarray, np.ndarray], stimuli: int) -> None:
        self.features, self.pairs = np.ascontiguousarray(features.T), pairs
        count = len(self.pairs[0])
        ends = (np.concatenate(self.pairs), np.tile(np.arange(count), 2))
        self.of_stimulus = sparse.csr_matrix((np.ones(2 * count), ends), (stimuli, count)) @ self.features
        self.total = self.features.sum(axis=0)

    def over(self, stimuli: np.ndarray) -> np.ndarray:
        out = 1 - stimuli
        rows, columns = self.pairs
        twice = sparse.csr_matrix(out[:, rows] * out[:, columns])  # pairs of which both are left out
        return self.total - out @ self.of_stimulus + twice @ self.features


def _correlations(sums: np.ndarray, count: int, layers: int) -> tuple[np.ndarray, np.ndarray]:
    mean, square = sums[:, 1 : count + 1] / sums[:, :1], sums[:, count + 1 : 2 * count + 1] / sums[:, :1]
    raw = (sums[:, 2 * count + 1 :] / sums[:, :1]).reshape(len(sums), count, -1)
    spread = np.sqrt(square - mean**2)
    raw -= mean[:, :, None] * mean[:, None, layers:]
    raw /= spread[:, :, None] * spread[:, None, layers:]
    return raw[:, :layers], raw[:, layers:]


def _ceilings(among: np.ndarray, weights: np.ndarray) -> np.ndarray:
    drawn = weights > 0
    own = np.matmul(among, weights[:, :, None])[:, :, 0]
    square = (own * weights).sum(axis=1)[:, None]
    upper = own / np.sqrt(square)
    lower = (own - weights) / np.sqrt(np.maximum(square - 2 * weights * own + weights**2, 1e-12))
    return np.stack([(bound * drawn).sum(axis=1) / drawn.sum(axis=1) for bound in (lower, upper)], axis=1)
