"""Correct a comparison's p values for the number of layers that were asked about."""

import numpy as np
import xarray as xr

from rsa_face.inference.results import LOWER_CEILING, resampled_of
from rsa_face.inference.significance import CORRECTIONS, correct
from rsa_face.inference.simultaneous import family_p
from rsa_face.schema import RDM, must_be_known

MAXIMUM = "max"


def correct_layers(result: xr.Dataset, *, method: str = MAXIMUM) -> xr.Dataset:
    """Put p values corrected over the planned family, every layer of the result, beside the raw ones.

    Leave layers that nobody asked about out of the comparison: each makes the bar higher for the others.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        What `compare_layers` returned. Not changed.
    method : str
        ``"max"``: the largest t over layers within each draw, which uses what neighbouring layers share and needs
        draws; ``"holm"``: holds the same family-wise error without draws; ``"fdr"``: Benjamini and Hochberg's, which
        holds the expected share of false claims instead.

    Returns
    -------
    Dataset
        The result with ``p_above_zero_corrected (rdm)`` and, with a noise ceiling, ``p_below_ceiling_corrected
        (rdm)``; ``attrs["correction"]`` names the method.

    Raises
    ------
    ValueError
        If the method is unknown, or needs draws that the result does not hold.
    """
    must_be_known(method, (MAXIMUM, *(name for name in CORRECTIONS if name != "none")), "correction")
    named = [name for name in ("p_above_zero", "p_below_ceiling") if name in result]
    if method != MAXIMUM:
        columns = {
            f"{name}_corrected": (RDM, correct(np.asarray(result[name].values, dtype=float), method=method))
            for name in named
        }
        return result.assign(columns).assign_attrs(correction=method)
    resampled, layers = resampled_of(result), result.sizes[RDM]
    identity = np.eye(resampled.estimate.size)
    families = {"p_above_zero": (identity[:, :layers], False)}
    if "noise_ceiling_draws" in result:
        families["p_below_ceiling"] = (identity[:, :layers] - identity[:, [LOWER_CEILING]], True)
    corrected = {
        f"{name}_corrected": (
            RDM,
            np.maximum(
                family_p(resampled.spread(families[name][0]), two_sided=families[name][1]),
                np.asarray(result[name].values, dtype=float),
            ),
        )
        for name in named
        if name in families
    }
    return result.assign(corrected).assign_attrs(correction=method)
