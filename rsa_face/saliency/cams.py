"""Class activation maps of one batch, by the library grad-cam, on a copy that no in-place layer can spoil."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import numpy as np
import torch
from pytorch_grad_cam import GradCAM, GradCAMPlusPlus, LayerCAM
from torch import Tensor, nn

CAMS = {"gradcam": GradCAM, "gradcam++": GradCAMPlusPlus, "layercam": LayerCAM}


def activation_maps(
    module: nn.Module, paths: Mapping[str, str], inputs: Tensor, *, score: tuple[int, int] | None, method: str
) -> dict[str, np.ndarray]:
    """Return the class activation maps of each input at some layers, as they come out of the method's formula.

    The library grad-cam is used because it holds all three methods; captum has Grad-CAM alone. Its own scaling is
    left out: it takes each map's minimum away and divides by its maximum, which changes the share that falls into a
    region and hides a map that is all zero. All layers are read in one pass.

    Parameters
    ----------
    module : nn.Module
        From `quiet_copy`.
    paths : mapping of str to str
        The layers' module paths, by their names.
    inputs : Tensor, shape (stimulus, 3, row, column)
        A preprocessed batch. Not changed.
    score : tuple of int, or None
        The outputs whose difference is explained, (against, for). None explains what each input is answered, for
        two outputs: the larger less the smaller.
    method : {"gradcam", "gradcam++", "layercam"}
        The formula.

    Returns
    -------
    dict of str to ndarray, shape (stimulus, row, column)
        For each layer its maps, 0 or more, at the layer's own resolution.

    Raises
    ------
    ValueError
        If a layer has no space, does not run once, or does not bear on the score.
    """
    layers = {name: module.get_submodule(path) for name, path in paths.items()}
    cams: dict[str, Any] = {}
    try:
        for name, layer in layers.items():
            # cloned within the hook: an in-place function behind the layer would overwrite what the library keeps
            cams[name] = CAMS[method](model=module, target_layers=[layer], reshape_transform=torch.clone)
        seen = inputs.detach().clone().requires_grad_()
        with torch.enable_grad():
            torch.autograd.backward(_difference(module(seen), score).sum())
        maps = {}
        for name, cam in cams.items():
            recorder = cam.activations_and_grads
            _must_be_maps(recorder, name)
            activations, gradients = recorder.activations[0].numpy(), recorder.gradients[0].numpy()
            found = cam.get_cam_image(seen, layers[name], None, activations, gradients, eigen_smooth=False)
            maps[name] = np.asarray(np.maximum(found, 0))
        return maps
    finally:
        for cam in cams.values():
            cam.activations_and_grads.release()


def quiet_copy(module: nn.Module) -> nn.Module:
    """Return a copy of a module that shares its parameters, has no hooks, no in-place layers and no gradients.

    AlexNet's and VGG's ReLUs overwrite the convolution before them, and the library sets gradients of parameters to
    zero: on a copy neither touches the caller's module. The weights are not copied, so it costs no memory.

    Parameters
    ----------
    module : nn.Module
        Any module. Not changed.

    Returns
    -------
    nn.Module
        In evaluation mode.
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
        message = f"A layer must run once in a pass to have a map, but {name!r} ran {runs} times. Choose another."
        raise ValueError(message)
    if activations[0].ndim != 4:
        shape = tuple(activations[0].shape[1:])
        message = (
            f"A layer must have rows and columns to have a map, but {name!r} gives {shape} for each face. Choose a "
            "convolution, its ReLU or a pooling layer."
        )
        raise ValueError(message)
    rows, columns = activations[0].shape[2:]
    if rows * columns == 1:
        message = (
            f"A layer must have more than one place to have a map, but {name!r} has 1 x 1 for inputs of this size. "
            "Choose an earlier layer, or larger inputs."
        )
        raise ValueError(message)
    if len(gradients) != 1:
        message = f"A layer must bear on the answer to have a map, but {name!r} has no gradient. Choose another."
        raise ValueError(message)
