"""Simulated comparisons of identities crossed with levels: what each test makes of them, drawn by identity or not."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from unittest.mock import patch
from warnings import catch_warnings, simplefilter

import numpy as np
import xarray as xr

from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.kernels import to_vectors
from rsa_face.inference.localization import contrast_layers
from rsa_face.inference.permutation import shuffle_layers
from rsa_face.inference.resampling import UngroupedWarning
from rsa_face.inference.rsa import add_partial, compare_layers, correct_layers
from tests.benchmarks.batched import correlate_draws
from tests.inference.simulated import between_groups, simulate_grouped

DRAWS, SHUFFLES, ALPHA = 200, 199, 0.05
Design = tuple[int, int, int]
Found = Iterator[tuple[str, float]]

_DRAWN = {"identity": "drawn by identity", None: "drawn one by one"}


def equal_by_identity(design: Design, seed: int, *, comparison: str = "corr") -> Found:
    """Yield whether equally similar networks differ, and whether intervals hold the similarity."""
    people, identities, levels = design
    truth = _truth(design, comparison)
    rdms, human = simulate_grouped(
        identities, levels, participants=people, rng=np.random.default_rng([seed, *design])
    )
    for groups, drawn in _DRAWN.items():
        result = compared(rdms, human, comparison, groups, seed)
        contrast = contrast_layers(result, network="fe_alexnet", baseline="alexnet")
        yield f"one difference: t, {drawn}", _share(contrast["p_difference"] < ALPHA)
        yield f"3 differences, any: largest t, {drawn}", float((contrast["p_difference_corrected"] < ALPHA).any())
        lower, upper = result["similarity_interval"].values.T
        yield f"coverage: similarity, 95 % t interval, {drawn}", _share((lower <= truth) & (truth <= upper))


def equal_by_identity_ranks(design: Design, seed: int) -> Found:
    """Do what `equal_by_identity` does with rho-a."""
    yield from equal_by_identity(design, seed, comparison="rho-a")


def unrelated_by_identity(design: Design, seed: int) -> Found:
    """Yield whether layers that share nothing with people but whose face is whose are found similar."""
    people, identities, levels = design
    rng = np.random.default_rng([seed, *design, 1])
    made = {"participants": people, "related": False, "rng": rng}
    rdms, human = simulate_grouped(identities, levels, levels_in_layers=False, **made)
    same = human["identity"].values
    control = rdms[:1].copy(data=(same[:, None] != same[None, :])[None].astype(float)).assign_coords(rdm=["identity"])
    apart = between_groups(human)
    for groups, drawn in _DRAWN.items():
        result = compared(rdms, human, "corr", groups, seed)
        partial = add_partial(result, rdms=rdms, human=human, controls=control)
        lower, upper = partial["partial_similarity_interval"].values.T
        yield f"coverage: partial similarity given identity, {drawn}", _share((lower <= 0) & (upper >= 0))
        result = compared(rdms, apart, "corr", groups, seed)
        yield f"one layer above 0, pairs of two people: t, {drawn}", _share(result["p_above_zero"] < ALPHA)
        if groups is not None:
            corrected = correct_layers(result, rdms=rdms, human=apart, shuffles=SHUFFLES)
            yield (
                "6 layers above 0, any, pairs of two people: corrected",
                float((corrected["p_above_zero_corrected"] < ALPHA).any()),
            )
    for labels, name in (("both", "identities and levels shuffled"), ("groups", "identities shuffled")):
        for about, pairs in ((human, "all pairs"), (apart, "pairs of two people")):
            yield f"one layer above design, {pairs}: {name}", _shuffled(rdms, about, labels, seed)
    with catch_warnings():
        simplefilter("ignore", UngroupedWarning)
        raw = shuffle_layers(rdms, apart, comparison="corr", shuffles=SHUFFLES, seed=seed, groups=None)
    yield "one layer above 0, pairs of two people: images shuffled, one by one", _share(raw["p_permutation"] <= ALPHA)
    rdms, human = simulate_grouped(identities, levels, **made)
    yield "one layer that shares levels alone: identities shuffled", _shuffled(rdms, human, "groups", seed)


GROUPED_SCENARIOS = {
    "identities x levels, equal layers, corr": equal_by_identity,
    "identities x levels, equal layers, rho-a": equal_by_identity_ranks,
    "identities x levels, no similarity, corr": unrelated_by_identity,
}


def compared(
    rdms: xr.DataArray, human: xr.DataArray, comparison: str, groups: str | None, seed: int, *, draws: int = DRAWS
) -> xr.Dataset:
    """Return a comparison with a dual bootstrap; for corr all draws in a few products."""
    quick: AbstractContextManager[object] = nullcontext()
    if comparison == "corr":
        quick = patch("rsa_face.inference.rsa.evaluate_draws", correlate_draws)
    with quick, catch_warnings():
        simplefilter("ignore", UngroupedWarning)
        return compare_layers(rdms, human, comparison=comparison, draws=draws, seed=seed, groups=groups)


def _shuffled(rdms: xr.DataArray, human: xr.DataArray, labels: str, seed: int) -> float:
    found = shuffle_layers(rdms, human, comparison="corr", shuffles=SHUFFLES, seed=seed, labels=labels)
    return _share(found["p_permutation"] <= ALPHA)


@cache
def _truth(design: Design, comparison: str) -> float:
    """Return the mean similarity over many samples of identities and people, in a design of this size."""
    people, identities, levels = design
    values = []
    for seed in range(300):
        rng = np.random.default_rng([97, seed, *design])
        rdms, human = simulate_grouped(identities, levels, participants=people, rng=rng)
        values.append(compare_vectors(comparison, to_vectors(rdms.values), to_vectors(human.values)).mean())
    return float(np.mean(values))


def _share(found: object) -> float:
    return float(np.mean(np.asarray(found)))
