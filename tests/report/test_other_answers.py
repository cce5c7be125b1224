"""Trials, errors face by face and other analyses reach the answer, a chart, the tables and the methods."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import xarray as xr

from rsa_face.provenance import load, save
from rsa_face.report.charts import layer_chart, multiverse_chart
from rsa_face.report.narrate import (
    consistency_sentences,
    findings_of,
    methods_of,
    multiverse_sentences,
    trial_sentences,
)
from rsa_face.report.page import render_page
from rsa_face.study.folder import read_results

ALONG = {
    "rdm": ["alexnet/relu5", "fe_alexnet/relu5", "fe_alexnet/fe"],
    "network": ("rdm", ["alexnet", "fe_alexnet", "fe_alexnet"]),
    "layer": ("rdm", ["relu5", "relu5", "fe"]),
    "depth": ("rdm", [0.7, 0.6, 0.7]),
    "order": ("rdm", [0.7, 0.6, 0.7]),
    "bound": ["lower", "upper"],
}
CHOICES = ("measure", "comparison", "layers", "controls", "exclusion")


def made_up_trials(above=(0.05, 0.10, 0.15), **values) -> xr.Dataset:
    """Return a prediction of odd-one-out trials: guessing is right in .34, other people in .55 to .60."""
    above = np.array(above)
    columns = {
        "similarity": ("rdm", above),
        "similarity_interval": (("rdm", "bound"), above[:, None] + [-0.02, 0.03]),
        "noise_ceiling": ("bound", [0.21, 0.26]),
    }
    for score, guess in (("accuracy", 0.34), ("log_likelihood", -1.5)):
        columns |= {
            score: ("rdm", above + guess),
            f"guessing_{score}": guess,
            f"ceiling_{score}": ("bound", guess + np.array([0.21, 0.26])),
            f"repeats_{score}": np.nan,
        }
    attrs = {"comparison": "accuracy", "kind": "triplet", "trials": 4800, "folds": [5, 8], "confidence": 0.95}
    return xr.Dataset(columns | values, ALONG, attrs | {"simulated": True})


def made_up_multiverse(layers=("fe", "fe", "relu5", ""), own=1) -> xr.Dataset:
    """Return four analyses, the last of which could not be made."""
    made = np.array([name != "" for name in layers])

    def column(values):
        values = np.where(made, values, np.nan)
        return "universe", values, ("universe", "bound"), values[:, None] + [-0.02, 0.02]

    columns = {"peak_layer": ("universe", list(layers)), "reason": ("universe", ["", "", "", "no such layer"])}
    numbers = {"peak_depth": [0.7, 0.8, 0.6, 0], "peak_similarity": [0.3, 0.25, 0.2, 0],
               "difference": [0.05, 0.01, -0.03, 0], "half_way_depth": [0.4, 0.5, 0.45, 0]}  # fmt: skip
    for name, values in numbers.items():
        dim, each, dims, ends = column(np.array(values, dtype=float))
        columns |= {name: (dim, each), f"{name}_interval": (dims, ends)}
    coords = {name: ("universe", ["same"] * 4) for name in CHOICES}
    coords["comparison"] = ("universe", ["corr", "rho-a", "<b>", "corr"])
    coords["own"] = ("universe", np.arange(4) == own)
    attrs = {"network": "fe_alexnet", "baseline": "alexnet", "draws": 60, "impossible": {"no such layer": 1}}
    return xr.Dataset(columns, coords | {"bound": ["lower", "upper"]}, attrs | {"simulated": True})


def made_up_consistency() -> xr.Dataset:
    """Return kappas of two networks and two people; one pair has none."""
    dims = ("network", "participant", "occlusion")
    kappa = np.array([[0.1, 0.3], [0.4, np.nan]])[..., None]
    known = np.isfinite(kappa)
    coords = {"network": ["alexnet", "fe_alexnet"], "participant": ["p0", "p1"], "occlusion": ["none"]}
    coords |= {name: (dims, np.where(known, value, np.nan)) for name, value in (
        ("interval_lower", kappa - 0.2), ("interval_upper", kappa + 0.3), ("trials_needed", 337.0))}  # fmt: skip
    coords["trials"] = (dims, np.full(kappa.shape, 54.0))
    array = xr.DataArray(kappa, coords, dims, attrs={"confidence": 0.95, "half_width": 0.1, "simulated": True})
    return array.to_dataset(name="error_consistency").assign_attrs(array.attrs)


def test_the_best_layers_accuracy_stands_beside_guessing_and_the_human_ceiling():
    assert trial_sentences(made_up_trials(), "fe_alexnet") == [
        "Of 3 layers, FE-AlexNet fe predicts 4,800 odd-one-out trials best: accuracy 0.490 (95% interval 0.470 to "
        "0.520), beside 0.340 by guessing and 0.550 to 0.600 by other people’s answers (the human ceiling)."
    ]


def test_a_network_whose_best_layer_is_not_the_best_of_all_has_a_sentence_of_its_own():
    trials = made_up_trials((0.2, 0.1, 0.15), repeats_accuracy=0.7)
    first, second = trial_sentences(trials, "fe_alexnet")
    assert first.startswith("Of 3 layers, AlexNet relu5 predicts 4,800 odd-one-out trials best: accuracy 0.540 ")
    assert first.endswith("(the human ceiling); the same person’s other answers reach 0.700.")
    assert second == "Of FE-AlexNet, fe predicts them best: accuracy 0.490 (95% interval 0.470 to 0.520)."


def test_the_log_likelihood_is_in_bits_and_without_others_there_is_no_ceiling():
    trials = made_up_trials(ceiling_log_likelihood=("bound", [np.nan, np.nan]))
    (sentence,) = trial_sentences(trials.assign_attrs(comparison="log-likelihood", kind="choice"), "fe_alexnet")
    assert sentence == (
        "Of 3 layers, FE-AlexNet fe predicts 4,800 two-choice trials best: log-likelihood in bits −1.350 (95% "
        "interval −1.370 to −1.320), beside −1.500 by guessing; no other person was asked the same, so that no human "
        "ceiling is known."
    )


def test_the_chart_of_trials_has_the_ceiling_and_says_what_zero_is():
    chart = layer_chart(made_up_trials())
    (view,) = chart.views
    line = next(trace for trace in view.traces if trace["meta"] == {"network": "fe_alexnet", "role": "line"})
    np.testing.assert_allclose(line["y"], [0.10, 0.15])
    assert "accuracy above guessing" in line["hovertemplate"]
    ceiling = next(shape for shape in view.layout["shapes"] if shape["name"] == "ceiling")
    assert (ceiling["y0"], ceiling["y1"]) == (0.21, 0.26)
    assert view.layout["yaxis"]["title"]["text"] == "Trials predicted above guessing (share)"
    assert chart.id == "trials"
    assert "0 is guessing" in chart.hint
    unknown = layer_chart(made_up_trials(noise_ceiling=("bound", [np.nan, np.nan])))
    assert "ceiling" not in [shape["name"] for shape in unknown.views[0].layout["shapes"]]


def test_other_analyses_are_counted_and_the_studys_own_is_placed_among_them():
    brief = multiverse_sentences(made_up_multiverse(), brief=True)
    assert brief == [
        "In 2 of 3 possible analyses (1 more could not be made) the layer of FE-AlexNet most like people is fe, as "
        "in the study; its depth lies between 0.60 and 0.80.",
        "FE-AlexNet minus AlexNet lies between −0.030 and +0.050 over 3 of them (interval above 0 in 1, below 0 in "
        "1); in the study it is +0.010, more than in 1 of them.",
    ]
    assert multiverse_sentences(made_up_multiverse()) == [
        *brief,
        "Half-way depth lies between 0.40 and 0.50; in the study it is 0.50.",
        "1 of 4 analyses could not be made: 1 because: no such layer.",
    ]


def test_the_specification_curve_is_in_order_with_the_studys_own_apart():
    chart = multiverse_chart(made_up_multiverse())
    (view,) = chart.views
    others, mine = (trace for trace in view.traces if trace["yaxis"] == "y2" and "error_y" in trace)
    assert (others["x"], mine["x"]) == ([0, 2], [1])
    np.testing.assert_allclose(others["y"], [-0.03, 0.05])
    np.testing.assert_allclose(mine["error_y"]["array"], [0.02])
    assert mine["meta"] == {"network": "fe_alexnet", "role": "line"}
    assert [shape["x0"] for shape in view.layout["shapes"]] == [0.5]
    labels = view.layout["yaxis4"]["ticktext"]
    assert labels == ["comparison: rho-a", "&lt;b&gt;", "corr"]
    assert view.table["difference"].tolist() == [-0.03, 0.01, 0.05]
    assert chart.hint.endswith("3 analyses, 1 more could not be made.")
    nothing = made_up_multiverse().assign(half_way_depth=("universe", [np.nan] * 4))
    assert multiverse_chart(nothing) is None


def test_error_consistency_comes_with_intervals_and_the_faces_that_it_takes():
    dims, coords = ("network", "occlusion", "bound"), {"network": ["alexnet", "fe_alexnet"], "occlusion": ["none"]}
    ends = np.array([[[0.0, 0.4]], [[0.2, 0.6]]])
    likeness = xr.Dataset({"error_consistency_interval": (dims, ends)}, coords)
    first, second = consistency_sentences(made_up_consistency(), likeness)
    assert first == (
        "Error consistency with people, face by face (Cohen’s κ, mean over people; 0 is chance): AlexNet 0.200 "
        "(0.000 to 0.400) and FE-AlexNet 0.400 (0.200 to 0.600); 95% intervals over participants. No κ for 1 of 4 "
        "pairs, for want of errors."
    )
    assert second == (
        "κ of one network and one person is known to within ±0.25 from 54 faces (95% interval over faces), and ±0.10 "
        "would take 337 faces (medians of 3 pairs)."
    )
    assert "intervals over participants" not in consistency_sentences(made_up_consistency())[0]
    assert consistency_sentences(made_up_consistency().drop_vars("trials_needed")) == []


@pytest.fixture(scope="module")
def folder(results, tmp_path_factory):
    folder = shutil.copytree(results, tmp_path_factory.mktemp("other") / "study")
    save(made_up_trials(), folder / "trials.nc")
    save(made_up_consistency()["error_consistency"], folder / "error_consistency.nc")
    multiverse, result = made_up_multiverse(), load(folder / "layers.nc")
    multiverse["peak_similarity"][1] = result["similarity"].sel(rdm="fe_alexnet/fe")
    save(multiverse, folder / "multiverse.nc")
    return folder


def test_the_page_has_sentences_charts_tables_and_methods_of_all_three(folder):
    study = read_results(folder)
    assert not [fault for fault in study.missing if fault.startswith(("trials", "multiverse", "error"))]
    sentences, page = findings_of(study), render_page(study)
    for part in (
        trial_sentences(made_up_trials(), "fe_alexnet"),
        consistency_sentences(made_up_consistency()),
        multiverse_sentences(made_up_multiverse(), brief=True),
    ):
        assert set(part) <= set(sentences)
    for anchor, name in (("trials", "Trials"), ("multiverse", "Other analyses")):
        assert f'<section id="{anchor}"' in page
        assert f'<a href="#{anchor}">{name}</a>' in page
    for title in (
        "Prediction of trials, by RDM",
        "What other analyses find, by analysis",
        "Consistency of errors, by",
    ):
        assert title in page
    methods = methods_of(study)
    (text,) = [one for one in methods.paragraphs if "Each trial was predicted" in one]
    assert "5 folds of people, 8 of stimuli" in text
    assert "analysed in 4 ways" in text
    assert [work[:20] for work in methods.references if work.startswith(("Steegen", "Geirhos", "Klein"))] == [
        "Geirhos, Meding & Wi", "Klein et al. 2025. d", "Steegen, Tuerlinckx,",
    ]  # fmt: skip


def test_a_multiverse_of_an_earlier_run_is_not_taken_for_this_one(folder):
    study = read_results(folder)
    stale = study.extras["multiverse"].assign(peak_similarity=("universe", [0.3, 0.9, 0.2, np.nan]))
    sentences = findings_of(replace(study, extras={**study.extras, "multiverse": stale}))
    assert sentences[-1] == "The multiverse is of an earlier run of this study. Make it again: rsa-face multiverse."
    assert not [one for one in sentences if "possible analyses" in one]


def test_trials_of_another_form_are_named_and_not_shown(folder, tmp_path):
    folder = shutil.copytree(folder, tmp_path / "study")
    save(load(folder / "trials.nc").drop_vars("guessing_accuracy"), folder / "trials.nc")
    study = read_results(folder)
    assert "trials" not in study.extras
    assert any("trials.nc has another form" in fault for fault in study.missing)
