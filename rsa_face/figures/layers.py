"""The layer curve: how similar each layer of each network is to people, from the first layer to the last."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.canvas import (
    add_note,
    keep_source,
    new_axes,
    note_of,
    points_mm,
    printable,
    size_mm,
)
from rsa_face.figures.layer_marks import (
    Block,
    draw_ceiling,
    draw_curve,
    draw_partial,
    excited,
    mark_excitation,
    matched,
    place_blocks,
    rows_in_order,
    seeds_together,
)
from rsa_face.figures.layer_tests import draw_tests, room_for_tests
from rsa_face.figures.legends import legend_above, name_of
from rsa_face.figures.palette import QUIET, in_order, ink, network_label
from rsa_face.figures.style import FigureStyle, drawing
from rsa_face.figures.ticks import name_layers_below, name_values
from rsa_face.schema import BOUND, DEPTH, LAYER, MEASURE, NETWORK, RDM, comparison_label, must_be_known


def plot_layers(
    result: xr.Dataset,
    *,
    ax: Axes | None = None,
    partial: xr.Dataset | None = None,
    networks: Sequence[str] | None = None,
    along: str = "layer",
    alpha: float = 0.05,
) -> Axes:
    """Draw the similarity of every layer to people, with its interval, the noise ceiling and the tests.

    Networks stand side by side with their layers by name, on one axis of similarity, those that differ in their seed
    alone in one place; or all over one another along relative depth. What the result does not hold is not drawn, nor
    are tests of so many networks over one another that their marks would take more room than the curves.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison, as `compare_layers` returns it: ``similarity``, and where there are any
        ``similarity_interval``, ``noise_ceiling`` and p values (the corrected ones are preferred). Not changed.
    ax : Axes, optional
        Where to draw; a new figure if None.
    partial : Dataset, dims (rdm, ...), optional
        The same comparison with something partialled out, drawn dashed with open marks. Layers are matched by name.
        If None, ``partial_similarity`` of the result itself, where it is there.
    networks : sequence of str, optional
        Which networks to show; all if None.
    along : {"layer", "depth"}
        ``layer``: side by side, one step a layer. ``depth``: over one another, from 0 to 1.
    alpha : float
        The level below which a p value is marked.

    Returns
    -------
    Axes
        The axes drawn on.

    Raises
    ------
    ValueError
        If a network is not in the result, or `along` is unknown.
    """
    must_be_known(along, ("layer", "depth"), "axis of layers")
    present = in_order(str(name) for name in result[NETWORK].values)
    for name in networks or ():
        must_be_known(name, present, "network of this result")
    shown = in_order(networks or present)
    if partial is None and "partial_similarity" in result:
        partial = xr.Dataset({"similarity": result["partial_similarity"]}, attrs=result.attrs)
    with drawing(ax) as style:
        count = int(np.isin(result[NETWORK].values.astype(str), shown).sum())
        if ax is None:
            over_page = along == "layer" and count > 16
            wide = style.double_mm if over_page else max(style.single_mm, 34 * points_mm(style.text_pt))
            tall = max(29 * points_mm(style.text_pt), 0.33 * wide)
            ax = new_axes(width_mm=min(wide, style.double_mm), height_mm=min(tall, style.tallest_mm))
        blocks = place_blocks(result, shown, along, ax, style)
        edges = np.concatenate([block.x for block in blocks])
        ax.set_xlim(*((0, 1.02) if along == "depth" else (edges.min() - 0.8, edges.max() + 0.8)))
        key = None if partial is None else _place_key(ax, partial, blocks, style)
        draw_ceiling(ax, result, style)
        for block in blocks:
            draw_curve(ax, result, block, style, banded=along == "layer" or len(blocks) < 3)
            if partial is not None:
                draw_partial(ax, partial, block, style)
        _limit(ax, result, partial, blocks, style, lines=_lines_above(key, blocks))
        draw_tests(ax, result, blocks, alpha, style)
        mark_excitation(ax, blocks, style, along, lines=int(key is not None and key.in_the_way))
        rows_above = _label_axes(ax, result, blocks, style, along)
        if key is not None:
            _draw_key(ax, key, style)
        add_note(ax, note_of(result.attrs, shown), style, pad=0.6 + 1.6 * rows_above)
        keep_source(ax, layers_table(result, partial=partial, networks=shown), name="layers")
    return ax


def layers_table(
    result: xr.Dataset, *, partial: xr.Dataset | None = None, networks: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the numbers of a layer curve, one row a layer.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison. Not changed.
    partial : Dataset, dims (rdm, ...), optional
        The same with something partialled out.
    networks : sequence of str, optional
        Which networks; all if None.

    Returns
    -------
    DataFrame
        `network`, `layer`, `depth`, `measure`, `similarity`, bounds, p values, noise ceiling, number of participants;
        missing values are empty.
    """
    order = rows_in_order(result, in_order(networks or map(str, result[NETWORK].values)))
    part = result.isel({RDM: order})
    table = pd.DataFrame({name: part[name].values for name in (NETWORK, LAYER, DEPTH) if name in part.coords})
    if MEASURE in part.coords:
        table[MEASURE] = part[MEASURE].values.astype(str)
    table["similarity"] = part["similarity"].values
    if "similarity_interval" in part:
        bounds = part["similarity_interval"].transpose(RDM, BOUND).values
        table["similarity_lower"], table["similarity_upper"] = bounds[:, 0], bounds[:, 1]
    for name in map(str, part.data_vars):
        if name.startswith("p_") and part[name].dims == (RDM,):
            table[name] = part[name].values
    if partial is not None:
        table["similarity_partial"] = matched(partial, part[RDM].values, "similarity")
    if "noise_ceiling" in part:
        table["noise_ceiling_lower"], table["noise_ceiling_upper"] = part["noise_ceiling"].values
    if "participant_similarity" in part:
        table["participants"] = part["participant_similarity"].notnull().sum("participant").values
    return table


def _limit(
    ax: Axes,
    result: xr.Dataset,
    partial: xr.Dataset | None,
    blocks: Sequence[Block],
    style: FigureStyle,
    *,
    lines: float,
) -> None:
    """Set the limits, with room above all curves for the key and the name of the FE block, and no ticks there."""
    rows = np.concatenate([block.rows for block in blocks])
    values = [np.zeros(1), result["similarity"].values[rows]]
    values += [result["noise_ceiling"].values] if "noise_ceiling" in result else []
    if "similarity_interval" in result:
        values.append(result["similarity_interval"].transpose(RDM, BOUND).values[rows].ravel())
    values += [partial["similarity"].values] if partial is not None else []
    every = np.concatenate(values).astype(float)
    every = every[np.isfinite(every)]  # too few draws have no interval: it is unbounded
    low, high = float(every.min()), float(every.max())
    span = (high - low) or 1.0
    low -= 0.06 * span
    above = (0.6 + 1.7 * lines) * points_mm(style.small_pt)
    share = min(above / room_for_tests(ax, result, blocks, style), 0.5)
    ax.set_ylim(low, (high - share * low) / (1 - share))
    ax.set_yticks([tick for tick in ax.get_yticks() if low <= tick <= high + 0.05 * span])


def _label_axes(ax: Axes, result: xr.Dataset, blocks: Sequence[Block], style: FigureStyle, along: str) -> int:
    """Name what the axes and the curves are, and return how many lines of names stand above."""
    if along == "depth" and len(blocks) > 1:
        ax.set_xlabel("Relative depth")
        curves = {curve.get_label(): curve for curve in ax.get_lines()}
        groups = seeds_together(result, [block.network for block in blocks])
        marks = [curves[network_label(group[0])] for group in groups]
        above = legend_above(ax, marks, [name_of(group) for group in groups], style)
    else:
        _name_layers(ax, blocks, style)
        above = max(block.title.count("\n") + 1 for block in blocks)
    comparison = str(result.attrs.get("comparison", ""))
    named = comparison_label(comparison)
    name_values(ax, f"Similarity to people\n({named})" if named else "Similarity to people", style)
    return above


def _name_layers(ax: Axes, blocks: Sequence[Block], style: FigureStyle) -> None:
    first = [block for block in blocks if block.line == 0]
    places = np.concatenate([block.x for block in first])
    name_layers_below(ax, places, [layer for block in first for layer in block.layers], style)
    for block in first:
        title = "\n".join(map(printable, block.title.split("\n")))
        ax.annotate(title, ((block.x[0] + block.x[-1]) / 2, 1),
                    (0, 0.4 * style.text_pt), ("data", "axes fraction"), "offset points", fontsize=style.text_pt,
                    color=ink(block.color), ha="center", va="bottom", weight="bold", parse_math=False)  # fmt: skip


@dataclass(frozen=True)
class _Key:
    """What is said of raw and partial similarities, on which side, and whether the FE block stands there too."""

    text: str
    corner: Literal["upper left", "upper right"]
    in_the_way: bool


def _place_key(ax: Axes, partial: xr.Dataset, blocks: Sequence[Block], style: FigureStyle) -> _Key:
    said = partial.attrs.get("partialled") or partial.attrs.get("controls") or []
    named = said if isinstance(said, str) else ", ".join(map(str, said))
    text = printable(f"without {named}" if named else "partial")
    low, high = ax.get_xlim()
    at = np.array([(x - low) / (high - low) for block in blocks for x in excited(block)])
    right = bool(len(at)) and at.mean() < 0.5
    wide = 0.55 * points_mm(style.small_pt) * (len(text) + 38) / size_mm(ax)[0]
    reached = at > 1 - wide if right else at < wide
    return _Key(text, "upper right" if right else "upper left", bool(reached.any()))


def _lines_above(key: _Key | None, blocks: Sequence[Block]) -> float:
    block = 0.9 * any(len(excited(one)) for one in blocks)
    return block if key is None else 1.0 + block if key.in_the_way else max(1.0, block)


def _draw_key(ax: Axes, key: _Key, style: FigureStyle) -> None:
    handles = [
        ax.plot([], [], color=QUIET, marker="o")[0],
        ax.plot([], [], color=QUIET, marker="o", markerfacecolor="white", linestyle=(0, (2.5, 1.2)))[0],
    ]
    networks = ax.get_legend()
    ax.legend(handles, ["raw", key.text], loc=key.corner, ncols=2, handlelength=2.2, fontsize=style.small_pt,
              borderaxespad=0.1, columnspacing=1.2)  # fmt: skip
    if networks is not None:
        ax.add_artist(networks)  # axes keep one legend, and drop an earlier one without a word
