"""A saved figure has its size in mm, real text, 300 dots an inch, and its numbers beside it."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from rsa_face.figures.layers import plot_layers
from rsa_face.figures.layout import save_figure
from rsa_face.figures.style import figure_style


def test_the_picture_has_the_journals_width_at_300_dots_an_inch(result, tmp_path):
    with figure_style("nature"):
        save_figure(plot_layers(result).figure, tmp_path / "layers")
    with Image.open(tmp_path / "layers.png") as picture:
        assert picture.width == pytest.approx(183 / 25.4 * 300, abs=1)
        assert picture.info["dpi"][0] == pytest.approx(300, abs=0.1)


def test_text_stays_text_in_vector_files(result, tmp_path):
    save_figure(plot_layers(result).figure, tmp_path / "layers", formats=["pdf", "svg"])
    assert ">FE-AlexNet</text>" in (tmp_path / "layers.svg").read_text("utf-8")
    pdf = (tmp_path / "layers.pdf").read_bytes()
    assert b"/TrueType" in pdf or b"/CIDFontType2" in pdf
    assert b"/Type3" not in pdf


def test_the_numbers_are_written_beside(result, tmp_path):
    paths = save_figure(plot_layers(result).figure, tmp_path / "deep" / "layers")
    assert [path.name for path in paths] == ["layers.pdf", "layers.png", "layers.csv", "layers.txt"]
    table = pd.read_csv(paths[2])
    np.testing.assert_allclose(table["similarity"], result["similarity"])


def test_panels_get_a_letter_each(result, tmp_path):
    figure, axes = plt.subplots(2)
    for ax in axes:
        plot_layers(result, ax=ax)
    names = [path.name for path in save_figure(figure, tmp_path / "both", formats=["png"])]
    assert names == ["both.png", "both-a-layers.csv", "both-b-layers.csv", "both.txt"]


def test_the_same_figure_gives_the_same_file(result, tmp_path):
    first, second = (save_figure(plot_layers(result).figure, tmp_path / name) for name in ("a", "b"))
    assert first[0].read_bytes() == second[0].read_bytes()


def test_an_unknown_format_is_named(result, tmp_path):
    with pytest.raises(ValueError, match="'jpg'"):
        save_figure(plot_layers(result).figure, tmp_path / "layers", formats=["jpg"])
