"""Expressions: linear in level on either side, equal in size at both ends, nothing at neutral."""

import numpy as np
import pytest

from rsa_face.stimuli.expressions import HAPPY, SAD, SIZE_OF_EXPRESSION, expression
from rsa_face.stimuli.head import face_unit, read_head, visible_points


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
