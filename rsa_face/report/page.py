"""The finished study as one HTML file: it opens anywhere, offline, and makes no network requests."""

import json
from dataclasses import dataclass
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from rsa_face.figures.agreement import in_words
from rsa_face.figures.layers import layers_table
from rsa_face.figures.layout import number, p_value
from rsa_face.figures.networks import question_names
from rsa_face.figures.style import RDM_COLORS, in_order, network_label
from rsa_face.psychophysics.likeness import agreement_table, correlation_table
from rsa_face.report.charts import (
    Chart,
    answer_chart,
    contrast_chart,
    curve_chart,
    layer_chart,
    layer_saliency_chart,
    localization_chart,
    multiverse_chart,
    palettes,
    people_chart,
    region_chart,
    set_symbols,
)
from rsa_face.report.explorer import Explorer, explorer_of
from rsa_face.report.narrate import answer_of, asked_of, could_have_told, listed, methods_of
from rsa_face.safety import write_beside
from rsa_face.schema import NETWORK
from rsa_face.study.folder import StudyFolder, read_results

_MOST_MANIFEST = 200_000
_SHORT = {
    "layers": "Layers",
    "localization": "Where",
    "contrast": "Contrast",
    "people": "Groups",
    "psychometric": "Choices",
    "saliency": "Saliency",
    "trials": "Trials",
    "multiverse": "Other analyses",
}

_MOST_ROWS = 5000
_MANY_ROWS = 1000
_GATE = "saliency_gate_"
_FORMATS = {"whole": ".0f", "small": ".5f"}
_DIMS = {"rdm": "RDM", "curve_level": "level of the curve", "universe": "analysis"}
_TITLES = {
    "localization": "Which layer",
    "recovery": "Layers picked by simulated studies",
    "stability": "What is picked with parts left out",
    "plan": "People and stimuli that it takes",
    "psychometric": "Choices of people",
    "psychometric_networks": "Choices of networks",
    "psychometric_likeness": "How alike the choices are",
    "saliency": "Saliency",
    "saliency_layers": "Saliency of each layer",
    "training": "Accuracy of the networks",
    "seeds": "Networks over their seeds",
    "trials": "Prediction of trials",
    "multiverse": "What other analyses find",
    "error_consistency": "Consistency of errors",
}
_MAIN = {
    "network": "network",
    "layer": "layer",
    "depth": "depth",
    "similarity": "similarity",
    "similarity_lower": "lower",
    "similarity_upper": "upper",
    "share_of_ceiling": "share of ceiling",
    "p_above_zero_corrected": "p above 0",
    "p_above_zero": "p above 0, uncorrected",
    "p_below_ceiling_corrected": "p below ceiling",
    "p_below_ceiling": "p below ceiling, uncorrected",
    "similarity_partial": "similarity, controls partialled out",
    "participants": "n",
}


def write_report(results: str | Path, *, out: str | Path | None = None) -> Path:
    """Write a study's report as one self-contained HTML file.

    What the folder does not hold is named at the top, and the rest is shown. Text from files is escaped wherever it
    appears, and the page forbids itself every request.
    """
    study = read_results(results)
    path = Path(out) if out is not None else study.path / "report.html"
    page = render_page(study)
    with write_beside(path) as beside:
        beside.write_text(page, encoding="utf-8")
    return path


def render_page(study: StudyFolder) -> str:
    """Return a study's report as HTML."""
    charts = _charts(study)
    small = _answer_chart(study)
    drawn = [*charts, *([small] if small is not None else [])]
    set_symbols(drawn, _networks(study))
    explorer = explorer_of(study)
    tables, left_out = tables_of(study)
    content = {
        "charts": [
            [
                {
                    "label": view.label,
                    "traces": view.traces,
                    "layout": view.layout,
                    "csv": view.table.to_csv(index=False, lineterminator="\n"),
                }
                for view in chart.views
            ]
            for chart in drawn
        ],
        "explorer": explorer.content if explorer else None,
        "palettes": palettes(_networks(study)),
        "ramp": _ramp(),
    }
    agreement = agreement_tables(study)
    told = could_have_told(study)
    has = {"told": bool(told), "agreement": bool(agreement), "tables": bool(tables), "manifest": bool(study.manifest)}
    sections = _sections(charts, explorer, **has)
    page: str = _template().render(
        name=study.name,
        simulated=study.simulated,
        untrained=listed([network_label(name) for name in study.untrained], most=12),
        training_unknown=listed([network_label(name) for name in study.training_unknown], most=12),
        answer=answer_of(study),
        small=small,
        asked=asked_of(study) or "",
        sections=sections,
        missing=study.missing,
        charts=charts,
        told=told,
        agreement=agreement,
        left_out=left_out,
        explorer=explorer,
        tables=tables,
        methods=methods_of(study),
        manifest=_manifest(study),
        version=metadata.version("rsa-face"),
        content=Markup(_json_for_html(content)),
        plotly=Markup(get_plotlyjs()),
        style=Markup(_part("style.css")),
        script=Markup(_part("report.js")),
    )
    return page


def _charts(study: StudyFolder) -> list[Chart]:
    """Return a study's charts, in the order its question asks for them."""
    extras = study.extras
    charts: list[Chart | None] = [
        layer_chart(study.result, extras.get("partial")) if study.result is not None else None
    ]
    where = extras.get("localization")
    if where is not None and "target" in where.dims:
        charts.append(localization_chart(where))
    contrasts = {name: part for name, part in extras.items() if name.startswith("contrast") and "difference" in part}
    charts.append(contrast_chart(contrasts) if contrasts else None)
    charts.append(people_chart(extras["people"]) if "people" in extras else None)
    charts.append(curve_chart(extras.get("psychometric"), extras.get("psychometric_networks")))
    if "saliency_layers" in extras:
        charts.append(layer_saliency_chart(extras["saliency_layers"]))
    elif "saliency" in extras:
        charts.append(region_chart(extras["saliency"]))
    charts.append(layer_chart(extras["trials"]) if "trials" in extras else None)
    charts.append(multiverse_chart(extras["multiverse"]) if "multiverse" in extras else None)
    return [chart for chart in charts if chart is not None]


def _answer_chart(study: StudyFolder) -> Chart | None:
    """Return the curve of the network in question, for beside the answer."""
    network, where = asked_of(study), study.extras.get("localization")
    if study.result is None or network is None or network not in study.result[NETWORK].values:
        return None
    baseline = where.attrs.get("baseline") if where is not None else None
    return answer_chart(study.result, study.extras.get("partial"), network, baseline)


def _networks(study: StudyFolder) -> list[str]:
    """Return the networks that charts colour, and what those are called together that differ in their seed."""
    parts = (study.result, study.rdms, study.extras.get("psychometric_networks"))
    coords = [part[name] for part in parts if part is not None for name in (NETWORK, "family") if name in part.coords]
    return sorted({str(name) for coord in coords for name in coord.values})


def _sections(
    charts: list[Chart], explorer: Explorer | None, *, told: bool, agreement: bool, tables: bool, manifest: bool
) -> list[tuple[str, str]]:
    sections = [("answer", "Answer"), *((chart.id, _SHORT.get(chart.id, chart.title)) for chart in charts)]
    sections += [("told", "Could it have told?")] if told else []
    sections += [("agreement", "Agreement")] if agreement else []
    if explorer is not None:
        sections += [("rdms", "RDMs"), *([("embeddings", "Faces")] if explorer.content["embeddings"] else [])]
    sections += [("tables", "Tables")] if tables else []
    return [*sections, ("methods", "Methods"), *([("manifest", "Manifest")] if manifest else [])]


def _manifest(study: StudyFolder) -> str:
    if not study.manifest:
        return ""
    text = json.dumps(study.manifest, indent=1, ensure_ascii=False, default=str)
    more = f"\n... {len(text) - _MOST_MANIFEST} more characters in manifest.json"
    return text if len(text) <= _MOST_MANIFEST else text[:_MOST_MANIFEST] + more


def _ramp() -> list[str]:
    shades = np.round(mpl.colormaps[RDM_COLORS](np.linspace(0, 1, 256))[:, :3] * 255).astype(int)
    return ["".join(f"{part:02x}" for part in shade) for shade in shades]


def _json_for_html(content: Any) -> str:
    """Return JSON that no text in it can end the script element it stands in."""
    text = json.dumps(content, separators=(",", ":"), allow_nan=False, default=_plain)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _plain(value: object) -> object:
    return value.item() if isinstance(value, np.generic) else str(value)


def _template() -> Any:
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(_part("page.html.j2"))


def _part(name: str) -> str:
    return files("rsa_face.report").joinpath("templates", name).read_text("utf-8")


@dataclass(frozen=True)
class Cell:
    """One cell."""

    text: str
    value: str


@dataclass(frozen=True)
class Table:
    """One table."""

    name: str
    title: str
    note: str
    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]


def tables_of(study: StudyFolder) -> tuple[list[Table], list[str]]:
    """Return the tables of a study: its layers, and every other result as it is."""
    tables = [] if study.result is None else _tables_of_layers(study, study.result)
    left_out = []
    for name, dataset in study.extras.items():
        if name == "agreement" or name.startswith("saliency_maps"):
            continue  # the first has a section of its own; a row for each pixel is no table
        for dims, frame in frames_of(dataset):
            title = _title(name, dims, dataset)
            if NETWORK in frame:
                frame[NETWORK] = [network_label(str(one)) for one in frame[NETWORK]]
            if "target" in frame:
                names = question_names(dataset.attrs)
                frame["target"] = [names.get(str(one), str(one)) for one in frame["target"]]
            if len(frame) > _MANY_ROWS:
                left_out.append(f"{title}: {len(frame)} rows, in {name}.nc.")
            else:
                tables.append(table_of(frame, name=f"{name}-{'-'.join(dims)}", title=title))
    return tables, left_out


def _tables_of_layers(study: StudyFolder, result: xr.Dataset) -> list[Table]:
    frame = layers_table(result, partial=study.extras.get("partial"))
    frame["network"] = [network_label(str(name)) for name in frame["network"]]
    main = [name for name in _MAIN if name in frame and f"{name}_corrected" not in frame]
    tables = [table_of(frame[main].rename(columns=_MAIN), name="layers", title="Layers")]
    if len(frame.columns) > len(main):
        tables.append(table_of(frame, name="layers-all-tests", title="Layers, every test"))
    return tables


def agreement_tables(study: StudyFolder) -> list[Table]:
    """Return how the networks rank by each measure of likeness to people, and how far the ranks agree."""
    agreement = study.extras.get("agreement")
    if agreement is None or not {"value", "rank", "rank_correlation"} <= set(agreement.data_vars):
        return []
    agreement = agreement.sel(network=in_order(map(str, agreement["network"].values)))
    each, pairs = agreement_table(agreement), correlation_table(agreement)
    each["network"] = [network_label(str(name)) for name in each["network"]]
    words = {name: in_words(name, agreement) for name in agreement["quantity"].values.astype(str)}
    words |= {f"{name}_rank": f"rank by {word}" for name, word in words.items()}
    each = each.rename(columns={**words, "peak_layer": "best layer", "at_layer": "other layer"})
    pairs[["quantity", "quantity_other"]] = pairs[["quantity", "quantity_other"]].replace(words)
    pairs = pairs.rename(columns={"quantity": "measure", "quantity_other": "other measure",
                                  "rank_correlation": "rank correlation"})  # fmt: skip
    title = "Networks by each measure (rank 1: most human-like)"
    return [
        table_of(each, name="agreement-networks", title=title),
        table_of(pairs, name="agreement-measures", title="How far the measures’ ranks agree"),
    ]


def frames_of(dataset: xr.Dataset) -> list[tuple[tuple[str, ...], pd.DataFrame]]:
    """Return a result's variables as tables, those along the same dimensions together, without draws."""
    families: dict[tuple[str, ...], list[str]] = {}
    for name, variable in dataset.data_vars.items():
        dims = tuple(sorted(str(dim) for dim in variable.dims))
        if dims and "draw" not in dims and "shuffle" not in dims and variable.size <= 50 * _MOST_ROWS:
            families.setdefault(tuple(dim for dim in dims if dim not in ("bound", "limit")), []).append(str(name))
    frames = []
    for dims, names in families.items():
        if not dims:
            continue
        columns: dict[str, xr.DataArray] = {}
        for name in names:
            ends = next((dim for dim in ("bound", "limit") if dim in dataset[name].dims), None)
            if ends is None:
                columns[name] = dataset[name]
            else:
                columns |= {f"{name} {end}": dataset[name].sel({ends: end}, drop=True) for end in ("lower", "upper")}
        family = xr.Dataset(
            {name: column.drop_vars(["bound", "limit"], errors="ignore") for name, column in columns.items()}
        )
        frames.append((dims, family.to_dataframe().reset_index()))
    return frames


def table_of(frame: pd.DataFrame, *, name: str, title: str) -> Table:
    """Return a table ready to be shown."""
    note = f"The first {_MOST_ROWS} of {len(frame)} rows." if len(frame) > _MOST_ROWS else ""
    frame = frame.head(_MOST_ROWS)
    numeric = tuple(
        bool(pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name]))
        for name in frame
    )
    columns = tuple(str(column).replace("_", " ") for column in frame.columns)
    forms = [_form(frame[name], number) for name, number in zip(frame, numeric, strict=True)]
    rows = tuple(tuple(_cell(value, form) for value, form in zip(row, forms, strict=True))
                 for row in frame.itertuples(index=False, name=None))  # fmt: skip
    return Table(name, title, note, columns, numeric, rows)


def _title(name: str, dims: tuple[str, ...], dataset: xr.Dataset) -> str:
    """Return what a table holds, in words, and what a row of it is."""
    title = _TITLES.get(name, name.replace("_", " ").capitalize())
    if name.startswith(_GATE):
        title = f"Gate of {network_label(name.removeprefix(_GATE))}"
    if {"network", "baseline"} <= set(dataset.attrs) and name.startswith("contrast"):
        title = " minus ".join(network_label(str(dataset.attrs[end])) for end in ("network", "baseline"))
    return f"{title}, by {listed([_DIMS.get(dim, dim.replace('_', ' ')) for dim in dims])}"


def _form(column: pd.Series, number: bool) -> str:
    """Return how a column is written: all its numbers alike, so that they can be compared down the page."""
    if not number:
        return "text"
    words = str(column.name).replace("_", " ").split()
    if words and words[0] == "p":
        return "p"
    known = column[np.isfinite(column.astype(float))].astype(float)
    if (known == known.round()).all() and (known.abs() < 1e6).all():
        return "whole"
    return "small" if not known.empty and known.abs().max() < 0.01 else "number"


def _cell(value: object, form: str) -> Cell:
    if isinstance(value, bool | np.bool_):
        return Cell("yes" if value else "no", str(bool(value)))
    if form == "text":
        return Cell(str(value), str(value))
    if value is None or not np.isfinite(float(value)):  # type: ignore[arg-type] # the column is numeric
        return Cell("–", "")
    exact = float(value)  # type: ignore[arg-type] # the column is numeric
    if form == "p":
        return Cell(p_value(exact), repr(exact))
    short = f"{exact:{_FORMATS[form]}}".replace("-", "−") if form in _FORMATS else number(exact)
    return Cell(short, repr(exact))
