"""Compute many RDMs in one go: networks x seeds x occlusions x measures, each once, going on where it stopped."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, product
from pathlib import Path
from typing import Any

import xarray as xr

from rsa_face.activations.capture import resolve_device
from rsa_face.activations.extract import extract
from rsa_face.activations.streaming import stream_measures
from rsa_face.networks.zoo import build_network
from rsa_face.provenance import hash_content, hash_file, load, save
from rsa_face.rdms.dissimilarity import GRAM, compute_rdms
from rsa_face.schema import must_be_known
from rsa_face.stimuli.catalogue import StimulusSet


@dataclass(frozen=True)
class Unit:
    """One RDM file of a batch: one network, one seed, one occlusion, one measure.

    Parameters
    ----------
    network : str
        The architecture.
    weights : str
        ``random``, ``imagenet`` or a file.
    seed : int
        For the weights that start at random.
    occlusion : str
        A value of the factor `occlusion`, or ``all`` for all stimuli.
    measure : str
        What makes the RDM.
    """

    network: str
    weights: str
    seed: int
    occlusion: str
    measure: str

    @property
    def name(self) -> str:
        """The name of its file, without the ending."""
        return f"{self.network}-seed{self.seed}-{self.occlusion}-{self.measure}"


@dataclass(frozen=True)
class Batch:
    """Which RDMs to compute, of which stimuli, into which folder.

    Parameters
    ----------
    stimuli : StimulusSet
        All of them.
    folder : Path
        Where the RDMs go, one file a unit.
    networks : tuple of str
        Architectures.
    weights : str
        The same for all: ``random``, ``imagenet``, or a file.
    seeds : tuple of int
        One or more.
    occlusions : tuple of str
        Values of the factor `occlusion`; ``all`` for all stimuli together.
    measures : tuple of str
        One or more.
    layers : str or tuple of str
        ``main``, ``all``, or names.
    """

    stimuli: StimulusSet
    folder: Path
    networks: tuple[str, ...]
    weights: str = "random"
    seeds: tuple[int, ...] = (0,)
    occlusions: tuple[str, ...] = ("all",)
    measures: tuple[str, ...] = ("correlation",)
    layers: str | tuple[str, ...] = "main"

    def __post_init__(self) -> None:
        for measure in self.measures:
            must_be_known(measure, GRAM, "measure")
        for occlusion in self.occlusions:
            self.seen(occlusion)

    @property
    def units(self) -> list[Unit]:
        """Every unit once, those of one network, seed and occlusion together."""
        parts = (self.networks, self.seeds, self.occlusions, self.measures)
        every = [Unit(network, self.weights, seed, occlusion, measure)
                 for network, seed, occlusion, measure in product(*parts)]  # fmt: skip
        return list(dict.fromkeys(every))

    def seen(self, occlusion: str) -> StimulusSet:
        """Return the stimuli of one occlusion.

        Parameters
        ----------
        occlusion : str
            See `occlusions`.

        Returns
        -------
        StimulusSet
            In the table's order.

        Raises
        ------
        ValueError
            If there is no such factor, or no such stimulus.
        """
        return self.stimuli if occlusion == "all" else self.stimuli.select(occlusion=occlusion)

    def made_from(self, unit: Unit) -> str:
        """Return the hash of all that a unit's RDMs follow from.

        Parameters
        ----------
        unit : Unit
            Which.

        Returns
        -------
        str
            64 hexadecimal digits.
        """
        path = Path(unit.weights)
        weights = hash_file(path) if path.is_file() else unit.weights
        layers = self.layers if isinstance(self.layers, str) else list(self.layers)
        return hash_content(unit.name, weights, layers, self.seen(unit.occlusion).content_hash())


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
        If a name is unknown, a layer cannot be measured, or a cluster is to stream.
    """
    if stream and cluster is not None:
        message = f"A cluster must read activations from a store, but {cluster!r} is to stream. Leave one out."
        raise ValueError(message)
    resolve_device(device)
    units = batch.units
    for _, group in groupby(units, key=lambda unit: (unit.network, unit.seed, unit.occlusion)):
        together = list(group)
        missing = [unit for unit in together if not is_done(batch, unit)]
        for unit in together:
            if unit not in missing:
                tell(unit, file_of(batch, unit), False)
        made = _run(batch, missing, stream=stream, device=device, size=size, memory=memory, cluster=cluster)
        for unit, rdms in made if missing else ():
            labelled = rdms.assign_attrs(seed=unit.seed, occlusion=unit.occlusion, weights=unit.weights)
            path = save(labelled.assign_attrs(made_from=batch.made_from(unit)), file_of(batch, unit))
            tell(unit, path, True)
    return [file_of(batch, unit) for unit in units]


def is_done(batch: Batch, unit: Unit) -> bool:
    """Return whether a unit's file is there and made from the same stimuli, weights and layers.

    Parameters
    ----------
    batch : Batch
        The batch.
    unit : Unit
        One of its units.

    Returns
    -------
    bool
        False also where the file is damaged.
    """
    try:
        return bool(load(file_of(batch, unit)).attrs.get("made_from") == batch.made_from(unit))
    except (FileNotFoundError, ValueError):
        return False


def file_of(batch: Batch, unit: Unit) -> Path:
    """Return the file of a unit's RDMs.

    Parameters
    ----------
    batch : Batch
        The batch.
    unit : Unit
        One of its units.

    Returns
    -------
    Path
        In the batch's folder.
    """
    return batch.folder / f"{unit.name}.nc"


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


def _run(
    batch: Batch, units: Sequence[Unit], *, stream: bool, device: str, size: int, memory: float, cluster: str | None
) -> Iterator[tuple[Unit, xr.DataArray]]:
    first = units[0]
    network = build_network(first.network, weights=first.weights, seed=first.seed)
    stimuli = batch.seen(first.occlusion)
    if stream:
        measures = [unit.measure for unit in units]
        made: Mapping[str, Any] = stream_measures(
            [network], stimuli, measures, layers=batch.layers, device=device, batch=size, memory=memory
        )
        yield from ((unit, made[unit.measure]) for unit in units)
        return
    store = batch.folder / "stores" / f"{first.network}-seed{first.seed}-{first.occlusion}.zarr"
    tree = extract([network], stimuli, store, layers=batch.layers, device=device, batch=size, cluster=cluster)
    for unit in units:
        yield unit, compute_rdms(tree, measure=unit.measure, memory=memory, cluster=cluster)
