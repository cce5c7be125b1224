"""How much faster the bootstrap is than rsatoolbox's, in the same process, with the same draws.

Run by name: ``pytest -s -m "" tests/benchmarks/test_bootstrap_speed.py``; ``-k "corr and dual"`` chooses a cell. It
prints two tables in markdown. rsatoolbox runs a few draws before and after ours, and the ratio is that of
the times of one draw, standard errors taken from the draws on both sides.
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

from rsa_face.inference.draws import processors
from rsa_face.inference.rsa import compare_layers

STIMULI, LAYERS, PEOPLE = 200, 50, 20
LEAST = {"corr": 100, "spearman": 100, "rho-a": 100, "tau-a": 20}
DRAWS = {"corr": 1000, "spearman": 200, "rho-a": 200, "tau-a": 40}
PEER = {"both": peer.eval_bootstrap, "dual": peer.eval_dual_bootstrap}
PEER_DRAWS = {"both": 2, "dual": 1}
START = {"stimuli": 100, "layers": 25, "participants": 10, "draws": 100}


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


def seconds_of_ours(layers, people, stimuli, *, draws, **asked):
    """Return the seconds of all draws, after one call that compiles, and the result."""
    rdms, human = labelled(layers, stimuli, "rdm"), labelled(people, stimuli, "participant")
    compare_layers(rdms, human, draws=2, **asked)
    start = time.perf_counter()
    result = compare_layers(rdms, human, draws=draws, **asked)
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


@pytest.fixture(scope="module")
def ratios():
    rows = []
    yield rows
    print(f"\n\n{STIMULI} stimuli, {LAYERS} layers, {PEOPLE} participants, ceilings, {processors()} processors\n")
    print("| comparison | resample | rsatoolbox, s a draw | rsa_face, s a draw | times faster | asked |")
    print("\n".join(["|---|---|---:|---:|---:|---:|", *rows]))


@pytest.fixture(scope="module")
def growth():
    rows = []
    yield rows
    print("\n\n| what doubles | stimuli | layers | participants | draws | rho-a, dual, s |")
    print("\n".join(["|---|---:|---:|---:|---:|---:|", *rows]))


@pytest.mark.slow
@pytest.mark.parametrize("resample", list(PEER))
@pytest.mark.parametrize("comparison", list(LEAST))
def test_ratio(comparison, resample, ratios):
    layers, people = vectors(STIMULI, LAYERS, PEOPLE)
    cell = {"comparison": comparison, "resample": resample}
    draws = PEER_DRAWS[resample]
    before = seconds_of_rsatoolbox(layers, people, draws=draws, **cell) / draws
    ours, _ = seconds_of_ours(layers, people, STIMULI, draws=DRAWS[comparison], variance="bootstrap", **cell)
    after = seconds_of_rsatoolbox(layers, people, draws=draws, **cell) / draws
    theirs, ours = (before + after) / 2, ours / DRAWS[comparison]
    least = LEAST[comparison]
    ratios.append(f"| {comparison} | {resample} | {theirs:.2f} | {ours:.4f} | {theirs / ours:.0f} | {least} |")
    assert theirs / ours >= least


@pytest.mark.slow
def test_thousand_dual_draws_with_rho_a():
    layers, people = vectors(STIMULI, LAYERS, PEOPLE)
    seconds, result = seconds_of_ours(layers, people, STIMULI, comparison="rho-a", resample="dual", draws=1000)
    print(f"\n\n1,000 dual draws with rho-a, with jackknifed errors: {seconds:.1f} s (asked: less than 90)")
    assert result.sizes["draw"] == 1000
    assert seconds < 90


@pytest.mark.slow
@pytest.mark.parametrize("doubled", ["nothing", *START])
def test_growth(doubled, growth):
    size = START | ({doubled: 2 * START[doubled]} if doubled in START else {})
    layers, people = vectors(size["stimuli"], size["layers"], size["participants"])
    seconds, _ = seconds_of_ours(
        layers, people, size["stimuli"], comparison="rho-a", resample="dual", draws=size["draws"]
    )
    growth.append(f"| {doubled} | {' | '.join(str(value) for value in size.values())} | {seconds:.2f} |")
    assert seconds < 60
