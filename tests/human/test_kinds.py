"""Each kind of trial, worked by hand, with its broken files, and on real ratings."""

import numpy as np
import pytest

from rsa_face.human.read import read_human

RATINGS = "participant,stimulus_a,stimulus_b,rating\np,a,b,2\np,b,a,4\np,a,c,5\np,c,c,1\nq,b,c,1\n"
TRIPLETS = "participant,stimulus_1,stimulus_2,stimulus_3,odd\np,a,b,c,c\np,a,b,c,a\np,a,b,d,d\n"
SAME = "participant,stimulus_a,stimulus_b,response\np,a,b,different\np,b,a,same\np,a,a,same\np,b,b,same\n"
FEATURES = "participant,stimulus,happy,sad\np,a,0,0\np,b,3,4\np,c,,1\n"


def read(tmp_path, text, kind, **more):
    path = tmp_path / f"{kind}.csv"
    path.write_text(text)
    return read_human(path, kind=kind, **more)


def test_ratings_in_both_orders_are_averaged_and_counted(tmp_path):
    human = read(tmp_path, RATINGS, "rating")
    assert human.sel(participant="p", stimulus_i="a", stimulus_j="b").item() == 3
    assert human.coverage.sel(participant="p", stimulus_i="a", stimulus_j="b").item() == 2
    assert np.isnan(human.sel(participant="p", stimulus_i="b", stimulus_j="c").item())
    assert human.attrs["left_out"] == {"a stimulus rated against itself": 1}


def test_similarity_ratings_are_turned_round_on_their_scale(tmp_path):
    human = read(tmp_path, RATINGS, "rating", options={"direction": "similarity", "scale": (1, 7)})
    assert human.sel(participant="p", stimulus_i="a", stimulus_j="b").item() == 5


def test_triplets_are_one_minus_kept_together_over_shown(tmp_path):
    human = read(tmp_path, TRIPLETS, "triplet")
    assert human.sel(stimulus_i="a", stimulus_j="b").item() == pytest.approx(1 / 3)
    assert human.sel(stimulus_i="b", stimulus_j="c").item() == 0.5
    assert human.sel(stimulus_i="a", stimulus_j="c").item() == 1
    assert np.isnan(human.sel(stimulus_i="c", stimulus_j="d").item())


@pytest.mark.parametrize("base", [0, 1])
def test_the_odd_one_by_index_equals_the_odd_one_by_id(tmp_path, base):
    rows = ["p,a,b,c,2", "p,a,b,c,0", "p,a,b,d,2"]
    numbered = [row[:-1] + str(int(row[-1]) + base) for row in rows]
    text = "\n".join([TRIPLETS.splitlines()[0], *numbered])
    human = read(tmp_path, text, "triplet", options={"odd": "index", "base": base})
    assert human.values == pytest.approx(read(tmp_path, TRIPLETS, "triplet").values, nan_ok=True)


def test_an_index_without_its_base_is_refused(tmp_path):
    with pytest.raises(ValueError, match="odd = index needs base"):
        read(tmp_path, TRIPLETS, "triplet", options={"odd": "index"})


def test_time_outs_are_left_out_by_column_and_counted(tmp_path):
    text = "participant,stimulus_1,stimulus_2,stimulus_3,odd,late\np,a,b,c,c,0\np,a,b,c,,1\n"
    human = read(tmp_path, text, "triplet", layout={"drop": {"late": "1"}})
    assert human.attrs["left_out"] == {"late is 1": 1}
    assert human.n_trials.item() == 1


def test_same_different_is_the_share_of_different(tmp_path):
    assert read(tmp_path, SAME, "samediff").sel(stimulus_i="a", stimulus_j="b").item() == 0.5


def test_dprime_subtracts_the_false_alarms(tmp_path):
    from scipy.stats import norm

    human = read(tmp_path, SAME, "samediff", options={"distance": "dprime"})
    assert human.values[0, 0, 1] == pytest.approx(norm.ppf(1.5 / 3) - norm.ppf(0.5 / 3))


def test_profiles_are_apart_as_the_crow_flies_and_missing_ratings_counted(tmp_path):
    human = read(tmp_path, FEATURES, "features", options={"scales": ("happy", "sad")})
    assert human.sel(stimulus_i="a", stimulus_j="b").item() == 5
    assert np.isnan(human.sel(stimulus_i="a", stimulus_j="c").item())
    assert human.attrs["missing_ratings"] == 1


@pytest.mark.parametrize(
    ("kind", "text", "options", "clause"),
    [
        (
            "rating",
            RATINGS.replace("p,a,c,5", "p,a,c,9"),
            {"scale": (1, 7)},
            "line 4, column rating: 9 is off the scale",
        ),
        ("rating", RATINGS.replace("p,a,c,5", "p,a,c,x"), {}, "line 4, column rating: 'x' is not a number"),
        ("triplet", TRIPLETS.replace("c,c\n", "c,d\n", 1), {}, "line 2, column odd: 'd' is not among the three"),
        ("triplet", TRIPLETS.replace("p,a,b,d,d", "p,a,a,d,d"), {}, "line 4, column stimulus_1: the three stimuli"),
        ("samediff", SAME.replace("p,a,a,same", "p,a,a,sane"), {}, "line 4, column response: 'sane' is neither"),
        (
            "features",
            FEATURES + "p,a,1,1\n",
            {"scales": ("happy", "sad")},
            "line 5, column stimulus: 'a' is rated again",
        ),
        ("features", FEATURES, {"scales": ("happy", "glad")}, "no column 'glad'"),
    ],
)
def test_a_broken_file_says_line_column_and_value(tmp_path, kind, text, options, clause):
    with pytest.raises(ValueError, match=clause):
        read(tmp_path, text, kind, options=options)


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
    assert human.shape == (40, 54, 54)
    assert human.attrs["missing_ratings"] == 1
    assert int(np.isnan(human.values).sum()) == 2 * 53
    assert human.attrs["left_out"] == {"imgEmo is not happy or sad or neutral": 3840}
