"""The five architectures: torchvision's own classes, with the feature-excitation blocks of FE-AlexNet put in."""

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn
from torchvision import models

from rsa_face.networks.attention import insert_attention
from rsa_face.networks.settings import Attention
from rsa_face.schema import must_be_known

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "alexnet": models.alexnet,
    "vgg11": models.vgg11,
    "vgg13": models.vgg13,
    "vgg16": models.vgg16,
    "fe_alexnet": models.alexnet,
}


def count_parameters(
    name: str, *, classes: int = 2, attention: Attention | Sequence[Attention] = ()
) -> dict[str, int]:
    """Count a network's parameters without building it.

    Parameters
    ----------
    name : str
        The architecture.
    classes : int
        Outputs of the last layer.
    attention : Attention or sequence of Attention
        The feature-excitation blocks; for ``fe_alexnet`` one after pool5 unless given.

    Returns
    -------
    dict of str to int
        `features`, `attention`, `classifier` and `all`.

    Examples
    --------
    >>> count_parameters("alexnet", classes=1000)["all"]
    61100840
    """
    must_be_known(name, ARCHITECTURES, "network")
    with torch.device("meta"):
        module = ARCHITECTURES[name](num_classes=classes)
        blocks = attention_of(name, attention or None)
        if blocks:
            insert_attention(module, blocks)
    counts = {"features": 0, "attention": 0, "classifier": 0}
    for key, parameter in module.named_parameters():
        counts["attention" if ".gate." in key else key.split(".")[0]] += parameter.numel()
    return {**counts, "all": sum(counts.values())}


def attention_of(name: str, attention: object) -> tuple[Attention, ...]:
    """Return the feature-excitation blocks that a network is asked to have.

    Parameters
    ----------
    name : str
        The architecture.
    attention : Attention, mapping, sequence of these, or None
        Position, reduction and bias of each; None for one block after pool5.

    Returns
    -------
    tuple of Attention
        Empty for all but ``fe_alexnet``.

    Raises
    ------
    ValueError
        If blocks are asked of another network, or a setting is unknown or impossible.
    """
    if name != "fe_alexnet":
        if attention is not None:
            message = f"Attention must be asked of fe_alexnet alone, but was asked of {name!r}. Leave it out."
            raise ValueError(message)
        return ()
    if attention is None:
        return (Attention(),)
    blocks = [attention] if isinstance(attention, Attention | Mapping) else list(attention)  # type: ignore[call-overload]
    return tuple(Attention.of(block) for block in blocks)


def make_skeleton(name: str, classes: int, attention: tuple[Attention, ...], *, device: str = "cpu") -> nn.Module:
    """Build a network without drawing its weights, which are whatever lay in memory.

    Parameters
    ----------
    name : str
        The architecture.
    classes : int
        Outputs of the last layer.
    attention : tuple of Attention
        The feature-excitation blocks.
    device : str
        ``cpu``, or ``meta`` for a network without memory, whose layers can be named and counted.

    Returns
    -------
    nn.Module
        There.
    """
    with torch.device("meta"):
        module = ARCHITECTURES[name](num_classes=classes)
        if attention:
            insert_attention(module, attention)
    return module.to_empty(device=device)
