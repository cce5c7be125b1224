"""How the networks of a study are built: from their start, or as they were trained."""

from collections.abc import Iterator

from rsa_face.networks.zoo import Network, build_network
from rsa_face.study.config import networks_of
from rsa_face.study.graph import Run
from rsa_face.study.sections import NetworkSection


def build(run: Run, section: NetworkSection) -> Network:
    """Build a network of a study: as it was trained, if the study trains; else as its section says."""
    training = run.study.training
    if training is None:
        return build_start(section)
    return build_network(
        section.name,
        weights=run.folder / section.trained_file,
        classes=len(training.classes),
        label=section.called,
        attention=section.attention,
    )


def build_start(section: NetworkSection, *, classes: int | None = None) -> Network:
    """Build a network as its section says, or the start of a training for so many classes."""
    return build_network(
        section.name,
        weights=section.weights,
        seed=section.seed,
        classes=classes or section.classes,
        preprocessing=section.preprocessing,
        label=section.called,
        head="file" if classes is None else "new",
        attention=section.attention,
    )


def built(run: Run) -> Iterator[Network]:
    """Build a study's networks, each when it is its turn."""
    return (build(run, section) for section in networks_of(run.study))


def note_weights(network: Network, run: Run) -> None:
    """Keep in the manifest which file a network's weights came from, by its sha256."""
    noted = run.manifest.read().get("weights", {})
    source = {"from": network.weights, "sha256": network.weights_sha256 or None}
    run.manifest.note(weights={**noted, network.name: source})
