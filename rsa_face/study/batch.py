"""Many RDMs in one go: networks x seeds x occlusions x measures, each once, going on where it stopped."""

import json
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby, product, starmap
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr

from rsa_face.activations.capture import resolve_device
from rsa_face.activations.extract import Options, extract
from rsa_face.activations.store import lock_of
from rsa_face.activations.stream import stream_measures
from rsa_face.memory import bytes_of
from rsa_face.networks.reference import known_layers
from rsa_face.networks.zoo import Network, build_network
from rsa_face.provenance import hash_content, hash_file, load, save
from rsa_face.rdms.measures import (
    GENERAL,
    check_measures,
    compute_rdms,
    general_measure,
    layers_with_their_own,
    measures_among,
    must_hold_rdms,
)
from rsa_face.safety import (
    fault_of_name,
    hold,
    lock_in,
    must_be_file_names,
    one_part,
    path_in,
    read_json,
    write_beside,
)
from rsa_face.schema import MEASURES, is_reference, label_of, layer_names, must_be_known, must_be_network, repeated
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.study.config import NetworkSection, Study, layers_of, networks_of
from rsa_face.study.graph import Run, make_stages, start_run
from rsa_face.study.networks import build

log = logging.getLogger(__name__)
BATCH = "batch"
UNITS = "units.json"
INDEX = "index.csv"


@dataclass(frozen=True)
class Source:
    """A network of a batch, built only when one of its units must be computed."""

    name: str
    seed: int
    weights: str
    identity: str
    build: Callable[[], Network]
    layers: tuple[tuple[str, str], ...] = ()
    recorded: str | tuple[str, ...] | None = None  # in place of the batch's layers


@dataclass(frozen=True)
class Unit:
    """One RDM file of a batch: one network, one seed, one occlusion, one measure."""

    network: Source
    occlusion: str
    measure: str

    @property
    def name(self) -> str:
        """The name of its file, without the ending."""
        return f"{self.network.name}-seed{self.network.seed}-{self.occlusion}-{self.measure}"


@dataclass(frozen=True)
class Batch:
    """Which RDMs to compute, of which stimuli, into which folder."""

    stimuli: StimulusSet
    folder: Path
    networks: tuple[Source, ...]
    occlusions: tuple[str, ...] = ("all",)
    measures: tuple[str, ...] = ("correlation",)
    by_layer: Mapping[str, str] = field(default_factory=dict)
    layers: str | tuple[str, ...] = "main"
    pool: str = "none"

    def __post_init__(self) -> None:
        single = [name for name, row in MEASURES.items() if not row.repeated]
        for measure in [*self.measures, *self.by_layer.values()]:
            must_be_known(measure, single, "measure")
        if all(source.layers for source in self.networks):  # those of a callable's network are known when it is built
            check_measures(self.by_layer, [pair for source in self.networks for pair in source.layers])
        for occlusion in self.occlusions:
            self.seen(occlusion)
        must_be_file_names([unit.name for unit in self.units], "network or occlusion", "the batch")
        twice = repeated([f"{source.name} of seed {source.seed}" for source in self.networks])
        if twice:
            message = f"The batch lists {twice} more than once. Give each network another name or seed."
            raise ValueError(message)

    @property
    def units(self) -> list[Unit]:
        """Every unit once, those of one network, seed and occlusion together."""
        return list(dict.fromkeys(starmap(Unit, product(self.networks, self.occlusions, self.measures))))

    def seen(self, occlusion: str) -> StimulusSet:
        """Return the stimuli of one occlusion."""
        return self.stimuli if occlusion == "all" else self.stimuli.select(occlusion=occlusion)

    def layers_of(self, source: Source) -> str | list[str]:
        """Return which layers of a network are recorded."""
        layers = source.recorded or self.layers
        return layers if isinstance(layers, str) else list(layers)

    def measure_of(self, unit: Unit) -> dict[str, str]:
        """Return what makes a unit's RDMs: its measure, and those of the layers that have one of their own."""
        return _measures_among({**self.by_layer, GENERAL: unit.measure}, unit.network)

    def made_from(self, unit: Unit) -> str:
        """Return the hash of all that a unit's RDMs follow from."""
        layers = self.layers_of(unit.network)
        rows = {name: row.definition for name, row in MEASURES.items()}  # a measure that changes makes other RDMs
        measures = [self.measure_of(unit), rows]
        pooled = [] if self.pool == "none" else [self.pool]
        return hash_content(
            unit.name, unit.network.identity, layers, self.seen(unit.occlusion).content_hash(), measures, *pooled
        )


def sources_of(
    networks: Sequence[str], seeds: Sequence[int] = (0,), *, weights: str | None = None
) -> tuple[Source, ...]:
    """Return the networks of a batch: every architecture with every seed, once."""
    identity = hash_file(Path(weights)) if weights and Path(weights).is_file() else weights or "random"
    each = dict.fromkeys(product(networks, seeds))
    for name, _ in each:
        must_be_network(name)
    return tuple(
        Source(
            label_of(name),
            seed,
            weights or "random",
            identity,
            partial(build_network, name, weights=weights, seed=seed),
            tuple((label_of(name), layer) for layer in _layer_names(name)),
        )
        for name, seed in each
    )


def _measures_among(measures: Mapping[str, str], source: Source) -> dict[str, str]:
    return measures_among(measures, source.layers) if source.layers else dict(measures)


def _layer_names(name: str) -> list[str]:
    return known_layers(name) if is_reference(name) else layer_names(name, ["pool5"] if name == "fe_alexnet" else [])


def is_done(batch: Batch, unit: Unit) -> bool:
    """Return whether a unit's file is there and made from the same stimuli, weights and layers."""
    return is_made_from(file_of(batch, unit), batch.made_from(unit))


def file_of(batch: Batch, unit: Unit) -> Path:
    """Return the file of a unit's RDMs."""
    return path_in(batch.folder, unit.name, "The batch's unit", suffix=".nc")


def is_made_from(file: Path, wanted: str) -> bool:
    """Return whether a file of RDMs is there, whole, and made from what is wanted."""
    try:
        return bool(load(file).attrs.get("made_from") == wanted)
    except (FileNotFoundError, ValueError):
        return False


def compute_batch(
    batch: Batch,
    *,
    stream: bool = True,
    device: str = "auto",
    size: int = 32,
    memory: float = 3.0,
    cluster: str | None = None,
    progress: bool = False,
    tell: Callable[[Unit, Path, bool], None] = lambda *_: None,
) -> list[Path]:
    """Compute every RDM of a batch that its folder lacks."""
    if stream and cluster is not None:
        message = (
            f"The workers of {cluster!r} cannot stream: they read activations from a store. Leave out one of the two."
        )
        raise ValueError(message)
    resolve_device(device)
    given, batch = batch, replace(batch, folder=batch.folder.absolute())
    units = batch.units
    with hold(batch.folder, lock_of(batch.folder), rule="A folder of RDMs is written by one process at a time"):
        _note_units(batch)
        for _, group in groupby(units, key=lambda unit: (unit.network, unit.occlusion)):
            together = list(group)
            missing = [unit for unit in together if not is_done(batch, unit)]
            for unit in together:
                if unit not in missing:
                    tell(unit, file_of(given, unit), False)
            how: dict[str, Any] = {"device": device, "batch": size, "progress": progress}
            made = _run(batch, missing, how, stream=stream, memory=memory, cluster=cluster)
            for unit, rdms in made if missing else ():
                source = unit.network
                labelled = rdms.assign_attrs(seed=source.seed, occlusion=unit.occlusion, weights=source.weights)
                save(labelled.assign_attrs(made_from=batch.made_from(unit)), file_of(batch, unit))
                tell(unit, file_of(given, unit), True)
        _write_index(batch)
    return [file_of(given, unit) for unit in units]


def describe_batch(folder: str | Path) -> dict[str, bool]:
    """Say which units a batch has and which are done, by its folder alone."""
    file = Path(folder) / UNITS
    if not file.is_file():
        message = f"{str(folder)!r} is not the folder of a batch: it has no {UNITS}. Run rsa-face rdms first."
        raise FileNotFoundError(message)
    noted = _noted_in(file)
    return {name: is_made_from(Path(folder) / f"{name}.nc", wanted) for name, wanted in noted.items()}


def load_batch(folder: str | Path) -> dict[str, xr.DataArray]:
    """Read all RDMs of a folder that a batch wrote."""
    files = sorted(Path(folder).glob("*.nc"))
    if not files:
        message = f"{str(folder)!r} holds no RDMs (*.nc). Run rsa-face rdms first."
        raise FileNotFoundError(message)
    return {file.stem: xr.DataArray(load(file)) for file in files}


def _noted_in(file: Path) -> dict[str, str]:
    then = "Remove it: rsa-face rdms writes it again."
    noted = read_json(file, "A batch's list of units is JSON", then=then)
    if not isinstance(noted, dict) or not all(
        isinstance(noted[name], str) and not fault_of_name(name) for name in noted
    ):
        message = f"{str(file)!r} does not list the units of a batch. {then}"
        raise ValueError(message)
    return noted


def _note_units(batch: Batch) -> None:
    file = batch.folder / UNITS
    noted = _noted_in(file) if file.is_file() else {}
    noted |= {unit.name: batch.made_from(unit) for unit in batch.units}
    with write_beside(file) as beside:
        beside.write_text(json.dumps(noted, indent=1) + "\n", "utf-8")


def _write_index(batch: Batch) -> None:
    """Write a table of the batch's files beside them, for programs that read no JSON; earlier rows stay."""
    file = batch.folder / INDEX
    rows = {} if not file.is_file() else {str(row["file"]): row for row in pd.read_csv(file).to_dict("records")}
    for unit in batch.units:
        rows[file_of(batch, unit).name] = {
            "file": file_of(batch, unit).name, "network": unit.network.name, "seed": unit.network.seed,
            "weights": unit.network.weights, "occlusion": unit.occlusion, "measure": unit.measure,
            "stimuli": len(batch.seen(unit.occlusion)),
        }  # fmt: skip
    with write_beside(file) as beside:
        pd.DataFrame([rows[name] for name in sorted(rows)]).to_csv(beside, index=False, lineterminator="\n")


def _run(
    batch: Batch, units: Sequence[Unit], how: dict[str, Any], *, stream: bool, memory: float, cluster: str | None
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
            by_layer=_measures_among(batch.by_layer, first.network),
            layers=batch.layers_of(first.network),
            pool=batch.pool,
            memory=memory,
            **how,
        )
        yield from ((unit, made[unit.measure]) for unit in units)
        return
    called = f"{first.network.name}-seed{first.network.seed}-{first.occlusion}"
    store = path_in(batch.folder / "stores", called, "The batch's store", suffix=".zarr")
    layers = batch.layers_of(first.network)
    options = Options(pool=batch.pool)
    must_hold_rdms(len(stimuli), len(network.select(layers)), bytes_of(memory) / 2**30)  # before hours of extraction
    tree = extract([network], stimuli, store, layers=layers, options=options, cluster=cluster, **how)
    for unit in units:
        yield unit, compute_rdms(tree, measure=batch.measure_of(unit), memory=memory, cluster=cluster)


def batch_of(
    study: Study,
    *,
    folder: Path | None = None,
    measures: Sequence[str] = (),
    by_layer: Mapping[str, str] | None = None,
    progress: bool = False,
    say: Callable[[str], None] = log.info,
) -> Batch:
    """Return the RDMs that a study asks for: its networks and seeds, each occlusion by itself, each measure.

    The study's faces are masked and its networks trained first, where it says so and that is still to be done. RDMs
    go to ``batch`` in its output folder, by its own measures, unless others are given; `by_layer` adds to its own.
    """
    with hold(study.output, lock_in(study.output), rule="A study is run by one process at a time"):
        run = start_run(study, progress=progress, say=say)
        make_stages(run, ("training of {network}",))
    masked = "occlusion" in run.stimuli.table.columns
    occlusions = tuple(dict.fromkeys(run.stimuli.table["occlusion"].astype(str))) if masked else ("all",)
    return Batch(
        stimuli=run.stimuli,
        folder=folder or study.output / BATCH,
        networks=tuple(_source(run, section) for section in networks_of(study)),
        occlusions=occlusions,
        measures=tuple(measures) or (general_measure(study.rdms.measure),),
        by_layer=layers_with_their_own(study.rdms.measure) | dict(by_layer or {}),
        layers=study.activations.layers,
        pool=study.activations.pool,
    )


def _source(run: Run, section: NetworkSection) -> Source:
    trained = run.manifest.outputs()[section.trained_file] if run.study.training else None
    weights = hash_file(section.weights) if section.has_file else section.weights
    identity = hash_content({"network": section.model_dump(mode="json"), "weights": weights}, trained)
    name = one_part(section.called)
    layers = tuple((section.called, layer) for layer in section.layer_names)
    recorded = layers_of(run.study, section)
    return Source(
        name, section.seed, section.weights, identity, partial(build, run, section), layers,
        recorded if isinstance(recorded, str) else tuple(recorded),
    )  # fmt: skip
