"""What a face reflects: darker brows and lips, a dark mouth and pupil, and nothing that depends on who it is."""

import numpy as np

from rsa_face.stimuli.albedo import INNER, LIPS, SKIN, eye_albedo, skin_albedo

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
