"""``rsa-face human simulate``: simulated observers, to check an analysis against what is known to be true."""

from pathlib import Path
from typing import Annotated

import typer


def simulate(
    table: Annotated[Path, typer.Argument(help="The stimulus table (CSV) with the factors level and identity.")],
    out: Annotated[Path, typer.Option("--out", help="Folder to write into.")],
    participants: Annotated[int, typer.Option(help="Observers.")] = 20,
    repeats: Annotated[int, typer.Option(help="Choices of each observer for each stimulus.")] = 2,
    share: Annotated[float, typer.Option(help="Of all pairs, those each observer rates.")] = 0.5,
    occlusions: Annotated[str, typer.Option(help="Masks the choices are made under.")] = "none,eyes,nose,mouth",
    seed: Annotated[int, typer.Option(help="For everything drawn.")] = 0,
) -> None:
    """Simulate observers of a stimulus table: choices, ratings of whole faces, and the truth beside both."""
    from rsa_face.human.observers import simulate_choices, simulate_ratings, write_observers
    from rsa_face.stimuli.catalogue import read_stimuli

    stimuli = read_stimuli(table)
    masked = "occlusion" in stimuli.factors and set(stimuli.table["occlusion"]) != {"none"}
    choices, of_choices = simulate_choices(
        stimuli,
        participants=participants,
        repeats=repeats,
        seed=seed,
        occlusions=[] if masked else [name.strip() for name in occlusions.split(",")],
    )
    whole = stimuli.select(occlusion="none") if masked else stimuli
    ratings, of_ratings = simulate_ratings(whole, participants=participants, seed=seed, share=share)
    tables = {"choices": choices, "choices_truth": of_choices, "ratings": ratings, "ratings_truth": of_ratings}
    for path in write_observers(out, **tables):
        print(path)


def register(human_app: typer.Typer) -> None:
    """Add the command to ``rsa-face human``.

    Parameters
    ----------
    human_app : typer.Typer
        The application.
    """
    human_app.command("simulate")(simulate)
