"""Where networks look: maps laid over the faces on one scale, and bars of the share in each region."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from rsa_face.figures.canvas import (
    blank_axes,
    inset_mm,
    keep_source,
    note_of,
    note_on_sheet,
    points_mm,
    printable,
    size_mm,
)
from rsa_face.figures.palette import QUIET, in_order, ink, network_colors, network_label
from rsa_face.figures.style import FigureStyle, drawing
from rsa_face.figures.thumbnails import thumbnail
from rsa_face.schema import NETWORK, STIMULUS
from rsa_face.stimuli.catalogue import StimulusSet

_MOST_FACES = 8
_HEAD = 4.6  # room above the maps, in lines
_COLORS = "inferno"
_WHOLE = {"none": "whole face"}


def plot_saliency(
    maps: xr.DataArray,
    stimuli: StimulusSet | None = None,
    *,
    regions: xr.Dataset | None = None,
    faces: Sequence[str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Lay saliency maps over the faces, a row for each network, with bars of the share in each region below.

    Maps of different networks have no unit in common; each is divided by its own mean, so that one scale serves
    all: 1 is an even map. A map that is 0 everywhere is said to be so.

    Parameters
    ----------
    maps : DataArray, dims (stimulus, row, column) or (network, stimulus, row, column)
        From `saliency`. Not changed.
    stimuli : StimulusSet, optional
        The faces. Unless given, the maps must name their images in the coordinate `file`, as `write_saliency`
        leaves them.
    regions : Dataset, optional
        From `saliency_regions` or `join_networks`: bars, a group for each occlusion, with standard errors over
        faces.
    faces : sequence of str, optional
        Ids of the faces shown, at most eight; spread over the table unless given.
    ax : Axes, optional
        Where to draw; a new figure if None.

    Returns
    -------
    Axes
        The sheet, with the panels as its insets.

    Raises
    ------
    ValueError
        If a face asked for has no map or is not in the table.
    """
    many = maps if NETWORK in maps.dims else maps.expand_dims({NETWORK: [str(maps.attrs.get("network", "network"))]})
    files = _files(many, stimuli)
    chosen = _faces(many, files, faces)
    networks = in_order(map(str, many[NETWORK].values))
    with drawing(ax) as style:
        line = points_mm(style.small_pt)
        side = (style.double_mm - 12 * line) / max(len(chosen), 5)
        bars = 0.0 if regions is None else 18 * line
        if ax is None:
            ax = blank_axes(width_mm=style.double_mm, height_mm=len(networks) * side + (_HEAD + 1.5) * line + bars)
        width, height = size_mm(ax)
        ax.set(xlim=(0, width), ylim=(height, 0))
        ax.set_axis_off()
        side = min((width - 12 * line) / max(len(chosen), 5), (height - (_HEAD + 1.5) * line - bars) / len(networks))
        relative = _relative(many.sel({STIMULUS: chosen}).transpose(NETWORK, STIMULUS, "row", "column"))
        top = float(np.nanquantile(relative.values, 0.995)) if np.isfinite(relative.values).any() else 1.0
        for row, network in enumerate(networks):
            _draw_row(ax, relative.sel({NETWORK: network}), files, (row, side, max(top, 1.0)), style)
        _draw_scale(ax, max(top, 1.0), (width, side * len(networks)), style)
        sources = [_shown(relative)]
        if regions is not None:
            sources = [_draw_bars(ax, regions, networks, (_HEAD + 1) * line + side * len(networks), style)]
        note_on_sheet(ax, note_of(maps.attrs, networks), style)
        keep_source(ax, sources[0], name="saliency")
    return ax


def _files(maps: xr.DataArray, stimuli: StimulusSet | None) -> dict[str, str]:
    if stimuli is not None:
        return dict(zip(stimuli.ids, map(str, stimuli.files), strict=True))
    if "file" not in maps.coords:
        message = "Maps must name their images to be laid over them, but have no coordinate 'file'. Pass the stimuli."
        raise ValueError(message)
    return dict(
        zip(maps[STIMULUS].values.astype(str).tolist(), maps["file"].values.astype(str).tolist(), strict=True)
    )


def _faces(maps: xr.DataArray, files: Mapping[str, str], faces: Sequence[str] | None) -> list[str]:
    have = [str(value) for value in maps[STIMULUS].values]
    if faces is None:
        spread = np.unique(np.linspace(0, len(have) - 1, min(len(have), _MOST_FACES)).round().astype(int))
        faces = [have[place] for place in spread]
    lacking = sorted({face for face in faces if face not in have or face not in files})
    if lacking or not 1 <= len(faces) <= _MOST_FACES:
        message = (
            f"Faces to show must be 1 to {_MOST_FACES} and have a map and an image, but {len(faces)} are asked for "
            f"and {lacking[:20]} lack one. Choose others."
        )
        raise ValueError(message)
    return [str(face) for face in faces]


def _relative(maps: xr.DataArray) -> xr.DataArray:
    mean = maps.mean(["row", "column"])
    return maps / mean.where(mean > 0)


def _draw_row(
    ax: Axes, maps: xr.DataArray, files: Mapping[str, str], place: tuple[int, float, float], style: FigureStyle
) -> None:
    row, side, top = place
    line = points_mm(style.small_pt)
    name = str(maps[NETWORK].item())
    color = ink(network_colors([name])[name])
    ax.text(2.0 * line, _HEAD * line + (row + 0.5) * side, printable(network_label(name)), color=color, weight="bold",
            fontsize=style.small_pt, rotation=90, ha="center", va="center", parse_math=False)  # fmt: skip
    for column, face in enumerate(maps[STIMULUS].values.astype(str)):
        panel = inset_mm(ax, 3.5 * line + column * side, _HEAD * line + row * side, 0.96 * side, 0.96 * side)
        values = maps.sel({STIMULUS: face}).values
        size = values.shape[1], values.shape[0]
        picture = _as_seen(thumbnail(files[face], pixels=320), maps.attrs.get("preprocessing"))
        panel.imshow(picture.mean(axis=2), cmap="gray", vmin=0, vmax=255, extent=(0, size[0], size[1], 0))
        if np.isfinite(values).any():
            share = np.clip(values / top, 0, 1)
            panel.imshow(values, cmap=_COLORS, vmin=0, vmax=top, alpha=0.15 + 0.65 * share, interpolation="bilinear",
                         extent=(0, size[0], size[1], 0))  # fmt: skip
        else:
            panel.text(0.5, 0.03, "all zero", transform=panel.transAxes, ha="center", va="bottom", color="white",
                       fontsize=style.least_pt, bbox={"facecolor": "black", "linewidth": 0, "pad": 1})  # fmt: skip
        panel.set_xticks([])
        panel.set_yticks([])
        panel.spines[:].set_visible(False)
        if row == 0:
            panel.set_title(_said_of(maps, face), fontsize=style.least_pt, pad=0.3 * style.small_pt, parse_math=False)


def _as_seen(picture: np.ndarray, preprocessing: Mapping[str, Any] | None) -> np.ndarray:
    """Cut what the network saw out of a picture of the whole file."""
    if not preprocessing:
        return picture
    resize, crop = preprocessing["resize"], int(preprocessing["crop"])
    height, width = picture.shape[:2]
    short = min(height, width)
    by = (short / resize, short / resize) if isinstance(resize, int) else (height / resize[0], width / resize[1])
    tall, wide = (max(min(round(crop * one), most), 1) for one, most in zip(by, (height, width), strict=True))
    y, x = (height - tall) // 2, (width - wide) // 2
    return picture[y : y + tall, x : x + wide]


def _said_of(maps: xr.DataArray, face: str) -> str:
    here = maps.sel({STIMULUS: face})
    lines = [face]
    if "level" in here.coords:
        lines = [f"level {float(here['level']):+g}".replace("-", "\N{MINUS SIGN}")]
    if "occlusion" in here.coords:
        occlusion = str(here["occlusion"].item())
        lines = [_WHOLE.get(occlusion, f"{occlusion} masked"), *lines]
    return "\n".join(printable(line) for line in lines)


def _draw_scale(ax: Axes, top: float, size: tuple[float, float], style: FigureStyle) -> None:
    line = points_mm(style.small_pt)
    width, height = size
    panel = inset_mm(ax, width - 6.5 * line, _HEAD * line, line, min(height, 20 * line))
    mappable = mpl.cm.ScalarMappable(Normalize(0, top), cmap=_COLORS)
    bar = ax.figure.colorbar(mappable, cax=panel)
    bar.outline.set_visible(False)
    bar.set_label("Saliency (1: even)", fontsize=style.small_pt)
    bar.ax.tick_params(labelsize=style.small_pt)


def _draw_bars(ax: Axes, regions: xr.Dataset, networks: list[str], top: float, style: FigureStyle) -> pd.DataFrame:
    line = points_mm(style.small_pt)
    table = _averages(regions)
    occlusions = list(dict.fromkeys(table["occlusion"]))
    width, height = ax.get_xlim()[1], ax.get_ylim()[0]
    each = (width - 7.5 * line - 5 * line * (len(occlusions) - 1)) / len(occlusions)
    colors = network_colors(networks)
    highest = float((table["proportion"] + table["se"].fillna(0)).max())
    highest = highest if highest > 0 else 1.0  # every map is 0 everywhere: nothing stands above the axis
    for place, occlusion in enumerate(occlusions):
        panel = inset_mm(
            ax, 6.5 * line + place * (each + 5 * line), top + 1.5 * line, each, height - top - 5.5 * line
        )
        here = table[table["occlusion"] == occlusion]
        names = list(dict.fromkeys(here["region"]))
        step = 0.8 / len(networks)
        for number, network in enumerate(networks):
            one = here[here["network"] == network].set_index("region").reindex(names)
            x = np.arange(len(names)) - 0.4 + (number + 0.5) * step
            panel.bar(x, one["proportion"], width=0.92 * step, color=colors[network], linewidth=0)
            panel.vlines(x, one["proportion"] - one["se"], one["proportion"] + one["se"], color="#222222",
                         linewidth=0.6 * style.line_pt)  # fmt: skip
        for number, name in enumerate(names):
            area = float(here[here["region"] == name]["area"].iloc[0])
            panel.plot([number - 0.42, number + 0.42], [area, area], color=QUIET, linewidth=0.7 * style.line_pt,
                       linestyle=(0, (2, 1.5)))  # fmt: skip
        panel.set_ylim(0, 1.08 * highest)
        panel.set_xticks(range(len(names)), [printable(name) for name in names], fontsize=style.small_pt)
        panel.tick_params(axis="x", length=0)
        panel.set_title(_WHOLE.get(occlusion, f"{printable(occlusion)} masked"), fontsize=style.small_pt, loc="left")
        if place == 0:
            panel.set_ylabel("Share of saliency", fontsize=style.small_pt)
    ax.text(6.5 * line, height - 0.9 * line, "Dashes: the region's share of the image. Bars: mean and standard error "
            "over faces; colours as the rows above.", fontsize=style.least_pt, color=QUIET, va="center")  # fmt: skip
    return table


def _averages(regions: xr.Dataset) -> pd.DataFrame:
    frame = regions["proportion"].to_dataframe().reset_index()
    area = regions["area"].mean(STIMULUS).to_series()
    frame["occlusion"] = frame.get("occlusion", "none")
    groups = frame.groupby(["occlusion", "region", NETWORK], sort=False)["proportion"]
    table = groups.agg(proportion="mean", se="sem", faces="count").reset_index()
    return table.assign(area=table["region"].map(area))


def _shown(relative: xr.DataArray) -> pd.DataFrame:
    rows = relative.max(["row", "column"]).to_dataframe("highest").reset_index()
    return rows[[NETWORK, STIMULUS, "highest"]]
