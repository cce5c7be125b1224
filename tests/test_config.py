"""The study file is read whole: every fault is named with its line, at once."""

from dataclasses import asdict

import pytest

from rsa_face.config import embedded_studies, load_study
from rsa_face.psychophysics.psychometric import Curve
from rsa_face.sections import CurveSection

GOOD = """\
name: small
stimuli: {table: stimuli.csv}
networks:
  - {name: alexnet, weights: random}
output: results
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "stimuli.csv").write_text("stimulus,file\n")
    return tmp_path


def written(folder, text):
    (folder / "study.yaml").write_text(text)
    return folder / "study.yaml"


def test_paths_are_relative_to_the_study_file(folder):
    study = load_study(written(folder, GOOD))
    assert study.stimuli.table == folder / "stimuli.csv"
    assert study.output == folder / "results"


def test_all_faults_come_at_once_with_their_lines(folder):
    text = GOOD.replace("stimuli.csv", "gone.csv").replace("alexnet", "alexnett") + "colour: red\n"
    with pytest.raises(ValueError, match="3 fault") as caught:
        load_study(written(folder, text))
    lines = str(caught.value).splitlines()
    assert "line 2: stimuli.table: there is no file" in lines[1]
    assert "gone.csv" in lines[1]
    assert "line 4: networks.0.name" in lines[2]
    assert "'alexnett'" in lines[2]
    assert "line 6: colour: is not a key here" in lines[3]


def test_two_networks_of_one_name_need_labels(folder):
    text = GOOD.replace("output", "  - {name: alexnet, seed: 1}\noutput")
    with pytest.raises(ValueError, match=r"called \['alexnet'\] more than once"):
        load_study(written(folder, text))


def test_yaml_that_builds_objects_is_refused(folder):
    with pytest.raises(ValueError, match="must be YAML"):
        load_study(written(folder, "name: !!python/object/apply:os.system ['true']\n"))


def test_an_unknown_study_names_those_there_are():
    with pytest.raises(FileNotFoundError, match=r"demo.*no 'gone'"):
        load_study("gone")


@pytest.mark.parametrize("name", embedded_studies())
def test_embedded_studies_are_right(name, tmp_path, monkeypatch):
    for file in ("stimuli.csv", "rdms.nc"):  # where `datasets fetch` puts them
        (tmp_path / "human_data" / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / "human_data" / name / file).touch()
    faces = tmp_path / "results" / f"{name}-faces" / "training.csv"  # where `stimuli render` puts them
    faces.parent.mkdir(parents=True, exist_ok=True)
    faces.touch()
    monkeypatch.chdir(tmp_path)
    assert load_study(name, output=tmp_path).output == tmp_path


def asked(curve, key="psychophysics"):
    return f"{GOOD}{key}: {{table: choices.csv, curve: {curve}}}\n"


@pytest.mark.parametrize("key", ["psychophysics", "choices"])
def test_psychophysics_is_read_by_its_name_and_its_first_one(folder, key):
    (folder / "choices.csv").touch()
    text = "{guess: 0.02, lapse: [0, 0.05], pooling: participants}"
    curve = load_study(written(folder, asked(text, key))).psychophysics.curve
    assert (curve.guess, curve.lapse, curve.pooling) == (0.02, (0.0, 0.05), "participants")


@pytest.mark.parametrize(
    ("curve", "said"),
    [
        ("{gues: 0.1}", "psychophysics.curve.gues: is not a key here"),
        ("{lapse: [0.1, 0.05]}", r"two that rise, not \[0.1, 0.05\]"),
        ("{width: much}", "not 'much'"),
        ("{guess: 0.9}", "guess is 0.9, above .5"),
        ("{sigmoid: weibull}", "'weibull'"),
        ("{pooling: participants, method: least squares}", "a pooled fit is by likelihood"),
    ],
)
def test_a_curve_that_cannot_be_fitted_is_refused_before_anything_runs(folder, curve, said):
    (folder / "choices.csv").touch()
    with pytest.raises(ValueError, match=said):
        load_study(written(folder, asked(curve)))


def test_the_study_file_has_every_setting_of_a_curve_with_its_default():
    assert CurveSection().model_dump() == asdict(Curve())
