"""Figures have the sizes of a journal, need no font of their own, and leave matplotlib's settings alone."""

import logging

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib import font_manager
from matplotlib.text import Text

from rsa_face.figures import layout
from rsa_face.figures.layers import plot_layers
from rsa_face.figures.layout import printable, save_figure
from rsa_face.figures.style import STYLES, drawing, figure_style, font_in_words, usable_font


@pytest.mark.parametrize("name", STYLES)
def test_a_style_leaves_settings_as_they_were(name):
    before = dict(mpl.rcParams)
    with figure_style(name) as style:
        assert mpl.rcParams["font.size"] == style.text_pt
        assert mpl.rcParams["pdf.fonttype"] == 42
    assert dict(mpl.rcParams) == before


def test_a_backend_that_turns_interactive_drawing_on_is_left_to_it():
    # as Jupyter's does when the first figure is made
    before = mpl.is_interactive()
    try:
        with figure_style():
            mpl.interactive(True)
        assert mpl.is_interactive()
    finally:
        mpl.interactive(before)


def test_a_style_that_does_not_exist_is_named():
    with pytest.raises(ValueError, match=r"'cell'.*nature, plos, apa"), figure_style("cell"):
        pass


def test_axes_handed_in_keep_the_type_size_of_their_figure():
    with mpl.rc_context({"font.size": 13}), drawing(plt.figure().add_subplot()) as style:
        assert style.text_pt == 13
    with figure_style("talk"), drawing() as style:
        assert style.text_pt == STYLES["talk"].text_pt


@pytest.fixture
def only_dejavu(monkeypatch):
    entries = [entry for entry in font_manager.fontManager.ttflist if entry.name.startswith("DejaVu")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", entries)
    forget = (usable_font, layout._characters, font_manager.fontManager._findfont_cached)
    for cached in forget:
        cached.cache_clear()
    yield
    for cached in forget:
        cached.cache_clear()


@pytest.mark.parametrize("name", STYLES)
def test_without_the_usual_fonts_a_figure_is_whole_in_that_of_the_package(
    result, only_dejavu, caplog, tmp_path, name
):
    with figure_style(name), caplog.at_level(logging.WARNING):
        figure = plot_layers(result).figure
        save_figure(figure, tmp_path / "layers", formats=["png"])
    assert {text.get_fontfamily()[0] for text in figure.findobj(Text) if text.get_text()} == {"Liberation Sans"}
    assert [record.message for record in caplog.records] == []
    drawn, (width, height) = figure.get_tightbbox(), figure.get_size_inches()
    assert drawn.x0 > -0.01
    assert drawn.y0 > -0.01
    assert drawn.x1 < width + 0.01
    assert drawn.y1 < height + 0.01


def test_letters_a_font_lacks_become_squares(only_dejavu):
    assert printable("face 🧠 é <b>") == "face ▫ é <b>"


def test_which_font_is_taken_instead_is_said(only_dejavu):
    assert font_in_words() == "Text is set in Liberation Sans: this machine has neither Arial nor Helvetica."


def test_a_font_that_journals_ask_for_needs_no_word(only_dejavu, monkeypatch):
    entry = font_manager.FontEntry(fname="arial.ttf", name="Arial")
    monkeypatch.setattr(font_manager.fontManager, "ttflist", [entry])
    assert font_in_words() == ""
