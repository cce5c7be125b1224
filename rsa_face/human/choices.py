"""Two-choice trials for psychometric curves, read from files as all human data are."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rsa_face.human.experiments import open_sheet
from rsa_face.human.tables import Layout, Source
from rsa_face.human.trials import Column, Trials, read_trials
from rsa_face.psychophysics.choices import TELL, Answers, ChoiceWords, guess_answers
from rsa_face.safety import must_be_plain_names, warn_alike
from rsa_face.schema import NETWORK, PARTICIPANT

_OCCLUSION, _CONDITION = "occlusion", "condition"


def read_choices(
    path: str | Path | Sequence[str | Path],
    *,
    layout: Mapping[str, Any] | Layout | None = None,
    answers: Mapping[str, Any] | Answers | None = None,
    variable: str | None = None,
    unit: str = "",
    condition: str | None = None,
) -> pd.DataFrame:
    r"""Read tables of choices between two answers and check every row of them.

    Parameters
    ----------
    path : str, Path, or sequence of these
        A file with a row for each trial, several, or a folder. Columns `participant` or `network` (with `seed`, if
        there are several), `level`, and `response`; optional `stimulus`, `occlusion` (``none`` if absent) or
        `condition`, `trial`, `session` and `simulated` (true or false). Instead of `response`, a row may give the
        chance `p_happy` (or `p`) in 0-1, with the number of `trials` it was counted from where there were any.
        Levels are any numbers, such as -1 sad ... +1 happy, or 0 sad ... 1 happy as in the published morphs, and are
        kept as they are. Lines that begin with ``#`` above the header are remarks; ``# simulated: true`` marks all
        rows.
    layout : mapping or Layout, optional
        What the file's columns are called, which rows count, which software wrote it; as for `read_human`.
    answers : mapping or Answers, optional
        The two answers, ``{"high": "anger", "low": "fear"}``: the curve is the probability of the high one, which
        high levels favour. Happy/sad, yes/no, 1/0 and true/false are known.
    variable, unit : str, optional
        What the levels are (the file's name of the column if it is not ``level``), and their unit, for labels.
    condition : str, optional
        What conditions differ in; the file's name of the column if it is not ``occlusion``.

    Returns
    -------
    DataFrame
        Columns `participant` or `network`, `occlusion` (or the condition), `level`, `chosen` (whether the high
        answer was given, 0-1) and `trials` (NaN where a chance was not counted from any), and `stimulus` where there
        is one. Attrs: `high`, `low`, `variable`, `unit`, `condition`; `simulated`, whether any row is; `left_out`,
        how many rows have no answer or were dropped, and `left_out_why`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a table, columns are missing, a level is missing or not a number, or an answer is empty or
        neither of the two; up to twenty faults at once, with their lines.

    Examples
    --------
    >>> import tempfile
    >>> lines = "subj,morph,part,key\np1,0,upper,f\np1,50,upper,j\np1,100,upper,j\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "fear.csv")
    ...     _ = file.write_text(lines)
    ...     names = {"participant": "subj", "level": "morph", "condition": "part", "response": "key"}
    ...     layout = {"columns": names, "recode": {"response": {"j": "anger", "f": "fear"}}}
    ...     choices = read_choices(file, layout=layout, answers={"high": "anger", "low": "fear"}, unit="%")
    >>> choices["chosen"].tolist(), choices.attrs["variable"], choices.attrs["condition"]
    ([0.0, 1.0, 1.0], 'morph', 'part')
    """
    source = Source.of(path, "choice", Layout.of(layout))
    trials, chance = _trials_of(source)
    two = _answers_of(trials, None if answers is None else Answers.of(answers), chance)
    chosen, counted = _chosen(trials, two, chance)
    trials.no_trial_twice()
    trials.settle()
    observer = NETWORK if trials.has(NETWORK) else PARTICIPANT
    shown = next((name for name in (_OCCLUSION, _CONDITION) if trials.has(name)), None)
    made: dict[str, Any] = {observer: _text(trials, observer)}
    if observer == NETWORK and trials.has("seed"):
        made[NETWORK] = made[NETWORK] + "/" + _text(trials, "seed")
    made[_OCCLUSION] = "none" if shown is None else _text(trials, shown, empty="none")
    made |= {"level": trials.frame["level"].to_numpy(float), "chosen": chosen, "trials": counted}
    if trials.has("stimulus"):
        made["stimulus"] = _text(trials, "stimulus")
    clean = pd.DataFrame(made, copy=False)
    for name in (observer, shown or "", "stimulus"):
        values = trials.values(name) if trials.has(name) else []
        must_be_plain_names(values, name, source.name)
        warn_alike(values, name, source.name)
    called = {name: trials.columns.get(name, name) for name in ("level", shown or "")}
    words = ChoiceWords(
        answers=two,
        variable=variable or (called["level"] if called["level"] != "level" else None),
        unit=unit,
        condition=condition or (called[shown] if shown is not None and called[shown] != _OCCLUSION else None),
    )
    clean.attrs = {
        "checked": True,
        "simulated": trials.simulated,
        **words.attrs,
        "left_out": sum(trials.left_out.values()),
        "left_out_why": dict(sorted(trials.left_out.items())),
    }
    return clean


def _trials_of(source: Source) -> tuple[Trials, str]:
    """Return the trials of some files, and which column holds chances (empty where responses are given)."""
    layout = source.layout
    header = {*open_sheet(source.paths[0], layout).header, *layout.columns}
    chances = sorted(name for name in header if name == "p" or name.startswith("p_"))
    chance = chances[0] if chances and "response" not in header else ""
    observer = NETWORK if NETWORK in header and PARTICIPANT not in header else PARTICIPANT
    optional = [Column(name, required=False) for name in ("seed", "stimulus", _OCCLUSION, _CONDITION, "trial")]
    columns = [
        Column(observer),
        Column("level", number=True),
        Column(chance, number=True) if chance else Column("response", answer=True),
        Column("trials", number=True, required=False),
        *(replace(column, empty=column.name in (_OCCLUSION, _CONDITION)) for column in optional),
    ]
    return read_trials(source, columns), chance


def _answers_of(trials: Trials, given: Answers | None, chance: str) -> Answers:
    if given is not None:
        return given
    return guess_answers([chance.removeprefix("p_")] if chance else trials.values("response"))


def _chosen(trials: Trials, answers: Answers, chance: str) -> tuple[np.ndarray, np.ndarray | float]:
    """Return the share of high answers of each row, and of how many trials; note what is wrong with them."""
    if not chance:
        values = trials.frame["response"].cat
        lowered = np.array([str(value).lower() for value in values.categories])
        high, low = (one.strip().lower() for one in (answers.high, answers.low))
        strange = ~np.isin(lowered, (high, low, ""))
        clause = f"is neither {answers.high} nor {answers.low} (other answers are named: {TELL})"
        response = trials.frame["response"]
        trials.fault(
            strange[values.codes.to_numpy()], "response", lambda row: f"{str(response.iloc[row])!r} {clause}"
        )
        return (lowered == high).astype(float)[values.codes.to_numpy()], 1.0
    trials.within(chance, 0, 1)
    counted = trials.frame["trials"].to_numpy(float) if trials.has("trials") else np.nan
    if trials.has("trials"):
        trials.within("trials", 1, np.inf)
    return trials.frame[chance].to_numpy(float), counted


def _text(trials: Trials, name: str, *, empty: str = "") -> np.ndarray:
    values = trials.frame[name].cat
    return np.array([str(value) or empty for value in values.categories], dtype=object)[values.codes.to_numpy()]
