"""Networks other than the five: colours and marks stay apart, and unknown training is noted."""

from itertools import combinations

from rsa_face.figures.layout import note_of
from rsa_face.figures.style import network_colors, network_markers

NAMES = ["alexnet", "vgg16", *(f"net{number:02d}" for number in range(25))]


def test_no_two_of_many_other_networks_share_colour_and_mark():
    colors, markers = network_colors(NAMES), network_markers(NAMES)
    looks = {name: (colors[name], markers[name]) for name in NAMES}
    assert all(looks[one] != looks[other] for one, other in combinations(NAMES, 2))


def test_unknown_training_is_noted_beside_random_weights():
    attrs = {"untrained": ["alexnet"], "training_unknown": ["mine", "yours"]}
    assert note_of(attrs, ["alexnet", "mine"]) == "untrained weights: AlexNet; training unknown: mine"
    assert note_of(attrs, ["vgg16"]) == ""
