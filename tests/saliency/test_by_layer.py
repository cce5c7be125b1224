"""Maps of several layers at once are those of each by itself, and their shares are labelled as the layers' RDMs."""

import numpy as np
import pytest
import xarray as xr

import rsa_face as rf
from rsa_face.saliency.by_layer import average_layer, main_layers_with_space
from rsa_face.saliency.maps import saliency, saliency_at
from rsa_face.saliency.regions import saliency_regions
from rsa_face.saliency.stage import write_saliency


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
        alone = saliency(large_fe_alexnet, stimuli, layer=name, method=method, answer="sad")
        np.testing.assert_array_equal(one, alone)
        assert one.attrs == alone.attrs


def test_shares_of_a_layer_are_means_over_the_faces_that_have_a_map(alexnet, stimuli):
    regions = saliency_regions(saliency(alexnet, stimuli, layer="relu3", method="layercam"), stimuli)
    regions["proportion"][0, 1] = np.nan
    found = average_layer(regions, alexnet)
    assert found["rdm"].values.tolist() == ["alexnet/relu3"]
    assert found["occlusion"].values.tolist() == ["none", "mouth"]
    share = regions["proportion"].values[0]
    assert np.isfinite(share).all(axis=1).sum() == 5
    np.testing.assert_allclose(found["proportion"].sel(occlusion="none").values[0], share[[0, 2]].mean(axis=0))
    np.testing.assert_allclose(found["se"].sel(occlusion="mouth").values[0], share[3:].std(axis=0, ddof=1) / 3**0.5)
    assert found["faces"].values.tolist() == [[2, 3]]
    assert found["depth"].item() == next(layer.depth for layer in alexnet.layers if layer.name == "relu3")


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
    monkeypatch.setattr("rsa_face.saliency.stage._AT_A_TIME", 4)
    write_saliency([alexnet], stimuli, tmp_path / "parts", by_layer=True, method="layercam")
    for name in ("saliency.nc", "saliency_maps.nc", "saliency_layers.nc"):
        whole, parts = (rf.load(tmp_path / folder / name) for folder in ("whole", "parts"))
        xr.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-7)
        assert whole.attrs == parts.attrs
