"""The replication's study files: five networks, three seeds, other faces than the demo's, and how to make these."""

import re

import pandas as pd
import pytest

from rsa_face.study.config import STUDIES, embedded_studies, load_study, networks_of


@pytest.fixture(params=["replication", "replication-224"])
def name(request):
    return request.param


def test_without_its_faces_the_command_that_makes_them_is_told(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert name in embedded_studies()
    with pytest.raises(ValueError, match="has 1 fault") as refused:
        load_study(name)
    message = str(refused.value)
    assert (
        f"training.table: there is no file '{tmp_path}/results/{name}-faces/training.csv'; it is made by: " in message
    )
    assert f"--out results/{name}-faces/training.csv" in message


def test_with_its_faces_it_is_five_networks_over_three_seeds(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "results" / f"{name}-faces").mkdir(parents=True)
    (tmp_path / "results" / f"{name}-faces" / "training.csv").touch()
    study = load_study(name)
    networks = [section.called for section in networks_of(study)]
    architectures = ("alexnet", "vgg11", "vgg13", "vgg16", "fe_alexnet")
    assert networks == [f"{architecture}/random/{seed}" for architecture in architectures for seed in range(3)]
    assert study.stimuli.occlusion == ("none", "eyes", "nose", "mouth")
    assert study.training.made_by.startswith("rsa-face stimuli render ")
    first, last = (int(number) for number in re.search(r"--identities (\d+)-(\d+)", study.training.made_by).groups())
    assert last - first + 1 == {"replication": 100, "replication-224": 5000}[name]
    judged = pd.read_csv(STUDIES / "demo" / "stimuli.csv")["identity"]
    assert first > judged.str.removeprefix("face").astype(int).max()
