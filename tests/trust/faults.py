"""Kill, starve and damage a small study at random moments, and see that nothing wrong is ever reported as done.

Run as ``python -m tests.trust.faults MOMENTS``; it prints a table. After each moment the study is run again: it ends
with the results of an undisturbed run, or stops with an error that names the damaged file and what mends it.
"""

import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.numpy
import torch
from torch import nn
from torchvision import models

from rsa_face import study
from rsa_face.config import load_study
from rsa_face.human.observers import simulate_ratings
from rsa_face.networks import zoo
from rsa_face.provenance import load
from rsa_face.stimuli.schematic import draw_faces

STUDY = """\
name: small
stimuli: {table: faces/stimuli.csv, occlusion: [none, mouth]}
networks:
  - {name: alexnet, preprocessing: &small {resize: 64, crop: 64}}
  - {name: fe_alexnet, preprocessing: *small}
training: {table: others/stimuli.csv, label: level, epochs: 1, lr: 1.0e-4, batch: 4, dropout: 0.0}
activations: {store: stores, layers: [relu1, relu5, fc8], batch: 4}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100]}, where: {occlusion: none}}
inference: {resample: both, draws: 20, controls: [pixels]}
output: results
"""
KINDS = ("killed", "disk full", "no permission", "cut short", "bytes flipped")
SHARES = (0.3, 0.2, 0.1, 0.2, 0.2)
TARGETS = ("stores", "manifest.json", "weights", "rdms", "other")
_LONGEST = 300.0  # seconds a run may take before it is called stuck


@dataclass
class Table:
    """What came of each moment, counted by kind and by what was damaged."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    def add(self, kind: str, target: str, outcome: str) -> None:
        self.counts[kind, target, outcome] += 1

    def markdown(self) -> str:
        lines = ["| what was done | to what | moments | completed, equal | stopped, named, mended, equal | wrong |"]
        lines += ["|---|---|---|---|---|---|"]
        for kind, target in dict.fromkeys((kind, target) for kind, target, _ in sorted(self.counts)):
            each = [self.counts[kind, target, outcome] for outcome in ("equal", "named", "wrong")]
            lines.append(f"| {kind} | {target} | {sum(each)} | {' | '.join(map(str, each))} |")
        each = [
            sum(n for (_, _, one), n in self.counts.items() if one == outcome)
            for outcome in ("equal", "named", "wrong")
        ]
        return "\n".join([*lines, f"| all | | {sum(each)} | {' | '.join(map(str, each))} |", *self.wrong])


def use_small_networks() -> None:
    """Give AlexNet a small classifier and draw no figures, so that a run takes seconds; names stay as they are."""

    def small(num_classes: int = 1000) -> nn.Module:
        with torch.device("meta"):
            network = models.AlexNet(num_classes)
            sizes = ((1, 9216, 16), (4, 16, 16), (6, 16, num_classes))
            for place, before, after in sizes:
                network.classifier[place] = nn.Linear(before, after)
        return network

    for name in ("alexnet", "fe_alexnet"):
        zoo.ARCHITECTURES[name] = small
    study.draw_figures = lambda *_args, **_found: None


def make_study(folder: Path) -> Path:
    """Write a small study with training, masks, a store and ratings."""
    stimuli = draw_faces(folder / "faces", identities=2, levels=3, size=64)
    draw_faces(folder / "others", identities=4, levels=2, size=64)
    table = pd.read_csv(folder / "others" / "stimuli.csv")
    table["identity"] = "other " + table["identity"].astype(str)
    table.to_csv(folder / "others" / "stimuli.csv", index=False)
    simulate_ratings(stimuli, participants=4)[0].to_csv(folder / "ratings.csv", index=False)
    (folder / "study.yaml").write_text(STUDY)
    return folder / "study.yaml"


def run_in_child(
    file: Path, *, before: Callable[[], object] = lambda: None, after: float | None = None, said: Path | None = None
) -> tuple[int, str]:
    """Run a study in a process of its own; kill it after so many seconds; return its exit code and what it said."""
    said = said or file.parent / "said.txt"
    said.unlink(missing_ok=True)
    opened = os.open(said, os.O_CREAT | os.O_WRONLY, 0o666)
    child = os.fork()
    if child == 0:
        code = 0
        try:
            torch.set_num_threads(1)
            before()
            study.run_study(load_study(file), progress=False, say=lambda _line: None)
        except (ValueError, FileNotFoundError, OSError) as error:
            code = 2
            os.write(opened, str(error).encode())
        except BaseException:
            code = 1
            os.write(opened, traceback.format_exc().encode())
        os._exit(code)
    os.close(opened)
    status = _wait(child, after)
    words = said.read_text()
    said.unlink()
    return (status if os.WIFSIGNALED(status) else os.waitstatus_to_exitcode(status)), words


def _wait(child: int, after: float | None) -> int:
    ends = time.monotonic() + (_LONGEST if after is None else after)
    while time.monotonic() < ends:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return status
        time.sleep(0.01)
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def are_equal(first: Path, second: Path) -> bool:
    """Return whether two results say the same, whatever they took in time."""
    if first.suffix == ".nc":
        return bool(load(first).equals(load(second)))
    if first.suffix == ".safetensors":
        mine, theirs = (safetensors.numpy.load_file(file) for file in (first, second))
        return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)
    if first.parent.name == "weights":
        mine, theirs = (pd.read_csv(file) for file in (first, second))
        timed = [name for name in theirs if "second" in name]
        return bool(mine.drop(columns=timed).equals(theirs.drop(columns=timed)))
    return first.read_bytes() == second.read_bytes()


def differences(results: Path, whole: Path) -> list[str]:
    """Return the files of results that are not what the undisturbed run wrote."""
    found = []
    for file in sorted(whole.rglob("*")):
        other = results / file.relative_to(whole)
        if not file.is_file() or file.name == "manifest.json" or file.suffix in (".pdf", ".png"):
            continue
        if not other.is_file():
            found.append(f"{other.name} is missing")
        elif not are_equal(other, file):
            found.append(f"{other.name} differs")
    left = [file.name for file in results.rglob("*") if file.name.startswith(".") and file.suffix != ".lock"]
    return found + [f"{name} was left behind" for name in left if "begun" in name]


class Harness:
    """A study, the results of its undisturbed run, and a folder in which runs are disturbed."""

    def __init__(self, folder: Path, seed: int) -> None:
        use_small_networks()
        self.rng = np.random.default_rng(seed)
        self.whole, self.here = folder / "whole", folder / "here"
        begun = time.monotonic()
        code, said = run_in_child(make_study(self.here))
        assert code == 0, said
        shutil.copytree(self.here, self.whole)
        self.seconds = time.monotonic() - begun
        self.table = Table()

    def fresh(self, *, finished: bool) -> Path:
        """Lay out the study anew, with all of its results or none."""
        shutil.rmtree(self.here, ignore_errors=True)
        left = () if finished else ("results", "stores")
        shutil.copytree(self.whole, self.here, ignore=lambda _folder, names: [n for n in names if n in left])
        return self.here / "study.yaml"

    def settle(self, kind: str, target: str, named: Path | None = None) -> None:
        """Run again, undisturbed; mend once what the error names; count what comes of it."""
        file = self.here / "study.yaml"
        code, said = run_in_child(file)
        outcome = "equal"
        if code == 2 and named is not None:
            store = next((part for part in (named, *named.parents) if part.suffix == ".zarr"), named)
            if str(store) not in said or not any(word in said.lower() for word in ("remove", "anew")):
                self.note(kind, target, f"the error does not name {named}: {said}")
                return
            outcome = "named"
            shutil.rmtree(store) if store.is_dir() else store.unlink()
            code, said = run_in_child(file)
        if code != 0:
            self.note(kind, target, f"{named or 'the next run'}: exit {code}: {said[-600:]}")
            return
        unequal = differences(self.here / "results", self.whole / "results")
        if unequal:
            self.note(kind, target, f"{named or 'the next run'}: {unequal}")
            return
        self.table.add(kind, target, outcome)

    def note(self, kind: str, target: str, fault: str) -> None:
        self.table.add(kind, target, "wrong")
        self.table.wrong.append(f"{kind} {target}: {fault}")

    def kill(self) -> None:
        """Kill a run at a random moment, two or three times in a row, then settle."""
        file = self.fresh(finished=False)
        for _ in range(int(self.rng.integers(1, 3))):
            code, said = run_in_child(file, after=float(self.rng.uniform(0.05, self.seconds)))
            if code in (1, 2):
                self.note("killed", "run", said)
                return
        self.settle("killed", "run")

    def fill(self) -> None:
        """Let no file grow beyond a random size, as on a full disk."""
        file = self.fresh(finished=False)
        limit = int(2 ** self.rng.uniform(0, 24))

        def before() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        code, said = run_in_child(file, before=before)
        if code == 1:
            self.note("disk full", "run", f"at {limit} bytes: {said[-600:]}")
            return
        self.settle("disk full", "run")

    def forbid(self) -> None:
        """Make one of the folders one that nobody may write to, not even root, and run."""
        file = self.fresh(finished=bool(self.rng.integers(2)))
        (self.here / "results").mkdir(exist_ok=True)
        folders = [self.here, *(folder for folder in self.here.rglob("*") if folder.is_dir())]
        chosen = folders[int(self.rng.integers(len(folders)))]
        if "results" in str(chosen):
            for one in sorted(one for one in chosen.iterdir() if one.is_file())[:1]:
                one.unlink()
        if subprocess.run(["chattr", "+i", str(chosen)], check=False, capture_output=True).returncode:
            self.table.add("no permission", "not possible here", "equal")
            return
        code, said = run_in_child(file, said=self.here.parent / "said.txt")
        subprocess.run(["chattr", "-i", str(chosen)], check=True)
        if code == 1 or (code == 2 and str(chosen) not in said):
            self.note("no permission", "run", f"{chosen}: {said[-600:]}")
            return
        self.settle("no permission", "run")

    def damage(self, kind: str) -> None:
        """Cut a finished result short, or flip some of its bytes; what rests on it may be gone, too."""
        self.fresh(finished=True)
        target = TARGETS[int(self.rng.integers(len(TARGETS)))]
        file = self._file_of(target)
        content = bytearray(file.read_bytes())
        if kind == "cut short":
            content = content[: int(self.rng.integers(len(content)))]
        else:
            for place in self.rng.integers(len(content), size=int(self.rng.integers(1, 9))):
                content[place] ^= int(self.rng.integers(1, 256))
        file.write_bytes(bytes(content))
        if target == "stores":
            shutil.rmtree(self.here / "results" / "rdms")
        elif target in ("weights", "rdms") and self.rng.integers(2):
            for name in ("layers.nc", "rdms.nc"):
                (self.here / "results" / name).unlink()
        self.settle(kind, target, file)

    def _file_of(self, target: str) -> Path:
        results = self.here / "results"
        if target == "manifest.json":
            return results / target
        root = self.here / target if target == "stores" else results if target == "other" else results / target
        files = sorted(
            file for file in root.rglob("*") if file.is_file() and file.stat().st_size and file.suffix != ".lock"
        )
        return files[int(self.rng.integers(len(files)))]

    def moment(self, kind: str) -> None:
        """Disturb one run, and settle."""
        acts: dict[str, Callable[[], Any]] = {
            "killed": self.kill,
            "disk full": self.fill,
            "no permission": self.forbid,
        }
        acts.get(kind, lambda: self.damage(kind))()


def main(moments: int, seed: int) -> int:
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        harness = Harness(Path(name), seed)
        print(f"an undisturbed run takes {harness.seconds:.1f} s", flush=True)
        begun = time.monotonic()
        for number in range(moments):
            kind = str(harness.rng.choice(KINDS, p=SHARES))
            harness.moment(kind)
            print(number + 1, kind, harness.table.wrong[-1:] if harness.table.counts else "", flush=True)
            if time.monotonic() - begun > float(os.environ.get("FAULTS_SECONDS", "inf")):
                print(f"stopped after {number + 1} moments")
                break
        print(harness.table.markdown())
        return len(harness.table.wrong)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
