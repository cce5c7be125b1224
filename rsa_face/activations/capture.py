"""Record what layers compute during one forward pass, before anything overwrites it, and audit that it is so."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from itertools import count, groupby
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from rsa_face.networks.layers import Layer
from rsa_face.networks.survey import evaluating, part_of, survey, tensors_in
from rsa_face.networks.zoo import Network
from rsa_face.provenance import rng_from
from rsa_face.schema import NETWORKS

Keep = Callable[[Tensor], Tensor]


def capture(
    network: Network, layers: Sequence[Layer], inputs: Tensor, *, keep: Keep | None = None
) -> dict[str, Tensor]:
    """Run a batch through a network and return what the given layers computed, by name.

    A hook that keeps a reference to a layer's output is overwritten by the in-place ReLU that follows it. The five
    networks therefore run with their ReLUs writing beside what they read, and torch's count of changes to a tensor
    shows that no output was touched after it was captured; if one was, the pass is run again with copies. Of any
    other network each hook copies before it returns. A pass ends at the last layer asked for where the order of
    layers is known. Hooks and ReLUs are as they were on every way out, an error in the forward pass included.
    """
    if len(inputs) == 1 and network.survey.pairs:
        # one stimulus alone has other shapes in this network (a bare squeeze()), two have those of any number
        captured = capture(network, layers, torch.cat([inputs, inputs]), keep=keep)
        return {name: values[:1] for name, values in captured.items()}
    with evaluating(network.module):
        if keep is None and network.architecture in NETWORKS:
            with _writing_beside(network.module):
                captured, untouched = _capture(network, layers, inputs, Tensor.detach)
            if untouched:
                return captured
        return _capture(network, layers, inputs, keep or _copy_of)[0]


def resolve_device(device: str) -> torch.device:
    """Return the torch device for ``auto``, ``cpu`` or ``cuda``."""
    if device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if device.split(":")[0] not in ("cpu", "cuda"):
        message = f"Unknown device: {device!r}. Choose auto, cpu or cuda."
        raise ValueError(message)
    if device.startswith("cuda") and not torch.cuda.is_available():
        message = f"No GPU for device {device!r}: torch sees none. Choose cpu or auto."
        raise ValueError(message)
    return torch.device(device)


def _capture(network: Network, layers: Sequence[Layer], inputs: Tensor, keep: Keep) -> tuple[dict[str, Tensor], bool]:
    """Return what is kept of the layers, and whether all of that is as it was when it was captured."""
    captured: dict[str, Tensor] = {}
    changes: dict[str, int] = {}
    ends = network.architecture in NETWORKS or bool(network.survey.layers)

    def take(layer: Layer, output: Any) -> None:
        captured[layer.name] = keep(_rows(layer, output, len(inputs)))
        changes[layer.name] = captured[layer.name]._version
        if ends and len(captured) == len(layers):
            raise _EndOfPass

    # not in inference mode, the caller's neither: there changes to tensors are not counted
    with _hooked(network, layers, take), torch.inference_mode(False), torch.no_grad(), suppress(_EndOfPass):
        network.module(inputs)
    silent = [layer.name for layer in layers if layer.name not in captured]
    if silent:
        message = f"{silent} of {network.name} cannot be recorded: they do not run. Leave them out."
        raise ValueError(message)
    return captured, all(captured[name]._version == number for name, number in changes.items())


@contextmanager
def _hooked(network: Network, layers: Sequence[Layer], take: Callable[[Layer, Any], None]) -> Iterator[None]:
    """Let `take` have what each layer's module returns, in the call of a pass that the layer is."""
    modules = dict(network.module.named_modules())
    strangers = [f"{layer.name!r} (module {layer.path!r})" for layer in layers if layer.path not in modules]
    if strangers or not layers:
        what = ", ".join(strangers) or "an empty list of layers"
        message = f"{network.name} has no modules for {what}. Choose among network.layers."
        raise ValueError(message)

    def hook(those: Sequence[Layer]) -> Callable[[nn.Module, Any, Any], None]:
        calls = count()

        def record(_module: nn.Module, _inputs: Any, output: Any) -> None:
            call = next(calls)
            for layer in those:
                if layer.call is None and call:
                    message = (
                        f"Layer {layer.name!r} cannot be recorded: it runs more than once in a pass. Build the "
                        f"network by Network.from_module, and record one call: {layer.name}@0, {layer.name}@1, ..."
                    )
                    raise ValueError(message)
                if layer.call in (None, call):
                    take(layer, output)

        return record

    handles = []
    try:
        for path, those in groupby(sorted(layers, key=lambda layer: layer.path), key=lambda layer: layer.path):
            handles.append(modules[path].register_forward_hook(hook(list(those))))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _rows(layer: Layer, output: Any, stimuli: int) -> Tensor:
    """Return a layer's part of what its module returned, one row a stimulus."""
    values = part_of(output, layer.item)
    if not isinstance(values, Tensor):
        parts = [f"{layer.path}{''.join(f'[{key}]' for key in item)}" for item, _ in tensors_in(output)]
        then = (
            f"Build the network by Network.from_module, and record {' or '.join(parts)}" if parts else "Leave it out"
        )
        message = (
            f"Layer {layer.name!r} cannot be recorded: it returns {type(output).__name__}, not a tensor. {then}."
        )
        raise ValueError(message)
    if tuple(values.shape) == (stimuli, *layer.shape) or (not layer.shape and values.shape[:1] == (stimuli,)):
        return values
    if layer.shape and values.shape == (stimuli,) and layer.shape == (1,):
        return values[:, None]
    due = f"({stimuli}, {', '.join(map(str, layer.shape)) or '...'})"
    message = (
        f"Layer {layer.name!r} cannot be recorded: it has the shape {tuple(values.shape)} for {stimuli} stimuli, not "
        f"{due}. Leave it out, or give images of the size that the network was built for."
    )
    raise ValueError(message)


def _copy_of(output: Tensor) -> Tensor:
    return output.detach().clone()


@contextmanager
def _writing_beside(module: nn.Module) -> Iterator[None]:
    """Let activations that write over what they read write beside it for a while: the values are the same."""
    over: list[Any] = [child for child in module.modules() if getattr(child, "inplace", False) is True]
    for child in over:
        child.inplace = False
    try:
        yield
    finally:
        for child in over:
            child.inplace = True


class _EndOfPass(BaseException):
    """Leaves a forward pass at a layer: the last asked for, or the one whose truth is wanted."""


def audit(network: Network, *, inputs: Tensor | None = None, seed: int = 0) -> pd.DataFrame:
    """Compare every captured layer with an independent reference.

    Of the five networks, whose modules form a chain, that is a forward pass that ends at the layer: it cannot have
    been overwritten by what comes behind it. Of any other it is a pass in which every module's output is copied the
    moment it is there, in the network as it is. Our capture is held to that, and so is a hook that merely keeps a
    reference: many tools keep references, and return wrong values for every convolution before an in-place ReLU.
    Modules that cannot be recorded are listed with the reason.
    """
    side = network.preprocessing.crop
    if inputs is None:
        noise = rng_from(seed, "audit").normal(size=(2, 3, side, side))
        inputs = torch.from_numpy(noise).to(torch.float32)
    is_chain = network.architecture in NETWORKS
    if not is_chain and not network.survey.layers:
        noted = survey(network.module, int(inputs.shape[-1]))
        network = replace(network, layers=noted.layers, survey=noted)
    captured = capture(network, network.layers, inputs) if network.layers else {}
    uncopied = _outputs(network, inputs, lambda output: output)
    copied = {} if is_chain else _outputs(network, inputs, _copy_of)
    rows = []
    for layer in network.layers:
        truth = _truth(network, layer, inputs) if is_chain else copied[layer.name]
        row: dict[str, Any] = {"layer": layer.name, "module": layer.path, "kind": layer.kind}
        same_shape = truth.shape == uncopied[layer.name].shape
        off = float((uncopied[layer.name].double() - truth.double()).abs().max()) if same_shape else None
        right = torch.equal(captured[layer.name], truth)
        rows.append(row | {"captured": _word(right=right), "uncopied": _word(right=off == 0), "uncopied_error": off})
    for path, reason in network.survey.unrecorded.items():
        rows.append({"layer": path, "module": path, "kind": "", "captured": reason, "uncopied": reason})
    return pd.DataFrame(rows, columns=["layer", "module", "kind", "captured", "uncopied", "uncopied_error"])


def _truth(network: Network, layer: Layer, inputs: Tensor) -> Tensor:
    outputs: dict[str, Tensor] = {}

    def take(layer: Layer, output: Tensor) -> None:
        outputs[layer.name] = output.detach().clone()
        raise _EndOfPass

    with suppress(_EndOfPass), _hooked(network, [layer], take):
        _run(network, inputs)
    return outputs[layer.name]


def _outputs(network: Network, inputs: Tensor, keep: Keep) -> dict[str, Tensor]:
    """Return what every layer's hook keeps in one pass through the network as it is."""
    outputs: dict[str, Tensor] = {}

    def take(layer: Layer, output: Any) -> None:
        outputs[layer.name] = keep(_rows(layer, output, len(inputs)))

    if network.layers:
        with _hooked(network, network.layers, take):
            _run(network, inputs)
    return outputs


def _run(network: Network, inputs: Tensor) -> None:
    with evaluating(network.module), torch.inference_mode():
        network.module(inputs.clone())


def _word(*, right: bool) -> str:
    return "right" if right else "wrong"
