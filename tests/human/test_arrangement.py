"""Arrangements become the RDM that explains them best; Meadows' files are read, and agree with what we compute."""

import json

import numpy as np
import pytest
import scipy.io
from scipy.spatial.distance import pdist

from rsa_face.human.arrangement import combine_arrangements
from rsa_face.human.read import read_human

HEAD = "participant,trial,stimulus,x,y\n"


def read(tmp_path, rows, **more):
    path = tmp_path / "arranged.csv"
    path.write_text(HEAD + rows)
    return read_human(path, kind="arrangement", **more)


def test_one_trial_is_its_distances_in_units_of_their_norm(tmp_path):
    human = read(tmp_path, "p,1,a,0,0\np,1,b,.3,0\np,1,c,0,.4\n")
    norm = np.sqrt(0.09 + 0.16 + 0.25)
    assert human.sel(stimulus_i="a", stimulus_j="b").item() == pytest.approx(0.3 / norm)
    assert human.sel(stimulus_i="b", stimulus_j="c").item() == pytest.approx(0.5 / norm)
    assert human.n_trials.item() == 1


def test_two_trials_are_weighted_by_evidence_as_worked_by_hand():
    partial = np.array([[0.5, 1.0, 1.0], [1.0, 0.5, 1.0]])  # both of one size: nothing is rescaled
    combined = combine_arrangements(partial, floor=0.0)
    mean = np.array([(0.25 * 0.5 + 1.0) / 1.25, (1.0 + 0.25 * 0.5) / 1.25, 1.0])
    np.testing.assert_allclose(combined, mean / np.linalg.norm(mean))


def test_a_zoomed_in_trial_changes_no_relation_within_it():
    far = np.array([0.1, 1.0, 1.0, 1.0, 1.0, 0.1])
    near = np.full(6, np.nan)
    near[[0, 5]] = [0.9, 0.9]
    combined = combine_arrangements(np.stack([far, near]))
    np.testing.assert_allclose(combined, far / np.linalg.norm(far), atol=1e-4)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_plane_is_recovered_from_noisy_partial_arrangements(seed):
    rng = np.random.default_rng(seed)
    points = rng.uniform(size=(12, 2))
    true, i, j = pdist(points), *np.triu_indices(12, 1)
    partial = np.full((40, len(true)), np.nan)
    for row in partial:
        subset = np.isin(np.arange(12), rng.permutation(12)[:6])
        both = subset[i] & subset[j]
        row[both] = true[both] / true[both].max() * 0.9 * rng.lognormal(0, 0.05, both.sum())
    combined = combine_arrangements(partial)
    assert np.corrcoef(combined, true)[0, 1] > 0.99
    plain = np.nanmean(partial, axis=0)
    assert np.corrcoef(combined, true)[0, 1] > np.corrcoef(plain, true)[0, 1]


def test_pixels_and_their_order_change_nothing(tmp_path):
    rows = ["p,1,a,0,0", "p,1,b,.3,0", "p,1,c,0,.9", "p,2,b,0,0", "p,2,c,.9,0"]
    pixels = ["p,1,a,0,0", "p,1,b,300,0", "p,1,c,0,900", "p,2,b,0,0", "p,2,c,900,0"]
    ours = read(tmp_path, "\n".join(rows), options={"arena": 1.0})
    other = read(tmp_path, "\n".join(reversed(pixels)), options={"arena": 1000.0})
    np.testing.assert_allclose(ours.values, other.values)
    assert read(tmp_path, "\n".join(pixels)).attrs["unit"] == pytest.approx(np.hypot(300, 900))


def test_parts_that_share_no_pair_are_named(tmp_path):
    human = read(tmp_path, "p,1,a,0,0\np,1,b,1,0\np,2,c,0,0\np,2,d,1,0\nq,1,a,0,0\nq,1,b,1,0\n")
    assert human.attrs["unlinked"] == ["p"]
    assert np.isnan(human.sel(participant="p", stimulus_i="a", stimulus_j="c").item())


def test_a_trial_with_one_place_only_is_left_out_and_counted(tmp_path):
    human = read(tmp_path, "p,1,a,0,0\np,1,b,1,0\np,2,a,1,1\np,2,b,1,1\np,3,a,0,0\n")
    assert human.attrs["left_out"] == {"trials with one place only": 2}


def test_broken_arrangements_say_where(tmp_path):
    with pytest.raises(ValueError, match="2 faults") as caught:
        read(tmp_path, "p,1,a,0,0\np,1,a,1,0\np,1,b,left,0\n")
    assert "line 3, column stimulus: 'a' is placed again in the same trial" in str(caught.value)
    assert "line 4, column x: 'left' is not a number" in str(caught.value)


def test_a_mat_file_whose_participants_saw_another_order_is_matched_by_name(tmp_path):
    stimuli = np.array(["a.png", "b.png", "c.png"])
    file = tmp_path / "Meadows_exp_v_v1_sort_1D.mat"
    scipy.io.savemat(file, {"rdmutv_able_fly": [1.0, 2.0, 3.0], "stimuli_able_fly": stimuli,
                            "rdmutv_shy_cat": [3.0, 2.0, 1.0], "stimuli_shy_cat": stimuli[::-1].copy()})  # fmt: skip
    human = read_human(file, kind="arrangement")
    assert human.participant.values.tolist() == ["able-fly", "shy-cat"]
    assert np.array_equal(human.values[0], human.values[1])


def test_files_that_are_not_meadows_say_what_they_lack(tmp_path):
    scipy.io.savemat(tmp_path / "other.mat", {"rdm": np.eye(3)})
    with pytest.raises(ValueError, match=r"lacks 'rdmutv'; it has 'rdm'.*kind rdm"):
        read_human(tmp_path / "other.mat", kind="arrangement")
    (tmp_path / "tree.json").write_text(json.dumps({"task": {"task_type": "multiarrange"}, "stimuli": []}))
    with pytest.raises(ValueError, match=r"tree.json' cannot be read: KeyError 'trials'"):
        read_human(tmp_path / "tree.json", kind="arrangement")
    (tmp_path / "cut.json").write_text('{"task": ')
    with pytest.raises(ValueError, match=r"cut.json' cannot be read"):
        read_human(tmp_path / "cut.json", kind="arrangement")


def test_the_four_meadows_files(real_files):
    folder = real_files / "meadows"
    many = read_human(folder / "Meadows_myExp_v_v1_arrangement_1D.mat", kind="arrangement")
    assert many.participant.values.tolist() == ["able-fly", "clean-koi", "cuddly-bunny"]
    one = read_human(folder / "Meadows_myExp_v_v1_cuddly-bunny_3_1D.mat", kind="arrangement")
    tree = read_human(folder / "Meadows_myExp_v_v1_cuddly-bunny_3_tree.json", kind="arrangement")
    assert np.array_equal(one.values[0], many.sel(participant="cuddly-bunny").values)
    np.testing.assert_allclose(tree.values, one.values, atol=1e-12)
    assert tree.n_trials.item() == 109
    assert tree.stimulus_i.values[0] == "stim001"
    mole = folder / "Meadows_twoMaTasks_v_v1_informed-mole_tree.json"
    with pytest.raises(ValueError, match=r"none is chosen.*\['ma1', 'ma2'\]"):
        read_human(mole, kind="arrangement")
    for task in ("ma1", "ma2"):
        theirs = read_human(mole, kind="arrangement", options={"task": task})
        ours = read_human(mole, kind="arrangement", options={"task": task, "estimate": "trials"})
        np.testing.assert_allclose(ours.values, theirs.values, atol=1e-9)


def test_109_real_trials_give_the_rdm_that_meadows_computed(real_files):
    file = real_files / "meadows" / "Meadows_myExp_v_v1_cuddly-bunny_3_tree.json"
    theirs = read_human(file, kind="arrangement")
    ours = read_human(file, kind="arrangement", options={"estimate": "trials"})
    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-5)
    assert (
        np.abs(read_human(file, kind="arrangement", options={"estimate": "trials", "floor": 0.0}) - theirs).max()
        > 1e-3
    )
