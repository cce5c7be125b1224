"""Weights of Caffe, Keras and ONNX, and recipes for nets of faces and expressions: on files made here, key by key."""

import struct
import sys

import h5py
import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from rsa_face.activations.capture import audit
from rsa_face.cli import main
from rsa_face.networks.convert import convert_weights, inspect_file
from rsa_face.networks.formats import read_content
from rsa_face.networks.weights import read_record, read_weights
from rsa_face.networks.zoo import answer_places, build_network
from rsa_face.stimuli.preprocessing import Preprocessing

HERE = "tests.networks.laboratory"
RNG = np.random.default_rng(0)
CONVOLUTIONS = {f"conv{block}_{place}": (width, before, 3, 3) for block, place, before, width in (
    (1, 1, 3, 64), (1, 2, 64, 64), (2, 1, 64, 128), (2, 2, 128, 128), (3, 1, 128, 256), (3, 2, 256, 256),
    (3, 3, 256, 256), (4, 1, 256, 512), (4, 2, 512, 512), (4, 3, 512, 512), (5, 1, 512, 512), (5, 2, 512, 512),
    (5, 3, 512, 512))}  # fmt: skip


def draw(*shape):
    return RNG.normal(size=shape).astype(np.float32)


@pytest.fixture(scope="module")
def oxford():
    """VGG16's convolutions under Oxford's names."""
    return {name: (draw(*shape), draw(shape[0])) for name, shape in CONVOLUTIONS.items()}


# -- Caffe: protocol buffers written by hand, by the numbers of caffe.proto --------------------------------------


def field(number, content):
    head, length = varint(number << 3 | 2), varint(len(content))
    return head + length + content


def varint(value):
    some = bytearray()
    while value > 127:
        some.append(value & 127 | 128)
        value >>= 7
    return bytes([*some, value])


def blob(array, *, old=False):
    axes = (1,) * (4 - array.ndim) + array.shape
    shape = (
        b"".join(varint(number << 3) + varint(size) for number, size in enumerate(axes, start=1))
        if old
        else field(7, field(1, b"".join(map(varint, array.shape))))
    )
    return shape + field(5, array.astype("<f4").tobytes())


def caffe(layers, path):
    parts = [
        field(100, field(1, name.encode()) + field(2, kind.encode()) + b"".join(field(7, blob(a)) for a in arrays))
        for name, kind, arrays in layers
    ]
    path.write_bytes(field(1, b"a net") + b"".join(parts))
    return path


def test_a_net_of_caffe_is_vgg_face_that_takes_blue_green_red(oxford, tmp_path):
    pytest.importorskip("google.protobuf")
    layers = [(name, "Convolution", arrays) for name, arrays in oxford.items()]
    file = caffe([("data", "Input", []), *layers], tmp_path / "VGG_FACE.caffemodel")
    state, content = read_weights(file)
    assert (content.architecture, content.name) == ("vgg16", "vgg-face-bgr")
    np.testing.assert_array_equal(state["features.0.weight"], oxford["conv1_1"][0][:, ::-1])
    np.testing.assert_array_equal(state["features.28.weight"], oxford["conv5_3"][0])
    np.testing.assert_array_equal(state["features.28.bias"], oxford["conv5_3"][1])


def test_caffes_older_layers_and_batch_normalization_are_read(tmp_path):
    pytest.importorskip("google.protobuf")
    weight, bias = draw(5, 8), draw(5)
    old = field(4, b"fc8") + varint(5 << 3) + varint(14) + field(6, blob(weight, old=True))
    old += field(6, blob(bias, old=True))
    (tmp_path / "old.caffemodel").write_bytes(field(2, old))
    state = read_content(tmp_path / "old.caffemodel")
    np.testing.assert_array_equal(state["fc8.weight"], weight)
    np.testing.assert_array_equal(state["fc8.bias"], bias)
    mean, variance = draw(4), np.abs(draw(4))
    sums = [4 * mean, 4 * variance, np.array([4], np.float32)]
    file = caffe([("bn", "BatchNorm", sums), ("bn/scale", "Scale", [mean, variance])], tmp_path / "bn.caffemodel")
    state = read_content(file)
    np.testing.assert_allclose(state["bn.running_mean"], mean, rtol=1e-6)
    np.testing.assert_allclose(state["bn.running_var"], variance, rtol=1e-6)
    assert list(state)[2:] == ["bn/scale.weight", "bn/scale.bias"]


def test_a_damaged_net_of_caffe_is_refused_by_name(tmp_path):
    pytest.importorskip("google.protobuf")
    file = caffe([("conv1_1", "Convolution", [draw(4, 3, 3, 3)])], tmp_path / "cut.caffemodel")
    for content in (file.read_bytes()[:-30], b"\xff" * 100, struct.pack("<f", 1.0)):
        file.write_bytes(content)
        with pytest.raises(ValueError, match=r"cut\.caffemodel"):
            read_weights(file)


# -- Keras -------------------------------------------------------------------------------------------------------


def keras(layers, path, *, inside=""):
    with h5py.File(path, "w") as file:
        root = file.create_group(inside) if inside else file
        root.attrs["layer_names"] = [name.encode() for name in layers]
        for name, arrays in layers.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [key.encode() for key in arrays]
            for key, array in arrays.items():
                group[key] = array
    return path


def test_vgg_face_of_keras_has_its_axes_turned_and_takes_blue_green_red(oxford, tmp_path):
    layers = {name: {f"{name}_W_1:0": weight.transpose(2, 3, 1, 0), f"{name}_b_1:0": bias}
              for name, (weight, bias) in oxford.items()}  # fmt: skip
    state, content = read_weights(keras({"input_1": {}, **layers}, tmp_path / "rcmalli_vggface.h5"))
    assert (content.name, content.preprocessing.mean[0]) == ("vgg-face-bgr", pytest.approx(129.1863 / 255))
    np.testing.assert_array_equal(state["features.0.weight"], oxford["conv1_1"][0][:, ::-1])
    np.testing.assert_array_equal(state["features.2.weight"], oxford["conv1_2"][0])


def test_what_keras_computes_is_what_torch_does_from_its_weights(tmp_path):
    """A net of every kind of layer, computed by hand as Keras does: channels last, maps flattened by rows."""
    torch.manual_seed(0)
    kernel, depthwise, dense = draw(3, 3, 3, 4), draw(3, 3, 4, 1), draw(4 * 2 * 2, 5)
    gamma, beta, mean, variance = draw(4), draw(4), draw(4), np.abs(draw(4)) + 0.5
    layers = {
        "conv": {"conv/kernel:0": kernel, "conv/bias:0": draw(4)},
        "bn": dict(zip(("bn/gamma:0", "bn/beta:0", "bn/moving_mean:0", "bn/moving_variance:0"),
                       (gamma, beta, mean, variance), strict=True)),
        "dw": {"dw/depthwise_kernel:0": depthwise},
        "fc": {"fc/kernel:0": dense, "fc/bias:0": draw(5)},
    }  # fmt: skip
    state = read_content(keras(layers, tmp_path / "net.h5", inside="model_weights"))
    module = nn.Sequential()
    for name, part in (("conv", nn.Conv2d(3, 4, 3)), ("bn", nn.BatchNorm2d(4, eps=1e-3)),
                       ("dw", nn.Conv2d(4, 4, 3, groups=4, bias=False)), ("flat", nn.Flatten()),
                       ("fc", nn.Linear(16, 5))):  # fmt: skip
        module.add_module(name, part)
    module.load_state_dict({**state, "bn.num_batches_tracked": torch.tensor(0)})
    image = draw(6, 6, 3)
    maps = correlated(image, kernel) + layers["conv"]["conv/bias:0"]
    maps = (maps - mean) / np.sqrt(variance + 1e-3) * gamma + beta
    maps = np.stack([correlated(maps[:, :, [c]], depthwise[:, :, [c]])[:, :, 0] for c in range(4)], axis=2)
    expected = maps.ravel() @ dense + layers["fc"]["fc/bias:0"]
    with torch.no_grad():
        output = module.eval()(torch.from_numpy(image).permute(2, 0, 1)[None])
    np.testing.assert_allclose(output[0], expected, rtol=1e-4, atol=1e-4)


def correlated(image, kernel):
    """Return a convolution as neural networks mean it, without padding; channels last."""
    side = image.shape[0] - kernel.shape[0] + 1
    windows = [[image[r : r + 3, c : c + 3] for c in range(side)] for r in range(side)]
    return np.tensordot(np.array(windows), kernel, axes=3)


def test_weights_of_keras_3_are_refused_with_what_to_save(tmp_path):
    with h5py.File(tmp_path / "net.weights.h5", "w") as file:
        file["layers/conv/vars/0"] = draw(3, 3, 3, 4)
    with pytest.raises(ValueError, match=r"net\.weights\.h5.*layer_names.*model\.save\('net\.h5'\)"):
        read_weights(tmp_path / "net.weights.h5")


# -- ONNX, and what is not read ----------------------------------------------------------------------------------


def test_initialisers_of_onnx_are_read_under_their_names(tmp_path):
    onnx = pytest.importorskip("onnx")
    weight = draw(4, 3, 3, 3)
    tensors = [
        onnx.numpy_helper.from_array(weight.astype(np.float16), "conv.weight"),
        onnx.numpy_helper.from_array(np.array([1, -1]), "shape"),
    ]
    graph = onnx.helper.make_graph([], "net", [], [], tensors)
    onnx.save(onnx.helper.make_model(graph), tmp_path / "net.onnx")
    state = read_content(tmp_path / "net.onnx")
    assert list(state) == ["conv.weight"]
    np.testing.assert_array_equal(state["conv.weight"], weight.astype(np.float16).astype(np.float32))


def test_initialisers_outside_the_file_are_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    tensor = onnx.numpy_helper.from_array(draw(40, 3, 3, 3), "conv.weight")
    model = onnx.helper.make_model(onnx.helper.make_graph([], "net", [], [], [tensor]))
    onnx.save(model, tmp_path / "net.onnx", save_as_external_data=True, location="net.data", size_threshold=0)
    with pytest.raises(ValueError, match=r"net\.onnx.*conv\.weight.*another file"):
        read_weights(tmp_path / "net.onnx")


@pytest.mark.parametrize("ending", ["onnx", "caffemodel"])
def test_without_a_reader_the_pip_command_is_named(ending, tmp_path, monkeypatch):
    from rsa_face.networks import formats

    formats._caffe_net.cache_clear()
    for name in ("onnx", "google.protobuf", "google.protobuf.descriptor_pb2"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / f"net.{ending}").write_bytes(b"")
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'rsa-face\[onnx\]'"):
        read_weights(tmp_path / f"net.{ending}")


@pytest.mark.parametrize(("ending", "words"), [("t7", "torchfile"), ("pkl", "may run any code"), ("keras", "net.h5")])
def test_files_without_a_reader_are_refused_with_how_to_convert_them(ending, words, tmp_path):
    (tmp_path / f"net.{ending}").write_bytes(b"x")
    with pytest.raises(ValueError, match=rf"net\.{ending}' cannot be read: .*{words}"):
        build_network("vgg16", weights=tmp_path / f"net.{ending}")


# -- recipes -----------------------------------------------------------------------------------------------------


def same_weights(network, state):
    loaded = network.module.state_dict()
    return all(torch.equal(loaded[key], value) for key, value in state.items())


def test_arcface_is_read_by_its_own_names_into_a_builder(tmp_path):
    state = build_network(f"{HERE}:arcface").module.state_dict()
    changed = {key: value + 0.01 if value.is_floating_point() else value for key, value in state.items()}
    torch.save(changed, tmp_path / "backbone.pth")
    done = convert_weights(tmp_path / "backbone.pth", tmp_path / "arcface.safetensors", network=f"{HERE}:arcface")
    assert (done.left_out, done.missing, done.mapped) == ((), (), {key: key for key in state})
    network = build_network(f"{HERE}:arcface", weights=tmp_path / "arcface.safetensors")
    assert same_weights(network, changed)
    assert (network.preprocessing.crop, network.trained) == (112, True)


def test_facenets_classifier_is_left_out_of_its_embedding(tmp_path):
    state = build_network(f"{HERE}:facenet").module.state_dict()
    head = {"logits.weight": torch.zeros(7, 6), "logits.bias": torch.zeros(7)}
    torch.save({**state, **head}, tmp_path / "20180402-114759-vggface2.pt")
    file = tmp_path / "20180402-114759-vggface2.pt"
    with pytest.raises(ValueError, match=r"unexpected logits\.bias"):
        convert_weights(file, tmp_path / "out.safetensors", network=f"{HERE}:facenet")
    done = convert_weights(file, tmp_path / "out.safetensors", network=f"{HERE}:facenet", rename={"logits": ""})
    assert (done.left_out, done.missing) == (("logits.bias", "logits.weight"), ())


def test_emonet_comes_out_of_data_parallel_and_its_dict_is_checked(tmp_path):
    state = build_network(f"{HERE}:emonet").module.state_dict()
    torch.save({f"module.{key}": value for key, value in state.items()}, tmp_path / "emonet_8.pth")
    done = convert_weights(tmp_path / "emonet_8.pth", tmp_path / "emonet.safetensors", network=f"{HERE}:emonet")
    assert done.mapped["emo_fc_2.0.weight"] == "module.emo_fc_2.0.weight"
    network = build_network(f"{HERE}:emonet", weights=tmp_path / "emonet.safetensors")
    assert {"output[expression]", "output[valence]"} <= {layer.name for layer in network.layers}
    assert (audit(network)["captured"] == "right").all()


def test_hsemotions_head_is_renamed_and_its_outputs_named(tmp_path):
    state = build_network("torchvision:efficientnet_b0", classes=8).module.state_dict()
    hsemotion = {key.replace("classifier.1.", "classifier.0."): value.half() for key, value in state.items()}
    torch.save(hsemotion, tmp_path / "enet_b0_8.pt")
    names = "anger,contempt,disgust,fear,happy,neutral,sad,surprise"
    words = ["--network", "torchvision:efficientnet_b0", "--classes", "8", "--rename", "classifier.0=classifier.1",
             "--outputs", names, "--preprocessing", "{resize: [64, 64], crop: 64}"]  # fmt: skip
    with pytest.raises(SystemExit) as exit_:
        main(["weights", "convert", str(tmp_path / "enet_b0_8.pt"), str(tmp_path / "out.safetensors"), *words])
    assert exit_.value.code == 0
    network = build_network("torchvision:efficientnet_b0", classes=8, weights=tmp_path / "out.safetensors")
    assert network.preprocessing.crop == 64
    assert network.outputs == tuple(names.split(","))
    assert answer_places(network) == (6, 4)


SENET = {"conv1": "layer0.conv1", "bn1": "layer0.bn1", ".conv4": ".se_module.fc1", ".conv5": ".se_module.fc2",
         "fc": "last_linear"}  # fmt: skip


def test_vggface2s_senet_has_a_place_for_every_tensor_in_timms(tmp_path):
    pytest.importorskip("timm")
    state = build_network("timm:legacy_seresnet50", classes=11).module.state_dict()
    named = {}
    for key, value in state.items():
        name = key.replace("layer0.", "").replace("last_linear.", "fc.")
        name = name.replace(".se_module.fc1.", ".conv4.").replace(".se_module.fc2.", ".conv5.")
        named[name] = value
    torch.save(named, tmp_path / "senet50_ft.pt")
    inputs = Preprocessing(
        resize=256, crop=224, mean=(131.0912 / 255, 103.8827 / 255, 91.4953 / 255), sd=(1 / 255,) * 3
    )
    done = convert_weights(tmp_path / "senet50_ft.pt", tmp_path / "out.safetensors", network="timm:legacy_seresnet50",
                           classes=11, rename=SENET, bgr=True, preprocessing=inputs)  # fmt: skip
    assert (done.left_out, done.missing) == ((), ())
    assert done.mapped["layer1.0.se_module.fc1.weight"] == "layer1.0.conv4.weight"
    network = build_network("timm:legacy_seresnet50", classes=11, weights=tmp_path / "out.safetensors")
    assert torch.equal(network.module.layer0.conv1.weight, state["layer0.conv1.weight"].flip(1))
    assert network.preprocessing == inputs


@pytest.mark.parametrize(
    ("rename", "words"),
    [({"clasifier": "fc"}, r"begins with \['clasifier'\]"), ({"a": "", "b": ""}, "No tensor is left"),
     ({"a": "c", "b": "c"}, r"'a\.w' and 'b\.w' would both be 'c\.w'")],
)  # fmt: skip
def test_a_renaming_that_does_nothing_or_too_much_is_refused(rename, words, tmp_path):
    save_file({"a.w": torch.zeros(1), "b.w": torch.zeros(1)}, tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=words):
        convert_weights(tmp_path / "net.safetensors", tmp_path / "out.safetensors", rename=rename)


# -- looking into a file -----------------------------------------------------------------------------------------


def test_a_file_of_another_network_is_inspected_by_that_networks_name(tmp_path):
    state = build_network("torchvision:resnet18", classes=5).module.state_dict()
    wrapped = {f"module.{key}": value.half() if value.is_floating_point() else value for key, value in state.items()}
    del wrapped["module.conv1.weight"]
    torch.save({"state_dict": wrapped | {"module.queue": torch.zeros(2)}}, tmp_path / "net.pth")
    contents = inspect_file(tmp_path / "net.pth", network="torchvision:resnet18")
    assert contents["loads"] == len(state) - 3
    assert contents["missing"] == ["conv1.weight"]
    assert contents["unknown"] == ["queue"]
    assert contents["of another shape"] == ["fc.weight (5, 512)", "fc.bias (5,)"]
    alone = inspect_file(tmp_path / "net.pth")
    assert alone["architecture"].startswith("none of the five")
    assert (alone["classes"], alone["types"]) == (5, ["float16", "float32", "int64"])


def test_what_converting_notes_is_in_the_file(tmp_path):
    state = build_network("torchvision:resnet18").module.state_dict()
    save_file(state, tmp_path / "net.safetensors")
    with pytest.raises(ValueError, match=r"outputs names 2, but torchvision:resnet18 returns \(1000,\)"):
        convert_weights(tmp_path / "net.safetensors", tmp_path / "out.safetensors", network="torchvision:resnet18",
                        outputs=("sad", "happy"), preprocessing=Preprocessing(resize=64, crop=64))  # fmt: skip
    assert not (tmp_path / "out.safetensors").exists()
    small = Preprocessing(resize=64, crop=64)
    convert_weights(tmp_path / "net.safetensors", tmp_path / "out.safetensors", network="torchvision:resnet18",
                    preprocessing=small)  # fmt: skip
    record = read_record(tmp_path / "out.safetensors")
    assert (record["preprocessing"]["crop"], record["converted_from"]["file"]) == (64, "net.safetensors")
