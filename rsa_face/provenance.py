"""Where a result comes from: content hashes, seeds, records with a checksum, and arrays saved with all of it."""

import hashlib
import json
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from importlib import import_module, metadata
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import xarray as xr
from blake3 import blake3

from rsa_face.safety import must_be_a, must_not_swell, reading, write_beside

_AS_JSON = "json:"
_ARRAY, _ARRAY_NAME = "rsa_face_array", "rsa_face_name"  # which variable of a file is the array, and its name
_CHECKSUM = "blake3"


def hash_content(*parts: Any) -> str:
    """Return the BLAKE3 hash of values: numbers, text, arrays, and lists and dicts of these.

    As safe as sha256, and much faster where the processor has no instructions for that: weights are hashed often.

    Examples
    --------
    >>> hash_content({"a": 1, "b": 2}) == hash_content({"b": 2, "a": 1})
    True
    """
    digest = blake3()
    for part in parts:
        _feed(digest, part)
    return digest.hexdigest()


def hash_file(path: str | Path, kind: str = "sha256") -> str:
    """Return the hash of a file's bytes, read piece by piece."""
    digest: Any = blake3 if kind == "blake3" else kind
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, digest).hexdigest()


def sealed(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as plain values, with a checksum of all that it says."""
    plain = json.loads(json.dumps(content, default=str))
    return {**plain, _CHECKSUM: hash_content(plain)}


def unsealed(record: Mapping[str, Any], path: Path, *, then: str) -> dict[str, Any]:
    """Return what a record says, and refuse one that does not say what was written.

    Examples
    --------
    >>> unsealed(sealed({"a": (1, 2)}), Path("x.json"), then="Remove it.")
    {'a': [1, 2]}
    """
    content = {key: value for key, value in record.items() if key != _CHECKSUM}
    if record.get(_CHECKSUM, hash_content(content)) != hash_content(content):
        message = f"{str(path)!r} was changed since it was written. {then}"
        raise ValueError(message)
    return content


def rng_from(seed: int, *names: str | int) -> np.random.Generator:
    """Return the random generator that belongs to a seed and a purpose.

    One seed serves a whole study; each purpose (a network, a layer, a chunk of draws) has its own stream, which
    does not depend on what else was drawn before it.

    Examples
    --------
    >>> rng_from(0, "alexnet").integers(100) == rng_from(0, "alexnet").integers(100)
    np.True_
    """
    words = [int.from_bytes(hashlib.sha256(str(name).encode()).digest()[:4], "little") for name in names]
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=tuple(words)))


def save(array: xr.DataArray | xr.Dataset, path: str | Path) -> Path:
    """Write an array or a result as netCDF, so that `load` returns it with attrs and coords intact.

    The file is written beside its place and moved in. Attrs that netCDF has no type for (truth values, None,
    lists of text, dicts) are kept as JSON and come back as they were.

    Parameters
    ----------
    array : DataArray or Dataset
        What to write. Not changed.
    path : str or Path
        Ends in ``.nc``.

    Returns
    -------
    Path
        The file written.

    Raises
    ------
    ValueError
        If the path does not end in ``.nc``.

    Examples
    --------
    >>> import tempfile
    >>> path = save(xr.DataArray([1.0, 2.0], dims="rdm", name="similarity"), Path(tempfile.mkdtemp()) / "mine.nc")
    >>> load(path).name
    'similarity'
    """
    must_be_a(array, (xr.DataArray, xr.Dataset), "An array or a result is needed first: save(array, path)")
    path = Path(path)
    if path.suffix != ".nc":
        message = f"{str(path)!r} does not end in .nc. Arrays are saved as netCDF: change the ending."
        raise ValueError(message)
    if isinstance(array, xr.DataArray):
        # the variable has the array's own name, so that R and MATLAB find it
        usable = str(array.name).isidentifier() and array.name not in (None, *array.coords, *array.dims)
        variable_name = str(array.name) if usable else "values"
        dataset = array.to_dataset(name=variable_name)
        dataset.attrs = {_ARRAY: variable_name, _ARRAY_NAME: array.name or ""}
    else:
        dataset = array.copy()
    for variable in (dataset, *(dataset[name] for name in dataset.variables)):
        variable.attrs = dict(map(_attr_in, variable.attrs.items()))
    with _apart_from_clusters():
        content = bytes(dataset.to_netcdf(engine="h5netcdf"))  # in memory: HDF5 itself does not survive a full disk
    with write_beside(path) as beside:
        beside.write_bytes(content)
    return path


@contextmanager
def _apart_from_clusters() -> Iterator[None]:
    """Keep xarray from asking a dask cluster that a notebook is connected to for a lock: it knows none of memory."""
    if "distributed" not in sys.modules:
        yield
        return
    with import_module("dask").config.set(scheduler="threads"):
        yield


def load(path: str | Path) -> xr.DataArray | xr.Dataset:
    """Read what `save` wrote, into memory.

    Parameters
    ----------
    path : str or Path
        A netCDF file.

    Returns
    -------
    DataArray or Dataset
        As it was saved.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not netCDF, or is damaged.
    """
    path = Path(path)
    if not path.is_file():
        message = f"No such file: {str(path)!r}. Check the path."
        raise FileNotFoundError(message)
    with reading(path, "Arrays are saved as netCDF", then="Write the file again."):
        must_be_plain_hdf5(path)
        with xr.open_dataset(path, engine="h5netcdf") as opened:
            dataset = opened.load()
        _must_have_each_dim_once(dataset)
        for variable in (dataset, *(dataset[name] for name in dataset.variables)):
            variable.attrs = dict(map(_attr_out, variable.attrs.items()))
        if _ARRAY in dataset.attrs:
            return dataset[str(dataset.attrs[_ARRAY])].rename(dataset.attrs[_ARRAY_NAME] or None)
        if "__array__" in dataset.attrs:  # as version 0.1 wrote arrays
            return dataset["__array__"].rename(dataset.attrs["__name__"] or None)
        return dataset


def must_be_plain_hdf5(path: Path) -> None:
    """Refuse an HDF5 file that leads into other files, or whose arrays take more than `must_not_swell` allows."""
    stray: list[str] = []
    sizes: list[int] = [0]

    def note_link(name: str, link: Any) -> None:  # h5py turns what these two raise into an error of its own
        if not isinstance(link, h5py.HardLink):
            stray.append(name)

    def note_size(name: str, item: h5py.Group | h5py.Dataset) -> None:
        if not isinstance(item, h5py.Dataset) or item.shape is None:
            return
        if item.external or item.is_virtual:
            stray.append(name)
        texts = 4 if item.dtype.kind == "S" else 1  # bytes become letters of four
        sizes.append(item.size * max(8, texts * item.dtype.itemsize))  # numbers become float64

    with h5py.File(path, "r") as file:
        file.visititems_links(note_link)
        file.visititems(note_size)
    if stray:
        message = f"{stray[0]!r} leads to another place or another file"
        raise ValueError(message)
    must_not_swell(sum(sizes), path)


def versions() -> dict[str, str]:
    """Return the versions of what computes a result: Python, this package and the libraries under it."""
    names = (
        "rsa-face",
        "numpy",
        "scipy",
        "xarray",
        "zarr",
        "rsatoolbox",
        "torch",
        "torchvision",
        "scikit-learn",
    )
    by_name = {"python": platform.python_version()}
    for name in names:
        try:
            by_name[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            by_name[name] = "not installed"
    return by_name


@cache
def code_hash(name: str) -> str:
    """Return the hash of the source of a package or module of rsa_face, such as ``inference`` or ``schema``.

    A result that other code made is not up to date. Where there is no such source, the hash is of nothing.
    """
    root = Path(__file__).parent
    place = root.joinpath(*name.split("."))
    sources = sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]
    return hash_content(
        [(str(file.relative_to(root)), file.read_text("utf-8")) for file in sources if file.is_file()]
    )


def _must_have_each_dim_once(dataset: xr.Dataset) -> None:
    for name, variable in dataset.variables.items():
        if len(set(variable.dims)) < variable.ndim:
            message = f"{name!r} has a dim more than once: {variable.dims}"
            raise ValueError(message)


def _feed(digest: Any, part: Any) -> None:
    if isinstance(part, np.ndarray) and part.dtype != object:
        digest.update(f"array:{part.dtype.str}:{part.shape}:".encode())
        digest.update(np.ascontiguousarray(part).reshape(-1).view(np.uint8))
    elif isinstance(part, Mapping):
        for key in sorted(part, key=str):
            _feed(digest, str(key))
            _feed(digest, part[key])
        digest.update(b"}")
    elif isinstance(part, list | tuple | np.ndarray):
        for item in part:
            _feed(digest, item)
        digest.update(b"]")
    else:
        digest.update(f"{type(part).__name__}:{part!s}\0".encode())


def _attr_in(item: tuple[Any, Any]) -> tuple[str, Any]:
    key, value = str(item[0]), item[1]
    plain = isinstance(value, str | int | float | np.ndarray | np.number) and not isinstance(value, bool | np.bool_)
    return (key, value) if plain else (_AS_JSON + key, json.dumps(value, default=_as_plain))


def _attr_out(item: tuple[Any, Any]) -> tuple[str, Any]:
    key, value = str(item[0]), item[1]
    if key.startswith(_AS_JSON):
        return key.removeprefix(_AS_JSON), json.loads(value)
    return key, value.item() if isinstance(value, np.generic) else value


def _as_plain(value: Any) -> Any:
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    return str(value)
