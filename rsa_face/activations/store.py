"""The activation store: a zarr folder with a node for each network and layer, written in shards of one batch.

``/<network>/<layer>/activation`` is an array whose first axis is the stimuli; `axes_of` names the others. Zarr writes
each batch of a layer as one shard, under another name, and moves it into place: the shards that are there are the
record of finished batches. Zarr's crc32c codec guards values; what a store says of itself is sealed in its attrs.
"""

import json
import logging
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import ceil, prod
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
import xarray as xr
import zarr
from zarr.codecs import BloscCodec, BytesCodec, Crc32cCodec, ShardingCodec

from rsa_face.provenance import hash_content, hash_file, sealed, unsealed
from rsa_face.safety import (
    first_of,
    hold,
    holder_of,
    must_be_file_names,
    must_not_swell,
    one_part,
    path_in,
    reading,
    size_of,
)
from rsa_face.schema import TRAINING_UNKNOWN, must_be_known
from rsa_face.stimuli.catalogue import StimulusSet

if TYPE_CHECKING:
    from rsa_face.networks.layers import Layer  # torch, which looking at a store can do without

log = logging.getLogger(__name__)

FORMAT = 7
ARRAY = "activation"
UNREADABLE = "What extract writes is an activation store"
THEN = "Remove it (rsa-face activations remove, or by hand), and run the same extract again."
_CHUNK_BYTES = 4 * 2**20
_ZARRS_DRAFT = ".partial"


def open_activations(store: str | Path) -> xr.DataTree:
    """Open an activation store, lazily: values are read when used.

    Parameters
    ----------
    store : str or Path
        A ``.zarr`` folder written by `extract`.

    Returns
    -------
    DataTree
        Nodes ``/<network>/<layer>``, each with the variable ``activation``, dims (stimulus, channel, row, column),
        (stimulus, token, feature) or (stimulus, feature). The stimulus ids hold for every node; ids and factors
        stand at the root.

    Raises
    ------
    FileNotFoundError
        If there is no such store.
    ValueError
        If the folder is no activation store, was written by another version, is unfinished, or has changed since.

    Examples
    --------
    >>> import tempfile
    >>> import rsa_face as rf
    >>> stimuli = rf.read_stimuli(rf.load_study("demo").stimuli.table).select(identity="face01")
    >>> small = rf.Preprocessing(resize=64, crop=64)
    >>> network = rf.build_network("alexnet", seed=0, preprocessing=small)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = rf.extract([network], stimuli, f"{folder}/activations.zarr", layers=["relu5", "fc8"])
    ...     tree = open_activations(f"{folder}/activations.zarr")
    ...     dict(tree["alexnet/relu5/activation"].sizes)
    {'stimulus': 9, 'channel': 256, 'row': 3, 'column': 3}
    """
    path = Path(store).absolute()  # it is read lazily, perhaps from another folder, or by another process
    described = describe_store(path)
    unfinished = [each for each in described["networks"] if not each["finished"]]
    if unfinished:
        lacking = ", ".join(f"{each['network']} ({each['done']} of {each['stimuli']} stimuli)" for each in unfinished)
        holder = holder_of(lock_of(path))
        then = f"Wait for {holder}, which is writing to it." if holder else "Run the same extract again: it goes on."
        message = f"The activation store {str(path)!r} is unfinished: {lacking}. {then}"
        raise ValueError(message)
    root = open_group(path)
    with reading(path, UNREADABLE, then=THEN):
        _refuse_other_arrays(root, described)
        tree = xr.open_datatree(path, engine="zarr", chunks=None, consolidated=False, zarr_format=3)
        for coord in tree.coords.values():
            coord.load()
    return tree


def describe_store(store: str | Path) -> dict[str, Any]:
    """Say what a store holds and how far it is, without reading activations.

    Examples
    --------
    >>> describe_store("activations.zarr")["networks"][0]["done"]  # doctest: +SKIP
    54
    """
    path = Path(store)
    if not path.is_dir():
        message = f"No such activation store: {str(path)!r}. Run extract."
        raise FileNotFoundError(message)
    root = open_group(path)
    with reading(path, UNREADABLE, then=THEN):
        total = len(root.attrs["images"])  # type: ignore[arg-type]  # a list, written by begin_store
        nodes = [(_checked_node(root, name, total), path / name) for name in network_names(path)]
        nodes.sort(key=lambda node: int(str(node[0].attrs["place"])))
        return {
            "path": str(path),
            "stimuli": total,
            "dtype": root.attrs["dtype"],
            "loss": root.attrs["loss"],
            "bytes": size_of(path),
            "busy": bool(holder_of(lock_of(path))),
            "networks": [
                {
                    "network": node.attrs["network"],
                    "layers": node.attrs["layers"],
                    "stimuli": total,
                    "done": _count_done(folder, node, total),
                    "finished": node.attrs["finished"],
                    "weights": node.attrs["weights"],
                    "untrained": node.attrs["untrained"],
                    TRAINING_UNKNOWN: node.attrs[TRAINING_UNKNOWN],
                }
                for node, folder in nodes
            ],
        }


def verify_store(store: str | Path, *, read: Literal["all", "changed", "none"] = "all") -> list[str]:
    """Check every shard of a store: its presence, its size and, where it is read, its checksums.

    Parameters
    ----------
    store : str or Path
        A ``.zarr`` folder written by `extract`.
    read : {"all", "changed", "none"}
        Which shards are read through: all of them, which takes as long as the disk does; those written since their
        network was finished, by the times of their files; or none.

    Returns
    -------
    list of str
        A sentence on each shard that is missing, cut or damaged, and each network that is unfinished; empty if
        all is well.

    Raises
    ------
    FileNotFoundError
        If there is no such store.
    ValueError
        If the folder is no activation store, or what it says of itself has changed.

    Examples
    --------
    >>> verify_store("activations.zarr")  # doctest: +SKIP
    []
    """
    must_be_known(read, ("all", "changed", "none"), "choice of what to read")
    path = Path(store)
    described = describe_store(path)
    root = open_group(path)
    with reading(path, UNREADABLE, then=THEN):
        _refuse_other_arrays(root, described)
    faults = []
    for network in described["networks"]:
        if not network["finished"]:
            faults.append(f"{network['network']} is unfinished: {network['done']} of {network['stimuli']} stimuli")
            continue
        faults += faults_of_network(cast("zarr.Group", root[network["network"]]), read=read)
    return faults


def faults_of_network(node: zarr.Group, *, read: Literal["all", "changed", "none"]) -> list[str]:
    """Return what is wrong with the shards of a finished network, each in words."""
    folder, faults = folder_of(node) / node.path, []
    finished = (folder / "zarr.json").stat().st_mtime_ns  # the mark is written after the values
    since = {"all": 0, "changed": finished}.get(read)
    with reading(folder, UNREADABLE, then=THEN):  # a store of an earlier version has no sizes
        sizes = {str(layer): list(each) for layer, each in cast("Any", node.attrs.get("sizes", {})).items()}
    for layer in cast("list[str]", node.attrs["layers"]):
        array, place = cast("zarr.Array[Any]", node[f"{layer}/{ARRAY}"]), folder / layer / ARRAY
        for batch in range(batches_of(array)):
            size = next(iter(sizes.get(layer, [])[batch:]), None)
            fault = fault_of_batch(array, place, batch, size=size, since=since)
            rows = rows_of(array, batch)
            where = f"{node.path}/{layer}, stimuli {rows.start} to {rows.stop - 1}"
            faults += [f"{where}: the file {fault}"] if fault else []
    return faults


def remove_store(store: str | Path) -> list[Path]:
    """Remove what an activation store lists as its own: its arrays, ids and factors; nothing else in its folder."""
    path = Path(store)
    root = open_group(path, any_format=True)
    with hold_store(path):
        for name in network_names(path):
            _remove_network(path, name)
        for name in cast("dict[str, Any]", root.attrs.get("table", {})):
            _remove_member(path_in(path, name, "The column"))
        _remove_empty_groups(path)
        rest = [file for file in sorted(path.rglob("*")) if not file.is_dir() and file != path / "zarr.json"]
        if not rest:
            (path / "zarr.json").unlink()  # last: killed before, the same call goes on
            path.rmdir()
    return rest


@contextmanager
def hold_store(store: str | Path) -> Iterator[None]:
    """Keep other processes from writing to a store; if this one is killed, the hold ends with it."""
    path = Path(store)
    with hold(path, lock_of(path), rule="A store is written by one process at a time"):
        for draft in _zarrs_drafts(path):
            draft.unlink()
        yield


def begin_store(store: str | Path, stimuli: StimulusSet, settings: Mapping[str, Any]) -> zarr.Group:
    """Open a store for writing, making it if need be, and refuse one made from other stimuli or settings."""
    path = Path(store)
    images = [hash_file(file, "blake3")[:16] for file in stimuli.files]
    columns = {str(name): stimuli.table[name] for name in stimuli.table.columns if name != "file"}
    table = {name: [str(value) for value in column] for name, column in columns.items()}
    wanted = {"format": FORMAT, "images": images, "table": table, **settings}
    if not (path.is_dir() and any(path.iterdir())):
        must_be_file_names(columns, "column", "The stimulus table")
        beside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        ids = xr.Dataset(coords={name: ("stimulus", column.to_numpy()) for name, column in columns.items()})
        ids.to_zarr(beside, mode="w", zarr_format=3, consolidated=False)
        root = zarr.open_group(beside, mode="r+", zarr_format=3)
        root.update_attributes(sealed({**dict(root.attrs), **wanted, "columns": _hash_of_columns(beside, table)}))
        beside.replace(path)
        return open_group(path, mode="r+")
    root = open_group(path, mode="r+")
    attrs = dict(root.attrs)
    differing = _differences({key: attrs.get(key) for key in settings}, dict(settings))
    differing += _differing_stimuli(attrs, wanted)
    if differing:
        message = (
            f"The activation store {str(path)!r} was begun with something else: {first_of(differing, '; ')}. Choose "
            "another folder, or remove this one."
        )
        raise ValueError(message)
    return root


def begin_network(root: zarr.Group, name: str, attrs: Mapping[str, Any]) -> zarr.Group:
    """Open a network's node for writing, and refuse one made from other weights, layers or preprocessing."""
    path = folder_of(root)
    folder = path_in(path, name, "The network name", nested=True)
    if name not in network_names(path):
        _refuse_nesting(path, name)
        _refuse_what_is_there(folder, path)
        place = len(network_names(path))
        return root.create_group(name, attributes=sealed({**attrs, "place": place, "finished": False}))
    with reading(path, UNREADABLE, then=THEN):
        node = _checked_node(root, name, len(cast("list[str]", root.attrs["images"])))
    differing = _differences(dict(node.attrs), dict(attrs))
    if differing:
        message = (
            f"{name!r} in the activation store {str(path)!r} was begun with something else: "
            f"{first_of(differing, '; ')}. Choose another folder, give the network a label, or remove this store."
        )
        raise ValueError(message)
    return node


def layer_array(node: zarr.Group, layer: str) -> "zarr.Array[Any] | None":
    """Return a layer's array; None where it is not begun, or is not as it was when it was."""
    folder = folder_of(node) / node.path / layer
    if not (folder / ARRAY / "zarr.json").is_file():
        return None
    try:
        with reading(folder, UNREADABLE, then=THEN):
            group = cast("zarr.Group", node[layer])
            attrs = _attrs_of(group, folder / "zarr.json")
            if "array" not in attrs:  # killed while it was begun
                return None
            return _checked_array(group, attrs, folder)
    except ValueError as error:
        log.warning("%s", error)
        return None


def begin_layer(
    node: zarr.Group, layer: "Layer", shape: Sequence[int], *, dtype: str, rows: int, total: int
) -> "zarr.Array[Any]":
    """Return a layer's array, created unless it is there already: one shard for each batch, cut along channels.

    One channel of all stimuli can so be read without the others.
    """
    array = layer_array(node, layer.name)
    if array is not None:
        return array
    attrs = {name: node.attrs[name] for name in ("network", "place", "untrained", TRAINING_UNKNOWN)}
    attrs |= {"layer": layer.name, "module": layer.path, "kind": layer.kind, "depth": layer.depth}
    attrs |= {"order": layer.order, "nonlinearity": layer.nonlinearity}
    group = node.create_group(layer.name, attributes=sealed(attrs), overwrite=True)
    rows = min(rows, total)
    per_channel = rows * prod(shape[1:]) * np.dtype(dtype).itemsize
    most = min(max(_CHUNK_BYTES // per_channel, 1), shape[0])
    channels = max(count for count in range(1, most + 1) if shape[0] % count == 0)
    sharding = _codecs((rows, channels, *shape[1:]), np.dtype(dtype))
    created: zarr.Array[Any] = group.create_array(
        ARRAY,
        shape=(total, *shape),
        dtype=dtype,
        shards=(rows, *shape),
        chunks=(rows, channels, *shape[1:]),
        compressors=list(sharding[0].codecs[1:]),
        fill_value=np.nan,
        dimension_names=("stimulus", *axes_of(shape)),
        config={"write_empty_chunks": True},
    )
    written = hash_file(folder_of(node) / node.path / layer.name / ARRAY / "zarr.json")
    group.update_attributes(sealed({**attrs, "array": written}))
    return created


def axes_of(shape: Sequence[int]) -> tuple[str, ...]:
    """Return what the axes of one stimulus are called, by their lengths: square maps tell where the channels are.

    Examples
    --------
    >>> axes_of((256, 13, 13)), axes_of((7, 7, 96)), axes_of((197, 768)), axes_of((10,))
    (('channel', 'row', 'column'), ('row', 'column', 'channel'), ('token', 'feature'), ('feature',))
    """
    if len(shape) == 3:
        return ("row", "column", "channel") if shape[0] == shape[1] != shape[2] else ("channel", "row", "column")
    names = {1: ("feature",), 2: ("token", "feature")}
    return names.get(len(shape), tuple(f"axis{place}" for place in range(1, len(shape) + 1)))


def finish_network(node: zarr.Group) -> None:
    """See all of a network's shards on the disk, and say that it is finished."""
    folder = folder_of(node) / node.path
    for file in folder.rglob("*"):
        if file.is_file():
            with file.open("rb") as opened:
                os.fsync(opened.fileno())
    arrays = {layer: cast("zarr.Array[Any]", node[f"{layer}/{ARRAY}"]) for layer in cast("Any", node.attrs["layers"])}
    sizes = {
        layer: [shard_of(array, folder / layer / ARRAY, batch).stat().st_size for batch in range(batches_of(array))]
        for layer, array in arrays.items()
    }
    # after the values: so a machine that loses power never has the mark without them
    attrs = _attrs_of(node, folder / "zarr.json")
    node.update_attributes(sealed({**attrs, "sizes": sizes, "finished": True}))


def unfinish_network(node: zarr.Group) -> None:
    """Take back that a network is finished: some of its shards are to be written again."""
    attrs = _attrs_of(node, folder_of(node) / node.path / "zarr.json")
    node.update_attributes(sealed({**attrs, "finished": False}))


def batches_of(array: "zarr.Array[Any]") -> int:
    """Return how many batches, and so shards, an array has."""
    return ceil(array.shape[0] / _rows(array))


def rows_of(array: "zarr.Array[Any]", batch: int) -> slice:
    """Return which stimuli a batch holds."""
    return slice(batch * _rows(array), min((batch + 1) * _rows(array), array.shape[0]))


def shard_of(array: "zarr.Array[Any]", folder: Path, batch: int) -> Path:
    """Return the file of one batch of an array that lies in a folder."""
    return folder / array.metadata.encode_chunk_key((batch, *[0] * (array.ndim - 1)))


def fault_of_batch(
    array: "zarr.Array[Any]", folder: Path, batch: int, *, size: int | None = None, since: int | None = 0
) -> str:
    """Say what is wrong with one batch, which is read if its file was written `since`; empty if all is well."""
    file = shard_of(array, folder, batch)
    if not file.is_file():
        return "is missing"
    stat = file.stat()
    if size is not None and stat.st_size != size:
        return f"is damaged ({stat.st_size:,} bytes, not {size:,})"
    if since is None or stat.st_mtime_ns < since:
        return ""
    try:
        values = np.asarray(array[rows_of(array, batch)])
    except Exception as error:  # noqa: BLE001  # codecs raise anything over damaged bytes
        return f"is damaged ({type(error).__name__})"
    return (
        "" if np.isfinite(values.sum(dtype=np.float64)) else "lacks values"
    )  # zarr fills with NaN what is not there


def open_group(path: Path, mode: Any = "r", *, any_format: bool = False) -> zarr.Group:
    """Open a folder as an activation store, and refuse anything else, and other versions."""
    if path.exists() and not (path / "zarr.json").is_file():
        message = f"{str(path)!r} is no activation store: it was not written by extract. Check the path."
        raise ValueError(message)
    with reading(path, UNREADABLE, then=THEN):
        root = zarr.open_group(path, mode=mode, zarr_format=3)
        version = root.attrs.get("format")
    if version is None or (version != FORMAT and not any_format):
        message = (
            f"{str(path)!r} is an activation store of format {version!r}, not {FORMAT}: it was written by another "
            "version, or is no activation store. Extract it again, into another folder."
        )
        raise ValueError(message)
    if not any_format:
        with reading(path, UNREADABLE, then=THEN):
            attrs = _attrs_of(root, path / "zarr.json")
            if attrs["columns"] != _hash_of_columns(path, attrs["table"]):
                message = "what it says of its stimuli has changed since it was written"
                raise ValueError(message)
    return root


def is_store(path: Path) -> bool:
    """Return whether a folder says that `extract` wrote it, in whichever version."""
    try:
        attrs = json.loads((path / "zarr.json").read_bytes())["attributes"]
        return "format" in attrs and "table" in attrs
    except (OSError, ValueError, KeyError, TypeError):
        return False


def folder_of(node: zarr.Group) -> Path:
    """Return the ``.zarr`` folder that an open group lies in."""
    return Path(cast("Any", node.store).root)


def network_names(path: Path) -> list[str]:
    """Return the names of the networks in a store, sorted."""
    return sorted(folder.relative_to(path).as_posix() for folder in _networks_below(path))


def lock_of(path: Path) -> Path:
    """Return the file by which a store is held, beside it."""
    return path.with_name(f".{path.name}.lock")


# A network whose name has parts (alexnet/object/0) lies in folders of these names.
def _networks_below(path: Path) -> Iterator[Path]:
    for folder in path.iterdir():
        record = (folder / "zarr.json").read_bytes() if (folder / "zarr.json").is_file() else b""
        if b'"weights_hash"' in record:
            yield folder
        elif b'"group"' in record and not folder.is_symlink():
            yield from _networks_below(folder)


def _checked_node(root: zarr.Group, name: str, total: int) -> zarr.Group:
    """Return a network's node, held to what `extract` writes: sealed attrs, layers with names, arrays as created."""
    path, node = folder_of(root), cast("zarr.Group", root[name])
    _attrs_of(node, path / name / "zarr.json")
    layers = cast("list[str]", node.attrs["layers"])
    must_be_file_names(layers, "layer", str(path / name))
    if node.attrs["network"] != name:
        message = f"the network in {name!r} is called {node.attrs['network']!r}"
        raise ValueError(message)
    for layer in layers if node.attrs["finished"] else ():
        group, folder = cast("zarr.Group", node[layer]), path / name / layer
        array = _checked_array(group, _attrs_of(group, folder / "zarr.json"), folder)
        must_not_swell(array.nbytes, folder, on_disk=size_of(folder))
        if array.shape[0] != total:
            message = f"{layer} has the shape {array.shape} for {total} stimuli"
            raise ValueError(message)
    return node


def _checked_array(group: zarr.Group, attrs: Mapping[str, Any], folder: Path) -> "zarr.Array[Any]":
    """Return a layer's array, held to being as it was created, and as `begin_layer` creates it."""
    if hash_file(folder / ARRAY / "zarr.json") != attrs["array"]:
        message = f"what it says of the array {folder.name!r} has changed since it was written"
        raise ValueError(message)
    array = cast("zarr.Array[Any]", group[ARRAY])
    if not _packed_as(array, _codecs(_chunk_of(array), array.dtype)):
        message = f"{folder.name} is packed by other means than extract's"
        raise ValueError(message)
    return array


def _hash_of_columns(path: Path, columns: Iterable[str]) -> str:
    files = sorted(
        file for name in columns for file in path_in(path, name, "The column").rglob("*") if file.is_file()
    )
    return hash_content([(file.relative_to(path).as_posix(), hash_file(file)) for file in files])


def _refuse_other_arrays(root: zarr.Group, described: Mapping[str, Any]) -> None:
    """Refuse arrays beside the layers', which xarray would read as it opens the tree."""
    columns = cast("dict[str, Any]", root.attrs["table"])
    layers = {f"{each['network']}/{layer}/{ARRAY}" for each in described["networks"] for layer in each["layers"]}
    for name, array in root.members(max_depth=None):
        if isinstance(array, zarr.Group) or name in layers:
            continue
        if name not in columns or array.shape != (described["stimuli"],):
            message = f"{name!r} is no array that extract writes"
            raise ValueError(message)
        must_not_swell(array.nbytes, folder_of(root) / name, on_disk=size_of(folder_of(root) / name))


def _count_done(folder: Path, node: zarr.Group, total: int) -> int:
    """Return how many stimuli are there in every layer of a network, by its shards."""
    if node.attrs["finished"]:
        return total
    arrays = [(layer_array(node, name), folder / name / ARRAY) for name in cast("list[str]", node.attrs["layers"])]
    written = [(array, place) for array, place in arrays if array is not None]
    if len(written) < len(arrays):
        return 0
    done = 0
    for batch in range(batches_of(written[0][0])):
        rows = rows_of(written[0][0], batch)
        done += (rows.stop - rows.start) * all(shard_of(array, place, batch).is_file() for array, place in written)
    return min(done, total)


def _rows(array: "zarr.Array[Any]") -> int:
    return _chunk_of(array)[0]


def _chunk_of(array: "zarr.Array[Any]") -> tuple[int, ...]:
    chunk = tuple(array.chunks)
    if len(chunk) != array.ndim or any(length > axis for length, axis in zip(chunk, array.shape, strict=True)):
        message = f"chunks of {chunk} do not fit an array of {array.shape}"
        raise ValueError(message)
    return chunk


def _codecs(chunk: tuple[int, ...], dtype: "np.dtype[Any]") -> list[Any]:
    """Return how an array is packed: shards of chunks that Blosc packs (lz4, the fastest), with a checksum each."""
    shuffle: Any = "shuffle" if dtype.itemsize == 4 else "noshuffle"
    packed = BloscCodec(cname="lz4", clevel=1, shuffle=shuffle, typesize=dtype.itemsize)
    return [ShardingCodec(chunk_shape=chunk, codecs=[BytesCodec(), packed, Crc32cCodec()])]


def _packed_as(array: "zarr.Array[Any]", codecs: Sequence[Any]) -> bool:
    """Return whether an array is packed by these codecs: zarr unpacks by whatever means an array names."""
    written = [codec.to_dict() for codec in cast("Any", array).metadata.codecs]
    return bool(written == [codec.to_dict() for codec in codecs])


def _attrs_of(node: zarr.Group, file: Path) -> dict[str, Any]:
    """Return what a node says, and refuse one that has changed since it was written."""
    attrs = dict(node.attrs)
    if attrs == (plain := unsealed(attrs, file, then=THEN)):
        message = f"{file} lacks its checksum"
        raise ValueError(message)
    return plain


def _refuse_what_is_there(folder: Path, store: Path) -> None:
    """Refuse to begin a network where files lie that no record of the store lists; nothing of them is removed."""
    files = [file for file in sorted(folder.rglob("*")) if not file.is_dir() and file.suffix != _ZARRS_DRAFT]
    if files or folder.is_symlink():
        message = (
            f"{str(folder)!r} is not empty ({files[0].name if files else 'a link'}) and no network of the activation "
            f"store {str(store)!r}: nothing is written or removed there. Move it, or choose another label."
        )
        raise ValueError(message)


def _refuse_nesting(path: Path, name: str) -> None:
    """Refuse a network whose folder would lie inside another's, or hold others."""
    around = [other for other in network_names(path) if name.startswith(f"{other}/")]
    inside = [other for other in network_names(path) if other.startswith(f"{name}/")]
    if around or inside:
        within = (name, around[0]) if around else (inside[0], name)
        message = (
            f"{within[0]!r} would lie within {within[1]!r} in the activation store {str(path)!r}. Give it another "
            f"label, such as {one_part(within[0])!r}, or another store."
        )
        raise ValueError(message)


def _zarrs_drafts(path: Path) -> list[Path]:
    """Return what zarr left half written when a process was killed, in the nodes that the store itself lists."""
    if not is_store(path):
        return []
    drafts = [*path.glob(f"*{_ZARRS_DRAFT}")]
    for name in network_names(path):
        drafts += [*(path / name).glob(f"*{_ZARRS_DRAFT}"), *(path / name).glob(f"*/**/*{_ZARRS_DRAFT}")]
    return drafts


def _remove_network(path: Path, name: str) -> None:
    node = path_in(path, name, "The network name", nested=True)
    record = json.loads((node / "zarr.json").read_bytes())
    for layer in record["attributes"]["layers"]:
        _remove_member(path_in(node, layer, "The layer"))
    (node / "zarr.json").unlink()


def _remove_empty_groups(path: Path) -> None:
    """Remove the folders that only held networks: each of a name's parts is a group."""
    for folder in sorted((folder for folder in path.rglob("*") if folder.is_dir()), reverse=True):
        if folder.is_symlink() or {file.name for file in folder.iterdir()} - {"zarr.json"}:
            continue
        group = folder / "zarr.json"
        if not group.is_file() or not json.loads(group.read_bytes()).get("attributes"):
            group.unlink(missing_ok=True)
            folder.rmdir()


def _remove_member(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink():
        shutil.rmtree(folder)


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    differing = []
    for key, value in new.items():
        if isinstance(value, Mapping) and isinstance(old.get(key), Mapping):
            differing += _differences(old[key], value, f"{prefix}{key}.")
        elif old.get(key) != value:
            differing.append(f"{prefix}{key} ({_short(old.get(key))} in the store, now {_short(value)})")
    return differing


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}..."


def _differing_stimuli(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, now = (each["table"]["stimulus"] for each in (old, new))
    if before != now:
        only_now = [stimulus for stimulus in now if stimulus not in set(before)]
        only_before = [stimulus for stimulus in before if stimulus not in set(now)]
        if not only_now and not only_before:
            return ["the order of the stimuli"]
        return [f"the stimuli (the store lacks {first_of(only_now)} and also has {first_of(only_before)})"]
    changed = [stimulus for stimulus, was, is_ in zip(now, old["images"], new["images"], strict=True) if was != is_]
    images = [f"the images of {first_of(changed)}"] if changed else []
    return images + [f"the column {name!r}" for name in new["table"] if old["table"].get(name) != new["table"][name]]
