"""What a layer shares with people beyond pixels, level or identity: similarity given control RDMs."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from threadpoolctl import threadpool_limits

from rsa_face.inference.ceiling import percentile_interval
from rsa_face.inference.comparisons import FEWEST_PAIRS, alike
from rsa_face.inference.draws import mean_over
from rsa_face.inference.jackknife import Deletions, jackknife_rows, sampling_error
from rsa_face.inference.ranking import Sorted, double_ranks, sort_once
from rsa_face.inference.resampling import Draws
from rsa_face.inference.uncertainty import bootstrap_variance, degrees_of_freedom, t_interval
from rsa_face.inference.vectors import pair_weights, stimuli_of
from rsa_face.schema import PARTICIPANT

METHODS = ("corr", "spearman", "rho-a")
_ROUNDING = 1e-10


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

    def run(alike: Int[np.ndarray, " draw"]) -> None:
        each = everything
        if drawn.kinds != (PARTICIPANT,):
            each = _compare_ready(ready, drawn.stimuli[alike[0]])
        for draw in alike:
            for place, kind in enumerate(drawn.kinds):
                of_kind = everything if kind == PARTICIPANT else each
                times = everyone if kind == "stimulus" else drawn.participants[draw]
                values[place, draw] = mean_over(of_kind, times)

    with threadpool_limits(1, user_api="blas"), ThreadPoolExecutor() as pool:
        list(pool.map(run, drawn.alike))
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


def partial_interval(
    mean: Float[np.ndarray, " rdm"],
    draws: Float[np.ndarray, "kind draw rdm"],
    drawn: Draws,
    left: tuple[Deletions, Float[np.ndarray, "deletion rdm"]] | None,
    *,
    confidence: float,
) -> Float[np.ndarray, "rdm 2"]:
    """Return the intervals of partial similarities, as those of the raw ones are made."""
    if drawn.resample != "dual":
        return np.asarray(percentile_interval(draws[0], confidence))
    if left is None:
        variances = bootstrap_variance(draws, drawn.units, drawn.resample)
        return t_interval(mean, variances, degrees_of_freedom(drawn.units, drawn.resample), confidence)
    deletions, without = left
    return t_interval(mean, *sampling_error(*jackknife_rows(without, deletions), drawn.units), confidence)
