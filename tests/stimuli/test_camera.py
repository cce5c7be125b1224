"""A picture of a head: an oval on mid-gray, luminance and contrast the same for all, points where they fall."""

import numpy as np
import pytest

from rsa_face.stimuli.camera import CONTRAST, View, oval, photograph, projected

SIZE = 64


@pytest.fixture(scope="module")
def someone(mesh):
    from rsa_face.stimuli.identities import draw_identity

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
    from rsa_face.stimuli.head import eye_centres
    from rsa_face.stimuli.identities import draw_identity

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
