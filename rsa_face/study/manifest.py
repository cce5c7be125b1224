"""The manifest of a run: what each stage was made from, and whether it must be made again."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rsa_face.files import write_beside
from rsa_face.provenance import code_hash, hash_content, hash_file, sealed, unsealed, versions
from rsa_face.safety import must_stay_inside
from rsa_face.untrusted import read_json

FILE = "manifest.json"
ASIDE = "set_aside"
_MOST_NAMED = 8


@dataclass(frozen=True)
class Manifest:
    """The record of a study's stages, in ``manifest.json`` of its output folder.

    What lies in the folder is what the study says: files of a stage that the study no longer has are set aside, by
    `set_aside_rest`, and come back with it.

    Parameters
    ----------
    folder : Path
        The study's output folder.
    say : callable
        Told, in a line, what each stage does.
    """

    folder: Path
    say: Callable[[str], None]
    _come_to: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    def stage(
        self, name: str, make: Callable[[], object], *, inputs: Mapping[str, Any], outputs: Sequence[str | Path]
    ) -> None:
        """Run a stage, unless what it made last time was made from the same and is still whole.

        The record is written after the outputs are in place: a run that is killed in between makes them again.

        Parameters
        ----------
        name : str
            What the stage is called.
        make : callable
            Writes the outputs. Where it returns a list of paths, these were written too, and are recorded as well.
        inputs : mapping
            Everything the outputs depend on: content hashes, parameters, seeds. The package's own code is added.
        outputs : sequence of str or Path
            The files that `make` writes, relative to the folder.

        Raises
        ------
        RuntimeError
            If a file is missing after the stage ran.
        ValueError
            If a link leads from the folder to another place.
        """
        self._come_to.add(name)
        self._bring_back(name)
        fingerprint = hash_content(code_hash(), inputs)
        if self._is_current(name, fingerprint):
            self.say(f"{name}: up to date")
            return
        for file in outputs:
            must_stay_inside(self.folder / file, self.folder)
        self.say(f"{name} ...")
        start = time.perf_counter()
        made = make()
        seconds = time.perf_counter() - start
        beyond = [Path(file).relative_to(self.folder) for file in made] if isinstance(made, list) else []
        outputs = list(dict.fromkeys(str(file) for file in (*outputs, *beyond)))
        missing = [str(file) for file in outputs if not (self.folder / file).is_file()]
        if missing:
            message = f"The stage {name!r} must write {missing}, but did not. Report this as a fault of rsa_face."
            raise RuntimeError(message)
        self._record(name, fingerprint, inputs, outputs, seconds)
        self.say(f"{name}: done in {seconds:.1f} s")

    def read(self) -> dict[str, Any]:
        """Return the manifest as it is on disk; empty where there is none.

        Returns
        -------
        dict
            Keys `stages`, `versions`.

        Raises
        ------
        ValueError
            If the file is damaged, or was changed by anything but a run.
        """
        path = self.folder / FILE
        if not path.is_file():
            return {"stages": {}}
        then = "Remove it, and run the study again: every stage is then made anew."
        found = read_json(path, "A manifest must be whole JSON", then=then)
        kept = unsealed(found, path, then=then) if isinstance(found, dict) else {}
        stages = kept.get("stages")
        if not (isinstance(stages, dict) and all(map(_is_entry, stages.values()))):
            message = f"A manifest must record stages with their outputs, but {str(path)!r} does not. {then}"
            raise ValueError(message)
        return kept

    def set_aside_rest(self) -> None:
        """Move the files of the stages that this run did not come to into ``set_aside``, and say so.

        A section, network or baseline that left the study file leaves files behind; in their place they would be
        read and drawn as the study's own. Nothing is lost: a stage that comes back finds its files again.
        """
        kept = self.read()
        stages: dict[str, Any] = kept["stages"]
        rest = [name for name in stages if name not in self._come_to]
        own = {file for name in stages if name in self._come_to for file in stages[name]["outputs"]}
        if any(not stages[name].get("aside") for name in rest):  # recorded first: a kill in between loses nothing
            marked = {name: {**entry, "aside": True} if name in rest else entry for name, entry in stages.items()}
            self._write({**kept, "stages": marked})
        for name in rest:
            files = [file for file in stages[name]["outputs"] if file not in own and (self.folder / file).is_file()]
            for file in files:
                self._move(file, Path(ASIDE) / file)
            if files:
                more = f" and {len(files) - _MOST_NAMED} more" if len(files) > _MOST_NAMED else ""
                named = ", ".join(files[:_MOST_NAMED])
                self.say(f"{name}: not in the study any more; {named}{more} moved to {self.folder / ASIDE}")

    def note(self, **facts: Any) -> None:
        """Keep facts about the study beside its stages.

        Parameters
        ----------
        **facts : object
            Plain values, fit for JSON; None takes a fact back.
        """
        kept = {**self.read(), **facts}
        self._write({name: fact for name, fact in kept.items() if fact is not None})

    def hash_of(self, file: str | Path) -> str:
        """Return the recorded hash of an output, for the stages that rest on it.

        Parameters
        ----------
        file : str or Path
            Relative to the folder.

        Returns
        -------
        str
            sha256.
        """
        for entry in self.read()["stages"].values():
            if str(file) in entry["outputs"] and not entry.get("aside"):
                return str(entry["outputs"][str(file)])
        return hash_file(self.folder / file)

    def _bring_back(self, name: str) -> None:
        kept = self.read()
        entry = kept["stages"].get(name)
        if entry is None or not entry.get("aside"):
            return
        taken = {file for one in kept["stages"].values() if not one.get("aside") for file in one["outputs"]}
        for file in entry["outputs"]:
            if file not in taken and (self.folder / ASIDE / file).is_file():
                self._move(Path(ASIDE) / file, file)
        back = {key: value for key, value in entry.items() if key != "aside"}
        self._write({**kept, "stages": {**kept["stages"], name: back}})

    def _is_current(self, name: str, fingerprint: str) -> bool:
        entry = self.read()["stages"].get(name)
        if entry is None or entry["fingerprint"] != fingerprint:
            return False
        files = {self.folder / file: kept for file, kept in entry["outputs"].items()}
        return all(path.is_file() and hash_file(path) == kept for path, kept in files.items())

    def _record(
        self, name: str, fingerprint: str, inputs: Mapping[str, Any], outputs: Sequence[str | Path], seconds: float
    ) -> None:
        entry = {
            "fingerprint": fingerprint,
            "inputs": dict(inputs),
            "outputs": {str(file): hash_file(self.folder / file) for file in outputs},
            "seconds": round(seconds, 2),
            "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        kept = self.read()
        before = kept["stages"].get(name, {"outputs": {}})
        stages = {**kept["stages"], name: entry}
        self._write({**kept, "versions": versions(), "stages": stages})
        now = {file for one in stages.values() for file in one["outputs"]}
        for file in before["outputs"]:
            if file not in now:  # written last time, from other inputs, and not by any stage since
                must_stay_inside(self.folder / file, self.folder)
                (self.folder / file).unlink(missing_ok=True)

    def _move(self, file: str | Path, to: str | Path) -> None:
        here, there = self.folder / file, self.folder / to
        must_stay_inside(here, self.folder)
        there.parent.mkdir(parents=True, exist_ok=True)
        must_stay_inside(there, self.folder)
        here.replace(there)
        folder = here.parent
        while not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent

    def _write(self, content: Mapping[str, Any]) -> None:
        with write_beside(self.folder / FILE) as beside:
            beside.write_text(json.dumps(sealed(content), indent=1) + "\n", "utf-8")


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("inputs"), dict):
        return False
    outputs = entry.get("outputs")
    if not (isinstance(outputs, dict) and all(isinstance(kept, str) for kept in outputs.values())):
        return False
    if any(Path(file).is_absolute() or ".." in Path(file).parts for file in outputs):
        return False  # they are moved and removed by these names
    return isinstance(entry.get("fingerprint"), str)
