"""What a network's modules do in one forward pass: which run, in which order, how often, and what they return."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

from rsa_face.networks.layers import Layer, layer_name
from rsa_face.safety import in_short

_ACTIVATIONS = tuple(
    getattr(nn, name) for name in nn.modules.activation.__all__ if name not in ("MultiheadAttention", "Softmax")
)


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
                if not buffer.is_meta and not torch.equal(buffer, before):
                    buffer.copy_(before)


def unwrapped(module: nn.Module) -> nn.Module:
    """Return the network inside `torch.compile`'s, `DataParallel`'s or `DistributedDataParallel`'s wrapper.

    A compiled graph runs no hooks, and replicas on several GPUs run hooks on parts of a batch in any order; the
    network inside computes the same. What cannot be unwrapped is refused.
    """
    while True:
        if isinstance(module, nn.DataParallel | nn.parallel.DistributedDataParallel):
            module = cast("nn.Module", module.module)
        elif isinstance(getattr(module, "_orig_mod", None), nn.Module):  # what torch.compile returns
            module = cast("nn.Module", module._orig_mod)
        else:
            break
    what = type(module).__name__
    if isinstance(module, torch.jit.ScriptModule):
        message = f"Cannot record from {what}: TorchScript runs no hooks. Give the module that it was made of."
        raise ValueError(message)
    compiled = [path or what for path, part in module.named_modules() if part._compiled_call_impl is not None]
    if compiled:
        message = f"Cannot record from {compiled[0]}: module.compile() runs no hooks. Record before it is compiled."
        raise ValueError(message)
    return module


@dataclass(frozen=True)
class Survey:
    """What a forward pass shows of a network."""

    layers: tuple[Layer, ...] = ()  # all that can be recorded, in the order in which it is computed
    main: tuple[str, ...] = ()  # the layers that stand for the network; see `main_layers`
    unrecorded: Mapping[str, str] = field(default_factory=dict)  # for each module that cannot be recorded, why
    # whether one stimulus alone changes shapes (a bare `squeeze()`), so that it runs as two copies
    pairs: bool = False


def survey(module: nn.Module, side: int) -> Survey:
    """Find out what can be recorded of a network, from passes without values over images of `side` pixels.

    Where modules look at values, the passes are run with values. Passes of two sizes tell the axis of stimuli from
    others, and what depends on how many stimuli run together.
    """
    three, one = (_passed(module, count, side) for count in (3, 1))
    pairs = {name: value.shape[1:] for name, value in three.values.items() if value.shape[:1] == (3,)} != {
        name: value.shape[1:] for name, value in one.values.items() if value.shape[:1] == (1,)
    }
    few, number = (_passed(module, 2, side), 2) if pairs else (one, 1)
    paths = [path for path, _ in module.named_modules() if path]
    reasons = {path: "does not run" for path in paths if path not in three.calls}
    reasons |= {path: f"returns {kind}" for path, kind in three.others.items()}
    shapes: dict[str, tuple[int, ...]] = {}
    for name, value in three.values.items():
        reason = _fault_of_shapes(value.shape, few.values[name].shape if name in few.values else None, number)
        if reason:
            reasons[name] = reason
        else:
            shapes[name] = tuple(value.shape[1:]) or (1,)
    order = {name: place for place, name in enumerate(shapes)}
    layers = tuple(
        Layer(
            name,
            value.path,
            type(module.get_submodule(value.path)).__name__,
            round((order[name] + 1) / len(order), 6),
            order[name],
            call=value.call,
            item=value.item,
            shape=shapes[name],
            repeats=value.repeats,
        )
        for name, value in three.values.items()
        if name in shapes
    )
    return Survey(layers, main_layers(module, layers, three.calls), dict(sorted(reasons.items())), pairs)


def main_layers(module: nn.Module, layers: Sequence[Layer], calls: Mapping[str, int]) -> tuple[str, ...]:
    """Return the layers that stand for a network: the outputs of its blocks, and its own output.

    A block is a module that computes with modules of its own, of a class that runs several times in a pass (a
    residual block, a transformer's encoder block), and that lies in no other block. A network without blocks is stood
    for by its activation functions, one without these by its leaves. Of a module that runs several times the last
    call counts.
    """
    paths = _blocks(module, calls) or [p for p, part in module.named_modules() if isinstance(part, _ACTIVATIONS)]
    paths = paths or [path for path, part in module.named_modules() if not any(part.children())]
    last: dict[str, Layer] = {}
    for layer in layers:
        # of what a block returns as a tuple or dict, the first: beside it stand attention weights, states, ...
        if layer.path in paths and (layer.path not in last or layer.call != last[layer.path].call):
            last[layer.path] = layer
    computed = [layer.name for layer in layers if not layer.repeats]
    chosen = {layer.name for layer in last.values()} | set(computed[-1:])
    return tuple(layer.name for layer in layers if layer.name in chosen)


def _blocks(module: nn.Module, calls: Mapping[str, int]) -> list[str]:
    computing = [(path, part) for path, part in module.named_modules()
                 if path and any(part.children()) and not _is_container(part)]  # fmt: skip
    counts: Counter[type] = Counter()
    for path, part in computing:
        counts[type(part)] += calls.get(path, 0)
    blocks: list[str] = []
    for path, part in computing:  # outer modules come before those inside them
        if counts[type(part)] > 1 and not any(path.startswith(f"{block}.") for block in blocks):
            blocks.append(path)
    return blocks


def _is_container(module: nn.Module) -> bool:
    """Return whether a module only lines others up: `Sequential`, or a subclass without a forward of its own."""
    return type(module).forward in (nn.Sequential.forward, nn.Module.forward)


@dataclass(frozen=True)
class _Value:
    """A tensor that a module returned in a pass."""

    path: str
    call: int
    item: tuple[int | str, ...]
    shape: tuple[int, ...]
    repeats: str


@dataclass
class _Pass:
    """What one pass has shown: values by layer name, calls by path, and what other things modules returned."""

    values: dict[str, _Value] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    others: dict[str, str] = field(default_factory=dict)


Returned = tuple[str, str, list[tuple[tuple[int | str, ...], Tensor, int]]]
"""A module's path, the type of what it returned, and the tensors in that with torch's count of changes to each."""


def _passed(module: nn.Module, count: int, side: int) -> _Pass:
    """Run a pass over `count` images, without values where the network allows it."""
    returned: list[Returned] = []

    def noting(path: str) -> Any:
        def note(_module: nn.Module, _inputs: Any, output: Any) -> None:
            tensors = [(item, tensor, tensor._version) for item, tensor in tensors_in(output)]
            returned.append((path, type(output).__name__, tensors))

        return note

    handles = [part.register_forward_hook(noting(path)) for path, part in module.named_modules()]
    try:
        # not in inference mode, the caller's neither: there changes to tensors are not counted
        with evaluating(module), torch.inference_mode(False), torch.no_grad():
            try:
                state = {name: torch.empty_like(value, device="meta") for name, value in module.state_dict().items()}
                functional_call(module, state, torch.empty(count, 3, side, side, device="meta"))
            except Exception:  # noqa: BLE001  # whatever a network does that a tensor without values does not allow
                returned.clear()
                noise = torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count))
                first = next(iter([*module.parameters(), *module.buffers()]), noise)
                module(noise.to(first.device))
    except Exception as error:
        if count == 1:  # one alone need not run: then two copies do
            return _Pass()
        message = (
            f"{type(module).__name__} does not run on images of {side} x {side} pixels: "
            f"{in_short(error).rstrip('.!')}. Set `preprocessing` to the size that it takes."
        )
        raise ValueError(message) from error
    finally:
        for handle in handles:
            handle.remove()
    return _read(returned, {path for path, part in module.named_modules() if any(part.children())})


def _read(returned: Sequence[Returned], parents: set[str]) -> _Pass:
    totals = Counter(path for path, _, _ in returned)
    noted = _Pass()
    innermost: dict[tuple[int, int], str] = {}
    for path, kind, tensors in returned:
        call = noted.calls[path]
        noted.calls[path] += 1
        if not tensors:
            noted.others[path] = kind
        for item, tensor, version in tensors:
            name = layer_name(path, call if totals[path] > 1 else None, item)
            # the same tensor, not written to since: a container returns what the last module in it returned
            repeats = innermost.get((id(tensor), version), "") if path in parents else ""
            if path or not repeats:
                noted.values[name] = _Value(path, call, item, tuple(tensor.shape), repeats)
            innermost.setdefault((id(tensor), version), name)
    return noted


def tensors_in(output: Any, item: tuple[int | str, ...] = ()) -> Iterator[tuple[tuple[int | str, ...], Tensor]]:
    """Return the tensors in what a module returned, each with its places in tuples and keys in dicts."""
    if isinstance(output, Tensor):
        yield item, output
    elif isinstance(output, Mapping):
        for key, value in output.items():
            yield from tensors_in(value, (*item, str(key)))
    elif isinstance(output, tuple | list):
        for place, value in enumerate(output):
            yield from tensors_in(value, (*item, place))


def part_of(output: Any, item: Sequence[int | str]) -> Any:
    """Return the part of what a module returned that stands at some places and keys; None where it has none."""
    for key in item:
        if isinstance(output, Mapping):
            output = next((value for name, value in output.items() if str(name) == str(key)), None)
        elif isinstance(output, tuple | list) and isinstance(key, int) and key < len(output):
            output = output[key]
        else:
            return None
    return output


def _fault_of_shapes(three: Sequence[int], few: Sequence[int] | None, number: int) -> str:
    """Return why what a module returned for three stimuli, and for fewer, cannot be recorded; empty if it can."""
    if few is None:
        return "runs for some numbers of stimuli alone"
    if (tuple(three[:1]), tuple(few[:1])) != ((3,), (number,)):
        return f"has the shape {tuple(three)} for 3 stimuli: its first axis is not the stimuli"
    if tuple(three[1:]) != tuple(few[1:]):
        return (
            f"has the shapes {tuple(three)} and {tuple(few)} for 3 and {number} stimuli, which depend on their number"
        )
    return ""
