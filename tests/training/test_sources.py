"""Faces as others keep them: a folder a class, and AffectNet's two releases."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rsa_face.training.data import read_affectnet_npy, read_faces, read_image_folder


def draw(path, shade=100):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((40, 50, 3), shade, np.uint8)).save(path)


def test_a_folder_for_each_class(tmp_path):
    for name in ("happy/b.png", "happy/a.jpg", "sad/deep/c.png", "fear/d.png"):
        draw(tmp_path / name)
    with pytest.raises(ValueError, match="'fear'"):
        read_image_folder(tmp_path)
    table = read_faces(tmp_path, kind="folder", label="class", rule={"happy": "happy", "sad": "sad"})
    assert table.table[["stimulus", "class"]].to_numpy().tolist() == [
        ["happy/a.jpg", "happy"], ["happy/b.png", "happy"], ["sad/deep/c.png", "sad"],
    ]  # fmt: skip
    assert table.left_out == ("1 with class fear",)


def write_annotations(tmp_path):
    rows = [
        ("1/a.jpg", 1, 0.8),
        ("1/b.jpg", 2, -0.6),
        ("2/c.jpg", 0, 0.0),
        ("2/d.jpg", 8, -2.0),
        ("2/e.jpg", 5, -0.7),
    ]
    for file, _, _ in rows:
        draw(tmp_path / file)
    frame = pd.DataFrame(rows, columns=["subDirectory_filePath", "expression", "valence"])
    box = {"face_x": 5, "face_y": 4, "face_width": 30, "face_height": 31, "facial_landmarks": "", "arousal": 0.1}
    frame.assign(**box).to_csv(tmp_path / "training.csv", index=False)
    return tmp_path / "training.csv"


def test_affectnets_first_release_by_expression_and_by_valence(tmp_path):
    path = write_annotations(tmp_path)
    table = read_faces(path, kind="affectnet-csv", label="expression")
    assert table.table[["stimulus", "class", "face"]].to_numpy().tolist() == [
        ["1/a.jpg", "happy", "5 4 35 35"], ["1/b.jpg", "sad", "5 4 35 35"],
    ]  # fmt: skip
    assert table.left_out == ("1 with expression 0", "1 with expression 5", "1 with expression 8")
    by_valence = read_faces(path, kind="affectnet-csv", label="valence")
    assert by_valence.table["class"].tolist() == ["happy", "sad", "sad"]
    assert by_valence.left_out == ("2 with valence 0.0",)


def test_affectnets_annotations_need_their_columns(tmp_path):
    (tmp_path / "other.csv").write_text("file,valence\na.png,happy\n")
    with pytest.raises(ValueError, match=r"No columns \['subDirectory_filePath', 'face_x'.* in other.csv"):
        read_faces(tmp_path / "other.csv", kind="affectnet-csv", label="expression")


def write_npy(tmp_path):
    for number, (expression, valence) in {"1": ("1", ".7"), "12": ("2", "-.5"), "3": ("0", "0")}.items():
        draw(tmp_path / "images" / f"{number}.jpg")
        (tmp_path / "annotations").mkdir(exist_ok=True)
        np.save(tmp_path / "annotations" / f"{number}_exp.npy", np.array(expression))
        np.save(tmp_path / "annotations" / f"{number}_val.npy", np.array(valence))


def test_affectnets_second_release(tmp_path):
    write_npy(tmp_path)
    for label in ("expression", "valence"):
        table = read_faces(tmp_path, kind="affectnet-npy", label=label)
        assert table.table[["stimulus", "class"]].to_numpy().tolist() == [["1", "happy"], ["12", "sad"]]


def test_annotations_that_are_objects_or_missing_are_refused(tmp_path):
    write_npy(tmp_path)
    np.save(tmp_path / "annotations" / "3_exp.npy", np.array([{"code": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValueError, match=r"3_exp.npy.* one number"):
        read_affectnet_npy(tmp_path)
    (tmp_path / "annotations" / "3_exp.npy").unlink()
    with pytest.raises(FileNotFoundError, match=r"No annotation .*3_exp.npy"):
        read_affectnet_npy(tmp_path)


def test_an_unknown_kind_is_named(tmp_path):
    with pytest.raises(ValueError, match="'fer2013'"):
        read_faces(tmp_path, kind="fer2013")
