"""The training curve: a network's loss and accuracy, epoch by epoch, on faces it learnt from and on others."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from rsa_face.figures.palette import network_colors, network_label
from rsa_face.schema import split_seed

_LABELS = {"loss": "Cross-entropy loss", "accuracy": "Accuracy"}


def plot_training(
    history: pd.DataFrame | Mapping[str, pd.DataFrame], *, score: str = "accuracy", ax: Axes | None = None
) -> Axes:
    """Draw a score of one or several trainings along the epochs.

    Solid lines are the training faces, as seen with dropout and variation; dashed ones the validation faces. A
    training that stopped early ends early. Networks that differ in their seed alone share a colour.

    Parameters
    ----------
    history : DataFrame, one row an epoch, or mapping of str to such
        As `train_valence` returns it; the keys name the networks.
    score : {"accuracy", "loss"}
        What to draw.
    ax : Axes, optional
        Where; a new figure unless given.

    Returns
    -------
    Axes
        What was drawn on.

    Raises
    ------
    ValueError
        If the score is unknown, or a history has no epochs.
    """
    if score not in _LABELS:
        message = f"The score must be one of {', '.join(_LABELS)}, but is {score!r}. Choose one of these."
        raise ValueError(message)
    each = {"": history} if isinstance(history, pd.DataFrame) else dict(history)
    empty = [name for name, rows in each.items() if rows.empty]
    if empty or not each:
        message = f"A training curve must have epochs, but {empty or 'nothing'} has none. Train first."
        raise ValueError(message)
    ax = plt.subplots(figsize=(3.5, 2.6), layout="constrained")[1] if ax is None else ax
    starts = {name: split_seed(name)[0] for name in each}
    colours, named = network_colors(starts.values()), set()
    for name, rows in each.items():
        start = starts[name]
        # the seeds of one start share their colour, and their line in the legend
        called = "_" if start in named else f"{network_label(start)} "
        named.add(start)
        line: dict[str, Any] = {"color": colours[start], "marker": "o" if len(rows) == 1 else ""}
        ax.plot(rows["epoch"], rows[score], **line, label=f"{called}training".strip())
        if f"validation_{score}" in rows.columns:
            aside = rows[f"validation_{score}"]
            ax.plot(rows["epoch"], aside, **line, linestyle="--", label=f"{called}validation".strip())
    if score == "accuracy":
        ax.axhline(0.5, color="0.6", linewidth=0.8, linestyle=":", label="chance (two classes)")
        ax.set_ylim(0, 1.02)
    ax.set(xlabel="Epoch", ylabel=_LABELS[score])
    ax.set_xlim(0.5, max(int(rows["epoch"].max()) for rows in each.values()) + 0.5)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    ax.legend(frameon=False, fontsize="small")
    return ax
