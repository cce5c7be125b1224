"""Which layer answers a question, decided from one band over all layers, and which layers cannot be ruled out."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from rsa_face.inference.contrasts import difference_weights, without_shared
from rsa_face.inference.results import LOWER_CEILING, layers_of, matched_layers, resampled_of
from rsa_face.inference.simultaneous import Resampled, Spread, critical_value, rejects
from rsa_face.schema import COMPARISONS

PEAK, CEILING, ABOVE, DIFFERS = "peak", "reaches_ceiling", "above_baseline", "differs_from_baseline"
TARGETS = (PEAK, CEILING, ABOVE, DIFFERS)


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked of each layer of a network.

    Parameters
    ----------
    target : str
        One of `TARGETS`.
    weights : array, shape (quantity, layer)
        The weighted sum of a result's quantities that is looked at: a similarity, its excess over a share of the
        ceiling, a difference.
    layers : array, shape (layer,)
        The places of these layers in the network, in order of depth.
    margin : float
        By how much the sum must be above 0 (for `DIFFERS`, away from 0) to count.
    tested : bool
        Whether no layer may be the answer; a peak that cannot be tested against 0 is the largest similarity.
    """

    target: str
    weights: Float[np.ndarray, "quantity layer"]
    layers: Int[np.ndarray, " layer"]
    margin: float = 0.0
    tested: bool = True

    def spread(self, resampled: Resampled) -> Spread:
        """Return the sum of each layer with its spread; layers that two networks share have none."""
        spread = resampled.spread(self.weights)
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
    asked = {PEAK: Question(PEAK, identity[:, layers], everywhere, tested=tested)}
    if "noise_ceiling_draws" in result and resampled.estimate[LOWER_CEILING] > 0:
        excess = identity[:, layers] - (1 - ceiling_margin) * identity[:, [LOWER_CEILING]]
        asked[CEILING] = Question(CEILING, excess, everywhere)
    if baseline is None:
        return asked, ()
    matched = matched_layers(result, network=network, baseline=baseline, match=match)
    place = {int(layer): index for index, layer in enumerate(layers)}
    at = np.array([place[int(layer)] for layer in matched.network])
    weights = difference_weights(resampled.estimate.size, matched)
    asked |= {target: Question(target, weights, at, margin) for target in (ABOVE, DIFFERS)}
    return asked, matched.alone


def beyond(
    values: Float[np.ndarray, "draw layer"], spread: Spread, question: Question, *, bar: float
) -> Bool[np.ndarray, "draw layer"]:
    """Return which values lie beyond the margin by more than the band reaches."""
    size = np.abs(values) if question.target == DIFFERS else values
    return np.asarray(spread.scores(size - question.margin) > bar)


def pick(
    values: Float[np.ndarray, "draw layer"], spread: Spread, question: Question, *, bar: float
) -> Int[np.ndarray, " draw"]:
    """Return the layer that answers a question in each draw, decided as it is in the whole of the data.

    Parameters
    ----------
    values : array, shape (draw, layer)
        What is asked of each layer.
    spread : Spread
        The same in the whole of the data, with its standard errors.
    question : Question
        The peak is the largest value, where any is above 0 beyond chance; otherwise the first that lies beyond the
        margin by more than chance.
    bar : float
        How many standard errors the band reaches: `bar_of`.

    Returns
    -------
    array, shape (draw,)
        Places among the question's layers; their number where no layer is the answer.
    """
    significant = beyond(values, spread, question, bar=bar)
    if question.target == PEAK:
        any_is = significant.any(axis=1) if question.tested else np.ones(len(values), dtype=bool)
        return np.asarray(np.where(any_is, values.argmax(axis=1), values.shape[1]))
    return np.asarray(np.where(significant.any(axis=1), significant.argmax(axis=1), values.shape[1]))


def bar_of(spread: Spread, *, confidence: float) -> float:
    """Return how many standard errors the band over all layers of a question reaches, on either side."""
    return critical_value(spread, confidence=confidence)


def places_in_set(
    question: Question, resampled: Resampled, spread: Spread, *, bar: float, confidence: float
) -> Bool[np.ndarray, " place"]:
    """Return which layers, and last whether "none", the data do not rule out.

    For a first layer everything is read from the band: a layer is ruled out where a shallower one is beyond the
    margin already, or where it cannot be beyond it itself. So the set and the layer picked never disagree.
    """
    significant = beyond(spread.estimate[None], spread, question, bar=bar)[0]
    none = question.tested and not significant.any()
    if question.target == PEAK:
        return np.append(_may_be_largest(question, resampled, confidence=confidence), none)
    earlier = np.concatenate([[False], np.logical_or.accumulate(significant)[:-1]])
    size = np.abs(spread.estimate) if question.target == DIFFERS else spread.estimate
    short = spread.scores(question.margin - size) > bar
    never = (spread.error == 0) & (size <= question.margin)
    return np.append(~earlier & ~short & ~never, none)


def _may_be_largest(question: Question, resampled: Resampled, *, confidence: float) -> Bool[np.ndarray, " layer"]:
    """Return which layers no other one is above, beyond chance (multiple comparisons with the best)."""
    count = question.layers.size
    inside = np.ones(count, dtype=bool)
    for place in range(count if count > 1 else 0):
        others = np.delete(question.weights, place, axis=1) - question.weights[:, [place]]
        inside[place] = not rejects(resampled.spread(others), confidence=confidence)
    return inside
