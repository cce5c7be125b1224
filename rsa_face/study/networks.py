"""The networks of a study: what they look at, how they are built, trained and scored, and what they answer."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import xarray as xr
from tqdm import tqdm

from rsa_face.activations.capture import capture, resolve_device
from rsa_face.cluster import find_distributed
from rsa_face.human.choices import read_choices
from rsa_face.human.tables import listed
from rsa_face.networks.attention import hold_gate
from rsa_face.networks.weights import HUB, find_hub
from rsa_face.networks.zoo import Network, build_network
from rsa_face.provenance import save
from rsa_face.psychophysics.choices import Answers, network_choices, scale_of
from rsa_face.rdms.controls import check_controls
from rsa_face.safety import first_of, in_short, one_part, write_beside
from rsa_face.schema import PARTICIPANT, is_builder, is_reference, split_seed
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches
from rsa_face.stimuli.occlusion import REGIONS, occlude, region_boxes
from rsa_face.study.config import NetworkSection, layers_of, networks_of
from rsa_face.study.graph import Run
from rsa_face.study.stages import can_answer
from rsa_face.training.data import TrainingTable, must_not_share_faces, must_show
from rsa_face.training.evaluation import combine_seeds, judge_valence, score_judgements, tabulate_seeds
from rsa_face.training.loop import train_valence
from rsa_face.training.settings import HAPPY, SAD


def check_study(run: Run) -> None:
    """Refuse a device, cluster, control, choices, faces or regions that cannot be had; stimuli are shown already."""
    study = run.study
    resolve_device(study.activations.device)
    if study.cluster is not None:
        find_distributed(study.cluster)
    for weights in {network.weights for network in study.networks if network.weights.startswith(HUB)}:
        find_hub(weights)
    _check_layers(run)
    check_controls(run.stimuli, study.inference.controls)
    _check_judged(run)
    _check_choices(run)
    if study.saliency is not None:
        _check_saliency(run)
    if study.training is not None and study.training.held_out is not None:
        must_show(run.held_out_faces, (SAD, HAPPY), "the held-out table")
        must_not_share_faces(run.training_faces, run.held_out_faces)


def _check_layers(run: Run) -> None:
    """Refuse layers that cannot be recorded, by a pass of one stimulus through networks of which it is not known.

    Of the five networks, with their own preprocessing, it is known. What was recorded already is not tried.
    """
    first, tried = StimulusSet(run.stimuli.table.head(1)), []
    for section in networks_of(run.study):
        wanted = layers_of(run.study, section)
        case = section.name, section.preprocessing, section.attention, wanted
        in_file = section.may_attend and section.attention is None and section.has_file  # blocks that a file may hold
        known = not is_reference(section.name) and (section.preprocessing is None or in_file)
        if known or case in tried or run.has(f"rdms/{one_part(section.called)}.nc"):
            continue
        tried.append(case)
        random = section if is_builder(section.name) else section.model_copy(update={"weights": "random"})
        network = build_start(random)
        inputs = next(iter(read_batches(first, network.preprocessing, batch=1)))
        layers = network.select(wanted)
        try:
            capture(network, layers, inputs)
        except RuntimeError as error:  # torch's own, of shapes that do not fit
            size = network.preprocessing.crop
            message = (
                f"{section.called} cannot be run on images of {size} x {size} pixels: {in_short(error)}. Give it the "
                "`preprocessing` that it was built for."
            )
            raise ValueError(message) from error


def _check_judged(run: Run) -> None:
    """Refuse judgements of stimuli whose layer RDMs the study does not make."""
    human, where = run.study.human, run.study.activations.where
    if human is None or not where:
        return
    about = run.stimuli.select(**human.where) if human.where else run.stimuli
    recorded = set(run.stimuli.select(**where).ids)
    missing = [stimulus for stimulus in about.ids if stimulus not in recorded]
    if missing:
        message = (
            f"{len(missing)} of {len(about)} stimuli that people judged would have no layer RDMs: {listed(missing)}. "
            "Let `where` of `human` and of `activations` choose the same ones."
        )
        raise ValueError(message)


def _check_choices(run: Run) -> None:
    """Refuse choices without participants, of other stimuli, or on another scale than the networks'."""
    section = run.study.psychophysics
    if section is None or section.table is None:
        return
    choices = read_choices(section.table, **section.reading)
    if PARTICIPANT not in choices:
        tables = [section.table] if isinstance(section.table, Path) else section.table
        message = (
            f"{first_of(tables, ', ')} has no column participant. A study takes people's choices and asks its "
            "networks itself. Name people's choices, or remove `psychophysics`."
        )
        raise ValueError(message)
    shown = sorted(set(choices["stimulus"])) if "stimulus" in choices else run.stimuli.ids
    if not set(shown) & set(run.stimuli.ids):
        message = (
            f"None of the stimuli in the choices of `psychophysics` ({listed(shown, 4)}) is in the study "
            f"({listed(run.stimuli.ids, 4)}). Rename them (layout rename), or leave out their column."
        )
        raise ValueError(message)
    answers = Answers(high=choices.attrs["high"], low=choices.attrs["low"])
    if answers != Answers() or not can_answer(run.study) or "level" not in run.stimuli.factors:
        return
    scales = [scale_of(table["level"].to_numpy(dtype=float)) for table in (choices, run.stimuli.table)]
    if scales[0] != scales[1] and scales != ["morph", "signed"]:
        message = (
            f"People's levels are on the scale {scales[0]!r} and the stimuli's on {scales[1]!r}, so that networks "
            "cannot be compared with people. Give both from -1 to +1, or people's from 0 to 1."
        )
        raise ValueError(message)


def _check_saliency(run: Run) -> None:
    if not can_answer(run.study):
        message = (
            "No saliency of networks that have not learnt happy and sad: the study has no training, and networks "
            "without a file of weights. Add `training`, or remove `saliency`."
        )
        raise ValueError(message)
    region_boxes(run.saliency_faces, REGIONS)


def mask_faces(run: Run) -> list[Path]:
    """Write a copy of each face for each region that is masked, and the table of all of them."""
    faces, section, folder = run.whole_stimuli, run.study.stimuli, run.folder / "stimuli"
    regions = [name for name in section.occlusion if name != "none"]
    occlude(faces, regions, folder, fill=section.fill)
    return [folder / "stimuli.csv", *(folder / f"{name}_{region}.png" for region in regions for name in faces.ids)]


def list_stimuli(run: Run) -> None:
    """Keep the table of all stimuli with the results."""
    with write_beside(run.folder / "stimuli.csv") as beside:
        run.stimuli.table.to_csv(beside, index=False)


def build(run: Run, section: NetworkSection) -> Network:
    """Build a network of a study: as it was trained, if the study trains; else as its section says."""
    training = run.study.training
    if training is None:
        return build_start(section)
    network = build_network(
        section.name,
        weights=run.folder / section.trained_file,
        classes=len(training.classes),
        label=section.called,
        attention=section.attention,
    )
    if section.gate is not None:
        faces = read_batches(run.whole_stimuli, network.preprocessing)
        hold_gate(network.module, section.gate, faces, seed=section.seed)
    return network


def build_start(section: NetworkSection, *, classes: int | None = None, restart: str = "last") -> Network:
    """Build a network as its section says, or the start of a training for so many classes."""
    starts = {"last": "new", "classifier": "classifier"}
    return build_network(
        section.name,
        weights=section.weights,
        seed=section.seed,
        classes=classes or section.classes,
        trained=section.trained,
        preprocessing=section.preprocessing,
        label=section.called,
        head="file" if classes is None else starts[restart],
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


def train_network(run: Run, section: NetworkSection) -> None:
    """Train a network; a training that was stopped goes on from its last kept epoch."""
    training = run.study.training
    assert training is not None
    network = build_start(section, classes=len(training.classes), restart=training.restart)
    note_weights(network, run)
    folder = (run.folder / section.trained_file).parents[len(section.called.split("/")) - 1]
    with _bar(shown=run.progress) as step:
        train_valence(
            network, run.training_faces, settings=training.settings(section.seed), folder=folder, progress=step
        )


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


def score_networks(run: Run) -> list[Path]:
    """Score the trained networks on the held-out faces, with intervals over seeds where only these differ.

    The study's own stimuli were judged already, and their scores are made from these answers; other faces are judged.
    """
    training, held_out = run.study.training, run.held_out_faces
    assert training is not None
    answers = run.answers if training.held_out == "stimuli" else None
    each = []
    for section in networks_of(run.study):
        if answers is None:
            judgements = judge_valence(build(run, section), held_out)
        else:
            judgements = judgements_of(answers[answers["network"] == section.called], held_out)
        scores = score_judgements(judgements, name=section.called)
        # Text of fixed width is cut to the first array's when arrays are joined; objects keep their length.
        each.append(scores.assign_coords(network=scores["network"].values.astype(object)))
    joined = xr.concat(each, "network", join="outer", combine_attrs="drop_conflicts")
    save(joined, run.folder / "training.nc")
    tables = {"training.csv": joined.to_dataframe().reset_index()}
    starts = [split_seed(section.called)[0] for section in networks_of(run.study)]
    if len(set(starts)) < len(starts):
        tables["training_seeds.csv"] = tabulate_seeds(combine_seeds(each))
    for name, table in tables.items():
        with write_beside(run.folder / name) as beside:
            table.to_csv(beside, index=False, float_format="%.4f")
    return [run.folder / name for name in tables]


def judgements_of(answers: pd.DataFrame, held_out: TrainingTable) -> pd.DataFrame:
    """Return one network's answers to the held-out faces, as `judge_valence` does."""
    chance = answers.set_index("stimulus")["p_happy"]
    faces = held_out.table["stimulus"].astype(str)
    missing = sorted(set(faces) - set(chance.index))
    if missing:
        message = f"Held-out faces were not judged: {missing[:20]}. Run the study again."
        raise ValueError(message)
    return held_out.table.assign(happy=chance.loc[faces].to_numpy())


def why_no_answers(run: Run) -> str:
    """Say why networks cannot be asked: without a level, no answer is right or wrong."""
    return "" if "level" in run.stimuli.factors else "the networks' answers, since the stimuli have no level"


def ask_networks(run: Run) -> None:
    """Let the networks say happy or sad to every stimulus; once, for all that needs it."""
    answers = network_choices(built(run), run.stimuli)
    with write_beside(run.folder / "answers.csv") as beside:
        answers.to_csv(beside, index=False)
