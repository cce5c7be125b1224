"""A measure that cannot vary over a layer's few outputs is not used there, and what is used in its place is said."""

import numpy as np
import pytest
import torch
import xarray as xr

import rsa_face as rf
from rsa_face.rdms.measures import block_moments, compute_rdms, dissimilarities, measure_of
from rsa_face.schema import MEASURES, Measure
from tests.rdms.test_dissimilarity import patterns, tree_of

LOGITS = np.array([[1, 1], [0, 3], [5, 4], [-2, 2]], dtype=np.float32)  # differences 0, 3, -1, 4
APART = [[0, 3, 1, 4], [3, 0, 4, 1], [1, 4, 0, 5], [4, 1, 5, 0]]


@pytest.mark.parametrize("engine", ["gram", "rsatoolbox"])
def test_two_outputs_take_the_absolute_difference_of_their_difference(engine):
    rdms = compute_rdms(tree_of(relu7=patterns(1, (4, 9)), fc8=LOGITS), engine=engine)
    np.testing.assert_allclose(rdms.sel(rdm="net/fc8"), APART, atol=1e-12)
    assert rdms["measure"].values.tolist() == ["correlation", "difference"]
    assert rdms.attrs["measure"] == "correlation"
    assert rdms.attrs["other_measures"] == ["net/fc8: difference"]


@pytest.mark.parametrize("measure", ["correlation", "cosine"])
def test_one_output_takes_its_absolute_difference(measure):
    rdms = compute_rdms(tree_of(a=LOGITS[:, 1:]), measure=measure)
    np.testing.assert_allclose(rdms[0], [[0, 2, 3, 1], [2, 0, 1, 1], [3, 1, 0, 2], [1, 1, 2, 0]], atol=1e-12)


@pytest.mark.parametrize(
    ("measure", "features"),
    [(name, count) for name, row in MEASURES.items() if not row.repeated for count in range(1, (row.most or 4) + 1)],
)
def test_no_measure_that_is_used_takes_fewer_values_than_there_are_pairs(measure, features):
    values = np.random.default_rng(features).normal(size=(6, features))
    rdm = compute_rdms(tree_of(a=values), measure=measure).values[0][np.triu_indices(6, 1)]
    assert len(np.unique(rdm.round(9))) == 15


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("offset", [0, 1000])
def test_differences_in_numpy_and_torch_are_those_of_float64(seed, offset):
    values = (offset + np.random.default_rng(seed).normal(size=(70, 2))).astype(np.float32)
    difference = np.subtract(*values.T)
    expected = np.abs(difference[:, None] - difference[None, :])
    ids = [str(place) for place in range(70)]
    for moments in (block_moments(values, "difference"), block_moments(torch.from_numpy(values), "difference")):
        np.testing.assert_allclose(dissimilarities(moments, "difference", ids), expected, atol=1e-12)


def test_outputs_that_are_all_the_same_have_no_difference_and_those_that_are_not_finite_are_named():
    assert not compute_rdms(tree_of(a=np.ones((4, 2), np.float32))).values.any()
    values = LOGITS.copy()
    values[2, 0] = np.nan
    with pytest.raises(ValueError, match=r"net/a: .*not finite for \['s2'\]"):
        compute_rdms(tree_of(a=values))


def test_each_layer_may_have_a_measure_of_its_own():
    layers = {"relu6": patterns(1, (4, 9)), "relu7": patterns(2, (4, 9)), "fc8": LOGITS}
    rdms = compute_rdms(
        tree_of(**layers), measure={"default": "cosine", "relu7": "correlation", "net/fc8": "euclidean"}
    )
    assert rdms["measure"].values.tolist() == ["cosine", "correlation", "euclidean"]
    for name, measure in zip(layers, rdms["measure"].values, strict=True):
        alone = compute_rdms(tree_of(**{name: layers[name]}), measure=str(measure))
        np.testing.assert_array_equal(rdms.sel(rdm=f"net/{name}"), alone[0])
    assert rdms.attrs["measure"] == "cosine"
    assert rdms.attrs["other_measures"] == ["net/relu7: correlation", "net/fc8: euclidean"]


@pytest.mark.parametrize(
    ("measure", "fault"),
    [
        ({"fc9": "euclidean", "fc0": "cosine"}, r"\['fc0', 'fc9'\].*relu7 fc8"),
        ({"fc8": "manhattan"}, "'manhattan'"),
        ({"fc8": "correlation"}, "net/fc8: 'correlation' over 2 feature.*'difference'"),
        ({"relu7": "difference"}, "net/relu7: 'difference' is defined for 2 features at most, and the layer has 9"),
        ("difference", "net/relu7: 'difference' is defined for 2 features at most"),
        ({"fc8": "crossnobis"}, r"cannot be mixed: \['crossnobis'\]"),
    ],
)
def test_layers_and_measures_that_do_not_exist_or_cannot_vary_are_refused(measure, fault):
    with pytest.raises(ValueError, match=fault):
        compute_rdms(tree_of(relu7=patterns(1, (4, 9)), fc8=LOGITS), measure=measure)


def test_which_measure_was_used_is_kept_on_disk_and_in_a_comparison(tmp_path):
    rng = np.random.default_rng(0)
    rdms = compute_rdms(tree_of(relu7=patterns(1, (6, 9)), fc8=rng.normal(size=(6, 2)).astype(np.float32)))
    rf.save(rdms, tmp_path / "rdms.nc")
    xr.testing.assert_identical(rf.load(tmp_path / "rdms.nc"), rdms)
    people = rdms.isel(rdm=[0, 0]).values + rng.uniform(size=(2, 6, 6))
    people = (people + people.transpose(0, 2, 1)) * (1 - np.eye(6))
    ids = rdms["stimulus_i"].values
    coords = {"participant": ["a", "b"], "stimulus_i": ids, "stimulus_j": ids}
    human = xr.DataArray(people, coords, ("participant", "stimulus_i", "stimulus_j"))
    result = rf.compare_layers(rdms, human, resample=None)
    assert result["measure"].values.tolist() == ["correlation", "difference"]
    assert result.attrs["other_measures"] == ["net/fc8: difference"]


def test_a_measure_that_is_added_in_one_place_can_be_used_everywhere(monkeypatch):
    def angle(products, _features):
        norm = np.sqrt(np.diagonal(products))
        return np.arccos(np.clip(products / np.outer(norm, norm), -1, 1))

    row = Measure("the angle between the two patterns", "angle", "nothing", angle, fault="all zero", fewest=2)
    monkeypatch.setitem(MEASURES, "angle", row)
    values = patterns(3, (5, 20))
    rdms = compute_rdms(tree_of(a=values), measure="angle")
    unit = values.astype(float) / np.linalg.norm(values.astype(float), axis=1, keepdims=True)
    expected = np.arccos(np.clip(unit @ unit.T, -1, 1)) * (1 - np.eye(5))
    np.testing.assert_allclose(rdms[0], expected, atol=1e-6)
    assert rdms.attrs["definition"] == "the angle between the two patterns"
    in_torch = dissimilarities(block_moments(torch.from_numpy(values), "angle"), "angle", "abcde")
    np.testing.assert_allclose(in_torch, expected, atol=1e-6)
    assert measure_of("angle", network="net", layer="a", features=20) == "angle"
