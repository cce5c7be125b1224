"""Weights are checked key by key, never run code, and start from the seed alone."""

import pickle
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torchvision import models

from rsa_face.networks.weights import imagenet_state, load_state, read_state, start_weights
from rsa_face.networks.zoo import build_network


def small() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(4, 2))


def skeleton() -> nn.Module:
    with torch.device("meta"):
        return models.alexnet(num_classes=2)


def state_of(module: nn.Module) -> dict[str, torch.Tensor]:
    return {key: torch.empty_like(value, device="meta") for key, value in module.state_dict().items()}


@pytest.fixture(scope="module")
def convolutions(tmp_path_factory):
    """A file with AlexNet's convolutions alone."""
    path = tmp_path_factory.mktemp("weights") / "convolutions.safetensors"
    state = build_network("alexnet", seed=7).module.features.state_dict()
    save_file({f"features.{key}": value for key, value in state.items()}, path)
    return path


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_weights_do_not_depend_on_what_was_built_before(seed):
    first, second = small(), small()
    start_weights(first, seed=seed)
    torch.rand(10)
    start_weights(small(), seed=seed + 1)
    start_weights(second, seed=seed)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))


def test_random_weights_leave_the_global_generator_alone():
    before = torch.random.get_rng_state()
    build_network("alexnet", seed=5)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_other_seeds_and_layers_have_other_weights():
    first, second = small(), small()
    start_weights(first, seed=0)
    start_weights(second, seed=1)
    assert not torch.equal(first[0].weight, second[0].weight)


def test_alexnet_and_fe_alexnet_of_one_seed_share_all_but_the_block():
    alexnet, excited = (build_network(name, seed=4).module.state_dict() for name in ("alexnet", "fe_alexnet"))
    assert all(torch.equal(excited[key], value) for key, value in alexnet.items())


def test_random_weights_have_the_spread_of_he_and_colleagues():
    module = nn.Linear(2000, 500)
    start_weights(module, seed=0)
    assert module.weight.std().item() == pytest.approx((2 / 2000) ** 0.5, rel=0.01)
    assert not module.bias.any()


def test_missing_unexpected_and_wrongly_shaped_keys_are_all_named():
    module = skeleton()
    state = state_of(module)
    del state["features.3.bias"]
    state["features.99.weight"] = torch.zeros(1)
    state["features.0.weight"] = torch.zeros(64, 1, 11, 11)
    with pytest.raises(ValueError, match=r"lacks features\.3\.bias") as raised:
        load_state(module, state, source="mine.pth")
    for part in ("'mine.pth'", "unexpected features.99.weight", "shape (64, 1, 11, 11) instead of (64, 3, 11, 11)"):
        assert part in str(raised.value)


def test_a_last_layer_of_other_classes_says_which_number_to_pass():
    module = skeleton()
    state = state_of(module) | {"classifier.6.weight": torch.zeros(7, 4096), "classifier.6.bias": torch.zeros(7)}
    with pytest.raises(ValueError, match="has 7 classes: pass classes=7, or head='new'"):
        load_state(module, state, source="seven.pth")


def test_faults_beyond_twelve_are_counted():
    module = skeleton()
    state = state_of(module) | {f"more.{place}": torch.zeros(1) for place in range(15)}
    with pytest.raises(ValueError, match="and 3 more"):
        load_state(module, state, source="long.pth")


def test_a_refused_state_leaves_the_network_as_it_was():
    module = small()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    with pytest.raises(ValueError, match=r"lacks 2\.bias"):
        load_state(module, {"0.weight": torch.zeros(4, 3, 3, 3), "0.bias": torch.zeros(4)}, source="x")
    assert all(torch.equal(module.state_dict()[key], value) for key, value in before.items())


def test_a_file_of_convolutions_serves_convolution_layers_alone(convolutions):
    network = build_network("alexnet", weights=convolutions)
    assert [layer.name for layer in network.select(["conv1", "relu5"])] == ["conv1", "relu5"]
    with pytest.raises(ValueError, match=r"for \['relu6', 'relu7', 'fc8'\]"):
        network.select("main")


def test_loaded_convolutions_are_those_of_the_file(convolutions):
    network = build_network("alexnet", weights=convolutions, seed=0)
    original = build_network("alexnet", seed=7)
    assert torch.equal(network.module.features[3].weight, original.module.features[3].weight)
    assert all(key.startswith("classifier.") for key in network.untrained)


def test_an_alexnet_file_serves_fe_alexnet_but_for_the_block(convolutions):
    network = build_network("fe_alexnet", weights=convolutions)
    assert {"features.fe.gate.0.weight", "features.fe.gate.2.weight"} <= set(network.untrained)


def test_safetensors_and_pth_hold_the_same(tmp_path):
    state = {"a": torch.arange(3.0), "b": torch.ones(2, 2)}
    save_file(state, tmp_path / "x.safetensors")
    torch.save(state, tmp_path / "x.pth")
    for name in ("x.safetensors", "x.pth"):
        read = read_state(tmp_path / name)
        assert all(torch.equal(read[key], value) for key, value in state.items())


class Harmful:
    def __reduce__(self):
        return (print, ("code ran",))


def test_code_in_a_weights_file_is_not_run(tmp_path, capsys):
    (tmp_path / "bad.pth").write_bytes(pickle.dumps(Harmful(), protocol=2))
    with pytest.raises(ValueError, match=r"bad\.pth' cannot be read: .* holds code .* none of which was run"):
        read_state(tmp_path / "bad.pth")
    torch.save({"a": Harmful()}, tmp_path / "zipped.pth")
    with pytest.raises(ValueError, match=r"zipped\.pth"):
        read_state(tmp_path / "zipped.pth")
    assert "code ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors"])
def test_a_file_cut_short_is_named(tmp_path, name):
    complete = tmp_path / f"whole{name[3:]}"
    save_file({"a": torch.ones(1000)}, complete) if "safe" in name else torch.save({"a": torch.ones(1000)}, complete)
    (tmp_path / name).write_bytes(complete.read_bytes()[:2000])
    with pytest.raises(ValueError, match=name.replace(".", r"\.")):
        read_state(tmp_path / name)


def test_a_file_of_other_things_is_refused(tmp_path):
    torch.save({"epoch": 3, "a": torch.ones(1)}, tmp_path / "checkpoint.pth")
    with pytest.raises(ValueError, match="holds no state dict"):
        read_state(tmp_path / "checkpoint.pth")


def test_an_absent_file_and_an_unknown_ending_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pth"):
        read_state(tmp_path / "absent.pth")
    with pytest.raises(ValueError, match=r"imagnet"):
        read_state("imagnet")


def test_a_failed_download_says_how_large_from_where_and_where_to_put_it(monkeypatch):
    def fail(*_args, **_kwargs):
        message = "no route to host"
        raise URLError(message)

    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(RuntimeError, match=r"\d+ MB.*https://.*alexnet.*no route to host.*checkpoints"):
        imagenet_state("alexnet")


def test_a_classifier_can_start_from_the_seed_whatever_the_file_holds(tmp_path):
    complete = build_network("alexnet", seed=7)
    save_file(complete.module.state_dict(), tmp_path / "whole.safetensors")
    network = build_network("alexnet", weights=tmp_path / "whole.safetensors", seed=3, head="classifier")
    fresh = build_network("alexnet", seed=3)
    for key, value in network.module.state_dict().items():
        source = fresh if key.startswith("classifier.") else complete
        assert torch.equal(value, source.module.state_dict()[key]), key
    assert set(network.untrained) == {key for key in complete.module.state_dict() if key.startswith("classifier.")}
