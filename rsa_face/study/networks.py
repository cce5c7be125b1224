"""The networks of a study: which there are, and how each is built, from its start or as it was trained."""

from pathlib import Path
from typing import Any

from rsa_face.networks.zoo import Network, build_network
from rsa_face.provenance import hash_file
from rsa_face.study.config import Study
from rsa_face.study.manifest import Manifest
from rsa_face.study.sections import NetworkSection

WEIGHTS = "weights"


def networks_of(study: Study) -> tuple[NetworkSection, ...]:
    """Return a section for each network: one that names several seeds stands for as many networks.

    Parameters
    ----------
    study : Study
        Its `networks` section.

    Returns
    -------
    tuple of NetworkSection
        In order, each with one seed, called ``<name>/<pretraining>/<seed>`` where it has several or a `pretraining`.
    """
    each: list[NetworkSection] = []
    for section in study.networks:
        if not section.seeds:
            each.append(section)
            continue
        each += [
            section.model_copy(update={"seed": seed, "seeds": (), "label": f"{section.called}/{seed}"})
            for seed in section.seeds
        ]
    return tuple(each)


def trained_file(section: NetworkSection) -> str:
    """Return where a network's trained weights are kept.

    Parameters
    ----------
    section : NetworkSection
        Of one network.

    Returns
    -------
    str
        Relative to the study's output folder.
    """
    return f"{WEIGHTS}/{section.called}.safetensors"


def log_file(section: NetworkSection) -> str:
    """Return where the log of a network's training is kept.

    Parameters
    ----------
    section : NetworkSection
        Of one network.

    Returns
    -------
    str
        Relative to the study's output folder.
    """
    return str(Path(trained_file(section)).with_suffix(".csv"))


def build(study: Study, section: NetworkSection, *, classes: int | None = None) -> Network:
    """Build a network of a study: as it was trained, if the study trains; else as its section says.

    Parameters
    ----------
    study : Study
        Whose trained weights are used.
    section : NetworkSection
        The network.
    classes : int, optional
        Build the start of a training for so many classes instead.

    Returns
    -------
    Network
        On the CPU, in evaluation mode.
    """
    if classes is None and study.training is not None:
        file = study.output / trained_file(section)
        return build_network(
            section.name,
            weights=file,
            classes=len(study.training.classes),
            label=section.called,
            attention=section.attention,
        )
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


def start_of(section: NetworkSection) -> dict[str, Any]:
    """Return what a network's start depends on, for a manifest.

    Parameters
    ----------
    section : NetworkSection
        The network.

    Returns
    -------
    dict
        Its section, and the hash of its weights' file where there is one.
    """
    weights = hash_file(section.weights) if Path(section.weights).is_file() else section.weights
    return {"network": section.model_dump(mode="json"), "weights": weights}


def note_weights(network: Network, manifest: Manifest) -> None:
    """Keep in the manifest which file a network's weights came from, by its sha256.

    Parameters
    ----------
    network : Network
        As it was built from its section.
    manifest : Manifest
        Of the study.
    """
    kept = manifest.read().get("weights", {})
    said = {"from": network.weights, "sha256": network.weights_sha256 or None}
    manifest.note(weights={**kept, network.name: said})
