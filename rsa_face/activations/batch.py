"""Compute many RDMs in one go: networks x seeds x occlusions x measures, each once, going on where it stopped."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from pathlib import Path
from typing import Any

import xarray as xr

from rsa_face.activations.capture import resolve_device
from rsa_face.activations.extract import extract
from rsa_face.activations.store import lock_of
from rsa_face.activations.streaming import stream_measures
from rsa_face.activations.units import Batch, Unit, file_of, is_done, is_made_from
from rsa_face.files import write_beside
from rsa_face.holding import hold
from rsa_face.provenance import load, save
from rsa_face.rdms.measures import compute_rdms, measures_among
from rsa_face.safety import fault_of_name, path_in
from rsa_face.untrusted import read_json

UNITS = "units.json"


def compute_batch(
    batch: Batch,
    *,
    stream: bool = True,
    device: str = "auto",
    size: int = 32,
    memory: float = 3.0,
    cluster: str | None = None,
    tell: Callable[[Unit, Path, bool], None] = lambda *_: None,
) -> list[Path]:
    """Compute every RDM of a batch that its folder lacks.

    Parameters
    ----------
    batch : Batch
        What to compute.
    stream : bool
        Whether to store no activations; if not, the stores lie in the folder's ``stores``.
    device : str
        ``auto``, ``cpu`` or ``cuda``.
    size : int
        Stimuli run at once.
    memory : float
        GiB of activations held, see `stream_rdms` and `compute_rdms`.
    cluster : str, optional
        ``local:N`` or ``tcp://HOST:PORT``; with stores only.
    tell : callable
        Called after each unit with the unit, its file, and whether it was computed now.

    Returns
    -------
    list of Path
        The files of all units.

    Raises
    ------
    ValueError
        If a name is unknown, a layer cannot be measured, a cluster is to stream, or another process writes to the
        folder.
    """
    if stream and cluster is not None:
        message = f"A cluster must read activations from a store, but {cluster!r} is to stream. Leave one out."
        raise ValueError(message)
    resolve_device(device)
    given, batch = batch, replace(batch, folder=batch.folder.absolute())
    units = batch.units
    with hold(batch.folder, lock_of(batch.folder), must="A folder of RDMs must be written by one process at a time"):
        _note_units(batch)
        for _, group in groupby(units, key=lambda unit: (unit.network, unit.occlusion)):
            together = list(group)
            missing = [unit for unit in together if not is_done(batch, unit)]
            for unit in together:
                if unit not in missing:
                    tell(unit, file_of(given, unit), False)
            made = _run(batch, missing, stream=stream, device=device, size=size, memory=memory, cluster=cluster)
            for unit, rdms in made if missing else ():
                source = unit.network
                labelled = rdms.assign_attrs(seed=source.seed, occlusion=unit.occlusion, weights=source.weights)
                save(labelled.assign_attrs(made_from=batch.made_from(unit)), file_of(batch, unit))
                tell(unit, file_of(given, unit), True)
    return [file_of(given, unit) for unit in units]


def describe_batch(folder: str | Path) -> dict[str, bool]:
    """Say which units a batch has and which are done, by its folder alone.

    Parameters
    ----------
    folder : str or Path
        A folder that `compute_batch` wrote to, finished or not.

    Returns
    -------
    dict of str to bool
        By unit name: whether its file is there, whole, and made from what the last batch asked for.

    Raises
    ------
    FileNotFoundError
        If the folder is no batch's.
    """
    file = Path(folder) / UNITS
    if not file.is_file():
        message = f"A batch's folder must hold {UNITS}, but {str(folder)!r} does not. Run rsa-face rdms first."
        raise FileNotFoundError(message)
    noted = _noted_in(file)
    return {name: is_made_from(Path(folder) / f"{name}.nc", wanted) for name, wanted in noted.items()}


def load_batch(folder: str | Path) -> dict[str, xr.DataArray]:
    """Read all RDMs of a folder that a batch wrote.

    Parameters
    ----------
    folder : str or Path
        The folder.

    Returns
    -------
    dict of str to DataArray, dims (rdm, stimulus_i, stimulus_j)
        By unit name, ``alexnet-seed0-none-correlation``, sorted.

    Raises
    ------
    FileNotFoundError
        If there are no RDMs.
    """
    files = sorted(Path(folder).glob("*.nc"))
    if not files:
        message = f"A batch's folder must hold RDMs (*.nc), but {str(folder)!r} holds none. Run rsa-face rdms first."
        raise FileNotFoundError(message)
    return {file.stem: xr.DataArray(load(file)) for file in files}


def _noted_in(file: Path) -> dict[str, str]:
    then = "Remove it: rsa-face rdms notes its units anew."
    noted = read_json(file, "A batch's list of units must be whole JSON", then=then)
    if not isinstance(noted, dict) or not all(
        isinstance(noted[name], str) and not fault_of_name(name) for name in noted
    ):
        message = f"A batch's list must name its units, but {str(file)!r} does not. {then}"
        raise ValueError(message)
    return noted


def _note_units(batch: Batch) -> None:
    file = batch.folder / UNITS
    noted = _noted_in(file) if file.is_file() else {}
    noted |= {unit.name: batch.made_from(unit) for unit in batch.units}
    with write_beside(file) as beside:
        beside.write_text(json.dumps(noted, indent=1) + "\n", "utf-8")


def _run(
    batch: Batch, units: Sequence[Unit], *, stream: bool, device: str, size: int, memory: float, cluster: str | None
) -> Iterator[tuple[Unit, xr.DataArray]]:
    first = units[0]
    network = first.network.build()
    stimuli = batch.seen(first.occlusion)
    if stream:
        measures = [unit.measure for unit in units]
        made: Mapping[str, Any] = stream_measures(
            [network],
            stimuli,
            measures,
            by_layer=measures_among(batch.by_layer, first.network.layers),
            layers=batch.layers,
            device=device,
            batch=size,
            memory=memory,
        )
        yield from ((unit, made[unit.measure]) for unit in units)
        return
    called = f"{first.network.name}-seed{first.network.seed}-{first.occlusion}"
    store = path_in(batch.folder / "stores", called, "The batch's store", suffix=".zarr")
    tree = extract([network], stimuli, store, layers=batch.layers, device=device, batch=size, cluster=cluster)
    for unit in units:
        yield unit, compute_rdms(tree, measure=batch.measure_of(unit), memory=memory, cluster=cluster)
