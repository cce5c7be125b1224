"""RDMs of every layer with nothing stored: all stimuli go through one layer before the next, or layers in groups."""

import math
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from tqdm.auto import tqdm

from rsa_face.activations.capture import capture, resolve_device
from rsa_face.activations.extract import POOLS, must_have_names_of_their_own
from rsa_face.memory import bytes_of, keeping_memory
from rsa_face.networks.layers import Layer
from rsa_face.networks.survey import evaluating
from rsa_face.networks.zoo import Network
from rsa_face.rdms.measures import (
    GENERAL,
    Moments,
    block_moments,
    check_measures,
    dissimilarities,
    general_measure,
    label_rdms,
    measure_of,
    merge_moments,
)
from rsa_face.schema import (
    DEPTH,
    LAYER,
    MEASURE,
    MEASURES,
    NETWORK,
    ORDER,
    TRAINING_UNKNOWN,
    UNTRAINED,
    must_be_known,
)
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches

_SLAB_VALUES = 2**25


def stream_rdms(
    networks: Sequence[Network],
    stimuli: StimulusSet,
    *,
    measure: str | Mapping[str, str] = "correlation",
    layers: str | Sequence[str] = "main",
    pool: str = "none",
    device: str = "auto",
    batch: int = 32,
    memory: float = 3.0,
    scratch: str | Path | None = None,
    progress: bool = False,
) -> xr.DataArray:
    """Compute the RDM of every layer without storing activations.

    The five networks are chains of modules, so they can run breadth first: all stimuli pass one layer before any
    passes the next, and only that layer's input and output are held. Any other network runs whole passes, one for
    each group of layers that fit into memory together. Each layer's inner products are taken while it is there. The
    arithmetic is that of one forward pass, and the RDMs are exact.

    Parameters
    ----------
    networks : sequence of Network
        Their names differ.
    stimuli : StimulusSet
        What they look at.
    measure : str or mapping of str to str
        What makes the RDM, ``correlation``, ``euclidean``, ``cosine`` or ``difference``; or measures by layer, as for
        `compute_rdms`, by which a layer of few features is treated alike.
    layers : str or sequence of str
        ``main``, ``all`` or names.
    pool : {"none", "mean", "class"}
        ``mean`` takes the mean over space or tokens, ``class`` the first of the tokens, as `Options` does.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    batch : int
        Stimuli run at once.
    memory : float
        GiB of activations that may be held in memory; a layer that is larger goes to a temporary file. The
        network, a batch in work and the RDMs come on top. On a GPU, half of what is free there is used.
    scratch : str or Path, optional
        Folder for that file; the system's for temporary files unless given.
    progress : bool
        Whether to show a bar, where there is a terminal or notebook.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        As `compute_rdms` returns it from a store.

    Raises
    ------
    ValueError
        If a name is unknown, a measure that is set for a layer cannot vary in it, or a pattern is constant or not
        finite (layer and stimulus are named).

    Examples
    --------
    >>> import rsa_face as rf
    >>> stimuli = rf.read_stimuli(rf.load_study("demo").stimuli.table).select(identity="face01")
    >>> small = rf.Preprocessing(resize=64, crop=64)
    >>> network = rf.build_network("alexnet", seed=0, preprocessing=small)
    >>> rdms = stream_rdms([network], stimuli, layers=["relu5", "fc8"])
    >>> rdms["rdm"].values.tolist(), rdms.shape
    (['alexnet/relu5', 'alexnet/fc8'], (2, 9, 9))
    """
    general = general_measure(measure)
    return stream_measures(
        networks,
        stimuli,
        [general],
        by_layer=measure if isinstance(measure, Mapping) else {},
        layers=layers,
        pool=pool,
        device=device,
        batch=batch,
        memory=memory,
        scratch=scratch,
        progress=progress,
    )[general]


def stream_measures(
    networks: Sequence[Network],
    stimuli: StimulusSet,
    measures: Sequence[str],
    *,
    by_layer: Mapping[str, str],
    layers: str | Sequence[str] = "main",
    pool: str = "none",
    device: str = "auto",
    batch: int = 32,
    memory: float = 3.0,
    scratch: str | Path | None = None,
    progress: bool = False,
) -> dict[str, xr.DataArray]:
    """Compute RDMs of several measures in one pass, by measure; `by_layer` holds for each; see `stream_rdms`."""
    single = [name for name, row in MEASURES.items() if not row.repeated]
    for measure in [*measures, *by_layer.values()]:
        must_be_known(measure, single, "measure")
    must_have_names_of_their_own(networks)
    must_be_known(pool, POOLS, "pool")
    running = Running(resolve_device(device), batch, bytes_of(memory), scratch, progress, POOLS[pool])
    chosen = [(network, network.select(layers if isinstance(layers, str) else list(layers))) for network in networks]
    check_measures(by_layer, [(network.name, layer.name) for network, wanted in chosen for layer in wanted])
    count, total = len(stimuli), sum(len(wanted) for _, wanted in chosen)
    values = {measure: np.empty((total, count, count)) for measure in measures}  # stacked, they would lie here twice
    labels: dict[str, list[dict[str, Any]]] = {measure: [] for measure in measures}
    place = 0
    for network, wanted in chosen:

        def made_by(layer: Layer, features: int, network: Network = network) -> dict[str, str]:
            return {
                measure: measure_of(
                    {**by_layer, GENERAL: measure}, network=network.name, layer=layer.name, features=features
                )
                for measure in measures
            }

        # what is pooled is small: one pass then serves all layers
        run = _breadth_first if is_chain(network) and pool == "none" else _in_groups
        for layer, chosen_measures, moments in run(network, wanted, stimuli, made_by, running):
            label = {NETWORK: network.name, LAYER: layer.name, DEPTH: layer.depth, ORDER: layer.order}
            label |= {UNTRAINED: network.rests_on_random(layer), TRAINING_UNKNOWN: network.trained is None}
            for measure, name in chosen_measures.items():
                try:
                    values[measure][place] = dissimilarities(moments[name], name, stimuli.ids)
                except ValueError as error:
                    message = f"{network.name}/{layer.name}: {error}"
                    raise ValueError(message) from error
                labels[measure].append({**label, MEASURE: name})
            place += 1
    table = stimuli.table
    coords = {str(name): table[name].to_numpy() for name in table.columns if name != "file"}
    return {measure: label_rdms(rdms, labels[measure], coords, measure=measure) for measure, rdms in values.items()}


@dataclass(frozen=True)
class Running:
    """Where and within what bounds a network is streamed."""

    device: torch.device
    batch: int
    budget: float
    scratch: str | Path | None
    progress: bool
    pool: Callable[[Tensor], Tensor] | None = None


@dataclass(frozen=True)
class Segment:
    """Modules that run one after the other, up to the next layer that is wanted."""

    module: nn.Sequential
    layer: Layer | None
    inside: dict[str, Layer]


def is_chain(network: Network) -> bool:
    """Return whether a network is built as the five are: each module takes what the one before it returned."""
    parts = [name for name, _ in network.module.named_children()]
    return parts == ["features", "avgpool", "classifier"] and not network.survey.layers


def chain(network: Network) -> list[tuple[str, nn.Module]]:
    """Return the modules of a network in the order each passes its output to the next."""
    module = network.module
    features = [(f"features.{name}", child) for name, child in module.get_submodule("features").named_children()]
    full = [(f"classifier.{name}", child) for name, child in module.get_submodule("classifier").named_children()]
    return [*features, ("avgpool", module.get_submodule("avgpool")), ("flatten", nn.Flatten()), *full]


def _segments(network: Network, wanted: Sequence[Layer]) -> list[Segment]:
    segments, pending = [], nn.Sequential()
    for path, module in chain(network):
        pending.add_module(str(len(pending)), module)
        exact = [layer for layer in wanted if layer.path == path]
        within = {
            f"{len(pending) - 1}.{layer.path.removeprefix(path + '.')}": layer
            for layer in wanted
            if layer.path.startswith(f"{path}.")
        }
        if exact or within:
            segments.append(Segment(pending, exact[0] if exact else None, within))
            pending = nn.Sequential()
    return segments


def _breadth_first(
    network: Network,
    wanted: Sequence[Layer],
    stimuli: StimulusSet,
    made_by: Callable[[Layer, int], dict[str, str]],
    running: Running,
) -> Iterator[tuple[Layer, dict[str, str], dict[str, Moments]]]:
    """Yield each layer that is wanted, the measure that makes each of its RDMs, and the moments of these measures."""
    hidden, segments = None if running.progress else True, _segments(network, wanted)
    source: Iterator[tuple[int, Tensor]] = enumerate(
        read_batches(stimuli, network.preprocessing, batch=running.batch)
    )
    shelf: Shelf | None = None
    with (
        evaluating(network.module),
        keeping_memory() as release,
        ExitStack() as held,
        tqdm(total=len(segments), desc=network.name, unit="layer", disable=hidden) as bar,
    ):
        for segment in segments:
            # The shelf that is filled takes over the memory of the one that is emptied; see `Shelf`.
            shelf = Shelf(
                len(stimuli), batch=running.batch, budget=running.budget, folder=running.scratch, after=shelf
            )
            with held.pop_all():  # the shelf before this one is let go when its last batch is taken
                held.enter_context(shelf)
                gates = _pass(segment, source, shelf, running.device)
            release()
            for layer, values in gates.items():
                names = made_by(layer, values[0].size)
                yield layer, names, {name: block_moments(values, name) for name in set(names.values())}
            if segment.layer is not None:
                names = made_by(segment.layer, shelf.features)
                yield segment.layer, names, {name: merge_moments(shelf.moments(name)) for name in set(names.values())}
            release()
            source = shelf.batches()
            bar.update(1)


def _in_groups(
    network: Network,
    wanted: Sequence[Layer],
    stimuli: StimulusSet,
    made_by: Callable[[Layer, int], dict[str, str]],
    running: Running,
) -> Iterator[tuple[Layer, dict[str, str], dict[str, Moments]]]:
    """Yield the same of a network that is no chain: its layers in groups that fit into memory, a pass for each."""
    hidden, room = None if running.progress else True, _room(running.device, running.budget)
    network.module.to(running.device)
    try:
        groups = _groups(wanted, _features(network, wanted, stimuli, running), room / (4 * len(stimuli)))
        with (
            keeping_memory() as release,
            tqdm(total=len(wanted), desc=network.name, unit="layer", disable=hidden) as bar,
        ):
            for group in groups:
                # a layer alone may be larger than the room there is: its shelf then writes to a file
                budget = room if len(group) == 1 else math.inf
                with ExitStack() as held:
                    shelves = {
                        layer.name: held.enter_context(
                            Shelf(len(stimuli), batch=running.batch, budget=budget, folder=running.scratch)
                        )
                        for layer in group
                    }
                    for index, inputs in enumerate(read_batches(stimuli, network.preprocessing, batch=running.batch)):
                        captured = capture(network, group, inputs.to(running.device), keep=running.pool)
                        for name, values in captured.items():
                            shelves[name].put(index, values.float())
                    for layer in group:
                        with shelves[layer.name] as shelf:  # its memory is given back when its moments are taken
                            names = made_by(layer, shelf.features)
                            yield layer, names, {m: merge_moments(shelf.moments(m)) for m in set(names.values())}
                        bar.update(1)
                release()
    finally:
        network.module.to("cpu")


def _features(network: Network, wanted: Sequence[Layer], stimuli: StimulusSet, running: Running) -> list[int]:
    """Return how many values a stimulus has in each layer, as they are kept."""
    if running.pool is None and all(layer.shape for layer in wanted):
        return [math.prod(layer.shape) for layer in wanted]
    one = StimulusSet(stimuli.table.iloc[:1].reset_index(drop=True))
    (inputs,) = read_batches(one, network.preprocessing, batch=1)
    captured = capture(network, wanted, inputs.to(running.device), keep=running.pool)
    return [captured[layer.name][0].numel() for layer in wanted]


def _groups(layers: Sequence[Layer], sizes: Sequence[int], features: float) -> list[list[Layer]]:
    """Return layers in groups of not more features than fit, in their order."""
    groups: list[list[Layer]] = []
    left = 0.0
    for layer, size in zip(layers, sizes, strict=True):
        if groups and size <= left:
            groups[-1].append(layer)
        else:
            groups.append([layer])
            left = features
        left -= size
    return groups


def _pass(
    segment: Segment, source: Iterator[tuple[int, Tensor]], shelf: "Shelf", device: torch.device
) -> dict[Layer, np.ndarray]:
    gates: dict[Layer, list[Tensor]] = {layer: [] for layer in segment.inside.values()}
    handles = [
        segment.module.get_submodule(path).register_forward_hook(_keeping(gates[layer]))
        for path, layer in segment.inside.items()
    ]
    segment.module.to(device)
    try:
        with torch.inference_mode():
            for index, values in source:
                shelf.put(index, segment.module(values.to(device)))
    finally:
        segment.module.to("cpu")
        for handle in handles:
            handle.remove()
    return {layer: torch.cat(shelf.in_order(parts)).numpy() for layer, parts in gates.items()}


def _keeping(parts: list[Tensor]) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        parts.append(output.detach().clone().cpu())

    return hook


# -- what one layer computes for all stimuli -----------------------------------------------------------------------


class Shelf:
    """All stimuli's values at one place in a network, put there and taken off batch by batch.

    What one shelf holds is computed from what the one before it held, in the same block of memory: batches taken from
    one end leave room for those put at the other, so that two layers need the memory of the larger one. To that end
    every second shelf is filled backwards, from the last batch. The file is read and written, not mapped, so that it
    does not count as this process's memory.
    """

    def __init__(
        self,
        stimuli: int,
        *,
        batch: int,
        budget: float,
        folder: str | Path | None = None,
        after: "Shelf | None" = None,
    ) -> None:
        self.stimuli = stimuli
        self.batch = batch
        self.budget = budget
        self.folder = folder
        self.backwards: bool = after is not None and not after.backwards
        self.memory: Tensor = torch.empty(0) if after is None else after.memory
        self.shape: tuple[int, ...] = ()
        self.file: int | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.memory = torch.empty(0)
        if self.file is not None:
            os.close(self.file)
            self.file = None

    @property
    def features(self) -> int:
        """How many values a stimulus has."""
        return int(np.prod(self.shape))

    @property
    def spilled(self) -> bool:
        """Whether the values lie in a file."""
        return self.file is not None

    def put(self, index: int, values: Tensor) -> None:
        """Put a batch on the shelf, in the order in which the shelf before it gives its batches."""
        if not self.shape:
            self._make_room(values)
        if self.file is not None:
            _write(self.file, values.cpu().contiguous().numpy(), 4 * self.features * self.batch * index)
            return
        if values.untyped_storage().data_ptr() == self.memory.untyped_storage().data_ptr():
            values = values.clone()  # where it lies and where it goes may overlap
        self._held()[self._rows(index)].copy_(values.flatten(1))

    def take(self, index: int) -> Tensor:
        """Take a batch off the shelf."""
        rows = self._rows(index)
        if self.file is None:
            return self._held()[rows].view(-1, *self.shape)
        values = np.empty((rows.stop - rows.start, *self.shape), np.float32)
        _read(self.file, values, 4 * self.features * rows.start)
        return torch.from_numpy(values)

    def batches(self) -> Iterator[tuple[int, Tensor]]:
        """Take all batches off the shelf, the last that was put there first."""
        indices = range(-(-self.stimuli // self.batch))
        for index in indices if self.backwards else reversed(indices):
            yield index, self.take(index)

    def in_order(self, parts: list[Tensor]) -> list[Tensor]:
        """Return what was collected while this shelf was filled, a part a batch, in the order of the stimuli."""
        return parts[::-1] if self.backwards else parts

    def moments(self, measure: str) -> Iterator[Moments]:
        """Compute the moments of what is on the shelf, a slab of features of all stimuli at a time."""
        step = max(_SLAB_VALUES // self.stimuli, 2)  # two outputs belong together
        read = np.empty((self.stimuli, min(step, self.features)), np.float32) if self.spilled else None
        for start in range(0, self.features, step):
            stop = min(start + step, self.features)
            slab = self._held()[:, start:stop] if read is None else self._read_slab(read[:, : stop - start], start)
            yield block_moments(slab, measure)

    def _make_room(self, values: Tensor) -> None:
        self.shape = tuple(values.shape[1:])
        size = self.features * self.stimuli
        if size <= len(self.memory) and values.device == self.memory.device:
            return
        if 4 * size <= _room(values.device, self.budget):
            self.memory = _block(size, values.device)
            return
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix="rsa_face-") as named:
            self.file = os.dup(named.fileno())

    def _rows(self, index: int) -> slice:
        return slice(index * self.batch, min((index + 1) * self.batch, self.stimuli))

    def _held(self) -> Tensor:
        size = self.features * self.stimuli
        place = slice(len(self.memory) - size, None) if self.backwards else slice(size)
        return self.memory[place].view(self.stimuli, self.features)

    def _read_slab(self, slab: np.ndarray, start: int) -> Tensor:
        assert self.file is not None
        for row in range(self.stimuli):
            _read(self.file, slab[row], 4 * (self.features * row + start))
        return torch.from_numpy(slab)


def _block(size: int, device: torch.device) -> Tensor:
    if device.type == "cuda":
        return torch.empty(size, device=device)
    return torch.from_numpy(np.frombuffer(mmap.mmap(-1, 4 * size), np.float32))  # the system's again when let go


def _room(device: torch.device, budget: float) -> float:
    if device.type != "cuda":
        return budget
    free, _ = torch.cuda.mem_get_info(device)
    return free / 2


def _write(file: int, values: np.ndarray, offset: int) -> None:
    content = memoryview(values).cast("B")
    done = 0
    while done < len(content):
        done += os.pwrite(file, content[done:], offset + done)


def _read(file: int, values: np.ndarray, offset: int) -> None:
    content = memoryview(values).cast("B")
    done = 0
    while done < len(content):
        count = os.preadv(file, [content[done:]], offset + done)
        if not count:
            message = "the temporary file of streamed activations ended early; was it cut by another program?"
            raise OSError(message)
        done += count
