"""Layers that arrange stimuli alike are alike, as scipy says they are."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats
from scipy.spatial.distance import pdist, squareform

from rsa_face.rdms.embedding import relate_rdms


@pytest.fixture
def rdms() -> xr.DataArray:
    rng = np.random.default_rng(0)
    values = np.stack([squareform(pdist(rng.normal(size=(7, 3)))) for _ in range(3)])
    ids = list("abcdefg")
    coords = {"rdm": ["n/a", "n/b", "m/a"], "network": ("rdm", ["n", "n", "m"]), "stimulus_i": ids, "stimulus_j": ids}
    return xr.DataArray(values, coords, ("rdm", "stimulus_i", "stimulus_j"))


@pytest.mark.parametrize(("comparison", "reference"), [("spearman", stats.spearmanr), ("corr", stats.pearsonr)])
def test_similarities_are_scipys(rdms, comparison, reference):
    outcome = relate_rdms(rdms, comparison=comparison)
    for a in range(3):
        for b in range(3):
            expected = reference(squareform(rdms.values[a]), squareform(rdms.values[b])).statistic
            assert outcome.values[a, b] == pytest.approx(expected, abs=1e-12)
    assert outcome["network_j"].values.tolist() == ["n", "n", "m"]


def test_a_flat_rdm_and_an_unjudged_pair_are_named(rdms):
    flat = rdms.copy()
    flat[1] = 1 - np.eye(7)
    with pytest.raises(ValueError, match=r"equal in \['n/b'\]"):
        relate_rdms(flat)
    gap = rdms.copy()
    gap[2, 0, 1] = gap[2, 1, 0] = np.nan
    with pytest.raises(ValueError, match=r"in \['m/a'\]"):
        relate_rdms(gap)
    with pytest.raises(ValueError, match="'kendall'"):
        relate_rdms(rdms, comparison="kendall")
