"""What is nearer than what: anchored choices, rankings and published triplets, worked by hand and trial by trial."""

import numpy as np
import pytest

from rsa_face import read_human, read_human_trials
from rsa_face.human.relative import constraints_of

ANCHORED = "participant,anchor,stimulus_a,stimulus_b,nearer\np,a,b,c,b\np,a,c,b,b\np,a,b,c,c\np,b,a,d,d\n"
RANKING = "participant,target,choice_1,choice_2,choice_3\np,a,b,c,d\np,a,c,b,d\np,b,a,c,\n"


def write(tmp_path, text, name="trials.csv"):
    path = tmp_path / name
    path.write_text(text, "utf-8")
    return path


def test_an_anchored_pair_is_apart_as_often_as_it_was_not_chosen(tmp_path):
    human = read_human(write(tmp_path, ANCHORED), kind="anchored")
    at = {pair: human.sel(stimulus_i=pair[0], stimulus_j=pair[1]).item() for pair in ("ab", "ac", "bd", "bc")}
    # a-b: chosen in 2 of 3 trials with anchor a, and in none of 1 with anchor b
    assert at["ab"] == pytest.approx(1 - 2 / 4)
    assert at["ac"] == pytest.approx(1 - 1 / 3)
    assert at["bd"] == 0
    assert np.isnan(at["bc"])  # the two that are compared were never judged against each other
    assert human["coverage"].sel(stimulus_i="a", stimulus_j="b").item() == 4
    assert human["response_bias"].item() == pytest.approx(3 / 4)  # stimulus_b in three of four trials


@pytest.mark.parametrize(
    ("answers", "options"),
    [
        ("0110", {"nearer": "index", "base": 0}),
        (["1", "2", "2", "1"], {"nearer": "index", "base": 1}),
        (["left", "right", "right", "left"], {"nearer": "word"}),
        (["f", "j", "j", "f"], {"nearer": "word", "words": ("f", "j")}),
    ],
)
def test_the_nearer_one_by_place_or_word_equals_the_nearer_one_by_id(tmp_path, answers, options):
    shown = ["a,b,c", "a,c,b", "a,b,c", "b,d,a"]
    head = ANCHORED.splitlines()[0]
    by_id = [f"p,{row},{row.split(',')[1 + place]}" for row, place in zip(shown, (0, 1, 1, 0), strict=True)]
    other = [f"p,{row},{answer}" for row, answer in zip(shown, answers, strict=True)]
    plain = read_human_trials(write(tmp_path, "\n".join([head, *by_id]), "ids.csv"), kind="anchored")
    table = read_human_trials(write(tmp_path, "\n".join([head, *other])), kind="anchored", options=options)
    assert table.equals(plain)
    assert plain["nearer"].tolist() == ["b", "b", "c", "d"]


def test_a_ranked_pair_counts_the_choices_it_was_nearer_than(tmp_path):
    human = read_human(write(tmp_path, RANKING), kind="ranking")
    at = {pair: human.sel(stimulus_i=pair[0], stimulus_j=pair[1]).item() for pair in ("ab", "ac", "ad", "bc")}
    # a-b: nearer than 2 and 1 of 2 others with target a, and than 1 of 1 with target b
    assert at["ab"] == pytest.approx(1 - (2 + 1 + 1) / 5)
    assert at["ac"] == pytest.approx(1 - (1 + 2) / 4)
    assert at["ad"] == 1
    assert at["bc"] == 1
    assert human["coverage"].sel(stimulus_i="a", stimulus_j="b").item() == 3


def test_choices_left_over_were_compared_with_the_chosen_one_alone(tmp_path):
    lines = "participant,target,choice_1,choice_2,choice_3\np,t,a,b,c\np,t,b,a,c\n"
    human = read_human(write(tmp_path, lines), kind="ranking", options={"ordered": 1})
    assert human.sel(stimulus_i="t", stimulus_j="a").item() == pytest.approx(1 - 2 / 3)
    assert human.sel(stimulus_i="t", stimulus_j="c").item() == 1


def test_ranks_beside_choices_say_what_their_order_says(tmp_path):
    lines = (
        "participant,target,choice_1,choice_2,choice_3,rank_1,rank_2,rank_3\n"
        "p,a,d,b,c,3,1,2\np,a,d,c,b,3,1,2\np,b,c,a,,2,1,\n"
    )
    ranked = write(tmp_path, lines, "ranks.csv")
    table = read_human_trials(ranked, kind="ranking", options={"form": "ranks"})
    assert table.equals(read_human_trials(write(tmp_path, RANKING), kind="ranking"))
    assert table["ordered"].tolist() == [3, 3, 2]
    first = write(tmp_path, lines.replace("3,1,2", ",1,").replace("2,1,\n", ",1,\n"), "first.csv")
    table = read_human_trials(first, kind="ranking", options={"form": "ranks"})
    assert table["choice_1"].tolist() == ["b", "c", "a"]
    assert table["ordered"].tolist() == [1, 1, 2]  # of two choices, the other is the second


def test_constraints_of_each_kind_by_hand(tmp_path):
    three = "participant,stimulus_1,stimulus_2,stimulus_3,odd\np,a,b,c,b\n"
    codes = dict(enumerate("abcd"))

    def said(text, kind, **options):
        table = read_human_trials(write(tmp_path, text), kind=kind, options=options)
        return {"".join(codes[code] for code in row) for row in constraints_of(table).tolist()}

    assert said(three, "triplet") == {"acb", "cab"}
    assert said(ANCHORED, "anchored") == {"abc", "acb", "bda"}
    assert said(RANKING, "ranking") == {"abc", "abd", "acd", "acb", "bac"}
    assert said(RANKING, "ranking", ordered=1) == {"abc", "abd", "acb", "acd", "bac"}


def test_triplets_of_things_are_read_without_a_header_by_number(tmp_path):
    numbers = write(tmp_path, "0 2 1\n2 3 0\n3 0 1\n", "trainset.txt")
    ids = write(tmp_path, "aardvark\nabacus\nchair\ndoor\n", "unique_id.txt")
    table = read_human_trials(numbers, kind="triplet", options={"form": "things"}, ids=ids)
    assert table["odd"].tolist() == ["abacus", "aardvark", "abacus"]
    human = read_human(numbers, kind="triplet", options={"form": "things"}, ids=ids)
    assert human.sel(stimulus_i="aardvark", stimulus_j="chair").item() == 0.5
    assert "group" in human.attrs
    with pytest.raises(ValueError, match=r"line 2, column stimulus_2: '3' is no number of the 3 ids, from 0 on"):
        read_human_trials(numbers, kind="triplet", options={"form": "things"}, ids=["x", "y", "z"])


def test_nights_and_salmon_are_read_in_their_own_columns(tmp_path):
    nights = "id,votes,left_vote,right_vote,ref_path,left_path,right_path\n1,6,1,0,r1,l1,x1\n2,6,0,1,r2,l2,x2\n"
    table = read_human_trials(write(tmp_path, nights), kind="anchored", options={"form": "nights"})
    assert table["nearer"].tolist() == ["l1", "x2"]
    salmon = "puid,head,left,right,winner,loser,response_time\nw1,0,1,2,2,1,1.5\nw2,2,0,1,0,1,0.9\n"
    ids = ["a", "b", "c"]
    table = read_human_trials(write(tmp_path, salmon), kind="anchored", options={"form": "salmon"}, ids=ids)
    assert table["nearer"].tolist() == ["c", "a"]
    assert table["participant"].tolist() == ["w1", "w2"]


def test_retests_of_an_anchored_choice_have_the_same_anchor(tmp_path):
    lines = "participant,anchor,stimulus_a,stimulus_b,nearer\np,a,b,c,b\np,b,a,c,c\np,a,c,b,c\np,b,c,a,c\n"
    table = read_human_trials(write(tmp_path, lines), kind="anchored", layout={"by": "repeat"})
    assert table["repeat"].tolist() == ["first", "first", "second", "second"]


@pytest.mark.parametrize(
    ("kind", "text", "options", "clause"),
    [
        ("anchored", ANCHORED.replace("a,c,b,b", "a,a,b,b"), {}, "line 3, column stimulus_a: is the anchor"),
        ("anchored", ANCHORED.replace("a,c,b,b", "a,b,b,b"), {}, "line 3, column stimulus_b: the two stimuli"),
        ("anchored", ANCHORED.replace("d,d", "d,c"), {}, "line 5, column nearer: 'c' is not among the two"),
        ("anchored", ANCHORED.replace("d,d", "d,"), {}, r"line 5, column nearer: the cell is empty \(layout drop"),
        ("anchored", ANCHORED, {"nearer": "word"}, "line 2, column nearer: 'b' is neither 'left' nor 'right'"),
        ("anchored", ANCHORED, {"nearer": "index"}, "nearer = index needs base"),
        ("ranking", RANKING.replace("a,b,c,d", "a,b,a,d"), {}, "line 2, column choice_2: is the target itself"),
        ("ranking", RANKING.replace("a,b,c,d", "a,b,c,b"), {}, "line 2, column choice_3: is among the choices"),
        ("ranking", RANKING.replace("b,a,c,", "b,a,,"), {}, "line 4, column choice_2: the cell is empty"),
        ("ranking", RANKING, {"ordered": 0}, "ordered=0 is no number of choices"),
        ("ranking", RANKING, {"form": "ranks"}, "there is no column 'rank_1'"),
        ("rating", "participant,stimulus_a,stimulus_b,rating\np,a,b,1\n", {}, "Unknown kind of trials: 'rating'"),
    ],
)  # fmt: skip
def test_a_trial_that_cannot_be_is_named_by_line_and_column(tmp_path, kind, text, options, clause):
    with pytest.raises(ValueError, match=clause):
        read_human_trials(write(tmp_path, text), kind=kind, options=options)


@pytest.mark.parametrize(
    ("ranks", "clause"),
    [
        ("1,1,2", "column rank_2: rank 1 is given again"),
        ("1,2,4", "column rank_3: 4 is no rank from 1 to 3"),
        ("1,1.5,2", "column rank_2: 1.5 is no rank"),
        (",,", "column rank_1: no choice has a rank"),
    ],
)
def test_ranks_that_make_no_order_are_named(tmp_path, ranks, clause):
    lines = f"participant,target,choice_1,choice_2,choice_3,rank_1,rank_2,rank_3\np,a,b,c,d,{ranks}\n"
    with pytest.raises(ValueError, match=f"line 2, {clause}"):
        read_human_trials(write(tmp_path, lines), kind="ranking", options={"form": "ranks"})
