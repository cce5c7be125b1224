"""Shares of saliency by region, worked by hand, in the frame the network sees."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

import rsa_face as rf
from rsa_face.saliency.maps import map_saliency, saliency_at
from rsa_face.saliency.regions import (
    Frame,
    average_layer,
    average_regions,
    join_networks,
    main_layers_with_space,
    saliency_regions,
)
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import preprocess, read_image
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.study.recording import write_saliency

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
    shares = saliency_regions(maps_of(values), faces(tmp_path)).sel(network="n")
    np.testing.assert_allclose(shares["proportion"].sel(stimulus="a"), [0.5, 0, 0.25])
    assert shares["elsewhere"].sel(stimulus="a").item() == 0.25
    np.testing.assert_allclose(shares["enrichment"].sel(stimulus="a"), [0.5 / 0.25, 0, 0.25 / 0.125])
    np.testing.assert_allclose(shares["enrichment"].sel(stimulus="b"), [1, 1, 1])
    np.testing.assert_allclose(shares["profile"].sel(stimulus="a"), [0.5, 0, 0, 0, 0, 0.25, 0, 0.25])
    assert shares["level"].values.tolist() == [-1, 1]


def test_a_map_that_is_all_zero_has_no_shares_and_warns_of_nothing(tmp_path):
    values = np.zeros((2, 8, 8))
    values[1] = 1
    shares = saliency_regions(maps_of(values, all_zero=["a"]), faces(tmp_path))
    assert np.isnan(shares["proportion"].sel(stimulus="a")).all()
    assert shares["total"].sel(stimulus="a").item() == 0
    assert shares.attrs["all_zero"] == ["a"]
    assert average_regions(shares)["faces"].tolist() == [1, 1, 1]


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
    with pytest.raises(ValueError, match="eyes of 'a', mouth of 'a', eyes of 'b', mouth of 'b'"):
        saliency_regions(cropped, faces(tmp_path))


def test_maps_of_faces_that_are_not_in_the_table_are_refused(tmp_path):
    maps = maps_of(np.ones((2, 8, 8))).assign_coords(stimulus=["a", "z"])
    with pytest.raises(ValueError, match=r"not in the table: \['z'\]"):
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
    regions = saliency_regions(map_saliency(alexnet, stimuli, method="layercam"), stimuli)
    total = regions["proportion"].sum("region") + regions["elsewhere"]
    np.testing.assert_allclose(total, 1, atol=1e-6)  # these regions do not overlap
    assert rf.load(rf.save(regions, tmp_path / "saliency.nc")).attrs == regions.attrs


def test_layers_with_space_are_those_of_more_than_one_place(alexnet, fe_alexnet, large_fe_alexnet):
    assert main_layers_with_space(alexnet) == ["relu1", "relu2", "relu3", "relu4", "relu5"]
    assert main_layers_with_space(fe_alexnet)[-1] == "relu5"  # of 64 pixels pool5 leaves one
    assert main_layers_with_space(large_fe_alexnet)[-1] == "fe"
    assert not any(child._forward_hooks for child in alexnet.module.modules())


@pytest.mark.parametrize("method", ["gradcam", "gradcam++", "layercam"])
def test_layers_in_one_pass_have_the_maps_they_have_alone(large_fe_alexnet, stimuli, method):
    names = ["last", "relu2", "conv4"]
    together = saliency_at(large_fe_alexnet, stimuli, layers=names, method=method, answer="sad")
    assert [one.attrs["layer"] for one in together] == ["fe", "relu2", "conv4"]
    assert any(one.any() for one in together)
    for name, one in zip(names, together, strict=True):
        alone = map_saliency(large_fe_alexnet, stimuli, layer=name, method=method, answer="sad")
        np.testing.assert_array_equal(one, alone)
        assert one.attrs == alone.attrs


def test_shares_of_a_layer_are_means_over_the_faces_that_have_a_map(alexnet, stimuli):
    regions = saliency_regions(map_saliency(alexnet, stimuli, layer="relu3", method="layercam"), stimuli)
    regions["proportion"][0, 1] = np.nan
    average = average_layer(regions, alexnet)
    assert average["rdm"].values.tolist() == ["alexnet/relu3"]
    assert average["occlusion"].values.tolist() == ["none", "mouth"]
    share = regions["proportion"].values[0]
    assert np.isfinite(share).all(axis=1).sum() == 5
    np.testing.assert_allclose(average["proportion"].sel(occlusion="none").values[0], share[[0, 2]].mean(axis=0))
    np.testing.assert_allclose(average["se"].sel(occlusion="mouth").values[0], share[3:].std(axis=0, ddof=1) / 3**0.5)
    assert average["faces"].values.tolist() == [[2, 3]]
    assert average["depth"].item() == next(layer.depth for layer in alexnet.layers if layer.name == "relu3")


def test_a_study_keeps_every_layer_of_every_network_and_what_it_says_is_what_it_wrote(
    alexnet, fe_alexnet, stimuli, tmp_path
):
    written = write_saliency(
        [alexnet, fe_alexnet], stimuli, tmp_path, by_layer=True, faces=["s4", "s0"], method="layercam"
    )
    assert {path.name for path in written} == {path.name for path in tmp_path.iterdir()}
    layers, regions, maps = (rf.load(tmp_path / f"saliency{part}.nc") for part in ("_layers", "", "_maps"))
    assert layers["network"].values.tolist() == ["alexnet"] * 5 + ["fe_alexnet"] * 5
    assert maps["stimulus"].values.tolist() == ["s4", "s0"]
    assert maps["layer"].sel(network=["alexnet", "fe_alexnet"]).values.tolist() == ["relu5", "relu5"]
    last = layers["proportion"].sel(rdm="fe_alexnet/relu5", occlusion="mouth")
    masked = regions["proportion"].sel(network="fe_alexnet").isel(stimulus=slice(3, 6))
    np.testing.assert_allclose(last, masked.mean("stimulus"), atol=1e-6)
    assert layers.attrs["untrained"] == ["alexnet", "fe_alexnet"]


def test_faces_measured_a_few_at_a_time_are_measured_alike(alexnet, stimuli, tmp_path, monkeypatch):
    write_saliency([alexnet], stimuli, tmp_path / "whole", by_layer=True, method="layercam")
    monkeypatch.setattr("rsa_face.study.recording._AT_A_TIME", 4)
    write_saliency([alexnet], stimuli, tmp_path / "parts", by_layer=True, method="layercam")
    for name in ("saliency.nc", "saliency_maps.nc", "saliency_layers.nc"):
        study, parts = (rf.load(tmp_path / folder / name) for folder in ("whole", "parts"))
        xr.testing.assert_allclose(study, parts, rtol=1e-4, atol=1e-7)
        assert study.attrs == parts.attrs
