"""A store holds what the layers computed, whatever the batch, whoever interrupts; and refuses to be mixed."""

import errno

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from torch import nn

from rsa_face.activations.capture import capture
from rsa_face.activations.extract import Options, extract
from rsa_face.activations.store import describe_store, open_activations, verify_store
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network, build_network
from rsa_face.rdms.measures import compute_rdms
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches
from rsa_face.stimuli.preprocessing import Preprocessing


def tiny(name: str = "tiny", seed: int = 0) -> Network:
    """Three layers on 16 x 16 pixels, with an in-place ReLU."""
    generator = torch.Generator().manual_seed(seed)
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8 * 14 * 14, 5))
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) / 5)
    return Network(name, module.eval(), name_modules(module), Preprocessing(resize=16, crop=16))


def reference(network: Network, stimuli: StimulusSet, batch: int) -> dict[str, np.ndarray]:
    parts = [capture(network, network.layers, inputs)
             for inputs in read_batches(stimuli, network.preprocessing, batch=batch)]  # fmt: skip
    return {layer.name: torch.cat([part[layer.name] for part in parts]).numpy() for layer in network.layers}


@pytest.mark.parametrize(("batch", "chunk"), [(1, 1), (3, 6), (4, 256), (7, 7), (64, 256)])
def test_the_store_holds_what_the_layers_computed(tmp_path, stimuli, batch, chunk):
    network = tiny()
    tree = extract([network], stimuli, tmp_path / "x.zarr", layers="all", batch=batch, options=Options(chunk=chunk))
    for name, values in reference(network, stimuli, batch).items():
        np.testing.assert_array_equal(tree[f"tiny/{name}/activation"].values, values)


def test_dims_coords_and_attrs_say_what_is_what(tmp_path, stimuli, fe_alexnet):
    tree = extract([fe_alexnet], stimuli, tmp_path / "x.zarr", layers=["relu5", "fe_gate", "fe", "fc8"])
    assert tree["fe_alexnet/relu5/activation"].dims == ("stimulus", "channel", "row", "column")
    assert tree["fe_alexnet/fe_gate/activation"].sizes == {"stimulus": 10, "feature": 256}
    assert tree["fe_alexnet/fc8/activation"]["stimulus"].values.tolist() == stimuli.ids
    assert tree["level"].values.tolist() == stimuli.table["level"].tolist()
    attrs = tree["fe_alexnet"].attrs
    assert attrs["weights_hash"] == fe_alexnet.content_hash()
    assert attrs["preprocessing"]["crop"] == 64
    assert tree["fe_alexnet/fe"].attrs["nonlinearity"] == "post"


def test_networks_of_one_store_stand_side_by_side(tmp_path, stimuli):
    extract([tiny("one")], stimuli, tmp_path / "x.zarr", layers=["3"])
    tree = extract([tiny("one"), tiny("two", 1)], stimuli, tmp_path / "x.zarr", layers=["3"])
    assert set(tree.children) == {"one", "two"}
    assert not np.array_equal(tree["one/3/activation"].values, tree["two/3/activation"].values)


def test_a_finished_network_is_not_run_again(tmp_path, stimuli, monkeypatch):
    extract([tiny()], stimuli, tmp_path / "x.zarr", layers="all")

    def fail(*_args, **_kwargs):
        message = "ran again"
        raise AssertionError(message)

    monkeypatch.setattr("rsa_face.activations.extract.record_batch", fail)
    tree = extract([tiny()], stimuli, tmp_path / "x.zarr", layers="all")
    assert np.isfinite(tree["tiny/3/activation"].values).all()


def test_shuffled_stimuli_give_the_same_activations_in_the_other_order(tmp_path, stimuli):
    order = np.random.default_rng(0).permutation(10)
    shuffled = StimulusSet(stimuli.table.iloc[order].reset_index(drop=True))
    first = extract([tiny()], stimuli, tmp_path / "a.zarr", layers="all", batch=10)
    second = extract([tiny()], shuffled, tmp_path / "b.zarr", layers="all", batch=10)
    for name in ("0", "1", "3"):
        expected = first[f"tiny/{name}/activation"].sel(stimulus=shuffled.ids)
        xr.testing.assert_allclose(second[f"tiny/{name}/activation"], expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(("dtype", "relative"), [("float16", 2**-11), ("bfloat16", 2**-8)])
def test_less_precision_loses_what_attrs_say(tmp_path, stimuli, dtype, relative):
    complete = extract([tiny()], stimuli, tmp_path / "a.zarr", layers="all")
    less = extract([tiny()], stimuli, tmp_path / "b.zarr", layers="all", dtype=dtype)
    values = complete["tiny/0/activation"].values
    np.testing.assert_allclose(less["tiny/0/activation"].values, values, rtol=relative, atol=1e-7)
    assert not np.array_equal(less["tiny/0/activation"].values, values)
    assert "significant bits" in less.attrs["loss"]


def test_pooling_keeps_the_mean_over_space(tmp_path, stimuli):
    complete = extract([tiny()], stimuli, tmp_path / "a.zarr", layers="all")
    pooled = extract([tiny()], stimuli, tmp_path / "b.zarr", layers="all", options=Options(pool="mean"))
    expected = complete["tiny/0/activation"].values.mean(axis=(2, 3))
    np.testing.assert_allclose(pooled["tiny/0/activation"].values, expected, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(pooled["tiny/3/activation"].values, complete["tiny/3/activation"].values)


def test_projections_keep_distances_within_the_error_they_state(tmp_path, stimuli):
    complete = extract([tiny()], stimuli, tmp_path / "a.zarr", layers=["0"])["tiny/0/activation"].values.reshape(
        10, -1
    )
    options = Options(projection=400, seed=3)
    tree = extract([tiny()], stimuli, tmp_path / "b.zarr", layers=["0"], options=options)
    small = tree["tiny/0/activation"].values
    assert small.shape == (10, 400)
    assert "within 24%" in tree.attrs["projection_error"]
    squares = [((each[:, None] - each[None]) ** 2).sum(axis=-1)[np.triu_indices(10, 1)] for each in (complete, small)]
    assert abs(squares[1] / squares[0] - 1).max() < 0.24


@pytest.mark.parametrize("option", [Options(autocast=True), Options(channels_last=True)])
def test_faster_arithmetic_gives_nearly_the_same(tmp_path, stimuli, option):
    complete = extract([tiny()], stimuli, tmp_path / "a.zarr", layers="all")["tiny/1/activation"].values
    fast = extract([tiny()], stimuli, tmp_path / "b.zarr", layers="all", options=option)["tiny/1/activation"].values
    np.testing.assert_allclose(fast, complete, atol=0.03 * complete.max() if option.autocast else 1e-5)


def count_up_to(monkeypatch, number, error):
    """Let recording fail after a number of batches."""
    from rsa_face.activations import extract as module

    real, calls = module.record_batch, []

    def record(*args, **kwargs):
        calls.append(1)
        if len(calls) > number:
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(module, "record_batch", record)


def arrays_of(store):
    return {file.relative_to(store): file.read_bytes() for file in sorted(store.rglob("c/**/*")) if file.is_file()}


@pytest.mark.parametrize("batches", [0, 1, 2, 3])
def test_an_interrupted_store_goes_on_and_equals_a_whole_one_byte_for_byte(tmp_path, stimuli, batches, monkeypatch):
    settings = {"layers": "all", "batch": 3, "options": Options(chunk=6)}
    extract([tiny()], stimuli, tmp_path / "whole.zarr", **settings)
    with monkeypatch.context() as patch:
        count_up_to(patch, batches, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            extract([tiny()], stimuli, tmp_path / "cut.zarr", **settings)
    extract([tiny()], stimuli, tmp_path / "cut.zarr", **settings)
    assert arrays_of(tmp_path / "cut.zarr") == arrays_of(tmp_path / "whole.zarr")


def test_a_batch_that_a_power_cut_left_damaged_or_unwritten_is_run_again(tmp_path, stimuli, monkeypatch):
    settings = {"layers": "all", "batch": 3}
    extract([tiny()], stimuli, tmp_path / "whole.zarr", **settings)
    with monkeypatch.context() as patch:
        count_up_to(patch, 3, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            extract([tiny()], stimuli, tmp_path / "cut.zarr", **settings)
    files = sorted(file for file in (tmp_path / "cut.zarr/tiny").rglob("c/**/*") if file.is_file())
    files[0].write_bytes(b"")
    files[-1].write_bytes(files[-1].read_bytes()[:-3])
    files[1].write_bytes(bytes(len(files[1].read_bytes())))
    extract([tiny()], stimuli, tmp_path / "cut.zarr", **settings)
    assert arrays_of(tmp_path / "cut.zarr") == arrays_of(tmp_path / "whole.zarr")


def test_an_unfinished_store_says_how_many_stimuli_are_there(tmp_path, stimuli, monkeypatch):
    with monkeypatch.context() as patch:
        count_up_to(patch, 2, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            extract([tiny()], stimuli, tmp_path / "x.zarr", layers="all", batch=3, options=Options(chunk=6))
    with pytest.raises(ValueError, match=r"tiny \(6 of 10 stimuli\)"):
        open_activations(tmp_path / "x.zarr")


def test_a_full_disk_keeps_what_is_written_and_goes_on_later(tmp_path, stimuli, monkeypatch):
    from rsa_face.activations import extract as module

    settings = {"layers": "all", "batch": 3}
    extract([tiny()], stimuli, tmp_path / "whole.zarr", **settings)
    real, calls = module._begun, []

    class Full:
        def __init__(self, array):
            self.array = array

        def __setitem__(self, rows, values):
            calls.append(rows)
            if len(calls) == 8:
                raise OSError(errno.ENOSPC, "No space left on device")
            self.array[rows] = values

    with monkeypatch.context() as patch:
        patch.setattr(module, "_begun", lambda *args: Full(real(*args)))
        with pytest.raises(OSError, match="No space left"):
            extract([tiny()], stimuli, tmp_path / "full.zarr", **settings)
    assert describe_store(tmp_path / "full.zarr")["networks"][0]["done"] == 3
    extract([tiny()], stimuli, tmp_path / "full.zarr", **settings)
    assert arrays_of(tmp_path / "full.zarr") == arrays_of(tmp_path / "whole.zarr")


def test_too_little_gpu_memory_halves_the_batch_and_says_so(tmp_path, stimuli, monkeypatch, caplog):
    from rsa_face.activations import extract as recording

    complete = extract([tiny()], stimuli, tmp_path / "a.zarr", layers="all", batch=8)["tiny/3/activation"].values
    real = recording.capture

    def small(network, layers, inputs, **kwargs):
        if len(inputs) > 2:
            message = "CUDA out of memory"
            raise torch.OutOfMemoryError(message)
        return real(network, layers, inputs, **kwargs)

    monkeypatch.setattr(recording, "capture", small)
    tree = extract([tiny()], stimuli, tmp_path / "b.zarr", layers="all", batch=8)
    np.testing.assert_allclose(tree["tiny/3/activation"].values, complete, rtol=1e-5, atol=1e-5)
    assert "8 stimuli at once exceed" in caplog.text


def test_a_store_begun_otherwise_is_refused_with_what_differs(tmp_path, stimuli):
    extract([tiny()], stimuli, tmp_path / "x.zarr", layers="all")

    def again(network=None, of=stimuli, **settings):
        return extract([network or tiny()], of, tmp_path / "x.zarr", **{"layers": "all", **settings})

    with pytest.raises(ValueError, match=r"dtype \('float32' in the store, now 'float16'\)"):
        again(dtype="float16")
    with pytest.raises(ValueError, match=r"batch \(32 in the store, now 5\)"):
        again(batch=5)
    with pytest.raises(ValueError, match=r"'tiny'.* something else: weights_hash"):
        again(tiny(seed=1))
    with pytest.raises(ValueError, match=r"layers \(\['0', '1', '2', '3'\] in the store, now \['3'\]\)"):
        again(layers=["3"])
    with pytest.raises(ValueError, match=r"lacks \[\] and also has \['s09'\]"):
        again(of=StimulusSet(stimuli.table.iloc[:9]))
    with pytest.raises(ValueError, match="the order of the stimuli"):
        again(of=StimulusSet(stimuli.table.iloc[::-1].reset_index(drop=True)))
    with pytest.raises(ValueError, match="the column 'level'"):
        again(of=StimulusSet(stimuli.table.assign(level=0.5)))
    files = stimuli.table["file"].tolist()
    with pytest.raises(ValueError, match=r"the images of \['s00'\]"):
        again(of=StimulusSet(stimuli.table.assign(file=[files[1], *files[1:]])))


def test_another_preprocessing_is_refused_by_name(tmp_path, stimuli):
    one = build_network("alexnet", preprocessing=Preprocessing(resize=64, crop=64))
    extract([one], stimuli, tmp_path / "x.zarr", layers=["relu1"])
    other = Network(one.name, one.module, one.layers, Preprocessing(resize=70, crop=64), "alexnet", "random")
    with pytest.raises(ValueError, match=r"preprocessing\.resize \(64 in the store, now 70\)"):
        extract([other], stimuli, tmp_path / "x.zarr", layers=["relu1"])


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_activation_that_is_not_finite_names_layer_and_stimulus(tmp_path, stimuli, value):
    network = tiny()
    with torch.no_grad():
        network.module[0].bias[2] = value
    with pytest.raises(ValueError, match="'0' are not finite in float32 for 's00'"):
        extract([network], stimuli, tmp_path / "x.zarr", layers="all")


def test_values_beyond_float16_are_refused_by_stimulus(tmp_path, stimuli):
    network = tiny()
    with torch.no_grad():
        network.module[0].weight.mul_(1e6)
    with pytest.raises(ValueError, match="'0' are not finite in float16 for 's00'"):
        extract([network], stimuli, tmp_path / "x.zarr", layers="all", dtype="float16")


def test_requests_that_cannot_be_met_are_refused(tmp_path, stimuli):
    with pytest.raises(ValueError, match=r"\['tiny'\]"):
        extract([tiny(), tiny()], stimuli, tmp_path / "x.zarr")
    with pytest.raises(ValueError, match="'float64'"):
        extract([tiny()], stimuli, tmp_path / "x.zarr", dtype="float64")
    with pytest.raises(ValueError, match=r"\['relu9'\]"):
        extract([tiny()], stimuli, tmp_path / "x.zarr", layers=["relu9"])
    with pytest.raises(ValueError, match="'max'"):
        Options(pool="max")
    assert not (tmp_path / "x.zarr").exists()


def test_an_unreadable_image_names_its_stimulus_and_the_store_goes_on_once_it_is_mended(tmp_path, stimuli):
    table = stimuli.table.copy()
    bad = tmp_path / "bad.png"
    bad.write_text("no image", "utf-8")
    table.loc[7, "file"] = str(bad)
    broken = StimulusSet(pd.DataFrame(table))
    with pytest.raises(ValueError, match=r"Stimulus 's07'.*bad\.png"):
        extract([tiny()], broken, tmp_path / "x.zarr", layers="all", batch=2)


@pytest.mark.gpu
def test_a_gpu_records_the_same_activations(tmp_path, stimuli, fe_alexnet):
    torch.backends.cudnn.allow_tf32 = False
    on_gpu = extract([fe_alexnet], stimuli, tmp_path / "gpu.zarr", layers="all", device="cuda")
    on_cpu = extract([fe_alexnet], stimuli, tmp_path / "cpu.zarr", layers="all", device="cpu")
    for layer in fe_alexnet.layers:
        name = f"fe_alexnet/{layer.name}/activation"
        scale = abs(on_cpu[name].values).max()
        np.testing.assert_allclose(on_gpu[name].values, on_cpu[name].values, atol=1e-4 * scale)


@pytest.mark.parametrize(("first", "second"), [("tiny", "tiny/mine"), ("tiny/mine", "tiny"), ("tiny/a/0", "tiny")])
def test_a_network_within_another_is_refused_and_the_store_stays_whole(tmp_path, stimuli, first, second):
    store = tmp_path / "x.zarr"
    extract([tiny(first)], stimuli, store, layers="all")
    inner, outer = sorted((first, second), key=len, reverse=True)
    with pytest.raises(ValueError, match=f"'{inner}' would lie within '{outer}'"):
        extract([tiny(second, seed=1)], stimuli, store, layers="all")
    assert f"/{first}" in open_activations(store).groups


def test_networks_named_in_parts_are_listed_checked_and_not_run_again(tmp_path, stimuli):
    store, names = tmp_path / "x.zarr", ["tiny/object/1", "tiny/object/0", "tiny/face/0"]
    networks = [tiny(name, seed=place) for place, name in enumerate(names)]
    extract(networks[:2], stimuli, store, layers="all")
    written = {file: file.stat().st_mtime_ns for file in store.rglob("c/**/*") if file.is_file()}
    tree = extract(networks, stimuli, store, layers="all")
    assert all(file.stat().st_mtime_ns == then for file, then in written.items())
    assert [one["network"] for one in describe_store(store)["networks"]] == names
    assert list(dict.fromkeys(compute_rdms(tree)["network"].values)) == names
    assert verify_store(store) == []
    file = next(file for file in (store / "tiny/face/0/2/activation").rglob("0") if file.is_file())
    content = bytearray(file.read_bytes())
    content[100] ^= 1
    file.write_bytes(bytes(content))
    assert [fault.split(",")[0] for fault in verify_store(store)] == ["tiny/face/0/2"]
