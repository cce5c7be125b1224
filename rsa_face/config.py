"""The study file: what it may say, checked whole before anything runs, every fault with its line."""

from collections.abc import Iterator
from html import escape
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import AliasChoices, Field, ValidationError, model_validator

from rsa_face.schema import repeated
from rsa_face.sections import (
    STUDIES,
    ActivationsSection,
    HumanSection,
    InferenceSection,
    NetworkSection,
    PathToWrite,
    PsychophysicsSection,
    RdmsSection,
    SaliencySection,
    Section,
    StimuliSection,
    TrainingSection,
)
from rsa_face.untrusted import read_yaml

_PSYCHOPHYSICS = AliasChoices("psychophysics", "choices")  # what the section was called at first


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
    psychophysics: PsychophysicsSection | None = Field(None, validation_alias=_PSYCHOPHYSICS)
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
    tree, values = read_yaml(path, "A study file")
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
