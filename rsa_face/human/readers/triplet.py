"""Odd one out of three: two stimuli are alike as often as they are kept together."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, model_validator

from rsa_face.human.judgements import Judgements, pair_index, share, sum_by_pair
from rsa_face.human.layout import Source
from rsa_face.human.trials import GROUP, Column, Trials

_THREE = ("stimulus_1", "stimulus_2", "stimulus_3")


class TripletOptions(BaseModel):
    """How a file says which of three stimuli was the odd one.

    Parameters
    ----------
    odd : str
        ``id``: the column odd holds its id. ``index``: it holds 0, 1, 2 or 1, 2, 3, as `base` says. ``column``: there
        is no such column, and it is always the stimulus in `odd_column`.
    base : int, optional
        What the first of the three is numbered, for `odd` = index: 0 or 1. It must be said.
    odd_column : str, optional
        stimulus_1, stimulus_2 or stimulus_3, for `odd` = column. It must be said: published sets disagree.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    odd: Literal["id", "index", "column"] = "id"
    base: Literal[0, 1] | None = None
    odd_column: Literal["stimulus_1", "stimulus_2", "stimulus_3"] | None = None

    @model_validator(mode="after")
    def _must_say_which(self) -> "TripletOptions":
        if self.odd == "index" and self.base is None:
            message = "odd = index needs base, 0 or 1"
            raise ValueError(message)
        if self.odd == "column" and self.odd_column is None:
            message = "odd = column needs odd_column, stimulus_1, stimulus_2 or stimulus_3"
            raise ValueError(message)
        return self


def triplet_columns(options: TripletOptions, source: Source) -> tuple[Column, ...]:  # noqa: ARG001 - one form for all kinds
    """Return what a file of triplets must hold.

    Parameters
    ----------
    options : TripletOptions
        How it names the odd one.
    source : Source
        Not used.

    Returns
    -------
    tuple of Column
        The columns.
    """
    odd = Column("odd", stimulus=options.odd == "id", number=options.odd == "index")
    return (
        Column("participant"),
        *(Column(name, stimulus=True) for name in _THREE),
        *(() if options.odd == "column" else (odd,)),
        Column("trial", required=False),
    )


def judge_triplets(trials: Trials, options: TripletOptions) -> Judgements:
    """Return 1 - P(kept together | shown together) for each participant and pair.

    Parameters
    ----------
    trials : Trials
        Columns participant, stimulus_1, stimulus_2, stimulus_3, and odd.
    options : TripletOptions
        How the odd one is named.

    Returns
    -------
    Judgements
        `coverage` is how often a pair was shown together; the bias is the share of the place most often odd.

    Raises
    ------
    ValueError
        If the three are not three, or the odd one is not among them.
    """
    people, ids = trials.values("participant") or [GROUP], trials.stimuli(*_THREE)
    who = trials.codes("participant", people)
    three = np.stack([trials.codes(name, ids) for name in _THREE])
    same = (three[0] == three[1]) | (three[0] == three[2]) | (three[1] == three[2])
    blank = np.asarray((three < 0).any(axis=0))
    trials.fault(same & ~blank, "stimulus_1", "the three stimuli are not three different ones")
    place = _place_of_odd(trials, options, three, ids, blank)
    trials.no_trial_twice()
    trials.settle()
    pairs = np.stack([pair_index(three[i], three[j], len(ids)) for i, j in ((1, 2), (0, 2), (0, 1))])
    shape = (len(people), len(ids) * (len(ids) - 1) // 2)
    shown = sum_by_pair(np.tile(who, 3), pairs.reshape(-1), shape)
    kept = sum_by_pair(who, pairs[place, np.arange(len(who))], shape)
    n_trials = np.bincount(who, minlength=len(people))
    places = np.bincount(who * 3 + place, minlength=3 * len(people)).reshape(-1, 3)
    attrs = {"response_bias": "share of the place most often odd (chance: 0.33)"}
    bias = share(places.max(axis=1), n_trials)
    return Judgements(people, ids, 1 - share(kept, shown), shown, n_trials, bias, attrs, simulated=trials.simulated)


def _place_of_odd(
    trials: Trials, options: TripletOptions, three: NDArray[np.int64], ids: list[str], blank: NDArray[np.bool_]
) -> NDArray[np.int64]:
    if options.odd == "column":
        return np.full(three.shape[1], _THREE.index(options.odd_column or ""), dtype=np.int64)
    if options.odd == "index":
        number = trials.frame["odd"].to_numpy(float)
        place = np.nan_to_num(number, nan=-9).astype(np.int64) - (options.base or 0)
        wrong = ~np.isin(place, (0, 1, 2)) | (np.nan_to_num(number) % 1 != 0)
        said = f"is no place among three counted from {options.base}"
        trials.fault(wrong & ~np.isnan(number), "odd", lambda row: f"{number[row]:g} {said}")
        return np.asarray(np.where(wrong, 0, place))
    odd = trials.codes("odd", ids)
    is_it = three == odd
    column = trials.frame["odd"]
    outside = ~is_it.any(axis=0) & ~blank & (column != "").to_numpy()
    trials.fault(outside, "odd", lambda row: f"{column.iloc[row]!r} is not among the three")
    return np.asarray(np.argmax(is_it, axis=0), dtype=np.int64)
