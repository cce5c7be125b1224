"""Stimuli as points of a plane or of space, with their pictures."""

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from mpl_toolkits.mplot3d import Axes3D, proj3d

from rsa_face.figures.captions import caption_of_points
from rsa_face.figures.layout import add_note, keep_source, note_of, points_mm, printable, root_of, size_mm, thumbnail
from rsa_face.figures.style import MM_PER_INCH, POINTS_PER_INCH, QUIET, FigureStyle, drawing, network_label
from rsa_face.schema import STIMULUS, must_be_known, must_hold
from rsa_face.stimuli.catalogue import StimulusSet

_AXIS = "axis"
_SHADES = "coolwarm"
_MOST_PICTURES = 120


def plot_mds(
    points: xr.DataArray,
    *,
    ax: Axes | None = None,
    stimuli: StimulusSet | None = None,
    along: str | None = "level",
    within: Sequence[str] = ("identity", "occlusion"),
    title: str | None = None,
) -> Axes:
    """Draw stimuli as points of a plane or of space, with the stress that says how much the picture gets wrong.

    Pictures stand beside their points, on a thin line, where they hide neither a point nor another picture; one that
    finds no such place is left to its dot. Stimuli that share `within` are joined in the order of `along`.

    Parameters
    ----------
    points : DataArray, dims (stimulus, axis)
        Two or three coordinates a stimulus, as `embed_rdm` returns them. Not changed.
    ax : Axes, optional
        Where to draw, of the 3D kind for three coordinates; a new figure if None.
    stimuli : StimulusSet, optional
        Pictures.
    along : str, optional
        The factor that colours the points, blue to red, and orders the ways; left out where the points lack it.
    within : sequence of str
        Factors whose values a way keeps.
    title : str, optional
        What is above; the RDM's name if None.

    Returns
    -------
    Axes
        The axes drawn on.

    Raises
    ------
    ValueError
        If the points have other than two or three coordinates, or `ax` is not of their kind.

    Examples
    --------
    >>> import rsa_face as rf
    >>> points = rf.embed_rdm(rf.example("demo").human[0], starts=0)
    >>> plot_mds(points, title="One participant").get_title(loc="left")
    'One participant'
    """
    must_hold(points, (_AXIS,), "What `embed_rdm` returned")
    dims = points.sizes[_AXIS]
    must_be_known(str(dims), ("2", "3"), "number of dimensions")
    with drawing(ax) as style:
        if ax is None:
            kind: dict[str, Any] = {"projection": "3d"} if dims == 3 else {}
            ax = plt.figure(figsize=_size_of_points(points.values, style), layout="constrained").add_subplot(**kind)
        if (dims == 3) != isinstance(ax, Axes3D):
            message = f"The axes are not of {dims} dimensions, as the points are. Leave ax out."
            raise ValueError(message)
        values = np.asarray(points.values, dtype=float)
        ordered = along if along in points.coords else None
        for way in _ways(points, ordered, within):
            ax.plot(*values[way].T, color="#B5B5B5", linewidth=0.7 * style.line_pt, zorder=1)
        look: dict[str, Any] = {"c": _shades_of(points, ordered), "s": (0.5 * style.small_pt) ** 2, "zorder": 2}
        look |= {"edgecolor": "white", "linewidth": 0.3 * style.line_pt}
        ax.scatter(*values.T, **(look | {"depthshade": False} if dims == 3 else look))
        _bare(ax, values)
        stress = f"stress {points.attrs['stress']:.2f}" if "stress" in points.attrs else ""
        notes = [", ".join(text for text in (str(points.attrs.get("kind", "")), stress) if text)]
        notes += _colors_in_words(points, ordered)
        ax.annotate("\n".join(notes), (0, 0), (0, -0.4 * style.small_pt), "axes fraction", "offset points", va="top",
                    fontsize=style.small_pt, color=QUIET, parse_math=False)  # fmt: skip
        network, _, layer = str(points.attrs.get("rdm", "")).rpartition("/")
        named = f"{network_label(network)} {layer}" if network else layer
        ax.set_title(
            printable(named if title is None else title), loc="left", fontsize=style.text_pt, parse_math=False
        )
        add_note(ax, note_of(points.attrs, [network]), style, pad=0.8)
        if stimuli is not None:  # last: what stands around the axes makes them smaller
            _draw_faces(ax, values, _files_of(points, stimuli), style)
        caption = caption_of_points(points, colors=_colors_in_words(points, ordered))
        keep_source(ax, _table(points), name="mds", caption=caption)
    return ax


def place_pictures(points: np.ndarray, side: float, room: tuple[float, float]) -> list[tuple[float, float] | None]:
    """Find a place for each picture near its point, so that it hides no point and no other picture."""
    turns = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    offsets = [r * side * np.array([np.cos(t), np.sin(t)]) for r in (0.75, 1.0, 1.5, 2.0, 2.6, 3.2) for t in turns]
    # pictures of stimuli with the most room around them are placed first: crowded ones then give way
    crowd = np.linalg.norm(points[:, None] - points[None], axis=-1)
    first = np.argsort(np.sort(crowd, axis=1)[:, min(3, len(points) - 1)], kind="stable")[::-1]
    occupied: list[np.ndarray] = []
    places: list[tuple[float, float] | None] = [None] * len(points)
    for index in first:
        near = (points[index] + offset for offset in offsets)
        clear = (middle for middle in near if np.abs(points - middle).max(axis=1).min() > 0.6 * side)
        middle = next((middle for middle in clear if _is_free(middle, occupied, side, room)), None)
        if middle is not None:
            occupied.append(middle)
            places[index] = (float(middle[0]), float(middle[1]))
    return places


def _is_free(middle: np.ndarray, occupied: Sequence[np.ndarray], side: float, room: tuple[float, float]) -> bool:
    inside = np.all(middle >= 0.55 * side) and np.all(middle <= np.array(room) - 0.55 * side)
    return bool(inside and all(np.abs(middle - other).max() >= 1.05 * side for other in occupied))


def _ways(points: xr.DataArray, along: str | None, within: Sequence[str]) -> list[np.ndarray]:
    if along is None:
        return []
    level = np.asarray(points[along].values, dtype=float)
    factors = [name for name in within if name in points.coords]
    keys = ["\0".join(str(points[name].values[i]) for name in factors) for i in range(len(level))]
    ways = []
    for key in dict.fromkeys(keys):
        members = np.flatnonzero(np.array(keys) == key)
        members = members[np.argsort(level[members], kind="stable")]
        if len(np.unique(level[members])) == len(members) > 1:
            ways.append(members)
    return ways


def _shades_of(points: xr.DataArray, along: str | None) -> Any:
    if along is None:
        return "#3A3A3A"
    level = np.asarray(points[along].values, dtype=float)
    reach = np.nanmax(np.abs(level)) or 1.0
    return (
        mpl.colormaps[_SHADES](0.5 + 0.5 * level / reach)
        if level.min() < 0
        else mpl.colormaps[_SHADES](level / reach)
    )


def _colors_in_words(points: xr.DataArray, along: str | None) -> list[str]:
    """Return what the colours mean; nothing where all points have one."""
    if along is None:
        return []
    level = np.asarray(points[along].values, dtype=float)
    low, high = (f"{end:+g}".replace("-", "\N{MINUS SIGN}") for end in (np.nanmin(level), np.nanmax(level)))
    return [f"{printable(along)}: {'blue' if level.min() < 0 else 'pale'} {low} to red {high}"]


def _size_of_points(values: np.ndarray, style: FigureStyle) -> tuple[float, float]:
    """Return a column's width, and the height the points need beside it, in inches."""
    wide = style.single_mm / MM_PER_INCH
    if values.shape[1] == 3:
        return wide, 0.78 * wide
    tall = wide * float(np.ptp(values[:, 1]) / (np.ptp(values[:, 0]) or 1.0))
    return wide, float(np.clip(1.25 * tall, 0.6 * wide, wide))


def _bare(ax: Axes, values: np.ndarray) -> None:
    if isinstance(ax, Axes3D):
        sides = np.ptp(values, axis=0)
        ax.set_box_aspect(np.maximum(sides, 0.35 * sides.max()) + 1e-9, zoom=1.2)
        ax.grid(visible=False)
        ax.set(xticks=[], yticks=[], zticks=[])  # what an axis means is for nobody to say
        return
    ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.12)
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(visible=True, color="#C8C8C8")


def _files_of(points: xr.DataArray, stimuli: StimulusSet) -> list[Any]:
    files = dict(zip(stimuli.ids, stimuli.files, strict=True))
    return [files.get(str(name)) for name in points[STIMULUS].values]


def _draw_faces(ax: Axes, values: np.ndarray, files: Sequence[Any], style: FigureStyle) -> None:
    width, height = size_mm(ax)
    box = ax.get_window_extent()
    flat = values
    if isinstance(ax, Axes3D):
        x, y, _ = proj3d.proj_transform(*values.T, ax.get_proj())
        flat = np.stack([x, y], axis=1)
    dots = (ax.transData.transform(flat) - [box.x0, box.y0]) / root_of(ax).dpi * MM_PER_INCH
    # about a third of the room that each would have on a grid, so that most find a place; never too small to be seen
    side = float(np.clip(0.36 * np.sqrt(width * height / len(values)), 1.6 * points_mm(style.text_pt), 0.12 * width))
    places = place_pictures(dots, side, (width, height))
    for index in np.linspace(0, len(values) - 1, min(len(values), _MOST_PICTURES)).round().astype(int):
        place, file = places[index], files[index]
        if place is None or file is None:
            continue
        picture = thumbnail(file, pixels=128)
        zoom = side / MM_PER_INCH * POINTS_PER_INCH / max(picture.shape[:2])
        middle = (place[0] / width, place[1] / height)
        if float(np.hypot(*(np.array(place) - dots[index]))) > 0.8 * side:  # else it touches its point
            line = {"arrowstyle": "-", "color": QUIET, "linewidth": 0.4 * style.line_pt, "shrinkA": 0, "shrinkB": 0}
            ax.annotate("", tuple(flat[index]), middle, xycoords="data", textcoords="axes fraction", zorder=2.9,
                        arrowprops=line)  # fmt: skip
        ax.add_artist(AnnotationBbox(OffsetImage(picture, zoom=zoom), middle, xycoords="axes fraction",
                                     frameon=False, pad=0, zorder=3))  # fmt: skip


def _table(points: xr.DataArray) -> pd.DataFrame:
    columns = {str(name): part.values for name, part in points.coords.items() if part.dims == (STIMULUS,)}
    return pd.DataFrame(columns | {f"axis_{n + 1}": points.values[:, n] for n in range(points.sizes[_AXIS])})
