"""Simulated layers and participants with known truth: stimuli and participants are random draws from populations."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

FEATURES = 12
_OWN = 0.7
_SPREAD = 2 * (1 + _OWN**2) * np.sqrt(2 * FEATURES)  # of a person's distances, over all stimuli there could be


def simulate(
    shares: Mapping[str, float],
    *,
    stimuli: int,
    participants: int,
    rng: np.random.Generator,
    noise: float = 1.0,
    related: bool = True,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return layer RDMs and human RDMs.

    Each layer's features are what people share (by its share of the variance) and features of its own. Each
    participant sees what people share, features of their own, and judges with noise. Unrelated: people share
    features that no layer has.
    """
    common = rng.normal(size=(stimuli, FEATURES))
    layers = [
        np.sqrt(share) * common + np.sqrt(1 - share) * rng.normal(size=(stimuli, FEATURES))
        for share in shares.values()
    ]
    seen = common if related else rng.normal(size=(stimuli, FEATURES))
    own = [seen + _OWN * rng.normal(size=(stimuli, FEATURES)) for _ in range(participants)]
    judged = [_noisy(_distances(features), noise, rng) for features in own]
    ids = [f"s{number}" for number in range(stimuli)]
    names = [name.rsplit("/", 1) for name in shares]
    totals = {network: sum(one == network for one, _ in names) for network, _ in names}
    place: list[int] = []
    for row, (network, _) in enumerate(names):
        place.append(sum(one == network for one, _ in names[:row]))
    rdms = xr.DataArray(
        np.stack([_distances(features) for features in layers]),
        dims=("rdm", "stimulus_i", "stimulus_j"),
        coords={
            "rdm": list(shares),
            "network": ("rdm", [network for network, _ in names]),
            "layer": ("rdm", [layer for _, layer in names]),
            "order": ("rdm", place),
            "depth": ("rdm", [(at + 1) / totals[network] for at, (network, _) in zip(place, names, strict=True)]),
            "stimulus_i": ids,
            "stimulus_j": ids,
        },
        attrs={"simulated": True},
    )
    human = xr.DataArray(
        np.stack(judged),
        dims=("participant", "stimulus_i", "stimulus_j"),
        coords={"participant": [f"p{n}" for n in range(participants)], "stimulus_i": ids, "stimulus_j": ids},
        attrs={"simulated": True},
    )
    return rdms, human


def _distances(features: np.ndarray) -> np.ndarray:
    squares = (features**2).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * features @ features.T
    np.fill_diagonal(distances, 0.0)
    return np.maximum((distances + distances.T) / 2, 0.0)


def _noisy(rdm: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    upper = np.triu(rng.normal(size=rdm.shape) * noise * _SPREAD, 1)
    return rdm + upper + upper.T
