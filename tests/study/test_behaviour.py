"""A study's psychophysics as files: published morphs and signed levels meet on one scale."""

import numpy as np
import pandas as pd
from scipy.special import ndtr

import rsa_face as rf
from rsa_face.study.behaviour import write_psychophysics

MORPHS = np.array([0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 1.0])


def counted(pses, *, column="participant"):
    """Return twenty choices a level of observers with these PSEs on the morph, as near to their chances as can be."""
    shares = [np.round(20 * (0.01 + 0.98 * ndtr((MORPHS - pse) / 0.1))) / 20 for pse in pses]
    names = np.repeat([f"o{place}" for place in range(len(pses))], len(MORPHS))
    levels = np.tile(MORPHS, len(pses))
    return pd.DataFrame({column: names, "level": levels, "p_happy": np.concatenate(shares), "trials": 20})


def test_networks_are_put_on_the_morph_of_the_people(tmp_path):
    levels = 2 * MORPHS - 1
    network = pd.DataFrame({"network": "alexnet", "level": levels, "p_happy": ndtr((levels - 0.2) / 0.2)})
    written = write_psychophysics(counted([0.4, 0.5, 0.6]), network, tmp_path, draws=20)
    fit = rf.load(tmp_path / "psychometric_networks.nc")
    assert abs(fit["pse"].item() - 0.6) < 1e-3
    likeness = rf.load(tmp_path / "psychometric_likeness.nc")
    assert likeness.attrs["level_scale"] == "morph"
    assert "error_consistency" not in likeness
    assert [path.name for path in written][-1] == "psychometric.csv"


def test_fewer_than_three_people_are_not_compared_with_networks(tmp_path):
    names = [
        path.name for path in write_psychophysics(counted([0.4, 0.5]), counted([0.5], column="network"), tmp_path)
    ]
    assert names == ["psychometric.nc", "psychometric_networks.nc", "psychometric.csv"]


def test_networks_have_curves_where_nobody_was_asked_to_choose(tmp_path):
    names = [path.name for path in write_psychophysics(None, counted([0.5], column="network"), tmp_path)]
    assert names == ["psychometric_networks.nc", "psychometric.csv"]
