"""Run networks over stimuli and write what every layer computes into a store, a batch at a time.

While one batch is computed, the next is read and the last one written. On a CPU, two batches of the five networks run
side by side, each with half of torch's threads.
"""

import copy
import glob
import io
import logging
import re
import secrets
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any, cast

import numpy as np
import torch
import xarray as xr
import zarr
from blake3 import blake3
from sklearn.random_projection import SparseRandomProjection, johnson_lindenstrauss_min_dim
from torch import Tensor
from tqdm.auto import tqdm

from rsa_face.activations.capture import capture, resolve_device
from rsa_face.activations.store import (
    ARRAY,
    axes_of,
    begin_layer,
    begin_network,
    begin_store,
    fault_of_batch,
    faults_of_network,
    finish_network,
    hold_store,
    layer_array,
    open_activations,
    open_group,
    shard_of,
    unfinish_network,
)
from rsa_face.cluster import connect, map_in_order
from rsa_face.memory import keeping_memory
from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network
from rsa_face.provenance import rng_from
from rsa_face.safety import must_be_a, must_be_file_names, naming_what_is_written, one_part
from rsa_face.schema import NETWORKS, TRAINING_UNKNOWN, must_be_known, repeated
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches

log = logging.getLogger(__name__)


def _mean_over_places(output: Tensor) -> Tensor:
    """Return one value a channel of maps, a feature of tokens; other layers as they are."""
    places = [axis for axis, name in enumerate(axes_of(output.shape[1:]), start=1) if name in _PLACES]
    return output.mean(dim=places) if places else output.clone()


def _class_token(output: Tensor) -> Tensor:
    """Return the first token of layers of tokens, which is the class token where a network has one."""
    return (output[:, 0] if output.ndim == 3 else output).clone()


_PLACES = ("row", "column", "token")
POOLS: dict[str, Callable[[Tensor], Tensor] | None] = {"none": None, "mean": _mean_over_places, "class": _class_token}
LOSSES = {
    "float32": "none",
    "float16": "11 significant bits: values are off by up to 4.9e-4 of themselves; none beyond 65,504",
    "bfloat16": "8 significant bits: values are off by up to 3.9e-3 of themselves; kept as float32 that compresses",
}
_SIDE_BY_SIDE = 2
Captured = dict[str, Tensor]


@dataclass(frozen=True)
class Options:
    """How activations are computed and kept, layers and batch apart.

    Parameters
    ----------
    chunk : int
        Stimuli that a worker of a cluster takes at once.
    pool : {"none", "mean", "class"}
        ``mean`` keeps one value a channel or feature: the mean over space or tokens. ``class`` keeps the first token
        of layers of tokens: a transformer's class token, where it has one.
    projection : int, optional
        Keep this many seeded sparse random projections of each layer that has more features (Li, Hastie & Church
        2006, 10.1145/1150402.1150436). Euclidean distances survive within a stated error; correlations roughly.
    seed : int
        For the projections.
    autocast : bool
        Whether torch computes in bfloat16 where it deems that safe: faster on a GPU, values good to 2-3 digits.
    channels_last : bool
        Whether maps lie in memory with channels last: faster on some machines, equal to float32 rounding.
    """

    chunk: int = 256
    pool: str = "none"
    projection: int | None = None
    seed: int = 0
    autocast: bool = False
    channels_last: bool = False

    def __post_init__(self) -> None:
        must_be_known(self.pool, POOLS, "pool")
        if self.chunk < 1 or (self.projection is not None and self.projection < 1):
            message = f"chunk ({self.chunk}) or projection ({self.projection}) is less than 1. Choose 1 or more."
            raise ValueError(message)

    def record(self) -> dict[str, Any]:
        """Return the options as a plain dict, for attrs and manifests."""
        return asdict(self)


def extract(
    networks: Sequence[Network],
    stimuli: StimulusSet,
    store: str | Path,
    *,
    layers: str | Sequence[str] = "main",
    device: str = "auto",
    batch: int = 32,
    dtype: str = "float32",
    options: Options | None = None,
    cluster: str | None = None,
    progress: bool = False,
) -> xr.DataTree:
    """Record layers of networks for all stimuli, into a zarr store.

    Memory holds a few batches, never all stimuli. Networks are recorded in evaluation mode, and left as they were. A
    store that is there already is continued: networks that are finished and whole are not run again, and one that was
    interrupted, or of which files are missing or damaged, goes on with the batches it lacks; what comes out is the
    same, byte for byte. A store made from other stimuli, weights, preprocessing or settings is refused.

    Parameters
    ----------
    networks : sequence of Network
        Their names differ.
    stimuli : StimulusSet
        What they look at.
    store : str or Path
        A ``.zarr`` folder, made if need be.
    layers : str or sequence of str
        ``main``, ``all`` or names that every network has.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    batch : int
        Stimuli run at once, and kept in one file for each layer.
    dtype : {"float32", "float16", "bfloat16"}
        How values are kept; attrs say what is lost.
    options : Options, optional
        Pooling, projection, autocast, memory format, stimuli for a worker.
    cluster : str, optional
        ``local:N`` or ``tcp://HOST:PORT``: hand blocks of stimuli to dask workers that see the same folders.
    progress : bool
        Whether to show a bar, where there is a terminal or notebook.

    Returns
    -------
    DataTree
        As `open_activations` returns it: lazily loaded.

    Raises
    ------
    ValueError
        If two networks share a name, a layer or dtype is unknown, the store was made otherwise or is being written
        by another process, an image cannot be read, or an activation is not finite.
    OSError
        If the disk is full, or the store's folder is not writable. What is written is kept, and the same call goes
        on from there.

    Examples
    --------
    >>> import tempfile
    >>> import rsa_face as rf
    >>> stimuli = rf.read_stimuli(rf.load_study("demo").stimuli.table).select(identity="face01")
    >>> small = rf.Preprocessing(resize=64, crop=64)
    >>> network = rf.build_network("alexnet", seed=0, preprocessing=small)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     tree = rf.extract([network], stimuli, f"{folder}/activations.zarr", layers=["relu5", "fc8"])
    ...     dict(tree["alexnet/fc8/activation"].sizes)
    {'stimulus': 9, 'feature': 2}
    """
    must_be_known(dtype, LOSSES, "dtype")
    must_have_names_of_their_own(networks)
    options = options or Options()
    where = resolve_device(device)
    store = Path(store).absolute()  # workers of a cluster do not share this process's folder
    stimuli = StimulusSet(stimuli.table.assign(file=[str(file.absolute()) for file in stimuli.files]))
    chosen = [(network, network.select(layers if isinstance(layers, str) else list(layers))) for network in networks]
    for network, wanted in chosen:
        must_be_file_names([layer.name for layer in wanted], "layer", network.name)
    settings = {"dtype": dtype, "batch": batch, **options.record()}
    settings |= describe_recording(len(stimuli), dtype, options)
    with hold_store(store), naming_what_is_written(store), keeping_memory():
        root = begin_store(store, stimuli, settings)
        for network, wanted in chosen:
            node = begin_network(root, network.name, describe_network(network, wanted))
            if node.attrs["finished"]:
                if not faults_of_network(node, read="changed"):
                    continue
                unfinish_network(node)
            task = _Task(network, wanted, stimuli, store, batch, dtype, options, where)
            hidden = None if progress else True
            with tqdm(total=len(stimuli), desc=network.name, unit="image", disable=hidden) as bar:
                missing = _missing_batches(task, node)
                _begin_bar(task, bar, missing)
                if cluster is None:
                    _record(task, node, missing, bar)
                else:
                    _record_on_cluster(task, node, missing, bar, cluster=cluster, device=device)
            finish_network(node)
    return open_activations(store)


def describe_network(network: Network, layers: Sequence[Layer]) -> dict[str, Any]:
    """Return what identifies a network's activations, as plain values, for attrs and manifests."""
    settings = {key: list(value) if isinstance(value, tuple) else value
                for key, value in network.preprocessing.record().items()}  # fmt: skip
    return {
        "network": network.name,
        "architecture": network.architecture,
        "weights": network.weights,
        "weights_hash": network.content_hash(),
        "untrained": any(network.rests_on_random(layer) for layer in layers),
        TRAINING_UNKNOWN: network.trained is None,
        "preprocessing": settings,
        "layers": [layer.name for layer in layers],
    }


def must_have_names_of_their_own(networks: Sequence[Network]) -> None:
    """Refuse no network, and networks of which two share a name or would share files."""
    must_be_a(networks, (list, tuple), "A list of networks is needed first: [network]")
    for network in networks:
        must_be_a(network, Network, "A list of networks is needed first")
    same = repeated([network.name for network in networks])
    if same or not networks:
        what = f"Two networks are called {same}" if same else "No network is given"
        message = f"{what}: give each network a name of its own (label=)."
        raise ValueError(message)
    must_be_file_names([one_part(network.name) for network in networks], "network", "The list of networks")


# -- what is kept ------------------------------------------------------------------------------------------------


def as_stored(values: Tensor, layer: str, ids: Sequence[str], *, dtype: str, options: Options) -> np.ndarray:
    """Turn what a layer computed into the float32 or float16 array that is kept; refuse what is not finite."""
    tensor = values.to("cpu", torch.float32)
    if dtype == "bfloat16":
        tensor = tensor.to(torch.bfloat16).to(torch.float32)
    array = tensor.contiguous().numpy()
    if options.projection is not None and array[0].size > options.projection:
        with np.errstate(invalid="ignore", over="ignore"):
            flat = array.reshape(len(array), -1)
            projection = _fitted(layer, flat.shape[1], options.projection, options.seed)
            array = np.ascontiguousarray(projection.transform(flat), dtype=np.float32)
    if dtype == "float16":
        with np.errstate(over="ignore"):
            array = array.astype(np.float16)
    _refuse_infinite(array, layer, ids, dtype)
    return array


def projection_error(stimuli: int, components: int) -> float:
    """Return the relative error within which projections keep all squared distances; 1 where nothing is promised.

    The bound of Johnson and Lindenstrauss, as given by Dasgupta & Gupta (2003, 10.1002/rsa.10073).

    Examples
    --------
    >>> round(projection_error(100, 4096), 2)
    0.1
    """
    errors = np.linspace(0.01, 0.99, 99)
    needed = johnson_lindenstrauss_min_dim(max(stimuli, 2), eps=errors)
    within = errors[np.asarray(needed) <= components]
    return float(within[0]) if len(within) else 1.0


def describe_recording(stimuli: int, dtype: str, options: Options) -> Mapping[str, Any]:
    """Return the loss that precision and projection bring, in words."""
    words = {"loss": LOSSES[dtype]}
    if options.projection is not None:
        error = projection_error(stimuli, options.projection)
        words["projection_error"] = f"squared distances within {error:.0%} of themselves (Johnson-Lindenstrauss)"
    return words


@cache
def _fitted(layer: str, features: int, components: int, seed: int) -> SparseRandomProjection:
    state = int(rng_from(seed, "projection", layer).integers(2**31))
    return SparseRandomProjection(components, random_state=state).fit(np.zeros((1, features), np.float32))


def _refuse_infinite(array: np.ndarray, layer: str, ids: Sequence[str], dtype: str) -> None:
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(array.sum(dtype=np.float32)):  # one pass; the slow one only where the sum overflowed
            return
    finite = np.isfinite(array).reshape(len(array), -1).all(axis=1)
    if not finite.all():
        where = ids[int(np.argmin(finite))]
        message = f"The activations of {layer!r} are not finite in {dtype} for {where!r}. Check the weights."
        raise ValueError(message)


# -- one network -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Task:
    """One network's activations to record into a store."""

    network: Network
    layers: tuple[Layer, ...]
    stimuli: StimulusSet
    store: Path
    batch: int
    dtype: str
    options: Options
    device: torch.device

    def folder_of(self, layer: Layer) -> Path:
        """Return the folder of a layer's array."""
        return self.store / self.network.name / layer.name / ARRAY

    @property
    def batches(self) -> range:
        """The numbers of all batches."""
        return range(-(-len(self.stimuli) // self.batch))

    def rows(self, batch: int) -> range:
        """Return which stimuli a batch holds."""
        return range(batch * self.batch, min((batch + 1) * self.batch, len(self.stimuli)))


def _missing_batches(task: _Task, node: zarr.Group) -> list[int]:
    """Return the batches that some layer lacks, by reading every shard; a damaged one is removed."""
    arrays = [(layer_array(node, layer.name), task.folder_of(layer)) for layer in task.layers]
    # a layer whose array is not begun, or not as it was begun, lacks every batch
    missing = set(task.batches) if any(array is None for array, _ in arrays) else set()
    for array, folder in arrays:
        if array is None:
            continue
        for batch in task.batches:
            if fault_of_batch(array, folder, batch):
                # zarr reads a shard before it writes into it, and would fail on what is damaged
                shard_of(array, folder, batch).unlink(missing_ok=True)
                missing.add(batch)
    return sorted(missing)


def _begin_bar(task: _Task, bar: Any, missing: Sequence[int]) -> None:
    """Let a bar begin with the stimuli that a store has, which are no work of this run, and say so."""
    number = len(task.stimuli) - sum(len(task.rows(batch)) for batch in missing)
    if number:
        log.info("%s: %d of %d stimuli are stored; going on", task.network.name, number, len(task.stimuli))
        bar.initial = bar.n = bar.last_print_n = number
        bar.refresh()


def _record(task: _Task, node: zarr.Group, batches: Sequence[int], bar: Any) -> None:
    """Record some batches of stimuli: read, compute and write at once."""
    if not batches:
        return
    rows = [row for batch in batches for row in task.rows(batch)]
    some = StimulusSet(task.stimuli.table.iloc[rows].reset_index(drop=True))
    images = read_batches(some, task.network.preprocessing, batch=task.batch)  # only the last batch of all is smaller
    with (
        _at_device(task),
        passes_of(task.network, partial(_run, task), task.device) as run,
        ThreadPoolExecutor(1, thread_name_prefix="store") as pool,
    ):
        # One batch is written while the next is computed. The result of each write is taken before the next begins:
        # so a full disk stops the run at once, and what is in memory is never more than two batches.
        writing: Future[int] | None = None
        try:
            arrays: dict[str, zarr.Array[Any]] = {}
            for batch, captured in zip(batches, run(images), strict=True):
                bar.update(writing.result() if writing else 0)
                writing = pool.submit(_write, task, node, arrays, batch, captured)
        finally:
            bar.update(writing.result() if writing else 0)


def _write(
    task: _Task, node: zarr.Group, arrays: dict[str, "zarr.Array[Any]"], batch: int, captured: Captured
) -> int:
    """Write one batch of every layer, into arrays that the first batch begins; return its size."""
    rows = task.rows(batch)
    ids = task.stimuli.ids[rows.start : rows.stop]
    for layer in task.layers:
        values = as_stored(captured.pop(layer.name), layer.name, ids, dtype=task.dtype, options=task.options)
        if layer.name not in arrays:
            arrays[layer.name] = _begun(task, node, layer, values)
        arrays[layer.name][rows.start : rows.stop] = values
    return len(rows)


def _begun(task: _Task, node: zarr.Group, layer: Layer, values: np.ndarray) -> "zarr.Array[Any]":
    total, dtype = len(task.stimuli), values.dtype.name
    return begin_layer(node, layer, values.shape[1:], dtype=dtype, rows=task.batch, total=total)


@contextmanager
def _at_device(task: _Task) -> Iterator[None]:
    """Keep a task's network on its device for a while, and the memory it computes in."""
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


def _run(task: _Task, network: Network, inputs: Tensor) -> Captured:
    if task.device.type == "cuda":
        inputs = inputs.pin_memory()
    return record_batch(network, task.layers, inputs.to(task.device, non_blocking=True), task.options)


def record_batch(network: Network, layers: Sequence[Layer], inputs: Tensor, options: Options) -> Captured:
    """Run one batch through a network; where a GPU's memory is too small, in halves."""
    ordered = inputs.contiguous(memory_format=torch.channels_last) if options.channels_last else inputs
    try:
        with torch.autocast(inputs.device.type, dtype=torch.bfloat16, enabled=options.autocast):
            return capture(network, layers, ordered, keep=POOLS[options.pool])
    except torch.OutOfMemoryError:
        if len(inputs) == 1:
            raise
        log.warning(
            "%s: %d stimuli at once exceed the GPU's memory; running them in halves", network.name, len(inputs)
        )
    half = (len(inputs) + 1) // 2
    parts = [record_batch(network, layers, part, options) for part in (inputs[:half], inputs[half:])]
    return {layer.name: torch.cat([part[layer.name] for part in parts]) for layer in layers}


# -- passes side by side -----------------------------------------------------------------------------------------


@contextmanager
def passes_of(
    network: Network, record: Callable[[Network, Tensor], Captured], device: torch.device
) -> Iterator[Callable[[Iterable[Tensor]], Iterator[Captured]]]:
    """Share torch's threads out between forward passes that run side by side, and yield what runs batches in order.

    Threads that compute one layer together wait for each other at its end, and the longer the more else there is to
    do, as reading images and writing files; two passes of half the threads each need not. So the five networks run on
    a CPU, each pass on modules of its own that share the weights. Any other network runs one batch after another,
    since two of its passes might get in each other's way. Until the end, all that this process computes in torch has
    as many threads as one pass has, so that values are the same wherever they are computed.
    """
    threads = torch.get_num_threads()
    if device.type != "cpu" or threads < _SIDE_BY_SIDE or network.architecture not in NETWORKS:
        yield lambda batches: (record(network, inputs) for inputs in batches)
        return
    torch.set_num_threads(threads // _SIDE_BY_SIDE)  # threads that begin later start from this number
    stopping = threading.Event()
    free: SimpleQueue[Network] = SimpleQueue()
    for _ in range(_SIDE_BY_SIDE):
        free.put(_sharing_weights(network, stopping))

    def run(inputs: Tensor) -> Captured:
        replica = free.get()
        try:
            return record(replica, inputs)
        finally:
            free.put(replica)

    def in_order(batches: Iterable[Tensor]) -> Iterator[Captured]:
        running: deque[Future[Captured]] = deque()
        for inputs in batches:
            running.append(pool.submit(run, inputs))
            if len(running) == _SIDE_BY_SIDE:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

    try:
        with ThreadPoolExecutor(_SIDE_BY_SIDE, thread_name_prefix="passes") as pool:
            try:
                yield in_order
            finally:
                stopping.set()
    finally:
        torch.set_num_threads(threads)


class _StoppedError(Exception):
    """Ends a pass that nobody waits for any more."""


def _sharing_weights(network: Network, stopping: threading.Event) -> Network:
    """Return a network of modules of its own, whose weights are the other's, and which stops between two of them."""
    module = network.module
    shared: dict[int, Any] = {id(value): value for value in (*module.parameters(), *module.buffers())}
    replica = copy.deepcopy(module, shared)

    def go_on(*_: object) -> None:
        if stopping.is_set():
            raise _StoppedError

    for child in replica.modules():
        child.register_forward_pre_hook(go_on)
    return replace(network, module=replica)


# -- workers of a cluster ----------------------------------------------------------------------------------------


def _record_on_cluster(
    task: _Task, node: zarr.Group, missing: Sequence[int], bar: Any, *, cluster: str, device: str
) -> None:
    """Record all batches that a store lacks, by the workers of a cluster.

    Workers must see the folders of the store and of the images under the same paths. Each shard is written under
    another name and moved into place; so a worker that dies leaves nothing in the way, and a batch that is run twice
    is the same both times. The network goes to the workers in a file beside the store.
    """
    if not missing:
        return
    _begin_layers(task, node)
    blocks = _blocks(missing, max(task.options.chunk // task.batch, 1))
    with _task_file(task) as (file, digest), connect(cluster) as client:
        record = partial(_record_block, str(file), digest, device)
        for block, _ in zip(blocks, map_in_order(client, record, blocks), strict=True):
            bar.update(sum(len(task.rows(batch)) for batch in block))


def _begin_layers(task: _Task, node: zarr.Group) -> None:
    """Begin all arrays before several workers write to them; their shapes are those of one stimulus."""
    one = StimulusSet(task.stimuli.table.iloc[:1].reset_index(drop=True))
    (inputs,) = read_batches(one, task.network.preprocessing, batch=1)
    with _at_device(task):
        captured = _run(task, task.network, inputs)
    for layer in task.layers:
        values = as_stored(captured[layer.name], layer.name, one.ids, dtype=task.dtype, options=task.options)
        _begun(task, node, layer, values)


def _blocks(batches: Sequence[int], size: int) -> list[list[int]]:
    return [list(batches[start : start + size]) for start in range(0, len(batches), size)]


@contextmanager
def _task_file(task: _Task) -> Iterator[tuple[Path, str]]:
    name = f".{task.store.name}.task-"
    for file in task.store.parent.glob(f"{glob.escape(name)}*"):
        if re.fullmatch(r"[0-9a-f]{16}", file.name.removeprefix(name)):  # ours: by a run that was killed
            file.unlink()
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
def _read_task(file: str, digest: str) -> _Task:
    """Read what is to be recorded if it is what the run wrote, whose hash comes with its orders: code is in it."""
    content = Path(file).read_bytes()
    if blake3(content).hexdigest() != digest:
        message = f"The network that workers read from {file} was changed since it was written. Run again."
        raise ValueError(message)
    return cast("_Task", torch.load(io.BytesIO(content), map_location="cpu", weights_only=False))


def _record_block(file: str, digest: str, device: str, block: list[int]) -> None:
    task = replace(_read_task(file, digest), device=resolve_device(device))
    node = cast("zarr.Group", open_group(task.store, mode="r+")[task.network.name])
    _record(task, node, block, _Silent())


class _Silent:
    def update(self, _number: int) -> None:
        """Do nothing: the bar is on another machine."""
