"""Two groups of participants: how similar a network's layers are to each, and by how much they differ."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from rsa_face.figures.captions import caption_of_people
from rsa_face.figures.layers import similarity_label
from rsa_face.figures.layout import (
    beside_axes,
    blank_axes,
    inset_mm,
    keep_source,
    legend_above,
    mark_significant,
    name_layers_below,
    name_values,
    note_of,
    note_on_sheet,
    points_mm,
    sheet_mm,
)
from rsa_face.figures.style import QUIET, FigureStyle, drawing, network_colors, network_label, network_markers
from rsa_face.schema import BOUND, BOUNDS, LAYER, NETWORK, PEOPLE, RDM, must_be_known, must_hold, table_along

_DASHED = (0, (2.5, 1.2))


def plot_people(
    result: xr.Dataset, *, network: str | None = None, ax: Axes | None = None, alpha: float = 0.05
) -> Axes:
    """Draw how similar a network's layers are to two groups of participants, and the difference below.

    Bands around the curves are intervals of each layer; lines across are the lower noise ceilings of the groups.
    Below stand the difference with its interval, and a square where it is significant, corrected over layers.

    Parameters
    ----------
    result : Dataset, dims (people, rdm), (rdm,)
        As `contrast_groups` returns it. Not changed.
    network : str, optional
        Whose layers; the first there is if None.
    ax : Axes, optional
        A sheet to draw on; a new figure if None.
    alpha : float
        The level of the tests.

    Returns
    -------
    Axes
        The sheet that holds the two panels.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> result = xr.Dataset(
    ...     {"similarity": (("people", "rdm"), [[0.1, 0.3], [0.1, 0.2]]), "difference": ("rdm", [0.0, 0.1]),
    ...      "similarity_interval": (("people", "rdm", "bound"), [[[0, 0.2], [0.2, 0.4]], [[0, 0.2], [0.1, 0.3]]]),
    ...      "difference_interval": (("rdm", "bound"), [[-0.1, 0.1], [0.02, 0.18]]),
    ...      "p_difference_corrected": ("rdm", [0.9, 0.03])},
    ...     {"people": ["patients", "controls"], "rdm": ["alexnet/relu1", "alexnet/fc8"],
    ...      "network": ("rdm", ["alexnet"] * 2), "layer": ("rdm", ["relu1", "fc8"]), "bound": ["lower", "upper"]})
    >>> [len(panel.lines) for panel in plot_people(result).child_axes]
    [2, 2]
    """
    must_hold(result, ("difference", "similarity"), "What `contrast_groups` returned")
    if NETWORK not in result.coords:
        result = result.assign_coords({NETWORK: (RDM, [""] * result.sizes[RDM]), LAYER: (RDM, result[RDM].data)})
    name = str(result[NETWORK].values[0]) if network is None else network
    must_be_known(name, list(dict.fromkeys(map(str, result[NETWORK].values))), "network")
    table = table_along(result, RDM, across=PEOPLE)
    table = table[table[NETWORK] == name]
    names = [str(each) for each in result[PEOPLE].values]
    color, marker = network_colors([name])[name], network_markers([name])[name]
    x = np.arange(len(table), dtype=float)
    with drawing(ax) as style:
        line = points_mm(style.text_pt)
        if ax is None:
            ax = blank_axes(width_mm=style.single_mm, height_mm=37 * line)
        width, height = sheet_mm(ax)
        left, top = 7 * line, 6 * line
        wide, tall = width - left - 5.5 * line, (height - top - 7 * line) / 2
        upper = inset_mm(ax, left, top, wide, tall)
        lower = inset_mm(ax, left, top + tall + 1.5 * line, wide, tall)
        marks = []
        for place, (group, open_mark) in enumerate(zip(names, (False, True), strict=True)):
            look: dict[str, Any] = {"color": color, "marker": marker, "linestyle": _DASHED if open_mark else "-",
                    "markerfacecolor": "white" if open_mark else color}  # fmt: skip
            upper.plot(x, table[f"similarity_{group}"], zorder=3, **look)
            limits = [f"similarity_interval_{group}_{bound}" for bound in BOUNDS]
            if limits[0] in table:
                upper.fill_between(x, table[limits[0]], table[limits[1]], color=color, linewidth=0, zorder=1,
                                   alpha=0.1 + 0.08 * (1 - place))  # fmt: skip
            _draw_ceiling(upper, result, place, style, dashed=open_mark)
            marks.append(Line2D([], [], **look))
        upper.set_xlim(-0.8, len(x) - 0.2)
        upper.set_xticks([])
        name_values(upper, similarity_label(result.attrs), style)
        legend_above(upper, marks, [_counted(result, group) for group in names], style)
        _draw_difference(lower, table, x, color, marker, alpha, style)
        name_values(lower, f"{names[0]} − {names[1]}", style)
        name_layers_below(lower, x, [str(each) for each in table[LAYER]], style)
        ax.text(left, 2 * line, network_label(name), fontsize=style.text_pt, weight="bold", va="center",
                parse_math=False)  # fmt: skip
        note_on_sheet(ax, note_of(result.attrs, [name]), style)
        keep_source(ax, table, name="people", caption=caption_of_people(result, name))
    return ax


def _counted(result: xr.Dataset, group: str) -> str:
    return f"{group} (n = {int(result['participants'].sel(people=group))})" if "participants" in result else group


def _draw_ceiling(ax: Axes, result: xr.Dataset, place: int, style: FigureStyle, *, dashed: bool) -> None:
    if "noise_ceiling" not in result:
        return
    low = float(result["noise_ceiling"].isel(people=place).sel({BOUND: "lower"}))
    ax.axhline(low, color=QUIET, linewidth=0.7 * style.line_pt, linestyle=_DASHED if dashed else "-", zorder=0.7)
    if not dashed:
        both = result["noise_ceiling"].sel({BOUND: "lower"}).values
        beside_axes(ax, float(both.mean()), "noise\nceilings", style)


def _draw_difference(
    ax: Axes, table: pd.DataFrame, x: np.ndarray, color: str, marker: str, alpha: float, style: FigureStyle
) -> None:
    ax.axhline(0, color=QUIET, linewidth=0.5 * style.line_pt, linestyle=_DASHED, zorder=0.6)
    ax.plot(x, table["difference"], color=color, marker=marker, zorder=3)
    if "difference_interval_lower" in table:
        ax.fill_between(x, table["difference_interval_lower"], table["difference_interval_upper"], color=color,
                        alpha=0.18, linewidth=0, zorder=1)  # fmt: skip
    ax.set_xlim(-0.8, len(x) - 0.2)
    low, high = ax.get_ylim()
    y = low - 0.07 * (high - low)
    mark_significant(ax, x, table["p_difference_corrected"].to_numpy() < alpha, y, color, style)
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    ax.set_ylim(y - 0.06 * (high - low), high)
    ax.set_yticks(ticks)
    beside_axes(ax, y, f"p < {alpha:g}", style)
