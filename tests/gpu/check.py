"""Extraction, streaming, draws and training on one device beside the CPU: are the values equal, and how fast is it?

Run ``python -m tests.gpu.check`` on a machine with a CUDA device; ``--device cpu`` runs the same on the CPU, where
every value must be equal and every ratio near 1. Images are random and weights untrained: numbers of the machine, not
of faces.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from rsa_face.activations.extract import extract
from rsa_face.activations.stream import stream_rdms
from rsa_face.inference.rsa import RSA
from rsa_face.networks.zoo import build_network
from rsa_face.rdms.measures import compute_rdms
from rsa_face.schema import NETWORKS
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.training.data import TrainingTable
from rsa_face.training.loop import train_valence
from rsa_face.training.settings import TrainingSettings
from tests.benchmarks.throughput import make_stimuli
from tests.inference.simulated import simulate

COMPARISONS = ("corr", "spearman", "rho-a")
TOLERANCE = 1e-3
"""Of a correlation distance: convolutions of a GPU add up in another order than a CPU's."""


def seconds(work: Callable[[], object]) -> float:
    """Return how long some work takes by the clock, the device's queue included."""
    _wait()
    start = time.perf_counter()
    work()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def check_network(name: str, stimuli: StimulusSet, device: str, batch: int, size: int) -> float:
    """Print the ratios of one network, and return by how much an RDM of the device is off the CPU's."""
    network = build_network(name, preprocessing=Preprocessing(resize=size, crop=size))
    batches = list(read_batches(stimuli, network.preprocessing, batch=batch))
    module = network.module.to(device)

    def bare() -> None:
        with torch.inference_mode():
            for inputs in batches:
                module(inputs.to(device))

    bare()
    forward = seconds(bare)
    module.to("cpu")
    with tempfile.TemporaryDirectory() as folder:
        stored = seconds(lambda: extract([network], stimuli, Path(folder) / "a.zarr", batch=batch, device=device))
        streamed = seconds(lambda: stream_rdms([network], stimuli, batch=batch, device=device))
        few = StimulusSet(stimuli.table.iloc[:16].reset_index(drop=True))
        on_cpu = compute_rdms(extract([network], few, Path(folder) / "b.zarr", batch=batch, device="cpu"))
        on_device = stream_rdms([network], few, batch=batch, device=device)
    scale = np.maximum(on_cpu.max(("stimulus_i", "stimulus_j")), 1)  # distances of logits have the units of logits
    error = float((abs(on_device - on_cpu) / scale).max())
    print(
        f"{name:12s} bare pass {forward:7.2f} s   extraction {stored / forward:5.2f} x   "
        f"streamed RDMs {streamed / forward:5.2f} x   off the CPU by {error:.1e}",
        flush=True,
    )
    return error


def check_draws(device: str, stimuli: int) -> float:
    """Print the time of draws beside the CPU's, and return by how much any draw differs."""
    shares = {f"network/{place}": place / 20 for place in range(20)}
    rdms, human = simulate(shares, stimuli=stimuli, participants=20, rng=np.random.default_rng(0))
    errors = []
    for comparison in COMPARISONS:
        rsa = RSA(rdms, human, comparison=comparison, groups=None)
        rsa.bootstrap(draws=20, device=device)
        start = time.perf_counter()
        on_cpu = rsa.bootstrap(draws=200, device="cpu").table
        middle = time.perf_counter()
        on_device = rsa.bootstrap(draws=200, device=device).table  # returns numpy, so the device is done
        taken = middle - start, time.perf_counter() - middle
        errors.append(float(abs(on_device["similarity_draws"] - on_cpu["similarity_draws"]).max()))
        print(
            f"draws, {comparison:9s} CPU {taken[0]:6.2f} s   {taken[0] / taken[1]:5.1f} times as fast "
            f"on {device}   off by {errors[-1]:.1e}",
            flush=True,
        )
    return max(errors)


def check_training(stimuli: StimulusSet, device: str, size: int) -> None:
    """Print how long one epoch takes on the CPU and on the device."""
    table = stimuli.table.assign(
        **{"class": np.where(np.arange(len(stimuli)) % 2, "happy", "sad")},
        identity=[f"p{place // 2}" for place in range(len(stimuli))],
    )
    faces = TrainingTable(table)
    network = build_network("alexnet", preprocessing=Preprocessing(resize=size, crop=size))
    taken = {}
    for where in ("cpu", device):
        settings = TrainingSettings(epochs=1, device=where, freeze="none", patience=None)
        taken[where] = seconds(lambda settings=settings: train_valence(network, faces, settings=settings))
    print(f"one epoch of alexnet: CPU {taken['cpu']:.2f} s, {device} {taken[device]:.2f} s")


def main(arguments: list[str] | None = None) -> int:
    """Run every check, and return 1 if a value differs from the CPU's by more than rounding."""
    options = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    options.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    options.add_argument("--networks", nargs="*", default=list(NETWORKS))
    options.add_argument("--stimuli", type=int, default=512, help="a quarter of them for VGGs")
    options.add_argument("--size", type=int, default=224, help="of the images, in pixels")
    options.add_argument("--batch", type=int, default=64)
    chosen = options.parse_args(arguments)
    where = torch.cuda.get_device_name() if chosen.device == "cuda" else "CPU"
    print(f"{where}, torch {torch.__version__}, {chosen.stimuli} images of {chosen.size} px, untrained weights")
    errors = {}
    with tempfile.TemporaryDirectory() as folder:
        stimuli = make_stimuli(Path(folder), chosen.stimuli)
        few = StimulusSet(stimuli.table.iloc[: max(chosen.stimuli // 4, 16)].reset_index(drop=True))
        for name in chosen.networks:
            seen = few if name.startswith("vgg") else stimuli
            errors[name] = check_network(name, seen, chosen.device, chosen.batch, chosen.size)
        check_training(few, chosen.device, chosen.size)
    errors["draws"] = check_draws(chosen.device, min(100, 4 * chosen.stimuli))
    wrong = {name: error for name, error in errors.items() if not error < TOLERANCE}
    print(f"Values that differ from the CPU's: {wrong or 'none'}")
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
