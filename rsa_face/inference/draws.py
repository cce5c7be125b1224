"""Every draw of a bootstrap: on threads, a graphics processor or a cluster.

The arithmetic stands here once, in names that numpy and torch share, for one draw or for many along leading axes
(written ``...``). Three steps alone are made twice: the products of a draw's pairs, the ranks of its pairs, and the
ranks of pools. On a processor numpy takes 1.5 to 2 times as long for the first and about 7 times for the others as a
compiled loop over one draw (`kernels`); a graphics processor needs many draws at a time, and a sort of its own.
"""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from rsa_face.cluster import connect, map_in_order
from rsa_face.inference.comparisons import FEWEST_PAIRS, alike, kernel_of, rank_correlation
from rsa_face.inference.kernels import (
    Floats,
    Sorted,
    Truths,
    Whole,
    compare_with_pools,
    cosines,
    double_ranks,
    kept_in_order,
    leave_two_out,
    metric_of,
    pair_weights,
    pairs_of,
    pooled_ranks,
    products,
    quotient,
    sort_once,
    squared_ranks,
    summed_ranks,
    take,
    tau,
    weighted_products,
    weighted_sums,
)
from rsa_face.inference.resampling import Draws
from rsa_face.schema import COMPARISONS, PARTICIPANT, STIMULUS, Array, Comparison, library_of


class Answers(NamedTuple):
    """What a draw of stimuli says of draws of participants: functions of how often each was drawn.

    Of counts (draw, participant), `means` returns mean similarities (draw, rdm), `bounds` the lower and upper noise
    ceiling (draw, 2).
    """

    means: Callable[[Array], Array]
    bounds: Callable[[Array], Array]

    @classmethod
    def of(cls, table: Array, bounds: Callable[[Array], Array]) -> "Answers":
        """Return the answers that a table of similarities (..., rdm, participant) gives."""
        return cls(lambda times: mean_over(table, times[:, None]), bounds)


_FLAT = 1e-13  # an RDM whose variance in a draw is a smaller part of its mean square has one value only
_GRID = 2.0**40  # pooled ranks that differ by less than this part of their range are ties
_NUMBER = 8  # bytes of a float64
_FEW_DRAWS = 8  # for each participant: so many draws of participants are mixed one by one
_TOGETHER = 64  # draws that a worker of a cluster takes at a time


@dataclass(frozen=True, eq=False)
class Prepared:
    """Layer and human RDMs, made ready for many draws."""

    comparison: str
    layers: Floats  # (rdm, pair): layer RDMs, whole
    people: Floats  # (participant, pair): human RDMs; NaN means never judged
    sorted_layers: Sorted | None  # the layers, sorted; None where the comparison needs no ranks
    sorted_people: Sorted | None  # the participants, sorted
    # (pair, rdm + participant): layers and participants side by side, a row for each pair, so that the pairs of a
    # draw are quick to gather; their means are off where the comparison is centred. None where ranks are compared or
    # pairs are missing
    columns: Floats | None = None
    places: Whole | None = None  # which pairs of the stimuli these are; None for all of them


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What the draws gave."""

    # (kind, draw, rdm): mean similarity over the participants of each draw; NaN in draws that were skipped
    similarity: Floats
    ceiling: Floats  # (kind, draw, bound): lower and upper bound of the noise ceiling in each draw


@dataclass(frozen=True, eq=False)
class Engine:
    """Where and how draws are computed."""

    # draws whose similarities are computed together: of the same stimuli, or as many as fit into memory
    batches: list[Whole]
    width: int  # how many of them have their participants averaged together
    workers: int  # how many batches at a time
    evaluate: Callable[[NDArray[Any]], Answers]  # from how often each stimulus was drawn (draw, stimulus)
    array: Callable[[NDArray[Any]], Array]  # from numpy to where it is computed, as float64, and back
    back: Callable[[Array], Floats]


def evaluate_draws(
    layers: Floats,
    people: Floats,
    draws: Draws,
    *,
    comparison: str,
    memory: float = 2e9,
    workers: int | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> Evaluated:
    """Compute similarities and noise ceilings in every draw.

    Each draw (with those of the same stimuli) is computed by itself, so the result depends neither on how many are
    computed at a time nor on how many threads compute them.
    """
    settings: dict[str, Any] = {"comparison": comparison, "memory": memory}
    if choose_device(device, comparison, people) == "cpu":
        engine = on_threads(layers, people, draws, workers=workers, **settings)
    else:
        engine = in_torch("cuda", layers, people, draws, **settings)
    return run_draws(engine, draws, len(layers), progress=progress)


def run_draws(engine: Engine, draws: Draws, layers: int, *, progress: bool = False) -> Evaluated:
    """Let an engine compute every draw."""
    similarity = np.full((len(draws.kinds), len(draws), layers), np.nan)
    ceiling = np.full((len(draws.kinds), len(draws), 2), np.nan)
    # a bootstrap over participants alone has all stimuli in every draw
    everything = engine.evaluate(np.ones_like(draws.stimuli[:1])) if PARTICIPANT in draws.kinds else None

    def run(batch: Whole) -> int:
        drawn = everything if draws.kinds == (PARTICIPANT,) else engine.evaluate(draws.stimuli[batch])
        for start in range(0, len(batch), engine.width):
            some = batch[start : start + engine.width]
            times = engine.array(draws.participants[some])
            for place, kind in enumerate(draws.kinds):
                evaluated = everything if kind == PARTICIPANT else drawn
                assert evaluated is not None
                each = library_of(times).ones_like(times) if kind == STIMULUS else times
                similarity[place, some] = engine.back(evaluated.means(each))
                ceiling[place, some] = engine.back(evaluated.bounds(each))
        return len(batch)

    bar = tqdm(total=int(draws.usable.sum()), disable=None if progress else True, desc="draws", unit="draw")
    # one thread of linear algebra in each of ours: more would wait for one another
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(engine.workers) as pool, bar:
        for count in pool.map(run, engine.batches):
            bar.update(count)
    return Evaluated(similarity, ceiling)


def mean_over(values: Array, times: Array) -> Array:
    """Return means along the last axis, each value as often as `times` says, over those that are there."""
    xp = library_of(values)
    missing = xp.isnan(values)
    if not missing.any():
        return (values * times).sum(-1) / times.sum(-1)
    counts = (~missing * times).sum(-1)
    sums = (xp.where(missing, 0.0, values) * times).sum(-1)
    return xp.where(counts > 0, sums / xp.where(counts > 0, counts, 1.0), xp.nan)


def _lengths(sums: Array, squares: Array, total: Array, *, centred: bool) -> Array:
    """Return one over the length of each RDM in a draw; 0 of one that has a single value."""
    xp = library_of(squares)
    if centred:
        # the RDMs were centred over all pairs before, so that what a draw's own mean takes off is small
        around = squares - sums**2 / total
        squares = xp.where(around <= _FLAT * squares, 0.0, around)
    return quotient(xp.ones_like(squares), xp.sqrt(squares))


def _bounds_of_sums(between: Array, known: Array, times: Array) -> Array:
    """Return the ceiling from the products of each participant (..., participant) with the sum of all who were drawn.

    RDMs have the length 1, or 0 where they are not `known`. What a pool is without somebody follows from that of all.
    """
    xp = library_of(between)
    alone = ((times > 0).sum(-1) == 1)[..., None]
    of_all = xp.linalg.vecdot(between, times)[..., None]
    lower = xp.where(alone, between, between - times * known)
    squares = xp.where(alone, of_all, of_all - 2 * times * between + times**2 * known)
    pools = xp.stack([squares, xp.broadcast_to(of_all, squares.shape)], -2)
    norms = xp.sqrt(xp.clip(pools * known[..., None, :], 0.0, None))
    return _mean_over_drawn(quotient(xp.stack([lower, between], -2), norms), times)


def _bounds_of_products(gram: Array, times: Array) -> Array:
    """Return the ceiling from the participants' products alone: a pool is a sum of them."""
    between = (times[..., None, :] @ gram)[..., 0, :]
    return _bounds_of_sums(between, library_of(gram).linalg.diagonal(gram), times)


def _bounds(lower: Array, upper: Array, squares: Array, of_people: Array, times: Array) -> Array:
    """Return mean cosines of participants with the pools without them, and with the pool of all."""
    xp = library_of(lower)
    of_pools = xp.stack([squares[..., :-1], xp.broadcast_to(squares[..., -1:], squares[..., :-1].shape)], -2)
    norms = xp.sqrt(xp.clip(of_pools * of_people[..., None, :], 0.0, None))
    return _mean_over_drawn(quotient(xp.stack([lower, upper], -2), norms), times)


def _bounds_of_ranks(pooled: Array, ranks: Array, weights: Array, times: Array, *, tie_corrected: bool) -> Array:
    """Return the ceiling from the doubled ranks of participants and of pools: without each, and last that of all."""
    xp = library_of(ranks)
    total = weights.sum(-1)[..., None, None]
    pooled, ranks = pooled - (total + 1), ranks - (total + 1)
    heavy = ranks * weights[..., None, :]
    lower = xp.linalg.vecdot(pooled[..., :-1, :], heavy)
    upper = (pooled[..., -1:, :] @ heavy.mT)[..., 0, :]
    if not tie_corrected:  # rho-a divides by what the ranks would vary without ties
        return _mean_over_drawn(3 * xp.stack([lower, upper], -2) / (total**3 - total), times)
    squares = ((pooled * pooled) @ weights[..., None])[..., 0]
    return _bounds(lower, upper, squares, xp.linalg.vecdot(ranks, heavy), times)


def _pools(times: Array) -> Array:
    """Return the pools without each participant, and last that of all: how often each holds which participant.

    Where nobody else was drawn, the pool without a participant is that of all: the lower ceiling is the upper one.
    """
    xp = library_of(times)
    everybody = times[..., None, :]
    without = everybody * (1 - xp.eye(times.shape[-1], dtype=times.dtype, device=times.device))
    alone = (without.sum(-1) == 0) & (times > 0)
    return xp.concatenate([xp.where(alone[..., None], everybody, without), everybody], axis=-2)


def _mean_over_drawn(each: Array, times: Array) -> Array:
    """Return the means over the participants who were drawn, each counted once as in rsatoolbox."""
    drawn = (times > 0)[..., None, :]
    return library_of(each).where(drawn, each, 0.0).sum(-1) / drawn.sum(-1)


def on_threads(
    layers: Floats, people: Floats, draws: Draws, *, comparison: str, memory: float, workers: int | None = None
) -> Engine:
    """Return the engine that computes draws one by one with compiled loops, on several threads."""
    workers = _workers_within(memory, workers, len(layers), people.shape)
    prepared = prepare_judged(layers, people, comparison)
    # draws of the same stimuli, such as deletions that differ in the participant alone, share one evaluation; the
    # largest come first, so that no thread is left alone with them
    return Engine(
        sorted(draws.alike, key=len, reverse=True),
        len(draws) if COMPARISONS[comparison].scores in ("ranks", "products") else 1,
        workers,
        lambda stimuli: evaluate(prepared, stimuli[0]),
        lambda counts: counts.astype(np.float64),
        np.asarray,
    )


def prepare(layers: Floats, people: Floats, comparison: str) -> Prepared:
    """Sort RDMs once for all draws, where the comparison needs ranks."""
    row = COMPARISONS[comparison]
    if row.scores in ("ranks", "kendall"):
        return Prepared(comparison, layers, people, sort_once(layers), sort_once(people))
    if not row.is_plain or np.isnan(people).any():
        return Prepared(comparison, layers, people, None, None)
    both = np.concatenate([layers, people])
    both = both - both.mean(axis=1, keepdims=True) if row.centred else both
    return Prepared(comparison, layers, people, None, None, np.ascontiguousarray(both.T))


def prepare_judged(layers: Floats, people: Floats, comparison: str) -> Prepared:
    """Do what `prepare` does without the pairs that nobody judged, where these are most: they weigh nothing."""
    row = COMPARISONS[comparison]
    judged = (~np.isnan(people)).any(axis=0)
    if row.kernel is not None or row.whitened or 2 * judged.sum() > judged.size:
        return prepare(layers, people, comparison)
    places = np.flatnonzero(judged)
    return replace(prepare(layers[:, places], people[:, places], comparison), places=places)


def evaluate(prepared: Prepared, stimuli: NDArray[Any]) -> Answers:
    """Compare all layers with all participants in a draw of stimuli."""
    weights, row = pair_weights(stimuli), COMPARISONS[prepared.comparison]
    weights = weights if prepared.places is None else weights[prepared.places]
    if prepared.columns is not None:
        return _by_plain_products(prepared, weights)
    judged = ~np.isnan(prepared.people)
    if row.kernel is None and judged.all():
        return {"products": _by_products, "ranks": _by_ranks, "kendall": _by_kendall}[row.scores](
            prepared, weights, stimuli
        )
    similarity = np.full((len(prepared.layers), len(judged)), np.nan)
    # participants who judged the same pairs have the same weights, and so the same ranks of the layers
    for members, pairs in alike(judged):
        shared = weights * pairs
        if np.count_nonzero(shared) >= FEWEST_PAIRS:
            similarity[:, members] = _similarities(prepared, shared, stimuli, members)
    return Answers.of(similarity, _of_each(lambda times: _ceiling_with_gaps(prepared, weights, stimuli, times)))


def _of_each(bounds: Callable[[NDArray[Any]], Floats]) -> Callable[[Array], Array]:
    """Return the function that computes the ceiling for each row of counts."""
    return lambda times: np.stack([bounds(row) for row in times])


def _similarities(prepared: Prepared, weights: Floats, stimuli: NDArray[Any], members: Whole) -> Floats:
    """Compare all layers with participants who judged every pair of a weight."""
    row = COMPARISONS[prepared.comparison]
    if prepared.sorted_layers is None or prepared.sorted_people is None:
        return kernel_of(prepared.comparison)(prepared.layers, prepared.people[members], weights, stimuli)
    ranks, counts = double_ranks(prepared.sorted_layers, weights)
    chosen = Sorted(prepared.sorted_people.order[members], prepared.sorted_people.tied[members])
    people, _ = double_ranks(chosen, weights)
    if row.scores == "kendall":  # which also needs the order itself
        ordered = kept_in_order(prepared.sorted_layers, weights)
        return tau((ranks, ordered), people, counts, tie_corrected=row.tie_corrected)
    return np.asarray(rank_correlation(ranks, people, counts.astype(np.float64), tie_corrected=row.tie_corrected))


def _by_plain_products(prepared: Prepared, weights: Floats) -> Answers:
    """Answer by cosines or correlations: means over participants are products with their sum.

    Only for many draws of participants at once are the products of all with all the shorter way.
    """
    columns, first = prepared.columns, len(prepared.layers)
    assert columns is not None
    places = np.flatnonzero(weights)
    heavy, total, people = weights[places], weights.sum(), columns.shape[1] - first
    sums, squares = weighted_sums(columns, places, heavy)
    centred = COMPARISONS[prepared.comparison].centred
    inverse = _lengths(sums, squares, total, centred=centred)
    known = (inverse[first:] > 0).astype(np.float64)

    def products_with(mixed: Floats) -> Floats:
        scaled = np.ascontiguousarray(mixed * inverse[first:, None])
        both = weighted_products(columns, places, heavy, scaled)
        if centred:
            both = both - np.outer(sums, sums[first:] @ scaled / total)
        return np.asarray(both * inverse[:, None])

    gram = cache(lambda: products_with(np.eye(people)))

    def sums_of(times: NDArray[Any]) -> Floats:
        many = len(times) * _FEW_DRAWS > people
        return np.asarray((gram() @ times.T if many else products_with(times.T.astype(np.float64))).T)

    return Answers(
        lambda times: sums_of(times)[:, :first] / times.sum(axis=-1, keepdims=True),
        lambda times: _bounds_of_sums(sums_of(times)[:, first:], known[None], times),
    )


def _by_products(prepared: Prepared, weights: Floats, stimuli: NDArray[Any]) -> Answers:
    """Answer by cosines or correlations where the metric is whitened."""
    row = COMPARISONS[prepared.comparison]
    metric = metric_of(weights, stimuli, centred=row.centred, whitened=row.whitened)
    chosen = take(prepared.people, metric)
    lengths = np.sqrt(np.einsum("ij,ij,j->i", chosen, chosen, metric.weights))
    chosen /= np.where(lengths > 0, lengths, 1)[:, None]
    similarity = cosines(*products(take(prepared.layers, metric), chosen, metric))
    gram = products(chosen, chosen, metric)[0]
    return Answers.of(similarity, lambda times: _bounds_of_products(gram, times))


def _by_kendall(prepared: Prepared, weights: Floats, stimuli: NDArray[Any]) -> Answers:
    """Answer by Kendall's tau."""
    assert prepared.sorted_people is not None
    people, counts = double_ranks(prepared.sorted_people, weights)
    corrected = COMPARISONS[prepared.comparison].tie_corrected

    def bounds(times: NDArray[Any]) -> Floats:
        drawn = np.flatnonzero(times)
        # -1 leaves nobody out: the pool of all comes last, and is the only one where one participant alone was drawn
        left_out = np.append(drawn if len(drawn) > 1 else -1, -1).astype(np.int64)
        pooled, ordered = (np.empty((len(left_out), people.shape[1]), dtype=np.int32) for _ in range(2))
        pooled_ranks(people, counts, np.asarray(times, dtype=np.int64), left_out, pooled, ordered)
        ranks = np.ascontiguousarray(people[drawn])
        lower = tau((pooled[:-1], ordered[:-1]), ranks, counts, tie_corrected=corrected, matched=True)
        upper = tau((pooled[-1:], ordered[-1:]), ranks, counts, tie_corrected=corrected)
        return np.array([lower.mean(), upper.mean()])

    return Answers.of(_similarities(prepared, weights, stimuli, np.arange(len(people))), _of_each(bounds))


def _by_ranks(prepared: Prepared, weights: Floats, _stimuli: NDArray[Any]) -> Answers:
    """Answer by rank correlations: means over participants are products with their mean, not means of products."""
    assert prepared.sorted_layers is not None
    assert prepared.sorted_people is not None
    corrected = COMPARISONS[prepared.comparison].tie_corrected
    layers, counts = double_ranks(prepared.sorted_layers, weights)
    people, _ = double_ranks(prepared.sorted_people, weights)
    middle, total = int(counts.sum()) + 1, float(counts.sum())
    centred = np.asarray(layers - middle, dtype=np.float64)
    heavy = centred * counts
    # rho-a divides by what ranks would vary without ties
    longest = np.sqrt((total**3 - total) / 3)
    lengths, scales = np.full(len(layers), longest), np.full(len(people), 1 / longest)
    if corrected:
        lengths = np.sqrt(np.vecdot(centred, heavy))
        scales = quotient(np.ones(len(people)), np.sqrt(squared_ranks(people, counts)))

    def pool(times: Floats) -> Floats:
        each = times * scales
        return np.asarray(summed_ranks(people, each) - each.sum() * middle)

    def means(times: NDArray[Any]) -> Floats:
        each = np.stack([heavy @ pool(row.astype(np.float64)) for row in times])
        return np.asarray(quotient(each, lengths * times.sum(axis=-1, keepdims=True)))

    def bound(times: Whole, others: tuple[Floats, Floats] | None) -> Floats:
        drawn, alone = times > 0, times if others is None else np.zeros_like(times)
        total, everybody = summed_ranks(people, times), pool(drawn.astype(np.float64))
        products, squares = compare_with_pools(people, counts, alone, total, everybody)
        if others is not None:
            products[:-1], squares[:-1] = others
        norms = np.sqrt(squares) if corrected else np.full(len(squares), longest)
        products[:-1] *= scales  # `everybody` has them already
        each = quotient(products, norms)
        return np.array([each[:-1][drawn].mean(), each[-1] / drawn.sum()])

    def bounds(times: NDArray[Any]) -> Floats:
        whole = np.asarray(times, dtype=np.int64)
        without_one = (whole.sum(axis=1) == len(people) - 1) & (whole.max(axis=1) == 1)
        others = None
        if len(people) > 2 and 2 * without_one.sum() > len(people):
            others = leave_two_out(people, counts, summed_ranks(people, np.ones_like(whole[0])))
        given = [
            None if others is None or not one else (others[0][row.argmin()], others[1][row.argmin()])
            for one, row in zip(without_one, whole, strict=True)
        ]
        return np.stack([bound(row, those) for row, those in zip(whole, given, strict=True)])

    return Answers(means, bounds)


def _ceiling_with_gaps(prepared: Prepared, weights: Floats, stimuli: NDArray[Any], people: NDArray[Any]) -> Floats:
    """Return the ceiling over what was judged: a pool is, for each pair, the mean over those who judged it."""
    drawn = np.flatnonzero(people)
    # each participant weighs the same in a pool, whatever scale or how many pairs they judged
    scaled = _on_one_scale(prepared, weights)
    judged = ~np.isnan(scaled)
    times = np.asarray(people, dtype=np.float64)
    filled = np.where(judged, scaled, 0)
    sums, counts = times @ filled, times @ judged
    bounds = np.full((2, len(drawn)), np.nan)
    for column, person in enumerate(drawn):
        # what is taken off the sum of all: the participant's own for the lower bound, nothing for the upper one
        rest = (0, 0) if len(drawn) == 1 else (times[person] * filled[person], times[person] * judged[person])
        for bound, (out, out_count) in enumerate((rest, (0, 0))):
            shared = weights * judged[person] * (counts - out_count > 0)
            if np.count_nonzero(shared) < FEWEST_PAIRS:
                continue
            pool = np.divide(sums - out, counts - out_count, out=np.zeros_like(sums), where=shared > 0)
            # means of ranks are rounded, so that pools which are equal but for rounding stay tied
            pool = np.rint(pool * _GRID) if prepared.sorted_people is not None else pool
            judgements = prepared.people[person]
            bounds[bound, column] = kernel_of(prepared.comparison)(pool[None], judgements[None], shared, stimuli)[
                0, 0
            ]
    return np.asarray(mean_over(bounds, np.ones(len(drawn))))


def _on_one_scale(prepared: Prepared, weights: Floats) -> Floats:
    """Return what is pooled: unit vectors, or ranks as a part of the number of pairs that each participant judged."""
    row = COMPARISONS[prepared.comparison]
    scaled = np.full(prepared.people.shape, np.nan)
    for members, pairs in alike(~np.isnan(prepared.people)):
        judged: Floats = weights * pairs
        inside: Truths = judged > 0
        if np.count_nonzero(inside) < FEWEST_PAIRS:
            continue
        if prepared.sorted_people is None:
            metric = metric_of(judged, np.ones(1), centred=row.centred, whitened=False)
            chosen = take(prepared.people[members], metric)
            lengths = np.sqrt(np.einsum("ij,ij,j->i", chosen, chosen, metric.weights) / metric.weights.sum())
            scaled[np.ix_(members, inside)] = chosen / np.where(lengths > 0, lengths, 1)[:, None]
        else:
            chosen_people = Sorted(prepared.sorted_people.order[members], prepared.sorted_people.tied[members])
            ranks, counts = double_ranks(chosen_people, judged)
            scaled[np.ix_(members, inside)] = (ranks - 1) / (2 * counts.sum())
    return scaled


def _workers_within(memory: float, workers: int | None, layers: int, people: tuple[int, ...]) -> int:
    """Return how many draws may be computed at a time, and refuse where not even one may."""
    rdms = layers + people[0]
    fixed = rdms * people[1] * _NUMBER * 3  # values, order and ties
    each = (4 * rdms + 4 * people[0]) * people[1] * _NUMBER  # ranks, order, products and pools
    affordable = int((memory - fixed) // each)
    if affordable < 1:
        message = (
            f"One draw of {rdms} RDMs of {people[1]} pairs takes {(fixed + each) / 2**30:.3g} GiB, and `memory` "
            f"allows {memory / 2**30:.3g} GiB. Allow more, or use fewer layers."
        )
        raise ValueError(message)
    return min(affordable, workers or processors())


def processors() -> int:
    """Return how many processors this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def choose_device(device: str, comparison: str, people: Floats) -> str:
    """Return where to compute."""
    if device == "cpu" or (device == "auto" and shutil.which("nvidia-smi") is None):
        return "cpu"  # without loading torch, which takes seconds
    import torch

    faults = [] if torch.cuda.is_available() else ["torch finds no CUDA device"]
    if not COMPARISONS[comparison].is_plain:
        plain = [name for name, row in COMPARISONS.items() if row.is_plain]
        faults.append(f"the comparison is {comparison!r}, not one of {', '.join(plain)}")
    if np.isnan(people).any():
        faults.append("the human RDMs miss pairs")
    if faults and device == "cuda":
        message = f"Cannot compute on 'cuda': {'; '.join(faults)}. Use device='auto'."
        raise ValueError(message)
    return "cpu" if faults else "cuda"


def in_torch(device: str, layers: Floats, people: Floats, draws: Draws, *, comparison: str, memory: float) -> Engine:
    """Return the engine that computes as many draws at a time as fit into memory, with torch, in float64."""
    import torch

    each = layers.shape[1] * _NUMBER * (3 * (len(layers) + len(people)) + 12 * (len(people) + 1))
    chunk = int(memory // each)
    if chunk < 1:
        message = (
            f"One draw takes {each / 2**30:.3g} GiB on {device!r}, and `memory` allows {memory / 2**30:.3g} GiB. "
            "Allow more."
        )
        raise ValueError(message)
    prepared = prepare(layers, people, comparison)
    row = COMPARISONS[comparison]
    weigh = _ranks_in_torch(prepared, row, device) if row.scores == "ranks" else _products_in_torch(prepared, device)
    rows, columns = (torch.as_tensor(np.array(side), device=device) for side in pairs_of(draws.stimuli.shape[1]))

    def array(values: NDArray[Any]) -> Array:
        return torch.as_tensor(values, dtype=torch.float64, device=device)

    def evaluate_chunk(stimuli: NDArray[Any]) -> Answers:
        drawn = array(stimuli)
        return weigh(drawn[:, rows] * drawn[:, columns])

    usable = np.flatnonzero(draws.usable)
    batches = [usable[first : first + chunk] for first in range(0, len(usable), chunk)]
    return Engine(batches, chunk, 1, evaluate_chunk, array, lambda values: values.cpu().numpy())


def _products_in_torch(prepared: Prepared, device: str) -> Callable[[Array], Answers]:
    """Return the function that compares products in the draws of these weights (draw, pair)."""
    import torch

    columns, first = torch.as_tensor(prepared.columns, device=device), len(prepared.layers)
    centred = COMPARISONS[prepared.comparison].centred

    def weigh(weights: Array) -> Answers:
        sums, total = weights @ columns, weights.sum(-1)[..., None]
        inverse = _lengths(sums, weights @ columns**2, total, centred=centred)
        gram = columns.mT @ (columns[:, first:] * weights[..., None])
        if centred:
            gram = gram - sums[..., :, None] * (sums[..., first:] / total)[..., None, :]
        gram = gram * (inverse[..., :, None] * inverse[..., None, first:])
        return Answers.of(gram[..., :first, :], lambda times: _bounds_of_products(gram[..., first:, :], times))

    return weigh


def _ranks_in_torch(prepared: Prepared, row: Comparison, device: str) -> Callable[[Array], Answers]:
    """Return the function that compares ranks in the draws of these weights (draw, pair)."""
    import torch

    once = sort_once(np.concatenate([prepared.layers, prepared.people]))
    places = np.arange(once.order.shape[1])
    # where each run of ties begins and ends, in the order of each RDM: the same in every draw
    firsts = np.maximum.accumulate(np.where(once.tied, 0, places), axis=1)
    ends = np.where(np.roll(once.tied, -1, axis=1) & (places < places[-1]), places[-1], places)
    lasts = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1]
    orders, first_of, last_of = (
        torch.as_tensor(each.astype(np.int64), device=device) for each in (once.order, firsts, lasts)
    )
    split = len(prepared.layers)

    def weigh(weights: Array) -> Answers:
        ranks = weights.new_empty((len(weights), len(orders), weights.shape[1]))
        for rdm, order in enumerate(orders):
            # one RDM at a time: its order is the same in all draws, only the weights differ
            ranks[:, rdm, order] = _ranks_of_runs(weights[:, order], first_of[rdm], last_of[rdm])
        table = rank_correlation(ranks[:, :split], ranks[:, split:], weights, tie_corrected=row.tie_corrected)
        people = ranks[:, split:]

        def bounds(times: Array) -> Array:
            pools = _pools(times) @ people  # whole numbers, so that ties are exact
            values, order = pools.sort(-1)
            runs = torch.searchsorted(values, values), torch.searchsorted(values, values, right=True) - 1
            heavy = torch.gather(weights[:, None].expand_as(pools), -1, order)
            pooled = torch.empty_like(pools).scatter_(-1, order, _ranks_of_runs(heavy, *runs))
            return _bounds_of_ranks(pooled, people, weights, times, tie_corrected=row.tie_corrected)

        return Answers.of(table, bounds)

    return weigh


def _ranks_of_runs(weights: Array, first: Array, last: Array) -> Array:
    """Return twice the mean rank of each pair, in order, from the weights and the ends of its run of ties."""
    sums = weights.cumsum(-1)
    # in order, the weights before a pair are its rank; ties take the mean of the run's ends
    before, first, last = sums - weights, first.expand_as(sums), last.expand_as(sums)
    return before.gather(-1, first) + sums.gather(-1, last) + 1


_Shared = tuple[Floats, Floats, Draws, str, float]


def evaluate_draws_on(
    cluster: str,
    layers: Floats,
    people: Floats,
    draws: Draws,
    *,
    comparison: str,
    memory: float = 2e9,
    progress: bool = False,
) -> Evaluated:
    """Compute similarities and noise ceilings in every draw, by the workers of a cluster.

    Each draw is computed by itself, so the values are those of `evaluate_draws` to the bit, however many workers
    there are. Draws that a worker had begun when it died are computed again by another.
    """
    starts = range(0, len(draws), _TOGETHER)
    shared: _Shared = (layers, people, draws, comparison, memory)
    hidden = None if progress else True
    parts = []
    with connect(cluster) as client, tqdm(total=len(draws), disable=hidden, desc="draws", unit="draw") as bar:
        for part in map_in_order(client, _evaluate_some, starts, shared=shared):
            parts.append(part)
            bar.update(part[0].shape[1])
    similarity, ceiling = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
    return Evaluated(similarity, ceiling)


def _evaluate_some(start: int, shared: _Shared) -> tuple[Floats, Floats]:
    layers, people, draws, comparison, memory = shared
    rows = slice(start, start + _TOGETHER)
    some = replace(
        draws, stimuli=draws.stimuli[rows], participants=draws.participants[rows], usable=draws.usable[rows]
    )
    values = evaluate_draws(layers, people, some, comparison=comparison, memory=memory, workers=1)
    return values.similarity, values.ceiling
