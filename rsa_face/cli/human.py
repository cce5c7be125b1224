"""``rsa-face human`` and ``datasets``: check, convert, simulate and fetch human data."""

import json
import math
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rsa_face.cli.shared import (
    FromSoftware,
    Json,
    LayoutWords,
    Seed,
    StimulusTable,
    completing,
    draw,
    layout_of,
    say,
    settings_of,
    split,
)

human_app = typer.Typer(name="human", help="Check, convert or simulate human data.", no_args_is_help=True)
datasets_app = typer.Typer(name="datasets", help="List or fetch public data sets.", no_args_is_help=True)

_KINDS = completing(registry="human.kinds.KINDS")
_File = Annotated[list[Path], typer.Argument(help="A file of human data, several that belong together, or a folder.")]
_Kind = Annotated[
    str,
    typer.Option(
        help="The kind of data, such as rating or rdm; rsa-face human kinds lists them.", autocompletion=_KINDS
    ),
]
_Stimuli = Annotated[
    Path | None, typer.Option(help="The stimulus table. The file has to judge each of its stimuli, and no others.")
]
_Ids = Annotated[
    Path | None,
    typer.Option(help="A file of ids for rows without a name, or the word stimuli: in the order of --stimuli."),
]
_Options = Annotated[
    list[str],
    typer.Option(
        "--option", "-o", help="An option of the kind: direction=similarity, scale=1,7, ...; may be repeated."
    ),
]


@human_app.command()
def check(
    file: _File,
    kind: _Kind,
    stimuli: _Stimuli = None,
    ids: _Ids = None,
    option: _Options = [],  # noqa: B006 - typer copies it
    layout: LayoutWords = [],  # noqa: B006
    software: FromSoftware = None,
    comparison: Annotated[
        Literal["spearman", "corr", "rho-a"], typer.Option(help="How people are compared with people.")
    ] = "spearman",
    halves: Annotated[int, typer.Option(help="Number of random halves, for the reliability.")] = 500,
    figure: Annotated[Path | None, typer.Option(help="Draw the reliability: a path without an ending.")] = None,
    table: Annotated[Path | None, typer.Option(help="Write the reliability as a table (.csv).")] = None,
    as_json: Json = False,
) -> None:
    """Check human data: what the files hold, how reliable it is, and what to look at before it is used."""
    from rsa_face.human.read import read_human
    from rsa_face.human.reliability import advise, assess_reliability, reliability_table, summarise

    given: dict[str, Any] = {"kind": kind, "options": settings_of(option), "stimuli": stimuli, "ids": _ids(ids)}
    arranged = layout_of(layout, software)
    human = read_human(file, layout=arranged, **given)
    pages: list[dict[str, Any]] = []
    for level, part in _parts(human):
        several = part.sizes["participant"] > 1 and "group" not in part.attrs
        reliability, rows, why = None, None, []
        try:
            if several:
                retest = None if level else _retest(file, arranged, given, part)
                reliability = assess_reliability(part, comparison=comparison, halves=halves, retest=retest)
                rows = reliability_table(reliability)
                _write_reliability(reliability, rows, level, figure=figure, table=table, quiet=as_json)
        except ValueError as error:
            why = [f"No reliability can be computed: {error}"]
        advice = why + advise(part, reliability, matched=stimuli is not None)
        pages.append({"level": level, "summary": summarise(part), "reliability": rows, "advice": advice})
    if as_json:
        for page in pages:
            rows = page["reliability"]
            page["reliability"] = None if rows is None else json.loads(rows.to_json(orient="records"))
        say(json.dumps({"kind": kind, "files": [str(path) for path in file], "parts": pages}))
        return
    for page in pages:
        _print_page(page, f"{', '.join(path.name for path in file)}, read as {kind}")


@human_app.command()
def convert(
    file: _File,
    kind: _Kind,
    out: Annotated[
        list[Path], typer.Option("--out", help="File to write (.nc, .h5 of rsatoolbox, or .csv); may be repeated.")
    ],
    stimuli: _Stimuli = None,
    ids: _Ids = None,
    option: _Options = [],  # noqa: B006 - typer copies it
    layout: LayoutWords = [],  # noqa: B006
    software: FromSoftware = None,
) -> None:
    """Write human data as RDMs, one for each participant."""
    from rsa_face.human.read import read_human, write_human

    human = read_human(
        file,
        kind=kind,
        options=settings_of(option),
        layout=layout_of(layout, software),
        stimuli=stimuli,
        ids=_ids(ids),
    )
    say(*(write_human(part, _at_level(path, level)) for level, part in _parts(human) for path in out))


@human_app.command()
def embed(
    file: _File,
    kind: _Kind = "triplet",
    out: Annotated[Path, typer.Option("--out", help="The file to write (.nc).")] = Path("embedding.nc"),
    dimensions: Annotated[str, typer.Option(help="Numbers of dimensions to try.")] = "1,2,3,4,5",
    folds: Annotated[int, typer.Option(help="Number of parts that trials are left out in.")] = 5,
    ids: _Ids = None,
    option: _Options = [],  # noqa: B006 - typer copies it
    layout: LayoutWords = [],  # noqa: B006
    software: FromSoftware = None,
    seed: Seed = 0,
) -> None:
    """Find places of stimuli whose distances predict triplets, anchored choices or rankings."""
    from rsa_face.human.ordinal import embed_trials
    from rsa_face.human.read import read_human_trials
    from rsa_face.provenance import save

    counts = split(dimensions)
    if not all(count.isdecimal() for count in counts):
        message = f"--dimensions is {dimensions!r}, not whole numbers with commas between them."
        raise ValueError(message)
    given: dict[str, Any] = {"options": settings_of(option), "layout": layout_of(layout, software), "ids": _ids(ids)}
    trials = read_human_trials(file, kind=kind, **given)
    embedded = embed_trials(trials, dimensions=[int(count) for count in counts], folds=folds, seed=seed)
    if embedded.attrs["simulated"]:
        say("These are simulated data.")
    for count in embedded["dimensions"].values:
        each = embedded["accuracy"].sel(dimensions=count).values
        mark = "  <- chosen" if count == int(embedded["chosen"]) else ""
        say(f"{count} dimensions: {each.mean():.1%} of comparisons left out predicted (folds {each.min():.1%} to "
            f"{each.max():.1%}){mark}")  # fmt: skip
    say(save(embedded, out))


@human_app.command()
def kinds() -> None:
    """List the kinds of human data, and how each becomes RDMs."""
    from rsa_face.human.kinds import KINDS

    say(*(f"{name:<12} {kind.about}" for name, kind in KINDS.items()))


@human_app.command()
def template(
    kind: Annotated[str, typer.Argument(help="The kind of human data.", autocompletion=_KINDS)],
    out: Annotated[Path | None, typer.Option("--out", help="The file to write.", show_default="printed")] = None,
) -> None:
    """Write an example file of a kind of human data, with a comment for each column."""
    from rsa_face.human.kinds import template_of
    from rsa_face.safety import write_beside

    text = template_of(kind)
    if out is None:
        say(text.rstrip("\n"))
        return
    if out.exists():
        message = f"{str(out)!r} already exists. Choose another name for the template."
        raise ValueError(message)
    with write_beside(out) as beside:
        beside.write_text(text, "utf-8")
    say(out)


@human_app.command()
def simulate(
    table: StimulusTable,
    out: Annotated[Path, typer.Option("--out", help="Folder to write into.")],
    participants: Annotated[int, typer.Option(help="Number of observers.")] = 20,
    repeats: Annotated[int, typer.Option(help="Number of choices of each observer for each stimulus.")] = 2,
    share: Annotated[float, typer.Option(help="Share of all pairs that each observer rates, 0 to 1.")] = 0.5,
    occlusions: Annotated[
        str,
        typer.Option(
            help="Masks under which choices are made.", autocompletion=completing(registry="schema.OCCLUSIONS")
        ),
    ] = "none,eyes,nose,mouth",
    seed: Seed = 0,
) -> None:
    """Simulate observers of stimuli with levels and identities: their choices and ratings, and the truth of both."""
    from rsa_face.human.observers import simulate_choices, simulate_ratings, write_observers
    from rsa_face.stimuli.catalogue import read_stimuli

    stimuli = read_stimuli(table)
    masked = "occlusion" in stimuli.factors and set(stimuli.table["occlusion"]) != {"none"}
    choices, choices_truth = simulate_choices(
        stimuli,
        participants=participants,
        repeats=repeats,
        seed=seed,
        occlusions=[] if masked else split(occlusions),
    )
    faces = stimuli.select(occlusion="none") if masked else stimuli
    ratings, ratings_truth = simulate_ratings(faces, participants=participants, seed=seed, share=share)
    tables = {"choices": choices, "choices_truth": choices_truth, "ratings": ratings, "ratings_truth": ratings_truth}
    say(*write_observers(out, **tables))


@datasets_app.command("list")
def list_datasets() -> None:
    """List the data sets: what they hold, their size, whom to cite, and their licence."""
    from rsa_face.human.datasets import DATASETS

    for dataset in DATASETS.values():
        say(f"{dataset.name} ({dataset.size / 1e6:.1f} MB): {dataset.summary}")
        say(f"  Cite: {dataset.citation}\n  Licence: {dataset.licence}\n  From: {dataset.url}")


@datasets_app.command()
def fetch(
    name: Annotated[
        str,
        typer.Argument(help="The name of a data set.", autocompletion=completing(registry="human.datasets.DATASETS")),
    ],
    source: Annotated[
        Path | None, typer.Option("--from", help="Take the files from this folder, not the web.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder.", show_default="human_data/NAME")] = None,
    size: Annotated[
        int | None, typer.Option(help="Width and height to bring images to, in pixels.", show_default="as they are")
    ] = None,
) -> None:
    """Download a data set, check its sha256, and write its stimuli and RDMs; an interrupted download is continued."""
    from rsa_face.human.datasets import DATASETS, fetch_dataset

    if name in DATASETS and source is None:
        say(f"Fetching {name} ({DATASETS[name].size / 1e6:.1f} MB) from {DATASETS[name].url}")
    folder = fetch_dataset(name, out, source=source, size=size, progress=True)
    say(f"Cite: {DATASETS[name].citation}\nLicence: {DATASETS[name].licence}")
    say(*sorted([*folder.glob("*.csv"), *folder.glob("*.nc")]))


def _ids(ids: Path | None) -> str | Path | None:
    return "stimuli" if ids is not None and str(ids) == "stimuli" else ids


def _parts(human: Any) -> list[tuple[str, Any]]:
    """Return the RDMs of each level of the factor they are split by; one part without a name if by none."""
    if human.ndim == 3:
        return [("", human)]
    from rsa_face.safety import must_be_file_names

    factor = str(human.dims[0])
    levels = [str(level) for level in human[factor].values]
    must_be_file_names(levels, f"value of {factor}", "the file")
    return [(level, human.sel({factor: level}, drop=True)) for level in levels]


def _at_level(path: Path, level: str) -> Path:
    """Return the file for one level of a factor, beside the one that was named for all."""
    from rsa_face.safety import path_in

    return path_in(path.parent, f"{path.stem}-{level}", "The level", suffix=path.suffix) if level else path


def _retest(file: list[Path], layout: dict[str, Any], given: dict[str, Any], part: Any) -> Any:
    """Return the RDMs from both parts of the repeats; None where nothing repeats."""
    from rsa_face.human.kinds import KINDS
    from rsa_face.human.read import read_human

    by = part.attrs.get("averaged_over", "")
    if not by and not (KINDS[given["kind"]].retest and part["coverage"].max() > 1):
        return None
    try:
        parts = read_human(file, layout=layout | {"by": by or "repeat"}, **given)
    except ValueError:  # nothing repeats, or a part lacks a stimulus
        return None
    return parts if parts.sizes[parts.dims[0]] == 2 else None


def _write_reliability(
    reliability: Any, rows: Any, level: str, *, figure: Path | None, table: Path | None, quiet: bool
) -> None:
    from rsa_face.safety import write_beside

    written = []
    if figure is not None:
        from rsa_face.figures.agreement import plot_reliability

        written += draw(lambda: plot_reliability(reliability)["people"], _at_level(figure, level))
    if table is not None:
        path = _at_level(table, level)
        with write_beside(path) as beside:
            rows.to_csv(beside, index=False, lineterminator="\n")
        written.append(path)
    if not quiet:
        say(*written)


def _print_page(page: dict[str, Any], title: str) -> None:
    say(f"{title}{', ' + page['level'] if page['level'] else ''}")
    width = max(len(name) for name in page["summary"])
    say(*(f"  {name:<{width}}  {value}" for name, value in page["summary"].items()))
    if page["reliability"] is not None:
        say("Reliability")
        for row in page["reliability"].itertuples():
            value = "" if math.isnan(row.value) else f"{row.value:.3g}"
            span = "" if math.isnan(row.lower) else f"{row.lower:.3f} to {row.upper:.3f}"
            say(f"  {row.quantity:<34} {value:>6}  {span:<16}  {row.note}")
    if page["advice"]:
        say("Before you compare", *(f"  - {sentence}" for sentence in page["advice"]))
