"""``rsa-face stimuli``: check, show, render and mask stimuli."""

from pathlib import Path
from typing import Annotated

import typer

stimuli_app = typer.Typer(name="stimuli", help="Check, show, render and mask stimuli.", no_args_is_help=True)

_Out = Annotated[Path, typer.Option("--out", help="Folder to write into.")]


@stimuli_app.command()
def render(
    out: Annotated[Path, typer.Option("--out", help="Folder to write into, or the table in it (.csv).")],
    identities: Annotated[str, typer.Option(help="How many, or which numbers: 6, or 7-30, or 1,4.")] = "6",
    levels: Annotated[
        str, typer.Option(help="How many from -1 (sad) to 1 (happy), or which: 9, or -1,-.5,.5,1.")
    ] = "9",
    size: Annotated[int, typer.Option(help="Pixels along each side.")] = 224,
    seed: Annotated[int, typer.Option(help="Draws the identities, and view and light where they vary.")] = 0,
    yaw: Annotated[float, typer.Option(help="Degrees the head turns to the viewer's right.")] = 0.0,
    pitch: Annotated[float, typer.Option(help="Degrees the head nods upward.")] = 0.0,
    azimuth: Annotated[float, typer.Option(help="Degrees the main light stands to the viewer's right.")] = -19.0,
    elevation: Annotated[float, typer.Option(help="Degrees the main light stands above the eyes.")] = 25.0,
    vary_view: Annotated[float, typer.Option(help="Degrees the yaw varies to either side, pitch half of it.")] = 0.0,
    vary_light: Annotated[float, typer.Option(help="Degrees the light varies to either side.")] = 0.0,
    colour: Annotated[bool, typer.Option("--colour", help="Colour images instead of gray ones.")] = False,
) -> None:
    """Render faces from sad to happy: images, stimuli.csv and their regions (needs rsa-face[faces])."""
    from rsa_face.stimuli.faces import Look, render_faces
    from rsa_face.stimuli.head import View

    view = View(yaw=yaw, pitch=pitch, azimuth=azimuth, elevation=elevation)
    look = Look(view=view, vary_view=vary_view, vary_light=vary_light, colour=colour)
    steps = _numbers(levels, "levels")
    made = render_faces(
        out,
        identities=_which(identities),
        levels=int(steps[0]) if len(steps) == 1 and steps[0].is_integer() else steps,
        size=size,
        seed=seed,
        look=look,
    )
    table = out if out.suffix == ".csv" else out / "stimuli.csv"
    print(f"{len(made)} images of {made.table['identity'].nunique()} identities: {table}")


@stimuli_app.command()
def occlude(
    table: Annotated[Path, typer.Argument(help="The stimulus table (CSV).")],
    out: _Out,
    regions: Annotated[str, typer.Option(help="What to mask.")] = "eyes,nose,mouth",
    fill: Annotated[str, typer.Option(help="What to put there: gray or blur.")] = "gray",
) -> None:
    """Mask regions of faces: images and a table with the factor occlusion."""
    from rsa_face.stimuli.catalogue import read_stimuli
    from rsa_face.stimuli.occlusion import occlude as mask

    masked = mask(read_stimuli(table), [name.strip() for name in regions.split(",")], out, fill=fill)
    print(f"{len(masked)} stimuli, whole and masked: {out / 'stimuli.csv'}")


@stimuli_app.command()
def show(
    table: Annotated[Path, typer.Argument(help="The stimulus table (CSV).")],
    out: Annotated[Path | None, typer.Option("--out", help="Also write a contact sheet (PNG).")] = None,
    columns: Annotated[int, typer.Option(help="Images in a row of the contact sheet.")] = 9,
) -> None:
    """Say what a stimulus table holds; with --out, draw all its images on one sheet."""
    from rsa_face.stimuli.catalogue import read_stimuli
    from rsa_face.stimuli.occlusion import contact_sheet

    stimuli = read_stimuli(table)
    print(f"{len(stimuli)} stimuli in {table}")
    for factor in stimuli.factors:
        values = sorted(stimuli.table[factor].dropna().unique())
        listed = ", ".join(str(value) for value in values[:12])
        print(f"  {factor}: {len(values)} values ({listed}{', ...' if len(values) > 12 else ''})")
    if out is not None:
        print(f"Contact sheet: {contact_sheet(stimuli, out, columns=columns)}")


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
    from rsa_face.safety import write_beside
    from rsa_face.stimuli.faces import draw_faces

    stimuli = draw_faces(out, identities=identities, levels=levels, size=size, seed=seed)
    ratings, truth = simulate_ratings(stimuli, participants=participants, seed=seed)
    for name, table in (("ratings.csv", ratings), ("ratings_truth.csv", truth)):
        with write_beside(out / name) as beside:
            table.to_csv(beside, index=False)
        print(out / name)
    print(out / "stimuli.csv")


def _which(text: str) -> int | list[int]:
    low, dash, high = text.partition("-")
    numbers = _numbers(f"{low},{high}" if dash else text, "identities")
    if not all(number.is_integer() for number in numbers):
        message = f"--identities is {text!r}, not whole numbers. Say how many, or which: 6, 7-30 or 1,4."
        raise ValueError(message)
    whole = [int(number) for number in numbers]
    if dash:
        return list(range(whole[0], whole[-1] + 1))
    return whole[0] if len(whole) == 1 else whole


def _numbers(text: str, what: str) -> list[float]:
    try:
        return [float(word) for word in text.split(",")]
    except ValueError as error:
        message = f"--{what} is {text!r}. Give a number, or several with commas between: -1,0,1."
        raise ValueError(message) from error
