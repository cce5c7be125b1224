"""Pairs that share no stimulus: the pair is drawn, left out and shuffled, and weighs as often as it was drawn."""

import numpy as np
import pytest
import xarray as xr

from rsa_face import RSA, load, noise_ceiling, read_human
from rsa_face.human.read import write_human
from rsa_face.inference.resampling import choose_groups, describe_groups, draw_resamples, pair_labels, with_pairs
from tests.benchmarks.pairs import population, rates, simulate_pairs


@pytest.fixture(scope="module")
def made():
    return simulate_pairs(12, 5, np.random.default_rng(0))


def test_a_pair_that_was_drawn_often_counts_as_often(made):
    layers, human = made
    rng = np.random.default_rng(1)
    stimuli, people = rng.integers(0, 12, (20, 12)), rng.integers(0, 5, (20, 5))
    result = RSA(layers, human, comparison="corr").bootstrap(
        "both", resamples={"stimulus": stimuli, "participant": people}
    )
    # by hand: the lists of pairs and people drawn, repeats included
    first = np.arange(0, 24, 2)
    of_layers, of_people = layers.values[:, first, first + 1], human.values[:, first, first + 1]
    order = np.argsort(np.unique(with_pairs(human)["pair"].values[::2]).tolist())
    for draw in range(20):
        at = order[stimuli[draw]]
        each = [
            [np.corrcoef(layer[at], of_people[person][at])[0, 1] for person in people[draw]] for layer in of_layers
        ]
        np.testing.assert_allclose(
            result.table["similarity_draws"].isel(draw=draw).values.ravel(), np.mean(each, axis=1), atol=1e-12
        )


def test_pairs_are_drawn_whatever_groups_are_asked_for(made):
    human = with_pairs(made[1])
    assert choose_groups(human) == "pair"
    assert choose_groups(human, None) == "pair"
    assert describe_groups(human, "pair") == "as the 12 pairs that were judged"
    drawn = draw_resamples(human, resample="stimulus", draws=50, rng=np.random.default_rng(0), groups="pair")
    assert drawn.units == (12, 5)
    assert (drawn.stimuli.reshape(50, 12, 2).max(axis=2).sum(axis=1) == 12).all()
    assert drawn.stimuli.reshape(50, 12, 2).min(axis=2).max() == 1
    both = human.assign_coords(sex=("stimulus_i", np.repeat(list("mfx"), 8)), side=("stimulus_i", list("lr") * 12))
    assert choose_groups(both, "sex") == "sex"
    with pytest.raises(ValueError, match=r"groups='side' splits pairs, such as face_000 \+ face_001"):
        choose_groups(both, "side")


def test_shuffles_move_pairs_onto_pairs(made):
    layers, human = made
    table = RSA(layers, human, comparison="corr").permute(200, seed=3)
    assert table.attrs["groups"] == "pair"
    null = table["similarity_shuffles"].values
    assert not np.isnan(null).any()
    assert abs(null.mean()) < 0.05
    assert table["p_permutation"].values[0] < 0.05


def test_stimuli_in_several_pairs_are_no_list_of_pairs(made):
    human = made[1].copy(deep=True)
    assert pair_labels(human) is not None
    human[:, 0, 2] = human[:, 2, 0] = 1.0
    assert pair_labels(human) is None
    assert choose_groups(human) is None


def test_judged_pairs_come_back_from_files_and_results(made, tmp_path):
    layers, human = made
    lines = ["participant,stimulus_a,stimulus_b,rating"]
    for person in human:
        lines += [
            f"{person.participant.item()},{human.stimulus_i.values[k]},{human.stimulus_i.values[k + 1]},"
            f"{person.values[k, k + 1]}"
            for k in range(0, 24, 2)
        ]
    file = tmp_path / "pairs.csv"
    file.write_text("\n".join(lines))
    read = read_human(file, kind="pairs")
    np.testing.assert_allclose(read.values, human.values)
    for ending in ("nc", "csv", "h5"):
        again = read_human(write_human(read, tmp_path / f"human.{ending}"), kind="rdm")
        assert again["pair"].values.tolist() == read["pair"].values.tolist()
    result = RSA(layers, read, comparison="corr").bootstrap(draws=30)
    result.save(tmp_path / "result.nc")
    assert load(tmp_path / "result.nc").rsa.groups == "pair"


def test_a_stimulus_in_two_pairs_is_a_fault_by_line(tmp_path):
    file = tmp_path / "pairs.csv"
    file.write_text(
        "participant,stimulus_a,stimulus_b,rating\np,a,b,1\np,c,d,2\np,e,f,3\np,b,g,4\nq,b,a,2\nq,c,c,1\n"
    )
    with pytest.raises(ValueError, match="line 5, column stimulus_a: 'b' stands in another pair as well") as refused:
        read_human(file, kind="pairs")
    assert "line 7, column stimulus_b: is the other stimulus of the pair itself" in str(refused.value)
    assert "line 6" not in str(refused.value)


def test_pairs_that_nobody_judged_change_no_similarity_draw_or_ceiling(made):
    # the same with the columns kept: a participant more, who judged everything, keeps all of them
    layers, human = made
    result = RSA(layers, human, comparison="spearman").bootstrap("stimulus", draws=10, seed=2)
    full = human.isel(participant=[0]).fillna(5.0).assign_coords(participant=["all"])
    full = full + xr.zeros_like(full) + np.where(np.eye(24), 0, np.add.outer(np.arange(24), np.arange(24)) / 24)
    more = xr.concat([human, full], "participant")
    counts = result._drawn.stimuli
    from rsa_face.inference.draws import evaluate, prepare, prepare_judged
    from rsa_face.inference.kernels import to_vectors

    for comparison in ("spearman", "corr", "rho-a", "kendall", "tau-a", "cosine"):
        vectors = to_vectors(layers.values), to_vectors(more.values)
        dense, sparse = prepare_judged(*vectors, comparison), prepare_judged(vectors[0], vectors[1][:5], comparison)
        assert dense.places is None
        assert sparse.places is not None
        whole = prepare(vectors[0], vectors[1][:5], comparison)
        for stimuli in counts[:4]:
            one, other = evaluate(sparse, stimuli), evaluate(whole, stimuli)
            for once, again in zip(one, other, strict=True):
                np.testing.assert_allclose(once(np.ones((1, 5))), again(np.ones((1, 5))), atol=1e-12)


def test_the_ceiling_is_that_of_the_judged_pairs(made):
    human = made[1]
    first = np.arange(0, 24, 2)
    vectors = human.values[:, first, first + 1]
    z = (vectors - vectors.mean(axis=1, keepdims=True)) / vectors.std(axis=1, keepdims=True)
    lower = np.mean([np.corrcoef(np.delete(z, k, axis=0).mean(axis=0), z[k])[0, 1] for k in range(5)])
    bounds = noise_ceiling(with_pairs(human), comparison="corr", resample="both", draws=50)
    assert bounds.values[0] == pytest.approx(lower)
    assert bounds["interval_lower"].values[0] < lower < bounds["interval_upper"].values[0]


@pytest.mark.slow
def test_tests_of_pairs_reject_what_is_true_as_often_as_they_say():
    found = rates(20, 8, 200)
    for name in ("equal layers differ", "unrelated layer: t", "unrelated layer: shuffles"):
        assert 0.015 <= found[name] <= 0.095, name  # 5 %, with three standard errors of 200 simulations
    assert 0.9 <= found["coverage"] <= 0.99
    assert 0.3 < population() < 0.6
