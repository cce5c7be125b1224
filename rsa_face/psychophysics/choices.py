"""Choices, of people from a table or of networks: who was shown what, and whether the answer was happy or sad."""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from rsa_face.provenance import rng_from
from rsa_face.safety import must_be_plain_names, reading
from rsa_face.schema import MISSING, NETWORK, OCCLUSIONS, PARTICIPANT, TRAINING_UNKNOWN, UNTRAINED, origin_of
from rsa_face.stimuli.catalogue import StimulusSet

if TYPE_CHECKING:
    from rsa_face.networks.zoo import Network

ANSWERS = ("sad", "happy")
# The level that favours neither answer: levels go from -1 sad to +1 happy, or along the morph from 0 sad to 1 happy.
MIDDLES = {"signed": 0.0, "morph": 0.5}


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each observer answered happy, at each level, under each occlusion.

    Where the table gives chances instead of answers, a trial is a row, `happy` sums the chances, and `answered` is
    false: they have no binomial spread.
    """

    observer: str  # the dimension: participant or network
    observers: tuple[str, ...]  # in the order they first come in the table
    occlusions: tuple[str, ...]  # the whole face before masked ones
    levels: np.ndarray  # (level,), rising
    trials: np.ndarray  # (observer, occlusion, level); 0 where not shown
    happy: np.ndarray
    answered: bool
    scale: str  # signed, morph or other
    simulated: bool


def read_choices(path: str | Path) -> pd.DataFrame:
    """Read a table of choices and check every row of it.

    Parameters
    ----------
    path : str or Path
        A CSV (or TSV) file with a row for each trial. Columns `participant` or `network` (with `seed`, if there are
        several), `level`, and `response` (happy or sad); optional `stimulus`, `occlusion` (``none`` if absent) and
        `simulated` (true or false). Instead of `response`, a row may give the chance `p_happy` in 0-1, with the
        number of `trials` it was counted from where there were any. Levels are -1 sad ... +1 happy, or 0 sad ... 1
        happy as in the published morphs, and are kept as they are. Lines that begin with ``#`` above the header are
        remarks; ``# simulated: true`` marks all rows.

    Returns
    -------
    DataFrame
        Columns `participant` or `network`, `occlusion`, `level`, `happy` (0-1) and `trials` (NaN where a chance was
        not counted from any), and `stimulus` where there is one. ``attrs["simulated"]`` says whether any row is
        simulated, ``attrs["left_out"]`` how many rows have no answer (NA, None, null ..., as for a time-out).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If it is not a table, columns are missing, a level is missing or not a number, or an answer is empty or
        neither happy nor sad; up to twenty faults at once, with their lines.

    Examples
    --------
    >>> from rsa_face.study.config import STUDIES
    >>> choices = read_choices(STUDIES / "demo" / "choices.csv")
    >>> choices.columns.tolist()
    ['participant', 'occlusion', 'level', 'happy', 'trials', 'stimulus']
    """
    path = Path(path)
    if not path.is_file():
        message = f"No such file: {str(path)!r}. Check the path of the table of choices."
        raise FileNotFoundError(message)
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        remarks = [line.lstrip("# ").strip().lower() for line in takewhile(lambda one: one.startswith("#"), file)]
    with reading(path, "A table of choices is a CSV or TSV file in UTF-8", then="Save it as one."):
        table = pd.read_csv(
            path,
            sep="\t" if path.suffix.lower() in (".tsv", ".tab") else ",",
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            compression=None,
            skiprows=len(remarks),
        )
    table.attrs["simulated"] = "simulated: true" in remarks
    counted = " (lines counted from its header)" if remarks else ""
    return check_choices(table, name=f"{path.name}{counted}")


def check_choices(table: pd.DataFrame, *, name: str = "the table of choices") -> pd.DataFrame:
    """Check every row of a table of choices, and return it with its answers as numbers; see `read_choices`."""
    if table.attrs.get("checked"):
        return table
    observer = _observer_of(table, name)
    missing = _is_missing(table["response"], words=True) if "response" in table else np.zeros(len(table), dtype=bool)
    faults = [*_faults_of_level(table, missing), *_faults_of_answers(table, missing)]
    for column in {observer, "stimulus", *(["seed"] if observer == NETWORK else [])} & set(table.columns):
        faults += [f"line {line} has no {column}" for line in _lines(_is_missing(table[column]))]
    if faults:
        more = f"; and {len(faults) - 20} more" if len(faults) > 20 else ""
        message = (
            f"Levels that are not numbers, or answers that are neither happy nor sad, in {name}: "
            f"{'; '.join(faults[:20])}{more}. Fix or remove these lines."
        )
        raise ValueError(message)
    for column in (observer, "occlusion", "stimulus"):
        must_be_plain_names(table.get(column, []), column, name)
    simulated = table.attrs.get("simulated", False)
    if "simulated" in table:
        simulated = table["simulated"].astype(str).str.strip().str.lower().isin(("true", "1", "yes")).any()
    clean = _cleaned(table[~missing], observer)
    if clean.empty:
        message = f"No answers in {name}: the response is missing in all of {len(missing)} rows. Check its columns."
        raise ValueError(message)
    clean.attrs = {
        "checked": True,
        "simulated": bool(simulated),
        **origin_of(table.attrs),
        "left_out": int(missing.sum()),
    }
    return clean


def _cleaned(table: pd.DataFrame, observer: str) -> pd.DataFrame:
    """Return a checked table with one name for each observer and with numbers as such."""
    observers = table[observer].astype(str)
    if observer == NETWORK and "seed" in table:
        observers = observers + "/" + table["seed"].astype(str)
    clean = pd.DataFrame({observer: observers.to_numpy(), "occlusion": "none"})
    if "occlusion" in table:
        clean["occlusion"] = table["occlusion"].fillna("none").replace("", "none").astype(str).to_numpy()
    clean["level"] = table["level"].astype(float).to_numpy()
    if "response" in table:
        clean["happy"], clean["trials"] = (_words(table["response"]) == "happy").astype(float), 1.0
    else:
        clean["happy"] = table["p_happy"].astype(float).to_numpy()
        clean["trials"] = table["trials"].astype(float).to_numpy() if "trials" in table else np.nan
    if "stimulus" in table:
        clean["stimulus"] = table["stimulus"].astype(str).to_numpy()
    return clean


def _observer_of(table: pd.DataFrame, name: str) -> str:
    columns = [str(column) for column in table.columns]
    observers = [column for column in (PARTICIPANT, NETWORK) if column in columns]
    answers = [column for column in ("response", "p_happy") if column in columns]
    faults = [] if len(observers) == 1 else ["participant or network"]
    faults += [] if len(answers) == 1 else ["response or p_happy"]
    faults += [] if "level" in columns else ["level"]
    if faults or table.empty:
        what = f"it has {columns}; give it one of each of {'; '.join(faults)}" if faults else "it has no rows"
        message = f"No observer, level or answer in {name}: {what}."
        raise ValueError(message)
    return observers[0]


def _is_missing(values: pd.Series, *, words: bool = False) -> np.ndarray:
    """Return which values are missing: not there, or also (the cell being filled) a word for it such as NA."""
    text = values.astype(str).str.strip()
    return (values.isna() | (text.isin(MISSING) & (text != "") if words else text == "")).to_numpy(dtype=bool)


def _words(responses: pd.Series) -> np.ndarray:
    return responses.astype(str).str.strip().str.lower().to_numpy()


def _faults_of_level(table: pd.DataFrame, missing: np.ndarray) -> list[str]:
    numbers = pd.to_numeric(table["level"], errors="coerce").to_numpy(dtype=float)
    return [
        f"line {line} has the level {_shown(table, 'level', line)}".replace("the level ''", "no level")
        for line in _lines(~np.isfinite(numbers) & ~missing)
    ]


def _faults_of_answers(table: pd.DataFrame, missing: np.ndarray) -> list[str]:
    if "response" in table:
        wrong = ~np.isin(_words(table["response"]), ANSWERS) & ~missing
        return [f"line {line} answers {_shown(table, 'response', line)}" for line in _lines(wrong)]
    chances = pd.to_numeric(table["p_happy"], errors="coerce").to_numpy(dtype=float)
    faults = [
        f"line {line} has p_happy {_shown(table, 'p_happy', line)}"
        for line in _lines(~((chances >= 0) & (chances <= 1)))
    ]
    if "trials" in table:
        trials = pd.to_numeric(table["trials"], errors="coerce").to_numpy(dtype=float)
        faults += [f"line {line} has trials {_shown(table, 'trials', line)}" for line in _lines(~(trials >= 1))]
    return faults


def _shown(table: pd.DataFrame, column: str, line: int) -> str:
    value = table[column].iloc[line - 2]
    return repr("" if pd.isna(value) else str(value))


def _lines(wrong: np.ndarray) -> list[int]:
    """Return the lines of rows, below a header on line 1."""
    return (np.flatnonzero(wrong) + 2).tolist()


def count_choices(choices: pd.DataFrame, *, scale: str = "auto") -> Counts:
    """Count happy answers by observer, occlusion and level."""
    observer = PARTICIPANT if PARTICIPANT in choices else NETWORK
    who, observers = pd.factorize(choices[observer])
    where, occlusions = pd.factorize(choices["occlusion"])
    levels, place = np.unique(choices["level"].to_numpy(dtype=float).round(9), return_inverse=True)
    answered = bool(choices["trials"].notna().all())
    trials = choices["trials"].fillna(1.0).to_numpy(dtype=float)
    shape = (len(observers), len(occlusions), len(levels))
    cell = np.ravel_multi_index((who, where, place.ravel()), shape)
    size = int(np.prod(shape))
    shown = np.bincount(cell, weights=trials, minlength=size).reshape(shape)
    happy = np.bincount(cell, weights=trials * choices["happy"].to_numpy(dtype=float), minlength=size).reshape(shape)
    happy = np.round(happy) if answered and np.allclose(happy, np.round(happy), atol=1e-6) else happy
    # the unmasked face comes first, then the masks in the order of every figure, then whatever else there is
    known = {name: rank for rank, name in enumerate(OCCLUSIONS)}
    order = sorted(range(len(occlusions)), key=lambda index: (known.get(str(occlusions[index]), len(known)), index))
    return Counts(
        observer,
        tuple(map(str, observers)),
        tuple(str(occlusions[index]) for index in order),
        levels,
        shown[:, order],
        happy[:, order],
        answered,
        scale_of(levels) if scale == "auto" else scale,
        bool(choices.attrs.get("simulated", False)),
    )


def to_morph(choices: pd.DataFrame) -> pd.DataFrame:
    """Return choices with signed levels (-1 sad ... +1 happy) as morph positions (0 sad ... 1 happy).

    A PSE of .5 on the morph is 0 on the signed scale; the published PSEs are on the morph.
    """
    levels = choices["level"].astype(float)
    if scale_of(levels.to_numpy()) == "other":
        message = (
            f"Levels from {levels.min():g} to {levels.max():g} cannot be put on the morph, which stands for levels "
            "from -1 to +1. Scale them first."
        )
        raise ValueError(message)
    signed = scale_of(levels.to_numpy()) == "signed"
    moved = choices.assign(level=(levels + 1) / 2 if signed else levels)
    moved.attrs = dict(choices.attrs)
    return moved


def scale_of(levels: np.ndarray) -> str:
    """Return signed, morph or other, by the range of the levels: signed if any is below 0."""
    if levels.min() < -1 or levels.max() > 1:
        return "other"
    return "signed" if levels.min() < 0 else "morph"


def network_choices(
    networks: "Network | Iterable[Network]",
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
    networks : Network or iterable of Network
        Asked one after another, so that an iterator may build each when its turn comes. Their `outputs` say which
        output stands for what; two nameless outputs are taken for sad and happy, in this order. Not changed.
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

    Examples
    --------
    >>> import tempfile
    >>> import rsa_face as rf
    >>> from rsa_face.stimuli.faces import draw_faces
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     faces = draw_faces(folder, identities=1, levels=3, size=64)
    ...     small = rf.Preprocessing(resize=64, crop=64)
    ...     choices = network_choices(rf.build_network("alexnet", seed=0, preprocessing=small), faces)
    >>> choices["level"].tolist(), choices.attrs["untrained"]
    ([-1.0, 0.0, 1.0], ['alexnet'])
    """
    from rsa_face.networks.zoo import Network

    if "level" not in stimuli.table:
        message = f"Stimuli without the factor level cannot be judged along it: they have {stimuli.factors}. Add it."
        raise ValueError(message)
    tables, origins = [], []
    for network in [networks] if isinstance(networks, Network) else networks:
        chance = _probabilities(network, stimuli, batch)
        if trials is not None:
            rng = rng_from(seed, "choices", network.name)
            chance = rng.binomial(trials, chance) / trials
        table = stimuli.table[["stimulus", "level"]].assign(network=network.name, p_happy=chance)
        table["occlusion"] = stimuli.table.get("occlusion", "none")
        tables.append(table if trials is None else table.assign(trials=trials))
        *_, readout = (name for name, _ in network.module.named_parameters())
        untrained = [network.name] if readout in network.untrained else []
        origins.append({UNTRAINED: untrained, TRAINING_UNKNOWN: [network.name] if network.trained is None else []})
    together = pd.concat(tables, ignore_index=True)
    together.attrs = {**origin_of(*origins)}
    return together


def _probabilities(network: "Network", stimuli: StimulusSet, batch: int) -> np.ndarray:
    # torch loads here, so that tables of choices are read without it
    import torch

    from rsa_face.networks.survey import evaluating
    from rsa_face.networks.zoo import answer_places
    from rsa_face.stimuli.images import read_batches

    sad, happy = answer_places(network)
    device = next(network.module.parameters()).device
    chances = []
    with torch.no_grad(), evaluating(network.module):
        for inputs in read_batches(stimuli, network.preprocessing, batch=batch):
            outputs = network.module(inputs.to(device))
            # exp(happy) / (exp(happy) + exp(sad)), without what overflows
            chances.append((outputs[:, happy] - outputs[:, sad]).double().sigmoid().cpu())
    return np.asarray(torch.cat(chances).numpy())
