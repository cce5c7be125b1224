"""RDMs equal rsatoolbox's and scipy's, follow the order of the table, and refuse patterns without a correlation."""

import numpy as np
import pytest
import rsatoolbox.data.noise
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist, squareform

from rsa_face.provenance import save
from rsa_face.rdms.measures import compute_rdms

SCIPY = {"correlation": "correlation", "cosine": "cosine", "euclidean": "sqeuclidean"}


def tree_of(**layers: np.ndarray) -> xr.DataTree:
    """Wrap arrays (stimulus, ...) as an activation tree of one network."""
    first = next(iter(layers.values()))
    ids = np.array([f"s{place}" for place in range(len(first))], dtype=object)
    nodes = {"/": xr.Dataset(coords={"stimulus": ids, "level": ("stimulus", np.linspace(-1, 1, len(first)))})}
    for order, (name, values) in enumerate(layers.items()):
        dims = ("stimulus", "channel", "row", "column") if values.ndim == 4 else ("stimulus", "feature")
        attrs = {
            "network": "net",
            "place": 0,
            "untrained": 0,
            "layer": name,
            "depth": (order + 1) / 9,
            "order": order,
        }
        nodes[f"/net/{name}"] = xr.Dataset({"activation": (dims, values)}, attrs=attrs)
    return xr.DataTree.from_dict(nodes)


def scipy_rdm(values: np.ndarray, measure: str) -> np.ndarray:
    flat = values.reshape(len(values), -1).astype(np.float64)
    return squareform(pdist(flat, SCIPY[measure])) / (flat.shape[1] if measure == "euclidean" else 1)


def patterns(seed: int = 0, shape: tuple[int, ...] = (7, 5, 3, 4)) -> np.ndarray:
    return np.random.default_rng(seed).normal(1, 2, shape).astype(np.float32)


def test_rdms_by_hand():
    values = np.array([[1, 2, 3], [3, 2, 1], [1, 3, 2]], dtype=np.float32)
    tree = tree_of(a=values)
    correlation = compute_rdms(tree, measure="correlation").values[0]
    np.testing.assert_allclose(correlation, [[0, 2, 0.5], [2, 0, 1.5], [0.5, 1.5, 0]], atol=1e-9)
    euclidean = compute_rdms(tree, measure="euclidean").values[0]
    np.testing.assert_allclose(euclidean, [[0, 8 / 3, 2 / 3], [8 / 3, 0, 2], [2 / 3, 2, 0]], atol=1e-9)
    cosine = compute_rdms(tree, measure="cosine").values[0]
    np.testing.assert_allclose(cosine[0], [0, 1 - 10 / 14, 1 - 13 / 14], atol=1e-9)


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rdms_equal_scipys(measure, seed):
    values = patterns(seed)
    rdms = compute_rdms(tree_of(conv=values), measure=measure)
    np.testing.assert_allclose(rdms.values[0], scipy_rdm(values, measure), atol=1e-6)


@pytest.mark.parametrize("measure", ["correlation", "euclidean"])
def test_rdms_equal_rsatoolboxs(measure):
    tree = tree_of(conv=patterns(), fc=patterns(1, (7, 20)))
    ours = compute_rdms(tree, measure=measure)
    theirs = compute_rdms(tree, measure=measure, engine="rsatoolbox")
    np.testing.assert_allclose(ours.values, theirs.values, atol=1e-6)


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
@pytest.mark.parametrize("offset", [0.0, 1.0, 100.0, -1000.0])
def test_patterns_far_from_zero_keep_their_dissimilarities(measure, offset):
    rng = np.random.default_rng(0)
    values = (offset + 0.001 * rng.normal(size=(6, 500))).astype(np.float32)
    rdm = compute_rdms(tree_of(a=values), measure=measure).values[0]
    expected = scipy_rdm(values, measure)
    assert (rdm >= 0).all()
    scale = expected.max() if measure == "euclidean" else 1
    np.testing.assert_allclose(rdm, expected, atol=1e-6 * scale)


def test_a_feature_with_a_large_mean_and_patterns_with_large_means_both_cancel_nothing():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(8, 300)) * 0.001 + rng.normal(size=(8, 1)) * 100
    values = values.astype(np.float32)
    rdm = compute_rdms(tree_of(a=values)).values[0]
    np.testing.assert_allclose(rdm, scipy_rdm(values, "correlation"), atol=1e-6)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_shuffled_stimuli_change_nothing_but_the_order(seed):
    tree = tree_of(conv=patterns())
    order = np.random.default_rng(seed).permutation(7)
    rdms, shuffled = compute_rdms(tree), compute_rdms(tree.isel(stimulus=order))
    assert shuffled["stimulus_i"].values.tolist() == [f"s{place}" for place in order]
    xr.testing.assert_allclose(shuffled, rdms.isel(stimulus_i=order, stimulus_j=order), atol=1e-9)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_correlation_ignores_scale_and_shift_of_each_pattern(seed, scale, shift):
    values = np.random.default_rng(seed).normal(size=(5, 40)).astype(np.float32)
    changed = values.copy()
    changed[2] = values[2] * scale + shift
    first, second = (compute_rdms(tree_of(a=each)).values for each in (values, changed))
    np.testing.assert_allclose(first, second, atol=1e-4 * max(1, abs(shift) / scale))


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_rdms_are_symmetric_with_zeros_on_the_diagonal(measure):
    rdms = compute_rdms(tree_of(a=patterns()), measure=measure).values
    assert (rdms == rdms.transpose(0, 2, 1)).all()
    assert not rdms[:, range(7), range(7)].any()


def test_coords_name_network_layer_depth_order_and_factors():
    rdms = compute_rdms(tree_of(conv1=patterns(), fc8=patterns(1, (7, 9))))
    assert rdms["rdm"].values.tolist() == ["net/conv1", "net/fc8"]
    assert rdms["layer"].values.tolist() == ["conv1", "fc8"]
    assert rdms["order"].values.tolist() == [0, 1]
    assert rdms["level"].dims == ("stimulus_i",)
    assert rdms.attrs["measure"] == "correlation"


def test_a_constant_pattern_names_layer_and_stimulus():
    values = patterns()
    values[3] = 0.1
    with pytest.raises(ValueError, match=r"net/conv: .*constant for 1 of 7 stimuli: \['s3'\]"):
        compute_rdms(tree_of(conv=values))


def test_a_pattern_of_zeros_has_no_cosine_but_a_distance():
    values = patterns()
    values[5] = 0
    with pytest.raises(ValueError, match=r"all zero for 1 of 7 stimuli: \['s5'\]"):
        compute_rdms(tree_of(conv=values), measure="cosine")
    assert np.isfinite(compute_rdms(tree_of(conv=values), measure="euclidean")).all()


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_a_value_that_is_not_finite_names_layer_and_stimulus_alone(value, measure):
    values = patterns()
    values[2, 1, 1, 1] = value
    with pytest.raises(ValueError, match=r"net/conv: .*not finite for \['s2'\]"):
        compute_rdms(tree_of(conv=values), measure=measure)


@pytest.mark.parametrize(
    ("arguments", "fault"), [({"measure": "manhattan"}, "'manhattan'"), ({"engine": "numba"}, "'numba'")]
)
def test_an_unknown_measure_or_engine_is_refused(arguments, fault):
    with pytest.raises(ValueError, match=fault):
        compute_rdms(tree_of(a=patterns()), **arguments)


def repeated_tree(layer: np.ndarray) -> xr.DataTree:
    """Wrap presentations: four faces, three times each, in three runs."""
    tree = tree_of(a=layer)
    faces = np.array(["d", "a", "c", "b"] * 3, dtype=object)
    runs = np.repeat([1, 2, 3], 4)
    tree.dataset = tree.to_dataset().assign_coords(
        face=("stimulus", faces), run=("stimulus", runs), sex=("stimulus", np.array(["m", "f", "m", "f"] * 3))
    )
    return tree


def presentations() -> np.ndarray:
    rng = np.random.default_rng(0)
    return (np.tile(rng.normal(size=(4, 6)), (3, 1)) + 0.3 * rng.normal(size=(12, 6))).astype(np.float32)


def test_mahalanobis_is_the_distance_in_units_of_the_noise():
    values = presentations()
    rdms = compute_rdms(repeated_tree(values), measure="mahalanobis", conditions="face")
    means = values.reshape(3, 4, 6).astype(np.float64).mean(axis=0)
    residuals = (values.reshape(3, 4, 6) - means).reshape(12, 6)
    dataset = rsatoolbox.data.Dataset(values.astype(float), obs_descriptors={"face": ["d", "a", "c", "b"] * 3})
    precision = rsatoolbox.data.noise.prec_from_measurements(dataset, obs_desc="face")
    assert np.trace(precision) == pytest.approx(np.trace(np.linalg.inv(residuals.T @ residuals / 8)), rel=0.8)
    apart = means[:, None] - means[None]
    expected = np.einsum("ijf,fg,ijg->ij", apart, precision, apart) / 6
    np.testing.assert_allclose(rdms.values[0], expected, rtol=1e-6, atol=1e-9)
    assert rdms["stimulus_i"].values.tolist() == ["d", "a", "c", "b"]
    assert rdms["sex"].values.tolist() == ["m", "f", "m", "f"]
    assert "run" not in rdms.coords


def test_crossnobis_is_cross_validated_over_runs_by_hand():
    values = presentations()
    rdms = compute_rdms(repeated_tree(values), measure="crossnobis", conditions="face", folds="run")
    dataset = rsatoolbox.data.Dataset(values.astype(float), obs_descriptors={"face": ["d", "a", "c", "b"] * 3})
    precision = rsatoolbox.data.noise.prec_from_measurements(dataset, obs_desc="face")
    runs = values.reshape(3, 4, 6).astype(np.float64)
    expected = np.zeros((4, 4))
    for left in range(3):
        test = runs[left][:, None] - runs[left][None]
        rest = np.delete(runs, left, axis=0).mean(axis=0)
        expected += np.einsum("ijf,fg,ijg->ij", test, precision, rest[:, None] - rest[None]) / 6 / 3
    np.testing.assert_allclose(rdms.values[0], expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"measure": "mahalanobis"}, "conditions is None"),
        ({"measure": "crossnobis", "conditions": "face"}, "folds is None"),
        ({"measure": "mahalanobis", "conditions": "mood"}, "conditions is 'mood'"),
        ({"measure": "mahalanobis", "conditions": "stimulus"}, r"\['s0', 's1'"),
        ({"measure": "mahalanobis", "conditions": "face", "memory": 1e-7}, "covariance of 6 features"),
    ],
)
def test_noise_measures_without_repetitions_are_refused(arguments, fault):
    with pytest.raises(ValueError, match=fault):
        compute_rdms(repeated_tree(presentations()), **arguments)


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_a_small_memory_changes_nothing_but_the_pieces(measure):
    tree = tree_of(conv=patterns(0, (7, 50, 6, 6)))
    full = compute_rdms(tree, measure=measure)
    pieces = compute_rdms(tree, measure=measure, memory=2e-5)
    np.testing.assert_allclose(pieces.values, full.values, rtol=1e-6, atol=1e-6)  # float32, summed in other pieces


def test_too_small_a_memory_says_what_is_needed():
    with pytest.raises(ValueError, match=r"left for net/conv, 1\.83e-06 GiB.*three RDMs: 2\.03e-06 GiB"):
        compute_rdms(tree_of(conv=patterns()), memory=2.2e-6)


def test_each_part_of_a_layer_is_read_once(monkeypatch):
    from rsa_face.rdms import measures

    read = []
    real = measures._read_ahead

    def noting(reader, slabs):
        read.extend(slabs)
        return real(reader, slabs)

    monkeypatch.setattr(measures, "_read_ahead", noting)
    compute_rdms(tree_of(conv=patterns(0, (7, 50, 6, 6))), memory=2e-5)
    assert len(read) > 3
    assert [part for start, stop in read for part in range(start, stop)] == list(range(50))


def test_a_file_of_rdms_is_the_same_in_whatever_order_a_store_lists_the_factors(tmp_path):
    values = np.random.default_rng(0).random((4, 6)).astype(np.float32)
    factors = {name: ("stimulus", list("wxyz")) for name in ("level", "identity", "occlusion")}
    files = []
    for order in (list(factors), list(factors)[::-1]):
        coords = {name: factors[name] for name in order}
        attrs = {"network": "n", "layer": "fc", "depth": 1.0, "order": 0, "place": 0, "untrained": True}
        layer = xr.Dataset({"activation": (("stimulus", "feature"), values)}, {"stimulus": list("abcd")}, attrs)
        root = xr.Dataset(coords={**coords, "stimulus": list("abcd")})
        rdms = compute_rdms(xr.DataTree.from_dict({"/": root, "/n/fc": layer}), measure="euclidean")
        files.append(save(rdms, tmp_path / f"{order[0]}.nc").read_bytes())
    assert files[0] == files[1]
