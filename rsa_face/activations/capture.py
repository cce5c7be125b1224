"""Record what layers compute during one forward pass, before anything overwrites it, and audit that it is so."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network, evaluating
from rsa_face.provenance import rng_from
from rsa_face.schema import NETWORKS


def capture(
    network: Network,
    layers: Sequence[Layer],
    inputs: Tensor,
    *,
    keep: Callable[[Tensor], Tensor] | None = None,
) -> dict[str, Tensor]:
    """Run a batch through a network and return what the given layers computed.

    A hook that keeps a reference to a layer's output is overwritten by the in-place ReLU that follows it. The five
    networks therefore run with their ReLUs writing beside what they read, and torch's count of changes to a tensor
    shows that no output was touched after it was captured; if one was, the pass is run again with copies. Of any
    other network each hook copies before it returns. The five, whose layers run in a chain, end at the last layer
    asked for; any other runs to its end, since the order of its modules need not be the order they run in. Hooks
    and ReLUs are as they were on every way out, an error in the forward pass included.
    """
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


def _capture(
    network: Network, layers: Sequence[Layer], inputs: Tensor, keep: Callable[[Tensor], Tensor]
) -> tuple[dict[str, Tensor], bool]:
    """Return what is kept of the layers, and whether all of that is as it was when it was captured."""
    captured: dict[str, Tensor] = {}
    changes: dict[str, int] = {}
    modules = _modules_of(network, layers)
    last = max(layers, key=lambda layer: layer.order).name if network.architecture in NETWORKS else ""

    def hook(name: str, output: Any) -> None:
        if not isinstance(output, Tensor):
            message = (
                f"Layer {name!r} cannot be recorded: it returns {type(output).__name__}, not a tensor. Leave it out."
            )
            raise ValueError(message)
        if name in captured:
            message = (
                f"Layer {name!r} cannot be recorded: it runs more than once in a pass. Record the modules in it."
            )
            raise ValueError(message)
        captured[name] = keep(output)
        changes[name] = captured[name]._version
        if name == last:
            raise _EndOfPass

    handles = []
    try:
        for layer in layers:
            module = modules[layer.path]
            handles.append(module.register_forward_hook(_calling(hook, layer.name)))
        # not in inference mode, the caller's neither: there changes to tensors are not counted
        with torch.inference_mode(False), torch.no_grad():
            network.module(inputs)
    except _EndOfPass:
        pass
    finally:
        for handle in handles:
            handle.remove()
    silent = [layer.name for layer in layers if layer.name not in captured]
    if silent:
        message = f"{silent} of {network.name} cannot be recorded: they do not run. Leave them out."
        raise ValueError(message)
    return captured, all(captured[name]._version == number for name, number in changes.items())


def _calling(hook: Callable[[str, Any], None], name: str) -> Callable[[nn.Module, Any, Any], None]:
    return lambda _module, _inputs, output: hook(name, output)


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


def _modules_of(network: Network, layers: Sequence[Layer]) -> dict[str, nn.Module]:
    modules = dict(network.module.named_modules())
    strangers = [f"{layer.name!r} (module {layer.path!r})" for layer in layers if layer.path not in modules]
    if strangers or not layers:
        what = ", ".join(strangers) or "an empty list of layers"
        message = f"{network.name} has no modules for {what}. Choose among network.layers."
        raise ValueError(message)
    return modules


class _EndOfPass(BaseException):
    """Leaves a forward pass at a layer: the last asked for, or the one whose truth is wanted."""


def audit(network: Network, *, inputs: Tensor | None = None, seed: int = 0) -> pd.DataFrame:
    """Compare every captured layer with an independent forward pass that ends at that layer.

    A pass that ends at a layer cannot have been overwritten by what comes behind it, so it is the truth that both
    our capture and a hook that merely keeps a reference are held to. Many tools keep references, and return wrong
    values for every convolution before an in-place ReLU.
    """
    side = network.preprocessing.crop
    if inputs is None:
        noise = rng_from(seed, "audit").normal(size=(2, 3, side, side))
        inputs = torch.from_numpy(noise).to(torch.float32)
    seen = _survey(network, inputs)
    sound = [layer for layer in network.layers if seen[layer.name] == "runs once"]
    captured = capture(network, sound, inputs) if sound else {}
    uncopied = _references(network, sound, inputs)
    rows = []
    for layer in network.layers:
        row: dict[str, Any] = {"layer": layer.name, "module": layer.path, "kind": layer.kind}
        if layer not in sound:
            rows.append({**row, "captured": seen[layer.name], "uncopied": seen[layer.name], "uncopied_error": None})
            continue
        truth = _truth(network, layer, inputs)
        off = float((uncopied[layer.name] - truth).abs().max()) if truth.shape == uncopied[layer.name].shape else None
        right = torch.equal(captured[layer.name], truth)
        row |= {"captured": _word(right=right), "uncopied": _word(right=off == 0), "uncopied_error": off}
        rows.append(row)
    return pd.DataFrame(rows)


def _truth(network: Network, layer: Layer, inputs: Tensor) -> Tensor:
    found: list[Tensor] = []

    def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
        found.append(output)
        raise _EndOfPass

    with suppress(_EndOfPass):
        _run(network, [(layer.path, hook)], inputs)
    return found[0].detach().clone()


def _references(network: Network, layers: Sequence[Layer], inputs: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}

    def keeping(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            found[name] = output

        return hook

    _run(network, [(layer.path, keeping(layer.name)) for layer in layers], inputs)
    return found


def _survey(network: Network, inputs: Tensor) -> dict[str, str]:
    outputs: dict[str, list[str]] = {layer.name: [] for layer in network.layers}

    def noting(name: str) -> Callable[..., None]:
        def hook(_module: nn.Module, _inputs: Any, output: Any) -> None:
            outputs[name].append("" if isinstance(output, Tensor) else type(output).__name__)

        return hook

    _run(network, [(layer.path, noting(layer.name)) for layer in network.layers], inputs)
    return {name: _seen(kinds) for name, kinds in outputs.items()}


def _seen(kinds: Sequence[str]) -> str:
    if not kinds:
        return "does not run"
    if any(kinds):
        return f"returns {next(filter(None, kinds))}"
    return "runs once" if len(kinds) == 1 else f"runs {len(kinds)} times"


def _run(network: Network, hooks: Sequence[tuple[str, Callable[..., None]]], inputs: Tensor) -> None:
    handles = [network.module.get_submodule(path).register_forward_hook(hook) for path, hook in hooks]
    try:
        with evaluating(network.module), torch.inference_mode():
            network.module(inputs.clone())
    finally:
        for handle in handles:
            handle.remove()


def _word(*, right: bool) -> str:
    return "right" if right else "wrong"
