"""No order of stimuli or participants changes a result, and no seed changes what is not drawn."""

import numpy as np
import pytest
import xarray as xr

from rsa_face.inference.ceiling import noise_ceiling
from rsa_face.inference.compare import add_partial, compare_layers
from rsa_face.inference.localization import contrast_layers, localize
from rsa_face.inference.resampling import SOME_PAIRS, deletions_of
from tests.inference.simulated import simulate

SHARES = {f"{network}/{layer}": 0.4 + 0.1 * layer for network in ("alexnet", "fe_alexnet") for layer in range(3)}
MANY = 45  # stimuli, of which not every pair is left out


@pytest.fixture(scope="module", params=[10, MANY])
def data(request):
    """Return layer and human RDMs, with an identity for every two or three stimuli and a control."""
    rdms, human = simulate(SHARES, stimuli=request.param, participants=5, rng=np.random.default_rng(8))
    human = human.assign_coords(identity=("stimulus_i", [f"face {place % 9}" for place in range(request.param)]))
    return rdms, human


def reordered(array: xr.DataArray, seed: int) -> xr.DataArray:
    """Return the same RDMs with their stimuli, and participants, in another order."""
    rng = np.random.default_rng(seed)
    stimuli = rng.permutation(array.sizes["stimulus_i"])
    array = array.isel(stimulus_i=stimuli, stimulus_j=stimuli)
    return (
        array.isel(participant=rng.permutation(array.sizes["participant"])) if "participant" in array.dims else array
    )


def assert_same(one: xr.Dataset, other: xr.Dataset) -> None:
    """Compare everything a result holds, by the names of stimuli and participants."""
    other = other.sel({dim: one[dim] for dim in ("stimulus", "participant") if dim in one.dims})
    assert set(one.variables) == set(other.variables)
    xr.testing.assert_allclose(one, other, rtol=0, atol=1e-10)
    assert one.attrs == other.attrs


@pytest.mark.parametrize("groups", [None, "identity"])
@pytest.mark.parametrize("comparison", ["corr", "rho-a"])
def test_no_order_of_stimuli_and_participants_changes_a_comparison(data, comparison: str, groups: str | None) -> None:
    rdms, human = data
    human = human if groups else human.drop_vars("identity")
    options = {"comparison": comparison, "draws": 40, "seed": 3}
    one = compare_layers(rdms, human, **options)
    other = compare_layers(reordered(rdms, 1), reordered(human, 2), **options)
    assert (one.attrs["variance"], one.attrs["groups"]) == ("jackknife", groups)
    assert_same(one, other)
    pair = {"network": "fe_alexnet", "baseline": "alexnet"}
    assert_same(
        contrast_layers(one, cluster_test="draws", **pair), contrast_layers(other, cluster_test="draws", **pair)
    )
    assert_same(localize(one), localize(other))


@pytest.mark.parametrize("resample", ["stimulus", "participant", "both"])
def test_no_order_changes_the_other_bootstraps(data, resample: str) -> None:
    rdms, human = data
    one = compare_layers(rdms, human, resample=resample, draws=40)
    assert_same(one, compare_layers(reordered(rdms, 1), reordered(human, 2), resample=resample, draws=40))


def test_no_order_changes_a_partial_similarity_or_a_noise_ceiling(data) -> None:
    rdms, human = data
    control = rdms.isel(rdm=[0]).assign_coords(rdm=["pixels"])
    results = []
    for layers, people in ((rdms, human), (reordered(rdms, 1), reordered(human, 2))):
        result = compare_layers(layers, people, comparison="rho-a", draws=40)
        results.append(add_partial(result, rdms=layers, human=people, controls=control))
    assert_same(*results)
    ceilings = [noise_ceiling(people, draws=40) for people in (human, reordered(human, 2))]
    xr.testing.assert_allclose(*ceilings, rtol=0, atol=1e-10)


def test_the_seed_changes_the_draws_and_nothing_that_is_jackknifed(data) -> None:
    rdms, human = data
    one, other = (compare_layers(rdms, human, comparison="corr", draws=40, seed=seed) for seed in (0, 1))
    drawn = {str(name) for name in one if "draw" in str(name) or "percentile" in str(name)}
    assert len(drawn) == 10
    assert_same(one.drop_vars(drawn).drop_attrs(), other.drop_vars(drawn).drop_attrs())
    assert not np.allclose(one["similarity_draws"], other["similarity_draws"])


def test_a_selection_of_pairs_is_chosen_by_name(data) -> None:
    _, human = data

    def names(array: xr.DataArray) -> set[frozenset[str]]:
        return {frozenset(array["stimulus_i"].values[pair]) for pair in deletions_of(array).pairs}

    assert names(human) == names(reordered(human, 2))
    assert len(names(human)) == (45 if human.sizes["stimulus_i"] == 10 else SOME_PAIRS // MANY * MANY)
