"""``rsa-face localize``: at which layer a network is most like people, reaches the ceiling, leaves its baseline."""

from pathlib import Path
from typing import Annotated, Any

import typer


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
