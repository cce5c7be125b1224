"""Standard errors by leaving out stimuli and participants, one and two at a time."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from rsa_face.inference.resampling import FEWEST_GROUPS, Draws, group_members
from rsa_face.inference.vectors import Whole
from rsa_face.provenance import rng_from
from rsa_face.schema import PARTICIPANT

ROW = "deletion"
"""The dimension of `jackknife_rows` in a result; its coordinate `component` says what each row is."""

COMPONENTS = ("stimulus", "participant", "stimulus x participant", "pair", "pair x participant")
"""What a similarity strays with: the places of `jackknife_variance`'s sums."""

FEWEST_UNITS = (FEWEST_GROUPS + 2, 3)
"""So many stimuli (or groups) and participants there must be for two and one of them to be left out."""

_SAMPLED = 60  # pairs of stimuli that are left out together, each also with one participant


@dataclass(frozen=True, eq=False)
class Deletions:
    """What to leave out.

    Parameters
    ----------
    draws : Draws
        Draws with multiplicities of 0 and 1, in this order: without each stimulus (or group), without each
        participant, and for each sampled pair of stimuli i, j and participant k: without i and j; i and k; j and k;
        all three.
    pairs : array of int, shape (sampled, 2)
        The sampled pairs of stimuli (or groups).
    people : array of int, shape (sampled,)
        The participant left out with each.
    """

    draws: Draws
    pairs: Int[np.ndarray, "sampled 2"]
    people: Int[np.ndarray, " sampled"]

    @property
    def components(self) -> list[str]:
        """Which component each row of `jackknife_rows` belongs to."""
        sampled = len(self.people)
        counts = (*self.draws.units, 2 * sampled, sampled, sampled)
        return [name for name, count in zip(COMPONENTS, counts, strict=True) for _ in range(count)]


def deletions_of(human: xr.DataArray, *, groups: str | None = None, seed: int = 0) -> Deletions:
    """Return what a comparison with these people and this seed leaves out.

    Parameters
    ----------
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Human RDMs: their stimuli, groups and participants are left out. Not changed.
    groups : str, optional
        A coordinate along `stimulus_i`, such as ``identity``, whose values are left out with all their stimuli.
    seed : int
        The study's seed.

    Returns
    -------
    Deletions
        The same for the same stimuli, people and seed.

    Raises
    ------
    ValueError
        If there is no such coordinate, or a stimulus belongs to no group.
    """
    members = group_members(human, groups)
    return leave_out(members, human.sizes[PARTICIPANT], rng=rng_from(seed, "jackknife"))


def leave_out(members: Whole, people: int, *, rng: np.random.Generator) -> Deletions:
    """Return everything to leave out: each stimulus, each participant, and a sample of pairs and combinations.

    Parameters
    ----------
    members : array of int, shape (group, stimulus)
        Which stimuli make up each group that is left out as a whole, see `resampling.group_members`.
    people : int
        How many participants there are.
    rng : numpy.random.Generator
        Chooses the pairs.

    Returns
    -------
    Deletions
        What `jackknife_rows` takes.
    """
    groups = len(members)
    rows, columns = np.triu_indices(groups, 1)
    chosen = rng.choice(rows.size, min(_SAMPLED, rows.size), replace=False)
    pairs = np.stack([rows[chosen], columns[chosen]], axis=1)
    rounds = -(-chosen.size // people)
    person = np.concatenate([rng.permutation(people) for _ in range(rounds)])[: chosen.size]
    first, second, nothing = pairs[:, :1], pairs[:, 1:], np.empty((chosen.size, 0), dtype=int)
    alone = np.arange(groups)[:, None], np.arange(people)[:, None]
    stimuli = [alone[0], np.empty((people, 0), dtype=int), pairs, first, second, pairs]
    persons = [np.empty((groups, 0), dtype=int), alone[1], nothing, *[person[:, None]] * 3]
    kept = np.concatenate([_without(places, groups) for places in stimuli])
    asked = np.concatenate([_without(places, people) for places in persons])
    draws = Draws("both", kept @ members, asked, np.ones(len(kept), dtype=bool), 0, (groups, people))
    return Deletions(draws, pairs, person)


def jackknife_rows(
    whole: Float[np.ndarray, " quantity"], left: Float[np.ndarray, "deletion quantity"], deletions: Deletions
) -> Float[np.ndarray, "row quantity"]:
    """Turn values with something left out into rows whose squares add up to the components of the variance.

    Rows are linear in the values, so those of a difference are the difference of the rows.

    Parameters
    ----------
    whole : array, shape (quantity,)
        The values with nothing left out.
    left : array, shape (deletion, quantity)
        The values with something left out, in the order of ``deletions.draws``.
    deletions : Deletions
        What was left out.

    Returns
    -------
    array, shape (row, quantity)
        In the order of ``deletions.components``.
    """
    (n, m), sampled = deletions.draws.units, len(deletions.people)
    i, j, k = deletions.pairs[:, 0], deletions.pairs[:, 1], deletions.people
    one, person = left[:n], left[n : n + m]
    two, one_k, other_k, two_k = left[n + m :].reshape(4, sampled, -1)

    def of_person(value: Float[np.ndarray, "..."], without: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        return np.asarray(m * value - (m - 1) * without)

    def second_order(
        value: Float[np.ndarray, "..."], *parts: Float[np.ndarray, "sampled quantity"]
    ) -> Float[np.ndarray, "sampled quantity"]:
        return np.asarray(n * value - (n - 1) * (parts[0] + parts[1]) + (n - 2) * parts[2])

    alone, people = n * whole - (n - 1) * one, of_person(whole, person)
    both = of_person(one[i], one_k), of_person(one[j], other_k), of_person(two, two_k)
    crossed = [
        n * people[k] - (n - 1) * each - alone[place] - people[k] + whole
        for place, each in zip((i, j), both, strict=False)
    ]
    pair = second_order(whole, one[i], one[j], two)
    of_pairs = (n - 3) / (2 * n * sampled)
    scaled = (
        (alone, 1 / (n * (n - 1))),
        (people, 1 / (m * (m - 1))),
        (np.concatenate(crossed), 1 / (2 * sampled * (n - 1) * (m - 1))),
        (pair, of_pairs),
        (second_order(people[k], *both) - pair, of_pairs / (m - 1)),
    )
    return np.concatenate([(values - values.mean(axis=0)) * np.sqrt(scale) for values, scale in scaled])


def jackknife_variance(
    rows: Float[np.ndarray, "row quantity"], components: Sequence[str]
) -> Float[np.ndarray, " quantity"]:
    """Return the variance of values over samples of stimuli and of participants.

    The similarity of RDMs strays with the stimuli, with pairs of them, with the participants, and with what a
    participant makes of a stimulus or a pair. Leaving out one stimulus at a time, or drawing stimuli with
    replacement, counts what belongs to pairs twice, and so claims too large a variance where stimuli are few;
    leaving out two at a time shows how much that is.

    Parameters
    ----------
    rows : array, shape (row, quantity)
        What `jackknife_rows` returned, or weighted sums of its columns.
    components : sequence of str
        The component of each row.

    Returns
    -------
    array, shape (quantity,)
        At least the part of the participants, and that of the stimuli with its pairs taken out.

    Notes
    -----
    With the sums of squares S (stimulus), P (participant), SP, Q (pair) and QP of the components, the variance is
    ``S + P - SP - Q + QP``: SP is counted in S and in P, pairs are counted twice in S. Efron & Stein 1981,
    10.1214/aos/1176345462 (jackknife variance, and the second-order term to take from it); two crossed random
    factors: Clark 1973, 10.1016/S0022-5371(73)80014-3.
    """
    named = np.asarray(components)
    s, p, sp, q, qp = (np.square(rows[named == name]).sum(axis=0) for name in COMPONENTS)
    least = np.maximum(np.maximum(s - q, s / 2), p)
    return np.asarray(np.maximum(s + p - sp - q + qp, least), dtype=float)


def _without(places: Int[np.ndarray, "deletion left"], count: int) -> Int[np.ndarray, "deletion unit"]:
    kept = np.ones((len(places), count), dtype=np.int64)
    np.put_along_axis(kept, places, 0, axis=1)
    return kept
