"""The study file: what it may say, checked whole before anything runs, every fault with its line."""

import re
from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import AliasChoices, BaseModel, Field, ValidationError, field_validator

from rsa_face.safety import one_part, same_file
from rsa_face.settings import Settings, in_words
from rsa_face.study.sections import (
    ActivationsSection,
    HumanSection,
    InferenceSection,
    NetworkSection,
    PsychophysicsSection,
    RdmsSection,
    SaliencySection,
    StimuliSection,
    TrainingSection,
)
from rsa_face.study.values import STUDIES, Cluster, PathToWrite, StudyName
from rsa_face.untrusted import read_yaml

Loc = tuple[int | str, ...]
_FORMS = ("str", "int", "float", "bool")
_KEY = re.compile(r"[a-z_]\w*")

_ALSO_CALLED = {"psychophysics": ("choices",)}  # what the section was called at first
_PSYCHOPHYSICS = AliasChoices("psychophysics", *_ALSO_CALLED["psychophysics"])


class Study(Settings):
    """A whole study, as its file describes it; made by `load_study`."""

    name: StudyName
    stimuli: StimuliSection
    networks: Annotated[tuple[NetworkSection, ...], Field(min_length=1)]
    training: TrainingSection | None = None
    activations: ActivationsSection = ActivationsSection()
    rdms: RdmsSection = RdmsSection()
    human: HumanSection | None = None
    inference: InferenceSection = InferenceSection()
    psychophysics: PsychophysicsSection | None = Field(None, validation_alias=_PSYCHOPHYSICS)
    saliency: SaliencySection | None = None
    cluster: Cluster | None = None
    output: PathToWrite

    def _repr_html_(self) -> str:
        """Show the study file in a notebook."""
        said = yaml.safe_dump(self.model_dump(mode="json", exclude_defaults=True), sort_keys=False)
        return f"<pre>{escape(said)}</pre>"

    @field_validator("networks")
    @classmethod
    def _names_differ(cls, networks: tuple[NetworkSection, ...]) -> tuple[NetworkSection, ...]:
        files = [same_file(one_part(network.called)) for network in networks]
        twins = {network.called for network, file in zip(networks, files, strict=True) if files.count(file) > 1}
        if twins:
            message = f"have the names {sorted(twins)} more than once; give each a label"
            raise ValueError(message)
        return networks


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
        each with its line. Where the sections are right, also if one asks of the networks a layer or a name that
        they do not have.
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
    faults = [_said(loc, message, tree, path.name) for loc, message in _misfits(read)]
    if faults:
        raise _wrong(faults, path)
    return read


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
            each.append(section.model_copy(update={"seed": seed, "seeds": (), "label": label}))
    return tuple(each)


def recorded_study(record: Any) -> Study | None:
    """Return the study that a manifest records, whose files need not exist any more; None where it records none."""
    try:
        return Study.model_validate(record, context={"recorded": True})
    except ValidationError:
        return None


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
    found = f"{str(study)!r} is a folder" if path.is_dir() else f"No such study: {str(study)!r}"
    message = f"{found}; name a YAML file or one of {', '.join(embedded_studies())}."
    raise FileNotFoundError(message)


def _misfits(study: Study) -> Iterator[tuple[Loc, str]]:
    """Yield what the sections ask of the networks that these do not have, and where it stands."""
    recorded = study.activations.layers
    for loc, asked in _places(("activations", "layers"), () if recorded in ("main", "all") else recorded):
        yield from _lacking(study, loc, asked, "main, all or layers that every network has")
    if study.training is not None and study.training.freeze not in ("none", "features"):
        loc = ("training", "freeze")
        yield from _lacking(study, loc, study.training.freeze, "none, features or a layer that every network has")
    if study.saliency is not None and study.saliency.layer != "last":
        yield from _unmapped(study, study.saliency.layer)
    yield from _unmeasured(study)
    yield from _strangers(study)


def _places(loc: Loc, names: str | tuple[str, ...]) -> Iterator[tuple[Loc, str]]:
    yield from ((loc, names),) if isinstance(names, str) else (((*loc, at), name) for at, name in enumerate(names))


def _lacking(study: Study, loc: Loc, layer: str, choices: str) -> Iterator[tuple[Loc, str]]:
    without = [network for network in study.networks if layer not in network.layers]
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
        if key != "default" and not any(layer in layers for layers in whose):
            message = f"is {key!r}, not default or a layer that is recorded"
            yield ("rdms", "measure", key), f"{message}. {_layers_of(study.networks[0])}"


def _recorded(study: Study, network: NetworkSection) -> list[str]:
    asked = study.activations.layers
    if asked == "main":
        return [name for name in network.layers if name.startswith(("relu", "fe")) and "gate" not in name] + ["fc8"]
    return network.layers if asked == "all" else [asked] if isinstance(asked, str) else list(asked)


def _unmapped(study: Study, layers: str | tuple[str, ...]) -> Iterator[tuple[Loc, str]]:
    names = [layers] if isinstance(layers, str) else list(layers)
    for network in study.networks:
        layer = next((name for name in names if name in network.layers), None)
        if layer is None:
            message = f"{network.called} has none of {names}; give last, or a layer of every network"
            yield ("saliency", "layer"), f"{message}. {_layers_of(network)}"
        elif layer in network.flat_layers:
            message = f"{layer!r} of {network.called} has no rows and columns"
            yield ("saliency", "layer"), f"{message}. {_layers_of(network)}"


def _strangers(study: Study) -> Iterator[tuple[Loc, str]]:
    known = list(dict.fromkeys(name for network in study.networks for name in network.names))
    for key in sorted({"network", "baseline"} & study.inference.model_fields_set):
        asked = getattr(study.inference, key)
        if asked not in known:
            message = f"is {asked!r}, not one of the study's networks, {', '.join(known)}"
            yield ("inference", key), message
    starts = list(dict.fromkeys(network.start for network in study.networks))
    unknown = [name for name in study.inference.pretrainings or () if name not in starts]
    if unknown:
        message = f"has {unknown}, not two of the networks' pre-trainings, {', '.join(starts)}"
        yield ("inference", "pretrainings"), message


def _layers_of(network: NetworkSection) -> str:
    return f"{network.called} has {' '.join(network.layers)}"


def _wrong(faults: list[str], path: Path) -> ValueError:
    message = f"{path.name} has {len(faults)} fault(s), so nothing was run:\n"
    return ValueError(message + "\n".join(sorted(faults, key=_line_of)))


def _faults(error: ValidationError, tree: yaml.Node | None, name: str) -> Iterator[str]:
    """Yield a line for each place that is wrong; where a value may be of several forms, for the one that is meant."""
    found: dict[Loc, list[Any]] = {}
    for fault in error.errors():
        found.setdefault(_keys_of(fault["loc"]), []).append(fault)
    for loc, faults in found.items():
        if any(len(other) > len(loc) and other[: len(loc)] == loc for other in found):
            continue
        said = in_words(faults)
        if any(fault["type"] == "extra_forbidden" for fault in faults):
            said += f"; the keys are {', '.join(_section_at(loc[:-1]).model_fields)}"
        said += _with_its_key(loc, faults)
        yield _said(loc, said, tree, name)


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


def _said(loc: Loc, said: str, tree: yaml.Node | None, name: str) -> str:
    where = ".".join(str(part) for part in loc) or "the study"
    return f"  {name}, line {_line(tree, loc)}: {where}: {said}"


def _line(tree: yaml.Node | None, loc: Loc) -> int:
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
