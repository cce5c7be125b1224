"""The kinds of human data: one `HumanKind` each, from which readers, templates, commands and study files derive.

A kind of trials has the columns that its file must hold, and a function that turns trials into `Judgements`. To add
one, write these two and its options, and put a row into `KINDS`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import expit, ndtri
from scipy.stats import rankdata

from rsa_face.human.arrangement import ARRANGEMENT_COLUMNS, ArrangementOptions, judge_arrangements, read_meadows
from rsa_face.human.judgements import Floats, Judgements, must_fit, pair_index, pairs_of, share, sum_by_pair
from rsa_face.human.rdm_files import RdmOptions, read_rdms
from rsa_face.human.relative import NUMBER as _NUMBER
from rsa_face.human.relative import (
    THREE,
    TWO,
    AnchoredOptions,
    RankingOptions,
    TripletOptions,
    anchored_columns,
    anchored_table,
    judge_anchored,
    judge_rankings,
    judge_triplets,
    ranking_columns,
    ranking_table,
    table_of,
    triplet_columns,
    triplet_table,
)
from rsa_face.human.tables import Source, listed, naturally
from rsa_face.human.trials import Column, Trials, other_columns, renaming
from rsa_face.inference.comparisons import compare_vectors
from rsa_face.provenance import rng_from
from rsa_face.psychophysics.choices import PAIRS, Answers
from rsa_face.schema import COMPARISONS, NOBODY, PAIR, UNSIGNED, must_be_known
from rsa_face.settings import Settings


@dataclass(frozen=True)
class Form:
    """How files of a published form are laid out: settings that stand wherever none are given."""

    layout: Mapping[str, Any]
    options: Mapping[str, Any] = field(default_factory=dict)
    numbered: bool = False  # stimuli are numbers counted from 0, whose ids may be given apart


@dataclass(frozen=True)
class HumanKind:
    """One kind of human data.

    Parameters
    ----------
    about : str
        What was judged, and what becomes of it: one sentence, for lists and templates.
    options : type of Settings
        How judgements become dissimilarities.
    example : dict of str to str
        The columns of its template -> what stands in each.
    rows : tuple of str
        The lines of its template, made up.
    columns : tuple of Column or callable, optional
        The columns of a file of trials, or (options, source) -> these columns.
    judge : callable, optional
        (trials, options) -> the judgements.
    files : dict of str to callable
        Ending of a file that is no table of trials -> what reads it: (source, options) -> the judgements, a row for
        each RDM. The ending ``""`` stands for all files.
    retest : bool
        Whether the same trial may occur again, for a test and its retest.
    unsigned : bool
        Whether judgements can be read of which nobody recorded whose they are.
    table : callable, optional
        (trials, options) -> the trials, checked, in our words, where predictions of single trials are made of them.
    forms : dict of str to Form
        Value of the option `form` -> how files published in that form are laid out.
    """

    about: str
    options: type[Settings]
    example: Mapping[str, str]
    rows: tuple[str, ...]
    columns: tuple[Column, ...] | Callable[[Any, Source], tuple[Column, ...]] = ()
    judge: Callable[[Trials, Any], Judgements] | None = None
    files: Mapping[str, Callable[[Source, Any], Judgements]] = field(default_factory=dict)
    retest: bool = True
    unsigned: bool = False
    table: Callable[[Trials, Any], pd.DataFrame] | None = None
    forms: Mapping[str, Form] = field(default_factory=dict)


class RatingOptions(Settings):
    """How ratings become dissimilarities.

    Parameters
    ----------
    direction : str
        What a high rating means: ``dissimilarity`` or ``similarity``.
    scale : tuple of float, optional
        The lowest and highest rating there can be; any other is a fault. Those of the data if not given.
    values : str
        ``raw``; ``z`` (minus the participant's mean, by their SD) or ``rank`` (among the participant's pairs).
    """

    direction: Literal["dissimilarity", "similarity"] = "dissimilarity"
    scale: tuple[float, float] | None = None
    values: Literal["raw", "z", "rank"] = "raw"


_PAIR = (Column("stimulus_a", stimulus=True), Column("stimulus_b", stimulus=True))


def judge_ratings(trials: Trials, options: RatingOptions) -> Judgements:
    """Return each participant's mean rating of each pair, as dissimilarity.

    Both orders of a pair and its repeats are averaged and counted in `coverage`. A stimulus rated against itself
    is left out, and counted.
    """
    rated = trials.frame["rating"].to_numpy(float)
    low, high = options.scale or (float(np.nanmin(rated)), float(np.nanmax(rated)))
    trials.within("rating", low, high)
    trials.no_trial_twice()
    trials.settle()
    people, ids = trials.people()[0], trials.stimuli("stimulus_a", "stimulus_b")
    itself = trials.codes("stimulus_a", ids) == trials.codes("stimulus_b", ids)
    trials = trials.leave_out(itself, "a stimulus rated against itself")
    who, rated = trials.codes("participant", people), trials.frame["rating"].to_numpy(float)
    pair = pair_index(trials.codes("stimulus_a", ids), trials.codes("stimulus_b", ids), len(ids))
    shape = (len(people), pairs_of(ids))
    counts = sum_by_pair(who, pair, shape)
    # a similarity is mirrored on its scale, so that the two readings of a file differ in direction alone
    total = sum_by_pair(who, pair, shape, rated if options.direction == "dissimilarity" else high + low - rated)
    n_trials = np.bincount(who, minlength=len(people))
    bias = share(np.bincount(who, weights=rated, minlength=len(people)), n_trials)
    attrs = {
        "direction": f"high ratings mean {options.direction}",
        "scale": [low, high],
        "scale_known": options.scale is not None,
        "repeats": int((counts > 1).sum()),
        "response_bias": "mean rating",
    }
    distances = _scaled(share(total, counts), options.values)
    return Judgements(people, ids, distances, counts, n_trials, bias, attrs, simulated=trials.simulated)


def judge_pairs(trials: Trials, options: RatingOptions) -> Judgements:
    """Return each participant's mean rating of each pair of a list in which no stimulus stands in two pairs.

    Pairs that share no stimulus are independent of one another, and are then what is resampled (`choose_groups`).
    """
    ids = trials.stimuli("stimulus_a", "stimulus_b")
    a, b = trials.codes("stimulus_a", ids), trials.codes("stimulus_b", ids)
    trials.fault((a == b) & (a >= 0), "stimulus_b", "is the other stimulus of the pair itself")
    whole = (a != b) & (a >= 0) & (b >= 0)
    first, second = (np.stack(two, axis=1)[whole].ravel() for two in ((a, b), (b, a)))
    partner = np.full(len(ids), -1)
    partner[first[::-1]] = second[::-1]  # the one that stands first in the file
    for column, one, other in (("stimulus_a", a, b), ("stimulus_b", b, a)):
        names = trials.frame[column]

        def elsewhere(row: int, names: pd.Series = names) -> str:
            return f"{names.iloc[row]!r} stands in another pair as well (kind rating is for stimuli in several pairs)"

        trials.fault(whole & (partner[one] != other), column, elsewhere)
    judged = judge_ratings(trials, options)
    judged.attrs["unit"] = PAIR
    return judged


def _scaled(values: Floats, how: str) -> Floats:
    if how == "raw":
        return values
    if how == "rank":
        return np.asarray(rankdata(values, axis=1, nan_policy="omit"))
    spread = np.nanstd(values, axis=1, keepdims=True)
    # a participant who rates all pairs alike has no spread, and is left at 0
    return np.asarray((values - np.nanmean(values, axis=1, keepdims=True)) / np.where(spread > 0, spread, 1.0))


class SameDiffOptions(Settings):
    """How same-different trials become dissimilarities.

    Parameters
    ----------
    distance : str
        ``different``: P(different). ``dprime``: z(hits) - z(false alarms), where a hit is a pair told apart and a
        false alarm a stimulus told apart from itself, both as (k + 0.5) / (n + 1) [1]_.
    different, same : str
        The two responses.

    References
    ----------
    .. [1] Hautus, M. J. (1995). Corrections for extreme proportions and their biasing effects on estimated values
       of d'. 10.3758/BF03203619
    """

    distance: Literal["different", "dprime"] = "different"
    different: str = "different"
    same: str = "same"


def same_different_table(trials: Trials, options: SameDiffOptions) -> pd.DataFrame:
    """Return checked same-different trials: participant, stimulus_a, stimulus_b, and the response."""
    ids = trials.stimuli(*TWO)
    response = trials.frame["response"]
    apart = (response == options.different).to_numpy()
    neither = ~apart & (response != options.same).to_numpy() & (response != "").to_numpy()
    clause = f"is neither {options.different!r} nor {options.same!r}"
    trials.fault(neither, "response", lambda row: f"{response.iloc[row]!r} {clause}")
    table = table_of(trials, ids, {name: trials.codes(name, ids) for name in TWO})
    return table.assign(response=pd.Categorical.from_codes(apart.astype(np.int8), pd.Index(["same", "different"])))


def judge_same_different(trials: Trials, options: SameDiffOptions) -> Judgements:
    """Return how well each participant tells each pair apart."""
    table = same_different_table(trials, options)
    people, ids = ([str(one) for one in table[name].cat.categories] for name in ("participant", TWO[0]))
    who, a, b, apart = (table[name].cat.codes.to_numpy(np.int64) for name in ("participant", *TWO, "response"))
    apart, same = apart == 1, a == b
    shape = (len(people), pairs_of(ids))
    pair = pair_index(a[~same], b[~same], len(ids))
    n = sum_by_pair(who[~same], pair, shape)
    k = sum_by_pair(who[~same], pair, shape, apart[~same].astype(float))
    distance = share(k, n)
    if options.distance == "dprime":
        n_same = np.bincount(who[same], minlength=len(people))
        k_same = np.bincount(who[same], weights=apart[same].astype(float), minlength=len(people))
        without = [person for person, count in zip(people, n_same, strict=True) if count == 0]
        if without:
            message = f"{listed(without)} have no trials of a stimulus with itself, which d' needs. Use P(different)."
            raise ValueError(message)
        # false alarms are of a person, not of a pair: each stimulus is shown with itself too rarely for its own rate
        alarms = ndtri((k_same + 0.5) / (n_same + 1))[:, None]
        distance = np.where(n > 0, ndtri((k + 0.5) / (n + 1)) - alarms, np.nan)
    n_trials = np.bincount(who, minlength=len(people))
    bias = share(np.bincount(who, weights=apart.astype(float), minlength=len(people)), n_trials)
    attrs = {
        "distance": options.distance,
        "same_trials": int(same.sum()),
        "response_bias": f"share of {options.different!r} over all trials",
    }
    return Judgements(people, ids, distance, n, n_trials, bias, attrs, simulated=trials.simulated)


class ConfusionOptions(Settings):
    """How confusions are written down, and how they become dissimilarities.

    Parameters
    ----------
    form : str
        ``trials``: a row for each response. ``counts``: a row for each participant and stimulus, and a column for
        each response, with how often it was given.
    distance : str
        ``euclidean``, ``hellinger`` (0 to 1) or ``correlation``: between the two stimuli's response profiles, that
        is, the share of each response. ``confusability``: 1 - the mean of P(j | i) and P(i | j), where the responses
        are stimuli themselves [1]_.
    responses : tuple of str
        The responses there can be; any other is a fault. Those of the data if not given.

    References
    ----------
    .. [1] Shepard, R. N. (1957). Stimulus and response generalization: A stochastic model relating generalization
       to distance in psychological space. 10.1007/BF02288967
    """

    form: Literal["trials", "counts"] = "trials"
    distance: Literal["euclidean", "hellinger", "correlation", "confusability"] = "euclidean"
    responses: tuple[str, ...] = ()


def confusion_columns(options: ConfusionOptions, source: Source) -> tuple[Column, ...]:
    """Return what a file of confusions must hold."""
    first = (Column("participant"), Column("stimulus", stimulus=True))
    if options.form == "trials":
        return (*first, Column("response", stimulus=options.distance == "confusability", answer=True), _NUMBER)
    return (*first, *(Column(name, number=True) for name in options.responses or other_columns(source)))


def judge_confusions(trials: Trials, options: ConfusionOptions) -> Judgements:
    """Return how differently each participant answers each two stimuli."""
    (people, who), ids = trials.people(), trials.stimuli("stimulus")
    confusability = options.distance == "confusability"
    if confusability and options.form == "trials" and trials.source.stimuli is None:
        ids = trials.values("stimulus", "response")  # a stimulus that was only ever an answer is one, too
    count = _counted if options.form == "counts" else _tallied
    counts, names = count(trials, options, who, trials.codes("stimulus", ids), (len(people), len(ids)))
    given = counts.sum(axis=2)
    profiles = share(counts, given[:, :, None])
    i, j = np.triu_indices(len(ids), 1)
    if confusability:
        distances = _confusability(profiles, names, ids, trials)
        coverage = np.where(np.isnan(distances), 0, given[:, i] + given[:, j])
    else:
        distances = np.array([_between(profile[i], profile[j], options.distance) for profile in profiles])
        coverage = np.minimum(given[:, i], given[:, j])
    n_trials = given.sum(axis=1)
    attrs = {
        "distance": options.distance,
        "responses": names,
        "response_bias": f"share of the response given most often (even: {1 / len(names):.2f})",
    }
    return Judgements(
        people,
        ids,
        distances,
        coverage.astype(np.int32),
        n_trials.astype(np.int64),
        share(counts.sum(axis=1).max(axis=1), n_trials),
        attrs,
        simulated=trials.simulated,
    )


_Codes = NDArray[np.int64]


def _tallied(
    trials: Trials, options: ConfusionOptions, who: _Codes, what: _Codes, shape: tuple[int, int]
) -> tuple[Floats, list[str]]:
    """Return how often each participant gave each response to each stimulus, counted over trials."""
    names = list(options.responses) or trials.values("response")
    codes = trials.codes("response", names)
    response = trials.frame["response"]
    wrong = (codes < 0) & (response != "").to_numpy()
    clause = f"is none of the responses {listed(names)}"
    trials.fault(wrong, "response", lambda row: f"{response.iloc[row]!r} {clause}")
    trials.no_trial_twice()
    trials.settle()
    must_fit(*shape, trials.source.name, features=len(names))
    place = (who * shape[1] + what) * len(names) + codes
    counts = np.bincount(place, minlength=shape[0] * shape[1] * len(names))
    return counts.reshape(*shape, len(names)).astype(float), names


def _counted(
    trials: Trials, options: ConfusionOptions, who: _Codes, what: _Codes, shape: tuple[int, int]
) -> tuple[Floats, list[str]]:
    """Return the same from a table that holds the counts."""
    names = [name for name in trials.columns if name not in ("participant", "stimulus")]
    if not names:
        message = (
            f"{trials.source.name} has no column of counts. Name the responses (option responses), or read trials."
        )
        raise ValueError(message)
    for name in names:
        number = trials.frame[name].to_numpy(float)
        wrong = (number < 0) | (np.nan_to_num(number) % 1 != 0)
        trials.fault(wrong, name, lambda row, number=number: f"{number[row]:g} is no count")  # type: ignore[misc] # bound now
    again = "{} is counted again for the same participant (several sessions? name the column: layout columns.session)"
    trials.once(("participant", "stimulus"), "stimulus", again)
    trials.settle()
    must_fit(*shape, trials.source.name, features=len(names))
    counts = np.zeros((*shape, len(names)))
    np.add.at(counts, (who, what), trials.frame[names].to_numpy(float))  # over sessions
    renamed = renaming(trials.source) if options.distance == "confusability" else None
    return counts, [renamed.get(name, name) for name in names] if renamed else names


def _between(first: Floats, second: Floats, how: str) -> Floats:
    """Return the distances of two profiles, row by row."""
    if how == "hellinger":
        first, second = np.sqrt(first / 2), np.sqrt(second / 2)
    if how == "correlation":
        first, second = (part - part.mean(axis=1, keepdims=True) for part in (first, second))
        norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        return np.asarray(1 - share((first * second).sum(axis=1), norms))
    return np.asarray(np.linalg.norm(first - second, axis=1))


def _confusability(profiles: Floats, names: list[str], ids: list[str], trials: Trials) -> Floats:
    """Return 1 - the mean of how often each of two is taken for the other, over the directions that were asked."""
    unknown = naturally(set(names) - set(ids))
    if unknown:
        message = (
            f"The responses {listed(unknown)} of {trials.source.name} are no stimuli, which confusability needs. "
            "Choose a distance between response profiles: euclidean."
        )
        raise ValueError(message)
    # rows are stimuli, columns those they were taken for; a row of NaN is a stimulus that was not shown
    square = np.zeros((len(profiles), len(ids), len(ids)))
    square[np.isnan(profiles).any(axis=2)] = np.nan
    order = np.array([ids.index(name) for name in names])
    square[:, :, order] = np.where(np.isnan(profiles), np.nan, profiles)
    both = np.stack([square, np.swapaxes(square, 1, 2)])
    mean = share(np.nansum(both, axis=0), (~np.isnan(both)).sum(axis=0))
    i, j = np.triu_indices(len(ids), 1)
    return np.asarray(1 - mean[:, i, j])


class ChoiceOptions(Settings):
    """How two-choice trials become dissimilarities.

    Parameters
    ----------
    distance : str
        ``difference``: |P_i - P_j|. ``probit``: |z(P_i) - z(P_j)|, clipped by `clip`. ``curve``: the
        difference of a logistic curve of `level`, fitted to each participant.
    answer : str, optional
        The response whose probability P is; the first of happy/sad, yes/no, 1/0, true/false if not given.
    answers : Answers, optional
        Both responses: ``{high: anger, low: fear}``, in place of `answer`; any other is a fault.
    clip : str
        What keeps z finite. ``loglinear``: P = (k + 0.5) / (n + 1) [1]_. ``extreme``: 0 and 1 become 1/(2n) and
        1 - 1/(2n) [2]_.
    bounds : tuple of float
        What P is kept within for z where n is not known (a table of proportions).

    References
    ----------
    .. [1] Hautus, M. J. (1995). Corrections for extreme proportions and their biasing effects on estimated values
       of d'. 10.3758/BF03203619
    .. [2] Macmillan, N. A., & Kaplan, H. L. (1985). Detection theory analysis of group data.
       10.1037/0033-2909.98.1.185
    """

    distance: Literal["difference", "probit", "curve"] = "difference"
    answer: str | None = None
    answers: Answers | None = None
    clip: Literal["loglinear", "extreme"] = "loglinear"
    bounds: tuple[float, float] = (0.01, 0.99)


def choice_columns(options: ChoiceOptions, source: Source) -> tuple[Column, ...]:
    """Return what a file of choices must hold: trials (`response`), or proportions (`p`, and `n` if known)."""
    proportions = "p" in (source.layout.names or ()) or "p" in source.layout.columns
    return (
        Column("participant", required=not proportions),
        Column("stimulus", stimulus=True, required=not proportions),
        Column("response", required=not proportions, answer=True),
        Column("p", number=True, required=proportions),
        Column("n", number=True, required=False),
        Column("level", number=True, required=options.distance == "curve"),
        _NUMBER,
    )


def judge_choices(trials: Trials, options: ChoiceOptions) -> Judgements:
    """Return how differently each participant answers each two stimuli."""
    if not trials.has("stimulus"):
        message = f"{trials.source.name} does not name the stimulus of each row. Name the rows with ids."
        raise ValueError(message)
    (people, who), ids = trials.people(), trials.stimuli("stimulus")
    what, shape = trials.codes("stimulus", ids), (len(people), len(ids))
    attrs: dict[str, object] = {"distance": options.distance}
    # n trials of each participant and stimulus, k of them with the answer that is counted
    if trials.has("response"):
        counted, attrs["answer"] = _answers(trials, options)
        trials.settle()
        n = sum_by_pair(who, what, shape)
        k = sum_by_pair(who, what, shape, counted.astype(float))
    else:
        n, k = _proportions(trials, who, what, shape)
    place = share(k, n)
    if options.distance == "probit":
        known = trials.has("response") or trials.has("n")
        attrs["clip"] = options.clip if known else list(options.bounds)
        place = ndtri(_clipped(k, n, options, known=known))
    if options.distance == "curve":
        place = _curves(trials, what, k, n)
    i, j = np.triu_indices(len(ids), 1)
    attrs["response_bias"] = f"share of {attrs.get('answer', 'the answer counted')!r}"
    return Judgements(
        people,
        ids,
        np.abs(place[:, i] - place[:, j]),
        np.minimum(n[:, i], n[:, j]),
        n.sum(axis=1),
        share(k.sum(axis=1), n.sum(axis=1)),
        attrs,
        simulated=trials.simulated,
    )


def choice_table(trials: Trials, options: ChoiceOptions) -> pd.DataFrame:
    """Return checked two-choice trials: participant, stimulus, and the response, that which is counted last."""
    if not (trials.has("response") and trials.has("stimulus")):
        message = f"{trials.source.name} holds proportions, not trials. Name a file with a row for each response."
        raise ValueError(message)
    counted, answer = _answers(trials, options)
    ids = trials.stimuli("stimulus")
    other = next((value for value in trials.values("response") if value.lower() != answer.lower()), f"not {answer}")
    table = table_of(trials, ids, {"stimulus": trials.codes("stimulus", ids)})
    return table.assign(response=pd.Categorical.from_codes(counted.astype(np.int8), pd.Index([other, answer])))


def _answers(trials: Trials, options: ChoiceOptions) -> tuple[NDArray[np.bool_], str]:
    """Return whether each response is the answer counted; a third response is a fault."""
    responses = trials.values("response")
    lowered = {value.lower() for value in responses}
    pair = next((p for p in PAIRS if set(p) & lowered and (set(p) <= lowered or lowered <= set(p))), ())
    if options.answer and options.answer.lower() not in pair:
        pair = ()
    answer = options.answer or (pair[0] if pair else None)
    if options.answers is not None:
        answer, pair = options.answers.high, (options.answers.high.lower(), options.answers.low.lower())
    if answer is None:
        has = listed(responses)
        message = f"Which response is counted is not known: {trials.source.name} has {has}. Name it: option answer."
        raise ValueError(message)
    # the other answer is the pair's, or else the most frequent one: whatever occurs beside these is a fault
    count = trials.frame["response"].value_counts()
    others = sorted((v for v in responses if v.lower() != answer.lower()), key=lambda value: -int(count[value]))
    two = set(pair) or {answer.lower(), *(value.lower() for value in others[:1])}
    codes = trials.codes("response", responses)
    strange = np.array([value.lower() not in two for value in responses], dtype=bool)
    clause = f"is neither of the two, {' and '.join(sorted(two))}"
    trials.fault(strange[codes] & (codes >= 0), "response", lambda row: f"{responses[codes[row]]!r} {clause}")
    trials.no_trial_twice()
    is_answer = np.array([value.lower() == answer.lower() for value in responses], dtype=bool)
    return is_answer[codes] & (codes >= 0), answer


def _proportions(
    trials: Trials, who: _Codes, what: _Codes, shape: tuple[int, int]
) -> tuple[NDArray[np.int64], Floats]:
    """Return n and k of a table of proportions; n is 1 where it is not known."""
    p = trials.frame["p"].to_numpy(float)
    trials.fault((p < 0) | (p > 1), "p", lambda row: f"{p[row]:g} is no proportion between 0 and 1")
    trials.once(("participant", "stimulus"), "stimulus", "the proportion of {} occurs again")
    trials.settle()
    each = trials.frame["n"].to_numpy(float) if trials.has("n") else np.ones(len(p))
    n, k = np.zeros(shape, np.int64), np.zeros(shape)
    n[who, what] = each.astype(np.int64)
    k[who, what] = p * each
    return n, k


def _clipped(k: Floats, n: NDArray[np.int64], options: ChoiceOptions, *, known: bool) -> Floats:
    if not known:
        return np.clip(share(k, n), *options.bounds)
    if options.clip == "loglinear":
        return np.where(n > 0, (k + 0.5) / (n + 1), np.nan)
    least = share(np.ones_like(k), 2.0 * n)
    return np.clip(share(k, n), least, 1 - least)


def _curves(trials: Trials, what: _Codes, k: Floats, n: NDArray[np.int64]) -> Floats:
    """Return each participant's fitted P at the level of each stimulus; NaN for stimuli never shown to them."""
    shown_at = trials.frame["level"].to_numpy(float)
    level = np.full(n.shape[1], np.nan)
    level[what] = shown_at
    differs = ~np.isclose(level[what], shown_at)
    trials.fault(differs, "level", lambda row: f"{shown_at[row]:g} is not the level on other lines")
    trials.settle()
    fitted = np.full(n.shape, np.nan)
    for person in range(len(n)):
        shown = n[person] > 0
        fitted[person, shown] = fit_logistic(level[shown], k[person, shown], n[person, shown])
    return fitted


def fit_logistic(level: Floats, k: Floats, n: NDArray[np.int64]) -> Floats:
    """Return the logistic curve P(answer | level) fitted to counts, at the same levels.

    Half a response of each sort is added to every level (as in the log-linear rule), so that the slope stays
    finite where the answers change at once.
    """
    weights, p = n + 1.0, (k + 0.5) / (n + 1.0)
    design = np.stack([np.ones_like(level), (level - level.mean()) / (level.std() or 1.0)], axis=1)
    beta = np.zeros(2)
    for _ in range(100):
        # a Newton step of the log likelihood, no longer than 4, so that a steep curve is not overshot
        now = expit(design @ beta)
        slope = design.T * (weights * now * (1 - now))
        step = np.linalg.solve(slope @ design + 1e-9 * np.eye(2), design.T @ (weights * (p - now)))
        beta += np.clip(step, -4, 4)
        if np.abs(step).max() < 1e-10:
            break
    return np.asarray(expit(design @ beta))


MEAN_RATING = "mean rating"  # what stands where participants do: it is none
_HALVES = 100


class FeatureOptions(Settings):
    """How profiles of ratings become dissimilarities.

    Parameters
    ----------
    scales : tuple of str
        The columns that are rated; if not given, all but the participant's, the stimulus' and those that select rows.
    distance : str
        ``euclidean``; ``mahalanobis``, by the participant's own covariance of the scales over stimuli (its
        pseudo-inverse, where scales never vary); or ``correlation``, 1 - r over scales.
    scale : tuple of float, optional
        The lowest and highest rating there can be; any other is a fault.
    """

    scales: tuple[str, ...] = ()
    distance: Literal["euclidean", "mahalanobis", "correlation"] = "euclidean"
    scale: tuple[float, float] | None = None


def feature_columns(options: FeatureOptions, source: Source) -> tuple[Column, ...]:
    """Return what a file of feature ratings must hold."""
    scales = (Column(name, number=True, empty=True) for name in options.scales or other_columns(source))
    stimulus = Column("stimulus", stimulus=True)
    return (stimulus, *scales) if source.layout.participants == NOBODY else (Column("participant"), stimulus, *scales)


def judge_features(trials: Trials, options: FeatureOptions) -> Judgements:
    """Return how far apart each participant's profiles of ratings are.

    A profile with a missing rating is comparable with no other: its pairs are NaN, and missing ratings counted.
    """
    scales = [name for name in trials.columns if name not in ("participant", "stimulus")]
    if not scales:
        message = f"{trials.source.name} has no ratings, only ids. Add a column for each scale."
        raise ValueError(message)
    for name in scales if options.scale else ():
        trials.within(name, *options.scale)  # type: ignore[misc] # there is one
    if trials.source.layout.participants == NOBODY:
        return _judge_mean_ratings(trials, options, scales)
    (people, who), ids = trials.people(), trials.stimuli("stimulus")
    again = "{} is rated again by the same participant (several sessions? name their column: layout columns.session)"
    trials.once(("participant", "stimulus"), "stimulus", again)
    trials.settle()
    must_fit(len(people), len(ids), trials.source.name, features=len(scales))
    ratings = trials.frame[scales].to_numpy(float)
    place = who * len(ids) + trials.codes("stimulus", ids)
    times = np.bincount(place, minlength=len(people) * len(ids))
    total = [np.bincount(place, weights=column, minlength=len(times)) for column in ratings.T]  # over sessions
    rated = share(np.stack(total, axis=-1), times[:, None]).reshape(len(people), len(ids), len(scales))
    distances = np.array([_distances(profile, options.distance) for profile in rated])
    attrs = {
        "distance": options.distance,
        "scales": scales,
        "missing_ratings": int(np.isnan(ratings).sum()),
        "response_bias": "mean over all ratings",
    }
    return Judgements(
        people,
        ids,
        distances,
        (~np.isnan(distances)).astype(np.int32),
        np.bincount(who, minlength=len(people)),
        share(np.nansum(rated, axis=(1, 2)), (~np.isnan(rated)).sum(axis=(1, 2))),
        attrs,
        simulated=trials.simulated,
    )


def _judge_mean_ratings(trials: Trials, options: FeatureOptions, scales: list[str]) -> Judgements:
    """Return how far apart the means of stimuli's ratings are, where nobody knows whose each rating is.

    How people differ cannot be known then; how far the means are to be trusted can, from random halves of each
    stimulus' ratings: `ceiling_of_ratings` makes the noise ceiling of it.
    """
    trials.settle()
    gaps = trials.frame[scales].isna().any(axis=1).to_numpy()
    trials = trials.leave_out(gaps, "a rating is missing")
    ids = trials.stimuli("stimulus")
    what, rated = trials.codes("stimulus", ids), trials.frame[scales].to_numpy(float)
    # sorted, so that halves are the same in whatever order the rows stand
    order = np.lexsort([*rated.T, what])
    what, rated = what[order], rated[order]
    counts = np.bincount(what, minlength=len(ids))
    few = [name for name, count in zip(ids, counts, strict=True) if count < 2]
    if few:
        message = f"Fewer than 2 ratings of {listed(few)}: how far a mean is to be trusted shows in halves alone."
        raise ValueError(message)
    must_fit(1, len(ids), trials.source.name, features=len(scales))
    i, j = np.triu_indices(len(ids), 1)
    attrs = {
        UNSIGNED: True,
        "ratings": [int(counts.min()), int(counts.max())],
        "split_half": _split_halves(what, rated, counts, options.distance),
        "halves": _HALVES,
        "distance": options.distance,
        "scales": list(scales),
        "response_bias": "mean over all ratings",
    }
    return Judgements(
        [MEAN_RATING],
        ids,
        _distances(_means(what, rated, counts), options.distance)[None],
        np.minimum(counts[i], counts[j])[None].astype(np.int32),
        np.array([len(what)]),
        np.array([rated.mean()]),
        attrs,
        simulated=trials.simulated,
    )


def _means(what: NDArray[np.int64], rated: Floats, counts: NDArray[np.int64]) -> Floats:
    sums = np.stack([np.bincount(what, weights=column, minlength=len(counts)) for column in rated.T], axis=1)
    return np.asarray(sums / counts[:, None])


def _split_halves(what: NDArray[np.int64], rated: Floats, counts: NDArray[np.int64], how: str) -> dict[str, float]:
    """Return, for each comparison that has a reliability, how alike the RDMs of two halves of ratings are."""
    rng, half = rng_from(0, "halves"), counts // 2
    place = np.arange(len(what)) - (np.cumsum(counts) - counts)[what]  # within the ratings of its stimulus
    parts = place < half[what], (place >= half[what]) & (place < 2 * half[what])
    comparisons = [name for name, row in COMPARISONS.items() if row.is_plain and row.zero_is_none]
    total = dict.fromkeys(comparisons, 0.0)
    for _ in range(_HALVES):
        mixed = rated[np.lexsort([rng.random(len(what)), what])]
        one, other = (_distances(_means(what[part], mixed[part], half), how)[None] for part in parts)
        for name in comparisons:
            total[name] += float(compare_vectors(name, one, other)[0, 0]) / _HALVES
    return total


def _distances(profile: Floats, how: str) -> Floats:
    """Return the upper triangle of distances between the rows of one participant's ratings."""
    i, j = np.triu_indices(len(profile), 1)
    if how != "mahalanobis":
        return _between(profile[i], profile[j], how)
    differences = profile[i] - profile[j]
    complete = profile[~np.isnan(profile).any(axis=1)]
    # scales that never vary, or vary together, make the covariance singular: its pseudo-inverse leaves them out
    precision = np.linalg.pinv(np.atleast_2d(np.cov(complete, rowvar=False)))
    squared = np.einsum("pa,ab,pb->p", differences, precision, differences)
    return np.asarray(np.sqrt(np.maximum(squared, 0.0)))


_WHO = "who judged; any text, the same on all of one person's lines"
_TRIAL = "optional: a number of the trial, once for each participant; a repeated number is a fault"

KINDS: dict[str, HumanKind] = {
    "rdm": HumanKind(
        about="RDMs that exist already: one square for each participant. "
        "Also .npz, .npy, .mat, rsatoolbox .h5, netCDF.",
        example={
            "participant": f"{_WHO}; leave the column out for a single RDM",
            "stimulus": "the row's stimulus id",
            "face_01": "dissimilarity of the row's stimulus and face_01: a column for each id, 0 on the diagonal",
            "face_02": "empty where a pair was never judged",
            "face_03": "lower and upper triangle must agree, or one of them be empty",
            "face_04": "and so on",
        },
        rows=("p01,face_01,0,0.4,0.9,0.8", "p01,face_02,0.4,0,0.7,0.5", "p01,face_03,0.9,0.7,0,0.2",
         "p01,face_04,0.8,0.5,0.2,0", "p02,face_01,0,0.3,0.8,0.9", "p02,face_02,0.3,0,,0.6",
         "p02,face_03,0.8,,0,0.1", "p02,face_04,0.9,0.6,0.1,0"),
        options=RdmOptions,
        files={"": read_rdms},
        retest=False,
    ),
    "rating": HumanKind(
        about="How different two stimuli are; the mean over repeats and both orders is the dissimilarity.",
        example={
            "participant": _WHO,
            "stimulus_a": "id of the first stimulus",
            "stimulus_b": "id of the second stimulus",
            "rating": "a number; say what is high with option direction, and the ends with option scale",
            "trial": _TRIAL,
        },
        rows=("p01,face_01,face_02,2,1", "p01,face_03,face_01,6,2", "p01,face_02,face_03,5,3",
         "p01,face_02,face_01,3,4", "p02,face_01,face_02,1,1", "p02,face_01,face_03,7,2", "p02,face_03,face_02,4,3"),
        options=RatingOptions,
        columns=(Column("participant"), *_PAIR, Column("rating", number=True, answer=True), _NUMBER),
        judge=judge_ratings,
    ),
    "triplet": HumanKind(
        about="Which of three is the odd one; dissimilarity is 1 - P(kept together | shown together).",
        example={
            "participant": _WHO,
            "stimulus_1": "id of the first of the three",
            "stimulus_2": "id of the second",
            "stimulus_3": "id of the third",
            "odd": "id of the odd one; 0-2 or 1-3 with options odd=index and base; no such column with odd=column",
            "trial": _TRIAL,
        },
        rows=("p01,face_01,face_02,face_03,face_03,1", "p01,face_02,face_03,face_04,face_02,2",
         "p01,face_01,face_03,face_04,face_01,3", "p02,face_01,face_02,face_03,face_03,1",
         "p02,face_01,face_02,face_04,face_04,2", "p02,face_02,face_03,face_04,face_02,3"),
        options=TripletOptions,
        columns=triplet_columns,
        judge=judge_triplets,
        table=triplet_table,
        forms={
            "things": Form(
                {"names": THREE, "separator": " ", "group": True},
                {"odd": "column", "odd_column": "stimulus_3"},
                numbered=True,
            )
        },
    ),
    "anchored": HumanKind(
        about="Which of two is nearer to a third, the anchor; dissimilarity of a pair with an anchor is "
        "1 - P(chosen | could be chosen).",
        example={
            "participant": _WHO,
            "anchor": "id of the stimulus that the two are compared with",
            "stimulus_a": "id of the first of the two",
            "stimulus_b": "id of the second",
            "nearer": "id of the nearer one; 0-1 or 1-2 with options nearer=index and base; left or right with "
            "nearer=word",
            "trial": _TRIAL,
        },
        rows=("p01,face_01,face_02,face_03,face_02,1", "p01,face_02,face_03,face_04,face_03,2",
         "p01,face_03,face_04,face_01,face_04,3", "p01,face_04,face_01,face_02,face_02,4",
         "p02,face_01,face_02,face_04,face_02,1", "p02,face_02,face_01,face_03,face_01,2",
         "p02,face_03,face_04,face_02,face_02,3", "p02,face_04,face_01,face_03,face_03,4"),
        options=AnchoredOptions,
        columns=anchored_columns,
        judge=judge_anchored,
        table=anchored_table,
        forms={
            "nights": Form(
                {"columns": {"anchor": "ref_path", "stimulus_a": "left_path", "stimulus_b": "right_path",
                             "nearer": "right_vote"}, "group": True},
                {"nearer": "index", "base": 0},
            ),
            "salmon": Form(
                {"columns": {"participant": "puid", "anchor": "head", "stimulus_a": "left", "stimulus_b": "right",
                             "nearer": "winner"}},
                numbered=True,
            ),
        },
    ),
    "ranking": HumanKind(
        about="Choices in the order of their likeness to a target; dissimilarity of a pair with a target is "
        "1 - P(nearer than another choice).",
        example={
            "participant": _WHO,
            "target": "id of the stimulus that the choices are compared with",
            "choice_1": "id of the most similar choice; with option form=ranks of any, and rank_1 holds its rank",
            "choice_2": "id of the next; with option ordered=1 only the first was chosen, the others are in no order",
            "choice_3": "and so on, as many as there are; empty where a trial had fewer",
            "trial": _TRIAL,
        },
        rows=("p01,face_01,face_02,face_03,face_04,1", "p01,face_02,face_01,face_04,face_03,2",
         "p01,face_03,face_04,face_02,face_01,3", "p01,face_04,face_03,face_02,,4",
         "p02,face_01,face_02,face_04,face_03,1", "p02,face_02,face_01,face_03,face_04,2",
         "p02,face_03,face_02,face_04,face_01,3", "p02,face_04,face_02,face_01,,4"),
        options=RankingOptions,
        columns=ranking_columns,
        judge=judge_rankings,
        table=ranking_table,
    ),
    "pairs": HumanKind(
        about="How different the two of each pair are, where no stimulus stands in two pairs: pairs are drawn.",
        example={
            "participant": _WHO,
            "stimulus_a": "id of the first stimulus of the pair; a stimulus stands in one pair alone",
            "stimulus_b": "id of the second stimulus",
            "rating": "a number; say what is high with option direction; 1 and 0 for different and same",
            "trial": _TRIAL,
        },
        rows=("p01,face_01,face_02,2,1", "p01,face_03,face_04,6,2", "p01,face_05,face_06,4,3",
         "p01,face_07,face_08,5,4", "p02,face_01,face_02,1,1", "p02,face_03,face_04,7,2", "p02,face_05,face_06,3,3",
         "p02,face_07,face_08,5,4"),
        options=RatingOptions,
        columns=(Column("participant"), *_PAIR, Column("rating", number=True, answer=True), _NUMBER),
        judge=judge_pairs,
    ),
    "arrangement": HumanKind(
        about="Where stimuli were put on the screen, in many trials; also Meadows' .mat and .json files.",
        example={
            "participant": _WHO,
            "trial": "the trial; all stimuli of one trial share it",
            "stimulus": "the id of one stimulus of the trial",
            "x": "where it was put, across; any unit, and option arena says how large the arena is in it",
            "y": "where it was put, upwards or downwards, in the same unit",
        },
        rows=("p01,1,face_01,0.1,0.2", "p01,1,face_02,0.2,0.2", "p01,1,face_03,0.9,0.7", "p01,2,face_01,0.1,0.1",
         "p01,2,face_02,0.8,0.9", "p02,1,face_01,0.3,0.1", "p02,1,face_02,0.5,0.1", "p02,1,face_03,0.6,0.9"),
        options=ArrangementOptions,
        columns=ARRANGEMENT_COLUMNS,
        judge=judge_arrangements,
        files={".mat": read_meadows, ".json": read_meadows},
    ),
    "confusion": HumanKind(
        about="Which name was given to which stimulus; stimuli are apart as responses are. "
        "Counts: option form=counts.",
        example={
            "participant": _WHO,
            "stimulus": "id of the stimulus shown",
            "response": "the name it was given: a category, or another stimulus' id",
            "trial": _TRIAL,
        },
        rows=("p01,face_01,happy,1", "p01,face_02,happy,2", "p01,face_02,sad,3", "p01,face_03,sad,4",
         "p02,face_01,happy,1", "p02,face_02,sad,2", "p02,face_03,sad,3", "p02,face_01,sad,4"),
        options=ConfusionOptions,
        columns=confusion_columns,
        judge=judge_confusions,
    ),
    "samediff": HumanKind(
        about="Same or different; dissimilarity is P(different), "
        "or d' where stimuli were also shown with themselves.",
        example={
            "participant": _WHO,
            "stimulus_a": "id of the first stimulus",
            "stimulus_b": "id of the second; the same id for a same trial",
            "response": "same or different; other words with options same and different",
            "rt": "optional: the response time; read, not used",
            "trial": _TRIAL,
        },
        rows=("p01,face_01,face_02,different,0.61,1", "p01,face_01,face_03,different,0.55,2",
         "p01,face_02,face_03,same,0.90,3", "p01,face_01,face_01,same,0.52,4", "p02,face_01,face_02,same,0.71,1",
         "p02,face_01,face_03,different,0.48,2", "p02,face_02,face_03,different,,3"),
        options=SameDiffOptions,
        columns=(Column("participant"), *_PAIR, Column("response", answer=True),
                 Column("rt", number=True, required=False, empty=True), _NUMBER),
        judge=judge_same_different,
        table=same_different_table,
    ),
    "choice": HumanKind(
        about="Two-choice trials such as happy or sad; stimuli are apart as their probabilities of one answer are.",
        example={
            "participant": _WHO,
            "stimulus": "id of the stimulus shown",
            "response": "one of two answers; the first of happy/sad, yes/no, 1/0 is counted, or option answer",
            "level": "optional: place on the morph, -1 sad to +1 happy; needed for option distance=curve",
            "occlusion": "optional: what was masked; layout by=occlusion gives one RDM for each value",
            "trial": _TRIAL,
        },
        rows=("p01,face_01,sad,-1,none,1", "p01,face_02,sad,0,none,2", "p01,face_02,happy,0,none,3",
         "p01,face_03,happy,1,none,4", "p02,face_01,sad,-1,none,1", "p02,face_02,happy,0,none,2",
         "p02,face_03,happy,1,none,3", "p02,face_03,happy,1,none,4"),
        options=ChoiceOptions,
        columns=choice_columns,
        judge=judge_choices,
        table=choice_table,
    ),
    "features": HumanKind(
        about="Each stimulus rated on several scales; stimuli are apart as their profiles of ratings are. "
        "Ratings that nobody signed: layout participants=none.",
        example={
            "participant": _WHO,
            "stimulus": "id of the stimulus rated, once for each participant",
            "happy": "a rating; every further column is a scale unless option scales names them",
            "sad": "a rating; empty where it is missing: its pairs are then left out, and counted",
        },
        rows=("p01,face_01,4,0", "p01,face_02,2,1", "p01,face_03,0,4",
         "p02,face_01,3,0", "p02,face_02,2,2", "p02,face_03,1,3"),
        options=FeatureOptions,
        columns=feature_columns,
        judge=judge_features,
        retest=False,
        unsigned=True,
    ),
}  # fmt: skip


def template_of(kind: str) -> str:
    """Return the text of an example file: a comment for each column, a header and a few made-up lines."""
    must_be_known(kind, KINDS, "kind of human data")
    row = KINDS[kind]
    lines = [f"# {row.about}", "# The lines below are made up; replace them with your own.", "# simulated: true"]
    lines += [f"# {name}: {what}" for name, what in row.example.items()]
    return "\n".join([*lines, ",".join(row.example), *row.rows]) + "\n"
