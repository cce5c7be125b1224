"""Networks compared: at one layer each, layer by layer, where one becomes like people, and all in one figure."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from rsa_face.figures.captions import (
    caption_of_contrast,
    caption_of_localization,
    caption_of_networks,
    caption_of_seeds,
)
from rsa_face.figures.layers import draw_ceiling, plot_layers, similarity_label
from rsa_face.figures.layout import (
    NOTE,
    add_note,
    beside_axes,
    blank_axes,
    hide_notes,
    inset_mm,
    keep_source,
    legend_above,
    mark_significant,
    name_layers_below,
    name_values,
    new_axes,
    note_of,
    note_on_sheet,
    p_equals,
    percent,
    points_mm,
    printable,
    sheet_mm,
    short_layers,
    size_mm,
)
from rsa_face.figures.rdms import plot_rdms
from rsa_face.figures.style import (
    MM_PER_INCH,
    QUIET,
    FigureStyle,
    drawing,
    in_order,
    ink,
    network_colors,
    network_label,
    network_markers,
    paler,
)
from rsa_face.schema import (
    BOUND,
    DEPTH,
    LAYER,
    NETWORK,
    ORDER,
    OTHER_MEASURES,
    RDM,
    UNSIGNED,
    comparison_label,
    must_hold,
    names_in,
    split_seed,
    table_along,
)
from rsa_face.stimuli.catalogue import StimulusSet


def plot_networks(
    result: xr.Dataset,
    *,
    ax: Axes | None = None,
    layers: Mapping[str, str] | None = None,
    where: xr.Dataset | Sequence[xr.Dataset] | None = None,
    compared: Sequence[tuple[str, str, float]] = (),
) -> Axes:
    """Draw the similarity of networks to people at one layer each, a dot for each participant.

    Unless layers are named, each network is shown at the layer that `localize` picks: where it is most like people.
    The best of many layers looks better than it is, so what it is worth on stimuli and participants that did not pick
    it stands beside the bar, where `where` holds it, and what it is worth on the same ones if they help to pick it:
    the bar itself is over all pairs, which differ from pairs of left-out groups.
    """
    must_hold(result, (NETWORK, "similarity"), "A result of `compare_layers`")
    answers = answers_of(where)
    rows = _rows(result, layers if layers is not None else picked_layers(result, answers))
    unknown = sorted({name for pair in compared for name in pair[:2]} - set(rows))
    if unknown:
        message = f"Planned comparisons of networks that are not shown: {unknown}. Shown are {list(rows)}."
        raise ValueError(message)
    colors = network_colors(map(str, result[NETWORK].values))
    with drawing(ax) as style:
        if ax is None:
            ax = new_axes(width_mm=style.single_mm, height_mm=min(27 * points_mm(style.text_pt), style.tallest_mm))
        draw_ceiling(ax, result, style)
        for place, (network, row) in enumerate(rows.items()):
            _draw_network(ax, result.isel({RDM: row}), place, colors[network], style)
        beside = {} if layers is not None else {key: {name: _on_left_out(answers.get(name), key) for name in rows}
                                                for key in _ON_LEFT_OUT}  # fmt: skip
        marks = {
            key: ax.plot(place + 0.39, values[name], marker="D", color=colors[name],
                         markerfacecolor="white" if key == "held_out_similarity" else colors[name],
                         markersize=0.5 * style.small_pt, linestyle="none", zorder=3)[0]
            for key, values in beside.items() for place, name in enumerate(rows) if not np.isnan(values[name])
        }  # fmt: skip
        ax.axhline(0, color="#222222", linewidth=0.6 * style.line_pt)
        spare = max(4 - len(rows), 0) / 2
        ax.set_xlim(-0.6 - spare, len(rows) - 0.4 + spare)
        names = [str(result[LAYER].values[row]) for row in rows.values()]
        labels = [
            printable(network_label(name)) + "\n" + printable(layer)
            for name, layer in zip(rows, short_layers(names), strict=True)
        ]
        longest = max(len(line) for label in labels for line in label.split("\n"))
        fits = 0.6 * points_mm(style.small_pt) * longest < size_mm(ax)[0] / (len(rows) + 0.2 + 2 * spare)
        lean: dict[str, Any] = {} if fits else {"rotation": 40, "ha": "right", "rotation_mode": "anchor"}
        labels = labels if fits else [label.replace("\n", " ") for label in labels]
        ax.set_xticks(range(len(rows)), labels, parse_math=False, **lean)
        ax.tick_params(axis="x", length=0)
        name_values(ax, similarity_label(result.attrs).replace(" (", "\n("), style)
        _draw_brackets(ax, [(list(rows).index(a), list(rows).index(b), p) for a, b, p in compared], style)
        above = legend_above(ax, list(marks.values()), [_ON_LEFT_OUT[key] for key in marks], style) if marks else 0
        add_note(ax, _notes(result, rows, layers), style, pad=0.6 + 1.6 * above)
        caption = caption_of_networks(result, list(rows), held_out=bool(marks))
        keep_source(ax, _networks_table(result, rows, beside), name="networks", caption=caption)
    return ax


def answers_of(where: xr.Dataset | Sequence[xr.Dataset] | None) -> dict[str, xr.Dataset]:
    """Return answers of `localize` by the network that each is about."""
    several = [where] if isinstance(where, xr.Dataset) else list(where or ())
    return {str(each.attrs.get("network", "")): each for each in several}


def picked_layers(result: xr.Dataset, answers: Mapping[str, xr.Dataset]) -> dict[str, str]:
    """Return the layer at which each network is most like people, as `localize` picked it where it was asked."""
    names, at = result[NETWORK].values.astype(str), result[LAYER].values.astype(str)
    similarity = np.nan_to_num(result["similarity"].values, nan=-np.inf)
    picked = {}
    for network in in_order(names):
        members = np.flatnonzero(names == network)
        best = str(at[members[np.argmax(similarity[members])]])
        answer = _peak(answers.get(network))
        named = str(answer["picked"].item()) if answer is not None and "picked" in answer else best
        picked[network] = named if named in at[members] else best  # none: no layer is surely like people
    return picked


def _peak(answer: xr.Dataset | None) -> xr.Dataset | None:
    if answer is None or "target" not in answer.coords:
        return None
    targets = np.atleast_1d(answer["target"].values).astype(str)
    return answer.isel(target=list(targets).index("peak")) if "target" in answer.dims and "peak" in targets else None


_ON_LEFT_OUT = {"same_pairs_similarity": "same pairs, not held out", "held_out_similarity": "held out"}
"""Values of picked layers on what draws left out, with their names; the open mark is drawn over the filled one."""


def _on_left_out(answer: xr.Dataset | None, key: str) -> float:
    peak = _peak(answer)
    return float(peak[key]) if peak is not None and key in peak else float("nan")


def _rows(result: xr.Dataset, layers: Mapping[str, str]) -> dict[str, int]:
    names, at = result[NETWORK].values.astype(str), result[LAYER].values.astype(str)
    rows: dict[str, int] = {}
    for network in in_order(layers):
        members = np.flatnonzero((names == network) & (at == layers[network]))
        if len(members) == 0:
            known = " ".join(at[names == network])
            message = f"No layer {layers[network]!r} of {network!r} in this result. It has: {known or 'none'}."
            raise ValueError(message)
        rows[network] = int(members[-1])
    return rows


def _notes(result: xr.Dataset, rows: Mapping[str, int], layers: Mapping[str, str] | None) -> str:
    """Return what the bars rest on, and how their layers were chosen."""
    shown = {f"{network}/{result[LAYER].values[row]}: " for network, row in rows.items()}
    others = [name for name in names_in(result.attrs, OTHER_MEASURES) if any(name.startswith(one) for one in shown)]
    chosen = "" if layers is not None else "each network's most similar layer"
    return "; ".join(filter(None, [note_of({**result.attrs, OTHER_MEASURES: others}, rows), chosen]))


def _draw_network(ax: Axes, layer: xr.Dataset, place: int, color: str, style: FigureStyle) -> None:
    value = float(layer["similarity"])
    ax.bar(place, value, width=0.62, color=color, alpha=0.55, linewidth=0, zorder=1)
    if "participant_similarity" in layer and not layer.attrs.get(UNSIGNED):
        each = layer["participant_similarity"].values
        # golden steps aside: spread in their order, participants who come in order of likeness form a slope
        spread = 0.44 * ((0.5 + 0.618034 * np.arange(len(each))) % 1) - 0.22
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
        text = p_equals(p)
        half = 0.3 * points_mm(style.small_pt) * len(text) * (right - left) / width
        ax.annotate(text, (max((a + b) / 2, left + half), y), (0, 0.3 * style.small_pt), textcoords="offset points",
                    ha="center", fontsize=style.small_pt)  # fmt: skip
    ax.set_ylim(low, high + len(pairs) * row * unit)
    ax.set_yticks(ticks)


def _networks_table(
    result: xr.Dataset, rows: Mapping[str, int], beside: Mapping[str, Mapping[str, float]]
) -> pd.DataFrame:
    lines = []
    for network, row in rows.items():
        layer = result.isel({RDM: row})
        line = {"network": network, "layer": str(layer[LAYER].item()), "similarity": float(layer["similarity"])}
        line |= {key: values[network] for key, values in beside.items() if not np.isnan(values[network])}
        if "similarity_interval" in layer:
            line["lower"], line["upper"] = layer["similarity_interval"].values
        if "participant_similarity" in layer and not layer.attrs.get(UNSIGNED):
            people, each = layer["participant"].values, layer["participant_similarity"].values
            line |= {f"participant {name}": value for name, value in zip(people, each, strict=True)}
        lines.append(line)
    return pd.DataFrame(lines)


_TESTS = ("p_difference_corrected", "p_difference_holm", "p_difference_fdr", "p_difference")


def plot_contrast(contrast: xr.Dataset, *, ax: Axes | None = None, alpha: float = 0.05) -> Axes:
    """Draw a network's similarity to people minus its baseline's, with the band that holds for all layers at once.

    Where the band leaves 0 the networks differ, however many layers were looked at. The strong bars are the
    intervals of each layer by itself.

    Parameters
    ----------
    contrast : Dataset, dims (layer, ...)
        From `contrast_layers`: ``difference``, and where there are any ``difference_interval``, ``difference_band``
        (bound) and p values. Not changed.
    ax : Axes, optional
        Where to draw; a new figure if None.
    alpha : float
        The level below which a p value is marked.

    Returns
    -------
    Axes
        The axes drawn on.

    Raises
    ------
    ValueError
        If this is no result of `contrast_layers`.

    Examples
    --------
    >>> contrast = xr.Dataset({"difference": ("layer", [0.0, 0.1])}, {"layer": ["relu5", "fc8"]},
    ...                       {"network": "fe_alexnet", "baseline": "alexnet"})
    >>> [label.get_text() for label in plot_contrast(contrast).get_xticklabels()]
    ['relu5', 'fc8']
    """
    must_hold(contrast, ("difference",), "What `contrast_layers` returned")
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
        keep_source(ax, table, name="contrast", caption=caption_of_contrast(contrast))
    return ax


def plot_seeds(seeded: xr.Dataset, *, ax: Axes | None = None, alpha: float = 0.05) -> Axes:
    """Draw each network's similarity to people minus its baseline's over seeds: a panel a layer, a row a network.

    Filled marks are the differences that remain after Holm's correction for every layer of every network. Layers at
    which all networks equal the baseline have no panel.

    Parameters
    ----------
    seeded : Dataset, dims (seeded,)
        The comparison over seeds that a study writes to ``seeds.nc``: ``difference``, ``difference_interval`` (bound)
        and ``p_difference_holm``, with coords ``start`` and ``layer``, and ``baseline`` in the attrs.
    ax : Axes, optional
        Where to draw; a new figure if None.
    alpha : float
        The level below which a corrected p value fills the mark.

    Returns
    -------
    Axes
        The sheet that the panels lie on.

    Raises
    ------
    ValueError
        If no network differs from the baseline at any layer.

    Examples
    --------
    >>> seeded = xr.Dataset(
    ...     {"difference": ("seeded", [0.1, np.nan]), "p_difference_holm": ("seeded", [0.01, np.nan]),
    ...      "difference_interval": (("seeded", "bound"), [[0.05, 0.15], [np.nan, np.nan]])},
    ...     {"start": ("seeded", ["fe_alexnet/imagenet", "alexnet/imagenet"]), "layer": ("seeded", ["fc8", "fc8"]),
    ...      "bound": ["lower", "upper"]}, {"baseline": "alexnet/imagenet", "confidence": 0.95})
    >>> sheet = plot_seeds(seeded)
    >>> [panel.get_title() for panel in sheet.child_axes]
    ['fc8']
    """
    must_hold(seeded, ("difference", "p_difference_holm"), "A study's comparison over seeds")
    if not seeds_differ(seeded):
        message = (
            f"no network differs from {seeded.attrs.get('baseline')!r} at any layer, so there is nothing to draw"
        )
        raise ValueError(message)
    apart = seeded.isel(seeded=(seeded["difference"].fillna(0) != 0).values)
    networks = list(
        dict.fromkeys(map(str, apart["start"].values))
    )  # as the study has them: a sweep has its own order
    order = list(dict.fromkeys(map(str, seeded[LAYER].values)))
    layers = sorted(set(map(str, apart[LAYER].values)), key=order.index)
    colors = network_colors(networks)
    names = [printable(network_label(name)) for name in networks]
    table = table_along(apart, "seeded")
    with drawing(ax) as style:
        line = points_mm(style.small_pt)
        if ax is None:
            height = min((1.7 * len(networks) + 9.5) * line, style.tallest_mm)
            ax = blank_axes(width_mm=style.double_mm, height_mm=height)
        width, height = sheet_mm(ax)
        left = min(0.62 * line * max(map(len, names)) + line, 0.35 * width)
        step, tall = (width - left - line) / len(layers), height - 9 * line
        reach = 1.08 * np.abs(apart["difference_interval"].values).max()
        for column, layer in enumerate(layers):
            panel = inset_mm(ax, left + column * step, 3.2 * line, 0.86 * step, tall)
            panel.axvline(0, color=QUIET, linewidth=0.5 * style.line_pt, linestyle=(0, (3, 2)), zorder=0.6)
            for row in table[table[LAYER] == layer].to_dict("records"):
                place, color = networks.index(str(row["start"])), colors[str(row["start"])]
                panel.hlines(place, row["difference_interval_lower"], row["difference_interval_upper"], color=color,
                             linewidth=style.line_pt)  # fmt: skip
                sure = row["p_difference_holm"] < alpha
                panel.plot(row["difference"], place, "o", color=color, markerfacecolor=color if sure else "white")
            panel.set(xlim=(-reach, reach), ylim=(len(networks) - 0.4, -0.6))
            panel.locator_params(axis="x", nbins=3)
            panel.tick_params(axis="x", labelsize=style.least_pt)
            panel.set_title(layer, fontsize=style.small_pt)
            panel.set_yticks(range(len(networks)), names if column == 0 else [], fontsize=style.small_pt)
        minus = _label(
            "network", str(seeded.attrs.get("baseline", "baseline")), str(seeded.attrs.get("comparison", ""))
        )
        ax.text(left + (width - left) / 2, height - 2.8 * line, minus.replace("\n", " "), ha="center", va="center",
                fontsize=style.small_pt)  # fmt: skip
        level = percent(float(seeded.attrs.get("confidence", 0.95)))
        about = f"Lines: {level} intervals of one difference each. Filled: p < {alpha:g} after Holm for all."
        ax.text(left, height - 0.8 * line, about, color=QUIET, va="center", fontsize=style.small_pt)
        note_on_sheet(ax, note_of(seeded.attrs, networks), style)
        keep_source(ax, table, name="seeds", caption=caption_of_seeds(seeded, networks, alpha=alpha))
    return ax


def seeds_differ(seeded: xr.Dataset) -> bool:
    """Return whether a comparison over seeds holds a difference that `plot_seeds` can draw."""
    return {"difference", "p_difference_holm"} <= set(seeded.data_vars) and bool(
        (seeded["difference"].fillna(0) != 0).any()
    )


def contrast_table(contrast: xr.Dataset) -> pd.DataFrame:
    """Return the numbers of a contrast, one row a layer, as figure and report draw them."""
    return table_along(contrast, LAYER)


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
    text = f"p < {alpha:g}" + (",\nuncorrected" if name == "p_difference" else "")
    beside_axes(ax, y, text, style)


_TARGET = "target"
_NONE = "none"
_ROW = 1.45  # from one row of bars to the next, where a bar of all draws is 1 high


def plot_localization(where: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw at which layer a network peaks, reaches the noise ceiling, leaves its baseline, and is half-way there.

    A bar is the share of draws in which a layer is picked. Strong bars with a line under them are the layers the
    data do not rule out; the triangle is the layer picked from all the data. "none" stands apart. The diamond is the
    depth at which similarity crosses half of its rise to the peak, with its interval.

    Parameters
    ----------
    where : Dataset, dims (target, layer)
        As `localize` returns it. One target alone may come without its dimension. Not changed.
    ax : Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        The axes drawn on.

    Examples
    --------
    >>> where = xr.Dataset(
    ...     {"probability": (("target", "layer"), [[0.1, 0.9, 0.0]]), "picked": ("target", ["fc8"]),
    ...      "in_set": (("target", "layer"), [[False, True, False]]),
    ...      "half_way_depth": 0.6, "half_way_interval": ("bound", [0.5, 0.7])},
    ...     {"target": ["peak"], "layer": ["relu1", "fc8", "none"], "depth": ("layer", [0.5, 1.0, np.nan])},
    ...     {"network": "alexnet"})
    >>> plot_localization(where).get_ylabel()
    'Share of draws'
    """
    must_hold(where, ("picked", "probability"), "What `localize` returned")
    table = localization_table(where)
    questions = list(dict.fromkeys(table["question"]))
    layers = [str(name) for name in where[LAYER].values]
    places = np.arange(len(layers), dtype=float) + 0.7 * (np.array(layers) == _NONE)
    network = str(where.attrs.get("network", ""))
    color = network_colors([network])[network]
    heads = [*questions, "Half-way to the peak"]
    with drawing(ax) as style:
        if ax is None:
            tall = (2.0 + 3.2 * len(heads)) * 2.6 * points_mm(style.text_pt)
            ax = new_axes(width_mm=style.single_mm, height_mm=min(tall, style.tallest_mm))
        pitch = _pitch(ax, len(heads), style)
        bottoms = [-row * pitch for row in range(len(heads))]
        for bottom, head in zip(bottoms, heads, strict=True):
            ax.text(places[0] - 0.5, bottom + 1.13, head, fontsize=style.small_pt, va="bottom", ha="left",
                    weight="bold", color=ink(color), parse_math=False)  # fmt: skip
        for bottom, question in zip(bottoms, questions, strict=False):
            _draw_row(ax, table[table["question"] == question], places, bottom, color, style)
        _draw_half_way(ax, where, places, bottoms[-1], color, style)
        ax.set_xlim(places[0] - 0.7, places[-1] + 0.7)
        ax.set_ylim(bottoms[-1] - 0.12, pitch - 0.03)
        ax.set_ylabel("Share of draws")
        ax.set_yticks([bottom + share for bottom in bottoms[:-1] for share in (0, 1)], ["0", "1"] * len(questions))
        ax.spines["left"].set_visible(False)
        name_layers_below(ax, places, layers, style)
        add_note(ax, note_of(where.attrs, [network]), style)
        keep_source(ax, table, name="localization", caption=caption_of_localization(where))
    return ax


def localization_table(where: xr.Dataset) -> pd.DataFrame:
    """Return the answers of `localize`, one row for each question and layer, as figure and report draw them."""
    answers = where if _TARGET in where.dims else where.expand_dims(_TARGET)
    table = answers[["probability", "in_set"]].to_dataframe().reset_index()
    picked = dict(zip(map(str, answers[_TARGET].values), map(str, answers["picked"].values), strict=True))
    names = question_names(where.attrs)
    return table.assign(
        question=[names.get(target, target) for target in table[_TARGET]],
        picked=table[LAYER] == table[_TARGET].map(picked),
        in_set=table["in_set"].astype(bool),
    )[[_TARGET, "question", LAYER, "probability", "in_set", "picked"]]


def half_way_place(where: xr.Dataset, places: np.ndarray) -> tuple[float, float, float]:
    """Return where the half-way depth and the ends of its interval lie among layers that stand at these places."""
    depth = where[DEPTH].values
    known = np.isfinite(depth)
    at = [float(where["half_way_depth"]), *where["half_way_interval"].values]
    middle, low, high = np.interp(at, depth[known], places[known])
    return float(middle), float(low), float(high)


def question_names(attrs: Mapping[object, object]) -> dict[str, str]:
    """Return the name of each question that `localize` answers, by target; the same in figures, report and text."""
    baseline = network_label(str(attrs["baseline"])) if attrs.get("baseline") else "its baseline"
    return {
        "peak": "Most like people",
        "reaches_ceiling": "Reaches the noise ceiling",
        "above_baseline": f"First above {baseline}",
        "differs_from_baseline": "First to differ from it",
    }


def _pitch(ax: Axes, rows: int, style: FigureStyle) -> float:
    """Return how far rows stand apart for a heading to fit between them, in heights of a whole bar."""
    share = 1.7 * points_mm(style.small_pt) / max(size_mm(ax)[1] - 3 * points_mm(style.text_pt), 10.0)
    return max(_ROW, (1.2 + 0.1 * share) / max(1 - rows * share, 0.3))


def _draw_row(
    ax: Axes, answer: pd.DataFrame, places: np.ndarray, bottom: float, color: str, style: FigureStyle
) -> None:
    share, inside = answer["probability"].to_numpy(), answer["in_set"].to_numpy()
    shades = [color if possible else paler(color, 0.62) for possible in inside]
    ax.bar(places, share, bottom=bottom, width=0.8, color=shades, linewidth=0, zorder=2)
    ax.plot(places[[0, -1]] + [-0.5, 0.5], [bottom, bottom], color=QUIET, linewidth=0.5 * style.line_pt, zorder=1)
    ax.vlines(places[0] - 0.7, bottom, bottom + 1, color="#222222", linewidth=1.2 * style.line_pt)
    possible = places[inside]
    for run in np.split(possible, np.flatnonzero(np.diff(possible) > 1.5) + 1) if len(possible) else []:
        ax.plot([run[0] - 0.5, run[-1] + 0.5], [bottom - 0.07] * 2, color=color, linewidth=1.6 * style.line_pt,
                solid_capstyle="butt", zorder=2)  # fmt: skip
    picked = int(np.flatnonzero(answer["picked"])[0])
    ax.plot(places[picked], min(bottom + share[picked] + 0.09, bottom + 1.04), marker="v", color="#222222",
            markersize=0.55 * style.small_pt, linestyle="none", zorder=3)  # fmt: skip


def _draw_half_way(
    ax: Axes, where: xr.Dataset, places: np.ndarray, bottom: float, color: str, style: FigureStyle
) -> None:
    """Draw the half-way depth and its interval among the layers, whose places are not their depths."""
    at, low, high = half_way_place(where, places)
    ax.plot(places[[0, -1]] + [-0.5, 0.5], [bottom, bottom], color=QUIET, linewidth=0.5 * style.line_pt, zorder=1)
    ax.plot([low, high], [bottom + 0.5] * 2, color=color, linewidth=1.6 * style.line_pt, zorder=2)
    ax.plot(at, bottom + 0.5, marker="D", color=color, markersize=0.55 * style.small_pt, linestyle="none", zorder=3)


_CAPITALS = ("plos", "apa")
_HEIGHTS = {"layers": 28.0, "middle": 26.0, "rdms": 20.0}  # in times the type size
_ON_A_SLIDE = {"layers": 25.0, "middle": 24.0, "rdms": 29.0}  # in parts of its height: type is large there
_LEAST = 0.5  # of a row's height
_MOST_EXAMPLES = 5


def plot_study(
    result: xr.Dataset,
    *,
    where: xr.Dataset | Sequence[xr.Dataset] | None = None,
    contrast: xr.Dataset | None = None,
    rdms: xr.DataArray | None = None,
    human: xr.DataArray | None = None,
    stimuli: StimulusSet | None = None,
    compared: Sequence[tuple[str, str, float]] = (),
) -> dict[str, Axes]:
    """Draw a study's panels in one figure over the page; what is not given leaves no gap.

    Where a slide is not high enough for three rows, it is one of 4:3, and the RDMs have no pictures.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison: the layer curve. Not changed.
    where : Dataset, dims (target, layer), or sequence of these, optional
        The answer of `localize` for the network in question; those for other networks may follow it, for the layers
        that `plot_networks` shows.
    contrast : Dataset, dims (layer, bound), optional
        The difference of two networks, of `contrast_layers`.
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j), optional
        Layer RDMs; of each network the layer that `plot_networks` shows, as an example: of networks that differ in
        their seed alone the first, and five at most.
    human : DataArray, dims (participant, stimulus_i, stimulus_j), optional
        Human RDMs, shown beside them.
    stimuli : StimulusSet, optional
        Pictures for the margin of the RDMs.
    compared : sequence of (str, str, float)
        Planned comparisons, as `plot_networks` takes them; left out where their brackets would crowd out the bars.

    Returns
    -------
    dict of str to Axes
        ``layers``, ``networks``, and ``localization``, ``contrast``, ``rdms`` where drawn; all of one figure.

    Examples
    --------
    >>> result = xr.Dataset(
    ...     {"similarity": ("rdm", [0.1, 0.3]), "noise_ceiling": ("bound", [0.4, 0.5])},
    ...     {"network": ("rdm", ["alexnet"] * 2), "layer": ("rdm", ["relu1", "fc8"]), "depth": ("rdm", [0.5, 1.0]),
    ...      "rdm": ["alexnet/relu1", "alexnet/fc8"]})
    >>> list(plot_study(result))
    ['layers', 'networks']
    """
    must_hold(result, (NETWORK, "similarity"), "A result of `compare_layers`")
    answers = [where] if isinstance(where, xr.Dataset) else list(where or ())
    first = answers[0] if answers else None
    picked = picked_layers(result, answers_of(answers))
    with drawing() as style:
        middle = [name for name, given in (("localization", first), ("contrast", contrast)) if given is not None]
        rows = ["layers", "middle", *(["rdms"] if rdms is not None else [])]
        slide = rdms is not None and not _fit(rows, style)
        heights = [(_ON_A_SLIDE if slide else _HEIGHTS)[row] for row in rows]
        tallest = max(0.75 * style.double_mm, style.tallest_mm) if slide else style.tallest_mm
        tall = min(sum(heights) * points_mm(style.text_pt), tallest)
        figure = plt.figure(figsize=(style.double_mm / MM_PER_INCH, tall / MM_PER_INCH), layout="constrained")
        parts = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
        axes = {"layers": plot_layers(result, ax=parts[0].add_subplot())}
        names = ["networks", *middle]
        columns = parts[1].subfigures(1, len(names), squeeze=False)[0]
        for name, part in zip(names, columns, strict=True):
            ax = part.add_subplot()
            if name == "networks":
                shown = compared if _has_room(ax, compared, style) else ()
                axes[name] = plot_networks(result, ax=ax, where=answers, compared=shown)
            elif name == "localization" and first is not None:
                axes[name] = plot_localization(first, ax=ax)
            elif contrast is not None:
                axes[name] = plot_contrast(contrast, ax=ax)
        if rdms is not None:
            sheet = parts[2].add_axes((0.02, 0.0, 0.98, 1.0))
            examples = _examples(_at_layers(rdms, picked))
            axes["rdms"] = plot_rdms(examples, ax=sheet, human=human, stimuli=None if slide else stimuli)
        for ax in axes.values():
            hide_notes(ax)
        _letter(list(axes.values()), note_of(result.attrs, map(str, result[NETWORK].values)), style)
    return axes


def _fit(rows: Sequence[str], style: FigureStyle) -> bool:
    """Return whether a page or slide has room for rows one below the other."""
    return _LEAST * sum(_HEIGHTS[row] for row in rows) * points_mm(style.text_pt) <= style.tallest_mm


def most_similar(rdms: xr.DataArray, result: xr.Dataset | None) -> xr.DataArray:
    """Return the layer of each network that is most similar to people: an example of it, not a test."""
    order = rdms[ORDER].values if ORDER in rdms.coords else range(rdms.sizes[RDM])
    score = dict(zip(map(str, rdms[RDM].values), (-1e6 + np.asarray(order)).tolist(), strict=True))
    if result is not None:
        score |= dict(zip(map(str, result[RDM].values), result["similarity"].values.tolist(), strict=True))
    networks = rdms[NETWORK].values.astype(str)
    labels = [str(name) for name in rdms[RDM].values]
    best = [
        max(np.flatnonzero(networks == network).tolist(), key=lambda place: score[labels[place]])
        for network in in_order(networks)
    ]
    return rdms.isel({RDM: best})


def _at_layers(rdms: xr.DataArray, layers: Mapping[str, str]) -> xr.DataArray:
    """Return the RDM of each network at its layer; of networks that have no such layer among these, the last one."""
    labels = [f"{network}/{layer}" for network, layer in layers.items()]
    shown = most_similar(rdms, None)
    names = [str(name) for name in rdms[RDM].values]
    given = {label.rpartition("/")[0]: names.index(label) for label in labels if label in names}
    places = [given.get(str(network), names.index(str(label)))
              for network, label in zip(shown[NETWORK].values, shown[RDM].values, strict=True)]  # fmt: skip
    return rdms.isel({RDM: places})


def _examples(rdms: xr.DataArray) -> xr.DataArray:
    """Return the first seed of each network, as many as stand in a row beside people."""
    starts = [split_seed(str(name))[0] for name in rdms[NETWORK].values]
    return rdms.isel({RDM: sorted(starts.index(start) for start in set(starts))[:_MOST_EXAMPLES]})


def _has_room(ax: Axes, compared: Sequence[tuple[str, str, float]], style: FigureStyle) -> bool:
    return 2 * points_mm(style.small_pt) * len(compared) < 0.45 * size_mm(ax)[1]


def _letter(axes: list[Axes], note: str, style: FigureStyle) -> None:
    """Write each panel's letter on a line of its own, so that no label touches it, and beside the first the note."""
    letters = int(0.95 * style.double_mm / (0.52 * points_mm(style.small_pt)))
    lines = textwrap.wrap(note, letters, break_on_hyphens=False)
    for place, ax in enumerate(axes):
        letter = chr(ord("a") + place)
        letter = letter.upper() if style.name in _CAPITALS else letter
        part = ax.get_figure()
        if not isinstance(part, SubFigure):
            continue
        below = "\n" * (len(lines) - 1) if place == 0 else ""
        head = part.suptitle(letter + below, x=0.004, ha="left", weight="bold", fontsize=style.text_pt + 1)
        if place == 0:
            part.text(0.996, head.get_position()[1], "\n".join(lines), ha="right", va="top", fontsize=style.small_pt,
                      color=QUIET, fontstyle="italic", gid=NOTE, parse_math=False)  # fmt: skip
