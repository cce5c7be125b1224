"""compare_layers equals rsatoolbox's own loop for the same draws, and depends on nothing but data and seed."""

import numpy as np
import pytest
from scipy.stats import rankdata

import rsa_face as rf
from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.rsa import compare_layers
from rsa_face.inference.statistics import draws_of, t_differences
from rsa_face.schema import COMPARISONS
from tests.inference.conftest import make_vectors, rsatoolbox_result, to_array

RESAMPLES = ("stimulus", "participant", "both", "dual")
IDENTITY = ["a", "a", "a", "b", "b", "c", "c", "d", "d", "e"]


def positions(resample, stimuli, people, *, draws=6, seed=0):
    rng = np.random.default_rng(seed)
    given = {
        "stimulus": rng.integers(0, stimuli, (draws, stimuli)),
        "participant": rng.integers(0, people, (draws, people)),
    }
    return {name: drawn for name, drawn in given.items() if resample in ("both", "dual", name)}


def assert_draws_equal(result, expected, tolerance=1e-10):
    evaluations, ceilings = expected.evaluations, expected.noise_ceiling
    if result.attrs["resample"] == "dual":
        evaluations, ceilings = np.moveaxis(evaluations[:, :, 0, 0], -1, 0), np.moveaxis(ceilings[:, :, 0], -1, 0)
    else:
        evaluations, ceilings = evaluations[None], ceilings[None]
    np.testing.assert_allclose(draws_of(result, "similarity_draws"), evaluations, rtol=0, atol=tolerance)
    np.testing.assert_allclose(
        draws_of(result, "noise_ceiling_draws"), ceilings.transpose(0, 2, 1), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("resample", RESAMPLES)
@pytest.mark.parametrize("ties", [False, True])
def test_draws_equal_rsatoolbox_and_so_do_variances_and_tests(comparison, resample, ties):
    x, y = make_vectors(10, 3, 4, seed=3, ties=ties)
    given = positions(resample, 10, 4)
    expected = rsatoolbox_result(x, y, comparison=comparison, resample=resample, given=given)
    result = compare_layers(
        to_array(x, "rdm"),
        to_array(y, "participant"),
        comparison=comparison,
        resample=resample,
        resamples=given,
        variance="bootstrap",
    )
    assert_draws_equal(result, expected)
    np.testing.assert_allclose(result["similarity_variance"], expected.model_var, rtol=0, atol=1e-10)
    assert ("p_above_zero" in result) == (not comparison.startswith("cosine"))
    if "p_above_zero" in result:
        np.testing.assert_allclose(result["p_above_zero"], expected.test_zero(), rtol=0, atol=1e-10)
    pairwise = t_differences(result)["p_difference"]
    np.testing.assert_allclose(pairwise, expected.test_pairwise()[np.triu_indices(3, 1)], rtol=0, atol=1e-10)
    if resample != "participant":  # there rsatoolbox overwrites the ceiling's covariance, and treats it as fixed
        np.testing.assert_allclose(result["p_below_ceiling"], expected.test_noise(), rtol=0, atol=1e-10)


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("resample", ["stimulus", "both", "dual"])
def test_draws_of_groups_equal_rsatoolbox(comparison, resample):
    x, y = make_vectors(10, 2, 3, seed=4, ties=True)
    given = positions(resample, 5, 3)
    expected = rsatoolbox_result(x, y, comparison=comparison, resample=resample, given=given, identity=IDENTITY)
    result = compare_layers(
        to_array(x, "rdm"),
        to_array(y, "participant", IDENTITY),
        comparison=comparison,
        resample=resample,
        resamples=given,
        groups="identity",
    )
    assert_draws_equal(result, expected)


def test_dual_interval_equals_rsatoolbox():
    x, y = make_vectors(10, 3, 4, seed=5)
    given = positions("dual", 10, 4, draws=30)
    expected = rsatoolbox_result(x, y, comparison="corr", resample="dual", given=given)
    layers, people = to_array(x, "rdm"), to_array(y, "participant")
    result = compare_layers(layers, people, comparison="corr", resample="dual", resamples=given, variance="bootstrap")
    np.testing.assert_allclose(result["similarity_interval"].T, expected.get_ci(0.95), rtol=0, atol=1e-10)
    assert result.attrs["interval_kind"] == "t"


def test_percentile_interval_equals_rsatoolbox():
    x, y = make_vectors(10, 3, 4, seed=5)
    given = positions("both", 10, 4, draws=60)
    expected = rsatoolbox_result(x, y, comparison="corr", resample="both", given=given)
    result = compare_layers(
        to_array(x, "rdm"), to_array(y, "participant"), comparison="corr", resample="both", resamples=given
    )
    np.testing.assert_allclose(
        result["similarity_interval"].T, expected.get_ci(0.95, "bootstrap"), rtol=0, atol=1e-10
    )
    assert result.attrs["interval_kind"] == "percentile"


def test_draws_of_fewer_than_three_stimuli_are_skipped_as_in_rsatoolbox_and_counted():
    x, y = make_vectors(5, 2, 3, seed=6)
    given = positions("both", 5, 3, draws=6)
    given["stimulus"] = np.tile([0, 1, 2, 3, 3], (6, 1))
    given["stimulus"][2] = [0, 0, 0, 1, 1]
    expected = rsatoolbox_result(x, y, comparison="rho-a", resample="both", given=given)
    result = compare_layers(
        to_array(x, "rdm"), to_array(y, "participant"), comparison="rho-a", resample="both", resamples=given
    )
    assert np.isnan(result["similarity_draws"].values[2]).all()
    assert result.attrs["skipped"] == 1
    assert_draws_equal(result, expected)


def pooled(comparison, vectors):
    """Return the pool over those who judged each pair; vectors hold copies of stimuli, NaN where nothing is known."""
    scaled = []
    for vector in vectors:
        judged = ~np.isnan(vector)
        known = vector[judged]
        if comparison in RANKED:
            values = (rankdata(known) - 0.5) / len(known)
        else:
            known = known - known.mean() if comparison.startswith("corr") else known
            values = known / np.sqrt(np.mean(known**2))
        full = np.full(len(vector), np.nan)
        full[judged] = values
        scaled.append(full)
    judged = ~np.isnan(scaled)
    counts = judged.sum(axis=0)
    sums = np.where(judged, scaled, 0).sum(axis=0)
    pool = np.divide(sums, counts, out=np.full(len(sums), np.nan), where=counts > 0)
    return np.round(pool, 11) if comparison in RANKED else pool


RANKED = ("spearman", "rho-a", "tau-a", "kendall")


@pytest.mark.parametrize("comparison", COMPARISONS)
def test_draws_with_missing_pairs_equal_a_literal_loop(comparison):
    x, y = make_vectors(8, 2, 3, seed=7, ties=True)
    y[0, [1, 5, 9]] = y[2, 3] = np.nan
    given = positions("both", 8, 3, draws=4, seed=1)
    result = compare_layers(
        to_array(x, "rdm"), to_array(y, "participant"), comparison=comparison, resample="both", resamples=given
    )
    for draw in range(4):
        times = np.bincount(given["stimulus"][draw], minlength=8)
        people = given["participant"][draw]
        rows, columns = np.triu_indices(8, 1)
        copies = np.repeat(np.arange(28), (times[rows] * times[columns]))
        each = compare_vectors(comparison, x, y, times)
        expected = each[:, people].mean(axis=1)
        np.testing.assert_allclose(result["similarity_draws"][draw], expected, rtol=0, atol=1e-10)
        bounds = []
        for person in np.unique(people):
            for pool in (people[people != person], people):
                over_all = np.full(28, np.nan)
                over_all[copies] = pooled(comparison, y[pool][:, copies])
                bounds.append(compare_vectors(comparison, over_all[None], y[person][None], times)[0, 0])
        np.testing.assert_allclose(
            result["noise_ceiling_draws"][draw], np.reshape(bounds, (-1, 2)).mean(axis=0), rtol=0, atol=1e-8
        )


@pytest.mark.parametrize("comparison", ["corr", "rho-a", "tau-a", "cosine_cov"])
def test_drawing_everything_once_gives_the_plain_values(small, comparison):
    once = {"stimulus": np.tile(np.arange(9), (3, 1)), "participant": np.tile(np.arange(4), (3, 1))}
    result = compare_layers(*small, comparison=comparison, resample="both", resamples=once)
    np.testing.assert_allclose(result["similarity_draws"][0], result["similarity"], rtol=0, atol=1e-12)
    np.testing.assert_allclose(result["noise_ceiling_draws"][0], result["noise_ceiling"], rtol=0, atol=1e-12)


@pytest.mark.parametrize("comparison", ["corr", "rho-a", "tau-a", "corr_cov"])
def test_the_result_depends_on_neither_memory_nor_the_number_of_draws_that_follow(small, comparison):
    few = compare_layers(*small, comparison=comparison, resample="dual", draws=70, seed=3, memory=2e6 / 2**30)
    many = compare_layers(*small, comparison=comparison, resample="dual", draws=130, seed=3)
    np.testing.assert_allclose(few["similarity_draws"], many["similarity_draws"][:70], rtol=0, atol=1e-12)
    np.testing.assert_allclose(few["noise_ceiling_draws"], many["noise_ceiling_draws"][:70], rtol=0, atol=1e-12)


def test_another_seed_gives_other_draws(small):
    one, other = (compare_layers(*small, resample="both", draws=5, seed=seed) for seed in (0, 1))
    assert not np.allclose(one["similarity_draws"], other["similarity_draws"])


def test_without_draws_the_spread_over_participants_equals_rsatoolbox(small):
    from rsatoolbox.inference import eval_fixed
    from rsatoolbox.model import ModelFixed
    from rsatoolbox.rdm import RDMs

    x, y = make_vectors(9, 3, 4, seed=0)
    expected = eval_fixed([ModelFixed(str(k), RDMs(v[None])) for k, v in enumerate(x)], RDMs(y), method="rho-a")
    result = compare_layers(*small, resample=None)
    np.testing.assert_allclose(result["participant_similarity"], expected.evaluations[0], rtol=0, atol=1e-10)
    np.testing.assert_allclose(result["similarity_variance"], expected.model_var, rtol=0, atol=1e-10)
    np.testing.assert_allclose(result["p_above_zero"], expected.test_zero(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(result["p_below_ceiling"], expected.test_noise(), rtol=0, atol=1e-10)
    np.testing.assert_allclose(result["noise_ceiling"], expected.noise_ceiling, rtol=0, atol=1e-10)
    assert "similarity_draws" not in result


def test_a_result_survives_saving(small, tmp_path):
    rdms, human = small
    human.attrs["simulated"] = True
    result = compare_layers(rdms, human, resample="dual", draws=5)
    back = rf.load(rf.save(result, tmp_path / "result.nc"))
    assert back.attrs == result.attrs
    assert back.attrs["simulated"] is True
    np.testing.assert_array_equal(back["noise_ceiling_draws_stimulus"], result["noise_ceiling_draws_stimulus"])


def test_p_values_are_never_zero(small):
    result = compare_layers(*small, resample="both", draws=20)
    alike = compare_layers(
        small[0].isel(rdm=[0, 0]).assign_coords(rdm=["a", "b"]), small[1], resample="both", draws=9
    )
    assert (result["p_above_zero"] > 0).all()
    assert t_differences(alike)["p_difference"].item() == pytest.approx(1)


def test_one_participant_is_refused_by_name(small):
    with pytest.raises(ValueError, match=r"only \['participant2'\]"):
        compare_layers(small[0], small[1].isel(participant=[2]), resample="both")


def test_memory_too_small_for_one_draw_is_refused(small):
    with pytest.raises(ValueError, match="`memory` allows 1e-06 GiB"):
        compare_layers(*small, resample="both", draws=5, memory=1e-6)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"comparison": "euclid"}, "'euclid'"),
        ({"resample": "pairs"}, "'pairs'"),
        ({"device": "tpu"}, "'tpu'"),
        ({"confidence": 95}, "confidence=95"),
        ({"resample": "both", "groups": "level"}, "'level'"),
        ({"resample": "both", "draws": 1}, "`draws` is 1"),
        ({"resample": "both", "resamples": {"stimulus": np.zeros((2, 9), int)}}, "gives draws of \\['stimulus'\\]"),
        (
            {"resample": "stimulus", "resamples": {"stimulus": np.full((2, 9), 9)}},
            "Give whole numbers from 0 to 8",
        ),
    ],
)
def test_a_wrong_request_is_refused(small, wrong, words):
    with pytest.raises(ValueError, match=words):
        compare_layers(*small, **wrong)


def test_two_groups_are_refused(small):
    rdms, human = small
    human = human.assign_coords(identity=("stimulus_i", ["a"] * 5 + ["b"] * 4))
    with pytest.raises(ValueError, match="2 of the 3 needed, \\['a', 'b'\\]"):
        compare_layers(rdms, human, resample="both", groups="identity")


def test_a_layer_that_is_not_there_is_named(small):
    result = compare_layers(*small, resample="both", draws=5)
    with pytest.raises(ValueError, match=r"\['fc9'\]"):
        t_differences(result, [("rdm0", "fc9")])
