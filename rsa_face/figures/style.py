"""How figures look: the column widths, type sizes and line widths that journals and rooms ask for."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Any

import matplotlib as mpl
from matplotlib import font_manager

from rsa_face.schema import must_be_known

MM_PER_INCH = 25.4
POINTS_PER_INCH = 72.0
_FONTS = ("Arial", "Helvetica", "Liberation Sans", "Nimbus Sans", "DejaVu Sans")


@dataclass(frozen=True)
class FigureStyle:
    """The sizes a journal, or a room, asks for.

    Parameters
    ----------
    name : str
        ``nature``, ``plos``, ``apa`` or ``talk``.
    single_mm, double_mm : float
        Widths of a figure over one column and over the page, in mm.
    tallest_mm : float
        Greatest height, in mm.
    text_pt, small_pt, least_pt : float
        Sizes of labels, of tick labels and notes, and the smallest allowed, in points.
    line_pt : float
        Width of a data line, in points.
    """

    name: str
    single_mm: float
    double_mm: float
    tallest_mm: float
    text_pt: float
    small_pt: float
    least_pt: float
    line_pt: float


STYLES = {
    "nature": FigureStyle("nature", 89, 183, 170, 7, 6, 5, 1.0),
    "plos": FigureStyle("plos", 132, 190.5, 222, 9, 8, 8, 1.2),
    "apa": FigureStyle("apa", 80, 165, 220, 9, 8, 8, 1.2),
    "talk": FigureStyle("talk", 160, 320, 170, 18, 14, 12, 2.4),
}
_active: ContextVar[FigureStyle | None] = ContextVar("figure style", default=None)


@contextmanager
def figure_style(name: str = "nature") -> Iterator[FigureStyle]:
    """Draw the figures of a block in a style, and leave matplotlib's settings as they were.

    Parameters
    ----------
    name : {"nature", "plos", "apa", "talk"}
        Nature: 89 and 183 mm, type of 5-7 points. PLOS: 132 and 190.5 mm, 8-12 points. APA: the text width of a
        manuscript page, type of 8 points and more. Talk: a wide slide.

    Yields
    ------
    FigureStyle
        The sizes in force.

    Raises
    ------
    ValueError
        If there is no such style.

    Examples
    --------
    >>> with figure_style("plos") as style:
    ...     style.double_mm
    190.5
    """
    must_be_known(name, STYLES, "figure style")
    token = _active.set(STYLES[name])
    try:
        with _settings(settings_of(STYLES[name])):
            yield STYLES[name]
    finally:
        _active.reset(token)


@contextmanager
def drawing(ax: Any = None) -> Iterator[FigureStyle]:
    """Give a plotting function the style to draw in: the block's, or that of the axes it was handed.

    Outside a `figure_style` block a function that makes its own figure draws it as for Nature; one that is handed
    axes takes the type sizes matplotlib is set to, so that it fits the figure around it.

    Parameters
    ----------
    ax : Axes, optional
        What the function was handed.

    Yields
    ------
    FigureStyle
        The sizes in force.
    """
    active = _active.get()
    if active is not None:
        yield active
    elif ax is None:
        with figure_style("nature") as style:
            yield style
    else:
        with _settings({"svg.fonttype": "none", "pdf.fonttype": 42}):
            yield _style_of_settings()


def settings_of(style: FigureStyle) -> dict[Any, Any]:
    """Return matplotlib's settings for a style.

    Text stays text in PDF and SVG, and the first font at hand is taken of Arial, Helvetica and their likes, so that
    a machine without them draws the same figure in DejaVu Sans.

    Parameters
    ----------
    style : FigureStyle
        The sizes.

    Returns
    -------
    dict of str to object
        For `matplotlib.rc_context`.
    """
    return {
        "font.family": [usable_font()],
        "font.size": style.text_pt,
        "mathtext.fontset": "dejavusans",
        "axes.titlesize": style.text_pt,
        "axes.labelsize": style.text_pt,
        "axes.linewidth": 0.6 * style.line_pt,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": "#222222",
        "axes.axisbelow": True,
        "xtick.labelsize": style.small_pt,
        "ytick.labelsize": style.small_pt,
        "legend.fontsize": style.small_pt,
        "xtick.major.width": 0.6 * style.line_pt,
        "ytick.major.width": 0.6 * style.line_pt,
        "xtick.major.size": 0.35 * style.small_pt,
        "ytick.major.size": 0.35 * style.small_pt,
        "lines.linewidth": style.line_pt,
        "lines.markersize": 0.5 * style.small_pt,
        "legend.frameon": False,
        "figure.figsize": (style.double_mm / MM_PER_INCH, 0.45 * style.double_mm / MM_PER_INCH),
        "figure.dpi": 150,
        "savefig.dpi": 300,
        "figure.facecolor": "white",
        "axes.facecolor": "white",
        "savefig.facecolor": "white",
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
        "svg.fonttype": "none",
        "axes.unicode_minus": True,
    }


@cache
def usable_font() -> str:
    """Return the first sans-serif font of the usual ones that this machine has.

    Returns
    -------
    str
        A family's name; DejaVu Sans comes with matplotlib.
    """
    here = {entry.name for entry in font_manager.fontManager.ttflist}
    return next(name for name in _FONTS if name in here or name == _FONTS[-1])


def font_in_words() -> str:
    """Return which font text is set in, where this machine has none that journals ask for.

    Returns
    -------
    str
        A sentence; empty where there is Arial or Helvetica.
    """
    font = usable_font()
    asked, other = _FONTS[:2]
    return "" if font in (asked, other) else f"Text is set in {font}: this machine has neither {asked} nor {other}."


@contextmanager
def _settings(values: dict[Any, Any]) -> Iterator[None]:
    """Set matplotlib's settings for a block, but leave it to the backend whether drawing is interactive.

    The backend is loaded with the first figure, perhaps in this block; Jupyter's then turns interactive drawing on,
    and shows no further figure if that is undone.
    """
    interactive = mpl.is_interactive()
    try:
        with mpl.rc_context(values):
            try:
                yield
            finally:
                interactive = mpl.is_interactive()
    finally:
        mpl.interactive(interactive)


def _style_of_settings() -> FigureStyle:
    width, height = (float(side) * MM_PER_INCH for side in mpl.rcParams["figure.figsize"])
    text = float(mpl.rcParams["font.size"])
    return FigureStyle("own", width / 2, width, height * 2, text, 0.85 * text, 0.7 * text, text / 7)
