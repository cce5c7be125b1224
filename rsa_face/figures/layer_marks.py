"""The marks of a layer curve: networks' blocks, bands, the noise ceiling, the FE block."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.canvas import beside_axes, points_mm, size_mm
from rsa_face.figures.palette import (
    CEILING_COLOR,
    QUIET,
    in_order,
    ink,
    network_colors,
    network_label,
    network_markers,
)
from rsa_face.figures.style import FigureStyle
from rsa_face.schema import BOUND, DEPTH, LAYER, NETWORK, ORDER, RDM, split_seed

_FE_LAYERS = ("fe", "fe_gate")
_GAP = 1.3


@dataclass(frozen=True)
class Block:
    """One network's place along the horizontal axis.

    Parameters
    ----------
    network : str
        Its name.
    title : str
        What stands above it, in one line or several.
    line : int
        Which of the networks in the same place it is, from 0: a seed, or any network along depth.
    rows : array of int
        Places of its layers along the result's `rdm`, in order.
    layers : tuple of str
        Their names.
    x : array of float
        Where each is drawn.
    color, marker : str
        How.
    """

    network: str
    title: str
    line: int
    rows: np.ndarray
    layers: tuple[str, ...]
    x: np.ndarray
    color: str
    marker: str


def place_blocks(result: xr.Dataset, shown: Sequence[str], along: str, ax: Axes, style: FigureStyle) -> list[Block]:
    """Give each network its place along the horizontal axis, with room for its name; seeds of one share theirs.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison. Not changed.
    shown : sequence of str
        Networks, in order.
    along : {"layer", "depth"}
        As for `plot_layers`.
    ax : Axes
        The axes to fill.
    style : FigureStyle
        The sizes in force.

    Returns
    -------
    list of Block
        One for each network.
    """
    everyone = in_order(map(str, result[NETWORK].values))
    colors, markers = network_colors(everyone), network_markers(everyone)
    groups = [list(shown)] if along == "depth" else seeds_together(result, shown)
    titles = ["\n".join(title_of(group)) for group in groups]
    counts = [len(rows_in_order(result, group[:1])) for group in groups]
    starts = _starts(titles, counts, size_mm(ax)[0] - 6 * points_mm(style.text_pt), style)
    blocks = []
    for group, title, start in zip(groups, titles, starts, strict=True):
        for line, name in enumerate(group):
            row = rows_in_order(result, [name])
            layers = tuple(str(layer) for layer in result[LAYER].values[row])
            depth = result[DEPTH].values[row].astype(float)
            x = depth if along == "depth" else start + np.arange(len(row), dtype=float)
            blocks.append(Block(name, title, line, row, layers, x, colors[name], markers[name]))
    return blocks


def seeds_together(result: xr.Dataset, networks: Sequence[str]) -> list[list[str]]:
    """Return networks in the groups that are drawn in one place: those that differ in their seed alone.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        Anything by layer. Not changed.
    networks : sequence of str
        Some of its networks.

    Returns
    -------
    list of list of str
        Groups with the same layers, in the order of their first networks.
    """
    groups: dict[tuple[object, ...], list[str]] = {}
    for name in networks:
        layers = result[LAYER].values[rows_in_order(result, [name])]
        groups.setdefault((split_seed(name)[0], *map(str, layers)), []).append(name)
    return list(groups.values())


def title_of(group: Sequence[str]) -> list[str]:
    """Return what stands above networks that are drawn in one place.

    Parameters
    ----------
    group : sequence of str
        From `seeds_together`.

    Returns
    -------
    list of str
        Lines: a network's name; or of several, what they share and how many seeds they are.
    """
    if len(group) == 1:
        return [network_label(group[0])]
    name, _, start = network_label(split_seed(group[0])[0]).partition(" ")
    return [*filter(None, [name, start]), f"{len(group)} seeds"]


def rows_in_order(result: xr.Dataset, networks: Sequence[str]) -> np.ndarray:
    """Return where networks' layers stand in a result, from first to last.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison. Not changed.
    networks : sequence of str
        Networks, in order.

    Returns
    -------
    array of int
        Places along `rdm`.
    """
    names = result[NETWORK].values.astype(str)
    along = result[ORDER if ORDER in result.coords else DEPTH].values
    rows = [np.flatnonzero(names == network) for network in networks]
    return np.concatenate([row[np.argsort(along[row], kind="stable")] for row in rows])


def _starts(titles: Sequence[str], counts: Sequence[int], width_mm: float, style: FigureStyle) -> list[float]:
    """Leave each network room for its name: one of two layers needs more than two steps."""
    needs = [0.75 * points_mm(style.text_pt) * max(map(len, title.split("\n"))) for title in titles]
    spans = [float(count) for count in counts]
    for _ in range(3):
        step = width_mm / (sum(spans) + _GAP * len(spans))
        spans = [max(count, need / step) for count, need in zip(counts, needs, strict=True)]
    starts, edge = [], 0.0
    for count, span in zip(counts, spans, strict=True):
        starts.append(edge + (span - count) / 2)
        edge += span + _GAP
    return starts


def draw_ceiling(ax: Axes, result: xr.Dataset, style: FigureStyle) -> None:
    """Draw the noise ceiling as a band, and the line of no similarity.

    Parameters
    ----------
    ax : Axes
        Changed.
    result : Dataset, dims (rdm, ...)
        A comparison. Not changed.
    style : FigureStyle
        The sizes in force.
    """
    ax.axhline(0, color=QUIET, linewidth=0.5 * style.line_pt, linestyle=(0, (3, 2)), zorder=0.6)
    if "noise_ceiling" not in result:
        return
    lower, upper = (float(value) for value in result["noise_ceiling"].values)
    ax.axhspan(lower, upper, color=CEILING_COLOR, linewidth=0, zorder=0.5)
    beside_axes(ax, (lower + upper) / 2, "noise\nceiling", style)


def draw_curve(ax: Axes, result: xr.Dataset, block: Block, style: FigureStyle, *, banded: bool) -> None:
    """Draw a network's similarities and their intervals.

    Parameters
    ----------
    ax : Axes
        Changed.
    result : Dataset, dims (rdm, ...)
        A comparison. Not changed.
    block : Block
        The network.
    style : FigureStyle
        The sizes in force.
    banded : bool
        Whether intervals are a band; else a bar for each layer.
    """
    values = result["similarity"].values[block.rows]
    ax.plot(block.x, values, color=block.color, marker=block.marker, label=network_label(block.network), zorder=3)
    if "similarity_interval" not in result:
        return
    lower, upper = result["similarity_interval"].transpose(BOUND, RDM).values[:, block.rows]
    if len(block.x) == 1 or not banded:
        ax.vlines(block.x, lower, upper, color=block.color, linewidth=0.6 * style.line_pt, alpha=0.6, zorder=2)
    else:
        ax.fill_between(block.x, lower, upper, color=block.color, alpha=0.22, linewidth=0, zorder=2)


def draw_partial(ax: Axes, partial: xr.Dataset, block: Block, style: FigureStyle) -> None:
    """Draw what remains of the similarities given the controls: dashed, with open marks.

    Parameters
    ----------
    ax : Axes
        Changed.
    partial : Dataset, dims (rdm, ...)
        With ``similarity``. Not changed.
    block : Block
        The network.
    style : FigureStyle
        The sizes in force.
    """
    labels = [f"{block.network}/{layer}" for layer in block.layers]
    values = matched(partial, np.array(labels, dtype=object), "similarity")
    ax.plot(block.x, values, color=block.color, marker=block.marker, markerfacecolor="white",
            markeredgewidth=0.7 * style.line_pt, linestyle=(0, (2.5, 1.2)), zorder=2.5)  # fmt: skip


def matched(dataset: xr.Dataset, labels: np.ndarray, variable: str) -> np.ndarray:
    """Return a variable at the named RDMs.

    Parameters
    ----------
    dataset : Dataset, dims (rdm, ...)
        Where to look. Not changed.
    labels : array of str
        Names along `rdm`.
    variable : str
        Which variable.

    Returns
    -------
    array of float
        NaN where a name is not there.
    """
    found = dict(zip(map(str, dataset[RDM].values), dataset[variable].values, strict=True))
    return np.array([found.get(str(label), np.nan) for label in labels], dtype=float)


def excited(block: Block) -> np.ndarray:
    """Return where a network's feature-excitation block stands.

    Parameters
    ----------
    block : Block
        The network.

    Returns
    -------
    array of float
        Empty where it has none.
    """
    return block.x[[layer in _FE_LAYERS for layer in block.layers]]


def mark_excitation(ax: Axes, blocks: Sequence[Block], style: FigureStyle, along: str, *, lines: int = 0) -> None:
    """Mark where the feature-excitation block stands.

    Parameters
    ----------
    ax : Axes
        Changed.
    blocks : sequence of Block
        The networks.
    style : FigureStyle
        The sizes in force.
    along : {"layer", "depth"}
        As for `plot_layers`.
    lines : int
        Lines of text at the upper edge that the name stays clear of.
    """
    marked: set[float] = set()
    for block in blocks:
        inside = excited(block)
        if inside.size == 0 or inside.mean() in marked:
            continue
        marked.add(inside.mean())
        reach = 0.45 if along == "layer" else 0.012
        ax.axvspan(inside.min() - reach, inside.max() + reach, color=block.color, alpha=0.10, linewidth=0, zorder=0.4)
        ax.annotate("FE", (inside.mean(), 1), (0, -(0.3 + 1.7 * lines) * style.small_pt), ("data", "axes fraction"),
                    "offset points", color=ink(block.color), fontsize=style.small_pt, ha="center", va="top",
                    weight="bold")  # fmt: skip
