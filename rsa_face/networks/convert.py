"""Weights as others distribute them, converted to a safetensors file that says what it is for."""

import json
from dataclasses import dataclass
from pathlib import Path

import safetensors.torch
import torch

from rsa_face.networks.attention import find_attention
from rsa_face.networks.weights import (
    CONTENT,
    RECORD,
    content_of,
    find_weights,
    names_of_the_five,
    names_without_prefixes,
    read_state,
)
from rsa_face.networks.weights import read_weights as read_weights_of_the_five
from rsa_face.networks.zoo import Network, build_network
from rsa_face.provenance import hash_file, rng_from, sealed
from rsa_face.safety import write_beside
from rsa_face.schema import NETWORKS


@dataclass(frozen=True)
class Conversion:
    """What a conversion did.

    Parameters
    ----------
    network : str
        One of the five, or a reference.
    out : Path
        The file that was written.
    mapped : dict of str to str
        For each tensor in that file, its name in the original.
    left_out : tuple of str
        Tensors of the original that the network has no place for.
    missing : tuple of str
        Parameters of the network that the original lacks.
    preprocessing : dict
        What input the weights expect, which the file carries.
    outputs : tuple of float
        The least and the largest output of the network for two images of noise, the same from both files.
    """

    network: str
    out: Path
    mapped: dict[str, str]
    left_out: tuple[str, ...]
    missing: tuple[str, ...]
    preprocessing: dict[str, object]
    outputs: tuple[float, float]


def convert_weights(
    weights: str | Path,
    out: str | Path,
    *,
    network: str = "auto",
    layout: str = "auto",
    classes: int | None = None,
) -> Conversion:
    """Convert a file of weights to safetensors under the network's own names, and check it by a forward pass.

    The original is read as `build_network` reads it: wrappers' prefixes are taken off, half precision becomes single,
    and no code in it runs. The network is built from both files, and answers two images of noise by the same numbers,
    or nothing is left behind.

    Parameters
    ----------
    weights : str or Path
        A file (``.pth``, ``.pt``, ``.bin``, ``.tar``, ``.ckpt``, ``.safetensors``, MatConvNet's ``.mat``), or on the
        Hub: ``hf://OWNER/REPO/FILE``.
    out : str or Path
        A ``.safetensors`` file.
    network : str
        One of the five, a reference such as ``torchvision:resnet50``, or ``auto``: one of the five, recognised by the
        names of tensors.
    layout : str
        Whose file it is, where its names do not say; see `rsa_face.networks.weights.recognise`.
    classes : int, optional
        Outputs of the last layer; those of the file, or of a library's network as the library has it, unless given.

    Returns
    -------
    Conversion
        What was mapped, what not, and the check.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
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
    file = find_weights(weights)
    in_file = list(read_state(file))
    keys: dict[str, str] = {}  # where the five have other names than the file, out of its wrappers
    if network == "auto" or network in NETWORKS:
        _, content = read_weights_of_the_five(file, layout=layout)
        network = content.architecture if network == "auto" else network
        classes = classes or content.classes
        keys = content.keys
    built = build_network(network, weights=file, classes=classes, layout=layout)
    start = built.module.state_dict()
    names = names_of_the_five(in_file) if keys else names_without_prefixes(in_file, start.__contains__)
    keys = keys or {key: key for key in start if key in names}
    mapped = {key: names[name] for key, name in keys.items()}
    tensors = {key: value for key, value in start.items() if key in mapped}
    record = {
        "kind": "network",
        "architecture": network,
        "attention": [block.record() for block in find_attention(built.module)] if network in NETWORKS else [],
        "outputs": list(built.outputs),
        "preprocessing": built.preprocessing.record(),
        "untrained": list(built.untrained),
        "converted_from": {"file": file.name, "sha256": hash_file(file)},
    }
    with write_beside(out) as beside:
        metadata = {RECORD: json.dumps(sealed({**record, CONTENT: content_of(tensors)}))}
        safetensors.torch.save_file({key: value.contiguous() for key, value in tensors.items()}, beside, metadata)
        outputs = _checked(built, build_network(network, weights=beside, classes=classes))
    return Conversion(
        network,
        out,
        mapped,
        tuple(sorted(set(in_file) - set(mapped.values()))),
        tuple(sorted(set(start) - set(mapped))),
        built.preprocessing.record(),
        outputs,
    )


def _checked(built: Network, again: Network) -> tuple[float, float]:
    """Return the range of a network's outputs for noise, or refuse the file if the network from it answers others."""
    side = built.preprocessing.crop
    inputs = torch.from_numpy(rng_from(0, "conversion").normal(size=(2, 3, side, side))).float()
    with torch.no_grad():
        one, other = built.module(inputs), again.module(inputs)
    if not (torch.equal(one, other) and torch.isfinite(one).all()):
        message = f"The converted weights of {built.architecture} do not compute what the original's do. Report this."
        raise ValueError(message)
    return float(one.min()), float(one.max())
