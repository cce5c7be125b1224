"""RDMs by rsatoolbox and by rsa_face in one process: 2,000 stimuli x 9,216 features, correlation.

Run as ``python tests/benchmarks/rdm_speed.py [STIMULI] [FEATURES]``; set OMP_NUM_THREADS to the cores there are.
"""

import resource
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rsatoolbox
import xarray as xr
import zarr

from rsa_face.rdms.measures import compute_rdms


def tree_in(folder: Path, values: np.ndarray) -> xr.DataTree:
    ids = [f"s{place}" for place in range(len(values))]
    attrs = {"network": "net", "place": 0, "untrained": 0, "layer": "fc", "depth": 1.0, "order": 0}
    dims = ("stimulus", "feature")
    nodes = {
        "/": xr.Dataset(coords={"stimulus": ids}),
        "/net/fc": xr.Dataset({"activation": (dims, values)}, attrs=attrs),
    }
    xr.DataTree.from_dict(nodes).to_zarr(folder / "x.zarr", zarr_format=3, consolidated=False)
    assert zarr.open_group(folder / "x.zarr", mode="r")["net/fc/activation"].shape == values.shape
    return xr.open_datatree(folder / "x.zarr", engine="zarr", chunks=None, consolidated=False)


def main(stimuli: int, features: int) -> None:
    values = np.maximum(np.random.default_rng(0).normal(size=(stimuli, features)), 0).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        tree = tree_in(Path(folder), values)
        compute_rdms(tree)
        begun = time.perf_counter()
        ours = compute_rdms(tree).values[0]
        our_seconds = time.perf_counter() - begun
    begun = time.perf_counter()
    dataset = rsatoolbox.data.Dataset(values.astype(np.float64))
    theirs = rsatoolbox.rdm.calc_rdm(dataset, method="correlation").get_matrices()[0]
    their_seconds = time.perf_counter() - begun
    print(f"{stimuli} stimuli x {features} features, correlation")
    print(f"rsatoolbox calc_rdm  {their_seconds:7.2f} s (in memory)")
    print(f"compute_rdms         {our_seconds:7.2f} s (reading a zarr store)")
    print(f"ratio                {their_seconds / our_seconds:7.1f}")
    print(f"largest difference   {abs(ours - theirs).max():.2e}")
    print(f"peak memory          {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB (both)")


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:3])) if len(sys.argv) > 2 else main(2000, 9216)
