"""The fits of many curves, laid out over observers and occlusions with their names."""

from dataclasses import dataclass

import numpy as np
import xarray as xr

from rsa_face.psychophysics.choices import Counts
from rsa_face.psychophysics.climb import value_of
from rsa_face.psychophysics.curves import PARAMETERS, PSE, Problem, evaluate_curve
from rsa_face.psychophysics.intervals import NUMBERS, Bootstrap, Posterior, bootstrap_interval, deviance_of
from rsa_face.psychophysics.pooling import Pooled
from rsa_face.psychophysics.status import DETERMINED, separated
from rsa_face.schema import BOUND, BOUNDS, DRAW, NETWORK, split_seed

LEVEL, OCCLUSION, PARAMETER, CURVE_LEVEL = "level", "occlusion", "parameter", "curve_level"
_OF_A_PSE = ("pse", "midpoint", "slope")


@dataclass(frozen=True, eq=False)
class Fits:
    """The fits of some of the curves, to be laid out over observers and occlusions.

    Parameters
    ----------
    counts : Counts
        Of all curves.
    rows : ndarray of int
        Which curves were fitted: observer times occlusions plus occlusion.
    theta : ndarray, shape (curve, 4)
        Their parameters.
    problem : Problem
        What was maximised.
    """

    counts: Counts
    rows: np.ndarray
    theta: np.ndarray
    problem: Problem

    def points(self, status: np.ndarray) -> xr.Dataset:
        """Return the numbers of every curve, the curve itself, and the choices it rests on.

        PSE, midpoint and slope are given where the choices determine the PSE alone, so that no mean takes in a number
        that the bounds of the fit have made.
        """
        numbers = {name: self._whole(read(self.theta, self.problem)) for name, read in NUMBERS.items()}
        numbers["pse_fit"] = numbers["pse"]
        determined = np.isin(status, DETERMINED).reshape(numbers["pse"].shape)
        for name in _OF_A_PSE:
            numbers[name] = np.where(determined, numbers[name], np.nan)
        fine = np.linspace(self.counts.levels.min(), self.counts.levels.max(), 101)
        heights = self._whole(evaluate_curve(fine, self.theta, self.problem.sigmoid))
        shares = np.full(self.counts.trials.shape, np.nan)
        shown = self.counts.trials > 0
        shares[shown] = self.counts.happy[shown] / self.counts.trials[shown]
        dims = (self.counts.observer, OCCLUSION)
        variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
            name: (dims, values) for name, values in numbers.items()
        }
        variables["crossing"] = (dims, numbers["pse"])  # the name that "pse" had; goes with the next version
        variables["curve"] = ((*dims, CURVE_LEVEL), heights)
        variables["proportion"] = ((*dims, LEVEL), shares)
        variables["n_trials"] = ((*dims, LEVEL), self.counts.trials)
        coords = {
            self.counts.observer: list(self.counts.observers),
            OCCLUSION: list(self.counts.occlusions),
            LEVEL: self.counts.levels,
            CURVE_LEVEL: fine,
        }
        return xr.Dataset(variables, coords | _families(self.counts))

    def flags(self, status: np.ndarray) -> xr.Dataset:
        """Return what became of every curve, and where bounds decided."""
        dims = (self.counts.observer, OCCLUSION)
        ends = np.stack([self.theta <= self.problem.lower + 1e-6, self.theta >= self.problem.upper - 1e-6], axis=-1)
        ends &= (self.problem.lower < self.problem.upper)[:, :, None]
        shape = (len(self.counts.observers), len(self.counts.occlusions))
        return xr.Dataset(
            {
                "status": (dims, status.reshape(shape).astype(str)),
                "separated": (dims, (separated(self.counts)).reshape(shape)),
                "at_bound": ((*dims, PARAMETER, BOUND), self._whole(ends, empty=False)),
                "extrapolated": (dims, self._whole(self.extrapolated(), empty=False)),
            },
            {PARAMETER: list(PARAMETERS), BOUND: list(BOUNDS)},
        )

    def extrapolated(self) -> np.ndarray:
        """Say of each fitted curve whether it is at one half only beyond the levels that were shown."""
        low, high = self.counts.levels.min(), self.counts.levels.max()
        return np.asarray((self.theta[:, PSE] < low) | (self.theta[:, PSE] > high))

    def deviance(self, chance: np.ndarray | None) -> xr.Dataset:
        """Return how far the choices lie from the curves, and how often chance alone lies as far."""
        if chance is None:
            return xr.Dataset()
        dims = (self.counts.observer, OCCLUSION)
        return xr.Dataset(
            {
                "deviance": (dims, self._whole(deviance_of(self.theta, self.problem))),
                "deviance_p": (dims, self._whole(chance)),
                "log_likelihood": (dims, self._whole(value_of(self.theta, self.problem.without_priors()))),
            }
        )

    def intervals(self, posterior: Posterior | None, bootstrap: Bootstrap | None, confidence: float) -> xr.Dataset:
        """Return intervals of every number: credible ones, or those of the bootstrap."""
        dims = (self.counts.observer, OCCLUSION)
        table = xr.Dataset()
        if posterior is not None:
            for name in NUMBERS:
                table[f"{name}_interval"] = ((*dims, BOUND), self._whole(posterior.ends[name].T))
                table[f"{name}_open"] = ((*dims, BOUND), self._whole(posterior.open_ended[name].T, empty=False))
        if bootstrap is None:
            return table
        for name in NUMBERS:
            ends = bootstrap_interval(self.problem, self.theta, bootstrap, name, confidence=confidence)
            table[f"{name}_interval"] = ((*dims, BOUND), self._whole(ends.T))
        for name in ("pse", "slope"):
            draws = NUMBERS[name](bootstrap.theta, self.problem)
            table[f"{name}_draws"] = ((DRAW, *dims), np.stack([self._whole(row) for row in draws]))
        table["curve_interval"] = ((*dims, CURVE_LEVEL, BOUND), self._whole(self._band(bootstrap, confidence)))
        return table

    def population(self, pooled: Pooled | None) -> xr.Dataset:
        """Return the population that pooled curves come from."""
        if pooled is None:
            return xr.Dataset()
        dims = (OCCLUSION, "pooled_parameter")
        mean, sd = (np.full((len(self.counts.occlusions), 2), np.nan) for _ in range(2))
        fitted = np.unique(self.rows % len(self.counts.occlusions))
        mean[fitted], sd[fitted] = pooled.centre, pooled.spread
        coords = {"pooled_parameter": ["pse", "log_width"]}
        return xr.Dataset({"population_mean": (dims, mean), "population_sd": (dims, sd)}, coords)

    def _band(self, bootstrap: Bootstrap, confidence: float) -> np.ndarray:
        fine = np.linspace(self.counts.levels.min(), self.counts.levels.max(), 101)
        tails = [(1 - confidence) / 2, (1 + confidence) / 2]
        bands = [
            np.quantile(evaluate_curve(fine, bootstrap.theta[:, row], self.problem.sigmoid), tails, axis=0)
            for row in range(len(self.theta))
        ]
        return np.stack(bands).transpose(0, 2, 1)

    def _whole(self, values: np.ndarray, *, empty: float | bool = np.nan) -> np.ndarray:
        shape = (len(self.counts.observers), len(self.counts.occlusions))
        whole = np.full((shape[0] * shape[1], *values.shape[1:]), empty)
        whole[self.rows] = values
        return whole.reshape(*shape, *values.shape[1:])


def _families(counts: Counts) -> dict[str, tuple[str, list[str] | list[int]]]:
    if counts.observer != NETWORK:
        return {}
    split = [split_seed(name) for name in counts.observers]
    return {"family": (NETWORK, [family for family, _ in split]), "seed": (NETWORK, [seed for _, seed in split])}
