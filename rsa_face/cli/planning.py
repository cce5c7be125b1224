"""``rsa-face plan``: how many people and stimuli tell layers apart, from a study or before there are people."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rsa_face.cli.shared import Json, draw, print_table, say, split

if TYPE_CHECKING:
    from rsa_face.study.config import Study

planning_app = typer.Typer()


@planning_app.command("plan")
def plan_study(
    study: Annotated[str, typer.Argument(help="A study file (YAML), or the name of a study in the package: demo.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where the study was written, if not to its own folder.")
    ] = None,
    network: Annotated[
        str, typer.Option(help="The network whose layers are told apart.", show_default="that of the study")
    ] = "",
    layers: Annotated[
        str, typer.Option(help="Only these layers, with commas between: relu5,fe.", show_default="all")
    ] = "",
    participants: Annotated[
        str, typer.Option(help="Numbers of people, with commas between.", show_default="half to 4 times the study's")
    ] = "",
    stimuli: Annotated[
        str, typer.Option(help="Numbers of stimuli (or identities).", show_default="half to 4 times the study's")
    ] = "",
    power: Annotated[float, typer.Option(help="How probable it is to be that layers are told apart.")] = 0.8,
    agreement: Annotated[
        float | None, typer.Option(help="Before there are people: the mean similarity of two of them, such as 0.3.")
    ] = None,
    people: Annotated[int, typer.Option(help="Before there are people: how many to simulate as a pilot.")] = 20,
    truth: Annotated[
        str, typer.Option(help="Before there are people: the layer that they see.", show_default="the middle one")
    ] = "",
    draws: Annotated[int, typer.Option(help="Before there are people: bootstrap draws of the pilot.")] = 300,
    out: Annotated[Path, typer.Option(help="Where to write plan.nc, plan.csv and the figure.")] = Path("plan"),
    as_json: Json = False,
) -> None:
    """Plan a study: the power to tell layers apart, by the number of people and of stimuli.

    From the comparison of a study that was run, or of a pilot; or, with --agreement, from the layer RDMs of a study
    without human data, for people who are simulated.
    """
    import json

    from rsa_face.figures.planning import plot_plan
    from rsa_face.inference.planning import plan, plan_table
    from rsa_face.provenance import save
    from rsa_face.report.narrate import plan_sentence
    from rsa_face.safety import write_table
    from rsa_face.study.config import load_study

    loaded = load_study(study, output=output)
    asked = network or loaded.inference.network
    pilot = _pilot(loaded, asked, agreement=agreement, people=people, truth=truth, draws=draws)
    planned = plan(
        pilot,
        network=asked,
        layers=split(layers) or None,
        participants=_counts(participants, "participants") or loaded.planning.participants,
        stimuli=_counts(stimuli, "stimuli") or loaded.planning.stimuli,
        power=power,
    )
    out.mkdir(parents=True, exist_ok=True)
    written = [save(planned, out / "plan.nc"), out / "plan.csv"]
    write_table(plan_table(planned), written[1])
    written += draw(lambda: plot_plan(planned)["power"], out / "power")
    sentence = plan_sentence(planned)
    if as_json:
        rows = plan_table(planned).to_dict("records")
        attrs = {str(name): value for name, value in planned.attrs.items()}
        say(json.dumps({"plan": rows, "sentence": sentence, "attrs": attrs, "written": list(map(str, written))}))
        return
    _print(planned)
    if planned.attrs.get("simulated"):
        say("Simulated: these are not measurements of people.")
    say(sentence, *written)


def _print(planned: Any) -> None:
    from rsa_face.figures.layout import number
    from rsa_face.figures.planning import hardest_rival, plural_of

    rival, unit = hardest_rival(planned), plural_of(str(planned.attrs["unit"]))
    power, size = planned["left_out"].sel(layer=rival).values, planned["set_size"].values
    rows = [
        [
            count,
            *(
                f"{number(power[row, at], digits=2)} ({number(size[row, at], digits=1)})"
                for at in range(len(size[0]))
            ),
        ]
        for row, count in enumerate(planned["participants"].values)
    ]
    print_table(
        ["people", *map(str, planned["stimuli"].values)],
        rows,
        title=f"Power to tell {planned.attrs['peak']} from {rival}, by people and {unit}",
        caption="in brackets: how many layers the set of those that may be the peak is expected to hold",
    )


def _pilot(study: "Study", network: str, *, agreement: float | None, people: int, truth: str, draws: int) -> Any:
    """Return the comparison to plan from: that of the study, or of people simulated on its layer RDMs."""
    from rsa_face.inference.recovery import simulate_people
    from rsa_face.inference.rsa import RSA
    from rsa_face.provenance import load
    from rsa_face.schema import must_be_known
    from rsa_face.study.comparing import varying

    compared, rdms = study.output / "layers.nc", study.output / "rdms.nc"
    if agreement is None and compared.is_file():
        return load(compared)
    if not rdms.is_file():
        lacking = "no comparison" if agreement is None else "no layer RDMs"
        message = f"{str(study.output)!r} holds {lacking} of this study. Run `rsa-face run` first, or name --output."
        raise FileNotFoundError(message)
    if agreement is None:
        message = (
            f"{str(study.output)!r} holds layer RDMs, but no comparison with people. Give --agreement, the "
            "similarity of two people that is assumed, or run the study with human data."
        )
        raise ValueError(message)
    layers: Any = varying(load(rdms))[0]  # type: ignore[arg-type] # an array, as its stage writes it
    must_be_known(network, sorted(set(map(str, layers["network"].values))), "network of this study")
    own = layers.isel(rdm=layers["network"].values.astype(str) == network)
    names = [str(name) for name in own["layer"].values]
    if truth:
        must_be_known(truth, names, f"layer of {network}")
    label = str(own["rdm"].values[names.index(truth) if truth else len(names) // 2])
    human = simulate_people(
        own, label, participants=people, agreement=agreement, comparison=study.inference.comparison
    )
    rsa = RSA(own, human, comparison=study.inference.comparison, groups=study.inference.groups)
    return rsa.bootstrap(draws=draws, seed=study.inference.seed)


def _counts(text: str, option: str) -> list[int]:
    try:
        return [int(part) for part in split(text)]
    except ValueError:
        message = f"--{option} is {text!r}. Give whole numbers with commas between: 10,20,40."
        raise ValueError(message) from None
