"""The training curve: a network's loss and accuracy, epoch by epoch, on faces it learnt from and on others."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from rsa_face.figures.layout import keep_source, legend_above, name_of, name_values, new_axes, points_mm
from rsa_face.figures.style import (
    QUIET,
    FigureStyle,
    drawing,
    in_order,
    network_colors,
    network_label,
    network_markers,
)
from rsa_face.schema import split_seed

_LABELS = {"loss": "Cross-entropy loss", "accuracy": "Accuracy"}
_MOST_MARKED = 12


def plot_training(
    history: pd.DataFrame | Mapping[str, pd.DataFrame], *, score: str = "accuracy", ax: Axes | None = None
) -> Axes:
    """Draw a score of one or several trainings along the epochs.

    Solid lines are the training faces, as seen with dropout and variation; dashed ones with open marks the
    validation faces. A training that stopped early ends early. Networks that differ in their seed alone share a
    colour. Where all have one epoch they stand side by side, since they would hide one another.
    """
    if score not in _LABELS:
        message = f"The score must be one of {', '.join(_LABELS)}, but is {score!r}. Choose one of these."
        raise ValueError(message)
    each = {"": history} if isinstance(history, pd.DataFrame) else dict(history)
    empty = [name for name, rows in each.items() if rows.empty]
    if empty or not each:
        message = f"A training curve must have epochs, but {empty or 'nothing'} has none. Train first."
        raise ValueError(message)
    names = in_order(each)
    epochs = max(int(rows["epoch"].max()) for rows in each.values())
    with drawing(ax) as style:
        if ax is None:
            tall = min(27 * points_mm(style.text_pt), style.tallest_mm)
            ax = new_axes(width_mm=style.single_mm, height_mm=tall)
        looks = _looks(names, style, marked=epochs <= _MOST_MARKED)
        for place, name in enumerate(names):
            aside = 0.6 * ((place + 0.5) / len(names) - 0.5) if epochs == 1 else 0.0
            _draw_network(ax, each[name], name, aside, score, looks[split_seed(name)[0]])
        if score == "accuracy":
            ax.axhline(0.5, color=QUIET, linewidth=0.6 * style.line_pt, linestyle=":")
            ax.set_ylim(0, 1.02)
        ax.set_xlim(0.5, epochs + 0.5)
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        ax.set_xlabel("Epoch")
        held_out = any(f"validation_{score}" in rows for rows in each.values())
        _explain(ax, names, looks, style, chance=score == "accuracy", held_out=held_out)
        name_values(ax, _LABELS[score] if held_out else f"{_LABELS[score]} (training faces)", style)
        table = pd.concat([each[name].assign(network=name) for name in names], ignore_index=True)
        keep_source(ax, table[["network", *(column for column in table if column != "network")]], name="training")
    return ax


def _looks(names: Sequence[str], style: FigureStyle, *, marked: bool) -> dict[str, dict[str, Any]]:
    """Return how the curves of each start look."""
    starts = [split_seed(name)[0] for name in names]
    colors, markers = network_colors(starts), network_markers(starts)
    return {
        start: {
            "color": colors[start],
            "marker": markers[start] if marked else "",
            "markersize": 0.5 * style.small_pt,
        }
        for start in starts
    }


def _draw_network(ax: Axes, rows: pd.DataFrame, name: str, aside: float, score: str, look: Mapping[str, Any]) -> None:
    label = network_label(name)
    ax.plot(rows["epoch"] + aside, rows[score], **look, label=f"{label} training".strip())
    if f"validation_{score}" in rows.columns:
        ax.plot(rows["epoch"] + aside, rows[f"validation_{score}"], **look, linestyle="--", markerfacecolor="white",
                label=f"{label} validation".strip())  # fmt: skip


def _explain(
    ax: Axes,
    names: Sequence[str],
    looks: Mapping[str, Mapping[str, Any]],
    style: FigureStyle,
    *,
    chance: bool,
    held_out: bool,
) -> None:
    seeds: dict[str, list[str]] = {}
    for name in names:
        seeds.setdefault(split_seed(name)[0], []).append(name)
    marks = {name_of(group): Line2D([], [], **looks[start]) for start, group in seeds.items() if start}
    if held_out:
        marks["training faces"] = Line2D([], [], color=QUIET)
        marks["validation faces"] = Line2D([], [], color=QUIET, linestyle="--")
    if chance:
        marks["chance (two classes)"] = Line2D([], [], color=QUIET, linestyle=":")
    if marks:
        legend_above(ax, list(marks.values()), list(marks), style)
