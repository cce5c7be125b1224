"""How similar each layer is to people, with its uncertainty and the noise ceiling."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rsa_face.inference.bootstrap import evaluate_draws
from rsa_face.inference.ceiling import ceiling_of, percentile_interval, refuse_one_participant
from rsa_face.inference.comparisons import COMPARISONS, comparable
from rsa_face.inference.distributed import evaluate_draws_on
from rsa_face.inference.draws import mean_over
from rsa_face.inference.resampling import Draws, draw_resamples
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
from rsa_face.schema import BOUND, BOUNDS, DRAW, PARTICIPANT, RDM, must_be_known

_RESULT = (RDM, BOUND)


def compare_layers(
    rdms: xr.DataArray,
    human: xr.DataArray,
    *,
    comparison: str = "rho-a",
    resample: str | None = "dual",
    draws: int = 1000,
    seed: int = 0,
    groups: str | None = None,
    resamples: Mapping[str, NDArray[Any]] | None = None,
    confidence: float = 0.95,
    memory: float = 2e9,
    device: str = "auto",
    cluster: str | None = None,
    progress: bool = False,
) -> xr.Dataset:
    """Compare every layer with every participant, and say how sure the result is.

    Conclusions about people in general need participants drawn, conclusions about faces in general need stimuli
    drawn; ``"dual"`` is for both, with the variance that holds its level (Schuett, Kipnis, Diedrichsen &
    Kriegeskorte 2023, 10.7554/eLife.82566). Definitions are rsatoolbox's: for the same draws the values are equal.
    From some 40 stimuli and 20 participants on, its t tests and intervals are about as sure as they say; with fewer
    they are too cautious, and `correct_layers` with the RDMs tests above zero by shuffled labels, which is exact.

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
        A coordinate along `stimulus_i`, such as ``identity``, whose values are drawn with all their stimuli.
    resamples : mapping of str to array of int, optional
        The draws to take instead, as in `draw_resamples`: positions in the order of `human`.
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
        `similarity_variance` (rdm), `noise_ceiling` (bound), `p_above_zero` (rdm), one-sided, and `p_below_ceiling`
        (rdm), two-sided as in rsatoolbox, against the lower bound; neither is corrected for the number of layers.
        With draws, also `p_above_zero_percentile` and `p_below_ceiling_percentile` (rdm), the share of draws on the
        other side, both one-sided; `similarity_draws` (draw, rdm), `noise_ceiling_draws` (draw, bound) and
        `noise_ceiling_interval` (bound, limit); for the dual bootstrap the draws over participants alone and stimuli
        alone beside them, with ``_participant`` and ``_stimulus`` in their names. Skipped draws are NaN, and
        counted in the attr `skipped`; draws thrown away and drawn again are counted in `redrawn`.

    Raises
    ------
    ValueError
        If the stimuli differ or are fewer than three, there is one participant only, an RDM cannot be compared, a
        choice is unknown, or the memory does not suffice.
    """
    must_be_known(comparison, COMPARISONS, "comparison")
    must_be_known(device, ("auto", "cpu", "cuda"), "device")
    _check_confidence(confidence)
    refuse_one_participant(human)
    rdms, human = comparable(rdms, human)
    x, y = to_vectors(rdms.values), to_vectors(human.values)
    result = _without_draws(rdms, human, COMPARISONS[comparison](x, y), ceiling_of(y, comparison))
    result.attrs = {
        "comparison": comparison,
        "measure": rdms.attrs.get("measure"),
        "resample": resample,
        "seed": seed,
        "confidence": confidence,
        "untrained": list(rdms.attrs.get("untrained", [])),
        "simulated": bool(rdms.attrs.get("simulated", False) or human.attrs.get("simulated", False)),
    }
    if resample is None:
        return _spread_over_people(result, human.sizes["stimulus_i"], confidence)
    drawn = draw_resamples(
        human, resample=resample, draws=draws, rng=rng_from(seed, "bootstrap"), groups=groups, resamples=resamples
    )
    settings: dict[str, Any] = {"comparison": comparison, "memory": memory, "progress": progress}
    if cluster is None:
        found = evaluate_draws(x, y, drawn, device=device, **settings)
    else:
        found = evaluate_draws_on(cluster, x, y, drawn, **settings)
    result.attrs |= {"draws": len(drawn), "redrawn": drawn.redrawn, "skipped": drawn.skipped, "groups": groups}
    return _spread_over_draws(result, drawn, found.similarity, found.ceiling)


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


def _spread_over_draws(result: xr.Dataset, drawn: Draws, similarity: Floats, ceiling: Floats) -> xr.Dataset:
    confidence = float(result.attrs["confidence"])
    freedom = degrees_of_freedom(drawn.units, drawn.resample)
    variances = bootstrap_variance(similarity, drawn.units, drawn.resample)
    gaps = similarity - ceiling[:, :, :1]
    below, gap_variances = np.nanmean(gaps, axis=(0, 1)), bootstrap_variance(gaps, drawn.units, drawn.resample)
    means = np.nanmean(similarity, axis=(0, 1))
    dual = drawn.resample == "dual"
    if dual:
        interval = t_interval(means, variances, freedom, confidence)
        ceiling_variance = bootstrap_variance(ceiling, drawn.units, drawn.resample)
        around = t_interval(np.nanmean(ceiling, axis=(0, 1)), ceiling_variance, freedom, confidence)
    else:
        interval = percentile_interval(similarity[0], confidence)
        around = percentile_interval(ceiling[0], confidence)
    result["similarity_variance"] = (RDM, variances)
    result["similarity_interval"] = (_RESULT, interval)
    result["noise_ceiling_interval"] = ((BOUND, "limit"), around)
    result["p_above_zero"] = (RDM, p_one_sided(means, variances, freedom))
    result["p_below_ceiling"] = (RDM, p_two_sided(below, gap_variances, freedom))
    result["p_above_zero_percentile"] = (RDM, p_from_draws(similarity[0]))
    result["p_below_ceiling_percentile"] = (RDM, p_from_draws(-gaps[0]))
    result.attrs["skipped"] = int(np.isnan(similarity).any(axis=(0, 2)).sum())
    for place, kind in enumerate(drawn.kinds):
        suffix = "" if place == 0 else f"_{kind}"
        result[f"similarity_draws{suffix}"] = ((DRAW, RDM), similarity[place])
        result[f"noise_ceiling_draws{suffix}"] = ((DRAW, BOUND), ceiling[place])
    result.attrs |= _attrs_of("t" if dual else "percentile", drawn.units, freedom)
    return result.assign_coords(limit=list(BOUNDS))


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
