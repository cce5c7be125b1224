"""One draw: the similarity of each layer with each participant, and the noise ceiling, from RDMs sorted once."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rsa_face.inference.comparisons import FEWEST_PAIRS, alike, kernel_of, rank_correlation
from rsa_face.inference.kendall import tau
from rsa_face.inference.products import Metric, cosines, metric_of, products, take, weighted_products
from rsa_face.inference.ranking import Sorted, double_ranks, kept_in_order, pooled_ranks, sort_once
from rsa_face.inference.vectors import Floats, Ranks, Truths, Whole, pair_weights
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
    """Sort RDMs once for all draws, where the comparison needs ranks.

    Parameters
    ----------
    layers : array, shape (rdm, pair)
        Layer RDMs; there may be none.
    people : array, shape (participant, pair)
        Human RDMs; NaN means never judged.
    comparison : str
        A name in `COMPARISONS`.

    Returns
    -------
    Prepared
        What `similarity_in` and `ceiling_in` work from.
    """
    row = COMPARISONS[comparison]
    if row.scores in ("ranks", "kendall"):
        return Prepared(comparison, layers, people, sort_once(layers), sort_once(people))
    if not row.is_plain or np.isnan(people).any():
        return Prepared(comparison, layers, people, None, None)
    both = np.concatenate([layers, people])
    both = both - both.mean(axis=1, keepdims=True) if row.centred else both
    return Prepared(comparison, layers, people, None, None, np.ascontiguousarray(both.T))


def evaluate(prepared: Prepared, stimuli: NDArray[Any]) -> tuple[Floats, Ceiling]:
    """Compare all layers with all participants in a draw of stimuli.

    Parameters
    ----------
    prepared : Prepared
        The RDMs.
    stimuli : array of int, shape (stimulus,)
        How often each stimulus was drawn.

    Returns
    -------
    similarity : array, shape (rdm, participant)
        The similarities; NaN where a participant has fewer than three pairs in the draw.
    ceiling : callable
        A function of how often each participant was drawn, which returns the lower and the upper bound.
    """
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
    """Return the mean over the participants drawn, each as often as it was.

    Parameters
    ----------
    similarity : array, shape (rdm, participant)
        Similarities; those that are NaN are left out.
    people : array of int, shape (participant,)
        How often each participant was drawn.

    Returns
    -------
    array, shape (rdm,)
        The means; NaN where nothing is left.
    """
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
