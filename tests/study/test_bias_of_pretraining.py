"""Object minus face in a study: similarity, PSE and saliency in one table, and a sentence on which is smaller."""

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr

import rsa_face as rf
from rsa_face.human.observers import simulate_choices, simulate_ratings
from rsa_face.provenance import hash_file
from rsa_face.psychophysics.psychometric import Curve
from rsa_face.report.narrate import tell_study
from rsa_face.stimuli.faces import draw_faces
from rsa_face.study.config import load_study, networks_of
from rsa_face.study.graph import Manifest, Run, make_stages, run_study
from rsa_face.study.seeds import pses_of, shares_of
from rsa_face.study.stages import pretrainings_of
from tests.inference.simulated import simulate

STUDY = """\
name: bias
stimuli: {table: faces/stimuli.csv}
networks:
  - {name: alexnet, pretraining: imagenet, seeds: [0, 1, 2, 3]}
  - {name: alexnet, pretraining: vggface2, seeds: [0, 1, 2, 3]}
  - {name: fe_alexnet, pretraining: imagenet, seeds: [0, 1, 2, 3]}
  - {name: fe_alexnet, pretraining: vggface2, seeds: [0, 1, 2, 3]}
choices: {table: choices.csv}
saliency: {layer: relu5}
output: results
"""
BIASES = {"alexnet": 0.4, "fe_alexnet": 0.0}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a study's folder with what its stages would have written of networks with a planted bias."""
    folder, rng = tmp_path_factory.mktemp("bias"), np.random.default_rng(5)
    stimuli = draw_faces(folder / "faces", identities=8, levels=5, size=32)
    (folder / "choices.csv").write_text("participant,level,response\n")
    (folder / "study.yaml").write_text(STUDY)
    study = load_study(folder / "study.yaml")
    planted = {section.called: BIASES[section.name] * (section.start == "imagenet") for section in networks_of(study)}
    shares = {
        f"{name}/{layer}": 0.3 + bias + 0.02 * rng.normal() for name, bias in planted.items() for layer in ("a", "b")
    }
    rdms, human = simulate(shares, stimuli=40, participants=12, rng=rng)
    (folder / "results").mkdir()
    rf.save(rf.compare_layers(rdms, human, comparison="corr", draws=100), folder / "results" / "layers.nc")
    rows = [
        {"stimulus": face, "level": level, "network": name, "occlusion": "none",
         "p_happy": 1 / (1 + np.exp(-4 * (level - bias + 0.02 * rng.normal())))}
        for name, bias in planted.items()
        for face, level in zip(stimuli.ids, stimuli.table["level"], strict=True)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "results" / "answers.csv", index=False)
    proportion = 0.3 + np.array(list(planted.values()))[:, None, None] + 0.02 * rng.normal(size=(16, 40, 2))
    saliency = xr.Dataset(
        {"proportion": (("network", "stimulus", "region"), proportion)},
        {"network": list(planted), "stimulus": stimuli.ids, "region": ["eyes", "mouth"]},
    )
    rf.save(saliency, folder / "results" / "saliency.nc")
    return folder


@pytest.fixture(scope="module")
def bias(folder):
    lines = []
    run = Run(load_study(folder / "study.yaml"), lines.append)
    make_stages(run, ("stimuli",))
    planted = ["layers.nc", "answers.csv", "saliency.nc"]
    run.manifest.stage("planted", lambda: None, inputs={}, outputs=planted)
    run.made |= set(planted)
    make_stages(run, ("bias of pre-training",))
    assert lines[-1].startswith("bias of pre-training: done")
    return rf.load(folder / "results" / "bias.nc")


def test_networks_of_a_named_pretraining_bear_its_name_and_seed(folder):
    names = [section.called for section in networks_of(load_study(folder / "study.yaml"))]
    assert names[:5] == [*(f"alexnet/imagenet/{seed}" for seed in range(4)), "alexnet/vggface2/0"]
    (folder / "one.yaml").write_text(STUDY.replace("seeds: [0, 1, 2, 3]", "seed: 7"))
    names = [section.called for section in networks_of(load_study(folder / "one.yaml"))]
    assert names == [f"{name}/{start}/7" for name in BIASES for start in ("imagenet", "vggface2")]


def test_object_is_what_is_not_called_face_unless_the_study_names_both(folder):
    assert pretrainings_of(load_study(folder / "study.yaml")) == ("imagenet", "vggface2")
    named = STUDY.replace("output:", "inference: {pretrainings: [vggface2, imagenet]}\noutput:")
    (folder / "named.yaml").write_text(named)
    assert pretrainings_of(load_study(folder / "named.yaml")) == ("vggface2", "imagenet")
    (folder / "unclear.yaml").write_text(STUDY.replace("vggface2", "places"))
    run = Run(load_study(folder / "unclear.yaml"), (lines := []).append)
    make_stages(run, ("stimuli", "bias of pre-training"))
    assert lines[-1] == "left out: the bias of pre-training, since the study does not say which two to compare"


def test_planted_biases_of_similarity_pse_and_saliency_are_in_one_table(folder, bias):
    table = pd.read_csv(folder / "results" / "bias.csv").set_index(["measure", "architecture", "quantity"])
    assert {"similarity", "PSE", "saliency"} == set(table.index.get_level_values("measure"))
    for measure, quantity in (("similarity", "mean of layers"), ("PSE", "none"), ("saliency", "eyes")):
        swayed, steady = (table.loc[measure, name, quantity] for name in BIASES)
        assert swayed["difference_interval_lower"] > 0
        assert steady["difference_interval_lower"] < 0 < steady["difference_interval_upper"]
        assert swayed["p_smaller"] < 0.05
        assert swayed["size_excess_interval_upper"] < 0
        assert np.isnan(steady["p_smaller"])
    assert table.loc["PSE", "alexnet", "none"]["difference"] == pytest.approx(0.4, abs=0.05)
    assert (table["first_pretraining"] == "imagenet").all()
    assert bias.attrs["over"] == [
        "similarity: seeds, stimuli, participants", "PSE: seeds, identities", "saliency: seeds, identities",
    ]  # fmt: skip


def test_the_bias_is_told_in_a_sentence(folder, bias):
    text = " ".join(tell_study(folder / "results"))
    rows = bias.isel(bias=bias["quantity"].values == "mean of layers")
    swayed = f"{rows['difference'].values[0]:+.3f}".replace("-", "−")
    assert f"imagenet minus trained from vggface2, mean similarity over layers: AlexNet {swayed} (" in text
    assert "95% intervals over seeds, stimuli, participants" in text
    assert "In FE-AlexNet the difference is smaller than in AlexNet (by +" in text


def test_pses_stray_with_the_people_whose_faces_were_judged(folder):
    answers = pd.read_csv(folder / "results" / "answers.csv")
    stimuli = rf.read_stimuli(folder / "faces" / "stimuli.csv")
    pses = pses_of(answers, stimuli, Curve())
    assert pses.over == ("identities",)
    variance, freedom = pses.sampling(np.ones((16, 1, 1)) / 16)
    assert freedom == 7
    assert 0 < variance[0] < 0.01


def test_saliency_is_of_whole_faces(folder):
    saliency = rf.load(folder / "results" / "saliency.nc")
    stimuli = rf.read_stimuli(folder / "faces" / "stimuli.csv")
    masked = rf.StimulusSet(stimuli.table.assign(occlusion=["none"] * 20 + ["eyes"] * 20))
    shares = shares_of(saliency, masked)
    assert shares.values == pytest.approx(saliency["proportion"].values[:, :20].mean(axis=1))


FROM_FILES = """\
name: files
stimuli: {table: faces/stimuli.csv}
networks:
  - name: alexnet
    weights: object.pth
    pretraining: object
    seeds: [0, 1]
    preprocessing: &small {resize: 64, crop: 64}
  - {name: alexnet, weights: face.pth, pretraining: face, seeds: [0, 1], preprocessing: *small}
  - {name: fe_alexnet, weights: object.pth, pretraining: object, seeds: [0, 1], preprocessing: *small}
  - {name: fe_alexnet, weights: face.pth, pretraining: face, seeds: [0, 1], preprocessing: *small}
training: {table: others/stimuli.csv, label: level, freeze: fc7, epochs: 1, lr: 1.0e-3, batch: 4, dropout: 0.0}
activations: {layers: [relu1, relu5, fc6]}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100]}}
inference: {draws: 60}
choices: {table: choices.csv}
saliency: {layer: relu5}
output: results
"""


@pytest.mark.slow
def test_a_study_from_two_files_of_weights_measures_and_tells_its_bias(tmp_path):
    stimuli = draw_faces(tmp_path / "faces", identities=4, levels=5, size=64)
    draw_faces(tmp_path / "others", identities=4, levels=2, size=64)
    others = pd.read_csv(tmp_path / "others" / "stimuli.csv")
    others.assign(identity="other " + others["identity"].astype(str)).to_csv(
        tmp_path / "others" / "stimuli.csv", index=False
    )
    simulate_ratings(stimuli, participants=4)[0].to_csv(tmp_path / "ratings.csv", index=False)
    simulate_choices(stimuli, participants=3, repeats=4)[0].to_csv(tmp_path / "choices.csv", index=False)
    for seed, name in enumerate(("object", "face")):
        state = rf.build_network("alexnet", seed=seed + 10).module.state_dict()
        torch.save({"state_dict": {f"module.{key}": value for key, value in state.items()}}, tmp_path / f"{name}.pth")
    (tmp_path / "study.yaml").write_text(FROM_FILES)
    study = load_study(tmp_path / "study.yaml")
    run_study(study)
    table = pd.read_csv(tmp_path / "results" / "bias.csv")
    assert set(table["measure"]) >= {"similarity", "saliency"}
    assert set(table["architecture"]) == {"alexnet", "fe_alexnet"}
    assert table["first_pretraining"].unique().tolist() == ["object"]
    assert any("trained from face, mean similarity over layers: AlexNet" in line for line in tell_study(study.output))
    manifest = Manifest(study.output, print).read()
    assert manifest["weights"]["alexnet/object/0"]["sha256"] == hash_file(tmp_path / "object.pth")
    seeds = pd.read_csv(tmp_path / "results" / "training_seeds.csv")
    assert set(seeds["start"]) == {f"{name}/{start}" for name in BIASES for start in ("object", "face")}
    assert (seeds["seeds"] == 2).all()
    lines = []
    run_study(study, progress=False, say=lines.append)
    assert all(line.endswith("up to date") for line in lines if not line.startswith("left out"))
