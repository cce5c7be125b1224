"""Standard errors by leaving out stimuli and participants, one and two at a time, and their degrees of freedom."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from rsa_face.inference.resampling import FEWEST_GROUPS, Draws, group_members, hashed_order, unit_names
from rsa_face.inference.vectors import Whole
from rsa_face.schema import PARTICIPANT

ROW = "jackknife"
"""The dimension of `jackknife_rows` in a result; its coordinate `component` says what each row is part of."""

COMPONENTS = ("stimulus", "participant", "stimulus x participant", "pair", "pair x participant")
"""What a similarity varies with: the places of the sums of squares in `sampling_error`."""

FEWEST_UNITS = (FEWEST_GROUPS + 2, 3)
"""So many stimuli (or groups) and participants are needed to leave out two and one of them."""

ALL_PAIRS = 800
"""Every pair of stimuli is left out up to this many: up to 40 stimuli."""

# Of more stimuli, so many pairs. What belongs to pairs is then a small part of the variance (a tenth with 90
# stimuli), which this many tell within 7 %, and the time stays near that of 1,000 draws.
SOME_PAIRS = 400
CROSSED = 200  # pairs that are left out with a participant as well: each such deletion takes a ceiling of its own


@dataclass(frozen=True, eq=False)
class Deletions:
    """What to leave out.

    Parameters
    ----------
    draws : Draws
        Draws with multiplicities of 0 and 1. Those that leave out the same stimuli follow one another, so that they
        share one evaluation.
    sets : array of int, shape (1 + group + pair,)
        Which draw leaves out no stimulus, each stimulus (or group), and each pair, with all participants.
    pairs : array of int, shape (pair, 2)
        The pairs of stimuli (or groups).
    crossed : array of int, shape (cell, 3)
        For each set that is left out together with a participant: the set, the participant, and the draw.
    """

    draws: Draws
    sets: Whole
    pairs: Int[np.ndarray, "pair 2"]
    crossed: Int[np.ndarray, "cell 3"]


def deletions_of(human: xr.DataArray, *, groups: str | None = None) -> Deletions:
    """Return what a comparison with these people leaves out: the same in whatever order stimuli and people stand."""
    orders = [hashed_order(names) for names in unit_names(human, groups)]
    return leave_out(group_members(human, groups), human.sizes[PARTICIPANT], orders=(orders[0], orders[1]))


def leave_out(members: Whole, people: int, *, orders: tuple[Whole, Whole] | None = None) -> Deletions:
    """Return everything to leave out.

    Each stimulus, each participant, every pair of stimuli up to `ALL_PAIRS`, and combinations of these with a
    participant, all of them where they are few. A selection is balanced: each stimulus is in as many pairs as any
    other, each participant in as many combinations.

    Parameters
    ----------
    members : array of int, shape (group, stimulus)
        Which stimuli make up each group that is left out as a whole, see `resampling.group_members`.
    people : int
        How many participants there are.
    orders : tuple of array, shapes (group,) and (participant,), optional
        Orders by which a selection is made, so that it does not depend on how the data are ordered.
    """
    groups = len(members)
    of_groups, of_people = (np.arange(groups), np.arange(people)) if orders is None else orders
    pairs = of_groups[_pairs_of(groups)]
    cells = _crossed(pairs, groups, of_people)
    kept = np.ones((1 + groups + len(pairs), groups), dtype=np.int64)
    kept[1 + np.arange(groups), np.arange(groups)] = 0
    np.put_along_axis(kept[1 + groups :], pairs, 0, axis=1)
    # one draw for each set with all participants, then one for each cell; sorted so that a set's draws are neighbours
    sets = np.concatenate([np.arange(len(kept)), cells[:, 0]])
    order = np.argsort(sets, kind="stable")
    place = np.argsort(order)
    persons = np.ones((len(sets), people), dtype=np.int64)
    persons[len(kept) + np.arange(len(cells)), cells[:, 1]] = 0
    usable = np.ones(len(sets), dtype=bool)
    draws = Draws("both", (kept @ members)[sets[order]], persons[order], usable, 0, (groups, people))
    crossed = np.column_stack([cells, place[len(kept) :]])
    return Deletions(draws, place[: len(kept)], pairs, crossed)


def _pairs_of(groups: int) -> Int[np.ndarray, "pair 2"]:
    if groups * (groups - 1) // 2 <= ALL_PAIRS:
        return np.stack(np.triu_indices(groups, 1), axis=1)
    # around a circle, each with its nearest neighbours on either side
    first = np.tile(np.arange(groups), max(1, SOME_PAIRS // groups))
    distance = np.repeat(np.arange(1, first.size // groups + 1), groups)
    return np.stack([first, (first + distance) % groups], axis=1)[:SOME_PAIRS]


def _crossed(pairs: Int[np.ndarray, "pair 2"], groups: int, of_people: Whole) -> Int[np.ndarray, "cell 2"]:
    """Return which sets (0: none; stimuli from 1; then pairs) are left out together with which participant."""
    people = len(of_people)
    # mixed once by a fixed seed, so that no participant goes with a particular place on the circle
    mixed = np.random.default_rng(0).permutation(len(pairs))
    wanted = np.arange(min(CROSSED, len(pairs) * people))
    chosen = mixed[wanted % len(pairs)]
    person = (wanted + wanted // len(pairs)) % people  # a pair meets another participant in each round
    if groups * people <= 2 * CROSSED:
        single = np.stack(np.divmod(np.arange(groups * people), people), axis=1)
    else:  # those that the pairs need
        single = np.unique(np.column_stack([pairs[chosen].T.ravel(), np.tile(of_people[person], 2)]), axis=0)
    nobody = np.stack([np.zeros(people, dtype=np.int64), np.arange(people)], axis=1)
    of_pairs = np.column_stack([1 + groups + chosen, of_people[person]])
    return np.concatenate([nobody, single + np.array([1, 0]), of_pairs])


def jackknife_rows(
    left: Float[np.ndarray, "draw quantity"], deletions: Deletions
) -> tuple[Float[np.ndarray, "row quantity"], list[str]]:
    """Turn values with something left out into rows whose squares add up to the components of the variance.

    Rows are linear in the values, so those of a difference are the difference of the rows.

    Parameters
    ----------
    left : array, shape (draw, quantity)
        The values with something left out, in the order of ``deletions.draws``.
    deletions : Deletions
        What was left out.

    Returns
    -------
    rows : array, shape (component x quantity, quantity)
        For each component the root of its matrix of squares and products, which no order of the deletions changes.
    components : list of str
        The component of each row.
    """
    n, m = deletions.draws.units
    sets, (i, j) = left[deletions.sets], deletions.pairs.T
    whole, one, two = sets[0], sets[1 : n + 1], sets[n + 1 :]
    which, person, draw = deletions.crossed.T
    without = {(int(s), int(k)): row for s, k, row in zip(which, person, left[draw], strict=True)}

    def of_person(places: Whole, persons: Whole) -> Float[np.ndarray, "cell quantity"]:
        """Return what a participant contributes to a mean: m times the mean less m - 1 times that of the others."""
        others = np.stack([without[int(s), int(k)] for s, k in zip(places, persons, strict=True)])
        return np.asarray(m * sets[places] - (m - 1) * others)

    def second_order(
        value: Float[np.ndarray, "..."], *parts: Float[np.ndarray, "pair quantity"]
    ) -> Float[np.ndarray, "pair quantity"]:
        return np.asarray(n * value - (n - 1) * (parts[0] + parts[1]) + (n - 2) * parts[2])

    # what each stimulus and each participant contributes, and what they do beyond that together
    alone, people = n * whole - (n - 1) * one, of_person(np.zeros(m, dtype=int), np.arange(m))
    single = (which > 0) & (which <= n)
    place, k = which[single] - 1, person[single]
    crossed = n * people[k] - (n - 1) * of_person(place + 1, k) - alone[place] - people[k] + whole
    # what two stimuli contribute beyond each of them, on average and to one participant
    pair = second_order(whole, one[i], one[j], two)
    twice = which > n
    at, k = which[twice] - n - 1, person[twice]
    seen = [of_person(places, k) for places in (i[at] + 1, j[at] + 1, at + n + 1)]
    pair_person = second_order(people[k], *seen) - pair[at]
    of_pairs = (n - 3) / (2 * n)
    scaled = (
        (alone, 1 / (n * (n - 1))),
        (people, 1 / (m * (m - 1))),
        (crossed, 1 / (len(crossed) * (n - 1) * (m - 1))),
        (pair, of_pairs / len(pair)),
        (pair_person, of_pairs / len(pair_person) / (m - 1)),
    )
    rows = [_root((values - values.mean(axis=0)) * np.sqrt(scale)) for values, scale in scaled]
    return np.concatenate(rows), [name for name in COMPONENTS for _ in range(left.shape[1])]


def _root(rows: Float[np.ndarray, "row quantity"]) -> Float[np.ndarray, "quantity quantity"]:
    """Return the symmetric root of ``rows.T @ rows``, without the loss of half the digits that squaring costs."""
    known = np.isfinite(rows).all(axis=0)
    root = np.zeros((rows.shape[1], rows.shape[1]))
    _, sizes, directions = np.linalg.svd(rows[:, known], full_matrices=False)
    root[np.ix_(known, known)] = (directions.T * sizes) @ directions
    root[:, ~known] = np.nan
    return root


def sampling_error(
    rows: Float[np.ndarray, "row quantity"], components: Sequence[str], units: tuple[int, int]
) -> tuple[Float[np.ndarray, " quantity"], Float[np.ndarray, " quantity"]]:
    """Return the variance of values over samples of stimuli and of participants, and its degrees of freedom.

    The similarity of RDMs varies with the stimuli, with pairs of them, with the participants, and with what a
    participant makes of a stimulus or a pair. Leaving out one stimulus at a time, or drawing stimuli with
    replacement, counts what belongs to pairs twice, and so claims too large a variance where stimuli are few;
    leaving out two at a time shows how much that is.

    Parameters
    ----------
    rows : array, shape (row, quantity)
        What `jackknife_rows` returned, or weighted sums of its columns.
    components : sequence of str
        The component of each row.
    units : tuple of int
        How many stimuli (or groups) and participants there are.

    Returns
    -------
    variance : array, shape (quantity,)
        At least that over participants, and that over stimuli with its pairs taken out.
    freedom : array, shape (quantity,)
        Degrees of freedom of the variance.

    Notes
    -----
    With the sums of squares S (stimulus), P (participant), SP, Q (pair) and QP of the components, the variance is
    ``a + c``: a = S - Q of the stimuli (pairs are counted twice in S), at least S / 2; c = P - SP + QP, what
    participants add to it, at least 0 and at least P - a. Efron & Stein 1981, 10.1214/aos/1176345462 (jackknife
    variance, and the second-order term to take from it); two crossed random factors: Clark 1973,
    10.1016/S0022-5371(73)80014-3.

    Degrees of freedom are Satterthwaite's (1946, 10.2307/3002019), of the two parts. Those of a lie between
    (n - 1) (a/S)², where Q is known exactly, and n - 1, where Q is large whenever S is; the geometric mean is taken.
    What P adds to the uncertainty grows from nothing at c = 0 to that of P itself, on m - 1 degrees of freedom.
    """
    named = np.asarray(components)
    s, p, sp, q, qp = (np.square(rows[named == name]).sum(axis=0) for name in COMPONENTS)
    stimuli, people = units[0] - 1, units[1] - 1
    a = np.maximum(s - q, s / 2)
    c = np.maximum(np.maximum(p - sp + qp, p - a), 0.0)
    uncertainty = s * a / stimuli + p * np.minimum(p, 2 * c) / people
    variance = a + c
    freedom = np.divide(variance**2, uncertainty, out=np.full_like(a, stimuli), where=uncertainty > 0)
    return np.asarray(variance), np.asarray(freedom)
