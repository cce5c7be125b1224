"""Where networks look: maps over faces, and the share of each in eyes, nose and mouth."""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.colors import Normalize

from rsa_face.figures.captions import caption_of_saliency
from rsa_face.figures.layout import (
    blank_axes,
    groups_along,
    inset_mm,
    keep_source,
    note_of,
    note_on_sheet,
    points_mm,
    printable,
    sheet_mm,
    thumbnail,
    words_of_occlusion,
)
from rsa_face.figures.style import QUIET, FigureStyle, drawing, in_order, ink, network_colors, network_label
from rsa_face.safety import must_be_a
from rsa_face.schema import LAYER, NETWORK, STIMULUS
from rsa_face.stimuli.catalogue import StimulusSet

REGION = "region"


def shares_table(regions: xr.Dataset) -> pd.DataFrame:
    """Return the mean share of saliency in each region with its standard error, as figure and report draw it."""
    frame = _shares_of(regions)
    groups = frame.groupby(["occlusion", REGION, NETWORK], sort=False)["proportion"]
    table = groups.agg(proportion="mean", se="sem", faces="count").reset_index()
    if "area" in regions:
        table["area"] = table[REGION].map(regions["area"].mean(STIMULUS).to_series())
    return table


def _shares_of(regions: xr.Dataset) -> pd.DataFrame:
    frame = regions["proportion"].to_dataframe().reset_index()
    return frame.assign(occlusion=frame.get("occlusion", "none"))


def _draw_bars(
    ax: Axes,
    regions: xr.Dataset,
    networks: list[str],
    frame: tuple[float, float, float, float],
    style: FigureStyle,
    *,
    stacked: bool,
) -> pd.DataFrame:
    """Draw bars of the share of saliency in each region, a panel for each occlusion, all on one scale."""
    line = points_mm(style.small_pt)
    left, top, width, height = frame
    table, shares = shares_table(regions), _shares_of(regions)
    occlusions = list(dict.fromkeys(table["occlusion"]))
    highest = float((table["proportion"] + table["se"].fillna(0)).max())
    highest = highest if highest > 0 else 1.0  # every map is 0 everywhere: nothing stands above the axis
    title, names, gap, count = 1.5 * line, 1.5 * line, 2 * line, len(occlusions)
    each, tall = (width - gap * (count - 1)) / count, (height - names) / count
    for place, occlusion in enumerate(occlusions):
        if stacked:
            panel = inset_mm(ax, left, top + place * tall + title, width, tall - title)
        else:
            panel = inset_mm(ax, left + place * (each + gap), top + title, each, height - title - names)
        order = list(dict.fromkeys(table[REGION][table["occlusion"] == occlusion]))
        sns.barplot(
            shares[shares["occlusion"] == occlusion], x=REGION, y="proportion", hue=NETWORK, order=order,
            hue_order=networks, palette=network_colors(networks), saturation=1, gap=0.08, errorbar="se", legend=False,
            err_kws={"color": "#222222", "linewidth": 0.6 * style.line_pt}, ax=panel,
        )  # fmt: skip
        for number, name in enumerate(order):
            area = float(table["area"][table[REGION] == name].iloc[0])
            for color, dashes in (("white", "-"), (QUIET, (0, (2, 1.5)))):  # seen over dark bars, too
                panel.plot([number - 0.42, number + 0.42], [area, area], color=color, linewidth=0.7 * style.line_pt,
                           linestyle=dashes)  # fmt: skip
        panel.set(ylim=(0, 1.08 * highest), xlabel="", ylabel="")
        panel.set_xticks(range(len(order)), [printable(name) for name in order], fontsize=style.small_pt)
        panel.tick_params(axis="x", length=0)
        panel.set_title(words_of_occlusion(occlusion), fontsize=style.small_pt, loc="left", parse_math=False)
        panel.tick_params(labelleft=stacked or place == 0, labelbottom=not stacked or place == count - 1)
    ax.text(left - 4.2 * line, top + 0.5 * (title + height - names), "Share of saliency", fontsize=style.small_pt,
            rotation=90, ha="center", va="center")  # fmt: skip
    return table


_MOST_FACES = 8
_HEAD = 4.6  # room above the maps, in lines
_FOOT = 5.0  # and below, with bars beside them
_COLORS = "inferno"
METHOD_LABELS = {"gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++", "layercam": "LayerCAM"}


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
    all: 1 is an even map. A map that is 0 everywhere is said to be so. The method is named above the maps, the layer
    beside each row.
    """
    must_be_a(maps, xr.DataArray, "Maps of `map_saliency` are needed here")
    many = maps if NETWORK in maps.dims else maps.expand_dims({NETWORK: [str(maps.attrs.get("network", "network"))]})
    files = _files(many, stimuli)
    chosen = _faces(many, files, faces)
    networks = in_order(map(str, many[NETWORK].values))
    with drawing(ax) as style:
        line = points_mm(style.small_pt)
        pitch = (style.double_mm - 12 * line) / max(len(chosen), 5)
        bars = 0.0 if regions is None else 19 * line
        if ax is None:
            tall = len(networks) * pitch + (_HEAD + 1.5) * line + bars
            ax = blank_axes(width_mm=style.double_mm, height_mm=min(tall, style.tallest_mm))
        width, height = sheet_mm(ax)
        grid = _lay_out(networks, len(chosen), (width, height), min(bars, 0.4 * height), line)
        relative = _relative(many.sel({STIMULUS: chosen}).transpose(NETWORK, STIMULUS, "row", "column"))
        top = float(np.nanquantile(relative.values, 0.995)) if np.isfinite(relative.values).any() else 1.0
        for row, network in enumerate(networks):
            _draw_row(ax, relative.sel({NETWORK: network}), files, (row, grid, max(top, 1.0)), style)
        _name_occlusions(ax, relative, grid, style)
        below = _HEAD * line + grid.side * len(networks)
        _draw_scale(ax, max(top, 1.0), grid, below, style)
        table = _shown(relative)
        if regions is not None:
            foot = _explain_bars(ax, grid, style)
            frame = _frame_of_bars(grid, (below, foot), (width, height), line)
            table = _draw_bars(ax, regions, networks, frame, style, stacked=grid.stacked)
        ax.text(grid.left, 0.9 * line, how_mapped(maps.attrs), fontsize=style.small_pt, va="center",
                parse_math=False)  # fmt: skip
        note_on_sheet(ax, note_of(maps.attrs, networks), style)
        caption = caption_of_saliency(how_mapped(maps.attrs), maps.attrs, networks)
        keep_source(ax, table, name="saliency", caption=caption)
    return ax


def how_mapped(attrs: Mapping[Any, Any]) -> str:
    """Return by which method maps were made, and of which answer, in words.

    Examples
    --------
    >>> how_mapped({"method": "gradcam", "answer": "given"})
    'Grad-CAM of the answer given'
    """
    method, answer = (str(attrs.get(name, "")) for name in ("method", "answer"))
    named = METHOD_LABELS.get(method, method) or "Class activation maps"
    return named + {"given": " of the answer given", "": ""}.get(answer, f" of the answer “{answer}”")


@dataclass(frozen=True)
class _Grid:
    """Where the maps stand, in mm: the left edge, a map's side, and from one to the next; how rows are named.

    Bars stand below them, or stacked beside.
    """

    left: float
    side: float
    pitch: float
    upright: bool
    faces: int
    stacked: bool = False

    @property
    def width(self) -> float:
        """Of all maps of a row."""
        return self.faces * self.pitch


def _lay_out(networks: Sequence[str], faces: int, room: tuple[float, float], bars: float, line: float) -> _Grid:
    """Give the maps their size: all of the width, or of the height where that is less, as on a slide.

    Bars stand below the maps, and beside them where the maps would leave much of the width.
    """
    width, height = room
    name = 0.62 * line * max(len(network_label(network)) for network in networks)
    tall = (height - (_HEAD + 1.5) * line - bars) / len(networks)
    upright = name <= tall  # else the rows are lower than their names are long
    left = 3.5 * line if upright else name + 1.5 * line
    pitch = (width - left - 8.5 * line) / max(faces, 5)
    if not bars or tall > 0.75 * pitch:
        return _Grid(left, min(pitch, tall), pitch, upright, faces)
    tall = (height - (_HEAD + _FOOT) * line) / len(networks)
    upright = name <= tall
    left = 3.5 * line if upright else name + 1.5 * line
    side = min(tall, (0.74 * width - left) / faces)
    return _Grid(left, side, side, upright, faces, stacked=True)


def _files(maps: xr.DataArray, stimuli: StimulusSet | None) -> dict[str, str]:
    if stimuli is not None:
        return dict(zip(stimuli.ids, map(str, stimuli.files), strict=True))
    if "file" not in maps.coords:
        message = "No pictures for the maps: they have no coordinate 'file'. Pass the stimuli."
        raise ValueError(message)
    return dict(
        zip(maps[STIMULUS].values.astype(str).tolist(), maps["file"].values.astype(str).tolist(), strict=True)
    )


def _faces(maps: xr.DataArray, files: Mapping[str, str], faces: Sequence[str] | None) -> list[str]:
    mapped = [str(value) for value in maps[STIMULUS].values]
    if faces is None:
        spread = np.unique(np.linspace(0, len(mapped) - 1, min(len(mapped), _MOST_FACES)).round().astype(int))
        faces = [mapped[place] for place in spread]
    lacking = sorted({face for face in faces if face not in mapped or face not in files})
    if lacking or not 1 <= len(faces) <= _MOST_FACES:
        fault = f"{lacking[:20]} lack a map or an image" if lacking else f"{len(faces)} faces do not fit into a row"
        message = f"Faces cannot be shown: {fault}. Choose 1 to {_MOST_FACES} that have both."
        raise ValueError(message)
    return [str(face) for face in faces]


def _relative(maps: xr.DataArray) -> xr.DataArray:
    mean = maps.mean(["row", "column"])
    return (maps / mean.where(mean > 0)).assign_attrs(maps.attrs)  # xarray before 2025.11 drops them


def _draw_row(
    ax: Axes, maps: xr.DataArray, files: Mapping[str, str], place: tuple[int, _Grid, float], style: FigureStyle
) -> None:
    row, grid, top = place
    side = grid.side
    line = points_mm(style.small_pt)
    name = str(maps[NETWORK].item())
    layer = str(maps[LAYER].item() if LAYER in maps.coords else maps.attrs.get("layer", ""))
    look: dict[str, Any] = {"fontsize": style.small_pt, "va": "center", "parse_math": False}
    look |= {"rotation": 90, "ha": "center"} if grid.upright else {"ha": "right"}
    middle, color = _HEAD * line + (row + 0.48) * side, ink(network_colors([name])[name])
    places = [(1.3, 0.0), (2.7, 0.0)] if grid.upright else [(grid.left / line - 0.7, up) for up in (-0.65, 0.65)]
    for (x, y), word, weight in zip(places, (network_label(name), layer), ("bold", "normal"), strict=True):
        ax.text(x * line, middle + y * line, printable(word), color=color, weight=weight, **look)
    for column, face in enumerate(maps[STIMULUS].values.astype(str)):
        left = grid.left + column * grid.pitch + 0.5 * (grid.pitch - side)
        panel = inset_mm(ax, left, _HEAD * line + row * side, 0.96 * side, 0.96 * side)
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
            panel.set_title(
                _title_of(maps, face), fontsize=style.least_pt, pad=0.3 * style.small_pt, parse_math=False
            )


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


def _title_of(maps: xr.DataArray, face: str) -> str:
    if "level" not in maps.coords:
        return printable(face)
    return f"level {float(maps['level'].sel({STIMULUS: face})):+g}".replace("-", "\N{MINUS SIGN}")


def _name_occlusions(ax: Axes, maps: xr.DataArray, grid: _Grid, style: FigureStyle) -> None:
    """Write each occlusion once above the faces that share it."""
    if "occlusion" not in maps.coords:
        return
    line = points_mm(style.small_pt)
    for group in groups_along(list(maps["occlusion"].values)):
        ax.text(grid.left + 0.5 * (group.start + group.stop) * grid.pitch, (_HEAD - 1.8) * line,
                words_of_occlusion(group.label), ha="center", va="center", fontsize=style.small_pt,
                parse_math=False)  # fmt: skip


def _draw_scale(ax: Axes, top: float, grid: _Grid, below: float, style: FigureStyle) -> None:
    """Draw the colours' scale beside the maps, or under them where bars stand beside."""
    line = points_mm(style.small_pt)
    if grid.stacked:
        length = min(max(grid.width - 11.5 * line, 4 * line), 20 * line)  # its name stands beside it
        panel = inset_mm(ax, grid.left, below + 0.6 * line, length, 0.8 * line)
    else:
        panel = inset_mm(ax, ax.get_xlim()[1] - 6.5 * line, _HEAD * line, line, min(below - _HEAD * line, 20 * line))
    mappable = mpl.cm.ScalarMappable(Normalize(0, top), cmap=_COLORS)
    bar = ax.figure.colorbar(mappable, cax=panel, orientation="horizontal" if grid.stacked else "vertical")
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=style.small_pt)
    if grid.stacked:
        ax.text(
            grid.left + length + 0.8 * line, below + line, "Saliency (1: even)", fontsize=style.small_pt, va="center"
        )
    else:
        bar.set_label("Saliency (1: even)", fontsize=style.small_pt)


def _frame_of_bars(
    grid: _Grid, edges: tuple[float, float], size: tuple[float, float], line: float
) -> tuple[float, float, float, float]:
    """Return where bars stand, in mm: left, top, width and height."""
    (below, foot), (width, height) = edges, size
    if not grid.stacked:
        return 6.5 * line, below + line, width - 7.5 * line, height - below - foot - line
    left, top = grid.left + grid.width + 6.5 * line, (_HEAD - 2) * line
    return left, top, width - left - line, height - top - foot


def _explain_bars(ax: Axes, grid: _Grid, style: FigureStyle) -> float:
    """Say at the lower edge what bars and dashes are, and return how much room it takes, in mm."""
    line, left = points_mm(style.small_pt), grid.left if grid.stacked else 6.5 * points_mm(style.small_pt)
    key = "Dashes: the region's share of the image. Bars: mean and standard error over faces, by network."
    letters = int((ax.get_xlim()[1] - left - 0.5 * line) / (0.56 * points_mm(style.least_pt)))
    lines = textwrap.wrap(key, max(letters, 20))
    ax.text(left, ax.get_ylim()[0] - 0.3 * line, "\n".join(lines), fontsize=style.least_pt, color=QUIET, va="bottom")
    return 0.8 * line + 1.25 * len(lines) * points_mm(style.least_pt)


def _shown(relative: xr.DataArray) -> pd.DataFrame:
    rows = relative.max(["row", "column"]).to_dataframe("highest").reset_index()
    return rows[[NETWORK, STIMULUS, "highest"]]
