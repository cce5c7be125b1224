"""Which layers of a network learn, and which stay as they are and need computing only once."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rsa_face.networks.attention import FeatureExcitation
from rsa_face.networks.zoo import Network
from rsa_face.training.batches import Pictures


@dataclass(frozen=True, eq=False)
class Halves:
    """A network as what runs unchanged and what learns.

    Parameters
    ----------
    fixed : nn.Sequential
        The layers before the first that learns; empty if all do. In evaluation mode.
    learning : nn.Sequential
        The rest, with the activation functions, pooling and dropout between.
    frozen : tuple of str
        Parameters that stay as they are; some may lie in `learning`, behind a block that learns.
    """

    fixed: nn.Sequential
    learning: nn.Sequential
    frozen: tuple[str, ...]

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the logits, with gradients from the learning part alone.

        Parameters
        ----------
        inputs : Tensor, shape (image, 3, row, column)
            A batch.

        Returns
        -------
        Tensor, shape (image, class)
            The logits.
        """
        with torch.no_grad():
            held = self.fixed(inputs)
        logits: Tensor = self.learning(held)
        return logits


def split_network(network: Network, module: nn.Module, freeze: str) -> Halves:
    """Mark which parameters learn, and cut the network before the first that does.

    A feature-excitation block always learns: it is the mechanism under study, and no pre-training brings its
    weights.

    Parameters
    ----------
    network : Network
        For the names of its layers.
    module : nn.Module
        The copy of its module that is being trained. Its parameters' `requires_grad` is set.
    freeze : str
        ``none``, ``features``, or a layer's name.

    Returns
    -------
    Halves
        Sharing the module's parameters.

    Raises
    ------
    ValueError
        If there is no such layer, or nothing would be left to learn.
    """
    stages = list(_stages(module))
    last = _last_frozen(network, stages, freeze)
    frozen: list[str] = []
    for place, (path, stage) in enumerate(stages):
        learns = place > last or isinstance(stage, FeatureExcitation)
        for name, parameter in stage.named_parameters():
            parameter.requires_grad_(learns)
            frozen += [] if learns else [f"{path}.{name}" if path else name]
    cut = _first_to_run_anew([stage for _, stage in stages], last)
    halves = Halves(
        nn.Sequential(*[stage for _, stage in stages[:cut]]).eval(),
        nn.Sequential(*[stage for _, stage in stages[cut:]]),
        tuple(frozen),
    )
    if not any(parameter.requires_grad for parameter in halves.learning.parameters()):
        message = (
            f"Some layer must learn, but freeze is {freeze!r}, the last of {network.name}. Choose one before it."
        )
        raise ValueError(message)
    return halves


@torch.no_grad()
def compute_fixed(halves: Halves, pictures: Pictures, *, batch: int, device: torch.device) -> Pictures:
    """Run the unchanging layers once over all images, in place of once an epoch.

    Parameters
    ----------
    halves : Halves
        The network.
    pictures : Pictures
        What it sees; not varied.
    batch : int
        Images at a time.
    device : torch.device
        Where the network is.

    Returns
    -------
    Pictures
        With what the unchanging layers computed as inputs, on the CPU.
    """
    order = range(len(pictures.table))
    parts = [halves.fixed(inputs.to(device)).cpu() for _, inputs in pictures.batches(order, batch)]
    return Pictures(pictures.table, pictures.preprocessing, torch.cat(parts), pictures.skipped)


def _stages(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    if not all(hasattr(module, part) for part in ("features", "avgpool", "classifier")):
        yield "", module
        return
    for name, child in module.features.named_children():  # type: ignore[union-attr]  # torchvision's
        yield f"features.{name}", child
    yield "avgpool", module.avgpool  # type: ignore[misc]  # a module of torchvision's
    yield "flatten", nn.Flatten()
    for name, child in module.classifier.named_children():  # type: ignore[union-attr]
        yield f"classifier.{name}", child


def _last_frozen(network: Network, stages: list[tuple[str, nn.Module]], freeze: str) -> int:
    if freeze == "none":
        return -1
    paths = [path for path, _ in stages]
    if freeze == "features" and "avgpool" in paths:
        return paths.index("avgpool") - 1
    found = [layer.path for layer in network.layers if layer.name == freeze]
    if not found or found[0].removesuffix(".gate") not in paths:
        names = " ".join(layer.name for layer in network.layers)
        message = f"freeze must be none, features or a layer of {network.name}, but is {freeze!r}. It has {names}."
        raise ValueError(message)
    return paths.index(found[0].removesuffix(".gate"))


def _first_to_run_anew(stages: list[nn.Module], last: int) -> int:
    for place, stage in enumerate(stages):
        learns = any(parameter.requires_grad for parameter in stage.parameters())
        if last < 0 or learns or (place > last and isinstance(stage, nn.Dropout)):
            return place
    return len(stages)
