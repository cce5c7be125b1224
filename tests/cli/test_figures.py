"""``rsa-face figures`` writes every figure a study's folder has the parts for."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from PIL import Image

from rsa_face.cli import main
from rsa_face.figures.style import font_in_words
from rsa_face.provenance import hash_file, load, save
from rsa_face.psychophysics.psychometric import fit_psychometric
from tests.made_up import made_up_localization


@pytest.fixture
def results(tmp_path):
    layers = ["relu1", "fe", "fc8"]
    coords = {
        "rdm": [f"fe_alexnet/{layer}" for layer in layers],
        "network": ("rdm", ["fe_alexnet"] * 3),
        "layer": ("rdm", layers),
        "order": ("rdm", [0, 1, 2]),
        "depth": ("rdm", [0.3, 0.6, 1.0]),
    }
    result = xr.Dataset({"similarity": ("rdm", [0.1, 0.2, 0.3])}, coords, {"comparison": "rho-a", "simulated": True})
    points = np.random.default_rng(0).normal(size=(3, 6, 2))
    values = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1)
    ids = [f"s{n}" for n in range(6)]
    rdms = xr.DataArray(values, coords | {"stimulus_i": ids, "stimulus_j": ids}, ("rdm", "stimulus_i", "stimulus_j"))
    save(result, tmp_path / "layers.nc")
    save(rdms, tmp_path / "rdms.nc")
    return tmp_path


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as left:
        main(["figures", *map(str, words)])
    return int(left.value.code)


def test_figures_are_written_and_what_is_missing_is_said(results, capsys):
    assert run(results, "--style", "plos", "--formats", "png") == 0
    written = {path.name for path in (results / "figures" / "plos").iterdir()}
    assert {"layers.png", "layers.csv", "networks.png", "rdms.png", "mds-fe_alexnet.png", "study.png"} <= written
    assert "Left out: There is no human_rdms.nc" in capsys.readouterr().out


def test_other_results_are_drawn_by_their_names(results, capsys):
    trials = {"participant": "p1", "level": [-1, -0.5, 0, 0.5, 1] * 4, "p_happy": [0, 0.2, 0.5, 0.9, 1] * 4}
    save(fit_psychometric(pd.DataFrame(trials)), results / "psychometric.nc")
    where = made_up_localization(["relu1", "fe"], {"peak": {"fe": 1.0}}, {"peak": "fe"})
    save(where, results / "localization.nc")
    assert run(results, "--formats", "png", "--only", "psychometric,localization") == 0
    written = {path.name for path in (results / "figures" / "nature").iterdir()}
    assert {"psychometric.png", "localization.png", "localization.csv"} <= written


def test_people_who_judged_fewer_stimuli_stand_beside_the_layers_of_those(results, capsys):
    rdms = load(results / "rdms.nc")
    save(rdms.isel(stimulus_i=range(4), stimulus_j=range(4), rdm=[0, 1]).drop_vars(
        ["rdm", "network", "layer", "order", "depth"]).rename(rdm="participant").assign_coords(
        participant=["p1", "p2"]), results / "human_rdms.nc")  # fmt: skip
    assert run(results, "--formats", "png", "--only", "rdms, rdms-all,mds-people") == 0
    written = {path.name for path in (results / "figures" / "nature").iterdir()}
    names, endings = ("rdms", "rdms-all", "mds-people"), ("png", "csv", "txt")
    assert written == {f"{name}.{ending}" for name in names for ending in endings}
    assert len(pd.read_csv(results / "figures" / "nature" / "rdms.csv")) == 6
    assert len(pd.read_csv(results / "figures" / "nature" / "rdms-all.csv")) == 15


def test_people_who_left_a_pair_unjudged_are_not_points_and_that_is_said(results, capsys):
    rdms = load(results / "rdms.nc")
    human = rdms.drop_vars(["rdm", "network", "layer", "order", "depth"]).rename(rdm="participant")
    human[:, 0, 1] = human[:, 1, 0] = np.nan
    save(human.assign_coords(participant=["p1", "p2", "p3"]), results / "human_rdms.nc")
    assert run(results, "--formats", "png", "--only", "layers") == 0
    assert "Left out: people as points: 1 pair" in capsys.readouterr().out


def test_more_stimuli_than_can_be_told_apart_are_not_drawn_as_points(results, capsys):
    ids = [f"s{n}" for n in range(401)]
    values = np.abs(np.subtract.outer(np.arange(401.0), np.arange(401.0)))[None]
    first = load(results / "rdms.nc").isel(rdm=[0]).coords
    coords = {name: ("rdm", first[name].values) for name in ("rdm", "network", "layer", "order", "depth")}
    save(
        xr.DataArray(values, coords | {"stimulus_i": ids, "stimulus_j": ids}, ("rdm", "stimulus_i", "stimulus_j")),
        results / "rdms.nc",
    )
    assert run(results, "--formats", "png", "--only", "layers") == 0
    assert (
        "Left out: faces as points: 401 stimuli would hide one another (at most 400 are drawn)"
        in capsys.readouterr().out
    )
    assert run(results, "--only", "mds-fe_alexnet") == 2


def test_a_figure_is_written_at_the_resolution_asked_for(results):
    sizes = []
    for dpi in (100, 200):
        assert run(results, "--formats", "png", "--only", "layers", "--dpi", dpi) == 0
        with Image.open(results / "figures" / "nature" / "layers.png") as image:
            sizes.append(np.array(image.size))
    np.testing.assert_allclose(sizes[1] / sizes[0], 2, atol=0.02)


def test_the_studys_own_figures_are_not_written_over(results, capsys):
    own = results / "figures" / "layers.png"
    own.parent.mkdir()
    own.write_bytes(b"drawn by the run")
    stages = {"figures": {"outputs": {"figures/layers.png": "0" * 64}}}
    (results / "manifest.json").write_text(json.dumps({"stages": stages}))
    assert run(results, "--formats", "png", "--only", "layers", "--out", own.parent) == 2
    assert str(own) in capsys.readouterr().err
    assert run(results, "--formats", "png", "--only", "layers", "--style", "talk") == 0
    assert own.read_bytes() == b"drawn by the run"
    assert (results / "figures" / "talk" / "layers.png").is_file()


def test_an_image_says_which_results_it_was_drawn_from(results):
    assert run(results, "--only", "layers") == 0
    said = f"layers.nc {hash_file(results / 'layers.nc')[:12]}"
    drawn = results / "figures" / "nature" / "layers"
    with Image.open(drawn.with_suffix(".png")) as image:
        assert said in image.text["Description"]
    assert said in drawn.with_suffix(".svg").read_text("utf-8")
    assert said.encode() in drawn.with_suffix(".pdf").read_bytes()


def test_paths_are_printed_as_json(results, capsys):
    assert run(results, "--formats", "png", "--only", "layers", "--out", results / "elsewhere", "--json") == 0
    said = json.loads(capsys.readouterr().out)
    assert str(results / "elsewhere" / "layers.png") in said["written"]
    assert said["font"] == font_in_words()


def test_a_wrong_request_is_one_line_and_exit_code_2(results, capsys):
    assert run(results, "--style", "cell") == 2
    assert "'cell'" in capsys.readouterr().err
    assert run(results, "--formats", "bmp") == 2
    assert run(results, "--only", "dream") == 2
    assert "'dream'" in capsys.readouterr().err
    assert run(results / "nowhere") == 2
    assert "Traceback" not in capsys.readouterr().err
