"""The manifest of a run: what each stage was made from, and whether it must be made again."""

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rsa_face.provenance import code_hash, hash_content, hash_file, versions, write_beside
from rsa_face.untrusted import must_stay_inside, read_json

FILE = "manifest.json"


@dataclass(frozen=True)
class Manifest:
    """The record of a study's stages, in ``manifest.json`` of its output folder.

    Parameters
    ----------
    folder : Path
        The study's output folder.
    say : callable
        Told, in a line, what each stage does.
    """

    folder: Path
    say: Callable[[str], None]

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
            Writes the outputs.
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
        fingerprint = hash_content(code_hash(), inputs)
        if self._is_current(name, fingerprint):
            self.say(f"{name}: up to date")
            return
        for file in outputs:
            must_stay_inside(self.folder / file, self.folder)
        self.say(f"{name} ...")
        start = time.perf_counter()
        make()
        seconds = time.perf_counter() - start
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
            If the file is damaged.
        """
        path = self.folder / FILE
        if not path.is_file():
            return {"stages": {}}
        then = "Remove it, and run the study again: every stage is then made anew."
        kept: Any = read_json(path, "A manifest must be whole JSON", then=then)
        stages = kept.get("stages") if isinstance(kept, dict) else None
        if not (isinstance(stages, dict) and all(map(_is_entry, stages.values()))):
            message = f"A manifest must record stages with their outputs, but {str(path)!r} does not. {then}"
            raise ValueError(message)
        return dict(kept)

    def note(self, **facts: Any) -> None:
        """Keep facts about the study beside its stages.

        Parameters
        ----------
        **facts : object
            Plain values, fit for JSON.
        """
        self._write({**self.read(), **facts})

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
            if str(file) in entry["outputs"]:
                return str(entry["outputs"][str(file)])
        return hash_file(self.folder / file)

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
        self._write({**kept, "versions": versions(), "stages": {**kept["stages"], name: entry}})

    def _write(self, content: Mapping[str, Any]) -> None:
        with write_beside(self.folder / FILE) as beside:
            beside.write_text(json.dumps(content, indent=1, default=str) + "\n", "utf-8")


def _is_entry(entry: Any) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("inputs"), dict):
        return False
    outputs = entry.get("outputs")
    named = isinstance(outputs, dict) and all(isinstance(kept, str) for kept in outputs.values())
    return named and isinstance(entry.get("fingerprint"), str)
