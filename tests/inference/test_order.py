"""No order of stimuli, participants or layers changes a result, and no seed changes what is not drawn."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import xarray as xr

from rsa_face.human.reliability import assess_reliability
from rsa_face.inference.comparisons import compare_rdms
from rsa_face.inference.localization import contrast_layers, localize
from rsa_face.inference.permutation import shuffle_layers
from rsa_face.inference.resampling import SOME_PAIRS, deletions_of
from rsa_face.inference.rsa import (
    RSA,
    add_partial,
    compare_layers,
    correct_layers,
    held_out_similarity,
    noise_ceiling,
)
from rsa_face.inference.seeds import similarities_of, sum_over_seeds
from rsa_face.inference.statistics import t_differences
from rsa_face.inference.variance import partition_variance, pick_in_folds, reweight_layer
from rsa_face.rdms.embedding import embed_rdm, relate_rdms
from tests.inference.simulated import simulate

SHARES = {
    f"{network}/{layer}": share + 0.1 * layer
    for network, share in (("alexnet", 0.2), ("fe_alexnet", 0.6))
    for layer in range(3)
}
MANY = 45  # stimuli, of which not every pair is left out
PAIR = {"network": "fe_alexnet", "baseline": "alexnet"}
FEW = {"draws": 40, "seed": 3}


def made(stimuli: int = 12, people: int = 6) -> tuple[xr.DataArray, xr.DataArray]:
    """Return layer and human RDMs of faces that have an identity and a level."""
    rdms, human = simulate(SHARES, stimuli=stimuli, participants=people, rng=np.random.default_rng(8))
    number = np.arange(stimuli)
    factors = {"identity": [f"face {n}" for n in number % 6], "level": number // 6}
    return rdms, human.assign_coords({name: ("stimulus_i", values) for name, values in factors.items()})


def reordered(array: xr.DataArray, seed: int) -> xr.DataArray:
    """Return the same RDMs with stimuli, and layers or participants, in another order."""
    rng = np.random.default_rng(seed)
    stimuli = rng.permutation(array.sizes["stimulus_i"])
    array = array.isel(stimulus_i=stimuli, stimulus_j=stimuli)
    return array.isel({array.dims[0]: rng.permutation(array.sizes[array.dims[0]])})


def jackknifed(result: xr.Dataset) -> xr.Dataset:
    """Put the sums of squares of jackknifed rows in the place of the rows, of which there is one for each layer."""
    names = [name for name in ("similarity_jackknife", "noise_ceiling_jackknife") if name in result]
    squares = {name: (result[name] ** 2).groupby("component").sum() for name in names}
    return result.drop_dims("jackknife", errors="ignore").assign(squares)


def assert_same(one: xr.Dataset | xr.DataArray, other: xr.Dataset | xr.DataArray) -> None:
    """Compare everything a result holds, by the names of stimuli, participants and layers."""
    named = ("stimulus", "stimulus_i", "stimulus_j", "participant", "rdm", "rdm_j", "pair")
    other = other.sel({dim: one[dim].values for dim in named if dim in one.dims and dim in one.coords})
    if isinstance(one, xr.Dataset):
        assert set(one.variables) == set(other.variables)
        one, other = jackknifed(one), jackknifed(other)
    xr.testing.assert_allclose(one, other, rtol=0, atol=1e-10)
    assert one.attrs == other.attrs


def result_of(layers: xr.DataArray, people: xr.DataArray, **options) -> xr.Dataset:
    return compare_layers(layers, people, **{"comparison": "corr", **FEW, **options})


def held_out(layers: xr.DataArray, people: xr.DataArray) -> xr.Dataset:
    result = result_of(layers, people)
    return held_out_similarity(localize(result), result, rdms=layers, human=people)


def partials(layers: xr.DataArray, people: xr.DataArray) -> xr.Dataset:
    control = layers.sel(rdm=["alexnet/0"]).assign_coords(rdm=["pixels"])
    return add_partial(result_of(layers, people, comparison="rho-a"), rdms=layers, human=people, controls=control)


def alone(people: xr.DataArray) -> xr.DataArray:
    """Return human RDMs of stimuli that do not belong together."""
    return people.drop_vars(["identity", "level"])


def features(people: xr.DataArray) -> xr.DataArray:
    """Return activations that belong to the stimuli's names."""
    ids = people["stimulus_i"].values
    values = np.stack([np.random.default_rng(int(name[1:])).normal(size=30) for name in ids])
    return xr.DataArray(values, {"stimulus": ids}, ("stimulus", "feature"))


def picked(layers: xr.DataArray, people: xr.DataArray) -> xr.Dataset:
    return xr.Dataset({"layer": ("division", pick_in_folds(layers, people, folds=(3, 3)))})


def over_seeds(layers: xr.DataArray, people: xr.DataArray) -> xr.Dataset:
    names = [name.replace("/", "/imagenet/0/") for name in layers["rdm"].values]
    networks = [f"{name}/imagenet/0" for name in layers["network"].values]
    result = result_of(layers.assign_coords(rdm=names, network=("rdm", networks)), people)
    term = {("alexnet/imagenet", "1"): 1.0, ("fe_alexnet/imagenet", "2"): -1.0}
    total = sum_over_seeds(similarities_of(result), [term])
    return xr.Dataset({"sum": total.estimate[0], "error": total.error[0], "p": total.p()[0]})


def planned(layers: xr.DataArray, people: xr.DataArray) -> xr.Dataset:
    pairs = [("alexnet/1", "fe_alexnet/1"), ("alexnet/2", "fe_alexnet/2")]
    return t_differences(result_of(layers, people), pairs)


Law = Callable[[xr.DataArray, xr.DataArray], xr.Dataset | xr.DataArray]
LAWS: dict[str, Law] = {
    "compare_rdms": compare_rdms,
    "compare_layers": result_of,
    "compare_layers one by one": lambda layers, people: result_of(layers, alone(people)),
    "compare_layers by ranks": partial(result_of, comparison="rho-a"),
    "compare_layers over stimuli": partial(result_of, resample="stimulus"),
    "compare_layers over participants": partial(result_of, resample="participant"),
    "compare_layers over both": partial(result_of, resample="both", variance="bootstrap"),
    "correct_layers": lambda layers, people: correct_layers(result_of(layers, people)),
    "correct_layers by shuffles": lambda layers, people: correct_layers(
        result_of(layers, alone(people)), rdms=layers, human=alone(people), shuffles=60
    ),
    "correct_layers by shuffled groups": lambda layers, people: correct_layers(
        result_of(layers, people, resample="participant"), rdms=layers, human=people, shuffles=60
    ),
    "shuffle_layers": lambda layers, people: shuffle_layers(layers, alone(people), shuffles=60),
    "shuffle_layers in a crossed design": partial(shuffle_layers, shuffles=60),
    "shuffle_layers by identity": partial(shuffle_layers, shuffles=60, labels="groups"),
    "shuffle_layers, nested": lambda layers, people: shuffle_layers(layers, people.drop_vars("level"), shuffles=60),
    "RSA.permute": lambda layers, people: RSA(layers, people).permute(60, seed=1),
    "add_partial": partials,
    "contrast_layers": lambda layers, people: contrast_layers(
        result_of(layers, people), cluster_test="draws", **PAIR
    ),
    "contrast_layers by participants": lambda layers, people: contrast_layers(
        result_of(layers, people), cluster_test="participants", **PAIR
    ),
    "localize": lambda layers, people: localize(result_of(layers, people)),
    "held_out_similarity": held_out,
    "t_differences": planned,
    "noise_ceiling": lambda _, people: noise_ceiling(people, draws=40),
    "partition_variance": lambda layers, people: partition_variance(
        {"first": ["alexnet/0", "fe_alexnet/0"], "last": ["alexnet/2"]}, rdms=layers, human=people, folds=(3, 3)
    ),
    "partition_variance one by one": lambda layers, people: partition_variance(
        {"first": ["alexnet/0", "fe_alexnet/0"], "last": ["alexnet/2"]},
        rdms=layers, human=alone(people), folds=(3, 3),
    ),
    "reweight_layer": lambda _, people: reweight_layer(features(people), people, folds=(3, 3), components=5),
    "pick_in_folds": picked,
    "sum_over_seeds": over_seeds,
    "assess_reliability": lambda _, people: assess_reliability(people, halves=50),
    "embed_rdm": lambda layers, _: embed_rdm(layers.sel(rdm="alexnet/1"), starts=2),
    "relate_rdms": lambda layers, _: relate_rdms(layers),
}  # fmt: skip


@pytest.mark.parametrize("name", LAWS)
def test_no_order_of_stimuli_participants_and_layers_changes_a_result(name: str) -> None:
    rdms, human = made(people=11 if name == "contrast_layers by participants" else 6)
    assert_same(LAWS[name](rdms, human), LAWS[name](reordered(rdms, 1), reordered(human, 2)))


@pytest.mark.parametrize("groups", [None, "identity"])
def test_nor_with_so_many_stimuli_that_only_some_pairs_are_left_out(groups: str | None) -> None:
    rdms, human = made(MANY)
    human = human if groups else alone(human)
    one, other = result_of(rdms, human), result_of(reordered(rdms, 1), reordered(human, 2))
    assert (one.attrs["variance"], one.attrs["groups"]) == ("jackknife", groups)
    assert_same(one, other)


@pytest.mark.parametrize("stimuli", [10, MANY])
def test_the_seed_changes_the_draws_and_nothing_that_is_jackknifed(stimuli: int) -> None:
    one, other = (result_of(*made(stimuli), seed=seed) for seed in (0, 1))
    drawn = {str(name) for name in one if "draw" in str(name) or "percentile" in str(name)}
    assert len(drawn) == 10
    assert_same(one.drop_vars(drawn).drop_attrs(), other.drop_vars(drawn).drop_attrs())
    assert not np.allclose(one["similarity_draws"], other["similarity_draws"])


@pytest.mark.parametrize(("stimuli", "pairs"), [(10, 45), (MANY, SOME_PAIRS // MANY * MANY)])
def test_a_selection_of_pairs_is_chosen_by_name(stimuli: int, pairs: int) -> None:
    _, human = made(stimuli)

    def names(array: xr.DataArray) -> set[frozenset[str]]:
        return {frozenset(array["stimulus_i"].values[pair]) for pair in deletions_of(array).pairs}

    assert names(human) == names(reordered(human, 2))
    assert len(names(human)) == pairs
