"""A stranger's files: nothing runs, nothing is written outside its folder, memory stays below what is stated."""

import ast
import json
from pathlib import Path

import google_crc32c
import numpy as np
import pandas as pd
import pytest
import xarray as xr
import zarr

import rsa_face
from rsa_face import memory, safety
from rsa_face.activations.extract import extract
from rsa_face.activations.store import _hash_of_columns, describe_store, open_activations, verify_store
from rsa_face.cli import main
from rsa_face.human import datasets, rdm_files
from rsa_face.human.choices import read_choices
from rsa_face.human.read import read_human
from rsa_face.networks.weights import read_state
from rsa_face.provenance import hash_file, load, save, sealed
from rsa_face.report.page import write_report
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from rsa_face.stimuli.images import read_image
from rsa_face.stimuli.occlusion import contact_sheet, occlude
from rsa_face.study.config import load_study
from rsa_face.study.graph import Manifest
from rsa_face.training.data import read_affectnet_npy
from tests.trust import hostile
from tests.trust.readers import human_rdms, picture, tiny_network, tiny_stimuli

MEBIBYTE = 2**20


def used_at_most() -> int:
    """Return the most memory this process has held since `count_anew`, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * int(next(line for line in lines if line.startswith("VmHWM")).split()[1])


def count_anew() -> int:
    Path("/proc/self/clear_refs").write_text("5")
    return used_at_most()


@pytest.fixture
def low_limit(monkeypatch):
    """Lower the stated limit to 32 MiB, so that bombs need not be large to be seen."""
    for module in (safety, rdm_files):
        monkeypatch.setattr(module, "MOST_BYTES", 32 * MEBIBYTE)


@pytest.mark.parametrize("how", ["zip", "legacy", "plain"])
def test_code_in_a_checkpoint_does_not_run(tmp_path, capsys, how):
    mark = tmp_path / "it ran"
    (tmp_path / "net.pth").write_bytes(hostile.pickled(mark, how=how))
    with pytest.raises(ValueError, match=r"net\.pth' cannot be read: .* holds tensors and nothing else"):
        read_state(tmp_path / "net.pth")
    with pytest.raises(SystemExit) as stopped:
        main(["weights", "inspect", str(tmp_path / "net.pth")])
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
    assert not mark.exists()


@pytest.mark.parametrize("how", ["npy", "npz"])
def test_code_in_an_array_does_not_run(tmp_path, how):
    mark = tmp_path / "it ran"
    content = hostile.pickled(mark, how=how)
    (tmp_path / f"rdms.{how}").write_bytes(content)
    with pytest.raises(ValueError, match=rf"rdms\.{how}' cannot be read: .* plain arrays"):
        read_human(tmp_path / f"rdms.{how}", kind="rdm")
    picture(tmp_path, "images/1.png")
    (tmp_path / "annotations").mkdir()
    (tmp_path / "annotations" / "1_exp.npy").write_bytes(content)
    with pytest.raises(ValueError, match=r"1_exp\.npy' cannot be read: .* one number"):
        read_affectnet_npy(tmp_path)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("name", "make", "read"),
    [
        ("rdms.npz", hostile.npz_bomb, lambda path: read_human(path, kind="rdm")),
        ("rdms.mat", hostile.mat_bomb, lambda path: read_human(path, kind="rdm")),
        ("net.pth", hostile.torch_zip_bomb, read_state),
    ],
)
def test_a_bomb_is_not_unpacked(tmp_path, low_limit, name, make, read):
    (tmp_path / name).write_bytes(make(512))
    assert (tmp_path / name).stat().st_size < MEBIBYTE
    before = count_anew()
    with pytest.raises(ValueError, match=rf"{name}.* asks for"):
        read(tmp_path / name)
    assert used_at_most() - before < 200 * MEBIBYTE


def test_no_module_unpacks_archives_or_pickles():
    unwanted = {"extractall", "unpack_archive", "tarfile", "pickle", "cPickle", "marshal", "shelve", "eval", "exec"}
    found = []
    for file in Path(rsa_face.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            names = {
                *([node.attr] if isinstance(node, ast.Attribute) else []),
                *([node.func.id] if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else []),
                *([one.name for one in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []),
            }
            torch_eval = isinstance(node, ast.Attribute) and node.attr == "eval"  # of a network: evaluation mode
            found += [(file.name, name) for name in names & unwanted if not torch_eval]
    assert found == []


def test_files_of_a_data_set_that_are_not_the_known_ones_are_kept_aside_and_not_read(tmp_path):
    there = tmp_path / "there"
    there.mkdir()
    for file in datasets.DATASETS["kriegeskorte92"].files:
        (there / file.name).symlink_to("/etc/hostname")
    with pytest.raises(ValueError, match=r"92_behavRDMs\.mat has .* instead of 7a8e118c"):
        datasets.fetch_dataset("kriegeskorte92", tmp_path / "here", source=there)
    written = sorted(
        str(file.relative_to(tmp_path / "here")) for file in (tmp_path / "here").rglob("*") if file.is_file()
    )
    assert all(name.startswith("original/") and name.endswith(".unexpected") for name in written)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: !!python/object/apply:os.system ['touch ran']", "could not determine a constructor"),
        ("name: !!python/name:os.system", "could not determine a constructor"),
        (hostile.laughs(), "its aliases make .* values"),
        ("name: &a [*a]", "the value on line 1 holds itself"),
        ("[" * 5000, "cannot be read"),
        ("x: '" + "a" * 2**21 + "'", "has at most 1 MiB"),
    ],
    ids=["call", "name", "laughs", "circle", "deep", "large"],
)
def test_a_study_file_makes_plain_values_alone(tmp_path, monkeypatch, text, said):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(ValueError, match=rf"(?s)study.yaml.*{said}|{said}.*study.yaml"):
        load_study(tmp_path / "study.yaml")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [hostile.png(50_000, 50_000), hostile.bmp(50_000, 50_000), hostile.png(9_000, 9_000), hostile.bmp(9_000, 9_000)],
    ids=["large png", "large bmp", "lying png", "lying bmp"],
)
def test_an_image_of_2500_million_pixels_or_with_a_lying_header_is_refused(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    stimuli = StimulusSet(pd.DataFrame({"stimulus": ["a"], "file": [str(tmp_path / "a.png")]}))
    before = count_anew()
    for read in (
        lambda: read_image(tmp_path / "a.png"),
        lambda: contact_sheet(stimuli, tmp_path / "sheet.png"),
        lambda: occlude(stimuli, ["eyes"], tmp_path / "out"),
    ):
        with pytest.raises(ValueError, match=r"Cannot read the image .*a\.png"):
            read()
    assert used_at_most() - before < 600 * MEBIBYTE
    assert not (tmp_path / "sheet.png").exists()


def test_an_image_that_another_program_would_run_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(hostile.postscript(tmp_path / "ran"))
    with pytest.raises(ValueError, match=r"Cannot read the image .*a\.png': cannot identify"):
        read_image(tmp_path / "a.png")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["=cmd|' /C calc'!A0", "@SUM(1+1)", "+1+cmd|'x'!A1", "-2+3+cmd|'x'!A1", "\t=1+1"])
def test_names_that_a_spreadsheet_would_run_are_refused(tmp_path, name):
    picture(tmp_path, "a.png")
    pd.DataFrame({"stimulus": [name], "file": ["a.png"]}).to_csv(tmp_path / "stimuli.csv", index=False)
    pd.DataFrame({"stimulus": ["a"], "file": ["a.png"], "identity": [name]}).to_csv(tmp_path / "who.csv", index=False)
    rows = {"participant": [name, name], "level": [-1, 1], "response": ["sad", "happy"], "stimulus": ["a", "b"]}
    pd.DataFrame(rows).to_csv(tmp_path / "choices.csv", index=False)
    shown = pytest.raises(ValueError, match="formula")
    for read in (
        lambda: read_stimuli(tmp_path / "stimuli.csv"),
        lambda: read_stimuli(tmp_path / "who.csv"),
        lambda: read_choices(tmp_path / "choices.csv"),
        lambda: (
            read_human(tmp_path / "choices.csv", kind="choice")
            if name.strip() == name
            else read_choices(tmp_path / "choices.csv")
        ),
    ):
        with shown as caught:
            read()
        assert name.strip() in str(caught.value).encode().decode("unicode_escape")


def test_harmless_names_are_kept(tmp_path):
    names = ["-1_happy", "+0.5", "-", "a=b", "id01@level", "-1.5"]
    for place in range(len(names)):
        picture(tmp_path, f"{place}.png")
    table = {"stimulus": names, "file": [f"{place}.png" for place in range(len(names))]}
    pd.DataFrame(table).to_csv(tmp_path / "stimuli.csv", index=False)
    assert read_stimuli(tmp_path / "stimuli.csv").ids == names


def test_html_in_ids_labels_and_names_is_shown_not_run(tmp_path):
    evil = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
    array = human_rdms().assign_coords(stimulus_i=[evil, "b", "c", "d"], stimulus_j=[evil, "b", "c", "d"])
    save(array.assign_coords(participant=[evil, "p2"]), tmp_path / "human_rdms.nc")
    coords = {
        "network": ("rdm", [evil, "n"]),
        "layer": ("rdm", [evil, "m"]),
        "depth": ("rdm", [0.5, 1.0]),
        "order": ("rdm", [0, 1]),
    }
    layers = array.rename(participant="rdm").assign_coords(rdm=[f"{evil}/{evil}", "n/m"], **coords)
    save(layers.assign_attrs(untrained=[evil], measure=evil), tmp_path / "rdms.nc")
    result = xr.Dataset(
        {"similarity": ("rdm", [0.1, 0.2]), "noise_ceiling": ("bound", [0.3, 0.4])},
        {"rdm": layers["rdm"], "bound": ["lower", "upper"], **{name: layers[name] for name in coords}},
        {"simulated": True, "comparison": evil, "untrained": [evil], "measure": evil},
    )
    save(result, tmp_path / "layers.nc")
    (tmp_path / "manifest.json").write_text(json.dumps({"stages": {}, "name": evil, "study": {"name": evil}}))
    page = write_report(tmp_path).read_text("utf-8")
    assert "alert" in page
    assert "<img src=x onerror" not in page
    assert "<script>alert" not in page
    assert "</script><script>alert" not in page


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rdms.nc", hostile.huge_hdf5("dissimilarity")),
        ("rdms.h5", hostile.huge_hdf5("dissimilarities")),
        ("rdms.mat", hostile.huge_hdf5("rdms")),
        ("rdms.h5", hostile.circular_hdf5()),
    ],
    ids=["netCDF", "rsatoolbox", "mat 7.3", "circle"],
)
def test_absurd_shapes_and_circles_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    before = count_anew()
    with pytest.raises(ValueError, match=rf"{name}.*(asks for|leads to|cannot be read)"):
        read_human(tmp_path / name, kind="rdm")
    assert used_at_most() - before < 100 * MEBIBYTE


def test_names_that_an_array_of_texts_would_change_are_refused(tmp_path):
    text = "participant,stimulus,a,b\np\0,a,0,1\np\0,b,1,0\np,a,0,2\np,b,2,0\n"
    (tmp_path / "trials.csv").write_text(text, "utf-16")
    with pytest.raises(ValueError, match=r"trials\.csv has a NUL \(\\0\) in 'participant'"):
        read_human(tmp_path / "trials.csv", kind="rdm")
    picture(tmp_path, "a.png")
    (tmp_path / "stimuli.csv").write_text("stimulus,file\na\0,a.png\n")
    with pytest.raises(ValueError, match=r"stimuli\.csv has 'a\\x00': a stimulus that .* holds a NUL"):
        read_stimuli(tmp_path / "stimuli.csv")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rdms.nc", hostile.narrow_hdf5(30)),
        ("rdms.npz", hostile.narrow_npz(30)),
    ],
    ids=["scaled bytes", "npz"],
)
def test_what_takes_little_in_a_file_and_much_once_it_is_read_is_refused(tmp_path, low_limit, name, content):
    (tmp_path / name).write_bytes(content)
    before = count_anew()
    with pytest.raises(ValueError, match=rf"{name}.* asks for"):
        read_human(tmp_path / name, kind="rdm")
    assert used_at_most() - before < 200 * MEBIBYTE


@pytest.mark.parametrize(
    ("kind", "header", "row"),
    [
        ("rating", "participant,stimulus_a,stimulus_b,rating", "p,a#,b#,3"),
        ("samediff", "participant,stimulus_a,stimulus_b,response", "p,a#,b#,same"),
        ("triplet", "participant,stimulus_1,stimulus_2,stimulus_3,odd", "p,a#,b#,c#,a#"),
        ("arrangement", "participant,trial,stimulus,x,y", "p,1,a#,#,2"),
        ("arrangement", "participant,trial,stimulus,x,y", "p,#,a,0,1\np,#,b#,1,2"),
        ("confusion", "participant,stimulus,response", "p,a#,happy"),
        ("confusion", "participant,stimulus,response", "p#,a,b#"),
        ("choice", "participant,stimulus,response", "p,a#,happy"),
        ("features", "participant,stimulus,happy,sad", "p,a#,1,2"),
        ("rdm", "participant,stimulus_a,stimulus_b,dissimilarity", "p,a#,b#,3"),
        ("rdm", "participant,stimulus_a,stimulus_b,dissimilarity", "p#,a#,b#,3"),
    ],
)
def test_a_short_table_of_too_many_names_is_refused_before_its_rdms_are_made(
    tmp_path, monkeypatch, kind, header, row
):
    monkeypatch.setattr(memory, "available_memory", lambda: 64 * MEBIBYTE)
    (tmp_path / "many.csv").write_text(hostile.many(header, row, 5000))
    before = count_anew()
    with pytest.raises(ValueError, match=r"in many\.csv would take [\d,.]+ GiB of memory, of 0\.1"):
        read_human(tmp_path / "many.csv", kind=kind)
    assert used_at_most() - before < 100 * MEBIBYTE


@pytest.mark.parametrize("estimate", ["file", "trials"])
def test_a_short_tree_of_too_many_names_is_refused_before_its_rdms_are_made(tmp_path, monkeypatch, estimate):
    monkeypatch.setattr(memory, "available_memory", lambda: 64 * MEBIBYTE)
    (tmp_path / "tree.json").write_text(hostile.many_placed(5000))
    with pytest.raises(ValueError, match=r"5,000 stimuli by 1 participant in tree\.json would take"):
        read_human(tmp_path / "tree.json", kind="arrangement", options={"estimate": estimate})


@pytest.mark.parametrize("name", ["rdms.nc", "rdms.h5", "rdms.mat"])
def test_an_array_that_lies_in_another_file_is_refused(tmp_path, name):
    secret = tmp_path / "secret.h5"
    secret.write_bytes(hostile.hdf5(lambda file: file.create_dataset("secret", data=np.zeros((4, 4))) and None))
    (tmp_path / name).write_bytes(hostile.linked_hdf5("rdms", secret))
    with pytest.raises(ValueError, match="'rdms' leads to another place or another file"):
        read_human(tmp_path / name, kind="rdm")


def test_a_tensor_stretched_over_one_number_is_refused(tmp_path):
    (tmp_path / "net.pth").write_bytes(hostile.stretched_tensor())
    before = count_anew()
    with pytest.raises(ValueError, match=r"net\.pth.* asks for 37"):
        read_state(tmp_path / "net.pth")
    assert used_at_most() - before < 100 * MEBIBYTE


@pytest.fixture
def store(tmp_path):
    extract([tiny_network()], tiny_stimuli(tmp_path), tmp_path / "one.zarr", layers="all", batch=2)
    return tmp_path / "one.zarr"


def change(file: Path, **attrs: object) -> None:
    held = json.loads(file.read_text())
    held["attributes"] |= attrs
    file.write_text(json.dumps(held))
    seal_anew(file.parent)


def seal_anew(network: Path) -> None:
    """As one who means harm would: a seal tells of accidents, and is no signature."""
    for layer in (file.parent for file in network.glob("*/zarr.json")):
        reseal(layer, array=hash_file(layer / "activation" / "zarr.json"))
    reseal(network)


def reseal(folder: Path, **attrs: object) -> None:
    held = json.loads((folder / "zarr.json").read_text())
    plain = {key: value for key, value in held["attributes"].items() if key != "blake3"}
    held["attributes"] = sealed({**plain, **attrs})
    (folder / "zarr.json").write_text(json.dumps(held))


@pytest.mark.parametrize("read", [describe_store, verify_store, open_activations])
def test_a_store_with_a_path_in_a_layers_or_networks_name_is_refused(store, read):
    change(store / "tiny" / "zarr.json", layers=["../../secret"])
    with pytest.raises(ValueError, match=r"one\.zarr.*secret"):
        read(store)
    change(store / "tiny" / "zarr.json", layers=["0"], network="../..")
    with pytest.raises(ValueError, match=r"the network in 'tiny' is called '\.\./\.\.'"):
        read(store)


@pytest.mark.parametrize("read", [describe_store, verify_store, open_activations])
def test_a_store_with_an_absurd_shape_is_refused(store, read):
    file = store / "tiny" / "0" / "activation" / "zarr.json"
    held = json.loads(file.read_text())
    held["shape"] = [4, 10**12, 10, 10]
    file.write_text(json.dumps(held))
    seal_anew(store / "tiny")
    with pytest.raises(ValueError, match=r"one\.zarr.*asks for"):
        read(store)


@pytest.mark.parametrize("read", [describe_store, verify_store, open_activations])
def test_a_store_packed_by_other_means_is_refused(store, read):
    file = store / "tiny" / "0" / "activation" / "zarr.json"
    held = json.loads(file.read_text())
    held["codecs"][0]["configuration"]["codecs"].insert(1, {"name": "gzip", "configuration": {"level": 9}})
    file.write_text(json.dumps(held))
    seal_anew(store / "tiny")
    with pytest.raises(ValueError, match=r"one\.zarr.*0 is packed by other means"):
        read(store)


@pytest.mark.parametrize("read", [verify_store, open_activations])
@pytest.mark.parametrize("name", ["level", "tiny/0/channel", "tiny/2/other"])
def test_a_store_with_arrays_that_are_packed_where_none_are_is_refused(store, name, read):
    shape = (10**6,) if name != "level" else (4, 2**28)
    group = zarr.open_group(store, mode="r+", zarr_format=3)
    dims = [name.rsplit("/", 1)[-1], "more"][: len(shape)]
    group.create_array(name, shape=shape, dtype="f8", chunks=shape, dimension_names=dims, overwrite=True)
    seal_anew(store / "tiny")
    reseal(store, columns=_hash_of_columns(store, group.attrs["table"]))
    with pytest.raises(ValueError, match=rf"one\.zarr.*('{name}' is no array that extract writes|asks for)"):
        read(store)


@pytest.mark.parametrize("chunk", [[2, 4, 10, 10**9], [10**12, 4, 10, 10], [2, 4, 10]])
def test_a_store_with_chunks_larger_than_its_arrays_is_refused(store, chunk):
    file = store / "tiny" / "0" / "activation" / "zarr.json"
    held = json.loads(file.read_text())
    held["codecs"][0]["configuration"]["chunk_shape"] = chunk
    held["chunk_grid"]["configuration"]["chunk_shape"] = chunk
    file.write_text(json.dumps(held))
    seal_anew(store / "tiny")
    with pytest.raises(ValueError, match=r"one\.zarr"):
        open_activations(store)


def test_a_chunk_that_says_it_unpacks_to_gigabytes_is_damaged(tmp_path):
    extract([tiny_network()], tiny_stimuli(tmp_path), tmp_path / "one.zarr", layers=["0"], batch=2)
    file = tmp_path / "one.zarr/tiny/0/activation/c/0/0/0/0"
    content = bytearray(file.read_bytes())
    length = int.from_bytes(content[12:16], "little")  # Blosc's header: what it takes, before zarr's checksum
    assert int.from_bytes(content[4:8], "little") == 2 * 4 * 10 * 10 * 4
    content[4:8] = (2**31 - 1).to_bytes(4, "little")
    content[length : length + 4] = google_crc32c.value(bytes(content[:length])).to_bytes(4, "little")
    file.write_bytes(content)
    before = used_at_most()
    assert verify_store(tmp_path / "one.zarr")[0].startswith("tiny/0, stimuli 0 to 1: the file is damaged")
    with pytest.raises((ValueError, RuntimeError, MemoryError)):
        _ = open_activations(tmp_path / "one.zarr")["tiny/0/activation"].values
    assert used_at_most() - before < 100 * MEBIBYTE


def test_a_store_of_the_old_format_with_pickles_is_refused(store):
    folder = store / "tiny" / "0" / "activation"
    (folder / "zarr.json").unlink()
    old = {"zarr_format": 2, "shape": [4], "chunks": [4], "dtype": "|O", "compressor": None, "fill_value": None,
           "order": "C", "filters": [{"id": "pickle"}]}  # fmt: skip
    (folder / ".zarray").write_text(json.dumps(old))
    mark = store.parent / "ran"
    (folder / "0").write_bytes(hostile.pickled(mark, how="plain"))
    with pytest.raises(ValueError, match=r"one\.zarr"):
        rsa_face.compute_rdms(open_activations(store))
    assert not mark.exists()


def test_a_link_out_of_the_studys_folder_is_not_written_through(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "rdms").symlink_to(tmp_path / "elsewhere")
    study = Manifest(tmp_path / "results", lambda _line: None)
    with pytest.raises(ValueError, match=r"results/rdms' leads out of its folder, .*elsewhere"):
        study.stage("RDMs", lambda: None, inputs={}, outputs=["rdms/a.nc"])
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_result_folder_that_is_itself_a_link_is_used(tmp_path):
    (tmp_path / "large disk").mkdir()
    (tmp_path / "results").symlink_to(tmp_path / "large disk")
    study = Manifest(tmp_path / "results", lambda _line: None)
    study.stage("one", lambda: (tmp_path / "results" / "a.txt").write_text("a"), inputs={}, outputs=["a.txt"])
    assert (tmp_path / "large disk" / "a.txt").is_file()


def test_a_link_in_place_of_a_result_is_replaced_and_what_it_leads_to_is_kept(tmp_path):
    (tmp_path / "precious.nc").write_text("mine")
    (tmp_path / "rdms.nc").symlink_to(tmp_path / "precious.nc")
    save(human_rdms(), tmp_path / "rdms.nc")
    assert (tmp_path / "precious.nc").read_text() == "mine"
    assert load(tmp_path / "rdms.nc").sizes["participant"] == 2


@pytest.mark.filterwarnings("ignore:Duplicate dimension names")  # what xarray says of it
def test_an_array_with_a_dim_twice_is_refused(tmp_path):
    def fill(file):
        file.create_dataset("x", data=np.zeros((3, 3)))
        file.create_dataset("stimulus", data=np.arange(3)).make_scale("stimulus")
        for dim in file["x"].dims:
            dim.attach_scale(file["stimulus"])

    (tmp_path / "rdms.nc").write_bytes(hostile.hdf5(fill))
    with pytest.raises(ValueError, match=r"rdms\.nc' cannot be read: 'x' has a dim more than once"):
        load(tmp_path / "rdms.nc")
