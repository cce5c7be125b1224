"""Judgements of valence are scored as by hand, over all faces and for each occlusion."""

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score

from rsa_face.training.evaluation import judge_valence, probability_happy, score_judgements, score_probabilities


def test_scores_worked_by_hand():
    scores = score_probabilities([0.95, 0.65, 0.35, 0.15, 0.25], [True, True, True, False, False])
    assert scores["accuracy"] == pytest.approx(4 / 5)
    assert scores["balanced_accuracy"] == pytest.approx((2 / 3 + 1) / 2)
    assert scores["auc"] == pytest.approx(1.0)
    assert scores["brier"] == pytest.approx((0.05**2 + 0.35**2 + 0.65**2 + 0.15**2 + 0.25**2) / 5)
    assert scores["calibration_error"] == pytest.approx((0.05 + 0.35 + 0.65 + 0.15 + 0.25) / 5)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_balanced_accuracy_is_scikit_learns(seed):
    rng = np.random.default_rng(seed)
    happy, truth = rng.random(60), rng.random(60) < 0.3
    expected = balanced_accuracy_score(truth, happy > 0.5)
    assert score_probabilities(happy, truth)["balanced_accuracy"] == pytest.approx(expected)


def test_an_undecided_judgement_counts_half_and_one_class_has_no_auc():
    assert score_probabilities([0.5, 0.5], [True, False])["accuracy"] == 0.5
    assert np.isnan(score_probabilities([0.9], [True])["auc"])


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_two_way_readout_ignores_the_other_outputs(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(7, 4, generator=generator)
    outputs = ["neutral", "happy", "sad", "anger"]
    before = probability_happy(logits, outputs)
    logits[:, [0, 3]] += 50
    np.testing.assert_array_equal(probability_happy(logits, outputs), before)
    np.testing.assert_allclose(before, torch.sigmoid((logits[:, 1] - logits[:, 2]).double()))


def test_each_occlusion_has_its_own_scores():
    judgements = pd.DataFrame({
        "class": ["happy", "sad"] * 4,
        "happy": [0.9, 0.1, 0.9, 0.1, 0.2, 0.8, 0.6, 0.7],
        "occlusion": ["none"] * 4 + ["mouth"] * 4,
    })  # fmt: skip
    scores = score_judgements(judgements, name="alexnet")
    assert scores["condition"].values.tolist() == ["all", "none", "mouth"]
    assert scores["accuracy"].sel(network="alexnet").values.tolist() == [5 / 8, 1.0, 0.25]
    assert scores["stimuli"].values.tolist() == [[8, 4, 4]]


def test_a_network_that_nobody_taught_valence_is_refused(small_network, faces):
    with pytest.raises(ValueError, match="in small: it has none with a name"):
        judge_valence(small_network(), faces)
