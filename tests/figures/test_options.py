"""An author chooses colours, names, order and width of figures, and what stands in them can all be seen."""

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt
from PIL import Image

from rsa_face.figures import plot_layers
from rsa_face.figures.embedding import place_pictures
from rsa_face.figures.layout import MM_PER_INCH, name_layers_below, new_axes, save_figure
from rsa_face.figures.rdms import _fitted
from rsa_face.figures.style import STYLES, figure_style, in_order, network_colors, network_label


def result(networks=("alexnet", "fe_alexnet", "vgg16"), layers=("relu1", "relu5", "fe", "fc8"), p=0.01):
    count = len(networks) * len(layers)
    return xr.Dataset(
        {"similarity": ("rdm", np.linspace(0.1, 0.3, count)), "noise_ceiling": ("bound", [0.4, 0.5]),
         "similarity_interval": (("rdm", "bound"), np.linspace(0.1, 0.3, count)[:, None] + [-0.05, 0.05]),
         "p_above_zero": ("rdm", np.broadcast_to(p, count).copy())},
        {"network": ("rdm", np.repeat(networks, len(layers))), "layer": ("rdm", np.tile(layers, len(networks))),
         "depth": ("rdm", np.tile(np.linspace(0.1, 1, len(layers)), len(networks))),
         "rdm": [f"{network}/{layer}" for network in networks for layer in layers]},
        {"comparison": "rho-a", "confidence": 0.95, "resample": "dual", "draws": 100, "simulated": True},
    )  # fmt: skip


def texts(ax):
    return [text.get_text() for text in ax.findobj(plt.Text) if text.get_text()]


def test_colours_names_and_order_hold_in_a_block_and_are_gone_after_it():
    wanted = {"colors": {"fe_alexnet": "#0072b2"}, "labels": {"fe_alexnet": "Ours"}, "order": ["vgg16"]}
    with figure_style("nature", **wanted):
        ax = plot_layers(result())
        assert in_order(["alexnet", "fe_alexnet/random/0", "vgg16"])[0] == "vgg16"
        assert network_colors(["fe_alexnet/random/0"]) == {"fe_alexnet/random/0": "#0072b2"}
        assert network_label("fe_alexnet/random/0") == "Ours (random, seed 0)"
    heads = [text for text in texts(ax) if text in ("VGG16", "AlexNet", "Ours", "FE-AlexNet")]
    assert heads == ["VGG16", "AlexNet", "Ours"]
    (curve,) = [line for line in ax.get_lines() if line.get_label() == "Ours"]
    assert curve.get_color() == "#0072b2"
    assert (network_label("fe_alexnet"), in_order(["vgg16", "alexnet"])[0]) == ("FE-AlexNet", "alexnet")
    with pytest.raises(ValueError, match="'fe_alexnet' is 'blurple'"), figure_style(colors={"fe_alexnet": "blurple"}):
        pass


@pytest.mark.parametrize(("width", "mm"), [("single", 89), ("1.5", 136), ("double", 183)])
def test_a_figure_takes_the_width_that_is_asked_for(width, mm):
    with figure_style("nature", width=width):
        assert plot_layers(result()).figure.get_size_inches()[0] * MM_PER_INCH == pytest.approx(mm)
    with figure_style("plos", width="1.5") as style:
        assert style.single_mm == style.double_mm == (132 + 190.5) / 2


def test_tiff_has_no_transparency_and_eps_no_white_veil(tmp_path):
    with figure_style("plos"):
        figure = plot_layers(result()).figure
        bands = [band for band in figure.findobj() if getattr(band, "get_alpha", lambda: None)() == 0.22]
        files = save_figure(figure, tmp_path / "layers", formats=("tiff", "eps"), dpi=300, about="a study")
    with Image.open(files[0]) as tiff:
        assert (tiff.mode, tiff.info["compression"], tiff.info["dpi"][0]) == ("RGB", "tiff_lzw", 300)
        assert tiff.tag_v2[270] == "a study"
    eps = files[1].read_text("latin-1")
    assert eps.startswith("%!PS-Adobe-3.0 EPSF-3.0")
    assert "CreationDate" not in eps
    assert len(bands) == 3
    assert all(band.get_alpha() == 0.22 for band in bands)  # as before
    red = np.array([0xA8, 0x0F, 0x3C]) / 255
    shade = 1 - (1 - red) * 0.22
    assert f"{shade[0]:.3f} {shade[1]:.3f} {shade[2]:.3f} setrgbcolor" in eps


def test_a_caption_stands_beside_the_figure_and_says_what_it_rests_on(tmp_path):
    files = save_figure(plot_layers(result()).figure, tmp_path / "layers", formats=("png",))
    assert [file.name for file in files] == ["layers.png", "layers.csv", "layers.txt"]
    assert files[-1].read_text("utf-8") == (
        "Similarity of each layer to people (Spearman ρ-a). Bands and lines: 95% intervals over stimuli and "
        "participants, 100 draws. Gray: noise ceiling. Squares: layers above 0 (p < 0.05, uncorrected). FE: the "
        "feature-excitation block. Simulated observers.\n"
    )


def test_a_row_of_equal_marks_is_a_word():
    assert "every layer" in texts(plot_layers(result(p=0.01)))
    assert "no layer" in texts(plot_layers(result(p=0.9)))
    mixed = texts(plot_layers(result(p=np.linspace(0.001, 0.2, 12))))
    assert not {"every layer", "no layer"} & set(mixed)


def test_the_block_that_a_study_is_about_keeps_its_name_where_others_lose_theirs():
    with figure_style("talk") as style:
        ax = new_axes(width_mm=34, height_mm=80)
        ax.set_xlim(-0.5, 8.5)
        names = ["relu1", "relu2", "relu3", "relu4", "relu5", "fe", "relu6", "relu7", "fc8"]
        name_layers_below(ax, np.arange(9.0), names, style)
        shown = [label.get_text() for label in ax.get_xticklabels()]
    assert len(shown) < 9
    assert {"fe", "fc8"} <= set(shown)


def test_numbers_are_shown_whole_or_not_at_all():
    labels, _ = _fitted(["-0.333", "-0.167", "0", "0.167", "0.333"], [2.0] * 5, STYLES["nature"])
    assert set(labels) <= {"-0.333", "-0.167", "0", "0.167", "0.333", ""}
    assert sum(map(bool, labels)) >= 2


def test_no_picture_hides_a_point():
    points = np.random.default_rng(0).uniform(10, 90, size=(30, 2))
    places = place_pictures(points, 9.0, (100, 100))
    middles = np.array([place for place in places if place is not None])
    assert len(middles) > 10
    apart = np.abs(points[:, None] - middles[None]).max(axis=-1)
    assert apart.min() > 0.5 * 9.0
