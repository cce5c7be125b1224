"""Files of weights from anywhere: fetched if need be, recognised, and put under the names of their network."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from rsa_face.networks.layouts import Layout, keys_of, recognise
from rsa_face.networks.settings import Attention
from rsa_face.networks.weights import must_be_a_file, read_state
from rsa_face.provenance import hash_content, hash_file, unsealed
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.untrusted import reading

log = logging.getLogger(__name__)

RECORD, CONTENT = "rsa_face", "content_blake3"
HUB = "hf://"


def read_weights(
    path: str | Path, *, layout: str = "auto", attention: Sequence[Attention] = ()
) -> tuple[dict[str, Tensor], Layout]:
    """Read a file of weights in any of the layouts, under the names of the network it is for.

    What this package wrote brings its preprocessing, outputs and untrained parameters with it; for other files
    these are the layout's. A first convolution that takes blue, green, red is turned around, so that every
    network takes red, green, blue.

    Parameters
    ----------
    path : str or Path
        See `read_state`.
    layout : str
        ``auto``, or one of `rsa_face.networks.layouts.LAYOUTS`.
    attention : sequence of Attention
        Where a block stands whose name in the file does not say.

    Returns
    -------
    dict of str to Tensor, Layout
        The state dict, names the layout does not know included; and what the file is.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file cannot be read, or no layout fits.
    """
    record = read_record(path)
    state = read_state(path)
    must_be_unchanged(state, record, path)
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    whole, then = "What this package notes in a file of weights must be whole", "Choose another file."
    with reading(Path(path), whole, then=then):
        told = [Attention(**block) for block in record.get("attention", [])] or attention
    found = recognise(shapes, layout=layout, source=str(path), attention=told)
    with reading(Path(path), whole, then=then):
        found = with_record(found, record)
    mine = {own: _fitted(own, state[name]) for own, name in found.keys.items()}
    if found.reverses_colours and "features.0.weight" in mine:
        mine["features.0.weight"] = mine["features.0.weight"].flip(1)
    return mine | {name: state[name] for name in found.unknown}, found


def content_of(tensors: Mapping[str, Tensor]) -> str:
    """Return the BLAKE3 hash of tensors: a file of weights has no checksum of its own, and a flipped bit looks sound.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        By name.

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    plain = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    return hash_content(
        {
            name: value.view(torch.uint8).numpy() if value.ndim else [str(value.dtype), value.item()]
            for name, value in plain.items()
        }
    )


def must_be_unchanged(tensors: Mapping[str, Tensor], record: Mapping[str, Any], path: str | Path) -> None:
    """Refuse tensors that are not those the file was written with.

    Parameters
    ----------
    tensors : mapping of str to Tensor
        As read.
    record : mapping
        From `read_record`; files of other origin say nothing.
    path : str or Path
        The file.

    Raises
    ------
    ValueError
        If a byte of them has changed.
    """
    if record.get(CONTENT) not in (None, content_of(tensors)):
        message = (
            f"A file of weights must be as it was written, but {str(path)!r} has changed: its tensors lack the hash"
            " noted in it. Remove it: the training that wrote it runs anew."
        )
        raise ValueError(message)


def read_record(path: str | Path) -> dict[str, Any]:
    """Read what this package noted in a file of weights, without reading the weights.

    Parameters
    ----------
    path : str or Path
        Any file of weights.

    Returns
    -------
    dict
        Settings, preprocessing, history; empty for files of other origin.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is cut short, or what was noted has changed.
    """
    path = must_be_a_file(path)
    if path.suffix != ".safetensors":
        return {}
    with reading(path, "A weights file must be whole and hold tensors alone", then="Get it anew."):
        with safe_open(path, framework="pt") as opened:
            found = (opened.metadata() or {}).get(RECORD, "{}")
        record = json.loads(found)
    if not isinstance(record, dict):
        message = (
            f"What this package notes in a file of weights must have keys, but {str(path)!r} has {found[:60]!r}."
        )
        raise ValueError(message)
    return unsealed(record, path, then="Remove it: the training that wrote it runs anew.")


def with_record(layout: Layout, record: Mapping[str, Any]) -> Layout:
    """Return a layout with what this package noted in the file.

    Parameters
    ----------
    layout : Layout
        As recognised.
    record : mapping
        From `read_record`.

    Returns
    -------
    Layout
        The same, if nothing was noted.
    """
    if "preprocessing" not in record:
        return layout
    told: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value for key, value in record["preprocessing"].items()
    }
    return replace(
        layout,
        preprocessing=Preprocessing(**told),
        outputs=tuple(record.get("outputs", ())),
        untrained=tuple(record.get("untrained", ())),
    )


def find_weights(weights: str | Path) -> Path:
    """Return the file that holds some weights, fetching it first if it lies on the Hugging Face Hub.

    Parameters
    ----------
    weights : str or Path
        A path, or ``hf://OWNER/REPO/FILE``, with ``@REVISION`` after the repository for a fixed version.

    Returns
    -------
    Path
        A file here; the Hub's goes to its own cache.

    Raises
    ------
    ModuleNotFoundError
        If the Hub's client is not installed.
    RuntimeError
        If the Hub cannot be reached, or has no such file.
    """
    if not str(weights).startswith(HUB):
        return Path(weights)
    hub, place = find_hub(str(weights))
    log.info("weights from the Hugging Face Hub: %s", weights)
    try:
        return Path(hub.hf_hub_download(**place))
    except (OSError, ValueError, RuntimeError) as error:
        message = f"Weights on the Hub must be reachable once, but {str(weights)!r} could not be had: {error}"
        raise RuntimeError(message) from error


def find_hub(weights: str) -> tuple[Any, dict[str, str | None]]:
    """Return the Hub's client and what it is asked for, so that a wrong address is known before any time is spent.

    Parameters
    ----------
    weights : str
        ``hf://OWNER/REPO/FILE``, or with ``@REVISION`` after the repository. Nothing is downloaded.

    Returns
    -------
    module, dict
        ``huggingface_hub``, and what its ``hf_hub_download`` takes.

    Raises
    ------
    ValueError
        If the address has another form.
    ModuleNotFoundError
        If the Hub's client is not installed.
    """
    address = re.fullmatch(r"hf://([\w.-]+/[\w.-]+?)(?:@([\w./-]+?))?/([^@]+)", weights)
    if address is None:
        message = f"Weights on the Hub must be hf://OWNER/REPO/FILE (or REPO@REVISION), but are {weights!r}."
        raise ValueError(message)
    try:
        hub = import_module("huggingface_hub")
    except ModuleNotFoundError as error:
        message = (
            f"Weights on the Hub need huggingface_hub, but it is not here: pip install 'rsa-face[hf]' ({weights})"
        )
        raise ModuleNotFoundError(message) from error
    return hub, {"repo_id": address[1], "filename": address[3], "revision": address[2]}


def _fitted(key: str, value: Tensor) -> Tensor:
    # a fully connected layer that was published as a convolution over the whole map
    return value.flatten(1) if key.startswith("classifier.") and value.ndim == 4 else value


def inspect_weights(weights: str | Path, *, layout: str = "auto") -> dict[str, Any]:
    """Say what a file of weights holds and what of it would load, without building a network.

    Parameters
    ----------
    weights : str or Path
        A file, or ``hf://OWNER/REPO/FILE``.
    layout : str
        ``auto``, or one of `rsa_face.networks.layouts.LAYOUTS`.

    Returns
    -------
    dict
        `file`, `sha256`, `layout`, `architecture`, `classes`, `outputs`, `attention`, `preprocessing`, `loads` (how
        many tensors), `unknown` (in the file, for nothing), `missing` (in the network, not in the file).

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file cannot be read, or no layout fits.
    """
    file = find_weights(weights)
    _, found = read_weights(file, layout=layout)
    return {
        "file": str(file),
        "sha256": hash_file(file),
        "layout": found.name,
        "architecture": found.architecture,
        "classes": found.classes,
        "outputs": list(found.outputs),
        "attention": [f"{block.position} / {block.reduction}" for block in found.attention],
        "preprocessing": found.preprocessing.record(),
        "loads": len(found.keys),
        "unknown": list(found.unknown),
        "missing": [key for key in keys_of(found.architecture, found.attention) if key not in found.keys],
    }
