"""Kendall's tau in a draw: pairs of pairs in opposite order, counted by merging with weights."""

import numpy as np

from rsa_face.inference.vectors import Floats, Whole, compiled

_BITS = 24  # the low bits of a key hold the weight of a pair
_BLOCK = 8


def tau(x: tuple[Whole, Whole], y: Whole, weights: Whole, *, tie_corrected: bool, matched: bool = False) -> Floats:
    """Return Kendall's tau between RDMs in a draw: tau-a, or tau-b where corrected for ties.

    Counted as scipy counts it, with each pair as often as it was drawn (Kendall 1938, 10.1093/biomet/30.1-2.81;
    counting by merging: Knight 1966, 10.1080/01621459.1966.10480879). Copies of a pair are ties in both.

    Parameters
    ----------
    x : tuple of array of int64, shape (rdm, kept)
        Ranks, or any whole numbers in the same order, and the places of the pairs in that order.
    y : array of int64, shape (participant, kept)
        Ranks, at least 0 and below 2**38.
    weights : array of int64, shape (kept,)
        How often each pair occurs, from 1 to below 2**24.
    tie_corrected : bool
        Whether to return tau-b, which is NaN where an RDM has one value only.
    matched : bool
        Whether the first of `x` belongs to the first of `y` alone, and so on.

    Returns
    -------
    array, shape (rdm, participant), or (rdm,) where matched
        The tau.
    """
    ranks, ordered = x
    table = _concordance(ranks, ordered, y, weights, matched)
    total = weights.sum()
    pairs = total * (total - 1) / 2
    if not tie_corrected:
        return np.asarray(np.clip((table[:, 0] if matched else table) / pairs, -1, 1))
    untied_x = np.sqrt(pairs - _ties(ranks, ordered, weights))
    untied_y = np.sqrt(pairs - _ties(y, np.argsort(y, axis=1, kind="stable"), weights))
    with np.errstate(invalid="ignore", divide="ignore"):
        rows, columns = (table[:, 0], untied_x) if matched else (table, untied_x[:, None])
        found = rows / columns / untied_y
    return np.asarray(np.clip(found, -1, 1))


@compiled
def _ties(ranks, ordered, weights):  # type: ignore[no-untyped-def]  # compiled by numba, which infers the types
    rdms, pairs = ranks.shape
    ties = np.zeros(rdms, dtype=np.int64)
    for rdm in range(rdms):
        group = 0
        for index in range(pairs):
            place = ordered[rdm, index]
            if index > 0 and ranks[rdm, place] != ranks[rdm, ordered[rdm, index - 1]]:
                ties[rdm] += group * (group - 1) // 2
                group = 0
            group += weights[place]
        ties[rdm] += group * (group - 1) // 2
    return ties


@compiled
def _concordance(ranks, ordered, y, weights, matched):  # type: ignore[no-untyped-def]  # compiled by numba
    rdms, pairs = ranks.shape
    table = np.empty((rdms, 1 if matched else len(y)), dtype=np.int64)
    keys = np.empty(pairs, dtype=np.int64)
    spare = np.empty(pairs, dtype=np.int64)
    total = weights.sum()
    x_ties = _ties(ranks, ordered, weights)
    y_ties = np.empty(len(y), dtype=np.int64)
    for person in range(len(y)):
        places = np.argsort(y[person], kind="mergesort")
        y_ties[person] = _ties(y[person : person + 1], places.reshape((1, -1)), weights)[0]
    for rdm in range(rdms):
        for column in range(table.shape[1]):
            person = rdm if matched else column
            for index in range(pairs):
                place = ordered[rdm, index]
                keys[index] = (y[person, place] << _BITS) | weights[place]
            joint = _sort_within_ties(keys, ranks[rdm], ordered[rdm])
            discordant = _count_inversions(keys, spare)
            alike = x_ties[rdm] + y_ties[person] - joint
            table[rdm, column] = total * (total - 1) // 2 - alike - 2 * discordant
    return table


@compiled
def _sort_within_ties(keys, ranks, ordered):  # type: ignore[no-untyped-def]  # compiled by numba
    """Sort the keys where the other RDM is tied, and return how many pairs of pairs are tied in both."""
    low = (1 << _BITS) - 1
    joint = 0
    start = 0
    pairs = len(keys)
    while start < pairs:
        stop = start + 1
        while stop < pairs and ranks[ordered[stop]] == ranks[ordered[start]]:
            stop += 1
        if stop - start > 1:
            keys[start:stop].sort()
        group = keys[start] & low
        for index in range(start + 1, stop):
            if keys[index] >> _BITS != keys[index - 1] >> _BITS:
                joint += group * (group - 1) // 2
                group = 0
            group += keys[index] & low
        joint += group * (group - 1) // 2
        start = stop
    return joint


@compiled
def _count_inversions(keys, spare):  # type: ignore[no-untyped-def]  # compiled by numba
    """Sort the keys, and return the summed products of weights of those that stood the wrong way round."""
    low = (1 << _BITS) - 1
    size = len(keys)
    count = 0
    for start in range(0, size, _BLOCK):
        for index in range(start + 1, min(start + _BLOCK, size)):
            key = keys[index]
            weight = key & low
            back = index - 1
            while back >= start and keys[back] > key | low:
                count += weight * (keys[back] & low)
                keys[back + 1] = keys[back]
                back -= 1
            keys[back + 1] = key
    source, target = keys, spare
    width = _BLOCK
    while width < size:
        for start in range(0, size, 2 * width):
            middle = min(start + width, size)
            stop = min(start + 2 * width, size)
            waiting = 0
            for index in range(start, middle):
                waiting += source[index] & low
            left, right, out = start, middle, start
            while left < middle and right < stop:
                one, other = source[left], source[right]
                jumps = other | low < one
                target[out] = other if jumps else one
                count += (other & low) * waiting if jumps else 0
                waiting -= 0 if jumps else one & low
                left += 0 if jumps else 1
                right += 1 if jumps else 0
                out += 1
            while left < middle:
                target[out] = source[left]
                left += 1
                out += 1
            while right < stop:
                target[out] = source[right]
                right += 1
                out += 1
        source, target = target, source
        width *= 2
    return count
