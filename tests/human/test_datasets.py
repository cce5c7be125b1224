"""Public data are taken from a folder or downloaded, held to their checksums, and unpacked into a table and RDMs."""

import hashlib
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pooch
import pytest
import requests
import scipy.io
from PIL import Image

import rsa_face as rf
from rsa_face.cli import main
from rsa_face.human.datasets import DATASETS, OMI_FACES, RemoteFile, fetch_dataset
from rsa_face.stimuli.occlusion import region_boxes

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
        RemoteFile(name, hashlib.sha256((folder / name).read_bytes()).hexdigest()) for name in (RDMS, IMAGES)
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
    printed, written = capsys.readouterr().out, (tmp_path / "out" / "README.md").read_text()
    for text in (printed, written):
        assert "10.1016/j.neuron.2008.10.043" in text
        assert "no licence for the data set itself" in text
    assert str(tmp_path / "out" / "stimuli.csv") in printed


def test_the_list_names_size_citation_and_licence(capsys):
    assert run("datasets", "list") == 0
    printed = capsys.readouterr().out
    assert "kriegeskorte92 (4.6 MB)" in printed
    assert "10.1016/j.neuron.2008.10.043" in printed
    assert "f1f83cad" in printed


def test_a_file_with_another_checksum_is_kept_aside_and_both_are_shown(source, tmp_path):
    (source / RDMS).write_bytes(b"something else")
    expected, actual = DATASETS["kriegeskorte92"].files[0].sha256, hashlib.sha256(b"something else").hexdigest()
    with pytest.raises(ValueError, match=f"{RDMS} has {actual} instead of {expected}.*unexpected"):
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
    urls = []

    def fetch(url, output, _registry):
        urls.append(url)
        Path(output).write_bytes((source / url.rpartition("/")[2]).read_bytes())

    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: fetch)
    fetch_dataset("kriegeskorte92", tmp_path / "out")
    assert sorted(urls) == [f"{DATASETS['kriegeskorte92'].url}/{name}" for name in (RDMS, IMAGES)]
    assert "rsagroup/rsatoolbox/f1f83cad" in urls[0]


def test_offline_the_error_says_what_from_where_how_large_and_where_to_put_it(source, tmp_path, monkeypatch, capsys):
    def unreachable(*_):
        raise requests.exceptions.ConnectionError

    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: unreachable)
    monkeypatch.setitem(DATASETS, "kriegeskorte92", replace(DATASETS["kriegeskorte92"], files=REAL.files))
    assert run("datasets", "fetch", "kriegeskorte92", "--out", tmp_path / "out") == 1
    printed = capsys.readouterr().err
    for part in (RDMS, IMAGES, "4.6 MB", REAL.url, "rsa-face datasets fetch kriegeskorte92 --from FOLDER"):
        assert part in printed
    assert "Traceback" not in printed
    assert not list((tmp_path / "out").rglob("*.mat*"))


def test_an_unknown_data_set_is_refused_by_name(tmp_path):
    with pytest.raises(ValueError, match=r"'kriegeskorte93'.*kriegeskorte92"):
        fetch_dataset("kriegeskorte93", tmp_path)


def test_a_folder_that_cannot_be_written_is_named(source, tmp_path):
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(ValueError, match=r"Cannot write to the output folder .*taken"):
        fetch_dataset("kriegeskorte92", tmp_path / "taken", source=source)


def test_checksums_are_whole():
    assert all(len(file.sha256) == 64 for file in REAL.files)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Return a folder as somebody may have of the rated faces: 1,004 images, and ratings without raters."""
    folder = tmp_path_factory.mktemp("omi")
    (folder / "images").mkdir()
    rows = []
    for number in range(1, OMI_FACES + 1):
        Image.new("RGB", (20, 20), (number % 256, 0, 0)).save(folder / "images" / f"{number}.jpg")
        middle = 10 + 80 * (number - 1) / OMI_FACES
        rows += [(number, nth, middle + nth - 1) for nth in range(3)]
    pd.DataFrame(rows, columns=["stimulus", "nth", "rating"]).to_csv(folder / "happy_ratings.csv", index=False)
    return folder


def test_rated_faces_are_split_evenly_over_happiness_and_nobody_trained_on_is_tested(faces, tmp_path):
    folder = fetch_dataset("omi", tmp_path / "out", source=faces)
    tested, learnt = rf.read_stimuli(folder / "test.csv"), pd.read_csv(folder / "training.csv")
    levels = tested.table["level"].value_counts()
    assert levels.to_dict() == dict.fromkeys([-0.7, -0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 0.7], 12)
    within = tested.table[tested.table["level"] == 0.7]["happy"]
    assert within.between(80, 90).all()
    assert np.diff(np.sort(within)).max() < 1.1  # 10 points over 12 faces
    assert not set(tested.ids) & set(learnt["stimulus"])
    assert learnt["valence"].value_counts().to_dict() == {"sad": 302, "happy": 302}
    assert learnt["happy"][learnt["valence"] == "sad"].max() < learnt["happy"][learnt["valence"] == "happy"].min()
    ratings = pd.read_csv(folder / "ratings.csv")
    assert len(ratings) == 3 * OMI_FACES
    assert set(ratings["stimulus"][ratings["split"] == "test"]) == set(tested.ids)
    assert "participant" not in ratings.columns


def test_masked_regions_of_rated_faces_are_where_their_alignment_puts_them(faces, tmp_path):
    folder = fetch_dataset("omi", tmp_path / "out", source=faces, size=100)
    stimuli = rf.read_stimuli(folder / "stimuli.csv")
    with Image.open(stimuli.files[0]) as image:
        assert image.size == (100, 100)
    assert region_boxes(stimuli.select(stimulus="omi0001"), ("mouth",)) == {"mouth": [(33, 66, 67, 80)]}


def test_all_attributes_give_perceived_age_and_gender(faces, tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "images").symlink_to(faces / "images")
    happy = pd.read_csv(faces / "happy_ratings.csv").drop(columns="nth")
    age = happy[["stimulus"]].drop_duplicates().assign(attribute="age", rating=40.0)
    with zipfile.ZipFile(tmp_path / "source" / "attribute_ratings.zip", "w") as archive:
        archive.writestr(
            "attribute_ratings.csv", pd.concat([happy.assign(attribute="happy"), age]).to_csv(index=False)
        )
    folder = fetch_dataset("omi", tmp_path / "out", source=tmp_path / "source")
    assert set(pd.read_csv(folder / "test.csv")["age"]) == {40.0}


def test_ratings_of_faces_that_are_not_there_are_refused(faces, tmp_path):
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "images").symlink_to(faces / "images")
    ratings = pd.read_csv(faces / "happy_ratings.csv").replace({"stimulus": {1: 2000}})
    ratings.to_csv(tmp_path / "source" / "happy_ratings.csv", index=False)
    with pytest.raises(ValueError, match=r"no ratings of \['omi0001'\], no faces for ratings of \['omi2000'\]"):
        fetch_dataset("omi", tmp_path / "out", source=tmp_path / "source")


def test_a_hash_that_nobody_published_is_recorded_and_held_to(faces, tmp_path):
    folder = fetch_dataset("omi", tmp_path / "out", source=faces)
    sums = (folder / "original" / "SHA256SUMS").read_text().splitlines()
    assert len(sums) == OMI_FACES + 1
    assert f"{hashlib.sha256((faces / 'images' / '7.jpg').read_bytes()).hexdigest()}  images/7.jpg" in sums
    (folder / "original" / "images" / "7.jpg").write_bytes(b"damaged")
    fetch_dataset("omi", tmp_path / "out", source=faces)
    assert (folder / "original" / "images" / "7.jpg").read_bytes() == (faces / "images" / "7.jpg").read_bytes()


def test_a_file_that_has_changed_upstream_is_named_and_kept_aside(faces, tmp_path, monkeypatch):
    folder = fetch_dataset("omi", tmp_path / "out", source=faces)
    (folder / "original" / "images" / "7.jpg").unlink()
    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: lambda _url, output, _: Path(output).write_bytes(b"new"))
    with pytest.raises(ValueError, match=r"images/7\.jpg has .* which it had when it was first fetched"):
        fetch_dataset("omi", tmp_path / "out")
    assert (folder / "original" / "images" / "7.jpg.unexpected").read_bytes() == b"new"


def test_a_set_that_was_fetched_in_part_goes_on(faces, tmp_path, monkeypatch):
    urls = []

    def fetch(url, output, _registry):
        urls.append(url.rpartition("/")[2])
        if len(urls) == 500:
            raise requests.exceptions.ConnectionError
        Path(output).write_bytes((faces / url.removeprefix(f"{DATASETS['omi'].url}/")).read_bytes())

    happy = replace(DATASETS["omi"], files=(RemoteFile("happy_ratings.csv"), *DATASETS["omi"].files[1:]))
    monkeypatch.setitem(DATASETS, "omi", happy)
    monkeypatch.setattr(pooch, "HTTPDownloader", lambda **_: fetch)
    with pytest.raises(ConnectionError, match="What was fetched so far is kept: run the command again"):
        fetch_dataset("omi", tmp_path / "out")
    before = len(urls)
    fetch_dataset("omi", tmp_path / "out")
    assert before < OMI_FACES
    assert len(urls) == OMI_FACES + 2  # every file once, and the one that failed again


@pytest.fixture
def portraits(tmp_path):
    """Return a folder laid out as the repository of the portraits: images, landmarks of neutral faces, people."""
    folder = tmp_path / "portraits"
    people = []
    for file in DATASETS["london"].files:
        path = folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".jpg":
            Image.new("RGB", (200, 200)).save(path)
        elif path.suffix == ".tem":
            points = "".join(f"{50 + point % 2 * 100}\t{point}\n" for point in range(189))
            path.write_text(f"189\n{points}0\n")
            people.append(path.name[:3])
    table = pd.DataFrame({"face_id": people, "face_age": 30, "face_gender": "female", "face_eth": "white"})
    table.to_csv(folder / "data-raw" / "london_info.csv", index=False)
    return folder


def test_portraits_have_people_and_regions_from_landmarks(portraits, tmp_path):
    folder = fetch_dataset("london", tmp_path / "out", source=portraits, size=100)
    table = rf.read_stimuli(folder / "stimuli.csv").table
    assert (len(table), table["identity"].nunique()) == (204, 102)
    first = table.iloc[0]
    assert first[["stimulus", "expression", "gender", "ethnicity"]].tolist() == [
        "001_neutral",
        "neutral",
        "female",
        "white",
    ]
    # points 87 to 108 of 200 pixels, from 50 to 150 across, with 1 % around them, in an image of 100
    assert first["mouth"] == "24 42 76 55"
    assert table.iloc[1]["mouth"] == "22 40 78 57"  # a smile has no landmarks: 3 % around
