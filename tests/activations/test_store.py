"""A store is whole, checked and written by one process at a time, and survives being killed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from torch import nn

from rsa_face.activations.extract import extract
from rsa_face.activations.store import (
    ARRAY,
    begin_layer,
    describe_store,
    hold_store,
    open_activations,
    remove_store,
    verify_store,
)
from rsa_face.networks.layers import Layer, name_modules
from rsa_face.networks.weights import start_weights
from rsa_face.networks.zoo import Network
from rsa_face.provenance import sealed
from rsa_face.stimuli.preprocessing import Preprocessing

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path, stimuli):
    """A finished store of ten stimuli in files of four."""
    extract([small_network()], stimuli, tmp_path / "x.zarr", layers="all", batch=4)
    return tmp_path / "x.zarr"


def small_network() -> Network:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True))
    start_weights(module, seed=0)
    return Network("tiny", module.eval(), name_modules(module), Preprocessing(resize=16, crop=16))


def test_a_finished_store_is_described_and_sound(store):
    described = describe_store(store)
    assert (described["stimuli"], described["dtype"], described["busy"]) == (10, "float32", False)
    assert described["bytes"] > 2 * 10 * 8 * 14 * 14
    network = described["networks"][0]
    assert (network["network"], network["done"], network["finished"]) == ("tiny", 10, True)
    assert verify_store(store) == []


def test_a_store_is_made_of_few_files(store):
    files = [file for file in store.rglob("*") if file.is_file() and file.name != "zarr.json"]
    arrays = [file for file in files if "tiny" in file.parts]
    assert len(arrays) == 2 * 3
    assert not list(store.parent.rglob("*.lock"))


@pytest.mark.parametrize("place", [0, 5000])
def test_a_changed_byte_is_found_by_layer_and_stimuli(store, place):
    file = store / "tiny/1/activation/c/1/0/0/0"
    content = bytearray(file.read_bytes())
    content[place] ^= 1
    file.write_bytes(content)
    assert len(verify_store(store)) == 1
    assert verify_store(store) == ["tiny/1, stimuli 4 to 7: the file is damaged (ValueError)"]
    with pytest.raises(ValueError, match="checksum do not match"):
        _ = open_activations(store)["tiny/1/activation"].values


def test_a_changed_byte_in_what_a_store_says_of_itself_is_found(store):
    files = [
        *store.rglob("zarr.json"),
        *(file for name in ("stimulus", "level") for file in store.glob(f"{name}/c/*")),
    ]
    assert len(files) == 10  # root, network, two layers and their arrays, two coordinates and their values
    for file in files:
        before = file.read_bytes()
        places = [int(share * len(before)) for share in (0.3, 0.6, 0.9)]
        for place in (*places, *([before.index(b"blake3")] if b"blake3" in before else [])):
            file.write_bytes(before[:place] + bytes([before[place] ^ 1]) + before[place + 1 :])
            with pytest.raises(ValueError, match=r"x\.zarr"):
                open_activations(store)
        file.write_bytes(before)
    assert open_activations(store)["tiny/0"].attrs["layer"] == "0"


def test_a_layer_whose_place_was_changed_before_it_was_finished_is_begun_anew(store, stimuli):
    layer = store / "tiny" / "0" / "zarr.json"
    node = zarr.open_group(store, mode="r+")["tiny"]
    before = open_activations(store)["tiny/0"]["activation"].values
    attrs = {key: value for key, value in dict(node.attrs).items() if key != "blake3"}
    node.update_attributes(sealed({**attrs, "finished": False}))
    layer.write_text(layer.read_text("utf-8").replace('"order": 0', '"order": 7'), "utf-8")
    tree = extract([small_network()], stimuli, store, layers="all", batch=4)
    assert tree["tiny/0"].attrs["order"] == 0
    np.testing.assert_array_equal(tree["tiny/0"]["activation"].values, before)


def test_a_file_cut_short_or_missing_is_found(store):
    file = store / "tiny/0/activation/c/0/0/0/0"
    content = file.read_bytes()
    file.write_bytes(content[:-50])
    cut = f"tiny/0, stimuli 0 to 3: the file is damaged ({len(content) - 50:,} bytes, not {len(content):,})"
    for read in ("all", "changed", "none"):
        assert verify_store(store, read=read) == [cut]
    file.unlink()
    for read in ("all", "changed", "none"):
        assert verify_store(store, read=read) == ["tiny/0, stimuli 0 to 3: the file is missing"]


def flip_byte(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_changed_byte_is_found_by_the_time_of_its_file_or_by_reading_all(store):
    file = store / "tiny/1/activation/c/1/0/0/0"
    time = file.stat().st_mtime_ns
    flip_byte(file)
    fault = ["tiny/1, stimuli 4 to 7: the file is damaged (ValueError)"]
    assert [verify_store(store, read=read) for read in ("all", "changed", "none")] == [fault, fault, []]
    os.utime(file, ns=(time, time))
    assert [verify_store(store, read=read) for read in ("all", "changed", "none")] == [fault, [], []]
    with pytest.raises(ValueError, match="some"):
        verify_store(store, read="some")


def test_extract_remakes_the_damaged_files_of_a_finished_network_alone(store, stimuli):
    files = [file for file in store.rglob("c/**/*") if file.is_file()]
    whole = {file: file.read_bytes() for file in files}
    (store / "tiny/0/activation/c/0/0/0/0").unlink()
    flip_byte(store / "tiny/1/activation/c/1/0/0/0")
    other = store / "tiny/0/activation/c/2/0/0/0"
    time = other.stat().st_mtime_ns
    extract([small_network()], stimuli, store, layers="all", batch=4)
    assert {file: file.read_bytes() for file in files} == whole
    assert other.stat().st_mtime_ns == time
    assert verify_store(store) == []


def test_a_store_of_another_version_is_refused_but_can_be_removed(store):
    zarr.open_group(store, mode="r+").attrs["format"] = 1
    with pytest.raises(ValueError, match=r"of format 1, not 7"):
        open_activations(store)
    remove_store(store)
    assert not store.exists()


def test_a_folder_of_other_things_is_neither_opened_nor_removed(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work", "utf-8")
    for refused in (open_activations, remove_store):
        with pytest.raises(ValueError, match=str(tmp_path.name)):
            refused(tmp_path)
    assert (tmp_path / "thesis.txt").is_file()
    with pytest.raises(FileNotFoundError, match=r"none\.zarr"):
        open_activations(tmp_path / "none.zarr")


def test_what_lies_in_the_folder_beside_a_batch_is_no_part_of_the_store(store):
    (store / "tiny/0/activation/c/0/0/0/.0.partial").write_bytes(b"half")
    with hold_store(store):
        assert not list(store.rglob("*.partial"))
    assert verify_store(store) == []


def test_two_processes_do_not_write_to_one_store(store):
    code = (
        "import sys, pathlib, time\n"
        "from rsa_face.activations.store import hold_store\n"
        "with hold_store(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ValueError, match=rf"process {other.pid} on .*x\.zarr"), hold_store(store):
            pass
        assert describe_store(store)["busy"]
        other.kill()
    with hold_store(store):
        assert store.is_dir()
    assert not describe_store(store)["busy"]


def test_killed_at_random_moments_a_store_goes_on_to_the_same_bytes():
    script = ROOT / "tests/benchmarks/kill_store.py"
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, script, "2"], capture_output=True, text=True, env=environment, check=False)
    assert "equals the uninterrupted one" in done.stdout, done.stderr


def array_in(folder: Path, values: np.ndarray, *, rows: int) -> "zarr.Array":
    """Write an array batch by batch, and return it as zarr opens it."""
    attrs = {"network": "n", "place": 0, "untrained": False, "training_unknown": False}
    node = zarr.open_group(folder, mode="w", zarr_format=3).create_group("n", attributes=attrs)
    layer = Layer("l", "0", "conv", 1.0, 0)
    array = begin_layer(node, layer, values.shape[1:], dtype=values.dtype.name, rows=rows, total=len(values))
    for start in range(0, len(values), rows):
        array[start : start + rows] = values[start : start + rows]
    return zarr.open_group(folder, mode="r")[f"n/l/{ARRAY}"]


@pytest.mark.parametrize("shape", [(10, 7), (9, 6, 5, 4), (1, 3, 2, 2), (8, 64, 96, 96)])
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_zarr_reads_back_what_was_written(tmp_path, shape, dtype):
    values = np.random.default_rng(0).normal(size=shape).astype(dtype)
    array = array_in(tmp_path, values, rows=2)
    np.testing.assert_array_equal(array[:], values)
    np.testing.assert_array_equal(array[:, :1], values[:, :1])


def test_sparse_layers_take_less_room_than_their_values(tmp_path):
    dense = np.random.default_rng(0).normal(size=(4, 8, 20, 20)).astype(np.float32)
    array_in(tmp_path, np.where(dense > 1.5, dense, 0).astype(np.float32), rows=4)
    assert (tmp_path / "n/l/activation/c/0/0/0/0").stat().st_size < dense.nbytes / 2


def test_a_large_layer_is_cut_into_chunks_of_some_channels(tmp_path):
    array = array_in(tmp_path, np.zeros((9, 64, 96, 96), dtype=np.float32), rows=8)
    assert (array.shards, array.chunks) == ((8, 64, 96, 96), (8, 8, 96, 96))
