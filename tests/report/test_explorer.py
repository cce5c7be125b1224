"""The explorer packs RDMs, pictures and points so that they come back as they were."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest

from rsa_face.figures.layout import sort_stimuli
from rsa_face.report.explorer import explorer_of


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
    everybody = explorer_of(study)
    few = study.human.isel(stimulus_i=slice(0, 8), stimulus_j=slice(0, 8))  # those with nothing masked
    explorer = explorer_of(replace(study, human=few))
    assert explorer.content["start"]["occlusion"] == "none"
    assert everybody.content["start"]["occlusion"] == ""
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


def test_a_layer_that_tells_no_stimuli_apart_is_not_embedded_and_the_page_says_so(study):
    values = study.rdms.values.copy()
    values[study.rdms["layer"].values == "fc8"] = 0
    explorer = explorer_of(replace(study, rdms=study.rdms.copy(data=values)))
    assert not [each["name"] for each in explorer.content["embeddings"] if each["name"].endswith("fc8")]
    assert any("fc8 tells no two stimuli apart" in note for note in explorer.notes)
    json.dumps(explorer.content, allow_nan=False)
