"""`RSA` and `Result` keep what was computed: further questions use the same draws, and survive a file."""

import inspect
from unittest.mock import patch

import numpy as np
import pytest
import xarray as xr

import rsa_face as rf
from rsa_face.inference.rsa import RSA, Result, add_partial, correct_layers, held_out_similarity
from tests.inference.simulated import simulate

SHARES = {f"{network}/l{place}": 0.25 * place for network in ("alexnet", "fe_alexnet") for place in range(4)}


@pytest.fixture(scope="module")
def data() -> tuple[xr.DataArray, xr.DataArray]:
    return simulate(SHARES, stimuli=14, participants=6, rng=np.random.default_rng(3))


@pytest.fixture(scope="module")
def controls(data: tuple[xr.DataArray, xr.DataArray]) -> xr.DataArray:
    rdms, _ = data
    return rdms.isel(rdm=[1]).drop_vars(["network", "layer", "depth", "order"], errors="ignore")


@pytest.fixture(scope="module")
def result(data: tuple[xr.DataArray, xr.DataArray]) -> Result:
    return RSA(*data, comparison="corr").bootstrap(draws=60, seed=2)


def test_no_further_question_draws_again(result, controls) -> None:
    refuse = AssertionError("drawn again")
    with (
        patch("rsa_face.inference.rsa.draw_resamples", side_effect=refuse),
        patch("rsa_face.inference.rsa.evaluate_draws", side_effect=refuse),
    ):
        assert "p_above_zero_corrected" in result.layers(correction="max", shuffles=50)
        assert "partial_similarity_interval" in result.partial(controls)
        assert "held_out_similarity" in result.localize()
        assert "difference_band" in result.contrast("fe_alexnet", "alexnet")


def test_the_object_and_the_functions_give_the_same(data, result, controls) -> None:
    rdms, human = data
    table = rf.compare_layers(rdms, human, comparison="corr", draws=60, seed=2)
    xr.testing.assert_identical(table, result.table)
    given = {"rdms": rdms, "human": human}
    xr.testing.assert_identical(correct_layers(table, **given, shuffles=50), result.layers(shuffles=50))
    xr.testing.assert_identical(add_partial(table, **given, controls=controls), result.partial(controls))
    where = rf.localize(table)
    xr.testing.assert_identical(held_out_similarity(where, table, **given), result.localize())


def test_shuffles_are_made_once_for_a_question(data) -> None:
    rsa = RSA(*data, comparison="corr")
    first = rsa.permute(30)
    with patch("rsa_face.inference.rsa.shuffles_of", side_effect=AssertionError("shuffled again")):
        assert rsa.permute(30) is first


def test_a_correction_changes_no_raw_p_value(result) -> None:
    corrected = result.layers(shuffles=50)
    xr.testing.assert_identical(corrected["p_above_zero"], result.table["p_above_zero"])
    np.testing.assert_array_equal(corrected["p_above_zero_shuffled"], result.rsa.permute(50, seed=2)["p_permutation"])
    assert corrected.attrs["p_above_zero_kind"] == "shuffle"


def test_a_saved_result_answers_as_before(result, controls, tmp_path) -> None:
    again = rf.load(result.save(tmp_path / "result.nc"))
    assert isinstance(again, Result)
    xr.testing.assert_identical(again.table, result.table)
    xr.testing.assert_identical(again.partial(controls), result.partial(controls))
    xr.testing.assert_identical(again.localize(), result.localize())
    xr.testing.assert_identical(again.layers(shuffles=50), result.layers(shuffles=50))
    assert again.rsa.groups == result.rsa.groups


def test_rdms_in_another_order_are_matched_by_name_and_others_refused(data, result, controls) -> None:
    rdms, human = data
    turned = human.isel(participant=slice(None, None, -1), stimulus_i=slice(None, None, -1)).isel(
        stimulus_j=slice(None, None, -1)
    )
    again = add_partial(result.table, rdms=rdms.isel(rdm=slice(None, None, -1)), human=turned, controls=controls)
    expected = result.partial(controls)
    np.testing.assert_allclose(again["partial_similarity_draws"], expected["partial_similarity_draws"], atol=1e-12)
    with pytest.raises(ValueError, match="alexnet/l3"):
        add_partial(result.table, rdms=rdms.isel(rdm=slice(3)), human=human, controls=controls)
    other = rdms.copy(data=rdms.values[::-1])
    with pytest.raises(ValueError, match="not the RDMs of this result: layer 'alexnet/l"):
        correct_layers(result.table, rdms=other, human=human)


def test_draws_that_were_given_serve_further_questions_too(data, controls) -> None:
    rng = np.random.default_rng(0)
    resamples = {"stimulus": rng.integers(0, 14, (20, 14)), "participant": rng.integers(0, 6, (20, 6))}
    result = RSA(*data, comparison="corr").bootstrap("both", resamples=resamples)
    partial = result.partial(controls)["partial_similarity_draws"]
    assert partial.sizes == {"draw": 20, "rdm": 8}
    assert not np.isnan(partial).any()


def test_a_result_without_draws_says_so(data, controls) -> None:
    result = RSA(*data).bootstrap(None)
    assert "nothing resampled" in repr(result)
    with pytest.raises(ValueError, match="draws"):
        result.localize()


def test_controls_by_name_need_the_stimuli(result) -> None:
    with pytest.raises(ValueError, match=r"pixels.*stimuli=stimuli"):
        result.partial(["pixels"])


def test_a_result_is_a_table_of_layers(result) -> None:
    frame = result.to_frame()
    assert frame["layer"].tolist() == ["l0", "l1", "l2", "l3"] * 2
    np.testing.assert_allclose(frame["similarity"], result.table["similarity"])
    assert {"similarity_interval_lower", "p_above_zero_corrected", "noise_ceiling_upper"} <= set(frame)


@pytest.mark.parametrize(
    ("function", "source", "own"),
    [
        (rf.compare_layers, RSA.bootstrap, ["rdms", "human", "comparison", "groups"]),
        (rf.noise_ceiling, RSA.bootstrap, ["human", "comparison", "groups"]),
        (Result.contrast, rf.contrast_layers, ["self", "network", "baseline"]),
        (Result.localize, rf.localize, ["self", "network", "baseline", "held_out"]),
    ],
)
def test_options_that_are_passed_on_are_named_with_their_defaults_and_described(function, source, own):
    ours, theirs = (inspect.signature(each).parameters for each in (function, source))
    passed_on = [name for name, each in theirs.items() if each.default is not each.empty and name not in own]
    assert list(ours) == [*own, *passed_on]
    assert passed_on
    for name in passed_on:
        assert ours[name].default == theirs[name].default
        assert f"\n{name} : " in inspect.getdoc(function)
