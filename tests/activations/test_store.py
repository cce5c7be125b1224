"""A store is whole, checked and written by one process at a time, and survives being killed."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import zarr
from torch import nn

from rsa_face.activations.blocks import append_batch, batches_in, finish_block
from rsa_face.activations.cuts import create_array, cut_layer
from rsa_face.activations.extract import extract
from rsa_face.activations.recording import Options
from rsa_face.activations.store import describe_store, open_activations, verify_store
from rsa_face.activations.writing import hold_store, remove_store
from rsa_face.networks.layers import name_modules
from rsa_face.networks.weights import start_weights
from rsa_face.networks.zoo import Network
from rsa_face.stimuli.preprocessing import Preprocessing

ROOT = Path(__file__).parents[2]


@pytest.fixture
def store(tmp_path, stimuli):
    """A finished store of ten stimuli in files of four."""
    extract([small_network()], stimuli, tmp_path / "x.zarr", layers="all", batch=2, options=Options(chunk=4))
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
    assert "tiny/1, stimuli 4 to 7: the file has a damaged chunk" in verify_store(store)[0]
    with pytest.raises(ValueError, match="checksum do not match"):
        _ = open_activations(store)["tiny/1/activation"].values


def test_a_changed_byte_in_what_a_store_says_of_itself_is_found(store):
    files = [
        *store.rglob("zarr.json"),
        *(file for name in ("stimulus", "level") for file in store.glob(f"{name}/c/*")),
    ]
    assert len(files) == 10  # root, network, two layers and their arrays, two coordinates and their values
    for file in files:
        whole = file.read_bytes()
        places = [int(share * len(whole)) for share in (0.3, 0.6, 0.9)]
        for place in (*places, *([whole.index(b"seal")] if b"seal" in whole else [])):
            file.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
            with pytest.raises(ValueError, match=r"x\.zarr"):
                open_activations(store)
        file.write_bytes(whole)
    assert open_activations(store)["tiny/0"].attrs["layer"] == "0"


def test_a_layer_whose_place_was_changed_before_it_was_finished_is_begun_anew(store, stimuli):
    layer = store / "tiny" / "0" / "zarr.json"
    node = zarr.open_group(store, mode="r+")["tiny"]
    whole = open_activations(store)["tiny/0"]["activation"].values
    node.update_attributes({"finished": False})
    layer.write_text(layer.read_text("utf-8").replace('"order": 0', '"order": 7'), "utf-8")
    tree = extract([small_network()], stimuli, store, layers="all", batch=2, options=Options(chunk=4))
    assert tree["tiny/0"].attrs["order"] == 0
    np.testing.assert_array_equal(tree["tiny/0"]["activation"].values, whole)


def test_a_file_cut_short_or_missing_is_found(store):
    file = store / "tiny/0/activation/c/0/0/0/0"
    file.write_bytes(file.read_bytes()[:-50])
    assert verify_store(store) == ["tiny/0, stimuli 0 to 3: the file has a damaged index"]
    file.unlink()
    assert verify_store(store) == ["tiny/0, stimuli 0 to 3: the file is missing"]


def test_a_store_of_another_version_is_refused_but_can_be_removed(store):
    zarr.open_group(store, mode="r+").attrs["format"] = 1
    with pytest.raises(ValueError, match=r"must have format 5, but .* has 1"):
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


def test_two_processes_do_not_write_to_one_store(store):
    code = (
        "import sys, pathlib, time\n"
        "from rsa_face.activations.writing import hold_store\n"
        "with hold_store(sys.argv[1]):\n"
        "    print('held', flush=True)\n"
        "    sys.stdin.read()\n"
    )
    command = [sys.executable, "-c", code, str(store)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(ValueError, match=rf"but process {other.pid} on .*x\.zarr"), hold_store(store):
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


def array_in(folder: Path, values: np.ndarray, *, rows: int, block: int) -> np.ndarray:
    """Write an array batch by batch and read it back by zarr."""
    cut = cut_layer(values[:rows], total=len(values), rows=rows, block=block)
    create_array(zarr.open_group(folder, mode="w", zarr_format=3), cut)
    for start in range(0, len(values), cut.rows):
        file = cut.file_of(folder / "activation", start // cut.block)
        append_batch(file, values[start : start + cut.rows], cut)
        if start + cut.rows >= min((start // cut.block + 1) * cut.block, len(values)):
            finish_block(file, cut)
    return zarr.open_group(folder, mode="r")["activation"]


@pytest.mark.parametrize("shape", [(10, 7), (9, 6, 5, 4), (1, 3, 2, 2), (8, 64, 96, 96)])
@pytest.mark.parametrize("sparse", [False, True])
def test_zarr_reads_back_what_was_written(tmp_path, shape, sparse):
    values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    values[values < (1 if sparse else -10)] = 0
    array = array_in(tmp_path, values, rows=2, block=4)
    np.testing.assert_array_equal(array[:], values)
    np.testing.assert_array_equal(array[:, :1], values[:, :1])


def test_sparse_layers_are_compressed_and_dense_ones_are_not():
    dense = np.random.default_rng(0).normal(size=(4, 8, 20, 20)).astype(np.float32)
    sparse = np.where(dense > 1.5, dense, 0).astype(np.float32)
    assert not cut_layer(dense, total=4, rows=4, block=4).compressed
    assert cut_layer(sparse, total=4, rows=4, block=4).compressed


def test_a_large_layer_is_cut_into_chunks_of_some_channels():
    values = np.zeros((8, 64, 96, 96), dtype=np.float32)
    cut = cut_layer(values, total=100, rows=8, block=32)
    assert cut.chunk == (8, 8, 96, 96)
    assert (cut.slabs, cut.blocks, cut.batches_of(3)) == (8, 4, 1)


def test_a_batch_half_written_is_cut_off(tmp_path):
    values = np.random.default_rng(0).normal(size=(6, 4, 3, 3)).astype(np.float32)
    cut = cut_layer(values[:2], total=6, rows=2, block=6)
    file = cut.file_of(tmp_path / "activation", 0)
    for start in (0, 2):
        append_batch(file, values[start : start + 2], cut)
    part = file.with_name(f"{file.name}.part")
    whole = part.stat().st_size
    with part.open("ab") as opened:
        opened.write(b"rubbish")
    assert batches_in(file, cut) == 2
    assert part.stat().st_size == whole
    os.truncate(part, whole // 2 + 10)
    assert batches_in(file, cut) == 1
    content = bytearray(part.read_bytes())
    content[3] ^= 255
    part.write_bytes(content)
    assert batches_in(file, cut) == 0
