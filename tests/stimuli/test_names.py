"""Stimulus tables made from file names: published sets' codes become factors, and what does not match is listed."""

import os
from pathlib import Path

import pytest
from PIL import Image

from rsa_face.cli import main
from rsa_face.stimuli.catalogue import read_stimuli
from rsa_face.stimuli.names import PRESETS, stimuli_from_names

# A name of each set, as its documentation or its users write it, and what it says.
NAMES = [
    ("kdef", "AF01ANFL.JPG", {"series": "A", "identity": "F01", "gender": "female", "emotion": "anger",
                              "angle": "full left profile"}),
    ("kdef", "bm35afs.jpg", {"series": "b", "identity": "M35", "gender": "male", "emotion": "fear",
                             "angle": "straight"}),
    ("rafd", "Rafd090_57_Caucasian_female_angry_right.jpg", {"angle": 90, "identity": 57, "gender": "female",
                                                             "emotion": "anger", "gaze": "right"}),
    ("rafd", "Rafd045_41_Kid_female_neutral_frontal.jpg", {"angle": 45, "identity": 41, "ethnicity": "Kid",
                                                           "emotion": "neutral", "gaze": "frontal"}),
    ("jaffe", "NA.SU1.196.tiff", {"identity": "NA", "emotion": "surprise", "take": 1, "number": 196}),
    ("nimstim", "36M_HA_O.bmp", {"identity": "36M", "gender": "male", "emotion": "happy", "mouth": "open"}),
    ("nimstim", "01f_an_c.png", {"identity": "01F", "gender": "female", "emotion": "anger", "mouth": "closed"}),
    ("cfd", "CFD-WM-001-007-HC.jpg", {"identity": "WM-001", "ethnicity": "white", "gender": "male", "number": 7,
                                      "emotion": "happy", "mouth": "closed"}),
    ("cfd", "CFD-BF-233-116-N.jpg", {"identity": "BF-233", "ethnicity": "black", "emotion": "neutral"}),
    ("taiwan", "0721d03.jpg", {"identity": 7, "performance": "FACS", "angle": "front", "emotion": "anger",
                               "number": 3}),
    ("taiwan", "0101a02.jpg", {"identity": 1, "performance": "none", "angle": "front", "emotion": "neutral"}),
    ("faces", "004_o_m_a_b.jpg", {"identity": 4, "age": "old", "gender": "male", "emotion": "anger", "series": "b"}),
    ("london", "103_08.jpg", {"identity": 103, "emotion": "smiling"}),
    ("london", "001_neutral.jpg", {"identity": 1, "emotion": "neutral"}),
]  # fmt: skip


def image(path):
    path.parent.mkdir(exist_ok=True)
    Image.new("L", (4, 4)).save(path)


@pytest.mark.parametrize(("preset", "name", "factors"), NAMES, ids=[name for _, name, _ in NAMES])
def test_a_preset_reads_the_codes_of_its_set(tmp_path, preset, name, factors):
    image(tmp_path / name)
    table = stimuli_from_names(tmp_path, preset=preset).table
    assert table.loc[0, "stimulus"] == Path(name).stem
    assert {factor: table.loc[0, factor] for factor in factors} == factors
    assert table.attrs["unmatched"] == []


def test_every_preset_is_tried():
    assert {preset for preset, _, _ in NAMES} == set(PRESETS)


def test_names_that_do_not_match_are_listed_and_left_out(tmp_path):
    for name in ("AF01ANS.jpg", "AF01HAS.jpg", "average.png"):
        image(tmp_path / name)
    (tmp_path / "readme.txt").write_text("no image")
    with pytest.warns(
        UserWarning, match=r"1 of 3 images are not called as .* says: average\.png\. They are left out"
    ):
        stimuli = stimuli_from_names(tmp_path, preset="kdef")
    assert stimuli.ids == ["AF01ANS", "AF01HAS"]
    assert stimuli.table.attrs["unmatched"] == ["average.png"]
    with pytest.raises(ValueError, match=r"its images are called AF01ANS\.jpg, AF01HAS\.jpg, average\.png"):
        stimuli_from_names(tmp_path, preset="cfd")


@pytest.mark.parametrize(
    "pattern", [r"(?P<identity>..)_(?P<emotion>..)", "{identity}_{emotion}", "{identity}_{emotion}.png"]
)
def test_a_pattern_of_ones_own_is_a_regular_expression_or_names_in_braces(tmp_path, pattern):
    image(tmp_path / "ab_HA.png")
    row = stimuli_from_names(tmp_path, pattern=pattern, out=tmp_path / "tables" / "mine.csv").table.iloc[0]
    assert (row["identity"], row["emotion"]) == ("ab", "HA")
    assert read_stimuli(tmp_path / "tables" / "mine.csv").files == [tmp_path / "ab_HA.png"]


def test_folders_are_factors_too_and_tell_images_of_one_name_apart(tmp_path):
    for folder in ("happy", "sad"):
        image(tmp_path / folder / "01.png")
    stimuli = stimuli_from_names(tmp_path, pattern="{emotion}/{identity}")
    assert stimuli.ids == ["happy_01", "sad_01"]
    assert stimuli.table["emotion"].tolist() == ["happy", "sad"]


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "Neither of preset and pattern"),
        ({"preset": "kdef", "pattern": "x"}, "Both of preset and pattern"),
        ({"preset": "kdeff"}, "kdeff"),
        ({"pattern": "(?P<a>"}, "is no pattern of names"),
        ({"pattern": ".*"}, "names no parts"),
        ({"pattern": "{file}"}, "'file', which the table has already"),
    ],
)
def test_what_cannot_be_a_pattern_is_refused(tmp_path, given, problem):
    image(tmp_path / "a.png")
    with pytest.raises(ValueError, match=problem):
        stimuli_from_names(tmp_path, **given)


def test_the_command_writes_the_table_and_prints_the_factors(tmp_path, capsys):
    for name in ("AF01ANS.jpg", "AF01HAS.jpg", "AF02HAS.jpg"):
        image(tmp_path / name)
    with pytest.raises(SystemExit) as left:
        main(["stimuli", "from-names", str(tmp_path), "--preset", "kdef"])
    assert left.value.code == 0
    printed = capsys.readouterr().out
    assert f"3 stimuli: {tmp_path / 'stimuli.csv'}" in printed
    assert "emotion: anger (1), happy (2)" in printed


LONDON = Path(os.environ.get("RSA_FACE_DATA", ""), "london", "images")


@pytest.mark.skipif(not LONDON.is_dir(), reason="the London set is not at RSA_FACE_DATA")
def test_the_london_set_as_it_is_distributed(tmp_path):
    table = stimuli_from_names(LONDON, preset="london", out=tmp_path / "stimuli.csv").table
    assert len(table) == 204
    assert table["identity"].nunique() == 102
    assert table["emotion"].value_counts().to_dict() == {"neutral": 102, "smiling": 102}
