"""RDMs as images, with stimuli and groups beside them; and layers by layers."""

import logging
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import text_to_path
from scipy import stats

from rsa_face.figures.captions import caption_of_rdms, simple_caption
from rsa_face.figures.layout import (
    NOTE,
    Group,
    add_note,
    blank_axes,
    groups_along,
    inset_mm,
    keep_source,
    name_layers_below,
    new_axes,
    note_of,
    points_mm,
    printable,
    same_stimuli,
    short_layers,
    size_mm,
    sort_stimuli,
    thumbnail,
)
from rsa_face.figures.style import (
    HUMAN_COLOR,
    MM_PER_INCH,
    QUIET,
    RDM_COLORS,
    FigureStyle,
    drawing,
    in_order,
    ink,
    network_colors,
    network_label,
    network_markers,
    usable_font,
)
from rsa_face.safety import must_be_a
from rsa_face.schema import (
    LAYER,
    MEASURE,
    MEASURES,
    NETWORK,
    ORDER,
    PARTICIPANT,
    RDM,
    STIMULUS_I,
    comparison_label,
    must_be_known,
    must_hold,
)
from rsa_face.stimuli.catalogue import StimulusSet

_MOST_IN_A_ROW = 6
_MOST_COLUMNS = 16
_WIDEST = 45.0
_GAP = 0.8


@dataclass(frozen=True)
class Panel:
    """One RDM's square."""

    title: str
    color: str  # of its title
    left: float  # in mm from the upper left corner, as all places
    top: float
    side: float
    title_pt: float


@dataclass(frozen=True)
class Heading:
    """A network's name above its row."""

    text: str
    color: str
    left: float  # in mm from the upper left corner
    base: float
    align: str = "left"  # ``left`` or ``right`` of it


@dataclass(frozen=True)
class Plan:
    """Where everything stands."""

    # the human RDM first, where there is one, then the layers in the order given
    panels: list[Panel] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)  # the networks' names
    width: float = 0.0  # of the whole, in mm
    height: float = 0.0  # of the whole, in mm
    bars: float = 0.0  # where the colour bars begin, in mm from the top
    # places of the layer RDMs that are shown: all, but where they would be too small to be read
    shown: tuple[int, ...] = ()
    in_a_row: bool = True  # whether all stand in one row


def plan_panels(
    rdms: xr.DataArray, room: tuple[float, float], margin: float, style: FigureStyle, *, human: bool
) -> Plan:
    """Return where the RDMs stand."""
    if rdms.sizes[RDM] + human <= _MOST_IN_A_ROW:
        return _one_row(rdms, room, margin, style, human=human)
    return _rows_of_networks(rdms, room, margin, style, human=human)


def _one_row(
    rdms: xr.DataArray, room: tuple[float, float], margin: float, style: FigureStyle, *, human: bool
) -> Plan:
    networks = in_order(map(str, rdms[NETWORK].values))
    colors = network_colors(networks)
    type_mm, gap = points_mm(style.small_pt), 2.0
    count = rdms.sizes[RDM] + human
    head, foot = 3.4 * type_mm, 6.4 * type_mm
    side = min((room[0] - margin - (count - 1) * gap - 0.4) / count, room[1] - head - foot, _WIDEST)
    titles = [("People", HUMAN_COLOR)] if human else []
    for network, layer in zip(map(str, rdms[NETWORK].values), map(str, rdms[LAYER].values), strict=True):
        text = f"{network_label(network)} {layer}" if len(networks) > 1 else layer
        titles.append((printable(text), colors[network]))
    size = _type_that_fits([text for text, _ in titles], side + 0.7 * gap, style)
    panels = [
        Panel(text, color, margin + place * (side + gap), head, side, size)
        for place, (text, color) in enumerate(titles)
    ]
    one = len(networks) == 1
    name = network_label(networks[0])
    heading = Heading(printable(name), colors[networks[0]], panels[int(human)].left, head - 1.7 * type_mm)
    return Plan(
        panels,
        [heading] if one else [],
        room[0],
        head + side + foot,
        head + side + 2.8 * type_mm,
        tuple(range(rdms.sizes[RDM])),
        in_a_row=True,
    )


def _rows_of_networks(
    rdms: xr.DataArray, room: tuple[float, float], margin: float, style: FigureStyle, *, human: bool
) -> Plan:
    names = [str(layer) for layer in rdms[LAYER].values]
    small, foot = points_mm(style.small_pt), 4.6 * points_mm(style.small_pt)
    note, title, name = 1.8 * small, 1.5 * small, 1.6 * points_mm(style.text_pt)
    tall = room[1] - note - foot
    person = min(0.24 * room[0], tall - title - name, 1.3 * _WIDEST) if human else 0.0
    left = margin + (person + 5.0 if human else 0.0)
    wide = room[0] - left - 0.4
    # a square may be narrower than its name in the smallest type: names then stand out by .7 of a gap to either side
    needs = max(map(len, names)) * 0.58 * points_mm(style.least_pt)
    rows = _rows(rdms, int(np.clip((wide + _GAP) // (needs + 0.7 * _GAP), 3, _MOST_COLUMNS)))
    side = min(_side(wide, rows), tall / len(rows) - title - name, _WIDEST)
    beside = side < 0.8 * needs
    if beside:  # a slide: names on the left, one row a network, as many of its layers as can be read
        networks = in_order(map(str, rdms[NETWORK].values))
        indent = 0.72 * points_mm(style.text_pt) * max(len(network_label(one)) for one in networks) + 2.0
        side = min(tall / len(networks) - title, _WIDEST)
        columns = max(int((wide - indent + _GAP) // (max(side, needs) + _GAP)), 3)
        rows = [_thinned(places, names, columns) for places in _rows(rdms, rdms.sizes[RDM])]
        side = min(side, _side(wide - indent, rows))
        name, left = 0.0, left + indent
    apart = (2.0 if human else margin + 1.5) if beside else None  # the first row's pictures stand between
    panels, headings = _place_rows(rdms, rows, side, (left, note, title, name), style, apart=apart)
    if human:
        panels.insert(0, Panel("People (mean)", HUMAN_COLOR, margin, note + title + name, person, style.small_pt))
    bottom = max(panel.top + panel.side for panel in panels)
    bars = (panels[0].top + person if human else bottom) + small
    shown = tuple(np.concatenate(rows).tolist())
    return Plan(panels, headings, room[0], max(bottom + 0.5, bars + foot - small), bars, shown, in_a_row=False)


def _place_rows(
    rdms: xr.DataArray,
    rows: list[np.ndarray],
    side: float,
    heights: tuple[float, float, float, float],
    style: FigureStyle,
    *,
    apart: float | None,
) -> tuple[list[Panel], list[Heading]]:
    left, top, title, name = heights
    colors, layers = network_colors(map(str, rdms[NETWORK].values)), [str(layer) for layer in rdms[LAYER].values]
    size = _type_that_fits([layers[index] for row in rows for index in row], side + 0.3 * _GAP, style)
    panels: list[Panel] = []
    headings: list[Heading] = []
    before = ""
    for row in rows:
        network = str(rdms[NETWORK].values[row[0]])
        top += title + (name if network != before else 0.0)
        if network != before:
            text = printable(network_label(network))
            place = (
                (left, top - title - 0.2 * points_mm(style.small_pt))
                if apart is None
                else (left - apart, top + 0.6 * side)
            )
            headings.append(Heading(text, colors[network], *place, "left" if apart is None else "right"))
        for column, index in enumerate(row):
            place_x = left + column * (side + _GAP)
            panels.append(Panel(printable(layers[index]), colors[network], place_x, top, side, size))
        top, before = top + side, network
    return panels, headings


def _side(wide: float, rows: list[np.ndarray]) -> float:
    columns = max(len(row) for row in rows)
    return (wide - (columns - 1) * _GAP) / columns


def _rows(rdms: xr.DataArray, columns: int) -> list[np.ndarray]:
    names = rdms[NETWORK].values.astype(str)
    networks = in_order(names)
    rows: list[np.ndarray] = []
    for network in networks:
        places = np.flatnonzero(names == network)
        most = columns if len(networks) > 1 else min(columns, 7)
        rows += np.array_split(places, -(-len(places) // most))
    return rows


def _thinned(places: np.ndarray, names: list[str], most: int) -> np.ndarray:
    """Return as many layers as fit: the first, the last, the FE block, and others evenly between."""
    if len(places) <= most:
        return places
    picks = np.linspace(0, len(places) - 1, most).round().astype(int)
    block = [at for at, place in enumerate(places) if names[place] == "fe"]
    for at in block:
        picks[1 + np.abs(picks[1:-1] - at).argmin()] = at
    return np.asarray(places[np.unique(picks)])


def _type_that_fits(texts: list[str], width_mm: float, style: FigureStyle) -> float:
    """Return the largest type, up to that of small text, in which the longest text fits; it never gets unreadable."""
    longest = max(map(len, texts), default=1)
    return float(np.clip(width_mm / (0.58 * points_mm(1.0) * longest), 0.9 * style.least_pt, style.small_pt))


_LEAST_PICTURE = 3.6
_LEAST_ARM = 0.6
_MOST_GROUPS = 30


def margin_mm(style: FigureStyle, *, groups: bool, images: bool) -> float:
    """Return how much room brackets and pictures take beside an RDM."""
    return 0.5 + (1.9 * points_mm(style.small_pt) if groups else 0.0) + (_picture(style) + 0.8 if images else 0.0)


def draw_margin(
    ax: Axes, panel: Panel, groups: Sequence[Group], files: Sequence[Path | None], style: FigureStyle
) -> bool:
    """Draw group brackets and pictures on the left of an RDM, and return whether every group's name found room.

    Pictures keep the height of their row and never touch: where rows are too narrow, every second, third, ... is
    shown.
    """
    step = panel.side / len(files)
    edge = panel.left - 0.5  # from here outwards: pictures, then the brackets' ends, then the names of groups
    if any(file is not None for file in files):
        picture = _picture(style)
        every = max(int(np.ceil(1.08 * picture / step)), 1)
        free = panel.top  # where the next picture may begin: the first and last ones are moved into the panel
        for place in range((every - 1) // 2, len(files), every):
            file, middle = files[place], panel.top + (place + 0.5) * step
            top = float(np.clip(middle - picture / 2, panel.top, panel.top + panel.side - picture))
            if file is not None and top >= free - 0.01:
                free = top + picture
                inset = inset_mm(ax, edge - picture, top, picture, picture)
                inset.imshow(thumbnail(file, pixels=128))
                inset.set_axis_off()
        edge -= picture + 0.5 * _arm(style)
    if not 1 < len(groups) <= _MOST_GROUPS:
        return True
    spans = [(panel.top + group.start * step + 0.25, panel.top + group.stop * step - 0.25) for group in groups]
    texts, size = _fitted([group.label for group in groups], [high - low for low, high in spans], style)
    outer = edge - _arm(style)
    for (low, high), text in zip(spans, texts, strict=True):
        _bracket(ax, [edge, outer, outer, edge], [low, low, high, high], style)
        ax.text(outer - 0.3, (low + high) / 2, text, fontsize=size, rotation=90, ha="right", va="center",
                parse_math=False)  # fmt: skip
    return all(texts) or any(_is_number(group.label) for group in groups)


def draw_brackets_below(ax: Axes, panel: Panel, groups: Sequence[Group], count: int, style: FigureStyle) -> None:
    """Draw group brackets under an RDM."""
    if not 1 < len(groups) <= _MOST_GROUPS:
        return
    step, y = panel.side / count, panel.top + panel.side + 0.5
    spans = [(panel.left + group.start * step + 0.25, panel.left + group.stop * step - 0.25) for group in groups]
    texts, size = _fitted([group.label for group in groups], [high - low for low, high in spans], style)
    outer = y + _arm(style)
    for (low, high), text in zip(spans, texts, strict=True):
        _bracket(ax, [low, low, high, high], [y, outer, outer, y], style)
        ax.text((low + high) / 2, outer + 0.3, text, fontsize=size, ha="center", va="top", parse_math=False)


def draw_separators(ax: Axes, groups: Sequence[Group], cell_mm: float, style: FigureStyle) -> None:
    """Draw lines between the groups of an RDM, thinner than its cells so that they hide none."""
    width = min(0.5 * style.line_pt, 0.4 * cell_mm / points_mm(1))
    if 1 < len(groups) <= _MOST_GROUPS:
        for group in groups[1:]:
            for line in (ax.axhline, ax.axvline):
                line(group.start - 0.5, color="white", linewidth=width)


def _arm(style: FigureStyle) -> float:
    """Return how far a bracket reaches out, in mm: farther than its line is wide."""
    return max(_LEAST_ARM, 0.25 * points_mm(style.small_pt))


def _picture(style: FigureStyle) -> float:
    return max(_LEAST_PICTURE, 2.0 * points_mm(style.small_pt))


def _fitted(labels: Sequence[str], rooms_mm: Sequence[float], style: FigureStyle) -> tuple[list[str], float]:
    """Return labels that fit, and their size: smaller first, then without the letters all begin with, then cut."""
    full = [printable(label) for label in labels]
    stems = [label.rstrip("0123456789") for label in full]
    shared = next(
        (n for n, letters in enumerate(zip(*stems, strict=False)) if len(set(letters)) > 1), min(map(len, stems))
    )
    ends = [label[shared:] for label in full]
    # smaller type before fewer letters: a reader looks for the names as the table has them
    for texts in (full, ends) if all(ends) else (full,):
        for size in (style.small_pt, style.least_pt):
            if all(_width(text, size) <= room for text, room in zip(texts, rooms_mm, strict=True)):
                return texts, size
    if any(map(_is_number, labels)):  # half of a number would be another one
        rooms = np.cumsum([0.0, *rooms_mm])
        edge, texts = 0.0, []
        for text, low, high in zip(full, rooms[:-1], rooms[1:], strict=True):
            half = 0.5 * _width(text, style.least_pt) + 0.2 * points_mm(style.least_pt)
            texts.append(text if (low + high) / 2 - half >= edge else "")
            edge = (low + high) / 2 + half if texts[-1] else edge
        return texts, style.least_pt
    return [_cut(label, room, style.least_pt) for label, room in zip(full, rooms_mm, strict=True)], style.least_pt


def _is_number(label: str) -> bool:
    """Return whether a label is a value with decimals, which would be another one if it were cut."""
    if "." not in label:
        return False
    try:
        float(label)
    except ValueError:
        return False
    return True


def _width(text: str, size: float) -> float:
    wide, *_ = text_to_path.get_text_width_height_descent(
        text, FontProperties(family=usable_font(), size=size), False
    )
    return points_mm(wide)


def _cut(label: str, room_mm: float, size: float) -> str:
    """Return as much of a label as there is room for; nothing where not even three letters would fit."""
    if _width(label, size) <= room_mm:
        return label
    letters = int((room_mm + 0.3) / (0.58 * points_mm(size)))
    return f"{label[: letters - 1]}…" if letters >= 3 else ""


def _bracket(ax: Axes, x: Sequence[float], y: Sequence[float], style: FigureStyle) -> None:
    ax.plot(x, y, color=HUMAN_COLOR, linewidth=0.6 * style.line_pt, solid_capstyle="butt", solid_joinstyle="miter")


_log = logging.getLogger(__name__)
SCALES = ("rank", "shared", "own")
_MOST_IN_A_TABLE = 2_000_000
_NEVER = "#E9E9E9"
_PRINT_DPI = 300


def plot_rdms(
    rdms: xr.DataArray,
    *,
    ax: Axes | None = None,
    human: xr.DataArray | None = None,
    scale: str = "rank",
    sort: Sequence[str] | None = None,
    stimuli: StimulusSet | None = None,
) -> Axes:
    """Draw RDMs side by side, their stimuli sorted into groups, with the human RDM beside them.

    Up to six stand in a row; more stand in a row for each network, its layers from first to last. Where they would
    be too small to be read, as on a slide, some layers are left out, and how many is written.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs; select those to show first. Not changed.
    ax : Axes, optional
        Where to draw: the space is filled and the axes themselves made invisible. A new figure if None.
    human : DataArray, dims (participant, stimulus_i, stimulus_j) or (stimulus_i, stimulus_j), optional
        Human RDMs; several participants are shown by their mean. Not changed.
    scale : {"rank", "shared", "own"}
        ``rank``: each RDM's dissimilarities by rank, from 0 to 1, so that all can be compared. ``shared``: as they
        are, one scale for all layers. ``own``: each from its least to its greatest.
    sort : sequence of str, optional
        Factors to sort stimuli by, the outermost first; it makes the groups. If None: `occlusion`, `identity` and
        `level`, where they vary.
    stimuli : StimulusSet, optional
        Images for the margins.

    Returns
    -------
    Axes
        The axes that hold the panels.

    Raises
    ------
    ValueError
        If a factor or scale is unknown, or the human RDM lacks a stimulus.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> control = rf.control_rdms(demo.stimuli, ["level"])
    >>> rdms = control.assign_coords(network=("rdm", ["control"]), layer=("rdm", ["level"]))
    >>> [panel.get_label() for panel in plot_rdms(rdms, human=demo.human).child_axes][:2]
    ['People', 'level']
    """
    must_be_a(rdms, xr.DataArray, "Layer RDMs are needed here")
    must_hold(rdms, (NETWORK, LAYER), "A DataArray of layer RDMs")
    must_be_known(scale, SCALES, "scale")
    rdms = rdms.isel({RDM: _order_of_layers(rdms)})
    rdms, factors = sort_stimuli(rdms, sort)
    groups = groups_along(list(rdms[factors[0]].values)) if factors else []
    people = None if human is None else mean_person(same_stimuli(human, rdms))
    with drawing(ax) as style:
        room = (style.double_mm, style.tallest_mm) if ax is None else size_mm(ax)
        margin = margin_mm(style, groups=bool(groups), images=stimuli is not None)
        plan = plan_panels(rdms, room, margin, style, human=people is not None)
        if ax is None:
            plan = replace(plan, width=max(style.single_mm, max(one.left + one.side for one in plan.panels) + 0.5))
            ax = blank_axes(width_mm=plan.width, height_mm=plan.height)
        ax.set_axis_off()
        ax.set(xlim=(0, plan.width), ylim=(plan.height, 0))
        values = [*([people.values] if people is not None else []), *rdms.values[list(plan.shown)]]
        shades = [shade(one, scale) for one in values]
        measures = _measures_of(rdms, plan.shown)
        limits = _limits(shades, scale, measures, human=people is not None)
        _draw_panels(ax, plan, shades, limits, groups, style)
        _draw_bars(ax, plan, limits, _texts(measures[0], scale, human=human is not None), style)
        files = dict(zip(stimuli.ids, stimuli.files, strict=True)) if stimuli is not None else {}
        shown = [files.get(str(name)) for name in rdms[STIMULUS_I].values]
        if not draw_margin(ax, plan.panels[0], groups, shown, style):
            _name_groups(ax, plan, groups, style)
        simulated = bool(rdms.attrs.get("simulated")) or _simulated(human)
        note = note_of({**rdms.attrs, "simulated": simulated}, map(str, rdms[NETWORK].values))
        if scale == "shared" and len(set(measures)) > 1:
            note += " (on a scale of its own)"
        if len(plan.shown) < rdms.sizes[RDM]:
            note = "; ".join([*([note] if note else []), f"{len(plan.shown)} of {rdms.sizes[RDM]} layers shown"])
        ax.text(plan.width, 0.6, note, fontsize=style.small_pt, color=QUIET, fontstyle="italic", ha="right", va="top",
                parse_math=False, gid=NOTE)  # fmt: skip
        shown_rdms = rdms.isel({RDM: list(plan.shown)})
        keep_source(
            ax, rdms_table(rdms, people), name="rdms", caption=caption_of_rdms(shown_rdms, human, scale=scale)
        )
    return ax


def rdms_table(rdms: xr.DataArray, human: xr.DataArray | None = None) -> pd.DataFrame:
    """Return the dissimilarities of RDMs, one row a pair and one column an RDM."""
    ids = np.array([str(value) for value in rdms[STIMULUS_I].values], dtype=object)
    i, j = np.triu_indices(len(ids), k=1)
    if len(i) * rdms.sizes[RDM] > _MOST_IN_A_TABLE:
        _log.warning("No table of %d x %d dissimilarities: the RDMs' own file holds them.", rdms.sizes[RDM], len(i))
        return pd.DataFrame({"stimulus_i": [], "stimulus_j": []})
    columns: dict[str, np.ndarray] = {"stimulus_i": ids[i], "stimulus_j": ids[j]}
    if human is not None:
        columns["human"] = human.values[i, j]
    columns |= {str(name): values[i, j] for name, values in zip(rdms[RDM].values, rdms.values, strict=True)}
    return pd.DataFrame(columns)


def shade(values: np.ndarray, scale: str) -> np.ndarray:
    """Return what is shown of an RDM: its diagonal left out, and ranks in place of values if asked for."""
    shown = np.array(values, dtype=float)
    np.fill_diagonal(shown, np.nan)
    if scale == "rank":
        judged = ~np.isnan(shown)
        shown[judged] = (stats.rankdata(shown[judged]) - 1) / max(judged.sum() - 1, 1)
    return shown


def _order_of_layers(rdms: xr.DataArray) -> np.ndarray:
    names = [str(name) for name in rdms[NETWORK].values]
    networks = in_order(names)
    within = np.asarray(rdms[ORDER].values if ORDER in rdms.coords else np.arange(len(names)), dtype=float)
    return np.lexsort(np.stack([within, [networks.index(name) for name in names]]))


def mean_person(human: xr.DataArray) -> xr.DataArray:
    """Return the mean of participants' RDMs, each pair over those who judged it."""
    if human.ndim == 2:
        return human
    judged = human.notnull().sum(PARTICIPANT)
    return human.fillna(0).sum(PARTICIPANT) / judged.where(judged > 0)


def _simulated(human: xr.DataArray | None) -> bool:
    return human is not None and bool(human.attrs.get("simulated", False))


def _measures_of(rdms: xr.DataArray, shown: Sequence[int]) -> list[str]:
    """Return the measure of each layer shown."""
    if MEASURE in rdms.coords:
        return [str(measure) for measure in rdms[MEASURE].values[list(shown)]]
    return [str(rdms.attrs.get("measure", ""))] * len(shown)


def _limits(
    shades: Sequence[np.ndarray], scale: str, measures: Sequence[str], *, human: bool
) -> list[tuple[float, float]]:
    """Return the limits of each panel's colours, people's first; a scale is shared by layers of one measure."""
    ranges = [(float(np.nanmin(shown)), float(np.nanmax(shown))) if np.isfinite(shown).any() else (0.0, 1.0)
           for shown in shades]  # fmt: skip
    if scale == "rank":
        return [(0.0, 1.0)] * len(ranges)
    if scale == "own":
        return ranges
    ends: dict[str, list[tuple[float, float]]] = {}
    for measure, limits in zip(measures, ranges[int(human) :], strict=True):
        ends.setdefault(measure, []).append(limits)
    shared = {name: (min(low for low, _ in each), max(high for _, high in each)) for name, each in ends.items()}
    return [*ranges[: int(human)], *(shared[measure] for measure in measures)]


def _draw_panels(
    ax: Axes,
    plan: Plan,
    shades: Sequence[np.ndarray],
    limits: Sequence[tuple[float, float]],
    groups: Sequence[Group],
    style: FigureStyle,
) -> None:
    colors = mpl.colormaps[RDM_COLORS].with_extremes(bad=_NEVER)
    for panel, shown, (low, high) in zip(plan.panels, shades, limits, strict=True):
        inset = inset_mm(ax, panel.left, panel.top, panel.side, panel.side)
        inset.imshow(
            shown, cmap=colors, vmin=low, vmax=high, aspect="auto", interpolation_stage=_averaged(shown, panel.side)
        )
        inset.set(xticks=[], yticks=[], label=panel.title)
        inset.spines[:].set(visible=True, linewidth=0.4 * style.line_pt, color=QUIET)
        draw_separators(inset, groups, panel.side / shown.shape[0], style)
        ax.text(panel.left + panel.side / 2, panel.top - 0.35 * points_mm(panel.title_pt), panel.title,
                fontsize=panel.title_pt, color=ink(panel.color), ha="center", parse_math=False)  # fmt: skip
        if plan.in_a_row:
            draw_brackets_below(ax, panel, groups, shown.shape[0], style)
    for heading in plan.headings:
        ax.text(heading.left, heading.base, heading.text, color=ink(heading.color), fontsize=style.text_pt,
                ha=heading.align, weight="bold", parse_math=False)  # fmt: skip


def _averaged(shown: np.ndarray, side_mm: float) -> Literal["data", "rgba"]:
    """Return what is averaged where cells are finer than print: dissimilarities, or colours.

    The mean of two colours is no colour of the bar; but a mean of dissimilarities lacks all that a missing one is
    part of, so that pairs never judged, and the diagonal of larger cells, would spread.
    """
    finer = len(shown) > side_mm / MM_PER_INCH * _PRINT_DPI
    return "data" if finer and np.isnan(shown).sum() <= len(shown) else "rgba"


def _name_groups(ax: Axes, plan: Plan, groups: Sequence[Group], style: FigureStyle) -> None:
    """Write the groups' names beside the colour bar, where the brackets are too short for them."""
    left = plan.panels[0].left + max(46.0, 0.3 * plan.width)
    names = printable(", ".join(group.label for group in groups))
    lines = textwrap.wrap(
        f"Groups from the top: {names}", max(int((plan.width - left) / points_mm(style.small_pt) / 0.5), 20)
    )
    ax.text(left, plan.bars, "\n".join(lines[:2]), fontsize=style.small_pt, color=QUIET, va="top", parse_math=False)


def _texts(measure: str, scale: str, *, human: bool) -> list[str]:
    """Return what the colour bars say: one for ranks, otherwise people's first."""
    if scale == "rank":
        return ["Rank of dissimilarity"]
    label = MEASURES[measure].label if measure in MEASURES else measure
    return [*["Dissimilarity (people)"] * human, f"Dissimilarity ({label})" if label else "Dissimilarity"]


def _draw_bars(
    ax: Axes, plan: Plan, limits: Sequence[tuple[float, float]], texts: Sequence[str], style: FigureStyle
) -> None:
    type_mm = points_mm(style.small_pt)
    length = max(min(30.0, plan.panels[0].side - 4.8 * type_mm), 6 * type_mm)
    lefts = [plan.panels[0].left, plan.panels[min(1, len(plan.panels) - 1)].left]
    for place, text in enumerate(texts):
        left = lefts[place] if len(texts) > 1 else lefts[0]
        low, high = limits[min(place, len(limits) - 1)]
        inset = inset_mm(ax, left + 2.2 * type_mm, plan.bars, length, 0.7 * type_mm)
        bar = ax.figure.colorbar(
            ScalarMappable(Normalize(low, high), RDM_COLORS), cax=inset, orientation="horizontal"
        )
        bar.outline.set_visible(False)
        bar.set_ticks([])
        for place_x, limit, side in ((-0.03, low, "right"), (1.03, high, "left")):
            inset.text(place_x, 0.5, f"{limit:.2g}", transform=inset.transAxes, fontsize=style.small_pt, ha=side,
                       va="center")  # fmt: skip
        inset.text(0.5, -0.45, text, transform=inset.transAxes, fontsize=style.small_pt, ha="center", va="top")


def plot_rdm_similarity(similarity: xr.DataArray, *, ax: Axes | None = None) -> Axes:
    """Draw the similarity of every layer with every other, networks apart."""
    must_hold(similarity, (NETWORK, f"{RDM}_j"), "What `relate_rdms` returned")
    networks = in_order(map(str, similarity[NETWORK].values))
    order = _order_of_layers(similarity)
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
        caption = f"Similarity ({comparison_label(comparison)}) of the RDM of every layer with that of every other."
        keep_source(ax, table, name="rdm_similarity", caption=simple_caption(caption, similarity.attrs, networks))
    return ax


_GEOMETRIES = {
    "cka": ("Debiased linear CKA", "magma", 1.0),
    "procrustes": ("Procrustes distance", "magma_r", None),
    "rank_correlation": ("Rank correlation of RDMs", "magma", 1.0),
}
_FE = ("fe", "fe_gate")


def plot_geometry(comparison: xr.Dataset, *, of: str = "cka", ax: Axes | None = None) -> Axes:
    """Draw how alike the layers of two networks are, layer against layer, or over how many directions each spreads.

    Light is alike. The feature-excitation block is marked along both axes.

    Parameters
    ----------
    comparison : Dataset
        From `rsa_face.compare_networks`.
    of : {"cka", "procrustes", "rank_correlation", "dimensionality"}
        What is drawn; `dimensionality` against depth, a line for each network.
    ax : Axes, optional
        Where to draw; a new figure unless given.

    Returns
    -------
    Axes
        With the figure.

    Raises
    ------
    ValueError
        If there is no such geometry.

    Examples
    --------
    >>> import rsa_face as rf
    >>> stimuli = rf.example("demo").stimuli.select(identity="face01")
    >>> small = rf.Preprocessing(resize=64, crop=64)
    >>> network = rf.build_network("fe_alexnet", preprocessing=small)
    >>> rdms = rf.stream_rdms([network], stimuli, measure="euclidean", layers=["relu5", "fe"])
    >>> plot_geometry(rf.compare_networks(rdms, network="fe_alexnet", other="fe_alexnet")).get_xlabel()
    'FE-AlexNet'
    """
    must_be_a(comparison, xr.Dataset, "What `compare_networks` returned is needed here")
    must_hold(comparison, ("cka", "dimensionality"), "What `compare_networks` returned")
    must_be_known(of, (*_GEOMETRIES, "dimensionality"), "geometry")
    names = [str(comparison.attrs[key]) for key in ("network", "other")]
    with drawing(ax) as style:
        if ax is None:
            wide = max(comparison.sizes.values()) > 24
            width = min(style.double_mm if wide else style.single_mm, style.tallest_mm)
            ax = new_axes(width_mm=width, height_mm=0.85 * width)
        if of == "dimensionality":
            _draw_dimensionality(ax, comparison, names, style)
        else:
            _draw_layers_by_layers(ax, comparison[of], names, style)
        add_note(ax, note_of(comparison.attrs, names), style, pad=1.0)
        what = "Dimensionality" if of == "dimensionality" else _GEOMETRIES[of][0]
        caption = f"{what} of the layers of {' and '.join(map(network_label, dict.fromkeys(names)))}."
        keep_source(ax, comparison.to_dataframe().reset_index(), name=f"geometry_{of}",
                    caption=simple_caption(caption, comparison.attrs, names))  # fmt: skip
    return ax


def _draw_layers_by_layers(ax: Axes, values: xr.DataArray, names: Sequence[str], style: FigureStyle) -> None:
    label, colors, high = _GEOMETRIES[str(values.name)]
    low = min(0.0, float(values.min()))
    image = ax.imshow(values.values, cmap=colors, vmin=low, vmax=high, aspect="auto", interpolation_stage="rgba")
    bar = ax.figure.colorbar(image, ax=ax, fraction=0.04, pad=0.02, shrink=0.5)
    bar.set_label(label)
    bar.outline.set_visible(False)
    rows, columns = ([str(name) for name in values[dim].values] for dim in values.dims)
    name_layers_below(ax, np.arange(len(columns), dtype=float), columns, style)
    ax.set_yticks(np.arange(len(rows)), short_layers(rows), fontsize=style.least_pt, parse_math=False)
    ax.set_ylabel(network_label(names[0]))
    ax.set_xlabel(network_label(names[1]))
    ax.spines[:].set_visible(False)
    for layers, span in ((rows, ax.axhspan), (columns, ax.axvspan)):
        for place in (place for place, layer in enumerate(layers) if layer in _FE):
            span(place - 0.5, place + 0.5, fill=False, edgecolor="white", linewidth=0.7 * style.line_pt)
    for tick in (*ax.get_xticklabels(), *ax.get_yticklabels()):
        if tick.get_text() in _FE:
            tick.set_fontweight("bold")


def _draw_dimensionality(ax: Axes, comparison: xr.Dataset, names: Sequence[str], style: FigureStyle) -> None:
    colors, markers = network_colors(names), network_markers(names)
    for name, ending in dict(zip(reversed(names), ("_j", ""), strict=True)).items():
        depth, ratio = comparison[f"depth{ending}"].values, comparison[f"dimensionality{ending}"].values
        layers = comparison[f"layer{ending}"].values.astype(str)
        ax.plot(depth, ratio, color=colors[name], marker=markers[name], label=network_label(name))
        inside = depth[np.isin(layers, _FE)]
        if inside.size:
            ax.axvspan(inside.min() - 0.012, inside.max() + 0.012, color=colors[name], alpha=0.1, linewidth=0)
            ax.annotate("FE", (inside.mean(), 1), (0, -1.2 * style.small_pt), ("data", "axes fraction"),
                        "offset points", fontsize=style.small_pt, ha="center", color=ink(colors[name]),
                        weight="bold")  # fmt: skip
    ax.set_xlabel("Depth")
    ax.set_ylabel("Dimensionality (participation ratio)")
    ax.set_ylim(bottom=0)
    ax.legend()


def _name_layers(ax: Axes, similarity: xr.DataArray, style: FigureStyle) -> None:
    names, places = [str(name) for name in similarity[LAYER].values], np.arange(similarity.sizes[RDM], dtype=float)
    name_layers_below(ax, places, names, style)
    shown = ax.get_xticks()
    size = ax.get_xticklabels()[0].get_fontsize()
    written = short_layers(names)
    ax.set_yticks(shown, [written[int(tick)] for tick in shown], fontsize=size, parse_math=False)
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
