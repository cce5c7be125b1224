"""Cross the pointers of HDF5 files: each is led to any structure of its file, and trees say they are of other levels.

Run as ``python -m tests.trust.fuzz_pointers [READER ...] [--inputs 2500]``. HDF5 itself may crash or never end over
such a file, so a forked process reads them; printed are how many were read, refused in our own words, and at fault.
Needs a system that forks.
"""

import argparse
import os
import random
import re
import resource
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.trust.readers import READERS, Reader
from tests.trust.test_fuzz import is_ours, write_whole

FILES_OF_HDF5 = ("human rdm rsatoolbox", "human rdm netCDF", "human rdm mat 7.3", "control RDM netCDF")
MARK = b"\x89HDF\r\n\x1a\n"
SIGNS = (b"TREE", b"SNOD", b"HEAP", b"GCOL", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"FHIB", b"BTHD", b"BTLF", b"BTIN")
LONGEST = 20  # seconds of the processor for one file
OUTCOMES = ("read", "refused", "in others' words")


def crossed(content: bytes) -> Iterator[bytes]:
    """Yield the file with each of its pointers led to each place that one leads to, and each tree on other levels."""
    base = content.find(MARK)
    if base < 0:
        return
    signed = {place - base for sign in SIGNS for place in _places(content, sign)}
    whole = range(len(content) - 8)
    pointers = [
        p for p in whole if _word(content, p) in signed or (p % 8 == 0 and 96 <= _word(content, p) < len(content))
    ]
    targets = sorted(signed | {_word(content, place) for place in pointers})
    for place in pointers:
        for target in targets:
            yield _changed(content, {place: target.to_bytes(8, "little")})
    for tree in _places(content, b"TREE"):
        for child in (place for place in pointers if tree < place < tree + 600):
            for level in (1, 2, 255):
                yield _changed(content, {tree + 5: bytes([level]), child: (tree - base).to_bytes(8, "little")})


def fuzz(reader: Reader, inputs: int, folder: Path) -> Counter[str]:
    """Read so many crossed files, drawn with a seed; return how many were read, refused, and at fault in what way."""
    contents, whole = write_whole(reader, folder)
    reader.read(folder)
    drawn = [(name, changed) for name in sorted(contents) for one in contents[name] for changed in crossed(one)]
    random.Random(0).shuffle(drawn)
    drawn = drawn[:inputs]
    counts: Counter[str] = Counter()
    while counts.total() < len(drawn):
        counts += read_apart(reader, folder, drawn[counts.total() :], whole)
    return counts


def read_apart(reader: Reader, folder: Path, drawn: list[tuple[str, bytes]], whole: dict[str, bytes]) -> Counter[str]:
    """Read files one by one in a forked process, up to one that ends it; return how many were read in what way."""
    here, there = os.pipe()
    child = os.fork()
    if child == 0:
        warnings.simplefilter("ignore")
        for name, content in drawn:
            used = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2])) + 1
            resource.setrlimit(resource.RLIMIT_CPU, (used + LONGEST, resource.RLIM_INFINITY))
            (folder / name).write_bytes(content)
            os.write(there, bytes([_outcome(reader, folder)]))
            (folder / name).write_bytes(whole[name])
        os._exit(0)
    os.close(there)
    with os.fdopen(here, "rb") as outcomes:
        counts = Counter(OUTCOMES[outcome] for outcome in outcomes.read())
    _, status = os.waitpid(child, 0)
    if status:
        counts[f"ended by signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "ended"] += 1
    return counts


def _outcome(reader: Reader, folder: Path) -> int:
    try:
        reader.read(folder)
        return 0
    except Exception as error:
        return 1 if is_ours(error) else 2


def _places(content: bytes, sign: bytes) -> list[int]:
    return [found.start() for found in re.finditer(sign, content)]


def _word(content: bytes, place: int) -> int:
    return int.from_bytes(content[place : place + 8], "little")


def _changed(content: bytes, edits: dict[int, bytes]) -> bytes:
    changed = bytearray(content)
    for place, edit in edits.items():
        changed[place : place + len(edit)] = edit
    return bytes(changed)


def main() -> int:
    """Fuzz the readers named, or all of HDF5, and print a row for each; 1 if something was at fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*")
    parser.add_argument("--inputs", type=int, default=2500)
    asked = parser.parse_args()
    good = True
    print("| reader | inputs | read | refused in our own words | at fault |\n|---|---|---|---|---|", flush=True)
    for name in asked.readers or FILES_OF_HDF5:
        with tempfile.TemporaryDirectory() as folder:
            counts = fuzz(READERS[name], asked.inputs, Path(folder))
        faults = {how: count for how, count in counts.items() if how not in ("read", "refused")}
        said = ", ".join(f"{how}: {count}" for how, count in faults.items()) or "0"
        print(f"| {name} | {counts.total():,} | {counts['read']:,} | {counts['refused']:,} | {said} |", flush=True)
        good &= not faults
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
