"""What a single value of a study file may be: a file that exists, a name, a device, bounds."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ValidationInfo

from rsa_face.safety import check_name, must_be_plain_names
from rsa_face.schema import COMPARISONS, NETWORKS
from rsa_face.settings import matching
from rsa_face.untrusted import in_short

PACKAGED = "package:"
STUDIES = Path(str(resources.files("rsa_face"))) / "studies"


def _resolved(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    if text.startswith(PACKAGED):
        return STUDIES / text.removeprefix(PACKAGED)
    with _on_a_disk(text):
        path = Path((info.context or {}).get("base", "")) / Path(text).expanduser()
        path.exists()
    return path


@contextmanager
def _on_a_disk(text: str) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError) as error:  # a name too long for any disk, the home of a user that is none
        message = f"is {text[:60]!r}, which cannot be a path: {in_short(error)}"
        raise ValueError(message) from error


def _existing(value: Any, info: ValidationInfo) -> Any:
    path = _resolved(value, info)
    recorded = bool((info.context or {}).get("recorded"))  # what a manifest says was there when the study ran
    if isinstance(path, Path) and not recorded and not path.exists():
        made_by = info.data.get("made_by")
        message = f"there is no file {str(path)!r}; {f'it is made by: {made_by}' if made_by else 'check the path'}"
        raise ValueError(message)
    return path


def _to_write(value: Any, info: ValidationInfo) -> Any:
    path = _resolved(value, info)
    if isinstance(path, Path) and path.is_file():
        message = f"is {str(path)!r}, a file; name a folder to write to"
        raise ValueError(message)
    return path


def _weights(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str) or value in ("random", "imagenet") or value.startswith("hf://"):
        return value
    try:
        return str(_existing(value, info))
    except ValueError as error:
        message = f"is not random, imagenet or hf://OWNER/REPO/FILE, and {error}"
        raise ValueError(message) from error


def _comparison(value: str) -> str:
    if value not in COMPARISONS:
        message = f"no comparison is named {value!r}; there are {', '.join(COMPARISONS)}"
        raise ValueError(message)
    return value


def _network(value: str) -> str:
    if value not in NETWORKS:
        message = f"no network is named {value!r}; there are {', '.join(NETWORKS)}"
        raise ValueError(message)
    return value


NetworkName = Annotated[str, AfterValidator(_network)]
ComparisonName = Annotated[str, AfterValidator(_comparison)]
ExistingPath = Annotated[Path, BeforeValidator(_existing)]
PathToWrite = Annotated[Path, BeforeValidator(_to_write)]


def _stimuli_or_existing(value: Any, info: ValidationInfo) -> Any:
    return value if value in ("stimuli", None) else _existing(value, info)


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
Value = str | float
