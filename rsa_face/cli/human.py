"""``rsa-face human`` and ``datasets``: check, convert, simulate and fetch human data."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

human_app = typer.Typer(name="human", help="Check, convert and simulate human judgements.", no_args_is_help=True)
datasets_app = typer.Typer(
    name="datasets", help="Fetch public data sets by name, checked by sha256.", no_args_is_help=True
)

_File = Annotated[list[Path], typer.Argument(help="A file of judgements, or several that belong together.")]
_Kind = Annotated[str, typer.Option(help="What was judged, such as rating or rdm: rsa-face human kinds lists all.")]
_Stimuli = Annotated[
    Path | None, typer.Option(help="The stimulus table: every id of the file has to be in it, and all be judged.")
]
_Ids = Annotated[Path | None, typer.Option(help="Ids for the rows of a file that names none, in its order.")]
_Options = Annotated[
    list[str], typer.Option("--option", "-o", help="How judgements are read: direction=similarity, scale=1,7, ...")
]
_Layout = Annotated[
    list[str],
    typer.Option(
        "--layout",
        "-l",
        help="How the file is laid out: columns.participant=subj, keep.practice=0, drop.late=1, by=occlusion, "
        "group=true, rename=ids.csv, participants=people.csv, names=p, separator=;, encoding=cp1252.",
    ),
]


@human_app.command()
def check(
    file: _File,
    kind: _Kind,
    stimuli: _Stimuli = None,
    ids: _Ids = None,
    option: _Options = [],  # noqa: B006 - typer copies it
    layout: _Layout = [],  # noqa: B006
    comparison: Annotated[str, typer.Option(help="Of people with people: spearman, corr or rho-a.")] = "spearman",
    halves: Annotated[int, typer.Option(help="Random halves for the reliability.")] = 500,
    figure: Annotated[Path | None, typer.Option(help="Draw the reliability: a path without ending.")] = None,
    table: Annotated[Path | None, typer.Option(help="Write the reliability as a table (.csv).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Read judgements, and say what is in them, how good they are and what to look at. Writes nothing unasked."""
    from rsa_face.human.read import read_human
    from rsa_face.human.reliability import advise, assess_reliability, reliability_table, summarise

    chosen, arranged = _settings(option), _settings(layout)
    human = read_human(file, kind=kind, options=chosen, layout=arranged, stimuli=stimuli, ids=_ids(ids))
    pages = []
    for level, part in _parts(human):
        several = part.sizes["participant"] > 1 and "group" not in part.attrs
        retest = _retest(file, kind, chosen, arranged, stimuli, _ids(ids), part) if several and not level else None
        reliability, why = None, ""
        try:
            reliability = (
                assess_reliability(part, comparison=comparison, halves=halves, retest=retest) if several else None
            )
        except ValueError as error:
            why = f"No reliability can be computed: {error}"
        rows = None if reliability is None else reliability_table(reliability)
        advice = [why] * bool(why) + advise(part, reliability, matched=stimuli is not None)
        pages.append({"level": level, "summary": summarise(part), "reliability": rows, "advice": advice})
        if reliability is not None:
            _write_reliability(reliability, rows, level, figure=figure, table=table, quiet=as_json)
    if as_json:
        plain = [page | {"reliability": _records(page["reliability"])} for page in pages]
        print(json.dumps({"kind": kind, "files": [str(path) for path in file], "parts": plain}))
        return
    for page in pages:
        _print_page(page, f"{', '.join(path.name for path in file)}, read as {kind}")


@human_app.command()
def convert(
    file: _File,
    kind: _Kind,
    out: Annotated[list[Path], typer.Option("--out", help="Ends in .nc, .h5 (rsatoolbox) or .csv; may be repeated.")],
    stimuli: _Stimuli = None,
    ids: _Ids = None,
    option: _Options = [],  # noqa: B006 - typer copies it
    layout: _Layout = [],  # noqa: B006
) -> None:
    """Write judgements as one RDM for each participant: netCDF, rsatoolbox HDF5 or CSV."""
    from rsa_face.human.read import read_human, write_human

    human = read_human(
        file, kind=kind, options=_settings(option), layout=_settings(layout), stimuli=stimuli, ids=_ids(ids)
    )
    for level, part in _parts(human):
        for path in out:
            print(write_human(part, _at_level(path, level)))


@human_app.command()
def kinds() -> None:
    """List the kinds of human data, and what becomes of each."""
    from rsa_face.human.kinds import KINDS

    for name, kind in KINDS.items():
        print(f"{name:<12} {kind.about}")


@human_app.command()
def template(
    kind: Annotated[str, typer.Argument(help="The kind of judgement.")],
    out: Annotated[Path | None, typer.Option("--out", help="The file to write; printed if not given.")] = None,
) -> None:
    """Write an example file of a kind, with a comment for each column."""
    from rsa_face.human.kinds import template_of
    from rsa_face.safety import write_beside

    text = template_of(kind)
    if out is None:
        print(text, end="")
        return
    if out.exists():
        message = f"{str(out)!r} already exists. Choose another name for the template."
        raise ValueError(message)
    with write_beside(out) as beside:
        beside.write_text(text, "utf-8")
    print(out)


@human_app.command()
def simulate(
    table: Annotated[Path, typer.Argument(help="The stimulus table (CSV) with the factors level and identity.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write into.")],
    participants: Annotated[int, typer.Option(help="Observers.")] = 20,
    repeats: Annotated[int, typer.Option(help="Choices of each observer for each stimulus.")] = 2,
    share: Annotated[float, typer.Option(help="Of all pairs, those each observer rates.")] = 0.5,
    occlusions: Annotated[str, typer.Option(help="Masks the choices are made under.")] = "none,eyes,nose,mouth",
    seed: Annotated[int, typer.Option(help="For everything drawn.")] = 0,
) -> None:
    """Simulate observers of a stimulus table: choices, ratings of whole faces, and the truth beside both."""
    from rsa_face.human.observers import simulate_choices, simulate_ratings, write_observers
    from rsa_face.stimuli.catalogue import read_stimuli

    stimuli = read_stimuli(table)
    masked = "occlusion" in stimuli.factors and set(stimuli.table["occlusion"]) != {"none"}
    choices, of_choices = simulate_choices(
        stimuli,
        participants=participants,
        repeats=repeats,
        seed=seed,
        occlusions=[] if masked else [name.strip() for name in occlusions.split(",")],
    )
    whole = stimuli.select(occlusion="none") if masked else stimuli
    ratings, of_ratings = simulate_ratings(whole, participants=participants, seed=seed, share=share)
    tables = {"choices": choices, "choices_truth": of_choices, "ratings": ratings, "ratings_truth": of_ratings}
    for path in write_observers(out, **tables):
        print(path)


@datasets_app.command("list")
def list_datasets() -> None:
    """List the data sets that can be fetched: what they are, how large, whom to cite, their licence."""
    from rsa_face.human.datasets import DATASETS

    for dataset in DATASETS.values():
        print(f"{dataset.name} ({dataset.size / 1e6:.1f} MB): {dataset.summary}")
        print(f"  Cite: {dataset.citation}\n  Licence: {dataset.licence}\n  From: {dataset.url}")


@datasets_app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(help="Its name, as `rsa-face datasets list` has it.")],
    source: Annotated[Path | None, typer.Option("--from", help="Take its files from this folder.")] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Folder; human_data/NAME if not given.")] = None,
    size: Annotated[int | None, typer.Option(help="Bring images to so many pixels a side.")] = None,
) -> None:
    """Download a data set (or take its files from a folder), check it, and unpack it; run again, it goes on."""
    from rsa_face.human.datasets import DATASETS, fetch_dataset

    if name in DATASETS and source is None:
        print(f"Fetching {name} ({DATASETS[name].size / 1e6:.1f} MB) from {DATASETS[name].url}")
    folder = fetch_dataset(name, out, source=source, size=size, progress=True)
    print(f"Cite: {DATASETS[name].citation}\nLicence: {DATASETS[name].licence}")
    for path in sorted([*folder.glob("*.csv"), *folder.glob("*.nc")]):
        print(path)


def _settings(words: list[str]) -> dict[str, Any]:
    """Return settings from words such as scale=1,7 and columns.participant=subj."""
    import yaml

    settings: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            message = f"{word!r} is no setting. Write name=value, such as scale=1,7."
            raise ValueError(message)
        outer, dot, inner = name.partition(".")
        parts = value.split(",") if "," in value and value != "," else [value]
        read = parts if dot or outer == "names" else [yaml.safe_load(part) for part in parts]
        one: Any = read[0] if len(read) == 1 and outer not in ("names", "scales", "responses") else read
        one = value if outer in ("separator", "encoding", "answer", "same", "different") else one
        if dot:
            settings.setdefault(outer, {})[inner] = one
        else:
            settings[outer] = one
    return settings


def _ids(ids: Path | None) -> str | Path | None:
    return "stimuli" if ids is not None and str(ids) == "stimuli" else ids


def _parts(human: Any) -> list[tuple[str, Any]]:
    if human.ndim == 3:
        return [("", human)]
    from rsa_face.safety import must_be_file_names

    factor = str(human.dims[0])
    must_be_file_names([str(level) for level in human[factor].values], f"value of {factor}", "the file")
    return [(str(level), human.sel({factor: level}, drop=True)) for level in human[factor].values]


def _at_level(path: Path, level: str) -> Path:
    """Return the file for one level of a factor, beside the one that was named for all."""
    from rsa_face.safety import path_in

    return path_in(path.parent, f"{path.stem}-{level}", "The level", suffix=path.suffix) if level else path


def _retest(
    file: list[Path],
    kind: str,
    options: dict[str, Any],
    layout: dict[str, Any],
    stimuli: Path | None,
    ids: str | Path | None,
    part: Any,
) -> Any:
    """Return the RDMs from both parts of the repeats; None where nothing repeats."""
    from rsa_face.human.kinds import KINDS
    from rsa_face.human.read import read_human

    by = part.attrs.get("averaged_over", "")
    if not by and not (KINDS[kind].retest and part["coverage"].max() > 1):
        return None
    try:
        parts = read_human(
            file, kind=kind, options=options, layout=layout | {"by": by or "repeat"}, stimuli=stimuli, ids=ids
        )
    except ValueError:  # nothing repeats, or a part lacks a stimulus
        return None
    return parts if parts.sizes[parts.dims[0]] == 2 else None


def _write_reliability(
    reliability: Any, rows: Any, level: str, *, figure: Path | None, table: Path | None, quiet: bool
) -> None:
    from rsa_face.safety import write_beside

    written = []
    if figure is not None:
        import matplotlib as mpl

        mpl.use("Agg")
        from rsa_face.figures.agreement import plot_reliability
        from rsa_face.figures.layout import root_of, save_figure

        drawn = plot_reliability(reliability)["people"]
        written += save_figure(root_of(drawn), _at_level(figure, level))
    if table is not None:
        path = _at_level(table, level)
        with write_beside(path) as beside:
            rows.to_csv(beside, index=False, lineterminator="\n")
        written.append(path)
    if not quiet:
        for path in written:
            print(path)


def _records(rows: Any) -> Any:
    return None if rows is None else json.loads(rows.to_json(orient="records"))


def _print_page(page: dict[str, Any], title: str) -> None:
    print(f"{title}{', ' + page['level'] if page['level'] else ''}")
    width = max(len(name) for name in page["summary"])
    for name, value in page["summary"].items():
        print(f"  {name:<{width}}  {value}")
    if page["reliability"] is not None:
        print("Reliability")
        for row in page["reliability"].itertuples():
            value = "" if row.value != row.value else f"{row.value:.3g}"
            span = "" if row.lower != row.lower else f"{row.lower:.3f} to {row.upper:.3f}"
            print(f"  {row.quantity:<34} {value:>6}  {span:<16}  {row.note}")
    if page["advice"]:
        print("Before you compare")
        for sentence in page["advice"]:
            print(f"  - {sentence}")
