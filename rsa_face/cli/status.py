"""``rsa-face status``: the studies under a folder, which stages are done, stale or missing, and how large."""

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

_UNITS = ("B", "kB", "MB", "GB", "TB")


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
    from rsa_face.safety import holder_of, lock_in, size_of
    from rsa_face.study.graph import FILE, Manifest, states_of

    studies = sorted(Path(here) for here, _, names in os.walk(folder) if {FILE, lock_in(Path()).name} & set(names))
    if not folder.is_dir():
        message = f"No such folder: {str(folder)!r}."
        raise FileNotFoundError(message)
    if not studies:
        message = f"No results of a study lie in {str(folder)!r}. Run one, or name another folder."
        raise FileNotFoundError(message)
    if as_json:
        states = {str(path): [asdict(stage) for stage in states_of(path)] for path in studies}
        print(json.dumps(states, indent=1))
        return
    for path in studies:
        print(f"{path}: {_named(Manifest(path, print).read())}, {in_words(size_of(path))}")
        holder = holder_of(lock_in(path))
        if holder:
            print(f"  being run by {holder}: what it is at is stale or missing until it is done")
        for stage in states_of(path):
            state = f"done {stage.finished}" if stage.state == "done" else f"{stage.state}: {stage.reason}"
            print(f"  {stage.name:<28} {in_words(stage.size):>8}  {state}")


def in_words(size: int) -> str:
    """Return a number of bytes as people say it.

    Examples
    --------
    >>> in_words(999), in_words(5_430_000)
    ('999 B', '5.4 MB')
    """
    value, step = float(size), 0
    while value >= 1000 and step < len(_UNITS) - 1:
        value, step = value / 1000, step + 1
    return f"{value:.0f} {_UNITS[step]}" if step == 0 else f"{value:.1f} {_UNITS[step]}"


def _named(record: Mapping[str, Any]) -> str:
    begun = record.get("begun")  # what a run that is not through noted of its study
    name = begun.get("name") if isinstance(begun, Mapping) else None
    return str(record.get("name", "unfinished study")) if name is None else f"{name}, unfinished"
