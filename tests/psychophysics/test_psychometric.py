"""Psychometric curves: known data give known numbers, and what cannot be fitted says why."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.special import ndtri
from scipy.stats import chi2

import rsa_face as rf
from rsa_face.psychophysics.psychometric import Curve, fit_psychometric

LEVELS = np.array([0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0])


def person(happy, trials=10, name="a", levels=LEVELS):
    share = np.asarray(happy) / trials
    return pd.DataFrame({"participant": name, "level": levels, "p_happy": share, "trials": trials})


def test_the_published_group_curve_has_the_laboratorys_pse_and_slope(group_curve):
    fit = fit_psychometric(group_curve, {"method": "least squares", "guess": (0, 0.5), "lapse": (0, 0.05)})
    assert fit["pse"].item() == pytest.approx(0.518, abs=0.01)
    assert fit["slope"].item() == pytest.approx(4.19, abs=0.1)
    assert fit["at_bound"].sel(parameter="lapse", bound="upper").item()
    assert "deviance" not in fit
    assert "pse_interval" not in fit


def test_the_files_of_the_published_curve_and_pses_hold_these_numbers(real_files, group_curve):
    folder = real_files / "published"
    shares = np.loadtxt(folder / "human-data-9point.csv")
    table = group_curve.assign(p_happy=shares)
    fit = fit_psychometric(table, {"method": "least squares", "guess": (0, 0.5), "lapse": (0, 0.05)})
    assert fit["pse"].item() == pytest.approx(0.518, abs=0.01)
    assert fit["slope"].item() == pytest.approx(4.19, abs=0.1)
    people = pd.read_csv(folder / "Human_PSE_40_Subjects.csv")
    assert people["PSE_u"].mean() == pytest.approx(0.514, abs=5e-4)
    assert people["PSE_u"].std() == pytest.approx(0.092, abs=5e-4)
    assert (people["Curve_SD_v"] < 0.1 + 1e-6).sum() == 24


def test_likelihood_and_least_squares_agree_on_the_pse_of_a_clean_curve(simulate):
    table = simulate([0.5], 0.12, trials=4000)
    likelihood, squares = (fit_psychometric(table, {"method": name}) for name in ("likelihood", "least squares"))
    assert likelihood["pse"].item() == pytest.approx(squares["pse"].item(), abs=0.01)
    assert likelihood["pse"].item() == pytest.approx(0.5, abs=0.01)
    assert likelihood["lapse"].item() == pytest.approx(0.03, abs=0.01)


@pytest.mark.parametrize("sigmoid", ["gaussian", "logistic"])
def test_each_observer_and_occlusion_has_a_curve_of_its_own(simulate, sigmoid):
    table = pd.concat([simulate([0.4, 0.6], 0.1), simulate([0.5, 0.7], 0.2, occlusion="mouth", seed=1)])
    fit = rf.fit_psychometric(table, {"sigmoid": sigmoid})
    assert fit["pse"].dims == ("participant", "occlusion")
    assert fit["occlusion"].values.tolist() == ["none", "mouth"]
    np.testing.assert_allclose(fit["pse"], [[0.4, 0.5], [0.6, 0.7]], atol=0.06)
    assert (fit["slope"].sel(occlusion="none") > fit["slope"].sel(occlusion="mouth")).all()
    assert (fit["pse_interval"].sel(bound="lower") < fit["pse"]).all()
    assert (fit["status"] == "fitted").all()


def test_the_pse_is_where_happy_is_chosen_half_the_time_and_the_midpoint_where_the_sigmoid_is(simulate):
    fit = fit_psychometric(simulate([0.5], 0.15, guess=0.1, lapse=0.0, trials=1000))
    at = [np.interp(fit[name].item(), fit["curve_level"], fit["curve"][0, 0]) for name in ("pse", "midpoint")]
    assert at == pytest.approx([0.5, 0.55], abs=5e-3)
    assert fit["midpoint"].item() == pytest.approx(0.5, abs=0.01)
    assert fit["pse"].item() == pytest.approx(0.5 + 0.15 * ndtri(0.4 / 0.9), abs=0.01)
    assert fit["crossing"].item() == fit["pse"].item()  # the old name


def test_pse_and_width_follow_the_scale_of_the_levels(simulate):
    table = simulate([0.45], 0.12)
    morph = fit_psychometric(table)
    signed = fit_psychometric(table.assign(level=2 * table["level"] - 1))
    assert signed["pse"].item() == pytest.approx(2 * morph["pse"].item() - 1, abs=1e-5)
    assert signed["width"].item() == pytest.approx(2 * morph["width"].item(), rel=1e-4)
    assert signed["slope"].item() == pytest.approx(morph["slope"].item() / 2, rel=1e-4)
    assert (morph.attrs["middle"], signed.attrs["middle"]) == (0.5, 0.0)


def test_a_step_is_separated_and_its_width_stands_at_the_bound():
    fit = fit_psychometric(person([0, 0, 0, 0, 0, 10, 10, 10, 10]))
    assert fit["status"].item() == "separated"
    assert fit["separated"].item()
    assert fit["at_bound"].sel(parameter="width", bound="lower").item()
    assert 0.5 < fit["pse"].item() < 0.6
    assert fit["width_open"].sel(bound="lower").item()
    assert fit["slope_open"].sel(bound="upper").item()


def test_a_bound_of_the_users_that_binds_is_flagged(simulate):
    fit = fit_psychometric(simulate([0.5], 0.04, trials=200), {"width": (0.4, 2.0), "guess": 0.0})
    assert fit["at_bound"].sel(parameter="width", bound="lower").item()
    assert fit["width"].item() == pytest.approx(0.4)
    assert not fit["at_bound"].sel(parameter="guess").any()


@pytest.mark.parametrize(
    ("happy", "status"),
    [([0] * 9, "constant"), ([10] * 9, "constant"), ([5] * 9, "constant"), ([10, 9, 8, 7, 5, 3, 2, 1, 0], "falling")],
)
def test_choices_that_hold_no_curve_say_why(happy, status):
    table = pd.concat([person(happy, name="odd"), person([0, 0, 1, 2, 5, 8, 9, 10, 10], name="usual")])
    fit = fit_psychometric(table)
    assert fit["status"].values.tolist() == [[status], ["fitted"]]
    assert np.isnan(fit["pse"].sel(participant="odd").item())
    assert np.isfinite(fit["pse"].sel(participant="usual").item())


def test_when_all_choices_are_the_same_there_is_no_curve_to_fit():
    with pytest.raises(ValueError, match=r"\['constant'\]"):
        fit_psychometric(person([10] * 9))


def test_levels_an_observer_was_not_shown_are_left_out_not_filled_in():
    whole = person([0, 0, 1, 2, 5, 8, 9, 10, 10])
    part = whole.drop(index=[3, 6]).assign(participant="b")
    few = whole.iloc[[0, 8]].assign(participant="c")
    fit = fit_psychometric(pd.concat([whole, part, few]))
    assert fit["n_trials"].sel(participant="b").values[0, [3, 6]].tolist() == [0, 0]
    assert np.isnan(fit["proportion"].sel(participant="b").values[0, 3])
    assert fit["status"].values.ravel().tolist() == ["fitted", "fitted", "few levels"]
    alone = fit_psychometric(part)
    assert fit["pse"].sel(participant="b").item() == pytest.approx(alone["pse"].item(), abs=2e-3)


def test_a_pse_beyond_the_levels_shown_is_undetermined():
    fit = fit_psychometric(person([0, 0, 0, 0, 0, 0, 1, 2, 4]))
    assert fit["status"].item() == "undetermined"
    assert fit["extrapolated"].item()
    assert fit["pse_fit"].item() > 1
    assert np.isnan([fit[name].item() for name in ("pse", "midpoint", "slope", "crossing")]).all()
    assert np.isfinite(fit["pse_interval"]).all()


@pytest.mark.parametrize("interval", ["posterior", "bootstrap", "none"])
def test_choices_that_leave_the_pse_open_have_none_whatever_the_intervals(interval):
    chance = person([1, 0, 1, 2, 0, 1, 2, 1, 1], trials=2, name="guesses")
    usual = person([0, 0, 1, 2, 5, 8, 9, 10, 10], name="usual")
    fit = fit_psychometric(pd.concat([chance, usual]), interval=interval, draws=30)
    assert fit["status"].values.ravel().tolist() == ["undetermined", "fitted"]
    assert np.isnan(fit["pse"].sel(participant="guesses").item())
    assert fit["pse"].mean("participant").item() == fit["pse"].sel(participant="usual").item()
    if interval == "posterior":
        wide = fit["pse_interval"].diff("bound").values.ravel() > 1.0  # the range of levels
        assert (wide | fit["pse_open"].any(["occlusion", "bound"]).values).tolist() == [True, False]


def test_a_network_that_never_favours_sad_has_no_pse():
    shares = {"high": 0.55 + 0.1 * LEVELS, "low": 0.35 + 0.1 * LEVELS, "right": 0.3 + 0.4 * LEVELS}
    table = pd.concat([pd.DataFrame({"network": n, "level": LEVELS, "p_happy": p}) for n, p in shares.items()])
    fit = fit_psychometric(table)
    assert fit["status"].values.ravel().tolist() == ["undetermined", "undetermined", "fitted"]
    assert np.isnan(fit["pse"].values.ravel()).tolist() == [True, True, False]
    assert fit["pse_fit"].values[0, 0] < 0 < 1 < fit["pse_fit"].values[1, 0]
    assert fit["pse"].sel(network="right").item() == pytest.approx(0.5, abs=1e-3)


def test_the_deviance_is_tested_by_simulation_where_chi_squared_would_be_wrong(simulate):
    fit = fit_psychometric(simulate(np.full(80, 0.5), 0.15, levels=np.linspace(0, 1, 21), trials=2), draws=200)
    p = fit["deviance_p"].values.ravel()
    assert 0.3 < p.mean() < 0.7
    assert (p <= 0.05).mean() <= 0.1
    # chi-squared with as many degrees of freedom as levels less parameters finds hardly any misfit in such data
    by_chi2 = chi2.sf(fit["deviance"].values.ravel(), 17)
    assert abs(by_chi2.mean() - 0.5) > 0.2
    assert fit.attrs["deviance_test"] == "simulated"
    lumpy = person([0, 5, 0, 8, 1, 9, 2, 10, 5])
    assert fit_psychometric(lumpy, draws=400)["deviance_p"].item() < 0.01


def test_the_bootstrap_is_the_same_for_the_same_seed(simulate):
    table = simulate([0.45, 0.55], 0.12)
    first, again, other = (fit_psychometric(table, interval="bootstrap", draws=60, seed=seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first["pse_draws"], again["pse_draws"])
    assert not np.allclose(first["pse_draws"], other["pse_draws"])
    assert first["pse_draws"].dims == ("draw", "participant", "occlusion")
    band = first["curve_interval"]
    assert (band.sel(bound="lower") <= band.sel(bound="upper")).all()
    assert first.attrs["deviance_test"] == "simulated"


def test_neither_the_order_of_rows_nor_who_else_is_in_the_table_changes_an_observers_numbers(simulate):
    choices = pd.concat(
        [
            simulate([0.4, 0.5, 0.55], 0.1, occlusion=occlusion, seed=seed)
            for seed, occlusion in enumerate(["none", "eyes"])
        ]
    )
    fit = fit_psychometric(choices, interval="bootstrap", draws=60)
    mixed = fit_psychometric(choices[::-1], interval="bootstrap", draws=60)
    assert mixed["participant"].values.tolist() != fit["participant"].values.tolist()
    alone = fit_psychometric(choices[choices["participant"] == "p001"], interval="bootstrap", draws=60)
    for name in ("deviance_p", "pse_draws", "pse_interval", "slope_interval", "curve_interval"):
        xr.testing.assert_allclose(mixed[name].reindex_like(fit[name]), fit[name], rtol=1e-9)
        xr.testing.assert_allclose(alone[name].sel(participant="p001"), fit[name].sel(participant="p001"), rtol=1e-9)


def test_simulated_choices_label_the_fit(simulate):
    table = simulate([0.5], 0.12)
    table["simulated"] = True
    assert fit_psychometric(table).attrs["simulated"] is True


def test_a_network_is_split_into_family_and_seed(simulate):
    table = simulate([0.45, 0.55], 0.12).drop(columns="trials")
    table["network"] = table.pop("participant").map({"p000": "alexnet/0", "p001": "alexnet/1"})
    fit = fit_psychometric(table)
    assert fit["pse"].dims == ("network", "occlusion")
    assert fit["family"].values.tolist() == ["alexnet", "alexnet"]
    assert fit["seed"].values.tolist() == [0, 1]
    assert fit.attrs["interval_kind"] == "none"


def test_a_fit_is_saved_and_loaded_whole(tmp_path, simulate):
    fit = fit_psychometric(simulate([0.5], 0.12))
    back = rf.load(rf.save(fit, tmp_path / "psychometric.nc"))
    assert back.attrs == fit.attrs
    np.testing.assert_array_equal(back["pse_interval"], fit["pse_interval"])
    assert back["status"].item() == "fitted"


def test_intervals_of_chances_are_refused(simulate):
    table = simulate([0.5], 0.12).drop(columns="trials")
    with pytest.raises(ValueError, match="by likelihood on chances"):
        fit_psychometric(table, interval="posterior")


def test_the_old_name_of_the_intervals_still_works(simulate):
    with pytest.warns(DeprecationWarning, match="'posterior'"):
        fit = fit_psychometric(simulate([0.5], 0.12), interval="profile", draws=20)
    assert fit.attrs["interval_kind"] == "posterior"


def test_an_impossible_curve_names_every_fault():
    with pytest.raises(ValueError, match=r"guess is \(0.2, 0.1\), .*; width is -1, not"):
        Curve(guess=(0.2, 0.1), lapse=0.7, width=-1, method="least squares", pooling="participants")
    with pytest.raises(ValueError, match=r"lapse is 0.7, above 0.5; width is 0.0, .*method is 'least squares'"):
        Curve(lapse=0.7, width=0, method="least squares", pooling="participants")
    with pytest.raises(ValueError, match="'weibull'"):
        Curve(sigmoid="weibull")
    with pytest.raises(ValueError, match="'wald'"):
        fit_psychometric(person([0, 0, 1, 2, 5, 8, 9, 10, 10]), interval="wald")


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
