"""Networks other than the five: colours and marks stay apart, and unknown training is noted."""

from itertools import combinations

from rsa_face.figures.layout import note_of, short_layers
from rsa_face.figures.style import network_colors, network_markers

NAMES = ["alexnet", "vgg16", *(f"net{number:02d}" for number in range(25))]


def test_no_two_of_many_other_networks_share_colour_and_mark():
    colors, markers = network_colors(NAMES), network_markers(NAMES)
    looks = {name: (colors[name], markers[name]) for name in NAMES}
    assert all(looks[one] != looks[other] for one, other in combinations(NAMES, 2))


def test_long_paths_of_layers_are_written_by_the_end_that_tells_them_apart():
    blocks = [f"encoder.layers.encoder_layer_{number}" for number in range(12)]
    paths = ["relu1", *blocks, "blocks.10.attention.proj", "blocks.11.attention.proj", "heads.head"]
    written = short_layers(paths)
    assert written[:3] == ["relu1", "…encoder_layer_0", "…encoder_layer_1"]
    assert written[-3:] == ["…10.attention.proj", "…11.attention.proj", "heads.head"]
    assert len(set(written)) == len(paths)


def test_unknown_training_is_noted_beside_random_weights():
    attrs = {"untrained": ["alexnet"], "training_unknown": ["mine", "yours"]}
    assert note_of(attrs, ["alexnet", "mine"]) == "untrained weights: AlexNet; training unknown: mine"
    assert note_of(attrs, ["vgg16"]) == ""
