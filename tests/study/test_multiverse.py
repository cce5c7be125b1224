"""The multiverse of a study: every analysis that its file names, from RDMs that were made, kept as they are made."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import rsa_face as rf
from rsa_face.cli import main
from rsa_face.report.narrate import multiverse_sentences
from rsa_face.study import multiverse as module
from rsa_face.study.config import load_study
from rsa_face.study.multiverse import run_multiverse

LAYERS = ("relu1", "relu2", "fe", "fc8")
STUDY = """\
name: many
stimuli: {table: stimuli.csv}
networks:
  - {name: alexnet, preprocessing: &small {resize: 64, crop: 64}}
  - {name: fe_alexnet, preprocessing: *small}
human: {table: ratings.csv, kind: rating}
inference: {comparison: corr, draws: 60, groups: none}
multiverse:
  comparison: [spearman]
  layers: {relu: "relu*", odd: [nothing*]}
  controls: [[level]]
  exclusions: {without p1: {participants: [p1]}, hardly anybody: {participants: [p1, p2, p3, p4, p5]}}
  draws: 40
output: results
"""


def square(x: np.ndarray) -> np.ndarray:
    return np.abs(x[:, None] - x[None]).astype(float)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Return a folder with a study whose RDMs are made up: people see what FE-AlexNet has at its fe block."""
    folder = tmp_path_factory.mktemp("many")
    rng, ids = np.random.default_rng(0), [f"s{n:02d}" for n in range(14)]
    pictures = folder / "images"
    pictures.mkdir()
    from PIL import Image

    for name in ids:
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(pictures / f"{name}.png")
    level = np.linspace(-1, 1, 14)
    table = pd.DataFrame({"stimulus": ids, "file": [f"images/{name}.png" for name in ids], "level": level})
    table.to_csv(folder / "stimuli.csv", index=False)
    (folder / "study.yaml").write_text(STUDY)
    (folder / "ratings.csv").write_text("participant,stimulus_a,stimulus_b,rating\np1,s00,s01,1\n")
    seen = rng.normal(size=14)
    dims = {"stimulus_i": ids, "stimulus_j": ids}
    people = np.stack([square(seen + 0.3 * rng.normal(size=14)) for _ in range(6)])
    human = xr.DataArray(people, {"participant": [f"p{n}" for n in range(1, 7)], **dims},
                         ("participant", "stimulus_i", "stimulus_j"), attrs={"simulated": True})  # fmt: skip
    names = [(network, layer) for network in ("alexnet", "fe_alexnet") for layer in LAYERS]
    shared = {layer: square(rng.normal(size=14)) for layer in ("relu1", "relu2")}
    squares = [square(seen) if name == ("fe_alexnet", "fe") else shared.get(name[1], square(rng.normal(size=14)))
               for name in names]  # fmt: skip
    rdms = xr.DataArray(np.stack(squares), {
        "rdm": ["/".join(name) for name in names], "network": ("rdm", [name[0] for name in names]),
        "layer": ("rdm", [name[1] for name in names]), "depth": ("rdm", [0.25, 0.5, 0.75, 1.0] * 2), **dims,
    }, ("rdm", "stimulus_i", "stimulus_j"), attrs={"untrained": ["alexnet", "fe_alexnet"]})  # fmt: skip
    results = folder / "results"
    results.mkdir()
    rf.save(rdms, results / "rdms.nc")
    rf.save(human, results / "human_rdms.nc")
    shutil.copy(folder / "stimuli.csv", results / "stimuli.csv")
    return folder, run_multiverse(load_study(folder / "study.yaml"))


def test_every_combination_is_a_row_and_the_studys_own_is_marked(made):
    _, table = made
    assert table.sizes["universe"] == 2 * 3 * 2 * 3
    own = table.isel(universe=np.flatnonzero(table["own"].values))
    named = [own[name].values.tolist() for name in module.CHOICES]
    assert named == [["correlation"], ["corr"], ["all recorded"], ["none"], ["nothing"]]


def test_the_studys_own_analysis_is_that_of_localize_and_of_the_contrast(made):
    folder, table = made
    own = table.isel(universe=int(np.flatnonzero(table["own"].values)[0]))
    rdms, human = (rf.load(folder / "results" / name) for name in ("rdms.nc", "human_rdms.nc"))
    result = rf.compare_layers(rdms, human, comparison="corr", draws=40, groups=None)
    where = rf.localize(result, network="fe_alexnet", baseline=None)
    assert own["peak_layer"] == "fe"
    np.testing.assert_allclose(own["half_way_depth"], where["half_way_depth"])
    np.testing.assert_allclose(own["half_way_depth_interval"], where["half_way_interval"])
    gap = rf.contrast_layers(result, network="fe_alexnet", baseline="alexnet")
    # relu1 and relu2 are shared, and do not take part
    np.testing.assert_allclose(own["difference"], gap["difference"].sel(layer=["fe", "fc8"]).mean())
    low, high = own["difference_interval"].values
    assert low < float(own["difference"]) < high


def test_what_remains_given_controls_is_the_partial_similarity(made):
    folder, table = made
    study = load_study(folder / "study.yaml")
    rdms, human = (rf.load(folder / "results" / name) for name in ("rdms.nc", "human_rdms.nc"))
    rsa = rf.RSA(rdms, human, comparison="corr", groups=None, stimuli=rf.read_stimuli(study.stimuli.table))
    partial = rsa.bootstrap(draws=40).partial(["level"])
    chosen = (table["controls"] == "level") & (table["comparison"] == "corr") & (table["exclusion"] == "nothing")
    row = table.isel(universe=int(np.flatnonzero((chosen & (table["layers"] == "all recorded")).values)[0]))
    np.testing.assert_allclose(row["peak_similarity"], partial["partial_similarity"].sel(rdm="fe_alexnet/fe"))
    given = rsa.bootstrap(draws=40).given(["level"])
    spread = given["similarity_interval"].values
    np.testing.assert_allclose(spread, partial["partial_similarity_interval"])
    np.testing.assert_allclose(given["similarity_draws"], partial["partial_similarity_draws"])


def test_a_layer_set_and_an_exclusion_are_those_of_the_layers_and_people_that_remain(made):
    folder, table = made
    rdms, human = (rf.load(folder / "results" / name) for name in ("rdms.nc", "human_rdms.nc"))
    result = rf.compare_layers(rdms, human.isel(participant=slice(1, None)), comparison="spearman", resample=None)
    chosen = (table["layers"] == "relu") & (table["comparison"] == "spearman") & (table["controls"] == "none")
    row = table.isel(universe=int(np.flatnonzero((chosen & (table["exclusion"] == "without p1")).values)[0]))
    of_network = result["similarity"].sel(rdm=["fe_alexnet/relu1", "fe_alexnet/relu2"])
    np.testing.assert_allclose(row["peak_similarity"], of_network.max())
    assert np.isnan(row["difference"])  # the two networks share these layers


def test_impossible_analyses_are_named_and_counted(made):
    _, table = made
    reasons = table.attrs["impossible"]
    assert sum(reasons.values()) == int((table["reason"] != "").sum())
    odd = (table["layers"] == "odd") & (table["exclusion"] != "hardly anybody")
    assert set(table["reason"].values[odd.values]) == {"fe_alexnet has no layer nothing* that varies"}
    few = table["reason"].values[(table["exclusion"] == "hardly anybody").values]
    assert all("2 participants" in reason for reason in few)
    assert multiverse_sentences(table)[-1].startswith(f"{sum(reasons.values())} of 36 analyses could not be made: ")


def test_a_run_that_was_killed_goes_on_where_it_was(made, tmp_path, monkeypatch):
    folder, table = made
    again = tmp_path / "again"
    shutil.copytree(folder, again)
    shutil.rmtree(again / "results" / "multiverse")
    study = load_study(again / "study.yaml")
    made_rows, compared = module._Cell._made, []

    def stop_at_the_fourth(cell):
        compared.append(cell.exclusion)
        if len(compared) == 4:
            raise KeyboardInterrupt
        return made_rows(cell)

    monkeypatch.setattr(module._Cell, "_made", stop_at_the_fourth)
    with pytest.raises(KeyboardInterrupt):
        run_multiverse(study)
    monkeypatch.setattr(module._Cell, "_made", lambda cell: (compared.append("later"), made_rows(cell))[1])
    assert run_multiverse(study).identical(table)
    assert compared.count("later") == 3  # of six groups of analyses, three were kept
    assert run_multiverse(study).identical(table)
    assert compared.count("later") == 3
    file = next((again / "results" / "multiverse").glob("*.json"))
    file.write_text(json.dumps({**json.loads(file.read_text()), "rows": []}))
    with pytest.raises(ValueError, match="was changed"):
        run_multiverse(study)


def test_the_command_writes_a_table_and_a_figure_and_says_what_holds(made, capsys):
    folder, _ = made
    with pytest.raises(SystemExit) as end:
        main(["multiverse", str(folder / "study.yaml"), "--quiet"])
    out = capsys.readouterr().out
    assert end.value.code == 0
    assert "the layer of FE-AlexNet most like people is fe, as in the study" in out
    table = pd.read_csv(folder / "results" / "multiverse.csv")
    assert len(table) == 36
    assert table["own"].sum() == 1
    assert (folder / "results" / "figures" / "multiverse.png").stat().st_size > 10_000


def test_a_study_without_other_analyses_or_without_rdms_is_refused(made, tmp_path):
    folder, _ = made
    study = load_study(folder / "study.yaml")
    with pytest.raises(ValueError, match="'many' names no other analyses"):
        run_multiverse(study.model_copy(update={"multiverse": None}))
    with pytest.raises(FileNotFoundError, match="human_rdms"):
        run_multiverse(study.model_copy(update={"output": tmp_path}))
    with pytest.raises(ValueError, match="resamples nothing"):
        run_multiverse(study.model_copy(update={"inference": study.inference.changed(resample=None)}))
    text = (folder / "study.yaml").read_text()
    (folder / "wrong.yaml").write_text(text.replace("[spearman]", "[spaerman]"))
    with pytest.raises(ValueError, match=r"line 9: multiverse.comparison.*'spaerman'"):
        load_study(folder / "wrong.yaml")
