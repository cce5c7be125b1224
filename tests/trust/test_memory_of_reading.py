"""A file that unpacks to what it may at most takes four times that while it is read, as README states, or is refused."""

import io
import re
import tracemalloc
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io

from rsa_face import bands, hdf5, untrusted
from rsa_face.human.behaviour import read_human
from rsa_face.human.readers import matlab

LIMIT = 8 * 2**20  # in place of 1 GiB
N = 1000  # of stimuli, with an RDM in float64 of 7.6 MiB
PAIRS = N * (N - 1) // 2
FEWER = 700 * 699 // 2
ROWS = LIMIT // 72 - 9
MANY = LIMIT // 200  # RDMs of three stimuli, each with its name


def rsatoolbox(shape: tuple[int, ...], **people: Any) -> bytes:
    """Return a file of rsatoolbox that says it has such arrays of zeros and holds none."""
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened.create_dataset("dissimilarities", shape, dtype="f8", chunks=True)
        opened.create_group("pattern_descriptors")
        descriptors = opened.create_group("rdm_descriptors")
        for name, (rows, kind) in people.items():
            descriptors.create_dataset(name, rows, dtype=kind, chunks=True, fillvalue=b"x" if kind == "S1" else 1)
    return file.getvalue()


def netcdf(people: int, stimuli: int) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened.attrs["__array__"] = opened.attrs["__name__"] = "x"
        array = opened.create_dataset("__array__", (people, stimuli, stimuli), dtype="f8", chunks=True)
        for place, (name, length) in enumerate(
            {"participant": people, "stimulus_i": stimuli, "stimulus_j": stimuli}.items()
        ):
            along = opened.create_dataset(name, data=np.arange(length), chunks=True, compression="gzip")
            along.make_scale(name)
            array.dims[place].attach_scale(along)
    return file.getvalue()


def matlab73(shape: tuple[int, ...], kind: str) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened.create_dataset("rdms", shape, dtype=kind, chunks=True)
    return file.getvalue()


def matlab5(shape: tuple[int, ...], kind: str) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, {"rdms": np.zeros(shape, dtype=kind)}, do_compression=True)
    return file.getvalue()


def numpy_file(shape: tuple[int, ...], kind: str, **names: tuple[int, str]) -> bytes:
    file = io.BytesIO()
    arrays = {name: np.zeros(length, dtype=of) for name, (length, of) in names.items()}
    np.savez_compressed(file, rdms=np.zeros(shape, dtype=kind), **arrays)
    return file.getvalue()


SQUARE = rf"\(1, {N}, {N}\)"
SWELLS = "unpack to more than"
FILES = {
    "rsatoolbox, many stimuli": ("rdms.h5", lambda: rsatoolbox((1, PAIRS)), SQUARE),
    "rsatoolbox, with coverage": (
        "rdms.h5",
        lambda: rsatoolbox((1, FEWER), coverage=((1, FEWER), "i1")),
        r"\(1, 700, 700\)",
    ),
    "rsatoolbox, many RDMs": ("rdms.h5", lambda: rsatoolbox((MANY, 3)), rf"\({MANY}, 3, 3\)"),
    "rsatoolbox, many numbers": (
        "rdms.h5",
        lambda: rsatoolbox((1, 3), session=((ROWS,), "i1")),
        f"{ROWS} session for 1",
    ),
    "rsatoolbox, far too many": ("rdms.h5", lambda: rsatoolbox((1, 3), session=((LIMIT // 9,), "i1")), SWELLS),
    "rsatoolbox, many rows": (
        "rdms.h5",
        lambda: rsatoolbox((1, 3), session=((ROWS, 1), "i1")),
        f"{ROWS} session for 1",
    ),
    "rsatoolbox, many texts": (
        "rdms.h5",
        lambda: rsatoolbox((1, 3), session=((ROWS,), "S1")),
        f"{ROWS} session for 1",
    ),
    "rsatoolbox, many names": (
        "rdms.h5",
        lambda: rsatoolbox((1, 3), participant=((ROWS,), "S1")),
        f"{ROWS} participants for 1",
    ),
    "netCDF, many stimuli": ("rdms.nc", lambda: netcdf(1, N), SQUARE),
    "netCDF, many RDMs": ("rdms.nc", lambda: netcdf(LIMIT // 240, 3), rf"\({LIMIT // 240}, 3, 3\)"),
    "netCDF, many of nothing": ("rdms.nc", lambda: netcdf(LIMIT // 152, 1), "judges none"),
    "Matlab 7.3, many stimuli": ("rdms.mat", lambda: matlab73((N, N), "f8"), SQUARE),
    "Matlab 7.3, bytes": ("rdms.mat", lambda: matlab73((N, N), "i1"), SQUARE),
    "Matlab 7.3, a vector": ("rdms.mat", lambda: matlab73((1, PAIRS), "f8"), SQUARE),
    "Matlab 7.3, many RDMs": ("rdms.mat", lambda: matlab73((3, MANY), "f8"), rf"\({MANY}, 3, 3\)"),
    "Matlab 5, many stimuli": ("rdms.mat", lambda: matlab5((700, 700), "f8"), r"\(1, 700, 700\)"),
    "Matlab 5, bytes": ("rdms.mat", lambda: matlab5((700, 700), "i1"), r"\(1, 700, 700\)"),
    "Matlab 5, many RDMs": ("rdms.mat", lambda: matlab5((MANY, 3), "f8"), rf"\({MANY}, 3, 3\)"),
    "numpy, many stimuli": ("rdms.npz", lambda: numpy_file((N, N), "f8"), SQUARE),
    "numpy, bytes": ("rdms.npz", lambda: numpy_file((N, N), "i1"), SQUARE),
    "numpy, a vector": ("rdms.npz", lambda: numpy_file((1, PAIRS), "f8"), SQUARE),
    "numpy, many RDMs": ("rdms.npz", lambda: numpy_file((MANY, 3), "f8"), rf"\({MANY}, 3, 3\)"),
    "numpy, far too many RDMs": ("rdms.npz", lambda: numpy_file((LIMIT // 40, 3), "f8"), SWELLS),
    "numpy, many names": (
        "rdms.npz",
        lambda: numpy_file((1, 3), "f8", stimulus=(LIMIT // 8 - 9, "i1")),
        r"\(1, 3, 3\)",
    ),
}


@pytest.mark.parametrize("case", FILES)
def test_reading_rdms_takes_no_more_than_four_times_what_a_file_may_unpack_to(tmp_path: Path, monkeypatch, case):
    for module in (untrusted, hdf5, matlab):
        monkeypatch.setattr(module, "MOST_BYTES", LIMIT)
    monkeypatch.setattr(bands, "_TOGETHER", 2**11)
    name, make, expected = FILES[case]
    (tmp_path / name).write_bytes(make())
    tracemalloc.start()
    try:
        said = str(read_human(tmp_path / name, kind="rdm").shape)
    except ValueError as error:
        said = str(error)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert re.search(expected, said)
    assert most < 4 * LIMIT
