"""Could a study tell layers apart: recovery of layers, how stable an answer is, and how many people it takes."""

import textwrap

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rsa_face.figures.captions import caption_of_plan, caption_of_recovery, caption_of_stability
from rsa_face.figures.layout import (
    add_note,
    keep_source,
    note_of,
    points_mm,
    printable,
    size_mm,
)
from rsa_face.figures.style import (
    MM_PER_INCH,
    QUIET,
    FigureStyle,
    drawing,
    ink_on,
    network_colors,
    network_label,
)
from rsa_face.schema import LAYER, NETWORK, must_hold

_MOST_WRITTEN = 12  # layers whose shares are written into the cells
_FIT_TITLES = {
    "raw": "As localised",
    "raw, left-out stimuli": "On left-out stimuli",
    "reweighted": "Reweighted, on left-out stimuli",
}
_KINDS = {"half": "half of stimuli", "participant": "participant"}


def plot_recovery(recovery: xr.Dataset) -> dict[str, Axes]:
    """Draw which layer simulated studies pick, by the layer that is the truth: a panel for each way of fitting.

    Parameters
    ----------
    recovery : Dataset, dims (fit, true, picked)
        From `recover_layers`. Not changed.

    Returns
    -------
    dict of str to Axes
        The panels, by the coordinate `fit`.

    Raises
    ------
    ValueError
        If this is no result of `recover_layers`.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"]).assign_coords(
    ...     network=("rdm", ["mine"] * 2), layer=("rdm", ["fc7", "fc8"]), depth=("rdm", [0.5, 1.0]))
    >>> rsa = rf.RSA(models, demo.human, comparison="corr")
    >>> list(plot_recovery(rf.recover_layers(rsa, network="mine", simulations=20, reweight=False)))
    ['raw']
    """
    must_hold(recovery, ("picked_share", "share_recovered"), "A result of `recover_layers`")
    names = _layer_labels(recovery)
    fits = [str(fit) for fit in recovery["fit"].values]
    with drawing() as style:
        wide = style.double_mm if len(fits) > 1 else style.single_mm
        tall = min(wide / len(fits) + 5 * points_mm(style.text_pt), style.tallest_mm)
        figure = plt.figure(figsize=(wide / MM_PER_INCH, tall / MM_PER_INCH), layout="constrained")
        panels = figure.subplots(1, len(fits), sharey=True, squeeze=False)[0]
        axes = dict(zip(fits, panels, strict=True))
        for fit, ax in axes.items():
            _draw_shares(ax, recovery.sel(fit=fit), names, style)
            share = float(recovery["share_recovered"].sel(fit=fit))
            title = f"{_FIT_TITLES.get(fit, fit)}: {share:.0%} recovered"
            letters = max(int(size_mm(ax)[0] / (0.55 * points_mm(style.small_pt))), 12)
            ax.set_title(textwrap.fill(title, letters), loc="left", fontsize=style.small_pt)
        first = axes[fits[0]]
        first.set_ylabel("Layer that is the truth")
        figure.supxlabel(f"Layer picked (chance {recovery.attrs['chance']:.0%})", fontsize=style.text_pt)
        networks = sorted({str(name) for name in recovery[NETWORK].values}) if NETWORK in recovery.coords else []
        note = note_of({**recovery.attrs, "simulated": False}, networks)
        add_note(first, "; ".join(filter(None, ["simulated people", note])), style, pad=0.5)
        table = recovery["picked_share"].to_dataframe()[["picked_share"]].reset_index()
        keep_source(first, table, name="recovery", caption=caption_of_recovery(recovery, networks))
    return axes


def _draw_shares(ax: Axes, recovery: xr.Dataset, names: list[str], style: FigureStyle) -> None:
    shares = recovery["picked_share"].transpose("true", "picked").values
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="equal", interpolation="none")
    few = len(names) <= _MOST_WRITTEN
    step = 1 if few else int(np.ceil(len(names) / 20))
    shown = list(range(0, len(names), step))
    for row, column in np.argwhere(shares >= 0.005) if few else ():
        text, color = f"{shares[row, column]:.2f}".lstrip("0"), ink_on(mpl.colormaps["Blues"](shares[row, column]))
        ax.text(column, row, text, ha="center", va="center", fontsize=style.least_pt, color=color)
    ax.set_xticks(shown, [names[at] for at in shown], rotation=90, fontsize=style.least_pt, parse_math=False)
    ax.set_yticks(shown, [names[at] for at in shown], fontsize=style.least_pt, parse_math=False)
    ax.tick_params(length=0)


def _layer_labels(recovery: xr.Dataset) -> list[str]:
    """Return what each layer is called: without its network where there is one alone."""
    if not {NETWORK, LAYER} <= set(recovery.coords):
        return [printable(name) for name in recovery["true"].values]
    networks = [str(name) for name in recovery[NETWORK].values]
    layers = [str(name) for name in recovery[LAYER].values]
    if len(set(networks)) == 1:
        return [printable(layer) for layer in layers]
    return [printable(f"{network_label(name)} {layer}") for name, layer in zip(networks, layers, strict=True)]


def plot_stability(stability: xr.Dataset) -> dict[str, Axes]:
    """Draw which layer is picked, and the contrast with the baseline, with each part of the data left out.

    Parameters
    ----------
    stability : Dataset
        From `assess_stability`. Not changed.

    Returns
    -------
    dict of str to Axes
        ``picked``: how often each layer is picked by what is left out; ``contrast``, where there is a baseline.

    Raises
    ------
    ValueError
        If this is no result of `assess_stability`.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"]).assign_coords(
    ...     network=("rdm", ["mine"] * 2), layer=("rdm", ["fc7", "fc8"]), depth=("rdm", [0.5, 1.0]))
    >>> rsa = rf.RSA(models, demo.human, comparison="corr")
    >>> list(plot_stability(rf.assess_stability(rsa, network="mine", baseline=None, halves=10)))
    ['picked']
    """
    must_hold(stability, ("picked", "similarity", "kind"), "A result of `assess_stability`")
    kinds = [str(kind) for kind in stability["kind_left_out"].values]
    layers = [str(layer) for layer in stability[LAYER].values]
    network = str(stability.attrs["network"])
    color = network_colors([network])[network]
    contrasted = "contrast" in stability
    with drawing() as style:
        wide = style.double_mm if contrasted else style.single_mm
        tall = (2.6 * len(kinds) + 14) * points_mm(style.text_pt)
        figure = plt.figure(figsize=(wide / MM_PER_INCH, tall / MM_PER_INCH), layout="constrained")
        panels = figure.subplots(1, 2 if contrasted else 1, sharey=True, squeeze=False)[0]
        axes = {"picked": panels[0], **({"contrast": panels[1]} if contrasted else {})}
        kind, picked = stability["kind"].values.astype(str), stability["picked"].values.astype(str)
        everything = int(np.flatnonzero(kind == "all")[0])
        shares = np.array([[np.mean(picked[kind == one] == layer) for layer in layers] for one in kinds])
        _draw_picks(axes["picked"], shares, layers, layers.index(picked[everything]), style)
        counts = [int((kind == one).sum()) for one in kinds]
        labels = [f"{_KINDS.get(one, one)} ({count})" for one, count in zip(kinds, counts, strict=True)]
        axes["picked"].set_yticks(range(len(kinds)), [printable(label) for label in labels], parse_math=False)
        axes["picked"].set_ylabel("Left out (cases)")
        axes["picked"].set_title("Share of cases that pick a layer", loc="left", fontsize=style.small_pt)
        if contrasted:
            _draw_contrasts(axes["contrast"], stability, kinds, color, style)
        note = note_of(stability.attrs, [network])
        add_note(axes["picked"], note, style, pad=0.5)
        table = {"case": stability["case"].values, "left_out": kind, "picked": picked}
        table |= {"contrast": stability["contrast"].values} if contrasted else {}
        caption = caption_of_stability(stability)
        keep_source(axes["picked"], pd.DataFrame(table), name="stability", caption=caption)
    return axes


def _draw_picks(ax: Axes, shares: np.ndarray, layers: list[str], whole: int, style: FigureStyle) -> None:
    ax.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto", interpolation="none")
    for row, column in np.argwhere(shares >= 0.005):
        color = ink_on(mpl.colormaps["Blues"](shares[row, column]))
        text = f"{shares[row, column]:.0%}".removesuffix("%")
        ax.text(column, row, text, ha="center", va="center", fontsize=style.least_pt, color=color)
    ax.set_xticks(range(len(layers)), [printable(layer) for layer in layers], rotation=90, parse_math=False)
    ax.get_xticklabels()[whole].set_fontweight("bold")
    ax.set_xlabel("Layer picked, in % (bold: by all data)")
    ax.tick_params(length=0)


def _draw_contrasts(ax: Axes, stability: xr.Dataset, kinds: list[str], color: str, style: FigureStyle) -> None:
    kind, contrast = stability["kind"].values.astype(str), stability["contrast"].values
    whole = float(contrast[kind == "all"][0])
    for row, one in enumerate(kinds):
        values = np.sort(contrast[kind == one])
        # spread evenly across the row, by rank, so that equal values do not hide one another
        jitter = (np.argsort(np.argsort(values * 7919 % 1)) / max(len(values) - 1, 1) - 0.5) * 0.5
        ax.plot(values, row + jitter, "o", color=color, markersize=0.4 * style.small_pt, alpha=0.7, mew=0)
    ax.axvline(whole, color=color, linewidth=style.line_pt)
    ax.axvline(0, color=QUIET, linestyle=":", linewidth=style.line_pt)
    network, baseline = (network_label(str(stability.attrs[name])) for name in (NETWORK, "baseline"))
    ax.set_xlabel(printable(f"{network} minus {baseline} at {stability.attrs['contrast_at']}"))
    ax.set_title("Contrast in each case (line: all data)", loc="left", fontsize=style.small_pt)


def plot_plan(planned: xr.Dataset, *, rival: str | None = None) -> dict[str, Axes]:
    """Draw the power to leave a layer out of the set, and the expected size of the set, by people and stimuli.

    Parameters
    ----------
    planned : Dataset, dims (participants, stimuli, layer)
        From `plan`. Not changed.
    rival : str, optional
        The layer to tell from the peak; the one that is hardest to leave out if not given.

    Returns
    -------
    dict of str to Axes
        ``power`` and ``set_size``.

    Raises
    ------
    ValueError
        If this is no result of `plan`.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"]).assign_coords(
    ...     network=("rdm", ["mine"] * 2), layer=("rdm", ["fc7", "fc8"]), depth=("rdm", [0.5, 1.0]))
    >>> rsa = rf.RSA(models, demo.human, comparison="corr")
    >>> list(plot_plan(rf.plan(rsa, network="mine", participants=[5, 20], draws=100)))
    ['power', 'set_size']
    """
    must_hold(planned, ("left_out", "set_size"), "A result of `plan`")
    rival = hardest_rival(planned) if rival is None else rival
    people, stimuli = planned["participants"].values, planned["stimuli"].values
    unit = plural_of(str(planned.attrs["unit"]))
    with drawing() as style:
        size = (style.double_mm / MM_PER_INCH, 0.5 * style.double_mm / MM_PER_INCH)
        panels = plt.figure(figsize=size, layout="constrained").subplots(1, 2)
        axes = dict(zip(("power", "set_size"), panels, strict=True))
        shades = mpl.colormaps["viridis"](np.linspace(0.05, 0.85, len(stimuli)))
        for at, (count, shade) in enumerate(zip(stimuli, shades, strict=True)):
            now = int(count) == int(planned.attrs["pilot_stimuli"])
            look = {"color": shade, "marker": "o", "markersize": 0.45 * style.small_pt,
                    "linewidth": (1.8 if now else 1.0) * style.line_pt}  # fmt: skip
            label = f"{count} {unit}{' (pilot)' if now else ''}"
            axes["power"].plot(people, planned["left_out"].sel(layer=rival).values[:, at], label=label, **look)
            axes["set_size"].plot(people, planned["set_size"].values[:, at], label=label, **look)
        axes["power"].axhline(float(planned.attrs["power"]), color=QUIET, linestyle=":", linewidth=style.line_pt)
        axes["power"].set_ylim(-0.02, 1.02)
        peak = planned.attrs["peak"]
        axes["power"].set_ylabel(printable(f"Power to tell {peak} from {rival}"))
        axes["set_size"].set_ylim(0.8, float(planned["set_size"].max()) + 0.7)
        axes["set_size"].set_ylabel("Expected layers in the set")
        axes["set_size"].yaxis.set_major_locator(MaxNLocator(integer=True))
        for ax in axes.values():
            ax.axvline(int(planned.attrs["pilot_participants"]), color=QUIET, linewidth=0.6 * style.line_pt)
            ax.set_xlabel("Participants (line: the pilot’s)")
        axes["set_size"].legend(loc="upper right", fontsize=style.least_pt)
        add_note(axes["power"], note_of(planned.attrs, [str(planned.attrs[NETWORK])]), style, pad=0.5)
        table = planned[["left_out", "set_size"]].to_dataframe()[["left_out", "set_size"]].reset_index()
        keep_source(axes["power"], table, name="plan", caption=caption_of_plan(planned, str(rival), unit))
    return axes


def hardest_rival(planned: xr.Dataset) -> str:
    """Return the layer that is hardest to tell from the peak with the pilot's numbers, or those nearest to them."""
    others = planned["left_out"].drop_sel({LAYER: planned.attrs["peak"]})
    now = {name: int(planned.attrs[f"pilot_{name}"]) for name in ("participants", "stimuli")}
    return str(others[LAYER].values[int(np.argmin(others.sel(now, method="nearest").values))])


def plural_of(unit: str) -> str:
    """Return what stimuli are counted in, in the plural."""
    return {"stimulus": "stimuli", "identity": "identities"}.get(unit, f"values of {unit}")
