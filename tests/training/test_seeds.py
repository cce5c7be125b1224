"""Several seeds: networks named by architecture, pre-training and seed, and intervals over seeds."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from rsa_face.training.evaluation import combine_seeds, tabulate_seeds
from rsa_face.training.loop import Start, name_network, train_seeds
from rsa_face.training.settings import Augmentation, TrainingSettings


def test_names_hold_architecture_pretraining_and_seed():
    assert name_network("alexnet", "imagenet", 0) == "alexnet/imagenet/0"
    assert name_network("fe_alexnet", "hf://lab/faces/VGG Face2.safetensors", 12) == "fe_alexnet/VGG-Face2/12"


def test_each_seed_has_a_network_of_its_own(faces, tmp_path):
    settings = TrainingSettings(epochs=1, batch=16, size=64, freeze="fc7", device="cpu")
    trained = list(train_seeds(Start("alexnet"), faces, seeds=[0, 5], settings=settings))
    assert [each.network.name for each in trained] == ["alexnet/random/0", "alexnet/random/5"]
    assert trained[0].network.content_hash() != trained[1].network.content_hash()


def scores_of(values):
    return [
        xr.Dataset(
            {
                name: (("network", "condition"), [[value]])
                for name in ("accuracy", "balanced_accuracy", "auc", "calibration_error", "brier", "stimuli")
            },
            {"network": [f"alexnet/imagenet/{seed}"], "condition": ["all"]},
        )
        for seed, value in enumerate(values)
    ]


def test_intervals_over_seeds_worked_by_hand():
    values = [0.8, 0.9, 0.85]
    scores = scores_of(values)
    both = combine_seeds([*scores, scores[0].assign_coords(network=["alexnet/face/0"])])
    imagenet = both.sel(start="alexnet/imagenet", condition="all")
    half = stats.t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    assert imagenet["accuracy"].item() == pytest.approx(0.85)
    assert imagenet["accuracy_interval"].values == pytest.approx([0.85 - half, 0.85 + half])
    assert imagenet["seeds"].item() == 3
    assert np.isnan(both["accuracy_interval"].sel(start="alexnet/face")).all()
    row = tabulate_seeds(both).set_index("start").loc["alexnet/imagenet"]
    assert (row["condition"], row["seeds"]) == ("all", 3)
    assert [row["auc"], row["auc_lower"], row["auc_upper"]] == pytest.approx([0.85, 0.85 - half, 0.85 + half])


@pytest.mark.parametrize("values", [[0.95, 0.99, 1.0], [0.05, 0.01, 0.0], [1.0, 1.0, 1.0]])
def test_intervals_over_seeds_end_where_scores_do(values):
    half = stats.t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
    lower, upper = np.mean(values) - half, np.mean(values) + half
    assert upper > 1 or lower < 0 or half == 0
    row = tabulate_seeds(combine_seeds(scores_of(values))).loc[0]
    for score in ("accuracy", "auc", "brier"):
        assert [row[f"{score}_lower"], row[f"{score}_upper"]] == pytest.approx([max(lower, 0), min(upper, 1)])


def test_impossible_settings_are_all_named_at_once():
    with pytest.raises(ValueError, match=r"epochs is 0.*lr is -1.*precision is 'half'"):
        TrainingSettings(epochs=0, lr=-1, precision="half")
    with pytest.raises(ValueError, match=r"patience is 3 .*set validation"):
        TrainingSettings(patience=3)
    with pytest.raises(ValueError, match=r"flip is 2, not 1 or less"):
        Augmentation(flip=2)
