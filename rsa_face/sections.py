"""The sections of a study file, each a frozen model that refuses what it does not know."""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rsa_face.schema import (
    MEASURES,
    POSITION_CHANNELS,
    Comparison,
    HumanKind,
    NetworkName,
    Occlusion,
    Position,
    layer_names,
    repeated,
)
from rsa_face.values import (
    Bounds,
    Control,
    Device,
    ExistingPath,
    HeldOut,
    Name,
    PathToWrite,
    Seed,
    TrainingDevice,
    Value,
    Weights,
)

ATTENTIVE = "fe_alexnet"


class Section(BaseModel):
    """A part of a study file: unknown keys are refused, and nothing changes after it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StimuliSection(Section):
    """The stimulus table, and which of its faces are also shown with a region masked."""

    table: ExistingPath
    occlusion: tuple[Occlusion, ...] = ()
    fill: Literal["gray", "blur"] = "gray"

    @model_validator(mode="after")
    def _occlusions_differ(self) -> Self:
        twice = repeated(self.occlusion)
        if twice:
            message = f"each occlusion is shown once, but {twice} stands there more than once"
            raise ValueError(message)
        return self


class AttentionSection(Section):
    """Where a feature-excitation block stands, and how narrow it is."""

    position: Position = "pool5"
    reduction: Annotated[int, Field(ge=1)] = 16
    bias: bool = False

    @model_validator(mode="after")
    def _has_a_waist(self) -> Self:
        channels = POSITION_CHANNELS[self.position]
        if self.reduction > channels:
            message = (
                f"reduction must be at most {channels}, the channels at {self.position}, but is {self.reduction}"
            )
            raise ValueError(message)
        return self


class PreprocessingSection(Section):
    """What input the weights expect; ImageNet's unless said otherwise."""

    resize: int | tuple[int, int] = 256
    crop: Annotated[int, Field(ge=1)] = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    sd: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    antialias: bool = True

    @model_validator(mode="after")
    def _leaves_an_image(self) -> Self:
        least = min(self.resize) if isinstance(self.resize, tuple) else self.resize
        if self.crop > least:
            message = f"crop must be no larger than resize, but is {self.crop}, and resize {self.resize}; set both"
            raise ValueError(message)
        if min(self.sd) <= 0:
            message = f"sd must be above 0, but is {list(self.sd)}"
            raise ValueError(message)
        return self


class NetworkSection(Section):
    """One network: its architecture, weights and seed."""

    name: NetworkName
    weights: Weights = "random"
    seed: Seed = 0
    classes: Annotated[int, Field(ge=2)] = 2
    attention: AttentionSection | tuple[AttentionSection, ...] | None = None
    preprocessing: PreprocessingSection | None = None
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
    def names(self) -> list[str]:
        """What `inference` may call it: itself; of a network that is one of several, also what they share."""
        if not self.seeds and not self.pretraining:
            return [self.called]
        return [self.label or self.name, self.called, *(f"{self.called}/{seed}" for seed in self.seeds)]

    @property
    def blocks(self) -> tuple[AttentionSection, ...]:
        """The feature-excitation blocks it is asked to have; one after pool5 if it may have one and none is asked."""
        if self.attention is None:
            return (AttentionSection(),) if self.name == ATTENTIVE else ()
        return self.attention if isinstance(self.attention, tuple) else (self.attention,)

    @property
    def layers(self) -> list[str]:
        """The names of its layers; of all blocks that its weights' file may hold, where none is asked."""
        names = layer_names(self.name, [block.position for block in self.blocks])
        if self.name == ATTENTIVE and self.attention is None and self.weights not in ("random", "imagenet"):
            names += [f"{kind}_{position}" for position in POSITION_CHANNELS for kind in ("fe_gate", "fe")]
        return names

    @property
    def flat_layers(self) -> list[str]:
        """The names of those of its layers that have no rows and columns."""
        names = layer_names(self.name, [block.position for block in self.blocks])
        return [name for name in names if name.startswith("fe_gate")] + names[names.index("fc6") :]

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        twice = repeated([str(seed) for seed in self.seeds])
        if twice:
            message = f"each seed makes one network, but {twice} stands there more than once"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _attends_in_its_places(self) -> Self:
        if self.attention is not None and self.name != ATTENTIVE:
            message = f"attention must be of {ATTENTIVE} alone, but is of {self.name}; remove it, or change the name"
            raise ValueError(message)
        twice = repeated([block.position for block in self.blocks])
        if twice:
            message = f"each attention block must have a position of its own, but several stand at {twice}; move one"
            raise ValueError(message)
        return self


class AugmentationSection(Section):
    """How far training images are varied; see `rsa_face.training.settings.Augmentation`."""

    flip: Annotated[float, Field(ge=0, le=1)] = 0.5
    shift: Annotated[float, Field(ge=0, le=1)] = 0.05
    scale: Annotated[float, Field(ge=0, le=0.9)] = 0.1
    rotate: Annotated[float, Field(ge=0, le=180)] = 5.0
    brightness: Annotated[float, Field(ge=0, le=10)] = 0.2
    contrast: Annotated[float, Field(ge=0, le=0.9)] = 0.2


class TrainingSection(Section):
    """How all networks are trained to tell happy from sad; see `rsa_face.training.settings.TrainingSettings`.

    `held_out` are faces of other identities to judge in the end: a table, or ``stimuli``, the study's own. `made_by`
    is the command that makes the table, told where it is missing.
    """

    made_by: str | None = None
    table: ExistingPath
    kind: Literal["table", "folder", "affectnet-csv", "affectnet-npy"] = "table"
    label: str = "valence"
    rule: dict[str, str] = {}
    held_out: HeldOut = "stimuli"
    held_out_label: str = "level"
    classes: tuple[str, ...] = ("sad", "happy")
    freeze: str = "none"
    epochs: Annotated[int, Field(ge=1)] = 40
    lr: Annotated[float, Field(gt=0)] = 1e-4
    batch: Annotated[int, Field(ge=1)] = 128
    mixed: bool = False
    schedule: Literal["constant", "cosine"] = "constant"
    warmup: Annotated[int, Field(ge=0)] = 0
    zero_head: bool = False
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    dropout: Annotated[float, Field(ge=0, lt=1)] | None = None
    size: Annotated[int, Field(ge=32)] | None = None
    class_weights: Literal["none", "balanced"] = "none"
    augmentation: AugmentationSection | None = None
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.0
    patience: Annotated[int, Field(ge=1)] | None = None
    stop_at: Annotated[float, Field(gt=0, le=1)] | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    compile: bool = False
    device: TrainingDevice = "auto"
    skip_unreadable: bool = False

    @model_validator(mode="after")
    def _tells_happy_from_sad(self) -> Self:
        if not {"sad", "happy"} <= set(self.classes) or repeated(self.classes):
            message = f"classes must differ, and sad and happy be among them, but they are {list(self.classes)}"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _watches_what_it_waits_for(self) -> Self:
        if self.patience is not None and not self.validation:
            message = "patience watches the validation faces, so validation must be above 0"
            raise ValueError(message)
        return self


class ActivationsSection(Section):
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
    faults = [f"layers must be names, but {layers} are not"] if layers else []
    if wrong:
        shown = ", ".join(map(repr, wrong))
        faults.append(f"must be one of {', '.join(single)}, but is {shown}")
    if repeats:
        faults[-1] += ", which needs every stimulus presented more than once; see `rsa_face.compute_rdms`"
    if faults:
        raise ValueError("; ".join(faults))
    return value


class RdmsSection(Section):
    """What makes the RDMs: one measure, or one by layer (``{default: correlation, fc8: euclidean}``)."""

    measure: Annotated[str | dict[str, str], BeforeValidator(_measure)] = "correlation"


class HumanSection(Section):
    """The human data, what kind they are, and which stimuli they are about."""

    table: ExistingPath
    kind: HumanKind
    where: dict[str, str | float] = {}
    options: dict[str, Any] = {}


class CurveSection(Section):
    """Which psychometric curve is fitted to people's choices; see `rsa_face.psychophysics.psychometric.Curve`."""

    sigmoid: Literal["gaussian", "logistic"] = "gaussian"
    guess: Bounds = (0.0, 0.1)
    lapse: Bounds = (0.0, 0.1)
    width: Bounds | None = None
    method: Literal["likelihood", "least squares"] = "likelihood"
    pooling: Literal["none", "participants"] = "none"

    @model_validator(mode="after")
    def _can_be_fitted(self) -> Self:
        faults = [
            f"{name} is {value}, above .5"
            for name, value in (("guess", self.guess), ("lapse", self.lapse))
            if np.max(value) > 0.5
        ]
        faults += ["width is 0"] if self.width is not None and np.min(self.width) == 0 else []
        faults += ["a pooled fit is by likelihood"] if self.pooling != "none" and self.method != "likelihood" else []
        if faults:
            raise ValueError("; ".join(faults))
        return self


class PsychophysicsSection(Section):
    """Two-choice trials, happy or sad, along the morph: people's psychometric curves, and the trained networks'."""

    table: ExistingPath
    curve: CurveSection = CurveSection()


class SaliencySection(Section):
    """What the trained networks' answers rest on: maps, and the share of each in the eyes, the nose and the mouth.

    `layer` may list several: each network's is the first it has. `where` picks the stimuli, by factors. `by_layer`
    adds the shares at every main layer with rows and columns.
    """

    layer: str | Annotated[tuple[str, ...], Field(min_length=1)] = "last"
    method: Literal["gradcam", "gradcam++", "layercam"] = "gradcam"
    answer: Literal["happy", "sad", "given"] = "happy"
    where: dict[str, Value | tuple[Value, ...]] = {}
    by_layer: bool = False


class InferenceSection(Section):
    """How layers and people are compared, and how sure one wants to be.

    `network` is held against `baseline` layer by layer, where the study has both; `controls` are RDMs whose share in
    a similarity is taken out: ``pixels``, a factor of the stimulus table, or a file. `pretrainings` are the two that
    are compared within an architecture, the second subtracted.
    """

    comparison: Comparison = "rho-a"
    resample: Literal["stimulus", "participant", "both", "dual"] | None = None
    draws: Annotated[int, Field(ge=10)] = 1000
    seed: Seed = 0
    groups: str | None = None
    correction: Literal["max", "holm", "fdr"] | None = None
    network: str = "fe_alexnet"
    baseline: str = "alexnet"
    controls: tuple[Control, ...] = ()
    pretrainings: tuple[str, str] | None = None

    @property
    def method(self) -> str:
        """How p values are corrected: by the largest over layers; without draws, by Holm."""
        return self.correction or ("max" if self.resample else "holm")
