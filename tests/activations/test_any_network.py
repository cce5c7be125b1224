"""Any torch network: by the recipe of activations/README.md, by reference, with blocks, calls, tuples and dicts."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision import models

from rsa_face.activations.capture import audit, capture
from rsa_face.activations.extract import Options, extract
from rsa_face.activations.stream import stream_rdms
from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network, build_network
from rsa_face.rdms.measures import compute_rdms
from rsa_face.stimuli.images import read_batches
from rsa_face.stimuli.preprocessing import Preprocessing
from tests.activations.odd import FAMILIES, SMALL, Answers, Squeezed, Twice, Views

README = Path(__file__).parents[2] / "activations/README.md"
ODD = "tests.activations.odd"
SIDE = Preprocessing(resize=64, crop=64)


@pytest.fixture(scope="module")
def resnet():
    return build_network("torchvision:resnet18", seed=0, preprocessing=SIDE)


@pytest.fixture(scope="module")
def vit():
    torch.manual_seed(0)
    module = models.VisionTransformer(32, 8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32, num_classes=5)
    nn.init.normal_(module.heads.head.weight)  # torchvision starts it at zero
    return Network.from_module(module, preprocessing=SMALL, trained=False, name="vit")


def by_hand(module: nn.Module, inputs: torch.Tensor) -> dict[str, list[torch.Tensor]]:
    """Return a copy of every tensor that any module returns, in the order of its calls."""
    outputs: dict[str, list[torch.Tensor]] = {}

    def copying(path):
        def hook(_module, _inputs, output):
            if isinstance(output, torch.Tensor):
                outputs.setdefault(path, []).append(output.clone())

        return hook

    handles = [part.register_forward_hook(copying(path)) for path, part in module.named_modules()]
    with torch.no_grad():
        module.eval()(inputs.clone())
    for handle in handles:
        handle.remove()
    return outputs


def noise(count: int, side: int) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(count))


def test_the_example_of_the_readme_runs_on_a_resnet_of_torchvision(tmp_path, stimuli, monkeypatch, capsys):
    stimuli.table.to_csv(tmp_path / "stimuli.csv", index=False)
    monkeypatch.chdir(tmp_path)
    code = re.search(r"## Any torch network.*?```python\n(.*?)```", README.read_text("utf-8"), re.DOTALL).group(1)
    names = {}
    exec(compile(code, "README.md", "exec"), names)
    assert "right    75" in capsys.readouterr().out
    rdms, network = names["rdms"], names["network"]
    assert rdms["layer"].values.tolist() == [*(f"layer{i}.{j}" for i in (1, 2, 3, 4) for j in (0, 1)), "fc"]
    assert rdms.attrs["training_unknown"] == ["resnet18"]
    with torch.inference_mode():
        outputs = network.module.eval()(next(iter(read_batches(stimuli, network.preprocessing))))
    np.testing.assert_allclose(rdms.values[-1], 1 - np.corrcoef(outputs.double().numpy()), atol=1e-5)


@pytest.mark.parametrize("name", ["torchvision:resnet18", "torchvision:mobilenet_v3_small", f"{ODD}:twice"])
def test_every_layer_equals_a_copy_taken_when_it_was_computed(name):
    network = build_network(name, preprocessing=None if name.startswith(ODD) else SIDE)
    inputs = noise(2, network.preprocessing.crop)
    copies = by_hand(network.module, inputs)
    captured = capture(network, network.layers, inputs)
    for layer in network.layers:
        assert torch.equal(captured[layer.name], copies[layer.path][layer.call or 0]), layer.name
    recorded = {(layer.path, layer.call or 0) for layer in network.layers}
    every = {(path, call) for path, outputs in copies.items() for call in range(len(outputs)) if path}
    assert recorded == every


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_the_audit_of_a_network_of_torchvision_finds_nothing_wrong(name):
    network = build_network(f"torchvision:{name}", preprocessing=None if name.startswith("vit") else SIDE)
    table = audit(network)
    right = table["captured"] == "right"
    assert right.sum() == len(network.layers)
    assert (table.loc[~right, "captured"] == "does not run").all()


@pytest.mark.parametrize("name", ["twice", "views", "answers", "squeezed", "parallel"])
def test_the_audit_of_an_odd_network_finds_nothing_wrong(name):
    table = audit(build_network(f"{ODD}:{name}"))
    right = table["captured"] == "right"
    assert right.sum() >= 3
    assert table.loc[~right, "captured"].str.contains("does not run|first axis").all()
    assert (table["uncopied"] == "wrong").any() == (name in ("twice", "views", "parallel"))


@pytest.mark.slow
def test_a_network_of_torch_compile_is_recorded_as_the_one_inside():
    network = build_network(f"{ODD}:compiled")
    assert type(network.module).__name__ == "Twice"
    assert (audit(network)["captured"] != "wrong").all()


def test_a_module_that_runs_several_times_is_a_layer_for_each_call():
    network = Network.from_module(Twice(), preprocessing=SMALL)
    names = [layer.name for layer in network.layers]
    assert [name for name in names if name.startswith("block@")] == ["block@0", "block@1"]
    assert [name for name in names if name.startswith("act@")] == ["act@0", "act@1"]
    assert [layer.name for layer in network.select("main")] == ["block@1", "fc"]
    assert [layer.name for layer in network.select(["block"])] == ["block@0", "block@1"]
    inputs = noise(2, 32)
    captured = capture(network, network.select(["stem", "block"]), inputs)
    with torch.no_grad():
        stem = network.module.stem(inputs)
        first = network.module.block(stem.relu())
        second = network.module.block(first.clone())
    for name, expected in (("stem", stem), ("block@0", first), ("block@1", second)):
        torch.testing.assert_close(captured[name], expected, rtol=1e-5, atol=1e-6)


def test_parts_of_dicts_and_tuples_are_layers_of_their_own():
    network = Network.from_module(Answers(), preprocessing=SMALL)
    assert [layer.name for layer in network.layers] == ["stem", "fc", "output[maps][0]", "output[maps][1]"]
    assert "first axis is not the stimuli" in network.survey.unrecorded["memory[0]"]
    inputs = noise(3, 32)
    with torch.no_grad():
        returned = network.module.eval()(inputs)
    captured = capture(network, network.layers, inputs)
    assert torch.equal(captured["output[maps][0]"], returned["maps"][0])
    assert torch.equal(captured["output[maps][1]"], returned["maps"][1])
    assert torch.equal(captured["fc"], returned["logits"])


def test_one_stimulus_alone_is_recorded_as_among_others_where_a_squeeze_would_fail():
    network = Network.from_module(Squeezed(), preprocessing=SMALL)
    inputs = noise(3, 32)
    with pytest.raises(IndexError):
        network.module(inputs[:1])
    together, alone = (capture(network, network.layers, some) for some in (inputs, inputs[:1]))
    assert [values.shape[0] for values in alone.values()] == [1, 1, 1, 1]
    for name, values in alone.items():
        torch.testing.assert_close(values, together[name][:1], rtol=1e-5, atol=1e-6)


def test_layers_of_tokens_are_stored_and_pooled(vit, stimuli, tmp_path):
    tree = extract([vit], stimuli, tmp_path / "a.zarr", batch=3)
    blocks = [f"encoder.layers.encoder_layer_{number}" for number in (0, 1)]
    assert {node.attrs["layer"] for node in tree.leaves} == {*blocks, "heads.head"}
    stored = tree[f"vit/{blocks[1]}/activation"]
    assert stored.dims == ("stimulus", "token", "feature")
    assert stored.shape == (10, 17, 16)
    assert all(node.attrs["untrained"] and not node.attrs["training_unknown"] for node in tree.leaves)
    mean = extract([vit], stimuli, tmp_path / "m.zarr", batch=3, options=Options(pool="mean"))
    token = extract([vit], stimuli, tmp_path / "c.zarr", batch=3, options=Options(pool="class"))
    np.testing.assert_allclose(mean[f"vit/{blocks[1]}/activation"], stored.mean("token"), atol=1e-6)
    np.testing.assert_array_equal(token[f"vit/{blocks[1]}/activation"], stored[:, 0])


@pytest.mark.parametrize("memory", [3.0, 0.002])
def test_streamed_rdms_of_any_graph_are_those_of_a_store(resnet, vit, stimuli, tmp_path, memory):
    twice = Network.from_module(Twice(), preprocessing=SMALL, name="twice")
    networks = [resnet, vit, twice]
    stored = compute_rdms(extract(networks, stimuli, tmp_path / "a.zarr", batch=4))
    streamed = stream_rdms(networks, stimuli, batch=4, memory=memory)
    assert streamed["rdm"].values.tolist() == stored["rdm"].values.tolist()
    np.testing.assert_allclose(streamed.values, stored.values, atol=1e-6)
    assert streamed.attrs["training_unknown"] == stored.attrs["training_unknown"] == ["twice"]
    assert streamed.attrs["untrained"] == stored.attrs["untrained"] == ["resnet18", "vit"]


@pytest.mark.parametrize(("pool", "memory"), [("mean", 3.0), ("class", 3.0), ("mean", 1e-5)])
def test_pooled_rdms_are_those_of_a_store_streamed_too(resnet, vit, fe_alexnet, stimuli, tmp_path, pool, memory):
    networks = [resnet, vit, fe_alexnet]
    stored = compute_rdms(extract(networks, stimuli, tmp_path / "a.zarr", batch=4, options=Options(pool=pool)))
    streamed = stream_rdms(networks, stimuli, batch=4, pool=pool, memory=memory)
    assert streamed["rdm"].values.tolist() == stored["rdm"].values.tolist()
    scale = np.maximum(stored.max(("stimulus_i", "stimulus_j")), 1)  # distances of logits have the units of logits
    np.testing.assert_allclose(streamed / scale, stored / scale, atol=1e-6)
    whole = stream_rdms(networks, stimuli, batch=4)
    changed = abs(whole - streamed).max(("stimulus_i", "stimulus_j")) > 1e-3
    assert changed.sel(rdm=f"vit/{vit.select('main')[0].name}")
    assert bool(changed.sel(rdm="resnet18/layer1.0")) is (pool == "mean")


def test_what_streams_in_little_memory_writes_to_its_scratch_folder_and_removes_that(resnet, stimuli, tmp_path):
    stream_rdms([resnet], stimuli, layers=["conv1", "layer1"], memory=0.001, scratch=tmp_path)
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("wanted", "names"),
    [
        (["layer4.*"], ["layer4.0", "layer4.1"]),
        (["layer4.1.**"], ["layer4.1.conv1", "layer4.1.bn1", "layer4.1.relu@0", "layer4.1.conv2", "layer4.1.bn2",
                           "layer4.1.relu@1"]),
        (["layer?", "fc"], ["layer1", "layer2", "layer3", "layer4", "fc"]),
        (["layer4.1.relu"], ["layer4.1.relu@0", "layer4.1.relu@1"]),
        ("fc", ["fc"]),
    ],
)  # fmt: skip
def test_layers_are_chosen_by_name_path_and_pattern(resnet, wanted, names):
    assert [layer.name for layer in resnet.select(wanted)] == names


def test_batch_normalisation_stands_before_the_nonlinearity(resnet):
    layers = {layer.name: layer.nonlinearity for layer in resnet.select(["layer1.0.**", "layer1.0"])}
    assert layers == {
        "layer1.0.conv1": "pre", "layer1.0.bn1": "pre", "layer1.0.relu@0": "post", "layer1.0.conv2": "pre",
        "layer1.0.bn2": "pre", "layer1.0.relu@1": "post", "layer1.0": "post",
    }  # fmt: skip


def test_all_leaves_out_containers_that_return_what_is_in_them(resnet):
    names = [layer.name for layer in resnet.select("all")]
    assert "layer4.1.relu@1" in names
    assert not {"layer4", "layer4.1"} & set(names)


def test_a_pattern_that_means_nothing_is_refused_with_the_nearest_names(resnet, vit):
    with pytest.raises(ValueError, match=r"resnet18 has no layers \['layer5\.\*'\].*75 layers"):
        resnet.select(["layer5.*"])
    projection = "encoder.layers.encoder_layer_0.self_attention.out_proj"
    with pytest.raises(ValueError, match=rf"'{re.escape(projection)}' does not run"):
        vit.select([projection])


@pytest.mark.parametrize(
    ("name", "error", "words"),
    [
        ("torchvision:resnet5O", ValueError, r"no network 'resnet5O'. Did you mean resnet50"),
        ("alexnot", ValueError, r"'alexnot'. Did you mean alexnet\?"),
        ("no.such.package:build", ModuleNotFoundError, r"no module 'no' can be imported"),
        ("torchvison:resnet50", ModuleNotFoundError, r"Did you mean torchvision:resnet50\?"),
        (f"{ODD}:twize", ValueError, r"no callable 'twize'. Did you mean twice\?"),
        (f"{ODD}:broken", ValueError, r"broken raised FileNotFoundError: no such checkpoint: /data/net.pt"),
        (f"{ODD}:brief", ValueError, r"brief raised RuntimeError: broken\. Correct"),
        (f"{ODD}:nothing", ValueError, r"nothing returned str, not a torch module"),
        (f"{ODD}:scripted", ValueError, r"TorchScript runs no hooks"),
    ],
)
def test_what_cannot_be_built_is_refused(name, error, words):
    with pytest.raises(error, match=words):
        build_network(name)


def test_a_network_of_timm_is_built_audited_and_takes_a_file(tmp_path):
    timm = pytest.importorskip("timm")
    network = build_network("timm:vit_tiny_patch16_224", seed=1)
    assert [layer.name for layer in network.select("main")] == [*(f"blocks.{place}" for place in range(12)), "head"]
    assert (network.preprocessing.resize, network.preprocessing.crop, network.trained) == (248, 224, False)
    table = audit(network)
    assert (table["captured"] == "right").sum() == len(network.layers)
    state = timm.create_model("vit_tiny_patch16_224").state_dict()
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "vit.pt")
    read = build_network("timm:vit_tiny_patch16_224", weights=tmp_path / "vit.pt")
    assert all(torch.equal(value, state[key]) for key, value in read.module.state_dict().items())
    with pytest.raises(ValueError, match=r"no network 'resnet81'. Did you mean resnet"):
        build_network("timm:resnet81")


def test_without_timm_the_pip_command_is_named(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "timm", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rsa-face\[timm\]'"):
        build_network("timm:resnet18")


def test_images_of_a_wrong_size_are_refused_with_the_size():
    with pytest.raises(ValueError, match=r"does not run on images of 32 x 32 pixels: .*preprocessing"):
        build_network("torchvision:vit_b_16", preprocessing=SMALL)
    network = Network.from_module(Views(), preprocessing=SMALL)
    conv = [layer for layer in network.layers if layer.name == "conv"]
    with pytest.raises(ValueError, match=r"'conv' .* shape \(2, 8, 14, 14\) for 2 stimuli, not \(2, 8, 30, 30\)"):
        capture(network, conv, noise(2, 16))


def test_activations_that_are_not_numbers_are_named_with_layer_and_stimulus(stimuli, tmp_path):
    module = Twice()
    with torch.no_grad():
        module.block.second.bias[0] = torch.nan
    network = Network.from_module(module, preprocessing=SMALL)
    with pytest.raises(ValueError, match=r"'block@1' are not finite in float32 for 's00'"):
        extract([network], stimuli, tmp_path / "a.zarr")


def test_random_weights_follow_from_the_seed_and_leave_torchs_stream_alone():
    before = torch.random.get_rng_state()
    one, same, other = (build_network("torchvision:resnet18", seed=seed, preprocessing=SIDE) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert one.content_hash() == same.content_hash() != other.content_hash()
    assert (one.trained, one.weights, one.architecture) == (False, "random", "torchvision:resnet18")
    assert one.rests_on_random(one.layers[0])
    drawn = build_network(f"{ODD}:views", weights="random", seed=1)
    assert drawn.content_hash() == build_network(f"{ODD}:views", weights="random", seed=1).content_hash()
    assert drawn.trained is False


def test_a_last_layer_that_the_library_starts_at_zero_is_drawn():
    assert models.vit_b_16(weights=None).heads.head.weight.abs().max() == 0
    assert build_network("torchvision:vit_b_16").module.heads.head.weight.std() > 0.01


def test_the_librarys_preprocessing_is_taken_where_none_is_given():
    expected_input = build_network("torchvision:efficientnet_b3").preprocessing
    assert (expected_input.resize, expected_input.crop, expected_input.interpolation) == (320, 300, "bicubic")


@pytest.mark.parametrize("trained", [True, False, None])
def test_a_module_says_whether_it_is_trained(trained):
    network = build_network(module=Twice(), preprocessing=SMALL, trained=trained, label="mine")
    assert (network.name, network.trained) == ("mine", trained)
    assert network.origin(network.layers) == {
        "untrained": ["mine"] if trained is False else [],
        "training_unknown": ["mine"] if trained is None else [],
    }


def test_a_survey_changes_neither_module_nor_mode():
    module = Twice().train()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    network = Network.from_module(module, preprocessing=SMALL)
    assert all(part.training for part in module.modules())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(part._forward_hooks for part in module.modules())
    assert isinstance(network.layers[0], Layer)
