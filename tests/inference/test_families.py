"""Corrected p values stand beside the raw ones, over all layers, and are never below them."""

import numpy as np
import pytest
import xarray as xr

from rsa_face.inference.families import correct_layers
from rsa_face.inference.layerwise import compare_layers
from rsa_face.inference.significance import holm
from tests.inference.simulated import simulate


@pytest.fixture(scope="module")
def result() -> xr.Dataset:
    shares = {f"alexnet/l{place}": 0.2 * place for place in range(5)}
    rdms, human = simulate(shares, stimuli=30, participants=10, rng=np.random.default_rng(0))
    return compare_layers(rdms, human, comparison="corr", resample="dual", draws=300, seed=0)


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
    with pytest.raises(ValueError, match="must hold draws"):
        correct_layers(without)
