"""Ratings that nobody signed are averaged, judged by halves of them, and never taken for people."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.spatial.distance import pdist, squareform
from scipy.stats import spearmanr

import rsa_face as rf
from rsa_face.figures import plot_layers, plot_networks
from rsa_face.figures.layout import sources_of
from rsa_face.report.narrate import most_similar_sentence

NOBODY = {"participants": "none"}


def table(path, ratings):
    rows = [(f"face{face:02d}", value) for face, values in enumerate(ratings) for value in values]
    pd.DataFrame(rows, columns=["stimulus", "rating"]).to_csv(path, index=False)
    return path


def read(path, **options):
    return rf.read_human(path, kind="features", layout=NOBODY, options=options or None)


def layers(features, name="alexnet"):
    ids = [f"face{face:02d}" for face in range(len(features))]
    square = squareform(pdist(np.asarray(features, dtype=float).reshape(len(ids), -1)))
    return xr.DataArray(
        square[None],
        {"rdm": [f"{name}/fc8"], "stimulus_i": ids, "stimulus_j": ids, "network": ("rdm", [name]),
         "layer": ("rdm", ["fc8"]), "depth": ("rdm", [1.0]), "order": ("rdm", [0])},
        ("rdm", "stimulus_i", "stimulus_j"),
    )  # fmt: skip


def noisy(rng, faces=40, ratings=10, noise=20.0):
    truth = rng.uniform(20, 80, faces)
    return truth, truth[:, None] + rng.normal(0, noise, (faces, ratings))


def test_means_are_compared_and_nobody_is_counted(tmp_path):
    human = read(table(tmp_path / "r.csv", [[10, 20], [40, 50, 60], [90, 70]]))
    assert human["participant"].values.tolist() == ["mean rating"]
    np.testing.assert_array_equal(human.values[0], squareform([35, 65, 30]))
    assert (human.attrs["unsigned"], human.attrs["ratings"]) == (True, [2, 3])


def test_the_order_of_ratings_means_nothing(tmp_path):
    _, ratings = noisy(np.random.default_rng(1))
    mixed = np.random.default_rng(2).permuted(ratings, axis=1)
    one, other = (read(table(tmp_path / f"{n}.csv", each)) for n, each in enumerate((ratings, mixed)))
    assert one.attrs["split_half"] == pytest.approx(other.attrs["split_half"], abs=1e-12)


def test_the_ceiling_is_what_other_ratings_and_the_truth_reach(tmp_path):
    rng, ceilings, reached = np.random.default_rng(3), [], []
    for draw in range(12):
        truth, ratings = noisy(rng, noise=15.0)
        human = read(table(tmp_path / f"{draw}.csv", ratings))
        ceilings.append(rf.noise_ceiling(human, comparison="spearman").values)
        others = truth + rng.normal(0, 15.0, ratings.shape[::-1]).mean(axis=0)
        mine = pdist(ratings.mean(axis=1)[:, None])
        reached.append([spearmanr(mine, pdist(each[:, None])).statistic for each in (others, truth)])
    np.testing.assert_allclose(np.mean(ceilings, axis=0), np.mean(reached, axis=0), atol=0.02)


def test_an_interval_over_stimuli_holds_the_noise_of_their_ratings(tmp_path):
    rng, similarities, errors = np.random.default_rng(4), [], []
    for draw in range(150):
        truth, ratings = noisy(rng, faces=30, ratings=4, noise=30.0)
        model = truth + rng.normal(0, 10, truth.shape)
        similarities.append(spearmanr(pdist(model[:, None]), pdist(ratings.mean(axis=1)[:, None])).statistic)
        if draw % 15 == 0:
            human = read(table(tmp_path / "r.csv", ratings))
            result = rf.compare_layers(layers(model), human, comparison="spearman", resample="stimulus", draws=150)
            errors.append(float(result["similarity_variance"][0]))
    assert np.sqrt(np.mean(errors)) == pytest.approx(np.std(similarities), rel=0.2)


@pytest.mark.parametrize("resample", ["dual", "participant", "both", None])
def test_what_needs_people_is_refused(tmp_path, resample):
    truth, ratings = noisy(np.random.default_rng(5))
    human = read(table(tmp_path / "r.csv", ratings))
    with pytest.raises(ValueError, match=r"needs participants, and these are mean ratings.*resample='stimulus'"):
        rf.compare_layers(layers(truth), human, resample=resample)
    with pytest.raises(ValueError, match=r"No noise ceiling of ratings by tau-a.*corr, spearman, rho-a"):
        rf.compare_layers(layers(truth), human, comparison="tau-a", resample="stimulus")


def test_sentences_and_figures_name_ratings_and_no_participant(tmp_path):
    truth, ratings = noisy(np.random.default_rng(6))
    human = read(table(tmp_path / "r.csv", ratings))
    result = rf.compare_layers(layers(truth), human, resample="stimulus", draws=50)
    assert "means of 10 ratings and 40 stimuli" in most_similar_sentence(result)
    for figure in (plot_networks(result), plot_layers(result)):
        names = [str(name) for _, source in sources_of(figure.get_figure()) for name in source.columns]
        assert not [name for name in names if "participant" in name]
        plt.close("all")


def test_a_stimulus_that_was_rated_once_is_named(tmp_path):
    with pytest.raises(ValueError, match="Fewer than 2 ratings of 'face01'"):
        read(table(tmp_path / "r.csv", [[1, 2], [3], [4, 5]]))


def test_judgements_that_need_participants_are_refused_without(tmp_path):
    with pytest.raises(ValueError, match=r"Judgements of kind 'rating' need participants.*there is features"):
        rf.read_human(table(tmp_path / "r.csv", [[1, 2]]), kind="rating", layout=NOBODY)
