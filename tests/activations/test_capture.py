"""What is captured is what each layer computed, under in-place ReLU, and no hook is left behind."""

import contextlib

import pytest
import torch
from torch import nn

from rsa_face.activations.capture import capture, resolve_device
from rsa_face.networks.attention import FeatureExcitation
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network, build_network
from rsa_face.schema import NETWORKS


@pytest.fixture(scope="module", params=NETWORKS)
def network(request):
    return build_network(request.param, seed=1)


@pytest.fixture(scope="module")
def inputs():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def hooks_left(module: nn.Module) -> int:
    return sum(len(child._forward_hooks) + len(child._forward_pre_hooks) for child in module.modules())


def reference(network: Network, inputs: torch.Tensor) -> dict[str, torch.Tensor]:
    """Walk the network by hand, with a copy before and after every module."""
    outputs = {}
    with torch.inference_mode():
        values = inputs.clone()
        for part in ("features", "avgpool", "flatten", "classifier"):
            if part == "flatten":
                values = values.flatten(1)
                continue
            children = getattr(network.module, part)
            for name, child in children.named_children() if part != "avgpool" else [("", children)]:
                if isinstance(child, FeatureExcitation):
                    means = values.mean(dim=(2, 3)) if values.ndim == 4 else values
                    outputs[f"{part}.{name}.gate"] = child.gate(means.clone()).clone()
                values = child(values.clone()).clone()
                outputs[f"{part}.{name}"] = values.clone()
    return outputs


def test_every_layer_equals_an_independent_reference_bit_for_bit(network, inputs):
    captured = capture(network, network.layers, inputs)
    expected = reference(network, inputs)
    assert list(captured) == [layer.name for layer in network.layers]
    for layer in network.layers:
        assert torch.equal(captured[layer.name], expected[layer.path]), layer.name
    assert hooks_left(network.module) == 0


def test_convolutions_keep_the_negative_values_that_the_relu_behind_them_cuts(network, inputs):
    convolutions = [layer for layer in network.layers if layer.kind == "conv"]
    captured = capture(network, convolutions, inputs)
    assert all(values.min() < 0 for values in captured.values())


def test_layers_together_equal_layers_alone(network, inputs):
    together = capture(network, network.layers, inputs)
    for layer in network.layers:
        assert torch.equal(capture(network, [layer], inputs)[layer.name], together[layer.name]), layer.name


def test_batches_of_1_7_and_64_give_the_same_to_float32_rounding(network):
    side = 64 if "alexnet" in network.name else 32
    many = torch.randn(64, 3, side, side, generator=torch.Generator().manual_seed(1))
    layers = [network.layers[0], network.layers[len(network.layers) // 2], network.layers[-1]]
    at_once = capture(network, layers, many)
    for batch in (1, 7):
        parts = [capture(network, layers, many[start : start + batch]) for start in range(0, 14, batch)]
        for layer in layers:
            values = torch.cat([part[layer.name] for part in parts])
            scale = at_once[layer.name].abs().max()
            # float32 keeps 7 digits; sums over a few thousand products lose one or two of them
            assert (values - at_once[layer.name][:14]).abs().max() <= 2e-5 * scale, (layer.name, batch)


def test_inputs_are_not_changed(network, inputs):
    before = inputs.clone()
    capture(network, network.layers[:2], inputs)
    assert torch.equal(inputs, before)


@pytest.mark.parametrize("caller", [contextlib.nullcontext, torch.no_grad, torch.inference_mode])
def test_what_overwrites_a_layer_behind_our_back_changes_nothing_captured(network, inputs, caller):
    plain = capture(network, network.layers, inputs)
    convolution = next(layer for layer in network.layers if layer.kind == "conv")
    behind = network.module.get_submodule(network.layers[convolution.order + 1].path)

    def double(_module, values):
        values[0].mul_(2)

    handle = behind.register_forward_pre_hook(double)
    try:
        with caller():
            captured = capture(network, network.layers, inputs)
    finally:
        handle.remove()
    assert torch.equal(captured[convolution.name], plain[convolution.name])
    assert not torch.equal(captured[network.layers[-1].name], plain[network.layers[-1].name])


def test_activations_write_in_place_again_afterwards(network, inputs):
    in_place = [child.inplace for child in network.module.modules() if isinstance(child, nn.ReLU)]
    assert any(in_place)
    capture(network, network.layers, inputs)
    with pytest.raises(RuntimeError):
        capture(network, network.layers, inputs[:, :1])
    assert [child.inplace for child in network.module.modules() if isinstance(child, nn.ReLU)] == in_place


def custom(module: nn.Module) -> Network:
    return Network("mine", module.eval(), name_modules(module))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
        self.unused = nn.Linear(3, 3)

    def forward(self, values):
        return self.act(self.act(values) - 1)


class Pair(nn.Module):
    def forward(self, values):
        return values, values


class Failing(nn.Module):
    def __init__(self):
        super().__init__()
        self.act = nn.ReLU()
        self.last = nn.ReLU()

    def forward(self, values):
        message = f"wrong shape after {self.act(values).shape}"
        raise RuntimeError(message)


def test_a_layer_that_runs_twice_is_named_and_leaves_no_hook():
    network = custom(Twice())
    with pytest.raises(ValueError, match="'act' cannot be recorded: it runs more than once"):
        capture(network, network.layers[:1], torch.ones(1, 3))
    assert hooks_left(network.module) == 0


def test_a_layer_that_never_runs_is_named():
    network = custom(Twice())
    with pytest.raises(ValueError, match=r"\['unused'\] of mine cannot be recorded: they do not run"):
        capture(network, network.layers[1:], torch.ones(1, 3))
    assert hooks_left(network.module) == 0


def test_a_layer_that_returns_a_pair_is_named():
    network = custom(nn.Sequential(nn.ReLU(), Pair()))
    with pytest.raises(ValueError, match=r"'1' cannot be recorded: it returns tuple, .* record 1\[0\] or 1\[1\]"):
        capture(network, network.layers, torch.ones(1, 3))
    assert hooks_left(network.module) == 0


def test_no_hook_is_left_when_the_forward_pass_raises():
    network = custom(Failing())
    with pytest.raises(RuntimeError, match="wrong shape"):
        capture(network, network.layers, torch.ones(1, 3))
    assert hooks_left(network.module) == 0


def test_no_hook_is_left_after_a_wrong_layer(network, inputs):
    stranger = name_modules(nn.Sequential(nn.ReLU()))[0]
    with pytest.raises(ValueError, match=r"'0' \(module '0'\)"):
        capture(network, [network.layers[0], stranger], inputs)
    assert hooks_left(network.module) == 0


def test_hooks_of_the_user_stay():
    module = nn.Sequential(nn.Linear(3, 3), nn.ReLU(inplace=True))
    seen = []
    module[0].register_forward_hook(lambda *_: seen.append(1))
    network = custom(module)
    capture(network, network.layers, torch.ones(1, 3))
    assert (hooks_left(module), seen) == (1, [1])


@pytest.mark.parametrize("device", ["tpu", "cpux"])
def test_an_unknown_device_is_refused(device):
    with pytest.raises(ValueError, match=f"'{device}'"):
        resolve_device(device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_gpu_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="'cuda'"):
        resolve_device("cuda")
    assert resolve_device("auto") == torch.device("cpu")
