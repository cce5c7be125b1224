"""Stimuli laid out on a screen, alike ones close together: tables of positions, and files of Meadows Research."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist

from rsa_face.human.judgements import Floats, Judgements, Repeats, must_fit, pair_index, pairs_of
from rsa_face.human.rdm_files import read_matlab
from rsa_face.human.tables import Fault, Source, listed, naturally, raise_faults
from rsa_face.human.trials import Column, Trials, renaming
from rsa_face.rdms.toolbox import load_meadows
from rsa_face.safety import read_json, reading
from rsa_face.schema import repeated
from rsa_face.settings import Settings

ARRANGEMENT_COLUMNS = (
    Column("participant"),
    Column("trial"),
    Column("stimulus", stimulus=True),
    Column("x", number=True),
    Column("y", number=True),
)
_METHOD = "evidence-weighted inverse MDS (Kriegeskorte & Mur 2012, 10.3389/fpsyg.2012.00245)"
LARGEST_UNIT = 3.0  # a pair further apart than this was measured in pixels, not in widths of the arena


class ArrangementOptions(Settings):
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
        For Meadows' JSON: ``file`` takes the RDM in it; ``trials`` computes it from the positions.
    task : str, optional
        For Meadows' JSON with several arrangement tasks: the one to read.
    repeats : str, optional
        For Meadows' files with several RDMs of one participant: ``average`` takes their mean, ``people`` takes each
        for a person; an error if not given.
    """

    arena: float | None = Field(default=None, gt=0)
    floor: float = Field(default=0.2, ge=0)
    estimate: Literal["file", "trials"] = "file"
    task: str | None = None
    repeats: Repeats | None = None


def judge_arrangements(trials: Trials, options: ArrangementOptions) -> Judgements:
    """Return the RDM that explains all of a participant's arrangements best, by evidence-weighted averaging."""
    (people, who), ids = trials.people(), trials.stimuli("stimulus")
    trials.once(("participant", "trial", "stimulus"), "stimulus", "{} is placed again in the same trial")
    trials.settle()
    what, number = trials.codes("stimulus", ids), trials.codes("trial", trials.values("trial"))
    # the rows of each arrangement, sorted by stimulus
    rows = np.lexsort((what, number, who))
    changes = (np.diff(who[rows]) != 0) | (np.diff(number[rows]) != 0)
    parts = np.split(rows, np.flatnonzero(changes) + 1)
    of_each = np.bincount(who[[part[0] for part in parts if len(part)]], minlength=1)
    must_fit(len(people), len(ids), trials.source.name, trials=int(of_each.max()))
    xy = trials.frame[["x", "y"]].to_numpy(float)
    largest = max((float(pdist(xy[part]).max()) for part in parts if len(part) > 1), default=1.0)
    unit = options.arena or (largest if largest > LARGEST_UNIT else 1.0)
    arranged: list[list[tuple[NDArray[np.int64], Floats]]] = [[] for _ in people]
    for part in parts:
        distances = pdist(xy[part]) / unit
        if len(part) < 2 or not distances.any():
            trials.left_out["trials with one place only"] += 1
            continue
        i, j = np.triu_indices(len(part), 1)
        arranged[int(who[part[0]])].append((pair_index(what[part][i], what[part][j], len(ids)), distances))
    rdms = np.full((len(people), pairs_of(ids)), np.nan)
    coverage = np.zeros(rdms.shape, dtype=np.int32)
    unlinked = []
    for person, shown in enumerate(arranged):
        partial = np.full((len(shown), rdms.shape[1]), np.nan)
        for row, (pair, distances) in zip(partial, shown, strict=True):
            row[pair] = distances
        coverage[person] = (~np.isnan(partial)).sum(axis=0)
        rdms[person] = combine_arrangements(partial, floor=options.floor)
        # arrangements that share no pair, even through others, have scales that nothing relates
        judged = (~np.isnan(partial)).astype(np.float32)
        if len(partial) and connected_components(judged @ judged.T > 0)[0] > 1:
            unlinked.append(people[person])
    attrs = {"distance": _METHOD, "unit": unit, "unlinked": unlinked}
    n_trials = np.array([len(shown) for shown in arranged], dtype=np.int64)
    return Judgements(people, ids, rdms, coverage, n_trials, attrs=attrs, simulated=trials.simulated)


def combine_arrangements(partial: Floats, *, floor: float = 0.2, tolerance: float = 1e-12) -> Floats:
    """Return one RDM from the distances in several arrangements, each of some of the stimuli.

    Each arrangement uses the whole arena, so its distances are relative. In turn, every arrangement is scaled to the
    size that the current estimate has over its pairs, and the estimate becomes the mean of the scaled distances,
    weighted by evidence: the square of the distance on the screen, since placing errors are about the same size
    whatever the distance. This is repeated until nothing changes (Kriegeskorte & Mur 2012,
    10.3389/fpsyg.2012.00245).

    With d the distances of trial t over its pairs and e the estimate, d' = d * |e| / |d| over these pairs, and e
    becomes sum(w d') / sum(w), w = max(d, floor)^2, divided by its own norm. Agrees with the RDM that Meadows
    computes from 109 trials of 118 stimuli to 3e-6.
    """
    judged = ~np.isnan(partial)
    shown = judged.any(axis=0)
    if not shown.any():
        return np.full(partial.shape[1], np.nan)
    judged, distances = judged[:, shown], np.where(judged, partial, 0.0)[:, shown]
    # a placing error is about as large for near as for far pairs, so that far ones say more
    weights = np.where(judged, np.maximum(distances, floor) ** 2, 0.0)
    if not weights.sum(axis=0).all():  # floor 0, and a pair that was always put in one place
        weights = np.maximum(weights, np.where(judged, np.finfo(float).tiny, 0.0))
    size = np.linalg.norm(distances, axis=1)
    # start with the plain mean, and bring all arrangements to its scale, again and again
    now = distances.sum(axis=0) / judged.sum(axis=0)
    now /= np.linalg.norm(now)
    for _ in range(1000):
        target = np.sqrt(judged.astype(float) @ now**2)
        scaled = distances * (target / size)[:, None]
        then, now = now, (weights * scaled).sum(axis=0) / weights.sum(axis=0)
        now /= np.linalg.norm(now)
        if float(((now - then) ** 2).sum()) < tolerance:
            break
    rdm = np.full(partial.shape[1], np.nan)
    rdm[shown] = now
    return rdm


_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".svg")


@dataclass(frozen=True, eq=False)
class Session:
    """One participant's arrangement task."""

    participant: str
    task: str
    stimuli: list[str]
    dissimilarity: Floats
    coverage: NDArray[np.int32] | None = None
    trials: int | None = None


def read_meadows(source: Source, options: ArrangementOptions) -> Judgements:
    """Read the RDMs in one or several of Meadows' files.

    A .mat file is read by `rsatoolbox.io.meadows` where it can: where the name is the one Meadows gave it and all
    participants saw the stimuli in one order (it takes the first participant's order for all). Otherwise, and for
    .json, whose trials rsatoolbox does not read, it is read here, and stimuli are matched by name.
    """
    sessions: list[Session] = []
    for path in source.paths:
        if path.suffix.lower() not in (".mat", ".json"):
            message = f"{path.name} is not a file of Meadows: these end in .mat or .json. Read one kind at a time."
            raise ValueError(message)
        sessions += _of_mat(path) if path.suffix.lower() == ".mat" else _of_json(path, options)
    return _together(sessions, source)


def _together(sessions: list[Session], source: Source) -> Judgements:
    """Return the RDMs of all files over all stimuli, renamed and in the order asked for."""
    renamed = renaming(source)
    named = [[renamed.get(one, one) if renamed else one for one in session.stimuli] for session in sessions]
    names = list(dict.fromkeys(one for ids in named for one in ids))
    ids = list(source.stimuli) if source.stimuli is not None else naturally(names)
    raise_faults(
        [Fault(source.name, 0, "", f"{one!r} is not among the stimuli") for one in naturally(set(names) - set(ids))],
        "Human RDMs are of known stimuli",
        then="Rename them with a table of two columns (layout rename), or read without stimuli.",
    )
    place = {one: index for index, one in enumerate(ids)}
    must_fit(len(sessions), len(ids), source.name)
    values = np.full((len(sessions), pairs_of(ids)), np.nan)
    coverage = np.zeros(values.shape, dtype=np.int32)
    for row, (session, session_ids) in enumerate(zip(sessions, named, strict=True)):
        at = np.array([place[one] for one in session_ids])
        i, j = np.triu_indices(len(session_ids), 1)
        pair = pair_index(at[i], at[j], len(ids))
        values[row, pair] = session.dissimilarity
        known = session.coverage
        coverage[row, pair] = ~np.isnan(session.dissimilarity) if known is None else known
    trials_known = all(session.trials is not None for session in sessions)
    judged = (~np.isnan(values)).sum(axis=1).tolist()  # stand for trials where a file does not say how many
    n_trials = [pairs if one.trials is None else one.trials for one, pairs in zip(sessions, judged, strict=True)]
    return Judgements(
        [session.participant for session in sessions],
        ids,
        values,
        coverage,
        np.array(n_trials),
        attrs={"distance": _METHOD, "trials_known": trials_known},
        coords={"task": [session.task for session in sessions]},
    )


def _of_mat(path: Path) -> list[Session]:
    with reading(path, "It is not a complete .mat file", then="Download it again."):
        arrays = read_matlab(path)
    names = [name for name in arrays if name == "rdmutv" or name.startswith("rdmutv_")]
    lacking = [f"stimuli{name.removeprefix('rdmutv')}" for name in names]
    lacking = [name for name in lacking if name not in arrays]
    if not names or lacking:
        has = listed([name for name in arrays if not name.startswith("__")])
        message = (
            f"{path.name} is not a file of Meadows: it lacks {listed(lacking or ['rdmutv'])}; it has {has}. Read "
            "other RDMs with kind rdm."
        )
        raise ValueError(message)
    with reading(path, "A .mat file of Meadows names its stimuli", then="Download it again."):
        stimuli = [_names(arrays[f"stimuli{name.removeprefix('rdmutv')}"]) for name in names]
    if all(names == stimuli[0] for names in stimuli) and not any(one.count(".") > 1 for one in stimuli[0]):
        loaded = load_meadows(path)
        if loaded is not None:
            people, tasks, ids, rows = loaded
            return [_session(path, who, task, ids, row) for who, task, row in zip(people, tasks, rows, strict=True)]
    people = [name.removeprefix("rdmutv").lstrip("_").replace("_", "-") or path.stem for name in names]
    with reading(path, "A .mat file of Meadows holds numbers", then="Download it again."):
        values = [np.asarray(arrays[name], dtype=float).ravel() for name in names]
    return [_session(path, who, "", ids, rdm) for who, ids, rdm in zip(people, stimuli, values, strict=True)]


def _names(cells: NDArray[Any]) -> list[str]:
    return [str(np.asarray(cell).ravel()[0]).strip() for cell in np.asarray(cells).ravel()]


def _session(path: Path, who: str, task: str, stimuli: list[str], values: Floats) -> Session:
    ids = [Path(name).stem if Path(name).suffix.lower() in _IMAGES else name for name in stimuli]
    if repeated(ids) or len(values) != pairs_of(ids):
        lengths = f"has {len(values)} entries for {len(ids)} stimuli"
        problem = f"names {repeated(ids)} twice" if repeated(ids) else lengths
        message = f"The RDM of {who!r} in {path.name} {problem}. Download it again."
        raise ValueError(message)
    return Session(who, task, ids, np.asarray(values, dtype=float))


def _of_json(path: Path, options: ArrangementOptions) -> list[Session]:
    tree = read_json(path, "It is not a complete .json file", then="Download it again.")
    several = {str(k): v for k, v in tree.items() if isinstance(v, dict)} if isinstance(tree, dict) else {}
    if not several or not all("tasks" in v or "trials" in v for v in several.values()):
        several = {_participant_of(path): tree}
    sessions = []
    for who, branch in several.items():
        tasks = branch.get("tasks", [branch]) if isinstance(branch, dict) else []
        tasks = tasks if isinstance(tasks, list) else []
        named = [one for one in tasks if isinstance(one, dict) and isinstance(one.get("task"), dict)]
        arrangements = [one for one in named if one["task"].get("task_type") == "multiarrange"]
        sessions.append(_session_of(path, who, _chosen(path, who, arrangements, options), options))
    return sessions


def _participant_of(path: Path) -> str:
    """Return the participant's nickname in a name like Meadows_myExp_v_v1_cuddly-bunny_3_tree.json."""
    words = path.stem.split("_")
    return next((word for word in reversed(words[1:]) if word.count("-") == 1), path.stem)


def _chosen(path: Path, who: str, tasks: list[Any], options: ArrangementOptions) -> Any:
    names = [str(one["task"].get("name", "")) for one in tasks]
    if not tasks:
        message = f"{path.name} holds no arrangement task (multiarrange) of {who!r}. Choose another file."
        raise ValueError(message)
    if options.task is None and len(tasks) == 1:
        return tasks[0]
    if options.task not in names:
        what = f"no task {options.task!r}" if options.task else "several tasks, and none is chosen"
        message = f"{path.name} has {what}. Set option task to one of {names}."
        raise ValueError(message)
    return tasks[names.index(options.task)]


def _session_of(path: Path, who: str, task: Any, options: ArrangementOptions) -> Session:
    rule, then = "A task of Meadows has stimuli, trials with positions, and rdm", "Download it again."
    with reading(path, rule, then=then):
        stimuli = [str(one["name"]) for one in task["stimuli"]]
        place = {str(one["id"]): index for index, one in enumerate(task["stimuli"])}
        trials = [trial["positions"] for trial in task["trials"]]
    must_fit(1, len(stimuli), path.name, trials=len(trials))
    with reading(path, rule, then=then):
        partial = np.full((len(trials), len(stimuli) * (len(stimuli) - 1) // 2), np.nan)
        for row, placed in zip(partial, trials, strict=True):
            at = np.array([place[str(one["id"])] for one in placed], dtype=np.int64)
            i, j = np.triu_indices(len(at), 1)
            xy = np.array([[one["x"], one["y"]] for one in placed], dtype=float)
            row[pair_index(at[i], at[j], len(stimuli))] = pdist(xy) / (options.arena or 1.0)
        values = np.asarray(task["rdm"], dtype=float).reshape(-1) if options.estimate == "file" else None
    if values is None:
        somewhere = np.nan_to_num(partial).any(axis=1)
        values = combine_arrangements(partial[somewhere], floor=options.floor)
    session = _session(path, who, str(task["task"].get("name", "")), stimuli, values)
    coverage = (~np.isnan(partial)).sum(axis=0).astype(np.int32)
    return Session(who, session.task, session.stimuli, session.dissimilarity, coverage, len(partial))
