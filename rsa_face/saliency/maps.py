"""Saliency maps of the valence decision: which parts of a face speak for happy, or for sad."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
import xarray as xr
from torch import Tensor
from torch.nn.functional import interpolate

from rsa_face.networks.answers import answer_places
from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network
from rsa_face.saliency.cams import CAMS, activation_maps, quiet_copy
from rsa_face.schema import STIMULUS, must_be_known
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches

ANSWERS = ("happy", "sad", "given")
LAST = "last"
ROW, COLUMN = "row", "column"
FACTORS = ("identity", "level", "occlusion")


def saliency(
    network: Network,
    stimuli: StimulusSet,
    *,
    layer: str = "relu5",
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
    layer : str
        A layer's name, or ``last``: the last ReLU or attention block that has rows and columns.
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
    layers: Sequence[str],
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
    layers : sequence of str
        Layers' names, or ``last``.
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
    asked = [last_map_layer(network) if layer == LAST else network.select([layer])[0] for layer in layers]
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


def layers_with_space(network: Network) -> list[str]:
    """Return the main layers that can have maps: those before the maps are flattened.

    Parameters
    ----------
    network : Network
        One of the five, or any network with convolutions.

    Returns
    -------
    list of str
        In the order they run: every ReLU after a convolution, and the feature-excitation blocks among them.
    """
    last = last_map_layer(network)
    return [layer.name for layer in network.select("main") if layer.order <= last.order]


def last_map_layer(network: Network) -> Layer:
    """Return the last ReLU or attention block before the maps are flattened.

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
        If the network has no convolution.
    """
    full = [layer.order for layer in network.layers if layer.kind in ("fc", "Linear")]
    before = [layer for layer in network.layers if not full or layer.order < min(full)]
    found = [layer for layer in before if layer.kind in ("relu", "fe", "conv", "ReLU", "Conv2d")]
    if not found:
        message = f"A network must have convolutions to have maps, but {network.name} has none. Choose another."
        raise ValueError(message)
    return found[-1]


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
