"""What is drawn together, bootstrap draws, and what is left out for jackknifed standard errors."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from jaxtyping import Float, Int
from numpy.typing import NDArray

from rsa_face.inference.kernels import Truths, Whole
from rsa_face.safety import first_of
from rsa_face.schema import AUTO_GROUPS, PAIR, PARTICIPANT, STIMULUS, STIMULUS_I, factors_of, must_be_known

RESAMPLES: dict[str, tuple[str, ...]] = {
    "stimulus": ("stimulus",),
    "participant": ("participant",),
    "both": ("both",),
    "dual": ("both", "participant", "stimulus"),
}
"""Ways to resample, and the bootstraps that each is made of, in rsatoolbox's order."""

AUTO = AUTO_GROUPS
GROUP_FACTOR = "identity"
"""The factor whose values are drawn with all their stimuli unless another is named."""

FEWEST_GROUPS = 3
_BLOCK = 64  # draws that share a stream of random numbers


@dataclass(frozen=True, eq=False)
class Draws:
    """How often everything was drawn, in each draw."""

    resample: str  # ``"stimulus"``, ``"participant"``, ``"both"`` or ``"dual"``
    stimuli: Whole  # (draw, stimulus): how often each stimulus was drawn; 1 where stimuli are not resampled
    # (draw, participant): how often each participant was drawn; 1 where participants are not resampled
    participants: Whole
    usable: Truths  # (draw,): whether a draw holds at least three different stimuli or groups
    redrawn: int  # how many draws were thrown away because they held fewer, and drawn again
    units: tuple[int, int]  # how many stimuli (or groups of them) and participants there are to draw from

    def __len__(self) -> int:
        return len(self.stimuli)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The bootstraps to run: three for the dual bootstrap, one for the others."""
        return RESAMPLES[self.resample]

    @property
    def alike(self) -> list[Whole]:
        """The usable draws, those of the same stimuli together: one evaluation serves them all."""
        usable = np.flatnonzero(self.usable)
        if self.kinds == (PARTICIPANT,):
            return list(usable[:, None])
        _, which, counts = np.unique(self.stimuli[usable], axis=0, return_inverse=True, return_counts=True)
        return np.split(usable[np.argsort(which.ravel(), kind="stable")], np.cumsum(counts)[:-1])

    @property
    def skipped(self) -> int:
        """How many draws are left out, because they hold fewer than three stimuli or groups."""
        return int(len(self) - self.usable.sum())


class UngroupedWarning(UserWarning):
    """Stimuli that belong together are drawn one by one."""


def choose_groups(human: xr.DataArray, groups: str | None = AUTO) -> str | None:
    """Return the factor whose values are drawn with all their stimuli; this is the one place that decides it.

    ``"auto"`` chooses `identity` where the RDMs have it along `stimulus_i` and at least one identity has two stimuli
    or more: images of one person are not independent, and drawing them one by one makes intervals too narrow and p
    values too small. Other factors (level, category) are conditions that a study repeats on purpose, and are never
    chosen. With a single identity nothing is grouped, and results are about that person's face; two identities cannot
    be drawn, which is warned of, as is ``None`` where ``"auto"`` would have grouped.

    Where every stimulus was judged in one pair alone (kind ``pairs``), pairs share no stimulus, and the pair is
    drawn, whatever the factors; only a factor that keeps the stimuli of each pair together may be named instead.
    """
    factors = factors_of(human)
    labels = pair_labels(human)
    if labels is not None:
        return _groups_of_pairs(human, groups, labels)
    if groups is not None and groups != AUTO:
        must_be_known(groups, factors, "factor of the groups")
        return groups
    if GROUP_FACTOR not in factors:
        return None
    names, counts = np.unique(np.asarray(human[GROUP_FACTOR].values, dtype=str), return_counts=True)
    if len(names) == 1 or counts.max() == 1:
        return None
    if groups is None:
        message = (
            f"groups=None draws {counts.sum()} stimuli of {len(names)} identities one by one, as if images of one "
            "person were independent. Intervals are then too narrow and p values too small for other identities: "
            "equal layers differ in about a quarter of simulations in place of 5 %. Use groups='identity'."
        )
        warnings.warn(message, UngroupedWarning, stacklevel=3)
        return None
    if len(names) < FEWEST_GROUPS:
        message = (
            f"Two identities, {names[0]} and {names[1]}, are too few to be drawn from, so that stimuli are drawn one "
            "by one: intervals and p values are about images of these two, not about other people. "
            f"Use {FEWEST_GROUPS + 2} identities or more."
        )
        warnings.warn(message, UngroupedWarning, stacklevel=3)
        return None
    return GROUP_FACTOR


def pair_labels(human: xr.DataArray) -> list[str] | None:
    """Return the pair that each stimulus was judged in, where each was judged in one pair alone; otherwise None."""
    if human.ndim != 3:  # trials, or RDMs by level, are drawn by their stimuli
        return None
    ids = [str(name) for name in human[STIMULUS_I].values]
    partner = np.full(len(ids), -1)
    for square in human.values:
        known = ~np.isnan(square)
        np.fill_diagonal(known, val=False)
        if known.sum() > len(ids):  # most RDMs: decided by the first participant
            return None
        first, second = np.nonzero(known)
        taken = partner[first] >= 0
        if len(np.unique(first)) < len(first) or (partner[first][taken] != second[taken]).any():
            return None
        partner[first] = second
    if (partner < 0).any():
        return None
    return [" + ".join(sorted((ids[place], ids[other]))) for place, other in enumerate(partner)]


def with_pairs(human: xr.DataArray) -> xr.DataArray:
    """Return human RDMs with the coordinate `pair` where every stimulus was judged in one pair alone."""
    labels = None if PAIR in human.coords else pair_labels(human)
    return human if labels is None else human.assign_coords({PAIR: (STIMULUS_I, labels)})


def _groups_of_pairs(human: xr.DataArray, groups: str | None, labels: list[str]) -> str:
    if groups is None or groups in (AUTO, PAIR):
        if PAIR not in factors_of(human):
            message = f"No coordinate {PAIR!r}, which says what is drawn together: each stimulus was judged in one "
            message += "pair. Add it with `rsa_face.inference.resampling.with_pairs`."
            raise ValueError(message)
        return PAIR
    must_be_known(groups, factors_of(human), "factor of the groups")
    values = np.asarray(human[groups].values, dtype=str)
    split = sorted({pair for pair in labels if len(set(values[np.asarray(labels) == pair])) > 1})
    if split:
        message = (
            f"groups={groups!r} splits pairs, such as {split[0]}, of which nothing else was judged. Use "
            "groups='auto': the pair is drawn."
        )
        raise ValueError(message)
    return groups


def _once_for_each_pair(counts: Whole, human: xr.DataArray) -> Whole:
    """Return how often stimuli are drawn, so that a pair that was drawn k times weighs k and not its square.

    The weight of a pair is the product of how often its two stimuli were drawn; with pairs that share no stimulus,
    the second of each therefore stands once in a draw.
    """
    if PAIR not in human.coords or pair_labels(human) is None:
        return counts
    labels = np.asarray(human[PAIR].values, dtype=str)
    second = np.ones(len(labels), dtype=bool)
    second[np.unique(labels, return_index=True)[1]] = False
    return np.where(second, np.minimum(counts, 1), counts)


def describe_groups(human: xr.DataArray, groups: str | None) -> str:
    """Return in a few words what is drawn together: ``by identity, 6 groups of 9 stimuli``."""
    if groups is None:
        return "one by one"
    counts = np.unique(np.asarray(human[groups].values, dtype=str), return_counts=True)[1]
    if groups == PAIR:
        return f"as the {len(counts)} pairs that were judged"
    least, most = int(counts.min()), int(counts.max())
    return f"by {groups}, {len(counts)} groups of {least if least == most else f'{least} to {most}'} stimuli"


def draw_resamples(
    human: xr.DataArray,
    *,
    resample: str,
    draws: int = 1000,
    rng: np.random.Generator | None = None,
    groups: str | None = None,
    resamples: Mapping[str, NDArray[Any]] | None = None,
) -> Draws:
    """Draw stimuli and participants with replacement, or take the draws given.

    The pair is never drawn where pairs share stimuli, since their dissimilarities are not independent. Each 64 draws
    have a random stream of their own, so that a draw depends neither on how many follow nor on how they are computed;
    nor does it depend on the order of stimuli and participants. Draws with fewer than three different stimuli (or
    groups) are drawn again and counted.
    """
    must_be_known(resample, RESAMPLES, "resample")
    members = group_members(human, groups)
    units = (members.shape[0], human.sizes[PARTICIPANT])
    wanted = [
        name
        for name, kinds in ((STIMULUS, ("stimulus", "both", "dual")), (PARTICIPANT, ("participant", "both", "dual")))
        if resample in kinds
    ]
    if resamples is None:
        if rng is None:
            message = "No random generator to draw with: `rng` is None. Give one, or `resamples`."
            raise ValueError(message)
        counts, redrawn = _draw(rng, draws, units, wanted)
        for each, names in zip(counts, unit_names(human, groups), strict=True):
            each[:, hashed_order(names)] = each.copy()
    else:
        counts, redrawn = _given(resamples, units, wanted), 0
    grouped, people = counts
    usable = np.count_nonzero(grouped, axis=1) >= FEWEST_GROUPS
    return Draws(resample, _once_for_each_pair(grouped @ members, human), people, usable, redrawn, units)


def draws_from_counts(resample: str, stimuli: Whole, people: Whole, *, members: Whole, redrawn: int) -> Draws:
    """Return the draws of which these are the counts; `members` says which stimuli are drawn together."""
    first = members.argmax(axis=1)  # all members of a group are drawn equally often
    usable = np.count_nonzero(stimuli[:, first], axis=1) >= FEWEST_GROUPS
    return Draws(resample, stimuli, people, usable, redrawn, (len(members), people.shape[1]))


def unit_names(human: xr.DataArray, groups: str | None) -> tuple[list[str], list[str]]:
    """Return the names of the stimuli (or groups, sorted as in `group_members`) and of the participants."""
    people = [str(name) for name in human[PARTICIPANT].values]
    if groups is None:
        return [str(name) for name in human[STIMULUS_I].values], people
    return np.unique(np.asarray(human[groups].values, dtype=str)).tolist(), people


def by_name(names: Sequence[str] | NDArray[Any]) -> Whole:
    """Return the places of names in alphabetical order, in which random numbers are dealt out to them."""
    return np.asarray(np.argsort(np.asarray(names, dtype=str), kind="stable"))


def hashed_order(names: Sequence[str]) -> Whole:
    """Return places in an order that depends on the names alone, and neither on where they stand nor on alphabet."""
    digests = [hashlib.blake2b(name.encode(), digest_size=16).digest() for name in names]
    return np.array(sorted(range(len(names)), key=digests.__getitem__), dtype=np.int64)


def group_members(human: xr.DataArray, groups: str | None) -> Whole:
    """Return which stimuli make up each group that is drawn as a whole."""
    count = human.sizes[STIMULUS_I]
    if groups is None:
        names, place = np.arange(count), np.arange(count)
    else:
        must_be_known(groups, factors_of(human), "factor of the groups")
        values = human[groups].values
        without = [str(s) for s, v in zip(human[STIMULUS_I].values, values, strict=True) if v != v or str(v) == ""]
        if without:
            message = f"Stimuli without a group: {first_of(without)} have no {groups!r}. Fill the factor in."
            raise ValueError(message)
        names, place = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    if len(names) < FEWEST_GROUPS:
        what = "stimuli" if groups is None else f"groups of {groups!r}"
        message = (
            f"Too few {what} to draw from: {len(names)} of the {FEWEST_GROUPS} needed, "
            f"{[str(name) for name in names]}. Use more, or resample participants."
        )
        raise ValueError(message)
    members = np.zeros((len(names), count), dtype=np.int64)
    members[place, np.arange(count)] = 1
    return members


def _draw(
    rng: np.random.Generator, draws: int, units: tuple[int, int], wanted: list[str]
) -> tuple[tuple[Whole, Whole], int]:
    if draws < 2:
        message = f"`draws` is {draws}, and a variance needs 2 or more. Ask for 1000."
        raise ValueError(message)
    groups, people = np.ones((draws, units[0]), dtype=np.int64), np.ones((draws, units[1]), dtype=np.int64)
    redrawn = 0
    edges = [*range(0, draws, _BLOCK), draws]
    for stream, (start, stop) in zip(rng.spawn(len(edges) - 1), pairwise(edges), strict=True):
        for draw in range(start, stop):
            if PARTICIPANT in wanted:
                people[draw] = _counts(stream, units[1])
            while STIMULUS in wanted:
                groups[draw] = _counts(stream, units[0])
                if np.count_nonzero(groups[draw]) >= FEWEST_GROUPS:
                    break
                redrawn += 1
    return (groups, people), redrawn


def _counts(rng: np.random.Generator, units: int) -> Whole:
    return np.bincount(rng.integers(0, units, units), minlength=units)


def _given(resamples: Mapping[str, NDArray[Any]], units: tuple[int, int], wanted: list[str]) -> tuple[Whole, Whole]:
    if sorted(resamples) != sorted(wanted):
        message = f"`resamples` gives draws of {sorted(resamples)}, not of {sorted(wanted)}. Give these."
        raise ValueError(message)
    positions = {name: np.atleast_2d(np.asarray(resamples[name])) for name in wanted}
    lengths = {name: len(array) for name, array in positions.items()}
    if len(set(lengths.values())) > 1:
        message = (
            f"`resamples` gives unequal numbers of draws: {lengths}. Give as many of stimuli as of participants."
        )
        raise ValueError(message)
    counts = []
    for name, count in zip((STIMULUS, PARTICIPANT), units, strict=True):
        if name not in positions:
            counts.append(np.ones((next(iter(lengths.values())), count), dtype=np.int64))
            continue
        array = positions[name]
        if array.dtype.kind not in "iu" or array.size == 0 or array.min() < 0 or array.max() >= count:
            span = f"{array.min()} to {array.max()}" if array.size else "none"
            message = f"`resamples[{name!r}]` holds {array.dtype} {span}. Give whole numbers from 0 to {count - 1}."
            raise ValueError(message)
        counts.append(np.stack([np.bincount(row, minlength=count) for row in array]))
    return counts[0], counts[1]


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
    """What to leave out."""

    # draws with multiplicities of 0 and 1. Those that leave out the same stimuli follow one another, so that they
    # share one evaluation
    draws: Draws
    # (1 + group + pair,): which draw leaves out no stimulus, each stimulus (or group), and each pair, with all
    # participants
    sets: Whole
    pairs: Int[np.ndarray, "pair 2"]  # the pairs of stimuli (or groups)
    # for each set that is left out together with a participant: the set, the participant, and the draw
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
    """
    groups = len(members)
    of_groups, of_people = (np.arange(groups), np.arange(people)) if orders is None else orders
    pairs = of_groups[_pairs_of(groups)]
    cells = _crossed(pairs, groups, of_people)
    remaining = np.ones((1 + groups + len(pairs), groups), dtype=np.int64)
    remaining[1 + np.arange(groups), np.arange(groups)] = 0
    np.put_along_axis(remaining[1 + groups :], pairs, 0, axis=1)
    # one draw for each set with all participants, then one for each cell; sorted so that a set's draws are neighbours
    sets = np.concatenate([np.arange(len(remaining)), cells[:, 0]])
    order = np.argsort(sets, kind="stable")
    place = np.argsort(order)
    persons = np.ones((len(sets), people), dtype=np.int64)
    persons[len(remaining) + np.arange(len(cells)), cells[:, 1]] = 0
    usable = np.ones(len(sets), dtype=bool)
    draws = Draws("both", (remaining @ members)[sets[order]], persons[order], usable, 0, (groups, people))
    crossed = np.column_stack([cells, place[len(remaining) :]])
    return Deletions(draws, place[: len(remaining)], pairs, crossed)


def _pairs_of(groups: int) -> Int[np.ndarray, "pair 2"]:
    if groups * (groups - 1) // 2 <= ALL_PAIRS:
        return np.stack(np.triu_indices(groups, 1), axis=1)
    # around a circle, each with its nearest neighbours on either side
    # so every unit is in equally many pairs; neighbours are mixed, since the units come in hashed order
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
    """
    n, m = deletions.draws.units
    sets, (i, j) = left[deletions.sets], deletions.pairs.T
    full, one, two = sets[0], sets[1 : n + 1], sets[n + 1 :]
    which, person, draw = deletions.crossed.T
    # a value for each set that was left out together with a participant
    without = {(int(s), int(k)): row for s, k, row in zip(which, person, left[draw], strict=True)}

    def of_person(places: Whole, persons: Whole) -> Float[np.ndarray, "cell quantity"]:
        """Return what a participant contributes to a mean: m times the mean less m - 1 times that of the others."""
        others = np.stack([without[int(s), int(k)] for s, k in zip(places, persons, strict=True)])
        return np.asarray(m * sets[places] - (m - 1) * others)

    def second_order(
        value: Float[np.ndarray, "..."], *parts: Float[np.ndarray, "pair quantity"]
    ) -> Float[np.ndarray, "pair quantity"]:
        # the second-order pseudo-value: n times all, less those without either, plus that without both
        return np.asarray(n * value - (n - 1) * (parts[0] + parts[1]) + (n - 2) * parts[2])

    # what each stimulus and each participant contributes, and what they do together in addition
    # pseudo-values, whose mean is the estimate and whose spread is that of the units
    alone, people = n * full - (n - 1) * one, of_person(np.zeros(m, dtype=int), np.arange(m))
    single = (which > 0) & (which <= n)
    place, k = which[single] - 1, person[single]
    # what a participant makes of a stimulus: their pseudo-value for it, less those of both alone, plus the mean
    crossed = n * people[k] - (n - 1) * of_person(place + 1, k) - alone[place] - people[k] + full
    # what two stimuli contribute in addition to each of them, on average and to one participant
    pair = second_order(full, one[i], one[j], two)
    twice = which > n
    at, k = which[twice] - n - 1, person[twice]
    seen = [of_person(places, k) for places in (i[at] + 1, j[at] + 1, at + n + 1)]
    # the same of a participant's own values, less what the pair contributes to everybody
    pair_person = second_order(people[k], *seen) - pair[at]
    # scales the mean square of second-order values to what pairs add to the variance (Efron & Stein 1981)
    of_pairs = (n - 3) / (2 * n)
    scaled = (
        (alone, 1 / (n * (n - 1))),
        (people, 1 / (m * (m - 1))),
        (crossed, 1 / (len(crossed) * (n - 1) * (m - 1))),
        (pair, of_pairs / len(pair)),
        (pair_person, of_pairs / len(pair_person) / (m - 1)),
    )
    # only sums of squares and products count, so that as many rows as quantities hold all of them
    rows = [_root((values - values.mean(axis=0)) * np.sqrt(scale)) for values, scale in scaled]
    return np.concatenate(rows), [name for name in COMPONENTS for _ in range(left.shape[1])]


def _root(rows: Float[np.ndarray, "row quantity"]) -> Float[np.ndarray, "quantity quantity"]:
    """Return the symmetric root of ``rows.T @ rows``, without the loss of half the digits that squaring costs."""
    known = np.isfinite(rows).all(axis=0)
    root = np.zeros((rows.shape[1], rows.shape[1]))
    # by singular values: the eigenvalues of the product would be squares, with half the digits
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

    With the sums of squares S (stimulus), P (participant), SP, Q (pair) and QP of the components, the variance is
    ``a + c``: a = S - Q of the stimuli (pairs are counted twice in S), at least S / 2; c = P - SP + QP, what
    participants add to it, at least 0 and at least P - a. Efron & Stein 1981, 10.1214/aos/1176345462 (jackknife
    variance, and the second-order term to take from it); two crossed random factors: Clark 1973,
    10.1016/S0022-5371(73)80014-3.

    Degrees of freedom are Satterthwaite's (1946, 10.2307/3002019), of the two parts. Those of a lie between
    (n - 1) (a/S)², where Q is known exactly, as it is from many stimuli, and n - 1, where Q is large whenever S is;
    simulations of 6 to 90 stimuli or groups bear out an exponent of 2 (n - 3) / (n + 9). What P adds to the
    uncertainty grows from nothing at c = 0 to that of P itself, on m - 1 degrees of freedom.
    """
    return _error_of(_sums_of_squares(rows, components), units)


def _sums_of_squares(
    rows: Float[np.ndarray, "row quantity"], components: Sequence[str]
) -> Float[np.ndarray, "component quantity"]:
    named = np.asarray(components)
    return np.stack([np.square(rows[named == name]).sum(axis=0) for name in COMPONENTS])


def _error_of(
    sums: Float[np.ndarray, "component quantity"], units: tuple[int, int]
) -> tuple[Float[np.ndarray, " quantity"], Float[np.ndarray, " quantity"]]:
    s, p = sums[:2]
    stimuli, people = units[0] - 1, units[1] - 1
    a, c = _of_stimuli_and_people(sums)
    share = np.divide(a, s, out=np.ones_like(a), where=s > 0)
    # Satterthwaite: the variance squared, over the sum of squared parts over their degrees of freedom
    of_stimuli = stimuli * share ** (2 * (units[0] - 3) / (units[0] + 9))
    uncertainty = a**2 / of_stimuli + p * np.minimum(p, 2 * c) / people
    variance = a + c
    freedom = np.divide(variance**2, uncertainty, out=np.full_like(a, stimuli), where=uncertainty > 0)
    return np.asarray(variance), np.asarray(freedom)


def _of_stimuli_and_people(
    sums: Float[np.ndarray, "component quantity"],
) -> tuple[Float[np.ndarray, " quantity"], Float[np.ndarray, " quantity"]]:
    s, p, sp, q, qp = sums
    # pairs are in S twice; a difference of two estimates may be too small by chance, so it is bounded
    a = np.maximum(s - q, s / 2)
    # the interaction, which S and P both hold, is taken off once, as far as all is no less than P alone
    return a, np.maximum(np.maximum(p - sp + qp, p - a), 0.0)


def planned_error(
    rows: Float[np.ndarray, "row quantity"],
    components: Sequence[str],
    units: tuple[int, int],
    planned: tuple[int, int],
) -> tuple[Float[np.ndarray, " quantity"], Float[np.ndarray, " quantity"]]:
    """Return the variance and degrees of freedom that `sampling_error` would find with other numbers of units.

    The sums of squares are taken apart into what each component adds to the variance: of stimuli s, of people p, of
    what a person makes of a stimulus sp, of pairs q, of what a person makes of a pair qp. S holds s + sp + 2 (q +
    qp), P holds p + sp + qp, SP holds sp + 2 qp, Q holds q + qp. Of n stimuli and m people s falls with n, p with m,
    sp with n m, q with n (n - 1) and qp with n (n - 1) m. With the units there are, the variance is that of
    `sampling_error`.
    """
    sums = _sums_of_squares(rows, components)
    s, _, sp_sum, q_sum, qp_sum = sums
    _, p = _of_stimuli_and_people(sums)
    pairs = np.minimum(q_sum, s / 2)
    qp = np.minimum(qp_sum, pairs)
    q = pairs - qp
    sp = np.clip(sp_sum - 2 * qp_sum, 0.0, s - 2 * pairs)
    single = s - 2 * pairs - sp
    (n, m), (more, people) = units, planned
    of_stimuli, of_people, of_pairs = n / more, m / people, n * (n - 1) / (more * (more - 1))
    single, p, sp = single * of_stimuli, p * of_people, sp * of_stimuli * of_people
    q, qp = q * of_pairs, qp * of_pairs * of_people
    again = np.stack([single + sp + 2 * (q + qp), p + sp + qp, sp + 2 * qp, q + qp, qp])
    return _error_of(again, planned)
