"""RDMs from delimited text: a square with ids on both sides, a stack of squares, or a list of pairs."""

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rsa_face.human.faults import Fault, listed, raise_faults
from rsa_face.human.judgements import Floats, must_fit
from rsa_face.human.layout import Layout, Source
from rsa_face.human.readers.rdm_arrays import ArrayOptions, Stack
from rsa_face.human.reading import is_simulated, read_trials
from rsa_face.human.sessions import SESSION_NAMES
from rsa_face.human.tables import Table, as_numbers, lines_of, read_table
from rsa_face.human.trials import Column, Trials, naturally
from rsa_face.schema import PARTICIPANT
from rsa_face.untrusted import reading

ATTRS_REMARK = "rsa_face: "
PAIR_COLUMNS = (
    Column("participant", required=False),
    Column("stimulus_a", stimulus=True),
    Column("stimulus_b", stimulus=True),
    Column("dissimilarity", number=True, required=False, empty=True),
    Column("similarity", number=True, required=False, empty=True),
    Column("coverage", number=True, required=False, empty=True),
    Column("n_trials", number=True, required=False, empty=True),
    Column("response_bias", number=True, required=False, empty=True),
)


def read_csv(path: Path, source: Source, options: ArrayOptions) -> Stack:  # noqa: ARG001 - the readers share one form
    """Read RDMs from delimited text, in whichever of three forms it is.

    A square has the ids in its first row and first column. A stack of squares has the column `participant` (and
    `session`) before these. A list of pairs has the columns stimulus_a, stimulus_b and dissimilarity (or
    similarity), and may have participant and session.

    Parameters
    ----------
    path : Path
        The file.
    source : Source
        Its layout.
    options : RdmOptions
        Not used.

    Returns
    -------
    Stack
        Unchecked but for text among numbers, and ids that differ between the two sides.

    Raises
    ------
    ValueError
        If a cell is no number, the rows' ids are not the columns', or a pair occurs twice.
    """
    table = read_table(path, source.layout)
    mapped = source.layout.columns
    if {str(mapped.get(name, name)) for name in ("stimulus_a", "stimulus_b")} <= set(table.header):
        return _from_pairs(path, source)
    if not source.layout.names and _has_no_ids(table):
        names = tuple(str(k) for k in range(len(table.header)))
        bare = read_table(path, source.layout.model_copy(update={"names": names}))
        return _without_ids(bare)
    return _from_squares(table, str(mapped.get("participant", "participant")), _factors_of(table, source.layout))


def _factors_of(table: Table, layout: Layout) -> list[str]:
    """Return the columns that say what each square is of: those asked for, and sessions before the ids."""
    asked = [name for name in (*layout.keep, *layout.drop, layout.by) if name is not None]
    absent = [name for name in asked if name not in table.header]
    if absent and layout.by != "session":
        message = f"No column {absent[0]!r} in {table.path.name}. It has {listed(list(table.header), 12)}."
        raise ValueError(message)
    leading = itertools.takewhile(lambda name: name in (PARTICIPANT, *asked, *SESSION_NAMES), table.header)
    return list(dict.fromkeys(name for name in (*asked, *leading) if name in table.header and name != PARTICIPANT))


def _has_no_ids(table: Table) -> bool:
    """Return whether even the first line holds an RDM's numbers: as many lines as cells, all of them numbers."""
    numbers = not as_numbers(table.header)[1] and "" not in table.header
    return numbers and len(table.rows) + 1 == len(table.header)


def _without_ids(table: Table) -> Stack:
    matrix, faults = _numbers(table, list(table.header))
    raise_faults(faults, "A dissimilarity must be a number, or empty where a pair was never judged")
    return Stack(table.path, matrix[None], simulated=is_simulated(table))


def _from_squares(table: Table, participant: str, factors: list[str]) -> Stack:
    stacked = participant in table.header
    about = (participant, *factors)
    corner = next((k for k, name in enumerate(table.header) if name not in about), 0)
    name_of_ids, ids = table.header[corner], [name for name in table.header[corner + 1 :] if name not in about]
    if name_of_ids == "":
        table = _with_corner(table)
        name_of_ids = _CORNER
    if not ids or any(one not in table.codes for one in ids):
        message = (
            f"A square RDM must have the ids in its first row and column, but {table.path.name} has {table.header}."
        )
        raise ValueError(message)
    rows = [table.values[name_of_ids][code] for code in table.codes[name_of_ids]]
    if not rows:
        message = f"A square RDM must have a row for each of its ids, but {table.path.name} has none. Save it anew."
        raise ValueError(message)
    people = [table.values[participant][code] for code in table.codes[participant]] if stacked else [""] * len(rows)
    levels = [[table.values[name][code] for code in table.codes[name]] for name in factors]
    values, faults = _numbers(table, ids)
    raise_faults(faults, "A dissimilarity must be a number, or empty where a pair was never judged")
    lines = lines_of(table, range(len(rows)))
    who, names = pd.factorize(pd.Index(list(zip(people, *levels, strict=True)), tupleize_cols=False))
    matrices, places = [], []
    for place, name in enumerate(" ".join(filter(None, one)) for one in names):
        mine = np.flatnonzero(who == place)
        own = [rows[k] for k in mine]
        faults += _differing(table, name, own, ids, lines[int(mine[0])])
        if not faults:
            order = [int(mine[own.index(one)]) for one in ids]
            matrices.append(values[order])
            places.append([lines[k] for k in order])
    raise_faults(faults, f"RDMs of {table.path.name} must be square, with the same ids on both sides")
    named = [str(name[0]) for name in names] if stacked else None
    coords = {factor: [str(name[k]) for name in names] for k, factor in enumerate(factors, start=1)}
    return Stack(
        table.path, np.array(matrices), ids, named, lines=places, coords=coords, simulated=is_simulated(table)
    )


_CORNER = "stimulus (first column)"


def _with_corner(table: Table) -> Table:
    header = (_CORNER, *table.header[1:]) if table.header[0] == "" else table.header
    if _CORNER not in header:
        header = tuple(_CORNER if name == "" else name for name in table.header)
    layout = Layout(names=header, separator=table.separator, encoding=table.encoding)
    whole = read_table(table.path, layout)
    codes = {name: column[1:] for name, column in whole.codes.items()}
    return Table(
        table.path,
        header,
        codes,
        whole.values,
        table.remarks,
        whole.first_line,
        whole.rows[1:],
        table.encoding,
        table.separator,
    )


def _differing(table: Table, name: str, own: list[str], ids: list[str], line: int) -> list[Fault]:
    whose = f" of {name!r}" if name else ""
    said = [f"row {one!r}{whose} is no column" for one in naturally(set(own) - set(ids))]
    said += [f"column {one!r} is no row{whose}" for one in naturally(set(ids) - set(own))]
    said += [f"row {one!r}{whose} occurs {own.count(one)} times" for one in naturally(set(own)) if own.count(one) > 1]
    return [Fault(table.path.name, line, "", one) for one in said]


def _numbers(table: Table, names: list[str]) -> tuple[Floats, list[Fault]]:
    columns, faults = [], []
    for name in names:
        numbers, wrong = as_numbers(table.values[name])
        columns.append(numbers[table.codes[name]] if len(numbers) else np.empty(0))
        rows = np.flatnonzero(np.isin(table.codes[name], wrong))
        for row, line in zip(rows[:20], lines_of(table, rows[:20].tolist()), strict=True):
            value = table.values[name][table.codes[name][row]]
            faults.append(Fault(table.path.name, line, name, f"{value!r} is not a number"))
    return np.stack(columns, axis=1), faults


def _from_pairs(path: Path, source: Source) -> Stack:
    single = Source((path,), source.kind, source.layout, source.stimuli)
    header = read_table(path, source.layout, []).header
    sessions = next((name for name in SESSION_NAMES if name in {*header, *source.layout.columns}), None)
    sessions = sessions if source.layout.by is None else source.layout.by
    trials = read_trials(single, (*PAIR_COLUMNS, *([Column(sessions)] if sessions else [])))
    if trials.has("dissimilarity") == trials.has("similarity"):
        message = f"A list of pairs must have one column dissimilarity (or similarity), but {path.name} has not one."
        raise ValueError(message)
    said = _remarked(trials.tables[0])
    people = trials.values("participant") if trials.has("participant") else [path.stem]
    ids = said.pop("stimuli", None) or trials.values("stimulus_a", "stimulus_b")
    people = said.pop("participants", None) or people
    must_fit(len(people), len(ids), path.name)
    who = trials.codes("participant", people) if trials.has("participant") else np.zeros(len(trials.frame), int)
    a, b = trials.codes("stimulus_a", ids), trials.codes("stimulus_b", ids)
    people, who, coords = _with_sessions(trials, people, who, sessions)
    key = (who * len(ids) + np.minimum(a, b)) * len(ids) + np.maximum(a, b)
    _, first = np.unique(key, return_index=True)
    again = np.ones(len(key), dtype=bool)
    again[first] = False
    trials.fault(again, "", lambda row: f"the pair ({ids[a[row]]}, {ids[b[row]]}) occurs again")
    trials.settle()
    shape = (len(people), len(ids), len(ids))
    value = trials.frame["dissimilarity" if trials.has("dissimilarity") else "similarity"].to_numpy(float)
    return Stack(
        path,
        _filled(shape, who, a, b, value, np.nan),
        ids,
        people,
        coverage=_filled(shape, who, a, b, trials.frame["coverage"].to_numpy(float), 0).astype(np.int32)
        if trials.has("coverage")
        else None,
        n_trials=_of_each(trials, "n_trials", who, len(people)),
        attrs={k: v for k, v in said.items() if k not in ("simulated", "coords")},
        coords=_coords(trials, said, who, len(people)) | coords,
        selected_by=(*source.layout.keep, *source.layout.drop),
        simulated=trials.simulated or bool(said.get("simulated", False)),
    )


def _with_sessions(
    trials: Trials, people: list[str], who: NDArray[np.int64], sessions: str | None
) -> tuple[list[str], NDArray[np.int64], dict[str, list[str]]]:
    """Return people and rows once more for each of a person's sessions, where the file has sessions."""
    if sessions is None or not trials.has(sessions):
        return people, who, {}
    levels = trials.values(sessions)
    both = who * len(levels) + trials.codes(sessions, levels)
    present, rows = np.unique(both, return_inverse=True)
    of_person, of_level = np.divmod(present, len(levels))
    return [people[k] for k in of_person], rows.reshape(-1), {sessions: [levels[k] for k in of_level]}


def _filled(shape: tuple[int, int, int], who: Any, a: Any, b: Any, value: Floats, empty: float) -> Floats:
    matrices = np.full(shape, empty, dtype=float)
    matrices[:, np.arange(shape[1]), np.arange(shape[1])] = 0
    matrices[who, a, b] = value
    matrices[who, b, a] = value
    return matrices


def _of_each(trials: Trials, column: str, who: NDArray[np.int64], count: int) -> NDArray[np.int64] | None:
    if not trials.has(column):
        return None
    values = np.zeros(count)
    values[who] = trials.frame[column].to_numpy(float)
    return values.astype(np.int64)


def _coords(trials: Trials, said: dict[str, Any], who: NDArray[np.int64], count: int) -> dict[str, list[Any]]:
    coords = dict(said.get("coords", {}))
    if trials.has("response_bias"):
        values = np.full(count, np.nan)
        values[who] = trials.frame["response_bias"].to_numpy(float)
        coords["response_bias"] = values.tolist()
    return coords


def _remarked(table: Table) -> dict[str, Any]:
    for line in table.remarks:
        if line.startswith(ATTRS_REMARK):
            with reading(table.path, "What this package notes above a table must be whole", then="Remove that line."):
                return dict(json.loads(line.removeprefix(ATTRS_REMARK)))
    return {}
