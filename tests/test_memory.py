"""How much memory there is; what is freed stays with the process while it is kept, and goes back at the end."""

import os
import platform
import resource
import subprocess
import sys

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import squareform

from rsa_face import memory

PROGRAM = """
import resource
from pathlib import Path
import numpy as np
from rsa_face.memory import keeping_memory

def used():
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1]) - before
    print(round(pages * resource.getpagesize() / 2**30, 1))

def use_and_free():
    np.ones(2**27)

before = int(Path("/proc/self/statm").read_text("ascii").split()[1])
"""


def printed(lines: str) -> list[float]:
    """Run lines of a program in a process of its own and return the GiB that `used` printed."""
    done = subprocess.run([sys.executable, "-c", PROGRAM + lines], capture_output=True, text=True, check=True)
    return [abs(float(line)) for line in done.stdout.split()]


pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")


def test_freed_memory_is_kept_until_the_last_keeper_ends():
    lines = """
use_and_free(); used()
with keeping_memory():
    with keeping_memory():
        use_and_free(); used()
    used()
used()
use_and_free(); used()
"""
    assert printed(lines) == [0, 1, 1, 0, 0]


def test_what_is_free_can_be_handed_back_meanwhile():
    lines = """
with keeping_memory() as hand_back:
    use_and_free(); used()
    hand_back(); used()
    use_and_free(); used()
"""
    assert printed(lines) == [1, 0, 1]


def test_an_error_ends_the_keeping():
    lines = """
try:
    with keeping_memory():
        use_and_free(); used()
        raise KeyError
except KeyError:
    used()
"""
    assert printed(lines) == [1, 0]


def test_the_available_memory_is_that_of_the_machine_the_process_and_the_container(tmp_path, monkeypatch):
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert 0 < memory.available_memory() <= machine
    limits = [tmp_path / "memory.max", tmp_path / "none"]
    monkeypatch.setattr(memory, "_LIMITS_OF_CONTAINERS", limits)
    for said, there in (("max\n", machine), ("1048576\n", 2**20)):
        limits[0].write_text(said)
        monkeypatch.setattr(resource, "getrlimit", lambda _which: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        assert memory.available_memory() == there
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (2**19, 2**19))
    assert memory.available_memory() == 2**19


def test_memory_is_in_gib_and_bytes_of_older_versions_are_taken_with_a_warning():
    assert memory.bytes_of(2) == 2**31
    assert memory.bytes_of(1e-6) == 2**30 / 1e6
    with pytest.warns(DeprecationWarning, match=r"memory=2e\+09 is taken for bytes.*memory=1\.86"):
        assert memory.bytes_of(2e9) == 2e9


def test_every_function_that_takes_memory_warns_of_bytes():
    import rsa_face as rf

    rng = np.random.default_rng(0)
    rdms, human = (
        xr.DataArray(
            squareform(rng.random(10)) * np.ones((len(names), 1, 1)),
            {along: list(names), "stimulus_i": list("vwxyz"), "stimulus_j": list("vwxyz")},
            (along, "stimulus_i", "stimulus_j"),
            name="dissimilarity",
        )
        for along, names in (("rdm", "ab"), ("participant", "abc"))
    )
    rdms = rdms.assign_coords(network=("rdm", ["n", "n"]), layer=("rdm", ["a", "b"]), order=("rdm", [0, 1]))
    with pytest.warns(DeprecationWarning, match="taken for bytes"):
        rf.compare_layers(rdms, human, comparison="corr", draws=3, memory=2e9)
