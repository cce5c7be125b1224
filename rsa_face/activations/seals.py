"""Checksums of what a store says of itself: its chunks have their own, names, places and shapes have these."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import zarr

from rsa_face.provenance import hash_content, hash_file

SEAL = "seal"


def seal(node: zarr.Group, files: Iterable[Path], **attrs: Any) -> None:
    """Write attrs of a node, with a checksum of all its attrs and of the files that belong to them, in one go.

    Parameters
    ----------
    node : zarr.Group
        Of a store, open for writing.
    files : iterable of Path
        Written already, and not to change any more.
    **attrs : object
        Plain values.
    """
    node.update_attributes({**attrs, SEAL: _checksum({**dict(node.attrs), **attrs}, files)})


def is_sealed(node: zarr.Group, files: Iterable[Path]) -> bool:
    """Return whether a node and its files are as they were when it was sealed.

    Parameters
    ----------
    node : zarr.Group
        Of a store.
    files : iterable of Path
        The same as then.

    Returns
    -------
    bool
        False if it was not sealed, too.
    """
    return dict(node.attrs).get(SEAL) == _checksum(dict(node.attrs), files)


def must_be_sealed(node: zarr.Group, files: Iterable[Path], what: str) -> None:
    """Refuse a node that is not as it was when it was sealed.

    Parameters
    ----------
    node : zarr.Group
        Of a store.
    files : iterable of Path
        The same as then.
    what : str
        What they say, for the error.

    Raises
    ------
    ValueError
        If a byte of them has changed.
    """
    if not is_sealed(node, files):
        message = f"{what} has changed since it was written"
        raise ValueError(message)


def coords_of(path: Path, columns: Iterable[str]) -> list[Path]:
    """Return the files of the coordinates of a store, which are sealed with its root.

    Parameters
    ----------
    path : Path
        The ``.zarr`` folder.
    columns : iterable of str
        Of the table of stimuli.

    Returns
    -------
    list of Path
        Sorted.
    """
    return sorted(file for name in columns for file in (path / name).rglob("*") if file.is_file())


def shapes_of(path: Path) -> list[Path]:
    """Return the files that say what the layers of a network are, which are sealed with it.

    Parameters
    ----------
    path : Path
        The network's folder.

    Returns
    -------
    list of Path
        Sorted.
    """
    return sorted(file for file in path.rglob("zarr.json") if file.parent != path)


def _checksum(attrs: dict[str, Any], files: Iterable[Path]) -> str:
    said = json.loads(json.dumps({name: value for name, value in attrs.items() if name != SEAL}))
    return hash_content(said, [(file.parent.name, file.name, hash_file(file)) for file in files])
