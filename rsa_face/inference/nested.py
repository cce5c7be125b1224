"""How similar a picked layer is to people, on stimuli and participants that did not pick it."""

from dataclasses import replace

import numpy as np
import xarray as xr
from jaxtyping import Float, Int

from rsa_face.inference.comparisons import comparable, compare_vectors
from rsa_face.inference.localization import TARGET
from rsa_face.inference.picking import bar_of, pick, questions
from rsa_face.inference.resampling import Draws
from rsa_face.inference.results import draws_again, layers_of, resampled_of
from rsa_face.inference.vectors import to_vectors
from rsa_face.schema import DRAW

FEWEST_LEFT_OUT = 3


def held_out_similarity(
    where: xr.Dataset, result: xr.Dataset, *, rdms: xr.DataArray, human: xr.DataArray
) -> xr.Dataset:
    """Evaluate the layer that each draw picks on the stimuli and participants that the draw left out.

    The best of many layers looks better than it is on the draw that chose it. About a third of stimuli and of
    participants are left out of any draw; they tell what the picked layer is worth to others. Where stimuli were
    drawn in groups, whole groups are left out.

    Parameters
    ----------
    where : Dataset, dims (target, layer)
        What `localize` returned for this result. Not changed.
    result : Dataset, dims (rdm, ...)
        The comparison it was made from, drawn by seed. Not changed.
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        The layer RDMs of that comparison. Not changed.
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        The human RDMs of that comparison, in the same order. Not changed.

    Returns
    -------
    Dataset
        `where`, with ``held_out_similarity (target)``, the mean over draws, ``held_out_draws (draw, target)``, NaN
        where a draw picked no layer or left out fewer than 3 stimuli or no participant, and ``held_out_used
        (target)``, how many draws count.

    Raises
    ------
    ValueError
        If the RDMs are not those of the result.
    """
    rdms, human = comparable(rdms, human)
    drawn = draws_again(result, rdms, human)
    picks = picks_within_draws(where, result)
    places = layers_of(result, str(where.attrs["network"]))
    layers, people = to_vectors(rdms.values)[places], to_vectors(human.values)
    values = left_out(layers, people, picks, drawn, comparison=str(result.attrs["comparison"]))
    used = (~np.isnan(values)).sum(axis=0)
    means = np.divide(np.nansum(values, axis=0), used, out=np.full(used.size, np.nan), where=used > 0)
    return where.assign(
        held_out_similarity=(TARGET, means),
        held_out_draws=((DRAW, TARGET), values),
        held_out_used=(TARGET, used),
    )


def picks_within_draws(where: xr.Dataset, result: xr.Dataset) -> Int[np.ndarray, "draw target"]:
    """Return the layer that each draw picks from its own values alone.

    Parameters
    ----------
    where : Dataset, dims (target, layer)
        What `localize` returned. Not changed.
    result : Dataset, dims (rdm, ...)
        The comparison. Not changed.

    Returns
    -------
    array, shape (draw, target)
        Places in the network, in order of depth; -1 where no layer is picked or the draw was skipped.
    """
    named = {name: where.attrs[name] for name in ("network", "baseline", "match", "margin", "ceiling_margin")}
    resampled = resampled_of(result)
    asked, _ = questions(result, **named)
    columns = []
    for target in where[TARGET].values:
        question = replace(asked[str(target)], tested=False)  # the best layer, whether or not it is above 0
        spread = question.spread(resampled)
        values = resampled.draws[0] @ question.weights
        skipped = np.isnan(values).any(axis=1)
        bar = bar_of(spread, confidence=float(where.attrs["confidence"]))
        picked = np.append(question.layers, -1)[pick(np.nan_to_num(values), spread, question, bar=bar)]
        columns.append(np.where(skipped, -1, picked))
    return np.stack(columns, axis=1)


def left_out(
    layers: Float[np.ndarray, "layer pair"],
    people: Float[np.ndarray, "participant pair"],
    picks: Int[np.ndarray, "draw target"],
    drawn: Draws,
    *,
    comparison: str,
) -> Float[np.ndarray, "draw target"]:
    """Return the mean similarity of picked layers over what each draw left out.

    What was not resampled is not left out: a bootstrap over participants evaluates on all stimuli.

    Parameters
    ----------
    layers : array, shape (layer, pair)
        Layer RDMs.
    people : array, shape (participant, pair)
        Human RDMs; NaN means never judged.
    picks : array, shape (draw, target)
        Places among the layers; -1 for none.
    drawn : Draws
        The draws.
    comparison : str
        How two RDMs are compared.

    Returns
    -------
    array, shape (draw, target)
        NaN where there is no pick, or too little was left out.
    """
    values = np.full(picks.shape, np.nan)
    for draw, row in enumerate(picks):
        stimuli, persons = _rest(drawn.stimuli[draw]), np.flatnonzero(_rest(drawn.participants[draw]))
        chosen = np.unique(row[row >= 0])
        if np.count_nonzero(stimuli) < FEWEST_LEFT_OUT or persons.size == 0 or chosen.size == 0:
            continue
        each = compare_vectors(comparison, layers[chosen], people[persons], stimuli)
        there = ~np.isnan(each)
        sums, counts = np.where(there, each, 0.0).sum(axis=1), there.sum(axis=1)
        means = np.divide(sums, counts, out=np.full(chosen.size, np.nan), where=counts > 0)
        values[draw, row >= 0] = means[np.searchsorted(chosen, row[row >= 0])]
    return values


def _rest(counts: Int[np.ndarray, " unit"]) -> Int[np.ndarray, " unit"]:
    everything = bool(np.all(counts == 1))
    return np.asarray(np.ones_like(counts) if everything else counts == 0, dtype=int)
