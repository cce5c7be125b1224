"""``rsa-face psychometric`` and ``saliency``: how people and networks judge faces, and where networks look."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rsa_face.networks.zoo import Network

psychophysics_app = typer.Typer()
saliency_app = typer.Typer()
_PRINTED = {"pse": 3, "slope": 2, "lapse": 3}

Networks = Annotated[
    list[str] | None,
    typer.Option("--network", help="A network to ask, NAME=WEIGHTS (a file); repeat."),
]


@psychophysics_app.command("psychometric")
def psychometric(
    choices: Annotated[Path, typer.Argument(help="Choices of people: participant, level, response (CSV).")],
    network: Networks = None,
    stimuli: Annotated[Path | None, typer.Option(help="The stimulus table that networks judge.")] = None,
    answers: Annotated[Path | None, typer.Option(help="Choices of networks, instead of asking them (CSV).")] = None,
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("psychometric"),
    sigmoid: Annotated[str, typer.Option(help="gaussian or logistic.")] = "gaussian",
    method: Annotated[str, typer.Option(help="likelihood or 'least squares'.")] = "likelihood",
    guess: Annotated[str, typer.Option(help="Fixed (0.02), or bounds (0,0.1).")] = "0,0.5",
    lapse: Annotated[str, typer.Option(help="Fixed (0.02), or bounds (0,0.1).")] = "0,0.5",
    pooling: Annotated[str, typer.Option(help="none or participants.")] = "none",
    draws: Annotated[int, typer.Option(help="Bootstrap draws of the comparison with networks.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Fit everybody's psychometric curve: PSE (happy is chosen half the time), slope, lapses, and a figure."""
    from rsa_face.provenance import load
    from rsa_face.psychophysics.choices import read_choices
    from rsa_face.psychophysics.psychometric import Curve
    from rsa_face.study.behaviour import tabulate_curves, write_psychophysics

    curve = Curve.model_validate(
        {
            "sigmoid": sigmoid,
            "guess": _bounds("guess", guess),
            "lapse": _bounds("lapse", lapse),
            "method": method,
            "pooling": pooling,
        }
    )
    people = read_choices(choices)
    judged = read_choices(answers) if answers is not None else _ask(network, stimuli)
    written = write_psychophysics(people, judged, out, curve=curve, draws=draws, seed=seed)
    fits: dict[str, Any] = {path.stem: load(path) for path in written if path.suffix == ".nc"}
    written += _draw_curves(fits, out)
    tables = [tabulate_curves(fits[name]) for name in ("psychometric", "psychometric_networks") if name in fits]
    if as_json:
        rows = [row for table in tables for row in json.loads(table.to_json(orient="records"))]
        simulated = bool(fits["psychometric"].attrs["simulated"])
        print(json.dumps({"written": [str(path) for path in written], "simulated": simulated, "curves": rows}))
        return
    for table in tables:
        _print_curves(table)
    if fits["psychometric"].attrs["simulated"]:
        print("Simulated: these are not choices of people.")
    for path in written:
        print(path)


@saliency_app.command("saliency")
def saliency(
    table: Annotated[Path, typer.Argument(help="The stimulus table, with regions eyes, nose, mouth.")],
    network: Annotated[list[str], typer.Option("--network", help="NAME=WEIGHTS (a file); repeat.")],
    out: Annotated[Path, typer.Option(help="The folder to write into.")] = Path("saliency"),
    layer: Annotated[str, typer.Option(help="A layer with rows and columns, or 'last'.")] = "last",
    method: Annotated[str, typer.Option(help="gradcam, gradcam++ or layercam.")] = "gradcam",
    answer: Annotated[str, typer.Option(help="happy, sad or given: whose evidence is shown.")] = "happy",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Make class activation maps of the valence decision, and measure their shares in eyes, nose and mouth."""
    from rsa_face.provenance import load
    from rsa_face.saliency.regions import average_regions
    from rsa_face.saliency.stage import write_saliency
    from rsa_face.stimuli.catalogue import read_stimuli

    stimuli = read_stimuli(table)
    written = write_saliency(networks_of(network), stimuli, out, layer=layer, method=method, answer=answer)
    regions = cast("Any", load(out / "saliency.nc"))
    if (out / "saliency_maps.nc") in written:
        written += _draw_maps(load(out / "saliency_maps.nc"), regions, stimuli, out)
    shares = average_regions(regions, by=("occlusion",))
    zero = list(regions.attrs.get("all_zero", []))
    if as_json:
        rows = json.loads(shares.to_json(orient="records"))
        print(json.dumps({"written": [str(path) for path in written], "regions": rows, "all_zero": zero}))
        return
    _print_shares(shares)
    if zero:
        more = f" and {len(zero) - 20} more" if len(zero) > 20 else ""
        print(f"All zero, and left out of the shares: {', '.join(zero[:20])}{more}.")
    if regions.attrs.get("untrained"):
        print(f"Untrained weights: {', '.join(regions.attrs['untrained'])}.")
    for path in written:
        print(path)


def networks_of(asked: list[str]) -> "Iterator[Network]":
    """Build the networks that a command line names, each when it is its turn.

    Parameters
    ----------
    asked : list of str
        ``NAME=WEIGHTS``, or ``NAME`` for random weights.

    Yields
    ------
    Network
        In the order given.
    """
    from rsa_face.networks.zoo import build_network

    for text in asked:
        name, _, weights = text.partition("=")
        yield build_network(name, weights=weights or "random")


def _ask(network: list[str] | None, stimuli: Path | None) -> Any:
    from rsa_face.psychophysics.choices import network_choices
    from rsa_face.stimuli.catalogue import read_stimuli

    if not network:
        return None
    if stimuli is None:
        message = (
            f"--stimuli is missing: {', '.join(network)} cannot judge faces without them. Give a stimulus table."
        )
        raise ValueError(message)
    return network_choices(networks_of(network), read_stimuli(stimuli))


def _bounds(name: str, text: str) -> float | tuple[float, float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) not in (1, 2):
        message = f"--{name} is {text!r}. Give a number, or two with a comma between: 0.02, or 0,0.1."
        raise ValueError(message)
    return numbers[0] if len(numbers) == 1 else (numbers[0], numbers[1])


def _draw_curves(fits: dict[str, Any], out: Path) -> list[Path]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    from rsa_face.figures.layout import save_figure
    from rsa_face.figures.psychometric import plot_psychometric
    from rsa_face.figures.style import figure_style

    with figure_style():
        figure: Any = plot_psychometric(fits["psychometric"], fits.get("psychometric_networks")).figure
        written = save_figure(figure, out / "figures" / "psychometric")
        plt.close(figure)
    return written


def _print_curves(table: Any) -> None:
    import numpy as np
    from rich.console import Console
    from rich.table import Table

    kind = str(table["kind"].iloc[0])
    shown = Table(title=f"Psychometric curves, a row for each {kind} and occlusion")
    for name in (kind, "occlusion", "PSE", "interval", "slope", "lapse", "status", "at a bound"):
        shown.add_column(name, justify="right" if name in ("PSE", "interval", "slope", "lapse") else "left")
    for row in table.to_dict("records"):
        # without a PSE the status says why, and its interval how little the choices tell
        numbers = ["" if np.isnan(row[name]) else f"{row[name]:.{digits}f}" for name, digits in _PRINTED.items()]
        if not np.isnan(row.get("pse_lower", np.nan)):
            numbers.insert(1, f"{row['pse_lower']:.3f} to {row['pse_upper']:.3f}")
        else:
            numbers.insert(1, "")
        shown.add_row(row["observer"], row["occlusion"], *numbers, row["status"], row["bound"])
    Console().print(shown)


def _draw_maps(maps: Any, regions: Any, stimuli: Any, out: Path) -> list[Path]:
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    from rsa_face.figures.layout import save_figure
    from rsa_face.figures.saliency import plot_saliency
    from rsa_face.figures.style import figure_style

    with figure_style():
        figure: Any = plot_saliency(maps, stimuli, regions=regions).figure
        written = save_figure(figure, out / "figures" / "saliency")
        plt.close(figure)
    return written


def _print_shares(shares: Any) -> None:
    from rich.console import Console
    from rich.table import Table

    factors = [name for name in ("network", "occlusion", "region") if name in shares]
    shown = Table(title="Saliency by region", caption="enrichment: share over the region's share of the image")
    for name in (*factors, "share", "enrichment", "faces"):
        shown.add_column(name, justify="left" if name in factors else "right")
    for row in shares.to_dict("records"):
        words = [str(row[name]) for name in factors]
        shown.add_row(*words, f"{row['proportion']:.3f}", f"{row['enrichment']:.2f}", str(row["faces"]))
    Console().print(shown)
