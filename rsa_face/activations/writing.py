"""The writing side of an activation store: begun once, held by one process, continued only with what began it."""

import json
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import xarray as xr
import zarr

from rsa_face.activations.seals import coords_of, seal
from rsa_face.activations.store import FORMAT, THEN, WHOLE, folder_of, is_store, lock_of, network_names, open_group
from rsa_face.holding import hold
from rsa_face.networks.layers import Layer
from rsa_face.provenance import hash_file
from rsa_face.safety import path_in
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.untrusted import reading

_ZARRS_DRAFT = ".partial"


def begin_store(store: str | Path, stimuli: StimulusSet, settings: Mapping[str, Any]) -> zarr.Group:
    """Open a store for writing, making it if need be, and refuse one made from other stimuli or settings.

    Parameters
    ----------
    store : str or Path
        A ``.zarr`` folder.
    stimuli : StimulusSet
        What its rows are.
    settings : mapping
        What must be the same for every network in it: dtype, batch, pooling.

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
    images = [hash_file(file, "blake3")[:16] for file in stimuli.files]
    wanted = {"format": FORMAT, "images": images, "table": _plain_table(stimuli), **settings}
    if not (path.is_dir() and any(path.iterdir())):
        beside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
        ids = xr.Dataset(coords=_coords_of(stimuli), attrs=wanted)
        plain = {name: {"compressors": ()} for name in ids.variables}  # as `open_activations` demands
        ids.to_zarr(beside, mode="w", zarr_format=3, consolidated=False, encoding=plain)
        seal(zarr.open_group(beside, mode="r+", zarr_format=3), coords_of(beside, wanted["table"]))
        beside.replace(path)
        return open_group(path, mode="r+")
    root = open_group(path, mode="r+")
    attrs = dict(root.attrs)
    differing = _differences({key: attrs.get(key) for key in settings}, dict(settings))
    differing += _differing_stimuli(attrs, wanted)
    if differing:
        message = (
            f"A store must be continued with what it was begun with, but {str(path)!r} differs in "
            f"{'; '.join(differing[:20])}. Choose another folder, or remove this one."
        )
        raise ValueError(message)
    return root


def begin_network(root: zarr.Group, name: str, attrs: Mapping[str, Any]) -> zarr.Group:
    """Open a network's node for writing, and refuse one made from other weights, layers or preprocessing.

    Parameters
    ----------
    root : zarr.Group
        From `begin_store`.
    name : str
        The network's.
    attrs : mapping
        What identifies it: weights hash, preprocessing, layers.

    Returns
    -------
    zarr.Group
        Its attrs say whether it is ``finished``.

    Raises
    ------
    ValueError
        If the node exists and was made otherwise; what differs is named. If it would lie within another network, or
        another within it.
    """
    path = folder_of(root)
    folder = path_in(path, name, "The network name", nested=True)
    if name not in network_names(path):
        _must_lie_apart(path, name)
        _must_be_free(folder, path)
        place = len(network_names(path))
        return root.create_group(name, attributes={**attrs, "place": place, "finished": False})
    with reading(path, WHOLE, then=THEN):
        node = cast("zarr.Group", root[name])
        differing = _differences(dict(node.attrs), dict(attrs))
        finished = node.attrs["finished"]
    if not isinstance(finished, bool):
        differing.append(f"finished ({finished!r} in the store)")
    if differing:
        message = (
            f"A store must be continued with the networks it was begun with, but {name!r} in {str(path)!r} differs "
            f"in {'; '.join(differing[:20])}. Choose another folder, give it a label, or remove this one."
        )
        raise ValueError(message)
    return node


def _must_be_free(folder: Path, store: Path) -> None:
    """Refuse to begin a network where files lie that no record of the store lists; nothing of them is removed."""
    files = [file for file in sorted(folder.rglob("*")) if not file.is_dir() and file.suffix != _ZARRS_DRAFT]
    if files or folder.is_symlink():
        message = (
            f"{str(folder)!r} is not empty ({files[0].name if files else 'a link'}) and no network of the activation "
            f"store {str(store)!r}: nothing is written or removed there. Move it, or choose another label."
        )
        raise ValueError(message)


def _must_lie_apart(path: Path, name: str) -> None:
    """Refuse a network whose folder would be inside another's, whose seal then breaks, or would replace others."""
    around = [other for other in network_names(path) if name.startswith(f"{other}/")]
    inside = [other for other in network_names(path) if other.startswith(f"{name}/")]
    if around or inside:
        within = (name, around[0]) if around else (inside[0], name)
        message = (
            f"Networks of one store must not lie within each other, but {within[0]!r} would lie within {within[1]!r} "
            f"in {str(path)!r}. Give it another label, such as {within[0].replace('/', '-')!r}, or another store."
        )
        raise ValueError(message)


def begin_layer(node: zarr.Group, layer: Layer) -> zarr.Group:
    """Open a layer's node for writing.

    Parameters
    ----------
    node : zarr.Group
        The network's.
    layer : Layer
        Which.

    Returns
    -------
    zarr.Group
        With the layer's name, module, depth and order in its attrs.
    """
    attrs = {name: node.attrs[name] for name in ("network", "place", "untrained")}
    attrs |= {"layer": layer.name, "module": layer.path, "kind": layer.kind, "depth": layer.depth}
    attrs |= {"order": layer.order, "nonlinearity": layer.nonlinearity}
    return node.create_group(layer.name, attributes=attrs, overwrite=True)


@contextmanager
def hold_store(store: str | Path) -> Iterator[None]:
    """Keep other processes from writing to a store; if this one is killed, the hold ends with it.

    Parameters
    ----------
    store : str or Path
        A ``.zarr`` folder, there already or not.

    Yields
    ------
    None
        While it is held.

    Raises
    ------
    ValueError
        If another process holds it, which is named, or the folder it lies in cannot be written to.
    """
    path = Path(store)
    with hold(path, lock_of(path), must="A store must be written by one process at a time"):
        for draft in _zarrs_drafts(path):
            draft.unlink()
        yield


def _zarrs_drafts(path: Path) -> list[Path]:
    """Return what zarr left half written when a process was killed, in the nodes that the store itself lists."""
    if not is_store(path):
        return []
    drafts = [*path.glob(f"*{_ZARRS_DRAFT}")]
    for name in network_names(path):
        drafts += [*(path / name).glob(f"*{_ZARRS_DRAFT}"), *(path / name).glob(f"*/**/*{_ZARRS_DRAFT}")]
    return drafts


def remove_store(store: str | Path) -> list[Path]:
    """Remove what an activation store lists as its own: its arrays, ids and factors; nothing else in its folder.

    Parameters
    ----------
    store : str or Path
        A ``.zarr`` folder.

    Returns
    -------
    list of Path
        Files in the folder that the store does not list, and which are still there. Empty if the folder is gone.

    Raises
    ------
    ValueError
        If the folder is not an activation store, or a process is writing to it.
    """
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


def _remove_network(path: Path, name: str) -> None:
    node = path_in(path, name, "The network name", nested=True)
    said = json.loads((node / "zarr.json").read_bytes())
    for layer in said["attributes"]["layers"]:
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


def _coords_of(stimuli: StimulusSet) -> dict[str, Any]:
    table = stimuli.table
    return {str(name): ("stimulus", table[name].to_numpy()) for name in table.columns if name != "file"}


def _plain_table(stimuli: StimulusSet) -> dict[str, list[str]]:
    table = stimuli.table
    return {str(name): table[name].astype(str).tolist() for name in table.columns if name != "file"}


def _differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    found = []
    for key, value in new.items():
        if isinstance(value, Mapping) and isinstance(old.get(key), Mapping):
            found += _differences(old[key], value, f"{prefix}{key}.")
        elif old.get(key) != value:
            found.append(f"{prefix}{key} ({_short(old.get(key))} in the store, now {_short(value)})")
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}..."


def _differing_stimuli(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    before, now = (each["table"]["stimulus"] for each in (old, new))
    if before != now:
        lacks = [stimulus for stimulus in now if stimulus not in set(before)]
        beyond = [stimulus for stimulus in before if stimulus not in set(now)]
        if not lacks and not beyond:
            return ["the order of the stimuli"]
        return [f"the stimuli (the store lacks {lacks[:8]} and has {beyond[:8]} beyond)"]
    changed = [stimulus for stimulus, was, is_ in zip(now, old["images"], new["images"], strict=True) if was != is_]
    found = [f"the images of {changed[:8]}"] if changed else []
    return found + [f"the column {name!r}" for name in new["table"] if old["table"].get(name) != new["table"][name]]
