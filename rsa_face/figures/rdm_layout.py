"""Where RDMs stand in a figure, in mm: one row of a few, or a row for each network."""

from dataclasses import dataclass, field

import numpy as np
import xarray as xr

from rsa_face.figures.canvas import points_mm, printable
from rsa_face.figures.palette import HUMAN_COLOR, in_order, network_colors, network_label
from rsa_face.figures.style import FigureStyle
from rsa_face.schema import LAYER, NETWORK, RDM

_MOST_IN_A_ROW = 6
_MOST_COLUMNS = 16
_WIDEST = 45.0
_GAP = 0.8


@dataclass(frozen=True)
class Panel:
    """One RDM's square.

    Parameters
    ----------
    title, color : str
        What is written above it, and in which colour.
    left, top, side : float
        Its place and size, in mm from the upper left corner.
    title_pt : float
        The size of its title.
    """

    title: str
    color: str
    left: float
    top: float
    side: float
    title_pt: float


@dataclass(frozen=True)
class Heading:
    """A network's name above its row.

    Parameters
    ----------
    text, color : str
        The name, and its colour.
    left, base : float
        Where it is written, in mm from the upper left corner.
    align : str
        ``left`` or ``right`` of it.
    """

    text: str
    color: str
    left: float
    base: float
    align: str = "left"


@dataclass(frozen=True)
class Plan:
    """Where everything stands.

    Parameters
    ----------
    panels : list of Panel
        The human RDM first, where there is one, then the layers in the order given.
    headings : list of Heading
        The networks' names.
    width, height : float
        Of the whole, in mm.
    bars : float
        Where the colour bars begin, in mm from the top.
    shown : tuple of int
        Places of the layer RDMs that are shown: all, but where they would be too small to be read.
    in_a_row : bool
        Whether all stand in one row.
    """

    panels: list[Panel] = field(default_factory=list)
    headings: list[Heading] = field(default_factory=list)
    width: float = 0.0
    height: float = 0.0
    bars: float = 0.0
    shown: tuple[int, ...] = ()
    in_a_row: bool = True


def plan_panels(
    rdms: xr.DataArray, room: tuple[float, float], margin: float, style: FigureStyle, *, human: bool
) -> Plan:
    """Return where the RDMs stand.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs in the order they are shown.
    room : tuple of float
        Width to fill and greatest height, in mm.
    margin : float
        What brackets and thumbnails take on the left of the first panel.
    style : FigureStyle
        The sizes in force.
    human : bool
        Whether a human RDM stands beside them.

    Returns
    -------
    Plan
        Places in mm.
    """
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
    kept = np.linspace(0, len(places) - 1, most).round().astype(int)
    block = [at for at, place in enumerate(places) if names[place] == "fe"]
    for at in block:
        kept[1 + np.abs(kept[1:-1] - at).argmin()] = at
    return np.asarray(places[np.unique(kept)])


def _type_that_fits(texts: list[str], width_mm: float, style: FigureStyle) -> float:
    """Return the largest type, up to that of small text, in which the longest text fits; it never gets unreadable."""
    longest = max(map(len, texts), default=1)
    return float(np.clip(width_mm / (0.58 * points_mm(1.0) * longest), 0.9 * style.least_pt, style.small_pt))
