"""Leaving out stimuli and participants gives the variance of a similarity over samples of both."""

from functools import cache

import numpy as np
import pytest
import xarray as xr

from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.jackknife import (
    COMPONENTS,
    FEWEST_UNITS,
    Deletions,
    jackknife_rows,
    jackknife_variance,
    leave_out,
)
from rsa_face.inference.results import resampled_of
from rsa_face.inference.rsa import compare_layers
from rsa_face.inference.uncertainty import bootstrap_variance, draws_of
from tests.inference.simulated import simulate

STIMULI, PEOPLE = 12, 5


def deletions_of(stimuli: int = STIMULI, people: int = PEOPLE, seed: int = 0) -> Deletions:
    return leave_out(np.eye(stimuli, dtype=np.int64), people, rng=np.random.default_rng(seed))


def means_of(tables: np.ndarray, deletions: Deletions) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean over pairs and participants, of everything and with something left out."""
    rows, columns = np.triu_indices(tables.shape[1], 1)
    flat = tables[:, rows, columns]
    left = []
    for stimuli, people in zip(deletions.draws.stimuli, deletions.draws.participants, strict=True):
        weights = stimuli[rows] * stimuli[columns]
        left.append((people @ flat @ weights) / (people.sum() * weights.sum()))
    return np.array([flat.mean()]), np.array(left)[:, None]


def test_each_stimulus_and_participant_and_sampled_combination_is_left_out_once() -> None:
    deletions = deletions_of()
    stimuli, people = deletions.draws.stimuli, deletions.draws.participants
    np.testing.assert_array_equal(stimuli[:STIMULI], 1 - np.eye(STIMULI))
    np.testing.assert_array_equal(people[:STIMULI], 1)
    np.testing.assert_array_equal(people[STIMULI : STIMULI + PEOPLE], 1 - np.eye(PEOPLE))
    np.testing.assert_array_equal(stimuli[STIMULI : STIMULI + PEOPLE], 1)
    two, one, other, both = stimuli[STIMULI + PEOPLE :].reshape(4, -1, STIMULI)
    np.testing.assert_array_equal(two, one * other)
    np.testing.assert_array_equal(two, both)
    assert (two.sum(axis=1) == STIMULI - 2).all()
    assert len(np.unique(two, axis=0)) == len(two)
    together = people[-len(two) :]
    np.testing.assert_array_equal(np.argmin(together, axis=1), deletions.people)
    np.testing.assert_array_equal(together.sum(axis=1), PEOPLE - 1)
    assert len(deletions.components) == STIMULI + PEOPLE + 4 * len(two)


def test_groups_are_left_out_with_all_their_stimuli() -> None:
    members = np.kron(np.eye(6, dtype=np.int64), np.ones((1, 2), dtype=np.int64))
    deletions = leave_out(members, 4, rng=np.random.default_rng(0))
    assert deletions.draws.units == (6, 4)
    pairs = deletions.draws.stimuli.reshape(-1, 6, 2)
    np.testing.assert_array_equal(pairs[:, :, 0], pairs[:, :, 1])


@pytest.mark.parametrize("component", [*COMPONENTS, "all"])
def test_the_variance_of_a_mean_over_pairs_is_right_on_average(component: str) -> None:
    """The mean over pairs and people of effects with known variances has a variance that can be written down."""
    pairs = STIMULI * (STIMULI - 1) / 2
    counts = dict(zip(COMPONENTS, (STIMULI / 4, PEOPLE, STIMULI * PEOPLE / 4, pairs, pairs * PEOPLE), strict=True))
    chosen = COMPONENTS if component == "all" else (component,)
    truth = sum(1 / counts[name] for name in chosen)
    found = []
    for seed in range(300):
        rng = np.random.default_rng([seed, 1])
        deletions = deletions_of(seed=seed)
        whole, left = means_of(effects(chosen, rng), deletions)
        rows = jackknife_rows(whole, left, deletions)
        s, p, sp, q, qp = (np.square(rows[np.asarray(deletions.components) == name]).sum() for name in COMPONENTS)
        found.append(s + p - sp - q + qp)
    error = np.std(found) / np.sqrt(len(found))
    assert abs(np.mean(found) - truth) < 4 * error + 0.02 * truth


def effects(chosen: tuple[str, ...], rng: np.random.Generator) -> np.ndarray:
    tables = np.zeros((PEOPLE, STIMULI, STIMULI))
    stimulus, crossed = rng.normal(size=STIMULI), rng.normal(size=(PEOPLE, STIMULI))
    pair, every = rng.normal(size=(STIMULI, STIMULI)), rng.normal(size=(PEOPLE, STIMULI, STIMULI))
    if "stimulus" in chosen:
        tables += stimulus[:, None] + stimulus
    if "participant" in chosen:
        tables += rng.normal(size=(PEOPLE, 1, 1))
    if "stimulus x participant" in chosen:
        tables += crossed[:, :, None] + crossed[:, None, :]
    if "pair" in chosen:
        tables += pair
    if "pair x participant" in chosen:
        tables += every
    return tables


def test_rows_of_a_difference_are_the_difference_of_rows() -> None:
    rng, deletions = np.random.default_rng(0), deletions_of()
    whole, left = rng.normal(size=2), rng.normal(size=(len(deletions.draws), 2))
    rows = jackknife_rows(whole, left, deletions)
    difference = jackknife_rows(whole[:1] - whole[1:], left[:, :1] - left[:, 1:], deletions)
    np.testing.assert_allclose(rows[:, :1] - rows[:, 1:], difference, atol=1e-12)


def test_the_variance_is_at_least_that_of_the_participants() -> None:
    components = [*COMPONENTS]
    rows = np.sqrt(np.array([[1.0], [2.0], [5.0], [1.5], [0.0]]))
    assert jackknife_variance(rows, components)[0] == pytest.approx(2.0)
    rows = np.sqrt(np.array([[4.0], [2.0], [1.0], [0.5], [0.25]]))
    assert jackknife_variance(rows, components)[0] == pytest.approx(4 + 2 - 1 - 0.5 + 0.25)


@cache
def compared(variance: str, seeds: int = 80) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return similarities, their variances, and those of differences, of samples from one population."""
    similarity, variances, of_difference = [], [], []
    for seed in range(seeds):
        shares = {"alexnet/a": 0.3, "alexnet/b": 0.3}
        rdms, human = simulate(shares, stimuli=20, participants=8, rng=np.random.default_rng([seed, 5]))
        result = compare_layers(rdms, human, comparison="corr", draws=60, seed=seed, variance=variance)
        similarity.append(result["similarity"].values)
        variances.append(result["similarity_variance"].values)
        weights = np.array([[1.0], [-1.0], [0.0], [0.0]])
        of_difference.append(resampled_of(result).spread(weights).error ** 2)
    return np.array(similarity), np.array(variances), np.array(of_difference)


def test_with_twenty_stimuli_the_jackknife_has_the_variance_of_samples_and_the_bootstrap_a_larger_one() -> None:
    similarity, jackknifed, of_difference = compared("jackknife")
    _, drawn, _ = compared("bootstrap")
    true = similarity.var(axis=0, ddof=1).mean()
    assert 0.75 < jackknifed.mean() / true < 1.3
    assert drawn.mean() > 1.1 * jackknifed.mean()
    difference = similarity[:, 0] - similarity[:, 1]
    assert 0.7 < of_difference.mean() / difference.var(ddof=1) < 1.4


@pytest.mark.parametrize("comparison", ["corr", "rho-a", "tau-a", "corr_cov"])
def test_what_is_left_out_is_what_a_loop_leaves_out(comparison: str) -> None:
    rdms, human = simulate({"alexnet/a": 0.5}, stimuli=9, participants=4, rng=np.random.default_rng(2))
    result = compare_layers(rdms, human, comparison=comparison, draws=20)
    alone = result["similarity_jackknife"].values[result["component"].values == "stimulus", 0]
    values = []
    for place in range(9):
        kept = np.delete(np.arange(9), place)
        rows, columns = np.triu_indices(8, 1)
        x, y = (each.values[:, kept][:, :, kept][:, rows, columns] for each in (rdms, human))
        values.append(compare_vectors(comparison, x, y).mean())
    pseudo = -8 * (np.array(values) - np.mean(values))
    np.testing.assert_allclose(alone, pseudo / np.sqrt(9 * 8), atol=1e-9)


@pytest.mark.parametrize(("stimuli", "people"), [(FEWEST_UNITS[0] - 1, 6), (12, FEWEST_UNITS[1] - 1)])
def test_with_too_few_to_leave_out_the_draws_give_the_variance_and_the_result_says_so(
    stimuli: int, people: int
) -> None:
    made = simulate({"alexnet/a": 0.5}, stimuli=stimuli, participants=people, rng=np.random.default_rng(2))
    result = compare_layers(*made, comparison="corr", draws=40)
    assert result.attrs["variance"] == "bootstrap"
    drawn = bootstrap_variance(draws_of(result, "similarity_draws"), (stimuli, people), "dual")
    np.testing.assert_allclose(result["similarity_variance"], drawn)


def test_missing_pairs_and_another_seed_of_draws_leave_the_errors_finite_and_alike() -> None:
    rdms, human = simulate({"alexnet/a": 0.5}, stimuli=15, participants=6, rng=np.random.default_rng(2))
    values = human.values.copy()
    for person, (row, column) in enumerate([(0, 1), (2, 3), (4, 5)]):
        values[person, row, column] = values[person, column, row] = np.nan
    missing = human.copy(data=values)
    one, other = (compare_layers(rdms, missing, comparison="rho-a", draws=20, seed=seed) for seed in (0, 1))
    assert np.isfinite(one["similarity_variance"]).all()
    xr.testing.assert_allclose(one["similarity_variance"], other["similarity_variance"], rtol=0.5)


def test_an_unknown_variance_is_refused_by_name() -> None:
    made = simulate({"alexnet/a": 0.5}, stimuli=8, participants=4, rng=np.random.default_rng(2))
    with pytest.raises(ValueError, match="'jacknife'"):
        compare_layers(*made, variance="jacknife")
