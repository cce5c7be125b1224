"""Networks are ranked by each measure, and the ranks are correlated as they should be."""

import numpy as np
import pytest
import xarray as xr
from scipy.stats import spearmanr

from rsa_face.psychophysics.likeness import relate_measures

NETWORKS = ["alexnet", "fe_alexnet", "vgg11", "vgg13"]


def comparison(draws=0):
    rng = np.random.default_rng(0)
    names = [f"{network}/{layer}" for network in NETWORKS for layer in ("relu1", "relu7")]
    similarity = np.array([0.1, 0.2, 0.4, 0.3, 0.1, 0.15, 0.05, 0.1])
    result = xr.Dataset(
        {"similarity": ("rdm", similarity)},
        {
            "rdm": names,
            "network": ("rdm", np.repeat(NETWORKS, 2)),
            "layer": ("rdm", ["relu1", "relu7"] * 4),
        },
        {"simulated": True, "confidence": 0.95},
    )
    if draws:
        result["similarity_draws"] = (("draw", "rdm"), similarity + rng.normal(0, 0.01, (draws, 8)))
    return result


def likeness(delta=(0.1, -0.02, 0.2, 0.3), draws=0):
    found = xr.Dataset(
        {name: (("network", "occlusion"), np.array([delta]).T) for name in ("delta_pse", "rmse")},
        {"network": NETWORKS, "occlusion": ["none"]},
    )
    if draws:
        found["delta_pse_draws"] = (("draw", "network", "occlusion"), np.tile(np.array([delta]).T, (draws, 1, 1)))
    return found


def regions():
    share = np.array([[[0.1, 0.2, 0.3]], [[0.4, 0.1, 0.1]], [[0.2, 0.2, 0.2]], [[0.3, 0.3, 0.3]]])
    return xr.Dataset(
        {"proportion": (("network", "stimulus", "region"), share)},
        {"network": NETWORKS, "region": ["eyes", "nose", "mouth"], "occlusion": ("stimulus", ["none"])},
    )


def test_ranks_by_hand():
    table = relate_measures(comparison(), likeness(), regions())
    ranks = {name: table["rank"].sel(quantity=name).values.tolist() for name in table["quantity"].values}
    assert ranks["similarity_peak"] == [2, 1, 3, 4]
    assert ranks["similarity_fc7"] == [2, 1, 3, 4]
    assert ranks["pse_distance"] == [2, 1, 3, 4]  # the smallest distance either way comes first
    assert ranks["saliency_eyes"] == [4, 1, 3, 2]
    assert table["peak_layer"].values.tolist() == ["relu7", "relu1", "relu7", "relu7"]
    assert table["at_layer"].values.tolist() == ["relu7"] * 4
    assert table.attrs["simulated"] is True


def test_rank_correlation_is_spearmans_towards_human_likeness():
    table = relate_measures(comparison(), likeness(), regions())["rank_correlation"]
    assert table.sel(quantity="similarity_peak", quantity_other="pse_distance").item() == pytest.approx(1)
    peaks, eyes = [0.2, 0.4, 0.15, 0.1], [0.1, 0.4, 0.2, 0.3]
    here = table.sel(quantity="similarity_peak", quantity_other="saliency_eyes").item()
    assert here == pytest.approx(spearmanr(peaks, eyes).statistic)
    np.testing.assert_allclose(table, table.T.values)


def test_with_four_networks_a_perfect_order_has_p_of_two_in_24():
    p = relate_measures(comparison(), likeness())["rank_correlation_p"]
    assert p.sel(quantity="similarity_peak", quantity_other="pse_distance").item() == pytest.approx(2 / 24)


def test_intervals_need_as_many_draws_of_both():
    both = relate_measures(comparison(50), likeness(draws=50))["rank_correlation_interval"]
    where = {"quantity": "similarity_peak", "quantity_other": "pse_distance"}
    assert both.sel(**where).values.tolist() == pytest.approx([1, 1], abs=0.21)
    other = relate_measures(comparison(50), likeness(draws=40))["rank_correlation_interval"]
    assert np.isnan(other.sel(**where)).all()


def test_the_interval_is_that_of_spearmans_correlation_in_each_draw():
    rng = np.random.default_rng(0)
    one, other = comparison(200), likeness(draws=200)
    one["similarity_draws"] = one["similarity_draws"] + rng.normal(0, 0.1, one["similarity_draws"].shape)
    other["delta_pse_draws"] = other["delta_pse_draws"] + rng.normal(0, 0.1, other["delta_pse_draws"].shape)
    found = relate_measures(one, other)["rank_correlation_interval"]
    peaks = one["similarity_draws"].values.reshape(200, 4, 2).max(axis=2)
    far = -np.abs(other["delta_pse_draws"].values[..., 0])
    each = [spearmanr(x, y).statistic for x, y in zip(peaks, far, strict=True)]
    expected = np.quantile(each, [0.025, 0.975])
    np.testing.assert_allclose(found.sel(quantity="similarity_peak", quantity_other="pse_distance"), expected)


def test_a_network_without_choices_is_not_ranked_by_them():
    table = relate_measures(comparison(), likeness().isel(network=[0, 1, 2]))
    assert np.isnan(table["rank"].sel(quantity="pse_distance", network="vgg13").item())
    assert table["n_networks"].sel(quantity="similarity_peak", quantity_other="pse_distance").item() == 3


def test_parts_without_a_network_in_common_are_refused():
    other = likeness().assign_coords(network=["a", "b", "c", "d"])
    with pytest.raises(ValueError, match=r"comparison has \['alexnet', .* the choices \['a', 'b', 'c', 'd'\]"):
        relate_measures(comparison(), other)
