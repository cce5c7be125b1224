"""rsa-face psychometric and saliency: from tables and faces to files, figures and one-line refusals."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.special import ndtr

import rsa_face as rf
from rsa_face.cli import main

LEVELS = np.linspace(-1, 1, 9)


def run(*words):
    with pytest.raises(SystemExit) as stopped:
        main([str(word) for word in words])
    return stopped.value.code


@pytest.fixture
def choices(tmp_path):
    rng, rows = np.random.default_rng(0), []
    for person, pse in (("a", -0.1), ("b", 0.0), ("c", 0.15)):
        for place, level in enumerate(LEVELS):
            happy = rng.random(12) < ndtr((level - pse) / 0.3)
            rows += [(person, f"s{place}", level, "happy" if one else "sad", True) for one in happy]
    columns = ["participant", "stimulus", "level", "response", "simulated"]
    pd.DataFrame(rows, columns=columns).to_csv(tmp_path / "choices.csv", index=False)
    return tmp_path / "choices.csv"


@pytest.fixture
def answers(tmp_path):
    tables = [
        pd.DataFrame(
            {
                "network": name,
                "stimulus": [f"s{place}" for place in range(9)],
                "level": LEVELS,
                "p_happy": ndtr((LEVELS - pse) / 0.2),
            }
        )
        for name, pse in (("alexnet/0", 0.3), ("alexnet/1", 0.4), ("fe_alexnet/0", 0.1))
    ]
    pd.concat(tables).to_csv(tmp_path / "answers.csv", index=False)
    return tmp_path / "answers.csv"


@pytest.fixture
def faces(tmp_path):
    rng = np.random.default_rng(0)
    for place in range(3):
        Image.fromarray(rng.integers(0, 255, (48, 48, 3), dtype=np.uint8)).save(tmp_path / f"f{place}.png")
    table = pd.DataFrame(
        {
            "stimulus": ["f0", "f1", "f2"],
            "file": ["f0.png", "f1.png", "f2.png"],
            "level": [-1, 0, 1],
            "eyes": "8 10 40 18",
            "nose": "18 20 30 30",
            "mouth": "12 34 36 42",
        }
    )
    table.to_csv(tmp_path / "stimuli.csv", index=False)
    return tmp_path / "stimuli.csv"


def test_curves_of_people_and_networks_are_written_with_their_figure(choices, answers, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("psychometric", choices, "--answers", answers, "--out", out, "--draws", 50) == 0
    said = capsys.readouterr().out
    assert "Simulated: these are not choices of people." in said
    names = {path.name for path in out.iterdir()} | {path.name for path in (out / "figures").iterdir()}
    assert names >= {
        "psychometric.nc",
        "psychometric_networks.nc",
        "psychometric_likeness.nc",
        "psychometric.csv",
        "psychometric.png",
        "psychometric.pdf",
    }
    likeness = rf.load(out / "psychometric_likeness.nc")
    assert likeness["n_seeds"].to_series().to_dict() == {"alexnet": 2, "fe_alexnet": 1}
    assert np.isfinite(likeness["error_consistency"]).all()
    table = pd.read_csv(out / "psychometric.csv")
    assert table["kind"].tolist() == ["participant"] * 3 + ["network"] * 3
    assert (table["pse_lower"][:3] < table["pse"][:3]).all()
    assert table["pse"][3] == pytest.approx(0.3, abs=1e-3)
    assert run("figures", out, "--formats", "png", "--out", out / "again") == 0
    assert (out / "again" / "psychometric.csv").read_text() == (out / "figures" / "psychometric.csv").read_text()
    assert run("report", out) == 0
    assert "People (n = 3)" in (out / "report.html").read_text("utf-8")


def test_curves_as_json_for_programs(choices, tmp_path, capsys):
    assert run("psychometric", choices, "--out", tmp_path / "out", "--lapse", "0.02", "--json") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["simulated"] is True
    assert [row["lapse"] for row in printed["curves"]] == [0.02] * 3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sigmoid", "weibull"), "'weibull'"),
        (("--lapse", "some"), "'some'"),
        (("--network", "alexnet"), "--stimuli is missing"),
        (("--lapse", "0.9"), "lapse is 0.9"),
    ],
)
def test_a_wrong_request_for_curves_is_said_in_a_line(choices, tmp_path, capsys, words, said):
    assert run("psychometric", choices, "--out", tmp_path / "out", *words) == 2
    assert said in capsys.readouterr().err


def test_shares_of_saliency_are_written_with_maps_gate_and_figure(faces, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("saliency", faces, "--network", "fe_alexnet", "--method", "layercam", "--out", out) == 0
    said = capsys.readouterr().out
    assert "Untrained weights: fe_alexnet." in said
    regions, maps = rf.load(out / "saliency.nc"), rf.load(out / "saliency_maps.nc")
    assert regions["proportion"].dims == ("network", "stimulus", "region")
    assert maps.dims == ("network", "stimulus", "row", "column")
    assert maps["stimulus"].values.tolist() == ["f0", "f2"]
    assert rf.load(out / "saliency_gate_fe_alexnet.nc")["gate"].sizes["channel"] == 256
    assert (out / "figures" / "saliency.png").is_file()
    assert set(pd.read_csv(out / "saliency.csv")["region"]) == {"eyes", "nose", "mouth"}
    assert run("figures", out, "--formats", "png", "--out", out / "again") == 0
    assert (out / "again" / "saliency.png").is_file()
    assert run("report", out) == 0


def test_a_layer_without_space_is_said_in_a_line(faces, tmp_path, capsys):
    words = ("saliency", faces, "--network", "alexnet", "--layer", "fc7", "--out", tmp_path / "out")
    assert run(*words) == 2
    assert "No map of 'fc7'" in capsys.readouterr().err
