"""Networks keep colour, mark, name and place in every figure, also for colour-blind readers and in grayscale."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib import colors

from rsa_face.figures.style import (
    NETWORK_COLORS,
    NETWORK_MARKERS,
    in_order,
    ink,
    ink_on,
    network_colors,
    network_label,
    network_markers,
)
from rsa_face.schema import NETWORKS

# Machado, Oliveira & Fernandes 2009, 10.1109/TVCG.2009.113: full protanopia, deuteranopia, tritanopia, linear RGB.
SEEN_BY = {
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(color: str) -> np.ndarray:
    rgb = np.array(colors.to_rgb(color))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def lab(rgb: np.ndarray) -> np.ndarray:
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    ratio = to_xyz @ np.clip(rgb, 0, 1) / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def test_the_five_networks_differ_in_grayscale():
    lightness = sorted(lab(linear(color))[0] for color in NETWORK_COLORS.values())
    assert np.diff(lightness).min() > 11


@pytest.mark.parametrize("vision", SEEN_BY)
def test_the_five_networks_differ_for_colour_blind_readers(vision):
    seen = [lab(np.array(SEEN_BY[vision]) @ linear(color)) for color in NETWORK_COLORS.values()]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(seen, 2)) > 20


def test_each_of_the_five_networks_has_a_colour_a_label_and_a_marker_of_its_own():
    assert set(NETWORK_COLORS) == set(NETWORK_MARKERS) == set(NETWORKS)
    assert len(set(NETWORK_COLORS.values())) == len(set(NETWORK_MARKERS.values())) == len(NETWORKS)


def test_a_network_keeps_its_colour_whichever_others_are_shown():
    assert network_colors(["vgg16"])["vgg16"] == network_colors(["vgg16", "alexnet", "mine"])["vgg16"]


def test_networks_of_one_architecture_share_hue_and_marker_but_not_colour():
    names = ["alexnet/imagenet/0", "alexnet/vggface/0", "alexnet"]
    assert len(set(network_colors(names).values())) == 3
    assert set(network_markers(names).values()) == {"o"}


def test_unknown_networks_come_last_and_get_their_own_colour():
    assert in_order(["zoo", "vgg16", "fe_alexnet"]) == ["fe_alexnet", "vgg16", "zoo"]
    assert network_colors(["zoo", "vgg16"])["zoo"] not in NETWORK_COLORS.values()
    assert network_label("fe_alexnet/imagenet/0") == "FE-AlexNet (ImageNet, seed 0)"
    assert network_label("resnet50/mine") == "resnet50 (mine)"


@pytest.mark.parametrize("color", [*NETWORK_COLORS.values(), "#ffffff"])
def test_words_in_a_networks_colour_can_be_read(color):
    luminance = linear(ink(color)) @ np.array([0.2126, 0.7152, 0.0722])
    assert 1.05 / (luminance + 0.05) >= 4.5


def test_words_on_any_colour_can_be_read():
    for share in np.linspace(0, 1, 101):
        for scale in ("RdBu_r", "Greys", "viridis"):
            color = mpl.colormaps[scale](share)[:3]
            light, word = (
                float(linear(one) @ [0.2126, 0.7152, 0.0722]) for one in (colors.to_hex(color), ink_on(color))
            )
            high, low = max(light, word), min(light, word)
            assert (high + 0.05) / (low + 0.05) >= 4.5
