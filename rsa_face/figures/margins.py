"""The margins of an RDM: brackets around groups of stimuli, and small pictures of the stimuli themselves."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path

from rsa_face.figures.canvas import inset_mm, points_mm, printable
from rsa_face.figures.ordering import Group
from rsa_face.figures.palette import HUMAN_COLOR
from rsa_face.figures.rdm_layout import Panel
from rsa_face.figures.style import FigureStyle, usable_font
from rsa_face.figures.thumbnails import thumbnail

_LEAST_PICTURE = 3.6
_LEAST_ARM = 0.6
_MOST_GROUPS = 30


def margin_mm(style: FigureStyle, *, groups: bool, images: bool) -> float:
    """Return how much room brackets and pictures take beside an RDM.

    Parameters
    ----------
    style : FigureStyle
        The sizes in force.
    groups, images : bool
        Whether there are any.

    Returns
    -------
    float
        In mm.
    """
    return 0.5 + (1.9 * points_mm(style.small_pt) if groups else 0.0) + (_picture(style) + 0.8 if images else 0.0)


def draw_margin(
    ax: Axes, panel: Panel, groups: Sequence[Group], files: Sequence[Path | None], style: FigureStyle
) -> bool:
    """Draw group brackets and pictures on the left of an RDM, and return whether every group's name found room.

    Pictures keep the height of their row and never touch: where rows are too narrow, every second, third, ... is
    shown.

    Parameters
    ----------
    ax : Axes
        Its units are mm from the upper left corner. Changed.
    panel : Panel
        The RDM's place.
    groups : sequence of Group
        Runs of stimuli.
    files : sequence of Path or None
        Each stimulus's image, in the order shown.
    style : FigureStyle
        The sizes in force.

    Returns
    -------
    bool
        False where a name had to be left out.
    """
    step = panel.side / len(files)
    edge = panel.left - 0.5
    if any(file is not None for file in files):
        picture = _picture(style)
        every = max(int(np.ceil(1.08 * picture / step)), 1)
        free = panel.top
        for place in range((every - 1) // 2, len(files), every):
            file, middle = files[place], panel.top + (place + 0.5) * step
            top = float(np.clip(middle - picture / 2, panel.top, panel.top + panel.side - picture))
            if file is not None and top >= free - 0.01:
                free = top + picture
                inset = inset_mm(ax, edge - picture, top, picture, picture)
                inset.imshow(thumbnail(file, pixels=128))
                inset.set_axis_off()
        edge -= picture + 0.5 * _arm(style)
    if not 1 < len(groups) <= _MOST_GROUPS:
        return True
    spans = [(panel.top + group.start * step + 0.25, panel.top + group.stop * step - 0.25) for group in groups]
    texts, size = _fitted([group.label for group in groups], [high - low for low, high in spans], style)
    outer = edge - _arm(style)
    for (low, high), text in zip(spans, texts, strict=True):
        _bracket(ax, [edge, outer, outer, edge], [low, low, high, high], style)
        ax.text(outer - 0.3, (low + high) / 2, text, fontsize=size, rotation=90, ha="right", va="center",
                parse_math=False)  # fmt: skip
    return all(texts)


def draw_brackets_below(ax: Axes, panel: Panel, groups: Sequence[Group], count: int, style: FigureStyle) -> None:
    """Draw group brackets under an RDM.

    Parameters
    ----------
    ax : Axes
        Its units are mm from the upper left corner. Changed.
    panel : Panel
        The RDM's place.
    groups : sequence of Group
        Runs of stimuli.
    count : int
        How many stimuli there are.
    style : FigureStyle
        The sizes in force.
    """
    if not 1 < len(groups) <= _MOST_GROUPS:
        return
    step, y = panel.side / count, panel.top + panel.side + 0.5
    spans = [(panel.left + group.start * step + 0.25, panel.left + group.stop * step - 0.25) for group in groups]
    texts, size = _fitted([group.label for group in groups], [high - low for low, high in spans], style)
    outer = y + _arm(style)
    for (low, high), text in zip(spans, texts, strict=True):
        _bracket(ax, [low, low, high, high], [y, outer, outer, y], style)
        ax.text((low + high) / 2, outer + 0.3, text, fontsize=size, ha="center", va="top", parse_math=False)


def draw_separators(ax: Axes, groups: Sequence[Group], cell_mm: float, style: FigureStyle) -> None:
    """Draw lines between the groups of an RDM, thinner than its cells so that they hide none.

    Parameters
    ----------
    ax : Axes
        Shows the RDM as an image. Changed.
    groups : sequence of Group
        Runs of stimuli.
    cell_mm : float
        Side of a cell.
    style : FigureStyle
        The sizes in force.
    """
    width = min(0.5 * style.line_pt, 0.4 * cell_mm / points_mm(1))
    if 1 < len(groups) <= _MOST_GROUPS:
        for group in groups[1:]:
            for line in (ax.axhline, ax.axvline):
                line(group.start - 0.5, color="white", linewidth=width)


def _arm(style: FigureStyle) -> float:
    """Return how far a bracket reaches out, in mm: farther than its line is wide."""
    return max(_LEAST_ARM, 0.25 * points_mm(style.small_pt))


def _picture(style: FigureStyle) -> float:
    return max(_LEAST_PICTURE, 2.0 * points_mm(style.small_pt))


def _fitted(labels: Sequence[str], rooms_mm: Sequence[float], style: FigureStyle) -> tuple[list[str], float]:
    """Return labels that fit, and their size: smaller first, then without the letters all begin with, then cut."""
    whole = [printable(label) for label in labels]
    stems = [label.rstrip("0123456789") for label in whole]
    shared = next(
        (n for n, letters in enumerate(zip(*stems, strict=False)) if len(set(letters)) > 1), min(map(len, stems))
    )
    ends = [label[shared:] for label in whole]
    for texts in (whole, ends) if all(ends) else (whole,):
        for size in (style.small_pt, style.least_pt):
            if all(_width(text, size) <= room for text, room in zip(texts, rooms_mm, strict=True)):
                return texts, size
    return [_cut(label, room, style.least_pt) for label, room in zip(whole, rooms_mm, strict=True)], style.least_pt


def _width(text: str, size: float) -> float:
    wide, *_ = text_to_path.get_text_width_height_descent(
        text, FontProperties(family=usable_font(), size=size), False
    )
    return points_mm(wide)


def _cut(label: str, room_mm: float, size: float) -> str:
    """Return as much of a label as there is room for; nothing where not even three letters would fit."""
    if _width(label, size) <= room_mm:
        return label
    letters = int((room_mm + 0.3) / (0.58 * points_mm(size)))
    return f"{label[: letters - 1]}…" if letters >= 3 else ""


def _bracket(ax: Axes, x: Sequence[float], y: Sequence[float], style: FigureStyle) -> None:
    ax.plot(x, y, color=HUMAN_COLOR, linewidth=0.6 * style.line_pt, solid_capstyle="butt", solid_joinstyle="miter")
