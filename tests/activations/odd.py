"""Builders of networks that recording has trouble with: `rsa-face doctor --network tests.activations.odd:twice`.

``python -m tests.activations.odd`` audits them and a network of each family of torchvision, in one table.
"""

import warnings

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsa_face.cli import main
from rsa_face.stimuli.preprocessing import Preprocessing

SMALL = Preprocessing(resize=32, crop=32)
FAMILIES = (
    "resnet18", "resnet50", "vgg16_bn", "densenet121", "mobilenet_v3_large", "efficientnet_b0", "vit_b_16", "swin_t",
)  # fmt: skip
ODD = ("twice", "views", "answers", "squeezed", "parallel", "compiled", "scripted")
AUDITED = (*(f"torchvision:{name}" for name in FAMILIES), *(f"tests.activations.odd:{name}" for name in ODD))


class Twice(nn.Module):
    """One block used twice, with an in-place ReLU inside that so runs four times."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.block = Residual(4)
        self.act = nn.ReLU(inplace=True)
        self.unused = nn.Linear(4, 4)
        self.fc = nn.Linear(4, 3)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.act(self.stem(images))
        return self.fc(self.act(self.block(self.block(maps))).mean(dim=(2, 3)))


class Residual(nn.Module):
    """A residual block that adds in place after its last module, so that its output is written over that one's."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.act = nn.ReLU(inplace=True)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, maps: Tensor) -> Tensor:
        out = self.second(self.act(self.first(maps)))
        out += maps
        return out


class Views(nn.Module):
    """Writes in place into views of what its modules returned: the upper half of channels, and a flattened map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3)
        self.flat = nn.Flatten()
        self.fc = nn.Linear(8 * 30 * 30, 2)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.conv(images)
        maps[:, :4].relu_()
        flat = self.flat(maps)
        flat.mul_(0.5)
        return self.fc(flat)


class Answers(nn.Module):
    """Returns a dict of a tensor and a tuple of tensors; one of its parts has the stimuli on the second axis."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 5, stride=4)
        self.memory = nn.LSTM(49, 6)
        self.fc = nn.Linear(4, 7)

    def forward(self, images: Tensor) -> dict[str, object]:
        maps = functional.relu(self.stem(images))
        steps, _ = self.memory(maps.flatten(2).transpose(0, 1).contiguous())
        return {"logits": self.fc(maps.mean(dim=(2, 3))), "maps": (maps, steps.transpose(0, 1))}


class Squeezed(nn.Module):
    """A bare `squeeze()`, which takes the axis of stimuli off where there is one, and a softmax that then fails."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 32)
        self.squeeze = Squeeze()
        self.fc = nn.Linear(4, 5)

    def forward(self, images: Tensor) -> Tensor:
        return self.fc(self.squeeze(self.conv(images))).softmax(dim=1)


class Squeeze(nn.Module):
    """Takes off every axis of length 1."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.squeeze()


def _drawn(module: nn.Module) -> tuple[nn.Module, Preprocessing]:
    return module, SMALL


def twice() -> tuple[nn.Module, Preprocessing]:
    """Build a network of which one module is used twice."""
    return _drawn(Twice())


def views() -> tuple[nn.Module, Preprocessing]:
    """Build a network that writes into views."""
    return _drawn(Views())


def answers() -> tuple[nn.Module, Preprocessing]:
    """Build a network that returns a dict."""
    return _drawn(Answers())


def squeezed() -> tuple[nn.Module, Preprocessing]:
    """Build a network that squeezes."""
    return _drawn(Squeezed())


def parallel() -> tuple[nn.Module, Preprocessing]:
    """Build a network inside DataParallel."""
    return _drawn(nn.DataParallel(Twice()))


def compiled() -> tuple[nn.Module, Preprocessing]:
    """Build a network that is compiled."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _drawn(torch.compile(Twice()))  # type: ignore[arg-type]


def scripted() -> nn.Module:
    """Build what runs no hooks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is going
        return torch.jit.trace(nn.Conv2d(3, 2, 3), torch.zeros(1, 3, 8, 8))


def broken() -> nn.Module:
    """Raise."""
    message = "no such checkpoint: /data/net.pt"
    raise FileNotFoundError(message)


def brief() -> nn.Module:
    """Raise with one word."""
    message = "broken"
    raise RuntimeError(message)


def nothing() -> str:
    """Return no module."""
    return "resnet"


if __name__ == "__main__":
    main(["doctor", *(word for name in AUDITED for word in ("--network", name))])
