"""The training of a study's networks to tell happy from sad faces."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import pandas as pd
from tqdm import tqdm

from rsa_face.study.config import Study
from rsa_face.study.faces import table_of
from rsa_face.study.manifest import Manifest
from rsa_face.study.networks import build, log_file, networks_of, note_weights, start_of, trained_file
from rsa_face.study.sections import NetworkSection, TrainingSection
from rsa_face.training.loop import train_valence
from rsa_face.training.settings import HAPPY, SAD
from rsa_face.training.sources import read_faces
from rsa_face.training.tables import TrainingTable, must_not_share_faces, must_show


def train_networks(study: Study, manifest: Manifest, *, progress: bool) -> None:
    """Train every network of a study the same way, each only if what it rests on has changed.

    A training that was stopped goes on from its last kept epoch. The held-out faces choose nothing here; that none
    of them is learnt from is checked before anything is trained.

    Parameters
    ----------
    study : Study
        Its `training` section, and the networks' starts.
    manifest : Manifest
        Where each training is recorded.
    progress : bool
        Whether to show a bar.

    Raises
    ------
    ValueError
        If a held-out face is among the faces to learn from, or they lack a class.
    """
    asked = study.training
    if asked is None:
        return
    faces = _read(asked.table, asked, asked.label)
    held_out = held_out_faces(study)
    if held_out is not None:
        must_show(held_out, (SAD, HAPPY), "the held-out table")
        must_not_share_faces(faces, held_out)
    for section in networks_of(study):
        make = _training_of(study, section, faces, manifest, progress)
        inputs = {
            **start_of(section),
            "training": asked.model_dump(mode="json", exclude={"table", "held_out", "held_out_label", "made_by"}),
            "faces": faces.content_hash(),
        }
        outputs = [trained_file(section), log_file(section)]
        manifest.stage(f"training of {section.called}", make, inputs=inputs, outputs=outputs)


def held_out_faces(study: Study) -> TrainingTable | None:
    """Return the faces that the trained networks are scored on.

    Parameters
    ----------
    study : Study
        Its `training` section: a table, or the study's own stimuli, shown by `show_stimuli`.

    Returns
    -------
    TrainingTable or None
        None where nothing is trained or held out.
    """
    asked = study.training
    if asked is None or asked.held_out is None:
        return None
    table = table_of(study) if asked.held_out == "stimuli" else asked.held_out
    return read_faces(table, label=asked.held_out_label, classes=asked.classes)


def _read(table: Any, asked: TrainingSection, label: str) -> TrainingTable:
    return read_faces(table, kind=asked.kind, label=label, classes=asked.classes, rule=asked.rule or None)


def _training_of(
    study: Study, section: NetworkSection, faces: TrainingTable, manifest: Manifest, progress: bool
) -> Callable[[], None]:
    asked = cast("TrainingSection", study.training)
    settings = asked.settings(section.seed)

    def make() -> None:
        network = build(study, section, classes=len(asked.classes))
        note_weights(network, manifest)
        folder = (study.output / trained_file(section)).parents[len(section.called.split("/")) - 1]
        with _bar(shown=progress) as step:
            train_valence(network, faces, settings=settings, folder=folder, progress=step)

    return make


@contextmanager
def _bar(*, shown: bool) -> Iterator[Any]:
    with tqdm(total=0, unit="batch", disable=None if shown else True, leave=False) as line:

        def show(step: Any) -> None:
            done = step.batches * (step.epoch - 1) + step.batch
            if not line.total:  # what an earlier run did is no work of this one
                line.initial = line.n = line.last_print_n = done - 1
            line.total = step.batches * step.epochs
            line.set_description(f"epoch {step.epoch}/{step.epochs}, loss {step.loss:.3f}", refresh=False)
            line.update(done - line.n)

        yield show


def histories(study: Study) -> dict[str, pd.DataFrame]:
    """Return the log of each training of a study.

    Parameters
    ----------
    study : Study
        Whose networks were trained.

    Returns
    -------
    dict of str to DataFrame, one row an epoch
        By network; see `Trained`.
    """
    logs = {section.called: study.output / log_file(section) for section in networks_of(study)}
    return {name: pd.read_csv(file) for name, file in logs.items() if file.is_file()}
