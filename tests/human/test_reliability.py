"""Reliability of human RDMs: against its definitions, the comparisons of the package, and real ratings."""

import numpy as np
import pytest
import xarray as xr

import rsa_face as rf
from rsa_face.figures import plot_reliability
from rsa_face.human.judgements import squares
from rsa_face.human.read import read_human
from rsa_face.human.reliability import (
    agreement_with_others,
    assess_reliability,
    far_from_median,
    reliability_table,
    repeat_similarity,
    similarity_of_two,
    single_reliability,
    spearman_brown,
)
from rsa_face.inference.comparisons import compare_vectors


def people(count=12, stimuli=10, noise=1.0, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    pairs = stimuli * (stimuli - 1) // 2
    values = 5 + rng.normal(size=pairs) + noise * rng.normal(size=(count, pairs))
    values[rng.random(values.shape) < missing] = np.nan
    ids, names = [f"s{k}" for k in range(stimuli)], [f"p{k:02d}" for k in range(count)]
    dims = ("participant", "stimulus_i", "stimulus_j")
    return xr.DataArray(squares(values, stimuli), dict(zip(dims, (names, ids, ids), strict=True)), dims)


def test_spearman_brown_is_undone_by_its_inverse():
    for size in (1, 2, 7):
        assert single_reliability(float(spearman_brown(0.3, size)), size) == pytest.approx(0.3)
    assert spearman_brown(0.6, 2) == pytest.approx(0.75)
    assert spearman_brown(-0.5, 2) == pytest.approx(-2 / 3)


@pytest.mark.parametrize("comparison", ["spearman", "corr", "rho-a"])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_two_rdms_compare_as_everywhere_in_the_package(comparison, missing):
    rng = np.random.default_rng(0)
    one, other = np.round(rng.normal(size=(2, 45)), 1)
    one[rng.random(45) < missing] = np.nan
    expected = compare_vectors(comparison, other[None], one[None])[0, 0] if not missing else None
    if missing:
        judged = ~np.isnan(one)
        expected = similarity_of_two(one[judged], other[judged], comparison)
    assert similarity_of_two(one, other, comparison) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("comparison", ["spearman", "corr", "rho-a"])
def test_mean_agreement_with_the_others_is_the_lower_noise_ceiling(comparison):
    human = people()
    lower = float(rf.noise_ceiling(human, comparison=comparison, resample=None)[0])
    vectors = human.values[:, *np.triu_indices(10, 1)]
    assert agreement_with_others(vectors, comparison).mean() == pytest.approx(lower)


def test_split_halves_give_the_reliability_that_was_put_in():
    reliability = assess_reliability(people(count=40, stimuli=40, noise=1.5), comparison="corr", halves=200)
    single = 1 / (1 + 1.5**2)
    assert float(reliability["single"]) == pytest.approx(single, abs=0.03)
    assert float(reliability["split_half_corrected"]) == pytest.approx(spearman_brown(single, 40), abs=0.01)
    measured = reliability["reliability_measured"].sel(group_size=5).item()
    assert measured == pytest.approx(spearman_brown(single, 5), abs=0.03)
    needed = reliability["participants_needed"].sel(target=0.9).item()
    assert (
        spearman_brown(float(reliability["single"]), needed)
        >= 0.9
        > spearman_brown(float(reliability["single"]), needed - 1)
    )


def test_the_same_seed_gives_the_same_halves_and_another_does_not():
    human = people()
    first, again = (assess_reliability(human, halves=50, seed=1)["split_half_draws"] for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, assess_reliability(human, halves=50, seed=2)["split_half_draws"])


def test_a_participant_who_answers_at_random_is_flagged_and_stays():
    human = people(count=12, stimuli=20, noise=0.5)
    strange = human.copy()
    strange[3] = people(count=1, stimuli=20, noise=5, seed=9).values[0]
    reliability = assess_reliability(strange, halves=20)
    assert reliability["participant"].values[reliability["outlying"].values].tolist() == ["p03"]
    assert reliability.sizes["participant"] == 12
    note = reliability_table(reliability).set_index("quantity").loc["participants flagged as outlying", "note"]
    assert note == "flagged, not dropped: p03"


def test_pairs_nobody_judged_are_counted():
    human = people(missing=0.3)
    human[:, 0, 1] = human[:, 1, 0] = np.nan
    reliability = assess_reliability(human, halves=20)
    assert reliability["people_of_pair"].values[0, 1] == 0
    assert reliability["pairs_judged"].values[0] == pytest.approx(
        np.isfinite(human.values[0][np.triu_indices(10, 1)]).mean()
    )
    assert "pairs judged by nobody: 1" in reliability_table(reliability)["note"].to_list()[-1]


def test_far_from_the_median_is_robust_to_one_wild_value():
    assert far_from_median(np.array([0.0, 1, 2, 3, 1000])).tolist() == [False] * 4 + [True]
    assert far_from_median(np.array([-9.0, 1, 2, 3, 9]), below=True).tolist() == [True] + [False] * 4
    assert not far_from_median(np.array([1.0, 1, 1, 2])).any()


def test_one_participant_and_a_group_curve_are_refused(tmp_path):
    with pytest.raises(ValueError, match=r"only \['p00'\]"):
        assess_reliability(people(count=1))
    file = tmp_path / "curve.csv"
    file.write_text("0.1\n0.5\n0.9\n")
    curve = read_human(file, kind="choice", layout={"names": ["p"]}, ids=["a", "b", "c"])
    with pytest.raises(ValueError, match="one curve of a group"):
        assess_reliability(curve)


def test_a_comparison_of_layers_only_is_refused():
    with pytest.raises(ValueError, match="'tau-a'"):
        assess_reliability(people(), comparison="tau-a")


RATED = "participant,stimulus_a,stimulus_b,rating\np,a,b,1\np,a,c,2\np,b,c,3\np,c,b,3\np,c,a,2\np,b,a,1\n"


def test_repeats_in_either_order_are_parted_and_compared(tmp_path):
    file = tmp_path / "rated.csv"
    file.write_text(RATED + "q,a,b,1\nq,a,c,2\nq,b,c,3\n")
    parts = read_human(file, kind="rating", layout={"by": "repeat"})
    assert parts.dims[0] == "repeat"
    assert parts["repeat"].values.tolist() == ["first", "second"]
    reliability = repeat_similarity(parts)
    assert reliability.sel(participant="p").item() == pytest.approx(1)
    assert np.isnan(reliability.sel(participant="q").item())


def test_trials_without_repeats_are_not_parted(tmp_path):
    file = tmp_path / "rated.csv"
    file.write_text("participant,stimulus_a,stimulus_b,rating\np,a,b,1\np,a,c,2\n")
    with pytest.raises(ValueError, match=r"No trial repeats in rated.csv"):
        read_human(file, kind="rating", layout={"by": "repeat"})


def test_the_table_and_the_figure_hold_the_same_numbers():
    import matplotlib.pyplot as plt

    human = people(missing=0.1).assign_coords(response_bias=("participant", np.linspace(0, 1, 12)))
    reliability = assess_reliability(human, halves=30)
    axes = plot_reliability(reliability)
    assert set(axes) == {"halves", "people", "agreement", "coverage"}
    drawn = np.concatenate([line.get_ydata() for line in axes["agreement"].lines])
    assert np.sort(drawn) == pytest.approx(np.sort(reliability["agreement"].values))
    assert axes["coverage"].get_title(loc="left") == "0 of 45 pairs judged by nobody"
    table = reliability_table(reliability).set_index("quantity")
    assert table.loc["split-half reliability", "value"] == pytest.approx(float(reliability["split_half_corrected"]))
    assert f"{table.loc['split-half reliability', 'value']:.2f}" in axes["halves"].get_title(loc="left")
    plt.close("all")


def test_reliability_is_saved_and_loaded_whole(tmp_path):
    reliability = assess_reliability(people(), halves=10)
    rf.save(reliability, tmp_path / "r.nc")
    xr.testing.assert_equal(rf.load(tmp_path / "r.nc"), reliability)


def test_forty_raters_of_real_morphs(real_files):
    files = [real_files / "morph_ratings" / f"human_rating_{who}.csv" for who in ("caucasian", "taiwanese")]
    human = read_human(
        files,
        kind="features",
        options={"scales": ("happy", "sad", "angry", "fearful", "disgusted", "surprised"), "scale": (0, 4)},
        layout={
            "columns": {"participant": "ratersID", "stimulus": ("imgID", "imgEmo", "imgInt")},
            "keep": {"imgEmo": ("happy", "sad", "neutral")},
        },
    )
    reliability = assess_reliability(human, halves=100)
    np.testing.assert_allclose(reliability["noise_ceiling"], [0.760, 0.773], atol=0.0006)
    assert not reliability["outlying"].any()
