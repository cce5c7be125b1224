"""Every template passes its own check, is the example in human_data, and explains each of its columns."""

from pathlib import Path

import pytest

from rsa_face.cli import main
from rsa_face.human.behaviour import KINDS, read_human
from rsa_face.human.templates import TEMPLATES, template_of

ROOT = Path(__file__).parents[2]


def test_there_is_a_template_for_each_kind():
    assert set(TEMPLATES) == set(KINDS)


@pytest.mark.parametrize("kind", list(TEMPLATES))
def test_a_template_passes_its_own_check(kind, tmp_path, capsys):
    file = tmp_path / f"{kind}.csv"
    for words in (["template", kind, "--out", str(file)], ["check", str(file), "--kind", kind, "--halves", "20"]):
        with pytest.raises(SystemExit) as stopped:
            main(["human", *words])
        assert stopped.value.code == 0
    said = capsys.readouterr().out
    assert "Reliability\n  noise ceiling" in said
    assert "These are simulated observers" in said


@pytest.mark.parametrize("kind", list(TEMPLATES))
def test_a_template_comments_each_column_and_is_the_example_given(kind):
    text = template_of(kind)
    header = next(line for line in text.splitlines() if not line.startswith("#"))
    for column in header.split(","):
        assert f"\n# {column}: " in text
    assert (ROOT / "human_data" / "examples" / f"{kind}.csv").read_text("utf-8") == text
    assert f"examples/{kind}.csv" in (ROOT / "human_data" / "README.md").read_text("utf-8")


def test_choices_are_read_for_each_level_of_a_factor():
    human = read_human(ROOT / "human_data/examples/choice.csv", kind="choice", layout={"by": "occlusion"})
    assert human.dims[0] == "occlusion"


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="'sorting'"):
        template_of("sorting")
