"""A study's psychophysics as files: published morphs and signed levels meet on one scale."""

import numpy as np
import pandas as pd
from scipy.special import ndtr

import rsa_face as rf
from rsa_face.psychophysics.stage import write_psychophysics


def test_networks_are_put_on_the_morph_of_the_people(simulate, tmp_path):
    levels = 2 * np.array([0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0]) - 1
    network = pd.DataFrame({"network": "alexnet", "level": levels, "p_happy": ndtr((levels - 0.2) / 0.2)})
    written = write_psychophysics(simulate([0.4, 0.5, 0.6], 0.1), network, tmp_path, draws=20)
    fit = rf.load(tmp_path / "psychometric_networks.nc")
    assert abs(fit["pse"].item() - 0.6) < 1e-3
    likeness = rf.load(tmp_path / "psychometric_likeness.nc")
    assert likeness.attrs["level_scale"] == "morph"
    assert "error_consistency" not in likeness
    assert [path.name for path in written][-1] == "psychometric.csv"


def test_fewer_than_three_people_are_not_compared_with_networks(simulate, tmp_path):
    network = simulate([0.5], 0.1).rename(columns={"participant": "network"})
    names = [path.name for path in write_psychophysics(simulate([0.4, 0.5], 0.1), network, tmp_path)]
    assert names == ["psychometric.nc", "psychometric_networks.nc", "psychometric.csv"]
