"""Places that trials were made from come back, in the dimensions they were made in."""

import numpy as np
import pandas as pd
import pytest
from scipy.optimize import check_grad
from scipy.spatial.distance import pdist, squareform

from rsa_face.human.ordinal import _fit, embed_trials
from rsa_face.human.relative import constraints_of

IDS = [f"face{number:02d}" for number in range(15)]


def triplets(places, count, rng, *, noise=0.0):
    """Return odd-one-out trials of people who see distances, with some noise."""
    three = rng.permuted(np.tile(np.arange(len(places)), (count, 1)), axis=1)[:, :3]
    square = squareform(pdist(places))
    kept = np.stack([square[three[:, i], three[:, j]] for i, j in ((1, 2), (0, 2), (0, 1))], axis=1)
    odd = np.argmin(kept + noise * rng.normal(size=kept.shape), axis=1)
    columns = {f"stimulus_{place + 1}": pd.Categorical.from_codes(three[:, place], IDS) for place in range(3)}
    columns["odd"] = pd.Categorical.from_codes(three[np.arange(count), odd], IDS)
    return pd.DataFrame({"participant": "p", **columns})


def test_planted_places_and_their_dimensions_come_back():
    rng = np.random.default_rng(0)
    places = rng.normal(size=(15, 2))
    embedded = embed_trials(triplets(places, 1500, rng, noise=0.1), dimensions=(1, 2, 3))
    assert int(embedded["chosen"]) == 2
    assert embedded["accuracy"].mean("fold").sel(dimensions=2) > 0.85
    upper = np.triu_indices(15, 1)
    found = embedded["dissimilarity"].values[upper]
    assert np.corrcoef(found, pdist(places))[0, 1] > 0.95
    np.testing.assert_allclose(found, pdist(embedded["place"].values))


def test_random_answers_are_predicted_at_chance():
    rng = np.random.default_rng(1)
    table = triplets(rng.normal(size=(15, 2)), 600, rng, noise=100.0)
    embedded = embed_trials(table, dimensions=(1, 2), folds=4)
    assert abs(embedded["accuracy"].mean() - 0.5) < 0.06


def test_a_seed_gives_the_same_places_and_few_trials_are_refused():
    rng = np.random.default_rng(2)
    table = triplets(rng.normal(size=(15, 2)), 300, rng)
    one, again = (embed_trials(table, dimensions=(2,), folds=2, seed=4) for _ in range(2))
    assert one.identical(again)
    with pytest.raises(ValueError, match="20 trials: 2 folds or more"):
        embed_trials(table.iloc[:20])
    with pytest.raises(ValueError, match="No trials that say what is nearer"):
        embed_trials(table.drop(columns="odd"))


def test_the_gradient_is_that_of_the_loss(monkeypatch):
    rng = np.random.default_rng(3)
    rows = constraints_of(triplets(rng.normal(size=(15, 2)), 40, rng))
    kept = {}
    monkeypatch.setattr("rsa_face.human.ordinal.minimize", lambda loss, x, **_: kept.update(loss=loss) or _result(x))
    _fit(rows, 15, 2, rng)
    start = rng.normal(size=30)
    assert check_grad(lambda x: kept["loss"](x)[0], lambda x: kept["loss"](x)[1], start) < 1e-5


def _result(x):
    from scipy.optimize import OptimizeResult

    return OptimizeResult(x=x, fun=0.0)
