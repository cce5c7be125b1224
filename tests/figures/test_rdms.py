"""RDMs are shown sorted into groups, on one scale, with people's beside them, and no stimulus in another's place."""

import matplotlib as mpl
import numpy as np
import pytest

from rsa_face.figures.rdms import _thinned, plot_rdms, rdms_table, shade
from rsa_face.figures.style import RDM_COLORS, figure_style


def panels(ax):
    return [part for part in ax.child_axes if part.images and part.images[0].get_array().ndim == 2]


FEW = ["alexnet/relu1", "fe_alexnet/fe", "vgg16/fc8"]


def test_stimuli_are_sorted_by_the_factors_asked_for(rdms):
    few = rdms.sel(rdm=FEW)
    ax = plot_rdms(few, sort=["level", "identity"], scale="own")
    order = np.lexsort([few["identity"].values.astype(str), few["level"].values])
    shown = np.asarray(panels(ax)[0].images[0].get_array().filled(0))
    np.testing.assert_array_equal(shown, few.values[0][np.ix_(order, order)])


def test_the_order_of_stimuli_in_the_array_changes_nothing(rdms, human):
    order = np.random.default_rng(0).permutation(rdms.sizes["stimulus_i"])
    few = rdms.sel(rdm=FEW)
    plain, shuffled = (plot_rdms(part, human=human) for part in (few, few.isel(stimulus_i=order, stimulus_j=order)))
    for one, other in zip(panels(plain), panels(shuffled), strict=True):
        np.testing.assert_allclose(one.images[0].get_array().filled(-1), other.images[0].get_array().filled(-1))


def test_ranks_run_from_0_to_1_and_leave_the_diagonal_and_unjudged_pairs_out():
    values = np.array([[0, 1, 5], [1, 0, np.nan], [5, np.nan, 0]], dtype=float)
    np.testing.assert_allclose(shade(values, "rank")[0, 1:], [1 / 6, 5 / 6])
    assert np.isnan(shade(values, "rank")[[0, 1, 1], [0, 1, 2]]).all()


def test_layers_share_one_scale_and_people_keep_theirs(rdms, human):
    few = rdms.sel(rdm=FEW)
    people, *layers = (part.images[0].get_clim() for part in panels(plot_rdms(few, human=human, scale="shared")))
    off = ~np.eye(few.sizes["stimulus_i"], dtype=bool)
    assert set(layers) == {(few.values[:, off].min(), few.values[:, off].max())}
    assert people not in layers


def test_people_come_first_then_networks_in_their_order(rdms, human):
    ax = plot_rdms(rdms.isel(rdm=slice(None, None, -1)), human=human)
    assert [part.get_label() for part in panels(ax)][:3] == ["People (mean)", "relu1", "relu2"]
    assert len(panels(ax)) == rdms.sizes["rdm"] + 1


def test_no_title_touches_another(rdms, human, faces):
    for part in (rdms, rdms.sel(rdm=FEW)):
        ax = plot_rdms(part, human=human, stimuli=faces)
        ax.figure.draw_without_rendering()
        boxes = [text.get_window_extent().shrunk(0.98, 0.98) for text in ax.texts if text.get_text()]
        assert not any(boxes[i].overlaps(boxes[j]) for i in range(len(boxes)) for j in range(i))
        assert all(ax.figure.bbox.contains(*corner) for box in boxes for corner in box.corners())


def test_thumbnails_stand_on_the_margin_and_do_not_touch(rdms, faces):
    ax = plot_rdms(rdms.sel(rdm=FEW), stimuli=faces)
    ax.figure.draw_without_rendering()
    pictures = [
        part.get_window_extent() for part in ax.child_axes if part.images and part.images[0].get_array().ndim == 3
    ]
    assert len(pictures) >= 4
    assert not any(pictures[i].overlaps(pictures[j]) for i in range(len(pictures)) for j in range(i))


def test_a_picture_that_cannot_be_read_is_named_and_the_figure_drawn(rdms, faces, tmp_path, caplog):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    table = faces.table.assign(file=str(broken))
    ax = plot_rdms(rdms.sel(rdm=FEW), stimuli=type(faces)(table))
    assert "broken.png" in caplog.text
    assert len(panels(ax)) == 3


def test_ids_and_groups_with_markup_and_emoji_are_drawn(rdms):
    few = rdms.sel(rdm=FEW).copy()
    few["identity"] = (
        "stimulus_i",
        np.repeat(["$x$ <b>", "Ann \U0001f9d1", '"q"', "a very long name"], 6).astype(object),
    )
    ax = plot_rdms(few, sort=["identity"])
    ax.figure.draw_without_rendering()
    written = {text.get_text() for text in ax.texts}
    assert {"$x$ <b>", "Ann ▫"} <= written
    assert any(text.startswith("a very") and text.endswith("…") for text in written)


def test_the_note_names_simulated_observers_and_untrained_networks(rdms, human):
    ax = plot_rdms(rdms, human=human)
    assert "simulated observers; untrained weights: VGG16" in [text.get_text() for text in ax.texts]


def test_the_table_holds_every_pair_once(rdms):
    table = rdms_table(rdms.sel(rdm=FEW))
    assert len(table) == 24 * 23 // 2
    row = table[(table["stimulus_i"] == "id0_1") & (table["stimulus_j"] == "id2_3")]
    assert row["vgg16/fc8"].item() == rdms.sel(rdm="vgg16/fc8", stimulus_i="id0_1", stimulus_j="id2_3").item()


def test_what_cannot_be_shown_is_named(rdms, human):
    with pytest.raises(ValueError, match="'gender'"):
        plot_rdms(rdms, sort=["gender"])
    with pytest.raises(ValueError, match="'log'"):
        plot_rdms(rdms, scale="log")
    with pytest.raises(ValueError, match=r"lack 1 stimuli of the layer RDMs: \['id0_0'\]"):
        plot_rdms(rdms, human=human.isel(stimulus_i=slice(1, None), stimulus_j=slice(1, None)))


def test_occlusions_stand_in_their_usual_order(rdms):
    few = rdms.sel(rdm=FEW).assign_coords(occlusion=("stimulus_i", np.repeat(["mouth", "none", "nose", "eyes"], 6)))
    ax = plot_rdms(few.isel(stimulus_i=slice(None), stimulus_j=slice(None)))
    below = [
        text for text in ax.texts if text.get_text() in ("none", "eyes", "nose", "mouth") and text.get_va() == "top"
    ]
    places = sorted(below[:4], key=lambda text: text.get_position()[0])
    assert [text.get_text() for text in places] == ["none", "eyes", "nose", "mouth"]


def test_a_slide_shows_fewer_layers_says_so_and_keeps_the_first_the_block_and_the_last(rdms):
    with figure_style("talk"):
        ax = plot_rdms(rdms)
    titles = [panel.get_label() for panel in panels(ax)]
    names = rdms["layer"].values[rdms["network"].values == "fe_alexnet"]
    assert len(titles) < rdms.sizes["rdm"]
    assert {names[0], "fe", names[-1]} <= set(titles)
    assert any(text.get_text().endswith(f"{len(titles)} of {rdms.sizes['rdm']} layers shown") for text in ax.texts)


def test_thinned_layers_keep_the_first_the_block_and_the_last():
    names = ["relu1", "relu2", "relu3", "relu4", "relu5", "fe", "relu6", "relu7", "fc8"]
    places = _thinned(np.arange(9), names, 3)
    assert [names[place] for place in places] == ["relu1", "fe", "fc8"]


def test_cells_finer_than_print_keep_the_colours_of_the_bar(rdms):
    few = rdms.sel(rdm=FEW[:1])
    count = 900
    values = np.random.default_rng(0).uniform(size=(1, count, count))
    names = np.array([f"s{n}" for n in range(count)], dtype=object)
    fine = few.isel(stimulus_i=[0] * count, stimulus_j=[0] * count).copy(data=values + values.transpose(0, 2, 1))
    ax = plot_rdms(fine.assign_coords(stimulus_i=names, stimulus_j=names), sort=["level"])
    panel = panels(ax)[0]
    figure = ax.get_figure(root=True)
    figure.canvas.draw()
    box = panel.get_window_extent()
    drawn = np.asarray(figure.canvas.buffer_rgba())[::-1, :, :3].astype(int)
    inside = drawn[int(box.y0) + 8 : int(box.y1) - 8, int(box.x0) + 8 : int(box.x1) - 8].reshape(-1, 3)
    bar = np.round(mpl.colormaps[RDM_COLORS](np.linspace(0, 1, 256))[:, :3] * 255)
    apart = np.abs(inside[::7, None] - bar[None]).max(axis=-1).min(axis=1)
    assert (apart <= 3).mean() > 0.95


@pytest.mark.parametrize("beside", [False, True])
def test_on_a_slide_no_picture_hides_a_networks_name(rdms, human, faces, beside):
    with figure_style("talk"):
        ax = plot_rdms(rdms, human=human if beside else None, stimuli=faces)
        ax.figure.draw_without_rendering()
        named = [text for text in ax.texts if text.get_text() in ("AlexNet", "FE-AlexNet")]
        boxes = [panel.get_window_extent() for panel in ax.child_axes]
        assert len(named) == 2
        assert not any(text.get_window_extent().overlaps(box) for text in named for box in boxes)
        assert all(
            ax.figure.bbox.contains(*corner) for text in named for corner in text.get_window_extent().corners()
        )
