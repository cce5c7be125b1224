"""Stimuli laid out on a screen, alike ones close together: many partial arrangements become one RDM."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist

from rsa_face.human.judgements import Floats, Judgements, must_fit, pair_index
from rsa_face.human.layout import Source
from rsa_face.human.sessions import Repeats
from rsa_face.human.trials import GROUP, Column, Trials

LARGEST_UNIT = 3.0  # a pair further apart than this was measured in pixels, not in widths of the arena


class ArrangementOptions(BaseModel):
    """How arrangements become dissimilarities.

    Parameters
    ----------
    arena : float, optional
        The size of the arena in the file's units (pixels), which `floor` refers to. If not given, coordinates are
        taken as they are, or, where they are pixels, by the largest distance in the file.
    floor : float
        The least distance, in sizes of the arena, that evidence is weighed by: 0.2, as Meadows and rsatoolbox do,
        so that two stimuli that lie in one place weigh more than nothing.
    estimate : str
        For Meadows' JSON: ``file`` takes the RDM in it; ``trials`` computes it anew from the positions.
    task : str, optional
        For Meadows' JSON with several arrangement tasks: the one to read.
    repeats : str, optional
        For Meadows' files with several RDMs of one participant: ``average`` takes their mean, ``people`` takes each
        for a person; an error if not given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    arena: float | None = Field(default=None, gt=0)
    floor: float = Field(default=0.2, ge=0)
    estimate: Literal["file", "trials"] = "file"
    task: str | None = None
    repeats: Repeats | None = None


def arrangement_columns(options: ArrangementOptions, source: Source) -> tuple[Column, ...]:  # noqa: ARG001 - one form for all
    """Return what a file of arrangements must hold.

    Parameters
    ----------
    options : ArrangementOptions
        Not used.
    source : Source
        Not used.

    Returns
    -------
    tuple of Column
        The columns.
    """
    return (
        Column("participant"),
        Column("trial"),
        Column("stimulus", stimulus=True),
        Column("x", number=True),
        Column("y", number=True),
    )


def judge_arrangements(trials: Trials, options: ArrangementOptions) -> Judgements:
    """Return the RDM that explains all of a participant's arrangements best, by evidence-weighted averaging.

    Parameters
    ----------
    trials : Trials
        Columns participant, trial, stimulus, x, y; one row for each stimulus of each trial.
    options : ArrangementOptions
        The arena and the least evidence.

    Returns
    -------
    Judgements
        Dissimilarities whose squares sum to 1 over the pairs that were judged; `coverage` is in how many trials a
        pair was shown together. ``attrs["unlinked"]`` names participants whose trials fall into parts that share no
        pair: how the parts' scales relate cannot be known.

    Raises
    ------
    ValueError
        If a stimulus occurs twice in a trial.
    """
    people, ids = trials.values("participant") or [GROUP], trials.stimuli("stimulus")
    again = trials.frame.duplicated(["participant", "trial", "stimulus"]).to_numpy()
    named = trials.frame["stimulus"]
    trials.fault(again, "stimulus", lambda row: f"{named.iloc[row]!r} is placed again in the same trial")
    trials.settle()
    who, what = trials.codes("participant", people), trials.codes("stimulus", ids)
    number = trials.codes("trial", trials.values("trial"))
    _, place = np.unique(np.stack([who, number]), axis=1, return_inverse=True)
    rows = np.argsort(place.reshape(-1), kind="stable")
    parts = np.split(rows, np.flatnonzero(np.diff(place.reshape(-1)[rows])) + 1)
    of_each = np.bincount(who[[part[0] for part in parts if len(part)]], minlength=1)
    must_fit(len(people), len(ids), trials.source.name, trials=int(of_each.max()))
    xy = trials.frame[["x", "y"]].to_numpy(float)
    unit = options.arena or _unit_of(xy, parts)
    each: list[list[tuple[NDArray[np.int64], Floats]]] = [[] for _ in people]
    for part in parts:
        part = part[np.argsort(what[part])]
        distances = pdist(xy[part]) / unit
        if len(part) < 2 or not distances.any():
            trials.left_out["trials with one place only"] += 1
            continue
        i, j = np.triu_indices(len(part), 1)
        each[int(who[part[0]])].append((pair_index(what[part][i], what[part][j], len(ids)), distances))
    return _judged(people, ids, each, options, unit, simulated=trials.simulated)


def _unit_of(xy: Floats, parts: list[NDArray[np.intp]]) -> float:
    largest = max((float(pdist(xy[part]).max()) for part in parts if len(part) > 1), default=1.0)
    return largest if largest > LARGEST_UNIT else 1.0


def _judged(
    people: list[str],
    ids: list[str],
    each: list[list[tuple[NDArray[np.int64], Floats]]],
    options: ArrangementOptions,
    unit: float,
    *,
    simulated: bool,
) -> Judgements:
    pairs = len(ids) * (len(ids) - 1) // 2
    found = np.full((len(people), pairs), np.nan)
    coverage = np.zeros((len(people), pairs), dtype=np.int32)
    unlinked = []
    for person, shown in enumerate(each):
        partial = np.full((len(shown), pairs), np.nan)
        for row, (pair, distances) in zip(partial, shown, strict=True):
            row[pair] = distances
        coverage[person] = (~np.isnan(partial)).sum(axis=0)
        found[person] = combine_arrangements(partial, floor=options.floor)
        if _parts_of(partial) > 1:
            unlinked.append(people[person])
    attrs = {
        "distance": "evidence-weighted inverse MDS (Kriegeskorte & Mur 2012, 10.3389/fpsyg.2012.00245)",
        "unit": unit,
        "unlinked": unlinked,
    }
    n_trials = np.array([len(shown) for shown in each], dtype=np.int64)
    return Judgements(people, ids, found, coverage, n_trials, attrs=attrs, simulated=simulated)


def _parts_of(partial: Floats) -> int:
    there = (~np.isnan(partial)).astype(np.float32)
    return int(connected_components(there @ there.T > 0)[0]) if len(partial) else 0


def combine_arrangements(partial: Floats, *, floor: float = 0.2, tolerance: float = 1e-12) -> Floats:
    """Return one RDM from the distances in several arrangements, each of some of the stimuli.

    Each arrangement uses the whole arena, so its distances are relative. In turn, every arrangement is scaled to the
    size that the current estimate has over its pairs, and the estimate becomes the mean of the scaled distances,
    weighted by evidence: the square of the distance on the screen, since placing errors are about the same size
    whatever the distance. This is repeated until nothing changes (Kriegeskorte & Mur 2012,
    10.3389/fpsyg.2012.00245).

    Parameters
    ----------
    partial : array, shape (trial, pair)
        Distances on the screen, in sizes of the arena; NaN where a pair was not shown.
    floor : float
        The least distance that evidence is weighed by.
    tolerance : float
        Stop when the squared change is smaller.

    Returns
    -------
    array, shape (pair,)
        Dissimilarities, whose squares sum to 1; NaN for pairs never shown.

    Notes
    -----
    With d the distances of trial t over its pairs and e the estimate, d' = d * |e| / |d| over these pairs, and e
    becomes sum(w d') / sum(w), w = max(d, floor)^2, divided by its own norm. Agrees with the RDM that Meadows
    computes from 109 trials of 118 stimuli to 3e-6.
    """
    there = ~np.isnan(partial)
    shown = there.any(axis=0)
    if not shown.any():
        return np.full(partial.shape[1], np.nan)
    there, distances = there[:, shown], np.where(there, partial, 0.0)[:, shown]
    weights = np.where(there, np.maximum(distances, floor) ** 2, 0.0)
    if not weights.sum(axis=0).all():
        weights = np.maximum(weights, np.where(there, np.finfo(float).tiny, 0.0))
    size = np.linalg.norm(distances, axis=1)
    now = distances.sum(axis=0) / there.sum(axis=0)
    now /= np.linalg.norm(now)
    for _ in range(1000):
        target = np.sqrt(there.astype(float) @ now**2)
        scaled = distances * (target / size)[:, None]
        then, now = now, (weights * scaled).sum(axis=0) / weights.sum(axis=0)
        now /= np.linalg.norm(now)
        if float(((now - then) ** 2).sum()) < tolerance:
            break
    found = np.full(partial.shape[1], np.nan)
    found[shown] = now
    return found
