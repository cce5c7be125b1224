"""Simulated observers, always labelled so: choices and ratings of faces, with the truth kept beside them.

They serve to check an analysis against what is known to be true of its data; they say nothing about people.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import softmax
from scipy.stats import norm

from rsa_face.human.relative import KEPT, THREE
from rsa_face.provenance import rng_from
from rsa_face.safety import path_in, write_beside
from rsa_face.schema import OCCLUSIONS, must_be_known, stimulus_ids
from rsa_face.stimuli.catalogue import StimulusSet

# Published, on a morph from 0 (sad) to 1 (happy): PSEs of 40 participants (github JyBmegan/PsychometricFittingCurve,
# Human_PSE_40_Subjects.csv) and the group's share of "happy" at nine morphs, 50 participants with two trials each
# (github JyBmegan/SE-AlexNet, human-data-9point.csv); Ying, Li & Chen 2023, arXiv 2310.13674.
PSE_MEAN, PSE_SD = 0.514, 0.092
GROUP_CURVE = {0.0: 0.01, 0.2: 0.02, 0.3: 0.10, 0.4: 0.06, 0.5: 0.44, 0.6: 0.80, 0.7: 0.84, 0.8: 0.93, 1.0: 0.99}
# A cumulative Gaussian through the group's curve has SD .117; PSEs that differ by SD .092 leave .072 to each person.
CURVE_SD, CURVE_SPREAD = 0.072, 0.20  # median of the persons' SDs, and SD of their logarithms (assumed)
LAPSE_MOST = 0.04  # lapses are drawn evenly from 0 to this (assumed)
# Assumed, not published: how much flatter the curve gets, and where it shifts to, when a region is masked.
FLATTER = {"none": 1.0, "eyes": 1.4, "nose": 1.1, "mouth": 2.5}
SHIFT = {"none": 0.0, "eyes": 0.02, "nose": 0.0, "mouth": 0.06}


@dataclass(frozen=True)
class Space:
    """The space observers rate distances in: weights and noise, all assumed."""

    valence: float = 1.0
    identity: float = 0.5
    noise: float = 0.5
    spread: float = 0.2


def simulate_choices(
    stimuli: StimulusSet,
    *,
    participants: int = 20,
    repeats: int = 2,
    seed: int = 0,
    occlusions: Sequence[str] = (),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate two-choice trials: happy or sad, by observers whose PSEs are distributed as published ones are.

    Each observer has a cumulative Gaussian over the morph, (level + 1) / 2, with a PSE, a width and lapses that go
    either way. Masking a region flattens and shifts the curve by amounts that are assumed, `FLATTER` and `SHIFT`,
    and vary by a tenth between observers.

    Examples
    --------
    >>> import rsa_face as rf
    >>> choices, truth = simulate_choices(rf.read_stimuli(rf.load_study("demo").stimuli.table), participants=2)
    >>> len(choices), truth["participant"].tolist()
    (216, ['p01', 'p02'])
    """
    _check(stimuli, ["level"], participants=participants, repeats=repeats)
    shown = _shown(stimuli, occlusions)
    morph = (shown["level"].to_numpy(dtype=float) + 1) / 2
    masks = [name for name in OCCLUSIONS if name in set(shown["occlusion"])]
    trials, truth = [], []
    for number in range(1, participants + 1):
        rng = rng_from(seed, "choices", number)
        pse, spread = rng.normal(PSE_MEAN, PSE_SD), CURVE_SD * np.exp(rng.normal(0, CURVE_SPREAD))
        lapse, factor = rng.uniform(0, LAPSE_MOST), np.exp(rng.normal(0, 0.1, 2))
        curve = {
            name: (pse + SHIFT[name] * factor[0], spread * (1 + (FLATTER[name] - 1) * factor[1])) for name in masks
        }
        truth += [_person(number, name, 2 * at - 1, 2 * wide, lapse, at, wide) for name, (at, wide) in curve.items()]
        at, wide = np.array([curve[name] for name in shown["occlusion"]]).T
        happy = lapse / 2 + (1 - lapse) * norm.cdf((morph - at) / wide)
        order = rng.permutation(np.repeat(np.arange(len(shown)), repeats))
        response = np.where(rng.uniform(size=len(order)) < happy[order], "happy", "sad")
        seen = shown.iloc[order].assign(participant=f"p{number:02d}", response=response, simulated="true")
        trials.append(seen[["participant", "stimulus", "response", "level", "occlusion", "simulated"]])
    columns = ["participant", "occlusion", "pse", "sd", "lapse", "pse_morph", "sd_morph", "simulated"]
    return pd.concat(trials, ignore_index=True), pd.DataFrame(truth, columns=columns)


def simulate_ratings(
    stimuli: StimulusSet,
    *,
    participants: int = 20,
    seed: int = 0,
    share: float = 1.0,
    space: Space | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Simulate ratings of pairs of faces, 0 (the same) to 100 (as different as can be).

    A pair's distance is the weighted difference in level, plus the weight of identity where the two are different
    people, plus an observer's own noise on each rating; each observer's weights vary around those of the space.
    All of this is assumed: the truth is returned beside the ratings so that analyses can be checked against it.

    Examples
    --------
    >>> import rsa_face as rf
    >>> stimuli = rf.read_stimuli(rf.load_study("demo").stimuli.table)
    >>> ratings, truth = simulate_ratings(stimuli, participants=1, share=0.5)
    >>> len(ratings), sorted(truth.columns)
    (716, ['identity', 'noise', 'participant', 'simulated', 'valence'])
    """
    _check(stimuli, ["level", "identity"], participants=participants)
    if not 0 < share <= 1:
        message = f"share is {share}. An observer rates a share of the pairs above 0 and at most 1."
        raise ValueError(message)
    space = space or Space()
    first, second = np.triu_indices(len(stimuli), k=1)
    ids = np.array(stimuli.ids, dtype=object)
    level = stimuli.table["level"].to_numpy(dtype=float)
    person = stimuli.table["identity"].astype(str).to_numpy()
    differ, apart = person[first] != person[second], np.abs(level[first] - level[second])
    most = 2 * space.valence + space.identity
    ratings, truth = [], []
    for number in range(1, participants + 1):
        rng = rng_from(seed, "ratings", number)
        weights = np.array([space.valence, space.identity]) * rng.normal(1, space.spread, 2).clip(0.2)
        seen = weights[0] * apart + weights[1] * differ + rng.normal(0, space.noise, len(first))
        rating = np.rint(100 * np.clip(seen / most, 0, 1)).astype(int)
        rated = np.sort(rng.permutation(len(first))[: max(1, round(share * len(first)))])
        pairs = {"stimulus_a": ids[first[rated]], "stimulus_b": ids[second[rated]], "rating": rating[rated]}
        ratings.append(pd.DataFrame({"participant": f"p{number:02d}", **pairs, "simulated": "true"}))
        truth.append((f"p{number:02d}", *(round(float(weight), 4) for weight in weights), space.noise, "true"))
    columns = ["participant", "valence", "identity", "noise", "simulated"]
    return pd.concat(ratings, ignore_index=True), pd.DataFrame(truth, columns=columns)


def simulate_triplets(
    rdm: xr.DataArray, *, participants: int = 20, trials: int = 200, temperature: float = 0.1, seed: int = 0
) -> pd.DataFrame:
    """Simulate odd-one-out trials of observers who see the distances of an RDM: the pair most alike is kept together.

    Each pair of three random stimuli is kept with a probability that is a softmax of minus its dissimilarity over the
    temperature. The attr `expected_accuracy` is how often this very RDM should predict the answer.

    Examples
    --------
    >>> import rsa_face as rf
    >>> level = rf.control_rdms(rf.example("demo").stimuli, ["level"])[0]
    >>> trials = simulate_triplets(level, participants=2, trials=50)
    >>> trials.columns.tolist(), len(trials), trials.attrs["simulated"]
    (['participant', 'stimulus_1', 'stimulus_2', 'stimulus_3', 'odd'], 100, True)
    """
    square, ids = np.asarray(rdm.values, dtype=float), np.array(stimulus_ids(rdm))
    if square.ndim != 2 or len(ids) < 3 or np.isnan(square).any():
        message = f"One complete RDM of 3 stimuli or more is needed; it has the shape {square.shape}. Select one."
        raise ValueError(message)
    if temperature <= 0 or participants < 1 or trials < 1:
        message = f"temperature={temperature}, participants={participants}, trials={trials}. Give numbers above 0."
        raise ValueError(message)
    shown, answer, right = [], [], []
    for number in range(1, participants + 1):
        rng = rng_from(seed, "triplets", number)
        three = rng.random((trials, len(ids))).argpartition(2, axis=1)[:, :3]
        kept = np.stack([square[three[:, i], three[:, j]] for i, j in KEPT], axis=1)
        p = softmax(-kept / temperature, axis=1)
        shown.append(three)
        answer.append((p.cumsum(axis=1) < rng.random((trials, 1))).sum(axis=1).clip(max=2))
        nearest = kept == kept.min(axis=1, keepdims=True)
        right.append((p * nearest).sum(axis=1) / nearest.sum(axis=1))
    codes, odd = np.concatenate(shown), np.concatenate(answer)
    kind, columns = pd.CategoricalDtype(pd.Index(ids)), [*codes.T, codes[np.arange(len(odd)), odd]]
    table = pd.DataFrame(
        {"participant": np.repeat([f"p{number:02d}" for number in range(1, participants + 1)], trials)}
        | {
            name: pd.Categorical.from_codes(column, dtype=kind)
            for name, column in zip((*THREE, "odd"), columns, strict=True)
        }
    )
    table.attrs = {
        "kind": "triplet",
        "left_out": {},
        "simulated": True,
        "expected_accuracy": float(np.mean(np.concatenate(right))),
    }
    return table


def write_observers(out_dir: str | Path, **tables: pd.DataFrame) -> list[Path]:
    """Write tables of simulated observers, each under a first line that says so.

    The column `simulated` becomes the remark ``# simulated: true``, which `read_human` reads, so that the files
    stay small and no row can be taken for a person's.
    """
    written = []
    for name, table in tables.items():
        path = path_in(out_dir, name, "The table", suffix=".csv")
        text = table.drop(columns="simulated").to_csv(index=False, lineterminator="\n")
        with write_beside(path) as beside:
            beside.write_text(f"# simulated: true\n{text}", "utf-8")
        written.append(path)
    return written


def _shown(stimuli: StimulusSet, occlusions: Sequence[str]) -> pd.DataFrame:
    table = stimuli.table
    if "occlusion" not in table.columns:
        table = table.assign(occlusion="none")
    for name in [*occlusions, *table["occlusion"].unique()]:
        must_be_known(str(name), OCCLUSIONS, "occlusion")
    if not occlusions:
        return table
    masked = sorted(set(table["occlusion"]) - {"none"})
    if masked:
        message = f"Faces that have occlusion {masked} cannot be masked again. Leave out occlusions."
        raise ValueError(message)
    return pd.concat(
        [
            table.assign(
                occlusion=name,
                stimulus=table["stimulus"] if name == "none" else table["stimulus"] + f"_{name}",
            )
            for name in dict.fromkeys(occlusions)
        ],
        ignore_index=True,
    )


def _person(number: int, occlusion: str, *numbers: float) -> tuple[object, ...]:
    return (f"p{number:02d}", occlusion, *(round(float(value), 4) for value in numbers), "true")


def _check(stimuli: StimulusSet, factors: list[str], **counts: int) -> None:
    lacking = [name for name in factors if name not in stimuli.factors]
    if lacking:
        message = f"The stimuli lack {lacking}. Simulated observers see the factors {factors}."
        raise ValueError(message)
    few = {name: count for name, count in counts.items() if count < 1}
    if few:
        message = f"Too few to simulate: {few}. Ask for 1 observer and 1 repeat or more."
        raise ValueError(message)
    level = stimuli.table["level"].to_numpy(dtype=float)
    if not (np.abs(level) <= 1).all():
        message = f"Levels go from {level.min():g} to {level.max():g}. They lie from -1 (sad) to +1 (happy)."
        raise ValueError(message)
