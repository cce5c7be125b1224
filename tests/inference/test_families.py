"""Corrected p values stand beside the raw ones, over all layers, and are never below them."""

import numpy as np
import pytest
import xarray as xr

from rsa_face.inference.permutation import shuffle_layers
from rsa_face.inference.rsa import compare_layers, correct_layers
from rsa_face.inference.statistics import CORRECTIONS, holm
from tests.inference.simulated import simulate


@pytest.fixture(scope="module")
def made() -> tuple[xr.DataArray, xr.DataArray]:
    shares = {f"alexnet/l{place}": 0.2 * place for place in range(5)}
    return simulate(shares, stimuli=30, participants=10, rng=np.random.default_rng(1))


@pytest.fixture(scope="module")
def result(made: tuple[xr.DataArray, xr.DataArray]) -> xr.Dataset:
    return compare_layers(*made, comparison="corr", resample="dual", draws=300, seed=0)


@pytest.mark.parametrize("method", ["max", "holm", "fdr"])
def test_a_corrected_p_value_is_never_below_the_raw_one(result: xr.Dataset, method: str) -> None:
    corrected = correct_layers(result, method=method)
    for name in ("p_above_zero", "p_below_ceiling"):
        assert (corrected[f"{name}_corrected"] >= corrected[name]).all()
        assert (corrected[f"{name}_corrected"] > corrected[name]).any()
    assert corrected.attrs["correction"] == method
    assert corrected["p_above_zero_corrected"].sel(rdm="alexnet/l4") < 0.05
    assert corrected["p_above_zero_corrected"].sel(rdm="alexnet/l0") > 0.05


def test_holm_is_taken_over_all_layers(result: xr.Dataset) -> None:
    corrected = correct_layers(result, method="holm")
    np.testing.assert_allclose(corrected["p_above_zero_corrected"], holm(result["p_above_zero"].values))


def test_the_largest_t_needs_draws_and_the_method_must_be_known(result: xr.Dataset) -> None:
    with pytest.raises(ValueError, match="'bonferroni'"):
        correct_layers(result, method="bonferroni")
    without = result.drop_vars([name for name in result if "draws" in str(name)])
    with pytest.raises(ValueError, match="holds no draws"):
        correct_layers(without)


def test_with_the_rdms_the_labels_are_shuffled_and_the_t_test_is_kept(
    made: tuple[xr.DataArray, xr.DataArray], result: xr.Dataset
) -> None:
    rdms, human = made
    corrected = correct_layers(result, rdms=rdms, human=human, shuffles=400)
    shuffled = shuffle_layers(rdms, human, comparison="corr", shuffles=400, seed=0)
    np.testing.assert_array_equal(corrected["p_above_zero"], result["p_above_zero"])
    np.testing.assert_array_equal(corrected["p_above_zero_shuffled"], shuffled["p_permutation"])
    assert (corrected["p_above_zero_corrected"] >= shuffled["p_permutation_corrected"]).all()
    assert (corrected["p_above_zero_corrected"] >= corrected["p_above_zero_shuffled"]).all()
    np.testing.assert_array_equal(
        corrected["p_below_ceiling_corrected"], correct_layers(result)["p_below_ceiling_corrected"]
    )
    assert corrected.attrs["p_above_zero_kind"] == "shuffle"


@pytest.mark.parametrize("method", ["holm", "fdr"])
def test_shuffles_suffice_for_every_layer_of_a_family(made: tuple[xr.DataArray, xr.DataArray], method: str) -> None:
    rdms, human = made
    result = compare_layers(rdms, human, comparison="corr", resample=None)
    corrected = correct_layers(result, rdms=rdms, human=human, method=method)
    np.testing.assert_allclose(
        corrected["p_above_zero_corrected"], CORRECTIONS[method](corrected["p_above_zero_shuffled"].values)
    )
    assert corrected["p_above_zero_corrected"].sel(rdm="alexnet/l4") < 0.01
    assert "p_below_ceiling_corrected" in corrected


def test_other_rdms_than_the_results_and_one_kind_alone_are_refused(
    made: tuple[xr.DataArray, xr.DataArray], result: xr.Dataset
) -> None:
    rdms, human = made
    with pytest.raises(ValueError, match="`rdms` is given without `human`"):
        correct_layers(result, rdms=rdms)
    with pytest.raises(ValueError, match=r"not the RDMs of this result: layer 'alexnet/l"):
        correct_layers(result, rdms=rdms.copy(data=rdms.values[::-1]), human=human)
