"""RDMs side by side: what each layer holds apart and together, beside what people do."""

import logging
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import matplotlib as mpl
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from scipy import stats

from rsa_face.figures.canvas import NOTE, blank_axes, inset_mm, keep_source, note_of, points_mm, printable, size_mm
from rsa_face.figures.margins import draw_brackets_below, draw_margin, draw_separators, margin_mm
from rsa_face.figures.ordering import Group, groups_along, same_stimuli, sort_stimuli
from rsa_face.figures.palette import QUIET, RDM_COLORS, in_order, ink
from rsa_face.figures.rdm_layout import Plan, plan_panels
from rsa_face.figures.style import MM_PER_INCH, FigureStyle, drawing
from rsa_face.schema import MEASURE, MEASURES, NETWORK, ORDER, PARTICIPANT, RDM, STIMULUS_I, must_be_known
from rsa_face.stimuli.catalogue import StimulusSet

_log = logging.getLogger(__name__)
SCALES = ("rank", "shared", "own")
_MOST_IN_A_TABLE = 2_000_000
_NEVER = "#E9E9E9"
_PRINT_DPI = 300


def plot_rdms(
    rdms: xr.DataArray,
    *,
    ax: Axes | None = None,
    human: xr.DataArray | None = None,
    scale: str = "rank",
    sort: Sequence[str] | None = None,
    stimuli: StimulusSet | None = None,
) -> Axes:
    """Draw RDMs side by side, their stimuli sorted into groups, with the human RDM beside them.

    Up to six stand in a row; more stand in a row for each network, its layers from first to last. Where they would
    be too small to be read, as on a slide, some layers are left out, and how many is written.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        Layer RDMs; select those to show first. Not changed.
    ax : Axes, optional
        Where to draw: the space is filled and the axes themselves made invisible. A new figure if None.
    human : DataArray, dims (participant, stimulus_i, stimulus_j) or (stimulus_i, stimulus_j), optional
        Human RDMs; several participants are shown by their mean. Not changed.
    scale : {"rank", "shared", "own"}
        ``rank``: each RDM's dissimilarities by rank, from 0 to 1, so that all can be compared. ``shared``: as they
        are, one scale for all layers. ``own``: each from its least to its greatest.
    sort : sequence of str, optional
        Factors to sort stimuli by, the outermost first; it makes the groups. If None: `occlusion`, `identity` and
        `level`, where they vary.
    stimuli : StimulusSet, optional
        Images for the margins.

    Returns
    -------
    Axes
        The axes that hold the panels.

    Raises
    ------
    ValueError
        If a factor or scale is unknown, or the human RDM lacks a stimulus.
    """
    must_be_known(scale, SCALES, "scale")
    rdms = _layers_in_order(rdms)
    rdms, factors = sort_stimuli(rdms, sort)
    groups = groups_along(list(rdms[factors[0]].values)) if factors else []
    people = None if human is None else mean_person(same_stimuli(human, rdms))
    with drawing(ax) as style:
        room = (style.double_mm, style.tallest_mm) if ax is None else size_mm(ax)
        margin = margin_mm(style, groups=bool(groups), images=stimuli is not None)
        plan = plan_panels(rdms, room, margin, style, human=people is not None)
        if ax is None:
            plan = replace(plan, width=max(style.single_mm, max(one.left + one.side for one in plan.panels) + 0.5))
            ax = blank_axes(width_mm=plan.width, height_mm=plan.height)
        ax.set_axis_off()
        ax.set(xlim=(0, plan.width), ylim=(plan.height, 0))
        values = [*([people.values] if people is not None else []), *rdms.values[list(plan.shown)]]
        shades = [shade(one, scale) for one in values]
        measures = _measures_of(rdms, plan.shown)
        limits = _limits(shades, scale, measures, human=people is not None)
        _draw_panels(ax, plan, shades, limits, groups, style)
        _draw_bars(ax, plan, limits, _texts(measures[0], scale, human=human is not None), style)
        files = dict(zip(stimuli.ids, stimuli.files, strict=True)) if stimuli is not None else {}
        shown = [files.get(str(name)) for name in rdms[STIMULUS_I].values]
        if not draw_margin(ax, plan.panels[0], groups, shown, style):
            _name_groups(ax, plan, groups, style)
        simulated = bool(rdms.attrs.get("simulated")) or _simulated(human)
        note = note_of({**rdms.attrs, "simulated": simulated}, map(str, rdms[NETWORK].values))
        if scale == "shared" and len(set(measures)) > 1:
            note += " (on a scale of its own)"
        if len(plan.shown) < rdms.sizes[RDM]:
            note = "; ".join([*([note] if note else []), f"{len(plan.shown)} of {rdms.sizes[RDM]} layers shown"])
        ax.text(plan.width, 0.6, note, fontsize=style.small_pt, color=QUIET, fontstyle="italic", ha="right", va="top",
                parse_math=False, gid=NOTE)  # fmt: skip
        keep_source(ax, rdms_table(rdms, people), name="rdms")
    return ax


def rdms_table(rdms: xr.DataArray, human: xr.DataArray | None = None) -> pd.DataFrame:
    """Return the dissimilarities of RDMs, one row a pair and one column an RDM.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        RDMs. Not changed.
    human : DataArray, dims (stimulus_i, stimulus_j), optional
        A human RDM in the same order of stimuli.

    Returns
    -------
    DataFrame
        `stimulus_i`, `stimulus_j`, ``human`` where given, and each RDM. Past two million numbers it is empty, and the
        log says that the study's ``rdms.nc`` holds them.
    """
    ids = np.array([str(value) for value in rdms[STIMULUS_I].values], dtype=object)
    i, j = np.triu_indices(len(ids), k=1)
    if len(i) * rdms.sizes[RDM] > _MOST_IN_A_TABLE:
        _log.warning("No table of %d x %d dissimilarities: the RDMs' own file holds them.", rdms.sizes[RDM], len(i))
        return pd.DataFrame({"stimulus_i": [], "stimulus_j": []})
    columns: dict[str, np.ndarray] = {"stimulus_i": ids[i], "stimulus_j": ids[j]}
    if human is not None:
        columns["human"] = human.values[i, j]
    columns |= {str(name): values[i, j] for name, values in zip(rdms[RDM].values, rdms.values, strict=True)}
    return pd.DataFrame(columns)


def shade(values: np.ndarray, scale: str) -> np.ndarray:
    """Return what is shown of an RDM: its diagonal left out, and ranks in place of values if asked for.

    Parameters
    ----------
    values : ndarray, shape (stimulus, stimulus)
        Dissimilarities; NaN means never judged. Not changed.
    scale : str
        ``rank``, or another that leaves values as they are.

    Returns
    -------
    ndarray, shape (stimulus, stimulus)
        Values, or ranks from 0 to 1 with ties at their mean.
    """
    shown = np.array(values, dtype=float)
    np.fill_diagonal(shown, np.nan)
    if scale == "rank":
        judged = ~np.isnan(shown)
        shown[judged] = (stats.rankdata(shown[judged]) - 1) / max(judged.sum() - 1, 1)
    return shown


def _layers_in_order(rdms: xr.DataArray) -> xr.DataArray:
    names = [str(name) for name in rdms[NETWORK].values]
    place = {name: index for index, name in enumerate(in_order(names))}
    within = np.asarray(rdms[ORDER].values if ORDER in rdms.coords else np.arange(len(names)), dtype=float)
    return rdms.isel({RDM: np.lexsort(np.stack([within, [place[name] for name in names]]))})


def mean_person(human: xr.DataArray) -> xr.DataArray:
    """Return the mean of participants' RDMs, each pair over those who judged it.

    Parameters
    ----------
    human : DataArray, dims (participant, stimulus_i, stimulus_j) or (stimulus_i, stimulus_j)
        Human RDMs; NaN means never judged. Not changed.

    Returns
    -------
    DataArray, dims (stimulus_i, stimulus_j)
        NaN where nobody judged a pair; one RDM comes back as it is.
    """
    if human.ndim == 2:
        return human
    judged = human.notnull().sum(PARTICIPANT)
    return human.fillna(0).sum(PARTICIPANT) / judged.where(judged > 0)


def _simulated(human: xr.DataArray | None) -> bool:
    return human is not None and bool(human.attrs.get("simulated", False))


def _measures_of(rdms: xr.DataArray, shown: Sequence[int]) -> list[str]:
    """Return the measure of each layer shown."""
    if MEASURE in rdms.coords:
        return [str(measure) for measure in rdms[MEASURE].values[list(shown)]]
    return [str(rdms.attrs.get("measure", ""))] * len(shown)


def _limits(
    shades: Sequence[np.ndarray], scale: str, measures: Sequence[str], *, human: bool
) -> list[tuple[float, float]]:
    """Return the limits of each panel's colours, people's first; a scale is shared by layers of one measure."""
    own = [(float(np.nanmin(shown)), float(np.nanmax(shown))) if np.isfinite(shown).any() else (0.0, 1.0)
           for shown in shades]  # fmt: skip
    if scale == "rank":
        return [(0.0, 1.0)] * len(own)
    if scale == "own":
        return own
    ends: dict[str, list[tuple[float, float]]] = {}
    for measure, limits in zip(measures, own[int(human) :], strict=True):
        ends.setdefault(measure, []).append(limits)
    shared = {name: (min(low for low, _ in each), max(high for _, high in each)) for name, each in ends.items()}
    return [*own[: int(human)], *(shared[measure] for measure in measures)]


def _draw_panels(
    ax: Axes,
    plan: Plan,
    shades: Sequence[np.ndarray],
    limits: Sequence[tuple[float, float]],
    groups: Sequence[Group],
    style: FigureStyle,
) -> None:
    colors = mpl.colormaps[RDM_COLORS].with_extremes(bad=_NEVER)
    for panel, shown, (low, high) in zip(plan.panels, shades, limits, strict=True):
        inset = inset_mm(ax, panel.left, panel.top, panel.side, panel.side)
        inset.imshow(
            shown, cmap=colors, vmin=low, vmax=high, aspect="auto", interpolation_stage=_averaged(shown, panel.side)
        )
        inset.set(xticks=[], yticks=[], label=panel.title)
        inset.spines[:].set(visible=True, linewidth=0.4 * style.line_pt, color=QUIET)
        draw_separators(inset, groups, panel.side / shown.shape[0], style)
        ax.text(panel.left + panel.side / 2, panel.top - 0.35 * points_mm(panel.title_pt), panel.title,
                fontsize=panel.title_pt, color=ink(panel.color), ha="center", parse_math=False)  # fmt: skip
        if plan.in_a_row:
            draw_brackets_below(ax, panel, groups, shown.shape[0], style)
    for heading in plan.headings:
        ax.text(heading.left, heading.base, heading.text, color=ink(heading.color), fontsize=style.text_pt,
                ha=heading.align, weight="bold", parse_math=False)  # fmt: skip


def _averaged(shown: np.ndarray, side_mm: float) -> Literal["data", "rgba"]:
    """Return what is averaged where cells are finer than print: dissimilarities, or colours.

    The mean of two colours is no colour of the bar; but a mean of dissimilarities lacks all that a missing one is
    part of, so that pairs never judged, and the diagonal of larger cells, would spread.
    """
    finer = len(shown) > side_mm / MM_PER_INCH * _PRINT_DPI
    return "data" if finer and np.isnan(shown).sum() <= len(shown) else "rgba"


def _name_groups(ax: Axes, plan: Plan, groups: Sequence[Group], style: FigureStyle) -> None:
    """Write the groups' names beside the colour bar, where the brackets are too short for them."""
    left = plan.panels[0].left + max(46.0, 0.3 * plan.width)
    names = printable(", ".join(group.label for group in groups))
    lines = textwrap.wrap(
        f"Groups from the top: {names}", max(int((plan.width - left) / points_mm(style.small_pt) / 0.5), 20)
    )
    ax.text(left, plan.bars, "\n".join(lines[:2]), fontsize=style.small_pt, color=QUIET, va="top", parse_math=False)


def _texts(measure: str, scale: str, *, human: bool) -> list[str]:
    """Return what the colour bars say: one for ranks, otherwise people's first."""
    if scale == "rank":
        return ["Rank of dissimilarity"]
    label = MEASURES[measure].label if measure in MEASURES else measure
    return [*["Dissimilarity (people)"] * human, f"Dissimilarity ({label})" if label else "Dissimilarity"]


def _draw_bars(
    ax: Axes, plan: Plan, limits: Sequence[tuple[float, float]], texts: Sequence[str], style: FigureStyle
) -> None:
    type_mm = points_mm(style.small_pt)
    length = max(min(30.0, plan.panels[0].side - 4.8 * type_mm), 6 * type_mm)
    lefts = [plan.panels[0].left, plan.panels[min(1, len(plan.panels) - 1)].left]
    for place, text in enumerate(texts):
        left = lefts[place] if len(texts) > 1 else lefts[0]
        low, high = limits[min(place, len(limits) - 1)]
        inset = inset_mm(ax, left + 2.2 * type_mm, plan.bars, length, 0.7 * type_mm)
        bar = ax.figure.colorbar(
            ScalarMappable(Normalize(low, high), RDM_COLORS), cax=inset, orientation="horizontal"
        )
        bar.outline.set_visible(False)
        bar.set_ticks([])
        for place_x, limit, side in ((-0.03, low, "right"), (1.03, high, "left")):
            inset.text(place_x, 0.5, f"{limit:.2g}", transform=inset.transAxes, fontsize=style.small_pt, ha=side,
                       va="center")  # fmt: skip
        inset.text(0.5, -0.45, text, transform=inset.transAxes, fontsize=style.small_pt, ha="center", va="top")
