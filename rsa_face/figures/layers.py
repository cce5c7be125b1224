"""The layer curve: similarity to people at every layer, with the noise ceiling, intervals, tests and the FE block."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.captions import caption_of_layers
from rsa_face.figures.layout import (
    add_note,
    beside_axes,
    keep_source,
    legend_above,
    mark_significant,
    name_layers_below,
    name_of,
    name_values,
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
from rsa_face.schema import (
    BOUND,
    DEPTH,
    LAYER,
    MEASURE,
    NETWORK,
    ORDER,
    RDM,
    TRIAL_SCORES,
    UNSIGNED,
    comparison_label,
    must_be_known,
    must_hold,
    split_seed,
)

_FE_LAYERS = ("fe", "fe_gate")
_GAP = 1.3
_MOST_SIDE_BY_SIDE = 8


@dataclass(frozen=True)
class Block:
    """One network's place along the horizontal axis."""

    network: str
    title: str  # what stands above it, in one line or several
    line: int  # which of the networks in the same place it is, from 0: a seed, or any network along depth
    rows: np.ndarray  # places of its layers along the result's `rdm`, in order
    layers: tuple[str, ...]
    x: np.ndarray  # where each is drawn
    color: str
    marker: str


def place_blocks(result: xr.Dataset, shown: Sequence[str], along: str, ax: Axes, style: FigureStyle) -> list[Block]:
    """Give each network its place along the horizontal axis, with room for its name; seeds of one share theirs."""
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
    """Return networks in the groups that are drawn in one place: those that differ in their seed alone."""
    groups: dict[tuple[object, ...], list[str]] = {}
    for name in networks:
        layers = result[LAYER].values[rows_in_order(result, [name])]
        groups.setdefault((split_seed(name)[0], *map(str, layers)), []).append(name)
    return list(groups.values())


def title_of(group: Sequence[str]) -> list[str]:
    """Return what stands above networks that are drawn in one place."""
    name, _, start = name_of(group).removesuffix(")").partition(" (")
    return [name, *filter(None, start.split(", "))]


def rows_in_order(result: xr.Dataset, networks: Sequence[str]) -> np.ndarray:
    """Return where networks' layers stand in a result, from first to last."""
    names = result[NETWORK].values.astype(str)
    along = result[ORDER if ORDER in result.coords else DEPTH].values
    rows = [np.flatnonzero(names == network) for network in networks]
    return np.concatenate([row[np.argsort(along[row], kind="stable")] for row in rows])


def _starts(titles: Sequence[str], counts: Sequence[int], width_mm: float, style: FigureStyle) -> list[float]:
    """Leave each network room for its name: one of two layers needs more than two steps."""
    needs = [0.75 * points_mm(style.text_pt) * max(map(len, title.split("\n"))) for title in titles]
    spans = [float(count) for count in counts]
    for _ in range(3):  # wider spans leave shorter steps, in which other names may not fit any more; three settle it
        step = width_mm / (sum(spans) + _GAP * len(spans))
        spans = [max(count, need / step) for count, need in zip(counts, needs, strict=True)]
    starts, edge = [], 0.0
    for count, span in zip(counts, spans, strict=True):
        starts.append(edge + (span - count) / 2)
        edge += span + _GAP
    return starts


def draw_ceiling(ax: Axes, result: xr.Dataset, style: FigureStyle) -> None:
    """Draw the noise ceiling as a band."""
    if "noise_ceiling" not in result:
        return
    lower, upper = (float(value) for value in result["noise_ceiling"].values)
    ax.axhspan(lower, upper, color=CEILING_COLOR, linewidth=0, zorder=0.5)
    beside_axes(ax, (lower + upper) / 2, "noise\nceiling", style)


def draw_curve(ax: Axes, result: xr.Dataset, block: Block, style: FigureStyle, *, banded: bool) -> None:
    """Draw a network's similarities and their intervals."""
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
    """Draw what remains of the similarities given the controls: dashed, with open marks."""
    labels = [f"{block.network}/{layer}" for layer in block.layers]
    values = matched(partial, np.array(labels, dtype=object), "similarity")
    ax.plot(block.x, values, color=block.color, marker=block.marker, markerfacecolor="white",
            markeredgewidth=0.7 * style.line_pt, linestyle=(0, (2.5, 1.2)), zorder=2.5)  # fmt: skip


def matched(dataset: xr.Dataset, labels: np.ndarray, variable: str) -> np.ndarray:
    """Return a variable at the named RDMs."""
    values = dict(zip(map(str, dataset[RDM].values), dataset[variable].values, strict=True))
    return np.array([values.get(str(label), np.nan) for label in labels], dtype=float)


def excited(block: Block) -> np.ndarray:
    """Return where a network's feature-excitation block stands."""
    return block.x[[layer in _FE_LAYERS for layer in block.layers]]


def mark_excitation(ax: Axes, blocks: Sequence[Block], style: FigureStyle, along: str, *, lines: int = 0) -> None:
    """Mark where the feature-excitation block stands."""
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


_TESTS = (("p_above_zero", "above 0"), ("p_below_ceiling", "below ceiling"))
_MOST = 0.5  # of the axes


def draw_tests(ax: Axes, result: xr.Dataset, blocks: Sequence[Block], alpha: float, style: FigureStyle) -> None:
    """Draw a row of marks under the curves for each test, one mark a layer that passes it.

    Networks in the same place have a line each; nothing is drawn where those would take more than half of the axes.
    """
    tests = _tests_of(result) if _strip(ax, result, blocks, style) else []
    if not tests:
        return
    low, high = ax.get_ylim()
    ticks = [tick for tick in ax.get_yticks() if low <= tick <= high]
    type_mm = points_mm(style.small_pt)
    line, gap, lines = _spacing(blocks, style)
    # data units for a mm: the axis grows downwards by the rows, so that the curves keep their height
    unit = (high - low) / room_for_tests(ax, result, blocks, style)
    ax.axhline(low, color=CEILING_COLOR, linewidth=0.5 * style.line_pt)
    corrected = all(name.endswith("_corrected") for name, _ in tests)
    beside_axes(ax, low + 0.7 * type_mm * unit, f"p < {alpha:g}{'' if corrected else ', uncorrected'}", style)
    y = low - gap * unit
    every = np.concatenate([block.rows for block in blocks])
    for name, text in tests:
        passed = _passes(result, name, alpha)[every]
        if passed.all() or not passed.any():  # a row of equal marks is a word
            words = "every layer" if passed.all() else "no layer"
            ax.text(blocks[0].x[0], y - 0.5 * lines * line * unit, words, fontsize=style.small_pt, va="center",
                    color=QUIET)  # fmt: skip
        for block in blocks if passed.any() and not passed.all() else ():
            row = y - (block.line + 0.5) * line * unit
            mark_significant(ax, block.x, _passes(result, name, alpha)[block.rows], row, block.color, style)
        beside_axes(ax, y - 0.5 * lines * line * unit, text, style)
        y -= (lines * line + gap) * unit
    ax.set_ylim(y, high)
    ax.set_yticks(ticks)


def room_for_tests(ax: Axes, result: xr.Dataset, blocks: Sequence[Block], style: FigureStyle) -> float:
    """Return how high the part of axes above the rows of tests is."""
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

    Given what `share_of_ceiling` returns, it draws shares of the noise ceiling in place of similarities.

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
        Which networks to show. If None all, or side by side the first eight (the seeds of one count as one); the note
        says how many more the numbers beside the figure hold.
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

    Examples
    --------
    >>> import xarray as xr
    >>> layers = ["relu1", "relu5", "fc8"]
    >>> result = xr.Dataset(
    ...     {"similarity": ("rdm", [0.1, 0.3, 0.2]), "noise_ceiling": ("bound", [0.4, 0.5])},
    ...     {"network": ("rdm", ["alexnet"] * 3), "layer": ("rdm", layers), "depth": ("rdm", [0.1, 0.5, 1.0]),
    ...      "rdm": [f"alexnet/{layer}" for layer in layers]})
    >>> ax = plot_layers(result)
    >>> [label.get_text() for label in ax.get_xticklabels()]
    ['relu1', 'relu5', 'fc8']
    """
    must_hold(result, (NETWORK, "similarity"), "A result of `compare_layers`")
    must_be_known(along, ("layer", "depth"), "axis of layers")
    present = in_order(str(name) for name in result[NETWORK].values)
    for name in networks or ():
        must_be_known(name, present, "network of this result")
    shown = in_order(networks or _that_fit(result, present, along))
    partial = partial_of(result) if partial is None else partial
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
        ax.axhline(0, color=QUIET, linewidth=0.5 * style.line_pt, linestyle=(0, (3, 2)), zorder=0.6)
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
        more = len(seeds_together(result, present)) - len(seeds_together(result, shown)) if networks is None else 0
        notes = [note_of(result.attrs, shown), f"{more} more networks are in the table" * bool(more)]
        add_note(ax, "; ".join(filter(None, notes)), style, pad=0.6 + 1.6 * rows_above)
        controls = "" if partial is None else controls_in_words(partial)
        caption = caption_of_layers(result, partial, controls, alpha=alpha)
        keep_source(
            ax, layers_table(result, partial=partial, networks=networks or present), name="layers", caption=caption
        )
    return ax


def _that_fit(result: xr.Dataset, present: Sequence[str], along: str) -> list[str]:
    """Return the networks whose titles have room beside one another."""
    groups = seeds_together(result, present)
    return [name for group in (groups if along == "depth" else groups[:_MOST_SIDE_BY_SIDE]) for name in group]


def partial_of(result: xr.Dataset) -> xr.Dataset | None:
    """Return what remains of a result's similarities given the controls, as a comparison of its own."""
    if "partial_similarity" not in result:
        return None
    return xr.Dataset({"similarity": result["partial_similarity"]}, attrs=result.attrs)


def controls_in_words(partial: xr.Dataset) -> str:
    """Return what was partialled out, as a list; "the controls" where nobody says."""
    controls = partial.attrs.get("partialled") or partial.attrs.get("controls") or []
    return controls if isinstance(controls, str) else ", ".join(map(str, controls)) or "the controls"


def layers_table(
    result: xr.Dataset, *, partial: xr.Dataset | None = None, networks: Sequence[str] | None = None
) -> pd.DataFrame:
    """Return the numbers of a layer curve, one row a layer, as figure and report draw them."""
    partial = partial_of(result) if partial is None else partial
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
        lower, upper = part["noise_ceiling"].values
        table["noise_ceiling_lower"], table["noise_ceiling_upper"] = lower, upper
        if lower > 0 and not part.attrs.get("share_of_ceiling"):
            table["share_of_ceiling"] = part["similarity"].values / lower
    if "participant_similarity" in part and not part.attrs.get(UNSIGNED):
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
    # of the height above the rows of tests, `share` is left free: high' - high = share * (high' - low)
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
    name_values(ax, similarity_label(result.attrs).replace(" (", "\n("), style)
    return above


def similarity_label(attrs: Mapping[Any, Any]) -> str:
    """Return what the similarity of a result is called."""
    comparison = str(attrs.get("comparison", ""))
    if comparison in TRIAL_SCORES and not attrs.get("share_of_ceiling"):
        return TRIAL_SCORES[comparison]
    named = comparison_label(comparison)
    if attrs.get("share_of_ceiling"):
        return f"Similarity to people (share of the noise ceiling{f'; {named}' if named else ''})"
    return f"Similarity to people ({named})" if named else "Similarity to people"


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
    text = printable(f"without {controls_in_words(partial)}")
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
