"""The head is read from its files: its parts, the ring of the lips, and ears drawn flat."""

import builtins
import importlib.util

import numpy as np
import pytest

from rsa_face.stimuli import head
from rsa_face.stimuli.head import (
    CONTRAST,
    HAPPY,
    INNER,
    LIPS,
    SAD,
    SIZE_OF_EXPRESSION,
    SKIN,
    View,
    expression,
    eye_albedo,
    face_unit,
    oval,
    photograph,
    projected,
    read_head,
    skin_albedo,
    visible_points,
)


def test_the_head_has_its_parts_and_looks_at_the_viewer(mesh):
    read = head.read_head()
    assert set(read.parts) == {"skin", "left eye", "right eye", "teeth", "lashes"}
    assert all(part.shape[1] == 4 and len(part) for part in read.parts.values())
    eyes = head.eye_centres(read.rest)
    assert eyes[0, 0] > 0 > eyes[1, 0]  # the head's own left is to the viewer's right
    np.testing.assert_allclose(eyes[0] * [-1, 1, 1], eyes[1], atol=1e-3)
    assert read.rest[read.parts["skin"]][..., 2].max() > eyes[:, 2].max()


def test_what_lies_behind_the_lips_is_neither_lips_nor_face(mesh):
    read = head.read_head()
    inner = read.inner == 1
    assert 100 < inner.sum() < 1000
    assert read.lips[inner].max() < 0.5
    across, up, _ = (read.rest[inner] - head.eye_centres(read.rest).mean(axis=0)).T
    assert np.abs(across).max() < 0.4
    assert up.max() < -0.2


def test_flat_ears_stick_out_less_and_nothing_else_moves(mesh):
    rest = head.read_head().rest
    flat = head.without_ears(rest)
    ears = np.abs(head.target("ears/*-ear-scale-incr")).sum(axis=1) > 0
    np.testing.assert_array_equal(flat[~ears], rest[~ears])
    assert np.abs(flat[ears, 0]).max() < np.abs(rest[ears, 0]).max() - 0.05
    ends = flat[ears].min(axis=0), flat[ears].max(axis=0)
    assert (ends[0] > rest[ears].min(axis=0) - 0.02).all()
    assert (ends[1] < rest[ears].max(axis=0) + 0.02).all()
    assert ends[0][0] == pytest.approx(-ends[1][0], abs=1e-3)
    np.testing.assert_allclose(head.without_ears(flat), flat, atol=1e-9)


def test_a_star_stands_for_both_sides(mesh):
    both = head.face_unit("mouthSmile*")
    np.testing.assert_allclose(both, head.face_unit("mouthSmileLeft") + head.face_unit("mouthSmileRight"))
    moved = np.abs(both).sum(axis=1) > 0
    assert head.read_head().rest[moved, 0].min() < 0 < head.read_head().rest[moved, 0].max()


@pytest.mark.parametrize(
    ("hidden", "named"), [(("anny",), "anny is"), (("pyvista",), "pyvista is"), (("anny", "pyvista"), "anny and py")]
)
def test_without_the_extra_the_error_names_what_is_absent_and_the_pip_command(monkeypatch, hidden, named):
    monkeypatch.setattr(head, "find_spec", lambda name: None if name in hidden else importlib.util.find_spec("json"))
    with pytest.raises(ModuleNotFoundError, match=rf"{named}.*not installed.*pip install 'rsa-face\[faces\]'"):
        head.must_have_faces_extra()


def test_neither_package_is_imported_to_read_the_mesh(mesh, monkeypatch):
    asked, plain = [], builtins.__import__
    monkeypatch.setattr(builtins, "__import__", lambda name, *rest: asked.append(name) or plain(name, *rest))
    head.read_head.__wrapped__()
    assert not {name for name in asked if name.partition(".")[0] in ("anny", "pyvista")}


def test_neutral_moves_nothing(mesh):
    assert not expression(0.0).any()


@pytest.mark.parametrize("end", [-1.0, 1.0])
def test_the_shape_changes_linearly_in_level(mesh, end):
    whole = expression(end)
    for part in (0.25, 0.5, 0.7):
        np.testing.assert_allclose(expression(end * part), part * whole, atol=1e-12)


@pytest.mark.parametrize("end", [-1.0, 1.0])
def test_both_ends_are_equal_in_size_over_the_visible_face(mesh, end):
    moved = expression(end)[visible_points(read_head())]
    assert np.sqrt((moved**2).sum(axis=1).mean()) == pytest.approx(SIZE_OF_EXPRESSION)


def test_smiles_lift_the_corners_of_the_mouth_and_sadness_lowers_them(mesh):
    moved = np.linalg.norm(face_unit("mouthSmile*"), axis=1)
    corners = (read_head().lips > 0.5) & (moved > 0.8 * moved[read_head().lips > 0.5].max())
    assert corners.sum() >= 2
    assert expression(1.0)[corners, 1].min() > 0.03
    assert expression(-1.0)[corners, 1].max() < -0.03


def test_every_shape_of_the_two_combinations_is_there_and_is_symmetric(mesh):
    for name in (*HAPPY, *SAD):
        moved = face_unit(name)
        assert np.abs(moved).max() > 0.001, name
        assert moved[:, 0].sum() == pytest.approx(0, abs=0.05 * np.abs(moved).sum()), name


ACROSS, UP = np.array([0.0, 0.3, -0.3]), np.array([-0.5, 0.2, 0.2])  # a cheek's height, and both brows
NONE, ALL = np.zeros(3), np.ones(3)


def test_brows_are_darker_than_skin_and_lips_than_both():
    plain = skin_albedo(ACROSS, UP, lips=NONE, inner=NONE, colour=False)[:, 0]
    assert abs(plain[0] - SKIN) < 0.06
    assert (plain[1:] < 0.75 * SKIN).all()
    lips = skin_albedo(ACROSS, UP, lips=ALL, inner=NONE, colour=False)[:, 0]
    np.testing.assert_allclose(lips, LIPS, atol=0.06)


def test_the_inside_of_the_mouth_is_dark_whatever_else_is_there():
    inner = skin_albedo(ACROSS, UP, lips=ALL, inner=ALL, colour=True)
    np.testing.assert_allclose(inner, INNER)


def test_gray_has_equal_channels_and_colour_has_not():
    gray = skin_albedo(ACROSS, UP, lips=NONE, inner=NONE, colour=False)
    colour = skin_albedo(ACROSS, UP, lips=NONE, inner=NONE, colour=True)
    np.testing.assert_array_equal(gray[:, 0], gray[:, 2])
    assert (colour[:, 0] > colour[:, 2]).all()


def test_an_eye_has_a_dark_pupil_in_an_iris_in_a_light_sclera():
    angle = np.linspace(0, 2 * np.pi, 9)[:-1]
    rings = {0.05: 0.03, 0.35: None, 0.6: 0.85}
    ball = [[np.cos(a), np.sin(a), -0.2] for a in angle] + [[0, 0, 1.0]]  # its rim sets the radius
    for radius, expected in rings.items():
        ring = [[radius * np.cos(a), radius * np.sin(a), np.sqrt(1 - radius**2)] for a in angle]
        seen = eye_albedo(np.array(ball + ring), colour=False)[len(ball) :, 0]
        if expected is None:
            assert (seen > 0.1).all()
            assert (seen < 0.6).all()
        else:
            np.testing.assert_allclose(seen, expected, atol=0.05)


SIZE = 64


@pytest.fixture(scope="module")
def someone(mesh):
    from rsa_face.stimuli.faces import draw_identity

    return draw_identity(1, seed=0).shape


def test_the_oval_is_symmetric_and_covers_what_its_axes_say():
    inside = oval(100)
    assert inside.sum() == pytest.approx(np.pi * 33.5 * 47.5, rel=0.001)
    np.testing.assert_allclose(inside, inside[:, ::-1])
    assert inside[0, 0] == 0
    assert inside[50, 50] == 1


def test_every_picture_has_the_same_luminance_and_contrast_on_mid_gray(someone):
    for view in (View(), View(yaw=15, azimuth=40, elevation=0)):
        picture = photograph(someone, someone, view=view, size=SIZE, colour=False) / 255
        inside = oval(SIZE)
        assert picture.mean() == pytest.approx(0.5, abs=0.004)
        contrast = np.sqrt(((picture - 0.5) ** 2).sum() / inside.sum())
        assert contrast == pytest.approx(CONTRAST, rel=0.03)
        assert set(np.round(picture[inside == 0] * 255)) == {128}


def test_colour_has_three_channels_that_differ_and_gray_has_one(someone):
    colour = photograph(someone, someone, view=View(), size=SIZE, colour=True).astype(int)
    assert colour.shape == (SIZE, SIZE, 3)
    assert (colour[..., 0] - colour[..., 2])[SIZE // 2, SIZE // 2] > 20
    assert photograph(someone, someone, view=View(), size=SIZE, colour=False).shape == (SIZE, SIZE)


def test_eyes_fall_on_the_same_two_points_for_every_identity(mesh):
    from rsa_face.stimuli.faces import draw_identity
    from rsa_face.stimuli.head import eye_centres

    places = []
    for number in (1, 2, 9):
        shape = draw_identity(number, seed=0).shape
        places.append(projected(shape, eye_centres(shape), view=View(), size=200))
    np.testing.assert_allclose(places, [places[0]] * 3, atol=1.0)
    left, right = sorted(places[0][:, 0])
    assert right - left == pytest.approx(0.335 * 200, rel=0.1)
    assert left + right == pytest.approx(200, abs=0.5)


def test_turning_the_head_right_moves_the_nose_right_and_a_nod_moves_it_up(someone):
    from rsa_face.stimuli.head import read_head

    skin = someone[np.unique(read_head().parts["skin"])]
    nose = skin[[np.argmax(skin[:, 2])]]
    still, turned, nodded = (
        projected(someone, nose, view=view, size=100)[0] for view in (View(), View(yaw=15), View(pitch=10))
    )
    assert turned[0] > still[0] + 2
    assert nodded[1] < still[1] - 2
