"""What people and networks choose along the morph, a panel for each occlusion, and how networks learn to choose."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation
from scipy.stats import t as student

from rsa_face.figures.captions import caption_of_choices
from rsa_face.figures.layout import (
    added,
    blank_axes,
    inset_mm,
    keep_source,
    legend_above,
    name_of,
    name_values,
    new_axes,
    note_of,
    note_on_sheet,
    points_mm,
    printable,
    root_of,
    sheet_mm,
    words_of_occlusion,
)
from rsa_face.figures.style import (
    HUMAN_COLOR,
    POINTS_PER_INCH,
    QUIET,
    FigureStyle,
    drawing,
    in_order,
    ink,
    network_colors,
    network_label,
    network_markers,
)
from rsa_face.inference.statistics import wilson_interval
from rsa_face.psychophysics.choices import ChoiceWords
from rsa_face.safety import must_be_a
from rsa_face.schema import NETWORK, PARTICIPANT, must_hold, origin_of, split_seed

PEOPLE = "people"
_PER_ROW = 4
_LOWEST = -0.12  # of the probability: room for arrows below the curves


@dataclass(frozen=True, eq=False)
class Choices:
    """The choices of people, of a network's seeds that have a PSE together, or of one seed that has none."""

    occlusion: str
    observer: str  # `people`, the family that a network's seeds share, or a seed without a PSE
    name: str  # for readers, with how many they are and how many have no PSE
    levels: np.ndarray
    share: np.ndarray  # of the high answer among all choices at a level
    ends: np.ndarray  # of its binomial interval, (2, level); NaN where answers are not trials
    trials: np.ndarray
    fine: np.ndarray  # the levels of the curves
    each: np.ndarray  # the curve of each observer with a PSE, (observer, fine)
    band: np.ndarray | None  # around their mean, (2, fine): its interval for people, the range of a network's seeds
    pse: float  # the level at which the mean curve is one half
    mean_pse: float
    without_pse: int

    @property
    def curve(self) -> np.ndarray | None:
        """The mean curve of those who have a PSE."""
        return self.each.mean(axis=0) if len(self.each) else None

    @property
    def table(self) -> pd.DataFrame:
        """A row for each level."""
        columns: dict[str, Any] = {"occlusion": self.occlusion, "observer": self.observer, "level": self.levels}
        columns |= {"proportion": self.share, "lower": self.ends[0], "upper": self.ends[1], "trials": self.trials}
        columns |= {"curve_pse": self.pse, "mean_pse": self.mean_pse}
        return pd.DataFrame(columns | {"observers": len(self.each), "without_pse": self.without_pse})


def choices_of(people: xr.Dataset | None, networks: xr.Dataset | None) -> list[Choices]:
    """Return the choices of people and networks under each occlusion, as figure and report draw them."""
    given = [part for part in (people, networks) if part is not None and "level" in part.dims]
    parts = [part if "occlusion" in part.dims else part.expand_dims(occlusion=[""]) for part in given]
    choices: list[Choices] = []
    for occlusion in dict.fromkeys(str(name) for part in parts for name in part["occlusion"].values):
        for part in parts:
            names = part["occlusion"].values.astype(str).tolist()
            if occlusion not in names:
                continue
            panel = part.isel(occlusion=names.index(occlusion))
            if PARTICIPANT in panel.dims:
                choices.append(_choices_of(panel, occlusion, PEOPLE, name_observers(panel, PEOPLE)))
            elif NETWORK in panel.dims:
                choices += _of_networks(panel, occlusion)
    return choices


def _of_networks(panel: xr.Dataset, occlusion: str) -> list[Choices]:
    """Average the seeds of a network that have a PSE; a seed without one stands by itself, averaged with none."""
    choices = []
    for family in families_of(panel):
        members = members_of(panel, family)
        known = _has_pse(members, NETWORK)
        for place in np.flatnonzero(~known):
            seed = members.isel({NETWORK: [place]})
            name = str(seed[NETWORK].values[0])
            choices.append(_choices_of(seed, occlusion, name, added(network_label(name), "no PSE")))
        if known.any():
            name, without = name_observers(members, family), int((~known).sum())
            choices.append(_choices_of(members.isel({NETWORK: known}), occlusion, family, name, without))
    return choices


def _choices_of(part: xr.Dataset, occlusion: str, observer: str, name: str, without: int = 0) -> Choices:
    dim = PARTICIPANT if PARTICIPANT in part.dims else NETWORK
    people = dim == PARTICIPANT
    trials = part["n_trials"] if "n_trials" in part else xr.ones_like(part["proportion"])
    total, happy = (one.sum(dim).values for one in (trials, part["proportion"] * trials))
    known = _has_pse(part, dim)
    fitted = "curve" in part
    fine = part["curve_level"].values if fitted else np.empty(0)
    each = part["curve"].transpose(dim, "curve_level").values[known] if fitted else np.empty((0, 0))
    confidence = float(part.attrs.get("confidence", 0.95))
    ends = np.full((2, part.sizes["level"]), np.nan)
    if people and part.attrs.get("answers") == "trials":
        ends = wilson_interval(happy, total, confidence)
    band = None
    if people and len(each) > 2:
        half = student.ppf((1 + confidence) / 2, len(each) - 1) * each.std(axis=0, ddof=1) / np.sqrt(len(each))
        band = np.clip(each.mean(axis=0) + np.stack([-half, half]), 0, 1)
    elif people and len(each) == 1 and "curve_interval" in part:
        band = part["curve_interval"].transpose(dim, "bound", "curve_level").values[known][0]
    elif not people and len(each) > 1:
        band = np.stack([each.min(axis=0), each.max(axis=0)])
    curve = each.mean(axis=0) if len(each) else np.ones(1)
    pse = float(np.interp(0.5, curve, fine)) if curve[0] <= 0.5 <= curve[-1] else np.nan
    share, pses = happy / np.where(total > 0, total, np.nan), part["pse"].values[known] if "pse" in part else []
    return Choices(
        occlusion, observer, name, part["level"].values, share, ends, total, fine, each, band, pse,
        float(np.mean(pses)) if len(pses) else np.nan, without + int((~known).sum()),
    )  # fmt: skip


def _has_pse(part: xr.Dataset, dim: str) -> np.ndarray:
    return part["pse"].notnull().values if "pse" in part else np.ones(part.sizes[dim], dtype=bool)


def families_of(networks: xr.Dataset) -> list[str]:
    """Return the networks that differ in more than their seed, in the order of every figure."""
    return in_order(_family_of_each(networks))


def members_of(networks: xr.Dataset, family: str) -> xr.Dataset:
    """Return the networks that share all but their seed."""
    return networks.isel({NETWORK: _family_of_each(networks) == family})


def _family_of_each(networks: xr.Dataset) -> np.ndarray:
    return np.asarray(networks["family" if "family" in networks.coords else NETWORK].values.astype(str))


def name_observers(part: xr.Dataset, observer: str) -> str:
    """Return what observers are called together: how many they are, and how many lack a PSE, and where."""
    dim = PARTICIPANT if observer == PEOPLE else NETWORK
    count = part.sizes[dim]
    notes = [f"n = {count}"] if observer == PEOPLE else [f"{count} seeds"] * (count > 1)
    if "pse" in part:
        lacking = part["pse"].isnull()
        others = [name for name in lacking.dims if name != dim]
        missing, everywhere = (int(how(lacking, others).sum()) for how in (xr.DataArray.any, xr.DataArray.all))
        if missing and count > 1:
            notes.append(f"{missing} without {'a' if missing == everywhere else 'some'} PSE")
        elif missing:
            masks = [] if everywhere else part["occlusion"].values[lacking.values.ravel()].astype(str)
            notes.append(": ".join(filter(None, ["no PSE", ", ".join(map(words_of_occlusion, masks))])))
    label = "People" if observer == PEOPLE else network_label(observer)
    return added(label, ", ".join(notes)) if notes else label


def words_of(*fits: xr.Dataset | None) -> ChoiceWords:
    """Return the words of the task that curves were fitted to."""
    return ChoiceWords.from_attrs(*(fit.attrs for fit in fits if fit is not None))


def table_of_choices(choices: Sequence[Choices], words: ChoiceWords) -> pd.DataFrame:
    """Return what some curves show, a row for each level of each observer, the condition under its own name."""
    table = pd.concat([one.table for one in choices], ignore_index=True)
    return table.rename(columns={"occlusion": words.condition or "occlusion"})


def name_of_condition(occlusion: str, words: ChoiceWords) -> str:
    """Return what a panel is called: what was masked, or a condition by its own name."""
    return f"{words.condition}: {printable(occlusion)}" if words.condition else words_of_occlusion(occlusion)


def plot_psychometric(
    people: xr.Dataset | None, networks: xr.Dataset | None = None, *, ax: Axes | None = None
) -> Axes:
    """Draw psychometric curves, people's and networks', a panel for each occlusion.

    Points of people are all their trials together, with binomial intervals; their curve is the mean of the
    participants' own, with the interval of that mean. A network's curve is the mean over its seeds, with their
    range. The mark on a curve is its PSE, where the high answer (happy) is chosen half the time. No curve takes in
    observers whose PSE is undetermined: each such seed is a dotted line of its own, with an arrow on the lower edge
    to the side where its PSE would lie.

    Parameters
    ----------
    people : Dataset, dims (participant, occlusion), or None
        From `fit_psychometric`. Not changed.
    networks : Dataset, dims (network, occlusion), optional
        From `fit_psychometric`, on the same levels.
    ax : Axes, optional
        Where to lay the panels out; a new figure if None.

    Returns
    -------
    Axes
        The sheet, with the panels as its insets.

    Raises
    ------
    ValueError
        If there is neither, or their levels are on different scales.

    Examples
    --------
    >>> import rsa_face as rf
    >>> rows = {"participant": "a", "level": [0, 0.2, 0.4, 0.6, 0.8, 1], "p_happy": [0, 0.1, 0.3, 0.7, 0.9, 1]}
    >>> fit = rf.fit_psychometric(pd.DataFrame(rows), {"guess": 0.0, "lapse": 0.0})
    >>> [panel.get_title(loc="left") for panel in plot_psychometric(fit).child_axes]
    ['Whole face']
    """
    parts = [part for part in (people, networks) if part is not None]
    for part in parts:
        must_hold(part, ("pse", "occlusion"), "What `fit_psychometric` returned")
    scales = {str(part.attrs.get("level_scale", "")) for part in parts}
    if len(scales) != 1:
        fault = f"Levels of people and networks are on different scales, {sorted(scales)}" if parts else "No curves"
        message = f"{fault}. Give fits of choices along the same morph."
        raise ValueError(message)
    choices, words = choices_of(people, networks), words_of(people, networks)
    occlusions = list(dict.fromkeys(one.occlusion for one in choices))
    looks = _looks_of(people, networks)
    entries = [(name_observers(people, PEOPLE), looks[PEOPLE])] if people is not None else []
    if networks is not None:
        families = families_of(networks)
        entries += [(name_observers(members_of(networks, name), name), looks[name]) for name in families]
    with drawing(ax) as style:
        line, tall = points_mm(style.text_pt), 21 * points_mm(style.text_pt)
        columns = min(len(occlusions), _PER_ROW)
        rows = -(-len(occlusions) // columns)
        if ax is None:
            key_mm = (2.2 + len(entries) // 4) * 1.5 * points_mm(style.small_pt)
            width = style.single_mm if columns == 1 else style.double_mm
            ax = blank_axes(width_mm=width, height_mm=rows * tall + key_mm)
        width, height = sheet_mm(ax)
        foot = min(rows * tall, 0.86 * height)  # where the legend begins
        left, gap = 4.2 * line, 2.6 * line
        wide = (width - left - line - gap * (columns - 1)) / columns
        for place, occlusion in enumerate(occlusions):
            row, column = divmod(place, columns)
            top, high = row * foot / rows + 3.2 * line, foot / rows - 7.2 * line
            panel = inset_mm(ax, left + column * (wide + gap), top, wide, high)
            panel.axhline(0.5, color="#CCCCCC", linewidth=0.6 * style.line_pt, zorder=0.4)
            for one in choices:
                if one.occlusion == occlusion:
                    _draw_choices(panel, one, looks[one.observer], style)
            panel.set(ylim=(_LOWEST, 1.03), yticks=[0, 0.5, 1], ylabel=words.chance if column == 0 else "")
            title = name_of_condition(occlusion, words)
            panel.set_title(f"{title[:1].upper()}{title[1:]}", loc="left", parse_math=False)
        # written once for all panels: under each of them it would be wider than they are
        ax.text((left + width - line) / 2, foot - 0.9 * line, words.axis(next(iter(scales))),
                fontsize=style.text_pt, ha="center", va="center")  # fmt: skip
        _draw_legend(ax, entries, foot, style, words)
        attrs = {"simulated": people is not None and people.attrs.get("simulated")}
        shown: list[str] = []
        if networks is not None:
            attrs |= origin_of(networks.attrs)
            shown = networks[NETWORK].values.astype(str).tolist()
        note_on_sheet(ax, note_of(attrs, shown), style)
        table = table_of_choices(choices, words)
        keep_source(ax, table, name="psychometric", caption=caption_of_choices(attrs, shown))
    return ax


def _looks_of(people: xr.Dataset | None, networks: xr.Dataset | None) -> dict[str, dict[str, Any]]:
    """Return the colour and mark of each observer; a seed without a PSE has those of its family."""
    looks: dict[str, dict[str, Any]] = {}
    if people is not None:
        looks[PEOPLE] = {"color": HUMAN_COLOR, "marker": "o"}
    if networks is not None:
        families = families_of(networks)
        colors, markers = network_colors(families), network_markers(families)
        for family in families:
            look = {"color": colors[family], "marker": markers[family]}
            looks |= dict.fromkeys([family, *members_of(networks, family)[NETWORK].values.astype(str)], look)
    return looks


def _draw_choices(panel: Axes, one: Choices, look: Mapping[str, Any], style: FigureStyle) -> None:
    color, marker, people = look["color"], look["marker"], one.observer == PEOPLE
    curve = one.curve
    if curve is None and not people:
        panel.plot(one.levels, one.share, color=color, linewidth=0.8 * style.line_pt, linestyle=":", zorder=1.9,
                   marker=marker, markersize=0.3 * style.small_pt, markerfacecolor="white")  # fmt: skip
        _point_outside(panel, one, look, style)
        return
    edge: dict[str, Any] = {} if people else {"markeredgecolor": "white", "markeredgewidth": 0.25 * style.line_pt}
    panel.plot(one.levels, one.share, marker, color=color, zorder=3 if people else 2.2, **edge,
               markersize=(0.55 if people else 0.42) * style.small_pt)  # fmt: skip
    panel.vlines(one.levels, *one.ends, color=color, linewidth=0.8 * style.line_pt, zorder=3)
    if curve is None:
        return
    panel.plot(one.fine, curve, color=color, linewidth=(1.4 if people else 1) * style.line_pt,
               zorder=2.8 if people else 2)  # fmt: skip
    if one.band is not None:
        panel.fill_between(one.fine, *one.band, color=color, alpha=0.18, linewidth=0, zorder=1)
    if np.isfinite(one.pse):
        panel.plot([one.pse] * 2, [_LOWEST, 0.5], color=color, linewidth=0.5 * style.line_pt, linestyle=(0, (2, 2)),
                   zorder=1.5)  # fmt: skip
        panel.plot(one.pse, 0.5, marker=marker, color=color, markersize=0.75 * style.small_pt, zorder=3.2, gid="pse",
                   markeredgecolor="white", markeredgewidth=0.4 * style.line_pt)  # fmt: skip


def _point_outside(panel: Axes, one: Choices, look: Mapping[str, Any], style: FigureStyle) -> None:
    """Put an arrow on the lower edge, to the side where the choices would be at one half."""
    edge, arrow = (one.levels.min(), "<") if np.nanmean(one.share) > 0.5 else (one.levels.max(), ">")
    before = sum(line.get_gid() == arrow for line in panel.get_lines())  # those of the same side stand in a row
    aside = (0.75 * before if arrow == "<" else -0.75 * before) * style.small_pt / POINTS_PER_INCH
    where = panel.transData + ScaledTranslation(aside, 0, root_of(panel).dpi_scale_trans)
    panel.plot(float(edge), 0.6 * _LOWEST, marker=arrow, color=look["color"], markersize=0.6 * style.small_pt,
               clip_on=False, zorder=3, gid=arrow, transform=where)  # fmt: skip


def _draw_legend(
    ax: Axes, entries: Iterable[tuple[str, Mapping[str, Any]]], top: float, style: FigureStyle, words: ChoiceWords
) -> None:
    letter, line = 0.58 * points_mm(style.small_pt), 1.5 * points_mm(style.small_pt)
    left = 4.2 * points_mm(style.text_pt)
    x, y = left, top + 0.6 * line
    for name, look in entries:
        width = letter * (len(name) + 6)
        if x + width > ax.get_xlim()[1]:
            x, y = left, y + line
        ax.plot(x, y, marker=look["marker"], color=look["color"], markersize=0.6 * style.small_pt, linestyle="none")
        ax.text(x + 1.5 * letter, y, printable(name), color=ink(look["color"]), fontsize=style.small_pt, va="center",
                parse_math=False)  # fmt: skip
        x += width
    arrows = any(drawn.get_marker() in ("<", ">") for panel in ax.child_axes for drawn in panel.lines)
    key = f"Marks on the curves: PSE, where {printable(words.attrs['high'])} is chosen half the time"
    key += "; dotted, with arrows: networks without a PSE." if arrows else "."
    ax.text(left, y + line, key, color=QUIET, va="center", fontsize=style.small_pt)


_SCORES = {"loss": "Cross-entropy loss", "accuracy": "Accuracy"}
_MOST_MARKED = 12


def plot_training(
    history: pd.DataFrame | Mapping[str, pd.DataFrame], *, score: str = "accuracy", ax: Axes | None = None
) -> Axes:
    """Draw a score of one or several trainings along the epochs.

    Solid lines are the training faces, as seen with dropout and variation; dashed ones with open marks the
    validation faces. A training that stopped early ends early. Networks that differ in their seed alone share a
    colour. Where all have one epoch they stand side by side, since they would hide one another.

    Examples
    --------
    >>> history = pd.DataFrame({"epoch": [1, 2], "accuracy": [0.6, 0.9]})
    >>> plot_training({"alexnet": history}).get_xlabel()
    'Epoch'
    """
    if score not in _SCORES:
        message = f"No score of a training is called {score!r}. Choose one of {', '.join(_SCORES)}."
        raise ValueError(message)
    each = _logs_of(history, score)
    names = in_order(each)
    epochs = max(int(rows["epoch"].max()) for rows in each.values())
    held_out = any(f"validation_{score}" in rows for rows in each.values())
    starts: dict[str, list[str]] = {}
    for name in names:
        starts.setdefault(split_seed(name)[0], []).append(name)
    colors, markers = network_colors(starts), network_markers(starts)
    with drawing(ax) as style:
        if ax is None:
            tall = min(27 * points_mm(style.text_pt), style.tallest_mm)
            ax = new_axes(width_mm=style.single_mm, height_mm=tall)
        keys: dict[str, Line2D] = {}
        for start, seeds in starts.items():
            look: dict[str, Any] = {"color": colors[start], "markersize": 0.5 * style.small_pt}
            look |= {"marker": markers[start] if epochs <= _MOST_MARKED else ""}
            keys |= {name_of(seeds): Line2D([], [], **look)} if start else {}
            for name in seeds:
                rows, label = each[name], network_label(name)
                aside = 0.6 * ((names.index(name) + 0.5) / len(names) - 0.5) if epochs == 1 else 0.0
                ax.plot(rows["epoch"] + aside, rows[score], **look, label=f"{label} training".strip())
                if f"validation_{score}" in rows:
                    ax.plot(rows["epoch"] + aside, rows[f"validation_{score}"], **look, linestyle="--",
                            markerfacecolor="white", label=f"{label} validation".strip())  # fmt: skip
        styles: dict[str, Any] = {"training faces": "-", "validation faces": "--"} if held_out else {}
        if score == "accuracy":
            ax.axhline(0.5, color=QUIET, linewidth=0.6 * style.line_pt, linestyle=":")
            ax.set_ylim(0, 1.02)
            styles["chance (two classes)"] = ":"
        ax.set(xlim=(0.5, epochs + 0.5), xlabel="Epoch")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        keys |= {name: Line2D([], [], color=QUIET, linestyle=dashes) for name, dashes in styles.items()}
        if keys:
            legend_above(ax, list(keys.values()), list(keys), style)
        name_values(ax, _SCORES[score] if held_out else f"{_SCORES[score]} (training faces)", style)
        table = pd.concat([each[name].assign(network=name) for name in names], ignore_index=True)
        table = table[["network", *(column for column in table if column != "network")]]
        dashed = "; dashed: on validation faces" if held_out else ""
        keep_source(ax, table, name="training", caption=f"{_SCORES[score]} by epoch of training{dashed}.")
    return ax


def _logs_of(history: pd.DataFrame | Mapping[str, pd.DataFrame], score: str) -> dict[str, pd.DataFrame]:
    """Return the log of each training by the name of its network, checked."""
    must_be_a(history, (pd.DataFrame, Mapping), "Logs of training, by network, are needed here")
    each = {"": history} if isinstance(history, pd.DataFrame) else dict(history)
    for name, rows in each.items():
        must_hold(rows, ("epoch", score), f"The log of a training{f' of {name}' if name else ''}")
    empty = [name for name, rows in each.items() if rows.empty]
    if empty or not each:
        message = f"No epochs to draw: the history of {empty or 'nothing'} is empty. Train first."
        raise ValueError(message)
    return each
