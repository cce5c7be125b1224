"""Same or different: two stimuli are apart as often as they are told apart."""

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict
from scipy.special import ndtri

from rsa_face.human.judgements import Judgements, pair_index, share, sum_by_pair
from rsa_face.human.layout import Source
from rsa_face.human.trials import GROUP, Column, Trials


class SameDiffOptions(BaseModel):
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

    model_config = ConfigDict(frozen=True, extra="forbid")

    distance: Literal["different", "dprime"] = "different"
    different: str = "different"
    same: str = "same"


def samediff_columns(options: SameDiffOptions, source: Source) -> tuple[Column, ...]:  # noqa: ARG001 - one form for all
    """Return what a file of same-different trials must hold.

    Parameters
    ----------
    options : SameDiffOptions
        Not used.
    source : Source
        Not used.

    Returns
    -------
    tuple of Column
        The columns.
    """
    return (
        Column("participant"),
        Column("stimulus_a", stimulus=True),
        Column("stimulus_b", stimulus=True),
        Column("response"),
        Column("rt", number=True, required=False, empty=True),
        Column("trial", required=False),
    )


def judge_same_different(trials: Trials, options: SameDiffOptions) -> Judgements:
    """Return how well each participant tells each pair apart.

    Parameters
    ----------
    trials : Trials
        Columns participant, stimulus_a, stimulus_b, response.
    options : SameDiffOptions
        The distance and the two responses.

    Returns
    -------
    Judgements
        The bias is the share of `different` over all trials, those of a stimulus with itself among them.

    Raises
    ------
    ValueError
        If a response is neither of the two, or d' is asked for of a participant without same trials.
    """
    people, ids = trials.values("participant") or [GROUP], trials.stimuli("stimulus_a", "stimulus_b")
    a, b = trials.codes("stimulus_a", ids), trials.codes("stimulus_b", ids)
    who, response = trials.codes("participant", people), trials.frame["response"]
    apart = (response == options.different).to_numpy()
    neither = ~apart & (response != options.same).to_numpy() & (response != "").to_numpy()
    said = f"is neither {options.different!r} nor {options.same!r}"
    trials.fault(neither, "response", lambda row: f"{response.iloc[row]!r} {said}")
    trials.no_trial_twice()
    trials.settle()
    same = a == b
    shape = (len(people), len(ids) * (len(ids) - 1) // 2)
    pair = pair_index(a[~same], b[~same], len(ids))
    n = sum_by_pair(who[~same], pair, shape)
    k = sum_by_pair(who[~same], pair, shape, apart[~same].astype(float))
    n_same = np.bincount(who[same], minlength=len(people))
    k_same = np.bincount(who[same], weights=apart[same].astype(float), minlength=len(people))
    distance = share(k, n)
    if options.distance == "dprime":
        without = [person for person, count in zip(people, n_same, strict=True) if count == 0]
        if without:
            message = f"d' needs trials of a stimulus with itself, but {without[:8]} have none. Use P(different)."
            raise ValueError(message)
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
