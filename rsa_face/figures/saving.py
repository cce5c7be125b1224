"""Files of a figure: vector and pixel images with real text, and the numbers of every panel beside them."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from rsa_face.figures.canvas import sources_of
from rsa_face.files import write_beside
from rsa_face.schema import must_be_known

FORMATS = ("pdf", "svg", "png")
_REAL_TEXT: dict[Any, Any] = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "rsa_face"}
_DATELESS: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": "rsa_face", "Producer": "matplotlib"},
    "svg": {"Date": None, "Creator": "rsa_face"},
    "png": {"Software": "rsa_face"},
}
_ABOUT = {"pdf": "Subject", "svg": "Description", "png": "Description"}


def save_figure(
    figure: Figure, stem: str | Path, *, formats: Sequence[str] = ("pdf", "png"), dpi: int = 300, about: str = ""
) -> list[Path]:
    """Write a figure, and a CSV file of the numbers each of its panels shows.

    The figure keeps its size in mm: nothing is cropped. Text stays text, and no date is written, so the same figure
    gives the same file. Each file is written beside its place and moved in.

    Parameters
    ----------
    figure : Figure
        Not changed.
    stem : str or Path
        Path without an ending: ``figures/layers``. The folder is made if need be.
    formats : sequence of {"pdf", "svg", "png"}
        The images to write.
    dpi : int
        Dots an inch, of PNG and of pictures within PDF and SVG.
    about : str
        What the figure was drawn from, kept within the images.

    Returns
    -------
    list of Path
        The files written: images, then tables (``layers.csv``, or ``study-a-layers.csv`` where there are several
        panels).

    Raises
    ------
    ValueError
        If a format is unknown.
    """
    for name in formats:
        must_be_known(name, FORMATS, "image format")
    stem = Path(stem)
    written = [_write_image(figure, stem.with_name(f"{stem.name}.{name}"), name, dpi, about) for name in formats]
    sources = sources_of(figure)
    for place, (name, table) in enumerate(sources):
        suffix = "" if len(sources) == 1 else f"-{_letter(place)}-{_plain(name)}"
        path = stem.with_name(f"{stem.name}{suffix}.csv")
        with write_beside(path) as beside:
            table.to_csv(beside, index=False, lineterminator="\n")
        written.append(path)
    return written


def _write_image(figure: Figure, path: Path, kind: str, dpi: int, about: str) -> Path:
    said = {_ABOUT[kind]: about} if about else {}
    with mpl.rc_context(_REAL_TEXT), write_beside(path) as beside:
        figure.savefig(beside, dpi=dpi, format=kind, metadata={**_DATELESS[kind], **said})
    return path


def _letter(place: int) -> str:
    return chr(ord("a") + place) if place < 26 else f"z{place}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-") or "panel"
