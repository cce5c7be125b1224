"""RDMs of every layer with nothing stored: all stimuli go through one layer before the next."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor, nn
from tqdm.auto import tqdm

from rsa_face.activations.capture import resolve_device
from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network
from rsa_face.rdms.dissimilarity import DEFINITIONS, dissimilarities, label_rdms, sum_moments
from rsa_face.schema import must_be_known
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches

_BLOCK_VALUES = 2**25


def stream_rdms(
    networks: Sequence[Network],
    stimuli: StimulusSet,
    *,
    measure: str = "correlation",
    layers: str | Sequence[str] = "main",
    device: str = "auto",
    batch: int = 32,
    progress: bool = True,
) -> xr.DataArray:
    """Compute the RDM of every layer without storing activations.

    The five networks are chains of modules, so they can run breadth first: all stimuli pass one module before any
    passes the next, and only that module's input and output are held. Each layer's inner products are taken while
    it is there. The arithmetic is that of one forward pass, and the RDMs are exact.

    Parameters
    ----------
    networks : sequence of Network
        AlexNet, VGG or FE-AlexNet.
    stimuli : StimulusSet
        What they look at.
    measure : {"correlation", "euclidean", "cosine"}
        What makes the RDM.
    layers : str or sequence of str
        ``main``, ``all`` or names.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    batch : int
        Stimuli run at once.
    progress : bool
        Whether to show a bar, where there is a terminal or notebook.

    Returns
    -------
    DataArray, dims (rdm, stimulus_i, stimulus_j)
        As `compute_rdms` returns it from a store.

    Raises
    ------
    ValueError
        If a name is unknown, a pattern is constant or not finite (layer and stimulus are named), or a network is
        not a chain.
    """
    must_be_known(measure, DEFINITIONS, "measure")
    where = resolve_device(device)
    values, labels = [], []
    for network in networks:
        wanted = network.select(layers if isinstance(layers, str) else list(layers))
        steps = _chain_to(network, wanted)
        with tqdm(total=len(steps), desc=network.name, unit="layer", disable=None if progress else True) as bar:
            for layer, blocks in _breadth_first(network, steps, wanted, stimuli, where, batch, bar):
                try:
                    values.append(dissimilarities(sum_moments(blocks, measure), measure, stimuli.ids))
                except ValueError as error:
                    message = f"{network.name}/{layer.name}: {error}"
                    raise ValueError(message) from error
                labels.append({"network": network.name, "layer": layer.name, "depth": layer.depth,
                               "order": layer.order, "untrained": bool(network.untrained)})  # fmt: skip
    table = stimuli.table
    coords = {str(name): table[name].to_numpy() for name in table.columns if name != "file"}
    return label_rdms(np.stack(values), labels, coords, measure=measure)


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


def _chain_to(network: Network, wanted: Sequence[Layer]) -> list[tuple[str, nn.Module]]:
    steps = chain(network)
    paths = [path for path, _ in steps]
    last = max(paths.index(_step_of(layer)) for layer in wanted)
    return steps[: last + 1]


def _step_of(layer: Layer) -> str:
    return ".".join(layer.path.split(".")[:2])


def _breadth_first(
    network: Network,
    steps: Sequence[tuple[str, nn.Module]],
    wanted: Sequence[Layer],
    stimuli: StimulusSet,
    device: torch.device,
    batch: int,
    bar: Any,
) -> Iterator[tuple[Layer, Iterator[np.ndarray]]]:
    held = list(read_batches(stimuli, network.preprocessing, batch=batch))
    for path, module in steps:
        inside = [layer for layer in wanted if _step_of(layer) == path and layer.path != path]
        gates: list[list[Tensor]] = [[] for _ in inside]
        module.to(device)
        for index, values in enumerate(held):
            held[index], captured = _pass(
                module, values.to(device), [layer.path[len(path) + 1 :] for layer in inside]
            )
            for gate, output in zip(gates, captured, strict=True):
                gate.append(output)
        module.to("cpu")
        for layer, gate in zip(inside, gates, strict=True):
            yield layer, _feature_blocks(gate)
        for layer in wanted:
            if layer.path == path:
                yield layer, _feature_blocks(held)
        bar.update(1)


def _pass(module: nn.Module, values: Tensor, inside: Sequence[str]) -> tuple[Tensor, list[Tensor]]:
    captured: list[Tensor] = []
    handles = [
        module.get_submodule(path).register_forward_hook(lambda _m, _i, output: captured.append(output.clone()))
        for path in inside
    ]
    try:
        with torch.inference_mode():
            return module(values).cpu(), captured
    finally:
        for handle in handles:
            handle.remove()


def _feature_blocks(held: Sequence[Tensor]) -> Iterator[np.ndarray]:
    flat = [values.cpu().reshape(len(values), -1).numpy() for values in held]
    step = max(_BLOCK_VALUES // sum(len(values) for values in flat), 1)
    for start in range(0, flat[0].shape[1], step):
        yield np.concatenate([values[:, start : start + step] for values in flat])
