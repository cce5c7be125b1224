"""How alike layers are to one another: the similarity of every RDM with every other."""

import numpy as np
import xarray as xr
from scipy import stats

from rsa_face.schema import OTHER_MEASURES, RDM, check_rdms, must_be_known

RDM_J = "rdm_j"
_WAYS = ("spearman", "corr", "cosine")


def relate_rdms(rdms: xr.DataArray, *, comparison: str = "spearman") -> xr.DataArray:
    """Compare every RDM with every other.

    Layers that arrange the stimuli alike are alike, whatever their units: this shows blocks within a network and
    correspondences between networks (Kriegeskorte, Mur & Bandettini 2008, 10.3389/neuro.06.004.2008).

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        RDMs of the same stimuli, every pair judged. Not changed.
    comparison : {"spearman", "corr", "cosine"}
        Rank correlation with ties at their mean, Pearson correlation, or cosine of the dissimilarities.

    Returns
    -------
    DataArray, dims (rdm, rdm_j)
        Similarities, 1 on the diagonal; coordinates of `rdm` on both sides, those of the second with ``_j``.

    Raises
    ------
    ValueError
        If the comparison is unknown, a pair was never judged, or all dissimilarities of an RDM are equal.
    """
    must_be_known(comparison, _WAYS, "comparison of layers")
    check_rdms(rdms, along=RDM)
    i, j = np.triu_indices(rdms.sizes["stimulus_i"], k=1)
    vectors = np.asarray(rdms.values[:, i, j], dtype=float)
    _check_values(vectors, [str(name) for name in rdms[RDM].values])
    if comparison == "spearman":
        vectors = stats.rankdata(vectors, axis=1)
    if comparison != "cosine":
        vectors = vectors - vectors.mean(axis=1, keepdims=True)
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    along = {str(name): (RDM, part.values) for name, part in rdms.coords.items() if part.dims == (RDM,)}
    beside = {f"{name}_j": (RDM_J, values) for name, (_, values) in along.items()}
    attrs = {
        name: rdms.attrs[name] for name in ("measure", OTHER_MEASURES, "untrained", "simulated") if name in rdms.attrs
    }
    values = np.clip(vectors @ vectors.T, -1, 1)
    np.fill_diagonal(values, 1)
    return xr.DataArray(
        values, along | beside, (RDM, RDM_J), name="similarity", attrs={**attrs, "comparison": comparison}
    )


def _check_values(vectors: np.ndarray, names: list[str]) -> None:
    unjudged = [name for name, values in zip(names, vectors, strict=True) if np.isnan(values).any()]
    if unjudged:
        message = f"Every pair must have a dissimilarity to compare layers, but {unjudged[:8]} lack some."
        raise ValueError(message)
    flat = [name for name, values in zip(names, vectors, strict=True) if np.ptp(values) == 0]
    if flat:
        message = f"Dissimilarities must differ for layers to be compared, but those of {flat[:8]} are all equal."
        raise ValueError(message)
