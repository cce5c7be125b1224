"""How much faster the bootstrap is than rsatoolbox's, in the same process, with the same draws.

Run by name: ``pytest -s -m "" tests/benchmarks/test_bootstrap_speed.py``. It prints two tables in markdown: the ratio
for each comparison and bootstrap, and how the time grows with stimuli, RDMs, participants and draws.
"""

import io
import time
import warnings
from contextlib import redirect_stderr

import numpy as np
import pytest
import rsatoolbox.inference.evaluate as peer
import xarray as xr
from rsatoolbox.model import ModelFixed
from rsatoolbox.rdm import RDMs

from rsa_face.inference.bootstrap import processors
from rsa_face.inference.layerwise import compare_layers

STIMULI, LAYERS, PEOPLE = 200, 50, 20
LEAST = {"corr": 100, "spearman": 100, "rho-a": 100, "tau-a": 20}
PEER = {"both": peer.eval_bootstrap, "dual": peer.eval_dual_bootstrap}


def vectors(stimuli, layers, people, seed=0):
    rng = np.random.default_rng(seed)
    pairs = stimuli * (stimuli - 1) // 2
    common = rng.random(pairs)
    return common + rng.random((layers, pairs)), common + 2 * rng.random((people, pairs))


def labelled(values, stimuli, along):
    square = np.zeros((len(values), stimuli, stimuli))
    rows, columns = np.triu_indices(stimuli, 1)
    square[:, rows, columns] = square[:, columns, rows] = values
    ids = [f"s{index:03d}" for index in range(stimuli)]
    coords = {along: [f"{along}{index}" for index in range(len(values))], "stimulus_i": ids, "stimulus_j": ids}
    return xr.DataArray(square, coords, (along, "stimulus_i", "stimulus_j"))


def seconds_of_ours(layers, people, stimuli, *, comparison, resample, draws):
    """Return the seconds of all draws, after one call that compiles, and the result."""
    rdms, human = labelled(layers, stimuli, "rdm"), labelled(people, stimuli, "participant")
    compare_layers(rdms, human, comparison=comparison, resample=resample, draws=2)
    start = time.perf_counter()
    result = compare_layers(rdms, human, comparison=comparison, resample=resample, draws=draws)
    return time.perf_counter() - start, result


def seconds_of_rsatoolbox(layers, people, *, comparison, resample, draws):
    """Return the seconds of a few draws of rsatoolbox's own loop."""
    models = [ModelFixed(str(index), RDMs(layer[None])) for index, layer in enumerate(layers)]
    options = {"use_correction": False} if resample == "dual" else {}
    with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        start = time.perf_counter()
        PEER[resample](models, RDMs(people), method=comparison, N=draws, **options)
        return time.perf_counter() - start


@pytest.mark.slow
def test_bootstrap_is_many_times_faster_than_rsatoolbox():
    layers, people = vectors(STIMULI, LAYERS, PEOPLE)
    print(
        f"\n{STIMULI} stimuli, {LAYERS} layers, {PEOPLE} participants, ceilings included, {processors()} processors\n"
    )
    print("| comparison | resample | rsatoolbox, s a draw | rsa_face, s a draw | times faster |")
    print("|---|---|---|---|---|")
    ratios = {}
    for comparison in LEAST:
        for resample in PEER:
            draws = 20 if comparison == "tau-a" else 100
            before = seconds_of_rsatoolbox(layers, people, comparison=comparison, resample=resample, draws=2) / 2
            ours, _ = seconds_of_ours(layers, people, STIMULI, comparison=comparison, resample=resample, draws=draws)
            after = seconds_of_rsatoolbox(layers, people, comparison=comparison, resample=resample, draws=2) / 2
            theirs, ours = (before + after) / 2, ours / draws
            ratios[comparison, resample] = theirs / ours
            print(f"| {comparison} | {resample} | {theirs:.2f} | {ours:.4f} | {theirs / ours:.0f} |", flush=True)
    assert {key: ratio for key, ratio in ratios.items() if ratio < LEAST[key[0]]} == {}


@pytest.mark.slow
def test_a_thousand_dual_draws_take_less_than_ninety_seconds():
    layers, people = vectors(STIMULI, LAYERS, PEOPLE)
    seconds, result = seconds_of_ours(layers, people, STIMULI, comparison="rho-a", resample="dual", draws=1000)
    print(f"\n1,000 dual draws with rho-a: {seconds:.1f} s")
    assert result.sizes["draw"] == 1000
    assert seconds < 90


@pytest.mark.slow
def test_growth_with_stimuli_layers_participants_and_draws():
    start = {"stimuli": 100, "layers": 25, "participants": 10, "draws": 100}
    print("\n| what doubles | stimuli | layers | participants | draws | rho-a, dual, s |")
    print("|---|---|---|---|---|---|")
    found = []
    for name in ("nothing", *start):
        size = start | ({name: 2 * start[name]} if name in start else {})
        layers, people = vectors(size["stimuli"], size["layers"], size["participants"])
        seconds, _ = seconds_of_ours(
            layers, people, size["stimuli"], comparison="rho-a", resample="dual", draws=size["draws"]
        )
        found.append(seconds)
        columns = " | ".join(str(value) for value in size.values())
        print(f"| {name} | {columns} | {seconds:.2f} |", flush=True)
    assert max(found) < 20 * found[0]
