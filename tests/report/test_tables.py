"""Tables are read in words, sorted and exported in exact numbers."""

from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from rsa_face.report.page import agreement_tables, frames_of, table_of, tables_of


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
