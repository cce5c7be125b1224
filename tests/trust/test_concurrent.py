"""A study is run by one process at a time, and shown by any number; a store is read by many while it is written."""

import shutil
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from PIL import Image
from torch import nn

from rsa_face.activations.extract import Options, extract
from rsa_face.activations.store import describe_store, open_activations
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network
from rsa_face.safety import holder_of, lock_in
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.preprocessing import Preprocessing
from tests.trust.faults import begin, differences
from tests.trust.processes import Child, start_calling

READERS, STIMULI = 10, 200


def wait_until(held: Path, by: Child) -> None:
    while by.is_running() and not holder_of(held):
        time.sleep(0.005)


def test_of_two_runs_of_a_study_one_works_and_the_other_says_who_does(harness):
    harness.fresh(finished=False)
    first = begin(harness.words)
    wait_until(lock_in(harness.here / "results"), first)
    others = [begin(harness.words) for _ in range(3)]
    refused = [other.end() for other in others]
    assert first.end() == (0, "")
    for code, said in refused:
        assert code == 2
        assert f"process {first.number} on " in said
        assert "Wait for it" in said
    assert differences(harness.here / "results", harness.whole / "results") == []


def test_a_run_that_was_killed_holds_nothing(harness):
    harness.fresh(finished=False)
    first = begin(harness.words)
    wait_until(lock_in(harness.here / "results"), first)
    first.end(after=0.0)
    assert begin(harness.words).end() == (0, "")
    assert differences(harness.here / "results", harness.whole / "results") == []


def test_status_report_and_figures_are_shown_while_the_study_is_run(harness, tmp_path):
    results = harness.here / "results"
    looks = {
        "status": ["status", str(results)],
        "report": ["report", str(results), "--out", str(tmp_path / "report.html")],
        "figures": ["figures", str(results), "--only", "layers", "--formats", "png", "--out", str(tmp_path)],
    }
    harness.fresh(finished=True)
    for name in ("rdms", "rdms.nc", "layers.nc", "localization.nc"):  # these are made anew
        shutil.rmtree(results / name) if (results / name).is_dir() else (results / name).unlink()
    running = begin(harness.words)
    told: dict[str, list[tuple[int, str]]] = {name: [] for name in looks}
    while running.is_running() or not all(told.values()):
        for name, child in {name: begin(words) for name, words in looks.items()}.items():
            told[name].append(child.end())
    assert running.end() == (0, "")
    for name, found in told.items():
        assert {code for code, _ in found} <= {0, 2}, (name, found)
        assert all(said.count("\n") <= 2 and "Traceback" not in said for _, said in found), (name, found)
    assert {code for code, _ in told["status"]} == {0}
    assert differences(results, harness.whole / "results") == []


def test_ten_readers_of_a_store_that_is_written_find_it_unfinished_or_whole(tmp_path):
    store, stimuli = tmp_path / "x.zarr", many_stimuli(tmp_path)
    writer = start_calling(lambda: write(store, stimuli))
    readers = [start_calling(lambda: read_until_whole(store)) for _ in range(READERS)]
    found = [reader.end() for reader in readers]
    assert writer.end() == (0, "")
    assert [code for code, _ in found] == [0] * READERS, found
    sums = {said.split()[-1] for _, said in found}
    assert sums == {f"{float(open_activations(store)['tiny/0']['activation'].sum()):.6g}"}
    assert any("unfinished" in said for _, said in found)  # they did look while it was written


def many_stimuli(folder: Path) -> StimulusSet:
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(folder / "a.png")
    ids = [f"s{place:03d}" for place in range(STIMULI)]
    return StimulusSet(pd.DataFrame({"stimulus": ids, "file": str(folder / "a.png")}))


def write(store: Path, stimuli: StimulusSet) -> None:
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True))
    with torch.no_grad():
        for value in module.parameters():
            value.copy_(torch.linspace(-1, 1, value.numel()).reshape(value.shape))
    network = Network("tiny", module.eval(), name_modules(module), Preprocessing(resize=32, crop=32))
    extract([network], stimuli, store, layers="all", batch=1, options=Options(chunk=2))


def read_until_whole(store: Path) -> None:
    """Look at a store until it is finished; whatever a reader may not be told in the meantime ends this process."""
    seen = ""
    while True:
        try:
            describe_store(store)
            tree = open_activations(store)
        except FileNotFoundError:
            continue
        except ValueError as error:
            if "is unfinished" not in str(error):
                raise
            seen = "unfinished, then"
            continue
        print(seen, f"{float(tree['tiny/0']['activation'].sum()):.6g}", file=sys.stderr)
        return
