"""Intervals and p values: of one estimate, of a family of them, and by shuffles."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from scipy import special, stats

from rsa_face.inference.kernels import Floats
from rsa_face.inference.resampling import RESAMPLES, sampling_error
from rsa_face.safety import first_of
from rsa_face.schema import DRAW, RDM, must_be_known

_LEAST_VARIANCE = np.finfo(float).eps  # rsatoolbox's, so that no test divides by 0
_LEAST_P = np.finfo(float).tiny


def bootstrap_variance(draws: Floats, units: tuple[int, int], resample: str) -> Floats:
    """Return the variance of values estimated from their draws.

    Drawn with replacement, n units vary like n / (n - 1) fewer, which is corrected. A bootstrap over stimuli and
    participants at once counts the noise that no unit owns twice over, and so claims too large a variance; the dual
    bootstrap takes that out by comparing it with the bootstraps over each alone (Schuett, Kipnis, Diedrichsen &
    Kriegeskorte 2023, 10.7554/eLife.82566).

    With variances b (both), p (participants) and s (stimuli), and n stimuli and m participants, the dual estimate is
    ``p m/(m-1) + s n/(n-1) - (b - p - s) n m / ((n-1)(m-1))``, held between the larger of its first two terms and b.
    """
    stimuli, people = units
    complete = draws[:, ~np.isnan(draws).any(axis=(0, 2))]
    if complete.shape[1] < 2:
        message = (
            f"Too few draws to estimate a variance: {complete.shape[1]} of {draws.shape[1]} have every similarity "
            f"and ceiling, and 2 are needed. Use more stimuli or participants, more draws, or another comparison."
        )
        raise ValueError(message)
    # one variance for each bootstrap: both, participants, stimuli
    variances = complete.var(axis=1, ddof=1)
    if resample == "dual":
        both, by_people, by_stimuli = variances
        one, other = by_people * people / (people - 1), by_stimuli * stimuli / (stimuli - 1)
        shared = (both - by_people - by_stimuli) * (stimuli / (stimuli - 1)) * (people / (people - 1))
        # never below a bootstrap over one factor alone, which claims no more than its own part
        return np.asarray(np.minimum(np.maximum(np.maximum(one + other - shared, one), other), both))
    count = {"stimulus": stimuli, "participant": people, "both": min(units)}[resample]
    return np.asarray(variances[0] * count / (count - 1))


def degrees_of_freedom(units: tuple[int, int], resample: str | None) -> float:
    """Return the degrees of freedom of a t test with bootstrap variance, as in rsatoolbox."""
    stimuli, people = units
    return {"stimulus": stimuli, "participant": people, None: people}.get(resample, min(units)) - 1.0


def p_one_sided(values: Floats, variances: Floats, freedom: Floats | float) -> Floats:
    """Return the probability of values as high if the truth were 0 or less (t test)."""
    t = values / np.sqrt(np.maximum(variances, _LEAST_VARIANCE))
    return np.asarray(np.maximum(stats.t.sf(t, freedom), _LEAST_P))


def p_two_sided(values: Floats, variances: Floats, freedom: Floats | float) -> Floats:
    """Return the probability of values as far from 0 if the truth were 0 (t test)."""
    t = np.abs(values) / np.sqrt(np.maximum(variances, _LEAST_VARIANCE))
    return np.asarray(np.maximum(2 * stats.t.sf(t, freedom), _LEAST_P))


def p_from_draws(draws: Floats) -> Floats:
    """Return the share of draws at or below 0, with one added so that it is never 0 (percentile test)."""
    known = ~np.isnan(draws)
    return np.asarray((1 + (known & (draws <= 0)).sum(axis=0)) / (1 + known.sum(axis=0)))


def t_interval(values: Floats, variances: Floats, freedom: Floats | float, confidence: float) -> Floats:
    """Return the interval of a t distribution around each value."""
    half = stats.t.ppf((1 + confidence) / 2, freedom) * np.sqrt(np.maximum(variances, 0))
    return np.stack([values - half, values + half], axis=1)


def draws_of(result: xr.Dataset, name: str) -> Floats:
    """Return the draws that a result holds, of every bootstrap it was made of."""
    resample = result.attrs.get("resample")
    if resample is None or name not in result:
        message = f"The result holds no draws: its resample is {resample!r}. Compare with resample='dual'."
        raise ValueError(message)
    names = [name, *(f"{name}_{kind}" for kind in RESAMPLES[resample][1:])]
    return np.stack([result[each].transpose(DRAW, ...).values for each in names])


def t_differences(result: xr.Dataset, pairs: Sequence[tuple[str, str]] | None = None) -> xr.Dataset:
    """Test differences between layers by t tests with the variance of the paired draws.

    Name the pairs that were planned: all pairs of many layers are a large family, and few of them answer a question.
    """
    labels = [str(value) for value in result[RDM].values]
    if pairs is None:
        pairs = [(one, other) for place, one in enumerate(labels) for other in labels[place + 1 :]]
    unknown = sorted({name for pair in pairs for name in pair} - set(labels))
    if unknown:
        message = f"Layers that are not in the result: {first_of(unknown)}. It has {first_of(labels)}."
        raise ValueError(message)
    first = [labels.index(one) for one, _ in pairs]
    second = [labels.index(other) for _, other in pairs]
    units = (int(result.attrs["stimuli"]), int(result.attrs["participants"]))
    resample = result.attrs["resample"]
    if resample is None:
        each = result["participant_similarity"].values
        gaps = each[first] - each[second]
        values, variances = np.nanmean(gaps, axis=1), variance_over_people(gaps)
    else:
        draws = draws_of(result, "similarity_draws")
        gaps = draws[:, :, first] - draws[:, :, second]
        values, variances = np.nanmean(gaps, axis=(0, 1)), bootstrap_variance(gaps, units, resample)
    p = p_two_sided(values, variances, degrees_of_freedom(units, resample))
    tests = xr.Dataset(
        {"difference": ("pair", values), "difference_variance": ("pair", variances), "p_difference": ("pair", p)},
        {"first": ("pair", [one for one, _ in pairs]), "second": ("pair", [other for _, other in pairs])},
        {**result.attrs},
    )
    if resample is not None:
        rarer = np.minimum(p_from_draws(gaps[0]), p_from_draws(-gaps[0]))
        tests["p_difference_percentile"] = ("pair", np.minimum(1, 2 * rarer))
    return tests


def variance_over_people(values: Floats) -> Floats:
    """Return the variance of the mean over participants."""
    counts = (~np.isnan(values)).sum(axis=1)
    return np.asarray(np.nanvar(values, axis=1, ddof=1) / counts)


def permutation_p(
    observed: Float[np.ndarray, " rdm"], null: Float[np.ndarray, "shuffle rdm"]
) -> Float[np.ndarray, " rdm"]:
    """Return how often a shuffle is at least as similar as what was observed, the observed one counted in.

    Examples
    --------
    >>> permutation_p(np.array([0.5]), np.array([[0.1], [0.6], [-0.2]]))
    array([0.5])

    (k + 1) / (shuffles + 1): never 0, and exact. Phipson & Smyth 2010, 10.2202/1544-6115.1585.
    """
    # rounding must not break a tie with the observed order, or p would be too small
    as_large = (null >= observed - _rounding(observed, null)).sum(axis=0)
    return np.asarray((1 + as_large) / (null.shape[0] + 1), dtype=float)


def maximum_p(
    observed: Float[np.ndarray, " rdm"], null: Float[np.ndarray, "shuffle rdm"]
) -> Float[np.ndarray, " rdm"]:
    """Return the p value of each similarity among its whole family: how often the largest by chance is as large.

    Each RDM is first put on the scale of its own shuffles (the observed one counted in, which keeps the test
    exact); otherwise the RDM that strays most by chance would set the bar for all the others.

    The family-wise error is held whatever the RDMs share. Never 0, never below `permutation_p` by more than the
    scaling moves it. Nichols & Holmes 2002, 10.1002/hbm.1058.
    """
    # observed and shuffled alike, so that under the null hypothesis each could be the observed one
    everything = np.vstack([observed, null])
    centre, scale = everything.mean(axis=0), everything.std(axis=0)
    scaled = np.divide(everything - centre, scale, out=np.zeros_like(everything), where=scale > 0)
    maxima = np.sort(scaled[1:].max(axis=1))
    as_large = maxima.size - np.searchsorted(maxima, scaled[0] - 1e-9, side="left")
    return np.asarray((1 + as_large) / (maxima.size + 1), dtype=float)


def holm(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Return p values corrected so that the chance of any false claim in the family is held (Holm).

    Examples
    --------
    >>> holm(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.06, 0.06])

    At most 1, NaN where `p` is. Holm 1979, Scandinavian Journal of Statistics 6, 65-70, 10.2307/4615733.
    """
    corrected = np.full(p.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(p))
    # the smallest p value meets the strictest bar; none may undercut one before it
    order = tested[np.argsort(p[tested], kind="stable")]
    corrected[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(order.size, 0, -1)))
    return corrected


def false_discovery(p: Float[np.ndarray, " test"]) -> Float[np.ndarray, " test"]:
    """Return p values corrected so that the expected share of false claims is held (Benjamini-Hochberg).

    Examples
    --------
    >>> false_discovery(np.array([0.01, 0.04, 0.03]))
    array([0.03, 0.04, 0.04])

    At most 1, NaN where `p` is. Benjamini & Hochberg 1995, 10.1111/j.2517-6161.1995.tb02031.x.
    """
    corrected = np.full(p.shape, np.nan)
    tested = ~np.isnan(p)
    if tested.any():
        corrected[tested] = stats.false_discovery_control(p[tested], method="bh")
    return corrected


def correct(p: Float[np.ndarray, " test"], *, method: str) -> Float[np.ndarray, " test"]:
    """Return the p values of a planned family, corrected by the method named.

    The family is what was asked before looking: every layer above zero, or one network minus another at every
    matched layer. Correcting over all pairs of layers instead would lose most of the power for questions that
    nobody asked.
    """
    must_be_known(method, CORRECTIONS, "correction")
    wrong = p[~np.isnan(p) & ~((p > 0) & (p <= 1))]
    if wrong.size:
        message = f"These are no p values: {wrong[:20].tolist()}. Give numbers above 0 and at most 1."
        raise ValueError(message)
    return CORRECTIONS[method](p)


def sign_flips(
    participants: int, *, shuffles: int, rng: np.random.Generator
) -> Float[np.ndarray, "shuffle participant"]:
    """Return the signs with which participants' differences are turned around to see what chance does.

    All of them, once each, where there are few participants; random ones otherwise.
    """
    if participants < 5:
        message = (
            f"Too few participants to turn their differences around: {participants} of the 5 needed. No p value "
            f"could be below {2.0**-participants:.3g}. Resample stimuli instead."
        )
        raise ValueError(message)
    if 2**participants - 1 <= shuffles:
        every = (np.arange(1, 2**participants)[:, None] >> np.arange(participants)) & 1
        return np.asarray(1.0 - 2.0 * every, dtype=float)
    return np.asarray(rng.choice([-1.0, 1.0], size=(shuffles, participants)), dtype=float)


def cluster_masses(
    t: Float[np.ndarray, "draw layer"], *, threshold: float
) -> tuple[Float[np.ndarray, "draw layer"], Int[np.ndarray, "draw layer"]]:
    """Return runs of neighbouring layers above a threshold, each with the sum of its t values."""
    # +1 or -1 above the threshold, 0 below: a run ends where the side changes
    side = np.sign(t) * (np.abs(t) > threshold)
    before = np.concatenate([np.zeros((t.shape[0], 1)), side[:, :-1]], axis=1)
    number = np.where(side != 0, np.cumsum((side != 0) & (side != before), axis=1), 0)
    runs = int(number.max(initial=0))
    sums = np.zeros((t.shape[0], runs + 1))
    # runs are numbered within a draw, so one pass adds up the t values of all of them
    np.add.at(sums, (np.arange(t.shape[0])[:, None], number), np.abs(t) * (side != 0))
    return np.take_along_axis(sums, number, axis=1) * (number > 0), number.astype(int)


def cluster_p(
    t: Float[np.ndarray, " layer"], null: Float[np.ndarray, "shuffle layer"], *, threshold: float
) -> tuple[Float[np.ndarray, " layer"], Int[np.ndarray, " layer"]]:
    """Return the p value of the run of layers that each layer belongs to.

    How often the heaviest run by chance is as heavy (1 for layers in no run), and the run's number (0 for none).
    It says that there is a difference somewhere along the run, not at which of its layers it begins. Maris &
    Oostenveld 2007, 10.1016/j.jneumeth.2007.03.024; Sassenhagen & Draschkow 2019, 10.1111/psyp.13335.
    """
    mass, number = cluster_masses(t[None], threshold=threshold)
    heaviest = np.sort(cluster_masses(null, threshold=threshold)[0].max(axis=1))
    as_heavy = heaviest.size - np.searchsorted(heaviest, mass[0] - 1e-9, side="left")
    inside: Bool[np.ndarray, " layer"] = number[0] > 0
    return np.where(inside, (1 + as_heavy) / (heaviest.size + 1), 1.0), number[0]


def wilson_interval(count: Floats, trials: Floats, confidence: float = 0.95) -> Floats:
    """Return the ends of a proportion's binomial interval, within 0 and 1 (Wilson 1927), along the first axis.

    10.1080/01621459.1927.10502953. Without trials both ends are NaN.

    Examples
    --------
    >>> wilson_interval(np.array([0.0]), np.array([10.0])).round(3).ravel().tolist()
    [0.0, 0.278]
    """
    z = float(special.ndtri((1 + confidence) / 2))
    trials = np.where(trials > 0, trials, np.nan)
    share = count / trials
    middle = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * np.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    return np.clip(np.stack([middle - half, middle + half]), 0, 1)


CORRECTIONS: dict[str, Callable[[Float[np.ndarray, " test"]], Float[np.ndarray, " test"]]] = {
    "holm": holm,
    "fdr": false_discovery,
    "none": np.copy,
}


def _rounding(*values: Float[np.ndarray, "..."]) -> float:
    return 1e-12 * max(1.0, *(float(np.abs(value).max(initial=0.0)) for value in values))


TOLERANCE = 1e-12
_STUDIES = 300  # in which a power is counted: an error of .03 at most


@dataclass(frozen=True, eq=False)
class Resampled:
    """Estimates and their bootstrap draws, from which any weighted sum of them gets its spread."""

    estimate: Float[np.ndarray, " quantity"]  # computed from all stimuli and participants, not from draws
    # in the order of `resampling.RESAMPLES`; NaN in draws that were skipped
    draws: Float[np.ndarray, "kind draw quantity"]
    resample: str  # what was drawn
    units: tuple[int, int]  # how many stimuli (or groups) and participants there are
    seed: int = 0  # of the chance in the standard errors themselves
    # what `jackknife_rows` made of them; standard errors come from the draws if not given
    rows: Float[np.ndarray, "row quantity"] | None = None
    components: Sequence[str] = ()  # the component of each row

    def only(self, places: Sequence[int] | Int[np.ndarray, " some"]) -> "Resampled":
        """Return some of the estimates, which makes sums of them quicker."""
        rows = None if self.rows is None else self.rows[:, places]
        return replace(self, estimate=self.estimate[places], draws=self.draws[..., places], rows=rows)

    def spread(self, weights: Float[np.ndarray, "quantity other"] | None = None) -> "Spread":
        """Return the spread of weighted sums of the estimates, such as differences, paired within each draw."""
        weights = np.eye(self.estimate.size) if weights is None else weights
        sums = self.draws @ weights
        if self.rows is None:
            variance = bootstrap_variance(sums, self.units, self.resample)
            freedom = np.full(variance.shape, degrees_of_freedom(self.units, self.resample))
        else:
            variance, freedom = sampling_error(self.rows @ weights, self.components, self.units)
        error = np.asarray(np.sqrt(np.maximum(variance, 0.0)), dtype=float)
        return spread_of(self.estimate @ weights, sums[0], error, freedom=freedom, seed=self.seed)


@dataclass(frozen=True, eq=False)
class Spread:
    """Estimates, and how they stray together under resampling."""

    estimate: Float[np.ndarray, " quantity"]  # computed from all stimuli and participants, not from draws
    # draws about their own mean, scaled to the standard error, so that a bias of the draws or the inflated variance
    # of resampling two factors at once does not enter
    deviations: Float[np.ndarray, "draw quantity"]
    # the standard error of each estimate; 0 where it cannot stray (two layers that compute the same)
    error: Float[np.ndarray, " quantity"]
    # degrees of freedom of the standard errors; infinite where they are known
    freedom: Float[np.ndarray, " quantity"]
    seed: int = 0  # of the chance in the standard errors themselves

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
        return self.scores(self.deviations / self.errors_again)

    @property
    def errors_again(self) -> Float[np.ndarray, "draw quantity"]:
        """The standard error that each draw would find, over the true one."""
        draws = self.deviations.shape[0]
        # each draw gets one error, evenly spaced over their distribution and dealt out by the seed
        rng = np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=(draws,)))
        return _scales(draws, self.freedom)[rng.permutation(draws)]


def spread_of(
    estimate: Float[np.ndarray, " quantity"],
    draws: Float[np.ndarray, "draw quantity"],
    error: Float[np.ndarray, " quantity"] | None = None,
    *,
    freedom: Float[np.ndarray, " quantity"] | float = np.inf,
    seed: int = 0,
) -> Spread:
    """Return estimates with their spread, from bootstrap draws."""
    # a draw counts for all quantities or for none, so that their correlations come from the same draws
    complete = draws[~np.isnan(draws).any(axis=1)]
    if complete.shape[0] < 20:
        message = (
            f"Too few complete draws to say how far an estimate may stray: {complete.shape[0]} of {draws.shape[0]} "
            "are complete, and 20 are needed. Ask for more draws."
        )
        raise ValueError(message)
    deviations = complete - complete.mean(axis=0)
    apparent = complete.std(axis=0, ddof=1)
    # a spread of mere rounding is none: two layers that compute the same must not differ by a large t
    apparent[apparent <= TOLERANCE * np.maximum(1.0, np.abs(estimate))] = 0.0
    errors = apparent if error is None else np.where(apparent == 0, 0.0, error)
    # draws give the correlations, the jackknife the sizes: draws are stretched to the standard errors
    scale = np.divide(errors, apparent, out=np.zeros_like(errors), where=apparent > 0)
    each = np.broadcast_to(np.asarray(freedom, dtype=float), estimate.shape)
    return Spread(estimate, deviations * scale, errors, each, seed)


def critical_value(spread: Spread, *, confidence: float, two_sided: bool = True) -> float:
    """Return the score that the largest of a family stays below by chance, with the given confidence."""
    # an estimate is above this value exactly where its `family_p` is below 1 - confidence
    maxima = np.sort(largest(spread.chance_z, two_sided=two_sided))
    # rounded first: 1 - 0.95 is not quite 0.05 in binary, and one draw decides here
    as_large = int(np.ceil(round((1 - confidence) * (maxima.size + 1) - 1, 9))) - 1
    among_family = float(maxima[-1 - as_large]) if as_large >= 0 else np.inf
    return max(among_family, float(stats.norm.isf((1 - confidence) / (2 if two_sided else 1))))


def single_bar(*, confidence: float) -> float:
    """Return the score that an estimate by itself stays within by chance, on either side."""
    return float(stats.norm.isf((1 - confidence) / 2))


def largest(z: Float[np.ndarray, "draw quantity"], *, two_sided: bool) -> Float[np.ndarray, " draw"]:
    """Return the largest score of each draw."""
    return np.asarray((np.abs(z) if two_sided else z).max(axis=1), dtype=float)


def single_p(spread: Spread, *, two_sided: bool) -> Float[np.ndarray, " quantity"]:
    """Return the p value of each t by itself, never 0."""
    z = spread.z
    p = stats.norm.sf(np.abs(z) if two_sided else z) * (2 if two_sided else 1)
    return np.asarray(np.clip(p, _LEAST_P, 1.0), dtype=float)


def family_p(spread: Spread, *, two_sided: bool) -> Float[np.ndarray, " quantity"]:
    """Return the p value of each estimate among its family: how often the largest score by chance is as large."""
    maxima = np.sort(largest(spread.chance_z, two_sided=two_sided))
    z = np.abs(spread.z) if two_sided else spread.z
    as_large = maxima.size - np.searchsorted(maxima, z - TOLERANCE, side="left")
    among_family = (1 + as_large) / (maxima.size + 1)
    return np.asarray(np.maximum(among_family, single_p(spread, two_sided=two_sided)), dtype=float)


def rejects(spread: Spread, *, confidence: float) -> bool:
    """Tell whether estimates that should all be 0 or below have one that is above by more than chance.

    Those that lie far below cannot be the largest; leaving them at 0 would make the test needlessly cautious. So
    a first step bounds each from above with nine tenths of a tenth of the error allowed, and the second step
    lets the largest stray about these bounds.

    Romano, Shaikh & Wolf 2014, 10.3982/ECTA9011 (two-step tests of moment inequalities).
    """
    fixed = spread.error == 0
    if np.any(spread.estimate[fixed] > TOLERANCE):
        return True
    if fixed.all():
        return False
    # those without a spread were settled above, and would score infinity
    return bool(_rejected(spread.z[None, ~fixed], spread.chance_z[:, ~fixed], confidence)[0])


def rejection_rate(spread: Spread, *, confidence: float) -> float:
    """Return how often `rejects` would reject, were the estimates the truth: its power, over the draws."""
    fixed = spread.error == 0
    if np.any(spread.estimate[fixed] > TOLERANCE):
        return 1.0
    if fixed.all():
        return 0.0
    errors = spread.errors_again  # once for both: they take longer than all the rest
    chance = spread.scores(spread.deviations / errors)
    again = spread.scores((spread.estimate + spread.deviations[:_STUDIES]) / errors[:_STUDIES])
    return float(_rejected(again[:, ~fixed], chance[:, ~fixed], confidence).mean())


def _rejected(
    z: Float[np.ndarray, "study quantity"], chance: Float[np.ndarray, "draw quantity"], confidence: float
) -> Bool[np.ndarray, " study"]:
    spent = (1 - confidence) / 10
    # first step: how high each true value may be at most; only those near 0 matter in the second
    bound = np.minimum(z + _upper_quantile((-chance).max(axis=1), 1 - spent), 0.0)
    largest_z, at = z.max(axis=1), z.argmax(axis=1)
    # between these two no second step decides otherwise: with every bound at 0, and of the largest alone
    surely = largest_z > _upper_quantile(chance.max(axis=1), confidence + spent)
    alone = np.quantile(chance, confidence + spent, axis=0, method="higher")
    never = largest_z <= alone[at] + bound[np.arange(len(z)), at]
    rejected = surely.copy()
    for study in np.flatnonzero(~surely & ~never):
        bar = _upper_quantile((chance + bound[study]).max(axis=1), confidence + spent)
        rejected[study] = largest_z[study] > bar
    return np.asarray(rejected)


def studentised(
    values: Float[np.ndarray, "*any"], error: Float[np.ndarray, " quantity"]
) -> Float[np.ndarray, "*any"]:
    """Return values over their standard errors, where a standard error may be 0."""
    ratio = np.divide(values, error, out=np.zeros_like(values, dtype=float), where=error > 0)
    # without a spread any distance from 0 is infinitely far
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
