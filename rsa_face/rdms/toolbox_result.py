"""Hand a comparison of layers to rsatoolbox, whose plots and tests then work on it."""

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from rsatoolbox.inference.result import Result
from rsatoolbox.model.model import Model

from rsa_face.schema import DRAW, PARTICIPANT, RDM

_CALLED = {
    None: "fixed",
    "both": "bootstrap",
    "stimulus": "bootstrap_pattern",
    "participant": "bootstrap_rdm",
    "dual": "dual_bootstrap",
}
_BESIDE = ("", "_participant", "_stimulus")


def to_rsatoolbox_result(result: xr.Dataset) -> Result:
    """Turn a comparison into rsatoolbox's ``Result``.

    Each layer becomes a model that has its name alone. The draws are handed over as they are, so that rsatoolbox's
    own variances, tests and plots come from the same numbers.

    Parameters
    ----------
    result : Dataset
        What `compare_layers` returned. Not changed.

    Returns
    -------
    rsatoolbox.inference.Result
        With evaluations, noise ceiling, covariances and degrees of freedom laid out as rsatoolbox's ``eval_*`` do.

    Raises
    ------
    ValueError
        If the dataset is not a comparison of layers.
    """
    resample = result.attrs.get("resample")
    if "similarity" not in result or "participants" not in result.attrs or resample not in _CALLED:
        message = (
            f"A result must come from `compare_layers` to be handed to rsatoolbox, but this one holds "
            f"{sorted(map(str, result.data_vars))} and resample {resample!r}. Pass its Dataset whole."
        )
        raise ValueError(message)
    people = int(result.attrs["participants"])
    stimuli = int(result.attrs["stimuli"])
    evaluations, ceiling, variances = _fixed(result, people) if resample is None else _drawn(result)
    return Result(
        [Model(str(name)) for name in result[RDM].values],
        evaluations,
        method=result.attrs["comparison"],
        cv_method=_CALLED[resample],
        noise_ceiling=ceiling,
        variances=variances,
        dof=int(result.attrs["degrees_of_freedom"]),
        n_rdm=None if resample == "stimulus" else people,
        n_pattern=None if resample in (None, "participant") else stimuli,
    )


def _fixed(result: xr.Dataset, people: int) -> tuple[NDArray[np.float64], ...]:
    each = result["participant_similarity"].transpose(RDM, PARTICIPANT).values
    return each[None], result["noise_ceiling"].values, np.cov(each, ddof=0) / people


def _drawn(result: xr.Dataset) -> tuple[NDArray[np.float64], ...]:
    beside = _BESIDE if result.attrs["resample"] == "dual" else _BESIDE[:1]
    similarity, ceiling = (
        np.stack([result[f"{name}{each}"].transpose(DRAW, ...).values for each in beside], axis=-1)
        for name in ("similarity_draws", "noise_ceiling_draws")
    )
    usable = ~np.isnan(similarity).any(axis=(1, 2))
    both = np.concatenate([similarity, ceiling], axis=1)[usable]
    both = both - both.mean(axis=0)
    variances = np.einsum("dik,djk->kij", both, both) / (len(both) - 1)
    if len(beside) == 1:
        return similarity[..., 0], ceiling[..., 0].T, variances[0]
    return similarity[:, :, None, None], ceiling.transpose(1, 0, 2)[:, :, None], variances
