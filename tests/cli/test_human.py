"""rsa-face human reads judgements, says what a person can act on, and writes RDMs that come back."""

import json

import numpy as np
import pytest

import rsa_face as rf
from rsa_face.cli import main

SCALES = "happy,sad,angry,fearful,disgusted,surprised"


@pytest.fixture
def ratings(tmp_path):
    rng = np.random.default_rng(0)
    rows = ["subj;first;second;how_alike;practice"]
    for who in range(8):
        for i in range(5):
            for j in range(i):
                rows += [f"s{who};f{i};f{j};{np.clip(9 - 2 * abs(i - j) + rng.integers(-1, 2), 1, 9)};0"] * 2
    rows += ["s0;f1;f2;1;1"]
    path = tmp_path / "ratings.csv"
    path.write_text("\n".join(rows))
    table = tmp_path / "stimuli.csv"
    table.write_text("stimulus,file\n" + "".join(f"f{k},f{k}.png\n" for k in range(5)))
    words = ["--kind", "rating", "-o", "direction=similarity", "-o", "scale=1,9", "-l", "columns.participant=subj"]
    words += ["-l", "columns.stimulus_a=first", "-l", "columns.stimulus_b=second", "-l", "columns.rating=how_alike"]
    return [str(path), *words, "-l", "drop.practice=1", "--stimuli", str(table)]


def run(*words):
    with pytest.raises(SystemExit) as stopped:
        main(["human", *words])
    return stopped.value.code


def test_check_says_what_is_there_and_how_good(ratings, capsys, tmp_path):
    words = ["--figure", str(tmp_path / "good"), "--table", str(tmp_path / "good.csv"), "--halves", "50"]
    assert run("check", *ratings, *words) == 0
    said = capsys.readouterr().out
    assert "participants       8: 's0'" in said
    assert "left out           1: practice is 1" in said
    assert "test-retest similarity                  1" in said
    assert (tmp_path / "good.pdf").exists()
    assert "split-half reliability" in (tmp_path / "good.csv").read_text()
    assert "No stimuli were given" not in said


def test_check_prints_json_for_programs(ratings, capsys):
    assert run("check", *ratings, "--json", "--halves", "20") == 0
    page = json.loads(capsys.readouterr().out)["parts"][0]
    columns = {"participant": "subj", "stimulus_a": "first", "stimulus_b": "second", "rating": "how_alike"}
    human = rf.read_human(
        ratings[0],
        kind="rating",
        options={"direction": "similarity", "scale": (1, 9)},
        layout={"columns": columns, "drop": {"practice": "1"}},
    )
    assert page["summary"]["pairs"] == "10; a participant judged 100%"
    values = human.values[:, *np.triu_indices(5, 1)]
    low, middle, high = values.min(), np.median(values), values.max()
    assert page["summary"]["dissimilarity"] == f"{low:.4g} to {high:.4g}, median {middle:.4g}"
    rows = {row["quantity"]: row for row in page["reliability"]}
    ceiling = rf.noise_ceiling(human, comparison="spearman", resample=None).values
    assert [rows["noise ceiling"][end] for end in ("lower", "upper")] == pytest.approx(ceiling, abs=1e-9)
    reliability = rf.assess_reliability(human, halves=20)
    assert rows["split-half reliability"]["value"] == pytest.approx(float(reliability["split_half_corrected"]))
    assert rows["participants flagged as outlying"]["value"] == int(reliability["outlying"].sum())


def test_convert_writes_three_files_that_hold_the_same(ratings, capsys, tmp_path):
    files = [str(tmp_path / f"human.{ending}") for ending in ("nc", "h5", "csv")]
    assert run("convert", *ratings, *(word for file in files for word in ("--out", file))) == 0
    assert capsys.readouterr().out.split() == files
    arrays = [rf.read_human(file, kind="rdm") for file in files]
    assert arrays[0].sizes["participant"] == 8
    assert all(array.identical(arrays[0]) for array in arrays)


def test_faults_are_all_said_and_nothing_is_written(ratings, capsys, tmp_path):
    path = tmp_path / "ratings.csv"
    path.write_text(path.read_text() + "\ns1;f9;f1;4;0\ns1;f1;f2;eleven;0\ns1;f1;f2;11;0\n")
    out = tmp_path / "human.nc"
    assert run("convert", *ratings, "--out", str(out)) == 2
    said = capsys.readouterr().err
    assert "3 faults:" in said
    assert "line 163, column first: 'f9' is not among the stimuli" in said
    assert "line 164, column how_alike: 'eleven' is not a number" in said
    assert "line 165, column how_alike: 11 is off the scale 1 to 9" in said
    assert not out.exists()


def test_one_participant_is_read_and_told_about(tmp_path, capsys):
    path = tmp_path / "one.csv"
    path.write_text("participant,stimulus_a,stimulus_b,rating\np,a,b,1\np,a,c,2\np,b,c,3\n")
    assert run("check", str(path), "--kind", "rating") == 0
    assert "There is one participant: similarities can be computed, but no noise ceiling." in capsys.readouterr().out


def test_a_setting_that_is_none_is_refused(tmp_path, capsys):
    path = tmp_path / "one.csv"
    path.write_text("participant,stimulus_a,stimulus_b,rating\np,a,b,1\n")
    assert run("check", str(path), "--kind", "rating", "-o", "direction") == 2
    assert "'direction' is no setting" in capsys.readouterr().err
    assert run("check", str(path), "--kind", "rating", "-o", "scales=1,7") == 2
    assert "scales is not a key here" in capsys.readouterr().err


def test_a_template_overwrites_nothing(tmp_path, capsys):
    path = tmp_path / "t.csv"
    path.write_text("mine")
    assert run("template", "rating", "--out", str(path)) == 2
    assert "t.csv' already exists" in capsys.readouterr().err
    assert path.read_text() == "mine"


def test_an_ending_that_is_none_is_refused(ratings, capsys, tmp_path):
    assert run("convert", *ratings, "--out", str(tmp_path / "human.xlsx")) == 2
    assert "'.xlsx'" in capsys.readouterr().err


def test_real_morph_ratings_on_the_command_line(real_files, capsys):
    files = [str(real_files / "morph_ratings" / f"human_rating_{who}.csv") for who in ("caucasian", "taiwanese")]
    words = ["--kind", "features", "-o", f"scales={SCALES}", "-o", "scale=0,4", "-l", "columns.participant=ratersID"]
    words += ["-l", "columns.stimulus=imgID,imgEmo,imgInt", "-l", "keep.imgEmo=happy,sad,neutral", "--halves", "50"]
    assert run("check", *files, *words) == 0
    said = capsys.readouterr().out
    assert "0.760 to 0.773" in said
    assert "missing ratings    1" in said
    assert "3,840: imgEmo is not happy or sad or neutral" in said


def test_a_real_group_curve_is_read_and_its_ceiling_refused(real_files, capsys, tmp_path):
    ids = tmp_path / "ids.txt"
    ids.write_text("stimulus\n" + "".join(f"morph_{k}\n" for k in (0, 20, 30, 40, 50, 60, 70, 80, 100)))
    file = str(real_files / "published" / "human-data-9point.csv")
    assert run("check", file, "--kind", "choice", "-l", "names=p", "--ids", str(ids)) == 0
    said = capsys.readouterr().out
    assert "one curve of a group: similarities can be computed, but no noise ceiling" in said
    with pytest.raises(ValueError, match="only \\['group'\\]"):
        rf.noise_ceiling(rf.read_human(file, kind="choice", layout={"names": ["p"]}, ids=ids))
