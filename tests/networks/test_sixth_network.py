"""A network is one row: a row more can be built, recorded and drawn as the five can."""

import matplotlib.pyplot as plt
import numpy as np

import rsa_face as rf
from rsa_face.schema import NETWORKS, Architecture


def test_a_sixth_network_is_built_recorded_and_drawn_by_its_row(monkeypatch, tmp_path) -> None:
    row = Architecture("VGG19", (2, 2, 4, 4, 4), (0, 3, 6), "vgg19")
    monkeypatch.setitem(NETWORKS, "vgg19", row)
    network = rf.build_network("vgg19", seed=0, preprocessing=rf.Preprocessing(resize=32, crop=32))
    assert [layer.name for layer in network.layers] == list(row.layers)
    stimuli = rf.read_stimuli(rf.load_study("demo").stimuli.table).select(identity="face01")
    rdms = rf.compute_rdms(rf.extract([network], stimuli, tmp_path / "store.zarr", layers=["relu4_4", "fc8"]))
    assert rdms["rdm"].values.tolist() == ["vgg19/relu4_4", "vgg19/fc8"]
    np.testing.assert_allclose(rf.stream_rdms([network], stimuli, layers=["relu4_4", "fc8"]), rdms, atol=1e-5)
    result = rf.compare_layers(*rf.shared_stimuli(rdms, rf.example("demo").human), resample=None)
    axes = rf.plot_layers(result)
    assert any("VGG19" in text.get_text() for text in axes.figure.findobj(plt.Text))
    plt.close(axes.figure)
