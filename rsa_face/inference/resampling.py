"""What is drawn together, and the bootstrap draws: how often each stimulus and each participant was drawn."""

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rsa_face.inference.vectors import Truths, Whole
from rsa_face.schema import AUTO_GROUPS, PARTICIPANT, STIMULUS, STIMULUS_I, must_be_known

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
    """How often everything was drawn, in each draw.

    Parameters
    ----------
    resample : str
        ``"stimulus"``, ``"participant"``, ``"both"`` or ``"dual"``.
    stimuli : array of int64, shape (draw, stimulus)
        How often each stimulus was drawn; 1 where stimuli are not resampled.
    participants : array of int64, shape (draw, participant)
        How often each participant was drawn; 1 where participants are not resampled.
    usable : array of bool, shape (draw,)
        Whether a draw holds at least three different stimuli or groups.
    redrawn : int
        How many draws were thrown away because they held fewer, and drawn again.
    units : tuple of int
        How many stimuli (or groups of them) and participants there are to draw from.
    """

    resample: str
    stimuli: Whole
    participants: Whole
    usable: Truths
    redrawn: int
    units: tuple[int, int]

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

    Parameters
    ----------
    human : DataArray, dims (..., stimulus_i, stimulus_j)
        RDMs with the factors of their stimuli. Not changed.
    groups : str, optional
        ``"auto"``, the name of a factor along `stimulus_i`, or None to draw stimuli one by one.

    Returns
    -------
    str or None
        The factor, or None where stimuli are drawn one by one.

    Raises
    ------
    ValueError
        If there is no such factor.
    """
    known = [str(n) for n, value in human.coords.items() if value.dims == (STIMULUS_I,) and n != STIMULUS_I]
    if groups is not None and groups != AUTO:
        must_be_known(groups, known, "factor of the groups")
        return groups
    if GROUP_FACTOR not in known:
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


def describe_groups(human: xr.DataArray, groups: str | None) -> str:
    """Return in a few words what is drawn together: ``by identity, 6 groups of 9 stimuli``."""
    if groups is None:
        return "one by one"
    counts = np.unique(np.asarray(human[groups].values, dtype=str), return_counts=True)[1]
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

    The pair is never drawn: dissimilarities that share a stimulus are not independent. Each 64 draws have a random
    stream of their own, so that a draw depends neither on how many follow nor on how they are computed; nor does it
    depend on the order of stimuli and participants. Draws with fewer than three different stimuli (or groups) are
    drawn again and counted.

    Parameters
    ----------
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Human RDMs: their stimuli, groups and participants are drawn. Not changed.
    resample : str
        ``"stimulus"``, ``"participant"``, ``"both"`` or ``"dual"`` (both, with each alone beside it).
    draws : int
        How many.
    rng : numpy.random.Generator, optional
        The source of the draws; needed unless `resamples` are given.
    groups : str, optional
        A coordinate along `stimulus_i`, such as ``identity``: its values are drawn, with all their stimuli.
    resamples : mapping of str to array of int, optional
        The draws to take: ``stimulus`` of shape (draw, any), positions among the stimuli (or among the groups,
        sorted), and ``participant`` of shape (draw, any), positions among the participants. Those with fewer than
        three stimuli or groups are skipped, as rsatoolbox skips them.

    Returns
    -------
    Draws
        The draws.

    Raises
    ------
    ValueError
        If the way to resample or the groups are unknown, there are fewer than three groups, or the draws given do
        not fit.
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
            message = "Draws must come from a random generator, but `rng` is None. Give one, or `resamples`."
            raise ValueError(message)
        counts, redrawn = _draw(rng, draws, units, wanted)
        for each, names in zip(counts, unit_names(human, groups), strict=True):
            each[:, hashed_order(names)] = each.copy()
    else:
        counts, redrawn = _given(resamples, units, wanted), 0
    grouped, people = counts
    usable = np.count_nonzero(grouped, axis=1) >= FEWEST_GROUPS
    return Draws(resample, grouped @ members, people, usable, redrawn, units)


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


def hashed_order(names: Sequence[str]) -> Whole:
    """Return places in an order that depends on the names alone, and neither on where they stand nor on alphabet."""
    digests = [hashlib.blake2b(name.encode(), digest_size=16).digest() for name in names]
    return np.array(sorted(range(len(names)), key=digests.__getitem__), dtype=np.int64)


def group_members(human: xr.DataArray, groups: str | None) -> Whole:
    """Return which stimuli make up each group that is drawn as a whole.

    Parameters
    ----------
    human : DataArray, dims (..., stimulus_i, stimulus_j)
        RDMs.
    groups : str, optional
        A coordinate along `stimulus_i`; each stimulus is a group of its own if not given.

    Returns
    -------
    array of int64, shape (group, stimulus)
        1 for the members, groups sorted by name.

    Raises
    ------
    ValueError
        If there is no such coordinate, a stimulus belongs to no group, or there are fewer than three groups.
    """
    count = human.sizes[STIMULUS_I]
    if groups is None:
        names, place = np.arange(count), np.arange(count)
    else:
        known = [str(n) for n, value in human.coords.items() if value.dims == (STIMULUS_I,) and n != STIMULUS_I]
        must_be_known(groups, known, "factor of the groups")
        values = human[groups].values
        without = [str(s) for s, v in zip(human[STIMULUS_I].values, values, strict=True) if v != v or str(v) == ""]
        if without:
            message = (
                f"Every stimulus must belong to a group, but {without[:20]} have no {groups!r}. Fill the factor in."
            )
            raise ValueError(message)
        names, place = np.unique(np.asarray(values, dtype=str), return_inverse=True)
    if len(names) < FEWEST_GROUPS:
        what = "stimuli" if groups is None else f"groups of {groups!r}"
        message = f"At least {FEWEST_GROUPS} {what} must exist to be drawn from, but there are {len(names)}: "
        msg = f"{message}{[str(name) for name in names]}. Use more, or resample participants."
        raise ValueError(msg)
    members = np.zeros((len(names), count), dtype=np.int64)
    members[place, np.arange(count)] = 1
    return members


def _draw(
    rng: np.random.Generator, draws: int, units: tuple[int, int], wanted: list[str]
) -> tuple[tuple[Whole, Whole], int]:
    if draws < 2:
        message = f"At least 2 draws must be made to estimate a variance, but `draws` is {draws}. Ask for 1000."
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
        message = f"`resamples` must give draws of {sorted(wanted)}, but gives {sorted(resamples)}. Give these."
        raise ValueError(message)
    taken = {name: np.atleast_2d(np.asarray(resamples[name])) for name in wanted}
    lengths = {name: len(array) for name, array in taken.items()}
    if len(set(lengths.values())) > 1:
        message = f"`resamples` must give as many draws of stimuli as of participants, but gives {lengths}."
        raise ValueError(message)
    made = []
    for name, count in zip((STIMULUS, PARTICIPANT), units, strict=True):
        if name not in taken:
            made.append(np.ones((next(iter(lengths.values())), count), dtype=np.int64))
            continue
        array = taken[name]
        if array.dtype.kind not in "iu" or array.size == 0 or array.min() < 0 or array.max() >= count:
            span = f"{array.min()} to {array.max()}" if array.size else "none"
            message = (
                f"`resamples[{name!r}]` must be whole numbers from 0 to {count - 1}, but holds {array.dtype} {span}."
            )
            raise ValueError(message)
        made.append(np.stack([np.bincount(row, minlength=count) for row in array]))
    return made[0], made[1]
