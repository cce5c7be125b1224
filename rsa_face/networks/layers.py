"""The names of a network's layers, in the field's words, and where each one stands."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from torch import nn

from rsa_face.networks.attention import FeatureExcitation

_MOST_LISTED = 60  # names in a message


@dataclass(frozen=True)
class Layer:
    """One place in a network where activations can be recorded."""

    name: str  # the field's name: ``conv5``, ``relu5_3``, ``fe``, ``fc7``
    path: str  # the torch module's path: ``features.10``
    kind: str  # ``conv``, ``relu``, ``pool``, ``fc``, ``fe``, ``gate``, or the module's class for other networks
    # place in the network, in (0, 1]. Layers shared by AlexNet and FE-AlexNet have the same depth in both
    depth: float
    order: int  # place in the network, counted from 0
    call: int | None = None  # which run of the module in a forward pass, from 0; None for a module that runs once
    # which part of a tuple or dict that the module returns; empty where it returns a tensor
    item: tuple[int | str, ...] = ()
    shape: tuple[int, ...] = ()  # of what is recorded for one stimulus; empty where no pass has shown it
    # the layer inside the module whose output it returns as it is; empty for a module that computes its own
    repeats: str = ""

    @property
    def nonlinearity(self) -> str:
        """``pre`` where a nonlinearity is still to come, else ``post``.

        It is to come behind a convolution, a fully connected layer, and batch normalization.
        """
        return "pre" if self.kind in ("conv", "fc", "Conv2d", "Linear", "BatchNorm1d", "BatchNorm2d") else "post"


def name_layers(module: nn.Module) -> tuple[Layer, ...]:
    """Name the layers of a torchvision AlexNet or VGG, with or without feature excitation.

    Dropout and the adaptive pooling before the classifier are not layers: in evaluation, at the size the networks
    were made for, they pass their input on. The block counts as ``fe_gate`` (one value a channel) and ``fe`` (the
    gated maps), at depths between its neighbours.
    """
    vgg = sum(isinstance(child, nn.MaxPool2d) for child in module.modules()) > 3
    leaves = list(_leaves(module, vgg=vgg))
    base = sum(kind not in ("fe", "gate") for _, _, kind in leaves)
    layers: list[Layer] = []
    passed = 0
    for order, (name, path, kind) in enumerate(leaves):
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


OUTPUT = "output"
"""The layer that is what a network itself returns, where no module in it returns that."""


def layer_name(path: str, call: int | None = None, item: Sequence[int | str] = ()) -> str:
    """Return what a layer is called: its module's path, the call in a pass, and the part of a tuple or dict.

    Examples
    --------
    >>> layer_name("layer1.0.relu", 1), layer_name("encoder", None, ("hidden", 0))
    ('layer1.0.relu@1', 'encoder[hidden][0]')
    """
    return (path or OUTPUT) + (f"@{call}" if call is not None else "") + "".join(f"[{key}]" for key in item)


def matches(pattern: str, layer: Layer) -> bool:
    """Return whether a layer is meant by a name: its own, its module's path, or a pattern of these.

    ``*`` and ``?`` stand for anything but dots, ``**`` for anything. A path means every call of its module and every
    part of what that returns.
    """
    if pattern in (layer.name, layer.path) or not re.search(r"[*?]", pattern):
        return pattern in (layer.name, layer.path) and bool(pattern)
    wild = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^.]*").replace(r"\?", "[^.]")
    return any(re.fullmatch(wild, name) for name in (layer.name, layer.path))


def select_layers(
    layers: Sequence[Layer],
    wanted: str | Sequence[str],
    *,
    network: str,
    main: Sequence[str] = (),
    unrecorded: Mapping[str, str] | None = None,
) -> tuple[Layer, ...]:
    """Return the layers asked for, in the order they run; `main` names those that stand for the network.

    ``all`` leaves out what only repeats another layer: a container that returns what the last module in it returns.
    """
    if wanted == "all":
        return tuple(layer for layer in layers if not layer.repeats)
    if wanted == "main":
        chosen = [layer for layer in layers if layer.name in main] or [
            layer for layer in layers if layer.kind in ("relu", "fe") or layer is layers[-1]
        ]
        return tuple(chosen if len(chosen) > 1 else layers)
    names = [wanted] if isinstance(wanted, str) else list(wanted)
    unknown = [name for name in names if not any(matches(name, layer) for layer in layers)]
    if unknown or not names:
        reasons = [f"{name!r} {unrecorded[name]}" for name in unknown if unrecorded and name in unrecorded]
        why = f" ({'; '.join(reasons)})" if reasons else ""
        message = (
            f"{network} has no layers {unknown}{why}. Choose main, all, or names among {_known(layers, unknown)}."
        )
        raise ValueError(message)
    return tuple(layer for layer in layers if any(matches(name, layer) for name in names))


def _known(layers: Sequence[Layer], unknown: Sequence[str]) -> str:
    """Return the names of layers for a message: all, or of many the nearest to the unknown ones."""
    names = [layer.name for layer in layers]
    if len(names) <= _MOST_LISTED:
        return " ".join(names)
    near = [name for each in unknown for name in get_close_matches(each, names, n=6, cutoff=0.3)]
    nearest = f"{' '.join(dict.fromkeys(near))} ... " if near else ""
    return f"{nearest}({len(names)} layers; `rsa-face layers` lists them)"


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
