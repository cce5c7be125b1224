"""Trials predicted one by one: how well each layer's distances say what a person answers, beside what people can say.

A layer answers as its distances tell it to. Of several pairs it chooses the most similar one, by a softmax of their
distances; it calls two stimuli different by a logistic function of their distance; and it puts a stimulus into the
category whose other members lie nearer. Temperature and criterion are fitted to trials of other people and of other
stimuli than those predicted. What comes out has the form of `compare_layers`, so that draws, jackknifed errors,
localization and figures are those of RDMs.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Bool, Float
from numpy.typing import NDArray
from scipy.special import expit, log_softmax, logit

from rsa_face.human.relative import KEPT, THREE, TWO
from rsa_face.human.tables import listed
from rsa_face.inference.draws import Answers, Engine, Evaluated, mean_over, run_draws
from rsa_face.inference.resampling import AUTO, Draws, by_name, choose_groups, group_members, unit_names
from rsa_face.inference.results import without_draws
from rsa_face.inference.rsa import VARIANCES, resample_table
from rsa_face.memory import must_fit_in_memory
from rsa_face.provenance import rng_from
from rsa_face.schema import (
    BOUND,
    BOUNDS,
    MEASURE,
    OTHER_MEASURES,
    PARTICIPANT,
    RDM,
    STIMULUS,
    STIMULUS_I,
    TRIAL_SCORES,
    check_rdms,
    factors_of,
    must_be_known,
    must_hold,
    origin_of,
    stimulus_ids,
)

CEILINGS = ("auto", "answers", "pairs")
"""What predicts a person's answer from other people: their answers to the same question, or their RDM."""

FEW_TRIALS = 20
"""Participants with fewer trials are named in a warning."""

_FEWEST_FITTED = 50  # trials that a temperature is fitted to
_ENOUGH_OTHERS = 3  # answers to the same question, in the median, from which `auto` takes these
_BETAS = np.append(0.0, np.exp2(np.arange(-5.0, 7.01, 0.25)))  # inverse temperatures, per SD of the dissimilarities
_RIDGE = 0.01  # a prior of SD 10 on the inverse temperature, which few trials without an error would make infinite
_PRIOR = 1.0  # of an answer, spread over the options: what other people's counts are smoothed by
_TIE = 1e-9
_MOST_FOLDS = 60  # sets of them are kept as the bits of a number

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def predict_trials(
    rdms: xr.DataArray,
    trials: pd.DataFrame,
    *,
    score: str = "accuracy",
    ceiling: str = "auto",
    groups: str | None = AUTO,
    resample: str | None = "dual",
    draws: int = 1000,
    seed: int = 0,
    variance: str = "jackknife",
    confidence: float = 0.95,
    folds: tuple[int, int] = (5, 8),
    progress: bool = False,
) -> xr.Dataset:
    """Predict every trial from each layer's distances, and say how sure the result is.

    For odd-one-out and other choices between pairs, the pair with the smallest distance is predicted, and P is a
    softmax of minus distance / temperature. For same-different, P(different) is a logistic function of the distance,
    with a criterion. For two choices of a category, it is one of how much nearer the stimulus lies to stimuli that
    others put into the one category than to those put into the other (Nosofsky 1986,
    10.1037/0096-3445.115.1.39). Temperature and criterion come from trials that share neither the participant's fold
    nor a stimulus' fold with the trial predicted; so do the categories of the others.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs. Trials with a stimulus or a pair that they lack are left out for all layers, and counted.
    trials : DataFrame
        As `read_human_trials` returns them. Not changed. A ranking is taken apart into comparisons of two choices.
    score : str
        What draws, tests and the noise ceiling are of: ``"accuracy"``, or ``"log-likelihood"``, in bits per trial.
        Both stand in the result.
    ceiling : str
        What the noise ceiling is made of: other people's ``"answers"`` to the same question, or the RDM that their
        answers make of all ``"pairs"``, for designs in which few people answer the same question. ``"auto"`` takes
        answers where the median question was answered by three others or more.
    groups : str, optional
        What stimuli are drawn by, and put into folds by: see `RSA`.
    resample : str, optional
        What to draw: ``"stimulus"``, ``"participant"``, ``"both"``, ``"dual"``, or None. See `RSA.bootstrap`.
    draws : int
        How many draws. A trial counts as often as all of its stimuli and its participant were drawn together.
    seed : int
        The study's seed, of draws and folds.
    variance : str
        ``"jackknife"`` or ``"bootstrap"``: see `RSA.bootstrap`.
    confidence : float
        Of the intervals, between 0 and 1.
    folds : tuple of int
        Into how many folds participants, and stimuli (or their groups), are put at most.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Dataset, dims (rdm, draw, bound, participant)
        `similarity` (rdm) is the score above that of guessing, averaged over each participant's trials and then over
        participants; everything that `compare_layers` returns about a similarity stands beside it, under the same
        names, so that `localize`, `contrast_layers` and `plot_layers` take it. `noise_ceiling` (bound): other people
        predict the answer, without the person's own (lower) and with them (upper). Also `accuracy` and
        `log_likelihood` (rdm; bits per trial), `accuracy_interval` (rdm, bound) where that is the score, and the same
        of guessing (``guessing_``), of the ceiling (``ceiling_``; bound), and of a person's own answers to the same
        question at other times (``repeats_``); `temperature` (rdm), in units of dissimilarity. Guessing takes
        every pair equally often; of two answers it knows how often each is given, and nothing of the stimuli. Attrs
        count `trials`, those of the ceiling (`ceiling_trials`) and of repeats, what was `left_out`, and name
        `lacking` stimuli.

    Raises
    ------
    ValueError
        If a choice is unknown, no trials remain, or they are of fewer than two participants.

    Warns
    -----
    UserWarning
        If participants have fewer than 20 trials, which weigh as much as those of others.

    Notes
    -----
    Layers whose smallest distances tie share the credit. Draws keep what was fitted to all trials: they vary who and
    what is averaged over. Other people's answers, which make the ceiling, are taken from the people of the draw.

    Examples
    --------
    >>> import rsa_face as rf
    >>> from rsa_face.human.observers import simulate_triplets
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"])
    >>> trials = simulate_triplets(models.sel(rdm="level"), participants=8, trials=200, temperature=0.1)
    >>> result = predict_trials(models, trials, draws=50)
    >>> bool(abs(result["accuracy"].sel(rdm="level") - trials.attrs["expected_accuracy"]) < 0.05)
    True
    >>> (result["similarity"] > 0.3).values.tolist()
    [True, False]
    """
    must_be_known(score, TRIAL_SCORES, "score of trials")
    must_be_known(variance, VARIANCES, "variance")
    if not 0 < confidence < 1:
        message = f"confidence={confidence} is not between 0 and 1. Give 0.95 for 95 %."
        raise ValueError(message)
    task = _Task.of(rdms, trials, groups=groups, seed=seed, folds=folds)
    predicted = _PREDICTORS[task.form](task)
    others = _others_of(task, ceiling)
    place = list(TRIAL_SCORES).index(score)
    above = predicted.scores[place] - predicted.guessing[place][:, None]
    table = _observed(task, above, others, predicted, place)
    table.attrs |= {"comparison": score, "resample": resample, "seed": seed, "confidence": confidence}

    def evaluated(some: Draws, *, progress: bool) -> Evaluated:
        return run_draws(_engine(task, above, others, predicted, place, some), some, len(above.T), progress=progress)

    table, _, _ = resample_table(
        table, task.units, evaluated, draws=draws, groups=task.groups, variance=variance, progress=progress
    )
    if score == "accuracy":
        table["accuracy_interval"] = table["similarity_interval"] + table["guessing_accuracy"]
    return table


@dataclass(frozen=True, eq=False)
class _Task:
    """Trials that every layer can predict, in the order of participants, with the folds they belong to."""

    rdms: xr.DataArray
    squares: Float[np.ndarray, "rdm stimulus stimulus"]
    people: list[str]
    who: Ints  # (trial,)
    shown: Ints  # (trial, place)
    answer: Ints  # (trial,)
    options: int
    pairs: tuple[tuple[int, int], ...]
    groups: str | None
    units: xr.DataArray
    fold_of_person: Ints  # (participant,)
    fold_of_stimulus: Ints  # (stimulus,)
    attrs: dict[str, Any]

    @property
    def form(self) -> str:
        """How answers follow from distances."""
        return {0: "category", 1: "apart"}.get(len(self.pairs), "closest")

    @property
    def first_of_person(self) -> Ints:
        """Where the trials of each participant begin, and last where all end."""
        return np.searchsorted(self.who, np.arange(len(self.people) + 1))

    @classmethod
    def of(
        cls, rdms: xr.DataArray, trials: pd.DataFrame, *, groups: str | None, seed: int, folds: tuple[int, int]
    ) -> "_Task":
        """Check layers and trials, leave out and count what cannot be predicted, and deal out folds."""
        check_rdms(rdms, along=RDM, name="Layer RDMs")
        asked = _asked_in(trials)
        ids, pairs, names = stimulus_ids(rdms), _PAIRS[asked.kind], asked.names
        shown = _places(names, ids)
        squares = np.asarray(rdms.values, dtype=float)
        faults = _why_left_out(shown, squares, pairs, [str(name) for name in rdms[RDM].values])
        usable = ~np.any([rows for _, rows in faults], axis=0) if faults else np.ones(len(shown), dtype=bool)
        who = asked.who
        people = sorted(set(who[usable].tolist()))
        left_out = {why: int(rows.sum()) for why, rows in faults}
        lacking = sorted(set(names[shown < 0].tolist()))
        if len(people) < 2:
            whose = f"participants {people}" if people else "nobody"
            message = (
                f"Too few trials to predict: {int(usable.sum())} of {len(shown)} remain, of {whose}, and 2 "
                f"participants are needed. Left out: {left_out or 'nothing'}"
                f"{f'; the layers lack {listed(lacking)}' if lacking else ''}."
            )
            raise ValueError(message)
        code = np.searchsorted(people, who[usable])
        order = np.argsort(code, kind="stable")
        code, shown = code[order], shown[usable][order]
        what = f"The prediction of {len(code):,} trials by {len(squares)} layers"
        must_fit_in_memory(48 * len(code) * len(squares), what, then="Take fewer layers at a time.")
        _warn_of_few(people, np.bincount(code, minlength=len(people)))
        counts = np.zeros((len(people), len(ids)), dtype=np.int64)
        np.add.at(counts, (np.repeat(code, shown.shape[1]), shown.ravel()), 1)
        seen = np.flatnonzero(counts.sum(axis=0))  # stimuli of no trial are not drawn
        units = xr.DataArray(
            counts[:, seen],
            {PARTICIPANT: people, STIMULUS_I: [ids[at] for at in seen]}
            | {name: (STIMULUS_I, factor.values[seen]) for name, factor in factors_of(rdms).items()},
            (PARTICIPANT, STIMULUS_I),
        )
        chosen = choose_groups(units, groups)
        fold_of_person, fold_of_stimulus = _deal_folds(units, chosen, folds, seed)
        nobody = sorted(set(who.tolist()) - set(people))
        attrs = {
            "kind": asked.kind,
            "groups": chosen,
            MEASURE: rdms.attrs.get(MEASURE),
            OTHER_MEASURES: list(rdms.attrs.get(OTHER_MEASURES, [])),
            **origin_of(rdms.attrs),
            "simulated": bool(rdms.attrs.get("simulated") or trials.attrs.get("simulated")),
            "trials": len(code),
            "left_out": {**dict(trials.attrs.get("left_out", {})), **left_out},
            "lacking": lacking,
            "participants_without_trials": nobody,
            "folds": [int(fold.max()) + 1 for fold in (fold_of_person, fold_of_stimulus)],
        }
        return cls(
            rdms.isel({dim: seen for dim in rdms.dims if dim != RDM}),
            squares[:, seen[:, None], seen],
            people,
            code,
            np.searchsorted(seen, shown),
            asked.answer[usable][order],
            max(len(pairs), 2),
            pairs,
            chosen,
            units,
            fold_of_person,
            fold_of_stimulus,
            attrs,
        )


@dataclass(frozen=True, eq=False)
class _Asked:
    """What was shown to whom, and which of the options was chosen, as tables of trials hold it."""

    kind: str
    who: NDArray[np.str_]  # (trial,)
    names: NDArray[np.str_]  # (trial, place)
    answer: Ints  # (trial,)


_PAIRS: dict[str, tuple[tuple[int, int], ...]] = {
    "triplet": KEPT,
    "anchored": ((0, 1), (0, 2)),
    "ranking": ((0, 1), (0, 2)),
    "samediff": ((0, 1),),
    "choice": (),
}
"""How answers follow from dissimilarities: of several pairs of places the most similar is chosen, a single one is
judged to be different or not, and without any the answer is a category."""

_COLUMNS: dict[str, tuple[str, ...]] = {
    "triplet": (*THREE, "odd"),
    "anchored": ("anchor", *TWO, "nearer"),
    "ranking": ("target", "choice_1", "choice_2", "ordered"),
    "samediff": (*TWO, "response"),
    "choice": (STIMULUS, "response"),
}


def _asked_in(trials: pd.DataFrame) -> _Asked:
    """Return what a table of trials asks, whose kind its columns tell."""
    must_hold(trials, (PARTICIPANT,), "What `read_human_trials` returns")
    kind = next((name for name, columns in _COLUMNS.items() if set(columns) <= set(trials.columns)), None)
    if kind is None:
        message = (
            f"No trials to predict in a table with the columns {list(map(str, trials.columns))}. Give what "
            f"`read_human_trials` returns, of the kinds {', '.join(_COLUMNS)}."
        )
        raise ValueError(message)
    who = np.asarray(trials[PARTICIPANT], dtype=str)
    if kind == "ranking":
        return _compared_in_rankings(trials, who)
    *shown, answered = _COLUMNS[kind]
    names = np.stack([np.asarray(trials[name], dtype=str) for name in shown], axis=1)
    if kind in ("samediff", "choice"):
        return _Asked(kind, who, names, _codes_of_two(trials[answered], kind))
    chosen = names == np.asarray(trials[answered], dtype=str)[:, None]
    options = chosen if kind == "triplet" else chosen[:, 1:]
    if not options.any(axis=1).all():
        row = int(np.flatnonzero(~options.any(axis=1))[0])
        message = (
            f"Trial {row}: {answered!r} is {trials[answered].iloc[row]!r}, which is none of {names[row].tolist()}."
        )
        raise ValueError(message)
    return _Asked(kind, who, names, options.argmax(axis=1))


def _codes_of_two(response: pd.Series, kind: str) -> Ints:
    """Return which of two answers was given, 0 or 1: different is 1, as is the last category of a choice."""
    words = ["same", "different"] if kind == "samediff" else list(pd.Categorical(response).categories)
    codes = pd.Categorical(response, categories=words).codes
    if len(words) != 2 or (codes < 0).any():
        message = f"The column response holds {sorted(set(response.astype(str)))[:5]}, not two answers: {words[:5]}."
        raise ValueError(message)
    return np.asarray(codes, dtype=np.int64)


def _compared_in_rankings(trials: pd.DataFrame, who: NDArray[np.str_]) -> _Asked:
    """Take rankings apart into comparisons of two choices with the target, as far as their order is known."""
    choices = [name for name in trials.columns if str(name).startswith("choice_")]
    target, ordered = np.asarray(trials["target"], dtype=str), trials["ordered"].to_numpy()
    parts = []
    for first, nearer in enumerate(choices):
        for further in choices[first + 1 :]:
            rows = np.flatnonzero((ordered > first) & trials[further].notna().to_numpy())
            pair = [np.asarray(trials[name].iloc[rows], dtype=str) for name in (nearer, further)]
            parts.append((rows, np.stack([target[rows], *pair], axis=1)))
    rows, names = (np.concatenate(each) for each in zip(*parts, strict=True))
    return _Asked("ranking", who[rows], names, np.zeros(len(rows), dtype=np.int64))


def _places(names: NDArray[np.str_], ids: Sequence[str]) -> Ints:
    """Return where each id stands among those of the layers; -1 where they lack it."""
    place = {name: at for at, name in enumerate(ids)}
    unique, codes = np.unique(names, return_inverse=True)
    return np.array([place.get(str(name), -1) for name in unique], dtype=np.int64)[codes].reshape(names.shape)


def _why_left_out(
    shown: Ints, squares: Floats, pairs: tuple[tuple[int, int], ...], layers: list[str]
) -> list[tuple[str, Bool[np.ndarray, " trial"]]]:
    """Return each reason to leave trials out, with the trials."""
    absent = (shown < 0).any(axis=1)
    faults = [("a stimulus that the layers lack", absent)]
    if len(pairs) == 1:  # the distance is 0 in every layer
        faults.append(("a stimulus with itself", (shown[:, 0] == shown[:, 1]) & ~absent))
    for name, square in zip(layers, squares, strict=True):
        unknown = np.isnan(square)
        if unknown.any():
            lacks = [unknown[shown[:, i], shown[:, j]] for i, j in pairs] or [unknown.all(axis=1)[shown[:, 0]]]
            faults.append((f"a dissimilarity that {name} lacks", np.stack(lacks).any(axis=0) & ~absent))
    return [(why, np.asarray(rows)) for why, rows in faults if rows.any()]


def _warn_of_few(people: list[str], counts: Ints) -> None:
    few = [f"{name} ({count})" for name, count in zip(people, counts, strict=True) if count < FEW_TRIALS]
    if few:
        message = (
            f"Few trials of {listed(few)}: each participant weighs the same, so that chance in these weighs much. "
            f"Leave out participants with fewer than {FEW_TRIALS} trials, if that was planned."
        )
        warnings.warn(message, stacklevel=4)


def _deal_folds(units: xr.DataArray, groups: str | None, folds: tuple[int, int], seed: int) -> tuple[Ints, Ints]:
    """Return the fold of each participant, and of each stimulus, whose group is never split."""
    if min(folds) < 2 or max(folds) > _MOST_FOLDS:
        message = f"folds={folds}: of participants and of stimuli there are 2 to {_MOST_FOLDS} each."
        raise ValueError(message)
    members = group_members(units, groups)
    dealt = []
    for name, names, most in zip((PARTICIPANT, STIMULUS), reversed(unit_names(units, groups)), folds, strict=True):
        order = rng_from(seed, "folds", name).permutation(len(names))
        fold = np.empty(len(names), dtype=np.int64)
        fold[by_name(names)[order]] = np.arange(len(names)) % min(most, len(names))
        dealt.append(fold)
    return dealt[0], dealt[1] @ members


@dataclass(frozen=True, eq=False)
class _Predicted:
    """Scores of each trial, accuracy (shared among ties) and log-likelihood in bits: of layers, and of guessing."""

    scores: tuple[Float[np.ndarray, "trial rdm"], Float[np.ndarray, "trial rdm"]]
    guessing: tuple[Float[np.ndarray, " trial"], Float[np.ndarray, " trial"]]
    temperature: Float[np.ndarray, " rdm"]
    over_people_alone: int  # trials whose temperature no trial of other stimuli could give


def _spread(squares: Floats) -> Floats:
    """Return the SD of each layer's dissimilarities, by which they are scaled; 1 where they do not vary."""
    spread = np.nanstd(squares[:, *np.triu_indices(squares.shape[1], 1)], axis=1)
    return np.where(spread > 0, spread, 1.0)


def _predict_closest(task: _Task) -> _Predicted:
    """Choose the pair with the smallest distance; temperatures are looked up on a grid, for all folds at once."""
    cell, tests, trains, alone = _cells(task)
    scale, rows = _spread(task.squares), np.arange(len(task.answer))
    credit, bits = (np.empty((len(rows), len(task.squares))) for _ in range(2))
    temperature = np.empty(len(task.squares))
    for layer, square in enumerate(task.squares):
        utility = -_distances(square, task) / scale[layer]
        credit[:, layer] = _credit(utility, task.answer)
        # one table of log-likelihoods, summed in each cell, serves the fits of every fold
        sums = np.stack([
            np.bincount(cell, _log_p(utility, task.answer, beta), minlength=len(tests)) for beta in _BETAS
        ], axis=1)  # fmt: skip
        betas = _best_beta(trains @ sums)
        bits[:, layer] = _log_p(utility, task.answer, betas[cell][:, None]) / np.log(2)
        best = float(_best_beta(sums.sum(axis=0)[None])[0])
        temperature[layer] = scale[layer] / best if best > 0 else np.inf
    even = np.full(len(rows), 1 / task.options)
    return _Predicted((credit, bits), (even, np.log2(even)), temperature, int(alone[cell].sum()))


def _distances(square: Floats, task: _Task) -> Float[np.ndarray, "trial option"]:
    return np.stack([square[task.shown[:, i], task.shown[:, j]] for i, j in task.pairs], axis=1)


def _credit(utility: Float[np.ndarray, "trial option"], answer: Ints) -> Floats:
    """Return whether the best option was chosen; options that tie share it."""
    best = utility >= utility.max(axis=1, keepdims=True) - _TIE
    return np.asarray(best[np.arange(len(answer)), answer] / best.sum(axis=1))


def _log_p(utility: Floats, answer: Ints, beta: Any) -> Floats:
    return np.asarray(log_softmax(utility * beta, axis=1)[np.arange(len(answer)), answer])


def _best_beta(sums: Float[np.ndarray, "cell beta"]) -> Floats:
    """Return the inverse temperature with the largest log-likelihood, by a parabola through the best three."""
    sums = sums - 0.5 * _RIDGE * _BETAS**2
    best = sums.argmax(axis=1)
    at = np.clip(best, 2, len(_BETAS) - 2)  # the first is 0, and not on the scale of the others
    low, middle, high = (np.take_along_axis(sums, (at + step)[:, None], axis=1)[:, 0] for step in (-1, 0, 1))
    bend = low - 2 * middle + high
    step = np.divide(0.5 * (low - high), bend, out=np.zeros_like(bend), where=bend < 0)
    return np.asarray(np.where(best == at, _BETAS[at] * np.exp2(0.25 * np.clip(step, -1, 1)), _BETAS[best]))


def _cells(task: _Task) -> tuple[Ints, list[Any], Bool[np.ndarray, "cell cell"], Bool[np.ndarray, " cell"]]:
    """Return the cell of each trial (the folds of participant and stimuli), and which cells each is fitted to.

    Cells that share no fold; where these hold too few trials, the cells of other people, which the last array says.
    """
    folds = task.fold_of_stimulus[task.shown]
    stimuli = np.bitwise_or.reduce(np.left_shift(1, folds), axis=1)
    tests, cell = np.unique(np.stack([task.fold_of_person[task.who], stimuli], axis=1), axis=0, return_inverse=True)
    cell = cell.reshape(-1)
    other_people = tests[:, None, 0] != tests[None, :, 0]
    trains = other_people & ((tests[:, None, 1] & tests[None, :, 1]) == 0)
    alone = trains @ np.bincount(cell) < _FEWEST_FITTED
    trains[alone] = other_people[alone]
    return cell, list(tests), trains, alone


def _predict_apart(task: _Task) -> _Predicted:
    """Call two stimuli different by a logistic function of their distance, fitted to counts of each pair."""
    low, high = np.sort(task.shown, axis=1).T
    pairs, question = np.unique(np.stack([low, high], axis=1), axis=0, return_inverse=True)
    evidence = task.squares[:, pairs[:, 0], pairs[:, 1]] / _spread(task.squares)[:, None]
    folds = np.bitwise_or.reduce(np.left_shift(1, task.fold_of_stimulus[pairs]), axis=1)
    return _predict_by_question(task, question.reshape(-1), folds, lambda _k, _n, _test: evidence)


def _predict_category(task: _Task) -> _Predicted:
    """Choose the category whose members lie nearer, by a logistic function of how much nearer they are."""
    scale = _spread(task.squares)[:, None, None]
    squares, fold = task.squares / scale, task.fold_of_stimulus
    elsewhere = fold[:, None] != fold[None, :]  # a stimulus is no member for itself, nor are those of its fold

    known = np.isfinite(squares)
    squares = np.where(known, squares, 0.0)

    def evidence(k: Floats, n: Floats, test: int) -> Floats:
        """Return how much further from each stimulus members of the first category are than those of the second."""
        # a stimulus to be predicted knows the others through training answers alone; so do those fitted to
        trained = elsewhere & (fold != test)[None, :]
        first, second = (
            np.einsum("lij,ij->li", squares, trained * counts)
            / np.maximum(np.einsum("lij,ij->li", known, trained * counts), _TIE)
            for counts in (n - k, k)
        )
        return np.asarray(first - second)

    return _predict_by_question(task, task.shown[:, 0], np.left_shift(1, fold), evidence)


def _predict_by_question(
    task: _Task, question: Ints, folds: Ints, evidence: Callable[[Floats, Floats, int], Floats]
) -> _Predicted:
    """Predict answers of two from evidence about each question, fitted to other people and other stimuli."""
    shape = (int(task.fold_of_person.max()) + 1, len(folds))
    cell = (task.fold_of_person[task.who], question)
    n, k = np.zeros(shape), np.zeros(shape)
    np.add.at(n, cell, 1)
    np.add.at(k, cell, task.answer)
    p = np.empty((*shape, len(task.squares)))
    guess, alone = np.empty(shape), np.zeros(shape, dtype=bool)
    for people in range(shape[0]):
        others = np.arange(shape[0]) != people
        n_others, k_others = n[others].sum(axis=0), k[others].sum(axis=0)
        for tested in np.unique(folds[n[people] > 0]):
            rows = folds == tested
            train = (folds & tested) == 0
            if n_others[train].sum() < _FEWEST_FITTED:
                train, alone[people, rows] = np.ones_like(train), True
            x = evidence(k_others, n_others, int(tested).bit_length() - 1)
            beta, criterion = _fit_logistic(x[:, train], k_others[train], n_others[train])
            p[people, rows] = expit(beta * x[:, rows].T + criterion)
            guess[people, rows] = _share(k_others[train].sum(), n_others[train].sum())
    # the temperature of all trials, for the record
    x = evidence(k.sum(axis=0), n.sum(axis=0), -1)
    beta, _ = _fit_logistic(x, k.sum(axis=0), n.sum(axis=0))
    temperature = np.divide(_spread(task.squares), beta, out=np.full(len(beta), np.inf), where=beta > 0)
    scores = _score_two(p[cell], task.answer[:, None])
    guessing = _score_two(guess[cell], task.answer)
    return _Predicted(scores, guessing, temperature, int(alone[cell].sum()))


def _share(k: Any, n: Any) -> Any:
    """Return the share of an answer, half a trial of either added so that it is neither 0 nor 1."""
    return (k + 0.5) / (n + 1)


def _score_two(p: Floats, answer: Ints) -> tuple[Floats, Floats]:
    """Return the credit and the log-likelihood in bits of answers 0 or 1, given the probability of 1."""
    credit = np.where(np.abs(p - 0.5) < _TIE, 0.5, (p > 0.5) == (answer == 1))
    return credit.astype(float), np.log2(np.clip(np.where(answer == 1, p, 1 - p), 1e-12, 1.0))


def _fit_logistic(x: Float[np.ndarray, "rdm question"], k: Floats, n: Floats) -> tuple[Floats, Floats]:
    """Return inverse temperatures, 0 or more, and criteria of expit(beta x + c), for all layers at once."""
    beta, c = np.zeros(len(x)), np.full(len(x), logit(_share(k.sum(), n.sum())))
    for _ in range(40):
        p = expit(beta[:, None] * x + c[:, None])
        gap, weight = k - n * p, n * p * (1 - p)
        slope = np.stack([(gap * x).sum(axis=1) - _RIDGE * beta, gap.sum(axis=1)])
        bb, bc, cc = (weight * x * x).sum(axis=1) + _RIDGE, (weight * x).sum(axis=1), weight.sum(axis=1) + 1e-9
        room = np.maximum(bb * cc - bc**2, 1e-12)
        # a Newton step, no longer than 4, so that a steep curve is not overshot
        steps = np.clip(np.stack([cc * slope[0] - bc * slope[1], bb * slope[1] - bc * slope[0]]) / room, -4, 4)
        beta, c = beta + steps[0], c + steps[1]
        if np.abs(steps).max() < 1e-8:
            break
    wrong = beta <= 0  # larger distances would mean more alike: the layer says nothing
    return np.where(wrong, 0.0, beta), np.where(wrong, logit(_share(k.sum(), n.sum())), c)


_PREDICTORS: dict[str, Callable[[_Task], _Predicted]] = {
    "closest": _predict_closest,
    "apart": _predict_apart,
    "category": _predict_category,
}


@dataclass(frozen=True, eq=False)
class _Others:
    """What people's answers say of each other's: scores of each trial, by how often each participant was drawn."""

    way: Literal["answers", "pairs"]
    known: Bool[np.ndarray, " trial"]  # whether somebody else knows anything of the question
    scores: Callable[[Floats], tuple[Floats, Floats, Floats, Floats]]  # lower, upper accuracy; lower, upper bits
    repeats: tuple[Floats, Floats]  # of a person's own answers at other times; NaN where there are none


def _others_of(task: _Task, ceiling: str) -> _Others:
    """Return the noise ceiling of trials, by the way asked for or the one that the design allows."""
    must_be_known(ceiling, CEILINGS, "ceiling of trials")
    if ceiling == "pairs" and task.form != "closest":
        kind = task.attrs["kind"]
        message = (
            f"ceiling='pairs' is for choices between pairs, and these trials are of kind {kind!r}. Use 'answers'."
        )
        raise ValueError(message)
    question, option = _questions(task)
    own = _own_counts(task, question, option)
    total = _counts_by(question, option, np.ones(len(option)), task.options)
    others = (total[question] - own).sum(axis=1)
    repeats = own - np.eye(task.options)[option]
    enough = np.median(others) >= _ENOUGH_OTHERS
    known = repeats.sum(axis=1) > 0
    of_repeats = tuple(np.where(known, each, np.nan) for each in _score_counts(repeats, option))
    if ceiling == "answers" or (ceiling == "auto" and (enough or task.form != "closest")):

        def scores(times: Floats) -> tuple[Floats, Floats, Floats, Floats]:
            drawn = times[task.who]
            every = _counts_by(question, option, drawn, task.options)[question]
            (low, low_bits), (high, high_bits) = (
                _score_counts(each, option) for each in (every - drawn[:, None] * own, every)
            )
            return low, high, low_bits, high_bits

        return _Others("answers", others > 0, scores, of_repeats)  # type: ignore[arg-type] # two
    return _others_by_pairs(task, of_repeats)  # type: ignore[arg-type] # two


def _questions(task: _Task) -> tuple[Ints, Ints]:
    """Return which question each trial asks, and the answer, whatever the order in which stimuli stood."""
    if task.form != "closest":
        return np.unique(np.sort(task.shown, axis=1), axis=0, return_inverse=True)[1].reshape(-1), task.answer
    codes = np.stack([_pair_code(task, i, j) for i, j in task.pairs], axis=1)
    rank = np.argsort(np.argsort(codes, axis=1), axis=1)
    question = np.unique(np.sort(codes, axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    return question, rank[np.arange(len(rank)), task.answer]


def _pair_code(task: _Task, i: int, j: int) -> Ints:
    low, high = np.sort(task.shown[:, [i, j]], axis=1).T
    return np.asarray(low * len(task.fold_of_stimulus) + high)


def _counts_by(question: Ints, option: Ints, weights: Floats, options: int) -> Float[np.ndarray, "question option"]:
    size = (int(question.max()) + 1) * options
    return np.bincount(question * options + option, weights, minlength=size).reshape(-1, options)


def _own_counts(task: _Task, question: Ints, option: Ints) -> Float[np.ndarray, "trial option"]:
    """Return how often the person of each trial gave each answer to its question, this one included."""
    both = np.unique(np.stack([task.who, question], axis=1), axis=0, return_inverse=True)[1].reshape(-1)
    return _counts_by(both, option, np.ones(len(option)), task.options)[both]


def _score_counts(counts: Float[np.ndarray, "trial option"], option: Ints) -> tuple[Floats, Floats]:
    """Return how well counts of answers predict one: the most frequent one, and their shares in bits; NaN of none."""
    total, options = counts.sum(axis=1), counts.shape[1]
    p = (counts[np.arange(len(option)), option] + _PRIOR / options) / (total + _PRIOR)
    nothing = total <= 0
    return np.where(nothing, np.nan, _credit(counts, option)), np.where(nothing, np.nan, np.log2(p))


def _others_by_pairs(task: _Task, repeats: tuple[Floats, Floats]) -> _Others:
    """Predict answers from how often other people put pairs together, in whichever trials."""
    codes = np.stack([_pair_code(task, i, j) for i, j in task.pairs], axis=1)
    unique, at = np.unique(codes, return_inverse=True)
    at = at.reshape(codes.shape)
    shape = (len(task.people), len(unique))
    shown, together = np.zeros(shape), np.zeros(shape)
    np.add.at(shown, (np.repeat(task.who, task.options), at.ravel()), 1)
    np.add.at(together, (task.who, at[np.arange(len(at)), task.answer]), 1)

    def shares(times: Floats, *, without: bool) -> Floats:
        """Return the share of each trial's pairs that was put together, shrunk towards chance by half an answer."""
        pooled = [times @ counts for counts in (together, shown)]
        values = np.empty(at.shape)
        first = task.first_of_person
        for person, (start, stop) in enumerate(pairwise(first)):
            less = times[person] if without else 0.0
            of_pair = [pool - less * own[person] for pool, own in zip(pooled, (together, shown), strict=True)]
            share = np.divide(of_pair[0] + 0.5 / task.options, of_pair[1] + 0.5,
                              out=np.full(shape[1], np.nan), where=of_pair[1] > 0)  # fmt: skip
            values[start:stop] = share[at[start:stop]]
        return values

    everybody = np.ones(len(task.people))
    others = shares(everybody, without=True)
    known = np.asarray(~np.isnan(others).any(axis=1))
    sums = [[_log_p(others[known], task.answer[known], beta * 4).sum() for beta in _BETAS]]
    beta = 4 * float(_best_beta(np.array(sums))[0]) if known.any() else 0.0

    def scores(times: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        values = [shares(times, without=without) for without in (True, False)]
        unknown = [np.isnan(each).any(axis=1) for each in values]
        filled = [np.nan_to_num(each) for each in values]
        credit, bits = (
            [np.where(gap, np.nan, score) for gap, score in zip(unknown, each, strict=True)]
            for each in (
                [_credit(one, task.answer) for one in filled],
                [_log_p(one, task.answer, beta) / np.log(2) for one in filled],
            )
        )
        return credit[0], credit[1], bits[0], bits[1]

    return _Others("pairs", known, scores, repeats)


def _mean_of_people(task: _Task, weights: Floats, values: Float[np.ndarray, "trial column"]) -> Floats:
    """Return the weighted mean over each participant's trials, (column, participant); NaN without any."""
    means = np.full((values.shape[1], len(task.people)), np.nan)
    first = task.first_of_person
    for person, (start, stop) in enumerate(pairwise(first)):
        some = weights[start:stop]
        if some.any():
            means[:, person] = some @ values[start:stop] / some.sum()
    return means


def _bounds_of(task: _Task, weights: Floats, above: Float[np.ndarray, "trial bound"], times: Floats) -> Floats:
    """Return the mean of the ceiling over the participants who were drawn, each counted once."""
    known = ~np.isnan(above).any(axis=1)
    each = _mean_of_people(task, weights * known, np.where(known[:, None], above, 0.0))
    return np.asarray(mean_over(each, (times > 0).astype(float)))


def _engine(task: _Task, above: Floats, others: _Others, predicted: _Predicted, place: int, draws: Draws) -> Engine:
    """Return what evaluates draws: a trial counts as often as its stimuli were drawn together."""
    guessing = predicted.guessing[place][:, None]
    everybody = _ceilings(others, np.ones(len(task.people)), place) - guessing

    def evaluate(stimuli: NDArray[Any]) -> Answers:
        weights = np.prod(stimuli[0][task.shown], axis=1, dtype=float)
        table = _mean_of_people(task, weights, above)

        def bounds(times: Floats) -> Floats:
            rows = []
            for row in times:
                of_draw = everybody if (row == 1).all() else _ceilings(others, row, place) - guessing
                rows.append(_bounds_of(task, weights * others.known, of_draw, row))
            return np.stack(rows)

        return Answers.of(table, bounds)

    return Engine(draws.alike, 1, 1, evaluate, lambda counts: counts.astype(np.float64), np.asarray)


def _ceilings(others: _Others, times: Floats, place: int) -> Float[np.ndarray, "trial bound"]:
    scores = others.scores(times)
    return np.stack(scores[2 * place : 2 * place + 2], axis=1)


def _observed(task: _Task, above: Floats, others: _Others, predicted: _Predicted, place: int) -> xr.Dataset:
    """Return the table of what is observed: scores of layers, of guessing, of other people, of repeats."""
    everybody, ones = np.ones(len(task.people)), np.ones(len(task.who))
    each = _mean_of_people(task, ones, above)
    values = others.scores(everybody)
    bounds = _bounds_of(
        task,
        ones * others.known,
        np.stack(values[2 * place : 2 * place + 2], axis=1) - predicted.guessing[place][:, None],
        everybody,
    )
    table = without_draws(task.rdms, task.units, each, bounds)
    table["temperature"] = (RDM, predicted.temperature)
    named = zip(("accuracy", "log_likelihood"), predicted.scores, predicted.guessing, others.repeats, strict=True)
    for at, (name, scores, guessing, repeats) in enumerate(named):
        table[name] = (RDM, mean_over(_mean_of_people(task, ones, scores), everybody))
        table[f"guessing_{name}"] = float(mean_over(_mean_of_people(task, ones, guessing[:, None]), everybody)[0])
        both = np.stack(values[2 * at : 2 * at + 2], axis=1)
        table[f"ceiling_{name}"] = (BOUND, _bounds_of(task, ones * others.known, both, everybody))
        table[f"repeats_{name}"] = float(_bounds_of(task, ones, repeats[:, None], everybody)[0])
    table.attrs = {
        **task.attrs,
        "ceiling": others.way,
        "ceiling_trials": int((others.known & ~np.isnan(values[0])).sum()),
        "repeated_trials": int((~np.isnan(others.repeats[0])).sum()),
        "fitted_over_people_alone": predicted.over_people_alone,
    }
    return table.assign_coords({BOUND: list(BOUNDS)})
