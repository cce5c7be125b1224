"""``rsa-face stimuli`` and ``rsa-face human simulate``, as typed."""

from importlib.util import find_spec

import pandas as pd
import pytest
from PIL import Image

from rsa_face.cli import main
from rsa_face.stimuli import head
from rsa_face.stimuli.faces import draw_faces


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    folder = tmp_path_factory.mktemp("faces")
    draw_faces(folder, identities=2, levels=3, size=40, seed=0)
    return folder / "stimuli.csv"


def run(*words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return left.value.code


def size_of(file):
    with Image.open(file) as image:
        return image.size


@pytest.mark.skipif(not (find_spec("anny") and find_spec("pyvista")), reason="install rsa-face[faces]")
def test_render_writes_a_table_of_the_numbers_and_levels_asked(tmp_path, capsys):
    words = ["--identities", "7-8", "--levels=-.5", "--size", 32, "--out", tmp_path / "t.csv"]
    assert run("stimuli", "render", *words) == 0
    assert "2 images of 2 identities" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "t.csv")
    assert table["identity"].tolist() == ["face07", "face08"]
    assert table["level"].tolist() == [-0.5, -0.5]
    assert size_of(tmp_path / table["file"][0]) == (32, 32)


def test_render_without_the_extra_names_the_pip_command(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(head, "find_spec", lambda _: None)
    assert run("stimuli", "render", "--out", tmp_path) == 2
    said = capsys.readouterr().err
    assert "pip install 'rsa-face[faces]'" in said
    assert "Traceback" not in said


@pytest.mark.parametrize(
    ("option", "value", "named"),
    [
        ("--identities", "some", "'some'"),
        ("--identities", "2.5", "'2.5'"),
        ("--identities", "9-7", "[]"),
        ("--levels", "low,high", "'low,high'"),
        ("--levels", "-2,2", "[-2.0, 2.0]"),
        ("--levels", "0", "[]"),
        ("--size", "5", "5"),
        ("--yaw", "80", "80"),
    ],
)
def test_a_wrong_number_is_named(tmp_path, capsys, option, value, named):
    assert run("stimuli", "render", f"{option}={value}", "--out", tmp_path) == 2
    assert named in capsys.readouterr().err


def test_occlude_masks_and_says_where(faces, tmp_path, capsys):
    assert run("stimuli", "occlude", faces, "--regions", "eyes, mouth", "--fill", "blur", "--out", tmp_path) == 0
    assert "18 stimuli, whole and masked" in capsys.readouterr().out
    assert pd.read_csv(tmp_path / "stimuli.csv")["occlusion"].value_counts().to_dict() == {
        "none": 6, "eyes": 6, "mouth": 6,
    }  # fmt: skip


def test_occlude_refuses_an_unknown_region(faces, tmp_path, capsys):
    assert run("stimuli", "occlude", faces, "--regions", "chin", "--out", tmp_path) == 2
    assert "'chin'" in capsys.readouterr().err


def test_show_lists_the_factors_and_draws_a_sheet(faces, tmp_path, capsys):
    assert run("stimuli", "show", faces, "--out", tmp_path / "sheet.png", "--columns", 3) == 0
    said = capsys.readouterr().out
    assert "6 stimuli" in said
    assert "level: 3 values (-1.0, 0.0, 1.0)" in said
    assert size_of(tmp_path / "sheet.png") == (120, 80)


def test_simulated_observers_see_masks_and_leave_the_truth_beside_their_answers(faces, tmp_path, capsys):
    assert run("human", "simulate", faces, "--out", tmp_path, "--participants", 3, "--share", 1) == 0
    capsys.readouterr()
    for name in ("choices", "choices_truth", "ratings", "ratings_truth"):
        assert (tmp_path / f"{name}.csv").read_text().startswith("# simulated: true\n")
    choices = pd.read_csv(tmp_path / "choices.csv", comment="#")
    assert sorted(choices["occlusion"].unique()) == ["eyes", "mouth", "none", "nose"]
    assert len(pd.read_csv(tmp_path / "ratings.csv", comment="#")) == 3 * 15
