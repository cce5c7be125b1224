"""What activations and RDMs of many stimuli cost, on one machine and on several: arithmetic from rates measured here.

Run as ``python tests/benchmarks/costs.py [STIMULI] [MACHINES]``; 100,000 and 10 unless given, a minute on two cores.
What is measured, on the GPU where there is one: a forward pass of one batch, and the inner products of 2,048 stimuli.
What is counted: features of the main layers, and multiplications. What follows by arithmetic: hours, if both rates
hold; a disk that takes a store more slowly than networks compute it, and what workers say to each other, come on top.
"""

import sys
import time
from collections.abc import Callable
from math import prod

import torch
from torch import Tensor, nn

from rsa_face.activations.capture import capture, resolve_device
from rsa_face.memory import keeping_memory
from rsa_face.networks.zoo import Network, build_network
from rsa_face.rdms.measures import block_moments
from rsa_face.schema import NETWORKS

FEATURES, STIMULI, BYTES = 2**14, 2**11, 4


def seconds(work: Callable[[], object], device: torch.device) -> float:
    """Time some work: the quickest of three, after one that is not counted."""
    times = []
    for _ in range(4):
        begun = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return min(times[1:])


def multiplications(network: Network, inputs: Tensor) -> int:
    """Count the multiplications of convolutions and full connections in one stimulus's forward pass."""
    counts: list[int] = []

    def count(module: nn.Module, _inputs: object, output: Tensor) -> None:
        counts.append(module.weight[0].numel() * output[0].numel())

    handles = [
        module.register_forward_hook(count)
        for module in network.module.modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    ]
    try:
        with torch.inference_mode():
            network.module(inputs[:1])
    finally:
        for handle in handles:
            handle.remove()
    return sum(counts)


def main(stimuli: int = 100_000, machines: int = 10) -> None:
    device = resolve_device("auto")
    values = torch.rand(STIMULI, FEATURES, device=device)
    products = STIMULI**2 * FEATURES / 2 / seconds(lambda: block_moments(values, "correlation"), device)
    where = torch.cuda.get_device_name() if device.type == "cuda" else f"{torch.get_num_threads()} threads"
    print(f"{where}: inner products at {products / 1e9:,.0f} thousand million multiplications a second")
    print(f"{stimuli:,} stimuli, main layers, float32; hours on 1 and on {machines} such machines")
    print("| | features | stored, GB | forward pass, images/s | RDMs, multiplications over the forward pass's "
          "| forward pass, hours | RDMs, hours |")  # fmt: skip
    print("|---|---:|---:|---:|---:|---:|---:|")
    for name in NETWORKS:
        network = build_network(name)
        network.module.to(device)
        inputs = torch.rand(256 if device.type == "cuda" else 16, 3, 224, 224, device=device)
        with torch.inference_mode(), keeping_memory():
            images = len(inputs) / seconds(lambda network=network, inputs=inputs: network.module(inputs), device)
        captured = capture(network, network.select("main"), inputs[:1])
        features = sum(prod(output.shape[1:]) for output in captured.values())
        each = multiplications(network, inputs)
        forward, rdms = stimuli / images / 3600, stimuli**2 * features / 2 / products / 3600
        print(f"| {name} | {features / 1e6:.2f} million | {stimuli * features * BYTES / 1e9:,.0f} | {images:,.1f} "
              f"| {features / 2 / each:.5f} n | {forward:,.2f}, {forward / machines:,.2f} "
              f"| {rdms:,.1f}, {rdms / machines:,.1f} |", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
