"""Tests reject no more often than they say, and sets hold what was planted; fewer simulations than the table's."""

import numpy as np
import pytest

from rsa_face.inference.rsa import compare_layers
from tests.benchmarks import grouped
from tests.benchmarks.calibration import rates, table
from tests.benchmarks.scenarios import PLANTED, one_result, shares
from tests.inference.simulated import between_groups, simulate, simulate_grouped

SIMULATIONS = 200
SIZE = (20, 40)
SLACK = 2.6 * np.sqrt(0.05 * 0.95 / SIMULATIONS)


def test_the_simulations_compute_draws_as_the_package_does() -> None:
    rdms, human = simulate(shares(PLANTED), participants=10, stimuli=20, rng=np.random.default_rng([3, 10, 20]))
    package = compare_layers(rdms, human, comparison="corr", resample="dual", draws=60, seed=3)
    quick, _, _ = one_result(PLANTED, (10, 20), 3, draws=60)
    for name, values in package.data_vars.items():
        np.testing.assert_allclose(quick[name], values, atol=1e-5, err_msg=str(name))  # products in float32


def test_the_grouped_simulations_compute_draws_as_the_package_does() -> None:
    rdms, human = simulate_grouped(5, 3, participants=4, rng=np.random.default_rng(0))
    for people in (human, between_groups(human)):
        package = compare_layers(rdms, people, comparison="corr", draws=40, groups="identity")
        quick = grouped.compared(rdms, people, "corr", "identity", 0, draws=40)
        for name, values in package.data_vars.items():
            np.testing.assert_allclose(quick[name], values, atol=1e-5, err_msg=str(name))


def test_the_table_has_a_star_for_a_rate_outside_its_bounds_and_none_for_a_warning() -> None:
    names = ["one difference: t, drawn by identity", "one difference: t, drawn one by one"]
    block = {"sums": dict.fromkeys(names, 0.2 * 20)}
    scenario, size = "identities x levels, equal layers, corr", (20, 6, 9)
    lines = list(table({(scenario, size, 0): block}, [scenario], [size]))
    assert lines[0] == "| | should be | 20 participants, 6 identities x 9 levels |"
    assert lines[3] == "| standard error of a rate of .05 | | 0.049 |"
    assert lines[4:] == [f"| {names[0]} | 0.03 to 0.065 | 0.200 * |", f"| {names[1]} |  | 0.200 |"]


@pytest.mark.slow
@pytest.mark.parametrize("design", [(20, 6, 9), (20, 12, 4)])
def test_equal_networks_differ_rarely_over_new_identities_and_intervals_hold(design: tuple[int, int, int]) -> None:
    outcome = rates("identities x levels, equal layers, corr", design, SIMULATIONS)
    assert outcome["one difference: t, drawn by identity"] < 0.065 + SLACK
    assert outcome["3 differences, any: largest t, drawn by identity"] < 0.05 + SLACK
    assert outcome["coverage: similarity, 95 % t interval, drawn by identity"] > 0.92
    assert outcome["one difference: t, drawn one by one"] > 0.08
    assert outcome["3 differences, any: largest t, drawn one by one"] > 0.08


@pytest.mark.slow
def test_where_nothing_is_similar_tests_rarely_reject() -> None:
    outcome = rates("no similarity", SIZE, SIMULATIONS)
    assert 0.03 < outcome["one layer above 0: shuffled labels"] < 0.065
    assert outcome["20 layers above 0, any: largest of shuffles"] < 0.05 + SLACK
    assert outcome["20 layers above 0, any: largest t"] < 0.05 + SLACK
    assert outcome["one layer above 0: t, jackknife"] < 0.065
    assert outcome["20 layers above 0, any: not corrected"] > 0.2


@pytest.mark.slow
def test_where_layers_are_equal_differences_are_rarely_found_and_intervals_cover() -> None:
    outcome = rates("equal layers", SIZE, SIMULATIONS)
    assert outcome["one difference: t, jackknife"] < 0.065
    assert outcome["10 differences, any: largest t"] < 0.05 + SLACK
    assert outcome["10 differences, any run: clusters of draws"] < 0.05 + SLACK
    assert outcome["coverage: similarity, 95 % t interval, jackknife"] > 0.92
    assert outcome["coverage: difference, 95 % t interval, jackknife"] > 0.92
    assert outcome["layer set: one of 10 equal peaks"] > 0.92


@pytest.mark.slow
def test_the_sets_hold_the_planted_layers() -> None:
    outcome = rates("planted onset", SIZE, SIMULATIONS)
    for target in ("peak", "above_baseline", "differs_from_baseline"):
        assert outcome[f"layer set: {target}"] > 0.95 - SLACK
    assert outcome["layers in the set: peak"] < 3


@pytest.mark.slow
@pytest.mark.parametrize("size", [(8, 16), SIZE])
def test_only_layers_that_reach_the_ceiling_are_said_to(size: tuple[int, int]) -> None:
    outcome = rates("to the ceiling", size, SIMULATIONS)
    for name in (
        "picked too early: reaches_ceiling",
        "picked though none is: reaches_ceiling",
        "picked though none is: reaches_ceiling, 8 layers at the margin",
    ):
        assert outcome[name] < 0.05 + SLACK, name
    assert outcome["layer set: reaches_ceiling"] > 0.95 - SLACK
    assert outcome["coverage: share of the ceiling, 95 % Fieller interval"] > 0.92
    assert outcome["coverage: half-way depth, 95 % interval"] > 0.92
