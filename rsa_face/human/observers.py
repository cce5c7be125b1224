"""Simulated observers, always labelled so: ratings of how different two faces look, from a known space."""

import numpy as np
import pandas as pd

from rsa_face.provenance import rng_from
from rsa_face.stimuli.catalogue import StimulusSet


def simulate_ratings(
    stimuli: StimulusSet,
    *,
    participants: int = 12,
    seed: int = 0,
    valence: float = 1.0,
    identity: float = 0.5,
    noise: float = 0.5,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate ratings of every pair of faces, 0 (the same) to 100 (as different as can be).

    A pair's distance is the weighted difference in level, plus the weight of identity where the two are different
    people, plus an observer's own noise on each rating; each observer's weights vary by a fifth around those given.
    These are assumptions, not findings: the truth is returned beside the ratings so that analyses can be checked
    against it.

    Parameters
    ----------
    stimuli : StimulusSet
        With the factors `level` and `identity`.
    participants : int
        How many observers.
    seed : int
        For weights and noise.
    valence, identity : float
        Weights on the difference in level (per unit, 2 at most) and on being different people.
    noise : float
        SD of a rating's noise, in the units of the weights.

    Returns
    -------
    ratings : DataFrame, a row for each participant and pair
        Columns `participant`, `stimulus_a`, `stimulus_b`, `rating`, `simulated` (true).
    truth : DataFrame, a row for each participant
        Columns `participant`, `valence`, `identity`, `noise`.

    Raises
    ------
    ValueError
        If the stimuli lack a factor.
    """
    lacking = [name for name in ("level", "identity") if name not in stimuli.factors]
    if lacking:
        message = f"Simulated observers must see the factors level and identity, but the stimuli lack {lacking}."
        raise ValueError(message)
    first, second = np.triu_indices(len(stimuli), k=1)
    ids = np.array(stimuli.ids, dtype=object)
    level = stimuli.table["level"].to_numpy(dtype=float)
    person = stimuli.table["identity"].astype(str).to_numpy()
    differ, apart = person[first] != person[second], np.abs(level[first] - level[second])
    most = 2 * valence + identity
    ratings, truth = [], []
    for number in range(1, participants + 1):
        name = f"sim{number:02d}"
        rng = rng_from(seed, "ratings", number)
        weights = np.array([valence, identity]) * rng.normal(1, 0.2, 2).clip(0.2)
        seen = weights[0] * apart + weights[1] * differ + rng.normal(0, noise, len(first))
        rating = np.rint(100 * np.clip(seen / most, 0, 1)).astype(int)
        pairs = {"stimulus_a": ids[first], "stimulus_b": ids[second], "rating": rating}
        ratings.append(pd.DataFrame({"participant": name, **pairs, "simulated": "true"}))
        truth.append((name, *(round(float(weight), 4) for weight in weights), noise))
    return pd.concat(ratings, ignore_index=True), pd.DataFrame(
        truth, columns=["participant", "valence", "identity", "noise"]
    )
