"""What laboratories' files have in them that nobody meant: each is read as it was meant, or refused by its name."""

import numpy as np
import pytest

from rsa_face.human.kinds import KINDS
from rsa_face.human.read import read_human
from rsa_face.human.tables import Layout, as_numbers, head_of
from rsa_face.schema import MISSING

ROWS = {kind: [",".join(row.example), *row.rows] for kind, row in KINDS.items() if kind != "rdm"}
CONFUSION = ["participant,stimulus,response", "p1,a,happy", "p1,b,sad", "p2,a,happy", "p2,b,happy"]
RATING = ["participant,stimulus_a,stimulus_b,rating", "p1,a,b,1", "p1,a,c,2", "p1,b,c,3"]


def write(tmp_path, lines, name="trials.csv"):
    path = tmp_path / name
    path.write_text("\n".join(lines), "utf-8")
    return path


@pytest.mark.parametrize("kind", list(ROWS))
def test_a_header_inside_the_table_is_refused_by_its_line(tmp_path, kind):
    lines = [*ROWS[kind][:3], ROWS[kind][0], *ROWS[kind][3:]]
    with pytest.raises(ValueError, match=r"trials\.csv, line 4: is the header again\nA table has one header"):
        read_human(write(tmp_path, lines), kind=kind)


@pytest.mark.parametrize("kind", list(ROWS))
def test_a_second_mark_of_the_encoding_makes_no_participant(tmp_path, kind):
    plain = read_human(write(tmp_path, ROWS[kind], "plain.csv"), kind=kind)
    marked = ["\ufeff" + ROWS[kind][0], *ROWS[kind][1:3], "\ufeff" + ROWS[kind][3], *ROWS[kind][4:]]
    other = read_human(write(tmp_path, marked, "marked.csv"), kind=kind)
    assert other.assign_attrs(plain.attrs).identical(plain)


@pytest.mark.parametrize("word", [word for word in MISSING if word])
@pytest.mark.parametrize("kind", ["confusion", "choice"])
def test_a_word_for_a_missing_answer_is_no_answer_and_counted(tmp_path, kind, word):
    plain = read_human(write(tmp_path, CONFUSION, "plain.csv"), kind=kind)
    timed_out = read_human(write(tmp_path, [*CONFUSION, f"p1,a,{word}", f"p2,b,{word}"]), kind=kind)
    assert np.array_equal(timed_out.values, plain.values)
    assert timed_out.attrs["left_out"] == {f"response is missing ({word})": 2}
    if kind == "choice":  # and it does not become the other answer
        happy = [line for line in CONFUSION if not line.endswith("sad")]
        one = read_human(write(tmp_path, [*happy, f"p1,b,{word}", "p1,b,happy"], "one.csv"), kind=kind)
        assert one.attrs["answer"] == "happy"
        assert np.nanmax(one.values) == 0


@pytest.mark.parametrize("word", [word for word in MISSING if word])
def test_a_word_for_a_missing_rating_is_left_out_and_an_empty_cell_is_a_fault(tmp_path, word):
    human = read_human(write(tmp_path, [*RATING, f"p1,a,b,{word}"]), kind="rating")
    assert human.sel(stimulus_i="a", stimulus_j="b").item() == 1
    assert human.attrs["left_out"] == {f"rating is missing ({word})": 1}
    with pytest.raises(ValueError, match=r"line 5, column rating: the cell is empty \(layout drop\.rating="):
        read_human(write(tmp_path, [*RATING, "p1,a,b,"]), kind="rating")
    dropped = read_human(write(tmp_path, [*RATING, "p1,a,b,"]), kind="rating", layout={"drop": {"rating": ""}})
    assert dropped.attrs["left_out"] == {"rating is empty": 1}


def test_answers_that_are_all_missing_are_refused(tmp_path):
    lines = ["participant,stimulus,response", "p1,a,None", "p1,b,None"]
    with pytest.raises(ValueError, match=r"trials\.csv holds no answers: \{'response is missing \(None\)': 2\}"):
        read_human(write(tmp_path, lines), kind="choice")


@pytest.mark.parametrize(
    ("texts", "numbers", "faults"),
    [
        (["1,200", "950"], [np.nan, 950], {0: "is 1.2 or 1200: write it without a comma"}),
        (["1,200,000", "5"], [np.nan, 5], {0: "is 1200000: write it without a comma"}),
        (["1,200", "0,5"], [1.2, 0.5], {}),
        (["0,612", "0,703"], [0.612, 0.703], {}),
        (["10%", "5"], [np.nan, 5], {0: "is a percentage, not a number: write it without the sign"}),
        (["1,5", "2.5"], [np.nan, 2.5], {0: "is not a number"}),
    ],
)
def test_a_number_that_can_be_read_in_two_ways_is_refused(texts, numbers, faults):
    values, wrong = as_numbers(texts)
    np.testing.assert_array_equal(values, numbers)
    assert wrong == faults


def test_points_that_may_separate_thousands_are_remarked_on(tmp_path):
    lines = [RATING[0], "p1,a,b,1.200", "p1,a,c,950", "p1,b,c,3"]
    with pytest.warns(UserWarning, match=r"Column rating of trials\.csv has '1\.200', read as 1\.2 and so on"):
        human = read_human(write(tmp_path, lines), kind="rating")
    assert human.sel(stimulus_i="a", stimulus_j="b").item() == 1.2


@pytest.mark.parametrize(
    ("one", "other"), [("p1", "P1"), ("Zoë", "Zoe\u0308"), ("p 1", "p\u00a01"), ("p 1", "p  1"), ("p１", "p1")]
)
def test_names_that_look_the_same_are_remarked_on(tmp_path, one, other):
    lines = [RATING[0], *(line.replace("p1", name) for name in (one, other) for line in RATING[1:])]
    with pytest.warns(UserWarning, match=r"trials\.csv has a participant for each of .* in case, spaces or Unicode"):
        human = read_human(write(tmp_path, lines), kind="rating")
    assert human.sizes["participant"] == 2


@pytest.mark.parametrize(
    ("written", "clause"),
    [
        ("Face", r"'Face' is not among the stimuli, but 'face' is: it differs in case, spaces or Unicode form alone"),
        ("1.0", r"'1\.0' is not among the stimuli, but '1' is: a program made a number of it"),
        ("x", r"'x' is not among the stimuli$"),
    ],
)
def test_an_unknown_id_says_which_known_one_it_may_be(tmp_path, written, clause):
    lines = [RATING[0], "p1,face,1,2", f"p1,{written},2,3"]
    with pytest.raises(ValueError, match=rf"(?m)line 3, column stimulus_a: {clause}"):
        read_human(write(tmp_path, lines), kind="rating", stimuli=["face", "1", "2"])


@pytest.mark.parametrize(
    "lines",
    [
        [line.replace(",", "|") for line in RATING],
        [line.replace(",", ", ") for line in RATING],
        [", ".join(f'"{cell}"' for cell in line.split(",")) for line in RATING],
        [f"{line}," for line in RATING],
        [RATING[0], *(f"{line},," for line in RATING[1:])],
        ["sep=;", *(line.replace(",", ";") for line in RATING)],
        ['"sep=|"', *(line.replace(",", "|") for line in RATING)],
        [f'"{number}",{line}' if number else f'"",{line}' for number, line in enumerate(RATING)],  # R's write.csv
    ],
    ids=["bars", "spaces", "quotes after a space", "commas at the end", "more at the end", "sep", "quoted sep", "R"],
)
def test_forms_of_a_table_change_nothing(tmp_path, lines):
    plain = read_human(write(tmp_path, RATING, "plain.csv"), kind="rating")
    other = read_human(write(tmp_path, lines), kind="rating")
    assert other.assign_attrs(plain.attrs).identical(plain)


def test_row_names_and_backslashes_are_called_by_their_name(tmp_path):
    rows = [RATING[0].replace(",", " "), *(f'"{n}" {line.replace(",", " ")}' for n, line in enumerate(RATING[1:]))]
    with pytest.raises(ValueError, match="R's row names"):
        read_human(write(tmp_path, rows), kind="rating")
    with pytest.raises(ValueError, match="written twice, not with a backslash"):
        read_human(write(tmp_path, [*RATING, '"p\\"1, x",a,b,2']), kind="rating")


def test_what_is_wrong_in_all_files_alike_is_said_once(tmp_path):
    files = [write(tmp_path, ["who,a,b,rating", "p,x,y,1"], f"p{number:02d}.csv") for number in range(94)]
    with pytest.raises(
        ValueError, match=r"^3 faults:\n  in all 94 files, such as p00\.csv, line 1: there is no column"
    ):
        read_human(files, kind="rating")


def test_lines_are_right_below_a_line_that_names_the_separator(tmp_path):
    with pytest.raises(ValueError, match=r"line 4, column rating: 'x' is not a number"):
        read_human(write(tmp_path, ["sep=,", *RATING[:2], "p1,a,c,x"]), kind="rating")
    assert head_of(tmp_path / "trials.csv", Layout()).first_line == 3
