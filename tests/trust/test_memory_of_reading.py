"""A file that unpacks to what it may at most takes four times that while it is read, as README states, or is refused."""

import io
import re
import tracemalloc

import h5py
import numpy as np
import pytest
import scipy.io

from rsa_face import safety
from rsa_face.human import rdm_files
from rsa_face.human.read import read_human

LIMIT = 8 * 2**20  # in place of 1 GiB
N = 1000  # of stimuli, with an RDM in float64 of 7.6 MiB
PAIRS = N * (N - 1) // 2
MANY = LIMIT // 200  # RDMs of three stimuli, each with its name
SQUARE, SQUARES = rf"\(1, {N}, {N}\)", rf"\({MANY}, 3, 3\)"


def rsatoolbox(*shape: int) -> bytes:
    """Return a file of rsatoolbox that says it has such an array of zeros and holds none."""
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened.create_dataset("dissimilarities", shape, dtype="f8", chunks=True)
        for name in ("pattern_descriptors", "rdm_descriptors"):
            opened.create_group(name)
    return file.getvalue()


def matlab73(*shape: int) -> bytes:
    file = io.BytesIO()
    with h5py.File(file, "w") as opened:
        opened.create_dataset("rdms", shape, dtype="i1", chunks=True)
    return file.getvalue()


def matlab5(*shape: int) -> bytes:
    file = io.BytesIO()
    scipy.io.savemat(file, {"rdms": np.zeros(shape, dtype="f8")}, do_compression=True)
    return file.getvalue()


def numpy_file(*shape: int) -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, rdms=np.zeros(shape))
    return file.getvalue()


CASES = [
    ("rdms.h5", rsatoolbox, (1, PAIRS), SQUARE),
    ("rdms.h5", rsatoolbox, (MANY, 3), SQUARES),
    ("rdms.mat", matlab73, (N, N), SQUARE),
    ("rdms.mat", matlab5, (700, 700), r"\(1, 700, 700\)"),
    ("rdms.mat", matlab5, (MANY, 3), SQUARES),
    ("rdms.npz", numpy_file, (N, N), SQUARE),
    ("rdms.npz", numpy_file, (1, PAIRS), SQUARE),
    ("rdms.npz", numpy_file, (LIMIT // 40, 3), "asks for"),
]


@pytest.mark.parametrize(("name", "make", "shape", "expected"), CASES)
def test_reading_takes_no_more_than_four_times_what_a_file_may_unpack_to(
    tmp_path, monkeypatch, name, make, shape, expected
):
    for module in (safety, rdm_files):
        monkeypatch.setattr(module, "MOST_BYTES", LIMIT)
    (tmp_path / name).write_bytes(make(*shape))
    tracemalloc.start()
    try:
        said = str(read_human(tmp_path / name, kind="rdm").shape)
    except ValueError as error:
        said = str(error)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert re.search(expected, said), said
    assert most < 4 * LIMIT
