"""Bars of the share of saliency in each region of the face, a panel for each occlusion."""

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.canvas import inset_mm, points_mm, printable
from rsa_face.figures.palette import QUIET, network_colors
from rsa_face.figures.style import FigureStyle
from rsa_face.schema import NETWORK, STIMULUS

_WHOLE = {"none": "whole face"}


def draw_bars(
    ax: Axes,
    regions: xr.Dataset,
    networks: list[str],
    frame: tuple[float, float, float, float],
    style: FigureStyle,
    *,
    stacked: bool,
) -> pd.DataFrame:
    """Draw bars of the share of saliency in each region, a panel for each occlusion, all on one scale.

    Parameters
    ----------
    ax : Axes
        From `blank_axes`, its limits its size in mm. Changed.
    regions : Dataset, dims (stimulus, region) or with a network
        From `saliency_regions` or `join_networks`. Not changed.
    networks : list of str
        In the order of the bars.
    frame : tuple of float
        Left, top, width and height in mm: of the axes with what is above and below them, but not what is beside.
    style : FigureStyle
        The sizes in force.
    stacked : bool
        Whether the panels stand under one another; else side by side.

    Returns
    -------
    DataFrame
        What is drawn: a row for each bar.
    """
    line = points_mm(style.small_pt)
    left, top, width, height = frame
    table = _averages(regions)
    occlusions = list(dict.fromkeys(table["occlusion"]))
    highest = float((table["proportion"] + table["se"].fillna(0)).max())
    highest = highest if highest > 0 else 1.0  # every map is 0 everywhere: nothing stands above the axis
    title, names, gap, count = 1.5 * line, 1.5 * line, 2 * line, len(occlusions)
    each, tall = (width - gap * (count - 1)) / count, (height - names) / count
    for place, occlusion in enumerate(occlusions):
        if stacked:
            panel = inset_mm(ax, left, top + place * tall + title, width, tall - title)
        else:
            panel = inset_mm(ax, left + place * (each + gap), top + title, each, height - title - names)
        _draw_panel(panel, table[table["occlusion"] == occlusion], networks, style)
        panel.set_ylim(0, 1.08 * highest)
        panel.set_title(said_of_occlusion(occlusion), fontsize=style.small_pt, loc="left", parse_math=False)
        panel.tick_params(labelleft=stacked or place == 0, labelbottom=not stacked or place == count - 1)
    ax.text(left - 4.2 * line, top + 0.5 * (title + height - names), "Share of saliency", fontsize=style.small_pt,
            rotation=90, ha="center", va="center")  # fmt: skip
    return table


def said_of_occlusion(occlusion: str) -> str:
    """Return what is masked, in words.

    Parameters
    ----------
    occlusion : str
        ``none``, ``eyes``, ...

    Returns
    -------
    str
        A phrase.

    Examples
    --------
    >>> said_of_occlusion("none"), said_of_occlusion("eyes")
    ('whole face', 'eyes masked')
    """
    return _WHOLE.get(occlusion, f"{printable(occlusion)} masked")


def _draw_panel(panel: Axes, here: pd.DataFrame, networks: list[str], style: FigureStyle) -> None:
    names, colors = list(dict.fromkeys(here["region"])), network_colors(networks)
    step = 0.8 / len(networks)
    for number, network in enumerate(networks):
        one = here[here["network"] == network].set_index("region").reindex(names)
        x = np.arange(len(names)) - 0.4 + (number + 0.5) * step
        panel.bar(x, one["proportion"], width=0.92 * step, color=colors[network], linewidth=0)
        panel.vlines(x, one["proportion"] - one["se"], one["proportion"] + one["se"], color="#222222",
                     linewidth=0.6 * style.line_pt)  # fmt: skip
    for number, name in enumerate(names):
        area = float(here[here["region"] == name]["area"].iloc[0])
        for color, dashes in (("white", "-"), (QUIET, (0, (2, 1.5)))):  # seen over dark bars, too
            panel.plot([number - 0.42, number + 0.42], [area, area], color=color, linewidth=0.7 * style.line_pt,
                       linestyle=dashes)  # fmt: skip
    panel.set_xticks(range(len(names)), [printable(name) for name in names], fontsize=style.small_pt)
    panel.tick_params(axis="x", length=0)


def _averages(regions: xr.Dataset) -> pd.DataFrame:
    frame = regions["proportion"].to_dataframe().reset_index()
    area = regions["area"].mean(STIMULUS).to_series()
    frame["occlusion"] = frame.get("occlusion", "none")
    groups = frame.groupby(["occlusion", "region", NETWORK], sort=False)["proportion"]
    table = groups.agg(proportion="mean", se="sem", faces="count").reset_index()
    return table.assign(area=table["region"].map(area))
