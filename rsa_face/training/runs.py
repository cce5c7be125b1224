"""A training on disk: its checkpoints and log; begun, interrupted, continued or finished."""

import copy
import errno
import json
import logging
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pandas as pd
import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from rsa_face.networks.attention import find_attention
from rsa_face.networks.weights import CONTENT, RECORD, content_of, must_be_unchanged, read_record
from rsa_face.networks.zoo import Network
from rsa_face.provenance import hash_content, hash_file, sealed, versions
from rsa_face.safety import FULL, hold, naming_what_is_written, path_in, reading, write_beside
from rsa_face.training.data import TrainingTable
from rsa_face.training.settings import TrainingSettings

log = logging.getLogger(__name__)

# A state is written once so many bytes of it stand against a second of training: at 200 MB/s that is a tenth of it.
BYTES_A_SECOND = 20e6
_BEGUN = "begun training"


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
        """The state to go on from, there until the training is finished."""
        assert self.file is not None
        return self.file.with_name(f"{self.file.stem}.begun.safetensors")

    def kept(self) -> str:
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
    with reading(Path(path), "A checkpoint must be whole", then="Remove it: the training starts over."):
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
