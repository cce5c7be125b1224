"""The command itself: its version, its help without a command, and what goes wrong in a line."""

import re

import pytest

import rsa_face
from rsa_face.cli import main


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
