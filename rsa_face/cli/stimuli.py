"""``rsa-face stimuli``: check, show, render and mask stimuli."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from rsa_face.cli.shared import Seed, StimulusTable, completing, numbers, say, split

stimuli_app = typer.Typer(name="stimuli", help="Check, show, render or mask stimuli.", no_args_is_help=True)

_Out = Annotated[Path, typer.Option("--out", help="Folder to write into.")]


@stimuli_app.command()
def render(
    out: Annotated[Path, typer.Option("--out", help="Folder to write into, or the table in it (.csv).")],
    identities: Annotated[str, typer.Option(help="How many identities, or which: 6, or 7-30, or 1,4.")] = "6",
    levels: Annotated[
        str, typer.Option(help="How many levels from -1 (sad) to 1 (happy), or which: 9, or -1,-.5,.5,1.")
    ] = "9",
    size: Annotated[int, typer.Option(help="Width and height, in pixels.")] = 224,
    seed: Seed = 0,
    yaw: Annotated[float, typer.Option(help="Turn of the head to the viewer's right, in degrees.")] = 0.0,
    pitch: Annotated[float, typer.Option(help="Upward nod of the head, in degrees.")] = 0.0,
    azimuth: Annotated[float, typer.Option(help="Place of the light to the viewer's right, in degrees.")] = -19.0,
    elevation: Annotated[float, typer.Option(help="Height of the light above the eyes, in degrees.")] = 25.0,
    vary_view: Annotated[
        float, typer.Option(help="Range of the yaw to either side, in degrees (pitch: half).")
    ] = 0.0,
    vary_light: Annotated[float, typer.Option(help="Range of the light to either side, in degrees.")] = 0.0,
    colour: Annotated[bool, typer.Option("--colour", help="Make images in colour, not in gray.")] = False,
) -> None:
    r"""Render faces from sad to happy: images, their table and their regions (needs rsa-face\[faces])."""
    from rsa_face.stimuli.faces import Look, render_faces
    from rsa_face.stimuli.head import View

    view = View(yaw=yaw, pitch=pitch, azimuth=azimuth, elevation=elevation)
    look = Look(view=view, vary_view=vary_view, vary_light=vary_light, colour=colour)
    steps = numbers(levels, "levels")
    made = render_faces(
        out,
        identities=_which(identities),
        levels=int(steps[0]) if len(steps) == 1 and steps[0].is_integer() else steps,
        size=size,
        seed=seed,
        look=look,
    )
    table = out if out.suffix == ".csv" else out / "stimuli.csv"
    say(f"{len(made)} images of {made.table['identity'].nunique()} identities: {table}")


@stimuli_app.command()
def occlude(
    table: StimulusTable,
    out: _Out,
    regions: Annotated[
        str,
        typer.Option(
            help="Regions to mask, with commas between.", autocompletion=completing("eyes", "nose", "mouth")
        ),
    ] = "eyes,nose,mouth",
    fill: Annotated[Literal["gray", "blur"], typer.Option(help="What masks a region.")] = "gray",
) -> None:
    """Mask regions of faces: writes the images, and a table with the factor occlusion."""
    from rsa_face.stimuli.catalogue import read_stimuli
    from rsa_face.stimuli.occlusion import occlude as mask

    masked = mask(read_stimuli(table), split(regions), out, fill=fill)
    say(f"{len(masked)} stimuli, whole and masked: {out / 'stimuli.csv'}")


@stimuli_app.command()
def show(
    table: StimulusTable,
    out: Annotated[Path | None, typer.Option("--out", help="Also draw all images on one sheet (PNG).")] = None,
    columns: Annotated[int, typer.Option(help="Number of images in a row of the sheet.")] = 9,
) -> None:
    """Show the factors of a stimulus table and their values."""
    from rsa_face.stimuli.catalogue import read_stimuli
    from rsa_face.stimuli.occlusion import contact_sheet

    stimuli = read_stimuli(table)
    say(f"{len(stimuli)} stimuli in {table}")
    for factor in stimuli.factors:
        values = sorted(stimuli.table[factor].dropna().unique())
        first = ", ".join(str(value) for value in values[:12])
        say(f"  {factor}: {len(values)} values ({first}{', ...' if len(values) > 12 else ''})")
    if out is not None:
        say(f"Contact sheet: {contact_sheet(stimuli, out, columns=columns)}")


@stimuli_app.command("from-names")
def from_names(
    folder: Annotated[Path, typer.Argument(help="Folder of images; folders below it are searched, too.")],
    preset: Annotated[
        str | None,
        typer.Option(
            help="A published set, whose names are codes.",
            autocompletion=completing(registry="stimuli.names.PRESETS"),
        ),
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help="How your own images are called: {identity}_{emotion}, or a regular expression."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="The table to write.", show_default="stimuli.csv in the folder")
    ] = None,
) -> None:
    """Make a stimulus table from file names: factors filled in, and names that do not match listed."""
    from rsa_face.stimuli.names import stimuli_from_names

    stimuli = stimuli_from_names(folder, preset=preset, pattern=pattern, out=out)
    table = out or folder / "stimuli.csv"
    say(f"{len(stimuli)} stimuli: {table}")
    for factor in stimuli.factors:
        counts = stimuli.table[factor].astype(str).value_counts().sort_index()
        shown = ", ".join(f"{value} ({count})" for value, count in counts.head(12).items())
        say(f"  {factor}: {shown}{', ...' if len(counts) > 12 else ''}")


@stimuli_app.command()
def check(table: StimulusTable) -> None:
    """Check a stimulus table: reads it and every image in it."""
    from rsa_face.stimuli.catalogue import read_stimuli
    from rsa_face.stimuli.images import read_image

    stimuli = read_stimuli(table)
    sizes = sorted({"{1} x {0}".format(*read_image(file).shape[:2]) for file in stimuli.files})
    factors = ", ".join(stimuli.factors) or "none"
    say(f"{table}: {len(stimuli)} stimuli, factors {factors}, images {', '.join(sizes)}")


@stimuli_app.command()
def schematic(
    out: _Out,
    identities: Annotated[int, typer.Option(help="Number of identities.")] = 6,
    levels: Annotated[int, typer.Option(help="Number of levels from sad to happy.")] = 9,
    size: Annotated[int, typer.Option(help="Width and height, in pixels.")] = 112,
    seed: Seed = 0,
    participants: Annotated[int, typer.Option(help="Number of simulated observers, who rate all pairs.")] = 12,
) -> None:
    """Draw schematic faces from sad to happy, with ratings by simulated observers."""
    from rsa_face.human.observers import simulate_ratings
    from rsa_face.safety import write_beside
    from rsa_face.stimuli.faces import draw_faces

    stimuli = draw_faces(out, identities=identities, levels=levels, size=size, seed=seed)
    ratings, truth = simulate_ratings(stimuli, participants=participants, seed=seed)
    for name, table in (("ratings.csv", ratings), ("ratings_truth.csv", truth)):
        with write_beside(out / name) as beside:
            table.to_csv(beside, index=False)
        say(out / name)
    say(out / "stimuli.csv")


def _which(text: str) -> int | list[int]:
    low, dash, high = text.partition("-")
    values = numbers(f"{low},{high}" if dash else text, "identities")
    if not all(value.is_integer() for value in values):
        message = f"--identities is {text!r}, not whole numbers. Say how many, or which: 6, 7-30 or 1,4."
        raise ValueError(message)
    integers = [int(value) for value in values]
    if dash:
        return list(range(integers[0], integers[-1] + 1))
    return integers[0] if len(integers) == 1 else integers
