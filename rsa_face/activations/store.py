"""The activation store: a zarr folder with a node for each network and layer, opened as a lazy DataTree."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec

from rsa_face.networks.layers import Layer
from rsa_face.networks.zoo import Network
from rsa_face.stimuli.catalogue import StimulusSet

FORMAT = 1
_SPACE = ("channel", "row", "column")
_CHUNK_BYTES = 16 * 2**20


def open_activations(store: str | Path) -> xr.DataTree:
    """Open an activation store, lazily: values are read when used.

    Parameters
    ----------
    store : str or Path
        A ``.zarr`` folder written by `extract`.

    Returns
    -------
    DataTree
        Nodes ``/<network>/<layer>``, each with the variable ``activation``, dims (stimulus, channel, row, column)
        or (stimulus, feature). The stimulus ids and factors stand at the root and hold for every node.

    Raises
    ------
    FileNotFoundError
        If there is no such store.
    ValueError
        If the folder is no activation store, was written by another version, or is unfinished.
    """
    path = Path(store)
    if not path.is_dir():
        message = f"An activation store must exist to be opened, but there is no folder {str(path)!r}. Run extract."
        raise FileNotFoundError(message)
    root = _open_group(path)
    unfinished = [name for name, group in _networks_in(root).items() if not group.attrs.get("finished")]
    if unfinished:
        message = (
            f"An activation store must be finished to be opened, but {str(path)!r} lacks stimuli of {unfinished}. "
            "Run the same extract again: it goes on where it stopped."
        )
        raise ValueError(message)
    return xr.open_datatree(path, engine="zarr", chunks=None, consolidated=False)


def begin_store(store: str | Path, stimuli: StimulusSet, settings: Mapping[str, Any]) -> zarr.Group:
    """Open a store for writing, making it if need be, and refuse one made from other stimuli or settings.

    Parameters
    ----------
    store : str or Path
        A ``.zarr`` folder.
    stimuli : StimulusSet
        What its rows are.
    settings : mapping
        What must be the same for every network in it: dtype, batch.

    Returns
    -------
    zarr.Group
        The root.

    Raises
    ------
    ValueError
        If the store exists and was made otherwise; what differs is named.
    """
    path = Path(store)
    wanted = {"format": FORMAT, "stimuli_hash": stimuli.content_hash(), **settings}
    if path.is_dir() and any(path.iterdir()):
        root = _open_group(path, mode="r+")
        differing = [f"{key}: {root.attrs.get(key)!r}, now {value!r}" for key, value in wanted.items()
                     if root.attrs.get(key) != value]  # fmt: skip
        if differing:
            message = (
                f"A store must be continued with the settings it was begun with, but {str(path)!r} differs in "
                f"{'; '.join(differing)}. Choose another folder, or remove this one."
            )
            raise ValueError(message)
        return root
    ids = xr.Dataset(coords=_coords_of(stimuli), attrs=wanted)
    ids.to_zarr(path, mode="w", zarr_format=3, consolidated=False)
    return _open_group(path, mode="r+")


def begin_network(root: zarr.Group, network: Network, attrs: Mapping[str, Any]) -> zarr.Group:
    """Open a network's node for writing, and refuse one made from other weights, layers or preprocessing.

    Parameters
    ----------
    root : zarr.Group
        From `begin_store`.
    network : Network
        Which.
    attrs : mapping
        What identifies it: weights hash, preprocessing, layers.

    Returns
    -------
    zarr.Group
        Its attrs hold how many stimuli are ``done`` and whether it is ``finished``.

    Raises
    ------
    ValueError
        If the node exists and was made otherwise; what differs is named.
    """
    if network.name not in root:
        node = root.create_group(
            network.name, attributes={**attrs, "place": len(list(root.groups())), "done": 0, "finished": False}
        )
        return node
    node = cast("zarr.Group", root[network.name])
    differing = [key for key, value in attrs.items() if node.attrs.get(key) != value]
    if differing:
        message = (
            f"A store must be continued with the networks it was begun with, but {network.name!r} in "
            f"{str(root.store_path)!r} has another {', '.join(differing)}. Choose another folder, or remove this one."
        )
        raise ValueError(message)
    return node


def write_block(node: zarr.Group, layer: Layer, values: np.ndarray, start: int, *, total: int, block: int) -> None:
    """Write one block of stimuli of a layer at its place.

    Parameters
    ----------
    node : zarr.Group
        The network's.
    layer : Layer
        Which layer.
    values : ndarray, shape (stimulus, channel, row, column) or (stimulus, feature)
        The activations of these stimuli.
    start : int
        Place of the first of them among all.
    total, block : int
        Number of all stimuli, and of those in a block: the file that is written at once.
    """
    if f"{layer.name}/activation" not in node:
        _create_array(node, layer, values, total=total, block=block)
    array = cast("zarr.Array[Any]", node[f"{layer.name}/activation"])
    array[start : start + len(values)] = values


def remove_store(store: str | Path) -> None:
    """Remove an activation store, and nothing that is not one.

    Parameters
    ----------
    store : str or Path
        A ``.zarr`` folder.

    Raises
    ------
    ValueError
        If the folder is not an activation store.
    """
    _open_group(Path(store))
    shutil.rmtree(store)


def _open_group(path: Path, mode: Any = "r") -> zarr.Group:
    try:
        root = zarr.open_group(path, mode=mode, zarr_format=3)
    except (FileNotFoundError, ValueError, KeyError) as error:
        message = f"An activation store must be a zarr folder written by extract, but {str(path)!r} is not: {error}."
        raise ValueError(message) from error
    if root.attrs.get("format") != FORMAT:
        message = (
            f"An activation store must have format {FORMAT}, but {str(path)!r} has {root.attrs.get('format')!r}. "
            "It was written by another version: extract it anew."
        )
        raise ValueError(message)
    return root


def _networks_in(root: zarr.Group) -> dict[str, zarr.Group]:
    return {str(group.attrs["network"]): group for _, group in root.groups() if "network" in group.attrs}


def _coords_of(stimuli: StimulusSet) -> dict[str, Any]:
    table = stimuli.table
    return {str(name): ("stimulus", table[name].to_numpy()) for name in table.columns if name != "file"}


def _create_array(node: zarr.Group, layer: Layer, values: np.ndarray, *, total: int, block: int) -> None:
    shape = values.shape[1:]
    per_row = max(int(np.prod(shape)) * values.dtype.itemsize, 1)
    rows = max(
        (rows for rows in range(1, block + 1) if block % rows == 0 and rows * per_row <= _CHUNK_BYTES), default=1
    )
    node.create_group(
        layer.name,
        attributes={
            "network": node.attrs["network"],
            "place": node.attrs["place"],
            "untrained": node.attrs["untrained"],
            "layer": layer.name,
            "module": layer.path,
            "kind": layer.kind,
            "depth": layer.depth,
            "order": layer.order,
            "nonlinearity": layer.nonlinearity,
        },
    ).create_array(
        "activation",
        shape=(total, *shape),
        dtype=values.dtype,
        shards=(block, *shape),
        chunks=(rows, *shape),
        compressors=BloscCodec(cname="lz4", clevel=1, shuffle="bitshuffle"),
        fill_value=np.nan,
        dimension_names=("stimulus", *(_SPACE if len(shape) == 3 else ("feature",))),
    )
