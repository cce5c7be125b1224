"""Simulated comparisons with known truth, and what each test, interval and set of layers makes of them."""

from collections.abc import Callable, Iterator
from functools import cache
from unittest.mock import patch

import numpy as np
import xarray as xr

from rsa_face.inference.ceiling import ceiling_of
from rsa_face.inference.comparisons import compare_vectors
from rsa_face.inference.draws import evaluate_draws
from rsa_face.inference.kernels import to_vectors
from rsa_face.inference.localization import contrast_layers, half_way_depth, interval, localize
from rsa_face.inference.permutation import shuffle_layers
from rsa_face.inference.results import matched_layers, resampled_of
from rsa_face.inference.rsa import compare_layers
from rsa_face.inference.statistics import (
    bootstrap_variance,
    correct,
    degrees_of_freedom,
    draws_of,
    family_p,
    p_one_sided,
    p_two_sided,
    single_p,
    t_differences,
    t_interval,
    variance_over_people,
)
from tests.benchmarks.batched import correlate_draws
from tests.inference.simulated import OWN_FEATURES, simulate

LAYERS = [f"layer{number}" for number in range(10)]
BASELINE = [0.3] * 10
PLANTED = [0.3, 0.3, 0.3, 0.3, 0.3, 0.55, 0.75, 1.0, 0.6, 0.4]
TO_CEILING = (0.05, 0.05, 0.1, 0.2, 0.3, 0.4, 1.0, 1.0)
ONSET, PEAK = "layer5", "layer7"
NULL = LAYERS[:5]
DRAWS, SHUFFLES, ALPHA = 200, 199, 0.05
UNLIKE = 0.7  # the SD of the log of how much people see of what they share: one of two sees twice as much, mostly

LEVEL, FAMILY, COVERAGE, SET = (0.03, 0.065), (0.0, 0.06), (0.92, 0.98), (0.92, 0.99)
_DRAWN = {"both": "stimuli and participants", "stimulus": "stimuli alone", "participant": "participants alone"}
Size = tuple[int, int]
Found = Iterator[tuple[str, float]]


def shares(own: list[float]) -> dict[str, float]:
    """Return the share of common features of each layer of the two networks."""
    both = (("alexnet", BASELINE), ("fe_alexnet", own))
    return {f"{network}/{layer}": share for network, of in both for layer, share in zip(LAYERS, of, strict=True)}


def one_result(
    own: list[float],
    size: Size,
    seed: int,
    *,
    comparison: str = "corr",
    related: bool = True,
    draws: int = DRAWS,
) -> tuple[xr.Dataset, xr.DataArray, xr.DataArray]:
    """Return a simulated comparison with a dual bootstrap, and its RDMs."""
    rng = np.random.default_rng([seed, *size])
    rdms, human = simulate(shares(own), participants=size[0], stimuli=size[1], rng=rng, related=related)
    evaluated = correlate_draws if comparison == "corr" else evaluate_draws
    with patch("rsa_face.inference.rsa.evaluate_draws", evaluated):
        result = compare_layers(rdms, human, comparison=comparison, resample="dual", draws=draws, seed=seed)
    return result, rdms, human


def unrelated(size: Size, seed: int, *, comparison: str = "corr") -> Found:
    """Yield whether each test rejects where no layer is similar."""
    result, rdms, human = one_result(BASELINE, size, seed, comparison=comparison, related=False)
    spread = resampled_of(result).spread(np.eye(22)[:, :20])
    p, drawn = single_p(spread, two_sided=False), result["similarity_draws"].values
    shuffled = shuffle_layers(rdms, human, comparison=comparison, shuffles=SHUFFLES, seed=seed)
    raw = shuffled["p_permutation"].values
    yield "one layer above 0: shuffled labels", _share(raw <= ALPHA)
    yield "one layer above 0: t, jackknife", _share(result["p_above_zero"] < ALPHA)
    yield "one layer above 0: percentile, both", _share((1 + (drawn <= 0).sum(axis=0)) / (len(drawn) + 1) < ALPHA)
    for name, p_other in _other_tests(result).items():
        yield f"one layer above 0: {name}", _share(p_other < ALPHA)
    yield "20 layers above 0, any: largest of shuffles", _any(shuffled["p_permutation_corrected"] <= ALPHA)
    yield "20 layers above 0, any: largest t", _any(family_p(spread, two_sided=False) < ALPHA)
    yield "20 layers above 0, any: Holm of t", _any(correct(p, method="holm") < ALPHA)
    yield "20 layers above 0, any: FDR of t", _any(correct(p, method="fdr") < ALPHA)
    yield "20 layers above 0, any: FDR of shuffles", _any(correct(raw, method="fdr") <= ALPHA)
    yield "20 layers above 0, any: not corrected", _any(p < ALPHA)


def equal(size: Size, seed: int, *, comparison: str = "corr") -> Found:
    """Yield whether each test finds a difference between networks that are equally similar, and intervals cover."""
    truth = _population(comparison)
    result, _, _ = one_result(BASELINE, size, seed, comparison=comparison)
    contrast = contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster_test="draws")
    yield "one difference: t, jackknife", _share(contrast["p_difference"] < ALPHA)
    drawn = drawn_differences(result)
    yield "one difference: t, dual bootstrap (rsatoolbox)", _share(drawn["p_difference"] < ALPHA)
    yield "one difference: percentile, both", _percentile_differs(result)
    yield "10 differences, any: largest t", _any(contrast["p_difference_corrected"] < ALPHA)
    yield "10 differences, any: Holm", _any(contrast["p_difference_holm"] < ALPHA)
    yield "10 differences, any: FDR", _any(contrast["p_difference_fdr"] < ALPHA)
    yield "10 differences, any run: clusters of draws", _any(contrast["p_cluster"] < ALPHA)
    if size[0] >= 5:  # fewer cannot be turned around often enough
        turned = contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster_test="participants")
        yield "10 differences, any run: clusters, participants turned", _any(turned["p_cluster"] <= ALPHA)
    yield "coverage: similarity, 95 % t interval, jackknife", _covers(result["similarity_interval"].values, truth)
    yield "coverage: similarity, 95 % t interval, dual bootstrap", _covers(_dual_interval(result), truth)
    yield "coverage: similarity, 95 % percentile, both", _percentile_covers(result, truth)
    yield "coverage: difference, 95 % t interval, jackknife", _covers(contrast["difference_interval"].values, 0.0)
    lower, upper = contrast["difference_band"].values.T
    yield "coverage: 10 differences, 95 % band", _every((lower <= 0) & (upper >= 0))
    yield from _around_ceiling(result, size, comparison)
    inside = localize(result)["in_set"].sel(target="peak", layer=LAYERS)
    yield "layer set: one of 10 equal peaks", _share(inside)


def planted(size: Size, seed: int) -> Found:
    """Yield whether the sets hold the planted layers, and whether the tests find what is there."""
    right = {"peak": PEAK, "above_baseline": ONSET, "differs_from_baseline": ONSET}
    result, rdms, human = one_result(PLANTED, size, seed)
    where = localize(result)
    for target, layer in right.items():
        inside = where["in_set"].sel(target=target)
        yield f"layer set: {target}", float(inside.sel(layer=layer))
        yield f"layers in the set: {target}", float(inside.sum())
        yield f"picked right: {target}", float(where["picked"].sel(target=target) == layer)
    for target in ("above_baseline", "differs_from_baseline"):
        yield f"picked too early: {target}", float(str(where["picked"].sel(target=target).values) in NULL)
    whole = contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster_test="draws")
    yield (
        "5 layers without a difference, any: largest t",
        _any(whole["p_difference_corrected"].sel(layer=NULL) < ALPHA),
    )
    found = whole["p_difference_fdr"] < ALPHA
    yield "false share of the differences found: FDR", float(found.sel(layer=NULL).sum() / max(1, int(found.sum())))
    yield from _power(result, rdms, human, whole.sel(layer=ONSET), seed)


def _power(result: xr.Dataset, rdms: xr.DataArray, human: xr.DataArray, onset: xr.Dataset, seed: int) -> Found:
    spread = resampled_of(result).spread(np.eye(22)[:, :20])
    shuffled = shuffle_layers(rdms, human, comparison="corr", shuffles=SHUFFLES, seed=seed)
    weak, every_pair = "alexnet/layer0", 20 * 19 / 2
    above = f"power, above 0 (share {BASELINE[0]:.1f})"
    drawn = _other_tests(result)["t, dual bootstrap (rsatoolbox)"][0]
    yield f"{above}: rsatoolbox's t, dual bootstrap", float(drawn < ALPHA)
    yield f"{above}: t, jackknife", float(single_p(spread, two_sided=False)[0] < ALPHA)
    yield f"{above}: shuffled labels", float(shuffled["p_permutation"].sel(rdm=weak) <= ALPHA)
    yield f"{above}: rsatoolbox's t, Bonferroni over 20", float(drawn < ALPHA / 20)
    yield f"{above}: largest t of 20", float(family_p(spread, two_sided=False)[0] < ALPHA)
    yield f"{above}: largest of shuffles of 20", float(shuffled["p_permutation_corrected"].sel(rdm=weak) <= ALPHA)
    raw = float(drawn_differences(result)["p_difference"][LAYERS.index(ONSET)])
    yield "power, onset's difference: rsatoolbox's t, dual bootstrap", float(raw < ALPHA)
    yield "power, onset's difference: t, jackknife", float(onset["p_difference"] < ALPHA)
    yield "power, onset's difference: rsatoolbox's t, Bonferroni over all pairs", float(raw < ALPHA / every_pair)
    yield "power, onset's difference: largest t of 10", float(onset["p_difference_corrected"] < ALPHA)
    yield "power, onset's difference: Holm of 10", float(onset["p_difference_holm"] < ALPHA)
    yield "power, onset's difference: FDR of 10", float(onset["p_difference_fdr"] < ALPHA)
    yield "power, onset's difference: clusters of draws", float(onset["p_cluster"] < ALPHA)


def to_ceiling(size: Size, seed: int) -> Found:
    """Yield what is said of a network that reaches the ceiling at layer 6 of 0 to 7, nowhere, or just fails to.

    The last has all its layers where they are at the margin of the ceiling, so that any claim is one too many.
    """
    margin = 0.1
    at_margin = (1 - margin) * share_at_ceiling(size[0])
    layers = {f"network/{place}": share for place, share in enumerate((*TO_CEILING, *[at_margin] * 8))}
    rdms, human = simulate(layers, participants=size[0], stimuli=size[1], rng=np.random.default_rng([seed, *size, 6]))
    with patch("rsa_face.inference.rsa.evaluate_draws", correlate_draws):
        result = compare_layers(rdms, human, comparison="corr", resample="dual", draws=DRAWS, seed=seed)
    first, nowhere, just_not = (
        localize(result.isel(rdm=places), network="network", baseline=None, ceiling_margin=margin)
        for places in (slice(0, 8), slice(0, 6), slice(8, 16))
    )
    picked = first["picked"].sel(target="reaches_ceiling").item()
    yield "picked too early: reaches_ceiling", float(picked not in ("6", "none"))
    yield "picked right: reaches_ceiling", float(picked == "6")
    yield "layer set: reaches_ceiling", float(first["in_set"].sel(target="reaches_ceiling", layer="6"))
    yield "picked though none is: reaches_ceiling", _picks(nowhere)
    yield "picked though none is: reaches_ceiling, 8 layers at the margin", _picks(just_not)
    limits = first["share_of_ceiling_interval"].values[:8]
    truth = np.array(TO_CEILING) / share_at_ceiling(size[0])
    yield "coverage: share of the ceiling, 95 % interval", _covers(limits, truth)
    depth = half_way_depth(np.array(TO_CEILING)[None], np.arange(1, 9) / 16)[0]
    yield "coverage: half-way depth, 95 % interval", _covers(first["half_way_interval"].values[None], depth)
    yield "width of the interval: half-way depth, 8 layers", 2 * float(np.ptp(first["half_way_interval"].values))


def share_at_ceiling(participants: int) -> float:
    """Return the share of common features of a layer that is as similar to people as they are to each other.

    By the covariances of squared distances of `simulate`'s normal features over all stimuli there could be, of which
    a layer with the share s has s times that of what people share. `own` is the variance of a person's distances over
    that of what people share, with the features and the judgement noise of each person's own.
    """
    own = 2 * (1 + OWN_FEATURES**2) ** 2  # judgement noise has the spread of the distances themselves
    return float(1 / np.sqrt((own + participants - 2) / (participants - 1)))


def _picks(where: xr.Dataset) -> float:
    return float(where["picked"].sel(target="reaches_ceiling").item() != "none")


def unlike_people(size: Size, seed: int) -> Found:
    """Yield what intervals and tests make of people who see very different amounts of what people share."""
    rng = np.random.default_rng([seed, *size, 7])
    rdms, human = simulate(shares(BASELINE), participants=size[0], stimuli=size[1], rng=rng, unlike=UNLIKE)
    with patch("rsa_face.inference.rsa.evaluate_draws", correlate_draws):
        result = compare_layers(rdms, human, comparison="corr", resample="dual", draws=DRAWS, seed=seed)
    contrast = contrast_layers(result, network="fe_alexnet", baseline="alexnet")
    yield "one difference: t, jackknife", _share(contrast["p_difference"] < ALPHA)
    yield "10 differences, any: largest t", _any(contrast["p_difference_corrected"] < ALPHA)
    yield (
        "coverage: similarity, 95 % t interval, jackknife",
        _covers(result["similarity_interval"].values, _population_of_unlike()),
    )


@cache
def _population_of_unlike() -> float:
    values = []
    for seed in range(6):
        rng = np.random.default_rng([96, seed])
        rdms, human = simulate({"network/layer": BASELINE[0]}, participants=300, stimuli=150, rng=rng, unlike=UNLIKE)
        values.append(compare_vectors("corr", to_vectors(rdms.values), to_vectors(human.values)).mean())
    return float(np.mean(values))


_OTHERS = ("bootstrap", "percentile", "over participants", "participants turned", "not corrected")


def _by_ranks(scenario: Callable[..., Found]) -> Callable[[Size, int], Found]:
    """Return a scenario compared by rho-a, without the tests that it holds beside the package's own."""

    def run(size: Size, seed: int) -> Found:
        for name, value in scenario(size, seed, comparison="rho-a"):
            if not any(other in name for other in _OTHERS):
                yield name, value

    return run


SCENARIOS: dict[str, Callable[[Size, int], Found]] = {
    "no similarity": unrelated,
    "equal layers": equal,
    "planted onset": planted,
    "to the ceiling": to_ceiling,
    "equal layers, people unlike": unlike_people,
    "no similarity, rho-a": _by_ranks(unrelated),
    "equal layers, rho-a": _by_ranks(equal),
}


def wanted(name: str) -> tuple[float, float] | None:
    """Return between what a rate should lie; None for power, for sizes of sets and for what is a warning only."""
    if name.endswith(("not corrected", "one by one")):
        return None
    if name.startswith("one "):
        return LEVEL
    if name.startswith(("10 ", "20 ", "3 ", "5 ", "6 ", "picked too early", "picked though none", "false share")):
        return FAMILY
    if name == "coverage: 10 differences, 95 % band" or name.startswith("layer set"):
        return SET
    return COVERAGE if name.startswith("coverage") else None


@cache
def _population(comparison: str) -> float:
    return float(_population_of((BASELINE[0],) * 20, comparison).mean())


@cache
def _population_of(own: tuple[float, ...], comparison: str = "corr") -> np.ndarray:
    """Return the similarity of layers to people over many stimuli, by their share of common features."""
    values = []
    layers = {f"network/{place}": share for place, share in enumerate(own)}
    for seed in range(6):
        rdms, human = simulate(layers, participants=10, stimuli=300, rng=np.random.default_rng([99, seed]))
        rows, columns = np.triu_indices(300, 1)
        each = compare_vectors(comparison, rdms.values[:, rows, columns], human.values[:, rows, columns])
        values.append(each.mean(axis=1))
    return np.mean(values, axis=0)


def _other_tests(result: xr.Dataset) -> dict[str, np.ndarray]:
    people, stimuli = int(result.attrs["participants"]), int(result.attrs["stimuli"])
    estimate, each = result["similarity"].values, result["participant_similarity"].values
    tests: dict[str, np.ndarray] = {}
    for kind, name in (
        ("both", "similarity_draws"),
        *((k, f"similarity_draws_{k}") for k in ("stimulus", "participant")),
    ):
        variance = bootstrap_variance(result[name].values[None], (stimuli, people), kind)
        freedom = degrees_of_freedom((stimuli, people), kind)
        tests[f"t, bootstrap of {_DRAWN[kind]}"] = p_one_sided(estimate, variance, freedom)
    dual = bootstrap_variance(draws_of(result, "similarity_draws"), (stimuli, people), "dual")
    tests["t, dual bootstrap (rsatoolbox)"] = p_one_sided(
        estimate, dual, degrees_of_freedom((stimuli, people), "dual")
    )
    tests["t over participants, nothing resampled"] = p_one_sided(estimate, variance_over_people(each), people - 1.0)
    return tests


def drawn_differences(result: xr.Dataset) -> xr.Dataset:
    """Return rsatoolbox's t tests of the differences between layers of the same name, from the dual bootstrap."""
    return t_differences(result, [(f"fe_alexnet/{layer}", f"alexnet/{layer}") for layer in LAYERS])


def _dual_interval(result: xr.Dataset) -> np.ndarray:
    people, stimuli = int(result.attrs["participants"]), int(result.attrs["stimuli"])
    draws = draws_of(result, "similarity_draws")
    variance = bootstrap_variance(draws, (stimuli, people), "dual")
    return t_interval(draws.mean(axis=(0, 1)), variance, degrees_of_freedom((stimuli, people), "dual"), 0.95)


def _around_ceiling(result: xr.Dataset, size: Size, comparison: str) -> Found:
    truth = _true_ceiling(size, comparison)
    limits = result["noise_ceiling_interval"].values
    for place, bound in enumerate(("lower", "upper")):
        covered = limits[place, 0] <= truth[place] <= limits[place, 1]
        yield f"coverage: {bound} noise ceiling, 95 % t interval", float(covered)
    gaps = np.eye(22)[:, :20] - np.eye(22)[:, [20]]
    spread = resampled_of(result).spread(gaps)
    yield "coverage: gap to the lower ceiling, 95 % t interval", _covers(interval(spread, confidence=0.95), truth[2])
    as_if_there = p_two_sided(spread.estimate - truth[2], spread.error**2, spread.freedom)
    yield "one layer at the lower ceiling, apart from it: t", _share(as_if_there < ALPHA)


@cache
def _true_ceiling(size: Size, comparison: str = "corr") -> tuple[float, float, float]:
    """Return the mean over many samples of the lower and upper ceiling, and of the layers' gap to the lower."""
    found = []
    rows, columns = np.triu_indices(size[1], 1)
    for seed in range(400):
        rng = np.random.default_rng([98, seed, *size])
        rdms, human = simulate(shares(BASELINE), participants=size[0], stimuli=size[1], rng=rng)
        x, y = rdms.values[:, rows, columns], human.values[:, rows, columns]
        lower, upper = ceiling_of(y, comparison)
        similarity = compare_vectors(comparison, x, y).mean()
        found.append((lower, upper, similarity - lower))
    lower, upper, gap = np.mean(found, axis=0)
    return float(lower), float(upper), float(gap)


def _percentile_covers(result: xr.Dataset, truth: float) -> float:
    low, high = np.quantile(result["similarity_draws"].values, [0.025, 0.975], axis=0)
    return _share((low <= truth) & (truth <= high))


def _percentile_differs(result: xr.Dataset) -> float:
    matched = matched_layers(result, network="fe_alexnet", baseline="alexnet")
    drawn = result["similarity_draws"].values
    low, high = np.quantile(drawn[:, matched.network] - drawn[:, matched.baseline], [0.025, 0.975], axis=0)
    return _share((low > 0) | (high < 0))


def _covers(interval: np.ndarray, truth: float | np.ndarray) -> float:
    return _share((interval[:, 0] <= truth) & (truth <= interval[:, 1]))


def _share(found: object) -> float:
    return float(np.mean(np.asarray(found)))


def _any(found: object) -> float:
    return float(np.any(np.asarray(found)))


def _every(found: object) -> float:
    return float(np.all(np.asarray(found)))
