"""One epoch of a training: every image once, in this epoch's own order, and then a look at the validation faces."""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rsa_face.networks.zoo import Network
from rsa_face.provenance import rng_from
from rsa_face.training.batches import Pictures, draw_variations, vary
from rsa_face.training.evaluation import probability_happy
from rsa_face.training.freezing import Halves, split_network
from rsa_face.training.settings import HAPPY, SAD, Augmentation, TrainingSettings
from rsa_face.training.tables import TrainingTable


@dataclass(frozen=True)
class Step:
    """How far a training has come, handed to `progress` after every batch.

    Parameters
    ----------
    network : str
        Its name.
    epoch, epochs : int
        The epoch under way, counted from 1, and how many there are.
    batch, batches : int
        The batch just done, counted from 1, and how many the epoch has.
    loss : float
        Of this batch.
    row : mapping, optional
        The epoch's row of the history, after its last batch.
    """

    network: str
    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    row: Mapping[str, float] | None = None


@dataclass(frozen=True, eq=False)
class Learner:
    """A network while it is being trained.

    Parameters
    ----------
    name : str
        The network's name.
    module : nn.Module
        The copy that learns.
    halves : Halves
        The same, cut before the first layer that learns.
    forward : callable
        From a batch of inputs, or of what the fixed layers made of them, to logits.
    optimizer : Optimizer
        Of the parameters that learn.
    weights : Tensor or None
        What each class weighs in the loss.
    device : torch.device
        Where all of it is.
    """

    name: str
    module: nn.Module
    halves: Halves
    forward: Callable[[Tensor], Tensor]
    optimizer: torch.optim.Optimizer
    weights: Tensor | None
    device: torch.device


def mix_classes(targets: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a random order in which every stretch holds the classes in their shares of the whole.

    Faces are alike in nearly everything: a batch with more of one class pushes all answers towards it.

    Parameters
    ----------
    targets : ndarray of int, shape (image,)
        Each image's class.
    rng : Generator
        For the order within each class and which class comes first.

    Returns
    -------
    ndarray of int, shape (image,)
        Places, each once.

    Examples
    --------
    >>> targets = np.array([0, 0, 0, 0, 1, 1, 1, 1])
    >>> targets[mix_classes(targets, np.random.default_rng(0))].reshape(4, 2).sum(axis=1)
    array([1, 1, 1, 1])
    """
    place = np.empty(len(targets))
    for target in rng.permutation(np.unique(targets)):
        own = rng.permutation(np.flatnonzero(targets == target))
        place[own] = (np.arange(len(own)) + 0.5) / len(own)
    return np.lexsort((rng.random(len(targets)), place))


def learn(
    learner: Learner,
    pictures: Pictures,
    settings: TrainingSettings,
    epoch: int,
    progress: Callable[[Step], None] | None,
) -> dict[str, float]:
    """Show a network every training image once, and let it learn from each batch.

    Parameters
    ----------
    learner : Learner
        Changed in place.
    pictures : Pictures
        The training images.
    settings : TrainingSettings
        How.
    epoch : int
        Which epoch, counted from 1; with the seed it decides order, variation and dropout.
    progress : callable or None
        Called after every batch but the last.

    Returns
    -------
    dict of str to float
        `loss` and `accuracy` over the images as they were seen, and `images`.

    Raises
    ------
    FloatingPointError
        If the loss or a weight is no longer a number.
    """
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
        wanted = targets[torch.from_numpy(rows)].to(learner.device)
        _set_step_size(learner.optimizer, settings, (epoch - 1) * batches + number, batches)
        loss, logits = _step(learner, varied.to(learner.device), wanted, settings)
        if not np.isfinite(loss):
            raise _lost(learner, f"a loss of {loss}", f"epoch {epoch}, batch {number}", settings)
        total += loss * len(rows)
        right += int((logits.argmax(dim=1) == wanted).sum())
        if progress is not None and number < batches:
            progress(Step(learner.name, epoch, settings.epochs, number, batches, loss))
    # the last step of an epoch is followed by no loss that would show what it did
    if not all(bool(torch.isfinite(value).all()) for value in learner.halves.learning.parameters()):
        raise _lost(learner, "weights beyond all numbers", f"epoch {epoch}, batch {batches}", settings)
    return {"loss": total / len(order), "accuracy": right / len(order), "images": len(order)}


@torch.no_grad()
def watch(learner: Learner, pictures: Pictures, settings: TrainingSettings) -> dict[str, float]:
    """Judge the validation faces, unvaried and without dropout.

    Parameters
    ----------
    learner : Learner
        Not changed.
    pictures : Pictures
        The validation images; there may be none.
    settings : TrainingSettings
        For the classes and the batch.

    Returns
    -------
    dict of str to float
        `validation_loss`, and `validation_accuracy` of happy against sad.
    """
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
    """Copy a network and make ready to train the copy.

    Parameters
    ----------
    network : Network
        Not changed.
    table : TrainingTable
        For the weights of the classes.
    settings : TrainingSettings
        How it will be trained.
    device : torch.device
        Where.

    Returns
    -------
    Learner
        With a new optimizer.
    """
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
    """Return the learner for inputs that have passed the fixed layers already.

    Parameters
    ----------
    learner : Learner
        Not changed.
    settings : TrainingSettings
        Whether to compile.

    Returns
    -------
    Learner
        Of the same module, optimizer and parameters.
    """
    learning = learner.halves.learning
    return replace(learner, forward=torch.compile(learning) if settings.compile else learning)


def _lost(learner: Learner, what: str, where: str, settings: TrainingSettings) -> FloatingPointError:
    also = " or use float32" if settings.precision != "float32" else ""
    return FloatingPointError(
        f"Training must stay finite, but {learner.name} has {what} in {where}. Lower lr ({settings.lr:g}){also}."
    )


def _step(learner: Learner, inputs: Tensor, wanted: Tensor, settings: TrainingSettings) -> tuple[float, Tensor]:
    if inputs.ndim == 4:
        inputs = inputs.contiguous(memory_format=torch.channels_last)
    learner.optimizer.zero_grad(set_to_none=True)
    half = settings.precision == "bfloat16"
    with torch.autocast(learner.device.type, torch.bfloat16, enabled=half):
        logits = learner.forward(inputs)
    loss = functional.cross_entropy(logits.float(), wanted, weight=learner.weights)
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
