"""RDMs of every layer with nothing stored: all stimuli go through one layer before the next."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from tqdm.auto import tqdm

from rsa_face.activations.capture import resolve_device
from rsa_face.activations.extract import must_have_names_of_their_own
from rsa_face.activations.shelf import Shelf
from rsa_face.memory import keeping_memory
from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network, evaluating
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
from rsa_face.schema import MEASURE, MEASURES, must_be_known
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches


def stream_rdms(
    networks: Sequence[Network],
    stimuli: StimulusSet,
    *,
    measure: str | Mapping[str, str] = "correlation",
    layers: str | Sequence[str] = "main",
    device: str = "auto",
    batch: int = 32,
    memory: float = 3.0,
    scratch: str | Path | None = None,
    progress: bool = True,
) -> xr.DataArray:
    """Compute the RDM of every layer without storing activations.

    The five networks are chains of modules, so they can run breadth first: all stimuli pass one layer before any
    passes the next, and only that layer's input and output are held. Each layer's inner products are taken while
    it is there. The arithmetic is that of one forward pass, and the RDMs are exact.

    Parameters
    ----------
    networks : sequence of Network
        AlexNet, VGG or FE-AlexNet; their names differ.
    stimuli : StimulusSet
        What they look at.
    measure : str or mapping of str to str
        What makes the RDM, ``correlation``, ``euclidean``, ``cosine`` or ``difference``; or measures by layer, as for
        `compute_rdms`, by which a layer of few features is treated alike.
    layers : str or sequence of str
        ``main``, ``all`` or names.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    batch : int
        Stimuli run at once.
    memory : float
        GiB of one layer's activations that may be held in memory; a larger layer goes to a temporary file. The
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
        If a name is unknown, a measure that is set for a layer cannot vary in it, a pattern is constant or not finite
        (layer and stimulus are named), or a network is not a chain.
    """
    general = general_measure(measure)
    return stream_measures(
        networks,
        stimuli,
        [general],
        by_layer=measure if isinstance(measure, Mapping) else {},
        layers=layers,
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
    device: str = "auto",
    batch: int = 32,
    memory: float = 3.0,
    scratch: str | Path | None = None,
    progress: bool = True,
) -> dict[str, xr.DataArray]:
    """Compute RDMs of several measures in one pass, by measure; `by_layer` holds for each; see `stream_rdms`."""
    single = [name for name, row in MEASURES.items() if not row.repeated]
    for measure in [*measures, *by_layer.values()]:
        must_be_known(measure, single, "measure")
    must_have_names_of_their_own(networks)
    running = Running(resolve_device(device), batch, memory * 2**30, scratch, progress)
    chosen = [(network, network.select(layers if isinstance(layers, str) else list(layers))) for network in networks]
    check_measures(by_layer, [(network.name, layer.name) for network, wanted in chosen for layer in wanted])
    plans = [_segments(network, wanted) for network, wanted in chosen]
    count, total = len(stimuli), sum(len(wanted) for _, wanted in chosen)
    values = {measure: np.empty((total, count, count)) for measure in measures}  # stacked, they would lie here twice
    labels: dict[str, list[dict[str, Any]]] = {measure: [] for measure in measures}
    place = 0
    for (network, _), segments in zip(chosen, plans, strict=True):

        def made_by(layer: Layer, features: int, network: Network = network) -> dict[str, str]:
            return {
                measure: measure_of(
                    {**by_layer, GENERAL: measure}, network=network.name, layer=layer.name, features=features
                )
                for measure in measures
            }

        for layer, chosen_measures, moments in _breadth_first(network, segments, stimuli, made_by, running):
            label = {"network": network.name, "layer": layer.name, "depth": layer.depth,
                     "order": layer.order, "untrained": network.rests_on_random(layer)}  # fmt: skip
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
    """Where and within what bounds a network is streamed.

    Parameters
    ----------
    device : torch.device
        Where to compute.
    batch : int
        Stimuli at once.
    budget : float
        Bytes of activations held in memory.
    scratch : str or Path or None
        Folder for what exceeds them.
    progress : bool
        Whether to show a bar.
    """

    device: torch.device
    batch: int
    budget: float
    scratch: str | Path | None
    progress: bool


@dataclass(frozen=True)
class Segment:
    """Modules that run one after the other, up to the next layer that is wanted.

    Parameters
    ----------
    module : nn.Module
        The modules as one.
    layer : Layer or None
        The layer at its end, if it is wanted.
    inside : dict of str to Layer
        Layers wanted within its last module (a gate), by their path in `module`.
    """

    module: nn.Sequential
    layer: Layer | None
    inside: dict[str, Layer]


def chain(network: Network) -> list[tuple[str, nn.Module]]:
    """Return the modules of a network in the order each passes its output to the next.

    Parameters
    ----------
    network : Network
        On torchvision's AlexNet or VGG.

    Returns
    -------
    list of (str, nn.Module)
        Path and module; the flattening before the classifier is called ``flatten``.

    Raises
    ------
    ValueError
        If the network has other parts.
    """
    module = network.module
    parts = [name for name, _ in module.named_children()]
    if parts != ["features", "avgpool", "classifier"]:
        message = (
            f"A network must be a chain (features, avgpool, classifier) to be streamed, but {network.name!r} has "
            f"{parts}. Use extract and compute_rdms."
        )
        raise ValueError(message)
    features = [(f"features.{name}", child) for name, child in module.get_submodule("features").named_children()]
    full = [(f"classifier.{name}", child) for name, child in module.get_submodule("classifier").named_children()]
    return [*features, ("avgpool", module.get_submodule("avgpool")), ("flatten", nn.Flatten()), *full]


def _segments(network: Network, wanted: Sequence[Layer]) -> list[Segment]:
    segments, waiting = [], nn.Sequential()
    for path, module in chain(network):
        waiting.add_module(str(len(waiting)), module)
        here = [layer for layer in wanted if layer.path == path]
        inside = {
            f"{len(waiting) - 1}.{layer.path.removeprefix(path + '.')}": layer
            for layer in wanted
            if layer.path.startswith(f"{path}.")
        }
        if here or inside:
            segments.append(Segment(waiting, here[0] if here else None, inside))
            waiting = nn.Sequential()
    return segments


def _breadth_first(
    network: Network,
    segments: Sequence[Segment],
    stimuli: StimulusSet,
    made_by: Callable[[Layer, int], dict[str, str]],
    running: Running,
) -> Iterator[tuple[Layer, dict[str, str], dict[str, Moments]]]:
    """Yield each layer that is wanted, the measure that makes each of its RDMs, and the moments of these measures."""
    hidden = None if running.progress else True
    source: Iterator[tuple[int, Tensor]] = enumerate(
        read_batches(stimuli, network.preprocessing, batch=running.batch)
    )
    shelf: Shelf | None = None
    with (
        evaluating(network.module),
        keeping_memory() as hand_back,
        ExitStack() as held,
        tqdm(total=len(segments), desc=network.name, unit="layer", disable=hidden) as bar,
    ):
        for segment in segments:
            shelf = Shelf(
                len(stimuli), batch=running.batch, budget=running.budget, folder=running.scratch, after=shelf
            )
            with held.pop_all():  # the shelf before this one is let go when its last batch is taken
                held.enter_context(shelf)
                gates = _pass(segment, source, shelf, running.device)
            hand_back()
            for layer, values in gates.items():
                names = made_by(layer, values[0].size)
                yield layer, names, {name: block_moments(values, name) for name in set(names.values())}
            if segment.layer is not None:
                names = made_by(segment.layer, shelf.features)
                yield segment.layer, names, {name: merge_moments(shelf.moments(name)) for name in set(names.values())}
            hand_back()
            source = shelf.batches()
            bar.update(1)


def _pass(
    segment: Segment, source: Iterator[tuple[int, Tensor]], shelf: Shelf, device: torch.device
) -> dict[Layer, np.ndarray]:
    found: dict[Layer, list[Tensor]] = {layer: [] for layer in segment.inside.values()}
    handles = [
        segment.module.get_submodule(path).register_forward_hook(_keeping(found[layer]))
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
    return {layer: torch.cat(shelf.in_order(parts)).numpy() for layer, parts in found.items()}


def _keeping(parts: list[Tensor]) -> Callable[[nn.Module, Any, Tensor], None]:
    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        parts.append(output.detach().clone().cpu())

    return hook
