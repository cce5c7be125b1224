"""What a comparison's table holds: similarities, draws, errors, and the layers of one network in order of depth."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int

from rsa_face.inference.ceiling import percentile_interval
from rsa_face.inference.draws import Evaluated, mean_over
from rsa_face.inference.kernels import Floats
from rsa_face.inference.resampling import (
    FEWEST_UNITS,
    ROW,
    Deletions,
    Draws,
    jackknife_rows,
    sampling_error,
)
from rsa_face.inference.statistics import (
    Resampled,
    bootstrap_variance,
    correct,
    degrees_of_freedom,
    draws_of,
    family_p,
    p_from_draws,
    p_one_sided,
    p_two_sided,
    t_interval,
    variance_over_people,
)
from rsa_face.schema import (
    BOUND,
    BOUNDS,
    COMPARISONS,
    DEPTH,
    DRAW,
    LAYER,
    NETWORK,
    ORDER,
    PARTICIPANT,
    RDM,
    coords_along,
    must_be_known,
    must_hold,
)

NO_TEST = "none: unrelated RDMs have cosines above 0, so that only shuffled labels test them"
"""What the attr `p_above_zero_kind` says where the comparison's 0 does not mean that there is no similarity."""

_RESULT = (RDM, BOUND)

MAXIMUM = "max"
"""The correction by the largest t of the family."""

ABOVE, BELOW = "p_above_zero", "p_below_ceiling"

Columns = dict[str, tuple[str, Float[np.ndarray, " rdm"]]]


def without_tests(result: xr.Dataset) -> xr.Dataset:
    """Leave out the tests against 0 of a comparison whose 0 does not mean that there is no similarity."""
    comparison = COMPARISONS.get(str(result.attrs["comparison"]))
    if comparison is None or comparison.zero_is_none:  # of trials, what is above guessing is tested
        return result
    tests = [name for name in ("p_above_zero", "p_above_zero_percentile") if name in result]
    return result.drop_vars(tests).assign_attrs(p_above_zero_kind=NO_TEST)


def why_not_jackknifed(units: tuple[int, int], groups: str | None) -> str:
    """Return why standard errors cannot be jackknifed; empty if they can."""
    names = ("stimuli" if groups is None else f"groups of {groups!r}", "participants")
    few = [
        f"{count} {name} (at least {fewest} are needed)"
        for count, name, fewest in zip(units, names, FEWEST_UNITS, strict=True)
        if count < fewest
    ]
    if not few:
        return ""
    return (
        f"Too few to leave out for jackknifed standard errors: {' and '.join(few)}. They come from the bootstrap "
        "draws instead, whose variance is too large: tests reject less often, and intervals are wider, than they say."
    )


def without_draws(rdms: xr.DataArray, human: xr.DataArray, each: Floats, ceiling: Floats) -> xr.Dataset:
    """Return the similarities and the ceiling as they are observed."""
    coords = coords_along(rdms, RDM) | coords_along(human, PARTICIPANT)
    return xr.Dataset(
        {
            "similarity": (RDM, mean_over(each, np.ones(each.shape[1]))),
            "participant_similarity": ((RDM, PARTICIPANT), each),
            "noise_ceiling": (BOUND, ceiling),
        },
        {**coords, BOUND: list(BOUNDS)},
    )


def with_errors_over_people(result: xr.Dataset, stimuli: int, confidence: float) -> xr.Dataset:
    """Add the intervals and tests that the spread over participants gives."""
    each = result["participant_similarity"].values
    values, variances = result["similarity"].values, variance_over_people(each)
    units = (stimuli, each.shape[1])
    freedom = np.full(len(values), degrees_of_freedom(units, None))
    result["similarity_variance"] = (RDM, variances)
    result["similarity_interval"] = (_RESULT, t_interval(values, variances, freedom, confidence))
    result["p_above_zero"] = (RDM, p_one_sided(values, variances, freedom))
    below = values - float(result["noise_ceiling"][0])
    result["p_below_ceiling"] = (RDM, p_two_sided(below, variances, freedom))
    result["degrees_of_freedom"] = (RDM, freedom)
    result.attrs |= _attrs_of("t", units)
    return result


def with_draws(result: xr.Dataset, drawn: Draws, evaluated: Evaluated) -> xr.Dataset:
    """Add the draws, and the tests that count them."""
    similarity, ceiling = evaluated.similarity, evaluated.ceiling
    result["p_above_zero_percentile"] = (RDM, p_from_draws(similarity[0]))
    result["p_below_ceiling_percentile"] = (RDM, p_from_draws(ceiling[0, :, :1] - similarity[0]))
    result.attrs["skipped"] = int(np.isnan(similarity).any(axis=(0, 2)).sum())
    for place, kind in enumerate(drawn.kinds):
        suffix = "" if place == 0 else f"_{kind}"
        result[f"similarity_draws{suffix}"] = ((DRAW, RDM), similarity[place])
        result[f"noise_ceiling_draws{suffix}"] = ((DRAW, BOUND), ceiling[place])
    return result.assign_coords(limit=list(BOUNDS))


def with_draw_errors(result: xr.Dataset, drawn: Draws, evaluated: Evaluated) -> xr.Dataset:
    """Add the intervals and tests whose standard errors are those of the draws."""
    similarity, ceiling, confidence = evaluated.similarity, evaluated.ceiling, float(result.attrs["confidence"])
    freedom = degrees_of_freedom(drawn.units, drawn.resample)
    variances, gap_variances, ceiling_variances = (
        bootstrap_variance(draws, drawn.units, drawn.resample)
        for draws in (similarity, similarity - ceiling[:, :, :1], ceiling)
    )
    means, bounds = np.nanmean(similarity, axis=(0, 1)), np.nanmean(ceiling, axis=(0, 1))
    below = np.nanmean(similarity - ceiling[:, :, :1], axis=(0, 1))
    errors = [(each, np.full(len(each), freedom)) for each in (variances, gap_variances, ceiling_variances)]
    result = _with_tests(result, (means, below, bounds), errors)
    dual = drawn.resample == "dual"
    if not dual:
        result["similarity_interval"] = (_RESULT, percentile_interval(similarity[0], confidence))
        result["noise_ceiling_interval"] = ((BOUND, "limit"), percentile_interval(ceiling[0], confidence))
    result.attrs |= {"variance": "bootstrap", **_attrs_of("t" if dual else "percentile", drawn.units)}
    return result


def with_deletion_errors(result: xr.Dataset, deletions: Deletions, left: Evaluated) -> xr.Dataset:
    """Add the intervals and tests whose standard errors are jackknifed."""
    units, layers = deletions.draws.units, result.sizes[RDM]
    values, bounds = result["similarity"].values, result["noise_ceiling"].values
    rows, components = jackknife_rows(np.concatenate([left.similarity[0], left.ceiling[0]], axis=1), deletions)
    similarity, ceiling = rows[:, :layers], rows[:, layers:]
    errors = [sampling_error(some, components, units) for some in (similarity, similarity - ceiling[:, :1], ceiling)]
    result = _with_tests(result, (values, values - bounds[0], bounds), errors)
    result["similarity_jackknife"] = ((ROW, RDM), similarity)
    result["noise_ceiling_jackknife"] = ((ROW, BOUND), ceiling)
    result.attrs |= {"variance": "jackknife", **_attrs_of("t", units)}
    return result.assign_coords(component=(ROW, components))


def _with_tests(
    result: xr.Dataset, values: tuple[Floats, Floats, Floats], errors: Sequence[tuple[Floats, Floats]]
) -> xr.Dataset:
    """Add the t tests and intervals of similarities, of their gaps to the lower ceiling, and of the ceiling.

    Errors are variances with their degrees of freedom.
    """
    confidence = float(result.attrs["confidence"])
    result["similarity_variance"], result["degrees_of_freedom"] = ((RDM, each) for each in errors[0])
    result["similarity_interval"] = (_RESULT, t_interval(values[0], *errors[0], confidence))
    result["noise_ceiling_interval"] = ((BOUND, "limit"), t_interval(values[2], *errors[2], confidence))
    result["p_above_zero"] = (RDM, p_one_sided(values[0], *errors[0]))
    result["p_below_ceiling"] = (RDM, p_two_sided(values[1], *errors[1]))
    return result


def _attrs_of(interval_kind: str, units: tuple[int, int]) -> dict[str, Any]:
    return {"interval_kind": interval_kind, "p_kind": "t", "stimuli": units[0], "participants": units[1]}


MATCHES = ("auto", "name", "depth")
LOWER_CEILING = -2


@dataclass(frozen=True, eq=False)
class Matched:
    """Layers of two networks, side by side."""

    network: Int[np.ndarray, " layer"]  # places along the result's `rdm` of one network's layers, in order of depth
    baseline: Int[np.ndarray, " layer"]  # places of the other network's layers that are set beside these
    alone: tuple[str, ...]  # layers of the network that have no counterpart
    by: str  # ``name`` or ``depth``


def layers_of(result: xr.Dataset, network: str) -> Int[np.ndarray, " layer"]:
    """Return where a network's layers lie along a result's `rdm`, in order of depth."""
    must_hold(result, (NETWORK, "similarity"), "A result of `compare_layers`")
    names = np.asarray(result[NETWORK].values, dtype=str)
    must_be_known(network, sorted(set(names.tolist())), "network of this result")
    places = np.flatnonzero(names == network)
    along = ORDER if ORDER in result.coords else DEPTH
    return np.asarray(places[np.argsort(result[along].values[places], kind="stable")])


def matched_layers(result: xr.Dataset, *, network: str, baseline: str, match: str = "auto") -> Matched:
    """Set each layer of a network beside the layer of another that stands at the same place."""
    must_be_known(match, MATCHES, "match")
    if network == baseline:
        message = f"Network and baseline are both {network!r}: name another baseline."
        raise ValueError(message)
    ours, theirs = layers_of(result, network), layers_of(result, baseline)
    names = np.asarray(result[LAYER].values, dtype=str)
    place = {names[index]: index for index in theirs}
    if match == "auto":
        match = "name" if set(place) <= set(names[ours].tolist()) else "depth"
    if match == "depth":
        depth = np.asarray(result[DEPTH].values, dtype=float)
        gap = np.abs(depth[ours][:, None] - depth[theirs][None, :])
        return Matched(ours, theirs[np.argmin(np.round(gap, 9), axis=1)], (), match)
    shared = np.array([index for index in ours if names[index] in place], dtype=int)
    if shared.size == 0:
        message = (
            f"No layer of {network!r} has a counterpart of the same name in {baseline!r}: {names[ours].tolist()} and "
            f"{names[theirs].tolist()}. Match them by depth."
        )
        raise ValueError(message)
    alone = tuple(str(names[index]) for index in ours if names[index] not in place)
    return Matched(shared, np.array([place[names[index]] for index in shared], dtype=int), alone, match)


def resampled_of(result: xr.Dataset) -> Resampled:
    """Return a result's similarities and, last, its lower and upper noise ceiling, with the draws of all of them."""
    draws = draws_of(result, "similarity_draws")
    estimate = np.asarray(result["similarity"].values, dtype=float)
    if "noise_ceiling_draws" in result:
        draws = np.concatenate([draws, draws_of(result, "noise_ceiling_draws")], axis=2)
        estimate = np.concatenate([estimate, np.asarray(result["noise_ceiling"].values, dtype=float)])
    units = (int(result.attrs["stimuli"]), int(result.attrs["participants"]))
    resampled = Resampled(estimate, draws, str(result.attrs["resample"]), units, int(result.attrs["seed"]))
    if "similarity_jackknife" not in result:
        return resampled
    names = [name for name in ("similarity_jackknife", "noise_ceiling_jackknife") if name in result]
    rows = [result[name].transpose(ROW, ...).values for name in names]
    components = [str(name) for name in result["component"].values]
    return replace(resampled, rows=np.concatenate(rows, axis=1)[:, : estimate.size], components=components)


def to_frame(result: xr.Dataset) -> pd.DataFrame:
    """Return a comparison as a table, a row for each layer, with what the result holds for each and the ceiling."""
    named = ("network", "layer", "depth", "order", "measure")
    columns: dict[str, Any] = {name: result[name].values for name in named if name in result.coords}
    if not columns:
        columns[RDM] = result[RDM].values
    for name, variable in result.data_vars.items():
        if variable.dims == (RDM,):
            columns[str(name)] = variable.values
        elif variable.dims == (RDM, BOUND):
            columns |= {f"{name}_{bound}": variable.sel(bound=bound).values for bound in result[BOUND].values}
        elif name == "noise_ceiling":
            columns |= {f"{name}_{bound}": float(variable.sel(bound=bound)) for bound in result[BOUND].values}
            if variable.values[0] > 0:
                columns["share_of_ceiling"] = result["similarity"].values / variable.values[0]
    return pd.DataFrame({**columns, **{key: result.attrs.get(key) for key in ("comparison", "simulated")}})


def corrected_table(table: xr.Dataset, correction: str, columns: Columns) -> xr.Dataset:
    """Add corrected p values of every family that has none yet."""
    if correction == MAXIMUM:
        family = _by_largest_t(table, without_above=f"{ABOVE}_corrected" in columns)
    else:
        raw = {name: np.asarray(table[name].values) for name in (ABOVE, BELOW) if name in table}
        family = {f"{name}_corrected": (RDM, correct(p, method=correction)) for name, p in raw.items()}
    return table.assign(family | columns).assign_attrs(correction=correction)


def _by_largest_t(table: xr.Dataset, *, without_above: bool) -> Columns:
    resampled, layers = resampled_of(table), table.sizes[RDM]
    identity = np.eye(resampled.estimate.size)
    families = {} if without_above else {ABOVE: (identity[:, :layers], False)}
    if "noise_ceiling_draws" in table:
        families[BELOW] = (identity[:, :layers] - identity[:, [LOWER_CEILING]], True)
    return {
        f"{name}_corrected": (
            RDM,
            np.maximum(
                family_p(resampled.spread(weights), two_sided=two_sided), np.asarray(table[name].values, dtype=float)
            ),
        )
        for name, (weights, two_sided) in families.items()
        if name in table
    }
