"""Charts of choices and of saliency: psychometric curves of people and networks, and where networks look."""

import html
from typing import Any

import numpy as np
import xarray as xr

from rsa_face.figures.palette import in_order, network_label
from rsa_face.figures.psychometric import SCALES
from rsa_face.figures.saliency import how_mapped
from rsa_face.report.charts import SYMBOLS, Chart, View, layers_of, numbers, place_layers, room_above
from rsa_face.schema import NETWORK, PARTICIPANT

_WHOLE = {"none": "whole face"}
_LOOKS = {0: ("circle", "solid"), 1: ("square-open", "dot"), 2: ("triangle-up", "dash")}


def curve_chart(people: xr.Dataset | None, networks: xr.Dataset | None) -> Chart | None:
    """Return the psychometric curves of people and networks, a view for each occlusion.

    Parameters
    ----------
    people, networks : Dataset or None
        As `fit_psychometric` makes them: ``proportion`` along `level`, ``curve`` along `curve_level`, ``pse``. Not
        changed.

    Returns
    -------
    Chart or None
        None where nothing lies along `level`.
    """
    parts = [part for part in (people, networks) if part is not None and "level" in part.dims]
    if not parts:
        return None
    occlusions = list(dict.fromkeys(
        str(name) for part in parts for name in (part["occlusion"].values if "occlusion" in part.dims else [""])
    ))  # fmt: skip
    views = []
    for occlusion in occlusions:
        traces = _people(_at(people, occlusion)) + _networks(_at(networks, occlusion))
        name = _WHOLE.get(occlusion, f"{occlusion} masked" if occlusion else "")
        layout = {"xaxis": {"title": {"text": SCALES.get(str(parts[0].attrs.get("level_scale")), "Level")}},
                  "height": 430, "showlegend": True, "yaxis": {"title": {"text": "P(happy)"}, "range": [-0.03, 1.03]},
                  "margin": {"l": 64, "r": 16, "t": 60, "b": 56}}  # fmt: skip
        pses = [f"{trace['name']} {trace['meta']['pse']}" for trace in traces if trace["meta"].get("pse")]
        label = f"Psychometric curves, {name or 'all faces'}. " + ("PSE: " + "; ".join(pses) + "." if pses else "")
        views.append(View(html.escape(name), label, traces, layout))
    hint = "Share of happy choices along the morph. Dots are choices, lines the fitted curves, thin lines single "
    hint += "participants."
    pointing = "Point at a curve for its PSE, the level at which happy is chosen half the time."
    return Chart("psychometric", "Psychometric curves", hint, tuple(views), 320, "Faces", pointing)


def layer_saliency_chart(shares: xr.Dataset) -> Chart:
    """Return the share of saliency in each region of the face by layer, a view for each occlusion.

    Parameters
    ----------
    shares : Dataset, dims (rdm, occlusion, region)
        ``proportion`` and its standard error ``se``. Not changed.

    Returns
    -------
    Chart
        Networks side by side; regions differ by line and mark.
    """
    occlusions = shares["occlusion"].values.astype(str).tolist() if "occlusion" in shares.dims else [""]
    regions = shares["region"].values.astype(str).tolist()
    views = []
    for occlusion in occlusions:
        here = _at(shares, occlusion)
        assert here is not None  # the occlusion is one of theirs
        axis, heads, places = place_layers(here)
        traces = [_key(region, place) for place, region in enumerate(regions)]
        for network, x in places.items():
            part = layers_of(here, network)
            traces += [_region(part, x, network, region, place) for place, region in enumerate(regions)]
        name = _WHOLE.get(occlusion, f"{occlusion} masked" if occlusion else "")
        layout = {"xaxis": axis, "yaxis": {"title": {"text": "Share of saliency"}, "rangemode": "tozero"},
                  "annotations": heads, "height": 430, "showlegend": True,
                  "legend": {"orientation": "h", "yref": "container", "y": 1, "yanchor": "top"},
                  "margin": {"l": 64, "r": 16, "t": 30 + room_above(heads), "b": 72}}  # fmt: skip
        label = f"Share of saliency in {', '.join(regions)} by layer, {name}. The table holds the same numbers."
        views.append(View(html.escape(name), label, traces, layout))
    hint = f"{how_mapped(shares.attrs)}: how much of each layer’s map falls into each region of the face, means over "
    hint += "faces with standard errors."
    width = int(150 + 13 * axis["range"][1])
    return Chart("saliency", "Saliency by layer", hint, tuple(views), width, "Faces")


def region_chart(saliency: xr.Dataset) -> Chart | None:
    """Return the share of saliency in each region of the face, if a result holds any along `region`.

    Parameters
    ----------
    saliency : Dataset
        With a variable along `region` and something else. Not changed.

    Returns
    -------
    Chart or None
        None where nothing lies along `region`.
    """
    names = [str(one) for one, part in saliency.data_vars.items() if "region" in part.dims and part.ndim > 1]
    name = "proportion" if "proportion" in names else next(iter(names), None)
    if name is None:
        return None
    shares = saliency[name]
    keep = [dim for dim in (NETWORK, "layer", "rdm", "region") if dim in shares.dims]
    shares = shares.mean([dim for dim in shares.dims if dim not in keep])
    others = [str(dim) for dim in shares.dims if dim != "region"]
    flat = shares.stack(one=others).transpose("one", "region")
    labels = [key if isinstance(key, tuple) else (key,) for key in flat["one"].values]
    regions = [html.escape(str(region)) for region in flat["region"].values]
    named = [html.escape(network_label(" ".join(map(str, key)))) for key in labels]
    traces = [
        {"type": "bar", "x": regions, "y": numbers(values), "name": name, "marker": {},
         "meta": {"network": str(key[0]), "role": "bars"},
         "hovertemplate": "%{fullData.name}, %{x}: %{y:.3f}<extra></extra>"}
        for key, name, values in zip(labels, named, flat.values, strict=True)
    ]  # fmt: skip
    layout: dict[str, Any] = {"barmode": "group", "height": 400, "showlegend": True}
    layout["yaxis"] = {"title": {"text": "Share of saliency"}}
    layout["margin"] = {"l": 64, "r": 16, "t": 50, "b": 52}
    view = View("", f"Share of saliency in {', '.join(regions)}.", traces, layout)
    hint = f"{how_mapped(saliency.attrs)}: means over faces."
    return Chart("saliency", "Saliency by region", hint, (view,), 120 + 20 * len(labels))


def _at(part: xr.Dataset | None, occlusion: str) -> xr.Dataset | None:
    if part is None or not {"level", "region"} & set(part.dims):
        return None
    if "occlusion" not in part.dims:
        return part
    here = np.flatnonzero(part["occlusion"].values.astype(str) == occlusion)
    return part.isel(occlusion=int(here[0])) if len(here) else None


def _people(part: xr.Dataset | None) -> list[dict[str, Any]]:
    if part is None or PARTICIPANT not in part.dims:
        return []
    count = part.sizes[PARTICIPANT]
    traces: list[dict[str, Any]] = []
    determined = part["pse"].notnull() if "pse" in part else None
    pse = _written(part["pse"].mean(PARTICIPANT)) if determined is not None else ""
    without = 0 if determined is None else int((~determined).sum())
    pse += f" ({without} of {count} have none)" if without else ""
    meta = {"role": "ink", "pse": pse}
    if "curve" in part:
        x, each = part["curve_level"].values, part["curve"].transpose(PARTICIPANT, "curve_level").values
        # as in the figure: the mean curve is of those who have a PSE
        those = each if determined is None else each[determined.values]
        mean = those.mean(axis=0) if len(those) else np.full(len(x), np.nan)
        broken = np.concatenate([each, np.full((count, 1), np.nan)], axis=1)[:, [*range(0, len(x), 2), len(x)]]
        thin = np.concatenate([x[::2], [x[-1]]])
        traces += [
            {"x": np.tile(thin, count).tolist(), "y": numbers(broken.ravel()), "mode": "lines", "hoverinfo": "skip",
             "line": {"width": 1}, "meta": {"role": "faint"}, "showlegend": False, "connectgaps": False},
            {"x": x.tolist(), "y": numbers(mean), "mode": "lines", "line": {"width": 3}, "name": "",
             "meta": {"role": "ink"}, "showlegend": False, "hoverinfo": "skip"},
        ]  # fmt: skip
    name = f"People (mean of {count})"
    template = f"<b>{name}</b><br>level %{{x}}: %{{y:.3f}}" + (f"<br>mean PSE {pse}" if pse else "")
    points = {"x": part["level"].values.tolist(), "y": numbers(part["proportion"].mean(PARTICIPANT).values),
              "mode": "markers" if "curve" in part else "lines+markers", "name": name, "meta": meta,
              "marker": {"size": 9}, "line": {"width": 3}, "hovertemplate": f"{template}<extra></extra>"}  # fmt: skip
    return [*traces, points]


def _networks(part: xr.Dataset | None) -> list[dict[str, Any]]:
    if part is None or NETWORK not in part.dims:
        return []
    traces: list[dict[str, Any]] = []
    names = part[NETWORK].values.astype(str).tolist()
    for network in in_order(names):
        one = part.isel({NETWORK: names.index(network)})
        pse = _written(one["pse"]) if "pse" in one else ""
        meta = {"network": network, "role": "line", "pse": pse}
        if "curve" in one:
            x = one["curve_level"].values.tolist()
            traces.append({"x": x, "y": numbers(one["curve"].values), "mode": "lines",
                           "line": {"width": 2}, "meta": {"network": network, "role": "line"}, "showlegend": False,
                           "hoverinfo": "skip", "name": ""})  # fmt: skip
        label = html.escape(network_label(network))
        template = f"<b>{label}</b><br>level %{{x}}: %{{y:.3f}}" + (f"<br>PSE {pse}" if pse else "")
        traces.append({"x": one["level"].values.tolist(), "y": numbers(one["proportion"].values), "meta": meta,
                       "mode": "markers" if "curve" in one else "lines+markers", "name": label,
                       "marker": {"symbol": SYMBOLS.get(network.split("/")[0], "cross"), "size": 8},
                       "hovertemplate": f"{template}<extra></extra>"})  # fmt: skip
    return traces


def _written(value: xr.DataArray) -> str:
    number = float(value)
    return f"{number:+.2f}".replace("-", "−") if np.isfinite(number) else "undetermined"


def _key(region: str, place: int) -> dict[str, Any]:
    symbol, dash = _LOOKS.get(place, ("diamond", "dashdot"))
    return {"x": [None], "y": [None], "mode": "lines+markers", "name": html.escape(region), "meta": {"role": "ink"},
            "marker": {"symbol": symbol, "size": 8}, "line": {"dash": dash, "width": 2}}  # fmt: skip


def _region(part: xr.Dataset, x: np.ndarray, network: str, region: str, place: int) -> dict[str, Any]:
    here = part.sel(region=region)
    symbol, dash = _LOOKS.get(place, ("diamond", "dashdot"))
    label = html.escape(network_label(network))
    names = [[html.escape(str(name)), label, html.escape(region)] for name in part["layer"].values]
    trace: dict[str, Any] = {
        "x": x.tolist(), "y": numbers(here["proportion"].values), "mode": "lines+markers", "showlegend": False,
        "meta": {"network": network, "role": "line"}, "marker": {"symbol": symbol, "size": 7},
        "line": {"dash": dash, "width": 1.6}, "customdata": names, "name": "",
        "hovertemplate": "<b>%{customdata[1]} %{customdata[0]}</b><br>%{customdata[2]} %{y:.3f}<extra></extra>",
    }  # fmt: skip
    if "se" in here:
        trace["error_y"] = {"type": "data", "array": numbers(here["se"].values), "width": 0, "thickness": 1}
    return trace
