"""What the report says and packs is what the results hold."""

import base64
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import xarray as xr

from rsa_face.figures.ordering import sort_stimuli
from rsa_face.inference.layerwise import NO_TEST
from rsa_face.report.charts import (
    contrast_chart,
    curve_chart,
    layer_chart,
    layer_saliency_chart,
    localization_chart,
    palettes,
    region_chart,
)
from rsa_face.report.explorer import explorer_of
from rsa_face.report.narrate import answer_of, methods_of
from rsa_face.report.page import agreement_tables, frames_of, table_of, tables_of
from rsa_face.study.folder import read_results
from tests.made_up import made_up_localization


@pytest.fixture(scope="module")
def study(results):
    return read_results(results)


def localization(picked: list[str]) -> xr.Dataset:
    targets = ["peak", "reaches_ceiling", "above_baseline", "differs_from_baseline"]
    shares = [
        {"relu1": 0.1, "relu5": 0.1, "fe": 0.2, "fc8": 0.6},
        {"fe": 0.1, "fc8": 0.2, "none": 0.7},
        {"fe": 0.8, "fc8": 0.1, "none": 0.1},
        {"relu1": 0.6, "fe": 0.4},
    ]
    probability, picked_of = dict(zip(targets, shares, strict=True)), dict(zip(targets, picked, strict=True))
    return made_up_localization(["relu1", "relu5", "fe", "fc8"], probability, picked_of)


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
        "occlusion": "",
    }


def test_people_of_other_stimuli_are_left_out_and_said(study):
    other = study.human.assign_coords(stimulus_i=range(16), stimulus_j=range(16))
    explorer = explorer_of(replace(study, human=other))
    assert explorer.content["human"] is None
    assert any("none of these stimuli" in note for note in explorer.notes)


def test_people_who_judged_some_stimuli_are_shown_with_those(study):
    whole = explorer_of(study)
    few = study.human.isel(stimulus_i=slice(0, 8), stimulus_j=slice(0, 8))  # those with nothing masked
    explorer = explorer_of(replace(study, human=few))
    assert explorer.content["start"]["occlusion"] == "none"
    assert whole.content["start"]["occlusion"] == ""
    assert any("People judged 8 of these 16 stimuli" in note for note in explorer.notes)
    steps = np.frombuffer(base64.b64decode(explorer.content["human"]["values"]), dtype="<u2")
    assert (steps != 65535).sum() == 8 * 7 // 2 - 1
    ids = [one["id"] for one in explorer.content["stimuli"]]
    place = [(a, b) for a in range(16) for b in range(a + 1, 16)].index((0, 2))
    packed = explorer.content["human"]
    value = packed["low"] + steps[place] / 65534 * (packed["high"] - packed["low"])
    assert value == pytest.approx(float(few.sel(stimulus_i=ids[0], stimulus_j=ids[2]).mean()), abs=1e-3)


def test_people_are_not_points_where_nobody_judged_a_pair_and_the_page_says_so(study):
    explorer = explorer_of(study)
    assert "People (mean)" not in [one["name"] for one in explorer.content["embeddings"]]
    assert "judged by nobody" in " ".join(explorer.notes)


def test_the_answer_names_layers_with_their_uncertainty(study):
    extras = {
        "localization": localization(["fc8", "none", "fe", "relu1"]),
        "contrast": contrast([-0.1, 0.02, 0.03]),
    }
    answer = answer_of(replace(study, extras=extras))
    assert "FE-AlexNet" in answer.question
    best = study.result.isel(rdm=int(np.argmax(study.result["similarity"].values)))
    assert f"{best['similarity'].item():.3f}, 95% interval" in answer.sentences[0]
    assert answer.sentences[1:-1] == (
        "FE-AlexNet is most like people at fc8, with a similarity of 0.200 (band 0.160 to 0.240). It is picked in "
        "60% of draws; the 95% set of layers not ruled out is fe and fc8.",
        "Its similarity is half-way from the first layer to the peak at a depth of 0.60 (95% interval 0.40 to 0.75), "
        "first passed at fe.",
        "No layer is shown to reach the noise ceiling, that is to be above 90% of its lower bound of 0.400 (about "
        "0.450 with many participants), as in 70% of draws. Every layer is below it.",
        "fe is the first layer above AlexNet, by +0.050 (band +0.010 to +0.090). It is picked in 80% of draws; the "
        "95% set of layers not ruled out is fe.",
        "relu1 is the first layer to differ from AlexNet: FE-AlexNet is less like people there, by −0.050 (band "
        "−0.090 to −0.010). It is picked in 60% of draws; the 95% set of layers not ruled out is relu1 and fe.",
    )
    assert "more like people than AlexNet at relu5 and fc8, of 3 matched layers" in answer.sentences[-1]
    assert all(sentence.endswith(".") for sentence in answer.sentences)
    assert any("nothing about people" in limit for limit in answer.limits)


def test_not_to_be_told_from_the_ceiling_is_not_to_reach_it(study):
    def said(where: xr.Dataset) -> tuple[str, ...]:
        return answer_of(replace(study, extras={"localization": where})).sentences

    where = localization(["fc8", "none", "none", "none"])
    near = said(where.assign(below_ceiling=where["below_ceiling"] & (where["layer"] != "fc8")))
    assert any(one.endswith("fc8 cannot be told from it, which does not show that it reaches it.") for one in near)
    assert near[-1] == "No layer of FE-AlexNet is shown to differ from AlexNet, as in 0% of draws."
    reached = said(localization(["fc8", "fc8", "none", "relu1"]))
    assert any(one.startswith("fc8 is the first layer shown to reach the noise ceiling") for one in reached)
    assert "No layer of FE-AlexNet is shown to be above AlexNet, as in 10% of draws." in reached


def test_the_answer_says_what_was_not_asked(study):
    alone = answer_of(replace(study, extras={})).sentences
    assert "this was not tested" in alone[-1]
    neither = answer_of(replace(study, extras={"contrast": contrast([-0.1] * 3)})).sentences[-1]
    assert "not shown to differ from AlexNet at any layer, of 3 matched" in neither
    assert answer_of(replace(study, result=None)).sentences[0].startswith("Layers were not compared")


def test_accuracy_and_how_far_ranks_agree_are_told_with_what_they_are_worth(study):
    names = ["similarity_peak", "similarity_fc7", "pse_distance", "saliency_eyes", "saliency_nose"]
    rho = np.eye(5)
    rho[0, 1:] = rho[1:, 0] = [0.9, -0.5, 0.25, np.nan]
    pairs = ("quantity", "quantity_other")
    agreement = xr.Dataset(
        {
            "rank_correlation": (pairs, rho),
            "rank_correlation_p": (pairs, np.full((5, 5), 0.4)),
            "n_networks": (pairs, np.full((5, 5), 4)),
        },
        dict.fromkeys(pairs, names),
    )
    scores = xr.Dataset(
        {"accuracy": (("network", "condition"), [[0.9, 0.95], [0.75, 0.8]])},
        {"network": ["alexnet", "fe_alexnet"], "condition": ["all", "none"]},
    )
    said = answer_of(replace(study, extras={"agreement": agreement, "training": scores})).sentences
    assert said[-2:] == (
        "Answered correctly, of whole faces held out from training: AlexNet 95% and FE-AlexNet 80%.",
        "Networks’ ranks by the similarity of their best layer correlate with those by distance in PSE −0.500 "
        "(p = 0.400) and saliency on the eyes 0.250 (p = 0.400) (Spearman; p by permuting networks, not corrected; "
        "4 networks are too few to tell).",
    )
    alone = agreement.isel(quantity=[0], quantity_other=[0])
    assert "ranks" not in " ".join(answer_of(replace(study, extras={"agreement": alone})).sentences)


def test_the_answer_says_where_a_network_is_less_like_people(study):
    both = {"contrast": contrast([-0.3, 0.02, -0.4])}
    said = answer_of(replace(study, extras=both)).sentences[-1]
    assert "more like people than AlexNet at relu5 and less so at relu1 and fc8" in said
    assert "at fc8, is −0.350 (band −0.400 to −0.300)" in said


def test_the_answer_is_about_the_contrast_with_the_baseline(study):
    other = contrast([0.1, 0.1, 0.1]).assign_attrs(network="fe_alexnet", baseline="vgg16")
    extras = {
        "contrast_a": other,
        "contrast_b": contrast([-0.3, -0.3, -0.3]),
        "localization": localization(["fc8"] * 4),
    }
    assert "less like people than AlexNet" in answer_of(replace(study, extras=extras)).sentences[-1]


def test_methods_hold_numbers_weights_versions_and_dois(study):
    methods = methods_of(study)
    text = " ".join(methods.paragraphs)
    for words in ("16 images", "weights: random, seed 0", "5 simulated observers", "200 draws, seed 0", "torch 2.14"):
        assert words in text
    assert all("doi:10." in reference for reference in methods.references)
    assert any("Squeeze-and-excitation" in reference for reference in methods.references)
    assert methods_of(replace(study, rdms=None, result=None, human=None, manifest={}, extras={})).paragraphs == ()


def test_methods_name_the_layers_that_another_measure_made(study):
    others = [f"{network}/fc8: difference" for network in ("alexnet", "fe_alexnet")]
    rdms = study.rdms.assign_attrs(other_measures=others)
    said = (
        "For fc8 it was the absolute difference of the layer's one output, or of the difference of its two outputs."
    )
    assert said in " ".join(methods_of(replace(study, rdms=rdms)).paragraphs)
    assert "For fc8" not in " ".join(methods_of(study).paragraphs)


def test_every_work_in_the_references_is_cited_in_the_text(study):
    methods = methods_of(study)
    text = " ".join(methods.paragraphs)
    authors = [reference.split()[0].rstrip(",") for reference in methods.references]
    assert [name for name in authors if name not in text] == []


def test_methods_say_what_was_drawn_together_and_how_it_was_tested(study):
    grouped = study.result.assign_attrs(resample="dual", groups="identity", stimuli=6, p_above_zero_kind="t")
    text = " ".join(methods_of(replace(study, result=grouped)).paragraphs)
    assert "Stimuli of one identity are not independent and were drawn together (6 groups)" in text
    assert "Similarity above 0 was tested by a t test, which generalises to other stimuli and participants" in text
    cosine = study.result.drop_vars("p_above_zero").assign_attrs(p_above_zero_kind=NO_TEST)
    text = " ".join(methods_of(replace(study, result=cosine)).paragraphs)
    assert "Similarities were not tested against 0, which unrelated RDMs exceed" in text


def test_methods_tell_training_contrast_location_and_tests(study):
    training = {"lr": 1e-4, "batch": 16, "epochs": 3, "freeze": "none", "classes": ["sad", "happy"]}
    manifest = study.manifest | {"study": study.manifest["study"] | {"training": training}}
    scores = xr.Dataset(
        {"accuracy": (("network", "condition"), [[0.9, 0.95], [0.75, 0.8]])},
        {"network": ["a", "b"], "condition": ["all", "none"]},
    )
    result = study.result.assign(p_above_zero_corrected=study.result["p_above_zero"]).assign_attrs(
        p_above_zero_kind="shuffle", correction="max"
    )
    methods = methods_of(replace(study, manifest=manifest, result=result, extras=study.extras | {"training": scores}))
    text = " ".join(methods.paragraphs)
    for words in (
        "to tell sad and happy faces apart: Adam (Kingma & Ba 2015), step size 0.0001, batches of 16, 3 epochs",
        "On whole faces of other people they answered 80% to 95% correctly, on these and masked ones 75% to 90%.",
        "FE-AlexNet was contrasted with AlexNet and VGG16",
        "more than 90% of the lower ceiling (non-inferiority, by a 95% band over layers)",
        "Its first layer above AlexNet, and the first to differ, are read from the band of the contrast.",
        "extrapolated to many participants by the Spearman-Brown formula (Brown 1910)",
        "by shuffling stimulus labels (Nichols & Holmes 2002), about these stimuli and participants; p values were "
        "corrected over the family of layers",
    ):
        assert words in text
    assert {"doi:10.1214/aos/1176345582", "doi:10.48550/arXiv.1412.6980", "doi:10.1002/hbm.1058"} <= {
        reference.split()[-1] for reference in methods.references
    }


def test_methods_name_how_and_where_saliency_was_mapped_and_cite_that_method(study):
    along = {"network": ["vgg16", "alexnet"], "layer": ("network", ["relu5_3", "relu5"])}
    looked = xr.Dataset({"proportion": ("network", [0.1, 0.2])}, along, {"method": "layercam", "answer": "given"})
    methods = methods_of(replace(study, extras={"saliency": looked}))
    said = "LayerCAM of the answer given (Jiang et al. 2021), at relu5 of AlexNet and relu5_3 of VGG16"
    assert said in " ".join(methods.paragraphs)
    assert any("doi:10.1109/TIP.2021.3089943" in reference for reference in methods.references)
    assert not any("Grad-CAM" in reference for reference in methods.references)


def test_the_layer_chart_carries_value_interval_and_number_of_people(study):
    (view,) = layer_chart(study.result).views
    line = next(trace for trace in view.traces if trace["meta"] == {"network": "alexnet", "role": "line"})
    np.testing.assert_allclose(line["y"], study.result["similarity"].values[:3])
    label, layer, similarity, lower, upper, people, p = line["customdata"][1]
    assert (label, layer, people, p) == ("AlexNet", "relu5", 5, "0.010")
    assert similarity == pytest.approx(float(study.result["similarity"][1]))
    assert upper - lower == pytest.approx(0.1)
    assert "(uncorrected)" in line["hovertemplate"]


def test_the_chart_of_where_has_a_row_for_each_question(study):
    (view,) = localization_chart(localization(["fc8", "none", "fe", "relu1"])).views
    bars = [trace for trace in view.traces if trace.get("type") == "bar"]
    assert [trace["yaxis"] for trace in bars] == ["y", "y2", "y3", "y4"]
    assert bars[1]["y"] == [0.0, 0.0, 0.1, 0.2, 0.7]
    kept = [trace["x"] for trace in view.traces if trace["meta"]["role"] == "set"]
    assert kept == [[2, 3], [3, 4], [2], [0, 2]]
    (half_way,) = [trace for trace in view.traces if trace["yaxis"] == "y5"]
    np.testing.assert_allclose(half_way["x"], [0.6 * 4 - 1])
    np.testing.assert_allclose(half_way["error_x"]["array"], [(0.75 - 0.6) * 4])
    assert "most like people at fc8" in view.label
    assert "No layer is shown to reach the noise ceiling" in view.label


def test_the_chart_of_the_contrast_has_a_view_for_each_baseline():
    other = contrast([0.1, 0.2, 0.3]).assign_attrs(network="fe_alexnet", baseline="vgg16")
    chart = contrast_chart({"contrast": contrast([-0.1, 0.02, 0.03]), "contrast_vgg16": other})
    assert [view.name for view in chart.views] == ["AlexNet", "VGG16"]
    upper, lower, line = chart.views[0].traces
    np.testing.assert_allclose(lower["y"], [-0.1, 0.02, 0.03])
    np.testing.assert_allclose(upper["y"], [0.0, 0.12, 0.13])
    assert line["customdata"][1][0] == "relu5"
    np.testing.assert_allclose(line["customdata"][1][1:], [0.07, 0.02, 0.12])


def test_curves_of_people_and_networks_share_a_view_for_each_occlusion():
    dims = ("occlusion", "level")
    networks = xr.Dataset(
        {
            "proportion": (("network", *dims), [[[0.1, 0.9], [0.2, 0.8]]]),
            "pse": (("network", "occlusion"), [[-0.25, 0.5]]),
        },
        {"network": ["vgg16"], "level": [-1.0, 1.0], "occlusion": ["none", "eyes"]},
    )
    people = xr.Dataset(
        {"proportion": (("participant", *dims), [[[0.0, 1.0]], [[0.5, 1.0]]])},
        {"level": [-1, 1], "occlusion": ["none"]},
    )
    chart = curve_chart(people, networks)
    assert [view.name for view in chart.views] == ["whole face", "eyes masked"]
    ours, theirs = chart.views[0].traces
    assert (ours["name"], ours["y"]) == ("People (mean of 2)", [0.25, 1.0])
    assert (theirs["name"], theirs["y"]) == ("VGG16", [0.1, 0.9])
    assert "VGG16 −0.25" in chart.views[0].label
    assert [trace["name"] for trace in chart.views[1].traces] == ["VGG16"]
    assert curve_chart(None, None) is None


def test_saliency_is_drawn_by_layer_or_else_by_region():
    shares = xr.Dataset(
        {"proportion": (("rdm", "occlusion", "region"), [[[0.2, 0.8]], [[0.4, 0.6]]])},
        {"rdm": ["vgg16/a", "vgg16/b"], "network": ("rdm", ["vgg16"] * 2), "layer": ("rdm", ["a", "b"]),
         "order": ("rdm", [0, 1]), "occlusion": ["none"], "region": ["eyes", "mouth"]},
    )  # fmt: skip
    (view,) = layer_saliency_chart(shares).views
    drawn = [trace["y"] for trace in view.traces if trace["meta"]["role"] == "line"]
    assert drawn == [[0.2, 0.4], [0.8, 0.6]]
    by_network = xr.Dataset(
        {"proportion": (("network", "region"), [[0.2, 0.8]])}, {"network": ["vgg16"], "region": ["eyes", "mouth"]}
    )
    (view,) = region_chart(by_network).views
    assert [(trace["name"], trace["y"]) for trace in view.traces] == [("VGG16", [0.2, 0.8])]
    assert region_chart(xr.Dataset()) is None


def test_measures_that_agree_are_told_in_two_tables(study):
    quantities = ["similarity_peak", "pse_distance"]
    pair = ("quantity", "quantity_other")
    agreement = xr.Dataset(
        {"value": (("network", "quantity"), [[0.1, 0.2], [0.3, 0.4]]),
         "rank": (("network", "quantity"), [[2, 1], [1, 2]]),
         "rank_correlation": (pair, [[1, -0.5], [-0.5, 1]])},
        {"network": ["vgg16", "alexnet"], "quantity": quantities, "quantity_other": quantities},
    ).assign(n_networks=(pair, [[2, 2], [2, 2]]))  # fmt: skip
    networks, measures = agreement_tables(replace(study, extras={"agreement": agreement}))
    assert [row[0].text for row in networks.rows] == ["AlexNet", "VGG16"]
    assert [cell.value for cell in networks.rows[0]][1:3] == ["0.3", "1.0"]
    assert [[cell.text for cell in row][2:] for row in measures.rows] == [["−0.500", "2"]]
    assert agreement_tables(study) == []


def test_the_table_of_layers_leads_with_what_is_read_first(study):
    result = study.result.assign(partial_similarity=study.result["similarity"] * 0.5)
    (main, every, *_), _ = tables_of(replace(study, result=result))
    assert main.columns[-2:] == ("similarity, controls partialled out", "n")
    assert float(main.rows[0][-2].value) == float(result["similarity"][0]) * 0.5
    assert len(every.columns) > len(main.columns)


def test_tables_too_long_for_a_page_are_named(study):
    long = xr.Dataset({"curve": ("curve_level", np.zeros(1200))})
    tables, left_out = tables_of(replace(study, extras={"psychometric": long}))
    assert left_out == ["Choices of people, by level of the curve: 1200 rows, in psychometric.nc."]
    assert all("Choices" not in table.title for table in tables)


def test_tables_are_titled_in_words_and_name_networks_as_everywhere(study):
    titles = {table.title: table for table in tables_of(study)[0]}
    assert {"FE-AlexNet minus AlexNet, by layer", "FE-AlexNet minus VGG16, by layer"} <= set(titles)
    choices = titles["Choices of networks, by level, network and occlusion"]
    assert {row[choices.columns.index("network")].text for row in choices.rows} == {"FE-AlexNet"}


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


def test_numbers_of_a_column_are_written_alike_and_answers_as_yes_and_no():
    columns = {"depth": [1.0, 0.25], "small": [0.00123, -0.004], "n": [20.0, 5.0], "p value": [1.0, 0.0079]}
    frame = pd.DataFrame({**columns, "in_set": [True, False]})
    table = table_of(frame, name="t", title="T")
    assert [[cell.text for cell in row] for row in table.rows] == [
        ["1.000", "0.00123", "20", "1.000", "yes"],
        ["0.250", "−0.00400", "5", "0.008", "no"],
    ]
    assert table.rows[1][3].value == "0.0079"
    assert [row[4].value for row in table.rows] == ["True", "False"]


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


def test_a_layer_that_tells_no_stimuli_apart_is_not_embedded_and_the_page_says_so(study):
    values = study.rdms.values.copy()
    values[study.rdms["layer"].values == "fc8"] = 0
    explorer = explorer_of(replace(study, rdms=study.rdms.copy(data=values)))
    assert not [each["name"] for each in explorer.content["embeddings"] if each["name"].endswith("fc8")]
    assert any("fc8 tells no two stimuli apart" in note for note in explorer.notes)
    json.dumps(explorer.content, allow_nan=False)
