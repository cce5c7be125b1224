"""A happy-sad readout on a network as it is: its last layer replaced, nothing else changed."""

from copy import deepcopy
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from torch import Tensor, nn

from rsa_face.networks.zoo import Network, evaluating
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches

_STRENGTHS = (1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def fit_readout(network: Network, stimuli: StimulusSet, *, strength: float | None = None, batch: int = 16) -> Network:
    """Read happy or sad out of a network's last hidden layer by logistic regression.

    A network without a happy and a sad output cannot choose between them. This gives it one without touching the
    features, so that it can be asked for psychometric curves and saliency; it is no transfer learning. Judge other
    faces than those it was fitted on: on the same ones hundreds of features tell any two classes apart.

    Parameters
    ----------
    network : Network
        Any whose last layer is linear. Not changed.
    stimuli : StimulusSet
        With the factor `level`: above 0 happy, below 0 sad, 0 left out. Masked faces are left out.
    strength : float, optional
        Inverse of the penalty on squared weights, on standardised features. Chosen by the log loss on left-out
        identities (or faces, without identities) unless given.
    batch : int
        Faces at a time.

    Returns
    -------
    Network
        With outputs ``sad`` and ``happy``; it shares all other weights. `untrained` keeps what was random before.

    Raises
    ------
    ValueError
        If the stimuli have no level, or not both sad and happy faces, or the last layer is not linear.
    """
    last = [path for path, child in network.module.named_modules() if not any(child.children())][-1]
    if not isinstance(network.module.get_submodule(last), nn.Linear):
        message = f"A readout must replace a linear layer, but the last of {network.name} is {last!r}, which is not."
        raise ValueError(message)
    shown, happy = _faces_to_learn(stimuli)
    features = _features(network, shown, last, batch)
    middle, spread = features.mean(axis=0), features.std(axis=0)
    spread = np.where(spread > 1e-12 * (1 + np.abs(middle)), spread, np.inf)
    scaled = (features - middle) / spread
    if strength is None:
        strength = _choose_strength(scaled, happy, shown)
    fitted = _regression(strength).fit(scaled, happy)
    weights = fitted.coef_[0] / spread
    bias = float(fitted.intercept_[0] - (weights * middle).sum())
    module = _with_readout(network.module, last, weights, bias)
    kept = tuple(name for name in network.untrained if not name.startswith(f"{last}."))
    return replace(
        network, module=module, outputs=("sad", "happy"), untrained=kept, weights=f"{network.weights}+readout"
    )


def _faces_to_learn(stimuli: StimulusSet) -> tuple[StimulusSet, np.ndarray]:
    if "level" not in stimuli.factors:
        message = f"Stimuli must have the factor level to be learnt from, but have {stimuli.factors}. Add it."
        raise ValueError(message)
    whole = stimuli.select(occlusion="none") if "occlusion" in stimuli.factors else stimuli
    shown = StimulusSet(whole.table[whole.table["level"] != 0].reset_index(drop=True))
    happy = (shown.table["level"] > 0).to_numpy()
    if not 0 < happy.sum() < len(happy):
        message = f"A readout must learn from sad and happy faces, but {int(happy.sum())} of {len(happy)} are happy."
        raise ValueError(message)
    return shown, happy


def _features(network: Network, stimuli: StimulusSet, last: str, batch: int) -> np.ndarray:
    found: list[Tensor] = []
    device = next(network.module.parameters()).device

    def keep(_module: nn.Module, inputs: Any) -> None:
        found.append(inputs[0].detach().clone().cpu())

    handle = network.module.get_submodule(last).register_forward_pre_hook(keep)
    try:
        with evaluating(network.module), torch.inference_mode():
            for inputs in read_batches(stimuli, network.preprocessing, batch=batch):
                network.module(inputs.to(device))
    finally:
        handle.remove()
    return np.asarray(torch.cat(found).double().numpy())


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
