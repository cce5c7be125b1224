"""The figure of layers against layers: what it shows, and where it marks the feature-excitation block."""

import numpy as np
import pytest
import xarray as xr

from rsa_face.figures import plot_geometry


@pytest.fixture
def comparison():
    rng = np.random.default_rng(0)
    rows, columns = ["conv5", "fe_gate", "fe", "fc8"], ["conv5", "fc8"]
    square = {
        name: (("layer", "layer_j"), rng.uniform(size=(4, 2))) for name in ("cka", "procrustes", "rank_correlation")
    }
    ratios = {"dimensionality": ("layer", [9.0, 4.0, 5.0, 1.0]), "dimensionality_j": ("layer_j", [8.0, 1.2])}
    coords = {
        "layer": rows,
        "layer_j": columns,
        "depth": ("layer", [0.7, 0.72, 0.74, 1.0]),
        "depth_j": ("layer_j", [0.7, 1]),
    }
    attrs = {"network": "fe_alexnet", "other": "alexnet", "untrained": ["alexnet"], "training_unknown": []}
    return xr.Dataset(square | ratios, coords, attrs)


@pytest.mark.parametrize("of", ["cka", "procrustes", "rank_correlation"])
def test_each_value_stands_where_its_layers_meet_and_the_block_is_marked(comparison, of):
    ax = plot_geometry(comparison, of=of)
    np.testing.assert_array_equal(ax.images[0].get_array(), comparison[of].values)
    assert (ax.get_ylabel(), ax.get_xlabel()) == ("FE-AlexNet", "AlexNet")
    bold = [tick.get_text() for tick in ax.get_yticklabels() if tick.get_fontweight() == "bold"]
    assert bold == ["fe_gate", "fe"]
    assert len(ax.patches) == 2
    assert any(
        "untrained weights: AlexNet" in text.get_text()
        for text in ax.figure.findobj(lambda one: hasattr(one, "get_text"))
    )


def test_dimensionality_is_drawn_along_depth_for_both_networks(comparison):
    ax = plot_geometry(comparison, of="dimensionality")
    lines = {line.get_label(): line.get_ydata().tolist() for line in ax.lines}
    assert lines == {"FE-AlexNet": [9.0, 4.0, 5.0, 1.0], "AlexNet": [8.0, 1.2]}
    assert [text.get_text() for text in ax.texts].count("FE") == 1


def test_another_geometry_is_refused(comparison):
    with pytest.raises(ValueError, match="Unknown geometry: 'cca'"):
        plot_geometry(comparison, of="cca")
