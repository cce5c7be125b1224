"""Partial correlations equal the textbook's, go to 0 where pixels explain all, and use the result's own draws."""

import numpy as np
import pytest
import xarray as xr
from scipy import stats

from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.rsa import add_partial, compare_layers
from rsa_face.inference.variance import partial_similarity
from tests.inference.simulated import simulate


def _vectors(seed: int, *, decimals: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.normal(size=28)
    return tuple(np.round(rng.normal(size=(count, 28)) + shared, decimals) for count in (3, 4, 1))


@pytest.mark.parametrize(("method", "rank"), [("corr", False), ("spearman", True)])
def test_one_control_equals_the_formula_of_the_textbook(method: str, rank: bool) -> None:
    x, y, z = _vectors(0, decimals=1)
    outcome = partial_similarity(x, y, z, method=method)
    for i in range(3):
        for j in range(4):
            rows = [stats.rankdata(v) if rank else v for v in (x[i], y[j], z[0])]
            r = np.corrcoef(rows)
            expected = (r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2))
            assert outcome[i, j] == pytest.approx(expected, abs=1e-12)


def test_without_ties_partial_rho_a_is_the_partial_spearman() -> None:
    x, y, z = _vectors(1)
    rho, spearman = (partial_similarity(x, y, z, method=method) for method in ("rho-a", "spearman"))
    np.testing.assert_allclose(rho, spearman, atol=1e-12)


def test_a_control_of_one_value_changes_nothing() -> None:
    x, y, _ = _vectors(2, decimals=0)
    for method in ("corr", "spearman", "rho-a"):
        outcome = partial_similarity(x, y, np.ones((1, 28)), method=method)
        np.testing.assert_allclose(outcome, compare_vectors(method, x, y), atol=1e-12)


def test_a_layer_that_is_its_pixels_has_nothing_left() -> None:
    x, y, _ = _vectors(3)
    for method in ("corr", "spearman", "rho-a"):
        outcome = partial_similarity(x, y, np.vstack([2 * x[:1] + 1, x[:1]]), method=method)
        np.testing.assert_array_equal(outcome[0], 0.0)
        assert np.all(outcome[1:] != 0)


@pytest.mark.parametrize("method", ["corr", "spearman", "rho-a"])
def test_weights_equal_copies_of_the_stimuli(method: str) -> None:
    rng = np.random.default_rng(4)
    counts = np.array([2, 0, 1, 3, 1, 1, 0, 2])
    squares = np.round(rng.normal(size=(6, 8, 8)), 1)
    squares = squares + squares.transpose(0, 2, 1)
    index = np.repeat(np.arange(8), counts)
    rows, columns = np.triu_indices(index.size, 1)
    different = index[rows] != index[columns]
    copied = squares[:, index[rows], index[columns]][:, different]
    upper = squares[:, *np.triu_indices(8, 1)]
    outcome = partial_similarity(upper[:2], upper[2:5], upper[5:], method=method, stimuli=counts)
    for i in range(2):
        for j in range(3):
            rows_of = [copied[i], copied[2 + j], copied[5]]
            ranked = [v if method == "corr" else stats.rankdata(v) for v in rows_of]
            x, y, z = (v - v.mean() for v in ranked)
            a, b = x - (x @ z) / (z @ z) * z, y - (y @ z) / (z @ z) * z
            full = (z.size**3 - z.size) / 12
            norm = np.sqrt((a @ a) * (b @ b))
            if method == "rho-a":
                norm = np.sqrt((full - (x @ z) ** 2 / (z @ z)) * (full - (y @ z) ** 2 / (z @ z)))
            assert outcome[i, j] == pytest.approx(a @ b / norm, abs=1e-12)


def test_missing_pairs_are_left_out_for_that_participant_alone() -> None:
    x, y, z = _vectors(5)
    gaps = y.copy()
    gaps[1, :6] = np.nan
    gaps[2, 2:] = np.nan
    full, outcome = (partial_similarity(x, values, z, method="corr") for values in (y, gaps))
    np.testing.assert_allclose(outcome[:, [0, 3]], full[:, [0, 3]])
    assert np.isnan(outcome[:, 2]).all()
    part = [np.corrcoef([v[6:] for v in (x[0], y[1], z[0])])[a, b] for a, b in ((0, 1), (0, 2), (1, 2))]
    expected = (part[0] - part[1] * part[2]) / np.sqrt((1 - part[1] ** 2) * (1 - part[2] ** 2))
    assert outcome[0, 1] == pytest.approx(expected)


@pytest.fixture(scope="module")
def made() -> tuple[xr.DataArray, xr.DataArray]:
    return simulate({"alexnet/a": 0.2, "alexnet/b": 0.8}, stimuli=20, participants=6, rng=np.random.default_rng(1))


@pytest.mark.parametrize("resample", ["both", "dual", "participant", "stimulus"])
def test_the_partial_similarity_stands_beside_the_raw(made: tuple[xr.DataArray, xr.DataArray], resample: str) -> None:
    rdms, human = made
    result = compare_layers(rdms, human, comparison="rho-a", resample=resample, draws=60, seed=2)
    controls = rdms.isel(rdm=[0])[:, ::-1, ::-1]
    both = add_partial(result, rdms=rdms, human=human, controls=controls)
    assert both.attrs["controls"] == ["alexnet/a"]
    assert both.attrs["partial_comparison"] == "rho-a"
    np.testing.assert_array_equal(both["similarity"], result["similarity"])
    assert both["partial_similarity"].sel(rdm="alexnet/a") == 0
    low, high = both["partial_similarity_interval"].sel(rdm="alexnet/b").values
    assert low < float(both["partial_similarity"].sel(rdm="alexnet/b")) < high
    assert both["partial_similarity_draws"].shape == (60, 2)


def test_the_draws_are_those_of_the_result(made: tuple[xr.DataArray, xr.DataArray]) -> None:
    rdms, human = made
    result = compare_layers(rdms, human, comparison="corr", resample="both", draws=60, seed=2)
    noise = np.random.default_rng(0).normal(size=(1, 20, 20))
    controls = rdms.isel(rdm=[0]).copy(data=(noise + noise.transpose(0, 2, 1)) * (1 - np.eye(20)))
    partial = add_partial(result, rdms=rdms, human=human, controls=controls)
    raw, left = result["similarity_draws"].values[:, 1], partial["partial_similarity_draws"].values[:, 1]
    assert np.corrcoef(raw, left)[0, 1] > 0.98


def test_a_control_with_a_gap_and_an_unknown_method_are_refused(made: tuple[xr.DataArray, xr.DataArray]) -> None:
    rdms, human = made
    result = compare_layers(rdms, human, comparison="corr", resample=None)
    with pytest.raises(ValueError, match="'tau-a'"):
        add_partial(result, rdms=rdms, human=human, controls=rdms, method="tau-a")
    gap = rdms.copy(deep=True)
    gap[1, 0, 1] = gap[1, 1, 0] = np.nan
    with pytest.raises(ValueError, match="'alexnet/b' lacks 1 of 190 pairs"):
        add_partial(result, rdms=rdms, human=human, controls=gap)
    with pytest.raises(ValueError, match="s19"):
        add_partial(result, rdms=rdms, human=human, controls=rdms[:, :19, :19])
