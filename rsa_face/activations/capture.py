"""Record what layers compute during one forward pass, as copies."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from rsa_face.networks.architectures import ARCHITECTURES
from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network


def capture(
    network: Network,
    layers: Sequence[Layer],
    inputs: Tensor,
    *,
    keep: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, Tensor]:
    """Run a batch through a network and return what the given layers computed.

    A hook that keeps a reference to a layer's output is overwritten by the in-place ReLU that follows it, so each
    hook copies before it returns. On the five networks, whose layers run in a chain, the pass ends at the last
    layer asked for; any other network runs to its end, since the order of its modules need not be the order they
    run in. The hooks are removed on every way out, an error in the forward pass included.

    Parameters
    ----------
    network : Network
        In evaluation mode, on the inputs' device.
    layers : sequence of Layer
        Some of the network's layers.
    inputs : Tensor, shape (stimulus, 3, row, column)
        A preprocessed batch. Not changed.
    keep : callable, optional
        Makes what is kept of a layer's output: a copy unless given; or something new computed from it.

    Returns
    -------
    dict of str to Tensor
        By layer name: (stimulus, channel, row, column) or (stimulus, feature), on the inputs' device.

    Raises
    ------
    ValueError
        If a layer is not a module of the network, does not run, runs twice in one pass, or returns something
        other than a tensor.
    """
    captured: dict[str, Tensor] = {}
    modules = _modules_of(network, layers)
    last = max(layers, key=lambda layer: layer.order).name if network.architecture in ARCHITECTURES else ""
    handles = []
    try:
        for layer in layers:
            hook = _copying_hook(layer.name, captured, keep or copy_of, ends=layer.name == last)
            handles.append(modules[layer.path].register_forward_hook(hook))
        with torch.inference_mode():
            network.module(inputs)
    except _EndOfPass:
        pass
    finally:
        for handle in handles:
            handle.remove()
    silent = [layer.name for layer in layers if layer.name not in captured]
    if silent:
        message = f"Layers must run to be recorded, but {silent} of {network.name} did not run. Leave them out."
        raise ValueError(message)
    return captured


def copy_of(output: Tensor) -> Tensor:
    """Return a copy of a layer's output, which the layer behind it may overwrite.

    Parameters
    ----------
    output : Tensor
        What a layer computed. Not changed.

    Returns
    -------
    Tensor
        The copy.
    """
    return output.detach().clone()


def resolve_device(device: str) -> torch.device:
    """Return the torch device for ``auto``, ``cpu`` or ``cuda``.

    Parameters
    ----------
    device : str
        ``auto`` takes the GPU where there is one.

    Returns
    -------
    torch.device
        Where to compute.

    Raises
    ------
    ValueError
        If the name is another, or ``cuda`` is asked for and there is none.
    """
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.split(":")[0] not in ("cpu", "cuda"):
        message = f"The device must be auto, cpu or cuda, but is {device!r}. Choose one of these."
        raise ValueError(message)
    if device.startswith("cuda") and not torch.cuda.is_available():
        message = f"The device {device!r} must be a GPU that torch can use, but torch sees none. Choose cpu or auto."
        raise ValueError(message)
    return torch.device(device)


def _modules_of(network: Network, layers: Sequence[Layer]) -> dict[str, nn.Module]:
    modules = dict(network.module.named_modules())
    strangers = [f"{layer.name!r} (module {layer.path!r})" for layer in layers if layer.path not in modules]
    if strangers or not layers:
        message = (
            f"Layers must be modules of {network.name} to be recorded, but {', '.join(strangers) or 'none'} is not. "
            "Choose among network.layers."
        )
        raise ValueError(message)
    return modules


class _EndOfPass(BaseException):
    """Leaves a forward pass after the last layer asked for."""


def _copying_hook(
    name: str, captured: dict[str, Tensor], keep: Callable[[Tensor], Tensor], *, ends: bool
) -> Callable[[nn.Module, Any, Any], None]:
    def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor):
            message = f"A layer must return one tensor to be recorded, but {name!r} returns {type(output).__name__}."
            raise ValueError(message)
        if name in captured:
            message = f"A layer must run once in a pass to be recorded, but {name!r} runs again. Record its parts."
            raise ValueError(message)
        captured[name] = keep(output)
        if ends:
            raise _EndOfPass

    return hook
