"""Trials predicted from layers' distances: accuracy, log-likelihood, other people as ceiling, draws as for RDMs."""

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import rsa_face as rf
from rsa_face.human.observers import simulate_triplets
from rsa_face.human.prediction import predict_trials
from rsa_face.inference.rsa import correct_layers

pytestmark = pytest.mark.filterwarnings("ignore:Few trials of")


def squares(names: dict[str, np.ndarray], ids: list[str]) -> xr.DataArray:
    """Return RDMs by name, as layers of one network in order of depth."""
    layers = list(names)
    return xr.DataArray(
        np.stack(list(names.values())),
        {
            "rdm": [f"net/{name}" for name in layers],
            "network": ("rdm", ["net"] * len(layers)),
            "layer": ("rdm", layers),
            "depth": ("rdm", (np.arange(len(layers)) + 1) / len(layers)),
            "stimulus_i": ids,
            "stimulus_j": ids,
        },
        ("rdm", "stimulus_i", "stimulus_j"),
    )


def points(count: int, seed: int, features: int = 3) -> np.ndarray:
    """Return Euclidean distances of random points."""
    x = np.random.default_rng(seed).normal(size=(count, features))
    return np.linalg.norm(x[:, None] - x[None], axis=2)


def triplets(*rows: tuple[str, str, int]) -> pd.DataFrame:
    """Return trials of who was shown which three letters, and which place was the odd one."""
    columns = ["participant", "stimulus_1", "stimulus_2", "stimulus_3", "odd"]
    return pd.DataFrame([[who, *three, three[place]] for who, three, place in rows], columns=columns)


LINE = np.abs(np.subtract.outer([0.0, 1.0, 3.0, 7.0], [0.0, 1.0, 3.0, 7.0]))


def test_accuracy_and_shared_ties_are_those_worked_by_hand():
    # on the line 0, 1, 3, 7 the pair most alike is ab in abc, bc in bcd, ab in abd; all distances of `flat` tie
    trials = triplets(("p", "abc", 2), ("p", "bcd", 0), ("q", "abd", 2), ("q", "bcd", 2))
    flat = np.ones((4, 4)) - np.eye(4)
    result = predict_trials(squares({"line": LINE, "flat": flat}, list("abcd")), trials, resample=None)
    # p: right, wrong; q: right, right
    np.testing.assert_allclose(result["participant_similarity"][0] + 1 / 3, [0.5, 1.0])
    np.testing.assert_allclose(result["accuracy"], [0.75, 1 / 3])
    np.testing.assert_allclose(result["log_likelihood"][1], np.log2(1 / 3))


def test_ceiling_of_other_peoples_answers_is_that_worked_by_hand():
    # the same question in another order each time: two answer c, one answers a
    trials = triplets(("p", "abc", 2), ("q", "cab", 0), ("r", "bca", 2))
    result = predict_trials(squares({"line": LINE}, list("abcd")), trials, resample=None, ceiling="answers")
    # p and q: the others disagree, so half; r: both others say c, so nothing. With their own: c for all
    np.testing.assert_allclose(result["ceiling_accuracy"], [(0.5 + 0.5 + 0) / 3, 2 / 3])
    # one answer of prior, a third for each option: of 1 + 1 others 1.33 / 3; of 2 against .33 / 3; with all 2.33 / 4
    low = np.log2([4 / 9, 4 / 9, 1 / 9]).mean()
    high = np.log2([7 / 12, 7 / 12, 4 / 12]).mean()
    np.testing.assert_allclose(result["ceiling_log_likelihood"], [low, high])
    assert result.attrs["ceiling_trials"] == 3


def test_repeated_questions_say_how_well_people_predict_themselves():
    trials = triplets(("p", "abc", 2), ("p", "bca", 1), ("p", "cab", 1), ("q", "abd", 2))
    result = predict_trials(squares({"line": LINE}, list("abcd")), trials, resample=None, ceiling="answers")
    # p says c, c, a: each c is predicted by one c and one a (half), a by two c (wrong)
    np.testing.assert_allclose(result["repeats_accuracy"], (0.5 + 0.5 + 0) / 3)
    assert result.attrs["repeated_trials"] == 3


def test_accuracy_of_a_planted_layer_is_the_simulators_and_so_is_its_temperature():
    ids = [f"s{n:02d}" for n in range(24)]
    layers = squares({"other": points(24, 5), "planted": points(24, 6)}, ids)
    trials = simulate_triplets(layers[1], participants=10, trials=400, temperature=0.4, seed=3)
    result = predict_trials(layers, trials, draws=100)
    expected = trials.attrs["expected_accuracy"]
    error = np.sqrt(expected * (1 - expected) / len(trials))
    assert abs(float(result["accuracy"][1]) - expected) < 3 * error
    assert abs(float(result["temperature"][1]) - 0.4) < 0.04
    low, high = result["accuracy_interval"].values[1]
    assert low < expected < high
    # nobody predicts better in bits than the process that made the answers
    assert float(result["log_likelihood"][1]) > float(result["ceiling_log_likelihood"][0])


def test_layers_of_permuted_stimuli_predict_at_chance():
    ids = [f"s{n:02d}" for n in range(24)]
    planted, rng = points(24, 6), np.random.default_rng(1)
    shuffled = {
        f"l{n:02d}": planted[order][:, order] for n, order in enumerate(rng.permuted([range(24)] * 40, axis=1))
    }
    layers = squares(shuffled, ids)
    trials = simulate_triplets(squares({"x": planted}, ids)[0], participants=6, trials=200, temperature=0.4)
    above = predict_trials(layers, trials, resample=None)["similarity"].values
    assert abs(above.mean()) < 3 * above.std(ddof=1) / np.sqrt(len(above))
    bits = predict_trials(layers, trials, resample=None, score="log-likelihood")["similarity"].values
    assert bits.max() < 0.03  # a temperature that was fitted to other trials gains nothing from noise


def same_different(square: np.ndarray, ids: list[str], *, people: int, repeats: int, seed: int) -> pd.DataFrame:
    """Return same-different trials of all pairs, P(different) = expit(2 d - 3)."""
    rng, (i, j) = np.random.default_rng(seed), np.triu_indices(len(ids), 1)
    i, j = np.tile(i, people * repeats), np.tile(j, people * repeats)
    answer = rng.random(len(i)) < 1 / (1 + np.exp(3 - 2 * square[i, j]))
    who = np.repeat([f"p{n}" for n in range(people)], len(i) // people)
    a, b = np.array(ids)[i], np.array(ids)[j]
    response = np.where(answer, "different", "same")
    return pd.DataFrame({"participant": who, "stimulus_a": a, "stimulus_b": b, "response": response})


def test_same_different_trials_are_predicted_as_they_were_simulated():
    ids, square = [f"s{n:02d}" for n in range(16)], points(16, 2)
    trials = same_different(square, ids, people=6, repeats=2, seed=0)
    layers = squares({"planted": square, "other": points(16, 9)}, ids)
    result = predict_trials(layers, trials, draws=60)
    p = 1 / (1 + np.exp(3 - 2 * square[np.triu_indices(16, 1)]))
    expected = np.maximum(p, 1 - p).mean()
    error = np.sqrt(expected * (1 - expected) / len(trials))
    assert abs(float(result["accuracy"][0]) - expected) < 3 * error
    assert abs(1 / float(result["temperature"][0]) - 2) < 0.3
    assert float(result["similarity"][1]) < 0.05 < float(result["similarity"][0])
    # a stimulus with itself has distance 0 in every layer: left out, counted
    same = trials[:4].assign(stimulus_a="s00", stimulus_b="s00")
    again = predict_trials(layers, pd.concat([trials, same]), resample=None)
    assert again.attrs["left_out"] == {"a stimulus with itself": 4}
    np.testing.assert_allclose(again["accuracy"], result["accuracy"])


def test_guessing_knows_how_often_each_answer_is_given():
    ids, square = [f"s{n:02d}" for n in range(10)], points(10, 2)
    trials = same_different(square, ids, people=4, repeats=1, seed=0)
    trials["response"] = np.where(np.arange(len(trials)) % 10 > 1, "different", "same")  # 80 %, of no pair
    result = predict_trials(squares({"x": square}, ids), trials, resample=None)
    np.testing.assert_allclose(result["guessing_accuracy"], 0.8, atol=0.01)
    bits = 0.8 * np.log2(0.8) + 0.2 * np.log2(0.2)
    # what was fitted to other trials costs a little
    assert bits - 0.03 < float(result["guessing_log_likelihood"]) < bits


def test_categories_are_predicted_for_identities_that_nobody_was_asked_about():
    demo = rf.example("demo")
    choices = rf.read_choices(demo.study.psychophysics.table).query("occlusion == 'none'")
    trials = rf.read_human_trials(
        demo.study.psychophysics.table, kind="choice", layout={"keep": {"occlusion": "none"}}
    )
    assert len(trials) == len(choices)
    assert trials["response"].cat.categories.tolist() == ["sad", "happy"]
    layers = rf.control_rdms(demo.stimuli, ["level", "identity"])
    result = predict_trials(layers, trials, draws=40)
    level, identity = result["accuracy"].values
    low, high = result["ceiling_accuracy"].values
    assert low - 0.02 < level <= high  # level is all that the simulated observers see
    assert abs(identity - float(result["guessing_accuracy"])) < 0.05
    assert result.attrs["groups"] == "identity"
    assert result.attrs["ceiling"] == "answers"


def test_localization_contrast_and_corrections_take_the_result_as_that_of_rdms():
    ids = [f"s{n:02d}" for n in range(20)]
    planted = points(20, 6)
    layers = squares({"conv1": points(20, 1), "fe": planted, "fc8": points(20, 2)}, ids)
    baseline = squares({"conv1": points(20, 3), "fe": points(20, 4), "fc8": points(20, 5)}, ids)
    baseline = baseline.assign_coords(
        network=("rdm", ["base"] * 3), rdm=[f"base/{n}" for n in ("conv1", "fe", "fc8")]
    )
    trials = simulate_triplets(layers[1], participants=8, trials=300, temperature=0.3)
    result = predict_trials(xr.concat([layers, baseline], "rdm"), trials, draws=200)
    where = rf.localize(result, network="net", baseline="base")
    assert where["picked"].sel(target=["peak", "above_baseline"]).values.tolist() == ["fe", "fe"]
    assert where["in_set"].sel(target="peak").values.tolist() == [False, True, False, False]
    gap = rf.contrast_layers(result, network="net", baseline="base")
    assert (gap["p_difference_corrected"] < 0.05).values.tolist() == [False, True, False]
    corrected = correct_layers(result)
    assert (corrected["p_above_zero_corrected"] < 0.05).values.tolist() == [False, True, *[False] * 4]
    assert "above guessing" in rf.plot_layers(result).get_ylabel()


def test_neither_order_of_trials_nor_of_stimuli_matters():
    ids = [f"s{n:02d}" for n in range(12)]
    layers = squares({"a": points(12, 1), "b": points(12, 2)}, ids)
    trials = simulate_triplets(layers[0], participants=5, trials=60, temperature=0.3)
    result = predict_trials(layers, trials, draws=30, score="log-likelihood")
    order = np.random.default_rng(0).permutation(12)
    mixed = trials.iloc[np.random.default_rng(1).permutation(len(trials))]
    # the three of each trial in another order as well
    places = {"stimulus_1": "stimulus_2", "stimulus_2": "stimulus_3", "stimulus_3": "stimulus_1"}
    mixed = mixed.rename(columns=places)
    again = predict_trials(layers.isel(stimulus_i=order, stimulus_j=order), mixed, draws=30, score="log-likelihood")
    for name in ("similarity", "similarity_interval", "noise_ceiling", "similarity_draws", "temperature"):
        np.testing.assert_allclose(again[name], result[name], atol=1e-9)


def test_trials_that_a_layer_cannot_predict_are_counted_and_their_stimuli_named():
    ids = [f"s{n:02d}" for n in range(12)]
    layers = squares({"a": points(12, 1), "b": points(12, 2)}, ids)
    trials = simulate_triplets(layers[0], participants=4, trials=80)
    fewer = layers.isel(stimulus_i=slice(11), stimulus_j=slice(11)).copy()
    fewer[1, 2, 3] = fewer[1, 3, 2] = np.nan
    shown = trials[["stimulus_1", "stimulus_2", "stimulus_3"]].to_numpy(str)
    absent = (shown == "s11").any(axis=1)
    gap = (shown == "s02").any(axis=1) & (shown == "s03").any(axis=1) & ~absent
    result = predict_trials(fewer, trials, resample=None)
    assert result.attrs["lacking"] == ["s11"]
    assert result.attrs["left_out"] == {
        "a stimulus that the layers lack": int(absent.sum()),
        "a dissimilarity that net/b lacks": int(gap.sum()),
    }
    assert result.attrs["trials"] == 320 - absent.sum() - gap.sum()


def test_participants_with_few_trials_are_named():
    ids = [f"s{n:02d}" for n in range(12)]
    layers = squares({"a": points(12, 1)}, ids)
    trials = simulate_triplets(layers[0], participants=4, trials=80)[:250]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=r"p04 \(10\)"):
            predict_trials(layers, trials, resample=None)


def test_a_draw_of_people_and_stimuli_gives_what_their_trials_give():
    ids = [f"s{n:02d}" for n in range(8)]
    layers = squares({"a": points(8, 1)}, ids)
    trials = simulate_triplets(layers[0], participants=4, trials=100, temperature=0.5)
    result = predict_trials(layers, trials, draws=5, resample="both")
    stimuli = dict(zip(result["stimulus"].values, result["drawn_stimuli"].values[3], strict=True))
    people = result["drawn_participants"].values[3]
    right = np.zeros(4)
    for at, person in enumerate(("p01", "p02", "p03", "p04")):
        theirs = trials[trials["participant"] == person]
        shown = theirs[["stimulus_1", "stimulus_2", "stimulus_3"]].to_numpy(str)
        times = np.prod([[stimuli[name] for name in three] for three in shown], axis=1)
        place = layers["stimulus_i"].to_index().get_indexer(shown.ravel()).reshape(-1, 3)
        square = layers.values[0]
        kept = np.stack([square[place[:, i], place[:, j]] for i, j in ((1, 2), (0, 2), (0, 1))], axis=1)
        hit = shown[np.arange(100), kept.argmin(axis=1)] == theirs["odd"].to_numpy(str)
        right[at] = (hit * times).sum() / times.sum()
    np.testing.assert_allclose(result["similarity_draws"].values[3, 0], (right * people).sum() / people.sum() - 1 / 3)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"score": "kappa"}, "'kappa'"),
        ({"ceiling": "rdms"}, "'rdms'"),
        ({"folds": (1, 8)}, r"\(1, 8\)"),
        ({"confidence": 95}, "95"),
        ({"variance": "none"}, "'none'"),
    ],
)
def test_impossible_choices_are_refused_by_name(change, match):
    layers = squares({"a": points(8, 1)}, [f"s{n:02d}" for n in range(8)])
    trials = simulate_triplets(layers[0], participants=3, trials=30)
    with pytest.raises(ValueError, match=match):
        predict_trials(layers, trials, **change)


def test_trials_of_unknown_stimuli_or_kinds_are_refused_by_name():
    layers = squares({"a": points(8, 1)}, [f"s{n:02d}" for n in range(8)])
    with pytest.raises(ValueError, match="'x'"):
        predict_trials(layers, triplets(("p", "xyz", 0), ("q", "xyz", 0)))
    trials = simulate_triplets(layers[0])
    with pytest.raises(ValueError, match="'stimulus_1'"):
        predict_trials(layers, trials.drop(columns="odd"))
    with pytest.raises(ValueError, match="read_human_trials"):
        predict_trials(layers, layers.to_dataset(name="x"))
    with pytest.raises(ValueError, match="'x'"):
        predict_trials(layers, trials.astype(str).assign(odd="x"))
    with pytest.raises(ValueError, match="'samediff'"):
        predict_trials(layers, same_different(points(8, 1), layers["stimulus_i"].values.tolist(), people=2, repeats=1,
                                              seed=0), ceiling="pairs")  # fmt: skip


def test_anchored_choices_and_rankings_are_predicted_as_comparisons_with_their_target():
    # on the line 0, 1, 3, 7: from b, a is nearer than c, and c than d; from c, b is nearer than d
    head = ["participant", "anchor", "stimulus_a", "stimulus_b", "nearer"]
    anchored = pd.DataFrame([["p", *"bcaa"], ["p", *"cbdd"], ["q", *"bdcc"], ["q", *"abdb"]], columns=head)
    result = predict_trials(squares({"line": LINE}, list("abcd")), anchored, resample=None)
    np.testing.assert_allclose(result["participant_similarity"][0], [0.0, 0.5])
    ranking = pd.DataFrame(
        [["p", "b", "a", "d", "c", 3], ["q", "b", "c", "a", "d", 1], ["q", "c", "b", "d", None, 2]],
        columns=["participant", "target", "choice_1", "choice_2", "choice_3", "ordered"],
    )
    result = predict_trials(squares({"line": LINE}, list("abcd")), ranking, resample=None)
    # p: a < d and a < c rightly, d < c wrongly; q: c < d rightly, c < a wrongly, a and d in no order; b < d rightly
    np.testing.assert_allclose(result["participant_similarity"][0] + 0.5, [2 / 3, 2 / 3])
    assert result.attrs["trials"] == 6


def test_same_different_trials_are_read_with_words_of_their_own(tmp_path):
    file = tmp_path / "same.csv"
    file.write_text(
        "# simulated: true\nparticipant,stimulus_a,stimulus_b,response\np2,a,b,no\np1,b,c,yes\np1,a,b,NA\n"
    )
    trials = rf.read_human_trials(file, kind="samediff", options={"same": "yes", "different": "no"})
    assert trials["response"].tolist() == ["different", "same"]
    assert trials.attrs["left_out"] == {"response is missing (NA)": 1}
    assert trials.attrs["simulated"]
