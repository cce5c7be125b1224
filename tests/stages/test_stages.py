"""A study that trains, masks, controls, contrasts and localises: every stage's file, and what it must hold."""

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import rsa_face as rf
from rsa_face.config import load_study
from rsa_face.human.observers import simulate_ratings
from rsa_face.stages.comparing import varying
from rsa_face.stages.networks import networks_of
from rsa_face.stages.telling import tell_findings, tell_study
from rsa_face.stimuli.schematic import draw_faces
from rsa_face.study import run_study

STUDY = """\
name: small
stimuli: {table: faces/stimuli.csv, occlusion: [none, mouth]}
networks:
  - {name: alexnet, preprocessing: &small {resize: 64, crop: 64}}
  - {name: fe_alexnet, preprocessing: *small}
training: {table: others/stimuli.csv, label: level, epochs: 1, lr: 1.0e-4, batch: 4, dropout: 0.0}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100]}, where: {occlusion: none}}
inference: {resample: both, draws: 60, controls: [pixels, identity]}
output: results
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    stimuli = draw_faces(folder / "faces", identities=2, levels=3, size=64)
    draw_faces(folder / "others", identities=4, levels=2, size=64)
    table = pd.read_csv(folder / "others" / "stimuli.csv")
    table["identity"] = "other " + table["identity"].astype(str)
    table.to_csv(folder / "others" / "stimuli.csv", index=False)
    simulate_ratings(stimuli, participants=4)[0].to_csv(folder / "ratings.csv", index=False)
    (folder / "study.yaml").write_text(STUDY)
    run_study(load_study(folder / "study.yaml"), progress=False)
    return folder


def test_masked_faces_are_stimuli_and_people_are_compared_over_the_whole_ones(folder):
    table = pd.read_csv(folder / "results" / "stimuli.csv")
    assert table["occlusion"].value_counts().to_dict() == {"none": 6, "mouth": 6}
    assert rf.load(folder / "results" / "rdms.nc").sizes["stimulus_i"] == 12
    assert rf.load(folder / "results" / "layers.nc").attrs["stimuli"] == 6


def test_networks_are_trained_and_their_trained_weights_are_the_ones_recorded(folder):
    scores = pd.read_csv(folder / "results" / "training.csv")
    assert set(scores["network"]) == {"alexnet", "fe_alexnet"}
    assert set(scores["condition"]) == {"all", "none", "mouth"}
    assert rf.load(folder / "results" / "layers.nc").attrs["untrained"] == []
    trained = rf.build_network("alexnet", weights=folder / "results" / "weights" / "alexnet.safetensors")
    stimuli = rf.read_stimuli(folder / "results" / "stimuli.csv")
    again = rf.stream_rdms([trained], stimuli, layers=["relu5"], progress=False)
    kept = rf.load(folder / "results" / "rdms.nc").sel(rdm="alexnet/relu5")
    np.testing.assert_allclose(again.values[0], kept.values, atol=1e-6)


def test_p_values_are_corrected_and_controls_taken_out(folder):
    result = rf.load(folder / "results" / "layers.nc")
    assert (result["p_above_zero_corrected"] >= result["p_above_zero"]).all()
    assert result.attrs["controls"] == ["pixels", "identity"]
    assert "partial_similarity" in pd.read_csv(folder / "results" / "layers.csv")


def test_the_network_in_question_is_contrasted_and_localised(folder):
    contrast = pd.read_csv(folder / "results" / "contrast.csv")
    assert (contrast["network"] == "fe_alexnet").all()
    assert (contrast["baseline"] == "alexnet").all()
    layers = pd.read_csv(folder / "results" / "layers.csv").set_index(["network", "layer"])["similarity"]
    row = contrast.iloc[2]
    apart = layers["fe_alexnet", row["layer"]] - layers["alexnet", row["baseline_layer"]]
    assert row["difference"] == pytest.approx(apart, abs=1e-5)
    where = rf.load(folder / "results" / "localization.nc")
    assert where["target"].values.tolist() == ["peak", "at_ceiling", "above_baseline"]
    np.testing.assert_allclose(where["probability"].sum("layer"), 1)


def test_what_was_found_is_told_with_what_it_does_not_mean(folder):
    told = tell_study(folder / "results")
    assert len(told) == 3
    assert "alexnet" in told[0]
    assert "does not say anything about people" in told[2]
    assert "simulated" in told[2]


def test_every_figure_of_the_study_is_drawn(folder):
    for name in ("layers", "rdms", "contrast", "localization", "training"):
        assert (folder / "results" / "figures" / f"{name}.pdf").stat().st_size > 1000


def test_a_second_run_does_nothing(folder):
    said = []
    run_study(load_study(folder / "study.yaml"), progress=False, say=said.append)
    done = [line for line in said if not line.startswith("left out")]
    assert done
    assert all(line.endswith("up to date") for line in done)


def test_layers_that_do_not_vary_are_left_out_and_named():
    values = np.array([[[0, 1, 2], [1, 0, 3], [2, 3, 0]], [[0, 2, 2], [2, 0, 2], [2, 2, 0]]], dtype=float)
    rdms = xr.DataArray(values, dims=("rdm", "stimulus_i", "stimulus_j"), coords={"rdm": ["a/relu1", "a/fc8"]})
    kept, left_out = varying(rdms)
    assert kept["rdm"].values.tolist() == ["a/relu1"]
    assert left_out == ["a/fc8"]
    with pytest.raises(ValueError, match=r"a/fc8"):
        varying(rdms.isel(rdm=[1]))


def test_one_section_of_several_seeds_is_as_many_networks(folder):
    text = STUDY.replace("{name: alexnet,", "{name: alexnet, seeds: [0, 3],")
    (folder / "seeds.yaml").write_text(text)
    sections = networks_of(load_study(folder / "seeds.yaml"))
    assert [section.called for section in sections] == ["alexnet/random/0", "alexnet/random/3", "fe_alexnet"]
    assert [section.seed for section in sections] == [0, 3, 0]


def test_findings_without_draws_are_one_sentence_of_what_is_most_similar():
    result = xr.Dataset(
        {"similarity": ("rdm", [0.1, 0.4]), "noise_ceiling": ("bound", [0.5, 0.6])},
        coords={"rdm": ["a/relu1", "a/relu2"], "network": ("rdm", ["a", "a"]), "bound": ["lower", "upper"]},
        attrs={"comparison": "rho-a", "simulated": False},
    )
    assert tell_findings(result) == [
        "Of 2 layers in 1 networks, a/relu2 is most similar to the participants (rho-a 0.40; noise ceiling 0.50 to "
        "0.60)."
    ]
