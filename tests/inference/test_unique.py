"""Planted shares of variance are found on what was left out, and planted features get the weight."""

import numpy as np
import pytest
import xarray as xr

from rsa_face.inference.variance import explained_variance, partition_variance, reweight_layer
from tests.inference.simulated import simulate

STIMULI, PEOPLE = 30, 8


def _rdms(vectors: dict[str, np.ndarray], along: str) -> xr.DataArray:
    square = np.zeros((len(vectors), STIMULI, STIMULI))
    rows, columns = np.triu_indices(STIMULI, 1)
    square[:, rows, columns] = square[:, columns, rows] = np.stack(list(vectors.values()))
    ids = [f"s{number}" for number in range(STIMULI)]
    return xr.DataArray(
        square, {along: list(vectors), "stimulus_i": ids, "stimulus_j": ids}, (along, "stimulus_i", "stimulus_j")
    )


@pytest.fixture
def planted() -> tuple[xr.DataArray, xr.DataArray]:
    rng = np.random.default_rng(0)
    a, b, c, noise = rng.uniform(size=(4, STIMULI * (STIMULI - 1) // 2))
    people = {f"p{number}": 2 * a + 1 * b + 0.1 * number + 0.3 * rng.normal(size=a.size) for number in range(PEOPLE)}
    layers = {"n/a": a, "n/b": b, "m/b": 3 * b + 1, "m/c": c, "m/noise": noise}
    return _rdms(layers, "rdm"), _rdms(people, "participant")


def test_unique_and_shared_variance_are_those_planted(planted: tuple[xr.DataArray, xr.DataArray]) -> None:
    rdms, human = planted
    sets = {"n": ["n/a", "n/b"], "m": ["m/b", "m/c", "m/noise"]}
    each = [partition_variance(sets, rdms=rdms, human=human, seed=seed) for seed in range(6)]
    outcome = xr.concat(each, "seed").mean("seed")  # each division leaves out other pairs
    variance = 4 / 12 + 1 / 12 + 0.09
    np.testing.assert_allclose(outcome["unique"].sel(set="n").mean(), 4 / 12 / variance, atol=0.05)
    np.testing.assert_allclose(outcome["unique"].sel(set="m").mean(), 0, atol=0.02)
    np.testing.assert_allclose(outcome["shared"].mean(), 1 / 12 / variance, atol=0.05)
    np.testing.assert_allclose(outcome["total"].mean(), (5 / 12) / variance, atol=0.05)
    np.testing.assert_allclose(outcome["explained"].sel(set="m").mean(), 1 / 12 / variance, atol=0.06)


def test_the_parts_add_up(planted: tuple[xr.DataArray, xr.DataArray]) -> None:
    rdms, human = planted
    outcome = partition_variance({"n": ["n/a"], "m": ["m/b", "m/c"]}, rdms=rdms, human=human, seed=3)
    np.testing.assert_allclose(outcome["unique"].sum("set") + outcome["shared"], outcome["total"])


def test_layers_of_noise_explain_nothing_however_many(planted: tuple[xr.DataArray, xr.DataArray]) -> None:
    rdms, _ = planted
    rng = np.random.default_rng(7)
    people = _rdms({f"p{n}": rng.uniform(size=STIMULI * (STIMULI - 1) // 2) for n in range(PEOPLE)}, "participant")
    outcome = partition_variance({"n": ["n/a", "n/b"], "m": ["m/c", "m/noise"]}, rdms=rdms, human=people)
    assert float(outcome["total"].mean()) < 0.01


def test_a_negative_relation_gets_no_weight() -> None:
    rng = np.random.default_rng(1)
    layer = rng.uniform(size=(1, 12, 12))
    layer = layer + layer.transpose(0, 2, 1)
    people = np.repeat(-layer, 3, axis=0)
    fold = (np.arange(6), np.arange(6, 12))
    explained = explained_variance(layer, people, [(fold, (np.array([0, 1]), np.array([2])))])
    assert explained[2] <= 0
    assert np.isnan(explained[:2]).all()


def test_missing_pairs_are_left_out(planted: tuple[xr.DataArray, xr.DataArray]) -> None:
    rdms, human = planted
    gaps = human.copy(deep=True)
    gaps[2, 0:4, 10:20] = np.nan
    gaps[2, 10:20, 0:4] = np.nan
    full = partition_variance({"n": ["n/a"], "m": ["m/b"]}, rdms=rdms, human=human)
    outcome = partition_variance({"n": ["n/a"], "m": ["m/b"]}, rdms=rdms, human=gaps)
    np.testing.assert_allclose(outcome["total"], full["total"], atol=0.03)
    assert float(abs(outcome["total"] - full["total"]).max()) > 0


def test_the_features_people_use_get_the_weight() -> None:
    rng = np.random.default_rng(2)
    features = rng.normal(size=(STIMULI, 12)) * np.array([1.0] * 3 + [3.0] * 9)
    rows, columns = np.triu_indices(STIMULI, 1)
    used = ((features[rows, :3] - features[columns, :3]) ** 2).sum(axis=1)
    human = _rdms({f"p{n}": used + rng.normal(size=used.size) for n in range(PEOPLE)}, "participant")
    activations = xr.DataArray(
        features[::-1].reshape(STIMULI, 3, 4),
        dims=("stimulus", "row", "column"),
        coords={"stimulus": human["stimulus_i"].values[::-1]},
    )
    outcome = reweight_layer(activations, human, comparison="corr")
    assert float(outcome["reweighted"].mean()) > 0.8
    assert float(outcome["raw"].mean()) < 0.4


def test_reweighting_learns_nothing_that_is_not_there() -> None:
    rdms, human = simulate({"n/a": 0.0}, stimuli=24, participants=6, rng=np.random.default_rng(3))
    noise = np.random.default_rng(5).normal(size=(24, 40))
    activations = xr.DataArray(noise, dims=("stimulus", "feature"), coords={"stimulus": rdms["stimulus_i"].values})
    assert abs(float(reweight_layer(activations, human)["reweighted"].mean())) < 0.15


def test_what_cannot_be_split_is_refused(planted: tuple[xr.DataArray, xr.DataArray]) -> None:
    rdms, human = planted
    with pytest.raises(ValueError, match=r"'m' names \['m/z'\]"):
        partition_variance({"n": ["n/a"], "m": ["m/z"]}, rdms=rdms, human=human)
    with pytest.raises(ValueError, match=r"only \['n'\]"):
        partition_variance({"n": ["n/a"]}, rdms=rdms, human=human)
    with pytest.raises(ValueError, match=r"30 stimuli do not make 9 folds .* and 8 participants do not make 9"):
        partition_variance({"n": ["n/a"], "m": ["m/b"]}, rdms=rdms, human=human, folds=(9, 9))
    activations = xr.DataArray(np.zeros((2, 3)), dims=("stimulus", "feature"), coords={"stimulus": ["s0", "x"]})
    with pytest.raises(ValueError, match=r"\['x'\]"):
        reweight_layer(activations, human)


def test_millions_of_features_are_weighed_by_coordinates_with_the_same_distances(
    planted: tuple[xr.DataArray, xr.DataArray], monkeypatch: pytest.MonkeyPatch
) -> None:
    human = planted[1]
    features = np.random.default_rng(1).normal(size=(STIMULI, 4000))
    activations = xr.DataArray(features, {"stimulus": human["stimulus_i"].values}, ("stimulus", "feature"))
    quick = reweight_layer(activations, human, folds=(3, 2))
    monkeypatch.setattr("rsa_face.inference.variance._FEW_FEATURES", 10_000)
    plain = reweight_layer(activations, human, folds=(3, 2))
    np.testing.assert_allclose(quick["raw"], plain["raw"], atol=1e-12)
    np.testing.assert_allclose(quick["reweighted"], plain["reweighted"], atol=1e-10)
