"""The agreement of measures is drawn with every value and rank, and its tables hold the same numbers."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from rsa_face.figures.agreement import plot_agreement
from rsa_face.figures.layout import sources_of
from rsa_face.figures.style import STYLES, figure_style
from rsa_face.psychophysics.likeness import agreement_table, correlation_table
from rsa_face.study.folder import is_shown

NETWORKS = ["vgg11", "alexnet", "fe_alexnet"]
QUANTITIES = ["similarity_peak", "similarity_fc7", "pse_distance", "saliency_eyes"]


@pytest.fixture
def agreement():
    value = np.array([[0.1, 0.1, 0.3, 0.2], [0.2, 0.15, 0.2, np.nan], [0.3, 0.25, 0.1, 0.4]])
    rank = np.array([[3, 3, 3, 2], [2, 2, 2, np.nan], [1, 1, 1, 1]])
    rho, p, ends = np.ones((4, 4)), np.full((4, 4), 0.25), np.full((4, 4, 2), np.nan)
    rho[3], rho[:, 3] = np.nan, np.nan
    ends[0, 1] = ends[1, 0] = -0.5, 1
    pairs = ("quantity", "quantity_other")
    return xr.Dataset(
        {
            "value": (("network", "quantity"), value),
            "rank": (("network", "quantity"), rank),
            "rank_correlation": (pairs, rho),
            "rank_correlation_p": (pairs, p),
            "rank_correlation_interval": ((*pairs, "bound"), ends),
            "n_networks": (pairs, np.full((4, 4), 3)),
            "peak_layer": ("network", ["relu5_2", "relu7", "fe"]),
            "at_layer": ("network", ["relu7"] * 3),
        },
        {"network": NETWORKS, "quantity": QUANTITIES, "quantity_other": QUANTITIES, "bound": ["lower", "upper"]},
        {"simulated": True, "untrained": ["alexnet"]},
    )


def words(ax):
    panels = ax.child_axes
    labels = [text for panel in panels for text in (*panel.get_xticklabels(), *panel.get_yticklabels())]
    return [*labels, *(text for panel in (ax, *panels) for text in panel.texts)]


def texts(ax):
    return [text.get_text() for text in words(ax)]


def test_every_network_has_its_values_and_ranks_in_the_fields_order(agreement):
    ax = plot_agreement(agreement)
    notes = texts(ax)
    assert [text for text in notes if text in ("AlexNet", "FE-AlexNet", "VGG11")] == [
        "AlexNet",
        "FE-AlexNet",
        "VGG11",
    ]
    assert "0.300\nfe" in notes
    assert notes.count("none") == 1 + 3  # a network without saliency, and the pairs with it
    assert "RDM similarity, fc7 (relu7)" in notes
    assert "simulated observers; untrained weights: AlexNet" in notes
    plt.close(ax.figure)


def test_pairs_have_their_interval_or_else_p(agreement):
    ax = plot_agreement(agreement)
    notes = texts(ax)
    assert "\N{MINUS SIGN}0.50, 1.00" in notes
    assert notes.count("p = 0.25") == 2
    plt.close(ax.figure)


def test_nothing_is_written_outside_the_sheet(agreement):
    ax = plot_agreement(agreement)
    ax.figure.draw_without_rendering()
    sheet = ax.get_window_extent()
    for text in words(ax):
        box = text.get_window_extent()
        assert box.x0 >= sheet.x0 - 1, text.get_text()
        assert box.x1 <= sheet.x1 + 1, text.get_text()
        assert box.y0 >= sheet.y0 - 1, text.get_text()
        assert box.y1 <= sheet.y1 + 1, text.get_text()
    plt.close(ax.figure)


def test_tables_hold_a_row_for_each_network_and_each_pair(agreement):
    table, pairs = agreement_table(agreement), correlation_table(agreement)
    assert table["network"].tolist() == NETWORKS
    assert table["saliency_eyes_rank"].tolist()[::2] == [2, 1]
    assert len(pairs) == 6
    first = pairs.iloc[0]
    assert (first["quantity"], first["quantity_other"], first["lower"]) == ("similarity_peak", "similarity_fc7", -0.5)
    ax = plot_agreement(agreement)
    assert sources_of(ax.figure)[0][1].equals(table)
    plt.close(ax.figure)


def test_p_is_spoken_of_where_there_is_one(agreement):
    text = " ".join(texts(plot_agreement(agreement)))
    assert "below each, its interval over people, or p" in text
    assert "an anecdote; p by permutation of the networks." in text
    agreement["rank_correlation_interval"] = agreement["rank_correlation_interval"].fillna(0.5)
    text = " ".join(texts(plot_agreement(agreement)))
    assert "below each, its interval over people" in text
    assert "p by permutation" not in text
    assert ", or p" not in text
    plt.close("all")


@pytest.mark.parametrize("name", STYLES)
def test_no_interval_runs_into_the_next_and_all_can_be_read(name):
    quantities = ["similarity_peak", "similarity_fc7", "pse_distance", "curve_rmse", "saliency_eyes", "saliency_nose",
                  "saliency_mouth"]  # fmt: skip
    pairs, square = ("quantity", "quantity_other"), (7, 7)
    made = xr.Dataset(
        {
            "value": (("network", "quantity"), np.full((3, 7), 0.5)),
            "rank": (("network", "quantity"), np.full((3, 7), 2.0)),
            "rank_correlation": (pairs, np.linspace(-1, 1, 49).reshape(square)),
            "rank_correlation_p": (pairs, np.full(square, 0.25)),
            "rank_correlation_interval": ((*pairs, "bound"), np.tile([-1.0, -0.8], (*square, 1))),
            "n_networks": (pairs, np.full(square, 3)),
            "peak_layer": ("network", ["fc8"] * 3),
            "at_layer": ("network", ["relu7"] * 3),
        },
        {"network": NETWORKS, "quantity": quantities, "quantity_other": quantities, "bound": ["lower", "upper"]},
    )
    with figure_style(name):
        ax = plot_agreement(made)
        ax.figure.draw_without_rendering()
        below = [
            text for text in words(ax) if text.get_text().startswith("\N{MINUS SIGN}1.") and "," in text.get_text()
        ]
        boxes = [text.get_window_extent() for text in below]
        room = 0.15 * below[0].get_fontsize() / 72 * ax.figure.dpi
    assert len(boxes) == 21
    for place, box in enumerate(boxes):
        for other in boxes[place + 1 :]:
            assert box.x1 + room < other.x0 or other.x1 + room < box.x0 or not box.overlaps(other)
            assert abs(box.y0 - other.y0) > 1 or abs(box.x0 - other.x0) > box.width + room
    assert {text.get_color() for text in below} == {"#000000", "#ffffff"}
    plt.close("all")


@pytest.mark.parametrize("variable", ["value", "rank", "peak_layer", "rank_correlation_interval", "n_networks"])
def test_an_agreement_that_lacks_what_is_drawn_is_not_shown(agreement, variable):
    assert is_shown("agreement", agreement)
    assert not is_shown("agreement", agreement.drop_vars(variable))
