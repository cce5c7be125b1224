"""Extraction to disk and streamed RDMs against the bare forward pass, and what each costs in memory.

Run as ``python tests/benchmarks/throughput.py [STIMULI] [NETWORK ...]``; 1,024 stimuli unless given, a sixteenth of
them for VGGs, which take ten times as long. With few stimuli, what is done once weighs: hashing the weights, coming
by memory. The bare forward pass runs over batches that are preloaded; extraction reads and decodes the images, hashes
images and weights, and writes every main layer. Each is held against the bare passes before and after it, three times
over; the middle one is printed, and the lowest and highest, since a machine that others use drifts. Extraction and
streaming keep the memory that layers free (`keeping_memory`), which a bare pass hands back to the system; what it
would take if it didn't is printed beside it. ``options`` as a network measures precision, memory format and
projection instead.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image

from rsa_face.activations.extract import Options, extract
from rsa_face.activations.stream import stream_rdms
from rsa_face.memory import keeping_memory
from rsa_face.networks.zoo import Network, build_network
from rsa_face.rdms.measures import compute_rdms
from rsa_face.schema import NETWORKS
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches

BATCH, ROUNDS = 16, 3


def make_stimuli(folder: Path, number: int) -> StimulusSet:
    rng = np.random.default_rng(0)
    files = []
    for place in range(number):
        coarse = Image.fromarray(rng.integers(0, 255, (24, 24, 3), dtype=np.uint8))
        coarse.resize((256, 256), Image.Resampling.BICUBIC).save(folder / f"{place}.jpg", quality=90)
        files.append(str(folder / f"{place}.jpg"))
    return StimulusSet(pd.DataFrame({"stimulus": [f"s{place:04d}" for place in range(number)], "file": files}))


def seconds(work: Callable[[], object]) -> np.ndarray:
    """Time some work: by the clock, and of the processor (all threads)."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return np.array([time.perf_counter() - wall, time.process_time() - processor])


def forward(network: Network, batches: list[torch.Tensor]) -> None:
    with torch.inference_mode():
        for inputs in batches:
            network.module(inputs)


def compare(network: Network, stimuli: StimulusSet, folder: Path) -> None:
    batches: list[torch.Tensor] = []
    read = seconds(lambda: batches.extend(read_batches(stimuli, network.preprocessing, batch=BATCH)))
    few = StimulusSet(stimuli.table.iloc[:2].reset_index(drop=True))
    extract([network], few, folder / "warm.zarr")  # so that modules loaded on first use are there
    forward(network, batches[:1])
    bare = [seconds(lambda: forward(network, batches))]
    stored, streamed = [], []
    store = folder / f"{network.name}.zarr"
    for _ in range(ROUNDS):
        shutil.rmtree(store, ignore_errors=True)
        stored.append(seconds(lambda: extract([network], stimuli, store, batch=BATCH)))
        bare.append(seconds(lambda: forward(network, batches)))
        streamed.append(seconds(lambda: stream_rdms([network], stimuli, batch=BATCH)))
        bare.append(seconds(lambda: forward(network, batches)))
    with keeping_memory():
        forward(network, batches[:1])
        kept = seconds(lambda: forward(network, batches))
    size = sum(file.stat().st_size for file in store.rglob("*") if file.is_file())
    number = sum(1 for file in store.rglob("c/**/*") if file.is_file())
    print(
        f"{network.name:11s} {len(stimuli)} images: forward {_spread([one[0] for one in bare], 1)} s, in kept memory "
        f"{kept[0]:.1f}   reading images {read[0]:.1f} s (processor {read[1]:.1f})\n"
        f"            extract to disk {_ratios(stored, bare[:-1:2], bare[1::2])}\n"
        f"            stream_rdms     {_ratios(streamed, bare[1::2], bare[2::2])}\n"
        f"            store {size / 2**30:.2f} GiB in {number} files",
        flush=True,
    )


def _ratios(work: list[np.ndarray], before: list[np.ndarray], after: list[np.ndarray]) -> str:
    wall, processor = (2 * np.array(work) / (np.array(before) + np.array(after))).T
    took = _spread([one[0] for one in work], 1)
    return f"{took} s, ratio {_spread(wall, 2)}, of the processor {_spread(processor, 2)}"


def _spread(values: list[float] | np.ndarray, digits: int) -> str:
    return f"{np.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def options_of(network: Network, stimuli: StimulusSet, folder: Path) -> None:
    whole = compute_rdms(extract([network], stimuli, folder / "whole.zarr", batch=BATCH))
    for name, dtype, options in (
        ("float16 kept", "float16", Options()),
        ("bfloat16 kept", "bfloat16", Options()),
        ("autocast", "float32", Options(autocast=True)),
        ("channels_last", "float32", Options(channels_last=True)),
        ("projection 4096", "float32", Options(projection=4096)),
    ):
        store = folder / f"{name}.zarr"
        spent = seconds(
            lambda dtype=dtype, options=options, store=store: extract(
                [network], stimuli, store, batch=BATCH, dtype=dtype, options=options, progress=False
            )
        )
        rdms = compute_rdms(extract([network], stimuli, store, batch=BATCH, dtype=dtype, options=options))
        pairs = np.triu_indices(len(stimuli), 1)
        same = min(np.corrcoef(a[pairs], b[pairs])[0, 1] for a, b in zip(rdms.values, whole.values, strict=True))
        off = abs(rdms - whole).max().item()
        print(
            f"{network.name}, {name:16s} {spent[0]:6.1f} s   entries off by up to {off:.1e}"
            f"   lowest correlation of a layer's RDM with float32's {same:.6f}"
        )


def main(number: int, names: list[str]) -> None:
    some = max(number // 16, 4 * BATCH)
    print(f"{number} images, {some} for VGGs, batches of {BATCH}, layers: main")
    print(f"{torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory(dir=".") as name:
        stimuli = make_stimuli(Path(name), number)
        few = StimulusSet(stimuli.table.iloc[:some].reset_index(drop=True))
        for architecture in names:
            with tempfile.TemporaryDirectory(dir=name) as folder:
                if architecture == "options":
                    options_of(build_network("alexnet", classes=1000), few, Path(folder))
                else:
                    seen = few if architecture.startswith("vgg") else stimuli
                    compare(build_network(architecture), seen, Path(folder))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1024, sys.argv[2:] or [*NETWORKS, "options"])
