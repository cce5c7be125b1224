"""How similar two RDMs are: the eight comparisons of rsatoolbox, with missing pairs left out for each participant."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from rsa_face.inference.kernels import (
    Floats,
    Truths,
    cosines,
    double_ranks,
    kept_in_order,
    metric_of,
    pair_weights,
    products,
    sort_once,
    stimuli_of,
    take,
    tau,
    to_vectors,
)
from rsa_face.inference.resampling import with_pairs
from rsa_face.rdms.align import align_stimuli
from rsa_face.safety import first_of
from rsa_face.schema import (
    COMPARISONS,
    PARTICIPANT,
    RDM,
    Array,
    check_rdms,
    coords_along,
    factors_of,
    library_of,
    must_be_known,
)

FEWEST_PAIRS = 3  # what three stimuli have; with fewer, any two RDMs agree or disagree by chance alone

Kernel = Callable[..., Floats]


def compare_rdms(rdms: xr.DataArray, human: xr.DataArray, *, comparison: str = "rho-a") -> xr.DataArray:
    """Compare each layer's RDM with each participant's.

    Stimuli are matched by id. A pair that a participant never judged is left out of that participant's similarity
    alone, and the layers are ranked again over the pairs that remain; filling such pairs in would make up data.
    """
    must_be_known(comparison, COMPARISONS, "comparison")
    rdms, human = comparable(rdms, human)
    values = compare_vectors(comparison, to_vectors(rdms.values), to_vectors(human.values))
    return label_similarity(values, rdms, human, comparison=comparison)


def label_similarity(values: Floats, rdms: xr.DataArray, human: xr.DataArray, *, comparison: str) -> xr.DataArray:
    """Return similarities with what is known of layers and participants."""
    coords = coords_along(rdms, RDM) | coords_along(human, PARTICIPANT)
    return xr.DataArray(values, coords, (RDM, PARTICIPANT), "similarity", {"comparison": comparison})


def comparable(rdms: xr.DataArray, human: xr.DataArray) -> tuple[xr.DataArray, xr.DataArray]:
    """Check that layers and people can be compared, and line their stimuli up."""
    check_rdms(human, along=PARTICIPANT, name="Human RDMs")
    check_rdms(rdms, along=RDM, name="Layer RDMs")
    rdms = align_stimuli(rdms, human, names=("layer RDMs", "human RDMs"))
    check_people(human, faults=faults_of_layers(rdms))
    human = with_pairs(human)
    return rdms, human.assign_coords({n: v for n, v in factors_of(rdms).items() if n not in human.coords})


def faults_of_layers(rdms: xr.DataArray) -> list[str]:
    """Return what keeps layer RDMs from being compared."""
    faults = []
    for label, vector in zip(rdms[RDM].values, to_vectors(rdms.values), strict=True):
        missing = int(np.isnan(vector).sum())
        if missing:
            faults.append(f"layer {str(label)!r} lacks {missing} of {len(vector)} pairs")
        elif len(vector) and vector.max() == vector.min():
            faults.append(f"layer {str(label)!r} has the same dissimilarity, {vector[0]:.6g}, for every pair")
    return faults


def check_people(human: xr.DataArray, *, faults: list[str] | None = None) -> None:
    """Refuse human RDMs that no similarity can be computed from."""
    faults = list(faults or [])
    count = human.sizes["stimulus_i"]
    if count < 3:
        message = (
            f"Too few stimuli to compare RDMs: {count} of the 3 needed, "
            f"{[str(value) for value in human['stimulus_i'].values]}. Use more stimuli."
        )
        raise ValueError(message)
    for label, vector in zip(human[PARTICIPANT].values, to_vectors(human.values), strict=True):
        judged = vector[~np.isnan(vector)]
        if len(judged) < FEWEST_PAIRS:
            faults.append(f"participant {str(label)!r} judged {len(judged) or 'none'} of {len(vector)} pairs")
        elif judged.max() == judged.min():
            faults.append(f"participant {str(label)!r} judged every pair the same, {judged[0]:.6g}")
    if faults:
        shown = first_of(faults, "; ")
        message = f"RDMs that do not vary over {FEWEST_PAIRS} pairs cannot be compared: {shown}. Leave these out."
        raise ValueError(message)


def _by_products(x: Floats, y: Floats, weights: Floats, stimuli: Floats, *, centred: bool, whitened: bool) -> Floats:
    metric = metric_of(weights, stimuli, centred=centred, whitened=whitened)
    return np.asarray(cosines(*products(take(x, metric), take(y, metric), metric)))


def _by_ranks(x: Floats, y: Floats, weights: Floats, _: Floats, *, tie_corrected: bool) -> Floats:
    ranks_x, counts = double_ranks(sort_once(x), weights)
    ranks_y = double_ranks(sort_once(y), weights)[0]
    return np.asarray(rank_correlation(ranks_x, ranks_y, counts.astype(np.float64), tie_corrected=tie_corrected))


def rank_correlation(x: Array, y: Array, weights: Array, *, tie_corrected: bool) -> Array:
    """Return Spearman's correlation of doubled ranks (..., rdm, pair) in a draw, corrected for ties or not.

    Not corrected it is rho-a, the mean over random ways of breaking ties (Schuett, Kipnis, Diedrichsen & Kriegeskorte
    2023, 10.7554/eLife.82566), so that an RDM gains nothing from having ties.
    """
    total = weights.sum(-1)[..., None, None]
    x, y = x - (total + 1), y - (total + 1)  # whole numbers still: up to some 400 stimuli the sums below are exact
    heavy = y * weights[..., None, :]
    between = x @ heavy.mT
    if not tie_corrected:
        return 3 * between / (total**3 - total)
    of_x = ((x * x) @ weights[..., None])[..., 0]
    return cosines(between, of_x, library_of(y).linalg.vecdot(heavy, y))


def _by_kendall(x: Floats, y: Floats, weights: Floats, _: Floats, *, tie_corrected: bool) -> Floats:
    once = sort_once(x)
    ranks_x, counts = double_ranks(once, weights)
    ranks_y = double_ranks(sort_once(y), weights)[0]
    return tau((ranks_x, kept_in_order(once, weights)), ranks_y, counts, tie_corrected=tie_corrected)


def compare_vectors(comparison: str, x: Floats, y: Floats, stimuli: NDArray[Any] | None = None) -> Floats:
    """Compare vectors of dissimilarities; pairs that are NaN on either side are left out of that comparison."""
    kernel = kernel_of(comparison)
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    drawn = np.ones(stimuli_of(x.shape[1])) if stimuli is None else np.asarray(stimuli, dtype=np.float64)
    weights = pair_weights(drawn)
    similarity = np.full((len(x), len(y)), np.nan)
    for rows, pairs_x in alike(~np.isnan(x)):
        for columns, pairs_y in alike(~np.isnan(y)):
            shared = weights * pairs_x * pairs_y
            if np.count_nonzero(shared) >= FEWEST_PAIRS:
                similarity[np.ix_(rows, columns)] = kernel(x[rows], y[columns], shared, drawn)
    return similarity


def kernel_of(comparison: str) -> Kernel:
    """Return the function that compares vectors without gaps, weighted by how often each pair was drawn."""
    row = COMPARISONS[comparison]
    if row.kernel is not None:
        return row.kernel
    if row.scores == "products":
        return partial(_by_products, centred=row.centred, whitened=row.whitened)
    by = _by_ranks if row.scores == "ranks" else _by_kendall
    return partial(by, tie_corrected=row.tie_corrected)


def alike(known: Truths) -> Iterator[tuple[NDArray[np.int64], Truths]]:
    """Yield the groups of RDMs that have the same pairs."""
    if known.all():
        yield np.arange(len(known)), np.ones(known.shape[1], dtype=bool)
        return
    groups: dict[bytes, list[int]] = {}
    for place, packed in enumerate(np.packbits(known, axis=1)):
        groups.setdefault(packed.tobytes(), []).append(place)
    for members in groups.values():
        yield np.array(members), known[members[0]]
