"""Checkpoints: a training that was interrupted goes on, and a finished one is a file any study can load."""

import errno
import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor

from rsa_face.files import FULL, naming_what_is_written, write_beside
from rsa_face.networks.weights import CONTENT, RECORD, content_of, must_be_unchanged, read_record
from rsa_face.provenance import sealed
from rsa_face.untrusted import reading


def write_checkpoint(path: str | Path, tensors: Mapping[str, Tensor], record: Mapping[str, Any]) -> Path:
    """Write tensors and what is known of them into one file, whole or not at all.

    One file, so that weights, optimizer and history can never belong to different epochs.

    Parameters
    ----------
    path : str or Path
        Ends in ``.safetensors``.
    tensors : mapping of str to Tensor
        What to keep.
    record : mapping
        Plain values: settings, epoch, history. Kept as JSON in the file's header.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    OSError
        If there is no room for it; an earlier checkpoint at the same place is kept.
    """
    path = Path(path)
    with naming_what_is_written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    whole = {key: value.detach().to("cpu").contiguous() for key, value in tensors.items()}
    needed = sum(value.numel() * value.element_size() for value in whole.values())
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise _no_room(path, needed, free)
    noted = sealed({**record, CONTENT: content_of(whole)})
    try:
        with write_beside(path) as beside, _in_the_systems_words():
            safetensors.torch.save_file(whole, beside, metadata={RECORD: json.dumps(noted)})
    except OSError as error:
        if error.errno not in FULL:
            raise
        raise _no_room(path, needed, shutil.disk_usage(path.parent).free) from error
    return path


def read_checkpoint(path: str | Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_checkpoint` wrote.

    Parameters
    ----------
    path : str or Path
        A file of this package.

    Returns
    -------
    dict of str to Tensor, dict
        The tensors, on the CPU, and the record.

    Raises
    ------
    ValueError
        If the file is cut short, or another program's.
    """
    record = read_record(path)
    if not record:
        message = f"A checkpoint must be written by this package, but {str(path)!r} is not. Move it away."
        raise ValueError(message)
    with reading(Path(path), "A checkpoint must be whole", then="Remove it: the training starts over."):
        tensors = safetensors.torch.load_file(path)
    must_be_unchanged(tensors, record, path)
    return tensors, record


def pack_optimizer(optimizer: torch.optim.Optimizer, names: list[str]) -> dict[str, Tensor]:
    """Return an optimizer's state as named tensors, none of them code.

    Parameters
    ----------
    optimizer : Optimizer
        With one group.
    names : list of str
        Its parameters' names, in order.

    Returns
    -------
    dict of str to Tensor
        ``<parameter>|<what>``.
    """
    state = optimizer.state_dict()["state"]
    return {f"{names[index]}|{what}": value for index, kept in state.items() for what, value in kept.items()}


def unpack_optimizer(optimizer: torch.optim.Optimizer, names: list[str], tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer the state that `pack_optimizer` took from one.

    Parameters
    ----------
    optimizer : Optimizer
        With one group of the same parameters. Changed in place.
    names : list of str
        Its parameters' names, in order. The state takes each parameter's own memory layout: the fused optimizer
        walks both side by side.
    tensors : mapping of str to Tensor
        The state.
    """
    groups = optimizer.state_dict()["param_groups"]
    parameters = dict(zip(names, optimizer.param_groups[0]["params"], strict=True))
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        name, what = key.rsplit("|", 1)
        own = parameters[name]
        alike = torch.empty_like(own).copy_(value) if value.shape == own.shape else value
        state.setdefault(names.index(name), {})[what] = alike.detach()
    optimizer.load_state_dict({"state": state, "param_groups": groups})


@contextmanager
def _in_the_systems_words() -> Iterator[None]:
    """Raise what the system said, in place of safetensors' own error that only quotes it."""
    try:
        yield
    except SafetensorError as error:
        said = re.search(r"os error (\d+)", str(error))
        if said is None:
            raise
        raise OSError(int(said[1]), os.strerror(int(said[1]))) from error


def _no_room(path: Path, needed: int, free: int) -> OSError:
    return OSError(
        errno.ENOSPC,
        f"A checkpoint must have room, but it needs {needed / 1e6:,.0f} MB at {path.parent} and {free / 1e6:,.0f} MB "
        "are free there. Free some, or choose another folder; the training goes on from the last whole checkpoint",
    )
