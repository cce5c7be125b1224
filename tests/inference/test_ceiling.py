"""The noise ceiling equals rsatoolbox's, says how sure it is, and needs two participants."""

import warnings

import numpy as np
import pytest
from rsatoolbox.inference import boot_noise_ceiling
from rsatoolbox.rdm import RDMs

import rsa_face as rf
from rsa_face.inference.ceiling import extrapolated_ceiling, percentile_interval
from rsa_face.inference.rsa import noise_ceiling
from rsa_face.schema import COMPARISONS
from tests.inference.conftest import make_vectors, to_array
from tests.inference.simulated import simulate


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("people", [2, 5])
def test_ceiling_equals_rsatoolbox(comparison, ties, people):
    _, y = make_vectors(9, 1, people, seed=people, ties=ties)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = boot_noise_ceiling(RDMs(y), method=comparison)
    outcome = noise_ceiling(to_array(y, "participant"), comparison=comparison, resample=None)
    np.testing.assert_allclose(outcome, expected, rtol=0, atol=1e-10)
    assert "interval_lower" not in outcome.coords


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_pairs_that_nobody_judged_are_left_out_as_in_rsatoolbox(comparison):
    _, y = make_vectors(9, 1, 4, seed=2, ties=True)
    y[:, [0, 3, 20]] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = boot_noise_ceiling(RDMs(y), method=comparison)
    outcome = noise_ceiling(to_array(y, "participant"), comparison=comparison, resample=None)
    np.testing.assert_allclose(outcome, expected, rtol=0, atol=1e-8)


def test_identical_participants_reach_a_ceiling_of_one():
    _, y = make_vectors(6, 1, 1, seed=0)
    outcome = noise_ceiling(to_array(np.repeat(y, 3, axis=0), "participant"), resample=None)
    np.testing.assert_allclose(outcome, [1, 1], atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "kind"), [({}, "t"), ({"resample": "both"}, "percentile"), ({"variance": "bootstrap"}, "t")]
)
def test_both_bounds_have_the_interval_that_a_comparison_gives_them(small, settings, kind):
    outcome = noise_ceiling(small[1], draws=40, **settings)
    table = rf.compare_layers(*small, draws=40, **settings)
    assert outcome.attrs["interval_kind"] == kind
    assert outcome.attrs["draws"] == 40
    assert (outcome["interval_lower"] < outcome["interval_upper"]).all()
    ends = np.stack([outcome["interval_lower"], outcome["interval_upper"]], axis=1)
    np.testing.assert_allclose(ends, table["noise_ceiling_interval"], rtol=1e-12)
    np.testing.assert_allclose(outcome, table["noise_ceiling"], rtol=1e-12)


def test_no_interval_is_given_where_nothing_is_resampled(small):
    outcome = noise_ceiling(small[1], resample=None)
    assert "interval_lower" not in outcome.coords
    assert outcome.attrs["resample"] is None


def test_one_participant_is_refused_by_name(small):
    with pytest.raises(ValueError, match=r"only \['participant1'\]"):
        noise_ceiling(small[1].isel(participant=[1]))


def test_percentile_interval_of_too_few_draws_has_no_bound():
    assert percentile_interval(np.arange(5.0)[:, None], 0.95).tolist() == [[-np.inf, np.inf]]
    assert percentile_interval(np.arange(99.0)[:, None], 0.9)[0].tolist() == pytest.approx([4, 94])


@pytest.mark.parametrize("comparison", ["corr", "rho-a", "cosine"])
def test_the_ceiling_of_many_people_is_foretold_by_few(comparison):
    lower, many = [], []
    for seed in range(12):
        _, human = simulate({"a/b": 0.3}, stimuli=20, participants=60, rng=np.random.default_rng(seed))
        some = [noise_ceiling(human[:people], comparison=comparison, resample=None) for people in (8, 15, 30, 60)]
        lower.append([float(one[0]) for one in some])
        many.append([one.attrs["extrapolated"] for one in some])
    lower, many = np.mean(lower, axis=0), np.mean(many, axis=0)
    assert (np.diff(lower) > 0).all()
    assert np.ptp(many) < 0.25 * np.ptp(lower)
    assert many[0] > lower[-1]


def test_the_ceiling_of_many_people_is_worked_by_hand():
    # four people who are similar by .25: three others have a mean of reliability .5, a lower bound of sqrt(.125)
    _, y = make_vectors(6, 1, 4, seed=0)
    assert extrapolated_ceiling(np.sqrt(0.125), y, "corr") == pytest.approx(0.5)
    y[0, ::2] = y[1, 1::2] = y[2:, :4] = np.nan  # fewer others for a pair, so each tells less of the rest
    assert extrapolated_ceiling(np.sqrt(0.125), y, "corr") > 0.5
    assert np.isnan(extrapolated_ceiling(-0.1, y, "corr"))
    assert np.isnan(extrapolated_ceiling(0.4, y, "tau-a"))
