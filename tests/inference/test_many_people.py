"""Draws of many participants at once: means and ceilings from sums over participants are those of the definition."""

import numpy as np
import pytest

from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.draws import evaluate, evaluate_draws, prepare
from rsa_face.inference.kernels import double_ranks, pair_weights, sort_once
from rsa_face.inference.resampling import leave_out

PEOPLE, STIMULI, LAYERS = 7, 9, 3
COMPARED = ["rho-a", "spearman", "corr", "cosine"]


def vectors(rng, rows):
    """RDM vectors, half of them with many ties."""
    values = rng.random((rows, STIMULI * (STIMULI - 1) // 2))
    values[::2] = np.rint(4 * values[::2])
    return values


def by_definition(comparison, layers, people, stimuli, times):
    """Mean similarities and the two bounds, one participant after another."""
    drawn = np.flatnonzero(times)
    similarity = compare_vectors(comparison, layers, people, stimuli) @ times / times.sum()
    weights = pair_weights(stimuli)
    if comparison in ("rho-a", "spearman"):
        scaled = np.zeros_like(people)
        scaled[:, weights > 0] = double_ranks(sort_once(people), weights)[0]
    else:
        mean = people @ weights / weights.sum() if comparison == "corr" else np.zeros(len(people))
        off = people - mean[:, None]
        scaled = off / np.sqrt(off**2 @ weights)[:, None]
    bounds = []
    for person in drawn:
        own = times[person] * scaled[person] if len(drawn) > 1 else 0
        pools = np.stack([times @ scaled - own, times @ scaled])
        # sums that are equal but for rounding are ties
        pools = np.rint(pools * 2**30) / 2**30 if comparison in ("corr", "cosine") else pools
        bounds.append(compare_vectors(comparison, pools, people[person][None], stimuli)[:, 0])
    return similarity, np.mean(bounds, axis=0)


@pytest.mark.parametrize("comparison", COMPARED)
@pytest.mark.parametrize("times", [[1] * PEOPLE, [2, 0, 1, 3, 0, 1, 0], [0, 0, 0, 0, 0, 7, 0], [1, 1, 0, 1, 1, 1, 1]])
def test_a_draw_of_stimuli_and_participants_is_what_its_definition_says(comparison, times):
    rng = np.random.default_rng(3)
    layers, people = vectors(rng, LAYERS), vectors(rng, PEOPLE)
    answers = evaluate(prepare(layers, people, comparison), stimuli := np.bincount(rng.integers(0, STIMULI, STIMULI)))
    rows = np.array([times], dtype=float)
    similarity, bounds = by_definition(comparison, layers, people, stimuli, rows[0])
    np.testing.assert_allclose(answers.means(rows)[0], similarity, atol=1e-12)
    np.testing.assert_allclose(
        answers.bounds(rows)[0], bounds, atol=1e-8 if comparison in ("corr", "cosine") else 1e-12
    )


@pytest.mark.parametrize("comparison", COMPARED)
def test_leaving_out_each_participant_is_as_if_they_had_not_been_there(comparison):
    """Pools without two participants, and products of all participants, serve several deletions at once."""
    rng = np.random.default_rng(4)
    layers, people = vectors(rng, LAYERS), vectors(rng, PEOPLE)
    left = leave_out(np.eye(STIMULI, dtype=np.int64), PEOPLE)
    every = evaluate_draws(layers, people, left.draws, comparison=comparison)
    whole = np.ones(STIMULI, dtype=int)
    for set_, person, draw in left.crossed:
        if set_ > 0:
            continue
        others = np.delete(people, person, axis=0)
        alone = evaluate(prepare(layers, others, comparison), whole)
        ones = np.ones((1, PEOPLE - 1))
        np.testing.assert_allclose(every.similarity[0, draw], alone.means(ones)[0], atol=1e-12)
        np.testing.assert_allclose(every.ceiling[0, draw], alone.bounds(ones)[0], atol=1e-12)
