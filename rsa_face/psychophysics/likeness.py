"""How human-like networks are: their choices against people's, and how choices, geometry and saliency rank them."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float
from scipy.stats import norm, permutation_test, rankdata

from rsa_face.provenance import rng_from
from rsa_face.psychophysics.choices import MIDDLES, check_choices, scale_of
from rsa_face.schema import BOUND, BOUNDS, DRAW, LAYER, NETWORK, PARTICIPANT, RDM, origin_of
from rsa_face.sources import reach

Array = np.ndarray
OCCLUSION, FAMILY = "occlusion", "family"
# What is compared, and where a network that chooses exactly as people do would stand.
MEASURES = {
    "delta_pse": 0.0,
    "slope_ratio": 1.0,
    "rmse": 0.0,
    "r2": 1.0,
    "pse_z": 0.0,
    "slope_z": 0.0,
    "pse_shift": None,
    "slope_change": None,
    "pse_shift_difference": 0.0,
    "slope_change_ratio": 1.0,
    "error_consistency": 1.0,
}
_LOGARITHMIC = ("slope_ratio", "slope_change", "slope_change_ratio")
_RANGES = {"rmse": (0.0, np.inf), "r2": (-np.inf, 1.0), "error_consistency": (-1.0, 1.0)}
_OF_CHOICES = ("rmse", "r2", "error_consistency")  # the others need a PSE


@dataclass(frozen=True, eq=False)
class Observers:
    """What is compared of some observers; NaN where there is no PSE, or a level was not shown."""

    pse: Float[Array, "observer occlusion"]
    log_slope: Float[Array, "observer occlusion"]
    chosen: Float[Array, "observer occlusion level"]  # P(happy)
    unmasked: int  # which occlusion is the whole face; -1 if none is


def compare_observers(
    human: Observers, machine: Observers, weights: Float[Array, "draw participant"], consistency: Array | None = None
) -> dict[str, Float[Array, "draw network occlusion"]]:
    """Compare networks with weighted people, for many weightings at once."""
    pse, pse_sd = _moments(human.pse, weights)
    slope, slope_sd = _moments(human.log_slope, weights)
    curve, _ = _moments(human.chosen, weights)
    away = machine.chosen[None] - curve[:, None]
    shared = np.isfinite(away)
    squares = np.where(shared, away**2, 0).sum(axis=-1)
    count = np.where(shared.any(axis=-1), shared.sum(axis=-1), np.nan)
    level_curve = np.where(shared, curve[:, None], np.nan)
    centre = np.where(shared, level_curve, 0).sum(axis=-1) / count
    spread = np.where(shared, (level_curve - centre[..., None]) ** 2, 0).sum(axis=-1)
    delta, ratio = machine.pse[None] - pse[:, None], machine.log_slope[None] - slope[:, None]
    measures = {
        "delta_pse": delta,
        "slope_ratio": np.exp(ratio),
        "rmse": np.sqrt(squares / count),
        "r2": 1 - squares / np.where(spread > 0, spread, np.nan),
        "pse_z": delta / pse_sd[:, None],
        "slope_z": ratio / slope_sd[:, None],
    }
    if human.unmasked >= 0:
        measures |= _shifts(human, machine, weights)
    if consistency is not None:
        mean, _ = _moments(np.moveaxis(consistency, 1, 0), weights)
        measures["error_consistency"] = mean
    return measures


def _shifts(human: Observers, machine: Observers, weights: Array) -> dict[str, Array]:
    place = [human.unmasked]
    by_pse = machine.pse - machine.pse[:, place], human.pse - human.pse[:, place]
    by_slope = machine.log_slope - machine.log_slope[:, place], human.log_slope - human.log_slope[:, place]
    human_pse, _ = _moments(by_pse[1], weights)
    human_slope, _ = _moments(by_slope[1], weights)
    all_draws = (len(weights), *machine.pse.shape)
    return {
        "pse_shift": np.broadcast_to(by_pse[0], all_draws),
        "slope_change": np.broadcast_to(np.exp(by_slope[0]), all_draws),
        "pse_shift_difference": by_pse[0][None] - human_pse[:, None],
        "slope_change_ratio": np.exp(by_slope[0][None] - human_slope[:, None]),
    }


def _moments(values: Array, weights: Array) -> tuple[Array, Array]:
    """Return weighted means and standard deviations over the first axis, leaving out what is missing."""
    flat = values.reshape(len(values), -1)
    finite = np.isfinite(flat)
    total = weights @ finite
    total = np.where(total > 0, total, np.nan)
    mean = weights @ np.nan_to_num(flat) / total
    # centred first: the difference of two large squares would lose the small variance
    centred = np.where(finite, flat - np.nanmean(np.where(finite.any(axis=0), flat, 0), axis=0), 0)
    variance = weights @ centred**2 / total - (weights @ centred / total) ** 2
    spread = np.sqrt(np.maximum(variance, 0) * total / np.maximum(total - 1, 1))
    spread = np.where(spread > 0, spread, np.nan)
    return mean.reshape(-1, *values.shape[1:]), spread.reshape(-1, *values.shape[1:])


def error_consistency(
    first: pd.DataFrame,
    second: pd.DataFrame,
    *,
    middle: float | None = None,
    draws: int = 1000,
    confidence: float = 0.95,
    half_width: float = 0.1,
    seed: int = 0,
) -> xr.DataArray:
    """Compare the errors of each observer of one table with those of each of another, face by face.

    A face is answered rightly if happy on the happy side of the morph's middle and sad on the sad side (or whichever
    the high and the low answer are); faces at
    the middle have no right answer and are left out. An observer who saw a face several times counts with the
    share of right answers; a probability counts as the answer it favours.

    Coordinates beside kappa say how sure it is, since kappas of few trials scatter widely: `trials`, the faces that
    both were shown; `interval_lower` and `interval_upper`, the percentile interval over faces drawn with replacement;
    `standard_error`; and `trials_needed`, how many faces would make an interval reach `half_width` to either side.
    They are about other faces, for these two observers. NaN where an observer made no errors, or nothing else.

    References
    ----------
    Geirhos, Meding & Wichmann 2020, 10.48550/arXiv.2006.16736; intervals: Klein et al. 2025,
    10.48550/arXiv.2507.06645.

    Examples
    --------
    >>> faces = {"stimulus": ["a", "b", "c", "d"], "level": [-1, -0.5, 0.5, 1]}
    >>> people = pd.DataFrame({"participant": "p", **faces, "response": ["sad", "happy", "happy", "happy"]})
    >>> networks = pd.DataFrame({"network": "n", **faces, "p_happy": [0.1, 0.7, 0.2, 0.9]})
    >>> round(error_consistency(networks, people).item(), 3)
    0.5
    """
    tables = [check_choices(first), check_choices(second)]
    if not (0 < confidence < 1 and half_width > 0 and draws >= 20):
        message = f"confidence={confidence}, half_width={half_width}, draws={draws}. Give 0.95, 0.1 and 20 or more."
        raise ValueError(message)
    if any("stimulus" not in table for table in tables):
        message = "No column stimulus in a table of choices, and faces are matched by id. Add it."
        raise ValueError(message)
    middle = _shared_middle(tables) if middle is None else middle
    occlusions = list(dict.fromkeys(tables[0]["occlusion"]))
    stimuli = sorted(set(tables[0]["stimulus"]) & set(tables[1]["stimulus"]))
    names = [("first", _observer(tables[0])), ("second", _observer(tables[1]))]
    same = names[0][1] == names[1][1]
    dims = [f"{column}_{place}" if same else column for place, column in names]
    observers = [list(dict.fromkeys(table[column])) for table, (_, column) in zip(tables, names, strict=True)]
    kappas, coords = [], []
    for occlusion in occlusions:
        shares = [_shares(table, occlusion, stimuli, middle) for table in tables]
        kappas.append(kappa_of_errors(shares[0], shares[1]))
        rng = rng_from(seed, "error consistency", occlusion)
        coords.append(_over_trials(shares[0], shares[1], draws, confidence, half_width, rng))
    at_middle = tables[0].loc[tables[0]["level"] == middle, "stimulus"].nunique()
    simulated = any(table.attrs["simulated"] for table in tables)
    return xr.DataArray(
        np.stack(kappas, axis=-1),
        {dims[0]: observers[0], dims[1]: observers[1], "occlusion": occlusions}
        | {name: ((*dims, "occlusion"), np.stack([one[name] for one in coords], axis=-1)) for name in coords[0]},
        (*dims, "occlusion"),
        name="error_consistency",
        attrs={
            "left_out": int(at_middle),
            "middle": middle,
            "simulated": simulated,
            "confidence": confidence,
            "interval_kind": "percentile over faces",
            "half_width": half_width,
            "draws": draws,
            "seed": seed,
        },
    )


def _over_trials(
    first: Float[Array, "first stimulus"],
    second: Float[Array, "second stimulus"],
    draws: int,
    confidence: float,
    half_width: float,
    rng: np.random.Generator,
) -> dict[str, Float[Array, "first second"]]:
    """Return how far kappas stray over faces drawn with replacement, and how many faces would be needed."""
    count = first.shape[1]
    trials = np.isfinite(first).astype(float) @ np.isfinite(second).astype(float).T
    times = rng.multinomial(count, np.full(count, 1 / count), size=draws) if count else np.ones((draws, 0))
    drawn = np.stack([kappa_of_errors(first, second, row) for row in times])
    # a draw without errors has no kappa; where most have none, nor has the interval
    known = np.isfinite(drawn).mean(axis=0) > 0.5
    filled = np.where(known, drawn, 0.0)
    ends = np.nanquantile(filled, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    error = np.nanstd(filled, axis=0, ddof=1) * np.sqrt(trials / np.maximum(trials - 1, 1))
    needed = np.ceil(trials * (norm.isf((1 - confidence) / 2) * error / half_width) ** 2)
    values = {"interval_lower": ends[0], "interval_upper": ends[1], "standard_error": error, "trials_needed": needed}
    return {"trials": trials, **{name: np.where(known, value, np.nan) for name, value in values.items()}}


def trials_for_consistency(
    kappa: float, accuracy: tuple[float, float], *, half_width: float = 0.1, confidence: float = 0.95
) -> int:
    """Return how many trials an error consistency needs to be known within so much to either side, before any data.

    From the accuracies that are expected of the two observers: the variance of kappa is that of its linear terms
    (Fleiss, Cohen & Everitt 1969, 10.1037/h0028106). The nearer to 1 the accuracies, the more trials.

    Examples
    --------
    >>> trials_for_consistency(0.4, (0.8, 0.8)), trials_for_consistency(0.4, (0.95, 0.95))
    (489, 1581)
    """
    one, other = accuracy
    expected = one * other + (1 - one) * (1 - other)
    observed = kappa * (1 - expected) + expected
    both = (observed + one + other - 1) / 2
    joint = np.array([both, one - both, other - both, both + 1 - one - other])  # both right, first, second, neither
    if not (min(accuracy) > 0 and max(accuracy) < 1 and half_width > 0 and 0 < confidence < 1 and joint.min() >= 0):
        message = (
            f"kappa={kappa} cannot be, at accuracies {accuracy}, half_width={half_width}, confidence={confidence}. "
            "Give accuracies between 0 and 1, and a kappa that they allow."
        )
        raise ValueError(message)
    right = np.array([[1, 1, 0, 0], [1, 0, 1, 0]]) - np.array([[one], [other]])
    chance = (2 * other - 1) * right[0] + (2 * one - 1) * right[1]
    influence = (np.array([1, 0, 0, 1]) - observed - (1 - kappa) * chance) / (1 - expected)
    variance = float((joint * influence**2).sum())
    return int(np.ceil(variance * (norm.isf((1 - confidence) / 2) / half_width) ** 2))


def kappa_of_errors(
    first: Float[Array, "first stimulus"], second: Float[Array, "second stimulus"], times: Array | None = None
) -> Float[Array, "first second"]:
    """Return Cohen's kappa of being right, for each pair of observers over the stimuli both were shown.

    Each stimulus counts as often as `times` says.
    """
    shown = [np.isfinite(part).astype(float) for part in (first, second)]
    right = [np.nan_to_num(part) for part in (first, second)]
    if times is not None:
        shown[0], right[0] = shown[0] * times, right[0] * times
    wrong = [all_of - part for all_of, part in zip(shown, right, strict=True)]
    shared = shown[0] @ shown[1].T
    count = np.where(shared > 0, shared, np.nan)
    observed = (right[0] @ right[1].T + wrong[0] @ wrong[1].T) / count
    accuracy = right[0] @ shown[1].T / count, shown[0] @ right[1].T / count
    expected = accuracy[0] * accuracy[1] + (1 - accuracy[0]) * (1 - accuracy[1])
    room = np.where(expected < 1 - 1e-12, 1 - expected, np.nan)
    return np.asarray((observed - expected) / room)


def _shares(table: pd.DataFrame, occlusion: str, stimuli: list[str], middle: float) -> Array:
    observer = _observer(table)
    chosen = table[(table["occlusion"] == occlusion) & (table["level"] != middle) & table["stimulus"].isin(stimuli)]
    high = chosen["chosen"].to_numpy(dtype=float)
    high = np.where(chosen["trials"].isna(), (high > 0.5).astype(float), high)
    right = np.where(chosen["level"] > middle, high, 1 - high)
    shares = chosen.assign(right=right).pivot_table(
        index=observer, columns="stimulus", values="right", aggfunc="mean"
    )
    return shares.reindex(index=list(dict.fromkeys(table[observer])), columns=stimuli).to_numpy(dtype=float)


def _shared_middle(tables: list[pd.DataFrame]) -> float:
    scales = [scale_of(table["level"].to_numpy(dtype=float)) for table in tables]
    if scales[0] != scales[1] or scales[0] not in MIDDLES:
        message = (
            f"Right answers are not known: the levels of the two tables are {' and '.join(scales)}. Pass `middle`, "
            "or put both on the morph with `to_morph`."
        )
        raise ValueError(message)
    return MIDDLES[scales[0]]


def _observer(table: pd.DataFrame) -> str:
    return PARTICIPANT if PARTICIPANT in table else NETWORK


def human_likeness(
    people: xr.Dataset,
    networks: xr.Dataset,
    *,
    consistency: xr.DataArray | None = None,
    draws: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
    resamples: Mapping[str, Array] | None = None,
) -> xr.Dataset:
    """Compare the curves of networks with those of people, under each occlusion.

    Intervals are t by the standard error over participants, whom draws give, and for a family of networks (an
    architecture with its pre-training) over its seeds as well, each with its own degrees of freedom: a network
    answers as one observer, never as the forty people it is compared with. With one seed the interval is over
    participants alone; `n_seeds` says so. Draws are over participants alone.

    The curve is what was chosen, not what was fitted: ``rmse`` and ``r2`` stay right where a fit does not.

    Examples
    --------
    >>> from rsa_face.psychophysics.psychometric import fit_psychometric
    >>> levels, shares = [-1.0, -0.5, 0.0, 0.5, 1.0], [0.0, 0.1, 0.5, 0.9, 1.0]
    >>> people = [pd.DataFrame({"participant": f"p{n}", "level": levels, "p_happy": shares}) for n in range(3)]
    >>> network = pd.DataFrame({"network": "n", "level": levels, "p_happy": [0.0, 0.0, 0.1, 0.5, 0.9]})
    >>> likeness = human_likeness(fit_psychometric(pd.concat(people)), fit_psychometric(network), draws=10)
    >>> round(likeness["delta_pse"].item(), 1)
    0.5
    """
    _must_compare(people, networks)
    networks = networks.sel(
        occlusion=[value for value in networks["occlusion"].values if value in people["occlusion"]]
    )
    people = people.sel(occlusion=networks["occlusion"])
    levels = np.intersect1d(people["level"].values, networks["level"].values)
    human, machine = _observers(people, levels), _observers(networks, levels)
    matched = None if consistency is None else _matched(consistency, people, networks)
    weights = _weights(people[PARTICIPANT].values.astype(str), draws, seed, resamples)
    point = compare_observers(human, machine, np.ones((1, human.pse.shape[0])), matched)
    drawn = compare_observers(human, machine, weights, matched)
    family = networks["family"].values.astype(str)
    families = list(dict.fromkeys(family.tolist()))
    # how many participants each measure rests on, under each occlusion
    fitted, choosing = np.isfinite(human.pse).sum(axis=0), np.isfinite(human.chosen).any(axis=-1).sum(axis=0)
    alone = [np.array([place]) for place in range(len(family))]
    members = [np.flatnonzero(family == name) for name in families]
    columns: dict[str, Any] = {}
    for name in point:
        count = choosing if name in _OF_CHOICES else fitted
        values = point[name][0], drawn[name]
        for dim, prefix, rows in ((NETWORK, "", alone), (FAMILY, "family_", members)):
            middle, ends, each = _over_seeds(name, *values, rows, count, confidence)
            columns[f"{prefix}{name}"] = ((dim, OCCLUSION), middle)
            columns[f"{prefix}{name}_interval"] = ((dim, OCCLUSION, BOUND), ends)
            if dim == FAMILY or name in ("delta_pse", "rmse"):
                columns[f"{prefix}{name}_draws"] = (("draw", dim, OCCLUSION), each)
    columns["n_seeds"] = (FAMILY, [len(rows) for rows in members])
    without = np.isnan(point["delta_pse"][0])
    columns["n_undetermined"] = ((FAMILY, OCCLUSION), np.stack([without[rows].sum(axis=0) for rows in members]))
    columns |= _people_among_themselves(human)
    columns["n_participants"] = (OCCLUSION, fitted)
    coords: dict[str, Any] = {
        NETWORK: networks[NETWORK].values,
        "network_family": (NETWORK, family),
        "network_seed": (NETWORK, networks["seed"].values),
        FAMILY: families,
        PARTICIPANT: people[PARTICIPANT].values,
        OCCLUSION: networks[OCCLUSION].values.astype(str),
        BOUND: list(BOUNDS),
    }
    simulated = bool(people.attrs.get("simulated") or networks.attrs.get("simulated"))
    attrs = {
        "draws": len(weights),
        "seed": seed,
        "confidence": confidence,
        "interval_kind": "t over participants; for families, over participants and seeds",
        "level_scale": people.attrs.get("level_scale"),
        "levels_shared": len(levels),
        "simulated": simulated,
        **origin_of(networks.attrs),
    }
    return xr.Dataset(columns, coords, attrs)


def _over_seeds(
    name: str,
    values: Float[Array, "network occlusion"],
    draws: Float[Array, "draw network occlusion"],
    members: list[Array],
    people: Array,
    confidence: float,
) -> tuple[
    Float[Array, "family occlusion"], Float[Array, "family occlusion 2"], Float[Array, "draw family occlusion"]
]:
    """Return the mean over each family's seeds, its interval, and the mean in each draw.

    The interval is over participants and, of two seeds or more, over these. Quantiles of three seeds drawn with
    replacement would cover 80 % in place of 95 %.
    """
    log = name in _LOGARITHMIC
    values, draws = (np.log(part) if log else part for part in (values, draws))
    middles, limits, by_draw = [], [], []
    for rows in members:
        middle, some = _mean_of_seeds(name, values[rows]), _mean_of_seeds(name, draws[:, rows], axis=1)
        seeds = np.isfinite(values[rows]).sum(axis=0)
        # drawn with replacement, n people vary like n / (n - 1) fewer
        over_people = _variance(some) * people / np.maximum(people - 1, 1)
        over_seeds = np.where(seeds > 1, np.nan_to_num(_variance(values[rows])) / np.maximum(seeds, 1), 0.0)
        freedoms = np.stack([np.maximum(people - 1, 1), np.maximum(seeds - 1, 1)]).astype(float)
        half = reach((1 - confidence) / 2, np.stack([over_people, over_seeds]), freedoms)
        middles.append(middle)
        limits.append(np.stack([middle - half, middle + half], axis=-1))
        by_draw.append(some)
    parts = np.stack(middles), np.stack(limits), np.stack(by_draw, axis=1)
    mean, ends, each = (np.exp(part) if log else part for part in parts)
    return mean, np.clip(ends, *_RANGES.get(name, (-np.inf, np.inf))), each


def _mean_of_seeds(name: str, values: Array, axis: int = 0) -> Array:
    """Return the mean over seeds; a mean over those that happen to have a PSE would be that of another network."""
    finite = np.isfinite(values)
    count = finite.sum(axis=axis)
    mean = np.where(finite, values, 0).sum(axis=axis) / np.where(count > 0, count, np.nan)
    return mean if name in _OF_CHOICES else np.where(finite.all(axis=axis), mean, np.nan)


def _variance(values: Array) -> Array:
    """Return the variance over the first axis of what is finite; NaN where fewer than two are."""
    finite = np.isfinite(values)
    count = finite.sum(axis=0)
    mean = np.where(finite, values, 0).sum(axis=0) / np.where(count > 0, count, np.nan)
    squares = np.where(finite, (values - mean) ** 2, 0).sum(axis=0)
    return np.asarray(squares / np.where(count > 1, count - 1, np.nan))


def _people_among_themselves(human: Observers) -> dict[str, Any]:
    """Return each participant's measures against the mean of the others."""
    people = np.arange(len(human.pse))
    # everybody against the others of everybody; of these tables each participant's own cell counts
    measures = compare_observers(human, human, 1.0 - np.eye(len(people)))
    return {f"human_{name}": ((PARTICIPANT, OCCLUSION), each[people, people]) for name, each in measures.items()}


def _observers(fit: xr.Dataset, levels: Array) -> Observers:
    occlusions = [str(value) for value in fit["occlusion"].values]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_slope = np.log(fit["slope"].values)
    chosen = fit["proportion"].sel(level=levels).values
    return Observers(fit["pse"].values, log_slope, chosen, occlusions.index("none") if "none" in occlusions else -1)


def _weights(names: Array, draws: int, seed: int, resamples: Mapping[str, Array] | None) -> Array:
    people = len(names)
    if resamples is None:  # drawn in the order of their names, wherever these stand
        positions = np.argsort(names, kind="stable")[
            rng_from(seed, "participants").integers(0, people, (draws, people))
        ]
    else:
        positions = np.atleast_2d(np.asarray(resamples[PARTICIPANT]))
    if positions.min() < 0 or positions.max() >= people:
        message = (
            f"`resamples` runs from {positions.min()} to {positions.max()}: these are not positions among {people} "
            f"participants. Give numbers from 0 to {people - 1}."
        )
        raise ValueError(message)
    return np.stack([np.bincount(row, minlength=people) for row in positions]).astype(float)


def _matched(consistency: xr.DataArray, people: xr.Dataset, networks: xr.Dataset) -> Array:
    index = {
        NETWORK: networks[NETWORK].values.astype(str),
        PARTICIPANT: people[PARTICIPANT].values.astype(str),
        OCCLUSION: networks[OCCLUSION].values.astype(str),
    }
    return consistency.transpose(NETWORK, PARTICIPANT, OCCLUSION).reindex(index).values


def _must_compare(people: xr.Dataset, networks: xr.Dataset) -> None:
    faults = []
    if PARTICIPANT not in people.dims or NETWORK not in networks.dims:
        faults.append(f"their dims are {tuple(people.dims)} and {tuple(networks.dims)}")
    elif people.sizes[PARTICIPANT] < 3:
        faults.append(f"there are {people.sizes[PARTICIPANT]} participants")
    scales = people.attrs.get("level_scale"), networks.attrs.get("level_scale")
    if scales[0] != scales[1]:
        faults.append(f"the levels of people are {scales[0]} and those of networks {scales[1]}")
    shared = len(np.intersect1d(people["level"].values, networks["level"].values))
    faults += [] if shared >= 3 else [f"{shared} levels are shared"]
    if not set(map(str, people["occlusion"].values)) & set(map(str, networks["occlusion"].values)):
        faults.append("no occlusion is shared")
    if faults:
        message = (
            f"Curves of people and networks cannot be compared: {'; '.join(faults)}. Fit three people or more, and "
            "the networks, to the same stimuli on one scale."
        )
        raise ValueError(message)


QUANTITY, OTHER = "quantity", "quantity_other"
_FEWEST = 3
_BESIDE = {"p": "rank_correlation_p", "networks": "n_networks"}


@dataclass(frozen=True, eq=False)
class Quantity:
    """One number for each network, which way is more human-like, and the number in each draw."""

    values: Array  # (network,), NaN where a network has none
    rising: bool  # whether more is ranked first
    draws: Array | None = None  # (draw, network)


def relate_measures(
    result: xr.Dataset,
    likeness: xr.Dataset | None = None,
    regions: xr.Dataset | None = None,
    *,
    at: tuple[str, ...] = ("fc7", "relu7"),
    occlusion: str = "none",
    seed: int = 0,
) -> xr.Dataset:
    """Put each network's similarity to people beside its choices and its saliency, and correlate the ranks.

    Two measures that call the same networks human-like say more than one; with few networks a rank correlation is
    an anecdote, and its p value and number of networks are given beside it.

    Draws are joined one by one: pass the participants' draws of the comparison to `human_likeness` for them to be
    the same people.

    Examples
    --------
    >>> coords = {"network": ("rdm", ["a", "b", "c"]), "layer": ("rdm", ["fc7"] * 3)}
    >>> agreement = relate_measures(xr.Dataset({"similarity": ("rdm", [0.1, 0.3, 0.2])}, coords))
    >>> agreement["rank"].sel(quantity="similarity_peak").values.tolist()
    [3.0, 1.0, 2.0]
    """
    _must_relate(result, {"choices": likeness, "saliency": regions})
    networks = list(dict.fromkeys(result[NETWORK].values.astype(str).tolist()))
    quantities, layers = _of_similarity(result, networks, at)
    quantities |= _of_choices(likeness, networks, occlusion) | _of_regions(regions, networks, occlusion)
    names = list(quantities)
    values = np.stack([quantities[name].values for name in names], axis=1)
    ranks = np.stack(
        [rank_networks(quantities[name].values, rising=quantities[name].rising) for name in names], axis=1
    )
    table = xr.Dataset(
        {"value": ((NETWORK, QUANTITY), values), "rank": ((NETWORK, QUANTITY), ranks)}
        | {name: (NETWORK, names_of_layers) for name, names_of_layers in layers.items()},
        {NETWORK: networks, QUANTITY: names, OTHER: names, BOUND: list(BOUNDS)},
    )
    confidence = float(result.attrs.get("confidence", 0.95))
    table = table.merge(_correlations(quantities, seed, confidence))
    parts = [part for part in (result, likeness, regions) if part is not None]
    table.attrs = {
        "occlusion": occlusion,
        "confidence": confidence,
        "simulated": any(bool(part.attrs.get("simulated")) for part in parts),
        **origin_of(*(part.attrs for part in parts)),
    }
    return table


def agreement_table(agreement: xr.Dataset) -> pd.DataFrame:
    """Return what each measure says of each network, and the rank it gives, as a table."""
    columns: dict[str, Any] = {NETWORK: agreement[NETWORK].values.astype(str)}
    columns |= {name: agreement[name].values.astype(str) for name in ("peak_layer", "at_layer") if name in agreement}
    for name in agreement[QUANTITY].values.astype(str):
        columns[name] = agreement["value"].sel({QUANTITY: name}).values
        columns[f"{name}_rank"] = agreement["rank"].sel({QUANTITY: name}).values
    return pd.DataFrame(columns)


def correlation_table(agreement: xr.Dataset) -> pd.DataFrame:
    """Return how far the ranks agree as a table, a row for each pair of measures.

    Spearman's correlation, `p` by permutation of networks, the interval where there are draws, and how many networks
    both are known of.
    """
    names = agreement[QUANTITY].values.astype(str).tolist()
    rows = []
    for place, name in enumerate(names):
        for other in names[place + 1 :]:
            one = agreement.sel({QUANTITY: name, OTHER: other})
            row = {QUANTITY: name, OTHER: other, "rank_correlation": float(one["rank_correlation"])}
            row |= {column: one[name].item() for column, name in _BESIDE.items() if name in one}
            if "rank_correlation_interval" in one:
                row |= dict(
                    zip(BOUNDS, one["rank_correlation_interval"].transpose(BOUND).values.tolist(), strict=True)
                )
            rows.append(row)
    return pd.DataFrame(rows)


def rank_networks(values: Array, *, rising: bool) -> Array:
    """Rank values from 1, the most human-like; ties share their mean rank."""
    finite = np.isfinite(values)
    ranks = np.full(len(values), np.nan)
    ranks[finite] = rankdata(-values[finite] if rising else values[finite])
    return ranks


def _of_similarity(
    result: xr.Dataset, networks: list[str], at: tuple[str, ...]
) -> tuple[dict[str, Quantity], dict[str, list[str]]]:
    names, layers = (result[coord].values.astype(str) for coord in (NETWORK, LAYER))
    similarity = result["similarity"].values
    peaks, places = [], []
    for network in networks:
        rows = np.flatnonzero(names == network)
        peaks.append(int(rows[np.nanargmax(similarity[rows])]))
        matches = [int(row) for layer in at for row in rows if layers[row] == layer]
        places.append(matches[0] if matches else -1)
    draws = result["similarity_draws"].transpose(DRAW, RDM).values if "similarity_draws" in result else None
    # a draw's peak is found in that draw: the peak of the whole would be picked on the same data
    by_draw = None
    if draws is not None:
        by_draw = np.stack([np.nanmax(draws[:, names == network], axis=1) for network in networks], axis=1)
    present = np.array(places) >= 0
    quantities = {"similarity_peak": Quantity(similarity[peaks], True, by_draw)}
    if present.any():
        value = np.where(present, similarity[places], np.nan)
        at_draws = None if draws is None else np.where(present, draws[:, places], np.nan)
        quantities[f"similarity_{at[0]}"] = Quantity(value, True, at_draws)
    at_layer = [str(layers[place]) if place >= 0 else "" for place in places]
    return quantities, {"peak_layer": [str(layers[peak]) for peak in peaks], "at_layer": at_layer}


def _of_choices(likeness: xr.Dataset | None, networks: list[str], occlusion: str) -> dict[str, Quantity]:
    if likeness is None or occlusion not in likeness["occlusion"].values.astype(str):
        return {}
    under = likeness.sel(occlusion=occlusion).assign_coords({NETWORK: likeness[NETWORK].values.astype(str)})
    under = under.reindex({NETWORK: networks})
    quantities = {}
    for name, label in (("delta_pse", "pse_distance"), ("rmse", "curve_rmse")):
        by_draw = f"{name}_draws"
        draws = np.abs(under[by_draw].transpose(DRAW, NETWORK).values) if by_draw in under else None
        quantities[label] = Quantity(np.abs(under[name].values), False, draws)
    return quantities


def _of_regions(regions: xr.Dataset | None, networks: list[str], occlusion: str) -> dict[str, Quantity]:
    if regions is None:
        return {}
    share = regions["proportion"]
    if "occlusion" in share.coords and "stimulus" in share.dims:
        faces = np.flatnonzero(share["occlusion"].values.astype(str) == occlusion)
        if not len(faces):
            return {}
        share = share.isel(stimulus=faces)
    share = share if NETWORK in share.dims else share.expand_dims(NETWORK)
    share = share.mean([dim for dim in share.dims if dim not in (NETWORK, "region")])
    share = share.assign_coords({NETWORK: share[NETWORK].values.astype(str)}).reindex({NETWORK: networks})
    return {
        f"saliency_{region}": Quantity(share.sel(region=region).values, True) for region in share["region"].values
    }


def _correlations(quantities: dict[str, Quantity], seed: int, confidence: float) -> xr.Dataset:
    names = list(quantities)
    size = (len(names), len(names))
    rho, p, count, ends = np.eye(*size), np.full(size, np.nan), np.zeros(size, dtype=int), np.full((*size, 2), np.nan)
    for i, j in combinations(range(len(names)), 2):
        first, second = quantities[names[i]], quantities[names[j]]
        both = np.isfinite(first.values) & np.isfinite(second.values)
        count[i, j] = count[j, i] = int(both.sum())
        rho[i, j] = rho[j, i] = _spearman(first, second, first.values[both], second.values[both])
        if not np.isfinite(rho[i, j]):
            continue
        p[i, j] = p[j, i] = _chance(first, second, both, rng_from(seed, names[i], names[j]))
        ends[i, j] = ends[j, i] = _interval_of_ranks(first, second, both, confidence)
    for i, name in enumerate(names):
        count[i, i] = int(np.isfinite(quantities[name].values).sum())
    dims = (QUANTITY, OTHER)
    return xr.Dataset(
        {
            "rank_correlation": (dims, rho),
            "rank_correlation_p": (dims, p),
            "rank_correlation_interval": ((*dims, BOUND), ends),
            "n_networks": (dims, count),
        }
    )


def _spearman(first: Quantity, second: Quantity, x: Array, y: Array) -> float:
    if len(x) < _FEWEST:
        return float("nan")
    ranks = rank_networks(x, rising=first.rising), rank_networks(y, rising=second.rising)
    if min(np.ptp(one) for one in ranks) == 0:
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def _chance(first: Quantity, second: Quantity, both: Array, rng: np.random.Generator) -> float:
    tested = permutation_test(
        (first.values[both],),
        lambda x: _spearman(first, second, x, second.values[both]),
        permutation_type="pairings",
        n_resamples=9999,
        vectorized=False,
        rng=rng,
    )
    return float(tested.pvalue)


def _interval_of_ranks(first: Quantity, second: Quantity, both: Array, confidence: float) -> Array:
    if first.draws is None or second.draws is None or len(first.draws) != len(second.draws):
        return np.full(2, np.nan)
    draws = np.stack([first.draws, second.draws])[:, :, both]
    signed = [part * (-1 if one.rising else 1) for part, one in zip(draws, (first, second), strict=True)]
    complete = np.isfinite(signed[0]).all(axis=1) & np.isfinite(signed[1]).all(axis=1)
    if not complete.any():
        return np.full(2, np.nan)
    x, y = (rankdata(part[complete], axis=1) for part in signed)
    x, y = (part - part.mean(axis=1, keepdims=True) for part in (x, y))
    size = np.sqrt((x**2).sum(axis=1) * (y**2).sum(axis=1))
    rho = (x * y).sum(axis=1)[size > 0] / size[size > 0]  # a draw in which all tie has no correlation
    return np.quantile(rho, [(1 - confidence) / 2, (1 + confidence) / 2]) if len(rho) else np.full(2, np.nan)


def _must_relate(result: xr.Dataset, parts: dict[str, xr.Dataset | None]) -> None:
    networks = set(result[NETWORK].values.astype(str).tolist())
    named = {
        name: np.atleast_1d(part[NETWORK].values).astype(str).tolist()
        for name, part in parts.items()
        if part is not None
    }
    apart = {name: theirs for name, theirs in named.items() if not networks & set(theirs)}
    if apart:
        message = (
            f"No networks in common: the comparison has {sorted(networks)}, "
            f"{', '.join(f'the {name} {theirs}' for name, theirs in apart.items())}. Use the same labels in all."
        )
        raise ValueError(message)
