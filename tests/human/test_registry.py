"""A kind of human data is one row: its template passes its own check, and commands and study files know it."""

from pathlib import Path

import pytest

from rsa_face.cli import main
from rsa_face.human.judgements import Judgements, pair_index, share, sum_by_pair
from rsa_face.human.kinds import KINDS, HumanKind, template_of
from rsa_face.human.read import read_human
from rsa_face.human.trials import Column
from rsa_face.settings import Settings
from rsa_face.study.config import load_study

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_template_passes_its_own_check(kind, tmp_path, capsys):
    file = tmp_path / f"{kind}.csv"
    for words in (["template", kind, "--out", str(file)], ["check", str(file), "--kind", kind, "--halves", "20"]):
        with pytest.raises(SystemExit) as stopped:
            main(["human", *words])
        assert stopped.value.code == 0
    printed = capsys.readouterr().out
    assert "Reliability\n  noise ceiling" in printed
    assert "These are simulated observers" in printed


@pytest.mark.parametrize("kind", list(KINDS))
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


class Swapped(Settings):
    """The options of a kind made up here."""

    top: float = 10.0


def columns(options, source):
    return (
        Column("participant"),
        Column("left", stimulus=True),
        Column("right", stimulus=True),
        Column("alike", number=True),
    )


def judge(trials, options):
    trials.settle()
    people, ids = trials.values("participant"), trials.stimuli("left", "right")
    pair = pair_index(trials.codes("left", ids), trials.codes("right", ids), len(ids))
    shape = (len(people), len(ids) * (len(ids) - 1) // 2)
    who, alike = trials.codes("participant", people), trials.frame["alike"].to_numpy(float)
    counts = sum_by_pair(who, pair, shape)
    total = sum_by_pair(who, pair, shape, options.top - alike)
    return Judgements(people, ids, share(total, counts), counts, counts.sum(axis=1), simulated=trials.simulated)


def test_a_ninth_kind_is_one_row(tmp_path, monkeypatch, capsys):
    about = "How alike two things are, from 0 to 10."
    rows = ("p1,a,b,9", "p1,a,c,2", "p1,b,c,3", "p2,a,b,8", "p2,a,c,1", "p2,b,c,4")
    example = {"participant": "who", "left": "one id", "right": "another id", "alike": "a number"}
    monkeypatch.setitem(KINDS, "likert", HumanKind(about, Swapped, example, rows, columns, judge))
    file = tmp_path / "likert.csv"

    def run(*words):
        with pytest.raises(SystemExit) as stopped:
            main(["human", *words])
        return stopped.value.code, capsys.readouterr()

    assert about in run("kinds")[1].out
    assert run("template", "likert", "--out", str(file))[0] == 0
    assert run("check", str(file), "--kind", "likert", "--halves", "10")[0] == 0
    human = read_human(file, kind="likert", options={"top": 20})
    assert human.sel(stimulus_i="a", stimulus_j="b").values.tolist() == [11, 12]
    assert "likert" in run("check", str(file), "--kind", "other")[1].err
    study = "name: s\nstimuli: {table: likert.csv}\nnetworks: [{name: alexnet}]\noutput: out\n"
    study += "human: {table: likert.csv, kind: KIND, options: {top: 20}}\n"
    (tmp_path / "study.yaml").write_text(study.replace("KIND", "likert"))
    assert load_study(tmp_path / "study.yaml").human.kind == "likert"
    (tmp_path / "study.yaml").write_text(study.replace("KIND", "likely"))
    with pytest.raises(ValueError, match=r"'likely'; there are .*likert"):
        load_study(tmp_path / "study.yaml")
