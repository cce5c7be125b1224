"""RDMs computed with nothing stored are those computed from a store, however little memory there is."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from PIL import Image
from torch import nn

from rsa_face.activations.extract import extract
from rsa_face.activations.stream import Shelf, stream_rdms
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network, build_network
from rsa_face.rdms.measures import compute_rdms
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.preprocessing import Preprocessing


def hooks_left(module: nn.Module) -> int:
    return sum(len(child._forward_hooks) for child in module.modules())


@pytest.mark.parametrize("measure", ["correlation", "euclidean", "cosine"])
def test_streamed_rdms_equal_those_from_a_store_for_every_layer(tmp_path, stimuli, fe_alexnet, measure):
    tree = extract([fe_alexnet], stimuli, tmp_path / "x.zarr", layers="all", batch=4)
    stored = compute_rdms(tree, measure=measure)
    streamed = stream_rdms([fe_alexnet], stimuli, layers="all", measure=measure, batch=4)
    scale = np.maximum(stored.max(("stimulus_i", "stimulus_j")), 1)  # distances of logits have the units of logits
    xr.testing.assert_allclose(streamed / scale, stored / scale, atol=1e-6)
    assert streamed.attrs == stored.attrs
    assert hooks_left(fe_alexnet.module) == 0


@pytest.mark.parametrize("name", ["alexnet", "vgg11", "vgg13", "vgg16"])
def test_streamed_rdms_equal_those_from_a_store_for_the_main_layers(tmp_path, stimuli, name):
    network = build_network(name, preprocessing=Preprocessing(resize=64, crop=64))
    few = StimulusSet(stimuli.table.iloc[:4].reset_index(drop=True))
    stored = compute_rdms(extract([network], few, tmp_path / "x.zarr", batch=2))
    scale = np.maximum(stored.max(("stimulus_i", "stimulus_j")), 1)
    xr.testing.assert_allclose(stream_rdms([network], few, batch=2) / scale, stored / scale, atol=1e-6)


def test_a_layer_alone_equals_the_layer_among_others(stimuli, alexnet):
    together = stream_rdms([alexnet], stimuli, layers="main")
    alone = stream_rdms([alexnet], stimuli, layers=["relu3"])
    np.testing.assert_allclose(alone.values[0], together.sel(rdm="alexnet/relu3").values, atol=1e-6)


def test_a_small_memory_spills_to_a_file_and_changes_nothing(tmp_path, stimuli, fe_alexnet):
    complete = stream_rdms([fe_alexnet], stimuli, layers="all", batch=3)
    spilled = stream_rdms([fe_alexnet], stimuli, layers="all", batch=3, memory=1e-6, scratch=tmp_path)
    xr.testing.assert_identical(spilled, complete)
    assert list(tmp_path.iterdir()) == []


def test_shuffled_stimuli_change_nothing_but_the_order(stimuli, alexnet):
    order = np.random.default_rng(0).permutation(10)
    shuffled = StimulusSet(stimuli.table.iloc[order].reset_index(drop=True))
    rdms, other = (stream_rdms([alexnet], each, layers=["relu1", "fc8"]) for each in (stimuli, shuffled))
    # logits near 16 are rounded to 1e-6 in float32, and other batches add up in another order
    xr.testing.assert_allclose(other, rdms.isel(stimulus_i=order, stimulus_j=order), atol=5e-5)


def test_images_that_are_the_same_are_at_distance_0(tmp_path, alexnet):
    Image.new("RGB", (64, 64), (200, 10, 10)).save(tmp_path / "a.png")
    Image.new("RGB", (64, 64), (10, 200, 10)).save(tmp_path / "b.png")
    files = [str(tmp_path / f"{name}.png") for name in "aab"]
    stimuli = StimulusSet(pd.DataFrame({"stimulus": ["x", "y", "z"], "file": files}))
    rdm = stream_rdms([alexnet], stimuli, layers=["relu1"]).values[0]
    assert rdm[0, 1] < 1e-6 < rdm[0, 2]


def test_a_network_put_together_by_hand_that_is_no_chain_is_streamed(stimuli, tmp_path):
    module = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(inplace=True))
    network = Network("mine", module, name_modules(module), Preprocessing(resize=64, crop=64))
    stored = compute_rdms(extract([network], stimuli, tmp_path / "a.zarr", layers="all"))
    np.testing.assert_allclose(stream_rdms([network], stimuli, layers="all").values, stored.values, atol=1e-6)


def test_a_dead_layer_names_network_layer_and_stimuli(stimuli):
    network = build_network("alexnet", preprocessing=Preprocessing(resize=64, crop=64))
    with torch.no_grad():
        network.module.features[3].weight.zero_()
        network.module.features[3].bias.fill_(1)
    with pytest.raises(ValueError, match=r"alexnet/relu2: .*constant for 10 of 10 stimuli: \['s00'"):
        stream_rdms([network], stimuli)
    assert hooks_left(network.module) == 0


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        ({"measure": "crossnobis"}, "'crossnobis'"),
        ({"layers": ["relu9"]}, r"\['relu9'\]"),
        ({"device": "tpu"}, "'tpu'"),
        ({"batch": 0}, "batch is 0"),
    ],
)
def test_requests_that_cannot_be_met_are_refused(stimuli, alexnet, arguments, fault):
    with pytest.raises(ValueError, match=fault):
        stream_rdms([alexnet], stimuli, **arguments)


@pytest.mark.parametrize("budget", [1e9, 1000, 0])
@pytest.mark.parametrize("batch", [1, 4, 5, 11])
def test_what_is_put_on_a_shelf_is_there_for_the_next(tmp_path, budget, batch):
    stimuli = torch.arange(11.0)
    source = enumerate(stimuli.split(batch))
    before, sizes = None, [(3, 2, 2), (5,), (5,), (1, 4), (4, 4), (2, 40), (7,), (25, 2)]
    for depth, shape in enumerate(sizes):
        shelf = Shelf(11, batch=batch, budget=budget, folder=tmp_path, after=before)
        for index, values in source:
            of = values if before is None else values.flatten(1)[:, 0] - depth + 1
            assert torch.equal(of, stimuli.split(batch)[index])
            shelf.put(index, (of + depth).reshape(-1, *[1] * len(shape)).expand(-1, *shape))
        assert shelf.spilled == (44 * shelf.features > budget)
        assert sum(len(part.within) for part in shelf.moments("cosine")) == 11
        source, before = shelf.batches(), shelf


def test_a_layer_that_gives_its_input_back_goes_to_a_shelf_unharmed():
    batches = torch.arange(10.0).reshape(5, 2).split(3)
    wide = Shelf(5, batch=3, budget=1e9)
    for index, values in enumerate(batches):
        wide.put(index, values.repeat(1, 2)[:, :3])
    first = Shelf(5, batch=3, budget=1e9, after=wide)
    for index, _ in wide.batches():
        first.put(index, batches[index])
    second = Shelf(5, batch=3, budget=1e9, after=first)
    for index, values in first.batches():
        second.put(index, values.relu_())
    assert all(torch.equal(second.take(index), values) for index, values in enumerate(batches))


@pytest.mark.gpu
def test_a_gpu_streams_the_same_rdms(stimuli, fe_alexnet):
    torch.backends.cudnn.allow_tf32 = False
    on_gpu = stream_rdms([fe_alexnet], stimuli, layers="all", device="cuda")
    xr.testing.assert_allclose(on_gpu, stream_rdms([fe_alexnet], stimuli, layers="all", device="cpu"), atol=1e-5)


def test_streamed_layers_may_have_measures_of_their_own(stimuli, fe_alexnet):
    layers = ["relu7", "fc8"]
    rdms = stream_rdms([fe_alexnet], stimuli, layers=layers, measure={"default": "cosine", "fc8": "euclidean"})
    assert rdms["measure"].values.tolist() == ["cosine", "euclidean"]
    for layer, measure in zip(layers, rdms["measure"].values, strict=True):
        alone = stream_rdms([fe_alexnet], stimuli, layers=[layer], measure=str(measure))
        np.testing.assert_allclose(rdms.isel(rdm=layers.index(layer)), alone[0], rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match=r"\['fc6'\].*relu7 fc8"):
        stream_rdms([fe_alexnet], stimuli, layers=layers, measure={"fc6": "euclidean"})
