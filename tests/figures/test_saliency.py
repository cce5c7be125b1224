"""Maps are laid over what the network saw, on one scale, and a map that is all zero is said to be so."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from rsa_face.figures.layout import sources_of
from rsa_face.figures.saliency import plot_saliency
from rsa_face.figures.style import figure_style
from rsa_face.stimuli.catalogue import StimulusSet

IDS = ["a", "b", "c"]


@pytest.fixture
def stimuli(tmp_path):
    for stimulus in IDS:
        picture = np.zeros((80, 40), dtype=np.uint8)
        picture[20:60] = 200
        Image.fromarray(picture).save(tmp_path / f"{stimulus}.png")
    files = [str(tmp_path / f"{stimulus}.png") for stimulus in IDS]
    return StimulusSet(pd.DataFrame({"stimulus": IDS, "file": files, "level": [-1.0, 0.0, 1.0]}))


@pytest.fixture
def maps():
    values = np.random.default_rng(0).random((2, 3, 16, 16))
    values[1] *= 1000
    values[1, 2] = 0
    coords = {"network": ["alexnet", "fe_alexnet"], "stimulus": IDS, "level": ("stimulus", [-1.0, 0.0, 1.0])}
    attrs = {"preprocessing": {"resize": 16, "crop": 16}, "untrained": ["alexnet"]}
    return xr.DataArray(values, coords, ("network", "stimulus", "row", "column"), attrs=attrs)


@pytest.fixture
def regions():
    share = np.full((2, 3, 2), 0.2)
    share[1] = 0.4
    return xr.Dataset(
        {"proportion": (("network", "stimulus", "region"), share), "area": (("stimulus", "region"), share[0] / 2)},
        {"network": ["alexnet", "fe_alexnet"], "stimulus": IDS, "region": ["eyes", "mouth"]},
    )


def test_a_row_for_each_network_and_a_column_for_each_face(maps, stimuli):
    ax = plot_saliency(maps, stimuli)
    panels = [panel for panel in ax.child_axes if len(panel.images) > 0 and panel.get_xlim() == (0, 16)]
    assert len(panels) == 6
    assert [panel.get_title() for panel in panels[:3]] == ["level \N{MINUS SIGN}1", "level +0", "level +1"]
    notes = [text.get_text() for panel in panels for text in panel.texts]
    assert notes == ["all zero"]
    assert "untrained weights: AlexNet" in [text.get_text() for text in ax.texts]
    plt.close(ax.figure)


def test_the_method_the_answer_and_each_rows_layer_are_named(maps, stimuli):
    made = maps.assign_coords(layer=("network", ["relu5", "fe"])).assign_attrs(method="layercam", answer="given")
    ax = plot_saliency(made, stimuli)
    notes = [text.get_text() for text in ax.texts]
    assert "LayerCAM of the answer given" in notes
    assert [word for word in notes if word in ("relu5", "fe")] == ["relu5", "fe"]
    one = maps.sel(network="alexnet").assign_attrs(method="gradcam", answer="happy", layer="relu4", network="alexnet")
    notes = [text.get_text() for text in plot_saliency(one, stimuli).texts]
    assert {"Grad-CAM of the answer “happy”", "relu4"} <= set(notes)


def test_all_maps_have_one_scale_and_each_networks_mean_is_1(maps, stimuli):
    ax = plot_saliency(maps, stimuli)
    overlays = [panel.images[1] for panel in ax.child_axes if len(panel.images) == 2]
    assert len({overlay.get_clim() for overlay in overlays}) == 1
    assert {round(float(overlay.get_array().mean()), 6) for overlay in overlays} == {1.0}
    plt.close(ax.figure)


def test_the_picture_is_cut_as_the_network_saw_it(maps, stimuli):
    ax = plot_saliency(maps, stimuli)
    picture = next(panel.images[0] for panel in ax.child_axes if len(panel.images) > 0)
    seen = picture.get_array()
    assert seen.shape[0] == seen.shape[1]
    assert float(seen[seen.shape[0] // 2].mean()) == pytest.approx(200, abs=2)
    assert float(seen[0].mean()) == pytest.approx(200, abs=20)  # the dark upper quarter is cropped away
    plt.close(ax.figure)


def test_bars_show_the_mean_share_of_each_region(maps, stimuli, regions):
    ax = plot_saliency(maps, stimuli, regions=regions)
    (name, table), *_ = sources_of(ax.figure)
    assert name == "saliency"
    assert table.set_index(["network", "region"])["proportion"].round(6).to_dict() == {
        ("alexnet", "eyes"): 0.2,
        ("alexnet", "mouth"): 0.2,
        ("fe_alexnet", "eyes"): 0.4,
        ("fe_alexnet", "mouth"): 0.4,
    }
    bars = [panel for panel in ax.child_axes if panel.patches]
    assert sorted(round(bar.get_height(), 6) for bar in bars[0].patches) == [0.2, 0.2, 0.4, 0.4]
    plt.close(ax.figure)


def test_where_every_map_is_zero_the_bars_are_empty_and_nothing_fails(maps, stimuli, regions):
    regions["proportion"] = regions["proportion"] * np.nan
    ax = plot_saliency(maps * 0, stimuli, regions=regions)
    notes = [text.get_text() for panel in ax.child_axes for text in panel.texts]
    assert notes.count("all zero") == 6
    plt.close(ax.figure)


def test_faces_without_a_map_are_refused(maps, stimuli):
    with pytest.raises(ValueError, match=r"\['z'\] lack a map or an image"):
        plot_saliency(maps, stimuli, faces=["a", "z"])


def test_on_a_slide_bars_stand_beside_maps_that_fill_the_height(maps, stimuli, regions):
    names = ["alexnet", "fe_alexnet", "vgg11", "vgg13", "vgg16"]
    many, shares = (part.isel(network=[0, 1, 0, 1, 0]).assign_coords(network=names) for part in (maps, regions))
    with figure_style("talk"):
        ax = plot_saliency(many, stimuli, regions=shares)
        ax.figure.draw_without_rendering()
        faces = [
            panel.get_window_extent()
            for panel in ax.child_axes
            if len(panel.images) > 0 and panel.get_xticks().size == 0
        ]
        bars = [panel.get_tightbbox() for panel in ax.child_axes if len(panel.patches) > 5]
        words = [text for text in ax.texts if text.get_text()]
        labels = [text.get_window_extent() for text in words]
        page = ax.figure.bbox
    assert len(faces) == 15
    assert faces[1].x0 - faces[0].x1 < 0.1 * faces[0].width
    assert 5 * faces[0].height > 0.65 * page.height
    assert not any(face.overlaps(other) for face in faces for other in [*bars, *labels])
    assert [one.get_text() for one, label in zip(words, labels, strict=True) if any(map(label.overlaps, bars))] == []
    assert all(page.contains(*corner) for box in [*faces, *bars, *labels] for corner in box.corners())
    plt.close(ax.figure)
