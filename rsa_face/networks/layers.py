"""The names of a network's layers, in the field's words, and where each one stands."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import nn

from rsa_face.networks.attention import FeatureExcitation


@dataclass(frozen=True)
class Layer:
    """One place in a network where activations can be recorded.

    Parameters
    ----------
    name : str
        The field's name: ``conv5``, ``relu5_3``, ``fe``, ``fc7``.
    path : str
        The torch module's path: ``features.10``.
    kind : str
        ``conv``, ``relu``, ``pool``, ``fc``, ``fe``, ``gate``, or the module's class for other networks.
    depth : float
        Place in the network, in (0, 1]. Layers shared by AlexNet and FE-AlexNet have the same depth in both.
    order : int
        Place in the network, counted from 0.
    """

    name: str
    path: str
    kind: str
    depth: float
    order: int

    @property
    def nonlinearity(self) -> str:
        """``pre`` where a nonlinearity is still to come (a convolution, a fully connected layer), else ``post``."""
        return "pre" if self.kind in ("conv", "fc", "Conv2d", "Linear") else "post"


def name_layers(module: nn.Module) -> tuple[Layer, ...]:
    """Name the layers of a torchvision AlexNet or VGG, with or without feature excitation.

    Dropout and the adaptive pooling before the classifier are not layers: in evaluation, at the size the networks
    were made for, they pass their input on. The block counts as ``fe_gate`` (one value a channel) and ``fe`` (the
    gated maps), at depths between its neighbours.
    """
    vgg = sum(isinstance(child, nn.MaxPool2d) for child in module.modules()) > 3
    found = list(_leaves(module, vgg=vgg))
    base = sum(kind not in ("fe", "gate") for _, _, kind in found)
    layers: list[Layer] = []
    passed = 0
    for order, (name, path, kind) in enumerate(found):
        passed += kind not in ("fe", "gate")
        between = {"gate": 1 / 3, "fe": 2 / 3}.get(kind, 0.0)
        layers.append(Layer(name, path, kind, round((passed + between) / base, 6), order))
    return tuple(layers)


def name_modules(module: nn.Module) -> tuple[Layer, ...]:
    """Name the layers of any network by their torch paths."""
    leaves = [(path, child) for path, child in module.named_modules() if path and not any(child.children())]
    return tuple(
        Layer(path, path, type(child).__name__, round((order + 1) / len(leaves), 6), order)
        for order, (path, child) in enumerate(leaves)
    )


def select_layers(layers: Sequence[Layer], wanted: str | Sequence[str], *, network: str) -> tuple[Layer, ...]:
    """Return the layers asked for, in the order they run."""
    if wanted == "all":
        return tuple(layers)
    if wanted == "main":
        main = [layer for layer in layers if layer.kind in ("relu", "fe") or layer is layers[-1]]
        return tuple(main if len(main) > 1 else layers)
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = [name for name in names if name not in {layer.name for layer in layers}]
    if unknown or not names:
        known = " ".join(layer.name for layer in layers)
        message = f"{network} has no layers {unknown}. Choose main, all, or names among {known}."
        raise ValueError(message)
    return tuple(layer for layer in layers if layer.name in names)


def _leaves(module: nn.Module, *, vgg: bool) -> Iterator[tuple[str, str, str]]:
    block, place, full = (1 if vgg else 0), 0, 5
    for path, child in _parts(module):
        where = f"{block}_{place}" if vgg else f"{block}"
        if isinstance(child, FeatureExcitation):
            position = path.rsplit(".", 1)[-1].removeprefix("fe")
            yield f"fe_gate{position}", f"{path}.gate", "gate"
            yield f"fe{position}", path, "fe"
        elif isinstance(child, nn.Conv2d):
            block, place = (block, place + 1) if vgg else (block + 1, 0)
            yield f"conv{block}_{place}" if vgg else f"conv{block}", path, "conv"
        elif isinstance(child, nn.MaxPool2d):
            yield f"pool{block}", path, "pool"
            block, place = (block + 1, 0) if vgg else (block, 0)
        elif isinstance(child, nn.Linear):
            full += 1
            yield f"fc{full}", path, "fc"
        elif isinstance(child, nn.ReLU):
            yield f"relu{where}" if full == 5 else f"relu{full}", path, "relu"


def _parts(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    for part in ("features", "classifier"):
        for name, child in getattr(module, part).named_children():
            yield f"{part}.{name}", child
