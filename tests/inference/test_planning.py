"""How many people and stimuli it takes, and whether an answer rests on single ones of them."""

import numpy as np
import pytest
import xarray as xr

import rsa_face as rf
from rsa_face.inference.planning import plan_table
from rsa_face.inference.resampling import planned_error, sampling_error
from rsa_face.inference.results import resampled_of
from rsa_face.inference.statistics import rejection_rate, rejects, spread_of
from tests.inference.simulated import simulate, simulate_grouped

SHARES = {"alexnet/conv1": 0.9, "alexnet/conv2": 0.45, "alexnet/conv3": 0.1}


def compared(stimuli, participants, seed, *, draws=100, shares=SHARES):
    """Return a simulated comparison of known shares."""
    rng = np.random.default_rng([seed, stimuli, participants])
    rdms, human = simulate(shares, stimuli=stimuli, participants=participants, rng=rng)
    return rf.compare_layers(rdms, human, comparison="corr", draws=draws, seed=seed)


def simulated_power(stimuli, participants, studies):
    """Return the mean similarities of simulated studies, and how often their sets leave each layer out."""
    similarity, left_out = [], []
    for seed in range(studies):
        result = compared(stimuli, participants, 1000 + seed)
        inside = rf.localize(result, network="alexnet", baseline=None)["in_set"].sel(target="peak")
        similarity.append(result["similarity"].values)
        left_out.append(~inside.values[:3])
    return np.mean(similarity, axis=0), np.mean(left_out, axis=0)


def test_the_power_planned_is_that_of_simulated_studies():
    stimuli, participants, studies = 14, 8, 40
    truth, measured = simulated_power(stimuli, participants, studies)
    planned = []
    for seed in range(3):  # variances from pilots of another size, differences from the population
        pilot = compared(30, 14, seed, draws=300).assign(similarity=("rdm", truth))
        planned.append(rf.plan(pilot, network="alexnet", participants=[participants], stimuli=[stimuli]))
    powers = np.mean([one["left_out"].values[0, 0] for one in planned], axis=0)
    error = np.sqrt(powers * (1 - powers) / studies)
    assert 0.2 < powers[1] < 0.9  # where a power could differ
    assert (np.abs(measured - powers) < 3 * error + 0.03).all()
    assert np.mean([one["set_size"].item() for one in planned]) == pytest.approx((1 - measured).sum(), abs=0.35)


def test_the_error_planned_for_the_same_numbers_is_that_of_the_study():
    resampled = resampled_of(compared(12, 6, 0))
    rows = resampled.rows @ np.array([[1.0, 1], [-1, 0], [0, -1], [0, 0], [0, 0]])
    variance, freedom = sampling_error(rows, resampled.components, resampled.units)
    again, degrees = planned_error(rows, resampled.components, resampled.units, resampled.units)
    np.testing.assert_allclose(again, variance, rtol=1e-12)
    np.testing.assert_allclose(degrees, freedom, rtol=0.5)
    more, _ = planned_error(rows, resampled.components, resampled.units, (24, 12))
    assert (more < 0.75 * again).all()
    people, _ = planned_error(rows, resampled.components, resampled.units, (12, 10**6))
    assert (people <= again).all()
    assert (people > 0).all()  # the stimuli remain what they are


def test_a_rate_of_rejection_counts_what_the_test_itself_decides():
    draws = np.random.default_rng(1).normal(size=(400, 3))
    for truth, least, most in (([-9.0, -9, -9], 0.0, 0.01), ([0.0, 0, 0], 0.01, 0.08), ([9.0, -2, 0], 0.99, 1.0)):
        spread = spread_of(np.array(truth), draws, seed=1)
        assert least <= rejection_rate(spread, confidence=0.95) <= most
        # each study by itself, as `rejects` decides it
        again = [spread_of(row, draws, seed=1) for row in spread.estimate + spread.deviations[:40]]
        single = [rejects(one, confidence=0.95) for one in again]
        whole = rejection_rate(spread_of(np.array(truth), draws[:40], seed=1), confidence=0.95)
        assert np.mean(single) == pytest.approx(whole, abs=0.12)


def test_more_people_and_stimuli_make_the_set_smaller_and_the_numbers_needed_give_the_power():
    pilot = compared(16, 8, 2, draws=300)
    planned = rf.plan(pilot, network="alexnet", participants=[8, 32, 128], stimuli=[16, 64])
    assert planned.attrs["peak"] == "conv1"
    size = planned["set_size"].values
    assert (np.diff(size, axis=1) < 0).all()
    assert (np.diff(size, axis=0) <= 0.02).all()
    needed = int(planned["needed_stimuli"].sel(layer="conv2"))
    at = rf.plan(pilot, network="alexnet", participants=[8], stimuli=[needed - 1, needed])["left_out"].sel(
        layer="conv2"
    )
    below, above = at.values[0]
    assert below < 0.8 <= above
    assert np.isnan(planned["needed_stimuli"].sel(layer="conv1"))  # the peak is not to be left out
    table = plan_table(planned)
    assert len(table) == 6
    assert list(table)[:3] == ["participants", "stimuli", "set_size"]


def test_two_layers_are_planned_for_by_themselves_and_identities_are_counted_where_they_are_drawn():
    rdms, human = simulate_grouped(7, 3, participants=6, rng=np.random.default_rng(3), share=0.6)
    rsa = rf.RSA(rdms, human)
    planned = rf.plan(rsa, network="fe_alexnet", layers=["layer0", "layer2"], participants=[6], draws=60)
    assert planned["layer"].values.tolist() == ["layer0", "layer2"]
    assert planned.attrs["unit"] == "identity"
    assert planned.attrs["pilot_stimuli"] == 7
    assert planned["stimuli"].values.tolist() == [5, 7, 10, 14, 28]


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"network": "vgg99"}, "'vgg99'"),
        ({"layers": ["conv9", "conv1"]}, "'conv9'"),
        ({"layers": ["conv1"]}, r"Only \['conv1'\]"),
        ({"participants": [2]}, r"participants. has \[2\]"),
        ({"stimuli": [4.5]}, r"stimuli. has \[4.5\]"),
        ({"power": 1.2}, "power. is 1.2"),
        ({"confidence": 0.2}, "confidence. is 0.2"),
    ],
)
def test_impossible_plans_are_refused_by_name(options, wrong):
    with pytest.raises(ValueError, match=wrong):
        rf.plan(compared(8, 4, 0, draws=30), **{"network": "alexnet", **options})


def test_what_has_no_jackknifed_errors_cannot_be_planned_from():
    rdms, human = simulate(SHARES, stimuli=8, participants=4, rng=np.random.default_rng(0))
    result = rf.compare_layers(rdms, human, resample="stimulus", draws=30)
    with pytest.raises(ValueError, match="resample='dual'"):
        rf.plan(result, network="alexnet")
    with pytest.raises(TypeError, match="DataArray"):
        rf.plan(rdms)


def test_what_is_left_out_is_what_a_comparison_without_it_gives():
    rdms, human = simulate_grouped(6, 3, participants=5, rng=np.random.default_rng(4), share=0.8)
    rsa = rf.RSA(rdms, human)
    stable = rf.assess_stability(rsa, halves=3)
    assert dict(stable["kind"].to_series().value_counts()) == {
        "identity": 6, "level": 3, "participant": 5, "half": 6, "all": 1
    }  # fmt: skip
    keep = np.flatnonzero(human["identity"].values != "id02")
    some = [each.isel(stimulus_i=keep, stimulus_j=keep) for each in (rdms, human)]
    less = rf.RSA(*some).similarity.mean("participant")
    case = stable.sel(case="identity id02")
    np.testing.assert_allclose(case["similarity"], less.values[3:])
    best = int(np.argmax(less.values[3:]))
    assert str(case["picked"].item()) == f"layer{best}"
    at = int(stable.attrs["contrast_at"].removeprefix("layer"))
    assert float(case["contrast"]) == pytest.approx(float(less[3 + at] - less[at]))
    person = rf.RSA(rdms, human.isel(participant=[0, 1, 3, 4])).similarity.mean("participant")
    np.testing.assert_allclose(stable["similarity"].sel(case="participant p2"), person.values[3:])


def test_halves_keep_groups_together_and_do_not_depend_on_order():
    rdms, human = simulate_grouped(8, 3, participants=4, rng=np.random.default_rng(5), share=0.5)
    once = rf.assess_stability(rf.RSA(rdms, human), halves=4)
    order = np.random.default_rng(6).permutation(24)
    mixed = human.isel(stimulus_i=order, stimulus_j=order, participant=[2, 0, 3, 1])
    again = rf.assess_stability(rf.RSA(rdms, mixed), halves=4).sel(case=once["case"].values)
    np.testing.assert_allclose(again["similarity"], once["similarity"])
    assert set(once["kind_left_out"].values) == {"identity", "level", "participant", "half"}
    same = (once["picked"] == once["picked"][0]).values
    expected = [same[once["kind"].values == kind].mean() for kind in once["kind_left_out"].values]
    np.testing.assert_allclose(once["same_layer"], expected)


def test_stability_names_what_it_lacks():
    rdms, human = simulate_grouped(6, 2, participants=3, rng=np.random.default_rng(7))
    rsa = rf.RSA(rdms, human)
    with pytest.raises(ValueError, match="'hair'"):
        rf.assess_stability(rsa, factors=["hair"])
    with pytest.raises(ValueError, match=r"halves. is -1"):
        rf.assess_stability(rsa, halves=-1)
    with pytest.raises(ValueError, match="'vgg99'"):
        rf.assess_stability(rsa, network="vgg99")
    with pytest.raises(TypeError, match="Dataset"):
        rf.assess_stability(xr.Dataset())
    assert "contrast" not in rf.assess_stability(rsa, baseline=None, factors=[], halves=0)
