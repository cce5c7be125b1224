"""The replication's table: each architecture over its seeds, ranked by hand, with what came first said in words."""

import json

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import rsa_face as rf
from rsa_face.cli import main
from rsa_face.stimuli.faces import draw_faces
from rsa_face.study.seeds import compare_architectures, layers_picked
from tests.inference.simulated import simulate

SHARES = {"alexnet": 0.3, "vgg11": 0.5, "fe_alexnet": 0.9}
# On the signed scale: the morph's are .5 + half of these; people's mean is .514.
PSES = {"alexnet": 0.4, "vgg11": -0.3, "fe_alexnet": 0.1}
ACCURACIES = {"alexnet": 0.7, "vgg11": 0.9, "fe_alexnet": 0.8}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return what a study of three architectures and three seeds would have written."""
    folder, rng = tmp_path_factory.mktemp("replication"), np.random.default_rng(1)
    stimuli = draw_faces(folder, identities=8, levels=5, size=32)
    networks = [f"{name}/random/{seed}" for name in SHARES for seed in range(3)]
    each = {network: network.split("/")[0] for network in networks}
    shares = {
        f"{network}/{layer}": SHARES[name] * part
        for network, name in each.items()
        for layer, part in (("a", 0.5), ("b", 1))
    }
    rdms, human = simulate(shares, stimuli=40, participants=12, rng=rng)
    rf.save(rf.compare_layers(rdms, human, comparison="corr", draws=100), folder / "layers.nc")
    rows = [
        {"stimulus": face, "level": level, "network": network, "occlusion": "none",
         "p_happy": 1 / (1 + np.exp(-5 * (level - PSES[name] + 0.01 * rng.normal())))}
        for network, name in each.items()
        for face, level in zip(stimuli.ids, stimuli.table["level"], strict=True)
    ]  # fmt: skip
    pd.DataFrame(rows).to_csv(folder / "answers.csv", index=False)
    accuracy = [
        [ACCURACIES[each[network]] + 0.01 * (seed - 1)] * 2
        for seed, network in zip([0, 1, 2] * 3, networks, strict=True)
    ]
    scores = xr.Dataset(
        {"accuracy": (("network", "condition"), accuracy)}, {"network": networks, "condition": ["all", "none"]}
    )
    rf.save(scores, folder / "training.nc")
    return folder


@pytest.fixture(scope="module")
def table(folder):
    return compare_architectures(folder).set_index(["measure", "start"])


def test_accuracies_have_their_mean_and_interval_over_seeds(table):
    row = table.loc["accuracy, whole faces", "vgg11/random"]
    assert row["value"] == pytest.approx(0.9)
    assert row["seeds"] == 3
    # t with 2 degrees of freedom, 4.303, times .01 over the root of 3
    assert row["upper"] - row["value"] == pytest.approx(4.3027 * 0.01 / np.sqrt(3), rel=1e-4)
    assert row["over"] == "seeds"
    assert table.loc["accuracy, whole faces"]["place"].to_dict() == {
        "alexnet/random": 3, "vgg11/random": 1, "fe_alexnet/random": 2,
    }  # fmt: skip
    assert row["ahead"] == pytest.approx(-0.1)
    assert table.loc["accuracy, whole faces", "alexnet/random"]["p_ahead"] < 0.001


def test_pses_are_on_the_morph_and_ranked_by_their_distance_to_peoples(table):
    rows = table.loc["PSE"]
    expected = {"alexnet/random": 0.7, "vgg11/random": 0.35, "fe_alexnet/random": 0.55}
    assert rows["value"].to_dict() == pytest.approx(expected, abs=0.01)
    assert rows["z"].to_dict() == pytest.approx(
        {name: (pse - 0.514) / 0.092 for name, pse in expected.items()}, abs=0.1
    )
    assert rows["place"].to_dict() == {"alexnet/random": 3, "vgg11/random": 2, "fe_alexnet/random": 1}
    assert rows.loc["vgg11/random", "ahead"] == pytest.approx(0.164 - 0.036, abs=0.01)
    assert rows.loc["vgg11/random", "p_ahead"] < 0.05
    assert rows.loc["vgg11/random", "over"] == "seeds, identities"


def test_similarity_is_that_of_each_networks_best_layer(folder, table):
    assert layers_picked(folder)["fe_alexnet/random"] == ["b", "b", "b"]
    result = rf.load(folder / "layers.nc")
    each = result["similarity"].sel(rdm=[f"fe_alexnet/random/{seed}/b" for seed in range(3)])
    row = table.loc["similarity", "fe_alexnet/random"]
    assert row["value"] == pytest.approx(float(each.mean()))
    assert row["over"] == "seeds, stimuli, participants"
    assert row["place"] == 1
    assert table.loc["similarity", "alexnet/random"]["ahead_lower"] > 0


def run(*words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return left.value.code


def test_the_command_prints_a_table_and_says_who_came_first(folder, capsys):
    assert run("replication", folder) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("| network | seeds | accuracy, whole faces |")
    assert lines[3].startswith("| vgg11/random | 3 | 0.90 (0.88 to 0.92) |")
    assert lines[6].startswith(
        "- accuracy, whole faces (highest): fe_alexnet did not come first (place 2 of 3); ahead of"
    )
    assert "vgg11/random by -0.100 (-0.1" in lines[6]
    assert "PSE (nearest to people's): fe_alexnet came first, by more than chance; ahead of vgg11/random" in lines[8]
    assert "Similarity is to simulated observers." in lines[10]
    assert run("replication", folder, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)) == 12


def test_a_folder_that_is_no_such_study_is_named(folder, tmp_path, capsys):
    assert run("replication", tmp_path) == 2
    assert f"'{tmp_path}' has no training.nc, layers.nc, answers.csv, stimuli.csv" in capsys.readouterr().err
    assert run("replication", folder, "--network", "vgg16") == 2
    assert "No single start of vgg16" in capsys.readouterr().err


def test_a_network_that_gives_one_answer_has_no_pse(folder, tmp_path, capsys):
    for name in ("training.nc", "layers.nc", "stimuli.csv"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "images").symlink_to(folder / "images") if (folder / "images").exists() else None
    answers = pd.read_csv(folder / "answers.csv")
    answers.loc[answers["network"] == "fe_alexnet/random/1", "p_happy"] = 1.0
    answers.to_csv(tmp_path / "answers.csv", index=False)
    rows = compare_architectures(tmp_path).set_index(["measure", "start"]).loc["PSE"]
    assert np.isnan(rows.loc["fe_alexnet/random", "value"])
    assert rows.loc["vgg11/random", "place"] == 1
    assert run("replication", tmp_path) == 0
    assert "PSE: fe_alexnet has none" in capsys.readouterr().out
