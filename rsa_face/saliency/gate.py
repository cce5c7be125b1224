"""Where the feature-excitation gate opens: which channels, how far, and whether that follows the expression."""

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor

from rsa_face.networks.zoo import Network
from rsa_face.saliency.cams import quiet_copy
from rsa_face.schema import LAYER, STIMULUS
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches

CHANNEL = "channel"


@torch.no_grad()
def gate_openings(network: Network, stimuli: StimulusSet, *, batch: int = 16) -> xr.Dataset:
    """Record how far each channel's gate opens for each face.

    Parameters
    ----------
    network : Network
        With feature-excitation blocks. Not changed.
    stimuli : StimulusSet
        The faces; with the factor `level`, the gate is related to it.
    batch : int
        Faces at a time.

    Returns
    -------
    Dataset, dims (layer, stimulus, channel) and (layer, channel)
        `gate`, 0-1 (NaN beyond a block's channels, if blocks differ); `gate_mean` and `gate_sd` over faces; with
        levels, `level_slope` (opening per unit of level) and `level_correlation` (Pearson's; NaN where a gate does
        not move). `layer` names the blocks: ``fe_gate``.

    Raises
    ------
    ValueError
        If the network has no such block.
    """
    gates = [layer for layer in network.layers if layer.kind == "gate"]
    if not gates:
        message = (
            f"A network must have a feature-excitation gate for its opening to be seen, but {network.name} has none. "
            "Choose fe_alexnet."
        )
        raise ValueError(message)
    module = quiet_copy(network.module)
    seen: dict[str, list[Tensor]] = {layer.name: [] for layer in gates}
    for layer in gates:
        keep = seen[layer.name]
        module.get_submodule(layer.path).register_forward_hook(
            lambda _module, _inputs, output, keep=keep: keep.append(output.detach().clone())
        )
    device = next(module.parameters()).device
    for inputs in read_batches(stimuli, network.preprocessing, batch=batch):
        module(inputs.to(device))
    opened = [torch.cat(parts).cpu().numpy() for parts in seen.values()]
    widest = max(one.shape[1] for one in opened)
    gate = np.stack([np.pad(one, ((0, 0), (0, widest - one.shape[1])), constant_values=np.nan) for one in opened])
    found = xr.Dataset(
        {
            "gate": ((LAYER, STIMULUS, CHANNEL), gate),
            "gate_mean": ((LAYER, CHANNEL), gate.mean(axis=1)),
            "gate_sd": ((LAYER, CHANNEL), gate.std(axis=1)),
        },
        {LAYER: list(seen), STIMULUS: stimuli.ids, CHANNEL: np.arange(widest)},
    )
    for name in (name for name in ("identity", "level", "occlusion") if name in stimuli.factors):
        found = found.assign_coords({name: (STIMULUS, stimuli.table[name].to_numpy())})
    if "level" in stimuli.factors:
        found = found.merge(_along_levels(gate, stimuli.table["level"].to_numpy(dtype=float)))
    untrained = any(network.rests_on_random(layer) for layer in gates)
    found.attrs = {"network": network.name, "untrained": [network.name] if untrained else []}
    return found


def average_gate(openings: xr.Dataset) -> pd.DataFrame:
    """Return how far each channel's gate opens on the average, by level and occlusion, as a table.

    Parameters
    ----------
    openings : Dataset
        From `gate_openings`. Not changed.

    Returns
    -------
    DataFrame
        Columns `layer`, `channel`, the factors `occlusion` and `level` where the faces have them, `gate` (mean
        opening, 0-1), `faces`, and, with levels, `level_slope` and `level_correlation` of the channel over all faces.
    """
    frame = openings["gate"].to_dataframe().reset_index().dropna(subset=["gate"])
    keys = [LAYER, CHANNEL, *(name for name in ("occlusion", "level") if name in frame)]
    table = frame.groupby(keys, sort=False)["gate"].agg(gate="mean", faces="size").reset_index()
    for name in (name for name in ("level_slope", "level_correlation") if name in openings):
        table = table.join(openings[name].to_series().rename(name), on=[LAYER, CHANNEL])
    return table


def _along_levels(gate: np.ndarray, levels: np.ndarray) -> xr.Dataset:
    away = levels - levels.mean()
    spread = (away**2).sum()
    moved = gate - gate.mean(axis=1, keepdims=True)
    together = np.einsum("lsc,s->lc", moved, away)
    size = np.sqrt((moved**2).sum(axis=1) * spread)
    slope = together / spread if spread > 0 else np.full(together.shape, np.nan)
    # in single precision a gate that stands still differs from its mean by rounding alone
    still = np.abs(moved).max(axis=1) < 1e-7
    correlation = np.where((size > 0) & ~still, together / np.where(size > 0, size, 1), np.nan)
    return xr.Dataset(
        {"level_slope": ((LAYER, CHANNEL), slope), "level_correlation": ((LAYER, CHANNEL), correlation)}
    )
