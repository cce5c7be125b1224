"""What people's judgements come to: a dissimilarity for each participant and pair; sessions of a person averaged."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rsa_face.human.tables import Layout, Source, listed, naturally
from rsa_face.memory import must_fit_in_memory
from rsa_face.schema import PARTICIPANT, STIMULUS_I, STIMULUS_J, repeated

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Judgements:
    """One dissimilarity for each participant and pair of stimuli."""

    participants: list[str]  # their names
    stimuli: list[str]  # the ids, in the order of rows and columns
    dissimilarity: Floats  # (participant, pair): upper triangles, row by row; NaN where a pair was never judged
    coverage: NDArray[np.integer[Any]]  # (participant, pair): how often each pair was judged
    n_trials: NDArray[np.integer[Any]]  # (participant,): how many trials each participant gave
    bias: Floats | None = None  # (participant,): the response bias of each participant
    # what is known of all: what was left out and why, the rule of the distance, what the bias is
    attrs: dict[str, Any] = field(default_factory=dict)
    # what else is known of each participant, such as the group
    coords: dict[str, list[Any]] = field(default_factory=dict)
    simulated: bool = False  # no person made these


def must_fit(participants: int, stimuli: int, name: str, *, trials: int = 0, features: int = 0) -> None:
    """Refuse judgements whose RDMs do not fit in memory: a short table can name any number of stimuli."""
    cells = stimuli**2 * (24 * participants + 16 + 24 * trials + 12 * features)  # bytes of sums and their copies
    people = f"{participants:,} participant{'s' * (participants != 1)}"
    must_fit_in_memory(
        cells + 32 * participants * stimuli * features,
        f"The RDMs of {stimuli:,} stimuli by {people} in {name}",
        then="Check which columns are stimuli and participants (layout), or read fewer of them at a time.",
    )


def pair_index(i: NDArray[np.integer[Any]], j: NDArray[np.integer[Any]], stimuli: int) -> Ints:
    """Return the place of pairs in the upper triangle, row by row, whichever of the two comes first.

    Examples
    --------
    >>> pair_index(np.array([0, 2]), np.array([1, 1]), 3)
    array([0, 2])
    """
    low, high = np.minimum(i, j).astype(np.int64), np.maximum(i, j).astype(np.int64)
    return np.asarray(low * stimuli - low * (low + 1) // 2 + high - low - 1)


def pairs_of(stimuli: Sequence[str]) -> int:
    """Return how many pairs some stimuli make."""
    return len(stimuli) * (len(stimuli) - 1) // 2


def sum_by_pair(
    who: NDArray[np.integer[Any]],
    pair: NDArray[np.integer[Any]],
    shape: tuple[int, int],
    weights: NDArray[Any] | None = None,
) -> NDArray[Any]:
    """Return the sum of weights (or the count) for each participant and pair."""
    place = who.astype(np.int64) * shape[1] + pair
    total = np.bincount(place, weights=weights, minlength=shape[0] * shape[1])
    return (total if weights is not None else total.astype(np.int32)).reshape(shape)


def share(part: NDArray[Any], total: NDArray[Any]) -> Floats:
    """Return part / total, NaN where the total is 0."""
    out = np.full(np.broadcast(part, total).shape, np.nan)
    np.divide(part, total, out=out, where=total > 0)
    return out


def to_array(judged: Judgements) -> xr.DataArray:
    """Return judgements as square RDMs, labelled."""
    coords: dict[str, Any] = {
        PARTICIPANT: np.array(judged.participants, dtype=str),
        STIMULUS_I: np.array(judged.stimuli, dtype=str),
        STIMULUS_J: np.array(judged.stimuli, dtype=str),
        "coverage": (
            (PARTICIPANT, STIMULUS_I, STIMULUS_J),
            squares(judged.coverage.astype(np.int32, copy=False), len(judged.stimuli)),
        ),
        "n_trials": (PARTICIPANT, np.asarray(judged.n_trials, dtype=np.int64)),
    }
    if judged.bias is not None:
        coords["response_bias"] = (PARTICIPANT, np.asarray(judged.bias, dtype=float))
    coords |= {name: (PARTICIPANT, np.asarray(values)) for name, values in judged.coords.items()}
    values = squares(judged.dissimilarity, len(judged.stimuli))
    attrs = {**judged.attrs, "simulated": judged.simulated}
    return xr.DataArray(values, coords, (PARTICIPANT, STIMULUS_I, STIMULUS_J), name="dissimilarity", attrs=attrs)


def squares(triangles: NDArray[Any], stimuli: int) -> NDArray[Any]:
    """Return upper triangles as square, symmetric matrices with 0 on the diagonal."""
    full = np.zeros((len(triangles), stimuli, stimuli), dtype=triangles.dtype)
    for row, pairs in rows_of_pairs(stimuli):
        full[:, row, row + 1 :] = full[:, row + 1 :, row] = triangles[:, pairs]
    return full


def triangles(matrices: NDArray[Any]) -> NDArray[Any]:
    """Return the upper triangles of square matrices, row by row."""
    stimuli = matrices.shape[-1]
    upper = np.empty((*matrices.shape[:-2], stimuli * (stimuli - 1) // 2), dtype=matrices.dtype)
    for row, pairs in rows_of_pairs(stimuli):
        upper[..., pairs] = matrices[..., row, row + 1 :]
    return upper


def rows_of_pairs(stimuli: int) -> Iterator[tuple[int, slice]]:
    """Give where the pairs of each row lie in the upper triangle: what indices of all pairs would say in more memory.

    Examples
    --------
    >>> list(rows_of_pairs(3))
    [(0, slice(0, 2, None)), (1, slice(2, 3, None))]
    """
    start = 0
    for row in range(stimuli - 1):
        end = start + stimuli - 1 - row
        yield row, slice(start, end)
        start = end


Repeats = Literal["average", "people"]
SESSION_NAMES = (
    "session",
    "sessions",
    "sess",
    "ses",
    "run",
    "runs",
    "visit",
    "repeat",
    "repetition",
    "occasion",
    "day",
)
_SESSION = re.compile(
    r"(?:^|(?<=[\s|_,;.\-]))(?:session|sess|ses|run|visit|repeat|repetition|occasion|day)[\s:_\-#]*(\d+|[a-z])(?=$|[\s|_,;.\-])",
    re.IGNORECASE,
)


def split_session(name: str) -> tuple[str, str]:
    """Split a name such as ``hIT | BE | Session: 2`` or ``sub-01_ses-2`` into the person and the session, if any.

    Examples
    --------
    >>> split_session("sub-01_ses-2"), split_session("BE | Session: 1"), split_session("anna")
    (('sub-01', '2'), ('BE', '1'), ('anna', ''))
    """
    match = _SESSION.search(name)
    if match is None:
        return name, ""
    rest = [part.strip(" |_,;.-") for part in (name[: match.start()], name[match.end() :])]
    return "_".join(part for part in rest if part), match.group(1)


def sessions_in_names(names: Sequence[str]) -> tuple[list[str], list[str]] | None:
    """Return the people and sessions that names hold; None where no person has two sessions."""
    people, sessions = ([pair[part] for pair in map(split_session, names)] for part in (0, 1))
    return (people, sessions) if any(sessions) and repeated(people) else None


def rdms_of_people(judged: Judgements, source: Source, repeats: Repeats | None) -> dict[str, Judgements]:
    """Return one RDM for each person, for each level of the factor asked for (one level, ``""``, if none is).

    An RDM belongs to a person and to whatever `coords` say of it. Sessions (and runs, visits ...) of a person are
    averaged over those pairs that were judged in them; anything else that one person has several RDMs of is asked
    about, since two RDMs of one name may be two regions, two tasks, or two people.
    """
    if repeats == "people":
        judged = _as_people(judged)
    elif "session" not in judged.coords and (split := sessions_in_names(judged.participants)) is not None:
        judged = replace(judged, participants=split[0], coords={**judged.coords, "session": split[1]})
    unnamed = sum(not name for name in judged.participants)
    if unnamed:
        message = (
            f"{unnamed} RDMs of {source.name} name a session and no participant. Name the participants, or read "
            "each RDM as a person: option repeats=people."
        )
        raise ValueError(message)
    judged = _selected(judged, source.layout, source.name)
    by = source.layout.by
    if by is None:
        return {"": _averaged(judged, source.name, repeats)}
    labels = np.array([str(value) for value in _factor(judged, by, source.name)])
    rest = replace(judged, coords={name: values for name, values in judged.coords.items() if name != by})
    return {level: _averaged(_rows(rest, labels == level), source.name, repeats) for level in naturally(set(labels))}


def _as_people(judged: Judgements) -> Judgements:
    if not repeated(judged.participants):
        return judged
    width = max(2, len(str(len(judged.participants))))
    names = [f"participant_{number:0{width}d}" for number in range(1, len(judged.participants) + 1)]
    return replace(judged, participants=names, coords={**judged.coords, "name": judged.participants})


def _factor(judged: Judgements, name: str, file: str) -> list[Any]:
    if name not in judged.coords:
        factors = listed(sorted(judged.coords)) or "none"
        message = f"No factor {name!r} in {file}. Its RDMs have the factors {factors}; other kinds have columns."
        raise ValueError(message)
    return judged.coords[name]


def _selected(judged: Judgements, layout: Layout, file: str) -> Judgements:
    left_out: Counter[str] = Counter()
    for chosen, wanted in ((layout.keep, True), (layout.drop, False)):
        for name, values in chosen.items():
            if name not in judged.coords and name in judged.attrs.get("selected_by", ()):
                continue  # by the columns of a text file, while it was read
            labels = np.array([str(value) for value in _factor(judged, name, file)])
            absent = sorted(set(values) - set(labels))
            if wanted and absent:
                message = f"{name!r} of {file} has no {listed(absent)}. It has {listed(naturally(set(labels)))}."
                raise ValueError(message)
            rows = np.isin(labels, values) == wanted
            if not rows.all():
                why = f"{name} is {'not ' * wanted}{' or '.join(values)}"
                left_out[f"RDMs whose {why}"] += int((~rows).sum())
                judged = _rows(judged, rows)
    attrs = {name: value for name, value in judged.attrs.items() if name != "selected_by"}
    if left_out:
        attrs["left_out"] = {**attrs.get("left_out", {}), **left_out}
    return replace(judged, attrs=attrs)


def _rows(judged: Judgements, rows: NDArray[np.bool_]) -> Judgements:
    if rows.all():
        return judged
    at = np.flatnonzero(rows)
    return replace(
        judged,
        participants=[judged.participants[row] for row in at],
        dissimilarity=judged.dissimilarity[at],
        coverage=judged.coverage[at],
        n_trials=judged.n_trials[at],
        bias=None if judged.bias is None else judged.bias[at],
        coords={name: [values[row] for row in at] for name, values in judged.coords.items()},
    )


def _averaged(judged: Judgements, file: str, repeats: Repeats | None) -> Judgements:
    """Average the RDMs of each person, or return them as they are where each has one."""
    people = list(dict.fromkeys(judged.participants))
    if len(people) == len(judged.participants):
        return judged
    sessions = [name for name in SESSION_NAMES if name in judged.coords]
    rows_of = {one: [row for row, name in enumerate(judged.participants) if name == one] for one in people}
    if repeats != "average":
        _must_be_sessions(judged, rows_of, sessions, file)
    values = np.empty((len(people), judged.dissimilarity.shape[1]))
    coverage = np.empty(values.shape, dtype=judged.coverage.dtype)
    n_trials = np.empty(len(people), dtype=np.int64)
    for place, rows in enumerate(rows_of.values()):
        total, count = np.zeros(values.shape[1]), np.zeros(values.shape[1])
        for row in rows:  # one at a time: a copy of all of a person's sessions may not fit
            known = ~np.isnan(judged.dissimilarity[row])
            total[known] += judged.dissimilarity[row, known]
            count += known
        values[place] = np.nan
        np.divide(total, count, out=values[place], where=count > 0)
        coverage[place] = judged.coverage[rows].sum(axis=0)
        n_trials[place] = judged.n_trials[rows].sum()
    counts = [len(rows) for rows in rows_of.values()]
    coords = {name: [held[rows[0]] for rows in rows_of.values()] for name, held in _constant(judged, rows_of).items()}
    of = "RDMs" if not sessions else sessions[0] if sessions[0].endswith("s") else f"{sessions[0]}s"
    each = str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"
    named = f" ({listed(naturally({str(value) for value in judged.coords[sessions[0]]}))})" if sessions else ""
    sentence = f"{sum(counts)} RDMs of {len(people)} participants: the mean of {each} {of} each{named}"
    return replace(
        judged,
        participants=people,
        dissimilarity=values,
        coverage=coverage,
        n_trials=n_trials,
        bias=None,
        coords={**coords, "n_rdms": counts},
        attrs={**judged.attrs, "averaged": sentence, "averaged_over": sessions[0] if sessions else ""},
    )


def _must_be_sessions(
    judged: Judgements, rows_of: Mapping[str, list[int]], sessions: Sequence[str], file: str
) -> None:
    """Refuse several RDMs of a person that sessions do not tell apart, saying what does."""
    unclear = [
        one
        for one, rows in rows_of.items()
        if len(rows) > 1
        and len({tuple(str(judged.coords[name][row]) for name in sessions) for row in rows}) < len(rows)
    ]
    if not unclear:
        return
    constant = _constant(judged, rows_of)
    differ = {name: values for name, values in judged.coords.items() if name not in constant and name not in sessions}
    who = f"{len(unclear)} participants of {file} have several RDMs each ({listed(unclear, 4)})"
    if len(unclear) == 1:
        who = f"{unclear[0]!r} of {file} has {len(rows_of[unclear[0]])} RDMs"
    if differ:
        name, values = next(iter(differ.items()))
        levels = naturally({str(value) for value in values})
        then = (
            f"They differ in {name}: {listed(levels)}. Read one of these (layout keep.{name}={levels[0]}) or each by "
            f"itself (by={name})."
        )
    else:
        then = "Nothing says which session each is. If they are sessions of one person, take their mean: "
        then += "option repeats=average. If each is a person, repeats=people."
    message = f"{who}. {then}"
    raise ValueError(message)


def _constant(judged: Judgements, rows_of: Mapping[str, list[int]]) -> dict[str, list[Any]]:
    return {
        name: values
        for name, values in judged.coords.items()
        if all(len({str(values[row]) for row in rows}) == 1 for rows in rows_of.values())
    }
