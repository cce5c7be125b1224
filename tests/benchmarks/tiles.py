"""Print what RDMs larger than memory take: small images through AlexNet's main layers to tiles, and how that grows.

Run as ``python tests/benchmarks/tiles.py 1000 5000 20000``: for each number of stimuli, in a process of its own, the
processor seconds of extraction and of RDMs, their share of the rate at which this machine multiplies matrices, what
lies on the disk, and the largest memory; then the exponents of growth. Weights are untrained, images are noise.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

import rsa_face as rf
from rsa_face.safety import size_of
from rsa_face.stimuli.catalogue import StimulusSet

_PEOPLE = 200  # stimuli that simulated people judge


def rate() -> float:
    """Return how many multiplications a processor second does, of float32 matrices."""
    one = np.random.default_rng(0).random((2048, 8192), dtype=np.float32)
    begun = time.process_time()
    one @ one.T
    return 2048**2 * 8192 / (time.process_time() - begun)


def measure(count: int, folder: Path) -> dict[str, float]:
    """Run one number of stimuli from images to similarities."""
    rng, ids = np.random.default_rng(0), [f"s{place:06d}" for place in range(count)]
    files = [folder / f"{name}.png" for name in ids]
    for file in files:
        Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(file)
    stimuli = StimulusSet(pd.DataFrame({"stimulus": ids, "file": [str(file) for file in files]}))
    network = rf.build_network("alexnet", preprocessing=rf.Preprocessing(resize=64, crop=64))
    times = [time.process_time()]
    tree = rf.extract([network], stimuli, folder / "store.zarr", layers="main")
    times.append(time.process_time())
    rdms = rf.compute_rdms(tree, measure="euclidean", out=folder / "rdms.zarr")
    times.append(time.process_time())
    judged = rdms.isel(stimulus_i=slice(_PEOPLE), stimulus_j=slice(_PEOPLE))
    noise = rng.random((4, _PEOPLE, _PEOPLE))
    people = judged[0].values + (noise + noise.transpose(0, 2, 1)) * (1 - np.eye(_PEOPLE))
    coords = {"participant": list("abcd"), "stimulus_i": ids[:_PEOPLE], "stimulus_j": ids[:_PEOPLE]}
    human = rf.shared_stimuli(judged)[0].isel(rdm=[0] * 4).rename(rdm="participant").copy(data=people)
    human = human.drop_vars([name for name in human.coords if name not in coords]).assign_coords(coords)
    rf.compare_layers(*rf.shared_stimuli(rdms, human), comparison="corr", draws=20)
    times.append(time.process_time())
    features = sum(node["activation"][0].size for node in tree.leaves)
    products = features * count**2 / 2
    spent = np.diff(times)
    return {
        "stimuli": count,
        "extraction, s": spent[0],
        "RDMs, s": spent[1],
        "comparison, s": spent[2],
        "share of the machine's rate": products / spent[1] / rate(),
        "store, GB": size_of(folder / "store.zarr") / 1e9,
        "tiles, GB": size_of(folder / "rdms.zarr") / 1e9,
        "most memory, GB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9,
    }


def main(words: list[str]) -> None:
    """Measure each number in a process of its own, and print a table."""
    if words[0] == "one":
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(int(words[1]), Path(folder))))
        return
    rows = []
    for word in words:
        done = subprocess.run([sys.executable, __file__, "one", word], capture_output=True, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
    for name in rows[0]:
        values = [row[name] for row in rows]
        growth = np.diff(np.log(values)) / np.diff(np.log([row["stimuli"] for row in rows]))
        exponents = ", ".join(f"{value:.2f}" for value in growth) if name != "stimuli" else ""
        print(f"{name:<28} " + " ".join(f"{value:>10.3g}" for value in values) + f"   exponents {exponents}")


if __name__ == "__main__":
    main(sys.argv[1:])
