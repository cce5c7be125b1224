"""The tests of a layer curve: a row of marks under the curves for each, one mark a layer that passes."""

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.canvas import beside_axes, points_mm, size_mm
from rsa_face.figures.layer_marks import Block
from rsa_face.figures.palette import CEILING_COLOR
from rsa_face.figures.style import FigureStyle
from rsa_face.figures.ticks import mark_significant

_TESTS = (("p_above_zero", "above 0"), ("p_below_ceiling", "below ceiling"))
_MOST = 0.5  # of the axes


def draw_tests(ax: Axes, result: xr.Dataset, blocks: Sequence[Block], alpha: float, style: FigureStyle) -> None:
    """Draw a row of marks under the curves for each test, one mark a layer that passes it.

    Networks in the same place have a line each; nothing is drawn where those would take more than half of the axes.

    Parameters
    ----------
    ax : Axes
        Changed.
    result : Dataset, dims (rdm, ...)
        A comparison. Not changed.
    blocks : sequence of Block
        The networks.
    alpha : float
        The level below which a p value is marked.
    style : FigureStyle
        The sizes in force.
    """
    tests = _tests_of(result) if _strip(ax, result, blocks, style) else []
    if not tests:
        return
    low, high = ax.get_ylim()
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    type_mm = points_mm(style.small_pt)
    line, gap, lines = _spacing(blocks, style)
    unit = (high - low) / room_for_tests(ax, result, blocks, style)
    ax.axhline(low, color=CEILING_COLOR, linewidth=0.5 * style.line_pt)
    corrected = all(name.endswith("_corrected") for name, _ in tests)
    beside_axes(ax, low + 0.7 * type_mm * unit, f"p < {alpha:g}{'' if corrected else ', uncorrected'}", style)
    y = low - gap * unit
    for name, text in tests:
        for block in blocks:
            row = y - (block.line + 0.5) * line * unit
            mark_significant(ax, block.x, _passes(result, name, alpha)[block.rows], row, block.color, style)
        beside_axes(ax, y - 0.5 * lines * line * unit, text, style)
        y -= (lines * line + gap) * unit
    ax.set_ylim(y, high)
    ax.set_yticks(ticks)


def room_for_tests(ax: Axes, result: xr.Dataset, blocks: Sequence[Block], style: FigureStyle) -> float:
    """Return how high the part of axes above the rows of tests is.

    Parameters
    ----------
    ax : Axes
        The axes, before their layers are named.
    result : Dataset, dims (rdm, ...)
        A comparison. Not changed.
    blocks : sequence of Block
        The networks.
    style : FigureStyle
        The sizes in force.

    Returns
    -------
    float
        In mm, 5 at least.
    """
    return max(size_mm(ax)[1] - _strip(ax, result, blocks, style) - 2 * points_mm(style.text_pt), 5.0)


def _strip(ax: Axes, result: xr.Dataset, blocks: Sequence[Block], style: FigureStyle) -> float:
    """Return how high all rows of tests are, in mm: 0 where they are not drawn."""
    line, gap, lines = _spacing(blocks, style)
    tests = len(_tests_of(result))
    strip = gap + tests * (lines * line + gap) if tests else 0.0
    return strip if strip <= _MOST * size_mm(ax)[1] else 0.0


def _tests_of(result: xr.Dataset) -> list[tuple[str, str]]:
    return [(_best(result, name), text) for name, text in _TESTS if name in result or f"{name}_corrected" in result]


def _spacing(blocks: Sequence[Block], style: FigureStyle) -> tuple[float, float, int]:
    """Return how high a line of marks is, what is left between rows, in mm, and how many lines a row has."""
    type_mm = points_mm(style.small_pt)
    lines = 1 + max(block.line for block in blocks)
    return (0.6 if lines > 1 else 1.1) * type_mm, 0.6 * type_mm, lines


def _passes(result: xr.Dataset, name: str, alpha: float) -> np.ndarray:
    passed = np.asarray(result[name].values < alpha)
    if name.startswith("p_below_ceiling") and "noise_ceiling" in result:
        passed &= np.asarray(result["similarity"].values < float(result["noise_ceiling"].values[0]))
    return passed


def _best(result: xr.Dataset, name: str) -> str:
    return f"{name}_corrected" if f"{name}_corrected" in result else name
