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
from rsa_face.figures.forms import names_in
from rsa_face.figures.legends import legend_above
from rsa_face.figures.palette import CEILING_COLOR, in_order, network_colors, network_label
from rsa_face.figures.style import FigureStyle, drawing
from rsa_face.figures.ticks import name_values
from rsa_face.schema import BOUND, LAYER, NETWORK, OTHER_MEASURES, RDM, comparison_label


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
    it stands beside the bar, where `where` holds it.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison, as `compare_layers` returns it. Not changed.
    ax : Axes, optional
        Where to draw; a new figure if None.
    layers : mapping of str to str, optional
        Network to layer, chosen beforehand; networks that are left out are not shown.
    where : Dataset or sequence of Dataset, optional
        What `localize` returned for some of the networks, with the similarity on what did not pick the layer where
        `held_out_similarity` added it. Networks without it are shown at their most similar layer.
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
        _draw_ceiling(ax, result, style)
        for place, (network, row) in enumerate(rows.items()):
            _draw_network(ax, result.isel({RDM: row}), place, colors[network], style)
        held_out = {} if layers is not None else {name: _held_out(answers.get(name)) for name in rows}
        marks = [ax.plot(place + 0.39, held_out[name], marker="D", color=colors[name], markerfacecolor="white",
                         markersize=0.5 * style.small_pt, linestyle="none", zorder=3)[0]
                 for place, name in enumerate(rows) if not np.isnan(held_out.get(name, np.nan))]  # fmt: skip
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
        above = legend_above(ax, marks[:1], ["held out"], style) if marks else 0
        add_note(ax, _notes(result, rows, layers), style, pad=0.6 + 1.6 * above)
        keep_source(ax, _table(result, rows, held_out), name="networks")
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


def _held_out(answer: xr.Dataset | None) -> float:
    peak = _peak(answer)
    return float(peak["held_out_similarity"]) if peak is not None and "held_out_similarity" in peak else float("nan")


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


def _table(result: xr.Dataset, rows: Mapping[str, int], held_out: Mapping[str, float]) -> pd.DataFrame:
    lines = []
    for network, row in rows.items():
        layer = result.isel({RDM: row})
        line = {"network": network, "layer": str(layer[LAYER].item()), "similarity": float(layer["similarity"])}
        line |= {"held_out": held_out[network]} if not np.isnan(held_out.get(network, np.nan)) else {}
        if "similarity_interval" in layer:
            line["lower"], line["upper"] = layer["similarity_interval"].values
        if "participant_similarity" in layer:
            people, each = layer["participant"].values, layer["participant_similarity"].values
            line |= {f"participant {name}": value for name, value in zip(people, each, strict=True)}
        lines.append(line)
    return pd.DataFrame(lines)
