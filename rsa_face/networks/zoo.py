"""Build one of the five networks: AlexNet, VGG11, VGG13, VGG16, or FE-AlexNet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models

from rsa_face.networks.attention import Attention, insert_attention
from rsa_face.networks.layers import Layer, name_layers, select_layers
from rsa_face.networks.weights import imagenet_state, load_state, read_state, start_weights
from rsa_face.provenance import hash_content
from rsa_face.schema import must_be_known
from rsa_face.stimuli.images import Preprocessing

ARCHITECTURES: dict[str, Callable[..., nn.Module]] = {
    "alexnet": models.alexnet,
    "vgg11": models.vgg11,
    "vgg13": models.vgg13,
    "vgg16": models.vgg16,
    "fe_alexnet": models.alexnet,
}


@dataclass(frozen=True, eq=False)
class Network:
    """A torch module with what is needed to record from it: its layers' names and the input it expects.

    Made by `build_network`; or by hand, for any module (see `rsa_face.networks.layers.name_modules`).

    Parameters
    ----------
    name : str
        What the network is called in every array, table and figure.
    module : nn.Module
        In evaluation mode.
    layers : tuple of Layer
        Where activations can be recorded, in the order they run.
    preprocessing : Preprocessing
        The one its weights were trained with.
    architecture : str
        ``alexnet``, ... or the class of the module.
    weights : str
        ``random``, ``imagenet``, or the file they came from.
    untrained : tuple of str
        Parameters that are still at their random start. A result that rests on them is labelled so.
    outputs : tuple of str
        What the outputs of the last layer stand for (``sad``, ``happy``); empty if nobody has said.
    """

    name: str
    module: nn.Module
    layers: tuple[Layer, ...]
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    architecture: str = "custom"
    weights: str = "given"
    untrained: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def content_hash(self) -> str:
        """Return the sha256 of the weights: of every parameter's name, type, shape and bytes.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        state = {name: _bytes_of(value) for name, value in self.module.state_dict().items()}
        return hash_content({"module": str(self.module), **state})

    def select(self, wanted: str | list[str]) -> tuple[Layer, ...]:
        """Return the layers to record, refusing those that the weights at hand do not reach.

        Parameters
        ----------
        wanted : str or list of str
            ``main``, ``all``, or names.

        Returns
        -------
        tuple of Layer
            In the order they run.

        Raises
        ------
        ValueError
            If a layer is unknown, or the weights file held convolutions alone and the layer lies behind them.
        """
        chosen = select_layers(self.layers, wanted, network=self.name)
        if not self.weights.endswith((".safetensors", ".pth", ".pt")):
            return chosen
        beyond = [layer.name for layer in chosen if self._lacks_weights(layer)]
        if beyond:
            inside = " ".join(layer.name for layer in self.layers if not self._lacks_weights(layer))
            message = (
                f"Layers must have weights to be recorded, but {self.weights!r} of {self.name} lacks {beyond}. "
                f"Choose among those it reaches: {inside}."
            )
            raise ValueError(message)
        return chosen

    def _lacks_weights(self, layer: Layer) -> bool:
        missing = [key for key in self.untrained if key.startswith("classifier.") and ".fe." not in key]
        return bool(missing) and layer.path.startswith("classifier.")


def build_network(
    name: str,
    *,
    weights: str | Path = "random",
    seed: int = 0,
    classes: int = 2,
    attention: Attention | Mapping[str, object] | None = None,
    preprocessing: Preprocessing | None = None,
    label: str | None = None,
) -> Network:
    """Build a network on torchvision's own class, with its weights, in evaluation mode.

    The in-place ReLUs of torchvision are kept; what is recorded from the network is copied, so they do no harm.

    Parameters
    ----------
    name : {"alexnet", "vgg11", "vgg13", "vgg16", "fe_alexnet"}
        The architecture.
    weights : str or Path
        ``random`` (from the seed), ``imagenet`` (torchvision's, downloaded once; the last layer starts anew unless
        there are 1,000 classes), or a ``.safetensors`` or ``.pth`` file in torchvision's layout.
    seed : int
        For all weights that start at random.
    classes : int
        Outputs of the last layer.
    attention : Attention or mapping, optional
        Position and reduction of the feature-excitation block; for ``fe_alexnet`` alone.
    preprocessing : Preprocessing, optional
        What input the weights expect; ImageNet's unless given.
    label : str, optional
        What to call the network in arrays and figures; `name` unless given.

    Returns
    -------
    Network
        On the CPU.

    Raises
    ------
    ValueError
        If the name, position or number of classes is impossible, or the weights do not fit.
    FileNotFoundError
        If the weights file does not exist.
    RuntimeError
        If weights must be downloaded and cannot be.

    Examples
    --------
    >>> network = build_network("fe_alexnet", seed=0)
    >>> [layer.name for layer in network.select("main")]
    ['relu1', 'relu2', 'relu3', 'relu4', 'relu5', 'fe', 'relu6', 'relu7', 'fc8']
    """
    must_be_known(name, ARCHITECTURES, "network")
    if classes < 2:
        message = f"A network must tell at least 2 classes apart, but classes is {classes}. Choose 2 or more."
        raise ValueError(message)
    module = _skeleton(name, classes, _attention_of(name, attention))
    start_weights(module, seed=seed)
    untrained = _fill(module, name, str(weights), classes)
    return Network(
        name=label or name,
        module=module.eval(),
        layers=name_layers(module),
        preprocessing=preprocessing or Preprocessing(),
        architecture=name,
        weights=str(weights),
        untrained=untrained,
    )


def _attention_of(name: str, attention: Attention | Mapping[str, object] | None) -> Attention | None:
    if name != "fe_alexnet":
        if attention is not None:
            message = f"Attention must be asked of fe_alexnet alone, but was asked of {name!r}. Leave it out."
            raise ValueError(message)
        return None
    if attention is None or isinstance(attention, Attention):
        return attention or Attention()
    unknown = sorted(set(attention) - {"position", "reduction"})
    if unknown:
        message = f"Attention must have position and reduction alone, but has {unknown}. Remove these."
        raise ValueError(message)
    return Attention(**attention)  # type: ignore[arg-type]  # the dataclass checks the values


def _skeleton(name: str, classes: int, attention: Attention | None) -> nn.Module:
    with torch.device("meta"):
        module = ARCHITECTURES[name](num_classes=classes)
        if attention is not None:
            insert_attention(module, attention)
    return module.to_empty(device="cpu")


def _fill(module: nn.Module, name: str, weights: str, classes: int) -> tuple[str, ...]:
    if weights == "random":
        return tuple(module.state_dict())
    if weights != "imagenet":
        return load_state(module, read_state(weights), source=weights)
    state = imagenet_state("alexnet" if name == "fe_alexnet" else name)
    fresh = [] if classes == 1000 else ["classifier.6.weight", "classifier.6.bias"]
    kept: dict[str, Tensor] = {key: value for key, value in state.items() if key not in fresh}
    own = module.state_dict()
    left = load_state(module, {**{key: own[key] for key in fresh}, **kept}, source="imagenet")
    return tuple(sorted({*left, *fresh}))


def _bytes_of(value: Tensor) -> object:
    flat = value.detach().cpu().contiguous()
    return flat.view(torch.uint8).numpy() if flat.ndim else flat.item()
