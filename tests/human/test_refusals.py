"""Broken files of each kind: the error names file, line, column and value, and all of them at once."""

import numpy as np
import pytest

from rsa_face.human.kinds import KINDS
from rsa_face.human.read import read_human
from rsa_face.human.tables import Source
from rsa_face.human.trials import Column, read_trials

ROWS = {kind: [",".join(t.example), *t.rows] for kind, t in KINDS.items() if kind != "rdm"}
STIMULUS_COLUMN = {
    "rating": "stimulus_b",
    "pairs": "stimulus_b",
    "triplet": "stimulus_2",
    "samediff": "stimulus_b",
    "anchored": "anchor",
    "ranking": "choice_2",
}
NUMBER_COLUMN = {"rating": "rating", "pairs": "rating", "arrangement": "x", "samediff": "rt", "features": "happy"}


def write(tmp_path, lines, name="trials.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes("\n".join(lines).encode(encoding))
    return path


def changed(kind, line, column, value):
    rows = [row.split(",") for row in ROWS[kind]]
    rows[line - 1][rows[0].index(column)] = value
    return [",".join(row) for row in rows]


@pytest.mark.parametrize("kind", list(ROWS))
def test_a_missing_column_is_named_with_those_there_are(tmp_path, kind):
    column = ROWS[kind][0].split(",")[1]
    lines = [ROWS[kind][0].replace(column, "item"), *ROWS[kind][1:]]
    with pytest.raises(ValueError, match=rf"trials.csv, line 1: there is no column '{column}'; it has .*'item'"):
        read_human(write(tmp_path, lines), kind=kind)


@pytest.mark.parametrize("kind", list(ROWS))
def test_a_missing_participant_column_says_how_to_read_a_group(tmp_path, kind):
    with pytest.raises(ValueError, match=r"no column .participant. .*group=true"):
        read_human(write(tmp_path, [line.split(",", 1)[1] for line in ROWS[kind]]), kind=kind)


@pytest.mark.parametrize("kind", list(ROWS))
def test_an_unknown_stimulus_is_named_with_its_line(tmp_path, kind):
    column = STIMULUS_COLUMN.get(kind, "stimulus")
    known = ["face_01", "face_02", "face_03", "face_04"]
    file = write(tmp_path, changed(kind, 3, column, "fase_02"))
    with pytest.raises(ValueError, match=rf"trials.csv, line 3, column {column}: 'fase_02' is not among the stimuli"):
        read_human(file, kind=kind, stimuli=known)


@pytest.mark.parametrize("kind", list(ROWS))
def test_a_date_that_excel_made_of_an_id_is_recognised(tmp_path, kind):
    column = STIMULUS_COLUMN.get(kind, "stimulus")
    with pytest.raises(ValueError, match=rf"line 3, column {column}: '03-Feb' .*date"):
        read_human(write(tmp_path, changed(kind, 3, column, "03-Feb")), kind=kind)


@pytest.mark.parametrize("kind", list(NUMBER_COLUMN))
def test_text_in_a_number_is_named(tmp_path, kind):
    column = NUMBER_COLUMN[kind]
    with pytest.raises(ValueError, match=rf"line 3, column {column}: 'lots' is not a number"):
        read_human(write(tmp_path, changed(kind, 3, column, "lots")), kind=kind)


@pytest.mark.parametrize("kind", [kind for kind in ROWS if "trial" in ROWS[kind][0] and kind != "arrangement"])
def test_a_duplicate_trial_is_named(tmp_path, kind):
    with pytest.raises(ValueError, match="line 3, column trial: trial '1' of this participant occurs again"):
        read_human(write(tmp_path, changed(kind, 3, "trial", "1")), kind=kind)


@pytest.mark.parametrize("kind", list(ROWS))
def test_a_mark_semicolons_and_utf16_change_nothing(tmp_path, kind):
    plain = read_human(write(tmp_path, ROWS[kind]), kind=kind)
    semicolons = [line.replace(",", ";").replace(".", ",") for line in ROWS[kind]]
    for name, encoding in (("marked.csv", "utf-8-sig"), ("wide.csv", "utf-16")):
        other = read_human(write(tmp_path, semicolons, name, encoding), kind=kind)
        assert other.assign_attrs(plain.attrs).identical(plain)


def test_mixed_encodings_are_named_by_line(tmp_path):
    path = write(tmp_path, ROWS["rating"])
    path.write_bytes(path.read_bytes() + "\np02,gesicht_ä,face_01,3,9".encode("cp1252"))
    with pytest.raises(ValueError, match=r"trials.csv, line 9: byte 0xe4 is not UTF-8, in cell 2, after .*gesicht_"):
        read_human(path, kind="rating")


def test_points_and_decimal_commas_in_one_column_are_a_fault(tmp_path):
    lines = ["participant;stimulus_a;stimulus_b;rating", "p;a;b;1,5", "p;a;c;2.5", "p;b;c;3"]
    with pytest.raises(ValueError, match="line 2, column rating: '1,5' is not a number"):
        read_human(write(tmp_path, lines), kind="rating")


def test_the_odd_one_must_be_among_the_three(tmp_path):
    with pytest.raises(ValueError, match="line 2, column odd: 'face_04' is not among the three"):
        read_human(write(tmp_path, changed("triplet", 2, "odd", "face_04")), kind="triplet")


def test_up_to_twenty_faults_are_said_and_the_rest_counted(tmp_path):
    lines = ["participant,stimulus_a,stimulus_b,rating", "p,a,b,1", *(f"p,a,c{k},x{k}" for k in range(30))]
    with pytest.raises(ValueError, match=r"^30 faults:") as caught:
        read_human(write(tmp_path, lines), kind="rating")
    lines = str(caught.value).splitlines()
    assert lines[1] == "  trials.csv, line 3, column rating: 'x0' is not a number"
    assert lines[20].startswith("  trials.csv, line 22")
    assert lines[21] == "  and 10 more"


def test_lines_are_right_under_remarks_blank_lines_and_quoted_line_ends(tmp_path):
    lines = ["# made by hand", "participant,stimulus_a,stimulus_b,rating", "p,a,b,1", "", '"p\nq",a,b,1', "p,a,c,?"]
    with pytest.raises(ValueError, match=r"line 7, column rating: '\?' is not a number"):
        read_human(write(tmp_path, lines), kind="rating")


def test_good_rows_keep_every_character_of_their_ids(tmp_path):
    lines = ["participant,stimulus_a,stimulus_b,rating", "007,1.0,1,1", "007,1.0,TRUE,2", "007,1,NA_face,3"]
    human = read_human(write(tmp_path, lines), kind="rating")
    assert human["participant"].values.tolist() == ["007"]
    assert sorted(human["stimulus_i"].values.tolist()) == ["1", "1.0", "NA_face", "TRUE"]


@pytest.mark.parametrize("kind", list(ROWS))
def test_one_participant_is_read(tmp_path, kind):
    lines = [line for line in ROWS[kind] if not line.startswith("p02")]
    assert read_human(write(tmp_path, lines), kind=kind)["participant"].values.tolist() == ["p01"]


def test_forty_raters_find_happier_morphs_happier(real_files):
    files = [real_files / "morph_ratings" / f"human_rating_{who}.csv" for who in ("caucasian", "taiwanese")]
    layout = {
        "columns": {"participant": "ratersID", "stimulus": ("imgID", "imgEmo", "imgInt")},
        "keep": {"imgEmo": ("happy", "sad", "neutral")},
    }
    source = Source.of(files, "features", _layout(layout))
    columns = (Column("participant"), Column("stimulus", stimulus=True), Column("happy", number=True, empty=True))
    frame = read_trials(source, (*columns, Column("sad", number=True, empty=True))).frame
    words = frame["stimulus"].astype(str).str.split("_", expand=True)
    sign = words[1].map({"happy": 1, "sad": -1, "neutral": 0})
    valence = (frame["happy"] - frame["sad"]).groupby((sign * words[2].astype(int)).to_numpy()).mean()
    assert valence.index.tolist() == [-100, -75, -50, -25, 0, 25, 50, 75, 100]
    np.testing.assert_allclose(valence, [-2.60, -2.32, -1.75, -0.66, -0.31, 0.19, 1.55, 2.55, 3.09], atol=0.0051)


def _layout(given):
    from rsa_face.human.tables import Layout

    return Layout.model_validate(given)
