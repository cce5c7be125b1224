"""Charts carry the numbers of the results, and what is read where one points."""

import numpy as np
import pytest
import xarray as xr

from rsa_face.report.charts import (
    contrast_chart,
    curve_chart,
    layer_chart,
    layer_saliency_chart,
    localization_chart,
    palettes,
    region_chart,
)
from tests.made_up import answered as localization
from tests.made_up import made_up_contrast as contrast


def test_the_layer_chart_carries_value_interval_and_number_of_people(study):
    (view,) = layer_chart(study.result).views
    line = next(trace for trace in view.traces if trace["meta"] == {"network": "alexnet", "role": "line"})
    np.testing.assert_allclose(line["y"], study.result["similarity"].values[:3])
    label, layer, similarity, lower, upper, people, p = line["customdata"][1]
    assert (label, layer, people, p) == ("AlexNet", "relu5", 5, "0.010")
    assert similarity == pytest.approx(float(study.result["similarity"][1]))
    assert upper - lower == pytest.approx(0.1)
    assert "(uncorrected)" in line["hovertemplate"]


def test_what_remains_under_the_controls_is_a_dashed_line_as_in_the_figure(study):
    remains = study.result["similarity"] / 10
    chart = layer_chart(study.result.assign(partial_similarity=remains).assign_attrs(controls=["pixels", "level"]))
    dashed = [trace for trace in chart.views[0].traces if trace["meta"]["role"] == "partial"]
    assert [trace["line"]["dash"] for trace in dashed] == ["dash"] * 2
    np.testing.assert_allclose(dashed[0]["y"], remains.values[:3])
    assert chart.hint.endswith("Dashed: similarity without pixels, level.")


def test_the_chart_of_where_has_a_row_for_each_question(study):
    (view,) = localization_chart(localization(["fc8", "none", "fe", "relu1"])).views
    bars = [trace for trace in view.traces if trace.get("type") == "bar"]
    assert [trace["yaxis"] for trace in bars] == ["y", "y2", "y3", "y4"]
    assert bars[1]["y"] == [0.0, 0.0, 0.1, 0.2, 0.7]
    layers = [trace["x"] for trace in view.traces if trace["meta"]["role"] == "set"]
    assert layers == [[2, 3], [3, 4], [2], [0, 2]]
    (half_way,) = [trace for trace in view.traces if trace["yaxis"] == "y5"]
    np.testing.assert_allclose(half_way["x"], [0.6 * 4 - 1])
    np.testing.assert_allclose(half_way["error_x"]["array"], [(0.75 - 0.6) * 4])
    assert "most like people at fc8" in view.label
    assert "No layer is shown to reach the noise ceiling" in view.label


def test_the_chart_of_the_contrast_has_a_view_for_each_baseline():
    other = contrast([0.1, 0.2, 0.3]).assign_attrs(network="fe_alexnet", baseline="vgg16")
    chart = contrast_chart({"contrast": contrast([-0.1, 0.02, 0.03]), "contrast_vgg16": other})
    assert [view.name for view in chart.views] == ["AlexNet", "VGG16"]
    upper, lower, line = chart.views[0].traces
    np.testing.assert_allclose(lower["y"], [-0.1, 0.02, 0.03])
    np.testing.assert_allclose(upper["y"], [0.0, 0.12, 0.13])
    assert line["customdata"][1][0] == "relu5"
    np.testing.assert_allclose(line["customdata"][1][1:], [0.07, 0.02, 0.12])


def test_curves_of_people_and_networks_share_a_view_for_each_occlusion():
    dims = ("occlusion", "level")
    networks = xr.Dataset(
        {
            "proportion": (("network", *dims), [[[0.1, 0.9], [0.2, 0.8]]]),
            "pse": (("network", "occlusion"), [[-0.25, 0.5]]),
        },
        {"network": ["vgg16"], "level": [-1.0, 1.0], "occlusion": ["none", "eyes"]},
    )
    people = xr.Dataset(
        {"proportion": (("participant", *dims), [[[0.0, 1.0]], [[0.5, 1.0]]])},
        {"level": [-1, 1], "occlusion": ["none"]},
    )
    chart = curve_chart(people, networks)
    assert [view.name for view in chart.views] == ["whole face", "eyes masked"]
    ours, theirs = chart.views[0].traces
    assert (ours["name"], ours["y"]) == ("People (n = 2)", [0.25, 1.0])
    assert (theirs["name"], theirs["y"]) == ("VGG16", [0.1, 0.9])
    assert "VGG16 −0.250" in chart.views[0].label
    assert [trace["name"] for trace in chart.views[1].traces] == ["VGG16"]
    assert curve_chart(None, None) is None


def test_seeds_are_one_curve_as_in_the_figure_and_those_without_a_pse_stand_by_themselves():
    levels, fine = [-1.0, 1.0], [-1.0, 0.0, 1.0]
    dims = ("network", "level")
    networks = xr.Dataset(
        {
            "proportion": (dims, [[0.1, 0.9], [0.3, 0.7], [0.8, 0.9]]),
            "curve": (("network", "curve_level"), [[0.1, 0.5, 0.9], [0.3, 0.5, 0.7], [0.8, 0.85, 0.9]]),
            "pse": ("network", [0.0, 0.0, np.nan]),
        },
        {"network": ["vgg16/0", "vgg16/1", "vgg16/2"], "family": ("network", ["vgg16"] * 3), "level": levels,
         "curve_level": fine},
    )  # fmt: skip
    alone, curve, dots = curve_chart(None, networks).views[0].traces
    assert (alone["name"], alone["y"], alone["mode"]) == ("VGG16 (seed 2, no PSE)", [0.8, 0.9], "lines+markers")
    np.testing.assert_allclose(curve["y"], [0.2, 0.5, 0.8])
    assert (dots["name"], dots["meta"]) == ("VGG16 (3 seeds, 1 without a PSE)", {"network": "vgg16", "role": "line"})
    np.testing.assert_allclose(dots["y"], [0.2, 0.8])


def test_peoples_dots_are_the_share_of_all_their_choices():
    dims, along = ("participant", "level"), {"participant": ["a", "b"], "level": [-1.0, 1.0]}
    people = xr.Dataset(
        {"proportion": (dims, [[0.2, 0.9], [0.6, np.nan]]), "n_trials": (dims, [[10, 10], [30, 0]])}, along
    )
    (points,) = curve_chart(people, None).views[0].traces
    np.testing.assert_allclose(points["y"], [(2 + 18) / 40, 0.9])


def test_saliency_is_drawn_by_layer_or_else_by_region():
    shares = xr.Dataset(
        {"proportion": (("rdm", "occlusion", "region"), [[[0.2, 0.8]], [[0.4, 0.6]]])},
        {"rdm": ["vgg16/a", "vgg16/b"], "network": ("rdm", ["vgg16"] * 2), "layer": ("rdm", ["a", "b"]),
         "order": ("rdm", [0, 1]), "occlusion": ["none"], "region": ["eyes", "mouth"]},
    )  # fmt: skip
    (view,) = layer_saliency_chart(shares).views
    drawn = [trace["y"] for trace in view.traces if trace["meta"]["role"] == "line"]
    assert drawn == [[0.2, 0.4], [0.8, 0.6]]
    by_network = xr.Dataset(
        {"proportion": (("network", "region"), [[0.2, 0.8]])}, {"network": ["vgg16"], "region": ["eyes", "mouth"]}
    )
    (view,) = region_chart(by_network).views
    assert [(trace["name"], trace["y"]) for trace in view.traces] == [("VGG16", [0.2, 0.8])]
    masked = xr.concat([by_network, by_network * 2], "stimulus").assign_coords(
        stimulus=["a", "b"], occlusion=("stimulus", ["none", "eyes"])
    )
    assert [view.name for view in region_chart(masked).views] == ["whole face", "eyes masked"]
    assert region_chart(xr.Dataset()) is None


def test_every_region_of_five_is_drawn():
    regions = ["eyes", "brows", "nose", "mouth", "chin"]
    shares = xr.Dataset(
        {"proportion": (("rdm", "region"), [[0.1, 0.2, 0.3, 0.15, 0.25]])},
        {"rdm": ["vgg16/a"], "network": ("rdm", ["vgg16"]), "layer": ("rdm", ["a"]), "order": ("rdm", [0]),
         "region": regions},
    )  # fmt: skip
    (view,) = layer_saliency_chart(shares).views
    assert [trace["y"] for trace in view.traces if trace["meta"]["role"] == "line"] == [
        [0.1],
        [0.2],
        [0.3],
        [0.15],
        [0.25],
    ]
    assert [trace["name"] for trace in view.traces if trace["meta"]["role"] == "ink"] == regions


def test_colours_on_a_dark_page_stand_out():
    for color in palettes(["alexnet", "fe_alexnet", "vgg11", "vgg13", "vgg16"])["dark"].values():
        rgb = np.array([int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        assert (linear @ [0.2126, 0.7152, 0.0722] + 0.05) / 0.0585 >= 4.4
