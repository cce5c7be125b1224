"""How well a network judges valence: probabilities of happy, and accuracy, AUC and calibration from them."""

import copy
from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
import xarray as xr
from sklearn.metrics import roc_auc_score
from torch import Tensor

from rsa_face.networks.zoo import Network, evaluating
from rsa_face.training.batches import open_pictures
from rsa_face.training.settings import HAPPY, SAD
from rsa_face.training.tables import TrainingTable

SCORES = ("accuracy", "balanced_accuracy", "auc", "calibration_error", "brier", "stimuli")


@torch.no_grad()
def judge_valence(network: Network, table: TrainingTable, *, batch: int = 32, device: str = "cpu") -> pd.DataFrame:
    """Return how likely a network takes each face to be happy rather than sad.

    The two-way readout: the exponentials of the outputs for happy and sad, renormalised to these two, whatever
    other classes the network has.

    Parameters
    ----------
    network : Network
        Its `outputs` say which one stands for what.
    table : TrainingTable
        The faces.
    batch : int
        Images at a time.
    device : str
        Where to run.

    Returns
    -------
    DataFrame, one row an image
        The table's columns, and `happy`: probability in 0-1.

    Raises
    ------
    ValueError
        If the network has no outputs for happy and sad, or an image cannot be read.
    """
    lacking = [name for name in (SAD, HAPPY) if name not in network.outputs]
    if lacking:
        message = (
            f"A network must have outputs for sad and happy to judge valence, but {network.name} has "
            f"{list(network.outputs) or 'no names for its outputs'}. Train it first, with train_valence."
        )
        raise ValueError(message)
    pictures = open_pictures(table, network.preprocessing)
    module = network.module if device == "cpu" else copy.deepcopy(network.module).to(device)
    with evaluating(module):
        parts = [
            probability_happy(module(inputs.to(device)).float().cpu(), network.outputs)
            for _, inputs in pictures.batches(range(len(table)), batch)
        ]
    return table.table.assign(happy=np.concatenate(parts))


def probability_happy(logits: Tensor, outputs: Sequence[str]) -> np.ndarray:
    """Return the probability of happy against sad.

    Parameters
    ----------
    logits : Tensor, shape (image, output)
        What the network computed.
    outputs : sequence of str
        What the outputs stand for.

    Returns
    -------
    ndarray of float64, shape (image,)
        In 0-1.

    Examples
    --------
    >>> probability_happy(torch.tensor([[0.0, 9.0, 0.0]]), ["sad", "angry", "happy"])
    array([0.5])
    """
    either = logits[:, [list(outputs).index(SAD), list(outputs).index(HAPPY)]].double()
    return torch.softmax(either, dim=1)[:, 1].numpy()


def score_judgements(judgements: pd.DataFrame, *, by: str = "occlusion", name: str = "network") -> xr.Dataset:
    """Sum up how well happy and sad were told apart, over all faces and for each value of a factor.

    Parameters
    ----------
    judgements : DataFrame, one row an image
        With `class` (happy or sad; others are left out) and `happy`, as `judge_valence` returns it.
    by : str
        The factor; faces without it count as ``all`` alone.
    name : str
        What to call the network.

    Returns
    -------
    Dataset, dims (network, condition)
        `accuracy`, `balanced_accuracy` (mean of the two classes' own), `auc`, `calibration_error` (mean distance of
        probability and frequency over ten bins, weighed by their faces), `brier`, and `stimuli`, a count. NaN where
        one class is absent.

    Notes
    -----
    Calibration error after Guo et al. 2017, arXiv 1706.04599; Brier score after Brier 1950,
    10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.
    """
    either = judgements[judgements["class"].isin([SAD, HAPPY])]
    groups = {"all": either}
    if by in either.columns:
        groups |= {str(value): part for value, part in either.groupby(by, sort=False)}
    rows = [score_probabilities(part["happy"], part["class"] == HAPPY) for part in groups.values()]
    values = {score: (("network", "condition"), np.array([[row[score] for row in rows]])) for score in SCORES}
    attrs = {"readout": "happy against sad, renormalised", "condition": by, "threshold": 0.5}
    return xr.Dataset(values, {"network": [name], "condition": list(groups)}, attrs)


def score_probabilities(happy: Sequence[float] | pd.Series, truth: Sequence[bool] | pd.Series) -> dict[str, float]:
    """Score probabilities of happy against what the faces show.

    Parameters
    ----------
    happy : sequence of float
        Probabilities in 0-1; .5 itself is neither, and counts half.
    truth : sequence of bool
        Whether each face is happy.

    Returns
    -------
    dict of str to float
        See `score_judgements`.

    Examples
    --------
    >>> score_probabilities([0.9, 0.8, 0.4, 0.1], [True, True, True, False])["accuracy"]
    0.75
    """
    p, y = np.asarray(happy, dtype=float), np.asarray(truth, dtype=bool)
    right = np.where(p == 0.5, 0.5, (p > 0.5) == y)
    both = bool(y.any() and not y.all())
    bins = np.minimum((p * 10).astype(int), 9)
    gaps = [abs(p[bins == b].mean() - y[bins == b].mean()) * (bins == b).mean() for b in np.unique(bins)]
    return {
        "accuracy": float(right.mean()),
        "balanced_accuracy": float((right[y].mean() + right[~y].mean()) / 2) if both else float("nan"),
        "auc": float(roc_auc_score(y, p)) if both else float("nan"),
        "calibration_error": float(np.sum(gaps)),
        "brier": float(np.mean((p - y) ** 2)),
        "stimuli": float(len(p)),
    }
