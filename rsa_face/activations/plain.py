"""What a store from anybody must be: what `extract` writes, packed as it packs it, no more than it says."""

from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import Any, cast

import zarr

from rsa_face.activations.blocks import unpacked_size
from rsa_face.activations.cuts import is_as_created, read_cut
from rsa_face.activations.seals import must_be_sealed, shapes_of
from rsa_face.files import size_of
from rsa_face.safety import must_be_file_names
from rsa_face.untrusted import must_not_swell


def must_be_as_written(node: zarr.Group, path: Path, name: str, total: int) -> zarr.Group:
    """Hold a network's node to what `extract` writes: layers have names, and arrays that their files can hold.

    Parameters
    ----------
    node : zarr.Group
        The network's.
    path : Path
        The ``.zarr`` folder.
    name : str
        The network's, as its folder says.
    total : int
        Number of all stimuli.

    Returns
    -------
    zarr.Group
        The same.

    Raises
    ------
    ValueError
        If it has changed since it was sealed, or was written by another.
    """
    layers, folder = cast("list[str]", node.attrs["layers"]), path / name
    if node.attrs["finished"]:
        must_be_sealed(node, shapes_of(folder), f"what it says of {name!r}")
    must_be_file_names(layers, "layer", str(folder))
    if node.attrs["network"] != name:
        message = f"the network in {name!r} is called {node.attrs['network']!r}"
        raise ValueError(message)
    for layer in layers:
        if not (folder / layer / "activation" / "zarr.json").is_file():
            continue
        array = cast("zarr.Array[Any]", node[f"{layer}/activation"])
        must_not_swell(array.nbytes if node.attrs["finished"] else 0, folder / layer, on_disk=size_of(folder / layer))
        if array.shape[0] != total or len(array.chunks) != array.ndim or array.ndim not in (2, 4):
            message = f"{layer} has the shape {array.shape} for {total} stimuli"
            raise ValueError(message)
        if not is_as_created(array):
            message = f"{layer} is packed by other means than extract's"
            raise ValueError(message)
    return node


def must_unpack_as_written(root: zarr.Group, path: Path, described: Mapping[str, Any]) -> None:
    """Refuse arrays that are small in their files and would be anything once zarr unpacks them.

    Ids and factors are not packed; no array lies beside the layers', which xarray would read as it opens the tree.

    Parameters
    ----------
    root : zarr.Group
        The store's.
    path : Path
        The ``.zarr`` folder.
    described : mapping
        From `describe_store`.

    Raises
    ------
    ValueError
        If there is such an array; it is named.
    """
    columns = cast("dict[str, Any]", root.attrs["table"])
    layers = {f"{each['network']}/{layer}/activation" for each in described["networks"] for layer in each["layers"]}
    for name, array in root.members(max_depth=None):
        if isinstance(array, zarr.Group):
            continue
        if name in layers:
            _must_unpack_to_chunks(array, path / name)
        elif name not in columns or array.compressors or array.shape != (described["stimuli"],):
            message = f"{name!r} is no array that extract writes"
            raise ValueError(message)


def _must_unpack_to_chunks(array: "zarr.Array[Any]", folder: Path) -> None:
    cut = read_cut(array)
    own = prod(cut.chunk) * array.dtype.itemsize
    files = [cut.file_of(folder, block) for block in range(cut.blocks)] if cut.compressed else []
    for file in files:
        size = unpacked_size(file, cut) if file.is_file() else 0
        if size > own:
            message = f"{file.relative_to(folder)} has a chunk that unpacks to {size:,} bytes in place of {own:,}"
            raise ValueError(message)
