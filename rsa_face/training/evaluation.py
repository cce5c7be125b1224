"""How well networks judge valence, over seeds too, and a readout of happy and sad for one that was not trained to."""

from collections.abc import Sequence
from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from scipy import stats
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from torch import Tensor, nn

from rsa_face.networks.survey import evaluating
from rsa_face.networks.zoo import Network
from rsa_face.schema import split_seed
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches
from rsa_face.training.data import TrainingTable, open_pictures
from rsa_face.training.settings import HAPPY, SAD

_STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)  # inverse penalties to choose from
SCORES = ("accuracy", "balanced_accuracy", "auc", "calibration_error", "brier", "stimuli")


@torch.no_grad()
def judge_valence(network: Network, table: TrainingTable, *, batch: int = 32, device: str = "cpu") -> pd.DataFrame:
    """Return how likely a network takes each face to be happy rather than sad.

    The two-way readout: the exponentials of the outputs for happy and sad, renormalised to these two, whatever
    other classes the network has.
    """
    lacking = [name for name in (SAD, HAPPY) if name not in network.outputs]
    if lacking:
        message = (
            f"No outputs for sad and happy in {network.name}: it has {list(network.outputs) or 'none with a name'}. "
            "Train it first, with train_valence."
        )
        raise ValueError(message)
    pictures = open_pictures(table, network.preprocessing)
    module = network.module if device == "cpu" else deepcopy(network.module).to(device)
    with evaluating(module):
        parts = [
            probability_happy(module(inputs.to(device)).float().cpu(), network.outputs)
            for _, inputs in pictures.batches(range(len(table)), batch)
        ]
    return table.table.assign(happy=np.concatenate(parts))


def probability_happy(logits: Tensor, outputs: Sequence[str]) -> np.ndarray:
    """Return the probability of happy against sad."""
    either = logits[:, [list(outputs).index(SAD), list(outputs).index(HAPPY)]].double()
    return torch.softmax(either, dim=1)[:, 1].numpy()


def score_judgements(judgements: pd.DataFrame, *, by: str = "occlusion", name: str = "network") -> xr.Dataset:
    """Sum up how well happy and sad were distinguished, over all faces and for each value of a factor.

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
    """Score probabilities of happy against what the faces show."""
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


def combine_seeds(scores: Sequence[xr.Dataset], *, confidence: float = 0.95) -> xr.Dataset:
    """Average the scores of networks that differ in their seed alone, with an interval over seeds.

    The interval is the mean plus and minus Student's t times the standard error over seeds (Student 1908,
    10.1093/biomet/6.1.1): it speaks of other seeds of this training, not of other faces. What of it lies outside 0 to
    1, where no score can be, is cut off, which leaves how often it holds the true mean as it is.
    """
    joined = xr.concat(list(scores), dim="network", join="outer")
    starts = [split_seed(str(name))[0] for name in joined["network"].values]
    parts = []
    for start in dict.fromkeys(starts):
        members = joined.isel(network=np.flatnonzero(np.array(starts) == start))
        count = members.sizes["network"]
        part = members.mean("network").assign(seeds=count)
        reach = stats.t.ppf((1 + confidence) / 2, count - 1) / np.sqrt(count) if count > 1 else np.nan
        for score in SCORES[:-1]:
            half = members[score].std("network", ddof=min(count - 1, 1)) * reach  # NaN for a single seed
            bounds = xr.concat([part[score] - half, part[score] + half], dim="bound").clip(0, 1)
            part[f"{score}_interval"] = bounds.transpose("condition", "bound")
        parts.append(part.assign_coords(bound=["lower", "upper"]).expand_dims(start=[start]))
    attrs = {**scores[0].attrs, "confidence": confidence, "interval_kind": "t over seeds"}
    return xr.concat(parts, dim="start").assign_attrs(attrs)


def tabulate_seeds(combined: xr.Dataset) -> pd.DataFrame:
    """Return scores over seeds as a table, a row for each start and condition."""
    table = combined[[*SCORES, "seeds"]].to_dataframe().reset_index()
    for score in SCORES[:-1]:
        for bound in ("lower", "upper"):
            column = combined[f"{score}_interval"].sel(bound=bound, drop=True).to_series().rename(f"{score}_{bound}")
            table = table.merge(column, on=["start", "condition"])
    return table


def fit_readout(network: Network, stimuli: StimulusSet, *, strength: float | None = None, batch: int = 16) -> Network:
    """Read happy or sad out of a network's last hidden layer by logistic regression.

    A network without a happy and a sad output cannot choose between them. This gives it one without touching the
    features, so that it can be asked for psychometric curves and saliency; it is no transfer learning. Judge other
    faces than those it was fitted on: on the same ones hundreds of features tell any two classes apart.
    """
    last = [path for path, child in network.module.named_modules() if not any(child.children())][-1]
    if not isinstance(network.module.get_submodule(last), nn.Linear):
        message = f"The last layer of {network.name}, {last!r}, is not linear: a readout cannot replace it."
        raise ValueError(message)
    shown, happy = _faces_to_learn(stimuli)
    features = _features(network, shown, last, batch)
    middle, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 1e-12 * (1 + np.abs(middle)), spread, np.inf)
    scaled = (features - middle) / spread
    if strength is None:
        strength = _choose_strength(scaled, happy, shown)
    regression = _regression(strength).fit(scaled, happy)
    # the standardisation goes into the weights: the readout takes the features as they are
    weights = regression.coef_[0] / spread
    bias = float(regression.intercept_[0] - (weights * middle).sum())
    module = _with_readout(network.module, last, weights, bias)
    untrained = tuple(name for name in network.untrained if not name.startswith(f"{last}."))
    weights = f"{network.weights}+readout"
    return replace(network, module=module, outputs=("sad", "happy"), untrained=untrained, weights=weights)


def _faces_to_learn(stimuli: StimulusSet) -> tuple[StimulusSet, np.ndarray]:
    if "level" not in stimuli.factors:
        message = f"Stimuli without the factor level cannot be learnt from: they have {stimuli.factors}. Add it."
        raise ValueError(message)
    unmasked = stimuli.select(occlusion="none") if "occlusion" in stimuli.factors else stimuli
    shown = StimulusSet(unmasked.table[unmasked.table["level"] != 0].reset_index(drop=True))
    happy = (shown.table["level"] > 0).to_numpy()
    if not 0 < happy.sum() < len(happy):
        message = (
            f"{int(happy.sum())} of {len(happy)} faces are happy: a readout learns from both sad and happy ones."
        )
        raise ValueError(message)
    return shown, happy


def _features(network: Network, stimuli: StimulusSet, last: str, batch: int) -> np.ndarray:
    features: list[Tensor] = []
    device = next(network.module.parameters()).device

    def keep(_module: nn.Module, inputs: Any) -> None:
        features.append(inputs[0].detach().clone().cpu())

    handle = network.module.get_submodule(last).register_forward_pre_hook(keep)
    try:
        with evaluating(network.module), torch.inference_mode():
            for inputs in read_batches(stimuli, network.preprocessing, batch=batch):
                network.module(inputs.to(device))
    finally:
        handle.remove()
    return np.asarray(torch.cat(features).double().numpy())


def _choose_strength(scaled: np.ndarray, happy: np.ndarray, shown: StimulusSet) -> float:
    groups = shown.table["identity"].to_numpy() if "identity" in shown.factors else np.arange(len(happy))
    folds = LeaveOneGroupOut()
    if len(set(groups)) < 2 or any(len(set(happy[groups != one])) < 2 for one in set(groups)):
        return _STRENGTHS[2]
    losses = []
    for strength in _STRENGTHS:
        chance = cross_val_predict(
            _regression(strength), scaled, happy, groups=groups, cv=folds, method="predict_proba"
        )[:, 1]
        chance = np.clip(chance, 1e-9, 1 - 1e-9)
        losses.append(-np.where(happy, np.log(chance), np.log1p(-chance)).mean())
    return _STRENGTHS[int(np.argmin(losses))]


def _regression(strength: float) -> LogisticRegression:
    return LogisticRegression(C=strength, max_iter=5000, tol=1e-6)


def _with_readout(module: nn.Module, last: str, weights: np.ndarray, bias: float) -> nn.Module:
    shared: dict[int, Any] = {id(value): value for value in (*module.parameters(), *module.buffers())}
    twin = deepcopy(module, shared)
    readout = nn.Linear(len(weights), 2)
    old = next(module.parameters())
    with torch.no_grad():
        readout.weight.copy_(torch.from_numpy(np.stack([0 * weights, weights])))
        readout.bias.copy_(torch.tensor([0.0, bias]))
    parent, _, name = last.rpartition(".")
    setattr(twin.get_submodule(parent), name, readout.to(old.device, old.dtype))
    return twin.eval()
