"""Train a network to tell happy from sad faces: the same way each time, whatever interrupts it, kept on disk."""

import copy
import errno
import json
import logging
import math
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.torch
import torch
import xarray as xr
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn import functional

from rsa_face.memory import keeping_memory
from rsa_face.networks.attention import FeatureExcitation, find_attention
from rsa_face.networks.settings import Attention
from rsa_face.networks.weights import CONTENT, RECORD, content_of, must_be_unchanged, read_record
from rsa_face.networks.zoo import Network, build_network
from rsa_face.provenance import hash_content, hash_file, rng_from, sealed, versions
from rsa_face.safety import FULL, hold, naming_what_is_written, path_in, reading, write_beside
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
from rsa_face.training.evaluation import judge_valence, probability_happy, score_judgements
from rsa_face.training.settings import HAPPY, SAD, Augmentation, TrainingSettings

log = logging.getLogger(__name__)

# A state is written once so many bytes of it stand against a second of training: at 200 MB/s that is a tenth of it.
BYTES_A_SECOND = 20e6
_BEGUN = "begun training"
_FIXED: dict[str, Pictures] = {}  # what fixed layers made of training images last


@dataclass(frozen=True)
class Step:
    """How far a training has come, given to `progress` after every batch; epochs and batches count from 1."""

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

    Examples
    --------
    >>> import rsa_face as rf
    >>> from rsa_face.training.data import label_images
    >>> demo = rf.example("demo")
    >>> faces = label_images(demo.stimuli.select(identity="face01"), label="level")
    >>> settings = rf.TrainingSettings(epochs=2, freeze="relu7")  # fc8 alone learns
    >>> trained = train_valence(demo.network("alexnet"), faces, settings=settings)
    >>> trained.history[["epoch", "images"]].values.tolist()
    [[1, 8], [2, 8]]
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
    run: "Run",
    progress: Callable[[Step], None] | None,
) -> Network:
    learner = make_learner(network, tables[0], settings, run.device)
    fit, aside = (_open(table, learner, network, settings) for table in tables)
    if learner.halves.fixed and settings.augmentation is None:
        learning = learner.halves.learning  # the pictures have passed the fixed layers already
        learner = replace(learner, forward=torch.compile(learning) if settings.compile else learning)
    best, unsaved = run.resume(learner.module, learner.optimizer), 0.0
    while len(run.rows) < settings.epochs and not _is_over(run.rows, settings):
        start, epoch = time.perf_counter(), len(run.rows) + 1
        try:
            row = learn(learner, fit, settings, epoch, progress) | watch(learner, aside, settings)
        except FloatingPointError as error:
            message = f"{error} {run.on_disk()}"
            raise RuntimeError(message) from error
        row |= {"skipped": len(fit.skipped), "seconds": time.perf_counter() - start}
        run.rows.append({"epoch": epoch, **row})
        if settings.patience is not None and _since_best(run.rows) == 0:
            best = {key: value.detach().clone() for key, value in learner.module.state_dict().items()}
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
        made = _compute_fixed(learner, look(), settings.batch)
        if made.inputs is None or made.inputs.nbytes > MOST_BYTES:
            return made
        _FIXED[key] = made
    return _FIXED[key]


@torch.no_grad()
def _compute_fixed(learner: Learner, pictures: Pictures, batch: int) -> Pictures:
    """Run the unchanging layers once over all images, in place of once an epoch."""
    batches = pictures.batches(range(len(pictures.table)), batch)
    parts = [learner.halves.fixed(inputs.to(learner.device)).cpu() for _, inputs in batches]
    return replace(pictures, inputs=torch.cat(parts))


def _since_best(rows: list[dict[str, Any]]) -> int:
    return len(rows) - 1 - int(np.argmin([row["validation_loss"] for row in rows]))


def _is_over(rows: list[dict[str, Any]], settings: TrainingSettings) -> bool:
    if rows and settings.stop_at is not None and rows[-1]["accuracy"] >= settings.stop_at:
        return True
    return bool(rows) and settings.patience is not None and _since_best(rows) >= settings.patience


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
    # from the step's number alone, so that a training that goes on takes the same steps
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


@dataclass(frozen=True, eq=False)
class Run:
    """One training of one network, and what of it is already done; made by `open_run`."""

    network: Network  # the start; or the trained network, if it is done
    settings: TrainingSettings
    device: torch.device
    file: Path | None  # the finished weights; None if nothing is written
    fingerprint: str  # of start, faces, settings and device: no other run's files are continued
    rows: list[dict[str, Any]] = field(default_factory=list)  # the history; grows with every epoch
    done: bool = False

    @property
    def begun(self) -> Path:
        """The state to go on from, kept until the training is finished."""
        assert self.file is not None
        return self.file.with_name(f"{self.file.stem}.begun.safetensors")

    def on_disk(self) -> str:
        """Return a sentence on what of the training is on disk, for an error."""
        if self.file is None or not self.begun.is_file():
            return "No checkpoint is kept yet."
        return f"The state after epoch {len(read_record(self.begun)['history'])} is kept in {self.begun}."

    def resume(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor] | None:
        """Take up the state of the last whole epoch, if there is one."""
        if self.file is None or not self.begun.is_file():
            return None
        tensors, record = read_checkpoint(self.begun)
        if record["fingerprint"] != self.fingerprint:
            log.info("%s is of another training (other faces, settings or start); starting again", self.begun)
            return None
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "optimizer": {}, "best": {}}
        for key, value in tensors.items():
            part, name = key.split(":", 1)
            parts[part][name] = value
        module.load_state_dict(parts["network"])
        unpack_optimizer(optimizer, _learning(module), parts["optimizer"])
        self.rows.extend(record["history"])
        log.info("going on with %s after epoch %d", self.network.name, len(self.rows))
        return parts["best"] or None


@contextmanager
def open_run(
    network: Network,
    table: TrainingTable,
    settings: TrainingSettings,
    device: torch.device,
    folder: Path | None,
) -> Iterator[Run]:
    """Read what a folder holds of a training, and keep other processes from training the same network there."""
    if folder is None:
        yield Run(network, settings, device, None, "")
        return
    if network.name.endswith(".begun"):
        message = f"The network name {network.name!r} is that of an unfinished training's file. Choose another label."
        raise ValueError(message)
    file = path_in(folder, network.name, "The network name", suffix=".safetensors", nested=True)
    with hold(file, file.with_name(f".{file.name}.lock"), rule="A network is trained by one process at a time"):
        start = [network.content_hash(), network.preprocessing.record()]
        fingerprint = hash_content(start, settings.record(), table.content_hash(), device.type)
        yield _as_on_disk(Run(network, settings, device, file, fingerprint), file)


def save_epoch(
    run: Run,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    best: dict[str, Tensor] | None,
    unsaved: float,
) -> bool:
    """Keep the state after an epoch, so that the training can go on from here, unless writing would take too long."""
    if run.file is None:
        return False
    _write_log(run)
    tensors = {f"network:{key}": value for key, value in module.state_dict().items()}
    tensors |= {f"optimizer:{key}": value for key, value in pack_optimizer(optimizer, _learning(module)).items()}
    tensors |= {f"best:{key}": value for key, value in (best or {}).items()}
    if sum(value.numel() * value.element_size() for value in tensors.values()) > unsaved * BYTES_A_SECOND:
        return False
    record = {"kind": _BEGUN, "fingerprint": run.fingerprint, "history": run.rows}
    write_checkpoint(run.begun, tensors, record)
    return True


def finish_run(run: Run, network: Network, module: nn.Module, frozen: tuple[str, ...]) -> Network:
    """Return the trained network, and keep its weights with everything that led to them."""
    module = module.to(device="cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    for part, first in zip(module.modules(), network.module.modules(), strict=True):
        if isinstance(part, nn.Dropout) and isinstance(first, nn.Dropout):
            part.p = first.p
    module.requires_grad_(True).zero_grad(set_to_none=True)
    untrained = tuple(key for key in network.untrained if key in frozen)
    weights = "trained" if run.file is None else str(run.file)
    trained = replace(network, module=module, weights=weights, untrained=untrained, trained=True)
    if run.file is not None:
        write_checkpoint(run.file, module.state_dict(), _record(run, network, trained))
        trained = replace(trained, weights_sha256=hash_file(run.file))
        put_away(run)
    return trained


def put_away(run: Run) -> None:
    """Write the log of a finished training, and remove the state to go on from: a kill may come before either."""
    if run.file is not None:
        _write_log(run)
        if (
            run.begun.is_file() and read_record(run.begun).get("kind") == _BEGUN
        ):  # a record of ours, not somebody's file
            run.begun.unlink()


def _as_on_disk(run: Run, file: Path) -> Run:
    if not file.is_file() or read_record(file).get("fingerprint") != run.fingerprint:
        return run
    tensors, record = read_checkpoint(file)
    module = copy.deepcopy(run.network.module)
    module.load_state_dict(tensors)
    trained = replace(
        run.network,
        module=module,
        weights=str(file),
        untrained=tuple(record["untrained"]),
        weights_sha256=hash_file(file),
        trained=True,
    )
    return replace(run, network=trained, rows=record["history"], done=True)


def _record(run: Run, start: Network, trained: Network) -> dict[str, Any]:
    return {
        "kind": "network",
        "architecture": trained.architecture,
        "attention": [block.record() for block in find_attention(trained.module)],
        "outputs": list(trained.outputs),
        "preprocessing": trained.preprocessing.record(),
        "untrained": list(trained.untrained),
        "start": start.weights,
        "start_hash": start.content_hash(),
        "settings": run.settings.record(),
        "fingerprint": run.fingerprint,
        "history": run.rows,
        "device": run.device.type,
        "threads": torch.get_num_threads(),
        "versions": versions(),
    }


def _learning(module: nn.Module) -> list[str]:
    return [name for name, parameter in module.named_parameters() if parameter.requires_grad]


def _write_log(run: Run) -> None:
    if run.file is not None:
        with write_beside(run.file.with_suffix(".csv")) as beside:
            pd.DataFrame(run.rows).to_csv(beside, index=False)


def write_checkpoint(path: str | Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
    """Write tensors and what is known of them into one file, whole or not at all.

    One file, so that weights, optimizer and history can never belong to different epochs.
    """
    path = Path(path)
    with naming_what_is_written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {key: value.detach().to("cpu").contiguous() for key, value in tensors.items()}
    needed = sum(value.numel() * value.element_size() for value in arrays.values())
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise _no_room(path, needed, free)
    metadata = {RECORD: json.dumps(sealed({**record, CONTENT: content_of(arrays)}))}
    try:
        with write_beside(path) as beside, _in_the_systems_words():
            safetensors.torch.save_file(arrays, beside, metadata=metadata)
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise _no_room(path, needed, shutil.disk_usage(path.parent).free) from error
    return path


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_checkpoint` wrote."""
    record = read_record(path)
    if not record:
        message = f"{str(path)!r} is not a checkpoint of this package. Move it away."
        raise ValueError(message)
    with reading(Path(path), "A checkpoint is a safetensors file", then="Remove it: the training starts over."):
        tensors = safetensors.torch.load_file(path)
    must_be_unchanged(tensors, record, path)
    return tensors, record


def pack_optimizer(optimizer: torch.optim.Optimizer, names: list[str]) -> dict[str, Tensor]:
    """Return an optimizer's state as named tensors, none of them code."""
    state = optimizer.state_dict()["state"]
    return {f"{names[index]}|{what}": value for index, each in state.items() for what, value in each.items()}


def unpack_optimizer(optimizer: torch.optim.Optimizer, names: list[str], tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer the state that `pack_optimizer` took from one."""
    groups = optimizer.state_dict()["param_groups"]
    parameters = dict(zip(names, optimizer.param_groups[0]["params"], strict=True))
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, what = key.rsplit("|", 1)
        parameter = parameters[name]
        # in the memory format of its parameter, which the fused optimizer asks for
        alike = torch.empty_like(parameter).copy_(value) if value.shape == parameter.shape else value
        state.setdefault(names.index(name), {})[what] = alike.detach()
    optimizer.load_state_dict({"state": state, "param_groups": groups})


@contextmanager
def _in_the_systems_words() -> Iterator[None]:
    """Raise what the system said, in place of safetensors' own error that only quotes it."""
    try:
        yield
    except SafetensorError as error:
        code = re.search(r"os error (\d+)", str(error))
        if code is None:
            raise
        raise OSError(int(code[1]), os.strerror(int(code[1]))) from error


def _no_room(path: Path, needed: int, free: int) -> OSError:
    return OSError(
        errno.ENOSPC,
        f"No room for a checkpoint: it needs {needed / 1e6:,.0f} MB at {path.parent}, where {free / 1e6:,.0f} MB are "
        "free. Free some, or choose another folder; the training goes on from the last whole checkpoint",
    )


def write_tensorboard(history: pd.DataFrame, folder: str | Path) -> Path:
    """Write the epochs of a training as TensorBoard shows them."""
    try:
        writer = import_module("torch.utils.tensorboard").SummaryWriter(str(folder))
    except ModuleNotFoundError as error:
        message = "tensorboard is not installed. Run pip install 'rsa-face[tensorboard]'."
        raise ModuleNotFoundError(message) from error
    for row in history.to_dict("records"):
        for name, value in row.items():
            if name != "epoch":
                writer.add_scalar(str(name), value, int(row["epoch"]))
    writer.close()
    return Path(folder)
