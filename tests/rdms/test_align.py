"""RDMs are lined up by id: any shuffle is undone, and ids that differ are named."""

import numpy as np
import pytest
import xarray as xr

from rsa_face.rdms.align import align_stimuli, select_stimuli, shared_stimuli


def random_rdms(ids: list[str], seed: int = 0) -> xr.DataArray:
    points = np.random.default_rng(seed).normal(size=(len(ids), 4))
    distances = np.linalg.norm(points[:, None] - points[None], axis=-1)
    coords = {"rdm": ["one"], "stimulus_i": ids, "stimulus_j": ids}
    return xr.DataArray(distances[None], coords, ("rdm", "stimulus_i", "stimulus_j"))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_align_undoes_any_shuffle(seed):
    rdms = random_rdms(list("abcdef"))
    order = np.random.default_rng(seed).permutation(6)
    shuffled = rdms.isel(stimulus_i=order, stimulus_j=order)
    xr.testing.assert_identical(align_stimuli(shuffled, rdms), rdms)


def test_align_names_the_ids_that_differ():
    with pytest.raises(ValueError, match=r"conv5 lack \['c'\] and have \['z'\] more than human"):
        align_stimuli(random_rdms(list("abz")), random_rdms(list("abc")), names=("conv5", "human"))


def test_shared_stimuli_keeps_the_first_order():
    first, second = shared_stimuli(random_rdms(list("dcba")), random_rdms(list("abcx"), seed=1))
    assert first["stimulus_i"].values.tolist() == second["stimulus_i"].values.tolist() == ["c", "b", "a"]
    assert second.sel(stimulus_i="a", stimulus_j="c").item() == random_rdms(list("abcx"), seed=1).values[0, 0, 2]


def test_too_few_shared_stimuli_are_counted():
    with pytest.raises(ValueError, match=r"2 of the 3 needed \(\['a', 'b'\]\)"):
        shared_stimuli(random_rdms(list("ab")), random_rdms(list("abc")))


def test_selecting_an_unknown_stimulus_names_it():
    with pytest.raises(ValueError, match=r"No such stimuli.*\['q'\]"):
        select_stimuli(random_rdms(list("abc")), ["a", "q"])
