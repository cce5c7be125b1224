"""Choices between any two answers, along any variable, under conditions of their own: the words go with them."""

import json

import numpy as np
import pandas as pd
import pytest

from rsa_face.cli import main
from rsa_face.figures.behaviour import plot_psychometric
from rsa_face.human.choices import read_choices
from rsa_face.human.read import read_human
from rsa_face.psychophysics.choices import check_choices
from rsa_face.psychophysics.psychometric import fit_psychometric
from rsa_face.report.charts import curve_chart
from rsa_face.study.behaviour import must_answer_alike, tabulate_curves

LEVELS = (0, 20, 40, 60, 80, 100)
FEAR = {"answers": {"high": "anger", "low": "fear"}, "unit": "%"}
LAYOUT = {
    "columns": {"participant": "subj", "level": "morph", "condition": "part", "response": "key"},
    "recode": {"response": {"j": "anger", "f": "fear"}},
    "drop": {"block": "practice"},
}


@pytest.fixture
def table(tmp_path):
    """Write the keys that two people pressed along a morph from fear to anger, shown in two parts."""
    lines = ["subj,morph,part,key,block,stimulus", "1,0,upper,j,practice,face0", "1,20,upper,None,main,face20"]
    for who in (1, 2):
        for part, shift in (("upper", 0), ("lower", 15)):
            for level in LEVELS:
                chance = 1 / (1 + np.exp(-(level - 45 - shift) / 8))
                lines += [
                    f"{who},{level},{part},{'j' if k < 20 * chance else 'f'},main,face{level}" for k in range(20)
                ]
    (tmp_path / "fear.csv").write_text("\n".join(lines))
    return tmp_path / "fear.csv"


def test_keys_levels_and_conditions_are_read_under_their_own_names(table):
    choices = read_choices(table, layout=LAYOUT, **FEAR)
    assert len(choices) == 2 * 2 * 6 * 20
    assert choices["occlusion"].unique().tolist() == ["upper", "lower"]
    words = {name: choices.attrs[name] for name in ("high", "low", "variable", "unit", "condition")}
    assert words == {"high": "anger", "low": "fear", "variable": "morph", "unit": "%", "condition": "part"}
    assert choices.attrs["left_out_why"] == {"block is practice": 1, "key is missing (None)": 1}
    upper = choices[(choices["occlusion"] == "upper") & (choices["level"] == 60)]
    assert upper["chosen"].mean() == pytest.approx(0.9)


def test_figures_tables_and_reports_use_these_words(table):
    fit = fit_psychometric(read_choices(table, layout=LAYOUT, condition="part shown", **FEAR))
    pses = fit["pse"].mean("participant").to_series()
    assert pses["upper"] == pytest.approx(45, abs=3)
    assert pses["lower"] == pytest.approx(60, abs=3)
    sheet = plot_psychometric(fit)
    assert [panel.get_title(loc="left") for panel in sheet.child_axes] == ["Part shown: upper", "Part shown: lower"]
    assert sheet.child_axes[0].get_ylabel() == "P(anger)"
    texts = " ".join(text.get_text() for text in sheet.texts)
    assert "Morph (%), fear to anger" in texts
    assert "where anger is chosen half the time" in texts
    rows = tabulate_curves(fit)
    assert rows["part shown"].unique().tolist() == ["upper", "lower"]
    chart = curve_chart(fit, None)
    page = json.dumps([view.layout for view in chart.views]) + chart.hint + chart.pointing + chart.pick
    assert "P(anger)" in page
    assert "Part shown" in page
    assert chart.views[0].table["part shown"].unique().tolist() == ["upper"]
    for shown in (texts, page, rows.to_csv()):
        assert "happy" not in shown
        assert "sad" not in shown


@pytest.mark.parametrize(
    ("words", "high", "low"),
    [(("1", "0"), "1", "0"), (("yes", "no"), "yes", "no"), (("Happy", "Sad"), "happy", "sad")],
)
def test_known_pairs_of_answers_need_no_names(tmp_path, words, high, low):
    path = tmp_path / "x.csv"
    path.write_text("participant,level,response\n" + "".join(f"p,{k},{word}\n" for k, word in enumerate(words)))
    choices = read_choices(path)
    assert (choices.attrs["high"], choices.attrs["low"]) == (high, low)
    assert choices["chosen"].tolist() == [1, 0]


def test_unknown_answers_are_refused_with_what_names_them(tmp_path, table):
    with pytest.raises(ValueError, match=r"'f' is neither happy nor sad \(other answers are named: answers=\{high"):
        read_choices(table, layout={"columns": LAYOUT["columns"]})
    with pytest.raises(ValueError, match="high and low are both 'anger'"):
        read_choices(table, layout=LAYOUT, answers={"high": "anger", "low": "anger"})
    with pytest.raises(ValueError, match="line 2 answers 'anger'"):
        check_choices(pd.DataFrame({"participant": ["a"], "level": [1], "response": ["anger"]}))


def test_a_table_made_in_python_takes_the_same_words():
    rows = {"participant": "a", "level": [0, 1], "response": ["fear", "anger"], "condition": "upper"}
    choices = check_choices(pd.DataFrame(rows), words={"answers": {"high": "anger", "low": "fear"}})
    assert choices["chosen"].tolist() == [0, 1]
    assert choices["occlusion"].tolist() == ["upper", "upper"]
    chances = check_choices(pd.DataFrame({"network": "n", "level": [0, 1], "p_anger": [0.1, 0.9]}), words=FEAR)
    assert chances["chosen"].tolist() == [0.1, 0.9]
    must_answer_alike(choices, chances)
    other = check_choices(pd.DataFrame({"network": "n", "level": [0, 1], "p_happy": [0.1, 0.9]}))
    with pytest.raises(ValueError, match="People answered anger or fear, networks happy or sad"):
        must_answer_alike(choices, other)


def test_human_rdms_take_the_same_answers(table):
    layout = {**LAYOUT, "columns": {**LAYOUT["columns"], "level": "morph"}, "by": "part"}
    layout["columns"].pop("condition")
    human = read_human(table, kind="choice", layout=layout, options={"answers": FEAR["answers"]})
    assert human["part"].values.tolist() == ["lower", "upper"]
    assert human.sel(part="upper", participant="1", stimulus_i="face0", stimulus_j="face100").item() > 0.9
    with pytest.raises(ValueError, match="'fear' is neither of the two, anger and calm"):
        read_human(table, kind="choice", layout=layout, options={"answers": {"high": "anger", "low": "calm"}})


def test_the_command_takes_answers_words_and_layout(table, tmp_path, capsys):
    words = [
        "psychometric",
        str(table),
        "--high",
        "anger",
        "--low",
        "fear",
        "--unit",
        "%",
        "--out",
        str(tmp_path / "o"),
    ]
    for outer, inner in LAYOUT.items():
        for name, value in inner.items():
            pairs = value.items() if isinstance(value, dict) else [("", value)]
            words += [w for key, one in pairs for w in ("-l", f"{outer}.{name}{'.' * bool(key)}{key}={one}")]
    with pytest.raises(SystemExit) as left:
        main(words)
    printed = capsys.readouterr()
    assert left.value.code == 0, printed.err
    assert "each participant and part" in printed.out
    assert (tmp_path / "o" / "figures" / "psychometric.png").is_file()
    assert pd.read_csv(tmp_path / "o" / "psychometric.csv").columns[2] == "part"
    with pytest.raises(SystemExit) as left:
        main(["psychometric", str(table), "--high", "anger"])
    assert left.value.code != 0
    assert "--low is missing" in capsys.readouterr().err
