"""The units of a batch of RDMs: each network with each seed, occlusion and measure, and what it is made from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product, starmap
from pathlib import Path

from rsa_face.networks.architectures import ARCHITECTURES
from rsa_face.networks.zoo import Network, build_network
from rsa_face.provenance import hash_content, hash_file, load
from rsa_face.rdms.dissimilarity import GRAM
from rsa_face.schema import must_be_known, repeated
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.untrusted import must_be_file_names


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
    """

    name: str
    seed: int
    weights: str
    identity: str
    build: Callable[[], Network]


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
    layers : str or tuple of str
        ``main``, ``all``, or names.
    """

    stimuli: StimulusSet
    folder: Path
    networks: tuple[Source, ...]
    occlusions: tuple[str, ...] = ("all",)
    measures: tuple[str, ...] = ("correlation",)
    layers: str | tuple[str, ...] = "main"

    def __post_init__(self) -> None:
        for measure in self.measures:
            must_be_known(measure, GRAM, "measure")
        for occlusion in self.occlusions:
            self.seen(occlusion)
        names = [part for unit in self.units for part in (unit.network.name, unit.occlusion)]
        must_be_file_names(names, "network or occlusion", "the batch")
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
        return hash_content(unit.name, unit.network.identity, layers, self.seen(unit.occlusion).content_hash())


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
        must_be_known(name, ARCHITECTURES, "network")
    return tuple(
        Source(name, seed, weights, identity, partial(build_network, name, weights=weights, seed=seed))
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
    return batch.folder / f"{unit.name}.nc"


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
