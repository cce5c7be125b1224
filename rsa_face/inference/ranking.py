"""Ranks in a draw: each RDM is sorted once, and its ranks in a draw are cumulative weights in that order."""

from dataclasses import dataclass

import numpy as np

from rsa_face.inference.vectors import Floats, Ranks, Truths, Whole, compiled

_DIGIT = 11  # bits of one pass of the radix sort


@dataclass(frozen=True, eq=False)
class Sorted:
    """RDM vectors sorted once, so that no draw has to sort them again.

    Parameters
    ----------
    order : array of int32, shape (rdm, pair)
        The pairs of each RDM from the least to the most dissimilar.
    tied : array of bool, shape (rdm, pair)
        Whether a pair, in that order, is as dissimilar as the one before it.
    """

    order: Ranks
    tied: Truths


def sort_once(vectors: Floats) -> Sorted:
    """Sort RDM vectors and mark their ties.

    Parameters
    ----------
    vectors : array, shape (rdm, pair)
        Dissimilarities. Missing ones are sorted last; give them no weight.

    Returns
    -------
    Sorted
        Their order.
    """
    order = np.argsort(vectors, axis=1, kind="stable")
    values = np.take_along_axis(vectors, order, axis=1)
    tied = np.zeros(vectors.shape, dtype=bool)
    tied[:, 1:] = values[:, 1:] == values[:, :-1]
    return Sorted(order.astype(np.int32), tied)


def double_ranks(once: Sorted, weights: Floats) -> tuple[Ranks, Ranks, Ranks]:
    """Return twice the ranks of the pairs in a draw, as whole numbers.

    A pair of weight 3 stands for three equal pairs. Equal pairs share the mean of their ranks, as in
    `scipy.stats.rankdata`; twice that mean is a whole number, so ranks add up without rounding and ties stay ties.

    Parameters
    ----------
    once : Sorted
        RDMs, sorted.
    weights : array, shape (pair,)
        How often each pair occurs in the draw: whole numbers, 0 where it does not.

    Returns
    -------
    ranks : array of int32, shape (rdm, kept)
        Twice the ranks of the pairs that occur.
    ordered : array of int32, shape (rdm, kept)
        The places of these pairs, from the least to the most dissimilar.
    weights : array of int32, shape (kept,)
        Their weights.
    """
    kept = np.flatnonzero(weights)
    place = np.full(len(weights), len(kept), dtype=np.int32)
    place[kept] = np.arange(len(kept), dtype=np.int32)
    whole = weights.astype(np.int32)
    shape = (len(once.order), len(kept))
    ranks, ordered = _double_ranks(once.order, once.tied, whole, place, len(kept))
    return ranks[:-1].reshape(shape), ordered[:-1].reshape(shape), whole[kept]


@compiled
def _double_ranks(  # type: ignore[no-untyped-def]  # compiled by numba, which infers the types
    order, tied, weights, place, kept
):
    # Pairs that do not occur are written just past the row's end, where the next row overwrites them: no branch.
    rdms, pairs = order.shape
    ranks = np.empty(rdms * kept + 1, dtype=np.int32)
    ordered = np.empty(rdms * kept + 1, dtype=np.int32)
    for rdm in range(rdms):
        row = rdm * kept
        before = 0
        filled = 0
        start = 0
        while start < pairs:
            pair = order[rdm, start]
            weight = weights[pair]
            stop = start + 1
            if stop == pairs or not tied[rdm, stop]:
                ranks[row + place[pair]] = 2 * before + weight + 1
                ordered[row + filled] = place[pair]
                filled += weight > 0
            else:
                while stop < pairs and tied[rdm, stop]:
                    weight += weights[order[rdm, stop]]
                    stop += 1
                for index in range(start, stop):
                    pair = order[rdm, index]
                    ranks[row + place[pair]] = 2 * before + weight + 1
                    ordered[row + filled] = place[pair]
                    filled += weights[pair] > 0
            before += weight
            start = stop
    return ranks, ordered


def rank_whole(keys: Whole, weights: Ranks) -> tuple[Ranks, Ranks]:
    """Return twice the ranks of whole numbers, and their order, by a radix sort.

    The pooled ranks of the noise ceiling are other numbers in each draw, and so must be sorted in each.

    Parameters
    ----------
    keys : array of int64, shape (kept,)
        What to rank, 0 or more.
    weights : array of int32, shape (kept,)
        How often each occurs.

    Returns
    -------
    ranks : array of int32, shape (kept,)
        Twice the ranks.
    ordered : array of int32, shape (kept,)
        Their places, from the lowest key to the highest.

    Examples
    --------
    >>> ranks, ordered = rank_whole(np.array([30, 10, 10]), np.array([1, 1, 2], dtype=np.int32))
    >>> (ranks / 2).tolist(), ordered.tolist()
    ([4.0, 2.0, 2.0], [1, 2, 0])
    """
    ranks, ordered, spare = (np.empty(len(keys), dtype=np.int32) for _ in range(3))
    _rank_whole(keys, weights, ranks, ordered, spare)
    return ranks, ordered


@compiled
def _rank_whole(keys, weights, ranks, ordered, spare):  # type: ignore[no-untyped-def]  # compiled by numba
    size = len(keys)
    source, target = ordered, spare
    for index in range(size):
        source[index] = index
    highest = keys.max() if size else 0
    counts = np.empty(1 << _DIGIT, dtype=np.int64)
    shift = 0
    while highest >> shift > 0:
        counts[:] = 0
        for index in range(size):
            counts[(keys[index] >> shift) & ((1 << _DIGIT) - 1)] += 1
        total = 0
        for digit in range(1 << _DIGIT):
            count = counts[digit]
            counts[digit] = total
            total += count
        for index in range(size):
            place = source[index]
            digit = (keys[place] >> shift) & ((1 << _DIGIT) - 1)
            target[counts[digit]] = place
            counts[digit] += 1
        source, target = target, source
        shift += _DIGIT
    if (shift // _DIGIT) % 2 == 1:
        ordered[:] = source
    _rank_in_order(keys, weights, ranks, ordered)


@compiled
def _rank_in_order(keys, weights, ranks, ordered):  # type: ignore[no-untyped-def]  # compiled by numba
    size = len(keys)
    before = 0
    start = 0
    while start < size:
        key = keys[ordered[start]]
        weight = 0
        stop = start
        while stop < size and keys[ordered[stop]] == key:
            weight += weights[ordered[stop]]
            stop += 1
        for index in range(start, stop):
            ranks[ordered[index]] = 2 * before + weight + 1
        before += weight
        start = stop


@compiled
def pooled_ranks(ranks, weights, people, left_out, pooled, ordered):  # type: ignore[no-untyped-def]  # compiled
    """Rank the sum of the participants' ranks, once for each participant left out.

    Parameters
    ----------
    ranks : array of int32, shape (participant, kept)
        Twice the ranks of each participant.
    weights : array of int32, shape (kept,)
        How often each pair occurs.
    people : array of int64, shape (participant,)
        How often each participant was drawn.
    left_out : array of int64, shape (pool,)
        The participant to leave out of each pool, with every copy; -1 for none.
    pooled : array of int32, shape (pool, kept)
        Takes twice the ranks of the pools.
    ordered : array of int32, shape (pool, kept)
        Takes the places of the pairs in each pool's order.
    """
    total = np.zeros(ranks.shape[1], dtype=np.int64)
    for person in range(len(people)):
        if people[person] > 0:
            total += people[person] * ranks[person]
    spare = np.empty(len(total), dtype=np.int32)
    for pool in range(len(left_out)):
        person = left_out[pool]
        keys = total if person < 0 else total - people[person] * ranks[person]
        _rank_whole(keys, weights, pooled[pool], ordered[pool], spare)
