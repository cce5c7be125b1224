"""Errors agree beyond chance, face by face."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score

from rsa_face.psychophysics.consistency import error_consistency, kappa_of_errors

LEVELS = np.array([-1, -0.5, -0.2, 0, 0.2, 0.5, 0.8, 1.0])


def observer(name, answers, column="participant"):
    stimuli = [f"s{place}" for place in range(len(LEVELS))]
    return pd.DataFrame({column: name, "stimulus": stimuli, "level": LEVELS, "response": answers})


def answers(*wrong):
    right = np.where(LEVELS > 0, "happy", "sad")
    other = np.where(LEVELS > 0, "sad", "happy")
    return np.where(np.isin(np.arange(len(LEVELS)), wrong), other, right)


def test_kappa_by_hand():
    # 7 faces with a right answer; a errs on 2, b on 2, one of them the same: 5 of 7 agree, 29 of 49 expected
    found = error_consistency(observer("a", answers(1, 2)), observer("n", answers(2, 5), "network"))
    assert found.dims == ("participant", "network", "occlusion")
    expected = (5 / 7) ** 2 + (2 / 7) ** 2
    assert found.item() == pytest.approx((5 / 7 - expected) / (1 - expected))
    assert found.attrs["left_out"] == 1


def test_kappa_is_cohens():
    rng = np.random.default_rng(0)
    first, second = (rng.random((3, 40)) < 0.7 for _ in range(2))
    ours = kappa_of_errors(first.astype(float), second.astype(float))
    theirs = [[cohen_kappa_score(one, other) for other in second] for one in first]
    np.testing.assert_allclose(ours, theirs, atol=1e-12)


def test_equal_errors_are_1_independent_ones_near_0_and_no_errors_nothing():
    same = error_consistency(observer("a", answers(1, 6)), observer("n", answers(1, 6), "network"))
    assert same.item() == pytest.approx(1)
    none = error_consistency(observer("a", answers()), observer("n", answers(), "network"))
    assert np.isnan(none.item())
    rng = np.random.default_rng(1)
    apart = kappa_of_errors(*((rng.random((1, 5000)) < 0.8).astype(float) for _ in range(2)))
    assert abs(apart.item()) < 0.05


def test_faces_only_one_observer_saw_do_not_count():
    first = np.array([[1, 0, 1, np.nan]])
    whole = kappa_of_errors(first, np.array([[1.0, 0, 0, 0]]))
    part = kappa_of_errors(first[:, :3], np.array([[1.0, 0, 0]]))
    assert whole.item() == part.item()


def test_faces_are_matched_by_id_not_by_order():
    table, other = observer("a", answers(1, 2)), observer("n", answers(2, 5), "network")
    there = error_consistency(table, other).item()
    assert error_consistency(table, other.sample(frac=1, random_state=0)).item() == pytest.approx(there)


def test_people_against_people_and_each_occlusion():
    table = pd.concat([observer("a", answers(1)), observer("b", answers(1, 2)).assign(occlusion="eyes")])
    table["occlusion"] = table["occlusion"].fillna("none")
    found = error_consistency(table, table)
    assert found.dims == ("participant_first", "participant_second", "occlusion")
    assert found.sel(participant_first="a", participant_second="a", occlusion="none").item() == pytest.approx(1)
    assert np.isnan(found.sel(participant_first="a", participant_second="b", occlusion="eyes").item())


def test_tables_that_cannot_be_matched_are_refused():
    table = observer("a", answers(1))
    with pytest.raises(ValueError, match="no column stimulus"):
        error_consistency(table, table.drop(columns="stimulus"))
    with pytest.raises(ValueError, match=r"scales are \['signed', 'morph'\]"):
        error_consistency(table, table.assign(level=(LEVELS + 1) / 2))
