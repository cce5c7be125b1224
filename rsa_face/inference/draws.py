"""Every draw of a bootstrap: on threads, a graphics processor or a cluster."""

import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from rsa_face.cluster import connect, map_in_order
from rsa_face.inference.comparisons import FEWEST_PAIRS, alike, kernel_of, rank_correlation
from rsa_face.inference.kernels import (
    Floats,
    Metric,
    Ranks,
    Sorted,
    Truths,
    Whole,
    cosines,
    double_ranks,
    kept_in_order,
    metric_of,
    pair_weights,
    pairs_of,
    pooled_ranks,
    products,
    sort_once,
    take,
    tau,
    weighted_products,
)
from rsa_face.inference.resampling import Draws
from rsa_face.schema import COMPARISONS, Comparison

Ceiling = Callable[[NDArray[Any]], Floats]

_FLAT = 1e-13  # an RDM whose variance in a draw is a smaller part of its mean square has one value only
_GRID = 2.0**40  # pooled ranks that differ by less than this part of their range are ties


@dataclass(frozen=True, eq=False)
class Prepared:
    """Layer and human RDMs, made ready for many draws.

    Parameters
    ----------
    comparison : str
        The comparison.
    layers : array, shape (rdm, pair)
        Layer RDMs, whole.
    people : array, shape (participant, pair)
        Human RDMs; NaN means never judged.
    sorted_layers : Sorted or None
        The layers, sorted; None where the comparison needs no ranks.
    sorted_people : Sorted or None
        The participants, sorted.
    columns : array, shape (pair, rdm + participant), or None
        Layers and participants side by side, a row for each pair, so that the pairs of a draw are quick to gather;
        their means are off where the comparison is centred. None where ranks are compared or pairs are missing.
    """

    comparison: str
    layers: Floats
    people: Floats
    sorted_layers: Sorted | None
    sorted_people: Sorted | None
    columns: Floats | None = None


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


def evaluate(prepared: Prepared, stimuli: NDArray[Any]) -> tuple[Floats, Ceiling]:
    """Compare all layers with all participants in a draw of stimuli."""
    weights = pair_weights(stimuli)
    there = ~np.isnan(prepared.people)
    if there.all():
        return _evaluate_whole(prepared, weights, stimuli, np.arange(len(there)))
    similarity = np.full((len(prepared.layers), len(there)), np.nan)
    for members, pairs in alike(there):
        judged = weights * pairs
        if np.count_nonzero(judged) >= FEWEST_PAIRS:
            similarity[:, members], _ = _evaluate_whole(prepared, judged, stimuli, members)
    return similarity, lambda people: _ceiling_of_parts(prepared, weights, stimuli, people)


def mean_over(similarity: Floats, people: NDArray[Any]) -> Floats:
    """Return the mean over the participants drawn, each as often as it was."""
    there = ~np.isnan(similarity)
    if there.all():
        return np.asarray(similarity @ people / people.sum())
    counts = there @ people
    sums = np.where(there, similarity, 0) @ people
    return np.asarray(np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0))


def _evaluate_whole(
    prepared: Prepared, weights: Floats, stimuli: NDArray[Any], members: Whole
) -> tuple[Floats, Ceiling]:
    row = COMPARISONS[prepared.comparison]
    if prepared.columns is not None:
        return _by_columns(prepared.columns, len(prepared.layers), weights, centred=row.centred)
    if row.kernel is not None:
        similarity = row.kernel(prepared.layers, prepared.people[members], weights, stimuli)
        return similarity, lambda drawn: _ceiling_of_parts(prepared, weights, stimuli, drawn)
    if row.scores == "products":
        metric = metric_of(weights, stimuli, centred=row.centred, whitened=row.whitened)
        return _by_products(prepared.layers, prepared.people[members], metric)
    if prepared.sorted_layers is None or prepared.sorted_people is None:
        message = f"RDMs must be sorted for {prepared.comparison}, but are not. Use `prepare`."
        raise ValueError(message)
    ranks, whole = double_ranks(prepared.sorted_layers, weights)
    # Kendall's tau also needs the order itself
    ordered = kept_in_order(prepared.sorted_layers, weights) if row.scores == "kendall" else ranks
    chosen = Sorted(prepared.sorted_people.order[members], prepared.sorted_people.tied[members])
    people, _ = double_ranks(chosen, weights)
    similarity = _score((ranks, ordered), people, whole, row, matched=False)
    return similarity, lambda drawn: _ceiling_of_ranks(people, whole, drawn, row)


def _score(x: tuple[Ranks, Ranks], y: Ranks, weights: Ranks, row: Comparison, *, matched: bool) -> Floats:
    if row.scores == "kendall":
        return tau(x, y, weights, tie_corrected=row.tie_corrected, matched=matched)
    heavy = weights.astype(np.float64)
    if not matched:
        return rank_correlation(x[0], y, heavy, tie_corrected=row.tie_corrected)
    total = heavy.sum()
    one, other = x[0] - (total + 1), y - (total + 1)
    weighted = one * heavy
    between = np.einsum("ij,ij->i", weighted, other)
    if not row.tie_corrected:
        return np.asarray(3 * between / (total**3 - total))
    norms = np.sqrt(np.einsum("ij,ij->i", weighted, one) * (np.square(other) @ heavy))
    return np.asarray(np.divide(between, norms, out=np.zeros_like(between), where=norms > 0))


def _ceiling_of_ranks(ranks: Ranks, weights: Ranks, people: NDArray[Any], row: Comparison) -> Floats:
    drawn = np.flatnonzero(people)
    left_out = np.concatenate([[-1], drawn if len(drawn) > 1 else []]).astype(np.int64)
    pooled = np.empty((len(left_out), ranks.shape[1]), dtype=np.int32)
    ordered = np.empty_like(pooled)
    pooled_ranks(ranks, weights, np.asarray(people, dtype=np.int64), left_out, pooled, ordered)
    own = np.ascontiguousarray(ranks[drawn])
    upper = _score((pooled[:1], ordered[:1]), own, weights, row, matched=False)[0]
    if len(drawn) == 1:
        return np.array([upper.mean(), upper.mean()])
    lower = _score((pooled[1:], ordered[1:]), own, weights, row, matched=True)
    return np.array([lower.mean(), upper.mean()])


def _by_products(layers: Floats, people: Floats, metric: Metric) -> tuple[Floats, Ceiling]:
    chosen = take(people, metric)
    lengths = np.sqrt(np.einsum("ij,ij,j->i", chosen, chosen, metric.weights))
    chosen /= np.where(lengths > 0, lengths, 1)[:, None]
    similarity = cosines(*products(take(layers, metric), chosen, metric))
    gram, own, _ = products(chosen, chosen, metric)
    return similarity, lambda drawn: _ceiling_of_products(gram, own, drawn)


def _by_columns(columns: Floats, layers: int, weights: Floats, *, centred: bool) -> tuple[Floats, Ceiling]:
    """Return plain cosines or correlations in a draw from two products of matrices."""
    kept = np.flatnonzero(weights)
    gram, sums, squares = weighted_products(columns, kept, weights[kept], layers)
    if centred:
        raw, total = squares, weights.sum()
        gram -= np.outer(sums, sums[layers:] / total)
        squares = raw - sums**2 / total
        squares[squares <= _FLAT * raw] = 0
    lengths = np.sqrt(squares)
    inverse = np.divide(1, lengths, out=np.zeros_like(lengths), where=lengths > 0)
    gram *= np.outer(inverse, inverse[layers:])
    own = np.diagonal(gram[layers:])
    return gram[:layers], lambda drawn: _ceiling_of_products(gram[layers:], own, drawn)


def _ceiling_of_products(gram: Floats, own: Floats, people: NDArray[Any]) -> Floats:
    """Return the ceiling from the participants' products alone: a pool is a sum of them."""
    drawn = np.flatnonzero(people)
    pools = np.tile(np.asarray(people, dtype=np.float64), (len(drawn), 1))
    upper = cosines(pools[:1] @ gram[:, drawn], _squares(pools[:1], gram), own[drawn])[0]
    if len(drawn) == 1:
        return np.array([upper.mean(), upper.mean()])
    pools[np.arange(len(drawn)), drawn] = 0
    lower = np.diagonal(cosines(pools @ gram[:, drawn], _squares(pools, gram), own[drawn]))
    return np.array([lower.mean(), upper.mean()])


def _squares(pools: Floats, gram: Floats) -> Floats:
    return np.asarray(np.einsum("ij,ij->i", pools @ gram, pools))


def _ceiling_of_parts(prepared: Prepared, weights: Floats, stimuli: NDArray[Any], people: NDArray[Any]) -> Floats:
    """Return the ceiling over what is there: a pool is, for each pair, the mean over those who judged it."""
    drawn = np.flatnonzero(people)
    scaled = _on_one_scale(prepared, weights)
    there = ~np.isnan(scaled)
    times = np.asarray(people, dtype=np.float64)
    filled = np.where(there, scaled, 0)
    sums, counts = times @ filled, times @ there
    bounds = np.full((2, len(drawn)), np.nan)
    for column, person in enumerate(drawn):
        rest = (0, 0) if len(drawn) == 1 else (times[person] * filled[person], times[person] * there[person])
        for bound, (out, out_count) in enumerate((rest, (0, 0))):
            shared = weights * there[person] * (counts - out_count > 0)
            if np.count_nonzero(shared) < FEWEST_PAIRS:
                continue
            pool = np.divide(sums - out, counts - out_count, out=np.zeros_like(sums), where=shared > 0)
            pool = np.rint(pool * _GRID) if prepared.sorted_people is not None else pool
            own = prepared.people[person]
            bounds[bound, column] = kernel_of(prepared.comparison)(pool[None], own[None], shared, stimuli)[0, 0]
    return np.asarray([_mean_of(bound) for bound in bounds])


def _mean_of(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else float("nan")


def _on_one_scale(prepared: Prepared, weights: Floats) -> Floats:
    """Return what is pooled: unit vectors, or ranks as a part of the number of pairs that each participant judged."""
    row = COMPARISONS[prepared.comparison]
    scaled = np.full(prepared.people.shape, np.nan)
    for members, pairs in alike(~np.isnan(prepared.people)):
        judged: Floats = weights * pairs
        kept: Truths = judged > 0
        if np.count_nonzero(kept) < FEWEST_PAIRS:
            continue
        if prepared.sorted_people is None:
            metric = metric_of(judged, np.ones(1), centred=row.centred, whitened=False)
            chosen = take(prepared.people[members], metric)
            lengths = np.sqrt(np.einsum("ij,ij,j->i", chosen, chosen, metric.weights) / metric.weights.sum())
            scaled[np.ix_(members, kept)] = chosen / np.where(lengths > 0, lengths, 1)[:, None]
        else:
            chosen_people = Sorted(prepared.sorted_people.order[members], prepared.sorted_people.tied[members])
            ranks, whole = double_ranks(chosen_people, judged)
            scaled[np.ix_(members, kept)] = (ranks - 1) / (2 * whole.sum())
    return scaled


_Bounds = Callable[[Any], Any]


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
        message = f"To compute on 'cuda' everything must run there, but {'; '.join(faults)}. Use device='auto'."
        raise ValueError(message)
    return "cpu" if faults else "cuda"


def evaluate_on(
    device: str,
    layers: Floats,
    people: Floats,
    draws: Draws,
    *,
    comparison: str,
    memory: float,
    progress: bool = False,
) -> tuple[Floats, Floats]:
    """Compute similarities and noise ceilings of all draws with torch, in float64.

    The arithmetic is that of the loop over draws; only sums are added in another order.
    """
    import torch

    pairs, count = layers.shape[1], len(people)
    each = pairs * _NUMBER * (3 * (len(layers) + count) + 12 * (count + 1))
    chunk = int(memory // each)
    if chunk < 1:
        need = f"One draw takes {each / 1e9:.3g} GB on {device!r}"
        message = f"{need}, but `memory` allows {memory / 1e9:.3g} GB. Allow more."
        raise ValueError(message)
    similarity = np.full((len(draws.kinds), len(draws), len(layers)), np.nan)
    ceiling = np.full((len(draws.kinds), len(draws), 2), np.nan)
    start = _start_ranks if COMPARISONS[comparison].scores == "ranks" else _start_products
    weigh = start(torch, device, layers, people, comparison)
    rows, columns = (torch.as_tensor(np.array(side), device=device) for side in pairs_of(draws.stimuli.shape[1]))
    everything = weigh(torch.ones((1, pairs), dtype=torch.float64, device=device))
    usable = np.flatnonzero(draws.usable)
    for first in tqdm(range(0, len(usable), chunk), disable=None if progress else True, desc="draws", unit="chunk"):
        chosen = usable[first : first + chunk]
        stimuli = torch.as_tensor(draws.stimuli[chosen], dtype=torch.float64, device=device)
        times = torch.as_tensor(draws.participants[chosen], dtype=torch.float64, device=device)
        drawn = weigh(stimuli[:, rows] * stimuli[:, columns]) if draws.kinds != ("participant",) else everything
        for place, kind in enumerate(draws.kinds):
            table, bounds = everything if kind == "participant" else drawn
            taken = torch.ones_like(times) if kind == "stimulus" else times
            means = (table * taken[:, None]).sum(-1) / taken.sum(-1, keepdim=True)
            similarity[place, chosen] = means.cpu().numpy()
            ceiling[place, chosen] = bounds(taken).cpu().numpy()
    return similarity, ceiling


def _start_products(torch: Any, device: str, layers: Floats, people: Floats, comparison: str) -> Callable[[Any], Any]:
    both = torch.as_tensor(np.concatenate([layers, people]), device=device)
    centred = COMPARISONS[comparison].centred
    both = both - both.mean(1, keepdim=True) if centred else both
    first = len(layers)

    def weigh(weights: Any) -> tuple[Any, _Bounds]:
        heavy = both[first:] * weights[:, None]
        gram = torch.matmul(both, heavy.mT)
        raw = torch.matmul(weights, both.mT**2)
        squares = raw
        if centred:
            sums, total = torch.matmul(weights, both.mT), weights.sum(1, keepdim=True)
            gram = gram - sums[:, :, None] * (sums[:, first:] / total)[:, None]
            squares = raw - sums**2 / total
            squares = torch.where(squares <= 1e-13 * raw, 0, squares)
        inverse = torch.where(squares > 0, squares.clamp(min=1e-300).rsqrt(), 0)
        gram = gram * inverse[:, :, None] * inverse[:, None, first:]
        return gram[:, :first], lambda times: _bounds_of_products(torch, gram[:, first:], times)

    return weigh


def _bounds_of_products(torch: Any, gram: Any, times: Any) -> Any:
    count = times.shape[1]
    own = torch.diagonal(gram, dim1=1, dim2=2)
    whole = times[:, None].expand(-1, count, -1)
    pools = torch.stack([_without_own(torch, times), whole], 1)
    products = torch.matmul(pools, gram[:, None])
    norms = ((products * pools).sum(-1).clamp(min=0) * own[:, None]).sqrt()
    between = torch.diagonal(products, dim1=2, dim2=3)
    return _mean_over_drawn(torch, torch.where(norms > 0, between / norms.clamp(min=1e-300), 0), times)


def _start_ranks(torch: Any, device: str, layers: Floats, people: Floats, comparison: str) -> Callable[[Any], Any]:
    once = sort_once(np.concatenate([layers, people]))
    orders = torch.as_tensor(once.order.astype(np.int64), device=device)
    places = np.arange(layers.shape[1])
    firsts = np.maximum.accumulate(np.where(once.tied, 0, places), axis=1)
    ends = np.where(np.roll(once.tied, -1, axis=1) & (places < places[-1]), places[-1], places)
    lasts = np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1].copy()
    first_of, last_of = (torch.as_tensor(each, device=device) for each in (firsts, lasts))
    split, corrected = len(layers), COMPARISONS[comparison].tie_corrected

    def weigh(weights: Any) -> tuple[Any, _Bounds]:
        ranks = weights.new_empty((len(weights), len(orders), weights.shape[1]))
        for rdm, order in enumerate(orders):
            own = weights[:, order]
            sums = own.cumsum(1)
            before = (sums - own)[:, first_of[rdm]]
            ranks[:, rdm, order] = before + sums[:, last_of[rdm]] + 1
        total = weights.sum(1)[:, None, None]
        ranks -= total + 1
        heavy = ranks[:, split:] * weights[:, None]
        between = torch.matmul(ranks[:, :split], heavy.mT)
        if corrected:
            squares = (ranks**2 * weights[:, None]).sum(-1)
            norms = (squares[:, :split, None] * squares[:, None, split:]).sqrt()
            table = torch.where(norms > 0, between / norms.clamp(min=1e-300), 0)
        else:
            table = 3 * between / (total**3 - total)
        return table, lambda times: _bounds_of_ranks(torch, ranks[:, split:], weights, times, corrected)

    return weigh


def _bounds_of_ranks(torch: Any, ranks: Any, weights: Any, times: Any, corrected: bool) -> Any:
    pools = torch.matmul(torch.cat([_without_own(torch, times), times[:, None]], 1), ranks)
    values, order = pools.sort(-1)
    own = torch.gather(weights[:, None].expand_as(pools), -1, order)
    sums = own.cumsum(-1)
    first = torch.searchsorted(values, values)
    last = torch.searchsorted(values, values, right=True) - 1
    total = weights.sum(1)[:, None, None]
    pooled = torch.empty_like(pools).scatter_(
        -1, order, torch.gather(sums - own, -1, first) + torch.gather(sums, -1, last) - total
    )
    heavy = ranks * weights[:, None]
    lower, upper = (pooled[:, :-1] * heavy).sum(-1), (pooled[:, -1:] * heavy).sum(-1)
    between = torch.stack([lower, upper], 1)
    if not corrected:
        return _mean_over_drawn(torch, 3 * between / (total**3 - total), times)
    squares = (pooled**2 * weights[:, None]).sum(-1)
    each = torch.stack([squares[:, :-1], squares[:, -1:].expand_as(squares[:, :-1])], 1)
    norms = (each * (ranks * heavy).sum(-1)[:, None]).sqrt()
    return _mean_over_drawn(torch, torch.where(norms > 0, between / norms.clamp(min=1e-300), 0), times)


def _without_own(torch: Any, times: Any) -> Any:
    """Return the pools without each participant; where nobody else was drawn, the pool of all."""
    pools = times[:, None] * (1 - torch.eye(times.shape[1], dtype=times.dtype, device=times.device))
    alone = (pools.sum(-1, keepdim=True) == 0) & (times[:, :, None] > 0)
    return torch.where(alone, times[:, None], pools)


def _mean_over_drawn(torch: Any, each: Any, times: Any) -> Any:
    drawn = (times > 0).to(each.dtype)[:, None]
    return (torch.where(drawn > 0, each, 0)).sum(-1) / drawn.sum(-1)


_NUMBER = 8  # bytes of a float64


@dataclass(frozen=True, eq=False)
class Evaluated:
    """What the draws gave.

    Parameters
    ----------
    similarity : array, shape (kind, draw, rdm)
        Mean similarity over the participants of each draw; NaN in draws that were skipped.
    ceiling : array, shape (kind, draw, bound)
        Lower and upper bound of the noise ceiling in each draw.
    """

    similarity: Floats
    ceiling: Floats


def evaluate_draws(
    layers: Floats,
    people: Floats,
    draws: Draws,
    *,
    comparison: str,
    ceilings: bool = True,
    memory: float = 2e9,
    workers: int | None = None,
    device: str = "cpu",
    progress: bool = False,
) -> Evaluated:
    """Compute similarities and noise ceilings in every draw.

    Each draw (with those of the same stimuli) is computed by itself, so the result depends neither on how many are
    computed at a time nor on how many threads compute them.
    """
    where = choose_device(device, comparison, people)
    if where != "cpu":
        found = evaluate_on(where, layers, people, draws, comparison=comparison, memory=memory, progress=progress)
        return Evaluated(*found)
    workers = _workers_within(memory, workers, len(layers), people.shape)
    prepared = prepare(layers, people, comparison)
    shape = (len(draws.kinds), len(draws))
    similarity = np.full((*shape, len(layers)), np.nan)
    ceiling = np.full((*shape, 2), np.nan)
    everything = evaluate(prepared, np.ones_like(draws.stimuli[0])) if "participant" in draws.kinds else None

    def run(alike: Whole) -> int:
        # draws of the same stimuli, such as deletions that differ in the participant alone, share one evaluation
        drawn = everything if draws.kinds == ("participant",) else evaluate(prepared, draws.stimuli[alike[0]])
        for draw in alike:
            people = draws.participants[draw]
            for place, kind in enumerate(draws.kinds):
                found = everything if kind == "participant" else drawn
                if found is None:
                    continue
                times = np.ones_like(people) if kind == "stimulus" else people
                similarity[place, draw] = mean_over(found[0], times)
                if ceilings:
                    ceiling[place, draw] = found[1](times)
        return len(alike)

    bar = tqdm(total=int(draws.usable.sum()), disable=None if progress else True, desc="draws", unit="draw")
    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor(workers) as pool, bar:
        for count in pool.map(run, draws.alike):
            bar.update(count)
    return Evaluated(similarity, ceiling)


def _workers_within(memory: float, workers: int | None, layers: int, people: tuple[int, ...]) -> int:
    """Return how many draws may be computed at a time, and refuse where not even one may."""
    rdms = layers + people[0]
    fixed = rdms * people[1] * _NUMBER * 3  # values, order and ties
    each = (4 * rdms + 4 * people[0]) * people[1] * _NUMBER  # ranks, order, products and pools
    affordable = int((memory - fixed) // each)
    if affordable < 1:
        message = (
            f"One draw of {rdms} RDMs of {people[1]} pairs must fit into memory, which takes "
            f"{(fixed + each) / 1e9:.3g} GB, but `memory` allows {memory / 1e9:.3g} GB. "
            "Allow more, or use fewer layers."
        )
        raise ValueError(message)
    return min(affordable, workers or processors())


def processors() -> int:
    """Return how many processors this program may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


_TOGETHER = 64  # draws that a worker takes at a time

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
    found = evaluate_draws(layers, people, some, comparison=comparison, memory=memory, workers=1)
    return found.similarity, found.ceiling
