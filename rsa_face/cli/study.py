"""``rsa-face run``, ``demo``, ``status``, ``figures``, ``report``, ``replication``: a study, and what came of it."""

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from rsa_face.cli.shared import NETWORK_NAMES, Cluster, Json, Quiet, Thorough, completing, draw, say, split

if TYPE_CHECKING:
    from rsa_face.study.folder import StudyFolder

study_app = typer.Typer()

Output = Annotated[Path | None, typer.Option("--output", "-o", help="Write here, not to the study's own folder.")]
Results = Annotated[Path, typer.Argument(help="A study's output folder, such as results/demo.", show_default=False)]
_DEMOS = {"random": "demo", "imagenet": "demo-imagenet"}
_MADE = ("layers.csv", "training.csv", "contrast.csv", "psychometric.csv", "saliency.csv", "agreement.csv",
         "localization.nc", "figures", "manifest.json")  # fmt: skip
_FORMATS = ("pdf", "svg", "png", "tiff", "eps")
_FEWEST_TO_EMBED, _MOST_TO_EMBED = 4, 400
_WAYS_TO_EMBED: dict[str, dict[str, Any]] = {"": {}, "-nonmetric": {"metric": False}, "-3d": {"dims": 3}}
_UNITS = ("B", "kB", "MB", "GB", "TB")

Plot = Callable[[], Any]


@study_app.command()
def run(
    study: Annotated[str, typer.Argument(help="A study file (YAML), or the name of a study in the package: demo.")],
    output: Output = None,
    quiet: Quiet = False,
    cluster: Cluster = None,
    weights_dir: Annotated[
        Path | None, typer.Option(help="Take ImageNet weights from this folder, without downloading any.")
    ] = None,
) -> None:
    """Run a study: all its stages in order. Stages that are up to date are not run again."""
    from rsa_face.report.narrate import tell_study
    from rsa_face.study.config import load_study
    from rsa_face.study.graph import run_study

    loaded = load_study(study, output=output, weights=weights_dir)
    if cluster is not None:
        loaded = loaded.model_copy(update={"cluster": cluster})
    folder = run_study(
        loaded, progress=not quiet, say=(lambda _: None) if quiet else (lambda line: say(line, err=True))
    )
    say(*(folder / name for name in _MADE if (folder / name).exists()))
    say(*tell_study(folder))


@study_app.command()
def demo(
    output: Output = None,
    quiet: Quiet = False,
    weights: Annotated[
        Literal["random", "imagenet"],
        typer.Option(
            help="random: train the networks from scratch. imagenet: download weights, train the classifier."
        ),
    ] = "random",
) -> None:
    """Run the demo study of the package: rendered faces, networks trained on them, simulated observers."""
    run(_DEMOS[weights], output=output, quiet=quiet)


@study_app.command()
def multiverse(
    study: Annotated[str, typer.Argument(help="A study file (YAML) with a section multiverse; it was run before.")],
    output: Output = None,
    quiet: Quiet = False,
    sort: Annotated[
        Literal["difference", "peak_depth", "half_way_depth"], typer.Option(help="What the figure is ordered by.")
    ] = "difference",
) -> None:
    """Analyse a study in every way that its file names, as a table and a specification curve.

    From the RDMs that the study has made; stopped, the same command goes on where it was.
    """
    from rsa_face.figures.multiverse import plot_multiverse
    from rsa_face.report.narrate import multiverse_sentences
    from rsa_face.study.config import load_study
    from rsa_face.study.multiverse import run_multiverse

    loaded = load_study(study, output=output)
    table = run_multiverse(loaded, say=(lambda _: None) if quiet else (lambda line: say(line, err=True)))
    say(loaded.output / "multiverse.csv", loaded.output / "multiverse.nc")
    if (table["reason"] == "").any():
        say(*draw(lambda: plot_multiverse(table, sort=sort), loaded.output / "figures" / "multiverse"))
    say(*multiverse_sentences(table))


@study_app.command()
def check(
    study: Annotated[str, typer.Argument(help="A study file (YAML), or the name of a study in the package: demo.")],
    as_json: Json = False,
) -> None:
    """Check a study file, its images and its human data, and say what a run would do; nothing is run or written.

    All faults of the file are named at once, each with its line.
    """
    from rsa_face.stimuli.catalogue import read_stimuli
    from rsa_face.study.comparing import people_of
    from rsa_face.study.config import load_study, networks_of
    from rsa_face.study.graph import FILE, states_of
    from rsa_face.study.stages import planned_stages, steps_of

    loaded = load_study(study)
    stimuli = read_stimuli(loaded.stimuli.table)
    human = loaded.human
    people = None
    if human is not None:
        known = {name: value for name, value in human.where.items() if name in stimuli.factors}  # masks come later
        people = people_of(human, stimuli.select(**known) if known else stimuli)
    begun = (loaded.output / FILE).is_file()
    done = {state.name for state in states_of(loaded.output) if state.state == "done"} if begun else set()
    names = [section.called for section in networks_of(loaded)]
    stages = {name: "done" if name in done else "to run" for name in planned_stages(loaded)}
    left_out = {step.name: step.hindrance for step in steps_of(loaded) if step.hindrance}
    participants = None if people is None else int(people.sizes["participant"])
    if as_json:
        report = {"study": loaded.name, "stimuli": len(stimuli), "networks": names, "participants": participants}
        say(json.dumps({**report, "output": str(loaded.output), "stages": stages, "left_out": left_out}))
        return
    say(f"{loaded.name}: in order. {len(stimuli)} stimuli, {len(names)} networks ({', '.join(names)})")
    if people is not None:
        say(f"{participants} participants judged {people.sizes['stimulus_i']} of the stimuli")
    say(f"A run writes to {loaded.output}:", *(f"  {state:<8} {name}" for name, state in stages.items()))
    say(*(f"  left out {name}: {reason}" for name, reason in left_out.items()))


@study_app.command()
def export(
    file: Annotated[Path, typer.Argument(help="A file of RDMs (.nc), of layers or of people.", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="The CSV file to write.", show_default="FILE.csv")] = None,
    layer: Annotated[
        list[str] | None, typer.Option(help="Only these layers; may be repeated.", show_default="all")
    ] = None,
) -> None:
    """Write RDMs as CSV: a row for each pair of stimuli, a column for each layer or participant."""
    import xarray as xr

    from rsa_face.provenance import load
    from rsa_face.rdms.align import table_of_pairs
    from rsa_face.safety import write_beside
    from rsa_face.schema import must_be_known

    rdms = load(file)
    if not isinstance(rdms, xr.DataArray) or "stimulus_i" not in rdms.dims:
        message = f"{str(file)!r} holds no RDMs. Its tables are CSV files beside it already."
        raise ValueError(message)
    if layer:
        layers = rdms["layer"].values.astype(str)
        for name in layer:
            must_be_known(name, list(dict.fromkeys(layers)), "layer of this file")
        rdms = rdms.isel(rdm=[place for place, name in enumerate(layers) if name in layer])
    path = out or file.with_suffix(".csv")
    with write_beside(path) as beside:
        table_of_pairs(rdms).to_csv(beside, index=False, lineterminator="\n")
    say(path)


@study_app.command()
def status(
    folder: Annotated[
        Path, typer.Argument(help="A folder with the results of studies, a folder of RDMs, or an activation store.")
    ] = Path("results"),
    thorough: Thorough = False,
    as_json: Json = False,
) -> None:
    """Show how far each study under a folder is (which stages are done, stale or missing), and how large it is.

    Files are checked by their content; those of activation stores by presence and size, unless with --thorough.
    """
    from rsa_face.cli.networks import show_store, show_units
    from rsa_face.safety import holder_of, lock_in, size_of
    from rsa_face.study.graph import FILE, Manifest, states_of

    if (folder / "zarr.json").is_file():
        show_store(folder, as_json, thorough=thorough)
        return
    if (folder / "units.json").is_file():
        show_units(folder, as_json)
        return
    studies = sorted(Path(path) for path, _, names in os.walk(folder) if {FILE, lock_in(Path()).name} & set(names))
    if not folder.is_dir():
        message = f"No such folder: {str(folder)!r}."
        raise FileNotFoundError(message)
    if not studies:
        message = f"No results of a study in {str(folder)!r}. Run a study first, or name another folder."
        raise FileNotFoundError(message)
    if as_json:
        say(
            json.dumps(
                {str(path): [asdict(stage) for stage in states_of(path, thorough=thorough)] for path in studies},
                indent=1,
            )
        )
        return
    for path in studies:
        say(f"{path}: {_named(Manifest(path, say).read())}, {in_words(size_of(path))}")
        holder = holder_of(lock_in(path))
        if holder:
            say(f"  now run by {holder}: the stage it works on is shown as stale or missing until it is done")
        for stage in states_of(path, thorough=thorough):
            state = f"done {stage.finished}" if stage.state == "done" else f"{stage.state}: {stage.reason}"
            say(f"  {stage.name:<28} {in_words(stage.size):>8}  {state}")


def in_words(size: int) -> str:
    """Return a number of bytes as people say it.

    Examples
    --------
    >>> in_words(999), in_words(5_430_000)
    ('999 B', '5.4 MB')
    """
    value, step = float(size), 0
    while value >= 1000 and step < len(_UNITS) - 1:
        value, step = value / 1000, step + 1
    return f"{value:.0f} {_UNITS[step]}" if step == 0 else f"{value:.1f} {_UNITS[step]}"


def _named(record: Mapping[str, Any]) -> str:
    begun = record.get("begun")  # what a run that has not finished notes of its study
    name = begun.get("name") if isinstance(begun, Mapping) else None
    return str(record.get("name", "unfinished study")) if name is None else f"{name}, unfinished"


@study_app.command()
def figures(
    results: Results,
    style: Annotated[
        Literal["nature", "plos", "apa", "talk"], typer.Option(help="Journal (or talk) whose sizes and fonts to use.")
    ] = "nature",
    width: Annotated[
        Literal["single", "1.5", "double"] | None,
        typer.Option(help="Width of every figure, in columns.", show_default="what each needs"),
    ] = None,
    formats: Annotated[
        str,
        typer.Option(
            help="Image formats, with commas between: pdf, svg, png, tiff, eps.", autocompletion=completing(*_FORMATS)
        ),
    ] = "pdf,svg,png",
    scale: Annotated[
        Literal["rank", "shared", "own"],
        typer.Option(help="Colours of RDMs: by rank, on one scale for all, or each on its own."),
    ] = "rank",
    sort: Annotated[str, typer.Option(help="Factors to sort stimuli by, with commas between.")] = "",
    out: Annotated[Path | None, typer.Option(help="Where to write.", show_default="RESULTS/figures/STYLE")] = None,
    only: Annotated[str, typer.Option(help="Names of figures, with commas between.", show_default="all")] = "",
    dpi: Annotated[int, typer.Option(min=50, max=1200, help="Resolution of PNG and TIFF, in dots per inch.")] = 300,
    as_json: Json = False,
) -> None:
    """Draw the figures of a study: images with text that stays text, their numbers as CSV, and their captions.

    Each image names the results that it was drawn from. The figures that the study itself drew are not overwritten.
    """
    from rsa_face.figures.style import font_in_words
    from rsa_face.schema import must_be_known
    from rsa_face.study.folder import read_results

    wanted = split(formats)
    for name in wanted:
        must_be_known(name, _FORMATS, "image format")
    study = read_results(results)
    folder = out or results / "figures" / style
    _must_be_free(folder, study)
    plots = dict(_plots(study, scale=scale, sort=split(sort) or None))
    chosen = split(only) or list(plots)
    for name in chosen:
        must_be_known(name, plots, "figure of this study")
    about, written = _about(study), []
    for name in chosen:
        written += draw(plots[name], folder / name, style=style, width=width, formats=wanted, dpi=dpi, about=about)
        if not as_json:
            say(folder / name)
    missing = [*study.missing, *_left_out(study)]
    if as_json:
        say(json.dumps({"written": [str(path) for path in written], "missing": missing, "font": font_in_words()}))
        return
    say(*(f"Left out: {sentence}" for sentence in missing), *filter(None, [font_in_words()]))
    say(f"{len(written)} files in {folder}")


@study_app.command()
def report(
    results: Results,
    out: Annotated[Path | None, typer.Option(help="The file to write.", show_default="RESULTS/report.html")] = None,
) -> None:
    """Write a finished study as one HTML page, which opens offline and can be sent by mail."""
    from rsa_face.report.page import write_report

    path = write_report(results, out=out)
    say(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


@study_app.command()
def replication(
    folder: Annotated[Path, typer.Argument(help="The output folder of a study with several seeds.")] = Path(
        "results/replication"
    ),
    network: Annotated[
        str, typer.Option(help="The architecture that should be the best.", autocompletion=NETWORK_NAMES)
    ] = "fe_alexnet",
    as_json: Json = False,
) -> None:
    """Show how well each architecture did over its seeds, and whether FE-AlexNet came first."""
    from rsa_face.provenance import load
    from rsa_face.study.seeds import compare_architectures, layers_picked, tell_places, write_markdown

    table = compare_architectures(folder, network=network)
    if as_json:
        say(table.to_json(orient="records"))
        return
    simulated = bool(load(folder / "layers.nc").attrs.get("simulated"))
    say(write_markdown(table, layers_picked(folder)), "")
    say(*(f"- {sentence}" for sentence in tell_places(table, network=network, simulated=simulated)))


def _must_be_free(folder: Path, study: "StudyFolder") -> None:
    """Refuse a folder with figures that the study's manifest records: the next run would draw over these."""
    taken = sorted(file for file in study.recorded if file.resolve().parent == folder.resolve())
    if taken:
        message = (
            f"{str(taken[0])!r} is one of the study's own figures and would be overwritten. Name another folder "
            "with --out, or leave it out."
        )
        raise ValueError(message)


def _about(study: "StudyFolder") -> str:
    """Return which results figures show: the first digits of the sha256 of each file, as the manifest has them."""
    from rsa_face.provenance import hash_file

    files = sorted(study.path.glob("*.nc"))
    return f"Study {study.name}: " + ", ".join(f"{file.name} {hash_file(file)[:12]}" for file in files)


def _plots(study: "StudyFolder", *, scale: str, sort: list[str] | None) -> Iterator[tuple[str, Plot]]:
    """Give the name of each figure that a study has the results for, and what draws it."""
    rdms, human = _judged(study)
    if study.result is not None:
        yield from _plots_of_result(study, rdms, human)
    yield from _plots_of_extras(study)
    yield from _plots_of_rdms(study, rdms, human, scale=scale, sort=sort)


def _plots_of_result(study: "StudyFolder", rdms: Any, human: Any) -> Iterator[tuple[str, Plot]]:
    from rsa_face.figures.layers import plot_layers
    from rsa_face.figures.networks import plot_networks, plot_study
    from rsa_face.inference.localization import share_of_ceiling

    result: Any = study.result
    answers, partial = _localized(study), study.extras.get("partial")
    compared = _planned(study, result, answers)
    yield "layers", lambda: plot_layers(result, partial=partial)
    if "noise_ceiling" in result and float(result["noise_ceiling"][0]) > 0:
        yield "layers-share", lambda: plot_layers(share_of_ceiling(result))
    yield "depth", lambda: plot_layers(result, partial=partial, along="depth")
    yield "networks", lambda: plot_networks(result, where=answers, compared=compared)
    panels = {
        "where": answers if "localization" in study.extras else None,
        "contrast": next((study.extras[key] for key in study.extras if key.startswith("contrast")), None),
        "rdms": rdms,
        "human": human,
        "stimuli": study.stimuli,
        "compared": compared,
    }
    yield "study", lambda: plot_study(result, **panels)["layers"]


def _plots_of_extras(study: "StudyFolder") -> Iterator[tuple[str, Plot]]:
    from rsa_face.figures.agreement import plot_agreement, plot_reliability
    from rsa_face.figures.behaviour import plot_psychometric
    from rsa_face.figures.layers import plot_layers
    from rsa_face.figures.multiverse import plot_multiverse
    from rsa_face.figures.networks import plot_contrast, plot_localization, plot_seeds, seeds_differ
    from rsa_face.figures.planning import plot_plan, plot_recovery, plot_stability
    from rsa_face.figures.saliency import plot_saliency

    kinds: dict[str, Callable[[Any], Any]] = {
        "localization": plot_localization,
        "contrast": plot_contrast,
        "trials": plot_layers,
        "reliability": lambda reliability: plot_reliability(reliability)["halves"],
        "recovery": lambda recovery: plot_recovery(recovery)["raw"],
        "stability": lambda stability: plot_stability(stability)["picked"],
        "plan": lambda planned: plot_plan(planned)["power"],
    }
    extras = study.extras
    for name, extra in extras.items():
        kind = next((kind for kind in kinds if name.startswith(kind)), None)
        if kind is not None:
            yield name, lambda kind=kind, extra=extra: kinds[kind](extra)  # type: ignore[misc] # bound now
    people, networks = extras.get("psychometric"), extras.get("psychometric_networks")
    if people is not None or networks is not None:
        yield "psychometric", lambda: plot_psychometric(people, networks)
    if "saliency_maps" in extras:
        maps = next(iter(extras["saliency_maps"].data_vars.values())).assign_attrs(extras["saliency_maps"].attrs)
        yield "saliency", lambda: plot_saliency(maps, regions=extras.get("saliency"))
    if "multiverse" in extras:
        yield "multiverse", lambda: plot_multiverse(extras["multiverse"])
    if "seeds" in extras and seeds_differ(extras["seeds"]):
        yield "seeds", lambda: plot_seeds(extras["seeds"])
    if "agreement" in extras:
        yield "agreement", lambda: plot_agreement(extras["agreement"])


def _plots_of_rdms(
    study: "StudyFolder", rdms: Any, human: Any, *, scale: str, sort: list[str] | None
) -> Iterator[tuple[str, Plot]]:
    from rsa_face.figures.rdms import plot_rdm_similarity, plot_rdms
    from rsa_face.rdms.embedding import relate_rdms

    every, stimuli = study.rdms, study.stimuli
    if every is None or rdms is None:
        return
    yield "rdms", lambda: plot_rdms(rdms, human=human, scale=scale, sort=sort, stimuli=stimuli)
    if rdms.sizes["stimulus_i"] < every.sizes["stimulus_i"]:
        yield "rdms-all", lambda: plot_rdms(every, scale=scale, sort=sort, stimuli=stimuli)
    if every.sizes["rdm"] > 1:
        yield "rdm_similarity", lambda: plot_rdm_similarity(relate_rdms(every))
    yield from _plots_of_points(rdms, human, stimuli, study.result)


def _plots_of_points(rdms: Any, human: Any, stimuli: Any, result: Any) -> Iterator[tuple[str, Plot]]:
    """Draw people, and the layer of each network most like them, as points: in a plane, by ranks alone, in space."""
    from rsa_face.figures.embedding import plot_mds
    from rsa_face.figures.networks import most_similar
    from rsa_face.figures.rdms import mean_person
    from rsa_face.rdms.embedding import embed_rdm

    if not _FEWEST_TO_EMBED <= rdms.sizes["stimulus_i"] <= _MOST_TO_EMBED:
        return
    shown: dict[str, Any] = {}
    if human is not None and not (mean := mean_person(human)).isnull().any():
        factors = {name: part for name, part in rdms.coords.items() if part.dims == ("stimulus_i",)}
        shown["people"] = mean.assign_coords(factors).assign_attrs(human.attrs).rename("People (mean)")
    for rdm in most_similar(rdms, result):
        shown[str(rdm["network"].item()).replace("/", "-")] = rdm
    for name, rdm in shown.items():
        for ending, options in _WAYS_TO_EMBED.items():
            yield (
                f"mds-{name}{ending}",
                lambda rdm=rdm, options=options: plot_mds(embed_rdm(rdm, **options), stimuli=stimuli),  # type: ignore[misc] # bound now
            )


def _judged(study: "StudyFolder") -> tuple[Any, Any]:
    """Return the layers' and the human RDMs of the stimuli that people judged."""
    from rsa_face.figures.layout import judged_stimuli
    from rsa_face.rdms.align import select_stimuli

    if study.rdms is None or study.human is None:
        return study.rdms, None
    shared = judged_stimuli(study.human, study.rdms)
    if len(shared) < _FEWEST_TO_EMBED:
        return study.rdms, None
    return select_stimuli(study.rdms, shared), select_stimuli(study.human, shared)


def _left_out(study: "StudyFolder") -> list[str]:
    """Return in words what is not drawn because there is too much of it, or pairs of it are missing."""
    from rsa_face.figures.rdms import mean_person

    rdms, human = _judged(study)
    if rdms is None:
        return []
    count = rdms.sizes["stimulus_i"]
    if count > _MOST_TO_EMBED:
        return [f"faces as points: {count} stimuli would hide one another (at most {_MOST_TO_EMBED} are drawn)."]
    never = 0 if human is None else int(mean_person(human).isnull().sum()) // 2
    return [f"people as points: {never} pair{'s' * (never > 1)} of stimuli judged by nobody."] if never else []


def _localized(study: "StudyFolder") -> list[Any]:
    """Return the study's answer to where its network is most like people, and the same of its other networks."""
    from rsa_face.inference.localization import localize

    answers = [extra for name, extra in study.extras.items() if name.startswith("localization")]
    result = study.result
    if result is None or "similarity_draws" not in result:
        return answers
    known = {str(answer.attrs.get("network")) for answer in answers}
    others = [name for name in dict.fromkeys(map(str, result["network"].values)) if name not in known]
    return answers + [localize(result, network=name, baseline=None) for name in others]


def _planned(study: "StudyFolder", result: Any, answers: Sequence[Any]) -> list[tuple[str, str, float]]:
    """Return the contrasts of two networks at the layers they are shown at, with Holm's correction for their number.

    Networks that are shown at layers that were not contrasted with one another have none.
    """
    import numpy as np

    from rsa_face.figures.networks import answers_of, picked_layers
    from rsa_face.inference.statistics import correct

    shown = picked_layers(result, answers_of(answers))
    planned = []
    for name, contrast in study.extras.items():
        if not (name.startswith("contrast") and "p_difference" in contrast and "baseline_layer" in contrast.coords):
            continue
        network, baseline = str(contrast.attrs["network"]), str(contrast.attrs["baseline"])
        pairs = zip(contrast["layer"].values.astype(str), contrast["baseline_layer"].values.astype(str), strict=True)
        at = [place for place, pair in enumerate(pairs) if pair == (shown.get(network), shown.get(baseline))]
        planned += [(network, baseline, float(contrast["p_difference"][place])) for place in at]
    corrected = correct(np.array([p for *_, p in planned]), method="holm")
    return [(network, baseline, float(p)) for (network, baseline, _), p in zip(planned, corrected, strict=True)]
