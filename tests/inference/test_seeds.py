"""Sums over networks that differ in their seed: by hand, covering what they claim, refused where seeds differ."""

import numpy as np
import pytest
from scipy import stats

from rsa_face.inference.localization import contrast_layers
from rsa_face.inference.rsa import compare_layers
from rsa_face.inference.seeds import Measured, compare_seeds, jackknifed, similarities_of, sum_over_seeds
from tests.inference.simulated import simulate

NETWORKS = tuple(f"{start}/{seed}" for start in ("alexnet/random", "fe_alexnet/random") for seed in (0, 1, 2))
APART = {("fe_alexnet/random", "relu1"): 1.0, ("alexnet/random", "relu1"): -1.0}


def test_differences_are_taken_within_seeds_and_averaged():
    values = np.array([[0.1], [0.2], [0.3], [0.3], [0.3], [0.6]])
    outcome = sum_over_seeds(Measured(NETWORKS, ("relu1",), values), [APART])
    assert outcome.each[:, 0] == pytest.approx([0.2, 0.1, 0.3])
    assert outcome.estimate == pytest.approx([0.2])
    assert outcome.error == pytest.approx([0.1 / np.sqrt(3)])
    assert outcome.freedoms.ravel() == pytest.approx([2])
    assert outcome.p() == pytest.approx([2 * stats.t.sf(0.2 * np.sqrt(3) / 0.1, 2)])
    assert outcome.p(two_sided=False) == pytest.approx([stats.t.sf(0.2 * np.sqrt(3) / 0.1, 2)])
    assert outcome.over == ("seeds",)
    half = stats.t.isf(0.025, 2) * 0.1 / np.sqrt(3)
    assert outcome.interval(0.95)[0] == pytest.approx([0.2 - half, 0.2 + half])


def test_variances_add_and_each_keeps_its_degrees_of_freedom():
    values = np.array([[0.1], [0.2], [0.3], [0.3], [0.3], [0.6]])
    seen = []

    def sampling(weights):
        seen.append(weights[:, 0, 0])
        return np.array([0.004]), np.array([19.0])

    outcome = sum_over_seeds(Measured(NETWORKS, ("relu1",), values, sampling, ("stimuli",)), [APART])
    assert seen[0] == pytest.approx(np.repeat([-1 / 3, 1 / 3], 3))
    between = 0.01 / 3
    assert outcome.error**2 == pytest.approx([between + 0.004])
    half = np.sqrt(stats.t.isf(0.025, 2) ** 2 * between + stats.t.isf(0.025, 19) ** 2 * 0.004)
    assert outcome.interval(0.95)[0] == pytest.approx([0.2 - half, 0.2 + half])
    p = outcome.p()[0]
    assert outcome.interval(1 - p)[0, 0] == pytest.approx(0, abs=1e-9)
    assert outcome.over == ("seeds", "stimuli")


def test_one_seed_alone_has_no_interval_unless_stimuli_give_one():
    alone = Measured(("alexnet/random/0",), ("none",), np.array([[0.5]]))
    outcome = sum_over_seeds(alone, [{("alexnet/random", "none"): 1.0}])
    assert outcome.estimate.tolist() == [0.5]
    assert np.isnan(outcome.interval(0.95)).all()
    assert outcome.over == ()


def test_what_cannot_stray_is_nothing_or_sure_with_two_seeds():
    values = np.array([[0.1, 0.2], [0.1, 0.2]])
    both = Measured(("alexnet/random/0", "alexnet/random/1"), ("a", "b"), values)
    a, b = ("alexnet/random", "a"), ("alexnet/random", "b")
    outcome = sum_over_seeds(both, [{a: 2.0, b: -1.0}, {a: 1.0}])
    assert outcome.p().tolist() == pytest.approx([1, 0])
    assert outcome.p(two_sided=False).tolist() == pytest.approx([0.5, 0])


def test_seeds_that_differ_and_what_was_not_measured_are_named():
    values = np.array([[0.1], [0.2], [np.nan]])
    measured = Measured(("alexnet/random/0", "fe_alexnet/random/1", "vgg11/random/1"), ("relu1",), values)
    with pytest.raises(ValueError, match=r"'alexnet/random': \[0\], 'fe_alexnet/random': \[1\]"):
        sum_over_seeds(measured, [APART])
    with pytest.raises(ValueError, match=r"cannot be summed: \['vgg11/random relu1'\]"):
        sum_over_seeds(measured, [{("vgg11/random", "relu1"): 1.0}])
    with pytest.raises(ValueError, match=r"Unknown starts: \['vgg16/random'\]"):
        sum_over_seeds(measured, [{("vgg16/random", "relu1"): 1.0}])


def test_of_one_seed_the_difference_is_that_of_contrast_layers():
    shares = {f"{name}/random/0/{layer}": 0.5 for name in ("alexnet", "fe_alexnet") for layer in ("relu1", "relu2")}
    rdms, human = simulate(shares, stimuli=20, participants=8, rng=np.random.default_rng(4))
    result = compare_layers(rdms, human, comparison="corr", draws=100, seed=1)
    contrast = contrast_layers(result, network="fe_alexnet/random/0", baseline="alexnet/random/0")
    outcome = sum_over_seeds(similarities_of(result), [APART])
    assert outcome.estimate[0] == pytest.approx(contrast["difference"].sel(layer="relu1").item())
    assert outcome.interval(0.95)[0] == pytest.approx(contrast["difference_interval"].sel(layer="relu1").values)
    assert outcome.over == ("stimuli", "participants")


def test_the_jackknife_of_a_mean_is_its_standard_error():
    faces = np.random.default_rng(0).normal(size=9)
    without = np.array([[[np.delete(faces, place).mean()]] for place in range(9)])
    variance, freedom = jackknifed(without)(np.ones((1, 1, 1)))
    assert variance == pytest.approx([faces.var(ddof=1) / 9])
    assert freedom == 8


def test_intervals_cover_what_was_planted_at_least_as_often_as_they_say():
    rng, inside = np.random.default_rng(11), []
    for _ in range(600):
        seeds, faces = rng.normal(0, 0.05, 6), rng.normal(0, 0.04, 40)
        values = (0.1 * np.repeat([0, 1], 3) + seeds + np.repeat([0, 1], 3) * faces.mean())[:, None]
        error = faces.var(ddof=1) / 40

        def sampling(weights, error=error):
            return weights[3:].sum(axis=(0, 1)) ** 2 * error, np.array([39.0])

        lower, upper = sum_over_seeds(
            Measured(NETWORKS, ("relu1",), values, sampling, ("stimuli",)), [APART]
        ).interval(0.95)[0]
        inside.append(lower < 0.1 < upper)
    assert 0.94 < np.mean(inside) < 0.99


def test_layers_are_averaged_over_seeds_and_held_against_the_baseline_within_each():
    shares = {
        f"{name}/random/{seed}/{layer}": 0.3 + 0.3 * (name == "fe_alexnet") * (layer == "fc8") + 0.02 * seed
        for name in ("alexnet", "fe_alexnet")
        for seed in (0, 1, 2)
        for layer in ("relu1", "fc8")
    }
    rdms, human = simulate(shares, stimuli=30, participants=8, rng=np.random.default_rng(4))
    result = compare_layers(rdms, human, comparison="corr", draws=100, seed=1)
    seeded = compare_seeds(result, baseline="alexnet/random").set_index(seeded=["start", "layer"])
    individual = result["similarity"].values[
        [name.startswith("fe_alexnet") and name.endswith("fc8") for name in shares]
    ]
    row = seeded.sel(start="fe_alexnet/random", layer="fc8")
    assert row["similarity"].item() == pytest.approx(individual.mean())
    apart = sum_over_seeds(
        similarities_of(result), [{("fe_alexnet/random", "fc8"): 1.0, ("alexnet/random", "fc8"): -1.0}]
    )
    assert row["difference"].item() == pytest.approx(apart.estimate[0])
    assert row["difference_interval"].values.ravel() == pytest.approx(apart.interval(0.95)[0])
    assert row["difference_interval"].values.min() > 0
    p = seeded.sel(start="fe_alexnet/random")["p_difference"].values
    assert np.sort(seeded.sel(start="fe_alexnet/random")["p_difference_holm"].values) == pytest.approx(
        np.sort([min(2 * p.min(), 1), max(2 * p.min(), p.max())])
    )
    assert np.isnan(seeded.sel(start="alexnet/random")["difference"]).all()


def test_layers_that_networks_share_are_no_part_of_what_is_corrected_for():
    shares = {f"{name}/random/{seed}/{layer}": 0.3 + 0.02 * seed for name in ("alexnet", "fe_alexnet")
              for seed in (0, 1, 2) for layer in ("relu1", "fc8")}  # fmt: skip
    rdms, human = simulate(shares, stimuli=20, participants=5, rng=np.random.default_rng(4))
    values = rdms.values.copy()
    shared = [
        list(shares).index(f"{name}/random/{seed}/relu1") for name in ("alexnet", "fe_alexnet") for seed in range(3)
    ]
    values[shared[3:]] = values[shared[:3]]
    result = compare_layers(rdms.copy(data=values), human, comparison="corr", draws=50, seed=1)
    seeded = compare_seeds(result, baseline="alexnet/random").set_index(seeded=["start", "layer"])
    fe = seeded.sel(start="fe_alexnet/random")
    assert fe.sel(layer="relu1")["difference"].item() == 0
    assert np.isnan(fe.sel(layer="relu1")["p_difference_holm"].item())
    assert fe.sel(layer="fc8")["p_difference_holm"].item() == fe.sel(layer="fc8")["p_difference"].item()
