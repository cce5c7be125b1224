"""The study file is read whole: every fault is named with its line, at once."""

import pytest

from rsa_face.study.config import embedded_studies, layers_of, load_study, networks_of
from rsa_face.study.stages import steps_of

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
    with pytest.raises(ValueError, match=r"the names \['alexnet'\] more than once"):
        load_study(written(folder, text))


def test_yaml_that_builds_objects_is_refused(folder):
    with pytest.raises(ValueError, match="cannot be read as YAML"):
        load_study(written(folder, "name: !!python/object/apply:os.system ['true']\n"))


def test_an_unknown_study_names_those_there_are():
    with pytest.raises(FileNotFoundError, match=r"'gone'; .*demo"):
        load_study("gone")


@pytest.mark.parametrize("name", embedded_studies())
def test_embedded_studies_are_right(name, tmp_path, monkeypatch):
    for file in (
        f"{name}/stimuli.csv",
        f"{name}/rdms.nc",
        "kriegeskorte92/stimuli.csv",
        "kriegeskorte92/rdms.nc",
        "omi/test.csv",
        "omi/training.csv",
        "omi/ratings.csv",
    ):
        (tmp_path / "human_data" / file).parent.mkdir(parents=True, exist_ok=True)  # where `datasets fetch` puts them
        (tmp_path / "human_data" / file).touch()
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
    ("curve", "message"),
    [
        ("{gues: 0.1}", "psychophysics.curve.gues: is not a key here"),
        ("{lapse: [0.1, 0.05]}", r"is \[0.1, 0.05\], not a number of 0 or more or two rising"),
        ("{width: much}", "is 'much', not a number"),
        ("{guess: 0.9}", "guess is 0.9, above 0.5"),
        ("{sigmoid: weibull}", "'weibull'"),
        ("{pooling: participants, method: least squares}", "a pooled fit is by likelihood"),
    ],
)
def test_a_curve_that_cannot_be_fitted_is_refused_before_anything_runs(folder, curve, message):
    (folder / "choices.csv").touch()
    with pytest.raises(ValueError, match=message):
        load_study(written(folder, asked(curve)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "",
            "activations: {layers: [relu1, conv9]}",
            r"line 6: activations.layers.1: .*alexnet has no 'conv9'.*relu5",
        ),
        ("", "activations: {layers: conv9}", "activations.layers: alexnet has no 'conv9'; give main, all or layers"),
        ("", "activations: {layers: []}", r"is \[\], not .*a list of at least 1"),
        ("", "saliency: {layer: relu9}", r"saliency.layer: .*alexnet has none of \['relu9'\]"),
        ("", "saliency: {layer: [relu9, fc7]}", "'fc7' of alexnet has no rows"),
        ("", "training: {table: stimuli.csv, freeze: convs}", "alexnet has no 'convs'"),
        ("", "training: {table: stimuli.csv, classes: [angry, happy]}", r"classes are \['angry', 'happy'\]"),
        ("", "inference: {baseline: vgg16}", "inference.baseline: is 'vgg16', not one of .*, alexnet"),
        ("", "inference: {network: alex}", "inference.network: is 'alex', not one of .*, alexnet"),
        ("", "inference: {pretrainings: [random, faces]}", r"has \['faces'\]"),
        (
            "",
            "rdms: {measure: crossnobis}",
            "is 'crossnobis', not .*crossnobis needs every stimulus presented more than once",
        ),
        ("", "rdms: {measure: {fc8: manhattan}}", "line 6: rdms.measure: is 'manhattan', not one of"),
        (
            "",
            "rdms: {measure: {default: cosine, fc9: euclidean}}",
            "line 6: rdms.measure.fc9: is 'fc9', not default or a layer that is recorded",
        ),
        ("", "activations: {device: gpu}", "is 'gpu', not auto, cpu or cuda"),
        ("", "cluster: local", "is 'local', not local:N or"),
        ("", "output: here", r"study.yaml gives the key 'output' \(lines 5 and 6\) more than once"),
        ("output: results", "output: stimuli.csv", "stimuli.csv', a file"),
        ("stimuli.csv", "a" * 300, "stimuli.table: is 'aaaa.*cannot be a path.*too long"),
        (
            "output: results",
            "output: ~nobody-of-this-name/out",
            "is '~nobody-of-this-name/out', which cannot be a path",
        ),
        ("name: small", "name: my study", "is 'my study', not letters"),
        ("{table: stimuli.csv}", "stimuli.csv", "stimuli: is 'stimuli.csv', not keys and values"),
        (
            "{table: stimuli.csv}",
            "{tabel: stimuli.csv}",
            "stimuli.tabel: is not a key here; the keys are table, occlus",
        ),
        ("weights: random", "weights: ImageNet", "is not random, imagenet, library .*no file .*ImageNet"),
        ("weights: random", "attention: {position: pool5}", "attention is for fe_alexnet alone, not for alexnet"),
        ("weights: random", "preprocessing: {resize: 64}", "crop is 224, larger than resize, 64"),
        ("weights: random", "preprocessing: {sd: [0, 1, 1]}", r"sd is \(0.0, 1.0, 1.0\), not more than 0"),
        ("weights: random", "seed: 1.5", "networks.0.seed: is 1.5, not a whole number"),
        ("weights: random", "classes: 1", "networks.0.classes: is 1, not 2 or more"),
    ],
)
def test_what_cannot_run_is_refused_when_the_study_file_is_read(folder, old, new, message):
    text = GOOD.replace(old, new) if old else f"{GOOD}{new}\n"
    with pytest.raises(ValueError, match=message):
        load_study(written(folder, text))


BLOCKS = "name: fe_alexnet, attention: "


@pytest.mark.parametrize(
    ("attention", "message"),
    [
        ("{position: conv1, reduction: 100}", "attention: reduction is 100, more than the 64 channels"),
        ("{position: relu3}", r"1 fault.*\n.*attention.position: is 'relu3', not 'conv1'"),
        ("[{position: fc6}, {position: fc6}]", r"several attention blocks are at \['fc6'\]"),
        ("pool5", r"1 fault.*\n.*attention: is 'pool5', not keys and values.* or a list"),
    ],
)
def test_a_block_that_cannot_stand_is_told_once_and_without_the_machinery(folder, attention, message):
    with pytest.raises(ValueError, match=message) as caught:
        load_study(written(folder, GOOD.replace("name: alexnet, weights: random", BLOCKS + attention)))
    assert "function-after" not in str(caught.value)


def test_layers_of_every_network_are_held_against_what_is_asked(folder):
    networks = "{name: alexnet}, {name: vgg16}, {name: fe_alexnet, attention: [{position: fc6}, {position: pool1}]}"
    text = f"name: small\nstimuli: {{table: stimuli.csv}}\nnetworks: [{networks}]\noutput: results\n"
    right = "activations: {layers: [pool5, fc8]}\nsaliency: {layer: [fe_pool1, relu5_3, relu5]}\n"
    assert load_study(written(folder, text + right)).activations.layers == ("pool5", "fc8")
    with pytest.raises(ValueError, match="alexnet, vgg16 has no 'fe_pool1'"):
        load_study(written(folder, text + "activations: {layers: fe_pool1}\n"))
    with pytest.raises(ValueError, match="'fe_fc6' of fe_alexnet has no rows"):
        load_study(written(folder, text + "saliency: {layer: [fe_fc6, relu5_3, relu5]}\n"))


def test_a_network_of_several_seeds_is_known_by_what_they_share(folder):
    text = GOOD.replace("weights: random}", "seeds: [0, 1]}\n  - {name: vgg11, label: plain, pretraining: faces}")
    for name in ("alexnet", "alexnet/random", "alexnet/random/1", "plain"):
        assert load_study(written(folder, f"{text}inference: {{network: {name}}}\n")).inference.network == name
    with pytest.raises(ValueError, match="is 'vgg11', not one of"):
        load_study(written(folder, f"{text}inference: {{network: vgg11}}\n"))


HELD = """\
  - {name: fe_alexnet, seeds: [0, 1]}
  - {name: fe_alexnet, label: held, gate: mean, gate_of: fe_alexnet, seeds: [0, 1]}
"""


def test_a_network_whose_gate_is_held_has_the_weights_of_the_one_that_learns(folder):
    (folder / "training.csv").touch()
    training = "training: {table: training.csv, held_out: null}\n"
    study = load_study(written(folder, GOOD.replace("output", f"{HELD}{training}output")))
    held = networks_of(study)[-1]
    assert (held.called, held.trained_file) == ("held/random/1", "weights/fe_alexnet/random/1.safetensors")
    steps = {step.name: step for step in steps_of(study)}
    assert not [name for name in steps if name.startswith("training of held")]
    assert steps["RDMs of held/random/1"].files("uses") == ("weights/fe_alexnet/random/1.safetensors",)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gate_of: fe_alexnet", "gate_of: alexnet", "there is no 'alexnet/random/0' with a gate"),
        (", gate_of: fe_alexnet", "", "has one of gate and gate_of"),
        ("seeds: [0, 1]}\n", "seeds: [0, 2]}\n", "there is no 'fe_alexnet/random/1' with a gate"),
        (
            "gate: mean",
            "gate: mean, attention: {position: fc6}",
            "attention: differs from that of 'fe_alexnet/random/0'",
        ),
        ("gate: mean", "gate: median", "gate: is 'median'"),
    ],
)
def test_a_gate_that_cannot_be_held_is_refused(folder, old, new, message):
    (folder / "training.csv").touch()
    training = "training: {table: training.csv, held_out: null}\n"
    text = GOOD.replace("output", f"{HELD.replace(old, new, 1)}{training}output")
    with pytest.raises(ValueError, match=message):
        load_study(written(folder, text))


def test_imagenet_weights_are_taken_from_a_folder_and_missing_ones_named(folder, tmp_path):
    (tmp_path / "alexnet_conv_imagenet.safetensors").touch()
    path = written(folder, GOOD.replace("weights: random", "weights: imagenet, seeds: [0, 1]"))
    section = load_study(path, weights=tmp_path).networks[0]
    assert section.weights == str(tmp_path / "alexnet_conv_imagenet.safetensors")
    assert section.called == "alexnet/imagenet"
    alone = written(folder, GOOD.replace("weights: random", "weights: imagenet"))
    assert load_study(alone, weights=tmp_path).networks[0].called == "alexnet"
    with pytest.raises(
        FileNotFoundError, match=r"no ImageNet weights of vgg16: none of vgg16_conv_imagenet\.safetensors"
    ):
        load_study(
            written(folder, GOOD.replace("alexnet, weights: random", "vgg16, weights: imagenet")), weights=tmp_path
        )


def test_weights_of_a_network_by_reference_are_taken_from_a_folder_too(folder, tmp_path):
    path = written(folder, GOOD.replace("alexnet, weights: random", "'torchvision:resnet18', weights: imagenet"))
    with pytest.raises(FileNotFoundError, match="no ImageNet weights of resnet18"):
        load_study(path, weights=tmp_path)
    (tmp_path / "resnet18-f37072fd.pth").touch()
    assert load_study(path, weights=tmp_path).networks[0].weights == str(tmp_path / "resnet18-f37072fd.pth")


def test_words_of_people_stay_words_and_powers_of_ten_are_numbers(tmp_path):
    from rsa_face.safety import read_yaml

    (tmp_path / "s.yaml").write_text("answer: yes\nother: [no, on, Off]\nflag: true\nlr: 1e-3\nn: 12\nid: '1e2'\n")
    values = read_yaml(tmp_path / "s.yaml", "A study")[1]
    expected = {"answer": "yes", "other": ["no", "on", "Off"], "flag": True, "lr": 0.001, "n": 12, "id": "1e2"}
    assert values == expected
    assert isinstance(values["n"], int)


REFERENCES = """\
name: any
stimuli: {table: stimuli.csv}
networks:
  - {name: vgg16, layers: [relu5_3, fc8]}
  - {name: "torchvision:resnet18", layers: ["layer?.1", fc]}
  - {name: "tests.activations.odd:twice", layers: [block], trained: true}
  - {name: "torchvision:squeezenet1_1", label: small, seeds: [0, 1]}
output: results
"""


def test_networks_come_by_reference_with_layers_of_their_own(folder):
    study = load_study(written(folder, REFERENCES))
    assert [network.called for network in study.networks] == ["vgg16", "resnet18", "twice", "small/random"]
    assert [network.weights for network in study.networks] == ["random", "random", "library", "random"]
    recorded = [layers_of(study, network) for network in networks_of(study)]
    assert recorded == [["relu5_3", "fc8"], ["layer?.1", "fc"], ["block"], "main", "main"]


def test_what_is_wrong_with_references_is_named_at_once_with_lines(folder):
    text = REFERENCES.replace("resnet18", "resnet19").replace("fc8]", "fc9]").replace("vgg16", "vgg16")
    with pytest.raises(ValueError, match="1 fault") as caught:
        load_study(written(folder, text))
    assert "line 5: networks.1.name: torchvision has no network 'resnet19'. Did you mean resnet" in str(caught.value)
    text = REFERENCES.replace("fc8]", "fc9]").replace('"layer?.1"', '"layer5.*"')
    with pytest.raises(ValueError, match="2 fault") as caught:
        load_study(written(folder, text))
    lines = str(caught.value).splitlines()
    assert "line 4: networks.0.layers.1: vgg16 has no 'fc9'" in lines[1]
    assert "line 5: networks.1.layers.0: resnet18 has no 'layer5.*'" in lines[2]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("layers: [relu5_3, fc8]", "trained: true", "trained is for callables"),
        ("layers: [relu5_3, fc8]", "weights: library", "write imagenet"),
        ("label: small", "attention: {position: pool5}", "attention is for fe_alexnet alone"),
        ('"torchvision:resnet18"', "torchvision", "Unknown network: 'torchvision'"),
    ],
)
def test_what_a_network_cannot_have_is_refused(folder, old, new, words):
    with pytest.raises(ValueError, match=words):
        load_study(written(folder, REFERENCES.replace(old, new)))


def test_reading_a_study_runs_no_builder(folder):
    study = load_study(written(folder, REFERENCES.replace("odd:twice, ", "odd:broken, ").replace("twice", "broken")))
    assert study.networks[2].called == "broken"


PEOPLE = """\
human:
  table: data/p*.csv
  kind: choice
  layout: {files: "{participant}", columns: {stimulus: face}, rename: ids.csv}
  ids: stimuli
  options: {answers: {high: anger, low: fear}}
psychophysics:
  table: [data/p1.csv, data/p2.csv]
  answers: {high: 1, low: 0}
  variable: coherence
  condition: part shown
  layout: {columns: {level: coherence, condition: part}}
"""


@pytest.fixture
def people(folder):
    (folder / "data").mkdir()
    for name in ("data/p1.csv", "data/p2.csv", "ids.csv"):
        (folder / name).write_text("face,response\n")
    return folder


def test_layout_ids_and_options_are_keys_of_the_sections_and_files_are_relative(people):
    study = load_study(written(people, GOOD + PEOPLE))
    assert study.human.table == people / "data" / "p*.csv"
    assert study.human.layout.files == "{participant}"
    assert study.human.layout.rename == people / "ids.csv"
    assert study.human.ids == "stimuli"
    assert study.psychophysics.table == (people / "data" / "p1.csv", people / "data" / "p2.csv")
    assert (study.psychophysics.answers.high, study.psychophysics.variable) == ("1", "coherence")
    assert study.psychophysics.reading["layout"].columns == {"level": "coherence", "condition": "part"}


def test_the_table_of_participants_is_looked_for_beside_the_study_file(people, monkeypatch):
    for place in (people, people / "data"):
        (place / "group.csv").write_text("participant,group\np1,patient\n")
    monkeypatch.chdir(people / "data")
    new = "human: {table: data/p1.csv, kind: rating, layout: {participants: group.csv}}\n"
    old = "human: {table: data/p1.csv, kind: rating, options: {layout: {participants: group.csv}}}\n"
    curves = "psychophysics: {table: data/p1.csv, layout: {participants: group.csv}}\n"
    for text in (new, old):
        assert load_study(written(people, GOOD + text)).human.layout.participants == people / "group.csv"
    assert load_study(written(people, GOOD + curves)).psychophysics.layout.participants == people / "group.csv"
    with pytest.raises(ValueError, match=r"line 6: human\.layout\.participants: there is no file '.*gone\.csv'"):
        load_study(written(people, GOOD + new.replace("group.csv", "gone.csv")))


def test_layout_and_ids_are_still_taken_from_the_options(people):
    old = "human: {table: data/p1.csv, kind: rating, options: {ids: stimuli, layout: {participants: none}}}\n"
    study = load_study(written(people, GOOD + old))
    assert (study.human.ids, study.human.layout.participants, study.human.options) == ("stimuli", "none", {})


@pytest.mark.parametrize(
    ("good", "wrong", "fault"),
    [
        ("data/p*.csv", "data/q*.csv", r"line 7: human\.table: there is no file"),
        ("rename: ids.csv", "rename: gone.csv", r"line 9: human\.layout\.rename: there is no file"),
        ("columns: {stimulus: face}", "colums: {}", r"line 9: human\.layout\.colums: is not a key here"),
        ("low: 0", "low: 1", r"line 14: psychophysics\.answers: high and low are both '1'"),
        ("p2.csv]", "p3.csv]", r"line 13: psychophysics\.table\.1: there is no file"),
    ],
)
def test_what_is_wrong_in_a_layout_has_its_line(people, good, wrong, fault):
    with pytest.raises(ValueError, match=fault):
        load_study(written(people, (GOOD + PEOPLE).replace(good, wrong)))
