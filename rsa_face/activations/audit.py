"""Check that what is captured from a network is what its layers computed, and what an uncopied hook would give."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import pandas as pd
import torch
from torch import Tensor, nn

from rsa_face.activations.capture import capture
from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network, evaluating
from rsa_face.provenance import rng_from


def audit(network: Network, *, inputs: Tensor | None = None, seed: int = 0) -> pd.DataFrame:
    """Compare every captured layer with an independent forward pass that ends at that layer.

    A pass that ends at a layer cannot have been overwritten by what comes behind it, so it is the truth that both
    our capture and a hook that merely keeps a reference are held to. Many tools keep references, and return wrong
    values for every convolution before an in-place ReLU.

    Parameters
    ----------
    network : Network
        Any, in any mode, and left as it was; see `rsa_face.networks.layers.name_modules` for a module of your own.
    inputs : Tensor, shape (stimulus, 3, row, column), optional
        What to look at; two images of noise of the size the network expects unless given.
    seed : int
        For the noise.

    Returns
    -------
    DataFrame, one row a layer
        Columns `layer`, `module`, `kind`; `captured` and `uncopied`: ``right``, ``wrong``, or why the layer cannot
        be recorded (``does not run``, ``runs 2 times``, ``returns tuple``); `uncopied_error`: the largest
        difference between an uncopied hook's value and the truth.
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


class _EndOfPass(BaseException):
    """Ends a forward pass at the layer whose truth is wanted."""


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
