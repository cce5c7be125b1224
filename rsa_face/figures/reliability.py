"""How good human RDMs are, in one figure: random halves, people needed, people's agreement, and coverage."""

import textwrap

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rsa_face.figures.canvas import (
    add_note,
    keep_source,
    note_of,
    points_mm,
    printable,
    size_mm,
)
from rsa_face.figures.palette import CEILING_COLOR, HUMAN_COLOR, QUIET
from rsa_face.figures.style import MM_PER_INCH, FigureStyle, drawing
from rsa_face.figures.ticks import name_values
from rsa_face.schema import PARTICIPANT, comparison_label

_FLAGGED = "#A80F3C"
_MOST_NAMES = 40
_VALUES = {"halves": "Halves", "people": "Reliability of their mean", "coverage": "Pairs"}


def plot_reliability(reliability: xr.Dataset) -> dict[str, Axes]:
    """Draw a reliability in four panels of one figure.

    Parameters
    ----------
    reliability : Dataset
        As `assess_reliability` returns it. Not changed.

    Returns
    -------
    dict of str to Axes
        ``halves``: the similarity of random halves. ``people``: reliability over group size, measured and
        predicted. ``agreement``: each participant with the mean of the others, in the noise ceiling; flagged ones
        are red diamonds. ``coverage``: how many participants judged each pair.
    """
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
