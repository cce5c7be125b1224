"""A study splits the variance its networks explain, and leaves it out where too few were asked."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from rsa_face.inference.unique import pick_in_folds
from rsa_face.networks.zoo import build_network
from rsa_face.provenance import save
from rsa_face.stimuli.faces import draw_faces
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.study import sharing
from rsa_face.study.manifest import Manifest
from rsa_face.study.sharing import share_variance
from tests.inference.simulated import simulate


def made(folder, *, stimuli=24, participants=8, shares=None) -> tuple[Any, Any, Any, Manifest, list[str]]:
    shares = (
        {"alexnet/a": 0.0, "alexnet/b": 0.0, "fe_alexnet/a": 0.2, "fe_alexnet/b": 0.9} if shares is None else shares
    )
    rdms, human = simulate(shares, stimuli=stimuli, participants=participants, rng=np.random.default_rng(0))
    save(rdms, folder / "rdms.nc")
    save(human, folder / "human_rdms.nc")
    said: list[str] = []
    study = SimpleNamespace(output=folder, human=None, inference=SimpleNamespace(seed=0, groups="auto"))
    return study, rdms, human, Manifest(folder, said.append), said


def test_the_network_that_holds_what_people_share_explains_it_alone(tmp_path) -> None:
    study, rdms, human, manifest, said = made(tmp_path)
    shares = share_variance(study, rdms, human, manifest)
    assert shares is not None
    means = shares["unique"].mean("participant")
    assert means.sel(set="fe_alexnet") > 0.1
    assert abs(means.sel(set="alexnet")) < 0.05
    table = pd.read_csv(tmp_path / "variance.csv")
    assert table["set"].tolist() == ["alexnet", "fe_alexnet", "all together"]
    assert table["unique"][1] == pytest.approx(float(means.sel(set="fe_alexnet")), rel=1e-4)
    assert table["simulated"].all()
    share_variance(study, rdms, human, manifest)
    assert said[-1] == "explained variance: up to date"


@pytest.mark.parametrize(
    "few", [{"stimuli": 11}, {"participants": 4}, {"shares": {"alexnet/a": 0.3, "alexnet/b": 0.3}}]
)
def test_too_few_stimuli_people_or_networks_leave_it_out(tmp_path, few) -> None:
    study, rdms, human, manifest, _ = made(tmp_path, **few)
    assert share_variance(study, rdms, human, manifest) is None
    assert share_variance(study, rdms, None, manifest) is None
    assert not (tmp_path / "variance.nc").exists()


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
    network = build_network("alexnet", preprocessing=Preprocessing(resize=64, crop=64))
    monkeypatch.setattr(sharing, "build", lambda *_: network)
    monkeypatch.setattr(sharing, "networks_of", lambda _: [SimpleNamespace(called="alexnet")])
    inference = SimpleNamespace(network="alexnet", comparison="corr", seed=0, groups="auto")
    study: Any = SimpleNamespace(output=tmp_path, human=None, inference=inference)
    manifest = Manifest(tmp_path, lambda _: None)
    where = xr.Dataset({"picked": ("target", ["relu5"])}, {"target": ["peak"]})
    monkeypatch.setattr(sharing, "_FOLDS", (2, 5))
    weighed = sharing.reweight_peak(study, stimuli, rdms, human, where, manifest)
    assert weighed is not None
    row = pd.read_csv(tmp_path / "reweighted.csv").iloc[0]
    assert (row["network"], row["layer"]) == ("alexnet", "relu5")
    own = rdms.isel(rdm=[0, 1])
    by_hand = pick_in_folds(own, human, comparison="corr", folds=(2, 5), seed=0)
    assert [f"alexnet/{name}" for name in weighed.attrs["picked"]] == by_hand
    assert weighed.attrs["groups"] == "identity"
    assert row["raw"] == pytest.approx(float(weighed["raw"].mean()), abs=1e-5)
    assert not list(tmp_path.glob("**/*.zarr"))
    nowhere = where.assign(picked=("target", ["none"]))
    assert sharing.reweight_peak(study, stimuli, rdms, human, nowhere, manifest) is None
