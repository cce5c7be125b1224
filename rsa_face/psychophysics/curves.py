"""The psychometric function: P(happy) along the morph, from a PSE, a width, guesses and lapses."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.special import expit, ndtr, ndtri

Array = np.ndarray
PARAMETERS = ("pse", "width", "guess", "lapse")
PSE, WIDTH, GUESS, LAPSE = range(4)
_ALPHA = 0.05


@dataclass(frozen=True)
class Sigmoid:
    """A cumulative distribution F(z) with its density, and the numbers that turn its spread into a width.

    Parameters
    ----------
    cumulative, density, slant : callable
        F, its derivative and its second derivative, of an array.
    span : float
        Distance on z between F = .05 and F = .95, which is what `width` measures on the levels.
    peak : float
        The density at z = 0.
    """

    cumulative: Callable[[Array], Array]
    density: Callable[[Array], Array]
    slant: Callable[[Array], Array]
    span: float
    peak: float


def _normal_density(z: Array) -> Array:
    return np.asarray(np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi))


def _logistic_density(z: Array) -> Array:
    return np.asarray(expit(z) * expit(-z))


def _normal_slant(z: Array) -> Array:
    return np.asarray(-z * _normal_density(z))


def _logistic_slant(z: Array) -> Array:
    return np.asarray(_logistic_density(z) * (expit(-z) - expit(z)))


_NORMAL_SPAN, _LOGISTIC_SPAN = 2 * float(ndtri(1 - _ALPHA)), 2 * float(np.log((1 - _ALPHA) / _ALPHA))
SIGMOIDS = {
    "gaussian": Sigmoid(ndtr, _normal_density, _normal_slant, _NORMAL_SPAN, float(1 / np.sqrt(2 * np.pi))),
    "logistic": Sigmoid(expit, _logistic_density, _logistic_slant, _LOGISTIC_SPAN, 0.25),
}


@dataclass(frozen=True)
class Problem:
    """Many curves to fit at once: the counts, what is maximised, the bounds, and a prior if curves are pooled.

    Parameters
    ----------
    levels : ndarray, shape (level,)
        Where the stimuli stand on the morph.
    trials, happy : ndarray, shape (curve, level)
        Trials, and how many of them (or which share of one) were answered happy. 0 trials: not shown.
    lower, upper : ndarray, shape (curve, 4)
        Bounds of pse, log width, guess and lapse; equal bounds fix a parameter.
    sigmoid : Sigmoid
        The shape.
    objective : {"likelihood", "least squares"}
        The binomial likelihood, or minus half the squared error of the proportions.
    centre, precision : ndarray, shape (curve, 4)
        A normal prior on the parameters; precision 0 where there is none.
    steepness : bool
        Whether the second parameter is the log slope at the PSE instead of the log width.
    """

    levels: Float[Array, " level"]
    trials: Float[Array, "curve level"]
    happy: Float[Array, "curve level"]
    lower: Float[Array, "curve 4"]
    upper: Float[Array, "curve 4"]
    sigmoid: Sigmoid
    objective: Literal["likelihood", "least squares"] = "likelihood"
    centre: Float[Array, "curve 4"] | None = None
    precision: Float[Array, "curve 4"] | None = None
    steepness: bool = False

    def at(self, index: Array) -> "Problem":
        """Return the problem of some of the curves.

        Parameters
        ----------
        index : ndarray
            Which curves; a curve may come several times.

        Returns
        -------
        Problem
            Of as many curves as there are indices.
        """
        parts = {name: getattr(self, name) for name in ("trials", "happy", "lower", "upper", "centre", "precision")}
        return replace(self, **{name: value[index] for name, value in parts.items() if value is not None})


def evaluate_curve(
    levels: Float[Array, "*curve level"], theta: Float[Array, "curve 4"], sigmoid: Sigmoid
) -> Float[Array, "curve level"]:
    """Return P(happy) at the levels for each set of parameters.

    Parameters
    ----------
    levels : ndarray, shape (level,) or (curve, level)
        Positions on the morph.
    theta : ndarray, shape (curve, 4)
        pse, log width, guess and lapse.
    sigmoid : Sigmoid
        The shape.

    Returns
    -------
    ndarray, shape (curve, level)
        ``guess + (1 - guess - lapse) F(span (level - pse) / width)``.
    """
    z = sigmoid.span * (levels - theta[:, PSE, None]) / np.exp(theta[:, WIDTH, None])
    guess, lapse = theta[:, GUESS, None], theta[:, LAPSE, None]
    return np.asarray(guess + (1 - guess - lapse) * sigmoid.cumulative(z))


def slope_at_pse(theta: Float[Array, "*curve 4"], sigmoid: Sigmoid) -> Float[Array, "*curve"]:
    """Return how steeply P(happy) rises at the PSE, per unit of level.

    Parameters
    ----------
    theta : ndarray, shape (..., 4)
        pse, log width, guess and lapse.
    sigmoid : Sigmoid
        The shape.

    Returns
    -------
    ndarray, shape (...)
        The derivative there.
    """
    reach = 1 - theta[..., GUESS] - theta[..., LAPSE]
    return np.asarray(reach * sigmoid.peak * sigmoid.span / np.exp(theta[..., WIDTH]))


def exchange(theta: Float[Array, "curve 4"], sigmoid: Sigmoid) -> Float[Array, "curve 4"]:
    """Return the parameters with the log width replaced by the log slope, or the other way round.

    Parameters
    ----------
    theta : ndarray, shape (curve, 4)
        pse, log width (or log slope), guess and lapse.
    sigmoid : Sigmoid
        The shape.

    Returns
    -------
    ndarray, shape (curve, 4)
        The same curves in the other parameters.
    """
    other = theta.copy()
    reach = 1 - theta[:, GUESS] - theta[:, LAPSE]
    other[:, WIDTH] = np.log(reach * sigmoid.peak * sigmoid.span) - theta[:, WIDTH]
    return other
