"""Public data are taken from a folder or downloaded, held to their checksums, and unpacked into a table and RDMs."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pooch
import pytest
import requests
import scipy.io

import rsa_face as rf
from rsa_face.cli import main
from rsa_face.human.datasets import DATASETS, RemoteFile, fetch_dataset

IMAGES, RDMS = "Kriegeskorte_Neuron2008_supplementalData.mat", "92_behavRDMs.mat"
REAL = DATASETS["kriegeskorte92"]
UPPER = {"subject2": [1.0, 2.0, 3.0], "subject10": [4.0, 5.0, 6.0]}


def square(upper):
    rdm = np.zeros((3, 3))
    rdm[np.triu_indices(3, k=1)] = upper
    return rdm + rdm.T


@pytest.fixture
def source(tmp_path, monkeypatch):
    """A folder with files built as the real ones are: three images, two people; and a data set that expects them."""
    folder = tmp_path / "source"
    folder.mkdir()
    kinds = [("category", object), ("human", object), ("face", object), ("animal", object), ("natural", object)]
    shown = np.zeros((1, 3), dtype=[*kinds, ("image", object)])
    for place, name in enumerate(("human face", "fruit", "tool")):
        shown[0, place] = (name, place == 0, place == 0, 0, place < 2, np.full((5, 4, 3), place, dtype=np.uint8))
    judged = np.zeros((1, 2), dtype=[("RDM", object), ("name", object)])
    for place, (person, upper) in enumerate(UPPER.items()):
        judged[0, place] = (square(upper), f"92 images | {person}")
    scipy.io.savemat(folder / IMAGES, {"stimuli_92objs": shown})
    scipy.io.savemat(folder / RDMS, {"rdms_behav_92": judged})
    files = tuple(
        RemoteFile(name, hashlib.sha256((folder / name).read_bytes()).hexdigest(), (folder / name).stat().st_size)
        for name in (RDMS, IMAGES)
    )
    monkeypatch.setitem(DATASETS, "kriegeskorte92", replace(DATASETS["kriegeskorte92"], files=files))
    return folder


def run(*words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return left.value.code


def test_files_of_a_folder_become_a_table_images_and_rdms(source, tmp_path):
    folder = fetch_dataset("kriegeskorte92", tmp_path / "out", source=source)
    stimuli = rf.read_stimuli(folder / "stimuli.csv")
    assert stimuli.ids == ["01_human_face", "02_fruit", "03_tool"]
    assert stimuli.table["natural"].tolist() == [1, 1, 0]
    human = rf.read_human(folder / "rdms.nc", kind="rdm", stimuli=stimuli)
    assert human["participant"].values.tolist() == ["subject02", "subject10"]
    assert human.attrs["simulated"] is False
    assert "10.3389/fpsyg.2013.00128" in human.attrs["citation"]
    for person, upper in zip(human, UPPER.values(), strict=True):
        np.testing.assert_array_equal(person, square(upper))


def test_what_is_unpacked_says_whose_it_is_and_on_what_terms(source, tmp_path, capsys):
    assert run("datasets", "fetch", "kriegeskorte92", "--from", source, "--out", tmp_path / "out") == 0
    said, kept = capsys.readouterr().out, (tmp_path / "out" / "README.md").read_text()
    for text in (said, kept):
        assert "10.1016/j.neuron.2008.10.043" in text
        assert "no licence for the data set itself" in text
    assert str(tmp_path / "out" / "stimuli.csv") in said


def test_the_list_names_size_citation_and_licence(capsys):
    assert run("datasets", "list") == 0
    said = capsys.readouterr().out
    assert "kriegeskorte92 (4.6 MB)" in said
    assert "10.1016/j.neuron.2008.10.043" in said
    assert "f1f83cad" in said


def test_a_file_with_another_checksum_is_kept_aside_and_both_are_shown(source, tmp_path):
    (source / RDMS).write_bytes(b"something else")
    expected, found = DATASETS["kriegeskorte92"].files[0].sha256, hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(ValueError, match=f"{RDMS} has {found} instead of {expected}.*unexpected"):
        fetch_dataset("kriegeskorte92", tmp_path / "out", source=source)
    assert (tmp_path / "out" / "original" / f"{RDMS}.unexpected").read_bytes() == b"something else"
    assert not (tmp_path / "out" / "original" / RDMS).exists()
    assert not (tmp_path / "out" / "stimuli.csv").exists()


def test_what_was_fetched_before_is_not_fetched_again(source, tmp_path):
    fetch_dataset("kriegeskorte92", tmp_path / "out", source=source)
    (source / RDMS).unlink()
    (source / IMAGES).unlink()
    assert rf.read_stimuli(fetch_dataset("kriegeskorte92", tmp_path / "out", source=source) / "stimuli.csv")


def test_a_folder_without_the_files_is_refused_by_their_names(source, tmp_path):
    (source / IMAGES).unlink()
    with pytest.raises(FileNotFoundError, match=rf"source' lacks {IMAGES}"):
        fetch_dataset("kriegeskorte92", tmp_path / "out", source=source)


def test_a_download_comes_from_the_named_commit_and_is_checked(source, tmp_path, monkeypatch):
    asked = []

    def fetch(url, output, _registry):
        asked.append(url)
        Path(output).write_bytes((source / url.rpartition("/")[2]).read_bytes())

    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: fetch)
    fetch_dataset("kriegeskorte92", tmp_path / "out")
    assert asked == [f"{DATASETS['kriegeskorte92'].url}/{name}" for name in (RDMS, IMAGES)]
    assert "rsagroup/rsatoolbox/f1f83cad" in asked[0]


def test_offline_the_error_says_what_from_where_how_large_and_where_to_put_it(source, tmp_path, monkeypatch, capsys):
    def unreachable(*_):
        raise requests.exceptions.ConnectionError

    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: unreachable)
    monkeypatch.setitem(DATASETS, "kriegeskorte92", replace(DATASETS["kriegeskorte92"], files=REAL.files))
    assert run("datasets", "fetch", "kriegeskorte92", "--out", tmp_path / "out") == 1
    said = capsys.readouterr().err
    for part in (RDMS, IMAGES, "1.0 MB", "3.6 MB", REAL.url, "rsa-face datasets fetch kriegeskorte92 --from FOLDER"):
        assert part in said
    assert "Traceback" not in said
    assert not list((tmp_path / "out").rglob("*.mat*"))


def test_an_unknown_data_set_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"'kriegeskorte93'.*kriegeskorte92"):
        fetch_dataset("kriegeskorte93", tmp_path)


def test_a_folder_that_cannot_be_written_is_named(source, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ValueError, match=r"Cannot write to the output folder .*taken"):
        fetch_dataset("kriegeskorte92", tmp_path / "taken", source=source)


def test_checksums_are_whole():
    assert all(len(file.sha256) == 64 and file.size > 0 for file in REAL.files)
