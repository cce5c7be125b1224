"""A comparison is one row: a row more can be used wherever the eight can."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

import rsa_face as rf
from rsa_face.inference.permutation import shuffle_layers
from rsa_face.inference.rsa import add_partial
from rsa_face.schema import COMPARISONS, Comparison
from tests.inference.simulated import simulate

SHARES = {"alexnet/relu1": 0.2, "alexnet/relu2": 0.5, "fe_alexnet/relu1": 0.3, "fe_alexnet/relu2": 0.8}


def _pearson(x: np.ndarray, y: np.ndarray, weights: np.ndarray, stimuli: np.ndarray) -> np.ndarray:
    """Weighted Pearson correlation, written without anything of the package."""
    assert stimuli.size * (stimuli.size - 1) / 2 == weights.size
    left, right = (np.where(weights > 0, side, 0.0) for side in (x, y))
    left, right = (side - np.average(side, axis=1, weights=weights)[:, None] for side in (left, right))
    norms = np.sqrt(np.outer((left**2 * weights).sum(axis=1), (right**2 * weights).sum(axis=1)))
    return (left * weights) @ right.T / norms


@pytest.fixture
def ninth(monkeypatch: pytest.MonkeyPatch) -> str:
    """Add the row, the only place that names the comparison."""
    row = Comparison("Pearson again", "kernel", "corr", centred=True, kernel=_pearson)
    monkeypatch.setitem(COMPARISONS, "pearson-again", row)
    return "pearson-again"


@pytest.fixture
def data() -> tuple[xr.DataArray, xr.DataArray]:
    return simulate(SHARES, participants=6, stimuli=9, rng=np.random.default_rng(4))


@pytest.mark.parametrize("gaps", [False, True])
def test_a_ninth_comparison_gives_what_the_same_comparison_built_in_gives(ninth, data, gaps) -> None:
    rdms, human = data
    if gaps:
        human = human.copy()
        human[1, 0, 3] = human[1, 3, 0] = np.nan
    ours, built_in = (rf.compare_layers(rdms, human, comparison=name, draws=40) for name in (ninth, "corr"))
    for name in ("similarity", "noise_ceiling", "similarity_draws", "noise_ceiling_draws", "similarity_interval"):
        np.testing.assert_allclose(ours[name], built_in[name], atol=1e-10, err_msg=name)
    shuffled, expected = (shuffle_layers(rdms, human, comparison=name, shuffles=50) for name in (ninth, "corr"))
    np.testing.assert_allclose(shuffled["similarity_shuffles"], expected["similarity_shuffles"], atol=1e-10)


def test_a_ninth_comparison_goes_through_partial_similarity_and_a_figure(ninth, data) -> None:
    rdms, human = data
    result = rf.compare_layers(rdms, human, comparison=ninth, draws=40)
    controls = human.mean("participant").expand_dims(rdm=["people"])
    partial = add_partial(result, rdms=rdms, human=human, controls=controls)
    assert partial.attrs["partial_comparison"] == "corr"
    assert float(abs(partial["partial_similarity"]).max()) < float(result["similarity"].max())
    axes = rf.plot_layers(result)
    assert "Pearson again" in axes.get_ylabel().replace("\xa0", " ")
    plt.close(axes.figure)


def test_an_unknown_comparison_is_named_with_those_there_are(data) -> None:
    rdms, human = data
    with pytest.raises(ValueError, match=r"pearson-again.*rho-a"):
        rf.compare_layers(rdms, human, comparison="pearson-again")
