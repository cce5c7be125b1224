"""Kill, starve and damage a small study at random moments, and see that nothing wrong is ever reported as done.

Run as ``python -m tests.trust.faults MOMENTS SEED``; it prints a table. After each moment the study is run again: it
ends with the results of an undisturbed run, or stops with an error that names the damaged file and what mends it, and
once that is done ends with those results. Each run is ``rsa-face run`` in a process of its own, which is really
killed; it is forked from one that has imported everything, so that 200 moments take minutes.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import safetensors.numpy
import torch
from torch import nn
from torchvision import models

from rsa_face.cli import INTERRUPTED, SENTENCE
from rsa_face.cli import main as run_command
from rsa_face.human.observers import simulate_choices, simulate_ratings
from rsa_face.networks import zoo
from rsa_face.provenance import hash_file, load
from rsa_face.stimuli.faces import draw_faces
from rsa_face.study import folder as drawing
from tests.trust.processes import Child, obey_permissions, start

STUDY = """\
name: small
stimuli: {table: faces/stimuli.csv, occlusion: [none, mouth]}
networks:
  - {name: alexnet, preprocessing: &small {resize: 64, crop: 64}}
  - {name: fe_alexnet, preprocessing: *small}
training: {table: others/stimuli.csv, label: level, epochs: 4, lr: 1.0e-3, batch: 4, dropout: 0.0}
activations: {store: stores, layers: [relu1, relu5], batch: 4}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100]}, where: {occlusion: none}}
inference: {resample: both, draws: 20, controls: [pixels]}
output: results
"""
BEHAVIOUR = """\
psychophysics: {table: choices.csv}
saliency: {layer: relu5, where: {level: [-1, 1], occlusion: none}}
"""
KINDS = ("killed", "interrupted", "disk full", "no permission", "cut short", "bytes flipped")
SHARES = (0.2, 0.15, 0.15, 0.1, 0.2, 0.2)
TARGETS = ("stores", "manifest.json", "weights", "rdms", "other")
_MENDED = ("remove", "anew", "free some", "make it so", "writable", "again")  # an error says what to do


@dataclass
class Table:
    """What came of each moment, counted by kind and by what was damaged."""

    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
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
    """Give AlexNet few weights, and draw one figure of each study, in this process; the rest is real."""
    figures, save = drawing._FIGURES, drawing.save_figure

    def small(num_classes: int = 1000) -> nn.Module:
        with torch.device("meta"):
            network = models.AlexNet(num_classes)
            for place, before, after in ((3, 64, 8), (6, 8, 8), (8, 8, 8), (10, 8, 256)):
                network.features[place] = nn.Conv2d(before, after, 3, padding=1)
            for place, before, after in ((1, 9216, 16), (4, 16, 16), (6, 16, num_classes)):
                network.classifier[place] = nn.Linear(before, after)
        return network

    zoo._builder = lambda _name: small
    drawing._FIGURES = tuple(figure for figure in figures if figure[1] == "layers")
    drawing.save_figure = lambda figure, stem: save(figure, stem, dpi=30)


@contextlib.contextmanager
def small_networks() -> Iterator[None]:
    """Do as `use_small_networks` for a while."""
    builder, figures, save = zoo._builder, drawing._FIGURES, drawing.save_figure
    use_small_networks()
    try:
        yield
    finally:
        zoo._builder = builder
        drawing._FIGURES, drawing.save_figure = figures, save


def make_study(folder: Path, study: str) -> Path:
    """Write a small study, and what it needs."""
    stimuli = draw_faces(folder / "faces", identities=2, levels=4, size=64)
    draw_faces(folder / "others", identities=3, levels=4, size=64)
    table = pd.read_csv(folder / "others" / "stimuli.csv")
    table["identity"] = "other " + table["identity"].astype(str)
    table.to_csv(folder / "others" / "stimuli.csv", index=False)
    simulate_ratings(stimuli, participants=3)[0].to_csv(folder / "ratings.csv", index=False)
    simulate_choices(stimuli, participants=3)[0].to_csv(folder / "choices.csv", index=False)
    (folder / "study.yaml").write_text(study)
    return folder / "study.yaml"


def begin(words: list[str], *, before: Callable[[], object] = lambda: None) -> Child:
    """Start a command in a process of its own, which has small networks."""

    def prepare() -> None:
        use_small_networks()
        before()

    return start(words, before=prepare)


def run_in_child(
    words: list[str], *, before: Callable[[], object] = lambda: None, after: float | None = None
) -> tuple[int, str]:
    """Run a command in a process of its own; kill it after so many seconds; return its exit code and what it said."""
    return begin(words, before=before).end(after=after)


def are_equal(first: Path, second: Path) -> bool:
    """Return whether two results say the same, whatever they took in time."""
    if first.read_bytes() == second.read_bytes():
        return True
    if first.suffix == ".nc":
        return bool(load(first).identical(load(second)))
    if first.suffix == ".safetensors":
        mine, theirs = (safetensors.numpy.load_file(file) for file in (first, second))
        return mine.keys() == theirs.keys() and all(np.array_equal(mine[name], theirs[name]) for name in mine)
    if first.parent.name == "weights":
        mine, theirs = (pd.read_csv(file) for file in (first, second))
        timed = [name for name in theirs if "second" in name]
        return bool(mine.drop(columns=timed).equals(theirs.drop(columns=timed)))
    if first.name == "manifest.json":
        return _timeless(first) == _timeless(second)
    return False


def _timeless(file: Path) -> Any:
    """Return what a manifest says, but for times and hashes, and for each file whether it is the one recorded."""
    kept = json.loads(file.read_text("utf-8"))
    stages = {
        name: (
            sorted(entry["inputs"]),
            {one: hash_file(file.parent / one) == known for one, known in entry["outputs"].items()},
        )
        for name, entry in kept["stages"].items()
    }
    return {**{key: value for key, value in kept.items() if key != "blake3"}, "stages": stages}


def differences(results: Path, whole: Path) -> list[str]:
    """Return the files of results that are not what the undisturbed run wrote, and what was left behind."""
    found = []
    for file in sorted(whole.rglob("*")):
        other = results / file.relative_to(whole)
        if not file.is_file() or file.suffix == ".lock" or file.name == ".lock":
            continue
        if not other.is_file():
            found.append(f"{other.name} is missing")
        elif not are_equal(other, file):
            found.append(f"{other.name} differs")
    left = [file.name for file in results.rglob("*") if "begun" in file.name]
    return found + [f"{name} was left behind" for name in left]


class Harness:
    """A study, the results of its undisturbed run, and a folder in which runs are disturbed."""

    def __init__(self, folder: Path, seed: int, study: str = STUDY) -> None:
        self.rng = np.random.default_rng(seed)
        self.whole, self.here = folder / "whole", folder / "here"
        file = make_study(self.here, study)
        assert self._run_here(file) == 0  # imports and compiles, in this process, what all children use
        shutil.rmtree(self.here / "results")
        shutil.rmtree(self.here / "stores")
        undisturbed = begin(self.words)
        assert undisturbed.end() == (0, "")
        self.seconds = undisturbed.lasted[-1]
        shutil.copytree(self.here, self.whole)
        self.size = sum(file.stat().st_size for file in self.whole.rglob("*") if file.is_file())
        self.table = Table()

    def _run_here(self, file: Path) -> int:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # where OpenMP has begun threads, a process must not fork
        try:
            with contextlib.redirect_stdout(None), small_networks():
                run_command(["run", str(file), "-q"])
        except SystemExit as ended:
            return int(ended.code or 0)
        finally:
            torch.set_num_threads(threads)
        return 0

    @property
    def words(self) -> list[str]:
        return ["run", str(self.here / "study.yaml"), "-q"]

    def fresh(self, *, finished: bool) -> None:
        """Lay out the study anew, with all of its results or none."""
        left = () if finished else ("results", "stores")
        if self.here.is_dir() and not os.path.ismount(self.here):
            shutil.rmtree(self.here)
        shutil.copytree(
            self.whole, self.here, ignore=lambda _folder, names: [n for n in names if n in left], dirs_exist_ok=True
        )

    def settle(self, kind: str, target: str, named: Path | None = None) -> None:
        """Run again, undisturbed; mend once what the error names; count what comes of it."""
        code, said = run_in_child(self.words)
        outcome = "equal"
        if code == 2 and named is not None:
            store = next((part for part in (named, *named.parents) if part.suffix == ".zarr"), named)
            if str(store) not in said or not any(word in said.lower() for word in _MENDED):
                self.note(kind, target, f"the error does not name {named}: {said}")
                return
            outcome = "named"
            shutil.rmtree(store) if store.is_dir() else store.unlink()
            code, said = run_in_child(self.words)
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

    def stopped_in_words(self, code: int, said: str, place: Path) -> bool:
        """Return whether a run that was starved went through, or said in a line or two where and what to do."""
        if code == 0:
            return True
        in_words = code in (1, 2) and "Traceback" not in said and len(said.strip().splitlines()) <= 2
        return in_words and str(place) in said and any(word in said.lower() for word in _MENDED)

    def kill(self) -> None:
        """Kill a run at a random moment, once or twice in a row, then settle."""
        self.fresh(finished=False)
        for _ in range(int(self.rng.integers(1, 3))):
            code, said = run_in_child(self.words, after=float(self.rng.uniform(0.02, self.seconds)))
            if code not in (0, -signal.SIGKILL):
                self.note("killed", "run", said)
                return
        self.settle("killed", "run")

    def interrupt(self) -> None:
        """Press Ctrl-C at a random moment: the run must say how to go on, and leave no process; then settle."""
        self.fresh(finished=False)
        running = begin(self.words)
        code, said = running.end(after=float(self.rng.uniform(0.05, self.seconds)), by=signal.SIGINT)
        self.table.waits += running.waits
        if (code != 0 and (code != INTERRUPTED or said.strip() != SENTENCE)) or running.left():
            self.note("interrupted", "run", f"exit {code}: {said[-600:]}")
            return
        self.settle("interrupted", "run")

    def fill(self) -> None:
        """Let a disk of random size become full; where none can be mounted, let no file grow beyond a random size."""
        shutil.rmtree(self.here, ignore_errors=True)
        self.here.mkdir()
        if self._mount("size=1g"):
            try:
                self.fresh(finished=False)
                used = shutil.disk_usage(self.here).used
                room = used + int(self.rng.uniform(0, 1.2) * (self.size - used)) + 4096
                self._fill("a full disk", options=f"remount,size={room}", then="remount,size=1g")
            finally:
                subprocess.run(["umount", str(self.here)], check=True)
            return
        self._limit()

    def _fill(self, target: str, *, options: str, then: str) -> None:
        assert self._mount(options)
        code, said = run_in_child(self.words)
        assert self._mount(then)
        if not self.stopped_in_words(code, said, self.here):
            self.note("disk full", target, f"{options}: exit {code}: {said[-600:]}")
            return
        self.settle("disk full", target)

    def _limit(self) -> None:
        self.fresh(finished=False)
        limit = int(2 ** self.rng.uniform(8, 21))

        def before() -> None:
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        code, said = run_in_child(self.words, before=before)
        if not self.stopped_in_words(code, said, self.here):
            self.note("disk full", "limit of files", f"at {limit} bytes: exit {code}: {said[-600:]}")
            return
        self.settle("disk full", "limit of files")

    def _mount(self, options: str) -> bool:
        given = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.here)]
        return (
            shutil.which("mount") is not None
            and not subprocess.run(given, check=False, capture_output=True).returncode
        )

    def forbid(self) -> None:
        """Take the right to write from one of the folders, and run."""
        self.fresh(finished=bool(self.rng.integers(2)))
        (self.here / "results").mkdir(exist_ok=True)
        folders = [self.here, *(folder for folder in self.here.rglob("*") if folder.is_dir())]
        chosen = folders[int(self.rng.integers(len(folders)))]
        for one in sorted(one for one in chosen.iterdir() if one.is_file())[:1] if "results" in str(chosen) else ():
            one.unlink()  # something is to be made anew there
        mode = chosen.stat().st_mode
        chosen.chmod(0o555)
        code, said = run_in_child(self.words, before=obey_permissions)
        chosen.chmod(mode)
        if not self.stopped_in_words(code, said, chosen):
            self.note("no permission", "folder", f"{chosen}: exit {code}: {said[-600:]}")
            return
        self.settle("no permission", "folder")

    def damage(self, kind: str) -> None:
        """Cut a result short, or flip some of its bytes, after a whole run or a killed one; then settle."""
        whole = bool(self.rng.integers(4))
        self.fresh(finished=whole)
        if not whole:
            run_in_child(self.words, after=float(self.rng.uniform(0.2, 1) * self.seconds))
        target = TARGETS[int(self.rng.integers(len(TARGETS)))]
        file = self._file_of(target)
        if file is None:
            return self.settle("killed", "run")
        content = bytearray(file.read_bytes())
        if kind == "cut short":
            content = content[: int(self.rng.integers(len(content)))]
        else:
            for place in self.rng.integers(len(content), size=int(self.rng.integers(1, 9))):
                content[place] ^= int(self.rng.integers(1, 256))
        file.write_bytes(bytes(content))
        if target == "stores":
            shutil.rmtree(self.here / "results" / "rdms", ignore_errors=True)
        elif target in ("weights", "rdms") and self.rng.integers(2):
            for name in ("layers.nc", "rdms.nc"):
                (self.here / "results" / name).unlink(missing_ok=True)
        return self.settle(kind, target if whole else f"{target}, half done", file)

    def _file_of(self, target: str) -> Path | None:
        results = self.here / "results"
        if target == "manifest.json":
            return results / target if (results / target).is_file() else None
        root = self.here / target if target == "stores" else results if target == "other" else results / target
        files = sorted(
            file for file in root.rglob("*") if file.is_file() and file.stat().st_size and file.suffix != ".lock"
        )
        return files[int(self.rng.integers(len(files)))] if files else None

    def moment(self, kind: str) -> None:
        """Disturb one run, and settle."""
        acts: dict[str, Callable[[], Any]] = {
            "killed": self.kill,
            "interrupted": self.interrupt,
            "disk full": self.fill if self.rng.integers(3) else self._limit,
            "no permission": self.forbid,
        }
        acts.get(kind, lambda: self.damage(kind))()


def _until_interrupted(moments: int) -> Iterator[int]:
    """Yield the numbers of moments; after Ctrl-C none, once the moment in work is done."""
    asked: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _frame: asked.append(number))
    for number in range(moments):
        if asked:
            return
        yield number


def main(moments: int, seed: int) -> int:
    """Try so many moments, and print the table; of those until Ctrl-C, where it comes before the last."""
    with tempfile.TemporaryDirectory() as name:
        harness = Harness(Path(name), seed, STUDY + BEHAVIOUR)
        print(f"an undisturbed run takes {harness.seconds:.1f} s and {harness.size:,} bytes", flush=True)
        begun = time.monotonic()
        for number in _until_interrupted(moments):
            kind = str(harness.rng.choice(KINDS, p=SHARES))
            faults = len(harness.table.wrong)
            harness.moment(kind)
            print(number + 1, kind, *harness.table.wrong[faults:], flush=True)
        print(harness.table.markdown())
        print(f"longest wait from Ctrl-C to the end: {max(harness.table.waits, default=0):.2f} s")
        tried = sum(harness.table.counts.values())
        print(f"{tried} of {moments} moments, seed {seed}, {time.monotonic() - begun:.0f} s")
        return len(harness.table.wrong)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 200, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
