"""How similar each layer is to people, with its uncertainty and the noise ceiling."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rsa_face.inference.bootstrap import Evaluated, evaluate_draws
from rsa_face.inference.ceiling import ceiling_of, extrapolated_ceiling, percentile_interval, refuse_one_participant
from rsa_face.inference.comparisons import comparable, compare_vectors
from rsa_face.inference.distributed import evaluate_draws_on
from rsa_face.inference.draws import mean_over
from rsa_face.inference.jackknife import (
    FEWEST_UNITS,
    ROW,
    Deletions,
    deletions_of,
    jackknife_rows,
    jackknife_variance,
)
from rsa_face.inference.resampling import AUTO, Draws, choose_groups, draw_resamples
from rsa_face.inference.uncertainty import (
    bootstrap_variance,
    degrees_of_freedom,
    p_from_draws,
    p_one_sided,
    p_two_sided,
    t_interval,
    variance_over_people,
)
from rsa_face.inference.vectors import Floats, to_vectors
from rsa_face.provenance import rng_from
from rsa_face.schema import BOUND, BOUNDS, COMPARISONS, DRAW, OTHER_MEASURES, PARTICIPANT, RDM, must_be_known

VARIANCES = ("jackknife", "bootstrap")
"""Where the standard errors of a dual bootstrap come from."""

NO_TEST = "none: unrelated RDMs have cosines above 0, so that only shuffled labels test them"
"""What the attr `p_above_zero_kind` says where the comparison's 0 does not mean that there is no similarity."""

_RESULT = (RDM, BOUND)


def compare_layers(
    rdms: xr.DataArray,
    human: xr.DataArray,
    *,
    comparison: str = "rho-a",
    resample: str | None = "dual",
    draws: int = 1000,
    seed: int = 0,
    groups: str | None = AUTO,
    resamples: Mapping[str, NDArray[Any]] | None = None,
    variance: str = "jackknife",
    confidence: float = 0.95,
    memory: float = 2e9,
    device: str = "auto",
    cluster: str | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Compare every layer with every participant, and say how sure the result is.

    Conclusions about people in general need participants drawn, conclusions about faces in general need stimuli
    drawn; ``"dual"`` is for both (Schuett, Kipnis, Diedrichsen & Kriegeskorte 2023, 10.7554/eLife.82566). Definitions
    are rsatoolbox's: for the same draws the values are equal. The dual bootstrap's own variance is too large with
    fewer than some 40 stimuli, so the standard errors are jackknifed unless asked otherwise (README, calibration).

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs, of the same stimuli as the human RDMs in any order. Not changed.
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Human RDMs of two participants or more; NaN means never judged. Not changed.
    comparison : str
        One of cosine, corr, spearman, rho-a, tau-a, kendall (tau-b), corr_cov and cosine_cov.
    resample : str, optional
        What to draw: ``"stimulus"``, ``"participant"``, ``"both"`` or ``"dual"``. If None, the interval and the p
        values come from the spread over participants, and say nothing about other stimuli: where those vary too,
        unrelated layers pass for similar far more often than one in twenty times (README, calibration).
    draws : int
        How many draws.
    seed : int
        The study's seed.
    groups : str, optional
        A coordinate along `stimulus_i` whose values are drawn with all their stimuli, since images of one person are
        not independent. ``"auto"``: `identity`, where layer or human RDMs have it and an identity has two stimuli or
        more. None draws stimuli one by one, with a warning where ``"auto"`` would not. Five groups are needed for
        jackknifed errors, three to be drawn at all; of two identities, stimuli are drawn one by one, with a warning.
    resamples : mapping of str to array of int, optional
        The draws to take instead, as in `draw_resamples`: positions in the order of `human`.
    variance : str
        Where the standard errors of ``"dual"`` come from: ``"jackknife"``, stimuli and participants left out one and
        two at a time (`jackknife_variance`), or ``"bootstrap"``, the draws, as in rsatoolbox. Other ways to resample,
        and fewer than five stimuli (or groups) or three participants, always take the draws'.
    confidence : float
        Of the intervals, between 0 and 1.
    memory : float
        How much memory to use at most, in bytes.
    device : str
        ``"cpu"``, ``"cuda"``, or ``"auto"``: a graphics processor where there is one and the comparison runs there
        (cosine, corr, spearman and rho-a of RDMs without missing pairs).
    cluster : str, optional
        ``local:N`` or ``tcp://HOST:PORT``: hand the draws to dask workers, which compute on the CPU; the values are
        the same to the bit.
    progress : bool
        Whether to show a progress bar.

    Returns
    -------
    Dataset
        `similarity` (rdm), `participant_similarity` (rdm, participant), `similarity_interval` (rdm, bound),
        `similarity_variance` (rdm), `noise_ceiling` (bound) and `noise_ceiling_extrapolated`, that of ever more
        participants (`extrapolated_ceiling`), `p_above_zero` (rdm), one-sided, and `p_below_ceiling`
        (rdm), two-sided as in rsatoolbox, against the lower bound; neither is corrected for the number of layers.
        Cosines are above 0 for unrelated RDMs too, so cosine and cosine_cov come without `p_above_zero`:
        `correct_layers` shuffles labels for it. The attr `groups` names what stimuli were drawn by.
        With draws, also `p_above_zero_percentile` and `p_below_ceiling_percentile` (rdm), the share of draws on the
        other side, both one-sided; `similarity_draws` (draw, rdm), `noise_ceiling_draws` (draw, bound) and
        `noise_ceiling_interval` (bound, limit); for the dual bootstrap the draws over participants alone and stimuli
        alone beside them, with ``_participant`` and ``_stimulus`` in their names, and, where the standard errors are
        jackknifed, the rows they are made of (`similarity_jackknife`). The attr `variance` says where they come
        from. Skipped draws are NaN, and counted in the attr `skipped`; draws thrown away and drawn again are counted
        in `redrawn`.

    Raises
    ------
    ValueError
        If the stimuli differ or are fewer than three, there is one participant only, no participant judged pairs that
        others did, an RDM cannot be compared, a choice is unknown, or the memory does not suffice.
    """
    must_be_known(comparison, COMPARISONS, "comparison")
    must_be_known(device, ("auto", "cpu", "cuda"), "device")
    must_be_known(variance, VARIANCES, "variance")
    _check_confidence(confidence)
    refuse_one_participant(human)
    rdms, human = comparable(rdms, human)
    groups = choose_groups(human, groups)
    x, y = to_vectors(rdms.values), to_vectors(human.values)
    result = _without_draws(rdms, human, compare_vectors(comparison, x, y), ceiling_of(y, comparison))
    result["noise_ceiling_extrapolated"] = extrapolated_ceiling(float(result["noise_ceiling"][0]), y, comparison)
    result.attrs = {
        "comparison": comparison,
        "groups": groups,
        "measure": rdms.attrs.get("measure"),
        OTHER_MEASURES: list(rdms.attrs.get(OTHER_MEASURES, [])),
        "resample": resample,
        "seed": seed,
        "confidence": confidence,
        "untrained": list(rdms.attrs.get("untrained", [])),
        "simulated": bool(rdms.attrs.get("simulated", False) or human.attrs.get("simulated", False)),
    }
    if resample is None:
        return _offered(_spread_over_people(result, human.sizes["stimulus_i"], confidence))
    drawn = draw_resamples(
        human, resample=resample, draws=draws, rng=rng_from(seed, "bootstrap"), groups=groups, resamples=resamples
    )
    settings: dict[str, Any] = {"comparison": comparison, "memory": memory}

    def evaluated(some: Draws, *, progress: bool) -> Evaluated:
        if cluster is None:
            return evaluate_draws(x, y, some, device=device, progress=progress, **settings)
        return evaluate_draws_on(cluster, x, y, some, progress=progress, **settings)

    found = evaluated(drawn, progress=progress)
    result.attrs |= {"draws": len(drawn), "redrawn": drawn.redrawn, "skipped": drawn.skipped}
    result = _with_draws(result, drawn, found)
    enough = all(there >= fewest for there, fewest in zip(drawn.units, FEWEST_UNITS, strict=True))
    if variance == "bootstrap" or resample != "dual" or not enough:
        return _offered(_spread_over_draws(result, drawn, found))
    deletions = deletions_of(human, groups=groups, seed=seed)
    left = evaluated(deletions.draws, progress=False)
    return _offered(_spread_over_deletions(result, deletions, left))


def _offered(result: xr.Dataset) -> xr.Dataset:
    """Leave out the tests against 0 of a comparison whose 0 does not mean that there is no similarity."""
    if COMPARISONS[str(result.attrs["comparison"])].zero_is_none:
        return result
    tests = [name for name in ("p_above_zero", "p_above_zero_percentile") if name in result]
    return result.drop_vars(tests).assign_attrs(p_above_zero_kind=NO_TEST)


def _without_draws(rdms: xr.DataArray, human: xr.DataArray, each: Floats, ceiling: Floats) -> xr.Dataset:
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


def _spread_over_people(result: xr.Dataset, stimuli: int, confidence: float) -> xr.Dataset:
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


def _with_draws(result: xr.Dataset, drawn: Draws, found: Evaluated) -> xr.Dataset:
    similarity, ceiling = found.similarity, found.ceiling
    result["p_above_zero_percentile"] = (RDM, p_from_draws(similarity[0]))
    result["p_below_ceiling_percentile"] = (RDM, p_from_draws(ceiling[0, :, :1] - similarity[0]))
    result.attrs["skipped"] = int(np.isnan(similarity).any(axis=(0, 2)).sum())
    for place, kind in enumerate(drawn.kinds):
        suffix = "" if place == 0 else f"_{kind}"
        result[f"similarity_draws{suffix}"] = ((DRAW, RDM), similarity[place])
        result[f"noise_ceiling_draws{suffix}"] = ((DRAW, BOUND), ceiling[place])
    return result.assign_coords(limit=list(BOUNDS))


def _spread_over_draws(result: xr.Dataset, drawn: Draws, found: Evaluated) -> xr.Dataset:
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


def _spread_over_deletions(result: xr.Dataset, deletions: Deletions, left: Evaluated) -> xr.Dataset:
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


def _check_confidence(confidence: float) -> None:
    if not 0 < confidence < 1:
        message = f"The confidence must lie between 0 and 1, but is {confidence}. Give 0.95 for 95 %."
        raise ValueError(message)
