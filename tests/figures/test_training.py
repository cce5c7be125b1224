"""The training curve draws what the history holds."""

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from rsa_face.figures.training import plot_training

HISTORY = pd.DataFrame({
    "epoch": [1, 2, 3], "loss": [0.7, 0.4, 0.2], "accuracy": [0.5, 0.8, 0.9], "validation_accuracy": [0.5, 0.7, 0.6],
})  # fmt: skip


def test_training_is_solid_and_validation_dashed():
    ax = plot_training({"alexnet": HISTORY, "vgg16": HISTORY.drop(columns="validation_accuracy")})
    drawn = {line.get_label(): line for line in ax.lines}
    assert drawn["AlexNet training"].get_ydata().tolist() == [0.5, 0.8, 0.9]
    assert drawn["AlexNet validation"].get_linestyle() == "--"
    assert "VGG16 validation" not in drawn
    plt.close("all")


def test_a_score_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="'auc'"):
        plot_training(HISTORY, score="auc")
    with pytest.raises(ValueError, match=r"\['vgg16'\] has none"):
        plot_training({"vgg16": HISTORY[:0]})
