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


def test_seeds_of_one_start_share_a_colour_and_a_line_of_the_legend():
    ax = plot_training({f"vgg16/random/{seed}": HISTORY for seed in range(3)} | {"alexnet/random/0": HISTORY})
    named = [text.get_text() for text in ax.get_legend().get_texts()]
    assert named[:4] == [
        "VGG16 random training", "VGG16 random validation", "AlexNet random training", "AlexNet random validation",
    ]  # fmt: skip
    assert len({line.get_color() for line in ax.lines[:6]}) == 1
    plt.close("all")


def test_a_score_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="'auc'"):
        plot_training(HISTORY, score="auc")
    with pytest.raises(ValueError, match=r"\['vgg16'\] has none"):
        plot_training({"vgg16": HISTORY[:0]})
