"""The table of choices: who was shown what, and whether the answer was happy or sad."""

from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import numpy as np
import pandas as pd

from rsa_face.psychophysics.scales import scale_of
from rsa_face.safety import must_be_plain_names
from rsa_face.schema import NETWORK, OCCLUSIONS, PARTICIPANT
from rsa_face.untrusted import reading

ANSWERS = ("sad", "happy")


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each observer answered happy, at each level, under each occlusion.

    Parameters
    ----------
    observer : str
        The dimension that counts the observers: ``participant`` or ``network``.
    observers, occlusions : tuple of str
        Their names: observers in the order they first come in the table, the whole face before masked ones.
    levels : ndarray, shape (level,)
        Rising.
    trials, happy : ndarray, shape (observer, occlusion, level)
        Trials, and those answered happy. Where the table gives chances instead of answers, a trial is a row and
        `happy` sums the chances.
    answered : bool
        Whether trials were counted. Chances without a number of trials have no binomial spread.
    scale : {"signed", "morph", "other"}
        -1 sad ... +1 happy, 0 sad ... 1 happy, or neither.
    simulated : bool
        Whether any observer is simulated.
    """

    observer: str
    observers: tuple[str, ...]
    occlusions: tuple[str, ...]
    levels: np.ndarray
    trials: np.ndarray
    happy: np.ndarray
    answered: bool
    scale: str
    simulated: bool


def read_choices(path: str | Path) -> pd.DataFrame:
    """Read a table of choices and check every row of it.

    Parameters
    ----------
    path : str or Path
        A CSV (or TSV) file; see `check_choices` for its columns. Lines that begin with ``#`` above the header are
        remarks; ``# simulated: true`` is heeded.

    Returns
    -------
    DataFrame
        As `check_choices` returns it.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a table, or rows of it are at fault.
    """
    path = Path(path)
    if not path.is_file():
        message = f"A table of choices must exist to be read, but there is no file {str(path)!r}. Check the path."
        raise FileNotFoundError(message)
    separator = "\t" if path.suffix.lower() in (".tsv", ".tab") else ","
    names = {"participant": str, "network": str, "stimulus": str, "response": str, "occlusion": str}
    remarks = _remarks(path)
    with reading(path, "A table of choices must be a CSV or TSV file in UTF-8", then="Save it as one."):
        table = pd.read_csv(
            path, sep=separator, dtype=names, encoding="utf-8-sig", compression=None, skiprows=len(remarks)
        )
    table.attrs["simulated"] = "simulated: true" in remarks
    counted = " (lines counted from its header)" if remarks else ""
    return check_choices(table, name=f"{path.name}{counted}")


def check_choices(table: pd.DataFrame, *, name: str = "the table of choices") -> pd.DataFrame:
    """Hold a table of choices to its form, and return it with its answers as numbers.

    Parameters
    ----------
    table : DataFrame, one row a trial
        Columns `participant` or `network` (with `seed`, if there are several), `level`, and `response` (happy or
        sad); optional `stimulus`, `occlusion` (``none`` if absent) and `simulated` (true or false). Instead of
        `response`, a row may give the chance `p_happy` in 0-1, with the number of `trials` it was counted from
        where there were any. Levels are -1 sad ... +1 happy, or 0 sad ... 1 happy as in the published morphs, and
        are kept as they are. Not changed.
    name : str
        What to call the table in an error.

    Returns
    -------
    DataFrame
        Columns `participant` or `network`, `occlusion`, `level`, `happy` (0-1) and `trials` (NaN where a chance
        was not counted from any), and `stimulus` where there is one. ``attrs["simulated"]`` says whether any row
        is simulated.

    Raises
    ------
    ValueError
        If columns are missing, a level is missing or not a number, or an answer is neither happy nor sad; up to
        twenty faults at once, with their lines.

    Examples
    --------
    >>> rows = {"participant": ["a", "a"], "level": [-1, 1], "response": ["sad", "Happy"]}
    >>> check_choices(pd.DataFrame(rows))["happy"].tolist()
    [0.0, 1.0]
    """
    if table.attrs.get("checked"):
        return table
    observer = _observer_of(table, name)
    faults = _faults_of_level(table) + _faults_of_answers(table)
    named = [observer, *(["seed"] if observer == NETWORK else []), "stimulus"]
    faults += [f"line {line} has no {column}" for column in named if column in table
               for line in _lines(table[column].isna())]  # fmt: skip
    if faults:
        more = f"; and {len(faults) - 20} more" if len(faults) > 20 else ""
        message = (
            f"Choices must have a level that is a number and an answer that is happy or sad, but in {name} "
            f"{'; '.join(faults[:20])}{more}. Mend or remove these lines."
        )
        raise ValueError(message)
    for column in (observer, "occlusion", "stimulus"):
        must_be_plain_names(table.get(column, []), column, name)
    clean = pd.DataFrame({observer: _labels(table, observer)})
    clean["occlusion"] = table["occlusion"].fillna("none").astype(str).to_numpy() if "occlusion" in table else "none"
    clean["level"] = table["level"].astype(float).to_numpy()
    clean["happy"], clean["trials"] = _answers(table)
    if "stimulus" in table:
        clean["stimulus"] = table["stimulus"].astype(str).to_numpy()
    simulated = (
        table["simulated"].map(_is_true).any() if "simulated" in table else table.attrs.get("simulated", False)
    )
    clean.attrs = {"checked": True, "simulated": bool(simulated), "untrained": table.attrs.get("untrained", [])}
    return clean


def count_choices(choices: pd.DataFrame, *, scale: str = "auto") -> Counts:
    """Count happy answers by observer, occlusion and level.

    Parameters
    ----------
    choices : DataFrame
        From `check_choices`. Not changed.
    scale : {"auto", "signed", "morph", "other"}
        What the levels are; told from their range unless given.

    Returns
    -------
    Counts
        0 trials where an observer was not shown a level.

    Examples
    --------
    >>> rows = {"participant": ["a", "a"], "level": [-1, 1], "response": ["sad", "happy"]}
    >>> count_choices(check_choices(pd.DataFrame(rows))).happy.tolist()
    [[[0.0, 1.0]]]
    """
    observer = PARTICIPANT if PARTICIPANT in choices else NETWORK
    who, observers = pd.factorize(choices[observer])
    where, occlusions = pd.factorize(choices["occlusion"])
    levels, place = np.unique(choices["level"].to_numpy(dtype=float).round(9), return_inverse=True)
    answered = bool(choices["trials"].notna().all())
    trials = choices["trials"].fillna(1.0).to_numpy(dtype=float)
    shape = (len(observers), len(occlusions), len(levels))
    cell = np.ravel_multi_index((who, where, place.ravel()), shape)
    size = int(np.prod(shape))
    shown = np.bincount(cell, weights=trials, minlength=size).reshape(shape)
    happy = np.bincount(cell, weights=trials * choices["happy"].to_numpy(dtype=float), minlength=size).reshape(shape)
    happy = np.round(happy) if answered and np.allclose(happy, np.round(happy), atol=1e-6) else happy
    return Counts(
        observer,
        tuple(map(str, observers)),
        _in_order(tuple(map(str, occlusions))),
        levels,
        shown[:, _order(occlusions)],
        happy[:, _order(occlusions)],
        answered,
        scale_of(levels) if scale == "auto" else scale,
        bool(choices.attrs.get("simulated", False)),
    )


def _remarks(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        return [line.lstrip("# ").strip().lower() for line in takewhile(lambda one: one.startswith("#"), file)]


def _observer_of(table: pd.DataFrame, name: str) -> str:
    columns = [str(column) for column in table.columns]
    observers = [column for column in (PARTICIPANT, NETWORK) if column in columns]
    answers = [column for column in ("response", "p_happy") if column in columns]
    faults = [] if len(observers) == 1 else ["participant or network"]
    faults += [] if len(answers) == 1 else ["response or p_happy"]
    faults += [] if "level" in columns else ["level"]
    if faults or table.empty:
        what = f"it has {columns} and must have one of each: {'; '.join(faults)}" if faults else "it has no rows"
        message = f"Choices must name the observer, the level and the answer, but {name} does not: {what}."
        raise ValueError(message)
    return observers[0]


def _faults_of_level(table: pd.DataFrame) -> list[str]:
    numbers = pd.to_numeric(table["level"], errors="coerce")
    bad = ~np.isfinite(numbers.to_numpy(dtype=float))
    values = table["level"].to_numpy()
    return [
        f"line {line} has no level"
        if pd.isna(values[line - 2])
        else f"line {line} has the level {str(values[line - 2])!r}"
        for line in _lines(bad)
    ]


def _faults_of_answers(table: pd.DataFrame) -> list[str]:
    if "response" in table:
        words = table["response"].astype(str).str.strip().str.lower().to_numpy()
        wrong = ~np.isin(words, ANSWERS)
        return [f"line {line} answers {str(table['response'].iloc[line - 2])!r}" for line in _lines(wrong)]
    chances = pd.to_numeric(table["p_happy"], errors="coerce").to_numpy(dtype=float)
    wrong = ~((chances >= 0) & (chances <= 1))
    faults = [f"line {line} has p_happy {str(table['p_happy'].iloc[line - 2])!r}" for line in _lines(wrong)]
    if "trials" in table:
        trials = pd.to_numeric(table["trials"], errors="coerce").to_numpy(dtype=float)
        faults += [
            f"line {line} has trials {str(table['trials'].iloc[line - 2])!r}" for line in _lines(~(trials >= 1))
        ]
    return faults


def _answers(table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    if "response" in table:
        happy = (table["response"].astype(str).str.strip().str.lower() == "happy").to_numpy(dtype=float)
        return happy, np.ones(len(table))
    trials = table["trials"].to_numpy(dtype=float) if "trials" in table else np.full(len(table), np.nan)
    return table["p_happy"].to_numpy(dtype=float), trials


def _labels(table: pd.DataFrame, observer: str) -> np.ndarray:
    names = table[observer].astype(str)
    if observer == NETWORK and "seed" in table:
        names = names + "/" + table["seed"].astype(str)
    return names.to_numpy()


def _in_order(occlusions: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(occlusions[index] for index in _order(occlusions))


def _order(occlusions: object) -> list[int]:
    names = [str(name) for name in occlusions]  # type: ignore[attr-defined]  # an index or a tuple of names
    places = {name: place for place, name in enumerate(OCCLUSIONS)}
    return sorted(range(len(names)), key=lambda index: (places.get(names[index], len(places)), index))


def _lines(wrong: object) -> list[int]:
    return [int(index) + 2 for index in np.flatnonzero(np.asarray(wrong))]


def _is_true(value: object) -> bool:
    return str(value).strip().lower() in ("true", "1", "yes")
