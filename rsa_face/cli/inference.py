"""``rsa-face compare`` and ``localize``: how similar layers are to people, and at which layer most."""

import math
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rsa_face.cli.shared import NETWORK_NAMES, Json, Seed, draw, print_table, say, say_json, split

inference_app = typer.Typer()

Comparison = Literal["cosine", "corr", "spearman", "rho-a", "tau-a", "kendall", "corr_cov", "cosine_cov"]
_KINDS = {
    "t": "t test over other stimuli and participants",
    "shuffle": "by shuffled stimulus labels",
    "shuffle of groups": "by labels shuffled in groups, which keeps what the design gives any layer",
}


@inference_app.command()
def compare(
    rdms: Annotated[Path, typer.Argument(help="Layer RDMs (.nc), as rsa-face rdms writes them.")],
    human: Annotated[
        Path, typer.Argument(help="Human RDMs of the same stimuli (.nc), as rsa-face human convert does.")
    ],
    out: Annotated[Path, typer.Option(help="The file to write (.nc).")] = Path("comparison.nc"),
    comparison: Annotated[Comparison, typer.Option(help="How two RDMs are compared.")] = "rho-a",
    resample: Annotated[
        Literal["dual", "both", "stimulus", "participant", "none"],
        typer.Option(help="What bootstrap draws vary; dual and both: stimuli and participants."),
    ] = "dual",
    draws: Annotated[int, typer.Option(help="Number of bootstrap draws.")] = 1000,
    seed: Seed = 0,
    groups: Annotated[
        str,
        typer.Option(
            help="Factor whose stimuli are drawn together, such as identity; none; or auto: identity, where several "
            "stimuli share one."
        ),
    ] = "auto",
    correction: Annotated[
        Literal["max", "holm", "fdr", "none"],
        typer.Option(help="How p values are corrected for the number of layers."),
    ] = "max",
    controls: Annotated[
        Path | None, typer.Option(help="Control RDMs (.nc), for partial similarities in addition.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Compare each layer with people: similarity, interval, corrected p values, and the noise ceiling."""
    from rsa_face.inference.rsa import add_partial, compare_layers
    from rsa_face.provenance import save

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
        result = add_partial(result, rdms=layers, human=people, controls=_one_array(controls))
    _report(result, save(result, out), as_json=as_json)


def _corrected(result: Any, layers: Any, people: Any, correction: str) -> Any:
    from rsa_face.inference.rsa import correct_layers

    if correction == "none":
        return result
    if correction == "max" and result.attrs["resample"] is None:
        correction = "holm"  # without draws there is no largest t below the ceiling
    if people.sizes["stimulus_i"] < 4:  # three stimuli cannot be shuffled
        return correct_layers(result, method=correction)
    return correct_layers(result, rdms=layers, human=people, method=correction)


def _report(result: Any, written: Path, *, as_json: bool) -> None:
    from rsa_face.report.narrate import most_similar_sentence

    named = [name for name in ("p_above_zero", "p_below_ceiling", "partial_similarity") if name in result]
    named += [f"{name}_corrected" for name in named if f"{name}_corrected" in result]
    rows: list[dict[str, Any]] = [
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
    attrs = {str(name): value for name, value in result.attrs.items()}
    if as_json:
        ceilings = {"noise_ceiling": ceiling, "noise_ceiling_extrapolated": many if math.isfinite(many) else None}
        say_json({"path": str(written), "layers": rows, **ceilings, "attrs": attrs})
        return
    draws, people = attrs["resample"] or "nothing resampled", result.sizes["participant"]
    _print_layers(rows, [*ceiling, many], f"{attrs['comparison']}, {draws}, {people} participants", attrs)
    if attrs.get("groups") and attrs["resample"] not in (None, "participant"):
        drawn = f"Stimuli are drawn by {attrs['groups']} ({attrs['stimuli']} groups)"
        say(f"{drawn}; --groups none draws them one by one.")
    kind = attrs.get("p_above_zero_kind")
    if kind:
        say(f"p above 0: {_KINDS.get(kind, kind)}.")
    if attrs.get("redrawn"):
        say(f"{attrs['redrawn']} draws held fewer than three stimuli or groups and were drawn again.")
    if attrs["simulated"]:
        say("Simulated: these are not measurements of people.")
    say(most_similar_sentence(result), written)


def _print_layers(rows: list[dict[str, Any]], ceiling: list[float], title: str, attrs: dict[str, Any]) -> None:
    from rsa_face.figures.layout import number, p_value

    lower, upper, many = map(number, ceiling)
    with_many = f", about {many} with many participants" if math.isfinite(ceiling[2]) else ""
    correction = attrs.get("correction")
    corrected = f"p corrected over {len(rows)} layers ({correction})" if correction else "p values not corrected"
    end = "_corrected" if correction else ""
    columns = {"similarity": "similarity", "interval": "interval", "partial": "partial_similarity"}
    columns |= {"p above 0": f"p_above_zero{end}", "p ceiling": f"p_below_ceiling{end}"}
    shown = {head: name for head, name in columns.items() if head == "interval" or name in rows[0]}

    def cell(row: dict[str, Any], head: str, name: str) -> str:
        if head == "interval":
            return f"{number(row['lower'])} to {number(row['upper'])}"
        return p_value(row[name]) if head.startswith("p ") else number(row[name])

    print_table(
        ["layer", *shown],
        [[row["layer"], *(cell(row, head, name) for head, name in shown.items())] for row in rows],
        title=title,
        caption=f"noise ceiling {lower} to {upper}{with_many}; {corrected}",
        words=["layer"],
    )


@inference_app.command("localize")
def localize_layers(
    result: Annotated[Path, typer.Argument(help="A comparison with draws (.nc), as rsa-face compare writes it.")],
    network: Annotated[
        str, typer.Option(help="The network in question.", autocompletion=NETWORK_NAMES)
    ] = "fe_alexnet",
    baseline: Annotated[
        str, typer.Option(help="The network it is compared with, or none.", autocompletion=NETWORK_NAMES)
    ] = "alexnet",
    margin: Annotated[
        float, typer.Option(help="Difference to the baseline that counts, in units of similarity.")
    ] = 0.0,
    ceiling_margin: Annotated[
        float, typer.Option(help="A layer reaches the noise ceiling when it lacks no more than this share of it.")
    ] = 0.1,
    confidence: Annotated[
        float | None,
        typer.Option(help="Confidence of sets, bands and intervals.", show_default="that of the comparison"),
    ] = None,
    rdms: Annotated[
        Path | None, typer.Option(help="The layer RDMs, to test the layers picked on other stimuli and people.")
    ] = None,
    human: Annotated[Path | None, typer.Option(help="The human RDMs, for the same.")] = None,
    out: Annotated[Path, typer.Option(help="The file to write (.nc).")] = Path("localization.nc"),
) -> None:
    """Find the layers at which a network is most like people, reaches the noise ceiling, and leaves its baseline."""
    import xarray as xr

    from rsa_face.inference.localization import localize
    from rsa_face.inference.rsa import held_out_similarity
    from rsa_face.provenance import load, save
    from rsa_face.report.narrate import localization_sentences

    compared = load(result)
    if not isinstance(compared, xr.Dataset):
        message = f"{str(result)!r} holds a single array, not a comparison's result. Run compare first."
        raise ValueError(message)
    if (rdms is None) != (human is None):
        message = f"--rdms is {rdms} and --human is {human}: give both, or neither."
        raise ValueError(message)
    where = localize(
        compared,
        network=network,
        baseline=None if baseline == "none" else baseline,
        margin=margin,
        ceiling_margin=ceiling_margin,
        confidence=confidence,
    )
    if rdms is not None and human is not None:
        where = held_out_similarity(where, compared, rdms=_one_array(rdms), human=_one_array(human))
    if where.attrs.get("simulated"):
        say("These are simulated data.")
    say(*localization_sentences(where))
    if where.attrs.get("unmatched"):
        say(f"Without a counterpart in the baseline: {', '.join(where.attrs['unmatched'])}.")
    say(save(where, out))


@inference_app.command("contrast-groups")
def contrast_people(
    rdms: Annotated[Path, typer.Argument(help="Layer RDMs (.nc), as rsa-face rdms writes them.")],
    human: Annotated[Path, typer.Argument(help="Human RDMs of both groups (.nc), as rsa-face human convert does.")],
    factor: Annotated[
        str, typer.Argument(help="The factor of participants that says who is in which group, such as diagnosis.")
    ],
    people: Annotated[
        str | None, typer.Option(help="The two groups, the second subtracted: patients,controls.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The file to write (.nc).")] = Path("people.nc"),
    comparison: Annotated[Comparison, typer.Option(help="How two RDMs are compared.")] = "rho-a",
    shuffles: Annotated[int, typer.Option(help="How many times participants change groups.")] = 1000,
    draws: Annotated[int, typer.Option(help="Number of bootstrap draws.")] = 1000,
    seed: Seed = 0,
    figure: Annotated[Path | None, typer.Option(help="Draw both curves: a path without an ending.")] = None,
    table: Annotated[Path | None, typer.Option(help="Write a row for each layer (.csv).")] = None,
) -> None:
    """Compare two groups of participants: how similar layers are to each, and where networks turn and peak."""
    from rsa_face.inference.people import contrast_groups
    from rsa_face.provenance import save
    from rsa_face.report.narrate import people_sentences
    from rsa_face.safety import one_part, write_table
    from rsa_face.schema import PEOPLE, RDM, table_along

    result = contrast_groups(
        _one_array(rdms),
        _one_array(human),
        factor,
        people=None if people is None else split(people),
        comparison=comparison,
        shuffles=shuffles,
        draws=draws,
        seed=seed,
        progress=True,
    )
    if result.attrs.get("simulated"):
        say("These are simulated data.")
    networks: list[str | None] = [None]
    if "of_network" in result.coords:
        networks = [str(name) for name in result["of_network"].values]
    sentences = [one for network in networks for one in people_sentences(result, network)]
    say(*dict.fromkeys(sentences))
    if figure is not None:
        from rsa_face.figures.people import plot_people

        for network in networks:
            stem = figure if len(networks) < 2 else figure.with_name(f"{figure.name}-{one_part(str(network))}")
            say(*draw(partial(plot_people, result, network=network), stem))
    if table is not None:
        write_table(table_along(result, RDM, across=PEOPLE), table)
        say(table)
    say(save(result, out))


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
