"""Stimuli of one identity are drawn, shuffled and left out together, wherever stimuli are the unit of chance."""

import math
from itertools import combinations, permutations
from unittest.mock import patch

import numpy as np
import pytest
import xarray as xr

from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.kernels import to_vectors
from rsa_face.inference.localization import contrast_layers, localize, picks_within_draws
from rsa_face.inference.permutation import block_shuffles, blocks_of, shuffle_layers, shuffled_pairs
from rsa_face.inference.resampling import UngroupedWarning, choose_groups
from rsa_face.inference.results import NO_TEST, layers_of
from rsa_face.inference.rsa import compare_layers, correct_layers, held_out_similarity, noise_ceiling
from rsa_face.inference.variance import folds_of, partition_variance, pick_in_folds, reweight_layer
from tests.benchmarks.batched import correlate_draws
from tests.inference.simulated import between_groups, simulate, simulate_grouped


def made(identities: int = 6, levels: int = 4, people: int = 5, seed: int = 0, **kind: object) -> tuple:
    rng = np.random.default_rng(seed)
    return simulate_grouped(identities, levels, participants=people, rng=rng, **kind)


def labelled(factor: str, values: list[str]) -> xr.DataArray:
    _, human = simulate({"a/a": 0.5}, stimuli=len(values), participants=2, rng=np.random.default_rng(0))
    return human.assign_coords({factor: ("stimulus_i", values)})


@pytest.mark.parametrize(
    ("factor", "values", "chosen"),
    [
        ("identity", [*"aabbcc"], "identity"),
        ("identity", [*"abcdee"], "identity"),
        ("identity", [*"abcdef"], None),
        ("identity", [*"aaaaaa"], None),
        ("category", [*"aabbcc"], None),
    ],
)
def test_identity_is_chosen_where_it_repeats(factor: str, values: list[str], chosen: str | None) -> None:
    assert choose_groups(labelled(factor, values)) == chosen


def test_a_factor_is_taken_by_its_name_and_an_unknown_one_is_refused() -> None:
    assert choose_groups(labelled("category", [*"aabbcc"]), "category") == "category"
    with pytest.raises(ValueError, match="'person'"):
        choose_groups(labelled("identity", [*"aabbcc"]), "person")


def test_ungrouped_draws_of_a_grouped_table_warn_and_so_do_two_identities() -> None:
    rdms, human = made()
    with pytest.warns(UngroupedWarning, match="24 stimuli of 6 identities one by one") as caught:
        result = compare_layers(rdms, human, comparison="corr", draws=20, groups=None)
    assert len(caught) == 1
    assert result.attrs["groups"] is None
    with pytest.warns(UngroupedWarning, match="Two identities, a and b"):
        assert choose_groups(labelled("identity", [*"aaabbb"])) is None


def test_the_identities_of_the_layers_rdms_suffice_and_are_the_units() -> None:
    rdms, human = made()
    explicit = compare_layers(rdms, human, comparison="corr", draws=30, groups="identity")
    chosen = compare_layers(rdms, human.drop_vars(["identity", "level"]), comparison="corr", draws=30)
    assert (chosen.attrs["groups"], chosen.attrs["stimuli"]) == ("identity", 6)
    xr.testing.assert_identical(chosen, explicit)
    ceiling = noise_ceiling(human, comparison="corr", draws=200)
    assert ceiling.attrs["groups"] == "identity"
    alone = noise_ceiling(human.drop_vars("identity"), comparison="corr", draws=200)
    width, narrow = (
        float((outcome["interval_upper"] - outcome["interval_lower"])[0]) for outcome in (ceiling, alone)
    )
    assert width > 1.2 * narrow


def test_four_identities_are_drawn_with_the_variance_of_the_draws() -> None:
    rdms, human = made(identities=4)
    with pytest.warns(UserWarning, match="4 groups of 'identity'"):
        result = compare_layers(rdms, human, comparison="corr", draws=30)
    assert (result.attrs["groups"], result.attrs["variance"]) == ("identity", "bootstrap")


@pytest.mark.parametrize("labels", ["both", "groups", "levels"])
def test_a_shuffle_keeps_which_images_belong_together(labels: str) -> None:
    _, human = made()
    blocks, crossed = blocks_of(human, "identity")
    assert crossed
    orders, _ = block_shuffles(blocks, crossed=crossed, labels=labels, shuffles=50, rng=np.random.default_rng(0))
    for factor, free in (("identity", "levels"), ("level", "groups")):
        values = human[factor].values
        same = values[:, None] == values[None, :]
        for order in orders:
            np.testing.assert_array_equal(same[np.ix_(order, order)], same)
        assert (labels == free) == bool((values[orders] == values).all())


def test_places_correspond_by_several_factors_in_any_order_of_the_stimuli() -> None:
    _, human = made(identities=3, levels=4)
    human = human.assign_coords(
        valence=("stimulus_i", [*"ssoo"] * 3), mask=("stimulus_i", [*"eoeo"] * 3), file=("stimulus_i", np.arange(12))
    ).drop_vars("level")
    mixed = np.random.default_rng(1).permutation(12)
    human = human.isel(stimulus_i=mixed, stimulus_j=mixed)
    blocks, crossed = blocks_of(human, "identity")
    assert crossed
    for factor in ("valence", "mask"):
        assert (human[factor].values[blocks] == human[factor].values[blocks[0]]).all()
    assert not blocks_of(human.drop_vars("mask"), "identity")[1]
    with pytest.raises(ValueError, match="have 3 to 4 stimuli"):
        blocks_of(human.isel(stimulus_i=slice(1, None), stimulus_j=slice(1, None)), "identity")


def test_few_groups_are_shuffled_in_every_way_and_p_is_exact() -> None:
    rdms, human = made(identities=4, levels=2)
    outcome = shuffle_layers(rdms, human, comparison="corr", shuffles=100, labels="groups")
    vectors, people = to_vectors(rdms.values), to_vectors(human.values)
    by_hand = []
    for order in permutations(range(4)):
        stimuli = np.concatenate([[2 * group, 2 * group + 1] for group in order])
        by_hand.append(compare_vectors("corr", vectors, people[:, shuffled_pairs(stimuli)]).mean(axis=1))
    observed = compare_vectors("corr", vectors, people).mean(axis=1)
    np.testing.assert_allclose(outcome["p_permutation"], (np.array(by_hand) >= observed - 1e-12).mean(axis=0))
    assert (outcome.attrs["exhaustive"], outcome.attrs["shuffles"]) == (True, math.factorial(4) - 1)
    assert shuffle_layers(*made(), labels="groups", shuffles=1000).attrs["shuffles"] == 719
    with pytest.raises(ValueError, match=r"allow 6 \(labels='groups'\)"):
        shuffle_layers(*made(identities=3), labels="groups")


@pytest.mark.parametrize("comparison", ["corr", "rho-a", "tau-a"])
def test_pairs_that_nobody_judged_within_groups_change_nothing_but_the_way(comparison: str) -> None:
    rdms, human = made(identities=4, levels=3, people=3)
    apart = between_groups(human)
    outcome = shuffle_layers(rdms, apart, comparison=comparison, shuffles=10)
    with patch("rsa_face.inference.permutation._keeps_pairs", return_value=False):
        again = shuffle_layers(rdms, apart, comparison=comparison, shuffles=10)
    np.testing.assert_allclose(outcome["similarity_shuffles"], again["similarity_shuffles"], atol=1e-12)


def test_shuffled_blocks_hold_their_level_where_shuffled_images_do_not() -> None:
    """Layers share nothing with people, and only pairs of two people were judged: 26 % by image in place of 5 %."""
    blocks, images, levels = [], [], []
    for seed in range(40):
        rdms, human = made(6, 9, people=4, seed=seed, related=False, levels_in_layers=False)
        apart = between_groups(human)
        options = {"comparison": "corr", "shuffles": 79, "seed": seed}
        blocks.append(shuffle_layers(rdms, apart, **options)["p_permutation"] <= 0.05)
        free = apart.drop_vars(["identity", "level"])
        images.append(shuffle_layers(rdms.drop_vars(["identity", "level"]), free, **options)["p_permutation"] <= 0.05)
        rdms, human = made(6, 9, people=4, seed=seed, related=False)
        levels.append(shuffle_layers(rdms, human, labels="groups", **options)["p_permutation"] <= 0.05)
    assert np.mean(blocks) < 0.09
    assert np.mean(images) > 0.15
    assert np.mean(levels) < 0.11


def test_equal_networks_differ_rarely_drawn_by_identity_and_often_image_by_image() -> None:
    """A difference at .05: 18 to 28 % of simulations drawn image by image, 5 % drawn by identity."""
    differ: dict[str | None, list[float]] = {"identity": [], None: []}
    for seed in range(50):
        rdms, human = made(6, 9, people=20, seed=seed)
        bare = rdms.drop_vars("identity"), human.drop_vars("identity")
        for groups, arrays in (("identity", (rdms, human)), (None, bare)):
            with patch("rsa_face.inference.rsa.evaluate_draws", correlate_draws):
                result = compare_layers(*arrays, comparison="corr", draws=60, seed=seed)
            assert result.attrs["groups"] == groups
            p = contrast_layers(result, network="fe_alexnet", baseline="alexnet")["p_difference"]
            differ[groups].append(float((p < 0.05).mean()))
    assert np.mean(differ["identity"]) < 0.10
    assert np.mean(differ[None]) > 0.15


def test_shuffles_never_replace_the_t_test_over_groups() -> None:
    rdms, human = made(people=6)
    result = compare_layers(rdms, human, comparison="corr", draws=40)
    corrected = correct_layers(result, rdms=rdms, human=human)
    np.testing.assert_array_equal(corrected["p_above_zero"], result["p_above_zero"])
    assert corrected.attrs["p_above_zero_kind"] == "t"
    xr.testing.assert_identical(corrected, correct_layers(result).assign_attrs(p_above_zero_kind="t"))
    over_people = compare_layers(rdms, human, comparison="corr", resample=None)
    corrected = correct_layers(over_people, rdms=rdms, human=human, method="holm", shuffles=99)
    shuffled = shuffle_layers(rdms, human, comparison="corr", shuffles=99)
    np.testing.assert_array_equal(corrected["p_above_zero_shuffled"], shuffled["p_permutation"])
    assert corrected.attrs["p_above_zero_kind"] == "shuffle of groups"


@pytest.mark.parametrize("comparison", ["cosine", "cosine_cov"])
def test_cosines_are_not_tested_against_0_but_by_shuffles(comparison: str) -> None:
    shares = {f"alexnet/l{place}": share for place, share in enumerate([0.0, 0.0, 0.9])}
    rdms, human = simulate(shares, stimuli=16, participants=6, rng=np.random.default_rng(0), related=True)
    result = compare_layers(rdms, human, comparison=comparison, draws=40)
    assert not {"p_above_zero", "p_above_zero_percentile"} & set(result)
    assert result.attrs["p_above_zero_kind"] == NO_TEST
    assert (result["similarity_interval"][:, 0] > 0).all()  # of the unrelated layers too
    corrected = correct_layers(result, rdms=rdms, human=human, shuffles=199)
    assert (corrected["p_above_zero_shuffled"] < 0.05).values.tolist() == [False, False, True]
    assert "p_above_zero" not in correct_layers(result)
    rdms, human = made()
    grouped = compare_layers(rdms, human, comparison=comparison, draws=40)
    corrected = correct_layers(grouped, rdms=rdms, human=human, shuffles=99)
    assert corrected.attrs["p_above_zero_kind"] == "shuffle of groups"


def test_a_picked_layer_is_tested_on_people_of_whom_its_draw_saw_no_image() -> None:
    rdms, human = made(people=6)
    result = compare_layers(rdms, human, comparison="corr", draws=30)
    drawn_stimuli, drawn_people = result["drawn_stimuli"].values, result["drawn_participants"].values
    by_identity = drawn_stimuli.reshape(30, 6, 4)
    assert (by_identity == by_identity[:, :, :1]).all()
    where = held_out_similarity(localize(result, baseline=None), result, rdms=rdms, human=human)
    draw = int(np.flatnonzero(~np.isnan(where["held_out_draws"].sel(target="peak").values))[0])
    picked = int(picks_within_draws(where, result)[0][draw, 0])
    stimuli, people = np.flatnonzero(drawn_stimuli[draw] == 0), np.flatnonzero(drawn_people[draw] == 0)
    layer = int(layers_of(result, "fe_alexnet")[picked])
    left = [array.values[np.ix_(rows, stimuli, stimuli)] for array, rows in ((rdms, [layer]), (human, people))]
    expected = compare_vectors("corr", *(to_vectors(values) for values in left)).mean()
    assert where["held_out_draws"].sel(target="peak")[draw] == pytest.approx(expected)


def test_a_held_out_value_stands_beside_one_of_the_same_pairs() -> None:
    """Worked by hand: draws leave out 3 of 6 persons with 2 images each, so 3 of 15 pairs are of one person, not 6 of
    66, and a layer that knows the person alone is more similar there than over all.
    """
    person = np.repeat(np.arange(6), 2)
    ids = [f"face{number:02d}" for number in range(12)]
    across = (person[:, None] != person).astype(float)
    image = np.arange(12.0)
    uneven = across * (1 + np.abs(image[:, None] - image) % 3)
    coords = {"stimulus_i": ids, "stimulus_j": ids, "identity": ("stimulus_i", person.astype(str))}
    dims = ("rdm", "stimulus_i", "stimulus_j")
    layers = {"rdm": ["net/person"], "network": ("rdm", ["net"]), "layer": ("rdm", ["person"]), "depth": ("rdm", [1])}
    rdms = xr.DataArray(across[None], coords | layers, dims)
    people = [f"p{number}" for number in range(6)]
    human = xr.DataArray(np.stack([uneven] * 6), coords | {"participant": people}, ("participant", *dims[1:]))
    remaining = np.array(list(combinations(range(6), 3)))  # 20 draws
    draws = {"stimulus": np.tile(remaining, 2), "participant": np.tile([0, 1, 2], (len(remaining), 2))}
    result = compare_layers(rdms, human, comparison="corr", resamples=draws)
    where = held_out_similarity(localize(result, network="net", baseline=None), result, rdms=rdms, human=human)
    peak = where.sel(target="peak")

    def by_hand(stimuli: np.ndarray) -> float:
        pairs = np.triu_indices(len(stimuli), 1)
        return float(np.corrcoef(*(square[np.ix_(stimuli, stimuli)][pairs] for square in (across, uneven)))[0, 1])

    expected = np.mean([by_hand(np.flatnonzero(~np.isin(person, draw))) for draw in remaining])
    assert peak["held_out_similarity"] == pytest.approx(expected)
    assert peak["held_out_similarity"] > result["similarity"].item() + 0.05
    assert peak["same_pairs_similarity"] == peak["held_out_similarity"]  # one layer: nothing to pick


def test_the_same_pairs_are_those_of_the_draws_that_could_be_evaluated() -> None:
    rdms, human = made(people=6)
    result = compare_layers(rdms, human, comparison="corr", draws=30)
    where = held_out_similarity(localize(result, baseline=None), result, rdms=rdms, human=human).sel(target="peak")
    best = result["similarity"].sel(rdm=result["network"] == "fe_alexnet").idxmax("rdm").item()
    used = np.flatnonzero(~np.isnan(where["held_out_draws"].values))
    values = []
    for draw in used:
        stimuli = np.flatnonzero(result["drawn_stimuli"].values[draw] == 0)
        people = np.flatnonzero(result["drawn_participants"].values[draw] == 0)
        left = [array[np.ix_(rows, stimuli, stimuli)] for array, rows in
                ((rdms.sel(rdm=[best]).values, [0]), (human.values, people))]  # fmt: skip
        values.append(compare_vectors("corr", *map(to_vectors, left)).mean())
    assert len(used) == where["held_out_used"] > 20
    assert where["same_pairs_similarity"] == pytest.approx(np.mean(values))


def test_folds_keep_groups_together() -> None:
    rdms, human = made(identities=6, levels=3, people=6)
    identity = human["identity"].values
    folds = folds_of(human, folds=(3, 2), seed=4, groups="identity")
    assert len(folds) == 6
    for (fit, out), _ in folds:
        assert not set(identity[fit]) & set(identity[out])
        assert sorted([*fit, *out]) == list(range(18))
    shares = partition_variance({"a": ["alexnet/layer0"], "f": ["fe_alexnet/layer0"]}, rdms=rdms, human=human)
    assert shares.attrs["groups"] == "identity"
    with pytest.raises(ValueError, match="6 groups of 'identity' do not make 7 folds"):
        folds_of(human, folds=(7, 2), seed=0, groups="identity")


def test_a_layer_of_nothing_but_identity_does_not_profit_from_seeing_the_other_images_of_a_person() -> None:
    """Features that name the identity fit any judgements of known people, and say nothing of others."""
    rng = np.random.default_rng(3)
    _, human = made(identities=12, levels=3, people=6, seed=3)
    named = np.repeat(rng.normal(size=(12, 30)), 3, axis=0) + 0.01 * rng.normal(size=(36, 30))
    ids = human["stimulus_i"].values
    activations = xr.DataArray(
        named, {"stimulus": ids, "identity": ("stimulus", human["identity"].values)}, ("stimulus", "feature")
    )
    apart = between_groups(human)
    grouped = reweight_layer(activations, apart.drop_vars("identity"), comparison="corr")
    alone = reweight_layer(activations.drop_vars("identity"), apart.drop_vars("identity"), comparison="corr")
    assert (grouped.attrs["groups"], alone.attrs["groups"]) == ("identity", None)
    assert abs(float(grouped["reweighted"].mean())) < 0.1
    assert float(alone["reweighted"].mean()) > float(grouped["reweighted"].mean()) + 0.1


def test_the_best_of_unrelated_layers_is_not_flattered_where_it_is_picked_inside_the_folds() -> None:
    picked, everywhere = [], []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        rdms, human = simulate({f"n/{n}": 0.0 for n in range(30)}, stimuli=15, participants=5, rng=rng)
        settings = {"comparison": "corr", "folds": (3, 5), "seed": seed}
        names = pick_in_folds(rdms, human, **settings)
        similarity = compare_vectors("corr", to_vectors(rdms.values), to_vectors(human.values)).mean(axis=1)
        best = str(rdms["rdm"].values[np.argmax(similarity)])
        layers, people = rdms.sel(rdm=names).values, human.values
        for values, (layer, name) in zip(layers, enumerate(names), strict=True):
            (_, out), (_, others) = folds_of(human, folds=(3, 5), seed=seed, groups=None)[layer]
            for outcome, rdm in ((picked, values), (everywhere, rdms.sel(rdm=best).values)):
                pairs = to_vectors(np.stack([rdm, *people[others]])[np.ix_(range(1 + len(others)), out, out)])
                outcome.append(compare_vectors("corr", pairs[:1], pairs[1:]).mean())
            assert name in rdms["rdm"].values
    assert abs(np.mean(picked)) < 0.05
    assert np.mean(everywhere) > 0.08
