"""``rsa-face stimuli``: look at stimuli, and draw schematic ones."""

from pathlib import Path
from typing import Annotated

import typer

stimuli_app = typer.Typer(name="stimuli", help="Check stimuli, and draw schematic ones.", no_args_is_help=True)


@stimuli_app.command("check")
def check(table: Annotated[Path, typer.Argument(help="A stimulus table (CSV or TSV).")]) -> None:
    """Read a stimulus table and every image in it, and say what is there."""
    from rsa_face.stimuli.catalogue import read_stimuli
    from rsa_face.stimuli.images import read_image

    stimuli = read_stimuli(table)
    sizes = sorted({"{1} x {0}".format(*read_image(file).shape[:2]) for file in stimuli.files})
    print(
        f"{table}: {len(stimuli)} stimuli, factors {', '.join(stimuli.factors) or 'none'}, images {', '.join(sizes)}"
    )


@stimuli_app.command("schematic")
def schematic(
    out: Annotated[Path, typer.Option(help="Folder to write to.")],
    identities: Annotated[int, typer.Option(help="Number of identities.")] = 6,
    levels: Annotated[int, typer.Option(help="Steps from sad to happy.")] = 9,
    size: Annotated[int, typer.Option(help="Side in pixels.")] = 112,
    seed: Annotated[int, typer.Option(help="For the identities.")] = 0,
    participants: Annotated[int, typer.Option(help="Simulated observers who rate all pairs.")] = 12,
) -> None:
    """Draw schematic faces on a happy-sad continuum, with ratings by simulated observers."""
    from rsa_face.human.observers import simulate_ratings
    from rsa_face.provenance import write_beside
    from rsa_face.stimuli.schematic import draw_faces

    stimuli = draw_faces(out, identities=identities, levels=levels, size=size, seed=seed)
    ratings, truth = simulate_ratings(stimuli, participants=participants, seed=seed)
    for name, table in (("ratings.csv", ratings), ("ratings_truth.csv", truth)):
        with write_beside(out / name) as beside:
            table.to_csv(beside, index=False)
        print(out / name)
    print(out / "stimuli.csv")
