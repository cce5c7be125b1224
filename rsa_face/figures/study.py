"""A study in one figure: the layer curve, where it turns human-like, the contrast, and the RDMs behind it."""

import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure

from rsa_face.figures.layers import plot_layers
from rsa_face.figures.layout import NOTE, hide_notes, note_of, points_mm, size_mm
from rsa_face.figures.networks import answers_of, picked_layers, plot_contrast, plot_localization, plot_networks
from rsa_face.figures.rdms import plot_rdms
from rsa_face.figures.style import MM_PER_INCH, QUIET, FigureStyle, drawing, in_order
from rsa_face.schema import NETWORK, ORDER, RDM, split_seed
from rsa_face.stimuli.catalogue import StimulusSet

_CAPITALS = ("plos", "apa")
_HEIGHTS = {"layers": 28.0, "middle": 26.0, "rdms": 20.0}  # in times the type size
_LEAST = 0.5
_MOST_EXAMPLES = 5


def plot_study(
    result: xr.Dataset,
    *,
    where: xr.Dataset | Sequence[xr.Dataset] | None = None,
    contrast: xr.Dataset | None = None,
    rdms: xr.DataArray | None = None,
    human: xr.DataArray | None = None,
    stimuli: StimulusSet | None = None,
    compared: Sequence[tuple[str, str, float]] = (),
) -> dict[str, Axes]:
    """Draw a study's panels in one figure over the page; what is not given leaves no gap.

    A slide has no room for the RDMs, which are left to `plot_rdms`.

    Parameters
    ----------
    result : Dataset, dims (rdm, ...)
        A comparison: the layer curve. Not changed.
    where : Dataset, dims (target, layer), or sequence of these, optional
        The answer of `localize` for the network in question; those for other networks may follow it, for the layers
        that `plot_networks` shows.
    contrast : Dataset, dims (layer, bound), optional
        The difference of two networks, of `contrast_layers`.
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j), optional
        Layer RDMs; of each network the layer that `plot_networks` shows, as an example: of networks that differ in
        their seed alone the first, and five at most.
    human : DataArray, dims (participant, stimulus_i, stimulus_j), optional
        Human RDMs, shown beside them.
    stimuli : StimulusSet, optional
        Pictures for the margin of the RDMs.
    compared : sequence of (str, str, float)
        Planned comparisons, as `plot_networks` takes them; left out where their brackets would crowd out the bars.

    Returns
    -------
    dict of str to Axes
        ``layers``, ``networks``, and ``localization``, ``contrast``, ``rdms`` where drawn; all of one figure.
    """
    answers = [where] if isinstance(where, xr.Dataset) else list(where or ())
    first = answers[0] if answers else None
    picked = picked_layers(result, answers_of(answers))
    with drawing() as style:
        middle = [name for name, given in (("localization", first), ("contrast", contrast)) if given is not None]
        rows = _rows_that_fit(["layers", "middle", *(["rdms"] if rdms is not None else [])], style)
        heights = [_HEIGHTS[row] for row in rows]
        tall = min(sum(heights) * points_mm(style.text_pt), style.tallest_mm)
        figure = plt.figure(figsize=(style.double_mm / MM_PER_INCH, tall / MM_PER_INCH), layout="constrained")
        parts = figure.subfigures(len(rows), 1, squeeze=False, height_ratios=heights)[:, 0]
        axes = {"layers": plot_layers(result, ax=parts[0].add_subplot())}
        names = ["networks", *middle]
        columns = parts[1].subfigures(1, len(names), squeeze=False)[0]
        for name, part in zip(names, columns, strict=True):
            ax = part.add_subplot()
            if name == "networks":
                shown = compared if _has_room(ax, compared, style) else ()
                axes[name] = plot_networks(result, ax=ax, where=answers, compared=shown)
            elif name == "localization" and first is not None:
                axes[name] = plot_localization(first, ax=ax)
            elif contrast is not None:
                axes[name] = plot_contrast(contrast, ax=ax)
        if rdms is not None and "rdms" in rows:
            sheet = parts[2].add_axes((0.02, 0.0, 0.98, 1.0))
            axes["rdms"] = plot_rdms(_examples(_at_layers(rdms, picked)), ax=sheet, human=human, stimuli=stimuli)
        for ax in axes.values():
            hide_notes(ax)
        _letter(list(axes.values()), note_of(result.attrs, map(str, result[NETWORK].values)), style)
    return axes


def _rows_that_fit(rows: list[str], style: FigureStyle) -> list[str]:
    """Return the rows a page or slide has room for, from the top, the first two in any case."""
    while len(rows) > 2:
        if _LEAST * sum(_HEIGHTS[row] for row in rows) * points_mm(style.text_pt) <= style.tallest_mm:
            break
        rows = rows[:-1]
    return rows


def most_similar(rdms: xr.DataArray, result: xr.Dataset | None) -> xr.DataArray:
    """Return the layer of each network that is most similar to people: an example of it, not a test."""
    order = rdms[ORDER].values if ORDER in rdms.coords else range(rdms.sizes[RDM])
    score = dict(zip(map(str, rdms[RDM].values), (-1e6 + np.asarray(order)).tolist(), strict=True))
    if result is not None:
        score |= dict(zip(map(str, result[RDM].values), result["similarity"].values.tolist(), strict=True))
    networks = rdms[NETWORK].values.astype(str)
    labels = [str(name) for name in rdms[RDM].values]
    kept = [
        max(np.flatnonzero(networks == network).tolist(), key=lambda place: score[labels[place]])
        for network in in_order(networks)
    ]
    return rdms.isel({RDM: kept})


def _at_layers(rdms: xr.DataArray, layers: Mapping[str, str]) -> xr.DataArray:
    """Return the RDM of each network at its layer; of networks that have no such layer among these, the last one."""
    labels = [f"{network}/{layer}" for network, layer in layers.items()]
    shown = most_similar(rdms, None)
    names = [str(name) for name in rdms[RDM].values]
    given = {label.rpartition("/")[0]: names.index(label) for label in labels if label in names}
    places = [given.get(str(network), names.index(str(label)))
              for network, label in zip(shown[NETWORK].values, shown[RDM].values, strict=True)]  # fmt: skip
    return rdms.isel({RDM: places})


def _examples(rdms: xr.DataArray) -> xr.DataArray:
    """Return the first seed of each network, as many as stand in a row beside people."""
    starts = [split_seed(str(name))[0] for name in rdms[NETWORK].values]
    return rdms.isel({RDM: sorted(starts.index(start) for start in set(starts))[:_MOST_EXAMPLES]})


def _has_room(ax: Axes, compared: Sequence[tuple[str, str, float]], style: FigureStyle) -> bool:
    return 2 * points_mm(style.small_pt) * len(compared) < 0.45 * size_mm(ax)[1]


def _letter(axes: list[Axes], note: str, style: FigureStyle) -> None:
    """Write each panel's letter on a line of its own, so that no label touches it, and beside the first the note."""
    letters = int(0.95 * style.double_mm / (0.52 * points_mm(style.small_pt)))
    lines = textwrap.wrap(note, letters, break_on_hyphens=False)
    for place, ax in enumerate(axes):
        letter = chr(ord("a") + place)
        letter = letter.upper() if style.name in _CAPITALS else letter
        part = ax.get_figure()
        if not isinstance(part, SubFigure):
            continue
        below = "\n" * (len(lines) - 1) if place == 0 else ""
        head = part.suptitle(letter + below, x=0.004, ha="left", weight="bold", fontsize=style.text_pt + 1)
        if place == 0:
            part.text(0.996, head.get_position()[1], "\n".join(lines), ha="right", va="top", fontsize=style.small_pt,
                      color=QUIET, fontstyle="italic", gid=NOTE, parse_math=False)  # fmt: skip
