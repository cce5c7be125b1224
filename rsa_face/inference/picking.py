"""Which layer a rule picks: the largest, the first above the bar or not below it, and what data do not rule out."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int

from rsa_face.inference.results import LOWER_CEILING, layers_of, matched_layers, resampled_of
from rsa_face.inference.simultaneous import Resampled, Spread, critical_value, rejects, studentised

PEAK, CEILING, ABOVE = "peak", "at_ceiling", "above_baseline"


@dataclass(frozen=True, eq=False)
class Question:
    """What is asked of each layer of a network.

    Parameters
    ----------
    weights : array, shape (quantity, layer)
        The sum of a result's quantities that is looked at: a similarity, its excess over the ceiling, a difference.
    margin : float
        What is subtracted from it.
    layers : array, shape (layer,)
        The places of these layers in the network, in order of depth.
    rule : str
        ``"largest"``; ``"above"``, the first layer above 0 beyond chance; ``"not below"``, the first that is not
        below 0 beyond chance.
    """

    weights: Float[np.ndarray, "quantity layer"]
    margin: float
    layers: Int[np.ndarray, " layer"]
    rule: str

    def spread(self, resampled: Resampled) -> Spread:
        """Return what is looked at, with its spread.

        Parameters
        ----------
        resampled : Resampled
            A result's quantities.

        Returns
        -------
        Spread
            One quantity for each layer.
        """
        spread = resampled.spread(self.weights)
        return replace(spread, estimate=spread.estimate - self.margin)


def questions(
    result: xr.Dataset, *, network: str, baseline: str | None, match: str, margin: float
) -> tuple[Mapping[str, Question], tuple[str, ...]]:
    """Return what is asked of a network's layers, by target.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison with draws. Not changed.
    network : str
        The network in question.
    baseline : str, optional
        The network it is held against.
    match : str
        How layers of the two are matched.
    margin : float
        By how much a layer must be above its baseline's.

    Returns
    -------
    tuple of dict and tuple
        The questions, and the layers that the last one leaves out for want of a counterpart.
    """
    layers = layers_of(result, network)
    identity = np.eye(resampled_of(result).estimate.size)
    everywhere = np.arange(layers.size)
    asked = {PEAK: Question(identity[:, layers], 0.0, everywhere, "largest")}
    if "noise_ceiling_draws" in result:
        excess = identity[:, layers] - identity[:, [LOWER_CEILING]]
        asked[CEILING] = Question(excess, 0.0, everywhere, "not below")
    if baseline is None:
        return asked, ()
    matched = matched_layers(result, network=network, baseline=baseline, match=match)
    place = {int(layer): index for index, layer in enumerate(layers)}
    at = np.array([place[int(layer)] for layer in matched.network])
    asked[ABOVE] = Question(identity[:, matched.network] - identity[:, matched.baseline], margin, at, "above")
    return asked, matched.alone


def places_in_set(question: Question, resampled: Resampled, *, confidence: float) -> Bool[np.ndarray, " place"]:
    """Return which layers, and last whether "none", the data do not rule out.

    Parameters
    ----------
    question : Question
        What is asked.
    resampled : Resampled
        A result's quantities with their draws.
    confidence : float
        How often the true place must be among them.

    Returns
    -------
    array, shape (layer + 1,)
        The places whose hypothesis is not rejected.
    """
    spread, count = question.spread(resampled), question.layers.size
    inside = np.zeros(count + 1, dtype=bool)
    for place in range(count):
        if question.rule == "largest":
            others = np.delete(question.weights, place, axis=1) - question.weights[:, [place]]
            inside[place] = count == 1 or not rejects(resampled.spread(others), confidence=confidence)
        else:
            signs = np.append(np.ones(place), -1.0)
            inside[place] = not rejects(_signed(spread, signs), confidence=confidence)
    inside[count] = not rejects(spread, confidence=confidence)
    if question.rule == "above":
        inside[:count] &= ~((spread.error == 0) & (spread.estimate <= 0))
    return inside


def pick(t: Float[np.ndarray, "draw layer"], *, rule: str, bar: float) -> Int[np.ndarray, " draw"]:
    """Return the layer that a rule picks in each draw.

    Parameters
    ----------
    t : array, shape (draw, layer)
        What is looked at over its standard error; for the largest, itself.
    rule : str
        ``"largest"``, ``"above"`` or ``"not below"``.
    bar : float
        How many standard errors are beyond chance.

    Returns
    -------
    array, shape (draw,)
        Places from 0; the number of layers where none qualifies (for the largest: where it is not above 0).

    Examples
    --------
    >>> pick(np.array([[-1.0, 3.0, 4.0], [-5.0, -6.0, -4.0]]), rule="above", bar=2.0)
    array([1, 3])
    """
    count = t.shape[1]
    if rule == "largest":
        return np.asarray(np.where(t.max(axis=1) > 0, t.argmax(axis=1), count))
    reached = t > (bar if rule == "above" else -bar)
    return np.asarray(np.where(reached.any(axis=1), reached.argmax(axis=1), count))


def bar_of(spread: Spread, *, rule: str, confidence: float) -> float:
    """Return how many standard errors are beyond chance for the layers of a question, taken together.

    Parameters
    ----------
    spread : Spread
        What is looked at.
    rule : str
        The rule that uses the bar.
    confidence : float
        Between 0 and 1.

    Returns
    -------
    float
        The critical value of the largest t in the direction that the rule tests.
    """
    direction = -1.0 if rule == "not below" else 1.0
    signed = _signed(spread, np.full(spread.estimate.size, direction))
    return critical_value(signed, confidence=confidence, two_sided=False)


def scaled(values: Float[np.ndarray, "draw layer"], spread: Spread, *, rule: str) -> Float[np.ndarray, "draw layer"]:
    """Return what a rule looks at: standard errors, or the similarity itself where the largest is sought.

    Parameters
    ----------
    values : array, shape (draw, layer)
        What is asked of each layer, in each draw.
    spread : Spread
        The same with its standard errors.
    rule : str
        The rule.

    Returns
    -------
    array, shape (draw, layer)
        For `pick`.
    """
    return values if rule == "largest" else studentised(values, spread.error)


def _signed(spread: Spread, signs: Float[np.ndarray, " some"]) -> Spread:
    some = slice(0, signs.size)
    deviations = spread.deviations[:, some] * signs
    return replace(spread, estimate=spread.estimate[some] * signs, deviations=deviations, error=spread.error[some])
