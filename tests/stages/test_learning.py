"""What a study file says of training is what the training knows, by the same names and defaults."""

from dataclasses import fields

import numpy as np
import pytest

from rsa_face.sections import TrainingSection
from rsa_face.training.epochs import mix_classes
from rsa_face.training.settings import TrainingSettings


def test_the_study_file_has_every_training_setting_with_its_default():
    known = {field.name: field.default for field in fields(TrainingSettings) if field.name != "seed"}
    said = {name: field.default for name, field in TrainingSection.model_fields.items() if name in known}
    assert said == known


def test_patience_without_validation_faces_is_refused(tmp_path):
    (tmp_path / "faces.csv").touch()
    with pytest.raises(ValueError, match="patience watches the validation faces"):
        TrainingSection.model_validate({"table": tmp_path / "faces.csv", "patience": 3})


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_stretch_of_a_mixed_order_holds_the_classes_in_their_shares(seed):
    targets = np.repeat([0, 1], [30, 10])
    order = mix_classes(targets, np.random.default_rng(seed))
    assert sorted(order) == list(range(40))
    assert np.abs(targets[order].reshape(10, 4).sum(axis=1) - 1).max() <= 1
    assert targets[order].reshape(5, 8).sum(axis=1).tolist() == [2] * 5
