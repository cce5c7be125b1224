"""Feature excitation: the channel-attention block that turns AlexNet into FE-AlexNet."""

from collections.abc import Iterable, Sequence
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from rsa_face.networks.settings import Attention, GateHeld
from rsa_face.provenance import rng_from
from rsa_face.schema import POSITION_CHANNELS, Position, repeated

# The torchvision module after which the block stands: after the nonlinearity of a convolution or a fully connected
# layer. In the order they run.
_PLACES: dict[str, tuple[str, str]] = {
    "conv1": ("features", "1"),
    "pool1": ("features", "2"),
    "conv2": ("features", "4"),
    "pool2": ("features", "5"),
    "conv3": ("features", "7"),
    "conv4": ("features", "9"),
    "conv5": ("features", "11"),
    "pool5": ("features", "12"),
    "fc6": ("classifier", "2"),
    "fc7": ("classifier", "5"),
}


class FeatureExcitation(nn.Module):
    """Weigh each channel by a gate between 0 and 1 that is computed from all channels' means.

    A squeeze-and-excitation block (Hu, Shen & Sun 2018, 10.1109/CVPR.2018.00745), without biases unless asked
    for. With the gate at 1 the input passes unchanged, bit for bit.
    """

    def __init__(self, channels: int, reduction: int = 16, *, bias: bool = False) -> None:
        super().__init__()
        waist = max(channels // reduction, 1)
        self.gate = nn.Sequential(
            nn.Linear(channels, waist, bias=bias),
            nn.ReLU(),
            nn.Linear(waist, channels, bias=bias),
            nn.Sigmoid(),
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return the gated maps."""
        if maps.ndim == 2:
            gate: Tensor = self.gate(maps)
            return maps * gate
        gate = self.gate(maps.mean(dim=(2, 3)))
        return maps * gate[:, :, None, None]


def insert_attention(module: nn.Module, blocks: Attention | Sequence[Attention]) -> None:
    """Put feature-excitation blocks into a torchvision AlexNet.

    One block is called ``fe``, several ``fe_<position>`` each. The modules before and after keep their names, so
    that the state dict of the AlexNet around them stays torchvision's.
    """
    wanted = [blocks] if isinstance(blocks, Attention) else list(blocks)
    several = repeated([block.position for block in wanted])
    if several:
        message = f"Several attention blocks at {several}. Move all but one."
        raise ValueError(message)
    for block in wanted:
        part, after = _PLACES[block.position]
        sequence = nn.Sequential()
        for name, child in getattr(module, part).named_children():
            sequence.add_module(name, child)
            if name == after:
                excitation = FeatureExcitation(POSITION_CHANNELS[block.position], block.reduction, bias=block.bias)
                sequence.add_module("fe" if len(wanted) == 1 else f"fe_{block.position}", excitation)
        setattr(module, part, sequence)


def find_attention(module: nn.Module) -> tuple[Attention, ...]:
    """Say which feature-excitation blocks stand in a network."""
    blocks = []
    for position, (part, after) in _PLACES.items():
        names = [name for name, _ in getattr(module, part, nn.Sequential()).named_children()]
        following = names[names.index(after) + 1 :][:1] if after in names else []
        block = getattr(getattr(module, part), following[0]) if following else None
        if isinstance(block, FeatureExcitation) and isinstance(block.gate[0], nn.Linear):
            first = block.gate[0]
            reduction = POSITION_CHANNELS[position] // first.out_features
            block = Attention(position=cast("Position", position), reduction=reduction, bias=first.bias is not None)
            blocks.append(block)
    return tuple(blocks)


def block_place(position: str) -> tuple[str, int, int]:
    """Return where a block of some position stands in torchvision's AlexNet."""
    part, after = _PLACES[position]
    return part, int(after), POSITION_CHANNELS[position]


def hold_gate(module: nn.Module, how: GateHeld, inputs: Iterable[Tensor] = (), *, seed: int = 0) -> None:
    """Interfere with every feature-excitation gate of a trained network, and leave all else as it is.

    ``one``: all gates are 1, so that the network computes what the AlexNet around them computes. ``mean``: each
    channel's gate is its mean over the inputs, the same for every face. ``shuffled``: gates change places among the
    channels, the same way for every face: their values stay, and weigh the wrong channels.
    """
    blocks = [child for child in module.modules() if isinstance(child, FeatureExcitation)]
    if how == "one":
        for block in blocks:
            block.gate = nn.Sequential(_Constant(torch.ones(())))
    elif how == "shuffled":
        for place, block in enumerate(blocks):
            channels = cast("nn.Linear", block.gate[2]).out_features
            block.gate.add_module("order", _Shuffled(rng_from(seed, "gate", place).permutation(channels)))
    else:
        gates: list[list[Tensor]] = [[] for _ in blocks]
        hooks = [
            block.gate.register_forward_hook(lambda _module, _inputs, gate, values=values: values.append(gate))
            for block, values in zip(blocks, gates, strict=True)
        ]
        with torch.inference_mode():
            for batch in inputs:
                module(batch)
        for block, values, hook in zip(blocks, gates, hooks, strict=True):
            hook.remove()
            block.gate = nn.Sequential(_Constant(torch.cat(values).mean(dim=0).clone()))


def open_gate(module: nn.Module) -> None:
    """Force every feature-excitation gate of a network to 1, so that it computes what AlexNet computes."""
    hold_gate(module, "one")


class _Constant(nn.Module):
    def __init__(self, gate: Tensor) -> None:
        super().__init__()
        self.register_buffer("gate", gate)

    def forward(self, means: Tensor) -> Tensor:
        gate: Tensor = self.gate  # type: ignore[assignment]  # a buffer
        return gate.expand_as(means)


class _Shuffled(nn.Module):
    def __init__(self, order: np.ndarray) -> None:
        super().__init__()
        self.register_buffer("order", torch.from_numpy(order))

    def forward(self, gate: Tensor) -> Tensor:
        return gate[:, cast("Tensor", self.order)]
