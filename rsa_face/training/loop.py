"""Train a network to tell happy from sad faces: the same way each time, whatever interrupts it."""

import copy
import math
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from scipy import stats
from torch import Tensor, nn
from torch.nn import functional

from rsa_face.memory import keeping_memory
from rsa_face.networks.attention import FeatureExcitation
from rsa_face.networks.settings import Attention
from rsa_face.networks.weights import content_of
from rsa_face.networks.zoo import Network, build_network
from rsa_face.provenance import hash_content, rng_from
from rsa_face.training.data import (
    MOST_BYTES,
    Pictures,
    TrainingTable,
    draw_variations,
    must_not_share_faces,
    must_show,
    open_pictures,
    split_by_identity,
    vary,
)
from rsa_face.training.evaluation import SCORES, judge_valence, probability_happy, score_judgements
from rsa_face.training.runs import Run, finish_run, open_run, put_away, save_epoch
from rsa_face.training.settings import HAPPY, SAD, Augmentation, TrainingSettings

_FIXED: dict[str, Pictures] = {}  # what fixed layers made of training images last


@dataclass(frozen=True)
class Step:
    """How far a training has come, handed to `progress` after every batch; epochs and batches count from 1."""

    network: str
    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    row: Mapping[str, float] | None = None  # of the history, after the last batch of an epoch


@dataclass(frozen=True, eq=False)
class Halves:
    """A network as what runs unchanged (in evaluation mode, empty if all learns) and what learns."""

    fixed: nn.Sequential
    learning: nn.Sequential
    frozen: tuple[str, ...]  # some may lie in `learning`, behind a block that learns

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits, with gradients from the learning part alone."""
        with torch.no_grad():
            features = self.fixed(inputs)
        logits: Tensor = self.learning(features)
        return logits


@dataclass(frozen=True, eq=False)
class Learner:
    """A network while it is being trained."""

    name: str
    module: nn.Module
    halves: Halves  # the module, cut before the first layer that learns
    forward: Callable[[Tensor], Tensor]  # from inputs, or what the fixed layers made of them, to logits
    optimizer: torch.optim.Optimizer
    weights: Tensor | None  # of each class in the loss
    device: torch.device


@dataclass(frozen=True, eq=False)
class Trained:
    """What a training leaves behind.

    Parameters
    ----------
    network : Network
        With the trained weights, in evaluation mode, on the CPU.
    history : DataFrame, one row an epoch
        `epoch`, `loss`, `accuracy` (while training, with dropout and variation), `validation_loss`,
        `validation_accuracy`, `images` seen, images `skipped`, `seconds`.
    scores : Dataset, dims (network, condition), or None
        On the held-out faces, over all and for each occlusion; see `score_judgements`.
    judgements : DataFrame or None
        The held-out table with the probability of `happy`.
    file : Path or None
        The weights, if a folder was given; `build_network` reads them.
    """

    network: Network
    history: pd.DataFrame
    scores: xr.Dataset | None = None
    judgements: pd.DataFrame | None = None
    file: Path | None = None


@dataclass(frozen=True)
class Start:
    """What a network starts from, whatever its seed; the last layer always starts from random weights."""

    architecture: str
    weights: str = "random"  # or imagenet, a file, hf://...
    pretraining: str | None = None  # what the weights are called in the networks' names
    attention: Attention | Mapping[str, object] | None = None


def train_valence(
    network: Network,
    table: TrainingTable,
    *,
    settings: TrainingSettings | None = None,
    held_out: TrainingTable | None = None,
    folder: str | Path | None = None,
    progress: Callable[[Step], None] | None = None,
) -> Trained:
    """Train a copy of a network to tell happy from sad faces.

    The same seed on the same device gives the same weights to the bit: the order of the images, dropout and
    variation are drawn again for each epoch from the seed and the epoch's number, and the global random state is
    left as it was. So a training that was interrupted goes on from its last whole epoch as if it had not been.

    Parameters
    ----------
    network : Network
        What to start from. Not changed.
    table : TrainingTable
        The faces to learn from; with `settings.validation`, some identities are set aside from it.
    settings : TrainingSettings, optional
        How; its defaults unless given.
    held_out : TrainingTable, optional
        Faces of other identities to judge in the end. They choose nothing: neither the epoch nor the settings.
    folder : str or Path, optional
        Where to keep the weights (``<network>.safetensors``), the log of the epochs (``.csv``) and, until it is
        done, the state to go on from. A training that is finished there, with the same start, faces and settings,
        is read and not repeated. Nothing is written unless given.
    progress : callable, optional
        Called with a `Step` after every batch.

    Returns
    -------
    Trained
        The trained network, the history, and the scores on held-out faces.

    Raises
    ------
    ValueError
        If classes and outputs differ, a class has no image, a face is on both sides, or an image is broken.
    RuntimeError
        If the loss is no longer a number; the last good checkpoint is kept.
    OSError
        If there is no room for a checkpoint.
    """
    settings = settings or TrainingSettings()
    network = _prepared(network, settings)
    _check(network, table, settings, held_out)
    nobody = table.take([])
    tables = (
        split_by_identity(table, settings.validation, seed=settings.seed) if settings.validation else (table, nobody)
    )
    device = choose_device(settings.device)
    with open_run(network, table, settings, device, None if folder is None else Path(folder)) as run:
        if run.done:
            trained = run.network
            put_away(run)
        else:
            with _own_randomness(device), keeping_memory():
                trained = _train(network, tables, settings, run, progress)
    judgements = judge_valence(trained, held_out) if held_out is not None else None
    scores = score_judgements(judgements, name=trained.name) if judgements is not None else None
    return Trained(trained, pd.DataFrame(run.rows), scores, judgements, run.file)


def choose_device(wanted: str) -> torch.device:
    """Return the device to train on."""
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return torch.device("cuda" if available["cuda"] else "cpu")
    if not available[wanted.split(":")[0]]:
        message = f"No device {wanted!r} on this machine. Use auto or cpu."
        raise ValueError(message)
    return torch.device(wanted)


def _prepared(network: Network, settings: TrainingSettings) -> Network:
    preprocessing = network.preprocessing
    if settings.size is not None:
        preprocessing = preprocessing.changed(resize=settings.size, crop=settings.size)
    return replace(network, preprocessing=preprocessing, outputs=settings.classes)


def _check(
    network: Network, table: TrainingTable, settings: TrainingSettings, held_out: TrainingTable | None
) -> None:
    last = [part for part in network.module.modules() if isinstance(part, nn.Linear)][-1].out_features
    if last != len(settings.classes):
        message = (
            f"{network.name} has {last} outputs for {len(settings.classes)} classes, {', '.join(settings.classes)}. "
            f"Build it with classes={len(settings.classes)}."
        )
        raise ValueError(message)
    must_show(table, settings.classes, "the training table")
    if table.classes != settings.classes:
        message = (
            f"The training table has the classes {list(table.classes)}, the settings {list(settings.classes)}. Read "
            "the table with these, in this order."
        )
        raise ValueError(message)
    if held_out is not None:
        must_show(held_out, (SAD, HAPPY), "the held-out table")
        must_not_share_faces(table, held_out)


@contextmanager
def _own_randomness(device: torch.device) -> Iterator[None]:
    gpus = [device] if device.type == "cuda" else []
    cudnn = torch.backends.cudnn
    with (
        torch.random.fork_rng(devices=gpus),
        cudnn.flags(enabled=cudnn.enabled, deterministic=True, benchmark=False, allow_tf32=cudnn.allow_tf32),
    ):
        yield


def _train(
    network: Network,
    tables: tuple[TrainingTable, TrainingTable],
    settings: TrainingSettings,
    run: Run,
    progress: Callable[[Step], None] | None,
) -> Network:
    learner = make_learner(network, tables[0], settings, run.device)
    fit, aside = (_open(table, learner, network, settings) for table in tables)
    if learner.halves.fixed and settings.augmentation is None:
        learner = start_behind_fixed(learner, settings)
    best, unsaved = run.resume(learner.module, learner.optimizer), 0.0
    while len(run.rows) < settings.epochs and not _is_over(run.rows, settings):
        start, epoch = time.perf_counter(), len(run.rows) + 1
        try:
            row = learn(learner, fit, settings, epoch, progress) | watch(learner, aside, settings)
        except FloatingPointError as error:
            message = f"{error} {run.kept()}"
            raise RuntimeError(message) from error
        row |= {"skipped": len(fit.skipped), "seconds": time.perf_counter() - start}
        run.rows.append({"epoch": epoch, **row})
        best = _copy(learner.module) if _is_best(run.rows, settings) else best
        unsaved += row["seconds"]
        if save_epoch(run, learner.module, learner.optimizer, best=best, unsaved=unsaved):
            unsaved = 0.0
        if progress is not None:
            batches = -(-len(fit.table) // settings.batch)
            progress(Step(network.name, epoch, settings.epochs, batches, batches, row["loss"], run.rows[-1]))
    if best is not None:
        learner.module.load_state_dict(best)
    return finish_run(run, network, learner.module, learner.halves.frozen)


def _open(table: TrainingTable, learner: Learner, network: Network, settings: TrainingSettings) -> Pictures:
    """Return the training pictures; where the first layers never change, what these make of them."""
    look = partial(open_pictures, table, network.preprocessing, skip_unreadable=settings.skip_unreadable)
    fixed = learner.halves.fixed
    if not fixed or settings.augmentation is not None or not len(table):
        return look()
    record = network.preprocessing.record(), settings.skip_unreadable, str(learner.device), settings.batch
    key = hash_content(str(fixed), content_of(fixed.state_dict()), table.content_hash(), *record)
    if key not in _FIXED:  # seeds differ behind the fixed layers alone: the next network often has the same
        _FIXED.clear()
        made = compute_fixed(learner.halves, look(), batch=settings.batch, device=learner.device)
        if made.inputs is None or made.inputs.nbytes > MOST_BYTES:
            return made
        _FIXED[key] = made
    return _FIXED[key]


def _is_best(rows: list[dict[str, Any]], settings: TrainingSettings) -> bool:
    if settings.patience is None:
        return False
    losses = [row["validation_loss"] for row in rows]
    return int(np.argmin(losses)) == len(losses) - 1


def _is_over(rows: list[dict[str, Any]], settings: TrainingSettings) -> bool:
    if rows and settings.stop_at is not None and rows[-1]["accuracy"] >= settings.stop_at:
        return True
    if settings.patience is None or not rows:
        return False
    return len(rows) - 1 - int(np.argmin([row["validation_loss"] for row in rows])) >= settings.patience


def _copy(module: nn.Module) -> dict[str, Tensor]:
    return {key: value.detach().clone() for key, value in module.state_dict().items()}


def mix_classes(targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random order in which every stretch holds the classes in their shares of the whole.

    Faces are alike in nearly everything: a batch with more of one class pushes all answers towards it.
    """
    place = np.empty(len(targets))
    for target in rng.permutation(np.unique(targets)):
        rows = rng.permutation(np.flatnonzero(targets == target))
        place[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    return np.lexsort((rng.random(len(targets)), place))


def learn(
    learner: Learner,
    pictures: Pictures,
    settings: TrainingSettings,
    epoch: int,
    progress: Callable[[Step], None] | None,
) -> dict[str, float]:
    """Show a network every training image once, and let it learn from each batch."""
    variation = settings.augmentation
    rng = rng_from(settings.seed, "order", epoch)
    order = mix_classes(pictures.table.targets, rng) if settings.mixed else rng.permutation(len(pictures.table))
    draws = draw_variations(len(order), seed=settings.seed, epoch=epoch)
    torch.manual_seed(int(rng_from(settings.seed, "dropout", epoch).integers(2**62)))
    targets = torch.from_numpy(pictures.table.targets)
    learner.halves.learning.train()
    batches, total, right = -(-len(order) // settings.batch), 0.0, 0
    for number, (rows, inputs) in enumerate(pictures.batches(order, settings.batch), start=1):
        varied = vary(inputs, variation, draws[rows]) if isinstance(variation, Augmentation) else inputs
        target = targets[torch.from_numpy(rows)].to(learner.device)
        _set_step_size(learner.optimizer, settings, (epoch - 1) * batches + number, batches)
        loss, logits = _step(learner, varied.to(learner.device), target, settings)
        if not np.isfinite(loss):
            raise _lost(learner, f"a loss of {loss}", f"epoch {epoch}, batch {number}", settings)
        total += loss * len(rows)
        right += int((logits.argmax(dim=1) == target).sum())
        if progress is not None and number < batches:
            progress(Step(learner.name, epoch, settings.epochs, number, batches, loss))
    # the last step of an epoch is followed by no loss that would show what it did
    if not all(bool(torch.isfinite(value).all()) for value in learner.halves.learning.parameters()):
        raise _lost(learner, "weights that are not finite", f"epoch {epoch}, batch {batches}", settings)
    return {"loss": total / len(order), "accuracy": right / len(order), "images": len(order)}


@torch.no_grad()
def watch(learner: Learner, pictures: Pictures, settings: TrainingSettings) -> dict[str, float]:
    """Judge the validation faces, unvaried and without dropout."""
    if not len(pictures.table):
        return {}
    learner.halves.learning.eval()
    order = np.arange(len(pictures.table))
    batches = pictures.batches(order, settings.batch)
    logits = torch.cat([learner.forward(inputs.to(learner.device)).float().cpu() for _, inputs in batches])
    targets = torch.from_numpy(pictures.table.targets)
    weights = None if learner.weights is None else learner.weights.cpu()
    either = np.isin(pictures.table.table["class"], [SAD, HAPPY])
    happy = (pictures.table.table["class"] == HAPPY).to_numpy()
    judged = probability_happy(logits, settings.classes) > 0.5
    return {
        "validation_loss": float(functional.cross_entropy(logits, targets, weight=weights)),
        "validation_accuracy": float((judged == happy)[either].mean()),
    }


def make_learner(network: Network, table: TrainingTable, settings: TrainingSettings, device: torch.device) -> Learner:
    """Copy a network and make ready to train the copy."""
    module = copy.deepcopy(network.module)
    if settings.dropout is not None:
        for part in module.modules():
            if isinstance(part, nn.Dropout):
                part.p = settings.dropout
    module.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in its stub
    if settings.zero_head:
        last = [part for part in module.modules() if isinstance(part, nn.Linear)][-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    halves = split_network(network, module, settings.freeze)
    learning = [parameter for parameter in module.parameters() if parameter.requires_grad]
    optimizer = torch.optim.Adam(learning, lr=settings.lr, weight_decay=settings.weight_decay, fused=True)
    weights = None
    if settings.class_weights == "balanced":
        counts = np.bincount(table.targets, minlength=len(settings.classes))
        weights = torch.tensor(len(table) / (len(counts) * counts), dtype=torch.float32, device=device)
    forward = torch.compile(halves.forward) if settings.compile else halves.forward
    return Learner(network.name, module, halves, forward, optimizer, weights, device)


def start_behind_fixed(learner: Learner, settings: TrainingSettings) -> Learner:
    """Return the learner for inputs that have passed the fixed layers already."""
    learning = learner.halves.learning
    return replace(learner, forward=torch.compile(learning) if settings.compile else learning)


def _lost(learner: Learner, what: str, where: str, settings: TrainingSettings) -> FloatingPointError:
    also = " or use float32" if settings.precision != "float32" else ""
    return FloatingPointError(
        f"The training of {learner.name} diverged: {what} in {where}. Lower lr ({settings.lr:g}){also}."
    )


def _step(learner: Learner, inputs: Tensor, target: Tensor, settings: TrainingSettings) -> tuple[float, Tensor]:
    if inputs.ndim == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    learner.optimizer.zero_grad(set_to_none=True)
    half = settings.precision == "bfloat16"
    with torch.autocast(learner.device.type, torch.bfloat16, enabled=half):
        logits = learner.forward(inputs)
    loss = functional.cross_entropy(logits.float(), target, weight=learner.weights)
    value = float(loss.detach())
    if np.isfinite(value):
        loss.backward()  # type: ignore[no-untyped-call]  # untyped in torch
        learner.optimizer.step()
    return value, logits.detach()


def _set_step_size(optimizer: torch.optim.Optimizer, settings: TrainingSettings, step: int, batches: int) -> None:
    # from the step's number alone, so that a training gone on with takes the same steps
    factor = min(1.0, step / settings.warmup) if settings.warmup else 1.0
    if settings.schedule == "cosine":
        factor *= 0.5 * (1 + math.cos(math.pi * (step - 1) / (batches * settings.epochs)))
    for group in optimizer.param_groups:
        group["lr"] = settings.lr * factor


def split_network(network: Network, module: nn.Module, freeze: str) -> Halves:
    """Mark which parameters learn, and cut the network before the first that does.

    A feature-excitation block always learns: it is the mechanism under study, and no pre-training brings its
    weights.
    """
    stages = list(_stages(module))
    last = _last_frozen(network, stages, freeze)
    frozen: list[str] = []
    for place, (path, stage) in enumerate(stages):
        learns = place > last or isinstance(stage, FeatureExcitation)
        for name, parameter in stage.named_parameters():
            parameter.requires_grad_(learns)
            frozen += [] if learns else [f"{path}.{name}" if path else name]
    cut = _first_to_run_again([stage for _, stage in stages], last)
    halves = Halves(
        nn.Sequential(*[stage for _, stage in stages[:cut]]).eval(),
        nn.Sequential(*[stage for _, stage in stages[cut:]]),
        tuple(frozen),
    )
    if not any(parameter.requires_grad for parameter in halves.learning.parameters()):
        message = (
            f"Nothing is left to learn: freeze is {freeze!r}, the last layer of {network.name}. Choose one before it."
        )
        raise ValueError(message)
    return halves


@torch.no_grad()
def compute_fixed(halves: Halves, pictures: Pictures, *, batch: int, device: torch.device) -> Pictures:
    """Run the unchanging layers once over all images, in place of once an epoch."""
    order = range(len(pictures.table))
    parts = [halves.fixed(inputs.to(device)).cpu() for _, inputs in pictures.batches(order, batch)]
    return Pictures(pictures.table, pictures.preprocessing, torch.cat(parts), pictures.skipped)


def _stages(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    if not all(hasattr(module, part) for part in ("features", "avgpool", "classifier")):
        yield "", module
        return
    for name, child in module.features.named_children():  # type: ignore[union-attr]  # torchvision's
        yield f"features.{name}", child
    yield "avgpool", module.avgpool  # type: ignore[misc]  # a module of torchvision's
    yield "flatten", nn.Flatten()
    for name, child in module.classifier.named_children():  # type: ignore[union-attr]
        yield f"classifier.{name}", child


def _last_frozen(network: Network, stages: list[tuple[str, nn.Module]], freeze: str) -> int:
    if freeze == "none":
        return -1
    paths = [path for path, _ in stages]
    if freeze == "features" and "avgpool" in paths:
        return paths.index("avgpool") - 1
    matches = [layer.path.removesuffix(".gate") for layer in network.layers if layer.name == freeze]
    if not matches or matches[0] not in paths:
        names = " ".join(layer.name for layer in network.layers)
        message = f"freeze is {freeze!r}, not none, features or a layer of {network.name}. It has {names}."
        raise ValueError(message)
    return paths.index(matches[0])


def _first_to_run_again(stages: list[nn.Module], last: int) -> int:
    for place, stage in enumerate(stages):
        learns = any(parameter.requires_grad for parameter in stage.parameters())
        if last < 0 or learns or (place > last and isinstance(stage, nn.Dropout)):
            return place
    return len(stages)


def name_network(architecture: str, pretraining: str, seed: int) -> str:
    """Return the name of a network in a comparison of pre-trainings."""
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
    """Train one network for each seed, one after the other, so that only one is in memory."""
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
        with_seed = settings.changed(seed=seed)
        yield train_valence(network, table, settings=with_seed, held_out=held_out, folder=folder, progress=progress)


def combine_seeds(scores: Sequence[xr.Dataset], *, confidence: float = 0.95) -> xr.Dataset:
    """Average the scores of networks that differ in their seed alone, with an interval over seeds.

    The interval is the mean plus and minus Student's t times the standard error over seeds (Student 1908,
    10.1093/biomet/6.1.1): it speaks of other seeds of this training, not of other faces.
    """
    joined = xr.concat(list(scores), dim="network", join="outer")
    starts = [str(name).rsplit("/", 1)[0] for name in joined["network"].values]
    parts = []
    for start in dict.fromkeys(starts):
        members = joined.isel(network=np.flatnonzero(np.array(starts) == start))
        count = members.sizes["network"]
        part = members.mean("network").assign(seeds=count)
        reach = stats.t.ppf((1 + confidence) / 2, count - 1) / np.sqrt(count) if count > 1 else np.nan
        for score in SCORES[:-1]:
            half = (
                members[score].std("network", ddof=1) * reach
                if count > 1
                else members[score].mean("network") * np.nan
            )
            part[f"{score}_interval"] = xr.concat([part[score] - half, part[score] + half], dim="bound").transpose(
                "condition", "bound"
            )
        parts.append(part.assign_coords(bound=["lower", "upper"]).expand_dims(start=[start]))
    attrs = {**scores[0].attrs, "confidence": confidence, "interval_kind": "t over seeds"}
    return xr.concat(parts, dim="start").assign_attrs(attrs)


def tabulate_seeds(combined: xr.Dataset) -> pd.DataFrame:
    """Return scores over seeds as a table, a row for each start and condition."""
    table = combined[[*SCORES, "seeds"]].to_dataframe().reset_index()
    for score in SCORES[:-1]:
        for bound in ("lower", "upper"):
            column = combined[f"{score}_interval"].sel(bound=bound, drop=True).to_series().rename(f"{score}_{bound}")
            table = table.merge(column, on=["start", "condition"])
    return table
