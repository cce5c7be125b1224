"""How often tests of judged pairs that share no stimulus reject what is true: ``python -m tests.benchmarks.pairs``.

Participants judge a list of pairs, each stimulus in one pair; pairs and participants are new in every simulation.
Two layers are equally similar to people, a third is unrelated. Printed are the share of simulations in which the
equal layers differ (5 % is right), in which the unrelated layer is similar to people (5 %; by t, and by shuffled
pairs), and in which the 95 % interval of a similarity holds the one of a population of pairs.
"""

import argparse
from functools import cache

import numpy as np
import xarray as xr

from rsa_face.inference.localization import contrast_layers
from rsa_face.inference.rsa import RSA

SHARED, NOISE, FEATURES, SIZES = 0.5, 1.0, 5, ((20, 8), (60, 8), (60, 25))
NAMES = ("baseline", "network", "unrelated")


def distances(pairs: int, people: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return the dissimilarities of layers and of people, a column for each pair."""
    seen, *own = ((rng.normal(size=(4, pairs, FEATURES)) ** 2).sum(axis=-1) - FEATURES) / np.sqrt(2 * FEATURES)
    layers = np.stack([SHARED * seen + (1 - SHARED) * own[0], SHARED * seen + (1 - SHARED) * own[1], own[2]])
    tastes = rng.normal(size=(people, pairs))  # what each person makes of each pair
    return layers + 10, seen + NOISE * tastes + 10


def simulate_pairs(pairs: int, people: int, rng: np.random.Generator) -> tuple[xr.DataArray, xr.DataArray]:
    """Return layer RDMs and human RDMs of pairs that share no stimulus; other pairs of layers are random."""
    of_layers, of_people = distances(pairs, people, rng)
    ids = [f"face_{number:03d}" for number in range(2 * pairs)]
    first = np.arange(0, 2 * pairs, 2)

    def square(vectors: np.ndarray, fill: float) -> np.ndarray:
        squares = np.full((len(vectors), 2 * pairs, 2 * pairs), fill)
        if not np.isnan(fill):
            noise = rng.random(squares.shape) + 9.5
            squares = (noise + noise.swapaxes(1, 2)) / 2
        squares[:, first, first + 1] = squares[:, first + 1, first] = vectors
        squares[:, np.arange(2 * pairs), np.arange(2 * pairs)] = 0
        return squares

    coords = {"stimulus_i": ids, "stimulus_j": ids}
    layers = xr.DataArray(
        square(of_layers, 0.0),
        {
            "rdm": list(NAMES),
            "network": ("rdm", list(NAMES)),
            "layer": ("rdm", ["fc7"] * 3),
            "depth": ("rdm", [1.0] * 3),
            "order": ("rdm", [1] * 3),
            **coords,
        },
        ("rdm", "stimulus_i", "stimulus_j"),
        attrs={"simulated": True},
    )
    names = [f"p{number:02d}" for number in range(people)]
    human = xr.DataArray(
        square(of_people, np.nan), {"participant": names, **coords}, ("participant", "stimulus_i", "stimulus_j")
    )
    return layers, human.assign_attrs(simulated=True)


@cache
def population() -> float:
    """Return the correlation of a layer that people share with a person, over very many pairs."""
    layers, people = distances(200_000, 4, np.random.default_rng(1))
    return float(np.mean([np.corrcoef(layers[0], person)[0, 1] for person in people]))


def rates(pairs: int, people: int, simulations: int) -> dict[str, float]:
    """Return how often each test rejects, and how often an interval holds the similarity of the population."""
    counts = dict.fromkeys(("equal layers differ", "unrelated layer: t", "unrelated layer: shuffles", "coverage"), 0)
    for number in range(simulations):
        layers, human = simulate_pairs(pairs, people, np.random.default_rng([number, pairs, people]))
        rsa = RSA(layers, human, comparison="corr")
        table = rsa.bootstrap(draws=100, seed=number).table
        contrast = contrast_layers(table, network="network", baseline="baseline")
        counts["equal layers differ"] += float(contrast["p_difference"][0]) < 0.05
        counts["unrelated layer: t"] += float(table["p_above_zero"][2]) < 0.05
        counts["unrelated layer: shuffles"] += float(rsa.permute(99, seed=number)["p_permutation"][2]) <= 0.05
        low, high = table["similarity_interval"][0].values
        counts["coverage"] += low <= population() <= high
    return {name: count / simulations for name, count in counts.items()}


def main() -> None:
    """Print the table of rates."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--simulations", type=int, default=400)
    simulations = parser.parse_args().simulations
    print(f"{simulations} simulations each; standard error of a rate of .05: {np.sqrt(0.0475 / simulations):.3f}")
    for number, size in enumerate(SIZES):
        found = rates(*size, simulations)
        if not number:
            print("| pairs | people |", " | ".join(found), "|\n|", "---|" * (2 + len(found)), sep=" ")
        print(f"| {size[0]} | {size[1]} |", " | ".join(f"{value:.3f}" for value in found.values()), "|")


if __name__ == "__main__":
    main()
