"""``rsa-face saliency``: where networks look when they judge a face."""

import json
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from rsa_face.cli.psychophysics import networks_of

saliency_app = typer.Typer()


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
        written += _draw(load(out / "saliency_maps.nc"), regions, stimuli, out)
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


def _draw(maps: Any, regions: Any, stimuli: Any, out: Path) -> list[Path]:
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
