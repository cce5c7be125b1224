"""Record activations on many machines: each dask worker takes blocks of stimuli of one network."""

import glob
import io
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import torch
import zarr
from blake3 import blake3

from rsa_face.activations.capture import resolve_device
from rsa_face.activations.store import open_group
from rsa_face.activations.tasks import Task, at_device, count_as_there, ensure_arrays, missing_layers, record_blocks
from rsa_face.cluster import connect, map_in_order


def record_on_cluster(task: Task, node: zarr.Group, bar: Any, *, cluster: str, device: str) -> None:
    """Record all stimuli that a store lacks, by the workers of a cluster.

    Workers must see the folders of the store and of the images under the same paths. Each writes whole files of
    the store under names of its own, and moves them into place; so a worker that dies leaves nothing in the way,
    and a block that is run twice is the same both times. The network goes to the workers in a file beside the
    store.

    Parameters
    ----------
    task : Task
        What to record.
    node : zarr.Group
        The network's.
    bar : tqdm
        Told of every block.
    cluster : str
        See `rsa_face.cluster.connect`.
    device : str
        ``auto``, ``cpu`` or ``cuda``: resolved by each worker.
    """
    with at_device(task):
        cuts = ensure_arrays(task, node, missing_layers(task, node))
    every = [[task.files_of(layer, cut, block)[1] for layer, cut in zip(task.layers, cuts, strict=True)]
             for block in range(cuts[0].blocks)]  # fmt: skip
    left = [block for block, files in enumerate(every) if not all(file.is_file() for file in files)]
    sizes = [min(cuts[0].block, len(task.stimuli) - block * cuts[0].block) for block in left]
    count_as_there(bar, len(task.stimuli) - sum(sizes), task)
    with _task_file(task) as (file, digest), connect(cluster) as client:
        record = partial(_record_block, str(file), digest, device)
        for size, _ in zip(sizes, map_in_order(client, record, left), strict=True):
            bar.update(size)
    for layer in task.layers:
        for pattern in ("*~*", "*.part", "*.index"):
            for draft in task.array_of(layer).joinpath("c").rglob(pattern):
                draft.unlink()


@contextmanager
def _task_file(task: Task) -> Iterator[tuple[Path, str]]:
    name = f".{task.store.name}.task-"
    for left in task.store.parent.glob(glob.escape(name) + "*"):  # by a run that was killed: a store has one writer
        left.unlink()
    file, content = task.store.with_name(name + secrets.token_hex(8)), io.BytesIO()
    torch.save(task, content)
    digest = blake3(content.getbuffer()).hexdigest()
    try:
        file.write_bytes(content.getbuffer())
        content.close()
        yield file, digest
    finally:
        file.unlink(missing_ok=True)


@cache
def _read_task(file: str, digest: str) -> Task:
    """Read what is to be recorded if it is what the run wrote, whose hash comes with its orders: code is in it."""
    content = Path(file).read_bytes()
    if blake3(content).hexdigest() != digest:
        message = f"The network that workers read must be what was written, but {file} was changed. Run again."
        raise ValueError(message)
    return cast("Task", torch.load(io.BytesIO(content), map_location="cpu", weights_only=False))


def _record_block(file: str, digest: str, device: str, block: int) -> None:
    task = replace(_read_task(file, digest), device=resolve_device(device), draft=f"~{secrets.token_hex(4)}")
    node = cast("zarr.Group", open_group(task.store, mode="r")[task.network.name])
    record_blocks(task, node, _Silent(), [block])


class _Silent:
    def update(self, _number: int) -> None:
        """Do nothing: the bar is on another machine."""
