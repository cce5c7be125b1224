"""A multiverse: what was found in each of many analyses, in order, above the choices that each of them made."""

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from rsa_face.figures.captions import simple_caption
from rsa_face.figures.layout import (
    add_note,
    keep_source,
    name_values,
    new_axes,
    note_of,
    points_mm,
    printable,
    root_of,
)
from rsa_face.figures.style import QUIET, FigureStyle, drawing, network_colors, network_label
from rsa_face.schema import BOUND, must_be_known, must_hold, table_along

_UNIVERSE = "universe"
CHOICES = {"measure": "measure", "comparison": "comparison", "layers": "layers", "controls": "controls",
            "exclusion": "left out"}  # fmt: skip
ANSWERS = ("peak_depth", "difference", "half_way_depth")


def plot_multiverse(multiverse: xr.Dataset, *, sort: str = "difference") -> Axes:
    """Draw a multiverse as a specification curve: three answers in each analysis, above the choices it made.

    From above: the depth of the layer most like people with the depths that are not ruled out, the similarity of the
    network minus its baseline, and the half-way depth, with their intervals. A column is an analysis, and squares
    below are its choices. The study's own stands on a band of colour. Analyses that could not be made are counted.

    Parameters
    ----------
    multiverse : Dataset, dims (universe, bound)
        What `run_multiverse` returned. Not changed.
    sort : {"difference", "peak_depth", "half_way_depth"}
        What the analyses are ordered by.

    Returns
    -------
    Axes
        The axes of the choices; those above share its figure.

    Raises
    ------
    ValueError
        If `sort` is unknown, or no analysis could be made.

    Examples
    --------
    >>> import numpy as np, xarray as xr
    >>> choices = dict.fromkeys(("measure", "comparison", "layers", "controls", "exclusion"), ["same", "same"])
    >>> choices["comparison"] = ["corr", "rho-a"]
    >>> coords = {name: ("universe", each) for name, each in choices.items()} | {"own": ("universe", [True, False])}
    >>> values = {name: ("universe", [0.5, 0.6]) for name in ("peak_depth", "difference", "half_way_depth")}
    >>> ends = {f"{name}_interval": (("universe", "bound"), np.array([[0.4, 0.7]] * 2)) for name in values}
    >>> attrs = {"network": "fe_alexnet", "baseline": "alexnet"}
    >>> ax = plot_multiverse(xr.Dataset(values | ends, coords | {"bound": ["lower", "upper"]}, attrs))
    >>> [label.get_text() for label in ax.get_yticklabels()]
    ['comparison: corr', 'rho-a']
    """
    must_hold(multiverse, (*ANSWERS, *CHOICES, "own"), "What `run_multiverse` returned")
    must_be_known(sort, ANSWERS, "quantity to sort by")
    made = np.isfinite(multiverse["half_way_depth"].values)
    if not made.any():
        reasons = multiverse.attrs.get("impossible")
        message = f"No analysis could be made, so there is nothing to draw: {reasons}. Change the choices."
        raise ValueError(message)
    shown, rows = specification_curve(multiverse, sort=sort)
    network = str(multiverse.attrs["network"])
    answers = [name for name in ANSWERS if np.isfinite(shown[name].values).any()]
    with drawing() as style:
        line = 1.45 * points_mm(style.small_pt)
        heights = [24 * points_mm(style.text_pt) / 2] * len(answers) + [line * (len(rows) + len(CHOICES))]
        below = new_axes(width_mm=style.double_mm, height_mm=min(sum(heights) + 14, style.tallest_mm))
        figure = root_of(below)
        grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
        below.set_subplotspec(grid[-1])
        above = [figure.add_subplot(grid[place], sharex=below) for place in range(len(answers))]
        color = network_colors([network])[network]
        x = np.arange(shown.sizes[_UNIVERSE])
        own = np.flatnonzero(shown["own"].values)
        for ax in (*above, below):
            for place in own:
                ax.axvspan(place - 0.5, place + 0.5, color=color, alpha=0.2, linewidth=0, zorder=0.4)
        for ax, name in zip(above, answers, strict=True):
            _draw_answer(ax, shown, name, x, own, color, style)
        _draw_choices(below, shown, rows, x, own, color, style)
        note = note_of(multiverse.attrs, [network, str(multiverse.attrs["baseline"])])
        add_note(above[0], "; ".join(filter(None, [counted(made), note])), style)
        caption = (
            "Each column is an analysis, and the squares below are its choices; above: what it found. "
            "The study's own stands on a band of colour."
        )
        caption = simple_caption(caption, multiverse.attrs, [network, str(multiverse.attrs["baseline"])])
        keep_source(below, table_along(multiverse, _UNIVERSE), name="multiverse", caption=caption)
    return below


def specification_curve(
    multiverse: xr.Dataset, *, sort: str = "difference"
) -> tuple[xr.Dataset, list[tuple[str, str]]]:
    """Return the analyses that could be made, in order, and the rows of choices below them."""
    made = np.isfinite(multiverse["half_way_depth"].values)
    by = sort if np.isfinite(multiverse[sort].values[made]).any() else "peak_depth"
    shown = multiverse.isel({_UNIVERSE: np.flatnonzero(made)})
    shown = shown.isel({_UNIVERSE: np.argsort(shown[by].values, kind="stable")})
    return shown, _rows_of(shown)


def counted(made: np.ndarray) -> str:
    """Return how many analyses could be made, and how many more could not."""
    impossible = int((~made).sum())
    return f"{made.sum()} analyses" + (f", {impossible} more could not be made" if impossible else "")


def _rows_of(shown: xr.Dataset) -> list[tuple[str, str]]:
    """Return the rows of choices: each value of those that differ between analyses, as they first come."""
    values = {choice: list(dict.fromkeys(map(str, shown[choice].values))) for choice in CHOICES}
    rows = []
    for choice, each in values.items():
        own = shown[choice].values[shown["own"].values].astype(str).tolist()
        each.sort(key=lambda value: value not in own)  # sorted at once
        rows += [(choice, value) for value in each if len(each) > 1]
    return rows


def _draw_answer(
    ax: Axes, shown: xr.Dataset, name: str, x: np.ndarray, own: np.ndarray, color: str, style: FigureStyle
) -> None:
    value = shown[name].values
    low, high = shown[f"{name}_interval"].transpose(BOUND, _UNIVERSE).values
    ax.vlines(x, low, high, color=QUIET, alpha=0.6, linewidth=0.6 * style.line_pt, zorder=2)
    size = min((0.6 * style.small_pt) ** 2, 4000 / max(len(x), 1))
    ax.scatter(x, value, s=size, color="#444444", linewidth=0, zorder=3)
    ax.scatter(x[own], value[own], s=2.2 * size, color=color, linewidth=0, zorder=4)
    if name == "difference":
        ax.axhline(0, color=QUIET, linewidth=0.5 * style.line_pt, linestyle=(0, (3, 2)), zorder=0.6)
    else:
        ax.set_ylim(0, 1.04)
    ax.tick_params(axis="x", length=0, labelbottom=False)
    ax.spines["bottom"].set_visible(False)
    name_values(ax, label_of_answer(shown, name), style)


def label_of_answer(shown: xr.Dataset, name: str) -> str:
    """Return what an answer of an analysis is called along its axis."""
    if name == "difference":
        minus = [network_label(str(shown.attrs[each])) for each in ("network", "baseline")]
        return f"{' − '.join(minus)}\nin similarity"
    return {"peak_depth": "Depth of the peak", "half_way_depth": "Half-way depth"}[name]


def _draw_choices(
    ax: Axes,
    shown: xr.Dataset,
    rows: list[tuple[str, str]],
    x: np.ndarray,
    own: np.ndarray,
    color: str,
    style: FigureStyle,
) -> None:
    """Draw a line of squares for each value of each choice, with a gap between choices."""
    places, y, before = [], 0.0, None
    for choice, value in rows:
        y += 1.0 + 0.8 * (choice != before and before is not None)
        chosen = shown[choice].values.astype(str) == value
        size = min((0.7 * style.small_pt) ** 2, 9000 / max(len(x), 1))
        ax.scatter(x[chosen], np.full(chosen.sum(), y), s=size, marker="s", color="#444444", linewidth=0)
        mine = own[chosen[own]]
        ax.scatter(x[mine], np.full(len(mine), y), s=size, marker="s", color=color, linewidth=0, zorder=3)
        label = value if choice == before else f"{CHOICES[choice]}: {value}"
        places.append((y, printable(label)))
        before = choice
    ax.set_yticks([y for y, _ in places], [label for _, label in places], fontsize=style.small_pt, parse_math=False)
    ax.set_ylim(y + 0.8, 0.2)
    ax.set_xlim(-0.8, len(x) - 0.2)
    ax.tick_params(axis="both", length=0, labelbottom=False)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)
