"""Tables of choices are held to their form, and counted."""

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from rsa_face.human.choices import read_choices
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network, answer_places
from rsa_face.psychophysics.choices import (
    check_choices,
    count_choices,
    network_choices,
    scale_of,
    to_morph,
)
from rsa_face.schema import MISSING
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.preprocessing import Preprocessing


def rows(**columns):
    return pd.DataFrame({"participant": ["a"] * 4, "level": [-1.0, -0.5, 0.5, 1.0], **columns})


def test_answers_are_counted_by_observer_occlusion_and_level():
    table = pd.DataFrame(
        {
            "participant": ["b", "b", "b", "a"],
            "level": [0.5, 0.5, -0.5, 0.5],
            "occlusion": ["eyes", "eyes", "none", "none"],
            "response": ["happy", "sad", "sad", "happy"],
        }
    )
    counts = count_choices(check_choices(table))
    assert (counts.observers, counts.occlusions, counts.scale) == (("b", "a"), ("none", "eyes"), "signed")
    assert counts.trials.tolist() == [[[1, 0], [0, 2]], [[0, 1], [0, 0]]]
    assert counts.happy.tolist() == [[[0, 0], [0, 1]], [[0, 1], [0, 0]]]
    assert counts.answered


def test_whole_faces_come_first_whatever_the_order_of_the_table():
    table = rows(response=["sad", "sad", "happy", "happy"], occlusion=["mouth", "mouth", "none", "none"])
    assert count_choices(check_choices(table)).occlusions == ("none", "mouth")


def test_chances_without_trials_are_not_counted_trials():
    counts = count_choices(check_choices(rows(p_happy=[0, 0.25, 0.75, 1])))
    assert not counts.answered
    assert counts.happy.ravel().tolist() == [0, 0.25, 0.75, 1]


def test_a_network_with_seeds_is_an_observer_for_each_seed():
    table = rows(response=["sad"] * 4, seed=[0, 0, 1, 1]).rename(columns={"participant": "network"})
    assert count_choices(check_choices(table)).observers == ("a/0", "a/1")


def test_signed_levels_are_put_on_the_morph_and_morphs_stay():
    moved = to_morph(check_choices(rows(response=["sad", "sad", "happy", "happy"])))
    assert moved["level"].tolist() == [0, 0.25, 0.75, 1]
    assert to_morph(moved)["level"].tolist() == [0, 0.25, 0.75, 1]
    assert scale_of(np.array([-3.0, 3.0])) == "other"
    with pytest.raises(ValueError, match="from -3 to 3 cannot"):
        to_morph(pd.DataFrame({"level": [-3, 3]}))


def test_responses_outside_two_labels_are_named_with_their_lines():
    with pytest.raises(ValueError, match=r"line 3 answers 'neutral'; line 5 answers ''\."):
        check_choices(rows(response=["sad", "neutral", "happy", ""]))


@pytest.mark.parametrize("word", [None, np.nan, *(word for word in MISSING if word)])
def test_a_missing_answer_is_left_out_and_counted(word, tmp_path):
    table = rows(response=["sad", word, "happy", "happy"])
    checked = check_choices(table)
    assert checked["level"].tolist() == table["level"].drop(1).tolist()
    assert checked.attrs["left_out"] == 1
    if isinstance(word, str):
        table.to_csv(tmp_path / "choices.csv", index=False)
        assert read_choices(tmp_path / "choices.csv").attrs["left_out"] == 1
    with pytest.raises(ValueError, match="the response is missing in all of 4 rows"):
        check_choices(rows(response=[word] * 4))


@pytest.mark.parametrize("column", ["network", "seed", "stimulus"])
def test_a_missing_name_is_named_with_its_line(column):
    table = pd.DataFrame(
        {
            "network": ["n", "n"],
            "seed": [0, 1],
            "stimulus": ["a", "b"],
            "level": [-1, 1],
            "response": ["sad", "happy"],
        }
    ).astype({column: object})
    table.loc[1, column] = None
    with pytest.raises(ValueError, match=f"line 3 has no {column}"):
        check_choices(table)


def test_a_missing_level_is_named_with_its_line():
    table = rows(response=["sad"] * 4).astype({"level": object})
    table.loc[1, "level"], table.loc[2, "level"] = None, "high"
    with pytest.raises(ValueError, match=r"line 3 has no level; line 4 has the level 'high'"):
        check_choices(table)


def test_impossible_chances_and_trials_are_named():
    with pytest.raises(ValueError, match=r"line 2 has p_happy '1.5'; line 4 has trials '0'"):
        check_choices(rows(p_happy=[1.5, 0, 0, 1], trials=[1, 1, 0, 1]))


@pytest.mark.parametrize(
    ("table", "clause"),
    [
        (pd.DataFrame({"participant": ["a"], "level": [1]}), "response or p_happy"),
        (pd.DataFrame({"level": [1], "response": ["sad"]}), "participant or network"),
        (pd.DataFrame({"participant": ["a"], "response": ["sad"]}), "level"),
        (pd.DataFrame({"participant": [], "level": [], "response": []}), "no rows"),
    ],
)
def test_a_table_without_its_columns_is_refused(table, clause):
    with pytest.raises(ValueError, match=clause):
        check_choices(table)


def test_more_than_twenty_faults_are_counted():
    table = pd.DataFrame({"participant": "a", "level": range(30), "response": "maybe"})
    with pytest.raises(ValueError, match="line 21 answers 'maybe'; and 10 more"):
        check_choices(table)


def test_simulated_rows_label_the_table(tmp_path):
    table = rows(response=["sad", "sad", "happy", "happy"], simulated=[False, True, False, False])
    table.to_csv(tmp_path / "choices.csv", index=False)
    read = read_choices(tmp_path / "choices.csv")
    assert read.attrs["simulated"] is True
    assert count_choices(read).simulated
    assert read["chosen"].tolist() == [0, 0, 1, 1]


def test_a_file_that_is_not_there_or_not_a_table_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere.csv"):
        read_choices(tmp_path / "nowhere.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match=r"empty\.csv is empty"):
        read_choices(tmp_path / "empty.csv")


def test_a_remark_above_the_header_labels_simulated_choices(tmp_path):
    path = tmp_path / "choices.csv"
    path.write_text("# simulated: true\n# by hand\nparticipant,level,response\na,-1,sad\na,1,happy\n")
    assert read_choices(path).attrs["simulated"] is True
    path.write_text("# by hand\n\nparticipant,level,response\na,-1,sad\na,1,maybe\n")
    with pytest.raises(ValueError, match=r"choices\.csv, line 5, column response: 'maybe' is neither happy"):
        read_choices(path)


class Brightness(nn.Module):
    """The mean of the first colour, weighed for each output."""

    def __init__(self, *weights):
        super().__init__()
        self.readout = nn.Linear(1, len(weights), bias=False)
        with torch.no_grad():
            self.readout.weight.copy_(torch.tensor(weights)[:, None])

    def forward(self, inputs):
        return self.readout(inputs[:, 0].mean(dim=(1, 2))[:, None])


def network_of(*weights, outputs=(), name="bright", untrained=()):
    module = Brightness(*weights).eval()
    plain = Preprocessing(resize=4, crop=4, mean=(0, 0, 0), sd=(1, 1, 1))
    return Network(name, module, name_modules(module), plain, outputs=outputs, untrained=untrained)


@pytest.fixture
def stimuli(tmp_path):
    for place, gray in enumerate((0, 51, 255)):
        Image.new("RGB", (4, 4), (gray, gray, gray)).save(tmp_path / f"{place}.png")
    files = [str(tmp_path / f"{place}.png") for place in range(3)]
    return StimulusSet(pd.DataFrame({"stimulus": ["a", "b", "c"], "file": files, "level": [-1.0, 0.0, 1.0]}))


def test_two_outputs_are_sad_and_happy_and_others_do_not_count(stimuli):
    two = network_choices(network_of(-1.0, 2.0), stimuli)
    np.testing.assert_allclose(two["p_happy"], 1 / (1 + np.exp(-3 * np.array([0, 0.2, 1]))), atol=1e-6)
    three = network_choices(network_of(2.0, 9.0, -1.0, outputs=("happy", "neutral", "sad")), stimuli)
    np.testing.assert_allclose(three["p_happy"], two["p_happy"], atol=1e-6)
    assert two["occlusion"].tolist() == ["none"] * 3
    assert len(check_choices(two)) == 3


def test_choices_drawn_are_counted_and_the_same_for_a_seed(stimuli):
    first, again, other = (
        network_choices(network_of(-1.0, 2.0), stimuli, trials=40, seed=seed) for seed in (0, 0, 1)
    )
    assert first["p_happy"].tolist() == again["p_happy"].tolist() != other["p_happy"].tolist()
    assert set(first["trials"]) == {40}
    np.testing.assert_allclose(first["p_happy"] * 40, np.round(first["p_happy"] * 40), atol=1e-9)


def test_an_untrained_readout_is_named(stimuli):
    networks = [network_of(-1.0, 2.0), network_of(-1.0, 2.0, name="raw", untrained=("readout.weight",))]
    table = network_choices(networks, stimuli)
    assert table.attrs["untrained"] == ["raw"]
    assert table["network"].unique().tolist() == ["bright", "raw"]


def test_outputs_without_happy_and_sad_are_refused(stimuli):
    with pytest.raises(ValueError, match=r"bright has no outputs .*3 outputs without names"):
        answer_places(network_of(1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match=r"\['cat', 'dog'\]"):
        answer_places(network_of(1.0, 2.0, outputs=("cat", "dog")))
    with pytest.raises(ValueError, match="without the factor level"):
        network_choices(network_of(1.0, 2.0), StimulusSet(stimuli.table.drop(columns="level")))
