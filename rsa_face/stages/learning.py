"""The training of a study's networks to tell happy from sad faces, and how well each does on faces it never saw."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from typing import Any, cast

import pandas as pd
import xarray as xr
from tqdm import tqdm

from rsa_face.config import Study
from rsa_face.manifest import Manifest
from rsa_face.provenance import hash_file, load, save, write_beside
from rsa_face.schema import split_seed
from rsa_face.sections import NetworkSection, TrainingSection
from rsa_face.stages.faces import table_of
from rsa_face.stages.networks import build, networks_of, note_weights, start_of, trained_file
from rsa_face.training.loop import train_valence
from rsa_face.training.seeds import combine_seeds, tabulate_seeds
from rsa_face.training.settings import TrainingSettings
from rsa_face.training.sources import read_faces
from rsa_face.training.tables import TrainingTable

SCORES, OVER_SEEDS = "training.nc", "training_seeds.csv"


def train_networks(study: Study, manifest: Manifest, *, progress: bool) -> xr.Dataset | None:
    """Train every network of a study the same way, each only if what it rests on has changed.

    A training that was stopped goes on from its last kept epoch.

    Parameters
    ----------
    study : Study
        Its `training` section, and the networks' starts.
    manifest : Manifest
        Where each training is recorded.
    progress : bool
        Whether to show a bar.

    Returns
    -------
    Dataset, dims (network, condition), or None
        Scores on held-out faces, also in ``training.nc`` and ``training.csv``, and where networks differ in their
        seed alone, with intervals over seeds, in ``training_seeds.csv``; None where nothing is trained or held out.
    """
    asked = study.training
    if asked is None:
        return None
    faces = _read(asked.table, asked, asked.label)
    held_out = _held_out(study, asked)
    scores = []
    for section in networks_of(study):
        file = f"{trained_file(section).removesuffix('.safetensors')}_scores.nc"
        make = _training_of(study, section, manifest, (faces, held_out), file, progress)
        inputs = {
            **start_of(section),
            "training": asked.model_dump(mode="json", exclude={"table", "held_out", "made_by"}),
            "faces": faces.content_hash(),
            "held_out": None if held_out is None else held_out.content_hash(),
        }
        outputs = [trained_file(section), *([file] if held_out is not None else [])]
        manifest.stage(f"training of {section.called}", make, inputs=inputs, outputs=outputs)
        scores.append(file)
    if held_out is None:
        return None
    return _join(study, scores, manifest)


def _read(table: Any, asked: TrainingSection, label: str) -> TrainingTable:
    return read_faces(table, kind=asked.kind, label=label, classes=asked.classes, rule=asked.rule or None)


def _held_out(study: Study, asked: TrainingSection) -> TrainingTable | None:
    if asked.held_out is None:
        return None
    table = table_of(study) if asked.held_out == "stimuli" else asked.held_out
    return read_faces(table, label=asked.held_out_label, classes=asked.classes)


def _training_of(
    study: Study,
    section: NetworkSection,
    manifest: Manifest,
    tables: tuple[TrainingTable, TrainingTable | None],
    file: str,
    progress: bool,
) -> Callable[[], None]:
    faces, held_out = tables
    asked = cast("TrainingSection", study.training)
    known = {field.name for field in fields(TrainingSettings)} - {"seed"}
    settings = TrainingSettings(seed=section.seed, **asked.model_dump(include=known))

    def make() -> None:
        network = build(study, section, classes=len(asked.classes))
        note_weights(network, manifest)
        folder = (study.output / trained_file(section)).parents[len(section.called.split("/")) - 1]
        with _bar(shown=progress) as step:
            trained = train_valence(
                network, faces, settings=settings, held_out=held_out, folder=folder, progress=step
            )
        if trained.scores is not None:
            save(trained.scores, study.output / file)

    return make


@contextmanager
def _bar(*, shown: bool) -> Iterator[Any]:
    with tqdm(total=0, unit="batch", disable=not shown, leave=False) as line:

        def show(step: Any) -> None:
            line.total = step.batches * step.epochs
            line.set_description(f"epoch {step.epoch}/{step.epochs}, loss {step.loss:.3f}", refresh=False)
            line.update(step.batches * (step.epoch - 1) + step.batch - line.n)

        yield show


def _join(study: Study, files: list[str], manifest: Manifest) -> xr.Dataset:
    def join() -> None:
        each = [_with_whole_name(cast("xr.Dataset", load(study.output / file))) for file in files]
        joined = xr.concat(each, "network", join="outer", combine_attrs="drop_conflicts")
        save(joined, study.output / SCORES)
        tables = {"training.csv": joined.to_dataframe().reset_index()}
        if several:
            tables[OVER_SEEDS] = tabulate_seeds(combine_seeds(each))
        for name, table in tables.items():
            with write_beside(study.output / name) as beside:
                table.to_csv(beside, index=False, float_format="%.4f")

    starts = [split_seed(section.called)[0] for section in networks_of(study)]
    several = len(set(starts)) < len(starts)
    inputs = {file: hash_file(study.output / file) for file in files}
    outputs = [SCORES, "training.csv", *([OVER_SEEDS] if several else [])]
    manifest.stage("scores on held-out faces", join, inputs=inputs, outputs=outputs)
    return cast("xr.Dataset", load(study.output / SCORES))


def _with_whole_name(scores: xr.Dataset) -> xr.Dataset:
    # Text of fixed width is cut to the first array's when arrays are joined; objects keep their length.
    return scores.assign_coords(network=scores["network"].values.astype(object))


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
    logs = {
        section.called: (study.output / trained_file(section)).with_suffix(".csv") for section in networks_of(study)
    }
    return {name: pd.read_csv(file) for name, file in logs.items() if file.is_file()}
