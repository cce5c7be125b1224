"""A training's place on disk: begun, interrupted, gone on with, or finished."""

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from rsa_face.files import write_beside
from rsa_face.holding import hold
from rsa_face.networks.attention import find_attention
from rsa_face.networks.weights import read_record
from rsa_face.networks.zoo import Network
from rsa_face.provenance import hash_content, hash_file, versions
from rsa_face.safety import path_in
from rsa_face.training.checkpoints import (
    pack_optimizer,
    read_checkpoint,
    unpack_optimizer,
    write_checkpoint,
)
from rsa_face.training.settings import TrainingSettings
from rsa_face.training.tables import TrainingTable

log = logging.getLogger(__name__)

# A state is written once so many bytes of it stand against a second of training: at 200 MB/s that is a tenth of it.
BYTES_A_SECOND = 20e6
_BEGUN = "begun training"


@dataclass(frozen=True, eq=False)
class Run:
    """One training of one network, and what of it is already done.

    Made by `open_run`.

    Parameters
    ----------
    network : Network
        The start; or the trained network, if it is done.
    settings : TrainingSettings
        How it is trained.
    device : torch.device
        Where.
    file : Path or None
        The finished weights; None if nothing is written.
    fingerprint : str
        Hash of start, faces, settings and device. Another run's files are not gone on with.
    rows : list of dict
        The history so far; grows with every epoch.
    done : bool
        Whether the training was finished before.
    """

    network: Network
    settings: TrainingSettings
    device: torch.device
    file: Path | None
    fingerprint: str
    rows: list[dict[str, Any]] = field(default_factory=list)
    done: bool = False

    @property
    def begun(self) -> Path:
        """The state to go on from, there until the training is finished."""
        assert self.file is not None
        return self.file.with_name(f"{self.file.stem}.begun.safetensors")

    def kept(self) -> str:
        """Say what of the training is on disk, for an error.

        Returns
        -------
        str
            One sentence.
        """
        if self.file is None or not self.begun.is_file():
            return "No checkpoint is kept yet."
        return f"The state after epoch {len(read_record(self.begun)['history'])} is kept in {self.begun}."

    def resume(self, module: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor] | None:
        """Take up the state of the last whole epoch, if there is one.

        Parameters
        ----------
        module : nn.Module
            Changed in place.
        optimizer : Optimizer
            Changed in place.

        Returns
        -------
        dict of str to Tensor, or None
            The best weights so far, where the best are kept.
        """
        if self.file is None or not self.begun.is_file():
            return None
        tensors, record = read_checkpoint(self.begun)
        if record["fingerprint"] != self.fingerprint:
            log.info("%s is of another training (other faces, settings or start); starting anew", self.begun)
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
    """Look what a folder holds of a training, and keep other processes from training the same network there.

    Parameters
    ----------
    network : Network
        The start.
    table : TrainingTable
        The faces.
    settings : TrainingSettings
        How.
    device : torch.device
        Where.
    folder : Path or None
        Where files are kept; None if none are.

    Yields
    ------
    Run
        Done, if the same training was finished there.

    Raises
    ------
    ValueError
        If the network's name would lead out of the folder, a file there is not this package's, another process
        trains the network there, or the folder cannot be written to.
    """
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
        yield _as_it_is(Run(network, settings, device, file, fingerprint), file)


def save_epoch(
    run: Run,
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    *,
    best: dict[str, Tensor] | None,
    unsaved: float,
) -> bool:
    """Keep the state after an epoch, so that the training can go on from here, unless writing would take too long.

    Parameters
    ----------
    run : Run
        Where, and the history.
    module : nn.Module
        The network.
    optimizer : Optimizer
        Its moments.
    best : dict of str to Tensor, or None
        The best weights so far, where these are kept.
    unsaved : float
        Seconds trained since the state was last kept.

    Returns
    -------
    bool
        Whether the state was kept. A large network trained for a few seconds is not worth writing yet.

    Raises
    ------
    OSError
        If there is no room; the state kept before stays.
    """
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
    """Return the trained network, and keep its weights with everything that led to them.

    Parameters
    ----------
    run : Run
        Where, and the history.
    network : Network
        The start.
    module : nn.Module
        Trained. Moved to the CPU, and put in evaluation mode.
    frozen : tuple of str
        Parameters that did not learn; those among them that were random still are.

    Returns
    -------
    Network
        In evaluation mode, on the CPU.
    """
    module = module.to(device="cpu", memory_format=torch.contiguous_format).eval()  # type: ignore[call-overload]
    for part, first in zip(module.modules(), network.module.modules(), strict=True):
        if isinstance(part, nn.Dropout) and isinstance(first, nn.Dropout):
            part.p = first.p
    module.requires_grad_(True).zero_grad(set_to_none=True)
    untrained = tuple(key for key in network.untrained if key in frozen)
    weights = "trained" if run.file is None else str(run.file)
    trained = replace(network, module=module, weights=weights, untrained=untrained)
    if run.file is not None:
        write_checkpoint(run.file, module.state_dict(), _record(run, network, trained))
        trained = replace(trained, weights_sha256=hash_file(run.file))
        put_away(run)
    return trained


def put_away(run: Run) -> None:
    """Write the log of a finished training, and remove the state to go on from: a kill may have come before either.

    Parameters
    ----------
    run : Run
        Finished.
    """
    if run.file is not None:
        _write_log(run)
        if (
            run.begun.is_file() and read_record(run.begun).get("kind") == _BEGUN
        ):  # a record of ours, not somebody's file
            run.begun.unlink()


def _as_it_is(run: Run, file: Path) -> Run:
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
