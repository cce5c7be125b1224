"""What must not matter does not: the order of lines, what people are called, which stimulus came first."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rsa_face.human.read import read_human, write_human

HEADS = {
    "rating": "participant,stimulus_a,stimulus_b,rating",
    "triplet": "participant,stimulus_1,stimulus_2,stimulus_3,odd",
    "anchored": "participant,anchor,stimulus_a,stimulus_b,nearer",
    "ranking": "participant,target,choice_1,choice_2,choice_3",
    "samediff": "participant,stimulus_a,stimulus_b,response",
    "choice": "participant,stimulus,response",
    "confusion": "participant,stimulus,response",
    "arrangement": "participant,trial,stimulus,x,y",
    "features": "participant,stimulus,happy,sad",
}
IDS = ("a", "b2", "b10", "ü", "e f")
person, number = st.sampled_from(("p1", "p2", "p10")), st.integers(0, 9).map(str)
pair, three = (st.permutations(IDS).map(lambda ids, n=n: ids[:n]) for n in (2, 3))
stimulus, name = st.sampled_from(IDS), st.sampled_from(("happy", "sad"))
ROWS = {
    "rating": st.tuples(person, pair, number).map(lambda row: [row[0], *row[1], row[2]]),
    "triplet": st.tuples(person, three, st.integers(0, 2)).map(lambda row: [row[0], *row[1], row[1][row[2]]]),
    "anchored": st.tuples(person, three, st.integers(1, 2)).map(lambda row: [row[0], *row[1], row[1][row[2]]]),
    "ranking": st.tuples(person, st.permutations(IDS), st.booleans()).map(
        lambda row: [row[0], *row[1][:3], row[1][3] if row[2] else ""]
    ),
    "samediff": st.tuples(person, pair, st.sampled_from(("same", "different"))).map(
        lambda row: [row[0], *row[1], row[2]]
    ),
    "choice": st.tuples(person, stimulus, name).map(list),
    "confusion": st.tuples(person, stimulus, name).map(list),
    "arrangement": st.tuples(person, number, stimulus, number, number).map(list),
    "features": st.tuples(person, stimulus, number, number).map(list),
}
ONCE = {"arrangement": 3, "features": 2}  # so many first cells may occur together once only


def rows_of(kind):
    """Return lists of rows, with one pair that everybody certainly judged."""
    sure = {
        "rating": ["a,ü,1"], "triplet": ["a,ü,b2,b2"], "anchored": ["a,ü,b2,b2"],
        "ranking": ["a,ü,b2,"], "samediff": ["a,ü,same"], "choice": ["a,happy", "ü,sad"],
        "confusion": ["a,happy", "ü,sad"], "arrangement": ["99,a,0,0", "99,ü,1,1"], "features": ["a,1,2", "ü,3,1"],
    }  # fmt: skip
    first = [["p1", *line.split(",")] for line in sure[kind]]
    key = (lambda row: tuple(row[: ONCE[kind]])) if kind in ONCE else None
    taken = {tuple(row[: ONCE[kind]]) for row in first} if kind in ONCE else set()
    more = st.lists(ROWS[kind], max_size=25, unique_by=key)
    return more.map(lambda rows: first + [row for row in rows if kind not in ONCE or key(row) not in taken])


def read(kind, rows):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "trials.csv")
        path.write_text("\n".join([HEADS[kind], *(",".join(row) for row in rows)]), "utf-8")
        return read_human(path, kind=kind)


@pytest.mark.parametrize("kind", list(HEADS))
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_shuffling_lines_changes_nothing(kind, data):
    rows = data.draw(rows_of(kind))
    shuffled = data.draw(st.permutations(rows))
    human, other = read(kind, rows), read(kind, shuffled)
    np.testing.assert_allclose(other.values, human.values, rtol=1e-9, atol=1e-9)
    assert (
        other.assign_attrs(human.attrs)
        .drop_vars("response_bias", errors="ignore")
        .coords.identical(human.drop_vars("response_bias", errors="ignore").coords)
    )
    assert other.attrs["left_out"] == human.attrs["left_out"]


@pytest.mark.parametrize("kind", list(HEADS))
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_renaming_people_changes_their_names_only(kind, data):
    rows = data.draw(rows_of(kind))
    names = {"p1": "zoë", "p2": "k", "p10": "a 7"}
    human, other = read(kind, rows), read(kind, [[names[row[0]], *row[1:]] for row in rows])
    for who in human["participant"].values:
        np.testing.assert_allclose(other.sel(participant=names[who]), human.sel(participant=who), atol=1e-9)


@pytest.mark.parametrize("kind", ["rating", "samediff"])
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_swapping_a_and_b_changes_nothing(kind, data):
    rows = data.draw(rows_of(kind))
    human, other = read(kind, rows), read(kind, [[row[0], row[2], row[1], row[3]] for row in rows])
    np.testing.assert_allclose(other.values, human.values)
    assert np.array_equal(other["coverage"], human["coverage"])


@pytest.mark.parametrize("ending", ["nc", "h5", "csv"])
@pytest.mark.parametrize("kind", list(HEADS))
@settings(max_examples=3, deadline=None)
@given(data=st.data())
def test_what_convert_wrote_is_read_as_the_same_array(kind, ending, data):
    human = read(kind, data.draw(rows_of(kind)))
    with tempfile.TemporaryDirectory() as folder:
        again = read_human(write_human(human, Path(folder, f"human.{ending}")), kind="rdm")
    assert again.identical(human)
