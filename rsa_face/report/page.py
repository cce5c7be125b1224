"""The finished study as one HTML file: it opens anywhere, offline, and asks nothing of the network."""

import json
from dataclasses import dataclass
from importlib import metadata
from importlib.resources import files
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from jinja2 import Environment, StrictUndefined
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from rsa_face.figures.folder import StudyFolder, read_results
from rsa_face.figures.palette import RDM_COLORS, network_label
from rsa_face.provenance import write_beside
from rsa_face.report.answer import answer_of, listed
from rsa_face.report.charts import curve_charts, layer_chart, palettes, region_charts
from rsa_face.report.explorer import Explorer, explorer_of
from rsa_face.report.methods import methods_of
from rsa_face.report.tables import tables_of
from rsa_face.schema import NETWORK

_MOST_MANIFEST = 200_000


@dataclass(frozen=True)
class Chart:
    """A chart and the words around it.

    Parameters
    ----------
    id, title, hint, label : str
        Anchor, heading, how to read it, and what a screen reader says.
    least_width, height : int
        In pixels; a narrower page scrolls sideways.
    """

    id: str
    title: str
    hint: str
    label: str
    least_width: int
    height: int


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
    explorer, tables = explorer_of(study), tables_of(study)
    content = {
        "charts": [{"traces": chart["traces"], "layout": chart["layout"]} for _, chart in charts],
        "explorer": explorer.content if explorer else None,
        "palettes": palettes(_networks(study)),
        "ramp": _ramp(),
    }
    sections = _sections(
        [words for words, _ in charts], explorer, has_tables=bool(tables), manifest=bool(study.manifest)
    )
    page: str = _template().render(
        name=study.name,
        simulated=study.simulated,
        untrained=listed([network_label(name) for name in study.untrained], most=12),
        answer=answer_of(study),
        sections=sections,
        missing=study.missing,
        charts=[words for words, _ in charts],
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


def _charts(study: StudyFolder) -> list[tuple[Chart, dict[str, Any]]]:
    found: list[tuple[Chart, dict[str, Any]]] = []
    if study.result is not None:
        hint = "Point at a layer for its similarity, interval and number of participants. Bands are intervals."
        found.append(_chart("layers", "Similarity of each layer to people", hint, layer_chart(study.result)))
    for name, dataset in study.extras.items():
        curves = curve_charts(dataset) if name.startswith("psychometric") else None
        if curves is not None:
            hint = "Share of happy choices along the morph, people and networks."
            found.append(_chart(name, "Psychometric curves", hint, curves))
        regions = region_charts(dataset) if name.startswith("saliency") else None
        if regions is not None:
            title = "Saliency by layer" if name == "saliency_layers" else "Saliency by region"
            found.append(_chart(name, title, "Share of saliency in each region of the face.", regions))
    return found


def _chart(name: str, title: str, hint: str, chart: dict[str, Any]) -> tuple[Chart, dict[str, Any]]:
    words = Chart(name, title, hint, chart["label"], chart["least_width"], chart["layout"]["height"])
    return words, chart


def _networks(study: StudyFolder) -> list[str]:
    parts = [part for part in (study.result, study.rdms) if part is not None]
    return sorted({str(name) for part in parts for name in part[NETWORK].values})


def _sections(
    charts: list[Chart], explorer: Explorer | None, *, has_tables: bool, manifest: bool
) -> list[tuple[str, str]]:
    short = {"layers": "Layers", "psychometric": "Psychometric", "saliency": "Saliency"}
    sections = [("answer", "Answer"), *((chart.id, short.get(chart.id, chart.title)) for chart in charts)]
    if explorer is not None:
        sections += [("rdms", "RDMs"), *([("embeddings", "Faces")] if explorer.content["embeddings"] else [])]
    sections += [("tables", "Tables")] if has_tables else []
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
