"""The embedded study of 92 photographs runs on what `datasets fetch` unpacks, and gives the known noise ceiling."""

import pandas as pd
import pytest
import yaml

import rsa_face as rf
from rsa_face.human.datasets import fetch_dataset
from rsa_face.study.config import STUDIES, load_study
from rsa_face.study.graph import run_study


@pytest.fixture(scope="module")
def fetched(real_files, tmp_path_factory):
    """Return a folder with the data where the study looks for them."""
    folder = tmp_path_factory.mktemp("here")
    fetch_dataset("kriegeskorte92", folder / "human_data" / "kriegeskorte92", source=real_files / "kriegeskorte92")
    return folder


def test_fetched_judgements_have_the_known_noise_ceiling(fetched):
    stimuli = rf.read_stimuli(fetched / "human_data" / "kriegeskorte92" / "stimuli.csv")
    human = rf.read_human(fetched / "human_data" / "kriegeskorte92" / "rdms.nc", kind="rdm", stimuli=stimuli)
    assert dict(human.sizes) == {"participant": 16, "stimulus_i": 92, "stimulus_j": 92}
    ceiling = rf.noise_ceiling(human, comparison="rho-a", resample=None)
    assert ceiling.values.tolist() == pytest.approx([0.4770, 0.5767], abs=0.0001)
    assert stimuli.table["face"].sum() == 24


def test_the_embedded_study_is_found_and_complete(fetched, monkeypatch):
    monkeypatch.chdir(fetched)
    study = load_study("kriegeskorte92")
    assert [network.called for network in study.networks] == ["vgg16"]
    assert study.stimuli.table == fetched / "human_data" / "kriegeskorte92" / "stimuli.csv"


def test_without_the_data_the_embedded_study_names_the_files_that_are_absent(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"line 5: stimuli\.table: .*human_data/kriegeskorte92/stimuli\.csv"):
        load_study("kriegeskorte92")


def test_the_study_runs_with_real_weights(real_files, fetched):
    study = yaml.safe_load((STUDIES / "kriegeskorte92.yaml").read_text("utf-8"))
    study["networks"][0]["weights"] = str(real_files / "weights" / "vgg16_conv_imagenet_hed.safetensors")
    study["activations"]["layers"] = ["relu1_1", "relu1_2"]
    study["inference"] = {"comparison": "rho-a", "network": "vgg16"}
    (fetched / "study.yaml").write_text(yaml.safe_dump(study))
    table = pd.read_csv(run_study(load_study(fetched / "study.yaml")) / "layers.csv")
    assert table["similarity"].tolist() == pytest.approx([0.159, 0.161], abs=0.005)
    assert table["noise_ceiling_lower"][0] == pytest.approx(0.4770, abs=0.0001)
    assert table["noise_ceiling_upper"][0] == pytest.approx(0.5767, abs=0.0001)
    assert not table["simulated"].any()
