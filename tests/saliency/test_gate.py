"""The gate's opening is what the block computes, and its relation to the expression is right."""

import numpy as np
import pytest
import torch

from rsa_face.networks.attention import open_gate
from rsa_face.networks.zoo import build_network
from rsa_face.saliency.gate import average_gate, gate_openings
from rsa_face.stimuli.images import read_batches


def test_openings_are_those_the_block_multiplies_by(fe_alexnet, stimuli):
    found = gate_openings(fe_alexnet, stimuli, batch=4)
    inputs = next(iter(read_batches(stimuli, fe_alexnet.preprocessing)))
    with torch.no_grad():
        maps = inputs
        for name, child in fe_alexnet.module.features.named_children():
            if name == "fe":
                expected = child.gate(maps.mean(dim=(2, 3)))
                break
            maps = child(maps.clone())
    np.testing.assert_allclose(found["gate"].sel(layer="fe_gate"), expected, atol=1e-6)
    assert found["gate_mean"].sizes == {"layer": 1, "channel": 256}
    assert found.attrs["untrained"] == ["fe_alexnet"]
    assert not any(child._forward_hooks for child in fe_alexnet.module.modules())


def test_slope_and_correlation_with_level(fe_alexnet, stimuli):
    found = gate_openings(fe_alexnet, stimuli)
    levels, one = stimuli.table["level"].to_numpy(), found["gate"].values[0, :, 7].astype(float)
    assert found["level_slope"].values[0, 7] == pytest.approx(np.polyfit(levels, one, 1)[0], rel=1e-3)
    assert found["level_correlation"].values[0, 7] == pytest.approx(np.corrcoef(levels, one)[0, 1], rel=1e-3)


def test_the_table_holds_the_mean_opening_of_each_channel_by_occlusion_and_level(fe_alexnet, stimuli):
    found = gate_openings(fe_alexnet, stimuli)
    table = average_gate(found)
    assert len(table) == 256 * 6  # one face for each of two occlusions and three levels
    row = table[(table["channel"] == 9) & (table["occlusion"] == "mouth") & (table["level"] == 1)].iloc[0]
    assert row["gate"] == pytest.approx(found["gate"].values[0, 5, 9])
    assert (row["layer"], row["faces"]) == ("fe_gate", 1)
    assert row["level_slope"] == pytest.approx(found["level_slope"].values[0, 9])
    whole = average_gate(found.drop_vars(["level", "occlusion"]))
    assert whole.set_index("channel")["gate"][9] == pytest.approx(found["gate_mean"].values[0, 9])


def test_a_gate_that_stands_open_follows_nothing(stimuli, fe_alexnet):
    network = build_network("fe_alexnet", seed=0, preprocessing=fe_alexnet.preprocessing)
    open_gate(network.module)
    found = gate_openings(network, stimuli)
    assert (found["gate"] == 1).all()
    assert np.isnan(found["level_correlation"]).all()


def test_a_network_without_a_gate_is_refused(alexnet, stimuli):
    with pytest.raises(ValueError, match="alexnet has none"):
        gate_openings(alexnet, stimuli)
