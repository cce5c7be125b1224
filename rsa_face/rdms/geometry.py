"""The geometry of layers against layers, of two networks or seeds: how alike they arrange the stimuli.

All of it follows from the inner products of centred activations, and these from squared Euclidean distances.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy import stats

from rsa_face.schema import (
    DEPTH,
    LAYER,
    MEASURE,
    NETWORK,
    ORDER,
    RDM,
    check_rdms,
    must_be_known,
    origin_of,
)

Matrix = NDArray[np.float64]
LAYER_J = "layer_j"


def compare_networks(rdms: xr.DataArray, *, network: str, other: str) -> xr.Dataset:
    """Compare the geometry of every layer of a network with that of every layer of another.

    Two layers have the same geometry where one is the other turned, mirrored, shifted or scaled: then the debiased
    linear CKA is 1, the Procrustes distance 0, the rank correlation 1. Two seeds of one architecture show how far
    layers are determined by what they learn, and two architectures which layers correspond.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs of both networks of the measure ``euclidean``, from `compute_rdms` or `stream_rdms`. Not changed.
    network, other : str
        Two of its networks, or one and itself.

    Returns
    -------
    Dataset, dims (layer, layer_j)
        `cka`: at most 1, and 0 on average for unrelated layers, whatever the number of features. `procrustes`: 0 to
        2, of activations of norm 1. `rank_correlation`: Spearman's, of the dissimilarities. And `dimensionality`
        (layer) and `dimensionality_j` (layer_j), the participation ratio, from 1 to one less than the stimuli. Coords
        `depth` and `depth_j`; attrs `network` and `other`.

    Raises
    ------
    ValueError
        If a network is not there, RDMs are of another measure, lack pairs or have fewer than 4 stimuli, or a layer is
        the same for all stimuli.

    Notes
    -----
    CKA: Kornblith et al. 2019, arXiv 1905.00414, with the unbiased estimator of HSIC of Song et al. 2012 (JMLR 13),
    as in Nguyen, Raghu & Kornblith 2021, arXiv 2010.15327. Procrustes: Ding, Denain & Steinhardt 2021, arXiv
    2108.01661; the angular distance of Williams et al. 2021, arXiv 2110.14739, is the arc cosine of 1 - d / 2.
    Participation ratio: Gao et al. 2017, 10.1101/214262.

    Examples
    --------
    >>> import rsa_face as rf
    >>> stimuli = rf.example("demo").stimuli.select(identity="face01")
    >>> small = rf.Preprocessing(resize=64, crop=64)
    >>> one, two = (rf.build_network("alexnet", seed=i, preprocessing=small, label=f"alexnet/{i}") for i in (0, 1))
    >>> rdms = rf.stream_rdms([one, two], stimuli, measure="euclidean", layers=["relu1", "relu5"])
    >>> geometry = compare_networks(rdms, network="alexnet/0", other="alexnet/1")
    >>> geometry["cka"].sizes
    Frozen({'layer': 2, 'layer_j': 2})
    """
    check_rdms(rdms, along=RDM)
    one, two = (_layers_of(rdms, name) for name in (network, other))
    left, right = (list(np.asarray(part.values, dtype=float)) for part in (one, two))
    values: dict[str, Any] = {}
    for name, (prepare, compare) in _KERNELS.items():
        # each layer is prepared once, not again for each layer that it is compared with
        of_one, of_other = ([prepare(squared) for squared in layers] for layers in (left, right))
        values[name] = ((LAYER, LAYER_J), [[compare(a, b) for b in of_other] for a in of_one])
    values["dimensionality"] = (LAYER, [participation_ratio(a) for a in left])
    values["dimensionality_j"] = (LAYER_J, [participation_ratio(b) for b in right])
    coords: dict[str, Any] = {LAYER: one[LAYER].values, LAYER_J: two[LAYER].values}
    coords |= {DEPTH: (LAYER, one[DEPTH].values), f"{DEPTH}_j": (LAYER_J, two[DEPTH].values)}
    return xr.Dataset(values, coords, {"network": network, "other": other, **origin_of(rdms.attrs)})


def debiased_cka(squared: Matrix, other: Matrix) -> float:
    """Return the debiased linear CKA of two layers, from the squared distances of their stimuli."""
    return _cka(_with_norm(squared), _with_norm(other))


def procrustes_distance(squared: Matrix, other: Matrix) -> float:
    """Return the squared orthogonal Procrustes distance of two layers, centred and of norm 1."""
    return _residual(_activations(squared), _activations(other))


def participation_ratio(squared: Matrix) -> float:
    """Return over how many directions the activations of a layer are spread, from squared distances."""
    gram = _gram(squared)
    return float(np.trace(gram) ** 2 / (gram * gram).sum())


def _with_norm(squared: Matrix) -> tuple[Matrix, float]:
    return squared, float(np.sqrt(_hsic(squared, squared)))


def _cka(one: tuple[Matrix, float], other: tuple[Matrix, float]) -> float:
    return _hsic(one[0], other[0]) / (one[1] * other[1])


def _activations(squared: Matrix) -> Matrix:
    """Return activations of norm 1, but for a rotation, from the squared distances of their stimuli."""
    gram = _gram(squared)
    values, vectors = np.linalg.eigh(gram / np.trace(gram))
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)))


def _residual(one: Matrix, other: Matrix) -> float:
    nuclear = np.linalg.svd(one.T @ other, compute_uv=False).sum()
    return float(max(2 - 2 * nuclear, 0.0))


def _ranks(squared: Matrix) -> Matrix:
    """Return the centred ranks of the dissimilarities, of norm 1."""
    ranks = stats.rankdata(squared[np.triu_indices(len(squared), 1)])
    ranks -= ranks.mean()
    return np.asarray(ranks / (np.linalg.norm(ranks) or np.nan))  # NaN where all are equal


# What each layer is made into, and what two of these are compared by.
_KERNELS: dict[str, tuple[Callable[[Matrix], Any], Callable[[Any, Any], float]]] = {
    "cka": (_with_norm, _cka),
    "procrustes": (_activations, _residual),
    "rank_correlation": (_ranks, lambda one, other: float(one @ other)),
}


def _gram(squared: Matrix) -> Matrix:
    """Return the inner products of centred activations (double centring: Torgerson 1952, 10.1007/BF02288916)."""
    rows = squared - squared.mean(axis=0)
    return np.asarray(-0.5 * (rows - rows.mean(axis=1, keepdims=True)))


def _hsic(squared: Matrix, other: Matrix) -> float:
    """Return the unbiased HSIC of two layers (Song et al. 2012, equation 5).

    Inner products differ from -1/2 of the squared distances by a term for each row and one for each column, which the
    estimator takes out, as it does the diagonal.
    """
    count = len(squared)
    one, two = -0.5 * squared, -0.5 * other  # their diagonals are 0
    total = (one * two).sum()
    total += one.sum() * two.sum() / ((count - 1) * (count - 2))
    total -= 2 * (one.sum(axis=0) @ two.sum(axis=0)) / (count - 2)
    return float(total / (count * (count - 3)))


def _layers_of(rdms: xr.DataArray, network: str) -> xr.DataArray:
    names = rdms[NETWORK].values.astype(str)
    must_be_known(network, list(dict.fromkeys(names.tolist())), "network")
    part = rdms.isel({RDM: names == network})
    part = part.isel({RDM: np.argsort(part[ORDER].values, kind="stable")})
    measures = sorted(set(part[MEASURE].values.astype(str)) - {"euclidean"})
    if measures:
        message = f"RDMs of {network} are of the measure {', '.join(measures)}. Compute them by measure='euclidean'."
        raise ValueError(message)
    count = part.shape[1]
    if count < 4:
        message = f"{count} stimuli tell nothing of the geometry of layers. Give 4 or more."
        raise ValueError(message)
    bad = {
        "lack pairs": np.isnan(part.values).any(axis=(1, 2)),
        "are the same for all stimuli": (part.values == 0).all(axis=(1, 2)),
    }
    for what, which in bad.items():
        if which.any():
            message = f"Layers of {network} {what}: {part[LAYER].values[which].tolist()}. Leave them out."
            raise ValueError(message)
    return part
