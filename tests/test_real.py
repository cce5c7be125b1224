"""Real photographs, real weights and real judgements give the similarities they are known to give."""

import numpy as np
import pandas as pd
import pytest
import scipy.io
from PIL import Image

import rsa_face as rf
from rsa_face.human.datasets import fetch_dataset
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def photographs(real_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photographs")
    path = real_files / "kriegeskorte92" / "Kriegeskorte_Neuron2008_supplementalData.mat"
    ids = []
    for number, record in enumerate(scipy.io.loadmat(path, squeeze_me=True)["stimuli_92objs"], start=1):
        ids.append(f"photograph_{number:02d}")
        Image.fromarray(record["image"].astype(np.uint8)).save(folder / f"{ids[-1]}.png")
    pd.DataFrame({"stimulus": ids, "file": [f"{name}.png" for name in ids]}).to_csv(folder / "s.csv", index=False)
    return rf.read_stimuli(folder / "s.csv")


@pytest.fixture(scope="module")
def judged(real_files, photographs):
    return rf.read_human(
        real_files / "kriegeskorte92" / "92_behavRDMs.mat", kind="rdm", stimuli=photographs, ids="stimuli"
    )


def test_noise_ceilings_of_16_people(judged):
    assert judged.sizes["participant"] == 16
    rho = rf.noise_ceiling(judged, comparison="rho-a", resample=None)
    np.testing.assert_allclose(rho, [0.477, 0.577], atol=0.002)
    np.testing.assert_allclose(rf.noise_ceiling(judged, comparison="corr", resample=None), [0.572, 0.635], atol=0.002)


def test_early_layers_of_vgg16_against_16_people(real_files, photographs, judged):
    known = {"relu1_1": 0.159, "relu1_2": 0.161, "relu2_1": 0.125, "relu2_2": 0.126, "relu3_1": 0.088}
    assert similarities(real_files, photographs, judged, known) == pytest.approx(known, abs=0.005)


@pytest.mark.slow
def test_all_known_layers_of_vgg16_against_16_people(real_files, photographs, judged):
    known = {"relu1_1": 0.159, "relu1_2": 0.161, "relu2_1": 0.125, "relu2_2": 0.126, "relu3_1": 0.088}
    known |= {"relu4_2": 0.101, "relu5_2": 0.094, "relu5_3": 0.138}
    assert similarities(real_files, photographs, judged, known) == pytest.approx(known, abs=0.005)


def similarities(real_files, photographs, judged, known):
    weights = real_files / "weights" / "vgg16_conv_imagenet_hed.safetensors"
    network = rf.build_network("vgg16", weights=weights, preprocessing=Preprocessing(resize=(224, 224)))
    return of_layers(network, photographs, judged, known, comparison="rho-a")


def of_layers(network, stimuli, human, known, *, comparison):
    """Return the similarity of each known layer; how the human data are resampled makes none of it."""
    rdms = rf.stream_rdms([network], stimuli, layers=list(known))
    assert rdms.attrs["untrained"] == []
    similarity = rf.RSA(rdms, human, comparison=comparison).similarity.mean("participant")
    return dict(zip(rdms["layer"].values.tolist(), similarity.values.tolist(), strict=True))


def alexnet(real_files, **options):
    return rf.build_network(
        "alexnet", weights=real_files / "weights" / "alexnet_conv_imagenet.safetensors", **options
    )


def test_convolutions_of_alexnet_against_16_people(real_files, photographs, judged):
    known = {"relu1": 0.1777, "relu2": 0.1788, "relu3": 0.1819, "relu4": 0.2123, "relu5": 0.2297, "pool5": 0.2676}
    network = alexnet(real_files, preprocessing=Preprocessing(resize=(224, 224)))
    assert of_layers(network, photographs, judged, known, comparison="rho-a") == pytest.approx(known, abs=0.005)


@pytest.fixture(scope="module")
def omi(real_files, tmp_path_factory):
    """Return the folder into which the rated faces were fetched."""
    return fetch_dataset("omi", tmp_path_factory.mktemp("here") / "human_data" / "omi", source=real_files / "omi")


def test_convolutions_of_alexnet_against_rated_happiness(real_files, omi):
    known = {"relu1": 0.0630, "relu2": 0.1132, "relu3": 0.0964, "relu4": 0.0646, "relu5": 0.0325, "pool5": 0.0404}
    table = rf.read_stimuli(omi / "stimuli.csv").table[::5].reset_index(drop=True)
    stimuli = StimulusSet(table)
    ratings = pd.read_csv(omi / "ratings.csv")
    ratings[ratings["stimulus"].isin(stimuli.ids)][["stimulus", "rating"]].to_csv(omi / "fifth.csv", index=False)
    human = rf.read_human(omi / "fifth.csv", kind="features", layout={"participants": "none"}, stimuli=stimuli)
    assert len(stimuli) == 201
    assert of_layers(alexnet(real_files), stimuli, human, known, comparison="spearman") == pytest.approx(
        known, abs=0.005
    )


STUDY = """
name: real-faces
stimuli: {table: stimuli.csv}
networks:
  - {name: alexnet, weights: WEIGHTS}
  - {name: fe_alexnet, weights: WEIGHTS}
training:  # the convolutions stay ImageNet's, the classifier starts from the seed
  {table: training.csv, label: valence, held_out: held_out.csv, held_out_label: valence, freeze: features, epochs: 8,
   batch: 32, zero_head: true}
human: {table: ratings.csv, kind: features, options: {scales: [rating], scale: [0, 100]}}
inference: {comparison: rho-a, resample: participant, draws: 20}
output: results
"""


@pytest.fixture(scope="module")
def real_study(real_files, tmp_path_factory):
    """Write a study of every 17th face by happiness, and networks that learn the extreme thirds of the others."""
    folder, source = tmp_path_factory.mktemp("faces"), real_files / "omi"
    faces = pd.read_csv(source / "stimuli.csv")
    faces["file"] = [str(source / file) for file in faces["file"]]
    faces = faces.sort_values("happy", kind="stable")
    judged = faces[::17]
    others = faces.drop(judged.index)
    third = round(len(others) / 3)
    training = pd.concat([others[:third].assign(valence="sad"), others[-third:].assign(valence="happy")])
    assert (len(judged), len(training)) == (60, 630)
    columns = ["stimulus", "file", "valence"]
    training[columns].to_csv(folder / "training.csv", index=False)
    judged[["stimulus", "file", "happy"]].to_csv(folder / "stimuli.csv", index=False)
    valence = np.where(judged["happy"] > 50, "happy", "sad")
    judged.assign(valence=valence)[columns].to_csv(folder / "held_out.csv", index=False)
    ratings = pd.read_csv(source / "happy_ratings.csv").query("nth < 30")  # a few faces have more
    ratings = ratings.assign(
        participant=[f"rater{nth:02d}" for nth in ratings["nth"]],
        stimulus=[f"omi{number:04d}" for number in ratings["stimulus"]],
    )
    ratings = ratings[ratings["stimulus"].isin(judged["stimulus"])]
    ratings[["participant", "stimulus", "rating"]].to_csv(folder / "ratings.csv", index=False)
    weights = real_files / "weights" / "alexnet_conv_imagenet.safetensors"
    (folder / "study.yaml").write_text(STUDY.replace("WEIGHTS", str(weights)), "utf-8")
    return folder / "study.yaml"


@pytest.mark.slow
def test_networks_that_learn_real_faces_are_most_like_people_in_the_difference_of_their_outputs(real_study):
    results = rf.run_study(rf.load_study(real_study))
    result = rf.load(results / "layers.nc").sortby("order")
    for name in ("alexnet", "fe_alexnet"):
        layers = result.isel(rdm=result["network"].values == name)
        outputs = layers.isel(rdm=-1)
        assert (outputs["layer"].item(), outputs["measure"].item()) == ("fc8", "difference")
        assert layers["similarity"].values.argmax() == layers.sizes["rdm"] - 1
        # .258 and .262 where this was written; another seed, batch or schedule moves it by .03
        assert 0.24 < outputs["similarity"].item() < 0.31
