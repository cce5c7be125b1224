"""How alike layers are to one another, within networks and between them."""

from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.canvas import add_note, keep_source, new_axes, note_of, points_mm, size_mm
from rsa_face.figures.palette import in_order, ink, network_colors, network_label
from rsa_face.figures.style import FigureStyle, drawing
from rsa_face.figures.ticks import name_layers_below
from rsa_face.schema import LAYER, NETWORK, ORDER, RDM, comparison_label


def plot_rdm_similarity(similarity: xr.DataArray, *, ax: Axes | None = None) -> Axes:
    """Draw the similarity of every layer with every other, networks apart.

    Parameters
    ----------
    similarity : DataArray, dims (rdm, rdm_j)
        As `relate_rdms` returns it. Not changed.
    ax : Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        The axes drawn on.
    """
    networks = in_order(map(str, similarity[NETWORK].values))
    place = {name: index for index, name in enumerate(networks)}
    along = [place[str(name)] for name in similarity[NETWORK].values]
    within = np.asarray(
        similarity[ORDER].values if ORDER in similarity.coords else np.arange(len(along)), dtype=float
    )
    order = np.lexsort(np.stack([within, along]))
    sorted_ = similarity.isel({RDM: order, f"{RDM}_j": order})
    with drawing(ax) as style:
        if ax is None:
            side = min(style.double_mm if len(order) > 24 else style.single_mm, style.tallest_mm)
            ax = new_axes(width_mm=side, height_mm=0.9 * side)
        low = min(0.0, float(np.nanmin(sorted_.values)))
        image = ax.imshow(sorted_.values, cmap="magma", vmin=low, vmax=1, interpolation_stage="rgba")
        bar = ax.figure.colorbar(image, ax=ax, fraction=0.04, pad=0.02, shrink=0.5)
        comparison = str(similarity.attrs.get("comparison", ""))
        bar.set_label(f"Similarity of layers ({comparison_label(comparison)})")
        bar.outline.set_visible(False)
        _mark_networks(ax, [str(name) for name in sorted_[NETWORK].values], style)
        _name_layers(ax, sorted_, style)
        add_note(ax, note_of(similarity.attrs, networks), style, pad=2.2)
        labels = [str(name) for name in sorted_[RDM].values]
        table = pd.DataFrame(sorted_.values, columns=labels)
        table.insert(0, RDM, labels)
        keep_source(ax, table, name="rdm_similarity")
    return ax


def _name_layers(ax: Axes, similarity: xr.DataArray, style: FigureStyle) -> None:
    names, places = [str(name) for name in similarity[LAYER].values], np.arange(similarity.sizes[RDM], dtype=float)
    name_layers_below(ax, places, names, style)
    shown = ax.get_xticks()
    size = ax.get_xticklabels()[0].get_fontsize()
    ax.set_yticks(shown, [names[int(tick)] for tick in shown], fontsize=size, parse_math=False)
    ax.tick_params(axis="y", length=0.2 * style.small_pt, pad=0.25 * style.small_pt)
    ax.spines[:].set_visible(False)


def _mark_networks(ax: Axes, networks: list[str], style: FigureStyle) -> None:
    colors = network_colors(networks)
    step = size_mm(ax)[0] / len(networks)
    wide = {name: 0.62 * points_mm(style.small_pt) * len(network_label(name)) for name in networks}
    fits = all(wide[name] < networks.count(name) * step for name in wide)
    lean: dict[str, Any] = {"ha": "center"} if fits else {"ha": "left", "rotation": 30, "rotation_mode": "anchor"}
    for network in dict.fromkeys(networks):
        members = np.flatnonzero(np.array(networks) == network)
        low, high = members[0] - 0.5, members[-1] + 0.5
        ax.plot([low + 0.1, high - 0.1], [-0.5 - 0.5 / step] * 2, color=colors[network], linewidth=2 * style.line_pt,
                clip_on=False, solid_capstyle="butt")  # fmt: skip
        if low > 0:
            ax.axhline(low, color="white", linewidth=style.line_pt)
            ax.axvline(low, color="white", linewidth=style.line_pt)
        ax.text((low + high) / 2, -0.5 - 1.1 / step, network_label(network), fontsize=style.small_pt, weight="bold",
                color=ink(colors[network]), va="bottom", parse_math=False, **lean)  # fmt: skip
