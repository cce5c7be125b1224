"""Exchange RDMs and results with rsatoolbox, losing nothing either way; its own measures."""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import rsatoolbox.data
import rsatoolbox.data.noise
import rsatoolbox.io.meadows
import rsatoolbox.rdm
import xarray as xr
from numpy.typing import NDArray
from rsatoolbox.inference.result import Result
from rsatoolbox.model.model import Model

from rsa_face.safety import first_of
from rsa_face.schema import (
    DRAW,
    PARTICIPANT,
    RDM,
    STIMULUS,
    STIMULUS_I,
    STIMULUS_J,
    check_rdms,
    coords_along,
    has_sign,
    warn_implausible,
)


def to_rsatoolbox(rdms: xr.DataArray) -> rsatoolbox.rdm.RDMs:
    """Turn RDMs into rsatoolbox's class.

    Coords along the RDMs become its ``rdm_descriptors``, coords along the stimuli its ``pattern_descriptors``,
    attrs its ``descriptors``. Note that rsatoolbox's ``compare`` and ``eval_*`` go by position: align first.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j) or (participant, stimulus_i, stimulus_j)
        Layer or human RDMs. Not changed.

    Returns
    -------
    rsatoolbox.rdm.RDMs
        With dissimilarities in float64, in rsatoolbox's order (upper triangle, row by row).

    Examples
    --------
    >>> import rsa_face as rf
    >>> to_rsatoolbox(rf.example("demo").human).dissimilarities.shape
    (20, 1431)
    """
    along = str(rdms.dims[0])
    check_rdms(rdms, along=along)
    rows, columns = np.triu_indices(rdms.sizes[STIMULUS_I], k=1)
    patterns = {name: coord.values for name, coord in coords_along(rdms, STIMULUS_I).items()}
    patterns[STIMULUS] = patterns.pop(STIMULUS_I)
    described = {"along": along, "name": str(rdms.name or ""), "attrs": json.dumps(rdms.attrs, default=_plain)}
    return rsatoolbox.rdm.RDMs(
        np.asarray(rdms.values, dtype=np.float64)[:, rows, columns],
        dissimilarity_measure=rdms.attrs.get("measure"),
        descriptors=described,
        rdm_descriptors={str(name): coord.values for name, coord in rdms.coords.items() if coord.dims == (along,)},
        pattern_descriptors=patterns,
    )


def from_rsatoolbox(rdms: rsatoolbox.rdm.RDMs) -> xr.DataArray:
    """Turn rsatoolbox's RDMs into a labelled array.

    What `to_rsatoolbox` made comes back as it was. RDMs made elsewhere keep all descriptors; the stimulus ids are
    the descriptor ``stimulus``, ``stim``, ``conds`` or ``index``, whichever there is first.

    Parameters
    ----------
    rdms : rsatoolbox.rdm.RDMs
        One or more RDMs.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j) or (participant, stimulus_i, stimulus_j)
        The RDMs.

    Examples
    --------
    >>> import rsa_face as rf
    >>> human = rf.example("demo").human.drop_vars("coverage")  # it belongs to pairs
    >>> from_rsatoolbox(to_rsatoolbox(human)).equals(human)
    True
    """
    described = dict(rdms.descriptors)
    along = str(described.pop("along", RDM))
    name = described.pop("name", "") or None
    attrs = json.loads(described.pop("attrs", "{}")) | described
    if rdms.dissimilarity_measure is not None:
        attrs.setdefault("measure", rdms.dissimilarity_measure)
    patterns = {key: np.asarray(value) for key, value in rdms.pattern_descriptors.items()}
    which = next(key for key in (STIMULUS, "stim", "conds", "index") if key in patterns)
    ids = patterns.pop(which).astype(str).astype(object)
    groups = {key: np.asarray(value) for key, value in rdms.rdm_descriptors.items()}
    labels = groups.pop(along, groups.get("index", np.arange(rdms.n_rdm))).astype(str).astype(object)
    coords: dict[str, Any] = {along: labels, STIMULUS_I: ids, STIMULUS_J: ids}
    coords |= {key: (along, value) for key, value in groups.items() if key != "index"}
    coords |= {key: (STIMULUS_I, value) for key, value in patterns.items() if key != "index"}
    array = xr.DataArray(rdms.get_matrices(), coords, (along, STIMULUS_I, STIMULUS_J), name=name, attrs=attrs)
    warn_implausible(rdms.dissimilarities, list(labels), list(ids), "rsatoolbox's RDMs", signed=has_sign(attrs))
    return check_rdms(array, along=along)


def load_meadows(path: Path) -> tuple[list[str], list[str], list[str], np.ndarray] | None:
    """Read a file of Meadows Research by `rsatoolbox.io.meadows`."""
    try:
        rdms = rsatoolbox.io.meadows.load_rdms(str(path), sort=False)
    except (ValueError, KeyError, IndexError):
        return None
    people = [str(name) for name in rdms.rdm_descriptors["participant"]]
    tasks = rdms.rdm_descriptors.get("task", rdms.rdm_descriptors.get("task_index", [""] * len(people)))
    ids = [str(name) for name in rdms.pattern_descriptors["conds"]]
    return people, [str(task) for task in tasks], ids, np.asarray(rdms.dissimilarities, dtype=np.float64)


def calc_rdm(values: np.ndarray, measure: str) -> np.ndarray:
    """Compute one RDM by rsatoolbox's own ``calc_rdm``."""
    if measure not in ("correlation", "euclidean"):
        message = f"rsatoolbox has no measure {measure!r} of single patterns. Choose the engine 'gram'."
        raise ValueError(message)
    dataset = rsatoolbox.data.Dataset(values.reshape(len(values), -1).astype(np.float64))
    matrix: np.ndarray = rsatoolbox.rdm.calc_rdm(dataset, method=measure).get_matrices()[0]
    return matrix


@dataclass(frozen=True)
class Conditions:
    """Which condition, and which fold, each row of a layer presents."""

    rows: list[str]  # the condition of each row
    folds: list[str] | None  # the fold of each row
    # the conditions under ``stimulus``, in the order they first occur, and the factors that belong to them
    coords: Mapping[str, Any]


def condition_coords(
    stimuli: Mapping[Any, Any], conditions: str | None, folds: str | None, measures: Collection[str]
) -> Conditions:
    """Sort the rows of layers by what they present."""
    needed = {"conditions": conditions} | ({"folds": folds} if "crossnobis" in measures else {})
    measure = " and ".join(sorted(measures))
    known = [str(name) for name in stimuli]
    wrong = [f"{key} is {value!r}" for key, value in needed.items() if value not in known]
    if wrong:
        message = (
            f"{measure} needs to know which factors repeat a stimulus: {', '.join(wrong)}. Choose among {known}."
        )
        raise ValueError(message)
    rows = [str(value) for value in np.asarray(stimuli[conditions])]
    names = list(dict.fromkeys(rows))
    once = [name for name in names if rows.count(name) < 2]
    if once:
        message = f"{measure} needs each condition presented more than once; {first_of(once)} are presented once."
        raise ValueError(message)
    coords: dict[str, Any] = {STIMULUS: np.array(names, dtype=object)}
    for name in known:
        pairs = dict.fromkeys(zip(rows, np.asarray(stimuli[name]).tolist(), strict=True))
        if len(pairs) == len(names) and name not in (STIMULUS, conditions):
            coords[name] = np.array([value for _, value in pairs])
    return Conditions(rows, [str(value) for value in np.asarray(stimuli[folds])] if folds else None, coords)


def calc_noise_rdm(values: np.ndarray, conditions: Conditions, measure: str, memory: float) -> np.ndarray:
    """Compute one RDM in units of the noise between presentations, by rsatoolbox.

    The noise covariance is estimated from the presentations of each condition about their mean, and shrunk
    towards its diagonal (Ledoit & Wolf 2004, 10.1016/S0047-259X(03)00096-4); crossnobis is that of Walther et al.
    2016 (10.1016/j.neuroimage.2015.12.012).
    """
    flat = values.reshape(len(values), -1).astype(np.float64)
    needed = 4 * 8 * flat.shape[1] ** 2 / 2**30
    if needed > memory:
        message = (
            f"The covariance of {flat.shape[1]} features needs {needed:.3g} GiB of memory, more than {memory:g}. "
            "Pool or project the activations when extracting them, or allow more."
        )
        raise ValueError(message)
    if not np.isfinite(flat).all():
        message = (
            f"Activations are not finite in row {int(np.argmin(np.isfinite(flat).all(axis=1)))}. Check the weights."
        )
        raise ValueError(message)
    described = {"condition": conditions.rows} | ({"fold": conditions.folds} if conditions.folds else {})
    dataset = rsatoolbox.data.Dataset(flat, obs_descriptors=described)
    noise = rsatoolbox.data.noise.prec_from_measurements(dataset, obs_desc="condition")
    folds = {"cv_descriptor": "fold"} if measure == "crossnobis" else {}
    rdms = rsatoolbox.rdm.calc_rdm(dataset, method=measure, descriptor="condition", noise=noise, **folds)
    order = [list(rdms.pattern_descriptors["condition"]).index(name) for name in conditions.coords[STIMULUS]]
    matrix: np.ndarray = rdms.get_matrices()[0][np.ix_(order, order)]
    return matrix


def _plain(value: Any) -> Any:
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)


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
    """
    resample = result.attrs.get("resample")
    if "similarity" not in result or "participants" not in result.attrs or resample not in _CALLED:
        message = (
            f"Not a whole result of `compare_layers`: it holds {sorted(map(str, result.data_vars))} and resample "
            f"{resample!r}. Pass its Dataset as it was returned."
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
        dof={"stimulus": stimuli, "participant": people, None: people}.get(resample, min(people, stimuli)) - 1,
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
