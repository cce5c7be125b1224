"""A study splits the variance its networks explain, weighs the peak layer's features, and says what it leaves out."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from rsa_face.inference.variance import pick_in_folds
from rsa_face.networks.zoo import build_network
from rsa_face.provenance import load, save
from rsa_face.stimuli.faces import draw_faces
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.study import comparing, recording
from rsa_face.study.graph import Run
from tests.inference.simulated import simulate


def run_of(folder, *, stimuli=24, participants=8) -> Run:
    shares = {"alexnet/a": 0.0, "alexnet/b": 0.0, "fe_alexnet/a": 0.2, "fe_alexnet/b": 0.9}
    rdms, human = simulate(shares, stimuli=stimuli, participants=participants, rng=np.random.default_rng(0))
    save(rdms, folder / "rdms.nc")
    save(human, folder / "human_rdms.nc")
    study: Any = SimpleNamespace(output=folder, human=None, inference=SimpleNamespace(seed=0, groups="auto"))
    return Run(study, print)


def test_the_network_that_holds_what_people_share_explains_it_alone(tmp_path) -> None:
    run = run_of(tmp_path)
    assert comparing.why_no_shares(run) == ""
    comparing.share_variance(run)
    shares = load(tmp_path / "variance.nc")
    means = shares["unique"].mean("participant")
    assert means.sel(set="fe_alexnet") > 0.1
    assert abs(means.sel(set="alexnet")) < 0.05
    table = pd.read_csv(tmp_path / "variance.csv")
    assert table["set"].tolist() == ["alexnet", "fe_alexnet", "all together"]
    assert table["unique"][1] == pytest.approx(float(means.sel(set="fe_alexnet")), rel=1e-4)
    assert table["simulated"].all()


@pytest.mark.parametrize(
    ("few", "message"),
    [
        ({"stimuli": 11}, "11 stimuli do not make 3 folds"),
        ({"participants": 4}, "4 participants do not make 5 folds"),
    ],
)
def test_too_few_stimuli_or_people_are_said_to_be(tmp_path, few, message) -> None:
    run = run_of(tmp_path, **few)
    assert f"since {message}" in comparing.why_no_shares(run)
    assert f"since {message}" in comparing.why_not_reweighted(run)


def test_the_layer_that_is_weighed_is_picked_without_what_tests_it(tmp_path, monkeypatch) -> None:
    stimuli = draw_faces(tmp_path, identities=4, levels=3, size=64)
    shares = {"alexnet/relu1": 0.0, "alexnet/relu5": 0.9, "vgg11/relu5": 1.0}
    rdms, human = simulate(shares, stimuli=12, participants=5, rng=np.random.default_rng(0))
    ids = stimuli.table["stimulus"].tolist()
    identity = ("stimulus_i", stimuli.table["identity"].tolist())
    rdms, human = (array.assign_coords(stimulus_i=ids, stimulus_j=ids) for array in (rdms, human))
    human = human.assign_coords(identity=identity)
    save(human, tmp_path / "human_rdms.nc")
    save(rdms, tmp_path / "rdms.nc")
    where = xr.Dataset({"picked": ("target", ["relu5"])}, {"target": ["peak"]})
    save(where, tmp_path / "localization.nc")
    network = build_network("alexnet", preprocessing=Preprocessing(resize=64, crop=64))
    monkeypatch.setattr(recording, "build", lambda *_: network)
    monkeypatch.setattr(recording, "networks_of", lambda _: [SimpleNamespace(called="alexnet")])
    monkeypatch.setattr(recording, "FOLDS", (2, 5))
    monkeypatch.setattr(comparing, "FOLDS", (2, 5))
    inference = SimpleNamespace(network="alexnet", comparison="corr", seed=0, groups="auto")
    activations = SimpleNamespace(pool="none")
    study: Any = SimpleNamespace(output=tmp_path, human=None, inference=inference, activations=activations)
    run = Run(study, print)
    run.__dict__["stimuli"] = stimuli
    assert comparing.why_not_reweighted(run) == ""
    recording.reweight_peak(run)
    weighed = load(tmp_path / "reweighted.nc")
    row = pd.read_csv(tmp_path / "reweighted.csv").iloc[0]
    assert (row["network"], row["layer"]) == ("alexnet", "relu5")
    by_hand = pick_in_folds(rdms.isel(rdm=[0, 1]), human, comparison="corr", folds=(2, 5), seed=0)
    assert [f"alexnet/{name}" for name in weighed.attrs["picked"]] == by_hand
    assert weighed.attrs["groups"] == "identity"
    assert row["raw"] == pytest.approx(float(weighed["raw"].mean()), abs=1e-5)
    assert not list(tmp_path.glob("**/*.zarr"))
    save(where.assign(picked=("target", ["none"])), tmp_path / "localization.nc")
    assert "no layer is more like people than chance" in comparing.why_not_reweighted(Run(study, print))
