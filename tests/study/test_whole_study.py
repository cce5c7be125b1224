"""A study that trains, masks, controls, contrasts and localises: every stage's file, and what it must hold."""

import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import rsa_face as rf
from rsa_face.human.observers import simulate_choices, simulate_ratings
from rsa_face.inference.resampling import draw_resamples
from rsa_face.provenance import rng_from
from rsa_face.report.narrate import tell_study
from rsa_face.report.page import agreement_tables
from rsa_face.stimuli.faces import draw_faces
from rsa_face.study.comparing import same_draws, varying
from rsa_face.study.config import load_study, networks_of
from rsa_face.study.folder import read_results
from rsa_face.study.graph import Manifest, run_study
from rsa_face.study.stages import planned_stages

STUDY = """\
name: small
stimuli: {table: faces/stimuli.csv, occlusion: [none, mouth]}
networks:
  - {name: alexnet, preprocessing: &small {resize: 64, crop: 64}}
  - {name: fe_alexnet, preprocessing: *small}
training: {table: others/stimuli.csv, label: level, epochs: 1, lr: 1.0e-4, batch: 4, dropout: 0.0}
human: {table: ratings.csv, kind: rating, options: {scale: [0, 100]}, where: {occlusion: none}}
inference: {resample: both, draws: 60, controls: [pixels, identity]}
psychophysics: {table: choices.csv, curve: {guess: 0.02, lapse: 0.02}}
saliency: {layer: relu5, where: {level: [-1, 1]}, by_layer: true}
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
    trials, _ = simulate_choices(stimuli, participants=3, repeats=4, occlusions=["none", "mouth"])
    trials.to_csv(folder / "choices.csv", index=False)
    (folder / "study.yaml").write_text(STUDY)
    run_study(load_study(folder / "study.yaml"))
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
    again = rf.stream_rdms([trained], stimuli, layers=["relu5"])
    layer = rf.load(folder / "results" / "rdms.nc").sel(rdm="alexnet/relu5")
    np.testing.assert_allclose(again.values[0], layer.values, atol=1e-6)


def test_p_values_are_corrected_and_controls_taken_out(folder):
    result = rf.load(folder / "results" / "layers.nc")
    alone = result.get("p_above_zero_shuffled", result["p_above_zero"])
    assert (result["p_above_zero_corrected"] >= alone).all()
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
    assert where["target"].values.tolist() == ["peak", "reaches_ceiling", "above_baseline", "differs_from_baseline"]
    np.testing.assert_allclose(where["probability"].sum("layer"), 1)


def test_what_was_found_is_told_with_what_it_does_not_mean(folder):
    sentences = tell_study(folder / "results")
    result, where = (rf.load(folder / "results" / f"{name}.nc") for name in ("layers", "localization"))
    best = result.isel(rdm=int(np.argmax(result["similarity"].values)))
    label = {"alexnet": "AlexNet", "fe_alexnet": "FE-AlexNet"}[best["network"].item()]
    lower, upper = (f"{limit:.3f}".replace("-", "−") for limit in best["similarity_interval"].values)
    opening = f"Of {result.sizes['rdm']} layers, {label} {best['layer'].item()} is most similar to people"
    (most,) = [sentence for sentence in sentences if sentence.startswith(opening)]
    assert f"{best['similarity'].item():.3f}, 95% interval {lower} to {upper}; 4 participants and 6 stimuli" in most
    picked = where["picked"].sel(target="peak").item()
    named = f"FE-AlexNet is most like people at {picked}" if picked != "none" else "No layer of FE-AlexNet is shown"
    assert sentences[0].startswith(named)
    depth = f"at a depth of {where['half_way_depth'].item():.2f} "
    assert any(depth in sentence for sentence in sentences)
    assert any("half-way from the first layer to the peak" in sentence for sentence in sentences)
    assert any("noise ceiling" in sentence for sentence in sentences[1:])
    assert (
        "The observers were simulated: this says whether the analysis works, and nothing about people." in sentences
    )
    assert "generalise to other faces and other people" in sentences[-1]


def test_people_and_networks_have_curves_and_the_networks_maps(folder):
    curves = pd.read_csv(folder / "results" / "psychometric.csv")
    assert "p01" in set(curves["observer"])
    assert set(curves["occlusion"]) == {"none", "mouth"}
    shares = pd.read_csv(folder / "results" / "saliency.csv")
    assert set(shares["network"]) == {"alexnet", "fe_alexnet"}


def test_saliency_is_mapped_where_the_study_says_and_at_every_layer_with_space(folder):
    regions, layers = (rf.load(folder / "results" / f"saliency{part}.nc") for part in ("", "_layers"))
    assert sorted(set(regions["level"].values)) == [-1, 1]
    assert regions.sizes["stimulus"] == 8
    assert layers["network"].values.tolist() == ["alexnet"] * 5 + ["fe_alexnet"] * 5
    assert layers["occlusion"].values.tolist() == ["none", "mouth"]


def test_geometry_choices_and_saliency_are_related_in_one_table(folder):
    table = pd.read_csv(folder / "results" / "agreement.csv").set_index("network")
    layers = pd.read_csv(folder / "results" / "layers.csv")
    assert table["similarity_peak"]["alexnet"] == pytest.approx(
        layers[layers["network"] == "alexnet"]["similarity"].max()
    )
    assert {"similarity_fc7", "saliency_eyes", "saliency_nose", "saliency_mouth"} <= set(table)
    assert sorted(table["saliency_eyes_rank"]) == [1, 2]
    pairs = pd.read_csv(folder / "results" / "agreement_ranks.csv")
    assert (pairs["networks"] <= 2).all()
    assert pairs["rank_correlation"].isna().all()  # two networks always agree or disagree
    shown = {table.name: len(table.rows) for table in agreement_tables(read_results(folder / "results"))}
    assert shown == {"agreement-networks": 2, "agreement-measures": len(pairs)}


def test_held_out_faces_are_scored_from_the_answers_that_were_given(folder):
    answers = pd.read_csv(folder / "results" / "answers.csv").query("network == 'alexnet' and level != 0")
    right = ((answers["p_happy"] > 0.5) == (answers["level"] > 0)).where(answers["p_happy"] != 0.5, 0.5)
    scores = pd.read_csv(folder / "results" / "training.csv").set_index(["network", "condition"])["accuracy"]
    assert scores["alexnet", "all"] == pytest.approx(right.mean(), abs=1e-4)


@pytest.mark.filterwarnings("ignore::rsa_face.inference.resampling.UngroupedWarning")  # the run has said it
def test_people_of_both_data_sets_are_drawn_together(folder):
    study = load_study(folder / "study.yaml")
    human = rf.load(folder / "results" / "human_rdms.nc")
    names = ["p02", "p04", "p01", "p03"]
    drawn = same_draws(study, human, pd.DataFrame({"participant": names}))["participant"]
    rng = rng_from(0, "bootstrap")
    once = draw_resamples(human, resample="both", draws=60, rng=rng).participants
    counts = np.stack([np.bincount(row, minlength=4) for row in drawn])
    order = [names.index(str(name)) for name in human["participant"].values]
    np.testing.assert_array_equal(counts[:, order], once)
    assert same_draws(study, human, pd.DataFrame({"participant": names[:3]})) is None


def test_every_figure_of_the_study_is_drawn(folder):
    names = ("layers", "rdms", "contrast", "localization", "training", "psychometric", "saliency", "agreement")
    for name in names:
        assert (folder / "results" / "figures" / f"{name}.pdf").stat().st_size > 1000


def test_a_second_run_does_nothing(folder):
    lines = []
    run_study(load_study(folder / "study.yaml"), progress=False, say=lines.append)
    done = [line for line in lines if not line.startswith("left out")]
    assert done
    assert all(line.endswith("up to date") for line in done)


def test_what_left_the_study_is_set_aside_and_no_longer_told_drawn_or_reported(folder, tmp_path):
    results = tmp_path / "results"
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    entries = [
        line for line in STUDY.splitlines() if not line.startswith(("human", "inference", "psychoph", "saliency"))
    ]
    (tmp_path / "less.yaml").write_text("\n".join(entries) + "\n")
    lines = []
    run_study(load_study(tmp_path / "less.yaml"), progress=False, say=lines.append)
    assert any(line.startswith("comparison: not in the study any more") for line in lines)
    assert tell_study(results) == []
    study = read_results(results)
    assert (study.result, study.human, set(study.extras)) == (None, None, {"training"})
    assert {file.stem for file in (results / "figures").iterdir()} == {"rdms", "training"}
    assert not list(results.glob("psychometric*")) + list(results.glob("saliency*")) + list(results.glob("agree*"))
    aside = results / "set_aside"
    assert (aside / "layers.nc").read_bytes() == (folder / "results" / "layers.nc").read_bytes()


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("choices.csv", "answers.csv", "answers.csv has no column participant"),
        ("level: [-1, 1]", "level: [7]", "No stimulus of 12 has .*level.*7"),
        ("faces/stimuli.csv, occlusion: [none, mouth]", "blind.csv", "'id01_level01': eyes is 'nowhere'"),
        (
            "training: {table: others/stimuli.csv,",
            "training: {table: faces/stimuli.csv,",
            r"identities \['id01', 'id02'\]",
        ),
    ],
)
def test_what_cannot_be_asked_is_said_before_anything_is_trained(folder, tmp_path, old, new, message):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("results"))
    shutil.copy(folder / "results" / "answers.csv", tmp_path)
    table = pd.read_csv(tmp_path / "faces" / "stimuli.csv")
    table["file"] = "faces/" + table["file"]
    table.assign(eyes="nowhere").to_csv(tmp_path / "blind.csv", index=False)
    (tmp_path / "study.yaml").write_text(STUDY.replace(old, new))
    with pytest.raises(ValueError, match=message):
        run_study(load_study(tmp_path / "study.yaml"))
    assert not (tmp_path / "results" / "weights").exists()


def test_saliency_of_networks_that_have_not_learnt_is_refused(folder, tmp_path):
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("results"))
    text = "\n".join(line for line in STUDY.splitlines() if not line.startswith("training"))
    (tmp_path / "study.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"no training.*Add `training`, or remove `saliency`"):
        run_study(load_study(tmp_path / "study.yaml"))


def test_layers_that_do_not_vary_are_left_out_and_named():
    values = np.array([[[0, 1, 2], [1, 0, 3], [2, 3, 0]], [[0, 2, 2], [2, 0, 2], [2, 2, 0]]], dtype=float)
    rdms = xr.DataArray(values, dims=("rdm", "stimulus_i", "stimulus_j"), coords={"rdm": ["a/relu1", "a/fc8"]})
    layers, left_out = varying(rdms)
    assert layers["rdm"].values.tolist() == ["a/relu1"]
    assert left_out == ["a/fc8"]
    with pytest.raises(ValueError, match=r"a/fc8"):
        varying(rdms.isel(rdm=[1]))


def test_one_section_of_several_seeds_is_as_many_networks(folder):
    text = STUDY.replace("{name: alexnet,", "{name: alexnet, seeds: [0, 3],")
    (folder / "seeds.yaml").write_text(text)
    sections = networks_of(load_study(folder / "seeds.yaml"))
    assert [section.called for section in sections] == ["alexnet/random/0", "alexnet/random/3", "fe_alexnet"]
    assert [section.seed for section in sections] == [0, 3, 0]


def test_every_planned_stage_was_come_to_in_that_order(folder):
    study = load_study(folder / "study.yaml")
    done = Manifest(study.output, print).read()["stages"]
    assert [name for name in done if name in planned_stages(study)] == planned_stages(study)
