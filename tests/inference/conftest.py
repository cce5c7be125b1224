"""Small layer and human RDMs, and rsatoolbox's loop fed with given draws."""

import io
import warnings
from contextlib import redirect_stderr
from unittest import mock

import jaxtyping
import numpy as np
import pytest
import rsatoolbox.inference.evaluate as peer
import xarray as xr
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs

# the shapes written in the claims' kernels are checked while the tests run
jaxtyping.install_import_hook(
    [
        "rsa_face.inference.localization",
        "rsa_face.inference.permutation",
        "rsa_face.inference.results",
        "rsa_face.inference.seeds",
        "rsa_face.inference.statistics",
        "rsa_face.inference.variance",
    ],
    "beartype.beartype",
)

PEER = {
    "both": peer.eval_bootstrap,
    "stimulus": peer.eval_bootstrap_pattern,
    "participant": peer.eval_bootstrap_rdm,
    "dual": peer.eval_dual_bootstrap,
}


def to_array(vectors, along, identity=None):
    """Return labelled RDMs from vectors."""
    count = round((1 + np.sqrt(1 + 8 * vectors.shape[1])) / 2)
    square = np.zeros((len(vectors), count, count))
    rows, columns = np.triu_indices(count, 1)
    square[:, rows, columns] = square[:, columns, rows] = vectors
    ids = [f"s{index:02d}" for index in range(count)]
    coords = {along: [f"{along}{index}" for index in range(len(vectors))], "stimulus_i": ids, "stimulus_j": ids}
    if identity is not None:
        coords["identity"] = ("stimulus_i", identity)
    return xr.DataArray(square, coords, (along, "stimulus_i", "stimulus_j"))


def make_vectors(stimuli, layers, people, *, seed, ties=False):
    """Return layer and human vectors that share something."""
    rng = np.random.default_rng(seed)
    pairs = stimuli * (stimuli - 1) // 2
    common = rng.random(pairs)
    x, y = common + rng.random((layers, pairs)), common + rng.random((people, pairs))
    return (np.round(x, 1), np.round(y * 3)) if ties else (x, y)


def rsatoolbox_result(x, y, *, comparison, resample, given, identity=None):
    """Return rsatoolbox's Result of its own loop over these draws of positions."""
    patterns = {"identity": list(identity)} if identity is not None else {}
    by = "identity" if identity is not None else "index"
    names = np.unique(identity) if identity is not None else np.arange(200)
    models = [ModelFixed(str(k), RDMs(x[k : k + 1], pattern_descriptors=patterns)) for k in range(len(x))]
    people = iter(given.get("participant", []))
    stimuli = iter(given.get("stimulus", []))

    def draw_people(rdms, *_, **__):
        drawn = next(people)
        return rdms.subsample("index", drawn), drawn

    def draw_stimuli(rdms, *_, **__):
        drawn = names[next(stimuli)]
        return rdms.subsample_pattern(by, drawn), drawn

    def draw_both(rdms, *_, **__):
        rdms, drawn = draw_people(rdms)
        rdms, pattern = draw_stimuli(rdms)
        return rdms, drawn, pattern

    options = {} if resample == "participant" else {"pattern_descriptor": by}
    options |= {"use_correction": False} if resample == "dual" else {}
    patched = {
        "bootstrap_sample": draw_both,
        "bootstrap_sample_rdm": draw_people,
        "bootstrap_sample_pattern": draw_stimuli,
    }
    draws = len(next(iter(given.values())))
    with mock.patch.multiple(peer, **patched), warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        return PEER[resample](models, RDMs(y, pattern_descriptors=patterns), method=comparison, N=draws, **options)


@pytest.fixture
def small():
    """Return three layers and four participants over nine stimuli, as labelled arrays."""
    x, y = make_vectors(9, 3, 4, seed=0)
    return to_array(x, "rdm"), to_array(y, "participant")
