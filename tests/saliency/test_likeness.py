"""Maps are compared by correlation, scanpath saliency and divergence, each by hand."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image
from scipy.stats import entropy

from rsa_face.saliency.likeness import compare_maps, map_agreement, read_human_maps
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


def people_of(values, ids=("a", "b", "c", "d")):
    return xr.DataArray(np.asarray(values, float), {"participant": [f"p{n}" for n in range(len(values))],
                        "stimulus": list(ids)}, ("participant", "stimulus", "row", "column"))  # fmt: skip


def test_people_predict_each_other_as_worked_by_hand():
    rng = np.random.default_rng(0)
    values, network = rng.random((3, 4, 5, 5)), rng.random((4, 5, 5))
    agreement = map_agreement(maps_of(network, "abcd", 5), people_of(values), blur=0)
    flat = values.reshape(3, 4, -1) / values.sum(axis=(2, 3))[:, :, None]
    for face in range(4):
        lower = [np.corrcoef(np.delete(flat[:, face], n, axis=0).mean(axis=0), flat[n, face])[0, 1] for n in range(3)]
        upper = [np.corrcoef(flat[:, face].mean(axis=0), flat[n, face])[0, 1] for n in range(3)]
        np.testing.assert_allclose(agreement["ceiling"][face], [np.mean(lower), np.mean(upper)])
        alone = [np.corrcoef(network[face].ravel(), flat[n, face])[0, 1] for n in range(3)]
        assert agreement["likeness"][face].item() == pytest.approx(np.mean(alone))
    share = float(agreement["likeness"].mean() / agreement["ceiling"].sel(bound="lower").mean())
    assert agreement["share"].item() == pytest.approx(share)


def test_the_interval_of_the_share_holds_the_ratio_of_means_as_often_as_it_says():
    rng, inside = np.random.default_rng(1), []
    from rsa_face.saliency.likeness import _share

    for _ in range(400):
        lower = 0.6 + 0.1 * rng.normal(size=12)
        _, (low, high) = _share(0.5 * lower + 0.1 * rng.normal(size=12), lower)
        inside.append(low < 0.5 < high)
    assert 0.92 <= np.mean(inside) <= 0.98  # 95 %, and two standard errors of 400


def test_faces_that_one_person_saw_are_left_out_and_divergence_has_no_share(two):
    rng = np.random.default_rng(0)
    values = rng.random((3, 4, 5, 5))
    values[1:, 3] = 0
    agreement = map_agreement(maps_of(rng.random((4, 5, 5)), "abcd", 5), people_of(values), by="kl")
    assert agreement["stimulus"].values.tolist() == ["a", "b", "c"]
    assert agreement.attrs["left_out"] == 1
    assert np.isnan(agreement["share"])
    assert (agreement["ceiling"].sel(bound="upper") < agreement["ceiling"].sel(bound="lower")).all()
    with pytest.raises(ValueError, match="None of 4 faces"):
        map_agreement(maps_of(rng.random((4, 5, 5)), "abcd", 5), people_of(values[:1]))
    with pytest.raises(ValueError, match="blur=-1"):
        map_agreement(maps_of(rng.random((4, 5, 5)), "abcd", 5), people_of(values), blur=-1.0)


def test_fixations_of_named_people_are_read_apart(stimuli, tmp_path):
    file = tmp_path / "fixations.csv"
    file.write_text("participant,stimulus,x,y\np2,a,1,1\np1,a,2,2\np1,b,3,3\np1,b,3,3\n")
    whole = maps_of(np.ones((2, 8, 8)), crop=8)
    people = read_human_maps(file, stimuli, whole)
    assert people["participant"].values.tolist() == ["p1", "p2"]
    assert people.sel(participant="p2", stimulus="a").values[1, 1] == 1
    assert people.sel(participant="p1", stimulus="b").values[3, 3] == 2
    assert not people.sel(participant="p2", stimulus="b").any()
    anybody = tmp_path / "anybody.csv"
    anybody.write_text("stimulus,x,y\na,1,1\na,2,2\nb,3,3\nb,3,3\n")
    np.testing.assert_array_equal(read_human_maps(anybody, stimuli, whole), people.sum("participant"))
