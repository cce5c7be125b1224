"""The planted layer is found, "none" is said where there is none, and rules are worked by hand."""

import numpy as np
import pytest
import xarray as xr

from rsa_face.inference.localization import (
    ABOVE,
    DIFFERS,
    PEAK,
    Question,
    contrast_layers,
    half_way_depth,
    localize,
    participant_t,
    pick,
    share_of_ceiling,
    spread_at,
)
from rsa_face.inference.results import matched_layers, to_frame
from rsa_face.inference.rsa import compare_layers, held_out_similarity
from rsa_face.inference.statistics import Spread
from tests.inference.simulated import simulate

LAYERS = ["conv1", "conv2", "conv3", "conv4", "fc6", "fc8"]
PLANTED = {
    **{f"alexnet/{name}": share for name, share in zip(LAYERS, [0.05] * 6, strict=True)},
    **{f"fe_alexnet/{name}": share for name, share in zip(LAYERS, [0.05, 0.05, 0.05, 0.6, 1.0, 0.6], strict=True)},
    "fe_alexnet/fe": 0.3,
}


@pytest.fixture(scope="module")
def rdms_and_human() -> tuple[xr.DataArray, xr.DataArray]:
    return simulate(PLANTED, stimuli=40, participants=16, rng=np.random.default_rng(4))


@pytest.fixture(scope="module")
def result(rdms_and_human: tuple[xr.DataArray, xr.DataArray]) -> xr.Dataset:
    return compare_layers(*rdms_and_human, comparison="corr", resample="dual", draws=200, seed=1)


def spread_of_layers(estimate: list[float], error: list[float]) -> Spread:
    draws = np.random.default_rng(0).normal(size=(400, len(estimate)))
    return Spread(np.array(estimate), draws * error, np.array(error), np.full(len(error), np.inf))


@pytest.mark.parametrize(
    ("target", "margin", "expected"),
    [
        (PEAK, 0.0, [2, 4, 1]),
        (ABOVE, 0.0, [1, 4, 1]),
        (ABOVE, 0.3, [2, 4, 1]),
        (DIFFERS, 0.0, [1, 0, 1]),
        (DIFFERS, 0.2, [2, 3, 1]),
    ],
)
def test_rules_by_hand(target: str, margin: float, expected: list[int]) -> None:
    spread = spread_of_layers([0.0] * 4, [0.1, 0.1, 0.1, 0.0])
    values = np.array([[0.0, 0.3, 0.9, 0.0], [-0.3, -0.1, -0.2, -0.4], [0.1, 0.8, 0.5, 0.0]])
    question = Question(target, np.eye(4), np.arange(4), margin)
    np.testing.assert_array_equal(pick(values, spread, question, bar=2.0), expected)


def test_half_of_the_rise_is_crossed_between_layers() -> None:
    depth = np.array([0.2, 0.4, 0.6, 0.8, 1.0])
    curves = [
        [0.1, 0.1, 0.2, 0.5, 0.4],
        [0.0, 0.4, 0.1, 0.8, 0.9],
        [0.4, 0.3, 0.4, 0.2, 0.1],
        [0.2, 0.6, 0.2, 0.3, 0.6],
    ]
    expected = [0.6 + 0.2 / 3, 0.6 + 0.2 * 0.35 / 0.7, 0.2, 0.3]
    np.testing.assert_allclose(half_way_depth(np.array(curves), depth), expected)


def test_the_planted_layers_are_found(result: xr.Dataset) -> None:
    where = localize(result)
    picked = where["picked"].to_series().to_dict()
    assert picked == {
        "peak": "fc6",
        "reaches_ceiling": "fc6",
        "above_baseline": "conv4",
        "differs_from_baseline": "conv4",
    }
    inside = where["in_set"]
    assert inside.sel(target="peak", layer="fc6") & inside.sel(target="reaches_ceiling", layer="fc6")
    assert not inside.sel(target="peak", layer=["conv1", "conv2", "conv3", "none"]).any()
    assert not inside.sel(target="above_baseline", layer=["fc6", "fc8", "none"]).any()
    assert where["half_way_interval"][0] < where["half_way_depth"] < where["half_way_interval"][1]
    assert where["half_way_layer"].item() == "conv4"


def test_reaching_the_ceiling_is_shown_by_the_share_of_it(result: xr.Dataset) -> None:
    where = localize(result)
    lower, upper = where["share_of_ceiling_band"].transpose("bound", "layer").values[:, :-1]
    band = where["value_band"].sel(target="reaches_ceiling").transpose("bound", "layer").values[:, :-1]
    np.testing.assert_array_equal(lower > 0.9, band[0] > 0)
    np.testing.assert_array_equal(upper < 0.9, band[1] < 0)
    share = where["similarity"] / result["noise_ceiling"].sel(bound="lower")
    np.testing.assert_allclose(where["share_of_ceiling"], share.drop_vars("bound"))
    alone = where["share_of_ceiling_interval"].transpose("bound", "layer").values[:, :-1]
    assert (lower < alone[0]).all()
    assert (alone[1] < upper).all()
    assert not where["below_ceiling"].sel(layer=["fc6", "none"]).any()
    assert where["below_ceiling"].sel(layer=["conv1", "conv2", "conv3"]).all()


def test_a_comparison_on_the_scale_of_its_ceiling_has_the_shares_and_intervals_of_localize(result) -> None:
    share, where = share_of_ceiling(result), localize(result)
    ours = share.isel(rdm=(share["network"] == "fe_alexnet").values).sortby("depth")
    np.testing.assert_allclose(ours["similarity"], where["share_of_ceiling"][:-1])
    np.testing.assert_allclose(ours["similarity_interval"], where["share_of_ceiling_interval"][:-1], atol=1e-6)
    low, high = result["noise_ceiling"].values
    np.testing.assert_allclose(share["noise_ceiling"], [1, high / low])
    np.testing.assert_array_equal(share["p_above_zero"], result["p_above_zero"])
    with pytest.raises(ValueError, match="holds no draws"):
        localize(share)
    with pytest.raises(ValueError, match=r"-0\.1"):
        share_of_ceiling(result.assign(noise_ceiling=("bound", [-0.1, 0.2])))
    table = to_frame(result)
    np.testing.assert_allclose(table["share_of_ceiling"], result["similarity"] / low)


def test_the_ceiling_is_tested_with_the_error_of_a_layer_at_the_margin() -> None:
    """By hand: errors go as 1 - r^2, r the share of a perfect similarity of .5; the margin is at .8 of it."""
    bound = np.full(4, 0.4)
    similarity = np.array([0.4, 0.42, 0.3, 0.499])
    spread = spread_at(spread_of_layers(list(similarity - bound), [0.01] * 4), bound, 0.5)
    furthest = 0.8 + (1 - 0.8) / 4  # errors of layers nearer to perfection are taken for those of one here
    expected = 0.01 * (1 - 0.8**2) / (1 - np.array([0.8, 0.84, 0.6, furthest]) ** 2)
    expected[2] = 0.01 * (1 - 0.7**2) / (1 - 0.6**2)  # from .6, no further than a quarter of the way to 1
    np.testing.assert_allclose(spread.error, expected)
    np.testing.assert_allclose(spread.deviations.std(axis=0) / spread.error, [1.0] * 4, atol=0.1)


def test_no_layer_short_of_the_ceiling_is_said_to_reach_it_however_few_the_data() -> None:
    shares = {f"fe_alexnet/l{place}": share for place, share in enumerate([0.05, 0.05, 0.1, 0.2, 0.3, 0.4, 1.0, 1.0])}
    picked = []
    for seed in range(20):
        rdms, human = simulate(shares, stimuli=16, participants=8, rng=np.random.default_rng([seed, 8, 16]))
        result = compare_layers(rdms, human, comparison="corr", draws=100, seed=seed)
        wheres = [localize(some, baseline=None) for some in (result, result.isel(rdm=slice(0, 6)))]
        picked.append([str(where["picked"].sel(target="reaches_ceiling").item()) for where in wheres])
    with_true, without = zip(*picked, strict=True)
    assert sum(name not in ("l6", "none") for name in with_true) <= 1
    assert with_true.count("l6") >= 10
    assert without.count("none") >= 19


def test_probabilities_sum_to_1_and_the_rest_is_named(result: xr.Dataset) -> None:
    where = localize(result)
    np.testing.assert_allclose(where["probability"].sum("layer"), 1.0)
    assert where["layer"].values.tolist() == [*LAYERS, "fe", "none"]
    assert where.attrs["unmatched"] == ["fe"]
    assert where.attrs["simulated"] is True
    assert np.isnan(where["depth"].sel(layer="none"))


def test_a_network_unrelated_to_people_has_no_layer() -> None:
    shares = dict.fromkeys([f"alexnet/{name}" for name in LAYERS] + [f"fe_alexnet/{name}" for name in LAYERS], 0.5)
    rdms, human = simulate(shares, stimuli=30, participants=12, rng=np.random.default_rng(8), related=False)
    where = localize(compare_layers(rdms, human, comparison="corr", resample="dual", draws=200, seed=1))
    assert where["picked"].values.tolist() == ["none"] * 4
    assert where["in_set"].sel(layer="none").all()
    assert np.isnan(where["picked_depth"]).all()


def test_the_layer_picked_and_the_shares_of_draws_tell_one_story() -> None:
    shares = dict.fromkeys([f"fe_alexnet/{name}" for name in LAYERS], 0.5)
    none, share_of_none = [], []
    for seed in range(12):
        rdms, human = simulate(shares, stimuli=16, participants=8, rng=np.random.default_rng(seed), related=False)
        result = compare_layers(rdms, human, comparison="corr", draws=100, seed=seed)
        where = localize(result, baseline=None).sel(target="peak")
        none.append(where["picked"].item() == "none")
        share_of_none.append(float(where["probability"].sel(layer="none")))
    assert np.mean(none) >= 0.9
    assert np.mean(share_of_none) >= 0.8


def test_a_cosine_has_no_peak_of_none() -> None:
    shares = dict.fromkeys([f"fe_alexnet/{name}" for name in LAYERS], 0.5)
    rdms, human = simulate(shares, stimuli=16, participants=8, rng=np.random.default_rng(0), related=False)
    where = localize(compare_layers(rdms, human, comparison="cosine", draws=100), baseline=None).sel(target="peak")
    assert where["picked"] == where["layer"][where["similarity"].argmax("layer")]
    assert where["probability"].sel(layer="none") == 0
    assert not where["in_set"].sel(layer="none")


@pytest.mark.parametrize("seed", range(6))
def test_localize_and_contrast_layers_never_disagree(seed: int) -> None:
    shares = {f"{network}/l{place}": 0.3 for network in ("alexnet", "fe_alexnet") for place in range(8)}
    shares |= {f"fe_alexnet/l{place}": 0.55 for place in (5, 6, 7)} | {"fe_alexnet/l4": 0.1}
    rdms, human = simulate(shares, stimuli=24, participants=10, rng=np.random.default_rng(seed))
    rdms[8:11] = rdms[:3].values * (1 + 1e-9 * np.random.default_rng(seed).normal(size=rdms[:3].shape))  # shared
    result = compare_layers(rdms, human, comparison="corr", draws=199, seed=seed)
    contrast = contrast_layers(result, network="fe_alexnet", baseline="alexnet")
    where = localize(result)
    assert contrast.attrs["shared"] == ["l0", "l1", "l2"]
    assert (contrast["difference_band"].sel(layer=["l0", "l1", "l2"]) == 0).all()
    lower, upper = contrast["difference_band"].transpose("bound", "layer").values
    apart = {"above_baseline": lower > 0, "differs_from_baseline": (lower > 0) | (upper < 0)}
    np.testing.assert_array_equal(contrast["p_difference_corrected"] < 0.05, apart["differs_from_baseline"])
    for target, outside in apart.items():
        answer = where.sel(target=target)
        expected = f"l{outside.argmax()}" if outside.any() else "none"
        assert answer["picked"] == expected
        assert answer["in_set"].sel(layer=expected)
        assert bool(answer["in_set"].sel(layer="none")) == (expected == "none")
        assert not answer["in_set"].sel(layer=["l0", "l1", "l2"]).any()
        np.testing.assert_allclose(answer["value_band"].values[:-1], contrast["difference_band"].values)


def test_shared_layers_are_no_part_of_the_family() -> None:
    shares = {f"{network}/l{place}": 0.3 for network in ("alexnet", "fe_alexnet") for place in range(6)}
    shares |= {"fe_alexnet/l5": 0.5}
    rdms, human = simulate(shares, stimuli=24, participants=10, rng=np.random.default_rng(1))
    rdms[6:10] = rdms[:4].values
    named = {"network": "fe_alexnet", "baseline": "alexnet"}
    full = contrast_layers(compare_layers(rdms, human, comparison="corr", draws=200), **named)
    individual = rdms.isel(rdm=[4, 5, 10, 11])
    alone = contrast_layers(compare_layers(individual, human, comparison="corr", draws=200), **named)
    for name in ("difference_band", "p_difference_corrected", "p_difference_holm", "p_difference_fdr"):
        np.testing.assert_allclose(full[name].values[4:], alone[name].values, err_msg=name)
        assert "p_" not in name or (full[name].values[:4] == 1).all()


def test_the_confidence_is_the_results(result: xr.Dataset) -> None:
    sure = result.assign_attrs(confidence=0.8)
    assert localize(sure).attrs["confidence"] == 0.8
    xr.testing.assert_identical(localize(sure), localize(result, confidence=0.8))
    width = localize(result)["half_way_interval"].diff("bound") - localize(sure)["half_way_interval"].diff("bound")
    assert width > 0


def test_without_a_ceiling_above_0_nothing_reaches_it(result: xr.Dataset) -> None:
    ceiling = result["noise_ceiling"] - result["noise_ceiling"][0] - 0.01
    where = localize(result.assign(noise_ceiling=ceiling))
    assert "reaches_ceiling" not in where["target"]
    assert "share_of_ceiling" not in where


def test_layers_that_compute_the_same_cannot_leave_the_baseline(
    rdms_and_human: tuple[xr.DataArray, xr.DataArray],
) -> None:
    rdms, human = rdms_and_human
    same = rdms.copy(deep=True)
    same[6:9] = rdms[0:3].values
    where = localize(compare_layers(same, human, comparison="corr", resample="both", draws=200, seed=1))
    assert where["in_set"].sel(target="above_baseline", layer=["conv1", "conv2", "conv3"]).sum() == 0
    assert where["in_set"].sel(target="above_baseline", layer="conv4")
    assert where["depth_interval"].sel(target="above_baseline", bound="lower") > 0.5


def test_a_margin_rules_out_layers_that_are_too_early(result: xr.Dataset) -> None:
    by_itself = localize(result)["in_set"].sel(target="above_baseline")
    with_margin = localize(result, margin=0.2)["in_set"].sel(target="above_baseline")
    assert by_itself.sel(layer="conv1")
    assert not with_margin.sel(layer="conv1")
    assert with_margin.sel(layer="conv4")


def test_a_picked_layer_is_evaluated_on_what_was_left_out(
    result: xr.Dataset, rdms_and_human: tuple[xr.DataArray, xr.DataArray]
) -> None:
    rdms, human = rdms_and_human
    where = held_out_similarity(localize(result), result, rdms=rdms, human=human)
    value = where["held_out_similarity"].sel(target="peak")
    assert abs(float(value) - float(result["similarity"].sel(rdm="fe_alexnet/fc6"))) < 0.08
    assert where["held_out_used"].sel(target="peak") > 150


def test_the_best_of_layers_of_noise_is_worth_nothing_to_others() -> None:
    shares = {f"fe_alexnet/l{number}": 0.5 for number in range(20)}
    outcome, naive = [], []
    for seed in range(8):
        rdms, human = simulate(shares, stimuli=24, participants=8, rng=np.random.default_rng(seed), related=False)
        result = compare_layers(rdms, human, comparison="corr", resample="both", draws=100, seed=seed)
        where = held_out_similarity(localize(result, baseline=None), result, rdms=rdms, human=human)
        outcome.append(float(where["held_out_similarity"].sel(target="peak")))
        naive.append(float(result["similarity"].max()))
    errors = [np.std(values, ddof=1) / np.sqrt(len(values)) for values in (outcome, naive)]
    assert abs(np.mean(outcome)) < 3 * errors[0]  # 0 within three standard errors
    assert np.mean(naive) > 3 * errors[1]


def test_the_rdms_must_be_those_of_the_result(
    result: xr.Dataset, rdms_and_human: tuple[xr.DataArray, xr.DataArray]
) -> None:
    rdms, human = rdms_and_human
    with pytest.raises(ValueError, match="'p15'"):
        held_out_similarity(localize(result), result, rdms=rdms, human=human.isel(participant=slice(15)))


def test_layers_are_matched_by_name_or_by_depth(result: xr.Dataset) -> None:
    by_name = matched_layers(result, network="fe_alexnet", baseline="alexnet")
    assert by_name.by == "name"
    assert by_name.alone == ("fe",)
    np.testing.assert_array_equal(by_name.baseline, np.arange(6))
    by_depth = matched_layers(result, network="alexnet", baseline="fe_alexnet", match="depth")
    np.testing.assert_array_equal(by_depth.baseline, [6, 7, 8, 10, 11, 12])


def test_the_contrast_is_paired_and_its_band_wider_than_its_intervals(result: xr.Dataset) -> None:
    contrast = contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster_test="draws")
    expected = result["similarity"].values[6:12] - result["similarity"].values[:6]
    np.testing.assert_allclose(contrast["difference"], expected)
    assert contrast["layer"].values.tolist() == LAYERS
    assert (
        contrast["difference_band"].sel(bound="lower") <= contrast["difference_interval"].sel(bound="lower")
    ).all()
    assert (contrast["p_difference_corrected"] >= contrast["p_difference"]).all()
    assert contrast["p_difference_corrected"].sel(layer="fc6") < 0.05
    assert contrast["p_cluster"].sel(layer="fc6") < 0.05
    assert (contrast["p_cluster"].sel(layer=["conv1", "conv2"]) > 0.05).all()
    swapped = contrast_layers(result, network="alexnet", baseline="fe_alexnet", match="name")
    np.testing.assert_allclose(swapped["difference"], -contrast["difference"])


def test_a_cluster_is_tested_by_turning_participants_around(result: xr.Dataset) -> None:
    contrast = contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster_test="participants")
    assert contrast["p_cluster"].sel(layer="fc6") < 0.05
    paired = np.array([[1.0, 2.0, 3.0]])
    t = participant_t(paired, np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]]))
    np.testing.assert_allclose(t[:, 0], [2 * np.sqrt(3), (4 / 3) / (np.std([-1, 2, 3], ddof=1) / np.sqrt(3))])


def test_the_former_name_of_the_cluster_test_works_and_names_the_new_one(result: xr.Dataset) -> None:
    named = contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster_test="draws")
    with pytest.warns(DeprecationWarning, match="cluster_test"):
        former = contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster="draws")
    xr.testing.assert_identical(former, named)


def test_what_cannot_be_asked_is_refused(result: xr.Dataset) -> None:
    with pytest.raises(ValueError, match="'vgg16'"):
        localize(result, baseline="vgg16")
    with pytest.raises(ValueError, match="both 'alexnet'"):
        contrast_layers(result, network="alexnet", baseline="alexnet")
    with pytest.raises(ValueError, match="'bayes'"):
        contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster_test="bayes")
    with pytest.raises(ValueError, match=r"`confidence` is 1\.5"):
        localize(result, confidence=1.5)
    with pytest.raises(ValueError, match=r"`margin` is -0\.1"):
        localize(result, margin=-0.1)
    with pytest.raises(ValueError, match=r"`ceiling_margin` is 1\.0"):
        localize(result, ceiling_margin=1.0)
    without = result.drop_vars([name for name in result if "draws" in str(name)])
    with pytest.raises(ValueError, match="holds no draws"):
        localize(without)
