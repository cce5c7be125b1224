"""The ten-line example: any torch network, by the paths of its modules."""

import numpy as np
import torch
from torchvision import models

import rsa_face as rf
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network
from rsa_face.stimuli.images import Preprocessing, read_batches


def test_a_resnet_of_torchvision_is_extracted_by_module_path(tmp_path, stimuli):
    torch.manual_seed(0)  # torchvision draws the weights
    module = models.resnet18(weights=None).eval()
    network = Network(
        name="resnet18",
        module=module,
        layers=name_modules(module),
        preprocessing=Preprocessing(resize=64, crop=64),
    )
    tree = rf.extract([network], stimuli, tmp_path / "x.zarr", layers=["conv1", "layer4.1.bn2", "fc"])
    rdms = rf.compute_rdms(tree)
    assert rdms["layer"].values.tolist() == ["conv1", "layer4.1.bn2", "fc"]
    with torch.inference_mode():
        inputs = next(iter(read_batches(stimuli, network.preprocessing)))
        expected = 1 - np.corrcoef(module(inputs).double().numpy())
    np.testing.assert_allclose(rdms.values[2], expected, atol=1e-5)
    assert (rf.audit(network).set_index("layer").loc[["conv1", "fc"], "captured"] == "right").all()
