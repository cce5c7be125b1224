"""A bar of progress tells the truth: never more than is done, an earlier run as its own, and all at the end."""

import io
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from torch import nn
from tqdm import tqdm

from rsa_face.activations import extract as extraction
from rsa_face.activations import stream as streaming
from rsa_face.activations.extract import Options, extract
from rsa_face.activations.store import describe_store
from rsa_face.activations.stream import stream_rdms
from rsa_face.cli import networks as command
from rsa_face.inference import draws as engine
from rsa_face.inference.draws import evaluate_draws, evaluate_draws_on, in_torch, run_draws
from rsa_face.inference.resampling import draw_resamples
from rsa_face.networks.layers import name_modules
from rsa_face.networks.zoo import Network, build_network
from rsa_face.stimuli.catalogue import StimulusSet
from rsa_face.stimuli.preprocessing import Preprocessing
from rsa_face.study import networks as learning
from rsa_face.training.loop import Step
from tests.inference.conftest import make_vectors, to_array

SMALL = Preprocessing(resize=64, crop=64)


class Bars:
    """Every bar shown while a test runs: where it began, what it told, out of how many."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []
        self.check: Callable[[int], None] = lambda _: None

    def note(self, bar: tqdm, seen: dict[str, Any]) -> None:
        seen |= {"began": bar.initial, "total": bar.total}
        if not seen["told"] or seen["told"][-1] != bar.n:
            seen["told"].append(bar.n)
            self.check(bar.n)

    @property
    def bar(self) -> type[tqdm]:
        bars = self

        class Bar(tqdm):
            def __init__(self, *args, **options):
                self.seen = {"told": []}
                bars.seen.append(self.seen)
                super().__init__(*args, **options | {"disable": False, "file": io.StringIO(), "mininterval": 0})

            def display(self, *args, **options):  # whenever it is drawn
                bars.note(self, self.seen)
                return super().display(*args, **options)

        return Bar

    def last(self) -> tuple[int, int, int]:
        """Return where the last bar began, what it told in the end, and out of how many; it never went back."""
        last = self.seen[-1]
        told = [number for number in last["told"] if number >= last["began"]]  # it is drawn once before it is set
        assert told == sorted(told)
        assert set(told) - {last["began"], last["total"]}, "it jumped to its end"
        return last["began"], told[-1], last["total"]


def must_be(truth: bool) -> None:
    assert truth, "it counted what is not done"


def counting(function: Callable[..., Any], done: list[int]) -> Callable[..., Any]:
    """Return a function that does the same, and notes each time that it is done."""

    def counted(*args: Any, **options: Any) -> Any:
        found = function(*args, **options)
        done.append(1)
        return found

    return counted


@pytest.fixture
def bars(monkeypatch):
    bars = Bars()
    for module in ("activations.extract", "activations.stream", "inference.draws", "inference.draws",
                   "inference.draws", "study.networks"):  # fmt: skip
        monkeypatch.setattr(f"rsa_face.{module}.tqdm", bars.bar)
    monkeypatch.setattr("tqdm.tqdm", bars.bar)
    return bars


@pytest.fixture
def stimuli(tmp_path):
    rng = np.random.default_rng(0)
    ids = [f"s{place}" for place in range(10)]
    files = [str(tmp_path / f"{stimulus}.png") for stimulus in ids]
    for file in files:
        Image.fromarray(rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)).save(file)
    return StimulusSet(pd.DataFrame({"stimulus": ids, "file": files}))


def test_extraction_counts_what_is_in_the_store_and_an_earlier_run_as_its_own(tmp_path, stimuli, bars, monkeypatch):
    module = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(inplace=True), nn.Conv2d(8, 8, 3)).eval()
    network = Network("mine", module, name_modules(module), SMALL)
    store = tmp_path / "x.zarr"

    def is_there(number: int) -> None:
        there = [node["done"] for node in describe_store(store)["networks"]]
        assert number <= sum(there)

    bars.check = is_there
    write = extraction._write
    monkeypatch.setattr(extraction, "_write", lambda *batch: time.sleep(0.1) or write(*batch))
    run, calls = extraction.record_batch, []

    def until_the_fourth(*args):
        calls.append(1)
        if len(calls) == 4:
            raise RuntimeError("power cut")
        return run(*args)

    monkeypatch.setattr(extraction, "record_batch", until_the_fourth)
    with pytest.raises(RuntimeError, match="power cut"):
        extract([network], stimuli, store, layers="all", batch=2, options=Options(chunk=4), progress=True)
    done = describe_store(store)["networks"][0]["done"]
    assert 0 < max(bars.seen[-1]["told"]) <= done < 10
    monkeypatch.setattr(extraction, "record_batch", run)
    extract([network], stimuli, store, layers="all", batch=2, options=Options(chunk=4), progress=True)
    assert bars.last() == (done, 10, 10)


def test_extraction_on_a_cluster_counts_blocks_that_are_there(tmp_path, stimuli, bars):
    pytest.importorskip("distributed")
    network = build_network("alexnet", preprocessing=SMALL)
    store = tmp_path / "x.zarr"

    def is_there(number: int) -> None:
        batches = len(list((store / "alexnet" / "fc8" / "activation" / "c").glob("*/*")))
        assert number <= 2 * batches

    bars.check = is_there
    options = Options(chunk=4)
    extract([network], stimuli, store, layers=["fc8"], batch=2, options=options, cluster="local:1", progress=True)
    assert bars.last() == (0, 10, 10)


def test_streaming_counts_layers_whose_rdms_are_made(stimuli, bars, monkeypatch):
    network = build_network("alexnet", preprocessing=SMALL)
    done: list[int] = []
    monkeypatch.setattr(streaming, "merge_moments", counting(streaming.merge_moments, done))
    bars.check = lambda number: must_be(number <= len(done))
    rdms = stream_rdms([network], stimuli, layers="main", progress=True)
    assert bars.last() == (0, rdms.sizes["rdm"], rdms.sizes["rdm"])


@pytest.mark.parametrize("workers", [1, 3])
def test_draws_are_counted_when_they_are_done(bars, workers, monkeypatch):
    x, y = make_vectors(9, 3, 4, seed=3)
    draws = draw_resamples(to_array(y, "participant"), resample="dual", draws=30, rng=np.random.default_rng(0))
    usable = int(draws.usable.sum())
    done: list[int] = []
    monkeypatch.setattr(engine, "evaluate", counting(engine.evaluate, done))
    bars.check = lambda number: must_be(number <= len(done))
    evaluate_draws(x, y, draws, comparison="corr", workers=workers, progress=True)
    assert bars.last() == (0, usable, usable)


def test_draws_on_a_device_are_counted(bars):
    x, y = make_vectors(9, 3, 4, seed=3)
    draws = draw_resamples(to_array(y, "participant"), resample="dual", draws=30, rng=np.random.default_rng(0))
    each = x.shape[1] * 8 * (3 * (len(x) + len(y)) + 12 * (len(y) + 1))  # bytes of one draw
    device = in_torch("cpu", x, y, draws, comparison="corr", memory=10 * each)
    run_draws(device, draws, len(x), progress=True)
    usable = int(draws.usable.sum())
    assert (len(device.batches), bars.last()) == (-(-usable // 10), (0, usable, usable))


def test_draws_of_a_cluster_are_counted_when_they_come_back(bars):
    pytest.importorskip("distributed")
    x, y = make_vectors(9, 3, 4, seed=3)
    draws = draw_resamples(to_array(y, "participant"), resample="dual", draws=150, rng=np.random.default_rng(0))
    evaluate_draws_on("local:1", x, y, draws, comparison="corr", memory=2e9, progress=True)
    assert bars.last() == (0, 150, 150)


@pytest.mark.parametrize("bar", [lambda: learning._bar(shown=True), command.bar])
@pytest.mark.parametrize("first", [1, 3])
def test_training_counts_batches_and_an_earlier_run_as_its_own(bars, bar, first):
    step = Step("small", 1, 4, 1, 5, 0.7)
    done: list[int] = []
    bars.check = lambda number: must_be(number <= 5 * (first - 1) + len(done))
    with bar() as show:
        for epoch in range(first, 5):
            for batch in range(1, 6):
                done.append(1)
                show(replace(step, epoch=epoch, batch=batch))
    assert bars.last() == (5 * (first - 1), 20, 20)
