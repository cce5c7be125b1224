"""The training curve draws what the history holds, and networks as every figure does."""

import itertools

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from rsa_face.figures.behaviour import plot_training
from rsa_face.figures.layout import sources_of
from rsa_face.figures.style import NETWORK_COLORS, figure_style

HISTORY = pd.DataFrame({
    "epoch": [1, 2, 3], "loss": [0.7, 0.4, 0.2], "accuracy": [0.5, 0.8, 0.9], "validation_accuracy": [0.5, 0.7, 0.6],
})  # fmt: skip


def named(ax) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_training_is_solid_and_validation_dashed():
    ax = plot_training({"alexnet": HISTORY, "vgg16": HISTORY.drop(columns="validation_accuracy")})
    drawn = {line.get_label(): line for line in ax.lines}
    assert drawn["AlexNet training"].get_ydata().tolist() == [0.5, 0.8, 0.9]
    assert drawn["AlexNet validation"].get_linestyle() == "--"
    assert "VGG16 validation" not in drawn
    plt.close("all")


def test_seeds_of_one_start_share_a_colour_and_a_line_of_the_legend():
    ax = plot_training({f"vgg16/random/{seed}": HISTORY for seed in range(3)} | {"alexnet/random/0": HISTORY})
    assert named(ax)[:2] == ["AlexNet (random, seed 0)", "VGG16 (random, 3 seeds)"]
    assert len({line.get_color() for line in ax.lines if line.get_label().startswith("VGG16")}) == 1
    plt.close("all")


def test_networks_stand_in_the_order_and_colour_of_every_figure():
    ax = plot_training(dict.fromkeys(("vgg16", "fe_alexnet", "alexnet"), HISTORY))
    assert named(ax)[:3] == ["AlexNet", "FE-AlexNet", "VGG16"]
    assert ax.lines[0].get_color().lower() == NETWORK_COLORS["alexnet"].lower()
    plt.close("all")


def test_trainings_of_one_epoch_do_not_hide_one_another():
    ax = plot_training({f"vgg16/random/{seed}": HISTORY[:1] for seed in range(4)})
    places = [line.get_xdata()[0] for line in ax.lines if line.get_label().endswith("training")]
    assert min(b - a for a, b in itertools.pairwise(places)) > 0.1
    assert sum(places) / 4 == pytest.approx(1)
    plt.close("all")


def test_training_faces_alone_are_called_so_and_the_numbers_are_kept():
    ax = plot_training(
        {"vgg16": HISTORY.drop(columns="validation_accuracy"), "alexnet": HISTORY[["epoch", "accuracy"]]}
    )
    assert ax.get_ylabel().replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ") == "Accuracy (training faces)"
    (name, table), *_ = sources_of(ax.figure)
    assert name == "training"
    assert table[["network", "epoch", "accuracy"]].values.tolist()[0] == ["alexnet", 1, 0.5]
    assert len(table) == 6
    plt.close("all")


@pytest.mark.parametrize("style", ["nature", "plos", "apa", "talk"])
def test_the_legend_lies_over_no_curve_and_within_the_figure(style):
    with figure_style(style):
        ax = plot_training(dict.fromkeys(("vgg16/imagenet", "fe_alexnet/imagenet", "alexnet/imagenet"), HISTORY))
        ax.figure.draw_without_rendering()
        legend = ax.get_legend().get_window_extent()
        assert not legend.overlaps(ax.get_window_extent())
        assert all(ax.figure.bbox.contains(*corner) for corner in legend.corners())
    plt.close("all")


def test_a_score_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="'auc'"):
        plot_training(HISTORY, score="auc")
    with pytest.raises(ValueError, match=r"history of \['vgg16'\] is empty"):
        plot_training({"vgg16": HISTORY[:0]})
