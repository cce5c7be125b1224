"""The next experiment: trials that tell two layers apart, each stimulus as often as others, dealt out in blocks."""

from collections import Counter

import numpy as np
import pytest
import xarray as xr

from rsa_face.cli import main
from rsa_face.human.design import TASKS, design_trials, random_trials, trial_lists, write_experiment
from rsa_face.stimuli.faces import draw_faces

IDS = [f"face{number:02d}" for number in range(14)]
CHOSEN = [kind for kind, task in TASKS.items() if task.chosen]


@pytest.fixture(scope="module")
def layers():
    features = np.random.default_rng(0).normal(size=(2, 14, 3))
    squares = ((features[:, :, None] - features[:, None]) ** 2).sum(axis=-1)
    coords = {"rdm": ["fe/fc8", "net/fc8"], "stimulus_i": IDS, "stimulus_j": IDS}
    return xr.DataArray(squares, coords, ("rdm", "stimulus_i", "stimulus_j"))


def z(layers):
    upper = layers.values[:, *np.triu_indices(14, 1)]
    return (layers.values - upper.mean(axis=1)[:, None, None]) / upper.std(axis=1)[:, None, None]


def test_the_gain_of_an_anchored_trial_by_hand(layers):
    design = design_trials(layers, "fe/fc8", "net/fc8", kind="anchored", trials=20, noise=0.5)
    at = {name: place for place, name in enumerate(IDS)}
    first, second = z(layers)
    for row in design.itertuples():
        a, b, c = at[row.anchor], at[row.stimulus_a], at[row.stimulus_b]
        p, q = (1 / (1 + np.exp((one[a, b] - one[a, c]) / 0.5)) for one in (first, second))
        forth = p * np.log2(p / q) + (1 - p) * np.log2((1 - p) / (1 - q))
        back = q * np.log2(q / p) + (1 - q) * np.log2((1 - q) / (1 - p))
        assert row.gain == pytest.approx((forth + back) / 2)
        assert row.first_answer == (row.stimulus_a if p > 0.5 else row.stimulus_b)
    assert design.attrs["gain"] == pytest.approx(design["gain"].sum())


def test_the_gain_of_ratings_and_triplets_by_hand(layers):
    at = {name: place for place, name in enumerate(IDS)}
    first, second = z(layers)
    for row in design_trials(layers, "fe/fc8", "net/fc8", kind="pairs", trials=10, noise=2.0).itertuples():
        pair = at[row.stimulus_a], at[row.stimulus_b]
        assert row.gain == pytest.approx((first[pair] - second[pair]) ** 2 / 8 / np.log(2))
    for row in design_trials(layers, "fe/fc8", "net/fc8", kind="triplet", trials=10).itertuples():
        three = [at[row.stimulus_1], at[row.stimulus_2], at[row.stimulus_3]]
        kept = [(1, 2), (0, 2), (0, 1)]
        p, q = (np.exp([-one[three[i], three[j]] for i, j in kept]) for one in (first, second))
        p, q = p / p.sum(), q / q.sum()
        assert row.gain == pytest.approx(((p - q) * np.log2(p / q)).sum() / 2)
        assert row.first_answer == IDS[three[int(np.argmax(p))]]


@pytest.mark.parametrize("kind", CHOSEN)
def test_chosen_trials_differ_are_balanced_and_better_than_random_ones(layers, kind):
    design = design_trials(layers, "fe/fc8", "net/fc8", kind=kind, trials=28)
    columns = list(TASKS[kind].columns)
    assert len({(row[0], *sorted(row[1:])) for row in design[columns].values.tolist()}) == 28
    shown = Counter(design[columns].to_numpy().ravel())
    assert design.attrs["shown"] == [min(shown.values()), max(shown.values())]
    assert max(shown.values()) <= -(-28 * len(columns) // 14) + 2
    assert design.attrs["gain"] > 1.3 * design.attrs["random_gain"]
    assert design.attrs["told_apart"] > design.attrs["random_told_apart"]


def test_answers_simulated_from_a_layer_favour_it_as_often_as_said(layers):
    design = design_trials(layers, "fe/fc8", "net/fc8", kind="anchored", trials=8, noise=2.0)
    at = {name: place for place, name in enumerate(IDS)}
    trials = np.array([[at[name] for name in row] for row in design[["anchor", "stimulus_a", "stimulus_b"]].values])
    first, second = z(layers)
    p, q = (1 / (1 + np.exp((one[trials[:, 0], trials[:, 1]] - one[trials[:, 0], trials[:, 2]]) / 2)) for one in
            (first, second))  # fmt: skip
    rng = np.random.default_rng(0)
    right = []
    for truth, sign in ((p, 1), (q, -1)):
        answers = rng.random((4000, 8)) < truth
        ratio = np.where(answers, np.log(p / q), np.log((1 - p) / (1 - q))).sum(axis=1)
        right.append((sign * ratio > 0).mean())
    assert design.attrs["told_apart"] == pytest.approx(np.mean(right), abs=0.04)  # normal, of 8 answers


def test_a_limit_holds_and_what_cannot_be_is_refused(layers):
    design = design_trials(layers, "fe/fc8", "net/fc8", kind="pairs", trials=6, most=1)
    assert max(Counter(design[["stimulus_a", "stimulus_b"]].to_numpy().ravel()).values()) == 1
    with pytest.raises(ValueError, match="No 8 different trials can be made of 14 stimuli, none of them more than 1"):
        design_trials(layers, "fe/fc8", "net/fc8", kind="pairs", trials=8, most=1)
    with pytest.raises(ValueError, match="Unknown layer: 'net/fc9'"):
        design_trials(layers, "fe/fc8", "net/fc9")
    with pytest.raises(ValueError, match="Unknown kind of trials to choose: 'choice'"):
        design_trials(layers, "fe/fc8", "net/fc8", kind="choice")


def test_very_many_candidates_are_sampled_without_repeats(monkeypatch, layers):
    monkeypatch.setattr("rsa_face.human.design.MOST", 300)
    design = design_trials(layers, "fe/fc8", "net/fc8", kind="anchored", trials=20)
    assert 200 <= design.attrs["candidates"] <= 300


@pytest.mark.parametrize("kind", CHOSEN)
def test_lists_hold_each_trial_in_even_blocks_with_sides_turned(kind):
    trials = random_trials(IDS, kind=kind, trials=28)
    lists = trial_lists(trials, kind=kind, participants=4, blocks=4)
    columns = list(TASKS[kind].columns)
    fixed = 1 if kind == "anchored" else 0
    wanted = {(*row[:fixed], *sorted(row[fixed:])) for row in trials[columns].values.tolist()}
    for _, part in lists.groupby("participant"):
        shown = [(*row[:fixed], *sorted(row[fixed:])) for row in part[columns].values.tolist()]
        rest = [row for row in shown if len(set(row)) > 1]
        assert len(rest) == 28
        assert set(rest) == wanted
        assert len(shown) - len(rest) == (28 if kind == "samediff" else 0)
        assert part["trial"].tolist() == list(range(1, len(part) + 1))
        assert part["block"].is_monotonic_increasing
        counts = [Counter(block[columns].to_numpy().ravel()) for _, block in part.groupby("block")]
        assert max(max(one.values()) for one in counts) <= 4 * len(part) * len(columns) / 28 / 4 + 2
    if kind == "anchored":
        first = trials.set_index(["anchor"])["stimulus_a"]
        turned = [(row.stimulus_a not in set(first.loc[[row.anchor]])) for row in lists.itertuples()]
        assert 0.2 < np.mean(turned) < 0.6


def test_shares_of_the_trials_go_to_equally_many_people():
    trials = random_trials(IDS, kind="anchored", trials=20)
    lists = trial_lists(trials, kind="anchored", participants=6, each=10, blocks=2)
    keys = [(row.anchor, *sorted((row.stimulus_a, row.stimulus_b))) for row in lists.itertuples()]
    assert set(Counter(keys).values()) == {3}
    assert lists.groupby("participant").size().tolist() == [10] * 6


def test_every_two_stimuli_lie_on_a_screen_together():
    lists = trial_lists(IDS, kind="arrangement", participants=2, size=6, blocks=2)
    for _, part in lists.groupby("participant"):
        pairs = set()
        for _, screen in part.groupby("trial"):
            assert len(set(screen["stimulus"])) == 6
            pairs |= {(a, b) for a in screen["stimulus"] for b in screen["stimulus"] if a < b}
        assert len(pairs) == 14 * 13 / 2


def test_choices_show_each_stimulus_equally_often():
    lists = trial_lists(IDS, kind="choice", participants=2, repeats=3, blocks=3)
    assert set(Counter(zip(lists["participant"], lists["stimulus"], strict=True)).values()) == {3}
    assert set(Counter(zip(lists["participant"], lists["block"], lists["stimulus"], strict=True)).values()) <= {1, 2}


def test_lists_of_one_seed_are_the_same_and_those_of_people_differ():
    trials = random_trials(IDS, kind="anchored", trials=20)
    one, again = (trial_lists(trials, kind="anchored", participants=2, seed=3) for _ in range(2))
    assert one.equals(again)
    first, second = (
        part.drop(columns="participant").reset_index(drop=True) for _, part in one.groupby("participant")
    )
    assert not first.equals(second)


def test_names_from_tables_end_no_script(tmp_path):
    stimuli = draw_faces(tmp_path, identities=2, levels=2, size=32)
    lists = trial_lists(stimuli.ids, kind="choice", participants=1)
    page = write_experiment(
        lists, stimuli, tmp_path / "page", kind="choice", title="</script><script>alert(1)</script>"
    )
    assert page.read_text("utf-8").count("</script>") == 2
    with pytest.raises(FileExistsError, match="already exists"):
        write_experiment(lists, stimuli, tmp_path / "page", kind="choice")


def test_the_command_writes_lists_and_a_page_and_says_what_trials_are_worth(tmp_path, capsys):
    from rsa_face.provenance import save
    from rsa_face.rdms.controls import control_rdms

    stimuli = draw_faces(tmp_path, identities=3, levels=3, size=32)
    save(control_rdms(stimuli, ["level", "identity"]), tmp_path / "models.nc")
    words = ["design", str(tmp_path / "stimuli.csv"), "--out", str(tmp_path / "next"), "--trials", "12",
             "--participants", "2", "--rdms", str(tmp_path / "models.nc"), "--layers", "level,identity"]  # fmt: skip
    with pytest.raises(SystemExit) as stopped:
        main(words)
    assert stopped.value.code == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "Expected evidence for the layer that is right:" in said
    assert {path.name for path in (tmp_path / "next").iterdir()} == {
        "index.html",
        "trials.csv",
        "design.csv",
        "images",
    }
    assert len(list((tmp_path / "next" / "images").iterdir())) == 9
