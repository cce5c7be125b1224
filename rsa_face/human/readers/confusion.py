"""Which name people give to which stimulus: two stimuli are alike as far as they are answered alike."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rsa_face.human.faults import listed
from rsa_face.human.judgements import Floats, Judgements, must_fit, share
from rsa_face.human.layout import Source
from rsa_face.human.reading import other_columns, renaming
from rsa_face.human.trials import GROUP, Column, Trials, naturally


class ConfusionOptions(BaseModel):
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
        The responses there can be; any other is a fault. As found if not given.

    References
    ----------
    .. [1] Shepard, R. N. (1957). Stimulus and response generalization: A stochastic model relating generalization
       to distance in psychological space. 10.1007/BF02288967
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Literal["trials", "counts"] = "trials"
    distance: Literal["euclidean", "hellinger", "correlation", "confusability"] = "euclidean"
    responses: tuple[str, ...] = ()


def confusion_columns(options: ConfusionOptions, source: Source) -> tuple[Column, ...]:
    """Return what a file of confusions must hold.

    Parameters
    ----------
    options : ConfusionOptions
        Its form.
    source : Source
        Its header names the responses of a table of counts.

    Returns
    -------
    tuple of Column
        The columns; those of counts are called after their response.
    """
    first = (Column("participant"), Column("stimulus", stimulus=True))
    if options.form == "trials":
        as_stimuli = options.distance == "confusability"
        return (*first, Column("response", stimulus=as_stimuli), Column("trial", required=False))
    return (*first, *(Column(name, number=True) for name in options.responses or other_columns(source)))


def judge_confusions(trials: Trials, options: ConfusionOptions) -> Judgements:
    """Return how differently each participant answers each two stimuli.

    Parameters
    ----------
    trials : Trials
        Columns participant, stimulus, and response or a count for each response.
    options : ConfusionOptions
        Form and distance.

    Returns
    -------
    Judgements
        `coverage` is the lesser of the two stimuli's numbers of responses; the bias is the share of the response
        given most often.

    Raises
    ------
    ValueError
        If a response is unknown, a count is no whole number, or a stimulus is counted twice.
    """
    people, ids = trials.values("participant") or [GROUP], trials.stimuli("stimulus")
    if options.distance == "confusability" and options.form == "trials" and trials.source.stimuli is None:
        ids = trials.values("stimulus", "response")
    who, what = trials.codes("participant", people), trials.codes("stimulus", ids)
    if options.form == "counts":
        counts, names = _counted(trials, options, who, what, (len(people), len(ids)))
    else:
        counts, names = _tallied(trials, options, who, what, (len(people), len(ids)))
    given = counts.sum(axis=2)
    profiles = share(counts, given[:, :, None])
    i, j = np.triu_indices(len(ids), 1)
    distances = (
        _confusability(profiles, names, ids, trials)
        if options.distance == "confusability"
        else np.array([_between(profile[i], profile[j], options.distance) for profile in profiles])
    )
    each = given.sum(axis=1)
    attrs = {
        "distance": options.distance,
        "responses": names,
        "response_bias": f"share of the response given most often (even: {1 / len(names):.2f})",
    }
    bias = share(counts.sum(axis=1).max(axis=1), each)
    coverage = np.minimum(given[:, i], given[:, j]).astype(np.int32)
    if options.distance == "confusability":
        coverage = np.where(np.isnan(distances), 0, given[:, i] + given[:, j]).astype(np.int32)
    n_trials = each.astype(np.int64)
    return Judgements(people, ids, distances, coverage, n_trials, bias, attrs, simulated=trials.simulated)


def _tallied(
    trials: Trials,
    options: ConfusionOptions,
    who: NDArray[np.int64],
    what: NDArray[np.int64],
    shape: tuple[int, int],
) -> tuple[Floats, list[str]]:
    there = trials.values("response")
    names = list(options.responses) or there
    codes = trials.codes("response", names)
    response = trials.frame["response"]
    wrong = (codes < 0) & (response != "").to_numpy()
    said = f"is none of the responses {listed(names)}"
    trials.fault(wrong, "response", lambda row: f"{response.iloc[row]!r} {said}")
    trials.no_trial_twice()
    trials.settle()
    must_fit(*shape, trials.source.name, features=len(names))
    place = (who * shape[1] + what) * len(names) + codes
    counts = np.bincount(place, minlength=shape[0] * shape[1] * len(names))
    return counts.reshape(*shape, len(names)).astype(float), names


def _counted(
    trials: Trials,
    options: ConfusionOptions,
    who: NDArray[np.int64],
    what: NDArray[np.int64],
    shape: tuple[int, int],
) -> tuple[Floats, list[str]]:
    names = [name for name in trials.columns if name not in ("participant", "stimulus")]
    if not names:
        message = (
            f"A table of counts must have a column for each response, but {trials.source.name} has none. Name the "
            "responses (option responses), or read it as trials."
        )
        raise ValueError(message)
    for name in names:
        number = trials.frame[name].to_numpy(float)
        wrong = (number < 0) | (np.nan_to_num(number) % 1 != 0)
        trials.fault(wrong, name, lambda row, number=number: f"{number[row]:g} is no count")  # type: ignore[misc] # bound now
    again = trials.frame.duplicated(["participant", "stimulus"]).to_numpy()
    named = trials.frame["stimulus"]
    trials.fault(again, "stimulus", lambda row: f"{named.iloc[row]!r} is counted again for the same participant")
    trials.settle()
    must_fit(*shape, trials.source.name, features=len(names))
    counts = np.zeros((*shape, len(names)))
    counts[who, what] = trials.frame[names].to_numpy(float)
    renamed = renaming(trials.source) if options.distance == "confusability" else None
    return counts, [renamed.get(name, name) for name in names] if renamed else names


def _between(first: Floats, second: Floats, how: str) -> Floats:
    if how == "hellinger":
        return np.asarray(np.sqrt(((np.sqrt(first) - np.sqrt(second)) ** 2).sum(axis=1) / 2))
    if how == "correlation":
        first, second = (part - part.mean(axis=1, keepdims=True) for part in (first, second))
        norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
        return np.asarray(1 - share((first * second).sum(axis=1), norms))
    return np.asarray(np.sqrt(((first - second) ** 2).sum(axis=1)))


def _confusability(profiles: Floats, names: list[str], ids: list[str], trials: Trials) -> Floats:
    """Return 1 - the mean of how often each of two is taken for the other, over the directions that were asked."""
    unknown = naturally(set(names) - set(ids))
    if unknown:
        message = (
            f"Confusability needs responses that are stimuli themselves, but {trials.source.name} has the responses "
            f"{listed(unknown)}. Choose a distance between response profiles: euclidean."
        )
        raise ValueError(message)
    square = np.zeros((len(profiles), len(ids), len(ids)))
    square[np.isnan(profiles).any(axis=2)] = np.nan
    order = np.array([ids.index(name) for name in names])
    square[:, :, order] = np.where(np.isnan(profiles), np.nan, profiles)
    both = np.stack([square, np.swapaxes(square, 1, 2)])
    asked = (~np.isnan(both)).sum(axis=0)
    mean = share(np.nansum(both, axis=0), asked)
    i, j = np.triu_indices(len(ids), 1)
    return np.asarray(1 - mean[:, i, j])
