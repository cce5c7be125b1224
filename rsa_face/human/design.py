"""The next experiment: trials on which two layers disagree, in balanced blocks, as tables and as a page to run.

What two layers would answer to a trial follows from their distances, as `predict_trials` has it; a trial is worth as
much as its answer is expected to tell them apart. `design_trials` chooses the best ones with every stimulus equally
often, `trial_lists` deals trials out to participants and blocks, and `write_experiment` makes a page of them whose
data `read_human` reads.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from jaxtyping import Float, Int
from PIL import Image
from scipy.special import expit, log_softmax
from scipy.stats import norm

from rsa_face.human.relative import KEPT, THREE, TWO
from rsa_face.human.tables import listed
from rsa_face.inference.kernels import to_vectors
from rsa_face.provenance import rng_from
from rsa_face.safety import write_beside
from rsa_face.schema import PARTICIPANT, RDM, STIMULUS, check_rdms, must_be_known, stimulus_ids
from rsa_face.stimuli.catalogue import StimulusSet

MOST = 1_000_000  # candidates that are looked at; of more, a random part


@dataclass(frozen=True)
class Task:
    """A kind of trial that can be designed: the columns of its stimuli, and what page and reader call its answer."""

    about: str
    columns: tuple[str, ...]
    answer: str
    question: str
    chosen: bool = True  # trials are chosen by layers, and not shown with every stimulus


TASKS: dict[str, Task] = {
    "triplet": Task("which of three is the odd one", THREE, "odd", "Which one is least like the other two?"),
    "anchored": Task("which of two is nearer to an anchor", ("anchor", *TWO), "nearer",
                     "Which of the two below is more like the one above?"),
    "pairs": Task("how different two are", TWO, "rating", "How different are these two?"),
    "samediff": Task("same or different", TWO, "response", "Are these the same or different?"),
    "choice": Task("one of two answers", (STIMULUS,), "response", "Which is it?", chosen=False),
    "arrangement": Task("where stimuli lie in a circle", (STIMULUS,), "x",
                        "Drag the pictures so that similar ones lie close together.", chosen=False),
}  # fmt: skip
"""By the kind of human data that they make; ratings of pairs that share stimuli are read as kind ``rating``."""


def design_trials(
    rdms: xr.DataArray,
    first: str,
    second: str,
    *,
    kind: str = "anchored",
    trials: int = 100,
    noise: float = 1.0,
    most: int | None = None,
    seed: int = 0,
) -> pd.DataFrame:
    """Choose the trials whose answers are expected to tell two layers apart best, with stimuli equally often.

    Each layer's dissimilarities are brought to a mean of 0 and an SD of 1. It then answers as `predict_trials` has
    it: by a softmax of minus distance / `noise` where pairs are compared, by a logistic function where two stimuli
    are called the same or different, and with a rating around the distance with an SD of `noise`. The gain of a trial
    is the expected log-likelihood ratio of its answer in favour of whichever of the two layers is right, in bits. The
    best trials are taken in turn, as long as their stimuli were not used more often than others. Stimuli on which
    models disagree: Golan, Raju & Kriegeskorte 2020, 10.1073/pnas.1912334117; of faces Guo et al. 2026,
    10.48550/arXiv.2605.12619.

    Parameters
    ----------
    rdms : DataArray, dims (rdm, stimulus_i, stimulus_j)
        RDMs of the layers, over the pool of stimuli that may be shown. Not changed.
    first, second : str
        The two layers: names along `rdm`, such as ``fe_alexnet/fc8`` and ``alexnet/fc8``.
    kind : str
        triplet, anchored, pairs or samediff.
    trials : int
        How many different trials.
    noise : float
        How noisy people are, in SDs of the dissimilarities; 1 where they follow a distance of one SD in 73 % of
        choices between two.
    most : int, optional
        How often a stimulus is shown at most, over all trials; as rarely as the number of trials allows if not given.
    seed : int
        Which candidates are looked at, where there are more than a million.

    Returns
    -------
    DataFrame, a row for each trial, the best first
        The columns of the kind (``anchor``, ``stimulus_a``, ``stimulus_b``), `gain` in bits, and `first_answer` and
        `second_answer`: what each layer would most likely answer. Attrs: `kind`, `layers`, `noise`, `gain` (of all
        trials, bits), `random_gain` (of as many random ones), `told_apart` and `random_told_apart` (how often one
        participant's answers to all trials favour the layer that is right), `candidates`, `shown` (how often a
        stimulus is shown, least and most), `stimuli` (how many are shown).

    Raises
    ------
    ValueError
        If a layer is unknown, the pool is too small, or the kind takes no choice of trials.

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> models = rf.control_rdms(demo.stimuli, ["level", "identity"])
    >>> design = design_trials(models, "level", "identity", trials=50)
    >>> design.columns.tolist()
    ['anchor', 'stimulus_a', 'stimulus_b', 'gain', 'first_answer', 'second_answer']
    >>> design.attrs["gain"] > 3 * design.attrs["random_gain"], design.attrs["shown"]
    (True, [1, 3])
    """
    must_be_known(kind, [name for name, task in TASKS.items() if task.chosen], "kind of trials to choose")
    check_rdms(rdms, along=RDM, name="Layer RDMs")
    ids = stimulus_ids(rdms)
    for name in (first, second):
        must_be_known(name, [str(value) for value in rdms[RDM].values], "layer")
    if trials < 1 or not noise > 0 or first == second:
        message = f"trials={trials}, noise={noise}, layers {first!r} and {second!r}: choose 1 trial or more, noise "
        message += "above 0, and two different layers."
        raise ValueError(message)
    squares = np.stack([_standardised(rdms.sel({RDM: name}).values) for name in (first, second)])
    columns = TASKS[kind].columns
    candidates = _candidates(kind, len(ids), rng_from(seed, "candidates"))
    gain, spread, answers = _gains(kind, candidates, squares, noise)
    chosen, shown = _balanced(candidates, gain, trials, len(ids), most)
    names = np.array(ids, dtype=object)
    table = pd.DataFrame(names[candidates[chosen]], columns=list(columns))
    table["gain"] = gain[chosen]
    for layer, name in enumerate(("first_answer", "second_answer")):
        table[name] = _answer_in_words(kind, candidates[chosen], answers[layer, chosen], names)
    used = shown[shown > 0]
    table.attrs = {
        "kind": kind,
        "layers": [first, second],
        "noise": noise,
        "gain": float(gain[chosen].sum()),
        "random_gain": float(gain.mean() * trials),
        "told_apart": _told_apart(gain[chosen], spread[chosen]),
        "random_told_apart": _told_apart(np.full(trials, gain.mean()), np.full(trials, spread.mean())),
        "candidates": len(candidates),
        "shown": [int(used.min()), int(used.max())],
        "stimuli": int((shown > 0).sum()),
    }
    return table


def _standardised(square: Float[np.ndarray, "stimulus stimulus"]) -> Float[np.ndarray, "stimulus stimulus"]:
    values = to_vectors(np.asarray(square, dtype=float)[None])[0]
    if np.isnan(values).any() or not values.std() > 0:
        message = "A layer's RDM has missing pairs, or the same dissimilarity for all of them. Choose another layer."
        raise ValueError(message)
    return np.asarray((square - values.mean()) / values.std())


def _candidates(kind: str, stimuli: int, rng: np.random.Generator) -> Int[np.ndarray, "trial place"]:
    """Return every trial there could be, as places of stimuli; of very many, a random part without repeats."""
    places = len(TASKS[kind].columns)
    if stimuli < places + 1:
        message = f"Too few stimuli to choose trials from: {stimuli}, and {places + 1} are needed. Use a larger pool."
        raise ValueError(message)
    turns = 3 if kind == "anchored" else 1  # each of the three may be the anchor
    if turns * comb(stimuli, places) <= MOST:
        sets = np.array(list(combinations(range(stimuli), places)), dtype=np.int32)
    else:
        drawn = rng.integers(0, stimuli, (2 * MOST // turns, places))
        drawn.sort(axis=1)
        sets = np.unique(drawn[(np.diff(drawn, axis=1) > 0).all(axis=1)], axis=0)
        sets = sets[rng.permutation(len(sets))[: MOST // turns]].astype(np.int32)
    if turns == 1:
        return sets
    return np.concatenate([np.roll(sets, -turn, axis=1) for turn in range(3)])


def _gains(
    kind: str, trials: Int[np.ndarray, "trial place"], squares: Float[np.ndarray, "layer i j"], noise: float
) -> tuple[Float[np.ndarray, " trial"], Float[np.ndarray, " trial"], Int[np.ndarray, "layer trial"]]:
    """Return the expected log-likelihood ratio of each trial in bits, its variance, and what each layer answers."""
    if kind == "pairs":
        z = squares[:, trials[:, 0], trials[:, 1]]
        nats = (z[0] - z[1]) ** 2 / (2 * noise**2)
        return nats / np.log(2), 2 * nats / np.log(2) ** 2, (z > 0).astype(np.int64)
    if kind == "samediff":
        z = squares[:, trials[:, 0], trials[:, 1]] / noise
        logs = np.log(np.stack([expit(-z), expit(z)], axis=2))
    else:
        pairs = KEPT if kind == "triplet" else ((0, 1), (0, 2))
        distances = np.stack([squares[:, trials[:, i], trials[:, j]] for i, j in pairs], axis=2)
        logs = log_softmax(-distances / noise, axis=2)
    p, ratio = np.exp(logs), (logs[0] - logs[1]) / np.log(2)
    # whichever of the two is right: the mean of both
    means = np.stack([(p[0] * ratio).sum(axis=1), -(p[1] * ratio).sum(axis=1)])
    spreads = np.stack([(p[layer] * ratio**2).sum(axis=1) for layer in (0, 1)]) - means**2
    return means.mean(axis=0), spreads.mean(axis=0), np.argmax(p, axis=2)


def _told_apart(gain: Float[np.ndarray, " trial"], spread: Float[np.ndarray, " trial"]) -> float:
    """Return how often the sum of log-likelihood ratios is on the right side, by the normal distribution."""
    return float(norm.cdf(gain.sum() / np.sqrt(max(spread.sum(), 1e-12))))


def _balanced(
    candidates: Int[np.ndarray, "trial place"],
    worth: Float[np.ndarray, " trial"],
    trials: int,
    stimuli: int,
    most: int | None,
) -> tuple[Int[np.ndarray, " trial"], Int[np.ndarray, " stimulus"]]:
    """Return the best trials in which no stimulus is used more often than the limit, and how often each is."""
    places = candidates.shape[1]
    if trials > len(candidates) or (most is not None and most * stimuli < trials * places):
        limit = f", none of them more than {most} times" if most is not None else ""
        message = f"No {trials} different trials can be made of {stimuli} stimuli{limit}. Ask for fewer."
        raise ValueError(message)
    # gains that differ by the rounding of a processor are equal, so that every machine chooses the same trials
    order, shown = np.argsort(-np.round(worth, 9), kind="stable"), np.zeros(stimuli, dtype=np.int64)
    chosen: list[int] = []
    allowed: int = -(-trials * places // stimuli) if most is None else most
    while len(chosen) < trials:
        rest = []
        for candidate in order.tolist():
            at = candidates[candidate]
            if len(chosen) < trials and (shown[at] < allowed).all():
                chosen.append(candidate)
                shown[at] += 1
            else:
                rest.append(candidate)
        if len(chosen) < trials:
            if most is not None:
                message = (
                    f"Only {len(chosen)} of {trials} trials can be made with stimuli shown {most} times at most. "
                    "Allow more, or ask for fewer trials."
                )
                raise ValueError(message)
            allowed, order = allowed + 1, np.array(rest)
    return np.array(chosen), shown


def _answer_in_words(kind: str, trials: Int[np.ndarray, "trial place"], answer: Any, names: Any) -> list[str]:
    if kind == "pairs":
        return ["far" if one else "near" for one in answer]
    if kind == "samediff":
        return ["different" if one else "same" for one in answer]
    places = answer + 1 if kind == "anchored" else answer
    return names[np.take_along_axis(trials, places[:, None], axis=1)[:, 0]].tolist()  # type: ignore[no-any-return]


def random_trials(ids: Sequence[str], *, kind: str, trials: int, seed: int = 0) -> pd.DataFrame:
    """Return random trials of a kind in which every stimulus stands equally often, where no layers choose them."""
    must_be_known(kind, [name for name, task in TASKS.items() if task.chosen], "kind of trials to choose")
    rng = rng_from(seed, "random trials")
    candidates = _candidates(kind, len(ids), rng)
    chosen, _ = _balanced(candidates, rng.random(len(candidates)), trials, len(ids), None)
    table = pd.DataFrame(np.array(ids, dtype=object)[candidates[chosen]], columns=list(TASKS[kind].columns))
    table.attrs["kind"] = kind
    return table


def trial_lists(
    trials: pd.DataFrame | Sequence[str],
    *,
    kind: str,
    participants: int,
    blocks: int = 4,
    each: int | None = None,
    repeats: int = 1,
    size: int = 12,
    seed: int = 0,
) -> pd.DataFrame:
    """Deal trials out to participants, in blocks in which every stimulus is shown about equally often.

    Which of several stimuli stands left or right is turned at random, half of the time; the order within a block is
    random. All of it is each participant's own.

    Parameters
    ----------
    trials : DataFrame or sequence of str
        Trials as `design_trials` and `random_trials` return them; for the kinds choice and arrangement the ids of the
        stimuli.
    kind : str
        triplet, anchored, pairs, samediff, choice or arrangement.
    participants : int
        How many lists.
    blocks : int
        In how many blocks each participant's trials come.
    each : int, optional
        How many of the trials a participant is shown; all if not given. Trials are shown to equally many people.
    repeats : int
        How often a participant is shown each trial.
    size : int
        How many stimuli lie on a screen, for the kind arrangement; screens are made until every two stimuli were
        together once.
    seed : int
        The seed.

    Returns
    -------
    DataFrame, a row for each trial of each participant (for arrangement, for each stimulus on a screen)
        `participant`, `block`, `trial` (a number within the participant) and the columns of the kind. In the kind
        samediff, as many trials again show a stimulus with itself.

    Raises
    ------
    ValueError
        If a number is too small, or the trials are not of the kind.

    Examples
    --------
    >>> trials = random_trials(list("abcdef"), kind="anchored", trials=8)
    >>> lists = trial_lists(trials, kind="anchored", participants=2, blocks=2)
    >>> lists.groupby(["participant", "block"]).size().tolist()
    [4, 4, 4, 4]
    """
    must_be_known(kind, TASKS, "kind of trials")
    if min(participants, blocks, repeats) < 1 or (each is not None and each < 1):
        message = f"participants={participants}, blocks={blocks}, repeats={repeats}, each={each}: give 1 or more."
        raise ValueError(message)
    if kind == "arrangement":
        return _screens(list(map(str, trials)), participants, blocks, size, seed)
    if kind == "choice":
        rows = pd.DataFrame({STIMULUS: list(map(str, trials))})
    elif not isinstance(trials, pd.DataFrame) or not set(TASKS[kind].columns) <= set(trials.columns):
        message = f"No trials of kind {kind!r}: they have the columns {list(TASKS[kind].columns)}."
        raise ValueError(message)
    else:
        rows = trials[list(TASKS[kind].columns)].astype(str)
    if kind == "samediff":
        rows = _with_same(rows)
    width = max(2, len(str(participants)))
    parts = []
    for person, some in enumerate(_dealt(len(rows), participants, each, rng_from(seed, "people"))):
        rng = rng_from(seed, f"list of participant {person}")
        shown = rows.iloc[np.tile(some, repeats)].to_numpy(dtype=object)
        block = _in_blocks(shown, blocks, rng)
        shown = _turned(kind, shown, rng)
        order = np.lexsort([rng.random(len(shown)), block])
        part = pd.DataFrame(shown[order], columns=rows.columns)
        part.insert(0, "trial", np.arange(1, len(part) + 1))
        part.insert(0, "block", block[order] + 1)
        part.insert(0, PARTICIPANT, f"p{person + 1:0{width}d}")
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _with_same(rows: pd.DataFrame) -> pd.DataFrame:
    """Return pairs and as many trials of a stimulus with itself, of those in the pairs equally often."""
    ids = pd.unique(rows.to_numpy().ravel())
    same = [ids[number % len(ids)] for number in range(len(rows))]
    return pd.concat([rows, pd.DataFrame(dict.fromkeys(TWO, same))], ignore_index=True)


def _dealt(trials: int, participants: int, each: int | None, rng: np.random.Generator) -> Iterator[Any]:
    """Give each participant's trials: all of them, or some, so that every trial goes to equally many people."""
    if each is None or each >= trials:
        yield from (np.arange(trials) for _ in range(participants))
        return
    left: list[int] = []
    for _ in range(participants):
        mine: list[int] = []
        while len(mine) < each:
            if not left:
                left = rng.permutation(trials).tolist()
            take = next((one for one in left if one not in set(mine)), None)
            if take is None:  # a new round begins with trials that this participant has not had
                left = [*left, *rng.permutation(trials).tolist()]
                continue
            left.remove(take)
            mine.append(take)
        yield np.array(mine)


def _in_blocks(shown: Any, blocks: int, rng: np.random.Generator) -> Any:
    """Return the block of each trial: that of those with room in which its stimuli were shown least."""
    names, codes = np.unique(shown.astype(str), return_inverse=True)
    codes = codes.reshape(shown.shape)
    seen = np.zeros((blocks, len(names)), dtype=np.int64)
    room = np.full(blocks, len(shown) // blocks)
    room[: len(shown) % blocks] += 1
    block = np.empty(len(shown), dtype=np.int64)
    for trial in rng.permutation(len(shown)):
        load = seen[:, codes[trial]].sum(axis=1) + 1e-3 * rng.random(blocks)
        at = int(np.argmin(np.where(room > 0, load, np.inf)))
        block[trial] = at
        room[at] -= 1
        seen[at, codes[trial]] += 1
    return block


def _turned(kind: str, shown: Any, rng: np.random.Generator) -> Any:
    """Turn around which stimulus stands where: half of the time for two, at random for three."""
    if kind == "triplet":
        return rng.permuted(shown, axis=1)
    if kind in ("anchored", "pairs", "samediff"):
        swap = rng.permutation(np.arange(len(shown)) % 2 == 0)
        shown[swap, -2:] = shown[swap, -2:][:, ::-1]
    return shown


def _screens(ids: list[str], participants: int, blocks: int, size: int, seed: int) -> pd.DataFrame:
    """Return screens of stimuli to arrange, in which every two stimuli are together at least once."""
    if not size >= 3 or len(ids) < 3:
        message = f"size={size} stimuli on a screen, of {len(ids)}: an arrangement needs 3 or more."
        raise ValueError(message)
    size, width, rows = min(size, len(ids)), max(2, len(str(participants))), []
    for person in range(participants):
        rng = rng_from(seed, f"screens of participant {person}")
        together = np.zeros((len(ids), len(ids)), dtype=np.int64)
        np.fill_diagonal(together, 1)
        screens = []
        while (together == 0).any():
            i, j = np.argwhere(together == 0)[rng.integers((together == 0).sum())]
            screen = [int(i), int(j)]
            while len(screen) < size:
                # the stimulus that was together least with those on the screen
                load = together[:, screen].sum(axis=1) - 2.0 * (together[:, screen] == 0).sum(axis=1)
                load[screen] = np.inf
                screen.append(int(np.argmin(load + 1e-3 * rng.random(len(ids)))))
            together[np.ix_(screen, screen)] += 1
            screens.append(screen)
        block = np.arange(len(screens)) * blocks // len(screens)
        rows += [(f"p{person + 1:0{width}d}", int(block[trial]) + 1, trial + 1, ids[one])
                 for trial, screen in enumerate(screens) for one in screen]  # fmt: skip
    return pd.DataFrame(rows, columns=[PARTICIPANT, "block", "trial", STIMULUS])


def write_experiment(
    lists: pd.DataFrame,
    stimuli: StimulusSet,
    folder: str | Path,
    *,
    kind: str,
    title: str = "Experiment",
    answers: tuple[str, str] = ("happy", "sad"),
    instructions: str = "",
) -> Path:
    """Write trial lists and their pictures as a page that runs in a browser, without a server or the internet.

    The page asks for the participant, shows the trials of their list, and offers the data as a file at the end; it
    keeps them in the browser from trial to trial, so that a closed page loses none. Data have the columns of jsPsych
    (``trial_type``, ``trial_index``, ``time_elapsed``, ``rt``, ``response``) and ours:
    ``read_human(file, kind=kind)`` reads them, and several participants' files together.

    Parameters
    ----------
    lists : DataFrame
        As `trial_lists` returns them. Not changed.
    stimuli : StimulusSet
        The stimuli, with their pictures.
    folder : str or Path
        Where to write: ``index.html``, ``trials.csv`` and ``images``. It must not exist.
    kind : str
        The kind of the lists.
    title : str
        What the page is called.
    answers : tuple of str
        The two answers of the kind choice.
    instructions : str
        What participants read first; what is asked, if empty.

    Returns
    -------
    Path
        The page, ``index.html``.

    Raises
    ------
    FileExistsError
        If the folder exists.
    ValueError
        If a stimulus has no picture, or the kind is unknown.
    """
    must_be_known(kind, TASKS, "kind of trials")
    folder = Path(folder)
    if folder.exists():
        message = f"{str(folder)!r} already exists. Choose another folder for the experiment."
        raise FileExistsError(message)
    columns = [name for name in lists.columns if name in TASKS[kind].columns]
    shown = pd.unique(lists[columns].astype(str).to_numpy().ravel()).tolist()
    missing = sorted(set(shown) - set(stimuli.ids))
    if missing or not columns:
        message = f"No pictures of {listed(missing)}: the stimulus table does not list them. Give the table of these."
        raise ValueError(message)
    files = dict(zip(stimuli.ids, stimuli.files, strict=True))
    (folder / "images").mkdir(parents=True)
    pictures = {name: _picture(files[name], folder / "images", number) for number, name in enumerate(shown)}
    task = TASKS[kind]
    content = {
        "kind": kind,
        "title": title,
        "question": task.question,
        "instructions": instructions or task.question,
        "answer": task.answer,
        "answers": list(answers),
        "columns": columns,
        "images": pictures,
        "lists": {str(person): _rows_of(part, kind, columns) for person, part in lists.groupby(PARTICIPANT)},
    }
    text = Path(__file__).with_name("experiment.html").read_text("utf-8")
    # whatever a name holds, it ends neither the script nor the page
    data = json.dumps(content, ensure_ascii=False).replace("<", "\\u003c").replace("\u2028", "\\u2028")
    with write_beside(folder / "trials.csv") as beside:
        lists.to_csv(beside, index=False, lineterminator="\n")
    page = folder / "index.html"
    with write_beside(page) as beside:
        beside.write_text(text.replace("/*CONTENT*/", data.replace("\u2029", "\\u2029")), "utf-8")
    return page


def _rows_of(part: pd.DataFrame, kind: str, columns: list[str]) -> list[dict[str, Any]]:
    """Return one participant's trials, as the page takes them: an arrangement's stimuli in one."""
    trials = part["trial"].to_numpy(int)
    block = part["block"].to_numpy(int)
    values = part[columns].astype(str).to_dict("list")
    if kind != "arrangement":
        return [
            {"block": int(block[row]), "trial": int(trials[row]), **{str(name): values[name][row] for name in values}}
            for row in range(len(part))
        ]
    return [
        {
            "trial": int(trial),
            "block": int(block[trials == trial][0]),
            "stimuli": part[STIMULUS].astype(str)[trials == trial].tolist(),
        }
        for trial in np.unique(trials)
    ]


def _picture(file: Path, folder: Path, number: int) -> str:
    """Save a picture as PNG under a number, which tells participants nothing."""
    target = folder / f"{number:04d}.png"
    with Image.open(file) as image:
        image.convert("RGB").save(target)
    return f"images/{target.name}"
