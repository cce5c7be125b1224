"""Two-choice trials, such as happy or sad on a morph: how differently two stimuli are answered."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.special import expit, ndtri

from rsa_face.human.faults import listed
from rsa_face.human.judgements import Floats, Judgements, share, sum_by_pair
from rsa_face.human.layout import Source
from rsa_face.human.trials import GROUP, Column, Trials

_PAIRS_OF_ANSWERS = (("happy", "sad"), ("yes", "no"), ("1", "0"), ("true", "false"))


class ChoiceOptions(BaseModel):
    """How two-choice trials become dissimilarities.

    Parameters
    ----------
    distance : str
        ``difference``: |P_i - P_j|. ``probit``: |z(P_i) - z(P_j)|, clipped by `clip`. ``curve``: the
        difference of a logistic curve of `level`, fitted to each participant.
    answer : str, optional
        The response whose probability P is; the first of happy/sad, yes/no, 1/0, true/false if not given.
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    distance: Literal["difference", "probit", "curve"] = "difference"
    answer: str | None = None
    clip: Literal["loglinear", "extreme"] = "loglinear"
    bounds: tuple[float, float] = (0.01, 0.99)


def choice_columns(options: ChoiceOptions, source: Source) -> tuple[Column, ...]:
    """Return what a file of choices must hold: trials (`response`), or proportions (`p`, and `n` if known).

    Parameters
    ----------
    options : ChoiceOptions
        The distance; a curve needs `level`.
    source : Source
        Its layout tells a table of proportions.

    Returns
    -------
    tuple of Column
        The columns.
    """
    proportions = "p" in (source.layout.names or ()) or "p" in source.layout.columns
    curve = options.distance == "curve"
    return (
        Column("participant", required=not proportions),
        Column("stimulus", stimulus=True, required=not proportions),
        Column("response", required=not proportions),
        Column("p", number=True, required=proportions),
        Column("n", number=True, required=False),
        Column("level", number=True, required=curve),
        Column("trial", required=False),
    )


def judge_choices(trials: Trials, options: ChoiceOptions) -> Judgements:
    """Return how differently each participant answers each two stimuli.

    Parameters
    ----------
    trials : Trials
        Columns participant, stimulus, response; or participant, stimulus, p.
    options : ChoiceOptions
        The distance.

    Returns
    -------
    Judgements
        `coverage` is the lesser of the two stimuli's numbers of trials; the bias is the share of `answer`.

    Raises
    ------
    ValueError
        If a response is neither of two, a trial occurs twice, or a proportion is beyond 0 and 1.
    """
    people = trials.values("participant") if trials.has("participant") else [GROUP]
    if not trials.has("stimulus"):
        message = f"Each row must say its stimulus, but {trials.source.name} names none. Name the rows with ids."
        raise ValueError(message)
    ids = trials.stimuli("stimulus")
    who = trials.codes("participant", people) if trials.has("participant") else np.zeros(len(trials.frame), np.int64)
    what = trials.codes("stimulus", ids)
    shape = (len(people), len(ids))
    attrs: dict[str, object] = {"distance": options.distance}
    if trials.has("response"):
        said, answer = _answers(trials, options)
        trials.settle()
        n = sum_by_pair(who, what, shape)
        k = sum_by_pair(who, what, shape, said.astype(float))
        attrs["answer"] = answer
    else:
        n, k = _proportions(trials, who, what, shape)
    bias = share(k.sum(axis=1), n.sum(axis=1))
    p = share(k, n)
    if options.distance == "probit":
        attrs["clip"] = options.clip if trials.has("response") or trials.has("n") else list(options.bounds)
        p = ndtri(_clipped(k, n, options, known=trials.has("response") or trials.has("n")))
    if options.distance == "curve":
        p = _curves(trials, what, k, n)
    i, j = np.triu_indices(len(ids), 1)
    attrs["response_bias"] = f"share of {attrs.get('answer', 'the answer counted')!r}"
    return Judgements(
        people,
        ids,
        np.abs(p[:, i] - p[:, j]),
        np.minimum(n[:, i], n[:, j]),
        n.sum(axis=1),
        bias=bias,
        attrs=attrs,
        simulated=trials.simulated,
    )


def _answers(trials: Trials, options: ChoiceOptions) -> tuple[NDArray[np.bool_], str]:
    """Return whether each response is the answer counted; a third response is a fault."""
    there = trials.values("response")
    lowered = {value.lower() for value in there}
    wanted = {options.answer.lower()} if options.answer else set()
    pair = next((p for p in _PAIRS_OF_ANSWERS if set(p) & lowered and (set(p) <= lowered or lowered <= set(p))), ())
    if not wanted <= set(pair):
        pair = ()
    answer = options.answer or (pair[0] if pair else None)
    if answer is None:
        message = (
            f"Responses must be two, and it must be known which is counted, but {trials.source.name} has "
            f"{listed(there)}. Name the one that is counted: option answer."
        )
        raise ValueError(message)
    count = trials.frame["response"].value_counts()
    others = sorted((v for v in there if v.lower() != answer.lower()), key=lambda value: -int(count[value]))
    two = set(pair) or {answer.lower(), *(value.lower() for value in others[:1])}
    strange = np.array([value.lower() not in two for value in there], dtype=bool)
    codes = trials.codes("response", there)
    wrong = strange[codes] & (codes >= 0)
    trials.fault(
        wrong, "response", lambda row: f"{there[codes[row]]!r} is neither of the two, {' and '.join(sorted(two))}"
    )
    lower = np.array([value.lower() == answer.lower() for value in there], dtype=bool)
    trials.no_trial_twice()
    return lower[codes] & (codes >= 0), answer


def _proportions(
    trials: Trials, who: NDArray[np.int64], what: NDArray[np.int64], shape: tuple[int, int]
) -> tuple[NDArray[np.int64], Floats]:
    p = trials.frame["p"].to_numpy(float)
    trials.fault((p < 0) | (p > 1), "p", lambda row: f"{p[row]:g} is no proportion between 0 and 1")
    again = trials.frame.duplicated([c for c in ("participant", "stimulus") if trials.has(c)]).to_numpy()
    trials.fault(
        again, "stimulus", lambda row: f"the proportion of {trials.frame['stimulus'].iloc[row]!r} occurs again"
    )
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


def _curves(trials: Trials, what: NDArray[np.int64], k: Floats, n: NDArray[np.int64]) -> Floats:
    """Return each participant's fitted P at the level of each stimulus; NaN for stimuli never shown to them."""
    level = np.full(n.shape[1], np.nan)
    level[what] = trials.frame["level"].to_numpy(float)
    differs = ~np.isclose(level[what], trials.frame["level"].to_numpy(float))
    trials.fault(differs, "level", lambda row: f"{trials.frame['level'].iloc[row]:g} is not the level on other lines")
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

    Parameters
    ----------
    level : array, shape (stimulus,)
        Position on the morph.
    k, n : array, shape (stimulus,)
        Answers counted, and trials.

    Returns
    -------
    array, shape (stimulus,)
        Fitted probabilities.
    """
    weights, p = n + 1.0, (k + 0.5) / (n + 1.0)
    spread = level.std() or 1.0
    design = np.stack([np.ones_like(level), (level - level.mean()) / spread], axis=1)
    beta = np.zeros(2)
    for _ in range(100):
        now = expit(design @ beta)
        slope = design.T * (weights * now * (1 - now))
        step = np.linalg.solve(slope @ design + 1e-9 * np.eye(2), design.T @ (weights * (p - now)))
        beta += np.clip(step, -4, 4)
        if np.abs(step).max() < 1e-10:
            break
    return np.asarray(expit(design @ beta))
