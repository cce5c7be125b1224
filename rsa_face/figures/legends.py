"""A legend above axes, in as many columns as there is room for."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from rsa_face.figures.canvas import points_mm, printable, size_mm
from rsa_face.figures.palette import network_label
from rsa_face.figures.style import FigureStyle
from rsa_face.schema import split_seed

_MOST_COLUMNS = 3


def legend_above(ax: Axes, marks: Sequence[Line2D], names: Sequence[str], style: FigureStyle) -> int:
    """Write a legend above axes; wider than they are, it would push them together.

    Parameters
    ----------
    ax : Axes
        Their vertical axis need not be named yet: room is left for that. Changed.
    marks : sequence of Line2D
        What is explained.
    names : sequence of str
        In what words.
    style : FigureStyle
        The sizes in force.

    Returns
    -------
    int
        How many lines it takes.
    """
    wide = (0.58 * max(map(len, names)) + 3.0) * points_mm(style.small_pt)
    columns = int(np.clip((size_mm(ax)[0] - 4 * points_mm(style.text_pt)) // wide, 1, _MOST_COLUMNS))
    legend = ax.legend(marks, list(map(printable, names)), loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns,
                       borderaxespad=0.2, handlelength=1.6, columnspacing=1.0, fontsize=style.small_pt)  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    return -(-len(names) // columns)


def name_of(group: Sequence[str]) -> str:
    """Return what networks that differ in their seed alone are called together.

    Parameters
    ----------
    group : sequence of str
        One network, or several seeds of one.

    Returns
    -------
    str
        A label.

    Examples
    --------
    >>> name_of(["vgg16/random/0", "vgg16/random/1"]), name_of(["vgg16"])
    ('VGG16 random (2 seeds)', 'VGG16')
    """
    if len(group) == 1:
        return network_label(group[0])
    return f"{network_label(split_seed(group[0])[0])} ({len(group)} seeds)"
