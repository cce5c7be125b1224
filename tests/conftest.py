"""What all tests share: the folder of real files, where there is one."""

import os
from pathlib import Path

import matplotlib as mpl
import pytest

mpl.use("Agg")


@pytest.fixture(scope="session")
def real_files() -> Path:
    """Return the folder named by RSA_FACE_DATA, or skip: real images and judgements are not in the project."""
    folder = Path(os.environ.get("RSA_FACE_DATA", ""))
    if not os.environ.get("RSA_FACE_DATA") or not folder.is_dir():
        pytest.skip("set RSA_FACE_DATA to the folder of real files to run this test")
    return folder
