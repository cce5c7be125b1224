"""What a network answers: its probability of happy for each face, or choices drawn from it, as a table of trials."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from rsa_face.networks.answers import answer_places
from rsa_face.networks.zoo import Network, evaluating
from rsa_face.provenance import rng_from
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches


@torch.no_grad()
def network_choices(
    networks: Network | Sequence[Network],
    stimuli: StimulusSet,
    *,
    trials: int | None = None,
    seed: int = 0,
    batch: int = 32,
) -> pd.DataFrame:
    """Let networks answer happy or sad to each face.

    The two-way readout: the exponentials of the outputs for happy and sad, renormalised to these two, whatever
    other classes there are. A network's probabilities are exact; they have no binomial spread, and its uncertainty
    is that over its seeds.

    Parameters
    ----------
    networks : Network or sequence of Network
        Their `outputs` say which output stands for what; two nameless outputs are taken for sad and happy, in
        this order. Not changed.
    stimuli : StimulusSet
        With the factor `level`, and `occlusion` where there is any.
    trials : int, optional
        If given, so many choices are drawn from each probability instead.
    seed : int
        Of the choices drawn.
    batch : int
        Images at a time.

    Returns
    -------
    DataFrame, one row a network and stimulus
        Columns `network`, `stimulus`, `level`, `occlusion` and `p_happy`; with `trials`, `p_happy` is the share of
        happy choices and `trials` their number. ``attrs["untrained"]`` names networks whose readout is random.

    Raises
    ------
    ValueError
        If the stimuli have no level, or a network no outputs for happy and sad.
    """
    several = [networks] if isinstance(networks, Network) else list(networks)
    if "level" not in stimuli.table:
        message = f"Stimuli must have the factor level to be judged along it, but have {stimuli.factors}. Add it."
        raise ValueError(message)
    tables = []
    for network in several:
        chance = _probabilities(network, stimuli, batch)
        if trials is not None:
            rng = rng_from(seed, "choices", network.name)
            chance = rng.binomial(trials, chance) / trials
        table = stimuli.table[["stimulus", "level"]].assign(network=network.name, p_happy=chance)
        table["occlusion"] = stimuli.table.get("occlusion", "none")
        tables.append(table if trials is None else table.assign(trials=trials))
    together = pd.concat(tables, ignore_index=True)
    together.attrs = {"untrained": [network.name for network in several if _random_readout(network)]}
    return together


def _probabilities(network: Network, stimuli: StimulusSet, batch: int) -> np.ndarray:
    sad, happy = answer_places(network)
    device = next(network.module.parameters()).device
    with evaluating(network.module):
        parts = [
            _two_way(network.module(inputs.to(device)), sad, happy)
            for inputs in read_batches(stimuli, network.preprocessing, batch=batch)
        ]
    return torch.cat(parts).numpy()


def _two_way(logits: Tensor, sad: int, happy: int) -> Tensor:
    return torch.sigmoid((logits[:, happy] - logits[:, sad]).double()).cpu()


def _random_readout(network: Network) -> bool:
    names = [name for name, _ in network.module.named_parameters()]
    return names[-1] in network.untrained
