"""Error consistency: whether a network errs on the same faces as a person does, beyond what both accuracies give."""

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float

from rsa_face.psychophysics.choices import check_choices
from rsa_face.psychophysics.scales import MIDDLES, scale_of

Array = np.ndarray


def error_consistency(first: pd.DataFrame, second: pd.DataFrame, *, middle: float | None = None) -> xr.DataArray:
    """Compare the errors of each observer of one table with those of each of another, face by face.

    A face is answered rightly if happy on the happy side of the morph's middle and sad on the sad side; faces at
    the middle have no right answer and are left out. An observer who saw a face several times counts with the
    share of right answers; a probability counts as the answer it favours.

    Parameters
    ----------
    first, second : DataFrame
        Tables of choices with `stimulus` (see `check_choices`). Not changed.
    middle : float, optional
        The level without a right answer; 0 for signed levels and .5 for morph positions unless given.

    Returns
    -------
    DataArray, dims (observer of the first, observer of the second, occlusion)
        Cohen's kappa, at most 1; 0 is what independent errors give. NaN where two observers share no face, or
        both are always right or always wrong. ``attrs["left_out"]`` counts the faces at the middle.

    Raises
    ------
    ValueError
        If a table has no stimuli, the scales of the levels differ, or the scale has no known middle.

    References
    ----------
    Geirhos, Meding & Wichmann 2020, 10.48550/arXiv.2006.16736.
    """
    tables = [check_choices(first), check_choices(second)]
    if any("stimulus" not in table for table in tables):
        message = "Error consistency must match faces by id, but a table of choices has no column stimulus. Add it."
        raise ValueError(message)
    middle = _shared_middle(tables) if middle is None else middle
    occlusions = list(dict.fromkeys(tables[0]["occlusion"]))
    stimuli = sorted(set(tables[0]["stimulus"]) & set(tables[1]["stimulus"]))
    names = [("first", _observer(tables[0])), ("second", _observer(tables[1]))]
    same = names[0][1] == names[1][1]
    dims = [f"{column}_{place}" if same else column for place, column in names]
    observers = [list(dict.fromkeys(table[column])) for table, (_, column) in zip(tables, names, strict=True)]
    kappas = np.stack(
        [
            kappa_of_errors(*(_shares(table, occlusion, stimuli, middle) for table in tables))
            for occlusion in occlusions
        ],
        axis=-1,
    )
    at_middle = sum(table.loc[table["level"] == middle, "stimulus"].nunique() for table in tables[:1])
    return xr.DataArray(
        kappas,
        {dims[0]: observers[0], dims[1]: observers[1], "occlusion": occlusions},
        (*dims, "occlusion"),
        name="error_consistency",
        attrs={"left_out": int(at_middle), "middle": middle, "simulated": _simulated(tables)},
    )


def kappa_of_errors(
    first: Float[Array, "first stimulus"], second: Float[Array, "second stimulus"]
) -> Float[Array, "first second"]:
    """Return Cohen's kappa of being right, for each pair of observers over the stimuli both were shown.

    Parameters
    ----------
    first, second : ndarray, shape (observer, stimulus)
        Share of right answers to each stimulus, in 0-1; NaN where not shown.

    Returns
    -------
    ndarray, shape (first, second)
        ``(observed - expected) / (1 - expected)``; NaN where expected is 1 or nothing is shared.
    """
    there = [np.isfinite(part).astype(float) for part in (first, second)]
    right = [np.nan_to_num(part) for part in (first, second)]
    wrong = [shown - part for shown, part in zip(there, right, strict=True)]
    shared = there[0] @ there[1].T
    count = np.where(shared > 0, shared, np.nan)
    observed = (right[0] @ right[1].T + wrong[0] @ wrong[1].T) / count
    accuracy = right[0] @ there[1].T / count, there[0] @ right[1].T / count
    expected = accuracy[0] * accuracy[1] + (1 - accuracy[0]) * (1 - accuracy[1])
    room = np.where(expected < 1 - 1e-12, 1 - expected, np.nan)
    return np.asarray((observed - expected) / room)


def _shares(table: pd.DataFrame, occlusion: str, stimuli: list[str], middle: float) -> Array:
    observer = _observer(table)
    chosen = table[(table["occlusion"] == occlusion) & (table["level"] != middle) & table["stimulus"].isin(stimuli)]
    happy = chosen["happy"].to_numpy(dtype=float)
    happy = np.where(chosen["trials"].isna(), (happy > 0.5).astype(float), happy)
    right = np.where(chosen["level"] > middle, happy, 1 - happy)
    shares = chosen.assign(right=right).pivot_table(
        index=observer, columns="stimulus", values="right", aggfunc="mean"
    )
    return shares.reindex(index=list(dict.fromkeys(table[observer])), columns=stimuli).to_numpy(dtype=float)


def _shared_middle(tables: list[pd.DataFrame]) -> float:
    scales = [scale_of(table["level"].to_numpy(dtype=float)) for table in tables]
    if scales[0] != scales[1] or scales[0] not in MIDDLES:
        message = (
            f"Right answers must be told by the same scale of levels in both tables, but the scales are {scales}. "
            "Pass `middle`, or put both on the morph with `to_morph`."
        )
        raise ValueError(message)
    return MIDDLES[scales[0]]


def _observer(table: pd.DataFrame) -> str:
    return "participant" if "participant" in table else "network"


def _simulated(tables: list[pd.DataFrame]) -> bool:
    return any(bool(table.attrs.get("simulated", False)) for table in tables)
