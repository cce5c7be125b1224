"""The stimulus table is read as it stands, and every fault in it is named with its line."""

import pytest
from PIL import Image

from rsa_face.schema import MISSING
from rsa_face.stimuli.catalogue import read_stimuli


@pytest.fixture
def table(tmp_path):
    for name in "abc":
        Image.new("RGB", (4, 4), "red").save(tmp_path / f"{name}.png")

    def write(text, name="stimuli.csv"):
        (tmp_path / name).write_text(text, "utf-8")
        return tmp_path / name

    return write


def test_ids_files_and_factors_keep_their_order(table):
    stimuli = read_stimuli(table("stimulus,file,identity,level\nz,c.png,one,-1\n007,a.png,two,0.5\n"))
    assert stimuli.ids == ["z", "007"]
    assert [file.name for file in stimuli.files] == ["c.png", "a.png"]
    assert stimuli.factors == ["identity", "level"]
    assert all(file.is_absolute() for file in stimuli.files)


def test_tabs_and_columns_in_any_order_are_read(table):
    stimuli = read_stimuli(table("level\tfile\tstimulus\n1\ta.png\tx\n", "stimuli.tsv"))
    assert stimuli.table.columns.tolist() == ["stimulus", "file", "level"]


def test_duplicates_and_empty_ids_are_named_with_their_lines(table):
    with pytest.raises(ValueError, match=r"line 4 has no id; 'x' stands on lines \[2, 3\]"):
        read_stimuli(table("stimulus,file\nx,a.png\nx,b.png\n,c.png\n"))


def test_absent_images_are_all_named(table):
    with pytest.raises(FileNotFoundError, match=r"line 3: .*q\.png; line 4: .*r\.png"):
        read_stimuli(table("stimulus,file\nx,a.png\ny,q.png\nz,r.png\n"))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("stimulus,file\n", "No rows"),
        ("", "not"),
        ("stimulus,image\nx,a.png\n", r"No column file in .*'image'"),
    ],
)
def test_a_table_without_stimuli_is_refused(table, text, fault):
    with pytest.raises(ValueError, match=fault):
        read_stimuli(table(text))


def test_an_absent_table_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none\.csv"):
        read_stimuli(tmp_path / "none.csv")


def test_the_hash_follows_the_pixels_and_the_factors_but_not_the_place(table, tmp_path):
    first = read_stimuli(table("stimulus,file,level\nx,a.png,1\n"))
    assert read_stimuli(table("stimulus,file,level\nx,b.png,1\n")).content_hash() == first.content_hash()
    assert read_stimuli(table("stimulus,file,level\nx,b.png,2\n")).content_hash() != first.content_hash()
    before = first.content_hash()
    Image.new("RGB", (4, 4), "blue").save(tmp_path / "a.png")
    assert first.content_hash() != before


def test_selection_by_factor_keeps_the_order_and_names_what_is_unknown(table):
    stimuli = read_stimuli(table("stimulus,file,level\nx,a.png,1\ny,b.png,2\nz,c.png,1\n"))
    assert stimuli.select(level=1).ids == ["x", "z"]
    assert stimuli.select(level=[2, 1]).ids == ["x", "y", "z"]
    with pytest.raises(ValueError, match="'mood'"):
        stimuli.select(mood="happy")
    with pytest.raises(ValueError, match="No stimulus of 3"):
        stimuli.select(level=9)


def test_paths_of_a_table_made_on_windows_are_found(tmp_path):
    (tmp_path / "img").mkdir()
    Image.new("L", (4, 4)).save(tmp_path / "img" / "s0.png")
    (tmp_path / "t.csv").write_text("stimulus,file\na,img\\s0.png\n")
    assert read_stimuli(tmp_path / "t.csv").files == [tmp_path / "img" / "s0.png"]


@pytest.mark.parametrize("word", [word for word in MISSING if word])
def test_words_for_a_missing_value_are_missing_factors_and_may_be_names(tmp_path, word):
    Image.new("L", (4, 4)).save(tmp_path / "a.png")
    (tmp_path / "t.csv").write_text(f"stimulus,file,identity,level\n{word},a.png,{word},{word}\nb,a.png,p2,0.5\n")
    table = read_stimuli(tmp_path / "t.csv").table
    assert table["stimulus"].tolist() == [word, "b"]
    assert table["identity"].tolist() == [word, "p2"]
    assert table["level"].isna().tolist() == [True, False]


def test_ids_that_look_the_same_are_remarked_on(table):
    with pytest.warns(UserWarning, match=r"stimuli\.csv has a stimulus for each of 'z', 'Z', which differ in case"):
        read_stimuli(table("stimulus,file\nz,a.png\nZ,b.png\n"))
