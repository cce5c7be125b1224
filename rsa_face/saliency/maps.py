"""Saliency maps of the valence decision: which parts of a face speak for happy, or for sad."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn.functional import interpolate

from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network, answer_places
from rsa_face.saliency.cams import CAMS, activation_maps, quiet_copy
from rsa_face.schema import STIMULUS, must_be_known
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches

ANSWERS = ("happy", "sad", "given")
LAST = "last"
ROW, COLUMN = "row", "column"
FACTORS = ("identity", "level", "occlusion")
_MAPPED = ("relu", "fe", "conv", "ReLU", "Conv2d")


def saliency(
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
        of the stimulus table ride along. ``attrs["all_zero"]`` names the faces whose map is 0 everywhere.

    Raises
    ------
    ValueError
        If the layer is unknown or has no space, the method or answer is unknown, or the network has no outputs for
        sad and happy.

    References
    ----------
    Selvaraju et al. 2017, 10.1109/ICCV.2017.74; Chattopadhay et al. 2018, 10.1109/WACV.2018.00097; Jiang et al.
    2021, 10.1109/TIP.2021.3089943. Computed by the package grad-cam (Gildenblat and contributors, MIT).
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
    """Make the maps of several layers in one pass over the faces.

    Parameters
    ----------
    network : Network
        See `saliency`. Not changed.
    stimuli : StimulusSet
        The faces.
    layers : sequence of str, or of sequences of str
        Which, see `layer_to_map`.
    method, answer : str
        See `saliency`.
    batch : int
        Faces at a time.

    Returns
    -------
    list of DataArray, dims (stimulus, row, column)
        For each layer asked for, as `saliency` makes it.

    Raises
    ------
    ValueError
        As `saliency`.
    """
    must_be_known(method, CAMS, "saliency method")
    must_be_known(answer, ANSWERS, "answer")
    asked = [layer_to_map(network, layer) for layer in layers]
    paths = {layer.name: layer.path for layer in asked}
    score = _score(network, answer)
    module = quiet_copy(network.module)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in paths}
    for inputs in _inputs(network, stimuli, batch):
        for name, found in activation_maps(module, paths, inputs, score=score, method=method).items():
            parts[name].append(_to_input(found, inputs))
    attrs = {
        "network": network.name,
        "method": method,
        "answer": answer,
        "preprocessing": _recorded(network),
        "untrained": [network.name] if network.rests_on_random(network.layers[-1]) else [],
    }
    return [_labelled(np.concatenate(parts[layer.name]), stimuli, {**attrs, "layer": layer.name}) for layer in asked]


def layers_with_space(network: Network) -> tuple[Layer, ...]:
    """Return the layers whose maps have more than one place, for inputs of the network's own size.

    A layer that small inputs have shrunk to one place looks nowhere: its map would be even, whatever it rests on.

    Parameters
    ----------
    network : Network
        One of the five, or any network with convolutions. Not changed.

    Returns
    -------
    tuple of Layer
        In the order they run: every ReLU, attention block and convolution with rows and columns.
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
    """Return the last ReLU or attention block whose maps have more than one place.

    Parameters
    ----------
    network : Network
        One of the five, or any network with convolutions.

    Returns
    -------
    Layer
        ``relu5`` of AlexNet, ``relu5_3`` of VGG16, ``fe`` of FE-AlexNet after its last convolution.

    Raises
    ------
    ValueError
        If the network has no convolution, or none with space.
    """
    found = layers_with_space(network)
    if not found:
        side = network.preprocessing.crop
        message = (
            f"A network must have convolutions with rows and columns to have maps, but {network.name} has none for "
            f"inputs of {side} pixels. Choose another, or larger inputs."
        )
        raise ValueError(message)
    return found[-1]


def layer_to_map(network: Network, asked: str | Sequence[str]) -> Layer:
    """Return the layer that is meant: by name, ``last``, or the first of several names that the network has.

    Parameters
    ----------
    network : Network
        Any.
    asked : str or sequence of str
        Networks call their layers differently: ``["relu2", "relu4_2"]`` is AlexNet's first and VGG11's second.

    Returns
    -------
    Layer
        One of the network's.

    Raises
    ------
    ValueError
        If the network has none of them.
    """
    if asked == LAST:
        return last_map_layer(network)
    names = [asked] if isinstance(asked, str) else list(asked)
    known = {layer.name for layer in network.layers}
    return network.select([next((name for name in names if name in known), names[0])])[0]


def _score(network: Network, answer: str) -> tuple[int, int] | None:
    sad, happy = answer_places(network)
    if answer != "given":
        return (sad, happy) if answer == "happy" else (happy, sad)
    if {sad, happy} != {0, 1}:
        message = (
            f"The answer given is one of two outputs, but {network.name} has {len(network.outputs)}. Ask for happy "
            "or sad."
        )
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
