"""``rsa-face status``: the studies under a folder, which stages are done, stale or missing, and how large."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

_UNITS = ("B", "kB", "MB", "GB", "TB")


@dataclass(frozen=True)
class StageState:
    """How a stage of a study stands.

    Parameters
    ----------
    name : str
        The stage.
    state : str
        ``done``, ``stale`` (made from something that has changed since), ``missing`` (a file is gone, or it has not
        been run) or ``aside`` (the study has it no more).
    reason : str
        Why it is not done; empty if it is.
    finished : str
        When it was last done.
    size : int
        Of its files, in bytes.
    """

    name: str
    state: str
    reason: str
    finished: str
    size: int


def status(
    folder: Annotated[Path, typer.Argument(help="A folder with studies' results, or an activation store.")] = Path(
        "results"
    ),
    as_json: Annotated[bool, typer.Option("--json", help="For another program to read.")] = False,
) -> None:
    """Show what is there: each study's stages and sizes, or an activation store's networks."""
    if (folder / "zarr.json").is_file():
        from rsa_face.cli.activations import show_command

        show_command(folder)
        return
    if (folder / "units.json").is_file():
        from rsa_face.activations.batch import describe_batch

        units = describe_batch(folder)
        for name, done in units.items():
            print(f"{'done' if done else 'to do':<6} {name}")
        print(f"{sum(units.values())} of {len(units)} done")
        return
    from rsa_face.files import size_of
    from rsa_face.holding import holder_of, lock_in
    from rsa_face.study.manifest import FILE, Manifest

    found = sorted(Path(here) for here, _, names in os.walk(folder) if {FILE, lock_in(Path()).name} & set(names))
    if not folder.is_dir():
        message = f"A folder must exist to have a state, but there is no folder {str(folder)!r}. Check the path."
        raise FileNotFoundError(message)
    if not found:
        message = f"A folder must hold a study's results to have a state, but {str(folder)!r} holds none. Run one."
        raise FileNotFoundError(message)
    if as_json:
        studies = {str(path): [asdict(stage) for stage in stages_of(path)] for path in found}
        print(json.dumps(studies, indent=1))
        return
    for path in found:
        print(f"{path}: {_named(Manifest(path, print).read())}, {in_words(size_of(path))}")
        holder = holder_of(lock_in(path))
        if holder:
            print(f"  being run by {holder}: what it is at is stale or missing until it is done")
        for stage in stages_of(path):
            said = f"done {stage.finished}" if stage.state == "done" else f"{stage.state}: {stage.reason}"
            print(f"  {stage.name:<28} {in_words(stage.size):>8}  {said}")


def stages_of(folder: Path) -> list[StageState]:
    """Return how each stage of a study stands.

    A stage is stale if the package's code, a file or image it read, or a stage it rests on has changed since.

    Parameters
    ----------
    folder : Path
        The study's output folder, with its ``manifest.json``.

    Returns
    -------
    list of StageState
        In the order they were done, and then those that a run which was stopped has yet to come to.

    Raises
    ------
    ValueError
        If the manifest is damaged.
    """
    from rsa_face.study.manifest import ASIDE, Manifest

    kept = Manifest(folder, print).read()
    images = _hashes_of_stimuli(folder, kept.get("study"))
    behind: dict[str, str] = {}
    stages = []
    for name, entry in kept["stages"].items():
        state, reason = _judged(folder, entry, images, behind)
        if state in ("stale", "missing"):
            behind |= dict.fromkeys(entry["outputs"].values(), name)
        place = folder / ASIDE if state == "aside" else folder
        size = sum(_size_of(place / file) for file in entry["outputs"])
        stages.append(StageState(name, state, reason, str(entry.get("finished", "")), size))
    to_come = [name for name in _begun(kept).get("stages", ()) if name not in kept["stages"]]
    return [*stages, *(StageState(str(name), "missing", "not run yet", "", 0) for name in to_come)]


def in_words(size: int) -> str:
    """Return a number of bytes as people say it.

    Parameters
    ----------
    size : int
        Bytes.

    Returns
    -------
    str
        With its unit.

    Examples
    --------
    >>> in_words(999), in_words(5_430_000)
    ('999 B', '5.4 MB')
    """
    value, step = float(size), 0
    while value >= 1000 and step < len(_UNITS) - 1:
        value, step = value / 1000, step + 1
    return f"{value:.0f} {_UNITS[step]}" if step == 0 else f"{value:.1f} {_UNITS[step]}"


def _named(kept: Mapping[str, Any]) -> str:
    begun = _begun(kept).get("name")
    return str(kept.get("name", "unfinished study")) if begun is None else f"{begun}, unfinished"


def _begun(kept: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what a run that is not through noted of its study; empty for a finished one."""
    begun = kept.get("begun")
    return begun if isinstance(begun, Mapping) else {}


def _judged(folder: Path, entry: Mapping[str, Any], images: set[str], behind: Mapping[str, str]) -> tuple[str, str]:
    from rsa_face.provenance import code_hash, hash_content, hash_file

    if entry.get("aside"):
        return "aside", "not in the study any more; its files lie in set_aside"
    now = {file: _hash_of(folder / file) for file in entry["outputs"]}
    gone = [file for file, found in now.items() if found is None]
    if gone:
        return "missing", f"no {', '.join(gone)}"
    written = [file for file, kept in entry["outputs"].items() if now[file] != kept]
    if written:
        return "stale", f"{', '.join(written)} is not what the stage wrote"
    rests_on = set(_words(entry["inputs"]))
    before = sorted({name for digest, name in behind.items() if digest in rests_on})
    if before:
        return "stale", f"rests on {', '.join(before)}"
    files = [Path(word) for word in rests_on if word.startswith("/") and Path(word).is_file()]
    changed = sorted(str(file) for file in files if hash_file(file) not in rests_on)
    if changed:
        return "stale", f"{', '.join(changed)} has changed"
    if images and entry["inputs"].get("stimuli", next(iter(images))) not in (None, *images):
        return "stale", "the stimuli have changed"
    if hash_content(code_hash(), entry["inputs"]) != entry["fingerprint"]:
        return "stale", "made by another version of rsa_face"
    return "done", ""


# A study that is being run moves and removes files while they are looked at.
def _hash_of(file: Path) -> str | None:
    from rsa_face.provenance import hash_file

    try:
        return hash_file(file)
    except FileNotFoundError:
        return None


def _size_of(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from _words(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _words(part)


def _hashes_of_stimuli(folder: Path, study: Any) -> set[str]:
    """Return what a stage may have recorded of the stimuli: the table, or all that is shown, masked ones too."""
    from rsa_face.stimuli.catalogue import read_stimuli

    stimuli = study.get("stimuli") if isinstance(study, dict) else None
    table = str(stimuli.get("table") or "") if isinstance(stimuli, dict) else ""
    if not table:
        return set()
    try:
        return {read_stimuli(file).content_hash() for file in (Path(table), folder / "stimuli.csv")}
    except (ValueError, OSError) as error:
        return {f"unreadable: {error}"}
