"""``rsa-face design``: the trials of the next experiment, as tables and as a page for a browser."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from rsa_face.cli.shared import Seed, say, split

design_app = typer.Typer()

_Kind = Literal["triplet", "anchored", "pairs", "samediff", "choice", "arrangement"]


@design_app.command()
def design(
    stimuli: Annotated[Path, typer.Argument(help="The stimulus table: the pool that may be shown.")],
    out: Annotated[
        Path, typer.Option("--out", help="Folder to write into: trial lists, and a page that runs in a browser.")
    ],
    kind: Annotated[_Kind, typer.Option(help="What is asked in a trial.")] = "anchored",
    rdms: Annotated[Path | None, typer.Option(help="Layer RDMs (.nc) of the pool, to choose trials by.")] = None,
    layers: Annotated[
        str | None, typer.Option(help="The two layers to tell apart: fe_alexnet/fc8,alexnet/fc8.")
    ] = None,
    trials: Annotated[int, typer.Option(help="Number of different trials.")] = 100,
    noise: Annotated[
        float, typer.Option(help="How noisy people are, in standard deviations of a layer's dissimilarities.")
    ] = 1.0,
    most: Annotated[
        int | None, typer.Option(help="How often a stimulus is shown at most, over the different trials.")
    ] = None,
    participants: Annotated[int, typer.Option(help="Number of participants, each with a list of their own.")] = 20,
    blocks: Annotated[int, typer.Option(help="Number of blocks of a list.")] = 4,
    each: Annotated[int | None, typer.Option(help="Number of trials of a participant.", show_default="all")] = None,
    repeats: Annotated[int, typer.Option(help="How often a participant is shown each trial.")] = 1,
    size: Annotated[int, typer.Option(help="Number of stimuli on a screen to arrange.")] = 12,
    answers: Annotated[str, typer.Option(help="The two answers of kind choice.")] = "happy,sad",
    title: Annotated[str, typer.Option(help="What the page is called.")] = "Experiment",
    seed: Seed = 0,
) -> None:
    """Design the next experiment: the trials that tell two layers apart best, in balanced blocks, for a browser."""
    import xarray as xr

    from rsa_face.human.design import TASKS, design_trials, random_trials, trial_lists, write_experiment
    from rsa_face.provenance import load
    from rsa_face.safety import write_table
    from rsa_face.stimuli.catalogue import read_stimuli

    pool, chosen = read_stimuli(stimuli), TASKS[kind].chosen
    if chosen and (rdms is None) != (layers is None):
        message = f"--rdms is {rdms} and --layers is {layers}: give both, or neither for random trials."
        raise ValueError(message)
    if out.exists():
        message = f"{str(out)!r} already exists. Choose another folder for the experiment."
        raise ValueError(message)
    table: Any = pool.ids
    if chosen and rdms is not None:
        first, second = _two(str(layers), "layers")
        array = load(rdms)
        if not isinstance(array, xr.DataArray):
            message = f"{str(rdms)!r} holds no array of RDMs. Give the file that `rsa-face rdms` wrote."
            raise ValueError(message)
        table = design_trials(array, first, second, kind=kind, trials=trials, noise=noise, most=most, seed=seed)
        _tell(table.attrs)
    elif chosen:
        table = random_trials(pool.ids, kind=kind, trials=trials, seed=seed)
    lists = trial_lists(
        table, kind=kind, participants=participants, blocks=blocks, each=each, repeats=repeats, size=size, seed=seed
    )
    page = write_experiment(lists, pool, out, kind=kind, title=title, answers=_two(answers, "answers"))
    say(page, out / "trials.csv")
    if chosen and rdms is not None:
        write_table(table, out / "design.csv")
        say(out / "design.csv")
    reader = "rating" if kind == "pairs" else kind
    say(f"Open the page in a browser; rsa-face human check DATA.csv --kind {reader} reads what it saves.")


def _two(text: str, what: str) -> tuple[str, str]:
    names = split(text)
    if len(names) != 2:
        message = f"--{what} is {text!r}, not two names with a comma between them."
        raise ValueError(message)
    return names[0], names[1]


def _tell(attrs: dict[str, Any]) -> None:
    """Say what the trials are worth, beside as many random ones."""
    low, high = attrs["shown"]
    times = f"{low} times" if low == high else f"{low} to {high} times"
    say(
        f"{attrs['stimuli']} stimuli, each shown {times}; {attrs['candidates']:,} possible trials were looked at.",
        f"Expected evidence for the layer that is right: {attrs['gain']:.1f} bits from one participant, "
        f"{attrs['random_gain']:.1f} bits from as many random trials.",
        f"One participant's answers favour the right layer in {attrs['told_apart']:.1%} of cases "
        f"({attrs['random_told_apart']:.1%} with random trials), if people answer with noise {attrs['noise']:g}.",
    )
