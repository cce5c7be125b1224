"""What every figure needs beside its data: axes of a size in mm, honest notes, printable text, its numbers."""

import textwrap
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.text import Text

from rsa_face.figures.forms import names_in, untrained_in
from rsa_face.figures.palette import QUIET, in_order, network_label
from rsa_face.figures.style import MM_PER_INCH, POINTS_PER_INCH, FigureStyle, usable_font
from rsa_face.schema import MEASURES, OTHER_MEASURES

_SOURCE = "_rsa_face_source"
NOTE = "note"


def new_axes(*, width_mm: float, height_mm: float) -> Axes:
    """Return the axes of a new figure of a given size, laid out so that no label is cut off.

    Parameters
    ----------
    width_mm, height_mm : float
        Size of the figure on paper.

    Returns
    -------
    Axes
        Its only axes.
    """
    size = (width_mm / MM_PER_INCH, height_mm / MM_PER_INCH)
    return plt.figure(figsize=size, layout="constrained").add_subplot()


def blank_axes(*, width_mm: float, height_mm: float) -> Axes:
    """Return axes that fill a new figure of a given size: a sheet to lay panels out on.

    Parameters
    ----------
    width_mm, height_mm : float
        Size of the figure on paper.

    Returns
    -------
    Axes
        Its only axes.
    """
    figure = plt.figure(figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH))
    ax: Axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    return ax


def inset_mm(ax: Axes, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes inside axes whose units are mm from the upper left corner.

    Parameters
    ----------
    ax : Axes
        From `blank_axes`, or any whose limits are its size in mm, the vertical ones upside down. Changed.
    left, top, width, height : float
        Place and size in mm.

    Returns
    -------
    Axes
        The inset.
    """
    whole_width, whole_height = ax.get_xlim()[1], ax.get_ylim()[0]
    return ax.inset_axes((left / whole_width, 1 - (top + height) / whole_height,
                          width / whole_width, height / whole_height))  # fmt: skip


def size_mm(ax: Axes) -> tuple[float, float]:
    """Return how wide and high axes are on paper, once their figure is laid out.

    Parameters
    ----------
    ax : Axes
        The axes. They are laid out, not drawn.

    Returns
    -------
    tuple of float
        Width and height in mm.
    """
    figure = root_of(ax)
    figure.draw_without_rendering()
    box = ax.get_window_extent()
    return box.width / figure.dpi * MM_PER_INCH, box.height / figure.dpi * MM_PER_INCH


def root_of(ax: Axes) -> Figure:
    """Return the whole figure that axes belong to.

    Parameters
    ----------
    ax : Axes
        Axes of a figure or of a part of one.

    Returns
    -------
    Figure
        The outermost figure.
    """
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)  # axes that are in no figure cannot be drawn on
    return figure


def points_mm(points: float) -> float:
    """Return a length in points in mm.

    Parameters
    ----------
    points : float
        A type size, say.

    Returns
    -------
    float
        The same length in mm.

    Examples
    --------
    >>> round(points_mm(72), 1)
    25.4
    """
    return points * MM_PER_INCH / POINTS_PER_INCH


def note_of(attrs: Mapping[Any, Any], networks: Iterable[str]) -> str:
    """Return what a reader must be told about an array's origin, or nothing.

    Parameters
    ----------
    attrs : mapping
        An array's attrs: `simulated`, `untrained`, `other_measures`.
    networks : iterable of str
        The networks that are shown.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> note_of({"simulated": True, "untrained": ["vgg16"]}, ["alexnet", "vgg16"])
    'simulated observers; untrained weights: VGG16'
    """
    parts = ["simulated observers"] if attrs.get("simulated") else []
    shown = in_order(networks)
    named = untrained_in(attrs)
    untrained = [name for name in shown if name in named]
    if len(untrained) == len(shown) > 2:
        parts.append("untrained weights: all networks")
    elif untrained:
        parts.append(f"untrained weights: {', '.join(map(network_label, untrained))}")
    return "; ".join([*parts, *measures_noted(attrs, shown)])


def measures_noted(attrs: Mapping[Any, Any], networks: Iterable[str]) -> list[str]:
    """Return in words which layers of some networks have an RDM by another measure than most.

    Examples
    --------
    >>> measures_noted({"other_measures": ["alexnet/fc8: difference", "vgg16/fc8: difference"]}, ["alexnet", "vgg16"])
    ['fc8: difference of outputs']
    """
    shown = set(networks)
    layers: dict[str, list[str]] = {}
    for entry in names_in(attrs, OTHER_MEASURES):
        label, _, measure = entry.rpartition(": ")
        network, _, layer = label.rpartition("/")
        if network in shown:
            layers.setdefault(measure, []).append(layer)
    return [
        f"{', '.join(dict.fromkeys(names))}: {MEASURES[measure].label if measure in MEASURES else measure}"
        for measure, names in layers.items()
    ]


def beside_axes(ax: Axes, y: float, text: str, style: FigureStyle) -> None:
    """Write small text on the right of axes, at a height of theirs.

    Parameters
    ----------
    ax : Axes
        Changed.
    y : float
        In the axes' units.
    text : str
        One line or two.
    style : FigureStyle
        The sizes in force.
    """
    ax.annotate(text, (1, y), (0.6 * style.small_pt, 0), ("axes fraction", "data"), "offset points",
                fontsize=style.small_pt, color=QUIET, va="center", linespacing=1.05)  # fmt: skip


def add_note(ax: Axes, note: str, style: FigureStyle, *, pad: float = 0.5) -> None:
    """Write a note on the origin of the numbers at the upper right of axes, above their title where both are long.

    Parameters
    ----------
    ax : Axes
        Changed.
    note : str
        What `note_of` returned; nothing is written where it is empty.
    style : FigureStyle
        The sizes in force.
    pad : float
        Distance from the axes, in times the small type size.
    """
    if note:
        letters = int(size_mm(ax)[0] / (0.52 * points_mm(style.small_pt)))
        parts = [note] if len(note) <= letters else note.split("; ")
        lines = [line for part in parts for line in textwrap.wrap(part, max(letters, 20), break_on_hyphens=False)]
        head = 0.56 * points_mm(style.text_pt) * len(ax.get_title(loc="left"))
        crowded = head > 0 and bool(head + 0.58 * points_mm(style.small_pt) * max(map(len, lines)) > size_mm(ax)[0])
        lines += [""] * crowded  # beside the title, on whose line it would lie
        title = ax.set_title("\n".join(lines), loc="right", fontsize=style.small_pt,
                             linespacing=1.3 * style.text_pt / style.small_pt if crowded else 1.2,
                             color=QUIET, fontstyle="italic", pad=pad * style.small_pt, parse_math=False)  # fmt: skip
        title.set_gid(NOTE)


def hide_notes(ax: Axes) -> None:
    """Take the notes on the origin of the numbers off axes, where the figure around them says it once.

    Parameters
    ----------
    ax : Axes
        Changed.
    """
    for text in ax.findobj(Text):
        if text.get_gid() == NOTE:
            text.set_visible(False)
            text.set_in_layout(False)


def note_on_sheet(ax: Axes, note: str, style: FigureStyle) -> None:
    """Write a note on the origin of the numbers at the upper right of a sheet of panels.

    Parameters
    ----------
    ax : Axes
        From `blank_axes`, its limits its size in mm. Changed.
    note : str
        What `note_of` returned; nothing is written where it is empty.
    style : FigureStyle
        The sizes in force.
    """
    line = points_mm(style.small_pt)
    ax.text(ax.get_xlim()[1] - 0.5 * line, 0.9 * line, note, fontsize=style.small_pt, color=QUIET, fontstyle="italic",
            ha="right", va="center", parse_math=False)  # fmt: skip


def printable(text: object) -> str:
    """Return text with the characters the figure's font lacks replaced, so that drawing it never fails.

    Parameters
    ----------
    text : object
        A stimulus id, a factor's value.

    Returns
    -------
    str
        The text; a character without a glyph, such as an emoji, becomes a small square.
    """
    known = _characters(usable_font())
    return "".join(letter if ord(letter) in known else "▫" for letter in str(text) if letter.isprintable())


def keep_source(ax: Axes, table: pd.DataFrame, *, name: str) -> None:
    """Keep the numbers that axes show with them, for `save_figure` to write beside the picture.

    Parameters
    ----------
    ax : Axes
        Changed.
    table : DataFrame
        What is shown, one row for each mark.
    name : str
        What the panel shows, for the file's name.
    """
    setattr(ax, _SOURCE, (name, table))


def sources_of(figure: Figure) -> list[tuple[str, pd.DataFrame]]:
    """Return the numbers each panel of a figure shows.

    Parameters
    ----------
    figure : Figure
        A figure made by this package.

    Returns
    -------
    list of (str, DataFrame)
        Panel name and table, in the order the axes were made.
    """
    return [getattr(ax, _SOURCE) for ax in figure.axes if hasattr(ax, _SOURCE)]


@cache
def _characters(family: str) -> frozenset[int]:
    path = font_manager.findfont(font_manager.FontProperties(family=family))
    return frozenset(FT2Font(path).get_charmap())
