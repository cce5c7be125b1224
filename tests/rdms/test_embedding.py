"""Points of an embedding keep the distances they can, and say how far they failed."""

import numpy as np
import pytest
import xarray as xr

from rsa_face.rdms.embedding import embed_rdm


def rdm_of(points: np.ndarray) -> xr.DataArray:
    ids = [f"s{n}" for n in range(len(points))]
    values = np.linalg.norm(points[:, None] - points[None], axis=-1)
    coords = {"stimulus_i": ids, "stimulus_j": ids, "level": ("stimulus_i", np.linspace(-1, 1, len(ids)))}
    return xr.DataArray(values, coords, ("stimulus_i", "stimulus_j"), attrs={"simulated": True})


def distances(points: xr.DataArray) -> np.ndarray:
    return np.linalg.norm(points.values[:, None] - points.values[None], axis=-1)


@pytest.mark.parametrize("dims", [2, 3])
def test_points_of_as_many_dimensions_come_back_without_stress(dims):
    rdm = rdm_of(np.random.default_rng(0).normal(size=(10, dims)))
    points = embed_rdm(rdm, dims=dims)
    np.testing.assert_allclose(distances(points), rdm.values, atol=0.01)
    assert points.attrs["stress"] < 0.01
    assert points.attrs["simulated"] is True
    assert points["level"].values[0] == -1


def test_what_does_not_fit_is_counted_as_stress():
    corners = np.eye(8)
    points = embed_rdm(rdm_of(corners))
    assert 0.15 < points.attrs["stress"] < 0.5


def test_non_metric_embedding_looks_at_the_order_alone():
    rdm = rdm_of(np.random.default_rng(1).normal(size=(12, 2)))
    bent = rdm.copy(data=rdm.values**3)
    assert embed_rdm(bent, metric=False).attrs["stress"] < 0.02 < embed_rdm(bent).attrs["stress"]


def test_the_same_seed_gives_the_same_points():
    rdm = rdm_of(np.random.default_rng(2).normal(size=(8, 5)))
    xr.testing.assert_identical(embed_rdm(rdm, seed=3), embed_rdm(rdm, seed=3))


def test_what_cannot_be_embedded_is_said():
    rdm = rdm_of(np.random.default_rng(3).normal(size=(5, 2)))
    with pytest.raises(ValueError, match="not 4"):
        embed_rdm(rdm, dims=4)
    gap = rdm.copy()
    gap[1, 3] = gap[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"1 pair.*: \(s1, s3\)"):
        embed_rdm(gap)
    with pytest.raises(ValueError, match="'rdm'"):
        embed_rdm(rdm.expand_dims(rdm=["one"]))
