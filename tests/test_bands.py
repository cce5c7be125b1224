import numpy as np
import pytest

from rsa_face import bands
from rsa_face.human.behaviour import read_human


@pytest.fixture(params=[2, 7, 30, 2**18])
def cells(request, monkeypatch):
    """Set how many cells are looked at together: parts of a matrix, or several whole ones."""
    monkeypatch.setattr(bands, "_TOGETHER", request.param)
    return request.param


@pytest.mark.parametrize(("matrices", "n"), [(1, 1), (1, 5), (4, 5), (3, 0), (0, 3)])
def test_bands_hold_each_cell_once(cells, matrices, n):
    seen = np.zeros((matrices, n, n), dtype=int)
    for which, rows in bands.bands(matrices, n):
        seen[which, rows] += 1
        assert seen[which, rows].size <= max(cells, n)
    assert (seen == 1).all()


def test_a_matrix_that_is_not_symmetric_is_found_wherever_it_differs(cells):
    rng = np.random.default_rng(0)
    whole = rng.random((4, 5, 5))
    whole += whole.swapaxes(1, 2)
    whole[1, 2, 3] = whole[1, 3, 2] = np.nan
    whole[2] *= 1 + 1e-9 * rng.random((5, 5))
    assert bands.symmetric(whole).all()
    for which, i, j in np.ndindex(4, 5, 5):
        for wrong in (1.0, np.inf, np.nan) if i != j else (np.inf,):
            changed = whole.copy()
            changed[which, i, j] += wrong
            stays = np.isnan(whole[which, i, j])  # NaN plus anything
            assert bands.symmetric(changed).tolist() == [k != which or stays for k in range(4)]


@pytest.mark.parametrize("half", [np.triu, np.tril])
def test_an_empty_triangle_and_diagonal_are_filled_for_those_who_have_one(tmp_path, cells, half):
    rng = np.random.default_rng(0)
    whole = rng.random((4, 5, 5)) + 1
    whole += whole.swapaxes(1, 2)
    whole[:, np.arange(5), np.arange(5)] = 0
    whole[2, 0, 1] = whole[2, 1, 0] = np.nan
    given = whole.copy()
    given[1:3] = np.where(half(np.ones((5, 5)), 0) > 0, whole[1:3], np.nan)
    given[3, np.arange(5), np.arange(5)] = np.nan
    np.savez(tmp_path / "rdms.npz", rdms=given)
    np.testing.assert_array_equal(read_human(tmp_path / "rdms.npz", kind="rdm").values, whole)


def test_faults_of_many_rdms_are_said_of_the_first_of_them(tmp_path, cells):
    given = np.zeros((900, 3, 3))
    given[10:, 0, 1:] = 1
    np.savez(tmp_path / "rdms.npz", rdms=given)
    with pytest.raises(ValueError, match=r"1002 faults(?s:.*)'participant_011' is asymmetric") as stopped:
        read_human(tmp_path / "rdms.npz", kind="rdm")
    assert str(stopped.value).endswith("RDMs after that of 'participant_511' were not looked at.")
