"""The units of a batch of RDMs: each network with each seed, occlusion and measure, and what it is made from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import product, starmap
from pathlib import Path

from rsa_face.networks.zoo import Network, build_network
from rsa_face.provenance import hash_content, hash_file, load
from rsa_face.rdms.measures import GENERAL, check_measures, measures_among
from rsa_face.safety import must_be_file_names, path_in
from rsa_face.schema import MEASURES, NETWORKS, layer_names, must_be_known, repeated
from rsa_face.stimuli.catalogue import StimulusSet


@dataclass(frozen=True)
class Source:
    """A network of a batch, built only when one of its units must be computed.

    Parameters
    ----------
    name : str
        What its files are called.
    seed : int
        For the weights that start at random.
    weights : str
        Where they come from.
    identity : str
        A hash or a name of all that the network follows from, but for name and seed.
    build : callable
        Returns the network.
    layers : tuple of (str, str)
        What the network is called in arrays, with each of its layers' names; known before it is built.
    """

    name: str
    seed: int
    weights: str
    identity: str
    build: Callable[[], Network]
    layers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Unit:
    """One RDM file of a batch: one network, one seed, one occlusion, one measure.

    Parameters
    ----------
    network : Source
        The network, of one seed.
    occlusion : str
        A value of the factor `occlusion`, or ``all`` for all stimuli.
    measure : str
        What makes the RDM.
    """

    network: Source
    occlusion: str
    measure: str

    @property
    def name(self) -> str:
        """The name of its file, without the ending."""
        return f"{self.network.name}-seed{self.network.seed}-{self.occlusion}-{self.measure}"


@dataclass(frozen=True)
class Batch:
    """Which RDMs to compute, of which stimuli, into which folder.

    Parameters
    ----------
    stimuli : StimulusSet
        All of them.
    folder : Path
        Where the RDMs go, one file a unit.
    networks : tuple of Source
        From `sources_of`, or of a study.
    occlusions : tuple of str
        Values of the factor `occlusion`; ``all`` for all stimuli together.
    measures : tuple of str
        One or more.
    by_layer : mapping of str to str
        Layers with a measure of their own in every unit, as for `rsa_face.rdms.measures.measure_of`.
    layers : str or tuple of str
        ``main``, ``all``, or names.
    """

    stimuli: StimulusSet
    folder: Path
    networks: tuple[Source, ...]
    occlusions: tuple[str, ...] = ("all",)
    measures: tuple[str, ...] = ("correlation",)
    by_layer: Mapping[str, str] = field(default_factory=dict)
    layers: str | tuple[str, ...] = "main"

    def __post_init__(self) -> None:
        single = [name for name, row in MEASURES.items() if not row.repeated]
        for measure in [*self.measures, *self.by_layer.values()]:
            must_be_known(measure, single, "measure")
        check_measures(self.by_layer, [pair for source in self.networks for pair in source.layers])
        for occlusion in self.occlusions:
            self.seen(occlusion)
        must_be_file_names([unit.name for unit in self.units], "network or occlusion", "the batch")
        twice = repeated([f"{source.name} of seed {source.seed}" for source in self.networks])
        if twice:
            message = f"Each network of a batch must differ in name or seed, but {twice} stand there more than once."
            raise ValueError(message)

    @property
    def units(self) -> list[Unit]:
        """Every unit once, those of one network, seed and occlusion together."""
        return list(dict.fromkeys(starmap(Unit, product(self.networks, self.occlusions, self.measures))))

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

    def measure_of(self, unit: Unit) -> dict[str, str]:
        """Return what makes a unit's RDMs: its measure, and those of the layers that have one of their own."""
        return measures_among({**self.by_layer, GENERAL: unit.measure}, unit.network.layers)

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
        layers = self.layers if isinstance(self.layers, str) else list(self.layers)
        rows = {name: row.definition for name, row in MEASURES.items()}  # a measure that changes makes other RDMs
        measures = [self.measure_of(unit), rows]
        return hash_content(
            unit.name, unit.network.identity, layers, self.seen(unit.occlusion).content_hash(), measures
        )


def sources_of(
    networks: Sequence[str], seeds: Sequence[int] = (0,), *, weights: str = "random"
) -> tuple[Source, ...]:
    """Return the networks of a batch: every architecture with every seed, once.

    Parameters
    ----------
    networks : sequence of str
        Architectures.
    seeds : sequence of int
        For the weights that start at random.
    weights : str
        The same for all: ``random``, ``imagenet``, or a file.

    Returns
    -------
    tuple of Source
        Not built yet.

    Raises
    ------
    ValueError
        If an architecture is unknown.
    """
    identity = hash_file(Path(weights)) if Path(weights).is_file() else weights
    each = dict.fromkeys(product(networks, seeds))
    for name, _ in each:
        must_be_known(name, NETWORKS, "network")
    return tuple(
        Source(
            name,
            seed,
            weights,
            identity,
            partial(build_network, name, weights=weights, seed=seed),
            tuple((name, layer) for layer in layer_names(name, ["pool5"] if name == "fe_alexnet" else [])),
        )
        for name, seed in each
    )


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
    return is_made_from(file_of(batch, unit), batch.made_from(unit))


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
    return path_in(batch.folder, unit.name, "The batch's unit", suffix=".nc")


def is_made_from(file: Path, wanted: str) -> bool:
    """Return whether a file of RDMs is there, whole, and made from what is wanted.

    Parameters
    ----------
    file : Path
        A unit's file.
    wanted : str
        From `Batch.made_from`.

    Returns
    -------
    bool
        False also where the file is damaged.
    """
    try:
        return bool(load(file).attrs.get("made_from") == wanted)
    except (FileNotFoundError, ValueError):
        return False
