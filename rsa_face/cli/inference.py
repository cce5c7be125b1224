"""``rsa-face compare``: how similar layers are to people, from arrays on disk."""

import json
from pathlib import Path
from typing import Annotated

import typer

inference_app = typer.Typer()


@inference_app.command("compare")
def compare(
    rdms: Annotated[Path, typer.Argument(help="Layer RDMs, as `rsa-face rdms` writes them (.nc).")],
    human: Annotated[Path, typer.Argument(help="Human RDMs of the same stimuli (.nc).")],
    out: Annotated[Path, typer.Option(help="Where to write the result (.nc).")] = Path("comparison.nc"),
    comparison: Annotated[str, typer.Option(help="How two RDMs are compared.")] = "rho-a",
    resample: Annotated[str, typer.Option(help="stimulus, participant, both, dual or none.")] = "both",
    draws: Annotated[int, typer.Option(help="How many bootstrap draws.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.")] = 0,
    groups: Annotated[str | None, typer.Option(help="Factor of the stimuli drawn as wholes: identity.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare every layer with every participant, with intervals and the noise ceiling."""
    from rsa_face.inference.layerwise import compare_layers
    from rsa_face.provenance import load, save

    if out.suffix != ".nc":
        message = f"The result is written as netCDF, so --out must end in .nc, but is {str(out)!r}."
        raise ValueError(message)
    layers, people = load(rdms), load(human)
    _must_be_array(layers, rdms)
    _must_be_array(people, human)
    result = compare_layers(
        layers,  # type: ignore[arg-type]  # checked above
        people,  # type: ignore[arg-type]
        comparison=comparison,
        resample=None if resample == "none" else resample,
        draws=draws,
        seed=seed,
        groups=groups,
        progress=not as_json,
    )
    written = save(result, out)
    rows: list[dict[str, float | str]] = [
        {
            "layer": str(name),
            "similarity": float(result["similarity"][place]),
            "lower": float(result["similarity_interval"][place, 0]),
            "upper": float(result["similarity_interval"][place, 1]),
            "p_above_zero": float(result["p_above_zero"][place]),
            "p_below_ceiling": float(result["p_below_ceiling"][place]),
        }
        for place, name in enumerate(result["rdm"].values)
    ]
    ceiling = [float(value) for value in result["noise_ceiling"]]
    if as_json:
        attrs = {str(name): value for name, value in result.attrs.items()}
        print(json.dumps({"path": str(written), "layers": rows, "noise_ceiling": ceiling, "attrs": attrs}))
        return
    _print_table(rows, ceiling, f"{comparison}, {resample}, {result.sizes['participant']} participants")
    if result.attrs.get("redrawn"):
        print(f"{result.attrs['redrawn']} draws held fewer than three stimuli or groups and were drawn again.")
    if result.attrs["simulated"]:
        print("Simulated: these are not measurements of people.")
    print(written)


def _print_table(rows: list[dict[str, float | str]], ceiling: list[float], title: str) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title, caption=f"noise ceiling {ceiling[0]:.3f} to {ceiling[1]:.3f}; p values not corrected")
    for name in ("layer", "similarity", "interval", "p above 0", "p ceiling"):
        table.add_column(name, justify="left" if name == "layer" else "right")
    for row in rows:
        table.add_row(
            str(row["layer"]),
            f"{row['similarity']:.3f}",
            f"{row['lower']:.3f} to {row['upper']:.3f}",
            f"{row['p_above_zero']:.3g}",
            f"{row['p_below_ceiling']:.3g}",
        )
    Console().print(table)


def _must_be_array(array: object, path: Path) -> None:
    import xarray as xr

    if not isinstance(array, xr.DataArray):
        message = f"RDMs must be one array, but {str(path)!r} holds a dataset. Give what `rsa-face rdms` wrote."
        raise ValueError(message)
