"""What figures share: axes of a size in mm, notes, legends, ticks, the order and pictures of stimuli, saving."""

import io
import logging
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.collections import Collection
from matplotlib.colors import to_rgba_array
from matplotlib.figure import Figure
from matplotlib.ft2font import FT2Font
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from PIL import Image, ImageOps

from rsa_face.figures.style import (
    MM_PER_INCH,
    POINTS_PER_INCH,
    QUIET,
    FigureStyle,
    in_order,
    network_label,
    usable_font,
)
from rsa_face.rdms.align import select_stimuli
from rsa_face.safety import write_beside
from rsa_face.schema import (
    MEASURES,
    OCCLUSIONS,
    OTHER_MEASURES,
    STIMULUS_I,
    STIMULUS_J,
    TRAINING_UNKNOWN,
    UNTRAINED,
    must_be_known,
    names_in,
    split_seed,
    stimulus_ids,
)
from rsa_face.stimuli.catalogue import open_picture

_SOURCE = "_rsa_face_source"
NOTE = "note"


def new_axes(*, width_mm: float, height_mm: float) -> Axes:
    """Return the axes of a new figure of a given size, laid out so that no label is cut off."""
    size = (width_mm / MM_PER_INCH, height_mm / MM_PER_INCH)
    return plt.figure(figsize=size, layout="constrained").add_subplot()


def blank_axes(*, width_mm: float, height_mm: float) -> Axes:
    """Return axes that fill a new figure of a given size: a sheet to lay panels out on."""
    figure = plt.figure(figsize=(width_mm / MM_PER_INCH, height_mm / MM_PER_INCH))
    ax: Axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    return ax


def sheet_mm(ax: Axes) -> tuple[float, float]:
    """Make axes a sheet whose units are mm from the upper left corner, and return how wide and high it is."""
    width, height = size_mm(ax)
    ax.set(xlim=(0, width), ylim=(height, 0))
    ax.set_axis_off()
    return width, height


def inset_mm(ax: Axes, left: float, top: float, width: float, height: float) -> Axes:
    """Return axes inside axes whose units are mm from the upper left corner."""
    wide, high = ax.get_xlim()[1], ax.get_ylim()[0]
    return ax.inset_axes((left / wide, 1 - (top + height) / high, width / wide, height / high))


def size_mm(ax: Axes) -> tuple[float, float]:
    """Return how wide and high axes are on paper, once their figure is laid out."""
    figure = root_of(ax)
    figure.draw_without_rendering()
    box = ax.get_window_extent()
    return box.width / figure.dpi * MM_PER_INCH, box.height / figure.dpi * MM_PER_INCH


def root_of(ax: Axes) -> Figure:
    """Return the whole figure that axes belong to."""
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)  # axes that are in no figure cannot be drawn on
    return figure


def points_mm(points: float) -> float:
    """Return a length in points in mm.

    Examples
    --------
    >>> round(points_mm(72), 1)
    25.4
    """
    return points * MM_PER_INCH / POINTS_PER_INCH


def untrained_in(attrs: Mapping[Any, Any]) -> list[str]:
    """Return the networks that an array's attrs call untrained."""
    return names_in(attrs, UNTRAINED)


def number(value: float, *, signed: bool = False, digits: int = 3) -> str:
    """Return a similarity or another quantity of its size as figures, report and command line write it.

    Examples
    --------
    >>> number(-0.04217), number(0.5, signed=True), number(0.5, digits=2)
    ('−0.042', '+0.500', '0.50')
    """
    if not np.isfinite(value):
        return "unknown" if np.isnan(value) else "unbounded"
    return f"{value:{'+' * signed}.{digits}f}".replace("-", "−")


def p_value(p: float) -> str:
    """Return a p value as it is read.

    Examples
    --------
    >>> p_value(0.0312), p_value(0.0002)
    ('0.031', '< 0.001')
    """
    return "< 0.001" if p < 0.001 else number(p)


def p_equals(p: float) -> str:
    """Return a p value with its name.

    Examples
    --------
    >>> p_equals(0.0312), p_equals(0.0002)
    ('p = 0.031', 'p < 0.001')
    """
    return f"p {p_value(p)}" if p < 0.001 else f"p = {p_value(p)}"


def percent(share: float) -> str:
    """Return a share as it is read.

    Examples
    --------
    >>> percent(0.957)
    '96%'
    """
    return f"{share:.0%}".replace("-", "−") if np.isfinite(share) else number(share)


def note_of(attrs: Mapping[Any, Any], networks: Iterable[str]) -> str:
    """Return what a reader must know about an array's origin, or nothing.

    Examples
    --------
    >>> note_of({"simulated": True, "untrained": ["vgg16"]}, ["alexnet", "vgg16"])
    'simulated observers; untrained weights: VGG16'
    >>> note_of({"training_unknown": ["mine"]}, ["alexnet", "mine"])
    'training unknown: mine'
    """
    parts = ["simulated observers"] if attrs.get("simulated") else []
    shown = in_order(networks)
    for words, key in (("untrained weights", UNTRAINED), ("training unknown", TRAINING_UNKNOWN)):
        those = [name for name in shown if name in names_in(attrs, key)]
        if those:
            everyone = len(those) == len(shown) > 2
            parts.append(f"{words}: {'all networks' if everyone else ', '.join(map(network_label, those))}")
    return "; ".join([*parts, *measures_noted(attrs, shown)])


def measures_noted(attrs: Mapping[Any, Any], networks: Iterable[str]) -> list[str]:
    """Return in words which layers of some networks have an RDM by another measure than most.

    Examples
    --------
    >>> measures_noted({"other_measures": ["alexnet/fc8: difference", "vgg16/fc8: difference"]}, ["alexnet", "vgg16"])
    ['fc8: difference of outputs']
    """
    shown = set(networks)
    layers: dict[str, list[str]] = {}
    for entry in names_in(attrs, OTHER_MEASURES):
        label, _, measure = entry.rpartition(": ")
        network, _, layer = label.rpartition("/")
        if network in shown:
            layers.setdefault(measure, []).append(layer)
    return [
        f"{', '.join(dict.fromkeys(names))}: {MEASURES[measure].label if measure in MEASURES else measure}"
        for measure, names in layers.items()
    ]


def words_of_occlusion(occlusion: str) -> str:
    """Return what is masked, in words.

    Examples
    --------
    >>> words_of_occlusion("none"), words_of_occlusion("eyes")
    ('whole face', 'eyes masked')
    """
    return "whole face" if occlusion == "none" else f"{printable(occlusion)} masked" if occlusion else ""


def beside_axes(ax: Axes, y: float, text: str, style: FigureStyle) -> None:
    """Write small text on the right of axes, at a height of theirs."""
    ax.annotate(text, (1, y), (0.6 * style.small_pt, 0), ("axes fraction", "data"), "offset points",
                fontsize=style.small_pt, color=QUIET, va="center", linespacing=1.05)  # fmt: skip


def add_note(ax: Axes, note: str, style: FigureStyle, *, pad: float = 0.5) -> None:
    """Write a note on the origin of the numbers at the upper right of axes, above their title where both are long."""
    if note:
        # letters are .52 of their type's size wide on the average: measuring each would lay the figure out again
        letters = int(size_mm(ax)[0] / (0.52 * points_mm(style.small_pt)))
        parts = [note] if len(note) <= letters else note.split("; ")
        lines = [line for part in parts for line in textwrap.wrap(part, max(letters, 20), break_on_hyphens=False)]
        head = 0.56 * points_mm(style.text_pt) * len(ax.get_title(loc="left"))
        crowded = head > 0 and bool(head + 0.58 * points_mm(style.small_pt) * max(map(len, lines)) > size_mm(ax)[0])
        lines += [""] * crowded  # beside the title, on whose line it would lie
        title = ax.set_title("\n".join(lines), loc="right", fontsize=style.small_pt,
                             linespacing=1.3 * style.text_pt / style.small_pt if crowded else 1.2,
                             color=QUIET, fontstyle="italic", pad=pad * style.small_pt, parse_math=False)  # fmt: skip
        title.set_gid(NOTE)


def hide_notes(ax: Axes) -> None:
    """Take the notes on the origin of the numbers off axes, where the figure around them says it once."""
    for text in ax.findobj(Text):
        if text.get_gid() == NOTE:
            text.set_visible(False)
            text.set_in_layout(False)


def note_on_sheet(ax: Axes, note: str, style: FigureStyle) -> None:
    """Write a note on the origin of the numbers at the upper right of a sheet of panels."""
    line = points_mm(style.small_pt)
    ax.text(ax.get_xlim()[1] - 0.5 * line, 0.9 * line, note, fontsize=style.small_pt, color=QUIET, fontstyle="italic",
            ha="right", va="center", parse_math=False)  # fmt: skip


def printable(text: object) -> str:
    """Return text with the characters the figure's font lacks replaced, so that drawing it never fails."""
    known = _characters(usable_font())
    return "".join(letter if ord(letter) in known else "▫" for letter in str(text) if letter.isprintable())


def keep_source(ax: Axes, table: pd.DataFrame, *, name: str, caption: str = "") -> None:
    """Keep the numbers that axes show with them, and how they are read, for `save_figure` to write beside them."""
    setattr(ax, _SOURCE, (name, table, caption))


def sources_of(figure: Figure) -> list[tuple[str, pd.DataFrame]]:
    """Return the numbers each panel of a figure shows."""
    return [getattr(ax, _SOURCE)[:2] for ax in figure.axes if hasattr(ax, _SOURCE)]


def captions_of(figure: Figure) -> list[str]:
    """Return how each panel of a figure is read."""
    return [getattr(ax, _SOURCE)[2] for ax in figure.axes if hasattr(ax, _SOURCE)]


@cache
def _characters(family: str) -> frozenset[int]:
    path = font_manager.findfont(font_manager.FontProperties(family=family))
    return frozenset(FT2Font(path).get_charmap())


_MOST_COLUMNS = 3


def legend_above(ax: Axes, marks: Sequence[Line2D], names: Sequence[str], style: FigureStyle) -> int:
    """Write a legend above axes; wider than they are, it would push them together."""
    wide = (0.58 * max(map(len, names)) + 3.0) * points_mm(style.small_pt)
    columns = int(np.clip((size_mm(ax)[0] - 4 * points_mm(style.text_pt)) // wide, 1, _MOST_COLUMNS))
    legend = ax.legend(marks, list(map(printable, names)), loc="lower left", bbox_to_anchor=(0, 1.0), ncols=columns,
                       borderaxespad=0.2, handlelength=1.6, columnspacing=1.0, fontsize=style.small_pt)  # fmt: skip
    for text in legend.get_texts():
        text.set_parse_math(False)
    return -(-len(names) // columns)


def name_of(group: Sequence[str]) -> str:
    """Return what networks that differ in their seed alone are called together.

    Examples
    --------
    >>> name_of(["vgg16/random/0", "vgg16/random/1"]), name_of(["vgg16"])
    ('VGG16 (random, 2 seeds)', 'VGG16')
    """
    if len(group) == 1:
        return network_label(group[0])
    return added(network_label(split_seed(group[0])[0]), f"{len(group)} seeds")


def added(label: str, note: str) -> str:
    """Return a label with a note in the brackets that it has, or in new ones.

    Examples
    --------
    >>> added("VGG16", "no PSE"), added("VGG16 (random)", "no PSE")
    ('VGG16 (no PSE)', 'VGG16 (random, no PSE)')
    """
    return f"{label[:-1]}, {note})" if label.endswith(")") else f"{label} ({note})"


_SHORT_LABEL = 16
_NAMED_FIRST = ("fe",)


def short_layers(names: Sequence[str]) -> list[str]:
    """Return layer names for an axis: of a long path, the end that no other layer there has, behind an ellipsis.

    Examples
    --------
    >>> short_layers(["encoder.layers.encoder_layer_0", "encoder.layers.encoder_layer_1", "heads.head"])
    ['…encoder_layer_0', '…encoder_layer_1', 'heads.head']
    """
    distinct = set(names)
    shorter = {}
    for name in distinct:
        parts = name.split(".")
        ends = [".".join(parts[place:]) for place in range(len(parts) - 1, 0, -1)] if len(name) > _SHORT_LABEL else []
        alone = (end for end in ends if not any(f".{other}".endswith(f".{end}") for other in distinct - {name}))
        end = next(alone, name)
        shorter[name] = name if end == name else f"…{end}"
    return [shorter[name] for name in names]


def name_layers_below(ax: Axes, places: np.ndarray, names: Sequence[str], style: FigureStyle) -> None:
    """Write layer names upright under an axis, so that none touches another.

    They are written small where that lets all of them stand, and else as many as fit are written; every layer keeps
    its mark in the figure. Of long paths only the end is written.
    """
    low, high = ax.get_xlim()
    fitting, size = _that_fit(places, size_mm(ax)[0] / (high - low), style, [name in _NAMED_FIRST for name in names])
    texts = [printable(name) for name, shown in zip(short_layers(names), fitting, strict=True) if shown]
    ax.set_xticks(places[fitting], texts, rotation=90, fontsize=size, parse_math=False)
    ax.tick_params(axis="x", length=0.2 * style.small_pt, pad=0.25 * style.small_pt)


def _that_fit(
    places: np.ndarray, mm_per_unit: float, style: FigureStyle, sought: Sequence[bool]
) -> tuple[np.ndarray, float]:
    # upright names are as wide as their type is high; 1.12 of it keeps neighbours apart
    room = np.diff(places).min() * mm_per_unit if len(places) > 1 else np.inf
    for size in (style.small_pt, (style.small_pt + style.least_pt) / 2, style.least_pt):
        if room >= 1.12 * points_mm(size):
            return np.ones(len(places), dtype=bool), size
    fitting, least = np.zeros(len(places), dtype=bool), 1.12 * points_mm(style.least_pt) / mm_per_unit
    steps = np.diff(places)
    # each network is thinned by itself: a gap wider than a step parts it from the next
    for run in np.split(np.arange(len(places)), np.flatnonzero(steps > 1.5 * steps.min()) + 1):
        # a network's last layer is named whatever else is, then the block that the study is about
        for place in [run[-1], *(place for place in run if sought[place]), *run[:-1]]:
            fitting[place] |= np.abs(places[fitting] - places[place]).min(initial=np.inf) >= least
    return fitting, style.least_pt


def name_values(ax: Axes, text: str, style: FigureStyle) -> None:
    """Write what the vertical axis measures, smaller and on more lines where it would be longer than the axis.

    What is longer even so begins at the top of the axis and ends below it, beside the names of the layers.
    """
    letters = size_mm(ax)[1] / (0.52 * points_mm(1))  # of one point
    size = min(max(letters / max(map(len, text.split("\n"))), style.small_pt), style.text_pt)
    phrase = re.sub(r"\([^)]*\)", lambda unit: unit.group().replace(" ", "\N{NO-BREAK SPACE}"), text)
    most = max(int(1.05 * letters / size), _SHORT_LABEL)
    lines = [part for line in phrase.split("\n") for part in textwrap.wrap(line, most, break_on_hyphens=False)]
    fits = max(map(len, lines)) <= letters / size
    ax.set_ylabel("\n".join(lines), fontsize=size, parse_math=False, loc="center" if fits else "top")


def mark_significant(ax: Axes, x: np.ndarray, passed: np.ndarray, y: float, color: str, style: FigureStyle) -> None:
    """Draw a row of marks: a square where a test passed, a dot where it did not."""
    size = (0.55 * style.small_pt) ** 2
    ax.scatter(x[passed], np.full(passed.sum(), y), s=size, color=color, marker="s", linewidth=0, zorder=3)
    ax.scatter(x[~passed], np.full((~passed).sum(), y), s=0.12 * size, color="#B5B5B5", linewidth=0, zorder=3)


_USUAL = ("occlusion", "identity", "level")


@dataclass(frozen=True)
class Group:
    """Neighbouring stimuli that share a factor's value."""

    label: str
    start: int  # the first stimulus
    stop: int  # the one after the last


def sort_stimuli(rdms: xr.DataArray, by: Sequence[str] | None = None) -> tuple[xr.DataArray, list[str]]:
    """Return RDMs with their stimuli sorted by factors, and the factors."""
    factors = factors_of(rdms)
    for name in by or ():
        must_be_known(name, factors, "factor of these stimuli")
    chosen = list(by) if by is not None else [name for name in _USUAL if name in factors and _varies(rdms, name)]
    if not chosen:
        return rdms, []
    keys = [_sortable(rdms[name].values) for name in chosen]
    order = np.lexsort(keys[::-1])
    return rdms.isel({STIMULUS_I: order, STIMULUS_J: order}), chosen


def factors_of(rdms: xr.DataArray) -> list[str]:
    """Return the factors that RDMs carry of their stimuli."""
    return sorted(
        str(name) for name, values in rdms.coords.items() if values.dims == (STIMULUS_I,) and name != STIMULUS_I
    )


def same_stimuli(human: xr.DataArray, rdms: xr.DataArray) -> xr.DataArray:
    """Return one array of RDMs in the stimulus order of another."""
    lacking = sorted(set(stimulus_ids(rdms)) - set(stimulus_ids(human)))
    if lacking:
        message = (
            f"Human RDMs lack {len(lacking)} stimuli of the layer RDMs: {lacking[:8]}. Select the shared stimuli "
            "first, with `shared_stimuli`."
        )
        raise ValueError(message)
    return select_stimuli(human, stimulus_ids(rdms))


def judged_stimuli(human: xr.DataArray, rdms: xr.DataArray) -> list[str]:
    """Return the stimuli of layer RDMs that people judged too.

    Networks are often shown more than people: masked faces beside whole ones.
    """
    judged = set(stimulus_ids(human))
    return [name for name in stimulus_ids(rdms) if name in judged]


def groups_along(values: Sequence[object]) -> list[Group]:
    """Return the runs of equal values.

    Examples
    --------
    >>> groups_along(["a", "a", "b"])
    [Group(label='a', start=0, stop=2), Group(label='b', start=2, stop=3)]
    """
    texts = [f"{value:.3g}" if isinstance(value, float | np.floating) else str(value) for value in values]
    edges = [place for place in range(len(texts)) if place == 0 or texts[place] != texts[place - 1]]
    return [Group(texts[a], a, b) for a, b in zip(edges, [*edges[1:], len(texts)], strict=True)]


def _varies(rdms: xr.DataArray, name: str) -> bool:
    return len(set(map(str, rdms[name].values))) > 1


def _sortable(values: np.ndarray) -> np.ndarray:
    try:
        return np.asarray(values, dtype=float)
    except ValueError:
        texts = values.astype(str)
        if set(texts.tolist()) <= set(OCCLUSIONS):
            return np.array([OCCLUSIONS.index(text) for text in texts.tolist()], dtype=float)
        return texts


_log = logging.getLogger(__name__)


def thumbnail(file: str | Path, *, pixels: int = 96) -> np.ndarray:
    """Read an image at a small size.

    A figure should not fail for one picture: where a file cannot be read, the log names it and a gray square stands
    in its place.
    """
    try:
        with open_picture(file) as opened:
            opened.draft("RGB", (2 * pixels, 2 * pixels))
            image = _eight_bits(ImageOps.exif_transpose(opened))
            image.thumbnail((pixels, pixels), Image.Resampling.LANCZOS)
            return np.asarray(_on_gray(image))
    except (OSError, ValueError) as error:
        _log.warning("No thumbnail of %s: %s", file, error)
        return np.full((pixels, pixels, 3), 200, dtype=np.uint8)


def _eight_bits(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I") or image.mode == "F":
        values = np.asarray(image, dtype=float)
        top = 65535.0 if values.max() > 255 else 255.0
        return Image.fromarray((np.clip(values / top, 0, 1) * 255).astype(np.uint8))
    return image


def _on_gray(image: Image.Image) -> Image.Image:
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        back = Image.new("RGBA", image.size, (128, 128, 128, 255))
        image = Image.alpha_composite(back, image.convert("RGBA"))
    return image.convert("RGB")


FORMATS = ("pdf", "svg", "png", "tiff", "eps")
_REAL_TEXT: dict[Any, Any] = {"pdf.fonttype": 42, "svg.fonttype": "none", "svg.hashsalt": "rsa_face"}
_DATELESS: dict[str, dict[str, Any]] = {
    "pdf": {"CreationDate": None, "Creator": "rsa_face", "Producer": "matplotlib"},
    "svg": {"Date": None, "Creator": "rsa_face"},
    "png": {"Software": "rsa_face"},
}
_ABOUT = {"pdf": "Subject", "svg": "Description", "png": "Description"}
_EPS_DATE = re.compile(rb"^%%CreationDate:.*\n", re.MULTILINE)


def save_figure(
    figure: Figure, stem: str | Path, *, formats: Sequence[str] = ("pdf", "png"), dpi: int = 300, about: str = ""
) -> list[Path]:
    """Write a figure, a CSV file of the numbers each of its panels shows, and a text with its caption.

    The figure keeps its size in mm: nothing is cropped. Text stays text, and no date is written, so the same figure
    gives the same file. Each file is written beside its place and moved in. TIFF is RGB without transparency, packed
    by LZW, as PLOS asks; EPS knows no transparency, so that pale colours are mixed with white there.

    Parameters
    ----------
    figure : Figure
        Not changed.
    stem : str or Path
        Path without an ending: ``figures/layers``. The folder is made if need be.
    formats : sequence of {"pdf", "svg", "png", "tiff", "eps"}
        The images to write.
    dpi : int
        Dots an inch, of PNG and TIFF and of pictures within PDF, SVG and EPS.
    about : str
        What the figure was drawn from, kept within the images.

    Returns
    -------
    list of Path
        The files written: images, then tables (``layers.csv``, or ``study-a-layers.csv`` where there are several
        panels), then the caption (``layers.txt``).

    Raises
    ------
    ValueError
        If a format is unknown.

    Examples
    --------
    >>> import tempfile
    >>> figure = plt.figure()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     [file.name for file in save_figure(figure, f"{folder}/empty")]
    ['empty.pdf', 'empty.png']
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
    captions = [caption for caption in captions_of(figure) if caption]
    if len(captions) > 1:
        captions = [f"({_letter(place)}) {caption}" for place, caption in enumerate(captions)]
    if captions:
        path = stem.with_name(f"{stem.name}.txt")
        with write_beside(path) as beside:
            beside.write_text(" ".join(captions) + "\n", encoding="utf-8")
        written.append(path)
    return written


def _write_image(figure: Figure, path: Path, kind: str, dpi: int, about: str) -> Path:
    origin = {_ABOUT[kind]: about} if about and kind in _ABOUT else {}
    content = io.BytesIO()  # in memory: of a full disk, matplotlib's PDF writer says nothing that helps
    with mpl.rc_context(_REAL_TEXT):
        if kind == "tiff":
            picture = io.BytesIO()
            figure.savefig(picture, dpi=dpi, format="png")
            described = {"description": about} if about else {}
            image = Image.open(picture).convert("RGB")
            image.save(content, "TIFF", compression="tiff_lzw", dpi=(dpi, dpi), **described)
        elif kind == "eps":
            with _mixed_with_white(figure):
                figure.savefig(content, dpi=dpi, format=kind, metadata={"Creator": "rsa_face"})
            content = io.BytesIO(_EPS_DATE.sub(b"", content.getvalue(), count=1))
        else:
            figure.savefig(content, dpi=dpi, format=kind, metadata={**_DATELESS[kind], **origin})
    with write_beside(path) as beside:
        beside.write_bytes(content.getbuffer())
    return path


@contextmanager
def _mixed_with_white(figure: Figure) -> Iterator[None]:
    """Draw what lets others shine through in the colour that it has on white paper, and then as before."""
    before: list[tuple[Any, dict[str, Any]]] = []
    for artist in figure.findobj(lambda one: isinstance(one, Patch | Collection | Line2D)):
        alpha = artist.get_alpha()
        amount = 1.0 if alpha is None else float(alpha)
        parts = ("color",) if isinstance(artist, Line2D) else ("facecolor", "edgecolor")
        colors = {part: np.atleast_2d(to_rgba_array(getattr(artist, f"get_{part}")())) for part in parts}
        if amount == 1.0 and all((one[:, 3] % 1 == 0).all() for one in colors.values()):
            continue
        before.append((artist, {"alpha": alpha, **{part: one.copy() for part, one in colors.items()}}))
        for part, rgba in colors.items():
            share = amount if isinstance(artist, Line2D) else rgba[:, 3:]
            mixed = np.where(rgba[:, 3:] > 0, 1 - (1 - rgba[:, :3]) * share, rgba[:, :3])
            opaque = np.hstack([mixed, (rgba[:, 3:] > 0).astype(float)])
            artist.set_alpha(None)
            getattr(artist, f"set_{part}")(opaque if isinstance(artist, Collection) else opaque[0])
    try:
        yield
    finally:
        for artist, look in before:
            for part, rgba in look.items():
                if part != "alpha":
                    getattr(artist, f"set_{part}")(rgba if isinstance(artist, Collection) else rgba[0])
            artist.set_alpha(look["alpha"])


def _letter(place: int) -> str:
    return chr(ord("a") + place) if place < 26 else f"z{place}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9_]+", "-", name).strip("-") or "panel"
