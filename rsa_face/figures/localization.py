"""At which layer a network becomes like people: the answer to each question, and how stable it is."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.canvas import add_note, keep_source, new_axes, note_of, points_mm, size_mm
from rsa_face.figures.palette import QUIET, ink, network_colors, network_label, paler
from rsa_face.figures.style import FigureStyle, drawing
from rsa_face.figures.ticks import name_layers_below
from rsa_face.schema import DEPTH, LAYER

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
    """
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
        keep_source(ax, table, name="localization")
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
    shades = [color if kept else paler(color, 0.62) for kept in inside]
    ax.bar(places, share, bottom=bottom, width=0.8, color=shades, linewidth=0, zorder=2)
    ax.plot(places[[0, -1]] + [-0.5, 0.5], [bottom, bottom], color=QUIET, linewidth=0.5 * style.line_pt, zorder=1)
    ax.vlines(places[0] - 0.7, bottom, bottom + 1, color="#222222", linewidth=1.2 * style.line_pt)
    kept = places[inside]
    for run in np.split(kept, np.flatnonzero(np.diff(kept) > 1.5) + 1) if len(kept) else []:
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
