"""What commands share: options, words that complete, and how text, tables and figures come out."""

import json
import math
import re
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

# What a terminal obeys (escape sequences, backspaces), and what turns the reading direction of the text that follows.
_OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


SAID = threading.Event()
"""Whether this process has shown anything yet."""


def plain(text: object) -> str:
    r"""Return text for a terminal: control characters, which a name in a file may hold, are written out.

    Examples
    --------
    >>> print(plain("a\x1b[2Jb"))
    a\x1b[2Jb
    """
    return _OBEYED.sub(lambda match: match[0].encode("unicode_escape").decode(), str(text))


def say(*lines: object, err: bool = False) -> None:
    """Print lines on standard output, or on standard error, as plain text."""
    SAID.set()
    for line in lines:
        typer.echo(plain(line), err=err)


def say_json(content: Any) -> None:
    """Print JSON for another program: numbers that are not finite, which JSON does not have, as null."""
    say(json.dumps(_finite(content), allow_nan=False))


def _finite(content: Any) -> Any:
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Mapping):
        return {name: _finite(value) for name, value in content.items()}
    return [_finite(value) for value in content] if isinstance(content, list | tuple) else content


def print_table(
    columns: Iterable[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str,
    caption: str = "",
    words: Sequence[str] = (),
) -> None:
    """Print a table: columns of words, which `words` names, are aligned left, those of numbers right."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(plain(title)), caption=Text(plain(caption)) if caption else None)
    for name in columns:
        # a name is broken over lines rather than cut
        table.add_column(Text(plain(name)), justify="left" if name in words else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(cell)) for cell in row))
    Console().print(table)


def draw(
    plot: Callable[[], Any], path: Path, *, style: str = "nature", width: str | None = None, **options: Any
) -> list[Path]:
    """Draw a figure in a style, save it as `save_figure` does, and close it; return the files."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    from rsa_face.figures.layout import root_of, save_figure
    from rsa_face.figures.style import figure_style

    with figure_style(style, width=width):
        figure = root_of(plot())
        written = save_figure(figure, path, **options)
        plt.close(figure)
    return written


def split(text: str) -> list[str]:
    """Return the parts of a list with commas between.

    Examples
    --------
    >>> split("pdf, svg,")
    ['pdf', 'svg']
    """
    return [part.strip() for part in text.split(",") if part.strip()]


def numbers(text: str, option: str, *, most: int | None = None) -> list[float]:
    """Return the numbers of a list with commas between, or refuse the value of the option by name."""
    try:
        values = [float(part) for part in text.split(",")]
    except ValueError:
        values = []
    if not values or len(values) > (most or len(values)):
        several = (
            "or two with a comma between: 0.02, or 0,0.1" if most == 2 else "or several with commas between: -1,0,1"
        )
        message = f"--{option} is {text!r}. Give a number, {several}."
        raise ValueError(message)
    return values


def completing(*words: str, registry: str = "") -> Callable[[str], list[str]]:
    """Return what completes a value by some words and by the names in a registry, which is loaded only then."""

    def complete(incomplete: str) -> list[str]:
        module, _, name = registry.rpartition(".")
        names = [*words, *getattr(import_module(f"rsa_face.{module}"), name)] if registry else words
        return [word for word in names if word.startswith(incomplete)]

    return complete


NETWORK_NAMES = completing(registry="schema.NETWORKS")

Thorough = Annotated[
    bool, typer.Option("--thorough", help="Read stored activations through, and check them against checksums.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for another program to read.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show no progress.")]
StimulusTable = Annotated[Path, typer.Argument(help="The stimulus table (CSV or TSV).")]
Networks = Annotated[
    list[str],
    typer.Option(
        "--network",
        help="A network; may be repeated.",
        autocompletion=NETWORK_NAMES,
    ),
]
Weights = Annotated[
    str | None,
    typer.Option(
        help="Weights: random, imagenet, library (a library's own), a file, or hf://OWNER/REPO/FILE.",
        show_default="random",
        autocompletion=completing("random", "imagenet", "library"),
    ),
]
Layers = Annotated[
    str,
    typer.Option(
        help="Layers: main (every ReLU, the fe block and fc8; of others, their blocks), all, or names.",
        autocompletion=completing("main", "all"),
    ),
]
Device = Annotated[
    str,
    typer.Option(
        help="Where to compute: auto, cpu, cuda or cuda:N.",
        autocompletion=completing("auto", "cpu", "cuda"),
    ),
]
Batch = Annotated[int, typer.Option(help="Number of stimuli that run through a network at once.")]
Cluster = Annotated[
    str | None,
    typer.Option(
        help=r"Run on a Dask cluster: local:N for N processes here, or tcp://HOST:PORT (needs rsa-face\[cluster])."
    ),
]
Seed = Annotated[int, typer.Option(help="Seed of everything random: the same seed gives the same numbers.")]
LayoutWords = Annotated[
    list[str],
    typer.Option(
        "--layout",
        "-l",
        help="How the file is laid out; may be repeated: columns.participant=subj, keep.practice=0, drop.late=1, "
        "by=occlusion, group=true, rename=ids.csv, participants=people.csv (or none), names=p, separator=;, "
        "encoding=cp1252, files={participant}_ses-{session}, wide=rater_{participant}, recode.response.j=anger, "
        "preamble=3, sheet=Trials.",
    ),
]
FromSoftware = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="The experiment software that wrote the file; known from its header if not given.",
        autocompletion=completing(registry="human.experiments.SOFTWARE"),
    ),
]
_VERBATIM = ("separator", "encoding", "answer", "same", "different", "files", "wide", "sheet")


def settings_of(words: list[str]) -> dict[str, Any]:
    """Return settings from words such as scale=1,7 and columns.participant=subj."""
    from rsa_face.safety import plain_value

    settings: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            message = f"{word!r} is no setting. Write name=value, such as scale=1,7."
            raise ValueError(message)
        outer, dot, inner = name.partition(".")
        parts = value.split(",") if "," in value and value != "," else [value]
        # names in the file and words of people stay text; the settings' own values are read as YAML has them
        read = parts if dot or outer == "names" else [plain_value(part) for part in parts]
        one: Any = read[0] if len(read) == 1 and outer not in ("names", "scales", "responses") else read
        one = value if outer in _VERBATIM else one
        if outer == "recode":
            column, _, theirs = inner.partition(".")
            settings.setdefault(outer, {}).setdefault(column, {})[theirs] = value
        elif dot:
            settings.setdefault(outer, {})[inner] = one
        else:
            settings[outer] = one
    return settings


def layout_of(words: list[str], software: str | None) -> dict[str, Any]:
    """Return the layout from words, and the software that was named beside them."""
    return settings_of(words) | ({"software": software} if software is not None else {})
