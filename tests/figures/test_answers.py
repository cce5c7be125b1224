"""Localisation, contrast, network bars, embeddings and layer-by-layer similarity show the numbers they are given."""

import numpy as np
import pytest
import xarray as xr
from matplotlib.collections import PathCollection
from matplotlib.offsetbox import AnnotationBbox
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from mpl_toolkits.mplot3d import Axes3D

from rsa_face.figures.embedding import place_pictures, plot_mds
from rsa_face.figures.layers import plot_layers
from rsa_face.figures.layout import NOTE
from rsa_face.figures.networks import plot_contrast, plot_localization, plot_networks, plot_seeds, plot_study
from rsa_face.figures.rdms import plot_rdm_similarity, plot_rdms
from rsa_face.figures.style import NETWORK_COLORS, STYLES, figure_style
from tests.figures.conftest import LAYERS


def words(ax) -> list[str]:
    return [part.get_text() for part in [*ax.texts, ax.title, ax._left_title, ax._right_title] if part.get_text()]


def test_localization_bars_are_the_probabilities(localization):
    ax = plot_localization(localization)
    heights = np.array([bar.get_height() for bar in ax.patches]).reshape(3, -1)
    np.testing.assert_allclose(heights, localization["probability"].values)
    assert [label.get_text() for label in ax.get_xticklabels()][-1] == "none"
    heads = {"First above AlexNet", "Reaches the noise ceiling", "Half-way to the peak"}
    assert heads | {"simulated observers"} <= set(words(ax))


def test_layers_outside_the_set_are_pale(localization):
    ax = plot_localization(localization)
    lightness = np.array([sum(bar.get_facecolor()[:3]) for bar in ax.patches]).reshape(3, -1)
    inside = localization["in_set"].values
    assert lightness[inside].max() < lightness[~inside].min()


def test_layers_not_ruled_out_have_one_line_where_they_follow_one_another(localization):
    ax = plot_localization(localization)
    lines = [
        line.get_xdata().tolist() for line in ax.lines if line.get_color() == NETWORK_COLORS["fe_alexnet"].lower()
    ]
    assert sorted(lines[:5]) == [[4.5, 6.5], [4.5, 6.5], [5.5, 6.5], [7.5, 8.5], [9.2, 10.2]]


def test_the_half_way_depth_lies_between_the_layers_it_lies_between(localization):
    ax = plot_localization(localization)
    interval, at = ax.lines[-2].get_xdata(), ax.lines[-1].get_xdata()
    np.testing.assert_allclose(at, [0.6 * 9 - 1])  # nine layers, the first at depth 1/9 and place 0
    np.testing.assert_allclose(interval, [0.4 * 9 - 1, 0.75 * 9 - 1])


def test_one_question_alone_is_drawn(localization):
    ax = plot_localization(localization.isel(target=0))
    assert len(ax.patches) == localization.sizes["layer"]


def test_contrast_draws_difference_band_and_corrected_test(contrast):
    ax = plot_contrast(contrast)
    line = next(line for line in ax.lines if line.get_marker() == "D")
    np.testing.assert_array_equal(line.get_ydata(), contrast["difference"].values)
    marked = next(part for part in ax.collections if isinstance(part, PathCollection) and part.get_sizes()[0] > 5)
    assert len(marked.get_offsets()) == (contrast["p_difference_corrected"].values < 0.05).sum() == 2
    assert ax.get_ylabel().startswith("FE-AlexNet − AlexNet")
    bare = plot_contrast(contrast.drop_vars("p_difference_corrected"))
    assert "p < 0.05,\nuncorrected" in words(bare)


def test_differences_over_seeds_have_a_panel_a_layer_and_a_filled_mark_where_they_survive_correction():
    starts = ["alexnet/imagenet", "mine_r16/imagenet", "mine_r2/imagenet"]
    difference = np.array([[np.nan] * 3, [0.0, 0.2, -0.1], [0.0, 0.0, 0.05]]).ravel()
    seeded = xr.Dataset(
        {"difference": ("seeded", difference),
         "difference_interval": (("seeded", "bound"), difference[:, None] + [-0.04, 0.04]),
         "p_difference_holm": ("seeded", [np.nan] * 4 + [0.01, 0.2, np.nan, np.nan, 0.6])},
        {"start": ("seeded", np.repeat(starts, 3)), "layer": ("seeded", ["relu1", "relu7", "fc8"] * 3),
         "bound": ["lower", "upper"]},
        {"baseline": "alexnet/imagenet", "confidence": 0.95, "comparison": "rho-a", "simulated": True},
    )  # fmt: skip
    panels = plot_seeds(seeded).child_axes
    assert [panel.get_title() for panel in panels] == ["relu7", "fc8"]
    marks = [
        {
            (float(line.get_xdata()[0]), float(line.get_ydata()[0])): line.get_markerfacecolor()
            for line in panel.lines[1:]
        }
        for panel in panels
    ]
    assert [list(each) for each in marks] == [[(0.2, 0.0)], [(-0.1, 0.0), (0.05, 1.0)]]
    assert [color == "white" for each in marks for color in each.values()] == [False, True, True]
    assert [label.get_text() for label in panels[0].get_yticklabels()] == [
        "mine_r16 (ImageNet)",
        "mine_r2 (ImageNet)",
    ]
    with pytest.raises(ValueError, match="no network differs from 'alexnet/imagenet'"):
        plot_seeds(seeded.isel(seeded=slice(0, 4)))


def test_network_bars_stand_at_the_layer_that_localize_picked(result, localization):
    values = dict(zip(result["rdm"].values, result["similarity"].values, strict=True))
    best = {name: max((label for label in values if label.startswith(f"{name}/")), key=values.get) for name in LAYERS}
    ax = plot_networks(result)
    heights = [bar.get_height() for container in ax.containers for bar in container]
    assert heights == [values[best[name]] for name in LAYERS]
    picked = localization.assign(held_out_similarity=("target", [0.123, 0.0, 0.0]))
    assert localization["picked"].values[0] == "relu6"
    assert best["fe_alexnet"] != "fe_alexnet/relu6"
    ax = plot_networks(result, where=picked)
    heights = [bar.get_height() for container in ax.containers for bar in container]
    assert heights[1] == values["fe_alexnet/relu6"]
    assert heights[0] == values[best["alexnet"]]
    assert [line.get_ydata().tolist() for line in ax.lines if line.get_marker() == "D"] == [[0.123]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["held out"]
    ax = plot_networks(result, where=picked.assign(same_pairs_similarity=("target", [0.2, 0.0, 0.0])))
    assert [line.get_ydata().tolist() for line in ax.lines if line.get_marker() == "D"] == [[0.2], [0.123]]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["same pairs, not held out", "held out"]


def test_a_network_with_no_layer_that_is_surely_like_people_is_shown_at_its_most_similar(result, localization):
    nowhere = localization.assign(picked=("target", ["none", "none", "none"]))
    ax, best = plot_networks(result, where=nowhere), plot_networks(result)
    assert [text.get_text() for text in ax.get_xticklabels()] == [text.get_text() for text in best.get_xticklabels()]


def test_network_bars_stand_at_the_layers_that_are_named(result, localization):
    ax = plot_networks(result, layers={"fe_alexnet": "fe"}, where=localization)
    assert ax.containers[0][0].get_height() == result.sel(rdm="fe_alexnet/fe")["similarity"].item()
    assert ax.get_xticklabels()[0].get_text() == "FE-AlexNet\nfe"


def test_layers_that_another_measure_made_are_named_on_the_figures_that_show_them(result, localization, rdms):
    attrs = {"other_measures": [f"{name}/fc8: difference" for name in LAYERS]}
    note = "fc8: difference of outputs"
    assert any(note in word for word in words(plot_layers(result.assign_attrs(attrs))))
    assert any(note in word for word in words(plot_localization(localization.assign_attrs(attrs))))
    assert any(note in word for word in words(plot_rdms(rdms.assign_attrs(attrs))))
    last = dict.fromkeys(LAYERS, "fc8")
    assert any(note in word for word in words(plot_networks(result.assign_attrs(attrs), layers=last)))
    first = {name: LAYERS[name][0] for name in LAYERS}
    assert not any(note in word for word in words(plot_networks(result.assign_attrs(attrs), layers=first)))


def test_layers_share_a_scale_of_dissimilarity_with_those_of_the_same_measure_alone(rdms):
    some = rdms.sel(rdm=["alexnet/relu6", "alexnet/relu7", "alexnet/fc8"])
    some = some.assign_coords(measure=("rdm", ["correlation", "correlation", "difference"]))
    some = some.copy(data=some.values * np.array([1.0, 2.0, 100.0])[:, None, None])
    limits = [panel.images[0].get_clim() for panel in plot_rdms(some, scale="shared").child_axes if panel.images]
    top = some.max(("stimulus_i", "stimulus_j")).values
    np.testing.assert_allclose([high for _, high in limits[:3]], [max(top[:2]), max(top[:2]), top[2]])


def test_every_participant_is_a_dot(result):
    ax = plot_networks(result, layers={"vgg16": "relu7"})
    dots = next(part for part in ax.collections if isinstance(part, PathCollection))
    expected = result.sel(rdm="vgg16/relu7")["participant_similarity"].values
    np.testing.assert_allclose(np.sort(dots.get_offsets()[:, 1]), np.sort(expected))


def test_planned_comparisons_are_written_and_must_be_shown(result):
    ax = plot_networks(result, compared=[("alexnet", "fe_alexnet", 0.0001), ("alexnet", "vgg16", 0.0312)])
    assert {"p < 0.001", "p = 0.031"} <= set(words(ax))
    with pytest.raises(ValueError, match=r"not shown: \['resnet'\]"):
        plot_networks(result, compared=[("resnet", "alexnet", 0.5)])
    with pytest.raises(ValueError, match="No layer 'conv9' of 'vgg11'"):
        plot_networks(result, layers={"vgg11": "conv9"})


def points(dims: int, count: int = 24) -> xr.DataArray:
    values = np.random.default_rng(0).normal(size=(count, dims))
    coords = {
        "stimulus": [f"id{n // 6}_{n % 6}" for n in range(count)],
        "axis": np.arange(1, dims + 1),
        "identity": ("stimulus", [f"id{n // 6}" for n in range(count)]),
        "level": ("stimulus", np.tile(np.linspace(-1, 1, 6), count // 6)),
    }
    attrs = {"stress": 0.123, "kind": "metric", "rdm": "vgg16/relu5_3", "untrained": ["vgg16"]}
    return xr.DataArray(values, coords, ("stimulus", "axis"), attrs=attrs)


@pytest.mark.parametrize("dims", [2, 3])
def test_embeddings_show_each_stimulus_at_its_point_with_stress_ways_and_pictures(faces, dims):
    ax = plot_mds(points(dims), stimuli=faces)
    assert isinstance(ax, Axes3D) == (dims == 3)
    marks = next(part for part in ax.collections if isinstance(part, PathCollection))
    places = np.column_stack(marks._offsets3d) if dims == 3 else marks.get_offsets()
    np.testing.assert_allclose(places, points(dims).values)
    assert sum(isinstance(one, AnnotationBbox) for one in ax.artists) >= 20
    notes = {
        "metric, stress 0.12\nlevel: blue \N{MINUS SIGN}1 to red +1",
        "VGG16 relu5_3",
        "untrained weights: VGG16",
    }
    assert notes <= set(words(ax))
    assert len(ax.lines) == 4


def test_ways_follow_the_level_whatever_the_order_of_stimuli():
    order = np.random.default_rng(1).permutation(24)
    ax = plot_mds(points(2).isel(stimulus=order))
    way = points(2).values[:6]
    assert any(np.allclose(np.c_[line.get_xdata(), line.get_ydata()], way) for line in ax.lines)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_picture_hides_another_or_leaves_the_figure(seed):
    spots = np.random.default_rng(seed).uniform(0, 60, size=(80, 2))
    places = np.array([place for place in place_pictures(spots, 6.0, (60.0, 60.0)) if place is not None])
    gaps = np.abs(places[:, None] - places[None]).max(axis=-1) + 99 * np.eye(len(places))
    assert gaps.min() >= 6.0
    assert places.min() >= 3.0
    assert places.max() <= 57.0
    assert len(places) > 20


@pytest.mark.parametrize("name", ["nature", "apa", "talk"])
@pytest.mark.parametrize("dims", [2, 3])
def test_pictures_as_drawn_keep_apart_beside_a_note_and_no_line_lies_over_one(faces, name, dims):
    with figure_style(name):
        ax = plot_mds(points(dims) * [1.0, 0.4, 0.4][:dims], stimuli=faces)
    figure = ax.get_figure(root=True)
    figure.draw_without_rendering()
    pictures = [one for one in ax.artists if isinstance(one, AnnotationBbox)]
    boxes = [one.get_window_extent() for one in pictures]
    assert len(boxes) > 10
    for place, box in enumerate(boxes):
        for other in boxes[place + 1 :]:
            assert min(box.x1, other.x1) - max(box.x0, other.x0) < 0.5 or (
                min(box.y1, other.y1) - max(box.y0, other.y0) < 0.5
            )
    frame = ax.get_window_extent()
    assert all(frame.x0 - 1 < box.x0 and box.x1 < frame.x1 + 1 for box in boxes)
    assert all(frame.y0 - 1 < box.y0 and box.y1 < frame.y1 + 1 for box in boxes)
    leaders = [text for text in ax.texts if getattr(text, "arrow_patch", None)]
    assert leaders
    assert max(text.get_zorder() for text in leaders) < min(one.get_zorder() for one in pictures)
    assert all(one.arrow_patch is None for one in pictures)


@pytest.mark.parametrize("name", STYLES)
@pytest.mark.parametrize("dims", [2, 3])
def test_a_note_does_not_lie_over_an_embeddings_title(name, dims):
    with figure_style(name):
        ax = plot_mds(points(dims).assign_attrs(simulated=True), title="People (mean)")
        ax.get_figure(root=True).draw_without_rendering()
        title, note = (part.get_window_extent() for part in (ax._left_title, ax._right_title))
        lines = ax._right_title.get_text().split("\n")
        page = ax.get_figure(root=True).bbox
    if not lines[-1]:  # an empty line beside the title
        spacing = ax._right_title._linespacing
        empty = spacing * note.height / (1 + spacing * (len(lines) - 1))
        note = Bbox([[note.x0, note.y0 + empty], [note.x1, note.y1]])
    assert not title.overlaps(note)
    assert all(page.contains(*corner) for box in (title, note) for corner in box.corners())


def test_points_of_another_dimension_than_the_axes_are_refused():
    import matplotlib.pyplot as plt

    with pytest.raises(ValueError, match="not of 3 dimensions"):
        plot_mds(points(3), ax=plt.figure().add_subplot())


def test_layers_by_layers_are_put_in_order(rdms):
    names = rdms["rdm"].values
    values = np.random.default_rng(0).uniform(size=(len(names),) * 2)
    along = {name: ("rdm", rdms[name].values) for name in ("network", "layer", "order")}
    similarity = xr.DataArray(values, {"rdm": names, "rdm_j": names, **along}, ("rdm", "rdm_j"))
    shuffled = np.random.default_rng(1).permutation(len(names))
    ax = plot_rdm_similarity(similarity.isel(rdm=shuffled, rdm_j=shuffled))
    np.testing.assert_array_equal(ax.images[0].get_array(), values)
    assert [text.get_text() for text in ax.texts][:2] == ["AlexNet", "FE-AlexNet"]


def test_a_study_figure_holds_what_it_is_given(result, localization, contrast, rdms, human, faces):
    sheet = plot_study(result, where=localization, contrast=contrast, rdms=rdms, human=human, stimuli=faces)
    assert list(sheet) == ["layers", "networks", "localization", "contrast", "rdms"]
    assert len({ax.get_figure(root=True) for ax in sheet.values()}) == 1
    assert list(plot_study(result)) == ["layers", "networks"]


def test_a_study_figure_says_once_what_it_rests_on(result, localization, contrast):
    sheet = plot_study(result, where=localization, contrast=contrast)
    notes = [text for text in sheet["layers"].get_figure(root=True).findobj(Text) if text.get_gid() == NOTE]
    assert [text.get_visible() for text in notes].count(True) == 1


@pytest.mark.parametrize("name", STYLES)
def test_no_label_of_a_study_figure_touches_a_panels_letter_or_the_note(result, localization, contrast, name):
    with figure_style(name):
        figure = plot_study(result, where=localization, contrast=contrast)["layers"].get_figure(root=True)
        figure.draw_without_rendering()
        shown = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    heads = [text for text in shown if len(text.get_text()) == 1 and text.get_weight() == "bold"]
    assert [text.get_text().lower() for text in heads] == ["a", "b", "c", "d"]
    heads += [text for text in shown if text.get_text() == "simulated observers"]
    labels = [text for text in shown if text not in heads]
    touching = [
        (one.get_text(), other.get_text())
        for one in heads
        for other in labels
        if one.get_window_extent().overlaps(other.get_window_extent())
    ]
    assert touching == []


@pytest.mark.parametrize("name", STYLES)
def test_a_study_figure_is_no_taller_than_its_page(result, localization, contrast, rdms, name):
    with figure_style(name):
        figure = plot_study(result, where=localization, contrast=contrast, rdms=rdms)["layers"].get_figure(root=True)
    style = STYLES[name]
    tallest = 0.75 * style.double_mm if name == "talk" else style.tallest_mm  # a slide of 4:3 has room for all rows
    assert figure.get_size_inches()[1] * 25.4 <= tallest + 1e-6


def test_a_slide_keeps_the_rdms(result, localization, contrast, rdms):
    with figure_style("talk"):
        sheet = plot_study(result, where=localization, contrast=contrast, rdms=rdms)
    assert list(sheet) == ["layers", "networks", "localization", "contrast", "rdms"]


def test_planned_comparisons_do_not_crowd_out_the_bars_of_a_study_figure(result):
    compared = [("alexnet", name, 0.2) for name in ("fe_alexnet", "vgg11", "vgg13", "vgg16")]
    for style, shown in (("nature", 4), ("talk", 0)):
        with figure_style(style):
            ax = plot_study(result, compared=compared)["networks"]
            assert sum(text.get_text() == "p = 0.200" for text in ax.texts) == shown


def test_the_examples_of_a_study_figure_are_one_of_each_network(result, rdms):
    def seeded(array):
        names = np.array(
            [f"{name}/random/{seed}" for seed in range(2) for name in rdms["network"].values], dtype=object
        )
        labels = np.array(
            [f"{one}/{layer}" for one, layer in zip(names, np.tile(rdms["layer"].values, 2), strict=True)]
        )
        twice = array.isel(rdm=np.tile(np.arange(array.sizes["rdm"]), 2))
        return twice.assign_coords(network=("rdm", names), rdm=labels.astype(object))

    sheet = plot_study(seeded(result), rdms=seeded(rdms))
    named = [panel.get_label() for panel in sheet["rdms"].child_axes if panel.images]
    assert [name.split(" ")[0] for name in named if name] == ["AlexNet", "FE-AlexNet", "VGG11", "VGG13", "VGG16"]
