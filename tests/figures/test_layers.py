"""The layer curve shows every number it is given, keeps its labels apart, and says what was simulated."""

import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from rsa_face.figures.layers import layers_table, plot_layers
from rsa_face.figures.layout import size_mm, sources_of
from rsa_face.figures.style import NETWORK_COLORS, figure_style


def texts(ax) -> list[str]:
    parts = [*ax.texts, ax.title, ax._left_title, ax._right_title, *ax.get_xticklabels()]
    return [part.get_text() for part in parts if part.get_text()]


def overlapping(artists) -> list[tuple[str, str]]:
    boxes = [(part.get_text(), part.get_window_extent().shrunk(0.98, 0.98)) for part in artists if part.get_text()]
    return [(a, b) for (a, one), (b, other) in itertools.combinations(boxes, 2) if one.overlaps(other)]


def test_the_curve_passes_through_every_similarity(result):
    ax = plot_layers(result)
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    np.testing.assert_array_equal(drawn["VGG16"], result["similarity"].values[result["network"] == "vgg16"])
    assert {line.get_color() for line in ax.lines if line.get_label() == "VGG16"} == {NETWORK_COLORS["vgg16"].lower()}


@pytest.mark.parametrize("style", ["nature", "plos", "apa", "talk"])
@pytest.mark.parametrize("networks", [None, ["vgg16"]])
def test_no_label_touches_another(result, style, networks):
    with figure_style(style):
        ax = plot_layers(result, networks=networks)
        ax.figure.draw_without_rendering()
        labels = [*ax.texts, ax._right_title, *ax.get_xticklabels(), *ax.get_yticklabels(), ax.yaxis.label]
        assert overlapping(labels) == []
        page = ax.figure.bbox
        inside = [page.contains(*corner) for part in labels for corner in part.get_window_extent().corners()]
        assert all(inside)


@pytest.mark.parametrize("style", ["nature", "plos", "apa", "talk"])
@pytest.mark.parametrize("along", ["layer", "depth"])
def test_the_key_of_raw_and_partial_and_the_blocks_name_lie_over_no_curve(result, style, along):
    result["partial_similarity"] = result["similarity"] * 0.5
    with figure_style(style):
        ax = plot_layers(result.assign_attrs(controls=["pixels", "level", "identity"]), along=along)
        ax.figure.draw_without_rendering()
        block = next(text for text in ax.texts if text.get_text() == "FE")
        low = min(ax.get_legend().get_window_extent().y0, block.get_window_extent().y0)
    top = max(np.nanmax(result[name]) for name in ("similarity_interval", "noise_ceiling"))
    assert ax.transData.transform((0, top))[1] < low


def test_all_layers_are_named_where_there_is_room_for_them(result):
    ax = plot_layers(result)
    assert [label.get_text() for label in ax.get_xticklabels()] == result["layer"].values.tolist()


def test_significance_rows_use_corrected_values_and_mark_those_below_alpha(result):
    ax = plot_layers(result, networks=["vgg13"])
    squares = next(part for part in ax.collections if part.get_sizes().size and part.get_sizes()[0] > 5)
    of_network = result["network"].values == "vgg13"
    assert len(squares.get_offsets()) == (result["p_above_zero_corrected"].values[of_network] < 0.05).sum()
    assert "p < 0.05" in texts(ax)


def test_a_layer_above_the_ceiling_is_not_marked_below_it(result):
    result["p_below_ceiling_corrected"][:] = 0.001
    result["similarity"][:] = 0.9
    ax = plot_layers(result.drop_vars(["p_above_zero", "p_above_zero_corrected"]), networks=["vgg11"])
    assert "no layer" in texts(ax)
    assert not any(len(part.get_offsets()) == 11 for part in ax.collections if part.get_sizes().size == 1)


def test_uncorrected_p_values_are_called_so(result):
    assert "p < 0.05, uncorrected" in texts(plot_layers(result.drop_vars("p_above_zero_corrected")))


def test_what_a_result_lacks_is_not_drawn(result):
    bare = result[["similarity"]]
    ax = plot_layers(bare)
    assert not any("ceiling" in text for text in texts(ax))
    assert len(ax.collections) == 0


def test_simulated_observers_and_untrained_weights_are_written_on_the_figure(result):
    result.attrs["untrained"] = ["vgg16"]
    assert "simulated observers; untrained weights: VGG16" in texts(plot_layers(result))
    assert "simulated observers" in texts(plot_layers(result, networks=["alexnet"]))
    result.attrs["simulated"] = False
    assert "simulated observers" not in "".join(texts(plot_layers(result)))


def test_the_excitation_block_is_marked_once(result):
    assert texts(plot_layers(result)).count("FE") == 1
    assert texts(plot_layers(result, along="depth")).count("FE") == 1


def test_partial_similarity_is_matched_by_layer_name(result):
    partial = (result[["similarity"]] * 0.5).isel(rdm=slice(None, None, -1)).assign_attrs(partialled=["pixels"])
    ax = plot_layers(result, partial=partial, networks=["alexnet"])
    dashed = next(line for line in ax.lines if line.get_markerfacecolor() == "white")
    np.testing.assert_allclose(dashed.get_ydata(), result["similarity"].values[:8] * 0.5)
    assert "without pixels" in [text.get_text() for text in ax.get_legend().get_texts()]


def test_along_depth_networks_are_named_beside_the_key_of_controls(result):
    ax = plot_layers(result, partial=result[["similarity"]], along="depth")
    (networks,) = ax.artists
    assert [text.get_text() for text in networks.get_texts()] == ["AlexNet", "FE-AlexNet", "VGG11", "VGG13", "VGG16"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["raw", "without the controls"]


def test_axes_that_are_handed_in_are_drawn_on(result):
    _, axes = plt.subplots(1, 2)
    assert plot_layers(result, ax=axes[1]) is axes[1]
    assert len(axes[0].lines) == 0
    assert size_mm(axes[1])[0] < 100


def test_the_table_holds_one_row_a_layer_in_the_order_shown(result):
    table = layers_table(result.isel(rdm=slice(None, None, -1)))
    assert table["network"].drop_duplicates().tolist() == ["alexnet", "fe_alexnet", "vgg11", "vgg13", "vgg16"]
    assert table.loc[table["layer"] == "fe", "similarity"].item() == result["similarity"].values[13]
    assert {"similarity_lower", "p_above_zero_corrected", "noise_ceiling_upper", "participants"} <= set(table)


def test_an_unknown_network_is_named(result):
    with pytest.raises(ValueError, match="'resnet'"):
        plot_layers(result, networks=["resnet"])
    with pytest.raises(ValueError, match="'time'"):
        plot_layers(result, along="time")


def test_where_names_are_thinned_each_networks_last_layer_is_named(result):
    with figure_style("apa"):
        ax = plot_layers(result)
    named = [label.get_text() for label in ax.get_xticklabels()]
    assert len(named) < result.sizes["rdm"]
    assert named.count("fc8") == 5


def test_the_mark_of_the_fe_block_stays_clear_of_the_key_of_controls(result):
    result.attrs["controls"] = ["pixels", "level", "identity"]
    partial = result[["similarity"]].assign_attrs(controls=["pixels", "level", "identity"])
    with figure_style("nature"):
        ax = plot_layers(result, partial=partial)
        ax.figure.draw_without_rendering()
        key = ax.get_legend().get_texts()
        assert len(key) == 2
        assert overlapping([*ax.texts, *key]) == []


def test_unbounded_intervals_of_too_few_draws_leave_the_curve_visible(result):
    result["similarity_interval"][:] = np.array([-np.inf, np.inf])
    low, high = plot_layers(result).get_ylim()
    assert np.isfinite([low, high]).all()


def test_networks_that_differ_in_their_seed_alone_stand_in_one_place(result):
    alexnet = result.isel(rdm=np.flatnonzero(result["network"] == "alexnet"))
    seeds = [
        alexnet.assign_coords(network=("rdm", [f"alexnet/random/{seed}"] * alexnet.sizes["rdm"])) for seed in (0, 1)
    ]
    both = xr.concat([*seeds, result.isel(rdm=np.flatnonzero(result["network"] == "vgg16"))], dim="rdm",
                     data_vars="minimal", coords="minimal", compat="override")  # fmt: skip
    ax = plot_layers(both)
    ax.figure.draw_without_rendering()
    along = {line.get_label(): list(line.get_xdata()) for line in ax.lines if len(line.get_xdata()) > 2}
    assert along["AlexNet (random, seed 0)"] == along["AlexNet (random, seed 1)"]
    assert max(along["AlexNet (random, seed 0)"]) < min(along["VGG16"])
    assert texts(ax).count("AlexNet\nrandom\n2 seeds") == 1
    assert overlapping([*ax.texts, *ax.get_xticklabels()]) == []


@pytest.mark.parametrize("style", ["nature", "plos", "apa", "talk"])
def test_many_seeds_over_one_another_leave_the_curves_their_room(result, style):
    seeds = []
    for seed in range(3):
        names = np.array([f"{name}/random/{seed}" for name in result["network"].values], dtype=object)
        labels = np.array([f"{name}/{layer}" for name, layer in zip(names, result["layer"].values, strict=True)])
        seeds.append(result.assign_coords(network=("rdm", names), rdm=labels.astype(object)))
    many = xr.concat(seeds, "rdm", data_vars="minimal", coords="minimal", compat="override", join="outer")
    with figure_style(style):
        ax = plot_layers(many, along="depth")
        ax.figure.draw_without_rendering()
        legend, note, axes = (part.get_window_extent() for part in (ax.get_legend(), ax._right_title, ax))
        page = ax.figure.bbox
    entries = [text.get_text() for text in ax.get_legend().get_texts()]
    assert entries[0] == "AlexNet (random, 3 seeds)"
    assert len(entries) == 5
    assert axes.width > 0.5 * page.width
    assert axes.height > 0.4 * page.height
    assert all(page.contains(*corner) for box in (legend, note) for corner in box.corners())
    assert not legend.overlaps(note)
    low, high = ax.get_ylim()
    assert result["noise_ceiling"].values[1] - low > 0.6 * (high - low)


def test_of_more_networks_than_fit_the_first_are_drawn_and_the_others_counted_and_in_the_table(result):
    names = [*(f"mine{n}" for n in range(9)), "alexnet"]
    vgg16 = result.isel(rdm=np.flatnonzero(result["network"] == "vgg16"))
    many = xr.concat([vgg16.assign_coords(network=("rdm", [name] * vgg16.sizes["rdm"])) for name in names], dim="rdm",
                     data_vars="minimal", coords="minimal", compat="override")  # fmt: skip
    ax = plot_layers(many)
    ax.figure.draw_without_rendering()
    titles = [text for text in texts(ax) if text in ("AlexNet", *names)]
    assert titles == ["AlexNet", *names[:7]]
    assert any("2 more networks are in the table" in text for text in texts(ax))
    assert set(sources_of(ax.figure)[0][1]["network"]) == set(names)
    assert "mine8" in texts(plot_layers(many, networks=["mine8"]))
