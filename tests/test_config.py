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


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "",
            "activations: {layers: [relu1, conv9]}",
            r"line 6: activations.layers.1: .*alexnet has no 'conv9'.*relu5",
        ),
        ("", "activations: {layers: conv9}", "activations.layers: must be main, all, or layers .*no 'conv9'"),
        ("", "activations: {layers: []}", r"must be .*a list of at least 1, but is \[\]"),
        ("", "saliency: {layer: relu9}", r"saliency.layer: .*alexnet has none of \['relu9'\]"),
        ("", "saliency: {layer: [relu9, fc7]}", "'fc7' of alexnet has none"),
        ("", "training: {table: stimuli.csv, freeze: convs}", "alexnet has no 'convs'"),
        ("", "training: {table: stimuli.csv, classes: [angry, happy]}", r"they are \['angry', 'happy'\]"),
        ("", "inference: {baseline: vgg16}", "inference.baseline: must be one of .*, alexnet, but is 'vgg16'"),
        ("", "inference: {network: alex}", "inference.network: must be one of .*, alexnet, but is 'alex'"),
        ("", "inference: {pretrainings: [random, faces]}", r"holds \['faces'\]"),
        (
            "",
            "rdms: {measure: crossnobis}",
            "but is 'crossnobis', which needs every stimulus presented more than once",
        ),
        ("", "rdms: {measure: {fc8: manhattan}}", "line 6: rdms.measure: must be one of .*, but is 'manhattan'"),
        (
            "",
            "rdms: {measure: {default: cosine, fc9: euclidean}}",
            "line 6: rdms.measure.fc9: must be default, or a layer that is recorded, but is 'fc9'",
        ),
        ("", "activations: {device: gpu}", "must be auto, cpu or cuda, but is 'gpu'"),
        ("", "cluster: local", "must be local:N or .*, but is 'local'"),
        ("", "output: here", r"each key once, but study.yaml has 'output' \(lines 5 and 6\)"),
        ("output: results", "output: stimuli.csv", "stimuli.csv' is a file"),
        ("stimuli.csv", "a" * 300, "stimuli.table: must be a path, but 'aaaa.*too long"),
        (
            "output: results",
            "output: ~nobody-of-this-name/out",
            "must be a path, but '~nobody-of-this-name/out' can be",
        ),
        ("name: small", "name: my study", "but is 'my study'"),
        ("{table: stimuli.csv}", "stimuli.csv", "stimuli: must be keys and values.*but is 'stimuli.csv'"),
        (
            "{table: stimuli.csv}",
            "{tabel: stimuli.csv}",
            "stimuli.tabel: is not a key here; the keys are table, occlus",
        ),
        ("weights: random", "weights: ImageNet", "must be random, imagenet, .*no file .*ImageNet"),
        ("weights: random", "attention: {position: pool5}", "must be of fe_alexnet alone, but is of alexnet"),
        ("weights: random", "preprocessing: {resize: 64}", "crop must be no larger .* is 224, and resize 64"),
        ("weights: random", "preprocessing: {sd: [0, 1, 1]}", r"sd must be above 0, but is \[0.0, 1.0, 1.0\]"),
        ("weights: random", "seed: 1.5", "networks.0.seed: must be a whole number, but is 1.5"),
        ("weights: random", "classes: 1", "networks.0.classes: must be 2 or more, but is 1"),
    ],
)
def test_what_cannot_run_is_refused_when_the_study_file_is_read(folder, old, new, said):
    text = GOOD.replace(old, new) if old else f"{GOOD}{new}\n"
    with pytest.raises(ValueError, match=said):
        load_study(written(folder, text))


BLOCKS = "name: fe_alexnet, attention: "


@pytest.mark.parametrize(
    ("attention", "said"),
    [
        ("{position: conv1, reduction: 100}", "attention: reduction must be at most 64, .* but is 100"),
        ("{position: relu3}", r"1 fault.*\n.*attention.position: must be 'conv1'.*, but is 'relu3'"),
        ("[{position: fc6}, {position: fc6}]", r"several stand at \['fc6'\]"),
        ("pool5", r"1 fault.*\n.*attention: must be keys and values.* or a list.*, but is 'pool5'"),
    ],
)
def test_a_block_that_cannot_stand_is_told_once_and_without_the_machinery(folder, attention, said):
    with pytest.raises(ValueError, match=said) as caught:
        load_study(written(folder, GOOD.replace("name: alexnet, weights: random", BLOCKS + attention)))
    assert "function-after" not in str(caught.value)


def test_layers_of_every_network_are_held_against_what_is_asked(folder):
    networks = "{name: alexnet}, {name: vgg16}, {name: fe_alexnet, attention: [{position: fc6}, {position: pool1}]}"
    text = f"name: small\nstimuli: {{table: stimuli.csv}}\nnetworks: [{networks}]\noutput: results\n"
    right = "activations: {layers: [pool5, fc8]}\nsaliency: {layer: [fe_pool1, relu5_3, relu5]}\n"
    assert load_study(written(folder, text + right)).activations.layers == ("pool5", "fc8")
    with pytest.raises(ValueError, match="but alexnet, vgg16 has no 'fe_pool1'"):
        load_study(written(folder, text + "activations: {layers: fe_pool1}\n"))
    with pytest.raises(ValueError, match="'fe_fc6' of fe_alexnet has none"):
        load_study(written(folder, text + "saliency: {layer: [fe_fc6, relu5_3, relu5]}\n"))


def test_a_network_of_several_seeds_is_known_by_what_they_share(folder):
    text = GOOD.replace("weights: random}", "seeds: [0, 1]}\n  - {name: vgg11, label: plain, pretraining: faces}")
    for name in ("alexnet", "alexnet/random", "alexnet/random/1", "plain"):
        assert load_study(written(folder, f"{text}inference: {{network: {name}}}\n")).inference.network == name
    with pytest.raises(ValueError, match="but is 'vgg11'"):
        load_study(written(folder, f"{text}inference: {{network: vgg11}}\n"))
