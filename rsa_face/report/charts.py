"""Charts of the report, as plotly draws them: the layer curve, and what every chart is made of."""

import colorsys
import html
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from rsa_face.figures.layer_marks import seeds_together, title_of
from rsa_face.figures.palette import in_order, ink, network_colors, network_label
from rsa_face.schema import BOUND, LAYER, NETWORK, ORDER, RDM, comparison_label

SYMBOLS = {
    "alexnet": "circle",
    "fe_alexnet": "diamond",
    "vgg11": "triangle-up",
    "vgg13": "square",
    "vgg16": "triangle-down",
}
_GAP = 1.5


@dataclass(frozen=True)
class View:
    """One state of a chart.

    Parameters
    ----------
    name : str
        What is chosen to see it; empty where there is nothing to choose.
    label : str
        What a screen reader says of it.
    traces : list of dict
        As plotly takes them; ``meta`` names the network and the part it plays, and the page's theme colours it.
    layout : dict
        As plotly takes it.
    """

    name: str
    label: str
    traces: list[dict[str, Any]]
    layout: dict[str, Any]


@dataclass(frozen=True)
class Chart:
    """A chart and the words around it.

    Parameters
    ----------
    id, title, hint : str
        Anchor, heading, and how to read it.
    views : tuple of View
        One, or several of which the reader chooses.
    least_width : int
        In pixels; a narrower page scrolls sideways.
    pick : str
        What the views differ in, for the label of the choice.
    pointing : str
        What pointing at it shows; left out in print.
    """

    id: str
    title: str
    hint: str
    views: tuple[View, ...]
    least_width: int
    pick: str = ""
    pointing: str = ""

    @property
    def height(self) -> int:
        """Height of the tallest view, in pixels."""
        return max(int(view.layout["height"]) for view in self.views)


def layer_chart(result: xr.Dataset) -> Chart:
    """Return the layer curve: networks side by side, value, interval and number of participants on hover.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison. Not changed.

    Returns
    -------
    Chart
        Of one view.
    """
    traces: list[dict[str, Any]] = []
    axis, heads, parts = place_layers(result)
    for network, (part, x) in parts.items():
        traces += _curve(part, x, network)
    layout: dict[str, Any] = {
        "xaxis": axis,
        "yaxis": {"title": {"text": similarity_words(result)}, "zeroline": True},
        "annotations": heads,
        "showlegend": False,
        "height": 430,
        "margin": {"l": 64, "r": 84, "t": room_above(heads), "b": 72},
    }
    if "noise_ceiling" in result:
        lower, upper = (float(value) for value in result["noise_ceiling"].values)
        layout["shapes"] = [{"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": lower, "y1": upper,
                             "line": {"width": 0}, "layer": "below", "name": "ceiling"}]  # fmt: skip
        heads.append({"x": 1.005, "xref": "paper", "xanchor": "left", "y": (lower + upper) / 2, "showarrow": False,
                      "align": "left", "text": "noise<br>ceiling"})  # fmt: skip
    label = f"Similarity of {result.sizes[RDM]} layers to people. The table of layers holds the same numbers."
    pointing = "Point at a layer for its similarity, interval and number of participants."
    hint = f"Bands are {float(result.attrs.get('confidence', 0.95)):.0%} intervals"
    hint += "; the shaded column is the feature-excitation block." if "fe" in result[LAYER].values else "."
    view = View("", label, traces, layout | {"shapes": [*layout.get("shapes", []), *_blocks(parts)]})
    width = int(150 + 13 * axis["range"][1])
    return Chart("layers", "Similarity of each layer to people", hint, (view,), width, pointing=pointing)


def place_layers(
    result: xr.Dataset,
) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, tuple[xr.Dataset, np.ndarray]]]:
    """Give each network's layers their places along one axis, networks side by side, seeds in one place.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        Anything by layer. Not changed.

    Returns
    -------
    dict
        The horizontal axis.
    list of dict
        The networks' names above it, as annotations.
    dict of str to (Dataset, ndarray)
        For each network its layers in order, and where they stand.
    """
    ticks: list[float] = []
    names: list[str] = []
    heads: list[dict[str, Any]] = []
    parts: dict[str, tuple[xr.Dataset, np.ndarray]] = {}
    start = 0.0
    for group in seeds_together(result, in_order(map(str, result[NETWORK].values))):
        for network in group:
            part = _layers_of(result, network)
            x = start + np.arange(part.sizes[RDM])
            parts[network] = (part, x)
        start += len(x) + _GAP
        ticks += x.tolist()
        names += [html.escape(str(name)) for name in part[LAYER].values]
        title = "<br>".join(html.escape(line) for line in title_of(group))
        heads.append({"x": float(x.mean()), "y": 1.02, "yref": "paper", "yanchor": "bottom", "showarrow": False,
                      "text": f"<b>{title}</b>", "name": network})  # fmt: skip
    axis = {"tickvals": ticks, "ticktext": names, "tickangle": -90, "range": [-0.9, start - _GAP - 0.1]}
    return axis, heads, parts


def room_above(heads: list[dict[str, Any]]) -> int:
    """Return the margin that names above an axis need.

    Parameters
    ----------
    heads : list of dict
        Annotations, from `place_layers`.

    Returns
    -------
    int
        In pixels.
    """
    return 16 + 18 * max(str(head["text"]).count("<br>") + 1 for head in heads)


def palettes(networks: list[str]) -> dict[str, dict[str, str]]:
    """Return each network's colour on a light and on a dark page; the hue is the same.

    Parameters
    ----------
    networks : list of str
        Names.

    Returns
    -------
    dict
        ``light``, ``dark``, and ``words`` on a light page: network to hexadecimal colour.
    """
    light = network_colors(networks)
    return {"light": light, "dark": {name: _lighter(color) for name, color in light.items()},
            "words": {name: ink(color) for name, color in light.items()}}  # fmt: skip


def similarity_words(result: xr.Dataset) -> str:
    """Return what the similarity of a result is called, ready for a page.

    Parameters
    ----------
    result : Dataset
        Its attr `comparison` is read.

    Returns
    -------
    str
        Escaped.
    """
    comparison = str(result.attrs.get("comparison", ""))
    named = html.escape(comparison_label(comparison))
    return f"Similarity to people ({named})" if comparison else "Similarity to people"


def numbers(values: np.ndarray) -> list[float | None]:
    """Return numbers fit for JSON: what is not finite is missing.

    Parameters
    ----------
    values : ndarray, shape (number,)
        Any.

    Returns
    -------
    list of float or None
        The same.

    Examples
    --------
    >>> numbers(np.array([0.5, np.nan]))
    [0.5, None]
    """
    return [float(value) if np.isfinite(value) else None for value in values]


def _layers_of(result: xr.Dataset, network: str) -> xr.Dataset:
    rows = np.flatnonzero(result[NETWORK].values.astype(str) == network)
    within = result[ORDER].values[rows] if ORDER in result.coords else rows
    return result.isel({RDM: rows[np.argsort(within, kind="stable")]})


def _blocks(parts: dict[str, tuple[xr.Dataset, np.ndarray]]) -> list[dict[str, Any]]:
    """Return a shaded column at each feature-excitation block."""
    return [
        {"type": "rect", "yref": "paper", "x0": float(place) - 0.45, "x1": float(place) + 0.45, "y0": 0, "y1": 1,
         "line": {"width": 0}, "layer": "below", "name": "block"}
        for part, x in parts.values()
        for layer, place in zip(part[LAYER].values, x, strict=True) if str(layer) == "fe"
    ]  # fmt: skip


def _curve(part: xr.Dataset, x: np.ndarray, network: str) -> list[dict[str, Any]]:
    label = html.escape(network_label(network))
    hover = ["<b>%{customdata[0]} %{customdata[1]}</b>", "similarity %{y:.3f}"]
    columns: list[list[Any]] = [[label] * len(x), [html.escape(str(name)) for name in part[LAYER].values]]
    traces: list[dict[str, Any]] = []
    if "similarity_interval" in part:
        lower, upper = part["similarity_interval"].transpose(BOUND, RDM).values
        band = {"x": x.tolist(), "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        band["meta"] = {"network": network, "role": "band"}
        traces += [{**band, "y": numbers(upper)}, {**band, "y": numbers(lower), "fill": "tonexty"}]
        confidence = float(part.attrs.get("confidence", 0.95))
        hover.append(f"{confidence:.0%} interval %{{customdata[2]:.3f}} to %{{customdata[3]:.3f}}")
        columns += [numbers(lower), numbers(upper)]
    if "participant_similarity" in part:
        hover.append(f"n = %{{customdata[{len(columns)}]}} participants")
        columns.append(part["participant_similarity"].notnull().sum("participant").values.tolist())
    p = next((name for name in ("p_above_zero_corrected", "p_above_zero") if name in part), None)
    if p is not None:
        how = "" if p.endswith("corrected") else " (uncorrected)"
        hover.append(f"p above 0 = %{{customdata[{len(columns)}]:.4f}}{how}")
        columns.append(numbers(part[p].values))
    line = {"x": x.tolist(), "y": numbers(part["similarity"].values), "mode": "lines+markers", "line": {"width": 2}}
    line["meta"] = {"network": network, "role": "line"}
    line["marker"] = {"symbol": SYMBOLS.get(network.split("/")[0], "cross"), "size": 9}
    line["customdata"] = [list(row) for row in zip(*columns, strict=True)]
    return [*traces, {**line, "name": label, "hovertemplate": "<br>".join(hover) + "<extra></extra>"}]


def _lighter(color: str) -> str:
    """Raise lightness, hue kept, until the colour stands out from a dark page by 4.5 to 1 (WCAG 2.2)."""
    hue, lightness, saturation = colorsys.rgb_to_hls(
        *(int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    )
    rgb = colorsys.hls_to_rgb(hue, lightness, saturation)
    while lightness < 1:
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in rgb]
        luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        if (luminance + 0.05) / (0.0085 + 0.05) >= 4.5:
            break
        lightness += 0.02
        rgb = colorsys.hls_to_rgb(hue, lightness, saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in rgb)
