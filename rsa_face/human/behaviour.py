"""Files of human behaviour, read as one RDM for each participant."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr
from pydantic import BaseModel

from rsa_face.human.faults import Fault, listed, raise_faults
from rsa_face.human.judgements import Judgements, must_fit, rows_of_pairs, to_array
from rsa_face.human.layout import Layout, Source, settings_of
from rsa_face.human.rdm_files import RdmOptions, read_rdms
from rsa_face.human.readers.arrangement import ArrangementOptions, arrangement_columns, judge_arrangements
from rsa_face.human.readers.choice import ChoiceOptions, choice_columns, judge_choices
from rsa_face.human.readers.confusion import ConfusionOptions, confusion_columns, judge_confusions
from rsa_face.human.readers.features import FeatureOptions, feature_columns, judge_features
from rsa_face.human.readers.meadows import read_meadows
from rsa_face.human.readers.rating import RatingOptions, judge_ratings, rating_columns
from rsa_face.human.readers.samediff import SameDiffOptions, judge_same_different, samediff_columns
from rsa_face.human.readers.triplet import TripletOptions, judge_triplets, triplet_columns
from rsa_face.human.reading import read_trials
from rsa_face.human.repeats import repeats_of
from rsa_face.human.sessions import SESSION_NAMES, rdms_of_people
from rsa_face.human.tables import read_table
from rsa_face.human.trials import GROUP, Column, Trials, naturally
from rsa_face.safety import must_be_plain_names
from rsa_face.schema import PARTICIPANT, STIMULUS, check_rdms, has_sign, must_be_known, repeated, warn_implausible


class HasIds(Protocol):
    """Anything that knows the ids of its stimuli, as a stimulus set does."""

    @property
    def ids(self) -> list[str]:
        """The stimulus ids, in order."""


@dataclass(frozen=True)
class TrialKind:
    """A kind whose file is a table of trials.

    Parameters
    ----------
    options : type of BaseModel
        What may be chosen.
    columns : callable
        (options, source) -> the columns of its file.
    judge : callable
        (trials, options) -> the judgements.
    files : dict of str to callable
        File ending -> what reads that sort of file whole: (source, options) -> judgements.
    """

    options: type[BaseModel]
    columns: Callable[[Any, Source], tuple[Column, ...]]
    judge: Callable[[Trials, Any], Judgements]
    files: Mapping[str, Callable[[Source, Any], Judgements]]


@dataclass(frozen=True)
class FileKind:
    """A kind whose files are read whole.

    Parameters
    ----------
    options : type of BaseModel
        What may be chosen.
    read : callable
        (source, options) -> the judgements.
    """

    options: type[BaseModel]
    read: Callable[[Source, Any], Judgements]


KINDS: dict[str, TrialKind | FileKind] = {
    "rdm": FileKind(RdmOptions, read_rdms),
    "arrangement": TrialKind(
        ArrangementOptions,
        arrangement_columns,
        judge_arrangements,
        {".mat": read_meadows, ".json": read_meadows},
    ),
    "confusion": TrialKind(ConfusionOptions, confusion_columns, judge_confusions, {}),
    "rating": TrialKind(RatingOptions, rating_columns, judge_ratings, {}),
    "triplet": TrialKind(TripletOptions, triplet_columns, judge_triplets, {}),
    "samediff": TrialKind(SameDiffOptions, samediff_columns, judge_same_different, {}),
    "features": TrialKind(FeatureOptions, feature_columns, judge_features, {}),
    "choice": TrialKind(ChoiceOptions, choice_columns, judge_choices, {}),
}


def read_human(
    path: str | Path | Sequence[str | Path],
    *,
    kind: str,
    options: Mapping[str, Any] | BaseModel | None = None,
    layout: Mapping[str, Any] | Layout | None = None,
    stimuli: HasIds | Sequence[str] | str | Path | None = None,
    ids: Sequence[str] | str | Path | None = None,
) -> xr.DataArray:
    r"""Read human judgements as one RDM for each participant.

    Every line is checked, and all that is wrong is said at once, by file, line and column. Nothing is imputed,
    and what is left out is counted in ``attrs["left_out"]``.

    Parameters
    ----------
    path : str, Path, or sequence of these
        A file, or several that belong together.
    kind : str
        What was judged: rdm, rating, triplet, arrangement, confusion, samediff, choice or features.
    options : mapping or options of the kind, optional
        How judgements become dissimilarities; see the kind's module in `rsa_face.human.readers`.
    layout : mapping or Layout, optional
        What the file's columns are called, and which rows count.
    stimuli : StimulusSet, sequence of str, or path, optional
        The stimuli there are: a set, their ids, or a table with the column `stimulus`. Rows and columns come in
        their order, and an id that either side lacks is an error.
    ids : sequence of str, path, or "stimuli", optional
        What the rows of a file without ids are called, in its order: the ids, a file of them (one a line, or the
        column `stimulus`), or "stimuli" where they stand in the order of `stimuli`.

    Returns
    -------
    DataArray, dims (participant, stimulus_i, stimulus_j)
        Dissimilarities, 0 on the diagonal, NaN where a pair was never judged. Coords: `coverage` (how often each
        pair was judged), `n_trials` of each participant, and `response_bias` where there is one. With
        ``layout={"by": factor}`` the factor's levels are a further dimension, before these.
        Where files hold several RDMs of a person, sessions are averaged (``attrs["averaged"]`` says which, the coord
        `n_rdms` how many), or read one by one with ``layout={"by": "session"}``.

    Warns
    -----
    ImplausibleWarning
        If RDMs that were read hold negative values, or values far beyond the others, as `warn_implausible` says.

    Raises
    ------
    FileNotFoundError
        If a file is missing.
    ValueError
        If the kind, an option or a column is unknown, a line cannot be a trial, or ids differ from the stimuli's.

    Examples
    --------
    >>> import tempfile
    >>> trials = "participant,stimulus,response\np1,a,happy\np1,b,sad\np1,b,happy\np2,a,happy\np2,b,sad\n"
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = Path(folder, "choices.csv")
    ...     _ = file.write_text(trials)
    ...     human = read_human(file, kind="choice")
    >>> human.sel(stimulus_i="a", stimulus_j="b").values.tolist()
    [0.5, 1.0]
    """
    must_be_known(kind, KINDS, "kind")
    how = KINDS[kind]
    chosen = settings_of(options, how.options, f"Options of kind {kind!r}")
    arranged = settings_of(layout, Layout, "The layout")
    source = _source(path, kind, arranged, stimuli, ids)
    levels = _judged(source, how, chosen)
    arrays = [_finished(judged, source, chosen) for judged in levels.values()]
    if not arranged.by:
        return arrays[0]
    return _by_level(arrays, list(levels), arranged.by)


def _source(
    path: str | Path | Sequence[str | Path],
    kind: str,
    layout: Layout,
    stimuli: HasIds | Sequence[str] | str | Path | None,
    ids: Sequence[str] | str | Path | None,
) -> Source:
    source = Source.of(path, kind, layout)
    known = None if stimuli is None else tuple(_ids_of(stimuli, "stimuli"))
    if ids == "stimuli" and known is None:
        message = "ids='stimuli' takes the order of the stimuli, but no stimuli are given. Give both."
        raise ValueError(message)
    names = known if ids == "stimuli" else None if ids is None else tuple(_ids_of(ids, "ids"))
    return replace(source, stimuli=known, ids=names)


def _ids_of(given: Any, what: str) -> list[str]:
    if isinstance(given, str | Path):
        path = Path(given)
        if not path.is_file():
            message = f"The {what} must be a table that exists, but there is no file {str(path)!r}. Check the path."
            raise FileNotFoundError(message)
        table = read_table(path, Layout())
        if STIMULUS not in table.codes and len(table.header) == 1:
            table = read_table(path, Layout(names=(STIMULUS,)))
        if STIMULUS not in table.codes:
            message = f"A table of {what} must have the column stimulus, but {path.name} has {list(table.header)}."
            raise ValueError(message)
        found = [table.values[STIMULUS][code] for code in table.codes[STIMULUS]]
    else:
        found = [str(one) for one in getattr(given, "ids", given)]
    if repeated(found):
        message = f"Each id of the {what} must occur once, but {repeated(found)} occur more often. Mend the {what}."
        raise ValueError(message)
    return found


def _judged(source: Source, how: TrialKind | FileKind, options: Any) -> dict[str, Judgements]:
    """Return the judgements of each level of the factor asked for; one, without a name, if none is."""
    by = source.layout.by
    whole = how.read if isinstance(how, FileKind) else how.files.get(source.paths[0].suffix.lower())
    if whole is not None:
        judged = whole(source, options)
        _warn_implausible(judged, source)
        return rdms_of_people(judged, source, options.repeats)
    assert isinstance(how, TrialKind)
    columns = how.columns(options, source)
    trials = read_trials(source, columns)
    people = trials.values(PARTICIPANT) if trials.has(PARTICIPANT) else []
    ids = source.stimuli or trials.values(*(one.name for one in columns if one.stimulus and trials.has(one.name)))
    must_fit(len(people) or 1, len(ids), source.name)
    if not by:
        return {"": _with_counts(how.judge(trials, options), trials)}
    column = trials.frame[f"file:{by}"] if trials.has(f"file:{by}") else repeats_of(trials)
    levels = naturally({str(value) for value in column.unique()})
    return {
        level: _with_counts(how.judge(trials.select((column == level).to_numpy()), options), trials)
        for level in levels
    }


def _warn_implausible(judged: Judgements, source: Source) -> None:
    sessions = next((judged.coords[name] for name in SESSION_NAMES if name in judged.coords), None)
    people = judged.participants
    if sessions is not None:
        people = [f"{person}, session {session}" for person, session in zip(people, sessions, strict=True)]
    warn_implausible(judged.dissimilarity, people, judged.stimuli, source.name, signed=has_sign(judged.attrs))


def _with_counts(judged: Judgements, trials: Trials) -> Judgements:
    trials.settle()
    return replace(judged, attrs={**judged.attrs, "left_out": dict(sorted(trials.left_out.items()))})


def _finished(judged: Judgements, source: Source, options: BaseModel) -> xr.DataArray:
    """Return judgements as the array promised, with everything known of it in attrs."""
    _refuse_never_judged(judged, source)
    must_be_plain_names(judged.stimuli, STIMULUS, source.name)
    must_be_plain_names(judged.participants, PARTICIPANT, source.name)
    array = to_array(judged)
    attrs = {
        "kind": source.kind,
        "left_out": {},
        "source": [path.name for path in source.paths],
        "options": options.model_dump(mode="json"),
        "stimuli_judged": int(array["coverage"].values.any(axis=(0, 2)).sum()),
    }
    array.attrs = {**attrs, **array.attrs}
    if judged.participants == [GROUP]:
        array.attrs["group"] = "one curve of a group, not a participant: no noise ceiling can be told from it"
    array = _with_participants(array, source.layout)
    return check_rdms(array, along=PARTICIPANT, name=f"Human RDMs of {source.name}")


def _refuse_never_judged(judged: Judgements, source: Source) -> None:
    pairs = np.asarray(judged.coverage).sum(axis=0) > 0
    seen = np.zeros(len(judged.stimuli), dtype=bool)
    for row, places in rows_of_pairs(len(judged.stimuli)):
        seen[row] |= pairs[places].any()
        seen[row + 1 :] |= pairs[places]
    never = [one for one, there in zip(judged.stimuli, seen, strict=True) if not there]
    if len(judged.stimuli) < 2 or len(never) == len(judged.stimuli):
        message = f"Human data must judge at least one pair of stimuli, but {source.name} judges none."
        raise ValueError(message)
    if never and source.stimuli is not None:
        message = (
            f"Every stimulus must be judged, but {source.name} never judges {listed(never)}. Take them out of the "
            "stimuli, or read without stimuli and compare what is shared, with `shared_stimuli`."
        )
        raise ValueError(message)


def _with_participants(array: xr.DataArray, layout: Layout) -> xr.DataArray:
    """Return the array with what the table of participants knows of each, such as the group."""
    if layout.participants is None:
        return array
    table = read_table(layout.participants, Layout())
    name = layout.participants.name
    if PARTICIPANT not in table.codes:
        message = f"A table of participants must have the column participant, but {name} has {list(table.header)}."
        raise ValueError(message)
    listed_in = [table.values[PARTICIPANT][code] for code in table.codes[PARTICIPANT]]
    absent = [str(one) for one in array[PARTICIPANT].values if str(one) not in listed_in]
    faults = [Fault(name, 0, PARTICIPANT, f"{one!r} is not listed") for one in absent]
    faults += [Fault(name, 0, PARTICIPANT, f"{one!r} is listed more than once") for one in repeated(listed_in)]
    raise_faults(faults, "Every participant must be listed once in the table of participants")
    order = [listed_in.index(str(one)) for one in array[PARTICIPANT].values]
    known = {
        column: (
            PARTICIPANT,
            np.array([table.values[column][code] for code in table.codes[column][order]], dtype=str),
        )
        for column in table.header
        if column not in (PARTICIPANT, "")
    }
    return array.assign_coords(known)


def _by_level(arrays: list[xr.DataArray], levels: list[str], by: str) -> xr.DataArray:
    if by in arrays[0].dims or by in arrays[0].coords:
        message = f"A factor to split by must have a name of its own, but {by!r} is taken. Rename the column."
        raise ValueError(message)
    joined = xr.concat(
        arrays,
        dim=xr.DataArray(np.array(levels, dtype=str), dims=by, name=by),
        join="outer",
        combine_attrs="drop_conflicts",
        coords="all",
        compat="equals",
    )
    for name in ("coverage", "n_trials"):
        joined = joined.assign_coords({name: joined[name].fillna(0).astype(np.int64)})
    return joined
