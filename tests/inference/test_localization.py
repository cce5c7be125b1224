"""The planted layer is found, "none" is said where there is none, and rules are worked by hand."""

import numpy as np
import pytest
import xarray as xr

from rsa_face.inference.contrasts import contrast_layers, participant_t
from rsa_face.inference.layerwise import compare_layers
from rsa_face.inference.localization import localize, pick
from rsa_face.inference.nested import held_out_similarity
from rsa_face.inference.results import matched_layers
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


def test_rules_by_hand() -> None:
    t = np.array([[0.0, 2.5, 3.0], [-3.0, -1.0, -4.0], [-5.0, -5.0, -5.0]])
    np.testing.assert_array_equal(pick(t, rule="largest", bar=2.0), [2, 3, 3])
    np.testing.assert_array_equal(pick(t, rule="above", bar=2.0), [1, 3, 3])
    np.testing.assert_array_equal(pick(t, rule="not below", bar=2.0), [0, 1, 3])


def test_the_planted_layers_are_found(result: xr.Dataset) -> None:
    where = localize(result)
    assert where["picked"].sel(target="peak") == "fc6"
    assert where["picked"].sel(target="at_ceiling") == "fc6"
    assert where["picked"].sel(target="above_baseline") == "conv4"
    inside = where["in_set"]
    assert inside.sel(target="peak", layer="fc6") & inside.sel(target="at_ceiling", layer="fc6")
    assert not inside.sel(target="peak", layer=["conv1", "conv2", "conv3", "none"]).any()
    assert not inside.sel(target="above_baseline", layer=["fc6", "fc8", "none"]).any()


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
    assert where["picked"].values.tolist() == ["none", "none", "none"]
    assert where["in_set"].sel(layer="none").all()
    assert np.isnan(where["picked_depth"]).all()


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
    found, naive = [], []
    for seed in range(8):
        rdms, human = simulate(shares, stimuli=24, participants=8, rng=np.random.default_rng(seed), related=False)
        result = compare_layers(rdms, human, comparison="corr", resample="both", draws=100, seed=seed)
        where = held_out_similarity(localize(result, baseline=None), result, rdms=rdms, human=human)
        found.append(float(where["held_out_similarity"].sel(target="peak")))
        naive.append(float(result["similarity"].max()))
    assert np.mean(naive) > 0.05
    assert np.mean(found) < np.mean(naive) / 2


def test_the_rdms_must_be_those_of_the_result(
    result: xr.Dataset, rdms_and_human: tuple[xr.DataArray, xr.DataArray]
) -> None:
    rdms, human = rdms_and_human
    with pytest.raises(ValueError, match="'p15'"):
        held_out_similarity(localize(result), result, rdms=rdms, human=human.isel(participant=slice(None, None, -1)))


def test_layers_are_matched_by_name_or_by_depth(result: xr.Dataset) -> None:
    by_name = matched_layers(result, network="fe_alexnet", baseline="alexnet")
    assert by_name.by == "name"
    assert by_name.alone == ("fe",)
    np.testing.assert_array_equal(by_name.baseline, np.arange(6))
    by_depth = matched_layers(result, network="alexnet", baseline="fe_alexnet", match="depth")
    np.testing.assert_array_equal(by_depth.baseline, [6, 7, 8, 10, 11, 12])


def test_the_contrast_is_paired_and_its_band_wider_than_its_intervals(result: xr.Dataset) -> None:
    contrast = contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster="draws")
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
    contrast = contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster="participants")
    assert contrast["p_cluster"].sel(layer="fc6") < 0.05
    paired = np.array([[1.0, 2.0, 3.0]])
    t = participant_t(paired, np.array([[1.0, 1.0, 1.0], [-1.0, 1.0, 1.0]]))
    np.testing.assert_allclose(t[:, 0], [2 * np.sqrt(3), (4 / 3) / (np.std([-1, 2, 3], ddof=1) / np.sqrt(3))])


def test_what_cannot_be_asked_is_refused(result: xr.Dataset) -> None:
    with pytest.raises(ValueError, match="'vgg16'"):
        localize(result, baseline="vgg16")
    with pytest.raises(ValueError, match="both are 'alexnet'"):
        contrast_layers(result, network="alexnet", baseline="alexnet")
    with pytest.raises(ValueError, match="'bayes'"):
        contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster="bayes")
    with pytest.raises(ValueError, match=r"is 1\.5"):
        localize(result, confidence=1.5)
    with pytest.raises(ValueError, match=r"is -0\.1"):
        localize(result, margin=-0.1)
    without = result.drop_vars([name for name in result if "draws" in str(name)])
    with pytest.raises(ValueError, match="must hold draws"):
        localize(without)
