"""Exact RDMs of all main layers of a network with nothing stored: time against the bare forward pass, and memory.

Run as ``python tests/benchmarks/stream_memory.py [NETWORK] [STIMULI] [SIDE] [GIB]``; vgg16 500 224 3 unless given: on
two cores about four minutes, and up to 13 GB of temporary files in the current folder. SIDE is the images', in
pixels, GIB what of a layer may be held in memory. The bare forward pass is timed over 32 preloaded images before and
after, and scaled up. Seconds of the processor are printed beside those of the clock: they tell the ratio on a machine
that others use, too.
"""

import resource
import sys
import tempfile
import threading
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))

from throughput import forward, make_stimuli

from rsa_face.activations.stream import stream_rdms
from rsa_face.networks.zoo import Network, build_network
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.images import read_batches
from rsa_face.stimuli.preprocessing import Preprocessing

BATCH = 16


def bare(network: Network, stimuli: StimulusSet) -> tuple[float, float]:
    few = StimulusSet(stimuli.table.iloc[:32].reset_index(drop=True))
    batches = list(read_batches(few, network.preprocessing, batch=BATCH))
    forward(network, batches[:1])
    wall, processor = time.perf_counter(), time.process_time()
    forward(network, batches)
    return time.perf_counter() - wall, time.process_time() - processor


def watch(peak: list[float], done: threading.Event) -> None:
    while not done.wait(0.2):
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        peak.append(pages * resource.getpagesize() / 2**30)


def main(name: str = "vgg16", number: int = 500, side: int = 224, memory: float = 3.0) -> None:
    network = build_network(name, preprocessing=Preprocessing(resize=side, crop=side))
    with tempfile.TemporaryDirectory(dir=".") as folder:
        stimuli = make_stimuli(Path(folder), number)
        before = bare(network, stimuli)
        peak: list[float] = []
        done = threading.Event()
        watcher = threading.Thread(target=watch, args=(peak, done))
        watcher.start()
        wall, processor = time.perf_counter(), time.process_time()
        rdms = stream_rdms([network], stimuli, batch=BATCH, memory=memory, scratch=folder)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        done.set()
        watcher.join()
        after = bare(network, stimuli)
    scale = number / 64
    walls, processors = scale * (before[0] + after[0]), scale * (before[1] + after[1])
    print(f"{name}, {number} images of {side} x {side}, {memory:g} GiB of a layer held in memory")
    print(f"{rdms.sizes['rdm']} main layers, {torch.get_num_threads()} threads")
    print(f"bare forward pass  {walls:7.1f} s by the clock  {processors:7.1f} s of the processor")
    print(f"stream_rdms        {wall:7.1f} s by the clock  {processor:7.1f} s of the processor")
    print(f"ratio              {wall / walls:7.2f}               {processor / processors:9.2f}")
    print(f"peak memory        {max(peak):7.2f} GiB, all told")


if __name__ == "__main__":
    given = [convert(word) for convert, word in zip((str, int, int, float), sys.argv[1:], strict=False)]
    main(*given)
