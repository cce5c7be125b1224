"""Maps are compared by correlation, scanpath saliency and divergence, each by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image
from scipy.stats import entropy

from rsa_face.saliency.likeness import compare_maps, read_human_maps
from rsa_face.stimuli.catalogue import StimulusSet


def maps_of(values, ids=("a", "b"), crop=4):
    attrs = {"preprocessing": {"resize": crop, "crop": crop}, "network": "n"}
    return xr.DataArray(
        np.asarray(values, float), {"stimulus": list(ids)}, ("stimulus", "row", "column"), attrs=attrs
    )


@pytest.fixture
def two():
    rng = np.random.default_rng(0)
    return maps_of(rng.random((2, 4, 4))), maps_of(rng.random((2, 4, 4)))


def test_each_likeness_by_hand(two):
    first, second = two
    x, y = first[0].values.ravel(), second[0].values.ravel()
    assert compare_maps(first, second)[0].item() == pytest.approx(np.corrcoef(x, y)[0, 1])
    assert compare_maps(first, second, by="kl")[0].item() == pytest.approx(entropy(y, x), abs=1e-9)
    z = (x - x.mean()) / x.std()
    assert compare_maps(first, second, by="nss")[0].item() == pytest.approx((z * y).sum() / y.sum())


def test_a_map_is_most_like_itself_whatever_its_scale(two):
    first, _ = two
    assert compare_maps(first, 3 * first)[0].item() == pytest.approx(1)
    assert compare_maps(first, 3 * first, by="kl")[0].item() == pytest.approx(0, abs=1e-9)


def test_fixations_on_the_peak_score_its_height():
    values = np.zeros((2, 4, 4))
    values[:, 1, 2] = 1
    fixed = maps_of(np.where(values > 0, 5, 0))
    expected = (1 - 1 / 16) / np.sqrt(1 / 16 * 15 / 16)
    np.testing.assert_allclose(compare_maps(maps_of(values), fixed, by="nss"), expected)


def test_faces_are_matched_by_id(two):
    first, second = two
    turned = second.isel(stimulus=[1, 0])
    np.testing.assert_array_equal(compare_maps(first, turned), compare_maps(first, second))
    part = compare_maps(first, second.isel(stimulus=[1]))
    assert part["stimulus"].values.tolist() == ["b"]
    assert part.attrs["left_out"] == 1


@pytest.mark.parametrize("by", ["correlation", "nss", "kl"])
def test_a_map_that_is_all_zero_is_like_nothing(two, by):
    _, second = two
    assert np.isnan(compare_maps(maps_of(np.zeros((2, 4, 4))), second, by=by)).all()


def test_maps_that_cannot_be_compared_are_refused(two):
    first, second = two
    with pytest.raises(ValueError, match=r"sizes are \(4, 4\) and \(4, 3\)"):
        compare_maps(first, second.isel(column=slice(3)))
    with pytest.raises(ValueError, match="no face is shared"):
        compare_maps(first, second.assign_coords(stimulus=["c", "d"]))
    with pytest.raises(ValueError, match="the target has -1 in it"):
        compare_maps(first, second - second - 1)
    with pytest.raises(ValueError, match="'auc'"):
        compare_maps(first, second, by="auc")


@pytest.fixture
def stimuli(tmp_path):
    for stimulus in ("a", "b"):
        Image.new("RGB", (8, 8)).save(tmp_path / f"{stimulus}.png")
    files = [str(tmp_path / f"{stimulus}.png") for stimulus in ("a", "b")]
    return StimulusSet(pd.DataFrame({"stimulus": ["a", "b"], "file": files}))


def test_fixations_land_in_the_pixels_of_the_input(stimuli, tmp_path, two):
    table = pd.DataFrame({"stimulus": ["a", "a", "b"], "x": [7, 1, 100], "y": [0.5, 4, 4], "duration": [200, 300, 1]})
    table.to_csv(tmp_path / "fixations.csv", index=False)
    maps = read_human_maps(tmp_path / "fixations.csv", stimuli, two[0])
    assert maps["stimulus"].values.tolist() == ["a"]
    assert maps.attrs["outside"] == 1
    expected = np.zeros((4, 4))
    expected[0, 3], expected[2, 0] = 200, 300
    np.testing.assert_array_equal(maps[0], expected)


def test_an_image_of_where_people_look_holds_for_every_face(stimuli, tmp_path, two):
    pixels = np.zeros((8, 8), dtype=np.uint8)
    pixels[0:2] = 255
    Image.fromarray(pixels).save(tmp_path / "bubbles.png")
    maps = read_human_maps(tmp_path / "bubbles.png", stimuli, two[0])
    assert maps.shape == (2, 4, 4)
    assert maps[0, 0].min() > 0.8
    assert maps[0, 2:].max() == 0


@pytest.mark.parametrize("duration", ["long", "", "-1", "inf"])
def test_a_duration_that_is_none_is_refused(stimuli, tmp_path, two, duration):
    maps, _ = two
    (tmp_path / "eyes.csv").write_text(f"x,y,duration\n3,4,0.2\n3,5,{duration}\n")
    with pytest.raises(ValueError, match=r"in columns \['duration'\] in eyes\.csv"):
        read_human_maps(tmp_path / "eyes.csv", stimuli, maps)


def test_fixations_that_are_none_are_refused(stimuli, tmp_path, two):
    pd.DataFrame({"column": [1]}).to_csv(tmp_path / "odd.csv", index=False)
    with pytest.raises(ValueError, match=r"No columns \['x', 'y'\]"):
        read_human_maps(tmp_path / "odd.csv", stimuli, two[0])
    pd.DataFrame({"x": ["left"], "y": [1]}).to_csv(tmp_path / "odd.csv", index=False)
    with pytest.raises(ValueError, match=r"not numbers.* in columns \['x'\]"):
        read_human_maps(tmp_path / "odd.csv", stimuli, two[0])
    pd.DataFrame({"x": [99], "y": [1]}).to_csv(tmp_path / "odd.csv", index=False)
    with pytest.raises(ValueError, match=r"None of the 2 fixations in odd.csv"):
        read_human_maps(tmp_path / "odd.csv", stimuli, two[0])
    with pytest.raises(FileNotFoundError, match=r"nowhere.csv"):
        read_human_maps(tmp_path / "nowhere.csv", stimuli, two[0])
