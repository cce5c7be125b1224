"""RDMs in tiles equal those in memory, go on where they were interrupted, and are compared with people."""

import numpy as np
import pytest
import xarray as xr

import rsa_face as rf
from rsa_face.rdms import measures
from rsa_face.rdms.measures import compute_rdms, must_hold_rdms, open_rdms


@pytest.fixture
def tree(tmp_path):
    """A stored tree of two layers of 23 stimuli: maps, and two outputs."""
    rng, count = np.random.default_rng(0), 23
    ids = np.array([f"s{place}" for place in range(count)], dtype=object)
    attrs = {"network": "n", "depth": 1.0, "place": 0, "untrained": True}
    maps = rng.random((count, 8, 3, 3)).astype(np.float32)
    outputs = rng.normal(size=(count, 2)).astype(np.float32)
    nodes = {
        "/": xr.Dataset(coords={"stimulus": ids, "level": ("stimulus", np.linspace(-1, 1, count))}),
        "/n/conv": xr.Dataset(
            {"activation": (("stimulus", "channel", "row", "column"), maps)},
            {"stimulus": ids},
            attrs | {"layer": "conv", "order": 0},
        ),
        "/n/fc": xr.Dataset(
            {"activation": (("stimulus", "feature"), outputs)}, {"stimulus": ids}, attrs | {"layer": "fc", "order": 1}
        ),
    }
    xr.DataTree.from_dict(nodes).to_zarr(tmp_path / "store.zarr", consolidated=False, zarr_format=3)
    return xr.open_datatree(tmp_path / "store.zarr", engine="zarr", chunks=None, consolidated=False)


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_tiles_equal_the_rdms_in_memory(tree, tmp_path, measure):
    whole = compute_rdms(tree, measure=measure)
    tiled = compute_rdms(tree, measure=measure, out=tmp_path / "rdms.zarr", tile=10, dtype="float64")
    assert tiled.chunks[1] == (10, 10, 3)
    xr.testing.assert_allclose(tiled.compute(), whole, atol=1e-6, rtol=1e-6)
    assert tiled.attrs == whole.attrs
    assert (tiled.values == tiled.values.transpose(0, 2, 1)).all()
    single = compute_rdms(tree, measure=measure, out=tmp_path / "single.zarr", tile=64)
    assert (single.dtype, single.sizes["stimulus_i"]) == (np.float32, 23)


def test_an_interrupted_run_goes_on_with_the_tiles_that_are_missing(tree, tmp_path, monkeypatch):
    make, done = measures._make_tile, []

    def stop_at_five(tile):
        if len(done) == 5:
            raise KeyboardInterrupt
        done.append(tile)
        make(tile)

    monkeypatch.setattr(measures, "_make_tile", stop_at_five)
    with pytest.raises(KeyboardInterrupt):
        compute_rdms(tree, out=tmp_path / "rdms.zarr", tile=10)
    with pytest.raises(ValueError, match=r"rdms\.zarr' lacks 7 tiles.*goes on"):
        open_rdms(tmp_path / "rdms.zarr")
    again = []
    monkeypatch.setattr(measures, "_make_tile", lambda tile: (again.append(tile), make(tile)))
    resumed = compute_rdms(tree, out=tmp_path / "rdms.zarr", tile=10)
    assert len(again) == 7
    np.testing.assert_array_equal(resumed, compute_rdms(tree, out=tmp_path / "whole.zarr", tile=10))
    with pytest.raises(ValueError, match=r"rdms\.zarr' was begun from other"):
        compute_rdms(tree, out=tmp_path / "rdms.zarr", tile=9)


def test_people_who_judged_some_stimuli_are_compared_with_tiles(tree, tmp_path):
    whole = compute_rdms(tree, measure="euclidean")
    tiled = compute_rdms(tree, measure="euclidean", out=tmp_path / "rdms.zarr", tile=10)
    some = np.random.default_rng(1).permutation(23)[:12]
    noise = np.random.default_rng(2).random((4, 12, 12))
    values = whole.values[0][np.ix_(some, some)] + (noise + noise.transpose(0, 2, 1)) * (1 - np.eye(12))
    ids = whole["stimulus_i"].values[some]
    coords = {"participant": list("abcd"), "stimulus_i": ids, "stimulus_j": ids}
    human = xr.DataArray(values, coords, ("participant", "stimulus_i", "stimulus_j"))
    tables = [
        rf.compare_layers(*rf.shared_stimuli(rdms, human), draws=20, comparison="corr") for rdms in (whole, tiled)
    ]
    np.testing.assert_allclose(tables[1]["similarity"], tables[0]["similarity"], atol=1e-6)


@pytest.mark.filterwarnings("ignore")
def test_tiles_by_workers_equal_those_of_one_process(tree, tmp_path):
    pytest.importorskip("distributed")
    alone = compute_rdms(tree, out=tmp_path / "alone.zarr", tile=10)
    spread = compute_rdms(tree, out=tmp_path / "spread.zarr", tile=10, cluster="local:1")
    np.testing.assert_array_equal(spread, alone)


def test_memory_bounds_all_layers_and_is_refused_before_anything_is_read(tree, monkeypatch):
    monkeypatch.setattr(measures, "_sum_slabs", None)
    with pytest.raises(ValueError, match=r"2 RDMs of 23 stimuli, and three more.*out='rdms\.zarr'"):
        compute_rdms(tree, memory=4.9 * 8 * 23**2 / 2**30)
    with pytest.raises(ValueError, match=r"20 RDMs of 20,000 stimuli.* take 68\.5 GiB; `memory` allows 10 GiB"):
        must_hold_rdms(20_000, 20, 10)
