"""Which psychometric curve is fitted: the settings of a fit, without what fits it."""

from typing import Literal, Self

import numpy as np
from pydantic import model_validator

from rsa_face.settings import Bounds, Settings


class Curve(Settings):
    """Which curve is fitted, and within which bounds.

    Parameters
    ----------
    sigmoid : {"gaussian", "logistic"}
        The cumulative distribution it follows.
    guess, lapse : float or tuple of float
        How far the curve stays above 0 at the sad end, and below 1 at the happy end: fixed, or free between two
        bounds. Leaving lapses out, or bounding them below those of an observer, biases the slope (Wichmann & Hill
        2001, 10.3758/BF03194544) and makes intervals too narrow. Where trials are counted and fitted by likelihood,
        both have the prior Beta(1, 10) within their bounds, which weighs as 9 trials at either end would. The fit
        itself stays below .49, since an observer who guesses half the time has no PSE.
    width : float or tuple of float, optional
        Distance between 5 % and 95 % of the sigmoid, in units of level: fixed, or its bounds. From half the
        smallest step between levels to five times their range unless given.
    method : {"likelihood", "least squares"}
        Binomial likelihood, or least squares on the proportions, each level weighing the same.
    pooling : {"none", "participants"}
        Whether the participants' PSEs and widths are drawn towards the group's, one group for each occlusion.
    """

    sigmoid: Literal["gaussian", "logistic"] = "gaussian"
    guess: Bounds = (0.0, 0.5)
    lapse: Bounds = (0.0, 0.5)
    width: Bounds | None = None
    method: Literal["likelihood", "least squares"] = "likelihood"
    pooling: Literal["none", "participants"] = "none"

    @model_validator(mode="after")
    def _can_be_fitted(self) -> Self:
        faults = [
            f"{name} is {value}, above 0.5"
            for name, value in (("guess", self.guess), ("lapse", self.lapse))
            if np.max(value) > 0.5
        ]
        if self.width is not None and np.min(self.width) == 0:
            faults.append(f"width is {self.width}, not above 0")
        if self.pooling != "none" and self.method != "likelihood":
            faults.append(f"method is {self.method!r}, but a pooled fit is by likelihood")
        if faults:
            raise ValueError("; ".join(faults))
        return self
