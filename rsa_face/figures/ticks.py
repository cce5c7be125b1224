"""What stands along an axis: layer names, as many as can be read, and what is measured."""

import re
import textwrap
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes

from rsa_face.figures.canvas import points_mm, printable, size_mm
from rsa_face.figures.style import FigureStyle

_SHORT_LABEL = 16


def name_layers_below(ax: Axes, places: np.ndarray, names: Sequence[str], style: FigureStyle) -> None:
    """Write layer names upright under an axis, so that none touches another.

    They are written small where that lets all of them stand, and else as many as fit are written; every layer keeps
    its mark in the figure.

    Parameters
    ----------
    ax : Axes
        Its horizontal limits must be final. Changed.
    places : array of float, shape (layer,)
        Where each layer stands, rising.
    names : sequence of str
        Their names.
    style : FigureStyle
        The sizes in force.
    """
    low, high = ax.get_xlim()
    kept, size = _that_fit(places, size_mm(ax)[0] / (high - low), style)
    texts = [printable(name) for name, shown in zip(names, kept, strict=True) if shown]
    ax.set_xticks(places[kept], texts, rotation=90, fontsize=size, parse_math=False)
    ax.tick_params(axis="x", length=0.2 * style.small_pt, pad=0.25 * style.small_pt)


def _that_fit(places: np.ndarray, mm_per_unit: float, style: FigureStyle) -> tuple[np.ndarray, float]:
    room = np.diff(places).min() * mm_per_unit if len(places) > 1 else np.inf
    for size in (style.small_pt, (style.small_pt + style.least_pt) / 2, style.least_pt):
        if room >= 1.12 * points_mm(size):
            return np.ones(len(places), dtype=bool), size
    kept, least = np.zeros(len(places), dtype=bool), 1.12 * points_mm(style.least_pt) / mm_per_unit
    steps = np.diff(places)
    for run in np.split(np.arange(len(places)), np.flatnonzero(steps > 1.5 * steps.min()) + 1):
        for place in run[[-1, *range(len(run) - 1)]]:  # a network's last layer is named whatever else is
            kept[place] = np.abs(places[kept] - places[place]).min(initial=np.inf) >= least
    return kept, style.least_pt


def name_values(ax: Axes, text: str, style: FigureStyle) -> None:
    """Write what the vertical axis measures, smaller and on more lines where it would be longer than the axis.

    What is longer even so begins at the top of the axis and ends below it, beside the names of the layers.

    Parameters
    ----------
    ax : Axes
        Its layers must be named already: their names take of its height. Changed.
    text : str
        One line or two.
    style : FigureStyle
        The sizes in force.
    """
    letters = size_mm(ax)[1] / (0.52 * points_mm(1))  # of one point
    size = min(max(letters / max(map(len, text.split("\n"))), style.small_pt), style.text_pt)
    whole = re.sub(r"\([^)]*\)", lambda unit: unit.group().replace(" ", "\N{NO-BREAK SPACE}"), text)
    most = max(int(1.05 * letters / size), _SHORT_LABEL)
    lines = [part for line in whole.split("\n") for part in textwrap.wrap(line, most, break_on_hyphens=False)]
    fits = max(map(len, lines)) <= letters / size
    ax.set_ylabel("\n".join(lines), fontsize=size, parse_math=False, loc="center" if fits else "top")


def mark_significant(ax: Axes, x: np.ndarray, passed: np.ndarray, y: float, color: str, style: FigureStyle) -> None:
    """Draw a row of marks: a square where a test passed, a dot where it did not.

    Parameters
    ----------
    ax : Axes
        Changed.
    x : array of float, shape (layer,)
        Where each layer stands.
    passed : array of bool, shape (layer,)
        Which are significant.
    y : float
        Height of the row, in the axes' units.
    color : str
        Of the squares.
    style : FigureStyle
        The sizes in force.
    """
    size = (0.55 * style.small_pt) ** 2
    ax.scatter(x[passed], np.full(passed.sum(), y), s=size, color=color, marker="s", linewidth=0, zorder=3)
    ax.scatter(x[~passed], np.full((~passed).sum(), y), s=0.12 * size, color="#B5B5B5", linewidth=0, zorder=3)
