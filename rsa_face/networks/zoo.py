"""Networks: AlexNet, FE-AlexNet and VGGs on torchvision's own classes, and what is needed to record from any."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import torch
from torch import Tensor, nn
from torchvision import models

from rsa_face import markup
from rsa_face.networks.attention import insert_attention
from rsa_face.networks.formats import FORMATS
from rsa_face.networks.layers import Layer, name_layers, select_layers
from rsa_face.networks.reference import build_reference
from rsa_face.networks.settings import Attention
from rsa_face.networks.survey import Survey, evaluating, survey, unwrapped
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
from rsa_face.schema import (
    LIBRARY,
    NETWORKS,
    TRAINING_UNKNOWN,
    UNTRAINED,
    is_builder,
    is_reference,
    label_of,
    must_be_known,
    must_be_network,
)
from rsa_face.stimuli.preprocessing import Preprocessing

ANSWERS = ("sad", "happy")


@dataclass(frozen=True, eq=False)
class Network:
    """A torch module with what is needed to record from it: its layers' names and the input it expects.

    Made by `build_network`, or of any module by `Network.from_module`.

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
    trained : bool or None
        Whether its weights were learnt, but for those in `untrained`; None where nobody has said: every figure is
        then labelled "training unknown".
    survey : Survey
        What a forward pass has shown of the modules; empty for the five networks, whose modules are known.

    Examples
    --------
    >>> network = build_network("torchvision:resnet18", label="resnet", seed=0)
    >>> [layer.name for layer in network.select("main")][-3:]
    ['layer4.0', 'layer4.1', 'fc']
    >>> [layer.name for layer in network.select(["layer4.1.relu", "layer*"])][-3:]
    ['layer4.1.relu@0', 'layer4.1.relu@1', 'layer4']
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
    trained: bool | None = None
    survey: Survey = field(default_factory=Survey)

    def _repr_html_(self) -> str:
        """Show in a notebook what the network is, and the layers that can be recorded with their shapes."""
        shapes = _shapes_of(self)
        trained = {True: "trained", False: "untrained", None: "training unknown"}[self.trained]
        if self.untrained:
            trained = f"untrained: {len(self.untrained)} parameters"
        main = {layer.name for layer in self.select("main")}
        rows = [("*" if layer.name in main else "", layer.name, layer.path,
                 " x ".join(map(str, shapes[layer.name])), f"{layer.depth:.2f}")
                for layer in self.layers]  # fmt: skip
        return markup.paragraph(
            f"{self.name}: {self.architecture}, weights {self.weights}, {trained}"
        ) + markup.table(("main", "layer", "module", "shape", "depth"), rows)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", check_name(self.name, "The network name", nested=True))
        must_be_plain_names([self.name], "network name", "this network")

    @classmethod
    def from_module(
        cls,
        module: nn.Module,
        *,
        preprocessing: Preprocessing | None = None,
        trained: bool | None = None,
        name: str | None = None,
    ) -> Self:
        """Make a network of any torch module that takes images (stimulus, 3, row, column).

        Forward passes without values show which modules run, in which order, how often, and what they return. Layers
        are called by the paths of modules, blocks as well as leaves (``layer4.1``, ``encoder.layers.3``): each call
        of a module that runs several times has its own (``relu@0``, ``relu@1``), and so has each part of a tuple or
        dict (``encoder[0]``, ``encoder[hidden]``). ``main`` are the outputs of blocks and of the network:
        `rsa_face.networks.survey.main_layers` has the rule. Wrappers by `torch.compile` and `DataParallel` are taken
        off.

        Parameters
        ----------
        module : nn.Module
            In any mode, on any device.
        preprocessing : Preprocessing, optional
            What input its weights expect; 224 pixels, normalised as for ImageNet, unless given.
        trained : bool, optional
            Whether its weights were learnt; unless given, figures say "training unknown".
        name : str, optional
            What to call it; its class in lower case unless given.

        Returns
        -------
        Network
            Around this very module, not a copy.

        Raises
        ------
        ValueError
            If it does not run on images of this size, or runs no hooks (TorchScript, `module.compile()`).

        Examples
        --------
        >>> from torch import nn
        >>> module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 30 * 30, 2))
        >>> network = Network.from_module(module, preprocessing=Preprocessing(resize=32, crop=32), name="tiny")
        >>> [(layer.name, layer.kind, layer.shape) for layer in network.select("main")]
        [('1', 'ReLU', (4, 30, 30)), ('3', 'Linear', (2,))]
        """
        module = unwrapped(module)
        preprocessing = preprocessing or Preprocessing()
        noted = survey(module, preprocessing.crop)
        return cls(
            name=name or type(module).__name__.lower(),
            module=module,
            layers=noted.layers,
            preprocessing=preprocessing,
            weights="random" if trained is False else "given",
            untrained=tuple(module.state_dict()) if trained is False else (),
            trained=trained,
            survey=noted,
        )

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
            ``main``, ``all``, or names; of networks other than the five also paths of modules, which mean all that
            these return, and patterns of these: ``*`` for anything without dots, ``**`` for anything.

        Returns
        -------
        tuple of Layer
            In the order they run.

        Raises
        ------
        ValueError
            If a layer is unknown, or the weights file held convolutions alone and the layer lies behind them.
        """
        chosen = select_layers(
            self.layers, wanted, network=self.name, main=self.survey.main, unrecorded=self.survey.unrecorded
        )
        if self.architecture not in NETWORKS or not self.weights.endswith(FORMATS):
            return chosen
        without = [layer.name for layer in chosen if self._lacks_weights(layer)]
        if without:
            inside = " ".join(layer.name for layer in self.layers if not self._lacks_weights(layer))
            message = (
                f"{self.weights!r} holds no weights of {self.name} for {without}. "
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
        names = [key.split(".") for key in self.untrained]
        parents = {".".join(parts[:length]) for parts in names for length in range(len(parts))}
        return any(before.path in parents for before in self.layers if before.order <= layer.order)

    def origin(self, layers: Sequence[Layer]) -> dict[str, list[str]]:
        """Say what the attrs of an array made from some layers say of the network's training.

        Parameters
        ----------
        layers : sequence of Layer
            Of the network's.

        Returns
        -------
        dict of str to list of str
            Under ``untrained`` and ``training_unknown`` the network's name, where that holds.
        """
        random = any(map(self.rests_on_random, layers))
        return {
            UNTRAINED: [self.name] if random else [],
            TRAINING_UNKNOWN: [self.name] if self.trained is None else [],
        }

    def _lacks_weights(self, layer: Layer) -> bool:
        missing = [key for key in self.untrained if key.startswith("classifier.") and ".fe." not in key]
        return bool(missing) and layer.path.startswith("classifier.")


def _shapes_of(network: Network) -> dict[str, tuple[int, ...]]:
    """Return the shape of each layer of one stimulus: those that a survey has noted, or else by running it."""
    shapes = {layer.name: layer.shape for layer in network.layers}
    if all(shapes.values()):
        return shapes
    modules = dict(network.module.named_modules())

    def note(name: str) -> Callable[..., None]:
        def keep(_module: nn.Module, _inputs: object, output: object) -> None:
            shapes[name] = tuple(output.shape[1:]) if isinstance(output, Tensor) else ()

        return keep

    hooks = [modules[layer.path].register_forward_hook(note(layer.name)) for layer in network.layers]
    try:
        side, some = network.preprocessing.crop, next(network.module.parameters(), torch.empty(0))
        with evaluating(network.module), torch.inference_mode():
            network.module(torch.zeros(1, 3, side, side, device=some.device))
    finally:
        for hook in hooks:
            hook.remove()
    return shapes


def build_network(
    name: str = "",
    *,
    module: nn.Module | None = None,
    weights: str | Path | None = None,
    seed: int = 0,
    classes: int | None = None,
    attention: Attention | Mapping[str, object] | Sequence[Attention | Mapping[str, object]] | None = None,
    preprocessing: Preprocessing | None = None,
    label: str | None = None,
    layout: str = "auto",
    head: str = "file",
    trained: bool | None = None,
) -> Network:
    """Build a network with its weights, in evaluation mode.

    The five are built on torchvision's own classes, in-place ReLUs included: what is recorded is copied, so they do
    no harm. Any other is named by reference, or given as a module.

    Parameters
    ----------
    name : str
        One of the five, ``alexnet``, ``fe_alexnet``, ``vgg11``, ... (``rsa-face networks`` lists them); or
        ``torchvision:NAME``, ``timm:NAME`` (extra ``timm``), or ``package.module:callable``, which returns a module,
        or a module and its `Preprocessing`; `seed` and `classes` are passed if it takes them.
    module : nn.Module, optional
        In place of a name: see `Network.from_module`.
    weights : str or Path, optional
        ``random`` (from the seed), the default but for a callable; ``imagenet`` (torchvision's, downloaded once; of
        the five, the last layer starts at random unless there are 1,000 classes); ``library``, the library's own or
        what the callable puts in; a file (of torch, safetensors, MatConvNet, Caffe, Keras or ONNX); or
        ``hf://OWNER/REPO/FILE``.
    seed : int
        For all weights that start at random.
    classes : int, optional
        Outputs of the last layer: 2 for the five, as the library has it for others, unless given.
    attention : Attention or mapping, or sequence of these, optional
        Position, reduction and bias of the feature-excitation blocks; for ``fe_alexnet`` alone. Those of the file
        unless given, or one after pool5.
    preprocessing : Preprocessing, optional
        What input the weights expect; what belongs to the file, its layout or the library, or ImageNet's, unless
        given.
    label : str, optional
        What to call the network in arrays, figures and files; `name`, or what stands behind its colon, unless given.
    layout : str
        Whose file it is, where its keys do not say: see `rsa_face.networks.weights.recognise`. For the five.
    head : {"file", "new", "classifier"}
        Whether the last layer is the file's, or starts from the seed, to transfer weights to other classes;
        ``classifier``: all fully connected layers of the five start from the seed.
    trained : bool, optional
        Whether the weights of a module or a callable were learnt, which nobody else can say.

    Returns
    -------
    Network
        On the CPU.

    Raises
    ------
    ValueError
        If the name, label, position or number of classes is impossible, a callable fails, or the weights do not fit.
    FileNotFoundError
        If the weights file does not exist.
    ModuleNotFoundError
        If timm or the callable's module is not installed.
    RuntimeError
        If weights must be downloaded and cannot be.

    Examples
    --------
    >>> network = build_network("fe_alexnet", seed=0)
    >>> [layer.name for layer in network.select("main")]
    ['relu1', 'relu2', 'relu3', 'relu4', 'relu5', 'fe', 'relu6', 'relu7', 'fc8']
    """
    if module is not None:
        return Network.from_module(module, preprocessing=preprocessing, trained=trained, name=label or name or None)
    must_be_network(name)
    must_be_known(head, ("file", "new", "classifier"), "head")
    called = label_of(name) if label is None else label
    check_name(called, "The network name", nested=True)  # before anything is read or downloaded
    if classes is not None and classes < 2:
        message = f"classes is {classes}: a network has 2 or more."
        raise ValueError(message)
    if is_reference(name):
        _must_be_of_the_five(name, attention=attention is not None, layout=layout != "auto")
        weights = str(weights or (LIBRARY if is_builder(name) else "random"))
        return _by_reference(name, called, weights, seed, classes, preprocessing, head, trained)
    blocks = attention_of(name, attention)
    source = _Source(str(weights or "random"))
    if source.name == "imagenet":
        source = _read_imagenet(name)
    elif source.name != "random":
        source = _read_source(source.name, layout, name, blocks=blocks, chosen=attention is not None)
        if attention is None and source.layout is not None and source.layout.attention:
            blocks = source.layout.attention
    outputs = classes or 2
    skeleton = make_skeleton(name, outputs, blocks)
    start_weights(skeleton, seed=seed)
    untrained = _fill(skeleton, source, outputs, head)
    file = source.layout
    return Network(
        name=called,
        module=skeleton.eval(),
        layers=name_layers(skeleton),
        preprocessing=preprocessing or (file.preprocessing if file else Preprocessing()),
        architecture=name,
        weights=source.name,
        untrained=untrained,
        outputs=file.outputs if file and head == "file" and len(file.outputs) == outputs else (),
        weights_sha256=source.sha256,
        trained=source.name != "random",
    )


def _must_be_of_the_five(name: str, *, attention: bool, layout: bool) -> None:
    if attention or layout:
        what = " and ".join(word for word, given in (("attention", attention), ("layout", layout)) if given)
        message = f"{name!r} takes no {what}, which {', '.join(NETWORKS)} may have. Leave it out."
        raise ValueError(message)


def _by_reference(
    name: str,
    called: str,
    weights: str,
    seed: int,
    classes: int | None,
    preprocessing: Preprocessing | None,
    head: str,
    trained: bool | None,
) -> Network:
    built = build_reference(name, weights=weights, seed=seed, classes=classes, head=head, trained=trained)
    preprocessing = preprocessing or built.preprocessing
    noted = survey(built.module, preprocessing.crop)
    built.module.eval()  # some networks' own eval() returns nothing
    return Network(
        name=called,
        module=built.module,
        layers=noted.layers,
        preprocessing=preprocessing,
        architecture=name,
        weights=built.weights,
        untrained=built.untrained if built.trained is not False else tuple(built.module.state_dict()),
        outputs=built.outputs,
        weights_sha256=built.sha256,
        trained=built.trained,
        survey=noted,
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


def _read_source(weights: str, layout: str, network: str, *, blocks: tuple[Attention, ...], chosen: bool) -> _Source:
    file = find_weights(weights)
    state, content = read_weights(file, layout=layout, attention=blocks)
    if content.architecture != network and content.architecture != NETWORKS[network].builder:
        message = (
            f"{weights!r} holds {content.architecture} (layout {content.name}), not {network}. "
            f"Build {content.architecture}, or choose another file."
        )
        raise ValueError(message)
    positions, in_file = ([block.position for block in each] for each in (blocks, content.attention))
    if chosen and in_file and positions != in_file:
        message = f"{weights!r} has attention at {in_file}, not at {positions}. Leave attention out."
        raise ValueError(message)
    return _Source(weights, state, content, hash_file(file))


def _fill(module: nn.Module, source: _Source, classes: int, head: str) -> tuple[str, ...]:
    if source.name == "random":
        return tuple(module.state_dict())
    last = ["classifier.6.weight", "classifier.6.bias"]
    if source.name == "imagenet":
        state = source.state
        fresh = [] if classes == 1000 and head == "file" else last
    else:
        state, fresh = source.state, last if head == "new" else []
    start = module.state_dict()
    if head == "classifier":
        state = {key: value for key, value in state.items() if not key.startswith("classifier.")}
    tensors: dict[str, Tensor] = {key: value for key, value in state.items() if key not in fresh}
    has_head = any(key.startswith("classifier.") for key in tensors)
    random = load_state(module, {**{key: start[key] for key in fresh if has_head}, **tensors}, source=source.name)
    recorded = set(source.layout.untrained) if source.layout else set()
    return tuple(sorted({*random, *fresh, *recorded}))


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


def answer_places(network: Network, answers: tuple[str, str] = ANSWERS) -> tuple[int, int]:
    """Return which of a network's outputs stand for two answers, the low one (sad) first."""
    if not network.outputs and _width(network) == 2 and answers == ANSWERS:
        return 0, 1
    lacking = [answer for answer in answers if answer not in network.outputs]
    if lacking:
        named = list(network.outputs) or f"{_width(network)} outputs without names"
        message = f"{network.name} has no outputs for {answers[0]} and {answers[1]}, only {named}."
        raise ValueError(message + (" Train it for valence first." if answers == ANSWERS else " Name two of them."))
    return network.outputs.index(answers[0]), network.outputs.index(answers[1])


def _width(network: Network) -> int:
    biases = [value for name, value in network.module.named_parameters() if name.endswith("weight")]
    return int(biases[-1].shape[0])
