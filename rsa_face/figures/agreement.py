"""How far people agree with one another, and measures of likeness to people with one another."""

import textwrap
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from rsa_face.figures.layout import (
    add_note,
    blank_axes,
    keep_source,
    name_values,
    note_of,
    note_on_sheet,
    points_mm,
    printable,
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
from rsa_face.schema import BOUND, NETWORK, PARTICIPANT, comparison_label

_QUANTITY, _OTHER = "quantity", "quantity_other"
_WORDS = {
    "similarity_peak": "RDM similarity, best layer",
    "pse_distance": "PSE, distance from people",
    "curve_rmse": "Choices, distance from people",
}
_RANKS, _CORRELATIONS = "Greys", "RdBu_r"
_FEWEST, _MANY = 3, 10
_Place = tuple[float, float, float, float]  # left, top, and the size of a cell, in mm


def plot_agreement(agreement: xr.Dataset, *, ax: Axes | None = None) -> Axes:
    """Draw what each measure says of each network, shaded by rank, and how far the ranks agree."""
    networks = in_order(map(str, agreement[NETWORK].values))
    quantities = [str(name) for name in agreement[_QUANTITY].values]
    with drawing(ax) as style:
        line = points_mm(style.small_pt)
        rows = len(networks) + len(quantities) - 1
        if ax is None:
            ax = blank_axes(width_mm=style.double_mm, height_mm=min((2.5 * rows + 14) * line, style.tallest_mm))
        width, height = size_mm(ax)
        ax.set(xlim=(0, width), ylim=(height, 0))
        ax.set_axis_off()
        left = min(15 * line, 0.24 * width)
        step = (width - left - line) / len(quantities)
        tall = min(2.5 * line, (height - 14 * line) / rows)
        for place, name in enumerate(quantities):
            said = textwrap.fill(in_words(name, agreement), max(int(step / (0.58 * line)), 8), break_long_words=False)
            ax.text(left + (place + 0.5) * step, 5.6 * line, said, fontsize=style.small_pt, ha="center", va="bottom",
                    linespacing=1.15, parse_math=False)  # fmt: skip
        _draw_ranks(ax, agreement.sel({NETWORK: networks}), (left, 6.2 * line, step, tall), style)
        below = 6.2 * line + len(networks) * tall
        ax.text(left, below + 1.1 * line, "Bold: rank, 1 the most like people (of saliency: the most of it).",
                fontsize=style.small_pt, color=QUIET, va="center")  # fmt: skip
        _draw_correlations(ax, agreement, (left, below + 4.6 * line, step, tall), style)
        note_on_sheet(ax, note_of(agreement.attrs, networks), style)
        keep_source(ax, agreement_table(agreement), name="agreement")
    return ax


def in_words(quantity: str, agreement: xr.Dataset) -> str:
    """Return a measure in words."""
    if quantity in _WORDS:
        return _WORDS[quantity]
    kind, _, rest = quantity.partition("_")
    if kind == "similarity" and "at_layer" in agreement:
        found = sorted(set(agreement["at_layer"].values.astype(str)) - {""})
        return f"RDM similarity, {rest} ({' or '.join(found)})"
    return f"Saliency on the {rest}" if kind == "saliency" else quantity.replace("_", " ")


def _draw_ranks(ax: Axes, agreement: xr.Dataset, place: _Place, style: FigureStyle) -> None:
    left, top, step, tall = place
    line = points_mm(style.small_pt)
    networks = agreement[NETWORK].values.astype(str).tolist()
    colors, shades = network_colors(networks), mpl.colormaps[_RANKS]
    peaks = agreement["peak_layer"].values.astype(str)
    quantities = agreement[_QUANTITY].values.astype(str).tolist()
    values, ranks = (agreement[name].transpose(NETWORK, _QUANTITY).values for name in ("value", "rank"))
    for row, network in enumerate(networks):
        y = top + (row + 0.5) * tall
        ax.text(left - 0.7 * line, y, printable(network_label(network)), fontsize=style.small_pt, weight="bold",
                color=ink(colors[network]), ha="right", va="center", parse_math=False)  # fmt: skip
        for column, quantity in enumerate(quantities):
            value, rank = values[row, column], ranks[row, column]
            known = np.isfinite(value)
            shade = 0.5 * (1 - (rank - 1) / max(len(networks) - 1, 1)) if known else 0.0
            _cell(ax, left + column * step, top + row * tall, (step, tall), shades(shade))
            middle = left + (column + 0.5) * step
            if not known:
                ax.text(middle, y, "none", fontsize=style.least_pt, color=QUIET, ha="center", va="center")
                continue
            said = f"{value:.3f}" + (f"\n{peaks[row]}" if quantity == "similarity_peak" else "")
            ax.text(left + column * step + 0.7 * line, y, f"{rank:g}", fontsize=style.small_pt, weight="bold",
                    va="center")  # fmt: skip
            ax.text(left + (column + 1) * step - 0.6 * line, y, said.replace("-", "\N{MINUS SIGN}"), ha="right",
                    fontsize=style.least_pt if "\n" in said else style.small_pt, va="center", linespacing=1.0,
                    parse_math=False)  # fmt: skip


def _draw_correlations(ax: Axes, agreement: xr.Dataset, place: _Place, style: FigureStyle) -> None:
    left, top, step, tall = place
    line = points_mm(style.small_pt)
    names = agreement[_QUANTITY].values.astype(str).tolist()
    title, note = _about_pairs(agreement)
    ax.text(left, top - 1.3 * line, title, fontsize=style.small_pt, va="center")
    for row, name in enumerate(names[1:]):
        y = top + row * tall
        said = textwrap.fill(in_words(name, agreement), max(int((left - line) / (0.56 * line)), 10))
        ax.text(left - 0.7 * line, y + 0.5 * tall, said, ha="right", va="center", linespacing=1.0, parse_math=False,
                fontsize=style.small_pt if "\n" not in said else style.least_pt)  # fmt: skip
        for column, other in enumerate(names[: row + 1]):
            pair = agreement.sel({_QUANTITY: name, _OTHER: other})
            _draw_pair(ax, pair, (left + column * step, y, step, tall), style)
    ax.text(left, top + (len(names) - 1) * tall + 1.1 * line, note, fontsize=style.small_pt, color=QUIET, va="center")


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
    warned = f"With {most} networks a rank correlation is an anecdote" if most < _MANY else ""
    if not tested:
        return title, warned and f"{warned}."
    return title, f"{warned}; p by permutation of the networks." if warned else "P by permutation of the networks."


def _draw_pair(ax: Axes, pair: xr.Dataset, place: _Place, style: FigureStyle) -> None:
    x, y, step, tall = place
    line = points_mm(style.small_pt)
    rho, p = float(pair["rank_correlation"]), float(pair["rank_correlation_p"])
    if not np.isfinite(rho):
        _cell(ax, x, y, (step, tall), "#F2F2F2")
        ax.text(
            x + 0.5 * step, y + 0.5 * tall, "none", fontsize=style.least_pt, color=QUIET, ha="center", va="center"
        )
        return
    color = mpl.colormaps[_CORRELATIONS](0.5 + 0.36 * rho)
    _cell(ax, x, y, (step, tall), color)
    lower, upper = pair["rank_correlation_interval"].values.tolist()
    below = f"p = {p:.2f}"
    if np.isfinite(lower):
        whole, letters = f"{lower:.2f}, {upper:.2f}", (step - 0.3 * line) / (0.56 * points_mm(style.least_pt))
        shorter = (whole, whole.replace("0.", "."), f"{lower:.1f}, {upper:.1f}")  # else it runs into the next
        below = next((said for said in shorter if len(said) <= letters), shorter[-1])
    large = style.small_pt if tall > 2.1 * line else style.least_pt
    for said, up, size in ((f"{rho:.2f}", 0.30, large), (below, 0.76, style.least_pt)):
        ax.text(x + 0.5 * step, y + up * tall, said.replace("-", "\N{MINUS SIGN}"), fontsize=size, ha="center",
                va="center", color=ink_on(color))  # fmt: skip


def _cell(ax: Axes, x: float, y: float, size: tuple[float, float], color: Any) -> None:
    ax.add_patch(Rectangle((x, y), *size, facecolor=color, edgecolor="white", linewidth=1.0))


_FLAGGED = "#A80F3C"
_MOST_NAMES = 40
_VALUES = {"halves": "Halves", "people": "Reliability of their mean", "coverage": "Pairs"}


def plot_reliability(reliability: xr.Dataset) -> dict[str, Axes]:
    """Draw a reliability in four panels of one figure."""
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
        for name, text in {**_VALUES, "agreement": _agreement_words(reliability)}.items():
            name_values(axes[name], text, style)
        for ax in axes.values():
            letters = int(size_mm(ax)[0] / (0.56 * points_mm(style.small_pt)))
            head = textwrap.fill(ax.get_title(loc="left"), max(letters, 20))
            ax.set_title(head, loc="left", fontsize=style.small_pt)
    return axes


def _agreement_words(found: xr.Dataset) -> str:
    retest = "; dashes: retest" if "test_retest" in found else ""
    return f"Agreement with the others{retest}\n({_label(found)})"


def _label(reliability: xr.Dataset) -> str:
    return comparison_label(str(reliability.attrs["comparison"]))


def _draw_halves(ax: Axes, found: xr.Dataset) -> None:
    draws = found["split_half_draws"].values
    draws = draws[~np.isnan(draws)]
    ax.hist(draws, bins=min(40, max(5, len(draws) // 20)), color=CEILING_COLOR)
    ax.axvline(float(found["split_half"]), color=HUMAN_COLOR)
    ax.set_title(f"{float(found['split_half_corrected']):.2f} for all, by Spearman-Brown", loc="left")
    ax.set_xlabel(f"Similarity of random halves\n({_label(found)})")
    keep_source(ax, pd.DataFrame({"similarity": draws}), name="halves")


def _draw_people(ax: Axes, found: xr.Dataset) -> None:
    size = found["group_size"].values
    ax.plot(size, found["reliability_predicted"].values, color=HUMAN_COLOR, label="predicted (Spearman-Brown)")
    ax.plot(size, found["reliability_measured"].values, "o", color=HUMAN_COLOR, fillstyle="none", label="measured")
    people = found.sizes[PARTICIPANT]
    ax.axvline(people, color=QUIET, linestyle=":", label=f"these {people}")
    ax.set(xscale="log", ylim=(min(0.0, float(found["reliability_predicted"].min())), 1.02))
    ticks = [tick for tick in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000) if tick <= size.max()]
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.set_xlabel("Participants")
    ax.legend(loc="best")
    columns = ["group_size", "reliability_predicted", "reliability_measured"]
    keep_source(ax, found[columns[1:]].to_dataframe().reset_index()[columns], name="people")


def _draw_agreement(ax: Axes, found: xr.Dataset, style: FigureStyle) -> None:
    order = np.argsort(-found["agreement"].values)
    value, flagged = found["agreement"].values[order], found["outlying"].values[order]
    place, names = np.arange(len(value)), [printable(name) for name in found[PARTICIPANT].values[order]]
    low, high = (float(bound) for bound in found["noise_ceiling"])
    ax.axhspan(low, high, color=CEILING_COLOR, linewidth=0)
    ax.plot(place[~flagged], value[~flagged], "o", color=HUMAN_COLOR)
    ax.plot(place[flagged], value[flagged], "D", color=_FLAGGED)
    if len(names) <= _MOST_NAMES:
        ax.set_xticks(place, names, rotation=90, fontsize=style.least_pt, parse_math=False)
    else:
        ax.set_xticks([])
    ax.set_xlabel("Participant" if len(names) <= _MOST_NAMES else f"{len(names)} participants")
    ax.set_title(f"{int(flagged.sum())} flagged, none dropped; band: noise ceiling", loc="left")
    table = {
        PARTICIPANT: names,
        "agreement": value,
        "outlying": flagged,
        "pairs_judged": found["pairs_judged"][order],
    }
    if "response_bias" in found:
        table |= {"response_bias": found["response_bias"].values[order]}
    if "test_retest" in found:
        ax.plot(place, found["test_retest"].values[order], "_", color=QUIET)
        table |= {"test_retest": found["test_retest"].values[order]}
    keep_source(ax, pd.DataFrame(table), name="agreement")


def _draw_coverage(ax: Axes, found: xr.Dataset) -> None:
    square = found["people_of_pair"].values
    count = square[np.triu_indices(len(square), 1)]
    people = np.arange(found.sizes[PARTICIPANT] + 1)
    pairs = np.bincount(count, minlength=len(people))
    ax.bar(people, pairs, color=np.where(people == 0, _FLAGGED, HUMAN_COLOR), width=0.9)
    ax.set(xlabel="Participants who judged a pair", xlim=(-0.6, people[-1] + 0.6))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_title(f"{pairs[0]} of {len(count)} pairs judged by nobody", loc="left")
    keep_source(ax, pd.DataFrame({"participants": people, "pairs": pairs}), name="coverage")
