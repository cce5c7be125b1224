"""How far many estimates may stray by chance at once: critical values of their largest, from bootstrap draws."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import special, stats

from rsa_face.inference.jackknife import sampling_error
from rsa_face.inference.uncertainty import bootstrap_variance, degrees_of_freedom

TOLERANCE = 1e-12


@dataclass(frozen=True, eq=False)
class Resampled:
    """Estimates and their bootstrap draws, from which any weighted sum of them gets its spread.

    Parameters
    ----------
    estimate : array, shape (quantity,)
        Computed from all stimuli and participants, not from draws.
    draws : array, shape (kind, draw, quantity)
        In the order of `resampling.RESAMPLES`; NaN in draws that were skipped.
    resample : str
        What was drawn.
    units : tuple of int
        How many stimuli (or groups) and participants there are.
    seed : int
        Of the chance in the standard errors themselves.
    rows : array, shape (row, quantity), optional
        What `jackknife.jackknife_rows` made of them; standard errors come from the draws if not given.
    components : sequence of str
        The component of each row.
    """

    estimate: Float[np.ndarray, " quantity"]
    draws: Float[np.ndarray, "kind draw quantity"]
    resample: str
    units: tuple[int, int]
    seed: int = 0
    rows: Float[np.ndarray, "row quantity"] | None = None
    components: Sequence[str] = ()

    def only(self, places: Sequence[int] | Int[np.ndarray, " some"]) -> "Resampled":
        """Return some of the estimates, which makes sums of them quicker."""
        rows = None if self.rows is None else self.rows[:, places]
        return replace(self, estimate=self.estimate[places], draws=self.draws[..., places], rows=rows)

    def spread(self, weights: Float[np.ndarray, "quantity other"] | None = None) -> "Spread":
        """Return the spread of weighted sums of the estimates, such as differences, paired within each draw.

        Parameters
        ----------
        weights : array, shape (quantity, other), optional
            One column for each sum; the estimates themselves if not given.

        Returns
        -------
        Spread
            Of the sums, with the variance of `jackknife.sampling_error` or `uncertainty.bootstrap_variance`.
        """
        weights = np.eye(self.estimate.size) if weights is None else weights
        sums = self.draws @ weights
        if self.rows is None:
            variance = bootstrap_variance(sums, self.units, self.resample)
            freedom = np.full(variance.shape, float(degrees_of_freedom(self.units, self.resample)))
        else:
            variance, freedom = sampling_error(self.rows @ weights, self.components, self.units)
        error = np.asarray(np.sqrt(np.maximum(variance, 0.0)), dtype=float)
        return spread_of(self.estimate @ weights, sums[0], error, freedom=freedom, seed=self.seed)


@dataclass(frozen=True, eq=False)
class Spread:
    """Estimates, and how they stray together under resampling.

    Parameters
    ----------
    estimate : array, shape (quantity,)
        Computed from all stimuli and participants, not from draws.
    deviations : array, shape (draw, quantity)
        Draws about their own mean, scaled to the standard error, so that a bias of the draws or the inflated
        variance of resampling two factors at once does not enter.
    error : array, shape (quantity,)
        The standard error of each estimate; 0 where it cannot stray (two layers that compute the same).
    freedom : array, shape (quantity,)
        Degrees of freedom of the standard errors; infinite where they are known.
    seed : int
        Of the chance in the standard errors themselves.
    """

    estimate: Float[np.ndarray, " quantity"]
    deviations: Float[np.ndarray, "draw quantity"]
    error: Float[np.ndarray, " quantity"]
    freedom: Float[np.ndarray, " quantity"]
    seed: int = 0

    def scores(self, values: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
        """Return values over their standard errors, on the normal scale by the degrees of freedom of each.

        A value whose standard error is 0 scores 0, or is infinitely far from it. Scores of estimates with unequal
        degrees of freedom compare; their t values do not, since the least sure of them would set the bar for all.
        """
        t = studentised(values, self.error)
        freedom = np.broadcast_to(self.freedom, t.shape)
        score, known = t.copy(), np.isfinite(freedom) & np.isfinite(t)
        # by the lower tail on either side, where small probabilities keep their digits
        score[known] = np.copysign(special.ndtri(special.stdtr(freedom[known], -np.abs(t[known]))), t[known])
        return np.asarray(score, dtype=float)

    def reach(self, score: float) -> Float[np.ndarray, " quantity"]:
        """Return how far from each estimate values of this score lie; nowhere where an estimate cannot stray."""
        t = stats.t.isf(stats.norm.sf(score), self.freedom)  # the score of few draws is infinite
        return np.asarray(np.where(self.error > 0, t, 0.0) * self.error, dtype=float)

    @property
    def z(self) -> Float[np.ndarray, " quantity"]:
        """The score of each estimate."""
        return self.scores(self.estimate)

    @property
    def chance_z(self) -> Float[np.ndarray, "draw quantity"]:
        """What `z` is by chance alone, together: a multivariate t with the correlations of the draws, as scores."""
        draws = self.deviations.shape[0]
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(draws,)))
        return self.scores(self.deviations / _scales(draws, self.freedom)[rng.permutation(draws)])


def spread_of(
    estimate: Float[np.ndarray, " quantity"],
    draws: Float[np.ndarray, "draw quantity"],
    error: Float[np.ndarray, " quantity"] | None = None,
    *,
    freedom: Float[np.ndarray, " quantity"] | float = np.inf,
    seed: int = 0,
) -> Spread:
    """Return estimates with their spread, from bootstrap draws.

    Parameters
    ----------
    estimate : array, shape (quantity,)
        The estimates.
    draws : array, shape (draw, quantity)
        The same in every draw; a draw with a missing value is left out.
    error : array, shape (quantity,), optional
        Standard errors; the standard deviation of the draws if not given.
    freedom : float or array, shape (quantity,)
        Degrees of freedom of the standard errors.
    seed : int
        Of the chance in the standard errors themselves.

    Returns
    -------
    Spread
        Estimates, deviations, standard errors.

    Raises
    ------
    ValueError
        If fewer than 20 draws are complete.
    """
    whole = draws[~np.isnan(draws).any(axis=1)]
    if whole.shape[0] < 20:
        message = (
            f"At least 20 complete draws are needed to say how far an estimate may stray, but {whole.shape[0]} of "
            f"{draws.shape[0]} are complete. Ask for more draws."
        )
        raise ValueError(message)
    deviations = whole - whole.mean(axis=0)
    apparent = whole.std(axis=0, ddof=1)
    apparent[apparent <= TOLERANCE * np.maximum(1.0, np.abs(estimate))] = 0.0
    kept = apparent if error is None else np.where(apparent == 0, 0.0, error)
    scale = np.divide(kept, apparent, out=np.zeros_like(kept), where=apparent > 0)
    each = np.broadcast_to(np.asarray(freedom, dtype=float), estimate.shape)
    return Spread(estimate, deviations * scale, kept, each, seed)


def critical_value(spread: Spread, *, confidence: float, two_sided: bool = True) -> float:
    """Return the score that the largest of a family stays below by chance, with the given confidence.

    Parameters
    ----------
    spread : Spread
        The family.
    confidence : float
        Between 0 and 1.
    two_sided : bool
        Whether the largest is taken of the absolute values.

    Returns
    -------
    float
        At least the critical value of a single score. `Spread.reach` turns it into standard errors.
    """
    # an estimate is above this value exactly where its `family_p` is below 1 - confidence
    maxima = np.sort(largest(spread.chance_z, two_sided=two_sided))
    as_large = int(np.ceil(round((1 - confidence) * (maxima.size + 1) - 1, 9))) - 1
    among_family = float(maxima[-1 - as_large]) if as_large >= 0 else np.inf
    return max(among_family, float(stats.norm.isf((1 - confidence) / (2 if two_sided else 1))))


def single_bar(*, confidence: float) -> float:
    """Return the score that an estimate by itself stays within by chance, on either side."""
    return float(stats.norm.isf((1 - confidence) / 2))


def largest(z: Float[np.ndarray, "draw quantity"], *, two_sided: bool) -> Float[np.ndarray, " draw"]:
    """Return the largest score of each draw.

    Parameters
    ----------
    z : array, shape (draw, quantity)
        The scores.
    two_sided : bool
        Whether of the absolute values.

    Returns
    -------
    array, shape (draw,)
        The maxima.
    """
    return np.asarray((np.abs(z) if two_sided else z).max(axis=1), dtype=float)


def single_p(spread: Spread, *, two_sided: bool) -> Float[np.ndarray, " quantity"]:
    """Return the p value of each t by itself, never 0.

    Parameters
    ----------
    spread : Spread
        The estimates.
    two_sided : bool
        Whether the other direction counts as well; otherwise estimates above 0 are unlikely ones.

    Returns
    -------
    array, shape (quantity,)
        From the t distribution; 1 (0.5 if one-sided) for an estimate of 0 that cannot stray.
    """
    z = spread.z
    p = stats.norm.sf(np.abs(z) if two_sided else z) * (2 if two_sided else 1)
    return np.asarray(np.clip(p, np.finfo(float).tiny, 1.0), dtype=float)


def family_p(spread: Spread, *, two_sided: bool) -> Float[np.ndarray, " quantity"]:
    """Return the p value of each estimate among its family: how often the largest score by chance is as large.

    Parameters
    ----------
    spread : Spread
        The family.
    two_sided : bool
        Whether the other direction counts as well.

    Returns
    -------
    array, shape (quantity,)
        At least 1 / (draws + 1), and never below the p value of the single t test.
    """
    maxima = np.sort(largest(spread.chance_z, two_sided=two_sided))
    z = np.abs(spread.z) if two_sided else spread.z
    as_large = maxima.size - np.searchsorted(maxima, z - TOLERANCE, side="left")
    among_family = (1 + as_large) / (maxima.size + 1)
    return np.asarray(np.maximum(among_family, single_p(spread, two_sided=two_sided)), dtype=float)


def rejects(spread: Spread, *, confidence: float) -> bool:
    """Tell whether estimates that should all be 0 or below have one that is above, beyond chance.

    Those that lie far below cannot be the largest; leaving them at 0 would make the test needlessly cautious. So
    a first step bounds each from above with nine tenths of a tenth of the error allowed, and the second step
    lets the largest stray about these bounds.

    Parameters
    ----------
    spread : Spread
        Quantities that are 0 or below if the hypothesis holds.
    confidence : float
        One minus the greatest probability of rejecting a true hypothesis.

    Returns
    -------
    bool
        True if the hypothesis is rejected.

    Notes
    -----
    Romano, Shaikh & Wolf 2014, 10.3982/ECTA9011 (two-step tests of moment inequalities).
    """
    fixed = spread.error == 0
    if np.any(spread.estimate[fixed] > TOLERANCE):
        return True
    if fixed.all():
        return False
    chance, z = spread.chance_z[:, ~fixed], spread.z[~fixed]
    spent = (1 - confidence) / 10
    bound = np.minimum(z + _upper_quantile((-chance).max(axis=1), 1 - spent), 0.0)
    return bool(z.max() > _upper_quantile((chance + bound).max(axis=1), confidence + spent))


def studentised(
    values: Float[np.ndarray, "*any"], error: Float[np.ndarray, " quantity"]
) -> Float[np.ndarray, "*any"]:
    """Return values over their standard errors, where a standard error may be 0.

    Parameters
    ----------
    values : array, shape (..., quantity)
        Estimates or deviations.
    error : array, shape (quantity,)
        Standard errors.

    Returns
    -------
    array, shape (..., quantity)
        For a standard error of 0: 0 if the value is, otherwise infinity with its sign.
    """
    ratio = np.divide(values, error, out=np.zeros_like(values, dtype=float), where=error > 0)
    fixed: Bool[np.ndarray, ...] = (error == 0) & (np.abs(values) > TOLERANCE)
    return np.asarray(np.where(fixed, np.copysign(np.inf, values), ratio), dtype=float)


def _scales(draws: int, freedom: Float[np.ndarray, " quantity"]) -> Float[np.ndarray, "draw quantity"]:
    """Return evenly spaced values of each standard error over its truth, all in the same order."""
    evenly = (np.arange(draws) + 0.5) / draws
    scale, known = np.ones((draws, freedom.size)), np.isfinite(freedom)
    if known.any():
        half, where = np.unique(freedom[known] / 2, return_inverse=True)
        scale[:, known] = np.sqrt(special.gammaincinv(half, evenly[:, None]) / half)[:, where]
    return scale


def _upper_quantile(values: Float[np.ndarray, " draw"], confidence: float) -> float:
    return float(np.quantile(values, confidence, method="higher"))
