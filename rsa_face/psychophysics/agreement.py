"""Networks ranked by geometry, by their choices and by where they look, and how the ranks correlate."""

from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.stats import permutation_test, rankdata

from rsa_face.provenance import rng_from
from rsa_face.schema import BOUND, BOUNDS, DRAW, LAYER, NETWORK, RDM

Array = np.ndarray
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
        "untrained": sorted({str(name) for part in parts for name in part.attrs.get("untrained") or []}),
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
            row |= {column: one[kept].item() for column, kept in _BESIDE.items() if kept in one}
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
        ends[i, j] = ends[j, i] = _interval(first, second, both, confidence)
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


def _interval(first: Quantity, second: Quantity, both: Array, confidence: float) -> Array:
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
