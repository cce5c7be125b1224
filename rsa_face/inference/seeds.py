"""Networks that differ in their seed or their pretraining, compared over seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr
from jaxtyping import Float

from rsa_face.inference.results import resampled_of
from rsa_face.inference.statistics import correct
from rsa_face.safety import first_of
from rsa_face.schema import BOUND, BOUNDS, LAYER, NETWORK, RDM, split_seed
from rsa_face.sources import reach

Term = Mapping[tuple[str, str], float]
# From weights, shape (network, quantity, sum), to the variance of each weighted sum and its degrees of freedom.
Sampling = Callable[
    [Float[np.ndarray, "network quantity sum"]], tuple[Float[np.ndarray, " sum"], Float[np.ndarray, " sum"]]
]


@dataclass(frozen=True, eq=False)
class Measured:
    """What was measured of each network, and how it strays with the stimuli and participants there happened to be."""

    networks: tuple[str, ...]  # named ``architecture/pretraining/seed``
    quantities: tuple[str, ...]  # layers, occlusions, regions: whatever was measured
    values: Float[np.ndarray, "network quantity"]  # NaN where a network lacks a quantity
    # the variance of weighted sums over stimuli and participants; none if only seeds are known to vary
    sampling: Sampling | None = None
    over: tuple[str, ...] = ()  # what `sampling` stands for

    @property
    def starts(self) -> dict[str, dict[int, int]]:
        """For each start (``architecture/pretraining``), where each of its seeds lies among the networks."""
        places: dict[str, dict[int, int]] = {}
        for place, name in enumerate(self.networks):
            start, seed = split_seed(name)
            places.setdefault(start, {})[seed] = place
        return places


@dataclass(frozen=True, eq=False)
class OverSeeds:
    """Weighted sums, averaged over seeds, and how sure they are."""

    each: Float[np.ndarray, "seed sum"]  # of the networks of each seed
    # of the means: over seeds, and over stimuli and participants where these are known to vary
    variances: Float[np.ndarray, "source sum"]
    freedoms: Float[np.ndarray, "source sum"]  # degrees of freedom of the variances
    over: tuple[str, ...]  # what the variances are over

    @property
    def estimate(self) -> Float[np.ndarray, " sum"]:
        """The means over seeds."""
        return np.asarray(self.each.mean(axis=0))

    @property
    def error(self) -> Float[np.ndarray, " sum"]:
        """Standard errors; NaN where nothing is known to vary."""
        return np.asarray(np.sqrt(self.variances.sum(axis=0))) if self.over else np.full(self.each.shape[1], np.nan)

    def interval(self, confidence: float) -> Float[np.ndarray, "sum 2"]:
        """Return the interval of each sum by itself."""
        reach = self._reach(np.full(self.each.shape[1], (1 - confidence) / 2))
        return np.stack([self.estimate - reach, self.estimate + reach], axis=1)

    def p(self, *, two_sided: bool = True) -> Float[np.ndarray, " sum"]:
        """Return the p value of each sum by itself: one less the confidence at which its interval reaches 0."""
        size = np.abs(self.estimate)
        low, high = np.full(size.shape, np.log(1e-100)), np.full(size.shape, np.log(0.5))
        for _ in range(60):
            # bisection of the logarithm, so that p values as small as 1e-100 keep their digits
            middle = (low + high) / 2
            reaches = self._reach(np.exp(middle)) > size
            low, high = np.where(reaches, middle, low), np.where(reaches, high, middle)
        tail = np.where(size > 0, np.exp(high), 0.5) if self.over else np.full(size.shape, np.nan)
        if two_sided:
            return np.asarray(2 * tail)
        return np.asarray(np.where(self.estimate >= 0, tail, 1 - tail))

    def _reach(self, tail: Float[np.ndarray, " sum"]) -> Float[np.ndarray, " sum"]:
        if not self.over:
            return np.full(tail.shape, np.nan)
        return reach(tail, self.variances, self.freedoms)


def sum_over_seeds(measured: Measured, terms: Sequence[Term]) -> OverSeeds:
    """Average weighted sums of measurements over seeds, with a standard error over seeds, stimuli and participants.

    Each seed gives one value of a sum: networks of one seed start from the same weights where they share layers, and
    see the faces in the same order, so a difference between two of them is taken within the seed. The seeds' spread
    holds what stimuli and participants do to some seeds alone; added to the spread over stimuli and participants it
    counts that part twice, which errs on the cautious side.

    Intervals are those of `sources.reach`. With one seed they are over stimuli and participants alone.
    """
    seeds, starts = _shared_seeds(measured, terms), measured.starts
    weights = np.zeros((len(seeds), *measured.values.shape, len(terms)))
    for column, term in enumerate(terms):
        for (start, quantity), weight in term.items():
            for row, seed in enumerate(seeds):
                # each seed's networks get the weights of the term: differences are taken within the seed
                place = (starts[start][seed], measured.quantities.index(quantity))
                weights[(row, *place, column)] += weight
    values = np.nan_to_num(measured.values)
    each = np.einsum("nq,snqk->sk", values, weights)
    variances: list[Float[np.ndarray, " sum"]] = []
    freedoms: list[Float[np.ndarray, " sum"]] = []
    over: tuple[str, ...] = ()
    if len(seeds) > 1:
        # the spread over seeds, of the mean over them
        variances, over = [each.var(axis=0, ddof=1) / len(seeds)], ("seeds",)
        freedoms = [np.full(len(terms), len(seeds) - 1.0)]
    if measured.sampling is not None:
        # stimuli and participants are the same for all seeds: their part does not shrink with more seeds
        variance, freedom = measured.sampling(weights.mean(axis=0))
        variances, freedoms, over = [*variances, variance], [*freedoms, freedom], (*over, *measured.over)
    shape = (-1, len(terms))
    return OverSeeds(each, np.array(variances).reshape(shape), np.array(freedoms).reshape(shape), over)


def similarities_of(result: xr.Dataset) -> Measured:
    """Return the similarity of every layer of a comparison, as something measured of networks."""
    names = [str(name) for name in result[NETWORK].values]
    layers = [str(name) for name in result[LAYER].values]
    networks, quantities = tuple(dict.fromkeys(names)), tuple(dict.fromkeys(layers))
    rows, columns = [networks.index(name) for name in names], [quantities.index(name) for name in layers]
    values = np.full((len(networks), len(quantities)), np.nan)
    values[rows, columns] = result["similarity"].values
    if "similarity_draws" not in result:
        return Measured(networks, quantities, values)
    resampled = resampled_of(result)

    def sampling(
        weights: Float[np.ndarray, "network quantity sum"],
    ) -> tuple[Float[np.ndarray, " sum"], Float[np.ndarray, " sum"]]:
        flat = np.zeros((resampled.estimate.size, weights.shape[2]))
        flat[: result.sizes[RDM]] = weights[rows, columns]
        spread = resampled.spread(flat)
        return spread.error**2, spread.freedom

    drawn = {"stimulus": ("stimuli",), "participant": ("participants",)}.get(
        resampled.resample, ("stimuli", "participants")
    )
    return Measured(networks, quantities, values, sampling, drawn)


SEEDED = "seeded"
"""The dimension of `compare_seeds`: a start's layer."""


def compare_seeds(result: xr.Dataset, *, baseline: str | None = None, confidence: float = 0.95) -> xr.Dataset:
    """Average each layer's similarity over a network's seeds, and subtract a baseline's at layers of the same name.

    A difference is taken within each seed, in which networks share what they start from and the order of faces; its
    interval is over seeds and over what was drawn (`sum_over_seeds`). Intervals hold for one layer of one start each;
    ``p_difference_holm`` is corrected for all layers of all starts, without those that equal the baseline's. Starts
    whose seeds are not the baseline's, or layers that it lacks, have no difference (NaN).
    """
    measured = similarities_of(result)
    places = [
        (start, quantity)
        for start, seeds in measured.starts.items()
        for column, quantity in enumerate(measured.quantities)
        if not np.isnan(measured.values[list(seeds.values()), column]).any()
    ]
    columns: dict[str, object] = {}
    means: dict[tuple[str, str], OverSeeds] = {place: sum_over_seeds(measured, [{place: 1.0}]) for place in places}
    columns["similarity"] = (SEEDED, [float(means[place].estimate[0]) for place in places])
    columns["similarity_interval"] = ((SEEDED, BOUND), [means[place].interval(confidence)[0] for place in places])
    seeds = {start: sorted(each) for start, each in measured.starts.items()}
    apart = {
        (start, quantity): sum_over_seeds(measured, [{(start, quantity): 1.0, (str(baseline), quantity): -1.0}])
        for start, quantity in places
        if start != baseline and seeds[start] == seeds.get(str(baseline)) and (str(baseline), quantity) in means
    }
    nothing = np.full(2, np.nan)
    columns["difference"] = (SEEDED, [float(apart[p].estimate[0]) if p in apart else np.nan for p in places])
    columns["difference_interval"] = (
        (SEEDED, BOUND), [apart[p].interval(confidence)[0] if p in apart else nothing for p in places],
    )  # fmt: skip
    p = np.array([float(apart[place].p()[0]) if place in apart else np.nan for place in places])
    shared = [place in apart and not apart[place].each.any() for place in places]  # the same layer in every seed
    columns["p_difference"] = (SEEDED, p)
    columns["p_difference_holm"] = (SEEDED, correct(np.where(shared, np.nan, p), method="holm"))
    labels: dict[str, tuple[str, list[object]]] = {
        "start": (SEEDED, [start for start, _ in places]),
        LAYER: (SEEDED, [layer for _, layer in places]),
        "seeds": (SEEDED, [len(seeds[start]) for start, _ in places]),
    }
    over = next(iter(means.values())).over
    attrs = {"baseline": baseline or "", "confidence": confidence, "over": list(over)}
    return xr.Dataset(columns, {**labels, BOUND: list(BOUNDS)}, attrs)


def peaks_of(result: xr.Dataset) -> tuple[Measured, dict[str, str]]:
    """Return the similarity of each network's best layer, and which layer that is.

    The best of many layers is picked on the data that it is judged by, which flatters every network, those with more
    layers more.
    """
    every = similarities_of(result)
    best = np.nanargmax(every.values, axis=1)
    rows = np.arange(len(best))

    def sampling(
        weights: Float[np.ndarray, "network quantity sum"],
    ) -> tuple[Float[np.ndarray, " sum"], Float[np.ndarray, " sum"]]:
        spread = np.zeros((*every.values.shape, weights.shape[2]))
        spread[rows, best] = weights[:, 0]
        assert every.sampling is not None
        return every.sampling(spread)

    peaks = Measured(
        every.networks, ("peak",), every.values[rows, best][:, None], sampling if every.sampling else None, every.over
    )
    return peaks, dict(zip(every.networks, [every.quantities[place] for place in best], strict=True))


def jackknifed(replicates: Float[np.ndarray, "unit network quantity"]) -> Sampling:
    """Return how sums stray over units, from what is measured with each unit left out.

    For `Measured`: the variance of Quenouille 1956, 10.1093/biomet/43.3-4.353, and Tukey 1958,
    10.1214/aoms/1177706647.
    """
    count = len(replicates)

    def sampling(
        weights: Float[np.ndarray, "network quantity sum"],
    ) -> tuple[Float[np.ndarray, " sum"], Float[np.ndarray, " sum"]]:
        sums = np.einsum("unq,nqk->uk", np.nan_to_num(replicates), weights)
        return np.asarray(sums.var(axis=0) * (count - 1)), np.full(sums.shape[1], count - 1.0)

    return sampling


def _shared_seeds(measured: Measured, terms: Sequence[Term]) -> list[int]:
    starts = measured.starts
    needed = sorted({start for term in terms for start, _ in term})
    unknown = [start for start in needed if start not in starts]
    if unknown:
        message = f"Unknown starts: {unknown}. Name some of {', '.join(starts)}."
        raise ValueError(message)
    seeds = {start: sorted(starts[start]) for start in needed}
    if len({tuple(each) for each in seeds.values()}) > 1:
        message = (
            f"Networks have different seeds, so that they cannot be compared over them: {seeds}. Train the missing."
        )
        raise ValueError(message)
    lacking = sorted(
        f"{start} {quantity}"
        for start, quantity in {place for term in terms for place in term}
        if quantity not in measured.quantities
        or np.isnan(measured.values[list(starts[start].values()), measured.quantities.index(quantity)]).any()
    )
    if lacking:
        message = f"Not measured of every seed, so that it cannot be summed: {first_of(lacking)}. Leave it out."
        raise ValueError(message)
    return next(iter(seeds.values()))


BIAS, AGAINST, ARCHITECTURE, QUANTITY = "bias", "against", "architecture", "quantity"
ALL_LAYERS = "mean of layers"


def contrast_pretrainings(
    measured: Measured,
    *,
    pretrainings: tuple[str, str],
    network: str = "fe_alexnet",
    summary: str | None = None,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Subtract one pre-training from another within each architecture, and ask in which the difference is smaller.

    A bias may point either way, and it is weaker if it is nearer to 0: beside the difference of the biases stands
    the difference of their sizes, with an interval that allows for not knowing their signs.

    The size excess is the larger, over the signs of one bias, of the smaller, over those of the other, of four
    signed differences; its bounds are those of the signed differences, which hold together (Bonferroni). One bias is
    smaller than the other if their difference and their sum have the same sign: each sign is tested by both at once
    (Berger 1982, 10.1080/00401706.1982.10487790), and p is doubled for the two signs. Nothing is corrected for the
    number of quantities: the summary is the one planned.
    """
    shared = shared_quantities(measured, pretrainings)
    if not shared:
        message = (
            f"No architecture has both pre-trainings {list(pretrainings)}: the networks are "
            f"{list(measured.networks)}. Train one from each, with the same seeds."
        )
        raise ValueError(message)
    before = [] if summary is None else [summary]
    rows = [(name, quantity) for name, each in shared.items() for quantity in [*before, *each]]
    biases = {row: _bias(*row, pretrainings, shared, summary) for row in rows}
    result = _differences(measured, rows, biases, confidence)
    others = [name for name in shared if name != network]
    pairs = [row for row in rows if row[0] in others and (network, row[1]) in biases]
    if network in shared and pairs:
        result = result.merge(_excesses(measured, pairs, biases, network, confidence))
    first, second = pretrainings
    return result.assign_attrs(
        first=first, second=second, network=network, summary=summary or "", confidence=confidence,
        interval_kind="root of the sum of t squared times the variance, over seeds and over stimuli and participants",
    )  # fmt: skip


def smaller_size(difference: OverSeeds, total: OverSeeds, *, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Return how sure it is that one quantity is nearer to 0 than another, whatever their signs."""
    both = (1 + confidence) / 2
    (d_low, d_high), (t_low, t_high) = (each.interval(both).T for each in (difference, total))
    # the size of a difference by both signs of both: the bounds hold whichever signs are true
    lower = np.maximum(np.minimum(d_low, t_low), np.minimum(-t_high, -d_high))
    upper = np.maximum(np.minimum(d_high, t_high), np.minimum(-t_low, -d_low))
    signs = []
    for sign in (1.0, -1.0):
        parts = (_turned(difference, -sign), _turned(total, sign))
        signs.append(np.maximum(*(part.p(two_sided=False) for part in parts)))
    return np.stack([lower, upper], axis=1), np.asarray(np.minimum(1.0, 2 * np.minimum(*signs)))


def shared_quantities(measured: Measured, pretrainings: tuple[str, str]) -> dict[str, list[str]]:
    """Return what was measured of every seed from both pre-trainings, by architecture."""
    starts = measured.starts
    architectures = dict.fromkeys(start.rpartition("/")[0] for start in starts)
    shared = {}
    for name in architectures:
        pair = [f"{name}/{each}" for each in pretrainings]
        if all(start in starts for start in pair):
            places = [place for start in pair for place in starts[start].values()]
            known = ~np.isnan(measured.values[places]).any(axis=0)
            shared[name] = [
                quantity for quantity, is_known in zip(measured.quantities, known, strict=True) if is_known
            ]
    return {name: each for name, each in shared.items() if each}


def _of_start(start: str, quantity: str, quantities: list[str], summary: str | None) -> Term:
    if quantity == summary:
        return {(start, each): 1 / len(quantities) for each in quantities}
    return {(start, quantity): 1.0}


def _bias(
    name: str, quantity: str, pretrainings: tuple[str, str], shared: dict[str, list[str]], summary: str | None
) -> tuple[Term, Term]:
    plus, minus = (_of_start(f"{name}/{each}", quantity, shared[name], summary) for each in pretrainings)
    return plus, minus


def _differences(
    measured: Measured,
    rows: list[tuple[str, str]],
    biases: dict[tuple[str, str], tuple[Term, Term]],
    confidence: float,
) -> xr.Dataset:
    first, second = (sum_over_seeds(measured, [biases[row][side] for row in rows]) for side in (0, 1))
    apart = sum_over_seeds(measured, [_minus(*biases[row]) for row in rows])
    columns: dict[str, object] = {"first": (BIAS, first.estimate), "second": (BIAS, second.estimate)}
    columns |= _columns("difference", apart, BIAS, confidence)
    attrs = {"over": list(apart.over), "seeds": len(apart.each)}
    return xr.Dataset(columns, {**_labels(BIAS, rows), BOUND: list(BOUNDS)}, attrs)


def _excesses(
    measured: Measured,
    pairs: list[tuple[str, str]],
    biases: dict[tuple[str, str], tuple[Term, Term]],
    network: str,
    confidence: float,
) -> xr.Dataset:
    of_network = [_minus(*biases[network, quantity]) for _, quantity in pairs]
    others = [_minus(*biases[row]) for row in pairs]
    apart = sum_over_seeds(measured, [_minus(*both) for both in zip(of_network, others, strict=True)])
    total = sum_over_seeds(measured, [{**one, **other} for one, other in zip(of_network, others, strict=True)])
    size = np.abs(sum_over_seeds(measured, of_network).estimate) - np.abs(sum_over_seeds(measured, others).estimate)
    interval, p = smaller_size(apart, total, confidence=confidence)
    columns = _columns("excess", apart, AGAINST, confidence)
    columns |= {
        "size_excess": (AGAINST, size),
        "size_excess_interval": ((AGAINST, BOUND), interval),
        "p_smaller": (AGAINST, p),
    }
    return xr.Dataset(columns, {**_labels(AGAINST, pairs), BOUND: list(BOUNDS)})


def _columns(name: str, sums: OverSeeds, dim: str, confidence: float) -> dict[str, object]:
    return {
        name: (dim, sums.estimate),
        f"{name}_error": (dim, sums.error),
        f"{name}_interval": ((dim, BOUND), sums.interval(confidence)),
        f"p_{name}": (dim, sums.p()),
    }


def _labels(dim: str, rows: list[tuple[str, str]]) -> dict[str, tuple[str, list[str]]]:
    other = ARCHITECTURE if dim == BIAS else "other"
    quantity = QUANTITY if dim == BIAS else "compared"
    return {other: (dim, [name for name, _ in rows]), quantity: (dim, [each for _, each in rows])}


def _minus(plus: Term, minus: Term) -> Term:
    return {**plus, **{place: -weight for place, weight in minus.items()}}


def _turned(sums: OverSeeds, sign: float) -> OverSeeds:
    return replace(sums, each=sign * sums.each)
