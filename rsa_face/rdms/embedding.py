"""Pictures of RDMs: stimuli as points (multidimensional scaling), and layers related to layers."""

import warnings

import numpy as np
import xarray as xr
from scipy import stats
from sklearn.manifold import smacof

from rsa_face.provenance import rng_from
from rsa_face.safety import first_of
from rsa_face.schema import (
    MEASURE,
    OTHER_MEASURES,
    RDM,
    STIMULUS,
    STIMULUS_I,
    STIMULUS_J,
    check_rdms,
    coords_along,
    factors_of,
    must_be_known,
    origin_of,
)

AXIS = "axis"


def embed_rdm(
    rdm: xr.DataArray, *, dims: int = 2, metric: bool = True, starts: int = 8, seed: int = 0
) -> xr.DataArray:
    """Place stimuli so that their distances follow their dissimilarities, or the order of these.

    Stress is what the picture gets wrong; it is kept with the points, since two dimensions can hold little of some
    RDMs. The best of several starts is taken, turned so that the first axis spreads most: what is left and right is
    otherwise arbitrary.

    Parameters
    ----------
    rdm : DataArray, dims (stimulus_i, stimulus_j)
        One RDM with every pair judged. Not changed.
    dims : {2, 3}
        Number of axes.
    metric : bool
        Whether distances follow the dissimilarities themselves (metric), or their ranks alone (non-metric).
    starts : int
        How many random starts are tried, beside classical scaling.
    seed : int
        The seed of the starts.

    Returns
    -------
    DataArray, dims (stimulus, axis)
        Points, centred, with the stimuli's factors; attrs `stress` (Kruskal's stress-1, 0 is perfect), `kind`
        (``metric`` or ``non-metric``), `rdm`, `starts`, `seed`.

    Raises
    ------
    ValueError
        If there are several RDMs, fewer stimuli than axes and one, a pair was never judged, or `dims` is not 2 or 3.

    Notes
    -----
    Stress-1 is the root of the squared differences between distances and what they should be, over the squared
    distances: Kruskal 1964, 10.1007/BF02289565; by majorisation, as scikit-learn does it: de Leeuw & Mair 2009,
    10.18637/jss.v031.i03.

    Examples
    --------
    >>> import rsa_face as rf
    >>> levels = rf.control_rdms(rf.example("demo").stimuli, ["level"])[0]
    >>> points = embed_rdm(levels, starts=1)
    >>> points.dims, round(points.attrs["stress"], 3)
    (('stimulus', 'axis'), 0.0)
    """
    # in the order of the stimuli's names, so that the random starts are the same wherever these stand
    by_name = np.argsort(rdm[STIMULUS_I].values.astype(str), kind="stable")
    values, rng = _checked(rdm, dims)[np.ix_(by_name, by_name)], rng_from(seed, "embedding")
    best, lowest = _classical(values, dims), np.inf
    for attempt in range(starts + 1):
        start = _classical(values, dims) if attempt == 0 else rng.normal(size=(len(values), dims)) * values.mean()
        points, stress = _scaled(values, start, metric=metric)
        if stress < lowest:
            best, lowest = points, stress
    coords = {STIMULUS: rdm[STIMULUS_I].values, AXIS: np.arange(1, dims + 1)}
    factors = {name: (STIMULUS, factor.values) for name, factor in factors_of(rdm).items()}
    label = str(rdm.coords["rdm"].item()) if "rdm" in rdm.coords else str(rdm.name or "")
    attrs = {name: rdm.attrs[name] for name in ("simulated", *origin_of(), "measure") if name in rdm.attrs}
    if MEASURE in rdm.coords:
        attrs["measure"] = str(rdm.coords[MEASURE].item())
        attrs[OTHER_MEASURES] = [name for name in rdm.attrs.get(OTHER_MEASURES, []) if name.startswith(f"{label}: ")]
    attrs |= {
        "stress": lowest,
        "kind": "metric" if metric else "non-metric",
        "rdm": label,
        "starts": starts,
        "seed": seed,
    }
    points = np.empty_like(best)
    points[by_name] = _turned(best)
    return xr.DataArray(points, coords | factors, (STIMULUS, AXIS), name="point", attrs=attrs)


def _checked(rdm: xr.DataArray, dims: int) -> np.ndarray:
    if dims not in (2, 3):
        message = f"An embedding has 2 or 3 dimensions, not {dims}. Set dims to 2 or 3."
        raise ValueError(message)
    if rdm.dims != (STIMULUS_I, STIMULUS_J):
        message = f"Only one RDM can be embedded at a time; this array has the dims {rdm.dims}. Select one of them."
        raise ValueError(message)
    values = np.asarray(rdm.values, dtype=float)
    if len(values) <= dims:
        message = f"Too few stimuli for {dims} dimensions: {len(values)}. Give {dims + 1} or more."
        raise ValueError(message)
    i, j = np.nonzero(np.isnan(values))
    if len(i):
        pairs = [
            f"({rdm[STIMULUS_I].values[a]}, {rdm[STIMULUS_I].values[b]})" for a, b in zip(i, j, strict=True) if a < b
        ]
        message = (
            f"{len(pairs)} pair(s) were never judged: {', '.join(pairs[:5])}. Select stimuli of which all pairs were."
        )
        raise ValueError(message)
    return np.asarray((values + values.T) / 2)


def _classical(values: np.ndarray, dims: int) -> np.ndarray:
    centring = np.eye(len(values)) - 1 / len(values)
    roots, vectors = np.linalg.eigh(-0.5 * centring @ values**2 @ centring)
    points = vectors[:, ::-1][:, :dims] * np.sqrt(np.maximum(roots[::-1][:dims], 0))
    return np.asarray(points + 1e-9 * values.mean() * np.linspace(-1, 1, points.size).reshape(points.shape))


def _scaled(values: np.ndarray, start: np.ndarray, *, metric: bool) -> tuple[np.ndarray, float]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        points, stress = smacof(
            values, metric=metric, n_components=start.shape[1], init=start, n_init=1, normalized_stress=True, eps=1e-9
        )[:2]
    return np.asarray(points), float(stress)


def _turned(points: np.ndarray) -> np.ndarray:
    centred = points - points.mean(axis=0)
    _, _, directions = np.linalg.svd(centred, full_matrices=False)
    turned = centred @ directions.T
    largest = turned[np.abs(turned).argmax(axis=0), np.arange(turned.shape[1])]
    return np.asarray(turned * np.where(largest < 0, -1, 1))


RDM_J = "rdm_j"
_WAYS = ("spearman", "corr", "cosine")


def relate_rdms(rdms: xr.DataArray, *, comparison: str = "spearman") -> xr.DataArray:
    """Compare every RDM with every other.

    Layers that arrange the stimuli alike are alike, whatever their units: this shows blocks within a network and
    correspondences between networks (Kriegeskorte, Mur & Bandettini 2008, 10.3389/neuro.06.004.2008).
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
    along = {name: (RDM, part.values) for name, part in coords_along(rdms, RDM).items()}
    beside = {f"{name}_j": (RDM_J, values) for name, (_, values) in along.items()}
    attrs = {
        name: rdms.attrs[name]
        for name in ("measure", OTHER_MEASURES, *origin_of(), "simulated")
        if name in rdms.attrs
    }
    values = np.clip(vectors @ vectors.T, -1, 1)
    np.fill_diagonal(values, 1)
    return xr.DataArray(
        values, along | beside, (RDM, RDM_J), name="similarity", attrs={**attrs, "comparison": comparison}
    )


def _check_values(vectors: np.ndarray, names: list[str]) -> None:
    unjudged = [name for name, values in zip(names, vectors, strict=True) if np.isnan(values).any()]
    if unjudged:
        message = f"Pairs without a dissimilarity in {first_of(unjudged)}. Leave these RDMs out."
        raise ValueError(message)
    flat = [name for name, values in zip(names, vectors, strict=True) if np.ptp(values) == 0]
    if flat:
        message = f"All dissimilarities are equal in {first_of(flat)}. Leave these RDMs out."
        raise ValueError(message)
