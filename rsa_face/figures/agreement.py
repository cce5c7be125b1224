"""How far people agree with one another, and measures of likeness to people with one another."""

import textwrap
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from rsa_face.figures.captions import simple_caption
from rsa_face.figures.layout import (
    add_note,
    blank_axes,
    inset_mm,
    keep_source,
    name_values,
    note_of,
    note_on_sheet,
    number,
    points_mm,
    printable,
    sheet_mm,
    size_mm,
)
from rsa_face.figures.style import (
    CEILING_COLOR,
    HUMAN_COLOR,
    MM_PER_INCH,
    QUIET,
    FigureStyle,
    drawing,
    in_order,
    ink,
    ink_on,
    network_colors,
    network_label,
)
from rsa_face.psychophysics.likeness import agreement_table
from rsa_face.schema import BOUND, NETWORK, PARTICIPANT, comparison_label, must_hold

_QUANTITY, _OTHER = "quantity", "quantity_other"
_WORDS = {
    "similarity_peak": "RDM similarity, best layer",
    "pse_distance": "PSE, distance from people",
    "curve_rmse": "Choices, distance from people",
}
_FEWEST, _MANY = 3, 10


_AGREEMENT = (
    "Above: each network by each measure of likeness to people, with the rank that it gives. Below: rank "
    "correlations of the measures across networks."
)


def plot_agreement(agreement: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw what each measure says of each network, shaded by rank, and how far the ranks agree."""
    must_hold(agreement, (NETWORK, "quantity", "rank"), "What `relate_measures` returned")
    networks = in_order(map(str, agreement[NETWORK].values))
    table = agreement_table(agreement)
    agreement = agreement.sel({NETWORK: networks}).transpose(NETWORK, _QUANTITY, _OTHER, ...)
    names = agreement[_QUANTITY].values.astype(str).tolist()
    with drawing(ax) as style:
        line = points_mm(style.small_pt)
        rows = len(networks) + len(names) - 1
        if ax is None:
            ax = blank_axes(width_mm=style.double_mm, height_mm=min((2.5 * rows + 14) * line, style.tallest_mm))
        width, height = sheet_mm(ax)
        left, tall = min(15 * line, 0.24 * width), min(2.5 * line, (height - 14 * line) / rows)
        step = (width - left - line) / len(names)
        letters = max(int(step / (0.58 * line)), 8)
        heads = [textwrap.fill(in_words(name, agreement), letters, break_long_words=False) for name in names]
        upper = inset_mm(ax, left, 6.2 * line, width - left - line, len(networks) * tall)
        _draw_ranks(upper, agreement, heads, style)
        below = 6.2 * line + len(networks) * tall
        title, note = _about_pairs(agreement)
        texts = {1.1: "Bold: rank, 1 the most like people (of saliency: the most of it).", 3.3: title,
                 5.7 + (len(names) - 1) * tall / line: note}  # fmt: skip
        for lines, text in texts.items():
            color = "black" if text == title else QUIET
            ax.text(left, below + lines * line, text, fontsize=style.small_pt, color=color, va="center")
        lower = inset_mm(ax, left, below + 4.6 * line, step * (len(names) - 1), tall * (len(names) - 1))
        letters = max(int((left - line) / (0.56 * line)), 10)
        heads = [textwrap.fill(in_words(name, agreement), letters) for name in names[1:]]
        _draw_correlations(lower, agreement, heads, (step, tall), style)
        note_on_sheet(ax, note_of(agreement.attrs, networks), style)
        keep_source(ax, table, name="agreement", caption=simple_caption(_AGREEMENT, agreement.attrs, networks))
    return ax


def in_words(quantity: str, agreement: xr.Dataset) -> str:
    """Return a measure in words."""
    if quantity in _WORDS:
        return _WORDS[quantity]
    kind, _, rest = quantity.partition("_")
    if kind == "similarity" and "at_layer" in agreement:
        layers = sorted(set(agreement["at_layer"].values.astype(str)) - {""})
        return f"RDM similarity, {rest} ({' or '.join(layers)})"
    return f"Saliency on the {rest}" if kind == "saliency" else quantity.replace("_", " ")


def _draw_ranks(ax: Axes, agreement: xr.Dataset, heads: list[str], style: FigureStyle) -> None:
    """Draw a cell for each network and measure: its rank in bold, and its value."""
    networks = agreement[NETWORK].values.astype(str).tolist()
    values, ranks = agreement["value"].values, agreement["rank"].values
    shades = np.where(np.isfinite(values), 0.5 * (1 - (ranks - 1) / max(len(networks) - 1, 1)), 0.0)
    _draw_cells(ax, shades, "Greys", (0, 1), style)
    best = agreement[_QUANTITY].values.astype(str) == "similarity_peak"
    for row, column in np.ndindex(values.shape):
        if not np.isfinite(values[row, column]):
            _write(ax, column + 0.5, row + 0.5, "none", style.least_pt, color=QUIET)
            continue
        layer = f"\n{agreement['peak_layer'].values[row]}" if best[column] else ""
        _write(ax, column + 0.12, row + 0.5, f"{ranks[row, column]:g}", style.small_pt, weight="bold", ha="left")
        _write(ax, column + 0.92, row + 0.5, f"{number(float(values[row, column]))}{layer}", ha="right",
               size=style.least_pt if layer else style.small_pt)  # fmt: skip
    ax.xaxis.tick_top()
    ax.set_xticks(np.arange(len(heads)) + 0.5, heads, fontsize=style.small_pt, linespacing=1.15, parse_math=False)
    ax.set_yticks(np.arange(len(networks)) + 0.5, [printable(network_label(name)) for name in networks],
                  fontsize=style.small_pt, weight="bold", parse_math=False)  # fmt: skip
    for label, name in zip(ax.get_yticklabels(), networks, strict=True):
        label.set_color(ink(network_colors(networks)[name]))


def _draw_correlations(
    ax: Axes, agreement: xr.Dataset, heads: list[str], size: tuple[float, float], style: FigureStyle
) -> None:
    """Draw a cell for each pair of measures: how far their ranks agree, and its interval or p."""
    rho, p = (agreement[name].values[1:, :-1] for name in ("rank_correlation", "rank_correlation_p"))
    ends = agreement["rank_correlation_interval"].transpose(_QUANTITY, _OTHER, BOUND).values[1:, :-1]
    shown = np.where(np.tri(len(rho), dtype=bool), rho, np.nan)
    _draw_cells(ax, 0.5 + 0.36 * shown, "RdBu_r", (0, 1), style)
    letters = (size[0] - 0.3 * points_mm(style.small_pt)) / (0.56 * points_mm(style.least_pt))
    large = style.small_pt if size[1] > 2.1 * points_mm(style.small_pt) else style.least_pt
    for row, column in np.argwhere(np.tri(len(rho), dtype=bool)):
        if not np.isfinite(rho[row, column]):
            ax.add_patch(Rectangle((column, row), 1, 1, facecolor="#F2F2F2", edgecolor="white"))
            _write(ax, column + 0.5, row + 0.5, "none", style.least_pt, color=QUIET)
            continue
        below = f"p = {number(p[row, column], digits=2)}"
        if np.isfinite(ends[row, column, 0]):
            low, high = ends[row, column]
            full = f"{low:.2f}, {high:.2f}"  # shorter where it would run into the next
            forms = (full, full.replace("0.", "."), f"{low:.1f}, {high:.1f}")
            below = next((form for form in forms if len(form) <= letters), forms[-1])
        color = ink_on(mpl.colormaps["RdBu_r"](0.5 + 0.36 * rho[row, column]))
        _write(ax, column + 0.5, row + 0.30, number(rho[row, column], digits=2), large, color=color)
        _write(ax, column + 0.5, row + 0.76, below, style.least_pt, color=color)
    ax.set_xticks([])
    ax.set_yticks(np.arange(len(heads)) + 0.5, heads, linespacing=1.0, parse_math=False,
                  fontsize=style.least_pt if any("\n" in head for head in heads) else style.small_pt)  # fmt: skip


def _draw_cells(ax: Axes, shades: np.ndarray, colors: str, limits: tuple[float, float], style: FigureStyle) -> None:
    sns.heatmap(shades, cmap=colors, vmin=limits[0], vmax=limits[1], cbar=False, linewidths=style.line_pt, ax=ax,
                xticklabels=False, yticklabels=False, mask=np.isnan(shades))  # fmt: skip
    ax.tick_params(length=0)


def _write(ax: Axes, x: float, y: float, text: str, size: float, *, ha: str = "center", **look: Any) -> None:
    ax.text(x, y, text.replace("-", "\N{MINUS SIGN}"), fontsize=size, ha=ha, va="center", linespacing=1.0,
            parse_math=False, **look)  # fmt: skip


def _about_pairs(agreement: xr.Dataset) -> tuple[str, str]:
    """Return what stands above the correlations and below them, of intervals and p values those that are there."""
    most = int(agreement["n_networks"].values.max())
    pairs = np.tril_indices(agreement.sizes[_QUANTITY], -1)
    known = np.isfinite(agreement["rank_correlation"].transpose(_QUANTITY, _OTHER).values[pairs])
    lower = agreement["rank_correlation_interval"].transpose(_QUANTITY, _OTHER, BOUND).values[(*pairs, 0)]
    bounded, tested = (known & np.isfinite(lower)).any(), (known & ~np.isfinite(lower)).any()
    below = ", or ".join(["its interval over people"] * bool(bounded) + ["p"] * bool(tested))
    title = f"Rank correlation across {most} networks" + (f"; below each, {below}" if below else "")
    if most < _FEWEST:
        return title, f"Fewer than {_FEWEST} networks have no rank correlation."
    warning = f"With {most} networks a rank correlation is an anecdote" if most < _MANY else ""
    if not tested:
        return title, warning and f"{warning}."
    return title, f"{warning}; p by permutation of the networks." if warning else "P by permutation of the networks."


_FLAGGED = "#A80F3C"
_MOST_NAMES = 40
_VALUES = {"halves": "Halves", "people": "Reliability of their mean", "coverage": "Pairs"}


def plot_reliability(reliability: xr.Dataset) -> dict[str, Axes]:
    """Draw a reliability in four panels of one figure."""
    must_hold(reliability, ("split_half_draws", "agreement"), "What `assess_reliability` returned")
    with drawing() as style:
        tall = min(max(0.62 * style.double_mm, 42 * points_mm(style.text_pt)), style.tallest_mm)
        size = (style.double_mm / MM_PER_INCH, tall / MM_PER_INCH)
        panels = plt.figure(figsize=size, layout="constrained").subplots(2, 2)
        axes = dict(zip(("halves", "people", "agreement", "coverage"), panels.flat, strict=True))
        _draw_halves(axes["halves"], reliability)
        _draw_people(axes["people"], reliability)
        _draw_agreement(axes["agreement"], reliability, style)
        _draw_coverage(axes["coverage"], reliability)
        add_note(axes["people"], note_of(reliability.attrs, []), style)
        retest = "; dashes: retest" if "test_retest" in reliability else ""
        others = f"Agreement with the others{retest}\n({_label(reliability)})"
        for name, text in {**_VALUES, "agreement": others}.items():
            name_values(axes[name], text, style)
        for ax in axes.values():
            letters = int(size_mm(ax)[0] / (0.56 * points_mm(style.small_pt)))
            head = textwrap.fill(ax.get_title(loc="left"), max(letters, 20))
            ax.set_title(head, loc="left", fontsize=style.small_pt)
    return axes


def _label(reliability: xr.Dataset) -> str:
    return comparison_label(str(reliability.attrs["comparison"]))


def _draw_halves(ax: Axes, reliability: xr.Dataset) -> None:
    draws = reliability["split_half_draws"].values
    draws = draws[~np.isnan(draws)]
    ax.hist(draws, bins=min(40, max(5, len(draws) // 20)), color=CEILING_COLOR)
    ax.axvline(float(reliability["split_half"]), color=HUMAN_COLOR)
    ax.set_title(
        f"{number(float(reliability['split_half_corrected']), digits=2)} for all, by Spearman-Brown", loc="left"
    )
    ax.set_xlabel(f"Similarity of random halves\n({_label(reliability)})")
    keep_source(
        ax,
        pd.DataFrame({"similarity": draws}),
        name="halves",
        caption="Similarity of the mean RDMs of random halves of the participants; line: their mean.",
    )


def _draw_people(ax: Axes, reliability: xr.Dataset) -> None:
    size = reliability["group_size"].values
    predicted, measured = (reliability[f"reliability_{how}"].values for how in ("predicted", "measured"))
    ax.plot(size, predicted, color=HUMAN_COLOR, label="predicted (Spearman-Brown)")
    ax.plot(size, measured, "o", color=HUMAN_COLOR, fillstyle="none", label="measured")
    people = reliability.sizes[PARTICIPANT]
    ax.axvline(people, color=QUIET, linestyle=":", label=f"these {people}")
    ax.set(xscale="log", ylim=(min(0.0, float(predicted.min())), 1.02), xlabel="Participants")
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if tick <= size.max()]
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.legend(loc="best")
    table = {"group_size": size, "reliability_predicted": predicted, "reliability_measured": measured}
    keep_source(
        ax, pd.DataFrame(table), name="people", caption="Reliability of the mean RDM by the number of participants."
    )


def _draw_agreement(ax: Axes, reliability: xr.Dataset, style: FigureStyle) -> None:
    shown = ("agreement", "outlying", "pairs_judged", "response_bias", "test_retest")
    table = reliability[[name for name in shown if name in reliability]].to_dataframe()
    table = table.sort_values("agreement", ascending=False, kind="stable").reset_index()
    names, flagged = [printable(name) for name in table[PARTICIPANT]], table["outlying"].to_numpy(dtype=bool)
    ax.axhspan(*(float(bound) for bound in reliability["noise_ceiling"]), color=CEILING_COLOR, linewidth=0)
    ax.plot(table.index[~flagged], table["agreement"][~flagged], "o", color=HUMAN_COLOR)
    ax.plot(table.index[flagged], table["agreement"][flagged], "D", color=_FLAGGED)
    if "test_retest" in table:
        ax.plot(table.index, table["test_retest"], "_", color=QUIET)
    few = len(names) <= _MOST_NAMES
    ax.set_xticks(table.index if few else [], names if few else [], rotation=90, fontsize=style.least_pt,
                  parse_math=False)  # fmt: skip
    ax.set_xlabel("Participant" if few else f"{len(names)} participants")
    ax.set_title(f"{int(flagged.sum())} flagged, none dropped; band: noise ceiling", loc="left")
    keep_source(
        ax,
        table,
        name="agreement",
        caption="Agreement of each participant with the mean of the others; band: noise ceiling; diamonds: flagged.",
    )


def _draw_coverage(ax: Axes, reliability: xr.Dataset) -> None:
    square = reliability["people_of_pair"].values
    count = square[np.triu_indices(len(square), 1)]
    people = np.arange(reliability.sizes[PARTICIPANT] + 1)
    pairs = np.bincount(count, minlength=len(people))
    ax.bar(people, pairs, color=np.where(people == 0, _FLAGGED, HUMAN_COLOR), width=0.9)
    ax.set(xlabel="Participants who judged a pair", xlim=(-0.6, people[-1] + 0.6))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(f"{pairs[0]} of {len(count)} pairs judged by nobody", loc="left")
    keep_source(
        ax,
        pd.DataFrame({"participants": people, "pairs": pairs}),
        name="coverage",
        caption="Pairs of stimuli by how many participants judged them.",
    )
