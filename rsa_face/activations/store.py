"""The activation store: a zarr folder with a node for each network and layer, opened as a lazy DataTree."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import xarray as xr
import zarr

from rsa_face.activations.blocks import batches_claimed, faults_of_block
from rsa_face.activations.cuts import Cut, read_cut
from rsa_face.activations.plain import must_be_as_written, must_unpack_as_written
from rsa_face.activations.seals import coords_of, must_be_sealed
from rsa_face.files import size_of
from rsa_face.holding import holder_of
from rsa_face.untrusted import reading

FORMAT = 5
WHOLE = "An activation store must be whole"
THEN = "Remove it (rsa-face activations remove, or by hand), and run the same again: it is extracted anew."


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
        or (stimulus, feature). The stimulus ids hold for every node; ids and factors stand at the root.

    Raises
    ------
    FileNotFoundError
        If there is no such store.
    ValueError
        If the folder is no activation store, was written by another version, or is unfinished.
    """
    path = Path(store).absolute()  # it is read lazily, perhaps from another folder, or by another process
    described = describe_store(path)
    unfinished = [each for each in described["networks"] if not each["finished"]]
    if unfinished:
        lacking = ", ".join(f"{each['network']} ({each['done']} of {each['stimuli']} stimuli)" for each in unfinished)
        holder = holder_of(lock_of(path))
        then = f"Wait for {holder}, which is writing to it." if holder else "Run the same extract again: it goes on."
        message = f"An activation store must be finished to be opened, but {str(path)!r} is not: {lacking}. {then}"
        raise ValueError(message)
    root = open_group(path)
    with reading(path, WHOLE, then=THEN):
        must_unpack_as_written(root, path, described)
        tree = xr.open_datatree(path, engine="zarr", chunks=None, consolidated=False, zarr_format=3)
        for coord in tree.coords.values():
            coord.load()
    return tree


def describe_store(store: str | Path) -> dict[str, Any]:
    """Say what a store holds and how far it is, without reading activations.

    Parameters
    ----------
    store : str or Path
        A ``.zarr`` folder written by `extract`, finished or not.

    Returns
    -------
    dict
        ``path``, ``stimuli`` (their number), ``dtype``, ``loss``, ``bytes`` on disk, ``busy`` (whether a process
        is writing to it now), and ``networks``: a list of dicts with ``network``, ``layers``, ``stimuli``,
        ``done`` (stimuli that are there in every layer), ``finished``, ``weights`` and ``untrained``.

    Raises
    ------
    FileNotFoundError
        If there is no such store.
    ValueError
        If the folder is no activation store, or was written by another version.
    """
    path = Path(store)
    if not path.is_dir():
        message = f"An activation store must exist to be opened, but there is no folder {str(path)!r}. Run extract."
        raise FileNotFoundError(message)
    root = open_group(path)
    with reading(path, WHOLE, then=THEN):
        return _described(path, root)


def _described(path: Path, root: zarr.Group) -> dict[str, Any]:
    total = len(root.attrs["images"])  # type: ignore[arg-type]  # a list, written by begin_store
    nodes = [must_be_as_written(cast("zarr.Group", root[name]), path, name, total) for name in network_names(path)]
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
                "done": total if node.attrs["finished"] else count_done(path, node, total),
                "finished": node.attrs["finished"],
                "weights": node.attrs["weights"],
                "untrained": node.attrs["untrained"],
            }
            for node in sorted(nodes, key=lambda node: int(str(node.attrs["place"])))
        ],
    }


def verify_store(store: str | Path) -> list[str]:
    """Read every file of a store and check every chunk against its checksum.

    Parameters
    ----------
    store : str or Path
        A ``.zarr`` folder written by `extract`.

    Returns
    -------
    list of str
        What is wrong, by layer and stimuli; empty if all is well.

    Raises
    ------
    FileNotFoundError
        If there is no such store.
    ValueError
        If the folder is no activation store, or was written by another version.
    """
    path = Path(store)
    described = describe_store(path)
    root = open_group(path)
    with reading(path, WHOLE, then=THEN):
        must_unpack_as_written(root, path, described)
        return _faults_in(path, root, described)


def _faults_in(path: Path, root: zarr.Group, described: Mapping[str, Any]) -> list[str]:
    faults = []
    for network in described["networks"]:
        if not network["finished"]:
            faults.append(f"{network['network']} is unfinished: {network['done']} of {network['stimuli']} stimuli")
            continue
        for layer in network["layers"]:
            name = f"{network['network']}/{layer}"
            cut = read_cut(cast("zarr.Array[Any]", root[f"{name}/activation"]))
            for block in range(cut.blocks):
                where = f"stimuli {block * cut.block} to {min((block + 1) * cut.block, cut.shape[0]) - 1}"
                file = cut.file_of(path / name / "activation", block)
                faults += [f"{name}, {where}: the file {fault}" for fault in faults_of_block(file, cut)]
    return faults


def count_done(store: Path, node: zarr.Group, total: int) -> int:
    """Return how many stimuli are there in every layer of a network.

    Parameters
    ----------
    store : Path
        The store's folder.
    node : zarr.Group
        The network's.
    total : int
        Number of all stimuli.

    Returns
    -------
    int
        By what the files say of themselves; checked when the writing goes on.
    """
    counts = [total]
    for layer in cast("list[str]", node.attrs["layers"]):
        array = store / str(node.attrs["network"]) / layer / "activation"
        if not (array / "zarr.json").is_file():
            return 0
        cut = read_cut(cast("zarr.Array[Any]", node[f"{layer}/activation"]))
        counts.append(sum(_stimuli_in(array, cut, block, total) for block in range(cut.blocks)))
    return min(counts)


def open_group(path: Path, mode: Any = "r", *, any_format: bool = False) -> zarr.Group:
    """Open a folder as an activation store, and refuse one that is something else.

    Parameters
    ----------
    path : Path
        The folder.
    mode : str
        zarr's: ``r``, ``r+``.
    any_format : bool
        Whether stores of other versions will do.

    Returns
    -------
    zarr.Group
        The root.

    Raises
    ------
    ValueError
        If the folder is no activation store, or was written by another version.
    """
    must = "An activation store must be a zarr folder written by extract"
    if path.exists() and not (path / "zarr.json").is_file():
        message = f"{must}, but {str(path)!r} is none. Check the path."
        raise ValueError(message)
    with reading(path, must, then=THEN):
        root = zarr.open_group(path, mode=mode, zarr_format=3)
        found = root.attrs.get("format")
    if found is None or (found != FORMAT and not any_format):
        message = (
            f"An activation store must have format {FORMAT}, but {str(path)!r} has {found!r}. "
            "It was written by another version, or is no activation store: extract it anew into another folder."
        )
        raise ValueError(message)
    with reading(path, WHOLE, then=THEN):
        if not any_format:
            must_be_sealed(root, coords_of(path, cast("Any", root.attrs["table"])), "what it says of its stimuli")
    return root


def is_store(path: Path) -> bool:
    """Return whether a folder says that `extract` wrote it, in whichever version."""
    try:
        said = json.loads((path / "zarr.json").read_bytes())
        return "format" in said["attributes"] and "table" in said["attributes"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def folder_of(root: zarr.Group) -> Path:
    """Return the folder that an open store lies in.

    Parameters
    ----------
    root : zarr.Group
        From `begin_store`.

    Returns
    -------
    Path
        The ``.zarr`` folder.
    """
    return Path(cast("Any", root.store).root)


def _stimuli_in(array: Path, cut: Cut, block: int, total: int) -> int:
    file = cut.file_of(array, block)
    here = min(cut.block, total - block * cut.block)
    claimed = min(batches_claimed(file, cut) * cut.rows, here)  # first: meanwhile, the file may become whole
    return here if file.is_file() else claimed


def network_names(path: Path) -> list[str]:
    """Return the names of the networks in a store.

    Parameters
    ----------
    path : Path
        The ``.zarr`` folder.

    Returns
    -------
    list of str
        Sorted.
    """
    return sorted(folder.relative_to(path).as_posix() for folder in _networks_below(path))


# A network whose name has parts (alexnet/object/0) lies in folders of these names.
def _networks_below(path: Path) -> Iterator[Path]:
    for folder in path.iterdir():
        said = (folder / "zarr.json").read_bytes() if (folder / "zarr.json").is_file() else b""
        if b'"weights_hash"' in said:
            yield folder
        elif b'"group"' in said and not folder.is_symlink():
            yield from _networks_below(folder)


def lock_of(path: Path) -> Path:
    """Return the file by which a store is held.

    Parameters
    ----------
    path : Path
        The ``.zarr`` folder.

    Returns
    -------
    Path
        Beside it.
    """
    return path.with_name(f".{path.name}.lock")
