"""The command itself: its version, its help without a command, and what goes wrong in a line."""

import json
import re
import time

import pandas as pd
import pytest
import typer
from PIL import Image
from rich.text import Text

import rsa_face
from rsa_face import schema
from rsa_face.activations.extract import LOSSES, POOLS
from rsa_face.cli import app, main, saying_what_is_loaded
from rsa_face.cli.shared import SAID, say_json
from rsa_face.figures.rdms import SCALES
from rsa_face.figures.style import STYLES
from rsa_face.human.reliability import COMPARISONS_OF_PEOPLE
from rsa_face.psychophysics.curve import SIGMOIDS
from rsa_face.saliency.maps import ANSWERS, CAMS
from rsa_face.stimuli.occlusion import FILLS
from rsa_face.training import data


def run(capsys, *words) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as exit_:
        main([str(word) for word in words])
    out, err = capsys.readouterr()
    return exit_.value.code, out, err


def test_the_version_is_that_of_the_package(capsys):
    assert run(capsys, "--version") == (0, f"rsa-face {rsa_face.__version__}\n", "")


@pytest.mark.parametrize("words", [(), ("human",), ("stimuli",), ("datasets",)])
def test_a_command_without_words_prints_its_help_and_is_no_error(capsys, words):
    code, out, err = run(capsys, *words)
    assert (code, err) == (0, "")
    assert "Usage" in out


def test_a_terminal_is_told_within_a_second_what_it_waits_for(capsys, monkeypatch):
    SAID.clear()
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    with saying_what_is_loaded():
        time.sleep(0.8)  # what loading torch takes, and more on a busy machine
    assert capsys.readouterr().err == "Loading ...\n"
    with saying_what_is_loaded():
        pass
    assert capsys.readouterr().err == ""


def test_help_lists_the_version_and_debug(capsys):
    _, out, _ = run(capsys, "--help")
    assert {"--version", "--debug"} <= set(re.findall(r"--\w+", out))


def test_an_unknown_command_is_named_in_one_line(capsys):
    code, out, err = run(capsys, "stimuli", "nonsense")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "'nonsense'" in err
    assert "stimuli --help" in err


def test_debug_raises_the_error_where_it_arose(capsys, tmp_path):
    words = ["stimuli", "check", str(tmp_path / "none.csv")]
    code, _, err = run(capsys, *words)
    assert (code, "none.csv" in err) == (2, True)
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        main([*words, "--debug"])


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("stimuli", "render", "--out", "x", "--identities", "some"), "--identities is 'some'"),
        (("stimuli", "render", "--out", "x", "--identities", "1.5"), "--identities is '1.5'"),
        (("stimuli", "render", "--out", "x", "--levels", "sad"), "--levels is 'sad'"),
        (("psychometric", "x.csv", "--guess", "little"), "--guess is 'little'"),
        (("rdms", "table.csv"), "--network and --out are missing"),
        (("rdms", "study.yaml", "--seed", "1"), "--seed cannot be given"),
    ],
)
def test_a_wrong_value_is_named_first(capsys, words, named):
    code, _, err = run(capsys, *words)
    assert code == 2
    assert err.startswith(f"Error: {named}")


def every_command(group=None, words=()):
    """Give each command of the command line, with the words that call it."""
    group = typer.main.get_command(app) if group is None else group
    yield words, group
    for name, command in getattr(group, "commands", {}).items():
        yield from every_command(command, (*words, name))


COMMANDS = dict(every_command())


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_says_all_that_it_is_given_to_say(words):
    command = COMMANDS[words]
    for text in [command.help or "", *(getattr(option, "help", None) or "" for option in command.params)]:
        assert Text.from_markup(text).plain == text.replace("\\[", "[")


def test_help_names_the_extras_in_brackets(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "rsa-face[cluster]" in run(capsys, "run", "--help")[1]
    assert "rsa-face[faces]" in run(capsys, "stimuli", "render", "--help")[1]


@pytest.mark.parametrize(
    ("words", "option", "registry"),
    [
        (("compare",), "comparison", schema.COMPARISONS),
        (("compare",), "resample", ["dual", "both", "stimulus", "participant", "none"]),
        (("compare",), "correction", ["max", "holm", "fdr", "none"]),
        (("figures",), "style", STYLES),
        (("figures",), "scale", SCALES),
        (("extract",), "dtype", LOSSES),
        (("extract",), "pool", POOLS),
        (("train",), "kind", data.KINDS),
        (("stimuli", "occlude"), "fill", FILLS),
        (("saliency",), "method", CAMS),
        (("saliency",), "answer", ANSWERS),
        (("psychometric",), "sigmoid", SIGMOIDS),
        (("human", "check"), "comparison", COMPARISONS_OF_PEOPLE),
    ],
)
def test_choices_are_those_of_the_package_shown_and_completed(capsys, monkeypatch, words, option, registry):
    monkeypatch.setenv("COLUMNS", "300")
    assert f"<{'|'.join(registry)}>" in run(capsys, *words, "--help")[1]
    code, _, err = run(capsys, *words, f"--{option}", "other")
    assert (code, err.split(".")[0]) == (2, f"Error: Invalid value for '--{option}': 'other' is not one of "
            + ", ".join(f"'{name}'" for name in registry))  # fmt: skip
    [parameter] = [one for one in COMMANDS[words].params if one.name == option]
    first = next(iter(registry))
    context = COMMANDS[words].make_context("x", [], resilient_parsing=True)
    assert first in [item.value for item in parameter.shell_complete(context, first[:2])]


@pytest.mark.parametrize(
    ("words", "name", "start", "expected"),
    [
        (("layers",), "network", "vgg", ["vgg11", "vgg13", "vgg16"]),
        (("human", "check"), "kind", "r", ["rdm", "rating", "ranking"]),
        (("rdms",), "measure", "co", ["correlation", "cosine"]),
        (("weights", "inspect"), "layout", "vgg-f", ["vgg-face", "vgg-face-bgr"]),
        (("datasets", "fetch"), "name", "krieg", ["kriegeskorte92"]),
        (("run",), "study", "demo-", []),
    ],
)
def test_names_are_completed_from_where_they_are_registered(words, name, start, expected):
    [parameter] = [one for one in COMMANDS[words].params if one.name == name]
    context = COMMANDS[words].make_context("x", [], resilient_parsing=True)
    assert [item.value for item in parameter.shell_complete(context, start)] == expected


@pytest.mark.filterwarnings("ignore:Glyph")  # a figure has no letter for it
def test_what_a_terminal_would_obey_is_written_out(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "200")
    name = "a\x1b[2J\u202eb"
    rows = {"participant": name, "level": [-1, -0.5, 0.5, 1] * 4, "response": ["sad", "sad", "happy", "happy"] * 4}
    pd.DataFrame(rows).to_csv(tmp_path / "choices.csv", index=False)
    headed = {**rows, "participant": "p", name: ["whole"] * 16}  # the heading of a column of what is printed
    pd.DataFrame(headed).to_csv(tmp_path / "headed.csv", index=False)
    Image.new("L", (8, 8)).save(tmp_path / "x.png")
    table = {"stimulus": ["x"], "file": ["x.png"], "identity": [name], name: ["1"]}
    pd.DataFrame(table).to_csv(tmp_path / "stimuli.csv", index=False)
    trials = {"participant": [name, name], "stimulus": [name, "y"], "response": ["happy", "sad"]}
    pd.DataFrame(trials).to_csv(tmp_path / "trials.csv", index=False)
    printed = {}
    for words in (
        ("psychometric", tmp_path / "choices.csv", "--out", tmp_path / "out"),
        ("psychometric", tmp_path / "headed.csv", "--layout", f"columns.condition={name}", "--out", tmp_path / "two"),
        ("stimuli", "show", tmp_path / "stimuli.csv"),
        ("stimuli", "check", tmp_path / "stimuli.csv"),
        ("human", "check", tmp_path / "trials.csv", "--kind", "choice"),
        ("human", "check", tmp_path / "trials.csv", "--kind", "choice", "--stimuli", tmp_path / "stimuli.csv"),
    ):
        _, out, err = run(capsys, *words)
        printed[words] = out + err
        assert "\x1b[2J" not in out + err
        assert "\u202e" not in out + err
    assert [words for words, text in printed.items() if r"a\x1b[2J\u202eb" not in text] == []


def test_what_has_no_bound_is_null_in_json(capsys):
    say_json({"upper": float("inf"), "rows": [{"p": float("nan"), "n": 3}]})
    assert json.loads(capsys.readouterr().out) == {"upper": None, "rows": [{"p": None, "n": 3}]}
