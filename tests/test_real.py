"""Real photographs, real weights and real judgements give the similarities they are known to give."""

import numpy as np
import pandas as pd
import pytest
import scipy.io
import yaml
from PIL import Image
from scipy.spatial.distance import pdist

import rsa_face as rf
from rsa_face.human.datasets import fetch_dataset
from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.kernels import to_vectors
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.study.config import STUDIES


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


def test_early_layers_of_two_trainings_of_vgg16_share_a_geometry_that_random_weights_lack(real_files, photographs):
    small = Preprocessing(resize=(112, 112), crop=112)
    some = StimulusSet(photographs.table.iloc[::3].reset_index(drop=True))
    files = {"torchvision": "vgg16_conv_imagenet.safetensors", "oxford": "vgg16_conv_imagenet_hed.safetensors"}
    networks = [rf.build_network("vgg16", weights=real_files / "weights" / file, preprocessing=small, label=label)
                for label, file in files.items()]  # fmt: skip
    networks.append(rf.build_network("vgg16", seed=0, preprocessing=small, label="random"))
    layers = ["relu1_1", "relu2_2"]
    rdms = rf.stream_rdms(networks, some, measure="euclidean", layers=layers)
    trained, random = (
        rf.compare_networks(rdms, network="torchvision", other=other) for other in ("oxford", "random")
    )
    # the fine-tuning of Oxford's for edges leaves little of its deeper layers' geometry
    assert np.diagonal(trained["cka"]) == pytest.approx([0.905, 0.892], abs=0.005)
    assert np.diagonal(random["cka"]) == pytest.approx([0.457, 0.483], abs=0.005)
    assert np.diagonal(trained["procrustes"]) == pytest.approx([0.019, 0.028], abs=0.002)
    assert trained["dimensionality"].values == pytest.approx([19.9, 23.8], abs=0.1)
    assert (trained["cka"].values.argmax(axis=1) == [0, 1]).all()


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


@pytest.fixture(scope="module")
def real_study(real_files, omi):
    """Run the embedded study on rated faces, without what only takes time: VGG16, masked faces and saliency."""
    text = yaml.safe_load((STUDIES / "real-faces.yaml").read_text("utf-8"))
    text["networks"] = [section for section in text["networks"] if section["name"] != "vgg16"]
    text["stimuli"]["occlusion"] = ["none"]
    text["inference"]["draws"] = 100
    del text["saliency"]
    path = omi.parent.parent / "study.yaml"
    path.write_text(yaml.safe_dump(text), "utf-8")
    return rf.run_study(rf.load_study(path, weights=real_files / "weights"))


@pytest.mark.slow
def test_networks_that_learn_rated_faces_are_most_like_people_in_the_classifier(real_study):
    seeded = pd.read_csv(real_study / "seeds.csv").set_index(["start", "layer"])
    for start in ("alexnet/imagenet", "fe_alexnet/imagenet"):
        similarity = seeded.loc[start]["similarity"]
        assert similarity.idxmax() == "relu7"
        assert similarity["relu1":"relu5"].max() < 0.1
        assert 0.3 < similarity["fc8"] < similarity["relu7"] < 0.95  # mean ratings, whose ceiling is .95
    result = rf.load(real_study / "layers.nc")
    assert result["noise_ceiling"].values.tolist() == pytest.approx([0.951, 0.975], abs=0.002)
    assert result.attrs["unsigned"]


SINGLE = {"alexnet/imagenet": 0.274, "fe_alexnet/imagenet": 0.251}  # means of three seeds, single ones .23 to .28


@pytest.mark.slow
def test_the_output_is_as_similar_to_single_ratings_as_a_first_study_found(real_study, real_files):
    rdms = rf.load(real_study / "rdms.nc")
    outputs = rdms.isel(rdm=rdms["layer"].values == "fc8")
    ratings = pd.read_csv(real_files / "omi" / "happy_ratings.csv").query("nth < 30")
    table = ratings.pivot(index="stimulus", columns="nth", values="rating")
    table.index = [f"omi{number:04d}" for number in table.index]
    rated = table.loc[outputs["stimulus_i"].values.astype(str)].to_numpy(float).T
    each = compare_vectors(
        "rho-a", to_vectors(outputs.values), np.array([pdist(values[:, None]) for values in rated])
    )
    families = np.array([str(name).rpartition("/")[0] for name in outputs["network"].values])
    for start, known in SINGLE.items():
        assert each.mean(axis=1)[families == start].mean() == pytest.approx(known, abs=0.03)
