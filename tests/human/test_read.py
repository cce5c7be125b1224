"""Files of human data become one RDM for each participant, or an error that says what to fix, and where."""

import numpy as np
import pytest
from rsatoolbox.rdm import RDMs

from rsa_face.human.read import read_human

SQUARE = ",a,b,c\na,0,1,2\nb,1,0,3\nc,2,3,0\n"
CHOICES = "participant,stimulus,response\np1,a,happy\np1,b,sad\np1,b,happy\np2,a,happy\np2,b,sad\n"


@pytest.fixture
def file(tmp_path):
    def write(text, name="trials.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


def test_a_square_table_is_read_by_its_ids(file):
    human = read_human(file(SQUARE), kind="rdm")
    assert human.dims == ("participant", "stimulus_i", "stimulus_j")
    assert human.sel(stimulus_i="c", stimulus_j="b").item() == 3
    assert human.sel(stimulus_i="a", stimulus_j="b").item() == 1


def test_rows_in_another_order_than_columns_change_nothing(file):
    turned = read_human(file(",a,b,c\nc,2,3,0\na,0,1,2\nb,1,0,3\n"), kind="rdm")
    assert np.array_equal(turned.values, read_human(file(SQUARE), kind="rdm").values)


def test_semicolons_and_decimal_commas_are_found_out(file):
    human = read_human(file("\ufeff;a;b\na;0;1,5\nb;1,5;0\n"), kind="rdm")
    assert human.values[0].tolist() == [[0, 1.5], [1.5, 0]]


def test_stimuli_set_the_order(file):
    human = read_human(file(SQUARE), kind="rdm", stimuli=["c", "a", "b"])
    assert human.stimulus_i.values.tolist() == ["c", "a", "b"]
    assert human.sel(stimulus_i="c", stimulus_j="b").item() == human.values[0, 0, 2] == 3


def test_npz_mat_and_rsatoolbox_files_hold_the_same_rdms(tmp_path):
    import scipy.io

    rdms = np.array([[[0, 1, 2], [1, 0, 3], [2, 3, 0]], [[0, 4, 5], [4, 0, 6], [5, 6, 0]]], dtype=float)
    np.savez(tmp_path / "r.npz", rdms=rdms, stimuli=["a", "b", "c"], participants=["p", "q"])
    scipy.io.savemat(tmp_path / "r.mat", {"rdms": rdms, "stimuli": np.array(["a", "b", "c"], dtype=object)})
    toolbox = RDMs(rdms, rdm_descriptors={"participant": ["p", "q"]}, pattern_descriptors={"conds": ["a", "b", "c"]})
    toolbox.save(str(tmp_path / "r.h5"))
    for name in ("r.npz", "r.mat", "r.h5"):
        human = read_human(tmp_path / name, kind="rdm", stimuli=["a", "b", "c"])
        assert np.array_equal(human.values, rdms), name


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        (",a,b\na,0,1\nb,2,0\n", r"line 2, column b: 'participant_01' is asymmetric at \(a, b\): 1 against 2"),
        (",a,b\na,0.5,1\nb,1,0\n", r"0.5 on the diagonal at 'a'"),
        (",a,b\na,0,x\nb,1,0\n", r"line 2, column b: 'x' is not a number"),
        (",a,b\na,0,1\nc,1,0\n", r"column 'b' is no row"),
        (",a,b\na,0,1,7\nb,1,0\n", r"line 2: has 4 cells where the header has 3"),
        ("participant,stimulus,a,b\n", r"trials\.csv has a header of ids and no rows"),
        ("participant,stimulus,response\np1,a,happy\np1,b,hapy\n", "'hapy' is not a number"),
    ],
)
def test_a_broken_square_says_where(file, text, clause):
    with pytest.raises(ValueError, match=clause):
        read_human(file(text), kind="rdm")


def test_a_table_of_names_without_a_header_is_refused(file):
    names = file("old,\na,x\n", "names.csv")
    with pytest.raises(ValueError, match=r"names\.csv .*\['old', ''\], not two"):
        read_human(file(CHOICES), kind="choice", layout={"rename": names})


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("old,new\na,x\nb,y\nc", r"names\.csv .*nothing beside 'c'\. Fill in"),
        ("old,new\na,x\n,y\nc,z\n", r"names\.csv .*nothing beside 'y'\. Fill in"),
        ("old,new\na,x\nb,y\na,z\n", r"names\.csv .*repeats 'a'"),
        ("old,new\na,x\nb,y\nc,y\n", r"names\.csv .*repeats 'y'"),
    ],
)
def test_a_table_of_names_that_leaves_a_stimulus_without_one_of_its_own_is_refused(file, text, clause):
    names = file(text, "names.csv")
    with pytest.raises(ValueError, match=clause):
        read_human(file(CHOICES), kind="choice", layout={"rename": names})


def test_ids_that_differ_from_the_stimuli_are_named_either_way(file):
    with pytest.raises(ValueError, match="'c' is not among the stimuli"):
        read_human(file(SQUARE), kind="rdm", stimuli=["a", "b"])
    with pytest.raises(ValueError, match="never judges 'd'"):
        read_human(file(SQUARE), kind="rdm", stimuli=["a", "b", "c", "d"])


def test_rows_without_names_are_never_matched_by_position(file):
    bare = "0,1,2\n1,0,3\n2,3,0\n"
    with pytest.raises(ValueError, match="Name its 3 rows with ids"):
        read_human(file(bare), kind="rdm", stimuli=["a", "b", "c"])
    named = read_human(file(bare), kind="rdm", stimuli=["a", "b", "c"], ids="stimuli")
    assert named.stimulus_i.values.tolist() == ["a", "b", "c"]
    assert read_human(file(bare), kind="rdm").stimulus_i.values[0] == "stimulus_01"


def test_choices_worked_by_hand(file):
    human = read_human(file(CHOICES), kind="choice")
    assert human.sel(stimulus_i="a", stimulus_j="b").values.tolist() == [0.5, 1.0]
    assert human.n_trials.values.tolist() == [3, 2]
    assert human.coverage.sel(stimulus_i="a", stimulus_j="b").values.tolist() == [1, 1]


def test_probit_distance_is_clipped_by_the_loglinear_rule(file):
    from scipy.stats import norm

    human = read_human(file(CHOICES), kind="choice", options={"distance": "probit"})
    assert human.values[1, 0, 1] == pytest.approx(norm.ppf(0.75) - norm.ppf(0.25))


def test_all_faults_of_choices_are_said_at_once(file):
    text = "participant,stimulus,response\np1,a,happy\np1,b,sad\np1,c,hapy\n,b,sad\np2,1-Mar,sad\n"
    with pytest.raises(ValueError, match="3 faults") as caught:
        read_human(file(text), kind="choice")
    message = str(caught.value)
    assert "line 4, column response: 'hapy'" in message
    assert "line 5, column participant: the cell is empty" in message
    assert "line 6, column stimulus: '1-Mar' looks like a date" in message


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffled_choices_give_the_same_array(file, seed):
    head, *rows = CHOICES.splitlines()
    order = np.random.default_rng(seed).permutation(len(rows))
    shuffled = "\n".join([head, *(rows[k] for k in order)])
    assert read_human(file(shuffled), kind="choice").identical(read_human(file(CHOICES), kind="choice"))


def test_the_sixteen_participants_are_read_by_name(real_files):
    human = read_human(real_files / "kriegeskorte92" / "92_behavRDMs.mat", kind="rdm")
    assert human.shape == (16, 92, 92)
    assert human.participant.values[0] == "subject1"


def test_a_group_curve_is_read_and_says_so(real_files):
    file = real_files / "published" / "human-data-9point.csv"
    human = read_human(file, kind="choice", layout={"names": ["p"]}, ids=[f"face_{k}" for k in range(9)])
    assert human.shape == (1, 9, 9)
    assert human.sel(stimulus_i="face_0", stimulus_j="face_8").item() == pytest.approx(0.98)
    assert "group" in human.attrs
