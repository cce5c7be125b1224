"""RDMs go to rsatoolbox and come back with nothing lost."""

import numpy as np
import pytest
import rsatoolbox.rdm
import xarray as xr
from scipy.spatial.distance import pdist, squareform

from rsa_face.rdms.toolbox import calc_rdm, from_rsatoolbox, to_rsatoolbox


def rdms_of(along: str = "rdm") -> xr.DataArray:
    rng = np.random.default_rng(0)
    values = np.stack([squareform(pdist(rng.normal(size=(5, 3)))) for _ in range(2)])
    ids = np.array(list("cabed"), dtype=object)
    coords = {
        along: np.array(["net/one", "net/two"], dtype=object),
        "stimulus_i": ids,
        "stimulus_j": ids,
        "depth": (along, [0.5, 1.0]),
        "identity": ("stimulus_i", np.array(list("xxyyz"), dtype=object)),
    }
    attrs = {"measure": "correlation", "simulated": True, "untrained": ["net"], "nothing": None}
    return xr.DataArray(values, coords, (along, "stimulus_i", "stimulus_j"), name="dissimilarity", attrs=attrs)


@pytest.mark.parametrize("along", ["rdm", "participant"])
def test_the_round_trip_is_lossless(along):
    rdms = rdms_of(along)
    back = from_rsatoolbox(to_rsatoolbox(rdms))
    xr.testing.assert_identical(back, rdms)
    assert back.attrs["simulated"] is True


def test_what_is_never_judged_stays_so():
    rdms = rdms_of("participant")
    rdms.values[0, 1, 2] = rdms.values[0, 2, 1] = np.nan
    xr.testing.assert_identical(from_rsatoolbox(to_rsatoolbox(rdms)), rdms)


def test_rsatoolbox_sees_each_pair_where_it_belongs():
    rdms = rdms_of()
    theirs = to_rsatoolbox(rdms)
    np.testing.assert_array_equal(theirs.get_matrices(), rdms.values)
    assert list(theirs.pattern_descriptors["stimulus"]) == list("cabed")


def test_rdms_made_elsewhere_keep_their_descriptors():
    made = rsatoolbox.rdm.RDMs(
        np.arange(6.0)[None],
        dissimilarity_measure="euclidean",
        descriptors={"subject": "S1"},
        rdm_descriptors={"roi": ["FFA"]},
        pattern_descriptors={"conds": ["a", "b", "c", "d"], "category": [1, 1, 2, 2]},
    )
    rdms = from_rsatoolbox(made)
    assert rdms["stimulus_i"].values.tolist() == ["a", "b", "c", "d"]
    assert rdms["roi"].values.tolist() == ["FFA"]
    assert rdms["category"].dims == ("stimulus_i",)
    assert rdms.attrs == {"subject": "S1", "measure": "euclidean"}


def test_a_measure_that_rsatoolbox_lacks_is_refused():
    with pytest.raises(ValueError, match="'cosine'"):
        calc_rdm(np.eye(3), "cosine")
