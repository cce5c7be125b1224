"""All RDMs that a study's networks, seeds, occlusions and measures make, as one batch."""

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from rsa_face.activations.batch import Batch, Source
from rsa_face.provenance import hash_content, hash_file
from rsa_face.rdms.measures import general_measure, layers_with_their_own
from rsa_face.safety import hold, lock_in, one_part
from rsa_face.study.config import NetworkSection, Study, layers_of, networks_of
from rsa_face.study.graph import Run, make_stages, start_run
from rsa_face.study.networks import build

log = logging.getLogger(__name__)
BATCH = "batch"


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
