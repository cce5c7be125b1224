"""Numbers under stress: very large and small, few and many, alike, absent; right against float64, or refused."""

import numpy as np
import pytest
import xarray as xr
from scipy.spatial.distance import pdist, squareform
from scipy.stats import kendalltau, rankdata, spearmanr

from rsa_face.activations.extract import extract
from rsa_face.activations.store import open_activations
from rsa_face.inference.comparisons import compare_rdms
from rsa_face.inference.rsa import compare_layers, noise_ceiling
from rsa_face.rdms.measures import compute_rdms
from rsa_face.schema import COMPARISONS
from tests.trust.readers import tiny_network, tiny_stimuli

ID = [f"s{place:04d}" for place in range(3000)]


DIRECT = {
    "corr": lambda x, y: np.corrcoef(x, y)[0, 1],
    "cosine": lambda x, y: x @ y / np.linalg.norm(x) / np.linalg.norm(y),
    "spearman": lambda x, y: spearmanr(x, y)[0],
    "rho-a": lambda x, y: spearmanr(x, y)[0],  # the same without ties
    "tau-a": lambda x, y: kendalltau(x, y)[0],
}


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
    outcome = compute_rdms(tree_of(values), measure=measure).values[0]
    wanted = reference(values, measure)
    assert np.isfinite(outcome).all()
    np.testing.assert_allclose(outcome, wanted, rtol=2e-5, atol=2e-6 * wanted.max())


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
@pytest.mark.parametrize("stimuli", [3, 300])
def test_float16_is_right_against_float64_of_the_same_values(measure, stimuli):
    values = draw(stimuli).astype(np.float16)
    outcome = compute_rdms(tree_of(values), measure=measure).values[0]
    np.testing.assert_allclose(outcome, reference(values, measure), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_three_thousand_stimuli_are_right_against_float64():
    values = draw(3000, 64).astype(np.float32)
    outcome = compute_rdms(tree_of(values), measure="correlation").values[0]
    np.testing.assert_allclose(outcome, reference(values, "correlation"), atol=1e-5)


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
@pytest.mark.parametrize("scale", [6e4, 6e-8, 6e-5], ids=["largest", "smallest", "denormal"])
def test_float16_at_its_ends_is_right_against_float64(measure, scale):
    values = (np.sign(draw()) * np.random.default_rng(1).uniform(0.2, 1, (8, 50)) * scale).astype(np.float16)
    outcome = compute_rdms(tree_of(values), measure=measure).values[0]
    wanted = reference(values, measure)
    np.testing.assert_allclose(outcome, wanted, rtol=1e-4, atol=1e-6 * wanted.max())


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_a_store_of_float16_gives_the_rdms_of_what_it_holds(tmp_path, measure):
    extract(
        [tiny_network()], tiny_stimuli(tmp_path), tmp_path / "a.zarr", layers="all", dtype="float16", progress=False
    )
    tree = open_activations(tmp_path / "a.zarr")
    outcome = compute_rdms(tree, measure=measure)
    for name, rdm in zip(outcome["layer"].values, outcome.values, strict=True):
        held = tree[f"tiny/{name}"]["activation"].values
        assert held.dtype == np.float16
        np.testing.assert_allclose(rdm, reference(held, measure), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
@pytest.mark.parametrize("offset", [1e2, 1e4, -1e6])
def test_a_large_offset_shared_by_all_features_costs_no_precision(measure, offset):
    values = (draw() + offset).astype(np.float32)
    outcome = compute_rdms(tree_of(values), measure=measure).values[0]
    wanted = reference(values, measure)
    np.testing.assert_allclose(outcome, wanted, rtol=1e-3, atol=1e-6 * wanted.max())


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_features_of_very_different_size_are_right_against_float64(measure):
    values = (draw() * np.logspace(-20, 15, 50)).astype(np.float32)
    outcome = compute_rdms(tree_of(values), measure=measure).values[0]
    wanted = reference(values, measure)
    assert np.isfinite(outcome).all()
    np.testing.assert_allclose(outcome, wanted, rtol=2e-5, atol=2e-6 * wanted.max())


@pytest.mark.parametrize("measure", ["correlation", "cosine"])
def test_a_stimulus_that_silences_a_layer_is_refused_by_name(measure):
    values = draw().astype(np.float32)
    values[2] = 0
    with pytest.raises(ValueError, match="s0002"):
        compute_rdms(tree_of(values), measure=measure)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_activations_that_are_no_numbers_are_refused_by_name(measure, value):
    values = draw().astype(np.float32)
    values[5, 7] = value
    with pytest.raises(ValueError, match="s0005"):
        compute_rdms(tree_of(values), measure=measure)


def test_values_beyond_float16_are_refused_with_layer_and_stimulus():
    import torch

    from rsa_face.activations.extract import Options, as_stored

    values = torch.ones(2, 3)
    values[1, 2] = 1e6
    with pytest.raises(ValueError, match=r"'fc8' are not finite .* 'b'"):
        as_stored(values, "fc8", ["a", "b"], dtype="float16", options=Options())


def test_one_feature_has_a_euclidean_distance_also_where_correlation_is_asked_for():
    values = np.array([[1.0], [2.0], [4.0]], dtype=np.float32)
    outcome = compute_rdms(tree_of(values), measure="euclidean").values[0]
    np.testing.assert_allclose(outcome, [[0, 1, 9], [1, 0, 4], [9, 4, 0]])
    instead = compute_rdms(tree_of(values), measure="correlation")
    assert np.corrcoef(instead.values[0][np.triu_indices(3, 1)], [1, 3, 2])[0, 1] == pytest.approx(1)


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_identical_stimuli_are_0_apart_and_never_negative(measure):
    values = draw(6).astype(np.float32)
    values[3] = values[1]
    outcome = compute_rdms(tree_of(values), measure=measure).values[0]
    assert outcome[1, 3] == pytest.approx(0, abs=1e-6)
    assert outcome.min() >= 0


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_faces_that_are_all_the_same_have_an_rdm_of_0_that_is_not_compared(measure):
    values = np.repeat(draw(1), 5, axis=0).astype(np.float32)
    rdms = compute_rdms(tree_of(values), measure=measure)
    np.testing.assert_allclose(rdms.values[0], 0, atol=1e-6)
    people = rdms_of(np.random.default_rng(0).uniform(1, 2, (3, 10)), "participant", list("abc"))
    with pytest.raises(ValueError, match="n/l"):
        compare_layers(rdms, people, resample=None)


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


@pytest.mark.parametrize("comparison", ["corr", "spearman", "rho-a", "tau-a", "kendall"])
def test_negative_similarities_stay_negative(comparison):
    vector = np.arange(1.0, 11)
    result = compare_layers(
        rdms_of([vector], "rdm", ["l"]),
        rdms_of([-vector + 20] * 3, "participant", list("abc")),
        comparison=comparison,
        resample=None,
    )
    np.testing.assert_allclose(result["similarity"].values, [-1.0])


def must_be_finite(result):
    """Hold a result to finite numbers, but for what is counted as skipped and a ceiling that has no value."""
    product = COMPARISONS[result.attrs["comparison"]].scores != "kendall"
    assert np.isfinite(result["noise_ceiling_extrapolated"]) == (product and result["noise_ceiling"].values[0] > 0)
    for name, variable in result.data_vars.items():
        if name != "noise_ceiling_extrapolated" and np.issubdtype(variable.dtype, np.floating):
            lacking = int(np.isnan(variable.values).sum())
            assert not np.isinf(variable.values).any(), name
            assert not lacking or (name.endswith("draws") and result.attrs["skipped"]), (name, lacking)


@pytest.mark.parametrize("comparison", list(COMPARISONS))
@pytest.mark.parametrize("resample", [None, "stimulus", "participant", "both", "dual"])
def test_opposite_and_gapped_people_give_finite_results_however_they_are_drawn(comparison, resample):
    rng = np.random.default_rng(7)
    layer = rng.uniform(1, 2, 36)
    people = rdms_of(3 - layer + 0.3 * rng.uniform(0, 1, (5, 36)), "participant", list("abcde"))
    people = without(without(people, 0, [(0, 1)]), 3, [(2, 5), (4, 7), (0, 8)])
    layers = rdms_of([layer, rng.uniform(1, 2, 36)], "rdm", ["l", "m"])
    result = compare_layers(layers, people, comparison=comparison, resample=resample, draws=40)
    must_be_finite(result)
    if comparison not in ("cosine", "cosine_cov"):
        assert result["similarity"].values[0] < -0.5


@pytest.mark.parametrize("comparison", list(COMPARISONS))
def test_three_stimuli_are_few_and_finite_or_refused(comparison):
    rng = np.random.default_rng(2)
    layers = rdms_of(rng.uniform(1, 2, (2, 3)), "rdm", ["l", "m"])
    people = rdms_of(rng.uniform(1, 2, (4, 3)), "participant", list("abcd"))
    if comparison == "kendall":  # three people's ranks add up to a tie, to which tau-b has no value
        with pytest.warns(UserWarning, match="3 stimuli"), pytest.raises(ValueError, match=r"0 of 30"):
            compare_layers(layers, people, comparison=comparison, resample="dual", draws=30)
    else:
        with pytest.warns(UserWarning, match="3 stimuli"):  # too few to leave some out
            result = compare_layers(layers, people, comparison=comparison, resample="dual", draws=30)
        must_be_finite(result)


@pytest.mark.slow
@pytest.mark.parametrize("comparison", ["corr", "cosine", "spearman", "rho-a", "tau-a"])
def test_comparisons_of_three_thousand_stimuli_are_right_against_float64(comparison):
    rng = np.random.default_rng(4)
    pairs = 3000 * 2999 // 2
    layer, person = rng.uniform(1, 2, pairs), rng.uniform(1, 2, pairs)
    person += 0.3 * layer
    layers, people = rdms_of([layer], "rdm", ["l"]), rdms_of([person], "participant", ["a"])
    outcome = compare_rdms(layers, people, comparison=comparison).values
    np.testing.assert_allclose(outcome, [[DIRECT[comparison](layer, person)]], rtol=1e-6)


@pytest.mark.parametrize("comparison", ["corr", "cosine", "spearman", "rho-a", "tau-a"])
def test_pairs_never_judged_are_left_out_of_each_participants_similarity(comparison):
    rng = np.random.default_rng(3)
    layer = rng.uniform(1, 2, 15)
    people = rdms_of(rng.uniform(1, 2, (2, 15)), "participant", ["a", "b"])
    gapped = without(people, 0, [(0, 1), (2, 3)])
    outcome = compare_layers(rdms_of([layer], "rdm", ["l"]), gapped, comparison=comparison, resample=None)
    i, j = np.triu_indices(6, 1)
    mine = gapped.values[0][i, j]
    remaining = ~np.isnan(mine)
    direct = DIRECT[comparison](layer[remaining], mine[remaining])
    np.testing.assert_allclose(outcome["participant_similarity"].values[0, 0], direct, rtol=1e-6)


def people_in_parts(shared):
    """Two participants, each of whom judged half of the pairs, and some of the other half."""
    rng = np.random.default_rng(0)
    people = rdms_of(rng.uniform(1, 2, (2, 15)), "participant", ["a", "b"])
    pairs = list(zip(*np.triu_indices(6, 1), strict=True))
    return without(without(people, 0, pairs[: 7 - shared]), 1, pairs[7:])


@pytest.mark.parametrize("comparison", list(COMPARISONS))
def test_participants_with_disjoint_pairs_have_similarities_and_no_ceiling(comparison):
    layers = rdms_of(np.random.default_rng(1).uniform(1, 2, (2, 15)), "rdm", ["l", "m"])
    assert np.isfinite(compare_rdms(layers, people_in_parts(0), comparison=comparison).values).all()
    for shared in (0, 2):  # two pairs in common make no similarity
        with pytest.raises(ValueError, match="none of the 2 participants judged 3 pairs"):
            compare_layers(layers, people_in_parts(shared), comparison=comparison, resample=None)
        with pytest.raises(ValueError, match="none of the 2 participants"):
            noise_ceiling(people_in_parts(shared), comparison=comparison)


@pytest.mark.parametrize("comparison", ["corr", "cosine", "spearman"])
def test_a_ceiling_over_what_is_shared_is_right_against_float64(comparison):
    rng = np.random.default_rng(5)
    people = rdms_of(rng.uniform(1, 2, (4, 28)), "participant", list("abcd"))
    pairs = list(zip(*np.triu_indices(8, 1), strict=True))
    for person, missing in enumerate((pairs[:14], pairs[14:], pairs[5:12], pairs[::3])):
        people = without(people, person, missing)
    individual = np.array([people.values[person][np.triu_indices(8, 1)] for person in range(4)])
    direct = DIRECT[comparison]
    scaled = individual.copy()
    for row in scaled:
        known = ~np.isnan(row)
        if comparison == "spearman":
            row[known] = (rankdata(row[known]) - 0.5) / known.sum()  # of how many pairs, what part is below
        else:
            row[known] -= row[known].mean() if comparison == "corr" else 0
            row[known] /= np.sqrt(np.mean(row[known] ** 2))
    bounds = np.zeros((2, 4))
    for person in range(4):
        for bound, pool_of in enumerate((np.delete(scaled, person, axis=0), scaled)):
            both = ~np.isnan(individual[person]) & ~np.isnan(pool_of).all(axis=0)
            bounds[bound, person] = direct(np.nanmean(pool_of[:, both], axis=0), individual[person, both])
    outcome = noise_ceiling(people, comparison=comparison, resample=None)
    np.testing.assert_allclose(outcome, bounds.mean(axis=1), rtol=1e-6)


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
