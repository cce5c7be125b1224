"""Where a network's weights come from: a seed, ImageNet, or a file, in whichever layout it was published.

A file is fetched if need be, recognised by the names and shapes of its tensors, put under the names of its network,
and checked key by key. No code in a file runs.
"""

import json
import logging
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, cast
from urllib.error import URLError

import torch
from safetensors import safe_open
from torch import Tensor, nn
from torchvision import models

from rsa_face.networks.attention import block_place
from rsa_face.networks.formats import ELSEWHERE, FORMATS, REVERSED, must_have_reader, read_content
from rsa_face.networks.settings import Attention
from rsa_face.provenance import hash_content, hash_file, rng_from, unsealed
from rsa_face.safety import must_not_swell, reading
from rsa_face.schema import NETWORKS, POSITIONS, Position, must_be_known
from rsa_face.stimuli.preprocessing import Preprocessing

log = logging.getLogger(__name__)

_WRAPPINGS = (
    "state_dict", "model_state_dict", "model", "net", "network", "weights",
    "state_dict_ema", "ema_state_dict", "model_ema", "ema",
)  # fmt: skip
# what others keep beside weights: means that images were normalised by, counts of averaging and of operations
_STRAY = re.compile(r"(?:.*\.)?(?:mean|std|n_averaged|num_batches_tracked|total_ops|total_params)")
_OF_THE_FIVE = re.compile(r"(?:features|classifier)\.(?:\d|fe)|(?:se_layer|se_block)\.|conv_?\d_\d\.|fc[678]\.")
_TENSORS_ALONE = "A weights file holds tensors and nothing else"
RECORD, CONTENT = "rsa_face", "content_blake3"
HUB = "hf://"
Shapes = Mapping[str, tuple[int, ...]]

_OXFORD = [f"conv{block}_{place}" for block, count in enumerate((2, 2, 3, 3, 3), 1) for place in range(1, count + 1)]

_OXFORD_LAYOUTS = ("vgg-face", "vgg-face-bgr", "vgg-imagenet", "vgg-imagenet-bgr")
LAYOUTS = ("torchvision", "rsa-face", *_OXFORD_LAYOUTS, "se-alexnet")
_FACES = Preprocessing(mean=(129.1863 / 255, 104.7624 / 255, 93.5940 / 255), sd=(1 / 255,) * 3)
_OBJECTS = Preprocessing(mean=(123.68 / 255, 116.779 / 255, 103.939 / 255), sd=(1 / 255,) * 3)
PREPROCESSINGS: dict[str, Preprocessing] = {
    "torchvision": Preprocessing(),
    "rsa-face": Preprocessing(),
    "vgg-face": _FACES,
    "vgg-face-bgr": _FACES,
    "vgg-imagenet": _OBJECTS,
    "vgg-imagenet-bgr": _OBJECTS,
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


# -- weights that start at random, and ImageNet's -----------------------------------------------------------------


def start_weights(module: nn.Module, *, seed: int) -> None:
    """Give a network its random starting weights, each layer from a stream of its own.

    Kaiming normal for the convolutions and fully connected layers (He et al. 2015, 10.1109/ICCV.2015.123), biases
    0. A layer's weights depend on the seed and the layer's name alone: not on what was built before, and AlexNet
    and FE-AlexNet of one seed share every layer but the block.
    """
    for name, part in module.named_modules():
        if not isinstance(part, nn.Conv2d | nn.Linear):
            continue
        stream = torch.Generator().manual_seed(int(rng_from(seed, "weights", name).integers(2**62)))
        with torch.no_grad():
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu", generator=stream)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def _imagenet(network: str) -> Any:
    return models.get_model_weights(NETWORKS[network].builder).IMAGENET1K_V1


def imagenet_state(network: str) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights of one of the five, downloading them the first time."""
    return download_state(_imagenet(network), f"ImageNet weights of {network}")


def imagenet_file(network: str) -> Path:
    """Return where torch keeps torchvision's ImageNet weights once they are downloaded."""
    return _cached(_imagenet(network))


def download_state(weights: Any, what: str) -> dict[str, Tensor]:
    """Return weights of torchvision, downloading them the first time.

    The file goes to torch's own cache (``TORCH_HOME``), with a progress bar, and its checksum is verified.
    """
    size = f"{weights.meta['_file_size']:.0f} MB"
    log.info("%s: %s (%s)", what, weights.url, size)
    try:
        return dict(weights.get_state_dict(progress=True, check_hash=True, weights_only=True))
    except (URLError, OSError, RuntimeError) as error:
        message = (
            f"Cannot download {what} ({size}) from {weights.url}: {error}. Connect to the network, or put that file "
            f"at {_cached(weights)}."
        )
        raise RuntimeError(message) from error


def _cached(weights: Any) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / str(weights.url).rsplit("/", 1)[-1]


# -- layouts -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """What a file of weights holds, by the names and shapes of its tensors.

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
        return self.name.endswith("-bgr")


def recognise(
    shapes: Shapes,
    *,
    layout: str = "auto",
    source: str = "the file",
    attention: Sequence[Attention] = (),
    reverse: bool = False,
) -> Layout:
    """Recognise whose weights a file holds by the names and shapes of its tensors.

    Oxford's VGG16 is recognised by ``conv1_1`` (takes red, green, blue) or ``conv_1_1`` (conversions of the Torch
    file, which take blue, green, red, as Caffe's and Keras's own files do: `reverse`); it is that of ImageNet where
    it has 1,000 classes, else VGG-Face. A conversion of the Caffe file may bear the first names and take the second
    order: nothing in the file tells, so name the layout ``vgg-face-bgr`` then. A file of the SE-AlexNet laboratory
    without a block bears torchvision's names: name the layout ``se-alexnet`` for its preprocessing.
    """
    must_be_known(layout, ("auto", *LAYOUTS), "weights layout")
    if any(re.match(r"conv_?\d_\d\.", key) for key in shapes):
        return _oxford(shapes, layout, reverse=reverse)
    gates = _gates(shapes)
    blocks = [(_block(at, keys, shapes, gates, attention), keys) for at, keys in gates.items()]
    plain = _without_blocks(shapes, gates)
    at = {int(key.split(".")[1]) for key in plain if re.fullmatch(r"features\.\d+\.weight", key)}
    fitting = [name for name, row in NETWORKS.items() if set(row.convolutions) == at and not row.attention]
    if not fitting or (blocks and not _with_blocks(fitting[0])):
        some = ", ".join(sorted(shapes)[:4])
        message = (
            f"{source!r} holds {len(shapes)} tensors ({some} ...), which are no weights of "
            f"{', '.join(NETWORKS)} in any layout among {', '.join(LAYOUTS)}. Choose another file; "
            "to build or convert another network, name it, as torchvision:resnet50."
        )
        raise ValueError(message)
    is_ours = all(".fe" in at for at in gates)
    name = "torchvision" if not blocks else "rsa-face" if is_ours else "se-alexnet"
    return _sequential(shapes, fitting[0], blocks, plain, name if layout == "auto" else layout)


def keys_of(architecture: str, attention: Iterable[Attention] = ()) -> list[str]:
    """Return the names of a network's parameters, in the order they run.

    Examples
    --------
    >>> keys_of("alexnet")[:2]
    ['features.0.weight', 'features.0.bias']
    """
    row = NETWORKS[architecture]
    places = [("features", place) for place in row.convolutions] + [("classifier", place) for place in row.connected]
    keys = [f"{part}.{place}.{what}" for part, place in places for what in ("weight", "bias")]
    return keys + [key for gate, _ in _gate_keys(list(attention)) for key in gate]


def _with_blocks(base: str) -> str:
    """Return the network that is some other with feature-excitation blocks; empty if there is none."""
    return next((name for name, row in NETWORKS.items() if row.attention and row.builder == base), "")


def _gate_keys(attention: list[Attention]) -> list[tuple[list[str], Attention]]:
    keys = []
    for block in attention:
        name = "fe" if len(attention) == 1 else f"fe_{block.position}"
        what = ("weight", "bias") if block.bias else ("weight",)
        part = block_place(block.position)[0]
        keys.append(([f"{part}.{name}.gate.{layer}.{kind}" for layer in (0, 2) for kind in what], block))
    return keys


def _oxford(shapes: Shapes, layout: str, *, reverse: bool) -> Layout:
    torch_file = any(key.startswith("conv_") for key in shapes)
    written = [name.replace("conv", "conv_") if torch_file else name for name in _OXFORD] + ["fc6", "fc7", "fc8"]
    weights = [key for key in keys_of("vgg16") if key.endswith(".weight")]
    table = dict(zip(weights, written, strict=True))
    keys = {
        key.replace("weight", what): f"{name}.{what}"
        for key, name in table.items()
        for what in ("weight", "bias")
        if f"{name}.{what}" in shapes
    }
    unknown = tuple(sorted(set(shapes) - set(keys.values())))
    classes = shapes["fc8.weight"][0] if "fc8.weight" in shapes else None
    name = f"{'vgg-imagenet' if classes == 1000 else 'vgg-face'}{'-bgr' if torch_file or reverse else ''}"
    name = layout if layout in _OXFORD_LAYOUTS else name
    return Layout(name, "vgg16", keys, unknown, classes, preprocessing=PREPROCESSINGS[name])


def _sequential(
    shapes: Shapes, base: str, blocks: list[tuple[Attention, dict[str, str]]], plain: dict[str, str], name: str
) -> Layout:
    attention = tuple(sorted((block for block, _ in blocks), key=lambda block: POSITIONS.index(block.position)))
    keys = {key: plain[key] for key in keys_of(base) if key in plain}
    files = {block.position: keys_of_block for block, keys_of_block in blocks}
    for gate, block in _gate_keys(list(attention)):
        keys |= {key: files[block.position][key.split(".gate.")[1]] for key in gate}
    unknown = tuple(sorted(set(shapes) - set(keys.values())))
    last = f"classifier.{NETWORKS[base].connected[-1]}.weight"
    classes = shapes[keys[last]][0] if last in keys else None
    outputs = _LABORATORY_OUTPUTS.get(classes or 0, ()) if name == "se-alexnet" else ()
    architecture = _with_blocks(base) if attention else base
    return Layout(name, architecture, keys, unknown, classes, attention, PREPROCESSINGS[name], outputs)


def _gates(shapes: Shapes) -> dict[str, dict[str, str]]:
    gates: dict[str, dict[str, str]] = {}
    for key in shapes:
        match = _GATE.fullmatch(key)
        if match:
            gates.setdefault(match["at"], {})[f"{_GATE_LAYERS[match['layer']]}.{match['what']}"] = key
    return {at: keys for at, keys in gates.items() if {"0.weight", "2.weight"} <= set(keys)}


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
        possible = [
            name
            for name in POSITIONS
            if block_place(name)[2] == channels and (not place or block_place(name)[0] == part)
        ]
        known = [block.position for block in attention if block.position in possible]
        position = known[0] if known else "pool5" if "pool5" in possible else (possible or [""])[0]
    if position not in POSITIONS:
        message = (
            f"The attention block {at!r} ({channels} channels) is behind no layer of AlexNet. Choose another file."
        )
        raise ValueError(message)
    return Attention(position=cast("Position", position), reduction=channels // waist, bias="0.bias" in keys)


# -- files ---------------------------------------------------------------------------------------------------------


def read_weights(
    path: str | Path, *, layout: str = "auto", attention: Sequence[Attention] = ()
) -> tuple[dict[str, Tensor], Layout]:
    """Read a file of weights in any of the layouts, under the names of the network it is for.

    What this package wrote brings its preprocessing, outputs and untrained parameters with it; for other files
    these are the layout's. A first convolution that takes blue, green, red is turned around, so that every
    network takes red, green, blue.
    """
    record = read_record(path)
    state = read_state(path)
    must_be_unchanged(state, record, path)
    state = _renamed(state, names_of_the_five(state), source=str(path))
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    rule, then = "The record in a file of weights is what this package wrote", "Choose another file."
    with reading(Path(path), rule, then=then):
        blocks = [Attention(**block) for block in record.get("attention", [])] or attention
    reverse = Path(path).suffix in REVERSED
    content = recognise(shapes, layout=layout, source=str(path), attention=blocks, reverse=reverse)
    with reading(Path(path), rule, then=then):
        content = with_record(content, record)
    tensors = {key: _fitted(key, state[name]) for key, name in content.keys.items()}
    if content.reverses_colours and "features.0.weight" in tensors:
        tensors["features.0.weight"] = tensors["features.0.weight"].flip(1)
    return tensors | {name: state[name] for name in content.unknown}, content


def content_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the BLAKE3 hash of tensors: files of weights have no checksum, and a flipped bit looks sound."""
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    return hash_content(
        {
            name: value.view(torch.uint8).numpy() if value.ndim else [str(value.dtype), value.item()]
            for name, value in plain.items()
        }
    )


def must_be_unchanged(tensors: Mapping[str, Tensor], record: Mapping[str, Any], path: str | Path) -> None:
    """Refuse tensors that are not those the file was written with."""
    if record.get(CONTENT) not in (None, content_of(tensors)):
        message = (
            f"{str(path)!r} has changed since it was written: its tensors lack the hash recorded in it. Remove it, "
            "and run the training or the conversion that wrote it again."
        )
        raise ValueError(message)


def read_record(path: str | Path) -> dict[str, Any]:
    """Read what this package noted in a file of weights, without reading the weights."""
    path = must_be_a_file(path)
    if path.suffix != ".safetensors":
        return {}
    with reading(path, _TENSORS_ALONE, then="Get it again."):
        with safe_open(path, framework="pt") as opened:
            text = (opened.metadata() or {}).get(RECORD, "{}")
        record = json.loads(text)
    if not isinstance(record, dict):
        message = f"The record in {str(path)!r} has no keys: {text[:60]!r}. Get the file again."
        raise ValueError(message)
    return unsealed(record, path, then="Remove it: the training that wrote it runs again.")


def with_record(layout: Layout, record: Mapping[str, Any]) -> Layout:
    """Return a layout with what this package noted in the file."""
    preprocessing = preprocessing_in(record)
    if preprocessing is None:
        return layout
    outputs, untrained = (tuple(record.get(key, ())) for key in ("outputs", "untrained"))
    return replace(layout, preprocessing=preprocessing, outputs=outputs, untrained=untrained)


def preprocessing_in(record: Mapping[str, Any]) -> Preprocessing | None:
    """Return the preprocessing that this package noted in a file of weights, if it did."""
    if "preprocessing" not in record:
        return None
    settings: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value
                for key, value in record["preprocessing"].items()}  # fmt: skip
    return Preprocessing(**settings)


def find_weights(weights: str | Path) -> Path:
    """Return the file that holds some weights, fetching it first if it lies on the Hugging Face Hub."""
    if not str(weights).startswith(HUB):
        return Path(weights)
    hub, place = find_hub(str(weights))
    log.info("weights from the Hugging Face Hub: %s", weights)
    try:
        return Path(hub.hf_hub_download(**place))
    except (OSError, ValueError, RuntimeError) as error:
        message = f"Cannot fetch {str(weights)!r} from the Hugging Face Hub: {error}"
        raise RuntimeError(message) from error


def find_hub(weights: str) -> tuple[Any, dict[str, str | None]]:
    """Return the Hub's client and what it is asked for, so that a wrong address is known before any time is spent."""
    address = re.fullmatch(r"hf://([\w.-]+/[\w.-]+?)(?:@([\w./-]+?))?/([^@]+)", weights)
    if address is None:
        message = f"{weights!r} is no address on the Hugging Face Hub. Write hf://OWNER/REPO/FILE, or REPO@REVISION."
        raise ValueError(message)
    try:
        hub = import_module("huggingface_hub")
    except ModuleNotFoundError as error:
        message = f"{weights} needs huggingface_hub, which is not installed. Run: pip install 'rsa-face[hf]'"
        raise ModuleNotFoundError(message) from error
    return hub, {"repo_id": address[1], "filename": address[3], "revision": address[2]}


def _fitted(key: str, value: Tensor) -> Tensor:
    # a fully connected layer that was published as a convolution over the whole map
    return value.flatten(1) if key.startswith("classifier.") and value.ndim == 4 else value


def inspect_weights(weights: str | Path, *, layout: str = "auto") -> dict[str, Any]:
    """Say what a file of weights holds and what of it would load, without building a network."""
    file = find_weights(weights)
    _, content = read_weights(file, layout=layout)
    return {
        "file": str(file),
        "sha256": hash_file(file),
        "layout": content.name,
        "architecture": content.architecture,
        "classes": content.classes,
        "outputs": list(content.outputs),
        "attention": [f"{block.position} / {block.reduction}" for block in content.attention],
        "preprocessing": content.preprocessing.record(),
        "loads": len(content.keys),
        "unknown": list(content.unknown),
        "missing": [key for key in keys_of(content.architecture, content.attention) if key not in content.keys],
    }


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from a file, never running code that may be in it."""
    path = must_be_a_file(path)
    must_have_reader(path)
    then = (
        "Download it again, or save the state dict alone where it was made: torch.save(net.state_dict(), 'net.pt')."
    )
    with reading(path, _TENSORS_ALONE, then=then):
        state = read_content(path)
    state = _unwrapped(state)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()) or not state:
        message = (
            f"{str(path)!r} holds no state dict (names and tensors), alone or as {', '.join(_WRAPPINGS)}. "
            "Choose another file."
        )
        raise ValueError(message)
    must_not_swell(sum(value.numel() * value.element_size() for value in state.values()), path)
    return {str(key): value for key, value in state.items()}


def names_without_prefixes(names: Collection[str], is_known: Callable[[str], bool]) -> dict[str, str]:
    """Take off what wrappers put before names (``module.``, ``model.``, ``encoder_q.``, ``features.module.``).

    The prefix is taken off under which most names are known; what stands outside it is left out. So are tensors that
    are no weights: means and deviations of images, counts. Returns the names in the file by what is left of them.
    """
    plain = {re.sub(r"(^|\.)(?:module|_orig_mod)\.", r"\1", name): name for name in names}
    if len(plain) < len(names) or sum(map(is_known, plain)) <= sum(map(is_known, names)):
        plain = {name: name for name in names}  # modules are called so, or two names would be one
    prefixes = {"": 0} | {f"{part}.": 0 for key in plain for part in _beginnings(key)}
    for prefix in prefixes:
        prefixes[prefix] = sum(is_known(key.removeprefix(prefix)) for key in plain if key.startswith(prefix))
    best = max(prefixes, key=lambda prefix: (prefixes[prefix], -len(prefix)))
    if not prefixes[best]:
        return {name: name for name in names}
    inside = {key.removeprefix(best): name for key, name in plain.items() if key.startswith(best)}
    return {key: name for key, name in inside.items() if is_known(key) or not _STRAY.fullmatch(key)}


def _beginnings(key: str) -> list[str]:
    """Return a name's first parts: one of them, two, and so on, but for the last."""
    parts = key.split(".")
    return [".".join(parts[:length]) for length in range(1, len(parts))]


def names_of_the_five(names: Collection[str]) -> dict[str, str]:
    """Return the names in a file by those that the five networks may have, out of its wrappers."""
    plain = names_without_prefixes(names, lambda key: bool(_OF_THE_FIVE.match(key)))
    inner: dict[str, list[str]] = {}
    for key in plain:  # a last layer that was put into a Sequential, with dropout perhaps
        match = re.fullmatch(r"(classifier\.\d+)\.\d+\.weight", key)
        if match:
            inner.setdefault(match[1], []).append(key.removesuffix(".weight"))
    alone = {keys[0]: place for place, keys in inner.items() if len(keys) == 1 and f"{place}.weight" not in plain}
    parts = {key: key.rpartition(".") for key in plain}
    return {f"{alone.get(stem, stem)}{dot}{what}": plain[key] for key, (stem, dot, what) in parts.items()}


def _renamed(state: Mapping[str, Tensor], names: Mapping[str, str], *, source: str) -> dict[str, Tensor]:
    """Return a state under other names; the log says what they were, and what is left out."""
    changed = [(name, key) for key, name in names.items() if key != name]
    if changed:
        log.info("%s: %d names are read without wrappers: %s as %s", source, len(changed), *changed[0])
    left_out = sorted(set(state) - set(names.values()))
    if left_out:
        more = f" and {len(left_out) - 12} more" if len(left_out) > 12 else ""
        log.warning("%s: left out: %s%s", source, ", ".join(left_out[:12]), more)
    return {key: state[name] for key, name in names.items()}


def load_any_state(
    module: nn.Module, state: Mapping[str, Tensor], *, source: str, fresh: Collection[str] = ()
) -> None:
    """Load a state dict into any network, out of its wrappers, but for `fresh`; all that does not fit is named."""
    start = module.state_dict()
    state = _renamed(state, names_without_prefixes(state, start.__contains__), source=source)
    counts = [key for key in start if key.endswith("num_batches_tracked") and key not in state]
    state |= {key: start[key] for key in fresh}
    _must_fit(start, state, optional=counts, source=source)
    module.load_state_dict({**{key: start[key] for key in counts}, **state})


def _must_fit(
    start: Mapping[str, Tensor], state: Mapping[str, Tensor], *, optional: Iterable[str], source: str
) -> None:
    """Refuse a state dict that lacks parameters, or has others or of other shapes; all of them named."""
    faults = [f"lacks {key}" for key in sorted(set(start) - set(state) - set(optional))]
    faults += [f"has the unexpected {key}" for key in sorted(set(state) - set(start))]
    shapes = {key: (tuple(state[key].shape), tuple(start[key].shape)) for key in start if key in state}
    misshapen = [key for key, (shape, due) in shapes.items() if shape != due]
    faults += [f"has {key} of shape {shapes[key][0]} instead of {shapes[key][1]}" for key in misshapen]
    if not faults:
        return
    more = f" and {len(faults) - 12} more" if len(faults) > 12 else ""
    message = f"The weights do not fit the network: {source!r} {'; '.join(sorted(faults)[:12])}{more}."
    last = [key for key in start if key.endswith(".weight")][-1:]
    if last and last[0] in misshapen:
        outputs = shapes[last[0]][0][0]
        message += (
            f" Its last layer has {outputs} classes: pass classes={outputs}, or head='new' to start a new one; "
            f"in a study's network write classes: {outputs}."
        )
    raise ValueError(message)


def load_state(module: nn.Module, state: Mapping[str, Tensor], *, source: str) -> tuple[str, ...]:
    """Load a state dict into a network, and say which layers it left as they were.

    The feature-excitation block may be absent from the file (an AlexNet's weights), and so may all fully
    connected layers together (a file of convolutions). Anything else that is missing, unexpected or of another
    shape is an error, all of it named.
    """
    start = module.state_dict()
    missing = [key for key in start if key not in state]
    optional = {key for key in missing if ".gate." in key}
    if not any(key.startswith("classifier.") for key in state):
        optional |= {key for key in missing if key.startswith("classifier.")}
    _must_fit(start, state, optional=optional, source=source)
    module.load_state_dict({**start, **state})
    return tuple(sorted(optional))


def must_be_a_file(path: str | Path) -> Path:
    """Refuse a weights file that is not there, or of a kind that is not read."""
    path = Path(path)
    if path.suffix in ELSEWHERE:
        message = f"Weights of {path.name!r} cannot be read: {ELSEWHERE[path.suffix]}."
        raise ValueError(message)
    if path.suffix not in FORMATS:
        message = (
            f"Unknown weights: {str(path)!r}. Choose random, imagenet, hf://OWNER/REPO/FILE or a file ending in "
            f"{', '.join(FORMATS)}."
        )
        raise ValueError(message)
    if not path.is_file():
        message = f"No such weights file: {str(path)!r}. Check the path."
        raise FileNotFoundError(message)
    return path


def _unwrapped(state: object) -> object:
    while isinstance(state, Mapping) and not any(isinstance(value, Tensor) for value in state.values()):
        inside = [state[name] for name in _WRAPPINGS if isinstance(state.get(name), Mapping)]
        if not inside:  # under another name, if there is no doubt
            inside = [value for value in state.values() if isinstance(value, Mapping) and value
                      and all(isinstance(part, Tensor) for part in value.values())]  # fmt: skip
            if len(inside) != 1:
                return state
        state = inside[0]
    return state
