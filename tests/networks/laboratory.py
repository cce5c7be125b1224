"""Small networks whose parameters are called as those of face and expression nets are, for recipes of their weights.

ArcFace's iResNet (deepinsight/insightface), FaceNet's Inception-ResNet-v1 (timesler/facenet-pytorch), EmoNet
(face-analysis/emonet): a block of each, under its names, with its peculiarities.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsa_face.stimuli.preprocessing import Preprocessing


class _IBlock(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.bn1, self.conv1 = nn.BatchNorm2d(channels), nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.bn2, self.prelu = nn.BatchNorm2d(width), nn.PReLU(width)
        self.conv2, self.bn3 = nn.Conv2d(width, width, 3, 2, 1, bias=False), nn.BatchNorm2d(width)
        self.downsample = nn.Sequential(nn.Conv2d(channels, width, 1, 2, bias=False), nn.BatchNorm2d(width))

    def forward(self, maps: Tensor) -> Tensor:
        out = self.bn3(self.conv2(self.prelu(self.bn2(self.conv1(self.bn1(maps))))))
        out += self.downsample(maps)
        return out


class _ArcFace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn1, self.prelu = nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4), nn.PReLU(4)
        self.layer1 = nn.Sequential(_IBlock(4, 4))
        self.layer2 = nn.Sequential(_IBlock(4, 8))
        self.bn2, self.dropout = nn.BatchNorm2d(8), nn.Dropout(0, inplace=True)
        self.fc, self.features = nn.Linear(8 * 28 * 28, 6), nn.BatchNorm1d(6)

    def forward(self, faces: Tensor) -> Tensor:
        maps = self.layer2(self.layer1(self.prelu(self.bn1(self.conv1(faces)))))
        return self.features(self.fc(self.dropout(torch.flatten(self.bn2(maps), 1))))


class _BasicConv(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv, self.bn = nn.Conv2d(channels, width, 3, 2, bias=False), nn.BatchNorm2d(width, eps=0.001)
        self.relu = nn.ReLU()

    def forward(self, maps: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(maps)))


class _FaceNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv2d_1a, self.conv2d_2a = _BasicConv(3, 4), _BasicConv(4, 4)
        self.avgpool_1a, self.dropout = nn.AdaptiveAvgPool2d(1), nn.Dropout(0.6)
        self.last_linear, self.last_bn = nn.Linear(4, 6, bias=False), nn.BatchNorm1d(6, eps=0.001)

    def forward(self, faces: Tensor) -> Tensor:
        maps = self.dropout(self.avgpool_1a(self.conv2d_2a(self.conv2d_1a(faces))))
        return functional.normalize(self.last_bn(self.last_linear(maps.view(len(maps), -1))))


class _EmoNet(nn.Module):
    """Returns a dict; its `eval` puts its children into evaluation mode and returns nothing."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.conv1, self.bn1, self.l0 = nn.Conv2d(3, 4, 7, 2, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 5, 1)
        self.emo_fc_2 = nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.ReLU(True), nn.Linear(6, classes + 2))

    def forward(self, faces: Tensor) -> dict[str, Tensor]:
        maps = functional.relu(self.bn1(self.conv1(faces)), inplace=True)
        heat = self.l0(maps)
        out = self.emo_fc_2((maps * heat.sum(dim=1, keepdim=True)).mean(dim=(2, 3)))
        return {"heatmap": heat, "expression": out[:, :-2], "valence": out[:, -2], "arousal": out[:, -1]}

    def eval(self) -> Any:
        """Return nothing."""
        for module in self.children():
            module.eval()


def arcface() -> tuple[nn.Module, Preprocessing]:
    """Build a small iResNet."""
    return _ArcFace(), Preprocessing(resize=112, crop=112, mean=(0.5, 0.5, 0.5), sd=(0.5, 0.5, 0.5))


def facenet() -> tuple[nn.Module, Preprocessing]:
    """Build a small Inception-ResNet-v1."""
    return _FaceNet(), Preprocessing(resize=160, crop=160, mean=(0.5, 0.5, 0.5), sd=(0.502, 0.502, 0.502))


def emonet(classes: int = 8) -> tuple[nn.Module, Preprocessing]:
    """Build a small EmoNet."""
    return _EmoNet(classes), Preprocessing(resize=256, crop=256, mean=(0, 0, 0), sd=(1, 1, 1))
