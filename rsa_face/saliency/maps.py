"""Which parts of a face speak for happy, or for sad: maps of the decision, and the openings of attention gates."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, LayerCAM
from torch import Tensor, nn
from torch.nn.functional import interpolate

from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network, answer_places
from rsa_face.schema import LAYER, STIMULUS, must_be_known
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches

CAMS = {"gradcam": GradCAM, "gradcam++": GradCAMPlusPlus, "layercam": LayerCAM}
ANSWERS = ("happy", "sad", "given")
LAST = "last"
ROW, COLUMN, CHANNEL = "row", "column", "channel"
FACTORS = ("identity", "level", "occlusion")
_MAPPED = ("relu", "fe", "conv", "ReLU", "Conv2d")


def map_saliency(
    network: Network,
    stimuli: StimulusSet,
    *,
    layer: str | Sequence[str] = "relu5",
    method: str = "gradcam",
    answer: str = "happy",
    batch: int = 16,
) -> xr.DataArray:
    """Make a class activation map of each face, at any layer that has rows and columns.

    What is explained is the valence decision: the output for one answer less the output for the other. The maps
    are not scaled, so that they can be compared between faces, and shares of them are shares of the evidence.

    Parameters
    ----------
    network : Network
        With outputs for sad and happy, or two outputs. Not changed: the maps come from a copy that shares its
        weights.
    stimuli : StimulusSet
        The faces.
    layer : str or sequence of str
        A layer's name; ``last``, the last ReLU or attention block that has rows and columns; or several names, the
        first of which that the network has is taken.
    method : {"gradcam", "gradcam++", "layercam"}
        Grad-CAM weighs each channel by its mean gradient, Grad-CAM++ by its positive gradients, LayerCAM each place
        by its own.
    answer : {"happy", "sad", "given"}
        The answer whose evidence is shown; ``given`` is the one the network gives to that face.
    batch : int
        Faces at a time.

    Returns
    -------
    DataArray, dims (stimulus, row, column)
        0 or more, float32, in the pixels of the network's input, brought there by bilinear interpolation. Factors
        of the stimulus table are coordinates. ``attrs["all_zero"]`` names the faces whose map is 0 everywhere.

    Raises
    ------
    ValueError
        If the layer is unknown or has no space, the method or answer is unknown, or the network has no outputs for
        sad and happy.

    References
    ----------
    Selvaraju et al. 2017, 10.1109/ICCV.2017.74; Chattopadhay et al. 2018, 10.1109/WACV.2018.00097; Jiang et al.
    2021, 10.1109/TIP.2021.3089943. Computed by the package grad-cam (Gildenblat and contributors, MIT).

    Examples
    --------
    >>> import rsa_face as rf
    >>> demo = rf.example("demo")
    >>> happiest = demo.stimuli.select(identity="face01", level=1.0)
    >>> maps = map_saliency(demo.network("alexnet"), happiest, layer="relu3")
    >>> dict(maps.sizes)
    {'stimulus': 1, 'row': 64, 'column': 64}
    """
    return saliency_at(network, stimuli, layers=[layer], method=method, answer=answer, batch=batch)[0]


def saliency_at(
    network: Network,
    stimuli: StimulusSet,
    *,
    layers: Sequence[str | Sequence[str]],
    method: str = "gradcam",
    answer: str = "happy",
    batch: int = 16,
) -> list[xr.DataArray]:
    """Make the maps of several layers in one pass over the faces."""
    must_be_known(method, CAMS, "saliency method")
    must_be_known(answer, ANSWERS, "answer")
    mapped = [layer_to_map(network, layer) for layer in layers]
    paths = {layer.name: layer.path for layer in mapped}
    score = _score(network, answer)
    module = quiet_copy(network.module)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in paths}
    for inputs in _inputs(network, stimuli, batch):
        for name, maps in activation_maps(module, paths, inputs, score=score, method=method).items():
            parts[name].append(_to_input(maps, inputs))
    attrs = {
        "network": network.name,
        "method": method,
        "answer": answer,
        "preprocessing": _recorded(network),
        **network.origin(network.layers[-1:]),
    }
    return [_labelled(np.concatenate(parts[layer.name]), stimuli, {**attrs, "layer": layer.name}) for layer in mapped]


def layers_with_space(network: Network) -> tuple[Layer, ...]:
    """Return the layers whose maps have more than one place, for inputs of the network's own size.

    A layer that small inputs have shrunk to one place looks nowhere: its map would be even, whatever it rests on.
    """
    side = network.preprocessing.crop
    module = quiet_copy(network.module)
    sizes: dict[str, int] = {}
    kinds = [layer for layer in network.layers if layer.kind in _MAPPED]
    for layer in kinds:

        def note(_module: object, _inputs: object, output: Tensor, name: str = layer.name) -> None:
            sizes[name] = output.shape[-1] * output.shape[-2] if output.ndim == 4 else 1

        module.get_submodule(layer.path).register_forward_hook(note)
    with torch.no_grad():
        module(torch.zeros(1, 3, side, side, device=next(module.parameters()).device))
    return tuple(layer for layer in kinds if sizes.get(layer.name, 1) > 1)


def last_map_layer(network: Network) -> Layer:
    """Return the last ReLU or attention block whose maps have more than one place."""
    layers = layers_with_space(network)
    if not layers:
        side = network.preprocessing.crop
        message = (
            f"No maps of {network.name}: for inputs of {side} pixels it has no convolution with rows and columns. "
            "Choose another network, or larger inputs."
        )
        raise ValueError(message)
    return layers[-1]


def layer_to_map(network: Network, layer: str | Sequence[str]) -> Layer:
    """Return the layer by its name, ``last``, or the first of several names that the network has.

    Networks call their layers differently: ``["relu2", "relu4_2"]`` is AlexNet's first and VGG11's second.
    """
    if layer == LAST:
        return last_map_layer(network)
    names = [layer] if isinstance(layer, str) else list(layer)
    known = {layer.name for layer in network.layers}
    return network.select([next((name for name in names if name in known), names[0])])[0]


def _score(network: Network, answer: str) -> tuple[int, int] | None:
    sad, happy = answer_places(network)
    if answer != "given":
        return (sad, happy) if answer == "happy" else (happy, sad)
    if {sad, happy} != {0, 1}:
        outputs = len(network.outputs)
        message = f"answer='given' takes one of two outputs, and {network.name} has {outputs}. Choose happy or sad."
        raise ValueError(message)
    return None


def _labelled(maps: np.ndarray, stimuli: StimulusSet, attrs: dict[str, Any]) -> xr.DataArray:
    coords: dict[str, object] = {STIMULUS: stimuli.ids}
    for name in (name for name in FACTORS if name in stimuli.factors):
        coords[name] = (STIMULUS, stimuli.table[name].to_numpy())
    attrs["all_zero"] = [stimulus for stimulus, one in zip(stimuli.ids, maps, strict=True) if not one.any()]
    return xr.DataArray(maps, coords, (STIMULUS, ROW, COLUMN), name="saliency", attrs=attrs)


def _recorded(network: Network) -> dict[str, object]:
    record = network.preprocessing.record()
    return {name: list(value) if isinstance(value, tuple) else value for name, value in record.items()}


def _inputs(network: Network, stimuli: StimulusSet, batch: int) -> Iterator[Tensor]:
    device = next(network.module.parameters()).device
    yield from (inputs.to(device) for inputs in read_batches(stimuli, network.preprocessing, batch=batch))


def _to_input(maps: np.ndarray, inputs: Tensor) -> np.ndarray:
    small = torch.from_numpy(np.ascontiguousarray(maps, dtype=np.float32))[:, None]
    large = interpolate(small, size=tuple(inputs.shape[-2:]), mode="bilinear", align_corners=False)
    return np.asarray(large[:, 0].numpy())


def activation_maps(
    module: nn.Module, paths: Mapping[str, str], inputs: Tensor, *, score: tuple[int, int] | None, method: str
) -> dict[str, np.ndarray]:
    """Return the class activation maps of each input at some layers, as they come out of the method's formula.

    The library grad-cam is used because it holds all three methods; captum has Grad-CAM alone. Its own scaling is
    left out: it takes each map's minimum away and divides by its maximum, which changes the share that falls into a
    region and hides a map that is all zero. All layers are read in one pass.
    """
    layers = {name: module.get_submodule(path) for name, path in paths.items()}
    cams: dict[str, Any] = {}
    try:
        for name, layer in layers.items():
            # cloned within the hook: an in-place function behind the layer would overwrite what the library keeps
            cams[name] = CAMS[method](model=module, target_layers=[layer], reshape_transform=torch.clone)
        variable = inputs.detach().clone().requires_grad_()
        with torch.enable_grad():
            torch.autograd.backward(_difference(module(variable), score).sum())
        maps = {}
        for name, cam in cams.items():
            recorder = cam.activations_and_grads
            _must_be_maps(recorder, name)
            activations, gradients = recorder.activations[0].numpy(), recorder.gradients[0].numpy()
            image = cam.get_cam_image(variable, layers[name], None, activations, gradients, eigen_smooth=False)
            maps[name] = np.asarray(np.maximum(image, 0))
        return maps
    finally:
        for cam in cams.values():
            cam.activations_and_grads.release()


def quiet_copy(module: nn.Module) -> nn.Module:
    """Return a copy of a module that shares its parameters, has no hooks, no in-place layers and no gradients.

    AlexNet's and VGG's ReLUs overwrite the convolution before them, and the library sets gradients of parameters to
    zero: on a copy neither touches the caller's module. The weights are not copied, so it costs no memory.
    """
    shared: dict[int, object] = {
        id(value): nn.Parameter(value.detach(), requires_grad=False) for value in module.parameters()
    }
    shared |= {id(value): value.detach().clone() for value in module.buffers()}  # a forward pass may write to these
    twin = deepcopy(module, shared)
    for child in twin.modules():
        for hooks in (child._forward_hooks, child._forward_pre_hooks, child._backward_hooks):
            hooks.clear()
        if hasattr(child, "inplace"):
            setattr(child, "inplace", False)  # noqa: B010  # no module type names this attribute
    return twin.eval()


def _difference(outputs: Tensor, score: tuple[int, int] | None) -> Tensor:
    if score is None:
        return (outputs[:, 0] - outputs[:, 1]).abs()
    against, for_ = score
    return outputs[:, for_] - outputs[:, against]


def _must_be_maps(recorder: Any, name: str) -> None:
    activations, gradients = recorder.activations, recorder.gradients
    runs = len(activations)
    if runs != 1:
        message = f"No map of {name!r}: it ran {runs} times in a pass, not once. Choose another layer."
        raise ValueError(message)
    if activations[0].ndim != 4:
        shape = tuple(activations[0].shape[1:])
        message = (
            f"No map of {name!r}: it gives {shape} for each face, without rows and columns. Choose a convolution, "
            "its ReLU or a pooling layer."
        )
        raise ValueError(message)
    rows, columns = activations[0].shape[2:]
    if rows * columns == 1:
        message = (
            f"No map of {name!r}: it has one place, 1 x 1, for inputs of this size. Choose an earlier layer, or "
            "larger inputs."
        )
        raise ValueError(message)
    if len(gradients) != 1:
        message = f"No map of {name!r}: it has no gradient, since the answer does not depend on it. Choose another."
        raise ValueError(message)


@torch.no_grad()
def gate_openings(network: Network, stimuli: StimulusSet, *, batch: int = 16) -> xr.Dataset:
    """Record how far each channel's gate opens for each face, 0-1; with levels, also how it follows them.

    Where blocks differ in their channels, NaN fills up; a gate that does not move has no correlation.
    """
    gates = [layer for layer in network.layers if layer.kind == "gate"]
    if not gates:
        message = f"No feature-excitation gate in {network.name}. Choose fe_alexnet."
        raise ValueError(message)
    module = quiet_copy(network.module)
    outputs: dict[str, list[Tensor]] = {layer.name: [] for layer in gates}
    for layer in gates:
        batches = outputs[layer.name]
        module.get_submodule(layer.path).register_forward_hook(
            lambda _module, _inputs, output, batches=batches: batches.append(output.detach().clone())
        )
    device = next(module.parameters()).device
    for inputs in read_batches(stimuli, network.preprocessing, batch=batch):
        module(inputs.to(device))
    opened = [torch.cat(parts).cpu().numpy() for parts in outputs.values()]
    widest = max(one.shape[1] for one in opened)
    gate = np.stack([np.pad(one, ((0, 0), (0, widest - one.shape[1])), constant_values=np.nan) for one in opened])
    openings = xr.Dataset(
        {
            "gate": ((LAYER, STIMULUS, CHANNEL), gate),
            "gate_mean": ((LAYER, CHANNEL), gate.mean(axis=1)),
            "gate_sd": ((LAYER, CHANNEL), gate.std(axis=1)),
        },
        {LAYER: list(outputs), STIMULUS: stimuli.ids, CHANNEL: np.arange(widest)},
    )
    for name in (name for name in FACTORS if name in stimuli.factors):
        openings = openings.assign_coords({name: (STIMULUS, stimuli.table[name].to_numpy())})
    if "level" in stimuli.factors:
        level = xr.DataArray(stimuli.table["level"].to_numpy(dtype=float), dims=STIMULUS)
        # in single precision a gate that stands still differs from its mean by rounding alone
        moves = abs(openings["gate"] - openings["gate_mean"]).max(STIMULUS) >= 1e-7
        openings["level_slope"] = xr.cov(openings["gate"], level, STIMULUS) / level.var(ddof=1)
        openings["level_correlation"] = xr.corr(openings["gate"], level, STIMULUS).where(moves)
    openings.attrs = {"network": network.name, **network.origin(gates)}
    return openings


def average_gate(openings: xr.Dataset) -> pd.DataFrame:
    """Return how far each channel's gate opens on the average, by level and occlusion, as a table."""
    frame = openings["gate"].to_dataframe().reset_index().dropna(subset=["gate"])
    keys = [LAYER, CHANNEL, *(name for name in ("occlusion", "level") if name in frame)]
    table = frame.groupby(keys, sort=False)["gate"].agg(gate="mean", faces="size").reset_index()
    for name in (name for name in ("level_slope", "level_correlation") if name in openings):
        table = table.join(openings[name].to_series().rename(name), on=[LAYER, CHANNEL])
    return table
