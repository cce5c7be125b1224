"""Which layers a design could tell apart: people simulated after each layer, and what is picked."""

import numpy as np
import pytest
import xarray as xr
from sklearn.linear_model import LinearRegression

import rsa_face as rf
from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.kernels import to_vectors
from rsa_face.inference.recovery import (
    _nonnegative,
    _Seen,
    agreement_of,
    neighbours_of,
    not_told_apart,
    recover_layers,
    simulate_people,
)
from rsa_face.schema import COMPARISONS
from tests.inference.simulated import simulate, simulate_grouped


def study(seed=0, *, stimuli=14, participants=6, shares=(0.0, 0.5, 0.9), **options):
    """Return an RSA of a network whose layers share more and more with people."""
    rng = np.random.default_rng(seed)
    named = {f"alexnet/conv{place}": share for place, share in enumerate(shares, start=1)}
    return rf.RSA(*simulate(named, stimuli=stimuli, participants=participants, rng=rng, **options))


def like(rdms, vectors):
    """Return layer RDMs with other dissimilarities."""
    squares = np.zeros((len(vectors), rdms.sizes["stimulus_i"], rdms.sizes["stimulus_i"]))
    rows, columns = np.triu_indices(squares.shape[1], 1)
    squares[:, rows, columns] = squares[:, columns, rows] = vectors
    return rdms.copy(data=squares)


def orthogonal(rdms):
    """Return layer RDMs none of which is correlated with another."""
    vectors = to_vectors(rdms.values)
    basis = np.linalg.qr((vectors - vectors.mean(axis=1, keepdims=True)).T)[0].T
    return like(rdms, basis - basis.min() + 0.1)


@pytest.mark.parametrize("comparison", ["corr", "rho-a"])
def test_layers_made_orthogonal_are_always_recovered(comparison):
    rsa = study()
    rsa = rf.RSA(orthogonal(rsa.rdms), rsa.human, comparison=comparison)
    could = recover_layers(rsa, simulations=40, reweight=False)
    np.testing.assert_array_equal(could["picked_share"].sel(fit="raw"), np.eye(3))
    assert float(could["share_recovered"].sel(fit="raw")) == 1.0
    assert not_told_apart(could, "alexnet/conv2") == []


def test_copies_of_one_layer_are_recovered_by_chance_whatever_is_fitted():
    rsa = study()
    copies = rsa.rdms.copy(data=np.repeat(rsa.rdms.values[:1], 3, axis=0))
    could = recover_layers(rf.RSA(copies, rsa.human), simulations=7)
    assert could["fit"].values.tolist() == ["raw", "raw, left-out stimuli", "reweighted"]
    np.testing.assert_allclose(could["picked_share"], 1 / 3)
    assert could.attrs["chance"] == pytest.approx(1 / 3)
    assert not bool(could["told_apart"].any())
    assert not_told_apart(could, "alexnet/conv2") == ["alexnet/conv1", "alexnet/conv3"]


@pytest.mark.parametrize("noise", ["pairs", "people"])
@pytest.mark.parametrize("comparison", ["corr", "cosine", "spearman", "rho-a", "tau-a"])
def test_simulated_people_agree_as_the_observed_ones_do(comparison, noise):
    rsa = study(participants=8)
    rsa = rf.RSA(rsa.rdms, rsa.human, comparison=comparison)
    could = recover_layers(rsa, simulations=100, noise=noise, reweight=False)
    square = compare_vectors(comparison, rsa.people, rsa.people)
    observed = square[np.triu_indices(8, 1)].mean()
    assert could.attrs["agreement"] == pytest.approx(observed)
    # three Monte-Carlo errors of the mean over studies, which is wider where people stray together in few ways
    tolerance = 0.025 if noise == "people" or comparison == "tau-a" else 0.01
    np.testing.assert_allclose(could["agreement_simulated"], observed, atol=tolerance)


def test_people_simulated_before_there_are_any_agree_as_assumed():
    rdms = study(stimuli=30).rdms
    people = simulate_people(rdms, "alexnet/conv3", participants=60, agreement=0.2, comparison="spearman")
    assert people.attrs["simulated"] is True
    assert agreement_of(to_vectors(people.values), "spearman") == pytest.approx(0.2, abs=0.01)
    assert people["stimulus_i"].values.tolist() == rdms["stimulus_i"].values.tolist()


def test_numbers_do_not_depend_on_the_order_of_layers_stimuli_or_people():
    rsa, mixed = study(), np.random.default_rng(1)
    order = mixed.permutation(14)
    rdms = rsa.rdms.isel(rdm=[2, 0, 1])
    human = rsa.human.isel(stimulus_i=order, stimulus_j=order, participant=mixed.permutation(6))
    once, again = (recover_layers(rf.RSA(*pair), simulations=12) for pair in ((rsa.rdms, rsa.human), (rdms, human)))
    again = again.sel(true=once["true"].values, picked=once["picked"].values)
    for name in ("picked_share", "preferred", "noise_size", "agreement_simulated"):
        np.testing.assert_allclose(again[name], once[name], atol=1e-9, err_msg=name)
    other = recover_layers(rsa, simulations=12, seed=1, reweight=False)
    assert not np.array_equal(other["noise_size"], once["noise_size"])


def test_layers_that_hardly_differ_are_not_told_apart_and_others_are():
    rsa = study(participants=4, stimuli=12, noise=3.0)
    first = to_vectors(rsa.rdms.values)[0]
    near = np.stack(
        [first, first + 1e-3 * np.random.default_rng(2).normal(size=len(first)), to_vectors(rsa.rdms.values)[2]]
    )
    could = recover_layers(rf.RSA(like(rsa.rdms, near), rsa.human, comparison="corr"), simulations=40, reweight=False)
    assert not_told_apart(could, "alexnet/conv1") == ["alexnet/conv2"]
    assert neighbours_of(could, "alexnet/conv1") == ["alexnet/conv2"]
    assert neighbours_of(could, "alexnet/conv2") == ["alexnet/conv1", "alexnet/conv3"]
    lower, upper = could["recovered_interval"].sel(fit="raw", true="alexnet/conv1").values
    assert lower < float(could["recovered"].sel(fit="raw", true="alexnet/conv1")) < upper


@pytest.mark.parametrize("comparison", COMPARISONS)
@pytest.mark.parametrize("gaps", [False, True])
def test_mean_similarity_is_that_of_every_comparison(comparison, gaps):
    rng = np.random.default_rng(3)
    layers, people = rng.random((3, 28)), rng.random((2, 4, 28))
    layers[1, :5] = 0.5  # ties
    if gaps:
        people[:, 1, ::3] = np.nan
    seen = _Seen(people, comparison)
    expected = np.stack([compare_vectors(comparison, layers, one).mean(axis=1) for one in people])
    np.testing.assert_allclose(seen.like(layers), expected, atol=1e-12)
    of_each = rng.random((2, 3, 28))
    expected = [compare_vectors(comparison, own, one).mean(axis=1) for own, one in zip(of_each, people, strict=True)]
    np.testing.assert_allclose(seen.like(of_each), expected, atol=1e-12)


def test_non_negative_weights_are_those_of_scikit_learn():
    rng = np.random.default_rng(4)
    regressors, targets = rng.random((60, 7)) * [1, 1e3, 1, 1, 1, 1e-3, 0], rng.random((5, 60))
    centred = regressors - regressors.mean(axis=0)
    weights = np.zeros((5, 7))
    _nonnegative(centred.T @ centred, targets @ centred, weights)
    for target, own in zip(targets, weights, strict=True):
        reference = LinearRegression(positive=True).fit(regressors, target)
        np.testing.assert_allclose(regressors @ own, regressors @ reference.coef_, atol=1e-5)
    assert (weights >= 0).all()
    assert (weights == 0).any()


def test_weights_make_layers_of_the_same_features_hard_to_tell_apart():
    rng = np.random.default_rng(5)
    features = rng.normal(size=(30, 12))
    scaled = [features * np.exp(0.5 * rng.normal(size=12)) for _ in range(4)]
    squares = np.stack([((each[:, None] - each[None]) ** 2).sum(axis=-1) for each in scaled])
    ids = [f"s{n:02d}" for n in range(30)]
    rdms = xr.DataArray(
        squares, {"rdm": list("abcd"), "stimulus_i": ids, "stimulus_j": ids}, ("rdm", "stimulus_i", "stimulus_j")
    )
    could = recover_layers(rdms, participants=8, agreement=0.1, simulations=30)
    raw, left_out, reweighted = could["share_recovered"].values
    assert raw == left_out == 1.0  # on fewer pairs too, so that what is lost is lost to the weights
    assert reweighted < 0.9


def test_groups_stay_together_in_folds_and_in_the_whole_localisation():
    rdms, human = simulate_grouped(6, 3, participants=5, rng=np.random.default_rng(6), share=0.8)
    could = recover_layers(rf.RSA(rdms, human), network="fe_alexnet", simulations=4, sets=1, draws=40)
    assert could.attrs["groups"] == "identity"
    assert could["true"].values.tolist() == ["fe_alexnet/layer0", "fe_alexnet/layer1", "fe_alexnet/layer2"]
    assert set(could["set_holds"].values) <= {0.0, 1.0}
    assert (could["set_size"] + could["set_none"] >= 1).all()
    alone = recover_layers(rf.RSA(rdms, human, groups="level"), network="fe_alexnet", simulations=4)
    assert alone.attrs["not_reweighted"] == ""


def test_pairs_never_judged_are_left_out_of_simulated_people_too():
    rsa = study(participants=5, stimuli=16)
    human = rsa.human.copy()
    human.values[1, :4, 8:] = human.values[1, 8:, :4] = np.nan
    could = recover_layers(rf.RSA(rsa.rdms, human), simulations=8)
    assert could.attrs["noise"] == "pairs"
    np.testing.assert_allclose(could["picked_share"].sum("picked"), 1.0)


@pytest.mark.parametrize(
    ("options", "wrong"),
    [
        ({"simulations": 0}, "simulations. is 0"),
        ({"agreement": 1.5}, "agreement. is 1.5"),
        ({"participants": 1}, "participants. is 1"),
        ({"noise": "pink"}, "'pink'"),
        ({"network": "vgg99"}, "'vgg99'"),
        ({"confidence": 2}, "confidence. is 2"),
        ({"comparison": "corr"}, "'corr'"),
        ({"sets": -1}, "sets. is -1"),
    ],
)
def test_impossible_settings_are_refused_by_name(options, wrong):
    with pytest.raises(ValueError, match=wrong):
        recover_layers(study(), **options)


def test_what_nobody_can_be_simulated_after_is_refused():
    rsa = study()
    with pytest.raises(ValueError, match=r"\['participants', 'agreement'\]"):
        recover_layers(rsa.rdms)
    with pytest.raises(ValueError, match="'people'"):
        recover_layers(rsa.rdms, participants=3, agreement=0.3, noise="people")
    with pytest.raises(TypeError, match="Dataset"):
        recover_layers(xr.Dataset())
    opposed = rsa.human.isel(participant=[0, 1])
    opposed = opposed.copy(
        data=np.stack([opposed.values[0], opposed.values[0].max() * (1 - np.eye(14)) - opposed.values[0]])
    )
    with pytest.raises(ValueError, match="similarity of -"):
        recover_layers(rf.RSA(rsa.rdms, opposed))
