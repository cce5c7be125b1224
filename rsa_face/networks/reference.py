"""Networks by reference: of torchvision, of timm, or what a callable of the user's own builds."""

import inspect
import warnings
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import import_module
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchvision import models

from rsa_face.networks.layers import matches
from rsa_face.networks.survey import Survey, survey, unwrapped
from rsa_face.networks.weights import (
    download_state,
    find_weights,
    load_any_state,
    must_be_unchanged,
    preprocessing_in,
    read_record,
    read_state,
)
from rsa_face.provenance import hash_file
from rsa_face.safety import in_short
from rsa_face.schema import LIBRARIES, LIBRARY, is_builder
from rsa_face.stimuli.preprocessing import Preprocessing


@dataclass(frozen=True, eq=False)
class Built:
    """A module and what is known of it."""

    module: nn.Module  # with its weights
    preprocessing: Preprocessing  # of the library, the builder, or the file of weights
    trained: bool | None = None  # whether its weights were learnt; None where nobody says
    weights: str = "given"  # ``random``, ``library``, ``imagenet``, ``given`` or the file they came from
    untrained: tuple[str, ...] = ()  # as in `Network`
    outputs: tuple[str, ...] = ()
    sha256: str = ""  # of the file of weights


def build_reference(
    name: str, *, weights: str, seed: int, classes: int | None, head: str, trained: bool | None = None
) -> Built:
    """Build a network by reference, with random weights, the library's own, or those of a file."""
    library, _, called = name.partition(":")
    build = {"torchvision": _of_torchvision, "timm": _of_timm}.get(library, _of_builder)
    built = build(name, called, weights, seed, classes)
    if weights not in ("random", LIBRARY, "imagenet"):
        built = _with_file(built, weights, head)
    elif head != "file" and weights != "random":
        built = replace(built, untrained=tuple(_head_keys(built.module)))
    return built if trained is None else replace(built, trained=trained)


@cache
def survey_reference(name: str, side: int | None = None) -> Survey:
    """Return what can be recorded of a library's network, from a pass without values through random weights."""
    built = _without_values(name)
    return survey(built.module, side or built.preprocessing.crop)


def skeleton_of(name: str) -> dict[str, Tensor]:
    """Return the parameters of a network by reference, by name and without values."""
    return _without_values(name).module.state_dict()


def _without_values(name: str) -> Built:
    with warnings.catch_warnings(), torch.device("meta"):
        warnings.simplefilter("ignore")
        weights = LIBRARY if is_builder(name) else "random"
        return build_reference(name, weights=weights, seed=0, classes=None, head="file")


def must_be_reference(name: str) -> None:
    """Refuse a library's network that there is not, naming the nearest ones; builders are not looked at."""
    library, _, called = name.partition(":")
    if library == "torchvision":
        _must_be_listed(called, models.list_models(module=models), "torchvision")
    elif library == "timm":
        _must_be_listed(called.split(".")[0], _timm(name).list_models(), "timm")


def _must_be_listed(name: str, known: Sequence[str], library: str) -> None:
    if name not in known:
        near = get_close_matches(name, known, n=5, cutoff=0.4)
        advice = f"Did you mean {', '.join(near)}?" if near else f"{library} has {', '.join(sorted(known)[:20])}, ..."
        message = f"{library} has no network {name!r}. {advice}"
        raise ValueError(message)


# -- torchvision ---------------------------------------------------------------------------------------------------


def _of_torchvision(name: str, called: str, weights: str, seed: int, classes: int | None) -> Built:
    must_be_reference(name)
    choices = models.get_model_weights(called)
    source = choices.IMAGENET1K_V1 if weights == "imagenet" else choices.DEFAULT
    outputs = {} if classes is None else {"num_classes": classes}
    with _seeded(seed), warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of how GoogLeNet will start at random
        module = models.get_model(called, weights=None, **outputs)
    preprocessing = _preprocessing_of(source.transforms())
    if weights not in (LIBRARY, "imagenet"):  # a file is read into it
        _draw_empty_head(module, seed)
        return Built(module, preprocessing, False, "random", tuple(module.state_dict()))
    state = download_state(source, f"the weights of {name}")
    untrained = _load(module, state, name, classes is not None)
    return Built(module, preprocessing, True, weights, untrained)


def _preprocessing_of(transforms: Any) -> Preprocessing:
    (crop,), resize = transforms.crop_size, transforms.resize_size
    return Preprocessing(
        resize=resize[0] if len(resize) == 1 else tuple(resize),
        crop=crop,
        mean=tuple(transforms.mean),
        sd=tuple(transforms.std),
        interpolation=transforms.interpolation.value,
        antialias=bool(transforms.antialias),
    )


# -- timm ----------------------------------------------------------------------------------------------------------


def _timm(name: str) -> Any:
    try:
        return import_module("timm")
    except ModuleNotFoundError as error:
        message = f"{name} needs timm, which is not installed. Run: pip install 'rsa-face[timm]'"
        raise ModuleNotFoundError(message, name="timm") from error


def _of_timm(name: str, called: str, weights: str, seed: int, classes: int | None) -> Built:
    timm = _timm(name)
    must_be_reference(name)
    outputs = {} if classes is None else {"num_classes": classes}
    pretrained = weights in (LIBRARY, "imagenet")
    with _seeded(seed):
        try:
            module = timm.create_model(called, pretrained=pretrained, **outputs)
        except (OSError, RuntimeError, ValueError) as error:
            message = f"timm cannot build {called} ({weights} weights): {in_short(error)}."
            raise RuntimeError(message) from error
    if not pretrained:
        _draw_empty_head(module, seed)
    config = timm.data.resolve_model_data_config(module)
    crop = int(config["input_size"][-1])
    preprocessing = Preprocessing(
        resize=int(crop / float(config.get("crop_pct", 1.0))),
        crop=crop,
        mean=tuple(config["mean"]),
        sd=tuple(config["std"]),
        interpolation=config["interpolation"],
    )
    head = tuple(_head_keys(module)) if pretrained and classes is not None else ()
    return Built(module, preprocessing, pretrained, weights, head if pretrained else tuple(module.state_dict()))


# -- a callable ----------------------------------------------------------------------------------------------------


def _of_builder(name: str, called: str, weights: str, seed: int, classes: int | None) -> Built:
    build = _callable(name, called)
    takes = inspect.signature(build).parameters
    given = {
        key: value for key, value in (("seed", seed), ("classes", classes)) if key in takes and value is not None
    }
    with _seeded(seed):
        try:
            result = build(**given)
        except Exception as error:
            kind = type(error).__name__
            words = in_short(error).removeprefix(kind).strip()
            message = f"{name} raised {kind}{': ' if words else ''}{words}. Correct the builder."
            raise ValueError(message) from error
    module, preprocessing = result if isinstance(result, tuple) and len(result) == 2 else (result, Preprocessing())
    if not isinstance(module, nn.Module) or not isinstance(preprocessing, Preprocessing):
        what = " and ".join(type(part).__name__ for part in (result if isinstance(result, tuple) else (result,)))
        message = (
            f"{name} returned {what}, not a torch module, or a module and its Preprocessing. Correct the builder."
        )
        raise ValueError(message)
    module = unwrapped(module)
    if weights != "random":
        return Built(module, preprocessing)
    _reset(module, name, seed)
    return Built(module, preprocessing, False, "random", tuple(module.state_dict()))


def _callable(name: str, called: str) -> Callable[..., Any]:
    home = name.partition(":")[0]
    try:
        module = import_module(home)
    except ModuleNotFoundError as error:
        near = get_close_matches(home, LIBRARIES, n=1, cutoff=0.7)
        meant = f"Did you mean {near[0]}:{called}? If not, install" if near else "Install"
        message = f"{name}: no module {error.name!r} can be imported. {meant} it, or set PYTHONPATH to its folder."
        raise ModuleNotFoundError(message, name=error.name) from error
    build = getattr(module, called, None)
    if not callable(build):
        near = get_close_matches(called, [key for key, value in vars(module).items() if callable(value)], cutoff=0.4)
        message = f"{name}: {home} has no callable {called!r}.{f' Did you mean {near[0]}?' if near else ''}"
        raise ValueError(message)
    return cast("Callable[..., Any]", build)


def _reset(module: nn.Module, name: str, seed: int) -> None:
    """Give every module its own random start, or refuse a network that has a parameter without one."""
    owners = [(path, part) for path, part in module.named_modules() if [*part.parameters(recurse=False)]]
    lacking = [path for path, part in owners if not hasattr(part, "reset_parameters")]
    if lacking:
        message = (
            f"Weights of {name} cannot be drawn at random: {lacking[:8]} have parameters and no `reset_parameters`. "
            f"Draw them in the builder, and write weights: {LIBRARY} and trained: false."
        )
        raise ValueError(message)
    with _seeded(seed):
        for part in module.modules():
            if hasattr(part, "reset_parameters"):
                cast("Any", part).reset_parameters()


# -- weights -------------------------------------------------------------------------------------------------------


def _with_file(built: Built, weights: str, head: str) -> Built:
    file = find_weights(weights)
    record, state = read_record(file), read_state(file)
    must_be_unchanged(state, record, file)
    untrained = _load(built.module, state, weights, head != "file")
    return replace(
        built,
        preprocessing=preprocessing_in(record) or built.preprocessing,
        trained=True,
        weights=weights,
        untrained=tuple(sorted({*untrained, *record.get("untrained", ())})),
        outputs=tuple(record.get("outputs", ())) if head == "file" else (),
        sha256=hash_file(file),
    )


def _load(module: nn.Module, state: dict[str, Tensor], source: str, new_head: bool) -> tuple[str, ...]:
    """Load a state dict, without the last layer where that starts at random, and return what stays random."""
    head = tuple(_head_keys(module)) if new_head else ()
    load_any_state(module, state, source=source, fresh=head)
    return head


def _head_keys(module: nn.Module) -> list[str]:
    """Return the parameters of the last fully connected layer, which stands for the classes."""
    last = [path for path, part in module.named_modules() if isinstance(part, nn.Linear)][-1:]
    return [key for key in module.state_dict() if last and key.startswith(f"{last[0]}.")]


def _draw_empty_head(module: nn.Module, seed: int) -> None:
    """Draw a last layer that a library starts at zero, as the five networks' are: it would answer all faces alike."""
    last = [part for part in module.modules() if isinstance(part, nn.Linear)][-1:]
    if last and not last[0].weight.is_meta and not last[0].weight.any():
        with _seeded(seed):
            nn.init.kaiming_normal_(last[0].weight, nonlinearity="relu")


@contextmanager
def _seeded(seed: int) -> Any:
    """Let a library draw its random weights from a seed, and leave torch's stream of numbers as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


def known_layers(name: str) -> list[str]:
    """Return the names of the layers of a library's network; none of a builder's, which is not built for that."""
    return [] if is_builder(name) else [layer.name for layer in survey_reference(name).layers]


def has_layer(name: str, wanted: str) -> bool:
    """Return whether a library's network has a layer that a name, path or pattern means."""
    return any(matches(wanted, layer) for layer in survey_reference(name).layers)
