"""The sections of a study file, each a frozen model that refuses what it does not know."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from rsa_face.human.kinds import KINDS
from rsa_face.human.tables import Layout
from rsa_face.networks.settings import Attention
from rsa_face.psychophysics.settings import Curve
from rsa_face.safety import check_name
from rsa_face.schema import (
    AUTO_GROUPS,
    MEASURES,
    NETWORKS,
    POSITION_CHANNELS,
    Occlusion,
    layer_names,
    repeated,
)
from rsa_face.settings import Device, Seed, Settings
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.study.values import (
    ComparisonName,
    Control,
    ExistingPath,
    HeldOut,
    Name,
    NetworkName,
    PathToWrite,
    Value,
    Weights,
)
from rsa_face.training.settings import Recipe, TrainingSettings

ATTENTIVE = next(name for name, row in NETWORKS.items() if row.attention)


class StimuliSection(Settings):
    """The stimulus table, and which of its faces are also shown with a region masked."""

    table: ExistingPath
    occlusion: tuple[Occlusion, ...] = ()
    fill: Literal["gray", "blur"] = "gray"

    @model_validator(mode="after")
    def _occlusions_differ(self) -> Self:
        twice = repeated(self.occlusion)
        if twice:
            message = f"has {twice} more than once; give each occlusion once"
            raise ValueError(message)
        return self


class NetworkSection(Settings):
    """One network: its architecture, weights and seed."""

    name: NetworkName
    weights: Weights = "random"
    seed: Seed = 0
    classes: Annotated[int, Field(ge=2)] = 2
    attention: Attention | tuple[Attention, ...] | None = None
    preprocessing: Preprocessing | None = None
    label: Name | None = None
    seeds: tuple[Seed, ...] = ()
    pretraining: Name | None = None

    @property
    def called(self) -> str:
        """What the network is called in arrays and figures; what its seeds share, of a section with several."""
        if self.seeds:
            return f"{self.label or self.name}/{self.start}"
        return self.label or (f"{self.name}/{self.start}/{self.seed}" if self.pretraining else self.name)

    @property
    def start(self) -> str:
        """What the network's weights are called in its name, where pre-trainings or seeds are compared."""
        return re.sub(r"[^A-Za-z0-9_.-]+", "-", self.pretraining or Path(self.weights).stem)

    @property
    def has_file(self) -> bool:
        """Whether its weights are a file: it has learnt before."""
        return Path(self.weights).is_file()

    @property
    def trained_file(self) -> str:
        """Where its trained weights are kept, in the study's output folder."""
        return f"weights/{self.called}.safetensors"

    @property
    def log_file(self) -> str:
        """Where the log of its training is kept, in the study's output folder."""
        return f"weights/{self.called}.csv"

    @property
    def names(self) -> list[str]:
        """What `inference` may call it: itself; of a network that is one of several, also what they share."""
        if not self.seeds and not self.pretraining:
            return [self.called]
        return [self.label or self.name, self.called, *(f"{self.called}/{seed}" for seed in self.seeds)]

    @property
    def blocks(self) -> tuple[Attention, ...]:
        """The feature-excitation blocks it is asked to have; one after pool5 if it may have one and none is asked."""
        if self.attention is None:
            return (Attention(),) if NETWORKS[self.name].attention else ()
        return self.attention if isinstance(self.attention, tuple) else (self.attention,)

    @property
    def layers(self) -> list[str]:
        """The names of its layers; of all blocks that its weights' file may hold, where none is asked."""
        names = layer_names(self.name, [block.position for block in self.blocks])
        if NETWORKS[self.name].attention and self.attention is None and self.weights not in ("random", "imagenet"):
            names += [f"{kind}_{position}" for position in POSITION_CHANNELS for kind in ("fe_gate", "fe")]
        return names

    @property
    def flat_layers(self) -> list[str]:
        """The names of those of its layers that have no rows and columns."""
        names = layer_names(self.name, [block.position for block in self.blocks])
        return [name for name in names if name.startswith("fe_gate")] + names[names.index("fc6") :]

    @model_validator(mode="after")
    def _files_can_be_called_so(self) -> Self:
        for name in self.names:
            check_name(name, "the name", nested=True)
        return self

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        twice = repeated([str(seed) for seed in self.seeds])
        if twice:
            message = f"has the seeds {twice} more than once; give each once"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _attends_in_its_places(self) -> Self:
        if self.attention is not None and not NETWORKS[self.name].attention:
            message = f"attention is of {ATTENTIVE} alone, not of {self.name}; remove it, or change the name"
            raise ValueError(message)
        twice = repeated([block.position for block in self.blocks])
        if twice:
            message = f"several attention blocks stand at {twice}; move one"
            raise ValueError(message)
        return self


class TrainingSection(Recipe):
    """How all networks are trained to tell happy from sad; see `rsa_face.training.settings.TrainingSettings`.

    `held_out` are faces of other identities to judge in the end: a table, or ``stimuli``, the study's own. `made_by`
    is the command that makes the table, named where the table is missing.
    """

    made_by: str | None = None
    table: ExistingPath
    kind: Literal["table", "folder", "affectnet-csv", "affectnet-npy"] = "table"
    rule: dict[str, str] = Field({})
    held_out: HeldOut = "stimuli"
    held_out_label: str = "level"

    def settings(self, seed: int) -> TrainingSettings:
        """Return how one network is trained."""
        return TrainingSettings(**{name: getattr(self, name) for name in Recipe.model_fields}, seed=seed)


class ActivationsSection(Settings):
    """Which layers are recorded, and whether they are stored: without a store, RDMs are streamed."""

    store: PathToWrite | None = None
    layers: str | Annotated[tuple[str, ...], Field(min_length=1)] = "main"
    dtype: Literal["float32", "float16"] = "float32"
    batch: Annotated[int, Field(ge=1)] = 32
    device: Device = "auto"


def _measure(value: Any) -> Any:
    single = [name for name, row in MEASURES.items() if not row.repeated]
    named = value if isinstance(value, dict) else {"measure": value}
    layers = [key for key in named if not isinstance(key, str)]
    wrong = [name for name in named.values() if not (isinstance(name, str) and name in single)]
    repeats = [name for name in wrong if isinstance(name, str) and name in MEASURES]
    faults = [f"has {layers}, not names of layers"] if layers else []
    if wrong:
        faults.append(f"is {', '.join(map(repr, wrong))}, not one of {', '.join(single)}")
    if repeats:
        faults[-1] += f"; {repeats[0]} needs every stimulus presented more than once (see `rsa_face.compute_rdms`)"
    if faults:
        raise ValueError("; ".join(faults))
    return value


class RdmsSection(Settings):
    """What makes the RDMs: one measure, or one by layer (``{default: correlation, fc8: euclidean}``)."""

    measure: Annotated[str | dict[str, str], BeforeValidator(_measure)] = "correlation"


def _known_kind(value: str) -> str:
    if value not in KINDS:
        message = f"is {value!r}, not one of {', '.join(KINDS)}"
        raise ValueError(message)
    return value


class HumanSection(Settings):
    """The human data, what kind they are, and which stimuli they are about."""

    table: ExistingPath
    kind: Annotated[str, AfterValidator(_known_kind)]
    where: dict[str, str | float] = Field({})
    options: dict[str, Any] = Field({})

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        """Hold the options to those of the kind, before anything is run."""
        options = {name: value for name, value in self.options.items() if name not in ("ids", "layout")}
        KINDS[self.kind].options.of(options)
        Layout.of(self.options.get("layout"))
        return self


class PsychophysicsSection(Settings):
    """Two-choice trials, happy or sad, along the morph: people's psychometric curves, and the trained networks'."""

    table: ExistingPath
    curve: Curve = Curve()


class SaliencySection(Settings):
    """What the trained networks' answers rest on: maps, and the share of each in the eyes, the nose and the mouth.

    `layer` may list several: each network's is the first it has. `where` picks the stimuli, by factors. `by_layer`
    adds the shares at every main layer with rows and columns.
    """

    layer: str | Annotated[tuple[str, ...], Field(min_length=1)] = "last"
    method: Literal["gradcam", "gradcam++", "layercam"] = "gradcam"
    answer: Literal["happy", "sad", "given"] = "happy"
    where: dict[str, Value | tuple[Value, ...]] = Field({})
    by_layer: bool = False


class InferenceSection(Settings):
    """How layers and people are compared, and how sure one wants to be.

    `network` is held against `baseline` layer by layer, where the study has both; `controls` are RDMs whose share in
    a similarity is taken out: ``pixels``, a factor of the stimulus table, or a file. `pretrainings` are the two that
    are compared within an architecture, the second subtracted. `groups` is the factor whose values are drawn with all
    their stimuli: ``auto`` is `identity`, where identities have several stimuli (`choose_groups`); ``none`` draws
    stimuli one by one.
    """

    comparison: ComparisonName = "rho-a"
    resample: Literal["stimulus", "participant", "both", "dual"] | None = "dual"
    draws: Annotated[int, Field(ge=10)] = 1000
    seed: Seed = 0
    groups: str | None = AUTO_GROUPS
    correction: Literal["max", "holm", "fdr"] | None = None
    network: str = "fe_alexnet"
    baseline: str = "alexnet"
    controls: tuple[Control, ...] = ()
    pretrainings: tuple[str, str] | None = None

    @field_validator("groups")
    @classmethod
    def _none_is_none(cls, groups: str | None) -> str | None:
        return None if groups == "none" else groups

    @property
    def method(self) -> str:
        """How p values are corrected: by the largest over layers; without draws, by Holm."""
        return self.correction or ("max" if self.resample else "holm")
