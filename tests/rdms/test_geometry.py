"""Geometry of layers against layers: the published formulas, on activations, and laws that they follow."""

import numpy as np
import pytest
import xarray as xr
from scipy.linalg import orthogonal_procrustes, sqrtm
from scipy.spatial.distance import pdist, squareform
from scipy.stats import ortho_group, spearmanr

from rsa_face.rdms.geometry import compare_networks, debiased_cka, participation_ratio, procrustes_distance

COUNT = 20


def squared(activations):
    return squareform(pdist(activations, "sqeuclidean"))


@pytest.fixture
def layers():
    rng = np.random.default_rng(0)
    shared = rng.normal(size=(COUNT, 4))
    return [shared @ rng.normal(size=(4, 30)) + noise * rng.normal(size=(COUNT, 30)) for noise in (0.2, 1.0, 4.0)]


def array(networks):
    labels = [(name, f"layer{i}", i) for name, each in networks.items() for i in range(len(each))]
    ids = [f"s{i}" for i in range(COUNT)]
    values = np.stack([squared(layer) / layer.shape[1] for each in networks.values() for layer in each])
    coords = {
        "rdm": [f"{name}/{layer}" for name, layer, _ in labels],
        "network": ("rdm", [name for name, _, _ in labels]),
        "layer": ("rdm", [layer for _, layer, _ in labels]),
        "order": ("rdm", [order for _, _, order in labels]),
        "depth": ("rdm", [(order + 1) / 3 for _, _, order in labels]),
        "measure": ("rdm", ["euclidean"] * len(labels)),
        "stimulus_i": ids,
        "stimulus_j": ids,
    }
    attrs = {"measure": "euclidean", "training_unknown": ["b"]}
    return xr.DataArray(values, coords, ("rdm", "stimulus_i", "stimulus_j"), attrs=attrs)


def hsic_by_the_formula(one, other):
    """Song et al. 2012, equation 5, on inner products as they are."""
    n = len(one)
    k, m = (gram - np.diag(np.diag(gram)) for gram in (one @ one.T, other @ other.T))
    ones = np.ones(n)
    sums = ones @ k @ ones * (ones @ m @ ones) / ((n - 1) * (n - 2))
    inner = np.trace(k @ m) + sums - 2 / (n - 2) * ones @ k @ m @ ones
    return inner / (n * (n - 3))


def test_cka_is_that_of_the_published_estimator(layers):
    for one in layers:
        for other in layers:
            expected = hsic_by_the_formula(one, other)
            expected /= np.sqrt(hsic_by_the_formula(one, one) * hsic_by_the_formula(other, other))
            assert debiased_cka(squared(one), squared(other)) == pytest.approx(expected, rel=1e-10)


def test_procrustes_is_the_residual_of_scipys_best_rotation(layers):
    for one in layers:
        for other in layers:
            a, b = (
                (layer - layer.mean(axis=0)) / np.linalg.norm(layer - layer.mean(axis=0)) for layer in (one, other)
            )
            rotation, _ = orthogonal_procrustes(a, b)
            expected = np.linalg.norm(a @ rotation - b) ** 2
            assert procrustes_distance(squared(one), squared(other)) == pytest.approx(expected, abs=1e-9)
            nuclear = np.trace(sqrtm(a.T @ b @ b.T @ a)).real
            assert expected == pytest.approx(2 - 2 * nuclear, abs=1e-6)


def test_the_participation_ratio_is_that_of_the_covariances_eigenvalues(layers):
    for layer in layers:
        roots = np.linalg.eigvalsh(np.cov(layer.T))
        assert participation_ratio(squared(layer)) == pytest.approx(roots.sum() ** 2 / (roots**2).sum())
    line = np.outer(np.arange(COUNT), np.ones(3))
    assert participation_ratio(squared(line)) == pytest.approx(1)


def test_turning_shifting_and_scaling_change_nothing(layers):
    turned = 3 * layers[0] @ ortho_group.rvs(30, random_state=0) + 5
    assert debiased_cka(squared(layers[0]), squared(turned)) == pytest.approx(1)
    assert procrustes_distance(squared(layers[0]), squared(turned)) == pytest.approx(0, abs=1e-7)
    assert participation_ratio(squared(turned)) == pytest.approx(participation_ratio(squared(layers[0])))


def test_unrelated_layers_have_a_cka_of_0_on_average_however_many_features():
    rng = np.random.default_rng(1)
    values = [debiased_cka(*(squared(rng.normal(size=(COUNT, 2000))) for _ in range(2))) for _ in range(200)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(200)


def test_networks_are_compared_layer_by_layer_in_their_order(layers):
    rdms = array({"a": layers, "b": layers[:2]})
    geometry = compare_networks(rdms.isel(rdm=[2, 0, 1, 4, 3]), network="a", other="b")
    assert geometry["layer"].values.tolist() == ["layer0", "layer1", "layer2"]
    assert geometry["cka"].dims == ("layer", "layer_j")
    np.testing.assert_allclose(np.diagonal(geometry["cka"]), 1)
    np.testing.assert_allclose(np.diagonal(geometry["procrustes"]), 0, atol=1e-7)
    np.testing.assert_allclose(np.diagonal(geometry["rank_correlation"]), 1)
    for one in range(3):
        for other in range(2):
            expected = spearmanr(pdist(layers[one], "sqeuclidean"), pdist(layers[other], "sqeuclidean")).statistic
            assert geometry["rank_correlation"].values[one, other] == pytest.approx(expected, abs=1e-12)
    assert geometry["cka"].sel(layer="layer2", layer_j="layer0") < geometry["cka"].sel(
        layer="layer1", layer_j="layer0"
    )
    assert geometry["dimensionality"].values[2] > geometry["dimensionality_j"].values[0]
    assert geometry.attrs["training_unknown"] == ["b"]


def test_it_is_netreps_angular_distance_where_that_is_installed(layers):
    metrics = pytest.importorskip("netrep.metrics")
    metric = metrics.LinearMetric(alpha=1.0, center_columns=True, score_method="angular")
    expected = metric.fit(layers[0], layers[1]).score(layers[0], layers[1])
    assert np.arccos(1 - procrustes_distance(squared(layers[0]), squared(layers[1])) / 2) == pytest.approx(expected)


def test_what_cannot_be_compared_is_refused(layers):
    rdms = array({"a": layers})
    with pytest.raises(ValueError, match="Unknown network: 'c'"):
        compare_networks(rdms, network="a", other="c")
    with pytest.raises(ValueError, match=r"of the measure correlation\. Compute them by measure='euclidean'"):
        compare_networks(rdms.assign_coords(measure=("rdm", ["correlation"] * 3)), network="a", other="a")
    with pytest.raises(ValueError, match="3 stimuli"):
        compare_networks(rdms[:, :3, :3], network="a", other="a")
    with pytest.raises(ValueError, match=r"same for all stimuli: \['layer1'\]"):
        compare_networks(rdms.where(rdms["layer"] != "layer1", 0.0), network="a", other="a")
