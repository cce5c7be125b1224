"""How human-like networks choose: worked by hand, and with uncertainty over people and seeds."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import stats
from scipy.special import ndtr
from sklearn.metrics import cohen_kappa_score

from rsa_face.psychophysics.likeness import (
    MEASURES,
    error_consistency,
    human_likeness,
    kappa_of_errors,
    trials_for_consistency,
)
from rsa_face.psychophysics.psychometric import fit_psychometric

LEVELS = np.linspace(0, 1, 11)
EXACT = {"guess": 0.0, "lapse": 0.0}


def table_of(column, curves, occlusion="none"):
    """Return exact chances of observers with (pse, sd)."""
    parts = [
        pd.DataFrame(
            {
                column: name,
                "level": LEVELS,
                "stimulus": [f"{occlusion}{place}" for place in range(11)],
                "p_happy": ndtr((LEVELS - pse) / sd),
                "occlusion": occlusion,
            }
        )
        for name, (pse, sd) in curves.items()
    ]
    return pd.concat(parts, ignore_index=True)


@pytest.fixture(scope="module")
def people():
    unmasked = table_of("participant", {"a": (0.4, 0.1), "b": (0.5, 0.1), "c": (0.6, 0.1)})
    masked = table_of("participant", {"a": (0.5, 0.2), "b": (0.6, 0.2), "c": (0.7, 0.2)}, "mouth")
    return pd.concat([unmasked, masked])


@pytest.fixture(scope="module")
def networks():
    unmasked = table_of("network", {"alexnet/0": (0.6, 0.05), "alexnet/1": (0.7, 0.05), "fe_alexnet": (0.5, 0.1)})
    masked = table_of(
        "network", {"alexnet/0": (0.6, 0.1), "alexnet/1": (0.7, 0.1), "fe_alexnet": (0.6, 0.2)}, "mouth"
    )
    return pd.concat([unmasked, masked])


@pytest.fixture(scope="module")
def table(people, networks):
    return human_likeness(fit_psychometric(people, EXACT), fit_psychometric(networks, EXACT), draws=400)


def test_distances_by_hand(table):
    unmasked, masked = table.sel(occlusion="none"), table.sel(occlusion="mouth")
    np.testing.assert_allclose(unmasked["delta_pse"], [0.1, 0.2, 0], atol=1e-4)
    np.testing.assert_allclose(unmasked["slope_ratio"], [2, 2, 1], rtol=1e-3)
    np.testing.assert_allclose(unmasked["pse_z"], [1, 2, 0], atol=1e-2)  # the people's SD is .1
    np.testing.assert_allclose(masked["pse_shift"], [0, 0, 0.1], atol=1e-4)
    np.testing.assert_allclose(masked["pse_shift_difference"], [-0.1, -0.1, 0], atol=1e-4)
    np.testing.assert_allclose(masked["slope_change"], [0.5, 0.5, 0.5], rtol=1e-3)
    np.testing.assert_allclose(masked["slope_change_ratio"], [1, 1, 1], rtol=1e-3)


def test_the_curve_is_compared_with_the_mean_of_peoples_choices(table):
    mean = ndtr((LEVELS - np.array([[0.4], [0.5], [0.6]])) / 0.1).mean(axis=0)
    away = ndtr((LEVELS - 0.6) / 0.05) - mean
    here = table.sel(network="alexnet/0", occlusion="none")
    assert here["rmse"].item() == pytest.approx(np.sqrt((away**2).mean()), abs=1e-6)
    assert here["r2"].item() == pytest.approx(1 - (away**2).sum() / ((mean - mean.mean()) ** 2).sum(), abs=1e-6)


def test_a_network_that_chooses_as_people_do_stands_at_the_values_that_say_so(people, networks):
    twin = table_of("network", {"twin": (0.5, 0.1)})
    same = pd.concat([table_of("participant", dict.fromkeys("abc", (0.5, 0.1)))])
    found = human_likeness(fit_psychometric(same, EXACT), fit_psychometric(twin, EXACT), draws=20)
    for name in ("delta_pse", "slope_ratio", "rmse", "r2"):
        assert found[name].item() == pytest.approx(MEASURES[name], abs=1e-4)
    assert np.isnan(found["pse_z"].item())  # people who do not differ have no SD to count in


def test_families_average_their_seeds_and_one_seed_is_never_forty_people(table):
    unmasked = table.sel(occlusion="none")
    assert table["n_seeds"].to_series().to_dict() == {"alexnet": 2, "fe_alexnet": 1}
    np.testing.assert_allclose(unmasked["family_delta_pse"].sel(family="alexnet"), 0.15, atol=1e-4)
    widths = unmasked["family_delta_pse_interval"].sel(bound="upper") - unmasked["family_delta_pse_interval"].sel(
        bound="lower"
    )
    own = unmasked["delta_pse_interval"].sel(bound="upper") - unmasked["delta_pse_interval"].sel(bound="lower")
    assert widths.sel(family="alexnet").item() > own.sel(network="alexnet/0").item()
    assert widths.sel(family="fe_alexnet").item() == pytest.approx(own.sel(network="fe_alexnet").item(), abs=1e-9)
    assert table["family_delta_pse_draws"].dims == ("draw", "family", "occlusion")


def test_the_interval_over_participants_is_that_of_their_mean(people, networks):
    many = table_of("participant", {f"p{n}": (pse, 0.1) for n, pse in enumerate(np.linspace(0.3, 0.7, 40))})
    fits = fit_psychometric(many, EXACT), fit_psychometric(networks, EXACT)
    found = human_likeness(*fits, draws=4000)["delta_pse_interval"].sel(network="fe_alexnet", occlusion="none")
    half = stats.t.isf(0.025, 39) * np.linspace(0.3, 0.7, 40).std(ddof=1) / np.sqrt(40)
    np.testing.assert_allclose(found, [-half, half], atol=0.04 * half)


def fitted(dim, pse, slope):
    """Return what a fit would say of observers whose curves are known."""
    chosen = ndtr((LEVELS - pse[:, None]) * slope[:, None])
    fit = xr.Dataset(
        {
            "pse": ((dim, "occlusion"), pse[:, None]),
            "slope": ((dim, "occlusion"), slope[:, None]),
            "proportion": ((dim, "occlusion", "level"), chosen[:, None]),
        },
        {dim: [f"{dim} {place}" for place in range(len(pse))], "occlusion": ["none"], "level": LEVELS},
        {"level_scale": "morph"},
    )
    seeds = {"family": (dim, ["net"] * len(pse)), "seed": (dim, np.arange(len(pse)))}
    return fit.assign_coords(seeds if dim == "network" else {})


@pytest.mark.parametrize(("people", "seeds"), [(20, 3), (6, 2)])
def test_intervals_over_few_seeds_and_people_cover_the_difference_of_all_there_could_be(people, seeds):
    inside = {"delta_pse": [], "slope_ratio": []}
    truth = {"delta_pse": 0.12, "slope_ratio": 1.75}
    for simulation in range(100):
        rng = np.random.default_rng([simulation, people, seeds])
        humans = fitted("participant", rng.normal(0.5, 0.08, people), 8 * np.exp(0.3 * rng.normal(size=people)))
        machines = fitted("network", rng.normal(0.62, 0.06, seeds), 14 * np.exp(0.25 * rng.normal(size=seeds)))
        found = human_likeness(humans, machines, draws=100, seed=simulation)
        for name, hits in inside.items():
            lower, upper = found[f"family_{name}_interval"].values[0, 0]
            hits.append(lower <= truth[name] <= upper)
    for hits in inside.values():  # seeds drawn with replacement covered .71 to .85
        assert np.mean(hits) > 0.93


def test_limits_stay_where_a_measure_can_be():
    humans = fitted("participant", np.array([0.5, 0.51, 0.49]), np.array([8.0, 8.1, 7.9]))
    machines = fitted("network", np.array([0.5, 0.56]), np.array([8.0, 9.0]))
    found = human_likeness(humans, machines, draws=50)
    assert found["family_rmse_interval"].min() == 0
    assert found["family_r2_interval"].max() == 1


def test_people_are_drawn_by_name_in_whatever_order_they_stand():
    humans, machines = (fitted(dim, np.linspace(-0.3, 0.5, 6), np.ones(6)) for dim in ("participant", "network"))
    one, other = (
        human_likeness(each, machines, draws=30) for each in (humans, humans.isel(participant=slice(None, None, -1)))
    )
    xr.testing.assert_allclose(one["rmse_draws"], other["rmse_draws"], rtol=0, atol=1e-10)


def test_draws_handed_in_are_the_ones_taken(people, networks):
    fits = fit_psychometric(people, EXACT), fit_psychometric(networks, EXACT)
    only_first = human_likeness(*fits, resamples={"participant": np.zeros((5, 3), dtype=int)})
    drawn = only_first["family_delta_pse_draws"].sel(family="fe_alexnet", occlusion="none")
    np.testing.assert_allclose(drawn, 0.1, atol=1e-4)
    with pytest.raises(ValueError, match="from 0 to 7"):
        human_likeness(*fits, resamples={"participant": np.array([[0, 7, 1]])})


def test_people_are_measured_against_the_other_people(table):
    np.testing.assert_allclose(table["human_delta_pse"].sel(occlusion="none"), [-0.15, 0, 0.15], atol=1e-4)


def test_error_consistency_is_averaged_over_people(people, networks):
    kappa = error_consistency(networks, people)
    found = human_likeness(
        fit_psychometric(people, EXACT), fit_psychometric(networks, EXACT), consistency=kappa, draws=50
    )
    here = found["error_consistency"].sel(network="alexnet/1", occlusion="none").item()
    assert here == pytest.approx(kappa.sel(network="alexnet/1", occlusion="none").mean("participant").item())


def test_simulated_people_label_the_table(people, networks):
    people = people.assign(simulated=True)
    found = human_likeness(fit_psychometric(people, EXACT), fit_psychometric(networks, EXACT), draws=10)
    assert found.attrs["simulated"] is True


def test_a_curve_that_was_not_fitted_is_left_out_of_the_mean(people, networks):
    odd = table_of("participant", {"d": (0.5, 0.1)}).assign(p_happy=1.0)
    fits = fit_psychometric(pd.concat([people, odd]), EXACT), fit_psychometric(networks, EXACT)
    found = human_likeness(*fits, draws=50)
    np.testing.assert_allclose(found["delta_pse"].sel(occlusion="none"), [0.1, 0.2, 0], atol=1e-4)
    assert found["n_participants"].sel(occlusion="none").item() == 3


def test_seeds_without_a_pse_on_either_side_are_not_averaged_to_a_human_like_one(people):
    curves = {
        "fe_alexnet/0": (3.0, 0.5),
        "fe_alexnet/1": (-2.0, 0.5),
        "alexnet/0": (0.6, 0.1),
        "alexnet/1": (0.7, 0.1),
    }
    fits = fit_psychometric(people, EXACT), fit_psychometric(table_of("network", curves), EXACT)
    table = human_likeness(*fits, draws=50).sel(occlusion="none")
    assert np.isnan(table["delta_pse"].sel(network=["fe_alexnet/0", "fe_alexnet/1"])).all()
    family = table.sel(family="fe_alexnet")
    assert np.isnan([family["family_delta_pse"].item(), family["family_slope_ratio"].item()]).all()
    assert np.isnan(family["family_delta_pse_interval"]).all()
    assert (family["n_undetermined"].item(), family["n_seeds"].item()) == (2, 2)
    assert np.isfinite(family["family_rmse"].item())
    assert table["family_delta_pse"].sel(family="alexnet").item() == pytest.approx(0.15, abs=1e-3)
    half = table_of("network", {"fe_alexnet/0": (3.0, 0.5), "fe_alexnet/1": (0.5, 0.1)})
    one_left = human_likeness(fits[0], fit_psychometric(half, EXACT), draws=50).sel(occlusion="none")
    assert np.isnan(one_left["family_delta_pse"].item())


def test_curves_that_cannot_be_compared_are_refused(people, networks):
    human, machine = fit_psychometric(people, EXACT), fit_psychometric(networks, EXACT)
    with pytest.raises(ValueError, match="there are 2 participants"):
        human_likeness(human.isel(participant=[0, 1]), machine)
    with pytest.raises(ValueError, match="people are morph and those of networks signed"):
        human_likeness(human, machine.assign_attrs(level_scale="signed"))
    with pytest.raises(ValueError, match="no occlusion is shared"):
        human_likeness(human.sel(occlusion=["mouth"]), machine.sel(occlusion=["none"]))
    with pytest.raises(ValueError, match="0 levels are shared"):
        human_likeness(human, machine.assign_coords(level=machine["level"] + 0.05))
    assert isinstance(human, xr.Dataset)


SIGNED = np.array([-1, -0.5, -0.2, 0, 0.2, 0.5, 0.8, 1.0])


def observer(name, answers, column="participant"):
    stimuli = [f"s{place}" for place in range(len(SIGNED))]
    return pd.DataFrame({column: name, "stimulus": stimuli, "level": SIGNED, "response": answers})


def answers(*wrong):
    right = np.where(SIGNED > 0, "happy", "sad")
    other = np.where(SIGNED > 0, "sad", "happy")
    return np.where(np.isin(np.arange(len(SIGNED)), wrong), other, right)


def test_kappa_by_hand():
    # 7 faces with a right answer; a errs on 2, b on 2, one of them the same: 5 of 7 agree, 29 of 49 expected
    found = error_consistency(observer("a", answers(1, 2)), observer("n", answers(2, 5), "network"))
    assert found.dims == ("participant", "network", "occlusion")
    expected = (5 / 7) ** 2 + (2 / 7) ** 2
    assert found.item() == pytest.approx((5 / 7 - expected) / (1 - expected))
    assert found.attrs["left_out"] == 1


def test_kappa_is_cohens():
    rng = np.random.default_rng(0)
    first, second = (rng.random((3, 40)) < 0.7 for _ in range(2))
    ours = kappa_of_errors(first.astype(float), second.astype(float))
    theirs = [[cohen_kappa_score(one, other) for other in second] for one in first]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def correlated_errors(rng, trials, *, kappa, accuracy):
    """Return who was right in each trial, of two observers of one accuracy whose errors have a kappa."""
    expected = accuracy**2 + (1 - accuracy) ** 2
    both = (kappa * (1 - expected) + expected + 2 * accuracy - 1) / 2
    joint = [both, accuracy - both, accuracy - both, 1 + both - 2 * accuracy]
    cells = rng.choice(4, size=trials, p=joint)
    return np.isin(cells, [0, 1]).astype(float), np.isin(cells, [0, 2]).astype(float)


def test_planned_trials_make_kappa_stray_as_little_as_was_asked():
    trials = trials_for_consistency(0.4, (0.8, 0.8), half_width=0.1)
    rng = np.random.default_rng(0)
    kappas = [kappa_of_errors(*(one[None] for one in correlated_errors(rng, trials, kappa=0.4, accuracy=0.8))).item()
              for _ in range(2000)]  # fmt: skip
    assert np.mean(kappas) == pytest.approx(0.4, abs=0.01)
    # an SD of 2,000 values is known within 1.6 % (one standard error)
    assert 1.96 * np.std(kappas) == pytest.approx(0.1, rel=0.05)


def test_impossible_plans_are_refused():
    with pytest.raises(ValueError, match="kappa=0"):
        trials_for_consistency(0.99, (0.6, 0.9))
    with pytest.raises(ValueError, match=r"half_width=0\.0"):
        trials_for_consistency(0.2, (0.8, 0.8), half_width=0.0)


def as_answers(name, right, column="participant"):
    level = np.tile([-1.0, 1.0], len(right) // 2)
    happy = (level > 0) == (right == 1)
    stimuli = [f"s{place:03d}" for place in range(len(right))]
    return pd.DataFrame(
        {column: name, "stimulus": stimuli, "level": level, "response": np.where(happy, "happy", "sad")}
    )


def test_intervals_of_kappa_are_over_trials_and_hold_it_as_often_as_they_say():
    rng, inside, needed = np.random.default_rng(3), [], []
    for _ in range(60):
        first, second = correlated_errors(rng, 200, kappa=0.4, accuracy=0.8)
        tables = as_answers("a", first), as_answers("n", second, "network")
        kappa = error_consistency(*tables, draws=200, half_width=0.1, middle=0.0)
        inside.append(kappa["interval_lower"].item() < 0.4 < kappa["interval_upper"].item())
        needed.append(kappa["trials_needed"].item())
    assert kappa["trials"].item() == 200
    assert 0.85 <= np.mean(inside) <= 1.0  # 95 %: 60 intervals miss more than 9 times in one of 1,000 runs
    assert np.median(needed) == pytest.approx(trials_for_consistency(0.4, (0.8, 0.8)), rel=0.15)


def test_an_observer_without_errors_has_no_interval_either():
    none = error_consistency(observer("a", answers()), observer("n", answers(), "network"))
    assert np.isnan(none["interval_lower"].item())
    assert np.isnan(none["trials_needed"].item())
    assert none["trials"].item() == 7


def test_equal_errors_are_1_independent_ones_near_0_and_no_errors_nothing():
    same = error_consistency(observer("a", answers(1, 6)), observer("n", answers(1, 6), "network"))
    assert same.item() == pytest.approx(1)
    none = error_consistency(observer("a", answers()), observer("n", answers(), "network"))
    assert np.isnan(none.item())
    rng = np.random.default_rng(1)
    apart = kappa_of_errors(*((rng.random((1, 5000)) < 0.8).astype(float) for _ in range(2)))
    assert abs(apart.item()) < 0.05


def test_faces_only_one_observer_saw_do_not_count():
    first = np.array([[1, 0, 1, np.nan]])
    unmasked = kappa_of_errors(first, np.array([[1.0, 0, 0, 0]]))
    part = kappa_of_errors(first[:, :3], np.array([[1.0, 0, 0]]))
    assert unmasked.item() == part.item()


def test_faces_are_matched_by_id_not_by_order():
    table, other = observer("a", answers(1, 2)), observer("n", answers(2, 5), "network")
    there = error_consistency(table, other).item()
    assert error_consistency(table, other.sample(frac=1, random_state=0)).item() == pytest.approx(there)


def test_people_against_people_and_each_occlusion():
    table = pd.concat([observer("a", answers(1)), observer("b", answers(1, 2)).assign(occlusion="eyes")])
    table["occlusion"] = table["occlusion"].fillna("none")
    found = error_consistency(table, table)
    assert found.dims == ("participant_first", "participant_second", "occlusion")
    assert found.sel(participant_first="a", participant_second="a", occlusion="none").item() == pytest.approx(1)
    assert np.isnan(found.sel(participant_first="a", participant_second="b", occlusion="eyes").item())


def test_tables_that_cannot_be_matched_are_refused():
    table = observer("a", answers(1))
    with pytest.raises(ValueError, match="No column stimulus"):
        error_consistency(table, table.drop(columns="stimulus"))
    with pytest.raises(ValueError, match="two tables are signed and morph"):
        error_consistency(table, table.assign(level=(SIGNED + 1) / 2))
