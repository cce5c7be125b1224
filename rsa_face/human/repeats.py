"""Repeats of the same trial, parted in two for a test and its retest."""

import numpy as np
import pandas as pd

from rsa_face.human.faults import raise_faults
from rsa_face.human.trials import Trials

PARTS = ("first", "second")
_SHOWN = ("stimulus", "stimulus_a", "stimulus_b", "stimulus_1", "stimulus_2", "stimulus_3")


def repeats_of(trials: Trials) -> pd.Series:
    """Return for each trial which part of a participant's repeats it belongs to.

    The first, third, fifth ... time that a participant was shown the same stimuli, in whichever order, goes to the
    first part, the others to the second. Whole arrangements alternate, in the order of their numbers.

    Parameters
    ----------
    trials : Trials
        Trials of any kind but tables of counts, proportions and features, which have one row for each stimulus.

    Returns
    -------
    Series of str, one for each trial
        ``first`` or ``second``.

    Raises
    ------
    ValueError
        If no trial repeats.
    """
    raise_faults(trials.faults, f"Each line of {trials.source.name} must be a trial of kind {trials.source.kind!r}")
    person = trials.codes("participant", trials.values("participant")) if trials.has("participant") else 0
    frame = pd.DataFrame({"person": np.broadcast_to(np.asarray(person), len(trials.frame))})
    if trials.has("x") and trials.has("trial"):
        number = trials.codes("trial", trials.values("trial"))
        time = pd.Series(number).groupby(frame["person"]).rank(method="dense").to_numpy() - 1
    else:
        shown = [name for name in _SHOWN if trials.has(name)]
        ids = trials.values(*shown)
        alike = np.sort(np.stack([trials.codes(name, ids) for name in shown]), axis=0)
        for place, codes in enumerate(alike):
            frame[f"shown_{place}"] = codes
        time = frame.groupby(list(frame.columns), sort=False).cumcount().to_numpy()
    second = np.asarray(time).astype(int) % 2 == 1
    if not second.any():
        message = f"Trials must repeat to be parted, but no participant of {trials.source.name} has one twice."
        raise ValueError(message)
    return pd.Series(np.where(second, *reversed(PARTS)))
