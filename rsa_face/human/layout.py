"""How a laboratory's file is laid out: what its columns are called, which rows count, who the participants are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from rsa_face.settings import in_words

Settings = TypeVar("Settings", bound=BaseModel)


class Layout(BaseModel):
    """What cannot be known from a file of trials alone.

    A file with the columns this package expects needs none of it.

    Parameters
    ----------
    columns : dict of str to str or tuple of str
        Our name of a column -> its name in the file. Several names are joined by ``_`` into one id:
        ``{"stimulus": ("identity", "emotion", "level")}``.
    names : tuple of str, optional
        The columns' names, for a file without a header line.
    keep : dict of str to tuple of str
        Column of the file -> the values whose rows are read; the others are counted and left out.
    drop : dict of str to tuple of str
        Column of the file -> the values whose rows are left out (time-outs, catch trials), and counted.
    by : str, optional
        A factor's column in the file, such as occlusion: one RDM per participant and level of it. ``repeat``, where
        the file has no such column, parts the repeats of the same trial: the first, third ... and the others.
    group : bool
        The file has no participants: it is read as one pseudo-participant, ``group``.
    participants : Path, optional
        A table with the column `participant` and what is known of each (`group`, ...), all of them.
    rename : Path, optional
        A table of two columns: the file's stimulus id, and the id it has elsewhere.
    separator : str, optional
        Between columns; found out from the header if not given.
    encoding : str, optional
        Of the text; UTF-8, or UTF-16 if the file begins with its mark, if not given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    columns: dict[str, str | tuple[str, ...]] = {}
    names: tuple[str, ...] | None = None
    keep: dict[str, tuple[str, ...]] = {}
    drop: dict[str, tuple[str, ...]] = {}
    by: str | None = None
    group: bool = False
    participants: Path | None = None
    rename: Path | None = None
    separator: str | None = None
    encoding: str | None = None

    @field_validator("keep", "drop", mode="before")
    @classmethod
    def _as_lists(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        return {str(k): tuple(map(_text, v if isinstance(v, list | tuple) else [v])) for k, v in value.items()}


@dataclass(frozen=True)
class Source:
    """The files to read, and what is known before they are opened.

    Parameters
    ----------
    paths : tuple of Path
        One file, or several that belong together.
    kind : str
        The kind of judgement.
    layout : Layout
        How the files are laid out.
    stimuli : tuple of str, optional
        The ids there are, in the order asked for.
    ids : tuple of str, optional
        What the rows of a file without ids are called, in their order.
    """

    paths: tuple[Path, ...]
    kind: str
    layout: Layout = field(default_factory=Layout)
    stimuli: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None

    @property
    def name(self) -> str:
        """The files' names, for an error."""
        return ", ".join(path.name for path in self.paths)

    @classmethod
    def of(cls, path: str | Path | Sequence[str | Path], kind: str, layout: Layout) -> Self:
        """Return the source of one or several files, all of which must exist.

        Parameters
        ----------
        path : str, Path, or sequence of these
            The file or files.
        kind : str
            The kind of judgement.
        layout : Layout
            How the files are laid out.

        Returns
        -------
        Source
            With no stimuli known.

        Raises
        ------
        FileNotFoundError
            If a file is missing; all of them are named.
        """
        paths = tuple(Path(one) for one in ([path] if isinstance(path, str | Path) else path))
        absent = [str(one) for one in paths if not one.is_file()]
        if absent or not paths:
            message = f"Human data must exist to be read, but there is no file {absent}. Check the path."
            raise FileNotFoundError(message)
        return cls(paths, kind, layout)


def settings_of(given: Any, model: type[Settings], what: str) -> Settings:
    """Return settings checked against their model: all faults at once, by name.

    Parameters
    ----------
    given : Settings, mapping or None
        The settings, or a mapping of their names to values, or None for what holds by default.
    model : type of Settings
        The model.
    what : str
        What they are, for the error.

    Returns
    -------
    Settings
        Checked.

    Raises
    ------
    TypeError
        If neither settings of this model nor a mapping are given.
    ValueError
        If a name is unknown or a value impossible.
    """
    if isinstance(given, model):
        return given
    if given is not None and not isinstance(given, Mapping):
        message = f"{what} must be {model.__name__} or a mapping, but is {given!r}. Give a mapping."
        raise TypeError(message)
    try:
        return model.model_validate(dict(given or {}))
    except ValidationError as error:
        faults = [f"{'.'.join(map(str, fault['loc'])) or 'they'}: {in_words([fault])}" for fault in error.errors()]
        known = ", ".join(model.model_fields) or "none"
        message = f"{what} must be possible, but {'; '.join(sorted(faults)[:20])}. There are: {known}."
        raise ValueError(message) from error


def _text(value: Any) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value).strip()
