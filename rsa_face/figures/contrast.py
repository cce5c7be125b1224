"""Where one network is more like people than another: their difference at every matched layer."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.canvas import (
    add_note,
    beside_axes,
    keep_source,
    new_axes,
    note_of,
    points_mm,
    size_mm,
)
from rsa_face.figures.palette import QUIET, network_colors, network_label, network_markers
from rsa_face.figures.style import FigureStyle, drawing
from rsa_face.figures.ticks import mark_significant, name_layers_below, name_values
from rsa_face.schema import BOUND, LAYER, comparison_label

_TESTS = ("p_difference_corrected", "p_difference_holm", "p_difference_fdr", "p_difference")


def plot_contrast(contrast: xr.Dataset, *, ax: Axes | None = None, alpha: float = 0.05) -> Axes:
    """Draw a network's similarity to people minus its baseline's, with the band that holds for all layers at once.

    Where the band leaves 0 the networks differ, however many layers were looked at. The strong bars are the
    intervals of each layer by itself.

    Parameters
    ----------
    contrast : Dataset, dims (layer, bound)
        As `contrast_layers` returns it: ``difference``, and where there are any ``difference_band``,
        ``difference_interval`` and p values. Not changed.
    ax : Axes, optional
        Where to draw; a new figure if None.
    alpha : float
        The level below which a corrected p value is marked.

    Returns
    -------
    Axes
        The axes drawn on.
    """
    network, baseline = (str(contrast.attrs.get(name, name)) for name in ("network", "baseline"))
    color, marker = network_colors([network])[network], network_markers([network])[network]
    table = contrast_table(contrast)
    x = np.arange(len(table), dtype=float)
    with drawing(ax) as style:
        if ax is None:
            ax = new_axes(width_mm=style.single_mm, height_mm=24 * points_mm(style.text_pt))
        ax.axhline(0, color=QUIET, linewidth=0.5 * style.line_pt, linestyle=(0, (3, 2)), zorder=0.6)
        if "difference_band_lower" in table:
            ax.fill_between(x, table["difference_band_lower"], table["difference_band_upper"], color=color, alpha=0.2,
                            linewidth=0, zorder=1)  # fmt: skip
        if "difference_interval_lower" in table:
            ax.vlines(x, table["difference_interval_lower"], table["difference_interval_upper"], color=color,
                      linewidth=0.8 * style.line_pt, zorder=2)  # fmt: skip
        ax.plot(x, table["difference"], color=color, marker=marker, zorder=3)
        ax.set_xlim(-0.8, len(x) - 0.2)
        _draw_test(ax, table, x, alpha, color, style)
        name_layers_below(ax, x, [str(name) for name in table[LAYER]], style)
        name_values(ax, _label(network, baseline, str(contrast.attrs.get("comparison", ""))), style)
        add_note(ax, note_of(contrast.attrs, [network, baseline]), style)
        keep_source(ax, table, name="contrast")
    return ax


def contrast_table(contrast: xr.Dataset) -> pd.DataFrame:
    """Return the numbers of a contrast, one row a layer, as figure and report draw them."""
    columns = {str(name): contrast[name].values for name in contrast.coords if contrast[name].dims == (LAYER,)}
    for name in map(str, contrast.data_vars):
        if contrast[name].dims == (LAYER,):
            columns[name] = contrast[name].values
        elif set(contrast[name].dims) == {LAYER, BOUND}:
            lower, upper = contrast[name].transpose(BOUND, LAYER).values
            columns |= {f"{name}_lower": lower, f"{name}_upper": upper}
    return pd.DataFrame(columns)


def shown_test(table: pd.DataFrame) -> str | None:
    """Return which p value of a contrast is shown: a corrected one where there is any."""
    return next((test for test in _TESTS if test in table), None)


def _label(network: str, baseline: str, comparison: str) -> str:
    named = comparison_label(comparison)
    minus = f"{network_label(network)} − {network_label(baseline)}"
    return f"{minus}\nin similarity ({named})" if named else f"{minus}\nin similarity"


def _draw_test(ax: Axes, table: pd.DataFrame, x: np.ndarray, alpha: float, color: str, style: FigureStyle) -> None:
    name = shown_test(table)
    if name is None:
        return
    low, high = ax.get_ylim()
    unit = (high - low) / max(size_mm(ax)[1] - 2 * points_mm(style.text_pt), 5.0)
    y = low - 0.5 * points_mm(style.small_pt) * unit
    mark_significant(ax, x, table[name].to_numpy() < alpha, y, color, style)
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    ax.set_ylim(y - 0.9 * points_mm(style.small_pt) * unit, high)
    ax.set_yticks(ticks)
    said = f"p < {alpha:g}" + (",\nuncorrected" if name == "p_difference" else "")
    beside_axes(ax, y, said, style)
