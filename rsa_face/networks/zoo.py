"""Networks: AlexNet, FE-AlexNet and VGGs on torchvision's own classes, and what is needed to record from any."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision import models

from rsa_face.networks.attention import insert_attention
from rsa_face.networks.layers import Layer, name_layers, select_layers
from rsa_face.networks.settings import Attention
from rsa_face.networks.weights import (
    Layout,
    find_weights,
    imagenet_file,
    imagenet_state,
    load_state,
    read_weights,
    start_weights,
)
from rsa_face.provenance import hash_content, hash_file
from rsa_face.safety import check_name, must_be_plain_names
from rsa_face.schema import NETWORKS, must_be_known
from rsa_face.stimuli.preprocessing import Preprocessing

ANSWERS = ("sad", "happy")


@dataclass(frozen=True, eq=False)
class Network:
    """A torch module with what is needed to record from it: its layers' names and the input it expects.

    Made by `build_network`; or by hand, for any module (see `rsa_face.networks.layers.name_modules`).

    Parameters
    ----------
    name : str
        What the network is called in every array, table and figure. Files are called by it: a plain name, or several
        with slashes between (``alexnet/imagenet/0``).
    module : nn.Module
        In any mode: recording happens in evaluation mode, and leaves mode, parameters and buffers as they were.
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
    weights_sha256 : str
        Of the file the weights came from; empty if they came from none.
    """

    name: str
    module: nn.Module
    layers: tuple[Layer, ...]
    preprocessing: Preprocessing = field(default_factory=Preprocessing)
    architecture: str = "custom"
    weights: str = "given"
    untrained: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    weights_sha256: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_name(self.name, "The network name", nested=True))
        must_be_plain_names([self.name], "network name", "this network")

    def content_hash(self) -> str:
        """Return the BLAKE3 hash of the weights: of every parameter's name, type, shape and bytes.

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
                f"{self.weights!r} holds no weights of {self.name} for {beyond}. "
                f"Choose among those it reaches: {inside}."
            )
            raise ValueError(message)
        return chosen

    def rests_on_random(self, layer: Layer) -> bool:
        """Say whether a layer's activations depend on a parameter that is still at its random start.

        Parameters
        ----------
        layer : Layer
            One of the network's.

        Returns
        -------
        bool
            True if such a parameter lies at or before the layer.
        """
        paths = [before.path for before in self.layers if before.order <= layer.order]
        return any(key.startswith(f"{path}.") for path in paths for key in self.untrained)

    def _lacks_weights(self, layer: Layer) -> bool:
        missing = [key for key in self.untrained if key.startswith("classifier.") and ".fe." not in key]
        return bool(missing) and layer.path.startswith("classifier.")


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Put every module of a network in evaluation mode for a while, so that nothing is drawn, averaged or learnt.

    In training mode, dropout draws, and batch normalization takes the mean of whatever batch is at hand and adds it
    to its running mean: what is recorded would differ between runs, and the network with it. On every way out each
    module has the mode that it had, and each buffer its values, though a forward pass of its own making wrote to it.
    """
    training = [part for part in module.modules() if part.training]
    buffers = [(part._buffers, name, buffer, buffer.clone()) for part in module.modules()
               for name, buffer in part._buffers.items() if buffer is not None]  # fmt: skip
    for part in training:
        part.training = False  # not by eval(), which networks with frozen layers override
    try:
        yield
    finally:
        for part in training:
            part.training = True
        with torch.no_grad():
            for registered, name, buffer, before in buffers:
                registered[name] = buffer
                if not torch.equal(buffer, before):
                    buffer.copy_(before)


def build_network(
    name: str,
    *,
    weights: str | Path = "random",
    seed: int = 0,
    classes: int = 2,
    attention: Attention | Mapping[str, object] | Sequence[Attention | Mapping[str, object]] | None = None,
    preprocessing: Preprocessing | None = None,
    label: str | None = None,
    layout: str = "auto",
    head: str = "file",
) -> Network:
    """Build a network on torchvision's own class, with its weights, in evaluation mode.

    The in-place ReLUs of torchvision are kept; what is recorded from the network is copied, so they do no harm.

    Parameters
    ----------
    name : str
        The architecture: ``alexnet``, ``fe_alexnet``, ``vgg11``, ... (``rsa-face networks`` lists them).
    weights : str or Path
        ``random`` (from the seed), ``imagenet`` (torchvision's, downloaded once; the last layer starts anew unless
        there are 1,000 classes), a ``.safetensors`` or ``.pth`` file, or ``hf://OWNER/REPO/FILE``.
    seed : int
        For all weights that start at random.
    classes : int
        Outputs of the last layer.
    attention : Attention or mapping, or sequence of these, optional
        Position, reduction and bias of the feature-excitation blocks; for ``fe_alexnet`` alone. Those of the file
        unless given, or one after pool5.
    preprocessing : Preprocessing, optional
        What input the weights expect; what belongs to the file or its layout, or ImageNet's, unless given.
    label : str, optional
        What to call the network in arrays, figures and files; `name` unless given. See `Network`.
    layout : str
        Whose file it is, where its keys do not say: see `rsa_face.networks.weights.recognise`.
    head : {"file", "new", "classifier"}
        Whether the last layer is the file's, or starts from the seed, to transfer weights to other classes;
        ``classifier``: all fully connected layers start from the seed.

    Returns
    -------
    Network
        On the CPU.

    Raises
    ------
    ValueError
        If the name, label, position or number of classes is impossible, or the weights do not fit.
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
    must_be_known(name, NETWORKS, "network")
    must_be_known(head, ("file", "new", "classifier"), "head")
    check_name(
        name if label is None else label, "The network name", nested=True
    )  # before anything is read or downloaded
    if classes < 2:
        message = f"classes is {classes}: a network has 2 or more."
        raise ValueError(message)
    blocks = attention_of(name, attention)
    source = _Source(str(weights))
    if source.name == "imagenet":
        source = _read_imagenet(name)
    elif source.name != "random":
        source = _read_source(source.name, layout, name, blocks=blocks, asked=attention is not None)
        if attention is None and source.layout is not None and source.layout.attention:
            blocks = source.layout.attention
    module = make_skeleton(name, classes, blocks)
    start_weights(module, seed=seed)
    untrained = _fill(module, source, classes, head)
    found = source.layout
    return Network(
        name=name if label is None else label,
        module=module.eval(),
        layers=name_layers(module),
        preprocessing=preprocessing or (found.preprocessing if found else Preprocessing()),
        architecture=name,
        weights=source.name,
        untrained=untrained,
        outputs=found.outputs if found and head == "file" and len(found.outputs) == classes else (),
        weights_sha256=source.sha256,
    )


@dataclass(frozen=True, eq=False)
class _Source:
    name: str
    state: dict[str, Tensor] = field(default_factory=dict)
    layout: Layout | None = None
    sha256: str = ""


def _read_imagenet(network: str) -> _Source:
    state, file = imagenet_state(network), imagenet_file(network)
    return _Source("imagenet", state, sha256=hash_file(file) if file.is_file() else "")


def _read_source(weights: str, layout: str, network: str, *, blocks: tuple[Attention, ...], asked: bool) -> _Source:
    file = find_weights(weights)
    state, found = read_weights(file, layout=layout, attention=blocks)
    if found.architecture != network and found.architecture != NETWORKS[network].builder:
        message = (
            f"{weights!r} holds {found.architecture} (layout {found.name}), not {network}. "
            f"Build {found.architecture}, or choose another file."
        )
        raise ValueError(message)
    here, there = ([block.position for block in each] for each in (blocks, found.attention))
    if asked and there and here != there:
        message = f"{weights!r} has attention at {there}, not at {here}. Leave attention out, or choose another file."
        raise ValueError(message)
    return _Source(weights, state, found, hash_file(file))


def _fill(module: nn.Module, source: _Source, classes: int, head: str) -> tuple[str, ...]:
    if source.name == "random":
        return tuple(module.state_dict())
    last = ["classifier.6.weight", "classifier.6.bias"]
    if source.name == "imagenet":
        state = source.state
        fresh = [] if classes == 1000 and head == "file" else last
    else:
        state, fresh = source.state, last if head == "new" else []
    own = module.state_dict()
    if head == "classifier":
        state = {key: value for key, value in state.items() if not key.startswith("classifier.")}
    kept: dict[str, Tensor] = {key: value for key, value in state.items() if key not in fresh}
    has_head = any(key.startswith("classifier.") for key in kept)
    left = load_state(module, {**{key: own[key] for key in fresh if has_head}, **kept}, source=source.name)
    before = set(source.layout.untrained) if source.layout else set()
    return tuple(sorted({*left, *fresh, *before}))


def _bytes_of(value: Tensor) -> object:
    flat = value.detach().cpu().contiguous()
    return flat.view(torch.uint8).numpy() if flat.ndim else flat.item()


def count_parameters(
    name: str, *, classes: int = 2, attention: Attention | Sequence[Attention] = ()
) -> dict[str, int]:
    """Count a network's parameters without building it.

    Examples
    --------
    >>> count_parameters("alexnet", classes=1000)["all"]
    61100840
    """
    must_be_known(name, NETWORKS, "network")
    with torch.device("meta"):
        module = _builder(name)(num_classes=classes)
        blocks = attention_of(name, attention or None)
        if blocks:
            insert_attention(module, blocks)
    counts = {"features": 0, "attention": 0, "classifier": 0}
    for key, parameter in module.named_parameters():
        counts["attention" if ".gate." in key else key.split(".")[0]] += parameter.numel()
    return {**counts, "all": sum(counts.values())}


def attention_of(name: str, attention: object) -> tuple[Attention, ...]:
    """Return the feature-excitation blocks that a network is asked to have."""
    if not NETWORKS[name].attention:
        if attention is not None:
            can = ", ".join(network for network, row in NETWORKS.items() if row.attention)
            message = f"{name!r} takes no attention, only {can} does. Leave it out."
            raise ValueError(message)
        return ()
    if attention is None:
        return (Attention(),)
    blocks = [attention] if isinstance(attention, Attention | Mapping) else list(attention)  # type: ignore[call-overload]
    return tuple(Attention.of(block) for block in blocks)


def _builder(name: str) -> Callable[..., nn.Module]:
    builder: Callable[..., nn.Module] = getattr(models, NETWORKS[name].builder)
    return builder


def make_skeleton(name: str, classes: int, attention: tuple[Attention, ...], *, device: str = "cpu") -> nn.Module:
    """Build a network without drawing its weights, which are whatever lay in memory."""
    with torch.device("meta"):
        module = _builder(name)(num_classes=classes)
        if attention:
            insert_attention(module, attention)
    return module.to_empty(device=device)


def answer_places(network: Network) -> tuple[int, int]:
    """Return which of a network's outputs stand for sad and for happy."""
    if not network.outputs and _width(network) == 2:
        return 0, 1
    lacking = [answer for answer in ANSWERS if answer not in network.outputs]
    if lacking:
        named = list(network.outputs) or f"{_width(network)} outputs without names"
        message = f"{network.name} has no outputs for sad and happy, only {named}."
        raise ValueError(message + " Train it for valence first.")
    return network.outputs.index("sad"), network.outputs.index("happy")


def _width(network: Network) -> int:
    biases = [value for name, value in network.module.named_parameters() if name.endswith("weight")]
    return int(biases[-1].shape[0])
