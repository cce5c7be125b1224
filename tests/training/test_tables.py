"""Training tables are read by name or by sign, counted where something is left out, and split by face."""

import numpy as np
import pandas as pd
import pytest

from rsa_face.stimuli.catalogue import read_stimuli
from rsa_face.training.data import label_images, must_not_share_faces, read_training, split_by_identity


def test_names_and_signs_give_the_same_classes(write_faces):
    table = write_faces(levels=(-1, -0.5, 0.5, 1))
    by_name, by_sign = (read_training(table, label=label) for label in ("valence", "level"))
    assert by_name.targets.tolist() == by_sign.targets.tolist() == [0, 0, 1, 1] * 4
    assert by_name.classes == ("sad", "happy")


def test_a_level_of_zero_is_neither_and_is_counted(write_faces):
    table = read_training(write_faces(levels=(-1, 0, 1)), label="level")
    assert (len(table), table.left_out) == (8, ("4 with level 0",))


def test_a_rule_maps_expressions_and_counts_the_rest(write_faces, tmp_path):
    path = write_faces(levels=(-1, 1))
    frame = pd.read_csv(path)
    frame["expression"] = ["sadness", "joy"] * 3 + ["fear", "joy"]
    frame.to_csv(path, index=False)
    table = read_training(path, label="expression", rule={"joy": "happy", "sadness": "sad"})
    assert table.table["class"].tolist() == ["sad", "happy"] * 3 + ["happy"]
    assert table.left_out == ("1 with expression fear",)
    with pytest.raises(ValueError, match=r"leads to \['glad'\]"):
        read_training(path, label="expression", rule={"joy": "glad"})


def test_labels_that_are_no_class_are_named_by_line(write_faces):
    path = write_faces(levels=(-1, 0, 1), identities=2)
    with pytest.raises(ValueError, match=r"line 3: 'neutral'; line 6: 'neutral'"):
        read_training(path)


def test_one_class_only_is_refused(write_faces):
    with pytest.raises(ValueError, match=r"table\.csv has 0 sad, 4 happy"):
        read_training(write_faces(levels=(1,)))


def test_a_missing_column_and_a_missing_image_are_named(write_faces, tmp_path):
    path = write_faces()
    with pytest.raises(ValueError, match=r"No columns \['mood'\]"):
        read_training(path, label="mood")
    (tmp_path / "training" / "training-2-1.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"training-2-1.png"):
        read_training(path)
    with pytest.raises(FileNotFoundError, match=r"nowhere.csv"):
        read_training(tmp_path / "nowhere.csv")


def test_stimuli_become_a_table_to_test_on(write_faces, tmp_path):
    path = write_faces(levels=(-1, 0, 1))
    frame = pd.read_csv(path)
    frame.insert(0, "stimulus", [f"s{row}" for row in range(len(frame))])
    frame.to_csv(path, index=False)
    table = label_images(read_stimuli(path), label="level")
    assert table.table["stimulus"].tolist() == [f"s{row}" for row in range(12) if row % 3 != 1]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_identity_is_on_both_sides_of_a_split(write_faces, seed):
    table = read_training(write_faces(identities=5))
    fit, aside = split_by_identity(table, 0.4, seed=seed)
    assert set(fit.identities) | set(aside.identities) == set(table.identities)
    assert not set(fit.identities) & set(aside.identities)
    assert len(set(aside.identities)) == 2
    must_not_share_faces(fit, aside)


def test_the_split_depends_on_the_identities_alone(write_faces):
    table = read_training(write_faces(identities=6))
    order = np.random.default_rng(0).permutation(len(table))
    first, second = (split_by_identity(each, 0.5, seed=3)[1] for each in (table, table.take(order)))
    assert set(first.identities) == set(second.identities)


def test_a_split_without_identities_is_refused(faces):
    nameless = type(faces)(faces.table.drop(columns="identity"), faces.classes)
    with pytest.raises(ValueError, match=r"names \[\]. Add an identity column"):
        split_by_identity(nameless, 0.5, seed=0)


def test_the_hash_changes_with_an_image_and_with_a_label(faces, tmp_path):
    before = faces.content_hash()
    relabelled = faces.table.assign(**{"class": faces.table["class"].to_numpy()[::-1]})
    assert type(faces)(relabelled, faces.classes).content_hash() != before
    image = tmp_path / "training" / "training-0-1.png"
    image.write_bytes((tmp_path / "training" / "training-0--1.png").read_bytes())
    assert faces.content_hash() != before
