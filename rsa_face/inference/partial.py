"""What a layer shares with people beyond pixels, level or identity: similarity given control RDMs."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import xarray as xr
from jaxtyping import Bool, Float, Int
from threadpoolctl import threadpool_limits

from rsa_face.inference.ceiling import percentile_interval
from rsa_face.inference.comparisons import FEWEST_PAIRS, alike, comparable
from rsa_face.inference.draws import mean_over
from rsa_face.inference.jackknife import Deletions, deletions_of, jackknife_rows, jackknife_variance
from rsa_face.inference.ranking import Sorted, double_ranks, sort_once
from rsa_face.inference.resampling import Draws
from rsa_face.inference.results import draws_again
from rsa_face.inference.uncertainty import bootstrap_variance, degrees_of_freedom, t_interval
from rsa_face.inference.vectors import pair_weights, stimuli_of, to_vectors
from rsa_face.rdms.align import align_stimuli
from rsa_face.schema import BOUND, COMPARISONS, DRAW, PARTICIPANT, RDM, check_rdms, must_be_known

METHODS = ("corr", "spearman", "rho-a")
_ROUNDING = 1e-10


def add_partial(
    result: xr.Dataset,
    *,
    rdms: xr.DataArray,
    human: xr.DataArray,
    controls: xr.DataArray,
    method: str | None = None,
) -> xr.Dataset:
    """Put the similarity that remains given control RDMs beside the raw one.

    A morph between two expressions changes everything along one line: pixels, level and every layer order the
    stimuli alike, and a raw similarity cannot tell them apart.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        What `compare_layers` returned. Not changed.
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Its layer RDMs. Not changed.
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Its human RDMs, in the same order; NaN means never judged. Not changed.
    controls : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Control RDMs, as `control_rdms` returns them. Not changed.
    method : str, optional
        ``"corr"``, ``"spearman"`` or ``"rho-a"``; what is nearest to the result's comparison if not given.

    Returns
    -------
    Dataset
        The result with ``partial_participant_similarity (rdm, participant)``, NaN where fewer pairs were judged than
        controls need, ``partial_similarity (rdm)``, its mean, and, by the result's own draws,
        ``partial_similarity_draws (draw, rdm)`` and ``partial_similarity_interval (rdm, bound)``;
        ``attrs["controls"]`` names the controls.

    Raises
    ------
    ValueError
        If stimuli differ, the RDMs are not those of the result, a control misses a pair, or the method is unknown.

    Notes
    -----
    Over the pairs a participant judged, layer, participant and controls are ranked (not for ``corr``), the controls
    are regressed out of both, and the residuals correlated. For ``rho-a`` the controls are taken out wholly, while
    ties of layer and participant lower the result as they lower rho-a: residual products are divided by the geometric
    mean of (n³ - n) / 12 less what the controls explain of each. Without ties it is the partial Spearman correlation;
    without controls it is rho-a.
    """
    rdms, human = comparable(rdms, human)
    controls = align_stimuli(
        check_rdms(controls, along=RDM, name="Control RDMs"), human, names=("controls", "people")
    )
    method = COMPARISONS[str(result.attrs["comparison"])].partial if method is None else method
    must_be_known(method, METHODS, "partial correlation")
    layers, people, given = (to_vectors(array.values) for array in (rdms, human, controls))
    _must_be_whole(controls, given)
    each = partial_similarity(layers, people, given, method=method)
    columns: dict[str, object] = {
        "partial_participant_similarity": ((RDM, PARTICIPANT), each),
        "partial_similarity": (RDM, mean_over(each, np.ones(each.shape[1]))),
    }
    if result.attrs.get("resample") is not None:
        drawn = draws_again(result, rdms, human)
        draws = partial_draws(layers, people, given, drawn, method=method)
        mean = mean_over(each, np.ones(each.shape[1]))
        left = None
        if result.attrs.get("variance") == "jackknife":
            deletions = deletions_of(human, groups=result.attrs.get("groups"), seed=int(result.attrs["seed"]))
            left = deletions, partial_draws(layers, people, given, deletions.draws, method=method)[0]
        interval = _interval(mean, draws, drawn, left, confidence=float(result.attrs["confidence"]))
        columns["partial_similarity_interval"] = ((RDM, BOUND), interval)
        for place, kind in enumerate(drawn.kinds):
            columns["partial_similarity_draws" + ("" if place == 0 else f"_{kind}")] = ((DRAW, RDM), draws[place])
    named = {"controls": [str(name) for name in controls[RDM].values], "partial_comparison": method}
    return result.assign(columns).assign_attrs(named)


def partial_similarity(
    layers: Float[np.ndarray, "rdm pair"],
    people: Float[np.ndarray, "participant pair"],
    controls: Float[np.ndarray, "control pair"],
    *,
    method: str,
    stimuli: Int[np.ndarray, " stimulus"] | None = None,
) -> Float[np.ndarray, "rdm participant"]:
    """Return the partial correlation of each layer with each participant.

    Parameters
    ----------
    layers : array, shape (rdm, pair)
        Layer RDMs.
    people : array, shape (participant, pair)
        Human RDMs; NaN means never judged.
    controls : array, shape (control, pair)
        Control RDMs.
    method : str
        One of `METHODS`.
    stimuli : array of int, shape (stimulus,), optional
        How often each stimulus was drawn; once if not given.

    Returns
    -------
    array, shape (rdm, participant)
        NaN where fewer than three pairs more than controls were judged; 0 where the controls leave nothing over.
    """
    drawn = np.ones(stimuli_of(layers.shape[1]), dtype=int) if stimuli is None else stimuli
    return _compare_ready(_ready(layers, people, controls, method), drawn)


@dataclass(frozen=True, eq=False)
class _Ready:
    """Layers, people and controls, one above the other, and where they are ranked sorted once for all draws."""

    values: Float[np.ndarray, "all pair"]
    once: Sorted | None
    judged: Bool[np.ndarray, "participant pair"]
    layers: int
    controls: int
    method: str


def _ready(
    layers: Float[np.ndarray, "rdm pair"],
    people: Float[np.ndarray, "participant pair"],
    controls: Float[np.ndarray, "control pair"],
    method: str,
) -> _Ready:
    values = np.concatenate([layers, controls, people])
    once = None if method == "corr" else sort_once(values)
    return _Ready(values, once, ~np.isnan(people), len(layers), len(controls), method)


def _compare_ready(ready: _Ready, stimuli: Int[np.ndarray, " stimulus"]) -> Float[np.ndarray, "rdm participant"]:
    weights = pair_weights(stimuli)
    found = np.full((ready.layers, len(ready.judged)), np.nan)
    given = ready.layers + ready.controls
    for members, judged in alike(ready.judged):
        shared = weights * judged
        if np.count_nonzero(shared) < FEWEST_PAIRS + ready.controls:
            continue
        chosen, total = _centred(ready, np.concatenate([np.arange(given), given + members]), shared)
        x, z, y = chosen[: ready.layers], chosen[ready.layers : given], chosen[given:]
        found[:, members] = _given(x, y, z, total, untied=ready.method == "rho-a")
    return found


def partial_draws(
    layers: Float[np.ndarray, "rdm pair"],
    people: Float[np.ndarray, "participant pair"],
    controls: Float[np.ndarray, "control pair"],
    drawn: Draws,
    *,
    method: str,
) -> Float[np.ndarray, "kind draw rdm"]:
    """Return the mean partial correlation of each layer in every draw.

    Parameters
    ----------
    layers : array, shape (rdm, pair)
        Layer RDMs.
    people : array, shape (participant, pair)
        Human RDMs; NaN means never judged.
    controls : array, shape (control, pair)
        Control RDMs.
    drawn : Draws
        The draws.
    method : str
        One of `METHODS`.

    Returns
    -------
    array, shape (kind, draw, rdm)
        In the order of ``drawn.kinds``; NaN in draws that were skipped.
    """
    values = np.full((len(drawn.kinds), len(drawn), layers.shape[0]), np.nan)
    ready = _ready(layers, people, controls, method)
    everything = _compare_ready(ready, np.ones(drawn.stimuli.shape[1], dtype=int))
    everyone = np.ones(people.shape[0])

    def run(draw: int) -> None:
        times = drawn.participants[draw]
        each = everything
        if drawn.kinds != (PARTICIPANT,):
            each = _compare_ready(ready, drawn.stimuli[draw])
        for place, kind in enumerate(drawn.kinds):
            of_kind = everything if kind == PARTICIPANT else each
            values[place, draw] = mean_over(of_kind, everyone if kind == "stimulus" else times)

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor() as pool:
        list(pool.map(run, np.flatnonzero(drawn.usable).tolist()))
    return values


def _centred(
    ready: _Ready, rows: Int[np.ndarray, " chosen"], weights: Float[np.ndarray, " pair"]
) -> tuple[Float[np.ndarray, "chosen kept"], float]:
    kept: Bool[np.ndarray, " pair"] = weights > 0
    if ready.once is None:
        values, heavy = ready.values[rows][:, kept], weights[kept]
    else:
        ranks, whole = double_ranks(Sorted(ready.once.order[rows], ready.once.tied[rows]), weights)
        values, heavy = ranks / 2, whole.astype(float)
    values = values - (values @ heavy / heavy.sum())[:, None]
    return values * np.sqrt(heavy), float(heavy.sum())


def _given(
    x: Float[np.ndarray, "rdm kept"],
    y: Float[np.ndarray, "participant kept"],
    z: Float[np.ndarray, "control kept"],
    total: float,
    *,
    untied: bool,
) -> Float[np.ndarray, "rdm participant"]:
    basis = _basis(z)
    on_x, on_y = x @ basis.T, y @ basis.T
    left_x, left_y = x - on_x @ basis, y - on_y @ basis
    whole_x, whole_y = ((values**2).sum(axis=1) for values in (x, y))
    if untied:
        full = (total**3 - total) / 12
        of_x, of_y = full - (on_x**2).sum(axis=1), full - (on_y**2).sum(axis=1)
    else:
        of_x, of_y = (left_x**2).sum(axis=1), (left_y**2).sum(axis=1)
    nothing_x = (left_x**2).sum(axis=1) <= _ROUNDING * whole_x
    nothing_y = (left_y**2).sum(axis=1) <= _ROUNDING * whole_y
    norms = np.sqrt(np.maximum(of_x, 0.0))[:, None] * np.sqrt(np.maximum(of_y, 0.0))[None, :]
    norms[nothing_x[:, None] | nothing_y[None, :]] = 0.0
    between = left_x @ left_y.T
    return np.asarray(np.divide(between, norms, out=np.zeros_like(between), where=norms > 0), dtype=float)


def _basis(z: Float[np.ndarray, "control kept"]) -> Float[np.ndarray, "basis kept"]:
    length = np.linalg.norm(z, axis=1, keepdims=True)
    scaled = np.divide(z, length, out=np.zeros_like(z), where=length > 0)
    _, values, directions = np.linalg.svd(scaled, full_matrices=False)
    return np.asarray(directions[values > np.sqrt(_ROUNDING)], dtype=float)


def _interval(
    mean: Float[np.ndarray, " rdm"],
    draws: Float[np.ndarray, "kind draw rdm"],
    drawn: Draws,
    left: tuple[Deletions, Float[np.ndarray, "deletion rdm"]] | None,
    *,
    confidence: float,
) -> Float[np.ndarray, "rdm 2"]:
    if drawn.resample != "dual":
        return np.asarray(percentile_interval(draws[0], confidence))
    if left is None:
        variances = bootstrap_variance(draws, drawn.units, drawn.resample)
    else:
        deletions, without = left
        variances = jackknife_variance(jackknife_rows(mean, without, deletions), deletions.components)
    return np.asarray(t_interval(mean, variances, degrees_of_freedom(drawn.units, drawn.resample), confidence))


def _must_be_whole(controls: xr.DataArray, vectors: Float[np.ndarray, "control pair"]) -> None:
    gaps = [
        f"{str(label)!r} lacks {int(np.isnan(vector).sum())} of {vector.size} pairs"
        for label, vector in zip(controls[RDM].values, vectors, strict=True)
        if np.isnan(vector).any()
    ]
    if gaps:
        message = f"A control must hold every pair, but {'; '.join(gaps[:20])}. Leave it out or complete it."
        raise ValueError(message)
