"""Stimuli as points in a plane or in space, so that near means alike: multidimensional scaling of an RDM."""

import warnings

import numpy as np
import xarray as xr
from sklearn.manifold import smacof

from rsa_face.provenance import rng_from
from rsa_face.schema import MEASURE, OTHER_MEASURES, STIMULUS, STIMULUS_I, STIMULUS_J

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
    """
    values = _checked(rdm, dims)
    rng = rng_from(seed, "embedding")
    best, lowest = _classical(values, dims), np.inf
    for attempt in range(starts + 1):
        start = _classical(values, dims) if attempt == 0 else rng.normal(size=(len(values), dims)) * values.mean()
        points, stress = _scaled(values, start, metric=metric)
        if stress < lowest:
            best, lowest = points, stress
    coords = {STIMULUS: rdm[STIMULUS_I].values, AXIS: np.arange(1, dims + 1)}
    factors = {
        str(name): (STIMULUS, factor.values)
        for name, factor in rdm.coords.items()
        if factor.dims == (STIMULUS_I,) and name != STIMULUS_I
    }
    label = str(rdm.coords["rdm"].item()) if "rdm" in rdm.coords else str(rdm.name or "")
    attrs = {name: rdm.attrs[name] for name in ("simulated", "untrained", "measure") if name in rdm.attrs}
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
    return xr.DataArray(_turned(best), coords | factors, (STIMULUS, AXIS), name="point", attrs=attrs)


def _checked(rdm: xr.DataArray, dims: int) -> np.ndarray:
    if dims not in (2, 3):
        message = f"A picture has 2 or 3 dimensions, but {dims} were asked for. Ask for 2 or 3."
        raise ValueError(message)
    if rdm.dims != (STIMULUS_I, STIMULUS_J):
        message = f"One RDM can be embedded at a time, but this array has the dims {rdm.dims}. Select one of them."
        raise ValueError(message)
    values = np.asarray(rdm.values, dtype=float)
    if len(values) <= dims:
        message = f"An embedding in {dims} dimensions needs {dims + 1} stimuli or more, but there are {len(values)}."
        raise ValueError(message)
    i, j = np.nonzero(np.isnan(values))
    if len(i):
        pairs = [
            f"({rdm[STIMULUS_I].values[a]}, {rdm[STIMULUS_I].values[b]})" for a, b in zip(i, j, strict=True) if a < b
        ]
        message = f"Every pair must be judged to embed an RDM, but {len(pairs)} were not: {', '.join(pairs[:5])}."
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
