"""Identities: a number and a seed make one face, whoever else is drawn; sexes alternate; ears are flat."""

import numpy as np
import pytest

from rsa_face.stimuli.head import eye_centres, without_ears
from rsa_face.stimuli.identities import draw_identity


def test_a_number_of_a_seed_is_always_the_same_face(mesh):
    first = draw_identity(7, seed=0)
    draw_identity(3, seed=0)
    np.testing.assert_array_equal(draw_identity(7, seed=0).shape, first.shape)
    assert first.name == "face07"


def test_numbers_and_seeds_make_different_faces(mesh):
    shapes = [draw_identity(number, seed=seed).shape for number, seed in ((1, 0), (3, 0), (1, 1))]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(shapes[one] - shapes[other]).max() > 0.02


def test_odd_numbers_are_female_and_even_ones_male(mesh):
    assert [draw_identity(number, seed=0).sex for number in (1, 2, 3, 4)] == ["female", "male"] * 2


@pytest.mark.parametrize("number", [1, 12, 30])
def test_every_face_fills_the_oval_and_shows_no_ears(mesh, number):
    shape = draw_identity(number, seed=0).shape
    np.testing.assert_allclose(without_ears(shape), shape, atol=1e-9)
    eyes = eye_centres(shape)
    assert np.linalg.norm(eyes[0] - eyes[1]) == pytest.approx(0.6, abs=0.15)
