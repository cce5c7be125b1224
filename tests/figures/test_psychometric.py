"""Psychometric curves are drawn with what they rest on: a panel for each occlusion, and every number kept."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from scipy.special import ndtr

from rsa_face.figures.behaviour import plot_psychometric
from rsa_face.figures.layout import save_figure, sources_of
from rsa_face.inference.statistics import wilson_interval

LEVELS, FINE = np.linspace(-1, 1, 5), np.linspace(-1, 1, 101)


def fit_of(dim, pses, occlusions=("none", "mouth"), **attrs):
    """Return a fit as `fit_psychometric` lays it out."""
    pse = np.tile(np.asarray(list(pses.values()), float)[:, None], (1, len(occlusions)))
    dims = (dim, "occlusion")
    return xr.Dataset(
        {
            "pse": (dims, np.where(np.abs(pse) <= 1, pse, np.nan)),
            "curve": ((*dims, "curve_level"), ndtr((FINE - pse[..., None]) / 0.3)),
            "proportion": ((*dims, "level"), ndtr((LEVELS - pse[..., None]) / 0.3)),
            "n_trials": ((*dims, "level"), np.full((*pse.shape, 5), 10.0)),
        },
        {dim: list(pses), "occlusion": list(occlusions), "level": LEVELS, "curve_level": FINE},
        {"level_scale": "signed", "answers": "trials", "confidence": 0.95} | attrs,
    )


@pytest.fixture
def people():
    return fit_of("participant", {"a": -0.1, "b": 0.0, "c": 0.1}, simulated=True)


@pytest.fixture
def networks():
    fit = fit_of("network", {"alexnet/0": 0.3, "alexnet/1": 0.5, "vgg16/0": 3.0}, untrained=["vgg16/0"])
    return fit.assign_coords(family=("network", ["alexnet", "alexnet", "vgg16"]))


def texts(ax):
    return [text.get_text() for text in ax.texts]


def test_a_panel_for_each_occlusion_and_a_line_for_each_family(people, networks):
    ax = plot_psychometric(people, networks)
    assert [panel.get_title(loc="left") for panel in ax.child_axes] == ["Whole face", "Mouth masked"]
    assert "AlexNet (2 seeds)" in texts(ax)
    assert "People (n = 3)" in texts(ax)
    assert "simulated observers; untrained weights: VGG16 (seed 0)" in texts(ax)
    plt.close(ax.figure)


def test_the_numbers_are_kept_with_binomial_intervals(people, networks):
    ax = plot_psychometric(people, networks)
    (name, table), *_ = sources_of(ax.figure)
    assert name == "psychometric"
    one = table[(table["observer"] == "people") & (table["occlusion"] == "none")]
    share = ndtr((LEVELS - np.array([[-0.1], [0], [0.1]])) / 0.3).mean(axis=0)
    np.testing.assert_allclose(one["proportion"], share)
    np.testing.assert_allclose(one[["lower", "upper"]].T, wilson_interval(share * 30, np.full(5, 30.0)))
    assert table[table["observer"] == "alexnet"]["mean_pse"].iloc[0] == pytest.approx(0.4)
    plt.close(ax.figure)


def test_the_marks_lie_on_the_curves_where_happy_is_chosen_half_the_time(people, networks):
    ax = plot_psychometric(people, networks)
    (_, table), *_ = sources_of(ax.figure)
    for panel, occlusion in zip(ax.child_axes, ("none", "mouth"), strict=True):
        marks = [line for line in panel.lines if line.get_gid() == "pse"]
        curves = [line for line in panel.lines if len(line.get_xdata()) == len(FINE) and line.get_linestyle() == "-"]
        assert len(marks) == len(curves) == 2  # people, AlexNet; VGG16 has no PSE
        for mark in marks:
            ((x,), (y,)) = mark.get_xdata(), mark.get_ydata()
            curve = next(line for line in curves if line.get_color() == mark.get_color())
            assert np.interp(x, curve.get_xdata(), curve.get_ydata()) == pytest.approx(0.5, abs=1e-3)
            assert y == 0.5
        rows = table[table["occlusion"] == occlusion].groupby("observer").first()
        assert rows.loc["people", "curve_pse"] == pytest.approx(0.0, abs=1e-3)
        assert rows.loc["alexnet", "curve_pse"] == pytest.approx(0.4, abs=1e-3)
        assert np.isnan(rows.loc["vgg16/0", "curve_pse"])
    plt.close(ax.figure)


def test_seeds_without_a_pse_are_drawn_one_by_one_and_averaged_with_none(people):
    fit = fit_of("network", {"fe_alexnet/0": 0.2, "fe_alexnet/1": 2.0, "fe_alexnet/2": -2.0})
    fit = fit.assign_coords(family=("network", ["fe_alexnet"] * 3))
    ax = plot_psychometric(people, fit)
    panel = ax.child_axes[0]
    assert sum(line.get_linestyle() == ":" for line in panel.lines) == 2
    assert sorted(line.get_marker() for line in panel.lines if line.get_marker() in "<>") == ["<", ">"]
    (_, table), *_ = sources_of(ax.figure)
    curve = ndtr((LEVELS - 0.2) / 0.3)
    for observer, share in (("fe_alexnet", curve), ("fe_alexnet/1", ndtr((LEVELS - 2) / 0.3))):
        rows = table[(table["observer"] == observer) & (table["occlusion"] == "none")]
        np.testing.assert_allclose(rows["proportion"], share)
    assert "FE-AlexNet (3 seeds, 2 without a PSE)" in texts(ax)
    row = table[table["observer"] == "fe_alexnet"].iloc[0]
    assert (row["mean_pse"], row["observers"], row["without_pse"]) == (pytest.approx(0.2), 1, 2)
    low, high = panel.get_xlim()
    assert -1.3 < low < high < 1.3
    plt.close(ax.figure)


def test_people_without_a_pse_are_counted_in_the_legend(people):
    people["pse"][0, 0] = np.nan
    ax = plot_psychometric(people)
    assert "People (n = 3, 1 without some PSE)" in texts(ax)
    plt.close(ax.figure)


def test_a_network_that_lacks_a_pse_under_one_mask_alone_is_named_with_that_mask():
    fit = fit_of("network", {"alexnet": 0.2, "vgg16": 3.0})
    fit["pse"][0, 1] = np.nan
    ax = plot_psychometric(None, fit)
    assert {"AlexNet (no PSE: mouth masked)", "VGG16 (no PSE)"} <= set(texts(ax))
    plt.close(ax.figure)


def test_people_alone_networks_alone_and_curves_that_were_not_fitted(people, networks):
    people["pse"][0, 0] = np.nan
    for one, other in ((people, None), (None, networks), (people * np.nan, None)):
        attrs = people.attrs
        ax = plot_psychometric(None if one is None else one.assign_attrs(attrs), other)
        ax.figure.canvas.draw()
        assert len(ax.child_axes) == 2
        plt.close(ax.figure)


def test_it_is_written_with_its_table(people, networks, tmp_path):
    ax = plot_psychometric(people, networks)
    written = save_figure(ax.figure, tmp_path / "psychometric", formats=["png"])
    assert [path.name for path in written] == ["psychometric.png", "psychometric.csv", "psychometric.txt"]
    plt.close(ax.figure)


def test_wilsons_interval_is_statsmodels_by_hand():
    # 5 of 10: middle 1/2, half width z / (1 + z^2/10) * sqrt(1/40 + z^2/400)
    z = 1.959963984540054
    half = z / (1 + z**2 / 10) * np.sqrt(0.25 / 10 + z**2 / 400)
    np.testing.assert_allclose(wilson_interval(np.array(5.0), np.array(10.0)), [0.5 - half, 0.5 + half])


def test_curves_on_two_scales_are_refused(people, networks):
    with pytest.raises(ValueError, match=r"\['morph', 'signed'\]"):
        plot_psychometric(people, networks.assign_attrs(level_scale="morph"))


def test_seeds_take_no_room_of_the_legend(people):
    names = [f"{name}/random/{seed}" for name in ("alexnet", "vgg11", "vgg16") for seed in range(9)]
    fit = fit_of("network", {name: 0.1 * place for place, name in enumerate(names)})
    fit = fit.assign_coords(family=("network", [name.rsplit("/", 1)[0] for name in names]))
    ax = plot_psychometric(people, fit)
    ax.figure.draw_without_rendering()
    lowest = min(text.get_window_extent().y0 for text in ax.texts if text.get_text())
    assert 0 <= lowest < 0.1 * ax.figure.bbox.height
