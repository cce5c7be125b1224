"""What the prediction of trials and a multiverse cost, in processor seconds, beside one comparison of RDMs.

Run as ``python -m tests.benchmarks.trials [LAYERS] [PEOPLE] [TRIALS]``; 57, 20 and 400 each unless given, of 54
made-up stimuli in 6 groups, with 1,000 draws and jackknifed errors. Under a minute on one core.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import xarray as xr

import rsa_face as rf
from rsa_face.human.observers import simulate_triplets

STIMULI, GROUPS = 54, 6


def seconds(work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the processor time of some work, and what it returned."""
    begun = time.process_time()
    made = work()
    return time.process_time() - begun, made


def main(layers: int = 57, people: int = 20, trials: int = 400) -> None:
    rng, ids = np.random.default_rng(0), [f"s{n:02d}" for n in range(STIMULI)]
    points = rng.normal(size=(max(layers, people) + 1, STIMULI, 6))

    def rdms(dim: str, some: np.ndarray) -> xr.DataArray:
        square = np.linalg.norm(some[:, :, None] - some[:, None], axis=3)
        coords = {dim: [f"{dim}{n}" for n in range(len(some))], "stimulus_i": ids, "stimulus_j": ids,
                  "identity": ("stimulus_i", [f"g{n % GROUPS}" for n in range(STIMULI)])}  # fmt: skip
        return xr.DataArray(square, coords, (dim, "stimulus_i", "stimulus_j"))

    network, human = rdms("rdm", points[:layers]), rdms("participant", points[:1] + 0.5 * points[1 : people + 1])
    table = simulate_triplets(network[0], participants=people, trials=trials, temperature=0.5)
    base, _ = seconds(lambda: rf.compare_layers(network, human, draws=1000))
    print(f"comparison of {layers} layers with {people} people, rho-a: {base:.1f} s of processor time")
    for score in ("accuracy", "log-likelihood"):
        cost, _ = seconds(lambda score=score: rf.predict_trials(network, table, draws=1000, score=score))
        print(f"prediction of {len(table):,} trials, {score}: {cost:.1f} s, {cost / base:.1f} times as long")
    result = rf.RSA(network, human).bootstrap(draws=200)
    controls = rdms("rdm", points[-1:])
    one, _ = seconds(lambda: rf.RSA(network, human).bootstrap(draws=200))
    given, _ = seconds(lambda: result.given(controls))
    print(f"multiverse, a group of analyses with 200 draws: {one:.1f} s, and {given:.1f} s for each set of controls")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
