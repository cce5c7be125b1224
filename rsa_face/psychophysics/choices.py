"""Choices between two answers, of people or of networks: who was shown what, and which of the two was given."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from pydantic import field_validator, model_validator

from rsa_face.provenance import rng_from
from rsa_face.safety import first_of, must_be_plain_names
from rsa_face.schema import MISSING, NETWORK, OCCLUSIONS, PARTICIPANT, TRAINING_UNKNOWN, UNTRAINED, origin_of
from rsa_face.settings import Settings
from rsa_face.stimuli.catalogue import StimulusSet

if TYPE_CHECKING:
    from rsa_face.networks.zoo import Network

# Answers that need no telling which is the high one.
PAIRS = (("happy", "sad"), ("yes", "no"), ("1", "0"), ("true", "false"))
# The level that favours neither answer: levels go from -1 sad to +1 happy, or along the morph from 0 sad to 1 happy.
MIDDLES = {"signed": 0.0, "morph": 0.5}


TELL = "answers={high: ..., low: ...}"


class Answers(Settings):
    """The two answers of a task.

    Parameters
    ----------
    high : str
        The answer that is counted, and that high levels favour: the curve is its probability.
    low : str
        The other one.
    """

    high: str = "happy"
    low: str = "sad"

    @field_validator("high", "low", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        return str(value) if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.high.strip().lower() == self.low.strip().lower():
            message = f"high and low are both {self.high!r}; name two answers"
            raise ValueError(message)
        return self


class ChoiceWords(Settings):
    """What a two-choice task asked, in the words of its figures, tables and reports.

    Parameters
    ----------
    answers : Answers, optional
        The two answers. Happy and sad, yes and no, 1 and 0, true and false need not be named.
    variable : str, optional
        What the levels are: ``morph``, ``coherence``, ...
    unit : str
        Of the levels: ``%``, ``deg``, ...
    condition : str, optional
        What conditions differ in, where it is not what was masked: ``part shown``.
    """

    answers: Answers | None = None
    variable: str | None = None
    unit: str = ""
    condition: str | None = None

    @classmethod
    def from_attrs(cls, *attrs: Mapping[Any, Any]) -> Self:
        """Return the words of choices or curves from their attrs, the first that have any."""
        given: Mapping[Any, Any] = next((one for one in attrs if "high" in one), {})
        answers = Answers(high=given["high"], low=given["low"]) if given else Answers()
        words = {name: given[name] for name in ("variable", "unit", "condition") if given.get(name)}
        return cls(answers=answers, **words)

    @property
    def attrs(self) -> dict[Any, Any]:
        """The words as attrs, which any file can hold."""
        answers = self.answers or Answers()
        rest = {"variable": self.variable or "", "unit": self.unit, "condition": self.condition or ""}
        return {"high": answers.high, "low": answers.low, **rest}

    @property
    def chance(self) -> str:
        """The label of the probability: ``P(anger)``."""
        return f"P({self.attrs['high']})"

    def axis(self, scale: str) -> str:
        """Return the label of the levels, of some scale.

        Examples
        --------
        >>> ChoiceWords(answers={"high": "anger", "low": "fear"}, variable="morph", unit="%").axis("other")
        'Morph (%), fear to anger'
        """
        high, low = self.attrs["high"], self.attrs["low"]
        if self.variable:
            unit = f" ({self.unit})" if self.unit else ""
            return f"{self.variable[:1].upper()}{self.variable[1:]}{unit}, {low} to {high}"
        ends = {"signed": f" (−1 {low} to +1 {high})", "morph": f" (0 {low} to 1 {high})"}
        return f"{'Morph' if scale == 'morph' else 'Level'}{ends.get(scale, f', {low} to {high}')}"


def guess_answers(responses: Iterable[object]) -> Answers:
    """Return the pair of answers that some responses are of; happy and sad where they are of none that is known."""
    given = {str(one).strip().lower() for one in responses}
    pair = next((pair for pair in PAIRS if set(pair) & given), PAIRS[0])
    return Answers(high=pair[0], low=pair[1])


@dataclass(frozen=True, eq=False)
class Counts:
    """How often each observer gave the high answer (`happy`), at each level, under each occlusion or condition.

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
    words: ChoiceWords


def check_choices(
    table: pd.DataFrame,
    *,
    words: ChoiceWords | Mapping[str, Any] | None = None,
    name: str = "the table of choices",
) -> pd.DataFrame:
    """Check every row of a table of choices, and return it with its answers as numbers.

    The table is one that somebody made in Python; `read_choices` reads one from files.
    """
    if table.attrs.get("checked"):
        return table
    asked = ChoiceWords.of(words)
    if "condition" in table and "occlusion" not in table:
        table = table.rename(columns={"condition": "occlusion"})
        asked = asked.changed(condition=asked.condition or "condition")
    observer, chance = _observer_of(table, name)
    missing = _is_missing(table["response"], words=True) if "response" in table else np.zeros(len(table), dtype=bool)
    given = _words(table.loc[~missing, "response"]) if "response" in table else [chance.removeprefix("p_")]
    asked = asked.changed(answers=asked.answers or guess_answers(pd.unique(pd.Series(given))))
    answers = asked.answers or Answers()
    faults = [*_faults_of_level(table, missing), *_faults_of_answers(table, missing, answers, chance)]
    for column in {observer, "stimulus", *(["seed"] if observer == NETWORK else [])} & set(table.columns):
        faults += [f"line {line} has no {column}" for line in _lines(_is_missing(table[column]))]
    if faults:
        message = (
            f"Levels that are not numbers, or answers that are neither {answers.high} nor {answers.low}, in {name}: "
            f"{first_of(faults, '; ')}. Fix or remove these lines, or name other answers: {TELL}."
        )
        raise ValueError(message)
    for column in (observer, "occlusion", "stimulus"):
        must_be_plain_names(table.get(column, []), column, name)
    simulated = table.attrs.get("simulated", False)
    if "simulated" in table:
        simulated = table["simulated"].astype(str).str.strip().str.lower().isin(("true", "1", "yes")).any()
    clean = _cleaned(table[~missing], observer, answers, chance)
    if clean.empty:
        message = f"No answers in {name}: the response is missing in all of {len(missing)} rows. Check its columns."
        raise ValueError(message)
    clean.attrs = {
        "checked": True,
        "simulated": bool(simulated),
        **origin_of(table.attrs),
        **asked.attrs,
        "left_out": int(missing.sum()),
    }
    return clean


def _cleaned(table: pd.DataFrame, observer: str, answers: Answers, chance: str) -> pd.DataFrame:
    """Return a checked table with one name for each observer and with numbers as such."""
    observers = table[observer].astype(str)
    if observer == NETWORK and "seed" in table:
        observers = observers + "/" + table["seed"].astype(str)
    clean = pd.DataFrame({observer: observers.to_numpy(), "occlusion": "none"})
    if "occlusion" in table:
        clean["occlusion"] = table["occlusion"].fillna("none").replace("", "none").astype(str).to_numpy()
    clean["level"] = table["level"].astype(float).to_numpy()
    if "response" in table:
        high = answers.high.strip().lower()
        clean["chosen"], clean["trials"] = (_words(table["response"]) == high).astype(float), 1.0
    else:
        clean["chosen"] = table[chance].astype(float).to_numpy()
        clean["trials"] = table["trials"].astype(float).to_numpy() if "trials" in table else np.nan
    if "stimulus" in table:
        clean["stimulus"] = table["stimulus"].astype(str).to_numpy()
    return clean


def _observer_of(table: pd.DataFrame, name: str) -> tuple[str, str]:
    """Return the column of observers, and that of the chance of the high answer (empty where there are responses)."""
    columns = [str(column) for column in table.columns]
    observers = [column for column in (PARTICIPANT, NETWORK) if column in columns]
    chances = [column for column in columns if column == "p" or column.startswith("p_")]
    given = [*chances, *(["response"] if "response" in columns else [])]
    faults = [] if len(observers) == 1 else ["participant or network"]
    faults += [] if len(given) == 1 else ["response or p_happy (or p, of any answer)"]
    faults += [] if "level" in columns else ["level"]
    if faults or table.empty:
        what = f"it has {columns}; give it one of each of {'; '.join(faults)}" if faults else "it has no rows"
        message = f"No observer, level or answer in {name}: {what}."
        raise ValueError(message)
    return observers[0], "".join(chances)


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


def _faults_of_answers(table: pd.DataFrame, missing: np.ndarray, answers: Answers, chance: str) -> list[str]:
    if "response" in table:
        two = [one.strip().lower() for one in (answers.high, answers.low)]
        wrong = ~np.isin(_words(table["response"]), two) & ~missing
        return [f"line {line} answers {_shown(table, 'response', line)}" for line in _lines(wrong)]
    chances = pd.to_numeric(table[chance], errors="coerce").to_numpy(dtype=float)
    faults = [
        f"line {line} has {chance} {_shown(table, chance, line)}"
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
    """Count high answers by observer, occlusion and level."""
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
    happy = np.bincount(cell, weights=trials * choices["chosen"].to_numpy(dtype=float), minlength=size).reshape(shape)
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
        ChoiceWords.from_attrs(choices.attrs),
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
    answers: Answers | Mapping[str, str] | None = None,
    trials: int | None = None,
    seed: int = 0,
    batch: int = 32,
) -> pd.DataFrame:
    """Let networks answer happy or sad, or one of any two answers, to each face.

    The two-way readout: the exponentials of the outputs for the two answers, renormalised to these two, whatever
    other classes there are. A network's probabilities are exact; they have no binomial spread, and its uncertainty
    is that over its seeds.

    Parameters
    ----------
    networks : Network or iterable of Network
        Asked one after another, so that an iterator may build each when its turn comes. Their `outputs` say which
        output stands for what; two nameless outputs are taken for sad and happy, in this order. Not changed.
    stimuli : StimulusSet
        With the factor `level`, and `occlusion` where there is any.
    answers : Answers or mapping, optional
        The outputs that stand for the two answers: ``{"high": "anger", "low": "fear"}``. Happy and sad if not given.
    trials : int, optional
        If given, so many choices are drawn from each probability instead.
    seed : int
        Of the choices drawn.
    batch : int
        Images at a time.

    Returns
    -------
    DataFrame, one row a network and stimulus
        Columns `network`, `stimulus`, `level`, `occlusion` and `p_happy` (``p_anger``, ...); with `trials`, it is the
        share of these choices and `trials` their number. ``attrs["untrained"]`` names networks with a random readout.

    Raises
    ------
    ValueError
        If the stimuli have no level, or a network no outputs for the two answers.

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
    two = Answers.of(answers)
    tables, origins = [], []
    for network in [networks] if isinstance(networks, Network) else networks:
        chance = _probabilities(network, stimuli, batch, two)
        if trials is not None:
            rng = rng_from(seed, "choices", network.name)
            chance = rng.binomial(trials, chance) / trials
        table = stimuli.table[["stimulus", "level"]].assign(network=network.name, **{f"p_{two.high}": chance})
        table["occlusion"] = stimuli.table.get("occlusion", "none")
        tables.append(table if trials is None else table.assign(trials=trials))
        *_, readout = (name for name, _ in network.module.named_parameters())
        untrained = [network.name] if readout in network.untrained else []
        origins.append({UNTRAINED: untrained, TRAINING_UNKNOWN: [network.name] if network.trained is None else []})
    together = pd.concat(tables, ignore_index=True)
    together.attrs = {**origin_of(*origins)}
    return together


def _probabilities(network: "Network", stimuli: StimulusSet, batch: int, answers: Answers) -> np.ndarray:
    # torch loads here, so that tables of choices are read without it
    import torch

    from rsa_face.networks.survey import evaluating
    from rsa_face.networks.zoo import answer_places
    from rsa_face.stimuli.images import read_batches

    sad, happy = answer_places(network, (answers.low, answers.high))
    device = next(network.module.parameters()).device
    chances = []
    with torch.no_grad(), evaluating(network.module):
        for inputs in read_batches(stimuli, network.preprocessing, batch=batch):
            outputs = network.module(inputs.to(device))
            # exp(happy) / (exp(happy) + exp(sad)), without what overflows
            chances.append((outputs[:, happy] - outputs[:, sad]).double().sigmoid().cpu())
    return np.asarray(torch.cat(chances).numpy())
