"""Charts of the report, as plotly draws them, from the very tables that the figures are drawn from."""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.figures.behaviour import PEOPLE, Choices, choices_of, name_of_condition, table_of_choices, words_of
from rsa_face.figures.layers import (
    controls_in_words,
    layers_table,
    partial_of,
    rows_in_order,
    seeds_together,
    similarity_label,
    title_of,
)
from rsa_face.figures.layout import name_of, number, p_value, percent, short_layers, words_of_occlusion
from rsa_face.figures.multiverse import ANSWERS, CHOICES, counted, label_of_answer, specification_curve
from rsa_face.figures.networks import contrast_table, half_way_place, localization_table, shown_test
from rsa_face.figures.saliency import REGION, how_mapped, shares_table
from rsa_face.figures.style import in_order, ink, network_colors, network_label, network_markers
from rsa_face.report.narrate import listed, localization_sentences, multiverse_sentences
from rsa_face.schema import BOUND, LAYER, NETWORK, RDM, TRIAL_SCORES, comparison_label, split_seed, table_along
from rsa_face.schema import PEOPLE as GROUPS

SYMBOLS = {
    "o": "circle", "D": "diamond", "^": "triangle-up", "s": "square", "v": "triangle-down",
    "P": "cross", "X": "x", "<": "triangle-left", ">": "triangle-right", "h": "hexagon",
}  # fmt: skip
"""What plotly calls matplotlib's marks."""
_GAP = 1.5
_MARKS = [
    {"marker": {"symbol": symbol, "size": 8}, "line": {"dash": dash, "width": 1.8}}
    for symbol, dash in (("circle", "solid"), ("square-open", "dot"), ("triangle-up", "dash"), ("diamond", "dashdot"))
]

Trace = dict[str, Any]


@dataclass(frozen=True)
class View:
    """One state of a chart: its name, what a screen reader says of it, and what plotly takes.

    ``meta`` of a trace names the network and the role it plays, by which the page's theme colours it. ``table`` holds
    the numbers, which the page offers as CSV.
    """

    name: str
    label: str
    traces: list[Trace]
    layout: dict[str, Any]
    table: pd.DataFrame


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


def layer_chart(result: xr.Dataset, partial: xr.Dataset | None = None) -> Chart:
    """Return the layer curve: networks side by side, value, interval and number of participants on hover.

    Of trials that layers predict it is the score above guessing, which stands where the similarity of RDMs does.
    """
    score = str(result.attrs.get("comparison"))
    of_trials = score in TRIAL_SCORES
    what = f"{score} above guessing" if of_trials else "similarity"
    partial = partial_of(result) if partial is None else partial
    table = layers_table(result, partial=partial)
    axis, heads, places = place_layers(result)
    confidence = percent(float(result.attrs.get("confidence", 0.95)))
    traces = [
        trace
        for network, x in places.items()
        for trace in _curve(table[table[NETWORK] == network], x, network, confidence, what=what)
    ]
    layout: dict[str, Any] = {
        "xaxis": axis,
        "yaxis": {"title": {"text": html.escape(similarity_label(result.attrs))}, "zeroline": True},
        "annotations": heads,
        "shapes": [],
        "showlegend": False,
        "height": 430,
        "margin": {"l": 64, "r": 84, "t": room_above(heads), "b": 72},
    }
    if "noise_ceiling_lower" in table:
        lower, upper = (float(table[f"noise_ceiling_{bound}"].iloc[0]) for bound in ("lower", "upper"))
    else:
        lower = upper = np.nan
    if np.isfinite(lower):
        layout["shapes"].append(_ceiling(lower, upper))
        heads.append({"x": 1.005, "xref": "paper", "xanchor": "left", "y": (lower + upper) / 2, "showarrow": False,
                      "align": "left", "text": "noise<br>ceiling"})  # fmt: skip
    excited = [
        float(at)
        for network, x in places.items()
        for layer, at in zip(table[table[NETWORK] == network][LAYER], x, strict=True)
        if layer == "fe"
    ]
    layout["shapes"] += [{"type": "rect", "yref": "paper", "x0": at - 0.45, "x1": at + 0.45, "y0": 0, "y1": 1,
                          "line": {"width": 0}, "layer": "below", "name": "block"} for at in excited]  # fmt: skip
    label = f"Similarity of {len(table)} layers to people. The table of layers holds the same numbers."
    label = f"How well {len(table)} layers predict trials. The table holds the same numbers." if of_trials else label
    hint = f"Bands are {confidence} intervals"
    hint += "; the shaded column is the feature-excitation block." if excited else "."
    hint += "" if partial is None else f" Dashed: similarity without {html.escape(controls_in_words(partial))}."
    counted = f"{what}, interval and number of participants" if "participants" in table else f"{what} and interval"
    pointing = f"Point at a layer for its {counted}."
    width = int(150 + 13 * axis["range"][1])
    view = View("", label, traces, layout, table)
    if of_trials:
        hint += " 0 is guessing, and the ceiling what other people’s answers predict."
        return Chart("trials", "Trials that each layer predicts", hint, (view,), width, pointing=pointing)
    return Chart("layers", "Similarity of each layer to people", hint, (view,), width, pointing=pointing)


def answer_chart(result: xr.Dataset, partial: xr.Dataset | None, network: str, baseline: str | None = None) -> Chart:
    """Return the curve of the network in question with its baseline behind it, small, for beside the answer.

    Seeds are drawn together: all lines of one start, without their intervals.
    """
    partial = partial_of(result) if partial is None else partial
    present = in_order(map(str, result[NETWORK].values))
    seeds = {end: [name for name in present if split_seed(name)[0] == split_seed(end)[0]]
             for end in (baseline, network) if end in present}  # fmt: skip
    shown = [name for group in seeds.values() for name in group]
    table = layers_table(result, partial=partial, networks=shown)
    confidence = percent(float(result.attrs.get("confidence", 0.95)))
    names = [str(name) for name in layers_of(result, network)[LAYER].values]
    traces: list[Trace] = []
    for name in shown:
        rows = table[(table[NETWORK] == name) & table[LAYER].isin(names)]
        curve = _curve(rows, np.array([names.index(str(layer)) for layer in rows[LAYER]]), name, confidence)
        full = name == network and len(seeds[network]) == 1
        traces += [{**one, "marker": {"size": 6}} if "marker" in one else one
                   for one in curve if full or one["meta"]["role"] == "line"]  # fmt: skip
    heads = [
        {"x": 0, "xref": "paper", "xanchor": "left", "y": 1.01 + 0.075 * place, "yref": "paper", "yanchor": "bottom",
         "showarrow": False, "text": f"<b>{html.escape(name_of(seeds[end]))}</b>", "name": str(end)}
        for place, end in enumerate(seeds)
    ]  # fmt: skip
    layout: dict[str, Any] = {
        "xaxis": {"tickangle": -90, **_layers_below(names)},
        "yaxis": {"title": {"text": "Similarity to people"}, "zeroline": True},
        "annotations": heads, "shapes": [], "showlegend": False, "height": 300,
        "margin": {"l": 56, "r": 8, "t": 8 + 18 * len(heads), "b": 56},
    }  # fmt: skip
    if "noise_ceiling_lower" in table:
        lower, upper = (float(table[f"noise_ceiling_{bound}"].iloc[0]) for bound in ("lower", "upper"))
        layout["shapes"].append(_ceiling(lower, upper))
        heads.append({"x": 0.01, "xref": "paper", "xanchor": "left", "y": lower, "yanchor": "top",
                      "showarrow": False, "text": "noise ceiling"})  # fmt: skip
    banded = any(one["meta"]["role"] == "band" for one in traces)
    dashed = any(one["meta"]["role"] == "partial" for one in traces)
    hint = f"Band: {confidence} interval. " * banded
    hint += f"Dashed: without {html.escape(controls_in_words(partial))}." if dashed and partial is not None else ""
    label = f"Similarity of the layers of {network_label(network)} to people. The table holds the same numbers."
    view = View("", label, traces, layout, table)
    return Chart("answer", f"{network_label(network)}, layer by layer", hint.strip(), (view,), 240)


def localization_chart(where: xr.Dataset) -> Chart:
    """Return, for each question, in what share of draws each layer is the answer, and the half-way depth."""
    table, network = localization_table(where), str(where.attrs.get("network", ""))
    layers = [str(name) for name in where[LAYER].values]
    questions = list(dict.fromkeys(table["question"]))
    rows = len(questions) + 1
    layout: dict[str, Any] = {"height": 110 + 130 * rows, "showlegend": False, "bargap": 0.2, "annotations": [],
                              "margin": {"l": 64, "r": 16, "t": 10, "b": 66}}  # fmt: skip
    traces: list[Trace] = []
    for row, question in enumerate([*questions, "Half-way to the peak"]):
        axis, top = "y" if row == 0 else f"y{row + 1}", 1 - row / rows
        shares = row < len(questions)
        traces += (
            _shares(table[table["question"] == question], axis, network, percent(float(where.attrs["confidence"])))
            if shares
            else _half_way(where, axis, network)
        )
        layout["yaxis" + axis[1:]] = {"domain": [top - 0.7 / rows, top - 0.16 / rows], "range": [-0.16, 1.2],
                                      "zeroline": True, "tickvals": [0, 0.5, 1] if shares else [],
                                      "tickformat": ".0%"}  # fmt: skip
        layout["annotations"].append({
            "x": 0, "xref": "paper", "xanchor": "left", "y": top - 0.14 / rows, "yref": "paper", "yanchor": "bottom",
            "showarrow": False, "text": f"<b>{html.escape(question)}</b>", "name": network,
        })  # fmt: skip
    layout["xaxis"] = {"tickangle": -60, "anchor": axis, **_layers_below(layers)}
    hint = (
        "Bars: share of bootstrap draws in which each layer is the answer. A line under a bar: the data do not rule "
        "the layer out. Triangle: the answer from all the data; “none” means that no layer is. Diamond: the depth at "
        "which similarity crosses half of its rise to the peak, with its interval."
    )
    view = View("", " ".join(localization_sentences(where)), traces, layout, table)
    title = f"At which layer {network_label(network)} turns human-like"
    return Chart("localization", title, hint, (view,), 110 + 22 * len(layers))


def contrast_chart(contrasts: Mapping[str, xr.Dataset]) -> Chart:
    """Return the difference of a network and several others at every matched layer, a view for each of these."""
    views = tuple(_difference(one) for one in contrasts.values())
    first = next(iter(contrasts.values()))
    network, baseline = (network_label(str(first.attrs.get(name))) for name in ("network", "baseline"))
    title = f"{network} minus {baseline}" if len(views) == 1 else f"{network} minus another network"
    hint = "Above 0 it is more like people, below 0 less. Where the band leaves 0 the networks differ, however many "
    hint += "layers were looked at; bars are each layer's own interval."
    width = 110 + 24 * max(one.sizes[LAYER] for one in contrasts.values())
    return Chart("contrast", title, hint, views, width, "Minus")


def people_chart(people: xr.Dataset) -> Chart:
    """Return how similar layers are to two groups of participants, a view for each network."""
    table = table_along(people, RDM, across=GROUPS)
    names = [str(name) for name in people[GROUPS].values]
    views = tuple(_two_groups(table[table[NETWORK] == network], str(network), names, people)
                  for network in dict.fromkeys(table[NETWORK]))  # fmt: skip
    hint = (
        f"Line: {html.escape(names[0])}; dashed: {html.escape(names[1])}; bands are intervals of each layer. A group "
    )
    hint += "whose members agree less is less similar to every layer: compare the noise ceilings."
    width = 110 + 24 * max(len(view.table) for view in views)
    return Chart("people", f"{names[0]} and {names[1]}", hint, views, width, "Network")


def _two_groups(table: pd.DataFrame, network: str, names: Sequence[str], people: xr.Dataset) -> View:
    layers, x = [str(name) for name in table[LAYER]], np.arange(len(table))
    traces: list[Trace] = []
    for name, dash in zip(names, ("solid", "dash"), strict=True):
        lines: list[tuple[Any, ...]] = [
            ("<b>{} {}</b>", [html.escape(name)] * len(layers), [html.escape(layer) for layer in layers]),
            ("similarity {:.3f}", table[f"similarity_{name}"]),
        ]
        lower, upper = (table[f"similarity_interval_{name}_{bound}"] for bound in ("lower", "upper"))
        lines.append(("interval {:.3f} to {:.3f}", lower, upper))
        lines.append((f"{html.escape(names[0])} − {html.escape(names[1])} {{:+.3f}}", table["difference"]))
        lines.append(("p of the difference, corrected {}", [p_value(p) for p in table["p_difference_corrected"]]))
        line = {**_line(x, table[f"similarity_{name}"], network), "line": {"width": 2, "dash": dash}}
        traces += [*_band(x, lower, upper, network), {**line, "name": html.escape(name), **hover(*lines)}]
    named = html.escape(similarity_label(people.attrs))
    layout = {
        "xaxis": {"tickangle": -60, **_layers_below(layers)},
        "yaxis": {"title": {"text": named}, "zeroline": True},
        "showlegend": False, "height": 380, "margin": {"l": 70, "r": 16, "t": 16, "b": 62},
    }  # fmt: skip
    label = f"Similarity of {len(layers)} layers of {network_label(network)} to {names[0]} and to {names[1]}."
    return View(network_label(network), label, traces, layout, table)


def multiverse_chart(multiverse: xr.Dataset) -> Chart | None:
    """Return the specification curve: what each analysis finds, above its choices; None where none could be made."""
    made = np.isfinite(multiverse["half_way_depth"].values)
    if not made.any():
        return None
    shown, rows = specification_curve(multiverse)
    answers = [name for name in ANSWERS if np.isfinite(shown[name].values).any()]
    count, band, line = shown.sizes["universe"], 130 * len(answers), 22 * len(rows)
    margins = 24 + 16
    layout: dict[str, Any] = {
        "height": band + line + margins, "showlegend": False, "margin": {"l": 150, "r": 16, "t": 24, "b": 16},
        "xaxis": {"showticklabels": False, "ticks": "", "range": [-0.8, count - 0.2]},
        "shapes": [{"type": "rect", "yref": "paper", "x0": at - 0.5, "x1": at + 0.5, "y0": 0, "y1": 1,
                    "line": {"width": 0}, "layer": "below", "name": "block"}
                   for at in np.flatnonzero(shown["own"].values).tolist()],
        "annotations": [],
    }  # fmt: skip
    traces: list[Trace] = []
    height = band / (band + line) / len(answers)
    for place, name in enumerate(answers):
        top, axis = 1 - place * height, "y" if place == 0 else f"y{place + 1}"
        words = html.escape(label_of_answer(shown, name).replace("\n", " "))
        ends = {"zeroline": True} if name == "difference" else {"zeroline": False, "range": [0, 1.05]}
        layout["yaxis" + axis[1:]] = {"domain": [top - 0.8 * height, top - 0.16 * height], **ends}
        layout["annotations"].append({
            "x": 0, "xref": "paper", "xanchor": "left", "y": top - 0.15 * height, "yref": "paper",
            "yanchor": "bottom", "showarrow": False, "text": f"<b>{words}</b>", "name": shown.attrs["network"],
        })  # fmt: skip
        traces += _answers_of_analyses(shown, name, words, axis)
    axis, (squares, labels) = f"y{len(answers) + 1}", _choices_of_analyses(shown, rows)
    traces += [{**trace, "yaxis": axis} for trace in squares]
    layout[f"yaxis{axis[1:]}"] = {
        "domain": [0, line / (band + line)], "range": [min(labels, default=0) - 0.8, -0.2], "zeroline": False,
        "showgrid": False, "tickvals": list(labels), "ticktext": list(labels.values()), "tickfont": {"size": 11},
    }  # fmt: skip
    hint = (
        "A column is an analysis, squares below are its choices, and bars intervals. The study’s own is coloured, "
        f"on a band. {counted(made)}."
    )
    view = View("", " ".join(multiverse_sentences(multiverse, brief=True)), traces, layout,
                table_along(shown, "universe"))  # fmt: skip
    pointing = "Point at a dot for the analysis that it is of."
    return Chart("multiverse", "What other analyses find", hint, (view,), 240 + 14 * count, pointing=pointing)


def _own_apart(shown: xr.Dataset, among: np.ndarray) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """Return places of other analyses, and that of the study's own, each with what colours it."""
    for mine, meta in ((False, {"role": "ink"}), (True, {"network": str(shown.attrs["network"]), "role": "line"})):
        at = among[shown["own"].values[among] == mine]
        if at.size:
            yield at, meta


def _answers_of_analyses(shown: xr.Dataset, name: str, words: str, axis: str) -> Iterator[Trace]:
    """Return a dot with its interval for each analysis, read with its choices."""
    value, ends = shown[name].values, shown[f"{name}_interval"].transpose(BOUND, "universe").values
    for at, meta in _own_apart(shown, np.flatnonzero(np.isfinite(value))):
        lines: list[tuple[Any, ...]] = [
            ("<b>{}</b>", [html.escape(str(layer)) for layer in shown["peak_layer"].values[at]]),
            (f"{words} {{:.3f}}", value[at]),
            ("interval {:.3f} to {:.3f}", *ends[:, at]),
            *((f"{label}: {{}}", [html.escape(str(each)) for each in shown[choice].values[at]])
              for choice, label in CHOICES.items()),
        ]  # fmt: skip
        yield {
            "x": at.tolist(), "y": numbers(value[at]), "yaxis": axis, "mode": "markers", "name": words, "meta": meta,
            "marker": {"size": 10 if "network" in meta else 6, "symbol": "circle"},
            "error_y": {"type": "data", "symmetric": False, "array": numbers(ends[1, at] - value[at]),
                        "arrayminus": numbers(value[at] - ends[0, at]), "width": 0, "thickness": 1},
            **hover(*lines),
        }  # fmt: skip


def _choices_of_analyses(shown: xr.Dataset, rows: Sequence[tuple[str, str]]) -> tuple[list[Trace], dict[float, str]]:
    """Return squares for each value of each choice, a gap between choices, and what stands beside each row."""
    traces: list[Trace] = []
    labels: dict[float, str] = {}
    y, before = 0.0, ""
    for choice, value in rows:
        y -= 1.6 if before and choice != before else 1.0
        labels[y] = html.escape(value if choice == before else f"{CHOICES[choice]}: {value}")
        before = choice
        chosen = np.flatnonzero(shown[choice].values.astype(str) == value)
        traces += [
            {"x": at.tolist(), "y": [y] * len(at), "mode": "markers", "marker": {"size": 8, "symbol": "square"},
             "name": labels[y], "meta": meta, "hoverinfo": "skip"}
            for at, meta in _own_apart(shown, chosen)
        ]  # fmt: skip
    return traces, labels


def curve_chart(people: xr.Dataset | None, networks: xr.Dataset | None) -> Chart | None:
    """Return the psychometric curves of people and networks, a view for each occlusion."""
    choices, words = choices_of(people, networks), words_of(people, networks)
    if not choices:
        return None
    high = words.attrs["high"]
    scale = next((str(part.attrs.get("level_scale")) for part in (people, networks) if part is not None), "")
    views = []
    for occlusion in dict.fromkeys(one.occlusion for one in choices):
        shown = [one for one in choices if one.occlusion == occlusion]
        traces = [trace for one in shown for trace in _choices(one)]
        name = name_of_condition(occlusion, words) if words.condition else words_of_occlusion(occlusion)
        axes = html.escape(words.axis(scale)), html.escape(words.chance)
        layout = {"xaxis": {"title": {"text": axes[0]}},
                  "height": 430, "showlegend": True, "yaxis": {"title": {"text": axes[1]}, "range": [-0.03, 1.03]},
                  "margin": {"l": 64, "r": 16, "t": 60, "b": 56}}  # fmt: skip
        pses = "; ".join(f"{one.name} {pse}" for one in shown if (pse := _pse(one)))
        label = f"Psychometric curves, {name or 'all faces'}." + (f" PSE: {pses}." if pses else "")
        views.append(View(html.escape(name), label, traces, layout, table_of_choices(shown, words)))
    variable = html.escape(words.variable or "morph")
    hint = f"Share of {html.escape(high)} choices along the {variable}. "
    hint += "Dots are choices, lines the mean curve of those who have a PSE"
    hint += ", thin lines single participants." if people is not None else "."
    hint += " A dotted line is a network without a PSE."
    pointing = f"Point at a dot for the PSE, the level at which {html.escape(high)} is chosen half the time."
    which = html.escape(words.condition[:1].upper() + words.condition[1:]) if words.condition else "Faces"
    return Chart("psychometric", "Psychometric curves", hint, tuple(views), 320, which, pointing)


def layer_saliency_chart(shares: xr.Dataset) -> Chart:
    """Return the share of saliency in each region of the face by layer, a view for each occlusion."""
    occlusions = shares["occlusion"].values.astype(str).tolist() if "occlusion" in shares.dims else [""]
    regions = shares[REGION].values.astype(str).tolist()
    views = []
    for place, occlusion in enumerate(occlusions):
        panel = shares.isel(occlusion=place) if "occlusion" in shares.dims else shares
        axis, heads, places = place_layers(panel)
        traces: list[Trace] = []
        looks = list(zip(regions, cycle(_MARKS), strict=False))
        for region, mark in looks:
            traces.append({"x": [None], "y": [None], "mode": "lines+markers", "name": html.escape(region), **mark,
                           "meta": {"role": "ink"}})  # fmt: skip
        for network, x in places.items():
            part = layers_of(panel, network)
            traces += [_region(part, x, network, *pair) for pair in looks]
        name = words_of_occlusion(occlusion)
        layout = {"xaxis": axis, "yaxis": {"title": {"text": "Share of saliency"}, "rangemode": "tozero"},
                  "annotations": heads, "height": 430, "showlegend": True,
                  "legend": {"orientation": "h", "yref": "container", "y": 1, "yanchor": "top"},
                  "margin": {"l": 64, "r": 16, "t": 30 + room_above(heads), "b": 72}}  # fmt: skip
        label = f"Share of saliency in {listed(regions)} by layer, {name}. The table holds the same numbers."
        shown = [name for name in ("proportion", "se") if name in panel]
        views.append(View(html.escape(name), label, traces, layout, panel[shown].to_dataframe().reset_index()))
    hint = f"{how_mapped(shares.attrs)}: how much of each layer’s map falls into each region of the face, means over "
    hint += "faces with standard errors."
    width = int(150 + 13 * axis["range"][1])
    return Chart("saliency", "Saliency by layer", hint, tuple(views), width, "Faces")


def region_chart(saliency: xr.Dataset) -> Chart | None:
    """Return the share of saliency in each region of the face, a view for each occlusion, if there is any."""
    if "proportion" not in saliency or not {NETWORK, REGION} <= set(saliency["proportion"].dims):
        return None
    table = shares_table(saliency)
    views = []
    for occlusion, panel in table.groupby("occlusion", sort=False):
        regions = list(dict.fromkeys(panel[REGION].astype(str)))
        traces = [
            {"type": "bar", "x": [html.escape(str(region)) for region in rows[REGION]], "marker": {},
             "y": numbers(rows["proportion"]), "error_y": {"type": "data", "array": numbers(rows["se"]), "width": 0},
             "name": html.escape(network_label(str(network))), "meta": {"network": str(network), "role": "bars"},
             "hovertemplate": "%{fullData.name}, %{x}: %{y:.3f}<extra></extra>"}
            for network, rows in panel.groupby(NETWORK, sort=False)
        ]  # fmt: skip
        layout = {"barmode": "group", "height": 400, "showlegend": True,
                  "yaxis": {"title": {"text": "Share of saliency"}},
                  "margin": {"l": 64, "r": 16, "t": 50, "b": 52}}  # fmt: skip
        name = words_of_occlusion(str(occlusion))
        label = f"Share of saliency in {listed(regions)}, {name}."
        views.append(View(html.escape(name), label, traces, layout, panel))
    hint = f"{how_mapped(saliency.attrs)}: means over faces with standard errors."
    width = 120 + 20 * table[[NETWORK, REGION]].drop_duplicates().shape[0]
    return Chart("saliency", "Saliency by region", hint, tuple(views), width, "Faces")


def place_layers(result: xr.Dataset) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, np.ndarray]]:
    """Return one axis of all layers, the networks' names above it, and where the layers of each network stand.

    Networks stand side by side, those that differ in their seed alone in one place.
    """
    ticks: list[float] = []
    names: list[str] = []
    heads: list[dict[str, Any]] = []
    places: dict[str, np.ndarray] = {}
    start = 0.0
    for group in seeds_together(result, in_order(map(str, result[NETWORK].values))):
        layers = layers_of(result, group[0])[LAYER].values
        x = start + np.arange(len(layers))
        places |= dict.fromkeys(group, x)
        start += len(x) + _GAP
        ticks += x.tolist()
        names += [html.escape(name) for name in short_layers([str(name) for name in layers])]
        title = "<br>".join(html.escape(line) for line in title_of(group))
        heads.append({"x": float(x.mean()), "y": 1.02, "yref": "paper", "yanchor": "bottom", "showarrow": False,
                      "text": f"<b>{title}</b>", "name": group[-1]})  # fmt: skip
    axis = {"tickvals": ticks, "ticktext": names, "tickangle": -90, "range": [-0.9, start - _GAP - 0.1]}
    return axis, heads, places


def layers_of(result: xr.Dataset, network: str) -> xr.Dataset:
    """Return one network's layers, in order of depth."""
    return result.isel({RDM: rows_in_order(result, [network])})


def _ceiling(lower: float, upper: float) -> dict[str, Any]:
    return {"type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": lower, "y1": upper, "line": {"width": 0},
            "layer": "below", "name": "ceiling"}  # fmt: skip


def room_above(heads: list[dict[str, Any]]) -> int:
    """Return the margin that names above an axis need, in pixels."""
    return 16 + 18 * max(str(head["text"]).count("<br>") + 1 for head in heads)


def palettes(networks: list[str]) -> dict[str, dict[str, str]]:
    """Return each network's colour on a light and on a dark page, and of its words; the hue is the same."""
    light = network_colors(networks)
    return {"light": light, "dark": {name: ink(color, dark=True) for name, color in light.items()},
            "words": {name: ink(color) for name, color in light.items()}}  # fmt: skip


def numbers(values: Sequence[float] | np.ndarray | pd.Series) -> list[float | None]:
    """Return numbers fit for JSON: what is not finite is missing.

    Examples
    --------
    >>> numbers(np.array([0.5, np.nan]))
    [0.5, None]
    """
    return [float(value) if np.isfinite(value) else None for value in values]


def set_symbols(charts: Sequence[Chart], networks: Sequence[str]) -> None:
    """Give the marks of each network their form, which is that of its marks in the figures."""
    markers = network_markers(networks)
    for trace in (trace for chart in charts for view in chart.views for trace in view.traces):
        network = trace.get("meta", {}).get("network")
        drawn = "mode" in trace and "marker" in trace  # lines and points; bars have no marks
        if drawn and network in markers and "symbol" not in trace["marker"]:
            trace["marker"]["symbol"] = SYMBOLS[markers[network]]


def hover(*lines: tuple[Any, ...]) -> Trace:
    """Return what is read where one points: lines with ``{}`` for each of the columns that follow.

    Examples
    --------
    >>> hover(("<b>{}</b>", ["fc8"]), ("p = {:.3f}", [0.01]))["hovertemplate"]
    '<b>%{customdata[0]}</b><br>p = %{customdata[1]:.3f}<extra></extra>'
    """
    columns: list[list[Any]] = []
    texts = []
    for text, *added in lines:
        for column in map(list, added):
            # the next pair of braces becomes plotly's, its format kept
            text = re.sub(r"\{(:[^{}]*)?\}", rf"%{{customdata[{len(columns)}]\g<1>}}", text, count=1)
            columns.append(column if isinstance(column[0], str) else numbers(column))
        texts.append(text)
    return {"customdata": [list(row) for row in zip(*columns, strict=True)],
            "hovertemplate": "<br>".join(texts) + "<extra></extra>"}  # fmt: skip


def _curve(
    table: pd.DataFrame, x: np.ndarray, network: str, confidence: str, *, what: str = "similarity"
) -> list[Trace]:
    label = html.escape(network_label(network))
    names = [html.escape(str(name)) for name in table[LAYER]]
    lines: list[tuple[Any, ...]] = [
        ("<b>{} {}</b>", [label] * len(names), names),
        (f"{what} {{:.3f}}", table["similarity"]),
    ]
    traces: list[Trace] = []
    if "similarity_lower" in table:
        bounds = table["similarity_lower"], table["similarity_upper"]
        traces = _band(x, *bounds, network)
        lines.append((f"{confidence} interval {{:.3f}} to {{:.3f}}", *bounds))
    if "participants" in table:
        lines.append(("n = {:.0f} participants", table["participants"]))
    p = next((name for name in ("p_above_zero_corrected", "p_above_zero") if name in table), None)
    if p is not None:
        how = "" if p.endswith("corrected") else " (uncorrected)"
        lines.append((f"p above 0: {{}}{how}", [p_value(value) for value in table[p]]))
    traces.append({**_line(x, table["similarity"], network), "name": label, **hover(*lines)})
    if "similarity_partial" in table:
        dashed = {**_line(x, table["similarity_partial"], network), "line": {"width": 1.6, "dash": "dash"}}
        lines = [lines[0], ("controls partialled out {:.3f}", table["similarity_partial"])]
        traces.append({**dashed, "meta": {"network": network, "role": "partial"}, "name": label, **hover(*lines)})
    return traces


def _difference(contrast: xr.Dataset) -> View:
    network, baseline = (str(contrast.attrs.get(name)) for name in ("network", "baseline"))
    table = contrast_table(contrast)
    names, x = [str(name) for name in table[LAYER]], np.arange(len(table))
    lines: list[tuple[Any, ...]] = [("<b>{}</b>", [html.escape(name) for name in names]),
                                    ("difference {:+.3f}", table["difference"])]  # fmt: skip
    line = _line(x, table["difference"], network)
    if "difference_interval_lower" in table:
        lower, upper = table["difference_interval_lower"], table["difference_interval_upper"]
        lines.append(("interval {:.3f} to {:.3f}", lower, upper))
        above, below = numbers(upper - table["difference"]), numbers(table["difference"] - lower)
        line["error_y"] = {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "width": 0,
                           "thickness": 2}  # fmt: skip
    bounds = table["difference_band_lower"], table["difference_band_upper"]
    lines.append(("band over all layers {:.3f} to {:.3f}", *bounds))
    p = shown_test(table)
    if p is not None:
        how = " (uncorrected)" if p == "p_difference" else ""
        lines.append((f"p: {{}}{how}", [p_value(value) for value in table[p]]))
    named = html.escape(comparison_label(str(contrast.attrs.get("comparison", ""))))
    layout = {
        "xaxis": {"tickangle": -60, **_layers_below(names)},
        "yaxis": {"title": {"text": f"Difference ({named})" if named else "Difference"}, "zeroline": True},
        "showlegend": False, "height": 380, "margin": {"l": 70, "r": 16, "t": 16, "b": 62},
    }  # fmt: skip
    minus = f"{network_label(network)} − {network_label(baseline)}"
    label = f"{minus} at {len(names)} matched layers. The table of the contrast holds the same numbers."
    traces = [*_band(x, *bounds, network), {**line, **hover(*lines)}]
    return View(network_label(baseline), label, traces, layout, table)


def _shares(table: pd.DataFrame, axis: str, network: str, confidence: str) -> list[Trace]:
    x, share = np.arange(len(table)), table["probability"].to_numpy()
    inside, picked = table["in_set"].to_numpy(), table["picked"].to_numpy()
    on_axis: Trace = {"yaxis": axis, "mode": "markers", "hoverinfo": "skip"}
    bars = {
        "type": "bar", "x": x.tolist(), "y": numbers(share), "yaxis": axis,
        "meta": {"network": network, "role": "bars"}, "marker": {"opacity": np.where(inside, 1.0, 0.35).tolist()},
        **hover(("<b>{}</b>", [html.escape(str(name)) for name in table[LAYER]]), ("{:.1%} of draws", share),
                (f"{{}} at {confidence}", np.where(inside, "not ruled out", "ruled out").tolist())),
    }  # fmt: skip
    line = {"x": x[inside].tolist(), "y": [-0.09] * int(inside.sum()), **on_axis,
            "meta": {"network": network, "role": "set"},
            "marker": {"symbol": "line-ew", "size": 16, "line": {"width": 3}}}  # fmt: skip
    mark = {"x": x[picked].tolist(), "y": numbers(share[picked] + 0.1), **on_axis, "meta": {"role": "ink"},
            "marker": {"symbol": "triangle-down", "size": 10}}  # fmt: skip
    return [bars, line, mark]


def _half_way(where: xr.Dataset, axis: str, network: str) -> list[Trace]:
    at, low, high = half_way_place(where, np.arange(where.sizes[LAYER], dtype=float))
    depth, confidence = float(where["half_way_depth"]), percent(float(where.attrs["confidence"]))
    limits = where["half_way_interval"].values
    words = f"half-way at a depth of {depth:.2f}<br>{confidence} interval {limits[0]:.2f} to {limits[1]:.2f}"
    mark = {"x": [at], "y": [0.5], "yaxis": axis, "mode": "markers", "meta": {"network": network, "role": "line"},
            "marker": {"symbol": "diamond", "size": 10}, "hovertemplate": f"{words}<extra></extra>",
            "error_x": {"type": "data", "symmetric": False, "array": [high - at], "arrayminus": [at - low],
                        "width": 0, "thickness": 3}}  # fmt: skip
    return [mark]


def _line(x: np.ndarray, y: pd.Series, network: str) -> Trace:
    return {"x": x.tolist(), "y": numbers(y), "mode": "lines+markers", "line": {"width": 2},
            "meta": {"network": network, "role": "line"},
            "marker": {"size": 9}}  # fmt: skip


def _band(x: np.ndarray, lower: pd.Series, upper: pd.Series, network: str) -> list[Trace]:
    band = {"x": x.tolist(), "mode": "lines", "line": {"width": 0}, "hoverinfo": "skip",
            "meta": {"network": network, "role": "band"}}  # fmt: skip
    return [{**band, "y": numbers(upper)}, {**band, "y": numbers(lower), "fill": "tonexty"}]


def _layers_below(names: list[str]) -> dict[str, Any]:
    return {"tickvals": list(range(len(names))), "ticktext": [html.escape(name) for name in names],
            "range": [-0.6, len(names) - 0.4]}  # fmt: skip


def _choices(one: Choices) -> list[Trace]:
    """Return the dots of people's or a network's choices, with the curves that the figure draws through them."""
    people, traces = one.observer == PEOPLE, []
    meta: dict[str, Any] = {"role": "ink"} if people else {"network": one.observer, "role": "line"}
    unseen: Trace = {"mode": "lines", "hoverinfo": "skip", "showlegend": False, "name": ""}
    if people and len(one.each):
        # every second level of each curve, a gap behind each: pages stay small, and one trace draws all
        thin = np.append(np.arange(0, len(one.fine), 2), len(one.fine))
        broken = np.pad(one.each, ((0, 0), (0, 1)), constant_values=np.nan)[:, thin]
        levels = np.append(one.fine, one.fine[-1])[thin]
        traces.append({**unseen, "x": np.tile(levels, len(broken)).tolist(), "y": numbers(broken.ravel()),
                       "line": {"width": 1}, "meta": {"role": "faint"}, "connectgaps": False})  # fmt: skip
    if one.curve is not None:
        traces.append({**unseen, "x": one.fine.tolist(), "y": numbers(one.curve), "meta": meta,
                       "line": {"width": 3 if people else 2}})  # fmt: skip
    name, pse = html.escape(one.name), _pse(one)
    dots: Trace = {
        "x": one.levels.tolist(), "y": numbers(one.share), "name": name, "meta": meta,
        "mode": "markers" if one.curve is not None else "lines+markers", "line": {"width": 2, "dash": "dot"},
        "marker": {"size": 9, "symbol": "circle"} if people else {"size": 8},
        "hovertemplate": f"<b>{name}</b><br>level %{{x}}: %{{y:.3f}}" + f"<br>PSE {pse}" * bool(pse)
                         + "<extra></extra>",
    }  # fmt: skip
    if np.isfinite(one.ends).any():
        above, below = one.ends[1] - one.share, one.share - one.ends[0]
        dots["error_y"] = {"type": "data", "symmetric": False, "array": numbers(above), "arrayminus": numbers(below),
                           "width": 0, "thickness": 1}  # fmt: skip
    return [*traces, dots]


def _pse(one: Choices) -> str:
    """Return the PSE of the mean curve as it is read, or of its observers; nothing where none was fitted."""
    pse = one.pse if np.isfinite(one.pse) else one.mean_pse
    return number(pse, signed=True) if np.isfinite(pse) else "undetermined" * bool(one.without_pse)


def _region(part: xr.Dataset, x: np.ndarray, network: str, region: str, mark: Mapping[str, Any]) -> Trace:
    shares, label = part.sel(region=region), html.escape(network_label(network))
    names = [html.escape(str(name)) for name in part[LAYER].values]
    trace: Trace = {
        "x": x.tolist(), "y": numbers(shares["proportion"].values), "mode": "lines+markers", "showlegend": False,
        "meta": {"network": network, "role": "line"}, "name": "", **mark,
        **hover(("<b>{} {}</b>", [label] * len(names), names),
                (f"{html.escape(region)} {{:.3f}}", shares["proportion"].values)),
    }  # fmt: skip
    if "se" in shares:
        trace["error_y"] = {"type": "data", "array": numbers(shares["se"].values), "width": 0, "thickness": 1}
    return trace
