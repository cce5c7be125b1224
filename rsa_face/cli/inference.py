"""``rsa-face compare`` and ``localize``: how similar layers are to people, and at which one, from arrays on disk."""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import typer

inference_app = typer.Typer()

_KINDS = {
    "t": "t test over other stimuli and participants",
    "shuffle": "by shuffled stimulus labels",
    "shuffle of groups": "by labels shuffled in groups, which keeps what the design gives any layer",
}


@inference_app.command("compare")
def compare(
    rdms: Annotated[Path, typer.Argument(help="Layer RDMs, as `rsa-face rdms` writes them (.nc).")],
    human: Annotated[Path, typer.Argument(help="Human RDMs of the same stimuli (.nc).")],
    out: Annotated[Path, typer.Option(help="Where to write the result (.nc).")] = Path("comparison.nc"),
    comparison: Annotated[str, typer.Option(help="How two RDMs are compared.")] = "rho-a",
    resample: Annotated[str, typer.Option(help="dual, both, stimulus, participant or none.")] = "dual",
    draws: Annotated[int, typer.Option(help="How many bootstrap draws.")] = 1000,
    seed: Annotated[int, typer.Option(help="The same seed gives the same draws.")] = 0,
    groups: Annotated[
        str, typer.Option(help="Factor whose stimuli are drawn together; auto: identity, if several have one; none.")
    ] = "auto",
    correction: Annotated[str, typer.Option(help="Over all layers: max, holm, fdr or none.")] = "max",
    controls: Annotated[Path | None, typer.Option(help="Control RDMs to take out as well (.nc).")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Compare every layer with every participant, with intervals, corrected p values and the noise ceiling."""
    from rsa_face.inference.compare import compare_layers
    from rsa_face.provenance import save
    from rsa_face.schema import must_be_known

    must_be_known(correction, ("max", "holm", "fdr", "none"), "correction")
    if out.suffix != ".nc":
        message = f"--out is {str(out)!r}: the result is written as netCDF, so give a name that ends in .nc."
        raise ValueError(message)
    layers, people = _one_array(rdms), _one_array(human)
    result = compare_layers(
        layers,
        people,
        comparison=comparison,
        resample=None if resample == "none" else resample,
        draws=draws,
        seed=seed,
        groups=None if groups == "none" else groups,
        progress=not as_json,
    )
    result = _corrected(result, layers, people, correction)
    if controls is not None:
        from rsa_face.inference.compare import add_partial

        result = add_partial(result, rdms=layers, human=people, controls=_one_array(controls))
    _report(result, save(result, out), as_json=as_json)


def _corrected(result: Any, layers: Any, people: Any, correction: str) -> Any:
    from rsa_face.inference.compare import correct_layers

    if correction == "none":
        return result
    if correction == "max" and result.attrs["resample"] is None:
        correction = "holm"  # without draws there is no largest t below the ceiling
    if people.sizes["stimulus_i"] < 4:  # three stimuli cannot be shuffled
        return correct_layers(result, method=correction)
    return correct_layers(result, rdms=layers, human=people, method=correction)


def _report(result: Any, written: Path, *, as_json: bool) -> None:
    named = [name for name in ("p_above_zero", "p_below_ceiling", "partial_similarity") if name in result]
    named += [f"{name}_corrected" for name in named if f"{name}_corrected" in result]
    rows: list[dict[str, float | str]] = [
        {
            "layer": str(label),
            "similarity": float(result["similarity"][place]),
            "lower": float(result["similarity_interval"][place, 0]),
            "upper": float(result["similarity_interval"][place, 1]),
            **{name: float(result[name][place]) for name in named},
        }
        for place, label in enumerate(result["rdm"].values)
    ]
    ceiling = [float(value) for value in result["noise_ceiling"]]
    many = float(result["noise_ceiling_extrapolated"])
    if as_json:
        attrs = {str(name): value for name, value in result.attrs.items()}
        ceilings = {"noise_ceiling": ceiling, "noise_ceiling_extrapolated": many if math.isfinite(many) else None}
        print(json.dumps({"path": str(written), "layers": rows, **ceilings, "attrs": attrs}))
        return
    how = f"{result.attrs['comparison']}, {result.attrs['resample'] or 'nothing resampled'}"
    from rsa_face.report.narrate import most_similar_sentence

    title = f"{how}, {result.sizes['participant']} participants"
    _print_table(rows, [*ceiling, many], title, result.attrs.get("correction"))
    groups = result.attrs.get("groups")
    if groups and result.attrs["resample"] not in (None, "participant"):
        print(
            f"Stimuli are drawn by {groups} ({result.attrs['stimuli']} groups); --groups none draws them one by one."
        )
    kind = result.attrs.get("p_above_zero_kind")
    if kind:
        print(f"p above 0: {_KINDS.get(kind, kind)}.")
    if result.attrs.get("redrawn"):
        print(f"{result.attrs['redrawn']} draws held fewer than three stimuli or groups and were drawn again.")
    if result.attrs["simulated"]:
        print("Simulated: these are not measurements of people.")
    print(most_similar_sentence(result), written, sep="\n")


@inference_app.command("localize")
def localize_layers(
    result: Annotated[Path, typer.Argument(help="A comparison with draws, as compare writes it (.nc).")],
    network: Annotated[str, typer.Option(help="The network in question.")] = "fe_alexnet",
    baseline: Annotated[str, typer.Option(help="What it is held against; 'none' for nothing.")] = "alexnet",
    margin: Annotated[
        float, typer.Option(help="How far above the baseline, or away from it, counts, in units of similarity.")
    ] = 0.0,
    ceiling_margin: Annotated[
        float, typer.Option(help="The share of the lower noise ceiling that a layer may lack and still reach it.")
    ] = 0.1,
    confidence: Annotated[
        float | None, typer.Option(help="Of sets, bands and intervals; the comparison's if not given.")
    ] = None,
    rdms: Annotated[Path | None, typer.Option(help="The layer RDMs, to evaluate picked layers on others.")] = None,
    human: Annotated[Path | None, typer.Option(help="The human RDMs, to evaluate picked layers on others.")] = None,
    out: Annotated[Path, typer.Option(help="The file to write (.nc).")] = Path("localization.nc"),
) -> None:
    """Say at which layer a network is most like people, reaches the noise ceiling, and leaves its baseline."""
    import xarray as xr

    from rsa_face.inference.compare import held_out_similarity
    from rsa_face.inference.localization import localize
    from rsa_face.provenance import load, save

    compared = load(result)
    if not isinstance(compared, xr.Dataset):
        message = f"{str(result)!r} holds a single array, not a comparison's result. Run compare first."
        raise ValueError(message)
    if (rdms is None) != (human is None):
        message = f"--rdms is {rdms} and --human is {human}: give both, or neither."
        raise ValueError(message)
    named = None if baseline == "none" else baseline
    where = localize(
        compared,
        network=network,
        baseline=named,
        margin=margin,
        ceiling_margin=ceiling_margin,
        confidence=confidence,
    )
    if rdms is not None and human is not None:
        where = held_out_similarity(where, compared, rdms=_one_array(rdms), human=_one_array(human))
    for line in _lines(where):
        print(line)
    print(save(where, out))


def _print_table(
    rows: list[dict[str, float | str]], ceiling: list[float], title: str, correction: str | None
) -> None:
    from rich.console import Console
    from rich.table import Table

    from rsa_face.report.narrate import number, p_value

    said = f"p corrected over {len(rows)} layers ({correction})" if correction else "p values not corrected"
    lower, upper, many = (number(value) for value in ceiling)
    with_many = f", about {many} with many participants" if math.isfinite(ceiling[2]) else ""
    table = Table(title=title, caption=f"noise ceiling {lower} to {upper}{with_many}; {said}")
    end = "_corrected" if correction else ""
    columns = {"similarity": "similarity", "interval": "interval", "partial": "partial_similarity"}
    columns |= {"p above 0": f"p_above_zero{end}", "p ceiling": f"p_below_ceiling{end}"}
    shown = {head: name for head, name in columns.items() if head == "interval" or name in rows[0]}
    table.add_column("layer")
    for head in shown:
        table.add_column(head, justify="right")
    for row in rows:
        cells = [
            f"{number(float(row['lower']))} to {number(float(row['upper']))}"
            if head == "interval"
            else p_value(float(row[name]))
            if head.startswith("p ")
            else number(float(row[name]))
            for head, name in shown.items()
        ]
        table.add_row(str(row["layer"]), *cells)
    Console().print(table)


def _one_array(path: Path) -> Any:
    import xarray as xr

    from rsa_face.provenance import load
    from rsa_face.schema import STIMULUS_I, STIMULUS_J, warn_implausible_rdms

    array = load(path)
    if not isinstance(array, xr.DataArray):
        message = (
            f"{str(path)!r} holds {list(array)}, not an array of RDMs. Give the file that `rsa-face rdms` wrote."
        )
        raise ValueError(message)
    if {STIMULUS_I, STIMULUS_J} <= set(array.dims) and array.ndim in (2, 3):
        warn_implausible_rdms(array, path.name)
    return array


def _lines(where: Any) -> list[str]:
    from rsa_face.report.narrate import localization_sentences

    lines = ["These are simulated data."] if where.attrs.get("simulated") else []
    lines += localization_sentences(where)
    if where.attrs.get("unmatched"):
        lines.append(f"Without a counterpart in the baseline: {', '.join(where.attrs['unmatched'])}.")
    return lines
