"""Kill an extraction with SIGKILL at random moments, and see that the finished store is that of a whole run.

Run as ``python tests/benchmarks/kill_store.py KILLS``. Each round forks a process that extracts, kills it after a
random while, and starts the next, which goes on with the same store. Half of the kills hit a tiny network, of whose
batches one runs after another; half an AlexNet of 64 px, of which two run side by side.
"""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from rsa_face.activations.extract import Options, extract
from rsa_face.activations.store import describe_store, verify_store
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network, build_network
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.preprocessing import Preprocessing

STIMULI, BATCH, CHUNK = 90, 3, 9


def make_stimuli(folder: Path) -> StimulusSet:
    rng = np.random.default_rng(0)
    for place in range(10):
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / f"{place}.png")
    files = [str(folder / f"{place % 10}.png") for place in range(STIMULI)]
    return StimulusSet(pd.DataFrame({"stimulus": [f"s{place:03d}" for place in range(STIMULI)], "file": files}))


def make_network() -> Network:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(8 * 30 * 30, 5))
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(torch.randn(value.shape, generator=generator) / 5)
    return Network("tiny", module.eval(), name_modules(module), Preprocessing(resize=32, crop=32))


def run(network: Network, stimuli: StimulusSet, store: Path) -> None:
    extract([network], stimuli, store, layers="all", batch=BATCH, options=Options(chunk=CHUNK))


def fork_and_kill(network: Network, stimuli: StimulusSet, store: Path, after: float | None) -> int:
    child = os.fork()
    if child == 0:
        # one thread for each pass: a process that was forked can't begin others that compute one layer together
        torch.set_num_threads(2 if network.architecture == "alexnet" else 1)
        run(network, stimuli, store)
        os._exit(0)
    if after is not None:
        time.sleep(after)
        os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def contents(store: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(store)): file.read_bytes() for file in sorted(store.rglob("c/**/*")) if file.is_file()
    }


def kill(network: Network, stimuli: StimulusSet, folder: Path, kills: int, rng: np.random.Generator) -> None:
    begun = time.perf_counter()
    assert fork_and_kill(network, stimuli, folder / "whole.zarr", None) == 0
    seconds = time.perf_counter() - begun
    killed, stores, done = 0, 0, []
    while killed < kills:
        store = folder / f"killed{stores}.zarr"
        stores += 1
        while fork_and_kill(network, stimuli, store, float(rng.uniform(seconds / 4, seconds))) != 0:
            killed += 1
            found = describe_store(store)["networks"] if store.is_dir() else []
            done.append(found[0]["done"] if found else 0)
            if killed == kills:
                break
        assert fork_and_kill(network, stimuli, store, None) == 0
        assert contents(store) == contents(folder / "whole.zarr")
        assert verify_store(store) == []
        leftovers = [file for file in store.rglob("*") if file.suffix in (".part", ".index", ".partial")]
        assert not leftovers
    print(f"{network.name}: a whole run takes {seconds:.2f} s")
    print(f"killed {killed} times in {stores} stores of {STIMULI} stimuli; stimuli there when killed: {done}")
    print(
        f"every finished store equals the uninterrupted one ({len(contents(store))} files) byte for byte", flush=True
    )


def main(kills: int) -> None:
    rng = np.random.default_rng(len(sys.argv))
    alexnet = build_network("alexnet", preprocessing=Preprocessing(resize=64, crop=64))
    for network in (make_network(), alexnet):
        with tempfile.TemporaryDirectory() as name:
            kill(network, make_stimuli(Path(name)), Path(name), -(-kills // 2), rng)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 50)
