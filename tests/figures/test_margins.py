"""Labels of groups beside an RDM stay readable: smaller, then without what all begin with, then cut."""

from rsa_face.figures.rdms import _fitted
from rsa_face.figures.style import STYLES

STYLE = STYLES["nature"]


def test_labels_with_room_are_written_whole():
    assert _fitted(["id01", "id02"], [9, 9], STYLE) == (["id01", "id02"], STYLE.small_pt)


def test_labels_with_less_room_are_written_smaller():
    assert _fitted(["id01", "id02"], [4, 4], STYLE) == (["id01", "id02"], STYLE.least_pt)


def test_labels_that_begin_alike_leave_that_out_before_they_are_cut():
    assert _fitted(["person 1", "person 12"], [3, 3], STYLE) == (["1", "12"], STYLE.small_pt)


def test_labels_that_differ_are_cut_and_left_out_where_nothing_can_be_read():
    texts, size = _fitted(["happiness", "sadness", "fear"], [4, 1, 4], STYLE)
    assert (texts, size) == (["hap…", "", "fear"], STYLE.least_pt)


def test_short_labels_that_would_be_read_as_one_word_are_left_out():
    apa = STYLES["apa"]
    assert _fitted([f"face0{n}" for n in range(1, 7)], [2.9] * 6, apa)[0] == [""] * 6
    assert _fitted([f"face0{n}" for n in range(1, 7)], [4.1] * 6, apa)[0] == [f"0{n}" for n in range(1, 7)]
