"""What the report says and packs is what the results hold."""

import base64
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from rsa_face.figures.folder import read_results
from rsa_face.figures.ordering import sort_stimuli
from rsa_face.report.answer import answer_of
from rsa_face.report.charts import curve_charts, layer_chart, palettes, region_charts
from rsa_face.report.explorer import explorer_of
from rsa_face.report.methods import methods_of
from rsa_face.report.tables import frames_of, table_of


@pytest.fixture(scope="module")
def study(results):
    return read_results(results)


def localization(picked: list[str]) -> xr.Dataset:
    layers = ["relu1", "relu5", "fe", "fc8", "none"]
    share = np.array([[0.1, 0.1, 0.2, 0.6, 0.0], [0.0, 0.0, 0.1, 0.2, 0.7], [0.0, 0.0, 0.8, 0.1, 0.1]])
    return xr.Dataset(
        {
            "probability": (("target", "layer"), share),
            "in_set": (("target", "layer"), share > 0.15),
            "picked": ("target", picked),
        },
        {"target": ["peak", "at_ceiling", "above_baseline"], "layer": layers},
        {"network": "fe_alexnet", "baseline": "alexnet", "confidence": 0.95},
    )


def contrast(lower: list[float]) -> xr.Dataset:
    band = np.stack([lower, np.array(lower) + 0.1], axis=1)
    return xr.Dataset(
        {"difference": ("layer", band.mean(axis=1)), "difference_band": (("layer", "bound"), band)},
        {"layer": ["relu1", "relu5", "fc8"], "bound": ["lower", "upper"]},
        {"network": "fe_alexnet", "baseline": "alexnet"},
    )


def test_packed_dissimilarities_come_back_to_16_bits(study):
    content = explorer_of(study).content
    rdms, _ = sort_stimuli(study.rdms)
    assert [one["id"] for one in content["stimuli"]] == rdms["stimulus_i"].values.tolist()
    i, j = np.triu_indices(16, k=1)
    for one in content["rdms"]:
        steps = np.frombuffer(base64.b64decode(one["values"]), dtype="<u2") / 65534
        expected = rdms.sel(rdm=f"{one['network']}/{one['layer']}").values[i, j]
        np.testing.assert_allclose(one["low"] + steps * (one["high"] - one["low"]), expected, atol=1e-4)


def test_pairs_never_judged_are_packed_as_such(study):
    people = explorer_of(study).content["human"]
    steps = np.frombuffer(base64.b64decode(people["values"]), dtype="<u2")
    assert (steps == 65535).sum() == 1
    assert people["n"] == 5


def test_the_explorer_opens_at_the_most_similar_layer_of_the_network_in_question(study):
    similarity = study.result["similarity"].where(study.result["network"] == "fe_alexnet")
    best = int(np.nanargmax(similarity.values))
    assert explorer_of(study).content["start"] == {
        "network": "fe_alexnet",
        "layer": study.result["layer"].values[best],
    }


def test_people_of_other_stimuli_are_left_out_and_said(study):
    other = study.human.assign_coords(stimulus_i=range(16), stimulus_j=range(16))
    explorer = explorer_of(replace(study, human=other))
    assert explorer.content["human"] is None
    assert any("lack" in note for note in explorer.notes)


def test_the_answer_names_layers_with_their_uncertainty(study):
    extras = {"localization": localization(["fc8", "none", "fe"]), "contrast": contrast([-0.1, 0.02, 0.03])}
    answer = answer_of(replace(study, extras=extras))
    assert "FE-AlexNet" in answer.question
    peak, ceiling, between = answer.sentences
    best = study.result.isel(rdm=int(np.argmax(study.result["similarity"].values)))
    assert f"{best['similarity'].item():.3f}, 95% interval" in peak
    assert "fc8 (60% of draws)" in peak
    assert "fe and fc8" in peak
    assert ceiling == "No layer of FE-AlexNet reached the noise ceiling (0.350 to 0.450); so it was in 70% of draws."
    assert "at relu5 and fc8, 2 of 3 matched layers" in between
    assert any("nothing about people" in limit for limit in answer.limits)


def test_the_answer_says_what_was_not_asked(study):
    answer = answer_of(replace(study, extras={}))
    assert answer.sentences[2] == "No network was compared with another."
    assert (
        "At none of 3 matched layers"
        in answer_of(replace(study, extras={"contrast": contrast([-0.1] * 3)})).sentences[2]
    )
    assert answer_of(replace(study, result=None)).sentences[0].startswith("Layers were not compared")


def test_methods_hold_numbers_weights_versions_and_dois(study):
    methods = methods_of(study)
    text = " ".join(methods.paragraphs)
    for words in ("16 images", "weights: random, seed 0", "5 simulated observers", "200 draws, seed 0", "torch 2.14"):
        assert words in text
    assert all("doi:10." in reference for reference in methods.references)
    assert any("Squeeze-and-excitation" in reference for reference in methods.references)
    assert methods_of(replace(study, rdms=None, result=None, human=None, manifest={})).paragraphs == ()


def test_the_layer_chart_carries_value_interval_and_number_of_people(study):
    chart = layer_chart(study.result)
    line = next(trace for trace in chart["traces"] if trace["meta"] == {"network": "alexnet", "role": "line"})
    np.testing.assert_allclose(line["y"], study.result["similarity"].values[:3])
    label, layer, lower, upper, people, p = line["customdata"][1]
    assert (label, layer, people, p) == ("AlexNet", "relu5", 5, 0.01)
    assert upper - lower == pytest.approx(0.1)
    assert "(uncorrected)" in line["hovertemplate"]


def test_curves_and_regions_are_drawn_where_there_are_any():
    curves = xr.Dataset({"curve": (("network", "level"), [[0.1, 0.9]])}, {"network": ["vgg16"], "level": [-1.0, 1.0]})
    assert curve_charts(curves)["traces"][0]["y"] == [0.1, 0.9]
    assert curve_charts(xr.Dataset()) is None
    dims = ("participant", "occlusion", "level")
    people = xr.Dataset(
        {"proportion": (dims, [[[0.0, 1.0]], [[0.5, 1.0]]])}, {"level": [-1, 1], "occlusion": ["none"]}
    )
    (trace,) = curve_charts(people)["traces"]
    assert (trace["name"], trace["y"]) == ("People (mean of 2) none", [0.25, 1.0])
    shares = xr.Dataset(
        {"share": (("layer", "region"), [[0.2, 0.8]])}, {"layer": ["conv1"], "region": ["eyes", "mouth"]}
    )
    assert [trace["name"] for trace in region_charts(shares)["traces"]] == ["eyes", "mouth"]
    assert region_charts(xr.Dataset()) is None


def test_colours_on_a_dark_page_stand_out():
    for color in palettes(["alexnet", "fe_alexnet", "vgg11", "vgg13", "vgg16"])["dark"].values():
        rgb = np.array([int(color[n : n + 2], 16) / 255 for n in (1, 3, 5)])
        linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        assert (linear @ [0.2126, 0.7152, 0.0722] + 0.05) / 0.0585 >= 4.4


def test_tables_keep_exact_numbers_beside_readable_ones():
    frame = pd.DataFrame({"layer": ["a", "b"], "value": [-0.12345678, np.nan], "count": [3, 4]})
    table = table_of(frame, name="t", title="T")
    assert [(cell.text, cell.value) for cell in table.rows[0]] == [
        ("a", "a"),
        ("−0.123", "-0.12345678"),
        ("3", "3.0"),
    ]
    assert (table.rows[1][1].text, table.rows[1][1].value) == ("–", "")
    assert table.numeric == (False, True, True)


def test_long_tables_are_cut_and_say_so():
    table = table_of(pd.DataFrame({"n": range(6000)}), name="t", title="T")
    assert len(table.rows) == 5000
    assert table.note == "The first 5000 of 6000 rows."


def test_any_result_becomes_tables_without_its_draws():
    dataset = xr.Dataset(
        {
            "pse": ("observer", [0.4, 0.6]),
            "pse_interval": (("observer", "bound"), [[0.3, 0.5], [0.5, 0.7]]),
            "pse_draws": (("draw", "observer"), np.zeros((9, 2))),
        },
        {"observer": ["p1", "p2"], "bound": ["lower", "upper"]},
    )
    ((dims, frame),) = frames_of(dataset)
    assert dims == ("observer",)
    assert list(frame.columns) == ["observer", "pse", "pse_interval lower", "pse_interval upper"]
    assert frame["pse_interval upper"].tolist() == [0.5, 0.7]
