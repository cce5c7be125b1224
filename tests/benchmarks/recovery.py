"""What recovery, stability and a plan cost: ``python -m tests.benchmarks.recovery [layers] [stimuli] [people]``.

Prints seconds on the clock and seconds of processor time, of recovery with 100 simulations for each layer.
"""

import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import rsa_face as rf
from tests.inference.simulated import simulate


def timed(name: str, make: Callable[[], Any]) -> Any:
    """Print how long something takes, and return it."""
    clock, processor = time.perf_counter(), time.process_time()
    made = make()
    print(f"{name:<44} {time.perf_counter() - clock:8.1f} s {time.process_time() - processor:8.1f} s of processor")
    return made


def main(layers: int = 57, stimuli: int = 54, people: int = 20) -> None:
    """Time every step on simulated layers that share more and more with people."""
    rng = np.random.default_rng(0)
    shares = {f"net/layer{at}": float(share) for at, share in enumerate(np.linspace(0.1, 0.9, layers))}
    rsa = rf.RSA(*simulate(shares, stimuli=stimuli, participants=people, rng=rng), comparison="rho-a")
    print(f"{layers} layers, {stimuli} stimuli, {people} people, 100 simulations for each layer")
    timed("recovery, raw", lambda: rf.recover_layers(rsa, reweight=False))
    recovery = timed("recovery, raw and reweighted", lambda: rf.recover_layers(rsa))
    print(recovery["share_recovered"].to_series().round(3).to_dict())
    timed("stability, 50 halves", lambda: rf.assess_stability(rsa, network="net", baseline=None))
    result = timed("comparison, 300 draws", lambda: rsa.bootstrap(draws=300))
    last = [f"layer{layers - 2}", f"layer{layers - 1}"]
    timed("plan, two layers", lambda: rf.plan(result, network="net", layers=last))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
