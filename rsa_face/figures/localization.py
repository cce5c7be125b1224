"""At which layer a network becomes like people: for each question, how probable each layer is."""

from collections.abc import Mapping

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.canvas import add_note, keep_source, new_axes, note_of, points_mm, size_mm
from rsa_face.figures.palette import QUIET, ink, network_colors, network_label, paler
from rsa_face.figures.style import FigureStyle, drawing
from rsa_face.figures.ticks import name_layers_below
from rsa_face.schema import LAYER

_TARGET = "target"
_NONE = "none"
_ROW = 1.45  # from one row of bars to the next, where a bar of all draws is 1 high


def plot_localization(where: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw how probable each layer is as the peak, the first at the noise ceiling and the first above the baseline.

    A bar is the share of draws in which a layer was picked. Strong bars with a line under them are the layers the
    data do not rule out; the triangle is the layer picked from all the data. "none" stands apart.

    Parameters
    ----------
    where : Dataset, dims (target, layer)
        As `localize` returns it: ``probability``, and where there are any ``in_set`` and ``picked``. One target
        alone may come without its dimension. Not changed.
    ax : Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        The axes drawn on.
    """
    where = where if _TARGET in where.dims else where.expand_dims(_TARGET)
    targets = [str(name) for name in where[_TARGET].values]
    layers = [str(name) for name in where[LAYER].values]
    places = np.arange(len(layers), dtype=float) + 0.7 * (np.array(layers) == _NONE)
    network = str(where.attrs.get("network", ""))
    color = network_colors([network])[network]
    with drawing(ax) as style:
        if ax is None:
            tall = (2.0 + 3.2 * len(targets)) * 2.6 * points_mm(style.text_pt)
            ax = new_axes(width_mm=style.single_mm, height_mm=min(tall, style.tallest_mm))
        pitch = _pitch(ax, len(targets), style)
        bottoms = [-row * pitch for row in range(len(targets))]
        for bottom, target in zip(bottoms, targets, strict=True):
            _draw_row(ax, where.sel({_TARGET: target}), places, bottom, color, style)
            question = _questions(where.attrs).get(target, target)
            ax.text(places[0] - 0.5, bottom + 1.13, question, fontsize=style.small_pt, va="bottom", ha="left",
                    weight="bold", color=ink(color), parse_math=False)  # fmt: skip
        ax.set_xlim(places[0] - 0.7, places[-1] + 0.7)
        ax.set_ylim(bottoms[-1] - 0.12, pitch - 0.03)
        ax.set_ylabel("Share of draws")
        ax.set_yticks([bottom + share for bottom in bottoms for share in (0, 1)], ["0", "1"] * len(targets))
        ax.spines["left"].set_visible(False)
        name_layers_below(ax, places, layers, style)
        add_note(ax, note_of(where.attrs, [network]), style)
        columns = [name for name in ("probability", "in_set") if name in where]
        table = where[columns].to_dataframe().reset_index()
        keep_source(ax, table[[_TARGET, LAYER, *columns]], name="localization")
    return ax


def _pitch(ax: Axes, rows: int, style: FigureStyle) -> float:
    """Return how far rows stand apart for a heading to fit between them, in heights of a whole bar."""
    share = 1.7 * points_mm(style.small_pt) / max(size_mm(ax)[1] - 3 * points_mm(style.text_pt), 10.0)
    return max(_ROW, (1.2 + 0.1 * share) / max(1 - rows * share, 0.3))


def _draw_row(
    ax: Axes, answer: xr.Dataset, places: np.ndarray, bottom: float, color: str, style: FigureStyle
) -> None:
    share = answer["probability"].values
    inside = answer["in_set"].values.astype(bool) if "in_set" in answer else np.zeros(len(share), dtype=bool)
    shades = [color if kept or "in_set" not in answer else paler(color, 0.62) for kept in inside]
    ax.bar(places, share, bottom=bottom, width=0.8, color=shades, linewidth=0, zorder=2)
    ax.plot(places[[0, -1]] + [-0.5, 0.5], [bottom, bottom], color=QUIET, linewidth=0.5 * style.line_pt, zorder=1)
    ax.vlines(places[0] - 0.7, bottom, bottom + 1, color="#222222", linewidth=1.2 * style.line_pt)
    kept = places[inside]
    for run in np.split(kept, np.flatnonzero(np.diff(kept) > 1.5) + 1) if len(kept) else []:
        ax.plot([run[0] - 0.5, run[-1] + 0.5], [bottom - 0.07] * 2, color=color, linewidth=1.6 * style.line_pt,
                solid_capstyle="butt", zorder=2)  # fmt: skip
    if "picked" not in answer:
        return
    layers = [str(name) for name in answer[LAYER].values]
    picked = places[layers.index(str(answer["picked"].item()))]
    top = bottom + share[layers.index(str(answer["picked"].item()))]
    ax.plot(picked, min(top + 0.09, bottom + 1.04), marker="v", color="#222222", markersize=0.55 * style.small_pt,
            linestyle="none", zorder=3)  # fmt: skip


def _questions(attrs: Mapping[object, object]) -> dict[str, str]:
    baseline = attrs.get("baseline")
    return {
        "peak": "Most like people",
        "at_ceiling": "First at the noise ceiling",
        "above_baseline": f"First above {network_label(str(baseline))}" if baseline else "First above its baseline",
    }
