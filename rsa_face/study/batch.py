"""All RDMs that a study's networks, seeds, occlusions and measures make, as one batch."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rsa_face.activations.batch import Batch, Source
from rsa_face.provenance import hash_content
from rsa_face.rdms.measures import general_measure, layers_with_their_own
from rsa_face.study.config import Study
from rsa_face.study.faces import show_stimuli
from rsa_face.study.learning import train_networks
from rsa_face.study.manifest import Manifest
from rsa_face.study.networks import build, networks_of, start_of, trained_file
from rsa_face.study.sections import NetworkSection

BATCH = "batch"


def batch_of(
    study: Study,
    manifest: Manifest,
    *,
    folder: Path | None = None,
    measures: Sequence[str] = (),
    by_layer: Mapping[str, str] | None = None,
    progress: bool = True,
) -> Batch:
    """Return the RDMs that a study asks for: its networks and seeds, each occlusion by itself, each measure.

    The study's faces are masked and its networks trained first, where it says so and that is still to be done.

    Parameters
    ----------
    study : Study
        Its `stimuli`, `networks`, `training`, `activations` and `rdms` sections.
    manifest : Manifest
        Where masking and training are recorded.
    folder : Path, optional
        Where the RDMs go; ``batch`` in the study's output folder unless given.
    measures : sequence of str
        The study's own unless given.
    by_layer : mapping of str to str, optional
        Layers with a measure of their own, beside those of the study.
    progress : bool
        Whether to show bars.

    Returns
    -------
    Batch
        For `compute_batch`.

    Raises
    ------
    ValueError
        If a measure is unknown.
    """
    stimuli = show_stimuli(study, manifest)
    train_networks(study, manifest, progress=progress)
    masked = "occlusion" in stimuli.table.columns
    occlusions = tuple(dict.fromkeys(stimuli.table["occlusion"].astype(str))) if masked else ("all",)
    return Batch(
        stimuli=stimuli,
        folder=folder or study.output / BATCH,
        networks=tuple(_source(study, section, manifest) for section in networks_of(study)),
        occlusions=occlusions,
        measures=tuple(measures) or (general_measure(study.rdms.measure),),
        by_layer=layers_with_their_own(study.rdms.measure) | dict(by_layer or {}),
        layers=study.activations.layers,
    )


def _source(study: Study, section: NetworkSection, manifest: Manifest) -> Source:
    trained = manifest.hash_of(trained_file(section)) if study.training else None
    identity = hash_content(start_of(section), trained)
    name = section.called.replace("/", "-")
    layers = tuple((section.called, layer) for layer in section.layers)
    return Source(name, section.seed, section.weights, identity, partial(build, study, section), layers)
