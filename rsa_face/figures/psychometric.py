"""Psychometric curves: people's choices along the morph beside each network's, a panel for each occlusion."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from scipy.special import ndtri
from scipy.stats import t as student

from rsa_face.figures.layout import (
    blank_axes,
    inset_mm,
    keep_source,
    note_of,
    note_on_sheet,
    points_mm,
    printable,
    size_mm,
)
from rsa_face.figures.style import (
    HUMAN_COLOR,
    QUIET,
    FigureStyle,
    drawing,
    in_order,
    ink,
    network_colors,
    network_label,
    network_markers,
)
from rsa_face.schema import NETWORK, PARTICIPANT, origin_of

_WHOLE = {"none": "Whole face"}
SCALES = {"signed": "Level (−1 sad to +1 happy)", "morph": "Morph (0 sad to 1 happy)"}
_PER_ROW = 4
_LOWEST = -0.12  # of P(happy): room for arrows below the curves


def plot_psychometric(
    people: xr.Dataset | None, networks: xr.Dataset | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw psychometric curves, people's and networks', a panel for each occlusion.

    Points of people are all their trials together, with binomial intervals; their curve is the mean of the
    participants' own, with the interval of that mean. A network's curve is the mean over its seeds, with their
    range. The mark on a curve is its PSE, where happy is chosen half the time. No curve takes in observers whose
    PSE is undetermined: each such seed is a dotted line of its own, with an arrow on the lower edge to the side
    where its PSE would lie.

    Parameters
    ----------
    people : Dataset, dims (participant, occlusion), or None
        From `fit_psychometric`. Not changed.
    networks : Dataset, dims (network, occlusion), optional
        From `fit_psychometric`, on the same levels.
    ax : Axes, optional
        Where to lay the panels out; a new figure if None.

    Returns
    -------
    Axes
        The sheet, with the panels as its insets.

    Raises
    ------
    ValueError
        If there is neither, or their levels are on different scales.
    """
    parts = [part for part in (people, networks) if part is not None]
    scales = {str(part.attrs.get("level_scale", "")) for part in parts}
    if len(scales) != 1:
        message = f"Curves must be on one scale of levels to be drawn together, but there are {sorted(scales)}."
        raise ValueError(message)
    occlusions = list(dict.fromkeys(str(name) for part in parts for name in part["occlusion"].values))
    with drawing(ax) as style:
        columns = min(len(occlusions), _PER_ROW)
        rows = -(-len(occlusions) // columns)
        if ax is None:
            width = style.single_mm if columns == 1 else style.double_mm
            ax = blank_axes(width_mm=width, height_mm=rows * _panel_height(style) + _legend_height(parts, style))
        sheet = _Sheet(ax, style, columns)
        lines: list[dict[str, Any]] = []
        for place, occlusion in enumerate(occlusions):
            panel = sheet.panel(place, len(occlusions))
            _draw_panel(panel, people, networks, occlusion, style, lines)
            panel.set_ylabel("P(happy)" if place % columns == 0 else "")
        sheet.name_levels(SCALES.get(next(iter(scales)), "Level"), len(occlusions))
        _draw_legend(ax, people, networks, style, sheet.legend_top(len(occlusions)))
        note_on_sheet(ax, _note(people, networks), style)
        keep_source(ax, pd.DataFrame(lines), name="psychometric")
    return ax


class _Sheet:
    """Axes in mm, and the places of the panels on them."""

    def __init__(self, ax: Axes, style: FigureStyle, columns: int) -> None:
        self.ax, self.style, self.columns = ax, style, columns
        self.width, self.height = size_mm(ax)
        ax.set(xlim=(0, self.width), ylim=(self.height, 0))
        ax.set_axis_off()

    def panel(self, place: int, count: int) -> Axes:
        line = points_mm(self.style.text_pt)
        left, gap, top, below = 4.2 * line, 2.6 * line, 3.2 * line, 4.0 * line
        rows = -(-count // self.columns)
        width = (self.width - left - line - gap * (self.columns - 1)) / self.columns
        row_height = (self.legend_top(count)) / rows
        row, column = divmod(place, self.columns)
        return inset_mm(
            self.ax, left + column * (width + gap), row * row_height + top, width, row_height - top - below
        )

    def name_levels(self, text: str, count: int) -> None:
        """Write once what all panels share: under each of them it would be wider than they are."""
        line = points_mm(self.style.text_pt)
        wide = 4.2 * line + self.width - line
        self.ax.text(wide / 2, self.legend_top(count) - 0.9 * line, text, fontsize=self.style.text_pt, ha="center",
                     va="center")  # fmt: skip

    def legend_top(self, count: int) -> float:
        rows = -(-count // self.columns)
        return min(rows * _panel_height(self.style), 0.86 * self.height)


def wilson_interval(happy: np.ndarray, trials: np.ndarray, confidence: float = 0.95) -> np.ndarray:
    """Return the binomial interval of a proportion that stays within 0 and 1.

    Examples
    --------
    >>> wilson_interval(np.array([0.0]), np.array([10.0])).round(3).ravel().tolist()
    [0.0, 0.278]

    Lower and upper ends; NaN without trials (Wilson 1927, 10.1080/01621459.1927.10502953).
    """
    z = float(ndtri((1 + confidence) / 2))
    count = np.where(trials > 0, trials, np.nan)
    share = happy / count
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return np.clip(np.stack([middle - half, middle + half]), 0, 1)


def _draw_panel(
    panel: Axes,
    people: xr.Dataset | None,
    networks: xr.Dataset | None,
    occlusion: str,
    style: FigureStyle,
    lines: list[dict[str, Any]],
) -> None:
    panel.axhline(0.5, color="#CCCCCC", linewidth=0.6 * style.line_pt, zorder=0.4)
    if networks is not None and occlusion in networks["occlusion"].values:
        here = networks.sel(occlusion=occlusion)
        colors, markers = (pick(_families(networks)) for pick in (network_colors, network_markers))
        for place, family in enumerate(_families(networks)):
            members = here.isel({NETWORK: np.flatnonzero(_family_of(networks) == family)})
            mark = {"color": colors[family], "marker": markers[family], "place": place}
            lines += _draw_network(panel, members, family, mark, style, occlusion)
    if people is not None and occlusion in people["occlusion"].values:
        lines += _draw_people(panel, people.sel(occlusion=occlusion), style, occlusion)
    panel.set_ylim(_LOWEST, 1.03)
    panel.set_yticks([0, 0.5, 1])
    panel.set_title(
        _WHOLE.get(occlusion, f"{printable(occlusion).capitalize()} masked"), loc="left", parse_math=False
    )


def _draw_people(panel: Axes, here: xr.Dataset, style: FigureStyle, occlusion: str) -> list[dict[str, Any]]:
    levels, fine = here["level"].values, here["curve_level"].values
    trials = here["n_trials"].sum(PARTICIPANT).values
    happy = (here["proportion"] * here["n_trials"]).sum(PARTICIPANT).values
    share = happy / np.where(trials > 0, trials, np.nan)
    panel.plot(levels, share, "o", color=HUMAN_COLOR, markersize=0.55 * style.small_pt, zorder=3)
    ends = np.full((2, len(levels)), np.nan)
    if here.attrs.get("answers") == "trials":
        ends = wilson_interval(happy, trials, float(here.attrs.get("confidence", 0.95)))
        panel.vlines(levels, *ends, color=HUMAN_COLOR, linewidth=0.8 * style.line_pt, zorder=3)
    determined = np.isfinite(here["pse"].values)
    curves = here["curve"].values[determined]
    marked = np.nan
    if len(curves):
        mean = curves.mean(axis=0)
        panel.plot(fine, mean, color=HUMAN_COLOR, linewidth=1.4 * style.line_pt, zorder=2.8)
        band = _band_of_people(here, curves)
        if band is not None:
            panel.fill_between(fine, *band, color=HUMAN_COLOR, alpha=0.18, linewidth=0, zorder=1)
        marked = _mark_pse(panel, fine, mean, HUMAN_COLOR, "o", style)
    sums = _sums(here["pse"].values, marked)
    return [
        {"occlusion": occlusion, "observer": "people", "level": level, "proportion": value, "lower": low,
         "upper": high, "trials": count} | sums
        for level, value, low, high, count in zip(levels, share, *ends, trials, strict=True)
    ]  # fmt: skip


def _band_of_people(here: xr.Dataset, curves: np.ndarray) -> np.ndarray | None:
    if len(curves) > 2:
        confidence = float(here.attrs.get("confidence", 0.95))
        half = student.ppf((1 + confidence) / 2, len(curves) - 1) * curves.std(axis=0, ddof=1) / np.sqrt(len(curves))
        return np.asarray(np.clip(curves.mean(axis=0) + np.stack([-half, half]), 0, 1))
    if "curve_interval" in here and len(curves) == 1:
        return np.asarray(here["curve_interval"].transpose(PARTICIPANT, "bound", "curve_level").values[0])
    return None


def _draw_network(
    panel: Axes, members: xr.Dataset, family: str, mark: Mapping[str, Any], style: FigureStyle, occlusion: str
) -> list[dict[str, Any]]:
    """Draw the mean over the seeds that have a PSE, and each of the others by itself."""
    levels, fine, color = members["level"].values, members["curve_level"].values, mark["color"]
    determined = np.isfinite(members["pse"].values)
    lines: list[dict[str, Any]] = []
    for place in np.flatnonzero(~determined):
        one = members.isel({NETWORK: place})
        share = one["proportion"].values
        panel.plot(levels, share, color=color, linewidth=0.8 * style.line_pt, linestyle=":", zorder=1.9,
                   marker=mark["marker"], markersize=0.3 * style.small_pt, markerfacecolor="white")  # fmt: skip
        _point_beyond(panel, levels, share, mark, style)
        lines += _rows(one, occlusion, str(one[NETWORK].values), share, _sums(one["pse"].values[None], np.nan))
    if not determined.any():
        return lines
    members = members.isel({NETWORK: determined})
    share = members["proportion"].mean(NETWORK).values
    panel.plot(levels, share, mark["marker"], color=color, markersize=0.42 * style.small_pt, zorder=2.2,
               markeredgecolor="white", markeredgewidth=0.25 * style.line_pt)  # fmt: skip
    curves = members["curve"].values
    mean = curves.mean(axis=0)
    panel.plot(fine, mean, color=color, zorder=2)
    marked = _mark_pse(panel, fine, mean, color, mark["marker"], style)
    if len(curves) > 1:
        panel.fill_between(
            fine, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.2, linewidth=0, zorder=1
        )
    sums = _sums(members["pse"].values, marked) | {"without_pse": int((~determined).sum())}
    return lines + _rows(members, occlusion, family, share, sums)


def _rows(
    part: xr.Dataset, occlusion: str, observer: str, share: np.ndarray, sums: dict[str, float]
) -> list[dict[str, Any]]:
    others = [dim for dim in part["n_trials"].dims if dim != "level"]
    trials = part["n_trials"].sum(others).values
    return [
        {"occlusion": occlusion, "observer": observer, "level": level, "proportion": value, "lower": np.nan,
         "upper": np.nan, "trials": count} | sums
        for level, value, count in zip(part["level"].values, share, trials, strict=True)
    ]  # fmt: skip


def _sums(pses: np.ndarray, marked: float) -> dict[str, float]:
    """Return what the table says of a curve: its PSE as marked, the mean of the observers', and how many have one."""
    known = np.isfinite(pses)
    mean = float(pses[known].mean()) if known.any() else np.nan
    return {"curve_pse": marked, "mean_pse": mean, "observers": int(known.sum()), "without_pse": int((~known).sum())}


def _mark_pse(panel: Axes, fine: np.ndarray, curve: np.ndarray, color: str, marker: str, style: FigureStyle) -> float:
    """Mark where a drawn curve is at one half, and return the level."""
    if not curve[0] <= 0.5 <= curve[-1]:
        return np.nan
    level = float(np.interp(0.5, curve, fine))
    panel.plot([level, level], [_LOWEST, 0.5], color=color, linewidth=0.5 * style.line_pt, linestyle=(0, (2, 2)),
               zorder=1.5)  # fmt: skip
    panel.plot(level, 0.5, marker=marker, color=color, markersize=0.75 * style.small_pt, zorder=3.2, gid="pse",
               markeredgecolor="white", markeredgewidth=0.4 * style.line_pt)  # fmt: skip
    return level


def _point_beyond(
    panel: Axes, levels: np.ndarray, share: np.ndarray, mark: Mapping[str, Any], style: FigureStyle
) -> None:
    """Put an arrow on the lower edge, to the side where the choices would be at one half."""
    edge, arrow = (float(levels.min()), "<") if np.nanmean(share) > 0.5 else (float(levels.max()), ">")
    height = _LOWEST * (0.35 + 0.3 * (mark["place"] % 3))  # networks with the same side one below the other
    panel.plot(
        edge, height, marker=arrow, color=mark["color"], markersize=0.6 * style.small_pt, clip_on=False, zorder=3
    )


def _draw_legend(
    ax: Axes, people: xr.Dataset | None, networks: xr.Dataset | None, style: FigureStyle, top: float
) -> None:
    entries: list[tuple[str, str, str]] = []
    if people is not None:
        notes = [f"n = {people.sizes[PARTICIPANT]}", _without(people["pse"], PARTICIPANT)]
        entries.append((f"People ({', '.join(filter(None, notes))})", HUMAN_COLOR, "o"))
    if networks is not None:
        colors, markers = (pick(_families(networks)) for pick in (network_colors, network_markers))
        for family in _families(networks):
            members = networks["pse"].isel({NETWORK: np.flatnonzero(_family_of(networks) == family)})
            seeds = members.sizes[NETWORK]
            notes = [f"{seeds} seeds"] if seeds > 1 else []
            notes += [_without(members, NETWORK)] if _without(members, NETWORK) else []
            label = network_label(family) + (f" ({', '.join(notes)})" if notes else "")
            entries.append((label, colors[family], markers[family]))
    letter, line, x = (
        0.58 * points_mm(style.small_pt),
        1.5 * points_mm(style.small_pt),
        4.2 * points_mm(style.text_pt),
    )
    y = top + 0.6 * line
    for label, color, marker in entries:
        width = letter * (len(label) + 6)
        if x + width > ax.get_xlim()[1]:
            x, y = 4.2 * points_mm(style.text_pt), y + line
        ax.plot(x, y, marker=marker, color=color, markersize=0.6 * style.small_pt, linestyle="none")
        ax.text(x + 1.5 * letter, y, printable(label), color=ink(color), fontsize=style.small_pt, va="center",
                parse_math=False)  # fmt: skip
        x += width
    beyond = any(line.get_marker() in ("<", ">") for panel in ax.child_axes for line in panel.lines)
    key = "Marks on the curves: PSE, where happy is chosen half the time"
    key += "; dotted, with arrows: networks without a PSE." if beyond else "."
    ax.text(4.2 * points_mm(style.text_pt), y + line, key, color=QUIET, va="center", fontsize=style.small_pt)


def _without(pse: xr.DataArray, observer: str) -> str:
    """Say how many observers have no PSE under some occlusion."""
    missing = pse.isnull().any([dim for dim in pse.dims if dim != observer])
    count = int(missing.sum())
    if not count:
        return ""
    return "no PSE" if pse.sizes[observer] == 1 else f"{count} without a PSE"


def _families(networks: xr.Dataset) -> list[str]:
    return in_order(_family_of(networks))


def _family_of(networks: xr.Dataset) -> np.ndarray:
    name = "family" if "family" in networks.coords else NETWORK
    return np.asarray(networks[name].values.astype(str))


def _note(people: xr.Dataset | None, networks: xr.Dataset | None) -> str:
    attrs = {"simulated": people is not None and people.attrs.get("simulated")}
    if networks is None:
        return note_of(attrs, [])
    return note_of(attrs | origin_of(networks.attrs), networks[NETWORK].values.astype(str))


def _panel_height(style: FigureStyle) -> float:
    return 21 * points_mm(style.text_pt)


def _legend_height(parts: list[xr.Dataset], style: FigureStyle) -> float:
    count = sum(len(_families(part)) if NETWORK in part.dims else 1 for part in parts)
    return (2.2 + count // 4) * 1.5 * points_mm(style.small_pt)
