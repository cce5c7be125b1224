"""Names that somebody gives lead to files inside their folder, and nothing else is written or removed."""

import errno
import fcntl
import json
import os
import shutil
import unicodedata
from pathlib import Path, PureWindowsPath

import matplotlib.pyplot as plt
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn

import rsa_face as rf
from rsa_face.activations.store import hold_store, network_names, remove_store
from rsa_face.figures.layout import save_figure
from rsa_face.networks.layers import Layer, name_modules
from rsa_face.networks.zoo import Network, build_network
from rsa_face.safety import (
    fault_of_name,
    hold,
    holder_of,
    must_be_file_names,
    path_in,
    remove_drafts,
    same_file,
    writable_folder,
    write_beside,
)
from rsa_face.stimuli.faces import draw_faces
from rsa_face.stimuli.occlusion import occlude
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.study.batch import Batch, sources_of
from rsa_face.study.config import load_study
from rsa_face.training.loop import train_valence

BAD = [
    "..", ".", "", " ", "/etc", "a/../../b", "../x", "a/b", "a\\b", "C:\\x", "C:x", "a\0", "a\0b", "a\n", "x.", "x..",
    "x ", " x", ".hidden", "x" * 300, "é" * 100, "CON", "con", "nul.txt", "COM1", "lpt9.csv", "COM¹", "a?", "a*",
    "a|b", "．．", "‥", "a／b", "．", "…x", "ｃｏｎ", "a：b", "\ud800", "//host/share",
    "~/../x/y", "x\t", "\u3000", "a\u2028/..",
]  # fmt: skip
GOOD = ["alexnet", "id01_level-0.5", "relu5_3", "layer4.1", "Zoë", "顔", "a b", "mean (2)", "~", "-", "con1", "a..b"]


@pytest.mark.parametrize("name", BAD)
def test_names_that_lead_elsewhere_or_cannot_be_files_everywhere_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="cannot name a file or folder: it "):
        path_in(tmp_path, name, "The name")


@pytest.mark.parametrize("name", GOOD)
def test_plain_names_become_a_file_in_the_folder(name, tmp_path):
    path = path_in(tmp_path, name, "The name", suffix=".nc")
    assert path == tmp_path / f"{unicodedata.normalize('NFC', name)}.nc"
    path.write_text("x", "utf-8")
    assert path.read_text("utf-8") == "x"


PIECES = st.sampled_from(
    ["..", ".", "/", "\\", "\0", "C:", "a", "x.", " ", "é", "e\u0301", "．", "／", "con", "~", "‥"]
)
NAMES = st.one_of(
    st.text(max_size=30), st.lists(PIECES, max_size=8).map("".join), st.text(min_size=140, max_size=310)
)


@given(NAMES, st.booleans())
@example("a/../../b", True)
@example("a//b", True)
@example("/a", True)
@example("a/", True)
@example("a/．．/b", True)
def test_whatever_the_name_the_path_lies_in_its_folder_or_there_is_none(name, nested):
    folder = Path("box/st.zarr")
    try:
        path = path_in(folder, name, "The name", suffix=".nc", nested=nested)
    except ValueError:
        return
    parts = path.relative_to(folder).parts
    assert path.resolve().is_relative_to(folder.resolve())
    assert path.resolve() != folder.resolve()
    assert len(parts) == (name.count("/") + 1 if nested else 1)
    on_windows = PureWindowsPath("C:/box") / name
    assert on_windows.parts[:2] == ("C:\\", "box")
    assert len(on_windows.parts) == 2 + len(parts)
    assert not on_windows.is_reserved()
    for part in parts:
        assert part == part.strip(" .")
        assert len(part.encode()) < 255


@given(st.text(max_size=20))
def test_all_unicode_forms_of_a_name_are_one_file_or_none(name):
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")}
    assert len({bool(fault_of_name(form)) for form in forms}) == 1
    if not fault_of_name(name):
        assert len({path_in("box", form, "The name") for form in forms}) == 1
        assert len({same_file(form) for form in (*forms, name.casefold())}) == 1


@pytest.mark.parametrize("twins", [["Face", "face"], ["Zo\u00eb", "Zoe\u0308"], ["ﬁ", "fi"], ["straße", "STRASSE"]])
def test_names_that_are_one_file_on_some_system_are_refused_together(twins):
    with pytest.raises(ValueError, match="one file") as error:
        must_be_file_names(["other", *twins], "stimulus", "The table")
    assert all(repr(name) in str(error.value) for name in twins)


def test_a_link_that_leads_out_of_the_folder_is_not_written_through(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / "box").mkdir()
    (tmp_path / "box/a").symlink_to(tmp_path / "precious")
    with pytest.raises(ValueError, match="precious"):
        path_in(tmp_path / "box", "a/b", "The name", nested=True)


def small(name: str) -> Network:
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU())
    return Network(name, module.eval(), name_modules(module), Preprocessing(resize=16, crop=16))


@pytest.fixture
def box(tmp_path):
    """A folder with faces, a precious file and a finished store of one network, as in a laboratory."""
    stimuli = draw_faces(tmp_path / "box", identities=1, levels=2, size=32)
    (tmp_path / "box/precious").mkdir()
    (tmp_path / "box/precious/thesis.txt").write_text("years", "utf-8")
    rf.extract([small("first")], stimuli, tmp_path / "box/st.zarr", layers="all")
    return tmp_path / "box", stimuli


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("name", ["..", ".", "../precious", "", "first/..", "a/../../precious", "{box}/precious"])
def test_a_network_whose_name_leads_out_of_its_store_is_refused_at_once_and_the_box_survives(box, name):
    folder, stimuli = box
    before = contents(folder)
    name = name.format(box=folder)
    with pytest.raises(ValueError, match="cannot name a file or folder"):
        rf.extract([small(name)], stimuli, folder / "st.zarr", layers="all")
    with pytest.raises(ValueError, match="cannot name a file or folder"):
        build_network("alexnet", label=name)
    sneaked = small("second")
    object.__setattr__(sneaked, "name", name)  # as a pickle or a subclass could: the store checks again
    with pytest.raises(ValueError, match="cannot name a file or folder"):
        rf.extract([sneaked], stimuli, folder / "st.zarr", layers="all")
    assert contents(folder) == before


def test_layers_whose_names_lead_elsewhere_are_refused_before_anything_is_written(box):
    folder, stimuli = box
    before = contents(folder)
    network = small("second")
    layers = tuple(
        Layer("../../precious", layer.path, layer.kind, layer.depth, layer.order) for layer in network.layers
    )
    wrong = Network("second", network.module, layers[:1], network.preprocessing)
    with pytest.raises(ValueError, match=r"'\.\./\.\./precious' cannot name"):
        rf.extract([wrong], stimuli, folder / "st.zarr", layers="all")
    assert contents(folder) == before


@pytest.mark.parametrize("name", ["mine", "stimulus", "level", "mine/deeper"])
def test_files_in_a_store_that_it_does_not_list_are_neither_replaced_nor_removed(box, name):
    folder, stimuli = box
    if name.startswith("mine"):
        (folder / "st.zarr" / name).mkdir(parents=True)
        (folder / "st.zarr" / name / "notes.txt").write_text("mine", "utf-8")
    before = contents(folder)
    with pytest.raises(ValueError, match=r"is not empty \(.+\) and no network"):
        rf.extract([small(name)], stimuli, folder / "st.zarr", layers="all")
    assert contents(folder) == before


def test_removing_a_store_leaves_what_others_put_into_it(box):
    folder, stimuli = box
    store = folder / "st.zarr"
    rf.extract([small("a/b/0")], stimuli, store, layers="all")
    assert network_names(store) == ["a/b/0", "first"]
    (store / "notes.txt").write_text("mine", "utf-8")
    (store / "first/deep").mkdir()
    (store / "first/deep/notes.txt").write_text("mine", "utf-8")
    assert remove_store(store) == [store / "first/deep/notes.txt", store / "notes.txt"]
    assert set(contents(store)) == {"first/deep/notes.txt", "notes.txt", "zarr.json"}
    shutil.rmtree(store / "first")
    (store / "notes.txt").unlink()
    assert remove_store(store) == []
    assert not store.exists()
    assert (folder / "precious/thesis.txt").is_file()


def test_holding_what_is_no_store_removes_nothing_from_it(tmp_path):
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads/film.partial").write_text("half", "utf-8")
    with hold_store(tmp_path / "downloads"):
        pass
    assert (tmp_path / "downloads/film.partial").is_file()


def test_trying_whether_a_folder_is_writable_leaves_every_file_in_it(tmp_path):
    (tmp_path / "writable.txt").write_text("mine", "utf-8")
    writable_folder(tmp_path)
    assert contents(tmp_path) == {"writable.txt": b"mine"}


def test_drafts_are_removed_and_files_that_look_like_some_are_not(tmp_path):
    with write_beside(tmp_path / "result.csv") as left:
        left.write_text("x", "utf-8")
    for file in (left, tmp_path / ".notes-deadbeef.txt"):
        file.write_text("x", "utf-8")
        os.utime(file, (0, 0))
    remove_drafts(tmp_path)
    assert set(contents(tmp_path)) == {".notes-deadbeef.txt", "result.csv"}


@pytest.mark.parametrize("label", ["..", "a/b", "C:\\x", "x.", "con", "．．", "x" * 300, "=1+1"])
def test_study_files_refuse_labels_in_the_words_of_networks(tmp_path, label):
    draw_faces(tmp_path, identities=1, levels=2, size=32)
    study = tmp_path / "study.yaml"
    study.write_text(
        f"name: s\nstimuli: {{table: stimuli.csv}}\noutput: out\n"
        f"networks: [{{name: alexnet, label: {json.dumps(label)}}}]\n",
        "utf-8",
    )
    with pytest.raises(ValueError, match=r"line 4: networks\.0\.label") as of_study:
        load_study(study)
    if "/" not in label:
        with pytest.raises(ValueError, match="name") as of_network:
            build_network("alexnet", label=label)
        words = (
            "formula"
            if label[0] == "="
            else "cannot name a file or folder: it " + str(of_network.value).split(" it ")[1]
        )
        assert words.split("; a slash may")[0].rstrip(".") in str(of_study.value)


def test_networks_of_a_study_whose_files_would_be_one_are_refused(tmp_path):
    draw_faces(tmp_path, identities=1, levels=2, size=32)
    (tmp_path / "s.yaml").write_text(
        "name: s\nstimuli: {table: stimuli.csv}\noutput: out\n"
        "networks: [{name: alexnet, label: Mine}, {name: alexnet, label: mine}]\n", "utf-8")  # fmt: skip
    with pytest.raises(ValueError, match=r"\['Mine', 'mine'\]"):
        load_study(tmp_path / "s.yaml")


def test_occluded_stimuli_and_units_of_a_batch_stay_in_their_folder(tmp_path):
    stimuli = draw_faces(tmp_path / "in", identities=1, levels=2, size=32)
    table = stimuli.table.assign(stimulus=["../../evil", "ok"])
    with pytest.raises(ValueError, match=r"'\.\./\.\./evil' cannot name"):
        occlude(rf.StimulusSet(table), ["eyes"], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    (source,) = sources_of(["alexnet"])
    wrong = Batch(stimuli, tmp_path / "rdms", (source,)) and {**source.__dict__, "name": "../x"}
    with pytest.raises(ValueError, match="cannot name a file"):
        Batch(stimuli, tmp_path / "rdms", (type(source)(**wrong),))


def test_training_writes_only_in_its_folder(tmp_path):
    module = nn.Sequential(nn.Flatten(), nn.Linear(3 * 16 * 16, 2))
    network = Network("x", module, name_modules(module), Preprocessing(resize=16, crop=16))
    for name, why in (("../x", "cannot name"), ("x.begun", "unfinished training")):
        object.__setattr__(network, "name", name)
        with pytest.raises(ValueError, match=why):
            train_valence(network, _faces(tmp_path), folder=tmp_path / "weights")
    assert not (tmp_path / "x.safetensors").exists()


def _faces(folder):
    from rsa_face.training.data import read_training

    draw_faces(folder / "faces", identities=2, levels=2, size=32)
    return read_training(folder / "faces/stimuli.csv", label="level")


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_where_the_file_system_has_no_locks_a_mark_holds_the_place(tmp_path, monkeypatch, number):
    def refuse(*_args, **_options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(fcntl, "lockf", refuse)
    lock = tmp_path / ".lock"
    with hold(tmp_path, lock, rule="One at a time"):
        assert holder_of(lock).startswith(f"process {os.getpid()}")
        with (
            pytest.raises(ValueError, match=r"is writing to .* If it was killed, remove .*\.lock\.mark"),
            hold(tmp_path, lock, rule="One at a time"),
        ):
            pass
    assert holder_of(lock) == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
@pytest.mark.parametrize("kind", ["pdf", "svg", "png"])
def test_a_disk_that_fills_under_a_figure_is_named(tmp_path, monkeypatch, kind):
    write = Path.write_bytes

    def full(path, content):
        return write(Path("/dev/full"), content)

    figure = plt.figure()
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match=rf"No room to write .*figure\.{kind}.*Free some"):
        save_figure(figure, tmp_path / "figure", formats=[kind])
    plt.close(figure)
