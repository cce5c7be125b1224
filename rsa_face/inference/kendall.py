"""Kendall's tau in a draw: pairs of pairs in opposite order, counted block by block with weights."""

from typing import Any

import numpy as np

from rsa_face.inference.vectors import Floats, Ranks, compiled


def tau(x: tuple[Ranks, Ranks], y: Ranks, weights: Ranks, *, tie_corrected: bool, matched: bool = False) -> Floats:
    """Return Kendall's tau between RDMs in a draw: tau-a, or tau-b where corrected for ties.

    Defined as in scipy, with each pair as often as it was drawn (Kendall 1938, 10.1093/biomet/30.1-2.81). Copies of
    a pair are ties in both. The counts are whole numbers, so nothing is rounded before the last division.

    Parameters
    ----------
    x : tuple of array of int32, shape (rdm, kept)
        Ranks, or any whole numbers from 0 in the same order, and the places of the pairs in that order.
    y : array of int32, shape (participant, kept)
        Ranks.
    weights : array of int32, shape (kept,)
        How often each pair occurs, 1 or more.
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
    ordered_y = np.argsort(y, axis=1, kind="stable").astype(np.int32)
    width = max(1, round(0.55 * len(weights) ** 0.5))
    ties_x, ties_y = _ties(ranks, ordered, weights), _ties(y, ordered_y, weights)
    counts = _concordance((ranks, ordered, ties_x), (y, ordered_y, ties_y), weights, width, matched)
    total = float(weights.sum(dtype=np.int64))
    pairs = total * (total - 1) / 2
    table = counts[:, 0] if matched else counts
    if not tie_corrected:
        return np.asarray(np.clip(table / pairs, -1, 1))
    untied_x, untied_y = np.sqrt(pairs - ties_x), np.sqrt(pairs - ties_y)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.clip(table / (untied_x if matched else untied_x[:, None]) / untied_y, -1, 1))


@compiled
def _ties(ranks: Any, ordered: Any, weights: Any) -> Any:
    """Return how many pairs of pairs are tied in each RDM."""
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
def _concordance(x: Any, y: Any, weights: Any, width: Any, matched: Any) -> Any:
    """Return concordant minus discordant pairs of pairs.

    Both RDMs are cut into blocks of neighbouring ranks. Pairs that lie in other blocks of both are counted from how
    many lie in each combination of blocks; those in the same block of either one by one. RDMs without ties are cut
    into blocks of one width, which stand side by side so that a processor can count several blocks at a time.
    """
    ranks_x, ordered_x, ties_x = x
    ranks_y, ordered_y, ties_y = y
    rdms, pairs = ranks_x.shape
    people = len(ranks_y)
    blocks = (pairs + width - 1) // width
    total, copies = 0, 0
    for index in range(pairs):
        total += weights[index]
        copies += weights[index] * (weights[index] - 1) // 2
    table = np.empty((rdms, 1 if matched else people), dtype=np.int64)
    block_x, block_y = np.empty(pairs, dtype=np.int32), np.empty((people, pairs), dtype=np.int32)
    turned_x, turned_y = np.empty((width, blocks), np.int32), np.empty((people, width, blocks), np.int32)
    heavy_x, heavy_y = np.empty((width, blocks), np.int32), np.empty((people, width, blocks), np.int32)
    room = (np.empty(pairs, np.int32), np.empty(pairs, np.int32), np.empty(pairs, np.int32))
    found, others = np.empty(blocks, np.int32), np.empty((width, blocks), np.int32)
    for person in range(people):
        own = (ranks_y[person], ordered_y[person], ties_y[person] == copies)
        _cut(own, weights, total, block_y[person], turned_y[person], heavy_y[person])
    for rdm in range(rdms):
        _cut((ranks_x[rdm], ordered_x[rdm], ties_x[rdm] == copies), weights, total, block_x, turned_x, heavy_x)
        for column in range(table.shape[1]):
            person = rdm if matched else column
            against = _between_blocks(block_x, block_y[person], weights, blocks)
            joint = copies  # copies of one pair are tied in both
            if ties_x[rdm] == copies:
                against += _within_even_blocks(turned_x, ranks_y[person], heavy_x, found, others)
            else:
                values, ranks, heavy = room
                _gather(ordered_x[rdm], ranks_x[rdm], ranks_y[person], weights, values, ranks, heavy)
                joint = _joint_ties(values, ranks, heavy, ties_x[rdm])
                against += _within_blocks(ordered_x[rdm], block_x, values, ranks, heavy)
            if ties_y[person] == copies:
                against += _within_even_blocks(turned_y[person], block_x, heavy_y[person], found, others)
            else:
                values, ranks, heavy = room
                _gather(ordered_y[person], ranks_y[person], block_x, weights, values, ranks, heavy)
                against += _within_blocks(ordered_y[person], block_y[person], values, ranks, heavy)
            alike = ties_x[rdm] + ties_y[person] - joint
            table[rdm, column] = total * (total - 1) // 2 - alike - 2 * against
    return table


@compiled
def _cut(rdm: Any, weights: Any, total: Any, block: Any, turned: Any, heavy: Any) -> Any:
    """Put each pair into a block: of one width, or where there are ties, the block of its rank, which ties share."""
    ranks, ordered, untied = rdm
    if untied:
        _cut_evenly(ordered, weights, block, turned, heavy)
        return
    blocks = turned.shape[1]
    for index in range(len(ranks)):
        block[index] = (np.int64(ranks[index]) * blocks) // (2 * total + 1)


@compiled
def _cut_evenly(ordered: Any, weights: Any, block: Any, turned: Any, heavy: Any) -> Any:
    """Put pairs into blocks of one width in order, a column for each block; what is left of the last weighs 0."""
    width, blocks = turned.shape
    pairs = len(ordered)
    for number in range(blocks):
        for row in range(width):
            index = number * width + row
            if index < pairs:
                place = ordered[index]
                block[place] = number
                turned[row, number], heavy[row, number] = place, weights[place]
            else:
                turned[row, number], heavy[row, number] = 0, 0


@compiled
def _within_even_blocks(turned: Any, ranks: Any, heavy: Any, found: Any, others: Any) -> Any:
    """Return the discordant pairs within blocks, for all blocks side by side."""
    width, blocks = turned.shape
    for row in range(width):
        for block in range(blocks):
            others[row, block] = ranks[turned[row, block]]
    against = 0
    for later in range(1, width):
        found[:] = 0
        for earlier in range(later):
            for block in range(blocks):
                found[block] += heavy[earlier, block] * np.int32(others[earlier, block] > others[later, block])
        for block in range(blocks):
            against += np.int64(heavy[later, block]) * found[block]
    return against


@compiled
def _gather(ordered: Any, own: Any, other: Any, weights: Any, values: Any, others: Any, heavy: Any) -> Any:
    for index in range(len(ordered)):
        place = ordered[index]
        values[index], others[index], heavy[index] = own[place], other[place], weights[place]


@compiled
def _between_blocks(block_x: Any, block_y: Any, weights: Any, blocks: Any) -> Any:
    """Return the discordant pairs that lie in different blocks of both RDMs."""
    held = np.zeros((blocks, blocks), dtype=np.int32)
    for index in range(len(weights)):
        held[block_x[index], block_y[index]] += weights[index]
    against: Any = 0
    below = np.zeros(blocks, dtype=np.int64)  # in lower blocks of x, by block of y
    for row in range(blocks):
        beyond = 0
        for column in range(blocks - 1, -1, -1):
            against += held[row, column] * beyond
            beyond += below[column]
        for column in range(blocks):
            below[column] += held[row, column]
    return against


@compiled
def _within_blocks(ordered: Any, block: Any, values: Any, others: Any, heavy: Any) -> Any:
    """Return the discordant pairs within each block of the RDM that gives the order."""
    pairs = len(ordered)
    against: Any = 0
    start = 0
    while start < pairs:
        stop = start + 1
        while stop < pairs and block[ordered[stop]] == block[ordered[start]]:
            stop += 1
        if values[start] != values[stop - 1]:
            against += _discordant(values[start:stop], others[start:stop], heavy[start:stop])
        start = stop
    return against


@compiled
def _discordant(values: Any, others: Any, heavy: Any) -> Any:
    against: Any = 0
    for later in range(1, len(values)):
        value, other = values[later], others[later]
        found: Any = np.int32(0)
        for earlier in range(later):
            turned = np.int32((others[earlier] > other) & (values[earlier] < value))
            found = np.int32(found + np.int32(heavy[earlier] * turned))
        against = against + np.int64(heavy[later]) * found
    return against


@compiled
def _joint_ties(values: Any, others: Any, heavy: Any, ties: Any) -> Any:
    """Return the pairs of pairs that are tied in both RDMs; copies of one pair always are."""
    pairs = len(values)
    joint: Any = 0
    for index in range(pairs):
        joint += heavy[index] * (heavy[index] - 1) // 2
    if joint == ties:  # nothing but copies is tied
        return joint
    start = 0
    while start < pairs:
        stop = start + 1
        while stop < pairs and values[stop] == values[start]:
            stop += 1
        if stop - start > 1:
            order = np.argsort(others[start:stop])
            group = np.int64(heavy[start + order[0]])
            for index in range(1, stop - start):
                weight = heavy[start + order[index]]
                if others[start + order[index]] == others[start + order[index - 1]]:
                    joint += group * weight
                    group += weight
                else:
                    group = np.int64(weight)
        start = stop
    return joint
