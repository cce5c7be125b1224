"""RDMs as vectors, and the kernels that compare them: products, ranks and Kendall's tau, weighted by a draw."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from rsa_face.schema import Array, library_of

Floats = NDArray[np.float64]
Whole = NDArray[np.int64]
Ranks = NDArray[np.int32]
Truths = NDArray[np.bool_]


def to_vectors(rdms: NDArray[Any]) -> Floats:
    """Return the dissimilarities above the diagonal, row by row, as rsatoolbox orders them.

    Examples
    --------
    >>> to_vectors(np.array([[[0, 1, 2], [1, 0, 3], [2, 3, 0]]]))
    array([[1., 2., 3.]])
    """
    rows, columns = pairs_of(rdms.shape[-1])
    return np.ascontiguousarray(rdms[:, rows, columns], dtype=np.float64)


@cache
def pairs_of(stimuli: int) -> tuple[Whole, Whole]:
    """Return the two stimuli of each pair, as positions."""
    rows, columns = np.triu_indices(stimuli, 1)
    rows.flags.writeable = columns.flags.writeable = False  # kept for the next call
    return rows, columns


def stimuli_of(pairs: int) -> int:
    """Return how many stimuli make a number of pairs.

    Examples
    --------
    >>> stimuli_of(3)
    3
    """
    stimuli = round((1 + float(np.sqrt(1 + 8 * pairs))) / 2)
    if stimuli * (stimuli - 1) // 2 != pairs:
        message = (
            f"No RDM has a vector of {pairs} pairs: that is not n (n - 1) / 2 for any number n of stimuli. "
            "Give the upper triangle of a square RDM."
        )
        raise ValueError(message)
    return stimuli


def pair_weights(stimuli: NDArray[Any]) -> Floats:
    """Return how often each pair of stimuli occurs in a draw.

    A stimulus drawn twice makes two copies, and the pair of the two copies has a dissimilarity of 0 that any RDM
    predicts; rsatoolbox leaves it out, and so it has no weight here.

    Examples
    --------
    >>> pair_weights(np.array([2, 0, 3]))
    array([0., 6., 0.])
    """
    rows, columns = pairs_of(len(stimuli))
    drawn = np.asarray(stimuli, dtype=np.float64)
    return np.asarray(drawn[rows] * drawn[columns])


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a loop over plain arrays with numba when it is first called, and keep the machine code if possible.

    The code is kept where numba can write; in a read-only installation it is compiled again in each session. The
    loops hold no lock, so that draws run on several threads.
    """
    try:
        loop: Callable[..., Any] = numba.njit(nogil=True, cache=True)(function)
    except RuntimeError:
        loop = numba.njit(nogil=True)(function)
    return loop


_DIGIT = 13  # bits of one pass of the radix sort: as many counters as the fastest cache holds
_HALF = 32  # bits of a packed pair that hold its weight; the others hold its place


@dataclass(frozen=True, eq=False)
class Sorted:
    """RDM vectors sorted once, so that no draw has to sort them again."""

    order: NDArray[np.uint32]  # (rdm, pair): the pairs of each RDM from the least to the most dissimilar
    tied: Truths  # (rdm, pair): whether a pair, in that order, is as dissimilar as the one before it


def sort_once(vectors: Floats) -> Sorted:
    """Sort RDM vectors and mark their ties."""
    order = np.argsort(vectors, axis=1, kind="stable")
    values = np.take_along_axis(vectors, order, axis=1)
    tied = np.zeros(vectors.shape, dtype=bool)
    # sorted, equal values are neighbours: a tie needs a look at one of them
    tied[:, 1:] = values[:, 1:] == values[:, :-1]
    return Sorted(order.astype(np.uint32), tied)


def double_ranks(once: Sorted, weights: Floats) -> tuple[Ranks, Ranks]:
    """Return twice the ranks of the pairs in a draw, as whole numbers.

    A pair of weight 3 stands for three equal pairs. Equal pairs share the mean of their ranks, as in
    `scipy.stats.rankdata`; twice that mean is a whole number, so ranks add up without rounding and ties stay ties.
    """
    places, packed = _packed(weights)
    ranks = _double_ranks(once.order, once.tied, packed, np.uint64(len(places)))
    return ranks[:-1].reshape(len(once.order), len(places)), weights[places].astype(np.int32)


def kept_in_order(once: Sorted, weights: Floats) -> Ranks:
    """Return the pairs that occur in a draw, from the least to the most dissimilar."""
    places, packed = _packed(weights)
    return np.asarray(_kept_in_order(once.order, packed, len(places)))


def _packed(weights: Floats) -> tuple[Whole, NDArray[np.uint64]]:
    """Return the pairs that occur, and for every pair its place among them and its weight in one number."""
    places = np.flatnonzero(weights)
    # pairs that do not occur get the number after the last: they are written where nothing is read
    number = np.full(len(weights), len(places), dtype=np.uint64)
    number[places] = np.arange(len(places), dtype=np.uint64)
    return places, (number << np.uint64(_HALF)) | weights.astype(np.uint64)


@compiled
def _double_ranks(order: Any, tied: Any, packed: Any, width: Any) -> Any:
    # Pairs that do not occur are written just past the row's end, where the next row overwrites them: no branch.
    rdms, pairs = order.shape
    low = np.uint64((1 << _HALF) - 1)
    ranks = np.empty(rdms * width + 1, dtype=np.int32)
    for rdm in range(rdms):
        row = ranks[rdm * width : (rdm + 1) * width + 1]
        before = np.uint64(1)
        if not tied[rdm].any():
            for index in range(pairs):
                pair = packed[order[rdm, index]]
                weight = pair & low
                row[pair >> np.uint64(_HALF)] = before + weight
                before += weight + weight
        else:
            _double_ranks_with_ties(order[rdm], tied[rdm], packed, row)
    return ranks


@compiled
def _double_ranks_with_ties(order: Any, tied: Any, packed: Any, row: Any) -> Any:
    pairs = len(order)
    low = np.uint64((1 << _HALF) - 1)
    before = np.uint64(1)
    start = 0
    while start < pairs:
        # a run of ties first, to know its weight; then all of it gets the same mean rank
        weight = packed[order[start]] & low
        stop = start + 1
        while stop < pairs and tied[stop]:
            weight += packed[order[stop]] & low
            stop += 1
        for index in range(start, stop):
            row[packed[order[index]] >> np.uint64(_HALF)] = before + weight
        before += weight + weight
        start = stop


@compiled
def _kept_in_order(order: Any, packed: Any, width: Any) -> Any:
    rdms, pairs = order.shape
    ordered = np.empty((rdms, width), dtype=np.int32)
    for rdm in range(rdms):
        filled = 0
        for index in range(pairs):
            place = packed[order[rdm, index]] >> np.uint64(_HALF)
            if place < width:
                ordered[rdm, filled] = place
                filled += 1
    return ordered


def rank_whole(keys: Whole, weights: Ranks) -> tuple[Ranks, Ranks]:
    """Return twice the ranks of whole numbers, and their order, by a radix sort.

    The pooled ranks of the noise ceiling are other numbers in each draw, and so must be sorted in each.

    Examples
    --------
    >>> ranks, ordered = rank_whole(np.array([30, 10, 10]), np.array([1, 1, 2], dtype=np.int32))
    >>> (ranks / 2).tolist(), ordered.tolist()
    ([4.0, 2.0, 2.0], [1, 2, 0])
    """
    ranks, ordered = np.empty(len(keys), dtype=np.int32), np.empty(len(keys), dtype=np.int32)
    _rank_whole(keys, weights, ranks, ordered)
    return ranks, ordered


@compiled
def _rank_whole(keys: Any, weights: Any, ranks: Any, ordered: Any) -> Any:
    packed, width = _sort_whole(keys, _room_to_sort(len(keys)))
    places = (np.uint64(1) << width) - np.uint64(1)
    for index in range(len(keys)):
        ordered[index] = packed[index] & places
    _rank_in_order(keys, weights, ranks, ordered)


@compiled
def _room_to_sort(size: Any) -> Any:
    """Return the arrays that `_sort_whole` works in, which serve one sort after another."""
    return np.empty(size, dtype=np.uint64), np.empty(size, dtype=np.uint64), np.empty(1 << _DIGIT, dtype=np.int32)


@compiled
def _sort_whole(keys: Any, room: Any) -> Any:
    """Return whole numbers in order, each with its place in the lowest bits, and how many bits these are."""
    size = len(keys)
    source, target, counts = room
    lowest, highest = (keys.min(), keys.max()) if size else (0, 0)
    span, width, bits = np.uint64(highest - lowest), np.uint64(0), np.uint64(0)
    while np.uint64(size) >> width > 0:
        width += np.uint64(1)
    while span >> bits > 0:
        bits += np.uint64(1)
    passes = (int(bits) + _DIGIT - 1) // _DIGIT
    digit = np.uint64((int(bits) + passes - 1) // max(passes, 1))
    mask = (np.uint64(1) << digit) - np.uint64(1)
    for index in range(size):
        # packed, so that no pass has to look up a number by its place
        source[index] = (np.uint64(keys[index] - lowest) << width) | np.uint64(index)
    # least significant digits first: each pass keeps the order of the passes before it, so that ties stay in order
    for step in range(passes):
        shift, total = width + digit * np.uint64(step), 0
        counts[:] = 0
        for index in range(size):
            counts[(source[index] >> shift) & mask] += 1
        # counts become the places where each digit begins
        for bucket in range(1 << int(digit)):
            number = counts[bucket]
            counts[bucket] = total
            total += number
        for index in range(size):
            pair = source[index]
            value = (pair >> shift) & mask  # no name of a signed number: numba makes floats of both together
            target[np.uint64(counts[value])] = pair
            counts[value] += 1
        source, target = target, source
    return source, width


@compiled
def _rank_in_order(keys: Any, weights: Any, ranks: Any, ordered: Any) -> Any:
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
            # twice the mean of the ranks before + 1 to before + weight
            ranks[ordered[index]] = 2 * before + weight + 1
        before += weight
        start = stop


@compiled
def pooled_ranks(ranks: Any, weights: Any, people: Any, left_out: Any, pooled: Any, ordered: Any) -> None:
    """Rank the sum of the participants' ranks, once for each participant left out."""
    total = summed_ranks(ranks, people)
    for pool in range(len(left_out)):
        person = left_out[pool]
        # a pool without somebody is the sum of all less their ranks, so no sum is made again
        keys = total if person < 0 else total - people[person] * ranks[person]
        _rank_whole(keys, weights, pooled[pool], ordered[pool])


@compiled
def summed_ranks(ranks: Any, times: Any) -> Any:
    """Return the sum of ranks (participant, pair), each times what `times` says, in the numbers of that."""
    total = np.zeros(ranks.shape[1], dtype=times.dtype)
    for person in range(len(times)):
        if times[person] != 0:
            total += times[person] * ranks[person]
    return total


@compiled
def squared_ranks(ranks: Any, weights: Any) -> Any:
    """Return the products of ranks (participant, pair), less their mean, with themselves."""
    middle, squares = weights.sum() + 1, np.zeros(len(ranks))
    for person in range(len(ranks)):
        for pair in range(len(weights)):
            off = np.float64(ranks[person, pair] - middle)
            squares[person] += off * off * weights[pair]
    return squares


@compiled
def compare_with_pools(ranks: Any, weights: Any, people: Any, total: Any, everybody: Any) -> Any:
    """Return the products of participants' ranks with the pool of the others, and that of `everybody` with all.

    Ranks are doubled, less their mean; the products of each pool with itself come second. The pool of all comes last.
    It is also that of the others where one participant alone was drawn. Each pool is ranked and multiplied in one go,
    so that nothing of the size (participant, pair) is written.
    """
    middle, alone, count = weights.sum() + 1, np.count_nonzero(people) == 1, len(people)
    products, squares, room = np.zeros(count + 1), np.zeros(count + 1), _room_to_sort(len(total))
    products[count], squares[count] = _product_in_order(_sort_whole(total, room), everybody, 0, weights)
    for person in range(count):
        if people[person] > 0:
            pool = _sort_whole(total if alone else total - people[person] * ranks[person], room)
            products[person], squares[person] = _product_in_order(pool, ranks[person], middle, weights)
    return products, squares


@compiled
def leave_two_out(ranks: Any, weights: Any, total: Any) -> Any:
    """Return the products of `compare_with_pools` with the others when each participant (row) was left out before.

    A pool without two participants is the same whichever of them was left out first: it is ranked once for both.
    """
    count, middle, room = len(ranks), weights.sum() + 1, _room_to_sort(len(total))
    products, squares = np.zeros((count, count)), np.zeros((count, count))
    for one in range(count):
        for other in range(one):
            pool = _sort_whole(total - ranks[one] - ranks[other], room)
            products[one, other], squares[one, other] = _product_in_order(pool, ranks[other], middle, weights)
            products[other, one], squares[other, one] = _product_in_order(pool, ranks[one], middle, weights)
    return products, squares


@compiled
def _product_in_order(order: Any, values: Any, mean: Any, weights: Any) -> Any:
    """Return the product of sorted numbers' doubled ranks with values less their mean, and with themselves."""
    packed, width = order
    places, middle = (np.uint64(1) << width) - np.uint64(1), weights.sum() + 1
    product, square = 0.0, 0.0
    before, start, size = 0, 0, len(packed)
    while start < size:
        key, weight, other, stop = packed[start] >> width, 0, 0.0, start
        while stop < size and packed[stop] >> width == key:
            place = packed[stop] & places
            weight += weights[place]
            other += weights[place] * (values[place] - mean)
            stop += 1
        off = np.float64(2 * before + weight + 1 - middle)  # ties share their mean rank
        # whole numbers: up to some 400 stimuli the sums are exact
        product += off * other
        square += off * off * weight
        before += weight
        start = stop
    return product, square


_ROWS = 512  # of RDMs side by side, which stay in the processor's cache


@dataclass(frozen=True, eq=False)
class Metric:
    """The inner product of RDM vectors in a draw."""

    weights: Floats  # (place,): how often each pair occurs
    places: Whole  # (place,): which pairs occur
    stimuli: Floats  # (stimulus,): how often each stimulus was drawn
    centred: bool  # whether the mean dissimilarity is taken off first: correlation rather than cosine
    whitened: bool  # whether the covariance of dissimilarities that share a stimulus is taken out


def metric_of(weights: Floats, stimuli: NDArray[np.generic], *, centred: bool, whitened: bool) -> Metric:
    """Return the inner product that belongs to a draw."""
    places = np.flatnonzero(weights)
    return Metric(weights[places], places, stimuli.astype(np.float64), centred, whitened)


def take(vectors: Floats, metric: Metric) -> Floats:
    """Return the pairs of a draw, with the mean off where the metric is centred."""
    chosen = vectors[:, metric.places]
    if metric.centred and chosen.shape[1]:
        # by comparison, not by a variance of 0, which rounding would hide
        flat = chosen.max(axis=1) == chosen.min(axis=1)
        chosen -= (chosen @ metric.weights / metric.weights.sum())[:, None]
        chosen[flat] = 0
    return chosen


def products(x: Floats, y: Floats, metric: Metric) -> tuple[Floats, Floats, Floats]:
    """Return the inner products of two sets of vectors, and each one's with itself.

    Whitened, an RDM is turned into the matrix of second moments that has rows of mean 0, and those are multiplied
    (Diedrichsen, Berlot, Mur, Schuett, Shahbazi & Kriegeskorte 2021, 10.51628/001c.27664). Taking the rows' means off
    is a projection: it needs one number a stimulus, found by one small linear system for all vectors of a draw.
    """
    heavy_x, heavy_y = x * metric.weights, y * metric.weights
    # weights on one side only: a pair drawn w times counts w times in the sum
    between = heavy_x @ y.T
    of_x, of_y = np.einsum("ij,ij->i", heavy_x, x), np.einsum("ij,ij->i", heavy_y, y)
    if not metric.whitened:
        return between, of_x, of_y
    # each pair stands in the matrix twice; what the rows' means hold is taken off
    sums, system = _row_sums(metric)
    sums_x, sums_y = (sums @ x.T).T, (sums @ y.T).T
    # one system for all vectors of a draw: it depends on the draw alone
    means_x, means_y = np.linalg.solve(system, sums_x.T).T, np.linalg.solve(system, sums_y.T).T
    between = 2 * between - (sums_x * metric.stimuli) @ means_y.T
    of_x = 2 * of_x - np.einsum("ij,ij->i", sums_x * metric.stimuli, means_x)
    of_y = 2 * of_y - np.einsum("ij,ij->i", sums_y * metric.stimuli, means_y)
    return between, of_x, of_y


def cosines(between: Array, of_x: Array, of_y: Array) -> Array:
    """Return cosines from products; 0 where a vector has no length, as in rsatoolbox."""
    xp = library_of(between)
    of_x, of_y = (xp.sqrt(xp.clip(squares, 0.0, None)) for squares in (of_x, of_y))
    return quotient(between, of_x[..., :, None] * of_y[..., None, :])


def quotient(values: Array, by: Array) -> Array:
    """Return values over what is 0 or more; 0 where that is 0."""
    xp = library_of(values)
    return xp.where(by > 0, values / xp.where(by > 0, by, 1.0), 0.0)


@compiled
def weighted_sums(columns: Any, places: Any, weights: Any) -> Any:
    """Return the weighted sums and squares of the rows that occur."""
    rdms = columns.shape[1]
    sums, squares = np.zeros(rdms), np.zeros(rdms)
    for row in range(len(places)):
        weight = weights[row]
        values = columns[places[row]]
        for rdm in range(rdms):
            heavy = weight * values[rdm]
            sums[rdm] += heavy
            squares[rdm] += heavy * values[rdm]
    return sums, squares


@compiled
def weighted_products(columns: Any, places: Any, weights: Any, mixed: Any) -> Any:
    """Return the weighted products of all RDMs with mixtures (participant, mixture) of the last ones.

    Of the rows that occur, a cacheful at a time: each value is read from memory once.
    """
    rdms, people = columns.shape[1], mixed.shape[0]
    products = np.zeros((rdms, mixed.shape[1]))
    block, heavy = np.empty((_ROWS, rdms)), np.empty((_ROWS, people))
    for start in range(0, len(places), _ROWS):
        size = min(_ROWS, len(places) - start)
        for row in range(size):
            values = columns[places[start + row]]
            block[row] = values
            # participants alone carry the weights: products with layers need them on one side
            heavy[row] = weights[start + row] * values[rdms - people :]
        products += np.dot(block[:size].T, np.dot(heavy[:size], mixed))
    return products


def _row_sums(metric: Metric) -> tuple[sparse.csr_array, Floats]:
    """Return the matrix that sums a vector over each stimulus, and the system whose solution centres those sums."""
    drawn = metric.stimuli
    count = len(drawn)
    rows, columns = (side[metric.places] for side in pairs_of(count))
    numbers = np.arange(len(metric.places))
    sums = sparse.csr_array(
        (
            np.concatenate([drawn[columns], drawn[rows]]),
            (np.concatenate([rows, columns]), np.concatenate([numbers, numbers])),
        ),
        shape=(count, len(numbers)),
    )
    # centring a row changes the columns that it crosses, so that all means are found together
    system = np.zeros((count, count))
    system[rows, columns] = drawn[columns] / 2
    system[columns, rows] = drawn[rows] / 2
    system[np.diag_indices(count)] = 1 + system.sum(axis=1)
    return sums, system


def tau(x: tuple[Ranks, Ranks], y: Ranks, weights: Ranks, *, tie_corrected: bool, matched: bool = False) -> Floats:
    """Return Kendall's tau between RDMs in a draw: tau-a, or tau-b where corrected for ties.

    Defined as in scipy, with each pair as often as it was drawn (Kendall 1938, 10.1093/biomet/30.1-2.81). Copies of
    a pair are ties in both. The counts are whole numbers, so nothing is rounded before the last division.
    """
    ranks, ordered = x
    # the order of y is needed in each draw; sorting whole numbers of a draw costs little beside the counting
    ordered_y = np.argsort(y, axis=1, kind="stable").astype(np.int32)
    # work between blocks grows with their number, work within them with their width: this balances the two
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
    above, others = np.empty(blocks, np.int32), np.empty((width, blocks), np.int32)
    for person in range(people):
        # the blocks of people serve every layer
        rdm_y = (ranks_y[person], ordered_y[person], ties_y[person] == copies)
        _cut(rdm_y, weights, total, block_y[person], turned_y[person], heavy_y[person])
    for rdm in range(rdms):
        _cut((ranks_x[rdm], ordered_x[rdm], ties_x[rdm] == copies), weights, total, block_x, turned_x, heavy_x)
        for column in range(table.shape[1]):
            person = rdm if matched else column
            # each discordant pair of pairs is counted once: in other blocks of both, within a block of x, or of y
            against = _between_blocks(block_x, block_y[person], weights, blocks)
            joint = copies  # copies of one pair are tied in both
            if ties_x[rdm] == copies:
                against += _within_even_blocks(turned_x, ranks_y[person], heavy_x, above, others)
            else:
                values, ranks, heavy = room
                _gather(ordered_x[rdm], ranks_x[rdm], ranks_y[person], weights, values, ranks, heavy)
                joint = _joint_ties(values, ranks, heavy, ties_x[rdm])
                against += _within_blocks(ordered_x[rdm], block_x, values, ranks, heavy)
            if ties_y[person] == copies:
                against += _within_even_blocks(turned_y[person], block_x, heavy_y[person], above, others)
            else:
                values, ranks, heavy = room
                _gather(ordered_y[person], ranks_y[person], block_x, weights, values, ranks, heavy)
                against += _within_blocks(ordered_y[person], block_y[person], values, ranks, heavy)
            # pairs tied in either are neither concordant nor discordant; those tied in both were counted twice
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
def _within_even_blocks(turned: Any, ranks: Any, heavy: Any, above: Any, others: Any) -> Any:
    """Return the discordant pairs within blocks, for all blocks side by side."""
    width, blocks = turned.shape
    for row in range(width):
        for block in range(blocks):
            others[row, block] = ranks[turned[row, block]]
    against = 0
    for later in range(1, width):
        above[:] = 0
        for earlier in range(later):
            for block in range(blocks):
                above[block] += heavy[earlier, block] * np.int32(others[earlier, block] > others[later, block])
        for block in range(blocks):
            against += np.int64(heavy[later, block]) * above[block]
    return against


@compiled
def _gather(ordered: Any, first: Any, second: Any, weights: Any, values: Any, others: Any, heavy: Any) -> Any:
    for index in range(len(ordered)):
        place = ordered[index]
        values[index], others[index], heavy[index] = first[place], second[place], weights[place]


@compiled
def _between_blocks(block_x: Any, block_y: Any, weights: Any, blocks: Any) -> Any:
    """Return the discordant pairs that lie in different blocks of both RDMs."""
    # how many pairs lie in each combination of blocks
    held = np.zeros((blocks, blocks), dtype=np.int32)
    for index in range(len(weights)):
        held[block_x[index], block_y[index]] += weights[index]
    against: Any = 0
    below = np.zeros(blocks, dtype=np.int64)  # in lower blocks of x, by block of y
    for row in range(blocks):
        # from the highest block of y down: those met before are greater in y, and in a lower block of x
        greater = 0
        for column in range(blocks - 1, -1, -1):
            against += held[row, column] * greater
            greater += below[column]
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
        # a block of one value has ties alone, which are not discordant
        if values[start] != values[stop - 1]:
            against += _discordant(values[start:stop], others[start:stop], heavy[start:stop])
        start = stop
    return against


@compiled
def _discordant(values: Any, others: Any, heavy: Any) -> Any:
    against: Any = 0
    for later in range(1, len(values)):
        value, other = values[later], others[later]
        above: Any = np.int32(0)
        for earlier in range(later):
            # no branch: a comparison that is added up runs several at a time
            turned = np.int32((others[earlier] > other) & (values[earlier] < value))
            above = np.int32(above + np.int32(heavy[earlier] * turned))
        against = against + np.int64(heavy[later]) * above
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
