"""The layer curve: how similar each layer of each network is to people, from the first layer to the last."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.canvas import (
    COMPARISON_LABELS,
    add_note,
    keep_source,
    new_axes,
    note_of,
    points_mm,
    printable,
    size_mm,
)
from rsa_face.figures.style import (
    CEILING_COLOR,
    QUIET,
    FigureStyle,
    drawing,
    in_order,
    ink,
    network_colors,
    network_label,
    network_markers,
)
from rsa_face.figures.ticks import mark_significant, name_layers_below
from rsa_face.schema import BOUND, DEPTH, LAYER, NETWORK, ORDER, RDM, must_be_known

_FE_LAYERS = ("fe", "fe_gate")
_TESTS = (("p_above_zero", "above 0"), ("p_below_ceiling", "below ceiling"))
_GAP = 1.3


@dataclass(frozen=True)
class Block:
    """One network's place along the horizontal axis.

    Parameters
    ----------
    network : str
        Its name.
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
    rows: np.ndarray
    layers: tuple[str, ...]
    x: np.ndarray
    color: str
    marker: str


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

    Networks stand side by side with their layers by name, on one axis of similarity; or over one another along
    relative depth. What the result does not hold is not drawn.

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
            wide = style.double_mm if along == "layer" and count > 16 else style.single_mm
            ax = new_axes(width_mm=wide, height_mm=max(10.5 * style.text_pt, 0.33 * wide))
        blocks = _blocks(result, shown, along, ax, style)
        _draw_ceiling(ax, result, style)
        for block in blocks:
            _draw_curve(ax, result, block, style, banded=along == "layer" or len(blocks) < 3)
            if partial is not None:
                _draw_partial(ax, partial, block, style)
        _limit(ax, result, partial, blocks)
        _draw_tests(ax, result, blocks, alpha, style, stacked=along == "depth")
        _mark_excitation(ax, blocks, style, along)
        _label_axes(ax, result, blocks, style, along)
        if partial is not None:
            _draw_key(ax, partial, style)
        note = note_of(result.attrs, shown)
        legend_rows = 2 if along == "depth" and len(blocks) > 3 else 1
        add_note(ax, note, style, pad=0.6 + 1.6 * legend_rows)
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
        `network`, `layer`, `depth`, `similarity`, bounds, p values, noise ceiling, number of participants; missing
        values are empty.
    """
    order = _rows_in_order(result, in_order(networks or map(str, result[NETWORK].values)))
    part = result.isel({RDM: order})
    table = pd.DataFrame({name: part[name].values for name in (NETWORK, LAYER, DEPTH) if name in part.coords})
    table["similarity"] = part["similarity"].values
    if "similarity_interval" in part:
        bounds = part["similarity_interval"].transpose(RDM, BOUND).values
        table["similarity_lower"], table["similarity_upper"] = bounds[:, 0], bounds[:, 1]
    for name in map(str, part.data_vars):
        if name.startswith("p_") and part[name].dims == (RDM,):
            table[name] = part[name].values
    if partial is not None:
        table["similarity_partial"] = _matched(partial, part[RDM].values, "similarity")
    if "noise_ceiling" in part:
        table["noise_ceiling_lower"], table["noise_ceiling_upper"] = part["noise_ceiling"].values
    if "participant_similarity" in part:
        table["participants"] = part["participant_similarity"].notnull().sum("participant").values
    return table


def _rows_in_order(result: xr.Dataset, networks: Sequence[str]) -> np.ndarray:
    names = result[NETWORK].values.astype(str)
    along = result[ORDER if ORDER in result.coords else DEPTH].values
    rows = [np.flatnonzero(names == network) for network in networks]
    return np.concatenate([row[np.argsort(along[row], kind="stable")] for row in rows])


def _blocks(result: xr.Dataset, shown: Sequence[str], along: str, ax: Axes, style: FigureStyle) -> list[Block]:
    everyone = in_order(map(str, result[NETWORK].values))
    colors, markers = network_colors(everyone), network_markers(everyone)
    rows = [_rows_in_order(result, [name]) for name in shown]
    counts = [len(row) for row in rows]
    starts = _starts(shown, counts, size_mm(ax)[0] - 6 * points_mm(style.text_pt), style)
    blocks = []
    for name, row, start in zip(shown, rows, starts, strict=True):
        layers = tuple(str(layer) for layer in result[LAYER].values[row])
        x = result[DEPTH].values[row].astype(float) if along == "depth" else start + np.arange(len(row), dtype=float)
        blocks.append(Block(name, row, layers, x, colors[name], markers[name]))
    return blocks


def _starts(names: Sequence[str], counts: Sequence[int], width_mm: float, style: FigureStyle) -> list[float]:
    """Leave each network room for its name: one of two layers needs more than two steps."""
    needs = [0.75 * points_mm(style.text_pt) * len(network_label(name)) for name in names]
    spans = [float(count) for count in counts]
    for _ in range(3):
        step = width_mm / (sum(spans) + _GAP * len(spans))
        spans = [max(count, need / step) for count, need in zip(counts, needs, strict=True)]
    starts, edge = [], 0.0
    for count, span in zip(counts, spans, strict=True):
        starts.append(edge + (span - count) / 2)
        edge += span + _GAP
    return starts


def _draw_ceiling(ax: Axes, result: xr.Dataset, style: FigureStyle) -> None:
    ax.axhline(0, color=QUIET, linewidth=0.5 * style.line_pt, linestyle=(0, (3, 2)), zorder=0.6)
    if "noise_ceiling" not in result:
        return
    lower, upper = (float(value) for value in result["noise_ceiling"].values)
    ax.axhspan(lower, upper, color=CEILING_COLOR, linewidth=0, zorder=0.5)
    _beside(ax, (lower + upper) / 2, "noise\nceiling", style)


def _draw_curve(ax: Axes, result: xr.Dataset, block: Block, style: FigureStyle, *, banded: bool) -> None:
    values = result["similarity"].values[block.rows]
    ax.plot(block.x, values, color=block.color, marker=block.marker, label=network_label(block.network), zorder=3)
    if "similarity_interval" not in result:
        return
    lower, upper = result["similarity_interval"].transpose(BOUND, RDM).values[:, block.rows]
    if len(block.x) == 1 or not banded:
        ax.vlines(block.x, lower, upper, color=block.color, linewidth=0.6 * style.line_pt, alpha=0.6, zorder=2)
    else:
        ax.fill_between(block.x, lower, upper, color=block.color, alpha=0.22, linewidth=0, zorder=2)


def _draw_partial(ax: Axes, partial: xr.Dataset, block: Block, style: FigureStyle) -> None:
    labels = [f"{block.network}/{layer}" for layer in block.layers]
    values = _matched(partial, np.array(labels, dtype=object), "similarity")
    ax.plot(block.x, values, color=block.color, marker=block.marker, markerfacecolor="white",
            markeredgewidth=0.7 * style.line_pt, linestyle=(0, (2.5, 1.2)), zorder=2.5)  # fmt: skip


def _matched(dataset: xr.Dataset, labels: np.ndarray, variable: str) -> np.ndarray:
    found = dict(zip(map(str, dataset[RDM].values), dataset[variable].values, strict=True))
    return np.array([found.get(str(label), np.nan) for label in labels], dtype=float)


def _limit(ax: Axes, result: xr.Dataset, partial: xr.Dataset | None, blocks: Sequence[Block]) -> None:
    rows = np.concatenate([block.rows for block in blocks])
    values = [np.zeros(1), result["similarity"].values[rows]]
    values += [result["noise_ceiling"].values] if "noise_ceiling" in result else []
    if "similarity_interval" in result:
        values.append(result["similarity_interval"].transpose(RDM, BOUND).values[rows].ravel())
    values += [partial["similarity"].values] if partial is not None else []
    every = np.concatenate(values).astype(float)
    low, high = float(np.nanmin(every)), float(np.nanmax(every))
    span = (high - low) or 1.0
    ax.set_ylim(low - 0.06 * span, high + 0.13 * span)
    edges = np.concatenate([block.x for block in blocks])
    ax.set_xlim(edges.min() - 0.8, edges.max() + 0.8)


def _draw_tests(
    ax: Axes, result: xr.Dataset, blocks: Sequence[Block], alpha: float, style: FigureStyle, *, stacked: bool
) -> None:
    tests = [(_best(result, name), text) for name, text in _TESTS if name in result or f"{name}_corrected" in result]
    if not tests:
        return
    low, high = ax.get_ylim()
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    type_mm = points_mm(style.small_pt)
    line, gap = (0.6 * type_mm if stacked else 1.1 * type_mm), 0.6 * type_mm
    lines = len(blocks) if stacked else 1
    strip = gap + len(tests) * (lines * line + gap)
    unit = (high - low) / max(size_mm(ax)[1] - strip - 2 * points_mm(style.text_pt), 5.0)
    ax.axhline(low, color=CEILING_COLOR, linewidth=0.5 * style.line_pt)
    corrected = all(name.endswith("_corrected") for name, _ in tests)
    _beside(ax, low + 0.7 * type_mm * unit, f"p < {alpha:g}{'' if corrected else ', uncorrected'}", style)
    y = low - gap * unit
    for name, text in tests:
        for place, block in enumerate(blocks):
            row = y - ((place if stacked else 0) + 0.5) * line * unit
            mark_significant(ax, block.x, _passes(result, name, alpha)[block.rows], row, block.color, style)
        _beside(ax, y - 0.5 * lines * line * unit, text, style)
        y -= (lines * line + gap) * unit
    ax.set_ylim(y, high)
    ax.set_yticks(ticks)


def _beside(ax: Axes, y: float, text: str, style: FigureStyle) -> None:
    ax.annotate(text, (1, y), (0.6 * style.small_pt, 0), ("axes fraction", "data"), "offset points",
                fontsize=style.small_pt, color=QUIET, va="center", linespacing=0.95)  # fmt: skip


def _passes(result: xr.Dataset, name: str, alpha: float) -> np.ndarray:
    passed = np.asarray(result[name].values < alpha)
    if name.startswith("p_below_ceiling") and "noise_ceiling" in result:
        passed &= np.asarray(result["similarity"].values < float(result["noise_ceiling"].values[0]))
    return passed


def _best(result: xr.Dataset, name: str) -> str:
    return f"{name}_corrected" if f"{name}_corrected" in result else name


def _mark_excitation(ax: Axes, blocks: Sequence[Block], style: FigureStyle, along: str) -> None:
    for block in blocks:
        inside = block.x[[layer in _FE_LAYERS for layer in block.layers]]
        if inside.size == 0:
            continue
        reach = 0.45 if along == "layer" else 0.012
        ax.axvspan(inside.min() - reach, inside.max() + reach, color=block.color, alpha=0.10, linewidth=0, zorder=0.4)
        ax.annotate("FE", (inside.mean(), 1), (0, -0.3 * style.small_pt), ("data", "axes fraction"), "offset points",
                    color=ink(block.color), fontsize=style.small_pt, ha="center", va="top",
                    weight="bold")  # fmt: skip


def _label_axes(ax: Axes, result: xr.Dataset, blocks: Sequence[Block], style: FigureStyle, along: str) -> None:
    comparison = str(result.attrs.get("comparison", ""))
    named = COMPARISON_LABELS.get(comparison, comparison)
    ax.set_ylabel(f"Similarity to people\n({named})" if named else "Similarity to people")
    if along == "depth" and len(blocks) > 1:
        ax.set_xlabel("Relative depth")
        ax.set_xlim(0, 1.02)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.0), ncols=3, borderaxespad=0.2, handlelength=1.6,
                  columnspacing=1.0)  # fmt: skip
        return
    if along == "depth":
        ax.set_xlim(0, 1.02)
    places = np.concatenate([block.x for block in blocks])
    name_layers_below(ax, places, [layer for block in blocks for layer in block.layers], style)
    for block in blocks:
        ax.annotate(printable(network_label(block.network)), ((block.x[0] + block.x[-1]) / 2, 1),
                    (0, 0.4 * style.text_pt), ("data", "axes fraction"), "offset points", fontsize=style.text_pt,
                    color=ink(block.color), ha="center", va="bottom", weight="bold", parse_math=False)  # fmt: skip


def _draw_key(ax: Axes, partial: xr.Dataset, style: FigureStyle) -> None:
    said = partial.attrs.get("partialled") or partial.attrs.get("controls") or []
    named = said if isinstance(said, str) else ", ".join(map(str, said))
    handles = [
        ax.plot([], [], color=QUIET, marker="o")[0],
        ax.plot([], [], color=QUIET, marker="o", markerfacecolor="white", linestyle=(0, (2.5, 1.2)))[0],
    ]
    texts = ["raw", f"without {named}" if named else "partial"]
    legend = ax.legend(handles, list(map(printable, texts)), loc="upper left", ncols=2, handlelength=2.2,
                       fontsize=style.small_pt, borderaxespad=0.1)  # fmt: skip
    ax.add_artist(legend)
