"""Whether tests reject and intervals cover as often as they say: simulations with known truth, printed as a table.

Run ``python -m tests.benchmarks.calibration --simulations 1000`` from the repository's root. Stimuli and participants
are random draws from populations in every simulation. The p values by t of the dual bootstrap are rsatoolbox's own
test (the reference tests hold them equal), so its power stands in the same table.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
import xarray as xr

from rsa_face.inference.bootstrap import Evaluated
from rsa_face.inference.contrasts import contrast_layers
from rsa_face.inference.layerwise import compare_layers
from rsa_face.inference.localization import localize
from rsa_face.inference.permutation import shuffle_layers
from rsa_face.inference.resampling import Draws
from rsa_face.inference.results import matched_layers, resampled_of
from rsa_face.inference.significance import correct
from rsa_face.inference.simultaneous import family_p, single_p
from tests.inference.simulated import simulate

LAYERS = [f"layer{number}" for number in range(10)]
BASELINE = [0.3] * 10
PLANTED = [0.3, 0.3, 0.3, 0.3, 0.3, 0.55, 0.75, 1.0, 0.6, 0.4]
ONSET, PEAK = "layer5", "layer7"
GRID = ((10, 20), (20, 40), (40, 90))
Rates = dict[str, list[float]]


def shares(own: list[float]) -> dict[str, float]:
    """Return the share of common features of each layer of the two networks."""
    both = (("alexnet", BASELINE), ("fe_alexnet", own))
    return {f"{network}/{layer}": share for network, of in both for layer, share in zip(LAYERS, of, strict=True)}


def correlate_draws(layers: np.ndarray, people: np.ndarray, draws: Draws, **_: object) -> Evaluated:
    """Do what `evaluate_draws` does for ``corr`` and whole RDMs, all draws in a few matrix products."""
    similarity = np.empty((len(draws.kinds), len(draws), len(layers)))
    ceiling = np.empty((len(draws.kinds), len(draws), 2))
    rows, columns = np.triu_indices(draws.stimuli.shape[1], 1)
    for start in range(0, len(draws), 50):
        chunk = slice(start, start + 50)
        stimuli, times = draws.stimuli[chunk].astype(float), draws.participants[chunk].astype(float)
        drawn = _moments(layers, people, stimuli[:, rows] * stimuli[:, columns])
        once = _moments(layers, people, np.ones((1, rows.size)))
        for place, kind in enumerate(draws.kinds):
            between, among = once if kind == "participant" else drawn
            weights = np.ones_like(times) if kind == "stimulus" else times
            similarity[place, chunk] = np.einsum(
                "dlp,dp->dl", np.broadcast_to(between, (len(times), *between.shape[1:])), weights
            )
            similarity[place, chunk] /= weights.sum(axis=1, keepdims=True)
            ceiling[place, chunk] = _ceilings(np.broadcast_to(among, (len(times), *among.shape[1:])), weights)
    return Evaluated(similarity, ceiling)


def _moments(layers: np.ndarray, people: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weights = weights / weights.sum(axis=1, keepdims=True)
    everything = np.vstack([layers, people])
    everything = (everything - everything.mean(axis=1, keepdims=True)) / everything.std(axis=1, keepdims=True)
    count, mean = len(layers), weights @ everything.T
    spread = np.sqrt(weights @ (everything**2).T - mean**2)
    y = everything[count:]
    products = (everything[:, None] * y[None]).reshape(-1, y.shape[1])
    raw = (weights @ products.T).reshape(len(weights), len(everything), len(y))
    raw -= mean[:, :, None] * mean[:, None, count:]
    raw /= spread[:, :, None] * spread[:, None, count:]
    return raw[:, :count], raw[:, count:]


def _ceilings(among: np.ndarray, weights: np.ndarray) -> np.ndarray:
    drawn = weights > 0
    own = np.einsum("dpq,dq->dp", among, weights)
    square = np.einsum("dp,dp->d", own, weights)[:, None]
    upper = own / np.sqrt(square)
    lower = (own - weights) / np.sqrt(np.maximum(square - 2 * weights * own + weights**2, 1e-12))
    return np.stack([(bound * drawn).sum(axis=1) / drawn.sum(axis=1) for bound in (lower, upper)], axis=1)


def one_result(
    own: list[float], size: tuple[int, int], seed: int, *, related: bool = True, draws: int = 200
) -> tuple:
    """Return a simulated comparison with a dual bootstrap, and its RDMs."""
    rng = np.random.default_rng([seed, *size])
    rdms, human = simulate(shares(own), participants=size[0], stimuli=size[1], rng=rng, related=related)
    with patch("rsa_face.inference.layerwise.evaluate_draws", correlate_draws):
        result = compare_layers(rdms, human, comparison="corr", resample="dual", draws=draws, seed=seed)
    return result, rdms, human


def unrelated(size: tuple[int, int], simulations: int) -> Iterator[tuple[str, float]]:
    """Yield whether each test rejects where no layer is similar."""
    for seed in range(simulations):
        result, rdms, human = one_result(BASELINE, size, seed, related=False)
        spread = resampled_of(result).spread(np.eye(22)[:, :20])
        p, drawn = single_p(spread, two_sided=False), result["similarity_draws"].values
        shuffled = shuffle_layers(rdms, human, comparison="corr", shuffles=199, seed=seed)
        yield "one layer above 0: t, dual bootstrap", float(np.mean(p < 0.05))
        yield "one layer above 0: rsatoolbox's t", float(np.mean(result["p_above_zero"] < 0.05))
        yield (
            "one layer above 0: percentile, both",
            float(np.mean((1 + (drawn <= 0).sum(axis=0)) / (len(drawn) + 1) < 0.05)),
        )
        yield "one layer above 0: shuffled stimuli", float(np.mean(shuffled["p_permutation"] <= 0.05))
        yield "20 layers above 0, any: largest t", float(np.any(family_p(spread, two_sided=False) < 0.05))
        yield "20 layers above 0, any: Holm", float(np.any(correct(p, method="holm") < 0.05))
        yield "20 layers above 0, any: FDR", float(np.any(correct(p, method="fdr") < 0.05))
        yield (
            "20 layers above 0, any: largest of shuffles",
            float(np.any(shuffled["p_permutation_corrected"] <= 0.05)),
        )
        yield "20 layers above 0, any: not corrected", float(np.any(p < 0.05))


def equal(size: tuple[int, int], simulations: int) -> Iterator[tuple[str, float]]:
    """Yield whether each test finds a difference between networks that are equally similar, and intervals cover."""
    truth = _population(size)
    for seed in range(simulations):
        result, _, _ = one_result(BASELINE, size, seed)
        contrasts = {
            cluster: contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster=cluster)
            for cluster in ("draws", "participants")
        }
        contrast = contrasts["draws"]
        low, high = result["similarity_interval"].values.T
        yield "one difference: t, dual bootstrap", float(np.mean(contrast["p_difference"] < 0.05))
        yield "one difference: percentile, both", _percentile_differs(result)
        yield "10 differences, any: largest t", float(np.any(contrast["p_difference_corrected"] < 0.05))
        yield "10 differences, any: Holm", float(np.any(contrast["p_difference_holm"] < 0.05))
        yield "10 differences, any run: clusters of draws", float(np.any(contrast["p_cluster"] < 0.05))
        yield (
            "10 differences, any run: clusters, participants turned",
            float(np.any(contrasts["participants"]["p_cluster"] <= 0.05)),
        )
        lower, upper = contrast["difference_interval"].values.T
        yield "coverage: similarity, 95 % t interval", float(np.mean((low <= truth) & (truth <= high)))
        yield "coverage: similarity, 95 % percentile, both", _percentile_covers(result, truth)
        yield "coverage: difference, 95 % t interval", float(np.mean((lower <= 0) & (upper >= 0)))
        lower, upper = contrast["difference_band"].values.T
        yield "coverage: 10 differences, 95 % band", float(np.all((lower <= 0) & (upper >= 0)))
        inside = localize(result)["in_set"].sel(target="peak", layer=LAYERS)
        yield "layer set: one of 10 equal peaks", float(inside.mean())


def planted(size: tuple[int, int], simulations: int) -> Iterator[tuple[str, float]]:
    """Yield whether the sets hold the planted layers, and whether the tests find what is there."""
    right = {"peak": PEAK, "at_ceiling": PEAK, "above_baseline": ONSET}
    for seed in range(simulations):
        result, rdms, human = one_result(PLANTED, size, seed)
        where = localize(result)
        for target, layer in right.items():
            inside = where["in_set"].sel(target=target)
            yield f"layer set: {target}", float(inside.sel(layer=layer))
            yield f"layers in the set: {target}", float(inside.sum())
            yield f"picked right: {target}", float(where["picked"].sel(target=target) == layer)
        contrast = contrast_layers(result, network="fe_alexnet", baseline="alexnet", cluster="draws").sel(layer=ONSET)
        spread = resampled_of(result).spread(np.eye(22)[:, :20])
        shuffled = shuffle_layers(rdms, human, comparison="corr", shuffles=199, seed=seed)
        weak = "alexnet/layer0"
        yield "power, above 0 (share .3): rsatoolbox's t", float(result["p_above_zero"].sel(rdm=weak) < 0.05)
        yield "power, above 0 (share .3): t, dual bootstrap", float(single_p(spread, two_sided=False)[0] < 0.05)
        yield "power, above 0 (share .3): largest t of 20", float(family_p(spread, two_sided=False)[0] < 0.05)
        yield "power, above 0 (share .3): shuffled stimuli", float(shuffled["p_permutation"].sel(rdm=weak) <= 0.05)
        yield (
            "power, above 0 (share .3): largest of shuffles",
            float(shuffled["p_permutation_corrected"].sel(rdm=weak) <= 0.05),
        )
        every_pair = 20 * 19 / 2
        yield "power, onset's difference: t", float(contrast["p_difference"] < 0.05)
        yield "power, onset's difference: largest t of 10", float(contrast["p_difference_corrected"] < 0.05)
        yield "power, onset's difference: Holm of 10", float(contrast["p_difference_holm"] < 0.05)
        yield "power, onset's difference: clusters", float(contrast["p_cluster"] < 0.05)
        yield (
            "power, onset's difference: rsatoolbox's t, Bonferroni over all pairs",
            float(contrast["p_difference"] < 0.05 / every_pair),
        )


SCENARIOS = {"no similarity": unrelated, "equal layers": equal, "planted layers": planted}


def rates(scenario: str, size: tuple[int, int], simulations: int) -> dict[str, float]:
    """Return the mean of everything a scenario yields."""
    found: Rates = defaultdict(list)
    for name, value in SCENARIOS[scenario](size, simulations):
        found[name].append(value)
    return {name: float(np.mean(values)) for name, values in found.items()}


def _population(size: tuple[int, int]) -> float:
    values = []
    for seed in range(6):
        rdms, human = simulate(shares(BASELINE), participants=10, stimuli=300, rng=np.random.default_rng([99, seed]))
        rows, columns = np.triu_indices(300, 1)
        everything = np.corrcoef(np.vstack([rdms.values[:, rows, columns], human.values[:, rows, columns]]))
        values.append(everything[:20, 20:].mean())
    return float(np.mean(values))


def _percentile_covers(result: xr.Dataset, truth: float) -> float:
    low, high = np.quantile(result["similarity_draws"].values, [0.025, 0.975], axis=0)
    return float(np.mean((low <= truth) & (truth <= high)))


def _percentile_differs(result: xr.Dataset) -> float:
    matched = matched_layers(result, network="fe_alexnet", baseline="alexnet")
    drawn = result["similarity_draws"].values
    low, high = np.quantile(drawn[:, matched.network] - drawn[:, matched.baseline], [0.025, 0.975], axis=0)
    return float(np.mean((low > 0) | (high < 0)))


def main() -> None:
    """Print the table."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--simulations", type=int, default=1000)
    options.add_argument("--sizes", type=int, nargs="*", default=range(len(GRID)))
    options.add_argument("--scenarios", nargs="*", default=list(SCENARIOS))
    asked = options.parse_args()
    sizes = [GRID[index] for index in asked.sizes]
    print(f"{asked.simulations} simulations, corr, 200 draws, 199 shuffles, alpha .05\n", flush=True)
    heads = " | ".join(f"{people} participants, {stimuli} stimuli" for people, stimuli in sizes)
    print(f"| | {heads} |\n|---|{'---:|' * len(sizes)}", flush=True)
    for scenario in asked.scenarios:
        columns = [rates(scenario, size, asked.simulations) for size in sizes]
        print(f"| **{scenario}** |{' |' * len(sizes)}")
        for name in columns[0]:
            print(f"| {name} | {' | '.join(f'{column[name]:.3f}' for column in columns)} |", flush=True)


if __name__ == "__main__":
    main()
