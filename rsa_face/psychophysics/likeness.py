"""How human-like networks choose: PSE, slope, curve and errors against people's, over participants and seeds."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

from rsa_face.provenance import rng_from
from rsa_face.psychophysics.distances import Observers, compare_observers
from rsa_face.schema import BOUND, BOUNDS, NETWORK, PARTICIPANT

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
_OF_CHOICES = ("rmse", "r2", "error_consistency")  # the others need a PSE


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

    Participants are drawn anew for every interval, and for a family of networks (an architecture with its
    pre-training) its seeds as well: a network answers as one observer, never as the forty people it is compared
    with. With one seed the interval is over participants alone; `n_seeds` says so.

    Parameters
    ----------
    people, networks : Dataset
        From `fit_psychometric`, on the same scale of levels and with levels in common. Not changed.
    consistency : DataArray, dims (network, participant, occlusion), optional
        From `error_consistency`.
    draws : int
        Bootstrap draws.
    confidence : float
        In (0, 1).
    seed : int
        Of the draws.
    resamples : mapping of str to ndarray of int, optional
        The draws of participants to take, as ``participant`` of shape (draw, any): positions among `people`. The
        same as those of a comparison of RDMs join the two on their draws.

    Returns
    -------
    Dataset, dims (network, occlusion), (family, occlusion), (participant, occlusion), and bound, draw
        `delta_pse` (network less people's mean, in levels), `slope_ratio` (to people's geometric mean), `rmse` and
        `r2` of P(happy) by level against people's mean, `pse_z` and `slope_z` (log slope) in people's standard
        deviations, `pse_shift` and `slope_change` (against the whole face), `pse_shift_difference` and
        `slope_change_ratio` (against people's), `error_consistency`. Each with `*_interval` over participants;
        with ``family_`` before it over participants and seeds, and `family_*_draws`; with ``human_`` before it,
        each participant against the others. `delta_pse_draws`, `rmse_draws` of each network. `n_seeds`, and
        `n_undetermined` of them without a PSE: where there are any, what needs a PSE is NaN for the family, since the
        other seeds are not the network. `n_participants` who have a PSE: the others are left out.

    Raises
    ------
    ValueError
        If the scales differ, fewer than three levels are shared, there are fewer than three participants, or the
        draws given do not fit.

    Notes
    -----
    The curve is what was chosen, not what was fitted: ``rmse`` and ``r2`` stay right where a fit does not.
    """
    _must_compare(people, networks)
    networks = networks.sel(
        occlusion=[value for value in networks["occlusion"].values if value in people["occlusion"]]
    )
    people = people.sel(occlusion=networks["occlusion"])
    levels = np.intersect1d(people["level"].values, networks["level"].values)
    human, machine = _observers(people, levels), _observers(networks, levels)
    matched = None if consistency is None else _matched(consistency, people, networks)
    weights = _weights(human.pse.shape[0], draws, seed, resamples)
    own = compare_observers(human, machine, np.ones((1, human.pse.shape[0])), matched)
    drawn = compare_observers(human, machine, weights, matched)
    dims = (NETWORK, OCCLUSION)
    table = xr.Dataset(coords=_coords(people, networks))
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    for name, values in own.items():
        table[name] = (dims, values[0])
        table[f"{name}_interval"] = ((*dims, BOUND), _quantiles(drawn[name], tails))
    for name in ("delta_pse", "rmse"):
        table[f"{name}_draws"] = (("draw", *dims), drawn[name])
    table = table.merge(_families(own, drawn, table["network_family"].values, tails, seed))
    table = table.merge(_people_among_themselves(human))
    table["n_participants"] = (OCCLUSION, np.isfinite(human.pse).sum(axis=0))
    simulated = bool(people.attrs.get("simulated") or networks.attrs.get("simulated"))
    table.attrs = {
        "draws": len(weights),
        "seed": seed,
        "confidence": confidence,
        "interval_kind": "bootstrap over participants; for families, over participants and seeds",
        "level_scale": people.attrs.get("level_scale"),
        "levels_shared": len(levels),
        "simulated": simulated,
        "untrained": networks.attrs.get("untrained", []),
    }
    return table


def _families(
    own: dict[str, Array], drawn: dict[str, Array], family: Array, tails: list[float], seed: int
) -> xr.Dataset:
    names = list(dict.fromkeys(str(name) for name in family))
    count = len(next(iter(drawn.values())))
    table = xr.Dataset(coords={FAMILY: names})
    members = [np.flatnonzero(family == name) for name in names]
    picks = [
        _seed_weights(len(rows), count, rng_from(seed, "seeds", name))
        for name, rows in zip(names, members, strict=True)
    ]
    for name in own:
        log = name in _LOGARITHMIC
        values, draws = (np.log(part[name]) if log else part[name] for part in (own, drawn))
        middle = np.stack([_weighted(values[:, rows], np.ones((1, len(rows))))[0] for rows in members])
        spread = np.stack(
            [_weighted(draws[:, rows], pick) for rows, pick in zip(members, picks, strict=True)], axis=1
        )
        if name not in _OF_CHOICES:
            # a mean over the seeds that happen to have a PSE would be that of another network
            missing = np.stack([np.isnan(values[0, rows]).any(axis=0) for rows in members])
            middle, spread = np.where(missing, np.nan, middle), np.where(missing, np.nan, spread)
        middle, spread = (np.exp(part) if log else part for part in (middle, spread))
        table[f"family_{name}"] = ((FAMILY, OCCLUSION), middle)
        table[f"family_{name}_interval"] = ((FAMILY, OCCLUSION, BOUND), _quantiles(spread, tails))
        table[f"family_{name}_draws"] = (("draw", FAMILY, OCCLUSION), spread)
    table["n_seeds"] = (FAMILY, [len(rows) for rows in members])
    without = np.isnan(own["delta_pse"][0])
    table["n_undetermined"] = ((FAMILY, OCCLUSION), np.stack([without[rows].sum(axis=0) for rows in members]))
    return table


def _people_among_themselves(human: Observers) -> xr.Dataset:
    people = human.pse.shape[0]
    others = 1.0 - np.eye(people)
    table = xr.Dataset()
    parts = [
        compare_observers(
            human,
            Observers(human.pse[[p]], human.log_slope[[p]], human.chosen[[p]], human.whole),
            others[[p]],
        )
        for p in range(people)
    ]
    for name in parts[0]:
        table[f"human_{name}"] = ((PARTICIPANT, OCCLUSION), np.concatenate([part[name][0] for part in parts]))
    return table


def _observers(fit: xr.Dataset, levels: Array) -> Observers:
    occlusions = [str(value) for value in fit["occlusion"].values]
    with np.errstate(divide="ignore", invalid="ignore"):
        log_slope = np.log(fit["slope"].values)
    chosen = fit["proportion"].sel(level=levels).values
    return Observers(fit["pse"].values, log_slope, chosen, occlusions.index("none") if "none" in occlusions else -1)


def _weights(people: int, draws: int, seed: int, resamples: Mapping[str, Array] | None) -> Array:
    if resamples is None:
        taken = rng_from(seed, "participants").integers(0, people, (draws, people))
    else:
        taken = np.atleast_2d(np.asarray(resamples[PARTICIPANT]))
    if taken.min() < 0 or taken.max() >= people:
        message = (
            f"Draws must be positions among the {people} participants, but run from {taken.min()} to {taken.max()}."
        )
        raise ValueError(message)
    return np.stack([np.bincount(row, minlength=people) for row in taken]).astype(float)


def _seed_weights(seeds: int, draws: int, rng: np.random.Generator) -> Array:
    return rng.multinomial(seeds, np.full(seeds, 1 / seeds), size=draws).astype(float)


def _weighted(values: Array, weights: Array) -> Array:
    there = np.isfinite(values)
    total = np.einsum("dn,dno->do", weights, there.astype(float))
    return np.asarray(
        np.einsum("dn,dno->do", weights, np.where(there, values, 0)) / np.where(total > 0, total, np.nan)
    )


def _quantiles(values: Array, tails: list[float]) -> Array:
    """Return quantiles over draws, along the last axis; NaN where a quantity exists in no draw."""
    flat = values.reshape(len(values), -1)
    there = np.isfinite(flat).any(axis=0)
    found = np.full((len(tails), flat.shape[1]), np.nan)
    found[:, there] = np.nanquantile(flat[:, there], tails, axis=0)
    return np.moveaxis(found.reshape(-1, *values.shape[1:]), 0, -1)


def _matched(consistency: xr.DataArray, people: xr.Dataset, networks: xr.Dataset) -> Array:
    index = {
        NETWORK: networks[NETWORK].values.astype(str),
        PARTICIPANT: people[PARTICIPANT].values.astype(str),
        OCCLUSION: networks[OCCLUSION].values.astype(str),
    }
    return consistency.transpose(NETWORK, PARTICIPANT, OCCLUSION).reindex(index).values


def _coords(people: xr.Dataset, networks: xr.Dataset) -> dict[str, object]:
    return {
        NETWORK: networks[NETWORK].values,
        "network_family": (NETWORK, networks["family"].values.astype(str)),
        "network_seed": (NETWORK, networks["seed"].values),
        PARTICIPANT: people[PARTICIPANT].values,
        OCCLUSION: networks[OCCLUSION].values.astype(str),
        BOUND: list(BOUNDS),
    }


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
            "Curves must be of three people or more and of networks, on one scale with three levels shared, to be "
            f"compared, but {'; '.join(faults)}. Fit both to the same stimuli."
        )
        raise ValueError(message)
