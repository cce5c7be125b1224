"""Where a network's weights come from: a seed, ImageNet, or a file; checked key by key before they are used."""

import logging
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from urllib.error import URLError

import safetensors.torch
import torch
from torch import Tensor, nn
from torchvision import models

from rsa_face.provenance import rng_from
from rsa_face.untrusted import must_not_swell, reading

log = logging.getLogger(__name__)

IMAGENET = {
    "alexnet": models.AlexNet_Weights.IMAGENET1K_V1,
    "vgg11": models.VGG11_Weights.IMAGENET1K_V1,
    "vgg13": models.VGG13_Weights.IMAGENET1K_V1,
    "vgg16": models.VGG16_Weights.IMAGENET1K_V1,
}
FORMATS = (".safetensors", ".pth", ".pt")
_WRAPPINGS = ("state_dict", "model_state_dict", "model", "net", "network")
_PREFIXES = re.compile(r"^(?:module\.|_orig_mod\.)+")


def start_weights(module: nn.Module, *, seed: int) -> None:
    """Give a network its random starting weights, each layer from a stream of its own.

    Kaiming normal for the convolutions and fully connected layers (He et al. 2015, 10.1109/ICCV.2015.123), biases
    0. A layer's weights depend on the seed and the layer's name alone: not on what was built before, and AlexNet
    and FE-AlexNet of one seed share every layer but the block.

    Parameters
    ----------
    module : nn.Module
        Changed in place.
    seed : int
        0 or more.
    """
    for name, part in module.named_modules():
        if not isinstance(part, nn.Conv2d | nn.Linear):
            continue
        stream = torch.Generator().manual_seed(int(rng_from(seed, "weights", name).integers(2**62)))
        with torch.no_grad():
            nn.init.kaiming_normal_(part.weight, nonlinearity="relu", generator=stream)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


def imagenet_state(network: str) -> dict[str, Tensor]:
    """Return torchvision's ImageNet weights, downloading them the first time.

    The file goes to torch's own cache (``TORCH_HOME``), with a progress bar, and its checksum is verified.

    Parameters
    ----------
    network : str
        ``alexnet``, ``vgg11``, ``vgg13`` or ``vgg16``.

    Returns
    -------
    dict of str to Tensor
        The state dict.

    Raises
    ------
    RuntimeError
        If the download fails; the address, the size and where to put the file by hand are named.
    """
    weights = IMAGENET[network]
    file = imagenet_file(network)
    log.info("ImageNet weights of %s: %s (%.0f MB)", network, weights.url, weights.meta["_file_size"])
    try:
        state = weights.get_state_dict(progress=True, check_hash=True, weights_only=True)
    except (URLError, OSError, RuntimeError) as error:
        message = (
            f"ImageNet weights of {network} must be downloaded once ({weights.meta['_file_size']:.0f} MB), but "
            f"{weights.url} could not be had: {error}. Connect, or put that file at {file}."
        )
        raise RuntimeError(message) from error
    return dict(state)


def imagenet_file(network: str) -> Path:
    """Return where torch keeps torchvision's ImageNet weights once they are downloaded.

    Parameters
    ----------
    network : str
        ``alexnet``, ``vgg11``, ``vgg13`` or ``vgg16``.

    Returns
    -------
    Path
        In torch's own cache (``TORCH_HOME``).
    """
    return Path(torch.hub.get_dir()) / "checkpoints" / str(IMAGENET[network].url).rsplit("/", 1)[-1]


def read_state(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict from a file, never running code that may be in it.

    Parameters
    ----------
    path : str or Path
        ``.safetensors``, or ``.pth``/``.pt`` written by ``torch.save`` (read with ``weights_only=True``).

    Returns
    -------
    dict of str to Tensor
        The state dict, on the CPU.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the ending is another, the file is damaged, holds anything but tensors, or holds code.
    """
    path = must_be_a_file(path)
    then = "Get it anew, or ask for the state dict as safetensors."
    with reading(path, "A weights file must be whole and hold tensors alone", then=then):
        state = _state_in(path)
    state = _unwrapped(state)
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()) or not state:
        message = (
            f"A weights file must hold a state dict (names and tensors), alone or as {', '.join(_WRAPPINGS)}, but "
            f"{str(path)!r} holds other things."
        )
        raise ValueError(message)
    must_not_swell(sum(value.numel() * value.element_size() for value in state.values()), path)
    return {_PREFIXES.sub("", str(key)): value for key, value in state.items()}


def load_state(module: nn.Module, state: Mapping[str, Tensor], *, source: str) -> tuple[str, ...]:
    """Load a state dict into a network, and say which layers it left as they were.

    The feature-excitation block may be absent from the file (an AlexNet's weights), and so may all fully
    connected layers together (a file of convolutions). Anything else that is missing, unexpected or of another
    shape is an error, all of it named.

    Parameters
    ----------
    module : nn.Module
        Changed in place, or left as it was if an error is raised.
    state : mapping of str to Tensor
        The weights.
    source : str
        Where they come from, for the error.

    Returns
    -------
    tuple of str
        The parameters that were not in the file.

    Raises
    ------
    ValueError
        If keys are missing, unexpected or of another shape.
    """
    own = module.state_dict()
    missing = [key for key in own if key not in state]
    optional = {key for key in missing if ".gate." in key}
    if not any(key.startswith("classifier.") for key in state):
        optional |= {key for key in missing if key.startswith("classifier.")}
    faults = [f"lacks {key}" for key in missing if key not in optional]
    faults += [f"has the unexpected {key}" for key in state if key not in own]
    faults += [
        f"has {key} of shape {tuple(state[key].shape)} instead of {tuple(own[key].shape)}"
        for key in own
        if key in state and state[key].shape != own[key].shape
    ]
    if faults:
        more = f" and {len(faults) - 12} more" if len(faults) > 12 else ""
        message = f"Weights must fit the network, but {source!r} {'; '.join(sorted(faults)[:12])}{more}."
        if any("classifier.6" in fault and "shape" in fault for fault in faults):
            found = state["classifier.6.weight"].shape[0]
            message += (
                f" Its last layer has {found} classes: pass classes={found}, or head='new' to start it anew; in a "
                f"study's network write classes: {found}."
            )
        raise ValueError(message)
    module.load_state_dict({**own, **state})
    return tuple(sorted(optional))


def must_be_a_file(path: str | Path) -> Path:
    """Refuse a weights file that is not there, or of a kind that is not read.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    Path
        The same.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the ending is another.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        message = (
            f"Weights must be random, imagenet, hf://OWNER/REPO/FILE or a file ending in {', '.join(FORMATS)}, but "
            f"are {str(path)!r}."
        )
        raise ValueError(message)
    if not path.is_file():
        message = f"A weights file must exist to be read, but there is no file {str(path)!r}. Check the path."
        raise FileNotFoundError(message)
    return path


def _state_in(path: Path) -> object:
    if path.suffix == ".safetensors":
        return safetensors.torch.load_file(path)
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            must_not_swell(sum(part.file_size for part in archive.infolist()), path)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:  # torch's own words say how to run what is in it
        message = "it is none that torch wrote, or holds code or other objects, none of which was run"
        raise UnpicklingError(message) from error


def _unwrapped(state: object) -> object:
    while isinstance(state, Mapping) and not any(isinstance(value, Tensor) for value in state.values()):
        inside = [state[name] for name in _WRAPPINGS if isinstance(state.get(name), Mapping)]
        if not inside:
            return state
        state = inside[0]
    return state
