"""What a study file says of training is what the training knows, by the same names and defaults."""

import numpy as np
import pytest

from rsa_face.study.config import TrainingSection
from rsa_face.training.loop import mix_classes
from rsa_face.training.settings import Augmentation, TrainingSettings


def test_a_study_trains_by_the_settings_of_the_function(tmp_path):
    (tmp_path / "faces.csv").touch()
    section = TrainingSection.model_validate({"table": tmp_path / "faces.csv", "lr": 0.01, "augmentation": {}})
    assert section.settings(seed=3) == TrainingSettings(lr=0.01, augmentation=Augmentation(), seed=3)
    with pytest.raises(ValueError, match="seed"):
        TrainingSection.model_validate({"table": tmp_path / "faces.csv", "seed": 3})


def test_patience_without_validation_faces_is_refused(tmp_path):
    (tmp_path / "faces.csv").touch()
    with pytest.raises(ValueError, match="patience is 3 with no faces to watch"):
        TrainingSection.model_validate({"table": tmp_path / "faces.csv", "patience": 3})


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_every_stretch_of_a_mixed_order_holds_the_classes_in_their_shares(seed):
    targets = np.repeat([0, 1], [30, 10])
    order = mix_classes(targets, np.random.default_rng(seed))
    assert sorted(order) == list(range(40))
    assert np.abs(targets[order].reshape(10, 4).sum(axis=1) - 1).max() <= 1
    assert targets[order].reshape(5, 8).sum(axis=1).tolist() == [2] * 5
