"""How similar each layer is to people, with its uncertainty and the noise ceiling."""

from typing import Any

import numpy as np
import xarray as xr

from rsa_face.inference.bootstrap import Evaluated
from rsa_face.inference.ceiling import percentile_interval
from rsa_face.inference.draws import mean_over
from rsa_face.inference.jackknife import (
    ROW,
    Deletions,
    jackknife_rows,
    jackknife_variance,
)
from rsa_face.inference.resampling import Draws
from rsa_face.inference.uncertainty import (
    bootstrap_variance,
    degrees_of_freedom,
    p_from_draws,
    p_one_sided,
    p_two_sided,
    t_interval,
    variance_over_people,
)
from rsa_face.inference.vectors import Floats
from rsa_face.schema import BOUND, BOUNDS, COMPARISONS, DRAW, PARTICIPANT, RDM

NO_TEST = "none: unrelated RDMs have cosines above 0, so that only shuffled labels test them"
"""What the attr `p_above_zero_kind` says where the comparison's 0 does not mean that there is no similarity."""

_RESULT = (RDM, BOUND)


def without_tests(result: xr.Dataset) -> xr.Dataset:
    """Leave out the tests against 0 of a comparison whose 0 does not mean that there is no similarity."""
    if COMPARISONS[str(result.attrs["comparison"])].zero_is_none:
        return result
    tests = [name for name in ("p_above_zero", "p_above_zero_percentile") if name in result]
    return result.drop_vars(tests).assign_attrs(p_above_zero_kind=NO_TEST)


def without_draws(rdms: xr.DataArray, human: xr.DataArray, each: Floats, ceiling: Floats) -> xr.Dataset:
    """Return the similarities and the ceiling as they are observed."""
    coords = {name: value for name, value in rdms.coords.items() if value.dims == (RDM,)}
    coords |= {name: value for name, value in human.coords.items() if value.dims == (PARTICIPANT,)}
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
    freedom = degrees_of_freedom(units, None)
    result["similarity_variance"] = (RDM, variances)
    result["similarity_interval"] = (_RESULT, t_interval(values, variances, freedom, confidence))
    result["p_above_zero"] = (RDM, p_one_sided(values, variances, freedom))
    below = values - float(result["noise_ceiling"][0])
    result["p_below_ceiling"] = (RDM, p_two_sided(below, variances, freedom))
    result.attrs |= _attrs_of("t", units, freedom)
    return result


def with_draws(result: xr.Dataset, drawn: Draws, found: Evaluated) -> xr.Dataset:
    """Add the draws, and the tests that count them."""
    similarity, ceiling = found.similarity, found.ceiling
    result["p_above_zero_percentile"] = (RDM, p_from_draws(similarity[0]))
    result["p_below_ceiling_percentile"] = (RDM, p_from_draws(ceiling[0, :, :1] - similarity[0]))
    result.attrs["skipped"] = int(np.isnan(similarity).any(axis=(0, 2)).sum())
    for place, kind in enumerate(drawn.kinds):
        suffix = "" if place == 0 else f"_{kind}"
        result[f"similarity_draws{suffix}"] = ((DRAW, RDM), similarity[place])
        result[f"noise_ceiling_draws{suffix}"] = ((DRAW, BOUND), ceiling[place])
    return result.assign_coords(limit=list(BOUNDS))


def with_draw_errors(result: xr.Dataset, drawn: Draws, found: Evaluated) -> xr.Dataset:
    """Add the intervals and tests whose standard errors are those of the draws."""
    similarity, ceiling, confidence = found.similarity, found.ceiling, float(result.attrs["confidence"])
    freedom = degrees_of_freedom(drawn.units, drawn.resample)
    variances, gap_variances, ceiling_variances = (
        bootstrap_variance(draws, drawn.units, drawn.resample)
        for draws in (similarity, similarity - ceiling[:, :, :1], ceiling)
    )
    means, bounds = np.nanmean(similarity, axis=(0, 1)), np.nanmean(ceiling, axis=(0, 1))
    below = np.nanmean(similarity - ceiling[:, :, :1], axis=(0, 1))
    result = _with_tests(result, (means, below, bounds), (variances, gap_variances, ceiling_variances), freedom)
    dual = drawn.resample == "dual"
    if not dual:
        result["similarity_interval"] = (_RESULT, percentile_interval(similarity[0], confidence))
        result["noise_ceiling_interval"] = ((BOUND, "limit"), percentile_interval(ceiling[0], confidence))
    result.attrs |= {"variance": "bootstrap", **_attrs_of("t" if dual else "percentile", drawn.units, freedom)}
    return result


def with_deletion_errors(result: xr.Dataset, deletions: Deletions, left: Evaluated) -> xr.Dataset:
    """Add the intervals and tests whose standard errors are jackknifed."""
    units, layers = deletions.draws.units, result.sizes[RDM]
    freedom = degrees_of_freedom(units, "dual")
    values, bounds = result["similarity"].values, result["noise_ceiling"].values
    whole, without = np.concatenate([values, bounds]), np.concatenate([left.similarity[0], left.ceiling[0]], axis=1)
    rows = jackknife_rows(whole, without, deletions)
    similarity, ceiling = rows[:, :layers], rows[:, layers:]
    spreads = (similarity, similarity - ceiling[:, :1], ceiling)
    over_similarity, over_gaps, over_ceiling = (jackknife_variance(some, deletions.components) for some in spreads)
    estimates = (values, values - bounds[0], bounds)
    result = _with_tests(result, estimates, (over_similarity, over_gaps, over_ceiling), freedom)
    result["similarity_jackknife"] = ((ROW, RDM), similarity)
    result["noise_ceiling_jackknife"] = ((ROW, BOUND), ceiling)
    result.attrs |= {"variance": "jackknife", **_attrs_of("t", units, freedom)}
    return result.assign_coords(component=(ROW, deletions.components))


def _with_tests(
    result: xr.Dataset, values: tuple[Floats, Floats, Floats], variances: tuple[Floats, Floats, Floats], freedom: int
) -> xr.Dataset:
    """Add the t tests and intervals of similarities, of their gaps to the lower ceiling, and of the ceiling."""
    confidence = float(result.attrs["confidence"])
    result["similarity_variance"] = (RDM, variances[0])
    result["similarity_interval"] = (_RESULT, t_interval(values[0], variances[0], freedom, confidence))
    result["noise_ceiling_interval"] = ((BOUND, "limit"), t_interval(values[2], variances[2], freedom, confidence))
    result["p_above_zero"] = (RDM, p_one_sided(values[0], variances[0], freedom))
    result["p_below_ceiling"] = (RDM, p_two_sided(values[1], variances[1], freedom))
    return result


def _attrs_of(interval_kind: str, units: tuple[int, int], freedom: int) -> dict[str, Any]:
    return {
        "interval_kind": interval_kind,
        "p_kind": "t",
        "stimuli": units[0],
        "participants": units[1],
        "degrees_of_freedom": freedom,
    }
