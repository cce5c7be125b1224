"""The finished study as one HTML file: it opens anywhere, offline, and asks nothing of the network."""

import json
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from rsa_face.figures.palette import RDM_COLORS, network_label
from rsa_face.files import write_beside
from rsa_face.report.behaviour import curve_chart, layer_saliency_chart, region_chart
from rsa_face.report.charts import Chart, contrast_chart, layer_chart, localization_chart, palettes
from rsa_face.report.explorer import Explorer, explorer_of
from rsa_face.report.methods import methods_of
from rsa_face.report.narrate import answer_of, listed
from rsa_face.report.tables import agreement_tables, tables_of
from rsa_face.schema import NETWORK
from rsa_face.study.folder import StudyFolder, read_results

_MOST_MANIFEST = 200_000
_SHORT = {
    "layers": "Layers",
    "localization": "Where",
    "contrast": "Contrast",
    "psychometric": "Choices",
    "saliency": "Saliency",
}


def write_report(results: str | Path, *, out: str | Path | None = None) -> Path:
    """Write a study's report as one self-contained HTML file.

    What the folder does not hold is named at the top, and the rest is shown. Text from files is escaped wherever it
    appears, and the page forbids itself every request.

    Parameters
    ----------
    results : str or Path
        A study's output folder.
    out : str or Path, optional
        The file to write; ``report.html`` in the folder if None.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    FileNotFoundError
        If there is no such folder, or nothing in it to report.
    """
    study = read_results(results)
    path = Path(out) if out is not None else study.path / "report.html"
    page = render_page(study)
    with write_beside(path) as beside:
        beside.write_text(page, encoding="utf-8")
    return path


def render_page(study: StudyFolder) -> str:
    """Return a study's report as HTML.

    Parameters
    ----------
    study : StudyFolder
        What its folder holds.

    Returns
    -------
    str
        A whole page, with its style, its scripts and its pictures.
    """
    charts = _charts(study)
    explorer = explorer_of(study)
    tables, left_out = tables_of(study)
    content = {
        "charts": [
            [{"label": view.label, "traces": view.traces, "layout": view.layout} for view in chart.views]
            for chart in charts
        ],
        "explorer": explorer.content if explorer else None,
        "palettes": palettes(_networks(study)),
        "ramp": _ramp(),
    }
    agreement = agreement_tables(study)
    has = {"agreement": bool(agreement), "tables": bool(tables), "manifest": bool(study.manifest)}
    sections = _sections(charts, explorer, **has)
    page: str = _template().render(
        name=study.name,
        simulated=study.simulated,
        untrained=listed([network_label(name) for name in study.untrained], most=12),
        answer=answer_of(study),
        sections=sections,
        missing=study.missing,
        charts=charts,
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
    found: list[Chart | None] = [layer_chart(study.result) if study.result is not None else None]
    where = extras.get("localization")
    if where is not None and "target" in where.dims:
        found.append(localization_chart(where))
    contrasts = {name: part for name, part in extras.items() if name.startswith("contrast") and "difference" in part}
    found.append(contrast_chart(contrasts) if contrasts else None)
    found.append(curve_chart(extras.get("psychometric"), extras.get("psychometric_networks")))
    if "saliency_layers" in extras:
        found.append(layer_saliency_chart(extras["saliency_layers"]))
    elif "saliency" in extras:
        found.append(region_chart(extras["saliency"]))
    return [chart for chart in found if chart is not None]


def _networks(study: StudyFolder) -> list[str]:
    parts = [part for part in (study.result, study.rdms) if part is not None]
    return sorted({str(name) for part in parts for name in part[NETWORK].values})


def _sections(
    charts: list[Chart], explorer: Explorer | None, *, agreement: bool, tables: bool, manifest: bool
) -> list[tuple[str, str]]:
    sections = [("answer", "Answer"), *((chart.id, _SHORT.get(chart.id, chart.title)) for chart in charts)]
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
