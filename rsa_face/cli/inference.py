"""``rsa-face compare`` and ``localize``: how similar layers are to people, and at which one, from arrays on disk."""

import json
from pathlib import Path
from typing import Annotated, Any

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


@inference_app.command("localize")
def localize_layers(
    result: Annotated[Path, typer.Argument(help="A comparison with draws, as compare writes it (.nc).")],
    network: Annotated[str, typer.Option(help="The network in question.")] = "fe_alexnet",
    baseline: Annotated[str, typer.Option(help="What it is held against; 'none' for nothing.")] = "alexnet",
    margin: Annotated[float, typer.Option(help="How far above the baseline counts, in units of similarity.")] = 0.0,
    confidence: Annotated[float, typer.Option(help="Of the set of layers.")] = 0.95,
    rdms: Annotated[Path | None, typer.Option(help="The layer RDMs, to evaluate picked layers on others.")] = None,
    human: Annotated[Path | None, typer.Option(help="The human RDMs, to evaluate picked layers on others.")] = None,
    out: Annotated[Path, typer.Option(help="The file to write (.nc).")] = Path("localization.nc"),
) -> None:
    """Say at which layer a network is most like people, reaches the noise ceiling, and leaves its baseline."""
    import xarray as xr

    from rsa_face.inference.localization import localize
    from rsa_face.inference.nested import held_out_similarity
    from rsa_face.provenance import load, save

    compared = load(result)
    if not isinstance(compared, xr.Dataset):
        message = f"A comparison's result must be given, but {str(result)!r} holds a single array. Run compare first."
        raise ValueError(message)
    if (rdms is None) != (human is None):
        message = f"RDMs of layers and of people must be given together, but rdms is {rdms} and human is {human}."
        raise ValueError(message)
    named = None if baseline == "none" else baseline
    where = localize(compared, network=network, baseline=named, margin=margin, confidence=confidence)
    if rdms is not None and human is not None:
        where = held_out_similarity(where, compared, rdms=_one_array(rdms), human=_one_array(human))
    for line in _lines(where):
        print(line)
    print(save(where, out))


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


def _one_array(path: Path) -> Any:
    import xarray as xr

    from rsa_face.provenance import load

    array = load(path)
    if not isinstance(array, xr.DataArray):
        message = f"RDMs must be one array, but {str(path)!r} holds {list(array)}. Give the file that rdms wrote."
        raise ValueError(message)
    return array


def _lines(where: Any) -> list[str]:
    share = float(where.attrs["confidence"])
    lines = ["These are simulated data."] if where.attrs.get("simulated") else []
    for target in where["target"].values:
        row = where.sel(target=target)
        chance = row["probability"].sel(layer=row["picked"].item())
        inside = ", ".join(str(name) for name in where["layer"].values[row["in_set"].values])
        lines.append(
            f"{target}: {row['picked'].item()} (in {float(chance):.0%} of draws); {share:.0%} set: {inside or '-'}"
        )
        if "held_out_similarity" in row:
            lines[-1] += f"; similarity on what was left out: {float(row['held_out_similarity']):.3f}"
    if where.attrs.get("unmatched"):
        lines.append(f"Without a counterpart in the baseline: {', '.join(where.attrs['unmatched'])}.")
    return lines
