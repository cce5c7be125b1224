"""Weights as others distribute them, converted to a safetensors file that says what it is for."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from rsa_face.networks.attention import find_attention
from rsa_face.networks.reference import skeleton_of
from rsa_face.networks.survey import evaluating, tensors_in
from rsa_face.networks.weights import (
    CONTENT,
    RECORD,
    content_of,
    find_weights,
    inspect_weights,
    names_of_the_five,
    names_without_prefixes,
    read_record,
    read_state,
)
from rsa_face.networks.weights import read_weights as read_weights_of_the_five
from rsa_face.networks.zoo import Network, build_network
from rsa_face.provenance import hash_file, rng_from, sealed
from rsa_face.safety import write_beside
from rsa_face.schema import NETWORKS, is_reference
from rsa_face.stimuli.preprocessing import Preprocessing


@dataclass(frozen=True)
class Conversion:
    """What a conversion did."""

    network: str  # one of the five, or a reference
    out: Path  # the file that was written
    mapped: dict[str, str]  # for each tensor in that file, its name in the original
    left_out: tuple[str, ...]  # tensors of the original that the network has no place for
    missing: tuple[str, ...]  # parameters of the network that the original lacks
    preprocessing: dict[str, object]  # what input the weights expect, which the file carries
    # the least and the largest output of the network for two images of noise, the same from both files
    outputs: tuple[float, float]


def convert_weights(
    weights: str | Path,
    out: str | Path,
    *,
    network: str = "auto",
    layout: str = "auto",
    classes: int | None = None,
    rename: Mapping[str, str] | None = None,
    bgr: bool = False,
    preprocessing: Preprocessing | None = None,
    outputs: Sequence[str] = (),
) -> Conversion:
    """Convert a file of weights to safetensors under the network's own names, and check it by a forward pass.

    The original is read as `build_network` reads it: wrappers' prefixes are taken off, half precision becomes single,
    and no code in it runs. The network is built from both files, and answers two images of noise by the same numbers,
    or nothing is left behind. What the file notes of preprocessing and outputs is what `build_network` takes later.

    Parameters
    ----------
    weights : str or Path
        A file of torch (``.pth``, ``.pt``, ``.bin``, ``.tar``, ``.ckpt``, ``.safetensors``), MatConvNet (``.mat``),
        Caffe (``.caffemodel``) and ONNX (``.onnx``; both need the extra ``onnx``), or Keras (``.h5``); or on the Hub:
        ``hf://OWNER/REPO/FILE``.
    out : str or Path
        A ``.safetensors`` file.
    network : str
        One of the five, a reference such as ``torchvision:resnet50``, or ``auto``: one of the five, recognised by the
        names of tensors.
    layout : str
        Whose file it is, where its names do not say; see `rsa_face.networks.weights.recognise`.
    classes : int, optional
        Outputs of the last layer; those of the file, or of a library's network as the library has it, unless given.
    rename : mapping of str to str, optional
        What begins names in the file, and what does in the network: ``{"classifier.0": "classifier"}``. With a dot in
        front it stands anywhere in names (``{".conv4": ".se_module.fc1"}``); tensors renamed to nothing are left out.
    bgr : bool
        Whether the original takes blue, green, red: its first convolution is turned around. (Oxford's VGGs of Caffe,
        Keras and Torch are known to, and are turned without it.)
    preprocessing : Preprocessing, optional
        What input the weights expect; what belongs to the layout or the library unless given.
    outputs : sequence of str
        What the outputs stand for, in order; a network with ``happy`` and ``sad`` among them can judge valence.

    Returns
    -------
    Conversion
        What was mapped, what not, and the check.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ModuleNotFoundError
        If the reader of Caffe's or ONNX's files is not installed.
    ValueError
        If the weights do not fit the network, `out` is no safetensors file, or the check fails.

    Examples
    --------
    >>> import tempfile
    >>> from torchvision import models
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     wrapped = {f"module.{name}": value for name, value in models.resnet18(weights=None).state_dict().items()}
    ...     torch.save({"state_dict": wrapped, "epoch": 3}, f"{folder}/checkpoint.pth.tar")
    ...     done = convert_weights(f"{folder}/checkpoint.pth.tar", f"{folder}/resnet18.safetensors",
    ...                            network="torchvision:resnet18")
    >>> done.mapped["fc.bias"], done.left_out, done.missing
    ('module.fc.bias', (), ())
    """
    out = Path(out)
    if out.suffix != ".safetensors":
        message = f"Cannot convert to {out.name!r}: its ending is not .safetensors. Choose another name."
        raise ValueError(message)
    original = find_weights(weights)
    written = list(read_state(original))
    with _under_other_names(original, rename or {}) as (file, names):
        keys: dict[str, str] = {}  # where the five have other names than the file, out of its wrappers
        if network == "auto" or network in NETWORKS:
            _, content = read_weights_of_the_five(file, layout=layout)
            network = content.architecture if network == "auto" else network
            classes = classes or content.classes
            keys = content.keys
        built = build_network(network, weights=file, classes=classes, layout=layout, preprocessing=preprocessing)
    if bgr:
        _turn_around(built)
    start = built.module.state_dict()
    plain = names_of_the_five(names) if keys else names_without_prefixes(names, start.__contains__)
    keys = keys or {key: key for key in start if key in plain}
    mapped = {key: names[plain[name]] for key, name in keys.items()}
    tensors = {key: value for key, value in start.items() if key in mapped}
    record = {
        "kind": "network",
        "architecture": network,
        "attention": [block.record() for block in find_attention(built.module)] if network in NETWORKS else [],
        "outputs": list(outputs or built.outputs),
        "preprocessing": built.preprocessing.record(),
        "untrained": list(built.untrained),
        "converted_from": {"file": original.name, "sha256": hash_file(original)},
    }
    with write_beside(out) as beside:
        metadata = {RECORD: json.dumps(sealed({**record, CONTENT: content_of(tensors)}))}
        safetensors.torch.save_file({key: value.contiguous() for key, value in tensors.items()}, beside, metadata)
        limits = _checked(built, build_network(network, weights=beside, classes=classes), outputs)
    return Conversion(
        network,
        out,
        mapped,
        tuple(sorted(set(written) - set(mapped.values()))),
        tuple(sorted(set(start) - set(mapped))),
        built.preprocessing.record(),
        limits,
    )


@contextmanager
def _under_other_names(original: Path, rename: Mapping[str, str]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Give a file of weights under other names, which is removed again, and the names in the original by these."""
    state = read_state(original)
    names = renamed(state, rename)
    if not rename:
        yield original, names
        return
    unused = [old for old in rename if renamed(state, {old: ""}).keys() == set(state)]
    if unused or not names:
        what = f"No name in {original.name!r} begins with {unused}" if unused else "No tensor is left"
        message = f"{what}: it has {', '.join(sorted(state)[:8])}, ... Correct `rename`."
        raise ValueError(message)
    with TemporaryDirectory(prefix="rsa_face-") as folder:
        file = Path(folder) / "renamed.safetensors"
        content = {name: state[old].contiguous().clone() for name, old in names.items()}  # no two share memory
        safetensors.torch.save_file(content, file)
        yield file, names


def renamed(names: Iterable[str], rename: Mapping[str, str]) -> dict[str, str]:
    """Return the old names by the new ones; what is renamed to nothing is left out.

    Examples
    --------
    >>> renamed(["conv1.weight", "layer1.conv1.weight", "logits.bias"],
    ...         {"conv1": "stem", ".conv1": ".first", "logits": ""})
    {'stem.weight': 'conv1.weight', 'layer1.first.weight': 'layer1.conv1.weight'}
    """
    result: dict[str, str] = {}
    for name in names:
        changed = name
        for old, new in rename.items():
            pattern = rf"{re.escape(old)}(?![^.])" if old.startswith(".") else rf"^{re.escape(old)}(?![^.])"
            if not new and re.search(pattern, changed):
                break
            changed = re.sub(pattern, lambda _: new, changed)  # noqa: B023  # called at once
        else:
            if changed in result:
                message = f"{result[changed]!r} and {name!r} would both be {changed!r}. Correct `rename`."
                raise ValueError(message)
            result[changed] = name
    return result


def _turn_around(network: Network) -> None:
    """Let a network's first convolution take red, green, blue in place of blue, green, red."""
    first = next((part for part in network.module.modules() if isinstance(part, nn.Conv2d)), None)
    if first is None or first.weight.shape[1] != 3:
        message = f"{network.name} has no convolution of three colours to turn around. Leave out `bgr`."
        raise ValueError(message)
    with torch.no_grad():
        first.weight.copy_(first.weight.flip(1))


def _checked(built: Network, again: Network, outputs: Sequence[str]) -> tuple[float, float]:
    """Return the range of a network's outputs for noise, or refuse the file if the network from it answers others."""
    side = built.preprocessing.crop
    inputs = torch.from_numpy(rng_from(0, "conversion").normal(size=(2, 3, side, side))).float()
    one, other = ([value for _, value in tensors_in(_answers(network, inputs))] for network in (built, again))
    if not all(torch.equal(a, b) and torch.isfinite(a).all() for a, b in zip(one, other, strict=True)):
        message = f"The converted weights of {built.architecture} do not compute what the original's do. Report this."
        raise ValueError(message)
    if outputs and not any(value.shape[1:] == (len(outputs),) for value in one):
        shapes = ", ".join(str(tuple(value.shape[1:])) for value in one)
        message = f"outputs names {len(outputs)}, but {built.architecture} returns {shapes}. Name each once."
        raise ValueError(message)
    return min(float(value.min()) for value in one), max(float(value.max()) for value in one)


def _answers(network: Network, inputs: Tensor) -> Any:
    with evaluating(network.module), torch.no_grad():
        return network.module(inputs)


def inspect_file(weights: str | Path, *, network: str = "auto", layout: str = "auto") -> dict[str, Any]:
    """Say what a file of weights holds, and what of it a network would load, as `inspect_weights` does of the five.

    A file of none of the five is described by its tensors, unless the network it is for is named.
    """
    file = find_weights(weights)
    state = read_state(file)
    if network == "auto" or network in NETWORKS:
        try:
            return inspect_weights(file, layout=layout)
        except ValueError:
            if network != "auto" or layout != "auto":
                raise
    names = list(state)
    matrices = [name for name in names if state[name].ndim == 2]
    contents: dict[str, Any] = {"file": str(file), "sha256": hash_file(file), "architecture": network}
    if is_reference(network):
        start = skeleton_of(network)
        plain = names_without_prefixes(names, start.__contains__)
        fits = {key: state[plain[key]].shape == value.shape for key, value in start.items() if key in plain}
        contents |= {
            "loads": sum(fits.values()),
            "of another shape": [f"{key} {tuple(state[plain[key]].shape)}" for key, fit in fits.items() if not fit],
            "unknown": sorted(set(plain) - set(start)),
            "missing": [key for key in start if key not in plain and not key.endswith("num_batches_tracked")],
        }
    else:
        contents["architecture"] = "none of the five; name it by --network to see what loads"
    return contents | {
        "tensors": len(names),
        "numbers": sum(value.numel() for value in state.values()),
        "types": sorted({str(value.dtype).removeprefix("torch.") for value in state.values()}),
        "first": f"{names[0]} {tuple(state[names[0]].shape)}",
        "last": f"{names[-1]} {tuple(state[names[-1]].shape)}",
        "classes": state[matrices[-1]].shape[0] if matrices else None,
        "preprocessing": read_record(file).get("preprocessing"),
    }
