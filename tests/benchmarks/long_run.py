"""Memory over a long run: many draws, many stimuli, many layers, each by itself, and what each result takes.

Run as ``python tests/benchmarks/long_run.py [DRAWS] [STIMULI] [LAYERS]``; 1000, 500 and 26 unless given, in half a
minute on one core. ``10000 5000 130`` is a study of that size: some minutes. Memory is that of the whole process, in
MB, at each tenth of the time; what a result takes is printed beside it, since that must be held. Draws are of all
LAYERS over 24 faces; stimuli are extracted into a store from a network of 4 layers, and LAYERS from one as deep, over
200 faces.
"""

import resource
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from PIL import Image
from torch import nn

from rsa_face.activations.extract import extract
from rsa_face.inference.rsa import compare_layers
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network
from rsa_face.rdms.measures import compute_rdms
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.preprocessing import Preprocessing

FACES, PEOPLE, FEW_STIMULI, FEW_LAYERS = 24, 20, 200, 4


def memory() -> float:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * resource.getpagesize() / 1e6


def follow(what: str, work: Callable[[], Any]) -> None:
    """Do some work and print the memory that the process takes at each tenth of it."""
    seen, done = [(0.0, memory())], threading.Event()
    begun = time.perf_counter()

    def watch() -> None:
        while not done.wait(0.05):
            seen.append((time.perf_counter() - begun, memory()))

    watcher = threading.Thread(target=watch)
    watcher.start()
    result = work()
    done.set()
    watcher.join()
    seconds = time.perf_counter() - begun
    times, sizes = np.array(seen).T
    tenths = [sizes[np.searchsorted(times, seconds * tenth / 10, side="right") - 1] for tenth in range(11)]
    print(f"{what}: {seconds:.1f} s; the result takes {result.nbytes / 1e6:.0f} MB")
    print("  MB at each tenth of the time: " + " ".join(f"{size:.0f}" for size in tenths))
    half = sizes[times >= seconds / 2]
    print(f"  second half: {half.min():.0f} to {half.max():.0f} MB; peak {sizes.max():.0f} MB", flush=True)


def many_draws(draws: int, layers: int) -> None:
    rng = np.random.default_rng(0)
    names = [f"layer{place}" for place in range(layers)]
    rdms = rdms_of(rng.random((layers, FACES, FACES)), "rdm", names).assign_coords(
        network=("rdm", ["deep"] * layers),
        layer=("rdm", names),
        depth=("rdm", np.linspace(1 / layers, 1, layers)),
        order=("rdm", np.arange(layers)),
    )
    people = rdms_of(rng.random((PEOPLE, FACES, FACES)), "participant", [f"p{place}" for place in range(PEOPLE)])
    follow(
        f"{draws} draws of {layers} layers",
        lambda: compare_layers(rdms, people, comparison="rho-a", resample="both", draws=draws, seed=0),
    )


def rdms_of(values: np.ndarray, dim: str, names: list[str]) -> xr.DataArray:
    values = values + values.transpose(0, 2, 1)
    values[:, np.arange(FACES), np.arange(FACES)] = 0
    ids = [f"face{place:02d}" for place in range(FACES)]
    return xr.DataArray(
        values,
        dims=(dim, "stimulus_i", "stimulus_j"),
        coords={dim: names, "stimulus_i": ids, "stimulus_j": ids},
        attrs={"measure": "correlation", "kind": "rating", "simulated": True},
    )


def many_stimuli(stimuli: int, layers: int) -> None:
    parts: list[nn.Module] = [nn.Conv2d(3, 4, 3, padding=1), nn.ReLU()]
    parts += [part for _ in range(layers // 2 - 1) for part in (nn.Conv2d(4, 4, 3, padding=1), nn.ReLU())]
    module = nn.Sequential(*parts)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) / 3)
    network = Network("deep", module.eval(), name_modules(module), Preprocessing(resize=32, crop=32))
    with tempfile.TemporaryDirectory() as folder:
        shown = make_stimuli(Path(folder), stimuli)
        store = Path(folder) / "deep.zarr"

        def extracted() -> xr.Dataset:
            return extract([network], shown, store, layers="all").to_dataset()

        follow(f"extraction of {layers} layers, {stimuli} stimuli", extracted)
        tree = extract([network], shown, store, layers="all")
        follow(f"RDMs of {layers} layers, {stimuli} stimuli", lambda: compute_rdms(tree))


def make_stimuli(folder: Path, number: int) -> StimulusSet:
    rng = np.random.default_rng(0)
    files = [folder / f"{place}.png" for place in range(50)]
    for file in files:
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(file)
    ids = [f"s{place:04d}" for place in range(number)]
    return StimulusSet(pd.DataFrame({"stimulus": ids, "file": [str(files[place % 50]) for place in range(number)]}))


def main(draws: int = 1000, stimuli: int = 500, layers: int = 26) -> None:
    many_draws(draws, layers)
    many_stimuli(stimuli, FEW_LAYERS)
    many_stimuli(FEW_STIMULI, layers)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
