"""The study file: what it may say, checked whole before anything runs, every fault with its line."""

from collections.abc import Iterator
from html import escape
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, ValidationInfo, model_validator

from rsa_face.schema import Comparison, HumanKind, Measure, NetworkName, Occlusion, repeated

PACKAGED = "package:"
STUDIES = Path(str(resources.files("rsa_face"))) / "studies"


def _resolved(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    if text.startswith(PACKAGED):
        return STUDIES / text.removeprefix(PACKAGED)
    return Path(info.context["base"]) / Path(text).expanduser() if info.context else Path(text)


def _existing(value: Any, info: ValidationInfo) -> Any:
    path = _resolved(value, info)
    if isinstance(path, Path) and not path.exists():
        message = f"there is no file {str(path)!r}"
        raise ValueError(message)
    return path


def _weights(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str) or value in ("random", "imagenet") or value.startswith("hf://"):
        return value
    return str(_existing(value, info))


ExistingPath = Annotated[Path, BeforeValidator(_existing)]
PathToWrite = Annotated[Path, BeforeValidator(_resolved)]


def _stimuli_or_existing(value: Any, info: ValidationInfo) -> Any:
    return value if value in ("stimuli", None) else _existing(value, info)


def _control(value: Any, info: ValidationInfo) -> Any:
    return str(_existing(value, info)) if str(value).endswith((".nc", ".csv")) else value


Weights = Annotated[str, BeforeValidator(_weights)]
Control = Annotated[str, BeforeValidator(_control)]
Seed = Annotated[int, Field(ge=0)]


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
    """Where the feature-excitation block stands."""

    position: Literal["conv1", "conv2", "conv3", "conv4", "conv5", "pool5", "fc6", "fc7"] = "pool5"
    reduction: Annotated[int, Field(ge=1)] = 16


class PreprocessingSection(Section):
    """What input the weights expect; ImageNet's unless said otherwise."""

    resize: int | tuple[int, int] = 256
    crop: Annotated[int, Field(ge=1)] = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    sd: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: Literal["bilinear", "bicubic", "nearest"] = "bilinear"
    antialias: bool = True


class NetworkSection(Section):
    """One network: its architecture, weights and seed."""

    name: NetworkName
    weights: Weights = "random"
    seed: Seed = 0
    classes: Annotated[int, Field(ge=2)] = 2
    attention: AttentionSection | None = None
    preprocessing: PreprocessingSection | None = None
    label: str | None = None
    seeds: tuple[Seed, ...] = ()
    pretraining: str | None = None

    @property
    def called(self) -> str:
        """What the network is called in arrays and figures."""
        return self.label or self.name

    @property
    def start(self) -> str:
        """What the network's weights are called in its name, where it is trained over several seeds."""
        return self.pretraining or Path(self.weights).stem

    @model_validator(mode="after")
    def _seeds_differ(self) -> Self:
        twice = repeated([str(seed) for seed in self.seeds])
        if twice:
            message = f"each seed makes one network, but {twice} stands there more than once"
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

    `held_out` are faces of other identities to judge in the end: a table, or ``stimuli``, the study's own.
    """

    table: ExistingPath
    kind: Literal["table", "folder", "affectnet-csv", "affectnet-npy"] = "table"
    label: str = "valence"
    rule: dict[str, str] = {}
    held_out: Annotated[Path | Literal["stimuli"] | None, BeforeValidator(_stimuli_or_existing)] = "stimuli"
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
    device: str = "auto"
    skip_unreadable: bool = False

    @model_validator(mode="after")
    def _watches_what_it_waits_for(self) -> Self:
        if self.patience is not None and not self.validation:
            message = "patience watches the validation faces, so validation must be above 0"
            raise ValueError(message)
        return self


class ActivationsSection(Section):
    """Which layers are recorded, and whether they are stored: without a store, RDMs are streamed."""

    store: PathToWrite | None = None
    layers: str | tuple[str, ...] = "main"
    dtype: Literal["float32", "float16"] = "float32"
    batch: Annotated[int, Field(ge=1)] = 32
    device: str = "auto"


class RdmsSection(Section):
    """What makes the RDMs."""

    measure: Measure = "correlation"


class HumanSection(Section):
    """The human data, what kind they are, and which stimuli they are about."""

    table: ExistingPath
    kind: HumanKind
    where: dict[str, str | float] = {}
    options: dict[str, Any] = {}


class ChoicesSection(Section):
    """Two-choice trials, happy or sad, along the morph: people's psychometric curves, and the trained networks'."""

    table: ExistingPath
    curve: dict[str, Any] = {}


class SaliencySection(Section):
    """Maps of what the networks' answers rest on; shares of each region where the stimuli have regions."""

    layer: str = "last"
    method: str = "gradcam"


class InferenceSection(Section):
    """How layers and people are compared, and how sure one wants to be.

    `network` is held against `baseline` layer by layer, where the study has both; `controls` are RDMs whose share in
    a similarity is taken out: ``pixels``, a factor of the stimulus table, or a file.
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

    @property
    def method(self) -> str:
        """How p values are corrected: by the largest over layers; without draws, by Holm."""
        return self.correction or ("max" if self.resample else "holm")


class Study(Section):
    """A whole study, as its file describes it; made by `load_study`."""

    name: Annotated[str, Field(pattern=r"^[\w.-]+$")]
    stimuli: StimuliSection
    networks: tuple[NetworkSection, ...]
    training: TrainingSection | None = None
    activations: ActivationsSection = ActivationsSection()
    rdms: RdmsSection = RdmsSection()
    human: HumanSection | None = None
    inference: InferenceSection = InferenceSection()
    choices: ChoicesSection | None = None
    saliency: SaliencySection | None = None
    cluster: Annotated[str, Field(pattern=r"^(local:[1-9]\d*|(tcp|tls)://.+:\d+)$")] | None = None
    output: PathToWrite

    def _repr_html_(self) -> str:
        """Show the study file in a notebook."""
        said = yaml.safe_dump(self.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
        return f"<pre>{escape(said)}</pre>"

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        if not self.networks:
            message = "a study must have at least one network"
            raise ValueError(message)
        twice = repeated([network.called for network in self.networks])
        if twice:
            message = f"networks are called {twice} more than once; give each a label"
            raise ValueError(message)
        return self


def load_study(study: str | Path, *, output: str | Path | None = None) -> Study:
    """Read a study file, and report everything that is wrong with it at once.

    Paths in it are relative to its folder; ``package:`` names a file that comes with rsa_face. An embedded study
    (``demo``) is read as if it lay in the current folder.

    Parameters
    ----------
    study : str or Path
        A YAML file, or the name of an embedded study.
    output : str or Path, optional
        A folder to write to instead of the study's own.

    Returns
    -------
    Study
        Checked: every file it names exists.

    Raises
    ------
    FileNotFoundError
        If there is no such file or embedded study.
    ValueError
        If the file is not YAML, has an unknown key, lacks one, names a missing file or has an impossible value:
        each with its line.
    """
    path, base = _find(study)
    text = path.read_text("utf-8")
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError) as error:
        message = f"A study file must be YAML, but {path.name} is not: {' '.join(str(error).split())}."
        raise ValueError(message) from error
    if not isinstance(values, dict):
        message = f"A study file must hold keys and values, but {path.name} holds {type(values).__name__}."
        raise ValueError(message)
    if output is not None:
        values["output"] = str(Path(output).absolute())
    try:
        return Study.model_validate(values, context={"base": base})
    except ValidationError as error:
        faults = [_fault(entry, tree, path.name) for entry in error.errors()]
        message = f"A study file must be right before it runs, but {path.name} has {len(faults)} fault(s):\n"
        raise ValueError(message + "\n".join(sorted(faults, key=_line_of))) from error


def embedded_studies() -> list[str]:
    """Return the names of the studies that come with the package.

    Returns
    -------
    list of str
        Sorted.
    """
    return sorted(file.stem for file in STUDIES.glob("*.yaml"))


def _find(study: str | Path) -> tuple[Path, Path]:
    path = Path(study)
    if path.is_file():
        return path, path.absolute().parent
    if str(study) in embedded_studies():
        return STUDIES / f"{study}.yaml", Path.cwd()
    message = (
        f"A study must be a YAML file or one of {', '.join(embedded_studies())}, but there is no {str(study)!r}. "
        "Check the path."
    )
    raise FileNotFoundError(message)


def _fault(entry: Any, tree: yaml.Node | None, name: str) -> str:
    where = ".".join(str(part) for part in entry["loc"]) or "the study"
    if entry["type"] == "extra_forbidden":
        said = "is not a key here; remove it or check its spelling"
    elif entry["type"] == "missing":
        said = "is missing"
    else:
        given = entry["input"]
        shown = f" (it is {given!r})" if isinstance(given, str | int | float) else ""
        said = entry["msg"].removeprefix("Value error, ") + shown
    return f"  {name}, line {_line(tree, entry['loc'])}: {where}: {said}"


def _line(tree: yaml.Node | None, loc: tuple[Any, ...]) -> int:
    node, line = tree, 1
    for part in loc:
        found = next(_children(node, part), None)
        if found is None:
            break
        line, node = found
    return line


def _children(node: yaml.Node | None, part: Any) -> Iterator[tuple[int, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == str(part):
                yield key.start_mark.line + 1, value
    elif isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        yield node.value[part].start_mark.line + 1, node.value[part]


def _line_of(fault: str) -> int:
    return int(fault.split("line ", 1)[1].split(":", 1)[0])
