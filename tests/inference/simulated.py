"""Simulated layers and participants with known truth: stimuli and participants are random draws from populations."""

from collections.abc import Mapping

import numpy as np
import xarray as xr

FEATURES = 12
OWN_FEATURES = 0.7
_SPREAD = (
    2 * (1 + OWN_FEATURES**2) * np.sqrt(2 * FEATURES)
)  # of a person's distances, over all stimuli there could be


def simulate(
    shares: Mapping[str, float],
    *,
    stimuli: int,
    participants: int,
    rng: np.random.Generator,
    noise: float = 1.0,
    related: bool = True,
    unlike: float = 0.0,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return layer RDMs and human RDMs.

    Each layer's features are what people share (by its share of the variance) and features of its own. Each
    participant sees what people share, features of their own, and judges with noise. Unrelated: people share
    features that no layer has. Unlike: the SD of the log of how much participants see of what people share.
    """
    common = rng.normal(size=(stimuli, FEATURES))
    layers = [
        np.sqrt(share) * common + np.sqrt(1 - share) * rng.normal(size=(stimuli, FEATURES))
        for share in shares.values()
    ]
    seen = common if related else rng.normal(size=(stimuli, FEATURES))
    much = np.exp(unlike * rng.normal(size=participants)) if unlike else np.ones(participants)
    individual = [share * seen + OWN_FEATURES * rng.normal(size=(stimuli, FEATURES)) for share in much]
    judged = [_noisy(_distances(features), noise, rng) for features in individual]
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


LEVELS = np.random.default_rng(1234).normal(size=(24, 3))
"""Where each level lies, in the population: levels are chosen by who makes the stimuli, and are no sample."""


def simulate_grouped(
    identities: int,
    levels: int,
    *,
    participants: int,
    rng: np.random.Generator,
    share: float = 0.3,
    layers: int = 3,
    related: bool = True,
    levels_in_layers: bool = True,
    features: int = 8,
) -> tuple[xr.DataArray, xr.DataArray]:
    """Return layer RDMs of two networks and human RDMs of identities crossed with levels.

    Identities are new in each simulation and have random features; levels lie where `LEVELS` says. A layer sees what
    people see of identities, by its share of the variance, and features of its own; people see identities each in
    their own way, weigh levels differently, and judge with noise. So all layers are equally similar to people over
    all identities there could be, and differ in any sample of few. Unrelated: people see other features of
    identities; without `levels_in_layers` layers then share nothing with them but which images are of one person.
    """
    count = identities * levels
    of_identity, of_level = np.repeat(np.arange(identities), levels), np.tile(np.arange(levels), identities)
    positions = np.sqrt(0.4 * features / 3) * LEVELS[of_level]
    common = rng.normal(size=(identities, features))

    def seen(identity: np.ndarray, weight: float) -> np.ndarray:
        images = identity[of_identity] + 0.8 * rng.normal(size=(count, features))
        return _distances(np.concatenate([images, weight * positions], axis=1))

    individual = [rng.normal(size=(identities, features)) for _ in range(2 * layers)]
    of_layers = [
        seen(np.sqrt(share) * common + np.sqrt(1 - share) * other, float(levels_in_layers)) for other in individual
    ]
    judged = common if related else rng.normal(size=(identities, features))
    people = []
    for _ in range(participants):
        rdm = seen(judged + 0.7 * rng.normal(size=(identities, features)), np.exp(0.3 * rng.normal()))
        noise = np.triu(rng.normal(size=rdm.shape), 1) * rdm[np.triu_indices(count, 1)].std()
        people.append(rdm + noise + noise.T)
    names = [(network, f"layer{at}", at) for network in ("alexnet", "fe_alexnet") for at in range(layers)]
    ids = [f"s{number:03d}" for number in range(count)]
    of_stimuli = {
        "stimulus_i": ids,
        "stimulus_j": ids,
        "identity": ("stimulus_i", [f"id{number:02d}" for number in of_identity]),
        "level": ("stimulus_i", of_level.astype(float)),
    }
    rdms = xr.DataArray(
        np.stack(of_layers),
        dims=("rdm", "stimulus_i", "stimulus_j"),
        coords={
            "rdm": [f"{network}/{layer}" for network, layer, _ in names],
            "network": ("rdm", [network for network, *_ in names]),
            "layer": ("rdm", [layer for _, layer, _ in names]),
            "order": ("rdm", [at for *_, at in names]),
            "depth": ("rdm", [(at + 1) / layers for *_, at in names]),
            **of_stimuli,
        },
        attrs={"simulated": True},
    )
    human = xr.DataArray(
        np.stack(people),
        dims=("participant", "stimulus_i", "stimulus_j"),
        coords={"participant": [f"p{n}" for n in range(participants)], **of_stimuli},
        attrs={"simulated": True},
    )
    return rdms, human


def between_groups(human: xr.DataArray, factor: str = "identity") -> xr.DataArray:
    """Return human RDMs of which only pairs from two groups were judged."""
    values = human[factor].values
    inside = (values[:, None] == values[None, :]) & ~np.eye(len(values), dtype=bool)
    return human.where(~inside)


def _distances(features: np.ndarray) -> np.ndarray:
    squares = (features**2).sum(axis=1)
    distances = squares[:, None] + squares[None, :] - 2 * features @ features.T
    np.fill_diagonal(distances, 0.0)
    return np.maximum((distances + distances.T) / 2, 0.0)


def _noisy(rdm: np.ndarray, noise: float, rng: np.random.Generator) -> np.ndarray:
    upper = np.triu(rng.normal(size=rdm.shape) * noise * _SPREAD, 1)
    return rdm + upper + upper.T
