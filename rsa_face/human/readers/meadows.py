"""Files as Meadows Research exports them from arrangement tasks: .mat of one or many participants, and .json."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from rsa_face.human.faults import Fault, listed, raise_faults
from rsa_face.human.judgements import Floats, Judgements, must_fit, pair_index
from rsa_face.human.layout import Source
from rsa_face.human.rdm_files import read_matlab
from rsa_face.human.readers.arrangement import ArrangementOptions, combine_arrangements
from rsa_face.human.reading import renaming
from rsa_face.human.trials import naturally
from rsa_face.rdms.toolbox import load_meadows
from rsa_face.schema import repeated
from rsa_face.untrusted import read_json, reading

_IMAGES = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".svg")


@dataclass(frozen=True, eq=False)
class Session:
    """One participant's arrangement task.

    Parameters
    ----------
    participant, task : str
        Who, and which task.
    stimuli : list of str
        The ids, in the order of the RDM.
    dissimilarity : array, shape (pair,)
        The RDM.
    coverage : array of int, shape (pair,), optional
        In how many trials each pair was shown, where the file has the trials.
    trials : int, optional
        How many, where the file has them.
    """

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

    Parameters
    ----------
    source : Source
        Files ending in .mat or .json.
    options : ArrangementOptions
        For .json: the task, and whether to take the file's RDM or to compute it anew.

    Returns
    -------
    Judgements
        Ids are the stimuli's names without the ending of an image. Where a file has no trials (.mat), `coverage` is
        1 for each pair there, and `n_trials` counts pairs. A participant has several rows where the files hold
        several tasks of theirs.

    Raises
    ------
    ValueError
        If a file is none of Meadows', or holds several tasks and none is chosen.
    """
    sessions: list[Session] = []
    for path in source.paths:
        if path.suffix.lower() not in (".mat", ".json"):
            message = f"Meadows' files end in .mat or .json, but {path.name} does not. Read one sort at a time."
            raise ValueError(message)
        sessions += _of_mat(path) if path.suffix.lower() == ".mat" else _of_json(path, options)
    return _together(sessions, source)


def _together(sessions: list[Session], source: Source) -> Judgements:
    renamed = renaming(source)
    named = [[renamed.get(one, one) if renamed else one for one in session.stimuli] for session in sessions]
    found = list(dict.fromkeys(one for ids in named for one in ids))
    ids = list(source.stimuli) if source.stimuli is not None else naturally(found)
    unknown = naturally(set(found) - set(ids))
    raise_faults(
        [Fault(source.name, 0, "", f"{one!r} is not among the stimuli") for one in unknown],
        "Stimuli of human RDMs must be known",
        then="Rename them with a table of two columns (layout rename), or read without stimuli.",
    )
    place = {one: index for index, one in enumerate(ids)}
    must_fit(len(sessions), len(ids), source.name)
    values = np.full((len(sessions), len(ids) * (len(ids) - 1) // 2), np.nan)
    coverage = np.zeros(values.shape, dtype=np.int32)
    for row, (session, own) in enumerate(zip(sessions, named, strict=True)):
        at = np.array([place[one] for one in own])
        i, j = np.triu_indices(len(own), 1)
        pair = pair_index(at[i], at[j], len(ids))
        values[row, pair] = session.dissimilarity
        known = session.coverage
        coverage[row, pair] = ~np.isnan(session.dissimilarity) if known is None else known
    n_trials = [
        one.trials if one.trials is not None else int((~np.isnan(one.dissimilarity)).sum()) for one in sessions
    ]
    attrs = {
        "distance": "evidence-weighted inverse MDS (Kriegeskorte & Mur 2012, 10.3389/fpsyg.2012.00245)",
        "trials_known": all(one.trials is not None for one in sessions),
    }
    people = [session.participant for session in sessions]
    coords = {"task": [session.task for session in sessions]}
    return Judgements(people, ids, values, coverage, np.array(n_trials), attrs=attrs, coords=coords)


def _of_mat(path: Path) -> list[Session]:
    with reading(path, "Meadows' .mat must be whole", then="Download it again."):
        held = read_matlab(path)
    names = [name for name in held if name == "rdmutv" or name.startswith("rdmutv_")]
    lacking = [f"stimuli{name.removeprefix('rdmutv')}" for name in names]
    lacking = [name for name in lacking if name not in held]
    if not names or lacking:
        has = listed([name for name in held if not name.startswith("__")])
        message = (
            f"Meadows' .mat must hold rdmutv and stimuli (of each participant), but {path.name} lacks "
            f"{listed(lacking or ['rdmutv'])}; it has {has}. If it is no file of Meadows', read it with kind rdm."
        )
        raise ValueError(message)
    with reading(path, "Meadows' .mat must name its stimuli", then="Download it again."):
        stimuli = [_names(held[f"stimuli{name.removeprefix('rdmutv')}"]) for name in names]
    if all(own == stimuli[0] for own in stimuli) and not any(one.count(".") > 1 for one in stimuli[0]):
        read = _by_rsatoolbox(path)
        if read is not None:
            return read
    people = [name.removeprefix("rdmutv").lstrip("_").replace("_", "-") or path.stem for name in names]
    with reading(path, "Meadows' .mat must hold numbers", then="Download it again."):
        values = [np.asarray(held[name], dtype=float).ravel() for name in names]
    each = zip(people, stimuli, values, strict=True)
    return [_session(path, who, "", own, mine) for who, own, mine in each]


def _by_rsatoolbox(path: Path) -> list[Session] | None:
    loaded = load_meadows(path)
    if loaded is None:
        return None
    people, tasks, ids, values = loaded
    return [_session(path, who, task, ids, row) for who, task, row in zip(people, tasks, values, strict=True)]


def _names(cells: NDArray[Any]) -> list[str]:
    return [str(np.asarray(cell).ravel()[0]).strip() for cell in np.asarray(cells).ravel()]


def _session(path: Path, who: str, task: str, stimuli: list[str], values: Floats) -> Session:
    ids = [_id_of(name) for name in stimuli]
    if repeated(ids) or len(values) != len(ids) * (len(ids) - 1) // 2:
        said = (
            f"names {repeated(ids)} twice" if repeated(ids) else f"has {len(values)} entries for {len(ids)} stimuli"
        )
        message = f"An RDM of Meadows' must have an entry for each pair, but {who!r} of {path.name} {said}."
        raise ValueError(message)
    return Session(who, task, ids, np.asarray(values, dtype=float))


def _id_of(name: str) -> str:
    return Path(name).stem if Path(name).suffix.lower() in _IMAGES else name


def _of_json(path: Path, options: ArrangementOptions) -> list[Session]:
    tree = read_json(path, "Meadows' .json must be whole", then="Download it again.")
    several = {str(k): v for k, v in tree.items() if isinstance(v, dict)} if isinstance(tree, dict) else {}
    people = several if several and all("tasks" in v or "trials" in v for v in several.values()) else None
    if people is None:
        people = {_participant_of(path): tree}
    sessions = []
    for who, held in people.items():
        mine = [one for one in _tasks_of(held) if one["task"].get("task_type") == "multiarrange"]
        sessions.append(_session_of(path, who, _chosen(path, who, mine, options), options))
    return sessions


def _tasks_of(held: Any) -> list[dict[str, Any]]:
    tasks = held.get("tasks", [held]) if isinstance(held, dict) else []
    return (
        [one for one in tasks if isinstance(one, dict) and isinstance(one.get("task"), dict)]
        if isinstance(tasks, list)
        else []
    )


def _participant_of(path: Path) -> str:
    """Return the participant's nickname in a name like Meadows_myExp_v_v1_cuddly-bunny_3_tree.json."""
    words = path.stem.split("_")
    return next((word for word in reversed(words[1:]) if word.count("-") == 1), path.stem)


def _chosen(path: Path, who: str, tasks: list[Any], options: ArrangementOptions) -> Any:
    names = [str(one["task"].get("name", "")) for one in tasks]
    if not tasks:
        message = f"Meadows' .json must hold an arrangement task (multiarrange), but {path.name} has none of {who!r}."
        raise ValueError(message)
    if options.task is None and len(tasks) == 1:
        return tasks[0]
    if options.task not in names:
        what = f"option task is {options.task!r}" if options.task else "none is chosen"
        message = f"The arrangement task to read must be one of {names} of {path.name}, but {what}. Set option task."
        raise ValueError(message)
    return tasks[names.index(options.task)]


def _session_of(path: Path, who: str, task: Any, options: ArrangementOptions) -> Session:
    must, then = "A task of Meadows' must hold stimuli, trials with positions, and rdm", "Download it again."
    with reading(path, must, then=then):
        stimuli = [str(one["name"]) for one in task["stimuli"]]
        place = {str(one["id"]): index for index, one in enumerate(task["stimuli"])}
        trials = [trial["positions"] for trial in task["trials"]]
    must_fit(1, len(stimuli), path.name, trials=len(trials))
    with reading(path, must, then=then):
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
