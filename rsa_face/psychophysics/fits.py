"""The fits of many curves, laid out over observers and occlusions with their names."""

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from scipy.stats import chi2

from rsa_face.psychophysics.choices import Counts
from rsa_face.psychophysics.climb import value_of
from rsa_face.psychophysics.curves import PARAMETERS, Problem, evaluate_curve
from rsa_face.psychophysics.intervals import (
    NUMBERS,
    Bootstrap,
    bootstrap_interval,
    deviance_of,
    profile_interval,
)
from rsa_face.psychophysics.pooling import Pooled
from rsa_face.psychophysics.status import separated
from rsa_face.schema import BOUND, BOUNDS, DRAW, NETWORK, split_seed

LEVEL, OCCLUSION, PARAMETER, CURVE_LEVEL = "level", "occlusion", "parameter", "curve_level"


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

    def points(self) -> xr.Dataset:
        """Return the numbers of every curve, the curve itself, and the choices it rests on.

        Returns
        -------
        Dataset
            Over observers and occlusions; empty where there is nothing to say.
        """
        numbers = {name: self._whole(read(self.theta, self.problem)) for name, read in NUMBERS.items()}
        numbers["crossing"] = self._whole(crossing_of(self.theta, self.problem))
        fine = np.linspace(self.counts.levels.min(), self.counts.levels.max(), 101)
        heights = self._whole(evaluate_curve(fine, self.theta, self.problem.sigmoid))
        shares = np.full(self.counts.trials.shape, np.nan)
        shown = self.counts.trials > 0
        shares[shown] = self.counts.happy[shown] / self.counts.trials[shown]
        dims = (self.counts.observer, OCCLUSION)
        variables: dict[str, tuple[tuple[str, ...], np.ndarray]] = {
            name: (dims, values) for name, values in numbers.items()
        }
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
        """Return what became of every curve, and where bounds decided.

        Parameters
        ----------
        status : ndarray of str, shape (observer x occlusion,)
            From `first_status`, brought up to date.

        Returns
        -------
        Dataset
            Over observers and occlusions; empty where there is nothing to say.
        """
        dims = (self.counts.observer, OCCLUSION)
        ends = np.stack([self.theta <= self.problem.lower + 1e-6, self.theta >= self.problem.upper - 1e-6], axis=-1)
        ends &= (self.problem.lower < self.problem.upper)[:, :, None]
        low, high = self.counts.levels.min(), self.counts.levels.max()
        shape = (len(self.counts.observers), len(self.counts.occlusions))
        return xr.Dataset(
            {
                "status": (dims, status.reshape(shape).astype(str)),
                "separated": (dims, (separated(self.counts)).reshape(shape)),
                "at_bound": ((*dims, PARAMETER, BOUND), self._whole(ends, empty=False)),
                "extrapolated": (
                    dims,
                    self._whole((self.theta[:, 0] < low) | (self.theta[:, 0] > high), empty=False),
                ),
            },
            {PARAMETER: list(PARAMETERS), BOUND: list(BOUNDS)},
        )

    def deviance(self, bootstrap: Bootstrap | None) -> xr.Dataset:
        """Return how far the choices lie from the curves, and how often chance alone lies as far.

        Parameters
        ----------
        bootstrap : Bootstrap, optional
            Draws; the chi-squared distribution is used without.

        Returns
        -------
        Dataset
            Over observers and occlusions; empty where there is nothing to say.
        """
        if not self.counts.answered or self.problem.objective != "likelihood":
            return xr.Dataset()
        dims = (self.counts.observer, OCCLUSION)
        lost = deviance_of(self.theta, self.problem)
        if bootstrap is None:
            free = (self.problem.lower < self.problem.upper).sum(axis=1)
            freedom = (self.problem.trials > 0).sum(axis=1) - free
            chance = np.where(freedom > 0, chi2.sf(lost, np.maximum(freedom, 1)), np.nan)
        else:
            chance = (1 + (bootstrap.deviance >= lost).sum(axis=0)) / (1 + len(bootstrap.deviance))
        height = value_of(self.theta, replace(self.problem, centre=None, precision=None))
        return xr.Dataset(
            {
                "deviance": (dims, self._whole(lost)),
                "deviance_p": (dims, self._whole(chance)),
                "log_likelihood": (dims, self._whole(height)),
            }
        )

    def intervals(self, kind: str, bootstrap: Bootstrap | None, confidence: float) -> xr.Dataset:
        """Return intervals of every number.

        Parameters
        ----------
        kind : str
            ``profile``, ``bootstrap`` or ``none``.
        bootstrap : Bootstrap, optional
            Draws, for the bootstrap.
        confidence : float
            In (0, 1).

        Returns
        -------
        Dataset
            Over observers and occlusions; empty where there is nothing to say.
        """
        dims = (self.counts.observer, OCCLUSION)
        found = xr.Dataset()
        for name in NUMBERS if kind != "none" else ():
            if bootstrap is None:
                ends, reached = profile_interval(self.problem, self.theta, name, confidence=confidence)
                found[f"{name}_open"] = ((*dims, BOUND), self._whole(reached.T, empty=False))
            else:
                ends = bootstrap_interval(self.problem, self.theta, bootstrap, name, confidence=confidence)
            found[f"{name}_interval"] = ((*dims, BOUND), self._whole(ends.T))
        if bootstrap is None:
            return found
        for name in ("pse", "slope"):
            drawn = NUMBERS[name](bootstrap.theta, self.problem)
            found[f"{name}_draws"] = ((DRAW, *dims), np.stack([self._whole(row) for row in drawn]))
        found["curve_interval"] = ((*dims, CURVE_LEVEL, BOUND), self._whole(self._band(bootstrap, confidence)))
        return found

    def population(self, pooled: Pooled | None) -> xr.Dataset:
        """Return the population that pooled curves were found to come from.

        Parameters
        ----------
        pooled : Pooled, optional
            From `pool_curves`.

        Returns
        -------
        Dataset
            Over observers and occlusions; empty where there is nothing to say.
        """
        if pooled is None:
            return xr.Dataset()
        dims = (OCCLUSION, "pooled_parameter")
        mean, sd = (np.full((len(self.counts.occlusions), 2), np.nan) for _ in range(2))
        there = np.unique(self.rows % len(self.counts.occlusions))
        mean[there], sd[there] = pooled.centre, pooled.spread
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


def crossing_of(theta: np.ndarray, problem: Problem) -> np.ndarray:
    """Return where the whole curve, guesses and lapses included, passes one half.

    Parameters
    ----------
    theta : ndarray, shape (curve, 4)
        Parameters, by width.
    problem : Problem
        For its levels and sigmoid.

    Returns
    -------
    ndarray, shape (curve,)
        By bisection over the levels and as far again on each side.
    """
    low = np.full(len(theta), 2 * problem.levels.min() - problem.levels.max())
    high = np.full(len(theta), 2 * problem.levels.max() - problem.levels.min())
    for _ in range(60):
        middle = 0.5 * (low + high)
        above = evaluate_curve(middle[:, None], theta, problem.sigmoid)[:, 0] >= 0.5
        low, high = np.where(above, low, middle), np.where(above, middle, high)
    return np.asarray(0.5 * (low + high))


def _families(counts: Counts) -> dict[str, tuple[str, list[str] | list[int]]]:
    if counts.observer != NETWORK:
        return {}
    split = [split_seed(name) for name in counts.observers]
    return {"family": (NETWORK, [family for family, _ in split]), "seed": (NETWORK, [seed for _, seed in split])}
