"""Files of every layout, made in its exact keys and shapes, give the logits of a forward pass written out by hand."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional
from torchvision import models

from rsa_face.networks.settings import Attention
from rsa_face.networks.weights import EXPRESSIONS, PREPROCESSINGS, keys_of, recognise
from rsa_face.networks.zoo import build_network, count_parameters

STRIDES = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}
SHAPES = {0: (64, 3, 11, 11), 3: (192, 64, 5, 5), 6: (384, 192, 3, 3), 8: (256, 384, 3, 3), 10: (256, 256, 3, 3)}


def draw(generator: torch.Generator, *shape: int, gain: float = 1.0) -> Tensor:
    """Draw weights; those of a large fully connected layer repeat one column, so that the file stays small."""
    fan_in = torch.tensor(shape[1:]).prod().item()
    if len(shape) == 2 and shape[0] * shape[1] > 10**6:
        return (torch.randn(shape[0], 1, generator=generator) * gain / fan_in).expand(shape)
    return torch.randn(shape, generator=generator) * gain * (2 / fan_in) ** 0.5


def write_alexnet(*, outputs: int, shift: dict[str, int], gate: dict[str, Tensor]) -> dict[str, Tensor]:
    """Make an AlexNet's state dict in the laboratory's keys: modules behind a block count one more."""
    generator = torch.Generator().manual_seed(1)
    state = dict(gate)
    for place, shape in SHAPES.items():
        name = f"features.{place + (place >= shift.get('features', 99))}"
        state[f"{name}.weight"] = draw(generator, *shape)
        state[f"{name}.bias"] = torch.randn(shape[0], generator=generator) * 0.1
    for place, shape in {1: (4096, 9216), 4: (4096, 4096), 6: (outputs, 4096)}.items():
        name = f"classifier.{place + (place >= shift.get('classifier', 99))}"
        state[f"{name}.weight"] = draw(generator, *shape, gain=20)
        state[f"{name}.bias"] = torch.randn(shape[0], generator=generator) * 0.1
    return state


def forward_by_hand(
    state: dict[str, Tensor], inputs: Tensor, *, shift: dict[str, int], after: str, gate: list[Tensor]
):
    """Run an AlexNet written out from the laboratory's own definition, with its block where `after` says."""

    def excite(maps: Tensor) -> Tensor:
        means = maps.mean((2, 3)) if maps.ndim == 4 else maps
        biases = gate[1::2] if len(gate) == 4 else [None, None]
        weights = gate[::2] if len(gate) == 4 else gate
        gates = torch.sigmoid(
            functional.linear(functional.relu(functional.linear(means, weights[0], biases[0])), weights[1], biases[1])
        )
        return maps * (gates[:, :, None, None] if maps.ndim == 4 else gates)

    maps = inputs
    for number, (place, (stride, padding)) in enumerate(STRIDES.items(), start=1):
        name = f"features.{place + (place >= shift.get('features', 99))}"
        maps = functional.relu(
            functional.conv2d(maps, state[f"{name}.weight"], state[f"{name}.bias"], stride, padding)
        )
        maps = excite(maps) if after == f"conv{number}" else maps
        maps = functional.max_pool2d(maps, 3, 2) if number in (1, 2, 5) else maps
        maps = excite(maps) if after == f"pool{number}" else maps
    values = maps.flatten(1)
    for number, place in enumerate((1, 4, 6), start=6):
        name = f"classifier.{place + (place >= shift.get('classifier', 99))}"
        values = functional.linear(values, state[f"{name}.weight"], state[f"{name}.bias"])
        values = functional.relu(values) if number < 8 else values
        values = excite(values) if after == f"fc{number}" else values
    return values


def make_gate(channels: int, reduction: int, keys: tuple[str, ...]) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    waist = channels // reduction
    shapes = {"weight": [(waist, channels), (channels, waist)], "bias": [(waist,), (channels,)]}
    made = {}
    for key in keys:
        second = key.split(".")[-2] in ("2", "fc2")
        shape = shapes[key.rsplit(".", 1)[1]][second]
        made[key] = torch.randn(shape, generator=generator) * (3 / channels**0.5 if channels < 4096 else 0.02)
    return made


def gate_keys(at: str, *, bias: bool = False, fc: tuple[str, str] = ("fc1", "fc2")) -> tuple[str, ...]:
    return tuple(f"{at}.{layer}.{what}" for layer in fc for what in (("weight", "bias") if bias else ("weight",)))


LABORATORY = {
    "se_layer after pool5": (2, 256, 2, gate_keys("se_layer", fc=("fc.0", "fc.2")), {}, "pool5"),
    "se_block after pool5": (8, 256, 32, gate_keys("se_block"), {}, "pool5"),
    "in features after pool1": (8, 64, 4, gate_keys("features.3"), {"features": 3}, "pool1"),
    "in features after pool2": (8, 192, 16, gate_keys("features.6"), {"features": 6}, "pool2"),
    "in features after conv3": (8, 384, 8, gate_keys("features.8"), {"features": 8}, "conv3"),
    "in features after conv4": (11, 256, 2, gate_keys("features.10"), {"features": 10}, "conv4"),
    "in the classifier after fc6": (8, 4096, 16, gate_keys("classifier.3", bias=True), {"classifier": 3}, "fc6"),
}


@pytest.mark.parametrize("which", LABORATORY)
def test_a_checkpoint_of_the_laboratory_gives_the_logits_of_its_own_definition(which, tmp_path):
    outputs, channels, reduction, keys, shift, after = LABORATORY[which]
    gate = make_gate(channels, reduction, keys)
    state = write_alexnet(outputs=outputs, shift=shift, gate=gate)
    torch.save(state, tmp_path / "AlexNet.pth")
    network = build_network("fe_alexnet", weights=tmp_path / "AlexNet.pth", classes=outputs)
    inputs = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        expected = forward_by_hand(state, inputs, shift=shift, after=after, gate=list(gate.values()))
        logits = network.module(inputs)
        ungated = forward_by_hand(state, inputs, shift=shift, after="", gate=[])
    # the same sums in another order: float32 rounding
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)
    assert not torch.allclose(expected, ungated, rtol=1e-2, atol=1e-2)
    assert network.untrained == ()
    assert network.preprocessing == PREPROCESSINGS["se-alexnet"]
    assert network.preprocessing.mean == (0.5, 0.5, 0.5)
    assert network.outputs[:3] == (("sad", "happy") if outputs == 2 else EXPRESSIONS[:3])
    assert "fe_gate" in [layer.name for layer in network.layers]


@pytest.mark.parametrize("wrap", [lambda s: {"state_dict": s, "epoch": 3}, lambda s: {"model": s}, lambda s: s])
def test_wrapping_dicts_and_parallel_prefixes_are_taken_off(wrap, tmp_path):
    gate = make_gate(256, 2, gate_keys("se_layer", fc=("fc.0", "fc.2")))
    state = write_alexnet(outputs=2, shift={}, gate=gate)
    torch.save(state, tmp_path / "plain.pth")
    torch.save(wrap({f"module.{key}": value for key, value in state.items()}), tmp_path / "wrapped.pth")
    plain, wrapped = (build_network("fe_alexnet", weights=tmp_path / f"{name}.pth") for name in ("plain", "wrapped"))
    assert plain.content_hash() == wrapped.content_hash()


def oxford_shapes(*, underscore: bool = False) -> dict[str, tuple[int, ...]]:
    widths, before, shapes = {1: 64, 2: 128, 3: 256, 4: 512, 5: 512}, 3, {}
    for block, count in {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}.items():
        for place in range(1, count + 1):
            name = f"conv_{block}_{place}" if underscore else f"conv{block}_{place}"
            shapes |= {f"{name}.weight": (widths[block], before, 3, 3), f"{name}.bias": (widths[block],)}
            before = widths[block]
    for name, shape in {"fc6": (4096, 25088), "fc7": (4096, 4096), "fc8": (2622, 4096)}.items():
        shapes |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    return shapes


def oxford_forward(state: dict[str, Tensor], inputs: Tensor, prefix: str) -> Tensor:
    maps = inputs
    for block, count in {1: 2, 2: 2, 3: 3, 4: 3, 5: 3}.items():
        for place in range(1, count + 1):
            name = f"{prefix}{block}_{place}"
            maps = functional.relu(functional.conv2d(maps, state[f"{name}.weight"], state[f"{name}.bias"], padding=1))
        maps = functional.max_pool2d(maps, 2)
    values = maps.flatten(1)
    for name in ("fc6", "fc7"):
        values = functional.relu(functional.linear(values, state[f"{name}.weight"], state[f"{name}.bias"]))
    return functional.linear(values, state["fc8.weight"], state["fc8.bias"])


@pytest.mark.parametrize(
    ("underscore", "layout", "blue_first"),
    [(False, "auto", False), (True, "auto", True), (False, "vgg-face-bgr", True)],
)
def test_oxfords_vgg_face_gives_its_logits_for_red_green_blue(underscore, layout, blue_first, tmp_path):
    generator = torch.Generator().manual_seed(4)
    shapes = oxford_shapes(underscore=underscore)
    state = {key: draw(generator, *shape) if len(shape) > 1 else torch.zeros(shape) for key, shape in shapes.items()}
    torch.save(state, tmp_path / "vgg_face_dag.pth")
    network = build_network("vgg16", weights=tmp_path / "vgg_face_dag.pth", classes=2622, layout=layout)
    face = torch.rand(1, 3, 224, 224, generator=generator)
    mean, sd = (
        torch.tensor(values)[:, None, None] for values in (network.preprocessing.mean, network.preprocessing.sd)
    )
    published = face * 255 - torch.tensor([129.1863, 104.7624, 93.5940])[:, None, None]
    with torch.no_grad():
        expected = oxford_forward(
            state, published.flip(1) if blue_first else published, "conv_" if underscore else "conv"
        )
        logits = network.module((face - mean) / sd)
    # sums of thousands of float32 products in another order
    torch.testing.assert_close(logits, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
    assert network.untrained == ()


def test_torchvisions_alexnet_gives_the_logits_of_its_definition(tmp_path):
    state = write_alexnet(outputs=1000, shift={}, gate={})
    torch.save(state, tmp_path / "alexnet-owt.pth")
    network = build_network("alexnet", weights=tmp_path / "alexnet-owt.pth", classes=1000)
    inputs = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        expected = forward_by_hand(state, inputs, shift={}, after="", gate=[])
        torch.testing.assert_close(network.module(inputs), expected, rtol=1e-4, atol=1e-4)
    assert network.preprocessing == PREPROCESSINGS["torchvision"]


@pytest.mark.parametrize(("architecture", "counts"), [("vgg11", (1, 1, 2, 2, 2)), ("vgg13", (2, 2, 2, 2, 2))])
def test_torchvisions_vggs_give_the_logits_of_their_definition(architecture, counts, tmp_path):
    generator, state, before, place = torch.Generator().manual_seed(6), {}, 3, 0
    maps = torch.randn(1, 3, 224, 224, generator=generator)
    inputs = maps.clone()
    for width, count in zip((64, 128, 256, 512, 512), counts, strict=True):
        for _ in range(count):
            weight = draw(generator, width, before, 3, 3)
            bias = torch.randn(width, generator=generator) * 0.1
            state |= {f"features.{place}.weight": weight, f"features.{place}.bias": bias}
            maps, before, place = functional.relu(functional.conv2d(maps, weight, bias, padding=1)), width, place + 2
        maps, place = functional.max_pool2d(maps, 2), place + 1
    values = maps.flatten(1)
    for at, shape in {0: (4096, 25088), 3: (4096, 4096), 6: (2, 4096)}.items():
        weight, bias = draw(generator, *shape, gain=20), torch.randn(shape[0], generator=generator) * 0.1
        state |= {f"classifier.{at}.weight": weight, f"classifier.{at}.bias": bias}
        values = functional.linear(values, weight, bias)
        values = functional.relu(values) if at < 6 else values
    torch.save(state, tmp_path / "vgg.pth")
    network = build_network(architecture, weights=tmp_path / "vgg.pth", classes=2)
    with torch.no_grad():
        logits = network.module(inputs)
    torch.testing.assert_close(logits, values, rtol=1e-3, atol=1e-3 * float(values.abs().max()))


@pytest.mark.parametrize("architecture", ["alexnet", "vgg11", "vgg13", "vgg16"])
def test_torchvisions_own_keys_are_recognised(architecture):
    with torch.device("meta"):
        state = getattr(models, architecture)(num_classes=1000).state_dict()
    layout = recognise({key: tuple(value.shape) for key, value in state.items()})
    assert (layout.name, layout.architecture, layout.classes) == ("torchvision", architecture, 1000)
    assert layout.keys == {key: key for key in state}
    assert sorted(keys_of(architecture)) == sorted(state)
    assert layout.unknown == ()


def test_our_own_files_bring_their_blocks_back(tmp_path):
    blocks = [Attention(position="conv3", reduction=8), Attention(position="pool5", reduction=4, bias=True)]
    network = build_network("fe_alexnet", attention=blocks)
    shapes = {key: tuple(value.shape) for key, value in network.module.state_dict().items()}
    assert recognise(shapes).attention == tuple(blocks)
    assert [layer.name for layer in network.layers if "fe" in layer.name] == [
        "fe_gate_conv3", "fe_conv3", "fe_gate_pool5", "fe_pool5",
    ]  # fmt: skip
    alone = build_network("fe_alexnet", attention={"position": "conv4"})
    shapes = {key: tuple(value.shape) for key, value in alone.module.state_dict().items()}
    assert recognise(shapes, attention=[Attention(position="conv4")]).attention == (Attention(position="conv4"),)


def test_two_blocks_at_one_place_are_refused():
    with pytest.raises(ValueError, match=r"blocks at \['pool5'\]"):
        build_network("fe_alexnet", attention=[Attention(), Attention(reduction=4)])


def test_a_file_of_another_architecture_names_both(tmp_path):
    shapes = oxford_shapes()
    torch.save({key: torch.zeros(1).expand(shape) for key, shape in shapes.items()}, tmp_path / "vgg.pth")
    with pytest.raises(ValueError, match=r"vgg.pth' holds vgg16 \(layout vgg-face\), not alexnet"):
        build_network("alexnet", weights=tmp_path / "vgg.pth")
    with pytest.raises(ValueError, match=r"holds 2 tensors \(backbone.0.weight, head.weight"):
        recognise({"backbone.0.weight": (3, 3), "head.weight": (2, 3)})


def test_other_classes_are_refused_unless_a_new_head_is_asked_for(tmp_path):
    state = {key: value.expand(value.shape) for key, value in write_alexnet(outputs=8, shift={}, gate={}).items()}
    torch.save(state, tmp_path / "eight.pth")
    with pytest.raises(ValueError, match=r"has 8 classes: pass classes=8, or head='new'"):
        build_network("alexnet", weights=tmp_path / "eight.pth", classes=2)
    network = build_network("alexnet", weights=tmp_path / "eight.pth", classes=2, head="new", layout="se-alexnet")
    assert network.untrained == ("classifier.6.bias", "classifier.6.weight")
    assert network.outputs == ()
    assert network.preprocessing == PREPROCESSINGS["se-alexnet"]
    torch.testing.assert_close(network.module.state_dict()["classifier.4.bias"], state["classifier.4.bias"])


def test_parameters_are_counted_without_building():
    # 61,100,840 and 138,357,544: Krizhevsky's AlexNet in torchvision's form, and VGG16, with 1,000 outputs
    assert count_parameters("alexnet", classes=1000)["all"] == 61_100_840
    assert count_parameters("vgg16", classes=1000)["all"] == 138_357_544
    assert count_parameters("fe_alexnet", attention=Attention(reduction=16))["attention"] == 2 * 256 * 16
    assert (
        count_parameters("fe_alexnet", attention=Attention(position="fc6", reduction=16, bias=True))["attention"]
        == 2_101_504
    )
