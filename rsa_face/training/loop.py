"""Train a network to tell happy from sad faces: the same way each time, whatever interrupts it."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from torch import Tensor, nn

from rsa_face.memory import keeping_memory
from rsa_face.networks.zoo import Network
from rsa_face.training.batches import Pictures, open_pictures
from rsa_face.training.epochs import Learner, Step, learn, make_learner, start_behind_fixed, watch
from rsa_face.training.evaluation import judge_valence, score_judgements
from rsa_face.training.freezing import compute_fixed
from rsa_face.training.runs import Run, finish_run, open_run, put_away, save_epoch
from rsa_face.training.settings import HAPPY, SAD, TrainingSettings
from rsa_face.training.tables import TrainingTable, must_not_share_faces, must_show, split_by_identity


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
    variation are drawn anew for each epoch from the seed and the epoch's number, and the global random state is
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
    """Return the device to train on.

    Parameters
    ----------
    wanted : str
        ``auto`` (a GPU if there is one), ``cpu``, ``cuda``, ``cuda:1``, ``mps``.

    Returns
    -------
    torch.device
        One that is there.

    Raises
    ------
    ValueError
        If the device asked for is not there.
    """
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wanted == "auto":
        return torch.device("cuda" if there["cuda"] else "cpu")
    if not there[wanted.split(":")[0]]:
        message = f"The training device must be there, but this machine has no {wanted!r}. Use auto or cpu."
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
            f"A network must have one output a class, but {network.name} has {last} and the classes are "
            f"{', '.join(settings.classes)}. Build it with classes={len(settings.classes)}."
        )
        raise ValueError(message)
    must_show(table, settings.classes, "the training table")
    if table.classes != settings.classes:
        message = (
            f"The training table must be read with the classes of the settings, in their order, but it has "
            f"{list(table.classes)} and they are {list(settings.classes)}. Read it with these."
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
    pictures = open_pictures(table, network.preprocessing, skip_unreadable=settings.skip_unreadable)
    if learner.halves.fixed and settings.augmentation is None and len(table):
        return compute_fixed(learner.halves, pictures, batch=settings.batch, device=learner.device)
    return pictures


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
