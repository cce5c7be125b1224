"""Real photographs, real weights and real judgements give the similarities they are known to give."""

import numpy as np
import pandas as pd
import pytest
import scipy.io
from PIL import Image

import rsa_face as rf
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
    rdms = rf.stream_rdms([network], photographs, layers=list(known))
    assert rdms.attrs["untrained"] == []
    result = rf.compare_layers(rdms, judged, comparison="rho-a", resample=None)
    return dict(zip(result["layer"].values.tolist(), result["similarity"].values.tolist(), strict=True))
