"""Object minus face: planted biases are found, absent ones are not, and a weaker one is recognised by either sign."""

import numpy as np
import pytest

from rsa_face.inference.rsa import compare_layers
from rsa_face.inference.seeds import Measured, OverSeeds, contrast_pretrainings, similarities_of, smaller_size
from tests.inference.simulated import simulate

PAIR = ("imagenet", "vggface2")


def measured(biases, *, spread=0.0, seeds=3, seed=0):
    """Return networks whose two quantities differ by their architecture's bias between the pre-trainings."""
    rng = np.random.default_rng(seed)
    names = [f"{name}/{start}/{number}" for name in biases for start in PAIR for number in range(seeds)]
    values = [[0.3 + biases[name.split("/")[0]] * ("imagenet" in name), 0.4] for name in names]
    return Measured(tuple(names), ("relu1", "relu2"), np.array(values) + spread * rng.normal(size=(len(names), 2)))


def test_biases_and_their_difference_worked_by_hand():
    outcome = contrast_pretrainings(measured({"alexnet": 0.2, "fe_alexnet": -0.1}), pretrainings=PAIR, summary="mean")
    rows = {
        (str(name), str(quantity)): value
        for name, quantity, value in zip(
            outcome["architecture"].values, outcome["quantity"].values, outcome["difference"].values, strict=True
        )
    }
    assert rows == pytest.approx({
        ("alexnet", "mean"): 0.1, ("alexnet", "relu1"): 0.2, ("alexnet", "relu2"): 0,
        ("fe_alexnet", "mean"): -0.05, ("fe_alexnet", "relu1"): -0.1, ("fe_alexnet", "relu2"): 0,
    })  # fmt: skip
    assert outcome["first"].values[1] == pytest.approx(0.5)
    assert outcome["second"].values[1] == pytest.approx(0.3)
    assert outcome["other"].values.tolist() == ["alexnet"] * 3
    assert outcome["excess"].values == pytest.approx([-0.15, -0.3, 0])
    assert outcome["size_excess"].values == pytest.approx([-0.05, -0.1, 0])
    assert outcome.attrs["over"] == ["seeds"]


def test_quantities_that_one_architecture_lacks_are_left_out_of_the_comparison():
    both = measured({"alexnet": 0.1, "fe_alexnet": 0.1})
    values = np.column_stack([both.values, np.where(np.arange(12) < 6, np.nan, 0.2)])
    outcome = contrast_pretrainings(Measured(both.networks, ("relu1", "relu2", "fe"), values), pretrainings=PAIR)
    assert outcome["quantity"].values.tolist() == ["relu1", "relu2", "relu1", "relu2", "fe"]
    assert outcome["compared"].values.tolist() == ["relu1", "relu2"]


def test_an_architecture_without_both_pretrainings_is_left_out_and_none_at_all_is_an_error():
    some = measured({"alexnet": 0.1, "fe_alexnet": 0.1})
    remaining = [place for place, name in enumerate(some.networks) if not name.startswith("fe_alexnet/vggface2")]
    part = Measured(tuple(some.networks[place] for place in remaining), some.quantities, some.values[remaining])
    outcome = contrast_pretrainings(part, pretrainings=PAIR)
    assert set(outcome["architecture"].values) == {"alexnet"}
    assert "excess" not in outcome
    with pytest.raises(ValueError, match=r"both pre-trainings \['imagenet', 'vggface'\]"):
        contrast_pretrainings(part, pretrainings=("imagenet", "vggface"))


@pytest.mark.parametrize(("signs", "told"), [((1, 1), True), ((-1, 1), True), ((1, -1), True), ((-1, -1), True)])
def test_the_smaller_bias_is_told_whatever_the_signs(signs, told):
    biases = {"alexnet": 0.2 * signs[0], "fe_alexnet": 0.02 * signs[1]}
    outcome = contrast_pretrainings(measured(biases, spread=0.005, seeds=5), pretrainings=PAIR)
    assert (outcome["p_smaller"].values[0] < 0.05) is np.bool_(told)
    lower, upper = outcome["size_excess_interval"].values[0]
    assert lower < -0.18 < upper < 0


@pytest.mark.parametrize("truth", [0.0, 0.1])
def test_sizes_keep_their_level_and_their_coverage(truth):
    one, other = truth + 0.05 * np.random.default_rng(2).normal(size=(2, 4, 1500))
    apart, total = (
        OverSeeds(each, each.var(axis=0, ddof=1)[None] / 4, np.full((1, 1500), 3.0), ("seeds",))
        for each in (one - other, one + other)
    )
    interval, p = smaller_size(apart, total, confidence=0.95)
    assert np.mean(p < 0.05) < 0.06
    assert np.mean((interval[:, 0] <= 0) & (interval[:, 1] >= 0)) > 0.945
    if truth:
        assert np.mean(p < 0.05) > 0.01


def shares_of(biases, rng, seeds=3):
    return {
        f"{name}/{start}/{seed}/{layer}": np.clip(
            0.3 + bias * (start == "imagenet") * (layer == "relu2") + 0.03 * rng.normal(), 0, 1
        )
        for name, bias in biases.items()
        for start in PAIR
        for seed in range(seeds)
        for layer in ("relu1", "relu2")
    }


def test_a_bias_planted_in_the_features_is_recovered():
    rng = np.random.default_rng(7)
    shares = shares_of({"alexnet": 0.45, "fe_alexnet": 0.0}, rng, seeds=5)
    rdms, human = simulate(shares, stimuli=40, participants=15, rng=rng)
    result = compare_layers(rdms, human, comparison="corr", draws=200, seed=0)
    outcome = contrast_pretrainings(similarities_of(result), pretrainings=PAIR)
    rows = list(zip(outcome["architecture"].values, outcome["quantity"].values, strict=True))
    alexnet, fe_alexnet = (outcome.isel(bias=rows.index((name, "relu2"))) for name in ("alexnet", "fe_alexnet"))
    assert alexnet["p_difference"] < 0.03
    assert alexnet["difference_interval"][0] > 0
    assert fe_alexnet["difference_interval"][0] < 0 < fe_alexnet["difference_interval"][1]
    place = outcome["compared"].values.tolist().index("relu2")
    assert outcome["p_smaller"][place] < 0.05
    assert outcome["size_excess_interval"][place, 1] < 0
    assert outcome.attrs["over"] == ["seeds", "stimuli", "participants"]


@pytest.mark.slow
def test_without_a_bias_it_is_seldom_claimed():
    rng, claimed = np.random.default_rng(3), []
    for _ in range(120):
        rdms, human = simulate(
            shares_of({"alexnet": 0.0, "fe_alexnet": 0.0}, rng), stimuli=30, participants=10, rng=rng
        )
        result = compare_layers(rdms, human, comparison="corr", draws=100, seed=0)
        outcome = contrast_pretrainings(similarities_of(result), pretrainings=PAIR)
        claimed.append([*(outcome["p_difference"].values < 0.05), *(outcome["p_smaller"].values < 0.05)])
    assert np.mean(claimed, axis=0).max() < 0.11
    assert np.mean(claimed) < 0.06
