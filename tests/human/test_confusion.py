"""Confusions are read as trials or counts, and become distances between response profiles or confusability."""

import numpy as np
import pytest

from rsa_face.human.read import read_human

TRIALS = "participant,stimulus,response\np,a,happy\np,a,happy\np,b,happy\np,b,sad\np,c,sad\n"
COUNTS = "participant,stimulus,happy,sad\np,a,2,0\np,b,1,1\np,c,0,1\n"
TAKEN = "participant,stimulus,a,b,c\np,a,8,2,0\np,b,4,6,0\np,c,0,1,9\n"


def read(tmp_path, text, options=None, **more):
    path = tmp_path / "confused.csv"
    path.write_text(text)
    return read_human(path, kind="confusion", options=options, **more)


def test_profiles_are_worked_by_hand(tmp_path):
    human = read(tmp_path, TRIALS)
    assert human.sel(stimulus_i="a", stimulus_j="b").item() == pytest.approx(np.sqrt(0.5))
    assert human.sel(stimulus_i="a", stimulus_j="c").item() == pytest.approx(np.sqrt(2))
    assert read(tmp_path, TRIALS, {"distance": "hellinger"}).sel(stimulus_i="a", stimulus_j="c").item() == 1
    assert human.response_bias.item() == pytest.approx(3 / 5)
    assert human.coverage.sel(stimulus_i="b", stimulus_j="c").item() == 1


def test_counts_say_the_same_as_their_trials(tmp_path):
    trials, counts = read(tmp_path, TRIALS), read(tmp_path, COUNTS, {"form": "counts"})
    assert np.array_equal(trials.values, counts.values)
    assert counts.n_trials.item() == 5


def test_confusability_is_the_mean_of_both_directions(tmp_path):
    human = read(tmp_path, TAKEN, {"form": "counts", "distance": "confusability"})
    assert human.sel(stimulus_i="a", stimulus_j="b").item() == pytest.approx(1 - (0.2 + 0.4) / 2)
    assert human.sel(stimulus_i="b", stimulus_j="c").item() == pytest.approx(1 - (0 + 0.1) / 2)


def test_a_log_of_what_was_taken_for_what_equals_its_counts(tmp_path):
    rows = [f"p,{i},{j}\n" for i, row in zip("abc", ((8, 2, 0), (4, 6, 0), (0, 1, 9)), strict=True)
            for j, n in zip("abc", row, strict=True) for _ in range(n)]  # fmt: skip
    log = read(tmp_path, "participant,stimulus,response\n" + "".join(rows), {"distance": "confusability"})
    counts = read(tmp_path, TAKEN, {"form": "counts", "distance": "confusability"})
    assert np.array_equal(log.values, counts.values)


@pytest.mark.parametrize(
    ("text", "options", "clause"),
    [
        (TRIALS.replace("b,sad", "b,sat"), {"responses": ("happy", "sad")}, "line 5, column response: 'sat' is none"),
        (COUNTS.replace("1,1", "1,-1"), {"form": "counts"}, "line 3, column sad: -1 is no count"),
        (COUNTS.replace("1,1", "1,.5"), {"form": "counts"}, "line 3, column sad: 0.5 is no count"),
        (COUNTS + "p,a,1,0\n", {"form": "counts"}, "line 5, column stimulus: 'a' is counted again"),
        (COUNTS, {"form": "counts", "distance": "confusability"}, "responses 'happy', 'sad'"),
        ("participant,stimulus\np,a\n", {"form": "counts"}, "confused.csv has no column of counts"),
    ],
)
def test_a_broken_file_says_line_column_and_value(tmp_path, text, options, clause):
    with pytest.raises(ValueError, match=clause):
        read(tmp_path, text, options)
