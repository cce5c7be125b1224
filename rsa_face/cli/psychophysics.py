"""``rsa-face psychometric`` and ``saliency``: how people and networks judge faces, and where networks look."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import typer

from rsa_face.cli.shared import (
    NETWORK_NAMES,
    FromSoftware,
    Json,
    LayoutWords,
    Seed,
    draw,
    layout_of,
    numbers,
    print_table,
    say,
    say_json,
)

if TYPE_CHECKING:
    from rsa_face.networks.zoo import Network

psychophysics_app = typer.Typer()

_PRINTED = {"pse": 3, "slope": 2, "lapse": 3}
_NAMED = typer.Option(
    "--network",
    help="A network and its file of weights, NAME=FILE (NAME alone: random weights); may be repeated.",
    autocompletion=NETWORK_NAMES,
)


@psychophysics_app.command()
def psychometric(
    choices: Annotated[
        list[Path], typer.Argument(help="Choices of people: files with participant, level and response, or a folder.")
    ],
    network: Annotated[list[str] | None, _NAMED] = None,
    stimuli: Annotated[Path | None, typer.Option(help="The stimulus table that the networks judge.")] = None,
    answers: Annotated[
        Path | None, typer.Option(help="Choices of networks (CSV), if they have been made already.")
    ] = None,
    high: Annotated[
        str | None, typer.Option(help="The answer that high levels favour: its probability is fitted (anger).")
    ] = None,
    low: Annotated[str | None, typer.Option(help="The other answer (fear).")] = None,
    variable: Annotated[str | None, typer.Option(help="What the levels are, for labels (morph).")] = None,
    unit: Annotated[str, typer.Option(help="The unit of the levels (%).")] = "",
    condition: Annotated[str | None, typer.Option(help="What conditions differ in (part shown).")] = None,
    layout: LayoutWords = [],  # noqa: B006 - typer copies it
    software: FromSoftware = None,
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("psychometric"),
    sigmoid: Annotated[Literal["gaussian", "logistic"], typer.Option(help="Shape of the curve.")] = "gaussian",
    method: Annotated[
        Literal["likelihood", "least squares"], typer.Option(help="What the fit optimises.")
    ] = "likelihood",
    guess: Annotated[str, typer.Option(help="Guess rate: a fixed number (0.02), or bounds (0,0.1).")] = "0,0.5",
    lapse: Annotated[str, typer.Option(help="Lapse rate: a fixed number (0.02), or bounds (0,0.1).")] = "0,0.5",
    pooling: Annotated[
        Literal["none", "participants"], typer.Option(help="Fit each participant alone, or all together.")
    ] = "none",
    draws: Annotated[int, typer.Option(help="Number of bootstrap draws, to compare networks with people.")] = 1000,
    seed: Seed = 0,
    as_json: Json = False,
) -> None:
    """Fit each observer's psychometric curve, with a figure: PSE (happy is chosen half the time), slope, lapses.

    Answers other than happy and sad are named with --high and --low.
    """
    from rsa_face.figures.behaviour import plot_psychometric
    from rsa_face.human.choices import read_choices
    from rsa_face.provenance import load
    from rsa_face.psychophysics.psychometric import Curve
    from rsa_face.study.behaviour import tabulate_curves, write_psychophysics

    bounds: dict[str, Any] = {"guess": numbers(guess, "guess", most=2), "lapse": numbers(lapse, "lapse", most=2)}
    curve = Curve(sigmoid=sigmoid, method=method, pooling=pooling, **bounds)
    two = _two(high, low)
    arranged = layout_of(layout, software)
    words: dict[str, Any] = {"variable": variable, "unit": unit, "condition": condition}
    people = read_choices(choices, layout=arranged, answers=two, **words)
    judged = read_choices(answers, answers=two) if answers is not None else _choices_of(network, stimuli, two)
    written = write_psychophysics(people, judged, out, curve=curve, draws=draws, seed=seed)
    fits: dict[str, Any] = {path.stem: load(path) for path in written if path.suffix == ".nc"}
    both = fits["psychometric"], fits.get("psychometric_networks")
    written += draw(lambda: plot_psychometric(*both), out / "figures" / "psychometric")
    tables = [tabulate_curves(fit) for fit in both if fit is not None]
    simulated = bool(both[0].attrs["simulated"])
    if as_json:
        rows = [row for table in tables for row in json.loads(table.to_json(orient="records"))]
        say_json({"written": [str(path) for path in written], "simulated": simulated, "curves": rows})
        return
    for table in tables:
        _print_curves(table)
    if both[0].attrs["left_out"]:
        say(f"Left out: {both[0].attrs['left_out']:,} choices of people without an answer (NA, None, null ...).")
    if simulated:
        say("Simulated: these are not choices of people.")
    say(*written)


@psychophysics_app.command()
def saliency(
    table: Annotated[Path, typer.Argument(help="The stimulus table, with the regions eyes, nose and mouth.")],
    network: Annotated[list[str], _NAMED],
    out: Annotated[Path, typer.Option(help="Folder to write into.")] = Path("saliency"),
    layer: Annotated[str, typer.Option(help="A layer with rows and columns, or last.")] = "last",
    method: Annotated[
        Literal["gradcam", "gradcam++", "layercam"], typer.Option(help="How the maps are made.")
    ] = "gradcam",
    answer: Annotated[
        Literal["happy", "sad", "given"],
        typer.Option(help="The answer that the maps explain; given: the answer of the network."),
    ] = "happy",
    as_json: Json = False,
) -> None:
    """Map where networks look when they choose happy or sad, and measure the shares of eyes, nose and mouth."""
    from rsa_face.figures.saliency import plot_saliency
    from rsa_face.provenance import load
    from rsa_face.saliency.regions import average_regions
    from rsa_face.stimuli.catalogue import read_stimuli
    from rsa_face.study.recording import write_saliency

    stimuli = read_stimuli(table)
    written = write_saliency(_networks(network), stimuli, out, layer=layer, method=method, answer=answer)
    regions = cast("Any", load(out / "saliency.nc"))
    if (out / "saliency_maps.nc") in written:
        maps = cast("Any", load(out / "saliency_maps.nc"))
        written += draw(lambda: plot_saliency(maps, stimuli, regions=regions), out / "figures" / "saliency")
    shares = average_regions(regions, by=("occlusion",))
    zero = list(regions.attrs.get("all_zero", []))
    if as_json:
        rows = json.loads(shares.to_json(orient="records"))
        say_json({"written": [str(path) for path in written], "regions": rows, "all_zero": zero})
        return
    factors = [name for name in ("network", "occlusion", "region") if name in shares]
    print_table(
        [*factors, "share", "enrichment", "faces"],
        [
            [*(row[name] for name in factors), f"{row['proportion']:.3f}", f"{row['enrichment']:.2f}", row["faces"]]
            for row in shares.to_dict("records")
        ],
        title="Saliency by region",
        caption="enrichment: share over the region's share of the image",
        words=factors,
    )
    if zero:
        more = f" and {len(zero) - 20} more" if len(zero) > 20 else ""
        say(f"All zero, and left out of the shares: {', '.join(zero[:20])}{more}.")
    if regions.attrs.get("untrained"):
        say(f"Untrained weights: {', '.join(regions.attrs['untrained'])}.")
    say(*written)


def _networks(words: list[str]) -> "Iterator[Network]":
    """Build the networks of ``NAME=WEIGHTS``, each when its turn comes."""
    from rsa_face.networks.zoo import build_network

    for word in words:
        name, _, weights = word.partition("=")
        yield build_network(name, weights=weights or None)


def _two(high: str | None, low: str | None) -> dict[str, str] | None:
    if (high is None) != (low is None):
        message = f"--{'low' if low is None else 'high'} is missing. Name both answers, or neither."
        raise ValueError(message)
    return None if high is None or low is None else {"high": high, "low": low}


def _choices_of(network: list[str] | None, stimuli: Path | None, two: dict[str, str] | None) -> Any:
    from rsa_face.psychophysics.choices import network_choices
    from rsa_face.stimuli.catalogue import read_stimuli

    if not network:
        return None
    if stimuli is None:
        message = (
            f"--stimuli is missing: {', '.join(network)} cannot judge faces without them. Give a stimulus table."
        )
        raise ValueError(message)
    return network_choices(_networks(network), read_stimuli(stimuli), answers=two)


def _print_curves(table: Any) -> None:
    import numpy as np

    kind, condition = str(table["kind"].iloc[0]), str(table.columns[2])
    rows = []
    for row in table.to_dict("records"):
        # without a PSE the status says why, and its interval how little the choices tell
        cells = ["" if np.isnan(row[name]) else f"{row[name]:.{digits}f}" for name, digits in _PRINTED.items()]
        known = not np.isnan(row.get("pse_lower", np.nan))
        cells.insert(1, f"{row['pse_lower']:.3f} to {row['pse_upper']:.3f}" if known else "")
        rows.append([row["observer"], row[condition], *cells, row["status"], row["bound"]])
    words = [kind, condition, "status", "at a bound"]
    columns = [kind, condition, "PSE", "interval", "slope", "lapse", "status", "at a bound"]
    print_table(columns, rows, title=f"Psychometric curves, a row for each {kind} and {condition}", words=words)
