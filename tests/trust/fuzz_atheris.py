"""Fuzz the readers guided by coverage: atheris keeps what reaches new lines of ours, and damages that further.

Run as ``python -m tests.trust.fuzz_atheris [READER ...] [--runs 10000]``, where atheris is installed (it is no
dependency). Each reader gets a process of its own; printed are how many inputs were read, refused in our own words,
and at fault, with the first of each sort.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import warnings
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def fuzz(name: str, runs: int, folder: Path) -> None:
    """Fuzz one reader, write what came of it to ``counts.json`` of the folder, and end this process.

    The first byte of an input says which of the reader's files the rest of it is.
    """
    import atheris

    with atheris.instrument_imports(include=["rsa_face"]):
        from tests.trust.readers import READERS
        from tests.trust.test_fuzz import is_ours, where_of, write_whole
        from tests.trust.watch import watched
    reader = READERS[name]
    contents, whole = write_whole(reader, folder)
    reader.read(folder)
    names = sorted(contents)
    (folder / "corpus").mkdir()
    for place, one in enumerate(names):
        for version, content in enumerate(contents[one]):
            (folder / "corpus" / f"{place}-{version}").write_bytes(bytes([place]) + content)
    counts: Counter[str] = Counter()
    faults: dict[str, str] = {}

    def read(content: bytes, besides: list[str]) -> None:
        which = names[content[0] % len(names)] if content else names[0]
        (folder / which).write_bytes(content[1:])
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reader.read(folder)
            counts["read"] += 1
        except Exception as error:
            counts["refused"] += 1
            if not is_ours(error):
                faults.setdefault(where_of(error), f"{error} ({which}: {content[1:1500]!r})")
        (folder / which).write_bytes(whole[which])
        if counts.total() >= runs:
            faults.update({f"besides reading: {done}": "" for done in besides})
            (folder / "counts.json").write_text(json.dumps({"counts": counts, "faults": faults}))
            os._exit(0)  # the fuzzer itself does not come back

    options = ("-max_len=20000", "-timeout=60", "-rss_limit_mb=6000", "-verbosity=0", f"-artifact_prefix={folder}/")
    with watched(folder) as besides:
        corpus = str(folder / "corpus")
        atheris.Setup(["fuzz", f"-runs={2 * runs}", *options, corpus], lambda content: read(content, besides))
        atheris.Fuzz()


def fuzz_apart(name: str, runs: int) -> dict[str, Any]:
    """Fuzz one reader in a process of its own; a crash, a hang of a minute or 6 GB of memory is a fault too."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, "-m", "tests.trust.fuzz_atheris", "--apart", name, folder, "--runs", str(runs)]
        done = subprocess.run(words, capture_output=True, text=True)
        told = Path(folder) / "counts.json"
        if told.is_file():
            return dict(json.loads(told.read_text()))
        return {"counts": {}, "faults": {"the process ended": " ".join((done.stdout + done.stderr).split())[-1500:]}}


def main() -> int:
    """Fuzz the readers named, or all of them, and print a row for each; 1 if something was at fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("readers", nargs="*")
    parser.add_argument("--runs", type=int, default=10_000)
    parser.add_argument("--apart", nargs=2, metavar=("READER", "FOLDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if find_spec("atheris") is None:
        print("atheris is not installed: pip install atheris")
        return 0
    if asked.apart:
        fuzz(asked.apart[0], asked.runs, Path(asked.apart[1]))
    from tests.trust.readers import READERS

    good = True
    print("| reader | inputs | read | refused in our own words | at fault |\n|---|---|---|---|---|", flush=True)
    for name in asked.readers or READERS:
        found = fuzz_apart(name, asked.runs)
        counts, faults = found["counts"], found["faults"]
        total = sum(counts.values())
        print(f"| {name} | {total:,} | {counts.get('read', 0):,} | {counts.get('refused', 0):,} | {len(faults)} |")
        for where, said in faults.items():
            print(f"  {where}: {said}", flush=True)
        good &= not faults
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
