"""Whose weights a file holds: the layouts in which laboratories publish them, recognised by their exact keys."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import cast

from rsa_face.networks.attention import block_place
from rsa_face.networks.settings import Attention
from rsa_face.schema import POSITIONS, Position, must_be_known
from rsa_face.stimuli.preprocessing import Preprocessing

Shapes = Mapping[str, tuple[int, ...]]

# Where torchvision's convolutions stand in `features`, and the fully connected layers in `classifier`.
CONVOLUTIONS: dict[str, tuple[int, ...]] = {
    "alexnet": (0, 3, 6, 8, 10),
    "vgg11": (0, 3, 6, 8, 11, 13, 16, 18),
    "vgg13": (0, 2, 5, 7, 10, 12, 15, 17, 20, 22),
    "vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28),
}
CONNECTED: dict[str, tuple[int, ...]] = {
    "alexnet": (1, 4, 6), "vgg11": (0, 3, 6), "vgg13": (0, 3, 6), "vgg16": (0, 3, 6),
}  # fmt: skip
_OXFORD = [f"conv{block}_{place}" for block, count in enumerate((2, 2, 3, 3, 3), 1) for place in range(1, count + 1)]

LAYOUTS = ("torchvision", "rsa-face", "vgg-face", "vgg-face-bgr", "se-alexnet")
_FACE_MEAN = (129.1863 / 255, 104.7624 / 255, 93.5940 / 255)
_FACES = Preprocessing(mean=_FACE_MEAN, sd=(1 / 255,) * 3)
PREPROCESSINGS: dict[str, Preprocessing] = {
    "torchvision": Preprocessing(),
    "rsa-face": Preprocessing(),
    "vgg-face": _FACES,
    "vgg-face-bgr": _FACES,
    "se-alexnet": Preprocessing(resize=(224, 224), mean=(0.5,) * 3, sd=(0.5,) * 3),
}
# The eight expressions of AffectNet by their codes (Mollahosseini, Hasani & Mahoor 2019, 10.1109/TAFFC.2017.2740923),
# and the three that are no expression.
EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
_LABORATORY_OUTPUTS = {8: EXPRESSIONS, 11: (*EXPRESSIONS, "none", "uncertain", "no-face"), 2: ("sad", "happy")}
_GATE = re.compile(
    r"(?P<at>se_layer|se_block|(?:features|classifier)\.(?:\d+|fe\w*))\."
    r"(?P<layer>fc\.0|fc\.2|fc1|fc2|gate\.0|gate\.2)\.(?P<what>weight|bias)"
)
_GATE_LAYERS = {"fc.0": 0, "fc.2": 2, "fc1": 0, "fc2": 2, "gate.0": 0, "gate.2": 2}


@dataclass(frozen=True)
class Layout:
    """What a file of weights holds, told from the names and shapes of its tensors.

    Parameters
    ----------
    name : str
        One of `LAYOUTS`.
    architecture : str
        Which network it is for.
    keys : dict of str to str
        For each parameter of that network that the file holds, its name in the file.
    unknown : tuple of str
        Names in the file that belong to nothing.
    classes : int or None
        Outputs of the last layer; None if the file holds no fully connected layers.
    attention : tuple of Attention
        The feature-excitation blocks.
    preprocessing : Preprocessing
        What input the weights expect.
    outputs : tuple of str
        What the outputs stand for; empty if the layout does not say.
    untrained : tuple of str
        Parameters that were still random when the file was written.
    """

    name: str
    architecture: str
    keys: dict[str, str]
    unknown: tuple[str, ...]
    classes: int | None
    attention: tuple[Attention, ...] = ()
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    outputs: tuple[str, ...] = ()
    untrained: tuple[str, ...] = ()

    @property
    def reverses_colours(self) -> bool:
        """Whether the file's first convolution takes blue, green, red, and is turned around on the way in."""
        return self.name == "vgg-face-bgr"


def recognise(
    shapes: Shapes, *, layout: str = "auto", source: str = "the file", attention: Sequence[Attention] = ()
) -> Layout:
    """Tell whose weights a file holds from the names and shapes of its tensors.

    Oxford's VGG-Face is told by ``conv1_1`` (takes red, green, blue) or ``conv_1_1`` (conversions of the Torch
    file, which take blue, green, red). A conversion of the Caffe file may bear the first names and take the second
    order: nothing in the file tells, so name the layout ``vgg-face-bgr`` then. A file of the SE-AlexNet laboratory
    without a block bears torchvision's names: name the layout ``se-alexnet`` for its preprocessing.

    Parameters
    ----------
    shapes : mapping of str to tuple of int
        The tensors' shapes by name, without wrapping or prefixes.
    layout : str
        ``auto``, or one of `LAYOUTS`.
    source : str
        The file, for the error.
    attention : sequence of Attention
        Where a block called ``fe`` stands; its name does not say. After pool5, or the first place with as many
        channels, unless given.

    Returns
    -------
    Layout
        With a key table.

    Raises
    ------
    ValueError
        If no architecture or layout fits.
    """
    must_be_known(layout, ("auto", *LAYOUTS), "weights layout")
    if any(re.match(r"conv_?\d_\d\.", key) for key in shapes):
        return _oxford(shapes, layout)
    gates = _gates(shapes)
    blocks = [(_block(at, keys, shapes, gates, attention), keys) for at, keys in gates.items()]
    plain = _without_blocks(shapes, gates)
    at = {int(key.split(".")[1]) for key in plain if re.fullmatch(r"features\.\d+\.weight", key)}
    fitting = [name for name, places in CONVOLUTIONS.items() if set(places) == at]
    if not fitting or (blocks and fitting != ["alexnet"]):
        some = ", ".join(sorted(shapes)[:4])
        message = (
            f"Weights must be of {', '.join(CONVOLUTIONS)} or fe_alexnet, in a layout among {', '.join(LAYOUTS)}, "
            f"but {source!r} is not: it holds {len(shapes)} tensors ({some} ...)."
        )
        raise ValueError(message)
    ours = all(".fe" in at for at in gates)
    found = "torchvision" if not blocks else "rsa-face" if ours else "se-alexnet"
    return _sequential(shapes, fitting[0], blocks, plain, found if layout == "auto" else layout)


def keys_of(architecture: str, attention: Iterable[Attention] = ()) -> list[str]:
    """Return the names of a network's parameters, in the order they run.

    Parameters
    ----------
    architecture : str
        One of the five.
    attention : iterable of Attention
        The blocks of an FE-AlexNet.

    Returns
    -------
    list of str
        As in its state dict.

    Examples
    --------
    >>> keys_of("alexnet")[:2]
    ['features.0.weight', 'features.0.bias']
    """
    base = "alexnet" if architecture == "fe_alexnet" else architecture
    places = [("features", place) for place in CONVOLUTIONS[base]] + [
        ("classifier", place) for place in CONNECTED[base]
    ]
    keys = [f"{part}.{place}.{what}" for part, place in places for what in ("weight", "bias")]
    return keys + [key for own, _ in _gate_keys(list(attention)) for key in own]


def _gate_keys(attention: list[Attention]) -> list[tuple[list[str], Attention]]:
    found = []
    for block in attention:
        name = "fe" if len(attention) == 1 else f"fe_{block.position}"
        what = ("weight", "bias") if block.bias else ("weight",)
        part = block_place(block.position)[0]
        found.append(([f"{part}.{name}.gate.{layer}.{kind}" for layer in (0, 2) for kind in what], block))
    return found


def _oxford(shapes: Shapes, layout: str) -> Layout:
    torch_file = any(key.startswith("conv_") for key in shapes)
    written = [name.replace("conv", "conv_") if torch_file else name for name in _OXFORD] + ["fc6", "fc7", "fc8"]
    own = [key for key in keys_of("vgg16") if key.endswith(".weight")]
    table = dict(zip(own, written, strict=True))
    keys = {
        key.replace("weight", what): f"{name}.{what}"
        for key, name in table.items()
        for what in ("weight", "bias")
        if f"{name}.{what}" in shapes
    }
    name = layout if layout in ("vgg-face", "vgg-face-bgr") else ("vgg-face-bgr" if torch_file else "vgg-face")
    unknown = tuple(sorted(set(shapes) - set(keys.values())))
    classes = shapes["fc8.weight"][0] if "fc8.weight" in shapes else None
    return Layout(name, "vgg16", keys, unknown, classes, preprocessing=PREPROCESSINGS[name])


def _sequential(
    shapes: Shapes, base: str, blocks: list[tuple[Attention, dict[str, str]]], plain: dict[str, str], name: str
) -> Layout:
    attention = tuple(sorted((block for block, _ in blocks), key=lambda block: POSITIONS.index(block.position)))
    keys = {key: plain[key] for key in keys_of(base) if key in plain}
    files = {block.position: found for block, found in blocks}
    for own, block in _gate_keys(list(attention)):
        keys |= {key: files[block.position][key.split(".gate.")[1]] for key in own}
    unknown = tuple(sorted(set(shapes) - set(keys.values())))
    last = f"classifier.{CONNECTED[base][-1]}.weight"
    classes = shapes[keys[last]][0] if last in keys else None
    outputs = _LABORATORY_OUTPUTS.get(classes or 0, ()) if name == "se-alexnet" else ()
    architecture = "fe_alexnet" if attention else base
    return Layout(name, architecture, keys, unknown, classes, attention, PREPROCESSINGS[name], outputs)


def _gates(shapes: Shapes) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = {}
    for key in shapes:
        match = _GATE.fullmatch(key)
        if match:
            found.setdefault(match["at"], {})[f"{_GATE_LAYERS[match['layer']]}.{match['what']}"] = key
    return {at: keys for at, keys in found.items() if {"0.weight", "2.weight"} <= set(keys)}


def _without_blocks(shapes: Shapes, gates: dict[str, dict[str, str]]) -> dict[str, str]:
    taken = {key for keys in gates.values() for key in keys.values()}
    plain = {}
    for key in shapes:
        match = re.fullmatch(r"(features|classifier)\.(\d+)\.(weight|bias)", key)
        if match and key not in taken:
            place = int(match[2]) - len([at for at in _numbered(gates, match[1]) if at < int(match[2])])
            plain[f"{match[1]}.{place}.{match[3]}"] = key
    return plain


def _numbered(gates: dict[str, dict[str, str]], part: str) -> list[int]:
    return sorted(int(at.split(".")[1]) for at in gates if re.fullmatch(rf"{part}\.\d+", at))


def _block(
    at: str,
    keys: dict[str, str],
    shapes: Shapes,
    gates: dict[str, dict[str, str]],
    attention: Sequence[Attention],
) -> Attention:
    waist, channels = shapes[keys["0.weight"]][:2]
    part, _, place = at.partition(".")
    if place.isdigit():
        before = int(place) - 1 - _numbered(gates, part).index(int(place))
        position = {block_place(name)[:2]: name for name in POSITIONS}.get((part, before), "")
    elif place.startswith("fe_"):
        position = place.removeprefix("fe_")
    else:
        here = [
            name
            for name in POSITIONS
            if block_place(name)[2] == channels and (not place or block_place(name)[0] == part)
        ]
        told = [block.position for block in attention if block.position in here]
        position = told[0] if told else "pool5" if "pool5" in here else (here or [""])[0]
    if position not in POSITIONS:
        message = f"A block must stand behind a layer of AlexNet, but {at!r} with {channels} channels does not."
        raise ValueError(message)
    return Attention(position=cast("Position", position), reduction=channels // waist, bias="0.bias" in keys)
