"""Take the picture of a head: view, light, the oval it is shown in, and matched luminance and contrast."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from rsa_face.stimuli.albedo import LASHES, TEETH, eye_albedo, skin_albedo
from rsa_face.stimuli.head import eye_centres, read_head

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


@dataclass(frozen=True)
class View:
    """Where a face is seen and lit from.

    Parameters
    ----------
    yaw, pitch : float
        Degrees the head turns to the viewer's right and nods upward.
    azimuth, elevation : float
        Degrees from which the main light falls: to the viewer's right, and from above.
    """

    yaw: float = 0.0
    pitch: float = 0.0
    azimuth: float = -19.0
    elevation: float = 25.0


def photograph(neutral: np.ndarray, shape: np.ndarray, *, view: View, size: int, colour: bool) -> np.ndarray:
    """Render a head, aligned by its eyes, within an oval on mid-gray.

    Every image has the same mean luminance and the same root mean square contrast within the oval, where a turned
    head leaves it mid-gray; what that pushes beyond black or white is cut off, which touches the glint of the eyes
    and the corners of the mouth.

    Parameters
    ----------
    neutral : ndarray, shape (points, 3)
        The head without expression, by whose eyes the image is aligned, in dm.
    shape : ndarray, shape (points, 3)
        The head as it is to be seen, in dm.
    view : View
        View and light.
    size : int
        Pixels along each side.
    colour : bool
        Three channels that differ, or one.

    Returns
    -------
    ndarray of uint8, shape (size, size) or (size, size, 3)
        The image.
    """
    fine = _rendered(neutral, shape, view, size * _FINER, colour=colour) / 255
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
    whole = np.asarray(np.round(image * 255), dtype=np.uint8)
    return whole if colour else whole[..., 0]


def oval(size: int) -> np.ndarray:
    """Return how much of each pixel lies within the oval.

    Parameters
    ----------
    size : int
        Pixels along each side.

    Returns
    -------
    ndarray, shape (size, size)
        0 outside to 1 inside.
    """
    places = (np.arange(size * 8) + 0.5) / (size * 8)
    across, down, half_width, half_height = _OVAL
    fine = ((places - across) / half_width)[None] ** 2 + ((places - down) / half_height)[:, None] ** 2 < 1
    return np.asarray(fine.reshape(size, 8, size, 8).mean(axis=(1, 3)))


def projected(shape: np.ndarray, points: np.ndarray, *, view: View, size: int) -> np.ndarray:
    """Return where points of a head fall in its image.

    Parameters
    ----------
    shape : ndarray, shape (points, 3)
        The neutral head, by whose eyes the image is aligned.
    points : ndarray, shape (some, 3)
        Points of the head, moved by an expression or not.
    view : View
        The view.
    size : int
        Pixels along each side.

    Returns
    -------
    ndarray, shape (some, 2)
        Pixels from the left and from the top.
    """
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


def _rendered(neutral: np.ndarray, shape: np.ndarray, view: View, size: int, *, colour: bool) -> np.ndarray:
    """Return red, green, blue and cover of a head, before anything is matched or cut out."""
    with _quiet_vtk():
        import pyvista as pv

        plotter = pv.Plotter(off_screen=True, window_size=(size, size), lighting="none")
        try:
            plotter.set_background((GRAY, GRAY, GRAY))
            turned = _turned(shape, neutral, view)
            for part, shine in _SHINE.items():
                surface = _surface(part, turned)
                surface.point_data["rgb"] = _albedo(part, colour=colour)
                plotter.add_mesh(surface, scalars="rgb", rgb=True, smooth_shading=True, **shine)
            _light(plotter, eye_centres(neutral).mean(axis=0), view)
            width, centre = _framing(neutral)
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
