"""Charts of the report, as plotly draws them: traces and layout, colours left to the page's theme."""

import colorsys
import html
from typing import Any

import numpy as np
import xarray as xr

from rsa_face.figures.canvas import COMPARISON_LABELS
from rsa_face.figures.palette import NETWORK_COLORS, in_order, ink, network_colors, network_label
from rsa_face.schema import BOUND, LAYER, NETWORK, ORDER, RDM

_SYMBOLS = {
    "alexnet": "circle",
    "fe_alexnet": "diamond",
    "vgg11": "triangle-up",
    "vgg13": "square",
    "vgg16": "triangle-down",
}
_GAP = 1.5


def layer_chart(result: xr.Dataset) -> dict[str, Any]:
    """Return the layer curve: networks side by side, value, interval and number of participants on hover.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison. Not changed.

    Returns
    -------
    dict
        `traces`, `layout`, `least_width` in pixels and `label` for screen readers.
    """
    traces: list[dict[str, Any]] = []
    ticks: list[float] = []
    names: list[str] = []
    heads: list[dict[str, Any]] = []
    start = 0.0
    for network in in_order(map(str, result[NETWORK].values)):
        part = _layers_of(result, network)
        x = start + np.arange(part.sizes[RDM])
        start += part.sizes[RDM] + _GAP
        traces += _curve(part, x, network)
        ticks += x.tolist()
        names += [html.escape(str(name)) for name in part[LAYER].values]
        heads.append({"x": float(x.mean()), "y": 1.02, "yref": "paper", "yanchor": "bottom", "showarrow": False,
                      "text": f"<b>{html.escape(network_label(network))}</b>", "name": network})  # fmt: skip
    layout: dict[str, Any] = {
        "xaxis": {"tickvals": ticks, "ticktext": names, "tickangle": -90, "range": [-0.9, start - _GAP - 0.1]},
        "yaxis": {"title": {"text": _similarity(result)}, "zeroline": True},
        "annotations": heads,
        "showlegend": False,
        "height": 430,
        "margin": {"l": 64, "r": 84, "t": 34, "b": 72},
    }
    if "noise_ceiling" in result:
        lower, upper = (float(value) for value in result["noise_ceiling"].values)
        layout["shapes"] = [{"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": lower, "y1": upper,
                             "line": {"width": 0}, "layer": "below", "name": "ceiling"}]  # fmt: skip
        heads.append({"x": 1.005, "xref": "paper", "xanchor": "left", "y": (lower + upper) / 2, "showarrow": False,
                      "align": "left", "text": "noise<br>ceiling"})  # fmt: skip
    label = f"Similarity of {result.sizes[RDM]} layers to people. The table of layers holds the same numbers."
    return {"traces": traces, "layout": layout, "least_width": int(150 + 13 * start), "label": label}


def curve_charts(psychometric: xr.Dataset) -> dict[str, Any] | None:
    """Return psychometric curves, if a result holds any along `level`.

    Parameters
    ----------
    psychometric : Dataset
        As `fit_psychometric` makes it: `proportion` along `level`. Participants are averaged. Not changed.

    Returns
    -------
    dict or None
        As `layer_chart`; None where nothing lies along `level`.
    """
    usual = ("proportion", "curve", "probability", "p_happy")
    name = next((one for one in usual if one in psychometric and "level" in psychometric[one].dims), None)
    if name is None:
        return None
    curves = psychometric[name]
    if "participant" in curves.dims:
        people = f"People (mean of {curves.sizes['participant']})"
        curves = curves.mean("participant").expand_dims(network=[people])
    others = [str(dim) for dim in curves.dims if dim != "level"]
    flat = curves.stack(one=others) if others else curves.expand_dims(one=[""])
    flat = flat.transpose("one", "level")
    traces = []
    for key, values in zip(flat["one"].values, flat.values, strict=True):
        text = " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
        network = next((part for part in text.split() if part in NETWORK_COLORS), "")
        traces.append({"x": curves["level"].values.tolist(), "y": _numbers(values), "mode": "lines+markers",
                       "name": html.escape(network_label(text)), "meta": {"network": network, "role": "line"},
                       "hovertemplate": "level %{x}: %{y:.3f}<extra>%{fullData.name}</extra>"})  # fmt: skip
    layout = {"xaxis": {"title": {"text": "Level (sad to happy)"}}, "height": 400, "showlegend": True,
              "yaxis": {"title": {"text": "P(happy)"}, "range": [-0.02, 1.02]},
              "margin": {"l": 64, "r": 16, "t": 20, "b": 52}}  # fmt: skip
    return {
        "traces": traces,
        "layout": layout,
        "least_width": 320,
        "label": "Psychometric curves: share of happy choices.",
    }


def region_charts(saliency: xr.Dataset) -> dict[str, Any] | None:
    """Return the share of saliency in each region of the face by layer, if a result holds any along `region`.

    Parameters
    ----------
    saliency : Dataset
        With a variable along `region`. Not changed.

    Returns
    -------
    dict or None
        As `layer_chart`; None where nothing lies along `region`.
    """
    name = next(
        (str(one) for one, part in saliency.data_vars.items() if "region" in part.dims and part.ndim > 1), None
    )
    if name is None:
        return None
    shares = saliency[name]
    if "occlusion" in shares.dims and "none" in shares["occlusion"].values:
        shares = shares.sel(occlusion="none")  # whole faces; the table holds the masked ones
    keep = [dim for dim in ("network", "layer", "rdm", "region") if dim in shares.dims]
    shares = shares.mean([dim for dim in shares.dims if dim not in keep])
    others = [str(dim) for dim in shares.dims if dim != "region"]
    flat = shares.stack(one=others).transpose("region", "one")
    labels = [" ".join(map(str, key)) if isinstance(key, tuple) else str(key) for key in flat["one"].values]
    traces = [
        {"type": "bar", "x": [html.escape(label) for label in labels], "y": _numbers(values),
         "name": html.escape(str(region)), "hovertemplate": "%{x}: %{y:.3f}<extra>%{fullData.name}</extra>"}
        for region, values in zip(flat["region"].values, flat.values, strict=True)
    ]  # fmt: skip
    layout: dict[str, Any] = {"barmode": "group", "height": 400, "showlegend": True, "xaxis": {"tickangle": -60}}
    layout["yaxis"] = {"title": {"text": html.escape(name.replace("_", " ").capitalize())}}
    layout["margin"] = {"l": 64, "r": 16, "t": 20, "b": 120}
    return {
        "traces": traces,
        "layout": layout,
        "least_width": 120 + 40 * len(labels),
        "label": "Saliency by region and layer.",
    }


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


def _layers_of(result: xr.Dataset, network: str) -> xr.Dataset:
    rows = np.flatnonzero(result[NETWORK].values.astype(str) == network)
    within = result[ORDER].values[rows] if ORDER in result.coords else rows
    return result.isel({RDM: rows[np.argsort(within, kind="stable")]})


def _curve(part: xr.Dataset, x: np.ndarray, network: str) -> list[dict[str, Any]]:
    label = html.escape(network_label(network))
    hover = ["<b>%{customdata[0]} %{customdata[1]}</b>", "similarity %{y:.3f}"]
    columns: list[list[Any]] = [[label] * len(x), [html.escape(str(name)) for name in part[LAYER].values]]
    traces: list[dict[str, Any]] = []
    if "similarity_interval" in part:
        lower, upper = part["similarity_interval"].transpose(BOUND, RDM).values
        band = {"x": x.tolist(), "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip"}
        band["meta"] = {"network": network, "role": "band"}
        traces += [{**band, "y": _numbers(upper)}, {**band, "y": _numbers(lower), "fill": "tonexty"}]
        confidence = float(part.attrs.get("confidence", 0.95))
        hover.append(f"{confidence:.0%} interval %{{customdata[2]:.3f}} to %{{customdata[3]:.3f}}")
        columns += [_numbers(lower), _numbers(upper)]
    if "participant_similarity" in part:
        hover.append(f"n = %{{customdata[{len(columns)}]}} participants")
        columns.append(part["participant_similarity"].notnull().sum("participant").values.tolist())
    p = next((name for name in ("p_above_zero_corrected", "p_above_zero") if name in part), None)
    if p is not None:
        how = "" if p.endswith("corrected") else " (uncorrected)"
        hover.append(f"p above 0 = %{{customdata[{len(columns)}]:.4f}}{how}")
        columns.append(_numbers(part[p].values))
    line = {"x": x.tolist(), "y": _numbers(part["similarity"].values), "mode": "lines+markers", "line": {"width": 2}}
    line["meta"] = {"network": network, "role": "line"}
    line["marker"] = {"symbol": _SYMBOLS.get(network.split("/")[0], "cross"), "size": 9}
    line["customdata"] = [list(row) for row in zip(*columns, strict=True)]
    return [*traces, {**line, "name": label, "hovertemplate": "<br>".join(hover) + "<extra></extra>"}]


def _similarity(result: xr.Dataset) -> str:
    comparison = str(result.attrs.get("comparison", ""))
    return (
        f"Similarity to people ({COMPARISON_LABELS.get(comparison, html.escape(comparison))})"
        if comparison
        else "Similarity"
    )


def _numbers(values: np.ndarray) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


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
