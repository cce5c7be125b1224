"""Pooled curves borrow from the group as far as a participant's own choices are few."""

import numpy as np
import pytest

from rsa_face.psychophysics.psychometric import fit_psychometric

POOLED = {"pooling": "participants"}


def test_the_population_is_found(simulate):
    pses = np.random.default_rng(0).normal(0.514, 0.092, 80)
    fit = fit_psychometric(simulate(pses, 0.12, trials=10), POOLED, interval="none")
    mean, sd = fit["population_mean"].sel(pooled_parameter="pse"), fit["population_sd"].sel(pooled_parameter="pse")
    assert mean.item() == pytest.approx(pses.mean(), abs=0.01)
    assert sd.item() == pytest.approx(pses.std(), abs=0.015)
    assert fit.attrs["population_converged"]


def test_pooling_brings_few_trials_nearer_to_the_truth(simulate):
    pses = np.random.default_rng(3).normal(0.5, 0.06, 60)
    table = simulate(pses, 0.15, trials=2, seed=3)
    alone, pooled = (fit_psychometric(table, curve, interval="none")["pse"].values[:, 0] for curve in ({}, POOLED))
    there = np.isfinite(alone)
    assert np.abs(pooled - pses)[there].mean() < 0.8 * np.abs(alone - pses)[there].mean()


def test_many_trials_are_left_to_speak_for_themselves(simulate):
    table = simulate([0.35, 0.45, 0.55, 0.65], 0.12, trials=2000)
    alone, pooled = (fit_psychometric(table, curve, interval="none")["pse"] for curve in ({}, POOLED))
    np.testing.assert_allclose(alone, pooled, atol=0.003)


def test_each_occlusion_has_a_population_of_its_own(simulate):
    import pandas as pd

    table = pd.concat([simulate(np.full(12, 0.4), 0.1), simulate(np.full(12, 0.7), 0.1, occlusion="mouth")])
    mean = fit_psychometric(table, POOLED, interval="none")["population_mean"].sel(pooled_parameter="pse")
    np.testing.assert_allclose(mean.sel(occlusion=["none", "mouth"]), [0.4, 0.7], atol=0.02)


def test_a_separated_participant_gets_the_groups_width(simulate):
    import pandas as pd

    levels = np.array([0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0])
    step = pd.DataFrame({"participant": "step", "level": levels, "p_happy": (levels > 0.5) * 1.0, "trials": 2})
    table = pd.concat([simulate(np.linspace(0.4, 0.6, 20), 0.12, trials=20), step.assign(occlusion="none")])
    fit = fit_psychometric(table, POOLED)
    alone = fit_psychometric(table)
    here = {"participant": "step", "occlusion": "none"}
    assert alone["at_bound"].sel(**here, parameter="width", bound="lower").item()
    assert not fit["at_bound"].sel(**here, parameter="width").any()
    typical = np.exp(fit["population_mean"].sel(pooled_parameter="log_width").item())
    assert fit["width"].sel(**here).item() == pytest.approx(typical, rel=0.3)


def test_people_who_are_all_separated_alike_are_pooled_without_a_spread():
    import pandas as pd

    levels = np.linspace(-1, 1, 5)
    step = pd.DataFrame({"level": levels, "p_happy": (levels > 0) * 1.0, "trials": 4})
    fit = fit_psychometric(pd.concat([step.assign(participant=name) for name in "abc"]), POOLED)
    assert np.ptp(fit["pse"].values) < 1e-3
    assert (fit["status"] == "separated").all()
    assert fit["population_sd"].sel(pooled_parameter="log_width").item() == pytest.approx(0.01)


def test_a_pooled_fit_by_bootstrap_is_refused(simulate):
    with pytest.raises(ValueError, match="'bootstrap'"):
        fit_psychometric(simulate([0.4, 0.5], 0.1), POOLED, interval="bootstrap")
