"""Files of weights by the program that wrote them: torch, safetensors, MatConvNet, Caffe, Keras, ONNX.

Each is read as tensors by name, in torch's order of axes; no code in a file runs.
"""

import argparse
import logging
import math
import re
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import h5py
import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

from rsa_face.provenance import must_be_plain_hdf5
from rsa_face.safety import must_not_swell

log = logging.getLogger(__name__)

_STATE_DICT = "torch.save(net.state_dict(), 'net.pt')"
# what is not read, and how it is made into what is
ELSEWHERE = {
    ".t7": "Torch7's files have no maintained reader in Python. Read it by torchfile.load (a package of 2017), name "
    "the arrays of its modules as the network's parameters are, and torch.save them in a dict",
    ".pkl": "a pickle may run any code. If you trust who made it, read it in Python, and save its arrays alone: "
    "torch.save({name: torch.as_tensor(value) for name, value in arrays.items()}, 'net.pt')",
    ".keras": "Keras 3's own archives are not read. Load it in Keras, and save it by model.save('net.h5')",
    ".pb": "TensorFlow's graphs are not read. Export it by tf2onnx, or save the Keras model by model.save('net.h5')",
    ".msgpack": f"Flax's files are not read. Load it into the torch network, and write {_STATE_DICT}",
}
for _ending, _other in ((".pickle", ".pkl"), (".net", ".t7"), (".th", ".t7")):
    ELSEWHERE[_ending] = ELSEWHERE[_other]

# what checkpoints keep beside weights, and what holds values and does nothing: options, and numpy's numbers
_SCALAR = np._core.multiarray.scalar
_INERT: list[Any] = [
    argparse.Namespace,
    np.dtype,
    *((_SCALAR, f"numpy.{core}.multiarray.scalar") for core in ("core", "_core")),
    *{type(np.dtype(kind)) for kind in ("?", "f2", "f4", "f8", "i4", "i8")},
]


def must_have_reader(path: Path) -> None:
    """Refuse a file whose reader is not installed, by the name of the extra that brings it."""
    if path.suffix == ".caffemodel":
        _caffe_net()
    if path.suffix == ".onnx":
        _optional("onnx", "ONNX")


def read_content(path: Path) -> object:
    """Read what a file of weights holds: names and tensors, of torch's files perhaps with other things around."""
    return READERS[path.suffix](path)


def _safetensors(path: Path) -> object:
    return safetensors.torch.load_file(path)


def _torch(path: Path) -> object:
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            must_not_swell(sum(part.file_size for part in archive.infolist()), path)
    try:
        with torch.serialization.safe_globals(_INERT):
            return torch.load(path, map_location="cpu", weights_only=True)
    except UnpicklingError as error:  # torch's own words say how to run what is in it
        message = "it was not written by torch, or holds code or other objects, none of which was run"
        raise UnpicklingError(message) from error


def _matconvnet(path: Path) -> dict[str, Tensor]:
    """Read the convolutions of a MatConvNet file, in which a fully connected layer is a convolution over its map."""
    import scipy.io

    must_not_swell(path.stat().st_size, path)
    content = scipy.io.loadmat(path, squeeze_me=False, struct_as_record=True)
    net = content["net"][0, 0] if "net" in content else content
    state: dict[str, Tensor] = {}
    for entry in np.ravel(net["layers"]):
        layer = entry[0, 0] if isinstance(entry, np.ndarray) else entry
        fields = layer.dtype.names or ()
        older = [layer[name] for name in ("filters", "biases") if name in fields]
        filters = np.ravel(layer["weights"]) if "weights" in fields else older
        if len(filters) < 2:
            continue
        name, kernel = str(np.ravel(layer["name"])[0]), np.asarray(filters[0], np.float32)
        kernel = kernel.reshape(*kernel.shape, *[1] * (4 - kernel.ndim))  # Matlab drops axes of length 1 at the end
        # rows, columns, channels, filters there; filters, channels, rows, columns here
        state[f"{name}.weight"] = _tensor(kernel.transpose(3, 2, 0, 1))
        state[f"{name}.bias"] = _tensor(np.ravel(filters[1]))
    return state


def _tensor(values: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.float32, order="C"))


def _optional(name: str, what: str) -> Any:
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        message = (
            f"{what} files need {name.partition('.')[0]}, which is not installed. Run: pip install 'rsa-face[onnx]'"
        )
        raise ModuleNotFoundError(message, name=error.name) from error


# -- Caffe ---------------------------------------------------------------------------------------------------------

# The fields of caffe.proto (BVLC/caffe) that hold weights, by message: name, number, type, repeated. Numbers are
# declared as bytes, which lie in the file as an array does: read one by one, those of a VGG would take minutes.
_CAFFE: dict[str, tuple[tuple[str, int, str, bool], ...]] = {
    "BlobShape": (("dim", 1, "int64", True),),
    "Blob": (
        ("num", 1, "int32", False),
        ("channels", 2, "int32", False),
        ("height", 3, "int32", False),
        ("width", 4, "int32", False),
        ("data", 5, "bytes", True),
        ("shape", 7, "BlobShape", False),
        ("double_data", 8, "bytes", True),
    ),
    "Layer": (("name", 1, "string", False), ("type", 2, "string", False), ("blobs", 7, "Blob", True)),
    "OldLayer": (("name", 4, "string", False), ("type", 5, "int32", False), ("blobs", 6, "Blob", True)),
    "Net": (("old", 2, "OldLayer", True), ("layer", 100, "Layer", True)),
}
_OLD_TYPES = {4: "Convolution", 14: "InnerProduct"}  # of caffe.proto's V1LayerParameter


@cache
def _caffe_net() -> Any:
    """Return the class of messages that a .caffemodel is one of, made by Google's protobuf from the table above."""
    pb2 = _optional("google.protobuf.descriptor_pb2", "Caffe")
    pool, factory = (import_module(f"google.protobuf.{name}") for name in ("descriptor_pool", "message_factory"))
    file = pb2.FileDescriptorProto(name="rsa_face/caffe.proto", package="rsa_face", syntax="proto2")
    kinds = pb2.FieldDescriptorProto
    for name, fields in _CAFFE.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if kind in _CAFFE:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".rsa_face.{kind}"
            else:
                added.type = getattr(kinds, f"TYPE_{kind.upper()}")
    own = pool.DescriptorPool()
    own.Add(file)
    return factory.GetMessageClass(own.FindMessageTypeByName("rsa_face.Net"))


def _caffe(path: Path) -> dict[str, Tensor]:
    """Read the weights of a .caffemodel; of batch normalization, Caffe's two layers keep their two names."""
    net = _caffe_net()()
    net.ParseFromString(path.read_bytes())
    state: dict[str, Tensor] = {}
    for layer in (*net.old, *net.layer):
        kind = _OLD_TYPES.get(layer.type, "") if isinstance(layer.type, int) else layer.type
        arrays = [_array_of(blob) for blob in layer.blobs]
        if kind == "BatchNorm" and len(arrays) == 3:
            # sums, and how many were added up
            factor = 1 / float(arrays[2].ravel()[0] or 1)
            arrays, names = [factor * array for array in arrays[:2]], ["running_mean", "running_var"]
        else:
            names = ["weight", "bias", *(f"blob{place}" for place in range(2, len(arrays)))]
        for name, array in zip(names, arrays, strict=False):
            # older files write every array with four axes
            full = name == "weight" and kind == "InnerProduct"
            flat = array.reshape(array.shape[-2:]) if full else array.ravel() if name != "weight" else array
            state[f"{layer.name}.{name}"] = _tensor(flat)
    return state


def _array_of(blob: Any) -> NDArray[Any]:
    kind, content = ("<f4", b"".join(blob.data)) if blob.data else ("<f8", b"".join(blob.double_data))
    shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
    return np.frombuffer(content, kind).reshape(shape)


# -- Keras ---------------------------------------------------------------------------------------------------------

_ROLE = re.compile(
    r"(?:^|_)(depthwise_kernel|kernel|moving_mean|moving_variance|running_mean|running_std|gamma|beta|alpha|bias|W|b)"
    r"(?:_\d+)?(?::0)?"
)
_ROLES = {
    "kernel": "weight", "W": "weight", "depthwise_kernel": "weight", "gamma": "weight", "alpha": "weight",
    "bias": "bias", "b": "bias", "beta": "bias", "moving_mean": "running_mean", "running_mean": "running_mean",
    "moving_variance": "running_var", "running_std": "running_var",  # a variance, whatever Keras 1 called it
}  # fmt: skip


def _keras(path: Path) -> dict[str, Tensor]:
    """Read the weights of a Keras model in HDF5: all of one, or those alone."""
    must_be_plain_hdf5(path)
    state: dict[str, Tensor] = {}
    with h5py.File(path, "r") as file:
        root = file.get("model_weights", file)
        names = _names_in(root, "layer_names")
        if not names:
            message = (
                "it lacks Keras's `layer_names`. Of a `.weights.h5` of Keras 3, load the model in Keras and write "
                "model.save('net.h5')"
            )
            raise ValueError(message)
        channels = 0  # of the last convolution, while its maps are not flattened
        for layer in names:
            for written in _names_in(root[layer], "weight_names"):
                home, _, last = written.rpartition("/")
                role = _ROLE.search(last)
                if role is None:
                    continue
                key = f"{home.replace('/', '.') or layer}.{_ROLES[role[1]]}"
                values = np.asarray(root[layer][written])
                if role[1] in ("kernel", "W", "depthwise_kernel"):
                    values, channels = _as_in_torch(values, role[1], channels, key)
                state[key] = _tensor(values)
    return state


def _names_in(group: Any, attr: str) -> list[str]:
    """Return the names in an attr, which Keras splits where they are many."""

    def parts() -> Iterator[Any]:
        if attr in group.attrs:
            yield from group.attrs[attr]
        place = 0
        while f"{attr}{place}" in group.attrs:
            yield from group.attrs[f"{attr}{place}"]
            place += 1

    return [name.decode() if isinstance(name, bytes) else str(name) for name in parts()]


def _as_in_torch(values: NDArray[Any], role: str, channels: int, key: str) -> tuple[NDArray[Any], int]:
    """Return a kernel with torch's axes, and how many channels the maps have that come out of it; 0 for none."""
    if values.ndim == 4 and role == "depthwise_kernel":
        rows, columns, inputs, times = values.shape
        return values.transpose(2, 3, 0, 1).reshape(inputs * times, 1, rows, columns), inputs * times
    if values.ndim == 4:
        return values.transpose(3, 2, 0, 1), values.shape[3]
    if values.ndim == 2 and channels and values.shape[0] % channels == 0:
        side = math.isqrt(values.shape[0] // channels)
        if side > 1 and side * side * channels == values.shape[0]:
            # Keras flattens maps as row, column, channel, and torch as channel, row, column
            log.info("%s is read as that of maps of %d x %d, flattened", key, side, side)
            values = values.reshape(side, side, channels, -1).transpose(2, 0, 1, 3).reshape(values.shape)
    return values.T, 0


# -- ONNX ----------------------------------------------------------------------------------------------------------


def _onnx(path: Path) -> dict[str, Tensor]:
    """Read the initialisers of an ONNX graph that hold weights: torch's exporters keep the names of parameters."""
    onnx = _optional("onnx", "ONNX")
    helper = import_module("onnx.numpy_helper")
    graph = onnx.load(path, load_external_data=False).graph
    outside = [one.name for one in graph.initializer if one.data_location == onnx.TensorProto.EXTERNAL]
    if outside:
        message = f"{outside[0]!r} lies in another file; onnx.save(onnx.load(path), out) writes all into one"
        raise ValueError(message)
    floats = (onnx.TensorProto.FLOAT, onnx.TensorProto.DOUBLE, onnx.TensorProto.FLOAT16)
    return {one.name: _tensor(helper.to_array(one)) for one in graph.initializer if one.data_type in floats}


READERS: dict[str, Callable[[Path], object]] = {
    ".safetensors": _safetensors,
    **dict.fromkeys((".pth", ".pt", ".bin", ".tar", ".ckpt"), _torch),
    ".mat": _matconvnet,
    ".caffemodel": _caffe,
    ".h5": _keras,
    ".hdf5": _keras,
    ".onnx": _onnx,
}
FORMATS = tuple(READERS)
REVERSED = (".caffemodel", ".h5", ".hdf5")
"""Where VGG-Face and Oxford's VGG take blue, green, red: Caffe's and Keras's files do, MatConvNet's do not."""
