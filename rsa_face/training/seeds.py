"""The same training over several seeds: a network for each, named by architecture, pre-training and seed."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy import stats

from rsa_face.networks.settings import Attention
from rsa_face.networks.zoo import build_network
from rsa_face.training.epochs import Step
from rsa_face.training.evaluation import SCORES
from rsa_face.training.loop import Trained, train_valence
from rsa_face.training.settings import TrainingSettings
from rsa_face.training.tables import TrainingTable


@dataclass(frozen=True)
class Start:
    """What a network starts from, whatever its seed.

    Parameters
    ----------
    architecture : str
        One of the five.
    weights : str
        ``random``, ``imagenet``, a file or ``hf://...``; the last layer starts anew.
    pretraining : str, optional
        What to call the weights in the networks' names; ``random``, ``imagenet`` or the file's own name unless
        given.
    attention : Attention or mapping, optional
        The feature-excitation block of an FE-AlexNet.
    """

    architecture: str
    weights: str = "random"
    pretraining: str | None = None
    attention: Attention | Mapping[str, object] | None = None


def name_network(architecture: str, pretraining: str, seed: int) -> str:
    """Return the name of a network in a comparison of pre-trainings.

    Parameters
    ----------
    architecture : str
        One of the five.
    pretraining : str
        ``random``, ``imagenet``, or a file, of which the last part without its ending is taken.
    seed : int
        Of its training.

    Returns
    -------
    str
        ``architecture/pretraining/seed``.

    Examples
    --------
    >>> name_network("alexnet", "weights/vggface2.pth", 1)
    'alexnet/vggface2/1'
    """
    short = re.sub(r"\.(safetensors|pth|pt)$", "", str(pretraining).rsplit("/", 1)[-1])
    return f"{architecture}/{re.sub(r'[^A-Za-z0-9_.-]+', '-', short)}/{seed}"


def train_seeds(
    start: Start,
    table: TrainingTable,
    *,
    seeds: Sequence[int],
    settings: TrainingSettings | None = None,
    held_out: TrainingTable | None = None,
    folder: str | Path | None = None,
    progress: Callable[[Step], None] | None = None,
) -> Iterator[Trained]:
    """Train one network for each seed, one after the other, so that only one is in memory.

    Parameters
    ----------
    start : Start
        What each starts from.
    table : TrainingTable
        See `train_valence`.
    seeds : sequence of int
        Each decides random starting weights, order, dropout, variation and the validation split of one network.
    settings : TrainingSettings, optional
        See `train_valence`; its own seed is not used.
    held_out : TrainingTable, optional
        See `train_valence`.
    folder : str or Path, optional
        See `train_valence`; each network's files go to ``<architecture>/<pretraining>/<seed>``.
    progress : callable, optional
        See `train_valence`.

    Yields
    ------
    Trained
        In the seeds' order.
    """
    settings = settings or TrainingSettings()
    for seed in seeds:
        network = build_network(
            start.architecture,
            weights=start.weights,
            seed=seed,
            classes=len(settings.classes),
            attention=start.attention,
            label=name_network(start.architecture, start.pretraining or start.weights, seed),
            head="new",
        )
        own = settings.changed(seed=seed)
        yield train_valence(network, table, settings=own, held_out=held_out, folder=folder, progress=progress)


def combine_seeds(scores: Sequence[xr.Dataset], *, confidence: float = 0.95) -> xr.Dataset:
    """Average the scores of networks that differ in their seed alone, with an interval over seeds.

    Parameters
    ----------
    scores : sequence of Dataset, dims (network, condition)
        As `score_judgements` makes them; networks named ``architecture/pretraining/seed``.
    confidence : float
        Of the interval, in 0-1.

    Returns
    -------
    Dataset, dims (start, condition), (start, condition, bound)
        For each score its mean over seeds and ``<score>_interval``; `seeds`, a count. Intervals are NaN where
        there is one seed.

    Notes
    -----
    The interval is the mean plus and minus Student's t times the standard error over seeds (Student 1908,
    10.1093/biomet/6.1.1): it speaks of other seeds of this training, not of other faces.
    """
    joined = xr.concat(list(scores), dim="network", join="outer")
    starts = [str(name).rsplit("/", 1)[0] for name in joined["network"].values]
    parts = []
    for start in dict.fromkeys(starts):
        here = joined.isel(network=np.flatnonzero(np.array(starts) == start))
        count = here.sizes["network"]
        part = here.mean("network").assign(seeds=count)
        reach = stats.t.ppf((1 + confidence) / 2, count - 1) / np.sqrt(count) if count > 1 else np.nan
        for score in SCORES[:-1]:
            half = here[score].std("network", ddof=1) * reach if count > 1 else here[score].mean("network") * np.nan
            part[f"{score}_interval"] = xr.concat([part[score] - half, part[score] + half], dim="bound").transpose(
                "condition", "bound"
            )
        parts.append(part.assign_coords(bound=["lower", "upper"]).expand_dims(start=[start]))
    attrs = {**scores[0].attrs, "confidence": confidence, "interval_kind": "t over seeds"}
    return xr.concat(parts, dim="start").assign_attrs(attrs)


def tabulate_seeds(combined: xr.Dataset) -> pd.DataFrame:
    """Return scores over seeds as a table, a row for each start and condition.

    Parameters
    ----------
    combined : Dataset, dims (start, condition) and (start, condition, bound)
        From `combine_seeds`.

    Returns
    -------
    DataFrame
        `start`, `condition`, `seeds`, and each score with ``*_lower`` and ``*_upper``.
    """
    table = combined[[*SCORES, "seeds"]].to_dataframe().reset_index()
    for score in SCORES[:-1]:
        for bound in ("lower", "upper"):
            column = combined[f"{score}_interval"].sel(bound=bound, drop=True).to_series().rename(f"{score}_{bound}")
            table = table.merge(column, on=["start", "condition"])
    return table
