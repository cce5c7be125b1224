"""The study file: its sections, checked whole before anything runs, every fault with its line; embedded studies."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from html import escape
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

import xarray as xr
import yaml
from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from rsa_face.human.kinds import KINDS
from rsa_face.human.tables import Layout
from rsa_face.networks.settings import Attention, GateHeld
from rsa_face.psychophysics.choices import ChoiceWords
from rsa_face.psychophysics.psychometric import Curve
from rsa_face.safety import check_name, in_short, must_be_plain_names, one_part, read_yaml, same_file
from rsa_face.schema import (
    AUTO_GROUPS,
    COMPARISONS,
    LIBRARY,
    MEASURES,
    NETWORKS,
    POSITION_CHANNELS,
    STIMULUS_I,
    Occlusion,
    is_builder,
    is_reference,
    label_of,
    layer_names,
    must_be_known,
    must_be_network,
    repeated,
)
from rsa_face.settings import Device, Seed, Settings, in_words, matching
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.training.settings import Recipe, TrainingSettings

if TYPE_CHECKING:
    from rsa_face.networks.zoo import Network

PACKAGED = "package:"
STUDIES = Path(str(resources.files("rsa_face"))) / "studies"


def _resolved(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    if text.startswith(PACKAGED):
        return STUDIES / text.removeprefix(PACKAGED)
    try:
        path = Path((info.context or {}).get("base", "")) / Path(text).expanduser()
        path.exists()
    except (OSError, RuntimeError) as error:  # a name too long for any disk, the home of a user that is none
        message = f"is {text[:60]!r}, which cannot be a path: {in_short(error)}"
        raise ValueError(message) from error
    return path


def _existing(value: Any, info: ValidationInfo) -> Any:
    path = _resolved(value, info)
    recorded = bool((info.context or {}).get("recorded"))  # what a manifest says was there when the study ran
    if isinstance(path, Path) and not recorded and not path.exists() and not _stands_for_files(path):
        made_by = info.data.get("made_by")
        message = f"there is no file {str(path)!r}; {f'it is made by: {made_by}' if made_by else 'check the path'}"
        raise ValueError(message)
    return path


def _stands_for_files(path: Path) -> bool:
    return "*" in path.name and any(path.parent.glob(path.name))


def _to_write(value: Any, info: ValidationInfo) -> Any:
    path = _resolved(value, info)
    if isinstance(path, Path) and path.is_file():
        message = f"is {str(path)!r}, a file; name a folder to write to"
        raise ValueError(message)
    return path


def _weights(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str) or value in ("random", "imagenet", LIBRARY) or value.startswith("hf://"):
        return value
    try:
        return str(_existing(value, info))
    except ValueError as error:
        message = f"is not random, imagenet, {LIBRARY} or hf://OWNER/REPO/FILE, and {error}"
        raise ValueError(message) from error


def _one_of(names: Collection[str], what: str) -> AfterValidator:
    """Return a validator of a name that a registry has; read at each check, since registries grow."""

    def check(value: str) -> str:
        if value not in names:
            message = f"no {what} is named {value!r}; there are {', '.join(names)}"
            raise ValueError(message)
        return value

    return AfterValidator(check)


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    twice = repeated([str(value) for value in values])
    if twice:
        message = f"has {twice} more than once; give each once"
        raise ValueError(message)
    return values


def _network(value: str) -> str:
    must_be_network(value)
    if is_reference(value) and not is_builder(value):
        from rsa_face.networks.reference import must_be_reference  # torch loads only for networks of a library

        try:
            must_be_reference(value)
        except ModuleNotFoundError as error:
            raise ValueError(str(error)) from error
    return value


Once = AfterValidator(_once)
NetworkName = Annotated[str, AfterValidator(_network)]
MeasureName = Annotated[
    str, _one_of([name for name, row in MEASURES.items() if not row.repeated], "measure without repeats")
]
ComparisonName = Annotated[str, _one_of(COMPARISONS, "comparison")]
HumanKind = Annotated[str, _one_of(KINDS, "kind of human data")]
ExistingPath = Annotated[Path, BeforeValidator(_existing)]
PathToWrite = Annotated[Path, BeforeValidator(_to_write)]


def _stimuli_or_existing(value: Any, info: ValidationInfo) -> Any:
    return value if value in ("stimuli", None) or isinstance(value, list | tuple) else _existing(value, info)


def _control(value: Any, info: ValidationInfo) -> Any:
    return str(_existing(value, info)) if str(value).endswith((".nc", ".csv")) else value


def _name(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    must_be_plain_names([value], "name", "the study")
    return check_name(value, "the name")


Name = Annotated[str, BeforeValidator(_name)]
Weights = Annotated[str, BeforeValidator(_weights)]
Control = Annotated[str, BeforeValidator(_control)]
StudyName = Annotated[
    str, BeforeValidator(_name), matching(r"[\w.-]+", "letters, digits, dots, hyphens and underscores")
]
Cluster = Annotated[
    str, matching(r"local:[1-9]\d*|(tcp|tls)://.+:\d+", "local:N or tcp://HOST:PORT, such as local:2")
]
HeldOut = Annotated[Path | Literal["stimuli"] | None, BeforeValidator(_stimuli_or_existing)]
Tables = ExistingPath | Annotated[tuple[ExistingPath, ...], Field(min_length=1)]
Ids = Annotated[Path | Literal["stimuli"] | tuple[str, ...] | None, BeforeValidator(_stimuli_or_existing)]
Value = str | float


_MOST_LAYERS = 60  # named in a message
ATTENTIVE = next(name for name, row in NETWORKS.items() if row.attention)


class StimuliSection(Settings):
    """The stimulus table, and which of its faces are also shown with a region masked."""

    table: ExistingPath
    occlusion: Annotated[tuple[Occlusion, ...], Once] = ()
    fill: Literal["gray", "blur"] = "gray"


Layers = str | Annotated[tuple[str, ...], Field(min_length=1)]


class NetworkSection(Settings):
    """One network: its architecture or a reference to it, weights and seed, and the layers to record.

    `layers` replaces those of `activations` for this network. `trained` says of a callable's network whether its
    weights were learnt. A callable's weights are ``library``, what it puts in, unless they are given.

    With `gate` it is a network that the study trains, `gate_of`, with its feature-excitation gates held in
    some way: it learns nothing of its own, so that what differs is the gate's doing.
    """

    name: NetworkName
    weights: Weights = "random"
    seed: Seed = 0
    classes: Annotated[int, Field(ge=2)] | None = None
    layers: Layers | None = None
    trained: bool | None = None
    attention: Attention | tuple[Attention, ...] | None = None
    preprocessing: Preprocessing | None = None
    label: Name | None = None
    seeds: Annotated[tuple[Seed, ...], Once] = ()
    pretraining: Name | None = None
    gate: GateHeld | None = None
    gate_of: Name | None = None

    @property
    def called(self) -> str:
        """What the network is called in arrays and figures; what its seeds share, of a section with several."""
        name = self.label or label_of(self.name)
        if self.seeds:
            return f"{name}/{self.start}"
        return self.label or (f"{name}/{self.start}/{self.seed}" if self.pretraining else name)

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
        return f"weights/{self.trained_as}.safetensors"

    @property
    def trained_as(self) -> str:
        """Which network of the study learns its weights: itself, or the one whose gate is held."""
        return self.gate_of or self.called

    @property
    def log_file(self) -> str:
        """Where the log of its training is kept, in the study's output folder."""
        return f"weights/{self.trained_as}.csv"

    @property
    def names(self) -> list[str]:
        """What `inference` may call it: itself; of a network that is one of several, also what they share."""
        if not self.seeds and not self.pretraining:
            return [self.called]
        return [self.label or label_of(self.name), self.called, *(f"{self.called}/{seed}" for seed in self.seeds)]

    @property
    def blocks(self) -> tuple[Attention, ...]:
        """The feature-excitation blocks it is asked to have; one after pool5 if it may have one and none is asked."""
        if self.attention is None:
            return (Attention(),) if self.may_attend else ()
        return self.attention if isinstance(self.attention, tuple) else (self.attention,)

    @property
    def may_attend(self) -> bool:
        """Whether it may have feature-excitation blocks."""
        return self.name in NETWORKS and NETWORKS[self.name].attention

    @property
    def layer_names(self) -> list[str]:
        """The names of its layers; of all blocks that its weights' file may hold, where none is asked.

        Of a callable's network none is known before it is built, which reading a study does not do.
        """
        if is_reference(self.name):
            from rsa_face.networks.reference import known_layers

            return known_layers(self.name)
        names = layer_names(self.name, [block.position for block in self.blocks])
        if self.may_attend and self.attention is None and self.weights not in ("random", "imagenet"):
            names += [f"{kind}_{position}" for position in POSITION_CHANNELS for kind in ("fe_gate", "fe")]
        return names

    @property
    def flat_layers(self) -> list[str]:
        """The names of those of its layers that have no rows and columns."""
        if is_reference(self.name):
            return []
        names = layer_names(self.name, [block.position for block in self.blocks])
        return [name for name in names if name.startswith("fe_gate")] + names[names.index("fc6") :]

    def has_layer(self, layer: str) -> bool:
        """Return whether it has a layer of some name, or, of a network by reference, any that a pattern means."""
        if not is_reference(self.name):
            return layer in self.layer_names
        from rsa_face.networks.reference import has_layer

        return has_layer(self.name, layer)

    @model_validator(mode="before")
    @classmethod
    def _builders_bring_weights(cls, values: Any) -> Any:
        if isinstance(values, dict) and isinstance(name := values.get("name"), str) and is_builder(name):
            return {"weights": LIBRARY, **values}
        return values

    @model_validator(mode="after")
    def _says_whose_training(self) -> Self:
        if self.trained is not None and not is_builder(self.name):
            message = f"trained is for callables; whether {self.name} is trained follows from its weights; remove it"
            raise ValueError(message)
        if self.weights == LIBRARY and not is_reference(self.name):
            message = f"weights are {LIBRARY!r}, which is for networks by reference; write imagenet"
            raise ValueError(message)
        return self

    @model_validator(mode="after")
    def _files_can_be_called_so(self) -> Self:
        for name in self.names:
            check_name(name, "the name", nested=True)
        return self

    @model_validator(mode="after")
    def _attends_in_its_places(self) -> Self:
        if self.attention is not None and not self.may_attend:
            message = f"attention is for {ATTENTIVE} alone, not for {self.name}; remove it, or change the name"
            raise ValueError(message)
        twice = repeated([block.position for block in self.blocks])
        if twice:
            message = f"several attention blocks are at {twice}; move one"
            raise ValueError(message)
        return self


class TrainingSection(Recipe):
    """How all networks are trained to tell happy from sad; see `rsa_face.training.settings.TrainingSettings`.

    `held_out` are faces of other identities to judge in the end: a table, or ``stimuli``, the study's own. `made_by`
    is the command that makes the table, named where the table is missing. `restart` says what starts from the seed,
    whatever the weights hold: the ``last`` layer, or the whole ``classifier``, that is, all fully connected layers.
    """

    made_by: str | None = None
    table: ExistingPath
    kind: Literal["table", "folder", "affectnet-csv", "affectnet-npy"] = "table"
    rule: dict[str, str] = Field({})
    restart: Literal["last", "classifier"] = "last"
    held_out: HeldOut = "stimuli"
    held_out_label: str = "level"

    def settings(self, seed: int) -> TrainingSettings:
        """Return how one network is trained."""
        return TrainingSettings(**{name: getattr(self, name) for name in Recipe.model_fields}, seed=seed)


class ActivationsSection(Settings):
    """Which layers are recorded, and whether they are stored: without a store, RDMs are streamed.

    `where` picks the stimuli that RDMs are of, by factors: masked faces that nobody judged need none. `pool` takes of
    each layer the ``mean`` over places or tokens, or a transformer's ``class`` token.
    """

    store: PathToWrite | None = None
    where: dict[str, Value | tuple[Value, ...]] = Field(default={})
    layers: Layers = "main"
    pool: Literal["none", "mean", "class"] = "none"
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


class StudyLayout(Layout):
    """What cannot be known from a file of trials alone; its files are relative to the study file."""

    participants: Literal["none"] | ExistingPath | None = None
    rename: ExistingPath | None = None


class HumanSection(Settings):
    """The human data, what kind they are, and which stimuli they are about.

    `table` may be several files, a folder, or a name with ``*``. `layout`, `ids` and `options` are those of
    `rsa_face.read_human` (files written before these were keys have the first two among the options).
    """

    table: Tables
    kind: HumanKind
    where: dict[str, str | float] = Field({})
    layout: StudyLayout | None = None
    ids: Ids = None
    options: dict[str, Any] = Field({})

    @model_validator(mode="before")
    @classmethod
    def _lift(cls, values: Any) -> Any:
        """Take layout and ids out of the options, where they once were."""
        options = values.get("options") if isinstance(values, dict) else None
        if not isinstance(options, dict):
            return values
        lifted = {name: options[name] for name in ("layout", "ids") if name in options and name not in values}
        return {**values, **lifted, "options": {k: v for k, v in options.items() if k not in lifted}}

    @model_validator(mode="after")
    def _check_options(self) -> Self:
        KINDS[self.kind].options.of(self.options)
        return self


class PsychophysicsSection(ChoiceWords):
    """Choices between two answers along a morph: people's psychometric curves, and the trained networks'.

    Without a table of people's choices the curves are the networks' alone. `table` may be several files, a folder, or
    a name with ``*``, laid out as `layout` says; `answers` names others than happy and sad, and `variable`, `unit`
    and `condition` how levels and conditions are called.
    """

    table: Tables | None = None
    layout: StudyLayout | None = None
    curve: Curve = Curve()

    @property
    def reading(self) -> dict[str, Any]:
        """What `rsa_face.read_choices` is given beside the table."""
        words = {name: getattr(self, name) for name in ("answers", "variable", "unit", "condition")}
        return {"layout": self.layout, **words}


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


class PeopleSection(Settings):
    """Two groups of participants to compare: the factor that says who is in which, and the second is subtracted."""

    factor: str
    people: tuple[str, str] | None = None


class InferenceSection(Settings):
    """How layers and people are compared, and how sure one wants to be.

    `network` is held against `baseline` layer by layer, where the study has both; `controls` are RDMs whose share in
    a similarity is taken out: ``pixels``, a factor of the stimulus table, or a file. `pretrainings` are the two that
    are compared within an architecture, the second subtracted. `groups` is the factor whose values are drawn with all
    their stimuli: ``auto`` is `identity`, where identities have several stimuli (`choose_groups`); ``none`` draws
    stimuli one by one. `contrast_groups` names the factor of participants, such as the diagnosis, whose two groups
    are compared; a table of participants (`layout`) says who belongs to which.
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
    contrast_groups: PeopleSection | None = None

    @field_validator("groups")
    @classmethod
    def _none_is_none(cls, groups: str | None) -> str | None:
        return None if groups == "none" else groups

    @property
    def method(self) -> str:
        """How p values are corrected: by the largest over layers; without draws, by Holm."""
        return self.correction or ("max" if self.resample else "holm")


class ExclusionSection(Settings):
    """What one of several analyses leaves out: participants by name, stimuli by the values of factors."""

    participants: tuple[str, ...] = ()
    stimuli: dict[str, Value | tuple[Value, ...]] = Field(default={})


class MultiverseSection(Settings):
    """Analyses that could have been made as well: of each kind, those beside the study's own.

    `layers` are sets of layers by name, as patterns of layers' names (``relu: ["relu*"]``); `controls` lists of
    control RDMs that are taken out together; `exclusions` what is left out, by name.
    """

    measure: Annotated[tuple[MeasureName, ...], Once] = ()
    comparison: Annotated[tuple[ComparisonName, ...], Once] = ()
    layers: dict[Name, Layers] = Field(default={})
    controls: tuple[tuple[Control, ...], ...] = ()
    exclusions: dict[Name, ExclusionSection] = Field(default={})
    draws: Annotated[int, Field(ge=20)] = 200


class PlanningSection(Settings):
    """Whether the design can tell layers apart: recovery, stability, and the people and stimuli that it would take.

    `simulations` are those for each layer (0: none), of people who agree as the study's do; `reweight` fits weights
    in them as well. `halves` is how often stimuli are halved. `participants` and `stimuli` (in groups, where they are
    drawn in groups) are the numbers to plan for, and `power` is what they are to reach.
    """

    simulations: Annotated[int, Field(ge=0)] = 100
    reweight: bool = True
    halves: Annotated[int, Field(ge=0)] = 50
    power: Annotated[float, Field(gt=0, lt=1)] = 0.8
    participants: tuple[Annotated[int, Field(ge=3)], ...] | None = None
    stimuli: tuple[Annotated[int, Field(ge=5)], ...] | None = None


Loc = tuple[int | str, ...]
_FORMS = ("str", "int", "float", "bool")
_ALSO_CALLED = {"psychophysics": ("choices",)}  # what the section was called at first
_PSYCHOPHYSICS = AliasChoices("psychophysics", *_ALSO_CALLED["psychophysics"])


class Study(Settings):
    """A whole study, as its file describes it; made by `load_study`.

    `caveats` are sentences on what it cannot say, and whom to credit, for its report.
    """

    name: StudyName
    caveats: tuple[str, ...] = ()
    stimuli: StimuliSection
    networks: Annotated[tuple[NetworkSection, ...], Field(min_length=1)]
    training: TrainingSection | None = None
    activations: ActivationsSection = ActivationsSection()
    rdms: RdmsSection = RdmsSection()
    human: HumanSection | None = None
    inference: InferenceSection = InferenceSection()
    planning: PlanningSection = PlanningSection()
    psychophysics: PsychophysicsSection | None = Field(None, validation_alias=_PSYCHOPHYSICS)
    saliency: SaliencySection | None = None
    multiverse: MultiverseSection | None = None
    cluster: Cluster | None = None
    output: PathToWrite

    def _repr_html_(self) -> str:
        """Show the study file in a notebook."""
        text = yaml.safe_dump(self.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
        return f"<pre>{escape(text)}</pre>"

    @field_validator("networks")
    @classmethod
    def _names_differ(cls, networks: tuple[NetworkSection, ...]) -> tuple[NetworkSection, ...]:
        files = [same_file(one_part(network.called)) for network in networks]
        twins = {network.called for network, file in zip(networks, files, strict=True) if files.count(file) > 1}
        if twins:
            message = f"have the names {sorted(twins)} more than once; give each a label"
            raise ValueError(message)
        return networks


def load_study(study: str | Path, *, output: str | Path | None = None, weights: str | Path | None = None) -> Study:
    """Read a study file, and report everything that is wrong with it at once.

    Paths in it are relative to its folder; ``package:`` names a file that comes with rsa_face. An embedded study
    (``demo``) is read as if it lay in the current folder.

    Parameters
    ----------
    study : str or Path
        A YAML file, or the name of an embedded study.
    output : str or Path, optional
        A folder to write to instead of the study's own.
    weights : str or Path, optional
        A folder of ImageNet weights, for a machine without a network: each network whose weights are ``imagenet``
        takes ``vgg16_conv_imagenet.safetensors``, ``vgg16_imagenet.safetensors`` or torchvision's own
        ``vgg16-397923af.pth``, the first there is. Convolutions are enough where the classifier starts from the seed.

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
        each with its line. Where the sections are right, also if one asks of the networks a layer or a name that
        they do not have.

    Examples
    --------
    >>> study = load_study("demo")
    >>> [network.name for network in study.networks]
    ['alexnet', 'vgg11', 'vgg13', 'vgg16', 'fe_alexnet']
    """
    path, base = _find(study)
    tree, values = read_yaml(path, "A study file")
    if not isinstance(values, dict):
        message = f"{path.name} has no keys and values. Is it the right file?"
        raise ValueError(message)
    if output is not None:
        values["output"] = str(Path(output).absolute())
    try:
        read = Study.model_validate(values, context={"base": base})
    except ValidationError as error:
        raise _wrong(list(_faults(error, tree, path.name)), path) from error
    if weights is not None:
        read = read.model_copy(update={"networks": tuple(_from_folder(one, Path(weights)) for one in read.networks)})
    faults = [_at_line(loc, message, tree, path.name) for loc, message in _misfits(read)]
    if faults:
        raise _wrong(faults, path)
    return read


def _from_folder(section: NetworkSection, folder: Path) -> NetworkSection:
    """Return a network that takes ImageNet weights from a folder; it is called as if they were downloaded."""
    if section.weights != "imagenet":
        return section
    known = NETWORKS.get(section.name)
    builder = known.builder if known else label_of(section.name)
    names = (f"{builder}_conv_imagenet.safetensors", f"{builder}_imagenet.safetensors", f"{builder}-*.pth")
    files = [file for name in names for file in sorted(folder.glob(name))]
    if not files:
        message = f"{str(folder)!r} holds no ImageNet weights of {builder}: none of {', '.join(names)}. Name another."
        raise FileNotFoundError(message)
    named = {"pretraining": section.start} if section.seeds else {}  # others are not called by their weights
    return section.model_copy(update={"weights": str(files[0].absolute()), **named})


def networks_of(study: Study) -> tuple[NetworkSection, ...]:
    """Return a section for each network: one that names several seeds stands for as many networks.

    Each has one seed, and is called ``<name>/<pretraining>/<seed>`` where it has several or a `pretraining`.
    """
    each: list[NetworkSection] = []
    for section in study.networks:
        if not section.seeds:
            each.append(section)
        for seed in section.seeds:
            label = f"{section.called}/{seed}"
            gate_of = section.gate_of and f"{section.gate_of}/{section.start}/{seed}"
            each.append(section.model_copy(update={"seed": seed, "seeds": (), "label": label, "gate_of": gate_of}))
    return tuple(each)


def recorded_study(record: Any) -> Study | None:
    """Return the study that a manifest records, whose files need not exist any more; None where it records none."""
    try:
        return Study.model_validate(record, context={"recorded": True})
    except ValidationError:
        return None


def embedded_studies() -> list[str]:
    """Return the names of the studies that come with the package."""
    return sorted(file.stem for file in STUDIES.glob("*.yaml"))


def _find(study: str | Path) -> tuple[Path, Path]:
    path = Path(study)
    if path.is_file():
        return path, path.absolute().parent
    if str(study) in embedded_studies():
        return STUDIES / f"{study}.yaml", Path.cwd()
    fault = f"{str(study)!r} is a folder" if path.is_dir() else f"No such study: {str(study)!r}"
    message = f"{fault}; name a YAML file or one of {', '.join(embedded_studies())}."
    raise FileNotFoundError(message)


def _misfits(study: Study) -> Iterator[tuple[Loc, str]]:
    """Yield what the sections ask of the networks that these do not have, and where it stands."""
    common = [network for network in study.networks if network.layers is None]
    for loc, layer in _places(("activations", "layers"), study.activations.layers):
        then = "main, all or layers that every network has, or `layers` to single networks"
        yield from _lacking(common, loc, layer, then)
    for place, network in enumerate(study.networks):
        for loc, layer in _places(("networks", place, "layers"), network.layers or ()):
            yield from _lacking([network], loc, layer, "main, all or layers that it has")
    if study.training is not None and study.training.freeze not in ("none", "features"):
        loc = ("training", "freeze")
        then = "none, features or a layer that every network has"
        yield from _lacking(study.networks, loc, study.training.freeze, then)
    if study.saliency is not None and study.saliency.layer != "last":
        yield from _unmapped(study, study.saliency.layer)
    yield from _unmeasured(study)
    yield from _ungated(study)
    yield from _strangers(study)


def _places(loc: Loc, names: str | tuple[str, ...]) -> Iterator[tuple[Loc, str]]:
    """Yield each name, of one or of a list, and where it stands; ``main`` and ``all`` stand for layers."""
    if names in ("main", "all"):
        return
    yield from ((loc, names),) if isinstance(names, str) else (((*loc, at), name) for at, name in enumerate(names))


def layers_of(study: Study, network: NetworkSection) -> str | list[str]:
    """Return which layers of a network a study records: its own choice, or that of `activations`."""
    layers = network.layers or study.activations.layers
    return layers if isinstance(layers, str) else list(layers)


def _lacking(networks: Sequence[NetworkSection], loc: Loc, layer: str, choices: str) -> Iterator[tuple[Loc, str]]:
    without = [network for network in networks if not is_builder(network.name) and not network.has_layer(layer)]
    if without:
        names = ", ".join(network.called for network in without)
        yield loc, f"{names} has no {layer!r}; give {choices}. {_layers_of(without[0])}"


def _unmeasured(study: Study) -> Iterator[tuple[Loc, str]]:
    """Yield the layers that a measure is set for and that no network records."""
    measures = study.rdms.measure if isinstance(study.rdms.measure, dict) else {}
    recorded = {network.called: _recorded(study, network) for network in study.networks}
    for key in measures:
        network, _, layer = key.rpartition("/")
        whose = [recorded[name] for name in recorded if not network or network == name or network.startswith(name)]
        builders = any(is_builder(network.name) for network in study.networks)
        if key != "default" and not builders and not any(layer in layers for layers in whose):
            message = f"is {key!r}, not default or a layer that is recorded"
            yield ("rdms", "measure", key), f"{message}. {_layers_of(study.networks[0])}"


def _recorded(study: Study, network: NetworkSection) -> list[str]:
    layers = layers_of(study, network)
    if is_reference(network.name) or layers == "all":
        return network.layer_names
    if layers == "main":
        main = [name for name in network.layer_names if name.startswith(("relu", "fe")) and "gate" not in name]
        return [*main, "fc8"]
    return [layers] if isinstance(layers, str) else layers


def _unmapped(study: Study, layers: str | tuple[str, ...]) -> Iterator[tuple[Loc, str]]:
    names = [layers] if isinstance(layers, str) else list(layers)
    for network in (network for network in study.networks if not is_builder(network.name)):
        layer = next((name for name in names if name in network.layer_names), None)
        if layer is None:
            message = f"{network.called} has none of {names}; give last, or a layer of every network"
            yield ("saliency", "layer"), f"{message}. {_layers_of(network)}"
        elif layer in network.flat_layers:
            message = f"{layer!r} of {network.called} has no rows and columns"
            yield ("saliency", "layer"), f"{message}. {_layers_of(network)}"


def _ungated(study: Study) -> Iterator[tuple[Loc, str]]:
    """Yield the networks whose gates are held in a network that the study does not train."""
    trained = {one.called: one for one in networks_of(study) if one.gate is None}
    for place, section in enumerate(study.networks):
        if (section.gate is None) != (section.gate_of is None):
            yield ("networks", place), "has one of gate and gate_of; give both, or neither"
        if section.gate is None or section.gate_of is None:
            continue
        loc = ("networks", place, "gate_of")
        if study.training is None:
            yield loc, "names a network that is trained, and the study has no training"
        for one in networks_of(study.model_copy(update={"networks": (section,)})):
            whose = trained.get(str(one.gate_of))
            if whose is None or not whose.blocks:
                yield loc, f"there is no {one.gate_of!r} with a gate; there are {', '.join(trained)}"
            elif whose.blocks != one.blocks:
                yield ("networks", place, "attention"), f"differs from that of {one.gate_of!r}, whose gate it holds"


def _strangers(study: Study) -> Iterator[tuple[Loc, str]]:
    known = list(dict.fromkeys(name for network in study.networks for name in network.names))
    for key in sorted({"network", "baseline"} & study.inference.model_fields_set):
        network = getattr(study.inference, key)
        if network not in known:
            message = f"is {network!r}, not one of the study's networks, {', '.join(known)}"
            yield ("inference", key), message
    starts = list(dict.fromkeys(network.start for network in study.networks))
    unknown = [name for name in study.inference.pretrainings or () if name not in starts]
    if unknown:
        message = f"has {unknown}, not two of the networks' pre-trainings, {', '.join(starts)}"
        yield ("inference", "pretrainings"), message


def _layers_of(network: NetworkSection) -> str:
    names = network.layer_names
    more = f" ... ({len(names)} in all, see `rsa-face layers {network.name}`)" if len(names) > _MOST_LAYERS else ""
    return f"{network.called} has {' '.join(names[:_MOST_LAYERS])}{more}"


def _wrong(faults: list[str], path: Path) -> ValueError:
    message = f"{path.name} has {len(faults)} fault(s), so nothing was run:\n"
    return ValueError(message + "\n".join(sorted(faults, key=_line_of)))


def _faults(error: ValidationError, tree: yaml.Node | None, name: str) -> Iterator[str]:
    """Yield a line for each place that is wrong; where a value may be of several forms, for the one that is meant."""
    places: dict[Loc, list[Any]] = {}
    for fault in error.errors():
        places.setdefault(_keys_of(fault["loc"]), []).append(fault)
    for loc, faults in places.items():
        if any(len(other) > len(loc) and other[: len(loc)] == loc for other in places):
            continue  # of a form that was not meant: what is wrong stands further inside
        message = in_words(faults)
        if any(fault["type"] == "extra_forbidden" for fault in faults):
            message += f"; the keys are {', '.join(_section_at(loc[:-1]).model_fields)}"
        yield _at_line(loc, message + _with_its_key(loc, faults), tree, name)


def _with_its_key(loc: Loc, faults: list[Any]) -> str:
    """Return how to write what stands alone where a section must: ``{name: alexnet}`` for ``alexnet``."""
    value = faults[0]["input"]
    if not isinstance(value, str) or {fault["type"] for fault in faults} - {"model_type", "model_attributes_type"}:
        return ""
    needed = [name for name, field in _section_at(loc).model_fields.items() if field.is_required()]
    return f"; write {{{needed[0]}: {value}}}" if needed else ""


def _keys_of(loc: Loc) -> Loc:
    """Return a place without what pydantic says of the form that it tried there."""
    return tuple(
        part
        for part in loc
        if isinstance(part, int) or (part.isidentifier() and part.islower() and part not in _FORMS)
    )


def _section_at(loc: Loc) -> type[BaseModel]:
    """Return the model of the section at some place."""
    section: type[BaseModel] = Study
    for part in loc:
        fields = section.model_fields
        named = next((name for name in fields if part in (name, *_ALSO_CALLED.get(name, ()))), None)
        section = next(_models_in(fields[named].annotation), section) if named else section
    return section


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def _at_line(loc: Loc, message: str, tree: yaml.Node | None, name: str) -> str:
    where = ".".join(str(part) for part in loc) or "the study"
    return f"  {name}, line {_line(tree, loc)}: {where}: {message}"


def _line(tree: yaml.Node | None, loc: Loc) -> int:
    node, line = tree, 1
    for part in loc:
        child = next(_children(node, part), None)
        if child is None:
            break
        line, node = child
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


@dataclass(frozen=True, eq=False)
class Example:
    """What an embedded study is made of.

    Parameters
    ----------
    study : Study
        The study, for `run_study`.
    stimuli : StimulusSet
        Its faces.
    human : DataArray, dims (participant, stimulus_i, stimulus_j)
        Its human RDMs.
    """

    study: Study
    stimuli: StimulusSet
    human: xr.DataArray

    def __repr__(self) -> str:
        people = f"{self.human.sizes['participant']} simulated observers"
        networks = ", ".join(self.networks)
        return f"<Example {self.study.name!r}: {len(self.stimuli)} faces, {people}, networks {networks}>"

    @property
    def networks(self) -> tuple[str, ...]:
        """The names of its networks."""
        return tuple(section.called for section in self.study.networks)

    def network(self, name: str = "fe_alexnet") -> "Network":
        """Build one of its networks, untrained, with the preprocessing of the study."""
        from rsa_face.networks.zoo import build_network

        must_be_known(name, self.networks, "network")
        section = self.study.networks[self.networks.index(name)]
        return build_network(
            section.name,
            seed=section.seed,
            attention=section.attention,
            preprocessing=section.preprocessing,
            label=section.called,
        )

    def trained_network(self, name: str = "fe_alexnet", *, folder: str | Path | None = None) -> "Network":
        """Train one of its networks as the study does, on other faces: seconds for an AlexNet, a minute for VGG16.

        The weights are those of the study, to the bit. `folder` keeps them, and is read rather than trained again.
        """
        from rsa_face.training.data import read_training
        from rsa_face.training.loop import train_valence

        start, training = self.network(name), self.study.training
        assert training is not None  # every example trains its networks
        faces = read_training(training.table, label=training.label, classes=training.classes)
        seed = self.study.networks[self.networks.index(name)].seed
        return train_valence(start, faces, settings=training.settings(seed), folder=folder).network


def example(name: str = "demo") -> Example:
    """Return the stimuli, human RDMs and networks of an embedded study, to try the package on.

    Everything comes with the package; nothing is downloaded, written or trained. The faces are rendered and the
    observers simulated, so the numbers say nothing about people.

    Parameters
    ----------
    name : {"demo"}
        Which study: 6 identities at 9 levels from sad to happy, rated by 20 simulated observers.

    Returns
    -------
    Example
        With ``stimuli``, ``human``, ``network(name)``, ``trained_network(name)`` and ``study``.

    Raises
    ------
    ValueError
        If there is no such example.

    Examples
    --------
    >>> demo = example("demo")
    >>> demo
    <Example 'demo': 54 faces, 20 simulated observers, networks alexnet, vgg11, vgg13, vgg16, fe_alexnet>
    >>> demo.stimuli.ids[:2]
    ['face01_sad100', 'face01_sad075']
    >>> dict(demo.human.sizes)
    {'participant': 20, 'stimulus_i': 54, 'stimulus_j': 54}
    """
    from rsa_face.human.read import read_human

    must_be_known(name, ("demo",), "example")
    study = load_study(name)
    stimuli = read_stimuli(study.stimuli.table)
    section = study.model_dump()["human"]
    human = read_human(section["table"], kind=section["kind"], options=section["options"], stimuli=stimuli.ids)
    places = [stimuli.ids.index(str(stimulus)) for stimulus in human[STIMULUS_I].values]
    factors = {factor: (STIMULUS_I, stimuli.table[factor].to_numpy()[places]) for factor in ("identity", "level")}
    return Example(study, stimuli, human.assign_coords(factors))
