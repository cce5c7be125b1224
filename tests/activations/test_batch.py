"""A batch computes every RDM once, goes on where it stopped, and is listed by name."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from typer.testing import CliRunner

from rsa_face.activations.stream import stream_rdms
from rsa_face.cli import app
from rsa_face.networks.zoo import build_network
from rsa_face.provenance import load
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.study import batch as module
from rsa_face.study.batch import Batch, compute_batch, describe_batch, is_done, load_batch, sources_of


@pytest.fixture
def masked(stimuli):
    return StimulusSet(stimuli.table.assign(occlusion=["none", "eyes"] * 5))


@pytest.fixture(autouse=True)
def small_networks(monkeypatch):
    """Let the batch build networks that see 64 x 64 pixels, and count them."""
    built = []

    def build(name, **settings):
        built.append(name)
        return build_network(name, preprocessing=Preprocessing(resize=64, crop=64), **settings)

    monkeypatch.setattr(module, "build_network", build)
    return built


def make(masked, tmp_path, **changes) -> Batch:
    settings = {"networks": ("alexnet",), "seeds": (0, 1), "occlusions": ("none", "eyes")}
    settings |= {"measures": ("correlation", "euclidean"), "layers": ("relu1", "fc8"), **changes}
    sources = sources_of(settings.pop("networks"), settings.pop("seeds"))
    return Batch(stimuli=masked, folder=tmp_path, networks=sources, **settings)


def test_every_unit_is_computed_once_and_loads_by_name(masked, tmp_path, small_networks):
    batch = make(masked, tmp_path)
    told = []
    files = compute_batch(batch, tell=lambda unit, _path, new: told.append((unit.name, new)))
    assert len(files) == len(set(files)) == len(told) == 8
    assert len(small_networks) == 4
    rdms = load_batch(tmp_path)
    assert sorted(rdms) == sorted(unit.name for unit in batch.units)
    one = rdms["alexnet-seed1-eyes-euclidean"]
    assert (one.attrs["seed"], one.attrs["occlusion"], one.attrs["measure"]) == (1, "eyes", "euclidean")
    network = build_network("alexnet", seed=1, preprocessing=Preprocessing(resize=64, crop=64))
    expected = stream_rdms([network], masked.select(occlusion="eyes"), layers=["relu1", "fc8"], measure="euclidean")
    np.testing.assert_allclose(one.values, expected.values, rtol=1e-5)
    xr.testing.assert_equal(one.coords["rdm"], expected.coords["rdm"])
    index = pd.read_csv(tmp_path / "index.csv")
    assert sorted(index["file"]) == sorted(path.name for path in files)
    row = index.set_index("file").loc["alexnet-seed1-eyes-euclidean.nc"]
    assert (row["network"], row["seed"], row["occlusion"], row["measure"]) == ("alexnet", 1, "eyes", "euclidean")
    assert row["stimuli"] == len(masked.select(occlusion="eyes"))


def test_a_second_run_computes_only_what_is_missing_or_damaged(masked, tmp_path, small_networks):
    batch = make(masked, tmp_path, seeds=(0,))
    files = compute_batch(batch)
    files[0].unlink()
    files[3].write_bytes(b"damaged")
    assert describe_batch(tmp_path) == {file.stem: file not in (files[0], files[3]) for file in files}
    small_networks.clear()
    told = []
    compute_batch(batch, tell=lambda _unit, _path, new: told.append(new))
    assert sorted(told) == [False, False, True, True]
    assert len(small_networks) == 2
    assert all(is_done(batch, unit) for unit in batch.units)


def test_one_process_at_a_time_computes_a_batch(masked, tmp_path):
    batch = make(masked, tmp_path, seeds=(0,), measures=("correlation",), occlusions=("eyes",))

    def another(*_told):
        with pytest.raises(ValueError, match=r"process \d+ on .* is writing .*by one process at a time\. Wait"):
            compute_batch(batch)

    compute_batch(batch, tell=another)


def test_other_layers_make_a_unit_stale(masked, tmp_path):
    settings = {"seeds": (0,), "occlusions": ("none",), "measures": ("correlation",)}
    compute_batch(make(masked, tmp_path, **settings))
    other = make(masked, tmp_path, layers=("relu2",), **settings)
    assert not is_done(other, other.units[0])


def test_stored_and_streamed_units_are_the_same(masked, tmp_path):
    settings = {"seeds": (0,), "occlusions": ("all",), "measures": ("correlation",)}
    streamed = compute_batch(make(masked, tmp_path / "a", **settings))
    stored = compute_batch(make(masked, tmp_path / "b", **settings), stream=False)
    assert [file.name for file in streamed] == [file.name for file in stored]
    first, second = (load_batch(tmp_path / name)["alexnet-seed0-all-correlation"] for name in "ab")
    # fc8 holds differences of logits near 16, each of which is rounded to 1e-6 in float32
    np.testing.assert_allclose(first.values, second.values, atol=5e-5)
    assert (tmp_path / "b/stores/alexnet-seed0-all.zarr/zarr.json").is_file()


@pytest.mark.parametrize("stream", [True, False])
def test_a_network_with_layers_of_its_own_has_those(masked, tmp_path, stream):
    batch = make(masked, tmp_path, seeds=(0,), occlusions=("none",), measures=("correlation",))
    batch = replace(batch, networks=(replace(batch.networks[0], recorded=("relu3",)),))
    compute_batch(batch, stream=stream)
    assert load_batch(tmp_path)["alexnet-seed0-none-correlation"]["layer"].values.tolist() == ["relu3"]


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"occlusions": ("hat",)}, "hat"),
        ({"measures": ("crossnobis",)}, "'crossnobis'"),
        ({"networks": ("x",)}, "'x'"),
    ],
)
def test_an_impossible_batch_is_refused(masked, tmp_path, changes, fault):
    with pytest.raises(ValueError, match=fault):
        compute_batch(make(masked, tmp_path, **changes))


def test_one_network_given_twice_is_refused(masked, tmp_path):
    both = sources_of(["alexnet"]) + sources_of(["alexnet"], weights="imagenet")
    with pytest.raises(ValueError, match="alexnet of seed 0"):
        Batch(stimuli=masked, folder=tmp_path, networks=both)


def test_an_empty_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        describe_batch(tmp_path)
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        load_batch(tmp_path)


def test_a_layer_of_a_batch_may_have_a_measure_of_its_own_and_changing_it_makes_new_files(masked, tmp_path):
    settings = {"seeds": (0,), "occlusions": ("eyes",), "measures": ("correlation",), "layers": ("relu1", "fc8")}
    for by_layer, expected in (({}, "difference"), ({"fc8": "euclidean"}, "euclidean")):
        for stream in (True, False):
            batch = make(masked, tmp_path / str(stream), by_layer=by_layer, **settings)
            assert not is_done(batch, batch.units[0])
            rdms = load(compute_batch(batch, stream=stream)[0])
            assert rdms["measure"].values.tolist() == ["correlation", expected]
            assert rdms.attrs["other_measures"] == [f"alexnet/fc8: {expected}"]


def test_a_measure_for_a_layer_that_no_network_of_a_batch_has_is_refused(masked, tmp_path):
    with pytest.raises(ValueError, match=r"\['fc9'\]"):
        make(masked, tmp_path, by_layer={"fc9": "euclidean"})


def test_how_far_a_batch_is_can_be_read_by_programs(masked, tmp_path, small_networks):
    batch = make(masked, tmp_path, seeds=(0,), occlusions=("none",), measures=("correlation",))
    compute_batch(batch)
    done = CliRunner().invoke(app, ["status", str(tmp_path), "--json"])
    assert json.loads(done.stdout) == {"alexnet-seed0-none-correlation": "done"}


def test_rdms_that_do_not_fit_are_refused_before_anything_is_extracted(masked, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "extract", None)
    batch = make(masked, tmp_path, seeds=(0,), occlusions=("none",))
    with pytest.raises(ValueError, match=r"2 RDMs of 5 stimuli, and three more .*`memory` allows 8\.38e-07 GiB"):
        compute_batch(batch, stream=False, memory=900 / 2**30)
