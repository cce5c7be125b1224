"""What is up to date: the record of a study's stages, a run that makes those that are not, and how each stands."""

import json
import logging
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pandas as pd
import xarray as xr

from rsa_face.human.tables import files_in
from rsa_face.provenance import code_hash, hash_content, hash_file, load, sealed, unsealed, versions
from rsa_face.safety import first_of, hold, lock_in, must_stay_inside, read_json, remove_drafts, write_beside
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from rsa_face.study.config import Study, recorded_study
from rsa_face.study.stages import Stage, Step, measures_of, planned_stages, steps_of

if TYPE_CHECKING:
    from rsa_face.training.data import TrainingTable

log = logging.getLogger(__name__)

FILE = "manifest.json"
ALWAYS = ("provenance", "schema", "settings", "sources")  # small, and what results depend on
ASIDE = "set_aside"
_MOST_NAMED = 8
_MOST_FAULTS = 3


@dataclass(frozen=True)
class Manifest:
    """The record of a study's stages, in ``manifest.json`` of its output folder; `say` reports what each stage does.

    What lies in the folder is what the study says: files of a stage that the study no longer has are set aside, by
    `set_aside_rest`, and come back with it.
    """

    folder: Path
    say: Callable[[str], None]
    _come_to: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def stage(
        self,
        name: str,
        make: Callable[[], object],
        *,
        inputs: Mapping[str, Any],
        outputs: Sequence[str | Path],
        store: str = "",
    ) -> None:
        """Run a stage, unless what it made last time was made from the same inputs and is still whole.

        `inputs` is everything that the outputs depend on. `make` writes the outputs, relative to the folder, and may
        return the paths of others that it wrote, and an activation store, wherever it lies. The record is written
        after the outputs are in place: a run that is killed in between makes them again.
        """
        self._come_to.add(name)
        self._bring_back(name)  # before its files are looked at: set aside, they may be current
        fingerprint = hash_content(inputs)
        if self._is_current(name, fingerprint, store):
            self.say(f"{name}: up to date")
            return
        for file in outputs:
            must_stay_inside(self.folder / file, self.folder)
        self.say(f"{name} ...")
        start = time.perf_counter()
        made = make()
        seconds = time.perf_counter() - start
        others = [Path(file).relative_to(self.folder) for file in made] if isinstance(made, list) else []
        outputs = list(dict.fromkeys(str(file) for file in (*outputs, *others)))
        missing = [str(file) for file in outputs if not (self.folder / file).is_file()]
        if missing:
            message = f"The stage {name!r} did not write {missing}. Report this as a fault of rsa_face."
            raise RuntimeError(message)
        self._record(name, fingerprint, inputs, outputs, seconds, store)
        self.say(f"{name}: done in {seconds:.1f} s")

    def read(self) -> dict[str, Any]:
        """Return the record as it is on disk; without stages where there is none, refused where it was changed."""
        path = self.folder / FILE
        if not path.is_file():
            return {"stages": {}}
        then = "Remove it and run the study again; every stage is then made again."
        content = read_json(path, "A manifest is JSON", then=then)
        record = unsealed(content, path, then=then) if isinstance(content, dict) else {}
        stages = record.get("stages")
        if not (isinstance(stages, dict) and all(map(_is_entry, stages.values()))):
            message = f"{str(path)!r} is not a record of stages with their outputs. {then}"
            raise ValueError(message)
        return record

    def set_aside_rest(self) -> None:
        """Move the files of the stages that this run did not come to into ``set_aside``, and say so.

        In their place they would be read and drawn as the study's own; a stage that comes back finds its files again.
        """
        record = self.read()
        stages: dict[str, Any] = record["stages"]
        rest = [name for name in stages if name not in self._come_to]
        current = {file for name in stages if name in self._come_to for file in stages[name]["outputs"]}
        if any(not stages[name].get("aside") for name in rest):  # recorded first: a kill in between loses nothing
            marked = {name: {**entry, "aside": True} if name in rest else entry for name, entry in stages.items()}
            self._write({**record, "stages": marked})
        for name in rest:
            files = [
                file for file in stages[name]["outputs"] if file not in current and (self.folder / file).is_file()
            ]
            for file in files:
                self._move(file, Path(ASIDE) / file)
            if files:
                more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
                named = ", ".join(files[:_MOST_NAMED])
                self.say(f"{name}: not in the study any more; {named}{more} moved to {self.folder / ASIDE}")

    def note(self, **facts: Any) -> None:
        """Keep facts about the study beside its stages; None takes a fact back."""
        record = {**self.read(), **facts}
        self._write({name: fact for name, fact in record.items() if fact is not None})

    def outputs(self) -> dict[str, str]:
        """Return the recorded hash of each file that is in its place."""
        entries = [entry for entry in self.read()["stages"].values() if not entry.get("aside")]
        return {file: digest for entry in entries for file, digest in entry["outputs"].items()}

    def outputs_of(self, name: str) -> list[str]:
        """Return the files that a stage wrote."""
        return list(self.read()["stages"].get(name, {"outputs": {}})["outputs"])

    def _bring_back(self, name: str) -> None:
        record = self.read()
        entry = record["stages"].get(name)
        if entry is None or not entry.get("aside"):
            return
        current = {file for one in record["stages"].values() if not one.get("aside") for file in one["outputs"]}
        for file in entry["outputs"]:
            if file not in current and (self.folder / ASIDE / file).is_file():
                self._move(Path(ASIDE) / file, file)
        back = {key: value for key, value in entry.items() if key != "aside"}
        self._write({**record, "stages": {**record["stages"], name: back}})

    def _is_current(self, name: str, fingerprint: str, store: str) -> bool:
        entry = self.read()["stages"].get(name)
        if entry is None or entry["fingerprint"] != fingerprint:
            return False
        # a file that was removed or edited since is made again; its time is not asked, copies keep their content
        files = {self.folder / file: digest for file, digest in entry["outputs"].items()}
        if not all(path.is_file() and hash_file(path) == digest for path, digest in files.items()):
            return False
        fault = _fault_of_store(self.folder, entry, store, read="changed")
        if fault:
            self.say(f"{name}: {fault}")
        return not fault

    def _record(
        self,
        name: str,
        fingerprint: str,
        inputs: Mapping[str, Any],
        outputs: Sequence[str | Path],
        seconds: float,
        store: str,
    ) -> None:
        entry = {
            "fingerprint": fingerprint,
            "inputs": dict(inputs),
            "outputs": {str(file): hash_file(self.folder / file) for file in outputs},
            "seconds": round(seconds, 2),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
            **({"store": store} if store else {}),
        }
        record = self.read()
        before = record["stages"].get(name, {"outputs": {}})
        stages = {**record["stages"], name: entry}
        self._write({**record, "versions": versions(), "stages": stages})
        now = {file for one in stages.values() for file in one["outputs"]}
        for file in before["outputs"]:
            if file not in now:  # written last time, from other inputs, and not by any stage since
                must_stay_inside(self.folder / file, self.folder)
                (self.folder / file).unlink(missing_ok=True)

    def _move(self, file: str | Path, to: str | Path) -> None:
        source, target = self.folder / file, self.folder / to
        must_stay_inside(source, self.folder)
        target.parent.mkdir(parents=True, exist_ok=True)
        must_stay_inside(target, self.folder)
        source.replace(target)
        folder = source.parent
        while not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def _write(self, content: Mapping[str, Any]) -> None:
        with write_beside(self.folder / FILE) as beside:
            beside.write_text(json.dumps(sealed(content), indent=1) + "\n", "utf-8")


def _fault_of_store(
    folder: Path, entry: Mapping[str, Any], store: str, *, read: Literal["all", "changed", "none"]
) -> str:
    """Say what is wrong with the store that a stage wrote; empty if all is well, or the study wants it no more.

    Stores are large and values have checksums in them, so that a run reads those files alone that were written since.
    """
    if not store or entry.get("store") != store:
        return ""
    from rsa_face.activations.store import verify_store

    try:
        faults = verify_store(folder / store, read=read)
    except (ValueError, OSError) as error:
        return str(error)
    return f"the store {store}: {first_of(faults, '; ', most=_MOST_FAULTS)}" if faults else ""


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("inputs"), dict):
        return False
    outputs = entry.get("outputs")
    if not (isinstance(outputs, dict) and all(isinstance(digest, str) for digest in outputs.values())):
        return False
    if any(Path(file).is_absolute() or ".." in Path(file).parts for file in outputs):
        return False  # they are moved and removed by these names
    return isinstance(entry.get("fingerprint"), str)


@dataclass(eq=False)
class Run:
    """One run of a study: what its stages are given, and which files they have made or kept so far."""

    study: Study
    say: Callable[[str], None] = log.info
    progress: bool = False
    made: set[str] = field(default_factory=set)
    come: set[str] = field(default_factory=set)

    @property
    def folder(self) -> Path:
        """The study's output folder."""
        return self.study.output

    @cached_property
    def manifest(self) -> Manifest:
        """The record of the run."""
        return Manifest(self.folder, self.say)

    @cached_property
    def whole_stimuli(self) -> StimulusSet:
        """The stimuli of the study's table, without masked ones."""
        return read_stimuli(self.study.stimuli.table)

    @cached_property
    def stimuli(self) -> StimulusSet:
        """All stimuli, those of each occlusion in the order of the study file."""
        occlusions = self.study.stimuli.occlusion
        if not occlusions:
            return self.whole_stimuli
        if set(occlusions) == {"none"}:
            return StimulusSet(self.whole_stimuli.table.assign(occlusion="none"))
        table = read_stimuli(self.folder / "stimuli" / "stimuli.csv").table
        return StimulusSet(pd.concat([table[table["occlusion"] == name] for name in occlusions], ignore_index=True))

    @cached_property
    def saliency_faces(self) -> StimulusSet:
        """The stimuli whose saliency is mapped."""
        section = self.study.saliency
        return self.stimuli if section is None else self.stimuli.select(**section.where)

    @cached_property
    def training_faces(self) -> "TrainingTable":
        """The faces that networks learn from."""
        from rsa_face.training.data import read_faces

        section = self.study.training
        assert section is not None
        return read_faces(
            section.table, kind=section.kind, label=section.label, classes=section.classes, rule=section.rule or None
        )

    @cached_property
    def held_out_faces(self) -> "TrainingTable":
        """The faces that trained networks are scored on: a table of their own, or the study's stimuli."""
        from rsa_face.training.data import read_faces

        section = self.study.training
        assert section is not None
        assert section.held_out is not None
        table = self.folder / "stimuli.csv" if section.held_out == "stimuli" else section.held_out
        return read_faces(table, label=section.held_out_label, classes=section.classes)

    @property
    def answers(self) -> pd.DataFrame | None:
        """What the networks answered to every stimulus; None where they did not."""
        if not self.has("answers.csv"):
            return None
        return pd.read_csv(self.folder / "answers.csv", dtype={"network": str, "stimulus": str, "occlusion": str})

    def has(self, file: str) -> bool:
        """Return whether a stage of this run has made a file, or kept it."""
        return file in self.made

    def array(self, file: str) -> xr.DataArray:
        """Return an array that an earlier stage made."""
        array = self._load(file)
        assert isinstance(array, xr.DataArray)
        return array

    def dataset(self, file: str) -> xr.Dataset:
        """Return a result that an earlier stage made."""
        dataset = self._load(file)
        assert isinstance(dataset, xr.Dataset)
        return dataset

    def result(self, file: str) -> xr.Dataset | None:
        """Return a result that an earlier stage made; None where the study does not have it."""
        return self.dataset(file) if self.has(file) else None

    def come_to(self, step: Step) -> None:
        """Make a stage if it is not up to date; leave it out, and say why, where it cannot be made."""
        if step.name in self.come or not all(map(self.has, step.files("reads"))):
            return
        self.come.add(step.name)
        reason = step.hindrance or (self._call(step.stage.unless, step) if step.stage.unless else "")
        if reason:
            self.say(f"left out: {reason}")
            return
        self.manifest.stage(
            step.name,
            lambda: self._call(step.stage.make, step),
            inputs=self._inputs_of(step),
            outputs=step.files("writes"),
            store=step.store,
        )
        self.made |= set(self.manifest.outputs_of(step.name))
        for file in self.manifest.outputs_of(step.name):
            self._loaded.pop(file, None)

    def _hash(self, file: str) -> str:
        if file not in self._hashes:  # the weights of networks are large, and several stages rest on them
            self._hashes[file] = hash_file(file)
        return self._hashes[file]

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {}

    @cached_property
    def _loaded(self) -> dict[str, xr.DataArray | xr.Dataset]:
        return {}

    def _load(self, file: str) -> xr.DataArray | xr.Dataset:
        if file not in self._loaded:
            self._loaded[file] = load(self.folder / file)
        return self._loaded[file]

    def _call(self, name: str, step: Step) -> Any:
        module, _, function = name.partition(":")
        call = getattr(import_module(f"rsa_face.study.{module}"), function)
        return call(self) if step.network is None else call(self, step.section or step.network)

    def _inputs_of(self, step: Step) -> dict[str, Any]:
        """Return everything that a stage's outputs depend on, by kind: what is up to date follows from this alone."""
        # files of other stages by the hash recorded when they were written, those from outside by their hash now
        recorded = self.manifest.outputs()
        given = [file for file in (*step.files("reads"), *step.files("uses")) if self.has(file)]
        stage, tree = step.stage, _tree(step)
        named = [str(file) for key in stage.data for value in _picked(tree, key) for file in _files_of(value)]
        return {
            "code": code_of(stage),
            "settings": {key: _picked(tree, key) for key in stage.settings},
            "files": {file: self._hash(file) for file in sorted(set(named)) if Path(file).is_file()},
            "reads": {file: recorded[file] for file in given},
            **{name: getattr(self, name).content_hash() for name in stage.content},
        }


def _files_of(value: Any) -> Iterator[Path]:
    """Yield the files that a value of a study file names, several or those of a folder."""
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, str):
            path = Path(one)
            yield from files_in(path) if path.is_dir() or "*" in path.name else [path]


def code_of(stage: Stage) -> dict[str, str]:
    """Return the hash of each package and module that a stage's result depends on."""
    names = (*ALWAYS, f"study.{stage.make.partition(':')[0]}", *stage.code)
    return {name: code_hash(name) for name in sorted(set(names))}


def _tree(step: Step) -> dict[str, Any]:
    """Return a study's settings as plain values, with those of the step's network beside them."""
    section = step.section
    tree: dict[str, Any] = step.study.model_dump(mode="json")
    if section is None:
        return tree
    return {**tree, "network": section.model_dump(mode="json"), "measure": measures_of(step.study, section)}


def _picked(tree: Any, key: str) -> list[Any]:
    """Return the values under a key such as ``networks.weights``: one, or one for each element of a list."""
    values = [tree]
    for part in key.split("."):
        values = [value.get(part) for value in _flat(values) if isinstance(value, Mapping)]
    return list(_flat(values))


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


def run_study(study: Study, *, progress: bool = False, say: Callable[[str], None] = log.info) -> Path:
    """Run the stages of a study in order, each only if what it rests on has changed.

    A stage's outputs are written beside their place and moved in, and recorded in ``manifest.json`` with the
    content hashes of what they were made from: inputs, settings, and the code of the packages that make them. Stopped
    at any moment, the next run goes on with the stage that was not finished.

    Parameters
    ----------
    study : Study
        From `load_study`.
    progress : bool
        Whether to show bars.
    say : callable
        Called with a line on what each stage does.

    Returns
    -------
    Path
        The output folder: ``layers.csv``, ``layers.nc``, ``rdms.nc``, ``human_rdms.nc``, ``stimuli.csv``,
        ``manifest.json``, ``figures/``, and where the study asks for them ``weights/``, ``training.csv``,
        ``contrast.nc``, ``seeds.csv``, ``localization.nc``, ``variance.csv``, ``reweighted.csv``, ``answers.csv``,
        ``psychometric.csv``, ``saliency.csv``, ``agreement.csv`` and ``bias.csv``; ``set_aside/`` holds what earlier
        runs wrote and this study has no more.

    Raises
    ------
    ValueError
        If the stimuli, networks and human data do not fit each other; what does not is named. If another process
        is running the study, which is named, or the output folder cannot be written to.

    Examples
    --------
    >>> run_study(load_study("demo"))  # doctest: +SKIP
    """
    from rsa_face.inference.resampling import UngroupedWarning

    with (
        hold(study.output, lock_in(study.output), rule="A study is run by one process at a time"),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore", UngroupedWarning)  # said once, where the people are read
        run = start_run(study, progress=progress, say=say)
        done = {name for name, entry in run.manifest.read()["stages"].items() if not entry.get("aside")}
        if not done.issuperset(planned_stages(study)):
            run.manifest.note(begun={"name": study.name, "stages": planned_stages(study)})
        make_stages(run)
        run.manifest.set_aside_rest()
        run.manifest.note(study=study.model_dump(mode="json"), name=study.name, begun=None)
    return study.output


def start_run(study: Study, *, progress: bool = False, say: Callable[[str], None] = log.info) -> Run:
    """Return a run whose stimuli are made, and of which everything that can be known to be at fault was refused."""
    from rsa_face.study.networks import check_study

    remove_drafts(study.output)
    run = Run(study, say, progress)
    make_stages(run, _SHOWN)
    check_study(run)
    return run


def make_stages(run: Run, names: Collection[str] | None = None) -> None:
    """Make the stages of some names in the table that are not up to date; all unless names are given."""
    for step in steps_of(run.study):
        if names is None or step.stage.name in names:
            run.come_to(step)


_SHOWN = ("masked faces", "stimuli")


@dataclass(frozen=True)
class StageState:
    """How a stage stands (``done``, ``stale``, ``missing`` or ``aside``), why, since when, and its bytes."""

    name: str
    state: str
    reason: str
    finished: str
    size: int


def states_of(folder: Path, *, thorough: bool = False) -> list[StageState]:
    """Return how each stage of a study stands, in the order they were done, then those that a run has yet to come to.

    A stage is stale if the code it depends on, a file or image it read, or a stage it rests on has changed since, or
    a file of its activation store is missing or has another size; with `thorough` also if one's bytes are damaged.
    """
    record = Manifest(folder, print).read()
    study = recorded_study(record.get("study"))
    look = _Look(
        folder,
        {step.name: step for step in steps_of(study)} if study is not None else {},
        _hashes_of_stimuli(folder, study),
        {
            file: (name, digest)
            for name, entry in record["stages"].items()
            if not entry.get("aside")
            for file, digest in entry["outputs"].items()
        },
        "all" if thorough else "none",
    )
    states = [look.state_of(name, entry) for name, entry in record["stages"].items()]
    begun = _mapping(record.get("begun")).get("stages")
    to_come = [name for name in begun if name not in record["stages"]] if isinstance(begun, list) else []
    return [*states, *(StageState(str(name), "missing", "not run yet", "", 0) for name in to_come)]


@dataclass(frozen=True)
class _Look:
    """A look at a study's folder: its stages, its stimuli's hashes, who wrote each file, and who is behind."""

    folder: Path
    steps: Mapping[str, Step]
    stimuli: set[str]
    written: Mapping[str, tuple[str, str]]
    read: Literal["all", "none"]
    behind: set[str] = field(default_factory=set)

    def state_of(self, name: str, entry: Mapping[str, Any]) -> StageState:
        """Return how a recorded stage stands; those that it rests on were looked at before."""
        state, reason = self._judged(name, entry)
        if state in ("stale", "missing"):
            self.behind.add(name)
        place = self.folder / ASIDE if state == "aside" else self.folder
        size = sum(_size_of(place / file) for file in entry["outputs"])
        return StageState(name, state, reason, str(entry.get("finished", "")), size)

    def _judged(self, name: str, entry: Mapping[str, Any]) -> tuple[str, str]:
        if entry.get("aside"):
            return "aside", "not in the study any more; its files lie in set_aside"
        now = {file: _hash_now(self.folder / file) for file in entry["outputs"]}
        gone = [file for file, digest in now.items() if digest is None]
        if gone:
            return "missing", f"no {', '.join(gone)}"
        other = [file for file, digest in entry["outputs"].items() if now[file] != digest]
        if other:
            return "stale", f"{', '.join(other)} is not what the stage wrote"
        step = self.steps.get(name)
        store = str(entry.get("store", "")) if step is None else step.store
        fault = _fault_of_store(self.folder, entry, store, read=self.read)
        reason = fault or next(self._reasons(entry["inputs"], step), "")
        return ("stale", reason) if reason else ("done", "")

    def _reasons(self, inputs: Mapping[str, Any], step: Step | None) -> Iterator[str]:
        """Yield why what was made from some inputs is not up to date any more, the likeliest cause first."""
        recorded = inputs.get("code")
        if not isinstance(recorded, dict):
            yield "made by an older version of rsa_face"
            return
        reads = {file: digest for file, digest in _mapping(inputs.get("reads")).items() if file in self.written}
        writers = {file: self.written[file] for file in reads}
        # what it read has another hash now, or will have: its own writer is to run again
        before = {name for file, (name, now) in writers.items() if name in self.behind or now != reads[file]}
        if before:
            yield f"rests on {', '.join(sorted(before))}"
        files = _mapping(inputs.get("files")).items()
        changed = sorted(file for file, digest in files if _hash_now(Path(file)) != digest)
        if changed:
            yield f"{', '.join(changed)} has changed"
        if self.stimuli and inputs.get("stimuli", inputs.get("whole_stimuli")) not in (None, *self.stimuli):
            yield "the stimuli have changed"
        # the table may have changed with the code; without a stage of the name, by the packages it recorded
        code = code_of(step.stage) if step is not None else {name: code_hash(name) for name in recorded}
        other = sorted(name for name in {*code, *recorded} if code.get(name) != recorded.get(name))
        if other:
            yield f"the code of {', '.join(other)} has changed"


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


# A study that is being run moves and removes files while they are looked at.
def _hash_now(file: Path) -> str | None:
    try:
        return hash_file(file) if file.is_file() else None
    except (OSError, ValueError):
        return None


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _hashes_of_stimuli(folder: Path, study: Study | None) -> set[str]:
    """Return what a stage may have recorded of the stimuli: the table, or all that is shown, masked ones too."""
    if study is None:
        return set()
    try:
        return {read_stimuli(file).content_hash() for file in (study.stimuli.table, folder / "stimuli.csv")}
    except (ValueError, OSError) as error:
        return {f"unreadable: {error}"}
