"""Numbers under stress: very large and small, few and many, alike, absent; right against float64, or refused."""

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import pdist, squareform

from rsa_face.inference.layerwise import compare_layers
from rsa_face.rdms.dissimilarity import compute_rdms

ID = [f"s{place:04d}" for place in range(3000)]


def tree_of(values):
    ids = ID[: len(values)]
    attrs = {"network": "n", "layer": "l", "depth": 1.0, "order": 0, "place": 0, "untrained": False}
    dims = ("stimulus", "feature") if values.ndim == 2 else ("stimulus", "channel", "row", "column")
    node = xr.Dataset({"activation": (dims, values)}, attrs=attrs)
    return xr.DataTree.from_dict({"/": xr.Dataset(coords={"stimulus": ids}), "/n": xr.Dataset(), "/n/l": node})


def reference(values, measure):
    flat = values.reshape(len(values), -1).astype(np.float64)
    if measure == "euclidean":
        return squareform(pdist(flat, "sqeuclidean")) / flat.shape[1]
    return squareform(pdist(flat / np.abs(flat).max(), measure))


def draw(stimuli=8, features=50, seed=0):
    return np.random.default_rng(seed).normal(size=(stimuli, features))


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
@pytest.mark.parametrize("scale", [1e30, 1e-30, 1e-42, 1.0], ids=["1e30", "1e-30", "denormal", "1"])
def test_very_large_and_small_activations_are_right_against_float64(measure, scale):
    values = (draw() * scale).astype(np.float32)
    found = compute_rdms(tree_of(values), measure=measure).values[0]
    wanted = reference(values, measure)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=2e-6 * wanted.max())


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
@pytest.mark.parametrize("stimuli", [3, 300])
def test_float16_is_right_against_float64_of_the_same_values(measure, stimuli):
    values = draw(stimuli).astype(np.float16)
    found = compute_rdms(tree_of(values), measure=measure).values[0]
    np.testing.assert_allclose(found, reference(values, measure), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_three_thousand_stimuli_are_right_against_float64():
    values = draw(3000, 64).astype(np.float32)
    found = compute_rdms(tree_of(values), measure="correlation").values[0]
    np.testing.assert_allclose(found, reference(values, "correlation"), atol=1e-5)


def test_values_beyond_float16_are_refused_with_layer_and_stimulus():
    import torch

    from rsa_face.activations.recording import Options, as_stored

    values = torch.ones(2, 3)
    values[1, 2] = 1e6
    with pytest.raises(ValueError, match="'fc8' is not for 'b'"):
        as_stored(values, "fc8", ["a", "b"], dtype="float16", options=Options())


def test_one_feature_has_a_euclidean_distance_and_no_correlation():
    values = np.array([[1.0], [2.0], [4.0]], dtype=np.float32)
    found = compute_rdms(tree_of(values), measure="euclidean").values[0]
    np.testing.assert_allclose(found, [[0, 1, 9], [1, 0, 4], [9, 4, 0]])
    with pytest.raises(ValueError, match="n/l"):
        compute_rdms(tree_of(values), measure="correlation")


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_identical_stimuli_are_0_apart_and_never_negative(measure):
    values = draw(6).astype(np.float32)
    values[3] = values[1]
    found = compute_rdms(tree_of(values), measure=measure).values[0]
    assert found[1, 3] == pytest.approx(0, abs=1e-6)
    assert found.min() >= 0


def rdms_of(vectors, along, names):
    square = np.array([squareform(vector) for vector in np.asarray(vectors, dtype=float)])
    ids = ID[: square.shape[1]]
    coords = {along: names, "stimulus_i": ids, "stimulus_j": ids}
    if along == "rdm":
        coords |= {
            "network": ("rdm", ["n"] * len(names)),
            "layer": ("rdm", names),
            "depth": ("rdm", np.linspace(0.5, 1, len(names))),
            "order": ("rdm", list(range(len(names)))),
        }
    return xr.DataArray(square, coords, (along, "stimulus_i", "stimulus_j"), attrs={"simulated": True})


def without(human, participant, pairs):
    values = human.values.copy()
    for i, j in pairs:
        values[participant, i, j] = values[participant, j, i] = np.nan
    return human.copy(data=values)


def test_negative_similarities_stay_negative():
    vector = np.arange(1.0, 11)
    result = compare_layers(
        rdms_of([vector], "rdm", ["l"]),
        rdms_of([-vector + 20] * 3, "participant", list("abc")),
        comparison="corr",
        resample=None,
    )
    np.testing.assert_allclose(result["similarity"].values, [-1.0])


@pytest.mark.parametrize("comparison", ["corr", "cosine", "spearman", "rho-a", "tau-a"])
def test_pairs_never_judged_are_left_out_of_each_participants_similarity(comparison):
    from scipy.stats import kendalltau, spearmanr

    rng = np.random.default_rng(3)
    layer = rng.uniform(1, 2, 15)
    people = rdms_of(rng.uniform(1, 2, (2, 15)), "participant", ["a", "b"])
    gapped = without(people, 0, [(0, 1), (2, 3)])
    found = compare_layers(rdms_of([layer], "rdm", ["l"]), gapped, comparison=comparison, resample=None)
    i, j = np.triu_indices(6, 1)
    mine = gapped.values[0][i, j]
    kept = ~np.isnan(mine)
    direct = {
        "corr": lambda x, y: np.corrcoef(x, y)[0, 1],
        "cosine": lambda x, y: x @ y / np.linalg.norm(x) / np.linalg.norm(y),
        "spearman": lambda x, y: spearmanr(x, y)[0],
        "rho-a": lambda x, y: spearmanr(x, y)[0],  # the same without ties
        "tau-a": lambda x, y: kendalltau(x, y)[0],
    }[comparison](layer[kept], mine[kept])
    np.testing.assert_allclose(found["participant_similarity"].values[0, 0], direct, rtol=1e-6)


def test_participants_with_disjoint_pairs_give_finite_similarities():
    rng = np.random.default_rng(0)
    people = rdms_of(rng.uniform(1, 2, (2, 15)), "participant", ["a", "b"])
    i, j = np.triu_indices(6, 1)
    people = without(people, 0, list(zip(i[:7], j[:7], strict=True)))
    people = without(people, 1, list(zip(i[7:], j[7:], strict=True)))
    layers = rdms_of(rng.uniform(1, 2, (2, 15)), "rdm", ["l", "m"])
    result = compare_layers(layers, people, comparison="corr", resample=None)
    assert np.isfinite(result["similarity"].values).all()


@pytest.mark.parametrize("value", [1e30, 1e-30], ids=["1e30", "1e-30"])
def test_the_scale_of_dissimilarities_changes_no_similarity(value):
    rng = np.random.default_rng(1)
    layers, people = rng.uniform(1, 2, (3, 15)), rng.uniform(1, 2, (4, 15))
    names = list("abcd")
    for comparison in ("corr", "cosine", "rho-a"):
        plain, scaled = (
            compare_layers(
                rdms_of(layers * by, "rdm", list("xyz")),
                rdms_of(people * by, "participant", names),
                comparison=comparison,
                resample=None,
            )
            for by in (1.0, value)
        )
        np.testing.assert_allclose(scaled["similarity"], plain["similarity"], rtol=1e-9)
