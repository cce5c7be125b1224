"""Record one network's activations: read, compute and write at once, going on where a store ends."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, cast

import torch
import zarr
from torch import Tensor

from rsa_face.activations.blocks import append_batch, batches_in, finish_block, keep_batches, remove_part
from rsa_face.activations.cuts import Cut, create_array, cut_layer, read_cut
from rsa_face.activations.passes import passes_of
from rsa_face.activations.recording import Options, as_stored, record_batch
from rsa_face.activations.seals import is_sealed, seal
from rsa_face.activations.writing import begin_layer
from rsa_face.memory import keeping_memory
from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches
from rsa_face.untrusted import reading

log = logging.getLogger(__name__)

Place = tuple[int, int, int]  # of a batch: its block, its first stimulus, past its last


@dataclass(frozen=True)
class Task:
    """One network's activations to record into a store.

    Parameters
    ----------
    network : Network
        Which.
    layers : tuple of Layer
        What to record.
    stimuli : StimulusSet
        All of them, in the order of the store.
    store : Path
        The ``.zarr`` folder.
    batch : int
        Stimuli run at once.
    dtype : str
        Precision kept.
    options : Options
        The rest.
    device : torch.device
        Where to compute.
    draft : str
        Added to the names of files while they are being written; tells the drafts of several workers apart.
    """

    network: Network
    layers: tuple[Layer, ...]
    stimuli: StimulusSet
    store: Path
    batch: int
    dtype: str
    options: Options
    device: torch.device
    draft: str = ""

    def array_of(self, layer: Layer) -> Path:
        """Return the folder of a layer's array.

        Parameters
        ----------
        layer : Layer
            Which.

        Returns
        -------
        Path
            Inside the store.
        """
        return self.store / self.network.name / layer.name / "activation"

    def files_of(self, layer: Layer, cut: Cut, block: int) -> tuple[Path, Path]:
        """Return where a block of a layer is written, and where it lies when it is whole.

        Parameters
        ----------
        layer : Layer
            Which.
        cut : Cut
            How it is cut.
        block : int
            Which file, from 0.

        Returns
        -------
        draft : Path
            The first.
        file : Path
            The second; the same where one process writes.
        """
        file = cut.file_of(self.array_of(layer), block)
        return file.with_name(file.name + self.draft), file


def record_blocks(task: Task, node: zarr.Group, bar: Any, blocks: Sequence[int] | None = None) -> None:
    """Record all stimuli of some blocks that a store lacks, going on inside a block that was begun.

    Parameters
    ----------
    task : Task
        What to record.
    node : zarr.Group
        The network's.
    bar : tqdm
        Told of every batch once it is written.
    blocks : sequence of int, optional
        Which blocks; all unless given.
    """
    with at_device(task), passes_of(task.network, partial(_record, task, task.layers), task.device) as run:
        first: dict[str, Tensor] = {}
        captured: Iterator[dict[str, Tensor]] = iter(())
        missing = missing_layers(task, node)
        afresh = len(missing) == len(task.layers)
        if afresh:
            captured = run(_read(task, task.stimuli, task.batch))
            first = next(captured)
        cuts = ensure_arrays(task, node, missing, first)
        plan = _plan(task, cuts, blocks)
        rows = [row for _, start, stop in plan for row in range(start, stop)]
        if blocks is None:
            count_as_there(bar, len(task.stimuli) - len(rows), task)
        if not afresh and rows:
            left = StimulusSet(task.stimuli.table.iloc[rows].reset_index(drop=True))
            captured = run(_read(task, left, cuts[0].rows))
        _write_plan(task, cuts, zip(plan, chain([first] if afresh else [], captured), strict=True), bar)


def _read(task: Task, stimuli: StimulusSet, batch: int) -> Iterator[Tensor]:
    return read_batches(stimuli, task.network.preprocessing, batch=batch)


def _write_plan(task: Task, cuts: Sequence[Cut], done: Iterable[tuple[Place, dict[str, Tensor]]], bar: Any) -> None:
    ids = task.stimuli.ids
    writing: list[Future[None]] = []
    under_way = 0
    with ThreadPoolExecutor(2, thread_name_prefix="store") as pool:
        try:
            for (block, start, stop), captured in done:
                _wait(writing)
                bar.update(under_way)
                ends = stop == min((block + 1) * cuts[0].block, len(ids))
                place = block, ids[start:stop], ends
                writing = [
                    pool.submit(_write, task, layer, cut, captured.pop(layer.name), place)
                    for layer, cut in zip(task.layers, cuts, strict=True)
                ]
                under_way = stop - start
        finally:
            _wait(writing)
        bar.update(under_way)


def count_as_there(bar: Any, number: int, task: Task) -> None:
    """Let a bar begin with the stimuli that a store has, which are no work of this run, and say so.

    Parameters
    ----------
    bar : tqdm
        Changed in place.
    number : int
        How many there are, in sound batches of every layer.
    task : Task
        What is recorded.
    """
    if number:
        log.info("%s: %d of %d stimuli are there; going on", task.network.name, number, len(task.stimuli))
        bar.initial = bar.n = bar.last_print_n = number
        bar.refresh()


def missing_layers(task: Task, node: zarr.Group) -> list[Layer]:
    """Return the layers whose arrays are not there yet, or not as they were created.

    Parameters
    ----------
    task : Task
        What to record.
    node : zarr.Group
        The network's.

    Returns
    -------
    list of Layer
        In the task's order.
    """
    return [layer for layer in task.layers if not _is_begun(task, node, layer)]


def ensure_arrays(
    task: Task, node: zarr.Group, missing: Sequence[Layer], first: Mapping[str, Tensor] | None = None
) -> list[Cut]:
    """Create the arrays of the layers that lack them; within `at_device`.

    How they are cut follows from the first batch of the first stimuli, so that it is the same whoever creates
    them.

    Parameters
    ----------
    task : Task
        What to record.
    node : zarr.Group
        The network's.
    missing : sequence of Layer
        See `missing_layers`.
    first : mapping of str to Tensor, optional
        What that batch gave, by layer; it is run for the layers that need it unless given.

    Returns
    -------
    list of Cut
        One for each layer of the task.
    """
    values = first or {}
    if missing and not values:
        some = task.stimuli.table.iloc[: task.batch].reset_index(drop=True)
        values = _record(task, missing, task.network, next(_read(task, StimulusSet(some), task.batch)))
    ids = task.stimuli.ids
    for layer in missing:
        kept = as_stored(values[layer.name], layer.name, ids, dtype=task.dtype, options=task.options)
        cut = cut_layer(kept, total=len(task.stimuli), rows=task.batch, block=task.options.chunk)
        begun = begin_layer(node, layer)
        create_array(begun, cut)
        seal(begun, [task.array_of(layer) / "zarr.json"])
    return [read_cut(cast("zarr.Array[Any]", node[f"{layer.name}/activation"])) for layer in task.layers]


def _is_begun(task: Task, node: zarr.Group, layer: Layer) -> bool:
    file = task.array_of(layer) / "zarr.json"
    try:
        with reading(file, "A layer must be whole", then="It is begun anew."):
            return file.is_file() and is_sealed(cast("zarr.Group", node[layer.name]), [file])
    except ValueError:
        return False


@contextmanager
def at_device(task: Task) -> Iterator[None]:
    """Keep a task's network on its device for a while, and the memory it computes in.

    Parameters
    ----------
    task : Task
        What to record.

    Yields
    ------
    None
        While it is there.
    """
    module: Any = task.network.module.to(task.device)
    if task.options.channels_last:
        module.to(memory_format=torch.channels_last)
    try:
        with keeping_memory():
            yield
    finally:
        module.to("cpu")
        if task.options.channels_last:
            module.to(memory_format=torch.contiguous_format)


# What is to be done, batch by batch.
def _plan(task: Task, cuts: Sequence[Cut], blocks: Sequence[int] | None) -> list[Place]:
    plan = []
    for block in range(cuts[0].blocks) if blocks is None else blocks:
        files = [task.files_of(layer, cut, block) for layer, cut in zip(task.layers, cuts, strict=True)]
        unfinished = [
            (draft, file, cut) for (draft, file), cut in zip(files, cuts, strict=True) if not file.is_file()
        ]
        for draft, file in files:
            if file.is_file():
                remove_part(draft)  # killed after a file was whole, before its index was removed
        done = min((batches_in(draft, cut) for draft, _, cut in unfinished), default=0)
        for draft, file, cut in unfinished:
            keep_batches(draft, cut, done)
            if done == cut.batches_of(block):
                _finish(draft, file, cut)
        end = min((block + 1) * cuts[0].block, len(task.stimuli))
        first = block * cuts[0].block + done * cuts[0].rows
        if unfinished:
            plan += [(block, start, min(start + cuts[0].rows, end)) for start in range(first, end, cuts[0].rows)]
    return plan


def _record(task: Task, layers: Sequence[Layer], network: Network, inputs: Tensor) -> dict[str, Tensor]:
    if task.device.type == "cuda":
        inputs = inputs.pin_memory()
    return record_batch(network, layers, inputs.to(task.device, non_blocking=True), task.options)


# One batch of a layer: `place` is the block it belongs to, its stimuli, and whether they are the block's last.
def _write(task: Task, layer: Layer, cut: Cut, values: Tensor, place: tuple[int, list[str], bool]) -> None:
    block, ids, ends = place
    draft, file = task.files_of(layer, cut, block)
    if file.is_file():
        return
    append_batch(draft, as_stored(values, layer.name, ids, dtype=task.dtype, options=task.options), cut)
    if ends:
        _finish(draft, file, cut)


def _finish(draft: Path, file: Path, cut: Cut) -> None:
    finish_block(draft, cut)
    if draft != file:
        draft.replace(file)


def _wait(writing: Sequence[Future[None]]) -> None:
    for future in writing:
        future.result()
