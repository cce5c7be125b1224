"""Trials that say which stimuli are nearer than which: odd one of three, nearer of two, a ranking of choices.

Each kind is first made a table of trials in our words, all of it checked (`table` of its `HumanKind`): this is what
predictions of single trials start from. RDMs count, for each pair, how often it was the nearer one of those it was
compared with.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import model_validator

from rsa_face.human.experiments import open_sheet
from rsa_face.human.judgements import Floats, Ints, Judgements, pair_index, pairs_of, share
from rsa_face.human.tables import Source
from rsa_face.human.trials import Column, Trials
from rsa_face.schema import PARTICIPANT
from rsa_face.settings import Settings

_AT_ONCE = 1 << 20  # trials: what is computed of them together stays small
NUMBER = Column("trial", required=False)
THREE = ("stimulus_1", "stimulus_2", "stimulus_3")
TWO = ("stimulus_a", "stimulus_b")
_Compared = tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any] | int]


class TripletOptions(Settings):
    """How a file says which of three stimuli was the odd one.

    Parameters
    ----------
    form : str
        ``table``, or ``things``: three numbers a line without a header, counted from 0, the third of them the odd
        one, as THINGS publishes its triplets. Ids come from `ids`, or from the layout's `rename`.
    odd : str
        ``id``: the column odd holds its id. ``index``: it holds 0, 1, 2 or 1, 2, 3, as `base` says. ``column``: there
        is no such column, and it is always the stimulus in `odd_column`.
    base : int, optional
        What the first of the three is numbered, for `odd` = index: 0 or 1; it has no default.
    odd_column : str, optional
        stimulus_1, stimulus_2 or stimulus_3, for `odd` = column; it has no default, as published
        sets disagree.
    """

    form: Literal["table", "things"] = "table"
    odd: Literal["id", "index", "column"] = "id"
    base: Literal[0, 1] | None = None
    odd_column: Literal["stimulus_1", "stimulus_2", "stimulus_3"] | None = None

    @model_validator(mode="after")
    def _says_which(self) -> "TripletOptions":
        _must_say("odd", self.odd, base=self.base, column=self.odd_column, columns=THREE)
        return self


def triplet_columns(options: TripletOptions, _source: Source) -> tuple[Column, ...]:
    """Return what a file of triplets must hold."""
    odd = Column("odd", stimulus=options.odd == "id", number=options.odd == "index", answer=True)
    three = (Column(name, stimulus=True) for name in THREE)
    return (Column(PARTICIPANT), *three, *(() if options.odd == "column" else (odd,)), NUMBER)


KEPT = ((1, 2), (0, 2), (0, 1))
"""The pair that is kept together where the first, the second or the third of three is the odd one."""


def triplet_table(trials: Trials, options: TripletOptions) -> pd.DataFrame:
    """Return checked triplets: participant, stimulus_1 to stimulus_3, and the odd one of them."""
    ids = trials.stimuli(*THREE)
    three = _shown(trials, THREE, ids)
    blank = np.asarray((three < 0).any(axis=0))
    same = (three[0] == three[1]) | (three[0] == three[2]) | (three[1] == three[2])
    trials.fault(same & ~blank, "stimulus_1", "the three stimuli are not three different ones")
    named = THREE.index(options.odd_column) if options.odd_column else 0
    place = _place(trials, "odd", options.odd, three, ids, base=options.base or 0, named=named)
    return table_of(trials, ids, dict(zip(THREE, three, strict=True)) | {"odd": _at(three, place)})


def judge_triplets(trials: Trials, options: TripletOptions) -> Judgements:
    """Return 1 - P(kept together | shown together) for each participant and pair."""
    table = triplet_table(trials, options)
    codes = _codes_of(table, THREE)
    place = np.argmax(codes == _codes_of(table, ["odd"]), axis=0)
    # all three pairs were shown together
    compared = [(codes[i], codes[j], place == k, 1) for k, (i, j) in enumerate(KEPT)]
    about = "share of the place most often odd (chance: 0.33)"
    return _judged(table, trials, compared, _largest_share(table, place, 3), about)


class AnchoredOptions(Settings):
    """How a file says which of two stimuli is nearer to a third, the anchor.

    Parameters
    ----------
    form : str
        ``table``; ``nights``: the columns ref_path, left_path, right_path and right_vote (0 or 1) of NIGHTS [1]_,
        judged by a group; or ``salmon``: head, left, right, winner and puid of salmon's downloads [2]_. Where salmon
        numbers stimuli, ids come from `ids`, or from the layout's `rename`.
    nearer : str
        ``id``: the column nearer holds its id. ``index``: it holds 0, 1 or 1, 2, as `base` says. ``word``: it holds
        one of `words`. ``column``: there is no such column, and it is always the stimulus in `nearer_column`.
    base : int, optional
        What stimulus_a is numbered, for `nearer` = index: 0 or 1; it has no default.
    words : tuple of str
        What stands for stimulus_a and for stimulus_b, for `nearer` = word.
    nearer_column : str, optional
        stimulus_a or stimulus_b, for `nearer` = column.

    References
    ----------
    .. [1] Fu, S., et al. (2023). DreamSim: Learning new dimensions of human visual similarity using synthetic data.
       10.48550/arXiv.2306.09344
    .. [2] Sievert, S., Nowak, R., & Rogers, T. (2023). Efficiently learning relative similarity embeddings with
       crowdsourcing. 10.21105/joss.04517
    """

    form: Literal["table", "nights", "salmon"] = "table"
    nearer: Literal["id", "index", "word", "column"] = "id"
    base: Literal[0, 1] | None = None
    words: tuple[str, str] = ("left", "right")
    nearer_column: Literal["stimulus_a", "stimulus_b"] | None = None

    @model_validator(mode="after")
    def _says_which(self) -> "AnchoredOptions":
        _must_say("nearer", self.nearer, base=self.base, column=self.nearer_column, columns=TWO)
        return self


def anchored_columns(options: AnchoredOptions, _source: Source) -> tuple[Column, ...]:
    """Return what a file of anchored choices must hold."""
    nearer = Column("nearer", stimulus=options.nearer == "id", number=options.nearer == "index", answer=True)
    three = (Column(name, stimulus=True) for name in ("anchor", *TWO))
    return (Column(PARTICIPANT), *three, *(() if options.nearer == "column" else (nearer,)), NUMBER)


def anchored_table(trials: Trials, options: AnchoredOptions) -> pd.DataFrame:
    """Return checked anchored choices: participant, anchor, stimulus_a, stimulus_b, and the nearer one of these."""
    ids = trials.stimuli("anchor", *TWO)
    anchor, two = _shown(trials, ["anchor"], ids)[0], _shown(trials, TWO, ids)
    for name, codes in zip(TWO, two, strict=True):
        trials.fault((codes == anchor) & (codes >= 0), name, "is the anchor itself")
    trials.fault((two[0] == two[1]) & (two[0] >= 0), "stimulus_b", "the two stimuli are one")
    named = TWO.index(options.nearer_column) if options.nearer_column else 0
    place = _place(
        trials, "nearer", options.nearer, two, ids, base=options.base or 0, named=named, words=options.words
    )
    columns = {"anchor": anchor, **dict(zip(TWO, two, strict=True)), "nearer": _at(two, place)}
    return table_of(trials, ids, columns)


def judge_anchored(trials: Trials, options: AnchoredOptions) -> Judgements:
    """Return 1 - P(chosen as the nearer pair | could be chosen) for each participant and pair with an anchor."""
    table = anchored_table(trials, options)
    anchor, first, second, nearer = _codes_of(table, ["anchor", *TWO, "nearer"])
    is_first = nearer == first
    compared = [(anchor, first, is_first, 1), (anchor, second, ~is_first, 1)]
    about = "share of the place most often nearer (chance: 0.5)"
    return _judged(table, trials, compared, _largest_share(table, (~is_first).astype(np.int64), 2), about)


class RankingOptions(Settings):
    """How a file says in which order choices are like a target.

    Parameters
    ----------
    form : str
        ``order``: choice_1, choice_2 ... stand in the order of likeness, the most similar first. ``ranks``: they
        stand in any order, and rank_1, rank_2 ... hold the rank of each, 1 for the most similar, empty for choices
        that were left over.
    ordered : int, optional
        How many of the choices were put in order, for `form` = order: the others are the less similar, in no order
        among themselves. All of them if not given; 1 where only the most similar was chosen.
    """

    form: Literal["order", "ranks"] = "order"
    ordered: int | None = None

    @model_validator(mode="after")
    def _makes_sense(self) -> "RankingOptions":
        if self.ordered is not None and (self.form == "ranks" or self.ordered < 1):
            message = f"ordered={self.ordered} is no number of choices put in order"
            message += ": ranks say it themselves" if self.form == "ranks" else ", 1 or more"
            raise ValueError(message)
        return self


def choices_in(source: Source) -> list[str]:
    """Return the columns choice_1, choice_2 ... that a file has, two at least."""
    layout = source.layout
    names = {*open_sheet(source.paths[0], layout).header, *layout.columns}
    numbers = [int(name[7:]) for name in names if name.startswith("choice_") and name[7:].isdecimal()]
    return [f"choice_{number}" for number in range(1, max([2, *numbers]) + 1)]


def ranking_columns(options: RankingOptions, source: Source) -> tuple[Column, ...]:
    """Return what a file of rankings must hold; trials may have fewer choices than there are columns."""
    choices = choices_in(source)
    shown = (Column(name, stimulus=True, empty=place > 1) for place, name in enumerate(choices))
    ranks = (Column(f"rank_{place + 1}", number=True, empty=True) for place in range(len(choices)))
    return (
        Column(PARTICIPANT),
        Column("target", stimulus=True),
        *shown,
        *(ranks if options.form == "ranks" else ()),
        NUMBER,
    )


def ranking_table(trials: Trials, options: RankingOptions) -> pd.DataFrame:
    """Return checked rankings: participant, target, the choices from the most similar on, and how many are `ordered`.

    Choices behind the ordered ones are all less similar, in no order; a trial with fewer choices has empty ones.
    """
    names = [name for name in trials.columns if name.startswith("choice_")]
    ids = trials.stimuli("target", *names)
    target, shown = _shown(trials, ["target"], ids)[0], _shown(trials, names, ids)
    for place, (name, codes) in enumerate(zip(names, shown, strict=True)):
        trials.fault((codes == target) & (codes >= 0), name, "is the target itself")
        again = np.zeros(len(codes), dtype=bool)
        for earlier in shown[:place]:
            again |= (codes == earlier) & (codes >= 0)
        trials.fault(again, name, "is among the choices already")
        if place > 1:
            trials.fault((codes >= 0) & (shown[place - 1] < 0), name, f"comes behind an empty {names[place - 1]}")
    count = (shown >= 0).sum(axis=0, dtype=np.int16)
    if options.form == "ranks":
        shown, ordered = _by_rank(trials, names, shown)
    else:
        ordered = np.minimum(count, options.ordered or len(names))
    # with one choice left over, its place is known
    ordered = np.where(ordered == count - 1, count, ordered).astype(np.int16)
    table = table_of(trials, ids, {"target": target, **dict(zip(names, shown, strict=True))})
    table["ordered"] = ordered
    return table


def _by_rank(trials: Trials, names: list[str], shown: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[Any]]:
    """Return the choices of each trial in the order of their ranks, and how many have one."""
    columns = [f"rank_{place + 1}" for place in range(len(names))]
    ranks = np.stack([trials.frame[name].to_numpy(np.float32) for name in columns])
    for place, name in enumerate(columns):
        rank = ranks[place]
        wrong = ~np.isnan(rank) & ((rank < 1) | (rank > len(names)) | (rank % 1 != 0))
        clause = f"is no rank from 1 to {len(names)}"
        trials.fault(wrong, name, lambda row, rank=rank, clause=clause: f"{rank[row]:g} {clause}")  # type: ignore[misc]
        trials.fault(~np.isnan(rank) & (shown[place] < 0), name, f"is the rank of an empty {names[place]}")
        again = np.zeros(len(rank), dtype=bool)
        for earlier in ranks[:place]:
            again |= rank == earlier
        trials.fault(again, name, lambda row, rank=rank: f"rank {rank[row]:g} is given again")  # type: ignore[misc]
    ordered = (~np.isnan(ranks)).sum(axis=0, dtype=np.int16)
    trials.fault(ordered == 0, "rank_1", "no choice has a rank")
    for part in _parts(ranks.shape[1]):
        # choices without a rank come behind those that have one, and absent ones last
        key = np.where(np.isnan(ranks[:, part]), np.float32(len(names) + 1), ranks[:, part])
        order = np.argsort(np.where(shown[:, part] < 0, np.inf, key), axis=0, kind="stable")
        shown[:, part] = np.take_along_axis(shown[:, part], order, axis=0)
    return shown, ordered


def judge_rankings(trials: Trials, options: RankingOptions) -> Judgements:
    """Return 1 - P(nearer to the target than another choice) for each participant and pair with a target."""
    table = ranking_table(trials, options)
    names = _choices_of(table)
    codes = [table[name].cat.codes.to_numpy() for name in ["target", *names]]
    count = np.sum([one >= 0 for one in codes[1:]], axis=0, dtype=np.int16)
    ordered = table["ordered"].to_numpy(np.int16)

    def compared() -> Iterator[_Compared]:
        for place, choice in enumerate(codes[1:]):
            # an ordered choice was compared with all others; one that was left over with the ordered ones, and lost
            is_ordered = place < ordered
            nearer = np.where(is_ordered, count - place - 1, 0)
            yield codes[0], choice, nearer, np.where(is_ordered, count - 1, ordered)

    return _judged(table, trials, compared(), None, "")


def constraints_of(table: pd.DataFrame) -> NDArray[np.int32]:
    """Return what checked trials say of distances: rows of (i, j, k), where i is nearer to j than to k.

    Numbers are places among the categories of the table's stimuli. An odd one of three gives two rows, a ranking one
    for each two choices whose order is known.

    Examples
    --------
    >>> ids = pd.CategoricalDtype(["a", "b", "c"])
    >>> trials = {"anchor": ["a"], "stimulus_a": ["b"], "stimulus_b": ["c"], "nearer": ["c"]}
    >>> constraints_of(pd.DataFrame(trials, dtype=ids)).tolist()
    [[0, 2, 1]]
    """
    if "odd" in table:
        codes, odd = _codes_of(table, THREE), _codes_of(table, ["odd"])[0]
        place = np.argmax(codes == odd, axis=0)
        one, other = _at(codes, (place + 1) % 3), _at(codes, (place + 2) % 3)
        rows = [np.stack([one, other, odd], axis=1), np.stack([other, one, odd], axis=1)]
    elif "anchor" in table:
        anchor, first, second, nearer = _codes_of(table, ["anchor", *TWO, "nearer"])
        rows = [np.stack([anchor, nearer, np.where(nearer == first, second, first)], axis=1)]
    else:
        names = _choices_of(table)
        target, *shown = _codes_of(table, ["target", *names])
        ordered, rows = table["ordered"].to_numpy(), []
        for near in range(len(names)):
            for far in range(near + 1, len(names)):
                known = (near < ordered) & (shown[far] >= 0)
                rows.append(np.stack([codes[known] for codes in (target, shown[near], shown[far])], axis=1))
    return np.concatenate(rows)


def _must_say(name: str, how: str, *, base: int | None, column: str | None, columns: Sequence[str]) -> None:
    if how == "index" and base is None:
        message = f"{name} = index needs base, 0 or 1"
        raise ValueError(message)
    if how == "column" and column is None:
        message = f"{name} = column needs {name}_column, {' or '.join(columns)}"
        raise ValueError(message)


def _shown(trials: Trials, names: Sequence[str], ids: Sequence[str]) -> NDArray[np.int32]:
    """Return the stimuli in some columns as places among ids, -1 where there is none; dims (column, trial)."""
    shown = np.empty((len(names), len(trials.frame)), dtype=np.int32)
    for place, name in enumerate(names):
        shown[place] = trials.codes(name, ids)
    return shown


def _at(shown: NDArray[np.int32], place: Ints) -> NDArray[np.int32]:
    return np.asarray(np.take_along_axis(shown, place[None], axis=0)[0], dtype=np.int32)


def _place(
    trials: Trials,
    column: str,
    how: str,
    shown: NDArray[np.int32],
    ids: Sequence[str],
    *,
    base: int,
    named: int,
    words: tuple[str, ...] = (),
) -> Ints:
    """Return which of the stimuli shown was chosen in each trial, 0 for the first, by whatever the column holds."""
    among = {2: "two", 3: "three"}[len(shown)]
    if how == "column":
        return np.full(shown.shape[1], named, dtype=np.int64)
    if how == "index":
        number = trials.frame[column].to_numpy(float)
        place = np.nan_to_num(number, nan=-9).astype(np.int64) - base
        wrong = (place < 0) | (place >= len(shown)) | (np.nan_to_num(number) % 1 != 0)
        clause = f"is no place among {among} counted from {base}"
        trials.fault(wrong & ~np.isnan(number), column, lambda row: f"{number[row]:g} {clause}")
        return np.asarray(np.where(wrong, 0, place))
    values = trials.frame[column]
    if how == "word":
        is_chosen = np.stack([(values == word).to_numpy() for word in words])
        clause = f"is neither {words[0]!r} nor {words[-1]!r}"
    else:
        is_chosen = shown == trials.codes(column, ids)
        clause = f"is not among the {among}"
    whole = (shown >= 0).all(axis=0) & (values != "").to_numpy()
    trials.fault(~is_chosen.any(axis=0) & whole, column, lambda row: f"{values.iloc[row]!r} {clause}")
    return np.asarray(np.argmax(is_chosen, axis=0), dtype=np.int64)


def table_of(trials: Trials, ids: Sequence[str], columns: Mapping[str, NDArray[np.integer[Any]]]) -> pd.DataFrame:
    """Return checked trials as a table of people and stimuli; every fault noted so far is raised."""
    trials.no_trial_twice()
    trials.settle()
    people, who = trials.people()
    stimuli, persons = (pd.CategoricalDtype(pd.Index(names, dtype=object)) for names in (ids, people))
    made = {name: pd.Categorical.from_codes(codes, dtype=stimuli) for name, codes in columns.items()}
    return pd.DataFrame({PARTICIPANT: pd.Categorical.from_codes(who, dtype=persons)} | made)


def _choices_of(table: pd.DataFrame) -> list[str]:
    return [str(name) for name in table if str(name).startswith("choice_")]


def _codes_of(table: pd.DataFrame, names: Sequence[str]) -> NDArray[np.int32]:
    return np.stack([table[name].cat.codes.to_numpy(np.int32) for name in names])


def _parts(trials: int) -> Iterator[slice]:
    return (slice(start, start + _AT_ONCE) for start in range(0, trials, _AT_ONCE))


def _largest_share(table: pd.DataFrame, place: Ints, places: int) -> Floats:
    who, people = table[PARTICIPANT].cat.codes.to_numpy(np.int64), len(table[PARTICIPANT].cat.categories)
    counts = np.bincount(who * places + place, minlength=places * people).reshape(-1, places)
    return share(counts.max(axis=1), counts.sum(axis=1))


def _judged(
    table: pd.DataFrame,
    trials: Trials,
    compared: Iterable[_Compared],
    bias: Floats | None,
    about: str,
) -> Judgements:
    """Return 1 - the share of comparisons in which a pair was the nearer one.

    Each of `compared` holds two stimuli of each trial (a pair; -1 if there is none), in how many comparisons of the
    trial it was the nearer one, and in how many it stood.
    """
    people = [str(name) for name in table[PARTICIPANT].cat.categories]
    ids = [str(name) for name in table.iloc[:, 1].cat.categories]
    who, pairs = table[PARTICIPANT].cat.codes.to_numpy(np.int64), pairs_of(ids)
    nearer, total, shown = (np.zeros(len(people) * pairs, dtype=np.int32) for _ in range(3))
    for i, j, wins, of in compared:
        for part in _parts(len(who)):
            one, other = i[part], j[part]
            both = (one >= 0) & (other >= 0)
            place = (who[part] * pairs + pair_index(one, other, len(ids)))[both]
            np.add.at(nearer, place, wins[part][both].astype(np.int32))
            np.add.at(total, place, np.broadcast_to(of, who.shape)[part][both].astype(np.int32))
            np.add.at(shown, place, np.int32(1))
    shape = (len(people), pairs)
    distances = 1 - share(nearer.reshape(shape), total.reshape(shape))
    attrs = {"response_bias": about} if about else {}
    n_trials = np.bincount(who, minlength=len(people))
    return Judgements(people, ids, distances, shown.reshape(shape), n_trials, bias, attrs, simulated=trials.simulated)
