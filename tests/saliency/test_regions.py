"""Shares of saliency by region, worked by hand, in the frame the network sees."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

import rsa_face as rf
from rsa_face.saliency.frame import Frame
from rsa_face.saliency.maps import saliency
from rsa_face.saliency.regions import average_regions, join_networks, saliency_regions
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import preprocess, read_image
from rsa_face.stimuli.preprocessing import Preprocessing

FRAME = {"resize": 8, "crop": 8}


def faces(tmp_path, size=(8, 8), **regions):
    regions = {"eyes": "0 0 8 2", "nose": "2 3 6 5", "mouth": "2 6 6 8"} | regions
    ids = ["a", "b"]
    for stimulus in ids:
        Image.new("RGB", size).save(tmp_path / f"{stimulus}.png")
    files = [str(tmp_path / f"{stimulus}.png") for stimulus in ids]
    return StimulusSet(pd.DataFrame({"stimulus": ids, "file": files, "level": [-1.0, 1.0], **regions}))


def maps_of(values, preprocessing=FRAME, **attrs):
    coords = {"stimulus": ["a", "b"], "level": ("stimulus", [-1.0, 1.0])}
    attrs = {"preprocessing": preprocessing, "network": "n", "layer": "relu5"} | attrs
    return xr.DataArray(values, coords, ("stimulus", "row", "column"), attrs=attrs)


def test_shares_by_hand(tmp_path):
    values = np.zeros((2, 8, 8))
    values[0, 0, 0], values[0, 7, 3], values[0, 5, 7] = 2, 1, 1  # eyes, mouth, nowhere
    values[1] = 1.0
    found = saliency_regions(maps_of(values), faces(tmp_path)).sel(network="n")
    np.testing.assert_allclose(found["proportion"].sel(stimulus="a"), [0.5, 0, 0.25])
    assert found["elsewhere"].sel(stimulus="a").item() == 0.25
    np.testing.assert_allclose(found["enrichment"].sel(stimulus="a"), [0.5 / 0.25, 0, 0.25 / 0.125])
    np.testing.assert_allclose(found["enrichment"].sel(stimulus="b"), [1, 1, 1])
    np.testing.assert_allclose(found["profile"].sel(stimulus="a"), [0.5, 0, 0, 0, 0, 0.25, 0, 0.25])
    assert found["level"].values.tolist() == [-1, 1]


def test_a_map_that_is_all_zero_has_no_shares_and_warns_of_nothing(tmp_path):
    values = np.zeros((2, 8, 8))
    values[1] = 1
    found = saliency_regions(maps_of(values, all_zero=["a"]), faces(tmp_path))
    assert np.isnan(found["proportion"].sel(stimulus="a")).all()
    assert found["total"].sel(stimulus="a").item() == 0
    assert found.attrs["all_zero"] == ["a"]
    assert average_regions(found)["faces"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("size", [(40, 30), (30, 40), (32, 32), (64, 80)])
def test_regions_lie_where_the_preprocessing_puts_them(tmp_path, size):
    box = (8, 9, 20, 21)
    image = np.zeros((size[1], size[0], 3), dtype=np.uint8)
    image[box[1] : box[3], box[0] : box[2]] = 255
    Image.fromarray(image).save(tmp_path / "face.png")
    how = Preprocessing(resize=24, crop=20, mean=(0, 0, 0), sd=(1, 1, 1), antialias=True)
    seen = preprocess(read_image(tmp_path / "face.png"), how)[0].numpy()
    cover = Frame.of(tmp_path / "face.png", how.record()).cover(box)
    assert cover.sum() == pytest.approx(seen.sum(), rel=0.05)
    for axis in (0, 1):
        place = [(one.sum(axis=axis) * np.arange(20)).sum() / one.sum() for one in (cover, seen)]
        assert place[0] == pytest.approx(place[1], abs=0.15)
    assert np.corrcoef(cover.ravel(), seen.ravel())[0, 1] > 0.97


def test_a_region_of_zero_area_is_refused(tmp_path):
    values = np.ones((2, 8, 8))
    with pytest.raises(ValueError, match="nose is '2 3 2 5'"):
        saliency_regions(maps_of(values), faces(tmp_path, nose="2 3 2 5"))
    cropped = maps_of(np.ones((2, 4, 4)), {"resize": 8, "crop": 4})
    with pytest.raises(ValueError, match="eyes of 'a', mouth of 'a', eyes of 'b', mouth of 'b' has none"):
        saliency_regions(cropped, faces(tmp_path))


def test_maps_of_faces_that_are_not_in_the_table_are_refused(tmp_path):
    maps = maps_of(np.ones((2, 8, 8))).assign_coords(stimulus=["a", "z"])
    with pytest.raises(ValueError, match=r"\['z'\] are not"):
        saliency_regions(maps, faces(tmp_path))


def test_networks_are_joined_and_averaged(tmp_path):
    values = np.ones((2, 8, 8))
    one = saliency_regions(maps_of(values, network="alexnet", untrained=["alexnet"]), faces(tmp_path))
    other = saliency_regions(maps_of(values, network="fe_alexnet", layer="fe", all_zero=["b"]), faces(tmp_path))
    joined = join_networks([one, other])
    assert joined["proportion"].sizes == {"network": 2, "stimulus": 2, "region": 3}
    assert joined["layer"].values.tolist() == ["relu5", "fe"]
    assert joined["network"].values.tolist() == ["alexnet", "fe_alexnet"]
    assert joined.attrs["untrained"] == ["alexnet"]
    assert joined.attrs["all_zero"] == ["fe_alexnet: b"]
    table = average_regions(joined)
    assert len(table) == 2 * 2 * 3
    np.testing.assert_allclose(table["enrichment"], 1)


def test_the_whole_path_from_faces_to_shares(alexnet, stimuli, tmp_path):
    regions = rf.saliency_regions(saliency(alexnet, stimuli, method="layercam"), stimuli)
    total = regions["proportion"].sum("region") + regions["elsewhere"]
    np.testing.assert_allclose(total, 1, atol=1e-6)  # these regions do not overlap
    assert rf.load(rf.save(regions, tmp_path / "saliency.nc")).attrs == regions.attrs
