"""Networks compared at one layer each: bars, every participant a dot, the noise ceiling, planned comparisons."""

from collections.abc import Mapping, Sequence
from typing import Any

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
    printable,
    size_mm,
)
from rsa_face.figures.palette import CEILING_COLOR, in_order, network_colors, network_label
from rsa_face.figures.style import FigureStyle, drawing
from rsa_face.figures.ticks import name_values
from rsa_face.schema import BOUND, LAYER, NETWORK, ORDER, RDM, comparison_label


def plot_networks(
    result: xr.Dataset,
    *,
    ax: Axes | None = None,
    layers: Mapping[str, str] | None = None,
    compared: Sequence[tuple[str, str, float]] = (),
) -> Axes:
    """Draw the similarity of networks to people at one layer each, a dot for each participant.

    The layer must be chosen beforehand: bars of the layers that happened to come out best would flatter every
    network. So the last layer is taken where none is named.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison, as `compare_layers` returns it. Not changed.
    ax : Axes, optional
        Where to draw; a new figure if None.
    layers : mapping of str to str, optional
        Network to layer; networks that are left out are not shown. The last layer of each if None.
    compared : sequence of (str, str, float)
        Planned comparisons: two networks and the p value, corrected for their number, written over a bracket.

    Returns
    -------
    Axes
        The axes drawn on.

    Raises
    ------
    ValueError
        If a layer is not in the result, or a comparison names a network that is not shown.
    """
    rows = _rows(result, layers)
    unknown = sorted({name for pair in compared for name in pair[:2]} - set(rows))
    if unknown:
        message = f"Planned comparisons must be between networks that are shown, but {unknown} are not: {list(rows)}."
        raise ValueError(message)
    colors = network_colors(map(str, result[NETWORK].values))
    with drawing(ax) as style:
        if ax is None:
            ax = new_axes(width_mm=style.single_mm, height_mm=min(27 * points_mm(style.text_pt), style.tallest_mm))
        _draw_ceiling(ax, result, style)
        for place, (network, row) in enumerate(rows.items()):
            _draw_network(ax, result.isel({RDM: row}), place, colors[network], style)
        ax.axhline(0, color="#222222", linewidth=0.6 * style.line_pt)
        spare = max(4 - len(rows), 0) / 2
        ax.set_xlim(-0.6 - spare, len(rows) - 0.4 + spare)
        names = [str(result[LAYER].values[row]) for row in rows.values()]
        labels = [
            printable(network_label(name)) + "\n" + printable(layer) for name, layer in zip(rows, names, strict=True)
        ]
        longest = max(len(line) for label in labels for line in label.split("\n"))
        fits = 0.6 * points_mm(style.small_pt) * longest < size_mm(ax)[0] / (len(rows) + 0.2 + 2 * spare)
        lean: dict[str, Any] = {} if fits else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        labels = labels if fits else [label.replace("\n", " ") for label in labels]
        ax.set_xticks(range(len(rows)), labels, parse_math=False, **lean)
        ax.tick_params(axis="x", length=0)
        comparison = str(result.attrs.get("comparison", ""))
        name_values(ax, f"Similarity to people\n({comparison_label(comparison)})", style)
        _draw_brackets(ax, [(list(rows).index(a), list(rows).index(b), p) for a, b, p in compared], style)
        add_note(ax, note_of(result.attrs, rows), style)
        keep_source(ax, _table(result, rows), name="networks")
    return ax


def _rows(result: xr.Dataset, layers: Mapping[str, str] | None) -> dict[str, int]:
    names, at = result[NETWORK].values.astype(str), result[LAYER].values.astype(str)
    order = np.asarray(result[ORDER].values if ORDER in result.coords else np.arange(len(names)), dtype=float)
    chosen: dict[str, int] = {}
    for network in in_order(names if layers is None else layers):
        members = np.flatnonzero(names == network)
        if layers is not None:
            members = members[at[members] == layers[network]]
        if len(members) == 0:
            have = sorted(set(at[names == network].tolist()))
            wanted = layers[network] if layers else "layer"
            message = f"Layers to compare must be in the result, but {network!r} has no {wanted!r}. It has {have}."
            raise ValueError(message)
        chosen[network] = int(members[np.argmax(order[members])])
    return chosen


def _draw_ceiling(ax: Axes, result: xr.Dataset, style: FigureStyle) -> None:
    if "noise_ceiling" in result:
        lower, upper = (float(value) for value in result["noise_ceiling"].values)
        ax.axhspan(lower, upper, color=CEILING_COLOR, linewidth=0, zorder=0.5)
        beside_axes(ax, (lower + upper) / 2, "noise\nceiling", style)


def _draw_network(ax: Axes, layer: xr.Dataset, place: int, color: str, style: FigureStyle) -> None:
    value = float(layer["similarity"])
    ax.bar(place, value, width=0.62, color=color, alpha=0.55, linewidth=0, zorder=1)
    if "participant_similarity" in layer:
        each = layer["participant_similarity"].values
        spread = np.linspace(-0.22, 0.22, len(each)) if len(each) > 1 else np.zeros(1)
        ax.scatter(place + spread, each, s=(0.36 * style.small_pt) ** 2, color=color, edgecolor="white",
                   linewidth=0.3 * style.line_pt, zorder=2)  # fmt: skip
    if "similarity_interval" in layer:
        lower, upper = layer["similarity_interval"].transpose(BOUND).values
        ax.vlines(place, lower, upper, color="#222222", linewidth=1.2 * style.line_pt, zorder=3)
    ax.plot(place, value, marker="o", color="#222222", markersize=0.45 * style.small_pt, zorder=3)


def _draw_brackets(ax: Axes, pairs: Sequence[tuple[int, int, float]], style: FigureStyle) -> None:
    low, high = ax.get_ylim()
    row = 2.0 * points_mm(style.small_pt)
    (left, right), (width, height) = ax.get_xlim(), size_mm(ax)
    unit = (high - low) / max(height - len(pairs) * row, 8.0)
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    for level, (a, b, p) in enumerate(sorted(pairs, key=lambda pair: abs(pair[0] - pair[1]))):
        y = high + (level + 0.35) * row * unit
        ax.plot([a, a, b, b], [y - 0.6 * unit, y, y, y - 0.6 * unit], color="#222222", linewidth=0.6 * style.line_pt)
        said = "p < 0.001" if p < 0.001 else "p = 1" if p > 0.9995 else f"p = {p:.3f}"
        half = 0.3 * points_mm(style.small_pt) * len(said) * (right - left) / width
        ax.annotate(said, (max((a + b) / 2, left + half), y), (0, 0.3 * style.small_pt), textcoords="offset points",
                    ha="center", fontsize=style.small_pt)  # fmt: skip
    ax.set_ylim(low, high + len(pairs) * row * unit)
    ax.set_yticks(ticks)


def _table(result: xr.Dataset, rows: Mapping[str, int]) -> pd.DataFrame:
    lines = []
    for network, row in rows.items():
        layer = result.isel({RDM: row})
        line = {"network": network, "layer": str(layer[LAYER].item()), "similarity": float(layer["similarity"])}
        if "similarity_interval" in layer:
            line["lower"], line["upper"] = layer["similarity_interval"].values
        if "participant_similarity" in layer:
            people, each = layer["participant"].values, layer["participant_similarity"].values
            line |= {f"participant {name}": value for name, value in zip(people, each, strict=True)}
        lines.append(line)
    return pd.DataFrame(lines)
