"""How far many estimates may stray by chance at once: critical values of their largest, from bootstrap draws."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import stats

from rsa_face.inference.jackknife import jackknife_variance
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
            Of the sums, with the variance of `jackknife.jackknife_variance` or `uncertainty.bootstrap_variance`.
        """
        weights = np.eye(self.estimate.size) if weights is None else weights
        sums = self.draws @ weights
        if self.rows is None:
            variance = bootstrap_variance(sums, self.units, self.resample)
        else:
            variance = jackknife_variance(self.rows @ weights, self.components)
        error = np.asarray(np.sqrt(np.maximum(variance, 0.0)), dtype=float)
        freedom = float(degrees_of_freedom(self.units, self.resample))
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
    freedom : float
        Degrees of freedom of the standard errors.
    seed : int
        Of the chance in the standard errors themselves.
    """

    estimate: Float[np.ndarray, " quantity"]
    deviations: Float[np.ndarray, "draw quantity"]
    error: Float[np.ndarray, " quantity"]
    freedom: float
    seed: int = 0

    def scores(self, values: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
        """Return values over their standard errors, where a standard error may be 0."""
        return studentised(values, self.error)

    def reach(self, score: float) -> Float[np.ndarray, " quantity"]:
        """Return how far from each estimate values of this score lie; nowhere where an estimate cannot stray."""
        return np.asarray(np.where(self.error > 0, score, 0.0) * self.error)  # the score of few draws is infinite

    @property
    def z(self) -> Float[np.ndarray, " quantity"]:
        """The score of each estimate."""
        return self.scores(self.estimate)

    @property
    def t(self) -> Float[np.ndarray, " quantity"]:
        """Each estimate over its standard error; an estimate that cannot stray is 0, or infinitely far from it."""
        return studentised(self.estimate, self.error)

    @property
    def chance_t(self) -> Float[np.ndarray, "draw quantity"]:
        """What `t` is by chance alone, together: a multivariate t with the correlations of the draws."""
        draws = self.deviations.shape[0]
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(draws,)))
        scale = _scales(draws, self.freedom)[rng.permutation(draws)]
        return np.asarray(studentised(self.deviations, self.error) / scale[:, None], dtype=float)


def spread_of(
    estimate: Float[np.ndarray, " quantity"],
    draws: Float[np.ndarray, "draw quantity"],
    error: Float[np.ndarray, " quantity"] | None = None,
    *,
    freedom: float = np.inf,
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
    freedom : float
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
    return Spread(estimate, deviations * scale, kept, float(freedom), seed)


def critical_value(spread: Spread, *, confidence: float, two_sided: bool = True) -> float:
    """Return the value that the largest t of a family stays below by chance, with the given confidence.

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
        At least the critical value of a single t.
    """
    # an estimate is above this value exactly where its `family_p` is below 1 - confidence
    maxima = np.sort(largest(spread.chance_t, two_sided=two_sided))
    as_large = int(np.ceil(round((1 - confidence) * (maxima.size + 1) - 1, 9))) - 1
    among_family = float(maxima[-1 - as_large]) if as_large >= 0 else np.inf
    tail = (1 - confidence) / (2 if two_sided else 1)
    single = float(stats.t.isf(tail, spread.freedom)) if np.isfinite(spread.freedom) else float(stats.norm.isf(tail))
    return max(among_family, single)


def single_bar(spread: Spread, *, confidence: float) -> float:
    """Return the score that an estimate by itself stays within by chance, on either side."""
    return float(stats.t.isf((1 - confidence) / 2, spread.freedom))


def largest(t: Float[np.ndarray, "draw quantity"], *, two_sided: bool) -> Float[np.ndarray, " draw"]:
    """Return the largest t of each draw.

    Parameters
    ----------
    t : array, shape (draw, quantity)
        The t values.
    two_sided : bool
        Whether of the absolute values.

    Returns
    -------
    array, shape (draw,)
        The maxima.
    """
    return np.asarray((np.abs(t) if two_sided else t).max(axis=1), dtype=float)


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
    t = spread.t
    tail = stats.t.sf(np.abs(t) if two_sided else t, spread.freedom)
    p = tail * (2 if two_sided else 1)
    return np.asarray(np.clip(p, np.finfo(float).tiny, 1.0), dtype=float)


def family_p(spread: Spread, *, two_sided: bool) -> Float[np.ndarray, " quantity"]:
    """Return the p value of each t among its family: how often the largest t by chance is as large.

    Parameters
    ----------
    spread : Spread
        The family.
    two_sided : bool
        Whether the other direction counts as well.

    Returns
    -------
    array, shape (quantity,)
        At least 1 / (draws + 1), and never below the p value of the single t.
    """
    maxima = np.sort(largest(spread.chance_t, two_sided=two_sided))
    t = np.abs(spread.t) if two_sided else spread.t
    as_large = maxima.size - np.searchsorted(maxima, t - TOLERANCE, side="left")
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
    chance, t = spread.chance_t[:, ~fixed], spread.t[~fixed]
    spent = (1 - confidence) / 10
    bound = np.minimum(t + _upper_quantile((-chance).max(axis=1), 1 - spent), 0.0)
    return bool(t.max() > _upper_quantile((chance + bound).max(axis=1), confidence + spent))


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


def _scales(draws: int, freedom: float) -> Float[np.ndarray, " draw"]:
    if not np.isfinite(freedom):
        return np.ones(draws)
    evenly = (np.arange(draws) + 0.5) / draws
    return np.asarray(np.sqrt(stats.chi2.ppf(evenly, freedom) / freedom), dtype=float)


def _upper_quantile(values: Float[np.ndarray, " draw"], confidence: float) -> float:
    return float(np.quantile(values, confidence, method="higher"))
