"""Leaving out stimuli and participants gives the variance of a similarity over samples of both."""

import re
from functools import cache
from itertools import combinations

import numpy as np
import pytest
import xarray as xr

from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.resampling import (
    COMPONENTS,
    FEWEST_UNITS,
    SOME_PAIRS,
    Deletions,
    jackknife_rows,
    leave_out,
    sampling_error,
)
from rsa_face.inference.results import resampled_of
from rsa_face.inference.rsa import compare_layers
from rsa_face.inference.statistics import bootstrap_variance, draws_of
from tests.inference.simulated import simulate

STIMULI, PEOPLE = 12, 5


def deletions_of(stimuli: int = STIMULI, people: int = PEOPLE) -> Deletions:
    return leave_out(np.eye(stimuli, dtype=np.int64), people)


def means_of(tables: np.ndarray, deletions: Deletions) -> np.ndarray:
    """Return the mean over pairs and participants with something left out."""
    rows, columns = np.triu_indices(tables.shape[1], 1)
    flat = tables[:, rows, columns]
    weights = deletions.draws.stimuli[:, rows] * deletions.draws.stimuli[:, columns]
    people = deletions.draws.participants
    return (np.einsum("dp,pk,dk->d", people, flat, weights) / (people.sum(axis=1) * weights.sum(axis=1)))[:, None]


def sums_of(left: np.ndarray, deletions: Deletions) -> list[float]:
    rows, components = jackknife_rows(left, deletions)
    return [np.square(rows[np.asarray(components) == name]).sum() for name in COMPONENTS]


def gone(counts: np.ndarray) -> set[tuple[int, ...]]:
    return {tuple(np.flatnonzero(row == 0).tolist()) for row in counts}


@pytest.mark.parametrize("stimuli", [6, 40])
def test_every_stimulus_participant_and_pair_is_left_out_up_to_forty_stimuli(stimuli: int) -> None:
    deletions = deletions_of(stimuli)
    sets = deletions.draws.stimuli[deletions.sets]
    assert (deletions.draws.participants[deletions.sets] == 1).all()
    pairs = set(combinations(range(stimuli), 2))
    assert gone(sets) == {(), *((one,) for one in range(stimuli)), *pairs}
    assert len(sets) == 1 + stimuli + len(pairs)
    alone = deletions.draws.participants[(deletions.draws.stimuli == 1).all(axis=1)]
    assert gone(alone) == {(), *((person,) for person in range(PEOPLE))}
    with_person = deletions.crossed[(deletions.crossed[:, 0] > 0) & (deletions.crossed[:, 0] <= stimuli)]
    assert len(with_person) == stimuli * PEOPLE  # each stimulus with each participant


@pytest.mark.parametrize("stimuli", [41, 200, 1000])
def test_of_many_stimuli_each_is_in_as_many_pairs_and_each_participant_in_as_many_deletions(stimuli: int) -> None:
    deletions = deletions_of(stimuli, people=8)
    assert len(deletions.pairs) <= SOME_PAIRS
    assert len({tuple(sorted(pair)) for pair in deletions.pairs.tolist()}) == len(deletions.pairs)
    times = np.bincount(deletions.pairs.ravel(), minlength=stimuli)
    assert times.max() - times.min() <= (0 if stimuli <= SOME_PAIRS else 2)
    people = np.bincount(deletions.crossed[deletions.crossed[:, 0] > stimuli, 1])
    assert people.max() - people.min() <= 1


def test_a_deletion_with_a_participant_leaves_out_the_same_stimuli_and_that_participant() -> None:
    deletions = deletions_of(50, people=20)
    sets, persons, draws = deletions.crossed.T
    drawn = deletions.draws
    np.testing.assert_array_equal(drawn.stimuli[draws], drawn.stimuli[deletions.sets[sets]])
    np.testing.assert_array_equal(np.argmin(drawn.participants[draws], axis=1), persons)
    np.testing.assert_array_equal(drawn.participants[draws].sum(axis=1), 19)
    # what differs in the participant alone is evaluated once
    assert len(drawn.alike) == len(deletions.sets)


def test_groups_are_left_out_with_all_their_stimuli() -> None:
    members = np.kron(np.eye(6, dtype=np.int64), np.ones((1, 2), dtype=np.int64))
    deletions = leave_out(members, 4)
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
    outcome, deletions = [], deletions_of()
    for seed in range(300):
        left = means_of(effects(chosen, np.random.default_rng([seed, 1])), deletions)
        s, p, sp, q, qp = sums_of(left, deletions)
        outcome.append(s + p - sp - q + qp)
    error = np.std(outcome) / np.sqrt(len(outcome))
    assert abs(np.mean(outcome) - truth) < 4 * error + 0.02 * truth


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_selection_of_pairs_has_the_variance_of_all_of_them_on_average(
    component: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = deletions_of(20)
    monkeypatch.setattr("rsa_face.inference.resampling.ALL_PAIRS", 60)
    monkeypatch.setattr("rsa_face.inference.resampling.SOME_PAIRS", 60)
    monkeypatch.setattr("rsa_face.inference.resampling.CROSSED", 40)
    some = deletions_of(20)
    assert len(some.pairs) == 60
    assert len(some.draws) < len(every.draws) / 2
    sums = []
    for seed in range(200):
        tables = effects((component,), np.random.default_rng([seed, 2]), stimuli=20)
        sums.append([sums_of(means_of(tables, each), each) for each in (every, some)])
    of_all, of_some = np.moveaxis(sums, 1, 0)
    error = (of_some - of_all).std(axis=0) / np.sqrt(len(sums))
    assert (abs((of_some - of_all).mean(axis=0)) < 4 * error + 1e-12).all()


def effects(chosen: tuple[str, ...], rng: np.random.Generator, stimuli: int = STIMULI) -> np.ndarray:
    tables = np.zeros((PEOPLE, stimuli, stimuli))
    stimulus, crossed = rng.normal(size=stimuli), rng.normal(size=(PEOPLE, stimuli))
    pair, every = rng.normal(size=(stimuli, stimuli)), rng.normal(size=(PEOPLE, stimuli, stimuli))
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


def test_the_variance_of_a_difference_is_that_of_its_own_deletions() -> None:
    rng, deletions = np.random.default_rng(0), deletions_of()
    left = rng.normal(size=(len(deletions.draws), 2))
    rows, components = jackknife_rows(left, deletions)
    of_difference = jackknife_rows(left[:, :1] - left[:, 1:], deletions)
    from_rows = sampling_error(rows[:, :1] - rows[:, 1:], components, (STIMULI, PEOPLE))
    np.testing.assert_allclose(from_rows, sampling_error(*of_difference, (STIMULI, PEOPLE)), rtol=1e-10)


def error_of(sums: list[float], units: tuple[int, int]) -> tuple[float, float]:
    variance, freedom = sampling_error(np.sqrt(np.array(sums)[:, None]), COMPONENTS, units)
    return float(variance[0]), float(freedom[0])


def test_variance_and_degrees_of_freedom_by_hand() -> None:
    # S - Q = 3.5; P - SP + QP = 1.25
    variance, freedom = error_of([4.0, 2.0, 1.0, 0.5, 0.25], (21, 6))
    assert variance == pytest.approx(4.75)
    of_stimuli = 20 * (3.5 / 4) ** 1.2
    assert freedom == pytest.approx(4.75**2 / (3.5**2 / of_stimuli + 2.0 * 2.0 / 5))
    # nothing but participants; nothing but stimuli
    assert error_of([0.0, 2.0, 0.0, 0.0, 0.0], (21, 6)) == pytest.approx((2.0, 5.0))
    assert error_of([2.0, 0.0, 0.0, 0.0, 0.0], (21, 6)) == pytest.approx((2.0, 20.0))
    # at least half of the stimuli's, and at least the participants'
    assert error_of([1.0, 0.0, 0.0, 0.9, 0.0], (21, 6)) == pytest.approx((0.5, 20 * 0.5**1.2))
    assert error_of([1.0, 2.0, 5.0, 1.5, 0.0], (21, 6))[0] == pytest.approx(2.0)


def test_degrees_of_freedom_change_little_where_the_sums_change_little() -> None:
    rng = np.random.default_rng(5)
    for _ in range(300):
        sums = rng.exponential(size=5)
        edges = [sums[0] - sums[3] - sums[0] / 2, sums[1] - sums[2] + sums[4]]
        for place, edge in zip((3, 2), edges, strict=True):  # onto the edges where one rule takes over from another
            moved = sums.copy()
            moved[place] += edge
            if moved[place] < 0:
                continue
            below, above = (
                error_of(list(np.maximum(moved + shift * np.eye(5)[place], 0)), (9, 4)) for shift in (-1e-9, 1e-9)
            )
            assert below == pytest.approx(above, rel=1e-6)


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
        remaining = np.delete(np.arange(9), place)
        rows, columns = np.triu_indices(8, 1)
        x, y = (each.values[:, remaining][:, :, remaining][:, rows, columns] for each in (rdms, human))
        values.append(compare_vectors(comparison, x, y).mean())
    pseudo = -8 * (np.array(values) - np.mean(values))
    assert np.square(alone).sum() == pytest.approx(np.square(pseudo).sum() / (9 * 8), rel=1e-9)


@pytest.mark.parametrize(
    ("stimuli", "people", "reason"),
    [
        (FEWEST_UNITS[0] - 1, 6, "4 stimuli"),
        (12, FEWEST_UNITS[1] - 1, "2 participants"),
        (4, 2, "4 stimuli .* and 2 p"),
    ],
)
def test_with_too_few_to_leave_out_the_draws_give_the_variance_and_the_result_says_so(
    stimuli: int, people: int, reason: str
) -> None:
    made = simulate({"alexnet/a": 0.5}, stimuli=stimuli, participants=people, rng=np.random.default_rng(2))
    with pytest.warns(UserWarning, match=reason):
        result = compare_layers(*made, comparison="corr", draws=40)
    assert result.attrs["variance"] == "bootstrap"
    assert re.search(reason, result.attrs["variance_reason"])
    drawn = bootstrap_variance(draws_of(result, "similarity_draws"), (stimuli, people), "dual")
    np.testing.assert_allclose(result["similarity_variance"], drawn)
    assert "variance_reason" not in compare_layers(*made, comparison="corr", draws=40, variance="bootstrap").attrs


def test_too_few_groups_are_named_as_groups() -> None:
    rdms, human = simulate({"alexnet/a": 0.5}, stimuli=12, participants=5, rng=np.random.default_rng(2))
    human = human.assign_coords(identity=("stimulus_i", np.repeat(["a", "b", "c", "d"], 3)))
    with pytest.warns(UserWarning, match="4 groups of 'identity'"):
        compare_layers(rdms, human, comparison="corr", draws=40, groups="identity")


def test_the_seed_of_the_draws_changes_no_jackknifed_error_with_or_without_missing_pairs() -> None:
    rdms, human = simulate({"alexnet/a": 0.5}, stimuli=15, participants=6, rng=np.random.default_rng(2))
    values = human.values.copy()
    for person, (row, column) in enumerate([(0, 1), (2, 3), (4, 5)]):
        values[person, row, column] = values[person, column, row] = np.nan
    for judged in (human, human.copy(data=values)):
        one, other = (compare_layers(rdms, judged, comparison="rho-a", draws=20, seed=seed) for seed in (0, 1))
        for name in ("similarity_variance", "similarity_interval", "degrees_of_freedom", "p_below_ceiling"):
            assert np.isfinite(one[name]).all()
            xr.testing.assert_allclose(one[name], other[name], rtol=1e-12)


def test_an_unknown_variance_is_refused_by_name() -> None:
    made = simulate({"alexnet/a": 0.5}, stimuli=8, participants=4, rng=np.random.default_rng(2))
    with pytest.raises(ValueError, match="'jacknife'"):
        compare_layers(*made, variance="jacknife")
