"""The psychometric function: P(happy) along the morph, from a PSE, a width, guesses and lapses.

The PSE is the level at which the whole curve is at one half: happy is chosen half the time. The middle of the sigmoid
itself, where guesses and lapses are set aside, is the midpoint. The two are one only where guesses and lapses are
equal.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.special import expit, logit, ndtr, ndtri

Array = np.ndarray
PARAMETERS = ("pse", "width", "guess", "lapse")
PSE, WIDTH, GUESS, LAPSE = range(4)
# Guesses or lapses of one half would leave no level at which happy is chosen half the time.
MOST_ASYMPTOTE = 0.49
_ALPHA = 0.05


@dataclass(frozen=True)
class Sigmoid:
    """A cumulative distribution F(z), its inverse, its first two derivatives, and its span from F = .05 to .95."""

    cumulative: Callable[[Array], Array]
    inverse: Callable[[Array], Array]
    density: Callable[[Array], Array]
    slant: Callable[[Array], Array]
    span: float


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
    "gaussian": Sigmoid(ndtr, ndtri, _normal_density, _normal_slant, _NORMAL_SPAN),
    "logistic": Sigmoid(expit, logit, _logistic_density, _logistic_slant, _LOGISTIC_SPAN),
}


@dataclass(frozen=True)
class Problem:
    """Many curves to fit at once: the counts, what is maximised, the bounds and the priors.

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
    asymptote_prior : float
        Guess and lapse have the density (1 - x) to this power: 9 is psignifit's Beta(1, 10), 0 is no prior.
    centre, precision : ndarray, shape (curve, 4)
        A normal prior on the parameters of pooled curves; precision 0 where there is none.
    """

    levels: Float[Array, " level"]
    trials: Float[Array, "curve level"]
    happy: Float[Array, "curve level"]
    lower: Float[Array, "curve 4"]
    upper: Float[Array, "curve 4"]
    sigmoid: Sigmoid
    objective: Literal["likelihood", "least squares"] = "likelihood"
    asymptote_prior: float = 0.0
    centre: Float[Array, "curve 4"] | None = None
    precision: Float[Array, "curve 4"] | None = None

    def at(self, index: Array) -> "Problem":
        """Return the problem of some of the curves; a curve may come several times."""
        parts = {name: getattr(self, name) for name in ("trials", "happy", "lower", "upper", "centre", "precision")}
        return replace(self, **{name: value[index] for name, value in parts.items() if value is not None})

    def without_priors(self) -> "Problem":
        """Return the problem in which the choices alone count."""
        return replace(self, asymptote_prior=0.0, centre=None, precision=None)


def half_height(guess: Array, lapse: Array, sigmoid: Sigmoid) -> Array:
    """Return z where the whole curve, guesses and lapses included, is at one half."""
    return np.asarray(sigmoid.inverse((0.5 - guess) / (1 - guess - lapse)))


def evaluate_curve(
    levels: Float[Array, "*curve level"], theta: Float[Array, "curve 4"], sigmoid: Sigmoid
) -> Float[Array, "curve level"]:
    """Return P(happy) at the levels: ``guess + (1 - guess - lapse) F(z)``, one half where the level is the PSE."""
    guess, lapse = theta[:, GUESS, None], theta[:, LAPSE, None]
    z = sigmoid.span * (levels - theta[:, PSE, None]) / np.exp(theta[:, WIDTH, None])
    z = z + half_height(guess, lapse, sigmoid)
    return np.asarray(guess + (1 - guess - lapse) * sigmoid.cumulative(z))


def slope_at_pse(theta: Float[Array, "*curve 4"], sigmoid: Sigmoid) -> Float[Array, "*curve"]:
    """Return how steeply P(happy) rises at the PSE, per unit of level."""
    guess, lapse = theta[..., GUESS], theta[..., LAPSE]
    density = sigmoid.density(half_height(guess, lapse, sigmoid))
    return np.asarray((1 - guess - lapse) * density * sigmoid.span / np.exp(theta[..., WIDTH]))


def midpoint_of(theta: Float[Array, "*curve 4"], sigmoid: Sigmoid) -> Float[Array, "*curve"]:
    """Return the level at which the sigmoid itself is at one half, guesses and lapses set aside."""
    away = half_height(theta[..., GUESS], theta[..., LAPSE], sigmoid) * np.exp(theta[..., WIDTH]) / sigmoid.span
    return np.asarray(theta[..., PSE] - away)
