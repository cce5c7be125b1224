"""Charts of where a network turns human-like: how probable each layer is, and how it differs from its baseline."""

import html
from collections.abc import Mapping
from typing import Any

import xarray as xr

from rsa_face.figures.localization import question_names
from rsa_face.figures.palette import network_label
from rsa_face.report.charts import SYMBOLS, Chart, View, numbers
from rsa_face.report.narrate import localization_sentences
from rsa_face.schema import BOUND, LAYER, comparison_label

_TARGET = "target"
_TESTS = ("p_difference_corrected", "p_difference_holm", "p_difference")


def localization_chart(where: xr.Dataset) -> Chart:
    """Return, for each question, the share of draws in which each layer was the answer.

    Parameters
    ----------
    where : Dataset, dims (target, layer)
        As `localize` returns it. Not changed.

    Returns
    -------
    Chart
        A row of bars for each question; strong bars are layers that are not ruled out, the triangle is the answer.
    """
    targets = [str(name) for name in where[_TARGET].values]
    layers = [str(name) for name in where[LAYER].values]
    traces: list[dict[str, Any]] = []
    heads: list[dict[str, Any]] = []
    layout: dict[str, Any] = {"height": 110 + 130 * len(targets), "showlegend": False, "bargap": 0.2}
    for row, target in enumerate(targets):
        axis = "y" if row == 0 else f"y{row + 1}"
        top = 1 - row / len(targets)
        question = question_names(where.attrs).get(target, target)
        one = where.sel({_TARGET: target})
        traces += _bars(
            one, layers, axis, float(where.attrs.get("confidence", 0.95)), str(where.attrs.get("network", ""))
        )
        layout["yaxis" + axis[1:]] = {"domain": [top - 0.7 / len(targets), top - 0.16 / len(targets)],
                                      "range": [-0.16, 1.2], "zeroline": True,
                                      "tickvals": [0, 0.5, 1], "tickformat": ".0%"}  # fmt: skip
        heads.append({"x": 0, "xref": "paper", "xanchor": "left", "y": top - 0.14 / len(targets), "yref": "paper",
                      "yanchor": "bottom", "showarrow": False, "text": f"<b>{html.escape(question)}</b>",
                      "name": str(where.attrs.get("network", ""))})  # fmt: skip
    named = {"tickvals": list(range(len(layers))), "ticktext": [html.escape(name) for name in layers]}
    layout["xaxis"] = {"tickangle": -60, "anchor": axis, "range": [-0.6, len(layers) - 0.4], **named}
    layout |= {"annotations": heads, "margin": {"l": 64, "r": 16, "t": 10, "b": 66}}
    network = network_label(str(where.attrs.get("network", "")))
    hint = (
        "Bars: share of bootstrap draws in which each layer is the answer. A line under a bar: the data do not rule "
        "the layer out. Triangle: the answer from all the data; “none” means that no layer is."
    )
    view = View("", " ".join(localization_sentences(where)), traces, layout)
    return Chart("localization", f"At which layer {network} turns human-like", hint, (view,), 110 + 22 * len(layers))


def contrast_chart(contrasts: Mapping[str, xr.Dataset]) -> Chart:
    """Return the difference of two networks at every matched layer, with the band that holds for all at once.

    Parameters
    ----------
    contrasts : mapping of str to Dataset, dims (layer, bound)
        As `contrast_layers` returns them, of one network and several baselines. Not changed.

    Returns
    -------
    Chart
        A view for each baseline.
    """
    views = tuple(_difference(one) for one in contrasts.values())
    first = next(iter(contrasts.values()))
    network, baseline = (network_label(str(first.attrs.get(name))) for name in ("network", "baseline"))
    title = f"{network} minus {baseline}" if len(views) == 1 else f"{network} minus another network"
    hint = "Above 0 it is more like people, below 0 less. Where the band leaves 0 the networks differ, however many "
    hint += "layers were looked at; bars are each layer's own interval."
    width = 110 + 24 * max(one.sizes[LAYER] for one in contrasts.values())
    return Chart("contrast", title, hint, views, width, "Minus")


def _bars(answer: xr.Dataset, layers: list[str], axis: str, confidence: float, network: str) -> list[dict[str, Any]]:
    share = answer["probability"].values
    inside = answer["in_set"].values.astype(bool)
    kept = ["not ruled out" if one else "ruled out" for one in inside]
    places = list(range(len(layers)))
    bars: dict[str, Any] = {
        "type": "bar", "x": places, "y": numbers(share), "yaxis": axis, "meta": {"network": network, "role": "bars"},
        "marker": {"opacity": [1.0 if one else 0.35 for one in inside]},
        "customdata": [[html.escape(name), said] for name, said in zip(layers, kept, strict=True)],
        "hovertemplate": f"<b>%{{customdata[0]}}</b><br>%{{y:.1%}} of draws<br>%{{customdata[1]}} at {confidence:.0%}"
        "<extra></extra>",
    }  # fmt: skip
    kept_at = [place for place, one in zip(places, inside, strict=True) if one]
    line: dict[str, Any] = {"x": kept_at, "y": [-0.09] * len(kept_at), "yaxis": axis, "mode": "markers",
            "hoverinfo": "skip", "meta": {"network": network, "role": "set"},
            "marker": {"symbol": "line-ew", "size": 16, "line": {"width": 3}}}  # fmt: skip
    place = layers.index(str(answer["picked"].item()))
    mark: dict[str, Any] = {"x": [place], "y": [float(share[place]) + 0.1], "yaxis": axis, "mode": "markers",
            "hoverinfo": "skip", "meta": {"role": "ink"},
            "marker": {"symbol": "triangle-down", "size": 10}}  # fmt: skip
    return [bars, line, mark]


def _difference(contrast: xr.Dataset) -> View:
    network, baseline = (str(contrast.attrs.get(name)) for name in ("network", "baseline"))
    names, values = [str(name) for name in contrast[LAYER].values], contrast["difference"].values
    x = list(range(len(names)))
    hover, columns = ["<b>%{customdata[0]}</b>", "difference %{y:+.3f}"], [[html.escape(name) for name in names]]
    line: dict[str, Any] = {"x": x, "y": numbers(values), "mode": "lines+markers", "line": {"width": 2}}
    traces: list[dict[str, Any]] = []
    for name, said in (("difference_interval", "interval"), ("difference_band", "band over all layers")):
        if name not in contrast:
            continue
        lower, upper = contrast[name].transpose(BOUND, LAYER).values
        hover.append(f"{said} %{{customdata[{len(columns)}]:.3f}} to %{{customdata[{len(columns) + 1}]:.3f}}")
        columns += [numbers(lower), numbers(upper)]  # type: ignore[list-item] # words, then numbers
        if said == "interval":
            line["error_y"] = {"type": "data", "symmetric": False, "array": numbers(upper - values),
                               "arrayminus": numbers(values - lower), "width": 0, "thickness": 2}  # fmt: skip
        else:
            band = {"x": x, "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip",
                    "meta": {"network": network, "role": "band"}}  # fmt: skip
            traces = [{**band, "y": numbers(upper)}, {**band, "y": numbers(lower), "fill": "tonexty"}]
    p = next((test for test in _TESTS if test in contrast), "")
    if p:
        hover.append(f"p = %{{customdata[{len(columns)}]:.4f}}" + (" (uncorrected)" if p == "p_difference" else ""))
        columns.append(numbers(contrast[p].values))  # type: ignore[arg-type] # words, then numbers
    line["customdata"] = [list(row) for row in zip(*columns, strict=True)]
    line |= {"meta": {"network": network, "role": "line"},
             "marker": {"symbol": SYMBOLS.get(network.split("/")[0], "cross"), "size": 9},
             "hovertemplate": "<br>".join(hover) + "<extra></extra>"}  # fmt: skip
    minus = f"{network_label(network)} − {network_label(baseline)}"
    comparison = str(contrast.attrs.get("comparison", ""))
    named = html.escape(comparison_label(comparison))
    title = f"Difference ({named})" if named else "Difference"
    layout = {
        "xaxis": {"tickvals": x, "ticktext": [html.escape(name) for name in names], "tickangle": -60,
                  "range": [-0.6, len(names) - 0.4]},
        "yaxis": {"title": {"text": title}, "zeroline": True},
        "showlegend": False, "height": 380, "margin": {"l": 70, "r": 16, "t": 16, "b": 62},
    }  # fmt: skip
    label = f"{minus} at {len(names)} matched layers. The table of the contrast holds the same numbers."
    return View(network_label(baseline), label, [*traces, line], layout)
